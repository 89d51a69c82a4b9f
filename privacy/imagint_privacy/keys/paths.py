"""Where a data key lives: subject / category / period; and its bytes inside a leaf of the tree.

Pure. Every part has a narrow grammar, so that a path can stand in logs, file names and associated data as it is.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from imagint_privacy import subjects
from imagint_privacy.errors import PathInvalidError

ALWAYS: Final = "always"
"""The period of a key that no retention ends."""

SUBJECT_BYTES: Final = 17
_CATEGORY = re.compile(r"[a-z][a-z0-9-]{0,31}")
_PERIOD = re.compile(r"([1-4]\d{3})-(0[1-9]|1[0-2])")
_NAMED = 255
_PERIOD_BYTES = struct.Struct(">H")


def check_subject(subject: str) -> str:
    """Return the subject if it is a handle or `system`.

    Raises:
        PathInvalidError: it is neither.
    """
    if subject != subjects.SYSTEM and not subjects.is_handle(subject):
        raise PathInvalidError("a subject is a handle (subj- and 26 letters or digits)")
    return subject


def check_category(category: str) -> str:
    """Return the category if it follows the grammar.

    Raises:
        PathInvalidError: it does not.
    """
    if _CATEGORY.fullmatch(category) is None:
        raise PathInvalidError("a category is 1 to 32 of a-z, 0-9 and -, starting with a letter")
    return category


def check_period(period: str) -> str:
    """Return the period if it is a month such as 2026-11, or `always`.

    Raises:
        PathInvalidError: it is neither.
    """
    if period != ALWAYS and _PERIOD.fullmatch(period) is None:
        raise PathInvalidError("a period is a month such as 2026-11, or always")
    return period


def period_of(moment: datetime) -> str:
    """Return the UTC month of an aware moment.

    Raises:
        ValueError: the moment has no time zone or is not in UTC.
    """
    offset = moment.utcoffset()
    if offset is None or offset.total_seconds() != 0:
        raise ValueError("periods are counted in UTC")
    return f"{moment.year:04d}-{moment.month:02d}"


@dataclass(frozen=True, slots=True, order=True)
class KeyPath:
    """The place of one data key."""

    subject: str
    category: str
    period: str

    def __post_init__(self) -> None:
        """Check every part.

        Raises:
            PathInvalidError: a part is outside its grammar.
        """
        check_subject(self.subject)
        check_category(self.category)
        check_period(self.period)

    def __str__(self) -> str:
        return f"{self.subject}/{self.category}/{self.period}"


@dataclass(frozen=True, slots=True, order=True)
class Prefix:
    """Everything under a subject, one of its categories, or one period of that category."""

    subject: str
    category: str | None = None
    period: str | None = None

    def __post_init__(self) -> None:
        """Check every part; the tenant's own keys are not forgettable.

        Raises:
            PathInvalidError: a part is outside its grammar, or the subject is `system`.
        """
        if self.subject == subjects.SYSTEM:
            raise PathInvalidError("the keys under system/ cannot be forgotten")
        check_subject(self.subject)
        if self.category is not None:
            check_category(self.category)
        if self.period is not None:
            if self.category is None:
                raise PathInvalidError("a period needs its category")
            check_period(self.period)

    def covers(self, path: KeyPath) -> bool:
        """Say whether the path lies under this prefix."""
        return (
            path.subject == self.subject
            and self.category in {None, path.category}
            and self.period in {None, path.period}
        )


def subject_bytes(subject: str) -> bytes:
    """Write a checked subject as its 17 bytes in a leaf: a tag, then 16 bytes."""
    if subjects.is_handle(subject):
        raw, spare = subjects.to_bytes(subject)
        return bytes((spare,)) + raw
    return bytes((_NAMED,)) + subject.encode("ascii").ljust(16, b"\0")


def subject_text(raw: bytes) -> str:
    """Read the 17 bytes of a subject back."""
    if raw[0] == _NAMED:
        return raw[1:].rstrip(b"\0").decode("ascii")
    return subjects.from_bytes(raw[1:], raw[0])


def period_bytes(period: str) -> bytes:
    """Write a checked period as two bytes: months since the year 0, and 0 for `always`."""
    if period == ALWAYS:
        return b"\0\0"
    return _PERIOD_BYTES.pack(int(period[:4]) * 12 + int(period[5:]))


def period_text(raw: bytes) -> str:
    """Read the two bytes of a period back."""
    (months,) = _PERIOD_BYTES.unpack(raw)
    if not months:
        return ALWAYS
    year, month = divmod(months - 1, 12)
    return f"{year:04d}-{month + 1:02d}"
