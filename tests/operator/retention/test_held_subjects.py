"""Retention under legal holds: over everybody it waits, over one it leaves them out, and a stale count is dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from imagint_operator.api.holds import LegalHold
from imagint_operator.api.requests import KeyVersions
from imagint_operator.api.retention import RetentionStep
from imagint_operator.api.tenants import Tenant
from imagint_operator.dataplane.answers import Retention
from imagint_operator.dataplane.gateways import RetentionRuns
from imagint_operator.decisions import Wait
from imagint_operator.errors import DataPlaneRefusedError
from imagint_operator.keyrings import KeyRing
from imagint_operator.kube.readers import LiveReader
from imagint_operator.legalholds import digest
from imagint_operator.retention import findings
from imagint_operator.retention.execute import Peers, Work, is_committed
from imagint_operator.retention.observations import Observed
from imagint_operator.retention.observe import standing
from imagint_operator.retention.plan import MOST_EXCEPTED, Operation, Run, plan, recorded
from imagint_privacy.keys.fakes import FakeKeyAdmin, FakeTransit
from imagint_privacy.keys.ports import KeyState

At = Callable[..., Tenant]
ADA, BOB = ("subj-" + letter * 26 for letter in "ab")
KEY = KeyState("tenant-acme", 1, 1, 0, 0, exportable=False, allow_plaintext_backup=False, deletion_allowed=False)
VERSIONS = KeyVersions(from_=1, to=2)


@pytest.mark.parametrize(
    ("step", "fields"),
    [
        pytest.param(None, {}, id="before a run begins"),
        pytest.param(RetentionStep.BEGIN, {}, id="while it counts"),
        pytest.param(RetentionStep.ROTATE, {"key_versions": None}, id="once it has counted"),
    ],
)
def test_a_hold_over_everybody_stops_a_run_that_has_not_rotated(
    tenant: Tenant, at: At, now: datetime, step: RetentionStep | None, fields: dict[str, Any]
) -> None:
    seen = at(tenant, step, **fields) if step is not None else tenant
    decision = plan(seen, Observed(KEY, holds=("court",)), now)
    assert isinstance(decision, Wait)
    assert (decision.reason, "court" in decision.message) == ("Held", True)


@pytest.mark.parametrize(
    "step", [RetentionStep.COPY, RetentionStep.DROP_CACHES, RetentionStep.TRIM, RetentionStep.PURGE]
)
def test_a_run_that_has_committed_is_carried_to_its_end(
    tenant: Tenant, at: At, now: datetime, step: RetentionStep
) -> None:
    seen = at(tenant, step, key_versions=VERSIONS)
    assert isinstance(plan(seen, Observed(replace(KEY, latest_version=2), holds=("court",)), now), Run)


@pytest.mark.parametrize(
    ("counted", "seen", "expected"),
    [
        pytest.param((), Observed(), Operation.CHECK_HOLDS_AGAIN, id="holds are asked for before it may commit"),
        pytest.param((), Observed(rechecked=True), Operation.COMMIT, id="nobody is held"),
        pytest.param(
            (ADA,), Observed(rechecked=True, excepted=(ADA,)), Operation.COMMIT, id="counted without the held"
        ),
        pytest.param((), Observed(holds=("court",)), Operation.CHECK_HOLDS_AGAIN, id="what a cache says is not enough"),
        pytest.param((), Observed(rechecked=True, holds=("court",)), Operation.DROP, id="a hold over everybody came"),
        pytest.param((), Observed(rechecked=True, excepted=(ADA,)), Operation.DROP, id="a hold over one came"),
        pytest.param(
            (), Observed(rechecked=True, holds=("court",), committed=True), Operation.COMMIT, id="it came too late"
        ),
    ],
)
def test_a_hold_wins_until_the_data_plane_has_committed(
    tenant: Tenant, at: At, now: datetime, counted: tuple[str, ...], seen: Observed, expected: Operation
) -> None:
    """Between Rotate and Commit a Gateway may be away for days: what comes meanwhile still has to be kept."""
    run = at(tenant, RetentionStep.COMMIT, key_versions=VERSIONS, excepted_digest=digest(counted))
    assert plan(run, replace(seen, key=replace(KEY, latest_version=2)), now) == Run(expected)


@pytest.mark.parametrize(
    ("counted", "held", "expected"),
    [
        pytest.param((), (), Operation.RECORD_VERSIONS, id="nobody is held"),
        pytest.param((ADA,), (ADA,), Operation.RECORD_VERSIONS, id="counted without the one who is held"),
        pytest.param((), (ADA,), Operation.DROP, id="a hold came after the count"),
        pytest.param((ADA,), (ADA, BOB), Operation.DROP, id="another hold came after the count"),
        pytest.param((ADA,), (), Operation.DROP, id="a hold ended after the count"),
    ],
)
def test_a_count_of_before_a_hold_is_not_used(
    tenant: Tenant, at: At, now: datetime, counted: tuple[str, ...], held: tuple[str, ...], expected: Operation
) -> None:
    seen = at(tenant, RetentionStep.ROTATE, key_versions=None, excepted_digest=digest(counted))
    assert plan(seen, Observed(KEY, excepted=held), now) == Run(expected)


def test_more_than_a_gateway_can_leave_out_is_waited_for(tenant: Tenant, now: datetime) -> None:
    decision = plan(tenant, Observed(KEY, excepted=tuple(f"subj-{n}" for n in range(MOST_EXCEPTED + 1))), now)
    assert isinstance(decision, Wait)
    assert decision.reason == "Held"


def test_what_was_left_out_is_recorded_as_a_digest_without_a_handle() -> None:
    answer = Retention.model_validate(
        {"request": "r", "state": "Begun", "rules_digest": "ab" * 32, "counts": {"due": {"images": 1}}}
    )
    changes = findings.begun(answer, (ADA,)).changes
    assert changes["excepted_digest"] == digest((ADA,))
    assert "subj-" not in str(changes)


class Runs(RetentionRuns):
    """A Gateway that answers one thing about every run."""

    def __init__(self, answer: Retention | DataPlaneRefusedError) -> None:
        self._answer = answer

    async def show(self, tenant: str, run: str) -> Retention:
        """See the client."""
        if isinstance(self._answer, DataPlaneRefusedError):
            raise self._answer
        return self._answer


def shown(state: str, slices: int = 0) -> Retention:
    counts = {"due": {"images": 1}}
    return Retention.model_validate(
        {"request": "r", "state": state, "rules_digest": "ab" * 32, "counts": counts, "slices": slices}
    )


@pytest.mark.parametrize(
    ("answer", "committed"),
    [
        pytest.param(shown("Begun"), False, id="counted only"),
        pytest.param(shown("Begun", slices=1), True, id="a slice is forgotten already"),
        pytest.param(shown("Committed", slices=1), True, id="committed, and the record of it was lost"),
        pytest.param(shown("Complete", slices=2), True, id="whatever came after"),
        pytest.param(DataPlaneRefusedError("404", code="not_found"), False, id="a data plane that does not know it"),
    ],
)
def test_only_the_data_plane_knows_whether_it_is_too_late(
    tenant: Tenant, at: At, answer: Retention | DataPlaneRefusedError, *, committed: bool
) -> None:
    run = recorded(at(tenant, RetentionStep.COMMIT)).current
    assert run is not None
    peers = Peers(keys=KeyRing(FakeKeyAdmin(FakeTransit())), runs=Runs(answer))
    assert asyncio.run(is_committed(peers, Work("acme", run, KEY))) is committed


def test_a_refusal_is_no_answer(tenant: Tenant, at: At) -> None:
    run = recorded(at(tenant, RetentionStep.COMMIT)).current
    assert run is not None
    peers = Peers(keys=KeyRing(FakeKeyAdmin(FakeTransit())), runs=Runs(DataPlaneRefusedError("403", code="forbidden")))
    with pytest.raises(DataPlaneRefusedError):
        asyncio.run(is_committed(peers, Work("acme", run, KEY)))


class Holds(LiveReader):
    """An apiserver that has these holds."""

    def __init__(self, *held: LegalHold) -> None:
        self._held = held

    async def all(self, model: type[Any], namespace: str | None = None) -> list[Any]:
        """See the port."""
        return list(self._held)


def test_a_run_asks_for_the_holds_over_what_it_was_begun_with(
    tenant: Tenant, make_hold: Callable[..., LegalHold], now: datetime
) -> None:
    """Rules may change between its rotation and its commit: what it is about to forget is what its own rules say."""
    hold = make_hold(categories=["prompts"])
    images = tuple(rule for rule in tenant.spec.retention if rule.category.value == "images")
    changed = tenant.model_copy(update={"spec": tenant.spec.model_copy(update={"retention": images})})
    begun = tenant.spec.retention
    assert asyncio.run(standing(Holds(hold), changed, now)).holds == ()
    assert asyncio.run(standing(Holds(hold), changed, now, begun)).holds == (hold.name,)
