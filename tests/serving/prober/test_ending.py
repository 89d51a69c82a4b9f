"""The two looks at a tenant's end, by a true small Gateway and a true fake of Vault."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagint_privacy.evidence import KEY_GONE, OLD_ROOT_REFUSED, SHRED_CHECKS_BEFORE
from imagint_serving.prober.ending import TenantProber
from imagint_serving.prober.errors import InvalidProbeError, ProbeConflictError
from imagint_serving.prober.gateways import HttpGateway
from imagint_serving.prober.messages import Result, TenantQuestion
from imagint_serving.prober.probing import Surroundings
from imagint_serving.prober.rigs import START, Scene

UID = "5f0e1b7a-2d4c-4b8e-8a55-6d1f0e9c7b21"
ACME = TenantQuestion(tenant="acme", namespace="tenant-acme")


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def prober(scene: Scene) -> TenantProber:
    """A new process of the prober, on the same folder."""
    gateway = HttpGateway("http://serve.test", scene.token, scene.gateway.transport())
    around = Surroundings(now=lambda: START, monotonic=lambda: 0.0, nonce=lambda: "00" * 32)
    return TenantProber(scene.keys.prober(), gateway, scene.storage, around)


def names(result: Result) -> tuple[str, ...]:
    return tuple(check.name for check in result.checks)


def test_a_key_that_is_gone_passes_with_its_old_root(scene: Scene) -> None:
    before = prober(scene).before(UID, ACME)
    scene.admin.destroy("tenant-acme")
    after = prober(scene).after(UID, ACME)
    assert (before.passed, after.passed) == (True, True)
    assert (names(before), names(after)) == (SHRED_CHECKS_BEFORE, (KEY_GONE, OLD_ROOT_REFUSED))
    assert prober(scene).after(UID, ACME) == after


def test_a_key_that_stands_does_not_pass(scene: Scene) -> None:
    prober(scene).before(UID, ACME)
    assert not any(check.passed for check in prober(scene).after(UID, ACME).checks)


def test_a_new_key_under_the_same_name_does_not_pass_for_a_key_that_is_gone(scene: Scene) -> None:
    prober(scene).before(UID, ACME)
    scene.admin.destroy("tenant-acme")
    scene.admin.ensure("tenant-acme")
    assert not prober(scene).after(UID, ACME).passed


def test_without_a_root_only_the_key_is_looked_at(scene: Scene) -> None:
    scene.admin.destroy("tenant-acme")
    assert names(prober(scene).after(UID, ACME)) == (KEY_GONE,)


def test_asked_again_it_looks_again_until_it_passes(scene: Scene) -> None:
    prober(scene).before(UID, ACME)
    assert not prober(scene).after(UID, ACME).passed
    scene.admin.destroy("tenant-acme")
    assert prober(scene).after(UID, ACME).passed


def test_one_uid_is_one_tenant(scene: Scene) -> None:
    prober(scene).before(UID, ACME)
    with pytest.raises(ProbeConflictError):
        prober(scene).after(UID, TenantQuestion(tenant="other", namespace="tenant-other"))
    with pytest.raises(InvalidProbeError):
        prober(scene).before(UID, TenantQuestion(tenant="acme", namespace="tenant-other"))
