"""What the observations mean: pure. Each check fails unless what it looked for was positively seen.

An error, a missing answer or "not allowed" is never a refusal: only Vault's "too old" and the Gateway's "key
destroyed" are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from imagint_privacy.keys.ports import KeyState, Refusal
from imagint_serving.prober.messages import Canaries, Check, Holdings, Root
from imagint_serving.prober.ports import Opening

TOO_OLD = "too-old"
KEY_MISSING = "key-missing"
MAX_NAMED = 8


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at Vault and at the Gateway; openings stand in the order of the canaries."""

    key: KeyState | None
    root: Root
    root_refusal: Refusal
    erased: tuple[Opening, ...]
    survivors: tuple[Opening, ...]
    holdings: Holdings


@dataclass(frozen=True, slots=True)
class Earlier:
    """What was kept from before, and how Vault answers for it now."""

    root: Root
    root_refusal: Refusal
    canaries: Canaries
    holdings: Holdings


def before(namespace: str, seen: Seen) -> tuple[Check, ...]:
    """Whether everything still opens, so that a later refusal means something."""
    held = sum(seen.holdings.records.values())
    return (
        _root_accepted("old-root-accepted", namespace, seen),
        _never_exportable(seen.key),
        _openings("erased-canary-opens", seen.erased, Opening.OPENED),
        _openings("survivor-canary-opens", seen.survivors, Opening.OPENED),
        Check(
            name="listing-recorded",
            passed=True,
            detail=f"listed: {seen.holdings.paths} paths, {held} records, {seen.holdings.objects} objects",
        ),
    )


def after(namespace: str, key_version: int, earlier: Earlier, seen: Seen) -> tuple[Check, ...]:
    """Whether what was to be forgotten is, and only that."""
    return (
        _old_root_refused(key_version, earlier),
        _root_accepted("current-root-accepted", namespace, seen),
        _trimmed(seen.key, key_version),
        _never_exportable(seen.key),
        _openings("erased-canary-refused", seen.erased, Opening.KEY_DESTROYED),
        _openings("survivor-canary-opens", seen.survivors, Opening.OPENED),
        _listing_empty(earlier, seen.holdings),
    )


def tenant_before(namespace: str, key: KeyState | None, root: Root, refusal: Refusal) -> tuple[Check, ...]:
    """Whether the tenant's root still opens, so that a later refusal means something."""
    passed = root.key_name == namespace and not refusal.refused
    accepted = Check(name="root-accepted", passed=passed, detail=f"Vault on {_root(root)}: {refusal.reason}")
    return (accepted, _never_exportable(key))


def tenant_after(key: KeyState | None, root: Root | None, refusal: Refusal | None) -> tuple[Check, ...]:
    """Whether the tenant's key is gone, and with it what opened the root of before."""
    detail = "Vault knows no such key" if key is None else f"Vault still knows the key, newest {key.latest_version}"
    gone = Check(name="key-gone", passed=key is None, detail=detail)
    if root is None or refusal is None:
        return (gone,)
    refused = refusal.refused and refusal.reason in {KEY_MISSING, TOO_OLD}
    return (gone, Check(name="old-root-refused", passed=refused, detail=f"Vault on {_root(root)}: {refusal.reason}"))


def _root_accepted(name: str, namespace: str, seen: Seen) -> Check:
    passed = seen.root.key_name == namespace and not seen.root_refusal.refused
    return Check(name=name, passed=passed, detail=f"Vault on {_root(seen.root)}: {seen.root_refusal.reason}")


def _old_root_refused(key_version: int, earlier: Earlier) -> Check:
    refusal = earlier.root_refusal
    passed = refusal.refused and refusal.reason == TOO_OLD and earlier.root.key_version < key_version
    return Check(name="old-root-refused", passed=passed, detail=f"Vault on {_root(earlier.root)}: {refusal.reason}")


def _trimmed(key: KeyState | None, key_version: int) -> Check:
    if key is None:
        return Check(name="old-version-trimmed", passed=False, detail="Vault knows no such key")
    oldest = min(key.min_available_version, key.min_decryption_version, key.min_encryption_version)
    detail = (
        f"oldest available {key.min_available_version}, decrypting from {key.min_decryption_version}, "
        f"encrypting from {key.min_encryption_version}, newest {key.latest_version}"
    )
    passed = key_version <= oldest and key_version <= key.latest_version
    return Check(name="old-version-trimmed", passed=passed, detail=detail)


def _never_exportable(key: KeyState | None) -> Check:
    passed = key is not None and not key.exportable and not key.allow_plaintext_backup
    flags = "Vault knows no such key"
    if key is not None:
        flags = f"exportable {key.exportable}, plaintext backup {key.allow_plaintext_backup}".lower()
    return Check(name="key-never-exportable", passed=passed, detail=flags)


def _openings(name: str, openings: Sequence[Opening], wanted: Opening) -> Check:
    others = sorted({opening.value for opening in openings if opening is not wanted})
    passed = bool(openings) and not others
    detail = f"{len(openings)} of {len(openings)} {wanted.value}" if passed else "; ".join(others) or "there was none"
    return Check(name=name, passed=passed, detail=detail)


def _listing_empty(earlier: Earlier, now: Holdings) -> Check:
    erased = {canary.category for canary in earlier.canaries.erased}
    kept = {category for category, count in earlier.holdings.records.items() if count} - erased
    left = sum(count for category, count in now.records.items() if category in erased)
    detail = f"{left} records of {', '.join(sorted(erased)[:MAX_NAMED]) or 'no category'}"
    if not kept:
        # Everything was to go, so nothing at all may be listed, whatever it is called.
        left = sum(now.records.values()) + now.paths + now.objects
        detail = f"{now.paths} paths, {sum(now.records.values())} records, {now.objects} objects"
    return Check(name="listing-empty", passed=bool(erased) and left == 0, detail=f"listed: {detail}")


def _root(root: Root) -> str:
    fingerprint = hashlib.sha256(root.ciphertext.encode()).hexdigest()[:16]
    return f"root {fingerprint} of generation {root.generation}, key version {root.key_version}"
