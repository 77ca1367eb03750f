"""What all boards have in common: the claims of this owner, and patience with the server."""

from __future__ import annotations

import abc
import contextlib
import itertools
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import tenacity

from upgrade_flows.engine.boards.base import Board, Job
from upgrade_flows.engine.boards.bell import Bell
from upgrade_flows.errors import BoardError

LOG = logging.getLogger(__name__)

#: seconds that an operation waits for a server that is away; then it fails
PATIENCE_S = 30.0

#: seconds that opening and closing a board wait: somebody looks on
SHORT_PATIENCE_S = 5.0

#: seconds that one request may take
REQUEST_S = 5.0

#: jobs listed with one request
BATCH = 500

T = TypeVar("T")
Token = TypeVar("Token")


class ServerBoard(Board, Generic[Token]):
    """A board on a server.

    Its subclasses say how the server lists, claims and removes; each of their operations is
    atomic there, checks the owner there, and may be done twice, so that one whose answer got lost
    is simply asked again.  ``Token`` is what proves to the server that a claim is this one.

    :param where: the server as it may be shown, without credentials.
    :param owner: unique among all boards that are open anywhere.
    """

    #: what the client library raises
    errors: tuple[type[Exception], ...] = ()

    def __init__(self, where: str, owner: str, ttl_s: float) -> None:
        self.where, self.owner, self.ttl_s = where, owner, ttl_s
        self._lock = threading.Lock()
        self._held: dict[Job, Token] = {}
        self._busy: set[Job] = set()  # a thread asks the server about its claim right now
        self._doubtful: set[Job] = set()  # the server may think that we hold it; we gave it up
        self._closed = threading.Event()
        self._bell = Bell(lambda: bool(self._list_unclaimed(1)), f"board-look-{owner}")

    # what a server does ----------------------------------------------------------------------

    def _transient(self, exc: BaseException) -> bool:
        """Whether it is worth asking again."""
        return isinstance(exc, self.errors)

    @abc.abstractmethod
    def _list(self, jobs: Sequence[Job]) -> None:
        """List those that are not listed, in this order, and tell those who wait."""

    @abc.abstractmethod
    def _list_unclaimed(self, limit: int) -> list[Job]: ...

    @abc.abstractmethod
    def _list_all(self) -> set[Job]: ...

    @abc.abstractmethod
    def _try(self, job: Job) -> Token | None:
        """Claim a job that is free, or already this owner's; None if it is neither."""

    @abc.abstractmethod
    def _keep(self, held: dict[Job, Token]) -> set[Job]:
        """Prolong claims; return those that are still this owner's."""

    @abc.abstractmethod
    def _release(self, job: Job, token: Token | None) -> None:
        """End a claim if it is (or, without a token, seems to be) this owner's, and tell."""

    @abc.abstractmethod
    def _complete(self, job: Job, token: Token) -> None:
        """Unlist a job if the claim is this owner's."""

    @abc.abstractmethod
    def _unlist(self, job: Job) -> None:
        """Unlist a job if nobody has claimed it."""

    @abc.abstractmethod
    def _disconnect(self) -> None: ...

    # the board -------------------------------------------------------------------------------

    def post(self, jobs: Iterable[Job]) -> None:
        """See :class:`Board`."""
        todo = iter(dict.fromkeys(jobs))
        while batch := list(itertools.islice(todo, BATCH)):
            self._patiently("post", self._list, batch)

    def unclaimed(self, limit: int) -> list[Job]:
        """See :class:`Board`."""
        return self._patiently("list", self._list_unclaimed, limit) if limit > 0 else []

    def listed(self) -> set[Job]:
        """See :class:`Board`."""
        return self._patiently("list", self._list_all)

    def claim(self, job: Job) -> bool:
        """See :class:`Board`."""
        with self._lock:
            if job in self._held or job in self._busy:
                return False
            self._busy.add(job)
        with self._no_longer_busy({job}):
            try:
                token = self._patiently("claim", self._try, job)
            except BoardError:
                self._doubtful.add(job)
                raise
            with self._lock:
                self._doubtful.discard(job)
                if token is not None:
                    self._held[job] = token
            return token is not None

    def renew(self) -> set[Job]:
        """See :class:`Board`."""
        with self._lock:
            held = dict(self._held)
            strays = self._doubtful - held.keys() - self._busy
            self._busy |= strays
        with self._no_longer_busy(strays):
            for job in strays:
                self._patiently("give back", self._release, job, None)
                self._doubtful.discard(job)
        kept = self._patiently("renew", self._keep, held)
        with self._lock:
            # one that was consumed meanwhile is not lost, nor one that was claimed anew
            lost = {
                job
                for job, token in held.items()
                if job not in kept and job not in self._busy and self._held.get(job) is token
            }
            for job in lost:
                del self._held[job]
        return lost

    def give_back(self, job: Job) -> None:
        """See :class:`Board`."""
        with self._ending(job) as token:
            if token is None:
                return
            try:
                self._patiently("give back", self._release, job, token)
            except BoardError:
                with self._lock:  # not renewed any more, and tried again by renew()
                    self._held.pop(job, None)
                    self._doubtful.add(job)
                raise

    def consume(self, job: Job) -> None:
        """See :class:`Board`."""
        with self._ending(job) as token:
            if token is not None:
                self._patiently("consume", self._complete, job, token)

    def remove(self, job: Job) -> None:
        """See :class:`Board`."""
        self._patiently("remove", self._unlist, job)

    def wait(self, timeout_s: float) -> bool:
        """See :class:`Board`."""
        return self._bell.sleep(timeout_s)

    def wake(self) -> None:
        """See :class:`Board`."""
        self._bell.ring()

    def close(self) -> None:
        """See :class:`Board`."""
        if self._closed.is_set():
            return
        with self._lock:
            held, self._held = self._held, {}
        with contextlib.suppress(*self.errors, BoardError):  # they run out by themselves
            for job, token in held.items():
                self._release(job, token)
        self._closed.set()
        self._bell.close()
        self._disconnect()

    # patience --------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _ending(self, job: Job) -> Iterator[Token | None]:
        """Yield the token of a claim, and forget the claim if nothing is raised."""
        with self._lock:
            token = None if job in self._busy else self._held.get(job)
            if token is not None:
                self._busy.add(job)
        if token is None:
            yield None
            return
        with self._no_longer_busy({job}):
            yield token
            with self._lock:
                self._held.pop(job, None)

    @contextlib.contextmanager
    def _no_longer_busy(self, jobs: set[Job]) -> Iterator[None]:
        try:
            yield
        finally:
            with self._lock:
                self._busy -= jobs

    def _patiently(
        self, what: str, call: Callable[..., T], *args: Any, patience_s: float | None = None
    ) -> T:
        """Call, again and again while the server is away.

        :raises BoardError: the server is away for too long, or refuses.
        """
        if self._closed.is_set():
            raise BoardError(f"{self.where}: the board is closed")
        try:
            return call(*args)  # nearly always, and cheaper than the machinery below
        except self.errors as exc:
            if not self._transient(exc):
                raise self._failed(what, exc) from exc
            LOG.info("%s: cannot %s, trying again: %s", self.where, what, type(exc).__name__)
        again = tenacity.Retrying(
            retry=tenacity.retry_if_exception(self._transient),
            wait=tenacity.wait_random(0.05, 0.5),
            stop=tenacity.stop_after_delay(PATIENCE_S if patience_s is None else patience_s)
            | tenacity.stop_when_event_set(self._closed),
            sleep=tenacity.sleep_using_event(self._closed),
            reraise=True,
        )
        try:
            return again(call, *args)
        except self.errors as exc:
            raise self._failed(what, exc) from exc

    def _failed(self, what: str, exc: Exception) -> BoardError:
        return BoardError(f"{self.where}: cannot {what}: {type(exc).__name__}: {exc}")
