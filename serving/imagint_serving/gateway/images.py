"""The Images API and the list of models, in OpenAI's shape."""

from __future__ import annotations

import base64
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from imagint_privacy.records.library import Entry
from imagint_serving.gateway.bodies import read_body
from imagint_serving.gateway.callers import ApiKeyName, GivenServices
from imagint_serving.gateway.errors import InvalidRequestError
from imagint_serving.gateway.parameters import find_model, read_json, read_request
from imagint_serving.gateway.production import Production, produce
from imagint_serving.gateway.services import Services
from imagint_serving.gateway.shelves import ShelvedImage, list_images, open_image
from imagint_serving.gateway.subjects import MAX_IDENTIFIER, checked_identifier, handle_for, handle_of

SUBJECT_HEADER = "x-imagint-subject"
MAX_LISTED = 100
RECORD_PATTERN = r"^[A-Za-z0-9_-]{1,64}$"

router = APIRouter(prefix="/v1")


@router.post("/images/generations")
async def generate(request: Request, services: GivenServices, key_name: ApiKeyName) -> JSONResponse:
    """Make images."""
    wanted = read_request(await read_body(request))
    production = await produce(services, wanted, key_name)
    return JSONResponse(_made(production), headers={SUBJECT_HEADER: production.subject})


@router.get("/images")
async def list_shelf(
    services: GivenServices,
    _: ApiKeyName,
    user: Annotated[str | None, Query(max_length=MAX_IDENTIFIER)] = None,
    subject: Annotated[str | None, Query(max_length=64)] = None,
    after: Annotated[str | None, Query(pattern=RECORD_PATTERN)] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LISTED)] = 20,
) -> JSONResponse:
    """List a person's newest images, without opening any."""
    run, library = services.image_workers.run, services.library
    handle = await run(handle_of, library, identifier=user, handle=subject)
    entries = await run(list_images, library, handle, after, limit + 1)
    body = {"object": "list", "data": [_listed(e) for e in entries[:limit]], "has_more": len(entries) > limit}
    return JSONResponse(body, headers={SUBJECT_HEADER: handle})


@router.get("/images/{image_id}")
async def show(image_id: str, services: GivenServices, _: ApiKeyName) -> JSONResponse:
    """Open one image and say how it was made."""
    image = await services.image_workers.run(open_image, services.library, image_id)
    return JSONResponse(_shown(image), headers={SUBJECT_HEADER: image.entry.subject})


@router.get("/images/{image_id}/content")
async def content(image_id: str, services: GivenServices, _: ApiKeyName) -> Response:
    """Open one image and return its bytes."""
    image = await services.image_workers.run(open_image, services.library, image_id)
    headers = {SUBJECT_HEADER: image.entry.subject, "content-disposition": "inline"}
    return Response(image.content, media_type=image.entry.kind, headers=headers)


@router.get("/models")
async def list_models(services: GivenServices, _: ApiKeyName) -> dict[str, Any]:
    """List the models."""
    return {"object": "list", "data": [_model(services, name) for name in sorted(services.settings.models)]}


@router.get("/models/{name}")
async def show_model(name: str, services: GivenServices, _: ApiKeyName) -> dict[str, Any]:
    """Show one model."""
    find_model(name, services.settings.models)
    return _model(services, name)


@router.post("/privacy/handles")
async def make_handle(request: Request, services: GivenServices, _: ApiKeyName) -> dict[str, str]:
    """Tell a tenant the handle of one of its own people."""
    wanted = read_json(await read_body(request))
    unknown = sorted(wanted.keys() - {"identifier"})
    if unknown:
        raise InvalidRequestError("unknown_parameter", "Send identifier and nothing else.", param=unknown[0][:64])
    identifier = checked_identifier(wanted.get("identifier"))
    return {"subject": await services.image_workers.run(handle_for, services.library, identifier)}


def _made(production: Production) -> dict[str, Any]:
    picture = production.picture
    images = [
        {"b64_json": base64.b64encode(i.content).decode("ascii"), "id": i.id, "seed": i.seed} for i in production.images
    ]
    return {
        "id": production.id,
        "created": production.created,
        "data": images,
        "model": picture.model,
        "background": "opaque",
        "output_format": "png",
        "size": f"{picture.width}x{picture.height}",
    }


def _listed(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.record_id,
        "object": "image",
        "created": int(entry.created_at.timestamp()),
        "content_type": entry.kind,
    }


def _shown(image: ShelvedImage) -> dict[str, Any]:
    encoded = base64.b64encode(image.content).decode("ascii")
    return {**_listed(image.entry), "subject": image.entry.subject, **image.details, "b64_json": encoded}


def _model(services: Services, name: str) -> dict[str, Any]:
    created = services.model_times.get(name, 0)
    return {"id": name, "object": "model", "created": created, "owned_by": services.config.tenant}
