"""Images: bytes whose header tells their size, objects that know it, and answers that hold them."""

import base64
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, cast

from llmops_monitoring.event import ImageMetrics
from llmops_monitoring.instrumentation.collectors.registry import (
    CollectorContext,
    MetricCollector,
    built_in,
)
from llmops_monitoring.instrumentation.values import clean, items, read, text_in

_MOST_IMAGES: Final = 1000
_LARGEST: Final = 2**31 - 1
_LONGEST_NAME: Final = 32
# JPEG tells its size after what a camera wrote, which is rarely longer than this.
_HEADER_BYTES: Final = 65536
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_JPEG_FRAMES: Final = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_JPEG_SCAN: Final = 0xDA


@dataclass(frozen=True, slots=True)
class _Image:
    width: int | None
    height: int | None
    bytes: int | None
    format: str | None


def measure(result: object) -> ImageMetrics | None:
    """Return the sums over all images of a result, None where there is none.

    Bytes of PNG, JPEG, GIF, WebP and BMP; objects with width, height and format, such as Pillow's;
    lists of those; `images` of a pipeline; `data` of OpenAI's answers, and `data:` URLs.
    """
    found = list(islice(_images(result), _MOST_IMAGES))
    if not found:
        return None
    largest = max(found, key=lambda one: (one.width or 0) * (one.height or 0))
    known = [one.bytes for one in found if one.bytes is not None]
    return ImageMetrics.model_construct(
        count=len(found),
        pixels=sum((one.width or 0) * (one.height or 0) for one in found),
        bytes=sum(known) if known else None,
        width=largest.width,
        height=largest.height,
        format=largest.format,
    )


def _images(result: object) -> Iterator[_Image]:
    if type(result) in {list, tuple}:
        yield from _of_all(result)
        return
    image = _of_one(result)
    if image is not None:
        yield image
        return
    yield from _of_all(read(result, "images"))
    for one in items(read(result, "data")):
        encoded = text_in(read(one, "b64_json"))
        image = None if encoded is None else _of_base64(encoded)
        if image is None and text_in(read(one, "url")) is None:
            return
        yield image or _Image(None, None, None, None)


def _of_all(results: object) -> Iterator[_Image]:
    """Give the images of a list, up to the first item that is none."""
    for one in items(results):
        image = _of_one(one)
        if image is None:
            return
        yield image


def _of_one(value: object) -> _Image | None:
    if type(value) in {bytes, bytearray, memoryview}:
        data = cast("bytes", value)
        return _of_bytes(bytes(data[:_HEADER_BYTES]), len(data))
    text = text_in(value)
    if text is None:
        return _of_known(value)
    return _of_base64(text[text.find(",") + 1 :]) if text.startswith("data:image/") else None


def _of_known(image: object) -> _Image | None:
    # Pillow's images keep their size under one name and tell it by properties.
    size = read(image, "_size")
    width, height = (
        size
        if type(size) is tuple and len(size) == 2
        else (
            read(image, "width"),
            read(image, "height"),
        )
    )
    if not _is_length(width) or not _is_length(height):
        return None
    form = text_in(read(image, "format"))
    # Each of Pillow's formats is a class, which tells its name for all its images.
    for one in () if form is not None else type(image).__mro__:
        form = form or text_in(one.__dict__.get("format"))
    named = None if form is None else clean(form, _LONGEST_NAME).lower()
    return _Image(width, height, None, named)


def _is_length(value: object) -> bool:
    return type(value) is int and 0 <= value <= _LARGEST


def _of_base64(text: str) -> _Image | None:
    begin = text[: _HEADER_BYTES // 3 * 4]
    try:
        header = base64.b64decode(begin[: len(begin) // 4 * 4])
    except ValueError:
        return None
    return _of_bytes(header, len(text) * 3 // 4 - text[-2:].count("="))


def _of_bytes(header: bytes, length: int) -> _Image | None:
    for form, size in _FORMATS:
        try:
            found = size(header)
        except (struct.error, IndexError):
            # The header says what it is, but ends before it says how large.
            continue
        if found is not None:
            return _Image(*found, length, form)
    return None


def _png(header: bytes) -> tuple[int, int] | None:
    """PNG 1.2: the first chunk is IHDR, which begins with width and height."""
    if not header.startswith(_PNG):
        return None
    width, height = struct.unpack_from(">II", header, 16)
    return width, height


def _gif(header: bytes) -> tuple[int, int] | None:
    """GIF 89a: the logical screen's size follows the signature."""
    if header[:6] not in {b"GIF87a", b"GIF89a"}:
        return None
    width, height = struct.unpack_from("<HH", header, 6)
    return width, height


def _bmp(header: bytes) -> tuple[int, int] | None:
    """BITMAPINFOHEADER; a negative height is an image that begins at its top."""
    if header[:2] != b"BM":
        return None
    width, height = struct.unpack_from("<ii", header, 18)
    return abs(width), abs(height)


def _jpeg(header: bytes) -> tuple[int, int] | None:
    """ITU T.81: segments, of which the frame header tells height and width."""
    if header[:3] != b"\xff\xd8\xff":
        return None
    at = 2
    while header[at] == 0xFF:
        marker = header[at + 1]
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", header, at + 5)
            return width, height
        if marker == _JPEG_SCAN:
            break
        at += 2 + int(struct.unpack_from(">H", header, at + 2)[0])
    return None


def _webp(header: bytes) -> tuple[int, int] | None:
    """RFC 9649: a lossy, a lossless or an extended first chunk."""
    if header[:4] != b"RIFF" or header[8:12] != b"WEBP":
        return None
    chunk = header[12:16]
    if chunk == b"VP8 ":
        width, height = struct.unpack_from("<HH", header, 26)
        return width & 0x3FFF, height & 0x3FFF
    if chunk == b"VP8L":
        (bits,) = struct.unpack_from("<I", header, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8X":
        width = int.from_bytes(header[24:27], "little") + 1
        return width, int.from_bytes(header[27:30], "little") + 1
    return None


_FORMATS: Final = (("png", _png), ("jpeg", _jpeg), ("gif", _gif), ("webp", _webp), ("bmp", _bmp))


@built_in
class ImageCollector(MetricCollector):
    """How many images a call gave, and how large they are."""

    metric_type = "image"

    def collect(
        self,
        result: Any,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        context: CollectorContext,
    ) -> Mapping[str, Any]:
        """Return `image_metrics`, or nothing where the result holds no image."""
        del args, kwargs, context
        found = measure(result)
        return {} if found is None else {"image_metrics": found}
