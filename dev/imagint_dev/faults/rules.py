"""Pure: which request meets which fault. A script is a list of rules; a rule counts the requests that it matches.

Deterministic: what is left to chance is decided by a seed and the order of the requests. It must do no I/O.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

LEASES = "/leases/"
LOGIN = "/login"
REASONS = {429: "TooManyRequests", 403: "Forbidden", 409: "Conflict", 410: "Expired"}
OWN = "/apis/imagint.ai/v1alpha1"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, as it reached a proxy."""

    peer: str
    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)

    @property
    def lists(self) -> bool:
        """Whether a whole kind is asked of the apiserver, once."""
        whole = "limit" in self.query or self.path.rpartition("/")[0] == OWN  # Kopf lists without a limit
        return self.peer == "api" and self.method == "GET" and whole and not self.watches

    @property
    def repeatable(self) -> bool:
        """Whether `Stale` can answer it: a list, or a look at the Lease."""
        return self.lists or (self.method == "GET" and LEASES in self.path)

    @property
    def watches(self) -> bool:
        """Whether changes of a kind are asked for."""
        return self.peer == "api" and self.query.get("watch") == "true"

    @property
    def plural(self) -> str:
        """The last part of the path: of a list or a watch, the kind."""
        return self.path.rpartition("/")[2]

    @property
    def writes(self) -> bool:
        """Whether it changes what a peer holds. The Lease and log-ins to Vault are no part of the work."""
        return self.method not in {"GET", "HEAD", "OPTIONS"} and LEASES not in self.path and LOGIN not in self.path


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer with an error; `after` passes the request on first, so that it was carried out."""

    status: int
    after: bool = False
    retry_after: int | None = None

    def body(self) -> dict[str, Any]:
        """What the apiserver would say."""
        reason = REASONS.get(self.status, "Injected")
        return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": self.status, "reason": reason}


@dataclass(frozen=True, slots=True)
class Lose:
    """Reset the connection; `after` passes the request on first: the answer is lost."""

    after: bool = False


@dataclass(frozen=True, slots=True)
class Delay:
    """Hold the request back."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Kill:
    """Call back, to kill whoever asked, before or after the request is passed on; nothing is answered."""

    now: Callable[[], None]
    after: bool = False


@dataclass(frozen=True, slots=True)
class Stale:
    """Answer a list, or a look at the Lease, as the first of its kind was answered since `Proxies.remember`."""


@dataclass(frozen=True, slots=True)
class Freeze:
    """Let no byte of a watch through until the rule is taken away; then all of them come."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Leave out a share of a watch's events, drawn from a seed; never a bookmark."""

    share: float
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Cut:
    """Break a watch off after so many events."""

    events: int


Fault = Refuse | Lose | Delay | Kill | Stale | Freeze | Drop | Cut


@dataclass
class Rule:
    """A fault for those requests that match; `at` says for which of them, counted from 1; all when it is None."""

    fault: Fault
    matches: Callable[[Asked], bool] = lambda asked: asked.writes
    at: Container[int] | None = None
    met: int = 0
    struck: int = 0
    chance: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        if isinstance(self.fault, Drop):
            self.chance.seed(self.fault.seed)

    def strikes(self, asked: Asked) -> bool:
        """Count a request; answers whether it meets the fault."""
        if not self.matches(asked):
            return False
        self.met += 1
        if self.at is not None and self.met not in self.at:
            return False
        self.struck += 1
        return True

    def drops(self, event: str) -> bool:
        """Whether an event of a watch is left out."""
        return isinstance(self.fault, Drop) and event != "BOOKMARK" and self.chance.random() < self.fault.share


class Script:
    """The rules that hold now. Safe to ask and to change from several threads."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._lock = threading.Lock()

    def add(self, rule: Rule) -> Rule:
        """Let a rule hold from now on."""
        with self._lock:
            self._rules.append(rule)
        return rule

    def remove(self, rule: Rule) -> None:
        """Let it hold no more; one that does not is fine."""
        with self._lock:
            self._rules = [each for each in self._rules if each is not rule]

    def clear(self) -> None:
        """No faults any more."""
        with self._lock:
            self._rules = []

    def holds(self, rule: Rule) -> bool:
        """Whether a rule still holds."""
        with self._lock:
            return any(each is rule for each in self._rules)

    @contextmanager
    def during(self, rule: Rule) -> Iterator[Rule]:
        """Let a rule hold for a while."""
        yield self.add(rule)
        self.remove(rule)

    def decide(self, asked: Asked) -> Rule | None:
        """The first rule that strikes; every rule counts every request."""
        with self._lock:
            struck = [rule for rule in self._rules if rule.strikes(asked)]
        return struck[0] if struck else None


def writes(method: str = "", part: str = "", peer: str = "") -> Callable[[Asked], bool]:
    """Matches writes: of a method, with a part in their path, to a peer."""
    return lambda asked: (
        asked.writes and (method in {"", asked.method} and part in asked.path and peer in {"", asked.peer})
    )


def watches(*plurals: str) -> Callable[[Asked], bool]:
    """Matches the watches of some kinds, or of all."""
    return lambda asked: asked.watches and (not plurals or asked.plural in plurals)


def lists(*plurals: str) -> Callable[[Asked], bool]:
    """Matches the lists of some kinds, or of all."""
    return lambda asked: asked.lists and (not plurals or asked.plural in plurals)


def sample(count: int, most: int) -> list[int]:
    """The numbers 1..count when there are few; else `most` of them, evenly spread, the first and last among them."""
    if count <= most:
        return list(range(1, count + 1))
    if most == 1:
        return [1]
    return sorted({1 + round(index * (count - 1) / (most - 1)) for index in range(most)})
