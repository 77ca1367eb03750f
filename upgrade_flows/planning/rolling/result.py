"""What planning answers: windows, moves, how long it takes, how long it has to take at least."""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from upgrade_flows.model import codec

#: why an instance is moved to where it is moved
UPGRADED = "upgraded"
NO_ROOM = "no room on upgraded hosts"


@dataclass(frozen=True, slots=True)
class Window:
    """When a host is out of service: drained from ``start`` on, back at ``end``.

    ``drained`` and ``end`` are None where it did not come to that; ``failed`` says why the
    host is not upgraded, although it was begun.
    """

    host: str
    start: int
    drained: int | None = None
    end: int | None = None
    failed: str = ""


@dataclass(frozen=True, slots=True)
class Move:
    """A migration; one that failed has left its instance where it was."""

    instance: str
    source: str
    target: str
    start: int
    end: int
    why: str = UPGRADED
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Bound:
    """What no schedule can be faster than, and which of the four says so.

    ``where`` names the group of hosts and the resource class that it is about.
    """

    seconds: int
    by: str
    where: str = ""


@dataclass(frozen=True)
class Roll:
    """A rolling upgrade, done or predicted.

    :param began: the moment from which ``makespan`` counts.
    :param left: the hosts that are not upgraded, and why.
    :param stuck: the instances that end on a host that is not upgraded, and why.
    :param halted: why nothing more begins; empty where all goes on.
    :param variant: which variant of planning it comes from; a run has to go on with it.
    """

    windows: tuple[Window, ...] = ()
    moves: tuple[Move, ...] = ()
    makespan: int = 0
    bound: Bound = Bound(0, "nothing to do")
    left: dict[str, str] = field(default_factory=dict)
    stuck: dict[str, str] = field(default_factory=dict)
    pauses: dict[str, float] = field(default_factory=dict)
    halted: str = ""
    variant: int = 0

    @property
    def order(self) -> tuple[str, ...]:
        """The hosts in the order in which they begin."""
        return tuple(window.host for window in self.windows)

    @property
    def gap(self) -> float:
        """By what share the makespan exceeds the bound."""
        return self.makespan / self.bound.seconds - 1 if self.bound.seconds else 0.0

    @functools.cached_property
    def moved(self) -> Counter[str]:
        """How often each instance is moved."""
        return Counter(move.instance for move in self.moves if not move.failed)

    @property
    def moves_per_instance(self) -> float:
        """Moves divided by the instances that are moved at all."""
        return self.moved.total() / len(self.moved) if self.moved else 0.0

    @functools.cached_property
    def twice(self) -> dict[str, str]:
        """The instances that are moved more than once, and why."""
        reasons: dict[str, list[str]] = defaultdict(list)
        for move in self.moves:
            if not move.failed and move.why != UPGRADED:
                reasons[move.instance].append(f"{move.why} when {move.source} was drained")
        return {
            instance: "; ".join(reasons.get(instance, ["it was moved before"]))
            for instance, count in self.moved.items()
            if count > 1
        }

    def to_plain(self) -> dict[str, Any]:
        """Return the roll as plain JSON."""
        return dict(codec.to_plain(self))


@dataclass(frozen=True, slots=True)
class Running:
    """A migration that runs."""

    target: str
    start: int
    why: str = UPGRADED


@dataclass(frozen=True)
class Facts:
    """How far a rolling upgrade has come: all that deciding needs besides the fleet and rules.

    :param windows: of the hosts that were begun, in that order.
    :param moves: those that have ended, in that order.
    :param running: by instance; :param meant: targets chosen for moves that have not begun.
    :param left: the hosts that were given up, and why.
    """

    windows: tuple[Window, ...] = ()
    moves: tuple[Move, ...] = ()
    running: dict[str, Running] = field(default_factory=dict)
    meant: dict[str, Running] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)

    def to_plain(self) -> dict[str, Any]:
        """Return the facts as plain JSON."""
        return dict(codec.to_plain(self))

    @classmethod
    def from_plain(cls, value: Any) -> Facts:
        """Build facts from plain JSON.

        :raises ValueError: a key is unknown or missing.
        """
        return codec.from_plain(cls, value)
