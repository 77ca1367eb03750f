"""Read the settings of a plugin, and name everything that is wrong with them at once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from upgrade_flows.errors import RequestError

CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Reader:
    """Takes values out of a plain JSON object, and collects complaints.

    :param what: whose settings they are, for the message.
    :param known: every key that there may be.
    """

    def __init__(self, what: str, settings: Any, known: Iterable[str]) -> None:
        self.complaints: list[str] = []
        self._what = what
        self._settings: dict[str, Any] = {}
        if not isinstance(settings, dict):
            self.complain(f"an object is wanted, this is {_shown(settings)}")
            return
        self._settings = settings
        known = tuple(known)
        for key in settings:
            if key not in known:
                self.complain(f"{key} is unknown (known: {', '.join(known)})")

    def complain(self, said: str) -> None:
        """Add a complaint."""
        self.complaints.append(said)

    def finish(self) -> None:
        """End the reading.

        :raises RequestError: with all complaints there are.
        """
        if self.complaints:
            raise RequestError(f"settings of {self._what}: " + "; ".join(self.complaints))

    def has(self, key: str) -> bool:
        """Whether there is such a key."""
        return key in self._settings

    def any(self, key: str, default: Any = None) -> Any:
        """Return a value as it is."""
        return self._settings.get(key, default)

    def text(self, key: str, default: str = "", *, pattern: str = "", like: str = "") -> str:
        """Return a text of one line; ``like`` says in words what the ``pattern`` wants."""
        value = self._settings.get(key, default)
        if not isinstance(value, str) or CONTROL.search(value):
            self.complain(f"{key}: a text of one line is wanted, this is {_shown(value)}")
            return default
        if value and pattern and not re.fullmatch(pattern, value):
            self.complain(f"{key}: {like} is wanted, this is {_shown(value)}")
            return default
        return value

    def path(self, key: str, default: str = "") -> str:
        """Return an absolute path."""
        return self.text(key, default, pattern="/.*[^/]", like="the absolute path of a file")

    def template(self, key: str) -> str:
        """Return a text in which ``{host}`` stands for the name of the host."""
        value = self.text(key, "{host}")
        if "{host}" not in value or set("{}") & set(value.replace("{host}", "")):
            self.complain(f"{key}: {{host}} is wanted in it, and no other braces")
        return value

    def flag(self, key: str, default: bool = False) -> bool:
        """Return true or false."""
        value = self._settings.get(key, default)
        if not isinstance(value, bool):
            self.complain(f"{key}: true or false is wanted, this is {_shown(value)}")
            return default
        return value

    def seconds(self, key: str, default: float) -> float:
        """Return a number of seconds, above zero."""
        value = self._settings.get(key, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e6:
            self.complain(f"{key}: a number of seconds is wanted, this is {_shown(value)}")
            return default
        return float(value)

    def words(self, key: str, *, pattern: str = "", like: str = "a text") -> tuple[str, ...]:
        """Return a list of texts, each of one line and none of them empty."""
        value = self._settings.get(key, [])
        if not isinstance(value, list):
            self.complain(f"{key}: a list is wanted, this is {_shown(value)}")
            return ()
        for word in value:
            fits = isinstance(word, str) and word and not CONTROL.search(word)
            if not fits or (pattern and not re.fullmatch(pattern, word)):
                self.complain(f"{key}: {like} is wanted, this is {_shown(word)}")
        return tuple(word for word in value if isinstance(word, str))

    def table(self, key: str) -> dict[str, Any]:
        """Return an object."""
        value = self._settings.get(key, {})
        if not isinstance(value, dict):
            self.complain(f"{key}: an object is wanted, this is {_shown(value)}")
            return {}
        return value

    def objects(self, key: str) -> list[Any]:
        """Return a list, of whatever."""
        value = self._settings.get(key, [])
        if not isinstance(value, list):
            self.complain(f"{key}: a list is wanted, this is {_shown(value)}")
            return []
        return value

    def inner(self, key: str, value: Any, known: Iterable[str]) -> Reader:
        """Return a reader for an object within, whose complaints come to this one."""
        return _Inner(self, key, value, known)


class _Inner(Reader):
    def __init__(self, outer: Reader, key: str, value: Any, known: Iterable[str]) -> None:
        self._outer = outer
        self._key = key
        super().__init__(key, value, known)

    def complain(self, said: str) -> None:
        self.complaints.append(said)
        self._outer.complain(f"{self._key}: {said}")


def _shown(value: Any) -> str:
    try:
        text = json.dumps(value)
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
