"""A whole life of one tenant in one folder, with everything logged at DEBUG and every file kept at every step.

Whatever is secret is a random canary: identifiers, prompts, images, the prober's nonce. `Life.secrets` names them all,
and every key that was ever open.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.contract.attack.attacking import secrets_of

from imagint_privacy.errors import PrivacyError
from imagint_privacy.purposes import Purpose
from imagint_privacy.records import backups, restore
from imagint_privacy.records.library import Draft, Library, StorageSettings
from imagint_privacy.vault import KeyAdmin, KeyProber, TenantKey

LOG = logging.getLogger("life")
KEY = "tenant-life"
PEOPLE = ("ann", "bob", "carol")


class Life:
    """One tenant, who is lived through step by step."""

    def __init__(self, vault: Any, folder: Path) -> None:
        self.vault = vault
        self.folder = folder
        self.kept = folder / "kept"
        self.steps = 0
        self.identifiers = {person: f"{secrets.token_hex(12)}@{secrets.token_hex(4)}.test" for person in PEOPLE}
        self.nonce = os.urandom(32)
        self.contents: dict[str, bytes] = {}
        self.secrets: dict[str, bytes] = {
            f"identifier of {who}": text.encode() for who, text in self.identifiers.items()
        }
        self.secrets["nonce"] = self.nonce
        self.keys: dict[str, set[bytes]] = {}
        self.admin = KeyAdmin(vault.session())
        self.admin.ensure(KEY)
        self.library = self.open()
        self.handles = {who: self.library.handle(text) for who, text in self.identifiers.items()}

    def keys_of(self, who: str, *categories: str) -> set[bytes]:
        """Return the data keys that somebody has had so far."""
        return {key for name in categories for key in self.keys[f"{self.handles[who]}/{name}"]}

    def open(self, replica: str = "one") -> Library:
        data = self.folder / "data"
        copies = tuple(f"file://{self.folder}/copy-{number}" for number in (1, 2))
        storage = StorageSettings(f"sqlite:///{data}/records.db", f"file://{data}/objects", copies)
        key = TenantKey(self.vault.session(), KEY)
        return Library.open("acme", storage, key, key_name=KEY, replica=replica, cache_seconds=0.5)

    def step(self, name: str) -> None:
        """Keep every file as it is now, and every key that is open now."""
        LOG.debug("after %s", name)
        for where, found in secrets_of(self.library.tree).items():
            self.keys.setdefault(where, set()).update(found)
        self.steps += 1
        for part in ("data", "copy-1", "copy-2"):
            shutil.copytree(self.folder / part, self.kept / f"{self.steps:02d}-{name}" / part)

    def restart(self) -> None:
        self.library.close()
        self.library = self.open()

    def back_up(self, name: str) -> None:
        backups.back_up(self.library, self.folder / "backups" / name)

    # -- what people do ------------------------------------------------------------------------------------------------

    def content(self, record_id: str, size: int) -> bytes:
        """Make content that is a canary at its beginning, in its middle and at its end."""
        canary = os.urandom(32) if size > 200 else secrets.token_urlsafe(24).encode()
        self.secrets[f"content of {record_id}"] = canary
        filling = bytes(max(0, size - 3 * len(canary)) // 2)
        self.contents[record_id] = canary + filling + canary + filling + canary
        return self.contents[record_id]

    def keep(self, who: str, life: int = 1) -> None:
        """Keep a prompt, an image given whole, and one of three chunks given piece by piece."""
        prompt, image, film = (f"{kind}-{who}-{life}" for kind in ("gen", "img", "big"))
        large = self.content(film, 2_200_000)
        drafts = [
            Draft(prompt, "prompts", "generation", self.content(prompt, 100)),
            Draft(image, "images", "image/png", self.content(image, 3000), large=True),
            Draft(film, "images", "image/png", (large[at : at + 70_000] for at in range(0, len(large), 70_000)), True),
        ]
        self.library.store(self.library.begin(self.handles[who], Purpose.GENERATE), drafts)

    def crowd(self, size: int) -> None:
        """Let many others come with one prompt each, so that the tree has branches and leaves."""
        for number in range(size):
            who = f"guest{number}"
            identifier = f"{secrets.token_hex(12)}@guest.test"
            self.identifiers[who], self.secrets[f"identifier of {who}"] = identifier, identifier.encode()
            self.handles[who] = self.library.handle(identifier)
            draft = Draft(f"gen-{who}-1", "prompts", "generation", self.content(f"gen-{who}-1", 100))
            self.library.store(self.library.begin(self.handles[who], Purpose.GENERATE), [draft])

    def read(self, who: str, life: int = 1) -> None:
        subject = self.handles[who]
        for entry in self.library.entries(subject, Purpose.DELIVER):
            if entry.record_id.endswith(f"-{who}-{life}"):
                whole = self.library.read(subject, entry.record_id, Purpose.DELIVER).content
                assert whole == self.contents[entry.record_id]
                streamed = self.library.read_stream(subject, entry.record_id, Purpose.DELIVER)
                assert b"".join(streamed.chunks) == whole

    def erase(self, who: str, request: str, categories: tuple[str, ...] = ()) -> None:
        """Every step of an erasure, as operator, data plane and prober do it, with restarts between."""
        erasures, subject = self.library.erasures, self.handles[who]
        erasures.fence(request, subject, categories, received_at=datetime.now(UTC))
        canaries = erasures.seal_canaries(request, subject, self.nonce)
        old = erasures.root()
        version = self.admin.rotate(KEY)
        self.step(f"{request}-fenced")
        self.restart()
        self.library.erasures.commit(request, version)
        self.step(f"{request}-committed")
        self.restart()
        erasures = self.library.erasures
        erasures.copies(request)
        while erasures.caches(request).state == "Waiting":
            self.library.beat()
        self.admin.raise_minimum(KEY, version)
        self.admin.trim(KEY, version)
        assert KeyProber(self.vault.session()).refused(KEY, old.ciphertext).refused
        self.provoke(*(lambda sealed=canary.sealed: erasures.open_canary(sealed) for canary in canaries.erased))
        erasures.purge(request)
        erasures.complete(request)
        self.step(f"{request}-complete")

    # -- what goes wrong -----------------------------------------------------------------------------------------------

    def provoke(self, *calls: Callable[[], object]) -> None:
        """Each of these must fail by one of our errors, which is logged with its traceback."""
        for call in calls:
            try:
                call()
            except PrivacyError:
                LOG.exception("refused")
            else:
                raise AssertionError("an error was expected")

    def misuse(self) -> None:
        """Wrong ids, people, purposes and lengths; taken ids; a source that breaks off; a person who types nothing."""
        library, ann, bob = self.library, self.handles["ann"], self.handles["bob"]
        ticket = library.begin(ann, Purpose.GENERATE)
        secret = self.content("never kept", 3000)

        def store(**draft: Any) -> Callable[[], object]:
            given: dict[str, Any] = {
                "record_id": "new",
                "category": "images",
                "kind": "image/png",
                "content": secret,
                "large": True,
            }
            return lambda: library.store(ticket, [Draft(**(given | draft))])

        def breaking() -> Iterator[bytes]:
            yield secret * 800
            raise PrivacyError("the source broke off")

        self.provoke(
            lambda: library.read(ann, "no-such-record", Purpose.DELIVER),
            lambda: library.read(ann, "gen-bob-1", Purpose.DELIVER),
            lambda: library.read(bob, "gen-bob-1", Purpose.ERASE),
            lambda: library.read(bob, "big-bob-1", Purpose.DELIVER, limit=10),
            lambda: library.begin(self.identifiers["ann"], Purpose.GENERATE),
            lambda: library.entries(self.identifiers["ann"], Purpose.ACCESS),
            lambda: library.locate(self.identifiers["ann"], Purpose.DELIVER),
            lambda: library.erasures.fence("req", self.identifiers["ann"], received_at=datetime.now(UTC)),
            lambda: library.handle("  "),
            store(record_id="img-ann-1"),
            store(record_id=self.identifiers["ann"]),
            store(category=self.identifiers["ann"]),
            store(size=17),
            store(content=iter([secret]), size=17),
            store(content=breaking()),
        )
        with suppress(ValueError):
            store(content=iter([secret]), large=False)()

    def tamper(self) -> None:
        """Alter a row, an object and a node for a moment; what is opened meanwhile is refused."""
        bob, database = self.handles["bob"], self.folder / "data" / "records.db"
        with closing(sqlite3.connect(database, isolation_level=None)) as raw:
            for table, column, where in (
                ("records", "sealed", "record_id = 'gen-bob-1'"),
                ("tree_nodes", "sealed", "1"),
            ):
                rows = raw.execute(f"SELECT rowid, {column} FROM {table} WHERE {where}").fetchall()  # noqa: S608
                change = f"UPDATE {table} SET {column} = ? WHERE rowid = ?"  # noqa: S608
                raw.executemany(change, [(sealed[:-1] + bytes((sealed[-1] ^ 1,)), row) for row, sealed in rows])
                self.library.tree.drop()
                self.provoke(lambda: self.library.read(bob, "gen-bob-1", Purpose.DELIVER))
                raw.executemany(change, [(sealed, row) for row, sealed in rows])
        path = next((self.folder / "data" / "objects" / bob).rglob("img-bob-1"))
        sealed = path.read_bytes()
        path.write_bytes(sealed[:-9])
        self.provoke(lambda: self.library.read(bob, "img-bob-1", Purpose.DELIVER))
        path.write_bytes(sealed)

    def lose_vault(self) -> None:
        """Seal Vault while the caches run out."""
        self.vault.seal()
        self.library.tree.drop()
        bob = self.handles["bob"]
        self.provoke(lambda: self.library.read(bob, "gen-bob-1", Purpose.DELIVER), lambda: self.library.handle("x"))
        self.vault.unseal()

    def restored(self, backup: str) -> dict[str, str]:
        """Try every record of a restored backup."""
        lines = restore.check(self.folder / "backups" / backup, self.library).lines
        return {line.record_id: line.outcome for line in lines}
