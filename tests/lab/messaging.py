"""The lab's own RabbitMQ broker, with the port mapper it needs, and memcached."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.lab import processes, waiting
from tests.lab.settings import Settings

BROKER, MAPPER, MEMCACHED = "rabbitmq", "epmd", "memcached"
SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


def start(settings: Settings) -> None:
    """Start the broker, empty: the services declare their queues when they connect."""
    home = _home(settings)
    if not processes.alive(BROKER):
        shutil.rmtree(home, ignore_errors=True)
        (home / "log").mkdir(parents=True)
        (home / "enabled_plugins").write_text("[].\n")
        config = home / "rabbitmq.conf"
        config.touch(0o600)
        config.write_text(
            "default_user = lab\n"
            f"default_pass = {settings.password}\n"
            "loopback_users = none\n"
            "vm_memory_high_watermark.absolute = 1GB\n"
            "disk_free_limit.absolute = 100MB\n"
        )
    environment = _environment(settings)
    # Erlang would start the mapper by itself, as a daemon that outlives it
    processes.start(MAPPER, ["epmd", "-address", "127.0.0.1"], environment)
    waiting.for_port(MAPPER, "127.0.0.1", settings.epmd_port)
    processes.start(BROKER, [SERVER], environment)
    waiting.for_port(BROKER, settings.vip, settings.amqp_port)


def start_memcached(settings: Settings) -> None:
    """Start memcached: without it every request asks Keystone about its token."""
    processes.start(
        MEMCACHED,
        [
            "memcached",
            "-u",
            "nobody",
            "-l",
            settings.vip,
            "-p",
            str(settings.memcache_port),
            "-m",
            "64",
            "-c",
            "2048",
        ],
    )


def stop() -> None:
    """Stop broker, mapper and memcached."""
    processes.stop(BROKER, MEMCACHED, grace=20)
    processes.stop(MAPPER)


def _home(settings: Settings) -> Path:
    return settings.run / "rabbitmq"


def _environment(settings: Settings) -> dict[str, str]:
    home = _home(settings)
    return {
        "HOME": str(home),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(settings.epmd_port),
        "RABBITMQ_NODENAME": "lab@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": settings.vip,
        "RABBITMQ_NODE_PORT": str(settings.amqp_port),
        "RABBITMQ_DIST_PORT": str(settings.amqp_port + 20000),
        "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
        "RABBITMQ_LOG_BASE": str(home / "log"),
        "RABBITMQ_PID_FILE": str(home / "pid"),
        "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
    }
