"""Which request meets which fault."""

from __future__ import annotations

import pytest

from imagint_dev.faults.rules import Asked, Drop, Lose, Refuse, Rule, Script, lists, sample, watches, writes

OWN = "/apis/imagint.ai/v1alpha1"


@pytest.mark.parametrize(
    ("asked", "seen"),
    [
        pytest.param(Asked("api", "PATCH", f"{OWN}/tenants/acme/status"), {"writes"}, id="a status is written"),
        pytest.param(Asked("api", "GET", f"{OWN}/tenants/acme"), set(), id="one object is read"),
        pytest.param(Asked("api", "GET", f"{OWN}/tenants"), {"lists"}, id="Kopf lists"),
        pytest.param(Asked("api", "GET", "/api/v1/namespaces", {"limit": "500"}), {"lists"}, id="a reflector lists"),
        pytest.param(Asked("api", "GET", f"{OWN}/tenants", {"watch": "true"}), {"watches"}, id="a watch"),
        pytest.param(Asked("api", "PUT", "/x/leases/operator"), set(), id="the Lease is no part of the work"),
        pytest.param(Asked("vault", "POST", "/v1/auth/kubernetes/login"), set(), id="nor is a log-in"),
        pytest.param(Asked("vault", "PUT", "/v1/transit/keys/acme/rotate"), {"writes"}, id="a key is rotated"),
    ],
)
def test_what_a_request_is(asked: Asked, seen: set[str]) -> None:
    matches = {"writes": writes(), "lists": lists(), "watches": watches()}
    assert {name for name, rule in matches.items() if rule(asked)} == seen


def test_a_rule_strikes_those_that_it_names_and_counts_all() -> None:
    rule = Rule(Lose(), at={2})
    asked = Asked("api", "PATCH", "/a")
    assert [rule.strikes(asked) for _ in range(3)] == [False, True, False]
    assert not rule.strikes(Asked("api", "GET", "/a"))
    assert (rule.met, rule.struck) == (3, 1)


def test_the_first_rule_wins_and_the_others_still_count() -> None:
    script = Script()
    first, second = script.add(Rule(Refuse(500), at={1})), script.add(Rule(Refuse(409)))
    asked = Asked("ray", "PUT", "/a")
    assert [script.decide(asked), script.decide(asked)] == [first, second]
    with script.during(Rule(Lose())) as third:
        assert script.holds(third)
    assert not script.holds(third)
    script.clear()
    assert script.decide(asked) is None


def test_what_is_dropped_is_decided_by_the_seed_and_bookmarks_never_are() -> None:
    one, two = (Rule(Drop(0.5, seed=3)) for _ in range(2))
    drawn = [one.drops("MODIFIED") for _ in range(50)]
    assert drawn == [two.drops("MODIFIED") for _ in range(50)]
    assert {True, False} == set(drawn)
    assert not any(one.drops("BOOKMARK") for _ in range(50))


@pytest.mark.parametrize(
    ("count", "most", "expected"),
    [
        pytest.param(3, 5, [1, 2, 3], id="few: all"),
        pytest.param(100, 3, [1, 51, 100], id="many: spread"),
        pytest.param(9, 1, [1], id="only one"),
    ],
)
def test_a_sample_is_spread_over_all(count: int, most: int, expected: list[int]) -> None:
    assert sample(count, most) == expected
