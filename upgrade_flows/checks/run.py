"""Run checks at the same time, so that none of them hides what the others find."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping

from upgrade_flows.checks.base import Check, Incomplete, NothingToLookAt, Sources
from upgrade_flows.model.check import CheckResult, CheckState, by_weight
from upgrade_flows.model.report import Finding

WORKERS = 8
TIMEOUT_S = 600.0

#: told of each check that has ended: its result, how many have ended, how many there are
Tell = Callable[[CheckResult, int, int], None]


def run(
    checks: Mapping[str, Check],
    sources: Sources,
    tell: Tell | None = None,
    timeout_s: float = TIMEOUT_S,
    workers: int = WORKERS,
) -> tuple[CheckResult, ...]:
    """Run checks, and return what became of each, in their order.

    A check that raises, or does not end in time, is ``failed``; its thread is left to itself.

    :param timeout_s: seconds that one check may take.
    :param workers: how many run at the same time.
    """
    waiting = list(checks.items())
    running: dict[str, float] = {}
    ended: dict[str, CheckResult] = {}
    answers: queue.SimpleQueue[tuple[str, CheckResult]] = queue.SimpleQueue()

    def end(name: str, result: CheckResult) -> None:
        del running[name]
        ended[name] = result
        if tell is not None:
            tell(result, len(ended), len(checks))

    while waiting or running:
        while waiting and len(running) < workers:
            name, check = waiting.pop(0)
            running[name] = time.monotonic()
            threading.Thread(
                target=lambda name=name, check=check: answers.put(
                    (name, _result(name, check, sources))
                ),
                name=f"check-{name}",
                daemon=True,
            ).start()
        due = min(running.values()) + timeout_s
        try:
            name, result = answers.get(timeout=max(0.0, due - time.monotonic()))
        except queue.Empty:
            late = [name for name, since in running.items() if since + timeout_s <= due]
            for name in late:
                end(name, _late(name, checks[name], timeout_s))
        else:
            if name in running:  # or else it was given up meanwhile
                end(name, result)
    return tuple(ended[name] for name in checks)


def _result(name: str, check: Check, sources: Sources) -> CheckResult:
    """Run one check; whatever it raises is its own failure and nobody else's."""
    begin = time.monotonic()
    found: list[Finding] = []
    state, why = CheckState.DONE, ""
    try:
        found = list(check.run(sources))
    except NothingToLookAt as exc:
        state, why = CheckState.SKIPPED, str(exc)
    except Incomplete as exc:
        state, why, found = CheckState.FAILED, str(exc), list(exc.findings)
    except BaseException as exc:
        state, why = CheckState.FAILED, f"{type(exc).__name__}: {exc}"
    strange = sorted({one.id for one in found} - {rule.id for rule in check.rules})
    if strange:
        state, why = CheckState.FAILED, f"it finds {', '.join(strange)}, which it does not declare"
    known = sorted((one for one in found if one.id not in strange), key=by_weight)
    seconds = time.monotonic() - begin
    return CheckResult(check.area, name, state, tuple(known), why, seconds)


def _late(name: str, check: Check, timeout_s: float) -> CheckResult:
    why = f"it did not end within {timeout_s:g} s"
    return CheckResult(check.area, name, CheckState.FAILED, (), why, timeout_s)
