"""`Tenant`: one customer of the platform, with its namespace, its key and its Gateway.

Declares fields and their limits only. What the operator makes of them is in `imagint_operator.tenants`.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from imagint_operator.api.base import (
    ApiModel,
    Conditions,
    Kind,
    Rule,
    ShortText,
    Url,
    list_map,
    matching,
    name_rule,
    rules,
)
from imagint_operator.api.deletion import DeletionStatus
from imagint_operator.api.retention import RetentionRules, RetentionSchedule, RetentionStatus

NAME_PATTERN = r"^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$"


class Compute(StrEnum):
    """Where the tenant's Gateway and models run."""

    SHARED = "Shared"
    DEDICATED = "Dedicated"


class TenantState(StrEnum):
    """Whether the tenant is served."""

    ACTIVE = "Active"
    SUSPENDED = "Suspended"


class DeletionPolicy(StrEnum):
    """What deleting the Tenant does to its data."""

    SHRED = "Shred"
    REFUSE = "Refuse"


_SECRET_NAME = matching(
    "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
    "secretRef.name is the name of a Secret in the tenant's namespace: lower-case letters, digits, dashes and dots",
)
_SECRET_KEY = matching(
    "^[-._a-zA-Z0-9]+$", "secretRef.key is a key of that Secret: letters, digits, dashes, dots and underscores"
)
_KEY_NAME = matching(
    "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
    "an API key's name has lower-case letters, digits and dashes, and neither begins nor ends in a dash; its value "
    "belongs into a Secret",
)
_REGION = matching(
    "^[a-z]{2}(-[a-z0-9]+)*$",
    "residency.region is written like eu or eu-central-1: two lower-case letters, then parts with dashes between",
)
_VOLUME = matching("^[1-9][0-9]*(Mi|Gi|Ti)$", "quotas.storage is written like 500Mi, 10Gi or 2Ti")


class SecretKeyRef(ApiModel):
    """One key of a Secret in the tenant's namespace."""

    name: Annotated[str, Field(min_length=1, max_length=253, json_schema_extra=_SECRET_NAME)]
    """The Secret's name."""
    key: Annotated[str, Field(min_length=1, max_length=253, json_schema_extra=_SECRET_KEY)]
    """The key inside it."""


class ApiKey(ApiModel):
    """An API key that callers of the Gateway present. Several may be valid at once, for rotation."""

    name: Annotated[str, Field(min_length=1, max_length=63, json_schema_extra=_KEY_NAME)]
    """The key's name, as shown in records and lists."""
    secret_ref: SecretKeyRef
    """Where its value lies. The operator never reads it."""


class Residency(ApiModel):
    """Where the tenant's data may lie."""

    region: Annotated[str, Field(min_length=2, max_length=32, json_schema_extra=_REGION)]
    """The region, such as `eu` or `eu-central-1`."""


class Quotas(ApiModel):
    """The limits of one tenant."""

    requests_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] = 120
    """Generation requests a minute; more are answered with 429."""
    images_per_day: Annotated[int, Field(ge=1, le=100_000_000)] = 10_000
    """Images a day (UTC); more are answered with 429."""
    gpu_count: Annotated[int, Field(ge=0, le=10_000)] = 0
    """GPUs that the namespace may ask for."""
    storage: Annotated[str, Field(max_length=20, json_schema_extra=_VOLUME)] = "10Gi"
    """Volumes that the namespace may ask for, such as `10Gi`."""


class Storage(ApiModel):
    """Where the tenant's ciphertext is kept, when not in the platform's own place."""

    # Refused here and not by the Gateway: once made, an address cannot be changed.
    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "!has(self.database) || self.database.matches('^(postgresql|sqlite)([+][a-z0-9]+)?://')",
                "storage.database is an address like postgresql://host/database",
            ),
            Rule(
                "(!has(self.objects) || self.objects.matches('^(file|s3|gs|gcs|az|azure|abfss?|https?)://')) && "
                "(!has(self.treeCopies) || self.treeCopies.all(copy, "
                "copy.matches('^(file|s3|gs|gcs|az|azure|abfss?|https?)://')))",
                "storage.objects and storage.treeCopies are addresses like s3://bucket/path, gs://, az:// or file:///",
            ),
            Rule(
                "!has(self.treeCopies) || (self.treeCopies.all(copy, self.treeCopies.exists_one(other, other == copy)) "
                "&& (!has(self.objects) || !(self.objects in self.treeCopies)))",
                "storage.treeCopies are other places than storage.objects and than each other: a copy beside the "
                "original is lost with it",
            ),
        )
    )

    database: Url | None = None
    """SQL address of the records and the key tree, without credentials."""
    objects: Url | None = None
    """Object store address of the sealed images, without credentials."""
    tree_copies: Annotated[tuple[Url, ...], Field(max_length=4)] = ()
    """Stores that each keep a copy of the current key tree."""


class Deletion(ApiModel):
    """What happens when the Tenant is deleted."""

    policy: DeletionPolicy = DeletionPolicy.REFUSE
    """`Refuse` keeps everything until the policy says `Shred`; `Shred` destroys the tenant's key, for good."""
    grace_seconds: Annotated[int, Field(ge=0, le=7_776_000)] = 0
    """How long the tenant is only switched off before its key is destroyed."""


class PolicyRef(ApiModel):
    """Which PrivacyPolicy."""

    name: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$")]
    """Its name."""


class TenantSpec(ApiModel):
    """What the platform engineer wants."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "has(self.storage) == has(oldSelf.storage) && (!has(self.storage) || self.storage == oldSelf.storage)",
                "storage cannot be changed afterwards: the tenant's records would stay behind in the old place",
            ),
            Rule(
                "self.residency.region == oldSelf.residency.region",
                "residency.region cannot be changed afterwards: data does not move by itself; make a new Tenant there",
            ),
        )
    )

    display_name: Annotated[str, Field(max_length=100)] | None = None
    """The tenant's name for people."""
    residency: Residency
    """Where the tenant's data may lie."""
    compute: Compute = Compute.SHARED
    """`Shared`: a Ray cluster beside other tenants. `Dedicated`: a cluster of its own (not carried out yet)."""
    state: TenantState = TenantState.ACTIVE
    """`Suspended` refuses every generation and keeps all data and all rights."""
    quotas: Quotas = Quotas()
    """The tenant's limits."""
    api_keys: Annotated[tuple[ApiKey, ...], Field(max_length=16, json_schema_extra=list_map("name"))] = ()
    """The API keys that are valid now."""
    storage: Storage | None = None
    """Another place for the tenant's ciphertext."""
    policy_ref: PolicyRef | None = None
    """The PrivacyPolicy that binds the tenant."""
    retention: RetentionRules = ()
    """How long each category is kept; what is older is forgotten on schedule. No rules: everything is kept. The
    policy's terms hold too: of the two the shorter."""
    retention_schedule: RetentionSchedule = RetentionSchedule()
    """When that happens."""
    deletion: Deletion = Deletion()
    """What happens when the Tenant is deleted."""


class KeyStatus(ApiModel):
    """The tenant's key in Vault."""

    name: Annotated[str, Field(max_length=64)]
    """Its name in the transit engine."""
    version: Annotated[int, Field(ge=1)]
    """The version in use."""
    destroyed_below: Annotated[int, Field(ge=0)] = 0
    """Every version below this one was destroyed, and is destroyed again if a restored Vault brings it back."""
    replayed_at: datetime | None = None
    """When that was last necessary."""


class TenantStatus(ApiModel):
    """What the operator observed."""

    observed_generation: Annotated[int, Field(ge=0)] = 0
    """The generation of the spec that this status is about."""
    namespace: ShortText | None = None
    """The tenant's namespace."""
    namespace_uid: Annotated[str, Field(max_length=64)] | None = None
    """Its uid: what makes it this Tenant's, whatever its labels say."""
    path: ShortText | None = None
    """The path under which the Gateway serves the tenant; the OpenAI base URL ends in `<path>/v1`."""
    key: KeyStatus | None = None
    """The tenant's key in Vault."""
    retention: RetentionStatus | None = None
    """What retention did and does; absent while there are no rules and never was a run."""
    deletion: DeletionStatus | None = None
    """How far the deletion has come; absent while the Tenant is not deleted, or its deletion is refused."""
    conditions: Conditions = ()
    """Ready on top: NamespaceReady and KeyReady. GatewayReady and RetentionCurrent stand beside it."""


class Tenant(Kind):
    """One customer of the platform: a namespace, a key and a Gateway of its own."""

    model_config = ConfigDict(
        json_schema_extra=name_rule(
            NAME_PATTERN,
            "a Tenant's name has 1 to 40 lower-case letters, digits and dashes, begins with a letter and does not "
            "end in a dash (its namespace is called tenant-<name>)",
        )
    )

    spec: TenantSpec
    status: TenantStatus = TenantStatus()
