"""A small world of every kind, what a person does to it stage by stage, and a snapshot of where it came to.

The person and the snapshot go to the apiserver and to Vault directly: no fault touches them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from imagint_dev.apiserver import ApiServer
from imagint_dev.errors import RefusedError
from imagint_dev.faults import snapshots
from imagint_operator.dataplane.fakes import FakeGateways
from imagint_operator.kube.resources import CHILDREN, NAMESPACES
from imagint_operator.serve.fakes import FakeServe
from imagint_privacy.keys.ports import KeyState

GROUP = "imagint.ai/v1alpha1"
OWN = f"/apis/{GROUP}"
WIDE = ("tenants", "privacypolicies", "dataprocessors", "breachincidents")
INSIDE = ("modeldeployments", "datasubjectrequests", "legalholds")
ADA, BOB, EVE = ("subj-" + letter * 26 for letter in "abe")
VERIFIED = {"method": "AccountSession", "at": "2026-11-23T12:00:00Z"}
OWNED = "labelSelector=app.kubernetes.io%2Fmanaged-by%3Dimagint-operator"
LOOK_SECONDS = 0.1
SECOND_SCORE = 40


class BrokenWorldError(AssertionError):
    """Something happened that never must, or what must happen did not."""


def require(holds: bool, what: str) -> None:
    """See to it that something holds.

    Raises:
        BrokenWorldError: it does not.
    """
    if not holds:
        raise BrokenWorldError(what)


class World:
    """One tenant and everything about it. `name` is in the names of all its objects."""

    def __init__(
        self,
        api: ApiServer,
        name: str,
        serve: FakeServe,
        gateways: FakeGateways,
        key: Callable[[str], KeyState | None],
    ) -> None:
        self.name, self.namespace = name, f"tenant-{name}"
        self._api, self._serve, self._key = api, serve, key
        self._uids: set[str] = set()
        self.data = gateways.tenant(name)
        self.data.records |= {ADA: 3, BOB: 2, EVE: 1}
        self.data.old |= {"images": 3, "prompts": 2}
        self.gateways = gateways
        self.home = ""
        """Where this test keeps its files: it differs from test to test."""
        self.problems: list[str] = []
        self._completed: dict[str, str] = {}

    def begin(self, policy: Mapping[str, Any], now: datetime) -> None:
        """A policy, a recipient, a breach, and a tenant that refers to them."""
        effective = (now - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        metadata = {"name": self.name}
        self.apply({**policy, "metadata": metadata,
                    "spec": {**policy["spec"], "version": "1.0.0", "effectiveAt": effective}})  # fmt: skip
        self.apply(_kind("DataProcessor", metadata, {
            "displayName": "Letters", "purpose": "Support", "role": "Processor", "categories": ["prompts"],
            "region": "us", "safeguard": "StandardContractualClauses", "contract": {"reference": "DPA-1"},
            "tenants": {"selection": "Named", "names": [self.name]},
            "erasure": {"protocol": "Manual", "contact": "desk@letters.example"},
        }))  # fmt: skip
        self.apply(_kind("Tenant", metadata, {
            "residency": {"region": "eu"}, "deletion": {"policy": "Shred"}, "policyRef": {"name": self.name},
            "retention": [{"category": "images", "keepMonths": 24}, {"category": "prompts", "keepDays": 30}],
            "retentionSchedule": {"everyHours": 1},
        }))  # fmt: skip
        self.apply(_kind("BreachIncident", metadata, {
            "discoveredAt": effective, "occurred": {"from": effective},
            "affected": {"extent": "SomeTenants", "tenants": [self.name]}, "risk": "Risk",
            "nature": ["Confidentiality"], "description": "a disk was lost", "consequences": "pictures may be seen",
            "measures": "keys destroyed", "contact": "data protection officer",
        }))  # fmt: skip

    def fill(self) -> None:
        """A model, a hold over one person, and three requests, once there is a namespace for them."""
        self.model()
        self.apply(_kind("LegalHold", self._inside("court"), {
            "target": {"type": "Subject", "subject": EVE}, "authority": "Regional Court", "reasonCode": "Litigation",
            "from": "2026-01-01T00:00:00Z", "reviewBy": "2099-01-01T00:00:00Z",
        }))  # fmt: skip
        for name, type_, subject in (("ada", "Erase", ADA), ("eve", "Erase", EVE), ("bob", "Restrict", BOB)):
            self.ask(name, type_, subject)

    def ask(self, name: str, type_: str, subject: str) -> None:
        """A request."""
        spec = {"type": type_, "subject": subject, "regulation": "GDPR", "verification": VERIFIED}
        self.apply(_kind("DataSubjectRequest", self._inside(name), spec))

    def model(self, **spec: Any) -> None:
        """The model; another `dtype` is another revision."""
        source = {"type": "Bundled", "name": "shapes"}
        self.apply(_kind("ModelDeployment", self._inside("shapes"), {"source": source, **spec}))

    def release(self) -> None:
        """The hold is gone."""
        self._api.remove(f"{OWN}/namespaces/{self.namespace}/legalholds/court")

    def delete(self) -> None:
        """The tenant shall go."""
        self._api.remove(f"{OWN}/tenants/{self.name}")

    def sweep_up(self) -> None:
        """What is not the tenant's own."""
        for plural in WIDE[1:]:
            self._api.remove(f"{OWN}/{plural}/{self.name}")

    def apply(self, manifest: dict[str, Any]) -> None:
        """What a person applies."""
        self._api.apply(manifest)

    def get(self, path: str) -> dict[str, Any] | None:
        """One object or list, if it is there."""
        try:
            return self._api.get(path)
        except RefusedError as error:
            if error.status != 404:
                raise
            return None

    def own(self, plural: str, name: str | None = None) -> dict[str, Any]:
        """An object of our own group, empty when it is not there."""
        inside = f"/namespaces/{self.namespace}" if plural in INSIDE else ""
        return self.get(f"{OWN}{inside}/{plural}/{name or self.name}") or {}

    def says(self, plural: str, type_: str, name: str | None = None) -> tuple[str, str]:
        """A condition: its status and its reason."""
        conditions = self.own(plural, name).get("status", {}).get("conditions", ())
        return next(((c["status"], c["reason"]) for c in conditions if c["type"] == type_), ("", ""))

    def key(self) -> KeyState | None:
        """The tenant's key, as Vault has it."""
        return self._key(self.namespace)

    def look(self) -> None:
        """Note what must never be: called again and again, while faults happen."""
        for request in ("ada", "eve", "bob"):
            status, reason = self.says("datasubjectrequests", "Complete", request)
            before = self._completed.get(request)
            if before and status and (status, reason) != ("True", before):
                self.problems.append(f"{request} was complete ({before}) and is {status} {reason}")
            if status == "True":
                self._completed[request] = reason
        if "ada" in self._completed and ADA in self.data.records:
            self.problems.append("a person is erased and is still there")
        if self.data.records.get(BOB) != 2:
            self.problems.append("a survivor's records changed")
        if EVE not in self.data.records and self.says("legalholds", "Active", "court")[0] == "True":
            self.problems.append("a person under a hold was erased")

    def until(self, seen: Callable[[], bool], seconds: float, what: str) -> None:
        """Look on until it is so.

        Raises:
            BrokenWorldError: not within these seconds, or something happened that never must.
        """
        deadline = time.monotonic() + seconds
        while True:
            self.look()
            require(not self.problems, "; ".join(self.problems))
            if seen():
                return
            require(time.monotonic() < deadline, f"{self.name}: not in time: {what}")
            time.sleep(LOOK_SECONDS)

    def rests(self, seconds: float) -> None:
        """Look on for a while.

        Raises:
            BrokenWorldError: something happened that never must.
        """
        deadline = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= deadline, seconds + 1, "the end of a rest")

    def snapshot(self) -> dict[str, Any]:
        """Everything about this world."""
        objects = {**self._own_objects(), **self._children()}
        key = self.key()
        data = self.data
        return {
            "objects": objects,
            "key": (key.latest_version, key.min_available_version) if key is not None else None,
            "serve": self._applications(),
            "data": {
                "records": dict(sorted(data.records.items())), "old": dict(data.old), "required": data.required,
                "erasures": sorted((each.subject, each.state) for each in data.erasures.values()),
                "runs": sorted((run.state, sum(run.forgotten.values())) for run in data.runs.values()),
                "limits": [data.limits.standing(each) for each in (ADA, BOB, EVE)],
                "root": data.root_version,
            },
        }  # fmt: skip

    def _applications(self) -> dict[str, Any]:
        names = sorted(name for name in self._serve.names if name.startswith(f"{self.name}."))
        apps = {name: json.dumps(self._serve.config(name)) for name in names}
        told = {name: json.loads(text.replace(self.home, "") if self.home else text) for name, text in apps.items()}
        plain: dict[str, Any] = snapshots.plain(told, self.name, sorted(self._uids))
        return plain

    def _own_objects(self) -> dict[str, Any]:
        found = {plural: self.own(plural) for plural in WIDE}
        for plural in INSIDE:
            items = (self.get(f"{OWN}/namespaces/{self.namespace}/{plural}") or {}).get("items", ())
            found |= {f"{plural}/{item['metadata']['name']}": item for item in items}
        return self._plain({key: item for key, item in found.items() if item})

    def _children(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if (namespace := self.get(NAMESPACES.path(self.namespace))) is None:
            return {}
        for resource in CHILDREN:
            if resource is not NAMESPACES:
                items = (self.get(resource.path(namespace=self.namespace) + f"?{OWNED}") or {}).get("items", ())
                found |= {f"{resource.plural}/{item['metadata']['name']}": item for item in items}
        maps = (self.get(f"/api/v1/namespaces/{self.namespace}/configmaps?{OWNED}") or {}).get("items", ())
        for item in maps:  # a certificate is signed anew in every world
            found[f"configmaps/{item['metadata']['name']}"] = {**item, "data": sorted(item.get("data", {}))}
        return self._plain({"namespace": namespace, **found})

    def _plain(self, found: Mapping[str, Any]) -> dict[str, Any]:
        self._uids |= {item["metadata"]["uid"] for item in found.values()}
        uids = sorted(self._uids)
        return {
            snapshots.plain(key, self.name, uids): snapshots.object_of(item, self.name, uids)
            for key, item in found.items()
        }

    def _inside(self, name: str) -> dict[str, str]:
        return {"name": name, "namespace": self.namespace}


def _kind(kind: str, metadata: Mapping[str, str], spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": GROUP, "kind": kind, "metadata": dict(metadata), "spec": dict(spec)}


def now() -> datetime:
    """The machine's time."""
    return datetime.now(UTC)
