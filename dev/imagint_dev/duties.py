"""What the supervisor does itself, between and beside the parts: manifests, identities, Vault's set-up, starting Serve.

A duty is level-triggered: it is done again after its period and whenever what it needs went away and came back.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from imagint_dev import apiserver, assets, files, vaults
from imagint_dev.admission import Mode, in_mode
from imagint_dev.apiserver import ApiServer
from imagint_dev.board import FAILED, READY, UNREADY, Board
from imagint_dev.errors import PermanentError, RefusedError, RetryableError
from imagint_dev.identities import RENEW_AFTER, Identities
from imagint_dev.site import RETIRED, Site
from imagint_dev.vaults import SYSTEM, Login, SetUp, VaultServer

_REVIEWER_SECONDS = 365 * 24 * 3600
_RENEW_REVIEWER_BEFORE = 30 * 24 * 3600
_OPERATOR_FIRST = 15.0
KEEP_SEALED = "keep-sealed"
POLICIES = "/apis/admissionregistration.k8s.io/v1"


@dataclass(frozen=True, slots=True)
class Duty:
    """Work to do once its needs are ready."""

    name: str
    needs: tuple[str, ...]
    act: Callable[[], None]
    period: float


async def tend(duty: Duty, board: Board) -> None:
    """Does the duty, forever; failures show on the board and are tried again."""
    delay = 0.1
    while True:
        await board.until_ready(duty.needs)
        try:
            await asyncio.to_thread(duty.act)
        except PermanentError as error:
            board.set(duty.name, FAILED, detail=str(error))
            return
        except (RetryableError, RefusedError, OSError) as error:
            board.set(duty.name, UNREADY, detail=str(error))
            await asyncio.sleep(delay)
            delay = min(delay * 2, 3.0)
            continue
        delay = 0.1
        board.set(duty.name, READY, detail="")
        await board.until_unready(duty.needs, duty.period)


def platform(api: ApiServer, mode: Mode = Mode.DENY) -> Callable[[], None]:
    """Applies CRDs, rights and admission policies, and waits for the CRDs; takes away what earlier versions left."""

    def act() -> None:
        objects = in_mode(apiserver.load(assets.manifests()), mode)
        for account in RETIRED:
            api.remove(f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{account}")
            api.remove(f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{account}")
            api.remove(f"/api/v1/namespaces/{SYSTEM}/serviceaccounts/{account}")
            for policy in (f"{account}-places", f"{account}-rights"):
                api.remove(f"{POLICIES}/validatingadmissionpolicybindings/{policy}")
                api.remove(f"{POLICIES}/validatingadmissionpolicies/{policy}")
        for manifest in objects:
            api.apply(manifest)
        for manifest in objects:
            if manifest["kind"] == "CustomResourceDefinition":
                _established(api, manifest["metadata"]["name"])

    return act


def _established(api: ApiServer, name: str, within: float = 10.0) -> None:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        found = api.get(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}")
        conditions = {c["type"]: c["status"] for c in found.get("status", {}).get("conditions", [])}
        if conditions.get("Established") == "True":
            return
        if conditions.get("NamesAccepted") == "False":
            raise PermanentError(f"the apiserver does not accept the names of {name}")
        time.sleep(0.05)
    raise RetryableError(f"{name} is not established yet")


def identities(site: Site, api: ApiServer) -> Callable[[], None]:
    """Writes the platform's tokens; the duty's period renews them."""
    return lambda: Identities(site.folder).renew(api)


class Keys:
    """Vault's set-up, kept as it should be: initialised, unsealed, configured."""

    def __init__(self, site: Site, api: ApiServer) -> None:
        self._site, self._api = site, api
        self._own = site.options.vault_address is None
        self._key_file = site.folder.vault / "unseal-key"
        self._done_file = site.folder.vault / "set-up.json"
        self._settled = False

    def act(self) -> None:
        """Checks, and repairs what is missing."""
        token = self._open() if self._own else self._foreign_token()
        if self._settled and self._own:
            return
        set_up = SetUp(
            assets.vault_policies(),
            self._api.endpoint.server,
            self._api.endpoint.ca_pem,
            "log/vault-audit.log" if self._own else None,
        )
        done = files.read_json(self._done_file)
        fresh = done.get("reviewer_expires", 0) > time.time() + _RENEW_REVIEWER_BEFORE
        if not (self._own and fresh and done.get("digest") == set_up.digest()):
            self._configure(set_up, token)
        self._publish()
        self._settled = True

    def _open(self) -> str | None:
        """Initialises and unseals; gives the root token when it has just been made."""
        vault, token = VaultServer(self._site.vault), None
        initialised, sealed = vault.seal_status()
        if not initialised:
            key, token = vault.initialise()
            files.write(self._key_file, key)
            self._done_file.unlink(missing_ok=True)
        if sealed or not initialised:
            if (self._site.folder.vault / KEEP_SEALED).exists():
                raise RetryableError("sealed on request")
            vault.unseal(self._key_file.read_text())
        return token

    def _foreign_token(self) -> str:
        path = self._site.options.vault_token_file
        if path is None:
            raise PermanentError("a Vault of somebody else needs a token file")
        return path.read_text().strip()

    def _configure(self, set_up: SetUp, token: str | None) -> None:
        vault = VaultServer(self._site.vault)
        administrator = vault.with_token(token or vault.new_root_token(self._key_file.read_text()))
        try:
            reviewer = self._api.token(SYSTEM, "imagint-vault", None, _REVIEWER_SECONDS)
            login = Login(set_up.server, set_up.ca_pem, reviewer)
            files.write(self._site.folder.evidence, vaults.configure(administrator, set_up, login), mode=0o644)
        finally:
            if self._own:
                administrator.revoke_self()
        done = {"digest": set_up.digest(), "reviewer_expires": time.time() + _REVIEWER_SECONDS}
        files.write_json(self._done_file, done)

    def _publish(self) -> None:
        """Puts the evidence key's public half where `kubectl` finds it."""
        self._api.apply(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {
                    "name": "imagint-evidence-key",
                    "namespace": SYSTEM,
                    "labels": {"app.kubernetes.io/part-of": "imagint"},
                },
                "data": {"evidence.pub": self._site.folder.evidence.read_text()},
            }
        )


class ServeStart:
    """Starts Serve on its port by a first, empty PUT, before the operator can have put anything there.

    When Ray comes back after a crash, an empty PUT could wipe what the operator has just repaired: it goes first then.
    """

    def __init__(self, site: Site, clock: Callable[[], float] = time.monotonic) -> None:
        self._site, self._clock = site, clock
        self._first, self._missed = True, 0.0

    def act(self) -> None:
        """Makes sure that Serve runs."""
        if not self._first and self._runs():
            self._missed = 0.0
            return
        if not self._first:
            self._missed = self._missed or self._clock()
            if self._clock() - self._missed < _OPERATOR_FIRST:
                raise RetryableError("Serve does not run; it is the operator's turn to start it")
        self._first, self._missed = False, 0.0
        options = {"host": "127.0.0.1", "port": self._site.ports["serve"]}
        quiet = {"enable_access_log": False}
        put: dict[str, object] = {"http_options": options, "logging_config": quiet, "applications": []}
        self._call("PUT", put | {"proxy_location": "HeadOnly"})

    def _runs(self) -> bool:
        controller = self._call("GET", None).json().get("controller_info") or {}
        return bool(controller.get("node_id"))

    def _call(self, method: str, body: dict[str, object] | None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._site.ray_token.read_text().strip()}"}
        url = f"{self._site.ray_dashboard}/api/serve/applications/"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            with httpx.Client(timeout=60, trust_env=False, verify=context) as client:
                answer = client.request(method, url, json=body, headers=headers)
        except httpx.HTTPError as error:
            raise RetryableError(f"Ray's dashboard is not reachable ({type(error).__name__})") from error
        if answer.status_code != httpx.codes.OK:
            raise RetryableError(f"Ray's dashboard answers {answer.status_code}")
        return answer


def duties(site: Site, api: ApiServer) -> tuple[Duty, ...]:
    """The duties of this stack."""
    never = 10.0**9
    own = site.options.started()
    found: list[Duty] = []
    if site.options.has_cluster():
        found.append(Duty("platform", ("apiserver",), platform(api, site.options.admission), never))
        found.append(Duty("identities", ("platform",), identities(site, api), RENEW_AFTER))
        if "vault" in site.options.parts:
            found.append(Duty("keys", ("vault", "platform"), Keys(site, api).act, 1.0 if "vault" in own else never))
    if "ray" in own:
        found.append(Duty("serve", ("ray",), ServeStart(site).act, never))
    return tuple(found)
