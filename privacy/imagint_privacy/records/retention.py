"""What retention must forget: every path whose month ended longer ago than its category may be kept.

Pure. It must not read a clock, a tree or a database.

Rule 1  A path is due when the last moment of its month lies at least its category's term back.
Rule 2  `always` is never due; a category whose term is None is kept until it is erased.
Rule 3  A category without a rule is never due: it is counted as unknown, so that somebody looks.
Rule 4  What is restricted, fenced or excepted is not forgotten: it is counted as withheld.
Rule 5  A term is at least one day. A record's month is that of the moment it was made, and making it takes far less
        than a day; so no key is forgotten under a write that is still on its way, and no write can reach a due month.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from imagint_privacy.errors import RuleInvalidError
from imagint_privacy.keys.paths import ALWAYS, KeyPath, Prefix, check_category
from imagint_privacy.purposes import EVERY
from imagint_privacy.records.results import RetentionCounts

MOST_MONTHS: Final = 1200
MOST_DAYS: Final = 36525


@dataclass(frozen=True, slots=True)
class Term:
    """How long a category is kept after the end of the month in which it was made."""

    months: int = 0
    days: int = 0

    def __post_init__(self) -> None:
        """Check the figures.

        Raises:
            RuleInvalidError: less than a day, or more than a hundred years.
        """
        if not 0 <= self.months <= MOST_MONTHS or not 0 <= self.days <= MOST_DAYS or not self.months + self.days:
            raise RuleInvalidError("a term is at least one day, at most 1200 months and 36525 days")


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The term of each category; None: until it is erased."""

    terms: Mapping[str, Term | None]

    def __post_init__(self) -> None:
        """Check every category.

        Raises:
            PathInvalidError: a category is outside its grammar.
        """
        for category in self.terms:
            check_category(category)

    def document(self) -> dict[str, Any]:
        """Return the rules as plain data, sorted."""
        return {
            category: None if term is None else {"months": term.months, "days": term.days}
            for category, term in sorted(self.terms.items())
        }

    def digest(self) -> str:
        """Return the SHA-256 of the rules in their one canonical form, in hex."""
        canonical = json.dumps(self.document(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode("ascii")).hexdigest()

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> RuleSet:
        """Read what `document` wrote."""
        return cls({category: None if term is None else Term(**term) for category, term in document.items()})

    def newest_due(self, as_of: datetime) -> dict[str, str]:
        """Return the newest month of each category that is due at a moment: it and all before it are."""
        return {category: _newest_due(term, as_of) for category, term in self.terms.items() if term is not None}


def end_of(period: str) -> datetime:
    """Return the first moment after a month."""
    return _start(int(period[:4]) * 12 + int(period[5:]))


def _start(month: int) -> datetime:
    """Return the first moment of a month, counted from January of the year 0 as 0."""
    year, number = divmod(month, 12)
    return datetime(year, number + 1, 1, tzinfo=UTC)


def _newest_due(term: Term, as_of: datetime) -> str:
    moment = as_of.astimezone(UTC) - timedelta(days=term.days)
    # The newest month that had ended by then, and the months of the term before that.
    month = moment.year * 12 + moment.month - 2 - term.months
    return f"{month // 12:04d}-{month % 12 + 1:02d}"


class Sorter:
    """Sorts the paths of one subject after another into due, withheld, unknown and kept, and counts them."""

    def __init__(self, rules: RuleSet, as_of: datetime, before: RetentionCounts | None = None) -> None:
        """Begin, or go on from what was counted `before`."""
        start = before or RetentionCounts()
        self._terms = rules.terms
        self._newest = rules.newest_due(as_of)
        self._due = Counter(start.due)
        self._withheld = Counter(start.withheld)
        self._unknown = Counter(start.unknown)
        self._subjects = Counter(start.subjects)

    @property
    def counts(self) -> RetentionCounts:
        """What was counted so far."""
        found = (self._due, self._withheld, self._unknown, self._subjects)
        return RetentionCounts(*(dict(sorted(counter.items())) for counter in found))

    def due(self, paths: Iterable[KeyPath], withheld: frozenset[str]) -> list[Prefix]:
        """Return what of one subject is to be forgotten; `withheld` are its categories that are not (`*`: all)."""
        found: list[Prefix] = []
        for path in paths:
            if path.category not in self._terms:
                self._unknown[path.category] += 1
            elif self.is_due(path):
                kept = not withheld.isdisjoint({EVERY, path.category})
                (self._withheld if kept else self._due)[path.category] += 1
                found += [] if kept else [Prefix(path.subject, path.category, path.period)]
        self._subjects["looked_at"] += 1
        self._subjects["due"] += bool(found)
        return found

    def is_due(self, path: KeyPath) -> bool:
        """Say whether a path's month is over for as long as its category is kept."""
        newest = self._newest.get(path.category)
        return newest is not None and path.period != ALWAYS and path.period <= newest
