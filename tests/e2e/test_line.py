"""The line from a manifest to a certificate, with what goes wrong on the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from imagint_dev.demo import manifests, people, proofs
from imagint_dev.demo.cluster import wait_until
from imagint_dev.demo.narrator import DemoFailedError

pytestmark = [pytest.mark.e2e, pytest.mark.stack, pytest.mark.timeout(600)]


def test_the_erased_become_unreadable_and_the_survivors_stay(world: Any, tmp_path: Path) -> None:
    ana, bo, cy = world.someone("acme", 2), world.someone("acme", 2), world.someone("globex")
    assert all(world.opens(made) for made in ana + bo)
    backup = tmp_path / "backup"
    proofs.take_backup(world.state, world.vault, "acme", backup)
    request = world.ask_erasure(ana[0].subject)
    world.cluster.wait_condition("dsr", request, "Complete", "tenant-acme")

    assert not any(world.opens(made) for made in ana)
    assert all(world.opens(made) for made in bo)
    assert world.opens(cy[0], "globex")
    restored = proofs.read_backup(world.state, world.vault, "acme", backup)
    assert [restored.images.get(made.record) for made in ana] == [None, None]
    assert [restored.images.get(made.record) for made in bo] == [made.png for made in bo]
    assert proofs.old_root_refused(world.state, world.vault, "acme", backup).refused
    status, report = world.verifies(request, tmp_path)
    assert status == 0, report


def test_a_subject_who_holds_nothing_is_told_so_and_no_key_is_rotated(world: Any, tmp_path: Path) -> None:
    request = world.ask_erasure("subj-" + "a" * 26)
    world.cluster.wait_condition("dsr", request, "Complete", "tenant-acme")
    conditions = {c["type"]: c for c in world.status(request)["conditions"]}
    assert conditions["Complete"]["reason"] == "NothingHeld"
    assert "keyVersions" not in world.status(request)
    assert world.verifies(request, tmp_path)[0] == 0


def test_a_person_who_comes_back_after_an_erasure_can_make_images_again(world: Any) -> None:
    person = people.Person("Rita", "rita@acme.example", "acme", ())
    api = people.client(f"{world.serve}/acme/v1", world.keys["acme"])
    old = people.make_image(api, person, "a red circle on blue", 1)
    world.cluster.wait_condition("dsr", world.ask_erasure(old.subject), "Complete", "tenant-acme")
    new = people.make_image(api, person, "a red circle on blue", 2)
    assert world.opens(new)
    assert not world.opens(old)


def test_a_neighbours_token_is_refused_by_vault(world: Any) -> None:
    world.someone("acme")
    assert proofs.neighbour_refused(world.state, world.vault, owner="acme", neighbour="globex").refused


@pytest.mark.parametrize(
    "path",
    ["/v1/models", "/v1/images/0", "/v1/images", "/privacy/v1/status", "/privacy/v1/root"],
)
def test_a_neighbours_api_key_is_refused_at_every_door(world: Any, path: str) -> None:
    assert world.get("acme", path, key=world.keys["globex"]).status_code == httpx.codes.UNAUTHORIZED


def test_a_sealed_vault_makes_requests_fail_closed_and_conditions_say_so(world: Any) -> None:
    before = world.someone("acme")[0]
    world.stack.seal()
    try:
        wait_until("caches to age", lambda: not world.opens(before), limit_s=30)
        assert world.get("acme", f"/v1/images/{before.record}").status_code == httpx.codes.SERVICE_UNAVAILABLE
        request = world.ask_erasure(before.subject)

        def waits_for_keys() -> bool:
            found = {c["type"]: c for c in world.status(request).get("conditions", [])}
            return found.get("Complete", {}).get("reason") in {"VaultUnavailable", "DataPlaneUnavailable"}

        wait_until("the condition to say so", waits_for_keys, limit_s=30)
    finally:
        world.stack.unseal()
    world.cluster.wait_condition("dsr", request, "Complete", "tenant-acme")
    assert not world.opens(before)


def test_no_canary_rests_in_the_clear_anywhere_in_the_state_folder(world: Any) -> None:
    prompt, person = "a white triangle on red", people.Person("Kay", "kay-canary@acme.example", "acme", ())
    api = people.client(f"{world.serve}/acme/v1", world.keys["acme"])
    made = people.make_image(api, person, prompt, 5)
    canaries = [prompt.encode(), person.identifier.encode(), made.png[60:92]]
    folders = [world.state / name for name in ("data", "copies", "log", "etcd", "vault", "probes", "handover")]
    assert proofs.plaintext_at_rest(folders, canaries) == []
    world.cluster.wait_condition("dsr", world.ask_erasure(made.subject), "Complete", "tenant-acme")
    assert proofs.plaintext_at_rest(folders, canaries) == []


def test_a_broken_manifest_is_refused_by_the_apiserver_in_plain_words(world: Any) -> None:
    wrong = manifests.ERASURE.format(
        name="oops", tenant="acme", subject="ana@acme.example", received_at="2026-01-01T00:00:00Z"
    )
    with pytest.raises(DemoFailedError, match="subject"):
        world.cluster.apply(wrong)


def test_no_resource_or_event_in_the_cluster_names_a_person(world: Any) -> None:
    person = people.Person("Lu", "lu-canary@acme.example", "acme", ())
    made = people.make_image(
        people.client(f"{world.serve}/acme/v1", world.keys["acme"]), person, "a black square on white", 3
    )
    world.cluster.wait_condition("dsr", world.ask_erasure(made.subject), "Complete", "tenant-acme")
    everything = json.dumps(
        json.loads(world.cluster.run("get", "ten,md,dsr,cm,events.events.k8s.io", "-A", "-o", "json"))
    )
    assert "lu-canary" not in everything
    assert "black square" not in everything
