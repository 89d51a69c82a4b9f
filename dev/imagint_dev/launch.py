"""Becomes another program that cannot outlive its parent: `python -I -S launch.py PARENT_PID[:UID:GID] COMMAND...`.

It asks the kernel to be killed when the parent ends, switches core dumps off (memory holds keys), starts a process
group of its own and turns into the command, as another user if root says so. Standard library only, and quick: it
runs before every part.
"""

import ctypes
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Never returns when all goes well."""
    (parent, *user), command = map(int, arguments[0].split(":")), arguments[1:]
    os.setsid()
    if user and os.geteuid() == 0:  # first, because it makes the kernel forget what it is asked next
        os.setgroups([])
        os.setgid(user[1])
        os.setuid(user[0])
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the request was made
        sys.exit(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536) if hard > 0 else 65536, hard))
    os.execvp(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
