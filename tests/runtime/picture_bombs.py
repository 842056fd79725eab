"""Small files that a decoder works on for minutes, or unpacks to gigabytes: one of each kind that is known."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

PNG = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *before: bytes, after: bytes = b"", kind: int = 0) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
    pixels = zlib.compress(b"\0" * (width * {0: 1, 2: 3, 6: 4}[kind] + 1) * height, 1)
    return PNG + header + b"".join(before) + chunk(b"IDAT", pixels) + after + chunk(b"IEND")


def jpeg(width: int, height: int, **options: object) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "white").save(file, "JPEG", **options)
    return file.getvalue()


def claiming(data: bytes, width: int, height: int) -> bytes:
    """A progressive JPEG with another size in its frame."""
    place = data.index(b"\xff\xc2") + 5
    return data[:place] + struct.pack(">HH", height, width) + data[place + 4 :]


def scans(count: int, side: int = 4000) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    data = jpeg(side, side, progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + b"\xff\xd9"


def segments(kind: bytes, body: bytes, count: int) -> bytes:
    data = jpeg(64, 64)
    return data[:2] + (b"\xff" + kind + struct.pack(">H", len(body) + 2) + body) * count + data[2:]


def directory(entries: list[tuple[int, int, int, bytes]], tail: bytes = b"") -> bytes:
    """A little-endian TIFF directory; each entry is a tag, a type, a count and four bytes."""
    body = b"".join(struct.pack("<HHI", tag, kind, count) + value for tag, kind, count, value in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + b"\0\0\0\0" + tail


def short(value: int) -> bytes:
    return struct.pack("<I", value)


def overlapping(entries: int, size: int) -> list[tuple[int, int, int, bytes]]:
    return [(1000 + place, 7, size, short(8)) for place in range(entries)]


def exif(body: bytes) -> bytes:
    """A JPEG whose EXIF comes in as many segments as it needs."""
    data = jpeg(64, 64)
    parts = [body[start : start + 65_000] for start in range(0, len(body), 65_000)]
    app1 = b"".join(b"\xff\xe1" + struct.pack(">H", len(part) + 8) + b"Exif\0\0" + part for part in parts)
    return data[:2] + app1 + data[2:]


def tiff(width: int, height: int, compression: int, pixels: bytes, strips: int = 1, **tags: int) -> bytes:
    """A grey TIFF of eight bits, all of whose strips are the same bytes."""
    values = {"bits": 8, "samples": 1, "kind": 1, "rows": -(-height // strips), **tags}
    start = 8 + 2 + 12 * 10 + 4
    tables = struct.pack("<I", start + 8 * strips) * strips + struct.pack("<I", len(pixels)) * strips
    offsets, counts = (short(start), short(start + 4 * strips)) if strips > 1 else (short(start + 8), short(len(pixels)))
    entries = [
        (256, 4, 1, short(width)),
        (257, 4, 1, short(height)),
        (258, 3, 1, short(values["bits"])),
        (259, 3, 1, short(compression)),
        (262, 3, 1, short(1)),
        (273, 4, strips, offsets),
        (277, 3, 1, short(values["samples"])),
        (278, 4, 1, short(values["rows"])),
        (279, 4, strips, counts),
        (339, 3, 1, short(values["kind"])),
    ]
    return directory(entries, tables + pixels)


def many_jpeg_scans_in_a_tiff() -> bytes:
    file = io.BytesIO()
    Image.new("L", (2000, 2000), 255).save(file, "TIFF", compression="jpeg")
    return file.getvalue() + b"\xff\xda" * 100_000


def gif(before: bytes) -> bytes:
    file = io.BytesIO()
    Image.new("L", (64, 64), 255).save(file, "GIF")
    data = file.getvalue()
    start = 13 + (3 << (data[10] & 7) + 1)
    return data[:start] + before + data[start:]


def bmp(width: int, height: int, body: bytes) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(body), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 1024 + len(body), 0, 0, 54 + 1024) + info + bytes(1024) + body


def webp(width: int, height: int) -> bytes:
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    file = io.BytesIO()
    Image.new("RGBA", (8, 8)).save(file, "WEBP", lossless=True)
    inner = file.getvalue()[12:]
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes((0x10, 0, 0, 0)) + canvas + inner
    return b"RIFF" + struct.pack("<I", len(body)) + body


FLOATS = zlib.compress(np.zeros(64_000_000 * 8 // 64, np.uint8).tobytes(), 9)

BOMBS: dict[str, Callable[[], bytes]] = {
    "JPEG of 100,000 scans": lambda: scans(100_000),
    "JPEG of a million short segments": lambda: segments(b"\xe5", b"", 1_000_000),
    "JPEG of a million comments": lambda: segments(b"\xfe", b"", 1_000_000),
    "JPEG with 16 MB of metadata": lambda: segments(b"\xed", b"Photoshop 3.0\0" + b"8BIM" + bytes(8), 700_000),
    "JPEG with 16 MB of junk": lambda: jpeg(64, 64)[:2] + b"\xff" * (16 << 20) + jpeg(64, 64)[2:],
    "JPEG with 16 MB of junk that is no marker": lambda: jpeg(64, 64)[:20] + b"a" * (16 << 20) + jpeg(64, 64)[20:],
    "JPEG with restarts before its frame": lambda: jpeg(64, 64)[:2] + b"\xff\xd0" * (8 << 20) + jpeg(64, 64)[2:],
    "JPEG whose pictures end before they begin": lambda: jpeg(64, 64)[:2] + b"\xff\xd9" * (8 << 20) + jpeg(64, 64)[2:],
    "JPEG whose EXIF overlaps": lambda: exif(directory(overlapping(1000, 8 << 20), bytes(8 << 20))),
    "JPEG whose EXIF has 60,000 entries": lambda: exif(directory(overlapping(60_000, 4))),
    "JPEG whose list of pictures overlaps": lambda: segments(b"\xe2", b"MPF\0" + directory(overlapping(5000, 60_000)), 1),
    "progressive JPEG of 64 million pixels": lambda: claiming(jpeg(64, 64, progressive=True, subsampling=0), 8000, 8000),
    "PNG of a million empty chunks": lambda: png(64, 64, chunk(b"IDAT") * 1_000_000),
    "PNG of a million unknown chunks": lambda: png(64, 64, after=chunk(b"abCd") * 1_000_000),
    "PNG of packed texts": lambda: png(64, 64, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 20))) * 5000),
    "PNG of packed profiles": lambda: png(64, 64, chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(1 << 20))) * 5000),
    "PNG of frames": lambda: png(
        64, 64, chunk(b"acTL", struct.pack(">II", 500_000, 0)), after=chunk(b"fdAT", bytes(5)) * 500_000
    ),
    "TIFF whose entries overlap": lambda: directory(overlapping(1000, 8 << 20), bytes(8 << 20)),
    "TIFF of 60,000 entries": lambda: directory(overlapping(60_000, 4)),
    "TIFF of eight million numbers": lambda: directory([(258, 3, 8_000_000, short(40))], bytes(17_000_000)),
    "TIFF of doubles in one strip": lambda: tiff(8000, 8000, 8, FLOATS, bits=64, kind=3),
    "TIFF of floats in one strip": lambda: tiff(8000, 8000, 8, FLOATS, bits=32, kind=3),
    "TIFF of a million strips": lambda: tiff(64, 1_000_000, 1, bytes(64), strips=1_000_000),
    "TIFF whose strips share their bytes": lambda: tiff(8, 60_000, 8, bytes(4 << 20), strips=60_000),
    "TIFF of JPEG scans": many_jpeg_scans_in_a_tiff,
    "TIFF in old JPEG": lambda: tiff(64, 64, 6, jpeg(64, 64)),
    "TIFF in LZMA": lambda: tiff(64, 64, 34925, b"\xfd7zXZ\0"),
    "GIF of a comment of 16 MB": lambda: gif(b"!\xfe" + (b"\xff" + b"a" * 255) * 65_000 + b"\0"),
    "GIF of a million comments": lambda: gif(b"!\xfe\x01a\0" * 1_000_000),
    "GIF with 16 MB of junk": lambda: gif(b"\x01" * (16 << 20)),
    "GIF whose picture is larger than its screen": lambda: gif(b",\0\0\0\0\xff\xff\xff\xff\0"),
    "BMP of a million runs": lambda: bmp(4000, 4000, b"\x01\x01" * 8_000_000),
    "BMP of long lines that end at once": lambda: bmp(1_000_000, 60, b"\x01\x01\0\0" * 60),
    "WebP of a canvas of 16 million by 200": lambda: webp(1 << 24, 200),
    "WebP of 8000x8000": lambda: webp(8000, 8000),
    "WebP of a million chunks": lambda: webp(8, 8) + b"abcd\0\0\0\0" * 1_000_000,
    "plain PBM of comments": lambda: b"P1\n64 64\n" + b"#\n" * 8_000_000 + b"0 " * 4096,
    "plain PGM of 16 MB": lambda: b"P2\n2000 4000\n255\n" + b"7 " * 8_000_000,
    "PGM with a comment of 16 MB in its header": lambda: b"P5\n#" + b"a" * (16 << 20) + b"\n64 64\n255\n" + bytes(4096),
    "PGM of odd levels": lambda: b"P5\n4000 4000\n254\n" + bytes(16_000_000),
    "PPM of 16 bits": lambda: b"P6\n1600 1600\n65535\n" + bytes(1600 * 1600 * 6),
}
