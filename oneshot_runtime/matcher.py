"""The public face: load a model, enroll symbols from one picture each, and ask which of them a new picture shows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.errors import ImageError, OptionError
from oneshot_runtime.gallery import Gallery, check_label
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.model.codes import encode, probabilities, probability, sum_absolute_differences
from oneshot_runtime.model.conformal import GalleryCalibration
from oneshot_runtime.model.embedder import BatchEmbedder
from oneshot_runtime.model.session import Embedder, available_cpus, open_embedder
from oneshot_runtime.quality.enrollment import EnrollmentReport, review
from oneshot_runtime.results import Candidate, Match
from oneshot_runtime.search.index import Neighbour, Snapshot
from oneshot_runtime.stores.base import BatchView, GalleryStore, View, Where
from oneshot_runtime.vision.decode import ImageSource, as_image_list, name_of, thumbnail, to_grey
from oneshot_runtime.vision.preprocess import canvas_from_grey, preprocess

if TYPE_CHECKING:
    from oneshot_runtime.quality.explanation import Explanation

__all__ = ["OneShotMatcher"]

_MAX_THREADS = 1024
_FEW_ROWS = 1000
"""A search of so few is Python's work more than the processor's; a longer one would keep other threads from embedding."""

_RANKED = 5
"""Classes that are ranked by nearest support and prototype, at least; more than that changed nothing in validation."""


class OneShotMatcher:
    """Recognises symbols after seeing each of them once. Make one with `OneShotMatcher.load`; threads may share it."""

    def __init__(self, bundle: Bundle, embedder: Embedder, gallery: Gallery, threads: int, far: float | None) -> None:
        self.bundle = bundle
        self.gallery = gallery
        self.threads = threads
        self.far = far
        self._embedder = embedder
        self._batches = BatchEmbedder(bundle, embedder, threads)
        self._thresholds: dict[tuple[int, GalleryCalibration | None], float] = {}

    @classmethod
    def load(
        cls,
        bundle: str | os.PathLike[str] | None = None,
        *,
        gallery: str | os.PathLike[str] | GalleryStore | None = None,
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        far: float | None = 0.01,
    ) -> OneShotMatcher:
        """Load a model and open its gallery.

        bundle: a folder written by `python -m export`; by default the model that ships in the package. gallery: path or address
        (postgresql://...) of a durable gallery, created when missing; None keeps it in memory. device: "auto", "cpu" or "cuda";
        "cuda" raises when the session does not run there. precision: "fp32", "int8", or "auto" for int8 where the processor
        makes that faster and the golden images come out right, else fp32. threads: processor threads of one embedding, by
        default those this process may use. far: share of strangers that may be given a label (see `Match.label`); None never
        refuses.

        Raises `BundleError`, `GalleryError`, `DeviceError`, `OptionError` or `DependencyError`.
        """
        opened = Bundle.open(bundle)
        if far is not None:
            if not isinstance(far, int | float) or not 0 < far < 1:
                raise OptionError(f"far must be between 0 and 1, or None, got {far!r}")
            opened.thresholds.logit(far, 1)  # refuses a rate that the bundle was not calibrated for now, not at a match
        if threads is not None and (not isinstance(threads, int) or not 1 <= threads <= _MAX_THREADS):
            raise OptionError(f"threads must be an integer from 1 to {_MAX_THREADS}, or None, got {threads!r}")
        count = threads or available_cpus()
        embedder = open_embedder(opened, device, precision, count)
        return cls(opened, embedder, Gallery(opened, gallery, count), count, far)

    @property
    def device(self) -> str:
        """What really runs the embedding, "cpu" or "cuda", whatever was asked for."""
        return self._embedder.device

    @property
    def precision(self) -> str:
        """The precision that runs, "fp32" or "int8"."""
        return self._embedder.precision

    @property
    def labels(self) -> list[str]:
        """The enrolled classes, in the order of their first enrollment."""
        return self.gallery.labels

    def enroll(
        self, label: str, images: ImageSource | Sequence[ImageSource], *, metadata: dict[str, Any] | None = None
    ) -> EnrollmentReport:
        """Add one picture, or several, of a symbol; a label that is known already gains supports.

        Each image is a path, bytes, a Pillow image, or a numpy uint8 array (H, W) or (H, W, 3) RGB. All images are added
        or, when one cannot be used, none. metadata: a JSON object to keep with each of them. Raises `ImageError`,
        `LabelError` or `GalleryError`.

        Returns a report of what is odd about them; reading its `findings` costs one search a picture.
        """
        check_label(label)
        sources = as_image_list(images)
        if not sources:
            raise ImageError(f"no images to enroll for {label!r}: the list is empty")
        greys = [to_grey(source) for source in sources]
        canvases = [
            canvas_from_grey(grey, self.bundle.spec, name_of(source)) for grey, source in zip(greys, sources, strict=True)
        ]
        embeddings = self._batches.embed_canvases(canvases)
        before, had = self.gallery.snapshot(), self.gallery.count(label)
        pictures = list(zip(greys, canvases, strict=True))
        codes = encode(embeddings, self.bundle.head)
        report = review(self.bundle, self.far, label, pictures, codes, before, had, lambda: self.gallery.codes(label)[:had])
        self.gallery.extend([label] * len(greys), embeddings, [thumbnail(grey) for grey in greys], [metadata] * len(greys))
        return report

    def remove(self, label: str) -> None:
        """Forget a class with all its supports. Raises `LabelError` when it is unknown."""
        self.gallery.remove(label)

    def match(self, image: ImageSource, top_k: int = 5, *, where: Where | None = None) -> Match:
        """Which enrolled class `image` shows, with the `top_k` best candidates.

        where: compares with some of the supports only, in a gallery that searches in its database. Raises `ImageError`, or
        `OptionError` for a `where` that this gallery has no use for.
        """
        canvas = preprocess(image, self.bundle.spec)
        code = encode(self._embedder(canvas[None]), self.bundle.head)[0]
        return self._match_code(self.gallery.snapshot(where), code, top_k)

    def match_batch(self, images: Sequence[ImageSource], top_k: int = 5, *, where: Where | None = None) -> list[Match]:
        """`match` for many images, embedded together and compared with one state of the gallery."""
        head, view = self.bundle.head, self.gallery.snapshot(where)
        sources = as_image_list(images)
        if isinstance(view, Snapshot) and view.rows <= _FEW_ROWS:
            return self._batches.answers(
                sources, lambda embeddings: [self._match_code(view, code, top_k) for code in encode(embeddings, head)]
            )
        codes = encode(self._batches.embed_images(sources), head)
        if isinstance(view, BatchView):
            found = view.nearest_batch(codes, self._ranked(view, top_k))
            return [self._answer(view, neighbours, top_k) for neighbours in found]
        return [self._match_code(view, code, top_k) for code in codes]

    def explain(self, image: ImageSource, classes: int = 3) -> Explanation:
        """Why `image` gets its answer: the nearest supports of the `classes` best classes, the margin, what ink decided.

        Costs about a hundred embeddings. Raises `ImageError`, or `GalleryError` when the gallery is empty.
        """
        from oneshot_runtime.quality.explanation import explain_canvas  # draws, which matching does without

        canvas = preprocess(image, self.bundle.spec)
        code = encode(self._batches.embed_canvases([canvas]), self.bundle.head)[0]
        match = self._match_code(self.gallery.snapshot(), code, classes)
        return explain_canvas(canvas, match, self.gallery, self.bundle.head, self._batches.embed_canvases)

    def verify(self, image_a: ImageSource, image_b: ImageSource) -> float:
        """Probability in [0, 1] that both images show the same symbol."""
        first, second = encode(self.embed([image_a, image_b]), self.bundle.head)
        return probability(int(sum_absolute_differences(first[None], second)[0]), self.bundle.head)

    def embed(self, images: ImageSource | Sequence[ImageSource]) -> NDArray[np.float32]:
        """Embeddings float32 (N, D), components in [0, 1], of one image or a list of them."""
        return self._batches.embed_images(as_image_list(images))

    def warmup(self) -> None:
        """Do now what the first calls would wait for: batch sizes new to a GPU, and the search engine of a large gallery."""
        self._batches.warmup()
        self.gallery.snapshot().nearest(np.zeros(self.bundle.dim, np.uint8), 1)

    def close(self) -> None:
        """Close a durable gallery."""
        self.gallery.close()

    def __enter__(self) -> OneShotMatcher:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _match_code(self, view: View, code: NDArray[np.uint8], top_k: int) -> Match:
        return self._answer(view, view.nearest(code, self._ranked(view, top_k)), top_k)

    def _ranked(self, view: View, top_k: int) -> int:
        """How many classes to look for. Raises `OptionError`."""
        if not isinstance(top_k, int | np.integer) or top_k < 1:
            raise OptionError(f"top_k must be a positive integer, got {top_k!r}")
        # Among classes with several supports the prototype may change the order of the nearest.
        return int(top_k) if view.supports == view.classes else max(int(top_k), _RANKED)

    def _answer(self, view: View, neighbours: list[Neighbour], top_k: int) -> Match:
        threshold = self._threshold(view.classes)
        if not neighbours:
            return Match(None, 0.0, (), threshold)
        ranked = sorted(neighbours, key=lambda neighbour: neighbour.class_distance)[:top_k]
        candidates = tuple(Candidate(n.label, probability(n.class_distance, self.bundle.head)) for n in ranked)
        best = candidates[0]
        return Match(best.label if best.probability >= threshold else None, best.probability, candidates, threshold)

    def _threshold(self, classes: int) -> float:
        """The probability at which a gallery of `classes` classes meets the false accept rate; 0 when nothing is refused."""
        if self.far is None or classes == 0:
            return 0.0
        key = classes, self.gallery.calibration(self.far)
        if key not in self._thresholds:
            logit = self.bundle.thresholds.logit(self.far, classes) + (key[1].offset if key[1] else 0.0)
            self._thresholds[key] = float(probabilities(np.array([logit]))[0])
        return self._thresholds[key]
