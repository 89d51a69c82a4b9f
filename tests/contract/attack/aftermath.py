"""What must hold after an interrupted erasure was finished; every error here means that an attack succeeded."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import Any

from imagint_privacy.errors import KeyDestroyedError, RecordMissingError
from imagint_privacy.keys.paths import KeyPath, period_of
from imagint_privacy.purposes import Purpose
from imagint_privacy.records import restore
from imagint_privacy.records.library import Library
from imagint_privacy.vault import KeyProber, TenantKey

CHUNK = 1 << 20


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


def check_erased(scene: Any, paths: Collection[int] = (2,)) -> None:
    """Everything of ann, so many paths, is gone by every way; everything of the others is as it was."""
    library = scene.opened()
    try:
        ann = library.handle("ann")
        _check_ledger(library, ann, paths)
        _check_keys(scene, library, ann)
        _check_backup(scene, library, ann)
        _check_survivors(library)
        check_bytes(scene, library)
    finally:
        library.close()


def _check_ledger(library: Library, ann: str, paths: Collection[int]) -> None:
    status = library.erasures.status("req")
    require(status.state == "Complete", f"the erasure is {status.state}")
    require(status.forgotten_paths in paths, f"{status.forgotten_paths} paths were forgotten")
    require(library.erasures.holdings(ann).paths == 0, "paths are left")
    require(refuses(RecordMissingError, library.read, ann, "gen-ann", Purpose.ACCESS), "a row is left")


def _check_keys(scene: Any, library: Library, ann: str) -> None:
    """Neither the current tree nor the old root leads to a key of hers."""
    period = period_of(library.context.now())
    for category in ("images", "prompts"):
        require(refuses(KeyDestroyedError, library.tree.lookup, KeyPath(ann, category, period)), "a key is left")
    old = (scene.folder / "old-root").read_text()
    refusal = KeyProber(scene.vault.session()).refused(scene.key, old)
    require((refusal.refused, refusal.reason) == (True, "too-old"), f"the old root is {refusal.reason}")
    require(refuses(KeyDestroyedError, TenantKey(scene.vault.session(), scene.key).decrypt, old), "it is unwrapped")
    state = scene.admin().state(scene.key)
    minimums = (state.min_decryption_version, state.min_encryption_version, state.min_available_version)
    require(minimums == (2, 2, 2) and state.latest_version == 2, f"rotated or trimmed twice: {minimums}")


def _check_backup(scene: Any, library: Library, ann: str) -> None:
    lines = restore.check(scene.folder / "backup", library).lines
    wrong = [line for line in lines if line.outcome != ("KeyDestroyed" if line.subject == ann else "Opens")]
    require(not wrong and len(lines) == 6, "a restored backup opens too much or too little")
    require(restore.old_root(scene.folder / "backup", TenantKey(scene.vault.session(), scene.key)).refused, "old root")


def _check_survivors(library: Library) -> None:
    for person in ("bob", "carol"):
        subject = library.handle(person)
        row = library.read(subject, f"gen-{person}", Purpose.DELIVER).content
        image = library.read(subject, f"img-{person}", Purpose.DELIVER).content
        require(row == b"prompt of " + person.encode(), "a survivor's row was lost")
        require(image == b"\x89PNG image of " + person.encode(), "a survivor's object was lost")


def check_bytes(scene: Any, library: Library) -> None:
    """No row, object or node of the old tree is left; each copy holds the current tree and nothing else."""
    ann = library.handle("ann")
    with closing(sqlite3.connect(scene.folder / "data" / "records.db")) as raw:
        for table in ("records", "objects", "fences"):
            left = raw.execute(f"SELECT count(*) FROM {table} WHERE subject = ?", (ann,)).fetchone()[0]  # noqa: S608
            require(left == 0, f"{left} in {table}")
        nodes = {digest.hex() for (digest,) in raw.execute("SELECT digest FROM tree_nodes")}
    require(not library.context.objects.list(ann) + library.context.objects.unfinished(), "an object is left")
    for copy in library.context.copies:
        kept = {name.split("/")[2] for name in copy.list("nodes")}
        require(kept == nodes, f"a copy holds {len(kept - nodes)} nodes too many and lacks {len(nodes - kept)}")
        require(len(copy.list("roots")) == 1, "a copy holds an old root")
    everything = b"\0".join(path.read_bytes() for path in _files(scene.folder))
    require(not [1 for piece in _sealed_before(scene.folder / "backup", ann) if piece in everything], "bytes are left")


def _files(folder: Path) -> list[Path]:
    """Every file of the tenant, but for its backup and for what the attacker kept."""
    found = (path for part in ("data", "copy-1", "copy-2") for path in (folder / part).rglob("*"))
    return [path for path in found if path.is_file()]


def _sealed_before(backup: Path, ann: str) -> list[bytes]:
    """Pieces of what was sealed for ann, and of the root that led to it, as the backup kept them."""
    with closing(sqlite3.connect(backup / "records.db")) as raw:
        rows = [sealed for (sealed,) in raw.execute("SELECT sealed FROM records WHERE subject = ?", (ann,)) if sealed]
        (root,) = raw.execute("SELECT sealed FROM tree_nodes JOIN tree_root USING (digest)").fetchone()
    stored = [path.read_bytes()[:64] for path in (backup / "objects" / ann).rglob("*") if path.is_file()]
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
        _check_survivors(library)
    finally:
        library.close()
