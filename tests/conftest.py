"""Which tests share a process when they run two abreast: those of one folder, so that they share its stack.

The whole-stack tests come first, since they take longest; everything else runs beside them. And the PostgreSQL server
that tests of several folders use: one a process, a new database a test.
"""

from __future__ import annotations

import base64
import itertools
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import pytest
import yaml
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from imagint_dev import postgres as servers
from imagint_dev.stack import Stack
from imagint_operator.kube.connections import Connection


class OneFolderOneProcess(LoadScopeScheduling):  # type: ignore[misc]  # xdist ships no types
    """Hands out whole folders (`--dist loadgroup` of xdist 3.8 has no effect under pytest 9.2)."""

    def _split_scope(self, nodeid: str) -> str:
        return str(PurePosixPath(nodeid.split("::", maxsplit=1)[0]).parent)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Tells xdist how to share the tests out."""
    return OneFolderOneProcess(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the longest folder first."""
    items.sort(key=lambda item: "e2e" not in item.path.parts)


def need_postgres() -> None:
    """Skips loudly where PostgreSQL's programs are missing, and fails in CI."""
    if servers.find() is None:
        reason = "no PostgreSQL server programs: run `python -m imagint_dev.postgres`"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def postgres() -> Iterator[servers.PostgresServer]:
    """A server for tests that kill neither it nor its machine: it does not wait for the disk."""
    need_postgres()
    quick = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off"}
    with servers.PostgresServer(settings=quick) as server:
        yield server


@pytest.fixture
def durable_postgres() -> Iterator[servers.PostgresServer]:
    """A server of the test's own, which it may kill; what commits is on disk."""
    need_postgres()
    with servers.PostgresServer() as server:
        yield server


@pytest.fixture
def new_database(postgres: servers.PostgresServer) -> Iterator[Callable[..., str]]:
    """Gives addresses of new databases, copies of a template; they are gone after the test."""
    made: list[str] = []

    def make(template: str = "template1") -> str:
        made.append(f"test_{next(_numbers)}")
        return postgres.create(made[-1], template=template)

    yield make
    for name in made:
        postgres.drop(name)


_numbers = itertools.count(1)


KUBERAY_ACCOUNT = """
apiVersion: v1
kind: Namespace
metadata: {name: kuberay-system}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: kuberay-operator, namespace: kuberay-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: kuberay-operator}
rules:
- {apiGroups: [ray.io], resources: [rayservices, rayservices/status], verbs: [get, list, watch, patch, update]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: kuberay-operator}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: kuberay-operator}
subjects: [{kind: ServiceAccount, name: kuberay-operator, namespace: kuberay-system}]
"""


@pytest.fixture(scope="session")
def kuberay_crds() -> Path:
    """The folder of KubeRay's own CRDs, which the repository does not copy: no checkout has them by itself, and nothing
    here may fetch them. Skips loudly without."""
    root = Path(__file__).parents[1]
    named = os.environ.get("IMAGINT_KUBERAY_CRDS")
    places = [Path(named)] if named else [root / "shared/kuberay", *(up / "shared/kuberay" for up in root.parents[:2])]
    found = next((place for place in places if (place / "ray.io_rayservices.yaml").is_file()), None)
    if found is None:
        reason = (
            "KubeRay's CRDs are missing: put ray.io_rayservices.yaml of a KubeRay release (its folder "
            "ray-operator/config/crd/bases) into a folder and name it in IMAGINT_KUBERAY_CRDS"
        )
        pytest.skip(reason)
    return found


def wait_for_rayservices(stack: Stack) -> None:
    """Waits until the apiserver serves RayServices."""
    deadline = time.monotonic() + 30
    while True:
        try:
            stack.kubectl("get", "rayservices", "-A")
        except subprocess.CalledProcessError:
            assert time.monotonic() < deadline, "RayServices are not served"
            time.sleep(0.2)
        else:
            return


@pytest.fixture(scope="session")
def install_kuberay(kuberay_crds: Path) -> Callable[[Stack], Connection]:
    """Installs KubeRay's CRD and account into a stack, and answers how its operator connects. Nothing of it runs."""

    def install(stack: Stack) -> Connection:
        manifest = str(kuberay_crds / "ray.io_rayservices.yaml")
        stack.kubectl("apply", "--server-side", "-f", manifest)
        wait_for_rayservices(stack)
        stack.kubectl("apply", "-f", "-", stdin=KUBERAY_ACCOUNT)
        cluster = yaml.safe_load(stack.kubeconfig.read_text())["clusters"][0]["cluster"]
        data = cluster.get("certificate-authority-data")
        authority = base64.b64decode(data).decode() if data else Path(cluster["certificate-authority"]).read_text()
        token = stack.token("kuberay-system", "kuberay-operator", seconds=3600)
        return Connection(cluster["server"].rstrip("/"), authority, None, token)

    return install
