"""The public face: load a model, enroll symbols from one picture each, and ask which of them a new picture shows."""

from __future__ import annotations

import numbers
import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from oneshot_runtime.errors import ImageError, OneShotWarning, OptionError, UnpicklableError
from oneshot_runtime.gallery import Gallery, check_label
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.model.codes import encode, probability, sum_absolute_differences
from oneshot_runtime.model.embedder import BatchEmbedder, in_batch
from oneshot_runtime.model.processor import available_cpus
from oneshot_runtime.model.session import Embedder, open_embedder
from oneshot_runtime.model.thresholds import DEFAULT_FAR, check_far
from oneshot_runtime.quality.decision import Decision, surest
from oneshot_runtime.quality.enrollment import EnrollmentReport, Limits, repeated_places, review
from oneshot_runtime.results import Match, ReadSymbol
from oneshot_runtime.search.ranking import ranked, ranked_batch
from oneshot_runtime.search.snapshot import Neighbour, Snapshot
from oneshot_runtime.search.view import View
from oneshot_runtime.stores.base import GalleryStore, Where
from oneshot_runtime.vision.decode import decode
from oneshot_runtime.vision.grey_png import thumbnail
from oneshot_runtime.vision.image_source import ImageSource, PageOf, as_image_list, name_of
from oneshot_runtime.vision.page import symbols_of_page
from oneshot_runtime.vision.picture import Picture
from oneshot_runtime.vision.preprocess import canvas_of, ways_to_read
from oneshot_runtime.vision.readings import Reading
from oneshot_runtime.vision.segment import Box

if TYPE_CHECKING:
    from oneshot_runtime.quality.explanation import Explanation
    from oneshot_runtime.transfer.bulk import BulkResult

__all__ = ["MAX_THREADS", "OneShotMatcher"]

_Images: TypeAlias = "ImageSource | Iterable[ImageSource]"

MAX_THREADS = 1024
_FEW_ROWS = 1000
"""A search of so few is Python's work more than the processor's; a longer one would keep other threads from embedding."""

_Coded: TypeAlias = "tuple[list[NDArray[np.uint8]], list[Reading]]"
"""Codes uint8 (D,) of the ways to read a picture, and those ways."""


class OneShotMatcher:
    """Recognises symbols after seeing each of them once. Make one with `OneShotMatcher.load`; threads may share it.

    It is a context manager that closes its gallery. It cannot be pickled: each process loads its own.
    """

    def __init__(self, bundle: Bundle, embedder: Embedder, gallery: Gallery, threads: int, far: float | None) -> None:
        self.bundle = bundle
        self.gallery = gallery
        self.threads = threads
        self.far = far
        self._embedder = embedder
        self._batches = BatchEmbedder(bundle, embedder, threads)
        self._decision = Decision(bundle, far)

    @classmethod
    def load(
        cls,
        bundle: str | os.PathLike[str] | None = None,
        *,
        gallery: str | os.PathLike[str] | GalleryStore | None = None,
        device: str = "auto",
        provider_options: Mapping[str, Any] | None = None,
        precision: str = "auto",
        threads: int | None = None,
        far: float | None = DEFAULT_FAR,
    ) -> OneShotMatcher:
        """Load a model and open its gallery.

        Args:
            bundle: A folder written by `python -m export`; by default the model that ships in the package.
            gallery: Path or address (postgresql://...) of a durable gallery, created when missing; None keeps it in memory.
            device: "auto" takes cuda where it runs, else the CPU; "cpu", "cuda", "openvino", "coreml", "directml", "qnn", or
                any other execution provider that the installed ONNX Runtime has: that one or an error, never another.
            provider_options: Of that execution provider, names to values. What is not named is set so that the provider
                computes in float32.
            precision: "fp32", "int8", or "auto" for int8 where the processor makes that faster and the golden images come out
                right, else fp32, as on every device but the CPU.
            threads: Processor threads of one embedding, by default those this process may use.
            far: False accept rate, the share of unknown symbols that may be given a label (see `Match.label`), above 0 and at
                most 0.5; None never refuses, which is also what a bundle without thresholds comes to, with an `OneShotWarning`.

        Returns:
            A matcher that is ready.

        Raises:
            OptionError: For a rate or a number of threads that cannot be, before anything is loaded; for provider_options that
                cannot be any.
            BundleError: When the bundle is damaged or incomplete.
            GalleryError: When the gallery is damaged, or of another model.
            DeviceError: When the session does not run on the device that was asked for, or the golden images come out wrong
                there.
            DependencyError: When an optional dependency is missing.
        """
        rate = None if far is None else check_far(far)
        count = available_cpus() if threads is None else _whole("threads", threads, MAX_THREADS)
        opened = Bundle.open(bundle)
        if rate is not None and not opened.thresholds.logits:
            warnings.warn(
                f"bundle '{opened.path}' has no thresholds, so far={rate:g} cannot be held and no picture is refused "
                "(far=None); export it from a checkpoint that was trained with held-out alphabets to have them",
                OneShotWarning,
                stacklevel=2,
            )
            rate = None
        embedder = open_embedder(opened, device, precision, count, provider_options)
        return cls(opened, embedder, Gallery(opened, gallery, count), count, rate)

    def __repr__(self) -> str:
        return f"OneShotMatcher({self.bundle.preset!r}, {self.device}, {self.precision}, far={self.far}, {self.gallery!r})"

    def __reduce__(self) -> NoReturn:
        raise UnpicklableError(
            "a matcher cannot be pickled: call OneShotMatcher.load(gallery=...) in each process, with the path or address of "
            "a gallery that they share; gallery.save(path) writes one that is in memory"
        )

    def with_far(self, far: float | None) -> OneShotMatcher:
        """The same model and gallery at another false accept rate. Closing one closes both.

        Args:
            far: As in `load`.

        Returns:
            A matcher that shares everything else with this one.

        Raises:
            OptionError: For a rate outside (0, 0.5].
        """
        rate = None if far is None else check_far(far)
        return OneShotMatcher(self.bundle, self._embedder, self.gallery, self.threads, rate)

    @property
    def device(self) -> str:
        """What really runs the embedding, such as "cpu" or "cuda", whatever was asked for."""
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
        self,
        label: str,
        images: _Images,
        *,
        metadata: dict[str, Any] | None = None,
        region: Box | None = None,
        keep_frame: bool = False,
        page: int = 1,
        skip_duplicates: bool = False,
    ) -> EnrollmentReport:
        """Add one picture, or several, of a symbol; a label that is known already gains supports.

        Costs one search a picture beside the embedding.

        Args:
            label: The class's name, 1 to 256 printable characters.
            images: A path, bytes, a binary file, a Pillow image, or a numpy uint8 array (H, W) or (H, W, 3) RGB; or any
                iterable of them. All are added or, when one cannot be used, none.
            metadata: A JSON object to keep with each of them.
            region: x, y, width and height in pixels of the part of the picture that is looked at.
            keep_frame: Whether a frame around the symbol is part of it.
            page: Of files of several pages or frames (TIFF, GIF, PNG, WebP), which one is looked at, counted from 1.
            skip_duplicates: Leave out pictures that the class has already, which a finding "repeated" names.

        Returns:
            What was taken of them, and what is odd about that. They were enrolled all the same.

        Raises:
            ImageError: For an image that cannot be used, naming its place among several.
            LabelError: For a name that can be none.
            GalleryError: When the gallery cannot be written.
        """
        label = check_label(label)
        sources = [_page(source, page) for source in as_image_list(images)]
        if not sources:
            raise ImageError(f"no images to enroll for {label!r}: the list is empty")
        head = self.bundle.head
        pictures = [self._taken(source, place, len(sources), region, keep_frame) for place, source in enumerate(sources)]
        embeddings = self._batches.embed_canvases([canvas for _, canvas in pictures])
        before, shots = self.gallery.snapshot(), self.gallery.codes(label)
        calibration = None if self.far is None else self.gallery.calibration(self.far)
        offset = 0.0 if calibration is None else calibration.offset
        limits = Limits.of(self.bundle.thresholds, self.far, before.classes - (len(shots) > 0), offset)
        codes = encode(embeddings, head)
        report = review(label, pictures, codes, before, shots, limits, head)
        left_out = repeated_places(codes, shots) if skip_duplicates else {}
        places = [place for place in range(len(sources)) if place not in left_out]
        thumbnails = [thumbnail(pictures[place][0].drawing) for place in places]
        self.gallery.extend([label] * len(places), embeddings[places], thumbnails, [metadata] * len(places))
        return replace(report, supports=len(places))

    def enroll_folder(
        self,
        folder: str | os.PathLike[str],
        *,
        strict: bool = False,
        progress: Callable[[BulkResult], None] | None = None,
        failure: Callable[[str], None] | None = None,
    ) -> BulkResult:
        """Add every picture of a folder of folders, one a label, in blocks; what is there already is left out.

        Args:
            folder: Holds a folder for each label, with its pictures in it. A load that was cut off can be run again.
            strict: Stop at the first picture that cannot be used; else such pictures are counted, and named in the result.
            progress: Called with the numbers so far.
            failure: Called with the reason for each picture that cannot be used.

        Returns:
            How many pictures were added, were there already, and failed, with the reasons.

        Raises:
            GalleryError: When the folder cannot be read, or the gallery cannot be written.
            LabelError: For a folder whose name can be no label.
            ImageError: With `strict`, for the first picture that cannot be used.
        """
        from oneshot_runtime.transfer.bulk import encode_here, enroll_folder
        from oneshot_runtime.transfer.encoder import ImageEncoder

        options = self._embedder.provider_options
        encoder = ImageEncoder(self.bundle, self.device, self.precision, self.threads, options)
        coding = encode_here(encoder)
        return enroll_folder(self.gallery.store, coding, folder, strict=strict, progress=progress, failure=failure)

    def remove(self, label: str, support: int | None = None) -> None:
        """Forget a class with all its supports, or one of them.

        Args:
            label: The class.
            support: The place of one support among `gallery.supports(label)`, counted from 0; the class goes with its last one.

        Raises:
            LabelError: When the class is unknown.
            OptionError: When it has no such support.
        """
        self.gallery.remove(label, support)

    def match(self, image: ImageSource, top_k: int = 5, *, where: Where | None = None, page: int = 1) -> Match:
        """Which enrolled class an image shows.

        Args:
            image: A path, bytes, a binary file, a Pillow image, or a numpy uint8 array (H, W) or (H, W, 3) RGB.
            top_k: How many candidates to list; the answer does not depend on it.
            where: Compares with some of the supports only, in a gallery that searches in its database.
            page: Of a file of several pages or frames (TIFF, GIF, PNG, WebP), which one is looked at, counted from 1.

        Returns:
            The label, or None when the symbol is unknown, with its probability and the candidates.

        Raises:
            ImageError: For an image that cannot be used.
            OptionError: For a `where` that this gallery has no use for, or a `top_k` or `page` below 1.
        """
        top_k = _whole("top_k", top_k)
        image = _page(image, page)
        name = name_of(image)
        ways = ways_to_read(decode(image, name), self.bundle.spec, name)
        codes = encode(self._embedder(np.stack([canvas_of(way, self.bundle.spec) for way in ways])), self.bundle.head)
        view = self.gallery.snapshot(where)
        return surest([self._match_code(view, code, top_k, len(ways)) for code in codes], ways)

    @overload
    def match_batch(
        self, images: _Images, top_k: int = 5, *, where: Where | None = None, on_error: Literal["raise"] = "raise"
    ) -> list[Match]: ...

    @overload
    def match_batch(
        self, images: _Images, top_k: int = 5, *, where: Where | None = None, on_error: Literal["return"]
    ) -> list[Match | ImageError]: ...

    def match_batch(
        self, images: _Images, top_k: int = 5, *, where: Where | None = None, on_error: Literal["raise", "return"] = "raise"
    ) -> list[Match] | list[Match | ImageError]:
        """`match` for many images, embedded together and compared with one state of the gallery.

        Args:
            images: Any iterable of them.
            top_k: How many candidates to list.
            where: As in `match`.
            on_error: "raise" raises the `ImageError` of the first image that cannot be used, naming its place; "return" has
                it in the place of the answer, so that one bad picture costs one answer.

        Returns:
            An answer for each image, in their order.

        Raises:
            ImageError: For an image that cannot be used, unless `on_error` is "return".
            OptionError: As `match` does, or for another `on_error`.
        """
        if on_error not in ("raise", "return"):
            raise OptionError(f"on_error is 'raise' or 'return', got {on_error!r:.80}")
        top_k = _whole("top_k", top_k)
        head, view = self.bundle.head, self.gallery.snapshot(where)
        failures: dict[int, ImageError] | None = {} if on_error == "return" else None

        def coded(embeddings: NDArray[np.float32], found: list[list[Reading]]) -> list[_Coded]:
            codes = iter(encode(embeddings, head))
            return [([next(codes) for _ in ways], ways) for ways in found]

        def answer(embeddings: NDArray[np.float32], found: list[list[Reading]]) -> list[Match]:
            return [
                surest([self._match_code(view, code, top_k, len(ways)) for code in codes], ways)
                for codes, ways in coded(embeddings, found)
            ]

        sources = as_image_list(images)
        if isinstance(view, Snapshot) and view.rows <= _FEW_ROWS:
            return self._batches.answers(sources, answer, failures)
        found = self._batches.answers(sources, coded, failures)
        codes = [code for one in found if not isinstance(one, ImageError) for code in one[0]]
        best = iter(ranked_batch(view, np.stack(codes), self._wanted(top_k)) if codes else [])

        def matched(ways: list[Reading]) -> Match:
            return surest([self._answer(view, next(best), top_k, len(ways)) for _ in ways], ways)

        return [one if isinstance(one, ImageError) else matched(one[1]) for one in found]

    def read(self, image: ImageSource, top_k: int = 5, *, where: Where | None = None, page: int = 1) -> list[ReadSymbol]:
        """Every symbol of a photograph, scan or screenshot: its box, its crop and what it is, from line to line.

        Args:
            image: As in `match`.
            top_k: How many candidates to list for each.
            where: As in `match`.
            page: As in `match`.

        Returns:
            The symbols, the 400 largest at most; none of a picture without ink.

        Raises:
            ImageError: For an image that cannot be read.
        """
        top_k = _whole("top_k", top_k)
        image = _page(image, page)
        picture = decode(image, name_of(image))
        found = symbols_of_page(picture)
        if not found:
            return []
        canvases = [canvas_of(one, self.bundle.spec) for ways in found for one in ways]
        codes = iter(encode(self._batches.embed_canvases(canvases), self.bundle.head))
        view = self.gallery.snapshot(where)
        symbols = []
        for ways in found:
            matches = [self._match_code(view, next(codes), top_k, len(ways)) for _ in ways]
            best = max(range(len(ways)), key=lambda at: matches[at].probability)
            match = replace(matches[best], readings=len(ways), page=picture.page if picture.more else None)
            symbols.append(ReadSymbol(ways[best].box, ways[best].drawing, match))
        return symbols

    def explain(self, image: ImageSource, classes: int = 3) -> Explanation:
        """Why an image gets its answer. Costs about a hundred embeddings.

        Args:
            image: As in `match`.
            classes: How many of the best classes to look at.

        Returns:
            The nearest support of each of them, the margin between the best two, and the ink that decided.

        Raises:
            ImageError: For an image that cannot be used.
            GalleryError: When the gallery is empty.
        """
        from oneshot_runtime.quality.explanation import explain_canvas  # with what it draws with

        classes = _whole("classes", classes)
        name = name_of(image)
        ways = ways_to_read(decode(image, name), self.bundle.spec, name)
        canvases = [canvas_of(way, self.bundle.spec) for way in ways]
        view = self.gallery.snapshot()
        codes = encode(self._batches.embed_canvases(canvases), self.bundle.head)
        near = [ranked(view, code, self._wanted(classes)) for code in codes]
        matches = [self._answer(view, best, classes, len(ways)) for best in near]
        at = max(range(len(ways)), key=lambda place: matches[place].probability)
        canvas, best, match = canvases[at], near[at], surest(matches, ways)
        return explain_canvas(canvas, match, best[:classes], self.gallery, self.bundle.head, self._batches.embed_canvases)

    def verify(self, image_a: ImageSource, image_b: ImageSource) -> float:
        """Whether two images show the same symbol. The gallery is not asked.

        Args:
            image_a: As in `match`.
            image_b: As in `match`.

        Returns:
            The probability in [0, 1] that they do.

        Raises:
            ImageError: For an image that cannot be used.
        """
        first, second = encode(self.embed([image_a, image_b]), self.bundle.head)
        return probability(int(sum_absolute_differences(first[None], second)[0]), self.bundle.head)

    def embed(self, images: _Images) -> NDArray[np.float32]:
        """The network's output for images.

        Args:
            images: One image, as in `match`, or any iterable of them.

        Returns:
            Embeddings float32 (N, D), components in [0, 1].

        Raises:
            ImageError: For an image that cannot be used, naming its place among several.
        """
        return self._batches.embed_images(as_image_list(images))

    def warmup(self) -> None:
        """Do now what the first calls would wait for: batch sizes new to a GPU, and the search engine of a large gallery."""
        self._batches.warmup()
        view = self.gallery.snapshot()
        if isinstance(view, Snapshot):
            view.prepare()
        view.nearest(np.zeros(self.bundle.dim, np.uint8), 1)

    def close(self) -> None:
        """Close the gallery; one in memory is gone then."""
        self.gallery.close()

    def __enter__(self) -> OneShotMatcher:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _taken(
        self, source: ImageSource, place: int, count: int, region: Box | None, keep_frame: bool
    ) -> tuple[Reading, NDArray[np.uint8]]:
        """What is taken of one of `count` pictures to be enrolled, and its canvas uint8 (h, w)."""
        name = name_of(source)
        try:
            picture = decode(source, name)
            if region is not None:
                picture = _part(picture, region, name)
            ways = ways_to_read(picture, self.bundle.spec, name)
        except ImageError as error:
            raise in_batch(error, place, count) from error
        taken = next((way for way in ways if way.framed), ways[0]) if keep_frame else ways[0]
        return taken, canvas_of(taken, self.bundle.spec)

    def _match_code(self, view: View, code: NDArray[np.uint8], top_k: int, readings: int = 1) -> Match:
        return self._answer(view, ranked(view, code, self._wanted(top_k)), top_k, readings)

    @staticmethod
    def _wanted(top_k: int) -> int:
        """How many classes to rank: the runner-up is looked at whether it is listed or not."""
        return max(2, top_k)

    def _answer(self, view: View, best: list[Neighbour], top_k: int, readings: int = 1) -> Match:
        calibration = None if self.far is None else self.gallery.calibration(self.far, view.revision)
        return self._decision.of(view, best, top_k, readings, calibration)


def _part(picture: Picture, region: Box, name: str) -> Picture:
    """The part of a picture that is looked at. Raises `OptionError` where it is not inside."""
    height, width = picture.grey.shape
    if (
        isinstance(region, tuple | list | np.ndarray)
        and len(region) == 4
        and all(isinstance(v, numbers.Integral) for v in region)
    ):
        x, y, w, h = (int(value) for value in region)
        if x >= 0 and y >= 0 and w > 0 and h > 0 and x + w <= width and y + h <= height:
            return Picture(np.ascontiguousarray(picture.grey[y : y + h, x : x + w]))
    raise OptionError(f"region is x, y, width and height inside {name}, which has {width}x{height} pixels, got {region!r:.80}")


def _page(image: ImageSource, page: int) -> ImageSource:
    """A page of an image; without a wrapper for the first, which is what is read of any image."""
    page = _whole("page", page)
    return image if page == 1 else PageOf(image, page)


def _whole(name: str, value: int, most: int | None = None) -> int:
    """The value as an int, if it is a whole number from 1 on, numpy's included; else `OptionError`."""
    if isinstance(value, numbers.Integral) and not isinstance(value, bool) and value >= 1 and (most is None or value <= most):
        return int(value)
    raise OptionError(f"{name} must be an integer from 1 {'on' if most is None else f'to {most}'}, got {value!r:.80}")
