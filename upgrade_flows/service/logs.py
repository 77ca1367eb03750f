"""Logging of the service: to stderr unless the configuration says otherwise, never a password."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from urllib.parse import unquote

from oslo_config import cfg
from oslo_log import log
from oslo_utils import strutils

#: libraries that say at every call what only their authors want to know
QUIET = [
    f"{name}=WARNING"
    for name in (
        "taskflow", "urllib3", "stevedore", "kazoo", "oslo_messaging", "oslo.messaging",
        "oslo_service",
    )
] + ["keystoneauth=INFO"]  # fmt: skip

_IN_URL = re.compile(r"((?:\b[a-z][a-z0-9+.-]*://|,)[^\s/:@,]*):([^\s/@]+)@", re.IGNORECASE)

#: a shorter one would also be found in what has nothing to do with it
_SHORTEST = 4


class Scrubber:
    """Takes passwords out of text: those of the configuration, and what looks like one.

    :param urls: values of secret options.
    """

    def __init__(self, urls: Iterable[str] = ()) -> None:
        secrets: set[str] = set()
        for url in urls:
            found = {match[2] for match in _IN_URL.finditer(url)}
            if found or "@" in url:
                secrets |= {url, *found, *map(unquote, found)}
        self._secrets = sorted((s for s in secrets if len(s) >= _SHORTEST), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return the text without them."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        masked: str = strutils.mask_password(_IN_URL.sub(r"\1:***@", text))
        return masked


class _Scrubbed(logging.Formatter):
    """What another formatter makes of a record, without passwords; tracebacks too."""

    def __init__(self, inner: logging.Formatter, scrub: Callable[[str], str]) -> None:
        super().__init__()
        self._inner, self._scrub = inner, scrub

    def format(self, record: logging.LogRecord) -> str:
        return self._scrub(self._inner.format(record))


def register(conf: cfg.ConfigOpts) -> None:
    """Make the logging options known to ``conf``."""
    log.register_options(conf)


def set_up(conf: cfg.ConfigOpts, scrub: Callable[[str], str]) -> None:
    """Send all logging where the configuration says; a file that is rotated is opened anew."""
    conf.set_default("default_log_levels", [*conf.default_log_levels, *QUIET])
    elsewhere = (conf.log_file, conf.log_dir, conf.use_journal, conf.use_syslog)
    if not any(elsewhere):
        conf.set_default("use_stderr", True)
    log.setup(conf, "upgrade-flows-conductor")
    protect(scrub)


def protect(scrub: Callable[[str], str]) -> None:
    """Have every handler leave passwords out, also those that were added meanwhile."""
    for handler in logging.getLogger().handlers:
        if not isinstance(handler.formatter, _Scrubbed):
            handler.setFormatter(_Scrubbed(handler.formatter or logging.Formatter(), scrub))
