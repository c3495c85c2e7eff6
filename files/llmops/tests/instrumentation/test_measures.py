"""How text and images are measured, and what tokens cost."""

import base64
import struct
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops_monitoring import ImageMetrics, Price, TokenMetrics, monitor_llm
from llmops_monitoring.instrumentation.collectors.cost import Prices, shipped_prices
from llmops_monitoring.instrumentation.collectors.image import measure
from llmops_monitoring.instrumentation.collectors.text import Text, TextCount, texts
from llmops_testing.memory import Memory


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (0, 0, 0, 0)),
        ("a", (1, 1, 1, 1)),
        ("a b\n", (4, 2, 4, 1)),
        ("\n\n", (2, 0, 2, 2)),
        ("Åse är\n här", (11, 3, 14, 2)),
        ("\ud800", (1, 1, 3, 1)),
        ("a\u2003b", (3, 2, 5, 1)),
    ],
)
def test_text(text: str, expected: tuple[int, ...]) -> None:
    metrics = Text([text]).metrics()
    assert (metrics.characters, metrics.words, metrics.bytes, metrics.lines) == expected


@given(st.lists(st.text(st.characters() | st.sampled_from(" \n\u2003")), max_size=8))
def test_pieces_count_as_the_whole(pieces: list[str]) -> None:
    whole = "".join(pieces)
    count = TextCount()
    for piece in pieces:
        count.add(piece)
    assert count.characters == len(whole)
    assert count.words == len(whole.split())
    assert count.bytes == len(whole.encode("utf-8", "surrogatepass"))
    assert count.lines == whole.count("\n") + (whole != "" and whole[-1] != "\n")


def test_long_text_is_not_kept() -> None:
    text = Text(["word " * 10_000])
    assert not text._kept  # noqa: SLF001
    assert text.metrics().words == 10_000


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ("a", ["a"]),
        (["a", "b"], ["a", "b"]),
        (("a", 1), ["a"]),
        ([], None),
        (None, None),
        (7, None),
        ({"text": "a"}, ["a"]),
        ({"content": ["a", {"text": "b"}, {"image": 1}]}, ["a", "b"]),
        ({"choices": []}, None),
        ({"choices": [{"message": {"content": None}}]}, []),
        ({"output": [{"content": [{"text": "a"}]}]}, ["a"]),
        ({"answer": "a"}, None),
    ],
)
def test_where_text_is(result: object, expected: list[str] | None) -> None:
    assert texts(result) == expected


def _jpeg(width: int, height: int) -> bytes:
    camera = b"\xff\xe1" + struct.pack(">H", 3000) + bytes(2998)
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, height, width, 3) + bytes(9)
    return b"\xff\xd8" + camera + frame


IMAGES = {
    "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 640, 480) + bytes(99),
    "gif": b"GIF89a" + struct.pack("<HH", 640, 480) + bytes(9),
    "bmp": b"BM" + bytes(16) + struct.pack("<ii", 640, -480) + bytes(9),
    "jpeg": _jpeg(640, 480),
    "webp": b"RIFF\0\0\0\0WEBPVP8 " + bytes(10) + struct.pack("<HH", 640, 480 | 0x4000),
    "webp lossless": b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0/" + struct.pack("<I", 639 | 479 << 14),
    "webp extended": b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + b"\x7f\x02\0\xdf\x01\0",
}


@pytest.mark.parametrize("name", IMAGES)
def test_image_in_bytes(name: str) -> None:
    data = IMAGES[name]
    expected = ImageMetrics(
        count=1, pixels=640 * 480, bytes=len(data), width=640, height=480, format=name.split()[0]
    )
    assert measure(data) == expected
    encoded = base64.b64encode(data).decode()
    assert measure(f"data:image/x;base64,{encoded}") == expected
    assert measure({"data": [{"b64_json": encoded}]}) == expected
    assert measure(SimpleNamespace(data=[SimpleNamespace(b64_json=encoded)])) == expected


@pytest.mark.parametrize("name", IMAGES)
def test_image_that_ends_early_is_none(name: str) -> None:
    assert measure(IMAGES[name][:9]) is None


def test_images_are_summed_up() -> None:
    class Photo:
        format = "JPEG"

        def __init__(self, width: int, height: int) -> None:
            self._size = (width, height)

    found = measure(SimpleNamespace(images=[Photo(10, 20), IMAGES["png"], Photo(1, 1)]))
    length = len(IMAGES["png"])
    assert found == ImageMetrics(
        count=3, pixels=200 + 640 * 480 + 1, bytes=length, width=640, height=480, format="png"
    )
    assert measure([Photo(10, 20)]) == ImageMetrics(
        count=1, pixels=200, width=10, height=20, format="jpeg"
    )
    assert measure({"data": [{"url": "https://example.org/a.png"}]}) == ImageMetrics(
        count=1, pixels=0
    )


@pytest.mark.parametrize(
    "nonsense",
    [None, 7, "text", b"", b"\x89PNG", [], {}, object(), "data:image/png;base64,%%%", {"data": 5}],
)
def test_what_is_no_image(nonsense: object) -> None:
    assert measure(nonsense) is None


@given(
    st.binary(max_size=64)
    | st.builds(
        lambda head, tail: head[:20] + tail,
        st.sampled_from(list(IMAGES.values())),
        st.binary(max_size=64),
    )
)
def test_any_bytes_are_looked_at_in_peace(data: bytes) -> None:
    found = measure(data)
    assert found is None or found.bytes == len(data)


def test_images_of_a_call(memory: Memory) -> None:
    @monitor_llm(measure_images=True)
    def draw() -> bytes:
        return IMAGES["png"]

    draw()
    event = memory.event
    assert event.image_metrics is not None
    assert event.image_metrics.format == "png"
    assert event.text_metrics is None


def tokens(model: str | None, given: int = 1_000_000, got: int = 0, **more: Any) -> TokenMetrics:
    """Return the counts of a call."""
    return TokenMetrics(
        model=model, input_tokens=given, output_tokens=got, total_tokens=given + got, **more
    )


@pytest.mark.parametrize(
    ("model", "dollars"),
    [
        ("gpt-4o", 2.5),
        ("GPT-4o", 2.5),
        ("gpt-4o-2024-11-20", 2.5),
        ("gpt-4o-2024-05-13", 5.0),
        ("gpt-4o-mini", 0.15),
        ("gpt-4o-mini-2024-07-18", 0.15),
        ("openai/gpt-4o-mini", 0.15),
        ("azure/gpt-4o", 2.5),
        ("claude-sonnet-4-5-20250929", 3.0),
        ("anthropic/claude-haiku-4-5-latest", 1.0),
        ("gpt-4o-audio-preview", None),
        ("gpt-4o-mini-tts", None),
        ("gpt-4.9", None),
        ("gpt-4", 30.0),
        ("gpt-4-5", None),
        ("my-gpt-4o", None),
        ("meta-llama/Llama-3.3-70B-Instruct", None),
        ("", None),
        (None, None),
    ],
)
def test_price_is_that_of_the_longest_name(model: str | None, dollars: float | None) -> None:
    assert Prices().cost(tokens(model)) == dollars


def test_own_prices_go_before() -> None:
    own = {
        "llama": Price(input=1),
        "llama-3.3-70b": Price(input=2),
        "gpt-4o": Price(input=0),
        "meta/llama": Price(input=3),
    }
    prices = Prices(own)
    assert prices.cost(tokens("llama-2")) == 1
    assert prices.cost(tokens("Llama-3.3-70B-Instruct")) == 2
    assert prices.cost(tokens("meta/llama-3.3-70b")) == 3
    assert prices.cost(tokens("llamas")) is None
    assert prices.cost(tokens("gpt-4o-mini")) == 0
    assert prices.cost(tokens("gpt-4.1")) == 2
    assert prices.find("llama-3.3-70b") == own["llama-3.3-70b"]
    assert prices.find("nobody's") is None


def test_what_a_cache_gave_and_took_has_its_own_price() -> None:
    price = {"m": Price(input=4, output=10, cached_input=1, cache_write=5)}
    counted = tokens("m", 10, 2, cached_input_tokens=3, cache_write_tokens=2)
    assert Prices(price).cost(counted) == pytest.approx((5 * 4 + 3 * 1 + 2 * 5 + 2 * 10) / 1e6)
    plain = {"m": Price(input=4, output=10)}
    assert Prices(plain).cost(counted) == pytest.approx((10 * 4 + 2 * 10) / 1e6)


def test_prompt_beyond_a_price_costs_nobody_knows_what() -> None:
    price = {"m": Price(input=1, up_to_input_tokens=100)}
    assert Prices(price).cost(tokens("m", 100)) == pytest.approx(1e-4)
    assert Prices(price).cost(tokens("m", 101)) is None


def test_names_that_never_repeat_do_not_fill_the_memory() -> None:
    prices = Prices()
    for number in range(5000):
        assert prices.find(f"nobody's-{number}") is None
    assert len(prices._found) <= 1000  # noqa: SLF001


def test_shipped_table_is_dated() -> None:
    table = shipped_prices()
    assert date(2026, 1, 1) < table.as_of
    assert table.source
    assert len(table.models) > 50
