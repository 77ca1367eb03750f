"""Putting the parts together: each is waited for, and what can never work is refused."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from typing import TypeVar

import sqlalchemy as sa

from upgrade_flows import errors
from upgrade_flows.cloud.api import Cloud
from upgrade_flows.engine import boards, database, schema
from upgrade_flows.engine.boards import Board, BoardError, open_board
from upgrade_flows.engine.conductor import CLAIM_SHARE, Conductor
from upgrade_flows.engine.store import Journal
from upgrade_flows.engine.worker import RunObserver, Tools
from upgrade_flows.planning import planner
from upgrade_flows.service.settings import Settings, open_to_all
from upgrade_flows.steps.base import Plugins

LOG = logging.getLogger(__name__)

T = TypeVar("T")

#: how long each part is waited for that does not answer, in seconds
PATIENCE_S = 60.0


class Unreachable(errors.UpgradeFlowsError):
    """Something that the conductor needs did not answer for too long."""


class Stopped(Exception):
    """The process was told to stop while it was still starting."""


class Wiring:
    """The parts of one process; a test hands in others."""

    def plugins(self) -> Plugins:
        """The plugins, all of them loaded and complete."""
        from upgrade_flows.plugins import registry

        plugins: Plugins = registry.load()
        return plugins

    def cloud(self, settings: Settings) -> Cloud:
        """The cloud that is configured; nothing is sent yet."""
        from upgrade_flows.cloud import clients

        try:
            cloud: Cloud = clients.connect(cloud=settings.cloud, region=settings.region)
        except errors.RequestError as exc:
            raise errors.RequestError(f"{exc}; here [cloud] name stands for --os-cloud") from exc
        return cloud

    def journal(self, settings: Settings) -> Journal:
        """The journal, open."""
        return Journal.open(settings.journal, settings.key_file)

    def board(self, settings: Settings, owner: str) -> Board:
        """The job board, connected."""
        return open_board(settings.board, owner, settings.ttl_s * CLAIM_SHARE)

    def conductor(
        self,
        settings: Settings,
        owner: str,
        journal: Journal,
        board: Board,
        cloud: Cloud,
        plugins: Plugins,
        observer: RunObserver,
    ) -> Conductor:
        """The loop itself, ready to run."""
        return Conductor(
            journal,
            board,
            Tools(cloud, plugins, settings.steps, journal.vault),
            owner=owner,
            jobs=settings.jobs,
            ttl_s=settings.ttl_s,
            steps_at_a_time=settings.steps_at_a_time,
            most_tries=settings.most_tries,
            verify=functools.partial(planner.verify, cloud, plugins),
            observer=observer,
        )


def patiently(what: str, call: Callable[[], T], rest: Callable[[float], None]) -> T:
    """Call until there is an answer.

    :param rest: sleeps; raises ``Stopped`` when the process is told to stop meanwhile.
    :raises Unreachable: there was none for ``PATIENCE_S``.
    """
    until = time.monotonic() + PATIENCE_S
    pause = 1.0
    while True:
        try:
            return call()
        except (errors.UpgradeFlowsError, sa.exc.SQLAlchemyError) as exc:
            if not _passing(exc):
                raise
            left = until - time.monotonic()
            if left <= 0:
                raise Unreachable(f"{what} did not answer for {PATIENCE_S:.0f} s: {exc}") from exc
            LOG.warning("%s does not answer, trying again: %s", what, exc)
            rest(min(pause, left))
            pause = min(2 * pause, 10.0)


def _passing(exc: Exception) -> bool:
    if isinstance(exc, (errors.Unavailable, errors.TimedOut, BoardError)):
        return True
    cause = exc.__cause__ if isinstance(exc, errors.JournalError) else exc
    return database.passing(cause)


def check_board(settings: Settings) -> None:
    """Refuse a board's URL that cannot be understood, before anything is waited for.

    :raises RequestError: says what is wrong with it.
    """
    try:
        boards.address.parse(settings.board)
    except errors.RequestError as exc:
        raise errors.RequestError(f"[board] url: {exc}") from None


def check_key(settings: Settings) -> None:
    """Refuse a journal on a server whose key this host does not have.

    A key that is made here could open nothing that others have sealed.

    :raises RequestError: says where to get it.
    """
    if settings.journal.startswith("sqlite"):
        return
    if settings.key_file is None:
        raise errors.RequestError(
            "[journal] key_file is missing: a journal on a database server needs it; copy the"
            " file from a machine that works on this journal, and name it"
        )
    if not settings.key_file.exists():
        raise errors.RequestError(
            f"[journal] key_file {settings.key_file} does not exist: copy it from a machine that"
            " works on this journal; the manual says how one is made for a new journal"
        )
    if open_to_all([str(settings.key_file)]):
        LOG.warning("every user of this host can read %s: chmod o= it", settings.key_file)


def check_machine(journal: Journal, here: str) -> None:
    """Refuse a journal in a file that a process on another machine works on, too.

    :param here: our owner's name, which begins with our host's.
    :raises RequestError: names the other host.
    """
    if journal.engine.dialect.name != "sqlite":
        return
    o = schema.owners.c
    with database.reader(journal.engine).connect() as conn:
        alive = conn.execute(sa.select(o.owner).where(o.expires > journal.now())).scalars().all()
    others = {host for host in (name.split("/")[0] for name in alive) if host != here.split("/")[0]}
    if others:
        raise errors.RequestError(
            f"the journal is an SQLite file, and {', '.join(sorted(others))} works on it as well:"
            " conductors on several machines need a journal on MariaDB or PostgreSQL"
        )
    LOG.info("The journal is an SQLite file: only this machine can work on its runs")
