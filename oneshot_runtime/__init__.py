"""Recognise a symbol after seeing it once: a small embedding network, a gallery of known symbols, and exact matching.

matcher = OneShotMatcher.load()
matcher.enroll("alef", "alef.png")
print(matcher.match("query.png").label)
"""

from oneshot_runtime.errors import (
    ArchiveError,
    BundleError,
    DamageError,
    DependencyError,
    DeviceError,
    GalleryError,
    ImageError,
    LabelError,
    OneShotError,
    OneShotWarning,
    OptionError,
    SourceError,
    UnpicklableError,
)
from oneshot_runtime.gallery import Gallery
from oneshot_runtime.matcher import OneShotMatcher
from oneshot_runtime.model.conformal import GalleryCalibration
from oneshot_runtime.quality.enrollment import EnrollmentReport, Finding
from oneshot_runtime.results import Candidate, Match, ReadSymbol

__version__ = "0.1.0"

__all__ = [
    "ArchiveError",
    "BundleError",
    "Candidate",
    "DamageError",
    "DependencyError",
    "DeviceError",
    "EnrollmentReport",
    "Finding",
    "Gallery",
    "GalleryCalibration",
    "GalleryError",
    "ImageError",
    "LabelError",
    "Match",
    "OneShotError",
    "OneShotMatcher",
    "OneShotWarning",
    "OptionError",
    "ReadSymbol",
    "SourceError",
    "UnpicklableError",
    "__version__",
]
