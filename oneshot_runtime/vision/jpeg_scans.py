"""Bounds on JPEG: a decoder goes through all blocks once for every scan, and a scan takes twenty bytes.

The markers are found as libjpeg finds them (ITU-T T.81, annex B).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from oneshot_runtime.errors import ImageError
from oneshot_runtime.vision.claim import Claim, bounded
from oneshot_runtime.vision.tiff_directory import check_directory

__all__ = ["MAX_SCANNED_PIXELS", "jpeg_claim"]

MAX_SCANNED_PIXELS = 1_000_000_000
"""Pixels times scans: 15 scans of the largest picture that is decoded. Encoders write ten or so."""

_MAX_SEGMENTS = 4096
_MAX_METADATA = 8 << 20
_MAX_JUNK = 1 << 16
_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_MARKER_IN_SCANS = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
_READ_FRAMES = (0xC0, 0xC1, 0xC2)
_OTHER_FRAMES = (0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
_PROGRESSIVE, _END, _SCAN, _EXIF, _APP2 = 0xC2, 0xD9, 0xDA, 0xE1, 0xE2


@dataclass
class _Frame:
    width: int
    height: int
    progressive: bool
    blocks: float
    """Samples of all components, as a multiple of the pixels."""
    components: int


@dataclass
class _Seen:
    frame: _Frame | None = None
    scans: int = 0
    buffered: bool = False
    """Whether the coefficients of all scans are kept."""
    segments: int = 0
    metadata: int = 0
    junk: int = 0
    exif: bytearray = field(default_factory=bytearray)


def jpeg_claim(data: bytes) -> Claim:
    """What a JPEG claims. Raises `ImageError` for one whose decoding would take too long or too much memory."""
    seen, place = _Seen(), 2
    while found := (_MARKER_IN_SCANS if seen.scans else _MARKER).search(data, place):
        code, start = found[1][0], found.end()
        if code == _END and seen.scans:
            break
        seen.segments += 1
        if seen.segments > _MAX_SEGMENTS:
            raise ImageError(f"it has more than {_MAX_SEGMENTS} segments")
        if not seen.scans:
            seen.junk += start - place - 2
        if code < 0xC0 or 0xD0 <= code <= _END:  # markers without a segment
            place = start
            continue
        length = int.from_bytes(data[start : start + 2], "big")
        if length < 2:
            raise ImageError("it is damaged: a segment has no length")
        _see(seen, code, data[start + 2 : start + length])
        place = start + length
        if code == _SCAN and seen.scans == 1 and _few_scans(seen.frame, data, place):
            break
    return _claim(seen)


def _few_scans(frame: _Frame | None, data: bytes, place: int) -> bool:
    """Whether there are few scans even if all that looks like one is one: quicker than going from marker to marker."""
    more = data.count(bytes((0xFF, _SCAN)), place)
    return frame is not None and (1 + more) * frame.width * frame.height <= MAX_SCANNED_PIXELS and more < _MAX_SEGMENTS


def _see(seen: _Seen, code: int, segment: bytes) -> None:
    if code in _READ_FRAMES:
        if seen.frame is not None:
            raise ImageError("it is damaged: it has two frames")
        seen.frame = _frame(segment, code == _PROGRESSIVE)
    elif code in _OTHER_FRAMES:
        raise ImageError("it is a lossless, hierarchical or arithmetic-coded JPEG, which is not read: save it as PNG")
    elif code == _SCAN:
        if seen.frame is None:
            raise ImageError("it is damaged: a scan comes before its frame")
        seen.scans += 1
        seen.buffered |= seen.frame.progressive or segment[:1] != bytes((seen.frame.components,))
        if seen.scans * seen.frame.width * seen.frame.height > MAX_SCANNED_PIXELS:
            raise ImageError(f"it has {seen.frame.height}x{seen.frame.width} pixels in {seen.scans} scans or more")
    if seen.scans:
        return
    seen.metadata += len(segment)
    if seen.metadata > _MAX_METADATA or seen.junk > _MAX_JUNK:
        raise ImageError(f"it has more than {_MAX_METADATA >> 20} MiB of metadata")
    if code == _EXIF and segment.startswith(b"Exif\0\0"):
        seen.exif += segment[6:]  # Pillow joins them too
    elif code == _APP2 and segment.startswith(b"MPF\0"):
        check_directory(segment[4:])


def _claim(seen: _Seen) -> Claim:
    check_directory(bytes(seen.exif))
    if seen.frame is None:
        raise ImageError("it is damaged or truncated: it has no frame")
    stored = 1 if seen.frame.components == 1 else 4
    coefficients = 2 * seen.frame.blocks if seen.buffered else 0
    return bounded(seen.frame.width, seen.frame.height, stored + coefficients)


def _frame(segment: bytes, progressive: bool) -> _Frame:
    """Width, height and sampling of a start-of-frame segment."""
    height, width = int.from_bytes(segment[1:3], "big"), int.from_bytes(segment[3:5], "big")
    factors = [(byte >> 4, byte & 15) for byte in segment[7::3]]
    if len(segment) < 9 or len(factors) != segment[5] or any(not 1 <= f <= 4 for pair in factors for f in pair):
        raise ImageError("it is damaged: its frame says nothing usable")
    most = max(across for across, _ in factors) * max(down for _, down in factors)
    return _Frame(width, height, progressive, sum(across * down for across, down in factors) / most, len(factors))
