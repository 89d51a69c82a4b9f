"""Small true implementations of the Gateways' privacy API and of the prober. For tests.

They hold what a subject has and enforce the protocol: steps in order, idempotent by the request's uid, no commit under
a version that Vault does not have, no success reported for what was not done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from imagint_operator.dataplane.fakelimits import FakeLimits
from imagint_operator.dataplane.fakeruns import FakeRuns, FakeTree
from imagint_operator.fakeservers import FakeServer, Reply, error
from imagint_privacy.evidence import CHECKS_AFTER, CHECKS_BEFORE, KEY_GONE, OLD_ROOT_REFUSED, SHRED_CHECKS_BEFORE
from imagint_privacy.keys.ports import KeyState

STATES = ("Fenced", "Committed", "Copied", "CachesDropped", "Purged", "Complete")
DIGEST = "sha256:" + "ab" * 32


@dataclass
class FakeErasure:
    """One erasure, as the data plane knows it."""

    subject: str
    held: dict[str, Any]
    state: str = "Fenced"
    waited: int = 0


@dataclass
class FakeTenant(FakeTree):
    """What one Gateway holds: records by subject, the tree's generation and the version that wraps its root."""

    records: dict[str, int] = field(default_factory=dict)
    required: int = 0
    erasures: dict[str, FakeErasure] = field(default_factory=dict)
    limits: FakeLimits = field(default_factory=FakeLimits)


class FakeGateways(FakeServer):
    """The Gateways of all tenants. `waits` is how often dropping the caches answers 202 first.

    `counting` is how often a run of retention has not counted all yet, `slice_paths` how many paths one commit forgets.
    """

    def __init__(self, token: str, key_state: Callable[[str], KeyState | None]) -> None:
        super().__init__(token)
        self.tenants: dict[str, FakeTenant] = {}
        self.waits = 0
        self.counting = 0
        self.slice_paths = 10_000
        self.ready = True
        self.failing_models: set[str] = set()
        self._key_state = key_state

    def tenant(self, name: str) -> FakeTenant:
        """One tenant's data, made at first sight."""
        return self.tenants.setdefault(name, FakeTenant())

    def answer(self, method: str, path: str, body: dict[str, Any]) -> Reply:
        """See the privacy API in the contract."""
        name, _, rest = path.strip("/").partition("/privacy/v1/")
        match method, rest.split("/"):
            case "GET", ["status"]:
                return 200, {
                    "tenant": name,
                    "ready": self.ready,
                    "reason": "",
                    "key_version": self.tenant(name).root_version,
                }
            case "POST", ["destroyed"]:
                self.tenant(name).required = body["below"]
                return 200, body
            case "POST", ["models", model, "probe"]:
                return error(503, "model_unavailable") if model in self.failing_models else (200, _PICTURE)
            case "POST", ["erasures"]:
                return self._fence(self.tenant(name), body)
            case "GET", ["erasures", request]:
                return 200, {"request": request, "state": self.tenant(name).erasures[request].state}
            case "POST", ["erasures", request, step]:
                return self._step(name, request, step, body)
            case _, ["restrictions", *which]:
                return self.tenant(name).limits.answer(method, which, body)
            case _, ["retention", *which]:
                return self._runs(name).answer(method, which, body)
        raise LookupError(path)

    def _runs(self, name: str) -> FakeRuns:
        key = self._key_state(f"tenant-{name}")
        return FakeRuns(self.tenant(name), key, slice_paths=self.slice_paths, counting=self.counting, waits=self.waits)

    def _fence(self, tenant: FakeTenant, body: dict[str, Any]) -> Reply:
        known = tenant.erasures.get(body["request"])
        if known is None:
            count = tenant.records.get(body["subject"], 0)
            records = {"prompts": count, "images": count} if count else {}
            known = FakeErasure(body["subject"], {"paths": 2 * bool(count), "records": records, "objects": count})
            tenant.erasures[body["request"]] = known
        versions = {"generation": tenant.generation, "key_version": tenant.root_version, "incarnation": 0}
        return 200, {"request": body["request"], "state": known.state, "held": known.held, **versions}

    def _step(self, name: str, request: str, step: str, body: dict[str, Any]) -> Reply:
        tenant = self.tenant(name)
        erasure = tenant.erasures[request]
        nothing = not erasure.held["paths"]
        steps = dict(zip(("commit", "copies", "caches", "purge", "complete"), STATES[1:], strict=True))
        reached, wanted = STATES.index(erasure.state), STATES.index(steps[step])
        if wanted > reached + 1 and not (nothing and step == "complete"):
            return error(409, "out_of_order")
        if wanted <= reached and step != "commit":
            return getattr(self, f"_{step}_answer")(tenant, erasure)  # type: ignore[no-any-return]
        status, answer = getattr(self, f"_{step}")(name, tenant, erasure, body)
        if status == 200 and wanted > reached:
            erasure.state = steps[step]
        return status, answer

    def _commit(self, name: str, tenant: FakeTenant, erasure: FakeErasure, body: dict[str, Any]) -> Reply:
        key = self._key_state(f"tenant-{name}")
        if key is None or key.latest_version < body["key_version"]:
            return error(409, "key_version_behind")
        if erasure.state == "Fenced":
            tenant.roots.append((tenant.root_version, tenant.open))
            tenant.generation += 1
            tenant.root_version = key.latest_version
        answer = {"generation": tenant.generation, "key_version": tenant.root_version}
        return 200, {**answer, "forgotten_paths": erasure.held["paths"]}

    def _copies(self, _name: str, tenant: FakeTenant, erasure: FakeErasure, _body: dict[str, Any]) -> Reply:
        tenant.copied_generation = tenant.generation
        return self._copies_answer(tenant, erasure)

    def _copies_answer(self, tenant: FakeTenant, _erasure: FakeErasure) -> Reply:
        copy = {"store": "copy-0", "generation": tenant.copied_generation, "root_digest": DIGEST, "read_back": True}
        return 200, {"copies": [copy]}

    def _caches(self, _name: str, tenant: FakeTenant, erasure: FakeErasure, _body: dict[str, Any]) -> Reply:
        if erasure.waited < self.waits:
            erasure.waited += 1
            return 202, {"state": "Waiting", "retry_after": 0.05}
        tenant.cached_generation = tenant.generation
        return self._caches_answer(tenant, erasure)

    def _caches_answer(self, _tenant: FakeTenant, _erasure: FakeErasure) -> Reply:
        return 200, {"replicas": [{"id": "replica-0", "generation": 1}], "bound_seconds": 5}

    def _purge(self, _name: str, tenant: FakeTenant, erasure: FakeErasure, _body: dict[str, Any]) -> Reply:
        tenant.records.pop(erasure.subject, None)
        return self._purge_answer(tenant, erasure)

    def _purge_answer(self, tenant: FakeTenant, erasure: FakeErasure) -> Reply:
        left = tenant.records.get(erasure.subject, 0)
        objects = erasure.held["objects"]
        stores = [{"store": store, "deleted": objects, "remaining": left} for store in ("database", "objects")]
        return 200, {"stores": stores}

    def _complete(self, _name: str, tenant: FakeTenant, erasure: FakeErasure, _body: dict[str, Any]) -> Reply:
        return self._complete_answer(tenant, erasure)

    def _complete_answer(self, _tenant: FakeTenant, _erasure: FakeErasure) -> Reply:
        return 200, {"state": "Complete"}


class FakeProber(FakeServer):
    """Looks at Vault's key and at what the Gateways hold."""

    def __init__(self, token: str, key_state: Callable[[str], KeyState | None], gateways: FakeGateways) -> None:
        super().__init__(token)
        self.broken: set[str] = set()
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        self._key_state = key_state
        self._gateways = gateways
        self._seen: dict[tuple[str, str], dict[str, Any]] = {}

    def answer(self, method: str, path: str, body: dict[str, Any]) -> Reply:
        """See the prober's API in the contract. A report that passed is answered again as it was."""
        match method, path.strip("/").split("/"):
            case "POST", ["probes", "v1", request, "before"]:
                return self._report(request, "before", dict.fromkeys(CHECKS_BEFORE, True))
            case "POST", ["probes", "v1", request, "after"]:
                if (request, "before") not in self._seen:
                    return error(409, "before_missing")
                return self._report(request, "after", self._after(body))
            case "POST", ["probes", "v1", "tenants", uid, "before"]:
                return self._report(uid, "root", dict.fromkeys(SHRED_CHECKS_BEFORE, True))
            case "POST", ["probes", "v1", "tenants", uid, "after"]:
                gone = self._key_state(body["namespace"]) is None
                kept = (uid, "root") in self._seen
                return self._report(uid, "gone", {KEY_GONE: gone, **({OLD_ROOT_REFUSED: gone} if kept else {})})
        raise LookupError(path)

    def _after(self, body: dict[str, Any]) -> dict[str, bool]:
        key = self._key_state(body["namespace"])
        trimmed = key is not None and key.min_available_version >= body["key_version"]
        gone = body["subject"] not in self._gateways.tenant(body["tenant"]).records
        seen = dict.fromkeys(CHECKS_AFTER, True)
        return seen | {"old-root-refused": trimmed, "old-version-trimmed": trimmed, "listing-empty": gone}

    def _report(self, request: str, when: str, checks: dict[str, bool]) -> Reply:
        known = self._seen.get((request, when))
        if known is not None:
            return 200, known
        seen = {name: passed and name not in self.broken for name, passed in checks.items()}
        report = {
            "passed": all(seen.values()),
            "checks": [{"name": name, "passed": passed, "detail": "seen"} for name, passed in seen.items()],
            "observed_at": self.clock().isoformat().replace("+00:00", "Z"),
        }
        if report["passed"]:
            self._seen[request, when] = report
        return 200, report


_PICTURE = {"ok": True, "seconds": 0.02}
