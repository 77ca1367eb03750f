"""A cloud of HTTP answers: Keystone's token and catalogue, discovery, and counted listings."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests_mock

from upgrade_flows.cloud.clients import RealCloud, connect

KEYSTONE = "http://keystone.test/v3"
NOVA = "http://nova.test/v2.1"
NEUTRON = "http://neutron.test"
CINDER = "http://cinder.test/v3"
GLANCE = "http://glance.test"
PLACEMENT = "http://placement.test"
PASSWORD = "correct-horse"
TOKEN = "gAAAAA-token-of-nobody-else-0123456789"
OWN = "p-own"
CATALOGUE = {
    "compute": NOVA,
    "network": NEUTRON,
    "volumev3": CINDER,
    "image": GLANCE,
    "placement": PLACEMENT,
}


def options() -> dict[str, Any]:
    """Return the options of a password user in project ``p-own``."""
    return {
        "region_name": "R1",
        "auth": {
            "auth_url": KEYSTONE,
            "username": "admin",
            "password": PASSWORD,
            "project_id": OWN,
            "user_domain_id": "default",
        },
    }


def cloud_on(http: requests_mock.Mocker, microversion: str = "2.100", **more: str) -> RealCloud:
    """Return a real cloud whose Keystone and discovery are answered by ``http``."""
    catalogue = {**CATALOGUE, **more}
    http.get(
        KEYSTONE,
        json={
            "version": {
                "id": "v3.14",
                "status": "stable",
                "links": [{"rel": "self", "href": KEYSTONE}],
            }
        },
    )
    http.post(
        f"{KEYSTONE}/auth/tokens",
        json=lambda request, _: _token(request, catalogue),
        headers={"X-Subject-Token": TOKEN},
    )
    http.get(
        NOVA,
        json={
            "version": {
                "id": "v2.1",
                "status": "CURRENT",
                "version": microversion,
                "min_version": "2.1",
                "links": [{"rel": "self", "href": NOVA}],
            }
        },
    )
    http.get(
        PLACEMENT,
        json={
            "versions": [
                {
                    "id": "v1.0",
                    "status": "CURRENT",
                    "max_version": "1.39",
                    "min_version": "1.0",
                    "links": [{"rel": "self", "href": ""}],
                }
            ]
        },
    )
    cloud = connect(options=options())
    cloud._connection.session.sleep = lambda seconds: None  # type: ignore[attr-defined]
    return cloud


def _token(request: Any, catalogue: dict[str, str]) -> dict[str, Any]:
    scope = request.json()["auth"].get("scope", {}).get("project", {})
    return {
        "token": {
            "methods": ["password"],
            "expires_at": "2099-01-01T00:00:00.000000Z",
            "issued_at": "2020-01-01T00:00:00.000000Z",
            "user": {"id": "u-own", "name": "admin", "domain": {"id": "default", "name": "D"}},
            "project": {"id": scope.get("id"), "name": "p", "domain": {"id": "d", "name": "D"}},
            "roles": [{"id": "r", "name": "admin"}],
            "catalog": [
                {
                    "type": kind,
                    "id": kind,
                    "name": kind,
                    "endpoints": [
                        {
                            "id": kind,
                            "interface": "public",
                            "region": "R1",
                            "region_id": "R1",
                            "url": url,
                        }
                    ],
                }
                for kind, url in catalogue.items()
            ],
        }
    }


class Listing:
    """Answers a listing page by page and counts the calls, as services do it."""

    def __init__(self, key: str, items: list[dict[str, Any]], at_most: int = 1000) -> None:
        self.key = key
        self.items = items
        self.at_most = at_most
        self.index = {item["id"]: place for place, item in enumerate(items) if "id" in item}

    def __call__(self, request: Any, context: Any) -> dict[str, Any]:
        query = parse_qs(urlsplit(request.url).query)
        first = self.index[query["marker"][0]] + 1 if "marker" in query else 0
        size = min(int(query.get("limit", ["1000"])[0]), self.at_most)
        page = self.items[first : first + size]
        body: dict[str, Any] = {self.key: page}
        if first + size < len(self.items):
            body[f"{self.key}_links"] = [{"rel": "next", "href": "http://elsewhere.test"}]
        return body
