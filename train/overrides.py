"""Change any value of a run's configuration by its name: `--set augment.rotation=10`, or a file of such values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from train.config import TrainConfig
from train.omniglot import DatasetError

__all__ = ["overridden", "read_changes"]


def read_changes(file: Path | None, words: Sequence[str]) -> dict[str, Any]:
    """Values by dotted names: those of a YAML file, then those of `NAME=VALUE` words.

    Raises:
        DatasetError: the file cannot be read, or a word has no `=`.
    """
    changes = _flat(_read(file)) if file else {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise DatasetError(f"--set {word}: expected NAME=VALUE, such as augment.rotation=10")
        changes[name] = value
    return changes


def overridden(config: TrainConfig, changes: Mapping[str, Any]) -> TrainConfig:
    """The configuration with these values in place of its own; texts become what they replace.

    Raises:
        DatasetError: there is no such name, the value is of another kind, or none that a run can have.
    """
    for name, value in changes.items():
        config = _changed(config, name.split("."), value, name)
    for problem in config.problems():
        raise DatasetError(problem)
    return config


def _read(file: Path) -> dict[str, Any]:
    import yaml

    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DatasetError(f"--config '{file}' cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise DatasetError(f"--config '{file}' holds no names and values, such as 'augment: {{rotation: 10}}'")
    return values


def _flat(values: Mapping[str, Any], start: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= _flat(value, f"{start}{name}.") if isinstance(value, dict) else {f"{start}{name}": value}
    return found


def _changed(holder: Any, path: Sequence[str], value: Any, name: str) -> Any:
    """`holder`, a dataclass or a dict of numbers, with the value at `path` changed."""
    first, rest = path[0], path[1:]
    is_dict = isinstance(holder, dict)
    known = list(holder) if is_dict else [field.name for field in dataclasses.fields(holder)]
    if not is_dict and first not in known:
        raise DatasetError(f"there is no setting {name!r}: {first!r} is none of {', '.join(known)}")
    old = holder.get(first, 0.0) if is_dict else getattr(holder, first)
    inner = dataclasses.is_dataclass(old) or isinstance(old, dict)
    if bool(rest) != inner:
        raise DatasetError(
            f"setting {name!r}: {first!r} " + ("has values of its own: name one of them" if inner else "is one value")
        )
    new = _changed(old, rest, value, name) if inner else _converted(value, old, name)
    return {**holder, first: new} if is_dict else dataclasses.replace(holder, **{first: new})


def _converted(value: Any, old: Any, name: str) -> Any:
    """A value of the kind of the one that it replaces."""
    try:
        if isinstance(old, bool):
            return {"true": True, "false": False}[str(value).lower()]
        if isinstance(old, tuple):
            parts = value.strip(" ()[]").split(",") if isinstance(value, str) else list(value)
            return tuple(type(old[0])(part) for part in parts)
        if isinstance(old, int):
            return int(str(value))
        return type(old)(value)
    except (KeyError, ValueError, TypeError) as error:
        raise DatasetError(f"setting {name!r}: expected a value like {old!r}, got {value!r}") from error
