"""What a request for a capture says besides its scope."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from upgrade_flows.errors import RequestError
from upgrade_flows.model import codec
from upgrade_flows.steps import guest_probes


@dataclass(frozen=True)
class Options:
    """The options of a request; names are those of the cloud, or ids.

    :param name: of the image; by default the instance's, and the day.
    :param volumes: data volumes that become part of the image, besides what it boots from.
    :param stop: whether the instance is stopped while its disks are copied.
    :param verify: whether the image is booted once before it gets its name.
    :param flavor: of the instance that is booted for that; by default the captured one's.
    :param network: that it is booted in; by default that of the first port.
    :param probes: what it must answer; without any it is enough that it is ACTIVE.
    """

    name: str = ""
    volumes: tuple[str, ...] = ()
    stop: bool = False
    verify: bool = True
    flavor: str = ""
    network: str = ""
    probes: tuple[dict[str, Any], ...] = ()

    @classmethod
    def read(cls, plain: dict[str, Any]) -> Options:
        """Read the options.

        :raises RequestError: one is unknown, of the wrong kind, or asks for what cannot be.
        """
        try:
            options = codec.from_plain(cls, plain)
        except (ValueError, TypeError) as exc:
            raise RequestError(f"the options of capture are not valid: {exc}") from exc
        for key in ("stop", "verify"):
            if not isinstance(getattr(options, key), bool):
                raise RequestError(f"option {key} of capture must be true or false")
        guest_probes.check_probes(plain.get("probes") or [])
        if any("ssh" in probe for probe in options.probes):
            raise RequestError("nobody can log in to the instance that is booted: probe otherwise")
        if options.probes and not options.verify:
            raise RequestError("probes are asked when the image is booted; say verify, or no probe")
        return options
