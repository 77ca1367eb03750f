"""Job boards: where it is listed that there is work, and who tries it now.

::

    open_board(url) ─► Board ── ServerBoard ─┬─ RedisBoard
                                claims, Bell ├─ EtcdBoard
                                             └─ ZookeeperBoard
"""

from __future__ import annotations

import importlib
from typing import Any

from upgrade_flows import errors
from upgrade_flows.engine.boards.address import Address, parse
from upgrade_flows.engine.boards.base import Board, Job
from upgrade_flows.errors import BoardError

__all__ = ["Address", "Board", "BoardError", "Job", "open_board"]

#: scheme: module, class, packages that bring its driver
_BOARDS = {
    "redis": ("redis", "RedisBoard", "redis"),
    "etcd": ("etcd", "EtcdBoard", "etcd3gw"),
    "zookeeper": ("zookeeper", "ZookeeperBoard", "kazoo"),
}


def open_board(url: str, owner: str, ttl_s: float = 30.0) -> Board:
    """Connect to a board.

    ``redis://[user:password@]host[:port][/db][?namespace=...&ssl_ca_certs=...]`` (``rediss`` for
    TLS), ``etcd://host[:port][?path=...&protocol=https&ca_cert=...&cert_cert=...&cert_key=...]``,
    ``zookeeper://host[:port][,host[:port]...][/path][?use_ssl=true&ca=...&certfile=...]``.

    :param owner: a name for who claims here, unique among all boards that are open anywhere.
    :param ttl_s: seconds after which the claims of an owner that is gone end.
    :raises RequestError: the URL cannot be understood.
    :raises PluginError: the driver is not installed.
    :raises BoardError: the server does not answer within a few seconds, or refuses.
    """
    if not owner:
        raise errors.RequestError("a board's owner needs a name")
    if ttl_s <= 0:
        raise errors.RequestError(f"claims cannot end after {ttl_s} s")
    address = parse(url)
    module, name, package = _BOARDS[address.kind]
    try:
        board: Any = importlib.import_module(f"{__name__}.{module}")
    except ImportError as exc:
        raise errors.PluginError(
            f"a board on {address.kind} needs a Python package that is missing or too old:"
            f" {exc}; install {package}"
        ) from exc
    opened: Board = getattr(board, name)(address.where, owner, ttl_s, address.conf, address.place)
    return opened
