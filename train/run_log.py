"""A run's log: a record a line of JSON, and TensorBoard's files where they are asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from train.curves import read_log
from train.omniglot import DatasetError

__all__ = ["RunLog"]


class RunLog:
    """`log.jsonl` of a run's folder, and `tensorboard/` beside it.

    Args:
        out: the run's folder.
        tensorboard: also write what TensorBoard shows: loss, images a second, and the accuracies of validation.

    Raises:
        DatasetError: TensorBoard is asked for and not installed.
    """

    def __init__(self, out: Path, tensorboard: bool = False) -> None:
        self.path = out / "log.jsonl"
        self._board: Any = None
        if tensorboard:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                raise DatasetError("--tensorboard needs TensorBoard: pip install tensorboard") from error
            self._board = SummaryWriter(str(out / "tensorboard"))  # type: ignore[no-untyped-call]

    def add(self, record: dict[str, Any]) -> None:
        """Append a record: its `event`, its `step`, and values that JSON can hold."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        if self._board is not None:
            for name, value in _scalars(record):
                self._board.add_scalar(f"{record['event']}/{name}", value, record["step"])
            self._board.flush()

    def chosen(self) -> str | None:
        """Which weights were the best by what was held out; the earliest of equals. None where nothing was."""
        found = [row for row in self._rows() if row["event"] in ("validation", "blend")]
        return str(max(found, key=lambda row: row["mean"])["weights"]) if found else None

    def validations_since_best(self) -> int:
        """How many validations came after the best one."""
        means = [row["mean"] for row in self._rows() if row["event"] == "validation"]
        return len(means) - 1 - means.index(max(means)) if means else 0

    def _rows(self) -> list[dict[str, Any]]:
        return read_log(self.path)


def _scalars(record: dict[str, Any], before: str = "") -> list[tuple[str, float]]:
    """The numbers of a record by name, those of its parts as "part/name"."""
    found: list[tuple[str, float]] = []
    for name, value in record.items():
        if isinstance(value, dict) and name != "config":
            found += _scalars(value, f"{before}{name}/")
        elif isinstance(value, int | float) and name != "step":
            found.append((before + name, value))
    return found
