"""The servers that keep journals: PostgreSQL and MariaDB."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tests.services.errors import ServiceError
from tests.services.ports import HOST
from tests.services.service import Service

USER = "upgrade_flows"  # also the name of the first database


class Database(Service):
    """A server with as many databases as tests like, all of them ``upgrade_flows``'s own."""

    @property
    def url(self) -> str:
        return self.url_of(USER)

    @abstractmethod
    def url_of(self, database: str) -> str:
        """Return the SQLAlchemy URL of a database."""

    @abstractmethod
    def query(self, *statements: str) -> str:
        """Run SQL as an administrator; return the values, a line for each row."""

    @abstractmethod
    def drop_database(self, name: str) -> None:
        """Remove a database if there is one, whoever is connected to it."""

    def create_database(self, name: str) -> str:
        """Make a database that is new and empty, and return its URL."""
        self.drop_database(name)
        self._create(name)
        return self.url_of(name)

    def answers(self) -> bool:
        try:
            return self.query("SELECT 1").strip() == "1"
        except (ServiceError, subprocess.SubprocessError):
            return False

    @abstractmethod
    def _create(self, name: str) -> None: ...


class PostgreSQL(Database):
    """PostgreSQL with passwords, TCP only, and every commit on disk before its answer."""

    name = "postgresql"
    end_signal = signal.SIGINT  # SIGTERM would wait for all clients to leave

    def url_of(self, database: str) -> str:
        password = self.record.password
        return f"postgresql+psycopg2://{USER}:{password}@{HOST}:{self.port}/{_checked(database)}"

    def query(self, *statements: str) -> str:
        words = [self._program("psql"), "--no-psqlrc", "--tuples-only", "--no-align", "--quiet"]
        words += ["--set=ON_ERROR_STOP=1", f"--host={HOST}", f"--port={self.port}"]
        words += ["--username=postgres", "--dbname=postgres", "--no-password"]
        words += [f"--command={statement}" for statement in statements]
        password = self.record.password
        return self.run(words, seconds=30, PGPASSWORD=password, PGCONNECT_TIMEOUT="3")

    def drop_database(self, name: str) -> None:
        self.query(f"DROP DATABASE IF EXISTS {_checked(name)} WITH (FORCE)")

    def _create(self, name: str) -> None:
        self.query(f"CREATE DATABASE {_checked(name)} OWNER {USER}")

    def prepare(self) -> None:
        secret = self.folder / "password"
        secret.touch(mode=0o600)
        secret.write_text(self.record.password + "\n")
        if os.geteuid() == 0:
            shutil.chown(self.data, "postgres")
        self.run(
            [
                *self._as_postgres(),
                self._program("initdb"),
                f"--pgdata={self.data}",
                "--username=postgres",
                f"--pwfile={secret}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-sync",  # of this one moment; the server syncs
            ]
        )
        secret.unlink()

    def furnish(self) -> None:
        self.query(f"CREATE ROLE {USER} LOGIN CREATEDB PASSWORD '{self.record.password}'")
        self._create(USER)

    def command(self) -> Sequence[str | Path]:
        settings = {
            "listen_addresses": HOST,
            "port": self.port,
            "unix_socket_directories": "",
            "shared_buffers": "64MB",
            "max_connections": 200,
            # in the folder, not in /dev/shm, where a killed server would leave it
            "dynamic_shared_memory_type": "mmap",
            "fsync": "on",
            "synchronous_commit": "on",
            "log_line_prefix": "%m [%p] %d ",
        }
        words = [f"--{name}={value}" for name, value in settings.items()]
        return [*self._as_postgres(), self._program("postgres"), "-D", self.data, *words]

    def stop(self) -> None:
        super().stop()
        self._sweep()

    def _sweep(self) -> None:
        """Remove the piece of System V shared memory that a killed server has left."""
        lock = self.data / "postmaster.pid"
        if not lock.exists():
            return
        with suppress(IndexError):
            memory = lock.read_text().splitlines()[6].split()[1]
            subprocess.run(["ipcrm", "--shmem-id", memory], capture_output=True, timeout=30)
        lock.unlink()

    def _as_postgres(self) -> list[str]:
        """Return what makes root an unprivileged user, as PostgreSQL insists.

        The capability lets that user into folders that only root may enter.
        """
        if os.geteuid() != 0:
            return []
        user = pwd.getpwnam("postgres")
        return [
            "setpriv",
            f"--reuid={user.pw_uid}",
            f"--regid={user.pw_gid}",
            "--clear-groups",
            "--inh-caps=+dac_override",
            "--ambient-caps=+dac_override",
        ]

    def _program(self, name: str) -> str:
        versions = [path for path in Path("/usr/lib/postgresql").iterdir() if path.name.isdigit()]
        return str(max(versions, key=lambda path: int(path.name)) / "bin" / name)


class MariaDB(Database):
    """MariaDB with every commit on disk before its answer."""

    name = "mariadb"

    def url_of(self, database: str) -> str:
        server = f"{USER}:{self.record.password}@{HOST}:{self.port}"
        return f"mysql+pymysql://{server}/{_checked(database)}?charset=utf8mb4"

    def query(self, *statements: str) -> str:
        words = ["mariadb", "--no-defaults", "--batch", "--skip-column-names", "--protocol=TCP"]
        words += [f"--host={HOST}", f"--port={self.port}", f"--user={USER}", "--connect-timeout=3"]
        sql = "; ".join(statements)
        return self.run([*words, f"--execute={sql}"], seconds=30, MYSQL_PWD=self.record.password)

    def drop_database(self, name: str) -> None:
        # what a forgotten transaction has read cannot be dropped
        users = f"SELECT ID FROM information_schema.PROCESSLIST WHERE DB = '{_checked(name)}'"
        for connection in self.query(users).split():
            with suppress(ServiceError):  # it left by itself
                self.query(f"KILL {connection}")
        self.query(f"DROP DATABASE IF EXISTS {name}")

    def _create(self, name: str) -> None:
        self.query(f"CREATE DATABASE {_checked(name)}")

    def prepare(self) -> None:
        self.run(
            [
                "mariadb-install-db",
                "--no-defaults",
                f"--user={_user()}",
                f"--datadir={self.data}",
                "--skip-test-db",
                "--auth-root-authentication-method=socket",
            ]
        )
        self._init_file.touch(mode=0o600)
        self._init_file.write_text(
            f"CREATE USER IF NOT EXISTS {USER}@'{HOST}'"
            f" IDENTIFIED BY '{self.record.password}';\n"
            f"GRANT ALL ON *.* TO {USER}@'{HOST}';\n"
            f"CREATE DATABASE IF NOT EXISTS {USER};\n"
        )

    def command(self) -> Sequence[str | Path]:
        return [
            "mariadbd",
            "--no-defaults",
            f"--user={_user()}",
            f"--datadir={self.data}",
            f"--init-file={self._init_file}",
            "--socket=socket",  # in the data: a full path may be too long for a socket
            "--pid-file=pid",
            f"--bind-address={HOST}",
            f"--port={self.port}",
            "--skip-name-resolve",
            "--max-connections=200",
            "--innodb-buffer-pool-size=64M",
            "--innodb-flush-log-at-trx-commit=1",
            "--character-set-server=utf8mb4",
            "--collation-server=utf8mb4_general_ci",
        ]

    @property
    def _init_file(self) -> Path:
        return self.folder / "init.sql"


def _user() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name


def _checked(name: str) -> str:
    """Return the name of a database that needs no quotes anywhere."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,59}", name):
        raise ServiceError(f"not a name for a database: {name!r} (a-z, 0-9 and _, at most 60)")
    return name
