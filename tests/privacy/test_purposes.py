"""The purpose gate: a table over purposes, uses and standings."""

from __future__ import annotations

import pytest

from imagint_privacy.errors import (
    AccessDeniedError,
    LateWriteError,
    ObjectedError,
    PurposeRefusedError,
    SubjectFencedError,
    SubjectRestrictedError,
)
from imagint_privacy.purposes import ALLOWED, EVERY, OBJECTABLE, USING, Access, Purpose, Standing, Use, decide

SUBJECT = "subj-aaaaaaaaaaaaaaaaaaaaaaaaaa"
FREE = Standing()


def verdict(access: Access, standing: Standing) -> type[AccessDeniedError] | None:
    try:
        decide(access, standing)
    except AccessDeniedError as error:
        return type(error)
    return None


@pytest.mark.parametrize("purpose", Purpose)
@pytest.mark.parametrize("use", Use)
def test_a_purpose_allows_what_its_row_names_and_nothing_else(purpose: Purpose, use: Use) -> None:
    subject = "system" if purpose is Purpose.OPERATE else SUBJECT
    expected = None if use in ALLOWED[purpose] else PurposeRefusedError
    assert verdict(Access(purpose, use, subject), FREE) is expected


@pytest.mark.parametrize("purpose", Purpose)
def test_the_tenants_own_keys_are_for_operating_alone(purpose: Purpose) -> None:
    wrong = SUBJECT if purpose is Purpose.OPERATE else "system"
    assert verdict(Access(purpose, Use.READ, wrong), FREE) is PurposeRefusedError


@pytest.mark.parametrize("purpose", [p for p in Purpose if p is not Purpose.OPERATE])
@pytest.mark.parametrize(
    ("fenced", "category", "stops"),
    [
        ({EVERY}, "images", True),
        ({EVERY}, EVERY, True),
        ({"images"}, "images", True),
        ({"images"}, EVERY, True),
        ({"images"}, "prompts", False),
        (set(), "images", False),
    ],
    ids=["all, one", "all, any", "that one", "one, any", "another one", "none"],
)
def test_a_fence_stops_making_and_serving_but_no_right(
    purpose: Purpose, fenced: set[str], category: str, stops: bool
) -> None:
    use = min(ALLOWED[purpose])
    expected = SubjectFencedError if stops and purpose in USING else None
    assert verdict(Access(purpose, use, SUBJECT, category), Standing(frozenset(fenced))) is expected


@pytest.mark.parametrize(
    ("begun", "now", "category", "late"),
    [
        ({}, {}, "images", False),
        ({}, {EVERY: 1}, "images", True),
        ({EVERY: 1}, {EVERY: 1}, "images", False),
        ({}, {"images": 1}, "images", True),
        ({}, {"images": 1}, "prompts", False),
        ({"images": 1}, {"images": 1, EVERY: 1}, "prompts", True),
    ],
    ids=[
        "never erased",
        "erased since",
        "erased before, back since",
        "category erased since",
        "another category erased since",
        "all erased after one category",
    ],
)
def test_a_write_that_began_before_an_erasure_is_late(
    begun: dict[str, int], now: dict[str, int], category: str, late: bool
) -> None:
    access = Access(Purpose.GENERATE, Use.WRITE, SUBJECT, category, Standing(erased=begun))
    assert verdict(access, Standing(erased=now)) is (LateWriteError if late else None)


def test_reading_is_never_late() -> None:
    access = Access(Purpose.GENERATE, Use.READ, SUBJECT, "images", FREE)
    assert verdict(access, Standing(erased={EVERY: 1})) is None


SCOPES = pytest.mark.parametrize(
    ("named", "category", "stops"),
    [
        ({EVERY}, "images", True),
        ({EVERY}, EVERY, True),
        ({"images"}, "images", True),
        ({"images"}, EVERY, True),
        ({"images"}, "prompts", False),
        (set(), "images", False),
    ],
    ids=["all, one", "all, any", "that one", "one, any", "another one", "none"],
)


@pytest.mark.parametrize("purpose", [p for p in Purpose if p is not Purpose.OPERATE])
@SCOPES
def test_a_restriction_stops_making_and_serving_but_no_right(
    purpose: Purpose, named: set[str], category: str, stops: bool
) -> None:
    expected = SubjectRestrictedError if stops and purpose in USING else None
    access = Access(purpose, min(ALLOWED[purpose]), SUBJECT, category)
    assert verdict(access, Standing(restricted=frozenset(named))) is expected


@pytest.mark.parametrize("purpose", [p for p in Purpose if p is not Purpose.OPERATE])
@SCOPES
def test_an_objection_stops_what_one_can_object_to_and_nothing_else(
    purpose: Purpose, named: set[str], category: str, stops: bool
) -> None:
    expected = ObjectedError if stops and purpose in OBJECTABLE else None
    access = Access(purpose, min(ALLOWED[purpose]), SUBJECT, category)
    assert verdict(access, Standing(objected={purpose: frozenset(named)})) is expected
    others = {other: frozenset({EVERY}) for other in OBJECTABLE if other is not purpose}
    assert verdict(access, Standing(objected=others)) is None


@pytest.mark.parametrize(
    ("begun", "now", "category", "late"),
    [
        ({EVERY: 1}, {EVERY: 1}, "images", False),
        ({}, {EVERY: 1}, "images", True),
        ({}, {"images": 1}, "images", True),
        ({}, {"images": 1}, "prompts", False),
    ],
    ids=["restricted before", "restricted since", "category restricted since", "another restricted since"],
)
def test_a_write_that_began_before_a_restriction_is_late_though_it_was_lifted(
    begun: dict[str, int], now: dict[str, int], category: str, late: bool
) -> None:
    access = Access(Purpose.GENERATE, Use.WRITE, SUBJECT, category, Standing(restrictions=begun))
    assert verdict(access, Standing(restrictions=now)) is (LateWriteError if late else None)


def test_no_purpose_that_one_can_object_to_writes() -> None:
    assert not [purpose for purpose in OBJECTABLE if Use.WRITE in ALLOWED[purpose]]
