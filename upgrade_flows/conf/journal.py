"""Options of the journal: where runs are recorded."""

from __future__ import annotations

from oslo_config import cfg

from upgrade_flows.conf import paths

group = cfg.OptGroup(
    "journal",
    title="Journal",
    help="Where runs are recorded, so that they can be resumed, rolled back and reported.",
)

opts: list[cfg.Opt] = [
    cfg.StrOpt(
        "url",
        default=paths.journal_url(),
        sample_default="sqlite:////var/lib/upgrade-flows/journal.db",
        secret=True,
        help="""
SQLAlchemy URL of the journal.

An SQLite file is created when it is missing, readable by its owner only. Use a MariaDB or
PostgreSQL URL (``mysql+pymysql://``, ``postgresql+psycopg2://``) where runs are to be resumed
from another machine. A run is found again only with the journal that it was started with.

The default is a file in ``$XDG_STATE_HOME/upgrade-flows``; without that variable root uses
``/var/lib/upgrade-flows``, everybody else ``~/.local/state/upgrade-flows``.
""",
    ),
    cfg.StrOpt(
        "key_file",
        sample_default="/var/lib/upgrade-flows/journal.db.key",
        help="""
File with the key that seals what is secret in the journal (the user data of instances).

For SQLite the default is the journal's own path with ``.key`` behind it; the file is made when
it is missing. On a database server it must be named, and be the same on every machine that works
on the journal's runs. Keep a copy with each backup of the journal, but not in it: without the
key, an instance that had to be deleted cannot be rebuilt.
""",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Make the options known to ``conf``."""
    conf.register_group(group)
    conf.register_opts(opts, group=group)


def list_opts() -> dict[cfg.OptGroup, list[cfg.Opt]]:
    """Return the options by group, for the sample file."""
    return {group: opts}
