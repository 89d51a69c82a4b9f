"""Making images: admit, generate, seal into the library, and only then hand over.

An image that could not be sealed is never delivered. A subject that is being erased gets nothing, also when
the erasure began while the image was being made.
"""

from __future__ import annotations

import json
import logging
import uuid
from dataclasses import dataclass, field

from imagint_privacy.purposes import Purpose
from imagint_privacy.records.library import Draft, Library, Ticket
from imagint_serving.gateway.parameters import ImageRequest, Picture, resolve
from imagint_serving.gateway.services import Services
from imagint_serving.gateway.subjects import handle_for, identifier_of
from imagint_serving.transport import GenerationCall, ImageRecipient

PROMPTS, IMAGES = "prompts", "images"
GENERATION_KIND, IMAGE_KIND = "generation", "image/png"

_log = logging.getLogger("ray.serve.imagint.gateway")


@dataclass(frozen=True, slots=True)
class MadeImage:
    """One image, ready to be handed over."""

    id: str
    seed: int
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Production:
    """Everything that one request made."""

    id: str
    subject: str
    created: int
    picture: Picture
    images: tuple[MadeImage, ...]


async def produce(services: Services, request: ImageRequest, key_name: str) -> Production:
    """Make, seal and return what the request asks for.

    Raises:
        ApiError: refused or closed, with the reason.
        PrivacyError: keys or storage cannot be reached, or the subject is being erased.
        ServingError: the model refuses or does not answer.
    """
    now = services.clock()
    services.spending.request(services.settings.limits, now)
    picture = resolve(request, services.settings, services.random_seed)
    identifier = identifier_of(safety_identifier=request.safety_identifier, user=request.user, key_name=key_name)
    ticket = await services.image_workers.run(_admit, services.library, identifier)
    count = len(picture.seeds)
    services.spending.reserve(count, services.settings.limits, now)
    try:
        production = await _generate(services, picture, ticket)
        await services.image_workers.run(_keep, services.library, ticket, production, key_name)
    except BaseException:
        services.spending.give_back(count, services.clock())
        raise
    _log.info("%s: %d images for %s", production.id, count, ticket.subject)
    return production


def _admit(library: Library, identifier: str) -> Ticket:
    return library.begin(handle_for(library, identifier), Purpose.GENERATE)


async def _generate(services: Services, picture: Picture, ticket: Ticket) -> Production:
    token = uuid.uuid4().hex
    generation = f"gen_{token}"
    recipient = ImageRecipient()
    call = generation_call(generation, picture, recipient)
    sealed = await services.generators.generate(picture.app, call, services.generation_timeout)
    images = tuple(
        MadeImage(f"img_{token}_{i}", image.seed, recipient.open(image, request_id=generation, index=i))
        for i, image in enumerate(sealed)
    )
    return Production(generation, ticket.subject, int(services.clock()), picture, images)


def generation_call(request_id: str, picture: Picture, recipient: ImageRecipient) -> GenerationCall:
    """Return the call to a Generator for this picture."""
    return GenerationCall(
        request_id=request_id,
        prompt=picture.prompt,
        negative_prompt=picture.negative_prompt,
        width=picture.width,
        height=picture.height,
        steps=picture.steps,
        guidance=picture.guidance,
        seeds=picture.seeds,
        recipient_public_key=recipient.public_key(),
    )


def _keep(library: Library, ticket: Ticket, production: Production, key_name: str) -> None:
    drafts = [Draft(production.id, PROMPTS, GENERATION_KIND, _generation_record(production, key_name))]
    drafts += [Draft(i.id, IMAGES, IMAGE_KIND, i.content, large=True) for i in production.images]
    library.store(ticket, drafts)


def _generation_record(production: Production, key_name: str) -> bytes:
    picture = production.picture
    record = {
        "id": production.id,
        "created": production.created,
        "api_key": key_name,
        "model": picture.model,
        "prompt": picture.prompt,
        "negative_prompt": picture.negative_prompt,
        "size": f"{picture.width}x{picture.height}",
        "steps": picture.steps,
        "guidance": picture.guidance,
        "images": [{"id": image.id, "seed": image.seed} for image in production.images],
    }
    return json.dumps(record, ensure_ascii=False).encode()
