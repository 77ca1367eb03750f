"""Options of the conductor: how much one process takes on, and where it can be asked how it is."""

from __future__ import annotations

from oslo_config import cfg

group = cfg.OptGroup(
    "conductor",
    title="Conductor",
    help="Options of ``upgrade-flows-conductor``, the service that works on submitted runs.",
)

opts: list[cfg.Opt] = [
    cfg.IntOpt(
        "jobs",
        default=10,
        min=1,
        max=1000,
        help="""
Number of instances that this conductor works on at the same time, of all runs together.

How many instances of a run are out of service together is decided by the run (``at_a_time``),
whatever the number of conductors and of their jobs. A job is a thread that waits most of its time,
and a connection to the journal for moments.
""",
    ),
    cfg.FloatOpt(
        "ttl_s",
        default=30.0,
        min=5,
        max=3600,
        help="""
Seconds after which a conductor that is not heard of counts as dead, and others take its work.

Work of a killed conductor stands still for this time, with its instance out of service. A
conductor that cannot reach the database or the board for longer loses its work to others. Keep it
above the longest pause of either: a failover, a backup that locks tables.
""",
    ),
    cfg.StrOpt(
        "health_address",
        default="127.0.0.1:9899",
        help="""
Address and port on which ``/healthz``, ``/readyz`` and ``/metrics`` are served, over plain HTTP.

``[::1]:9899`` for IPv6; empty: nothing is served. Nobody has to log in, so an address that others
can reach shows them the ids of the instances that are being worked on.
""",
    ),
    cfg.StrOpt(
        "name",
        sample_default="conductor-1",
        help="""
Name of this conductor in its health report, its metrics and its notifications.

The default is the name of the host. Nothing depends on it: conductors tell each other apart by
names that they make up at every start.
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
