"""Pure: what two worlds that were brought to the same end have in common, whatever happened on the way.

Times, versions and ids differ from run to run, and so do names that contain them; all else must not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

DROPPED = frozenset(
    {
        "uid", "resourceVersion", "creationTimestamp", "managedFields", "lastTransitionTime", "salt", "selfLink",
        "generation", "observedGeneration", "ownerReferences",
    }
)  # fmt: skip
_PLAIN = (
    (re.compile(r"\d{4}-\d\d-\d\d(T[0-9:.]+(Z|\+00:00)?)?"), "<time>"),
    (re.compile(r"\d{8}T\d\d|\b\d\d:\d\d UTC"), "<time>"),
    (re.compile(r"(?<=-report-)[0-9a-f]{10}$"), "<hash>"),
    (re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}"), "<uid>"),
    (re.compile(r"(sha256:)?[0-9a-f]{16,}"), "<hash>"),
    (re.compile(r"http://(127\.0\.0\.1|localhost):\d+"), "<address>"),
)


def plain(value: Any, name: str, uids: Iterable[str] = ()) -> Any:
    """A value without what differs from one world to the next; `name` is the world's own."""
    if isinstance(value, Mapping):
        kept = {key: each for key, each in value.items() if key not in DROPPED}
        return {plain(key, name, uids): plain(each, name, uids) for key, each in sorted(kept.items())}
    if isinstance(value, list | tuple):
        return [plain(each, name, uids) for each in value]
    if not isinstance(value, str):
        return value
    for uid in uids:
        value = value.replace(uid, "<uid>").replace(uid[:8], "<uid>")
    for pattern, instead in _PLAIN:
        value = pattern.sub(instead, value)
    return value.replace(name, "<world>")


def object_of(found: Mapping[str, Any], name: str, uids: Iterable[str] = ()) -> dict[str, Any]:
    """An object of the apiserver, plain; and whether its status speaks of its newest spec."""
    metadata, status = found["metadata"], found.get("status") or {}
    seen = [status.get("observedGeneration")] + [c.get("observedGeneration") for c in status.get("conditions", ())]
    newest = all(each in {None, metadata.get("generation")} for each in seen)
    conditions = sorted(status.get("conditions", ()), key=lambda condition: str(condition["type"]))
    kept = {key: value for key, value in found.items() if key not in {"apiVersion", "kind"}}
    if status:
        kept["status"] = {**status, **({"conditions": conditions} if conditions else {})}
    return {**plain(kept, name, list(uids)), "newest": newest}


def differences(left: Any, right: Any, place: str = "") -> list[str]:
    """Where two snapshots differ, in words short enough to read."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        keys = sorted({*left, *right}, key=str)
        return [line for key in keys for line in differences(left.get(key), right.get(key), f"{place}/{key}")]
    if isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        pairs = enumerate(zip(left, right, strict=True))
        return [line for index, (one, two) in pairs for line in differences(one, two, f"{place}[{index}]")]
    return [] if left == right else [f"{place}: {str(left)[:300]} | {str(right)[:300]}"]
