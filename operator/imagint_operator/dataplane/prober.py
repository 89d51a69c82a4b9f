"""The prober: another identity than the one that erases, asked to look before and after."""

from __future__ import annotations

from pathlib import Path

from imagint_operator.dataplane.answers import ProbeReport
from imagint_operator.dataplane.http import Door, Failures, JsonObject
from imagint_operator.dataplane.steps import parsed
from imagint_operator.errors import OperatorError, ProberRefusedError, ProberUnavailableError
from imagint_operator.fences import Fence

PROBE_SECONDS = 60.0


def _unavailable(message: str, after: float) -> OperatorError:
    return ProberUnavailableError(message, after=after)


def _refused(message: str, code: str) -> OperatorError:
    return ProberRefusedError(message, code=code)


class Prober:
    """Asks the prober to look. Both calls are idempotent by the request's uid."""

    def __init__(self, url: str, token_file: Path, fence: Fence | None = None) -> None:
        self._door = Door(url.rstrip("/"), token_file, Failures("the prober", _unavailable, _refused), fence)

    async def close(self) -> None:
        """Give the connections back."""
        await self._door.close()

    async def before(self, request: str, *, tenant: str, namespace: str, subject: str) -> ProbeReport:
        """Plant canaries, keep the old root, and see that everything opens."""
        return await self._probe(request, "before", {"tenant": tenant, "namespace": namespace, "subject": subject})

    async def after(self, request: str, *, tenant: str, namespace: str, subject: str, key_version: int) -> ProbeReport:
        """See that what must be refused is refused, and that the survivors still open."""
        body = {"tenant": tenant, "namespace": namespace, "subject": subject, "key_version": key_version}
        return await self._probe(request, "after", body)

    async def tenant_before(self, uid: str, *, tenant: str, namespace: str) -> ProbeReport:
        """Keep the tenant's last root, which the key opens still."""
        return await self._probe(f"tenants/{uid}", "before", {"tenant": tenant, "namespace": namespace})

    async def tenant_after(self, uid: str, *, tenant: str, namespace: str) -> ProbeReport:
        """See that the tenant's key is gone, and that a root that was kept is refused."""
        return await self._probe(f"tenants/{uid}", "after", {"tenant": tenant, "namespace": namespace})

    async def _probe(self, request: str, when: str, body: JsonObject) -> ProbeReport:
        path = f"/probes/v1/{request}/{when}"
        _, answer = await self._door.send("POST", path, body, seconds=PROBE_SECONDS)
        return parsed(ProbeReport, answer)
