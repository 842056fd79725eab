"""What a label may be: any text that a person writes, whichever Unicode the interpreter knows.

The rule names code points and asks no table, so that a label which one Python stored is one for every other.
"""

from __future__ import annotations

import re

from oneshot_runtime.errors import LabelError

__all__ = ["MAX_LABEL_LENGTH", "check_label", "is_label", "split_labels"]

MAX_LABEL_LENGTH = 256

_REFUSED = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_UNSEEN = " \xa0\u00ad\u061c\u1680\u180e\u2000-\u200f\u202a-\u202f\u205f-\u206f\u3000\ufeff"
"""Spaces, joiners and marks of direction belong into labels, but none is one by itself."""

_SEEN = re.compile(f"[^{_UNSEEN}]")
_LINE_UNSEEN = re.compile(f"\n[{_UNSEEN}]*\n")


def check_label(label: str) -> str:
    """The label, if it is a text of 1 to `MAX_LABEL_LENGTH` characters of which one can be seen; else `LabelError`.

    Refused are controls (U+0000 to U+001F, U+007F to U+009F), line and paragraph separators (U+2028, U+2029) and halves of
    surrogate pairs.
    """
    if not isinstance(label, str):
        raise LabelError(f"a label is a str, got {type(label).__name__}: {' '.join(repr(label).split()):.80}")
    if len(label) > MAX_LABEL_LENGTH:
        raise LabelError(f"a label has at most {MAX_LABEL_LENGTH} characters, got {len(label)}: {label!r:.80}")
    if found := _REFUSED.search(label):
        raise LabelError(
            f"label {label!r:.80} holds {_kind(found[0])} U+{ord(found[0]):04X} at place {found.start() + 1}: leave it out"
        )
    if not _SEEN.search(label):
        what = "is empty" if not label else "holds no character that can be seen"
        raise LabelError(f"label {label!r:.80} {what}: a label needs one at least")
    return str.__str__(label)  # numpy's texts and enumerations are texts


def is_label(text: str) -> bool:
    """Whether a text can be a label."""
    try:
        check_label(text)
    except LabelError:
        return False
    return True


def split_labels(text: str, count: int) -> list[str] | None:
    """The labels that were joined by line feeds; None when they are not `count` labels."""
    labels = text.split("\n")
    if len(labels) != count or max(map(len, labels)) > MAX_LABEL_LENGTH:
        return None
    joined = text.replace("\n", "")
    # What is printable to this interpreter holds nothing that is refused; most labels are, and asking is faster than searching.
    if not joined.isprintable() and _REFUSED.search(joined):
        return None
    return None if _LINE_UNSEEN.search(f"\n{text}\n") else labels


def _kind(character: str) -> str:
    if "\ud800" <= character <= "\udfff":
        return "half of a surrogate pair,"
    return "the separator" if character in "\u2028\u2029" else "the control character"
