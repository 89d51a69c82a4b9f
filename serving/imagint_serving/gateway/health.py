"""Whether this Gateway can keep its promises now: keys, storage, API keys.

Asked, not remembered: the check opens a key of the system's own through the cache, so that a sealed Vault shows
within the cache's bound, and an idle Gateway asks Vault for nothing.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from imagint_privacy.errors import PrivacyError
from imagint_privacy.records.library import Library, LibraryStatus
from imagint_privacy.records.results import as_json
from imagint_serving.errors import ServingError
from imagint_serving.gateway.callers import GivenServices
from imagint_serving.gateway.errors import ApiError
from imagint_serving.gateway.keeping import reason_code
from imagint_serving.gateway.services import Services

router = APIRouter()


@router.get("/healthz")
async def healthz(services: GivenServices) -> JSONResponse:
    """Answer 200 when a request could be served now, else 503 and why not."""
    known = await status(services)
    if known["ready"]:
        return JSONResponse({"status": "ok"})
    body = {"status": "unavailable", "reason": known["reason"]}
    return JSONResponse(body, status_code=503, headers={"retry-after": "1"})


async def status(services: Services) -> dict[str, Any]:
    """Return the state of this Gateway as the privacy API shows it."""
    reason, library = "", None
    try:
        library = await services.privacy_workers.run(_check, services.library)
    except (ApiError, PrivacyError) as error:
        reason = reason_code(error)
    names: list[str] = []
    try:
        names = services.api_keys.names()
    except ServingError:
        reason = reason or "api_keys_missing"
    if not reason and services.settings.suspended:
        reason = "suspended"
    return {
        "tenant": services.config.tenant,
        "ready": reason in ("", "suspended"),
        "reason": reason,
        **_figures(library),
        "api_keys": names,
        "cache_seconds": services.config.cache_seconds,
    }


def _check(library: Library) -> LibraryStatus:
    library.handle("readiness")  # needs the index key, and so Vault at least once per cache bound
    return library.status()


def _figures(library: LibraryStatus | None) -> dict[str, Any]:
    if library is None:
        return {"generation": None, "key_version": None, "replicas": [], "copies": []}
    shown = as_json(library)
    return {name: shown[name] for name in ("generation", "key_version", "replicas", "copies")}
