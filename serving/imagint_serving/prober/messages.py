"""The shapes that cross the prober's edges: what it is asked, what a Gateway tells it, what it answers and keeps."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from imagint_privacy.subjects import SUBJECT_PATTERN

TENANT_PATTERN = r"^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$"
REQUEST_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
MAX_SEALED = 64 * 1024
MAX_CANARIES = 512

Handle = Annotated[str, Field(pattern=SUBJECT_PATTERN)]
Tenant = Annotated[str, Field(pattern=TENANT_PATTERN)]
Sealed = Annotated[str, Field(min_length=1, max_length=MAX_SEALED)]
Category = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
Count = Annotated[int, Field(ge=0)]


class Message(BaseModel):
    """Base: immutable, and silent about values when it refuses them."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class TenantQuestion(Message):
    """Look at a whole tenant, before its key is destroyed or after."""

    model_config = ConfigDict(extra="forbid")

    tenant: Tenant
    namespace: Annotated[str, Field(pattern=r"^tenant-[-a-z0-9]{1,40}$")]


class Question(TenantQuestion):
    """Look before."""

    subject: Handle


class AfterQuestion(Question):
    """Look after; `key_version` is the oldest version that may still exist."""

    key_version: Annotated[int, Field(ge=2)]


class Root(Message):
    """The wrapped root of a tenant's key tree."""

    generation: Count
    key_name: Annotated[str, Field(max_length=64)]
    key_version: Annotated[int, Field(ge=1)]
    ciphertext: Annotated[str, Field(min_length=1, max_length=MAX_SEALED)]


class ErasedCanary(Message):
    """A nonce sealed under a key that is to be erased."""

    category: Category
    sealed: Sealed


class SurvivorCanary(Message):
    """A nonce sealed under a key that must survive."""

    sealed: Sealed


class Canaries(Message):
    """What a Gateway sealed for the prober."""

    erased: Annotated[tuple[ErasedCanary, ...], Field(max_length=MAX_CANARIES)]
    survivors: Annotated[tuple[SurvivorCanary, ...], Field(max_length=MAX_CANARIES)]


class Holdings(Message):
    """What a Gateway lists about a subject."""

    paths: Count
    records: Annotated[dict[Category, Count], Field(max_length=64)]
    objects: Count


class Check(Message):
    """One thing looked at."""

    name: str
    passed: bool
    detail: str


class Result(Message):
    """What the prober saw at one moment."""

    passed: bool
    observed_at: str
    checks: tuple[Check, ...]


class BeforeRecord(Message):
    """What is kept from before: the root and the canaries, to be tried again, and the result."""

    question: Question
    root: Root
    nonce: str
    canaries: Canaries
    holdings: Holdings
    result: Result


class AfterRecord(Message):
    """What is kept from after."""

    question: AfterQuestion
    result: Result


class ProbeRecord(Message):
    """Everything kept about one request."""

    format: Literal[1] = 1
    before: BeforeRecord
    after: AfterRecord | None = None


class TenantRecord(Message):
    """Everything kept about a tenant that ends: its last root, to be tried again, and what was seen."""

    format: Literal[1] = 1
    question: TenantQuestion
    root: Root
    before: Result
    after: Result | None = None
