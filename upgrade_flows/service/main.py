"""``upgrade-flows-conductor``: every way in which it can end, as one line and an exit code."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Sequence

from oslo_config import cfg

from upgrade_flows import errors
from upgrade_flows.reports import words
from upgrade_flows.service import logs, notifications, settings
from upgrade_flows.service.health import Health, Server
from upgrade_flows.service.metrics import Metrics
from upgrade_flows.service.notifications import Notifications
from upgrade_flows.service.process import Process
from upgrade_flows.service.start import Wiring

LOG = logging.getLogger(__name__)

#: exit codes: somebody has to change something first; trying again may help
WRONG, BROKEN = 2, 1


def main(argv: Sequence[str] | None = None, wiring: Wiring | None = None) -> int:
    """Be a conductor, and return the exit code of the process."""
    scrub = logs.Scrubber()
    try:
        conf = settings.read(sys.argv[1:] if argv is None else argv)
        scrub = logs.Scrubber(_urls(conf))
        logs.set_up(conf, scrub)
        return _work(conf, wiring or Wiring(), scrub)
    except errors.UpgradeFlowsError as exc:
        LOG.debug("The conductor ended with an error", exc_info=exc)
        return _end(_code(exc), scrub(str(exc)))
    except Exception as exc:
        LOG.error("Unexpected error", exc_info=exc)
        return _end(BROKEN, scrub(f"unexpected error: {type(exc).__name__}: {exc}"))


def _work(conf: cfg.ConfigOpts, wiring: Wiring, scrub: logs.Scrubber) -> int:
    chosen = settings.load(conf)
    conf.log_opt_values(LOG, logging.DEBUG)
    if any("@" in url for url in chosen.secrets):
        for path in settings.open_to_all(conf.config_file or []):
            LOG.warning("%s holds a password, and every user of this host can read it", path)
    health = Health(chosen.name, chosen.ttl_s, scrub)
    metrics = Metrics(chosen.name, settings.version())
    metrics.watch(health.status)

    def reload() -> None:
        conf.mutate_config_files()
        logs.protect(scrub)
        LOG.info("The configuration was read again; debug and log levels apply at once")

    with contextlib.ExitStack() as stack:
        if chosen.health is not None:
            stack.enter_context(Server(chosen.health, health, metrics))
        observers = [metrics.observe]
        if chosen.bus is not None:
            send = notifications.connect(conf, chosen.bus)
            told = stack.enter_context(Notifications(send, metrics.notification, scrub))
            observers.append(told.observe)
        Process(chosen, wiring, health, tuple(observers), reload).run()
    return 0


def _urls(conf: cfg.ConfigOpts) -> list[str]:
    found = (conf.journal.url, conf.board.url, conf.notifications.transport_url)
    return [url for url in found if url]


def _code(exc: errors.UpgradeFlowsError) -> int:
    wrong = exc.exit_code == WRONG or isinstance(exc, errors.Forbidden)
    return WRONG if wrong else BROKEN


def _end(code: int, said: str) -> int:
    line = f"upgrade-flows-conductor: {words.safe(said)}"
    if any(getattr(h, "stream", None) is not sys.stderr for h in logging.getLogger().handlers):
        LOG.error("%s", line)
    sys.stderr.write(line + "\n")
    return code
