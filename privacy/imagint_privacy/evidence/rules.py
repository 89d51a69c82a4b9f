"""Whether the statements of a certificate of erasure fit together.

The same rules bind the builder and the reader: what could not be issued is not accepted either, whoever signed it.
Each rule yields its objections as sentences; none of them decides alone, so that all are shown at once.

Times come from several clocks: the requester's, the operator's, the prober's, Vault's. Those of one clock must be
in order (to the second that Kubernetes rounds to); those of different clocks may differ by a skew.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from imagint_privacy import clocks
from imagint_privacy.evidence import documents
from imagint_privacy.evidence.fields import IDENTIFYING
from imagint_privacy.evidence.predicate import ErasurePredicate, KeyChange, ProbeResult, Probes, TreeChange

CLOCK_SKEW: Final = timedelta(seconds=120)
ROUNDING: Final = timedelta(seconds=1)
CHECKS_BEFORE: Final = (
    "old-root-accepted",
    "key-never-exportable",
    "erased-canary-opens",
    "survivor-canary-opens",
    "listing-recorded",
)
CHECKS_AFTER: Final = (
    "old-root-refused",
    "current-root-accepted",
    "old-version-trimmed",
    "key-never-exportable",
    "erased-canary-refused",
    "survivor-canary-opens",
    "listing-empty",
)
EXCLUDED_WHEN_ERASED: Final = ("VaultSnapshots", "ProcessMemory", "InertCiphertext", "HandedOut", "RequestRecord")
EXCLUDED_WHEN_NOTHING_HELD: Final = ("HandedOut", "RequestRecord")
ONLY_WHEN_ERASED: Final = ("key", "tree", "caches", "probes", "irrecoverable_after")


def problems(predicate: ErasurePredicate) -> tuple[str, ...]:
    """Every objection to the predicate; none means that it may be certified."""
    outcome = _erased if predicate.outcome == "Erased" else _nothing_held
    return (*_always(predicate), *outcome(predicate))


def _always(predicate: ErasurePredicate) -> Iterator[str]:
    if predicate.hold_check.active_holds:
        yield "a legal hold stood against the erasure"
    for role, account in predicate.actors:
        if role != "prober" and account == predicate.actors.prober:
            yield f"the prober has the identity of the {role}: it is not independent"
    if IDENTIFYING.search(documents.canonical(predicate.model_dump(mode="json")).decode()):
        yield "a text names a subject's handle or an e-mail address"
    yield from _deadlines(predicate)


def _deadlines(predicate: ErasurePredicate) -> Iterator[str]:
    stated = predicate.clocks
    law = clocks.deadlines(predicate.request.regulation, stated.received_at)
    if stated.due_by > (law.extended_due_by if stated.extended else law.due_by):
        yield "the stated due date is later than the law allows"
    if stated.acknowledge_by > law.acknowledge_by:
        yield "the stated date of acknowledgement is later than the law allows"


def _nothing_held(predicate: ErasurePredicate) -> Iterator[str]:
    if predicate.held.total():
        yield "something was held"
    for name in ONLY_WHEN_ERASED:
        if getattr(predicate, name) is not None:
            yield f"{name} is stated although nothing was held"
    if predicate.copies or predicate.stores:
        yield "copies or stores are stated although nothing was held"
    yield from _excluded(predicate, EXCLUDED_WHEN_NOTHING_HELD)
    checked, done = ("hold check", predicate.hold_check.checked_at), ("done", predicate.clocks.done_at)
    yield from in_order(("received", predicate.clocks.received_at), checked, done)
    yield from in_order(checked, done, tolerance=ROUNDING)


def _erased(predicate: ErasurePredicate) -> Iterator[str]:
    key, tree, caches, probes = predicate.key, predicate.tree, predicate.caches, predicate.probes
    final = predicate.irrecoverable_after
    if key is None or tree is None or caches is None or probes is None or final is None:
        missing = [name for name in ONLY_WHEN_ERASED if getattr(predicate, name) is None]
        yield "not stated: " + ", ".join(missing)
        return
    if not predicate.held.total():
        yield "nothing was held, so nothing can have been erased"
    yield from _excluded(predicate, EXCLUDED_WHEN_ERASED)
    yield from _key(predicate.request.tenant, key)
    yield from _places(predicate, tree)
    yield from _checks("before", probes.before, CHECKS_BEFORE)
    yield from _checks("after", probes.after, CHECKS_AFTER)
    yield from _order(predicate, key, probes)
    yield from _horizons(predicate, final, key.trimmed_at + timedelta(seconds=caches.bound_seconds))


def _excluded(predicate: ErasurePredicate, required: Sequence[str]) -> Iterator[str]:
    missing = set(required) - {exclusion.code for exclusion in predicate.not_covered}
    if missing:
        yield "what is not covered is left out: " + ", ".join(sorted(missing))


def _key(tenant: str, key: KeyChange) -> Iterator[str]:
    if key.name != f"tenant-{tenant}":
        yield "the key is not the tenant's own"
    if key.from_version >= key.to_version:
        yield "the key's version did not rise"
    if key.min_decryption_version < key.to_version or key.min_available_version < key.to_version:
        yield "the old version of the key was not trimmed"
    if key.exportable or key.allow_plaintext_backup:
        yield "the key could have been exported, so its destruction proves nothing"
    if not key.upsert_disabled:
        yield "a late writer could have made a key anew (upsert was not disabled)"


def _places(predicate: ErasurePredicate, tree: TreeChange) -> Iterator[str]:
    if not predicate.copies:
        yield "no copy of the new key tree is stated"
    for copy in predicate.copies:
        if not copy.read_back:
            yield f"copy {copy.store} was not read back"
        if copy.generation < tree.generation:
            yield f"copy {copy.store} is older than the tree without the subject"
    if not predicate.stores:
        yield "no store is stated"
    for store in predicate.stores:
        if store.remaining:
            yield f"store {store.store} still holds {store.remaining} of the subject's items"


def _checks(when: str, result: ProbeResult, required: Sequence[str]) -> Iterator[str]:
    names = [check.name for check in result.checks]
    if len(set(names)) != len(names):
        yield f"a probe {when} is stated twice"
    for name in required:
        if name not in names:
            yield f"probe {name} ({when}) was not made"
    for check in result.checks:
        if not check.passed:
            yield f"probe {check.name} ({when}) did not pass"


def _order(predicate: ErasurePredicate, key: KeyChange, probes: Probes) -> Iterator[str]:
    received, done = ("received", predicate.clocks.received_at), ("done", predicate.clocks.done_at)
    checked, destroyed = ("hold check", predicate.hold_check.checked_at), ("key destroyed", key.trimmed_at)
    before, after = ("probe before", probes.before.observed_at), ("probe after", probes.after.observed_at)
    yield from in_order(received, checked, before, destroyed, after, done)
    yield from in_order(checked, destroyed, done, tolerance=ROUNDING)
    yield from in_order(before, after, tolerance=ROUNDING)
    yield from in_order(("key created", key.created_at), destroyed)


def _horizons(predicate: ErasurePredicate, final: datetime, caches_gone: datetime) -> Iterator[str]:
    if predicate.key is not None and final < predicate.key.trimmed_at:
        yield "the data is called irrecoverable before the key was destroyed"
    ends: dict[str, datetime | None] = {item.code: item.until for item in predicate.not_covered}
    for code, until in (("VaultSnapshots", final), ("ProcessMemory", caches_gone)):
        stated = ends.get(code)
        if stated is None or stated < until:
            yield f"the exclusion {code} ends too early"


def in_order(*events: tuple[str, datetime], tolerance: timedelta = CLOCK_SKEW) -> Iterator[str]:
    """Each event that is earlier than the one before it, beyond what their clocks may differ by."""
    for (earlier, first), (later, second) in itertools.pairwise(events):
        if first > second + tolerance:
            yield f"'{later}' is earlier than '{earlier}'"
