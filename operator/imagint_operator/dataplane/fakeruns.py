"""A small true implementation of the Gateways' runs of retention, beside that of their erasures. For tests.

It keeps every root that was ever wrapped, with what that root still opens: so a test can ask what a backup of any
moment opens with the versions of the key that are left.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from imagint_operator.fakeservers import Reply, error
from imagint_privacy.keys.ports import KeyState

STATES = ("Counting", "Begun", "Committed", "Copied", "CachesDropped", "Purged", "Complete")
STEPS = dict(zip(("commit", "copies", "caches", "purge", "complete"), STATES[2:], strict=True))
DIGEST = "sha256:" + "cd" * 32


@dataclass
class FakeRun:
    """One run, as the data plane knows it."""

    rules: dict[str, Any]
    due: dict[str, int]
    state: str = "Counting"
    asked: int = 0
    excepted: tuple[str, ...] = ()
    waited: int = 0
    slices: int = 0
    forgotten: dict[str, int] = field(default_factory=dict)
    generation: int | None = None
    key_version: int | None = None


@dataclass
class FakeTree:
    """Key paths by category that are older than any rule, and every root that was wrapped: version, paths opened.

    `rows` is how many old rows a purge cannot delete.
    """

    old: dict[str, int] = field(default_factory=dict)
    withheld: dict[str, int] = field(default_factory=dict)
    rows: int = 0
    generation: int = 1
    root_version: int = 1
    copied_generation: int = 1
    cached_generation: int = 1
    roots: list[tuple[int, int]] = field(default_factory=list)
    runs: dict[str, FakeRun] = field(default_factory=dict)

    @property
    def open(self) -> int:
        """How many old paths the current root opens."""
        return sum(self.old.values())

    def opened_by(self, key: KeyState) -> int:
        """How many forgotten paths some root of the past opens with the versions that are left."""
        living = [held for version, held in self.roots if version >= key.min_available_version]
        return max((held - self.open for held in living), default=0)


class FakeRuns:
    """The runs of one tenant. `counting` and `waits` are how often counting and caches ask to come back."""

    def __init__(self, tree: FakeTree, key: KeyState | None, *, slice_paths: int, counting: int, waits: int) -> None:
        self._tree = tree
        self._key = key
        self._slice = slice_paths
        self._counting = counting
        self._waits = waits

    def answer(self, method: str, path: list[str], body: dict[str, Any]) -> Reply:
        """What lies under `retention`."""
        match method, path:
            case "POST", []:
                return self.begin(body)
            case "GET", [run]:
                return 200, self.shown(run)
            case "POST", [run, step]:
                return self.step(run, step, body)
        raise LookupError(path)

    def begin(self, body: dict[str, Any]) -> Reply:
        """Begin a run, or go on counting."""
        tree, rules = self._tree, body["rules"]
        due = {name: count for name, count in tree.old.items() if name in rules and count}
        excepted = tuple(sorted(body.get("except", ())))
        run = tree.runs.setdefault(body["request"], FakeRun(rules, due, excepted=excepted))
        if (run.rules, run.excepted) != (rules, excepted):
            return error(409, "retention_conflict")
        if run.state == "Counting":
            run.state = "Counting" if run.asked < self._counting else "Begun"
            run.asked += 1
        return 200, self.shown(body["request"])

    def shown(self, request: str) -> dict[str, Any]:
        """How a run stands."""
        run = self._tree.runs[request]
        unknown = {name: count for name, count in self._tree.old.items() if name not in run.rules and count}
        excepted = {"prompts": len(run.excepted)} if run.excepted else {}
        counts = {"due": run.due, "withheld": self._tree.withheld | excepted, "unknown": unknown}
        return {
            "request": request, "state": run.state, "rules": run.rules, "rules_digest": "cd" * 32, "counts": counts,
            "slices": run.slices, "forgotten": run.forgotten, "forgotten_paths": sum(run.forgotten.values()),
            "generation": run.generation, "key_version": run.key_version,
        }  # fmt: skip

    def step(self, request: str, step: str, body: dict[str, Any]) -> Reply:
        """One step; those that were done answer again."""
        run = self._tree.runs[request]
        reached, wanted = STATES.index(run.state), STATES.index(STEPS[step])
        nothing = step == "complete" and run.state == "Begun" and not run.due
        if wanted > reached + 1 and not nothing:
            return error(409, "retention_conflict")
        if step == "commit":
            return self._commit(run, body["key_version"])
        if step == "caches" and wanted > reached and run.waited < self._waits:
            run.waited += 1
            return 202, {"state": "Waiting", "retry_after": 0.02}
        if wanted > reached and not (step == "purge" and self._tree.rows):
            run.state = STEPS[step]
            self._carried_out(step)
        return 200, self._answer(run, step)

    def _commit(self, run: FakeRun, key_version: int) -> Reply:
        tree = self._tree
        if self._key is None or self._key.latest_version < key_version:
            return error(409, "key_version_behind")
        done = STATES.index(run.state) >= STATES.index("Committed")
        if not done or tree.root_version < key_version:
            if run.state == "Complete":
                return error(409, "retention_conflict")
            tree.roots.append((tree.root_version, tree.open))
            left = 0 if done else self._forget(run)
            tree.generation += 1
            tree.root_version = self._key.latest_version
            run.generation, run.key_version = tree.generation, tree.root_version
            run.state = "Committed" if not left else run.state
        if run.state == "Begun":
            return 202, {"state": "Waiting", "retry_after": 0.0}
        paths = sum(run.forgotten.values())
        return 200, {"generation": run.generation, "key_version": run.key_version, "forgotten_paths": paths}

    def _forget(self, run: FakeRun) -> int:
        """Forget one slice; answers how many paths are left."""
        room = self._slice
        for name in run.due:
            taken = min(room, self._tree.old.get(name, 0))
            self._tree.old[name] = self._tree.old.get(name, 0) - taken
            run.forgotten[name] = run.forgotten.get(name, 0) + taken
            room -= taken
        run.slices += 1
        return sum(self._tree.old.get(name, 0) for name in run.due)

    def _carried_out(self, step: str) -> None:
        tree = self._tree
        if step == "copies":
            tree.copied_generation = tree.generation
        elif step == "caches":
            tree.cached_generation = tree.generation

    def _answer(self, run: FakeRun, step: str) -> dict[str, Any]:
        tree = self._tree
        copy = {"store": "copy-0", "generation": tree.copied_generation, "root_digest": DIGEST, "read_back": True}
        answers: dict[str, dict[str, Any]] = {
            "copies": {"copies": [copy]},
            "caches": {"replicas": [{"id": "replica-0", "generation": 1}], "bound_seconds": 5},
            "purge": {"stores": [{"store": "records", "deleted": sum(run.forgotten.values()), "remaining": tree.rows}]},
        }
        return answers.get(step, {"state": run.state})
