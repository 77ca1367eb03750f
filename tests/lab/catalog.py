"""Fill Keystone: users, projects, roles, services and endpoints; what is there stays."""

from __future__ import annotations

from typing import Any

from tests.lab.api import Connection
from tests.lab.settings import Settings

SERVICES = {  # service and its user: type, path behind the root of its API
    "placement": ("placement", ""),
    "glance": ("image", ""),
    "neutron": ("network", ""),
    "nova": ("compute", "/v2.1"),
    "cinder": ("volumev3", "/v3"),
    "heat": ("orchestration", "/v1/%(tenant_id)s"),
}
ROLES = ("admin", "manager", "member", "reader", "service", "heat_stack_owner", "heat_stack_user")


def fill(cloud: Connection, settings: Settings) -> None:
    """Create everything that Keystone has to know."""
    identity = cloud.identity
    roles = {name: identity.find_role(name) or identity.create_role(name=name) for name in ROLES}
    project = _project(cloud, "service")
    for name, (kind, path) in SERVICES.items():
        user = _user(cloud, settings, name)
        for role in ("admin", "service"):
            identity.assign_project_role_to_user(project, user, roles[role])
        service = identity.find_service(name) or identity.create_service(name=name, type=kind)
        present = {endpoint.interface for endpoint in identity.endpoints(service_id=service.id)}
        for interface in {"public", "internal", "admin"} - present:
            identity.create_endpoint(
                service_id=service.id,
                interface=interface,
                url=settings.url(name) + path,
                region_id=settings.region,
            )
    _heat_domain(cloud, settings, roles)
    admin, demo = identity.find_user("admin"), _user(cloud, settings, "demo")
    for project_name, user, names in (
        ("admin", admin, ("member", "heat_stack_owner")),
        ("demo", admin, ("admin", "member", "heat_stack_owner")),
        ("demo", demo, ("member", "heat_stack_owner")),
    ):
        for role in names:
            target = _project(cloud, project_name)
            identity.assign_project_role_to_user(target, user, roles[role])


def _project(cloud: Connection, name: str) -> Any:
    found = cloud.identity.find_project(name)
    return found or cloud.identity.create_project(name=name, domain_id="default")


def _user(cloud: Connection, settings: Settings, name: str, domain_id: str = "default") -> Any:
    found = cloud.identity.find_user(name, domain_id=domain_id)
    return found or cloud.identity.create_user(
        name=name, password=settings.password, domain_id=domain_id
    )


def _heat_domain(cloud: Connection, settings: Settings, roles: dict[str, Any]) -> None:
    """Make the domain of the users that Heat invents, and its administrator."""
    identity = cloud.identity
    domain = identity.find_domain("heat") or identity.create_domain(name="heat")
    user = _user(cloud, settings, "heat_domain_admin", domain.id)
    identity.assign_domain_role_to_user(domain, user, roles["admin"])
