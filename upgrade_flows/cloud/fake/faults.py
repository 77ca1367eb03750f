"""Faults on demand: calls that fail, answers that get lost, operations that never end."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

When = Literal["before", "after"]
Hook = Callable[[str, tuple[Any, ...], str], None]
Choose = Callable[[str], str | None]
R = TypeVar("R")


@dataclass
class _Failure:
    call: str
    error: BaseException
    when: When
    skip: int
    left: int | None
    subject: str | None


@dataclass
class _Ending:
    call: str
    status: str
    subject: str | None
    left: int | None


class Faults:
    """What is to go wrong, by the name of the call (``compute.stop``, ``network.bind``).

    ``subject`` restricts a fault to calls whose first argument is that id.
    """

    def __init__(self) -> None:
        self._failures: list[_Failure] = []
        self._endings: list[_Ending] = []
        self._hooks: list[Hook] = []
        self._choices: dict[str, Choose] = {}

    def fail(
        self,
        call: str,
        error: BaseException,
        nth: int = 1,
        times: int | None = 1,
        when: When = "before",
        subject: str | None = None,
    ) -> None:
        """Let the nth call from now, and the ones after it, raise ``error``.

        :param times: how many calls fail; None for all from the nth on.
        :param when: ``before`` nothing has happened; ``after``: the effect is there, and only
            the answer is lost.
        """
        self._failures.append(_Failure(call, error, when, nth - 1, times, subject))

    def stuck(self, call: str, subject: str | None = None, times: int | None = None) -> None:
        """Let operations that this call starts never complete."""
        self._endings.append(_Ending(call, "", subject, times))

    def break_result(
        self,
        call: str,
        status: str = "ERROR",
        subject: str | None = None,
        times: int | None = None,
    ) -> None:
        """Let operations that this call starts end in ``status`` instead of succeeding.

        The status is the server's, or the image's for ``compute.create_image``.
        """
        self._endings.append(_Ending(call, status, subject, times))

    def choose(self, call: str, choice: Choose) -> None:
        """Ask ``choice`` how each operation that this call starts ends, by its subject.

        It returns "" for never, None for well, else a status as for ``break_result``.
        """
        self._choices[call] = choice

    def hook(self, callback: Hook) -> None:
        """Have ``callback(name, args, phase)`` called around every call.

        ``phase`` is ``before`` or ``after`` (the effect is there).  What it raises reaches
        the caller: a simulated kill takes its snapshots and raises.
        """
        self._hooks.append(callback)

    def clear(self) -> None:
        """Forget all faults and hooks."""
        self._failures.clear()
        self._endings.clear()
        self._hooks.clear()
        self._choices.clear()

    # for the cloud

    def take(self, call: str, args: tuple[Any, ...], when: When) -> BaseException | None:
        """Return the error that this call is to raise, and count it."""
        for failure in self._failures:
            if failure.when != when or not _matches(failure.call, failure.subject, call, args):
                continue
            if failure.skip > 0:
                failure.skip -= 1
            elif failure.left is None:
                return failure.error
            elif failure.left > 0:
                failure.left -= 1
                return failure.error
        return None

    def ending(self, call: str, subject: str) -> str | None:
        """Return how an operation is to end: "" never, None well, else a status."""
        for ending in self._endings:
            if _matches(ending.call, ending.subject, call, (subject,)) and ending.left != 0:
                if ending.left is not None:
                    ending.left -= 1
                return ending.status
        choice = self._choices.get(call)
        return None if choice is None else choice(subject)

    def tell(self, call: str, args: tuple[Any, ...], phase: str) -> None:
        """Call the hooks."""
        for hook in list(self._hooks):
            hook(call, args, phase)


Perform = Callable[[str, Callable[..., Any], tuple[Any, ...]], Any]


class Proxy:
    """Stands before one service and passes every call through ``perform``."""

    def __init__(self, service: str, target: object, perform: Perform) -> None:
        self._service = service
        self._target = target
        self._perform = perform

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._target, name)
        if name.startswith("_") or not callable(method):
            return method
        signature = inspect.signature(method)

        @functools.wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            return self._perform(f"{self._service}.{name}", method, bound.args)

        return call


def _matches(wanted: str, subject: str | None, call: str, args: tuple[Any, ...]) -> bool:
    return wanted == call and (subject is None or (bool(args) and args[0] == subject))
