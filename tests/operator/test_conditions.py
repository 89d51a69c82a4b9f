"""A condition's time moves when its status turns, and only then."""

from __future__ import annotations

from datetime import datetime, timedelta

from imagint_operator.conditions import MESSAGE_LIMIT, find, holds, merged, no, turned, unknown, yes


def test_the_time_stays_while_the_status_stays(now: datetime) -> None:
    before = merged((), [no("Ready", "Waiting", "for the key")], generation=1, now=now)
    after = merged(before, [no("Ready", "VaultSealed", "key")], generation=2, now=now + timedelta(hours=1))
    assert after[0].last_transition_time == now
    assert (after[0].reason, after[0].observed_generation) == ("VaultSealed", 2)


def test_the_time_moves_when_the_status_turns(now: datetime) -> None:
    before = merged((), [no("Ready", "Waiting", "")], generation=1, now=now)
    after = merged(before, [yes("Ready", "Ready", "")], generation=1, now=now + timedelta(hours=1))
    assert after[0].last_transition_time == now + timedelta(hours=1)


def test_saying_the_same_again_changes_nothing(now: datetime) -> None:
    verdicts = [yes("Ready", "Ready", "all stands"), unknown("KeyReady", "VaultUnavailable", "")]
    before = merged((), verdicts, generation=1, now=now)
    assert merged(before, verdicts, generation=1, now=now + timedelta(days=1)) == before
    assert turned(before, before) == []


def test_a_new_reason_is_news(now: datetime) -> None:
    before = merged((), [no("Ready", "Waiting", "")], generation=1, now=now)
    after = merged(before, [no("Ready", "Refused", "")], generation=1, now=now)
    assert [condition.reason for condition in turned(before, after)] == ["Refused"]


def test_a_message_is_cut_where_the_schema_ends(now: datetime) -> None:
    (condition,) = merged((), [yes("Ready", "Ready", "x" * 5000)], generation=1, now=now)
    assert len(condition.message) == MESSAGE_LIMIT


def test_what_was_never_said_does_not_hold(now: datetime) -> None:
    assert find((), "Ready") is None
    assert not holds((), "Ready")
