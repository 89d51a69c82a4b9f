"""Pure comparison of what we want with what the apiserver holds, so that nothing is written when nothing changed.

An object carries a digest of what was last applied: a field that we no longer want changes the digest, and a field
that somebody else changed is no longer covered. Either means: apply again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

APPLIED = "imagint.ai/applied"


def stamped(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest with the digest of its own content in an annotation."""
    metadata = dict(manifest["metadata"])
    annotations = {**metadata.get("annotations", {}), APPLIED: digest(manifest)}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def digest(value: object) -> str:
    """A short stable digest of a JSON value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def covers(live: object, wanted: object) -> bool:
    """Whether everything wanted is there. The apiserver may have added defaults beside it, and drops what is empty."""
    if live is None and wanted in ({}, [], ()):
        return True
    if isinstance(wanted, Mapping):
        return isinstance(live, Mapping) and all(covers(live.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list | tuple):
        return (
            isinstance(live, list | tuple)
            and len(live) == len(wanted)
            and all(covers(there, here) for there, here in zip(live, wanted, strict=True))
        )
    return live == wanted


def up_to_date(live: Mapping[str, Any] | None, manifest: Mapping[str, Any]) -> bool:
    """Whether applying the stamped manifest would change nothing."""
    return live is not None and covers(live, manifest)
