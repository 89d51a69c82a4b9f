"""The operator says, all at once, which settings are missing or wrong."""

from __future__ import annotations

import pytest

from imagint_operator.errors import SettingsError
from imagint_operator.settings import Settings, from_environment, variable

GIVEN = {
    "IMAGINT_KUBECONFIG": "/k", "IMAGINT_VAULT_ADDR": "http://v", "IMAGINT_VAULT_TOKEN_FILE": "/t",
    "IMAGINT_PROVISIONER_KUBECONFIG": "/p", "IMAGINT_SHREDDER_KUBECONFIG": "/s",
    "IMAGINT_SHREDDER_VAULT_TOKEN_FILE": "/t",
    "IMAGINT_RAY_DASHBOARD": "http://r", "IMAGINT_RAY_TOKEN_FILE": "/t", "IMAGINT_SERVE_URL": "http://s",
    "IMAGINT_PROBER_URL": "http://p", "IMAGINT_DATAPLANE_TOKEN_FILE": "/t", "IMAGINT_PROBER_TOKEN_FILE": "/t",
    "IMAGINT_HANDOVER": "/h", "IMAGINT_DATA_ROOT": "/d", "IMAGINT_COPIES_ROOT": "/c",
}  # fmt: skip


def test_the_contracts_variables_are_enough() -> None:
    assert from_environment(GIVEN).metrics_port == 0


def test_every_missing_setting_is_named() -> None:
    with pytest.raises(SettingsError) as caught:
        from_environment({})
    required = [name for name, field in Settings.model_fields.items() if field.is_required()]
    assert all(variable(name) in str(caught.value) for name in required)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("IMAGINT_VAULT_ADDR", "vault:8200", id="an address without a scheme"),
        pytest.param("IMAGINT_METRICS_PORT", "70000", id="a port that does not exist"),
        pytest.param("IMAGINT_RESYNC_SECONDS", "0", id="a resync without a pause"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        from_environment(GIVEN | {name: value})


def test_the_ambient_kubeconfig_is_never_used() -> None:
    with pytest.raises(SettingsError, match="IMAGINT_KUBECONFIG"):
        from_environment(
            {name: value for name, value in GIVEN.items() if name != "IMAGINT_KUBECONFIG"} | {"KUBECONFIG": "/x"}
        )
