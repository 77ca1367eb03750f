"""Instances whose machine type is not recorded."""

from __future__ import annotations

from collections.abc import Iterable

from upgrade_flows.checks.base import Check, Database, Sources, each
from upgrade_flows.model.check import Rule
from upgrade_flows.model.report import Finding, Severity

NAMED = 20

UNSET = Rule(
    "UF-CL-050",
    "instances have no machine type recorded",
    Severity.WARNING,
    "Where none is recorded, the default of the host decides when an instance is started: if the"
    " target release or a new QEMU has another one (pc, q35), its devices are at other addresses,"
    " and Windows wants to be activated anew. nova-status warns of it, too.",
    "nova-manage libvirt list_unset_machine_type, then nova-manage libvirt update_machine_type"
    " SERVER TYPE, with the type that it has now.",
)


class Machines(Check):
    """Looks for instances without ``image_hw_machine_type`` in the cells' databases.

    No API shows it: Nova records it in the system metadata of instances (Wallaby and later).
    """

    area = "cloud"
    title = "machine types of instances"
    rules = (UNSET,)

    def run(self, sources: Sources) -> Iterable[Finding]:
        """Look at each cell."""
        return each(sources.databases("nova_cell"), look)


def look(cell: Database) -> list[Finding]:
    """Return a finding if a cell has instances on hosts of libvirt without a machine type."""
    if "hypervisor_type" in cell.columns("compute_nodes"):
        libvirt = (
            " AND EXISTS (SELECT 1 FROM compute_nodes n WHERE n.hypervisor_hostname = i.node"
            " AND n.deleted = 0 AND n.hypervisor_type IN ('QEMU', 'KVM'))"
        )
    else:
        libvirt = ""
    key = cell.quoted("key")
    body = (
        " FROM instances i WHERE i.deleted = 0 AND i.host IS NOT NULL AND NOT EXISTS"
        " (SELECT 1 FROM instance_system_metadata m WHERE m.instance_uuid = i.uuid"
        f" AND m.deleted = 0 AND m.{key} = 'image_hw_machine_type'){libvirt}"
    )
    number = int(cell.rows(f"SELECT COUNT(*){body}")[0][0])
    if not number:
        return []
    some = sorted(str(uuid) for (uuid,) in cell.rows(f"SELECT i.uuid{body} LIMIT {NAMED}"))
    return [
        UNSET.found(
            cell.name,
            f"{number} instances of the cell have no machine type recorded, such as {some[0]}",
            rows=number,
            some=some,
        )
    ]
