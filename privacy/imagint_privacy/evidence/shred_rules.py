"""Whether the statements about a tenant's end fit together, and what such a certificate does not cover.

The same rules bind the builder and the reader, as with erasures. A look that was not made is no objection when it is
said plainly; a look that did not pass always is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from imagint_privacy.evidence import documents
from imagint_privacy.evidence.fields import IDENTIFYING
from imagint_privacy.evidence.predicate import ProbeResult
from imagint_privacy.evidence.rules import ROUNDING, in_order
from imagint_privacy.evidence.shred import (
    LISTED,
    CarriedOver,
    OpenRequests,
    ShreddedKey,
    ShredExclusion,
    ShredNotCovered,
    ShredPredicate,
    list_digest,
)

SHRED_CHECKS_BEFORE: Final = ("root-accepted", "key-never-exportable")
KEY_GONE: Final = "key-gone"
OLD_ROOT_REFUSED: Final = "old-root-refused"
ALWAYS: Final[tuple[ShredExclusion, ...]] = ("VaultSnapshots", "InertCiphertext", "HandedOut")
_TEXTS: Final[dict[ShredExclusion, str]] = {
    "VaultSnapshots": "Snapshots of the key store (Vault) taken before the key was destroyed: whoever holds one of "
    "them, its unseal keys and the encrypted data could open that data. The last such snapshot expires then.",
    "ProcessMemory": "It was not confirmed that the tenant's processes had stopped: one that still ran may have held "
    "keys in its memory until it ended.",
    "InertCiphertext": "The tenant's encrypted records and images, their copies and backups were not deleted: the "
    "Gateway that could delete them was stopped first. The key that opens them no longer exists.",
    "HandedOut": "Images, exports and answers handed out earlier are outside this system.",
    "OpenRequests": "Requests of data subjects that were still open ended with the tenant, without a certificate each.",
    "RootNotRetained": "No root of the key tree could be retained before (the data plane did not answer): it was seen "
    "that the key is gone, not that an old root is refused.",
    "NotProbed": "No look of the prober's stands behind it: that the key is gone was seen by the operator only, which "
    "destroyed it.",
    "KeyAlreadyGone": "The key was gone before this deletion came to it. By whom and when it was destroyed is unknown.",
    "KeyExportable": "The key could have been exported from Vault, or backed up in the clear: whoever did so can still "
    "open the tenant's data.",
    "UpsertPossible": "Vault may make a key at a first encryption: a late writer could have made a key of that name.",
}


def shred_exclusions(predicate: ShredPredicate) -> tuple[ShredNotCovered, ...]:
    """What has to be said of a tenant's end, as it is stated."""
    final = predicate.irrecoverable_after
    return tuple(
        ShredNotCovered(code=code, text=_TEXTS[code], until=final if code == "VaultSnapshots" else None)
        for code in _required(predicate)
    )


def unstated() -> tuple[ShredNotCovered, ...]:
    """A placeholder for a predicate under construction: every rule refuses it."""
    return (ShredNotCovered(code="HandedOut", text=_TEXTS["HandedOut"]),)


def shred_problems(predicate: ShredPredicate) -> tuple[str, ...]:
    """Every objection to the predicate; none means that it may be certified."""
    return tuple(_problems(predicate))


def _required(predicate: ShredPredicate) -> tuple[ShredExclusion, ...]:
    codes = list(ALWAYS)
    if predicate.data_plane.stopped_at is None:
        codes.append("ProcessMemory")
    if predicate.open_requests.count:
        codes.append("OpenRequests")
    if predicate.probes.before is None:
        codes.append("RootNotRetained")
    if predicate.probes.after is None:
        codes.append("NotProbed")
    if predicate.outcome == "KeyAlreadyGone":
        codes.append("KeyAlreadyGone")
    else:
        key = predicate.key
        codes += [] if key.exportable is False and key.allow_plaintext_backup is False else ["KeyExportable"]
        codes += [] if key.upsert_disabled is True else ["UpsertPossible"]
    return tuple(codes)


def _problems(predicate: ShredPredicate) -> Iterator[str]:
    if predicate.hold_check.active_holds:
        yield "a legal hold stood against the deletion"
    for role, account in predicate.actors:
        if role != "prober" and account == predicate.actors.prober:
            yield f"the prober has the identity of the {role}: it is not independent"
    if IDENTIFYING.search(documents.canonical(predicate.model_dump(mode="json")).decode()):
        yield "a text names a subject's handle or an e-mail address"
    missing = set(_required(predicate)) - {exclusion.code for exclusion in predicate.not_covered}
    if missing:
        yield "what is not covered is left out: " + ", ".join(sorted(missing))
    if predicate.key.name != f"tenant-{predicate.tenant.name}":
        yield "the key is not the tenant's own"
    if predicate.outcome == "Shredded":
        yield from _key(predicate.key)
    yield from _probes(predicate)
    yield from _lists(predicate.open_requests, predicate.certificates)
    yield from _times(predicate)


def _key(key: ShreddedKey) -> Iterator[str]:
    if key.created_at is None or key.oldest_version is None:
        yield "the key's age or its oldest version is not stated"
    elif key.oldest_version > key.version:
        yield "the key's oldest version is newer than its newest"


def _probes(predicate: ShredPredicate) -> Iterator[str]:
    before, after = predicate.probes.before, predicate.probes.after
    if before is not None:
        yield from _checks("before", before, SHRED_CHECKS_BEFORE)
    if after is not None:
        yield from _checks("after", after, (KEY_GONE, *((OLD_ROOT_REFUSED,) if before is not None else ())))


def _checks(when: str, result: ProbeResult, required: tuple[str, ...]) -> Iterator[str]:
    names = [check.name for check in result.checks]
    if len(set(names)) != len(names):
        yield f"a probe {when} is stated twice"
    for name in required:
        if name not in names:
            yield f"probe {name} ({when}) was not made"
    for check in result.checks:
        if not check.passed:
            yield f"probe {check.name} ({when}) did not pass"


def _lists(requests: OpenRequests, certificates: CarriedOver) -> Iterator[str]:
    for what, count, items, stated in (
        ("open requests", requests.count, requests.uids, requests.list_digest),
        ("certificates", certificates.count, certificates.digests, certificates.list_digest),
    ):
        if len(items) != min(count, LISTED) or len(set(items)) != len(items):
            yield f"the list of {what} does not fit its count"
        elif count <= LISTED and list_digest(items) != stated:
            yield f"the list of {what} does not fit its digest"
    if bool(certificates.count) != bool(certificates.config_maps):
        yield "where the certificates were carried over to is not stated"


def _times(predicate: ShredPredicate) -> Iterator[str]:
    clocks, key, probes = predicate.clocks, predicate.key, predicate.probes
    begun: tuple[str, datetime] = ("begun", clocks.begun_at)
    gone, done = ("key gone", key.gone_at), ("done", clocks.done_at)
    yield from in_order(("deleted", clocks.deleted_at), ("shred at", clocks.shred_at), begun, tolerance=ROUNDING)
    yield from in_order(("hold check", predicate.hold_check.checked_at), begun, gone, done, tolerance=ROUNDING)
    if predicate.data_plane.stopped_at is not None:
        yield from in_order(("data plane stopped", predicate.data_plane.stopped_at), begun, tolerance=ROUNDING)
    if key.created_at is not None:
        yield from in_order(("key created", key.created_at), gone)
    if probes.before is not None:
        yield from in_order(("probe before", probes.before.observed_at), begun)
    if probes.after is not None:
        yield from in_order(begun, ("probe after", probes.after.observed_at), done)
    if predicate.irrecoverable_after < key.gone_at:
        yield "the data is called irrecoverable before the key was destroyed"
    for exclusion in predicate.not_covered:
        late = exclusion.until is not None and exclusion.until >= predicate.irrecoverable_after
        if exclusion.code == "VaultSnapshots" and not late:
            yield "the exclusion VaultSnapshots ends too early"
