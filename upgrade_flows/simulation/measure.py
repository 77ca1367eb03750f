"""What came of a simulation: from the cloud's own records, not from what the flows say."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import cast

from upgrade_flows.cloud.fake.durations import DURATIONS
from upgrade_flows.cloud.fake.transfers import SCHEDULING
from upgrade_flows.cloud.fake.world import World
from upgrade_flows.engine.records import Event, SubjectRecord
from upgrade_flows.model.report import State
from upgrade_flows.planning.rolling import Fleet, Ground, Move, Roll, Window
from upgrade_flows.planning.rolling.check import check
from upgrade_flows.simulation.report import Peak

_CALLS = ("live-migration", "migrate")
SCHEDULED_S = DURATIONS[SCHEDULING]
_THROUGH = ("completed", "finished", "confirmed")
_DONE = (State.CHANGED, State.SETTLED)


@dataclass(frozen=True)
class Flight:
    """A migration, in seconds since the run began; ``end`` is None where it never ended.

    ``refused``: the scheduler had no host for it, so it has failed before it began.
    """

    instance: str
    source: str
    target: str
    start: float
    end: float | None
    failed: bool
    refused: bool = False


@dataclass(frozen=True)
class Absence:
    """When a host was out of service: from the moment it was begun until it was back, if ever."""

    host: str
    start: float
    drained: float | None
    end: float | None
    failed: str


def flights(world: World, base: float) -> list[Flight]:
    """Return all migrations that a cloud has on record.

    :param base: the epoch seconds from which is counted.
    """
    found = []
    for server_id, records in world.migrations.items():
        made = [action for action in world.actions[server_id] if action.action in _CALLS]
        for record, action in zip(records, made, strict=True):
            failed = record.status not in _THROUGH
            start = action.start - base
            end = None if action.finish is None else action.finish - base
            refused = failed and end is not None and end - start < 2 * SCHEDULED_S
            found.append(
                Flight(server_id, record.source, record.destination, start, end, failed, refused)
            )
    return sorted(found, key=lambda one: (one.start, one.instance))


def absences(
    subjects: dict[str, SubjectRecord], events: Iterable[Event], base: float
) -> list[Absence]:
    """Return when hosts were out of service, in the order in which they were begun."""
    drained = {
        event.subject: event.time - base
        for event in events
        if event.what == "finished" and event.step.startswith("prove-empty:")
    }
    found = []
    for name, subject in subjects.items():
        if subject.started is None or subject.state is State.REFUSED:
            continue
        done = subject.state in _DONE
        end = subject.ended - base if done and subject.ended is not None else None
        failed = "" if done else subject.error or str(subject.state)
        found.append(Absence(name, subject.started - base, drained.get(name), end, failed))
    return sorted(found, key=lambda one: (one.start, one.host))


def roll_of(
    ground: Ground,
    subjects: dict[str, SubjectRecord],
    moved: list[Flight],
    away: list[Absence],
) -> Roll:
    """Return the rolling upgrade that was made: its seconds are not whole ones."""
    known = ground.number_of
    upgraded = {host.name for host in ground.fleet.hosts if host.upgraded}
    upgraded |= {name for name, subject in subjects.items() if subject.state in _DONE}
    left = {
        host.name: subjects[host.name].error if host.name in subjects else host.excluded
        for host in ground.fleet.hosts
        if host.name not in upgraded
    }
    where = {one.id: one.host for one in ground.instances}
    where |= {one.instance: one.target for one in moved if not one.failed}
    return Roll(
        windows=tuple(
            Window(one.host, _at(one.start), _or_none(one.drained), _or_none(one.end), one.failed)
            for one in away
        ),
        moves=tuple(
            Move(one.instance, one.source, one.target, _at(one.start), _at(one.end),
                 failed=one.failed)
            for one in moved
            if one.instance in known and one.end is not None and not one.refused
            and one.target in ground.number
        ),
        makespan=_at(ends(moved, away)),
        left=left,
        stuck={name: left[host] for name, host in where.items()
               if name in known and host in left},
    )  # fmt: skip


def ends(moved: list[Flight], away: list[Absence]) -> float:
    """Return when the last thing ended."""
    marks = [one.end for one in moved if one.end is not None]
    for one in away:
        marks += [at for at in (one.start, one.drained, one.end) if at is not None]
    return max(marks, default=0.0)


def exceeded(ground: Ground, roll: Roll, peaks: Iterable[Peak], returns: bool) -> tuple[str, ...]:
    """Return what was broken of the plan's rules, as sentences.

    :param returns: instances were brought back to their hosts, which the planner knows nothing
        of: then only limits are looked at.
    """
    over = [
        f"{peak.what}: {peak.most} at a time, {peak.limit} allowed"
        for peak in peaks
        if peak.limit is not None and peak.most > peak.limit
    ]
    found = [] if returns else check(ground.fleet, ground.rules, roll, predicted=False)
    return (*over, *found)


def peaks(ground: Ground, moved: list[Flight], away: list[Absence]) -> tuple[Peak, ...]:
    """Return the most that there was of each limited thing at any moment."""
    limits = ground.rules.limits
    places = _places(ground.fleet)
    out = [(one.start, one.end, places[one.host]) for one in away]
    moves = [
        (one.start, one.end, {"total": "all", "host": one.source, "to": one.target})
        for one in moved
        if not one.refused
    ]
    by_az = _most(out, ("az",))
    by_domain = _most([one for one in out if one[2]["domain"]], ("domain",))
    return (
        Peak("hosts out of service", _most(out, ("total",)), limits.out_of_service),
        Peak("hosts out of service in one availability zone", by_az, limits.out_per_az),
        Peak("hosts out of service in one failure domain", by_domain, limits.out_per_domain),
        Peak("migrations", _most(moves, ("total",)), limits.migrations_total),
        Peak("migrations of one host", _most(moves, ("host", "to")), limits.migrations_per_host),
    )


def _places(fleet: Fleet) -> dict[str, dict[str, str]]:
    return {
        host.name: {"total": "all", "az": f"{host.cell}/{host.az}", "domain": host.failure_domain}
        for host in fleet.hosts
    }


def _most(
    spans: Iterable[tuple[float, float | None, dict[str, str]]], keys: tuple[str, ...]
) -> int:
    """Return how many spans there are at most at one moment that have a name in common."""

    def marks() -> Iterator[tuple[float, int, str]]:
        for start, end, names in spans:
            for key in keys:
                yield start, 1, names[key]
                if end is not None:
                    yield end, -1, names[key]

    now: Counter[str] = Counter()
    most: dict[str, int] = defaultdict(int)
    for _, step, name in sorted(marks()):  # at the same moment, ends go first
        now[name] += step
        most[name] = max(most[name], now[name])
    return max(most.values(), default=0)


def _at(seconds: float) -> int:
    return cast(int, round(seconds, 3))  # replaying does not mind the fraction


def _or_none(seconds: float | None) -> int | None:
    return None if seconds is None else _at(seconds)
