"""A guest: namespaces of its own, a folder, and a real ssh server in this process before them."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from upgrade_flows.plugins.base import Guest, GuestNic

VOLUME = "0f5e3c1a-77d2-4b0c-9a51-3d2a8c6f4e10"
MAC = "fa:16:3e:00:00:05"
NIC = GuestNic(MAC, ("10.9.0.5/24", "fd00:9::5/64"), "10.9.0.1")

#: what belongs to the folder, wherever a script names it
PATHS = re.compile(r"(?<![\w.+/-])/(?=run\b|dev/(?!null|shm)|sys/block|proc/mounts)")

#: a namespace of the network, without one of the processes
UNSHARE = ("unshare", "-rnm")
BEGIN = "mount -t sysfs sys /sys && ip link set lo up && echo begun && exec sleep 3600"


#: shells that guests have
SHELLS = [
    pytest.param(("sh",), id="sh"),
    pytest.param(
        ("busybox", "sh"),
        id="busybox",
        marks=pytest.mark.skipif(shutil.which("busybox") is None, reason="there is no busybox"),
    ),
]


def can_unshare() -> bool:
    """Whether this machine lets us have namespaces."""
    done = subprocess.run([*UNSHARE, "sh", "-c", "mount -t sysfs sys /sys"], capture_output=True)
    return done.returncode == 0


class GuestSandbox:
    """What a plugin takes for a guest.

    ``shell``: the words of the shell that it has; ``beside``: another guest, which is reached in
    the same way, but at another address.  ``mood``: ``well``, or ``drops`` (the
    connection is lost when a command has been given).
    """

    def __init__(
        self,
        folder: Path,
        shell: tuple[str, ...] = ("sh",),
        network: bool = False,
        beside: GuestSandbox | None = None,
    ) -> None:
        self.folder, self.shell = folder, shell
        self.address = "127.0.0.2" if beside else "127.0.0.1"
        self.root = folder / "guest"
        for name in ("run", "dev/disk/by-id", "sys/block", "proc", "tools"):
            (self.root / name).mkdir(parents=True)
        self.mood = "well"
        self.commands: list[str] = []
        self.scripts: list[str] = []
        self.connections = 0
        self.holder: subprocess.Popen[bytes] | None = None
        if network:
            self.holder = subprocess.Popen([*UNSHARE, "sh", "-c", BEGIN], stdout=subprocess.PIPE)
            assert self.holder.stdout is not None
            assert self.holder.stdout.readline() == b"begun\n"
        self.key = asyncssh.generate_private_key("ssh-ed25519")
        self.user_key = beside.user_key if beside else folder / "key"
        if not beside:
            asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(self.user_key))
            self.user_key.chmod(0o600)
        user = asyncssh.read_private_key(self.user_key).export_public_key().decode()
        self._authorized = asyncssh.import_authorized_keys(user)
        self.console = console(self.key)
        self.start(beside.port if beside else 0)

    @property
    def ssh(self) -> dict[str, Any]:
        """What a plugin needs to reach the guest."""
        return {"user": "root", "port": self.port, "key": str(self.user_key)}

    def guest(self, role: str = "original", **more: Any) -> Guest:
        """Return the guest as a flow makes it."""
        said = {
            "server_id": f"server-{self.port}-{self.address[-1]}",
            "name": "web",
            "addresses": (self.address,),
            "console": lambda: self.console,
        }
        return Guest(role=role, **{**said, **more})

    def inside(self, *words: str) -> list[str]:
        """Return words that run a command in the guest's namespaces."""
        if self.holder is None:
            return list(words)
        enter = ("nsenter", "-t", str(self.holder.pid), "-U", "-n", "-m", "--preserve-credentials")
        return [*enter, *words]

    def do(self, command: str, *more: str) -> str:
        """Run a command in the guest, and return what it says; ``more``: words with blanks."""
        words = self.inside(*command.split(), *more)
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout

    def plug(self, mac: str, name: str = "eth1") -> None:
        """Plug an interface into the guest."""
        self.do(f"ip link add {name} address {mac} type veth peer name peer-{name}")
        self.do(f"ip link set peer-{name} up")

    def install(self, source: Path, *names: str) -> None:
        """Give the guest tools, each of them the same Python program under another name."""
        for name in names:
            tool = self.root / "tools" / name
            tool.write_text(f"#!{sys.executable} -IS\n{source.read_text()}")
            tool.chmod(0o755)
        (self.root / "tools/sync").symlink_to("/bin/true")

    def plug_volume(self, volume: str, name: str = "vdb", link: bool = True) -> None:
        """Plug a volume in: with the link that udev makes, or with its serial number alone."""
        (self.root / "dev" / name).write_text("")
        if link:
            path = self.root / f"dev/disk/by-id/virtio-{volume[:20]}"
            path.symlink_to(f"../../{name}")
        else:
            (self.root / "sys/block" / name).mkdir()
            (self.root / "sys/block" / name / "serial").write_text(volume[:20])

    def start(self, port: int = 0) -> None:
        """Start the server."""
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()

        def serve() -> None:
            asyncio.set_event_loop(self._loop)
            self._server = self._loop.run_until_complete(self._listen(port))
            ready.set()
            self._loop.run_forever()

        self._thread = threading.Thread(target=serve, daemon=True)
        self._thread.start()
        assert ready.wait(20)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Stop the server: connections end."""

        async def close() -> None:
            self._server.close()
            for connection in self._open:
                connection.abort()
            for child in self._children:
                if child.returncode is None:
                    child.kill()
                    await child.wait()

        if self._loop.is_running():
            asyncio.run_coroutine_threadsafe(close(), self._loop).result(10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)

    def end(self) -> None:
        """Stop everything."""
        self.stop()
        watcher = self.root / "run/upgrade-flows/nics.pid"
        if watcher.exists():
            subprocess.run(["kill", watcher.read_text().strip()], check=False)
        if self.holder is not None:
            self.holder.kill()
            self.holder.wait()

    async def _listen(self, port: int) -> asyncssh.SSHAcceptor:
        sandbox = self
        self._open: list[Any] = []
        self._children: list[asyncio.subprocess.Process] = []

        class Server(asyncssh.SSHServer):
            def connection_made(self, conn: Any) -> None:
                sandbox.connections += 1
                sandbox._open.append(conn)

        return await asyncssh.create_server(
            Server,
            self.address,
            port,
            server_host_keys=[self.key],
            authorized_client_keys=self._authorized,
            process_factory=self._process,
            encoding=None,
        )

    async def _process(self, process: asyncssh.SSHServerProcess) -> None:
        self.commands.append(process.command or "")
        text = (await process.stdin.read()).decode()
        self.scripts.append(text)
        if self.mood == "drops":
            process.channel.get_connection().abort()
            return
        script = PATHS.sub(f"{self.root}/", text).replace("[ -b ", "[ -e ")
        child = await asyncio.create_subprocess_exec(
            *self.inside(*self.shell, "-s"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={
                "PATH": f"{self.root}/tools:/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME": str(self.root),
                "SANDBOX": str(self.root),
            },
        )
        self._children.append(child)
        out, err = await child.communicate(script.encode())
        here = str(self.root).encode()
        with contextlib.suppress(asyncssh.Error, OSError):
            process.stdout.write(out.replace(here, b""))
            process.stderr.write(err.replace(here, b""))
            if child.returncode is not None and child.returncode < 0:
                process.channel.exit_with_signal(signal.Signals(-child.returncode).name[3:])
            else:
                process.exit(child.returncode or 0)


def console(*keys: asyncssh.SSHKey) -> str:
    """Return what cloud-init writes to the console of a guest with some host keys."""
    lines = "".join(f"{key.export_public_key().decode().strip()} root@web\r\n" for key in keys)
    return (
        "[   12.3] cloud-init[612]: Cloud-init v. 22.4.2 running 'modules:final'\r\n"
        f"-----BEGIN SSH HOST KEY KEYS-----\r\n{lines}-----END SSH HOST KEY KEYS-----\r\n"
        "web login: "
    )
