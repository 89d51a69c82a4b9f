"""What sealed bytes are bound to, and the id that names a data key: the same for every way of sealing.

Pure. It must not seal nor open anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from hashlib import sha256
from typing import Final

from imagint_privacy.keys.paths import KeyPath

KEY_ID_BYTES: Final = 8
_DOMAIN: Final = "imagint.ai/record/1\0"
_KEY_ID: Final = sha256(b"imagint.ai/record/key-id/1\0")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Keeping(IntEnum):
    """Where sealed bytes are kept; part of what they are bound to."""

    ROW = 0
    OBJECT = 1
    CANARY = 2


@dataclass(frozen=True, slots=True)
class Binding:
    """Everything that sealed bytes are bound to.

    The moment a record was made tells it from an older one that had the same id and place; what was sealed by
    version 1, and a canary, is bound to none.
    """

    tenant: str
    path: KeyPath
    kind: str
    record_id: str
    keeping: Keeping
    made: datetime | None = None

    def data(self) -> bytes:
        """Return the associated data of version 1: every part with its length, so that no two bindings read alike."""
        return self._text().encode("latin-1")

    def dated(self) -> bytes:
        """Return the associated data with the moment, in microseconds since 1970.

        Raises:
            ValueError: the binding has none.
        """
        if self.made is None:
            raise ValueError("a dated seal needs the moment the record was made")
        return f"{self._text()}\0{(self.made - _EPOCH) // _MICROSECOND}\0".encode("latin-1")

    def _text(self) -> str:
        # One string and one encoding: part by part, it would cost a small record more than the cipher does.
        path = self.path
        return (
            f"{_DOMAIN}{chr(self.keeping)}"
            f"\0{chr(len(self.tenant))}{self.tenant}\0{chr(len(path.subject))}{path.subject}"
            f"\0{chr(len(path.category))}{path.category}\0{chr(len(path.period))}{path.period}"
            f"\0{chr(len(self.kind))}{self.kind}\0{chr(len(self.record_id))}{self.record_id}"
        )

    def named(self) -> str:
        """Return how an error calls what was sealed."""
        return f"{self.keeping.name.lower()} {self.record_id}"


def key_id(key: bytes) -> bytes:
    """Return the 8 bytes that name a data key without telling anything about it."""
    digest = _KEY_ID.copy()
    digest.update(key)
    return digest.digest()[:KEY_ID_BYTES]
