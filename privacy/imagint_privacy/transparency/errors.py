"""Every way in which a log's word is refused.

    LogRefusedError
    ├── MalformedLogError       it is not what the specification says: a note, a tile, a proof, an entry
    ├── NoteUnsignedError       no key that you trust has signed it
    ├── NoteForgedError         a key that you trust is named, and its signature does not fit
    ├── ProofRefusedError       the hashes do not lead from the one to the other
    └── QuorumMissedError       too few of the witnesses that you trust have cosigned it

Messages quote nothing of what was refused: it may be hostile.
"""

from __future__ import annotations

from typing import ClassVar


class LogRefusedError(Exception):
    """What a log says must not be relied upon; `code` names the reason for programs."""

    code: ClassVar[str] = "log_refused"


class MalformedLogError(LogRefusedError):
    """Not what the specification says."""

    code = "log_malformed"


class NoteUnsignedError(LogRefusedError):
    """No trusted key has signed."""

    code = "log_unknown"


class NoteForgedError(LogRefusedError):
    """A trusted key is named, and its signature does not fit."""

    code = "log_signature_invalid"


class ProofRefusedError(LogRefusedError):
    """An inclusion or consistency proof does not hold."""

    code = "log_proof_invalid"


class QuorumMissedError(LogRefusedError):
    """Too few trusted witnesses have cosigned."""

    code = "quorum_missed"
