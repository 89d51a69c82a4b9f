"""Pure: renders again only what changed, so that a look at thousands of applications at rest costs next to nothing.

Objects of the caches are the same object as long as their version is the same: identity is the test.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from imagint_operator import names
from imagint_operator.api.models import ModelDeployment
from imagint_operator.api.tenants import Tenant
from imagint_operator.serve.applications import Application, render
from imagint_operator.settings import Settings


@dataclass(frozen=True, slots=True)
class Share:
    """One tenant's applications, and what they were rendered from."""

    tenant: Tenant
    models: tuple[ModelDeployment, ...]
    applications: tuple[Application, ...]

    def still(self, tenant: Tenant, models: tuple[ModelDeployment, ...]) -> bool:
        """Whether these are what it was rendered from."""
        same = self.tenant is tenant and len(models) == len(self.models)
        return same and all(now is then for now, then in zip(models, self.models, strict=True))


class Rendered:
    """All applications, by name. The answer is the same mapping as long as nothing changed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._shares: dict[str, Share] = {}
        self._all: Mapping[str, Application] = {}

    def of(self, tenants: Iterable[Tenant], models: Iterable[ModelDeployment]) -> Mapping[str, Application]:
        """Every application that these ask for."""
        theirs: dict[str, list[ModelDeployment]] = {}
        for model in models:
            theirs.setdefault(model.metadata.namespace or "", []).append(model)
        shares = {tenant.name: self._share(tenant, theirs) for tenant in tenants}
        if len(shares) != len(self._shares) or any(self._shares.get(name) is not it for name, it in shares.items()):
            self._shares = shares
            found = {app.name: app for share in shares.values() for app in share.applications}
            if found != self._all:
                self._all = dict(sorted(found.items()))
        return self._all

    def _share(self, tenant: Tenant, theirs: Mapping[str, list[ModelDeployment]]) -> Share:
        models = tuple(theirs.get(names.namespace_of(tenant.name), ()))
        known = self._shares.get(tenant.name)
        if known is not None and known.still(tenant, models):
            return known
        made = render([tenant], models, self._settings)
        if known is not None and known.applications == made:
            made = known.applications
        return Share(tenant, models, made)
