"""Where a tenant's storage and keys are, for the commands that open them: options, a settings file, an embedded stack.

A settings file is YAML, with the names of the operator's resources:

    tenant: acme
    database: postgresql+psycopg://imagint@db/acme
    objects: s3://acme/objects
    treeCopies: [s3://acme-copies/tree]
    vault: {address: "https://vault:8200", tokenFile: /run/imagint/token, role: dataplane, key: tenant-acme}

Nothing ambient is used: no VAULT_* variable, no default address. It must not open anything (`opening`).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import click
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from imagint_privacy.cli import GUESTS

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_LARGEST: Final = 1 << 20


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True, hide_input_in_errors=True
    )


class VaultPlace(_Part):
    """The tenant's key, and who asks for it."""

    address: Annotated[str, Field(pattern=r"^https?://")]
    token_file: Path
    role: str = "dataplane"
    key: str = ""
    auth_mount: str = "kubernetes"
    mount: str = "transit"
    ca_file: Path | None = None


class Place(_Part):
    """One tenant."""

    tenant: Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$")]
    database: str
    objects: str
    tree_copies: tuple[str, ...] = ()
    vault: VaultPlace
    cache_seconds: Annotated[float, Field(gt=0, le=300)] = 5

    @property
    def key(self) -> str:
        """The name of the tenant's key in Vault."""
        return self.vault.key or f"tenant-{self.tenant}"


_TOP: Final = ("tenant", "database", "objects", "tree_copies")
_VAULT: Final = {
    "vault_addr": "address",
    "vault_token_file": "token_file",
    "vault_role": "role",
    "vault_key": "key",
    "vault_ca_file": "ca_file",
}
_OPTIONS: Final = (
    click.option("--settings", type=_FILE, help="A YAML file with everything below (see docs/erasure.md)."),
    click.option("--state", type=click.Path(file_okay=False, path_type=Path), help="Use this embedded stack."),
    click.option("--tenant", metavar="NAME", help="The tenant."),
    click.option("--database", metavar="URL", help="Its database."),
    click.option("--objects", metavar="URL", help="Its object store."),
    click.option("--tree-copy", "tree_copies", metavar="URL", multiple=True, help="A copy of its key tree."),
    click.option("--vault-addr", metavar="URL", help="Vault's address."),
    click.option("--vault-token-file", type=_FILE, help="The token to log in to Vault with."),
    click.option("--vault-role", metavar="NAME", help="The role to log in as (default: dataplane)."),
    click.option("--vault-key", metavar="NAME", help="The tenant's key (default: tenant-NAME)."),
    click.option("--vault-ca-file", type=_FILE, help="The certificates to trust Vault by."),
)


def place_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say where a tenant is; it gets them as one `Place`."""

    def placed(**given: Any) -> Any:
        names = ("settings", "state", *_TOP, *_VAULT)
        return command(place=_place({name: given.pop(name) for name in names}), **given)

    placed.__doc__ = command.__doc__
    placed.__name__ = command.__name__
    for option in reversed(_OPTIONS):
        option(placed)
    # Options that the command declared itself come after.
    placed.__click_params__ += getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    return placed


def _place(given: Mapping[str, Any]) -> Place:
    """Put everything together; what an option says goes before what a file says.

    Raises:
        click.UsageError: something is missing or wrong.
    """
    found = _read(given["settings"]) if given["settings"] else {}
    if given["state"] is not None:
        found = {**_embedded(given["state"], given["tenant"] or found.get("tenant")), **found}
    found = {**found, **{_alias(name): given[name] for name in _TOP if given[name]}}
    vault = {_alias(part): given[name] for name, part in _VAULT.items() if given[name]}
    known = found.get("vault", {})
    if isinstance(known, Mapping):
        found["vault"] = {**known, **vault}
    try:
        return Place.model_validate(found)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_input=False)]
        raise click.UsageError(
            f"where the tenant is, is not clear ({'; '.join(problems)}); give --settings, --state or options"
        ) from None


def _alias(name: str) -> str:
    return to_camel(name)


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as source:
            found = yaml.safe_load(source.read(_LARGEST))
    except (OSError, yaml.YAMLError, ValueError, RecursionError):  # a date that is none is a ValueError
        raise click.UsageError(f"{path} cannot be read as YAML") from None
    if not isinstance(found, dict):
        raise click.UsageError(f"{path} holds no settings")
    return found


def _embedded(state: Path, tenant: str | None) -> Mapping[str, Any]:
    """Ask the embedded stack's tools, when they are installed, where it keeps a tenant.

    Raises:
        click.UsageError: they are not installed, or there is no such tenant.
    """
    if not tenant:
        raise click.UsageError("--state needs --tenant NAME")
    try:
        guest = importlib.import_module(GUESTS)
    except ImportError:
        raise click.UsageError("--state needs the embedded stack's tools: pip install 'imagint[dev]'") from None
    found: Mapping[str, Any] = guest.tenant_settings(state, tenant)
    return found
