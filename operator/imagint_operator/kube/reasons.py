"""Every reason that a condition or an Event of ours can have, and what it means. Pure data; `docs/events.md` shows it.

A reason is a word of the API: people filter by it and alerts count it. An Event about a tenant's Gateway has the
prefix `Gateway`, one about its retention the prefix `Retention`, one about a policy `Policy` or `Subjects` (whether
people were told), one about a recipient `Processor`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Mood(StrEnum):
    """Whether somebody should look, when the condition does not hold."""

    CALM = "calm"
    ALARM = "alarm"
    ABNORMAL = "abnormal"
    """Look also when it holds: the condition is of the kind that should not."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a reason says, and what to do about it."""

    text: str
    mood: Mood = Mood.ALARM


_CALM = Mood.CALM
_ABNORMAL = Mood.ABNORMAL
REASONS: dict[str, Meaning] = {
    # A tenant.
    "Ready": Meaning("Everything that was asked for stands.", _CALM),
    "Suspended": Meaning("The tenant is switched off by its spec: no image is made, every right is served.", _CALM),
    "NamespaceReady": Meaning("The namespace stands with its quota, network policies and rights.", _CALM),
    "NamespaceConflict": Meaning("A namespace of this name belongs to somebody else: rename the Tenant or delete it."),
    "NamespaceMissing": Meaning("The namespace is not there yet, or was deleted by hand: it is made again."),
    "NamespaceTerminating": Meaning("The namespace is being deleted; it is made again once it is gone."),
    "NamespaceStuck": Meaning("The namespace is being deleted and cannot go: the message names what holds it."),
    "WallsRefused": Meaning("The apiserver refuses what belongs into the namespace: a quota, a policy or a right."),
    "DriftRepaired": Meaning("Somebody changed by hand what the operator keeps; it was put back. Change the Tenant."),
    "StorageTaken": Meaning("Another Tenant keeps its data at the same address: nothing was made."),
    "QuotaBelowUse": Meaning("More is in use than the quotas allow: nothing is taken away, nothing new fits."),
    "WallsIncomplete": Meaning("Something in the namespace is not as it must be; it is put right."),
    "KeyReady": Meaning("The tenant's key stands and cannot leave Vault.", _CALM),
    "KeyMissing": Meaning("Vault has no key for the tenant (yet)."),
    "KeyLost": Meaning("Vault had the key and has none now: restore Vault. No data can be opened."),
    "KeyBehind": Meaning("Vault was restored from before a rotation: restore a newer snapshot."),
    "KeyInherited": Meaning("The key is an earlier Tenant's, which Vault's restore brought back: delete the Tenant."),
    "KeyExportable": Meaning("The key can leave Vault: whoever took it can undo an erasure."),
    "KeyReplayed": Meaning("Vault was restored; what had been destroyed before was destroyed again.", _CALM),
    "KeyDestroyed": Meaning("The key is destroyed, as it had to be.", _CALM),
    "DeletionRefused": Meaning("The Tenant is deleted and its policy says Refuse: everything is kept."),
    "Held": Meaning("Legal holds stand against it: nothing is destroyed until they end; it then goes on by itself."),
    "InGrace": Meaning(
        "The Tenant is deleted and its grace time runs: it is switched off, and all is kept until then.", _CALM
    ),
    "Shredding": Meaning("The tenant is being switched off; its key is destroyed next.", _CALM),
    "Certified": Meaning("The tenant's key is destroyed and the certificate says so; its namespace goes next.", _CALM),
    "Serving": Meaning("The Gateway answers.", _CALM),
    "NotReady": Meaning("The Gateway answers that it is not ready."),
    "Drained": Meaning("The tenant's applications are gone.", _CALM),
    "Placed": Meaning("The tenant is served where spec.compute says.", _CALM),
    "Moving": Meaning("The tenant moves to another Ray cluster; the old one serves until the new one does.", _CALM),
    "RayServiceNotInstalled": Meaning("The cluster has no RayService kind: install KubeRay."),
    "RayServiceRefused": Meaning("The apiserver refuses the RayService; the message names the fields."),
    # A model, and what runs on Ray Serve.
    "Waiting": Meaning("It was not asked for yet: something else comes first.", _CALM),
    "Deploying": Meaning("Ray Serve is starting it.", _CALM),
    "Running": Meaning("Ray Serve runs it.", _CALM),
    "DeployFailed": Meaning("Ray Serve could not start it: its log says why."),
    "Unhealthy": Meaning("Ray Serve reports the replicas as unhealthy."),
    "TenantMissing": Meaning("The namespace belongs to no Tenant."),
    "NotProbed": Meaning("It was not tried yet with this configuration.", _CALM),
    "ProbeFailed": Meaning("A probe looked, and did not see what it must see."),
    "Answering": Meaning("The model made a picture.", _CALM),
    "Starting": Meaning("A new revision of the model is starting; the one before serves.", _CALM),
    "Probing": Meaning("A new revision is being tried; the one before serves.", _CALM),
    "Recreating": Meaning("The old revision was stopped first, as spec.rollout.strategy says.", _CALM),
    "Promoted": Meaning("The revision passed its probe and serves.", _CALM),
    # A request.
    "InProgress": Meaning("A step is under way; nobody is told of each.", _CALM),
    "Queued": Meaning("Another erasure of the tenant, or its retention, goes first.", _CALM),
    "NotYetExecutable": Meaning(
        "The request is recorded and its clock runs; this version does not carry it out.", _CALM
    ),
    "NotYetReceived": Meaning("receivedAt lies in the future."),
    "TenantDeleting": Meaning("The Tenant is being deleted; with its key everything of it becomes unreadable."),
    "TenantSuspended": Meaning("Retention waits while the tenant is suspended.", _CALM),
    "OutOfOrder": Meaning("Nothing is destroyed: a step that must come first is not recorded as done."),
    "Erased": Meaning("The keys are destroyed, the data is deleted, the certificate is issued.", _CALM),
    "NothingHeld": Meaning("Nothing was held about the subject; the certificate says so.", _CALM),
    "NotYet": Meaning("The subject's keys still exist.", _CALM),
    "Trimmed": Meaning("The old version of the tenant's key is destroyed.", _CALM),
    "HoldCheckFailed": Meaning("The key's flags are not what an erasure needs: see the step's checks."),
    "CopyFailed": Meaning("A copy of the key tree was not written or not read back: nothing is destroyed."),
    "PurgeIncomplete": Meaning("Some of the ciphertext could not be deleted; its keys are gone."),
    "StepFailed": Meaning("A step looked at the world and did not find what it must."),
    "EvidenceRefused": Meaning("The certificate would claim what was not shown."),
    "Restricted": Meaning("The data is stored and not used, until a request lifts it (GDPR 18).", _CALM),
    "Objected": Meaning("The purposes objected to have stopped, until a request lifts it (GDPR 21).", _CALM),
    "Lifted": Meaning("It was lifted.", _CALM),
    "NothingToLift": Meaning("The request that is to be lifted is not there, or nothing of it stands."),
    "NotConfirmed": Meaning("The data plane, asked again, does not say what it must."),
    "Due": Meaning("Its time runs.", _CALM),
    "DueSoon": Meaning("Its time is nearly over."),
    "NotDue": Meaning("Nothing has to be done now.", _CALM),
    "Overdue": Meaning("The time that the law gives is over.", _ABNORMAL),
    "Answered": Meaning("It was answered in time.", _CALM),
    "AnsweredLate": Meaning("It was answered after its time."),
    # A legal hold.
    "Active": Meaning("Nothing that the hold is about is forgotten.", _CALM),
    "NotYetActive": Meaning("The hold begins later.", _CALM),
    "Expired": Meaning("The hold has run out; what waited for it goes on.", _CALM),
    "ReviewOverdue": Meaning("Look whether the hold is still needed: lift it, or move spec.reviewBy.", _ABNORMAL),
    "InTime": Meaning("No erasure that the hold is about had passed its commit.", _CALM),
    "AlreadyCommitted": Meaning("The hold came too late for an erasure: its keys could not be kept.", _ABNORMAL),
    # A breach.
    "Done": Meaning("It is recorded as done.", _CALM),
    "DoneLate": Meaning("It is recorded as done, after its time."),
    "NotRequired": Meaning("The risk does not call for it.", _CALM),
    "Exempt": Meaning("An exemption of GDPR 34(3) is recorded.", _CALM),
    "ObligationsMet": Meaning("Everything that the law asks for is recorded.", _CALM),
    # A privacy policy, and who is bound by it.
    "Published": Meaning("The edition lies in its ConfigMap.", _CALM),
    "NotPublished": Meaning("There is no edition to tell people about yet.", _CALM),
    "NotYetEffective": Meaning("No edition has taken force yet: its moment comes.", _CALM),
    "InForce": Meaning("An edition is in force.", _CALM),
    "EditionUnreadable": Meaning("The ConfigMap of the edition in force was changed or is gone."),
    "NoticesPending": Meaning("People are still to be told of a material change.", _CALM),
    "NotNeeded": Meaning("Nobody has to be told of this edition.", _CALM),
    "Bound": Meaning("The tenant is bound by the edition in force.", _CALM),
    "PolicyMissing": Meaning("The Tenant refers to a PrivacyPolicy that is not there: its own rules hold."),
    "PolicyNotInForce": Meaning("No edition of the Tenant's policy is in force: its own rules hold."),
    "RegionNotInPolicy": Meaning("The policy does not name the Tenant's region."),
    "RetentionTooLong": Meaning("The Tenant keeps longer than its policy allows: the policy's term holds."),
    # A recipient of data.
    "Configured": Meaning("Erasures are passed on, and receipts are checked.", _CALM),
    "ConfiguredUnsigned": Meaning("Erasures are passed on; receipts cannot be checked without a public key.", _CALM),
    "ByHand": Meaning("A person passes erasures on; certificates name it as not confirmed.", _CALM),
    "NotTold": Meaning("Erasures are not passed on, for the reason in spec.erasure.reason.", _CALM),
    "PublicKeyUnusable": Meaning("No receipt can be checked with spec.erasure.publicKey."),
    # Retention.
    "Scheduled": Meaning("The next run has its moment.", _CALM),
    "Completed": Meaning("A run of retention is complete.", _CALM),
    "Failed": Meaning("A step of retention was refused, or did not find what it must."),
    "Behind": Meaning("Retention is late by more than one interval."),
    # Errors: somebody did not answer, or refuses.
    "ApiServerUnavailable": Meaning("The apiserver is unreachable, slow or busy."),
    "KindMissing": Meaning("A kind is not served: install the CRDs of this version."),
    "Unreadable": Meaning("An object says what this version cannot parse: install its CRDs and apply it again."),
    "NotLeading": Meaning("Another replica may hold the Lease: this one writes nothing.", _CALM),
    "Conflict": Meaning("Somebody else changed or replaced the object; it is looked at again."),
    "VaultUnavailable": Meaning("Vault is sealed or unreachable."),
    "VaultRefused": Meaning("Vault refuses the operator."),
    "DataPlaneUnavailable": Meaning("A Gateway or Ray's dashboard is unreachable or not ready."),
    "DataPlaneRefused": Meaning("A Gateway refuses the step."),
    "ProberUnavailable": Meaning("The prober is unreachable or not ready."),
    "ProberRefused": Meaning("The prober refuses the probe."),
    "ServeRefused": Meaning("Ray Serve refuses the configuration."),
    "Forbidden": Meaning("The operator lacks a right."),
    "Refused": Meaning("The apiserver refuses what the operator wrote."),
    "InternalError": Meaning("A fault of the operator: its log names the place."),
}


def calm(reason: str) -> bool:
    """Whether a condition that does not hold for this reason is merely on its way."""
    found = REASONS.get(reason)
    return found is not None and found.mood is Mood.CALM


def abnormal(reason: str) -> bool:
    """Whether somebody should look although the condition holds."""
    found = REASONS.get(reason)
    return found is not None and found.mood is Mood.ABNORMAL
