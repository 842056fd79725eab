"""Bounds on what decoding a picture may take, found in its container before Pillow sees it.

Pixels alone bound nothing: a JPEG of a few bytes a scan is gone through once for each scan, a comment of a GIF is copied once
for each of its pieces, and some of Pillow's decoders are written in Python. Each format has its own way, so each has its check.
"""

from __future__ import annotations

import re

from oneshot_runtime.errors import ImageError
from oneshot_runtime.vision.claim import SLOW_DECODER_BYTES, Claim, bounded
from oneshot_runtime.vision.heif import heif_claim, is_heif
from oneshot_runtime.vision.jpeg_scans import jpeg_claim
from oneshot_runtime.vision.tiff_directory import tiff_claim

__all__ = ["claim_of", "is_tiff"]

_PNG = b"\x89PNG\r\n\x1a\n"
_TIFF = (b"II*\0", b"MM\0*", b"MM*\0", b"II\0*", b"II+\0", b"MM\0+")
_MAX_CHUNKS = 1000
_CHUNK_BYTES = 512
"""A file may have a chunk for each of so many bytes, beside `_MAX_CHUNKS`: encoders write thousands, a bomb millions."""

_MAX_PACKED = 64
"""Chunks of a PNG that Pillow unpacks, a MiB each."""

_PACKED = (b"iCCP", b"zTXt", b"iTXt")
_MAX_GIF_BLOCKS = 4096
_MAX_PPM_HEADER = 1 << 16
_MAX_PPM_COMMENTS = 1000
_PPM_TOKEN = re.compile(rb"\s*(?:#[^\r\n]*[\r\n]\s*)*([^\s#]+)")
_HUFFMAN_BYTES = 9312
"""Of one group of prefix codes of lossless WebP; there may be one for each 16 pixels, 65,536 at most."""


def claim_of(data: bytes, page: int = 1) -> Claim | None:
    """What a page of an encoded picture claims, counted from 1; None for what is in no supported format.

    Raises `ImageError` for one that would take too long, or too much memory, to decode, or whose header is damaged.
    """
    if data.startswith(_PNG):
        return _png(data)
    if data.startswith(b"\xff\xd8\xff"):
        return jpeg_claim(data)
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return _gif(data)
    if data.startswith(b"BM"):
        return _bmp(data)
    if is_tiff(data):
        return tiff_claim(data, page)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data)
    if re.match(rb"P[0-9fy]", data):
        return _ppm(data)
    return heif_claim(data) if is_heif(data) else None


def is_tiff(data: bytes) -> bool:
    """Whether data begins as a TIFF does."""
    return data[:4] in _TIFF


def _png(data: bytes) -> Claim:
    most = _MAX_CHUNKS + len(data) // _CHUNK_BYTES
    place, chunks, packed = len(_PNG), 0, 0
    while place + 8 <= len(data):
        kind = data[place + 4 : place + 8]
        chunks += 1
        packed += kind in _PACKED
        if chunks > most or packed > _MAX_PACKED:
            raise ImageError(
                f"it has more than {_MAX_PACKED} packed texts" if packed > _MAX_PACKED else "it has too many chunks"
            )
        if kind == b"IEND":
            break
        place += 12 + int.from_bytes(data[place : place + 4], "big")
    if len(data) < 26 or data[12:16] != b"IHDR":
        raise ImageError("it is damaged or truncated: it has no header")
    depth, kind_of_colour = data[24], data[25]
    small = depth <= 8 and kind_of_colour in (0, 3)
    return bounded(int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big"), 1 if small else 4)


def _gif(data: bytes) -> Claim:
    """Goes to the first picture, as Pillow does; nobody asks for the others."""
    width, height = _little(data, 6, 2), _little(data, 8, 2)
    place, blocks = 13 + _palette(data, 10), 0
    while place < len(data) and data[place] != 0x3B:
        blocks += 1
        if data[place] == 0x2C:
            left, top, across, down = (_little(data, place + offset, 2) for offset in (1, 3, 5, 7))
            width, height = max(width, left + across), max(height, top + down)
            break
        if data[place] == 0x21:
            place += 2
            while place < len(data) and data[place] and blocks <= _MAX_GIF_BLOCKS:
                place += 1 + data[place]
                blocks += 1
        place += 1
        if blocks > _MAX_GIF_BLOCKS:
            raise ImageError(f"more than {_MAX_GIF_BLOCKS} blocks come before its first picture")
    return bounded(width, height, 3)


def _palette(data: bytes, place: int) -> int:
    """Bytes of the palette that a byte of flags announces."""
    flags = data[place] if place < len(data) else 0
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _bmp(data: bytes) -> Claim:
    if _little(data, 14, 4) == 12:  # of OS/2: small numbers, never compressed
        return bounded(_little(data, 18, 2), _little(data, 20, 2), 4)
    width, height = _little(data, 18, 4), _little(data, 22, 4)
    height = min(height, (1 << 32) - height)  # from the top down when it is negative
    claim = bounded(width, height, 4)
    if _little(data, 30, 4) in (1, 2):
        _bound_slow("a run-length encoded BMP", len(data), claim.pixels)
    return claim


def _webp(data: bytes) -> Claim:
    most = _MAX_CHUNKS + len(data) // _CHUNK_BYTES
    kind, place, chunks = data[12:16], 12, 0
    while place + 8 <= len(data):
        chunks += 1
        if chunks > most:
            raise ImageError(f"it has more than {most} chunks")
        size = _little(data, place + 4, 4)
        place += 8 + size + size % 2
    if kind == b"VP8X":
        width, height = _little(data, 24, 3) + 1, _little(data, 27, 3) + 1
    elif kind == b"VP8L":
        bits = _little(data, 21, 4)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        width, height = _little(data, 26, 2) & 0x3FFF, _little(data, 28, 2) & 0x3FFF
    else:
        raise ImageError("it is damaged or truncated: it has no header")
    claim = bounded(width, height, 16)  # libwebp keeps two canvases, Pillow two copies
    return claim if kind == b"VP8 " else Claim(width, height, claim.memory + _HUFFMAN_BYTES * min(1 << 16, claim.pixels // 16))


def _ppm(data: bytes) -> Claim:
    header, place, tokens = data[:_MAX_PPM_HEADER], 0, []
    magic = (re.match(rb"P\w{1,5}", header) or [b""])[0]
    for _ in range(3 + (magic not in (b"P1", b"P4"))):
        found = _PPM_TOKEN.match(header, place)
        if found is None:
            raise ImageError(f"its header is damaged, or longer than {_MAX_PPM_HEADER} bytes")
        place = found.end()
        tokens.append(found[1])
    sides = [int(token) for token in tokens[1:3] if token.isdigit() and len(token) < 10]
    if len(sides) != 2:
        raise ImageError("its header is damaged: it has no width and height")
    claim = bounded(sides[0], sides[1], 4)
    if magic in (b"P1", b"P2", b"P3"):
        if data.count(b"#") > _MAX_PPM_COMMENTS:
            raise ImageError(f"it has more than {_MAX_PPM_COMMENTS} comments")
        _bound_slow("a PPM in plain text", len(data), 0)
    elif magic in (b"P5", b"P6") and tokens[3] not in (b"255", b"65535"[: 5 if magic == b"P5" else 0]):
        _bound_slow(f"a PPM of levels to {tokens[3][:9].decode(errors='replace')}", min(len(data), 6 * claim.pixels), 0)
    return claim


def _bound_slow(what: str, size: int, pixels: int) -> None:
    if max(size, pixels) > SLOW_DECODER_BYTES:
        raise ImageError(f"{what} is read up to {SLOW_DECODER_BYTES} bytes and pixels: save it as PNG")


def _little(data: bytes, place: int, size: int) -> int:
    return int.from_bytes(data[place : place + size], "little")
