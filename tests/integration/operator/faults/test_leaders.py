"""Two operators, and a Lease that one of them cannot see as it is: never do both write."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from imagint_dev.faults.lives import Life
from imagint_dev.faults.proxy import Proxies
from imagint_dev.faults.rules import LEASES, Asked, Lose, Rule, Stale
from imagint_dev.faults.runs import behind, peers

pytestmark = pytest.mark.stack
FixedPoint = Callable[[], dict[str, Any]]
Pair = tuple[Proxies, Proxies, Callable[[int], Life]]


def lease(asked: Asked) -> bool:
    return LEASES in asked.path


@pytest.fixture
def pair(ground: Any, tmp_path: Path) -> Iterator[Pair]:
    """Two sets of proxies, and a way to begin the operator behind the one or the other."""
    with contextlib.ExitStack() as left:
        one, two = (left.enter_context(Proxies(peers(ground.bench.settings))) for _ in range(2))

        def begin(number: int) -> Life:
            settings = behind(ground.plain, (one, two)[number], tmp_path / f"operator-{number}")
            life = Life(settings, ground.hands, ground.log)
            left.callback(life.kill)
            return life

        yield one, two, begin


@pytest.mark.parametrize(
    ("name", "after"),
    [pytest.param("deaf", True, id="its renewals arrive, their answers do not"),
     pytest.param("mute", False, id="its renewals do not arrive")],
)  # fmt: skip
def test_a_leader_that_loses_the_lease_writes_nothing_after_the_next_one_began(
    ground: Any, fixed_point: FixedPoint, pair: Pair, name: str, after: bool
) -> None:
    wanted = fixed_point()
    one, two, begin = pair
    play = ground.play(name, 90)
    begin(0)
    play.first()
    begin(1)
    one.script.add(Rule(Lose(after), lease))
    play.second()
    play.third()
    play.reaches(wanted)
    play.end()
    last, first = one.writes()[-1].at, two.writes()[0].at
    assert last < first


def test_a_standby_that_sees_an_old_lease_takes_nothing(ground: Any, fixed_point: FixedPoint, pair: Pair) -> None:
    """To it the Lease has not changed for long; the apiserver refuses its claim, which names the old version."""
    wanted = fixed_point()
    _, two, begin = pair
    play = ground.play("stale", 60)
    begin(0)
    play.first()
    old = two.script.add(Rule(Stale(), lease))
    begin(1)
    play.second()
    play.world.until(lambda: old.struck > 20, 30, "many looks at an old Lease")
    play.third()
    play.reaches(wanted)
    assert [entry for entry in two.journal if entry.asked.method == "PUT" and lease(entry.asked)]
    assert two.writes() == []
    play.end()
