"""How much a tenant may ask for: requests a minute and images a day.

Pure: the time is an argument. The counts live in one process and start anew with it.
"""

from __future__ import annotations

from collections import deque

from imagint_serving.config import Limits
from imagint_serving.gateway.errors import RateLimitedError

_MINUTE, _DAY = 60.0, 86_400.0


class Spending:
    """What has been spent, and whether more may be."""

    def __init__(self) -> None:
        self._requests: deque[float] = deque()
        self._day = 0
        self._images = 0

    def request(self, limits: Limits, now: float) -> None:
        """Count one request.

        Raises:
            RateLimitedError: the last minute is full; says when it no longer is.
        """
        while self._requests and self._requests[0] <= now - _MINUTE:
            self._requests.popleft()
        allowed = limits.requests_per_minute
        if allowed is None:
            return
        if len(self._requests) >= allowed:
            wait = self._requests[len(self._requests) - allowed] + _MINUTE - now
            message = f"Limit of {allowed} requests per minute reached."
            raise RateLimitedError("rate_limit_exceeded", message, retry_after=max(wait, 0.0))
        self._requests.append(now)

    def reserve(self, images: int, limits: Limits, now: float) -> None:
        """Count images against the day (UTC) before they are made.

        Raises:
            RateLimitedError: the day has not that many left.
        """
        day = int(now // _DAY)
        if day != self._day:
            self._day, self._images = day, 0
        allowed = limits.images_per_day
        if allowed is not None and self._images + images > allowed:
            message = f"Limit of {allowed} images per day reached."
            raise RateLimitedError("insufficient_quota", message, retry_after=(day + 1) * _DAY - now)
        self._images += images

    def give_back(self, images: int, now: float) -> None:
        """Return what was reserved for images that were not made."""
        if int(now // _DAY) == self._day:
            self._images = max(0, self._images - images)
