"""Parameters are read strictly and made definite; whatever is refused is refused in OpenAI's words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from imagint_serving.config import GatewaySettings, ModelSettings
from imagint_serving.gateway.errors import ApiError, InvalidRequestError, NotFoundError
from imagint_serving.gateway.parameters import MAX_SEED, Picture, read_request, resolve

SHAPES = ModelSettings(app="acme.model.shapes", max_pixels=64 * 64, max_steps=50, default_steps=12, max_n=4)
BARE = ModelSettings(app="acme.model.bare", max_pixels=64 * 64, max_steps=50)
SETTINGS = GatewaySettings(models={"shapes": SHAPES, "bare": BARE})


def picture(**parameters: Any) -> Picture:
    body = json.dumps({"prompt": "a red circle", "model": "shapes", **parameters}).encode()
    return resolve(read_request(body), SETTINGS, lambda: 42)


@pytest.mark.parametrize(
    ("parameters", "code", "param"),
    [
        pytest.param({"colour": "red"}, "unknown_parameter", "colour", id="an unknown parameter"),
        pytest.param({"prompt": ""}, "empty_string", "prompt", id="an empty prompt"),
        pytest.param({"prompt": None}, "invalid_value", "prompt", id="no prompt"),
        pytest.param({"prompt": 5}, "invalid_value", "prompt", id="a prompt that is a number"),
        pytest.param({"prompt": "\ud800"}, "invalid_value", "prompt", id="half a surrogate pair"),
        pytest.param({"prompt": "x" * 32_001}, "string_above_max_length", "prompt", id="too many characters"),
        pytest.param({"prompt": "\U0001f600" * 17_000}, "string_above_max_length", "prompt", id="too many bytes"),
        pytest.param(
            {"prompt": "x" * 32_000, "negative_prompt": "é" * 17_000},
            "string_above_max_length",
            "prompt",
            id="two prompts that together have too many bytes",
        ),
        pytest.param({"n": 0}, "invalid_value", "n", id="no image at all"),
        pytest.param({"n": 11}, "invalid_value", "n", id="more images than anybody may ask for"),
        pytest.param({"n": 5}, "invalid_value", "n", id="more images than this model makes"),
        pytest.param({"n": "2"}, "invalid_value", "n", id="a number written as text"),
        pytest.param({"n": True}, "invalid_value", "n", id="a truth for a number"),
        pytest.param({"n": 10**400}, "invalid_value", "n", id="a number beyond all bounds"),
        pytest.param({"size": "big"}, "invalid_value", "size", id="a size that is none"),
        pytest.param({"size": "0x32"}, "invalid_value", "size", id="a size without width"),
        pytest.param({"size": "-32x32"}, "invalid_value", "size", id="a negative size"),
        pytest.param({"size": "10000x10000"}, "invalid_value", "size", id="an enormous size"),
        pytest.param({"size": "99999999x1"}, "invalid_value", "size", id="a size with too many digits"),
        pytest.param({"size": 512}, "invalid_value", "size", id="a size that is a number"),
        pytest.param({"quality": "ultra"}, "invalid_value", "quality", id="an unknown quality"),
        pytest.param({"output_format": "jpeg"}, "invalid_value", "output_format", id="another format"),
        pytest.param({"response_format": "url"}, "invalid_value", "response_format", id="an answer by url"),
        pytest.param({"stream": True}, "invalid_value", "stream", id="a stream"),
        pytest.param({"partial_images": 2}, "invalid_value", "partial_images", id="partial images"),
        pytest.param({"background": "transparent"}, "invalid_value", "background", id="no background"),
        pytest.param({"style": "vivid"}, "unknown_parameter", "style", id="a parameter of retired models"),
        pytest.param({"seed": -1}, "invalid_value", "seed", id="a negative seed"),
        pytest.param({"seed": 2**63}, "invalid_value", "seed", id="a seed that does not fit"),
        pytest.param({"seed": 1.5}, "invalid_value", "seed", id="half a seed"),
        pytest.param({"steps": 0}, "invalid_value", "steps", id="no step"),
        pytest.param({"num_inference_steps": 51}, "invalid_value", "num_inference_steps", id="too many steps"),
        pytest.param({"steps": 5, "num_inference_steps": 5}, "invalid_value", "steps", id="steps twice"),
        pytest.param({"guidance": -1}, "invalid_value", "guidance", id="a negative guidance"),
        pytest.param({"guidance_scale": 101}, "invalid_value", "guidance_scale", id="a huge guidance"),
        pytest.param({"guidance": 1, "guidance_scale": 1}, "invalid_value", "guidance", id="guidance twice"),
        pytest.param({"user": 5}, "invalid_value", "user", id="a user that is a number"),
        pytest.param({"user": "u" * 257}, "string_above_max_length", "user", id="a user without end"),
        pytest.param({"model": None}, "missing_required_parameter", "model", id="no model among several"),
        pytest.param({"model": "bare", "quality": "low"}, "invalid_value", "quality", id="quality without a default"),
    ],
)
def test_what_is_refused(parameters: dict[str, Any], code: str, param: str) -> None:
    with pytest.raises(InvalidRequestError) as refusal:
        picture(**parameters)
    assert (refusal.value.status, refusal.value.code, refusal.value.param) == (400, code, param)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{", id="half an object"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'"text"', id="a text"),
        pytest.param(b"\xff\xfe", id="no text"),
        pytest.param(b"[" * 200_000, id="brackets without end"),
        pytest.param(b'{"prompt": "a", "guidance": NaN}', id="a number that is none"),
        pytest.param(b'{"prompt": "a", "guidance": -Infinity}', id="infinity"),
        pytest.param(b'{"prompt": "a", "seed": ' + b"9" * 10_000 + b"}", id="a number of ten thousand digits"),
    ],
)
def test_what_is_no_json(body: bytes) -> None:
    with pytest.raises(InvalidRequestError) as refusal:
        read_request(body)
    assert refusal.value.code == "invalid_json"


def test_guidance_beyond_floating_point_is_refused() -> None:
    with pytest.raises(InvalidRequestError) as refusal:
        read_request(b'{"prompt": "a", "guidance": 1e999}')
    assert refusal.value.param == "guidance"


def test_an_unknown_model_is_not_found() -> None:
    with pytest.raises(NotFoundError) as refusal:
        picture(model="gpt-image-9")
    assert (refusal.value.status, refusal.value.code) == (404, "model_not_found")


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        pytest.param({}, {"steps": 12, "width": 32, "seeds": (42,)}, id="defaults come from the model"),
        pytest.param(
            dict.fromkeys(("n", "size", "quality", "seed", "user", "steps", "stream")),
            {"steps": 12, "seeds": (42,)},
            id="null means the default",
        ),
        pytest.param({"size": "auto"}, {"width": 32, "height": 32}, id="auto is the model's own size"),
        pytest.param({"size": "64x16"}, {"width": 64, "height": 16}, id="a size is width by height"),
        pytest.param({"n": 3, "seed": 7}, {"seeds": (7, 8, 9)}, id="every image has its own seed"),
        pytest.param({"n": 2, "seed": MAX_SEED}, {"seeds": (MAX_SEED, 0)}, id="seeds wrap around"),
        pytest.param({"quality": "low"}, {"steps": 6}, id="low quality takes half the steps"),
        pytest.param({"quality": "high"}, {"steps": 18}, id="high quality takes half as many again"),
        pytest.param({"quality": "max"}, {"steps": 50}, id="the best quality takes all the steps"),
        pytest.param({"quality": "max", "steps": 3}, {"steps": 3}, id="steps win over quality"),
        pytest.param({"guidance": 2}, {"guidance": 2.0}, id="guidance by its short name"),
        pytest.param({"model": "bare"}, {"steps": None, "app": "acme.model.bare"}, id="steps left open"),
        pytest.param({"negative_prompt": "rain"}, {"negative_prompt": "rain"}, id="what not to show"),
    ],
)
def test_what_is_accepted(parameters: dict[str, Any], expected: dict[str, Any]) -> None:
    made = picture(**parameters)
    assert {name: getattr(made, name) for name in expected} == expected


def test_the_only_model_needs_no_name() -> None:
    request = read_request(b'{"prompt": "a"}')
    assert resolve(request, GatewaySettings(models={"shapes": SHAPES}), lambda: 1).model == "shapes"


def test_no_refusal_and_no_repr_repeats_a_value() -> None:
    secret = "Jane Doe of 5 Elm Street"
    for parameters in ({"size": secret}, {"quality": secret}, {"seed": secret}, {"prompt": [secret]}):
        with pytest.raises(ApiError) as refusal:
            picture(**parameters)
        assert secret not in f"{refusal.value!r} {refusal.value.message}"
    body = json.dumps({"prompt": secret, "negative_prompt": secret, "user": secret}).encode()
    assert secret not in repr(read_request(body))
    assert secret not in repr(picture(prompt=secret, negative_prompt=secret))
