"""Options of the job board: where conductors find work."""

from __future__ import annotations

from oslo_config import cfg

group = cfg.OptGroup(
    "board",
    title="Job board",
    help="""
Where submitted runs are listed for conductors to work on. Without conductors it is not needed.
""",
)

opts: list[cfg.Opt] = [
    cfg.StrOpt(
        "url",
        secret=True,
        sample_default="redis://:PASSWORD@board.example.org:6379/0",
        help="""
URL of the job board: ``redis://``, ``rediss://`` (with TLS), ``etcd://`` or ``zookeeper://``.

Conductors do not start without it. It must be the same for all conductors of a journal, and for
those who submit runs. The board holds nothing that the journal does not hold: one that was lost
is filled again from the journal.

TLS: ``rediss://...?ssl_ca_certs=FILE``, ``etcd://...?protocol=https&ca_cert=FILE``,
``zookeeper://...?use_ssl=true&ca=FILE``.
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
