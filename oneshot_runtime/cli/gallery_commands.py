"""`oneshot list`, `remove` and `gallery ...`: looking after a gallery."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oneshot_runtime.cli.common import (
    add_command,
    completes_labels,
    existing_store,
    load,
    load_existing,
    open_encoder,
    print_result,
    require_file,
    seed,
    unknown_labels,
)
from oneshot_runtime.cli.folder_load import load_folder
from oneshot_runtime.cli.terminal import columns
from oneshot_runtime.errors import GalleryError, OptionError, counted
from oneshot_runtime.gallery import check_label
from oneshot_runtime.model.thresholds import DEFAULT_FAR
from oneshot_runtime.stores.address import redacted, scheme_of

if TYPE_CHECKING:
    from oneshot_runtime.stores.health import Health

__all__ = ["register"]

_SHOWN = 20
"""Findings that are printed and drawn."""


def register(commands: Any) -> None:
    """Add this group's parsers to the command line's sub-parsers."""
    add_command(commands, "list", _list, "list the enrolled symbols", gallery=True)
    examples = ["oneshot remove alef", "oneshot remove alef --support 2"]
    remove = add_command(
        commands, "remove", _remove, "forget symbols, or one picture of a symbol", gallery=True, examples=examples
    )
    completes_labels(remove.add_argument("labels", nargs="+", metavar="LABEL"))
    text = "only this picture of one LABEL: its place in the order of enrollment, from 0, as `gallery check` names it"
    remove.add_argument("--support", type=seed, metavar="N", help=text)

    text = "look after a gallery"
    names = "backup, calibrate, check, export, import, index, migrate, rename"
    group = commands.add_parser("gallery", help=f"{text}: {names}", description=f"{text[0].upper()}{text[1:]}.")
    parts = group.add_subparsers(dest="part", required=True, metavar="PART")
    text = "read all of a gallery and report damage (exit code for CI)"
    check = add_command(parts, "check", _check, text, gallery=True, model=True, far=True)
    check.add_argument("--repair", action="store_true", help="save what is intact, keeping the damaged file beside it")
    check.add_argument("--picture", type=Path, metavar="FILE.png", help="save a picture of the symbols that look alike, or odd")
    export = add_command(parts, "export", _export, "write a gallery to an .npz, or its pictures to a new folder", gallery=True)
    export.add_argument("target", metavar="FOLDER_OR_FILE.npz")
    text = "add an exported .npz, or a folder of pictures per label"
    import_ = add_command(parts, "import", _import, text, gallery=True, model=True)
    import_.add_argument("source", metavar="FOLDER_OR_FILE.npz")
    import_.add_argument("--follow-links", action="store_true", help="of a folder: read links that lead out of it too")
    text = "copy the file as it is now, while others may write to it"
    backup = add_command(parts, "backup", _backup, text, gallery=True)
    backup.add_argument("target", metavar="FILE")
    text = "fit the threshold for strangers at --far to the enrolled symbols; kept with the gallery"
    add_command(parts, "calibrate", _calibrate, text, gallery=True, model=True, far=True)
    add_command(parts, "index", _index, "build the HNSW index of a gallery at postgresql://...", gallery=True)
    text = "bring a gallery to the current format, and to the model --bundle by its pictures"
    migrate = add_command(parts, "migrate", _migrate, text, gallery=True, model=True)
    migrate.add_argument("--force", action="store_true", help="even when the gallery belongs to that model already")
    rename = add_command(parts, "rename", _rename, "give a symbol another name", gallery=True)
    completes_labels(rename.add_argument("old", metavar="OLD"))
    rename.add_argument("new", metavar="NEW")


def _list(arguments: argparse.Namespace) -> int:
    with existing_store(arguments) as store:
        counts = store.counts()
    classes = [{"label": label, "supports": supports} for label, supports in counts.items()]
    if sys.stdout.isatty():
        lines = columns([(label, f"{supports} picture{'' if supports == 1 else 's'}") for label, supports in counts.items()])
    else:
        lines = [f"{label}  ({supports})" for label, supports in counts.items()]
    place = redacted(arguments.gallery)
    print_result(arguments, {"gallery": place, "classes": classes}, "\n".join(lines) or f"{place}: nothing is enrolled yet")
    return 0


def _remove(arguments: argparse.Namespace) -> int:
    labels = list(dict.fromkeys(arguments.labels))
    if arguments.support is not None and len(labels) != 1:
        arguments.parser.error("--support takes one LABEL")
    with existing_store(arguments) as store:
        counts = store.counts()
        unknown = [label for label in labels if label not in counts]
        if unknown:
            raise unknown_labels(unknown, counts)
        if arguments.support is None:
            for label in labels:
                store.remove(label)
                del counts[label]
        elif not store.remove_support(labels[0], arguments.support):
            held = counts[labels[0]]
            pictures = counted(held, "picture")
            raise OptionError(f"{labels[0]!r} has {pictures}, counted from 0: there is no picture {arguments.support}")
        elif counts[labels[0]] == 1:
            del counts[labels[0]]
    what = ", ".join(labels) if arguments.support is None else f"picture {arguments.support} of {labels[0]}"
    values = {"removed": arguments.labels, "classes": len(counts)}
    if arguments.support is not None:
        values["support"] = arguments.support
    print_result(arguments, values, f"removed {what}; {redacted(arguments.gallery)} now holds {counted(len(counts), 'symbol')}")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from oneshot_runtime.model.bundle import Bundle
    from oneshot_runtime.stores.sqlite.repair import repair_file

    bundle = Bundle.open(arguments.bundle)
    health = _health(arguments, bundle.fingerprint)
    values = {"gallery": redacted(arguments.gallery), "ok": health.ok, "problems": health.problems}
    values |= {"supports": health.supports, "classes": health.classes, "fingerprint": health.fingerprint}
    lines = [f"FAIL {problem}" for problem in health.problems]
    intact, classes = counted(health.supports, "intact picture"), counted(health.classes, "symbol")
    lines.append(f"{redacted(arguments.gallery)}: {intact} of {classes}")
    if arguments.repair and health.damaged:
        repair = repair_file(arguments.gallery, (bundle.fingerprint, bundle.dim))
        damaged = None if repair.damaged is None else str(repair.damaged)
        values["repair"] = {"damaged": damaged, "supports": repair.supports, "lost": repair.lost}
        if damaged is None:
            lines.append("looked at once more, nothing is wrong with it: left as it is")
        else:
            lines.append(f"saved {counted(repair.supports, 'picture')}; the damaged file is now {damaged}")
        lines += [f"lost: {loss}" for loss in repair.lost]
    elif health.ok:
        looks, more = _looks(arguments)
        values |= looks
        lines += more
    print_result(arguments, values, "\n".join(lines))
    return 0 if health.ok else 1


def _health(arguments: argparse.Namespace, fingerprint: str) -> Health:
    """What the check found; for a file to repair, one that cannot even be checked is damaged."""
    from oneshot_runtime.stores.health import Health
    from oneshot_runtime.stores.registry import check_store
    from oneshot_runtime.stores.sqlite.file_check import check_file

    if scheme_of(arguments.gallery) is not None:
        if arguments.repair:
            require_file(arguments, "--repair", "restore a damaged database from its backup")
        return check_store(arguments.gallery, fingerprint)
    try:
        return check_file(arguments.gallery, fingerprint)
    except GalleryError as error:
        if not arguments.repair:
            raise
        return Health([str(error)], True, 0, 0, None)


def _looks(arguments: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """What the symbols of an intact gallery look like to the model: advice, so the exit code does not depend on it."""
    from oneshot_runtime.quality.audit import MAX_SUPPORTS, audit_gallery
    from oneshot_runtime.quality.audit_sheet import finding_rows
    from oneshot_runtime.quality.sheet import draw_rows, save_sheet

    with load_existing(arguments) as matcher:
        if len(matcher.labels) > MAX_SUPPORTS:
            return {"findings": None}, [f"more than {MAX_SUPPORTS} symbols: not compared with each other"]
        fitted = None if matcher.far is None else matcher.gallery.calibration(matcher.far)
        result = audit_gallery(matcher.gallery, matcher.bundle, matcher.far)
        listed = result.findings[:_SHOWN]
        lines = [f"look at {finding.message}" for finding in listed]
        if fitted is not None and fitted.is_stale(matcher.labels):
            lines.append(
                "a quarter of the symbols came or went since the threshold was fitted: run `oneshot gallery calibrate`"
            )
        if len(result.findings) > _SHOWN:
            lines.append(f"and {len(result.findings) - _SHOWN} less severe (--json lists all)")
        if arguments.picture:
            findings, compared = counted(len(result.findings), "finding"), counted(result.compared, "picture")
            heading = f"{redacted(arguments.gallery)}: {findings} in {compared}"
            save_sheet(draw_rows(finding_rows(matcher.gallery, listed), heading), arguments.picture)
            lines.append(f"picture: {arguments.picture}")
    return {"findings": [asdict(finding) for finding in result.findings], "compared": result.compared}, lines


def _export(arguments: argparse.Namespace) -> int:
    from oneshot_runtime.transfer.folders import export_folder
    from oneshot_runtime.transfer.npz import export_npz

    if _is_npz(arguments.target):
        count = export_npz(arguments.gallery, arguments.target, _progress)
    else:
        count = export_folder(arguments.gallery, arguments.target)
    text = f"{counted(count, 'picture')} of {redacted(arguments.gallery)} are now in {arguments.target}"
    print_result(arguments, {"gallery": redacted(arguments.gallery), "target": arguments.target, "supports": count}, text)
    return 0


def _import(arguments: argparse.Namespace) -> int:
    from oneshot_runtime.transfer.npz import import_npz

    if not _is_npz(arguments.source):
        return load_folder(arguments, arguments.source, follow_links=arguments.follow_links)
    if not Path(arguments.source).exists():
        raise GalleryError(f"'{arguments.source}' does not exist; nothing was imported")
    with load(arguments) as matcher:
        added = import_npz(matcher.gallery, matcher.bundle, arguments.source, _progress)
        classes = len(matcher.labels)
    text = f"{counted(added, 'picture')} added; {redacted(arguments.gallery)} holds {counted(classes, 'symbol')}"
    print_result(arguments, {"added": added, "classes": classes}, text)
    return 0


def _backup(arguments: argparse.Namespace) -> int:
    from oneshot_runtime.transfer.backup import backup

    require_file(arguments, "backup", "back a database up with pg_dump")
    supports = backup(arguments.gallery, arguments.target)
    values = {"gallery": arguments.gallery, "target": arguments.target, "supports": supports}
    pictures = counted(supports, "picture")
    print_result(arguments, values, f"{arguments.target} holds all {pictures} of {arguments.gallery}, verified")
    return 0


def _calibrate(arguments: argparse.Namespace) -> int:
    with load_existing(arguments) as matcher:
        before = None if matcher.far is None else matcher.gallery.calibration(matcher.far)
        stale = before is not None and before.is_stale(matcher.labels)
        fitted = matcher.gallery.calibrate(DEFAULT_FAR if matcher.far is None else matcher.far)
    values = {"gallery": redacted(arguments.gallery), "far": fitted.far, "classes": fitted.classes}
    values |= {"threshold": fitted.threshold, "exact": fitted.exact, "was_stale": stale}
    text = f"{redacted(arguments.gallery)}: at far={fitted.far} the threshold is now {fitted.threshold:.3f}"
    if not fitted.exact:
        text += f"; {fitted.classes} symbols are few for this rate, so a step of the model's own is in it"
    print_result(arguments, values, text)
    return 0


def _migrate(arguments: argparse.Namespace) -> int:
    from oneshot_runtime.model.bundle import Bundle
    from oneshot_runtime.stores.sqlite.sqlite_reader import GalleryReader
    from oneshot_runtime.transfer.migrate import migrate
    from oneshot_runtime.transfer.old_gallery import convert_old, is_old

    instead = "export its pictures to a folder and import them, with --bundle, into a gallery of another name"
    require_file(arguments, "migrate", instead)
    values: dict[str, Any] = {"gallery": arguments.gallery}
    lines = []
    if is_old(arguments.gallery):
        values["supports"], old = convert_old(arguments.gallery)
        values["old"] = str(old)
        pictures = counted(values["supports"], "picture")
        lines.append(f"{arguments.gallery}: {pictures} in the current format; the old file is now {old}")
    with GalleryReader(arguments.gallery) as reader:
        values["from"] = reader.state.fingerprint
    bundle = Bundle.open(arguments.bundle)
    values["to"] = bundle.fingerprint
    if values["from"] != values["to"] or arguments.force:
        encoder = open_encoder(bundle, arguments)
        count = values["supports"] = migrate(arguments.gallery, encoder, _progress)
        lines.append(f"{arguments.gallery}: {counted(count, 'picture')} moved from model {values['from']} to {values['to']}")
    elif not lines:
        raise GalleryError(
            f"gallery '{arguments.gallery}' belongs to model {bundle.fingerprint} already: pass the new model with --bundle"
        )
    print_result(arguments, values, "\n".join(lines))
    return 0


def _index(arguments: argparse.Namespace) -> int:
    if scheme_of(arguments.gallery) not in ("postgres", "postgresql"):
        raise OptionError(f"only a gallery at postgresql://... has an index to build, got '{redacted(arguments.gallery)}'")
    from oneshot_runtime.stores.postgres import build_index

    build_index(arguments.gallery)
    values = {"gallery": redacted(arguments.gallery), "index": "hnsw"}
    print_result(
        arguments, values, f"{redacted(arguments.gallery)}: the HNSW index is there; ?oneshot_search=hnsw searches with it"
    )
    return 0


def _rename(arguments: argparse.Namespace) -> int:
    check_label(arguments.new)
    with existing_store(arguments) as store:
        count = store.rename(arguments.old, arguments.new)
        if not count:
            raise unknown_labels([arguments.old], store.counts())
    values = {"old": arguments.old, "new": arguments.new, "supports": count}
    print_result(arguments, values, f"{arguments.old} is now {arguments.new} ({counted(count, 'picture')})")
    return 0


def _is_npz(path: str) -> bool:
    return Path(path).suffix.lower() == ".npz"


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done} of {total}", end="\n" if done == total else "", file=sys.stderr, flush=True)
