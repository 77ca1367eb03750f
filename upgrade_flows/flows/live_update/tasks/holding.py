"""Room for a surrogate: held in Placement, waited for where others have it, handed to Nova."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from typing import Any

from upgrade_flows import errors
from upgrade_flows.cloud import wait
from upgrade_flows.flows.live_update.tasks.base import LiveStep
from upgrade_flows.steps.base import undo

#: who holds room in Placement for us: the project of our consumers
HOLDER = "upgrade-flows"
#: how much longer than what it is for a hold is meant, in seconds
LEASE_S = 3600.0


class Room:
    """The room that a surrogate needs on its host, as one step of its update sees it.

    A hold cannot be handed to Nova: it is given back, and for a moment the room is free to all.
    So nobody of ours takes room on a host while another one hands his over.

    :param consumer: the id by which Placement knows our hold.
    """

    def __init__(self, step: LiveStep, consumer: str) -> None:
        self._step, self._ctx, self.consumer = step, step.ctx, consumer
        self._host = str(step.details["target_host"])
        self._said = False

    def hold(self) -> bool:
        """Hold it, and wait for it if somebody else has it; return whether it was waited for.

        :raises TimedOut: somebody else had it for as long as the plan waits.
        :raises Parked: the run is to be parked.
        """
        wait.until(
            self._ctx.cloud.clock,
            f"room for the surrogate of {self._step.name_of_original} on {self._host}",
            self._take,
            bool,
            deadline_s=float(self._step.details["room_s"]),
            first_s=0.2,
            most_s=5.0,
        )
        return self._said

    @contextlib.contextmanager
    def handed_over(self) -> Iterator[None]:
        """Give it back; until Nova has it, at the end of the block, nobody of ours takes it."""
        wait.until(
            self._ctx.cloud.clock,
            f"others to have taken room on {self._host}",
            self._close,
            bool,
            deadline_s=self._ctx.settings.server_s,
        )
        try:
            self._ctx.cloud.placement.release(self.consumer)
            yield
        finally:
            self._ctx.records.release(self._door)

    @property
    def _door(self) -> str:
        """What whoever takes room on the host, or hands it over, holds meanwhile."""
        return f"room on {self._host}"

    def _close(self) -> bool:
        try:
            self._ctx.records.hold(self._door)
        except errors.SubjectBusy:
            return False
        return True

    def _take(self) -> bool:
        name = self._step.name_of_original
        if self._ctx.records.parking():
            raise errors.Parked(f"{name} waits for room")
        if self._ctx.cloud.placement.holder(self.consumer) is not None:
            return True
        if not self._close():
            return False
        try:
            self._take_now()
        except errors.Conflict as exc:
            self._tell(str(exc))
            return False
        finally:
            self._ctx.records.release(self._door)
        return True

    def _take_now(self) -> None:
        details = self._step.details
        until = int(self._ctx.cloud.clock.time() + LEASE_S + details["room_s"])
        self._ctx.cloud.placement.hold(
            self.consumer, self._host, details["resources"], HOLDER, f"{self._ctx.run_id}/{until}"
        )

    def _tell(self, why: str) -> None:
        if not self._said:
            self._said = True
            self._ctx.records.tell("waiting", {"for": f"room on {self._host}", "why": why})


class HoldRoom(LiveStep):
    """Hold room for the surrogate in Placement, and wait for it if somebody else has it.

    What others of us need there is held too, so that as many live updates run on a host as
    fit.  The hold carries until when it is meant, so that a left-over can be told.  Reverted
    by giving it back.
    """

    default_provides = "hold"

    def execute(self) -> dict[str, str]:
        self._room.hold()
        return {"consumer": self._room.consumer, "host": str(self.details["target_host"])}

    def revert(self, **_: object) -> dict[str, Any] | None:
        return undo(self, self.ctx.cloud.placement.release, self._room.consumer)

    @property
    def _room(self) -> Room:
        return Room(self, str(uuid.uuid5(uuid.NAMESPACE_URL, self.tag)))
