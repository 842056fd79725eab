"""What is odd about a picture, a gallery or an answer, and why."""

from oneshot_runtime.quality.audit import GalleryAudit, GalleryFinding, audit_gallery

__all__ = ["GalleryAudit", "GalleryFinding", "audit_gallery"]
