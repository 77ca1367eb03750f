"""Some ``upgrade-flows-conductor`` processes, each as its configuration file says."""

from __future__ import annotations

import json
import os
import signal
import sys
import urllib.request
from dataclasses import asdict
from pathlib import Path

from cryptography.fernet import Fernet

from tests import services
from tests.lab.settings import Settings
from tests.services import ports, processes
from tests.services.processes import Process

SERVERS = ("redis", "postgresql")


class Fleet:
    """Conductors that share one folder: servers, configuration, logs, who runs as what.

    :param folder: kept; a fleet that is made again there finds what runs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def config(self) -> Path:
        """The file that ``upgrade-flows --config-file`` takes, too."""
        return self.folder / "upgrade-flows.conf"

    def furnish(self, ttl_s: float = 10.0, most_tries: int = 5) -> None:
        """Start the servers, and write the configuration that all conductors share."""
        services.install(*SERVERS)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        started = {name: services.start(name, self.folder / name) for name in SERVERS}
        key = self.folder / "journal.key"
        if not key.exists():
            _write(key, Fernet.generate_key().decode())
        _write(
            self.config,
            f"[cloud]\nname = lab-admin\n\n"
            f"[journal]\nurl = {started['postgresql'].url}\nkey_file = {key}\n\n"
            f"[board]\nurl = {started['redis'].url}\n\n"
            f"[engine]\nmost_tries = {most_tries}\n\n"
            f"[conductor]\nttl_s = {ttl_s}\n",
        )

    def start(self, name: str) -> None:
        """Start a conductor, and return when it is ready."""
        folder = self.folder / name
        folder.mkdir(mode=0o700, exist_ok=True)
        known = self._known(name)
        port = known[1] if known else ports.pick(1)[0]
        own = folder / "own.conf"
        _write(own, f"[conductor]\nname = {name}\nhealth_address = 127.0.0.1:{port}\n")
        program = "import sys; from upgrade_flows.service.main import main; sys.exit(main())"
        files = ["--config-file", self.config, "--config-file", own]
        started = processes.spawn(
            [sys.executable, "-W", "ignore", "-c", program, *files],
            folder / "log", self.environment(), folder,
        )  # fmt: skip
        _write(folder / "process.json", json.dumps({"process": asdict(started), "port": port}))
        processes.until(f"{name} is ready", lambda: self._ready(name, started, port), 90)

    def kill(self, name: str) -> None:
        """End a conductor as a power cut would."""
        known = self._known(name)
        if known:
            processes.kill(known[0])

    def stop(self, name: str, seconds: float = 60) -> None:
        """Tell a conductor to stop, and wait until it has given everything back."""
        known = self._known(name)
        if known and processes.alive(known[0]):
            processes.end(known[0], signal.SIGTERM, seconds)

    def alive(self, name: str) -> bool:
        """Whether a conductor runs."""
        known = self._known(name)
        return known is not None and processes.alive(known[0])

    def names(self) -> list[str]:
        """Return the conductors that were ever started here."""
        return sorted(path.parent.name for path in self.folder.glob("*/process.json"))

    def down(self) -> None:
        """End conductors and servers; what they have written stays."""
        for name in self.names():
            self.stop(name)
        for name in SERVERS:
            if (self.folder / name / "service.json").exists():
                services.find(name, self.folder / name).stop()

    def log_of(self, name: str) -> str:
        """Return what a conductor has said."""
        return (self.folder / name / "log").read_text(errors="replace")

    def environment(self) -> dict[str, str]:
        """Return what conductors, and the command line that gives them orders, run with."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
        clouds = str(Settings.load().clouds_yaml)
        return {**kept, "OS_CLIENT_CONFIG_FILE": clouds, "XDG_STATE_HOME": str(self.folder)}

    def _ready(self, name: str, process: Process, port: int) -> bool:
        if not processes.alive(process):
            raise services.ServiceError(f"{name} has ended:\n{self.log_of(name)[-2000:]}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _known(self, name: str) -> tuple[Process, int] | None:
        path = self.folder / name / "process.json"
        if not path.exists():
            return None
        found = json.loads(path.read_text())
        return Process(**found["process"]), found["port"]


def _write(path: Path, text: str) -> None:
    with open(path, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(text)
