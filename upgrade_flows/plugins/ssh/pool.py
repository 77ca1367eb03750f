"""Keep connections open between commands: to connect takes longer than most commands."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from typing import Any, TypeVar

import asyncssh

from upgrade_flows.errors import HostError, HostUnreachable
from upgrade_flows.plugins.ssh import connection as ssh

T = TypeVar("T")

#: seconds in which a connection that was kept has to take a command; else it counts as lost
PROMPT_S = 5.0

#: seconds after which a connection that nobody uses is closed
IDLE_S = 600.0

Connect = Callable[[], Awaitable[asyncssh.SSHClientConnection]]


class Pool:
    """Connections by keys of the caller's own, in an event loop with a thread of its own."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = 0
        self._kept: dict[Hashable, asyncssh.SSHClientConnection] = {}
        self._used: dict[Hashable, int] = {}
        self._locks: dict[Hashable, asyncio.Lock] = {}

    def run(
        self,
        key: Hashable,
        connect: Connect,
        who: str,
        what: str,
        command: str,
        script: str,
        deadline_s: float,
    ) -> str:
        """Run a command, give it a script, and return what it said.

        A connection that was lost before it took the command is made anew.

        :raises HostUnreachable: also if the connection is lost while the command runs.
        :raises HostError: the command failed, or took too long.
        """
        return self._wait(self._run(key, connect, who, what, command, script, deadline_s))

    def close(self, key: Hashable) -> None:
        """Close the connection of a key, if there is one."""
        self._wait(self._close(key))

    async def _run(
        self,
        key: Hashable,
        connect: Connect,
        who: str,
        what: str,
        command: str,
        script: str,
        deadline_s: float,
    ) -> str:
        async with self._locks.setdefault(key, asyncio.Lock()):
            process = await self._begin(key, connect, who, command)
        try:
            process.stdin.write(script.encode())
            process.stdin.write_eof()
            done = await process.wait(timeout=deadline_s)
        except TimeoutError as exc:
            raise HostError(
                f"{who}: {what} did not end within {deadline_s:g} s, and may still go on"
            ) from exc
        except (asyncssh.Error, OSError) as exc:
            raise ssh.ConnectionEnded(
                f"{who}: the connection was lost while {what} ran: {exc}"
            ) from exc
        finally:
            process.close()
            self._age(key)
        return ssh.answer(who, what, done)

    async def _begin(
        self, key: Hashable, connect: Connect, who: str, command: str
    ) -> asyncssh.SSHClientProcess[bytes]:
        kept = self._kept.get(key)
        if kept is not None:
            try:
                return await asyncio.wait_for(kept.create_process(command, encoding=None), PROMPT_S)
            except (asyncssh.Error, OSError, TimeoutError):
                self._kept.pop(key, None)
                kept.abort()
        made = await connect()
        self._kept[key] = made
        try:
            return await asyncio.wait_for(made.create_process(command, encoding=None), PROMPT_S)
        except (asyncssh.Error, OSError, TimeoutError) as exc:
            self._kept.pop(key, None)
            made.abort()
            raise HostUnreachable(f"{who}: takes no command: {exc}") from exc

    def _age(self, key: Hashable) -> None:
        self._used[key] = turn = self._used.get(key, 0) + 1
        asyncio.get_running_loop().call_later(IDLE_S, self._expire, key, turn)

    def _expire(self, key: Hashable, turn: int) -> None:
        if self._used.get(key) == turn:
            del self._used[key]
            kept = self._kept.pop(key, None)
            if kept is not None:
                kept.close()

    async def _close(self, key: Hashable) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            await ssh.close(kept)

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        waiting = asyncio.run_coroutine_threadsafe(work, self._running())
        try:
            return waiting.result()
        except BaseException:
            waiting.cancel()
            raise

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._guard:
            if self._loop is None or self._process != os.getpid():
                self._process = os.getpid()
                self._loop = asyncio.new_event_loop()
                self._kept, self._used, self._locks = {}, {}, {}
                threading.Thread(target=self._loop.run_forever, name="ssh", daemon=True).start()
            return self._loop


#: the one of this process
POOL = Pool()
