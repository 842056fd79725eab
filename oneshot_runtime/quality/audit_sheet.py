"""The findings of a gallery's check as rows of a sheet."""

from __future__ import annotations

from collections.abc import Sequence

from oneshot_runtime.gallery import Gallery
from oneshot_runtime.quality.audit import GalleryFinding, support_picture
from oneshot_runtime.quality.sheet import Row

__all__ = ["finding_rows"]

_TITLES = {"duplicate": "Near-duplicate", "outlier": "Outlier", "confusable": "Easily confused"}


def finding_rows(gallery: Gallery, findings: Sequence[GalleryFinding]) -> list[Row]:
    """The two drawings of each finding beside each other, where they were kept."""
    return [
        Row(
            pictures=(support_picture(gallery, f.label, f.shot), support_picture(gallery, f.other, f.other_shot)),
            names=(f.label, f.other),
            title=f"{_TITLES[f.kind]}, p = {f.probability:.3f}",
            detail=f.message,
            serious=f.kind != "confusable",
        )
        for f in findings
    ]
