"""Reading JSON over an adapter: one document, or a listing page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar
from urllib.parse import quote, urlencode

from keystoneauth1 import exceptions as ksa

from upgrade_flows import errors

PAGE = 1000
WORKERS = 8

A = TypeVar("A")
B = TypeVar("B")


class Getter(Protocol):
    """What can send a GET: a path in, a response or a pair of response and body out."""

    def get(self, url: str) -> Any: ...


def document(client: Getter, path: str) -> dict[str, Any]:
    """Return the JSON object at a path.

    :raises Unavailable: the answer is not a JSON object (a proxy's page, say).
    """
    answer = client.get(path)
    body = answer[1] if isinstance(answer, tuple) else _json(answer)
    if not isinstance(body, dict):
        raise errors.Unavailable(f"GET {path}: the answer is not a JSON object")
    return body


def pages(
    client: Getter, path: str, key: str, *, links: str = "", marker: str = "id", **query: Any
) -> list[dict[str, Any]]:
    """Return all items of a listing, a thousand to the page.

    The page after the last is never asked for where the service says which is the last
    (``<key>_links``, or ``next``).  When the marker has been deleted meanwhile, the listing
    starts again, once.
    """
    try:
        return list(_pages(client, path, key, links or f"{key}_links", marker, query))
    except (ksa.BadRequest, ksa.NotFound) as exc:
        if "marker" not in str(exc.url or "") + str(exc):
            raise
        return list(_pages(client, path, key, links or f"{key}_links", marker, query))


def joined(path: str, **query: Any) -> str:
    """Return a path with its query; None leaves a parameter out."""
    given = {name: value for name, value in query.items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path


def segment(text: str) -> str:
    """Return ``text`` as one segment of a path."""
    return quote(text, safe="")


def concurrently(call: Callable[[A], B], items: Sequence[A], workers: int = WORKERS) -> list[B]:
    """Return ``call`` of each item, in order, made by a few threads at a time."""
    if len(items) < 2:
        return [call(item) for item in items]
    with ThreadPoolExecutor(min(workers, len(items))) as pool:
        return list(pool.map(call, items))


def _pages(
    client: Getter, path: str, key: str, links: str, marker: str, query: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    last: str | None = None
    while True:
        body = document(client, joined(path, **query, limit=PAGE, marker=last))
        items = body.get(key) or []
        yield from items
        if not items or not _has_next(body, links):
            return
        following = _at(items[-1], marker)
        if following == last:
            return
        last = following


def _has_next(body: dict[str, Any], links: str) -> bool:
    found = body.get(links) or body.get("next")
    if isinstance(found, str):
        return True
    return any(link.get("rel") == "next" for link in found or [])


def _at(item: dict[str, Any], marker: str) -> str:
    value: Any = item
    for name in marker.split("."):
        value = value[name]
    return str(value)


def _json(response: Any) -> Any:
    try:
        return response.json()
    except ValueError:
        return None
