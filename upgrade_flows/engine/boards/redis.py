"""The board on a Redis server: TaskFlow's keys, our scripts."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Any, Literal

import redis
from oslo_serialization import msgpackutils
from oslo_utils import timeutils
from redis import backoff, maint_notifications, retry
from redis import exceptions as redis_exc
from taskflow.jobs import base as jobs_base
from taskflow.jobs.backends import impl_redis

from upgrade_flows.engine.boards import claims
from upgrade_flows.engine.boards.base import Job

LOG = logging.getLogger(__name__)

# KEYS: listing, sequence is taken before; ARGV: channel, then uuid and posting in turn
_POST = """
local new = 0
for i = 2, #ARGV, 2 do
  new = new + redis.call('hsetnx', KEYS[1], ARGV[i], ARGV[i + 1])
end
if new > 0 then redis.call('publish', ARGV[1], new) end
return new
"""

# KEYS: listing; ARGV: prefix and postfix of owner keys
_UNCLAIMED = """
local free = {}
for _, uuid in ipairs(redis.call('hkeys', KEYS[1])) do
  if redis.call('exists', ARGV[1] .. uuid .. ARGV[2]) == 0 then
    free[#free + 1] = uuid
  end
end
return free
"""

# KEYS: owner, listing, modified; ARGV: who, uuid, modified, milliseconds
_CLAIM = """
if redis.call('hexists', KEYS[2], ARGV[2]) == 0 then return 0 end
local owner = redis.call('get', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[4])
redis.call('set', KEYS[3], ARGV[3])
return 1
"""

# KEYS: owners; ARGV: who, milliseconds
_RENEW = """
local kept = {}
for i, key in ipairs(KEYS) do
  if redis.call('get', key) == ARGV[1] then
    redis.call('pexpire', key, ARGV[2])
    kept[#kept + 1] = i
  end
end
return kept
"""

# KEYS: owner, listing, modified; ARGV: who, uuid, channel
_GIVE_BACK = """
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('del', KEYS[1])
redis.call('publish', ARGV[3], 1)
return 1
"""

# KEYS: owner, listing, modified; ARGV: who, uuid
_CONSUME = """
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('hdel', KEYS[2], ARGV[2])
redis.call('del', KEYS[1], KEYS[3])
return 1
"""

# KEYS: owner, listing, modified; ARGV: nobody, uuid
_REMOVE = """
if redis.call('exists', KEYS[1]) == 1 then return 0 end
redis.call('hdel', KEYS[2], ARGV[2])
redis.call('del', KEYS[3])
return 1
"""


class RedisBoard(claims.ServerBoard[Literal[True]]):
    """A board in Redis, laid out as TaskFlow's ``RedisJobBoard`` does.

    The keys and the postings are TaskFlow's, so its tools see our jobs and its claims are
    respected.  The scripts are ours: TaskFlow's claims never end unless told so, its
    ``extend_expiry`` prolongs the claim of anybody, it knows no second post, and listing what is
    unclaimed asks the server once per job.

    What ``post`` returned for survives a crash of the server if that writes its append-only file
    (``appendonly yes``); a power cut too with ``appendfsync always``.

    Facts: redis-py 8 (``CLIENT MAINT_NOTIFICATIONS`` is unknown to servers before 8, so it is
    switched off); ``AuthenticationError`` is a ``ConnectionError`` there.

    :param conf: for ``redis.Redis``: host, port, db, username, password, ssl and ssl_*.
    """

    errors = (redis_exc.RedisError, OSError)

    def __init__(
        self, where: str, owner: str, ttl_s: float, conf: dict[str, Any], namespace: str
    ) -> None:
        super().__init__(where, owner, ttl_s)
        self._client = redis.Redis(
            **conf,
            socket_timeout=claims.REQUEST_S,
            socket_connect_timeout=claims.REQUEST_S,
            socket_keepalive=True,
            retry=retry.Retry(backoff.NoBackoff(), 0),  # patience is ours
            maint_notifications_config=maint_notifications.MaintNotificationsConfig(enabled=False),
        )
        layout = impl_redis.RedisJobBoard(owner, {"namespace": namespace}, client=self._client)
        self._layout = layout
        self._listing: bytes = layout.listings_key
        self._sequence: bytes = layout.sequence_key
        self._news: bytes = layout.join("news")
        self._prefix: bytes = layout.join("")
        self._who = owner.encode()
        self._ttl_ms = max(1, int(ttl_s * 1000))
        self._known: dict[bytes, tuple[int, Job]] = {}
        names = {
            "post": _POST,
            "unclaimed": _UNCLAIMED,
            "claim": _CLAIM,
            "renew": _RENEW,
            "give_back": _GIVE_BACK,
            "consume": _CONSUME,
            "remove": _REMOVE,
        }
        self._scripts = {name: self._client.register_script(text) for name, text in names.items()}
        self._patiently("connect", self._client.ping, patience_s=claims.SHORT_PATIENCE_S)
        self._warn_if_forgetful()
        self._listener = threading.Thread(
            target=self._listen, name=f"board-news-{owner}", daemon=True
        )
        self._listener.start()

    def _transient(self, exc: BaseException) -> bool:
        if isinstance(exc, redis_exc.AuthenticationError | redis_exc.AuthorizationError):
            return False
        away = (redis_exc.ConnectionError, redis_exc.TimeoutError, redis_exc.ReadOnlyError, OSError)
        return isinstance(exc, away)

    def _list(self, jobs: Sequence[Job]) -> None:
        last = int(self._client.incrby(self._sequence, len(jobs)))
        now = timeutils.utcnow()
        args: list[bytes | str] = [self._news]
        for sequence, job in enumerate(jobs, start=last - len(jobs) + 1):
            uuid = str(job.uuid)
            posting = jobs_base.format_posting(
                uuid,
                job.name,
                created_on=now,
                details=job.to_json(),
                priority=jobs_base.JobPriority.NORMAL,
            )
            args += [uuid, msgpackutils.dumps({**posting, "sequence": sequence})]
        self._scripts["post"](keys=[self._listing], args=args)

    def _list_unclaimed(self, limit: int) -> list[Job]:
        free: list[bytes] = self._scripts["unclaimed"](
            keys=[self._listing], args=[self._prefix, self._layout.OWNED_POSTFIX]
        )
        known = self._known
        new = [uuid for uuid in free if uuid not in known]
        if new:
            postings: Any = self._client.hmget(self._listing, new)
            known = {**known, **_read(zip(new, postings, strict=True))}
        # a new one each time: what is claimed or gone is forgotten, threads do not share it
        self._known = known = {uuid: known[uuid] for uuid in free if uuid in known}
        return [job for _, job in sorted(known.values(), key=_oldest)[:limit]]

    def _list_all(self) -> set[Job]:
        postings: Any = self._client.hgetall(self._listing)
        return {job for _, job in _read(postings.items()).values()}

    def _try(self, job: Job) -> Literal[True] | None:
        args = [msgpackutils.dumps(timeutils.utcnow()), self._ttl_ms]
        return True if self._call("claim", job, *args) else None

    def _keep(self, held: dict[Job, Literal[True]]) -> set[Job]:
        jobs = list(held)
        if not jobs:
            return set()
        keys = [self._owner_key(str(job.uuid)) for job in jobs]
        kept: list[int] = self._scripts["renew"](keys=keys, args=[self._who, self._ttl_ms])
        return {jobs[index - 1] for index in kept}

    def _release(self, job: Job, token: Literal[True] | None) -> None:
        self._call("give_back", job, self._news)

    def _complete(self, job: Job, token: Literal[True]) -> None:
        self._call("consume", job)

    def _unlist(self, job: Job) -> None:
        self._call("remove", job)

    def _disconnect(self) -> None:
        self._client.close()

    def _call(self, script: str, job: Job, *args: Any) -> bool:
        uuid = str(job.uuid)
        modified = self._prefix + uuid.encode() + self._layout.LAST_MODIFIED_POSTFIX
        keys = [self._owner_key(uuid), self._listing, modified]
        return bool(self._scripts[script](keys=keys, args=[self._who, uuid, *args]))

    def _owner_key(self, uuid: str) -> bytes:
        return self._prefix + uuid.encode() + bytes(self._layout.OWNED_POSTFIX)

    def _warn_if_forgetful(self) -> None:
        try:
            persistence: Any = self._client.info("persistence")
        except self.errors:
            return  # not everybody may ask
        if not persistence.get("aof_enabled"):
            LOG.warning(
                "%s writes no append-only file: jobs may be gone after a crash of the server;"
                " set appendonly to yes there",
                self.where,
            )

    def _listen(self) -> None:
        """Ring at each message, and whenever messages may have been missed."""
        client: Any = self._client  # pubsub() has no types
        while not self._closed.is_set():
            try:
                with client.pubsub() as pubsub:
                    pubsub.subscribe(self._news)
                    while not self._closed.is_set():
                        if pubsub.get_message(timeout=1.0) is not None:  # also "subscribed"
                            self._bell.ring()
            except (*self.errors, ValueError, AttributeError):
                # the server is away; the latter two: close() took the connection away meanwhile
                self._closed.wait(0.5)


def _read(postings: Any) -> dict[bytes, tuple[int, Job]]:
    """Read what is listed; what is not ours, or not readable, is left to whom it belongs."""
    found = {}
    for uuid, posting in postings:
        if posting is None:  # went away meanwhile
            continue
        try:
            values = msgpackutils.loads(posting)
            job = Job.from_json(values.get("details"))
            if job is not None and str(job.uuid).encode() == uuid:
                found[uuid] = (int(values["sequence"]), job)
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
    return found


def _oldest(entry: tuple[int, Job]) -> int:
    return entry[0]
