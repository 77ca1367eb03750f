"""The lab's own MariaDB server and its databases."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.lab import packages, processes, waiting
from tests.lab.settings import DATABASES, Settings

NAME = "mariadb"


def start(settings: Settings) -> None:
    """Start the server, with an account and all databases; data of an earlier run stays."""
    data = settings.run / "mysql"
    if not (data / "mysql").is_dir():
        data.mkdir(parents=True, exist_ok=True)
        shutil.chown(data, "mysql")
        packages.run(
            [
                "mysql_install_db",
                "--no-defaults",
                "--user=mysql",
                f"--datadir={data}",
                "--skip-test-db",
                "--auth-root-authentication-method=socket",
            ],
            settings.log / "mysql_install_db.out",
        )
    processes.start(
        NAME,
        [
            "/usr/sbin/mariadbd",
            "--no-defaults",
            "--user=mysql",
            f"--datadir={data}",
            f"--socket={_socket(settings)}",
            f"--pid-file={data / 'mariadb.pid'}",
            f"--bind-address={settings.vip}",
            f"--port={settings.db_port}",
            "--skip-name-resolve",
            "--max-connections=2000",
            "--innodb-buffer-pool-size=256M",
            "--character-set-server=utf8mb4",
            "--collation-server=utf8mb4_general_ci",
            # what a power cut would destroy is not worth the waiting
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-doublewrite=0",
            "--sync-binlog=0",
        ],
    )
    waiting.for_port(NAME, settings.vip, settings.db_port)
    statements = [
        f"CREATE USER IF NOT EXISTS lab@'127.%' IDENTIFIED BY '{settings.password}'",
        "GRANT ALL ON *.* TO lab@'127.%' WITH GRANT OPTION",
    ]
    statements += [f"CREATE DATABASE IF NOT EXISTS {name}" for name in DATABASES]
    query(settings, *statements)


def stop() -> None:
    """Stop the server, its data written."""
    processes.stop(NAME, grace=30)


def query(settings: Settings, *statements: str) -> str:
    """Run SQL as the server's root and return what it prints, without headings."""
    result = subprocess.run(
        ["mariadb", f"--socket={_socket(settings)}", "--user=root", "--batch", "-N"],
        input=";\n".join(statements) + ";\n",
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout


def _socket(settings: Settings) -> Path:
    return settings.run / "mysql" / "s"
