"""Broken requests are refused by the apiserver itself, field by field: lifts, agents, purposes, extensions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from imagint_operator.kube import connections
from imagint_operator.kube.client import KubeClient
from imagint_operator.kube.resources import DATA_SUBJECT_REQUESTS

pytestmark = pytest.mark.stack
NAMESPACE = "tenant-bad-requests"
VERIFIED = {"method": "AccountSession", "at": "2026-11-23T12:00:00Z"}
TOLD = {"reason": "Complexity", "informedAt": "2026-12-01T12:00:00Z"}
LIFT = {"request": "ada", "ground": "PersonAsked", "informedAt": "2026-12-01T12:00:00Z"}
AGENT = {"method": "AuthorizedAgent", "at": "2026-11-23T12:00:00Z"}


@pytest.fixture(scope="module", autouse=True)
def namespace(cluster: Any) -> Iterator[None]:
    metadata = {"name": NAMESPACE, "labels": {"imagint.ai/tenant": NAMESPACE.removeprefix("tenant-")}}
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    yield
    cluster.run("delete", "namespace", NAMESPACE, "--wait=false")


def request(name: str = "ada", **spec: Any) -> dict[str, Any]:
    asked = {
        "type": "Restrict", "subject": "subj-" + "a" * 26, "regulation": "GDPR", "verification": VERIFIED,
        "receivedAt": "2026-11-23T12:00:00Z",
    }  # fmt: skip
    return {
        "apiVersion": "imagint.ai/v1alpha1", "kind": "DataSubjectRequest",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {key: value for key, value in (asked | spec).items() if value is not None},
    }  # fmt: skip


BROKEN = [
    pytest.param(
        request(verification=AGENT), "a permission that the person signed", id="an agent without a permission"
    ),
    pytest.param(
        request(verification=VERIFIED | {"agentAuthorization": "PowerOfAttorney"}),
        "nobody else does",
        id="a permission without an agent",
    ),
    pytest.param(
        request(verification=AGENT | {"agentAuthorization": "Word"}), "Unsupported value", id="an unknown permission"
    ),
    pytest.param(
        request(verification={"method": "Guess", "at": "2026-11-23T12:00:00Z"}),
        "Unsupported value",
        id="an unknown method",
    ),
    pytest.param(
        request(verification={"method": "AccountSession"}), "verification.at: Required", id="a check at no time"
    ),
    pytest.param(request(verification=None), "say how it was made sure", id="nobody checked"),
    pytest.param(
        request(purposes=["Market"]), "only an Object request names purposes", id="a restriction with purposes"
    ),
    pytest.param(
        request(type="Object", purposes=["Generate"]), "Unsupported value", id="an objection to the service itself"
    ),
    pytest.param(request(type="Erase", lift=LIFT), "only a Restrict or an Object", id="an erasure that lifts"),
    pytest.param(request(lift=LIFT, scope={"categories": ["images"]}), "leave scope and", id="a lifting of a part"),
    pytest.param(
        request(type="Object", lift=LIFT, purposes=["Market"]), "leave scope and", id="a lifting of one purpose"
    ),
    pytest.param(request(lift=LIFT | {"ground": "Whim"}), "Unsupported value", id="an unknown ground"),
    pytest.param(
        request(lift={"request": "ada", "ground": "PersonAsked"}),
        "informedAt: Required",
        id="the person was not told (18(3))",
    ),
    pytest.param(request(lift=LIFT | {"request": "Ada!"}), "spec.lift.request", id="a lifting of no name"),
    pytest.param(
        request(lift=LIFT | {"informedAt": "1970-01-01T00:00:00Z"}),
        "lift.informedAt must lie",
        id="told before our time",
    ),
    pytest.param(
        request(regulation="Other", extension=TOLD), "there is no extension", id="an extension without a statute"
    ),
    pytest.param(
        request(extension={"reason": "Busy", "informedAt": "2026-12-01T12:00:00Z"}),
        "Unsupported value",
        id="an unknown reason",
    ),
    pytest.param(
        request(extension={"reason": "Complexity"}), "informedAt: Required", id="an extension that nobody was told of"
    ),
    pytest.param(
        request(extension=TOLD | {"informedAt": "2199-01-01T00:00:00Z"}),
        "extension.informedAt must lie",
        id="told beyond our time",
    ),
    pytest.param(request(receivedAt="1970-01-01T00:00:00Z"), "receivedAt must lie", id="received before our time"),
]

GOOD = [
    pytest.param(request(), id="a restriction"),
    pytest.param(request(type="Object", purposes=["Market", "Improve"]), id="an objection to some purposes"),
    pytest.param(request("bob", lift=LIFT, verification=None), id="a lifting needs no proof of who asks"),
    pytest.param(
        request(verification=AGENT | {"agentAuthorization": "SignedPermission"}), id="an agent with a permission"
    ),
    pytest.param(
        request(regulation="CCPA", type="OptOut", verification=None), id="an opt-out needs none (11 CCR 7026)"
    ),
]


@pytest.mark.parametrize(("manifest", "message"), BROKEN)
def test_a_broken_manifest_is_refused_in_words(cluster: Any, manifest: dict[str, Any], message: str) -> None:
    assert message in cluster.refused(manifest, "--dry-run=server")


@pytest.mark.parametrize("manifest", GOOD)
def test_a_good_manifest_is_accepted(cluster: Any, manifest: dict[str, Any]) -> None:
    cluster.run("apply", "--dry-run=server", "-f", "-", stdin=json.dumps(manifest))


CHANGED = [
    pytest.param({"type": "Object"}, id="the right"),
    pytest.param({"subject": "subj-" + "b" * 26}, id="the subject"),
    pytest.param({"regulation": "UKGDPR"}, id="the law"),
    pytest.param({"scope": {"categories": ["images"]}}, id="the scope"),
    pytest.param({"receivedAt": "2026-11-24T12:00:00Z"}, id="the receipt"),
    pytest.param({"receivedAt": None}, id="the receipt, left out"),
    pytest.param({"verification": VERIFIED | {"at": "2026-11-24T12:00:00Z"}}, id="the verification"),
    pytest.param({"lift": LIFT}, id="what it lifts"),
]


@pytest.mark.parametrize("change", CHANGED)
def test_nothing_of_a_record_changes(cluster: Any, change: dict[str, Any]) -> None:
    cluster.apply(request("record"))
    assert "a request is a record and never changes" in _replaced(cluster, request("record", **change))


def test_a_request_is_extended_once(cluster: Any) -> None:
    cluster.apply(request("extended"))
    cluster.apply(request("extended", extension=TOLD))
    later = TOLD | {"informedAt": "2026-12-02T12:00:00Z"}
    assert "extended once" in _replaced(cluster, request("extended", extension=later))
    assert "extended once" in _replaced(cluster, request("extended"))


@pytest.mark.parametrize(
    ("status", "message"),
    [
        pytest.param(
            {"dueBy": "2026-11-30T12:00:00Z"}, "told within the first term", id="told after the first term"
        ),
        pytest.param(
            {
                "conditions": [
                    {"type": "Complete", "status": "True", "reason": "Restricted", "message": "",
                     "lastTransitionTime": "2026-11-23T12:00:00Z"}
                ]
            },
            "nothing to extend", id="answered already",
        ),
    ],
)  # fmt: skip
async def test_an_extension_that_comes_too_late_is_refused(
    cluster: Any, stack: Any, status: dict[str, Any], message: str
) -> None:
    name = f"late-{len(message)}"
    cluster.apply(request(name))
    metadata = {"name": name, "namespace": NAMESPACE}
    connection = connections.load(stack.identity("imagint-operator") / "kubeconfig")
    async with KubeClient(connection) as operator:
        await operator.apply_status(DATA_SUBJECT_REQUESTS, {"metadata": metadata, "status": status})
    assert message in cluster.refused(request(name, extension=TOLD))


def _replaced(cluster: Any, manifest: dict[str, Any]) -> str:
    """What a person sees who replaces the whole object: `apply` would keep what they left out."""
    current = cluster.get("dsr", manifest["metadata"]["name"], NAMESPACE)
    current["spec"] = manifest["spec"]
    return str(cluster.refused_replacement(current))
