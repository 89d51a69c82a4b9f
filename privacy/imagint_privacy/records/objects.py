"""Sealed objects and tree copies in an object store: a folder, S3, Google Cloud Storage or Azure, by address.

Names are ids and handles only. What was written to a folder is on disk when `put` returns; remote stores promise
that themselves. Every request is bounded in size and time, so an object of any size takes little memory and a store
that hangs is noticed. It must not see a plaintext.

An object appears whole or not at all. A process that is killed while it writes leaves no object, but its parts: in a
folder a file named like the object with `#` and a number behind (`unfinished` finds it, `delete` takes it), in a
remote store an upload that never ended, which only the store's own lifecycle rule removes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import chain, count
from pathlib import Path
from queue import Empty, Queue
from threading import Event
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
_PART: Final = 8 << 20
"""One request's bytes; S3 takes 10,000 of them an upload, at least 5 MiB each."""
_AT_ONCE: Final = 2
_LISTINGS: Final = 5
_WAITING: Final = 4
"""Pieces between the source and the store."""
_READ: Final = 4 << 20
_STAGED: Final = re.compile(r"#\d+\Z")
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

    def put_stream(self, location: str, pieces: Iterable[bytes]) -> None:
        """Write an object from pieces as they come, whole or not at all; what the pieces raise is raised.

        Raises:
            StorageUnavailableError: the store does not take it.
        """
        coming = iter(pieces)
        first, size = [], 0
        for piece in coming:
            first.append(piece)
            size += len(piece)
            if size >= _PART:
                break
        if size < _PART:
            with _named_errors("write"):
                obstore.put(self._store, location, first, use_multipart=False)
        else:
            _Upload(self._store, location).send(chain(first, coming))
        if self.folder is not None:
            _sync(self.folder, [location])

    def get_stream(self, location: str) -> Iterator[bytes] | None:
        """Return an object's bytes, part by part as they are asked for, or None; nothing stays open between two parts.

        Raises:
            StorageUnavailableError: the store does not answer, or the object went away meanwhile.
        """
        with _named_errors("read"):
            try:
                first = obstore.get(self._store, location, options={"range": (0, _READ)})
                size: int = first.meta["size"]
                begun: bytes = first.bytes().to_bytes()
            except FileNotFoundError:
                return None
            except BaseError:
                # An empty object has no range at all; any other reason is met again.
                if obstore.head(self._store, location)["size"]:
                    raise
                return iter(())
        return self._parts(location, begun, size)

    def _parts(self, location: str, begun: bytes, size: int) -> Iterator[bytes]:
        yield begun
        for begin in range(len(begun), size, _READ):
            with _named_errors("read"):
                end = min(begin + _READ, size)
                part: bytes = obstore.get_range(self._store, location, start=begin, end=end).to_bytes()
            yield part

    def holds(self, location: str) -> bool:
        """Say whether an object is there, without reading it.

        Raises:
            StorageUnavailableError: the store does not answer.
        """
        with _named_errors("look"):
            try:
                obstore.head(self._store, location)
            except FileNotFoundError:
                return False
        return True

    def delete(self, locations: Sequence[str]) -> None:
        """Delete objects, and what killed processes left of them in a folder; those that are not there are no error.

        Raises:
            StorageUnavailableError: the store does not answer.
        """
        for location in locations:
            with _named_errors("delete"):
                if self.folder is not None and _STAGED.search(location):
                    _unlink(self.folder, location)
                    continue
                with suppress(FileNotFoundError):
                    obstore.delete(self._store, location)
                if self.folder is not None:
                    staged = (f"{location}#{number}" for number in count(1))
                    while _unlink(self.folder, next(staged)):
                        continue

    def unfinished(self, prefix: str = "") -> list[str]:
        """Return the names of what processes left in a folder that were killed while they wrote, or write now.

        Raises:
            StorageUnavailableError: the folder cannot be read.
        """
        if self.folder is None:
            return []
        with _named_errors("list"):
            found = [path for path in (self.folder / prefix).rglob("*") if _STAGED.search(path.name) and path.is_file()]
            return sorted(path.relative_to(self.folder).as_posix() for path in found)

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
        seen: set[str] = set()
        with _named_errors("list"):
            for left in reversed(range(_LISTINGS)):
                try:
                    for page in obstore.list(self._store, prefix or None, chunk_size=1000):
                        names = [meta["path"] for meta in page if meta["path"] not in seen]
                        if self.folder is not None:
                            seen.update(names)
                        yield names
                    return
                except FileNotFoundError:  # somebody deleted a file of the folder between its name and a look at it
                    if self.folder is None or not left:
                        raise


class _Upload:
    """An upload in parts: a thread hands the store what this one takes from the source.

    The store asks for pieces from within its own event loop, where nothing that waits for a store, this or another,
    may be called; sources do just that. A source that fails gives the upload up, and the store drops its parts.
    """

    def __init__(self, store: ObjectStore, location: str) -> None:
        self._store = store
        self._location = location
        self._waiting: Queue[bytes | None] = Queue(_WAITING)
        self._given_up = Event()
        self._ended = Event()

    def send(self, pieces: Iterable[bytes]) -> None:
        """Upload pieces; what the pieces raise is raised when nothing of the upload is left.

        Raises:
            StorageUnavailableError: the store does not take them.
        """
        with ThreadPoolExecutor(1) as threads:
            sent = threads.submit(self._put)
            try:
                for piece in pieces:
                    if self._ended.is_set():
                        break
                    self._waiting.put(piece)
            except BaseException:
                self._given_up.set()
                raise
            finally:
                self._waiting.put(None)
            sent.result()

    def _put(self) -> None:
        try:
            with _named_errors("write"):
                obstore.put(self._store, self._location, self._taken(), chunk_size=_PART, max_concurrency=_AT_ONCE)
        finally:
            # Whoever waits for room goes on and sees that nobody takes anything any more.
            self._ended.set()
            with suppress(Empty):
                while True:
                    self._waiting.get_nowait()

    def _taken(self) -> Iterator[bytes]:
        """Give what was sent, to its end.

        Raises:
            StorageUnavailableError: the source failed: this makes the store give the upload up.
        """
        while (piece := self._waiting.get()) is not None:
            yield piece
        if self._given_up.is_set():
            raise StorageUnavailableError("the upload was given up")


def _unlink(folder: Path, location: str) -> bool:
    """Delete a file that the store hides from us, and the folders that it leaves empty; say whether it was there."""
    path = folder / location
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    with suppress(OSError):
        for parent in path.parents:
            if parent == folder:
                break
            parent.rmdir()
    return True


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
