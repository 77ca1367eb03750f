"""One real cloud: the services put together, as ``api.Cloud`` wants them."""

from __future__ import annotations

from typing import Any

from upgrade_flows import errors
from upgrade_flows.cloud import wait
from upgrade_flows.cloud.api import Certificate, Credentials, Endpoint
from upgrade_flows.cloud.clients import session, tls
from upgrade_flows.cloud.clients.compute import Compute
from upgrade_flows.cloud.clients.errors import translated, translating
from upgrade_flows.cloud.clients.http import concurrently
from upgrade_flows.cloud.clients.images import Images
from upgrade_flows.cloud.clients.network import Network
from upgrade_flows.cloud.clients.orchestration import Orchestration
from upgrade_flows.cloud.clients.placement import Placement
from upgrade_flows.cloud.clients.volumes import Volumes


@translated("cloud")
class RealCloud:
    """One cloud, seen by one set of credentials; ``connect`` makes it."""

    def __init__(self, connection: session.Connection) -> None:
        self._connection = connection
        self.clock = wait.SystemClock()
        self.compute = Compute(connection)
        self.network = Network(connection)
        self.volumes = Volumes(connection)
        self.images = Images(connection)
        self.placement = Placement(connection)
        self.orchestration = Orchestration(connection)

    def __repr__(self) -> str:
        return f"<RealCloud {self.id}>"

    @property
    def id(self) -> str:
        """What tells this cloud from others: its Keystone's URL and the region."""
        return self._connection.id

    def check_credentials(self) -> None:
        """Authenticate, and read something that only an administrator may.

        :raises Unauthorized: the credentials are refused.
        :raises Forbidden: they are not an administrator's.
        """
        self._connection.session.get_token()
        try:
            self.compute.hosts()
        except errors.Forbidden as exc:
            raise errors.Forbidden(
                f"the credentials for {self.id} are not an administrator's: {exc}"
            ) from exc

    def credentials(self) -> Credentials:
        """Return how long our credentials let us in."""
        return self._connection.credentials()

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return what the catalogue has for our region."""
        return self._connection.endpoints()

    def certificate(self, url: str) -> Certificate:
        """Return what the server of an address shows of itself."""
        return tls.certificate(url)

    def projects_without_us(self, project_ids: set[str]) -> set[str]:
        """Return the projects in which we cannot get a token."""
        ordered = sorted(project_ids)
        return {
            project
            for project, ours in zip(ordered, concurrently(self._token_in, ordered), strict=True)
            if not ours
        }

    def _token_in(self, project_id: str) -> bool:
        try:
            with translating(f"cloud: token in project {project_id}"):
                self._connection.for_project(project_id).get_token()
        except (errors.Unauthorized, errors.Forbidden, errors.NotFound):
            return False
        return True


def connect(
    cloud: str | None = None, *, region: str | None = None, options: dict[str, Any] | None = None
) -> RealCloud:
    """Return the cloud of some credentials; nothing is sent before it is used.

    :param cloud: a name in ``clouds.yaml``; without it, the OS_* variables.
    :param region: for a cloud that has several.
    :param options: what an entry of ``clouds.yaml`` may hold, instead or in addition.
    :raises RequestError: there are no such credentials, or they are incomplete.
    """
    return RealCloud(session.load(cloud, region=region, options=options))
