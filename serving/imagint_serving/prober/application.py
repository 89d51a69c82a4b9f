"""The prober over HTTP: who may ask, within which bounds, and how refusals look. No decision is made here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import anyio
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from imagint_privacy.errors import PrivacyError
from imagint_privacy.errors import RetryableError as PrivacyRetryableError
from imagint_privacy.tracing import OFF, Tracing
from imagint_serving.errors import RetryableError, ServingError
from imagint_serving.prober.ending import TenantProber
from imagint_serving.prober.errors import (
    BeforeMissingError,
    CallerForbiddenError,
    GatewayUnavailableError,
    InvalidProbeError,
    ProbeConflictError,
    ProbeStoreError,
)
from imagint_serving.prober.messages import AfterQuestion, Question, Result, TenantQuestion
from imagint_serving.prober.probing import Prober
from imagint_serving.tokens import (
    PlatformKeysUnavailableError,
    TokenRefusedError,
    bearer,
    verify_service_account_token,
)
from imagint_serving.traces import Traced

AUDIENCE: Final = "imagint-prober"
OPERATOR: Final = "system:serviceaccount:imagint-system:imagint-controller"
MAX_BODY: Final = 4096
BODY_SECONDS: Final = 5.0
CONCURRENT_LOOKS: Final = 8
# What a refusal is called and which status it gets; the first class that fits decides.
_ANSWERS: Final[tuple[tuple[type[Exception], int, str], ...]] = (
    (TokenRefusedError, 401, "invalid_token"),
    (CallerForbiddenError, 403, "forbidden"),
    (BeforeMissingError, 409, "before_missing"),
    (ProbeConflictError, 409, "conflicting_request"),
    (PlatformKeysUnavailableError, 503, "platform_keys_unavailable"),
    (GatewayUnavailableError, 503, "gateway_unavailable"),
    (ProbeStoreError, 503, "storage_unavailable"),
    (PrivacyError, 503, "keys_unavailable"),
)
Q = TypeVar("Q", bound=TenantQuestion)
Look = Callable[[Callable[[str, Any], Result], str, Any], Awaitable[JSONResponse]]


def build_application(
    prober: Prober, platform_file: Path, ending: TenantProber | None = None, *, tracing: Tracing = OFF
) -> FastAPI:
    """Return the ASGI application."""
    app = FastAPI(title="Imagint prober", openapi_url=None, docs_url=None, redoc_url=None)
    app.add_middleware(Traced, tracing=tracing, said={})
    looks = anyio.CapacityLimiter(CONCURRENT_LOOKS)

    async def operator_only(request: Request) -> None:
        token = bearer(request.headers.get("authorization"))
        subject = await anyio.to_thread.run_sync(verify_service_account_token, token, AUDIENCE, platform_file)
        if subject != OPERATOR:
            raise CallerForbiddenError("only the operator may ask")

    async def look(call: Callable[[str, Q], Result], request_id: str, question: Q) -> JSONResponse:
        result = await anyio.to_thread.run_sync(call, request_id, question, limiter=looks)
        return JSONResponse(result.model_dump(mode="json"))

    guarded = [Depends(operator_only)]

    @app.post("/probes/v1/{request_id}/before", dependencies=guarded)
    async def before(request_id: str, question: Annotated[Question, Depends(_before_question)]) -> JSONResponse:
        return await look(prober.before, request_id, question)

    @app.post("/probes/v1/{request_id}/after", dependencies=guarded)
    async def after(request_id: str, question: Annotated[AfterQuestion, Depends(_after_question)]) -> JSONResponse:
        return await look(prober.after, request_id, question)

    if ending is not None:
        _add_ending(app, ending, look, guarded)

    @app.get("/healthz")
    async def healthz() -> dict[str, bool]:
        return {"ok": True}

    for kind in (ServingError, PrivacyError):
        app.add_exception_handler(kind, _refused)
    app.add_exception_handler(HTTPException, _no_route)
    return app


def _add_ending(app: FastAPI, ending: TenantProber, look: Look, guarded: list[Any]) -> None:
    """The two looks at a tenant's end, by the Tenant's uid."""

    @app.post("/probes/v1/tenants/{uid}/before", dependencies=guarded)
    async def before(uid: str, question: Annotated[TenantQuestion, Depends(_tenant_question)]) -> JSONResponse:
        return await look(ending.before, uid, question)

    @app.post("/probes/v1/tenants/{uid}/after", dependencies=guarded)
    async def after(uid: str, question: Annotated[TenantQuestion, Depends(_tenant_question)]) -> JSONResponse:
        return await look(ending.after, uid, question)


async def _tenant_question(request: Request) -> TenantQuestion:
    return await _question(request, TenantQuestion)


async def _before_question(request: Request) -> Question:
    return await _question(request, Question)


async def _after_question(request: Request) -> AfterQuestion:
    return await _question(request, AfterQuestion)


async def _question(request: Request, kind: type[Q]) -> Q:
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY:
                    raise InvalidProbeError(f"the body exceeds {MAX_BODY} bytes", status=413)
    except (TimeoutError, ClientDisconnect) as error:
        raise InvalidProbeError("the body did not arrive in time", status=408) from error
    try:
        return kind.model_validate_json(bytes(body))
    except ValidationError as error:
        places = {".".join(map(str, detail["loc"])) for detail in error.errors(include_input=False)}
        known = sorted(places & kind.model_fields.keys()) or ["the body"]
        raise InvalidProbeError(f"not valid: {', '.join(known)}") from None


async def _refused(_: Request, error: Exception) -> JSONResponse:
    if isinstance(error, InvalidProbeError):
        return _answer(error.status, "invalid_request", error)
    for kind, status, code in _ANSWERS:
        if isinstance(error, kind):
            return _answer(status, code, error)
    return _answer(500, "internal", error)


async def _no_route(_: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return _answer(status, "not_found" if status == 404 else "not_allowed", Exception("there is nothing here"))


def _answer(status: int, code: str, error: Exception) -> JSONResponse:
    headers = {}
    if isinstance(error, RetryableError | PrivacyRetryableError):
        headers["retry-after"] = str(max(1, round(error.after)))
    elif status == 503:
        headers["retry-after"] = "5"
    return JSONResponse({"error": {"code": code, "message": str(error)}}, status_code=status, headers=headers)
