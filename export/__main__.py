"""`python -m export checkpoint.pt --out bundle/`: write a bundle, or refuse."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from export.bundle import export_bundle
from export.parity import BATCHES, TOLERANCE, ParityError
from oneshot_runtime.errors import OneShotError
from train.checkpoint import CheckpointError
from train.model import UnknownNetworkError
from train.networks import import_network

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0 written, 1 refused, 2 wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m export",
        description=f"Export a checkpoint as a bundle, after comparing ONNX Runtime with PyTorch for batches {BATCHES} "
        f"(tolerance {TOLERANCE:.0e}).",
    )
    parser.add_argument("checkpoint", help="a run's last.pt or best.pt")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle; an older bundle there is replaced")
    parser.add_argument("--network", type=import_network, metavar="MODULE:FUNCTION", help="as in training, for one of your own")
    parser.add_argument("--no-int8", action="store_true", help="do not try the int8 embedding")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args(argv)
    try:
        report = export_bundle(arguments.checkpoint, arguments.out, int8=not arguments.no_int8)
    except (CheckpointError, ParityError, UnknownNetworkError, OneShotError, OSError) as error:
        print(f"export: {error}", file=sys.stderr)
        return 1
    if arguments.json:
        print(json.dumps({**asdict(report), "path": str(report.path)}))
        return 0
    print(f"{report.path}: model {report.fingerprint}, {sum(report.bytes.values()) / 1e6:.2f} MB")
    for name, size in report.bytes.items():
        print(f"  {name:22} {size / 1e6:6.2f} MB")
    print(f"ONNX Runtime and PyTorch agree: embeddings within {report.embedding_difference:.1e}, "
          f"probabilities within {report.head_difference:.1e}\nint8: {report.int8}")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
