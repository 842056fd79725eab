"""The calibrations that are kept with a gallery, one for each false accept rate, as every process sees them."""

from __future__ import annotations

from oneshot_runtime.model.conformal import GalleryCalibration
from oneshot_runtime.stores.base import GalleryStore
from oneshot_runtime.stores.memory import MemoryStore

__all__ = ["Calibrations"]


class Calibrations:
    """Notes of a store; what was read at one revision of the gallery is read again at another only."""

    def __init__(self, store: GalleryStore) -> None:
        self._store = store
        self._known: dict[float, tuple[str, GalleryCalibration | None]] = {}
        self._notes: tuple[int | None, dict[str, str]] | None = None

    def keep(self, fitted: GalleryCalibration) -> None:
        """Keep a calibration with the gallery."""
        self._store.write_note(_note_of(fitted.far), fitted.to_note())
        self.forget()

    def find(self, far: float, revision: int | None) -> GalleryCalibration | None:
        """The calibration for a rate, None where there is none. revision: of the gallery, None to ask the store in any case."""
        text = self._notes_at(revision).get(_note_of(far))
        if text is None:
            return None
        known, fitted = self._known.get(far, (None, None))
        if known != text:
            fitted = GalleryCalibration.from_note(text)
            self._known[far] = text, fitted
        return fitted

    def forget(self) -> None:
        """What is known may be old."""
        self._notes = None

    def _notes_at(self, revision: int | None) -> dict[str, str]:
        known = self._notes
        if revision is None or isinstance(self._store, MemoryStore) or known is None or known[0] != revision:
            known = self._notes = revision, self._store.notes()
        return known[1]


def _note_of(far: float) -> str:
    """The name by which a calibration is kept."""
    return f"calibration {float(far)!r}"
