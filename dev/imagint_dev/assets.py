"""Finds the files that the stack needs beside its code: CRDs, policies, Go modules, pinned requirements.

In a wheel they lie below `imagint_dev/_assets`, in an editable installation in the repository. Both are looked at in
this order; nothing is ever downloaded in their stead.
"""

from __future__ import annotations

from pathlib import Path

from imagint_dev.errors import AssetsMissingError

_PACKAGE = Path(__file__).parent


def roots() -> tuple[Path, ...]:
    """Where assets may be: in a wheel's own folder, else in the repository of an editable installation."""
    return (_PACKAGE / "_assets", _PACKAGE.parent.parent)


def folder(*names: str) -> Path:
    """The folder of that name.

    Raises:
        AssetsMissingError: the installation is incomplete.
    """
    for root in roots():
        if (found := root.joinpath(*names)).is_dir():
            return found
    raise AssetsMissingError(f"{'/'.join(names)} is missing from this installation of imagint")


def file(*names: str) -> Path:
    """The file of that name.

    Raises:
        AssetsMissingError: the installation is incomplete.
    """
    for root in roots():
        if (found := root.joinpath(*names)).is_file():
            return found
    raise AssetsMissingError(f"{'/'.join(names)} is missing from this installation of imagint")


def manifests() -> list[Path]:
    """What makes a cluster ready for Imagint, in the order in which to apply it."""
    return [
        *sorted(folder("crds").glob("*.yaml")),
        *sorted(folder("policies", "rbac").glob("*.yaml"), key=lambda path: (path.name != "system.yaml", path.name)),
        *admission_policies(),
    ]


def admission_policies() -> list[Path]:
    """The admission policies with their bindings."""
    return sorted(folder("policies", "admission").glob("*.yaml"))


def vault_policies() -> dict[str, str]:
    """The texts of the Vault policies, by name."""
    return {path.stem: path.read_text() for path in sorted(folder("policies", "vault").glob("*.hcl"))}


def module(name: str) -> Path:
    """The folder of a Go module that ships with this package."""
    return _PACKAGE / "go" / name
