"""Writes the CRD manifests: `python -m imagint_operator.api.generate DIR`, or `--check DIR` to find drift.

The only writer of `crds/`. Reads nothing but the types.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import yaml

from imagint_operator.api.crds import DEFINITIONS, manifest

HEADER = "# Generated from imagint_operator.api by `make crds`. Change the types, not this file.\n"


def manifests() -> dict[str, str]:
    """The text of every file of `crds/`, by its name."""
    return {
        f"{definition.plural}.yaml": HEADER + yaml.safe_dump(manifest(definition), sort_keys=False, width=120)
        for definition in DEFINITIONS
    }


def drift(folder: Path) -> list[str]:
    """The names of the files in `folder` that are missing, stale or not ours."""
    wanted = manifests()
    found = {path.name: path.read_text() for path in folder.glob("*.yaml")}
    return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))


def main(arguments: list[str] | None = None) -> int:
    """Write the manifests, or report drift."""
    parser = argparse.ArgumentParser(description="Write the CustomResourceDefinitions")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--check", action="store_true", help="change nothing; fail when a file differs from the types")
    options = parser.parse_args(arguments)
    if options.check:
        stale = drift(options.folder)
        for name in stale:
            print(f"{options.folder / name} differs from the types: run `make crds`", file=sys.stderr)
        return 1 if stale else 0
    options.folder.mkdir(parents=True, exist_ok=True)
    for name, text in manifests().items():
        (options.folder / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
