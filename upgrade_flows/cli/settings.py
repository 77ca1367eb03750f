"""What the command line, the configuration file and the defaults say, as values."""

from __future__ import annotations

import argparse
import dataclasses
from dataclasses import dataclass
from pathlib import Path

from oslo_config import cfg

from upgrade_flows.cli import logs
from upgrade_flows.conf import opts
from upgrade_flows.errors import RequestError
from upgrade_flows.steps.base import Settings as StepSettings


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
        )
    except (cfg.Error, ValueError) as exc:
        raise RequestError(f"the configuration cannot be used: {exc}") from exc


def _fields(conf: cfg.ConfigOpts) -> list[str]:
    return [field.name for field in dataclasses.fields(StepSettings) if field.name in conf.steps]
