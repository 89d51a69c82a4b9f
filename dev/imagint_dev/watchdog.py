"""Starts the supervisor and outlives it, so that nothing else does.

Run as `python -I -S watchdog.py STACK_ID SCRATCH LOCK_FD COMMAND...`. It is the reaper of every orphan below it. When
the supervisor ends, however it ends, every process that descends from here or carries IMAGINT_STACK=<id> in its
environment is killed, and the scratch folder removed. When this process is killed instead, a pipe that it holds open
closes, and the supervisor stops everything itself. Standard library only; it stays a few MB small.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time

PR_SET_CHILD_SUBREAPER = 36
LIMIT = 15.0


def descendants(root: int) -> list[int]:
    """The living processes below `root`."""
    children: dict[int, list[int]] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208 - pathlib is slow to import
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat") as file:  # noqa: PTH123
            fields = file.read().rpartition(")")[2].split()
            if fields[0] not in "ZX":
                children.setdefault(int(fields[1]), []).append(int(name))
    found, queue = [], [root]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def marked(mark: bytes) -> list[int]:
    """The processes that carry the marker in their environment, other than this one."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208
        with contextlib.suppress(OSError), open(f"/proc/{name}/environ", "rb") as file:  # noqa: PTH123
            if int(name) != os.getpid() and mark in file.read().split(b"\0"):
                found.append(int(name))
    return found


def reap() -> None:
    """Collects what has ended, so that nothing stays as a zombie."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def sweep(mark: bytes) -> None:
    """Kills everything of this stack until nothing is left."""
    deadline = time.monotonic() + LIMIT
    while (left := {*descendants(os.getpid()), *marked(mark)}) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
        reap()


def main(arguments: list[str]) -> None:
    """Runs the supervisor to its end, then sweeps."""
    stack, scratch, lock, *command = arguments
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    alive, keep = os.pipe()  # `keep` stays open here alone: its closing tells the supervisor that this process is gone
    supervisor = subprocess.Popen([*command, str(alive)], pass_fds=(alive, int(lock)))
    os.close(alive)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: supervisor.send_signal(signal.SIGTERM))
    while True:
        pid, _ = os.waitpid(-1, 0)
        if pid == supervisor.pid:
            break
    sweep(f"IMAGINT_STACK={stack}".encode())
    shutil.rmtree(scratch, ignore_errors=True)
    os.close(keep)


if __name__ == "__main__":
    main(sys.argv[1:])
