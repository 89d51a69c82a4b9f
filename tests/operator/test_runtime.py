"""One object that fails never stops the others, and nothing it says ends up in a log."""

from __future__ import annotations

import logging

import pytest

from imagint_operator.errors import KubeForbiddenError, VaultUnavailableError
from imagint_operator.kube.resources import ObjectKey
from imagint_operator.metrics import Metrics
from imagint_operator.runtime import Runtime
from imagint_operator.workqueues import WorkQueue

KEY = ObjectKey("Thing", "tenant-acme", "a")


class Scripted:
    """Answers, or raises, what it is told."""

    def __init__(self, outcome: float | Exception | None) -> None:
        self.outcome = outcome

    async def reconcile(self, key: ObjectKey) -> float | None:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


async def looked(outcome: float | Exception | None) -> tuple[WorkQueue[ObjectKey], Metrics]:
    queue: WorkQueue[ObjectKey] = WorkQueue(jitter=lambda: 0.5)
    metrics = Metrics()
    await Runtime({"Thing": Scripted(outcome)}, queue, metrics).look(KEY)
    return queue, metrics


def count(metrics: Metrics, outcome: str) -> float | None:
    return metrics.registry.get_sample_value("imagint_operator_reconciles_total", {"kind": "Thing", "outcome": outcome})


@pytest.mark.parametrize(
    ("outcome", "label"),
    [
        pytest.param(None, "ok", id="done"),
        pytest.param(30.0, "ok", id="done for now"),
        pytest.param(VaultUnavailableError("sealed"), "VaultUnavailable", id="may be better in a moment"),
        pytest.param(KubeForbiddenError("no right"), "Forbidden", id="needs somebody"),
        pytest.param(TimeoutError(), "InternalError", id="took too long"),
        pytest.param(ZeroDivisionError(), "InternalError", id="a bug"),
    ],
)
async def test_every_outcome_is_counted(outcome: float | Exception | None, label: str) -> None:
    _, metrics = await looked(outcome)
    assert count(metrics, label) == 1


async def test_a_foreign_exceptions_text_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await looked(ValueError("ada@example.com"))
    assert "ada" not in caplog.text
    assert "ValueError at" in caplog.text
