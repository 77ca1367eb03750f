"""Glance, through python-glanceclient."""

from __future__ import annotations

import functools
import json
from typing import Any

import glanceclient

from upgrade_flows.cloud.clients.errors import translated
from upgrade_flows.cloud.clients.http import document, pages, segment
from upgrade_flows.cloud.clients.session import Connection, user_agent
from upgrade_flows.model.inventory import Image

_NOT_PROPERTIES = {
    "id",
    "name",
    "status",
    "size",
    "owner",
    "visibility",
    "min_disk",
    "disk_format",
    "stores",
    "self",
    "file",
    "schema",
    "locations",
    "direct_url",
    "tags",
    "created_at",
    "updated_at",
    "checksum",
    "virtual_size",
    "container_format",
    "protected",
    "min_ram",
    "os_hidden",
    "os_hash_algo",
    "os_hash_value",
}


@translated("images")
class Images:
    """``api.Images`` over Glance's API version 2."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @functools.cached_property
    def _client(self) -> Any:
        endpoint = self._connection.endpoint("image")
        endpoint["endpoint_override"] = self._connection.root("image", "/v2")
        return glanceclient.Client(
            "2", session=self._connection.session, user_agent=user_agent(), **endpoint
        )

    @property
    def _api(self) -> Any:
        return self._client.http_client

    def images(self) -> list[Image]:
        """Return all images that we may see."""
        return [_image(item) for item in pages(self._api, "/v2/images", "images")]

    def image(self, image_id: str) -> Image:
        """Return one image."""
        return _image(document(self._api, f"/v2/images/{segment(image_id)}"))

    def find(self, name: str) -> tuple[Image, ...]:
        """Return the images of a name."""
        # Glance takes "in:" and quotes to mean a list of names.
        quoted = 'in:"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
        found = pages(self._api, "/v2/images", "images", name=quoted)
        return tuple(_image(item) for item in found if item.get("name") == name)

    def create(self, name: str, properties: dict[str, Any], project_id: str = "") -> Image:
        """Create an image of no bytes, as Nova does for a server that boots from a volume.

        Glance takes no bytes without a format, and none of any but raw: it looks at them.
        """
        body = {"name": name, "container_format": "bare", "disk_format": "raw", **properties}
        if project_id:
            body["owner"] = project_id
        made = self._api.post("/v2/images", data=body)[1]
        headers = {"Content-Type": "application/octet-stream"}
        path = f"/v2/images/{segment(made['id'])}"
        self._api.put(f"{path}/file", headers=headers, data=b"")
        return _image(document(self._api, path))

    def set_properties(self, image_id: str, properties: dict[str, str]) -> None:
        """Set properties of an image: to Glance, "add" means to replace as well."""
        changes = [
            {"op": "add", "path": f"/{_pointer(name)}", "value": value}
            for name, value in properties.items()
        ]
        headers = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
        path = f"/v2/images/{segment(image_id)}"
        self._api.patch(path, headers=headers, data=json.dumps(changes))

    def delete(self, image_id: str) -> None:
        """Delete an image."""
        self._client.images.delete(image_id)


def _pointer(name: str) -> str:
    """Return a name as one part of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def _image(data: dict[str, Any]) -> Image:
    return Image(
        id=data["id"],
        name=data.get("name") or "",
        status=data["status"],
        size=data.get("size"),
        owner=data.get("owner") or "",
        visibility=data.get("visibility") or "private",
        min_disk=int(data.get("min_disk") or 0),
        disk_format=data.get("disk_format"),
        locations_backend=data.get("stores") or "",
        properties={key: value for key, value in data.items() if key not in _NOT_PROPERTIES},
    )
