"""What is built, with which flags, and where it is kept. No process is started here."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

from imagint_dev import assets
from imagint_dev.errors import AssetsMissingError

_SOURCES = ("go.mod", "go.sum", "main.go")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True, slots=True)
class Binary:
    """One program: the Go package it comes from, the module that pins it, the linker's extra values."""

    name: str
    package: str
    module: Path
    ldflags: str = "-s -w"

    def flags(self) -> tuple[str, ...]:
        """The flags of `go build`."""
        return ("-trimpath", "-ldflags", self.ldflags)


def go_version(module: Path) -> tuple[int, ...]:
    """The Go version that a module asks for.

    Raises:
        AssetsMissingError: its go.mod is missing or says nothing.
    """
    try:
        found = re.search(r"^go (\d+(?:\.\d+)*)", (module / "go.mod").read_text(), re.MULTILINE)
    except OSError as error:
        raise AssetsMissingError(f"cannot read {module / 'go.mod'}: {error.strerror}") from error
    if not found:
        raise AssetsMissingError(f"{module / 'go.mod'} names no Go version")
    return tuple(int(number) for number in found.group(1).split("."))


def kubernetes_version(module: Path) -> str:
    """The version of k8s.io/kubernetes that the module pins, such as v1.36.3."""
    found = re.search(r"^\s*k8s\.io/kubernetes (v\S+)", (module / "go.mod").read_text(), re.MULTILINE)
    if not found:
        raise AssetsMissingError(f"{module / 'go.mod'} does not pin k8s.io/kubernetes")
    return found.group(1)


def programs() -> tuple[Binary, ...]:
    """Every program of the stack, the quickest to build last."""
    kubernetes, vault = assets.module("kubernetes"), assets.module("vault")
    version = kubernetes_version(kubernetes)
    major, minor = version.removeprefix("v").split(".")[:2]
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    stamped = "-s -w" + "".join(f" -X k8s.io/component-base/version.{key}={value}" for key, value in values.items())
    commands = ("kube-apiserver", "kube-controller-manager", "kubectl")
    return (
        *(Binary(name, f"k8s.io/kubernetes/cmd/{name}", kubernetes, stamped) for name in commands),
        Binary("etcd", "go.etcd.io/etcd/server/v3", kubernetes),
        Binary("vault", ".", vault),
    )


def cache_root(environment: dict[str, str] | None = None) -> Path:
    """Where built things are kept: ${XDG_CACHE_HOME:-~/.cache}/imagint."""
    variables = dict(os.environ) if environment is None else environment
    base = variables.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "imagint"


def digest(module: Path, machine: str | None = None) -> str:
    """Changes whenever the programs of a module would: its sources, the flags of all its programs, the architecture."""
    seen = hashlib.sha256()
    flags = [(b.name, b.package, b.flags()) for b in programs() if b.module == module]
    seen.update(json.dumps([flags, architecture(machine)]).encode())
    for name in _SOURCES:
        if (source := module / name).is_file():
            content = source.read_bytes()
            seen.update(f"\0{name}\0{len(content)}\0".encode() + content)
    return seen.hexdigest()[:24]


def architecture(machine: str | None = None) -> str:
    """Go's name of this machine's architecture."""
    name = machine or platform.machine()
    return _ARCHITECTURES.get(name, name)


def path_of(name: str) -> Path:
    """Where a program is, or will be once it is built."""
    binary = next(b for b in programs() if b.name == name)
    return cache_root() / "bin" / digest(binary.module) / name


def missing() -> tuple[Binary, ...]:
    """The programs that are not built yet."""
    return tuple(b for b in programs() if not path_of(b.name).is_file())
