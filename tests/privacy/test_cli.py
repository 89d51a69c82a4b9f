"""The `imagint` command: exit codes, words for people, JSON for programs, and a start that imports little."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import textwrap
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from imagint_privacy import cli
from imagint_privacy import evidence as ev
from imagint_privacy.cli import main, rendering
from imagint_privacy.evidence import documents, fakes

SIGNER, STRANGER = fakes.LocalSigner(b"\x01" * 32), fakes.LocalSigner(b"\x02" * 32)
COMMITMENT = ev.commitment(fakes.HANDLE, fakes.SALT)
CERTIFICATE = ev.certify(ev.erasure_statement(fakes.erased(), subject=COMMITMENT), SIGNER)
HEAVY = (
    "ray",
    "torch",
    "sqlalchemy",
    "alembic",
    "hvac",
    "kopf",
    "kubernetes",
    "fastapi",
    "obstore",
    "rich",
    "imagint_dev",
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("IMAGINT_TRUST", raising=False)
    (tmp_path / "certificate.json").write_bytes(CERTIFICATE)
    (tmp_path / "evidence.pub").write_text(SIGNER.public_key())
    (tmp_path / "stranger.pub").write_text(STRANGER.public_key())
    return tmp_path


def run(*arguments: str | Path, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin)


def test_verified_under_the_given_key(folder: Path) -> None:
    result = run("verify", folder / "certificate.json", "--key", folder / "evidence.pub")
    assert result.exit_code == 0
    assert result.output.startswith("VERIFIED: the issuer certifies the erasure of the subject's data")
    for heading in ("Proven, by this file", "Claimed, on the issuer's signed word", "Not covered", "For the record"):
        assert heading in result.output
    assert "Until 2026-12-02T09:31:04Z" in result.output or "Since 2026-12-02T09:31:04Z" in result.output
    assert "\x1b" not in result.output


def test_verified_from_standard_input(folder: Path) -> None:
    assert run("verify", "-", "--key", folder / "evidence.pub", stdin=CERTIFICATE).exit_code == 0


def test_nothing_held_is_said_as_such(folder: Path) -> None:
    nothing = ev.certify(ev.erasure_statement(fakes.nothing_held(), subject=COMMITMENT), SIGNER)
    result = run("verify", "-", "--key", folder / "evidence.pub", stdin=nothing)
    assert result.output.startswith("VERIFIED: the issuer certifies that nothing was held")


def test_several_keys_may_be_given(folder: Path) -> None:
    keys = ("--key", folder / "stranger.pub", "--key", folder / "evidence.pub")
    assert run("verify", folder / "certificate.json", *keys).exit_code == 0


def test_refused_under_another_key(folder: Path) -> None:
    result = run("verify", folder / "certificate.json", "--key", folder / "stranger.pub")
    assert result.exit_code == 1
    assert "REFUSED" in result.output
    assert "none of the keys that you trust has signed it" in result.output


def test_refused_when_changed(folder: Path) -> None:
    envelope = json.loads(CERTIFICATE)
    envelope["payload"] = "e30="
    result = run("verify", "-", "--key", folder / "evidence.pub", stdin=json.dumps(envelope).encode())
    assert result.exit_code == 1
    assert "it was changed after signing" in result.output


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"\xff\xfe", b"[" * 300_000, b"x" * 600_000, b'{"a":1e999}'], ids=lambda c: repr(c[:8])
)
def test_refused_without_a_traceback_whatever_the_file_holds(folder: Path, content: bytes) -> None:
    result = run("verify", "-", "--key", folder / "evidence.pub", stdin=content)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert "REFUSED" in result.output


def test_each_contradiction_gets_its_line(folder: Path) -> None:
    statement = json.loads(ev.erasure_statement(fakes.erased(), subject=COMMITMENT))
    statement["predicate"]["key"].update(exportable=True, upsertDisabled=False)
    forced = ev.certify(documents.canonical(statement), SIGNER)
    result = run("verify", "-", "--key", folder / "evidence.pub", stdin=forced)
    assert result.exit_code == 1
    assert sum(line.startswith("  ✗") for line in result.output.splitlines()) == 2


def test_intact_but_nobody_is_trusted(folder: Path) -> None:
    result = run("verify", folder / "certificate.json")
    assert result.exit_code == 3
    assert "INTACT, BUT NOT VERIFIED" in result.output
    assert ev.public_key(SIGNER.public_key()).key_id in result.output


@pytest.mark.parametrize("place", ["named by $IMAGINT_TRUST", "in the home folder"])
def test_anchors_are_taken_from_the_folder(folder: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    anchors = folder / "home/.config/imagint/trust" if "home" in place else folder / "trust"
    anchors.mkdir(parents=True)
    if "home" not in place:
        monkeypatch.setenv("IMAGINT_TRUST", str(anchors))
    (anchors / "labs.pem").write_text(SIGNER.public_key())
    assert run("verify", folder / "certificate.json").exit_code == 0
    # A key that is named outright is the only one that counts.
    assert run("verify", folder / "certificate.json", "--key", folder / "stranger.pub").exit_code == 1
    (anchors / "labs.pem").write_text(STRANGER.public_key())
    assert run("verify", folder / "certificate.json").exit_code == 1


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("missing.json",),
        ("certificate.json", "--key", "missing.pub"),
        ("certificate.json", "--key", "certificate.json"),
        ("certificate.json", "--no-such-option"),
        (".",),
    ],
    ids=["no file", "a missing file", "a missing key", "a key that is none", "an unknown option", "a folder"],
)
def test_wrong_usage(folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]) -> None:
    monkeypatch.chdir(folder)
    result = run("verify", *arguments)
    assert result.exit_code == 2
    assert isinstance(result.exception, SystemExit)


def test_an_anchor_that_cannot_be_read_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "trust/folder.pem").mkdir(parents=True)
    monkeypatch.setenv("IMAGINT_TRUST", str(folder / "trust"))
    assert run("verify", folder / "certificate.json").exit_code == 2


def test_more_anchors_than_anybody_means_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "trust").mkdir()
    for number in range(257):
        (folder / f"trust/{number}.pem").write_text(SIGNER.public_key())
    monkeypatch.setenv("IMAGINT_TRUST", str(folder / "trust"))
    assert run("verify", folder / "certificate.json").exit_code == 2


def test_a_named_folder_of_anchors_must_exist(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGINT_TRUST", str(folder / "nowhere"))
    assert run("verify", folder / "certificate.json").exit_code == 2


@pytest.mark.parametrize(
    ("option", "fitting", "other"),
    [
        ("--tenant", "acme", "globex"),
        ("--request", fakes.erased().request.uid, "11111111-3f0e-4c0e-9c3e-2f8f6f0f2a11"),
        ("--digest", ev.digest(CERTIFICATE), "sha256:" + "0" * 64),
    ],
)
def test_a_genuine_one_of_something_else_is_refused(folder: Path, option: str, fitting: str, other: str) -> None:
    command = ("verify", folder / "certificate.json", "--key", folder / "evidence.pub", option)
    assert run(*command, fitting).exit_code == 0
    assert run(*command, other).exit_code == 1


def test_the_requester_can_show_that_it_is_about_them(folder: Path) -> None:
    command = ("verify", folder / "certificate.json", "--key", folder / "evidence.pub", "--subject", fakes.HANDLE)
    result = run(*command, "--salt", fakes.SALT)
    assert result.exit_code == 0
    assert "It is about the subject that you named" in result.output
    assert run(*command, "--salt", "0" * 64).exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "code", "verified", "refused"),
    [
        (("--key", "evidence.pub"), 0, True, None),
        (("--key", "stranger.pub"), 1, False, "signer_unknown"),
        ((), 3, False, "signer_untrusted"),
    ],
    ids=["verified", "refused", "untrusted"],
)
def test_programs_get_one_json_object_in_every_case(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    code: int,
    verified: bool,
    refused: str | None,
) -> None:
    monkeypatch.chdir(folder)
    result = run("verify", "certificate.json", "--json", *arguments)
    answer = json.loads(result.output)
    assert (result.exit_code, answer["verified"]) == (code, verified)
    assert answer.get("refused", {}).get("code") == refused
    assert ("findings" in answer) == (code != 1)


class Terminal:
    """Standard output as a terminal has it."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.text = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None: ...


def test_a_terminal_gets_colour_and_the_same_words(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("NO_COLOR", raising=False)
    report = ev.verify(CERTIFICATE, [SIGNER.public_key()], fakes.RECEIVED + fakes.SNAPSHOTS_KEPT)
    rendering.as_text(report, None)
    assert "\x1b[" in terminal.text
    assert "VERIFIED" in terminal.text
    assert "every probe passed" in terminal.text.replace("\n", " ")


def test_version() -> None:
    assert run("version").output.startswith("imagint ")


def test_version_of_a_bare_source_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    from imagint_privacy.cli.version import installed_version

    def nowhere(_: str) -> str:
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(metadata, "version", nowhere)
    assert installed_version() == "0+unknown"


def test_an_unknown_command_is_wrong_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "GUESTS", "imagint_nowhere.cli")
    result = run("verfiy")
    assert result.exit_code == 2
    assert "verfiy" in result.output


def guest(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    name = f"guests_of_{folder.name.replace('-', '_')}"
    (folder / f"{name}.py").write_text(textwrap.dedent(text))
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(cli, "GUESTS", name)


def test_commands_of_the_embedded_stack_join_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guest(
        tmp_path,
        monkeypatch,
        """
        import click
        @click.command()
        def up(): click.echo("started")
        @click.command()
        def verify(): click.echo("not ours")
        commands = [up, verify]
    """,
    )
    assert run("up").output == "started\n"
    assert "up" in run("--help").output
    assert "not ours" not in run("verify", "--help").output


def test_a_guest_that_cannot_be_imported_leaves_verify_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guest(tmp_path, monkeypatch, "import a_package_that_is_not_there")
    assert run("verify", "--help").exit_code == 0
    result = run("up")
    assert result.exit_code == 2
    assert "pip install 'imagint[dev]'" in result.output


def test_every_command_of_the_registry_exists() -> None:
    context = click.Context(main)
    assert isinstance(main, click.Group)
    assert all(main.get_command(context, name) is not None for name in cli.COMMANDS)


def test_verify_starts_within_a_second_and_imports_nothing_heavy(folder: Path) -> None:
    script = (
        "import sys; from imagint_privacy.cli import main\n"
        "try: main(sys.argv[1:])\n"
        f"except SystemExit as end: print([m for m in {HEAVY!r} if m in sys.modules], end.code, file=sys.stderr)"
    )
    command = [sys.executable, "-c", script, "verify", "certificate.json", "--key", "evidence.pub"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=folder, env=os.environ, capture_output=True, text=True, check=True, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.stderr.strip() == "[] 0"
    # The processor's time, not the wall's: this machine may be busy with other tests.
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert spent < 1.0


def test_an_output_without_these_signs_gets_question_marks_not_a_traceback(folder: Path) -> None:
    command = [sys.executable, "-m", "imagint_privacy.cli", "verify", "certificate.json", "--key", "evidence.pub"]
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert b"? The statement was signed" in done.stdout
