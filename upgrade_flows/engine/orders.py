"""What an operator can want of a run: each order is one transaction, and does nothing else.

Whoever works on the run (this process, or conductors) sees what is wanted now, and does it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from upgrade_flows import errors
from upgrade_flows.engine import claims, database, schema, standing
from upgrade_flows.engine.records import RunRecord
from upgrade_flows.engine.scheduler import Moves, RunState, Work, run_state
from upgrade_flows.engine.store import Journal, new_run_id
from upgrade_flows.model.plan import Plan
from upgrade_flows.model.report import State

#: states from which there is something to take back
UNDOABLE = (
    State.CHANGED, State.CHANGING, State.PARKED, State.UNDOING, State.RESIDUE, State.QUARANTINED,
    State.HELD, State.SKIPPED,
)  # fmt: skip

#: states in which a run can be told to go on without a subject
SKIPPABLE = (State.PENDING, State.HELD, State.QUARANTINED, State.PARKED)

SETTLEABLE = (State.CHANGED, State.SETTLING)

_GOOD_FOR = {
    Work.UNDO: [str(state) for state in UNDOABLE],
    Work.SETTLE: [str(state) for state in (*SETTLEABLE, State.QUARANTINED)],
}


class Orders:
    """Gives orders on the runs of one cloud."""

    def __init__(self, journal: Journal, cloud_id: str) -> None:
        self._journal, self._cloud_id = journal, cloud_id

    def record(self, run_id: str) -> RunRecord:
        """Return a run of this cloud.

        :raises PlanChanged: it is a run of another cloud.
        """
        record = self._journal.run(run_id)
        if record.cloud_id != self._cloud_id:
            raise errors.PlanChanged(
                f"run {run_id} is of the cloud {record.cloud_id}, not of {self._cloud_id}"
            )
        return record

    def start(self, plan: Plan, submitted: bool = False) -> str:
        """Record a run of a plan and return its id; nothing is touched yet.

        :param submitted: whether conductors are to carry it out.
        :raises PlanChanged: the plan was edited, or is for another cloud.
        :raises SubjectBusy: another run has one of the subjects.
        """
        plan.check_for(self._cloud_id)
        subjects = [action.subject for action in plan.actions]
        if len(set(subjects)) != len(subjects):
            raise errors.RequestError(f"plan {plan.id} has more than one action for a subject")
        run_id = new_run_id(self._journal.now())
        self.refuse_busy(subjects, run_id)
        return self._journal.create_run(plan, run_id, submitted)

    def refuse_busy(self, subjects: Sequence[str], run_id: str) -> None:
        """Refuse subjects that somebody is working on, or that are unfinished in another run.

        :raises SubjectBusy: names one of them, and what it is busy with.
        """
        journal, le = self._journal, schema.leases.c

        def look() -> None:
            with database.reader(journal.engine).connect() as conn:
                claims.refuse_unfinished(conn, self._cloud_id, subjects, run_id)
                held = conn.execute(
                    sa.select(le.subject, le.run_id, le.owner).where(le.cloud_id == self._cloud_id)
                ).all()
                wanted = set(subjects)
                for row in held:
                    if row.subject in wanted and journal.claims.alive(conn, row.owner):
                        raise claims.busy(row.subject, row.run_id, row.owner)

        database.patiently("the journal cannot be read", look)

    def pause(self, run_id: str) -> None:
        """Let nothing more begin in a run, and have its current steps be the last ones."""
        self.record(run_id)
        self._journal.update_run(run_id, moves=Moves.NONE)

    def resume(self, run_id: str) -> None:
        """Let a run go on, also with what was quarantined in it."""
        record = self.record(run_id)
        values = {"moves": str(Moves.ALL)} | _to_be_seen(record)
        self._change(run_id, values, release=None)

    def rollback(self, run_id: str, subjects: Sequence[str] | None = None) -> set[str]:
        """Want what was done to the subjects taken back; return which they are.

        Without subjects, the whole run is withdrawn: what is pending never begins.

        :raises RequestError: a named subject has nothing that can be taken back.
        """
        record = self.record(run_id)
        chosen = self._choose(record, subjects, UNDOABLE, "taken back")
        values = {"withdrawn": True} if subjects is None else {}
        values |= _let_go_back(record)
        self._change(run_id, values, release=chosen, want=(Work.UNDO, chosen))
        return chosen

    def commit(self, run_id: str, subjects: Sequence[str] | None = None) -> set[str]:
        """Want the way back of the subjects given up; return which they are.

        :raises RequestError: a named subject is not changed.
        """
        record = self.record(run_id)
        chosen = self._choose(record, subjects, SETTLEABLE, "committed")
        self._change(run_id, _let_go_back(record), release=chosen, want=(Work.SETTLE, chosen))
        return chosen

    def skip(self, run_id: str, subjects: Sequence[str]) -> set[str]:
        """Leave subjects as they are, and let the run go on without them; return which they are.

        :raises RequestError: a named subject is not waiting for anybody's decision.
        :raises SubjectBusy: a process works on one.
        """
        record = self.record(run_id)
        chosen = self._choose(record, subjects, SKIPPABLE, "skipped")
        self.refuse_busy(sorted(chosen), run_id)
        self._journal.skip(run_id, sorted(chosen))
        return chosen

    def conclude(self, run_id: str) -> str:
        """Note where a run stands, if nobody is working on it; return its state."""
        journal, r, le = self._journal, schema.runs.c, schema.leases.c

        def conclude() -> str:
            with journal.engine.begin() as conn:
                run = conn.execute(
                    sa.select(r.id, r.state, r.moves, r.submitted, r.withdrawn, r.ordered)
                    .where(r.id == run_id)
                    .with_for_update()
                ).one()
                decision = journal.claims.decide_in(conn, run) if run.submitted else None
                if decision is not None and (decision.jobs or decision.wake is not None):
                    return str(run.state)  # conductors are about to go on
                owners = conn.execute(
                    sa.select(le.owner).where(le.run_id == run_id).distinct()
                ).scalars()
                if any(journal.claims.alive(conn, owner) for owner in owners):
                    return str(run.state)
                outline = journal.claims.outline(conn, run_id)
                failed = standing.read(conn, run_id, outline).failed
                state = run_state(
                    outline, _counts(conn, run_id), failed, bool(run.withdrawn),
                    _ordered(conn, run_id),
                )  # fmt: skip
                if state != run.state:
                    ended = None if state == "parked" else journal.now()
                    conn.execute(
                        sa.update(schema.runs)
                        .where(r.id == run_id)
                        .values(state=str(state), ended=ended)
                    )
                return str(state)

        state: str = database.patiently("the journal cannot be written", conclude)
        return state

    def _change(
        self,
        run_id: str,
        values: dict[str, Any],
        release: set[str] | None,
        want: tuple[Work, set[str]] | None = None,
    ) -> None:
        """Change a run and its subjects in one transaction.

        :param release: the subjects that are to leave their quarantine; None: all.
        """
        journal, s = self._journal, schema.subjects.c

        def change() -> None:
            with journal.engine.begin() as conn:
                locked = sa.select(schema.runs.c.id).where(schema.runs.c.id == run_id)
                conn.execute(locked.with_for_update()).one()
                if values:
                    update = sa.update(schema.runs).where(schema.runs.c.id == run_id)
                    conn.execute(update.values(**values))
                if want is not None:
                    work, chosen = want
                    for batch in _batches(chosen):
                        conn.execute(
                            sa.update(schema.subjects)
                            .where(
                                s.run_id == run_id,
                                s.subject.in_(batch),
                                s.state.in_(_GOOD_FOR[work]),  # it may have moved on meanwhile
                            )
                            .values(work=str(work))
                        )
                if values.get("withdrawn"):
                    conn.execute(
                        sa.update(schema.subjects)
                        .where(s.run_id == run_id, s.state == str(State.PENDING))
                        .values(work="")
                    )
                batches: list[Any] = [None] if release is None else _batches(release)
                for names in batches:
                    for work, state in _RELEASED.items():
                        query = sa.update(schema.subjects).where(
                            s.run_id == run_id,
                            s.state.in_([str(State.QUARANTINED), str(State.HELD)]),
                            s.work == str(work),
                        )
                        if names is not None:
                            query = query.where(s.subject.in_(names))
                        conn.execute(query.values(state=str(state), tries=0))

        database.patiently("the order cannot be recorded", change)

    def _choose(
        self, record: RunRecord, wanted: Sequence[str] | None, good: tuple[State, ...], verb: str
    ) -> set[str]:
        states = {name: r.state for name, r in self._journal.subjects(record.id).items()}
        if wanted is None:
            return {subject for subject, state in states.items() if state in good}
        for subject in wanted:
            if subject not in states:
                raise errors.RequestError(f"run {record.id} has no subject {subject!r}")
            if states[subject] not in good:
                raise errors.RequestError(
                    f"{subject} is {states[subject]}: it cannot be {verb} (only {', '.join(good)})"
                )
        return set(wanted)


_RELEASED = {
    Work.CHANGE: State.PARKED,
    Work.UNDO: State.UNDOING,
    Work.SETTLE: State.SETTLING,
}


def _let_go_back(record: RunRecord) -> dict[str, Any]:
    """Return what makes a paused run go back, but not on."""
    moves = {"moves": str(Moves.BACK)} if record.moves == Moves.NONE else {}
    return {"ordered": True} | moves | _to_be_seen(record)


def _to_be_seen(record: RunRecord) -> dict[str, Any]:
    """Return what makes conductors look at a run, also when nobody tells them of it."""
    return {"state": str(RunState.RUNNING), "ended": None} if record.submitted else {}


def _batches(names: set[str]) -> list[list[str]]:
    ordered = sorted(names)
    return [ordered[start : start + 500] for start in range(0, len(ordered), 500)]


def _ordered(conn: sa.Connection, run_id: str) -> bool:
    s = schema.subjects.c
    works = [str(Work.UNDO), str(Work.SETTLE)]
    query = sa.select(s.subject).where(s.run_id == run_id, s.work.in_(works)).limit(1)
    return conn.execute(query).first() is not None


def _counts(conn: sa.Connection, run_id: str) -> dict[State, int]:
    s = schema.subjects.c
    query = sa.select(s.state, sa.func.count().label("number")).where(s.run_id == run_id)
    return {State(row.state): row.number for row in conn.execute(query.group_by(s.state))}
