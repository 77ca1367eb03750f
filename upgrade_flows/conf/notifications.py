"""Options of the notifications: which message bus is told what happens."""

from __future__ import annotations

from oslo_config import cfg

group = cfg.OptGroup(
    "notifications",
    title="Notifications",
    help="""
Messages that the conductor sends when a run or an instance reaches a state. They need the package
oslo.messaging, whose own options (``[oslo_messaging_rabbit]`` and others) work in the same file.
""",
)

opts: list[cfg.Opt] = [
    cfg.StrOpt(
        "transport_url",
        secret=True,
        sample_default="rabbit://USER:PASSWORD@bus.example.org:5672/",
        help="""
URL of the message bus, as oslo.messaging knows it.

Without it nothing is sent. A bus that does not answer delays no work: up to 1000 messages wait
for it, further ones are dropped and counted.
""",
    ),
    cfg.ListOpt(
        "topics",
        default=["notifications"],
        help="""
Topics that each message is sent to.

The bus's queues are named after them: ``notifications.info`` and ``notifications.error``. A queue
that nobody reads grows.
""",
    ),
    cfg.StrOpt(
        "publisher_id",
        sample_default="upgrade-flows.conductor-1",
        help="""
Sender that the messages name.

The default is ``upgrade-flows.`` and the conductor's name.
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
