"""The pages of the documentation about reasons and series: `python -m imagint_operator.telemetry.pages [--check] DIR`.

`events.md` is generated whole; in `observability.md` the table between the two marks is. Tests hold both to the code.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from imagint_operator.kube.reasons import REASONS, Mood
from imagint_operator.telemetry import series

BEGIN, END = "<!-- series: generated -->", "<!-- end of series -->"
_EVENTS_HEAD = """# Reasons of conditions and Events

Every reason that a condition or an Event can have. Generated from `operator/imagint_operator/kube/reasons.py` by
`python -m imagint_operator.telemetry.pages docs`; a test compares the table with the code in both directions.

An Event is `Warning` when somebody should look and `Normal` otherwise. An Event about a tenant's Gateway has the
prefix `Gateway` (`GatewayServing`), one about its retention the prefix `Retention` (`RetentionBehind`), one about a
policy `Policy` or `Subjects` (whether people were told), one about a recipient `Processor`. Its note is
the condition's message: ids, counts and field names, never a person's data. An object tells the same thing once in ten
minutes, and at most 25 things at once and one more every five minutes; what was left unsaid is in `series.count`.

"""


def events_page() -> str:
    """The page about reasons."""
    rows = [(f"`{name}`", "" if meaning.mood is Mood.CALM else "look", meaning.text)
            for name, meaning in sorted(REASONS.items())]  # fmt: skip
    return _EVENTS_HEAD + _table(("reason", "when it does not hold", "what it says"), rows)


def series_table() -> str:
    """The table of every series."""
    rows = [
        (f"`{one.shown}`", one.type.value, ", ".join(f"`{label}`" for label in one.labels), one.help)
        for one in sorted(series.ALL, key=lambda one: one.name)
    ]
    return _table(("series", "type", "labels", "what it says"), rows)


def with_series(page: str) -> str:
    """A page with its table made anew.

    Raises:
        ValueError: it lacks the marks.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks {BEGIN} or {END}")
    return f"{before}{BEGIN}\n{series_table()}{END}{after}"


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or with `--check` say whether they are as they should be."""
    folder = Path(arguments[-1])
    events, observability = folder / "events.md", folder / "observability.md"
    wanted = {events: events_page(), observability: with_series(observability.read_text())}
    if "--check" in arguments:
        return int(any(not file.is_file() or file.read_text() != text for file, text in wanted.items()))
    for file, text in wanted.items():
        file.write_text(text)
    return 0


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
