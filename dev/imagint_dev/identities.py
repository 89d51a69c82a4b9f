"""Plays kubelet for the platform's ServiceAccounts: mints their tokens, writes them to files, renews them in time.

In a cluster these files are projected volumes. A token is never logged; each account gets only the audiences it needs.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from imagint_dev import files, kubeconfigs
from imagint_dev.apiserver import ApiServer
from imagint_dev.folder import StateFolder
from imagint_dev.site import CONTROLLER, PROBER, PROJECTOR, PROVISIONER, RETIRED, SHREDDER
from imagint_dev.vaults import SYSTEM

SECONDS = 3600
RENEW_AFTER = SECONDS / 2
API = ("token", None)
VAULT = ("vault-token", "vault")
DATAPLANE = ("dataplane-token", "imagint-dataplane")
PROBES = ("prober-token", "imagint-prober")
TOKENS: Mapping[str, tuple[tuple[str, str | None], ...]] = {
    CONTROLLER: (API, VAULT, DATAPLANE, PROBES),
    PROVISIONER: (API,),
    SHREDDER: (API, VAULT),
    PROBER: (VAULT, DATAPLANE),
    PROJECTOR: (API,),
}


@dataclass(frozen=True, slots=True)
class Identities:
    """The token files of one stack."""

    folder: StateFolder

    def renew(self, api: ApiServer) -> None:
        """Writes every token anew, each in one step.

        Raises:
            RetryableError: the apiserver is away.
            RefusedError: a ServiceAccount does not exist.
        """
        for account in RETIRED:
            shutil.rmtree(self.folder.identity(account), ignore_errors=True)
        for account, tokens in TOKENS.items():
            home = self.folder.identity(account)
            for name, audience in tokens:
                files.write(home / name, api.token(SYSTEM, account, audience, SECONDS))
            if API in tokens:
                self._describe_server(api, account)

    def _describe_server(self, api: ApiServer, account: str) -> None:
        home = self.folder.identity(account)
        files.write(home / "ca.crt", api.endpoint.ca_pem)
        document = kubeconfigs.with_token_file(api.endpoint.server, api.endpoint.ca_pem, account, home / "token")
        kubeconfigs.write(home / "kubeconfig", document)
