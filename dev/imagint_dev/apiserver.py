"""A small client of the Kubernetes API for setting a cluster up: apply, read, TokenRequest.

It must not log a body: some hold tokens. Every call has a timeout; proxies of the environment are ignored.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import httpx
import yaml

from imagint_dev.errors import RefusedError, RetryableError
from imagint_dev.kubeconfigs import Endpoint

FIELD_MANAGER = "imagint-stack"
_TIMEOUT = httpx.Timeout(10.0, connect=3.0)


class ApiServer:
    """One apiserver, one identity."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._client = httpx.Client(
            base_url=endpoint.server, verify=endpoint.context(), timeout=_TIMEOUT, trust_env=False
        )
        self._plurals: dict[str, dict[str, tuple[str, bool]]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._client.close()

    def get(self, path: str) -> dict[str, Any]:
        """Reads one object or list."""
        return self._call("GET", path)

    def remove(self, path: str) -> None:
        """Deletes one object; one that is not there is fine."""
        try:
            self._call("DELETE", path)
        except RefusedError as error:
            if error.status != 404:
                raise

    def apply(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """Server-side apply of one object; what others manage is left alone, conflicts are won."""
        content = json.dumps(manifest).encode()
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        headers = {"Content-Type": "application/apply-patch+yaml"}
        return self._call("PATCH", self._path(manifest), content=content, params=query, headers=headers)

    def token(self, namespace: str, account: str, audience: str | None, seconds: int) -> str:
        """A bound token of a ServiceAccount (TokenRequest); the apiserver's own audience when none is named."""
        spec: dict[str, Any] = {"expirationSeconds": seconds}
        if audience:
            spec["audiences"] = [audience]
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        headers = {"Content-Type": "application/json"}
        answer = self._call("POST", path, content=json.dumps(body).encode(), headers=headers)
        return str(answer["status"]["token"])

    def _path(self, manifest: dict[str, Any]) -> str:
        version, kind = manifest["apiVersion"], manifest["kind"]
        base = f"/api/{version}" if "/" not in version else f"/apis/{version}"
        if kind not in self._plurals.get(version, {}):
            listed = self._call("GET", base)["resources"]
            self._plurals[version] = {r["kind"]: (r["name"], r["namespaced"]) for r in listed if "/" not in r["name"]}
        if kind not in self._plurals[version]:
            raise RetryableError(f"the apiserver does not serve {kind} of {version} yet")
        plural, namespaced = self._plurals[version][kind]
        metadata = manifest["metadata"]
        inside = f"/namespaces/{metadata.get('namespace', 'default')}" if namespaced else ""
        return f"{base}{inside}/{plural}/{metadata['name']}"

    def _call(self, method: str, path: str, **parameters: Any) -> dict[str, Any]:
        headers = parameters.pop("headers", {}) | {"Accept": "application/json"}
        if bearer := self.endpoint.bearer():
            headers["Authorization"] = f"Bearer {bearer}"
        try:
            response = self._client.request(method, path, headers=headers, **parameters)
        except httpx.HTTPError as error:
            raise RetryableError(f"the apiserver is not reachable ({type(error).__name__})") from error
        if response.status_code >= 400:
            raise RefusedError(response.status_code, f"{method} {path}: {_message(response)}")
        answer: dict[str, Any] = response.json()
        return answer


def load(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """The objects in some YAML files."""
    return [found for path in paths for found in yaml.load_all(path.read_text(), _LOADER) if found]


def _message(response: httpx.Response) -> str:
    try:
        return str(response.json().get("message", ""))[:500]
    except ValueError:
        return "no explanation"


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
