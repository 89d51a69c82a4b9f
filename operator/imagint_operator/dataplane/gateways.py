"""The privacy API of the tenants' Gateways. Every call is idempotent by the request's uid."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from imagint_operator import fences
from imagint_operator.dataplane.answers import (
    Commit,
    Fence,
    GatewayStatus,
    ModelProbe,
    ModelTrial,
    Progress,
    Restriction,
    Retention,
    Waiting,
)
from imagint_operator.dataplane.http import Door, Failures, JsonObject, Seen
from imagint_operator.dataplane.steps import LONG_SECONDS, Steps, parsed
from imagint_operator.errors import DataPlaneRefusedError, DataPlaneUnavailableError, OperatorError
from imagint_operator.telemetry.calls import Calls, Peer

GLANCE_SECONDS = 3.0
NOT_COMMITTED = frozenset({"Fencing", "Fenced"})
TRIAL_SECONDS = 270.0  # shorter than a look may take, longer than the Gateway gives it


def _unavailable(message: str, after: float) -> OperatorError:
    return DataPlaneUnavailableError(message, after=after)


def _refused(message: str, code: str) -> OperatorError:
    return DataPlaneRefusedError(message, code=code)


class RetentionRuns(Steps):
    """Has the Gateway of any tenant carry out a run of retention."""

    kind = "retention"

    async def begin(
        self, tenant: str, run: str, rules: Mapping[str, Mapping[str, int]], excepted: Sequence[str] = ()
    ) -> Retention:
        """Begin a run over what is due now, of all but the excepted, and count it; while `Counting`, ask again."""
        body: dict[str, object] = {"request": run, "rules": {category: dict(term) for category, term in rules.items()}}
        if excepted:
            body["except"] = list(excepted)
        return parsed(Retention, (await self._send(tenant, "POST", self.kind, body, seconds=LONG_SECONDS))[1])

    async def commit(self, tenant: str, run: str, *, key_version: int) -> Commit | Waiting:
        """Forget the next slice of what is due, under the new version; `Waiting` while more are to come."""
        status, answer = await self._step(tenant, run, "commit", {"key_version": key_version})
        return parsed(Waiting, answer) if status == 202 else parsed(Commit, answer)

    async def show(self, tenant: str, run: str) -> Retention:
        """How a run stands."""
        return parsed(Retention, (await self._send(tenant, "GET", f"{self.kind}/{run}"))[1])


@dataclass(frozen=True, slots=True)
class Limits:
    """What a restriction or an objection limits; nothing named means everything that it can be about."""

    kind: str
    subject: str
    categories: tuple[str, ...]
    purposes: tuple[str, ...]
    received_at: datetime


class Restrictions(Steps):
    """Has the Gateway of any tenant restrict, take objections, and lift both again."""

    kind = "restrictions"

    async def apply(self, tenant: str, request: str, limits: Limits) -> Restriction:
        """Begin a restriction or an objection; asked again, it answers how that stands now, lifted or not."""
        body = {
            "request": request,
            "subject": limits.subject,
            "kind": limits.kind,
            "categories": list(limits.categories),
            "purposes": list(limits.purposes),
            "received_at": limits.received_at.isoformat(),
        }
        return parsed(Restriction, (await self._send(tenant, "POST", self.kind, body))[1])

    async def show(self, tenant: str, request: str) -> Restriction:
        """How one stands."""
        return parsed(Restriction, (await self._send(tenant, "GET", f"{self.kind}/{request}"))[1])

    async def lift(self, tenant: str, request: str) -> Restriction:
        """End one; the others of the subject stay."""
        return parsed(Restriction, (await self._step(tenant, request, "lift"))[1])


class Gateways(Steps):
    """Calls the Gateway of any tenant."""

    def __init__(
        self,
        serve_url: str,
        token_file: Path,
        fence: fences.Fence | None = None,
        address: Callable[[str], str] = lambda _tenant: "",
        calls: Calls | None = None,
    ) -> None:
        """`address` answers where a tenant's Serve is, when not at `serve_url`."""
        failures, seen = Failures("the Gateway", _unavailable, _refused), Seen(Peer.GATEWAY, calls or Calls())
        super().__init__(Door(serve_url.rstrip("/"), token_file, failures, seen, fence), address)
        self.retention = RetentionRuns(self._door, address)
        self.restrictions = Restrictions(self._door, address)

    async def close(self) -> None:
        """Give the connections back."""
        await self._door.close()

    async def status(self, tenant: str) -> GatewayStatus:
        """How the Gateway is."""
        return parsed(GatewayStatus, (await self._send(tenant, "GET", "status", seconds=GLANCE_SECONDS))[1])

    async def require_key(self, tenant: str, below: int) -> None:
        """Have the Gateway serve no tree wrapped under a version of the key that was destroyed."""
        await self._send(tenant, "POST", "destroyed", {"below": below}, seconds=GLANCE_SECONDS)

    async def probe_model(self, tenant: str, model: str) -> ModelProbe:
        """Have the model make a tiny picture."""
        answer = await self._send(tenant, "POST", f"models/{model}/probe", {}, seconds=LONG_SECONDS)
        return parsed(ModelProbe, answer[1])

    async def try_revision(self, tenant: str, model: str, body: JsonObject) -> ModelTrial:
        """Have a revision make test pictures, and have them judged where they are made."""
        answer = await self._send(tenant, "POST", f"models/{model}/trial", body, seconds=TRIAL_SECONDS)
        return parsed(ModelTrial, answer[1])

    async def fence(
        self, tenant: str, request: str, *, subject: str, categories: tuple[str, ...], received_at: datetime
    ) -> Fence:
        """Stop new writes for the subject and answer what is held."""
        body = {
            "request": request,
            "subject": subject,
            "categories": list(categories),
            "received_at": received_at.isoformat(),
        }
        return parsed(Fence, (await self._send(tenant, "POST", "erasures", body))[1])

    async def erasure_state(self, tenant: str, request: str) -> str:
        """How far an erasure is in the data plane: see `NOT_COMMITTED`."""
        return parsed(Progress, (await self._send(tenant, "GET", f"{self.kind}/{request}"))[1]).state

    async def commit(self, tenant: str, request: str, *, key_version: int) -> Commit:
        """Write the tree without the subject's keys, under the new version."""
        return parsed(Commit, (await self._step(tenant, request, "commit", {"key_version": key_version}))[1])
