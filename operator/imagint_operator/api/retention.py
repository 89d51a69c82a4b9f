"""Retention, as it stands on a `Tenant`: how long each category is kept, when runs begin, what the runs did.

Declares fields and their limits only; the protocol is in `imagint_operator.retention`. Counts and digests, no handles.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from imagint_operator.api.base import ApiModel, Rule, list_map, rules
from imagint_operator.api.requests import Category, Count, Digest, KeyVersions

MOST_DAYS = 36525
MOST_MONTHS = 1200
RunId = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class RetentionRule(ApiModel):
    """How long one category is kept, counted from the end of the month in which a record was made."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "has(self.keepDays) != has(self.keepMonths)",
                "say how long the category is kept with keepMonths or keepDays, and with one of them only; a category "
                "that is kept until it is erased has no rule",
            ),
        )
    )

    category: Category
    """The category."""
    keep_days: Annotated[int, Field(ge=1, le=MOST_DAYS)] | None = None
    """How many days."""
    keep_months: Annotated[int, Field(ge=1, le=MOST_MONTHS)] | None = None
    """How many months."""


RetentionRules = Annotated[tuple[RetentionRule, ...], Field(max_length=16, json_schema_extra=list_map("category"))]


class RetentionSchedule(ApiModel):
    """When runs of retention begin."""

    every_hours: Annotated[int, Field(ge=1, le=744)] = 24
    """A run begins every so many hours, counted from midnight of 1970-01-01 (UTC): 24 is each midnight."""


class RetentionStep(StrEnum):
    """The steps of a run, in order."""

    BEGIN = "Begin"
    ROTATE = "Rotate"
    COMMIT = "Commit"
    COPY = "Copy"
    DROP_CACHES = "DropCaches"
    TRIM = "Trim"
    PURGE = "Purge"
    COMPLETE = "Complete"


class RetentionCount(ApiModel):
    """How many key paths of one category (one a subject and month) a run found or forgot."""

    category: Annotated[str, Field(min_length=1, max_length=32)]
    """The category."""
    due: Count = 0
    """Older than the category may be, and free to be forgotten."""
    forgotten: Count = 0
    """Forgotten."""
    withheld: Count = 0
    """Older, but restricted or being erased: left for a later run."""
    without_rule: Count = 0
    """Of a category that has no rule: kept."""


RetentionCounts = Annotated[tuple[RetentionCount, ...], Field(max_length=255, json_schema_extra=list_map("category"))]


class RetentionRun(ApiModel):
    """The run under way, step by step; what is absent was not done yet."""

    id: RunId
    """What the data plane knows it by."""
    slot: datetime
    """The moment for which it was scheduled."""
    started_at: datetime
    """When it was begun."""
    step: RetentionStep = RetentionStep.BEGIN
    """The step under way; those before it are done."""
    rules: RetentionRules = ()
    """The rules that it was begun with."""
    rules_digest: Digest | None = None
    """The SHA-256 of those rules, as the data plane computed it."""
    excepted_digest: Digest | None = None
    """A digest of the subjects under legal hold whom the run leaves out; absent when there are none."""
    key_versions: KeyVersions | None = None
    """The versions of the tenant's key before and after."""
    slices: Count | None = None
    """In how many commits it forgot, when that took several; then the key is rotated a second time."""
    generation: Count | None = None
    """The key tree's generation without what was due."""
    key_version: Count | None = None
    """The version of the key that this generation is wrapped under."""
    copies: Count | None = None
    """How many copies hold this generation, read back."""
    bound_seconds: Annotated[float, Field(ge=0)] | None = None
    """After how long no replica can remember an older generation; recorded once that time is over."""
    purged: Count | None = None
    """How many rows and objects were deleted."""


class RetentionOutcome(ApiModel):
    """The last run that was completed."""

    id: RunId
    """What the data plane knows it by."""
    slot: datetime
    """The moment for which it was scheduled."""
    started_at: datetime
    """When it was begun."""
    finished_at: datetime
    """When it was done."""
    rules_digest: Digest | None = None
    """The SHA-256 of its rules."""
    counts: RetentionCounts = ()
    """What it found and forgot, by category."""
    forgotten_paths: Count = 0
    """How many key paths it forgot."""
    withheld_paths: Count = 0
    """How many were due and withheld."""
    generation: Count | None = None
    """The key tree's generation afterwards; absent when nothing was due."""
    key_version: Count | None = None
    """The version of the key that the survivors moved to: every older one is destroyed. Absent when nothing was due."""


class RetentionStatus(ApiModel):
    """What retention did and does."""

    next_at: datetime | None = None
    """When the next run begins."""
    current: RetentionRun | None = None
    """The run under way."""
    last: RetentionOutcome | None = None
    """The last run that was completed."""
