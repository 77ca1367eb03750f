"""Cinder, through python-cinderclient."""

from __future__ import annotations

import functools
from typing import Any

from cinderclient import client as cinder_client

from upgrade_flows.cloud.clients.errors import translated
from upgrade_flows.cloud.clients.http import document, pages, segment
from upgrade_flows.cloud.clients.session import Connection, user_agent
from upgrade_flows.model.inventory import Volume, VolumeAttachment


@translated("volumes")
class Volumes:
    """``api.Volumes`` over Cinder's API version 3."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @functools.cached_property
    def _api(self) -> Any:
        endpoint = self._connection.endpoint("block-storage")
        client = cinder_client.Client(
            "3",
            session=self._connection.session,
            endpoint_type=endpoint["interface"],
            os_endpoint=endpoint["endpoint_override"],
            region_name=endpoint["region_name"],
            service_name=endpoint["service_name"],
            service_type=endpoint["service_type"],
            user_agent=user_agent(),
        )
        return client.client

    def volumes(self) -> list[Volume]:
        """Return volumes of all projects."""
        found = pages(self._api, "/volumes/detail", "volumes", all_tenants=1)
        return [_volume(item) for item in found]

    def volume(self, volume_id: str) -> Volume:
        """Return one volume."""
        return _volume(document(self._api, f"/volumes/{segment(volume_id)}")["volume"])


def _volume(data: dict[str, Any]) -> Volume:
    return Volume(
        id=data["id"],
        name=data.get("name") or "",
        status=data["status"],
        size_gb=int(data.get("size") or 0),
        project_id=data.get("os-vol-tenant-attr:tenant_id") or "",
        volume_type=data.get("volume_type") or "",
        backend=data.get("os-vol-host-attr:host") or "",
        bootable=str(data.get("bootable")).lower() == "true",
        multiattach=bool(data.get("multiattach")),
        encrypted=bool(data.get("encrypted")),
        attachments=tuple(
            VolumeAttachment(
                server_id=item.get("server_id") or "",
                device=item.get("device") or "",
                attachment_id=item.get("attachment_id") or "",
            )
            for item in data.get("attachments") or []
        ),
    )
