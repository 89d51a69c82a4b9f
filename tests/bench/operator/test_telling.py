"""What can be wrong without an apiserver: the counters, the hand count, the page and the plots of the benchmark."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from bench.keys.findings import Findings
from bench.operator import counters, objects, pages, plots
from bench.operator.cluster import ended, holds, told
from bench.operator.fakes import RECORDS, Everybody
from bench.operator.plans import PLANS

from imagint_operator.api.models import ModelDeployment
from imagint_operator.api.requests import DataSubjectRequest
from imagint_operator.api.tenants import Tenant

REQUESTS = """\
# HELP imagint_operator_api_requests_total Requests
# TYPE imagint_operator_api_requests_total counter
imagint_operator_api_requests_total{code="200",resource="leases",verb="update"} 9.0
imagint_operator_api_requests_total{code="201",resource="namespaces",verb="create"} 2.0
imagint_operator_api_requests_total{code="200",resource="tenants/status",verb="patch"} 4.0
imagint_operator_api_requests_total{code="200",resource="tenants",verb="list"} 3.0
imagint_operator_api_requests_created{code="200",resource="tenants",verb="list"} 1.7e+09
"""
GOOD = {
    "reconciles_per_s": 50.0,
    "tenants_1000_ready_s": 100.0,
    "restart_s": 30.0,
    "writes_at_rest_per_min": 0.0,
    "cpu_at_rest_ratio": 0.005,
    "status_p99_s": 0.5,
    "memory_mib": 250.0,
    "takeover_s": 15.0,
    "api_writes_per_tenant": 16.0,
    "api_writes_per_tenant_minimum": 15.0,
}


def findings(**other: float) -> Findings:
    rest = {"seconds": 60.0, "looks": {"Tenant ok": 60.0}, "own_writes": {}, "lease_writes": 40.0, "revisions": 40,
            "writes_of_anybody": {}}  # fmt: skip
    raw: dict[str, Any] = {
        "plan": {"tenants": 2, "models_each": 2},
        "tenants": {"ready": [1.0, 2.0], "served": [2.0, 3.0], "writes": {"create namespaces 201": 2.0}},
        "models": {"ready": [1.0, 2.0]},
        "requests": {"told": [1.0], "ended": [2.0]},
        "changes": {"quota": [0.1, 0.2], "request": [0.1]},
        "rest": rest,
    }
    return Findings(GOOD | other, raw)


def test_writes_are_told_from_reads_and_from_renewals_of_the_lease() -> None:
    found = counters.parse(REQUESTS, counters.REQUESTS)
    assert found.writes().total() == 6
    assert found.reads().total() == 3
    assert found.by("verb")["update"] == 9


def test_what_did_not_grow_is_not_told() -> None:
    before = counters.parse(REQUESTS, counters.REQUESTS)
    after = counters.parse(REQUESTS.replace("namespaces\",verb=\"create\"} 2.0", "namespaces\",verb=\"create\"} 5.0"),
                           counters.REQUESTS)  # fmt: skip
    assert after.since(before).by("resource") == {"namespaces": 3.0}


def test_the_walls_are_as_many_as_were_counted_by_hand() -> None:
    assert objects.minimum_writes() == 1 + 1 + 11 + 2


def test_another_number_of_walls_has_to_be_counted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "WALLS", 10)
    with pytest.raises(ValueError, match="count again"):
        objects.minimum_writes()


def test_what_is_applied_is_what_the_kinds_accept() -> None:
    given = {"uid": "u", "generation": 1}
    for made, model in (
        (objects.tenant(7), Tenant),
        (objects.model(7, 1), ModelDeployment),
        *((objects.request(7, type_, datetime.now(UTC)), DataSubjectRequest) for type_ in objects.REQUESTS),
    ):
        model.model_validate(made | {"metadata": made["metadata"] | given})


@pytest.mark.parametrize(
    ("status", "reason", "over"),
    [
        pytest.param("True", "Erased", True, id="complete"),
        pytest.param("False", "NotYetExecutable", True, id="recorded, not carried out yet"),
        pytest.param("False", "InProgress", False, id="under way"),
    ],
)
def test_a_request_is_over_when_nothing_more_happens_to_it(status: str, reason: str, over: bool) -> None:
    condition = {"type": "Complete", "status": status, "reason": reason}
    item = {"metadata": {"generation": 2}, "status": {"observedGeneration": 1, "conditions": [condition]}}
    assert ended(item) is over
    assert holds("Complete")(item) is (status == "True")
    assert not told(item)


def test_a_run_becomes_a_page_and_plots(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text("# Measured\n")
    pages.write(findings(), "a machine", page)
    pages.write(findings(), "a machine", page)
    text = page.read_text()
    assert text.count(pages.BEGIN) == text.count(pages.END) == text.count("## The operator at scale") == 1
    assert "Every reach is met." in text
    drawn = plots.draw(findings(), tmp_path / "images")
    assert all(f"images/{path.name}" in text for path in drawn)


@pytest.mark.parametrize("name", [*pages.REACH, pages.WRITES])
def test_a_figure_that_misses_its_reach_is_said(name: str) -> None:
    worse = 1.0 if name == "reconciles_per_s" else 1_000.0
    text = pages.compose(findings(**{name: worse}), "a machine")
    assert f"**Falls short:** `{name}`." in text


def test_a_run_that_broke_off_is_told_as_it_stands(tmp_path: Path) -> None:
    broken = Findings({}, {"plan": {"tenants": 2, "models_each": 2}, "problems": ["tenants: KeyError: 'x'"]})
    text = pages.compose(broken, "a machine")
    assert "not measured" in text
    assert "tenants: KeyError" in text
    assert len(plots.draw(broken, tmp_path)) == 3


def test_the_raw_numbers_are_plain_data() -> None:
    assert json.loads(json.dumps(findings().raw)) == findings().raw


def test_no_run_begins_a_part_when_its_quarter_of_an_hour_is_over() -> None:
    assert all(plan.whole_s < 900 for plan in PLANS.values())


def test_the_gateways_hold_something_of_everybody_until_it_is_erased() -> None:
    records = Everybody()
    assert records.get("one", 0) == RECORDS
    records.pop("one", None)
    assert "one" not in records
    assert records.get("one", 0) == 0
    assert records.get("other", 0) == RECORDS
