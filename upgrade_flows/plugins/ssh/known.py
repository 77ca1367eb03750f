"""Which host keys are known, and what to say where one is not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncssh

DEFAULT_FILES = ("~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts")


class Known(asyncssh.SSHClient):
    """Refuses every key that is not known, and keeps it for the message."""

    refused: asyncssh.SSHKey | None = None
    where = ("", "", 0)

    def trusted(self) -> Any:
        """Return the known keys, as asyncssh takes them; never None, which trusts everybody."""
        raise NotImplementedError

    def complaint(self, who: str, why: str) -> str:
        """Say why a machine's key is not taken, and what to do about it."""
        raise NotImplementedError

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey
    ) -> bool:
        """Note the key, and refuse it."""
        self.refused, self.where = key, (host, addr, port)
        return False

    def shown(self) -> str:
        """Return the key that was refused, in words."""
        if self.refused is None:
            return "unknown"
        return f"{self.refused.get_algorithm()} {self.refused.get_fingerprint()}"


class KnownHosts(Known):
    """The keys in files as OpenSSH has them."""

    def __init__(self, files: Sequence[str]) -> None:
        self.files = [Path(name).expanduser() for name in files or DEFAULT_FILES]

    def trusted(self) -> bytes:
        """Return the lines of all files that there are."""
        texts = [path.read_bytes() for path in self.files if path.is_file()]
        return b"\n".join([*texts, b"\n"])  # never empty: that would mean the default file

    def complaint(self, who: str, why: str) -> str:
        files = ", ".join(str(path) for path in self.files)
        if self.refused is None:
            return f"{who}: its host key is not taken ({why}); known keys are in {files}"
        name, address, port = self.where
        known = asyncssh.import_known_hosts(self.trusted().decode("utf-8", "replace"))
        others = known.match(name, address, port if port != 22 else None)[0]
        option = f"-p {port} " if port != 22 else ""
        add = f"ssh-keyscan {option}{name} >> {self.files[0]}"
        if others:
            return (
                f"{who}: its host key ({self.shown()}) is another one than is known for {name} in"
                f" {files}: this may be somebody else; if it was installed anew, remove the"
                f" old key (ssh-keygen -R) and add the new one: {add}"
            )
        return (
            f"{who}: its host key ({self.shown()}) is not known in {files}; compare it with what"
            f" ssh-keygen -l -f /etc/ssh/ssh_host_*_key.pub says there, then add it: {add}"
        )


class PinnedKeys(Known):
    """The keys of one machine, as lines of public keys, and whence they are known."""

    def __init__(self, lines: Sequence[str], source: str) -> None:
        self.lines, self.source = tuple(lines), source

    def trusted(self) -> tuple[list[asyncssh.SSHKey], list[Any], list[Any]]:
        return [asyncssh.import_public_key(line) for line in self.lines], [], []

    def complaint(self, who: str, why: str) -> str:
        return (
            f"{who}: its host key ({self.shown()}) is none of those of {self.source} ({why}):"
            " this may be somebody else"
        )
