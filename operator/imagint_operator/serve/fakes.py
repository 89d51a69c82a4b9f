"""A small true Serve REST API: PUT replaces every application, each takes a moment to run or to go. For tests."""

from __future__ import annotations

import time
from typing import Any

from imagint_operator.fakeservers import FakeServer, Reply


class FakeServe(FakeServer):
    """Applications by name; `delay` is how long one takes to start and to stop."""

    def __init__(self, token: str, *, delay: float = 0.0) -> None:
        super().__init__(token)
        self.delay = delay
        self.failing: set[str] = set()
        self.puts = 0
        self._apps: dict[str, dict[str, Any]] = {}
        self._turned: dict[str, float] = {}
        self._leaving: set[str] = set()

    @property
    def names(self) -> set[str]:
        """The applications that are there."""
        return set(self._apps) - self._leaving

    def config(self, name: str) -> dict[str, Any]:
        """What an application was told."""
        return self._apps[name]

    def lose_everything(self) -> None:
        """Ray was restarted: it knows nothing any more."""
        self._apps.clear()
        self._leaving.clear()

    def answer(self, method: str, path: str, body: dict[str, Any]) -> Reply:
        """See the Serve REST API."""
        if path != "/api/serve/applications/":
            raise LookupError(path)
        if method == "PUT":
            return self._put(body)
        self._settle()
        apps = {name: {"status": self._status(name), "deployed_app_config": app} for name, app in self._apps.items()}
        return 200, {"applications": apps}

    def _put(self, body: dict[str, Any]) -> Reply:
        if "http_options" not in body or len({app["name"] for app in body["applications"]}) != len(
            body["applications"]
        ):
            return 400, {}
        self.puts += 1
        wanted = {app["name"]: app for app in body["applications"]}
        for name in self._apps.keys() - wanted.keys() - self._leaving:
            self._leaving.add(name)
            self._turned[name] = time.monotonic()
        for name, app in wanted.items():
            if self._apps.get(name) != app or name in self._leaving:
                self._turned[name] = time.monotonic()
            self._leaving.discard(name)
            self._apps[name] = app
        return 200, {}

    def _settle(self) -> None:
        for name in list(self._leaving):
            if time.monotonic() - self._turned[name] >= self.delay:
                self._leaving.discard(name)
                self._apps.pop(name, None)

    def _status(self, name: str) -> str:
        if name in self._leaving:
            return "DELETING"
        if name in self.failing:
            return "DEPLOY_FAILED"
        return "RUNNING" if time.monotonic() - self._turned.get(name, 0.0) >= self.delay else "DEPLOYING"
