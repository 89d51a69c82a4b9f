"""The state folder of one stack: where everything is, and who owns it. It must know nothing about what runs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from imagint_dev import files
from imagint_dev.errors import SettingsError

DEFAULT = ".imagint/stack"


@dataclass(frozen=True, slots=True)
class StateFolder:
    """Paths below one absolute folder."""

    root: Path

    @classmethod
    def at(cls, path: Path | str | None) -> StateFolder:
        """The folder at `path`, else $IMAGINT_STATE, else ./.imagint/stack, as an absolute path."""
        return cls(Path(path or os.environ.get("IMAGINT_STATE") or DEFAULT).expanduser().resolve())

    @property
    def record(self) -> Path:
        """What runs, where, and how it is: written by the supervisor."""
        return self.root / "stack.json"

    @property
    def lock(self) -> Path:
        """Held by watchdog and supervisor for as long as anything runs."""
        return self.root / "lock"

    @property
    def command_lock(self) -> Path:
        """Held by `up` and `down` while they work, so that two of them take turns."""
        return self.root / "command.lock"

    @property
    def options(self) -> Path:
        """What the supervisor was asked to run."""
        return self.root / "run" / "options.json"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.root / "kubeconfig"

    @property
    def pki(self) -> Path:
        """Certificates and keys."""
        return self.root / "pki"

    @property
    def vault(self) -> Path:
        """Vault's storage and unseal key."""
        return self.root / "vault"

    @property
    def handover(self) -> Path:
        """What the projector hands to Gateways."""
        return self.root / "handover"

    @property
    def ray_token(self) -> Path:
        """The token of the local Ray cluster."""
        return self.root / "ray" / "token"

    @property
    def evidence(self) -> Path:
        """The public key that certificates are checked against."""
        return self.root / "evidence.pub"

    def log(self, part: str) -> Path:
        """Where a part's output goes."""
        return self.root / "log" / f"{part}.log"

    def identity(self, account: str) -> Path:
        """The token files of a platform ServiceAccount."""
        return self.root / "identities" / account

    def prepare(self) -> None:
        """Makes the folder, readable by its owner only.

        Raises:
            SettingsError: a folder full of something else is already there, or no folder can be made there.
        """
        try:
            self._make()
        except OSError as error:
            raise SettingsError(f"{self.root} cannot be a state folder: {error.strerror}") from None

    def _make(self) -> None:
        if self.root.is_dir() and any(self.root.iterdir()) and not self.is_ours():
            raise SettingsError(f"{self.root} is not empty and not a state folder of Imagint: choose another --state")
        for name in ("", "run", "log", "identities", "handover", "data", "copies", "probes", "etcd", "vault", "ray"):
            (self.root / name).mkdir(parents=True, exist_ok=True, mode=0o700)

    def is_ours(self) -> bool:
        """Whether this is a state folder, so that --purge can never remove anything else."""
        return self.command_lock.exists() or self.record.exists() or self.lock.exists()

    def is_running(self) -> bool:
        """Whether a watchdog or supervisor holds the folder."""
        if not self.lock.exists():
            return False
        descriptor = files.try_lock(self.lock)
        if descriptor is None:
            return True
        os.close(descriptor)
        return False
