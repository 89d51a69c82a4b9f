"""Having a revision tried before it serves: bounded in number and time, billed to nobody, kept nowhere.

A revision is tried only if the operator's settings name it for this tenant's model: a Gateway reaches no other's.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from imagint_serving.config import Size, parse_size
from imagint_serving.errors import RequestRefusedError, ServingError
from imagint_serving.gateway.errors import InvalidRequestError, NotFoundError, UnavailableError
from imagint_serving.gateway.parameters import find_model
from imagint_serving.gateway.services import Services
from imagint_serving.quality.trials import MOST_PROMPTS, Trial, TrialKind, TrialPrompt, Verdict
from imagint_serving.transport import GenerationCall, ImageRecipient

TRIAL_SECONDS = 240.0
PICTURE_SECONDS = 60.0
PLAIN_PROMPT = "a red circle on blue"
_UNDER_WAY = "A revision is being tried already."


class PromptBody(BaseModel):
    """One picture to make."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    prompt: Annotated[str, Field(min_length=1, max_length=512, repr=False)]
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    size: Size | None = None
    steps: Annotated[int, Field(ge=1, le=1000)] | None = None
    hash: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")] | None = None


class TrialBody(BaseModel):
    """Try one revision."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    app: Annotated[str, Field(min_length=1, max_length=128)]
    kind: TrialKind
    prompts: Annotated[tuple[PromptBody, ...], Field(max_length=MOST_PROMPTS)] = ()
    max_distance: Annotated[int, Field(ge=0, le=32)] = 8


async def try_revision(services: Services, name: str, body: TrialBody) -> dict[str, Any]:
    """Return what came of it; a revision that refuses or does not answer is an answer too, with `ok` false.

    Raises:
        NotFoundError: there is no such model, or this Gateway was not told of the revision (yet).
        InvalidRequestError: a golden trial lacks a hash.
        UnavailableError: another trial is under way.
    """
    _, model = find_model(name, services.settings.models)
    if body.app not in {model.app, model.candidate} - {None}:
        raise NotFoundError("revision_not_found", "This Gateway knows no such revision of the model.", param="app")
    if body.kind is TrialKind.GOLDEN and not (body.prompts and all(each.hash for each in body.prompts)):
        raise InvalidRequestError("invalid_value", "A golden trial needs prompts with hashes.", param="prompts")
    if services.trial.locked():
        raise UnavailableError("trial_under_way", _UNDER_WAY, retry_after=5)
    async with services.trial:
        return await _tried(services, body)


async def _tried(services: Services, body: TrialBody) -> dict[str, Any]:
    began = time.perf_counter()
    try:
        async with asyncio.timeout(TRIAL_SECONDS):
            verdict = await services.generators.judge(body.app, _trial(body), TRIAL_SECONDS)
            await _whole_way(services, body.app, verdict)
    except (ServingError, TimeoutError, IndexError) as error:
        seconds = round(time.perf_counter() - began, 3)
        refused = isinstance(error, RequestRefusedError)
        return {"ok": False, "problem": "refused" if refused else "unavailable", "seconds": seconds}
    return {
        "ok": True,
        "seconds": round(time.perf_counter() - began, 3),
        "pictures": verdict.pictures,
        "right": verdict.right,
        "hashes": list(verdict.hashes),
    }


async def _whole_way(services: Services, app: str, verdict: Verdict) -> None:
    """Have one picture come back sealed, as callers get theirs."""
    recipient, request_id = ImageRecipient(), f"probe_{uuid.uuid4().hex}"
    size = {"width": verdict.width, "height": verdict.height}
    call = GenerationCall(
        request_id, PLAIN_PROMPT, "", **size, steps=None, guidance=None, seeds=(0,),
        recipient_public_key=recipient.public_key(),
    )  # fmt: skip
    images = await services.generators.generate(app, call, PICTURE_SECONDS)
    recipient.open(images[0], request_id=request_id, index=0)


def _trial(body: TrialBody) -> Trial:
    return Trial(body.kind, tuple(_prompt(each) for each in body.prompts), body.max_distance)


def _prompt(each: PromptBody) -> TrialPrompt:
    width, height = parse_size(each.size) if each.size else (None, None)
    return TrialPrompt(each.prompt, each.seed, width, height, each.steps, each.hash)
