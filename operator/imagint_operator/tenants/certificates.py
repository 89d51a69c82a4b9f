"""Pure: from a Tenant's recorded deletion to its certificate and to the ConfigMaps that outlive the namespace.

Everything here comes from status, so that a certificate made after a crash is byte for byte the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from imagint_operator import names
from imagint_operator.api.deletion import (
    CertificateList,
    DeletionOutcome,
    DeletionStatus,
    KeyAssurance,
    OpenRequestList,
    ProbeOutcome,
    ShredProbe,
)
from imagint_operator.api.tenants import Tenant
from imagint_operator.errors import EvidenceRefusedError
from imagint_privacy import evidence as ev

FILE = "certificate.json"
CHUNK = 900_000  # a ConfigMap holds 1 MiB, its metadata included
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Issuer:
    """What every certificate says about who issued it."""

    version: str
    image_digest: str | None
    policy_version: str
    snapshot_retention: timedelta


def name_of(tenant: Tenant) -> str:
    """The ConfigMap of a tenant's certificate. Tenants of one name follow each other: the uid tells them apart."""
    return f"shred-{tenant.name}-{tenant.metadata.uid[:8]}"


def archive_name(tenant: Tenant, number: int) -> str:
    """The ConfigMap of the certificates that were carried over."""
    return f"{name_of(tenant)}-certificates-{number}"


def config_map(tenant: Tenant, name: str, data: Mapping[str, str]) -> dict[str, Any]:
    """An immutable ConfigMap in the platform's namespace: it outlives the tenant."""
    metadata = {
        "name": name,
        "namespace": names.PLATFORM_NAMESPACE,
        "labels": names.labels(tenant.name),
        "annotations": {names.TENANT_UID: tenant.metadata.uid},
    }
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "immutable": True, "data": dict(data)}


def belongs(found: Mapping[str, Any], tenant: Tenant) -> bool:
    """Whether a ConfigMap of that name is this Tenant's, and nobody has changed it."""
    annotations = found["metadata"].get("annotations") or {}
    return annotations.get(names.TENANT_UID) == tenant.metadata.uid and bool(found.get("immutable"))


def found_in(config_maps: Iterable[Mapping[str, Any]], tenant: str) -> dict[str, str]:
    """The certificates among a namespace's ConfigMaps, by the file name that they are carried over under."""
    return {
        f"{found['metadata']['name']}.json": found["data"][FILE]
        for found in config_maps
        if found.get("immutable")
        and FILE in (found.get("data") or {})
        and names.is_managed(found["metadata"].get("labels") or {}, tenant)
    }


def chunks(files: Mapping[str, str]) -> list[dict[str, str]]:
    """The files in the order of their names, in parts that fit into a ConfigMap each."""
    parts: list[dict[str, str]] = []
    size = CHUNK
    for name, text in sorted(files.items()):
        needed = len(name) + len(text.encode())
        if size + needed > CHUNK:
            parts.append({})
            size = 0
        parts[-1][name] = text
        size += needed
    return parts


def carried_over(files: Mapping[str, str], archives: Iterable[str]) -> CertificateList:
    """What is recorded of the certificates that were carried over."""
    digests = sorted(ev.digest(text.encode()) for text in files.values())
    return CertificateList(
        count=len(digests),
        digest=ev.list_digest(digests),
        digests=tuple(digests[: ev.LISTED]),
        config_maps=tuple(archives)[: ev.LISTED],
    )


def ended(uids: Iterable[str]) -> OpenRequestList:
    """What is recorded of the requests that end with the tenant."""
    found = sorted(uids)
    return OpenRequestList(count=len(found), digest=ev.list_digest(found), uids=tuple(found[: ev.LISTED]))


def statement(tenant: Tenant, issuer: Issuer) -> bytes:
    """The statement to sign; without the prober's looks when only with them it does not fit together.

    Raises:
        EvidenceRefusedError: the record does not support the claim.
    """
    try:
        try:
            return ev.shred_statement(_predicate(tenant, issuer, probed=True))
        except ev.IncompleteEvidenceError:
            return ev.shred_statement(_predicate(tenant, issuer, probed=False))
    except ev.IncompleteEvidenceError as error:
        raise EvidenceRefusedError("; ".join(error.problems)) from error
    except (ValueError, LookupError) as error:
        raise EvidenceRefusedError(f"the record cannot be stated ({type(error).__name__})") from None


def _predicate(tenant: Tenant, issuer: Issuer, *, probed: bool) -> ev.ShredPredicate:
    deletion, namespace = _needed(tenant.status.deletion), names.namespace_of(tenant.name)
    begun, certificates = _needed(deletion.begun_at), _needed(deletion.certificates)
    requests, destroyed = _needed(deletion.open_requests), deletion.outcome is DeletionOutcome.SHREDDED
    made = ev.ShredPredicate(
        outcome=_needed(deletion.outcome).value,
        tenant=ev.ShreddedTenant(name=tenant.name, uid=tenant.metadata.uid),
        clocks=ev.ShredClocks(
            deleted_at=_needed(tenant.metadata.deletion_timestamp),
            shred_at=_needed(deletion.shred_at),
            begun_at=begun,
            done_at=_needed(deletion.done_at),
        ),
        hold_check=ev.HoldCheck(checked_at=begun, active_holds=0),
        key=_key(namespace, deletion),
        data_plane=ev.DataPlane(stopped_at=deletion.stopped_at),
        probes=_probes(deletion) if probed else ev.ShredProbes(),
        open_requests=ev.OpenRequests(count=requests.count, list_digest=requests.digest, uids=requests.uids),
        certificates=ev.CarriedOver(
            count=certificates.count,
            list_digest=certificates.digest,
            digests=certificates.digests,
            config_maps=certificates.config_maps,
        ),
        irrecoverable_after=_needed(deletion.irrecoverable_after),
        not_covered=ev.unstated(),
        policy_version=issuer.policy_version,
        operator=ev.Software(version=issuer.version, image_digest=issuer.image_digest),
        actors=ev.Actors(
            operator=names.service_account(names.CONTROLLER),
            data_plane=names.service_account(names.DATAPLANE, namespace),
            prober=names.service_account(names.PROBER),
            shredder=names.service_account(names.SHREDDER) if destroyed else None,
        ),
    )
    return made.model_copy(update={"not_covered": ev.shred_exclusions(made)})


def _key(namespace: str, deletion: DeletionStatus) -> ev.ShreddedKey:
    key = _needed(deletion.key)
    seen = key.created_at is not None
    return ev.ShreddedKey(
        name=namespace,
        version=key.version,
        oldest_version=key.oldest_version,
        created_at=key.created_at,
        exportable=KeyAssurance.NOT_EXPORTABLE not in key.assurances if seen else None,
        allow_plaintext_backup=KeyAssurance.NO_PLAINTEXT_BACKUP not in key.assurances if seen else None,
        upsert_disabled=KeyAssurance.UPSERT_DISABLED in key.assurances if seen else None,
        gone_at=_needed(deletion.gone_at),
    )


def _probes(deletion: DeletionStatus) -> ev.ShredProbes:
    """Both looks; the first only when the second tried what it had retained."""
    after = deletion.probe
    tried = after is not None and any(check.name == ev.OLD_ROOT_REFUSED for check in after.checks)
    return ev.ShredProbes(before=_look(deletion.root_probe) if tried else None, after=_look(after))


def _look(probe: ShredProbe | None) -> ev.ProbeResult | None:
    if probe is None:
        return None
    checks = tuple(
        ev.Check(name=check.name, passed=check.state is ProbeOutcome.PASSED, detail=check.detail or "no detail")
        for check in probe.checks
    )
    return ev.ProbeResult(observed_at=probe.observed_at, checks=checks)


def _needed(value: T | None) -> T:
    if value is None:
        raise LookupError
    return value


def irrecoverable_after(gone_at: datetime, issuer: Issuer) -> datetime:
    """The day on which the last Vault snapshot that still holds the key has expired."""
    return ev.irrecoverable_after(gone_at, issuer.snapshot_retention)
