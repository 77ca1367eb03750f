"""What to do next about one instance that has to leave its host: a pure function of what is seen.

::

    live migration ── in time ──────────────────────────────────────────► gone
          │ too slow
          ├── may pause: force it to its end ── in time ────────────────► gone
          │ still too slow
          └── abort ─► another host ─► ... ─► may cold: cold migration ─► gone
                                                 │ or not
                                                 └────────────────────► given up: it runs on
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from upgrade_flows.cloud.api import Migration
from upgrade_flows.flows.host_upgrade.drain.policy import Policy
from upgrade_flows.flows.host_upgrade.rules import How
from upgrade_flows.model.inventory import Server


class Act(enum.StrEnum):
    """What is done about an instance now."""

    NOTHING = "nothing"
    START = "start"
    FORCE = "force"
    ABORT = "abort"
    ENDED = "ended"
    GIVE_UP = "give up"


@dataclass
class Mover:
    """One instance on its way out.

    :param target: where the current attempt, or the next one, goes; empty: not known yet.
    :param since: when the current attempt began, by the cloud's monotonic clock; None: none is
        under way.  ``first`` is when the first one began.
    :param refused: when Nova first would not abort the current attempt.
    :param fell: whether it is migrated cold because it could not be migrated live.
    :param given_up: why nothing more is tried.
    """

    id: str
    name: str
    how: How
    memory_mb: int = 0
    target: str = ""
    since: float | None = None
    first: float | None = None
    forced: float | None = None
    aborted: float | None = None
    refused: float | None = None
    attempts: int = 0
    tried: list[str] = field(default_factory=list)
    fell: bool = False
    given_up: str = ""
    waiting_since: float | None = None

    def begin(self, target: str, now: float) -> None:
        """Note that an attempt begins."""
        self.target, self.since = target, now
        self.first = now if self.first is None else self.first
        self.forced = self.aborted = self.refused = self.waiting_since = None

    def end(self) -> None:
        """Note that the current attempt came to nothing."""
        self.attempts += 1
        if self.target:
            self.tried.append(self.target)
        self.since, self.target = None, ""


def next_act(
    mover: Mover, server: Server, flight: Migration | None, now: float, policy: Policy
) -> tuple[Act, str]:
    """Say what to do about an instance that is still on its host, and why.

    :param flight: its migration from this host that has not ended, if there is one.
    """
    if mover.given_up:
        return Act.NOTHING, ""
    if server.status == "ERROR" and server.task_state is None:
        return Act.GIVE_UP, f"it is in ERROR: {server.fault or 'no fault given'}"
    if server.task_state is not None or server.status in ("BUILD", "MIGRATING"):
        return _under_way(mover, server, flight, now, policy)
    if mover.since is not None:
        return Act.ENDED, ""
    return Act.START, ""


def after_failure(mover: Mover, policy: Policy, why: str) -> None:
    """Choose the rung that follows an attempt that came to nothing."""
    mover.end()
    if mover.attempts < policy.attempts:
        return
    if mover.how is How.LIVE and policy.may_cold:
        mover.how, mover.fell = How.COLD, True
        mover.attempts, mover.tried = policy.attempts - 1, []
        return
    tries = "1 attempt" if mover.attempts == 1 else f"{mover.attempts} attempts"
    mover.given_up = f"not migrated in {tries}; the last one: {why}"


def _under_way(
    mover: Mover, server: Server, flight: Migration | None, now: float, policy: Policy
) -> tuple[Act, str]:
    if flight is None or flight.kind != "live-migration":
        deadline = policy.cold_s if flight is not None else policy.arrival_s
        return _patience(mover, server, now, deadline)
    if mover.since is None:  # an attempt of a process that is gone, or of somebody else
        mover.begin(flight.destination, now)
    if flight.status == "queued":  # Nova sends one after the other: its time has not begun
        mover.since = now
        return _patience(mover, server, now, policy.cold_s)
    assert mover.since is not None
    deadline = policy.live_deadline(mover.memory_mb)
    if now - mover.since <= deadline:
        return Act.NOTHING, ""
    late = f"the live migration did not come to its end within {deadline:g} s"
    if policy.may_pause and mover.forced is None and flight.status == "running":
        return Act.FORCE, late
    if mover.forced is not None and now - mover.forced <= deadline:
        return Act.NOTHING, ""
    if mover.aborted is None and (mover.refused is None or now - mover.refused <= policy.abort_s):
        return Act.ABORT, late
    if mover.aborted is not None and now - mover.aborted <= policy.abort_s:
        return Act.NOTHING, ""
    return (
        Act.GIVE_UP,
        f"{late}, and could not be aborted: migration {flight.id} is {flight.status}",
    )


def _patience(mover: Mover, server: Server, now: float, deadline: float) -> tuple[Act, str]:
    if mover.waiting_since is None:
        mover.waiting_since = now
    if now - mover.waiting_since <= deadline:
        return Act.NOTHING, ""
    task = server.task_state or server.status
    return Act.GIVE_UP, f"Nova has been at it for {deadline:g} s: {task}"
