"""What docs/bundle.md says of pictures before they are grey and clean: it imports nothing of the project."""

from __future__ import annotations

import numpy as np
from client import border_of, box_of, ink_of, reduced
from PIL import Image, ImageFilter, ImageOps


def grey_of(picture: Image.Image) -> np.ndarray:
    """A picture of any mode in grey, int (H, W), upright."""
    picture = ImageOps.exif_transpose(picture)
    if picture.mode[0] in "IF":
        levels = np.asarray(picture).astype(float) - min(0, np.min(picture))
        return np.rint(levels * (255 / levels.max())).astype(int)
    full = picture.convert("RGBA")
    grey, alpha = (np.asarray(plane).astype(int) for plane in (full.convert("RGB").convert("L"), full.getchannel("A")))
    multiplied = bool(((alpha > 0) & (alpha < 255)).any() and (grey <= alpha).all())
    return ((255 * grey if multiplied else grey * alpha) + paper_behind(grey, alpha, multiplied) * (255 - alpha) + 127) // 255


def paper_behind(grey: np.ndarray, alpha: np.ndarray, multiplied: bool) -> int:
    """The level of what lies behind a transparent picture."""
    mask = alpha >= 128
    seen = np.sort(np.minimum(255, 255 * grey[mask] // alpha[mask]) if multiplied else grey[mask])
    if seen.size:
        low, middle, high = (int(seen[seen.size * share // 20]) for share in (1, 10, 19))
        spans = sum(int(np.ptp(np.flatnonzero(row))) + 1 for row in mask if row.any())
        holds_ink = 500 * np.count_nonzero((seen < middle - 48) | (seen >= middle + 48)) >= seen.size
        if (high - low > 48 or holds_ink) and 10 * seen.size >= 9 * spans:
            return middle
    return 0 if seen.size and (grey * alpha).sum() > 127 * alpha.sum() else 255


def is_clean(picture: Image.Image) -> bool:
    """Whether the runtime reads it in one way, to the canvas that `canvas_of` makes of `grey_of`."""
    grey = grey_of(picture)
    if border_of(reduced(grey))[1] > 8:
        return False
    ink, (contrast, other) = ink_of(grey)
    if contrast < 48 and not is_grey(picture):
        return False
    if max(grey.shape) < 48 and not is_filled(ink) and (ink[[0, 0, -1, -1], [0, -1, 0, -1]] < 128).all():
        return True
    return bool(2 * other <= contrast) and is_plain(ink)


def is_grey(picture: Image.Image) -> bool:
    return picture.mode in ("1", "L") or picture.mode[0] in "IF" or picture.convert("RGBA").getextrema()[3][0] < 255


def is_plain(ink: np.ndarray) -> bool:
    """Whether the ink is of one thing that lies free: no frame, no blot, nothing cut off or far away."""
    top, bottom, left, right = box_of(ink)
    box, side = ink[top:bottom, left:right] > 127, max(bottom - top, right - left)
    band, area = max(3, side // 10), np.count_nonzero(box)
    edges = (box[:band].any(0), box[-band:].any(0), box[:, :band].any(1), box[:, -band:].any(1))
    inside = min(top, left, len(ink) - bottom, len(ink[0]) - right) > 0
    large = 8 * side >= max(ink.shape) and np.count_nonzero(ink) <= 4 * area
    along = min(np.count_nonzero(edge) / edge.size for edge in edges)
    framed = along >= 0.85 or (along >= 0.5 and meets_strokes(box) and meets_strokes(box.T))
    return bool(
        inside and large and not is_filled(ink) and not framed and all(is_whole(box.any(axis), side) for axis in (0, 1))
    )


def is_filled(ink: np.ndarray) -> bool:
    top, bottom, left, right = box_of(ink)
    box = ink[top:bottom, left:right] > 127
    return 5 * min(box.shape) > max(ink.shape) and 5 * np.count_nonzero(box) > 2 * box.size


def meets_strokes(mask: np.ndarray) -> bool:
    rows = np.pad(mask[[len(mask) * number // 8 for number in range(1, 8)]], ((0, 0), (1, 0)))
    return bool((rows[:, 1:] > rows[:, :-1]).sum(axis=1).max() >= 3)


def is_whole(inked: np.ndarray, side: int) -> bool:
    gaps, pieces = ([len(run) for run in bytes(row).split(b"\1") if run] for row in (inked, ~inked))
    return not gaps or (max(gaps) <= 0.35 * side and min(pieces) >= 0.25 * side)


def flattened(grey: np.ndarray) -> np.ndarray:
    """A picture in uneven light as one on even paper of level 0, where what is narrow is ink."""
    grey = reduced(grey)
    grey = grey if border_of(grey)[0] > 127 else 255 - grey
    window, picture = max(7, min(grey.shape) // 18) | 1, Image.fromarray(grey.astype(np.uint8))
    paper = np.asarray(picture.filter(ImageFilter.MaxFilter(window)).filter(ImageFilter.MinFilter(window))).astype(int)
    return np.maximum(paper - grey, 0) * 255 // np.maximum(paper, 1)
