"""The in-memory cloud itself: its services behind proxies, its snapshots and its state."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from upgrade_flows import errors
from upgrade_flows.cloud import api
from upgrade_flows.cloud.fake import hosts, operations, view
from upgrade_flows.cloud.fake.builder import Builder
from upgrade_flows.cloud.fake.clock import FakeClock
from upgrade_flows.cloud.fake.compute import Compute
from upgrade_flows.cloud.fake.faults import Faults, Proxy
from upgrade_flows.cloud.fake.network import Network
from upgrade_flows.cloud.fake.services import Images, Orchestration, Placement
from upgrade_flows.cloud.fake.volumes import Volumes
from upgrade_flows.cloud.fake.world import World


@dataclass(frozen=True)
class Snapshot:
    """A cloud at one instant: unaffected by what happens to the cloud afterwards."""

    content: bytes


class Direct:
    """The services without proxies: what a test looks at is neither counted nor disturbed."""

    def __init__(self, world: World, faults: Faults) -> None:
        self.compute = Compute(world, faults)
        self.network = Network(world, faults)
        self.volumes = Volumes(world, faults)
        self.images = Images(world, faults)
        self.placement = Placement(world, faults)
        self.orchestration = Orchestration(world, faults)


class FakeCloud(Builder):
    """A deterministic cloud in memory that satisfies ``cloud.api.Cloud``.

    Calls are accepted at once; what they start is finished when ``clock`` has moved on far
    enough (``durations``), which ``cloud.wait`` makes it do.  ``faults`` breaks things on
    demand, ``calls`` lists what was called.

    :param hosts: names of compute hosts to begin with, all in ``mode``.
    """

    def __init__(self, hosts: Iterable[str] = ("h1", "h2", "h3"), mode: str = "ovs") -> None:
        self._assume(World())
        for name in hosts:
            self.add_host(name, mode)

    def _assume(self, world: World) -> None:
        self.world = world
        self.faults = Faults()
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self._counts: dict[str, int] = {}
        self._lock = threading.RLock()
        self._direct = Direct(world, self.faults)
        self._proxies = {
            name: Proxy(name, service, self._perform)
            for name, service in vars(self._direct).items()
        }

    # what api.Cloud asks for

    @property
    def id(self) -> str:
        """What tells this cloud from others."""
        return self.world.id

    @property
    def clock(self) -> FakeClock:
        """The simulated clock."""
        return self.world.clock

    @property
    def compute(self) -> api.Compute:
        """Nova."""
        return cast(api.Compute, self._proxies["compute"])

    @property
    def network(self) -> api.Network:
        """Neutron."""
        return cast(api.Network, self._proxies["network"])

    @property
    def volumes(self) -> api.Volumes:
        """Cinder."""
        return cast(api.Volumes, self._proxies["volumes"])

    @property
    def images(self) -> api.Images:
        """Glance."""
        return cast(api.Images, self._proxies["images"])

    @property
    def placement(self) -> api.Placement:
        """Placement."""
        return cast(api.Placement, self._proxies["placement"])

    @property
    def orchestration(self) -> api.Orchestration:
        """Heat."""
        return cast(api.Orchestration, self._proxies["orchestration"])

    def check_credentials(self) -> None:
        """Do nothing: we are an administrator (``faults`` knows it as ``check_credentials``)."""
        self._perform("check_credentials", lambda: None, ())

    def credentials(self) -> api.Credentials:
        """Return how long ours are good: ``world.credentials``."""
        found: api.Credentials = self._perform("credentials", lambda: self.world.credentials, ())
        return found

    def endpoints(self) -> tuple[api.Endpoint, ...]:
        """Return the catalogue: ``world.endpoints``."""
        found: tuple[api.Endpoint, ...] = self._perform(
            "endpoints", lambda: tuple(self.world.endpoints), ()
        )
        return found

    def certificate(self, url: str) -> api.Certificate:
        """Return what the server of an address shows: ``world.certificates``."""
        found: api.Certificate = self._perform("certificate", self._certificate, (url,))
        return found

    def _certificate(self, url: str) -> api.Certificate:
        if url not in self.world.certificates:
            raise errors.Unavailable(f"{url}: connection refused")
        return self.world.certificates[url]

    def projects_without_us(self, project_ids: set[str]) -> set[str]:
        """Return those of the projects that were closed to us."""
        closed: set[str] = self._perform(
            "projects_without_us", lambda ids: ids & self.world.closed_projects, (project_ids,)
        )
        return closed

    # what a host itself is asked

    def reboot_host(self, name: str) -> None:
        """Reboot a host (``faults`` knows it as ``host.reboot``); see ``fake.hosts.reboot``."""
        self._perform(
            hosts.REBOOT, lambda host: hosts.reboot(self.world, self.faults, host), (name,)
        )

    def boot_id(self, name: str) -> str:
        """Return the boot id of a host, which every boot changes.

        :raises Unavailable: it is rebooting.
        """
        found: str = self._perform(
            "host.boot_id", lambda host: hosts.boot_id(self.world, host), (name,)
        )
        return found

    def software(self, name: str) -> tuple[str, str]:
        """Return the releases that a host has installed, and that it runs.

        :raises Unavailable: it is rebooting.
        """
        found: tuple[str, str] = self._perform(
            "host.software", lambda host: hosts.software(self.world, host), (name,)
        )
        return found

    def install(self, name: str, release: str) -> None:
        """Install a release on a host, which runs it from its next boot on.

        :raises Unavailable: it is rebooting.
        """
        self._perform(
            "host.install", lambda *args: hosts.install(self.world, *args), (name, release)
        )

    # what tests ask for besides

    @property
    def durations(self) -> dict[str, float]:
        """How many simulated seconds each kind of operation takes, by call."""
        return self.world.durations

    @property
    def guests(self) -> dict[str, dict[str, Any]]:
        """What simulated workloads do in guests, by server: gone with the server.

        Plain JSON, that ``state`` shows and snapshots keep; ``console`` is what a server's
        console shows.
        """
        with self._lock:
            operations.settle(self.world)
        return self.world.guests

    @property
    def direct(self) -> Direct:
        """The services, brought up to the clock's time, without faults and uncounted."""
        with self._lock:
            operations.settle(self.world)
        return self._direct

    def state(self, bindings: bool = False, ignore: Iterable[str] = ()) -> dict[str, Any]:
        """Return all that an operator could see, to compare two moments by.

        :param bindings: with the ports' VIF types and details.
        :param ignore: tables ("images") or columns ("ports.dns_name") to leave out.
        """
        with self._lock:
            operations.settle(self.world)
            return view.state(self.world, bindings, ignore)

    def snapshot(self) -> Snapshot:
        """Return the cloud as it is at this instant, operations under way included."""
        with self._lock:
            return Snapshot(pickle.dumps(self.world))

    @classmethod
    def restored(cls, snapshot: Snapshot) -> FakeCloud:
        """Return a cloud that goes on from a snapshot, with no faults and no calls counted."""
        cloud = cls.__new__(cls)
        cloud._assume(pickle.loads(snapshot.content))  # noqa: S301 - our own bytes
        return cloud

    def count(self, call: str) -> int:
        """Return how often a call was made."""
        return self._counts.get(call, 0)

    def _perform(self, name: str, method: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        with self._lock:
            self.calls.append((name, args))
            self._counts[name] = self._counts.get(name, 0) + 1
        self.faults.tell(name, args, "before")
        with self._lock:
            error = self.faults.take(name, args, "before")
            if error is not None:
                raise error
            operations.settle(self.world)
            result = method(*args)
        self.faults.tell(name, args, "after")
        with self._lock:
            error = self.faults.take(name, args, "after")
        if error is not None:
            raise error
        return result


if TYPE_CHECKING:

    def _conforms(
        direct: Direct,
    ) -> tuple[api.Compute, api.Network, api.Volumes, api.Images, api.Placement, api.Orchestration]:
        """Let mypy compare the services with their protocols, which the proxies hide."""
        return (
            direct.compute,
            direct.network,
            direct.volumes,
            direct.images,
            direct.placement,
            direct.orchestration,
        )
