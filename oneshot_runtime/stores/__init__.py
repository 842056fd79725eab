"""Where supports are kept: what a store must do, and the stores that do it."""

from oneshot_runtime.search.view import View
from oneshot_runtime.stores.base import Added, Block, Changes, GalleryStore, Position, SearchEngine, Where
from oneshot_runtime.stores.records import Support
from oneshot_runtime.stores.registry import gallery_exists, open_store

__all__ = [
    "Added",
    "Block",
    "Changes",
    "GalleryStore",
    "Position",
    "SearchEngine",
    "Support",
    "View",
    "Where",
    "gallery_exists",
    "open_store",
]
