"""Pure: which Events are worth writing. A condition that flaps must flood neither people nor etcd.

An object tells the same thing once in ten minutes; and whatever it tells, at most 25 things at once and one more
every five minutes, as Kubernetes' own recorders do. What was left unsaid is counted and said with the next one.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

SAME_SECONDS = 600.0
BURST = 25
REFILL_SECONDS = 300.0
MOST_OBJECTS = 4096


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float
    said: dict[str, float] = field(default_factory=dict)
    unsaid: dict[str, int] = field(default_factory=dict)


class Damper:
    """What each object said lately; bounded in objects, and in each by the number of reasons there are."""

    def __init__(self, *, most_objects: int = MOST_OBJECTS) -> None:
        self._most = most_objects
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def say(self, uid: str, reason: str, now: float, *, repeats: bool = False) -> int | None:
        """None when it is to be left unsaid; else how often it was since it was last said."""
        bucket = self._buckets.pop(uid, None) or _Bucket(BURST, now)
        self._buckets[uid] = bucket
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        bucket.tokens = min(BURST, bucket.tokens + (now - bucket.at) / REFILL_SECONDS)
        bucket.at = now
        last = bucket.said.get(reason)
        same = not repeats and last is not None and now - last < SAME_SECONDS
        if bucket.tokens < 1 or same:
            bucket.unsaid[reason] = bucket.unsaid.get(reason, 0) + 1
            return None
        bucket.tokens -= 1
        bucket.said[reason] = now
        return bucket.unsaid.pop(reason, 0)
