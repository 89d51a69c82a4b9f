"""`imagint key rewrap`, `move`: rotate what wraps a tenant's tree without forgetting, or carry it to another key.

They run with the data plane's rights: neither makes, rotates nor destroys a key.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from imagint_privacy.cli.opening import EPILOG, explained, key_of, library_of, show
from imagint_privacy.cli.places import Place, place_options
from imagint_privacy.errors import BackupRefusedError, KeyVersionBehindError
from imagint_privacy.keys.moving import MovingKey
from imagint_privacy.records import rewrapping
from imagint_privacy.records.library import Library

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_TARGETS = ("address", "token_file", "role", "key", "ca_file")


@click.group()
def key() -> None:
    """Rotate the key that wraps a tenant's tree, or move the tree to another key."""


@key.command(epilog=EPILOG)
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for programs.")
@place_options
def rewrap(place: Place, as_json: bool) -> None:
    """Wrap the tree under the key's newest version, and bring every copy to it.

    Nothing is forgotten and no data is sealed again. Rotate the key in Vault first; once this is done, no tree needs
    the older versions.
    """
    with explained(json_too=as_json), library_of(place) as library:
        _told(library, library.tree.root().key_version, place.key, as_json=as_json)


@key.command(epilog=EPILOG)
@click.option("--to-vault-addr", "address", metavar="URL", help="The other Vault (default: the same).")
@click.option("--to-vault-token-file", "token_file", type=_FILE, help="The token to log in there (default: the same).")
@click.option("--to-vault-role", "role", metavar="NAME", help="The role there (default: the same).")
@click.option("--to-vault-key", "key", metavar="NAME", help="The key's name there (default: the same).")
@click.option("--to-vault-ca-file", "ca_file", type=_FILE, help="The certificates to trust it by.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for programs.")
@place_options
def move(place: Place, as_json: bool, **given: Any) -> None:
    """Wrap the tree under another key, or under one in another Vault, and bring every copy to it.

    Stop the tenant's Gateway, let no erasure be under way, move, then start the Gateway with the new key. The new key's
    newest version must not be older than the tree's: versions never go back, so rotate the new key up to it first.
    """
    target = {name: value for name in _TARGETS if (value := given[name]) is not None}
    moved = place.model_copy(update={"vault": place.vault.model_copy(update={"key": place.key} | target)})
    with explained(json_too=as_json):
        if moved == place.model_copy(update={"vault": place.vault.model_copy(update={"key": place.key})}):
            raise BackupRefusedError("nothing says where to: give --to-vault-key, --to-vault-addr or both")
        wrapper = MovingKey(key_of(moved), key_of(place))
        with library_of(moved, wrapper) as library:
            version = library.tree.root().key_version
            try:
                _told(library, version, moved.key, as_json=as_json)
            except KeyVersionBehindError:
                raise KeyVersionBehindError(
                    f"the tree is wrapped under version {version}, and the newest of {moved.key} is older: rotate it "
                    f"up to {version} first, so that versions never go back"
                ) from None


def _told(library: Library, key_version: int, name: str, *, as_json: bool) -> None:
    done, made = rewrapping.rewrap(library.context, key_version)
    if as_json:
        show({"key": name, "keyVersion": done.key_version, "generation": done.generation, "copies": made})
        return
    click.echo(f"generation {done.generation} of the tree is wrapped under version {done.key_version} of {name}")
    for copy in made:
        click.echo(f"{copy.store} holds it")
