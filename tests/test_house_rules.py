"""What CONTRIBUTING says about the shape of the code, checked over every tracked file."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("privacy", "operator", "serving", "dev", "bench")
LONGEST_FILE, LONGEST_FUNCTION = 400, 40


def tracked(pattern: str) -> list[Path]:
    """Files git knows or would add, so that a new file is held to the rules before it is committed."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", pattern]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=30).stdout.split()
    return [ROOT / name for name in sorted(set(names)) if (ROOT / name).is_file()]


SOURCES = [path for path in tracked("*.py") if path.relative_to(ROOT).parts[0] in PACKAGES]
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST) -> Iterator[FunctionNode]:
    return (node for node in ast.walk(tree) if isinstance(node, FunctionNode))


def body_lines(node: FunctionNode) -> int:
    """Lines of the body without its docstring."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_no_source_file_is_longer_than_the_cap() -> None:
    long = {
        str(p.relative_to(ROOT)): n for p in tracked("*.py") if (n := len(p.read_text().splitlines())) > LONGEST_FILE
    }
    assert not long


def test_no_function_body_is_longer_than_the_cap() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{node.name} ({body_lines(node)})"
        for path in SOURCES
        for node in functions(ast.parse(path.read_text()))
        if body_lines(node) > LONGEST_FUNCTION
    ]
    assert not long


def test_every_module_says_what_it_is_for() -> None:
    silent = [p for p in SOURCES if p.read_text().strip() and ast.get_docstring(ast.parse(p.read_text())) is None]
    assert not [str(p.relative_to(ROOT)) for p in silent]


def test_nothing_shadows_the_standard_library_or_breaks_the_import_mode() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists()
    assert not [p for p in tracked("tests/*") if p.name == "__init__.py"]


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param(r"--(extra-)?index-url", id="no index is named"),
        pytest.param(r'"resolved": *"http', id="no npm lock records an address"),
        pytest.param(r"https?://[^ \"']*\.(whl|tgz|crate|deb)\b", id="no download address is recorded"),
    ],
)
def test_files_hold_no_download_addresses(pattern: str) -> None:
    needle = re.compile(pattern)
    texts = [p for p in tracked("*") if p.suffix not in {".png", ".safetensors"} and p != Path(__file__).resolve()]
    assert not [str(p.relative_to(ROOT)) for p in texts if needle.search(p.read_text(errors="replace"))]


def test_nothing_is_left_open_in_the_tree() -> None:
    words = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|NotImplemented" + r"Error)\b")
    assert not [str(p.relative_to(ROOT)) for p in tracked("*.py") if words.search(p.read_text())]


def test_a_module_is_not_named_after_a_drawer() -> None:
    drawers = {"utils.py", "util.py", "common.py", "helpers.py", "helper.py", "manager.py", "misc.py"}
    assert not [str(p.relative_to(ROOT)) for p in SOURCES if p.name in drawers]
