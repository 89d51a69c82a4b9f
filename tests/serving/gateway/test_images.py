"""The Images API through the official client: made, sealed, handed over, read back."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import pytest
from openai import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    InternalServerError,
    NotFoundError,
    OpenAI,
    RateLimitError,
)
from starlette.testclient import TestClient

from imagint_privacy.subjects import SUBJECT_PATTERN
from imagint_serving.config import GatewaySettings, Limits
from imagint_serving.gateway.fakes import colour, solid_png
from imagint_serving.gateway.rigs import TenantRig


@pytest.fixture
def openai(client: TestClient, acme: TenantRig) -> OpenAI:
    return OpenAI(api_key=acme.key, base_url="http://gateway/acme/v1", http_client=client, max_retries=0)


def png_of(image: Any) -> bytes:
    return base64.b64decode(image.b64_json)


def test_the_official_client_makes_an_image_unchanged(openai: OpenAI) -> None:
    answer = openai.images.with_raw_response.generate(
        prompt="a red circle on blue", model="shapes", size="32x32", user="jane@example.com"
    )
    images = answer.parse()
    assert images.data is not None
    assert png_of(images.data[0]) == solid_png(32, 32, colour("a red circle on blue", 42))
    assert (images.size, images.output_format, images.background) == ("32x32", "png", "opaque")
    assert re.fullmatch(SUBJECT_PATTERN, answer.headers["x-imagint-subject"])
    assert answer.headers["x-request-id"].startswith("req_")
    assert answer.headers["cache-control"] == "no-store"


def test_everything_that_makes_sense_reaches_the_generator(openai: OpenAI, acme: TenantRig) -> None:
    openai.images.generate(
        prompt="a wish",
        model="shapes",
        n=2,
        size="64x32",
        quality="high",
        extra_body={"seed": 9, "negative_prompt": "rain", "guidance": 3.5},
    )
    (call,) = acme.generators.calls
    assert (call.prompt, call.negative_prompt, call.guidance) == ("a wish", "rain", 3.5)
    assert (call.width, call.height, call.steps, call.seeds) == (64, 32, 18, (9, 10))


def test_images_are_read_back_as_they_were_made(openai: OpenAI, client: TestClient, acme: TenantRig) -> None:
    made = openai.images.generate(prompt="a wish", model="shapes", n=2, user="jane", extra_body={"seed": 5})
    listed = client.get("/v1/images", params={"user": " JANE "}, headers=acme.bearer).json()
    assert made.data is not None
    ids = {image.model_extra["id"] for image in made.data if image.model_extra}
    assert {entry["id"] for entry in listed["data"]} == ids
    for image in made.data:
        assert image.model_extra is not None
        path = f"/v1/images/{image.model_extra['id']}"
        shown = client.get(path, headers=acme.bearer).json()
        assert (shown["prompt"], shown["seed"]) == ("a wish", image.model_extra["seed"])
        assert shown["b64_json"] == image.b64_json
        content = client.get(f"{path}/content", headers=acme.bearer)
        assert (content.content, content.headers["content-type"]) == (png_of(image), "image/png")


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        pytest.param({"user": "jane"}, {"user": "Jane "}, True, id="however it is typed, a person is one"),
        pytest.param({"user": "jane"}, {"safety_identifier": "jane"}, True, id="by either name"),
        pytest.param({"user": "x", "safety_identifier": "jane"}, {"user": "jane"}, True, id="safety_identifier wins"),
        pytest.param({"user": "jane", "safety_identifier": ""}, {"user": "jane"}, True, id="unless it is empty"),
        pytest.param({"user": "jane"}, {"user": "john"}, False, id="two people are two"),
        pytest.param({}, {"user": ""}, True, id="without a person it is the key's own subject"),
        pytest.param({}, {"user": "jane"}, False, id="which is not a person"),
    ],
)
def test_whose_image_it_is(
    client: TestClient, acme: TenantRig, first: dict[str, str], second: dict[str, str], same: bool
) -> None:
    subjects = [
        client.post("/v1/images/generations", json={"prompt": "a", **who}, headers=acme.bearer).headers[
            "x-imagint-subject"
        ]
        for who in (first, second)
    ]
    assert (subjects[0] == subjects[1]) is same


def test_a_handle_is_told_to_the_tenant_and_matches_its_images(client: TestClient, acme: TenantRig) -> None:
    body = {"prompt": "a", "user": "jane"}
    made = client.post("/v1/images/generations", json=body, headers=acme.bearer)
    told = client.post("/v1/privacy/handles", json={"identifier": "JANE"}, headers=acme.bearer).json()
    assert told["subject"] == made.headers["x-imagint-subject"]
    by_handle = client.get("/v1/images", params={"subject": told["subject"]}, headers=acme.bearer).json()
    assert len(by_handle["data"]) == 1


def test_two_tenants_know_the_same_person_by_different_handles(
    client: TestClient, bolt_client: TestClient, acme: TenantRig, bolt: TenantRig
) -> None:
    handles = {
        c.post("/v1/privacy/handles", json={"identifier": "jane"}, headers=rig.bearer).json()["subject"]
        for c, rig in ((client, acme), (bolt_client, bolt))
    }
    assert len(handles) == 2


def test_lists_are_bounded_and_say_when_there_is_more(client: TestClient, acme: TenantRig) -> None:
    body = {"prompt": "a", "n": 3, "user": "jane"}
    client.post("/v1/images/generations", json=body, headers=acme.bearer)
    page = client.get("/v1/images", params={"user": "jane", "limit": 2}, headers=acme.bearer).json()
    assert (len(page["data"]), page["has_more"]) == (2, True)
    assert "prompt" not in page["data"][0]
    query = {"user": "jane", "limit": 2, "after": page["data"][-1]["id"]}
    rest = client.get("/v1/images", params=query, headers=acme.bearer).json()
    assert (len(rest["data"]), rest["has_more"]) == (1, False)
    assert rest["data"][0]["id"] not in {entry["id"] for entry in page["data"]}


def test_models_are_listed_and_shown(openai: OpenAI) -> None:
    assert [model.id for model in openai.models.list()] == ["shapes"]
    assert openai.models.retrieve("shapes").owned_by == "acme"
    with pytest.raises(NotFoundError) as refusal:
        openai.models.retrieve("other")
    assert refusal.value.code == "model_not_found"


def test_nothing_rests_in_the_clear(openai: OpenAI, acme: TenantRig) -> None:
    made = openai.images.generate(prompt="canary-prompt-7f3a", model="shapes", user="canary-user-91bc")
    assert made.data is not None
    needles = [b"canary-prompt-7f3a", b"canary-user-91bc", png_of(made.data[0])[16:60], b"IHDR"]
    files = [path for path in acme.folder.rglob("*") if path.is_file()]
    assert any(path.stat().st_size > 0 for path in files if path.is_relative_to(acme.folder / "objects"))
    assert not [(p.name, n) for p in files for n in needles if n in p.read_bytes()]


@pytest.mark.parametrize(
    ("parameters", "kind", "code", "param"),
    [
        pytest.param({"model": "dall-e-9"}, NotFoundError, "model_not_found", "model", id="unknown model"),
        pytest.param({"size": "9999x9999"}, BadRequestError, "invalid_value", "size", id="too large"),
        pytest.param({"size": "31x33"}, BadRequestError, "invalid_value", "size", id="the model cannot"),
        pytest.param({"response_format": "url"}, BadRequestError, "invalid_value", "response_format", id="url"),
        pytest.param({"extra_body": {"x": 1}}, BadRequestError, "unknown_parameter", "x", id="unknown"),
        pytest.param({"style": "vivid"}, BadRequestError, "unknown_parameter", "style", id="retired"),
        pytest.param({"prompt": ""}, BadRequestError, "empty_string", "prompt", id="empty prompt"),
    ],
)
def test_the_client_raises_what_was_meant(
    openai: OpenAI, parameters: dict[str, Any], kind: type[APIStatusError], code: str, param: str
) -> None:
    with pytest.raises(kind) as refusal:
        openai.images.generate(**{"prompt": "a", "model": "shapes", **parameters})
    assert (refusal.value.code, refusal.value.param) == (code, param)
    assert refusal.value.type == "invalid_request_error"
    assert refusal.value.request_id is not None
    assert refusal.value.request_id.startswith("req_")


def test_a_wrong_key_is_told_in_openais_words(client: TestClient) -> None:
    stranger = OpenAI(api_key="wrong", base_url="http://gateway/acme/v1", http_client=client, max_retries=0)
    with pytest.raises(AuthenticationError) as refusal:
        stranger.images.generate(prompt="a")
    assert refusal.value.code == "invalid_api_key"
    assert "wrong" not in refusal.value.message


def test_a_model_that_does_not_answer_closes_and_says_when_to_return(openai: OpenAI, acme: TenantRig) -> None:
    acme.generators.apps.clear()
    with pytest.raises(InternalServerError) as refusal:
        openai.images.generate(prompt="a")
    assert (refusal.value.status_code, refusal.value.code) == (503, "model_unavailable")
    assert refusal.value.response.headers["retry-after"] == "2"


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        pytest.param(Limits(requests_per_minute=1), "rate_limit_exceeded", id="requests a minute"),
        pytest.param(Limits(images_per_day=1), "insufficient_quota", id="images a day"),
    ],
)
def test_limits_change_while_running(openai: OpenAI, acme: TenantRig, limits: Limits, code: str) -> None:
    acme.services.reconfigure(GatewaySettings(models=acme.services.settings.models, limits=limits))
    openai.images.generate(prompt="a")
    with pytest.raises(RateLimitError) as refusal:
        openai.images.generate(prompt="a")
    assert refusal.value.code == code
    assert int(refusal.value.response.headers["retry-after"]) >= 1


def test_a_suspended_tenant_is_told_so(openai: OpenAI, acme: TenantRig) -> None:
    acme.services.reconfigure(GatewaySettings(models=acme.services.settings.models, suspended=True))
    with pytest.raises(APIStatusError) as refusal:
        openai.images.generate(prompt="a")
    assert (refusal.value.status_code, refusal.value.code) == (403, "tenant_suspended")


def test_a_failed_image_costs_nothing_of_the_day(openai: OpenAI, acme: TenantRig) -> None:
    limits = Limits(images_per_day=1)
    acme.services.reconfigure(GatewaySettings(models=acme.services.settings.models, limits=limits))
    with pytest.raises(BadRequestError):
        openai.images.generate(prompt="a", size="31x31")
    assert openai.images.generate(prompt="a").data


def test_the_folder_of_a_tenant_holds_all_that_is_kept(acme: TenantRig, openai: OpenAI) -> None:
    openai.images.generate(prompt="a")
    assert {path.name for path in Path(acme.folder).iterdir()} >= {"records.db", "objects", "copy"}
