"""Builds kube-apiserver, kube-controller-manager, kubectl, etcd and Vault's core from pinned Go modules, once.

A binary is found by the content of its sources and flags. It must never use a binary that it did not build.
"""

from imagint_dev.binaries.builds import build, ensure
from imagint_dev.binaries.catalog import Binary, catalog, missing, path_of

__all__ = ["Binary", "build", "catalog", "ensure", "missing", "path_of"]
