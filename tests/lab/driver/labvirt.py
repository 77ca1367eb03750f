"""Nova's fake driver with what an upgrade needs of a hypervisor, installed as nova.virt.lab.

The guests and the identity of the node outlive nova-compute, a snapshot uploads an image,
a live migration takes a second and leaves nothing behind, a boot of the host switches guests off.
How migrations go is in state_path/behaviour.json: see tests/lab/hosts/migrations.py.
"""

import functools
import io
import json
import os
import pathlib
import subprocess
import time

import nova.conf
from nova import exception, objects
from nova.compute import power_state, vm_states
from nova.image import glance
from nova.virt import fake, node
from nova.volume import cinder

CONF = nova.conf.CONF
LIVE_MIGRATION_SECONDS = 1
SNAPSHOT_BYTES = 65536
NEVER = float("inf")
ABORT, COMPLETE = "abort", "complete"
BOOT_ID = pathlib.Path("/proc/sys/kernel/random/boot_id")


def _remembered(method):
    """Make a method of the driver write the guests to disk when it is through."""

    @functools.wraps(method)
    def wrapper(self, *args, **kwargs):
        try:
            return method(self, *args, **kwargs)
        finally:
            self.save_guests()

    return wrapper


def _with_device_metadata(instance):
    """Note that the guest's devices are known, as libvirt does.

    Without that, Nova cannot detach a volume that bears a tag (it looks for the tag in
    instance.device_metadata.devices).
    """
    if instance.device_metadata is None:
        instance.device_metadata = objects.InstanceDeviceMetadata(devices=[])
        instance.save()


def _behaviour(instance, kind):
    """Return how a migration ("live" or "cold") of an instance shall go, if that was said."""
    try:
        said = json.loads((pathlib.Path(CONF.state_path) / "behaviour.json").read_text())
    except FileNotFoundError:
        return None
    return {**said.get("*", {}), **said.get(instance.uuid, {})}.get(kind)


class LabDriver(fake.FakeDriver):
    """A host of moderate size that nothing really runs on."""

    vcpus = 16
    memory_mb = 16384
    local_gb = 200

    # What is known after a restart

    @property
    def _guest_file(self):
        return pathlib.Path(CONF.state_path) / "guests.json"

    def init_host(self, host):
        super().init_host(host)
        self._ends = {}  # instance: how its live migration shall end
        off = (power_state.RUNNING, power_state.PAUSED) if self._power_was_cut() else ()
        if self._guest_file.exists():
            for uuid, (name, state) in json.loads(self._guest_file.read_text()).items():
                state = power_state.SHUTDOWN if state in off else state
                self.instances[uuid] = fake.FakeInstance(name, state, uuid)
            self.save_guests()

    def _power_was_cut(self):
        """Return whether the host has booted since this was last asked."""
        known, boot = pathlib.Path(CONF.state_path) / "boot_id", BOOT_ID.read_text()
        cut = known.exists() and known.read_text() != boot
        known.write_text(boot)
        return cut

    def save_guests(self):
        """Write the guests to disk, at once or not at all."""
        guests = {uuid: (guest.name, guest.state) for uuid, guest in self.instances.items()}
        new = self._guest_file.with_suffix(".new")
        new.write_text(json.dumps(guests))
        os.replace(new, self._guest_file)

    def get_nodenames_by_uuid(self, refresh=False):
        return {node.get_local_node_uuid(): self._nodes[0]}

    def get_available_resource(self, nodename):
        resources = super().get_available_resource(nodename)
        return {**resources, "uuid": node.get_local_node_uuid()}

    @_remembered
    def spawn(self, context, instance, *args, **kwargs):
        super().spawn(context, instance, *args, **kwargs)
        _with_device_metadata(instance)

    destroy = _remembered(fake.FakeDriver.destroy)
    power_on = _remembered(fake.FakeDriver.power_on)
    power_off = _remembered(fake.FakeDriver.power_off)
    unrescue = _remembered(fake.FakeDriver.unrescue)
    finish_migration = _remembered(fake.FakeDriver.finish_migration)
    finish_revert_migration = _remembered(fake.FakeDriver.finish_revert_migration)
    confirm_migration = _remembered(fake.FakeDriver.confirm_migration)

    # What the fake driver leaves out

    @_remembered
    def _set_state(self, instance, state):
        if instance.uuid in self.instances:
            self.instances[instance.uuid].state = state

    def pause(self, instance):
        self._set_state(instance, power_state.PAUSED)

    def unpause(self, instance):
        self._set_state(instance, power_state.RUNNING)

    def suspend(self, context, instance):
        self._set_state(instance, power_state.SUSPENDED)

    def resume(self, context, instance, *args, **kwargs):
        self._set_state(instance, power_state.RUNNING)

    def resume_state_on_host_boot(self, context, instance, *args, **kwargs):
        self._set_state(instance, power_state.RUNNING)

    def migrate_disk_and_power_off(self, context, instance, *args, **kwargs):
        how = _behaviour(instance, "cold")
        if how:
            error = exception.ResizeError(reason="the lab wants it to fail")
            raise exception.InstanceFaultRollback(error) if how == "fail" else error
        self._set_state(instance, power_state.SHUTDOWN)

    def snapshot(self, context, instance, image_id, update_task_state):
        super().snapshot(context, instance, image_id, update_task_state)
        text = f"guest {instance.uuid}\n".encode()
        content = io.BytesIO((text * (SNAPSHOT_BYTES // len(text) + 1))[:SNAPSHOT_BYTES])
        formats = {"container_format": "bare", "disk_format": "raw"}
        glance.API().update(context, image_id, formats, content, purge_props=False)

    def attach_volume(self, context, connection_info, instance, *args, **kwargs):
        super().attach_volume(context, connection_info, instance, *args, **kwargs)
        _with_device_metadata(instance)

    # Snapshots of volumes in use: Cinder makes the files, and who runs from them merges them

    def volume_snapshot_create(self, context, instance, volume_id, create_info):
        cinder.API().update_snapshot_status(context, create_info["snapshot_id"], "creating")

    def volume_snapshot_delete(self, context, instance, volume_id, snapshot_id, delete_info):
        shares = pathlib.Path(CONF.state_path).parents[1] / "cinder" / "mnt"
        (known,) = shares.glob(f"*/volume-{volume_id}.info")
        file, target = delete_info["file_to_merge"], delete_info["merge_target_file"]
        if target is None:  # into what it runs from
            active = json.loads(known.read_text())["active"]
            merge = ["rebase", "-b", file or "", *(["-F", "qcow2"] if file else []), active]
        else:
            merge = ["commit", "-b", target, file]
        subprocess.run(["qemu-img", *merge], cwd=known.parent, check=True, capture_output=True)
        cinder.API().update_snapshot_status(context, snapshot_id, "deleting")

    # Live migration

    def live_migration(
        self,
        context,
        instance,
        dest,
        post_method,
        recover_method,
        block_migration=False,
        migrate_data=None,
    ):
        how = _behaviour(instance, "live")
        if how == "fail":
            recover_method(context, instance, dest, migrate_data)
            return
        seconds = LIVE_MIGRATION_SECONDS if how is None else how
        end = self._copy_memory(instance, migrate_data, NEVER if how == "never" else seconds)
        if end == ABORT:
            recover_method(context, instance, dest, migrate_data, migration_status="cancelled")
        else:
            post_method(context, instance, dest, block_migration, migrate_data)

    def _copy_memory(self, instance, migrate_data, seconds):
        """Wait until the time is over or somebody ends it; return how it ended."""
        start = reported = time.monotonic()
        self._ends[instance.uuid] = None
        while not self._ends[instance.uuid] and time.monotonic() < start + seconds:
            time.sleep(min(0.1, seconds))
            if time.monotonic() > reported + 1:
                reported = time.monotonic()
                self._report(instance, migrate_data.migration, reported - start, seconds)
        return self._ends.pop(instance.uuid) or COMPLETE

    def _report(self, instance, migration, passed, seconds):
        """Tell how much memory is there already; a part is written again if it never ends."""
        memory = instance.flavor.memory_mb * 2**20
        migration.memory_total = memory
        if seconds == NEVER:
            migration.memory_processed = int(memory * passed)
            migration.memory_remaining = memory // 2
        else:
            migration.memory_processed = int(memory * passed / seconds)
            migration.memory_remaining = max(0, memory - migration.memory_processed)
        migration.save()

    def live_migration_abort(self, instance):
        if instance.uuid in self._ends:
            self._ends[instance.uuid] = ABORT

    def live_migration_force_complete(self, instance):
        if instance.uuid in self._ends:
            self._ends[instance.uuid] = COMPLETE

    def post_live_migration(self, context, instance, block_device_info, migrate_data=None):
        self.destroy(context, instance, None, block_device_info)

    def post_live_migration_at_destination(self, context, instance, *args, **kwargs):
        super().post_live_migration_at_destination(context, instance, *args, **kwargs)
        if instance.vm_state == vm_states.PAUSED:
            self.pause(instance)

    # The fake driver never forgets the interfaces of guests that are gone, and does not know
    # those of guests it has only read from disk: it must not insist.

    def attach_interface(self, context, instance, image_meta, vif):
        self._interfaces[vif["id"]] = vif

    def detach_interface(self, context, instance, vif):
        self._interfaces.pop(vif["id"], None)
