"""What an operator sees is late, old or has gaps: it does nothing that cannot be undone, and comes to the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from imagint_dev.faults.lives import Bounds
from imagint_dev.faults.rules import Cut, Drop, Freeze, Kill, Refuse, Rule, Stale, lists, watches, writes
from imagint_operator.__main__ import WATCH_DEAD

pytestmark = pytest.mark.stack
FixedPoint = Callable[[], dict[str, Any]]
SHORT = Bounds(silent=6.0, answering=1.0, sweep=60.0)


def test_frozen_watches_end_the_process_and_the_next_one_sees(ground: Any, fixed_point: FixedPoint) -> None:
    """Not one event of two kinds ever comes: only lists do, at each new beginning."""
    wanted = fixed_point()
    play = ground.play("frozen", 180)
    with ground.supervised(SHORT) as supervisor:
        rule = ground.script.add(Rule(Freeze(), watches("datasubjectrequests", "modeldeployments")))
        play.all()
        ground.script.remove(rule)
        play.reaches(wanted)
        play.end()
    assert WATCH_DEAD in supervisor.ends


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        pytest.param("gaps", Drop(0.6, seed=5), id="six of ten events never come"),
        pytest.param("torn", Cut(2), id="each watch breaks off after two events"),
        pytest.param("expired", Refuse(410), id="every version is too old to watch from"),
    ],
)
def test_gaps_are_closed_by_lists(ground: Any, fixed_point: FixedPoint, name: str, fault: Any) -> None:
    wanted = fixed_point()
    play = ground.play(name, 120)
    with ground.supervised(Bounds(sweep=2.0)):
        rule = ground.script.add(Rule(fault, watches()))
        play.all()
        ground.script.remove(rule)
        play.reaches(wanted)
        play.end()
    assert rule.struck > 7


def test_an_operator_that_begins_in_the_past_repeats_nothing(ground: Any, fixed_point: FixedPoint) -> None:
    """Lists from the middle of an erasure that is long over, and no events: Sieve's time travel."""
    wanted = fixed_point()
    play = ground.play("past", 120)
    with ground.supervised() as supervisor:

        def die() -> None:
            supervisor.kill()
            ground.proxies.remember()  # what the next one lists is what the later ones see

        ground.script.add(Rule(Kill(die, after=True), writes("POST", "/commit", "gateways"), at={1}))
        play.first()
        before = play.world.key(), play.world.data.root_version
        past = ground.script.add(Rule(Stale(), lists()))
        frozen = ground.script.add(Rule(Freeze(), watches()))
        for _ in range(2):
            supervisor.kill()
            play.world.rests(4.0)
        assert past.struck > 10
        assert (play.world.key(), play.world.data.root_version) == before
        ground.script.remove(past)
        ground.script.remove(frozen)
        play.second()
        play.third()
        play.reaches(wanted)
        play.end()
