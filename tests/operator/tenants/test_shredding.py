"""What the deletion of a Tenant needs next, over every stage, and what it must never do."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagint_operator.api.deletion import (
    DeletionOutcome,
    DeletionStatus,
    DeletionStep,
    ShredEvidence,
    ShredKey,
)
from imagint_operator.api.tenants import Tenant
from imagint_operator.errors import VaultUnavailableError
from imagint_operator.serve.applications import is_served
from imagint_operator.serve.views import ServeView
from imagint_operator.tenants import walls
from imagint_operator.tenants.observations import GatewayView, KeyView, Observed
from imagint_operator.tenants.plan import Action, plan
from imagint_operator.tenants.shredding import (
    DRAIN_PATIENCE,
    PROBE_PATIENCE,
    ROOT_PATIENCE,
    Archive,
    Certify,
    DeleteNamespace,
    DestroyKey,
    ProbeGone,
    Record,
    RemoveFinalizer,
    RetainRoot,
    shred_at,
)
from imagint_operator.tenants.status import status
from imagint_privacy.keys.ports import KeyState

MakeTenant = Callable[..., Tenant]
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MADE = {1: "2026-11-01T00:00:00Z"}
KEY = KeyState("tenant-acme", 1, 1, 0, 0, exportable=False, allow_plaintext_backup=False, deletion_allowed=False,
               created_at=MADE)  # fmt: skip
RECORDED: dict[str, Any] = {"key": {"name": "tenant-acme", "version": 1}, "namespaceUid": "ns-uid"}
NO_VAULT = KeyView(problem=VaultUnavailableError("Vault is sealed or unreachable"))
EVIDENCE = ShredEvidence(config_map="shred-acme-uid-acme", digest="sha256:" + "ab" * 32)
DRAINED = GatewayView(drained=True)
ROTATED = KeyView(replace(KEY, latest_version=2))


def build(policy: str = "Shred", grace: int = 0, **given_status: Any) -> Tenant:
    return Tenant.model_validate(
        {
            "metadata": {
                "name": "acme", "uid": "uid-acme", "generation": 1, "finalizers": ["imagint.ai/tenant"],
                "deletionTimestamp": NOW.isoformat(),
            },
            "spec": {"residency": {"region": "eu"}, "deletion": {"policy": policy, "graceSeconds": grace}},
            "status": RECORDED | given_status,
        }
    )  # fmt: skip


def seen(tenant: Tenant, **changes: Any) -> Observed:
    namespace = walls.namespace(tenant)
    namespace["metadata"] |= {"uid": "ns-uid"}
    whole = Observed(namespace, dict(walls.contents(tenant)), KeyView(KEY, upsert_disabled=True), DRAINED)
    return replace(whole, **changes)


def at(step: DeletionStep, **changes: Any) -> DeletionStatus:
    facts: dict[str, Any] = {"step": step, "started_at": NOW}
    if step is not DeletionStep.DRAIN:
        facts |= {"begun_at": NOW, "shred_at": NOW, "key": ShredKey(version=1)}
    if step not in {DeletionStep.DRAIN, DeletionStep.DESTROY_KEY}:
        facts |= {"gone_at": NOW, "outcome": DeletionOutcome.SHREDDED}
    if step is DeletionStep.RELEASE:
        facts |= {"evidence": EVIDENCE}
    return DeletionStatus(**facts | changes)


def with_deletion(tenant: Tenant, deletion: DeletionStatus | None) -> Tenant:
    return tenant.model_copy(update={"status": tenant.status.model_copy(update={"deletion": deletion})})


ONWARD = {RetainRoot: DeletionStep.DRAIN, ProbeGone: DeletionStep.ARCHIVE, Archive: DeletionStep.CERTIFY}


def carried_out(observed: Observed, action: Action, tenant: Tenant) -> tuple[Observed, Tenant]:
    """The world after a step."""
    match action:
        case Record(deletion):
            tenant = with_deletion(tenant, deletion)
        case RetainRoot() | ProbeGone() | Archive():
            before = tenant.status.deletion or at(DeletionStep.DRAIN)
            tenant = with_deletion(tenant, before.model_copy(update={"step": ONWARD[type(action)]}))
        case Certify():
            assert tenant.status.deletion is not None
            done = {"step": DeletionStep.RELEASE, "evidence": EVIDENCE}
            tenant = with_deletion(tenant, tenant.status.deletion.model_copy(update=done))
        case DestroyKey():
            observed = replace(observed, key=KeyView())
        case DeleteNamespace():
            observed = replace(observed, namespace=None)
        case RemoveFinalizer():
            metadata = tenant.metadata.model_copy(update={"finalizers": ()})
            tenant = tenant.model_copy(update={"metadata": metadata})
    return observed, tenant


def test_the_whole_way() -> None:
    tenant = build()
    observed = seen(tenant)
    done: list[str] = []
    while actions := plan(tenant, observed, NOW):
        (action,) = actions
        done.append(type(action).__name__)
        observed, tenant = carried_out(observed, action, tenant)
    assert done == ["RetainRoot", "Record", "DestroyKey", "Record", "ProbeGone", "Archive", "Certify",
                    "DeleteNamespace", "RemoveFinalizer"]  # fmt: skip


def test_what_is_recorded_before_the_key_goes() -> None:
    (action,) = plan(with_deletion(build(), at(DeletionStep.DRAIN)), seen(build()), NOW)
    assert isinstance(action, Record)
    key = action.deletion.key
    assert key is not None
    assert (key.version, key.oldest_version, len(key.assurances)) == (1, 1, 3)
    assert (action.deletion.stopped_at, action.deletion.shred_at, action.deletion.begun_at) == (NOW, NOW, NOW)


LATER = timedelta(days=9999)
CASES = [
    pytest.param(build("Refuse"), {}, LATER, None, id="refused: everything is kept"),
    pytest.param(with_deletion(build(grace=60), at(DeletionStep.DRAIN)), {}, timedelta(seconds=59), None,
                 id="the grace time is waited for"),
    pytest.param(with_deletion(build(grace=60), at(DeletionStep.DRAIN)), {}, timedelta(seconds=60), Record,
                 id="the grace time is over"),
    pytest.param(with_deletion(build("Refuse", 60), at(DeletionStep.DRAIN)), {}, LATER, None,
                 id="refused during the grace time: the clock is stopped"),
    pytest.param(with_deletion(build("Refuse"), at(DeletionStep.DESTROY_KEY)), {}, timedelta(), DestroyKey,
                 id="refused too late: what was begun is carried to its end"),
    pytest.param(with_deletion(build(), at(DeletionStep.DRAIN)), {"holds": ("case-7",)}, LATER, None,
                 id="a legal hold stands"),
    pytest.param(with_deletion(build(), at(DeletionStep.DESTROY_KEY)), {"holds": ("case-7",)}, LATER, None,
                 id="a legal hold came while Vault was sealed: the key is whole, and stays"),
    pytest.param(with_deletion(build(), at(DeletionStep.DESTROY_KEY)), {"holds": ("case-7",), "key": ROTATED}, LATER,
                 DestroyKey, id="a legal hold came in the middle of the destruction: too late"),
    pytest.param(with_deletion(build(), at(DeletionStep.PROBE)), {"holds": ("case-7",)}, LATER, DestroyKey,
                 id="a legal hold does not keep a key that came back after it was destroyed"),
    pytest.param(with_deletion(build(), at(DeletionStep.DRAIN)), {"gateway": GatewayView()}, timedelta(), None,
                 id="something runs still"),
    pytest.param(with_deletion(build(), at(DeletionStep.DRAIN)), {"gateway": GatewayView()}, DRAIN_PATIENCE, Record,
                 id="the data plane is dead, and was waited for"),
    pytest.param(build(), {"key": NO_VAULT}, LATER, None, id="Vault is sealed at the beginning"),
    pytest.param(with_deletion(build(), at(DeletionStep.PROBE)), {"key": NO_VAULT}, LATER, None,
                 id="Vault is sealed in between"),
    pytest.param(with_deletion(build(), at(DeletionStep.CERTIFY)), {}, timedelta(), DestroyKey,
                 id="the key came back from a snapshot"),
    pytest.param(with_deletion(build(), at(DeletionStep.RELEASE)), {"key": NO_VAULT}, timedelta(), DeleteNamespace,
                 id="certified: Vault is not needed any more"),
    pytest.param(with_deletion(build(), at(DeletionStep.RELEASE)), {"key": KeyView(), "namespace": None}, timedelta(),
                 RemoveFinalizer, id="certified, and the namespace is gone"),
    pytest.param(with_deletion(build(), at(DeletionStep.RELEASE, evidence=None)), {"key": KeyView()}, timedelta(),
                 Certify, id="released without a certificate: made first"),
]  # fmt: skip


def test_a_hold_that_came_before_the_destruction_began_is_named() -> None:
    tenant = with_deletion(build(), at(DeletionStep.DESTROY_KEY))
    said = [status(tenant, seen(tenant, **more), NOW).conditions[0].reason for more in ({"holds": ("case-7",)}, {})]
    assert said == ["Held", "Shredding"]


@pytest.mark.parametrize(("tenant", "changes", "later", "expected"), CASES)
def test_each_stage(tenant: Tenant, changes: dict[str, Any], later: timedelta, expected: type | None) -> None:
    actions = plan(tenant, seen(tenant, **changes), NOW + later)
    assert [type(action) for action in actions] == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("deletion", "patience", "key"),
    [
        pytest.param(None, ROOT_PATIENCE, KeyView(KEY), id="to retain the root"),
        pytest.param(at(DeletionStep.PROBE), PROBE_PATIENCE, KeyView(), id="to see the key gone"),
    ],
)
def test_the_prober_is_waited_for_and_not_for_ever(
    deletion: DeletionStatus | None, patience: timedelta, key: KeyView
) -> None:
    tenant = with_deletion(build(), deletion)
    kinds = (RetainRoot, ProbeGone)
    for later, final in [(patience - timedelta(seconds=1), False), (patience, True)]:
        (action,) = plan(tenant, seen(tenant, key=key), NOW + later)
        assert isinstance(action, kinds)
        assert action.final is final


def test_a_tenant_that_never_had_a_key_just_goes() -> None:
    tenant = build(key=None)
    observed = seen(tenant, key=KeyView())
    assert plan(tenant, observed, NOW) == (DeleteNamespace("tenant-acme", "ns-uid"),)
    assert plan(tenant, replace(observed, namespace=None), NOW) == (RemoveFinalizer(),)


def test_a_key_that_somebody_destroyed_before_is_said_to_be_gone_not_shredded() -> None:
    tenant = build()
    gone = seen(tenant, key=KeyView())
    (first,) = plan(tenant, gone, NOW)
    assert isinstance(first, Record)
    (second,) = plan(with_deletion(tenant, first.deletion), gone, NOW)
    assert isinstance(second, Record)
    assert second.deletion.outcome is DeletionOutcome.KEY_ALREADY_GONE
    assert second.deletion.key == ShredKey(version=1)


def test_a_namespace_made_by_hand_does_not_keep_our_own_key_alive() -> None:
    tenant = build()
    stranger = {"metadata": {"name": "tenant-acme", "uid": "another"}}
    (action,) = plan(with_deletion(tenant, at(DeletionStep.DESTROY_KEY)), seen(tenant, namespace=stranger), NOW)
    assert action == DestroyKey("tenant-acme")
    released = with_deletion(tenant, at(DeletionStep.RELEASE))
    assert plan(released, seen(tenant, namespace=stranger, key=KeyView()), NOW) == (RemoveFinalizer(),)


def test_a_deleted_tenant_is_served_until_its_deletion_is_recorded_and_again_when_it_is_refused() -> None:
    assert is_served(build())
    assert not is_served(with_deletion(build(), at(DeletionStep.DRAIN)))
    assert is_served(with_deletion(build("Refuse"), at(DeletionStep.DRAIN)))
    assert not is_served(with_deletion(build("Refuse"), at(DeletionStep.DESTROY_KEY)))


@pytest.mark.parametrize(
    ("looked", "drained"),
    [
        pytest.param(NOW - timedelta(seconds=1), False, id="a look from before: the tenant was served since"),
        pytest.param(NOW, True, id="a look from after"),
    ],
)
def test_only_a_look_from_after_shows_that_nothing_runs(looked: datetime, drained: bool) -> None:
    tenant = with_deletion(build(), at(DeletionStep.DRAIN))
    assert ServeView(leaving={"uid-acme": "acme"}, seen_at=looked).drained(tenant) is drained


def test_refusing_during_the_grace_time_forgets_the_deletion() -> None:
    tenant = with_deletion(build("Refuse", 60), at(DeletionStep.DRAIN))
    assert status(tenant, seen(tenant), NOW).deletion is None
    assert status(tenant, seen(tenant), NOW).conditions[0].reason == "DeletionRefused"
    late = with_deletion(build("Refuse", 60), at(DeletionStep.PROBE))
    assert status(late, seen(late), NOW).deletion == at(DeletionStep.PROBE)


KEYS = [KeyView(KEY), KeyView(), NO_VAULT]
STEPS = [None, *DeletionStep]


def test_safety_over_every_state() -> None:
    """The key goes only from a recorded step; the Tenant only with a certificate, or when there never was a key."""
    for step, policy, key, drained, here, had, late in itertools.product(
        STEPS, ["Shred", "Refuse"], KEYS, [True, False], [True, False], [True, False], [True, False]
    ):
        base = build(policy, 60, **({} if had else {"key": None}))
        tenant = with_deletion(base, at(step) if step else None)
        observed = seen(tenant, key=key, gateway=GatewayView(drained=drained))
        observed = observed if here else replace(observed, namespace=None)
        now = NOW + timedelta(seconds=60 if late else 0)
        for action in plan(tenant, observed, now):
            if isinstance(action, DestroyKey):
                assert step is not None
                assert tenant.status.deletion is not None
                assert tenant.status.deletion.begun_at is not None
            if isinstance(action, Record) and action.deletion.begun_at and step is DeletionStep.DRAIN:
                assert (policy, drained, late) == ("Shred", True, True)
            if isinstance(action, RemoveFinalizer | DeleteNamespace):
                certified = step is DeletionStep.RELEASE
                assert certified or (step is None and not had and key == KeyView())
            if isinstance(action, RemoveFinalizer):
                assert not here


@given(st.lists(st.sampled_from(["look", "die", "seal", "unseal", "run", "stop", "wait"]), max_size=60))
def test_whatever_happens_in_between_it_ends_with_a_certificate(events: list[str]) -> None:
    tenant, now = build(grace=5), NOW
    observed = seen(tenant)
    sealed = False
    order: list[str] = []
    for event in [*events, "unseal", "stop", *["wait"] * 10, *["look"] * 12]:
        match event:
            case "seal" | "unseal":
                sealed = event == "seal"
            case "run" | "stop":
                observed = replace(observed, gateway=GatewayView(drained=event == "stop"))
            case "wait":
                now += timedelta(seconds=1)
            case _:
                shown = replace(observed, key=NO_VAULT) if sealed else observed
                for action in plan(tenant, shown, now):
                    after, recorded = carried_out(observed, action, tenant)
                    observed = after
                    # A crash between the deed and its record repeats the deed.
                    tenant = tenant if event == "die" and not isinstance(action, RemoveFinalizer) else recorded
                    order.append(type(action).__name__)
    assert order[-1] == "RemoveFinalizer"
    assert order.index("DestroyKey") < order.index("Certify") < order.index("DeleteNamespace")
    assert shred_at(tenant) == NOW + timedelta(seconds=5)
