"""The smallest use of each kind of server: keep a word, tell it again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from urllib.parse import urlsplit

from tests.services import Service

KEY = "word"


def keep(service: Service, word: str) -> None:
    """Store a word; when this returns, the server has promised to keep it."""
    _CLIENTS[service.name](service.url, word)


def told(service: Service) -> str:
    """Return the word that was stored last."""
    return _CLIENTS[service.name](service.url, None)


def _redis(url: str, word: str | None) -> str:
    import redis

    with redis.Redis.from_url(url, socket_timeout=2, retry=None) as client:
        if word is not None:
            client.set(KEY, word)
        return client.get(KEY).decode()


def _etcd(url: str, word: str | None) -> str:
    import etcd3gw

    parts = urlsplit(url)
    client = etcd3gw.client(host=parts.hostname, port=parts.port, timeout=2)
    if word is not None:
        client.put(KEY, word)
    return client.get(KEY)[0].decode()


def _zookeeper(url: str, word: str | None) -> str:
    from kazoo.client import KazooClient

    client = KazooClient(urlsplit(url).netloc, timeout=4)
    client.start(timeout=10)
    try:
        if word is not None:
            client.ensure_path(f"/{KEY}")
            client.set(f"/{KEY}", word.encode())
        return client.get(f"/{KEY}")[0].decode()
    finally:
        client.stop()
        client.close()


def _sql(url: str, word: str | None) -> str:
    import sqlalchemy

    connect = {"connect_timeout": 2}
    if url.startswith("mysql"):
        connect |= {"read_timeout": 2}
    engine = sqlalchemy.create_engine(url, connect_args=connect)
    with closing(engine.raw_connection()) as connection, closing(connection.cursor()) as cursor:
        if word is not None:
            cursor.execute(f"CREATE TABLE IF NOT EXISTS {KEY} (said VARCHAR(100))")
            cursor.execute(f"DELETE FROM {KEY}")
            cursor.execute(f"INSERT INTO {KEY} VALUES (%s)", (word,))
            connection.commit()
        cursor.execute(f"SELECT said FROM {KEY}")
        found = cursor.fetchone()[0]
    engine.dispose()
    return found


_CLIENTS: dict[str, Callable[[str, str | None], str]] = {
    "redis": _redis,
    "etcd": _etcd,
    "zookeeper": _zookeeper,
    "postgresql": _sql,
    "mariadb": _sql,
}
