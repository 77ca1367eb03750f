"""Measure some steps, in a process of their own so that nobody pays for what another left."""

from __future__ import annotations

import gc
import multiprocessing
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import sqlalchemy as sa

from tests.bench.errors import BenchError

SECONDS = 120


@dataclass(frozen=True)
class Sample:
    """What one step cost: milliseconds, and transactions that were committed (None: unknown).

    ``cpu_ms`` is that of the client alone, of all its threads; on SQLite there is nothing else.
    """

    wall_ms: float
    cpu_ms: float
    commits: float | None


def measure(steps: int, work: Callable[[], object]) -> Sample:
    """Do work that consists of so many steps; commits are those that SQLAlchemy sends."""
    commits = 0

    def count(_: sa.Connection) -> None:
        nonlocal commits
        commits += 1

    sa.event.listen(sa.Engine, "commit", count)
    gc.collect()
    try:
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    finally:
        sa.event.remove(sa.Engine, "commit", count)
    return Sample(wall * 1000 / steps, cpu * 1000 / steps, commits / steps)


def apart(function: Callable[..., Sequence[Any]], *args: Any) -> list[Any]:
    """Call a function in a child that is forked, with everything imported already.

    :raises BenchError: it failed, or did not return within ``SECONDS``.
    """
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(theirs, function, args), daemon=True)
    child.start()
    theirs.close()
    try:
        if not ours.poll(SECONDS):
            raise BenchError(f"did not end within {SECONDS} s")
        found, why = ours.recv()
    except EOFError:
        raise BenchError("the measuring process died") from None
    finally:
        child.kill()  # it has said everything
        child.join()
        ours.close()
    if why:
        raise BenchError(why)
    return found


def _child(pipe: Connection, function: Callable[..., Sequence[Any]], args: Sequence[Any]) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    try:
        pipe.send((list(function(*args)), None))
    except Exception as exc:
        last = traceback.extract_tb(exc.__traceback__)[-1]
        pipe.send((None, f"{type(exc).__name__}: {exc} ({last.filename}:{last.lineno})"))
