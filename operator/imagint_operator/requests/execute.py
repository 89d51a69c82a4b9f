"""Carries out one operation of a request and answers what it found. Each is idempotent by the request's uid."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from imagint_operator import names
from imagint_operator.api.processors import DataProcessor
from imagint_operator.api.requests import (
    DataSubjectRequest,
    DataSubjectRequestStatus,
    Evidence,
    RequestType,
    StepName,
)
from imagint_operator.boundpolicies import policy_of
from imagint_operator.dataplane.answers import Waiting
from imagint_operator.dataplane.gateways import NOT_COMMITTED, Gateways, Limits
from imagint_operator.dataplane.prober import Prober
from imagint_operator.errors import EvidenceRefusedError, KubeConflictError, VaultRefusedError
from imagint_operator.keyrings import KeyRing
from imagint_operator.kube.client import KubeClient
from imagint_operator.kube.readers import LiveReader, Reader
from imagint_operator.kube.resources import CONFIG_MAPS
from imagint_operator.recipients.protocols import Asking
from imagint_operator.recipients.wire import Recipients
from imagint_operator.requests import certificates, findings
from imagint_operator.requests.observations import Observed, received_at
from imagint_operator.requests.observe import standing
from imagint_operator.requests.progress import LIFTED, Finding
from imagint_operator.requests.steps import Operation, step
from imagint_operator.terms import terms_of
from imagint_operator.times import Clock
from imagint_privacy import evidence as ev
from imagint_privacy.keys.ports import KeyState, Signer

STATES = {RequestType.RESTRICT: "Restricted", RequestType.OBJECT: "Objected"}


@dataclass(frozen=True, slots=True)
class Peers:
    """Everybody an erasure talks to."""

    client: KubeClient
    reader: Reader
    keys: KeyRing
    gateways: Gateways
    prober: Prober
    signer: Signer
    recipients: Recipients
    issuer: certificates.Issuer
    clock: Clock
    new_salt: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Erasure:
    """One request at one moment."""

    request: DataSubjectRequest
    observed: Observed

    @property
    def status(self) -> DataSubjectRequestStatus:
        """What is recorded."""
        return self.request.status

    @property
    def uid(self) -> str:
        """What the data plane and the prober know it by."""
        return self.request.metadata.uid

    @property
    def namespace(self) -> str:
        """The tenant's namespace; its Vault key has the same name."""
        return self.request.metadata.namespace or ""

    @property
    def tenant(self) -> str:
        """The tenant."""
        return names.tenant_of(self.namespace)

    @property
    def limit(self) -> str:
        """What the data plane knows a restriction or an objection by: its own request's uid, or the lifted one's."""
        return self.observed.lifted.metadata.uid if self.observed.lifted is not None else self.uid

    @property
    def to_version(self) -> int:
        """The version that the survivors move to.

        Raises:
            VaultRefusedError: it is not recorded.
        """
        if self.status.key_versions is None:
            raise VaultRefusedError("the key versions are not recorded")
        return self.status.key_versions.to


async def execute(peers: Peers, erasure: Erasure, operation: Operation) -> Finding:
    """Do one operation.

    Raises:
        RetryableError: somebody did not answer; the same operation is right again later.
        PermanentError: somebody refuses.
    """
    return await _OPERATIONS[operation](peers, erasure)


async def _check_holds(peers: Peers, erasure: Erasure) -> Finding:
    seen, now = erasure.observed, peers.clock()
    holds = await standing(LiveReader(peers.client), erasure.request, now)
    return findings.holds_checked(seen.key, upsert_disabled=seen.upsert_disabled, holds=holds, at=now)


async def _check_holds_again(peers: Peers, erasure: Erasure) -> Finding:
    """What stands against it now, unless the data plane has committed: then a hold comes too late."""
    holds = await standing(LiveReader(peers.client), erasure.request, peers.clock())
    if holds and await peers.gateways.erasure_state(erasure.tenant, erasure.uid) not in NOT_COMMITTED:
        return Finding(finished=False)
    return Finding(finished=False, holds=holds)


async def _give_back(_peers: Peers, _erasure: Erasure) -> Finding:
    return Finding(finished=False, given_back=True)


def _limits(request: DataSubjectRequest) -> Limits:
    spec = request.spec
    return Limits(
        kind=spec.type.value,
        subject=spec.subject,
        categories=tuple(category.value for category in spec.scope.categories),
        purposes=tuple(purpose.value for purpose in spec.purposes),
        received_at=received_at(request),
    )


async def _apply(peers: Peers, erasure: Erasure) -> Finding:
    limits = _limits(erasure.request)
    return findings.limited(await peers.gateways.restrictions.apply(erasure.tenant, erasure.uid, limits))


async def still_stands(peers: Peers, request: DataSubjectRequest) -> tuple[Finding, bool]:
    """Ask the data plane for a restriction or an objection that was confirmed; one that it lost begins again."""
    tenant = names.tenant_of(request.metadata.namespace or "")
    answer = await peers.gateways.restrictions.apply(tenant, request.metadata.uid, _limits(request))
    return findings.limited(answer), answer.state == STATES[request.spec.type]


async def _lift(peers: Peers, erasure: Erasure) -> Finding:
    return findings.limited(await peers.gateways.restrictions.lift(erasure.tenant, erasure.limit))


async def _confirm(peers: Peers, erasure: Erasure) -> Finding:
    answer = await peers.gateways.restrictions.show(erasure.tenant, erasure.limit)
    wanted = LIFTED if erasure.request.spec.lift is not None else STATES[erasure.request.spec.type]
    return findings.confirmed(answer, wanted, peers.clock())


async def _fence(peers: Peers, erasure: Erasure) -> Finding:
    spec = erasure.request.spec
    answer = await peers.gateways.fence(
        erasure.tenant,
        erasure.uid,
        subject=spec.subject,
        categories=tuple(category.value for category in spec.scope.categories),
        received_at=received_at(erasure.request),
    )
    return findings.fenced(answer)


async def _probe_before(peers: Peers, erasure: Erasure) -> Finding:
    subject = erasure.request.spec.subject
    report = await peers.prober.before(erasure.uid, tenant=erasure.tenant, namespace=erasure.namespace, subject=subject)
    return findings.probed(report)


async def _record_versions(_peers: Peers, erasure: Erasure) -> Finding:
    return findings.versions_recorded(_key(erasure))


async def _rotate(peers: Peers, erasure: Erasure) -> Finding:
    await peers.keys.rotate(erasure.namespace)
    return Finding(finished=False)


async def _confirm_rotation(_peers: Peers, erasure: Erasure) -> Finding:
    versions = erasure.status.key_versions
    if versions is None:
        raise VaultRefusedError("the key versions are not recorded")
    return findings.rotated(versions, _key(erasure), step(erasure.status, StepName.ROTATE).result)


async def _commit(peers: Peers, erasure: Erasure) -> Finding:
    answer = await peers.gateways.commit(erasure.tenant, erasure.uid, key_version=erasure.to_version)
    return findings.committed(answer)


async def _copy(peers: Peers, erasure: Erasure) -> Finding:
    return findings.copied(await peers.gateways.copy(erasure.tenant, erasure.uid))


async def _drop_caches(peers: Peers, erasure: Erasure) -> Finding:
    answer = await peers.gateways.drop_caches(erasure.tenant, erasure.uid)
    if isinstance(answer, Waiting):
        return Finding(finished=False, waiting=answer.retry_after)
    return findings.dropped(answer)


async def _raise_minimum(peers: Peers, erasure: Erasure) -> Finding:
    await peers.keys.raise_minimum(erasure.namespace, erasure.to_version)
    return Finding(finished=False)


async def _trim(peers: Peers, erasure: Erasure) -> Finding:
    await peers.keys.trim(erasure.namespace, erasure.to_version)
    return Finding(finished=False)


async def _confirm_trim(peers: Peers, erasure: Erasure) -> Finding:
    finding = findings.trimmed(_key(erasure), upsert_disabled=erasure.observed.upsert_disabled)
    return dataclasses.replace(finding, snapshot_retention=peers.issuer.snapshot_retention)


async def _purge(peers: Peers, erasure: Erasure) -> Finding:
    return findings.purged(await peers.gateways.purge(erasure.tenant, erasure.uid))


async def _probe_after(peers: Peers, erasure: Erasure) -> Finding:
    report = await peers.prober.after(
        erasure.uid,
        tenant=erasure.tenant,
        namespace=erasure.namespace,
        subject=erasure.request.spec.subject,
        key_version=erasure.to_version,
    )
    return findings.probed(report)


async def _tell_processors(peers: Peers, erasure: Erasure) -> Finding:
    """One round: tell those who were not, ask those who were. With none there is nobody to tell."""
    spec = erasure.request.spec
    asking = Asking(
        uid=erasure.uid,
        tenant=erasure.tenant,
        subject=spec.subject,
        regulation=spec.regulation.value,
        categories=tuple(category.value for category in spec.scope.categories),
        received_at=received_at(erasure.request),
        due_by=erasure.status.due_by,
    )
    processors = await peers.reader.all(DataProcessor)
    entries, waiting = await peers.recipients.round(asking, processors, erasure.status.processors)
    return findings.told(entries, waiting)


async def _prepare(peers: Peers, erasure: Erasure) -> Finding:
    """What makes the certificate the same whenever it is made: the salt, the moment, the edition in force."""
    tenant = erasure.observed.tenant
    terms = terms_of(await policy_of(peers.reader, tenant)) if tenant is not None else None
    evidence = Evidence(salt=peers.new_salt(), policy_version=terms.version if terms else None)
    return Finding(finished=False, evidence=evidence, completed_at=peers.clock())


async def _certify(peers: Peers, erasure: Erasure) -> Finding:
    """Sign, store where kubectl finds it, and only then lift the fence."""
    request, status = erasure.request, erasure.status
    text = certificates.statement(request, status, peers.issuer)
    certificate = await _signed(text, peers)
    name, stored = await _stored(peers.client, request, certificate)
    await peers.gateways.complete(erasure.tenant, erasure.uid)
    prepared = status.evidence or Evidence(salt="")
    return Finding(evidence=prepared.model_copy(update={"config_map": name, "digest": ev.digest(stored)}))


async def _signed(text: bytes, peers: Peers) -> bytes:
    try:
        return await peers.keys.sign(lambda: ev.certify(text, peers.signer))
    except ev.SigningError as error:
        raise EvidenceRefusedError(f"the certificate could not be signed ({error})") from error


async def _stored(client: KubeClient, request: DataSubjectRequest, certificate: bytes) -> tuple[str, bytes]:
    """Create the ConfigMap; one that an earlier attempt made is the certificate.

    Raises:
        KubeConflictError: somebody else's ConfigMap has each of its names.
    """
    for name in certificates.config_map_names(request):
        found = await client.get(CONFIG_MAPS, name, request.metadata.namespace)
        if found is None:
            found = await client.create(CONFIG_MAPS, certificates.config_map(request, name, certificate))
        if certificates.belongs(found, request):
            return name, str(found["data"][certificates.FILE]).encode()
    raise KubeConflictError(f"ConfigMap {name} exists and is not this request's certificate", after=5)


def _key(erasure: Erasure) -> KeyState:
    if erasure.observed.key is None:
        raise VaultRefusedError("Vault has no key for this tenant")
    return erasure.observed.key


_OPERATIONS: dict[Operation, Callable[[Peers, Erasure], Awaitable[Finding]]] = {
    Operation.CHECK_HOLDS: _check_holds,
    Operation.FENCE: _fence,
    Operation.PROBE_BEFORE: _probe_before,
    Operation.RECORD_VERSIONS: _record_versions,
    Operation.ROTATE: _rotate,
    Operation.CONFIRM_ROTATION: _confirm_rotation,
    Operation.COMMIT: _commit,
    Operation.COPY: _copy,
    Operation.DROP_CACHES: _drop_caches,
    Operation.RAISE_MINIMUM: _raise_minimum,
    Operation.TRIM: _trim,
    Operation.CONFIRM_TRIM: _confirm_trim,
    Operation.PURGE: _purge,
    Operation.PROBE_AFTER: _probe_after,
    Operation.TELL_PROCESSORS: _tell_processors,
    Operation.PREPARE_CERTIFICATE: _prepare,
    Operation.CERTIFY: _certify,
    Operation.CHECK_HOLDS_AGAIN: _check_holds_again,
    Operation.GIVE_BACK: _give_back,
    Operation.APPLY: _apply,
    Operation.LIFT: _lift,
    Operation.CONFIRM: _confirm,
}
KEY_OPERATIONS = frozenset({Operation.ROTATE, Operation.RAISE_MINIMUM, Operation.TRIM})
