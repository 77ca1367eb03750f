"""Options of the checks: from when on something is worth a finding."""

from __future__ import annotations

from oslo_config import cfg

group = cfg.OptGroup(
    "checks",
    title="Checks",
    help="What ``upgrade-flows check`` looks at, and from when on it says so.",
)

opts: list[cfg.Opt] = [
    cfg.StrOpt(
        "waivers",
        sample_default="/etc/upgrade-flows/waivers.yaml",
        help="""
File of the findings that somebody answers for.

``--waivers`` wins. A file that cannot be used stops every check before it begins.
""",
    ),
    cfg.StrOpt(
        "target",
        sample_default="2025.1",
        help="""
Release that the cloud is to be upgraded to.

Without it, what depends on the target is looked up for the newest release that is known.
``--target`` wins.
""",
    ),
    cfg.MultiStrOpt(
        "upstream",
        default=[],
        sample_default=["nova-status upgrade check", "cinder-status upgrade check"],
        help="""
Command of a service that checks its upgrade, with its arguments; may be given several times.

Use the command of the target release. It is run as it is, without a shell: quotes work, pipes
and variables do not. It needs the configuration file of its service, and the rights to read it.
""",
    ),
    cfg.FloatOpt(
        "timeout_s",
        default=600.0,
        min=1,
        max=86400,
        help="""
Seconds that one check may take.

One that takes longer counts as failed; the others are not waited for because of it.
""",
    ),
    cfg.FloatOpt(
        "upstream_s",
        default=300.0,
        min=1,
        max=86400,
        help="""
Seconds that one of the ``upstream`` commands may take before it is killed.
""",
    ),
    cfg.FloatOpt(
        "stuck_s",
        default=3600.0,
        min=60,
        max=2592000,
        help="""
Seconds that an operation on an instance or a volume, or a migration, may take.

What takes longer is reported as stuck. Keep it above the longest snapshot or migration.
""",
    ),
    cfg.IntOpt(
        "certificate_days",
        default=30,
        min=0,
        max=3650,
        help="""
Days that the certificates of the endpoints should be good for.

Cover the length of the upgrade: services that restart with an expired one are not trusted.
""",
    ),
    cfg.IntOpt(
        "quota_percent",
        default=90,
        min=1,
        max=100,
        help="""
Share of a quota, in percent, from which on a project counts as near its end.

Surrogates and snapshots of an upgrade count against the quota of their project.
""",
    ),
    cfg.IntOpt(
        "deleted_rows",
        default=100000,
        min=1,
        help="""
Rows marked as deleted, for longer than ``deleted_days``, that a table may hold.

They make every query and every migration of the schema slower.
""",
    ),
    cfg.IntOpt(
        "deleted_days",
        default=30,
        min=0,
        max=36500,
        help="""
Days for which rows marked as deleted are kept for a reason.

The commands that checks recommend leave younger rows alone.
""",
    ),
    cfg.IntOpt(
        "large_rows",
        default=5000000,
        min=1,
        help="""
Rows from which on a table counts as large.

A migration of the schema that copies such a table takes minutes to hours.
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
