"""Real apiserver, etcd, controller-manager and Vault: who may do what."""

from __future__ import annotations

import base64
import json
import os
import re
import ssl
import stat
import subprocess

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from imagint_dev import processes
from imagint_dev.errors import RefusedError
from imagint_dev.stack import Stack
from imagint_dev.vaults import VaultServer

pytestmark = pytest.mark.stack

SYSTEM = "imagint-system"
NAMESPACE = """
{kind: Namespace, apiVersion: v1, metadata: {name: NAME}}
---
{kind: ServiceAccount, apiVersion: v1, metadata: {name: imagint-dataplane, namespace: NAME}}
"""
PLAIN = base64.b64encode(b"a root").decode()


def refusal(vault: VaultServer, method: str, path: str, body: dict[str, object] | None = None) -> int:
    with pytest.raises(RefusedError) as refused:
        vault.call(method, path, body)
    return refused.value.status


@pytest.fixture
def controller(tenants: Stack) -> VaultServer:
    return tenants.vault_as("controller", SYSTEM, "imagint-controller")


@pytest.fixture
def shredder(tenants: Stack) -> VaultServer:
    return tenants.vault_as("shredder", SYSTEM, "imagint-shredder")


@pytest.fixture
def prober(tenants: Stack) -> VaultServer:
    return tenants.vault_as("prober", SYSTEM, "imagint-prober")


@pytest.fixture
def acme(tenants: Stack) -> VaultServer:
    return tenants.vault_as("dataplane", "tenant-acme", "imagint-dataplane")


@pytest.fixture
def sealed(acme: VaultServer) -> str:
    answer = acme.call("POST", "transit/encrypt/tenant-acme", {"plaintext": PLAIN})
    return str(answer["data"]["ciphertext"])


def test_a_data_plane_reads_with_its_own_key(acme: VaultServer, sealed: str) -> None:
    assert acme.call("POST", "transit/decrypt/tenant-acme", {"ciphertext": sealed})["data"]["plaintext"] == PLAIN
    assert "1" in acme.call("GET", "transit/keys/tenant-acme")["data"]["keys"]


def test_a_neighbour_is_refused_at_every_verb(tenants: Stack, sealed: str) -> None:
    globex = tenants.vault_as("dataplane", "tenant-globex", "imagint-dataplane")
    assert refusal(globex, "POST", "transit/decrypt/tenant-acme", {"ciphertext": sealed}) == 403
    assert refusal(globex, "POST", "transit/encrypt/tenant-acme", {"plaintext": PLAIN}) == 403
    assert refusal(globex, "GET", "transit/keys/tenant-acme") == 403


def test_the_first_encryption_never_makes_a_key(tenants: Stack) -> None:
    tenants.apply("{kind: Namespace, apiVersion: v1, metadata: {name: tenant-keyless}}")
    tenants.apply(
        "{kind: ServiceAccount, apiVersion: v1, metadata: {name: imagint-dataplane, namespace: tenant-keyless}}"
    )
    keyless = tenants.vault_as("dataplane", "tenant-keyless", "imagint-dataplane")
    assert refusal(keyless, "POST", "transit/encrypt/tenant-keyless", {"plaintext": PLAIN}) in (400, 403)


def test_a_version_is_shredded_and_stays_shredded(
    controller: VaultServer, shredder: VaultServer, tenants: Stack
) -> None:
    tenants.apply("{kind: Namespace, apiVersion: v1, metadata: {name: tenant-shred}}")
    tenants.apply(
        "{kind: ServiceAccount, apiVersion: v1, metadata: {name: imagint-dataplane, namespace: tenant-shred}}"
    )
    controller.call("POST", "transit/keys/tenant-shred", {"type": "aes256-gcm96"})
    data_plane = tenants.vault_as("dataplane", "tenant-shred", "imagint-dataplane")
    old = data_plane.call("POST", "transit/encrypt/tenant-shred", {"plaintext": PLAIN})["data"]["ciphertext"]
    shredder.call("POST", "transit/keys/tenant-shred/rotate")
    shredder.call(
        "POST", "transit/keys/tenant-shred/config", {"min_decryption_version": 2, "min_encryption_version": 2}
    )
    shredder.call("POST", "transit/keys/tenant-shred/trim", {"min_available_version": 2})
    assert refusal(data_plane, "POST", "transit/decrypt/tenant-shred", {"ciphertext": old}) == 400
    assert refusal(shredder, "POST", "transit/keys/tenant-shred/config", {"min_decryption_version": 1}) == 400
    shredder.call("POST", "transit/keys/tenant-shred/config", {"deletion_allowed": True})
    shredder.call("DELETE", "transit/keys/tenant-shred")
    assert refusal(shredder, "GET", "transit/keys/tenant-shred") == 404


def test_the_prober_sees_a_refusal_but_never_a_plaintext(prober: VaultServer, sealed: str) -> None:
    again = prober.call("POST", "transit/rewrap/tenant-acme", {"ciphertext": sealed})["data"]
    assert set(again) == {"ciphertext", "key_version"}
    assert refusal(prober, "POST", "transit/decrypt/tenant-acme", {"ciphertext": sealed}) == 403
    assert refusal(prober, "POST", "transit/encrypt/tenant-acme", {"plaintext": PLAIN}) == 403
    assert refusal(prober, "POST", "transit/keys/tenant-acme/rotate", {}) == 403


@pytest.mark.parametrize(
    ("role", "namespace", "account", "audience"),
    [
        pytest.param("shredder", "tenant-acme", "imagint-dataplane", "vault", id="a data plane as shredder"),
        pytest.param("shredder", SYSTEM, "imagint-controller", "vault", id="the controller as shredder"),
        pytest.param("controller", SYSTEM, "imagint-shredder", "vault", id="the shredder as controller"),
        pytest.param("controller", SYSTEM, "imagint-provisioner", "vault", id="the provisioner"),
        pytest.param("dataplane", "tenant-acme", "somebody-else", "vault", id="another account as data plane"),
        pytest.param("controller", SYSTEM, "imagint-controller", "imagint-prober", id="a token for another audience"),
        pytest.param("controller", SYSTEM, "imagint-controller", None, id="a token for the apiserver"),
    ],
)
def test_a_wrong_identity_cannot_log_in(
    tenants: Stack, role: str, namespace: str, account: str, audience: str | None
) -> None:
    with pytest.raises(RefusedError):
        VaultServer(tenants.url("vault")).logged_in(role, tenants.token(namespace, account, audience))


def test_certificates_are_signed_with_the_published_key(controller: VaultServer, tenants: Stack) -> None:
    message = b"a statement"
    body = {"input": base64.b64encode(message).decode()}
    signed = controller.call("POST", "evidence/sign/certificates", body)["data"]["signature"]
    published = tenants.kubectl(
        "get", "cm", "-n", SYSTEM, "imagint-evidence-key", "-o", r"jsonpath={.data.evidence\.pub}"
    )
    assert published == tenants.folder.evidence.read_text()
    key = load_pem_public_key(published.encode())
    assert isinstance(key, Ed25519PublicKey)
    key.verify(base64.b64decode(signed.rpartition(":")[2]), message)


def test_no_root_token_is_left(tenants: Stack) -> None:
    assert not list(tenants.folder.vault.rglob("*root*token*"))
    assert stat.S_IMODE((tenants.folder.vault / "unseal-key").stat().st_mode) == 0o600
    audit = tenants.path("log", "vault-audit.log")
    assert stat.S_IMODE(audit.stat().st_mode) == 0o600
    assert any('"path":"auth/token/revoke-self"' in line for line in audit.read_text().splitlines())


@pytest.mark.parametrize(
    ("account", "verb", "what", "allowed"),
    [
        pytest.param("imagint-controller", "get", "secrets", "no", id="the controller reads no Secret"),
        pytest.param("imagint-controller", "create", "serviceaccounts/token", "no", id="the controller mints no token"),
        pytest.param("imagint-controller", "list", "tenants.imagint.ai", "yes", id="the controller sees tenants"),
        pytest.param("imagint-projector", "list", "tenants.imagint.ai", "yes", id="the projector sees tenants"),
        pytest.param("imagint-projector", "get", "secrets", "no", id="the projector reads no platform Secret"),
        pytest.param("imagint-projector", "create", "serviceaccounts/token", "no", id="nor mints platform tokens"),
        pytest.param("imagint-prober", "list", "tenants.imagint.ai", "no", id="the prober sees nothing"),
        pytest.param("imagint-vault", "create", "tokenreviews", "yes", id="Vault reviews tokens"),
        pytest.param("imagint-vault", "get", "secrets", "no", id="and no more"),
    ],
)
def test_a_platform_account_has_just_its_rights(
    control_plane: Stack, account: str, verb: str, what: str, allowed: str
) -> None:
    user = f"--as=system:serviceaccount:{SYSTEM}:{account}"
    resource, _, subresource = what.partition("/")
    which = [resource, f"--subresource={subresource}"] if subresource else [resource]
    command = control_plane.kubectl_command("auth", "can-i", verb, *which, user, "-n", SYSTEM)
    environment = processes.scrubbed(dict(os.environ))
    said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env=environment)
    assert said.stdout.strip() == allowed


def test_identities_hold_only_the_audiences_they_need(control_plane: Stack) -> None:
    held = {path.name: sorted(p.name for p in path.iterdir()) for path in control_plane.path("identities").iterdir()}
    assert held == {
        "imagint-controller": ["ca.crt", "dataplane-token", "kubeconfig", "prober-token", "token", "vault-token"],
        "imagint-provisioner": ["ca.crt", "kubeconfig", "token"],
        "imagint-shredder": ["ca.crt", "kubeconfig", "token", "vault-token"],
        "imagint-prober": ["dataplane-token", "vault-token"],
        "imagint-projector": ["ca.crt", "kubeconfig", "token"],
    }
    claims = (control_plane.identity("imagint-controller") / "vault-token").read_text().split(".")[1]
    assert json.loads(base64.urlsafe_b64decode(claims + "=="))["aud"] == ["vault"]


def test_secrets_are_encrypted_in_etcd(control_plane: Stack) -> None:
    control_plane.kubectl(
        "create", "secret", "generic", "probe", "-n", "default", "--from-literal=k=canary-in-the-clear"
    )
    stored = [path.read_bytes() for path in control_plane.path("etcd").rglob("*") if path.is_file()]
    assert any(b"k8s:enc:secretbox:v1:key1:" in content for content in stored)
    assert not any(b"canary-in-the-clear" in content for content in stored)


def test_nobody_may_ask_the_apiserver_anonymously(control_plane: Stack) -> None:
    with control_plane.api() as api:
        authority = api.endpoint.ca_pem
    answer = httpx.get(
        f"{control_plane.url('api')}/api",
        verify=ssl.create_default_context(cadata=authority),
        timeout=10,
        trust_env=False,
    )
    assert answer.status_code == 401


def test_the_ambient_servers_are_not_used(control_plane: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KUBECONFIG", "VAULT_ADDR", "VAULT_TOKEN", "RAY_ADDRESS"):
        monkeypatch.setenv(name, "/somebody/else")
    assert "imagint-system" in control_plane.kubectl("get", "ns", "-o", "name")
    for part in ("apiserver", "vault"):
        assert not [
            name for name in control_plane.environment(part) if name.startswith(("KUBECONFIG", "VAULT_", "RAY_"))
        ]


BEGUN = """
{kind: Namespace, apiVersion: v1, metadata: {name: tenant-begun, labels: {imagint.ai/tenant: begun}}}
---
kind: DataSubjectRequest
apiVersion: imagint.ai/v1alpha1
metadata: {name: ada, namespace: tenant-begun}
spec:
  type: Erase
  subject: subj-aaaaaaaaaaaaaaaaaaaaaaaaaa
  regulation: GDPR
  verification: {method: AccountSession, at: "2026-11-23T12:00:00Z"}
"""


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-11-23T12:00:00+99:99"])
@pytest.mark.parametrize("field", ["receivedAt", "at"])
def test_a_moment_that_would_hold_up_every_erasure_of_the_tenant_is_refused(
    control_plane: Stack, field: str, moment: str
) -> None:
    """No clock can be counted from it, and it would stand first in the tenant's line."""
    asked = BEGUN.replace(
        'at: "2026-11-23T12:00:00Z"}', 'at: "2026-11-23T12:00:00Z"}\n  receivedAt: "2026-11-23T12:00:00Z"'
    )
    asked = re.sub(rf'\b{field}: "[^"]*"', f'{field}: "{moment}"', asked.replace("name: ada", "name: moment"))
    with pytest.raises(subprocess.CalledProcessError) as refused:
        control_plane.apply(asked)
    assert field in refused.value.stderr


def test_an_erasure_that_has_begun_is_deleted_only_with_its_namespace(control_plane: Stack) -> None:
    control_plane.apply(BEGUN)
    controller = ("--as=system:serviceaccount:imagint-system:imagint-controller", "--as-group=system:masters")
    begun = '{"status": {"steps": [{"name": "Fence", "state": "Done"}]}}'
    request = ("dsr", "ada", "-n", "tenant-begun")
    control_plane.kubectl("patch", *request, "--subresource=status", "--type=merge", "-p", begun, *controller)
    with pytest.raises(subprocess.CalledProcessError) as refused:
        control_plane.kubectl("delete", *request)
    assert "this erasure has begun" in refused.value.stderr
    control_plane.kubectl("delete", "namespace", "tenant-begun", "--timeout=50s")
