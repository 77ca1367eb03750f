"""One server of a test's own: started, paused, killed and ended by its pid."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from tests.services import ports, processes
from tests.services.errors import ServiceError
from tests.services.packages import missing
from tests.services.processes import Process

ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}
START_SECONDS = 90
STOP_SECONDS = 30
RELEASE_SECONDS = 2


@dataclass
class Record:
    """What a folder has to remember of its server."""

    name: str
    ports: list[int]
    password: str
    ready: bool = False
    pid: int | None = None
    started: int | None = None

    @property
    def process(self) -> Process | None:
        """The process that was started last, alive or dead."""
        if self.pid is None or self.started is None:
            return None
        return Process(self.pid, self.started)


class Service(ABC):
    """A server with its data, log and port in a folder, which is all there is of it."""

    name: ClassVar[str]
    ports_needed: ClassVar[int] = 1
    end_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.data = self.folder / "data"
        self.log = self.folder / f"{self.name}.log"

    def __repr__(self) -> str:
        return f"<{self.name} in {self.folder}>"

    @property
    @abstractmethod
    def url(self) -> str:
        """What a client needs to know."""

    @property
    def port(self) -> int:
        """The port that clients connect to; it stays, whatever happens to the server."""
        return self.record.ports[0]

    @property
    def pid(self) -> int | None:
        """The pid of the server; none if it does not run."""
        process = self._process()
        return process.pid if process else None

    @property
    def record(self) -> Record:
        """What is known of this server."""
        try:
            record = Record(**json.loads(self._record_path.read_text()))
        except FileNotFoundError:
            raise ServiceError(f"{self.name} was never started in {self.folder}") from None
        if record.name != self.name:
            raise ServiceError(f"{self.folder} is the folder of {record.name}, not of {self.name}")
        return record

    @abstractmethod
    def answers(self) -> bool:
        """Return whether the server does its work."""

    def start(self) -> None:
        """Start the server unless it runs, and return when it answers."""
        self._installed()
        record = self._first_record() if not self._record_path.exists() else self.record
        if not record.ready:
            self.kill()  # of an attempt that did not get to its end
        process = self._process()
        try:
            if process:
                processes.go_on(process)
            else:
                self._launch(record)
            processes.until(f"{self.name} answers", self._answers_or_ended, START_SECONDS)
            if not record.ready:
                self.furnish()
        except (ServiceError, subprocess.SubprocessError) as error:
            self.kill()
            raise ServiceError(f"{error}; {self.log} ends with:\n{self._tail()}") from None
        except BaseException:
            self.kill()
            raise
        self._remember(ready=True)

    def stop(self) -> None:
        """End the server as its operator would, and wait."""
        process = self._process()
        if not process:
            return
        processes.go_on(process)
        if not processes.end(process, self.end_signal, STOP_SECONDS):
            self.kill()
            raise ServiceError(
                f"{self.name} did not end within {STOP_SECONDS} s and was killed; "
                f"{self.log} ends with:\n{self._tail()}"
            )

    def kill(self) -> None:
        """End the server and all its processes at once, as a crash would, and wait."""
        process = self._process()
        if process:
            processes.kill(process)

    def restart(self) -> None:
        """End the server and start it again, with the same port and data."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Let the server, all of its processes, do nothing more, connections left open."""
        process = self._process()
        if not process:
            raise ServiceError(f"{self.name} does not run")
        processes.pause(process)

    def go_on(self) -> None:
        """Let a paused server work again."""
        process = self._process()
        if not process:
            raise ServiceError(f"{self.name} does not run")
        processes.go_on(process)

    def prepare(self) -> None:
        """Make what the server needs in an empty ``self.data`` before it starts first."""

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """Return what to run."""

    def furnish(self) -> None:
        """Make what users need on the server when it has started first."""

    def run(self, argv: Sequence[str | Path], seconds: float = 120, **environment: str) -> str:
        """Run a command to its end and return its output."""
        result = subprocess.run(
            [str(word) for word in argv],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env={**self._environment, **environment},
            cwd=self.folder,
            timeout=seconds,
        )
        if result.returncode:
            words = "\n".join((result.stdout + result.stderr).splitlines()[-15:])
            raise ServiceError(f"{Path(argv[0]).name} for {self.name} failed:\n{words}")
        return result.stdout

    @property
    def _environment(self) -> dict[str, str]:
        return {**ENVIRONMENT, "HOME": str(self.folder)}

    @property
    def _record_path(self) -> Path:
        return self.folder / "service.json"

    def _installed(self) -> None:
        packages = missing(self.name)
        if packages:
            raise ServiceError(
                f"{self.name} needs what is not installed ({' '.join(packages)}); "
                f"as root: python -m tests.services install {self.name}"
            )

    def _first_record(self) -> Record:
        self.folder.mkdir(parents=True, exist_ok=True)
        record = Record(self.name, ports.pick(self.ports_needed), secrets.token_hex(16))
        self._write(record)
        return record

    def _launch(self, record: Record) -> None:
        for port in record.ports:
            what = f"port {port} of {self.name}, used by another process, gets free"
            processes.until(what, lambda port=port: ports.free(port), RELEASE_SECONDS)
        if not record.ready:
            shutil.rmtree(self.data, ignore_errors=True)
            self.data.mkdir(mode=0o700)
            self.prepare()
        process = processes.spawn(self.command(), self.log, self._environment, self.folder)
        self._remember(pid=process.pid, started=process.started)

    def _answers_or_ended(self) -> bool:
        if not self._process():
            raise ServiceError(f"{self.name} has ended by itself")
        return self.answers()

    def _process(self) -> Process | None:
        process = self.record.process
        return process if process and processes.alive(process) else None

    def _remember(self, **changes: object) -> None:
        self._write(Record(**{**asdict(self.record), **changes}))

    def _write(self, record: Record) -> None:
        new = self._record_path.with_suffix(".new")
        with open(new, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            json.dump(asdict(record), file, indent=2)
        new.replace(self._record_path)

    def _tail(self, lines: int = 15) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])
