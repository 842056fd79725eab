"""`oneshot info` and `doctor`: the model and what it runs on."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from oneshot_runtime.cli.common import add_command, print_result
from oneshot_runtime.cli.terminal import columns
from oneshot_runtime.model.bundle import DEFAULT_BUNDLE, Bundle
from oneshot_runtime.model.codes import probabilities

__all__ = ["register"]


def register(commands: Any) -> None:
    """Add this group's parsers to the command line's sub-parsers."""
    add_command(commands, "info", _info, "describe the model bundle")
    add_command(
        commands, "doctor", _doctor, "check installation, provider, golden images and latency (exit code for CI)", model=True
    )


def _info(arguments: argparse.Namespace) -> int:
    bundle = Bundle.open(arguments.bundle)
    hidden = {"head", "sha256"}
    details = {key: value for key, value in bundle.manifest.items() if key not in hidden}
    details["path"] = str(bundle.path if arguments.bundle else DEFAULT_BUNDLE.name + " (in the package)")
    print_result(arguments, details, "\n".join(_page(bundle, details["path"])))
    return 0


def _page(bundle: Bundle, path: str) -> list[str]:
    """What a person wants to know of a model; --json has the rest."""
    precisions = "fp32 and int8" if bundle.has_int8 else "fp32"
    rows = [
        ("model", f"{bundle.preset}, {precisions}, from {path}"),
        ("fingerprint", f"{bundle.fingerprint} (a gallery is bound to it)"),
        ("input", f"{bundle.spec.width}x{bundle.spec.height} pixels, fitted to the {bundle.spec.fit}"),
        ("embedding", f"{bundle.dim} numbers, {bundle.dim} bytes in a gallery"),
    ]
    for name, measured in (bundle.manifest.get("accuracy") or {}).items():
        if isinstance(measured, dict) and isinstance(measured.get("accuracy"), int | float):
            rows.append(("accuracy", f"{100 * measured['accuracy']:.1f} % ({name.replace('_', ' ')})"))
    lines = columns(rows)
    rates = sorted(bundle.thresholds.logits, reverse=True)
    if not rates:
        return [*lines, "", "no thresholds: no picture is refused, whatever --far says"]
    lines += ["", "probability from which a picture is recognised, by enrolled symbols and --far:"]
    table = [("symbols", *(f"{rate:g}" for rate in rates))]
    for size in bundle.thresholds.sizes:
        found = probabilities(np.array([bundle.thresholds.logit(rate, size) for rate in rates]))
        table.append((str(size), *(f"{value:.3f}" for value in found)))
    return [*lines, *(f"  {line}" for line in columns(table)), "", "--json has everything that was recorded of its training"]


def _doctor(arguments: argparse.Namespace) -> int:
    from oneshot_runtime.cli.doctor import as_json, diagnose

    options = dict(arguments.provider_option) or None
    checks = diagnose(arguments.bundle, arguments.device, arguments.precision, arguments.threads, options)
    text = "\n".join(f"{'ok  ' if check.ok else 'FAIL'} {check.name}: {check.detail}" for check in checks)
    print_result(arguments, as_json(checks), text)
    return 0 if all(check.ok for check in checks) else 1
