"""A new revision serves only after it has passed, and the one before serves until then."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagint_operator.api.models import CandidateState, ModelDeployment, ModelDeploymentStatus, Outcome, ProbeStatus
from imagint_operator.api.rollouts import RolloutStrategy
from imagint_operator.api.tenants import Tenant
from imagint_operator.conditions import find
from imagint_operator.kube.resources import ObjectKey
from imagint_operator.models.observations import Observed, Tried
from imagint_operator.models.plan import PAUSE, AskWriter, Probe, Probed, Try, kind_of, plan, trial
from imagint_operator.models.status import status
from imagint_operator.serve.ports import AppStatus
from imagint_operator.serve.revisions import Route, revision_of, route, running, template_of
from imagint_operator.serve.views import AppState

Make = Callable[..., ModelDeployment]
Look = Callable[..., Observed]
Write = Callable[..., ModelDeployment]
GOOD, BAD, DEAD = Tried(ok=True, score=100), Tried(ok=True, score=80), Tried(ok=False)
SECOND = {"dtype": "BFloat16"}


def edited(model: ModelDeployment, make: Make, **spec: Any) -> ModelDeployment:
    """The model after another apply."""
    fresh = make(spec=spec, generation=model.metadata.generation + 1)
    return fresh.model_copy(update={"status": model.status})


def revision(model: ModelDeployment) -> str:
    return revision_of(template_of(model.spec))


def reason(model: ModelDeployment, type_: str) -> str:
    found = find(model.status.conditions, type_)
    return f"{found.status.value} {found.reason}" if found else ""


@pytest.fixture
def tried(serve: Look, written: Write, now: datetime) -> Callable[..., ModelDeployment]:
    """Take a model's candidate as far as it goes, answering every try alike."""

    def drive(model: ModelDeployment, answer: Tried | None, at: datetime = now) -> ModelDeployment:
        for look in range(20):
            at = at if look == 0 else at + PAUSE
            observed, outcome = serve(model), {}
            for action in plan(model, observed, at):
                if isinstance(action, Try) and answer is not None:
                    passed = ProbeStatus(config_digest=action.digest, at=at, milliseconds=9) if answer.ok else None
                    outcome = {"tried": answer, "passed": passed}
                elif isinstance(action, Probe):
                    outcome = {"passed": ProbeStatus(config_digest=action.digest, at=at, milliseconds=5)}
            after = written(model, observed, at, **outcome)
            if after == model and not outcome:
                return model
            model = after
        raise AssertionError("it never comes to rest")

    return drive


def test_the_first_revision_serves_only_after_it_has_passed(make_model: Make, serve: Look, written: Write,
                                                            now: datetime, tried: Any) -> None:  # fmt: skip
    model = written(make_model(), serve(make_model()), now)
    assert route("acme", model).serving is None
    assert (reason(model, "Ready"), reason(model, "RolledOut")) == ("False Waiting", "False Starting")
    model = tried(model, GOOD)
    assert route("acme", model).serving == f"acme.model.shapes.{revision(model)}"
    assert [reason(model, each) for each in ("Ready", "RolledOut")] == ["True Ready", "True Promoted"]
    assert plan(model, serve(model), now) == ()


def test_a_good_second_revision_takes_over_and_the_first_goes_when_the_gateway_let_it_go(
    make_model: Make, serve: Look, written: Write, now: datetime, tried: Any
) -> None:
    first = tried(make_model(), GOOD)
    model = tried(edited(first, make_model, **SECOND), GOOD)
    assert [reason(model, each) for each in ("Ready", "RolledOut")] == ["True Ready", "True Promoted"]
    assert model.status.rollout.serving.revision == revision(model)
    assert set(running(model.status.rollout)) == {revision(first), revision(model)}
    later = now + timedelta(seconds=90)
    unaware = serve(model, gateway=AppStatus.DEPLOYING)
    assert written(model, unaware, later).status.rollout.retiring is not None
    model = tried(model, GOOD, later)
    assert set(running(model.status.rollout)) == {revision(model)}
    assert [each.outcome for each in model.status.rollout.history] == [Outcome.PROMOTED] * 2


@pytest.mark.parametrize(
    ("answer", "why"), [pytest.param(BAD, "QualityTooLow", id="bad pictures"),
                        pytest.param(DEAD, "ProbeFailed", id="no pictures")],
)  # fmt: skip
def test_a_failing_revision_is_kept_aside_and_the_old_serves(
    make_model: Make, tried: Any, answer: Tried, why: str
) -> None:
    first = tried(make_model(), GOOD)
    model = tried(edited(first, make_model, **SECOND), answer)
    candidate = model.status.rollout.candidate
    assert (candidate.state, candidate.reason, candidate.attempts) == (CandidateState.FAILED, why, 3)
    assert set(running(model.status.rollout)) == {revision(first)}
    assert [reason(model, each) for each in ("Ready", "RolledOut")] == ["True Ready", f"False {why}"]


def test_an_edit_back_ends_the_rollout_at_once(make_model: Make, serve: Look, written: Write, now: datetime,
                                               tried: Any) -> None:  # fmt: skip
    first = tried(make_model(), GOOD)
    model = tried(edited(first, make_model, **SECOND), None)
    assert model.status.rollout.candidate.state is CandidateState.PROBING
    back = edited(model, make_model)
    back = written(back, serve(back), now)
    assert back.status.rollout.candidate is None
    assert back.status.rollout.history[0].outcome is Outcome.REPLACED
    assert reason(back, "RolledOut") == "True Promoted"


def test_a_further_edit_replaces_the_candidate(make_model: Make, serve: Look, written: Write, now: datetime,
                                               tried: Any) -> None:  # fmt: skip
    model = tried(edited(tried(make_model(), GOOD), make_model, **SECOND), None)
    third = edited(model, make_model, dtype="Float16")
    third = written(third, serve(model), now)
    assert third.status.rollout.candidate.revision == revision(third)  # type: ignore[union-attr]
    assert third.status.rollout.candidate.attempts == 0  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "ended",
    [
        pytest.param((AppStatus.DEPLOYING, "DeadlineExceeded"), id="one that starts for ever"),
        pytest.param((AppStatus.DEPLOY_FAILED, "DeployFailed"), id="one that cannot start"),
    ],
)
def test_the_deadline_ends_it(make_model: Make, serve: Look, written: Write, now: datetime, tried: Any,
                              ended: tuple[AppStatus, str]) -> None:  # fmt: skip
    state, why = ended
    model = edited(tried(make_model(), GOOD), make_model, **SECOND)
    model = written(model, serve(model), now)
    states = {"r" + revision(model): state}
    assert written(model, serve(model, **states), now + timedelta(seconds=599)) == model
    late = written(model, serve(model, **states), now + timedelta(seconds=601))
    assert reason(late, "RolledOut") == f"False {why}"
    down = serve(model, gateway=AppStatus.DEPLOYING, **states)
    assert written(model, down, now + timedelta(days=1)).status.rollout == model.status.rollout


def test_a_revision_that_is_there_after_a_long_silence_is_tried_before_it_is_late(
    make_model: Make, serve: Look, written: Write, now: datetime, tried: Any
) -> None:
    model = edited(tried(make_model(), GOOD), make_model, **SECOND)
    model = written(model, serve(model), now)
    assert reason(tried(model, GOOD, now + timedelta(days=1)), "RolledOut") == "True Promoted"


def test_recreate_stops_the_old_one_first_and_brings_it_back(make_model: Make, serve: Look, written: Write,
                                                             now: datetime, tried: Any) -> None:  # fmt: skip
    first = tried(make_model(), GOOD)
    model = edited(first, make_model, **SECOND, rollout={"strategy": "Recreate"})
    model = written(model, serve(model), now)
    assert set(running(model.status.rollout)) == {revision(model)}
    assert route("acme", model).serving is None
    assert reason(written(model, serve(model), now), "Ready") == "False Recreating"
    model = tried(model, BAD)
    assert set(running(model.status.rollout)) == {revision(first)}
    assert [reason(model, each) for each in ("Ready", "RolledOut")] == ["True Ready", "False QualityTooLow"]


@pytest.mark.parametrize(
    "change", [pytest.param({"probe": {"minScore": 80}}, id="when less is asked"),
               pytest.param({"retry": "again"}, id="when it is asked for")],
)  # fmt: skip
def test_a_revision_kept_aside_is_tried_again(make_model: Make, tried: Any, change: dict[str, Any]) -> None:
    model = tried(edited(tried(make_model(), GOOD), make_model, **SECOND), BAD)
    again = tried(edited(model, make_model, **SECOND, rollout=change), Tried(ok=True, score=96))
    assert again.status.rollout.serving.revision == revision(again)


def test_a_change_that_applies_live_makes_no_revision(make_model: Make, tried: Any, serve: Look, now: datetime) -> None:
    first = tried(make_model(), GOOD)
    spec = {"replicas": {"min": 0, "max": 5}, "limits": {"steps": 9}, "batching": {"maxSize": 2}}
    model = edited(first, make_model, **spec)
    assert revision(model) == revision(first)
    assert plan(model, serve(first), now) == (AskWriter(),)


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        pytest.param({}, "Shapes", id="the bundled model is measured"),
        pytest.param({"source": {"type": "Path", "path": "/models/x"}}, "Picture", id="another one is looked at"),
        pytest.param({"source": {"type": "Path", "path": "/models/x"},
                      "rollout": {"probe": {"prompts": [{"prompt": "a", "hash": "0" * 16}]}}}, "Golden",
                     id="with hashes it is compared"),
    ],
)  # fmt: skip
def test_what_is_asked(make_model: Make, spec: dict[str, Any], kind: str) -> None:
    model = make_model(spec=spec)
    assert kind_of(model).value == kind
    assert trial(model, "app")["kind"] == kind.lower()


def test_a_skipped_probe_promotes_what_runs(make_model: Make, tried: Any) -> None:
    model = tried(make_model(spec={"rollout": {"probe": {"type": "Skip", "reason": "a fire"}}}), None)
    assert reason(model, "Ready") == "True Ready"
    assert "fire" not in str(model.status.conditions)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["nothing", "nothing", "edit", "strategy"]),
        st.sampled_from(["Auto", "Float32", "BFloat16"]),
        st.sampled_from([None, GOOD, BAD, DEAD]),
        st.sampled_from([AppStatus.RUNNING, AppStatus.RUNNING, AppStatus.DEPLOYING, AppStatus.DEPLOY_FAILED]),
        st.sampled_from([0, 5, 40, 700]),
        st.booleans(),
        st.booleans(),
    ),
    max_size=60,
)
TENANT = Tenant.model_validate({"metadata": {"name": "acme"}, "spec": {"residency": {"region": "eu"}}})


def made(generation: int, spec: dict[str, Any], recorded: ModelDeploymentStatus) -> ModelDeployment:
    source = {"source": {"type": "Bundled", "name": "shapes"}}
    metadata = {"name": "m", "namespace": "tenant-acme", "generation": generation}
    return ModelDeployment.model_validate({"metadata": metadata, "spec": source | spec, "status": recorded.to_wire()})


def deployed(model: ModelDeployment, told: Route, state: AppStatus) -> Observed:
    key = ObjectKey("ModelDeployment", "tenant-acme", "m")
    apps = {each: AppState(key, model.metadata.generation, each, state, True)
            for each in running(model.status.rollout)}  # fmt: skip
    return Observed(TENANT, apps, AppState(key, 1, "g", AppStatus.RUNNING, True, {"m": told}))


@given(steps=STEPS)
@settings(max_examples=300, deadline=None)
def test_what_serves_has_passed_and_always_runs(steps: list[Any]) -> None:
    """Whatever is edited, whatever Serve does, however late the Gateway hears of it, whatever write a kill takes."""
    now, passed, told = datetime.fromisoformat("2026-11-23T12:00:00+00:00"), set[str](), Route()
    spec: dict[str, Any] = {"rollout": {"strategy": "Surge"}}
    recorded, generation = ModelDeploymentStatus(), 1
    for edit, dtype, answer, state, seconds, hears, killed in steps:
        now += timedelta(seconds=seconds)
        if edit != "nothing":
            strategy = "Recreate" if edit == "strategy" else "Surge"
            spec, generation = {"dtype": dtype, "rollout": {"strategy": strategy}}, generation + 1
        model = made(generation, spec, recorded)
        told = route("acme", model) if hears else told
        observed = deployed(model, told, state)
        tries = [each for each in plan(model, observed, now) if isinstance(each, Try)]
        outcome = Probed(tried=answer if tries else None)
        after = status(model, observed, outcome, now)
        if tries and answer is GOOD:
            passed.add(tries[0].body["app"].rpartition(".")[2])
        if killed:
            continue
        before, serving, runs = recorded.rollout, after.rollout.serving, running(after.rollout)
        assert serving is None or serving.revision in passed
        assert before.serving is None or serving is not None
        surge = after.rollout.candidate is None or after.rollout.candidate.strategy is RolloutStrategy.SURGE
        assert serving is None or not surge or serving.revision in runs
        if told.serving is not None and surge:
            assert told.serving.rpartition(".")[2] in runs, "callers are sent to what was taken away"
        recorded = after


@given(steps=STEPS)
@settings(max_examples=100, deadline=None)
def test_looking_twice_at_the_same_changes_nothing_more(steps: list[Any]) -> None:
    now = datetime.fromisoformat("2026-11-23T12:00:00+00:00")
    recorded, generation = ModelDeploymentStatus(), 1
    for _, dtype, _, state, seconds, _, _ in steps:
        now, generation = now + timedelta(seconds=seconds), generation + 1
        looks = []
        for _ in range(4):
            model = made(generation, {"dtype": dtype}, recorded)
            recorded = status(model, deployed(model, route("acme", model), state), Probed(), now)
            looks.append(recorded)
        assert looks[-1] == looks[-2]
