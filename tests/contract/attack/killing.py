"""Run by test_kills: kill -9 a real process at every write and every call of Vault, and let the next one finish.

    python -m tests.contract.attack.killing VAULT-BINARY FOLDER erasure|retention|upload|vault|sabotage

Everything is real: Vault is a process with its files, the tenant is SQLite, a folder of objects and two tree copies.
Every process of ours is forked from this one. `points` are the moments before and after everything that leaves the
process: each transaction's commit, each object written or deleted (the nodes of the tree copies are objects), the
emptying of the log, each request to Vault. In `vault` it is Vault that is killed, at each of its requests: before it
hears it, and after it did but before it answers.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.contract.attack.aftermath import PEOPLE, Aftermath, check_bytes, check_erased, check_kept
from tests.contract.attack.points import Points, in_a_process, kill_self
from tests.contract.conftest import RealVault

from imagint_privacy.errors import KeysUnavailableError, PrivacyError
from imagint_privacy.keys.moving import MovingKey
from imagint_privacy.keys.ports import RootWrapper
from imagint_privacy.purposes import Purpose
from imagint_privacy.records import backups, copying, database, objects, purging
from imagint_privacy.records.database import Database
from imagint_privacy.records.library import Draft, Library, StorageSettings
from imagint_privacy.records.retention import RuleSet, Term
from imagint_privacy.records.retention_runs import RetentionRuns
from imagint_privacy.vault import KeyAdmin, TenantKey, VaultSession

START, LANES = "tenant-start", 2
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
IMAGE = b"\x89PNG image of "
# A killed process loses nothing that it wrote: waiting for the disk would only be slow.
objects._sync = lambda *_: None
database._PRAGMAS = (*database._PRAGMAS, "PRAGMA synchronous = OFF")  # type: ignore[assignment,misc]
# An upload of three chunks is one of three parts.
objects._PART = 1 << 20  # type: ignore[misc]


@dataclass(frozen=True)
class Scene:
    """One tenant, before something happens to it."""

    vault: RealVault
    folder: Path
    key: str

    def opened(self, wrapper: RootWrapper | None = None, **around: Any) -> Library:
        data = self.folder / "data"
        copies = tuple(f"file://{self.folder}/copy-{number}" for number in (1, 2))
        storage = StorageSettings(f"sqlite:///{data}/records.db", f"file://{data}/objects", copies)
        wrapper = wrapper or TenantKey(self.vault.session(), self.key)
        return Library.open("acme", storage, wrapper, key_name=self.key, replica="one", **around)

    def admin(self) -> KeyAdmin:
        return KeyAdmin(self.vault.session())

    def moved_from(self, start: Path) -> None:
        """Make the tenant again under a key of its own, and take a backup of it."""
        shutil.copytree(start, self.folder)
        self.admin().ensure(self.key)
        old, new = (TenantKey(self.vault.session(), name) for name in (START, self.key))
        library = self.opened(MovingKey(new, old))
        library.tree.rewrap(key_version=1)
        library.copy_tree()
        (self.folder / "old-root").write_text(library.erasures.root().ciphertext)
        backups.back_up(library, self.folder / "backup")
        library.close()


def populate(scene: Scene) -> None:
    scene.admin().ensure(START)
    for person in PEOPLE:
        # What ann and eve have is old: a run of retention is due for both.
        made = datetime.now(UTC) - timedelta(days=100 if person in {"ann", "eve"} else 0)
        library = scene.opened(now=lambda made=made: made)
        ticket = library.begin(library.handle(person), Purpose.GENERATE)
        drafts = [
            Draft(f"gen-{person}", "prompts", "generation", b"prompt of " + person.encode()),
            Draft(f"img-{person}", "images", "image/png", IMAGE + person.encode(), large=True),
        ]
        library.store(ticket, drafts)
        library.close()


# -- what is interrupted ---------------------------------------------------------------------------------------------


def erase(scene: Scene) -> None:
    """The whole erasure, by an operator who remembers nothing but what Vault and the data plane tell."""
    library, admin = scene.opened(), scene.admin()
    erasures = library.erasures
    status = erasures.fence("req", library.handle("ann"), received_at=NOW)
    state = admin.state(scene.key)
    if state is None:
        raise RuntimeError("the key is gone")
    version = state.latest_version
    if status.state == "Fenced" and version == status.key_version:
        version = admin.rotate(scene.key)
    erasures.commit("req", version)
    erasures.copies("req")
    while erasures.caches("req").state == "Waiting":
        time.sleep(0.02)
    admin.raise_minimum(scene.key, version)
    admin.trim(scene.key, version)
    erasures.purge("req")
    erasures.complete("req")
    check_bytes(scene, library)
    library.close()


def retain(scene: Scene) -> None:
    """A whole run of retention, one subject in each commit, by such an operator."""
    library, admin = scene.opened(), scene.admin()
    runs = RetentionRuns(library.context, slice_subjects=1)
    status = runs.begin("req", RuleSet({"images": Term(months=1), "prompts": Term(months=1)}))
    state = admin.state(scene.key)
    if state is None:
        raise RuntimeError("the key is gone")
    version = state.latest_version
    if status.key_version is None and version == library.erasures.root().key_version:
        version = admin.rotate(scene.key)
    while runs.commit("req", version).state == "Waiting":
        continue
    runs.copies("req")
    while runs.caches("req").state == "Waiting":
        time.sleep(0.02)
    admin.raise_minimum(scene.key, version)
    admin.trim(scene.key, version)
    runs.purge("req")
    runs.complete("req")
    check_bytes(scene, library, ("ann", "eve"))
    library.close()


def upload(scene: Scene, points: Points) -> None:
    """Keep a row and an object of three chunks together."""

    def pieces() -> Iterator[bytes]:
        for number in range(3):
            points.reach()
            yield bytes((number,)) * (1 << 20)

    library = scene.opened()
    drafts = [
        Draft("img-new", "images", "image/png", pieces(), large=True),
        Draft("gen-new", "notes", "generation", b"new prompt of ann"),
    ]
    library.store(library.begin(library.handle("ann"), Purpose.GENERATE), drafts)
    library.close()


# -- processes -------------------------------------------------------------------------------------------------------


def killed_erasure(scene: Scene, number: int) -> bool:
    """Kill it at its n-th point; the next process asks for every step again. Say whether there was such a point."""

    def first() -> None:
        Points(number, kill_self).everywhere()
        erase(scene)

    def second() -> None:
        erase(scene)
        check_erased(scene)

    lived = in_a_process(first)
    in_a_process(second)
    return not lived


def killed_retention(scene: Scene, number: int) -> bool:
    """The same for a run of retention over two people's data."""

    def first() -> None:
        Points(number, kill_self).everywhere()
        retain(scene)

    def second() -> None:
        retain(scene)
        check_erased(scene, Aftermath(("ann", "eve"), (4,), "retention"))

    lived = in_a_process(first)
    in_a_process(second)
    return not lived


def killed_upload(scene: Scene, number: int) -> bool:
    """Kill it at its n-th point: both records are there, whole, or none is; an erasure finds what is left."""

    def first() -> None:
        points = Points(number, kill_self)
        points.everywhere()
        upload(scene, points)

    def second() -> None:
        check_kept(scene)
        erase(scene)
        check_erased(scene, Aftermath(paths=(2, 4)))

    lived = in_a_process(first)
    in_a_process(second)
    return not lived


def killed_vault(scene: Scene, number: int) -> bool:
    """Kill Vault at its n-th point; the process lives on and asks again, from the first step."""
    struck = scene.folder / "struck"
    send, points = VaultSession._send, Points(number, lambda: _strike(scene.vault, struck))

    def first() -> None:
        def sending(*given: Any, **named: Any) -> Any:
            points.reach()
            answer = send(*given, **named)
            points.reach()
            if points.passed == points.at:
                raise KeysUnavailableError("the answer never came")
            return answer

        VaultSession._send = sending  # type: ignore[method-assign]
        for _ in range(500):
            try:
                erase(scene)
            except KeysUnavailableError:
                time.sleep(0.02)
                continue
            points.at = 0
            return check_erased(scene)
        raise RuntimeError("vault never came back")

    def restarted() -> None:
        if scene.vault.process.poll() is not None:
            scene.vault.restart()

    in_a_process(first, restarted)
    return struck.exists()


def _strike(vault: RealVault, struck: Path) -> None:
    struck.touch()
    os.kill(vault.process.pid, signal.SIGKILL)


def sabotaged(scene: Scene, number: int) -> bool:
    """Leave one thing of an erasure out; the checks must notice, or they would notice no attack either."""
    if number > len(SABOTAGES):
        return False
    holder, name, answer = SABOTAGES[number - 1]

    def first() -> None:
        setattr(holder, name, lambda *_: answer)
        try:
            erase(scene)
            check_erased(scene)
        except (RuntimeError, PrivacyError):
            return
        raise AssertionError(f"nobody noticed that there was no {name}")

    in_a_process(first)
    return True


SABOTAGES: tuple[tuple[Any, str, Any], ...] = (
    (KeyAdmin, "trim", None),
    (KeyAdmin, "raise_minimum", None),
    (purging, "delete_objects", None),
    (purging, "delete_rows", {"records": 0, "objects": 0}),
    (copying, "sweep_copies", ()),
    (Database, "wipe_log", True),
)
ATTACKS: dict[str, tuple[Callable[[Scene, int], bool], int]] = {
    "erasure": (killed_erasure, LANES),
    "retention": (killed_retention, LANES),
    "upload": (killed_upload, LANES),
    "vault": (killed_vault, 1),
    "sabotage": (sabotaged, 1),
}


def lane(vault: RealVault, root: Path, kind: str, begin: int) -> None:
    """Attack at every `lanes`-th point, from one on."""
    attack, step = ATTACKS[kind]
    number = begin
    while True:
        scene = Scene(vault, root / f"{number}", f"tenant-{kind}-{number}")
        in_a_process(lambda scene=scene: scene.moved_from(root / "start"))  # type: ignore[misc]
        found = attack(scene, number)
        shutil.rmtree(scene.folder)
        if not found:
            break
        number += step
    (root / f"lane-{begin}").write_text(str(len(range(begin, number, step))))


def _forked_lane(vault: RealVault, root: Path, kind: str, begin: int) -> int:
    child = os.fork()
    if not child:
        try:
            lane(vault, root, kind, begin)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return child


def main(binary: Path, root: Path, kind: str) -> None:
    vault = RealVault(binary, root)
    try:
        start = Scene(vault, root / "start", START)
        in_a_process(lambda: populate(start))
        lanes = ATTACKS[kind][1]
        children = [_forked_lane(vault, root, kind, begin) for begin in range(2, lanes + 1)]
        lane(vault, root, kind, 1)
        if [child for child in children if os.waitpid(child, 0)[1]]:
            raise SystemExit("an attack succeeded")
        counts = [int(path.read_text()) for path in root.glob("lane-*")]
        sys.stdout.write(f"{sum(counts)} times killed\n")
    finally:
        vault.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
