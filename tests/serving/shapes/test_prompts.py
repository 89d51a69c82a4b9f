from __future__ import annotations

import pytest

from imagint_serving.shapes.prompts import Understood, understand
from imagint_serving.shapes.vocabulary import NULL, SLOTS, TOKENS

RED_ON_BLUE = ("red", "circle", "blue")


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        pytest.param("a red circle on blue", RED_ON_BLUE, id="the plain form"),
        pytest.param("A RED circle, on a Blue background!", RED_ON_BLUE, id="case and punctuation do not matter"),
        pytest.param(
            "\uff32ED circle\u2003on\u200bblue", RED_ON_BLUE, id="full-width letters and zero-width spaces are read"
        ),
        pytest.param("red circle blue", RED_ON_BLUE, id="the second colour is behind when nothing says so"),
        pytest.param("blue background with a red circle", RED_ON_BLUE, id="the background may come first"),
        pytest.param("a red circle on a background of deep blue", RED_ON_BLUE, id="a background may be of a colour"),
        pytest.param("on blue, a red circle", RED_ON_BLUE, id="the place may come first"),
        pytest.param("background: blue, shape: circle, colour: red", RED_ON_BLUE, id="a list of properties is read"),
        pytest.param("a crimson disc atop navy canvas", RED_ON_BLUE, id="synonyms are known"),
        pytest.param("three red circles on blue", RED_ON_BLUE, id="plurals are known"),
        pytest.param("a circle that is red over blue", RED_ON_BLUE, id="the colour may follow the shape"),
        pytest.param("a red circle on a blue square", RED_ON_BLUE, id="the first shape is the one drawn"),
        pytest.param("a round blue tile on white", ("blue", "square", "white"), id="a noun beats an adjective"),
        pytest.param("a round red thing on blue", RED_ON_BLUE, id="an adjective alone names the shape"),
        pytest.param(
            "a big shiny red circle, photorealistic, on shimmering blue", RED_ON_BLUE, id="other words are skipped"
        ),
        pytest.param("on a table, a red circle", ("red", "circle", None), id="an unknown place gives no background"),
        pytest.param("a triangle", (None, "triangle", None), id="what is not said stays open"),
        pytest.param("a square on white", (None, "square", "white"), id="a background alone does not colour the shape"),
        pytest.param("yellow", ("yellow", None, None), id="a lone colour colours the shape"),
        pytest.param("a red circle on red", ("red", "circle", "red"), id="the same colour twice is taken as said"),
        pytest.param("a photo of my cat", (None, None, None), id="nothing known leaves everything open"),
        pytest.param("", (None, None, None), id="an empty prompt leaves everything open"),
        pytest.param("\u202e red circle on blue \u202c", RED_ON_BLUE, id="direction marks do not matter"),
    ],
)
def test_a_sentence_is_understood(sentence: str, expected: tuple[str | None, str | None, str | None]) -> None:
    read = understand(sentence)
    assert (read.foreground, read.shape, read.background) == expected


def test_what_was_skipped_is_counted_and_not_kept() -> None:
    read = understand("my secret red circle for Alice on blue")
    assert read.skipped == 4
    assert "alice" not in repr(read).casefold()


def test_every_reading_comes_down_to_three_known_tokens() -> None:
    assert Understood().tokens() == (NULL, NULL, NULL)
    assert understand("a red circle on blue").tokens() == ("red", "circle", "on-blue")
    assert len(TOKENS) == 16
    assert len(understand("anything at all").tokens()) == SLOTS


def test_a_megabyte_of_words_is_read_in_bounded_time() -> None:
    assert understand("on background very " * 25_000 + "red " * 100_000 + "circle").shape == "circle"
