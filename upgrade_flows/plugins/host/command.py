"""The host plugin ``command``: a program of the operator's own does the work.

The program gets one JSON object on its standard input and prints one JSON value, its answer, on
its standard output.  The object has ``verb``, ``host``, ``settings`` and, by verb:

===============  ==============================  ===============================================
verb             and                             answer
===============  ==============================  ===============================================
``look``                                         the facts, an object; ``boot_id`` must be in it
``missing``      ``facts``                       a list of texts, empty where all is done
``refusals``     ``facts``                       a list of texts, empty where nothing is against
``upgrade``      ``facts``, ``run``              an object or null, which ``restore`` gets
``restore``      ``before``, ``run``, ``result`` a list of texts: what could not be brought back
``wants_reboot`` ``before``, ``now``             true or false
``reboot``                                       null
===============  ==============================  ===============================================

``before`` are the facts before the upgrade; ``result`` is what ``upgrade`` answered, or null if
it did not come to its end.  Exit code 0: done.  75: the host cannot be reached.  Any other:
failed, and the end of standard error says why.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
from dataclasses import dataclass, field
from typing import Any

from taskflow import flow
from taskflow.patterns import graph_flow

from upgrade_flows.errors import HostError, HostUnreachable
from upgrade_flows.plugins.base import HostPlugin
from upgrade_flows.plugins.reading import Reader
from upgrade_flows.steps.base import Context, Step, note, undo

UNREACHABLE = os.EX_TEMPFAIL


@dataclass(frozen=True)
class Program:
    """A program, what it is given for settings, and when it is given up.

    :param words: the absolute path of the program, and its arguments.
    """

    words: tuple[str, ...]
    settings: Any = None
    deadline_s: float = 1800.0

    def ask(self, verb: str, host: str, **more: Any) -> Any:
        """Run the program once and return its answer.

        :raises HostUnreachable: it says so by exit code 75.
        :raises HostError: it failed, took too long, or its answer is no JSON.
        """
        question = {"verb": verb, "host": host, "settings": self.settings, **more}
        what = f"{host}: {verb} by {shlex.join(self.words)}"
        try:
            code, out, err = self._run(json.dumps(question))
        except subprocess.TimeoutExpired as exc:
            raise HostError(f"{what} did not end within {self.deadline_s:g} s") from exc
        except OSError as exc:
            raise HostError(f"{what} cannot be run: {exc}") from exc
        end = "\n".join(err.strip().split("\n")[-10:])[-2000:]
        if code == UNREACHABLE:
            raise HostUnreachable(f"{what}: the host does not answer: {end}")
        if code:
            raise HostError(f"{what} ended with {code}: {end}")
        try:
            return json.loads(out)
        except ValueError as exc:
            raise HostError(f"{what}: the answer is no JSON: {exc}") from exc

    def _run(self, question: str) -> tuple[int, str, str]:
        with subprocess.Popen(
            self.words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        ) as process:
            try:
                out, err = process.communicate(question, timeout=self.deadline_s)
            except BaseException:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                raise
            return process.returncode, out, err

    def texts(self, verb: str, host: str, **more: Any) -> list[str]:
        """Ask for a list of texts."""
        answer = self.ask(verb, host, **more)
        if not isinstance(answer, list) or not all(isinstance(said, str) for said in answer):
            raise HostError(f"{host}: {self.words[0]} answers {verb} with no list of texts")
        return answer


def read(settings: dict[str, Any]) -> Program:
    """Understand settings.

    :raises RequestError: names everything that is wrong with them.
    """
    reader = Reader("the host plugin command", settings, ("program", "settings", "deadline_s"))
    words = reader.words("program")
    if not words:
        reader.complain("program, a list of words, is missing")
    elif not words[0].startswith("/"):
        reader.complain("program: the first word is the absolute path of the program")
    try:
        json.dumps(reader.any("settings"))
    except (TypeError, ValueError) as exc:
        reader.complain(f"settings: {exc}")
    program = Program(words, reader.any("settings"), reader.seconds("deadline_s", 1800.0))
    reader.finish()
    return program


class CommandHost(HostPlugin):
    """Hosts that a program of the operator's own works on.

    ``missing`` and ``wants_reboot`` ask the program as well, which answers by the facts alone.
    """

    def check(self, settings: dict[str, Any]) -> None:
        read(settings)

    def look(self, host: str, settings: dict[str, Any]) -> dict[str, Any]:
        facts = read(settings).ask("look", host)
        if not isinstance(facts, dict) or not isinstance(facts.get("boot_id"), str):
            raise HostError(f"{host}: the program's facts do not say which boot this is (boot_id)")
        return {"host": host, **facts}

    def missing(self, settings: dict[str, Any], facts: dict[str, Any]) -> list[str]:
        return read(settings).texts("missing", _host(facts), facts=facts)

    def refusals(self, host: str, settings: dict[str, Any], facts: dict[str, Any]) -> list[str]:
        return read(settings).texts("refusals", host, facts=facts)

    def upgrade(self, ctx: Context, host: str, settings: dict[str, Any]) -> flow.Flow:
        step = UpgradeHost(ctx, host, read(settings))
        return graph_flow.Flow(f"upgrade-host-by-command:{host}").add(step)

    def wants_reboot(
        self, settings: dict[str, Any], before: dict[str, Any], now: dict[str, Any]
    ) -> bool:
        answer = read(settings).ask("wants_reboot", _host(now), before=before, now=now)
        if not isinstance(answer, bool):
            raise HostError(f"{_host(now)}: the program answers wants_reboot with no true or false")
        return answer

    def reboot(self, host: str, settings: dict[str, Any]) -> None:
        read(settings).ask("reboot", host)


class UpgradeHost(Step):
    """Let the program upgrade a host.

    Provides ``command_answer``: what it answered.  Reverted by the program's ``restore``; what it
    could not bring back is reported.
    """

    default_provides = "command_answer"

    def __init__(self, ctx: Context, subject: str, program: Program) -> None:
        super().__init__(ctx, subject)
        self.program = program

    def execute(self, facts: dict[str, Any]) -> dict[str, Any] | None:
        answer = self.program.ask("upgrade", self.subject, facts=facts, run=self.ctx.run_id)
        if answer is not None and not isinstance(answer, dict):
            raise HostError(f"{self.subject}: the program answers upgrade with no object or null")
        return answer

    def revert(
        self, facts: dict[str, Any], result: Any = None, **_: object
    ) -> dict[str, Any] | None:
        question = Question(facts, result if isinstance(result, dict) else None)
        left: list[str] = []
        failed = undo(self, self.restore, question, left)
        return failed or (note(self, "; ".join(left)) if left else None)

    def restore(self, question: Question, left: list[str]) -> None:
        """Let the program bring back what was there; what it could not is put in ``left``."""
        more = {"before": question.before, "result": question.result, "run": self.ctx.run_id}
        left += self.program.texts("restore", self.subject, **more)


@dataclass(frozen=True)
class Question:
    """What the program is told in order to restore; too long to be shown."""

    before: dict[str, Any] = field(repr=False)
    result: dict[str, Any] | None = field(repr=False)


def _host(facts: dict[str, Any]) -> str:
    return str(facts.get("host", ""))
