"""What stands against destruction, and when."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from imagint_operator.api.holds import LegalHold
from imagint_operator.legalholds import against, digest, held_subjects, in_force, named, over_tenant

Make = Callable[..., LegalHold]
ADA, BOB = ("subj-" + letter * 26 for letter in "ab")
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("spec", "categories", "stands"),
    [
        pytest.param({}, (), True, id="over everybody"),
        pytest.param({"subject": ADA}, (), True, id="over the subject"),
        pytest.param({"subject": BOB}, (), False, id="over somebody else"),
        pytest.param({"categories": ["images"]}, ("prompts",), False, id="over another category"),
        pytest.param({"categories": ["images"]}, ("prompts", "images"), True, id="over one of the categories"),
        pytest.param({"categories": ["images"]}, (), True, id="over a part of an erasure of everything"),
    ],
)
def test_a_hold_stands_against_what_it_is_about(
    make_hold: Make, now: datetime, spec: dict[str, Any], categories: tuple[str, ...], stands: bool
) -> None:
    assert against([make_hold(**spec)], ADA, categories, now) == (("court",) if stands else ())


@pytest.mark.parametrize(
    ("spec", "days", "stands"),
    [
        pytest.param({}, -1, False, id="not before it begins"),
        pytest.param({}, 0, True, id="from the moment on that it begins"),
        pytest.param({"until": 2}, 1, True, id="before its end"),
        pytest.param({"until": 2}, 2, False, id="not at its end"),
        pytest.param({"until": 9, "liftedAt": 1}, 1, False, id="not once lifted, though its end is far"),
        pytest.param({"until": 1, "liftedAt": 9}, 1, False, id="not after its end, though lifted later"),
        pytest.param({"liftedAt": 3}, 2, True, id="until it is lifted"),
        pytest.param({}, 4000, True, id="a review that nobody made ends nothing"),
    ],
)
def test_the_clock_alone_begins_and_ends_a_hold(
    make_hold: Make, now: datetime, spec: dict[str, int], days: int, stands: bool
) -> None:
    hold = make_hold(**{name: (now + DAY * at).isoformat() for name, at in spec.items()})
    assert in_force(hold, now + DAY * days) is stands


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(until=st.integers(1, 50), look=st.integers(-50, 100))
def test_a_hold_is_in_force_exactly_between_its_ends(make_hold: Make, now: datetime, until: int, look: int) -> None:
    hold = make_hold(until=(now + DAY * until).isoformat())
    assert in_force(hold, now + DAY * look) is (0 <= look < until)


def test_retention_hears_of_everybody_and_of_each(make_hold: Make, now: datetime) -> None:
    holds = [make_hold("all", categories=["images"]), make_hold("one", subject=ADA), make_hold("two", subject=ADA)]
    assert over_tenant(holds, {"images"}, now) == ("all",)
    assert over_tenant(holds, {"prompts"}, now) == ()
    assert held_subjects(holds, {"prompts"}, now) == (ADA,)
    assert held_subjects(holds, {"prompts"}, now - DAY) == ()


def test_a_digest_tells_whether_anybody_is_held_and_forgets_the_order() -> None:
    assert digest(()) is None
    assert digest((ADA, BOB)) == digest((BOB, ADA)) != digest((ADA,))


def test_many_holds_are_named_shortly() -> None:
    assert named(tuple("abcdefg")) == "a, b, c, d, e and 2 more"
