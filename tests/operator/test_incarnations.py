"""Only a process that ran where we can look is ever said to be gone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from imagint_operator.incarnations import certainly_gone, own_name


def named(pid: int, began: str) -> str:
    host, boot, space, *_ = own_name().rsplit("_", 4)
    return f"{host}_{boot}_{space}_{pid}_{began}"


def fields(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def test_this_process_is_not_gone() -> None:
    assert not certainly_gone(own_name())


def test_a_process_that_was_killed_is_gone_even_before_its_parent_asks() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        name = named(child.pid, fields(child.pid)[19])
        assert not certainly_gone(name)
        child.kill()
        while fields(child.pid)[0] not in "ZX":
            pass
        assert certainly_gone(name)
    assert certainly_gone(name)


def test_a_number_that_was_given_to_another_process_is_gone() -> None:
    parts = own_name().rsplit("_", 1)
    assert certainly_gone(f"{parts[0]}_{int(parts[1]) - 1}")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("", id="nobody"),
        pytest.param("pod-7", id="a name of another kind"),
        pytest.param("host_0123456789ab_4026531836_1_5", id="another boot"),
        pytest.param("host_a_b_c_d", id="no numbers"),
        pytest.param("_".join(own_name().rsplit("_", 4)[:3]) + "x_1_5", id="another namespace of processes"),
    ],
)
def test_of_any_other_nothing_is_concluded(name: str) -> None:
    assert not certainly_gone(name)


@pytest.mark.parametrize(
    ("options", "concluded"),
    [
        pytest.param("rw,relatime", True, id="everybody is seen"),
        pytest.param("rw,hidepid=off", True, id="said so"),
        pytest.param("rw,hidepid=invisible", False, id="the processes of others are left out"),
        pytest.param("rw,hidepid=1", False, id="or may not be looked at"),
    ],
)
def test_where_processes_are_hidden_nothing_is_concluded(tmp_path: Path, options: str, concluded: bool) -> None:
    """A leader of another user would be taken for dead while it works."""
    (tmp_path / "sys/kernel/random").mkdir(parents=True)
    (tmp_path / "sys/kernel/random/boot_id").write_text("01234567-89ab")
    (tmp_path / "self/ns").mkdir(parents=True)
    (tmp_path / "self/ns/pid").write_text("")
    (tmp_path / "self/mounts").write_text(f"proc /proc proc {options} 0 0\n")
    space = (tmp_path / "self/ns/pid").stat().st_ino
    assert certainly_gone(f"host_0123456789ab_{space}_7_5", tmp_path) is concluded
