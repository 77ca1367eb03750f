"""What calls to a cloud take and answer, beyond what the inventory holds of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from upgrade_flows.model.inventory import AttachedVolume

#: the statuses in which a migration record stays: nothing moves any more.  ``finished`` is none
#: of them: a cold migration waits for its confirmation, and may yet be reverted to its source
ENDED = frozenset({"cancelled", "completed", "confirmed", "done", "error", "failed", "reverted"})


@dataclass(frozen=True)
class NewServer:
    """What a server is created from.

    ``project_id`` may be empty: then it is our own project.  ``ports`` are ids, in the order in
    which the guest sees them; without any, ``network`` may name one in which Nova makes a port.
    ``boot_image`` or a volume
    with boot index 0 is what it boots from; ``host`` forces the compute host and still runs
    the filters (microversion 2.74).
    """

    name: str
    project_id: str
    flavor_id: str
    ports: tuple[str, ...]
    host: str | None = None
    boot_image: str | None = None
    volumes: tuple[AttachedVolume, ...] = ()
    availability_zone: str | None = None
    description: str | None = None
    hostname: str | None = None
    key_name: str | None = None
    user_data: str | None = None
    config_drive: bool = False
    metadata: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    server_group: str | None = None
    disk_config: str | None = None
    trusted_image_certificates: tuple[str, ...] = ()
    network: str | None = None


@dataclass(frozen=True)
class NewVolume:
    """What a volume is created from.

    Empty, or filled from one of ``source_volume_id`` (a volume that may be in use: it is cloned
    as it is at that moment), ``snapshot_id`` and ``image_id``; it is not smaller than that.
    Without ``volume_type`` it gets its source's, or the cloud's default.
    """

    name: str
    size_gb: int
    project_id: str
    volume_type: str = ""
    source_volume_id: str = ""
    snapshot_id: str = ""
    image_id: str = ""
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Credentials:
    """How long what we were given lets us in.

    :param expires: when the token ends, in epoch seconds; None where nothing says so.
    :param renewable: whether a new token is got when it has ended: not of a token alone.
    """

    expires: float | None
    renewable: bool


@dataclass(frozen=True)
class InstanceAction:
    """One entry of Nova's list of instance actions, with its times as epoch seconds."""

    action: str
    request_id: str
    start: float
    finish: float | None
    result: str = ""


@dataclass(frozen=True)
class Memory:
    """How far a live migration has copied the guest's memory, in bytes.

    Nova writes the numbers down every five seconds.  ``processed`` passes ``total`` where the
    guest writes faster than is copied; zeros: nothing was written down yet.
    """

    total: int
    processed: int
    remaining: int


@dataclass(frozen=True)
class Migration:
    """One migration record; ``status`` and ``kind`` as Nova names them.

    A live migration (``live-migration``) is ``accepted``, ``queued`` behind others of its
    source, ``preparing``, ``running``, ``post-migrating`` and at last ``completed``, ``failed``
    (undone), ``error`` (no host would do, or worse) or ``cancelled``.  A cold one (``migration``)
    ends in ``confirmed``, ``reverted`` or ``error``.

    :param source: and ``destination`` are compute hosts; the destination is empty until the
        scheduler has chosen one.
    :param created: and ``updated`` are times as Nova writes them.
    :param memory: in ``live_migrations`` only.
    """

    id: str
    status: str
    kind: str
    source: str
    destination: str
    created: str = ""
    server_id: str = ""
    updated: str = ""
    memory: Memory | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing will move any more because of it."""
        return self.status in ENDED


@dataclass(frozen=True)
class HostService:
    """The nova-compute service of a host.

    :param up: Nova heard of it within ``service_down_time`` (60 s by default): a host that
        went down a moment ago is still up here.
    :param forced_down: an administrator or a fencing tool says that it is down, whatever it says.
    :param updated: when Nova last heard of it, as Nova writes times.
    """

    host: str
    id: str
    enabled: bool
    up: bool
    disabled_reason: str | None = None
    forced_down: bool = False
    availability_zone: str = ""
    updated: str = ""


@dataclass(frozen=True)
class Hypervisor:
    """The hypervisor of a compute host.

    :param host: the compute host; ``hostname`` is the name that the hypervisor has for itself.
    :param version: QEMU's where libvirt drives it, as one number: 8002003 is 8.2.3.  libvirt's
        own version is not shown.
    :param cpu: ``vendor``, ``arch``, ``model``, ``features``... as the driver reports them;
        empty if it does not.  Shown by microversions before 2.88 only.
    :param uptime: the line that ``uptime`` prints on the host; empty in listings, where the
        driver knows none, and where the service is down.
    """

    host: str
    id: str
    hostname: str
    kind: str
    version: int
    cpu: dict[str, Any] = field(default_factory=dict)
    uptime: str = ""


@dataclass(frozen=True)
class PortBinding:
    """One binding of a port: ACTIVE where its server runs, INACTIVE where one is to come.

    A port has one binding for each host at most.  An INACTIVE one that a migration has left
    behind stands in the way of the next migration to that host.
    """

    host: str
    active: bool
    vif_type: str = ""
    vif_details: dict[str, Any] = field(default_factory=dict)
    vnic_type: str = "normal"
    profile: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Stock:
    """What a resource provider has of one resource class.

    ``capacity`` is what can be allocated: ``(total - reserved) * allocation_ratio``, down to a
    whole unit.
    """

    total: int
    reserved: int = 0
    allocation_ratio: float = 1.0

    @property
    def capacity(self) -> int:
        """What can be allocated."""
        return int((self.total - self.reserved) * self.allocation_ratio)


@dataclass(frozen=True)
class Provider:
    """A resource provider of Placement: a compute host, or a part of one (NUMA node, device).

    :param parent: the id of the provider that it is a part of; empty for a compute host.
    :param stocks: what it has, by resource class.
    :param aggregates: ids of aggregates; Nova mirrors its host aggregates there.
    """

    id: str
    name: str
    parent: str = ""
    stocks: dict[str, Stock] = field(default_factory=dict)
    traits: tuple[str, ...] = ()
    aggregates: tuple[str, ...] = ()


@dataclass(frozen=True)
class Subnet:
    """A subnet; ``cidr`` as in ``10.0.0.0/24``, ``gateway`` is empty where it has none."""

    id: str
    cidr: str
    gateway: str = ""
