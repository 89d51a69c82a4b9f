"""Reflectors: the store is what the apiserver holds, and only what others changed is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from imagint_operator.errors import KubeConflictError, KubeForbiddenError
from imagint_operator.kube import reflectors
from imagint_operator.kube.caches import trimmed
from imagint_operator.kube.client import FIELD_MANAGER, Page
from imagint_operator.kube.reflectors import Reflector
from imagint_operator.kube.resources import ROLES
from imagint_operator.watchages import Ages

OURS = {"manager": FIELD_MANAGER, "time": "2026-01-01T00:00:05Z"}


def role(name: str, version: int, *fields: dict[str, str]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "tenant-acme", "resourceVersion": str(version)}
    return {"metadata": {**metadata, "managedFields": [OURS, *fields]}, "rules": [version]}


def by(manager: str, second: int, **more: str) -> dict[str, str]:
    return {"manager": manager, "time": f"2026-01-01T00:00:{second:02}Z", **more}


class Apiserver:
    """Lists and watches as a test scripts it."""

    def __init__(self, *rounds: Any) -> None:
        self._rounds = list(rounds)
        self._events: list[Any] = []
        self.done = asyncio.Event()

    async def pages(self, _resource: object, *, selector: str) -> AsyncIterator[Page]:
        assert selector == "app.kubernetes.io/managed-by=imagint-operator"
        if not self._rounds:
            self.done.set()
            await asyncio.Event().wait()
        now = self._rounds.pop(0)
        if isinstance(now, Exception):
            raise now
        self._events = now[1]
        yield Page(now[0], str(now[2]) if len(now) > 2 else "10")

    async def watch(self, _resource: object, _version: str, *, selector: str) -> AsyncIterator[dict[str, Any]]:
        for event in self._events:
            if isinstance(event, Exception):
                raise event
            yield event
        raise KubeConflictError("too old")


async def reflected(monkeypatch: pytest.MonkeyPatch, *rounds: Any) -> tuple[list[str], list[str], Ages]:
    monkeypatch.setattr(reflectors, "FIRST_PAUSE", 0.01)
    apiserver, store, told, ages = Apiserver(*rounds), trimmed(), list[str](), Ages(["roles"])
    task = asyncio.create_task(Reflector(apiserver, ROLES, store, ages, told.append).run())  # type: ignore[arg-type]
    await asyncio.wait_for(apiserver.done.wait(), 10)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return told, sorted(item["metadata"]["name"] for item in store.all()), ages


@pytest.mark.parametrize(
    ("event", "told"),
    [
        pytest.param({"type": "MODIFIED", "object": role("a", 11)}, 0, id="our own apply"),
        pytest.param({"type": "MODIFIED", "object": role("a", 11, by("kubectl", 7))}, 1, id="somebody else, later"),
        pytest.param({"type": "MODIFIED", "object": role("a", 11, by("kubectl", 5))}, 1, id="in the same second"),
        pytest.param({"type": "MODIFIED", "object": role("a", 11, by("kubectl", 3))}, 0, id="put right already"),
        pytest.param(
            {"type": "MODIFIED", "object": role("a", 11, by("kubelet", 7, subresource="status"))}, 0, id="only status"
        ),
        pytest.param({"type": "DELETED", "object": role("a", 11)}, 1, id="deleted"),
        pytest.param({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "12"}}}, 0, id="a bookmark"),
        pytest.param({"type": "MODIFIED", "object": role("a", 3, by("kubectl", 7))}, 0, id="older than known"),
    ],
)
async def test_only_what_others_changed_is_told(
    monkeypatch: pytest.MonkeyPatch, event: dict[str, Any], told: int
) -> None:
    seen, _, _ = await reflected(monkeypatch, ([role("a", 5)], [event]))
    assert seen == ["tenant-acme"] * told


async def test_what_vanished_while_nobody_watched_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told, there, _ = await reflected(monkeypatch, ([role("a", 5), role("b", 6)], []), ([role("a", 5)], []))
    assert told == ["tenant-acme"]
    assert there == ["a"]


async def test_a_refused_list_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    _, there, ages = await reflected(monkeypatch, KubeForbiddenError("no right"), ([role("a", 5)], []))
    assert there == ["a"]
    assert not ages.troubles()


async def test_an_etcd_that_was_set_back_is_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without, every version known would be newer than what is there: nothing would ever be taken up again."""
    later = {"type": "MODIFIED", "object": role("a", 90, by("kubectl", 3))}
    told, there, _ = await reflected(
        monkeypatch, ([role("a", 5), role("made since", 8)], [later]), ([role("a", 5), role("b", 6)], [], 20)
    )
    assert there == ["a", "b"]
    assert told == ["tenant-acme"] * 3  # what is there, and what is not any more


async def test_a_list_that_an_event_overtook_is_not_taken_for_the_past(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = trimmed()

    class Overtaken(Apiserver):
        async def pages(self, resource: object, *, selector: str) -> AsyncIterator[Page]:
            kept.put(role("new", 30))
            async for page in super().pages(resource, selector=selector):
                yield page

    kept.put(role("a", 5))
    apiserver = Overtaken(([role("a", 5)], []))
    await reflectors.fill(apiserver, ROLES, kept, selector=reflectors.SELECTOR)  # type: ignore[arg-type]
    assert sorted(item["metadata"]["name"] for item in kept.all()) == ["a", "new"]
