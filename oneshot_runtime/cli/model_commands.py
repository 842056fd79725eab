"""`oneshot info` and `doctor`: the model and what it runs on."""

from __future__ import annotations

import argparse
import json
from typing import Any

from oneshot_runtime.cli.common import add_command, print_result
from oneshot_runtime.model.bundle import DEFAULT_BUNDLE, Bundle

__all__ = ["register"]


def register(commands: Any) -> None:
    """Add this group's parsers to the command line's sub-parsers."""
    add_command(commands, "info", _info, "describe the model bundle")
    add_command(commands, "doctor", _doctor, "check installation, provider, golden images and latency (exit code for CI)")


def _info(arguments: argparse.Namespace) -> int:
    bundle = Bundle.open(arguments.bundle)
    hidden = {"head", "sha256"}
    details = {key: value for key, value in bundle.manifest.items() if key not in hidden}
    details["path"] = str(bundle.path if arguments.bundle else DEFAULT_BUNDLE.name + " (in the package)")
    text = "\n".join(
        f"{key}: {json.dumps(value) if isinstance(value, dict | list) else value}" for key, value in details.items()
    )
    print_result(arguments, details, text)
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    from oneshot_runtime.cli.doctor import as_json, diagnose

    checks = diagnose(arguments.bundle, arguments.device, arguments.precision, arguments.threads)
    text = "\n".join(f"{'ok  ' if check.ok else 'FAIL'} {check.name}: {check.detail}" for check in checks)
    print_result(arguments, as_json(checks), text)
    return 0 if all(check.ok for check in checks) else 1
