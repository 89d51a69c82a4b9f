"""The clock of an operator jumps: nothing that cannot be undone happens early, and all is on time afterwards."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

pytestmark = pytest.mark.stack
FixedPoint = Callable[[], dict[str, Any]]
JUMPS = tuple(timedelta(hours=hours) for hours in (-2, -40 * 24))
LONG = timedelta(days=40)


def test_a_clock_that_goes_back_undoes_nothing_and_begins_nothing(ground: Any, fixed_point: FixedPoint) -> None:
    wanted = fixed_point()
    play = ground.play("back", 90)
    world, hands = play.world, ground.hands
    with ground.supervised() as supervisor:
        play.first()
        right, before = hands.ahead, (world.key(), dict(world.data.old), len(world.data.runs))
        for jump in JUMPS:
            hands.ahead = right + jump
            world.rests(2.5)
            supervisor.kill()  # and one that begins with the wrong time
            world.rests(2.5)
            assert (world.key(), dict(world.data.old), len(world.data.runs)) == before
        hands.ahead = right
        play.second()
        play.third()
        play.reaches(wanted)
        play.end()


@pytest.mark.parametrize("jump", [pytest.param(timedelta(hours=2), id="2 hours"), pytest.param(LONG, id="40 days")])
def test_a_clock_that_went_ahead_and_came_back_keeps_every_appointment(
    ground: Any, fixed_point: FixedPoint, jump: timedelta
) -> None:
    """Later everything that was due is done or said; back again, a run comes with the slots that were not used up.

    The first slot after the return has the id of the run that the wrong clock began: it is not run twice.
    """
    wanted = fixed_point()
    play = ground.play(f"ahead-{jump.days}", 90)
    world, hands = play.world, ground.hands
    with ground.supervised():
        play.all()
        play.reaches(wanted)
        right = hands.ahead
        runs = len(world.data.runs)
        hands.ahead = right + jump
        world.until(lambda: len(world.data.runs) > runs, 60, "a run of the later slot")
        if jump == LONG:
            world.until(lambda: world.says("breachincidents", "Overdue")[0] == "True", 60, "an overdue breach")
        hands.ahead = right
        runs = len(world.data.runs)
        world.rests(2.5)
        assert len(world.data.runs) <= runs + 1  # at most the one that had begun
        hands.ahead = right + timedelta(hours=1)
        world.rests(2.5)
        hands.ahead = right + timedelta(hours=2 if jump == LONG else 4)
        runs = len(world.data.runs)
        world.until(lambda: len(world.data.runs) > runs, 60, "the run of a later slot")
        world.until(lambda: world.says("breachincidents", "Overdue")[0] == "False", 30, "a breach in time")
        key = world.key()
        assert key is not None
        assert key.latest_version == wanted["key"][0]  # nothing was due: not rotated
        play.end()
