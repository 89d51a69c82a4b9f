"""A file that somebody else replaces, parsed once per version of it.

The writer renames a complete file into place, so a reader sees the old or the new one and never a part. A version
that cannot be parsed is refused: the previous one is not used in its stead, since it may hold a revoked key.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from imagint_serving.errors import NotReadyError

T = TypeVar("T")
_Version = tuple[int, int, int]


class HandedFile(Generic[T]):
    """The parsed content of a handed-over file."""

    def __init__(self, path: Path, parse: Callable[[bytes], T]) -> None:
        self._path = path
        self._parse = parse
        self._held: tuple[_Version, T] | None = None

    def read(self) -> T:
        """Return the current content; costs one `stat` when nothing changed.

        Raises:
            NotReadyError: the file is not there yet, or is not what it should be.
        """
        name = self._path.name
        try:
            status = self._path.stat()
            version = (status.st_mtime_ns, status.st_ino, status.st_size)
            if self._held is None or self._held[0] != version:
                self._held = (version, self._parse(self._path.read_bytes()))
        except OSError as error:
            self._held = None
            raise NotReadyError(f"{name} has not been handed over ({error.strerror})") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self._held = None
            raise NotReadyError(f"{name} cannot be used ({type(error).__name__})") from error
        return self._held[1]
