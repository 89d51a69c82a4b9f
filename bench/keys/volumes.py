"""Forgetting somebody who has one record of 1 KiB, beside somebody of whom 10,000 records with 1 GiB are held.

What is compared is the commit that makes the data unreadable. Deleting the bytes as well takes as long as there are
bytes, with any method; that step is timed apart and published beside it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from bench.keys import populations
from bench.keys.findings import Findings, Say, Took, median, percentile, settle, timed
from bench.keys.plans import Plan
from bench.keys.trees import KEPT_SECONDS, TENANT

from imagint_privacy.errors import StorageUnavailableError
from imagint_privacy.keys.fakes import FakeTransit
from imagint_privacy.keys.paths import Prefix
from imagint_privacy.purposes import Purpose
from imagint_privacy.records.library import Draft, Library, StorageSettings
from imagint_privacy.records.results import Waiting

SMALL, BIG, OTHERS = 0, 1, range(2, 502)
_GROUP_BYTES = 16 << 20
_KIB = 1 << 10


def measure(plan: Plan, folder: Path, found: Findings, say: Say) -> None:
    """Fill a library for two, forget each again and again, then erase each whole."""
    with _library(folder / "volumes") as library:
        _fill(library, SMALL, 1, _KIB, say)
        _fill(library, BIG, plan.big_records, plan.big_bytes // plan.big_records, say)
        library.tree.ensure(list(populations.paths(OTHERS)))
        times = _forget_in_turns(plan, library, say)
        purges = {who: _erase(library, who, say) for who in (SMALL, BIG)}
    small, big = median(times[SMALL]), median(times[BIG])
    found.set("forget_one_big_over_small_data", big.wall / small.wall)
    found.set("forget_one_big_over_small_data_cpu", big.cpu / small.cpu)
    found.set("purge_small_s", purges[SMALL])
    found.set("purge_big_s", purges[BIG])
    found.raw["volumes"] = {
        "records": plan.big_records,
        "bytes": plan.big_bytes,
        "small_ms": small.wall * 1e3,
        "big_ms": big.wall * 1e3,
        "big_p90_ms": percentile([took.wall for took in times[BIG]], 0.9) * 1e3,
        "purge_s": {"small": purges[SMALL], "big": purges[BIG]},
    }


@contextmanager
def _library(folder: Path) -> Iterator[Library]:
    transit = FakeTransit()
    transit.admin().ensure(TENANT)
    storage = StorageSettings(f"sqlite:///{folder}/records.db", f"file://{folder}/objects")
    library = Library.open(
        TENANT, storage, transit.tenant_key(TENANT), key_name=TENANT, cache_seconds=KEPT_SECONDS, replica="bench"
    )
    try:
        yield library
    finally:
        library.close()


def _fill(library: Library, who: int, records: int, size: int, say: Say) -> None:
    subject = populations.subject(who)
    group = max(1, min(1_000, _GROUP_BYTES // size))
    content = os.urandom(size)
    ticket = library.begin(subject, Purpose.GENERATE)
    for numbers in populations.groups(range(records), group):
        say(f"storing {numbers[-1] + 1:,} of {records:,} records of one subject")
        drafts = [Draft(f"r-{who}-{number}", "images", "image/png", content) for number in numbers]
        library.store(ticket, drafts)


def _forget_in_turns(plan: Plan, library: Library, say: Say) -> dict[int, list[Took]]:
    """Forget one, then the other; the key comes back in between, the rows are there all the time."""
    settle()
    times: dict[int, list[Took]] = {SMALL: [], BIG: []}
    for number in range(plan.singles):
        say(f"forgetting little and much in turns: {number + 1} of {plan.singles}")
        for who in (SMALL, BIG) if number % 2 else (BIG, SMALL):
            library.tree.ensure(list(populations.paths([who])))
            prefix = Prefix(populations.subject(who))
            times[who].append(timed(_forgetting(library, prefix)))
    return times


def _forgetting(library: Library, prefix: Prefix) -> Callable[[], object]:
    return lambda: library.tree.forget([prefix], key_version=1)


def _erase(library: Library, who: int, say: Say) -> float:
    """Carry an erasure out as the product does; return the seconds that deleting the bytes took.

    Raises:
        StorageUnavailableError: the caches did not follow.
    """
    say("deleting the bytes as well")
    erasures, request = library.erasures, f"purge-{who}"
    erasures.fence(request, populations.subject(who), received_at=datetime.now(UTC))
    erasures.commit(request, 1)
    erasures.copies(request)
    library.beat()
    if isinstance(erasures.caches(request), Waiting):
        raise StorageUnavailableError("the only replica did not follow")
    return timed(lambda: erasures.purge(request)).wall
