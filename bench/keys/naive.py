"""The naive alternative: one flat keyring, and every survivor's key wrapped anew whenever somebody is erased.

One row a subject holds its three data keys, wrapped under one master key. Erasing takes the row away, draws a new
master key and wraps all others again, in one transaction: only so do old copies of the keyring open for nobody. Each
row costs one opening, one sealing and one write, so the time is a + b * subjects; above the largest size measured it is
extrapolated by that line and named so.
"""

from __future__ import annotations

import os
import statistics
from functools import partial
from pathlib import Path

from bench.keys import populations
from bench.keys.findings import Findings, Say, label, median, settle, timed
from bench.keys.plans import Plan
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Column, LargeBinary, MetaData, String, Table, bindparam, delete, insert, select, update

from imagint_privacy.records.database import Database

KEYRING = Table(
    "keyring",
    MetaData(),
    Column("subject", String(40), primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
)
FAR = (1_000_000, 100_000_000)
_GROUP = 10_000
_KEYS = 96


class Keyring:
    """A flat keyring in SQLite, with the product's settings."""

    def __init__(self, folder: Path, size: int) -> None:
        self.database = Database(f"sqlite:///{folder}/keyring.db")
        KEYRING.metadata.create_all(self.database.engine)
        self._master = os.urandom(32)
        cipher = AESGCM(self._master)
        for numbers in populations.groups(range(size), _GROUP):
            rows = [{"subject": populations.subject(n), "wrapped": _wrap(cipher, os.urandom(_KEYS))} for n in numbers]
            with self.database.write() as connection:
                connection.execute(insert(KEYRING), rows)

    def erase(self, subject: str) -> None:
        """Forget one subject: every other key is wrapped under a new master key."""
        fresh = os.urandom(32)
        old, new = AESGCM(self._master), AESGCM(fresh)
        change = update(KEYRING).where(KEYRING.c.subject == bindparam("who")).values(wrapped=bindparam("again"))
        with self.database.write() as connection:
            connection.execute(delete(KEYRING).where(KEYRING.c.subject == subject))
            survivors = connection.execute(select(KEYRING.c.subject, KEYRING.c.wrapped)).all()
            rows = [
                {"who": name, "again": _wrap(new, old.decrypt(wrapped[:12], wrapped[12:], None))}
                for name, wrapped in survivors
            ]
            connection.execute(change, rows)
        self._master = fresh

    def close(self) -> None:
        """Close the database."""
        self.database.close()


def measure(plan: Plan, folder: Path, found: Findings, say: Say) -> None:
    """Time the erasure of one at every size that ends in reasonable time, and draw the line on."""
    times: dict[int, float] = {}
    for size in plan.naive_sizes:
        say(f"naive: wrapping {size:,} keys anew")
        ring = Keyring(folder / f"naive-{size}", size)
        settle()
        rounds = [timed(partial(ring.erase, populations.subject(number))) for number in range(3)]
        ring.close()
        times[size] = median(rounds).wall
        found.set(f"naive_forget_one_{label(size)}_s", times[size])
    slope, start = statistics.linear_regression(list(times), list(times.values()))
    for size in FAR:
        found.set(f"naive_forget_one_{label(size)}_extrapolated_s", start + slope * size)
    found.raw["naive"] = {
        "seconds": {str(size): seconds for size, seconds in times.items()},
        "extrapolated": {str(size): start + slope * size for size in FAR},
        "a_s": start,
        "b_s_per_subject": slope,
    }


def _wrap(cipher: AESGCM, plain: bytes) -> bytes:
    nonce = os.urandom(12)
    return nonce + cipher.encrypt(nonce, plain, None)
