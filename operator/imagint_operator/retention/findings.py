"""Pure: the answers of the data plane and of Vault, as what a run's record takes up. Counts and digests only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from imagint_operator.api.requests import KeyVersions
from imagint_operator.api.retention import RetentionCount, RetentionRule, RetentionRun, RetentionStep
from imagint_operator.dataplane.answers import Caches, Commit, Copies, Purge, Retention
from imagint_operator.legalholds import digest
from imagint_privacy.keys.ports import KeyState

COUNTING = "Counting"
_COMPLETE = "Complete"


@dataclass(frozen=True, slots=True)
class Finding:
    """What an operation found: what the run's record changes, and the step that comes next if this one is done."""

    next: RetentionStep | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    waiting: float | None = None
    failed: str = ""
    dropped: bool = False
    completed: Retention | None = None


BEGIN_AGAIN = Finding(
    RetentionStep.BEGIN,
    dict.fromkeys(("key_versions", "slices", "generation", "key_version", "copies", "bound_seconds", "purged")),
)
"""The data plane does not know the run: it was restored from before it. Nothing that was recorded holds any more."""


def terms(rules: tuple[RetentionRule, ...]) -> dict[str, dict[str, int]]:
    """The rules as the data plane takes them."""
    return {
        rule.category.value: {"days": rule.keep_days}
        if rule.keep_days is not None
        else {"months": rule.keep_months or 0}
        for rule in rules
    }


def begun(answer: Retention, excepted: tuple[str, ...] = ()) -> Finding:
    """What is due, of all but the excepted. Nothing: it ends without a rotation. Still counting: ask again."""
    if answer.state == COUNTING:
        return Finding(waiting=0.0)
    due = any(answer.counts.due.values()) and answer.state != _COMPLETE
    return Finding(
        RetentionStep.ROTATE if due else RetentionStep.COMPLETE,
        {"rules_digest": f"sha256:{answer.rules_digest}", "excepted_digest": digest(excepted)},
    )


def versions_recorded(key: KeyState) -> Finding:
    """From which version to which."""
    return Finding(changes={"key_versions": KeyVersions(from_=key.latest_version, to=key.latest_version + 1)})


def rotated(versions: KeyVersions, key: KeyState) -> Finding:
    """The version that is there now is the one the survivors move to."""
    moved = KeyVersions(from_=versions.from_, to=key.latest_version)
    return Finding(RetentionStep.COMMIT, {"key_versions": moved})


def committed(answer: Commit, shown: Retention, run: RetentionRun) -> Finding:
    """The tree without what was due.

    Every slice but the last left a root under the new version that still opens what later slices forgot. So after
    several slices the key is rotated once more: the commit under that version forgets nothing, and the trim takes all.
    """
    if shown.slices > 1 and run.slices is None and run.key_versions is not None:
        middle = max(run.key_versions.to, answer.key_version)
        again = KeyVersions(from_=middle, to=middle + 1)
        return Finding(RetentionStep.ROTATE, {"slices": shown.slices, "key_versions": again})
    return Finding(RetentionStep.COPY, {"generation": answer.generation, "key_version": answer.key_version})


def copied(answer: Copies) -> Finding:
    """Every copy, read back."""
    if not answer.copies or not all(copy.read_back for copy in answer.copies):
        return Finding(failed="a copy of the new tree was not read back")
    return Finding(RetentionStep.DROP_CACHES, {"copies": len(answer.copies)})


def dropped(answer: Caches) -> Finding:
    """No replica can remember the old tree any more."""
    return Finding(RetentionStep.TRIM, {"bound_seconds": answer.bound_seconds})


def purged(answer: Purge) -> Finding:
    """What was deleted, and whether anything is left."""
    left = sum(store.remaining for store in answer.stores)
    if left:
        return Finding(failed=f"the purge left {left} behind")
    return Finding(RetentionStep.COMPLETE, {"purged": sum(store.deleted for store in answer.stores)})


def counts(answer: Retention) -> tuple[RetentionCount, ...]:
    """What the run found and forgot, by category."""
    found, forgotten = answer.counts, answer.forgotten
    names = sorted({*found.due, *found.withheld, *found.unknown, *forgotten})
    return tuple(
        RetentionCount(
            category=name,
            due=found.due.get(name, 0),
            forgotten=forgotten.get(name, 0),
            withheld=found.withheld.get(name, 0),
            without_rule=found.unknown.get(name, 0),
        )
        for name in names
    )
