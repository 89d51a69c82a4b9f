"""Broken incidents are refused by the apiserver itself, field by field, with no operator there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.stack
DISCOVERED = "2026-11-23T12:00:00Z"
IN_TIME = {"at": "2026-11-25T12:00:00Z", "reference": "file 7"}
LATE = {"at": "2026-11-27T12:00:00Z", "reference": "file 7"}


def breach(name: str = "leak", **spec: Any) -> dict[str, Any]:
    said = {
        "discoveredAt": DISCOVERED, "occurred": {"from": "2026-11-20T12:00:00Z"}, "affected": {"extent": "AllTenants"},
        "risk": "Risk", "nature": ["Confidentiality"], "description": "a disk was lost",
        "consequences": "pictures may be seen", "measures": "keys destroyed", "contact": "data protection officer",
    }  # fmt: skip
    return {
        "apiVersion": "imagint.ai/v1alpha1", "kind": "BreachIncident", "metadata": {"name": name},
        "spec": {key: value for key, value in (said | spec).items() if value is not None},
    }  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def nothing_left(cluster: Any) -> Iterator[None]:
    yield
    cluster.run("delete", "breachincident", "steady", "--ignore-not-found")


BROKEN = [
    pytest.param(breach(discoveredAt=None), "spec.discoveredAt: Required", id="never discovered"),
    pytest.param(breach(discoveredAt="monday"), "spec.discoveredAt", id="discovered in words"),
    pytest.param(breach(discoveredAt="2199-01-01T00:00:00Z"), "discoveredAt must lie", id="discovered beyond our time"),
    pytest.param(
        breach(occurred={"from": "2026-11-24T12:00:00Z"}), "discovered after it began", id="discovered before it began"
    ),
    pytest.param(
        breach(occurred={"from": "2026-11-20T12:00:00Z", "until": "2026-11-19T12:00:00Z"}),
        "must not be before occurred.from",
        id="over before it began",
    ),
    pytest.param(
        breach(affected={"extent": "SomeTenants"}), "lists them in tenants", id="some tenants, and none named"
    ),
    pytest.param(
        breach(affected={"extent": "AllTenants", "tenants": ["acme"]}), "lists none", id="all tenants, and some named"
    ),
    pytest.param(
        breach(affected={"extent": "SomeTenants", "tenants": ["A B"]}),
        "spec.affected.tenants",
        id="a tenant of no name",
    ),
    pytest.param(
        breach(affected={"extent": "AllTenants", "approximateSubjects": -1}),
        "approximateSubjects",
        id="fewer than nobody",
    ),
    pytest.param(
        breach(affected={"extent": "AllTenants", "categories": ["faces"]}),
        "Unsupported value",
        id="an unknown category",
    ),
    pytest.param(breach(risk="Maybe"), "Unsupported value", id="an unknown risk"),
    pytest.param(breach(nature=[]), "spec.nature", id="nothing happened to the data"),
    pytest.param(breach(nature=["Theft"]), "Unsupported value", id="an unknown nature"),
    pytest.param(
        breach(description="Ada <ada@example.com> lost it"),
        "without naming anybody",
        id="an address in the description",
    ),
    pytest.param(breach(consequences=None), "spec.consequences: Required", id="no consequences (33(3)(c))"),
    pytest.param(breach(measures=""), "spec.measures", id="no measures (33(3)(d))"),
    pytest.param(breach(contact="dpo@example.com"), "names an office", id="an address as contact"),
    pytest.param(breach(regulation="HIPAA"), "Unsupported value", id="an unknown law"),
    pytest.param(
        breach(authorityNotice=LATE), "says why (authorityNotice.delayReason", id="late without a reason (33(1))"
    ),
    pytest.param(
        breach(authorityNotice=LATE | {"delayReason": "Holiday"}), "Unsupported value", id="late for an unknown reason"
    ),
    pytest.param(
        breach(authorityNotice=IN_TIME | {"at": "2026-11-01T12:00:00Z"}),
        "must not be before discoveredAt",
        id="told before it was known",
    ),
    pytest.param(
        breach(authorityNotice={"at": "2026-11-25T12:00:00Z"}), "reference: Required", id="told without a file"
    ),
    pytest.param(breach(subjectNotice={}), "one of them", id="people neither told nor exempt"),
    pytest.param(
        breach(subjectNotice={"at": DISCOVERED, "exemption": "RiskRemoved"}), "one of them", id="people told and exempt"
    ),
    pytest.param(
        breach(subjectNotice={"exemption": "TooMany"}), "Unsupported value", id="an unknown exemption (34(3))"
    ),
    pytest.param(breach("Leak"), "lowercase RFC 1123", id="a name in capitals"),
]

GOOD = [
    pytest.param(breach(), id="the smallest"),
    pytest.param(
        breach(affected={"extent": "SomeTenants", "tenants": ["acme"], "approximateSubjects": 0}), id="of one tenant"
    ),
    pytest.param(breach(authorityNotice=IN_TIME), id="reported in time"),
    pytest.param(breach(authorityNotice=LATE | {"delayReason": "Investigation"}), id="reported late, with a reason"),
    pytest.param(
        breach(risk="HighRisk", subjectNotice={"exemption": "DataUnintelligible"}), id="exempt: the keys are destroyed"
    ),
]


@pytest.mark.parametrize(("manifest", "message"), BROKEN)
def test_a_broken_manifest_is_refused_in_words(cluster: Any, manifest: dict[str, Any], message: str) -> None:
    assert message in cluster.refused(manifest, "--dry-run=server")


@pytest.mark.parametrize("manifest", GOOD)
def test_a_good_manifest_is_accepted(cluster: Any, manifest: dict[str, Any]) -> None:
    cluster.run("apply", "--dry-run=server", "-f", "-", stdin=json.dumps(manifest))


def test_what_was_recorded_stays_recorded(cluster: Any) -> None:
    cluster.apply(breach("steady", authorityNotice=IN_TIME))
    later = breach("steady", authorityNotice=IN_TIME, discoveredAt="2026-11-24T12:00:00Z")
    assert "never changes" in cluster.refused(later)
    other = breach("steady", authorityNotice=IN_TIME | {"reference": "file 8"})
    assert "written once" in cluster.refused(other)
