"""What may be a left-over of ours, and how the marks on it are read."""

from __future__ import annotations

import calendar
import enum
import hashlib
import re
import time
from dataclasses import dataclass

#: an id of a run, as the journal gives them
RUN = r"\d{8}-[0-9a-f]{6}"
_TAG = re.compile(rf"({RUN})/[a-z][a-z-]*:.+")
_LOCK = re.compile(rf"upgrade-flows ({RUN})\b.*")
_HOLD = re.compile(rf"({RUN})/(\d+)")
_SHORT = re.compile(r"upgrade-flows-[0-9a-f]{20}")
_DAY_S = 86400.0

#: the verbs of the steps that make servers: by them a server's run is found without a journal
MAKERS = (
    "boot-surrogate", "boot-surrogate-from-volume", "create-replacement", "delete-original",
    "try-image", "prove-with-canary",
)  # fmt: skip


class Kind(enum.StrEnum):
    """The kinds of things, in the order in which they are removed."""

    SERVER = "server"
    PORT = "port"
    SNAPSHOT = "snapshot"
    VOLUME = "volume"
    IMAGE = "image"
    KEY = "key"
    HOLD = "hold"
    LOCK = "lock"


@dataclass(frozen=True)
class Thing:
    """One thing that bears a mark of ours.

    :param run: whose it is; empty where the mark does not say.
    :param mark: the short tag, where that is all it bears.
    :param until: until when it is meant to be kept, in epoch seconds.
    :param created: when it was made, at the latest, in epoch seconds.
    :param used: by whom it is used who is nobody of ours; such a thing is no left-over.
    :param held_by: the server of ours that has it; it goes after that one, or not at all.
    """

    kind: Kind
    id: str
    name: str
    run: str = ""
    mark: str = ""
    until: float | None = None
    created: float | None = None
    used: str = ""
    held_by: str = ""


def run_of(name: str) -> str:
    """Return the run that a name says, as in ``<run>/<step>``; empty if it says none."""
    found = _TAG.fullmatch(name)
    return found[1] if found else ""


def run_of_lock(reason: str | None) -> str:
    """Return the run that has locked a server, by the reason of the lock; empty for others."""
    found = _LOCK.fullmatch(reason or "")
    return found[1] if found else ""


def of_hold(user_id: str) -> tuple[str, float | None]:
    """Return the run of a hold in Placement, and until when it is meant, by its user."""
    found = _HOLD.fullmatch(user_id)
    return (found[1], float(found[2])) if found else ("", None)


def short_tag_in(*words: str) -> str:
    """Return the first short tag among words; empty if there is none."""
    return next((word for word in words if _SHORT.fullmatch(word)), "")


def short_tag(run: str, step: str) -> str:
    """Return what the servers bear that a step has made (as ``Step.short_tag``)."""
    return "upgrade-flows-" + hashlib.sha256(f"{run}/{step}".encode()).hexdigest()[:20]


def day_after(run: str) -> float | None:
    """Return the end of the day in whose course a run began; None if its id says no day."""
    try:
        return calendar.timegm(time.strptime(run[:8], "%Y%m%d")) + _DAY_S
    except ValueError:
        return None


def moment(text: str) -> float | None:
    """Return a moment as Nova writes it in epoch seconds; None if it is none."""
    try:
        return float(calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")))
    except ValueError:
        return None


def seconds(text: object) -> float | None:
    """Return the moment that a property holds in epoch seconds; None if it holds none."""
    try:
        return float(str(text))
    except ValueError:
        return None
