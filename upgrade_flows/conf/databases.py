"""Options of the services' databases, which checks read."""

from __future__ import annotations

from oslo_config import cfg

group = cfg.OptGroup(
    "databases",
    title="Databases",
    help="""
SQLAlchemy URLs of the services' databases, as ``mysql+pymysql://READER:PASSWORD@HOST/NAME``, for
``upgrade-flows check``. They are read only: give a user that may SELECT and nothing else. What is
not configured is not checked, and said. URLs are shown nowhere. Characters such as ``@``, ``:`` and
``/`` in a password are written as ``%40``, ``%3A`` and ``%2F``.
""",
)

#: the services that have one database each
SERVICES = ("cinder", "glance", "heat", "keystone", "neutron", "nova_api", "placement")

opts: list[cfg.Opt] = [
    *(
        cfg.StrOpt(
            name,
            secret=True,
            help=f"""
URL of the database of {name}.

Without it nothing of {name} is checked in its database.
""",
        )
        for name in SERVICES
    ),
    cfg.MultiStrOpt(
        "nova_cell",
        default=[],
        secret=True,
        sample_default=["cell1 mysql+pymysql://READER:PASSWORD@HOST/nova_cell1"],
        help="""
Name of a cell of Nova and the URL of its database, with a space between them; given once for each
cell, ``cell0`` included.

A cell that is left out is not checked; what compares cells with Nova's API database is only right
if all of them are here. ``nova-manage cell_v2 list_cells`` lists them.
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
