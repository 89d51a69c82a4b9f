"""Every call that leaves the operator, seen twice: as a span of the look under way, and as a count with its time.

Wraps the calls and changes nothing about them. What a peer answers beyond its status is never looked at.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from enum import StrEnum

from imagint_operator.metrics import Metrics
from imagint_operator.telemetry.templates import api_call, peer_call, server
from imagint_privacy.tracing import kind_of, span

OK = "ok"


class Peer(StrEnum):
    """Whom the operator calls, besides the apiserver."""

    VAULT = "vault"
    GATEWAY = "gateway"
    PROBER = "prober"
    SERVE = "serve"
    RECIPIENT = "recipient"


VAULT_CALLS = {
    "state": ("GET", "/v1/transit/keys/{name}"),
    "ensure": ("POST", "/v1/transit/keys/{name}"),
    "rotate": ("POST", "/v1/transit/keys/{name}/rotate"),
    "raise_minimum": ("POST", "/v1/transit/keys/{name}/config"),
    "trim": ("POST", "/v1/transit/keys/{name}/trim"),
    "destroy": ("DELETE", "/v1/transit/keys/{name}"),
    "upsert_disabled": ("GET", "/v1/transit/config/keys"),
    "sign": ("POST", "/v1/transit/sign/{name}"),
    "public_key": ("GET", "/v1/transit/keys/{name}"),
}


class Answer:
    """What is known of an answer once it came."""

    status = 0


class Calls:
    """The calls of one process. Without metrics, only traces see them."""

    def __init__(self, metrics: Metrics | None = None) -> None:
        self._metrics = metrics

    @contextlib.contextmanager
    def api(self, method: str, path: str, base: str) -> Iterator[Answer]:
        """A request to the apiserver. One that got no answer counts under the code 0."""
        call, answer, begun = api_call(method, path), Answer(), time.monotonic()
        said: dict[str, str | int] = {"http.request.method": method, "url.template": call.template, **server(base)}
        if call.namespace:
            said["k8s.namespace.name"] = call.namespace
        try:
            with span(f"{method} {call.template}", said, outgoing=True) as pen:
                yield answer
                pen.say("http.response.status_code", answer.status)
                if answer.status >= 400:
                    pen.fail(str(answer.status))
        finally:
            if self._metrics is not None:
                self._metrics.api_requests.labels(call.verb, call.resource, str(answer.status)).inc()
                self._metrics.api_seconds.labels(call.verb, call.resource).observe(time.monotonic() - begun)

    @contextlib.contextmanager
    def http(self, peer: Peer, method: str, path: str, base: str) -> Iterator[Answer]:
        """A request to a Gateway or the prober."""
        call, answer = peer_call(path), Answer()
        said: dict[str, str | int] = {"http.request.method": method, "url.template": call.template, **server(base)}
        if call.tenant:
            said["imagint.tenant"] = call.tenant
        with self._counted(peer, call.operation), span(f"{method} {call.template}", said, outgoing=True) as pen:
            try:
                yield answer
            finally:
                if answer.status:
                    pen.say("http.response.status_code", answer.status)

    @contextlib.contextmanager
    def serve(self, method: str, template: str, base: str) -> Iterator[None]:
        """A request to Ray Serve's REST API."""
        said = {"http.request.method": method, "url.template": template, **server(base)}
        operation = "replace" if method == "PUT" else "observe"
        with self._counted(Peer.SERVE, operation), span(f"{method} {template}", said, outgoing=True):
            yield

    @contextlib.contextmanager
    def recipient(self, method: str) -> Iterator[Answer]:
        """A request to a recipient of personal data: neither which one nor where it is is said."""
        answer, operation = Answer(), "ask" if method == "GET" else "tell"
        said = {"http.request.method": method, "imagint.operation": operation}
        with self._counted(Peer.RECIPIENT, operation), span(f"{method} recipient", said, outgoing=True) as pen:
            try:
                yield answer
            finally:
                if answer.status:
                    pen.say("http.response.status_code", answer.status)

    @contextlib.contextmanager
    def vault(self, operation: str) -> Iterator[None]:
        """A piece of administration in Vault: by its template, so without the name of a key."""
        method, template = VAULT_CALLS[operation]
        said = {"http.request.method": method, "url.template": template, "imagint.operation": operation}
        with self._counted(Peer.VAULT, operation), span(f"{method} {template}", said, outgoing=True):
            yield

    @contextlib.contextmanager
    def _counted(self, peer: Peer, operation: str) -> Iterator[None]:
        outcome, begun = OK, time.monotonic()
        try:
            yield
        except BaseException as error:
            outcome = kind_of(error)
            raise
        finally:
            if self._metrics is not None:
                self._metrics.calls.labels(peer.value, operation, outcome).inc()
                self._metrics.call_seconds.labels(peer.value, operation).observe(time.monotonic() - begun)
