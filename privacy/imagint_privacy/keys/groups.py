"""Group commit: threads that want keys at the same time share one root change.

Whoever leads makes the keys of everybody who waits; once its own are made, another leads. What a thread runs alongside
may refuse that thread alone: the others' keys are then made without it. It must not know how a commit is made.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic

from imagint_privacy.errors import PermanentError, PrivacyError, StorageUnavailableError
from imagint_privacy.keys.paths import KeyPath
from imagint_privacy.keys.ports import Alongside, TreeChange, Tx

GROUP_PATHS: Final = 30_000
"""A group takes no more insertions once it has this many paths: about a second's work."""


@dataclass(slots=True, eq=False)
class Insertion(Generic[Tx]):
    """One thread's wish for keys, and what came of it."""

    paths: Sequence[KeyPath]
    alongside: Alongside[Tx] | None = None
    keys: dict[KeyPath, bytes] = field(default_factory=dict, repr=False)
    error: BaseException | None = None
    done: bool = False

    def end(self, keys: dict[KeyPath, bytes], error: BaseException | None = None) -> None:
        """Note what came of it."""
        self.keys, self.error, self.done = keys, error, True

    def outcome(self) -> dict[KeyPath, bytes]:
        """Return the keys.

        Raises:
            PrivacyError: the commit failed, or what ran alongside refused.
        """
        if self.error is not None:
            raise self.error
        return self.keys


class RefusedAlongside(Exception):  # noqa: N818 - never leaves this module and `commits`
    """Some insertions of a group were refused: undo the commit and go on without them."""


class Group(Generic[Tx]):
    """Insertions that share one commit."""

    def __init__(self, members: Iterable[Insertion[Tx]]) -> None:
        self.members = list(members)

    def paths(self) -> dict[KeyPath, None]:
        """Return every path of the group once."""
        return dict.fromkeys(path for member in self.members for path in member.paths)

    def alongside(self, tx: Tx, change: TreeChange) -> None:
        """Run what each member wants inside the commit.

        Raises:
            RefusedAlongside: some refused; they are ended, and no longer members.
        """
        before = len(self.members)
        for member in list(self.members):
            if member.alongside is None:
                continue
            try:
                member.alongside(tx, change)
            except PermanentError as error:
                member.end({}, error)
                self.members.remove(member)
        if len(self.members) < before:
            raise RefusedAlongside

    def end(self, keys: dict[KeyPath, bytes]) -> None:
        """Give every member its keys."""
        for member in self.members:
            member.end({path: keys[path] for path in member.paths})


class Waiting(Generic[Tx]):
    """Insertions in the order they came; one of the waiting threads leads at a time, the others sleep."""

    def __init__(self, limit: int = GROUP_PATHS) -> None:
        self._limit = limit
        self._queue: deque[Insertion[Tx]] = deque()
        self._turn = threading.Condition()
        self._led = False

    def serve(self, own: Insertion[Tx], commit: Callable[[Group[Tx]], None]) -> None:
        """Wait until one's own insertion is ended: by whoever leads, or by leading oneself.

        Raises:
            BaseException: the process is being stopped; the group's other members are told that it failed.
        """
        with self._turn:
            self._queue.append(own)
            while self._led and not own.done:
                self._turn.wait()
            if own.done:
                return
            self._led = True
        try:
            while not own.done:
                self._lead(commit)
        finally:
            with self._turn:
                self._led = False
                self._turn.notify_all()

    def _lead(self, commit: Callable[[Group[Tx]], None]) -> None:
        """Commit the next group."""
        group = Group(self._take())
        members = list(group.members)
        try:
            try:
                commit(group)
            except Exception as error:
                self._failed(members, error, commit)
        except BaseException:
            _end(members, StorageUnavailableError("the commit was cut off"))
            raise

    def _take(self) -> list[Insertion[Tx]]:
        taken: list[Insertion[Tx]] = []
        paths = 0
        with self._turn:
            while self._queue and paths < self._limit:
                taken.append(self._queue.popleft())
                paths += len(taken[-1].paths)
        return taken

    def _failed(self, members: Sequence[Insertion[Tx]], error: Exception, commit: Callable[[Group[Tx]], None]) -> None:
        """Tell every member; where the reason may lie with one of them, try each alone."""
        open_ones = [member for member in members if not member.done]
        if len(open_ones) == 1 or (isinstance(error, PrivacyError) and not isinstance(error, PermanentError)):
            _end(open_ones, error)
            return
        for member in open_ones:
            try:
                commit(Group([member]))
            except Exception as own:
                _end([member], own)


def _end(members: Iterable[Insertion[Tx]], error: BaseException) -> None:
    for member in members:
        if not member.done:
            member.end({}, error)
