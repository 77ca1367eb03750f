"""All options together, for the process that reads them and for the sample file."""

from __future__ import annotations

from oslo_config import cfg

from upgrade_flows.conf import (
    board,
    checks,
    cloud,
    conductor,
    databases,
    engine,
    journal,
    notifications,
    steps,
)

MODULES = (board, checks, cloud, conductor, databases, engine, journal, notifications, steps)


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Make the options of every group known to ``conf``."""
    for module in MODULES:
        module.register_opts(conf)


def list_opts() -> list[tuple[cfg.OptGroup, list[cfg.Opt]]]:
    """Return the options of every group (entry point of ``oslo.config.opts``)."""
    return [pair for module in MODULES for pair in module.list_opts().items()]
