from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

import numpy as np

from oneshot_runtime.synthetic.strokes import draw, invent_alphabet, random_writer
from train.config import TrainConfig
from train.drawings import from_image_set
from train.model import PRESETS
from train.omniglot import ImageSet
from train.trainer import Trainer


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory):
    """Both presets after a few steps on drawn symbols, so that batch norm has statistics to fold."""
    rng = np.random.default_rng(0)
    symbols = invent_alphabet(6, seed=2)
    drawn = np.stack([[draw(symbol, random_writer(rng), rng) for _ in range(4)] for symbol in symbols])
    images = ImageSet(drawn, np.repeat(np.arange(6), 4)[:, None], {"drawn": (0, 5)})
    folder = tmp_path_factory.mktemp("checkpoints")
    for preset, steps in (("edge", 12), ("koch", 1)):
        config = TrainConfig(model=PRESETS[preset], split="folder", steps=steps, classes=3, shots=2)
        trainer = Trainer(config, from_image_set(images, config.model.spec))
        for _ in range(steps):
            trainer.step()
        trainer.notes.update(command="python -m train --steps 12", commit="abc")
        trainer.save(folder / f"{preset}.pt")
    return folder
