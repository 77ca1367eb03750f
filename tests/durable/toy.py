"""A toy cloud that several processes share: a folder with every deed on record, and orders.

A step that begins, and one that ends, writes a line with one ``write`` to a file that is opened
for appending, so that what a killed process did is seen, and processes do not mix their lines.
"""

from __future__ import annotations

import json
import os
import random
import re
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from upgrade_flows.cloud.wait import SystemClock
from upgrade_flows.errors import StepFailed

#: the steps of a subject of ``engine_toy`` that are done, and undone in the other order
FORWARD = ("observe:{0}", "restore:{0}", "do:left-{0}", "do:right-{0}", "verify:{0}")


@dataclass(frozen=True)
class Deed:
    """One moment of a step: it begins, it ends, or it fails."""

    step: str
    verb: str
    moment: str
    owner: str
    time: float
    pid: int

    @property
    def subject(self) -> str:
        """The subject that the step is done to."""
        return re.sub(r"^[^:]*:((left|right|delete|forget)-)?", "", self.step)

    @property
    def what(self) -> str:
        """Which step in which direction: ``restore:a undo``."""
        return f"{self.step} {self.verb}"


class Stage:
    """The folder: deeds, the effects that they have left, and orders for deeds to come."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._deeds, self._orders = folder / "deeds", folder / "orders.json"
        self._effects = folder / "effects"
        self._effects.mkdir(parents=True, exist_ok=True)
        self._deeds.touch()

    def order(
        self,
        pace: tuple[float, float] = (0.0, 0.0),
        hold: dict[str, float] | None = None,
        fail: Iterable[str] = (),
    ) -> None:
        """Say how the steps that begin from now on go.

        :param pace: between which times, in seconds, a step takes.
        :param hold: how long certain steps take: ``{"restore:a undo": 1.5}``.
        :param fail: the steps that do their work and fail then.
        """
        new = self._orders.with_suffix(".new")
        new.write_text(json.dumps({"pace": pace, "hold": hold or {}, "fail": sorted(fail)}))
        new.replace(self._orders)

    def orders(self) -> dict[str, Any]:
        """Return what ``order`` said last."""
        return json.loads(self._orders.read_text())

    def note(self, deed: Deed) -> None:
        """Put a deed on record."""
        line = (json.dumps(asdict(deed)) + "\n").encode()
        handle = os.open(self._deeds, os.O_WRONLY | os.O_APPEND)
        try:
            assert os.write(handle, line) == len(line)
        finally:
            os.close(handle)

    def deeds(self, *moments: str) -> list[Deed]:
        """Return the moments of these kinds (beginnings), in the order of their writing."""
        lines = self._deeds.read_text().splitlines()
        found = [Deed(**json.loads(line)) for line in lines if line.endswith("}")]
        return [deed for deed in found if deed.moment in (moments or ("begin",))]

    def times(self) -> Counter[str]:
        """Count how often each step began, in each direction."""
        return Counter(deed.what for deed in self.deeds())

    def effect(self, step: str, verb: str) -> None:
        """Have a step's effect, or take it back; it may be there already."""
        if verb == "do":
            (self._effects / step).touch()
        else:
            (self._effects / step).unlink(missing_ok=True)

    def effects(self) -> set[str]:
        """Return the steps whose effects are there."""
        return {path.name for path in self._effects.iterdir()}


class SharedCloud:
    """The cloud of one process, as ``engine_toy``'s steps want it."""

    id = "toy"

    def __init__(self, stage: Stage, owner: str) -> None:
        self.stage, self.owner = stage, owner
        self.clock = SystemClock()
        self.orders: dict[tuple[str, str], Any] = {}

    def do(self, step: str, verb: str) -> None:
        """Take the time that was ordered, with the effect in the middle of it."""
        orders, what = self.stage.orders(), f"{step} {verb}"
        self._note(step, verb, "begin")
        seconds = orders["hold"].get(what) or random.uniform(*orders["pace"])
        time.sleep(seconds / 2)
        self.stage.effect(step, verb)
        time.sleep(seconds / 2)
        if what in orders["fail"]:
            self._note(step, verb, "fail")
            raise StepFailed(f"{what} was to fail")
        self._note(step, verb, "end")

    def _note(self, step: str, verb: str, moment: str) -> None:
        self.stage.note(Deed(step, verb, moment, self.owner, time.time(), os.getpid()))


def steps_of(*subjects: str) -> set[str]:
    """Return the names of all steps of a change."""
    return {step.format(subject) for subject in subjects for step in FORWARD}


def once(*subjects: str, verb: str = "do") -> Counter[str]:
    """Return what ``Stage.times`` says where every step was done, or undone, once."""
    return Counter(f"{step} {verb}" for step in steps_of(*subjects))
