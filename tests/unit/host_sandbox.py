"""A host in a folder, behind a real ssh server in this process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import sys
import threading
from pathlib import Path
from typing import Any

import asyncssh

FAKES = Path(__file__).with_name("host_fakes.py")
TOOLS = (
    *("apt-get", "apt-cache", "apt-mark", "dpkg", "dpkg-query", "systemctl", "sudo", "id", "df"),
    *("dkms", "timedatectl", "libvirtd"),
)

#: tools that this machine may have, and that say nothing here
MUTE = ("chronyc", "qemu-system-x86_64", "qemu-system-aarch64", "ovs-vswitchd")

#: what belongs to the sandbox, wherever a script names it
PATHS = re.compile(r"(?<![\w.+/-])/(?=(?:proc|sys|lib/modules|run|etc|boot|var)(?:[/\s\]\"'*]|$))")

STATE: dict[str, Any] = {
    "installed": {"qemu": "7.0", "nano": "5", "library": "1", "tool": "2"},
    "automatic": ["library"],
    "configured": ["old-tool"],
    "half": [],
    "interrupted": False,
    "held": [],
    "archive": {
        "qemu": ["7.2", "7.0"],
        "nano": ["6", "5"],
        "library": ["1"],
        "tool": ["2"],
        "helper": ["3"],
        "old-tool": ["1"],
    },
    "repositories": {"deb new": {"qemu": ["8.2"], "library": ["2"]}},
    "known": ["deb old"],
    "depends": {"qemu": ["helper"]},
    "conflicts": {},
    "services": {"libvirtd": "active", "spare": "inactive"},
    "broken": [],
    "sudo": True,
    "uid": 0,
    "free": 10_000_000,
    "dkms": "zfs/2.1.11, 6.1.0-18-amd64, x86_64: installed\n",
    "calls": [],
}

FILES = {
    "proc/sys/kernel/random/boot_id": "boot-1\n",
    "proc/sys/kernel/osrelease": "6.1.0-18-amd64\n",
    "proc/uptime": "1234.5 99\n",
    "proc/stat": "cpu  10 0 10 80 0 0 0 0 0 0\n",
    "proc/meminfo": "MemTotal: 1000 kB\nMemAvailable: 400 kB\n"
    "HugePages_Free: 2\nHugepagesize: 100 kB\n",
    "lib/modules/6.1.0-18-amd64/kernel/x": "",
    "lib/modules/6.1.0-9-amd64/kernel/x": "",
    "lib/modules/6.1.0-18-amd64/build/x": "",
    "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages": "1024\n",
    "sys/class/net/ens1/device/sriov_numvfs": "8\n",
    "etc/os-release": 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12"\n',
    "etc/apt/sources.list.d/old.list": "deb old\n",
    "etc/libvirt/qemu.conf": '# the owner\n#group = "root"\nuser = "qemu"\n',
    "run/systemd/system/x": "",
    "var/lib/apt/lists/x": "",
    "boot/x": "",
}


class Sandbox:
    """A host: a folder, its tools, and the ssh server in front of it.

    ``mood``: ``well``, ``hangs`` (a command never ends), ``drops`` (the connection is lost when
    a command has been given), ``drops-late`` (when it has ended).
    """

    def __init__(self, folder: Path) -> None:
        self.root = folder / "host"
        self.folder = folder
        self.mood = "well"
        self.commands: list[str] = []
        for name, text in FILES.items():
            self.write("/" + name, text)
        self.state_path = self.root / "state.json"
        self.state_path.write_text(json.dumps(STATE))
        tools = self.root / "tools"
        tools.mkdir()
        for name in TOOLS:
            (tools / name).write_text(f"#!{sys.executable} -IS\n{FAKES.read_text()}")
            (tools / name).chmod(0o755)
        for name in ("sleep", *MUTE):
            (tools / name).write_text("#!/bin/sh\n")
            (tools / name).chmod(0o755)
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(str(folder / "key"))
        (folder / "key").chmod(0o600)
        self._authorized = asyncssh.import_authorized_keys(key.export_public_key().decode())
        self.start()

    @property
    def settings(self) -> dict[str, Any]:
        """What the plugin needs to reach the host."""
        return {"ssh_config": str(self.folder / "ssh_config")}

    @property
    def state(self) -> dict[str, Any]:
        """What the tools keep."""
        return json.loads(self.state_path.read_text())

    def set(self, **values: Any) -> None:
        """Change what the tools keep."""
        self.state_path.write_text(json.dumps({**self.state, **values}))

    def path(self, name: str) -> Path:
        return self.root / name.lstrip("/")

    def write(self, name: str, text: str) -> None:
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        self.path(name).write_text(text)

    def whole(self) -> dict[str, Any]:
        """Return all that an undo has to bring back."""
        state = self.state
        for passing in ("calls", "archive", "interrupted"):
            del state[passing]
        state["configured"].sort()
        files = {
            str(path.relative_to(self.root)): (path.read_text(), path.stat().st_mode)
            for folder in ("etc", "boot", "lib")
            for path in sorted((self.root / folder).rglob("*"))
            if path.is_file()
        }
        return {**state, "files": files}

    def start(self) -> None:
        """Start the server, and tell the client about it."""
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()

        def serve() -> None:
            asyncio.set_event_loop(self._loop)
            self._server = self._loop.run_until_complete(self._listen())
            ready.set()
            self._loop.run_forever()

        self._thread = threading.Thread(target=serve, daemon=True)
        self._thread.start()
        assert ready.wait(20)
        self.port = self._server.sockets[0].getsockname()[1]
        self.know(self.host_key)

    def know(self, key: asyncssh.SSHKey | None, more: str = "") -> None:
        """Write the client's configuration; it knows the host by a key, or does not."""
        known = self.folder / "known_hosts"
        public = key.export_public_key().decode() if key else ""
        known.write_text(f"[127.0.0.1]:{self.port} {public}\n" if key else "")
        files = "" if "UserKnownHostsFile" in more else f"UserKnownHostsFile {known}\n"
        (self.folder / "ssh_config").write_text(
            f"Host compute-*\nHostname 127.0.0.1\nPort {self.port}\nUser tester\n"
            f"IdentityFile {self.folder / 'key'}\n{files}{more}\n"
        )

    def stop(self) -> None:
        """Stop the server; connections end."""

        async def close() -> None:
            self._server.close()

        if self._loop.is_running():
            asyncio.run_coroutine_threadsafe(close(), self._loop).result(10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)

    async def _listen(self) -> asyncssh.SSHAcceptor:
        return await asyncssh.create_server(
            asyncssh.SSHServer,
            "127.0.0.1",
            0,
            server_host_keys=[self.host_key],
            authorized_client_keys=self._authorized,
            process_factory=self._process,
            encoding=None,
        )

    async def _process(self, process: asyncssh.SSHServerProcess) -> None:
        self.commands.append(process.command or "")
        text = (await process.stdin.read()).decode()
        if self.mood == "hangs":
            await asyncio.sleep(60)
        if self.mood == "drops":
            process.channel.get_connection().abort()
            return
        here = str(self.root)
        script = PATHS.sub(here + "/", text)
        child = await asyncio.create_subprocess_exec(
            *("sh", "-c", process.command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={
                "PATH": f"{self.root}/tools:/usr/bin:/bin",
                "SANDBOX": here,
                "TMPDIR": str(self.folder),
                "HOME": here,
            },
        )
        out, err = await child.communicate(script.encode())
        if self.mood == "drops-late":
            process.channel.get_connection().abort()
            return
        with contextlib.suppress(asyncssh.Error, OSError):
            process.stdout.write(out.replace(here.encode(), b""))
            process.stderr.write(err.replace(here.encode(), b""))
            process.exit(child.returncode if child.returncode is not None else 1)


def without_agent(monkeypatch: Any) -> None:
    """Keep the keys of whoever runs the tests out of them."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("HOME", os.devnull)
