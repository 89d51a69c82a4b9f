"""Caches: the newer version wins, whoever brings it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagint_operator.api.tenants import Tenant
from imagint_operator.errors import UnreadableError
from imagint_operator.informers import every_key
from imagint_operator.kube.caches import Caches, Store, parsed, trimmed
from imagint_operator.kube.readers import CachedReader
from imagint_operator.kube.resources import NAMESPACES, TENANTS, ObjectKey


def item(version: int, name: str = "a", namespace: str = "") -> dict[str, Any]:
    metadata = {"name": name, "resourceVersion": str(version)} | ({"namespace": namespace} if namespace else {})
    return {"metadata": metadata, "data": version}


def store() -> Store[Any]:
    return Store(lambda raw: raw["data"])


def test_an_older_answer_changes_nothing() -> None:
    kept = store()
    assert kept.put(item(5))
    assert not kept.put(item(4))
    assert not kept.put(item(5))
    assert kept.get("a") == 5


def test_what_is_gone_does_not_come_back_with_a_late_answer() -> None:
    kept = store()
    kept.put(item(5))
    assert kept.remove(item(9))
    assert not kept.put(item(7))
    assert kept.get("a") is None
    assert kept.put(item(10))


def test_a_late_deletion_does_not_take_the_next_one_of_that_name() -> None:
    kept = store()
    kept.put(item(10))
    assert not kept.remove(item(9))
    assert kept.get("a") == 10


def test_a_list_takes_away_what_it_does_not_show_and_keeps_what_is_newer() -> None:
    kept = store()
    kept.put(item(3, "old"))
    kept.put(item(8, "new"))
    assert kept.keep([], 5) == [("", "old")]
    assert kept.complete
    assert kept.all() == [8]


def test_a_namespace_is_read_without_the_others() -> None:
    kept = store()
    kept.put(item(1, "x", "one"))
    kept.put(item(2, "y", "two"))
    assert kept.all("one") == [1]
    assert sorted(kept.all()) == [1, 2]
    assert kept.all("three") == []


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 30)), max_size=12, unique_by=lambda event: event[1]),
    st.randoms(use_true_random=False),
)
def test_the_order_of_events_does_not_matter(events: list[tuple[bool, int]], random: Any) -> None:
    """What is known in the end is what the highest version says, in whatever order it was told."""
    orders = [sorted(events, key=lambda event: event[1]), random.sample(events, len(events))]
    ends = []
    for order in orders:
        kept = store()
        for there, version in order:
            (kept.put if there else kept.remove)(item(version))
        ends.append(kept.get("a"))
    last = max(events, key=lambda event: event[1], default=(False, 0))
    assert ends == list(itertools.repeat(last[1] if last[0] else None, 2))


def test_an_object_is_parsed_once_a_version() -> None:
    kept = parsed(Tenant)
    raw = {"metadata": {"name": "acme", "resourceVersion": "3"}, "spec": {"residency": {"region": "eu"}}}
    kept.put(raw)
    first = kept.get("acme")
    kept.put(raw)
    assert kept.get("acme") is first


def test_of_a_child_only_what_is_compared_or_told_is_kept() -> None:
    kept = trimmed()
    wrote = {"manager": "nightly-job", "time": "2026-11-23T12:00:00Z"}
    metadata = {"name": "tenant-acme", "resourceVersion": "3", "labels": {"a": "b"}, "uid": "u", "generateName": "t",
                "managedFields": [{**wrote, "fieldsV1": {"f:spec": {}}}]}  # fmt: skip
    kept.put({"metadata": metadata, "spec": {"x": 1}, "status": {"phase": "Active"}})
    found = kept.get("tenant-acme")
    assert found is not None
    assert found["metadata"].keys() == {"name", "resourceVersion", "labels", "uid", "managedFields"}
    assert found["metadata"]["managedFields"] == [wrote]
    assert found["status"] == {"phase": "Active"}  # what a quota counts, and why a namespace does not go


@pytest.mark.parametrize("raw", [{}, {"metadata": {}}], ids=["nothing", "an answer without an object"])
def test_an_answer_without_an_object_is_left_alone(raw: dict[str, Any]) -> None:
    caches = Caches({TENANTS: Tenant}, [NAMESPACES])
    caches.wrote(TENANTS, raw)
    assert not caches.own["Tenant"].all()


ODD: dict[str, Any] = {
    "metadata": {"name": "odd", "resourceVersion": "7"},
    "spec": {"compute": "Elastic", "displayName": "canary-person"},
}
PLAIN: dict[str, Any] = {"spec": {"residency": {"region": "eu"}}}


def plain(name: str, version: int) -> dict[str, Any]:
    return {"metadata": {"name": name, "resourceVersion": str(version)}, **PLAIN}


def test_what_cannot_be_read_is_news_once_and_stays_known() -> None:
    kept = parsed(Tenant)
    assert kept.put(plain("odd", 6))
    assert kept.put(ODD)
    assert not kept.put(ODD)
    assert not kept.put(plain("odd", 6))
    assert kept.unreadable == {("", "odd"): 7}
    assert kept.get("odd") is None


@pytest.mark.parametrize(
    "ending",
    [
        pytest.param(lambda kept: kept.put(plain("odd", 8)), id="it is applied again"),
        pytest.param(lambda kept: kept.remove(plain("odd", 8)), id="it is deleted"),
        pytest.param(lambda kept: kept.keep([], 8), id="a list does not show it"),
        pytest.param(lambda kept: kept.drop("odd"), id="the apiserver has none"),
    ],
)
def test_what_could_not_be_read_is_forgotten(ending: Callable[[Store[Any]], object]) -> None:
    kept = parsed(Tenant)
    kept.put(ODD)
    ending(kept)
    assert not kept.unreadable


async def test_nobody_takes_what_cannot_be_read_for_nothing() -> None:
    """A hold, or a tenant, that is only badly written must not look as if it were gone."""
    caches = Caches({TENANTS: Tenant}, ())
    reader = CachedReader(None, caches)  # type: ignore[arg-type]
    caches.wrote(TENANTS, plain("fine", 5))
    caches.wrote(TENANTS, ODD)
    caches.own["Tenant"].keep([("", "fine"), ("", "odd")], 9)
    fine = await reader.one(Tenant, "fine")
    assert fine is not None
    with pytest.raises(UnreadableError, match="Tenant odd says") as one:
        await reader.one(Tenant, "odd")
    with pytest.raises(UnreadableError) as every:
        await reader.all(Tenant)
    assert "odd" not in str(every.value)  # it ends in the conditions of others
    assert "canary" not in f"{one.value}{one.value.__context__}{every.value}{every.value.__context__}"
    assert ObjectKey("Tenant", "", "odd") in every_key(caches)
