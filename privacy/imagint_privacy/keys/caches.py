"""What a process keeps of the opened tree, bounded in size and in age, and wiped when dropped.

The age is the owner's business (`View` drops everything when its root is not confirmed in time); here every buffer that
leaves is overwritten. Copies that Python made of a key when it was used are out of reach: the age bound is what limits
those.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from itertools import islice

from imagint_privacy.keys.paths import KeyPath
from imagint_privacy.keys.seals import wipe


class NodeCache:
    """Opened nodes by digest, the least recently used leaving first; not thread-safe: its owner holds a lock."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._nodes: OrderedDict[bytes, bytearray] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._nodes)

    def get(self, digest: bytes) -> bytearray | None:
        """Return an opened node and mark it as used."""
        node = self._nodes.get(digest)
        if node is not None:
            self._nodes.move_to_end(digest)
        return node

    def put(self, digest: bytes, node: bytearray) -> None:
        """Keep an opened node; the cache owns the buffer from now on and may exceed its limit until `trim`."""
        if digest not in self._nodes:
            self._nodes[digest] = node
            self._bytes += len(node)

    def trim(self) -> None:
        """Wipe the least recently used nodes until the cache is within its limit; never during an edit."""
        while self._bytes > self._limit:
            _, node = self._nodes.popitem(last=False)
            self._bytes -= len(node)
            wipe(node)

    def drop(self, digest: bytes) -> None:
        """Wipe one node."""
        node = self._nodes.pop(digest, None)
        if node is not None:
            self._bytes -= len(node)
            wipe(node)

    def clear(self) -> None:
        """Wipe every node."""
        for node in self._nodes.values():
            wipe(node)
        self._nodes.clear()
        self._bytes = 0


class KeyCache:
    """Data keys by path, the oldest leaving first; thread-safe, so that look-ups need not wait for a commit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # Not a dict: taking the oldest of many out of a dict again and again walks over all that left before.
        self._keys: OrderedDict[KeyPath, bytearray] = OrderedDict()
        self._until = 0.0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._keys)

    def get(self, path: KeyPath, now: float) -> bytes | None:
        """Return a copy of the key of a path, or None when it is not here or no longer confirmed."""
        with self._lock:
            key = self._keys.get(path)
            return None if key is None or now >= self._until else bytes(key)

    def put(self, keys: Mapping[KeyPath, bytes | bytearray]) -> None:
        """Keep keys, as many as there is room for."""
        with self._lock:
            for path, key in islice(keys.items(), self._limit):
                if path not in self._keys:
                    if len(self._keys) >= self._limit:
                        wipe(self._keys.popitem(last=False)[1])
                    self._keys[path] = bytearray(key)

    def drop(self, paths: Iterable[KeyPath]) -> None:
        """Wipe the keys of these paths."""
        with self._lock:
            for path in paths:
                key = self._keys.pop(path, None)
                if key is not None:
                    wipe(key)

    def confirm(self, until: float) -> None:
        """Let what is here be used until then."""
        with self._lock:
            self._until = until

    def clear(self) -> None:
        """Wipe every key."""
        with self._lock:
            for key in self._keys.values():
                wipe(key)
            self._keys.clear()
            self._until = 0.0
