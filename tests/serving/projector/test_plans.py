"""What the projector decides to do, from what it sees and what it handed over."""

from __future__ import annotations

import itertools

import pytest

from imagint_serving.projector.observations import Attempts, Holding, KeyReference, TenantView
from imagint_serving.projector.plans import Action, Check, Mint, Remove, backoff, failed, plan, renew_at

KEY = KeyReference("web", "api-web", "token")
ACME = TenantView("acme", (KEY,))
BARE = TenantView("bare", ())
ALONE = TenantView("alone", (KEY,), shared=False, dedicated=True)
MOVING = TenantView("mover", (KEY,), shared=True, dedicated=True)
NOW = 1000.0
LATER = Attempts(3, NOW + 1)


def spaces(*tenants: TenantView) -> set[str]:
    return {tenant.namespace for tenant in tenants}


def held(**changes: object) -> Holding:
    values = {"account_uid": "uid-1", "renew_at": NOW + 10, "keys": (KEY,), "checked_at": NOW - 1, **changes}
    return Holding(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("tenants", "namespaces", "folders", "expected"),
    [
        pytest.param(
            [BARE],
            spaces(BARE),
            {"bare": held(keys=(KEY,))},
            [Check(BARE)],
            id="a key taken out of the spec is taken out of the file",
        ),
        pytest.param(
            [ACME],
            spaces(ACME),
            {"acme": held()},
            [Check(ACME)],
            id="a tenant at rest is looked at in its turn",
        ),
        pytest.param(
            [ACME],
            spaces(ACME),
            {"acme": held(checked_at=NOW - 0.5)},
            [],
            id="but not without a pause",
        ),
        pytest.param(
            [ACME],
            spaces(ACME),
            {"acme": held(renew_at=NOW, minting=LATER)},
            [Check(ACME)],
            id="trouble with the token does not keep the keys from being read",
        ),
        pytest.param(
            [ALONE],
            spaces(ALONE),
            {"alone": held(renew_at=0.0)},
            [Check(ALONE)],
            id="kubelet, not the projector, gives a token to a Gateway in its own namespace",
        ),
        pytest.param(
            [ALONE],
            spaces(ALONE),
            {"alone": held(filed=True)},
            [Remove("alone"), Check(ALONE)],
            id="a tenant that moved to a cluster of its own leaves no file behind",
        ),
        pytest.param(
            [MOVING],
            spaces(MOVING),
            {"mover": held(renew_at=0.0, filed=True)},
            [Mint(MOVING), Check(MOVING)],
            id="while a tenant moves, it is served at both places",
        ),
        pytest.param([], spaces(ACME), {"acme": held()}, [Remove("acme")], id="a deleted tenant is removed"),
        pytest.param([ACME], set(), {"acme": held()}, [Remove("acme")], id="without its namespace, too"),
        pytest.param(
            [ACME],
            spaces(ACME),
            {"acme": held(renew_at=NOW, minting=LATER, checking=LATER)},
            [],
            id="a tenant that failed waits for its turn",
        ),
    ],
)
def test_the_plan(
    tenants: list[TenantView],
    namespaces: set[str],
    folders: dict[str, Holding],
    expected: list[Action],
) -> None:
    assert plan(tenants, namespaces, folders, NOW, budget=64) == expected


def test_routine_reading_takes_turns_and_never_goes_before_a_change() -> None:
    tenants = [TenantView(f"t{i}", (KEY,)) for i in range(5)]
    folders = {t.name: held(checked_at=NOW - 1 - i) for i, t in enumerate(tenants)}
    actions = plan([*tenants, ACME], spaces(*tenants, ACME), folders, NOW, budget=4)
    assert actions == [Mint(ACME), Check(ACME), Check(tenants[4]), Check(tenants[3])]


def test_waiting_after_failures_grows_and_is_bounded() -> None:
    waits = [backoff(n) for n in range(40)]
    assert waits[0] == 0
    assert waits[1] == 0.25
    assert all(a <= b for a, b in itertools.pairwise(waits))
    assert waits[-1] == 8


def test_what_is_not_there_yet_is_tried_again_soon() -> None:
    attempts = Attempts()
    for _ in range(20):
        attempts = failed(attempts, NOW, not_yet=True)
    assert attempts == Attempts(20, NOW + 0.5)
    assert failed(Attempts(9), NOW, not_yet=False) == Attempts(10, NOW + 8)


def test_a_token_is_renewed_half_way() -> None:
    assert renew_at(100, 3700) == 1900
