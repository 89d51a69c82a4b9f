"""Changing the tree: which nodes to write anew, and which fall away, to insert or forget a set of paths.

Pure over a `NodeSource` and a source of randomness; it writes nothing itself. Every node on a touched path, up to
the root, gets a fresh key, so the bytes of the nodes they replace can be opened by nobody who lacks the old root.
The nodes beside the path keep theirs: the cost is the depth, whatever the size of the tree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from imagint_privacy.keys import branches, leaves, seals
from imagint_privacy.keys.branches import Branch, Ref
from imagint_privacy.keys.leaves import Leaf
from imagint_privacy.keys.paths import KeyPath, Prefix, subject_bytes
from imagint_privacy.keys.places import DEPTH_LIMIT, ROOT, Place, associated_data, position
from imagint_privacy.keys.seals import Entropy
from imagint_privacy.keys.walks import NodeSource

LEAF_LIMIT: Final = 2048
"""A leaf longer than this splits: about 16 subjects with three paths each."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What to change: paths that must exist, prefixes that must not."""

    ensure: Mapping[bytes, Sequence[KeyPath]] = field(default_factory=dict)
    forget: Mapping[bytes, Sequence[Prefix]] = field(default_factory=dict)

    @classmethod
    def inserting(cls, paths: Iterable[KeyPath]) -> Wish:
        """Wish for these paths to exist."""
        grouped: dict[bytes, list[KeyPath]] = {}
        for path in paths:
            grouped.setdefault(subject_bytes(path.subject), []).append(path)
        return cls(ensure=grouped)

    @classmethod
    def forgetting(cls, prefixes: Iterable[Prefix]) -> Wish:
        """Wish for everything under these prefixes to be gone."""
        grouped: dict[bytes, list[Prefix]] = {}
        for prefix in prefixes:
            grouped.setdefault(subject_bytes(prefix.subject), []).append(prefix)
        return cls(forget=grouped)

    def subjects(self) -> list[bytes]:
        """Return the subjects that the wish names."""
        return [*self.ensure, *(raw for raw in self.forget if raw not in self.ensure)]


@dataclass(slots=True)
class Edit:
    """What came of a wish: nodes to write, nodes and paths that fall away, the keys wished for."""

    fresh: dict[bytes, bytes] = field(default_factory=dict)
    plain: dict[bytes, bytearray] = field(default_factory=dict)
    dead: list[bytes] = field(default_factory=list)
    keys: dict[KeyPath, bytes] = field(default_factory=dict)
    gone: list[KeyPath] = field(default_factory=list)
    inserted: int = 0


@dataclass(slots=True)
class _Visit:
    """A branch, opened for editing, with the children that the wish reaches and the subjects that meet no child."""

    branch: Branch
    prefix: bytes
    subjects: list[bytes]
    children: list[_Child] = field(default_factory=list)
    strays: dict[tuple[int, int], list[bytes]] = field(default_factory=dict)


@dataclass(slots=True)
class _Child:
    place: Place
    ref: Ref
    subjects: list[bytes]
    below: _Visit | Leaf | None = None


class Editor:
    """Carries one wish out on one root."""

    def __init__(self, tenant: str, source: NodeSource, entropy: Entropy, *, leaf_limit: int = LEAF_LIMIT) -> None:
        self._tenant = tenant
        self._source = source
        self._entropy = entropy
        self._leaf_limit = leaf_limit
        self._wish = Wish()
        self._edit = Edit()

    def apply(self, root: Branch, wish: Wish) -> Edit:
        """Change the root branch in place and return the edit; the caller seals the root itself.

        Raises:
            NodeTamperedError: a node on the way does not open.
            TreeLimitError: a subject has more paths than a leaf can hold.
        """
        self._wish, self._edit = wish, Edit()
        visit = _Visit(root, b"", wish.subjects())
        self._gather(visit)
        self._rewrite(visit)
        return self._edit

    def _gather(self, top: _Visit) -> None:
        """Open every node on the way to the wished subjects, one level at a time, so that each level is one read."""
        level = [top]
        while level:
            for visit in level:
                self._group(visit)
            children = [child for visit in level for child in visit.children]
            opened = self._source.load([(child.ref, child.place) for child in children])
            level = []
            for child in children:
                raw = opened[child.ref.digest]
                if branches.is_branch(raw):
                    child.below = _Visit(branches.decode(raw), child.place.below(), child.subjects)
                    level.append(child.below)
                else:
                    child.below = leaves.decode(raw)

    def _group(self, visit: _Visit) -> None:
        """Sort the subjects of a visit by the child that covers them."""
        depth = len(visit.prefix)
        by_child: dict[int, _Child] = {}
        for subject in visit.subjects:
            slot = position(subject)[depth]
            index = visit.branch.find(slot)
            if index is None:
                visit.strays.setdefault(visit.branch.gap(slot), []).append(subject)
            elif index in by_child:
                by_child[index].subjects.append(subject)
            else:
                place = Place(visit.prefix, *visit.branch.run(index))
                by_child[index] = _Child(place, visit.branch.ref(index), [subject])
        visit.children = list(by_child.values())

    def _rewrite(self, visit: _Visit) -> bool:
        """Carry the wish out below a branch; say whether the branch changed."""
        changed = False
        for child in visit.children:
            below, place = child.below, child.place
            if isinstance(below, _Visit):
                if self._rewrite(below):
                    self._replace(visit.branch, child)
                    self._put_branch(visit.branch, place, below.branch)
                    changed = True
            elif isinstance(below, Leaf) and self._apply(below, child.subjects):
                self._replace(visit.branch, child)
                self._put_leaf(visit.branch, place, below)
                changed = True
        for (start, bits), strays in visit.strays.items():
            leaf = Leaf()
            if self._apply(leaf, strays):
                self._put_leaf(visit.branch, Place(visit.prefix, start, bits), leaf)
                changed = True
        return changed

    def _apply(self, leaf: Leaf, subjects: Sequence[bytes]) -> bool:
        """Carry the wish out on one leaf; say whether it changed."""
        before = self._edit.inserted + len(self._edit.gone)
        for subject in subjects:
            for prefix in self._wish.forget.get(subject, ()):
                self._edit.gone += leaf.drop(subject, prefix)
            for path, key, made in leaf.ensure(subject, self._wish.ensure.get(subject, ()), self._data_key):
                self._edit.inserted += made
                self._edit.keys[path] = key
        return self._edit.inserted + len(self._edit.gone) > before

    def _data_key(self) -> bytes:
        return self._entropy(seals.KEY_BYTES)

    def _replace(self, branch: Branch, child: _Child) -> None:
        self._edit.dead.append(child.ref.digest)
        branch.remove(child.place.start)

    def _put_leaf(self, branch: Branch, place: Place, leaf: Leaf) -> None:
        """Seal a leaf and hang it into its branch, split as often as its size asks for."""
        if not leaf.subjects:
            return
        if leaf.size() <= self._leaf_limit or len(leaf.subjects) == 1 or place.depth == DEPTH_LIMIT:
            branch.put(place.start, place.bits, self._mint(leaves.encode(leaf), place, len(leaf.subjects)))
        elif place.bits:
            low, high = place.halves()
            upper = [raw for raw in leaf.subjects if position(raw)[place.depth] >= high.start]
            for half, part in zip((low, high), leaves.divide(leaf, upper), strict=True):
                self._put_leaf(branch, half, part)
        else:
            below = Branch()
            self._put_leaf(below, Place(place.below(), ROOT.start, ROOT.bits), leaf)
            self._put_branch(branch, place, below)

    def _put_branch(self, branch: Branch, place: Place, child: Branch) -> None:
        if len(child):
            branch.put(place.start, place.bits, self._mint(child.encode(), place, child.subjects()))

    def _mint(self, plain: bytes, place: Place, subjects: int) -> Ref:
        """Seal a node under a fresh key and note it for writing."""
        secret = self._entropy(seals.KEY_BYTES + seals.NONCE_BYTES)
        key, nonce = secret[: seals.KEY_BYTES], secret[seals.KEY_BYTES :]
        sealed = seals.seal(key, nonce, plain, associated_data(self._tenant, place))
        digest = seals.digest_of(sealed)
        self._edit.fresh[digest] = sealed
        self._edit.plain[digest] = bytearray(plain)
        return Ref(digest, key, subjects)
