"""What an operator can say about the upgrade of hosts, beyond which hosts and at what pace."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from upgrade_flows.errors import RequestError
from upgrade_flows.flows.moving import CHOICE as CHOICE
from upgrade_flows.flows.moving import COLD, LIVE, POWEROFF
from upgrade_flows.model import codec

REBOOTS = ("needed", "always", "never")
SUSPENDED = ("stay", "refuse")
UNMOVABLE = ("refuse", POWEROFF)


@dataclass(frozen=True)
class CanaryInstance:
    """What is booted on a host that is back, to see that it works, and removed again.

    :param image: ``flavor`` and ``network`` are ids or names; an empty ``image`` or ``network``
        means none.
    :param probe: ``tcp:<port>``: the guest must take a connection there; empty: ACTIVE will do.
    """

    flavor: str
    image: str = ""
    network: str = ""
    probe: str = ""


@dataclass(frozen=True)
class Options:
    """How hosts are emptied, upgraded and given back.

    :param plugin: the host plugin, and ``settings`` what it is told; see its own page.
    :param reboot: ``needed`` (the plugin knows), ``always`` or ``never``.
    :param default: what is done to running instances whose owners said nothing.
    :param suspended: ``stay`` where they are (their memory is on the host's disk; Nova moves
        none), or ``refuse``: then their host is left out.
    :param unmovable: whether the host of an instance that cannot be moved is left out, or the
        instance stopped while its host is out of service.
    :param may_pause: whether a live migration that does not come to its end may stand the guest
        still for the rest of the way (or go on as post-copy, where Nova is set so).
    :param may_cold: whether an instance that could not be migrated live may be restarted on
        another host.
    :param bring_back: whether instances return to their host when it is back.
    """

    plugin: str
    settings: dict[str, Any] = field(default_factory=dict)
    reboot: str = "needed"
    default: str = LIVE
    suspended: str = "stay"
    unmovable: str = "refuse"
    may_pause: bool = False
    may_cold: bool = False
    bring_back: bool = False
    canary_instance: CanaryInstance | None = None
    limits: dict[str, Any] = field(default_factory=dict)
    prefer: str = "time"
    bake_s: int = 0
    canary_hosts: tuple[str, ...] = ()
    placement: str = ""
    host_groups: Any = None
    failure_domains: dict[str, str] = field(default_factory=dict)
    targets: tuple[str, ...] = ()
    timings: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, plain: dict[str, Any]) -> Options:
        """Read the options of a request.

        :raises RequestError: one is unknown, missing, or has a value that it cannot have.
        """
        try:
            options = codec.from_plain(cls, plain)
        except (ValueError, TypeError) as exc:
            raise RequestError(f"the options of host_upgrade are not valid: {exc}") from exc
        choices = {
            "reboot": REBOOTS, "default": (LIVE, COLD, POWEROFF), "suspended": SUSPENDED,
            "unmovable": UNMOVABLE, "prefer": ("time", "moves"),
        }  # fmt: skip
        wrong = [
            f"{name} is {getattr(options, name)!r}; it must be one of {', '.join(known)}"
            for name, known in choices.items()
            if getattr(options, name) not in known
        ]
        wrong += [
            f"{name} is {getattr(options, name)!r}; it must be true or false"
            for name in ("may_pause", "may_cold", "bring_back")
            if not isinstance(getattr(options, name), bool)
        ]
        canary = options.canary_instance
        if canary is not None and canary.probe and not _is_probe(canary.probe):
            wrong.append(f"the canary's probe is {canary.probe!r}; it must be tcp:<port>")
        if wrong:
            raise RequestError("; ".join(wrong))
        return options

    @property
    def attempts(self) -> int:
        """How often the migration of an instance is tried."""
        return int(self.limits.get("attempts", 3))

    @property
    def migrations_per_host(self) -> int:
        """How many migrations a host sends, and receives, at a time."""
        return int(self.limits.get("migrations_per_host", 2))

    @property
    def migrations_total(self) -> int:
        """How many migrations there may be at a time in all."""
        return int(self.limits.get("migrations_total", 100))


def _is_probe(said: str) -> bool:
    kind, _, port = said.partition(":")
    return kind == "tcp" and port.isdecimal() and 0 < int(port) < 65536
