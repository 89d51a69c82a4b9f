"""Refused, lost and late answers of every peer: in storms, and once for each thing that is written."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from imagint_dev.faults.rules import Asked, Delay, Fault, Lose, Refuse, Rule, Script, writes

pytestmark = pytest.mark.stack
FixedPoint = Callable[[], dict[str, Any]]
VERBS = ("PATCH", "GET", "POST", "PUT", "DELETE")


def once_each(fault: Fault, matches: Callable[[Asked], bool]) -> Rule:
    """The first time that a path is asked with a verb."""
    met: set[tuple[str, str, str]] = set()

    def first(asked: Asked) -> bool:
        place = (asked.peer, asked.method, asked.path)
        if not matches(asked) or place in met:
            return False
        met.add(place)
        return True

    return Rule(fault, first)


def _is(verb: str, asked: Asked) -> bool:
    return asked.method == verb and not asked.watches


@contextmanager
def storms(script: Script, faults: tuple[Fault, ...], seconds: float) -> Iterator[list[Rule]]:
    """One verb after the other meets one fault after the other, with as much calm between them."""
    done, rules = threading.Event(), []

    def blow() -> None:
        while not done.is_set():
            for fault in faults:
                for verb in VERBS:
                    rule = Rule(fault, partial(_is, verb))
                    with script.during(rule):
                        done.wait(seconds)
                    rules.append(rule)
                    done.wait(seconds)
                    if done.is_set():
                        return

    thread = threading.Thread(target=blow)
    thread.start()
    try:
        yield rules
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize(
    ("name", "fault", "matches"),
    [
        pytest.param("conflict", Refuse(409), lambda asked: asked.writes and asked.path.endswith("/status"),
                     id="every status conflicts once"),
        pytest.param("lost", Lose(after=True), writes(), id="each answer to a write is lost once"),
        pytest.param("failed", Refuse(500, after=True), writes(), id="each write is done and answered 500 once"),
    ],
)  # fmt: skip
def test_each_write_once(
    ground: Any, fixed_point: FixedPoint, name: str, fault: Fault, matches: Callable[[Asked], bool]
) -> None:
    wanted = fixed_point()
    play = ground.play(name, 120)
    rule = ground.script.add(once_each(fault, matches))
    with ground.supervised():
        play.all()
        play.reaches(wanted)
        play.end()
    assert rule.struck > 5


@pytest.mark.parametrize(
    ("name", "faults"),
    [
        pytest.param("busy", (Refuse(429, retry_after=1), Refuse(500)), id="too many requests, then broken"),
        pytest.param("refused", (Refuse(403), Refuse(409)), id="forbidden, then conflicts"),
        pytest.param("slow", (Delay(3.0), Lose()), id="slow, then cut off"),
    ],
)
def test_storms_over_every_verb(ground: Any, fixed_point: FixedPoint, name: str, faults: tuple[Fault, ...]) -> None:
    wanted = fixed_point()
    play = ground.play(name, 180)
    with ground.supervised():
        with storms(ground.script, faults, 1.5) as met:
            play.all()
            ground.script.clear()
        play.reaches(wanted)
        play.end()
    assert sum(rule.struck for rule in met) > 5
