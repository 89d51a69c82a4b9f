"""The table of reasons has every reason that the code uses, and no other; the page shows the table."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import imagint_operator
from imagint_operator.api.base import Condition
from imagint_operator.kube.events import EventType, event_type
from imagint_operator.kube.reasons import REASONS
from imagint_operator.telemetry.pages import events_page

ROOT = Path(imagint_operator.__file__).parent
PAGE = ROOT.parents[1] / "docs" / "events.md"
TREES = {path: ast.parse(path.read_text()) for path in ROOT.rglob("*.py")}
VERDICTS = {"yes": 1, "no": 1, "unknown": 1, "Verdict": 2, "Wait": 0, "_kept": 1}
REASON = re.compile(r"[A-Z][A-Za-z]{2,60}")


def constants() -> dict[str, str]:
    found: dict[str, object] = {}
    for tree in TREES.values():
        for node in tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                found |= {t.id: node.value.value for t in node.targets if isinstance(t, ast.Name)}
    return {name: value for name, value in found.items() if isinstance(value, str)}


def words(node: ast.AST, known: dict[str, str]) -> Iterator[str]:
    """The texts that an expression can come to; one that is computed elsewhere comes to none."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.Name) and node.id in known:
        yield known[node.id]
    elif isinstance(node, ast.Attribute) and node.attr in known:
        yield known[node.attr]
    elif isinstance(node, ast.IfExp):
        yield from words(node.body, known)
        yield from words(node.orelse, known)


def used() -> set[str]:
    known = constants()
    found: set[str] = set()
    for node in (node for tree in TREES.values() for node in ast.walk(tree)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in VERDICTS:
            place = VERDICTS[node.func.id]
            found |= set(words(node.args[place], known)) if len(node.args) > place else set()
        if isinstance(node, ast.keyword) and node.arg == "reason":
            found |= set(words(node.value, known))
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = {t.id for t in targets if isinstance(t, ast.Name)}
            if names == {"reason"} and node.value is not None:
                found |= set(words(node.value, known))
            if names == {"FAILURES"} and isinstance(node.value, ast.Dict):
                found |= {word for value in node.value.values for word in words(value, known)}
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
            owner = node.func.value
            if isinstance(owner, ast.Name) and owner.id == "FAILURES":
                found |= {word for value in node.args[1:] for word in words(value, known)}
    return {word for word in found if REASON.fullmatch(word)}


def test_every_reason_that_is_used_has_a_meaning() -> None:
    assert used() - REASONS.keys() == set(), "say in kube/reasons.py what these mean"


def test_no_reason_has_a_meaning_that_is_never_used() -> None:
    assert REASONS.keys() - used() == set(), "nothing in the code gives these reasons any more"


def test_a_reason_is_a_word_of_the_api() -> None:
    assert [reason for reason in REASONS if not REASON.fullmatch(reason)] == []


def test_the_page_is_the_table() -> None:
    assert PAGE.read_text() == events_page(), "run: python -m imagint_operator.telemetry.pages docs"


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        pytest.param("True", "Ready", EventType.NORMAL, id="it holds"),
        pytest.param("False", "Deploying", EventType.NORMAL, id="it is on its way"),
        pytest.param("False", "KeyLost", EventType.WARNING, id="somebody should look"),
        pytest.param("Unknown", "VaultUnavailable", EventType.WARNING, id="it cannot be said"),
        pytest.param("False", "NeverHeardOf", EventType.WARNING, id="a reason without a meaning is no calm one"),
    ],
)
def test_what_is_normal(status: str, reason: str, expected: EventType) -> None:
    made = {
        "type": "Ready",
        "status": status,
        "reason": reason,
        "message": "",
        "lastTransitionTime": "2026-11-23T12:00:00Z",
    }
    assert event_type(Condition.model_validate(made)) is expected
