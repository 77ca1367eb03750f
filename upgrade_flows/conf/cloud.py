"""Options of the cloud: which one it is, and where its credentials are found."""

from __future__ import annotations

from oslo_config import cfg

group = cfg.OptGroup(
    "cloud",
    title="Cloud",
    help="""
Which cloud is worked on. Credentials are never written here: they come from ``clouds.yaml`` or
from the ``OS_*`` variables of the environment, and must be an administrator's.
""",
)

opts: list[cfg.Opt] = [
    cfg.StrOpt(
        "name",
        help="""
Name of the cloud's entry in ``clouds.yaml``.

Without it ``OS_CLOUD`` or the other ``OS_*`` variables decide. ``--os-cloud`` wins over both.
""",
    ),
    cfg.StrOpt(
        "region",
        help="""
Region whose services are used.

Without it ``clouds.yaml`` or ``OS_REGION_NAME`` decide. A plan names its region, and is refused
in another one. ``--os-region-name`` wins over this option.
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
