"""Parts of the checks: the order of releases, and databases without a server."""

from __future__ import annotations

import pytest

from upgrade_flows.checks import NothingToLookAt, Sources, releases
from upgrade_flows.checks.database import access, charsets
from upgrade_flows.errors import DatabaseError, RequestError


@pytest.mark.parametrize(
    ("release", "target", "reached"),
    [
        ("zed", "2023.1", True),
        ("2023.1", "zed", False),
        ("2023.2", "2023.2", True),
        ("2026.1", "", True),
    ],
)
def test_an_upgrade_comes_to_every_release_up_to_its_target(release, target, reached):
    assert releases.reached(release, releases.named(target)) is reached


def test_a_release_is_known_by_all_of_its_names():
    assert [releases.named(text) for text in ("Antelope", "2023.1", " zed ", "")] == [
        "2023.1",
        "2023.1",
        "zed",
        "",
    ]


def test_an_unknown_release_is_an_error():
    with pytest.raises(RequestError, match="the release 'icehouse' is unknown"):
        Sources(target="icehouse")


def test_a_database_is_read_only_in_sqlite_too(tmp_path):
    database = access.SqlDatabase("cinder", f"sqlite:///{tmp_path}/x.db")
    with pytest.raises(DatabaseError, match="attempt to write a readonly database"):
        database.rows("CREATE TABLE x (id INT)")
    assert (database.tables(), database.columns("x")) == ((), frozenset())


def test_the_charsets_need_a_database_that_has_some(tmp_path):
    database = access.SqlDatabase("cinder", f"sqlite:///{tmp_path}/x.db")
    with pytest.raises(NothingToLookAt, match="cinder is no MariaDB or MySQL"):
        charsets.Charsets().run(Sources(databases={"cinder": database}))


def test_a_database_does_not_show_its_url():
    url = "postgresql+psycopg2://u:s3cret@h/x"
    assert "s3cret" not in repr(access.SqlDatabase("cinder", url))
