"""The embedded stack: real kube-apiserver, etcd, controller-manager, Vault core and Ray in one folder, without root.

For development and tests. It must never touch a cluster, Vault or Ray that it was not explicitly pointed at.
"""
