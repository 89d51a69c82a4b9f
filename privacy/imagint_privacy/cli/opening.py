"""Opening a tenant's library for a command, and ending a command that failed with a message and an exit code.

Exit codes: 0 done; 1 refused, the same command will fail again; 2 wrong usage; 3 done, but something is damaged or
missing; 4 not now: Vault or a store does not answer, or a disk is full. What was done stays; run it again.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Final

import click

from imagint_privacy.cli.places import Place
from imagint_privacy.errors import BackupRefusedError, PrivacyError, RetryableError
from imagint_privacy.keys.ports import RootWrapper
from imagint_privacy.records.database import Database
from imagint_privacy.records.library import Library, StorageSettings
from imagint_privacy.records.objects import Objects
from imagint_privacy.records.recovering import held_generation
from imagint_privacy.records.results import as_json
from imagint_privacy.vault import TenantKey, VaultSession

REFUSED: Final = 1
INCOMPLETE: Final = 3
LATER: Final = 4
_BEAT_SECONDS: Final = 1.0
_JOIN_SECONDS: Final = 30.0
EPILOG: Final = (
    "Exit code: 0 done; 1 refused; 2 wrong usage; 3 done, but something is damaged or missing; 4 not now, run it again."
)


@contextlib.contextmanager
def explained(*, json_too: bool) -> Iterator[None]:
    """Turn our errors into a message and an exit code.

    Raises:
        SystemExit: an error of ours ended the command.
    """
    try:
        yield
    except PrivacyError as error:
        later = isinstance(error, RetryableError)
        if json_too:
            show({"error": type(error).__name__.removesuffix("Error"), "message": str(error), "retry": later})
        again = " Nothing that was done is lost: run the same command again." if later else ""
        click.echo(f"{type(error).__name__.removesuffix('Error')}: {error}.{again}", err=True)
        raise SystemExit(LATER if later else REFUSED) from error


def show(answer: Mapping[str, Any]) -> None:
    """Answer for programs: one JSON object."""
    click.echo(json.dumps(as_json(answer), indent=2, ensure_ascii=True))


def key_of(place: Place) -> TenantKey:
    """Return the tenant's key."""
    vault = place.vault
    session = VaultSession(
        vault.address, vault.role, vault.token_file, auth_mount=vault.auth_mount, ca_file=vault.ca_file
    )
    return TenantKey(session, place.key, mount=vault.mount)


def copies_of(place: Place) -> list[Objects]:
    """Return the copies of the tenant's tree.

    Raises:
        BackupRefusedError: none is named.
    """
    if not place.tree_copies:
        raise BackupRefusedError("no tree copy is named: give treeCopies in the settings, or --tree-copy URL")
    return [Objects(url) for url in place.tree_copies]


@contextlib.contextmanager
def database_of(place: Place) -> Iterator[Database]:
    """Open a database that holds this tenant's tree; never make one.

    Raises:
        BackupRefusedError: it holds no tree.
        ForeignTreeError: it is another tenant's.
        StorageUnavailableError: it does not answer.
    """
    with contextlib.closing(Database(place.database)) as database:
        if not held_generation(place.tenant, database):
            raise BackupRefusedError(
                "the database holds no tree of this tenant: check its address, or bring the tree back from a copy "
                "first (imagint restore tree)"
            )
        yield database


@contextlib.contextmanager
def library_of(place: Place, key: RootWrapper | None = None) -> Iterator[Library]:
    """Open the tenant's library as one more replica, with its key unless another one is given.

    Raises:
        PrivacyError: it does not open, or is not there: a command never begins a new one.
    """
    with database_of(place):
        pass
    library = Library.open(
        place.tenant,
        StorageSettings(place.database, place.objects, place.tree_copies),
        key or key_of(place),
        key_name=place.key,
        # Not the process id alone: in containers they are alike, and who leaves must not take another's row along.
        replica=f"command-{os.getpid()}-{os.urandom(4).hex()}",
        cache_seconds=place.cache_seconds,
    )
    with contextlib.closing(library), _beating(library):
        yield library


@contextlib.contextmanager
def _beating(library: Library) -> Iterator[None]:
    """Follow the tree while a long command runs: what is forgotten meanwhile leaves its memory within a second."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(_BEAT_SECONDS):
            with contextlib.suppress(PrivacyError):  # the command itself meets the same error, and tells it
                library.beat()

    beating = threading.Thread(target=beat, daemon=True)
    beating.start()
    try:
        yield
    finally:
        done.set()
        beating.join(_JOIN_SECONDS)
