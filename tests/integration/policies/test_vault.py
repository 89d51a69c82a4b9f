"""Vault's policies on a real Vault: every call that matters, by every identity, allowed or forbidden.

The table is the whole of it: a call that is not listed as allowed must be refused with 403, by Vault itself.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from imagint_dev import assets
from imagint_dev.errors import RefusedError
from imagint_dev.vaults import ROLES, VaultServer

pytestmark = pytest.mark.stack
SYSTEM, DATAPLANE = "imagint-system", "imagint-dataplane"
PLAIN = base64.b64encode(b"a root").decode()
OWN, NEIGHBOUR = "tenant-guarded", "tenant-neighbour"
NEW = {"type": "aes256-gcm96", "exportable": False, "allow_plaintext_backup": False}
CONTROLLER, SHREDDER, PROBER, PLANE = "controller", "shredder", "prober", "dataplane"
EVERYBODY = (CONTROLLER, SHREDDER, PROBER, PLANE)


@dataclass(frozen=True)
class Call:
    """One call; `{key}` is the caller's own tenant's key, `{other}` the neighbour's."""

    name: str
    method: str
    path: str
    body: dict[str, Any] | None
    allowed: frozenset[str]


def call(name: str, request: str, body: dict[str, Any] | None = None, *allowed: str) -> Call:
    method, path = request.split(" ", 1)
    return Call(name, method, path, body, frozenset(allowed))


CALLS = (
    call("make a key", "POST transit/keys/{fresh}", NEW, CONTROLLER),
    call("make a key that is there", "POST transit/keys/{key}", NEW, CONTROLLER),
    call("make an exportable key", "POST transit/keys/{fresh}", NEW | {"exportable": True}),
    call("make a key with plaintext backups", "POST transit/keys/{fresh}", NEW | {"allow_plaintext_backup": True}),
    call("make a derived key", "POST transit/keys/{fresh}", NEW | {"derived": True}),
    call("make a convergent key", "POST transit/keys/{fresh}", NEW | {"convergent_encryption": True, "derived": True}),
    call("make a key of another type", "POST transit/keys/{fresh}", {"type": "rsa-2048"}),
    call("make a key that rotates by itself", "POST transit/keys/{fresh}", NEW | {"auto_rotate_period": "24h"}),
    call("look at the key", "GET transit/keys/{key}", None, CONTROLLER, SHREDDER, PROBER, PLANE),
    call("look at the neighbour's key", "GET transit/keys/{other}", None, CONTROLLER, SHREDDER, PROBER),
    call("list keys", "LIST transit/keys"),
    call("rotate", "POST transit/keys/{key}/rotate", {}, SHREDDER),
    call("rotate to a key of one's choice", "POST transit/keys/{key}/rotate", {"managed_key_name": "x"}),
    call("raise the minimums", "POST transit/keys/{key}/config", {"min_decryption_version": 1}, SHREDDER),
    call("allow deletion", "POST transit/keys/{key}/config", {"deletion_allowed": False}, SHREDDER),
    call("make exportable later", "POST transit/keys/{key}/config", {"exportable": True}),
    call("allow plaintext backups later", "POST transit/keys/{key}/config", {"allow_plaintext_backup": True}),
    call("let it rotate by itself", "POST transit/keys/{key}/config", {"auto_rotate_period": "24h"}),
    call("trim", "POST transit/keys/{key}/trim", {"min_available_version": 1}, SHREDDER),
    call("delete", "DELETE transit/keys/{doomed}", None, SHREDDER),
    call("delete for a while", "DELETE transit/keys/{key}/soft-delete"),
    call("encrypt", "POST transit/encrypt/{key}", {"plaintext": PLAIN}, PLANE),
    call("encrypt for the neighbour", "POST transit/encrypt/{other}", {"plaintext": PLAIN}),
    call("encrypt under a key that is not there", "POST transit/encrypt/{fresh}", {"plaintext": PLAIN}),
    call("decrypt", "POST transit/decrypt/{key}", {"ciphertext": "{sealed}"}, PLANE),
    call("decrypt the neighbour's", "POST transit/decrypt/{other}", {"ciphertext": "{sealed}"}),
    call("rewrap", "POST transit/rewrap/{key}", {"ciphertext": "{sealed}"}, PROBER),
    call("a data key in the clear", "POST transit/datakey/plaintext/{key}", {}),
    call("a wrapped data key", "POST transit/datakey/wrapped/{key}", {}),
    call("an HMAC", "POST transit/hmac/{key}", {"input": PLAIN}),
    call("sign with the tenant's key", "POST transit/sign/{key}", {"input": PLAIN}),
    call("export", "GET transit/export/encryption-key/{key}"),
    call("back up", "GET transit/backup/{key}"),
    call("restore", "POST transit/restore/{fresh}", {"backup": PLAIN}),
    call("import a key", "POST transit/keys/{fresh}/import", {"ciphertext": PLAIN}),
    call("see whether upsert is off", "GET transit/config/keys", None, CONTROLLER),
    call("switch upsert on", "POST transit/config/keys", {"disable_upsert": False}),
    call("change the cache", "POST transit/cache-config", {"size": 0}),
    call("sign evidence", "POST evidence/sign/certificates", {"input": PLAIN}, CONTROLLER),
    call("read the evidence key's public half", "GET evidence/keys/certificates", None, CONTROLLER),
    call("rotate the evidence key", "POST evidence/keys/certificates/rotate", {}),
    call("make another evidence key", "POST evidence/keys/forged", {"type": "ed25519"}),
    call("export the evidence key", "GET evidence/export/signing-key/certificates"),
    call("delete the evidence key", "DELETE evidence/keys/certificates"),
    call("write a policy", "POST sys/policies/acl/mine", {"policy": ""}),
    call("change one's own policy", "POST sys/policies/acl/dataplane", {"policy": 'path "*" {capabilities=["read"]}'}),
    call("read a policy", "GET sys/policies/acl/controller"),
    call("change a role", "POST auth/kubernetes/role/shredder", {"bound_service_account_names": ["x"]}),
    call("change the login", "POST auth/kubernetes/config", {"kubernetes_host": "https://evil"}),
    call("mount an engine", "POST sys/mounts/mine", {"type": "transit"}),
    call("move the engine away", "POST sys/remount", {"from": "transit", "to": "mine"}),
    call("unmount the engine", "DELETE sys/mounts/transit"),
    call("switch the audit log off", "DELETE sys/audit/file"),
    call("make a token", "POST auth/token/create", {"policies": ["shredder"]}),
    call("take a snapshot", "GET sys/storage/raft/snapshot"),
    call("read the storage", "GET sys/raw/core"),
    call("seal", "PUT sys/seal"),
    call("make an identity", "POST identity/entity", {"name": "x", "policies": ["shredder"]}),
)
FORBIDDEN = [
    pytest.param(who, one, id=f"{who}: {one.name}") for one in CALLS for who in EVERYBODY if who not in one.allowed
]
ALLOWED = [pytest.param(who, one, id=f"{who}: {one.name}") for one in CALLS for who in EVERYBODY if who in one.allowed]


class World:
    """The sessions of all identities, and keys to try them on."""

    def __init__(self, stack: Any) -> None:
        self.sessions = {
            name: stack.vault_as(name, OWN if namespace == "*" else namespace, account)
            for name, (account, namespace) in ROLES.items()
        }
        self.made = 0
        for key in (OWN, NEIGHBOUR):
            self.sessions[CONTROLLER].call("POST", f"transit/keys/{key}", NEW)
            minimums = {"min_decryption_version": 1, "min_encryption_version": 1}
            self.sessions[SHREDDER].call("POST", f"transit/keys/{key}/config", minimums)
        sealed = self.sessions[PLANE].call("POST", f"transit/encrypt/{OWN}", {"plaintext": PLAIN})
        self.sealed = str(sealed["data"]["ciphertext"])

    def do(self, who: str, one: Call) -> None:
        """Send a call as somebody.

        Raises:
            RefusedError: Vault refuses it.
        """
        self.made += 1
        fresh = f"tenant-fresh-{self.made}"
        names = {"key": OWN, "other": NEIGHBOUR, "fresh": fresh, "doomed": OWN}
        if "{doomed}" in one.path and who in one.allowed:
            names["doomed"] = self._doomed(fresh)
        body = {name: self.sealed if value == "{sealed}" else value for name, value in (one.body or {}).items()}
        method, path = ("GET", one.path + "?list=true") if one.method == "LIST" else (one.method, one.path)
        self.sessions[who].call(method, path.format(**names), body if one.body is not None else None)

    def _doomed(self, name: str) -> str:
        self.sessions[CONTROLLER].call("POST", f"transit/keys/{name}", NEW)
        self.sessions[SHREDDER].call("POST", f"transit/keys/{name}/config", {"deletion_allowed": True})
        return name


@pytest.fixture(scope="module")
def world(stack: Any) -> Iterator[World]:
    made = World(stack)
    yield made
    # Whatever was tried, the keys are as they were made: never exportable, and the tenant's still opens what it sealed.
    state = made.sessions[CONTROLLER].call("GET", f"transit/keys/{OWN}")["data"]
    assert not state["exportable"]
    assert not state["allow_plaintext_backup"]
    opened = made.sessions[PLANE].call("POST", f"transit/decrypt/{OWN}", {"ciphertext": made.sealed})
    assert opened["data"]["plaintext"] == PLAIN


@pytest.mark.parametrize(("who", "one"), ALLOWED)
def test_a_call_that_is_ones_job_is_allowed(world: World, who: str, one: Call) -> None:
    world.do(who, one)


@pytest.mark.parametrize(("who", "one"), FORBIDDEN)
def test_any_other_call_is_forbidden(world: World, who: str, one: Call) -> None:
    with pytest.raises(RefusedError) as refused:
        world.do(who, one)
    assert refused.value.status == 403


def test_the_table_tries_every_identity_with_a_role_in_vault() -> None:
    assert set(ROLES) == set(EVERYBODY) == set(assets.vault_policies())
    assert all(any(who in one.allowed for one in CALLS) for who in EVERYBODY)


def test_nobody_can_both_read_and_destroy() -> None:
    reads = {who for one in CALLS if one.name == "decrypt" for who in one.allowed}
    destroys = {who for one in CALLS if one.name in {"rotate", "trim", "delete"} for who in one.allowed}
    signs = {who for one in CALLS if one.name == "sign evidence" for who in one.allowed}
    assert not reads & destroys
    assert not destroys & signs


LOGINS = [
    (role, namespace, account, audience)
    for role, (bound, where) in ROLES.items()
    for namespace, account, audience in [
        (SYSTEM, "imagint-provisioner", "vault"),
        (SYSTEM, "imagint-projector", "vault"),
        *[(SYSTEM, other, "vault") for name, (other, place) in ROLES.items() if name != role and place == SYSTEM],
        (OWN, "default", "vault"),
        *([(OWN, DATAPLANE, "vault"), (OWN, bound, "vault")] if where == SYSTEM else []),
        (OWN if where == "*" else SYSTEM, bound, "imagint-dataplane"),
        (OWN if where == "*" else SYSTEM, bound, None),
    ]
]


@pytest.mark.parametrize(
    ("role", "namespace", "account", "audience"),
    [pytest.param(*one, id=f"{one[1]}/{one[2]} for {one[3] or 'the apiserver'} as {one[0]}") for one in LOGINS],
)
def test_no_other_token_logs_in(stack: Any, role: str, namespace: str, account: str, audience: str | None) -> None:
    if namespace == OWN:  # an account of the right name in a tenant's namespace, made by an administrator
        stack.apply(f"{{kind: ServiceAccount, apiVersion: v1, metadata: {{name: {account}, namespace: {OWN}}}}}")
    with pytest.raises(RefusedError) as refused:
        VaultServer(stack.url("vault")).logged_in(role, stack.token(namespace, account, audience))
    assert refused.value.status in {400, 403, 500}
