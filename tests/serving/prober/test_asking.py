"""Asking the prober: twice, after a crash, into silence, and about something else."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from imagint_privacy.errors import KeyForbiddenError, KeysUnavailableError
from imagint_privacy.keys.ports import Refusal
from imagint_serving.prober import storage
from imagint_serving.prober.errors import (
    BeforeMissingError,
    GatewayUnavailableError,
    InvalidProbeError,
    ProbeConflictError,
    ProbeStoreError,
)
from imagint_serving.prober.fakes import refusal
from imagint_serving.prober.messages import ProbeRecord, Result
from imagint_serving.prober.rigs import AFTER, BEFORE, REQUEST, SUBJECT, SURVIVOR, Exportable, Scene, answering
from imagint_serving.prober.storage import ProbeStorage


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def failed(result: Result) -> set[str]:
    return {check.name for check in result.checks if not check.passed}


def raise_the_minimum_only(scene: Scene) -> None:
    version = scene.admin.rotate("tenant-acme")
    scene.gateway.forget(SUBJECT, version)
    scene.admin.raise_minimum("tenant-acme", version)


TRIMMED = "old-version-trimmed"


# ---- asking twice, and being killed in between


def test_a_result_that_passed_is_replayed_even_by_a_new_process(scene: Scene) -> None:
    before = scene.prober.before(REQUEST, BEFORE)
    scene.seconds = 30
    scene.erase()
    assert scene.started().before(REQUEST, BEFORE) == before
    after = scene.prober.after(REQUEST, AFTER)
    scene.seconds, scene.gateway.answer = 60, lambda _: refusal(500, "down")
    assert scene.started().after(REQUEST, AFTER) == after
    assert scene.started().before(REQUEST, BEFORE) == before


def test_a_result_that_did_not_pass_is_looked_at_afresh(scene: Scene) -> None:
    scene.prober.before(REQUEST, BEFORE)
    raise_the_minimum_only(scene)
    assert failed(scene.prober.after(REQUEST, AFTER)) == {TRIMMED}
    scene.admin.trim("tenant-acme", 2)
    assert scene.prober.after(REQUEST, AFTER).passed


class Killed(BaseException):
    """The process ends here."""


class KilledStorage(ProbeStorage):
    """Ends the process just before or just after a record is kept."""

    def __init__(self, storage: ProbeStorage, *, after_writing: bool) -> None:
        super().__init__(storage.folder)
        self._after_writing = after_writing

    def save(self, request: str, record: ProbeRecord) -> None:
        if self._after_writing:
            super().save(request, record)
        raise Killed


@pytest.mark.parametrize("after_writing", [False, True], ids=["before the record is kept", "after it is kept"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_any_moment_the_next_process_answers(scene: Scene, moment: str, after_writing: bool) -> None:
    dying = scene.started(KilledStorage(scene.storage, after_writing=after_writing))
    if moment == "before":
        with pytest.raises(Killed):
            dying.before(REQUEST, BEFORE)
    assert scene.started().before(REQUEST, BEFORE).passed
    scene.erase()
    if moment == "after":
        with pytest.raises(Killed):
            dying.after(REQUEST, AFTER)
    assert scene.started().after(REQUEST, AFTER).passed


# ---- nothing is concluded from silence


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("switch", ["sealed", "unreachable"])
def test_a_vault_that_does_not_answer_proves_nothing(scene: Scene, moment: str, switch: str) -> None:
    if moment == "after":
        scene.prober.before(REQUEST, BEFORE)
        scene.erase()
    setattr(scene.transit, switch, True)
    with pytest.raises(KeysUnavailableError):
        getattr(scene.prober, moment)(REQUEST, BEFORE if moment == "before" else AFTER)
    setattr(scene.transit, switch, False)
    assert getattr(scene.prober, moment)(REQUEST, BEFORE if moment == "before" else AFTER).passed


class Forbidding(Exportable):
    def refused(self, name: str, ciphertext: str) -> Refusal:
        raise KeyForbiddenError("not allowed")


def test_a_vault_that_forbids_the_question_proves_nothing(scene: Scene) -> None:
    scene.prober.before(REQUEST, BEFORE)
    scene.erase()
    prober = scene.started(vault=Forbidding(scene.transit))
    with pytest.raises(KeyForbiddenError):
        prober.after(REQUEST, AFTER)


def test_a_gateway_that_dawdles_proves_nothing(scene: Scene) -> None:
    def slowly(request: httpx.Request) -> httpx.Response:
        scene.seconds += 61
        scene.gateway.answer = None
        return scene.gateway.respond(request)

    scene.gateway.answer = slowly
    with pytest.raises(GatewayUnavailableError):
        scene.prober.before(REQUEST, BEFORE)


# ---- questions that are refused


def test_after_without_before_is_refused(scene: Scene) -> None:
    with pytest.raises(BeforeMissingError):
        scene.prober.after(REQUEST, AFTER)


def test_after_a_before_that_did_not_pass_is_refused(scene: Scene) -> None:
    scene.gateway.answer = answering("/canaries/open", refusal(404, "not_found"), scene.gateway)
    assert not scene.prober.before(REQUEST, BEFORE).passed
    with pytest.raises(BeforeMissingError):
        scene.prober.after(REQUEST, AFTER)


def test_the_same_request_about_another_subject_is_refused(scene: Scene) -> None:
    scene.prober.before(REQUEST, BEFORE)
    with pytest.raises(ProbeConflictError):
        scene.prober.before(REQUEST, BEFORE.model_copy(update={"subject": SURVIVOR}))
    with pytest.raises(ProbeConflictError):
        scene.prober.after(REQUEST, AFTER.model_copy(update={"subject": SURVIVOR}))
    scene.erase()
    scene.prober.after(REQUEST, AFTER)
    with pytest.raises(ProbeConflictError):
        scene.prober.after(REQUEST, AFTER.model_copy(update={"key_version": 3}))


def test_a_namespace_that_is_not_the_tenants_is_refused(scene: Scene) -> None:
    with pytest.raises(InvalidProbeError):
        scene.prober.before(REQUEST, BEFORE.model_copy(update={"namespace": "tenant-bolt"}))


def test_what_was_observed_carries_its_time(scene: Scene) -> None:
    scene.seconds = 1.25
    assert scene.prober.before(REQUEST, BEFORE).observed_at == "2026-11-02T09:30:01.250000Z"


def test_the_record_on_disk_cannot_be_read_by_others_and_a_damaged_one_is_said(scene: Scene) -> None:
    scene.prober.before(REQUEST, BEFORE)
    (path,) = scene.storage.folder.iterdir()
    assert path.name == f"{REQUEST}.json"
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text(json.dumps({"format": 2}))
    with pytest.raises(ProbeStoreError):
        scene.prober.before(REQUEST, BEFORE)


def test_a_before_that_did_not_pass_is_looked_at_afresh(scene: Scene) -> None:
    scene.gateway.answer = answering("/canaries/open", refusal(404, "not_found"), scene.gateway)
    assert not scene.prober.before(REQUEST, BEFORE).passed
    scene.gateway.answer = None
    assert scene.prober.before(REQUEST, BEFORE).passed


def test_a_record_beyond_the_limit_is_not_read(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.prober.before(REQUEST, BEFORE)
    monkeypatch.setattr(storage, "MAX_RECORD", 10)
    with pytest.raises(ProbeStoreError):
        scene.prober.before(REQUEST, BEFORE)


def test_a_half_written_record_of_a_killed_process_is_not_taken_for_one(scene: Scene) -> None:
    scene.storage.folder.mkdir()
    (scene.storage.folder / f"{REQUEST}.partial").write_text('{"format": 1, "before": {')
    assert scene.started().before(REQUEST, BEFORE).passed
