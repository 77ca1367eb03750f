"""Borrow a key for the moment in which a server is created on its owner's behalf."""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from collections.abc import Iterator

from upgrade_flows import errors
from upgrade_flows.cloud import wait
from upgrade_flows.steps.base import Step

#: one creation at a time, within a process, may use a name
_LOCKS: dict[str, threading.Lock] = defaultdict(threading.Lock)

#: how long another process may keep a key of the same name, in seconds
_PATIENCE_S = 60.0


@contextlib.contextmanager
def borrowed(step: Step, owner: str, name: str | None) -> Iterator[None]:
    """Have the owner's public key under our own user while the block runs.

    Nova looks a key up by the user who creates the server, and copies it into the server; so
    ours is needed for that one call.  It bears the step's tag as its comment.  A key of that
    name that we have ourselves is used if it is the same one.

    :raises NotFound: the owner has no such key any more.
    :raises StepFailed: our user has another key of that name.
    """
    compute = step.ctx.cloud.compute
    own = compute.own_user_id()
    if not name or owner == own:
        yield
        return
    public = _key(compute.public_key(owner, name))
    with _LOCKS[name]:
        _import(step, own, name, public)
        try:
            yield
        finally:
            give_back(step, name)


def give_back(step: Step, name: str | None) -> None:
    """Delete the borrowed key, also one that an attempt before a crash left behind."""
    compute = step.ctx.cloud.compute
    if name and step.short_tag in _own_key(step, compute.own_user_id(), name):
        with contextlib.suppress(errors.NotFound):
            compute.delete_keypair(name)


def _import(step: Step, own: str, name: str, public: str) -> None:
    """Import the key, waiting for another process that has borrowed one of that name."""

    def is_there() -> bool:
        try:
            step.ctx.cloud.compute.import_keypair(name, f"{public} {step.short_tag}")
        except errors.Conflict:
            return _key(_own_key(step, own, name)) == public
        return True

    try:
        wait.until(step.ctx.cloud.clock, f"our key {name}", is_there, bool, deadline_s=_PATIENCE_S)
    except errors.TimedOut as exc:
        raise errors.StepFailed(
            f"the key {name} could not be imported ({exc}): if our user has another key of that"
            " name, rename or delete it first"
        ) from exc


def _own_key(step: Step, own: str, name: str) -> str:
    """Return the public part of our key of that name, or nothing."""
    try:
        return step.ctx.cloud.compute.public_key(own, name)
    except errors.NotFound:
        return ""


def _key(public: str) -> str:
    """Return the type and the key of a public key's line, without its comment."""
    return " ".join(public.split()[:2])
