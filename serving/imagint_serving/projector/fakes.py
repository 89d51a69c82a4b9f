"""A small true apiserver for the projector's tests: HTTPS, bearer tokens, and the few resources it asks for.

Never used in service. The signing key of its tokens is random and known to nobody else.
"""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import json
import ssl
import threading
import time
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass
class FakeCluster:
    """What the fake apiserver holds."""

    token: str = "projector-token"  # noqa: S105 - a test's
    tenants: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    accounts: dict[str, str | None] = field(default_factory=dict)
    secrets: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    keys: dict[str, Any] = field(default_factory=lambda: {"keys": []})
    failing: dict[str, int] = field(default_factory=dict)
    minted: list[str] = field(default_factory=list)
    token_seconds: int | None = None
    computes: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    """What a Tenant asks for, and where its status says that it is."""
    config_maps: dict[str, dict[str, Any]] = field(default_factory=dict)
    applied: list[str] = field(default_factory=list)
    _signing: bytes = field(default_factory=lambda: uuid.uuid4().bytes * 2, repr=False)

    def add_tenant(self, name: str, *key_names: str) -> None:
        """Add a tenant with its namespace, its account and one Secret per API key."""
        namespace = f"tenant-{name}"
        self.tenants[name] = [{"name": key, "secretRef": {"name": f"api-{key}", "key": "token"}} for key in key_names]
        self.accounts[namespace] = str(uuid.uuid4())

    def set_secret(self, tenant: str, key_name: str, value: str) -> None:
        """Set the value of one API key."""
        self.secrets[f"tenant-{tenant}", f"api-{key_name}"] = {"token": value}

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Return status and body of one request."""
        for part, status in self.failing.items():
            if part in path:
                return status, {"message": "token=should-never-be-logged"}
        parts = path.strip("/").split("/")
        match method, parts:
            case "GET", ["apis", "imagint.ai", "v1alpha1", "tenants"]:
                return 200, {"items": [self._tenant(n, k) for n, k in self.tenants.items()]}
            case "GET", ["api", "v1", "namespaces"]:
                return 200, {"items": [{"metadata": {"name": n}} for n in self.accounts]}
            case "GET", ["api", "v1", "namespaces", namespace, "serviceaccounts", _]:
                uid = self.accounts.get(namespace)
                return (404, {}) if uid is None else (200, {"metadata": {"uid": uid}})
            case "GET", ["api", "v1", "namespaces", namespace, "secrets", name]:
                return self._secret(namespace, name)
            case _, ["api", "v1", "namespaces", namespace, "configmaps", "imagint-handover"]:
                return self._handover(method, namespace, body)
            case "POST", ["api", "v1", "namespaces", namespace, "serviceaccounts", _, "token"]:
                return self._token(namespace, body)
        published = {
            "/.well-known/openid-configuration": {"issuer": "https://cluster.test"},
            "/openid/v1/jwks": self.keys,
        }
        return (200, published[path]) if path in published else (404, {})

    def _handover(self, method: str, namespace: str, body: dict[str, Any]) -> tuple[int, Any]:
        if method == "PATCH":
            self.applied.append(namespace)
            self.config_maps[namespace] = body
        held = self.config_maps.get(namespace)
        return (404, {}) if held is None else (200, held)

    def _tenant(self, name: str, keys: list[dict[str, Any]]) -> dict[str, Any]:
        asked, placed = self.computes.get(name, ("Shared", None))
        spec = {"compute": asked, **({"apiKeys": keys} if keys else {})}
        return {"metadata": {"name": name}, "spec": spec, "status": {"compute": placed} if placed else {}}

    def _secret(self, namespace: str, name: str) -> tuple[int, Any]:
        held = self.secrets.get((namespace, name))
        if held is None:
            return 404, {}
        return 200, {"data": {k: base64.b64encode(v.encode()).decode() for k, v in held.items()}}

    def _token(self, namespace: str, body: dict[str, Any]) -> tuple[int, Any]:
        uid = self.accounts.get(namespace)
        if uid is None:
            return 404, {}
        seconds = self.token_seconds or body["spec"]["expirationSeconds"]
        claims = {
            "aud": body["spec"]["audiences"],
            "exp": int(time.time()) + seconds,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": {"serviceaccount": {"uid": uid}},
        }
        self.minted.append(namespace)
        return 201, {"status": {"token": jwt.encode(claims, self._signing, algorithm="HS256")}}


class FakeApiServer:
    """The fake cluster behind a real TLS socket, with the kubeconfig that leads there."""

    def __init__(self, cluster: FakeCluster, folder: Path) -> None:
        certificate, key = _certificate()
        (folder / "ca.crt").write_bytes(certificate)
        (folder / "server.pem").write_bytes(certificate + key)
        (folder / "token").write_text(cluster.token + "\n")
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(cluster))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem")
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(_kubeconfig(self._server.server_address[1]))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> FakeApiServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(cluster: FakeCluster) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 5

        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def do_PATCH(self) -> None:
            self._serve()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
            """Keep quiet."""

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            body = json.loads(self.rfile.read(length) or b"{}")
            status, answer = 401, dict[str, Any]()
            if self.headers.get("Authorization") == f"Bearer {cluster.token}":
                status, answer = cluster.answer(self.command, self.path.partition("?")[0], body)
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    return Handler


def _kubeconfig(port: int) -> str:
    document = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [
            {
                "name": "c",
                "cluster": {"server": f"https://127.0.0.1:{port}", "certificate-authority": "ca.crt"},
            }
        ],
        "users": [{"name": "u", "user": {"tokenFile": "token"}}],
    }
    return yaml.safe_dump(document)


def _certificate() -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "fake apiserver")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(pem), private
