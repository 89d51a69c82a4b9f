"""Builds kube-apiserver, kube-controller-manager, kubectl, etcd and Vault's core from pinned Go modules, once.

A binary is found by the content of its sources and flags. It must never use a binary that it did not build.
"""

from imagint_dev.binaries.builds import build, ensure
from imagint_dev.binaries.catalog import Binary, missing, path_of, programs

__all__ = ["Binary", "build", "ensure", "missing", "path_of", "programs"]
