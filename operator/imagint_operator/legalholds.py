"""What stands against destruction: which `LegalHold`s are in force, and over what. Pure; told the time.

GDPR 17(3): there is no right to erasure as far as processing is necessary for a legal obligation (b) or for legal
claims (e). Erasures and retention both ask here, so that they can never understand a hold differently. When in doubt a
hold holds: one over some categories stops an erasure of everything as a whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from datetime import datetime

from imagint_operator.api.holds import LegalHold, TargetType

HELD = "Held"
NAMES_SHOWN = 5
NO_SUBJECTS = ""


def in_force(hold: LegalHold, now: datetime) -> bool:
    """Whether a hold stands at this moment; one whose `from` has not come, or whose end has, does not."""
    ends = ended_at(hold)
    return hold.spec.from_ <= now and (ends is None or now < ends)


def ended_at(hold: LegalHold) -> datetime | None:
    """When a hold ends or ended: lifted, or run out, whichever is first."""
    ends = [moment for moment in (hold.spec.lifted_at, hold.spec.until) if moment is not None]
    return min(ends, default=None)


def covers(hold: LegalHold, subject: str, categories: Collection[str]) -> bool:
    """Whether a hold is about this subject and any of these categories (none: all of them)."""
    if hold.spec.target.type is TargetType.SUBJECT and hold.spec.target.subject != subject:
        return False
    held = {category.value for category in hold.spec.categories}
    return not held or not categories or not held.isdisjoint(categories)


def against(holds: Iterable[LegalHold], subject: str, categories: Collection[str], now: datetime) -> tuple[str, ...]:
    """The names of the holds that stand against forgetting these categories of a subject."""
    return tuple(sorted(hold.name for hold in holds if in_force(hold, now) and covers(hold, subject, categories)))


def over_tenant(holds: Iterable[LegalHold], categories: Collection[str], now: datetime) -> tuple[str, ...]:
    """The names of the holds that stand against forgetting these categories of anybody."""
    whole = (hold for hold in holds if hold.spec.target.type is TargetType.TENANT)
    return against(whole, NO_SUBJECTS, categories, now)


def held_subjects(holds: Iterable[LegalHold], categories: Collection[str], now: datetime) -> tuple[str, ...]:
    """The subjects of whom nothing in these categories may be forgotten, each once, in order."""
    mine = (hold for hold in holds if hold.spec.target.subject is not None and in_force(hold, now))
    return tuple(
        sorted({subject for hold in mine if covers(hold, subject := hold.spec.target.subject or "", categories)})
    )


def digest(subjects: Iterable[str]) -> str | None:
    """A digest of such a list, to see that it changed without keeping it; None when nobody is held."""
    text = "\n".join(sorted(subjects))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" if text else None


def named(names: tuple[str, ...]) -> str:
    """Some holds by name, for a message."""
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more
