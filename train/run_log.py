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
        done: steps that the run has behind it. What the log has of later ones is from a stretch that was lost when the run was
            killed, and goes, as does what was said of its end.

    Raises:
        DatasetError: TensorBoard is asked for and not installed.
    """

    def __init__(self, out: Path, tensorboard: bool = False, done: int = 0) -> None:
        self.path = out / "log.jsonl"
        self._rewind(done)
        self._board: Any = None
        if tensorboard:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                raise DatasetError("--tensorboard needs TensorBoard: pip install tensorboard") from error
            self._board = SummaryWriter(str(out / "tensorboard"), purge_step=done + 1)  # type: ignore[no-untyped-call]

    def add(self, record: dict[str, Any]) -> None:
        """Append a record: its `event`, its `step`, and values that JSON can hold."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        if self._board is not None:
            for name, value in _scalars(record):
                self._board.add_scalar(f"{record['event']}/{name}", value, record["step"])
            self._board.flush()

    def means(self) -> dict[str, float]:
        """The accuracy on what was held out, by the weights that had it, in their order."""
        return {row["weights"]: row["mean"] for row in self._rows() if row["event"] in ("validation", "blend")}

    def validations_since_best(self) -> int:
        """How many validations came after the best one."""
        means = [row["mean"] for row in self._rows() if row["event"] == "validation"]
        return len(means) - 1 - means.index(max(means)) if means else 0

    def _rewind(self, done: int) -> None:
        if self.path.exists():
            self._keep([row for row in self._rows() if row["step"] <= done and row.get("weights") != "last"
                        and row["event"] != "blend"])  # fmt: skip

    def forget_steps(self) -> None:
        """Leave out all validations but that of the start."""
        self._keep([row for row in self._rows() if row.get("weights", "start") == "start"])

    def _keep(self, kept: list[dict[str, Any]]) -> None:
        new = self.path.with_suffix(".new")
        new.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
        new.replace(self.path)

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
