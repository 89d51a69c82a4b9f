"""A verified certificate of a tenant's end in plain words. Never move a claim up to what is proven."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from imagint_privacy.evidence.fields import format_time
from imagint_privacy.evidence.predicate import ProbeResult
from imagint_privacy.evidence.shred import ShreddedKey, ShredPredicate


def shred_consistency(predicate: ShredPredicate) -> Iterator[str]:
    """What anybody can check with the file alone."""
    yield (
        "Its statements fit together: the key was touched only after the grace time, every probe that is stated "
        "passed, the lists fit their digests, and the times are in order."
    )


def shred_claims(predicate: ShredPredicate) -> Iterator[str]:
    """What the issuer says happened."""
    tenant, clocks = predicate.tenant, predicate.clocks
    yield (
        f"Tenant {tenant.name} ({tenant.uid}) was deleted on {format_time(clocks.deleted_at)}; its key could go from "
        f"{format_time(clocks.shred_at)} on."
    )
    yield (
        f"No legal hold stood against it on {format_time(predicate.hold_check.checked_at)}; "
        f"policy {predicate.policy_version}."
    )
    stopped = predicate.data_plane.stopped_at
    if stopped is not None:
        yield f"Nothing of the tenant ran any more on {format_time(stopped)}, before its key was touched."
    yield _key(predicate, predicate.key)
    yield from _probes(predicate)
    yield f"{predicate.open_requests.count} requests of data subjects were still open and ended with the tenant."
    carried = predicate.certificates
    if carried.count:
        yield f"{carried.count} earlier certificates were carried over to {', '.join(carried.config_maps)}."
    else:
        yield "There were no earlier certificates to carry over."
    software = predicate.operator
    yield f"Issued by operator {software.version}, image {software.image_digest or 'none (run from sources)'}."


def shred_limits(predicate: ShredPredicate, now: datetime) -> Iterator[str]:
    """What is not covered, and until when."""
    final = format_time(predicate.irrecoverable_after)
    if predicate.irrecoverable_after > now:
        yield (
            f"Until {final} a snapshot of Vault could still bring the destroyed key back. Nothing is claimed to be "
            "irrecoverable before then."
        )
    else:
        yield f"Since {final} no snapshot of Vault is said to exist that could bring the key back."
    for exclusion in predicate.not_covered:
        until = f" (until {format_time(exclusion.until)})" if exclusion.until else ""
        yield f"{exclusion.text}{until}"


def _key(predicate: ShredPredicate, key: ShreddedKey) -> str:
    if predicate.outcome == "KeyAlreadyGone" or key.created_at is None:
        return f"Key {key.name}, last seen with version {key.version}, was already gone on {format_time(key.gone_at)}."
    inside = key.exportable is False and key.allow_plaintext_backup is False
    return (
        f"Vault destroyed key {key.name} with every version of it, {key.oldest_version} to {key.version} (the newest "
        f"made {format_time(key.created_at)}); it was seen gone on {format_time(key.gone_at)}."
        + (" The key could never be exported or backed up in the clear." if inside else "")
    )


def _probes(predicate: ShredPredicate) -> Iterator[str]:
    before, after = predicate.probes.before, predicate.probes.after
    if before is None and after is None:
        yield "No independent prober looked."
        return
    yield f"An independent prober ({predicate.actors.prober}) looked:"
    yield from _checks("before", before)
    yield from _checks("after", after)


def _checks(when: str, result: ProbeResult | None) -> Iterator[str]:
    if result is None:
        yield f"  {when}: it could not look"
        return
    for check in result.checks:
        yield f"  {when}: {check.name}: {check.detail}"
