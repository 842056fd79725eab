"""What an encoded picture claims to be, and what decoding it may cost: a few headers decide before a pixel is decoded."""

from __future__ import annotations

from dataclasses import dataclass

from oneshot_runtime.errors import ImageError

__all__ = ["MAX_DECODE_BYTES", "MAX_PIXELS", "SLOW_DECODER_BYTES", "Claim", "bounded"]

MAX_PIXELS = 64_000_000
"""Images with more pixels are refused before they are decoded: a small file can claim billions."""

MAX_DECODE_BYTES = 512 << 20
"""Memory that decoding one picture may take: some decoders keep several copies, or work in floats."""

SLOW_DECODER_BYTES = 4 << 20
"""What Pillow's decoders that are written in Python may go through, in bytes read and in pixels: a microsecond each."""


@dataclass(frozen=True)
class Claim:
    """A picture's width and height in pixels, and the bytes of memory that decoding it takes at most."""

    width: int
    height: int
    memory: int

    @property
    def pixels(self) -> int:
        """How many pixels it has."""
        return self.width * self.height


def bounded(width: int, height: int, bytes_a_pixel: float, beside: int = 0) -> Claim:
    """The claim of a picture whose decoder holds `bytes_a_pixel` and `beside` bytes more, and the grey image it becomes.

    Raises `ImageError` for more than `MAX_PIXELS` pixels or `MAX_DECODE_BYTES` bytes.
    """
    claim = Claim(width, height, int(width * height * (bytes_a_pixel + 1)) + beside)
    if claim.pixels > MAX_PIXELS:
        raise ImageError(f"it has {height}x{width} pixels, more than the {MAX_PIXELS} that are decoded: scale it down")
    if claim.memory > MAX_DECODE_BYTES:
        raise ImageError(
            f"decoding its {height}x{width} pixels would take {claim.memory >> 20} MiB, more than {MAX_DECODE_BYTES >> 20}: "
            "scale it down, or save it as PNG or as a JPEG that is not progressive"
        )
    return claim
