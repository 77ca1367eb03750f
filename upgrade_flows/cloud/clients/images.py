"""Glance, through python-glanceclient."""

from __future__ import annotations

import functools
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

    def delete(self, image_id: str) -> None:
        """Delete an image."""
        self._client.images.delete(image_id)


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
