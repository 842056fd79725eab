"""Training data in one file: made once where the fonts are, and carried to where the GPU is."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.canvases import Canvases
from train.config import TrainConfig
from train.data import TrainingData
from train.omniglot import DatasetError

__all__ = ["load_prepared", "made_for", "save_prepared"]

_FORMAT = 1
_ARRAYS = ("images", "classes", "drawers", "pens")


def made_for(config: TrainConfig, holdout: list[str] | None) -> dict[str, Any]:
    """What of a run decides its data, JSON-ready: a file serves runs for which this is the same.

    Args:
        config: the run's.
        holdout: the groups asked to be kept for validation.
    """
    values = config.to_dict()
    paper = values["paper"] or {}
    return {
        "split": config.split,
        "spec": values["model"]["spec"],
        "holdout": holdout,
        "composed": config.composed,
        "invented": config.invented,
        "pens": config.redrawn > 0,
        "glyphs": sorted(name for name in config.shares if name != "synthetic"),
        "drawers": [paper.get("drawers"), paper.get("validation_drawers")],
    }


def save_prepared(path: Path, data: TrainingData, made: Mapping[str, Any]) -> None:
    """Write `data` and what it was `made` for; a file that is half written never has the name."""
    arrays: dict[str, NDArray[np.generic]] = {}
    parts: dict[str, Any] = {}

    def add(name: str, canvases: Canvases | None) -> None:
        if canvases is not None:
            parts[name] = {group: members.tolist() for group, members in canvases.groups.items()}
            arrays.update({f"{name}/{array}": getattr(canvases, array) for array in _ARRAYS})

    add("training", data.training)
    add("validation", data.validation)
    add("scripts", data.scripts)
    for name, canvases in data.sources.items():
        add(f"source {name}", canvases)
    header = {
        "format": _FORMAT,
        "made": dict(made),
        "parts": parts,
        "families": {licence: list(names) for licence, names in data.families.items()},
        "holdout": list(data.holdout),
    }
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    os.replace(partial, path)


def load_prepared(path: Path, made: Mapping[str, Any]) -> TrainingData:
    """What `save_prepared` wrote.

    Raises:
        DatasetError: the file is missing, is no such file, or was made for a run with other data.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as kept:
            header = json.loads(kept["header"].tobytes())
            if header["format"] != _FORMAT:
                raise DatasetError(f"'{path}' has format {header['format']}, this code reads {_FORMAT}: prepare it again")
            _check(path, header, json.loads(json.dumps(made)))
            parts = {name: _canvases(kept, name, groups) for name, groups in header["parts"].items()}
    except FileNotFoundError as error:
        raise DatasetError(f"'{path}' does not exist; `python -m train prepare` makes it") from error
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(f"'{path}' is damaged, or nothing that `python -m train prepare` made: {error}") from error
    sources = {name.removeprefix("source "): canvases for name, canvases in parts.items() if name.startswith("source ")}
    return TrainingData(
        parts["training"], parts.get("validation"), sources, parts.get("scripts"), header["families"], tuple(header["holdout"])
    )


def _check(path: Path, header: dict[str, Any], made: dict[str, Any]) -> None:
    """Raises `DatasetError` for a file that was made for other runs. One that is resumed names the groups that were chosen."""
    for name, asked in made.items():
        there = header["made"].get(name)
        if asked != there and not (name == "holdout" and asked == header["holdout"]):
            raise DatasetError(f"'{path}' was prepared with another {name}: {there}, and this run asks for {asked}")


def _canvases(kept: Mapping[str, NDArray[Any]], name: str, groups: Mapping[str, list[int]]) -> Canvases:
    return Canvases(
        groups={group: np.array(members, np.int64) for group, members in groups.items()},
        **{array: kept[f"{name}/{array}"] for array in _ARRAYS},
    )
