"""What the configuration says, as values."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import re
import socket
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from oslo_config import cfg

from upgrade_flows.conf import opts
from upgrade_flows.errors import RequestError
from upgrade_flows.service import logs
from upgrade_flows.steps.base import Settings as StepSettings

PROG = "upgrade-flows-conductor"

DESCRIPTION = """Work on the runs that were submitted, until told to stop with SIGTERM. Everything
is configured in the file; without --config-file those in /etc/upgrade-flows are read."""

EXAMPLE = f"Example: {PROG} --config-file /etc/upgrade-flows/upgrade-flows.conf"


@dataclass(frozen=True)
class Bus:
    """Where notifications go."""

    url: str = field(repr=False)
    topics: tuple[str, ...]
    publisher_id: str


@dataclass(frozen=True)
class Settings:
    """The values that the service works with."""

    name: str
    cloud: str | None
    region: str | None
    journal: str = field(repr=False)
    key_file: Path | None
    board: str = field(repr=False)
    jobs: int
    ttl_s: float
    steps_at_a_time: int
    most_tries: int
    health: tuple[str, int] | None
    bus: Bus | None
    steps: StepSettings

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that must not be seen in a log."""
        return (self.journal, self.board, *([self.bus.url] if self.bus else []))


def read(argv: Sequence[str]) -> cfg.ConfigOpts:
    """Read command line and files.

    :raises RequestError: a file cannot be read.
    """
    conf = cfg.ConfigOpts()
    logs.register(conf)
    opts.register_opts(conf)
    try:
        conf(
            list(argv),
            project="upgrade-flows",
            prog=PROG,
            version=version(),
            description=DESCRIPTION,
            epilog=EXAMPLE,
        )
    except (cfg.Error, ValueError) as exc:
        raise RequestError(f"the configuration cannot be used: {exc}") from exc
    return conf


def load(conf: cfg.ConfigOpts) -> Settings:
    """Take the values out of the configuration.

    :raises RequestError: the board is missing, or a value cannot be used.
    """
    try:
        return _values(conf)
    except (cfg.Error, ValueError) as exc:
        raise RequestError(f"the configuration cannot be used: {exc}") from exc


def _values(conf: cfg.ConfigOpts) -> Settings:
    if not conf.board.url:
        raise RequestError(
            "[board] url is missing: a conductor finds its work on a job board; set it, in"
            f" {' or '.join(conf.config_file or ['/etc/upgrade-flows/upgrade-flows.conf'])},"
            " to the URL of a Redis, etcd or ZooKeeper server"
        )
    name = conf.conductor.name or socket.gethostname()
    said = conf.notifications
    bus = None
    if said.transport_url:
        publisher = said.publisher_id or f"upgrade-flows.{name}"
        bus = Bus(said.transport_url, tuple(said.topics), publisher)
        if not bus.topics:
            raise RequestError("[notifications] topics is empty; remove transport_url as well")
    return Settings(
        name=name,
        cloud=conf.cloud.name,
        region=conf.cloud.region,
        journal=conf.journal.url,
        key_file=Path(conf.journal.key_file) if conf.journal.key_file else None,
        board=conf.board.url,
        jobs=conf.conductor.jobs,
        ttl_s=conf.conductor.ttl_s,
        steps_at_a_time=conf.engine.steps_at_a_time,
        most_tries=conf.engine.most_tries,
        health=address(conf.conductor.health_address),
        bus=bus,
        steps=StepSettings(
            **{f.name: conf.steps[f.name] for f in dataclasses.fields(StepSettings)}
        ),
    )


def address(text: str) -> tuple[str, int] | None:
    """Return host and port of ``host:port`` or ``[IPv6]:port``; None for nothing.

    :raises RequestError: it is neither.
    """
    text = text.strip()
    if not text:
        return None
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:\s]+)):(\d{1,5})", text)
    if not found or int(found[3]) > 65535:
        raise RequestError(
            f"[conductor] health_address {text!r} is no address: write 127.0.0.1:9899,"
            " [::1]:9899, or nothing at all to serve nothing"
        )
    return found[1] or found[2], int(found[3])


def version() -> str:
    """Return the version of this program."""
    try:
        return importlib.metadata.version("upgrade-flows")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def open_to_all(paths: Sequence[str]) -> list[str]:
    """Return which of these files every user of the host can read."""
    return [path for path in paths if _mode(path) & stat.S_IROTH]


def _mode(path: str) -> int:
    try:
        return os.stat(path).st_mode
    except OSError:
        return 0
