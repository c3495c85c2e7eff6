import math
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from exporter_testing.hostile import HTML
from llm_monitor.base.collection.collector import Deadline
from llm_monitor.base.upstream.errors import Reason, UpstreamError
from llm_monitor.base.upstream.exposition import Point, histogram_names, histograms, read

LABELS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def reason(body: bytes, wanted: set[str], **options: int) -> Reason:
    with pytest.raises(UpstreamError) as caught:
        read(body, wanted, **options)
    return caught.value.reason


@given(st.lists(LABELS, unique=True, max_size=5), st.floats(allow_nan=False, allow_infinity=False))
def test_what_the_library_writes_is_read_as_it_was(texts: list[str], value: float) -> None:
    registry = CollectorRegistry()
    gauge = Gauge("gauge", "A gauge.", ["text"], registry=registry)
    Counter("unwanted", 'Not "asked" for.\nAt all.', registry=registry).inc()
    for text in texts:
        gauge.labels(text).set(value)
    points = read(generate_latest(registry), {"gauge"})
    assert points == [Point("gauge", {"text": text}, value) for text in texts]


@given(st.tuples(LABELS, LABELS, LABELS), st.sampled_from(["{ ", "{\t", "{"]))
def test_labels_are_read_as_the_library_reads_them(texts: tuple[str, str, str], start: str) -> None:
    registry = CollectorRegistry()
    gauge = Gauge("gauge", "A gauge.", ["a", "b", "c"], registry=registry)
    gauge.labels(*texts).set(1)
    text = generate_latest(registry).decode().replace('"} 1.0\n', '" ,} 1.0\n')
    text = text.replace('{a="', f'{start}a = "')
    (family,) = text_string_to_metric_families(text)
    expected = [Point("gauge", sample.labels, 1) for sample in family.samples]
    assert read(text.encode(), {"gauge"}) == expected
    assert expected[0].labels == dict(zip("abc", texts, strict=True))


def test_a_backslash_before_anything_else_stays() -> None:
    (point,) = read(rb'a{x="\\n \n \x \\"} 1' + b"\n", {"a"})
    assert point.labels == {"x": "\\n \n \\x \\"}


def test_only_what_is_wanted_is_read() -> None:
    body = b'# a comment\n\n  a 1\nb{x="y"} 2 1234567890123\nc\t3\r\na_b{} 4\n{"d"} 5\n'
    assert read(body, {"a", "b", "c"}) == [
        Point("a", {}, 1),
        Point("b", {"x": "y"}, 2),
        Point("c", {}, 3),
    ]
    assert read(body, ()) == []
    assert read(b"", {"a"}) == []


def test_numbers_that_are_none_are_left_out_and_counted() -> None:
    points = read(b"a 1\nb NaN\nc +Inf\nd -Inf\ne 1e999\nother NaN\n", set("abcde"))
    assert (points, points.left_out) == ([Point("a", {}, 1)], 4)


@pytest.mark.parametrize(
    "body",
    [
        HTML,
        b'{"status": "ok"}\n',
        b"Internal Server Error\n",
        b"a 1\na 2\n",
        b'a{x="1",y="2"} 1\na{y="2",x="1"} 1\n',
        b'a{x="1} 1\n',
        b'a{x="1",x="2"} 1\n',
        b'a{x="1"y="2"} 1\n',
        b'a{__name__="b"} 1\n',
        b"a{x=1} 1\n",
        b"a{x} 1\n",
        b'a{x="1"}\n',
        b'a{x="1",,} 1\n',
        b"a{,} 1\n",
        b'a{x="1\\"} 1\n',
        b"a 1.2.3\n",
        b"a 1 2 3\n",
        b"a 1_000\n",
        b"a 0x10\n",
        b"a\n",
        b"a 1\nb 2",
        b'a{x="' + b"x" * 20_000 + b'"} 1\n',
    ],
)
def test_what_is_written_wrongly_is_an_error(body: bytes) -> None:
    assert reason(body, {"a"}) is Reason.UNPARSABLE


def test_bytes_that_are_no_text_are_an_error_wherever_they_are() -> None:
    assert reason(b"a 1\n# \xff\n", {"a"}) is Reason.ENCODING


def test_there_is_a_limit_for_what_is_wanted_only() -> None:
    body = b"".join(b'a{x="%d"} 1\n' % number for number in range(100))
    assert len(read(body, {"a"}, most=100)) == 100
    assert reason(body, {"a"}, most=99) is Reason.TOO_LARGE
    assert read(body, {"b"}, most=1) == []


@pytest.mark.parametrize("unit", [b" ", b"{", b"}", b"} ", b'\\"', b"1 ", b"x{", b'"', b"e", b"\r"])
def test_no_text_takes_long(unit: bytes) -> None:
    for start in (b"x", b"x{", b'x{a="', b"x 1"):
        body = start + unit * (4_000_000 // len(unit)) + b"\n"
        began = time.process_time()
        with suppress(UpstreamError):
            read(body, {"x"})
        assert time.process_time() - began < 3


def most_memory(body: bytes) -> int:
    tracemalloc.start()
    with suppress(UpstreamError):
        read(body, {"x"})
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


@pytest.mark.parametrize("line", [b"\n", b"a 1\n", b"# \xf0\x9f\x98\x80\n"])
def test_what_is_not_wanted_takes_no_memory(line: bytes) -> None:
    assert most_memory(line * (1_000_000 // len(line))) < 100_000


def histogram_body(*engines: str, buckets: tuple[float, ...] = (0.1, 1, 10)) -> bytes:
    registry = CollectorRegistry()
    family = Histogram(
        "latency_seconds", "A histogram.", ["engine", "model"], registry=registry, buckets=buckets
    )
    for number, engine in enumerate(engines, 1):
        for value in (0.05, 0.5, 5, 50):
            for _ in range(number):
                family.labels(engine, "m").observe(value)
    return generate_latest(registry)


def of(body: bytes, *by: str) -> object:
    name = "latency_seconds"
    return histograms(read(body, set(histogram_names(name))), name, by)


def test_histograms_are_added_up_bucket_for_bucket() -> None:
    assert of(histogram_body("0", "1"), "model") == {
        ("m",): ((0.1, 1, 10), (3, 6, 9, 12), pytest.approx(166.65))
    }
    assert of(histogram_body("0"), "engine", "model", "missing") == {
        ("0", "m", ""): ((0.1, 1, 10), (1, 2, 3, 4), pytest.approx(55.55))
    }


def test_of_different_buckets_those_in_common_remain() -> None:
    other = histogram_body("1", buckets=(0.1, 2, 10)).decode()
    samples = [line for line in other.splitlines(keepends=True) if line[0] != "#"]
    both = histogram_body("0") + "".join(samples).encode()
    assert of(both, "model") == {("m",): ((0.1, 10), (2, 6, 8), pytest.approx(111.1))}


def test_the_samples_of_a_histogram_may_stand_apart() -> None:
    body = histogram_body("0", "1")
    samples = [line for line in body.splitlines(keepends=True) if line[:1] != b"#"]
    apart = sorted(samples, key=lambda line: line.rpartition(b"le=")[2])
    assert apart != samples
    assert of(b"".join(apart), "engine") == of(body, "engine")


@pytest.mark.parametrize(
    "lines",
    [
        ['_bucket{le="1"} 2', '_bucket{le="+Inf"} 1', "_sum 1", "_count 1"],
        ['_bucket{le="1"} -1', '_bucket{le="+Inf"} 1', "_sum 1", "_count 1"],
        ['_bucket{le="1"} 1', '_bucket{le="+Inf"} 2', "_sum 1", "_count 3"],
        ['_bucket{le="x"} 1', '_bucket{le="+Inf"} 1', "_sum 1", "_count 1"],
        ['_bucket{le="NaN"} 1', '_bucket{le="+Inf"} 1', "_sum 1", "_count 1"],
        ['_bucket{le="1"} 1', '_bucket{le="+Inf"} 1', "_count 1"],
        ['_bucket{le="1"} 1', "_sum 1"],
        ['_bucket{le="1"} 1', '_bucket{le="+Inf"} 1', "_sum NaN", "_count 1"],
        ["_bucket 1", '_bucket{le="+Inf"} 1', "_sum 1", "_count 1"],
    ],
)
def test_what_is_no_whole_histogram_is_left_out(lines: list[str]) -> None:
    assert of("".join(f"latency_seconds{line}\n" for line in lines).encode()) == {}


def test_the_last_bucket_is_the_count_where_it_is_missing() -> None:
    body = b'latency_seconds_bucket{le="1"} 1\nlatency_seconds_sum 5\nlatency_seconds_count 2\n'
    assert of(body) == {(): ((1.0,), (1, 2), 5)}


def test_the_recorded_histograms_are_whole() -> None:
    body = (Path(__file__).parent.parent / "vllm/recorded/metrics.txt").read_bytes()
    name = "vllm:e2e_request_latency_seconds"
    one = histograms(read(body, set(histogram_names(name))), name, ["model_name"])[("tiny",)]
    assert one.bounds[0] == 0.3
    assert one.counts[-1] == 31
    assert math.isclose(one.sum, 12.263853311538696)


def test_reading_ends_at_its_deadline() -> None:
    body = b"a 1\n" * (1 << 20)
    began = time.process_time()
    with pytest.raises(UpstreamError) as caught:
        read(body, {"b"}, deadline=Deadline.after(0.05))
    assert caught.value.reason is Reason.TIMEOUT
    assert time.process_time() - began < 0.2
