"""What a job board offers: it says that there is work, and who tries it now."""

from __future__ import annotations

import abc
import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

#: names the uuids of our jobs; a constant for ever, or two versions would list a job twice
_NAMESPACE = uuid.UUID("6f1d5f0e-0b0c-5b6b-9c55-7d0f7f2e9a41")


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work, which any process that sees the journal can do.

    :param work: ``change``, ``undo`` or ``settle``.
    """

    run_id: str
    subject: str
    work: str

    @property
    def uuid(self) -> uuid.UUID:
        """The same for the same job, everywhere and always: this is how a second post is found."""
        return uuid.uuid5(_NAMESPACE, json.dumps([self.run_id, self.subject, self.work]))

    @property
    def name(self) -> str:
        """What people see in TaskFlow's tools."""
        return f"{self.work} {self.subject} of {self.run_id}"

    def to_json(self) -> dict[str, str]:
        """Return ``{"run_id": ..., "subject": ..., "work": ...}``."""
        return asdict(self)

    @classmethod
    def from_json(cls, details: object) -> Job | None:
        """Read a job's details; None if somebody else posted something else here."""
        if not isinstance(details, Mapping):
            return None
        try:
            values: list[Any] = [details[key] for key in ("run_id", "subject", "work")]
        except KeyError:
            return None
        return cls(*values) if all(isinstance(value, str) for value in values) else None


class Board(abc.ABC):
    """A list of jobs on a server, on which processes claim them.

    A claim says who tries a job, not who may: it keeps processes out of each other's way, and it
    ends ``ttl_s`` after its owner is gone.  Whoever did not notice that its claim has ended is
    stopped by the journal, not here.

    All methods may be called from any thread.  When the server is away they wait for it, for
    ``claims.PATIENCE_S``, and then raise :class:`BoardError`; all of them may then be called
    again.  What ``post`` has returned for is listed until it is consumed or removed.
    """

    @abc.abstractmethod
    def post(self, jobs: Iterable[Job]) -> None:
        """List jobs, in this order; one that is listed, claimed or not, stays as it is.

        If the server's answer gets lost, a job may be listed a second time after it was done:
        whoever claims it finds in the journal that there is nothing left to do.
        """

    @abc.abstractmethod
    def unclaimed(self, limit: int) -> list[Job]:
        """Return at most ``limit`` jobs that nobody has claimed, the oldest first."""

    @abc.abstractmethod
    def listed(self) -> set[Job]:
        """Return all jobs, claimed or not."""

    @abc.abstractmethod
    def claim(self, job: Job) -> bool:
        """Claim a job; False if somebody has it (perhaps another thread of ours) or it is gone."""

    @abc.abstractmethod
    def renew(self) -> set[Job]:
        """Prolong all claims of this owner by ``ttl_s``; call it every ``ttl_s / 4``.

        :returns: the jobs whose claims turned out to be lost; each is told once.
        """

    @abc.abstractmethod
    def give_back(self, job: Job) -> None:
        """End a claim, so that anybody can claim the job at once; nothing if it is lost.

        Waiting owners are woken, this one too: who gives a job back because it cannot be done
        now should leave it alone for a while.
        """

    @abc.abstractmethod
    def consume(self, job: Job) -> None:
        """Take a job that this owner has claimed off the board; nothing if the claim is lost."""

    @abc.abstractmethod
    def remove(self, job: Job) -> None:
        """Take a job off that nobody needs any more; nothing if it is claimed or gone."""

    @abc.abstractmethod
    def wait(self, timeout_s: float) -> bool:
        """Sleep until there may be something to claim; False if ``timeout_s`` passed without.

        News that arrived since the last call count, so nothing posted between ``unclaimed`` and
        ``wait`` is slept over.
        """

    @abc.abstractmethod
    def wake(self) -> None:
        """End the wait of all that wait now, or else the next one; also from a signal handler."""

    @abc.abstractmethod
    def close(self) -> None:
        """Give back what is still claimed, where the server answers, and disconnect."""
