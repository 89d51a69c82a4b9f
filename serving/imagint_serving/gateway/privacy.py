"""The privacy API: what the operator and the prober ask of a tenant's data plane, thin over the library.

The steps of erasures and of retention, restrictions and objections, canaries.

Nothing is decided here. Every call blocks on the database or on Vault, so each runs in the privacy pool.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from imagint_privacy.purposes import Purpose
from imagint_privacy.records.erasures import Erasures
from imagint_privacy.records.gate import Kind
from imagint_privacy.records.library import Library
from imagint_privacy.records.results import Restriction, Waiting, as_json
from imagint_privacy.records.retention import MOST_DAYS, MOST_MONTHS, RuleSet, Term
from imagint_privacy.subjects import SUBJECT_PATTERN
from imagint_serving.gateway.bodies import read_body
from imagint_serving.gateway.callers import EITHER, OPERATOR_ONLY, PROBER_ONLY, GivenServices
from imagint_serving.gateway.errors import InvalidRequestError
from imagint_serving.gateway.health import status
from imagint_serving.gateway.parameters import read_json
from imagint_serving.gateway.probing import probe_model
from imagint_serving.gateway.services import Services
from imagint_serving.gateway.trials import TrialBody, try_revision

REQUEST_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
MAX_SEALED = 64 * 1024

RequestId = Annotated[str, Path(pattern=REQUEST_PATTERN)]
Handle = Annotated[str, Field(pattern=SUBJECT_PATTERN)]
RequestName = Annotated[str, Field(pattern=REQUEST_PATTERN)]
B = TypeVar("B", bound=BaseModel)
T = TypeVar("T")


class RetentionStep(StrEnum):
    """The steps of a run after its commit, by their names in the library."""

    COPIES = "copies"
    CACHES = "caches"
    PURGE = "purge"
    COMPLETE = "complete"


router = APIRouter(prefix="/privacy/v1")


class Body(BaseModel):
    """Base of the bodies: strict about names, silent about values."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class FenceBody(Body):
    """Begin an erasure."""

    request: RequestName
    subject: Handle
    categories: Annotated[tuple[str, ...], Field(max_length=64)] = ()
    received_at: AwareDatetime


class CommitBody(Body):
    """Rewrite the tree under a version of the tenant key."""

    key_version: Annotated[int, Field(ge=1)]


class DestroyedBody(Body):
    """Say below which version of the tenant key everything was destroyed."""

    below: Annotated[int, Field(ge=1)]


class RestrictBody(Body):
    """Restrict a subject's data, or object to some purposes."""

    request: RequestName
    subject: Handle
    kind: Kind
    categories: Annotated[tuple[str, ...], Field(max_length=64)] = ()
    purposes: Annotated[tuple[Purpose, ...], Field(max_length=16)] = ()
    received_at: AwareDatetime

    @model_validator(mode="after")
    def _purposes_are_objected_to(self) -> RestrictBody:
        if self.kind is Kind.RESTRICT and self.purposes:
            raise ValueError("a restriction names no purposes")
        return self


class TermBody(Body):
    """How long a category is kept after the end of a month."""

    months: Annotated[int, Field(ge=0, le=MOST_MONTHS)] = 0
    days: Annotated[int, Field(ge=0, le=MOST_DAYS)] = 0


class CountBody(Body):
    """What retention is to forget, and of whom it is to forget nothing."""

    rules: Annotated[dict[str, TermBody | None], Field(max_length=255)]
    excepted: Annotated[tuple[Handle, ...], Field(alias="except", max_length=10_000)] = ()

    def rule_set(self) -> RuleSet:
        """Return the rules as the domain knows them."""
        given = self.rules.items()
        return RuleSet({name: None if term is None else Term(term.months, term.days) for name, term in given})


class RetainBody(CountBody):
    """Begin a run of retention."""

    request: RequestName


class CanariesBody(Body):
    """Seal canaries."""

    request: RequestName
    subject: Handle
    nonce: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class SealedBody(Body):
    """Open a canary."""

    sealed: Annotated[str, Field(max_length=MAX_SEALED)]


@router.get("/status", dependencies=EITHER)
async def show_status(services: GivenServices) -> dict[str, Any]:
    """Say whether this Gateway is ready, and what it knows about replicas and copies."""
    return await status(services)


@router.post("/models/{name}/probe", dependencies=OPERATOR_ONLY)
async def probe(name: str, services: GivenServices) -> dict[str, Any]:
    """Make one tiny image and throw it away."""
    return {"ok": True, "seconds": await probe_model(services, name)}


@router.post("/models/{name}/trial", dependencies=OPERATOR_ONLY)
async def trial(name: str, request: Request, services: GivenServices) -> dict[str, Any]:
    """Have a revision make test pictures, judge them where they are made, and throw them away."""
    return await try_revision(services, name, await _read(request, TrialBody))


@router.post("/destroyed", dependencies=OPERATOR_ONLY)
async def destroyed(request: Request, services: GivenServices) -> dict[str, int]:
    """Serve no tree of before: Vault, the database and its copies may all have been restored from then."""
    body = await _read(request, DestroyedBody)
    services.library.require_key(body.below)
    return {"below": body.below}


@router.post("/erasures", dependencies=OPERATOR_ONLY)
async def fence(request: Request, services: GivenServices) -> JSONResponse:
    """Fence the subject and say what is held."""
    body = await _read(request, FenceBody)
    return await _step(
        services,
        lambda e: e.fence(body.request, body.subject, body.categories, received_at=body.received_at),
    )


@router.get("/erasures/{request_id}", dependencies=EITHER)
async def show_erasure(request_id: RequestId, services: GivenServices) -> JSONResponse:
    """Say how far an erasure is."""
    return await _step(services, lambda e: e.status(request_id))


@router.post("/erasures/{request_id}/commit", dependencies=OPERATOR_ONLY)
async def commit(request_id: RequestId, request: Request, services: GivenServices) -> JSONResponse:
    """Rewrite the tree without the forgotten paths, under the new version of the key."""
    body = await _read(request, CommitBody)
    return await _step(services, lambda e: e.commit(request_id, body.key_version))


@router.post("/erasures/{request_id}/copies", dependencies=OPERATOR_ONLY)
async def copies(request_id: RequestId, services: GivenServices) -> JSONResponse:
    """Write the new tree to every copy, and read it back."""
    return await _step(services, lambda e: e.copies(request_id))


@router.post("/erasures/{request_id}/caches", dependencies=OPERATOR_ONLY)
async def caches(request_id: RequestId, services: GivenServices) -> JSONResponse:
    """Wait until every replica has dropped the old keys."""
    return await _step(services, lambda e: e.caches(request_id))


@router.post("/erasures/{request_id}/purge", dependencies=OPERATOR_ONLY)
async def purge(request_id: RequestId, services: GivenServices) -> JSONResponse:
    """Delete ciphertext, rows and objects."""
    return await _step(services, lambda e: e.purge(request_id))


@router.post("/erasures/{request_id}/complete", dependencies=OPERATOR_ONLY)
async def complete(request_id: RequestId, services: GivenServices) -> JSONResponse:
    """Lift the fence."""
    return await _step(services, lambda e: e.complete(request_id))


@router.post("/retention/count", dependencies=OPERATOR_ONLY)
async def count_due(request: Request, services: GivenServices) -> JSONResponse:
    """Count what a run of retention would forget now, and do nothing."""
    body = await _read(request, CountBody)
    return await _ask(services, lambda library: library.retention.count(body.rule_set(), body.excepted))


@router.post("/retention", dependencies=OPERATOR_ONLY)
async def begin_retention(request: Request, services: GivenServices) -> JSONResponse:
    """Begin a run over everything that is due now."""
    body = await _read(request, RetainBody)
    return await _ask(services, lambda library: library.retention.begin(body.request, body.rule_set(), body.excepted))


@router.get("/retention/{request_id}", dependencies=EITHER)
async def show_retention(request_id: RequestId, services: GivenServices) -> JSONResponse:
    """Say how far a run is."""
    return await _ask(services, lambda library: library.retention.status(request_id))


@router.post("/retention/{request_id}/commit", dependencies=OPERATOR_ONLY)
async def commit_retention(request_id: RequestId, request: Request, services: GivenServices) -> JSONResponse:
    """Forget the next slice of what is due, under the new version of the key; 202 while more are to come."""
    body = await _read(request, CommitBody)
    return await _ask(services, lambda library: library.retention.commit(request_id, body.key_version))


@router.post("/retention/{request_id}/{step}", dependencies=OPERATOR_ONLY)
async def step_retention(request_id: RequestId, step: RetentionStep, services: GivenServices) -> JSONResponse:
    """Write and read back the copies, wait for caches, purge, or complete a run."""
    return await _ask(services, lambda library: getattr(library.retention, step.value)(request_id))


@router.post("/restrictions", dependencies=OPERATOR_ONLY)
async def restrict(request: Request, services: GivenServices) -> JSONResponse:
    """Let a subject's data be stored and nothing else, or stop the purposes objected to; until lifted."""
    body = await _read(request, RestrictBody)
    return await _ask(services, lambda library: _restrict(library, body))


@router.get("/restrictions/{request_id}", dependencies=EITHER)
async def show_restriction(request_id: RequestId, services: GivenServices) -> JSONResponse:
    """Say how a restriction or an objection stands."""
    return await _ask(services, lambda library: library.restrictions.status(request_id))


@router.post("/restrictions/{request_id}/lift", dependencies=OPERATOR_ONLY)
async def lift(request_id: RequestId, services: GivenServices) -> JSONResponse:
    """End a restriction or an objection."""
    return await _ask(services, lambda library: library.restrictions.lift(request_id))


@router.get("/subjects/{handle}/restrictions", dependencies=EITHER)
async def restrictions(handle: Annotated[str, Path(pattern=SUBJECT_PATTERN)], services: GivenServices) -> JSONResponse:
    """List every restriction and objection of a subject."""
    return await _ask(services, lambda library: library.restrictions.of(handle))


def _restrict(library: Library, body: RestrictBody) -> Restriction:
    known = library.restrictions
    if body.kind is Kind.RESTRICT:
        return known.restrict(body.request, body.subject, body.categories, received_at=body.received_at)
    return known.object_to(body.request, body.subject, body.purposes, body.categories, received_at=body.received_at)


@router.get("/root", dependencies=PROBER_ONLY)
async def root(services: GivenServices) -> JSONResponse:
    """Return the wrapped root of the tree, for the prober to keep."""
    return await _step(services, lambda e: e.root())


@router.post("/canaries", dependencies=PROBER_ONLY)
async def seal_canaries(request: Request, services: GivenServices) -> JSONResponse:
    """Seal a nonce under the keys that are to be erased, and under some that are not."""
    body = await _read(request, CanariesBody)
    nonce = bytes.fromhex(body.nonce)
    return await _step(services, lambda e: e.seal_canaries(body.request, body.subject, nonce))


@router.post("/canaries/open", dependencies=PROBER_ONLY)
async def open_canary(request: Request, services: GivenServices) -> dict[str, str]:
    """Open a canary, if its key still exists."""
    body = await _read(request, SealedBody)
    nonce = await services.privacy_workers.run(services.library.erasures.open_canary, body.sealed)
    return {"nonce": nonce.hex()}


@router.get("/subjects/{handle}/holdings", dependencies=EITHER)
async def holdings(handle: Annotated[str, Path(pattern=SUBJECT_PATTERN)], services: GivenServices) -> JSONResponse:
    """Count what is held about a subject."""
    return await _step(services, lambda e: e.holdings(handle))


async def _step(services: Services, call: Callable[[Erasures], T]) -> JSONResponse:
    return await _ask(services, lambda library: call(library.erasures))


async def _ask(services: Services, call: Callable[[Library], T]) -> JSONResponse:
    result = await services.privacy_workers.run(call, services.library)
    if isinstance(result, Waiting):
        wait = {"retry-after": str(math.ceil(result.retry_after))}
        return JSONResponse(as_json(result), status_code=202, headers=wait)
    return JSONResponse(as_json(result))


async def _read(request: Request, kind: type[B]) -> B:
    document = read_json(await read_body(request))
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(str(part) for part in problem["loc"])[:64]
        raise InvalidRequestError("invalid_value", f"{field}: {problem['msg']}", param=field) from None
