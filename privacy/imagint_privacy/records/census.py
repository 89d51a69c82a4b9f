"""The census: the inventory against the schema, against what exports show, and against the caches in the code.

It answers with sentences, one for each place that is not as declared; no sentence is the only good answer. Reading the
code is how caches are found, so that a new one cannot be forgotten. It must not open a database.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from types import ModuleType
from typing import Final

from sqlalchemy import MetaData

from imagint_privacy import keys, records
from imagint_privacy.records.inventory import Erased, Exported, Place

_ROOT: Final = "imagint_privacy."
_CONTAINERS: Final = frozenset(
    {"dict", "list", "set", "OrderedDict", "defaultdict", "deque", "WeakKeyDictionary", "WeakValueDictionary"}
)
_NO_CODE_OF_SERVICE: Final = ("fakes", "migrations")


def columns(metadata: MetaData) -> frozenset[str]:
    """Return every column of a schema by its name in the inventory."""
    found = {f"{table.name}.{column.name}" for table in metadata.tables.values() for column in table.columns}
    return frozenset(found | {"alembic_version.version_num"})


def gaps(metadata: MetaData, places: Mapping[str, Place], shown: Collection[str]) -> list[str]:
    """Say what is not as declared: `places` are all columns and object prefixes, `shown` what exports show."""
    held = columns(metadata)
    declared = {name for name in places if ": " not in name}
    about_people = {table.name for table in metadata.tables.values() if "subject" in table.columns}
    answer = [f"{name} is not declared" for name in sorted(held - declared)]
    answer += [f"{name} is declared and is not there" for name in sorted(declared - held)]
    for name, place in sorted(places.items()):
        if name.split(".")[0] in about_people and not place.personal:
            answer.append(f"{name} is of a table about people and says that it is about nobody")
        answer += _contradictions(name, place, name in shown)
    answer += [f"{name} is shown and is not declared" for name in sorted(set(shown) - set(places))]
    return answer


def _contradictions(name: str, place: Place, is_shown: bool) -> Iterator[str]:
    if is_shown != (place.exported is Exported.SHOWN):
        yield f"{name} is {'shown' if is_shown else 'missing'} in an export and says: {place.exported}"
    if place.personal and place.exported is Exported.NOBODY:
        yield f"{name} is personal and gives no reason why an export does not show it"
    if place.personal == (place.erased is Erased.NEVER):
        yield f"{name} is {'personal' if place.personal else 'about nobody'} and says of erasing: {place.erased}"


def caches() -> frozenset[str]:
    """Find everything in the code of keys and records that keeps things from one call to the next."""
    return frozenset(name for module in _modules() for name in caches_of(module))


def caches_of(module: ModuleType) -> Iterator[str]:
    """Find what one module keeps: cached functions, and empty containers of the module or of its instances."""
    prefix = module.__name__.removeprefix(_ROOT)
    owners: dict[str, object] = {prefix: module}
    for name, kind in inspect.getmembers(module, inspect.isclass):
        if _is_of(kind, module):
            owners[f"{prefix}.{name}"] = kind
    for place, owner in owners.items():
        yield from (f"{place}.{name}" for name, value in vars(owner).items() if _is_cached(value, module))
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.ClassDef) and any(_fills_self(inner) for inner in ast.walk(node)):
            yield f"{prefix}.{node.name}"
        elif isinstance(node, ast.Assign | ast.AnnAssign) and _is_empty_container(node.value):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            yield f"{prefix}.{ast.unparse(target)}"


def _modules() -> Iterator[ModuleType]:
    for package in (keys, records):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not any(part in _NO_CODE_OF_SERVICE for part in found.name.split(".")):
                yield importlib.import_module(found.name)


def _is_of(value: object, module: ModuleType) -> bool:
    return getattr(value, "__module__", None) == module.__name__


def _is_cached(value: object, module: ModuleType) -> bool:
    if isinstance(value, cached_property):
        return _is_of(value.func, module)
    return hasattr(value, "cache_info") and _is_of(value, module)


def _fills_self(node: ast.AST) -> bool:
    """Say whether a statement gives an instance a container that fills while it lives."""
    if not isinstance(node, ast.Assign | ast.AnnAssign) or not _is_empty_container(node.value):
        return False
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
    return isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self"


def _is_empty_container(value: ast.expr | None) -> bool:
    if isinstance(value, ast.Dict | ast.List):
        return not (value.keys if isinstance(value, ast.Dict) else value.elts)
    if isinstance(value, ast.Call):
        return ast.unparse(value.func).rpartition(".")[2] in _CONTAINERS and not value.args
    return False
