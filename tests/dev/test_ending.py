"""Whatever ends a stack, nothing of it is left running; what was there before is used when named, and left as it was.

The small part `vault` stands for all where it can.
"""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from imagint_dev import processes
from imagint_dev.errors import AlreadyRunningError, SettingsError, StartFailedError
from imagint_dev.site import scratch_of
from imagint_dev.stack import CONTROL_PLANE, Stack, StackOptions
from imagint_dev.vaults import VaultServer

pytestmark = pytest.mark.stack

SMALL = {"vault"}
EVERY = {*CONTROL_PLANE, "ray", "projector", "prober", "operator"}
IMAGINT = [sys.executable, "-m", "imagint_privacy.cli"]


def until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds:g} s"
        time.sleep(0.02)


def without(parts: set[str] | frozenset[str]) -> list[str]:
    return [word for part in sorted(parts) for word in ("--without", part)]


def everything_of(stack: Stack) -> list[int]:
    return processes.marked(str(stack.record()["id"]))


def imagint(*arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*IMAGINT, *arguments], capture_output=True, text=True, timeout=timeout, check=False)


@pytest.mark.parametrize("victim", ["supervisor", "watchdog"])
def test_killing_supervisor_or_watchdog_leaves_nothing(tmp_path: Path, victim: str) -> None:
    stack = Stack(tmp_path)
    stack.up(parts=SMALL)
    assert len(everything_of(stack)) >= 2
    os.kill(int(stack.record()[victim]["pid"]), signal.SIGKILL)
    until(lambda: not stack.is_running())
    assert not everything_of(stack)
    stack.down(purge=True)


def test_a_stack_that_was_killed_starts_again_with_its_data(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    stack.up(parts=SMALL)
    ports = stack.record()["ports"]
    os.kill(int(stack.record()["supervisor"]["pid"]), signal.SIGKILL)
    until(lambda: not stack.is_running())
    stack.up(parts=SMALL)
    assert stack.record()["ports"] == ports
    stack.down(purge=True)


def test_a_stack_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    start = f"Stack({str(tmp_path)!r}).up(parts={{'vault'}})"
    code = f"from imagint_dev.stack import Stack; {start}; print('up', flush=True); input()"
    owner = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"up\n"
        stack = Stack(tmp_path)
        assert everything_of(stack)
        owner.kill()
    until(lambda: not stack.is_running())
    assert not everything_of(stack)


def test_ctrl_c_while_starting_leaves_nothing(tmp_path: Path) -> None:
    command = [*IMAGINT, "up", "--state", str(tmp_path), *without(EVERY - CONTROL_PLANE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as starting:
        stack = Stack(tmp_path)
        until(lambda: bool(stack.record().get("parts")) and bool(stack.pid("etcd")))
        starting.send_signal(signal.SIGINT)
        assert starting.wait(timeout=30) != 0
    assert not stack.is_running()
    assert not everything_of(stack)


@pytest.mark.skipif(shutil.which("go") is None, reason="no Go on PATH: building would first install it")
def test_ctrl_c_while_building_leaves_nothing(tmp_path: Path) -> None:
    caches = {"XDG_CACHE_HOME": str(tmp_path), "GOCACHE": str(tmp_path / "go"), "IMAGINT_TEST_BUILD": str(tmp_path)}
    modules = subprocess.run(["go", "env", "GOMODCACHE"], capture_output=True, text=True, timeout=30, check=False)
    caches["GOMODCACHE"] = modules.stdout.strip()

    def compiling() -> list[str]:
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get("IMAGINT_TEST_BUILD") == str(tmp_path):
                    found.append(process.name())
        return found

    with subprocess.Popen([*IMAGINT, "build"], env=os.environ | caches, stdout=subprocess.DEVNULL) as building:
        try:
            until(lambda: any(name in ("compile", "asm") for name in compiling()), seconds=120)
            building.send_signal(signal.SIGINT)
            assert building.wait(timeout=30) != 0
            assert not compiling()
        finally:
            building.kill()
    assert not list(tmp_path.rglob("*.part"))


def test_two_stacks_side_by_side_never_meet(tmp_path: Path) -> None:
    one, two = Stack(tmp_path / "one"), Stack(tmp_path / "two")
    one.up(parts=SMALL)
    two.up(parts=SMALL)
    assert not set(one.record()["ports"].values()) & set(two.record()["ports"].values())
    assert not set(everything_of(one)) & set(everything_of(two))
    one.down(purge=True)
    assert two.is_running()
    two.wait_ready("vault", timeout=5)
    two.down(purge=True)


def test_one_folder_has_one_stack(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    stack.up(parts=SMALL)
    with pytest.raises(AlreadyRunningError):
        Stack(tmp_path).up(parts=SMALL)
    stack.down(purge=True)


def test_a_part_that_cannot_start_ends_all_and_says_why(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    tmp_path.joinpath("lock").touch()
    tmp_path.joinpath("vault").mkdir()
    tmp_path.joinpath("vault", "storage").write_text("a file where a folder should be")
    with pytest.raises(StartFailedError, match=r"vault cannot start(.|\n)*not a directory"):
        stack.up(parts=SMALL)
    assert not stack.is_running()
    assert not everything_of(stack)


def test_a_folder_of_somebody_else_is_never_used_nor_removed(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(SettingsError, match="not a state folder"):
        Stack(tmp_path).up(parts=SMALL)
    with pytest.raises(SettingsError, match="left alone"):
        Stack(tmp_path).down(purge=True)
    assert (tmp_path / "thesis.txt").exists()


def test_the_command_line_from_up_to_down(tmp_path: Path) -> None:
    state = ["--state", str(tmp_path / "stack")]
    assert imagint("status", *state).returncode == 3
    up = imagint("up", *state, *without(EVERY - SMALL))
    assert up.returncode == 0, up.stdout + up.stderr
    assert "ready after" in up.stdout
    again = imagint("up", *state, *without(EVERY - SMALL))
    assert "already running" in again.stdout
    shown = imagint("status", *state)
    assert shown.returncode == 0
    assert "vault" in shown.stdout
    assert "export VAULT_ADDR=http://127.0.0.1:" in imagint("env", *state).stdout
    assert imagint("down", "--purge", *state).stdout == "stopped, folder removed\n"
    assert imagint("down", *state).stdout == "nothing was running\n"
    assert not (tmp_path / "stack").exists()


def test_a_cluster_that_exists_is_used_when_it_is_named(tmp_path: Path, control_plane: Stack) -> None:
    stack = Stack(tmp_path)
    stack.up(options=StackOptions(parts=frozenset(CONTROL_PLANE), kubeconfig=control_plane.kubeconfig))
    assert stack.url("api") == control_plane.url("api")
    assert set(stack.record()["parts"]) == {"vault", "platform", "identities", "keys"}
    assert stack.vault_as("controller", "imagint-system", "imagint-controller").call("GET", "transit/config/keys")
    stack.down(purge=True)


def test_a_vault_that_exists_is_set_up_with_the_token_that_is_named(tmp_path: Path, control_plane: Stack) -> None:
    theirs, ours = Stack(tmp_path / "theirs"), Stack(tmp_path / "ours")
    theirs.up(parts=SMALL)
    vault = VaultServer(theirs.url("vault"))
    key, token = vault.initialise()
    vault.unseal(key)
    (tmp_path / "token").write_text(token)
    named = {"vault_address": theirs.url("vault"), "vault_token_file": tmp_path / "token"}
    options = {"parts": CONTROL_PLANE, "kubeconfig": control_plane.kubeconfig, **named}
    ours.up(options=StackOptions.model_validate(options))
    assert set(ours.record()["parts"]) == {"platform", "identities", "keys"}
    assert ours.vault_as("prober", "imagint-system", "imagint-prober")
    assert vault.with_token(token).call("GET", "sys/mounts"), "their token was revoked"
    assert not (ours.folder.vault / "unseal-key").exists()
    ours.down(purge=True)
    theirs.down(purge=True)


def test_ray_stays_on_this_machine_asks_for_its_token_and_recovers(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    stack.up(parts={"ray"})
    url, bearer = (
        f"{stack.url('ray_dashboard')}/api/serve/applications/",
        {"Authorization": f"Bearer {stack.ray_token}"},
    )
    assert httpx.get(url, timeout=20).status_code == 401
    assert httpx.get(url, headers=bearer, timeout=20).json()["http_options"]["port"] == stack.record()["ports"]["serve"]
    first = set(processes.marked(str(stack.record()["id"]), "ray"))
    assert not [address for address in listening(first) if not address.startswith("127.")]
    stack.kill("ray")
    stack.wait_ready("ray", timeout=90)
    assert not first & set(processes.marked(str(stack.record()["id"]), "ray"))
    scratch = scratch_of(str(stack.record()["id"]))
    assert stat.S_IMODE(scratch.stat().st_mode) == 0o700
    os.kill(int(stack.record()["supervisor"]["pid"]), signal.SIGKILL)
    until(lambda: not stack.is_running())
    assert not everything_of(stack)
    assert not scratch.exists()


def listening(pids: set[int]) -> set[str]:
    """The addresses on which these processes accept TCP connections."""
    found = psutil.net_connections("tcp")
    addresses = {str(getattr(c.laddr, "ip", "")) for c in found if c.status == psutil.CONN_LISTEN and c.pid in pids}
    return {address.removeprefix("::ffff:") for address in addresses}
