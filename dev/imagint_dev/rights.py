"""Writes docs/rbac.md from policies/rbac: who may do what in Kubernetes, and why. `--check` says whether it is current.

Pure but for reading the manifests and the page. It must not judge: tests do (tests/dev/test_rights.py).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from imagint_dev import assets

HEAD = """# Who may do what in Kubernetes

Made from `policies/rbac/` by `python -m imagint_dev.rights docs/rbac.md`; `make check` fails when it is out of date.
What a right reaches is bound further by the admission policies ([multi-tenancy.md](multi-tenancy.md)), and what an
identity may do in Vault stands in `policies/vault/`. The operator's identities: [ADR 12](adr/0012-three-identities.md).
"""
EVERYWHERE, NOWHERE = "the cluster", "each tenant's namespace, bound there by the provisioner"


@dataclass(frozen=True, slots=True)
class Right:
    """One rule of one role, as it reaches one identity."""

    identity: str
    where: str
    groups: tuple[str, ...]
    resources: tuple[str, ...]
    names: tuple[str, ...]
    verbs: tuple[str, ...]
    why: str

    @property
    def what(self) -> str:
        """The resources with their group, as people write them."""
        groups = [group for group in self.groups if group]
        suffix = f".{groups[0]}" if groups else ""
        parts = [name.partition("/") for name in self.resources]
        found = ", ".join(f"`{name}{suffix}{slash}{subresource}`" for name, slash, subresource in parts)
        return found + (f" named {', '.join(f'`{name}`' for name in self.names)}" if self.names else "")


@dataclass(frozen=True, slots=True)
class Role:
    """A Role or ClusterRole with the reason that stands above each of its rules."""

    kind: str
    name: str
    namespace: str
    rules: tuple[tuple[Mapping[str, Any], str], ...]


def roles(texts: Iterable[str]) -> list[Role]:
    """Every role of some manifests.

    Raises:
        ValueError: a rule has no reason above it.
    """
    return [_role(document) for text in texts for document in _documents(text) if "\nkind: ClusterRole\n" in document
            or "\nkind: Role\n" in document]  # fmt: skip


def _documents(text: str) -> list[str]:
    return ["\n" + part for part in text.split("\n---\n")]


def _role(document: str) -> Role:
    manifest = yaml.safe_load(document)
    reasons = [line.removeprefix("# why: ") for line in document.splitlines() if line.startswith("# why: ")]
    rules = manifest["rules"]
    metadata = manifest["metadata"]
    if len(reasons) != len(rules):
        raise ValueError(f"{metadata['name']}: {len(rules)} rules, {len(reasons)} lines '# why: ...'")
    pairs = tuple(zip(rules, reasons, strict=True))
    return Role(manifest["kind"], metadata["name"], metadata.get("namespace", ""), pairs)


def bindings(texts: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Who is bound to what: identity, kind and name of the role, in the manifests themselves."""
    for text in texts:
        for manifest in yaml.safe_load_all(text):
            if manifest and manifest["kind"] in {"ClusterRoleBinding", "RoleBinding"}:
                for subject in manifest["subjects"]:
                    yield subject["name"], manifest["roleRef"]["kind"], manifest["roleRef"]["name"]


BOUND_BY_THE_PROVISIONER = {
    "imagint-token-projector": "imagint-projector",
    "imagint-tenant-editor": "imagint:tenant:NAME",
    "imagint-archivist": "imagint-controller",
}
"""The roles that are bound in each tenant's namespace (tenants/walls.py), and to whom; the last one when it ends."""


def rights(texts: Iterable[str]) -> list[Right]:
    """Every right of every identity.

    Raises:
        ValueError: a role reaches nobody, or a rule has no reason.
    """
    texts = list(texts)
    bound = {(kind, role): identity for identity, kind, role in bindings(texts)}
    found: list[Right] = []
    for role in roles(texts):
        identity = bound.get((role.kind, role.name)) or BOUND_BY_THE_PROVISIONER.get(role.name)
        if identity is None and role.rules:
            raise ValueError(f"{role.name} is bound to nobody")
        where = role.namespace or (EVERYWHERE if (role.kind, role.name) in bound else NOWHERE)
        found += [_right(identity or role.name, where, rule, why) for rule, why in role.rules]
    return found


def _right(identity: str, where: str, rule: Mapping[str, Any], why: str) -> Right:
    listed = (tuple(rule.get(field, ())) for field in ("apiGroups", "resources", "resourceNames", "verbs"))
    groups, resources, names, verbs = listed
    return Right(identity, where, groups, resources, names, verbs, why)


def page(texts: Iterable[str]) -> str:
    """The whole page."""
    lines = [HEAD, "| identity | where | resources | verbs | why |", "|---|---|---|---|---|"]
    lines += [
        f"| `{right.identity}` | {right.where} | {right.what} | {', '.join(right.verbs)} | {right.why} |"
        for right in sorted(rights(texts), key=lambda right: right.identity)
    ]
    lines += [
        "| `imagint-prober` | nowhere | none | none | it asks Vault and Gateways, never the apiserver |",
        "| `imagint-dataplane` | nowhere | none | none | it uses Vault and its stores, never the apiserver |",
        "",
        "The projector also reads, in each tenant's namespace, exactly the Secrets that the Tenant names as API keys:",
        "the Role `imagint-api-keys`, which the provisioner makes from the Tenant.",
    ]
    return "\n".join(lines) + "\n"


def texts() -> list[str]:
    """The manifests of this installation."""
    return [path.read_text() for path in sorted(assets.folder("policies", "rbac").glob("*.yaml"))]


def main(arguments: list[str]) -> int:
    """Write the page, or say with exit status 1 that it is out of date."""
    check, names = "--check" in arguments, [name for name in arguments if name != "--check"]
    if len(names) != 1:
        print("usage: python -m imagint_dev.rights [--check] docs/rbac.md", file=sys.stderr)
        return 2
    target, made = Path(names[0]), page(texts())
    if check and (not target.is_file() or target.read_text() != made):
        print(f"{target} is not what policies/rbac says: python -m imagint_dev.rights {target}", file=sys.stderr)
        return 1
    if not check:
        target.write_text(made)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
