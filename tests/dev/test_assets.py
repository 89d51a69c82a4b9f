from __future__ import annotations

from pathlib import Path

import pytest

from imagint_dev import assets
from imagint_dev.errors import AssetsMissingError


def test_manifests_start_with_the_kinds_and_then_the_platform_namespace() -> None:
    names = [path.parent.name + "/" + path.name for path in assets.manifests()]
    first_policy = next(name for name in names if name.startswith("rbac/"))
    assert first_policy == "rbac/system.yaml"
    assert all(name.startswith("crds/") for name in names[: names.index(first_policy)])


def test_every_role_has_a_policy_of_its_name() -> None:
    assert set(assets.vault_policies()) == {"controller", "shredder", "prober", "dataplane"}


READS = ("encrypt", "decrypt", "rewrap", "datakey", "export", "backup", "sys/")


@pytest.mark.parametrize(
    ("policy", "forbidden"),
    [
        pytest.param(
            "controller",
            (*READS, "rotate", "trim", '/config"', "delete"),
            id="the controller neither reads nor destroys",
        ),
        pytest.param(
            "shredder",
            (*READS, "evidence"),
            id="the shredder neither reads nor signs",
        ),
        pytest.param(
            "dataplane", ("rotate", "trim", "config", "delete", "rewrap", "sys/"), id="the data plane never destroys"
        ),
        pytest.param(
            "prober", ("transit/decrypt", "transit/encrypt", "create", "delete"), id="the prober does neither"
        ),
    ],
)
def test_a_policy_names_no_right_that_it_must_not_have(policy: str, forbidden: tuple[str, ...]) -> None:
    rules = [line for line in assets.vault_policies()[policy].splitlines() if line.startswith('path "')]
    words = [line for line in assets.vault_policies()[policy].splitlines() if "capabilities" in line]
    text = "\n".join(rules + (words if policy != "shredder" else []))
    assert rules
    assert not [word for word in forbidden if word in text]


def test_a_wheel_finds_its_assets_beside_its_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "_assets" / "crds").mkdir(parents=True)
    monkeypatch.setattr(assets, "roots", lambda: (tmp_path / "nothing", tmp_path / "_assets"))
    assert assets.folder("crds") == tmp_path / "_assets" / "crds"


def test_an_incomplete_installation_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(assets, "roots", lambda: (tmp_path,))
    with pytest.raises(AssetsMissingError, match="policies/vault"):
        assets.vault_policies()
