"""How Nova is reached: its microversion, an adapter for reads, python-novaclient for actions."""

from __future__ import annotations

import functools
from typing import Any

import novaclient
from keystoneauth1.adapter import Adapter
from novaclient import api_versions
from novaclient import client as nova_client

from upgrade_flows import errors
from upgrade_flows.cloud.clients.session import Connection, user_agent

OLDEST = (2, 90)
NEWEST = (2, 100)


class Nova:
    """What every part of ``api.Compute`` over Nova's API needs."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @functools.cached_property
    def _version(self) -> tuple[int, int]:
        data = self._connection.adapter("compute").get_endpoint_data()
        most = tuple(data.max_microversion or ()) if data else ()
        if most < OLDEST:
            spoken = ".".join(str(part) for part in most) or "no microversions"
            raise errors.CloudError(
                f"compute: Nova speaks up to {spoken}; 2.90 (Xena) or later is needed"
            )
        return min((int(most[0]), int(most[1])), NEWEST)

    @functools.cached_property
    def _api(self) -> Adapter:
        return self._connection.adapter("compute", default_microversion=_text(self._version))

    @functools.cached_property
    def _nova(self) -> Any:
        version = min(api_versions.APIVersion(_text(self._version)), novaclient.API_MAX_VERSION)
        endpoint = self._connection.endpoint("compute")
        return nova_client.Client(
            version,
            session=self._connection.session,
            endpoint_type=endpoint.pop("interface"),
            user_agent=user_agent(),
            **endpoint,
        )

    def _in(self, project_id: str) -> Adapter:
        return self._connection.adapter(
            "compute",
            session=self._connection.for_project(project_id),
            default_microversion=_text(self._version),
        )


def _text(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
