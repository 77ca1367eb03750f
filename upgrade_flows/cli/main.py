"""The entry point: every way in which a command can end, as one line and an exit code."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import TextIO

from upgrade_flows import errors
from upgrade_flows.cli.app import UpgradeFlows
from upgrade_flows.reports import tables, words

LOG = logging.getLogger(__name__)

#: what to do next, for the errors whose message cannot know
ADVICE: tuple[tuple[type[errors.UpgradeFlowsError], str], ...] = (
    (errors.PlanChanged, "make the plan anew with 'upgrade-flows plan'"),
    (errors.SubjectBusy, "'upgrade-flows status --all' shows the other runs"),
    (errors.JournalError, "check --journal, or [journal] url in the configuration"),
    (errors.PluginError, "install or remove the plugin, then try again"),
    (errors.Unauthorized, "check --os-cloud and clouds.yaml, or the OS_* variables"),
    (errors.Forbidden, "use an administrator's credentials"),
    (errors.Unavailable, "try again when the service answers; 'resume' goes on with a run"),
    (errors.RunFailed, "'upgrade-flows report' has the details"),
    (errors.ResidueLeft, "'upgrade-flows report' lists what is left, with the commands"),
)


def main(argv: Sequence[str] | None = None, app: UpgradeFlows | None = None) -> int:
    """Run one command and return the exit code of the process."""
    application = app or UpgradeFlows()
    stderr = application.stderr
    try:
        return application.run(list(sys.argv[1:] if argv is None else argv))
    except errors.UpgradeFlowsError as exc:
        LOG.info("The command ended with an error", exc_info=exc)
        _say(stderr, exc)
        return exc.exit_code
    except Exception as exc:
        return _unexpected(application, exc)


def _say(stderr: TextIO, exc: errors.UpgradeFlowsError) -> None:
    advice = next((said for kind, said in ADVICE if isinstance(exc, kind)), "")
    message = words.safe(str(exc)) or type(exc).__name__
    stderr.write(f"upgrade-flows: {message}" + (f"; {advice}" if advice else "") + "\n")
    if isinstance(exc, errors.NotReady) and exc.findings:
        tables.console(stderr).print(tables.findings(exc.findings))


def _unexpected(application: UpgradeFlows, exc: Exception) -> int:
    LOG.error("Unexpected error", exc_info=exc)
    if getattr(getattr(application, "options", None), "debug", False):
        return 1
    try:
        log_file = application.settings.log_file
    except Exception:
        log_file = None
    where = "run it again with --debug to see the traceback"
    if log_file:
        where = f"the traceback is in {log_file}"
    said = words.safe(str(exc))
    application.stderr.write(
        f"upgrade-flows: unexpected error: {type(exc).__name__}{': ' if said else ''}{said};"
        f" {where}\n"
    )
    return 1
