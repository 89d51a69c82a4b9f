"""What the objects come to as numbers: clocks, lateness, what is stuck between Rotate and Trim."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from imagint_operator.api.base import Kind
from imagint_operator.api.models import ModelDeployment
from imagint_operator.api.tenants import Tenant
from imagint_operator.kube.caches import Caches
from imagint_operator.kube.resources import CHILDREN, MODEL_DEPLOYMENTS, TENANTS
from imagint_operator.metrics import Metrics
from imagint_operator.telemetry import series
from imagint_operator.telemetry.figures import Snapshot, figures
from imagint_operator.telemetry.series import ALL, Series
from imagint_operator.telemetry.snapshots import Snapshots
from imagint_operator.watchages import Ages

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DONE = [
    {"type": "Complete", "status": "True", "reason": "Erased", "message": "", "lastTransitionTime": NOW.isoformat()}
]
EVIDENCE = {"salt": "ab" * 32, "configMap": "c", "digest": "sha256:" + "ab" * 32}
Make = Callable[..., Kind]


def found(
    of: Series, *objects: Kind, now: datetime = NOW, since: Any = None, **more: Any
) -> dict[tuple[str, ...], float]:
    snapshot = Snapshot(NOW, objects, **more)
    return {figure.labels: figure.value for figure in figures(snapshot, since or {}, now) if figure.series is of}


def at(**ago: float) -> str:
    return (NOW - timedelta(**ago)).isoformat()


@pytest.mark.parametrize(
    ("ago", "status", "left"),
    [
        pytest.param({"days": 0}, {}, 30 * 86400, id="nobody has looked yet: as the law says"),
        pytest.param({"days": 0}, {"dueBy": at(days=-5)}, 5 * 86400, id="as recorded, extended or not"),
        pytest.param({"days": 40}, {"dueBy": at(days=1)}, -86400, id="overdue counts down below zero"),
    ],
)
def test_the_nearest_due_date(make_request: Make, ago: dict[str, float], status: Any, left: float) -> None:
    request = make_request(spec={"receivedAt": at(**ago)}, status=status)
    far = make_request("bob", status={"dueBy": at(days=-300)})
    seconds = found(series.DSR_DEADLINE, request, far)[("Erase",)]
    assert abs(seconds - left) <= 86400 if not status else seconds == left
    assert found(series.DSR_OVERDUE, request, far) == ({("Erase", "GDPR"): 1} if left < 0 else {})


def test_what_is_complete_is_neither_open_nor_overdue(make_request: Make) -> None:
    done = make_request(
        status={"conditions": DONE, "dueBy": at(days=1), "completedAt": at(days=2), "evidence": EVIDENCE}
    )
    assert found(series.DSR_OPEN, done) == found(series.DSR_OVERDUE, done) == found(series.DSR_DEADLINE, done) == {}
    assert found(series.CERTIFICATE_AGE, done) == {(): 2 * 86400}
    assert found(series.OBJECTS, done) == {("DataSubjectRequest", "True", "Erased"): 1}


def test_a_key_between_rotate_and_trim(make_request: Make, make_tenant: Make) -> None:
    steps = [{"name": "Rotate", "state": "Done", "startedAt": at(minutes=20)}, {"name": "Trim", "state": "Running"}]
    stuck = make_request(status={"keyVersions": {"from": 1, "to": 2}, "steps": steps})
    trimmed = [steps[0], {"name": "Trim", "state": "Done"}]
    over = make_request("bob", status={"keyVersions": {"from": 1, "to": 2}, "steps": trimmed})
    assert found(series.UNTRIMMED, over) == {(): 0}
    assert found(series.UNTRIMMED, over, stuck) == {(): 1200}
    run = {
        "id": "r",
        "slot": at(hours=1),
        "startedAt": at(hours=1),
        "step": "Copy",
        "keyVersions": {"from": 1, "to": 2},
    }
    assert found(series.UNTRIMMED, make_tenant(status={"retention": {"current": run}})) == {(): 3600}


@pytest.mark.parametrize(
    ("record", "late", "behind"),
    [
        pytest.param({"nextAt": at(hours=-1)}, 0, 0, id="the next run is to come"),
        pytest.param({"nextAt": at(hours=2)}, 7200, 0, id="it has not begun"),
        pytest.param(
            {"nextAt": at(hours=-1), "current": {"id": "r", "slot": at(hours=30), "startedAt": at(hours=30)}},
            108000, 1, id="it began and does not end",
        ),
    ],
)  # fmt: skip
def test_late_retention(make_tenant: Make, record: Any, late: float, behind: int) -> None:
    rules = {"retention": [{"category": "images", "keepMonths": 1}]}
    tenant = make_tenant(spec=rules, status={"retention": record})
    assert found(series.RETENTION_LATE, tenant) == {(): late}
    assert found(series.RETENTION_BEHIND, tenant) == {(): behind}


def test_an_object_whose_newest_generation_nobody_acted_on(make_tenant: Make) -> None:
    fresh = make_tenant(status={"observedGeneration": 1})
    changed = make_tenant("bolt", generation=3, status={"observedGeneration": 2})
    assert found(series.STALE_OBJECTS, fresh, changed) == {("Tenant",): 1}
    since = {("uid-bolt", 3): NOW - timedelta(minutes=7)}
    assert found(series.STALE_SECONDS, fresh, changed, since=since) == {("Tenant",): 420}


def test_the_clock_of_a_breach_runs_until_the_authority_is_told(make_breach: Make) -> None:
    told = {"at": at(hours=1), "reference": "file-1"}
    untold = make_breach(discoveredAt=at(hours=70))
    done = make_breach("b", discoveredAt=at(hours=100), authorityNotice=told)
    unlikely = make_breach("c", discoveredAt=at(hours=100), risk="Unlikely")
    assert found(series.BREACH_DEADLINE, done, unlikely) == {}
    assert found(series.BREACH_DEADLINE, done, unlikely, untold) == {(): 2 * 3600}


def test_receipts_that_did_not_come_in_time(make_request: Make) -> None:
    entries = [
        {"name": name, "protocol": "Webhook", "state": state, "by": at(hours=1)}
        for name, state in (("one", "Overdue"), ("two", "Pending"))
    ]
    assert found(series.RECEIPTS_OVERDUE, make_request()) == {(): 0}
    assert found(series.RECEIPTS_OVERDUE, make_request(status={"processors": entries})) == {(): 1}


class Scraped:
    """An operator's metrics over objects that a test changes."""

    def __init__(self) -> None:
        self.now = NOW
        self.objects: tuple[Kind, ...] = ()
        self.metrics = Metrics(lambda: self.now)
        self.metrics.sources.snapshot = lambda: Snapshot(self.now, self.objects)

    def text(self) -> str:
        return generate_latest(self.metrics.registry).decode()

    def value(self, name: str, **labels: str) -> float | None:
        self.text()
        return self.metrics.registry.get_sample_value(name, labels)


def test_each_end_is_counted_once_and_what_ended_before_us_is_not(make_request: Make) -> None:
    def done(name: str, completed: datetime) -> Kind:
        status = {"conditions": DONE, "completedAt": completed.isoformat(), "evidence": EVIDENCE}
        return make_request(name, spec={"receivedAt": at(days=1)}, status=status)

    scraped = Scraped()
    scraped.objects = (done("old", NOW - timedelta(days=1)), make_request("open"))
    assert scraped.value("imagint_certificates_total") == 0
    scraped.objects = (*scraped.objects, done("new", NOW + timedelta(seconds=1)))
    assert scraped.value("imagint_certificates_total") == 1
    assert scraped.value("imagint_certificates_total") == 1
    assert scraped.value("imagint_dsr_completions_total", type="Erase") == 1
    assert scraped.value("imagint_erasure_seconds_sum", regulation="GDPR") == 86401


def test_staleness_grows_until_the_operator_has_acted(make_tenant: Make) -> None:
    scraped = Scraped()
    scraped.objects = (make_tenant(generation=2, status={"observedGeneration": 1}),)
    assert scraped.value("imagint_stale_seconds", kind="Tenant") == 0
    scraped.now += timedelta(minutes=11)
    assert scraped.value("imagint_stale_seconds", kind="Tenant") == 660
    scraped.objects = (make_tenant(generation=2, status={"observedGeneration": 2}),)
    assert scraped.value("imagint_stale_seconds", kind="Tenant") == 0


def test_a_replica_that_waits_shows_no_figures_of_the_cluster(make_request: Make) -> None:
    scraped = Scraped()
    scraped.objects = (make_request(),)
    scraped.metrics.sources.leads = lambda: False
    assert scraped.value("imagint_operator_leader") == 0
    assert scraped.value("imagint_dsr_open", type="Erase", regulation="GDPR") is None


def test_the_registry_is_the_table(make_request: Make) -> None:
    families = {family.name for family in Scraped().metrics.registry.collect()}
    described = {metric.name for collector in [*Scraped().metrics.registry._collector_to_names] for metric in
                 collector.describe()}  # type: ignore[attr-defined]  # fmt: skip
    assert described == {one.name for one in ALL}
    assert families <= described


def test_no_name_and_no_handle_is_in_a_label(make_tenant: Make, make_request: Make, make_model: Make) -> None:
    scraped = Scraped()
    scraped.objects = (make_tenant("canaryname"), make_request("canaryname"), make_model("canaryname", "canaryname"))
    text = scraped.text()
    assert "canaryname" not in text
    assert "subj-" not in text
    allowed = {label for one in ALL for label in one.labels} | {"le"}
    used = {
        label for family in text_string_to_metric_families(text) for sample in family.samples for label in sample.labels
    }
    assert used <= allowed


def test_the_figures_are_of_what_the_caches_hold_and_as_old_as_the_quietest_watch() -> None:
    def item(name: str, version: str) -> dict[str, Any]:
        metadata = {"name": name, "uid": f"uid-{name}", "generation": 1, "resourceVersion": version}
        return {"metadata": metadata, "spec": {"residency": {"region": "eu"}}}

    caches, seconds = Caches({TENANTS: Tenant, MODEL_DEPLOYMENTS: ModelDeployment}, CHILDREN), [0.0]
    ages = Ages(["tenants", "modeldeployments", "roles"], lambda: seconds[0])
    snapshots = Snapshots(caches, ages, lambda: NOW)
    for name in ("a", "b"):
        caches.wrote(TENANTS, item(name, "1"))
    seconds[0] = 40.0
    ages.heard("tenants")  # not so the models; what is owned does not count
    first = snapshots()
    assert ([seen.name for seen in first.objects], first.at) == (["a", "b"], NOW - timedelta(seconds=40))
    caches.wrote(TENANTS, item("b", "2"))
    second = snapshots().objects
    assert second[0] is first.objects[0]
    assert second[1] is not first.objects[1]


def test_a_replica_counts_from_when_it_began_to_work(make_request: Make) -> None:
    scraped = Scraped()
    status = {"conditions": DONE, "completedAt": (NOW + timedelta(hours=1)).isoformat(), "evidence": EVIDENCE}
    scraped.objects = (make_request("counted-by-another", status=status),)
    scraped.now += timedelta(hours=2)
    scraped.metrics.begin_term()
    assert scraped.value("imagint_certificates_total") == 0


def test_get_scrapes_and_head_only_asks_whether_anybody_is_there() -> None:
    scraped = Scraped()
    with httpx.Client(
        transport=httpx.WSGITransport(scraped.metrics.application()), base_url="http://operator"
    ) as client:
        assert "imagint_operator_leader 1.0" in client.get("/metrics").text
        head = client.head("/metrics")
        assert (head.status_code, head.content) == (200, b"")
        assert client.post("/metrics").status_code == 405
