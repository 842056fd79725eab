"""Bold letters as people photograph them: is the letter found, or its holes? `python -m benchmarks.bold_letters`.

Letters and digits are enrolled clean, and asked for in noise, in uneven light, on tiles and on desks: right by label at
`far=0.05`, and ranked first.
"""

from __future__ import annotations

import string
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from oneshot_runtime import OneShotMatcher

__all__ = ["BOLD", "BoldKind", "bold", "main"]

_LETTERS = "".join(sorted(set(string.ascii_uppercase + string.digits) - set("O")))
_FAR = 0.05


def bold(letter: str, ink: int, paper: int) -> Image.Image:
    """A bold letter of 180 on 300 pixels."""
    image = Image.new("L", (300, 300), paper)
    ImageDraw.Draw(image).text((150, 150), letter, ink, ImageFont.load_default(180), "mm", stroke_width=9, stroke_fill=ink)
    return image


@dataclass(frozen=True)
class BoldKind:
    """A kind of picture. ink, paper: grey levels. ground: that of what a sheet or a tile with the letter lies on; None where
    the letter fills the picture. degrees: by which that is turned. light: what is left of it at the right. noise: its sigma."""

    ink: int
    paper: int
    ground: int | None = None
    degrees: float = 0
    light: float = 1
    noise: float = 0

    def make(self, letter: str, rng: np.random.Generator) -> NDArray[np.uint8]:
        """A picture uint8 (300, 300)."""
        image = bold(letter, self.ink, self.paper)
        if self.ground is not None:
            small, image = image.resize((150, 150), Image.Resampling.BILINEAR), Image.new("L", image.size, self.ground)
            mask = Image.new("L", small.size, 255).rotate(self.degrees, expand=True)
            image.paste(small.rotate(self.degrees, Image.Resampling.BILINEAR, expand=True), (75, 75), mask)
        levels = np.asarray(image) * np.linspace(1, self.light, image.width) + self.noise * rng.normal(0, 1, (300, 300))
        return levels.clip(0, 255).astype(np.uint8)


BOLD = {
    "noise": BoldKind(30, 225, noise=15),
    "uneven light": BoldKind(20, 240, light=0.45),
    "light ink in uneven light": BoldKind(230, 70, light=0.45),
    "tile": BoldKind(255, 60, 255),
    "noisy tile": BoldKind(240, 60, 220, noise=6),
    "dark desk": BoldKind(20, 235, 70, noise=3),
    "turned": BoldKind(20, 235, 90, 8, noise=3),
}


def main() -> int:
    """Print the table; returns the exit code."""
    matcher = OneShotMatcher.load(far=_FAR)
    for letter in _LETTERS:
        matcher.enroll(letter, bold(letter, 0, 255))
    print(f"| bold letters and digits, {len(_LETTERS)} | label | rank |\n|---|---|---|")
    for name, kind in BOLD.items():
        label = rank = 0
        for letter in _LETTERS:
            match = matcher.match(kind.make(letter, np.random.default_rng(ord(letter))))
            label += match.label == letter
            rank += match.candidates[0].label == letter
        print(f"| {name} | {label} | {rank} |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
