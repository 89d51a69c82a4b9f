"""Checkpoints (C2SP tlog-checkpoint): a log's word on how long it is and what it holds, as a signed note."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from imagint_privacy.transparency import notes
from imagint_privacy.transparency.errors import MalformedLogError
from imagint_privacy.transparency.merkle import HASH_BYTES, MAX_SIZE
from imagint_privacy.transparency.notes import Note, VerifierKey

_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The first three lines of a checkpoint, and those that a log added."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def text(self) -> str:
        """The text that is signed."""
        lines = [self.origin, str(self.size), base64.b64encode(self.root).decode(), *self.extensions]
        return "".join(f"{line}\n" for line in lines)

    @classmethod
    def of(cls, note: Note) -> Checkpoint:
        """Read a note's text; its signatures are not looked at.

        Raises:
            MalformedLogError: it is no checkpoint.
        """
        lines = note.text.removesuffix("\n").split("\n")
        if len(lines) < 3 or not all(lines) or not _SIZE.fullmatch(lines[1]):
            raise MalformedLogError("the note is no checkpoint: origin, size and root are missing")
        try:
            root = base64.b64decode(lines[2].encode("ascii"), validate=True)
        except (ValueError, binascii.Error) as error:
            raise MalformedLogError("the checkpoint's root is not base64") from error
        found = cls(lines[0], int(lines[1]), root, tuple(lines[3:]))
        if len(root) != HASH_BYTES or found.size > MAX_SIZE or found.text() != note.text:
            raise MalformedLogError("the checkpoint is not in its canonical form")
        return found


def opened(content: bytes, log: VerifierKey) -> tuple[Checkpoint, Note]:
    """Read a checkpoint that the log of this key has signed.

    Raises:
        MalformedLogError: it is no checkpoint, or another log's.
        NoteUnsignedError, NoteForgedError: the log's signature is missing, or does not fit.
    """
    note = notes.parse(content)
    note.demand([log])
    found = Checkpoint.of(note)
    if found.origin != log.name:
        raise MalformedLogError("the checkpoint is of another log than its key names")
    return found, note


def signed(
    checkpoint: Checkpoint, log: VerifierKey, signature: bytes, others: Sequence[notes.NoteSignature] = ()
) -> Note:
    """The note of a checkpoint, from the log's Ed25519 signature of `checkpoint.text()` and the witnesses' lines."""
    return Note(checkpoint.text(), (notes.NoteSignature(log.name, log.key_id, signature), *others))
