"""The board on an etcd server: TaskFlow's keys, our transactions."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import etcd3gw
from etcd3gw import exceptions as etcd_exc
from oslo_serialization import jsonutils
from oslo_utils import timeutils
from requests import adapters
from taskflow.jobs import base as jobs_base
from taskflow.jobs.backends.impl_etcd import EtcdJobBoard

from upgrade_flows.engine.boards import claims, gateway
from upgrade_flows.engine.boards.base import Job
from upgrade_flows.engine.boards.gateway import Json

#: jobs in one transaction; etcd takes 128 operations (``--max-txn-ops``)
_IN_ONE = 100


class Claim(NamedTuple):
    """Proof of a claim: the lease it hangs on, and what is written in its lock."""

    lease: str
    value: str


class Known(NamedTuple):
    """What is read once of a posting."""

    sequence: int
    job: Job


class EtcdBoard(claims.ServerBoard[Claim]):
    """A board in etcd, laid out as TaskFlow's ``EtcdJobBoard`` does.

    The keys ``<root>/job<n>.data``, ``.lock`` and ``.last_modified`` and their JSON are
    TaskFlow's, so its tools see our jobs and its claims are respected.  ``n`` is the job's uuid
    as a decimal number, so a second post meets the first.  (Not in hexadecimal: TaskFlow strips
    the *letters* of ".data" off the end of a key.)  The transactions are ours: TaskFlow looks at
    the owner in one request and removes in the next, takes one lease per claim, and its watch
    does not survive a restart of the server.

    All claims of a board hang on one lease, so one request prolongs them.

    Facts: etcd 3.4, its JSON gateway (keys and values in base64, numbers as strings); a lease
    that has ended is kept alive without a TTL in the answer; leases get their full time again
    when the server restarts; TTLs are whole seconds.

    :param conf: for ``etcd3gw.Etcd3Client``: host, port, protocol, ca_cert, cert_cert, cert_key.
    :param path: the board's name below ``/taskflow/jobs``.
    """

    errors = gateway.ERRORS

    def __init__(
        self, where: str, owner: str, ttl_s: float, conf: dict[str, Any], path: str
    ) -> None:
        super().__init__(where, owner, ttl_s)
        self._client = etcd3gw.Etcd3Client(**conf, timeout=claims.REQUEST_S)
        for scheme in ("http://", "https://"):
            self._client.session.mount(scheme, adapters.HTTPAdapter(pool_maxsize=64))
        root = f"{EtcdJobBoard.ROOT_PATH}/{path.strip('/')}"
        self._sequence = f"{root}/{EtcdJobBoard.SEQUENCE_KEY}"
        self._news = f"{root}/news"
        self._job = f"{root}/{EtcdJobBoard.JOB_PREFIX}"
        self._last_sequence: int | None = None
        self._lease_lock = threading.Lock()
        self._lease: str | None = None
        self._renewed = 0.0  # monotonic
        self._known: dict[tuple[str, str], Known] = {}
        self._patiently("connect", self._client.status, patience_s=claims.SHORT_PATIENCE_S)
        watch = gateway.Watch(self._client, self._news, self._bell.ring, self._closed)
        watch.start(f"board-news-{owner}")

    def _transient(self, exc: BaseException) -> bool:
        return gateway.passing(exc)

    def _list(self, jobs: Sequence[Job]) -> None:
        sequence = self._take_numbers(len(jobs))
        now = timeutils.utcnow()
        for start in range(0, len(jobs), _IN_ONE):
            operations = []
            for job in jobs[start : start + _IN_ONE]:
                posting = jobs_base.format_posting(
                    str(job.uuid),
                    job.name,
                    created_on=now,
                    details=job.to_json(),
                    priority=jobs_base.JobPriority.NORMAL,
                )
                data = self._key(job) + EtcdJobBoard.DATA_POSTFIX
                put = gateway.put(data, jsonutils.dumps({**posting, "sequence": sequence}))
                sequence += 1
                operations.append(
                    {"request_txn": {"compare": [gateway.absent(data)], "success": [put]}}
                )
            self._txn([], [*operations, self._tell()])

    def _list_unclaimed(self, limit: int) -> list[Job]:
        answer = self._range(keys_only=True)
        names = [gateway.decode(entry["key"]) for entry in answer]
        locked = {name for name in names if name.endswith(EtcdJobBoard.LOCK_POSTFIX)}
        free = {}
        for entry, name in zip(answer, names, strict=True):
            bare = name.removesuffix(EtcdJobBoard.DATA_POSTFIX)
            if bare != name and bare + EtcdJobBoard.LOCK_POSTFIX not in locked:
                free[name, entry["create_revision"]] = int(entry["create_revision"])
        known = self._known
        new = [revision for key, revision in free.items() if key not in known]
        if new:
            known = {**known, **_read(self._range(min_create_revision=str(min(new))))}
        # a new one each time: what is claimed or gone is forgotten, threads do not share it
        self._known = known = {key: known[key] for key in free if key in known}
        return [entry.job for entry in sorted(known.values(), key=_sequence)[:limit]]

    def _list_all(self) -> set[Job]:
        return {entry.job for entry in _read(self._range()).values()}

    def _try(self, job: Job) -> Claim | None:
        key = self._key(job)
        lock, data = key + EtcdJobBoard.LOCK_POSTFIX, key + EtcdJobBoard.DATA_POSTFIX
        lease = self._fresh_lease()
        claim = Claim(lease, jsonutils.dumps({"owner": self.owner, "lease_id": int(lease)}))
        modified = jsonutils.dumps({"last_modified": timeutils.utcnow()})
        try:
            ours, answers = self._txn(
                [gateway.present(data), gateway.absent(lock)],
                [
                    gateway.put(lock, claim.value, lease=lease),
                    gateway.put(key + EtcdJobBoard.LAST_MODIFIED_POSTFIX, modified),
                ],
                [gateway.get(lock)],
            )
        except etcd_exc.Etcd3Exception as exc:
            if "lease not found" not in str(exc.detail_text):
                raise
            self._forget_lease(lease)
            raise etcd_exc.ConnectionFailedError("the lease has ended") from exc  # asked again
        if ours:
            return claim
        return claim if gateway.got(answers[0]) == claim.value else None

    def _keep(self, held: dict[Job, Claim]) -> set[Job]:
        with self._lease_lock:
            lease = self._lease
        if lease is None or not self._prolong(lease):
            return set()
        answer = self._client.post(
            self._client.get_url("/kv/lease/timetolive"), json={"ID": lease, "keys": True}
        )
        locks = {gateway.decode(key) for key in answer.get("keys", [])}
        return {
            job
            for job, claim in held.items()
            if claim.lease == lease and self._key(job) + EtcdJobBoard.LOCK_POSTFIX in locks
        }

    def _release(self, job: Job, token: Claim | None) -> None:
        lock = self._key(job) + EtcdJobBoard.LOCK_POSTFIX
        value = token.value if token else self._my_lock(lock)
        if value is not None:
            self._txn([gateway.equal(lock, value)], [gateway.delete(lock), self._tell()])

    def _complete(self, job: Job, token: Claim) -> None:
        key = self._key(job)
        lock = key + EtcdJobBoard.LOCK_POSTFIX
        self._txn([gateway.equal(lock, token.value)], [gateway.delete(key + ".", key + "/")])

    def _unlist(self, job: Job) -> None:
        key = self._key(job)
        self._txn(
            [gateway.absent(key + EtcdJobBoard.LOCK_POSTFIX)],
            [gateway.delete(key + ".", key + "/")],
        )

    def _disconnect(self) -> None:
        self._client.session.close()

    # numbers, leases -------------------------------------------------------------------------

    def _key(self, job: Job) -> str:
        return f"{self._job}{job.uuid.int}"

    def _take_numbers(self, count: int) -> int:
        """Return the first of ``count`` numbers that no other job gets."""
        last = self._last_sequence
        while True:
            expected = (
                gateway.absent(self._sequence)
                if last is None
                else gateway.equal(self._sequence, last)
            )
            done, answers = self._txn(
                [expected],
                [gateway.put(self._sequence, str((last or 0) + count))],
                [gateway.get(self._sequence)],
            )
            if done:
                self._last_sequence = (last or 0) + count
                return (last or 0) + 1
            found = gateway.got(answers[0])
            last = int(found) if found else None

    def _fresh_lease(self) -> str:
        """Return a lease that does not end soon."""
        with self._lease_lock:
            if self._lease is not None and time.monotonic() - self._renewed < self.ttl_s / 3:
                return self._lease
            if self._lease is not None and self._prolong(self._lease):
                return self._lease
            now = time.monotonic()
            self._lease = str(self._client.lease(ttl=max(1, math.ceil(self.ttl_s))).id)
            self._renewed = now
            return self._lease

    def _forget_lease(self, lease: str) -> None:
        with self._lease_lock:
            if self._lease == lease:
                self._lease = None

    def _prolong(self, lease: str) -> bool:
        now = time.monotonic()
        answer = self._client.post(self._client.get_url("/lease/keepalive"), json={"ID": lease})
        if "result" not in answer:  # an error, in the words of the gateway
            raise etcd_exc.InternalServerError(json.dumps(answer), "no answer about the lease")
        if int(answer["result"].get("TTL", 0)) <= 0:
            return False
        self._renewed = now
        return True

    def _my_lock(self, lock: str) -> str | None:
        for value in self._client.get(lock):
            text = value.decode()
            if json.loads(text).get("owner") == self.owner:
                return text
        return None

    # requests --------------------------------------------------------------------------------

    def _tell(self) -> Json:
        return gateway.put(self._news, self.owner)

    def _txn(
        self, compare: list[Json], success: list[Json], failure: Sequence[Json] = ()
    ) -> tuple[bool, list[Json]]:
        body = {"compare": compare, "success": success, "failure": list(failure)}
        answer = self._client.transaction(body)
        return bool(answer.get("succeeded")), answer.get("responses", [])

    def _range(self, **options: object) -> list[Json]:
        """Return all entries of jobs: postings, locks, times."""
        body = {
            "key": gateway.encode(self._job),
            "range_end": gateway.encode(self._job[:-1] + chr(ord(self._job[-1]) + 1)),
            **options,
        }
        answer = self._client.post(self._client.get_url("/kv/range"), json=body)
        entries: list[Json] = answer.get("kvs", [])
        return entries


def _read(entries: list[Json]) -> dict[tuple[str, str], Known]:
    """Read what is listed, by key and revision; what is not ours is left to whom it belongs."""
    found = {}
    for entry in entries:
        name = gateway.decode(entry["key"])
        if not name.endswith(EtcdJobBoard.DATA_POSTFIX):
            continue
        try:
            posting = json.loads(gateway.decode(entry["value"]))
            job, sequence = Job.from_json(posting.get("details")), int(posting["sequence"])
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
        if job is not None and name.endswith(
            f"{EtcdJobBoard.JOB_PREFIX}{job.uuid.int}{EtcdJobBoard.DATA_POSTFIX}"
        ):
            found[name, str(entry["create_revision"])] = Known(sequence, job)
    return found


def _sequence(entry: Known) -> int:
    return entry.sequence
