"""Pure: why a namespace does not go, from what its controller says about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# In the order in which a person has to deal with them.
ADVICE: tuple[tuple[str, str], ...] = (
    (
        "NamespaceDeletionDiscoveryFailure",
        "an APIService does not answer: repair it (kubectl get apiservice)",
    ),
    ("NamespaceDeletionGroupVersionParsingFailure", "an APIService is malformed: repair or delete it"),
    ("NamespaceDeletionContentFailure", "something in it cannot be deleted (an admission policy or webhook?)"),
    ("NamespaceFinalizersRemaining", "wait for whoever set these finalizers, or take them off if they are gone"),
    ("NamespaceContentRemaining", "it is being deleted"),
)
_STUCK = frozenset(type_ for type_, _ in ADVICE[:4])
TEXT = 300


def remaining(namespace: Mapping[str, Any] | None) -> tuple[str, ...]:
    """What keeps a namespace from going: one sentence for each reason, with the kinds and counts that remain."""
    if namespace is None or not namespace["metadata"].get("deletionTimestamp"):
        return ()
    found = {condition.get("type"): condition for condition in namespace.get("status", {}).get("conditions", [])}
    standing = {type_ for type_, condition in found.items() if condition.get("status") == "True"}
    if not standing & _STUCK:
        return ()
    return tuple(
        f"{str(found[type_].get('message') or type_)[:TEXT].rstrip('.')}: {advice}"
        for type_, advice in ADVICE
        if type_ in standing
    )
