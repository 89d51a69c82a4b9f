"""The two looks at a tenant's end: keep its last wrapped root, and try it again once the key is said to be gone.

Looking after does not depend on the data plane, which is stopped by then, nor on having looked before: without a root
only Vault's word about the key can be seen, and that is what the answer says.
"""

from __future__ import annotations

import logging
from datetime import UTC

from imagint_privacy.keys.ports import KeyProber
from imagint_serving.prober import checks
from imagint_serving.prober.errors import InvalidProbeError, ProbeConflictError
from imagint_serving.prober.messages import Check, Result, TenantQuestion, TenantRecord
from imagint_serving.prober.ports import Gateway
from imagint_serving.prober.probing import Surroundings
from imagint_serving.prober.storage import ProbeStorage

log = logging.getLogger(__name__)


class TenantProber:
    """Answers the operator's two questions about a tenant that ends, by the Tenant's uid."""

    def __init__(self, vault: KeyProber, gateway: Gateway, storage: ProbeStorage, around: Surroundings) -> None:
        self._vault = vault
        self._gateway = gateway
        self._storage = storage
        self._around = around

    def before(self, uid: str, question: TenantQuestion) -> Result:
        """Keep the root that is current now; asking twice answers the first look that passed.

        Raises:
            ProbeConflictError: the uid was asked about another tenant.
            RetryableError: Vault, the Gateway or the disk does not answer; nothing was concluded.
        """
        kept = self._kept(uid, question)
        if kept is not None and kept.before.passed:
            return kept.before
        root = self._gateway.root(question.tenant)
        refusal = self._vault.refused(question.namespace, root.ciphertext)
        key = self._vault.state(question.namespace)
        result = self._result(checks.tenant_before(question.namespace, key, root, refusal))
        self._storage.save_tenant(uid, TenantRecord(question=question, root=root, before=result))
        return self._reported(uid, question, "before", result)

    def after(self, uid: str, question: TenantQuestion) -> Result:
        """See whether the key is gone, and whether a root that was kept is refused.

        Raises:
            ProbeConflictError: the uid was asked about another tenant.
            RetryableError: Vault or the disk does not answer; nothing was concluded.
        """
        kept = self._kept(uid, question)
        if kept is not None and kept.after is not None and kept.after.passed:
            return kept.after
        key = self._vault.state(question.namespace)
        root = kept.root if kept is not None and kept.before.passed else None
        refusal = self._vault.refused(question.namespace, root.ciphertext) if root is not None else None
        result = self._result(checks.tenant_after(key, root, refusal))
        if kept is not None:
            self._storage.save_tenant(uid, kept.model_copy(update={"after": result}))
        return self._reported(uid, question, "after", result)

    def _kept(self, uid: str, question: TenantQuestion) -> TenantRecord | None:
        if question.namespace != f"tenant-{question.tenant}":
            raise InvalidProbeError("the namespace is not the tenant's")
        kept = self._storage.load_tenant(uid)
        if kept is not None and kept.question != question:
            raise ProbeConflictError("this uid was asked about another tenant")
        return kept

    def _result(self, made: tuple[Check, ...]) -> Result:
        moment = self._around.now().astimezone(UTC).isoformat().replace("+00:00", "Z")
        return Result(passed=all(check.passed for check in made), observed_at=moment, checks=made)

    def _reported(self, uid: str, question: TenantQuestion, moment: str, result: Result) -> Result:
        verdict = "passed" if result.passed else "NOT passed"
        log.info("probe %s the end of tenant %s (%s): %s", moment, question.tenant, uid, verdict)
        return result
