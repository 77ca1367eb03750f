"""Nova's fake driver with what an upgrade needs of a hypervisor, installed as nova.virt.lab.

The guests and the identity of the node outlive nova-compute, a snapshot uploads an image,
a live migration takes a second and leaves nothing behind.
"""

import functools
import io
import json
import os
import pathlib
import time

import nova.conf
from nova import objects
from nova.compute import power_state
from nova.image import glance
from nova.virt import fake, node

CONF = nova.conf.CONF
LIVE_MIGRATION_SECONDS = 1
SNAPSHOT_BYTES = 65536


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
        if self._guest_file.exists():
            for uuid, (name, state) in json.loads(self._guest_file.read_text()).items():
                self.instances[uuid] = fake.FakeInstance(name, state, uuid)

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

    def migrate_disk_and_power_off(self, context, instance, *args, **kwargs):
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

    def live_migration(self, *args, **kwargs):
        time.sleep(LIVE_MIGRATION_SECONDS)
        super().live_migration(*args, **kwargs)

    def post_live_migration(self, context, instance, block_device_info, migrate_data=None):
        self.destroy(context, instance, None, block_device_info)

    # The fake driver never forgets the interfaces of guests that are gone, and does not know
    # those of guests it has only read from disk: it must not insist.

    def attach_interface(self, context, instance, image_meta, vif):
        self._interfaces[vif["id"]] = vif

    def detach_interface(self, context, instance, vif):
        self._interfaces.pop(vif["id"], None)
