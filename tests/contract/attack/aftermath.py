"""What must hold after an interrupted erasure was finished; every error here means that an attack succeeded."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imagint_privacy.errors import KeyDestroyedError, RecordMissingError
from imagint_privacy.keys.paths import KeyPath
from imagint_privacy.purposes import Purpose
from imagint_privacy.records import restore
from imagint_privacy.records.library import Library
from imagint_privacy.vault import KeyProber, TenantKey

CHUNK = 1 << 20
PEOPLE = ("ann", "bob", "carol", "eve")


def require(condition: object, otherwise: str) -> None:
    """Return if something holds.

    Raises:
        RuntimeError: it does not.
    """
    if not condition:
        raise RuntimeError(otherwise)


def refuses(error: type[Exception], call: Any, *given: Any) -> bool:
    """Say whether a call raises this error."""
    try:
        call(*given)
    except error:
        return True
    return False


@dataclass(frozen=True)
class Aftermath:
    """What was carried out: whose data is gone, and how many paths the book of it says were forgotten."""

    gone: tuple[str, ...] = ("ann",)
    paths: Collection[int] = (2,)
    book: str = "erasures"


def check_erased(scene: Any, wanted: Aftermath = Aftermath()) -> None:
    """Everything of the gone is gone by every way; everything of the others is as it was."""
    library = scene.opened()
    try:
        _check_book(library, wanted)
        for person in wanted.gone:
            _check_keys(scene, library, library.handle(person))
        _check_vault(scene)
        _check_backup(scene, library, {library.handle(person) for person in wanted.gone})
        _check_survivors(library, wanted.gone)
        check_bytes(scene, library, wanted.gone)
    finally:
        library.close()


def _check_book(library: Library, wanted: Aftermath) -> None:
    status = getattr(library, wanted.book).status("req")
    require(status.state == "Complete", f"it is {status.state}")
    require(status.forgotten_paths in wanted.paths, f"{status.forgotten_paths} paths were forgotten")
    for person in wanted.gone:
        subject = library.handle(person)
        require(library.erasures.holdings(subject).paths == 0, "paths are left")
        require(refuses(RecordMissingError, library.read, subject, f"gen-{person}", Purpose.ACCESS), "a row is left")


def _check_keys(scene: Any, library: Library, subject: str) -> None:
    """The current tree leads to no key of theirs."""
    with closing(sqlite3.connect(scene.folder / "backup" / "records.db")) as raw:
        paths = raw.execute("SELECT category, period FROM records WHERE subject = ?", (subject,)).fetchall()
    require(len(paths) == 2, "the backup lacks somebody")
    for category, period in paths:
        require(refuses(KeyDestroyedError, library.tree.lookup, KeyPath(subject, category, period)), "a key is left")


def _check_vault(scene: Any) -> None:
    """The old root does not either, and the key was rotated and trimmed once."""
    old = (scene.folder / "old-root").read_text()
    refusal = KeyProber(scene.vault.session()).refused(scene.key, old)
    require((refusal.refused, refusal.reason) == (True, "too-old"), f"the old root is {refusal.reason}")
    require(refuses(KeyDestroyedError, TenantKey(scene.vault.session(), scene.key).decrypt, old), "it is unwrapped")
    state = scene.admin().state(scene.key)
    minimums = (state.min_decryption_version, state.min_encryption_version, state.min_available_version)
    require(minimums == (2, 2, 2) and state.latest_version == 2, f"rotated or trimmed twice: {minimums}")


def _check_backup(scene: Any, library: Library, gone: set[str]) -> None:
    lines = restore.check(scene.folder / "backup", library).lines
    wrong = [line for line in lines if line.outcome != ("KeyDestroyed" if line.subject in gone else "Opens")]
    require(not wrong and len(lines) == 2 * len(PEOPLE), "a restored backup opens too much or too little")
    require(restore.old_root(scene.folder / "backup", TenantKey(scene.vault.session(), scene.key)).refused, "old root")


def _check_survivors(library: Library, gone: Collection[str]) -> None:
    for person in (person for person in PEOPLE if person not in gone):
        subject = library.handle(person)
        row = library.read(subject, f"gen-{person}", Purpose.DELIVER).content
        image = library.read(subject, f"img-{person}", Purpose.DELIVER).content
        require(row == b"prompt of " + person.encode(), "a survivor's row was lost")
        require(image == b"\x89PNG image of " + person.encode(), "a survivor's object was lost")


def check_bytes(scene: Any, library: Library, gone: Collection[str] = ("ann",)) -> None:
    """No row, object or node of the old tree is left; each copy holds the current tree and nothing else."""
    handles = [library.handle(person) for person in gone]
    with closing(sqlite3.connect(scene.folder / "data" / "records.db")) as raw:
        for subject, table in itertools.product(handles, ("records", "objects", "fences")):
            left = raw.execute(f"SELECT count(*) FROM {table} WHERE subject = ?", (subject,)).fetchone()[0]  # noqa: S608
            require(left == 0, f"{left} in {table}")
        nodes = {digest.hex() for (digest,) in raw.execute("SELECT digest FROM tree_nodes")}
    objects = library.context.objects
    require(not objects.unfinished() + [name for name in objects.list() if name.split("/")[0] in handles], "an object")
    for copy in library.context.copies:
        kept = {name.split("/")[2] for name in copy.list("nodes")}
        require(kept == nodes, f"a copy holds {len(kept - nodes)} nodes too many and lacks {len(nodes - kept)}")
        require(len(copy.list("roots")) == 1, "a copy holds an old root")
    everything = b"\0".join(path.read_bytes() for path in _files(scene.folder))
    hunted = [piece for subject in handles for piece in _sealed_before(scene.folder / "backup", subject)]
    require(not [piece for piece in hunted if piece in everything], "bytes are left")


def _files(folder: Path) -> list[Path]:
    """Every file of the tenant, but for its backup and for what the attacker kept."""
    found = (path for part in ("data", "copy-1", "copy-2") for path in (folder / part).rglob("*"))
    return [path for path in found if path.is_file()]


def _sealed_before(backup: Path, subject: str) -> list[bytes]:
    """Pieces of what was sealed for somebody, and of the root that led to it, as the backup kept them."""
    with closing(sqlite3.connect(backup / "records.db")) as raw:
        rows = [
            sealed for (sealed,) in raw.execute("SELECT sealed FROM records WHERE subject = ?", (subject,)) if sealed
        ]
        (root,) = raw.execute("SELECT sealed FROM tree_nodes JOIN tree_root USING (digest)").fetchone()
    stored = [path.read_bytes()[:64] for path in (backup / "objects" / subject).rglob("*") if path.is_file()]
    require(rows and stored, "the hunt has nothing to look for")
    return [*rows, *stored, root[:64]]


def check_kept(scene: Any) -> None:
    """An interrupted upload is there whole, with the row beside it, or not there at all."""
    library = scene.opened()
    try:
        ann = library.handle("ann")
        found = {entry.record_id for entry in library.entries(ann, Purpose.ACCESS)}
        require({"img-new", "gen-new"} <= found or not {"img-new", "gen-new"} & found, "half of it is there")
        if "img-new" in found:
            content = library.read(ann, "img-new", Purpose.DELIVER).content
            require(content == b"".join(bytes((number,)) * CHUNK for number in range(3)), "an object is not whole")
            row = library.read(ann, "gen-new", Purpose.DELIVER).content
            require(row == b"new prompt of ann", "a row is not whole")
        _check_survivors(library, ("ann",))
    finally:
        library.close()
