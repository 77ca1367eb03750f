"""Reading the URL of a board."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib import parse as urls

from upgrade_flows import errors

_REDIS = ("ssl", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "namespace")
_ETCD = ("protocol", "ca_cert", "cert_cert", "cert_key", "path")
_ZOOKEEPER = ("use_ssl", "ca", "certfile", "keyfile", "verify_certs")
_TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


@dataclass(frozen=True)
class Address:
    """Where a board is.

    :param kind: ``redis``, ``etcd`` or ``zookeeper``.
    :param where: what may be shown, in logs too: no credentials.
    :param conf: for the client; may hold a password.
    :param place: the board among others on the same server.
    """

    kind: str
    where: str
    conf: dict[str, Any] = field(repr=False)
    place: str


def parse(url: str) -> Address:
    """Read a URL.

    :raises RequestError: says what is wrong with it, without showing a password.
    """
    try:
        parts = _split(url)
        readers = {"redis": _redis, "rediss": _redis, "etcd": _etcd, "zookeeper": _zookeeper}
        if parts.scheme not in readers:
            raise ValueError(f"it starts with none of {', '.join(f'{s}://' for s in readers)}")
        return readers[parts.scheme](parts)
    except ValueError as exc:
        raise errors.RequestError(f"the URL of the board is wrong: {exc}") from None


def _split(url: str) -> urls.SplitResult:
    """Split a URL; a password with special characters in it must not end up in a message."""
    try:
        parts = urls.urlsplit(url)
    except ValueError:
        raise ValueError("it is not the URL of anything") from None
    if parts.fragment or any("@" in piece for piece in (parts.path, parts.query)):
        raise ValueError('special characters in a password are written like %23, for "#"')
    return parts


def _redis(parts: urls.SplitResult) -> Address:
    options = _options(parts, _REDIS)
    host, port = _host_port(parts, 6379)
    database = parts.path.strip("/") or "0"
    if not database.isdecimal():
        raise ValueError("its database is not a number")
    namespace = str(options.pop("namespace", "upgrade_flows"))
    conf: dict[str, Any] = {"host": host, "port": port, "db": int(database), **options}
    if parts.scheme == "rediss":
        conf["ssl"] = True
    if not conf.get("ssl"):
        conf = {key: value for key, value in conf.items() if not key.startswith("ssl")}
    if parts.username:
        conf["username"] = urls.unquote(parts.username)
    if parts.password is not None:
        conf["password"] = urls.unquote(parts.password)
    where = f"{parts.scheme}://{_shown(host)}:{port}/{database}"
    return Address("redis", where, conf, namespace)


def _etcd(parts: urls.SplitResult) -> Address:
    options = _options(parts, _ETCD)
    _no_login(parts)
    if parts.path.strip("/"):
        raise ValueError("it has a path; the board's name is ?path=")
    if options.get("protocol", "http") not in ("http", "https"):
        raise ValueError("protocol is neither http nor https")
    host, port = _host_port(parts, 2379)
    path = str(options.pop("path", "upgrade_flows"))
    conf = {"host": host, "port": port, **options}
    return Address("etcd", f"etcd://{_shown(host)}:{port}", conf, path)


def _zookeeper(parts: urls.SplitResult) -> Address:
    options = _options(parts, _ZOOKEEPER)
    _no_login(parts)
    hosts = []
    for piece in parts.netloc.split(","):
        host, port = _host_port(urls.urlsplit(f"//{piece}"), 2181)
        hosts.append(f"{_shown(host)}:{port}")
    path = "/" + (parts.path.strip("/") or "upgrade_flows/jobs")
    conf = {"hosts": ",".join(hosts), **options}
    return Address("zookeeper", f"zookeeper://{conf['hosts']}", conf, path)


def _options(parts: urls.SplitResult, known: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in urls.parse_qsl(parts.query, keep_blank_values=True):
        if key not in known:
            raise ValueError(f"option {key!r} is none of {', '.join(known)}")
        if not value or key in found:
            raise ValueError(f"option {key!r} {'is empty' if not value else 'comes twice'}")
        if key in ("ssl", "use_ssl", "verify_certs"):
            if value.lower() not in _TRUTHS:
                raise ValueError(f"option {key!r} is neither true nor false")
            found[key] = _TRUTHS[value.lower()]
        else:
            found[key] = value
    return found


def _host_port(parts: urls.SplitResult, default: int) -> tuple[str, int]:
    if not parts.hostname:
        raise ValueError("it names no host")
    try:
        return parts.hostname, parts.port or default
    except ValueError:
        raise ValueError("its port is not a number below 65536") from None


def _no_login(parts: urls.SplitResult) -> None:
    if "@" in parts.netloc:
        raise ValueError(f"a board on {parts.scheme} takes no user and password")


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
