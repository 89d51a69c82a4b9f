"""`python -m bench.operator.naive`: the same operator, but every read is a request to the apiserver.

What most small operators do, and what this one would cost without its caches. Its watches still tell it what changed.
"""

from __future__ import annotations

import sys

from imagint_operator import __main__ as program
from imagint_operator import composition
from imagint_operator.composition import SINGLES, Standby, assembled
from imagint_operator.informers import every_key


class Uncached(Standby):
    """A replica whose controllers read live."""

    async def _work(self) -> None:
        keys = composition.vault(self._settings, self._fence)
        self._telemetry.metrics.begin_term()
        async with assembled(self._settings, keys, fence=self._fence, telemetry=self._telemetry) as operator:
            self._queue = operator.queue
            await operator.runtime.work([*SINGLES, *every_key(self._caches)])


if __name__ == "__main__":
    composition.Standby = Uncached  # type: ignore[misc]
    sys.exit(program.main())
