"""The admission policies in one of their modes: first Warn, which tells and records, then Deny, which refuses.

`python -m imagint_dev.admission Warn | kubectl apply -f -` puts a cluster's bindings into a mode, and `imagint up
--admission` the embedded stack's. The files say Deny, so that applying them as they are is safe. With server-side
apply, keep to one field manager: the actions are a set, and what another manager put there would stay.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from imagint_dev import assets

BINDING = "ValidatingAdmissionPolicyBinding"


class Mode(StrEnum):
    """What a binding does when its policy is not kept."""

    WARN = "Warn"
    DENY = "Deny"

    @property
    def actions(self) -> list[str]:
        """Both leave a record in the audit log; the API allows Warn and Deny not together."""
        return [self.value, "Audit"]


def in_mode(objects: Iterable[dict[str, Any]], mode: Mode) -> list[dict[str, Any]]:
    """The same objects, their bindings in this mode."""
    return [_bound(found, mode) if found["kind"] == BINDING else found for found in objects]


def _bound(binding: dict[str, Any], mode: Mode) -> dict[str, Any]:
    return {**binding, "spec": {**binding["spec"], "validationActions": mode.actions}}


def rendered(files: Iterable[Path], mode: Mode) -> str:
    """The policies and their bindings as YAML, in this mode."""
    objects = [found for path in files for found in yaml.safe_load_all(path.read_text()) if found]
    return yaml.safe_dump_all(in_mode(objects, mode), sort_keys=False, width=120)


def main(arguments: list[str]) -> int:
    """Print the policies in the mode that is named; exit status 2 when none is."""
    known = [mode.value for mode in Mode]
    if len(arguments) != 1 or arguments[0] not in known:
        print(f"usage: python -m imagint_dev.admission {'|'.join(known)}", file=sys.stderr)
        return 2
    print(rendered(assets.admission_policies(), Mode(arguments[0])), end="")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
