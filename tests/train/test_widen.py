"""A wider network begins as the narrower one: same embedding, nearly the same logits."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from train.checkpoint import CheckpointError
from train.model import PRESETS, SiameseNet
from train.trainer import Trainer
from train.widen import widened

EDGE = dataclasses.replace(PRESETS["edge"], channels=(4, 6, 8, 10), dim=12)


def used(config):
    """A network whose batch norms have seen something."""
    torch.manual_seed(3)
    model = SiameseNet(config).train()
    for _ in range(3):
        model.embed_ink(torch.rand(16, 1, 48, 48))
    return model.eval()


@settings(max_examples=8, deadline=None)
@given(more=st.tuples(*[st.integers(0, 5)] * 5))
def test_what_was_there_computes_what_it_did(more) -> None:
    narrow = used(EDGE)
    channels = tuple(a + b for a, b in zip(EDGE.channels, more, strict=False))
    wide = SiameseNet(dataclasses.replace(EDGE, channels=channels, dim=EDGE.dim + more[4])).eval()
    wide.load_state_dict(widened(narrow.state_dict(), EDGE, wide.config))
    ink = torch.rand(5, 1, 48, 48)
    with torch.no_grad():
        before, after = narrow.embed_ink(ink), wide.embed_ink(ink)
        torch.testing.assert_close(after[:, : EDGE.dim], before, atol=1e-5, rtol=0)
        moved = (wide.head(after, after) - narrow.head(before, before)).abs().max()
    assert moved <= 0.02 * more[4] + 1e-4


def test_new_channels_learn() -> None:
    narrow = used(EDGE)
    wide = SiameseNet(dataclasses.replace(EDGE, channels=(6, 8, 10, 12), dim=14))
    wide.load_state_dict(widened(narrow.state_dict(), EDGE, wide.config))
    wide.train()
    embeddings = wide.embed_ink(torch.rand(8, 1, 48, 48))
    wide.head(embeddings, embeddings).sum().backward()
    second = wide.layers[4].weight.grad
    assert second is not None
    assert second[: EDGE.channels[1], EDGE.channels[0] :].abs().max() > 0  # old maps begin to read new ones


@pytest.mark.parametrize(
    "changed", [{"dim": 8}, {"channels": (4, 6, 8, 9)}, {"kernels": (3, 3, 3, 5), "channels": (4, 6, 8, 5)}]
)
def test_a_narrower_network_is_refused(changed) -> None:
    with pytest.raises(CheckpointError, match="cannot be widened"):
        widened(used(EDGE).state_dict(), EDGE, dataclasses.replace(EDGE, **changed))


def test_a_wider_run_starts_from_a_narrower_one(canvases, config, tmp_path) -> None:
    first = Trainer(dataclasses.replace(config, model=EDGE), canvases)
    first.step()
    first.save(tmp_path / "last.pt")
    wider = dataclasses.replace(EDGE, channels=(5, 7, 9, 11), dim=16)
    second = Trainer(dataclasses.replace(config, model=wider), canvases)
    second.start_from(tmp_path / "last.pt")
    found, expected = (trainer.embed_average(canvases.images[:4]) for trainer in (second, first))
    torch.testing.assert_close(torch.from_numpy(found[:, :12]), torch.from_numpy(expected), atol=1e-5, rtol=0)
    other = Trainer(dataclasses.replace(config, model=dataclasses.replace(wider, pooled=6)), canvases)
    with pytest.raises(CheckpointError, match="this run is of"):
        other.start_from(tmp_path / "last.pt")
