"""Putting the Gateway together: routes, guards, error shapes. Knows nothing of Ray."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.responses import Response

from imagint_privacy.errors import PrivacyError
from imagint_privacy.tracing import OFF, Tracing
from imagint_serving.errors import ServingError
from imagint_serving.gateway import health, images, privacy
from imagint_serving.gateway.answers import answer, for_platform, translate
from imagint_serving.gateway.errors import ApiError, InvalidRequestError, NotFoundError
from imagint_serving.gateway.middleware import Surroundings
from imagint_serving.gateway.services import Services
from imagint_serving.traces import Traced


def build_application(services: Services, *, echo_id: bool = True, tracing: Tracing = OFF) -> FastAPI:
    """Return the ASGI application of one tenant's Gateway."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        keeping = asyncio.create_task(services.keeper.run(services.privacy_workers))
        try:
            yield
        finally:
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping
            await asyncio.to_thread(services.close)
            await asyncio.to_thread(tracing.close)

    app = FastAPI(title="Imagint", openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.services = services
    app.add_middleware(Surroundings, echo_id=echo_id)
    app.add_middleware(Traced, tracing=tracing, said={"imagint.tenant": services.config.namespace})
    for router in (images.router, privacy.router, health.router):
        app.include_router(router)
    for kind in (ApiError, PrivacyError, ServingError):
        app.add_exception_handler(kind, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _no_route)
    return app


async def _refused(request: Request, error: Exception) -> JSONResponse:
    return answer(translate(error), for_platform=for_platform(request))


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """FastAPI's findings about path and query, in our shape; it would answer 422 and repeat the values."""
    refusal = InvalidRequestError("invalid_value", "A parameter is not valid.")
    if isinstance(error, RequestValidationError) and error.errors():
        name = str(error.errors()[0]["loc"][-1])[:64]
        refusal = InvalidRequestError("invalid_value", f"Invalid value for '{name}'.", param=name)
    return answer(refusal, for_platform=for_platform(request))


async def _no_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    refusal = NotFoundError("not_found", "There is no such endpoint.", status=status)
    if status == 405:
        refusal = NotFoundError("method_not_allowed", "This endpoint does not take that method.", status=405)
    response = answer(refusal, for_platform=for_platform(request))
    if isinstance(error, HTTPException):
        response.headers.update(error.headers or {})
    return response
