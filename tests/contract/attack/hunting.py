"""A hunter who searches the bytes of files for secrets in every dress they are likely to wear.

Plain, hexadecimal, base64 (all three alignments, both alphabets), UTF-16, as Python and JSON would escape it, and all
of these again in whatever inflates as gzip or zlib.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote_from_bytes

import numpy as np

_STREAMS = re.compile(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]")
_MOST = 64 << 20


def dresses(secret: bytes) -> dict[str, bytes]:
    """Return a secret as it may stand in a file, by the name of the dress."""
    found = {
        "plain": secret,
        "reversed": secret[::-1],
        "hex": secret.hex().encode(),
        "upper hex": secret.hex().upper().encode(),
        "spaced hex": secret.hex(" ").encode(),
        "UTF-16 LE": secret.decode("latin-1").encode("utf-16-le"),
        "UTF-16 BE": secret.decode("latin-1").encode("utf-16-be"),
        "Python": repr(secret)[2:-1].encode(),
        "Python in JSON": json.dumps(repr(secret)[2:-1])[1:-1].encode(),
        "JSON": json.dumps(secret.decode("latin-1"))[1:-1].encode(),
        "URL": quote_from_bytes(secret, safe="").encode(),
        "base32": base64.b32encode(secret).rstrip(b"=")[:-1],
    }
    for before in range(3):
        # What stands around the secret decides over the outermost characters.
        text = base64.b64encode(bytes(before) + secret + bytes(3))
        inner = text[-(-before * 4 // 3) : (before + len(secret)) * 4 // 3]
        found[f"base64 +{before}"] = inner
        found[f"base64url +{before}"] = inner.translate(bytes.maketrans(b"+/", b"-_"))
    return found


class Hunter:
    """Searches for named secrets."""

    def __init__(self, secrets: Mapping[str, bytes]) -> None:
        self._patterns: dict[bytes, str] = {}
        for name, secret in secrets.items():
            for dress, pattern in dresses(secret).items():
                self._patterns.setdefault(pattern, f"{name} ({dress})")
        # Three bytes of each pattern in a table: one pass over a file finds where a pattern may begin.
        self._begins = np.zeros(1 << 24, dtype=bool)
        self._by_head: dict[bytes, list[bytes]] = {}
        for pattern in self._patterns:
            self._by_head.setdefault(pattern[:3], []).append(pattern)
            self._begins[int.from_bytes(pattern[:3], "big")] = True

    def search(self, content: bytes) -> set[str]:
        """Return the names of the secrets in these bytes, or in what they inflate to."""
        return {name for piece in (content, *_inflated(content)) for name in self._plain(piece)}

    def _plain(self, content: bytes) -> Iterator[str]:
        raw = np.frombuffer(content, dtype=np.uint8).astype(np.uint32)
        for at in np.flatnonzero(self._begins[raw[:-2] << 16 | raw[1:-1] << 8 | raw[2:]]).tolist():
            for pattern in self._by_head[content[at : at + 3]]:
                if content.startswith(pattern, at):
                    yield self._patterns[pattern]

    def hunt(self, folders: Iterable[Path]) -> dict[str, set[str]]:
        """Return what was found, by file; the names of files are searched as well."""
        found, seen = {}, {b""}
        for path in files(folders):
            content = path.read_bytes()
            hits = self.search(path.as_posix().encode())
            if content not in seen:
                hits |= self.search(content)
            if hits:
                found[path.name] = hits
            else:
                seen.add(content)
        return found


def files(folders: Iterable[Path]) -> list[Path]:
    """Return every file below some folders."""
    return sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())


def _inflated(content: bytes) -> Iterator[bytes]:
    """Inflate whatever looks like a stream; most of what does is none."""
    for match in _STREAMS.finditer(content):
        inflater = zlib.decompressobj(wbits=47)
        try:
            piece = inflater.decompress(content[match.start() :], _MOST)
        except zlib.error:
            continue
        if piece:
            yield piece
