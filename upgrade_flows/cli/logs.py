"""Logging of one command: everything into a file, warnings in plain words to the terminal."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TextIO

from oslo_config import cfg
from oslo_log import log

from upgrade_flows.conf import paths

#: libraries that say at every call what only their authors want to know
QUIET = ["taskflow=WARNING", "keystoneauth=INFO", "urllib3=WARNING", "stevedore=WARNING"]

LEVELS = {0: logging.ERROR, 1: logging.WARNING, 2: logging.INFO}


class _Terminal(logging.StreamHandler[TextIO]):
    """Writes to what ``sys.stderr`` is at the moment, which a live display replaces."""

    def __init__(self, tracebacks: bool) -> None:
        super().__init__()
        self.addFilter(lambda record: tracebacks or not record.exc_info)

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def register(conf: cfg.ConfigOpts) -> None:
    """Make the logging options known to ``conf``."""
    log.register_options(conf)


def set_up(conf: cfg.ConfigOpts, file: str | None, verbosity: int, debug: bool) -> Path | None:
    """Send all logging where it belongs; return the log file, or None if there can be none.

    The file is readable by its owner only.
    """
    conf.set_default("default_log_levels", [*conf.default_log_levels, *QUIET])
    if debug:
        conf.set_override("debug", True)
    if file:
        conf.set_override("log_file", os.path.abspath(file))
    elif not conf.log_file:
        conf.set_default("log_file", str(paths.state_dir() / "upgrade-flows.log"))
    target: Path | None = Path(conf.log_dir or "", conf.log_file)
    assert target is not None
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
    except OSError:
        conf.clear_override("log_file")
        conf.set_override("log_file", os.devnull)
        target = None
    log.setup(conf, "upgrade-flows")
    terminal = _Terminal(tracebacks=debug)
    terminal.setLevel(logging.DEBUG if debug else LEVELS.get(verbosity, logging.INFO))
    terminal.setFormatter(
        logging.Formatter("%(levelname)s %(name)s: %(message)s" if debug else "%(message)s")
    )
    logging.getLogger().addHandler(terminal)
    return target
