"""The parameters of an image request: read strictly, then made definite against the model's settings.

Pure: random seeds come in through an argument. A parameter that we would have to ignore is refused, not ignored.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NoReturn

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from imagint_serving.config import GatewaySettings, ModelSettings, parse_size
from imagint_serving.gateway.errors import InvalidRequestError, NotFoundError, UnavailableError
from imagint_serving.gateway.subjects import MAX_IDENTIFIER
from imagint_serving.transport import MAX_TEXT_BYTES

MAX_PROMPT_CHARACTERS = 32_000
MAX_N = 10
MAX_SEED = 2**63 - 1
_SEED_SPACE = 2**63
_SHOWN_NAME = 64
NOT_READY_SECONDS = 5.0

_QUALITIES = {"low": 0.5, "medium": 1.0, "standard": 1.0, "high": 1.5, "hd": 1.5, "xhigh": 2.0, "max": None}
_Text = Annotated[str, Field(max_length=MAX_PROMPT_CHARACTERS)]
_Identifier = Annotated[str, Field(max_length=MAX_IDENTIFIER)]


class ImageRequest(BaseModel):
    """What `POST /v1/images/generations` understands; `null` means the default, as OpenAI has it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    prompt: Annotated[str, Field(min_length=1, max_length=MAX_PROMPT_CHARACTERS, repr=False)]
    model: str | None = None
    n: Annotated[int, Field(ge=1, le=MAX_N)] | None = None
    size: Annotated[str, Field(max_length=16)] | None = None
    quality: Literal["auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"] | None = None
    output_format: Literal["png"] | None = None
    response_format: Literal["b64_json"] | None = None
    background: Literal["auto", "opaque"] | None = None
    moderation: Literal["auto", "low"] | None = None
    stream: Literal[False] | None = None
    partial_images: Literal[0] | None = None
    output_compression: Literal[100] | None = None
    user: _Identifier | None = Field(default=None, repr=False)
    safety_identifier: _Identifier | None = Field(default=None, repr=False)
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = None
    negative_prompt: _Text | None = Field(default=None, repr=False)
    num_inference_steps: Annotated[int, Field(ge=1)] | None = Field(
        default=None, validation_alias=AliasChoices("num_inference_steps", "steps")
    )
    guidance_scale: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] | None = Field(
        default=None, validation_alias=AliasChoices("guidance_scale", "guidance")
    )


@dataclass(frozen=True, slots=True)
class Picture:
    """A request made definite: nothing left to default."""

    model: str
    app: str
    prompt: str = field(repr=False)
    negative_prompt: str = field(repr=False)
    width: int
    height: int
    steps: int | None
    guidance: float | None
    seeds: tuple[int, ...]


def read_request(body: bytes) -> ImageRequest:
    """Parse a request's body.

    Raises:
        InvalidRequestError: it is not JSON, or a parameter is unknown, missing or impossible.
    """
    document = read_json(body)
    for names in (("num_inference_steps", "steps"), ("guidance_scale", "guidance")):
        if all(name in document for name in names):
            raise InvalidRequestError("invalid_value", f"Send {names[0]} or {names[1]}, not both.", param=names[1])
    try:
        return ImageRequest.model_validate(document)
    except ValidationError as error:
        _refuse(error.errors(include_input=False, include_url=False, include_context=True)[0])


def read_json(body: bytes) -> dict[str, Any]:
    """Parse a JSON object; NaN and infinities, which JSON does not know, are refused.

    Raises:
        InvalidRequestError: the body is anything else.
    """
    try:
        document = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise InvalidRequestError("invalid_json", "The body is not valid JSON.") from None
    if not isinstance(document, dict):
        raise InvalidRequestError("invalid_json", "The body must be a JSON object.")
    return document


def resolve(request: ImageRequest, settings: GatewaySettings, random_seed: Callable[[], int]) -> Picture:
    """Decide everything that the request left open.

    Raises:
        InvalidRequestError: the model cannot do what is asked.
        NotFoundError: there is no such model.
        UnavailableError: no revision of it serves yet.
    """
    name, model = find_model(request.model, settings.models)
    if model.app is None:
        raise UnavailableError("model_unavailable", "The model is not ready yet.", retry_after=NOT_READY_SECONDS)
    count = request.n or 1
    if count > model.max_n:
        raise InvalidRequestError("invalid_value", f"n must be at most {model.max_n} for this model.", param="n")
    width, height = _size(request.size, model)
    negative = request.negative_prompt or ""
    if len(request.prompt.encode()) + len(negative.encode()) > MAX_TEXT_BYTES:
        message = f"The prompt and the negative prompt together exceed {MAX_TEXT_BYTES} bytes of UTF-8."
        raise InvalidRequestError("string_above_max_length", message, param="prompt")
    first = random_seed() if request.seed is None else request.seed
    return Picture(
        model=name,
        app=model.app,
        prompt=request.prompt,
        negative_prompt=negative,
        width=width,
        height=height,
        steps=_steps(request, model),
        guidance=request.guidance_scale,
        seeds=tuple((first + offset) % _SEED_SPACE for offset in range(count)),
    )


def find_model(name: str | None, models: Mapping[str, ModelSettings]) -> tuple[str, ModelSettings]:
    """Return the model that was named, or the only one there is.

    Raises:
        InvalidRequestError: none was named and there are several.
        NotFoundError: there is no such model.
    """
    if name is None:
        if len(models) != 1:
            raise InvalidRequestError("missing_required_parameter", "Name a model.", param="model")
        return next(iter(models.items()))
    model = models.get(name)
    if model is None:
        message = "The model does not exist or you do not have access to it."
        raise NotFoundError("model_not_found", message, param="model")
    return name, model


def _size(size: str | None, model: ModelSettings) -> tuple[int, int]:
    try:
        width, height = parse_size(model.default_size if size in (None, "auto") else str(size))
    except ValueError:
        message = "size must be 'auto' or WIDTHxHEIGHT, such as 512x512."
        raise InvalidRequestError("invalid_value", message, param="size") from None
    if width * height > model.max_pixels:
        message = f"size must not exceed {model.max_pixels} pixels for this model."
        raise InvalidRequestError("invalid_value", message, param="size")
    return width, height


def _steps(request: ImageRequest, model: ModelSettings) -> int | None:
    steps = request.num_inference_steps
    if steps is not None:
        if steps > model.max_steps:
            message = f"num_inference_steps must be at most {model.max_steps} for this model."
            raise InvalidRequestError("invalid_value", message, param="num_inference_steps")
        return steps
    if request.quality in (None, "auto"):
        return model.default_steps
    factor = _QUALITIES[str(request.quality)]
    if factor is None:
        return model.max_steps
    if model.default_steps is None:
        message = "This model declares no default number of steps: leave quality out or send num_inference_steps."
        raise InvalidRequestError("invalid_value", message, param="quality")
    return max(1, min(model.max_steps, round(model.default_steps * factor)))


def _refuse(problem: Mapping[str, Any]) -> NoReturn:
    """Turn pydantic's first finding into OpenAI's words; the offending value is never repeated."""
    param = str(problem["loc"][0])[:_SHOWN_NAME] if problem["loc"] else None
    kind = problem["type"]
    if kind == "extra_forbidden":
        raise InvalidRequestError("unknown_parameter", f"Unknown parameter: '{param}'.", param=param)
    if kind == "missing":
        raise InvalidRequestError("missing_required_parameter", f"Missing required parameter: '{param}'.", param=param)
    code = {"string_too_long": "string_above_max_length", "string_too_short": "empty_string"}.get(kind)
    message = f"Invalid value for '{param}': {str(problem['msg']).lower()}."
    raise InvalidRequestError(code or "invalid_value", message, param=param)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
