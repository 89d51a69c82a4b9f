"""Pure: the template of a path, so that neither a metric nor a trace holds a name.

Only words that are known to be ours, or the apiserver's, are kept; whatever else stands in a path becomes a
placeholder. So a path that somebody adds tomorrow says less than it could, and never more than it should.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

NAMESPACES = "namespaces"
_WORDS = frozenset({
    "privacy", "probes", "v1", "status", "destroyed", "models", "probe", "erasures", "retention", "commit", "copies",
    "caches", "purge", "complete", "before", "after", "restrictions", "exports", "count", "census",
    "tenants", "lift",
})  # fmt: skip
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True, slots=True)
class ApiCall:
    """A request to the apiserver, without names. `namespace` is for traces only."""

    verb: str
    resource: str
    template: str
    namespace: str = ""


def api_call(method: str, path: str) -> ApiCall:
    """What a request asks the apiserver for."""
    parts = path.partition("?")[0].strip("/").split("/")
    head = 3 if parts[0] == "apis" else 2
    root, rest = parts[:head], parts[head:]
    namespace = ""
    if len(rest) > 2 and rest[0] == NAMESPACES and rest[2] not in {"status", "finalize"}:
        namespace, root, rest = rest[1], [*root, NAMESPACES, "{namespace}"], rest[2:]
    plural, name, subresource = [*rest, "", "", ""][:3]
    verb = _VERBS.get(method) or ("get" if name else "list")
    shown = [*root, plural, *(["{name}"] if name else []), *([subresource] if subresource else [])]
    resource = f"{plural}/{subresource}" if subresource else plural
    return ApiCall(verb, resource, "/" + "/".join(shown), namespace)


@dataclass(frozen=True, slots=True)
class PeerCall:
    """A request to a Gateway or the prober, without names. `tenant` is for traces only."""

    operation: str
    template: str
    tenant: str = ""


def peer_call(path: str) -> PeerCall:
    """What a request asks a Gateway, or the prober, for."""
    parts = path.partition("?")[0].strip("/").split("/")
    tenant = parts[0] if len(parts) > 1 and parts[1] == "privacy" else ""
    rest = parts[1:] if tenant else parts
    shown = [part if part in _WORDS else "{id}" for part in rest]
    words = [part for part in shown[2:] if part != "{id}"]
    return PeerCall("/".join(words) or "other", "/" + "/".join([*(["{tenant}"] if tenant else []), *shown]), tenant)


def server(url: str) -> dict[str, str | int]:
    """Where a server is, in the words of the semantic conventions."""
    address = urlsplit(url)
    port = address.port or (443 if address.scheme == "https" else 80)
    return {"server.address": address.hostname or "", "server.port": port}
