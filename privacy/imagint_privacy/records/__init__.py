"""Sealed records of one tenant: rows and objects, the key tree's store, and the data plane's side of an erasure.

Everything here is synchronous and safe to call from several threads; web servers call it through a thread.
"""
