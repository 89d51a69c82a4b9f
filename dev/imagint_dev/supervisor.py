"""Runs one stack: `python -m imagint_dev.supervisor STATE ALIVE_FD`, started by the watchdog, stopped by SIGTERM.

It also stops when the watchdog is gone (ALIVE_FD closes), or when whoever started it goes away before saying that the
start was good (standard input closes without a "k"). It must leave nothing running that it started.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from random import SystemRandom
from typing import Any

from imagint_dev import files, kubeconfigs, pki, ports
from imagint_dev.apiserver import ApiServer
from imagint_dev.board import Board
from imagint_dev.duties import duties, tend
from imagint_dev.errors import StackError
from imagint_dev.folder import StateFolder
from imagint_dev.keeper import Keeper
from imagint_dev.options import StackOptions
from imagint_dev.parts import layers, plan
from imagint_dev.processes import STACK_MARK, ProcessIdentity, scrubbed
from imagint_dev.site import Site


def lay_out(folder: StateFolder, options: StackOptions, identity: str) -> Site:
    """Decides on ports and addresses, and writes what the parts read at their start.

    Raises:
        SettingsError: a kubeconfig that cannot be used.
    """
    folder.prepare()
    kept = {name: int(port) for name, port in files.read_json(folder.record).get("ports", {}).items()}
    chosen = ports.choose(kept, SystemRandom())
    api = f"https://127.0.0.1:{chosen['api']}"
    if options.kubeconfig:
        api = kubeconfigs.read(options.kubeconfig).server
        shutil.copyfile(options.kubeconfig, folder.kubeconfig)
        folder.kubeconfig.chmod(0o600)
    else:
        pki.ensure(folder.pki, datetime.now(UTC))
        kubeconfigs.write(folder.kubeconfig, kubeconfigs.with_certificate(api, folder.pki, "admin"))
        for name in ("supervisor", "controller-manager"):
            document = kubeconfigs.with_certificate(api, folder.pki, name)
            kubeconfigs.write(folder.root / "run" / f"{name}.kubeconfig", document)
    if not folder.ray_token.exists():
        files.write(folder.ray_token, secrets.token_urlsafe(32))
    site = Site(identity, folder, chosen, options, api, _serve_url(options, chosen), folder.kubeconfig)
    _link_ray_logs(site)
    return site


def _serve_url(options: StackOptions, chosen: dict[str, int]) -> str:
    if options.serve_url:
        return options.serve_url
    if options.ray_dashboard:
        return f"{options.ray_dashboard.rpartition(':')[0]}:8000"
    return f"http://127.0.0.1:{chosen['serve']}"


def _link_ray_logs(site: Site) -> None:
    link = site.folder.root / "log" / "ray-session"
    link.unlink(missing_ok=True)
    link.symlink_to(site.ray_folder / "session_latest" / "logs")


class Supervisor:
    """The event loop's view of one stack."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._stop = asyncio.Event()
        self._board = Board(site.folder, self._header())
        self._parts = plan(site, scrubbed(dict(os.environ)))
        self._keepers = {part.name: Keeper(part, site, self._board) for part in self._parts}

    def _header(self) -> dict[str, Any]:
        me, above = ProcessIdentity.of(os.getpid()), ProcessIdentity.of(os.getppid())
        return {
            "id": self._site.identity,
            "started": time.time(),
            "supervisor": {"pid": me.pid, "started": me.started} if me else None,
            "watchdog": {"pid": above.pid, "started": above.started} if above else None,
            "ports": self._site.ports,
            "urls": self._site.urls(),
            "scratch": str(self._site.scratch),
            "ray_token_file": str(self._site.ray_token),
        }

    async def run(self, alive: int) -> None:
        """Runs everything until asked to stop, then stops everything."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_reader(alive, self._stop.set)
        loop.add_reader(0, self._hear)
        endpoint = kubeconfigs.read(
            self._site.options.kubeconfig or self._site.folder.root / "run/supervisor.kubeconfig"
        )
        with ApiServer(endpoint) as api:
            tasks = [asyncio.create_task(self._board.keep_written())]
            for part in self._parts:
                self._board.add(part.name, "part", part.port)
                tasks.append(asyncio.create_task(self._keepers[part.name].run()))
            for duty in duties(self._site, api):
                self._board.add(duty.name, "duty")
                tasks.append(asyncio.create_task(tend(duty, self._board)))
            failed = asyncio.ensure_future(self._first_failure(tasks))
            await asyncio.wait({asyncio.ensure_future(self._stop.wait()), failed}, return_when=asyncio.FIRST_COMPLETED)
            await self._end(tasks)
        self._board.write()
        if failed.done():
            failed.result()
        failed.cancel()

    def _hear(self) -> None:
        """The one who started us says that all is well, or goes away."""
        said = os.read(0, 64)
        asyncio.get_running_loop().remove_reader(0)
        if b"k" not in said:
            self._stop.set()

    async def _first_failure(self, tasks: list[asyncio.Task[None]]) -> None:
        """Ends only with the exception of a task: a defect here, not in a part."""
        pending = set(tasks)
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        await asyncio.Event().wait()

    async def _end(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            if not task.done() and task.get_coro().__qualname__.startswith("tend"):  # type: ignore[union-attr]
                task.cancel()
        for layer in layers(self._parts):
            await asyncio.gather(*(self._keepers[name].stop() for name in layer))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(shutil.rmtree, self._site.scratch, ignore_errors=True)


def main(arguments: list[str]) -> int:
    """The process's entry."""
    folder, alive = StateFolder(Path(arguments[0])), int(arguments[1])
    identity = os.environ[STACK_MARK]
    try:
        site = lay_out(folder, StackOptions.load(folder.options), identity)
        asyncio.run(Supervisor(site).run(alive))
    except StackError as error:
        files.write_json(folder.root / "run" / "failure.json", {"id": identity, "message": str(error)})
        return 1
    finally:
        with suppress(OSError):
            os.close(alive)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
