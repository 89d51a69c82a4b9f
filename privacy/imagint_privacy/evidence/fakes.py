"""For tests and examples: a signer that holds its key in memory, and the facts of a plausible erasure.

Never used in service: the evidence key lives in Vault.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from imagint_privacy.clocks import Regulation, deadlines
from imagint_privacy.evidence import predicate as parts
from imagint_privacy.evidence import shred
from imagint_privacy.evidence.exclusions import exclusions, exclusions_nothing_held
from imagint_privacy.evidence.rules import CHECKS_AFTER, CHECKS_BEFORE
from imagint_privacy.evidence.shred_rules import (
    KEY_GONE,
    OLD_ROOT_REFUSED,
    SHRED_CHECKS_BEFORE,
    shred_exclusions,
    unstated,
)

RECEIVED: Final = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
HANDLE: Final = "subj-abcdefghijklmnopqrstuvwxyz"
SALT: Final = "5a" * 32
SNAPSHOTS_KEPT: Final = timedelta(days=30)


class LocalSigner:
    """Signs with an Ed25519 key made from a seed of 32 bytes."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)

    def sign(self, message: bytes) -> bytes:
        """Sign the message."""
        return self._key.sign(message)

    def public_key(self) -> str:
        """The public key in PEM."""
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def probe_result(names: tuple[str, ...], after_seconds: int) -> parts.ProbeResult:
    """A look at which everything passed."""
    checks = tuple(parts.Check(name=name, passed=True, detail=f"{name}: as it should be") for name in names)
    return parts.ProbeResult(observed_at=RECEIVED + timedelta(seconds=after_seconds), checks=checks)


def erased(**changes: Any) -> parts.ErasurePredicate:
    """An erasure under the GDPR that went well; `changes` replace whole parts of it."""
    trimmed = RECEIVED + timedelta(seconds=64)
    final = parts.irrecoverable_after(trimmed, SNAPSHOTS_KEPT)
    facts: dict[str, Any] = {
        "outcome": "Erased",
        "held": parts.Held(paths=2, records={"images": 3, "prompts": 3}, objects=3),
        "key": parts.KeyChange(
            name="tenant-acme",
            from_version=4,
            to_version=5,
            created_at=RECEIVED - timedelta(days=3),
            trimmed_at=trimmed,
            min_decryption_version=5,
            min_available_version=5,
            exportable=False,
            allow_plaintext_backup=False,
            upsert_disabled=True,
        ),
        "tree": parts.TreeChange(generation=18, forgotten_paths=2, incarnation=1),
        "copies": (parts.Copy(store="copy-1", generation=18, root_digest="sha256:" + "ab" * 32, read_back=True),),
        "caches": parts.Caches(bound_seconds=5, replicas=("gateway-1",)),
        "stores": (
            parts.Store(store="records", deleted=6, remaining=0),
            parts.Store(store="objects", deleted=3, remaining=0),
        ),
        "probes": parts.Probes(before=probe_result(CHECKS_BEFORE, 61), after=probe_result(CHECKS_AFTER, 65)),
        "processors": (
            parts.ProcessorReceipt(name="mailer", result="Acknowledged", at=RECEIVED + timedelta(seconds=65)),
        ),
        "irrecoverable_after": final,
        "not_covered": exclusions(irrecoverable_after=final, trimmed_at=trimmed, cache_bound_seconds=5),
    }
    return parts.ErasurePredicate(**{**_shared(), **facts, **changes})


def nothing_held(**changes: Any) -> parts.ErasurePredicate:
    """A request about somebody of whom nothing was held."""
    facts: dict[str, Any] = {
        "outcome": "NothingHeld",
        "held": parts.Held(paths=0, records={}, objects=0),
        "not_covered": exclusions_nothing_held(),
    }
    return parts.ErasurePredicate(**{**_shared(), **facts, **changes})


def shredded(**changes: Any) -> shred.ShredPredicate:
    """The end of a tenant that went well; what is not covered follows from the rest unless it is given."""
    uids = ("0b9cbd9c-3f0e-4c0e-9c3e-2f8f6f0f2a12",)
    digests = ("sha256:" + "12" * 32, "sha256:" + "34" * 32)
    gone, shared = RECEIVED + timedelta(seconds=20), _shared()
    facts: dict[str, Any] = {
        "outcome": "Shredded",
        "tenant": shred.ShreddedTenant(name="acme", uid="5f0e1b7a-2d4c-4b8e-8a55-6d1f0e9c7b21"),
        "clocks": shred.ShredClocks(
            deleted_at=RECEIVED,
            shred_at=RECEIVED + timedelta(seconds=10),
            begun_at=RECEIVED + timedelta(seconds=15),
            done_at=RECEIVED + timedelta(seconds=30),
        ),
        "hold_check": parts.HoldCheck(checked_at=RECEIVED + timedelta(seconds=15), active_holds=0),
        "key": shred.ShreddedKey(
            name="tenant-acme",
            version=5,
            oldest_version=4,
            created_at=RECEIVED - timedelta(days=3),
            exportable=False,
            allow_plaintext_backup=False,
            upsert_disabled=True,
            gone_at=gone,
        ),
        "data_plane": shred.DataPlane(stopped_at=RECEIVED + timedelta(seconds=12)),
        "probes": shred.ShredProbes(
            before=probe_result(SHRED_CHECKS_BEFORE, 1), after=probe_result((KEY_GONE, OLD_ROOT_REFUSED), 21)
        ),
        "open_requests": shred.OpenRequests(count=1, list_digest=shred.list_digest(uids), uids=uids),
        "certificates": shred.CarriedOver(
            count=2,
            list_digest=shred.list_digest(digests),
            digests=digests,
            config_maps=("shred-acme-5f0e1b7a-certificates-0",),
        ),
        "irrecoverable_after": parts.irrecoverable_after(gone, SNAPSHOTS_KEPT),
        "not_covered": unstated(),
        **{name: shared[name] for name in ("policy_version", "operator", "actors")},
    }
    made = shred.ShredPredicate(**{**facts, **changes})
    return made if "not_covered" in changes else made.model_copy(update={"not_covered": shred_exclusions(made)})


def _shared() -> dict[str, Any]:
    law = deadlines(Regulation.GDPR, RECEIVED)
    return {
        "request": parts.Request(
            uid="0b9cbd9c-3f0e-4c0e-9c3e-2f8f6f0f2a11",
            tenant="acme",
            regulation=Regulation.GDPR,
            verification=parts.Verification(method="SignedIn", at=RECEIVED),
        ),
        "clocks": parts.Clocks(
            received_at=RECEIVED,
            acknowledge_by=law.acknowledge_by,
            acknowledged_at=RECEIVED + timedelta(seconds=60),
            due_by=law.due_by,
            done_at=RECEIVED + timedelta(seconds=66),
        ),
        "hold_check": parts.HoldCheck(checked_at=RECEIVED + timedelta(seconds=60), active_holds=0),
        "policy_version": "2024-08-02",
        "operator": parts.Software(version="0.1.0", image_digest="sha256:" + "cd" * 32),
        "actors": parts.Actors(
            operator="system:serviceaccount:imagint-system:imagint-operator",
            data_plane="system:serviceaccount:tenant-acme:imagint-dataplane",
            prober="system:serviceaccount:imagint-system:imagint-prober",
        ),
    }
