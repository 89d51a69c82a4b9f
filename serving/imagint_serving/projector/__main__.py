"""Start the projector: `python -m imagint_serving.projector`."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time

from imagint_serving.projector.apiserver import ApiServer
from imagint_serving.projector.errors import ProjectorError
from imagint_serving.projector.handovers import Handover
from imagint_serving.projector.service import Projector
from imagint_serving.projector.settings import ProjectorSettings


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # httpx logs every request line at INFO: noise, and paths are for the apiserver's audit log.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        settings = ProjectorSettings.from_environment(os.environ)
    except ProjectorError as error:
        print(f"projector: {error}", file=sys.stderr)
        return 2
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    source = ApiServer(settings.kubeconfig)
    try:
        Projector(source, Handover(settings.handover), settings).run(time.time, stop.wait)
    finally:
        source.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
