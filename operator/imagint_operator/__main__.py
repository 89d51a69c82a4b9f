"""`python -m imagint_operator`: reads the settings, runs the operator, ends within five seconds of SIGTERM.

Exit codes: 0 told to stop, 1 a defect, 2 a setting is wrong, 4 a watch is dead (start it anew).
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys

from imagint_operator import composition
from imagint_operator.errors import SettingsError, WatchDeadError
from imagint_operator.settings import Settings, from_environment

SETTINGS_WRONG = 2
WATCH_DEAD = 4
QUIET = {
    "kopf": logging.WARNING,
    "kopf._core.reactor.running": logging.ERROR,
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "urllib3": logging.WARNING,
    "aiohttp": logging.WARNING,
    "kubernetes": logging.WARNING,
    "asyncio": logging.WARNING,
}


async def _main(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await composition.run(settings, stop)


def configure_logging() -> None:
    """Log to stderr. Kopf and the HTTP clients would log addresses and, at DEBUG, whole bodies: never."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name, level in QUIET.items():
        logging.getLogger(name).setLevel(level)


def main() -> int:
    """Run until told to stop."""
    configure_logging()
    try:
        asyncio.run(_main(from_environment(os.environ)))
    except SettingsError as error:
        print(error, file=sys.stderr)
        return SETTINGS_WRONG
    except WatchDeadError as error:
        logging.getLogger(__name__).error("%s", error)
        return WATCH_DEAD
    return 0


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    # A call to Vault may still hang in its thread until its timeout: nothing needs it any more, so it is not awaited.
    sys.stdout.flush()
    os._exit(code)
