"""Which keys of hosts are known, and what to say where one is not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import asyncssh

DEFAULT_FILES = ("~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts")


class KnownHosts(asyncssh.SSHClient):
    """Refuses every key that is not known, and keeps it for the message."""

    def __init__(self, files: Sequence[str]) -> None:
        self.files = [Path(name).expanduser() for name in files or DEFAULT_FILES]
        self._refused: asyncssh.SSHKey | None = None
        self._where = ("", "", 0)

    def texts(self) -> bytes:
        """Return the lines of all files that there are."""
        texts = [path.read_bytes() for path in self.files if path.is_file()]
        return b"\n".join([*texts, b"\n"])  # never empty: that would mean the default file

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey
    ) -> bool:
        """Note the key, and refuse it."""
        self._refused, self._where = key, (host, addr, port)
        return False

    def complaint(self, host: str, why: str) -> str:
        """Say why a host's key is not taken, and what to do about it."""
        files = ", ".join(str(path) for path in self.files)
        if self._refused is None:
            return f"{host}: its host key is not taken ({why}); known keys are in {files}"
        name, address, port = self._where
        known = asyncssh.import_known_hosts(self.texts().decode("utf-8", "replace"))
        others = known.match(name, address, port if port != 22 else None)[0]
        kind = self._refused.get_algorithm()
        said = f"{kind} {self._refused.get_fingerprint()}"
        option = f"-p {port} " if port != 22 else ""
        add = f"ssh-keyscan {option}{name} >> {self.files[0]}"
        if others:
            return (
                f"{host}: its host key ({said}) is another one than is known for {name} in {files}:"
                " this may be somebody else; if the host was installed anew, remove the old key"
                f" (ssh-keygen -R) and add the new one: {add}"
            )
        return (
            f"{host}: its host key ({said}) is not known in {files}; compare it with what"
            f" ssh-keygen -l -f /etc/ssh/ssh_host_*_key.pub says on the host, then add it: {add}"
        )
