"""Processes of our own that are killed at a point: before or after anything that leaves the process."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import obstore

from imagint_privacy.records import objects
from imagint_privacy.records.database import Database
from imagint_privacy.vault import VaultSession


class Points:
    """Counts the points that this process passes, and acts at one of them."""

    def __init__(self, at: int, act: Callable[[], None]) -> None:
        self.passed, self.at, self.act = 0, at, act

    def reach(self) -> None:
        self.passed += 1
        if self.passed == self.at:
            self.act()

    def around(self, holder: Any, name: str) -> None:
        """Put a point before and one behind every call."""
        call = getattr(holder, name)

        def surrounded(*given: Any, **named: Any) -> Any:
            self.reach()
            result = call(*given, **named)
            self.reach()
            return result

        setattr(holder, name, surrounded)

    def everywhere(self) -> None:
        """Put points around everything that leaves the process."""
        write, reach = Database.write, self.reach

        @contextlib.contextmanager
        def writing(self: Database) -> Iterator[Any]:
            with write(self) as connection:
                yield connection
                reach()
            reach()

        Database.write = writing  # type: ignore[method-assign]
        for holder, name in ((obstore, "put"), (obstore, "delete"), (objects, "_unlink"), (Database, "wipe_log")):
            self.around(holder, name)
        self.around(VaultSession, "_send")


def kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def in_a_process(work: Callable[[], None], meanwhile: Callable[[], None] = lambda: None) -> bool:
    """Run in a process of its own; say whether it lived to the end.

    Raises:
        RuntimeError: it ended by an error, not by being killed.
    """
    child = os.fork()
    if not child:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    ended, status = os.waitpid(child, os.WNOHANG)
    while not ended:
        meanwhile()
        time.sleep(0.002)
        ended, status = os.waitpid(child, os.WNOHANG)
    if os.WIFSIGNALED(status):
        return False
    if os.WEXITSTATUS(status):
        raise RuntimeError("a process failed")
    return True
