"""The projector's few calls to the apiserver, over HTTP.

It must ask for nothing beyond: list Tenants, list the names of tenant namespaces, look at the data plane's
account in each, read the Secrets that a Tenant names, mint tokens for that account, read the issuer's public keys,
read and write the one ConfigMap from which a Gateway in a tenant's own namespace is handed its files.
Every call has a timeout; proxies named by the environment are ignored; no body ever reaches an error or a log.
"""

from __future__ import annotations

import base64
import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jwt

from imagint_serving.projector.errors import ApiServerError, KubeconfigError
from imagint_serving.projector.kubeconfigs import Endpoint, read_endpoint
from imagint_serving.projector.observations import (
    KeyReference,
    MintedToken,
    TenantView,
    bounded_name,
)

DATAPLANE_ACCOUNT = "imagint-dataplane"
VAULT_AUDIENCE = "vault"
TENANT_LABEL = "imagint.ai/tenant"
HANDOVER = "imagint-handover"
FIELD_MANAGER = "imagint-projector"
_KEPT = {"app.kubernetes.io/managed-by": "imagint-operator"}
"""By this label admission keeps everybody but the projector from changing the object."""
_APPLY = "application/apply-patch+yaml"
_DEDICATED = "Dedicated"
_METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
NOT_YET = (httpx.codes.NOT_FOUND, httpx.codes.FORBIDDEN)
"""What a tenant answers with while the operator is still setting it up."""
_TIMEOUT = httpx.Timeout(5.0, connect=2.0)


@dataclass(frozen=True, slots=True)
class _Connection:
    changed_at: int
    endpoint: Endpoint
    client: httpx.Client


class ApiServer:
    """Calls with the projector's own identity.

    The token is read on each call; the address and the CA when the kubeconfig changed or a connection failed.
    """

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig
        self._lock = threading.Lock()
        self._connection: _Connection | None = None

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.client.close()

    def tenants(self) -> list[TenantView]:
        """List every Tenant with the references to its API keys."""
        listed = self._get("/apis/imagint.ai/v1alpha1/tenants")
        return [view for item in listed["items"] or () if (view := _tenant(item)) is not None]

    def namespaces(self) -> set[str]:
        """Return the names of the tenant namespaces that exist."""
        listed = self._get("/api/v1/namespaces", accept=_METADATA_ONLY, labelSelector=TENANT_LABEL)
        return {item["metadata"]["name"] for item in listed["items"] or ()}

    def account_uid(self, namespace: str) -> str | None:
        """Return the uid of the data plane's account there, or None when that cannot be told yet."""
        account = self._found(f"/api/v1/namespaces/{namespace}/serviceaccounts/{DATAPLANE_ACCOUNT}")
        return None if account is None else str(account["metadata"]["uid"])

    def mint_token(self, namespace: str, seconds: int, now: float) -> MintedToken:
        """Mint a token for the data plane of one tenant, valid for Vault only."""
        body = {"spec": {"audiences": [VAULT_AUDIENCE], "expirationSeconds": seconds}}
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{DATAPLANE_ACCOUNT}/token"
        token = self._call("POST", path, json=body)["status"]["token"]
        # The apiserver may shorten the life we asked for: believe the token, not the request.
        claims = jwt.decode(token, options={"verify_signature": False})
        account = claims["kubernetes.io"]["serviceaccount"]["uid"]
        return MintedToken(token, account, minted_at=now, expires_at=float(claims["exp"]))

    def secret_value(self, namespace: str, reference: KeyReference) -> bytes | None:
        """Return what one named Secret holds under one key, or None when we may not read it or it is not there."""
        secret = self._found(f"/api/v1/namespaces/{namespace}/secrets/{reference.secret}")
        if secret is None:
            return None
        value = (secret.get("data") or {}).get(reference.key)
        return None if value is None else base64.b64decode(value)

    def platform(self) -> bytes:
        """Return the issuer and its public keys, as the file that Gateways verify callers with."""
        issuer = self._get("/.well-known/openid-configuration")["issuer"]
        keys = self._get("/openid/v1/jwks", accept="application/jwk-set+json, application/json")
        return json.dumps({"issuer": issuer, "jwks": keys}, sort_keys=True).encode()

    def handed(self, namespace: str) -> dict[str, str] | None:
        """Return what the tenant's handover ConfigMap holds; None when it is not there or its labels are wrong."""
        found = self._found(_handover(namespace))
        if found is None or not (found["metadata"].get("labels") or {}).items() >= _labels(namespace).items():
            return None
        return dict(found.get("data") or {})

    def hand(self, tenant: TenantView, content: dict[str, str]) -> None:
        """Apply the tenant's handover ConfigMap: server-side, so that what is left out of `content` goes."""
        metadata = {"name": HANDOVER, "namespace": tenant.namespace, "labels": _labels(tenant.namespace)}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": content}
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        self._call(
            "PATCH",
            _handover(tenant.namespace),
            headers={"Content-Type": _APPLY, "Accept": "application/json"},
            params=query,
            content=json.dumps(body).encode(),
        )

    def _found(self, path: str) -> Any:
        try:
            return self._get(path)
        except ApiServerError as error:
            if error.status in NOT_YET:
                return None
            raise

    def _get(self, path: str, *, accept: str = "application/json", **query: str) -> Any:
        return self._call("GET", path, headers={"Accept": accept}, params=query)

    def _call(self, method: str, path: str, **options: Any) -> Any:
        connection = self._connected()
        headers = {**options.pop("headers", {}), "Authorization": f"Bearer {connection.endpoint.token()}"}
        try:
            response = connection.client.request(method, path, headers=headers, **options)
        except httpx.HTTPError as error:
            self._forget(connection)
            raise ApiServerError(f"{method} {path}: {type(error).__name__}", 0) from error
        if response.is_error:
            raise ApiServerError(f"{method} {path}: status {response.status_code}", response.status_code)
        return response.json()

    def _connected(self) -> _Connection:
        with self._lock:
            changed_at = _changed_at(self._kubeconfig)
            if self._connection is None or self._connection.changed_at != changed_at:
                endpoint = read_endpoint(self._kubeconfig)
                client = httpx.Client(
                    base_url=endpoint.server, verify=endpoint.tls(), timeout=_TIMEOUT, trust_env=False
                )
                self._connection = _Connection(changed_at, endpoint, client)
            return self._connection

    def _forget(self, connection: _Connection) -> None:
        # Not closed here: another thread may be in the middle of a call on it.
        with self._lock:
            if self._connection is connection:
                self._connection = None


def _changed_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError as error:
        raise KubeconfigError(f"cannot read {path}: {error.strerror}") from error


def _tenant(item: dict[str, Any]) -> TenantView | None:
    name = bounded_name(item["metadata"]["name"])
    if name is None:
        return None
    keys = tuple(
        KeyReference(entry["name"], entry["secretRef"]["name"], entry["secretRef"]["key"])
        for entry in item.get("spec", {}).get("apiKeys") or ()
    )
    asked = item.get("spec", {}).get("compute")
    status = item.get("status") or {}
    # Where it is served now, as the operator has it (serve/places.py): a status without compute was written before the
    # operator knew of any but the shared cluster.
    home = status.get("compute") or ("Shared" if status.get("path") else asked)
    both = {asked, home}
    return TenantView(name, keys, shared=both != {_DEDICATED}, dedicated=_DEDICATED in both)


def _handover(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps/{HANDOVER}"


def _labels(namespace: str) -> dict[str, str]:
    return {**_KEPT, TENANT_LABEL: namespace.removeprefix("tenant-")}
