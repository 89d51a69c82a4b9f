"""What the apiserver holds, kept here: filled by lists, kept up to date by watches and by answers to our own writes.

The newer resourceVersion wins, whoever brings it. Objects of our own kinds are parsed once for each version and kept
parsed; of owned children only what is compared or told is kept. Indexed by namespace. Does no I/O.

What this version cannot parse (its CRD is another version's) is remembered as `unreadable` and never guessed at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from imagint_operator.api.base import Kind
from imagint_operator.kube.resources import Resource

JsonObject = dict[str, Any]
T = TypeVar("T")
BURIED_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """One object at one version."""

    version: int
    item: T


class Store(Generic[T]):
    """All objects of one kind. `complete` once a list has filled it; `changes` counts what turned."""

    def __init__(self, parse: Callable[[JsonObject], T]) -> None:
        self._parse = parse
        self._namespaces: dict[str, dict[str, Entry[T]]] = {}
        self._buried: dict[tuple[str, str], int] = {}
        self.unreadable: dict[tuple[str, str], int] = {}
        self.newest = 0
        self.complete = False
        self.changes = 0

    def __len__(self) -> int:
        return sum(map(len, self._namespaces.values()))

    def get(self, name: str, namespace: str = "") -> T | None:
        """The object, or None."""
        entry = self._namespaces.get(namespace, {}).get(name)
        return entry.item if entry is not None else None

    def all(self, namespace: str | None = None) -> list[T]:
        """Every object, or those of one namespace."""
        # Copied before it is gone through, each in one step: a scrape reads in a thread of its own.
        inside = list(self._namespaces.values()) if namespace is None else [self._namespaces.get(namespace, {})]
        return [entry.item for entries in inside for entry in list(entries.values())]

    def put(self, raw: JsonObject) -> bool:
        """Take up an object unless it is older than what is known; answers whether it was news."""
        namespace, name, version = identity(raw)
        place, self.newest = (namespace, name), max(version, self.newest)
        known = self._namespaces.get(namespace, {}).get(name)
        newest = max(known.version if known else -1, self._buried.get(place, -1), self.unreadable.get(place, -1))
        if newest >= version:
            return False
        try:
            entry = Entry(version, self._parse(raw))
        except ValidationError:  # its text quotes the object: it goes no further
            self.drop(name, namespace)
            self.unreadable[place] = version
        else:
            self.unreadable.pop(place, None)
            self._namespaces.setdefault(namespace, {})[name] = entry
        self.changes += 1
        return True

    def remove(self, raw: JsonObject) -> bool:
        """Forget an object that was deleted at this version, unless a newer one has its name."""
        namespace, name, version = identity(raw)
        self.newest = max(version, self.newest)
        self._bury(namespace, name, version)
        known = self._namespaces.get(namespace, {}).get(name)
        newest = known.version if known is not None else self.unreadable.get((namespace, name))
        if newest is None or newest > version:
            return False
        self.drop(name, namespace)
        return True

    def drop(self, name: str, namespace: str = "") -> None:
        """Forget an object that is certainly gone."""
        entries = self._namespaces.get(namespace, {})
        if entries.pop(name, None) is not None or self.unreadable.pop((namespace, name), None) is not None:
            self.changes += 1
        if not entries:
            self._namespaces.pop(namespace, None)

    def begin_anew(self) -> list[tuple[str, str]]:
        """Forget everything, for etcd was restored: versions known here mean nothing now. Answers what was known."""
        known = [*(place for place, _ in self._entries()), *self.unreadable]
        self._namespaces, self._buried, self.unreadable = {}, {}, {}
        self.complete, self.newest = False, 0
        self.changes += 1
        return known

    def keep(self, listed: Iterable[tuple[str, str]], version: int) -> list[tuple[str, str]]:
        """After a whole list as of a version: forget what it does not show; answers what that was."""
        there = set(listed)
        known = [*((place, entry.version) for place, entry in self._entries()), *self.unreadable.items()]
        gone = [place for place, seen in known if seen <= version and place not in there]
        for namespace, name in gone:
            self.drop(name, namespace)
        self.complete = True
        return gone

    def _entries(self) -> Iterator[tuple[tuple[str, str], Entry[T]]]:
        for namespace, entries in self._namespaces.items():
            for name, entry in entries.items():
                yield (namespace, name), entry

    def _bury(self, namespace: str, name: str, version: int) -> None:
        if len(self._buried) >= BURIED_MOST:
            self._buried.clear()
        self._buried[(namespace, name)] = max(version, self._buried.get((namespace, name), 0))


def identity(raw: Mapping[str, Any]) -> tuple[str, str, int]:
    """Where an object is and which version of it this is. Kubernetes declares versions of one kind comparable."""
    metadata = raw["metadata"]
    version = str(metadata.get("resourceVersion") or "0")
    return metadata.get("namespace") or "", metadata["name"], int(version) if version.isdigit() else 0


def parsed(model: type[Kind]) -> Store[Kind]:
    """A store of one of our own kinds."""
    return Store(model.model_validate)


def trimmed() -> Store[JsonObject]:
    """A store of owned children: of the record of who set which field, only who and when (a repair names them)."""
    return Store(_trim)


def _trim(raw: JsonObject) -> JsonObject:
    metadata = {key: value for key, value in raw["metadata"].items() if key in _KEPT}
    entries = raw["metadata"].get("managedFields") or ()
    metadata["managedFields"] = [{key: entry[key] for key in _WHO if key in entry} for entry in entries]
    return {**raw, "metadata": metadata}


_KEPT = frozenset({"name", "namespace", "uid", "resourceVersion", "labels", "annotations", "deletionTimestamp"})
_WHO = ("manager", "time", "subresource")


class Caches:
    """The stores, by kind."""

    def __init__(self, models: Mapping[Resource, type[Kind]], children: Iterable[Resource]) -> None:
        self.own = {resource.kind: parsed(model) for resource, model in models.items()}
        self.children = {resource.kind: trimmed() for resource in children}

    def wrote(self, resource: Resource, answer: JsonObject) -> None:
        """Take up the apiserver's answer to a write or a read of our own."""
        store = self.store(resource)
        if store is not None and answer.get("metadata", {}).get("name"):
            store.put(answer)

    def store(self, resource: Resource) -> Store[Any] | None:
        """The store of a kind, if it is kept."""
        own = self.own.get(resource.kind)
        return own if own is not None else self.children.get(resource.kind)
