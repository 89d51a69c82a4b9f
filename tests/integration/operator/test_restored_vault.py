"""The operator finds a Vault that was restored from before an erasure: it destroys again, or says what is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.stack
NAME, NAMESPACE, SUBJECT = "replayed", "tenant-replayed", "subj-" + "c" * 26
TENANT = {
    "apiVersion": "imagint.ai/v1alpha1", "kind": "Tenant", "metadata": {"name": NAME},
    "spec": {"residency": {"region": "eu"}, "deletion": {"policy": "Shred"}},
}  # fmt: skip
ERASURE = {
    "apiVersion": "imagint.ai/v1alpha1", "kind": "DataSubjectRequest",
    "metadata": {"name": "ada", "namespace": NAMESPACE},
    "spec": {"type": "Erase", "subject": SUBJECT, "regulation": "GDPR",
             "verification": {"method": "AccountSession", "at": "2026-11-23T12:00:00Z"}},
}  # fmt: skip
Kept = dict[Path, bytes]


def kept(stack: Any) -> Kept:
    """What Vault's storage holds of the tenant's key, copied while Vault is sealed."""
    stack.seal()
    try:
        files = (stack.folder.vault / "storage").rglob(f"_{NAMESPACE}")
        return {path: path.read_bytes() for path in files if path.is_file()}
    finally:
        stack.unseal()


def put_back(stack: Any, storage: Kept) -> None:
    stack.seal()
    try:
        for path, content in storage.items():
            path.write_bytes(content)
    finally:
        stack.unseal()


async def test_an_old_key_is_destroyed_again_and_an_older_one_is_named(
    bench: Any, cluster: Any, stack: Any, eventually: Callable[..., Any]
) -> None:
    def key() -> dict[str, Any]:
        found: dict[str, Any] = cluster.get("tenant", NAME)["status"].get("key", {})
        return found

    def state() -> tuple[int, int]:
        found = bench.key_state(NAMESPACE)
        return found.latest_version, found.min_available_version

    def says(type_: str) -> tuple[str, str]:
        found: tuple[str, str] = cluster.condition("tenant", NAME, type_)
        return found

    bench.gateways.tenant(NAME).records[SUBJECT] = 3
    bench.gateways.waits = 1_000_000
    async with bench.operator():
        await asyncio.to_thread(cluster.apply, TENANT)
        await eventually(lambda: says("GatewayReady")[0], "True")
        before_rotation = await asyncio.to_thread(kept, stack)
        assert before_rotation
        await eventually(lambda: says("Ready"), ("True", "Ready"), seconds=30)
        await asyncio.to_thread(cluster.apply, ERASURE)
        await eventually(lambda: bench.gateways.tenant(NAME).root_version, 2, seconds=30)
        before_trim = await asyncio.to_thread(kept, stack)
        bench.gateways.waits = 0
        complete = lambda: cluster.condition("dsr", "ada", "Complete", NAMESPACE)  # noqa: E731
        await eventually(complete, ("True", "Erased"), seconds=40)
        await eventually(lambda: (state(), key().get("destroyedBelow")), ((2, 2), 2))
        after = await asyncio.to_thread(kept, stack)
        await asyncio.to_thread(put_back, stack, before_trim)
        await eventually(lambda: (state(), "replayedAt" in key()), ((2, 2), True), seconds=30)
        await eventually(lambda: says("KeyReady"), ("True", "KeyReady"), seconds=30)
        await asyncio.to_thread(put_back, stack, before_rotation)
        await eventually(lambda: says("KeyReady"), ("False", "KeyBehind"), seconds=30)
        assert says("Ready") == ("False", "KeyBehind")
        assert state() == (1, 0)  # neither rotated nor trimmed
        bench.gateways.tenant(NAME).records[SUBJECT] = 3  # somebody who came back
        await asyncio.to_thread(cluster.apply, {**ERASURE, "metadata": {"name": "eve", "namespace": NAMESPACE}})
        await eventually(
            lambda: cluster.condition("dsr", "eve", "Complete", NAMESPACE), ("False", "KeyBehind"), seconds=30
        )
        assert state() == (1, 0)
        await asyncio.to_thread(put_back, stack, after)
        await eventually(lambda: says("Ready"), ("True", "Ready"), seconds=30)
