"""A job board in memory: what the servers' boards promise, for one process and its tests."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from upgrade_flows.engine.boards import Board, Job


class Listing:
    """The jobs of a board, and who has claimed them: what a server would hold."""

    def __init__(self) -> None:
        self.owners: dict[Job, str | None] = {}
        self.changed = threading.Condition()
        self.news = 0

    def tell(self) -> None:
        """Wake everybody who waits."""
        self.news += 1
        self.changed.notify_all()


class MemoryBoard(Board):
    """One owner's view of a listing; its claims never end by themselves."""

    def __init__(self, listing: Listing, owner: str) -> None:
        self.listing, self.owner = listing, owner
        self._seen = 0

    def post(self, jobs: Iterable[Job]) -> None:
        with self.listing.changed:
            for job in jobs:
                if job not in self.listing.owners:
                    self.listing.owners[job] = None
            self.listing.tell()

    def unclaimed(self, limit: int) -> list[Job]:
        with self.listing.changed:
            return [job for job, owner in self.listing.owners.items() if owner is None][:limit]

    def listed(self) -> set[Job]:
        with self.listing.changed:
            return set(self.listing.owners)

    def claim(self, job: Job) -> bool:
        with self.listing.changed:
            if self.listing.owners.get(job, "gone") is not None:
                return False
            self.listing.owners[job] = self.owner
            return True

    def renew(self) -> set[Job]:
        return set()

    def give_back(self, job: Job) -> None:
        with self.listing.changed:
            if self.listing.owners.get(job) == self.owner:
                self.listing.owners[job] = None
                self.listing.tell()

    def consume(self, job: Job) -> None:
        with self.listing.changed:
            if self.listing.owners.get(job) == self.owner:
                del self.listing.owners[job]

    def remove(self, job: Job) -> None:
        with self.listing.changed:
            if self.listing.owners.get(job, "gone") is None:
                del self.listing.owners[job]

    def wait(self, timeout_s: float) -> bool:
        with self.listing.changed:
            if self.listing.news == self._seen:
                self.listing.changed.wait(timeout_s)
            woken, self._seen = self.listing.news != self._seen, self.listing.news
            return woken

    def wake(self) -> None:
        with self.listing.changed:
            self.listing.tell()

    def close(self) -> None:
        with self.listing.changed:
            for job, owner in self.listing.owners.items():
                if owner == self.owner:
                    self.listing.owners[job] = None
