"""What the command line, the configuration file and the defaults say, as values."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oslo_config import cfg

from upgrade_flows.cli import logs
from upgrade_flows.conf import databases, opts
from upgrade_flows.errors import RequestError
from upgrade_flows.steps.base import Settings as StepSettings

#: what a check is told of [checks] as it is
_LIMITS = (
    "stuck_s",
    "certificate_days",
    "quota_percent",
    "deleted_rows",
    "deleted_days",
    "large_rows",
    "upstream_s",
)


@dataclass(frozen=True)
class CheckSettings:
    """What checks look at; ``databases`` are URLs by name, and are shown nowhere."""

    waivers: Path | None = None
    target: str = ""
    timeout_s: float = 600.0
    upstream: tuple[tuple[str, ...], ...] = ()
    limits: dict[str, Any] = field(default_factory=dict)
    databases: dict[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Settings:
    """The values that commands work with."""

    cloud: str | None
    region: str | None
    journal: str
    key_file: Path | None
    board: str | None
    ttl_s: float
    at_a_time: int
    max_failures: int
    steps_at_a_time: int
    steps: StepSettings
    log_file: Path | None
    checks: CheckSettings = field(default_factory=CheckSettings)


def load(options: argparse.Namespace) -> Settings:
    """Read the configuration once, and set logging up from it.

    :raises RequestError: a file cannot be read, or a value is out of its range.
    """
    conf = cfg.ConfigOpts()
    logs.register(conf)
    opts.register_opts(conf)
    arguments = [f"--config-file={path}" for path in options.config_file]
    arguments += [f"--config-dir={path}" for path in options.config_dir]
    try:
        conf(arguments, project="upgrade-flows", prog="upgrade-flows")
        log_file = logs.set_up(conf, options.log_file, options.verbose_level, options.debug)
        return Settings(
            cloud=options.os_cloud or conf.cloud.name,
            region=options.os_region_name or conf.cloud.region,
            journal=options.journal or conf.journal.url,
            key_file=Path(conf.journal.key_file) if conf.journal.key_file else None,
            board=conf.board.url,
            ttl_s=conf.conductor.ttl_s,
            at_a_time=conf.engine.at_a_time,
            max_failures=conf.engine.max_failures,
            steps_at_a_time=conf.engine.steps_at_a_time,
            steps=StepSettings(**{field: getattr(conf.steps, field) for field in _fields(conf)}),
            log_file=log_file,
            checks=_checks(conf),
        )
    except (cfg.Error, ValueError) as exc:
        raise RequestError(f"the configuration cannot be used: {exc}") from exc


def _fields(conf: cfg.ConfigOpts) -> list[str]:
    return [field.name for field in dataclasses.fields(StepSettings) if field.name in conf.steps]


def _checks(conf: cfg.ConfigOpts) -> CheckSettings:
    """Read what concerns checks.

    :raises ValueError: a command or a cell is not written as it should be.
    """
    return CheckSettings(
        waivers=Path(conf.checks.waivers) if conf.checks.waivers else None,
        target=conf.checks.target or "",
        timeout_s=conf.checks.timeout_s,
        upstream=tuple(tuple(shlex.split(line)) for line in conf.checks.upstream if line.strip()),
        limits={name: conf.checks[name] for name in _LIMITS},
        databases=_databases(conf),
    )


def _databases(conf: cfg.ConfigOpts) -> dict[str, str]:
    """Return the URLs by name; a message of an error has none of them."""
    found = {name: conf.databases[name] for name in databases.SERVICES if conf.databases[name]}
    for number, line in enumerate(conf.databases.nova_cell, 1):
        name, _, url = line.strip().partition(" ")
        if not url.strip() or "/" in name:
            raise ValueError(
                f"[databases] nova_cell number {number} is not a name, a space and a URL"
            )
        if f"nova_cell:{name}" in found:
            raise ValueError(f"[databases] nova_cell: two cells are called {name}")
        found[f"nova_cell:{name}"] = url.strip()
    return found
