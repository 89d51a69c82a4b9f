"""What differs from run to run is taken out of a snapshot, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from imagint_dev.faults.snapshots import differences, object_of, plain


def found(name: str, at: str, uid: str, **status: Any) -> dict[str, Any]:
    condition = {"type": "Ready", "status": "True", "reason": "Ready", "message": f"since {at}",
                 "observedGeneration": 2, "lastTransitionTime": at}  # fmt: skip
    return {
        "apiVersion": "v1", "kind": "Tenant",
        "metadata": {"name": name, "uid": uid, "generation": 2, "resourceVersion": "7"},
        "status": {"conditions": [condition], "runId": f"run-20261125T07-{uid}", "observedGeneration": 2, **status},
    }  # fmt: skip


ONE = found("one", "2026-11-25T01:02:03Z", "d74da870-1111-2222-3333-444455556666")
TWO = found("two", "2026-11-26T03:04:05Z", "0011da87-1111-2222-3333-444455556666")


def test_two_that_are_the_same_but_for_times_and_ids() -> None:
    assert differences(object_of(ONE, "one"), object_of(TWO, "two")) == []


@pytest.mark.parametrize(
    ("status", "place"),
    [
        pytest.param({"observedGeneration": 1}, "/newest", id="a status that speaks of an older spec"),
        pytest.param({"keyVersion": 3}, "/status/keyVersion", id="a version of the key"),
    ],
)
def test_what_is_not_the_same_is_named(status: dict[str, Any], place: str) -> None:
    other = found("two", "2026-11-26T03:04:05Z", "0011da87-1111-2222-3333-444455556666", **status)
    (line,) = differences(object_of(ONE, "one"), object_of(other, "two"))
    assert line.startswith(f"{place}: ")


def test_names_and_addresses_of_a_world_are_plain() -> None:
    assert plain({"one.gateway": ["http://127.0.0.1:4711/one", 4]}, "one") == {
        "<world>.gateway": ["<address>/<world>", 4]
    }
