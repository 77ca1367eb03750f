"""Keep what may be secret (an instance's user data) out of the journal's plain text."""

from __future__ import annotations

import hashlib
import os
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
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:
                pass
            else:
                with os.fdopen(descriptor, "wb") as stream:
                    stream.write(Fernet.generate_key())
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
