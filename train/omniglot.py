"""Omniglot (Lake, Salakhutdinov, Tenenbaum, Science 2015): from its zips or folders to arrays, splits and trials."""

from __future__ import annotations

import io
import re
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = [
    "DRAWERS",
    "TRIAL_ALPHABETS",
    "DatasetError",
    "ImageSet",
    "Trial",
    "download",
    "load_images",
    "load_split",
    "load_trials",
]

SIDE = 105
DRAWERS = 20
BACKGROUND, EVALUATION, RUNS = "images_background", "images_evaluation", "all_runs"

TRIAL_ALPHABETS = frozenset(
    {
        "Atlantean",
        "Ge_ez",
        "Glagolitic",
        "Gurmukhi",
        "Kannada",
        "Malayalam",
        "Manipuri",
        "Old_Church_Slavonic_(Cyrillic)",
        "Tengwar",
        "Tibetan",
    }
)
"""The alphabets of the 400 trials: never trained on, tuned on, or used to pick a checkpoint, so no loader returns them."""

UPSTREAM = "https://github.com/brendenlake/omniglot/raw/master/python/"
_UPSTREAM_MD5 = {
    "images_background.zip": "68d2efa1b9178cc56df9314c21c6e718",
    "images_evaluation.zip": "6b91aef0f799c5bb55b94e3f2daec811",
    "one-shot-classification/all_runs.zip": "e8996daecdf12afeeb4a53a179f06b19",
}
_RUN_ENTRY = re.compile(r"run\d\d/.*")
_MAX_ENTRY_BYTES = 1_000_000
_ENTRY = re.compile(r"(?P<alphabet>[^/]+)/(?P<character>character\d+)/(?P<sheet>\d+)_(?P<drawer>\d+)\.png")


class DatasetError(ValueError):
    """The data set on disk is not what it should be; the message names the archive and the entry."""


class ImageSet(NamedTuple):
    """All drawings of a set, in the arrangement that write-ups of this method call `X, y, lang_dict`.

    images: uint8 (characters, 20, 105, 105), ink 0 on 255, the second axis being the drawer. labels: int64
    (characters * 20, 1), the character of each image in reading order. alphabets: name -> inclusive (first, last) label.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    alphabets: dict[str, tuple[int, int]]

    def select(self, alphabets: Iterable[str]) -> ImageSet:
        """The characters of the given alphabets only, relabelled from 0."""
        chosen = sorted(set(alphabets))
        return _assemble([(name, self.images[self.alphabets[name][0] : self.alphabets[name][1] + 1]) for name in chosen])


class Trial(NamedTuple):
    """One run of Lake's one-shot classification: 20 supports, 20 queries, and the right support of each query.

    supports, queries: uint8 (20, 105, 105). answers: int64 (20,), indices into `supports`.
    """

    supports: NDArray[np.uint8]
    queries: NDArray[np.uint8]
    answers: NDArray[np.int64]


def load_split(data: str | Path, split: str) -> tuple[ImageSet, ImageSet | None]:
    """The training set of `split` and the held-out validation set, None where the split leaves none.

    `background` trains on the 30 background alphabets and validates on those of the evaluation set that are in no trial;
    `koch` trains on all 40 (Koch et al. 2015), its recipe having been chosen on `background`.
    """
    background = load_images(data, BACKGROUND)
    evaluation = load_images(data, EVALUATION)
    if split == "background":
        return background, evaluation
    if split == "koch":
        both = [(name, s.images[a : b + 1]) for s in (background, evaluation) for name, (a, b) in s.alphabets.items()]
        return _assemble(both), None
    raise DatasetError(f"unknown split '{split}': choose background or koch")


def load_images(data: str | Path, name: str = BACKGROUND) -> ImageSet:
    """All drawings of `images_background` or `images_evaluation` below `data`, as a zip or as an extracted folder.

    Alphabets and characters are in the order of their names. Raises `DatasetError` for a missing, truncated or foreign
    archive, a character without exactly 20 drawings, or a drawing that is not a 105x105 image; each names the entry.
    """
    archive = _Archive.find(Path(data), name)
    drawings: dict[str, dict[str, dict[int, NDArray[np.uint8]]]] = defaultdict(lambda: defaultdict(dict))
    for entry, read in archive.entries():
        match = _ENTRY.search(entry)
        if match is None:
            if entry.endswith(".png"):
                raise DatasetError(f"{archive.path}: '{entry}' is not <Alphabet>/characterNN/XXXX_DD.png; not Omniglot?")
            continue
        if match["alphabet"] in TRIAL_ALPHABETS:
            continue
        drawer = int(match["drawer"])
        character = drawings[match["alphabet"]][match["character"]]
        if not 1 <= drawer <= DRAWERS or drawer in character:
            raise DatasetError(f"{archive.path}: '{entry}': drawer {drawer} is outside 1 to {DRAWERS} or there twice")
        character[drawer] = _decode(read(), f"{archive.path}: '{entry}'")
    if not drawings:
        raise DatasetError(f"{archive.path} holds no drawings <Alphabet>/characterNN/XXXX_DD.png; is it Omniglot?")
    groups = []
    for alphabet in sorted(drawings):
        characters = []
        for character_name, by_drawer in sorted(drawings[alphabet].items()):
            if len(by_drawer) != DRAWERS:
                raise DatasetError(
                    f"{archive.path}: '{alphabet}/{character_name}' has {len(by_drawer)} drawings, expected {DRAWERS}"
                )
            characters.append(np.stack([by_drawer[drawer] for drawer in sorted(by_drawer)]))
        groups.append((alphabet, np.stack(characters)))
    return _assemble(groups)


def load_trials(data: str | Path) -> list[Trial]:
    """The 20 runs of 20 within-alphabet 20-way one-shot trials: the 400 trials that published results refer to."""
    archive = _Archive.find(Path(data), RUNS)
    readers = {match[0]: read for entry, read in archive.entries() if (match := _RUN_ENTRY.search(entry))}

    def image(entry: str) -> NDArray[np.uint8]:
        if entry not in readers:
            raise DatasetError(f"{archive.path}: '{entry}' is missing")
        return _decode(readers[entry](), f"{archive.path}: '{entry}'")

    trials = []
    for run in range(1, 21):
        labels = f"run{run:02d}/class_labels.txt"
        if labels not in readers:
            raise DatasetError(f"{archive.path}: '{labels}' is missing")
        lines = readers[labels]().decode("ascii", errors="replace").splitlines()
        answers = dict(line.split() for line in lines if len(line.split()) == 2)
        supports = [f"run{run:02d}/training/class{k:02d}.png" for k in range(1, 21)]
        if len(answers) != 20 or not set(answers.values()) <= set(supports):
            raise DatasetError(f"{archive.path}: '{labels}' does not pair 20 queries with the run's 20 supports")
        trials.append(
            Trial(
                np.stack([image(entry) for entry in supports]),
                np.stack([image(entry) for entry in answers]),
                np.array([supports.index(entry) for entry in answers.values()]),
            )
        )
    return trials


def download(folder: str | Path, base_url: str = UPSTREAM, md5: dict[str, str] | None = None) -> list[Path]:
    """Fetch upstream's three zips into `folder`, verifying their md5 sums; files already there and right are kept."""
    import pooch

    paths = []
    for name, checksum in (_UPSTREAM_MD5 if md5 is None else md5).items():
        try:
            path = pooch.retrieve(
                base_url + name, known_hash=f"md5:{checksum}", fname=Path(name).name, path=folder, progressbar=True
            )
        except Exception as error:  # pooch passes on whatever its downloader raises
            raise DatasetError(f"cannot download {base_url}{name} into {folder}: {error}") from error
        paths.append(Path(path))
    return paths


def _assemble(groups: list[tuple[str, NDArray[np.uint8]]]) -> ImageSet:
    images = np.concatenate([drawings for _, drawings in groups])
    alphabets, first = {}, 0
    for name, drawings in groups:
        alphabets[name] = (first, first + len(drawings) - 1)
        first += len(drawings)
    return ImageSet(images, np.repeat(np.arange(len(images)), images.shape[1])[:, None], alphabets)


def _decode(data: bytes, entry: str) -> NDArray[np.uint8]:
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.size != (SIDE, SIDE):
                raise DatasetError(f"{entry} is {image.height}x{image.width}, expected {SIDE}x{SIDE}")
            return np.asarray(image.convert("L"))
    except DatasetError:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DatasetError(f"{entry} is not a readable image: {error}") from error


class _Archive(NamedTuple):
    """A zip or an extracted folder, read entry by entry in the order of the names."""

    path: Path

    @classmethod
    def find(cls, data: Path, name: str) -> _Archive:
        for candidate in (data / f"{name}.zip", data / name, data):
            if candidate.suffix == ".zip" and candidate.is_file():
                return cls(candidate)
            if candidate.name == name and candidate.is_dir():
                return cls(candidate)
        raise DatasetError(f"neither '{name}.zip' nor a folder '{name}' is in '{data}'; --download fetches Omniglot there")

    def entries(self) -> Iterator[tuple[str, Callable[[], bytes]]]:
        if self.path.is_dir():
            for file in sorted(self.path.rglob("*")):
                if file.is_file():
                    yield file.relative_to(self.path).as_posix(), file.read_bytes
            return
        try:
            with zipfile.ZipFile(self.path) as archive:
                contents = {info.filename: self._read(archive, info) for info in archive.infolist() if not info.is_dir()}
        except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
            raise DatasetError(f"{self.path} is truncated or no zip archive: {error}") from error
        for entry in sorted(contents):
            yield entry, lambda entry=entry: contents[entry]

    def _read(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
        if info.file_size > _MAX_ENTRY_BYTES:
            raise DatasetError(f"{self.path}: '{info.filename}' unpacks to {info.file_size} bytes; not Omniglot")
        try:
            return archive.read(info)
        except Exception as error:
            raise DatasetError(f"{self.path}: '{info.filename}' cannot be unpacked: {error}") from error
