"""Which of several operators works: the one that holds the Lease. The others wait, with their caches warm.

Own code and not `kubernetes.aio.leaderelection`, for the reasons in docs/adr/0010-leader-election.md. Rules:
1. Only time that passed here counts, by the fence's clock. What a Lease says about time is for people.
2. A holder's fence closes `renew_deadline` after it *sent* its last renewal that was accepted.
3. A standby takes a Lease that it saw unchanged for the whole duration that the holder wrote into it, or whose holder
   is certainly gone.
4. Every write of the Lease names the resourceVersion that was seen, so of two takers one loses.
5. A holder that ends stops its work, closes its fence, and only then gives the Lease back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from imagint_operator.errors import KubeConflictError, OperatorError
from imagint_operator.fences import Fence
from imagint_operator.incarnations import certainly_gone
from imagint_operator.kube.client import KubeClient
from imagint_operator.kube.resources import LEASES
from imagint_operator.times import Clock

RELEASE_SECONDS = 1.5
ENDING_SECONDS = 1.5
STEP_SECONDS = 0.02
_log = logging.getLogger(__name__)
Work = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a Lease holds without renewal, when its holder stops by itself, how often either looks."""

    duration: float = 12.0
    renew_deadline: float = 8.0
    retry: float = 1.5


@dataclass(frozen=True, slots=True)
class Place:
    """Which Lease, and who asks for it."""

    namespace: str
    name: str
    identity: str


@dataclass(frozen=True, slots=True)
class Seen:
    """A Lease as it was seen, and when it was first seen so."""

    version: str
    holder: str
    duration: float
    transitions: int
    acquired: str
    since: float


class Elector:
    """Works while it holds the Lease, waits while another does."""

    def __init__(self, client: KubeClient, place: Place, timing: Timing, fence: Fence, clock: Clock) -> None:
        self._client = client
        self._place = place
        self._timing = timing
        self._fence = fence
        self._clock = clock
        self._seen: Seen | None = None
        self.leading = False

    async def run(self, work: Work) -> None:
        """Wait for the Lease, work until it is lost, and begin again; cancelled, give it back.

        Raises:
            Exception: what the work raised; the Lease is given back.
        """
        try:
            while True:
                await self._wait_for_lease()
                self.leading = True
                _log.info("%s holds the Lease and works", self._place.identity)
                await self._lead(work)
                _log.warning("%s does not hold the Lease any more: it writes nothing and waits", self._place.identity)
        finally:
            self._fence.close()
            if self.leading:
                await self._give_back()

    async def _wait_for_lease(self) -> None:
        held = await self._attempt()
        while not held:
            await asyncio.sleep(self._timing.retry)
            held = await self._attempt()

    async def _lead(self, work: Work) -> None:
        """Work until the work ends, or the Lease is lost."""
        working = asyncio.ensure_future(work())
        keeping = asyncio.create_task(self._keep(), name="lease")
        try:
            await asyncio.wait({working, keeping}, return_when=asyncio.FIRST_COMPLETED)
            if working.done() and not keeping.done():
                await working
        finally:
            self._fence.close()
            for task in (working, keeping):
                task.cancel()
            await asyncio.wait({working, keeping}, timeout=ENDING_SECONDS)
        self.leading = False

    async def _keep(self) -> None:
        """Renew until the fence has closed, or another holds the Lease."""
        while True:
            await asyncio.sleep(min(self._timing.retry, max(0.0, self._fence.left)))
            if self._fence.left <= 0:
                return
            if not await self._attempt() and self._seen is not None and self._seen.holder != self._place.identity:
                return

    async def _attempt(self) -> bool:
        """Take or renew the Lease if it may be; answers whether it is held. Never raises what the apiserver says."""
        try:
            async with asyncio.timeout(self._patience()):
                if self._seen is None or not self._mine(self._seen):
                    await self._look()
                if self._seen is not None and not self._free(self._seen):
                    return False
                return await self._take()
        except KubeConflictError:
            self._seen = None  # somebody was faster, or it was deleted: look again
            return False
        except (OperatorError, TimeoutError) as error:
            _log.warning("the Lease cannot be renewed or read (%s)", getattr(error, "reason", "TimedOut"))
            return False

    def _patience(self) -> float:
        """A renewal may not outlast the fence; a look of a standby not the time between two."""
        return max(STEP_SECONDS, min(self._fence.left, self._timing.renew_deadline / 2)) if self.leading else 5.0

    def _mine(self, seen: Seen) -> bool:
        return seen.holder == self._place.identity

    def _free(self, seen: Seen) -> bool:
        if self._mine(seen) or not seen.holder or certainly_gone(seen.holder):
            return True
        return self._fence.clock() - seen.since >= max(seen.duration, self._timing.duration)

    async def _look(self) -> None:
        found = await self._client.get(LEASES, self._place.name, self._place.namespace)
        seen = _seen(found, self._fence.clock()) if found is not None else None
        if seen is None or self._seen is None or seen.version != self._seen.version:
            self._seen = seen

    async def _take(self) -> bool:
        sent = self._fence.clock()
        body = self._body(self._place.identity, self._timing.duration)
        if self._seen is None:
            answer = await self._client.create(LEASES, body, fenced=False)
        else:
            answer = await self._client.replace(LEASES, body, fenced=False)
        self._seen = _seen(answer, sent)
        self._fence.open_until(sent + self._timing.renew_deadline)
        return True

    async def _give_back(self) -> None:
        """Let the next one in at once; not while a call is under way that cannot be cut off."""
        self.leading = False
        with contextlib.suppress(OperatorError, TimeoutError):
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._fence.idle()
                if self._seen is not None and self._mine(self._seen):
                    await self._client.replace(LEASES, self._body("", 1.0), fenced=False)

    def _body(self, holder: str, duration: float) -> dict[str, Any]:
        now = self._clock().isoformat(timespec="microseconds").replace("+00:00", "Z")
        before = self._seen
        goes_on = before is not None and before.holder == holder
        spec = {
            "holderIdentity": holder,
            "leaseDurationSeconds": max(1, round(duration)),
            "acquireTime": before.acquired if before is not None and goes_on else now,
            "renewTime": now,
            "leaseTransitions": (before.transitions + (not goes_on) if before is not None else 0),
        }
        metadata = {"name": self._place.name, "namespace": self._place.namespace}
        if before is not None:
            metadata["resourceVersion"] = before.version
        return {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata, "spec": spec}


def _seen(lease: Mapping[str, Any], now: float) -> Seen:
    spec = lease.get("spec") or {}
    return Seen(
        version=lease["metadata"]["resourceVersion"],
        holder=spec.get("holderIdentity") or "",
        duration=float(spec.get("leaseDurationSeconds") or 0),
        transitions=int(spec.get("leaseTransitions") or 0),
        acquired=spec.get("acquireTime") or "",
        since=now,
    )
