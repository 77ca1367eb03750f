"""Options of the steps: how long each kind of resource may take to reach a state."""

from __future__ import annotations

from oslo_config import cfg

group = cfg.OptGroup(
    "steps",
    title="Steps",
    help="""
Deadlines of the steps. A step that misses its deadline fails, and everything done to its
instance is undone; a deadline that is too long delays that moment while the instance is down.
""",
)

opts: list[cfg.Opt] = [
    cfg.FloatOpt(
        "server_s",
        default=300.0,
        min=1,
        max=86400,
        help="""
Seconds for an instance to stop, start, be created, deleted or bound to a host.

Cold migrations and shelving copy the local root disk within this time: allow about 10 seconds
for each GiB on a 1 Gbit/s network.
""",
    ),
    cfg.FloatOpt(
        "image_s",
        default=3600.0,
        min=1,
        max=604800,
        help="""
Seconds for a snapshot to become an active image.

The disk is read, converted and uploaded within this time: allow about 20 seconds for each GiB.
""",
    ),
    cfg.FloatOpt(
        "volume_s",
        default=300.0,
        min=1,
        max=86400,
        help="""
Seconds for a volume to be attached, or to be free again.

A volume that misses it keeps its instance from being re-created.
""",
    ),
    cfg.FloatOpt(
        "port_s",
        default=120.0,
        min=1,
        max=3600,
        help="""
Seconds for a port to be bound to its host, and to be reported as ACTIVE by the host's agent.

It has to cover the time in which a busy agent works its queue off, otherwise instances are
rolled back that would have come up.
""",
    ),
    cfg.FloatOpt(
        "arrival_s",
        default=900.0,
        min=1,
        max=86400,
        help="""
Seconds for what is on its way to a host that is being emptied to arrive there, and for an
instance to become free for its migration: builds, resizes and snapshots under way.

What takes longer holds the upgrade of the host, and is named.
""",
    ),
    cfg.FloatOpt(
        "live_migration_s",
        default=120.0,
        min=1,
        max=86400,
        help="""
Seconds that any live migration may take, besides those for its memory (live_migration_s_per_gib).

One that takes longer is forced to its end where the operator allowed a pause, or else given up
and tried towards another host.
""",
    ),
    cfg.FloatOpt(
        "live_migration_s_per_gib",
        default=30.0,
        min=0,
        max=3600,
        help="""
Seconds that a live migration may take for each GiB of the flavor's memory.

A GiB takes about 9 seconds on a 1 Gbit/s network, and again for what the guest writes meanwhile.
""",
    ),
    cfg.FloatOpt(
        "cold_migration_s",
        default=3600.0,
        min=1,
        max=604800,
        help="""
Seconds for a cold migration out of a host that is being emptied.

The local disks are copied within this time: allow about 10 seconds for each GiB on a 1 Gbit/s
network.
""",
    ),
    cfg.FloatOpt(
        "reboot_s",
        default=1800.0,
        min=1,
        max=86400,
        help="""
Seconds for a host to answer again after a reboot.

Big machines check their memory for many minutes.  A host that takes longer is held as it is, out
of service, and counts as failed.
""",
    ),
    cfg.FloatOpt(
        "compute_s",
        default=300.0,
        min=1,
        max=86400,
        help="""
Seconds for nova-compute and the agents of a host to be heard of after its reboot.
""",
    ),
    cfg.IntOpt(
        "calls_at_a_time",
        default=8,
        min=1,
        max=64,
        help="""
Calls to the cloud that one step makes at the same time, where it moves ports and volumes.

More makes the cut-over of an instance with many of them shorter, and loads Nova more.
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
