"""The two guards in front of the routes, as FastAPI dependencies."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from imagint_serving.gateway.errors import ForbiddenError
from imagint_serving.gateway.identity import Role
from imagint_serving.gateway.services import Services


async def services_of(request: Request) -> Services:
    """Return the services of this application."""
    services: Services = request.app.state.services
    return services


GivenServices = Annotated[Services, Depends(services_of)]


async def _api_key(request: Request, services: GivenServices) -> str:
    name = services.api_keys.identify(request.headers.get("authorization"))
    if services.settings.suspended:
        raise ForbiddenError("tenant_suspended", "This tenant is suspended.")
    return name


async def _platform(request: Request, services: GivenServices) -> Role:
    return services.platform.identify(request.headers.get("authorization"))


PlatformRole = Annotated[Role, Depends(_platform)]


async def _operator(role: PlatformRole) -> None:
    if role is not Role.OPERATOR:
        raise ForbiddenError("forbidden", "only the operator may do this")


async def _prober(role: PlatformRole) -> None:
    if role is not Role.PROBER:
        raise ForbiddenError("forbidden", "only the prober may do this")


ApiKeyName = Annotated[str, Depends(_api_key)]
OPERATOR_ONLY = [Depends(_operator)]
PROBER_ONLY = [Depends(_prober)]
EITHER = [Depends(_platform)]
