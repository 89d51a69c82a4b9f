"""The two looks at an erasure, by a true small Gateway and a true fake of Vault; honest, broken and malicious ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from imagint_privacy.evidence import CHECKS_AFTER, CHECKS_BEFORE, ProbeResult
from imagint_serving.prober.fakes import refusal
from imagint_serving.prober.messages import Result
from imagint_serving.prober.rigs import AFTER, BEFORE, REQUEST, SUBJECT, SURVIVOR, Exportable, Scene, answering


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def failed(result: Result) -> set[str]:
    assert result.passed == all(check.passed for check in result.checks)
    return {check.name for check in result.checks if not check.passed}


def test_an_erasure_that_happened_passes_both_looks(scene: Scene) -> None:
    before = scene.prober.before(REQUEST, BEFORE)
    scene.erase()
    after = scene.prober.after(REQUEST, AFTER)
    assert (failed(before), failed(after)) == (set(), set())


def test_the_looks_are_those_that_a_certificate_demands(scene: Scene) -> None:
    before = ProbeResult.from_answer(scene.prober.before(REQUEST, BEFORE).model_dump(mode="json"))
    scene.erase()
    after = ProbeResult.from_answer(scene.prober.after(REQUEST, AFTER).model_dump(mode="json"))
    assert tuple(check.name for check in before.checks) == CHECKS_BEFORE
    assert tuple(check.name for check in after.checks) == CHECKS_AFTER


def test_an_erasure_of_one_category_leaves_the_others_listed(scene: Scene) -> None:
    scene.gateway.keys = {p: k for p, k in scene.gateway.keys.items() if p != (SUBJECT, "images")}
    scene.prober.before(REQUEST, BEFORE)
    scene.erase(("prompts",))
    assert failed(scene.prober.after(REQUEST, AFTER)) == set()
    assert (SUBJECT, "images") in scene.gateway.records


def test_no_detail_names_the_subject_or_shows_a_ciphertext(scene: Scene) -> None:
    before = scene.prober.before(REQUEST, BEFORE)
    scene.erase()
    details = "".join(check.detail for check in (*before.checks, *scene.prober.after(REQUEST, AFTER).checks))
    assert "subj-" not in details
    assert "vault:v" not in details


def lie_that_keys_are_gone(scene: Scene) -> None:
    """The rows vanish, the keys stay."""
    scene.gateway.spare_keys = True
    scene.erase()


def keep_the_rows(scene: Scene) -> None:
    scene.gateway.spare_rows = True
    scene.erase()


def never_trim(scene: Scene) -> None:
    version = scene.admin.rotate("tenant-acme")
    scene.gateway.forget(SUBJECT, version)


def raise_the_minimum_only(scene: Scene) -> None:
    version = scene.admin.rotate("tenant-acme")
    scene.gateway.forget(SUBJECT, version)
    scene.admin.raise_minimum("tenant-acme", version)


def lose_a_survivor(scene: Scene) -> None:
    scene.erase()
    del scene.gateway.keys[SURVIVOR, "images"]


def lose_every_survivor(scene: Scene) -> None:
    scene.erase()
    scene.gateway.keys.clear()


def give_the_key_back(scene: Scene) -> None:
    """Somebody restores a snapshot of Vault."""
    snapshot = scene.transit.snapshot()
    scene.erase()
    scene.transit.restore(snapshot)


def delete_the_whole_key(scene: Scene) -> None:
    scene.erase()
    scene.transit.remove("tenant-acme")


def answer_with_other_content(scene: Scene) -> None:
    scene.erase()
    wrong = httpx.Response(200, json={"nonce": "f" * 64})
    scene.gateway.answer = answering("/canaries/open", wrong, scene.gateway)


def answer_refusals_of_another_kind(scene: Scene) -> None:
    """404 or 400 is not "the key is destroyed"."""
    scene.erase()
    scene.gateway.answer = answering("/canaries/open", refusal(404, "not_found"), scene.gateway)


def answer_gone_for_another_reason(scene: Scene) -> None:
    scene.erase()
    scene.gateway.answer = answering("/canaries/open", refusal(410, "moved_away"), scene.gateway)


def refuse_everything_as_destroyed(scene: Scene) -> None:
    """A Gateway that simply says "destroyed" to all loses the survivors' canaries."""
    scene.gateway.spare_keys = True
    scene.erase()
    scene.gateway.answer = answering("/canaries/open", refusal(410, "key_destroyed"), scene.gateway)


def show_another_key(scene: Scene) -> None:
    scene.erase()
    root = {"generation": 2, "key_name": "tenant-bolt", "key_version": 2, "ciphertext": scene.gateway.root}
    scene.gateway.answer = answering("/root", httpx.Response(200, json=root), scene.gateway)


CANARY, SURVIVES, OLD, TRIMMED = (
    "erased-canary-refused",
    "survivor-canary-opens",
    "old-root-refused",
    "old-version-trimmed",
)
DISHONEST: dict[str, tuple[Callable[[Scene], None], set[str]]] = {
    "the Gateway still opens the canary": (lie_that_keys_are_gone, {CANARY}),
    "the listing is not empty": (keep_the_rows, {"listing-empty"}),
    "the old root still decrypts": (never_trim, {OLD, TRIMMED}),
    "the old version is disallowed but not trimmed": (raise_the_minimum_only, {TRIMMED}),
    "a survivor is lost": (lose_a_survivor, {SURVIVES}),
    "everybody is lost": (lose_every_survivor, {SURVIVES}),
    "a snapshot of Vault was restored": (give_the_key_back, {OLD, TRIMMED, "current-root-accepted"}),
    "the whole key is gone": (
        delete_the_whole_key,
        {OLD, TRIMMED, "current-root-accepted", "key-never-exportable"},
    ),
    "a canary opens with other content": (answer_with_other_content, {CANARY, SURVIVES}),
    "a canary is refused for another reason": (answer_refusals_of_another_kind, {CANARY, SURVIVES}),
    "a canary is gone for another reason": (answer_gone_for_another_reason, {CANARY, SURVIVES}),
    "the Gateway calls everything destroyed": (refuse_everything_as_destroyed, {SURVIVES}),
    "the Gateway shows another tenant's key": (show_another_key, {"current-root-accepted"}),
}


@pytest.mark.parametrize(("deed", "expected"), DISHONEST.values(), ids=DISHONEST.keys())
@pytest.mark.clause("6.1")
def test_an_erasure_that_did_not_happen_does_not_pass(
    scene: Scene, deed: Callable[[Scene], None], expected: set[str]
) -> None:
    assert scene.prober.before(REQUEST, BEFORE).passed
    deed(scene)
    assert failed(scene.prober.after(REQUEST, AFTER)) == expected


def test_a_before_without_canaries_does_not_pass(scene: Scene) -> None:
    nothing = httpx.Response(200, json={"erased": [], "survivors": []})
    scene.gateway.answer = answering("/canaries", nothing, scene.gateway)
    assert failed(scene.prober.before(REQUEST, BEFORE)) == {"erased-canary-opens", SURVIVES}


def test_a_root_that_vault_does_not_accept_before_does_not_pass(scene: Scene) -> None:
    scene.gateway.root = "vault:v1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    assert failed(scene.prober.before(REQUEST, BEFORE)) == {"old-root-accepted"}


def test_the_version_asked_for_counts_not_the_one_that_happens_to_be(scene: Scene) -> None:
    scene.prober.before(REQUEST, BEFORE)
    scene.erase()
    later = AFTER.model_copy(update={"key_version": 3})
    assert failed(scene.prober.after(REQUEST, later)) == {TRIMMED}


def test_a_key_that_could_have_been_exported_does_not_pass(scene: Scene) -> None:
    prober = scene.started(vault=Exportable(scene.transit))
    assert failed(prober.before(REQUEST, BEFORE)) == {"key-never-exportable"}
