"""What differs between two states of a cloud, whatever ids were given on the way to them."""

from __future__ import annotations

import json
from typing import Any


def difference(wanted: Any, found: Any, path: str = "") -> dict[str, Any]:
    """Return each leaf that differs, by its path, as [wanted, found]."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        result: dict[str, Any] = {}
        for key in sorted(set(wanted) | set(found)):
            result |= difference(wanted.get(key), found.get(key), f"{path}.{key}" if path else key)
        return result
    return {} if wanted == found else {path: [wanted, found]}


def told_by_first_ids(
    state: dict[str, Any], before: dict[str, Any], run: str, said: Any = None
) -> Any:
    """Return what was said of a state, with plain names for what has come up since ``before``.

    :param run: the id of the run, which tags and names hold.
    :param said: the state itself, if None.
    """
    text = json.dumps(state if said is None else said).replace(run, "this-run")
    for table in ("servers", "images", "volumes", "snapshots"):
        for number, item in enumerate(sorted(set(state[table]) - set(before[table]))):
            text = text.replace(item, f"new-{table}-{number}")
    return json.loads(text)
