"""A small true implementation of the Gateways' restrictions and objections. For tests.

Idempotent by the request's id, which is known with one scope only; lifted is lifted, and asking again revives nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from imagint_operator.fakeservers import Reply, error

OBJECTABLE = ("Analyse", "Improve", "Market")
STATES = {"Restrict": "Restricted", "Object": "Objected"}


class FakeLimits:
    """The restrictions and objections of one tenant, by request."""

    def __init__(self) -> None:
        self.known: dict[str, dict[str, Any]] = {}

    def standing(self, subject: str) -> list[str]:
        """What stands over a subject now."""
        return sorted(each["kind"] for each in self.known.values() if each["subject"] == subject and _stands(each))

    def answer(self, method: str, path: list[str], body: dict[str, Any]) -> Reply:
        """What lies under `restrictions`."""
        match method, path:
            case "POST", []:
                return self.apply(body)
            case "GET", [request]:
                return self.show(request)
            case "POST", [request, "lift"]:
                return self.lift(request)
        raise LookupError(path)

    def apply(self, body: dict[str, Any]) -> Reply:
        """Begin one, or answer how it stands."""
        kind, asked = body["kind"], sorted(set(body["purposes"]))
        if kind == "Restrict" and asked:
            return error(400, "invalid_value")
        if not set(asked) <= set(OBJECTABLE):
            return error(400, "not_objectable")
        scope = {
            "kind": kind, "subject": body["subject"], "categories": sorted(set(body["categories"])),
            "purposes": asked or (list(OBJECTABLE) if kind == "Object" else []),
        }  # fmt: skip
        new = {"request": body["request"], "received_at": body["received_at"], "since": _now(), "lifted_at": None}
        found = self.known.setdefault(body["request"], scope | new)
        if any(found[name] != value for name, value in scope.items()):
            return error(409, "restriction_conflict")
        return self.show(body["request"])

    def show(self, request: str) -> Reply:
        """How one stands."""
        found = self.known[request]
        return 200, found | {"state": STATES[found["kind"]] if _stands(found) else "Lifted"}

    def lift(self, request: str) -> Reply:
        """End one."""
        if _stands(found := self.known[request]):
            found["lifted_at"] = _now()
        return self.show(request)


def _stands(found: dict[str, Any]) -> bool:
    return found["lifted_at"] is None


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
