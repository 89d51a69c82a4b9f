"""Canaries: a prober's nonce sealed under real data keys before an erasure, to be tried again after it.

The envelope names its path, so that opening needs nothing but the envelope and the current tree. It must not keep a
nonce.
"""

from __future__ import annotations

import base64
import binascii
import struct
from typing import Final

from sqlalchemy import select

from imagint_privacy import subjects
from imagint_privacy.errors import PathInvalidError, RecordTamperedError
from imagint_privacy.keys.paths import ALWAYS, KeyPath
from imagint_privacy.records.bindings import Binding, Keeping
from imagint_privacy.records.context import Context
from imagint_privacy.records.results import Canaries, ErasedCanary, SurvivorCanary
from imagint_privacy.records.schema import FENCES
from imagint_privacy.records.sealing import seal, unseal

CANARY: Final = KeyPath(subjects.SYSTEM, "canary", ALWAYS)
"""The tenant's own key, which every erasure must leave."""
SURVIVORS: Final = 3
_KIND: Final = "canary"
_VERSION: Final = 1
_PARTS: Final = 4


def seal_all(context: Context, request: str, paths: tuple[KeyPath, ...], nonce: bytes) -> Canaries:
    """Seal a nonce under every path to be erased, under some other subjects' and under the tenant's own.

    Raises:
        KeysUnavailableError, StorageUnavailableError: try again.
    """
    erased = tuple(ErasedCanary(path.category, _sealed(context, request, path, nonce)) for path in paths)
    erasing = paths[0].subject if paths else ""
    survivors = (*_survivors(context, erasing), CANARY)
    return Canaries(erased, tuple(SurvivorCanary(_sealed(context, request, path, nonce)) for path in survivors))


def open_one(context: Context, envelope: str) -> bytes:
    """Return the nonce of a canary.

    Raises:
        KeyDestroyedError: its key is gone.
        RecordTamperedError: it is no canary of this tenant, or was altered.
        KeysUnavailableError, StorageUnavailableError: try again.
    """
    binding, sealed = _parse(context.tenant, envelope)
    context.tree.refresh()
    return unseal(context.tree.lookup(binding.path), binding, sealed)


def _survivors(context: Context, erasing: str) -> list[KeyPath]:
    """Choose a few subjects that nobody is erasing, and the newest path of each."""
    with context.database.read() as connection:
        fenced = set(connection.execute(select(FENCES.c.subject)).scalars())
    chosen: list[KeyPath] = []
    wanted = SURVIVORS + len(fenced) + 2
    for subject in context.tree.subjects(wanted, start=context.entropy(16)):
        if subject not in {subjects.SYSTEM, erasing} and subject not in fenced and len(chosen) < SURVIVORS:
            paths = context.tree.paths(subject)
            chosen += [max(paths, key=lambda path: path.period)] if paths else []
    return chosen


def _sealed(context: Context, request: str, path: KeyPath, nonce: bytes) -> str:
    binding = Binding(context.tenant, path, _KIND, request, Keeping.CANARY)
    sealed = seal(context.tree.lookup(path), binding, nonce, context.entropy)
    parts = [bytes((_VERSION,))]
    for text in (path.subject, path.category, path.period, request):
        parts += [struct.pack(">B", len(text)), text.encode("ascii")]
    return base64.b64encode(b"".join((*parts, sealed))).decode("ascii")


def _parse(tenant: str, envelope: str) -> tuple[Binding, bytes]:
    """Take an envelope apart.

    Raises:
        RecordTamperedError: it is no canary.
    """
    try:
        raw = base64.b64decode(envelope, validate=True)
        texts, at = [], 1
        for _ in range(_PARTS):
            end = at + 1 + raw[at]
            texts.append(raw[at + 1 : end].decode("ascii"))
            at = end
        if raw[0] != _VERSION:
            raise RecordTamperedError("a canary of an unknown version")
        path = KeyPath(*texts[:3])
    except (binascii.Error, IndexError, ValueError, PathInvalidError):
        raise RecordTamperedError("this is no canary") from None
    return Binding(tenant, path, _KIND, texts[3], Keeping.CANARY), raw[at:]
