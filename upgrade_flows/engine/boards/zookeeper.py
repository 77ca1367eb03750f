"""The board on a ZooKeeper ensemble: TaskFlow's nodes, our transactions."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

from kazoo import exceptions as zk_exc  # type: ignore[import-untyped]
from kazoo.handlers.threading import KazooTimeoutError  # type: ignore[import-untyped]
from kazoo.protocol import states  # type: ignore[import-untyped]
from oslo_serialization import jsonutils
from taskflow.jobs import base as jobs_base
from taskflow.jobs.backends.impl_zookeeper import ZookeeperJobBoard
from taskflow.utils import kazoo_utils

from upgrade_flows.engine.boards import claims
from upgrade_flows.engine.boards.base import Job


class Claim(NamedTuple):
    """Proof of a claim: its session, and the version that it gave to the job's node."""

    session: int
    version: int


class Known(NamedTuple):
    """A node as it was read; its version may be older than the server's."""

    job: Job
    created: int  # transaction id
    data: bytes
    version: int


class ZookeeperBoard(claims.ServerBoard[Claim]):
    """A board in ZooKeeper, laid out as TaskFlow's ``ZookeeperJobBoard`` does.

    The nodes ``<path>/job<n>`` and ``job<n>.lock`` (ephemeral) and their JSON are TaskFlow's, so
    its tools see our jobs and its claims are respected.  ``n`` is the job's uuid as a decimal
    number, so a second post meets the first; TaskFlow numbers its own in sequence.  The
    transactions are ours: a claim raises the version of the job's node, and whoever ends the
    claim must name that version, so a session that expired unnoticed can end nothing.  TaskFlow
    reads the owner first and removes then.  It also fetches the list of all nodes whenever one is
    listed, claimed or consumed; here a single node, ``news``, is watched.

    A claim lives as long as the session, which kazoo's own thread keeps alive.  ``ttl_s`` is the
    session timeout that is asked for; the server grants 2 to 20 times its ``tickTime`` (4 to 40 s
    unless configured otherwise).

    Facts: ZooKeeper 3.8, kazoo 2.11.  The server's version is not asked for (that needs a
    four-letter word, which servers do not answer by default).  A request that is queued while the
    connection is away is sent later, though its caller has given up: hence ``_connected``.

    :param conf: for ``taskflow.utils.kazoo_utils.make_client``: hosts, use_ssl, ca, ...
    :param path: the absolute path of the node below which jobs are listed.
    """

    errors = (zk_exc.KazooException, KazooTimeoutError, OSError)

    def __init__(
        self, where: str, owner: str, ttl_s: float, conf: dict[str, Any], path: str
    ) -> None:
        super().__init__(where, owner, ttl_s)
        self._path = path.rstrip("/")
        self._news = f"{self._path}/news"
        self._known: dict[str, Known] = {}
        soon = {"max_tries": -1, "delay": 0.1, "max_delay": 1.0}
        self._client = kazoo_utils.make_client({**conf, "timeout": ttl_s, "connection_retry": soon})
        self._client.add_listener(self._state_changed)
        try:
            self._client.start(timeout=claims.SHORT_PATIENCE_S)
        except self.errors as exc:
            self._client.close()
            raise self._failed("connect", exc) from exc
        try:
            self._patiently("connect", self._prepare, patience_s=claims.SHORT_PATIENCE_S)
        except BaseException:
            self._disconnect()
            raise

    def _transient(self, exc: BaseException) -> bool:
        away = (
            zk_exc.ConnectionLoss,
            zk_exc.ConnectionClosedError,
            zk_exc.OperationTimeoutError,
            zk_exc.SessionExpiredError,
            zk_exc.SessionMovedError,
            KazooTimeoutError,
            OSError,
        )
        return isinstance(exc, away)

    def _list(self, jobs: Sequence[Job]) -> None:
        client = self._connected()
        answers = []
        for job in jobs:
            posting = jobs_base.format_posting(
                str(job.uuid),
                job.name,
                details=job.to_json(),
                priority=jobs_base.JobPriority.NORMAL,
            )
            data = jsonutils.dump_as_bytes(posting)
            answers.append(client.create_async(f"{self._path}/{_name(job)}", data))
        for answer in answers:
            try:
                _wait(answer)
            except zk_exc.NodeExistsError:
                continue
        self._tell(client)

    def _list_unclaimed(self, limit: int) -> list[Job]:
        names = set(_wait(self._connected().get_children_async(self._path)))
        free = [name for name in names if _is_job(name) and _lock(name) not in names]
        known = self._read(free)
        found = sorted((known[name] for name in free if name in known), key=_created)
        return [entry.job for entry in found[:limit]]

    def _list_all(self) -> set[Job]:
        names = _wait(self._connected().get_children_async(self._path))
        known = self._read([name for name in names if _is_job(name)])
        return {entry.job for entry in known.values()}

    def _try(self, job: Job) -> Claim | None:
        client = self._connected()
        name = _name(job)
        path, lock = f"{self._path}/{name}", f"{self._path}/{_lock(name)}"
        owner = jsonutils.dump_as_bytes({"owner": self.owner})
        known = self._known.get(name)
        while True:
            if known is None:
                try:
                    data, stat = _wait(client.get_async(path))
                except zk_exc.NoNodeError:
                    return None
                known = Known(job, stat.czxid, data, stat.version)
            session = self._session()
            txn = client.transaction()
            txn.set_data(path, known.data, version=known.version)
            txn.create(lock, value=owner, ephemeral=True)
            first, second = _wait(txn.commit_async())
            if isinstance(first, zk_exc.NoNodeError):
                return None
            if isinstance(first, zk_exc.BadVersionError):
                known = None  # claimed by somebody since we read it, perhaps not any more
                continue
            if isinstance(second, zk_exc.NodeExistsError):
                return self._mine(name)
            _raise_any(first, second)
            if self._session() != session:  # it expired just then: in which one was that?
                return self._mine(name)
            return Claim(session, known.version + 1)

    def _keep(self, held: dict[Job, Claim]) -> set[Job]:
        if not held:
            return set()
        session = self._session()
        names = set(_wait(self._connected().get_children_async(self._path)))
        if self._session() != session:
            raise zk_exc.SessionExpiredError  # asked again
        return {
            job
            for job, claim in held.items()
            if claim.session == session and _lock(_name(job)) in names
        }

    def _release(self, job: Job, token: Claim | None) -> None:
        token = token or self._mine(_name(job))
        if token is not None and self._end(job, token, also_job=False):
            self._tell(self._connected())

    def _complete(self, job: Job, token: Claim) -> None:
        self._end(job, token, also_job=True)

    def _unlist(self, job: Job) -> None:
        name = _name(job)
        path, lock = f"{self._path}/{name}", f"{self._path}/{_lock(name)}"
        txn = self._connected().transaction()
        txn.create(lock, ephemeral=True)  # fails if somebody has claimed it
        txn.delete(lock)
        txn.delete(path)
        results = _wait(txn.commit_async())
        _raise_any(*results, but=(zk_exc.NodeExistsError, zk_exc.NoNodeError))

    def _disconnect(self) -> None:
        self._client.remove_listener(self._state_changed)
        # kazoo says goodbye, and waits for the answer as long as a session takes to end
        goodbye = threading.Thread(
            target=kazoo_utils.finalize_client, args=(self._client,), daemon=True
        )
        goodbye.start()
        goodbye.join(claims.SHORT_PATIENCE_S)

    # claims ----------------------------------------------------------------------------------

    def _end(self, job: Job, claim: Claim, also_job: bool) -> bool:
        """Remove the lock, and the job if wanted; False if the claim is not ours any more."""
        name = _name(job)
        path, lock = f"{self._path}/{name}", f"{self._path}/{_lock(name)}"
        txn = self._connected().transaction()
        if self._session() != claim.session:
            return False
        if also_job:
            txn.delete(path, version=claim.version)
        else:
            txn.check(path, version=claim.version)
        txn.delete(lock)
        results = _wait(txn.commit_async())
        lost = (zk_exc.BadVersionError, zk_exc.NoNodeError)
        _raise_any(*results, but=lost)
        return not any(isinstance(result, lost) for result in results)

    def _mine(self, name: str) -> Claim | None:
        """Return the claim that this session already has, its answer got lost."""
        client = self._connected()
        session = self._session()
        try:
            data, lock = _wait(client.get_async(f"{self._path}/{_lock(name)}"))
            _, job = _wait(client.get_async(f"{self._path}/{name}"))
        except zk_exc.NoNodeError:
            return None
        if lock.ephemeralOwner != session or json.loads(data).get("owner") != self.owner:
            return None
        return Claim(session, job.version)

    def _read(self, names: Sequence[str]) -> dict[str, Known]:
        """Return what is in these nodes; what is not ours is left to whom it belongs."""
        client, known = self._connected(), self._known
        answers = {
            name: client.get_async(f"{self._path}/{name}") for name in names if name not in known
        }
        # a new one each time: what is gone is forgotten, threads do not share it
        known = {name: known[name] for name in names if name in known}
        for name, answer in answers.items():
            try:
                data, stat = _wait(answer)
                job = Job.from_json(json.loads(data).get("details"))
            except (zk_exc.NoNodeError, ValueError, AttributeError):
                continue
            if job is not None and _name(job) == name:
                known[name] = Known(job, stat.czxid, data, stat.version)
        self._known = known
        return known

    # the connection --------------------------------------------------------------------------

    def _prepare(self) -> None:
        for node in (self._path, self._news):
            self._connected().ensure_path(node)
        self._listen()

    def _connected(self) -> Any:
        if not self._client.connected:
            raise zk_exc.ConnectionLoss
        return self._client

    def _session(self) -> int:
        identity = self._client.client_id
        if identity is None:
            raise zk_exc.ConnectionLoss
        return int(identity[0])

    def _state_changed(self, state: str) -> None:
        if state == states.KazooState.CONNECTED and not self._closed.is_set():
            self._listen()
            self._bell.ring()  # news may have been missed

    def _listen(self) -> None:
        """Have the next news told; neither waits nor fails."""
        self._client.get_async(self._news, watch=self._heard)

    def _heard(self, event: Any) -> None:
        if event.type != states.EventType.NONE:  # NONE: the connection changed
            self._listen()
            self._bell.ring()

    def _tell(self, client: Any) -> None:
        _wait(client.set_async(self._news, self.owner.encode()))


def _name(job: Job) -> str:
    return f"{ZookeeperJobBoard.JOB_PREFIX}{job.uuid.int}"


def _lock(name: str) -> str:
    return name + str(ZookeeperJobBoard.LOCK_POSTFIX)


def _is_job(name: str) -> bool:
    prefix, postfix = ZookeeperJobBoard.JOB_PREFIX, ZookeeperJobBoard.LOCK_POSTFIX
    return name.startswith(prefix) and not name.endswith(postfix)


def _created(entry: Known) -> int:
    return entry.created


def _wait(answer: Any) -> Any:
    """Return what the server answers to a request, in time or not at all."""
    return answer.get(block=True, timeout=claims.REQUEST_S)


def _raise_any(*results: object, but: tuple[type[Exception], ...] = ()) -> None:
    """Raise what made a transaction fail; the others of it only say that they were not tried."""
    failed = [result for result in results if isinstance(result, Exception)]
    follow = (zk_exc.RolledBackError, zk_exc.RuntimeInconsistency)
    causes = [exc for exc in failed if not isinstance(exc, follow)] or failed
    if causes and not any(isinstance(exc, but) for exc in causes):
        raise causes[0]
