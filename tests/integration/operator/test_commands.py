"""`imagint backup`, `copies` and `restore` as a data plane's identity on a real Vault, found by the stack's folder."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imagint_dev.tenants import settings_of
from imagint_privacy.purposes import Purpose
from imagint_privacy.records.library import Draft, Library, StorageSettings
from imagint_privacy.vault import TenantKey, VaultSession

pytestmark = pytest.mark.stack
NAME, NAMESPACE = "commands", "tenant-commands"
TENANT = {
    "apiVersion": "imagint.ai/v1alpha1", "kind": "Tenant", "metadata": {"name": NAME},
    "spec": {"residency": {"region": "eu"}, "deletion": {"policy": "Shred"}},
}  # fmt: skip


def opened(found: Any) -> Library:
    storage = StorageSettings(found["database"], found["objects"], tuple(found["treeCopies"]))
    session = VaultSession(found["vault"]["address"], "dataplane", Path(found["vault"]["tokenFile"]))
    return Library.open(NAME, storage, TenantKey(session, NAMESPACE), key_name=NAMESPACE)


def run(state: Path, *arguments: str | Path, code: int = 0) -> Any:
    """What a person types; the answer in JSON."""
    command = [sys.executable, "-m", "imagint_privacy.cli", *map(str, arguments), "--json"]
    place = ["--state", str(state), "--tenant", NAME]
    done = subprocess.run([*command, *place], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


async def test_a_tenant_is_backed_up_lost_and_brought_back(
    bench: Any, cluster: Any, stack: Any, eventually: Callable[..., Any], tmp_path: Path
) -> None:
    async with bench.operator():
        await asyncio.to_thread(cluster.apply, TENANT)
        await eventually(lambda: cluster.condition("tenant", NAME, "Ready"), ("True", "Ready"))
    state = stack.folder.root
    data = state / "data" / NAME / cluster.get("tenant", NAME)["metadata"]["uid"]
    data.mkdir(parents=True)
    token = state / "handover" / NAME / "vault-token"
    token.parent.mkdir(parents=True)
    token.write_text(await asyncio.to_thread(stack.token, NAMESPACE, "imagint-dataplane", "vault"))
    await asyncio.to_thread(_live_and_lose, state, data, tmp_path / "backup")


def _live_and_lose(state: Path, data: Path, backup: Path) -> None:
    found = settings_of(state, NAME)
    library = opened(found)
    ann = library.handle("ann")
    library.store(library.begin(ann, Purpose.GENERATE), [Draft("one", "images", "image/png", b"one", large=True)])
    library.close()
    assert run(state, "copies", "update")["copies"][0]["generation"] > 0
    assert run(state, "copies", "verify")["copies"][0]["whole"]
    assert run(state, "backup", backup)["objects"] == 1
    assert run(state, "copies", "collect", "--nodes")["places"][0]["garbage"] == 0
    for path in data.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert run(state, "restore", "data", backup, code=1)["error"] == "BackupRefused"
    assert run(state, "restore", "tree")["subjects"] == 2
    assert run(state, "restore", "tree", "--apply")["applied"]
    assert run(state, "restore", "data", backup, "--apply", "--all")["counts"] == {"Brought": 1}
    library = opened(found)
    assert library.read(ann, "one", Purpose.DELIVER).content == b"one"
    library.close()
