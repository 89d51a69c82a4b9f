"""Pure: what the Ready condition says of a Tenant that is deleted: what comes next, when, and what it waits for."""

from __future__ import annotations

from datetime import datetime

from imagint_operator.api.deletion import DeletionStep
from imagint_operator.api.tenants import Tenant
from imagint_operator.conditions import Verdict, no
from imagint_operator.tenants.leftovers import remaining
from imagint_operator.tenants.observations import Observed
from imagint_operator.tenants.shredding import begun, shred_at, withheld

READY = "Ready"
NO_WAY_BACK = "A deletion cannot be taken back in Kubernetes"


def leaving(tenant: Tenant, observed: Observed, now: datetime) -> Verdict:
    """What is to be said now."""
    moment = shred_at(tenant)
    if moment is None:
        return no(
            READY,
            "DeletionRefused",
            "deletion.policy is Refuse, so everything is kept and served. To destroy the tenant's key and all its data "
            f"for good: {_patch(tenant, 'Shred')}",
        )
    if begun(tenant) and not withheld(tenant, observed):
        return _destroying(tenant, observed)
    if observed.holds:
        held = ", ".join(observed.holds)
        return no(READY, "Held", f"legal holds stand against it ({held}): nothing is destroyed until they are lifted")
    if observed.key.problem is not None:
        return no(READY, observed.key.problem.reason, "the key is destroyed as soon as Vault answers")
    if now < moment:
        return no(
            READY,
            "InGrace",
            f"the tenant is switched off, and its key is destroyed from {moment.isoformat()} on. {NO_WAY_BACK}; until "
            f"then all is kept and served again with: {_patch(tenant, 'Refuse')}",
        )
    return _stopping(tenant, observed, moment)


def _stopping(tenant: Tenant, observed: Observed, moment: datetime) -> Verdict:
    if observed.deletion_problem is not None:
        waits = f"the prober is to keep the tenant's last root first: {observed.deletion_problem}"
        return no(READY, observed.deletion_problem.reason, waits)
    if observed.gateway.problem is not None:
        waits = "the key is destroyed once Ray confirms that nothing runs, or ten minutes after it should have"
        return no(READY, observed.gateway.problem.reason, waits)
    if observed.key.state is None and tenant.status.key is None:
        return no(READY, "KeyDestroyed", "there is no key; the namespace goes next")
    stage = "the tenant is switched off" if observed.gateway.drained else "the tenant's applications are being stopped"
    return no(READY, "Shredding", f"{stage}; its key is destroyed from {moment.isoformat()} on")


def _destroying(tenant: Tenant, observed: Observed) -> Verdict:
    deletion = observed.deletion or tenant.status.deletion
    if deletion is not None and deletion.evidence is not None:
        where = f"its certificate is ConfigMap imagint-system/{deletion.evidence.config_map}"
        if left := remaining(observed.namespace):
            return no(READY, "NamespaceStuck", f"the key is destroyed, {where}; but the namespace cannot go. "
                      f"{'; '.join(left)}")  # fmt: skip
        return no(READY, "Certified", f"the key is destroyed, {where}; the namespace goes next")
    if observed.deletion_problem is not None:
        problem = observed.deletion_problem
        return no(READY, problem.reason, f"the key is destroyed; its certificate waits: {problem}")
    if observed.key.problem is not None:
        return no(READY, observed.key.problem.reason, "the key is destroyed, or will be, as soon as Vault answers")
    if observed.key.state is not None or deletion is None or deletion.step is DeletionStep.DESTROY_KEY:
        return no(READY, "Shredding", "the tenant's key is being destroyed")
    return no(READY, "KeyDestroyed", "the key is destroyed; its certificate comes next, then the namespace goes")


def _patch(tenant: Tenant, policy: str) -> str:
    change = f'{{"spec":{{"deletion":{{"policy":"{policy}"}}}}}}'
    return f"kubectl patch tenant {tenant.name} --type=merge -p '{change}'"
