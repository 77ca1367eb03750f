"""Cinder, through python-cinderclient."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from cinderclient import client as cinder_client
from keystoneauth1 import exceptions as ksa

from upgrade_flows import errors
from upgrade_flows.cloud.api import NewVolume, Service
from upgrade_flows.cloud.clients import shapes
from upgrade_flows.cloud.clients.errors import translated
from upgrade_flows.cloud.clients.http import document, joined, pages, segment
from upgrade_flows.cloud.clients.session import Connection, user_agent
from upgrade_flows.model.inventory import Quota, Snapshot, Volume, VolumeAttachment

_QUOTA = ("volumes", "gigabytes", "snapshots")


@translated("volumes")
class Volumes:
    """``api.Volumes`` over Cinder's API version 3."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @functools.cached_property
    def _api(self) -> Any:
        return self._with(self._connection.session)

    def _in(self, project_id: str) -> Any:
        return self._with(self._connection.for_project(project_id))

    def _where_possible(self, project_id: str) -> Any:
        """Return a client in a project, or in our own where we have no role in that one."""
        try:
            api = self._in(project_id)
            api.get_token()
        except (errors.Forbidden, ksa.Unauthorized, ksa.Forbidden):
            return self._api
        return api

    def _with(self, session: Any) -> Any:
        endpoint = self._connection.endpoint("block-storage")
        client = cinder_client.Client(
            "3",
            session=session,
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

    def unchanged(self, status: str, since: float) -> tuple[Volume, ...]:
        """Return the volumes of a status that have not changed since then; Cinder looks for it."""
        found = pages(self._api, "/volumes/detail", "volumes", all_tenants=1, status=status)
        return tuple(
            _volume(item)
            for item in found
            if shapes.epoch(item.get("updated_at") or item["created_at"]) < since
        )

    def services(self) -> list[Service]:
        """Return all services of Cinder."""
        return [shapes.service(item) for item in document(self._api, "/os-services")["services"]]

    def volume(self, volume_id: str) -> Volume:
        """Return one volume."""
        return _volume(document(self._api, f"/volumes/{segment(volume_id)}")["volume"])

    def find(self, name: str) -> tuple[Volume, ...]:
        """Return the volumes of a name, in all projects."""
        found = pages(self._api, "/volumes/detail", "volumes", all_tenants=1, name=name)
        return tuple(_volume(item) for item in found)

    def create(self, new: NewVolume) -> Volume:
        """Create a volume with a token of its project."""
        optional = {
            "volume_type": new.volume_type,
            "source_volid": new.source_volume_id,
            "snapshot_id": new.snapshot_id,
            "imageRef": new.image_id,
            "metadata": dict(new.metadata),
        }
        body = {
            "name": new.name,
            "size": new.size_gb,
            **{name: value for name, value in optional.items() if value},
        }
        answer = self._in(new.project_id).post("/volumes", body={"volume": body})[1]
        return dataclasses.replace(_volume(answer["volume"]), project_id=new.project_id)

    def delete(self, volume_id: str) -> None:
        """Delete a volume."""
        self._api.delete(f"/volumes/{segment(volume_id)}")

    def set_metadata(self, volume_id: str, metadata: dict[str, str]) -> None:
        """Add to the metadata of a volume."""
        path = f"/volumes/{segment(volume_id)}/metadata"
        self._api.post(path, body={"metadata": dict(metadata)})

    def snapshots(self) -> list[Snapshot]:
        """Return snapshots of all projects."""
        found = pages(self._api, "/snapshots/detail", "snapshots", all_tenants=1)
        return [_snapshot(item) for item in found]

    def snapshot(self, snapshot_id: str) -> Snapshot:
        """Return one snapshot."""
        path = f"/snapshots/{segment(snapshot_id)}"
        return _snapshot(document(self._api, path)["snapshot"])

    def find_snapshots(self, name: str) -> tuple[Snapshot, ...]:
        """Return the snapshots of a name, in all projects."""
        found = pages(self._api, "/snapshots/detail", "snapshots", all_tenants=1, name=name)
        return tuple(_snapshot(item) for item in found)

    def create_snapshot(
        self, volume_id: str, name: str, metadata: dict[str, str] | None = None
    ) -> Snapshot:
        """Snapshot a volume with a token of its project; of one in use, by force."""
        project = self.volume(volume_id).project_id
        body = {
            "volume_id": volume_id,
            "name": name,
            "force": True,
            "metadata": dict(metadata or {}),
        }
        api = self._where_possible(project)
        made = _snapshot(api.post("/snapshots", body={"snapshot": body})[1]["snapshot"])
        return dataclasses.replace(made, project_id=str(api.get_project_id() or ""))

    def delete_snapshot(self, snapshot_id: str) -> None:
        """Delete a snapshot."""
        self._api.delete(f"/snapshots/{segment(snapshot_id)}")

    def set_snapshot_metadata(self, snapshot_id: str, metadata: dict[str, str]) -> None:
        """Add to the metadata of a snapshot."""
        path = f"/snapshots/{segment(snapshot_id)}/metadata"
        self._api.post(path, body={"metadata": dict(metadata)})

    def upload_image(self, volume_id: str, name: str) -> str:
        """Copy a volume into a new image, raw, with a token of its project."""
        body = {
            "image_name": name,
            "force": True,
            "container_format": "bare",
            "disk_format": "raw",
        }
        api = self._where_possible(self.volume(volume_id).project_id)
        path = f"/volumes/{segment(volume_id)}/action"
        answer = api.post(path, body={"os-volume_upload_image": body})[1]
        return str(answer["os-volume_upload_image"]["image_id"])

    def quota(self, project_id: str) -> Quota:
        """Return limits and usage of a project; what is reserved counts as used."""
        path = joined(f"/os-quota-sets/{segment(project_id)}", usage="True")
        found = document(self._api, path)["quota_set"]
        return Quota(
            limits={kind: int(found[kind]["limit"]) for kind in _QUOTA},
            used={
                kind: int(found[kind]["in_use"]) + int(found[kind].get("reserved") or 0)
                for kind in _QUOTA
            },
        )


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
        metadata=dict(data.get("metadata") or {}),
        image_properties=dict(data.get("volume_image_metadata") or {}),
    )


def _snapshot(data: dict[str, Any]) -> Snapshot:
    return Snapshot(
        id=data["id"],
        name=data.get("name") or "",
        status=data["status"],
        volume_id=data.get("volume_id") or "",
        size_gb=int(data.get("size") or 0),
        project_id=data.get("os-extended-snapshot-attributes:project_id") or "",
        metadata=dict(data.get("metadata") or {}),
    )
