"""Options of the engine: the pace of a run, where the request does not say."""

from __future__ import annotations

from oslo_config import cfg

group = cfg.OptGroup(
    "engine",
    title="Engine",
    help="The pace of a run. A request or a command-line option that names a pace wins.",
)

opts: list[cfg.Opt] = [
    cfg.IntOpt(
        "at_a_time",
        default=1,
        min=1,
        max=100,
        help="""
Number of instances of one wave that are changed at the same time.

More finish sooner, but as many are out of service together, and the cloud's services have to
carry as many moves at once.
""",
    ),
    cfg.IntOpt(
        "max_failures",
        default=0,
        min=0,
        help="""
Number of instances of one wave that may fail before the run stops.

With 0 the first failure stops it: those that are being changed are finished, no other is begun.
Each failed instance is undone in any case.
""",
    ),
    cfg.IntOpt(
        "steps_at_a_time",
        default=1,
        min=1,
        max=32,
        help="""
Number of steps of one instance that may run at the same time, where they do not need each other.

More shorten the time for which an instance with several volumes or ports is out of service. The
cloud's services get as many calls at once for each instance.
""",
    ),
    cfg.IntOpt(
        "most_tries",
        default=5,
        min=1,
        max=1000,
        help="""
Number of times that a conductor tries an instance again whose work ends without getting on.

Then the instance is set aside as ``quarantined``, counts as failed, and waits for an operator:
resuming the run tries it again, rolling back takes it back. Only conductors do so; a run on the
command line has its operator at hand.
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
