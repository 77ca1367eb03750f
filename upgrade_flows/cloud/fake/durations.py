"""How long the fake cloud takes for what it is asked."""

from __future__ import annotations

#: simulated seconds from the moment a call is accepted until its effect is there
DURATIONS = {
    "compute.create": 3.0,
    "compute.delete": 1.0,
    "compute.stop": 2.0,
    "compute.start": 1.0,
    "compute.migrate": 6.0,
    "compute.live_migrate/scheduling": 0.5,
    "compute.live_migrate/preparing": 1.0,
    "compute.abort_migration": 1.0,
    "compute.confirm_migration": 1.0,
    "compute.revert_migration": 4.0,
    "compute.shelve": 4.0,
    "compute.offload": 1.0,
    "compute.unshelve": 4.0,
    "compute.create_image": 3.0,
    "compute.attach_volume": 1.0,
    "compute.detach_volume": 1.0,
    "compute.detach_port": 0.5,
    "compute.forget_port": 1.0,
    "compute.pause": 0.5,
    "compute.unpause": 0.5,
    "volumes.create": 2.0,
    "volumes.delete": 1.0,
    "volumes.create_snapshot": 1.0,
    "volumes.delete_snapshot": 1.0,
    "volumes.upload_image": 4.0,
    "host.reboot": 180.0,
}
