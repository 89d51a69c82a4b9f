"""What a certificate does not cover, in words that a data subject understands.

A certificate that leaves these out cannot be built (`rules`). Saying less than is true about the limits would
make every other sentence of it worthless.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from imagint_privacy.evidence.predicate import NotCovered

_HANDED_OUT: Final = NotCovered(
    code="HandedOut",
    text="Images, exports and answers handed out earlier, to you or to the application you used, are outside this "
    "system, and so is whatever that application keeps by itself.",
)
_REQUEST_RECORD: Final = NotCovered(
    code="RequestRecord",
    text="The request itself is kept for the time that the law demands: its number, its dates and your pseudonym.",
)
_INERT: Final = NotCovered(
    code="InertCiphertext",
    text="Older backups of the database and of the image store, and free disk space, may still hold the encrypted "
    "bytes. The keys that open them no longer exist.",
)


def exclusions(
    *, irrecoverable_after: datetime, trimmed_at: datetime, cache_bound_seconds: float
) -> tuple[NotCovered, ...]:
    """What an erasure does not reach, and until when."""
    snapshots = NotCovered(
        code="VaultSnapshots",
        text="Snapshots of the key store (Vault) taken before the key was destroyed: whoever holds one of them, its "
        "unseal keys and an old copy of the encrypted data could open that data. The last such snapshot expires then.",
        until=irrecoverable_after,
    )
    memory = NotCovered(
        code="ProcessMemory",
        text="The memory of running processes: a key or an image in use may have stayed there up to the cache bound.",
        until=trimmed_at + timedelta(seconds=cache_bound_seconds),
    )
    return (snapshots, memory, _INERT, _HANDED_OUT, _REQUEST_RECORD)


def exclusions_nothing_held() -> tuple[NotCovered, ...]:
    """What the finding that nothing is held does not reach."""
    return (_HANDED_OUT, _REQUEST_RECORD)
