"""Broken holds are refused by the apiserver itself, field by field, with no operator there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.stack
NAMESPACE = "tenant-bad-holds"
SUBJECT = "subj-" + "a" * 26
UNBEGUN: dict[str, Any] = {"from": None}
COURT = {"type": "Subject", "subject": SUBJECT}


@pytest.fixture(scope="module", autouse=True)
def namespace(cluster: Any) -> Iterator[None]:
    metadata = {"name": NAMESPACE, "labels": {"imagint.ai/tenant": NAMESPACE.removeprefix("tenant-")}}
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    yield
    cluster.run("delete", "namespace", NAMESPACE, "--wait=false")


def hold(name: str = "court", namespace: str = NAMESPACE, **spec: Any) -> dict[str, Any]:
    said = {
        "target": COURT, "authority": "Regional Court", "reasonCode": "Litigation", "from": "2026-11-23T12:00:00Z",
        "reviewBy": "2027-11-23T12:00:00Z",
    }  # fmt: skip
    return {
        "apiVersion": "imagint.ai/v1alpha1", "kind": "LegalHold", "metadata": {"name": name, "namespace": namespace},
        "spec": {key: value for key, value in (said | spec).items() if value is not None},
    }  # fmt: skip


BROKEN = [
    pytest.param(hold(target=None), "spec.target: Required", id="no target"),
    pytest.param(hold(target={"type": "Subject"}), "names its subject by handle", id="a subject without a handle"),
    pytest.param(hold(target={"type": "Tenant", "subject": SUBJECT}), "names nobody", id="everybody and somebody"),
    pytest.param(hold(target={"type": "Team"}), "Unsupported value", id="an unknown target"),
    pytest.param(
        hold(target={"type": "Subject", "subject": "ada@example.com"}), "subject must be a handle", id="an address"
    ),
    pytest.param(hold(categories=["faces"]), "Unsupported value", id="an unknown category"),
    pytest.param(hold(categories=["images", "images"]), "Duplicate value", id="a category twice"),
    pytest.param(hold(authority=None), "spec.authority: Required", id="no authority"),
    pytest.param(hold(authority="ada@court.example"), "never a person or an address", id="an address as authority"),
    pytest.param(hold(authority="x" * 129), "spec.authority", id="an authority that is too long"),
    pytest.param(hold(reasonCode="Because"), "Unsupported value", id="an unknown reason"),
    pytest.param(hold(**UNBEGUN), "spec.from: Required", id="no beginning"),
    pytest.param(hold(**{"from": "yesterday"}), "spec.from", id="a beginning in words"),
    pytest.param(
        hold(**{"from": "1970-01-01T00:00:00Z"}),
        "from must lie between 2000 and 2100",
        id="a beginning before our time",
    ),
    pytest.param(hold(reviewBy=None), "write one of them", id="for ever, and nobody looks"),
    pytest.param(hold(until="2026-11-23T12:00:00Z"), "until must be later than from", id="an end at its beginning"),
    pytest.param(hold(until="2199-01-01T00:00:00Z"), "until must lie between", id="an end beyond our time"),
    pytest.param(
        hold(reviewBy="2026-01-01T00:00:00Z"), "reviewBy must be later than from", id="a review before it begins"
    ),
    pytest.param(hold(liftedAt="now"), "spec.liftedAt", id="lifted in words"),
    pytest.param(hold("Court"), "lowercase RFC 1123", id="a name in capitals"),
    pytest.param(hold("a" * 64), "at most 63", id="a name that is too long"),
    pytest.param(hold(namespace="default"), "belongs into the namespace of a Tenant", id="outside a tenant"),
]

GOOD = [
    pytest.param(hold(), id="over one subject"),
    pytest.param(hold(target={"type": "Tenant"}), id="over everybody"),
    pytest.param(hold(reviewBy=None, until="2027-01-01T00:00:00Z"), id="with an end"),
    pytest.param(hold(categories=["images"]), id="over one category"),
]


@pytest.mark.parametrize(("manifest", "message"), BROKEN)
def test_a_broken_manifest_is_refused_in_words(cluster: Any, manifest: dict[str, Any], message: str) -> None:
    assert message in cluster.refused(manifest, "--dry-run=server")


@pytest.mark.parametrize("manifest", GOOD)
def test_a_good_manifest_is_accepted(cluster: Any, manifest: dict[str, Any]) -> None:
    cluster.run("apply", "--dry-run=server", "-f", "-", stdin=json.dumps(manifest))


def test_what_a_hold_is_about_never_changes_and_a_lifted_one_stays_lifted(cluster: Any) -> None:
    cluster.apply(hold("steady"))
    assert "target cannot be changed" in cluster.refused(hold("steady", target={"type": "Tenant"}))
    assert "reasonCode cannot be changed" in cluster.refused(hold("steady", reasonCode="TaxLaw"))
    cluster.apply(hold("steady", liftedAt="2026-12-01T12:00:00Z"))
    assert "stays lifted" in cluster.refused(hold("steady", liftedAt="2026-12-02T12:00:00Z"))
