"""What tells how a cloud is, rather than what is in it: services, endpoints, certificates."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Service:
    """A process of Nova or Cinder that reports to its database.

    :param binary: ``nova-conductor``, ``cinder-volume``...
    :param up: it was heard of lately (60 s by default).
    :param updated: when it was last heard of, as the service writes times.
    """

    binary: str
    host: str
    enabled: bool = True
    up: bool = True
    disabled_reason: str | None = None
    forced_down: bool = False
    zone: str = ""
    updated: str = ""


@dataclass(frozen=True)
class Endpoint:
    """One address in the catalogue of services."""

    service: str
    interface: str
    url: str


@dataclass(frozen=True)
class Certificate:
    """What a server shows of itself in TLS.

    :param expires: the moment from which on it is not good any more, in epoch seconds.
    """

    subject: str
    issuer: str
    expires: float
