"""What the operator renders is parsed strictly."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from imagint_serving.config import GatewayConfig, GatewaySettings, GeneratorConfig, HubSource, parse_size


def gateway_args() -> dict[str, Any]:
    return {
        "tenant": "acme",
        "namespace": "tenant-acme",
        "handover": "/state/handover/acme",
        "platform": "/state/handover/platform.json",
        "vault": {
            "address": "http://127.0.0.1:8200",
            "mount": "transit",
            "auth_mount": "kubernetes",
            "role": "dataplane",
            "key": "tenant-acme",
        },
        "storage": {
            "database": "sqlite:////state/data/acme/records.db",
            "objects": "file:///state/data/acme/objects",
            "tree_copies": ["file:///state/copies/acme"],
        },
        "cache_seconds": 5,
    }


def test_the_contracts_example_parses() -> None:
    config = GatewayConfig.model_validate(gateway_args())
    assert config.storage.tree_copies == ("file:///state/copies/acme",)


@pytest.mark.parametrize(
    ("block", "change"),
    [
        pytest.param(None, {"tennant": "x"}, id="a misspelt field is refused"),
        pytest.param("vault", {"token": "x"}, id="a credential has no place in the arguments"),
        pytest.param(None, {"tenant": "../acme"}, id="a tenant's name cannot climb out of a folder"),
        pytest.param(None, {"handover": "handover/acme"}, id="a relative path is refused"),
        pytest.param(None, {"cache_seconds": 0}, id="a cache without time is refused"),
        pytest.param(None, {"cache_seconds": 3600}, id="a cache of an hour is refused"),
        pytest.param("vault", {"address": "vault:8200"}, id="an address without scheme is refused"),
        pytest.param("storage", {"objects": "/objects"}, id="a store without scheme is refused"),
        pytest.param("storage", {"database": "postgresql://me:secret@db/x"}, id="a password in a URL is refused"),
    ],
)
def test_a_broken_gateway_config(block: str | None, change: dict[str, Any]) -> None:
    args = gateway_args()
    (args[block] if block else args).update(change)
    with pytest.raises(ValidationError):
        GatewayConfig.model_validate(args)


def test_settings_are_bounded_and_default_to_nothing_served() -> None:
    assert GatewaySettings().models == {}
    model = {"app": "acme.model.shapes", "max_pixels": 4096, "max_steps": 50, "default_steps": 12}
    settings = GatewaySettings.model_validate({"models": {"shapes": model}})
    assert settings.models["shapes"].default_size == "32x32"
    with pytest.raises(ValidationError):
        GatewaySettings.model_validate({"models": {"shapes": {**model, "default_size": "big"}}})


@pytest.mark.parametrize(
    ("source", "accepted"),
    [
        pytest.param({"type": "Bundled", "name": "shapes"}, True, id="a bundled model"),
        pytest.param({"type": "Path", "path": "/models/x"}, True, id="a folder"),
        pytest.param({"type": "Hub", "repository": "a/b", "revision": "main"}, True, id="a repository"),
        pytest.param({"type": "Path", "repository": "a/b"}, False, id="a folder without a path"),
        pytest.param({"type": "Ftp", "path": "/x"}, False, id="an unknown kind"),
    ],
)
def test_sources_of_a_model(source: dict[str, Any], accepted: bool) -> None:
    args = {"tenant": "acme", "model": "shapes", "source": source, "device": "cpu"}
    if not accepted:
        with pytest.raises(ValidationError):
            GeneratorConfig.model_validate(args)
        return
    assert GeneratorConfig.model_validate(args).source.type == source["type"]


def test_a_hub_model_keeps_its_revision() -> None:
    args = {"tenant": "a", "model": "m", "source": {"type": "Hub", "repository": "a/b", "revision": "f00"}}
    source = GeneratorConfig.model_validate(args).source
    assert isinstance(source, HubSource)
    assert source.revision == "f00"


@pytest.mark.parametrize("text", ["", "0x5", "5", "5x", "5X5", " 5x5", "5x5\n", "-5x5", "123456x1", "५x५"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="WIDTHxHEIGHT"):
        parse_size(text)
