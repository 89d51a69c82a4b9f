"""How long ago each watch was last heard of: an event, a bookmark, or the beginning of an answer. Does no I/O.

Two known faults of Kopf make this necessary: a watch that ends is not begun again (nolar/kopf#1276), and a 403 at the
start ends one watch for good while its liveness probe stays green (nolar/kopf#1077).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable

from imagint_operator.errors import KubeMissingError, OperatorError
from imagint_operator.fences import Monotonic, boot_seconds

_log = logging.getLogger(__name__)


class Ages:
    """By plural name of the kind; told from several threads."""

    def __init__(self, kinds: Iterable[str], clock: Monotonic = boot_seconds) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._heard = dict.fromkeys(kinds, clock())
        self._troubles: dict[str, str] = {}

    def heard(self, kind: str) -> None:
        """Something came, or the kind was listed."""
        with self._lock:
            self._heard[kind] = self._clock()
            if self._troubles.pop(kind, None):
                _log.info("%s are watched again", kind)

    def troubled(self, kind: str, error: OperatorError) -> None:
        """A list or a watch failed: said once for each reason, not at each attempt."""
        with self._lock:
            if self._troubles.get(kind) == error.reason:
                return
            self._troubles[kind] = error.reason
        hint = "; install the CRDs of this version" if isinstance(error, KubeMissingError) else ""
        _log.warning("%s cannot be watched (%s)%s; tried again until it works", kind, error.reason, hint)

    def all(self) -> dict[str, float]:
        """Seconds since each was last heard of."""
        now = self._clock()
        with self._lock:
            return {kind: now - heard for kind, heard in self._heard.items()}

    def troubles(self) -> dict[str, str]:
        """The kinds that cannot be watched now, and why."""
        with self._lock:
            return dict(self._troubles)

    def age(self, kind: str) -> float:
        """Seconds since one was last heard of."""
        return self.all()[kind]

    def older_than(self, seconds: float) -> list[str]:
        """The kinds that were not heard of for longer."""
        return sorted(kind for kind, age in self.all().items() if age > seconds)
