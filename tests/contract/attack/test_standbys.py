"""Two traps more: caches without a bound, and answers that are late or not Vault's own; see `test_traps`."""

from __future__ import annotations

import ast
import itertools
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from tests.contract.conftest import RealVault

from imagint_privacy.errors import (
    KeyDestroyedError,
    KeyMissingError,
    KeysUnavailableError,
    PrivacyError,
    StaleTreeError,
)
from imagint_privacy.keys.fakes import FakeTransit, MemoryTreeStore
from imagint_privacy.keys.paths import ALWAYS, KeyPath
from imagint_privacy.keys.tree import KeyTree, TreeOptions
from imagint_privacy.vault import KeyAdmin, KeyProber, TenantKey, VaultSession

ROOT = Path(__file__).parents[3]
_numbers = itertools.count(1)


@pytest.fixture
def name() -> str:
    return f"tenant-standby-{next(_numbers)}"


# -- unbounded caches ------------------------------------------------------------------------------------------------


def test_every_cache_of_the_domain_has_a_bound() -> None:
    unbounded = []
    for path in sorted((ROOT / "privacy").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            for mark in getattr(node, "decorator_list", ()):
                text = ast.unparse(mark)
                if "cache" in text and ("maxsize=" not in text or "maxsize=None" in text):
                    unbounded.append(f"{path.name}: {text}")
    assert not unbounded
    options = TreeOptions()
    assert 0 < options.cache_seconds <= 60
    assert 0 < options.cache_bytes <= 1 << 30
    assert 0 < options.cache_keys <= 1 << 20


def test_a_cache_that_is_never_refreshed_opens_nothing_when_its_age_is_over() -> None:
    """The age is the published bound: a warm key, a cold node and the root all end with it, Vault or no Vault."""
    transit, store, clock = FakeTransit(), MemoryTreeStore(), {"now": 0.0}
    transit.admin().ensure("k")
    path = KeyPath("system", "index", ALWAYS)
    tree: KeyTree[None] = KeyTree.open(
        "acme", store, transit.tenant_key("k"), TreeOptions(cache_seconds=5.0, clock=lambda: clock["now"])
    )
    tree.ensure([path])
    transit.unreachable = True
    clock["now"] = 4.999
    assert tree.lookup(path)
    clock["now"] = 5.0
    with pytest.raises(KeysUnavailableError):
        tree.lookup(path)
    assert (len(tree._view.keys), len(tree._view.nodes), tree._view.open) == (0, 0, None)


# -- stale standby ---------------------------------------------------------------------------------------------------


def test_a_standby_that_answers_with_an_older_tree_is_stale_and_nothing_stays_open(
    real_vault: RealVault, name: str
) -> None:
    real_vault.admin().ensure(name)
    store = MemoryTreeStore()
    paths = [KeyPath("system", category, ALWAYS) for category in ("one", "two")]
    tree: KeyTree[None] = KeyTree.open("acme", store, real_vault.tenant_key(name))
    key = tree.ensure(paths[:1])[paths[0]]
    late, nodes = store.current, dict(store.kept)
    tree.ensure(paths[1:])
    newest, all_nodes = store.current, dict(store.kept)
    store.current, store.kept = late, nodes
    for ask in (tree.refresh, lambda: tree.paths("system"), lambda: tree.rewrap(key_version=1)):
        with pytest.raises(StaleTreeError):
            ask()
    assert len(tree._view.keys) == 0
    store.current, store.kept = newest, all_nodes
    assert tree.lookup(paths[0]) == key


class _Impostor(BaseHTTPRequestHandler):
    """Something that is not Vault, or not the right part of it, at Vault's address."""

    answer: ClassVar[tuple[int, str, str]] = (200, "", "")

    def do_POST(self) -> None:
        status, kind, text = self.answer
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Location", "http://127.0.0.1:9/")
        self.end_headers()
        self.wfile.write(text.encode())

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *_args: object) -> None:
        return


@pytest.fixture
def impostor() -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), _Impostor)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


JSON, HTML = "application/json", "text/html"
PAGE = "<html>this version is too old; key not found; unable to decrypt; disallowed by policy</html>"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param((404, HTML, PAGE), id="a proxy's page for what it does not know"),
        pytest.param((400, HTML, PAGE), id="a proxy's page that has Vault's words"),
        pytest.param((403, HTML, PAGE), id="a firewall's page"),
        pytest.param((502, HTML, PAGE), id="a proxy without Vault behind it"),
        pytest.param((200, HTML, PAGE), id="a captive portal"),
        pytest.param((307, HTML, ""), id="a standby that points to somebody else"),
        pytest.param((429, JSON, '{"errors": []}'), id="a standby that does not answer"),
        pytest.param((472, JSON, '{"errors": []}'), id="a replica for disasters"),
        pytest.param((503, JSON, '{"errors": ["Vault is sealed"]}'), id="a sealed Vault"),
        pytest.param((404, JSON, '{"errors": ["no handler for route \\"x\\""]}'), id="a Vault without this engine"),
        pytest.param((400, JSON, '{"errors": ["missing client token"]}'), id="a Vault that wants something else"),
    ],
)
def test_a_refusal_that_is_not_vaults_own_is_no_refusal(impostor: HTTPServer, answer: tuple[int, str, str]) -> None:
    _Impostor.answer = answer
    session = VaultSession.with_token(f"http://127.0.0.1:{impostor.server_port}", "token")
    try:
        refused = KeyProber(session).refused("tenant-a", "vault:v1:eA==").refused
    except PrivacyError as error:
        refused = isinstance(error, KeyDestroyedError | KeyMissingError)
    assert not refused
    with pytest.raises(PrivacyError) as raised:
        TenantKey(session, "tenant-a").decrypt("vault:v1:eA==")
    assert not isinstance(raised.value, KeyDestroyedError | KeyMissingError)
    with pytest.raises(PrivacyError):
        KeyAdmin(session).state("tenant-a")


def test_an_engine_at_another_path_is_not_taken_for_a_destroyed_key(real_vault: RealVault, name: str) -> None:
    real_vault.admin().ensure(name)
    ciphertext = real_vault.tenant_key(name).encrypt(b"root")
    with pytest.raises(KeysUnavailableError):
        KeyProber(real_vault.session(), mount="elsewhere").refused(name, ciphertext)
    with pytest.raises(KeysUnavailableError):
        KeyProber(real_vault.session(), mount="elsewhere").state(name)
