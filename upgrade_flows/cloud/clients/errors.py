"""What client libraries raise, in the words of ``upgrade_flows.errors``.

=====================================  ================
400, 409                               Conflict
401, no way to authenticate            Unauthorized
403                                    Forbidden
403 that speaks of a quota, 413        TooLarge
404, 410, no such service              NotFound
408, 429, 5xx, no connection           Unavailable
anything else                          CloudError
=====================================  ================
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from cinderclient import exceptions as cinder
from glanceclient import exc as glance
from keystoneauth1 import exceptions as ksa

from upgrade_flows import errors

T = TypeVar("T")

LIBRARIES = {
    "keystoneauth1",
    "novaclient",
    "cinderclient",
    "glanceclient",
    "openstack",
    "requests",
    "urllib3",
}

_BY_STATUS: dict[int, type[errors.CloudError]] = {
    400: errors.Conflict,
    401: errors.Unauthorized,
    403: errors.Forbidden,
    404: errors.NotFound,
    408: errors.Unavailable,
    409: errors.Conflict,
    410: errors.NotFound,
    413: errors.TooLarge,
    429: errors.Unavailable,
}

_BY_TYPE: tuple[tuple[tuple[type[BaseException], ...], type[errors.CloudError]], ...] = (
    (
        (
            ksa.ConnectionError,
            ksa.DiscoveryFailure,
            glance.CommunicationError,
            glance.InvalidEndpoint,
            glance.SSLConfigurationError,
            glance.SSLCertificateError,
            cinder.ConnectionError,
            requests.RequestException,
        ),
        errors.Unavailable,
    ),
    ((ksa.EndpointNotFound, ksa.EmptyCatalog, glance.EndpointNotFound), errors.NotFound),
    (
        (ksa.AuthorizationFailure, ksa.AuthPluginException, ksa.MissingAuthPlugin),
        errors.Unauthorized,
    ),
)

_SECRETS = (
    (re.compile(r"(?<=://)[^/@\s]+@"), ""),
    (re.compile(r"gAAAA[\w=-]{20,}"), "***"),
    (
        re.compile(
            r"""((?:password|passwd|secret|passcode|x-[a-z]+-token|token)["']?\s*[:=]\s*["']?)"""
            r"""[^\s"',}&]+""",
            re.IGNORECASE,
        ),
        r"\1***",
    ),
)


def translated(service: str) -> Callable[[type[T]], type[T]]:
    """Decorate a class: its public methods raise nothing but this library's errors.

    :param service: opens every message: ``compute: stop server-id: ...``.
    """

    def decorate(kind: type[T]) -> type[T]:
        for name, method in list(vars(kind).items()):
            if not name.startswith("_") and inspect.isfunction(method):
                setattr(kind, name, _translating(service, method))
        return kind

    return decorate


@contextlib.contextmanager
def translating(doing: str) -> Iterator[None]:
    """Let nothing but this library's errors out of a block.

    :raises CloudError: see ``translate``.
    """
    try:
        yield
    except Exception as exc:
        error = translate(exc, doing)
        if error is None:
            raise
        raise error from exc


def translate(exc: Exception, doing: str) -> errors.CloudError | None:
    """Return the error that stands for a client library's exception.

    The message names what was being done, the HTTP method and path, the status and what the
    service said; never a credential.  None: the exception is not a client library's.
    """
    if type(exc).__module__.partition(".")[0] not in LIBRARIES:
        return None
    status, said = _status(exc), _said(exc)
    where = _where(exc)
    code = f" (HTTP {status})" if status else ""
    message = scrub(f"{doing}:{where} {said}{code}")
    return _kind(exc, status, said)(message, _request_id(exc))


def scrub(text: str) -> str:
    """Return ``text`` without passwords, tokens and the user part of URLs."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


def _translating(service: str, method: Callable[..., Any]) -> Callable[..., Any]:
    what = f"{service}: {method.__name__.replace('_', ' ')}"

    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        subject = f" {args[0]}" if args and isinstance(args[0], str) else ""
        with translating(what + subject):
            return method(self, *args, **kwargs)

    return call


def _kind(exc: Exception, status: int | None, said: str) -> type[errors.CloudError]:
    if status:
        if status >= 500:
            return errors.Unavailable
        lower = said.lower()
        if status == 403 and "quota" in lower and "exceed" in lower:
            return errors.TooLarge
        return _BY_STATUS.get(status, errors.CloudError)
    for kinds, error in _BY_TYPE:
        if isinstance(exc, kinds):
            return error
    return errors.CloudError


def _status(exc: Exception) -> int | None:
    for name in ("http_status", "code"):
        value = getattr(exc, name, None)
        if isinstance(value, int) and value:
            return value
    return None


def _where(exc: Exception) -> str:
    method, url = getattr(exc, "method", None), getattr(exc, "url", None)
    if not (method and url):
        return ""
    return f" {method} {urlsplit(str(url)).path}:"


def _request_id(exc: Exception) -> str:
    own = getattr(exc, "request_id", None)
    headers = getattr(getattr(exc, "response", None), "headers", None) or {}
    names = ("x-openstack-request-id", "x-compute-request-id")
    return str(own or next((headers[name] for name in names if name in headers), ""))


def _said(exc: Exception) -> str:
    response = getattr(exc, "response", None)
    if isinstance(response, requests.Response):
        said = _message_in(response)
        if said:
            return said
    return str(getattr(exc, "message", None) or getattr(exc, "details", None) or exc)


def _message_in(response: requests.Response) -> str:
    """Return the message of an error body, however deep the service nests it.

    An empty text: there is none.
    """
    try:
        body = response.json()
    except ValueError:
        text = re.sub(r"(?is)<(title|h1)>.*?</\1>|<[^>]*>", " ", response.text or "")
        return " ".join(text.split())[:500]
    seen = [body]
    while seen:
        item = seen.pop(0)
        if isinstance(item, dict):
            for key in ("message", "detail", "explanation"):
                if isinstance(item.get(key), str) and item[key]:
                    return str(item[key])
            seen.extend(item.values())
        elif isinstance(item, list):
            seen.extend(item)
    return ""
