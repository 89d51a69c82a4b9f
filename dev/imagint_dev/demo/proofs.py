"""The attempts to read what was forgotten: backups, old key trees, a neighbour's token, the bytes on the disk.

They run with the rights a data plane has (its own token, its own Vault role), since that is the most anybody can have.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from imagint_dev.demo.people import MadeImage
from imagint_dev.tenants import storage_of
from imagint_privacy.errors import KeyForbiddenError, PrivacyError
from imagint_privacy.keys.ports import Refusal
from imagint_privacy.records import backups, restore
from imagint_privacy.records.library import Library, StorageSettings
from imagint_privacy.vault import TenantKey, VaultSession

Picture = Callable[[MadeImage], bytes | None]


@dataclass(frozen=True, slots=True)
class Taken:
    """A backup's size."""

    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Opened:
    """What a restored backup gives: the bytes of each image record that opens, and why the others do not."""

    images: Mapping[str, bytes]
    reason: str


def tenant_key(state: Path, vault: str, *, owner: str, speaker: str) -> TenantKey:
    """`owner`'s Vault key as `speaker` reaches for it, with the token its Gateway has."""
    token = state / "handover" / speaker / "vault-token"
    return TenantKey(VaultSession(vault, "dataplane", token), f"tenant-{owner}")


@contextmanager
def _library(state: Path, vault: str, tenant: str) -> Iterator[Library]:
    kept = storage_of(state, tenant)
    storage = StorageSettings(kept["database"], kept["objects"], tuple(kept["treeCopies"]))
    wrapper = tenant_key(state, vault, owner=tenant, speaker=tenant)
    library = Library.open(tenant, storage, wrapper, key_name=f"tenant-{tenant}", replica="reader")
    try:
        yield library
    finally:
        library.close()


def take_backup(state: Path, vault: str, tenant: str, folder: Path) -> Taken:
    """Copies database, objects and key tree, as a nightly job would."""
    with _library(state, vault, tenant) as library:
        backups.back_up(library, folder)
    files = [path for path in folder.rglob("*") if path.is_file()]
    return Taken(len(files), sum(path.stat().st_size for path in files))


def read_backup(state: Path, vault: str, tenant: str, folder: Path) -> Opened:
    """Reads every record of a restored backup through today's key tree."""
    images: dict[str, bytes] = {}
    reason = ""
    with _library(state, vault, tenant) as library:
        for line in restore.check(folder, library).lines:
            try:
                images[line.record_id] = restore.open_record(folder, library, line.record_id).content
            except PrivacyError as refused:
                reason = f"{type(refused).__name__}: {refused}"
    return Opened(images, reason)


def old_root_refused(state: Path, vault: str, tenant: str, folder: Path) -> Refusal:
    """Tries to open the backup's own key tree, the one it was taken with."""
    old = restore.old_root(folder, tenant_key(state, vault, owner=tenant, speaker=tenant))
    return Refusal(old.refused, old.reason)


def neighbour_refused(state: Path, vault: str, *, owner: str, neighbour: str) -> Refusal:
    """Tries `owner`'s current root with `neighbour`'s token."""
    with _library(state, vault, owner) as library:
        root = library.erasures.root()
    try:
        tenant_key(state, vault, owner=owner, speaker=neighbour).decrypt(root.ciphertext)
    except KeyForbiddenError as refused:
        return Refusal(True, str(refused))
    return Refusal(False, "the key answered")


def plaintext_at_rest(folders: Sequence[Path], canaries: Iterable[bytes]) -> list[str]:
    """Searches every byte of every file; each hit as `canary number in file`, so that a report repeats no canary."""
    numbered = list(enumerate(canaries))
    hits = []
    for path in (file for folder in folders for file in folder.rglob("*") if file.is_file()):
        try:
            content = path.read_bytes()
        except OSError:
            continue
        hits += [f"canary {number} in {path.name}" for number, canary in numbered if canary in content]
    return hits


def imagint_verify(certificate: Path, key: Path) -> tuple[int, str]:
    """`imagint verify FILE --key KEY` as its own process: exit status and what it printed."""
    command = [sys.executable, "-m", "imagint_privacy.cli", "verify", str(certificate), "--key", str(key)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def flip_a_bit(content: bytes) -> bytes:
    """The same bytes with one bit of the middle character changed."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
