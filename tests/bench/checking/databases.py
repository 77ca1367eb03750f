"""Nova's databases of that cloud, in SQLite: one cell and the API's, with problems planted."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from tests.bench.checking.scene import PER_HOST, PLANTED, Found, host_name, server_id

MADE = "2024-01-01 00:00:00"
CELL = "nova_cell:cell1"

SCHEMAS = {
    "nova_api": """
    CREATE TABLE cell_mappings (id INTEGER PRIMARY KEY, name TEXT);
    CREATE TABLE instance_mappings (created_at TEXT, instance_uuid TEXT UNIQUE, cell_id INT,
      project_id TEXT, user_id TEXT, queued_for_delete INT);
    CREATE TABLE request_specs (created_at TEXT, instance_uuid TEXT UNIQUE);
    CREATE TABLE flavors (flavorid TEXT UNIQUE, name TEXT, vcpus INT, memory_mb INT, root_gb INT,
      ephemeral_gb INT, swap INT);
    INSERT INTO cell_mappings VALUES (1, 'cell1');
    """,
    CELL: """
    CREATE TABLE instances (created_at TEXT, deleted_at TEXT, deleted INT, uuid TEXT UNIQUE,
      host TEXT, node TEXT, availability_zone TEXT, compute_id INT);
    CREATE TABLE instance_system_metadata (deleted INT, instance_uuid TEXT, key TEXT);
    CREATE INDEX of_instance ON instance_system_metadata (instance_uuid);
    CREATE TABLE compute_nodes (deleted INT, host TEXT, hypervisor_hostname TEXT UNIQUE,
      hypervisor_type TEXT, cpu_allocation_ratio REAL, ram_allocation_ratio REAL,
      disk_allocation_ratio REAL);
    CREATE TABLE services (host TEXT, binary TEXT, version INT, disabled INT, forced_down INT,
      last_seen_up TEXT, updated_at TEXT, created_at TEXT, deleted INT);
    CREATE INDEX of_host ON services (host);
    CREATE TABLE instance_types (deleted INT, flavorid TEXT, name TEXT, vcpus INT, memory_mb INT,
      root_gb INT, ephemeral_gb INT, swap INT);
    CREATE TABLE migrations (created_at TEXT, deleted INT, uuid TEXT);
    """,
}


def make(folder: Path, hosts: int, now: str) -> dict[str, str]:
    """Make the databases of a cloud that is well; return their URLs.

    :param now: the moment at which everybody has reported, as databases write it.
    """
    urls = {name: f"sqlite:///{folder}/{name.partition(':')[0]}.db" for name in SCHEMAS}
    names = [server_id(number) for number in range(hosts * PER_HOST)]
    homes = [host_name(number) for number in range(hosts)]
    flavor = ("f", "small", 1, 512, 10, 0, 0)
    with _opened(urls["nova_api"]) as api:
        api.executescript(SCHEMAS["nova_api"])
        _fill(api, "instance_mappings", [(MADE, name, 1, "p", "u", 0) for name in names])
        _fill(api, "request_specs", [(MADE, name) for name in names])
        _fill(api, "flavors", [flavor])
    with _opened(urls[CELL]) as cell:
        cell.executescript(SCHEMAS[CELL])
        _fill(
            cell,
            "instances",
            [
                (MADE, None, 0, name, homes[place // PER_HOST], homes[place // PER_HOST], "az", 1)
                for place, name in enumerate(names)
            ],
        )
        metadata = [(0, name, "image_hw_machine_type") for name in names]
        _fill(cell, "instance_system_metadata", metadata)
        _fill(cell, "compute_nodes", [(0, home, home, "QEMU", 4, 1, 1) for home in homes])
        _fill(
            cell,
            "services",
            [(home, "nova-compute", 68, 0, 0, now, now, MADE, 0) for home in homes],
        )
        _fill(cell, "instance_types", [(0, *flavor)])
    return urls


def plant(urls: dict[str, str]) -> Found:
    """Plant problems; return what has to be found."""
    found: Found = set()
    with _opened(urls["nova_api"]) as api:
        _fill(api, "request_specs", [(MADE, "nobody")])
        found.add(("UF-DB-010", "nova_api.request_specs.instance_uuid"))
        _fill(api, "instance_mappings", [(MADE, "lost", 1, "p", "u", 0)])
        found.add(("UF-DB-011", CELL))
        api.execute("UPDATE instance_mappings SET user_id = NULL WHERE instance_uuid = 's000000'")
        found.add(("UF-DB-040", "nova_api: populate_user_id"))
    with _opened(urls[CELL]) as cell:
        home = host_name(0)
        _fill(cell, "instances", [(MADE, None, 0, "hidden", home, home, "az", 1)])
        found |= {("UF-DB-012", CELL), ("UF-CL-050", CELL)}
        rows = ((MADE, MADE, 1, f"old{n}", None, None, None, None) for n in range(110_000))
        _fill(cell, "instances", list(rows))
        found.add(("UF-DB-030", f"{CELL}.instances"))
        _fill(cell, "instance_types", [(0, "f-old", "old", 1, 1, 1, 0, 0)])
        found.add(("UF-DB-050", f"{CELL}.instance_types: missing"))
        for number in range(PLANTED):
            gone = f"gone-{number}"
            _fill(cell, "services", [(gone, "nova-compute", 61, 1, 0, MADE, MADE, MADE, 0)])
            found |= {("UF-VR-002", f"{CELL} {gone}"), ("UF-VR-003", f"{CELL} {gone}")}
    return found


def _opened(url: str) -> sqlite3.Connection:
    return sqlite3.connect(url.removeprefix("sqlite:///"))


def _fill(database: sqlite3.Connection, table: str, rows: list[tuple[object, ...]]) -> None:
    marks = ", ".join("?" for _ in rows[0])
    database.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
