"""An attacker who kept every file of every moment and may ask the real Vault anything, as root.

From each root ever seen that Vault still unwraps, or that a key it gives away opens, it goes down by every key on every
node; then it looks which sealed rows and objects its data keys open. What it cannot reach is gone.
"""

from __future__ import annotations

import base64
import json
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tests.contract.attack.hunting import files

from imagint_privacy.errors import KeyDestroyedError, NodeTamperedError, PrivacyError
from imagint_privacy.keys import branches, leaves, seals
from imagint_privacy.keys.places import ROOT, Place, associated_data
from imagint_privacy.records.bindings import key_id
from imagint_privacy.vault import TenantKey, VaultSession

TENANT = "acme"


@dataclass(slots=True)
class Loot:
    """What the attacker has: sealed nodes, roots by generation, and sealed records."""

    nodes: set[bytes] = field(default_factory=set)
    roots: set[tuple[int, str, bytes]] = field(default_factory=set)
    records: set[bytes] = field(default_factory=set)

    def gather(self, folders: Iterable[Path]) -> Loot:
        """Take everything sealed out of databases, tree copies, objects and backups."""
        for path in files(folders):
            if path.suffix == ".db":
                self._database(path)
            elif path.parent.name == "roots":
                document = json.loads(path.read_bytes())
                self.roots.add((document["generation"], document["wrapped"], bytes.fromhex(document["digest"])))
            elif path.parent.parent.name == "nodes":
                self.nodes.add(path.read_bytes())
            elif path.parts[-4].startswith("subj-"):
                self.records.add(path.read_bytes())
        return self

    def _database(self, path: Path) -> None:
        # On a copy: whoever opens a database may empty its log, which is still to be searched.
        with TemporaryDirectory() as folder:
            for part in path.parent.glob(f"{path.name}*"):
                shutil.copy(part, folder)
            self._rows(Path(folder) / path.name)

    def _rows(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as raw:
            self.nodes |= {sealed for (sealed,) in raw.execute("SELECT sealed FROM tree_nodes")}
            self.roots |= set(raw.execute("SELECT generation, wrapped, digest FROM tree_root"))
            rows = raw.execute("SELECT sealed FROM records WHERE sealed IS NOT NULL")
            self.records |= {sealed for (sealed,) in rows}


class Attacker:
    """Opens whatever can be opened."""

    def __init__(self, session: VaultSession, key_name: str, loot: Loot) -> None:
        self._session, self._name, self.loot = session, key_name, loot
        self._by_digest = {seals.digest_of(sealed): sealed for sealed in loot.nodes}
        self.data_keys: set[bytes] = set()
        self.node_keys: set[bytes] = set()
        self.root_keys: set[bytes] = set()

    def attack(self) -> Attacker:
        """Ask Vault to give old versions back, then to unwrap every root, and go down from there."""
        exported = self._exported()
        for _, wrapped, _ in self.loot.roots:
            with suppress(KeyDestroyedError):
                self._unwrapped(TenantKey(self._session, self._name).decrypt(wrapped))
            body = base64.b64decode(wrapped.split(":")[2])
            for key in exported:
                with suppress(InvalidTag):
                    self._unwrapped(AESGCM(key).decrypt(body[:12], body[12:], None))
        for generation, _, digest in self.loot.roots:
            bound = associated_data(TENANT, ROOT, generation)
            for key in self.root_keys:
                self._descend(key, bound, b"", [self._by_digest[digest]] if digest in self._by_digest else [])
        return self

    def _unwrapped(self, envelope: bytes) -> None:
        self.root_keys.add(bytes(seals.open_root_envelope(TENANT, envelope)))

    def _exported(self) -> set[bytes]:
        """Try to bring old versions back, make the key exportable, and take every version that Vault gives away."""
        keys = f"transit/keys/{self._name}"
        tries: tuple[tuple[str, dict[str, Any]], ...] = (
            (f"{keys}/config", {"min_decryption_version": 1, "min_encryption_version": 0}),
            (f"{keys}/config", {"min_decryption_version": 1}),
            (f"{keys}/trim", {"min_available_version": 1}),
            (f"{keys}/config", {"exportable": True, "allow_plaintext_backup": True}),
        )
        for path, body in tries:
            with suppress(PrivacyError):
                self._session.call("post", path, body)
        given = self._session.call("get", f"transit/export/encryption-key/{self._name}")["keys"].values()
        backup = json.loads(base64.b64decode(self._session.call("get", f"transit/backup/{self._name}")["backup"]))
        held = (*backup["policy"]["keys"].values(), *backup["archived_keys"]["keys"])
        taken = (*given, *(version["key"] for version in held if version.get("key")))
        return {base64.b64decode(key) for key in taken}

    def _descend(self, key: bytes, bound: bytes, prefix: bytes, nodes: Iterable[bytes]) -> None:
        for sealed in nodes:
            try:
                node = seals.open_node(key, sealed, bound)
            except NodeTamperedError:
                continue
            if not branches.is_branch(node):
                runs = leaves.decode(node).subjects.values()
                self.data_keys |= {piece[3:] for run in runs for piece in leaves.pieces(run)}
                continue
            for start, bits, ref in branches.decode(node):
                if ref.key not in self.node_keys:
                    self.node_keys.add(ref.key)
                    below = associated_data(TENANT, Place(prefix, start, bits))
                    # By structure, whatever the digest says: every node is tried.
                    self._descend(ref.key, below, prefix + bytes((start,)), self.loot.nodes)

    def opened(self) -> Iterator[bytes]:
        """Give the sealed records whose key was found; the key's id stands in each."""
        ids = {key_id(key) for key in self.data_keys}
        return (sealed for sealed in self.loot.records if sealed[1:9] in ids)


def secrets_of(tree: Any) -> dict[str, set[bytes]]:
    """Return every key of an open tree: data keys by `subject/category`, those of nodes and root by these words."""
    opened = tree._view.refresh()
    found: dict[str, set[bytes]] = {"root": {bytes(opened.key)}, "nodes": set()}

    def walk(raw: bytearray, prefix: bytes) -> None:
        for start, bits, ref in branches.decode(raw):
            found["nodes"].add(ref.key)
            child = tree._view.source.load([(ref, Place(prefix, start, bits))])[ref.digest]
            if branches.is_branch(child):
                walk(child, prefix + bytes((start,)))
                continue
            for subject in leaves.subject_texts(child):
                for path in tree.paths(subject):
                    found.setdefault(f"{subject}/{path.category}", set()).add(tree.lookup(path))

    walk(opened.root, b"")
    return found
