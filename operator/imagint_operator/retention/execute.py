"""Carries out one operation of a run and answers what it found. Each is idempotent by the run's id."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from imagint_operator import names
from imagint_operator.api.requests import KeyVersions
from imagint_operator.api.retention import RetentionRun, RetentionStep
from imagint_operator.dataplane.answers import Waiting
from imagint_operator.dataplane.gateways import RetentionRuns
from imagint_operator.errors import DataPlaneRefusedError, VaultRefusedError
from imagint_operator.keyrings import KeyRing
from imagint_operator.retention import findings
from imagint_operator.retention.findings import Finding
from imagint_operator.retention.plan import Operation
from imagint_privacy.keys.ports import KeyState

UNKNOWN_RUN = "not_found"
OTHER_RULES = "retention_conflict"
NOT_COMMITTED = frozenset({"Counting", "Begun"})


@dataclass(frozen=True, slots=True)
class Peers:
    """Those a run talks to beside the apiserver."""

    keys: KeyRing
    runs: RetentionRuns


@dataclass(frozen=True, slots=True)
class Work:
    """One run at one moment."""

    tenant: str
    run: RetentionRun
    key: KeyState | None
    excepted: tuple[str, ...] = ()

    @property
    def key_name(self) -> str:
        """The name of the tenant's key."""
        return names.namespace_of(self.tenant)

    @property
    def versions(self) -> KeyVersions:
        """The versions of the key before and after.

        Raises:
            VaultRefusedError: they are not recorded.
        """
        if self.run.key_versions is None:
            raise VaultRefusedError("the key versions are not recorded")
        return self.run.key_versions

    @property
    def state(self) -> KeyState:
        """The key as seen.

        Raises:
            VaultRefusedError: there is none.
        """
        if self.key is None:
            raise VaultRefusedError("Vault has no key for this tenant")
        return self.key


async def execute(peers: Peers, work: Work, operation: Operation) -> Finding:
    """Do one operation. A Gateway that does not know the run was restored from before it: the run begins there again.

    Raises:
        RetryableError: somebody did not answer; the same operation is right again later.
        PermanentError: somebody refuses.
    """
    try:
        return await _OPERATIONS[operation](peers, work)
    except DataPlaneRefusedError as error:
        if error.code == UNKNOWN_RUN and operation is not Operation.BEGIN:
            return findings.BEGIN_AGAIN
        if error.code == OTHER_RULES and operation is Operation.BEGIN:
            return Finding(dropped=True)  # the id was used with other rules: the next slot has another id
        raise


async def is_committed(peers: Peers, work: Work) -> bool:
    """Whether the data plane has forgotten anything for this run; one that it does not know has not."""
    try:
        shown = await peers.runs.show(work.tenant, work.run.id)
    except DataPlaneRefusedError as error:
        if error.code == UNKNOWN_RUN:
            return False
        raise
    return shown.state not in NOT_COMMITTED or shown.slices > 0


async def _begin(peers: Peers, work: Work) -> Finding:
    terms = findings.terms(work.run.rules)
    return findings.begun(await peers.runs.begin(work.tenant, work.run.id, terms, work.excepted), work.excepted)


async def _record_versions(_peers: Peers, work: Work) -> Finding:
    return findings.versions_recorded(work.state)


async def _rotate(peers: Peers, work: Work) -> Finding:
    await peers.keys.rotate(work.key_name)
    return Finding()


async def _confirm_rotation(_peers: Peers, work: Work) -> Finding:
    return findings.rotated(work.versions, work.state)


async def _commit(peers: Peers, work: Work) -> Finding:
    answer = await peers.runs.commit(work.tenant, work.run.id, key_version=work.versions.to)
    if isinstance(answer, Waiting):
        return Finding(waiting=answer.retry_after)
    return findings.committed(answer, await peers.runs.show(work.tenant, work.run.id), work.run)


async def _copy(peers: Peers, work: Work) -> Finding:
    return findings.copied(await peers.runs.copy(work.tenant, work.run.id))


async def _drop_caches(peers: Peers, work: Work) -> Finding:
    answer = await peers.runs.drop_caches(work.tenant, work.run.id)
    return Finding(waiting=answer.retry_after) if isinstance(answer, Waiting) else findings.dropped(answer)


async def _raise_minimum(peers: Peers, work: Work) -> Finding:
    await peers.keys.raise_minimum(work.key_name, work.versions.to)
    return Finding()


async def _trim(peers: Peers, work: Work) -> Finding:
    await peers.keys.trim(work.key_name, work.versions.to)
    return Finding()


async def _confirm_trim(_peers: Peers, _work: Work) -> Finding:
    return Finding(RetentionStep.PURGE)


async def _purge(peers: Peers, work: Work) -> Finding:
    return findings.purged(await peers.runs.purge(work.tenant, work.run.id))


async def _complete(peers: Peers, work: Work) -> Finding:
    await peers.runs.complete(work.tenant, work.run.id)
    return Finding(completed=await peers.runs.show(work.tenant, work.run.id))


_OPERATIONS: dict[Operation, Callable[[Peers, Work], Awaitable[Finding]]] = {
    Operation.BEGIN: _begin,
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
    Operation.COMPLETE: _complete,
}
KEY_OPERATIONS = frozenset({Operation.ROTATE, Operation.RAISE_MINIMUM, Operation.TRIM})
