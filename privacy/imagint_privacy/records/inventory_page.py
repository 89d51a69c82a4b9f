"""The data inventory as a page of the documentation: `python -m imagint_privacy.records.inventory_page [--check] FILE`.

The page is generated; a test holds it to the inventory. It must not say anything that the inventory does not.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from imagint_privacy.records.inventory import CACHES, COLUMNS, OBJECTS, Place

_HEAD: Final = """# The data inventory

Every column, object prefix and cache: what it holds, why, for how long, how it is erased, and whether an export shows
it to the person it is about. Generated from `privacy/imagint_privacy/records/inventory.py` by
`python -m imagint_privacy.records.inventory_page docs/data-inventory.md`. A census in the tests compares it with the
schema, with what exports show and with the caches in the code.
"""
_COLUMNS: Final = ("holds", "for", "kept", "erased", "exported")


def page() -> str:
    """Return the page."""
    parts = [_HEAD]
    for title, places in (("Columns", _by_table()), ("Objects", OBJECTS), ("In memory", CACHES)):
        parts += [f"\n## {title}\n", _row(["place", *_COLUMNS]), _row(["---"] * (1 + len(_COLUMNS)))]
        parts += [_row([f"`{name}`", *_told(place)]) for name, place in places.items()]
    return "\n".join(parts) + "\n"


def _by_table() -> Mapping[str, Place]:
    """Put the columns of a table that are declared alike on one line."""
    lines: dict[tuple[str, Place], list[str]] = {}
    for name, place in COLUMNS.items():
        table, _, column = name.partition(".")
        lines.setdefault((table, place), []).append(column)
    return {f"{table}: {', '.join(names)}": place for (table, place), names in lines.items()}


def _told(place: Place) -> Sequence[str]:
    return (place.holds, place.purpose, place.retention, place.erased, place.exported)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str]) -> int:
    """Write the page, or with `--check` say whether it is as it should be."""
    file = Path(arguments[-1])
    if "--check" in arguments:
        return int(not file.is_file() or file.read_text() != page())
    file.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
