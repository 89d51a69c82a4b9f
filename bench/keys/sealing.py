"""Measures what sealing costs beside raw AES-GCM, and how much memory a large object takes on its way.

Both sides start from the 32 bytes of a key and draw a fresh nonce, because every subject has another key, and end with
the same bytes; both make and drop the same buffers. They take turns in one process, so a busy machine meets both.
`python -m bench.keys.sealing` prints every figure.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from imagint_privacy.keys.fakes import FakeTransit
from imagint_privacy.keys.paths import KeyPath
from imagint_privacy.purposes import Purpose
from imagint_privacy.records import sealing, streams
from imagint_privacy.records.bindings import Binding, Keeping
from imagint_privacy.records.library import Draft, Library, StorageSettings

ROOT = Path(__file__).resolve().parents[2]
KIB, MIB = 1 << 10, 1 << 20
KEY = bytes(range(32))
PATH = KeyPath("subj-aaaaaaaaaaaaaaaaaaaaaaaaaa", "images", "2026-11")
ROW = Binding("acme", PATH, "generation", "gen-1", Keeping.ROW, datetime(2026, 11, 23, tzinfo=UTC))
OBJECT = Binding("acme", PATH, "image/png", "img-1", Keeping.OBJECT, datetime(2026, 11, 23, tzinfo=UTC))
BOUND = ROW.dated()
OBJECT_MIB = 100


def seal_open_ratios(rounds: int = 400) -> dict[str, float]:
    """Raw time over ours for sealing and opening again; 1 would mean that privacy costs nothing over the cipher."""
    small, image = os.urandom(KIB), os.urandom(MIB)
    ready = AESGCM(KEY)
    return {
        "seal_open_1kib_ratio": _ratio(partial(_raw, small), partial(_as_row, small), rounds, 50),
        "seal_open_1kib_ready_ratio": _ratio(partial(_raw_ready, ready, small), partial(_as_row, small), rounds, 50),
        "seal_open_1mib_ratio": _ratio(partial(_raw, image), partial(_as_object, image), rounds, 2),
        "seal_open_1mib_ready_ratio": _ratio(partial(_raw_ready, ready, image), partial(_as_object, image), rounds, 2),
    }


def chunk_speeds(rounds: int = 20) -> dict[str, float]:
    """MiB/s of sealing and opening 16 MiB as a stream, by the chunk's size: why it is what it is."""
    pieces = [os.urandom(4 * MIB)] * 4
    times: dict[int, list[float]] = {bits: [] for bits in (16, 17, 18, 19, 20)}
    for _ in range(rounds):
        for bits, taken in times.items():
            started = time.perf_counter()
            sealed = streams.seal_stream(_key, OBJECT, pieces, os.urandom, bits)
            assert sum(len(chunk) for chunk in streams.open_stream(_key, OBJECT, sealed)) == 16 * MIB
            taken.append(time.perf_counter() - started)
    return {f"stream_{1 << bits >> 10}kib_mib_s": 16 / statistics.median(taken) for bits, taken in times.items()}


def object_peak_mib() -> float:
    """Extra memory of a process that writes and reads an object of 100 MiB: its peak over what it held before."""
    with tempfile.TemporaryDirectory(prefix="imagint-bench-") as folder:
        command = [sys.executable, "-m", "bench.keys.sealing", folder]
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=300)
    return float(json.loads(done.stdout)["extra_mib"])


def _raw(plain: bytes) -> None:
    nonce = os.urandom(12)
    sealed = AESGCM(KEY).encrypt(nonce, plain, BOUND)
    assert len(AESGCM(KEY).decrypt(nonce, sealed, BOUND)) == len(plain)


def _raw_ready(ready: AESGCM, plain: bytes) -> None:
    nonce = os.urandom(12)
    assert len(ready.decrypt(nonce, ready.encrypt(nonce, plain, BOUND), BOUND)) == len(plain)


def _as_row(plain: bytes) -> None:
    assert len(sealing.unseal(KEY, ROW, sealing.seal(KEY, ROW, plain, os.urandom))) == len(plain)


def _as_object(plain: bytes) -> None:
    sealed = list(streams.seal_stream(_key, OBJECT, (plain,), os.urandom))
    assert len(b"".join(streams.open_stream(_key, OBJECT, sealed))) == len(plain)


def _key() -> bytes:
    return KEY


def _ratio(raw: Callable[[], None], ours: Callable[[], None], rounds: int, turns: int) -> float:
    """Let both take turns, each first every other time, and compare their medians."""
    times: dict[Callable[[], None], list[float]] = {raw: [], ours: []}
    order = [raw, ours]
    for work in order * 3:
        work()
    for _ in range(rounds):
        for work in order:
            started = time.perf_counter()
            for _ in range(turns):
                work()
            times[work].append(time.perf_counter() - started)
        order.reverse()
    return statistics.median(times[raw]) / statistics.median(times[ours])


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    raise RuntimeError(f"the system does not tell {name}")


def _pieces() -> Iterator[bytes]:
    for _ in range(OBJECT_MIB):
        yield os.urandom(MIB)


def _write_and_read(folder: Path) -> dict[str, float]:
    """In a process of its own: what a small object needs is there before; the rest is the large one's."""
    transit = FakeTransit()
    transit.admin().ensure("tenant-acme")
    storage = StorageSettings(f"sqlite:///{folder}/records.db", f"file://{folder}/objects")
    library = Library.open("acme", storage, transit.tenant_key("tenant-acme"), key_name="tenant-acme")
    ann = library.handle("ann")
    library.store(library.begin(ann, Purpose.GENERATE), [Draft("small", "images", "image/png", b"x", large=True)])
    library.read(ann, "small", Purpose.DELIVER)
    before = _status("VmRSS")
    started = time.perf_counter()
    draft = Draft("large", "images", "image/png", _pieces(), large=True)
    library.store(library.begin(ann, Purpose.GENERATE), [draft])
    written = time.perf_counter()
    size = sum(len(chunk) for chunk in library.read_stream(ann, "large", Purpose.DELIVER).chunks)
    ended = time.perf_counter()
    assert size == OBJECT_MIB * MIB
    library.close()
    speeds = {"write_mib_s": OBJECT_MIB / (written - started), "read_mib_s": OBJECT_MIB / (ended - written)}
    return {"extra_mib": (_status("VmHWM") - before) / KIB, "before_mib": before / KIB, **speeds}


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(_write_and_read(Path(sys.argv[1]))))
    else:
        print(
            json.dumps({**seal_open_ratios(), **chunk_speeds(), "object_100mib_peak_mib": object_peak_mib()}, indent=1)
        )
