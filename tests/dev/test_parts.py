from __future__ import annotations

from pathlib import Path

import pytest

from imagint_dev import ports
from imagint_dev.errors import SettingsError
from imagint_dev.folder import StateFolder
from imagint_dev.keeper import next_delay
from imagint_dev.options import CONTROL_PLANE, EVERYTHING, StackOptions
from imagint_dev.parts import Part, layers, plan
from imagint_dev.processes import scrubbed
from imagint_dev.site import Site, scratch_of
from imagint_operator.settings import from_environment

PORTS = {name: 20000 + number for number, name in enumerate(ports.NAMES)}


def parts_of(options: StackOptions) -> dict[str, Part]:
    folder = StateFolder(Path("/state"))
    site = Site(
        "0123456789abcdef", folder, PORTS, options, "https://127.0.0.1:1", "http://127.0.0.1:2", folder.kubeconfig
    )
    return {part.name: part for part in plan(site, {"PATH": "/bin"})}


def test_a_whole_stack_has_every_part() -> None:
    assert set(parts_of(StackOptions())) == EVERYTHING


@pytest.mark.parametrize(
    ("options", "absent"),
    [
        pytest.param({"kubeconfig": Path("/k")}, {"etcd", "apiserver", "controller-manager"}, id="a foreign cluster"),
        pytest.param({"vault_address": "https://v"}, {"vault"}, id="a foreign Vault"),
        pytest.param({"ray_dashboard": "http://r:8265"}, {"ray"}, id="a foreign Ray"),
    ],
)
def test_what_somebody_else_runs_is_not_started(options: dict[str, object], absent: set[str]) -> None:
    assert set(parts_of(StackOptions.model_validate(options))) == EVERYTHING - absent


def test_everything_listens_on_this_machine_only() -> None:
    for part in parts_of(StackOptions()).values():
        addresses = [word for word in part.argv if "listen" in word or "address=" in word or "host=" in word]
        assert not [word for word in addresses if "127.0.0.1" not in word and "port=" not in word]


def test_every_process_carries_the_marks_by_which_it_is_found() -> None:
    for name, part in parts_of(StackOptions()).items():
        assert part.environment["IMAGINT_STACK"] == "0123456789abcdef"
        assert part.environment["IMAGINT_PART"] == name


def test_no_secret_stands_on_a_command_line_or_in_an_environment() -> None:
    for part in parts_of(StackOptions()).values():
        values = [value for key, value in part.environment.items() if "TOKEN" in key and not value.startswith("/")]
        assert set(values) <= {"token"} or not values
        assert not [word for word in part.argv if "password" in word or "token=" in word]


def test_extra_variables_reach_one_part_only() -> None:
    made = parts_of(StackOptions(environment={"operator": {"IMAGINT_FAULT": "trim"}}))
    assert made["operator"].environment["IMAGINT_FAULT"] == "trim"
    assert "IMAGINT_FAULT" not in made["ray"].environment


def test_the_operator_is_told_everything_it_needs_and_each_identity_has_files_of_its_own() -> None:
    settings = from_environment(parts_of(StackOptions())["operator"].environment)
    homes = [settings.kubeconfig, settings.provisioner_kubeconfig, settings.shredder_kubeconfig]
    assert [path.parent.name for path in homes] == ["imagint-controller", "imagint-provisioner", "imagint-shredder"]
    assert settings.shredder_vault_token_file.parent == settings.shredder_kubeconfig.parent
    assert settings.vault_token_file.parent == settings.kubeconfig.parent


def test_the_operator_stops_first_and_etcd_last() -> None:
    made = layers(tuple(parts_of(StackOptions()).values()))
    assert made[0] == ["operator", "prober", "projector"]
    assert made[-2:] == [["apiserver"], ["etcd"]]
    assert {name for layer in made for name in layer} == EVERYTHING


def test_the_ambient_servers_are_scrubbed() -> None:
    ambient = {"KUBECONFIG": "k", "VAULT_ADDR": "v", "VAULT_TOKEN": "t", "BAO_ADDR": "b", "RAY_ADDRESS": "r"}
    kept = scrubbed(ambient | {"PATH": "/bin", "ETCD_NAME": "e", "IMAGINT_VAULT_ADDR": "i", "NO_PROXY": "corp"})
    assert kept == {"PATH": "/bin", "NO_PROXY": "corp,127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}


def test_a_socket_below_the_scratch_folder_has_a_short_enough_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: "/a/very/long/folder/for/temporary/files")
    session = "session_2026-11-23_21-06-20_143522_4194304/sockets/plasma_store.1"
    assert len(str(scratch_of("0" * 32) / "r" / session)) < 107


def test_restarts_come_later_and_later_until_a_part_lives_long() -> None:
    delays, delay = [], 0.0
    for _ in range(7):
        delay = next_delay(delay, 0.1)
        delays.append(delay)
    assert delays == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert next_delay(8.0, 31.0) == 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"vault_address": "http://v"}, "--vault-token-file", id="a Vault without a token"),
        pytest.param({"ray_dashboard": "http://r"}, "--ray-token-file", id="a Ray without a token"),
        pytest.param({"parts": CONTROL_PLANE - {"etcd"}}, "etcd", id="an apiserver without etcd"),
        pytest.param({"kubeconfig": Path("/nowhere")}, "not a file", id="a kubeconfig that is not there"),
    ],
)
def test_options_that_do_not_fit_are_refused_at_once(options: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        StackOptions.model_validate(options).check()


def test_a_bare_installation_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagint_dev.options.find_spec", lambda name: None if name == "torch" else object())
    with pytest.raises(SettingsError, match=r"imagint\[dev\]"):
        StackOptions().check()
