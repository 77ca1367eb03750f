"""Keep what may be secret (an instance's user data) out of the journal's plain text."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from upgrade_flows.errors import JournalError


class Vault:
    """Seals short texts with a key that is not in the journal."""

    def __init__(self, key: bytes) -> None:
        self._fernet = Fernet(key)

    @classmethod
    def temporary(cls) -> Vault:
        """Return a vault whose key ends with the process (for tests and what-if)."""
        return cls(Fernet.generate_key())

    @classmethod
    def at(cls, path: Path) -> Vault:
        """Return the vault whose key is in a file; make the file, 0600, if there is none.

        :raises JournalError: the file cannot be read or holds no key.
        """
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not path.exists():
                _make(path)
            return cls(path.read_bytes().strip())
        except (OSError, ValueError) as exc:
            raise JournalError(f"the key file {path} cannot be used: {exc}") from exc

    def seal(self, text: str | None) -> str | None:
        """Return a text that only this vault can open."""
        return None if text is None else self._fernet.encrypt(text.encode()).decode()

    def open(self, sealed: str | None) -> str | None:
        """Return what was sealed.

        :raises JournalError: it was sealed with another key.
        """
        if sealed is None:
            return None
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken as exc:
            raise JournalError(
                "the journal was sealed with another key: restore the key file that belongs to it"
            ) from exc


def fingerprint(text: str | None) -> str | None:
    """Return what tells two texts apart without showing them."""
    return None if text is None else "sha256:" + hashlib.sha256(text.encode()).hexdigest()[:32]


def _make(path: Path) -> None:
    """Make a key file; of several processes that do so at once, all get the first one's."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(Fernet.generate_key())
            stream.flush()
            os.fsync(stream.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
    finally:
        os.unlink(name)
