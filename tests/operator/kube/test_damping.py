"""A condition that flaps for a day is told about, and floods nobody."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from imagint_operator.kube.damping import BURST, REFILL_SECONDS, SAME_SECONDS, Damper


def test_the_first_time_is_told() -> None:
    assert Damper().say("a", "VaultUnavailable", 0.0) == 0


def test_the_same_again_is_counted_and_told_later() -> None:
    damper = Damper()
    damper.say("a", "VaultUnavailable", 0.0)
    assert [damper.say("a", "VaultUnavailable", float(second)) for second in (1, 2, 3)] == [None, None, None]
    assert damper.say("a", "VaultUnavailable", SAME_SECONDS) == 3
    assert damper.say("a", "VaultUnavailable", SAME_SECONDS * 2) == 0


def test_what_tells_something_else_each_time_is_bounded_only_in_all() -> None:
    damper = Damper()
    told = [damper.say("a", "DriftRepaired", float(second), repeats=True) for second in range(BURST + 3)]
    assert told == [0] * BURST + [None] * 3
    assert damper.say("a", "DriftRepaired", SAME_SECONDS, repeats=True) == 3


def test_one_object_takes_nothing_from_another() -> None:
    damper = Damper()
    for number in range(BURST + 5):
        damper.say("a", f"Reason{number}", 0.0)
    assert damper.say("a", "Other", 0.0) is None
    assert damper.say("b", "Other", 0.0) == 0


def test_memory_is_bounded() -> None:
    damper = Damper(most_objects=3)
    for number in range(100):
        damper.say(str(number), "Ready", 0.0)
    assert len(damper) == 3


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.floats(0, 400)), max_size=300))
def test_never_more_than_the_bucket_gives_and_nothing_is_lost(turns: list[tuple[str, float]]) -> None:
    damper, now, said, told = Damper(), 0.0, 0, 0
    for reason, later in turns:
        now += later
        if (unsaid := damper.say("a", reason, now)) is not None:
            said += 1
            told += 1 + unsaid
    left = sum(damper._buckets["a"].unsaid.values()) if turns else 0
    assert said <= BURST + now / REFILL_SECONDS + 1
    assert told + left == len(turns)
