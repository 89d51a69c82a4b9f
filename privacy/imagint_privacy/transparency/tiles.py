"""Tiles: how a log lies in a folder, a bucket or behind HTTP (C2SP tlog-tiles).

checkpoint                     the newest signed checkpoint; the only file that ever changes
tile/<level>/<n>[.p/<width>]   up to 256 hashes of one level; levels are eight of the tree's apart
tile/entries/<n>[.p/<width>]   up to 256 entries, each behind its length in two bytes, big-endian
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from imagint_privacy.transparency.errors import MalformedLogError
from imagint_privacy.transparency.merkle import HASH_BYTES, Read, node_hash

CHECKPOINT: Final = "checkpoint"
ENTRIES: Final = "entries"
HEIGHT: Final = 8
WIDTH: Final = 1 << HEIGHT
MAX_ENTRY: Final = 2**16 - 1
_PATH: Final = re.compile(
    r"tile/(entries|0|[1-5]?[0-9]|6[0-3])/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?"
)


def path(level: int | str, number: int, width: int = WIDTH) -> str:
    """Where a tile lies; `level` is ENTRIES for a bundle of entries."""
    groups = [f"{number % 1000:03d}"]
    while number := number // 1000:
        groups.insert(0, f"x{number % 1000:03d}")
    partial = "" if width == WIDTH else f".p/{width}"
    return f"tile/{level}/{'/'.join(groups)}{partial}"


def parsed(name: str) -> tuple[int | str, int, int] | None:
    """The level, number and width that a path names, or None when it is no tile's."""
    found = _PATH.fullmatch(name)
    if found is None:
        return None
    level: int | str = ENTRIES if found[1] == ENTRIES else int(found[1])
    number = int(found[2].replace("x", "").replace("/", ""))
    width = int(found[3]) if found[3] else WIDTH
    if (found[3] and width >= WIDTH) or path(level, number, width) != name:
        return None
    return level, number, width


def width_at(level: int, number: int, size: int) -> int:
    """How wide a tile is in a tree of `size` leaves; 0 when it is not there."""
    return max(0, min(WIDTH, (size >> (HEIGHT * level)) - number * WIDTH))


def new_tiles(old: int, new: int) -> Iterator[tuple[int, int, int]]:
    """The hash tiles (level, number, width) that a tree has at size `new` and had not, or not so wide, at `old`."""
    level = 0
    while (count := new >> (HEIGHT * level)) > 0:
        before = old >> (HEIGHT * level)
        if count > before:
            for number in range(before // WIDTH, (count - 1) // WIDTH + 1):
                yield level, number, width_at(level, number, new)
        level += 1


def bundle(entries: Sequence[bytes]) -> bytes:
    """The bytes of a bundle of entries.

    Raises:
        ValueError: an entry is longer than a bundle can say.
    """
    if any(len(entry) > MAX_ENTRY for entry in entries):
        raise ValueError(f"an entry of a log is at most {MAX_ENTRY} bytes long")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def unbundle(content: bytes, count: int) -> tuple[bytes, ...]:
    """The first `count` entries of a bundle.

    Raises:
        MalformedLogError: it does not hold as many, or not in this form.
    """
    entries, at = [], 0
    while at < len(content):
        end = at + 2 + int.from_bytes(content[at : at + 2], "big")
        if at + 2 > len(content) or end > len(content):
            raise MalformedLogError("a bundle of entries ends in the middle of one")
        entries.append(content[at + 2 : end])
        at = end
    if not count <= len(entries) <= WIDTH:
        raise MalformedLogError("a bundle holds another number of entries than its log has")
    return tuple(entries[:count])


def reader(size: int, fetch: Callable[[int, int, int], bytes]) -> Read:
    """Read subtrees of a tree of `size` leaves from its tiles: `fetch(level, number, width)` gets one tile's bytes.

    The answer is not trusted: whoever reads checks the root against a checkpoint.
    """
    known: dict[tuple[int, int], bytes] = {}

    def read(level: int, index: int) -> bytes:
        above, rest = divmod(level, HEIGHT)
        begin = index << rest
        number, offset = divmod(begin, WIDTH)
        if (above, number) not in known:
            width = width_at(above, number, size)
            content = fetch(above, number, width)
            if len(content) < width * HASH_BYTES or len(content) % HASH_BYTES:
                raise MalformedLogError("a tile is shorter than its log says")
            known[above, number] = content
        tile = known[above, number]
        hashes = [tile[at * HASH_BYTES : (at + 1) * HASH_BYTES] for at in range(offset, offset + (1 << rest))]
        while len(hashes) > 1:
            hashes = [node_hash(left, right) for left, right in zip(hashes[::2], hashes[1::2], strict=True)]
        if len(hashes[0]) != HASH_BYTES:
            raise MalformedLogError("a tile is narrower than its log says")
        return hashes[0]

    return read
