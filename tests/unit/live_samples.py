"""A plan for live updates, and what became of it, to be shown and recorded."""

from __future__ import annotations

from tests.unit.cli_samples import CLOUD, DB_1, WEB_1, subject
from upgrade_flows.model.plan import Action, Gate, Plan, Prediction, Wave
from upgrade_flows.model.report import Finding, State
from upgrade_flows.model.request import Rollout, Scope, Target, UpgradeRequest

NEW = "90000000-0000-4000-8000-000000000000"


def _details(**more):
    return {
        "host": "compute-1",
        "target_host": "compute-1",
        "policy": "packing",
        "flavor_id": "small",
        "project_id": "tenant-a",
        "user_id": "user-a",
        "status": "ACTIVE",
        "image": "image-13",
        "boot": "image",
        "root": None,
        "update": False,
        "resources": {"VCPU": 1, "MEMORY_MB": 512, "DISK_GB": 5},
        "moves": [],
        "volumes": [],
        "ports": [
            {
                "id": "port-1",
                "mac": "fa:16:3e:00:00:01",
                "network_id": "net-1",
                "addresses": ["10.0.0.5"],
            }
        ],
        "health_network": "net-1",
        "group": "",
        "key_name": "",
        "workload": {"plugin": "hooks", "settings": {"quiesce": "systemctl stop app"}},
        "cut": "hot",
        "ready": [{"cloud_init": True}],
        "probes": [{"tcp": 22}, {"http": "/health", "port": 8080, "expect": "ok"}],
        "grace_s": 86400,
        "room_s": 3600,
        "ready_s": 600,
        "answer_s": 60,
        "seen": {},
        **more,
    }


WEB = Action(
    capability="live_update",
    subject=WEB_1,
    name="web-1",
    strategy="make-room",
    because=("not own-host: compute-1 has no room for a second one",),
    declares=("id", "image_id"),
    details=_details(
        volumes=["volume-1"],
        key_name="key-1",
        moves=[
            {"server": "neighbour-1", "name": "batch-*", "source": "compute-1",
             "target": "compute-2"}
        ],
    ),
    prediction=Prediction(downtime_s=4.0, duration_s=150.0),
)  # fmt: skip

DB = Action(
    capability="live_update",
    subject=DB_1,
    name="db 1",
    strategy="other-host",
    because=("not own-host: compute-1 has no room for a second one",),
    declares=("id",),
    details=_details(
        target_host="compute-2",
        image="",
        boot="volume",
        root={
            "volume_id": "root-1",
            "size_gb": 10,
            "volume_type": "fast",
            "delete_on_termination": True,
            "device": "/dev/vda",
        },
        update=True,
        volumes=["data-1", "data-2"],
        workload={"plugin": "stateless", "settings": {}},
        cut="cold",
        restart=True,
        group="group-1",
        ready=[],
        probes=[{"ssh": "true"}],
    ),
    prediction=Prediction(downtime_s=20.0, duration_s=150.0),
)


def live_plan() -> Plan:
    """Return a plan of two live updates: one hot from an image, one cold with an updated clone."""
    return Plan(
        id="live-1",
        created="2026-11-20T12:00:00Z",
        cloud_id=CLOUD,
        request=UpgradeRequest(
            "live_update",
            Scope(servers=("web-1", "db 1")),
            Target(options={"image": "debian-13"}),
            Rollout(canaries=1),
        ),
        waves=(
            Wave("canaries", (WEB,), canary=True),
            Wave("rest", (DB,), gate=Gate(max_failures=1)),
        ),
        findings=(
            Finding("UF-LU-001", "40000000", "refused", "lb-1: it has no port", "give it one"),
        ),
    ).sealed()


UPDATED = {
    WEB_1: subject(
        State.CHANGED,
        ended=1_795_176_100.0,
        result={
            "server_id": NEW,
            "measured_downtime_s": 3.4,
            "probed_downtime_s": 3.2,
            "identity_difference": {"id": [WEB_1, NEW]},
            "moved": {
                "calls": [
                    {"call": "detach port", "item": "port-1", "started": 1_795_176_090.5,
                     "seconds": 0.9},
                    {"call": "detach volume", "item": "volume-1", "started": 1_795_176_090.0,
                     "seconds": 1.25},
                    {"call": "create port", "item": "port-1", "started": 1_795_176_091.5,
                     "seconds": 0.35},
                ],
                "unavoidable_s": 2.5,
                "blackout_s": 3.4,
            },
            "ports": {"port-1": "port-9"},
        },
    ),
    DB_1: subject(
        State.UNDONE,
        result={
            "server_id": "a0000000-0000-4000-8000-000000000000",
            "moved": {"calls": [], "unavoidable_s": 0.0, "blackout_s": None},
            "ports": {},
        },
    ),
}  # fmt: skip


def capture_plan() -> Plan:
    """Return a plan for the capture of an instance that boots from a volume."""
    action = Action(
        capability="capture",
        subject=WEB_1,
        name="web-1",
        strategy="volumes",
        details={
            "name": "web 2026-11",
            "status": "ACTIVE",
            "stop": True,
            "boot": "volume",
            "project_id": "tenant-a",
            "root_device": "/dev/vda",
            "properties": {"hw_firmware_type": "uefi"},
            "volumes": [
                {"volume_id": "root-1", "size_gb": 10, "device": "/dev/vda", "boot_index": 0,
                 "delete_on_termination": True},
                {"volume_id": "data-1", "size_gb": 20, "device": "/dev/vdb", "boot_index": None,
                 "delete_on_termination": False},
            ],
            "verify": True,
            "flavor_id": "small",
            "config_drive": False,
            "network": "net-1",
            "security_groups": [],
            "port_security": True,
            "probes": [],
            "seen": {},
        },
        prediction=Prediction(downtime_s=20.0, duration_s=80.0),
    )  # fmt: skip
    return Plan(
        id="capture-1",
        created="2026-11-20T12:00:00Z",
        cloud_id=CLOUD,
        request=UpgradeRequest("capture", Scope(servers=("web-1",))),
        waves=(Wave("all", (action,)),),
    ).sealed()


def captured():
    """Return what became of the capture."""
    return {
        WEB_1: subject(
            State.CHANGED,
            ended=1_795_176_080.0,
            result={
                "server_id": WEB_1,
                "measured_downtime_s": 18.0,
                "image": {
                    "id": "image-1",
                    "name": "web 2026-11",
                    "verified": "booted: ACTIVE after 12 s",
                    "snapshots": {"root-1": "snap-1", "data-1": "snap-2"},
                },
            },
        )
    }
