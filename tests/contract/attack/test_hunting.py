"""The hunter finds what is there: in every dress, in the middle of a file, packed or not, and nothing else."""

from __future__ import annotations

import base64
import gzip
import json
import os
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.contract.attack.hunting import Hunter, dresses

TEXT = b"wistful-otter-4711@example.test"
RAW = bytes(range(224, 256))


@pytest.mark.parametrize("secret", [TEXT, RAW], ids=["a text", "raw bytes"])
@pytest.mark.parametrize("dress", dresses(TEXT))
@pytest.mark.parametrize(
    "pack",
    [lambda raw: raw, gzip.compress, zlib.compress, lambda raw: os.urandom(999) + zlib.compress(raw, 1) + b"tail"],
    ids=["as it is", "gzip", "zlib", "zlib in the middle"],
)
def test_a_planted_secret_is_found(tmp_path: Path, secret: bytes, dress: str, pack: Callable[[bytes], bytes]) -> None:
    (tmp_path / "below").mkdir()
    planted = tmp_path / "below" / "file"
    planted.write_bytes(pack(os.urandom(5000) + dresses(secret)[dress] + os.urandom(5000)))
    assert Hunter({"it": secret, "other": b"never written"}).hunt([tmp_path]).keys() == {"file"}


@pytest.mark.parametrize("before", range(6))
def test_base64_is_found_whatever_stands_before_it(before: int) -> None:
    raw = os.urandom(before) + RAW + os.urandom(7)
    for encoded in (base64.b64encode(raw), base64.urlsafe_b64encode(raw)):
        assert Hunter({"it": RAW}).search(encoded)


def test_a_secret_in_a_row_in_a_log_and_in_a_name_is_found(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "rows.db", isolation_level=None)) as raw:
        raw.execute("PRAGMA journal_mode = WAL")
        raw.execute("CREATE TABLE t (x)")
        raw.execute("INSERT INTO t VALUES (?)", (TEXT,))
        (tmp_path / "log.json").write_text(json.dumps({"who": repr(RAW)}))
        (tmp_path / TEXT.decode()).touch()
        found = Hunter({"text": TEXT, "raw": RAW}).hunt([tmp_path])
    assert found.keys() == {"rows.db-wal", "log.json", TEXT.decode()}


def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(os.urandom(1 << 20) + TEXT[:-1] + RAW[1:])
    assert not Hunter({"text": TEXT, "raw": RAW}).hunt([tmp_path])
