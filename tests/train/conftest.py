from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_writer

pytest.importorskip("torch")

from tests.train.drawn_data import LAYOUT, entries, write_zip
from train.canvases import Canvases
from train.config import TrainConfig
from train.drawings import from_image_set
from train.model import PRESETS
from train.omniglot import ImageSet, load_images


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    """A small data set in Omniglot's layout."""
    folder = tmp_path_factory.mktemp("omniglot")
    write_zip(folder / "images_background.zip", entries("images_background", LAYOUT, seed=1))
    write_zip(folder / "images_evaluation.zip", entries("images_evaluation", {"Dalet": 12, "He": 14, "Tibetan": 2}, seed=50))
    return folder


@pytest.fixture(scope="session")
def images(data) -> ImageSet:
    return load_images(data, "images_background")


@pytest.fixture(scope="session")
def canvases(images) -> Canvases:
    return from_image_set(images, PRESETS["edge"].spec)


@pytest.fixture
def config() -> TrainConfig:
    return TrainConfig(model=PRESETS["edge"], split="background", steps=6, classes=6, shots=2, warmup=2)


@pytest.fixture(scope="session")
def symbols(tmp_path_factory):
    """Three groups of eight invented symbols, each drawn by four writers."""
    folder = tmp_path_factory.mktemp("symbols")
    rng = np.random.default_rng(0)
    for group in range(3):
        for index, symbol in enumerate(invent_alphabet(8, seed=group)):
            (folder / f"g{group}" / f"c{index}").mkdir(parents=True)
            for number in range(4):
                picture = Image.fromarray(draw(symbol, random_writer(rng), rng))
                picture.save(folder / f"g{group}" / f"c{index}" / f"{number}.png")
    return folder
