"""kill -9 of a real operator process at its writes to the apiserver, Vault, Ray and the data plane: one fixed point."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from imagint_dev.faults import rules
from imagint_dev.faults.runs import killing

pytestmark = pytest.mark.stack
FULL = os.environ.get("IMAGINT_SWEEP") == "full"
SAMPLE = 3
FixedPoint = Callable[[], dict[str, Any]]


def test_two_worlds_without_faults_come_to_the_same(ground: Any, fixed_point: FixedPoint) -> None:
    wanted = fixed_point()
    with ground.supervised():
        play = ground.play("quiet")
        play.all()
        play.reaches(wanted)
        play.end()


@pytest.mark.parametrize("after", [pytest.param(False, id="before a write"), pytest.param(True, id="after a write")])
def test_every_life_is_cut_and_the_story_goes_on(ground: Any, fixed_point: FixedPoint, after: bool) -> None:
    wanted = fixed_point()
    play = ground.play(f"cut-{str(after).lower()}", 120)
    with ground.supervised() as supervisor:
        rule = ground.script.add(killing(supervisor, after=after))
        play.all()
        play.reaches(wanted)
        ground.script.remove(rule)
        play.end()
    assert rule.struck > 5
    assert supervisor.lives > rule.struck


def test_killed_once_at_each_of_its_writes(ground: Any, fixed_point: FixedPoint, fixed_points: dict[str, Any]) -> None:
    """Each in a world of its own: all of them with IMAGINT_SWEEP=full, else a few, spread over the story."""
    wanted = fixed_point()
    count = len(fixed_points["writes"])
    assert count > 60
    points = range(1, count + 1) if FULL else rules.sample(count, SAMPLE + 2)[1:-1]
    with ground.supervised() as supervisor:
        for point in points:
            for after in (False, True) if FULL else (bool(point % 2),):
                play = ground.play(f"point-{point}-{str(after).lower()}")
                blade = rules.Rule(rules.Kill(supervisor.kill, after), at={point})
                with ground.script.during(blade):
                    play.all()
                    play.reaches(wanted)
                assert blade.struck == 1, f"write {point} did not happen"
                play.end()
