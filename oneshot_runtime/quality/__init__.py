"""What is odd about a picture, a gallery or an answer, and why."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oneshot_runtime.quality.audit import GalleryAudit, GalleryFinding, audit_gallery
    from oneshot_runtime.quality.explanation import Explanation

__all__ = ["Explanation", "GalleryAudit", "GalleryFinding", "audit_gallery"]


def __getattr__(name: str) -> Any:
    """The public names, imported when they are asked for: every matcher uses this room, few look closer (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{'explanation' if name == 'Explanation' else 'audit'}"), name)
