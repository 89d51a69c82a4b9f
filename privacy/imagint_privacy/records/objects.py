"""Sealed objects and tree copies in an object store: a folder, S3, Google Cloud Storage or Azure, by address.

Names are ids and handles only. What was written to a folder is on disk when `put` returns; remote stores promise
that themselves. It must not see a plaintext.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit, urlunsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import from_url

from imagint_privacy.errors import StorageUnavailableError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_TIMEOUT: Final = timedelta(seconds=10)
_PATIENCE: Final = timedelta(seconds=20)
_SYNC_ALL: Final = 64
"""From this many files on, one sync of everything is quicker than one of each."""


class Objects:
    """One place in an object store."""

    def __init__(self, url: str) -> None:
        """Prepare the store; a folder is made if it is missing.

        Raises:
            StorageUnavailableError: the address cannot be understood, or the folder cannot be made.
        """
        parts = urlsplit(url)
        self.name = urlunsplit((parts.scheme, parts.hostname or "", parts.path.rstrip("/"), "", ""))
        """The address without anything that could be a secret."""
        self.folder = Path(unquote(parts.path)) if parts.scheme == "file" else None
        self._store = self._opened(url)

    def _opened(self, url: str) -> ObjectStore:
        with _named_errors("open"):
            if self.folder is not None:
                return from_url(url, mkdir=True, automatic_cleanup=True)
            remote: dict[str, Any] = {
                "client_options": {"timeout": _TIMEOUT, "connect_timeout": _TIMEOUT},
                "retry_config": {"max_retries": 3, "retry_timeout": _PATIENCE},
            }
            return from_url(url, **remote)

    def put(self, location: str, content: bytes | bytearray) -> None:
        """Write an object, whole or not at all.

        Raises:
            StorageUnavailableError: the store does not take it.
        """
        self.put_many({location: content}.items())

    def put_many(self, items: Iterable[tuple[str, bytes | bytearray]]) -> int:
        """Write many objects and only then wait for the disk, once; return how many there were.

        Raises:
            StorageUnavailableError: the store does not take them.
        """
        written: list[str] = []
        for location, content in items:
            with _named_errors("write"):
                obstore.put(self._store, location, content)
            written.append(location)
        if self.folder is not None:
            _sync(self.folder, written)
        return len(written)

    def get(self, location: str) -> bytes | None:
        """Return an object's bytes, or None.

        Raises:
            StorageUnavailableError: the store does not answer.
        """
        with _named_errors("read"):
            try:
                content: bytes = obstore.get(self._store, location).bytes().to_bytes()
            except FileNotFoundError:
                return None
        return content

    def delete(self, locations: Sequence[str]) -> None:
        """Delete objects; those that are not there are no error.

        Raises:
            StorageUnavailableError: the store does not answer.
        """
        for location in locations:
            with _named_errors("delete"):
                try:
                    obstore.delete(self._store, location)
                except FileNotFoundError:
                    continue

    def list(self, prefix: str = "") -> list[str]:
        """Return the names of every object under a prefix of whole segments.

        Raises:
            StorageUnavailableError: the store does not answer.
        """
        return [name for page in self.pages(prefix) for name in page]

    def pages(self, prefix: str = "") -> Iterator[Sequence[str]]:
        """Give the names of every object under a prefix of whole segments, some at a time.

        Raises:
            StorageUnavailableError: the store does not answer.
        """
        with _named_errors("list"):
            for page in obstore.list(self._store, prefix or None, chunk_size=1000):
                yield [meta["path"] for meta in page]


def _sync(folder: Path, locations: Sequence[str]) -> None:
    """Have the file system keep files and the folders that name them.

    Raises:
        StorageUnavailableError: the file system does not.
    """
    if len(locations) > _SYNC_ALL:
        os.sync()
        return
    entries: dict[Path, None] = {}
    for location in locations:
        path = folder / location
        entries |= dict.fromkeys((path, *(parent for parent in path.parents if parent.is_relative_to(folder))))
    try:
        for entry in entries:
            descriptor = os.open(entry, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
    except OSError as error:
        raise StorageUnavailableError(f"the object store does not keep what it took ({error.errno})") from None


@contextmanager
def _named_errors(verb: str) -> Iterator[None]:
    """Turn the store's errors, whose texts quote paths and answers, into ours.

    Raises:
        StorageUnavailableError: the store does not answer or refuses.
    """
    try:
        yield
    except (BaseError, OSError, ValueError) as error:
        raise StorageUnavailableError(f"the object store does not {verb} ({type(error).__name__})") from None
