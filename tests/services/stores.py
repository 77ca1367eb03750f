"""The servers that keep jobs: Redis, etcd and ZooKeeper."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from tests.services import ports
from tests.services.ports import HOST
from tests.services.service import Service

JAVA = Path("/usr/share/java")


class Redis(Service):
    """Redis with every write on disk before its answer."""

    name = "redis"

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    def answers(self) -> bool:
        return ports.ask(self.port, b"PING\r\n").startswith(b"+PONG")

    def command(self) -> Sequence[str | Path]:
        options = {
            "bind": HOST,
            "port": self.port,
            "dir": self.data,
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
            "daemonize": "no",
        }
        argv: list[str | Path] = ["redis-server"]
        for option, value in options.items():
            argv += [f"--{option}", str(value)]
        return argv


class Etcd(Service):
    """etcd with one member, its v3 API over HTTP and gRPC."""

    name = "etcd"
    ports_needed = 2

    @property
    def url(self) -> str:
        return f"etcd://{HOST}:{self.port}"

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.port}/health", timeout=2) as answer:
                return json.load(answer).get("health") == "true"
        except (OSError, ValueError):
            return False

    def command(self) -> Sequence[str | Path]:
        clients = f"http://{HOST}:{self.port}"
        peers = f"http://{HOST}:{self.record.ports[1]}"
        return [
            "etcd",
            "--name=tests",
            f"--data-dir={self.data}",
            f"--listen-client-urls={clients}",
            f"--advertise-client-urls={clients}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=tests={peers}",
            "--logger=zap",
        ]


class ZooKeeper(Service):
    """ZooKeeper alone, with as many connections as tests like."""

    name = "zookeeper"

    @property
    def url(self) -> str:
        return f"zookeeper://{HOST}:{self.port}"

    def answers(self) -> bool:
        return b"Mode: standalone" in ports.ask(self.port, b"srvr")

    def command(self) -> Sequence[str | Path]:
        config = self.folder / "zoo.cfg"
        settings = {
            "dataDir": self.data,
            "clientPort": self.port,
            "clientPortAddress": HOST,
            "tickTime": 500,  # sessions may be as short as two of them
            "maxClientCnxns": 0,  # of one address, and here everyone has the same
            "admin.enableServer": "false",
            # clients ask for the version that way
            "4lw.commands.whitelist": "*",
        }
        config.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        return [
            "java",
            "-Xmx128m",
            "-Djava.net.preferIPv4Stack=true",
            "-Dzookeeper.jmx.log4j.disable=true",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS",
            "-classpath",  # the simple logger writes to stderr, with no configuration
            f"{JAVA / 'zookeeper.jar'}:{JAVA / 'slf4j-simple.jar'}",
            "org.apache.zookeeper.server.quorum.QuorumPeerMain",
            config,
        ]
