"""What live updates cost, measured: blackouts, the API calls in them, and the ids that are new."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType

from upgrade_flows.model.report import Outcome, Report
from upgrade_flows.reports import residue, tables, words


@dataclass(frozen=True)
class Call:
    """One API call of a blackout; ``begun_s`` is counted from the first one."""

    call: str
    item: str
    begun_s: float
    seconds: float


@dataclass(frozen=True)
class NewId:
    """An id that the plan said would change."""

    what: str
    old: str
    new: str


@dataclass(frozen=True)
class Update:
    """One instance whose workload has moved to another one.

    :param times: how many times as long as its unavoidable calls the blackout was.
    :param back: whether it is its original again, so that the old ids hold.
    """

    name: str
    blackout_s: float | None
    unavoidable_s: float | None
    calls: tuple[Call, ...]
    ids: tuple[NewId, ...]
    back: bool

    @property
    def times(self) -> str:
        """The blackout in unavoidable calls, as in ``1.4``; a dash where it is not known."""
        if self.blackout_s is None or not self.unavoidable_s:
            return "-"
        return f"{self.blackout_s / self.unavoidable_s:.1f}"


def of(report: Report) -> tuple[Update, ...]:
    """Return what is known of the live updates of a report; nothing for another capability."""
    return tuple(_update(outcome) for outcome in report.outcomes if _moved(outcome))


def parts(updates: tuple[Update, ...]) -> Iterator[RenderableType]:
    """Yield what is printed of live updates."""
    if not updates:
        return
    yield ""
    yield "Blackout, measured, and the API calls that it cannot do without:"
    yield ""
    numbers = ("Blackout", "Unavoidable", "Times", "Begins", "Takes")
    table = tables.table(("Server", *numbers[:3], "Call", "Item", *numbers[3:]), right=numbers)
    for update in updates:
        head = (
            words.safe(update.name),
            words.seconds(update.blackout_s),
            words.seconds(update.unavoidable_s),
            update.times,
        )
        for call in update.calls or (None,):
            table.add_row(*head, *_cells(call))
            head = ("", "", "", "")
    yield table
    lines = [line for update in updates for line in _ids(update)]
    if lines:
        yield ""
        yield "Old and new ids:"
        yield from lines


def _cells(call: Call | None) -> tuple[str, ...]:
    if call is None:
        return ("-", "", "", "")
    return (
        words.safe(call.call),
        words.safe(call.item),
        f"+{words.seconds(call.begun_s)}",
        words.seconds(call.seconds),
    )


def _ids(update: Update) -> Iterator[str]:
    back = " (taken back)" if update.back else ""
    for one in update.ids:
        ids = f"{words.safe(one.old)} -> {words.safe(one.new)}"
        yield f"  {words.safe(update.name)}: {one.what} {ids}{back}"


def _moved(outcome: Outcome) -> dict[str, Any]:
    moved = outcome.result.get("moved")
    return moved if isinstance(moved, dict) else {}


def _update(outcome: Outcome) -> Update:
    moved = _moved(outcome)
    calls = [one for one in moved.get("calls") or () if isinstance(one, dict)]
    begin = min((float(one.get("started", 0.0)) for one in calls), default=0.0)
    return Update(
        name=outcome.name or outcome.subject,
        blackout_s=moved.get("blackout_s"),
        unavoidable_s=moved.get("unavoidable_s"),
        calls=tuple(sorted((_call(one, begin) for one in calls), key=lambda one: one.begun_s)),
        ids=tuple(_new_ids(outcome)),
        back=outcome.state in residue.TAKEN_BACK,
    )


def _call(plain: dict[str, Any], begin: float) -> Call:
    return Call(
        str(plain.get("call", "")),
        str(plain.get("item", "")),
        round(float(plain.get("started", begin)) - begin, 3),
        float(plain.get("seconds", 0.0)),
    )


def _new_ids(outcome: Outcome) -> Iterator[NewId]:
    server = outcome.result.get("server_id")
    if server and server != outcome.subject:
        yield NewId("server", outcome.subject, str(server))
    for old, new in dict(outcome.result.get("ports") or {}).items():
        if new != old:
            yield NewId("port", str(old), str(new))
