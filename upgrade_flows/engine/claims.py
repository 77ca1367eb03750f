"""Taking a subject to work on it: one transaction that asks whether it is its turn.

The run's row is locked meanwhile, so that the window and the failure budget hold whoever takes:
any number of conductors and command lines.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc as sa_exc

from upgrade_flows import errors
from upgrade_flows.engine import database, schema, standing
from upgrade_flows.engine.leases import UNFINISHED, Keeper, Lease, gone
from upgrade_flows.engine.pilot import Pilot
from upgrade_flows.engine.records import Event
from upgrade_flows.engine.scheduler import (
    ALLOWED,
    IN_PROGRESS,
    Decision,
    Job,
    Moves,
    Outline,
    Work,
    next_jobs,
)
from upgrade_flows.model import codec
from upgrade_flows.model.plan import Action
from upgrade_flows.model.report import State

#: the work of a lease on something that is no subject of its run
HELD = "hold"

_BEGUN = {
    Work.CHANGE: State.CHANGING,
    Work.UNDO: State.UNDOING,
    Work.SETTLE: State.SETTLING,
}


_s, _le, _r = schema.subjects.c, schema.leases.c, schema.runs.c
_RUN = sa.select(
    _r.id, _r.cloud_id, _r.state, _r.moves, _r.submitted, _r.withdrawn, _r.ordered
).where(_r.id == sa.bindparam("b_run_id"))
_LOCKED_RUN = _RUN.with_for_update()
_THIS = (_s.run_id == sa.bindparam("b_run_id"), _s.subject == sa.bindparam("b_subject"))
_HELD = (_le.cloud_id == sa.bindparam("b_cloud_id"), _le.subject == sa.bindparam("b_subject"))
_NEW_LEASE = schema.leases.insert()
_HOLDER = sa.select(_le.subject, _le.run_id.label("holder"), _le.owner, _le.token).where(*_HELD)
_OLD_LEASE = sa.update(schema.leases).where(*_HELD, _le.token == sa.bindparam("b_token"))
_BEGIN = (
    sa.update(schema.subjects)
    .where(*_THIS)
    .values(
        {
            name: sa.bindparam(name)
            for name in ("tries", "progress", "state", "started", "ended", "brief")
        }
    )
)
_STATES = [str(state) for state in UNFINISHED]
_UNFINISHED = (
    sa.select(_s.subject, _s.state, _s.run_id)
    .join(schema.runs, _r.id == _s.run_id)
    .where(
        _r.cloud_id == sa.bindparam("b_cloud_id"),
        _s.run_id != sa.bindparam("b_run_id"),
        _s.subject.in_(sa.bindparam("b_subjects", expanding=True)),
        _s.state.in_(_STATES),
    )
    .limit(1)
)
_other = schema.subjects.alias("other")
_ELSEWHERE = (
    sa.select(_other.c.run_id)
    .join(schema.runs, _r.id == _other.c.run_id)
    .where(
        _r.cloud_id == sa.bindparam("b_cloud_id"),
        _other.c.subject == sa.bindparam("b_subject"),
        _other.c.run_id != sa.bindparam("b_run_id"),
        _other.c.state.in_(_STATES),
    )
    .exists()
)
_SUBJECT = (
    sa.select(
        schema.subjects, _le.owner, _le.token, _le.run_id.label("holder"),
        _ELSEWHERE.label("elsewhere"),
    )
    .outerjoin(
        schema.leases,
        (_le.subject == _s.subject) & (_le.cloud_id == sa.bindparam("b_cloud_id")),
    )
    .where(*_THIS)
)  # fmt: skip


@dataclass(frozen=True)
class Taken:
    """A subject that is ours, with what to do to it and where it stood before.

    ``tries``: how often it was given up since one of its steps came to its end.
    """

    lease: Lease
    work: Work
    action: Action
    before: State
    result: dict[str, Any]
    tries: int

    @property
    def state(self) -> State:
        """Where the subject stands now that work on it has begun."""
        return _BEGUN[Work(self.lease.work)]


class Claims:
    """Takes subjects in a journal's database.

    ``most_tries`` is how often a subject may be given up without any step of it coming to its end
    before it is quarantined; None: never, for whoever works on it has its operator at hand.
    """

    def __init__(self, engine: sa.Engine, now: Callable[[], float]) -> None:
        self.most_tries: int | None = None
        self._engine, self._now = engine, now
        self._outlines: dict[str, Outline] = {}
        self._pilot = Pilot()

    def decide(
        self,
        run_id: str,
        works: Sequence[Work] | None = None,
        without: Container[str] = (),
        at: float | None = None,
    ) -> Decision:
        """Say what should be in progress in a run.

        :param works: the kinds of work to look at, of those that the run allows now.
        :param without: subjects that are left as they are.
        :param at: the time by the clock that events are noted with, epoch seconds.
        """

        def read() -> Decision:
            with database.reader(self._engine).connect() as conn:
                run = self._run(conn, run_id, lock=False)
                return self.decide_in(conn, run, works, without, at)

        decision: Decision = database.patiently("the journal cannot be read", read)
        return decision

    def could_go_on(self, run_id: str) -> bool:
        """Whether a run has something to do, were it not paused."""

        def read() -> bool:
            with database.reader(self._engine).connect() as conn:
                outline = self.outline(conn, run_id)
                return bool(next_jobs(outline, standing.read(conn, run_id, outline)).jobs)

        return bool(database.patiently("the journal cannot be read", read))

    def take(
        self,
        run_id: str,
        job: Job,
        keeper: Keeper,
        at: float,
        works: Sequence[Work] | None = None,
        without: Container[str] = (),
        cloud_id: str | None = None,
    ) -> Taken | None:
        """Take a subject, if that is what should be in progress now; otherwise return None.

        :param at: the time that is noted, epoch seconds.
        :param works: as for ``decide``, as ``without`` is.
        :param cloud_id: the cloud that is going to be worked on.
        :raises SubjectBusy: another owner, or another run, has the subject.
        :raises PlanChanged: the run is of another cloud.
        """

        def take() -> Taken | None:
            taken: Taken | None = None
            try:
                with self._engine.begin() as conn:
                    run = self._run(conn, run_id, lock=True)
                    if cloud_id not in (None, run.cloud_id):
                        raise errors.PlanChanged(
                            f"run {run_id} is of the cloud {run.cloud_id}, not of {cloud_id}"
                        )
                    decision = self.decide_in(conn, run, works, without, at)
                    if job in decision.jobs:
                        brief = decision.briefs.get(job.subject)
                        taken = self._take(conn, run, job, keeper, at, brief)
            except BaseException:
                if taken is not None:  # its commit failed
                    keeper.forget(taken.lease)
                raise
            return taken

        for again in (True, False):
            try:
                taken: Taken | None = database.patiently("the subject cannot be taken", take)
            except errors.JournalError as exc:
                if not again or not isinstance(exc.__cause__, sa_exc.IntegrityError):
                    raise
            else:
                break
        return taken

    def _take(
        self,
        conn: sa.Connection,
        run: Any,
        job: Job,
        keeper: Keeper,
        at: float,
        brief: dict[str, Any] | None,
    ) -> Taken | None:
        run_id = run.id
        names = {"b_cloud_id": run.cloud_id, "b_run_id": run_id, "b_subject": job.subject}
        row = conn.execute(_SUBJECT, names).one()
        if row.token is not None and not (row.owner == keeper.owner and not keeper.has(row.token)):
            self._refuse_if_alive(conn, row)  # one of ours that nobody works with is free
        if row.elsewhere:
            refuse_unfinished(conn, run.cloud_id, (job.subject,), run.id)
        tries, progress = row.tries, row.progress
        if row.holder == run_id:  # its owner died at work
            tries, progress = self._tries(conn, row)
            if self.most_tries is not None and tries >= self.most_tries:
                self._quarantine(conn, run, row, keeper, at, self._last_step(conn, row, tries))
                return None
        lease = keeper.lease(run.cloud_id, job.subject, run_id, job.work)
        values = {"run_id": run_id, "owner": lease.owner, "token": lease.token}
        if row.token is None:
            values |= {"cloud_id": run.cloud_id, "subject": job.subject}
            conn.execute(_NEW_LEASE, values)
        elif not conn.execute(
            _OLD_LEASE.values(**values), {**names, "b_token": row.token}
        ).rowcount:
            raise errors.SubjectBusy(f"another process took {job.subject} at this moment")
        state, begun = State(row.state), _BEGUN[job.work]
        started, ended = (at if row.started is None else row.started), None
        if state in IN_PROGRESS:
            started, ended = row.started, row.ended
        values = {"tries": tries, "progress": progress, "state": str(begun)}
        told = row.brief
        if brief is not None and state is State.PENDING:
            told = codec.canonical(brief)
        times = {"started": started, "ended": ended}
        conn.execute(_BEGIN, {**names, **values, **times, "brief": told})
        if run.state != "running":
            query = sa.update(schema.runs).where(schema.runs.c.id == run_id)
            conn.execute(query.values(state="running", ended=None))
        action = codec.from_plain(Action, json.loads(row.action))
        if told != "{}":
            details = {**action.details, "brief": json.loads(told)}
            action = dataclasses.replace(action, details=details)
        keeper.watch(lease)  # before anybody can see it: what is not watched is free for the taking
        return Taken(lease, job.work, action, state, json.loads(row.result), tries)

    def _run(self, conn: sa.Connection, run_id: str, lock: bool) -> Any:
        row = conn.execute(_LOCKED_RUN if lock else _RUN, {"b_run_id": run_id}).first()
        if row is None:
            raise errors.RequestError(f"the journal holds no run {run_id!r}")
        return row

    def outline(self, conn: sa.Connection, run_id: str) -> Outline:
        """Return a run's outline, which never changes."""
        if run_id not in self._outlines:
            query = sa.select(schema.runs.c.outline).where(schema.runs.c.id == run_id)
            text = conn.execute(query).scalar_one()
            if len(self._outlines) > 100:
                self._outlines.clear()
            self._outlines[run_id] = codec.from_plain(Outline, json.loads(text))
        return self._outlines[run_id]

    def decide_in(
        self,
        conn: sa.Connection,
        run: Any,
        works: Sequence[Work] | None = None,
        without: Container[str] = (),
        at: float | None = None,
    ) -> Decision:
        """As ``decide``, in a transaction that has read the run's row."""
        allowed = ALLOWED[Moves(run.moves)]
        works = allowed if works is None else [work for work in works if work in allowed]
        outline = self.outline(conn, run.id)
        found = standing.read(conn, run.id, outline, bool(run.ordered))
        advice = None
        if outline.rolling and Work.CHANGE in works:
            advice = self._pilot.advise(conn, run.id, self._now() if at is None else at)
        return next_jobs(outline, found, works, without, advice)

    def hold(self, lease: Lease, subject: str, keeper: Keeper) -> Lease:
        """Take something that is no subject of a run for as long as the run works on it.

        :param lease: that of the subject for whose sake it is held.
        :raises SubjectBusy: another run holds it, or has not brought it to an end.
        """

        def take() -> Lease:
            names = {
                "b_cloud_id": lease.cloud_id, "b_run_id": lease.run_id, "b_subject": subject,
            }  # fmt: skip
            held = keeper.lease(lease.cloud_id, subject, lease.run_id, HELD)
            values = {"run_id": held.run_id, "owner": held.owner, "token": held.token}
            with self._engine.begin() as conn:
                refuse_unfinished(conn, lease.cloud_id, (subject,), lease.run_id)
                row = conn.execute(_HOLDER, names).first()
                if row is None:
                    values |= {"cloud_id": lease.cloud_id, "subject": subject}
                    conn.execute(_NEW_LEASE, values)
                else:
                    if row.owner != keeper.owner or keeper.has(row.token):
                        self._refuse_if_alive(conn, row)
                    conn.execute(_OLD_LEASE.values(**values), {**names, "b_token": row.token})
            keeper.watch(held)
            return held

        held: Lease = database.patiently("it cannot be held", take)
        return held

    def let_go(self, held: Lease, keeper: Keeper) -> None:
        """Give back what was held."""

        def give_back() -> None:
            with self._engine.begin() as conn:
                conn.execute(
                    sa.delete(schema.leases).where(
                        _le.cloud_id == held.cloud_id,
                        _le.subject == held.subject,
                        _le.token == held.token,
                    )
                )

        keeper.forget(held)
        database.patiently("it cannot be let go", give_back)

    def alive(self, conn: sa.Connection, owner: str) -> bool:
        """Whether an owner was heard of lately, and is no process that ended on this host."""
        return self._lives_for(conn, owner) > 0

    def _lives_for(self, conn: sa.Connection, owner: str) -> float:
        """Return the seconds for which an owner still counts as alive."""
        if gone(owner):
            return 0.0
        o = schema.owners.c
        query = sa.select(o.expires - database.current_time(self._engine, self._now))
        return float(conn.execute(query.where(o.owner == owner)).scalar() or 0.0)

    def _refuse_if_alive(self, conn: sa.Connection, row: Any) -> None:
        left = self._lives_for(conn, row.owner)
        if left > 0:
            raise busy(row.subject, row.holder, row.owner, left)

    def _tries(self, conn: sa.Connection, row: Any) -> tuple[int, int]:
        """Count the owners that died at work on a subject without a step coming to its end."""
        e = schema.events.c
        query = sa.select(sa.func.count()).where(
            e.run_id == row.run_id,
            e.subject == row.subject,
            e.what.in_(("finished", "failed", "reverted", "residue", "moved")),
        )
        progress = int(conn.execute(query).scalar_one())
        return (row.tries + 1 if progress == row.progress else 1), progress

    def _last_step(self, conn: sa.Connection, row: Any, tries: int) -> str:
        e = schema.events.c
        query = sa.select(e.step).where(
            e.run_id == row.run_id, e.subject == row.subject, e.step != ""
        )
        step = conn.execute(query.order_by(e.id.desc()).limit(1)).scalar()
        during = f"during {step}" if step else "before its first step"
        return f"the process that worked on it ended {tries} times {during}"

    def _quarantine(
        self, conn: sa.Connection, run: Any, row: Any, keeper: Keeper, at: float, why: str
    ) -> None:
        s, le = schema.subjects.c, schema.leases.c
        conn.execute(
            sa.update(schema.subjects)
            .where(s.run_id == run.id, s.subject == row.subject)
            .values(state=str(State.QUARANTINED), error=why, ended=at)
        )
        conn.execute(
            sa.delete(schema.leases).where(
                le.cloud_id == run.cloud_id, le.subject == row.subject, le.run_id == run.id
            )
        )
        event = Event(at, row.subject, "", str(State.QUARANTINED), why, keeper.owner)
        conn.execute(schema.events.insert(), event_rows(run.id, (event,)))


def refuse_unfinished(
    conn: sa.Connection, cloud_id: str, subjects: Sequence[str], run_id: str
) -> None:
    """Refuse subjects that another run has begun and not brought to an end.

    :raises SubjectBusy: names one of them, its state and the run.
    """
    for start in range(0, len(subjects), 500):
        names = {"b_cloud_id": cloud_id, "b_run_id": run_id}
        part = list(subjects[start : start + 500])
        other = conn.execute(_UNFINISHED, {**names, "b_subjects": part}).first()
        if other is not None:
            raise errors.SubjectBusy(
                f"{other.subject} is {other.state} in run {other.run_id}: resume that run, or"
                " roll it back, first"
            )


def busy(subject: str, run_id: str, owner: str, for_s: float | None = None) -> errors.SubjectBusy:
    """Return the error that says who works on a subject."""
    return errors.SubjectBusy(
        f"{subject} is being worked on by run {run_id} (owner {owner});"
        " wait for it to end, or park it there",
        for_s,
    )


def event_rows(run_id: str, events: Sequence[Event]) -> list[dict[str, Any]]:
    """Return the rows of events."""
    return [
        {
            "run_id": run_id, "time": e.time, "subject": e.subject, "step": e.step,
            "what": e.what, "detail": e.detail, "owner": e.owner,
        }
        for e in events
    ]  # fmt: skip
