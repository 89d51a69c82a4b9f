"""From probes to certificate, on the true fake and on a real Vault alike: probed, signed, verified."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from imagint_privacy import evidence as ev
from imagint_privacy.evidence import fakes
from imagint_serving.prober.messages import Result
from imagint_serving.prober.rigs import AFTER, BEFORE, REQUEST, Scene


@pytest.fixture
def scene(key_service: Any, tmp_path: Path) -> Scene:
    key_service.admin().destroy("tenant-acme")  # an earlier test's
    return Scene(tmp_path, key_service)


def failed(result: Result) -> set[str]:
    return {check.name for check in result.checks if not check.passed}


def test_a_probed_erasure_is_certified_and_verified(scene: Scene, key_service: Any) -> None:
    before = scene.prober.before(REQUEST, BEFORE)
    scene.erase()
    scene.seconds = 60
    after = scene.prober.after(REQUEST, AFTER)
    assert (failed(before), failed(after)) == (set(), set())
    good = fakes.erased()
    assert good.key is not None
    trimmed = fakes.RECEIVED + timedelta(seconds=30)
    facts = fakes.erased(
        key=good.key.model_copy(update={"trimmed_at": trimmed}),
        clocks=good.clocks.model_copy(update={"done_at": fakes.RECEIVED + timedelta(seconds=61)}),
        hold_check=good.hold_check.model_copy(update={"checked_at": fakes.RECEIVED}),
        probes=ev.Probes(
            before=ev.ProbeResult.from_answer(before.model_dump(mode="json")),
            after=ev.ProbeResult.from_answer(after.model_dump(mode="json")),
        ),
    )
    signer = key_service.signer()
    statement = ev.erasure_statement(facts, subject=ev.commitment(fakes.HANDLE, fakes.SALT))
    certificate = ev.certify(statement, signer)
    report = ev.verify(certificate, [signer.public_key()], fakes.RECEIVED + timedelta(days=1))
    assert report.trusted
    assert signer.key_id.endswith(report.key_id)


def test_a_version_that_is_only_disallowed_is_not_trimmed(scene: Scene) -> None:
    scene.prober.before(REQUEST, BEFORE)
    version = scene.admin.rotate("tenant-acme")
    scene.gateway.forget(BEFORE.subject, version)
    assert failed(scene.prober.after(REQUEST, AFTER)) == {"old-root-refused", "old-version-trimmed"}
    scene.admin.raise_minimum("tenant-acme", version)
    assert failed(scene.prober.after(REQUEST, AFTER)) == {"old-version-trimmed"}
    scene.admin.trim("tenant-acme", version)
    assert scene.prober.after(REQUEST, AFTER).passed


def test_a_destroyed_key_is_no_proof_of_an_erasure(scene: Scene) -> None:
    scene.prober.before(REQUEST, BEFORE)
    scene.erase()
    scene.admin.destroy("tenant-acme")
    assert failed(scene.prober.after(REQUEST, AFTER)) >= {"old-root-refused", "old-version-trimmed"}
