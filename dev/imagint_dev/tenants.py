"""Where the embedded stack keeps a tenant, for the commands that open its library (`imagint backup` and others).

It must not open anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imagint_dev.errors import SettingsError
from imagint_dev.stack import Stack


def storage_of(state: Path, tenant: str) -> dict[str, Any]:
    """Return the addresses of a tenant's storage: of its present incarnation, if it was made anew under an old name.

    Raises:
        SettingsError: the stack has no such tenant.
    """
    kept = state / "data" / tenant
    folders = [path for path in kept.iterdir() if path.is_dir()] if kept.is_dir() else []
    if not folders:
        raise SettingsError(f"the stack in {state} keeps nothing of a tenant {tenant}")
    data = max(folders, key=lambda path: path.stat().st_mtime)
    return {
        "database": f"sqlite:///{data}/records.db",
        "objects": f"file://{data}/objects",
        "treeCopies": [f"file://{state}/copies/{tenant}/{data.name}"],
    }


def settings_of(state: Path, tenant: str) -> Mapping[str, Any]:
    """Return everything that is needed to open a tenant's library, as a settings file would say it.

    Raises:
        SettingsError: no stack runs there, or it has no such tenant.
    """
    stack = Stack(state)
    root = stack.folder.root
    address = stack.record().get("urls", {}).get("vault") if stack.is_running() else None
    if address is None:
        raise SettingsError(f"no stack runs in {root}")
    token = stack.folder.handover / tenant / "vault-token"
    vault = {"address": address, "tokenFile": str(token), "key": f"tenant-{tenant}"}
    return {"tenant": tenant, **storage_of(root, tenant), "vault": vault}
