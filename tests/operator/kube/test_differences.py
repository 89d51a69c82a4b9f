"""Nothing is written when nothing changed; everything that changed is noticed."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from imagint_operator.kube.differences import covers, stamped, up_to_date

WANTED: dict[str, Any] = {
    "metadata": {"name": "imagint", "namespace": "tenant-acme", "labels": {"a": "1"}},
    "spec": {"ports": [{"port": 53}], "hard": {"pods": "200"}},
}


def live() -> dict[str, Any]:
    """As the apiserver answers: with its own defaults beside ours."""
    answer = copy.deepcopy(stamped(WANTED))
    answer["metadata"] |= {"uid": "1", "managedFields": []}
    answer["spec"]["ports"][0]["protocol"] = "TCP"
    answer["status"] = {}
    return answer


def test_the_apiservers_defaults_are_no_difference() -> None:
    assert up_to_date(live(), stamped(WANTED))


def test_an_empty_list_may_come_back_as_nothing() -> None:
    assert covers({"rules": None}, {"rules": []})
    assert covers({}, {"podSelector": {}})
    assert not covers({"rules": [{"verbs": ["get"]}]}, {"rules": []})


def test_what_does_not_exist_is_not_up_to_date() -> None:
    assert not up_to_date(None, stamped(WANTED))


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda o: o["metadata"]["labels"].clear(), id="a label was taken away"),
        pytest.param(lambda o: o["spec"]["hard"].update(pods="9999"), id="a quota was raised by hand"),
        pytest.param(lambda o: o["spec"]["ports"].append({"port": 22}), id="a port was opened"),
        pytest.param(lambda o: o["spec"].pop("ports"), id="a list was removed"),
        pytest.param(lambda o: o["metadata"].pop("annotations"), id="the digest was taken away"),
    ],
)
def test_a_change_by_somebody_else_is_noticed(spoil: Any) -> None:
    changed = live()
    spoil(changed)
    assert not up_to_date(changed, stamped(WANTED))


def test_a_field_that_is_no_longer_wanted_is_noticed() -> None:
    less = copy.deepcopy(WANTED)
    del less["spec"]["hard"]
    assert covers(live(), less)
    assert not up_to_date(live(), stamped(less))
