"""`DataProcessor`: somebody else who receives personal data, and how that one is told to erase it.

Declares fields and their limits only. Who is told what is in `imagint_operator.recipients`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from imagint_operator.api.base import ApiModel, Conditions, Kind, Rule, name_rule, rules
from imagint_operator.api.policyparts import SET, Region, Safeguard, Sentence, Slug

NAME_PATTERN = r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$"
EEA = (
    "at", "be", "bg", "cy", "cz", "de", "dk", "ee", "es", "eu", "fi", "fr", "gr", "hr", "hu", "ie", "is", "it", "li",
    "lt", "lu", "lv", "mt", "nl", "no", "pl", "pt", "ro", "se", "si", "sk",
)  # fmt: skip
TenantName = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$")]


class ProcessorRole(StrEnum):
    """What the recipient is to the controller (GDPR articles 4(8), 4(9), 26, 28)."""

    PROCESSOR = "Processor"
    SUB_PROCESSOR = "SubProcessor"
    JOINT_CONTROLLER = "JointController"
    RECIPIENT = "Recipient"


class ProcessorPurpose(StrEnum):
    """What the recipient does."""

    HOSTING = "Hosting"
    PAYMENTS = "Payments"
    SUPPORT = "Support"
    ANALYTICS = "Analytics"
    COMMUNICATION = "Communication"
    SAFETY = "Safety"


class ErasureProtocol(StrEnum):
    """How the recipient is told. `Manual`: a person tells it. `None`: it is not told, for the reason given."""

    OPEN_DSR = "OpenDSR"
    WEBHOOK = "Webhook"
    MANUAL = "Manual"
    NONE = "None"


class Selection(StrEnum):
    """Whose data the recipient gets."""

    ALL = "All"
    NAMED = "Named"


class Contract(ApiModel):
    """The contract with the recipient (GDPR article 28(3))."""

    reference: Annotated[str, Field(min_length=1, max_length=200)]
    """Where it is found: a file number, not the contract."""


class ProcessorTenants(ApiModel):
    """Whose data the recipient gets."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "(self.selection == 'Named') == (has(self.names) && size(self.names) > 0)",
                "names lists the tenants when selection is Named, and is left out when it is All",
            ),
        )
    )

    selection: Selection = Selection.ALL
    """All tenants', or those of the ones named."""
    names: Annotated[tuple[TenantName, ...], Field(max_length=256, json_schema_extra=SET)] = ()
    """The tenants."""


class ErasureChannel(ApiModel):
    """How the recipient is told to erase, and how its receipt is known."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "(self.protocol in ['OpenDSR', 'Webhook']) == has(self.url)",
                "OpenDSR and Webhook need a url; Manual and None have none",
            ),
            Rule(
                "self.protocol != 'None' || has(self.reason)",
                "say in reason why this recipient need not be told (GDPR article 19: impossible, or a disproportionate "
                "effort)",
            ),
            Rule(
                "self.protocol != 'Manual' || has(self.contact)",
                "Manual needs contact: the office that a person tells",
            ),
        )
    )

    protocol: ErasureProtocol
    """How it is told."""
    url: (
        Annotated[
            str,
            Field(
                min_length=8,
                max_length=512,
                json_schema_extra=rules(
                    Rule(
                        "self.matches('^https://[^/?#@[:space:]]+(/[^?#@[:space:]]*)?$') || "
                        "self.matches('^http://(127[.]0[.]0[.]1|localhost)(:[0-9]+)?(/[^?#@[:space:]]*)?$')",
                        "url begins with https:// (http:// on the loopback only), and carries no user, no password, no "
                        "query and no fragment",
                    )
                ),
            ),
        ]
        | None
    ) = None
    """Where it takes erasures. OpenDSR: what `/requests` is added to. Webhook: the address itself."""
    public_key: (
        Annotated[
            str,
            Field(
                min_length=64,
                max_length=2048,
                json_schema_extra=rules(
                    Rule(
                        "self.startsWith('-----BEGIN PUBLIC KEY-----')",
                        "publicKey is a public key in PEM form, beginning with -----BEGIN PUBLIC KEY-----",
                    )
                ),
            ),
        ]
        | None
    ) = None
    """The key that its receipts are signed with: RSA for OpenDSR, ed25519 for Webhook. Without it, TLS alone says who
    answered."""
    due_days: Annotated[int, Field(ge=1, le=90)] = 14
    """Within how many days it must have erased; afterwards it is Overdue, and the certificate says so."""
    contact: Annotated[str, Field(max_length=254, pattern=r"^[^\s@]+@[^\s@]+\.[^\s@]+$")] | None = None
    """The mailbox of the office that is told by hand. Never a person's own."""
    reason: Sentence | None = None
    """Why it need not be told."""


class DataProcessorSpec(ApiModel):
    """Who receives what, where, and under what terms."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "self.safeguard != 'None' || self.region.substring(0, 2) in ["
                + ", ".join(f"'{code}'" for code in EEA)
                + "]",
                "safeguard None is for regions inside the EEA only; elsewhere name what protects the data: Adequacy, "
                "StandardContractualClauses, BindingCorporateRules or Derogation (GDPR articles 45 to 49)",
            ),
            Rule(
                "self.safeguard != 'Derogation' || has(self.safeguardDetail)",
                "say in safeguardDetail which derogation of GDPR article 49(1) applies",
            ),
        )
    )

    display_name: Annotated[str, Field(min_length=1, max_length=100)]
    """The recipient's name for people."""
    purpose: ProcessorPurpose
    """What it does."""
    role: ProcessorRole
    """What it is to the controller."""
    categories: Annotated[tuple[Slug, ...], Field(min_length=1, max_length=16, json_schema_extra=SET)]
    """The categories of data that it receives, such as `prompts` or `account`."""
    region: Region
    """Where it keeps them: a country or a region of one, such as `ie` or `us-east-1`."""
    safeguard: Safeguard
    """What protects them there."""
    safeguard_detail: Sentence | None = None
    """Which decision, contract or derogation."""
    contract: Contract
    """The contract."""
    tenants: ProcessorTenants = ProcessorTenants()
    """Whose data it gets."""
    erasure: ErasureChannel
    """How it is told to erase."""


class DataProcessorStatus(ApiModel):
    """What the operator says about it."""

    observed_generation: Annotated[int, Field(ge=0)] = 0
    """The generation of the spec that this status is about."""
    conditions: Conditions = ()
    """Ready: whether erasures can be passed on. Nobody is called to find out."""


class DataProcessor(Kind):
    """Somebody else who receives personal data."""

    model_config = ConfigDict(
        json_schema_extra=name_rule(
            NAME_PATTERN,
            "a processor's name has 1 to 63 lower-case letters, digits and dashes, begins with a letter and does not "
            "end in a dash",
        )
    )

    spec: DataProcessorSpec
    status: DataProcessorStatus = DataProcessorStatus()
