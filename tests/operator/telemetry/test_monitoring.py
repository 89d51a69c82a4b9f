"""Every series and label that an alert or the dashboard asks for is exposed by the operator, and none is forgotten.

Where `promtool` is on PATH the rules are also evaluated for real, over time, by Prometheus' own engine.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import imagint_operator
from imagint_operator.telemetry.pages import with_series
from imagint_operator.telemetry.series import ALL, SeriesType

FOLDER = Path(imagint_operator.__file__).parents[2] / "monitoring"
GROUPS: list[dict[str, Any]] = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]
RULES: list[dict[str, Any]] = [rule for group in GROUPS for rule in group["rules"]]
PANELS: list[dict[str, Any]] = json.loads((FOLDER / "dashboard.json").read_text())["panels"]
NAME = re.compile(r"\bimagint_[a-z_]+\b")
SELECTOR = re.compile(r"\b(imagint_[a-z_]+)\{([^}]*)\}")
GROUPING = re.compile(r"\b(?:by|on)\s*\(([^)]*)\)")
WHAT_ALERTS_ARE_ABOUT = {
    "imagint_dsr_deadline_seconds", "imagint_dsr_overdue", "imagint_stale_seconds", "imagint_key_untrimmed_seconds",
    "imagint_certificates_total", "imagint_operator_watch_age_seconds", "imagint_operator_leader",
    "imagint_operator_queue_length", "imagint_operator_api_requests_total", "imagint_retention_behind",
    "imagint_breach_deadline_seconds", "imagint_processor_receipts_overdue",
}  # fmt: skip


def exposed() -> dict[str, set[str]]:
    """The names that a query may use, and their labels."""
    found = {}
    for one in ALL:
        endings = ("_bucket", "_sum", "_count") if one.type is SeriesType.HISTOGRAM else ("",)
        for ending in endings:
            found[one.shown + ending] = set(one.labels) | ({"le"} if ending == "_bucket" else set())
    return found


def expressions() -> Iterator[tuple[str, str]]:
    yield from ((rule["alert"], rule["expr"]) for rule in RULES)
    yield from ((panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"])


@pytest.mark.parametrize(("where", "expr"), list(expressions()))
def test_an_expression_asks_for_what_there_is(where: str, expr: str) -> None:
    known = exposed()
    names = set(NAME.findall(expr))
    assert names, f"{where} asks for nothing of ours"
    assert names - known.keys() == set()
    labels = set().union(*(known[name] for name in names))
    grouped = {label.strip() for group in GROUPING.findall(expr) for label in group.split(",")} - {""}
    assert grouped - labels == set()
    for name, selector in SELECTOR.findall(expr):
        assert set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector)) - known[name] == set()


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule["alert"]) for rule in RULES])
def test_an_alert_says_what_it_means_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert {"summary", "description"} <= rule["annotations"].keys()
    labels = set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])))
    assert labels - {label for one in ALL for label in one.labels} == set()


def test_everything_that_can_go_wrong_has_an_alert() -> None:
    asked = {name for rule in RULES for name in NAME.findall(rule["expr"])}
    assert WHAT_ALERTS_ARE_ABOUT - asked == set()
    assert len({rule["alert"] for rule in RULES}) == len(RULES)


def test_the_dashboard_shows_every_series() -> None:
    text = (FOLDER / "dashboard.json").read_text()
    assert [one.shown for one in ALL if one.shown not in text] == []


@pytest.mark.parametrize("what", [("check", "rules", "alerts.yaml"), ("test", "rules", "alerts_test.yaml"),
                                  ("check", "config", "prometheus.yaml")])  # fmt: skip
def test_prometheus_evaluates_the_rules_as_they_are_meant(what: tuple[str, ...]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool on PATH: go build it from github.com/prometheus/prometheus/cmd/promtool")
    done = subprocess.run([promtool, *what], cwd=FOLDER, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_evaluated_by_the_rules_tests() -> None:
    tested = {case["alertname"] for test in yaml.safe_load((FOLDER / "alerts_test.yaml").read_text())["tests"]
              for case in test["alert_rule_test"] if case["exp_alerts"]}  # fmt: skip
    assert {rule["alert"] for rule in RULES} - tested == set()


def test_the_page_about_the_series_is_the_table() -> None:
    page = (FOLDER.parent / "docs" / "observability.md").read_text()
    assert page == with_series(page), "run: python -m imagint_operator.telemetry.pages docs"
