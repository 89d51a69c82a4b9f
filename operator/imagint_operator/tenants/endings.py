"""Carries out the steps of a deletion that leave a trace in `status.deletion`, and answers what is to be recorded.

Each can be done again: a crash after it and before the record repeats it, with the same outcome.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from imagint_operator import names
from imagint_operator.api.deletion import (
    DeletionStatus,
    DeletionStep,
    ProbeOutcome,
    ShredCheck,
    ShredEvidence,
    ShredProbe,
)
from imagint_operator.api.requests import DataSubjectRequest
from imagint_operator.api.tenants import Tenant
from imagint_operator.conditions import holds
from imagint_operator.dataplane.answers import ProbeReport
from imagint_operator.dataplane.prober import Prober
from imagint_operator.errors import EvidenceRefusedError, KubeConflictError, OperatorError, ProberRefusedError
from imagint_operator.keyrings import KeyRing
from imagint_operator.kube.client import JsonObject
from imagint_operator.kube.clients import Clients
from imagint_operator.kube.resources import CONFIG_MAPS, DATA_SUBJECT_REQUESTS, NAMESPACES, ROLE_BINDINGS
from imagint_operator.tenants import certificates, walls
from imagint_operator.tenants.shredding import Archive, Certify, ProbeGone, Record, RetainRoot
from imagint_operator.times import Clock
from imagint_privacy import evidence as ev
from imagint_privacy.keys.ports import Signer

Recorded = RetainRoot | Record | ProbeGone | Archive | Certify
COMPLETE = "Complete"
DETAIL = 400


@dataclass(frozen=True, slots=True)
class Witnesses:
    """Who looks, who signs, and what every certificate says."""

    prober: Prober
    keys: KeyRing
    signer: Signer
    issuer: certificates.Issuer
    clock: Clock


class Ending:
    """The end of one tenant after the other: the controller reads and testifies, the provisioner gives it the right."""

    def __init__(self, clients: Clients, witnesses: Witnesses) -> None:
        self._client = clients.controller
        self._provisioner = clients.provisioner
        self._by = witnesses

    async def carry_out(self, tenant: Tenant, action: Recorded) -> DeletionStatus:
        """Do one step; answers what is to be recorded.

        Raises:
            RetryableError: somebody did not answer; the same step is right again later.
            PermanentError: somebody refuses, or the look did not pass.
        """
        if isinstance(action, Record):
            return action.deletion
        if isinstance(action, RetainRoot):
            return await self._retain(tenant, final=action.final)
        deletion = tenant.status.deletion
        if deletion is None:
            raise EvidenceRefusedError("no deletion is recorded")
        if isinstance(action, ProbeGone):
            return await self._probe(tenant, deletion, final=action.final)
        return await (self._archive if isinstance(action, Archive) else self._certify)(tenant, deletion)

    async def _retain(self, tenant: Tenant, *, final: bool) -> DeletionStatus:
        begun = DeletionStatus(step=DeletionStep.DRAIN, started_at=self._by.clock())
        try:
            report = await self._by.prober.tenant_before(
                tenant.metadata.uid, tenant=tenant.name, namespace=names.namespace_of(tenant.name)
            )
        except OperatorError:
            if final:
                return begun
            raise
        if not report.passed and not final:
            raise ProberRefusedError("the tenant's last root does not open", code="root_refused")
        return begun.model_copy(update={"root_probe": _recorded(report) if report.passed else None})

    async def _probe(self, tenant: Tenant, deletion: DeletionStatus, *, final: bool) -> DeletionStatus:
        onward = deletion.model_copy(update={"step": DeletionStep.ARCHIVE})
        try:
            report = await self._by.prober.tenant_after(
                tenant.metadata.uid, tenant=tenant.name, namespace=names.namespace_of(tenant.name)
            )
        except OperatorError:
            if final:
                return onward
            raise
        if not report.passed:
            failed = ", ".join(check.name for check in report.checks if not check.passed)
            raise ProberRefusedError(f"the prober does not see the key gone: {failed}", code="key_seen")
        return onward.model_copy(update={"probe": _recorded(report)})

    async def _archive(self, tenant: Tenant, deletion: DeletionStatus) -> DeletionStatus:
        """Carry over what lies in the namespace, beside what an earlier try carried over already."""
        namespace = names.namespace_of(tenant.name)
        listed = await self._client.list_all(DATA_SUBJECT_REQUESTS, namespace)
        requests = [DataSubjectRequest.model_validate(item) for item in listed]
        open_requests = [request.metadata.uid for request in requests if not holds(request.status.conditions, COMPLETE)]
        found = await self._config_maps(tenant, requests)
        files, archives = await self._carry_over(tenant, certificates.found_in(found, tenant.name))
        gone = deletion.gone_at or self._by.clock()
        return deletion.model_copy(
            update={
                "step": DeletionStep.CERTIFY,
                "open_requests": certificates.ended(open_requests),
                "certificates": certificates.carried_over(files, archives),
                "done_at": self._by.clock(),
                "irrecoverable_after": certificates.irrecoverable_after(gone, self._by.issuer),
            }
        )

    async def _config_maps(self, tenant: Tenant, requests: list[DataSubjectRequest]) -> list[JsonObject]:
        """All of a namespace that stands; of one that somebody deletes already, those that its requests name.

        Nothing can be made in a namespace that goes, the right to list neither.
        """
        name = names.namespace_of(tenant.name)
        namespace = await self._client.get(NAMESPACES, name)
        if namespace is not None and not namespace["metadata"].get("deletionTimestamp"):
            await self._provisioner.apply(ROLE_BINDINGS, walls.archivist(tenant))
            return await self._client.list_all(CONFIG_MAPS, name)
        evidence = [request.status.evidence for request in requests]
        wanted = [item.config_map for item in evidence if item is not None and item.config_map is not None]
        found = await asyncio.gather(*(self._client.get(CONFIG_MAPS, item, name) for item in wanted))
        return [item for item in found if item is not None]

    async def _carry_over(self, tenant: Tenant, files: dict[str, str]) -> tuple[dict[str, str], list[str]]:
        kept: dict[str, str] = {}
        archives: list[str] = []
        while (found := await self._own(tenant, certificates.archive_name(tenant, len(archives)))) is not None:
            kept |= found
            archives.append(certificates.archive_name(tenant, len(archives)))
        missing = {name: text for name, text in files.items() if name not in kept}
        for part in certificates.chunks(missing):
            name = certificates.archive_name(tenant, len(archives))
            await self._client.create(CONFIG_MAPS, certificates.config_map(tenant, name, part))
            archives.append(name)
        return kept | files, archives

    async def _own(self, tenant: Tenant, name: str) -> dict[str, str] | None:
        found = await self._client.get(CONFIG_MAPS, name, names.PLATFORM_NAMESPACE)
        if found is None:
            return None
        if not certificates.belongs(found, tenant):
            raise EvidenceRefusedError(
                f"ConfigMap {name} in {names.PLATFORM_NAMESPACE} is not this Tenant's: delete it if it is nobody's"
            )
        data: dict[str, str] = found.get("data") or {}
        return data

    async def _certify(self, tenant: Tenant, deletion: DeletionStatus) -> DeletionStatus:
        name = certificates.name_of(tenant)
        stored = await self._own(tenant, name)
        if stored is None:
            text = certificates.statement(tenant, self._by.issuer)
            certificate = await self._by.keys.sign(lambda: ev.certify(text, self._by.signer))
            stored = {certificates.FILE: certificate.decode()}
            await self._client.create(CONFIG_MAPS, certificates.config_map(tenant, name, stored))
        if certificates.FILE not in stored:
            raise KubeConflictError(f"ConfigMap {name} holds no certificate")
        evidence = ShredEvidence(config_map=name, digest=ev.digest(stored[certificates.FILE].encode()))
        return deletion.model_copy(update={"step": DeletionStep.RELEASE, "evidence": evidence})


def _recorded(report: ProbeReport) -> ShredProbe:
    checks = tuple(
        ShredCheck(
            name=check.name,
            state=ProbeOutcome.PASSED if check.passed else ProbeOutcome.FAILED,
            detail=check.detail[:DETAIL],
        )
        for check in report.checks
    )
    return ShredProbe(observed_at=report.observed_at, checks=checks)
