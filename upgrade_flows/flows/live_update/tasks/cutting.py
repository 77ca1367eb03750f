"""The cut-over: quiet here, move, awake there, proven; and each of it backwards."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

from upgrade_flows import errors
from upgrade_flows.flows.live_update.tasks.asking import ask
from upgrade_flows.flows.live_update.tasks.base import LiveStep, exists
from upgrade_flows.flows.live_update.tasks.carrying import Carrier, unavoidable_s
from upgrade_flows.steps import servers, waiting
from upgrade_flows.steps.base import residue, undo


class PrepareWorkload(LiveStep):
    """Have the workload plugin do all that can be done while the workload still serves.

    Provides its notes as ``prepared``.  What it leaves in the guests goes with them, so there is
    nothing to revert.
    """

    default_provides = "prepared"

    def execute(
        self, recorded: dict[str, Any], surrogate_id: str, health: dict[str, Any]
    ) -> dict[str, Any]:
        surrogate = self.surrogate(surrogate_id, health, recorded, ports_left=False)
        return self.plugin.prepare(self.guest(recorded), surrogate, self.settings)


class QuiesceWorkload(LiveStep):
    """Have the workload plugin end the workload's service, and let go of the data volumes.

    Provides ``quiet``: since when, as epoch seconds, and the plugin's notes.  Reverted by having
    the plugin bring the workload up again at the original; all that moved is back by then.
    """

    default_provides = "quiet"

    def execute(self, recorded: dict[str, Any], prepared: dict[str, Any]) -> dict[str, Any]:
        since = self.ctx.cloud.clock.time()
        notes = self.plugin.quiesce(self.guest(recorded), self.settings, prepared)
        return {"since": since, "notes": {**prepared, **(notes or {})}}

    def revert(
        self,
        recorded: dict[str, Any],
        prepared: dict[str, Any],
        result: Any = None,
        **_: object,
    ) -> dict[str, Any] | None:
        notes = result["notes"] if isinstance(result, dict) and "notes" in result else prepared
        return undo(self, self._restore, recorded, notes)

    def _restore(self, recorded: dict[str, Any], notes: dict[str, Any]) -> None:
        self.plugin.restore(self.guest(recorded), self.settings, notes)


class StopOriginal(LiveStep):
    """Stop the original, so that it has written everything down and lets go of its volumes.

    Reverted by starting it again; all that moved is back by then.
    """

    def execute(self, quiet: dict[str, Any]) -> None:
        servers.ensure_stopped(self.ctx, self.subject)

    def revert(self, **_: object) -> dict[str, Any] | None:
        return undo(self, servers.ensure_started, self.ctx, self.subject)


class MoveResources(LiveStep):
    """Move ports and data volumes to the surrogate, as many at a time as the cloud takes.

    A plugin that waits for them itself is called meanwhile, so that nothing but the guest's own
    work follows their arrival.  If that does not succeed, ``ResumeWorkload`` says why.

    Provides ``moved``: the calls that it took, each with its time, the ports' ids by the old
    ones, and whether the workload is up already.  Reverted by moving back whatever has left the
    original; volumes get the delete flags that they had.
    """

    default_provides = "moved"

    def execute(
        self,
        before: dict[str, Any],
        recorded: dict[str, Any],
        surrogate_id: str,
        health: dict[str, Any],
        quiet: dict[str, Any],
    ) -> dict[str, Any]:
        carrier, resumed = self._carrier(before, recorded), threading.Event()

        def resume() -> None:
            guest = self.surrogate(surrogate_id, health, recorded)
            with suppress(errors.HostError, errors.StepFailed):
                self.plugin.resume(guest, self.settings, quiet["notes"])
                resumed.set()

        meanwhile = resume if self._overlaps else _nothing
        ids = carrier.bring(self.original, surrogate_id, flags=False, meanwhile=meanwhile)
        return {"calls": carrier.calls, "ports": ids, "resumed": resumed.is_set()}

    def revert(
        self,
        before: dict[str, Any],
        recorded: dict[str, Any],
        surrogate_id: str,
        health: dict[str, Any],
        quiet: dict[str, Any],
        **_: object,
    ) -> dict[str, Any] | None:
        left = None
        if self._overlaps and exists(self.ctx, surrogate_id):
            guest = self.surrogate(surrogate_id, health, recorded)
            left = undo(self, self.plugin.withdraw, guest, self.settings, quiet["notes"])
        return self._move_back(before, recorded, surrogate_id) or left

    def _move_back(
        self, before: dict[str, Any], recorded: dict[str, Any], surrogate_id: str
    ) -> dict[str, Any] | None:
        carrier = self._carrier(before, recorded)
        try:
            carrier.at_rest(self.original)
            ids = carrier.bring(surrogate_id, self.original, flags=True)
        except errors.UpgradeFlowsError as exc:
            return residue(self, carrier.bring, (surrogate_id, self.original), exc)
        renewed = sorted(f"{old} is {new} now" for old, new in ids.items() if old != new)
        return {"renewed": renewed} if renewed else None

    @property
    def _overlaps(self) -> bool:
        return self.hot and not self.details["restart"] and self.plugin.resume_waits(self.settings)

    def _carrier(self, before: dict[str, Any], recorded: dict[str, Any]) -> Carrier:
        return Carrier(self.ctx, before, recorded["floating"], self.details["volumes"])


class ResumeWorkload(LiveStep):
    """Have the workload plugin bring the workload up at the surrogate, unless it is up already.

    Reverted by having it end the workload there, and let go of the data volumes.
    """

    def execute(
        self,
        recorded: dict[str, Any],
        surrogate_id: str,
        health: dict[str, Any],
        quiet: dict[str, Any],
        moved: dict[str, Any],
    ) -> None:
        if not moved["resumed"]:
            guest = self.surrogate(surrogate_id, health, recorded)
            self.plugin.resume(guest, self.settings, quiet["notes"])

    def revert(
        self,
        recorded: dict[str, Any],
        surrogate_id: str,
        health: dict[str, Any],
        quiet: dict[str, Any],
        **_: object,
    ) -> dict[str, Any] | None:
        if not exists(self.ctx, surrogate_id):
            return None
        guest = self.surrogate(surrogate_id, health, recorded)
        return undo(self, self.plugin.withdraw, guest, self.settings, quiet["notes"])


class StopSurrogate(LiveStep):
    """Stop the surrogate, which has shown that it boots, and will find all that moves at a boot.

    Needs no revert: what is undone before deletes it.
    """

    def execute(self, surrogate_id: str) -> None:
        servers.ensure_stopped(self.ctx, surrogate_id)


class StartSurrogate(LiveStep):
    """Start the surrogate with all that has moved to it.

    Reverted by stopping it: it has written everything down then, and lets go of its volumes.
    """

    def execute(self, surrogate_id: str, moved: dict[str, Any]) -> None:
        servers.ensure_started(self.ctx, surrogate_id)

    def revert(self, surrogate_id: str, **_: object) -> dict[str, Any] | None:
        if not exists(self.ctx, surrogate_id):
            return None
        return undo(self, servers.ensure_stopped, self.ctx, surrogate_id)


class StopSurrogateOnTheWayBack(StartSurrogate):
    """Do nothing on the way there: the surrogate runs.

    Reverted by stopping it, because nothing in it lets go of the volumes.
    """

    def execute(self, surrogate_id: str, moved: dict[str, Any]) -> None:
        return None


class ProbeWorkload(LiveStep):
    """Wait until the workload answers as the plan's probes ask, at the original's addresses.

    Provides since when it does, as epoch seconds.  Changes nothing, so there is nothing to
    revert.
    """

    default_provides = "up_since"

    def execute(
        self,
        recorded: dict[str, Any],
        surrogate_id: str,
        health: dict[str, Any],
        moved: dict[str, Any],
    ) -> float:
        guest = self.surrogate(surrogate_id, health, recorded)
        deadline_s = float(self.details["answer_s"])
        ask(self, guest, self.details["probes"], tuple(recorded["addresses"]), deadline_s)
        return self.ctx.cloud.clock.time()


class FreezeOriginal(LiveStep):
    """Pause the original, whose workload has gone: it keeps its memory, and does nothing.

    Reverted by letting it run on.
    """

    def execute(self) -> None:
        if waiting.quiet(self.ctx, self.subject).status == "ACTIVE":
            self.ctx.cloud.compute.pause(self.subject)
        waiting.reaches(self.ctx, self.subject, "PAUSED")

    def revert(self, **_: object) -> dict[str, Any] | None:
        return undo(self, self._thaw)

    def _thaw(self) -> None:
        if waiting.quiet(self.ctx, self.subject).status == "PAUSED":
            self.ctx.cloud.compute.unpause(self.subject)
        waiting.reaches(self.ctx, self.subject, "ACTIVE")


def _nothing() -> None:
    return None


def times(quiet: dict[str, Any], moved: dict[str, Any], up_since: float) -> dict[str, Any]:
    """Return for how long the workload did not serve, and what of it no way leads around."""
    return {
        "calls": moved["calls"],
        "blackout_s": round(up_since - quiet["since"], 3),
        "unavoidable_s": unavoidable_s(moved["calls"]),
    }
