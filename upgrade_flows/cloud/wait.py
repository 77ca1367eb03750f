"""The one polling loop: a deadline, failure states, and a clock that can be replaced."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from upgrade_flows import errors
from upgrade_flows.cloud.api import Clock

T = TypeVar("T")


class SystemClock:
    """The machine's clock."""

    def time(self) -> float:
        """Return epoch seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)


def until(
    clock: Clock,
    what: str,
    fetch: Callable[[], T],
    done: Callable[[T], bool],
    failed: Callable[[T], str | None] = lambda _: None,
    deadline_s: float = 300.0,
    first_s: float = 0.05,
    most_s: float = 1.0,
    head_s: float = 0.0,
) -> T:
    """Poll ``fetch`` until its result is ``done`` and return that result.

    The pauses grow from ``first_s`` to ``most_s`` by an eighth each, so that a short wait is
    noticed at once, a long one is cheap, and neither is overslept by much: an instance is often
    down meanwhile.  ``Unavailable`` is waited through: a service that
    restarts in the middle of a wait has told us nothing about the resource.

    :param what: for messages: "server X to stop".
    :param head_s: how long not to look at all, because it takes at least so long: a question
        costs the service as much as a part of the work that is waited for.
    :param failed: gives the reason when a state means that waiting is pointless.
    :raises StepFailed: with that reason.
    :raises TimedOut: the deadline passed; the message holds the last thing seen.
    """
    end = clock.monotonic() + deadline_s
    pause = first_s
    last: object = None
    if head_s:
        clock.sleep(head_s)
    while True:
        try:
            seen = fetch()
        except errors.Unavailable as exc:
            last = exc
        else:
            last = seen
            if done(seen):
                return seen
            reason = failed(seen)
            if reason:
                raise errors.StepFailed(f"waiting for {what}: {reason}")
        if clock.monotonic() + pause > end:
            raise errors.TimedOut(f"{what}: not within {deadline_s:g} s; last seen: {last}")
        clock.sleep(pause)
        pause = min(pause * 1.125, most_s)
