"""The hypervisor of the lab: nova's fake one, with guests that outlive the process, and faults on request.

Nova's own keeps its guests in memory, forgets them when nova-compute ends, and never fails. Here

* guests are kept in `guests.json` of the host's state directory, as a hypervisor keeps its machines;
* a live migration takes a while, tells how far it is, can be aborted and forced;
* what is paused or suspended is seen to be;
* a call fails or takes its time where somebody asked for it: by the metadata of the server,

      lab:fail    calls that fail, by comma: spawn, power_off, power_on, reboot, resize, live_migration, attach_volume
      lab:delay   seconds that such a call takes

  or, for servers whose metadata somebody else writes, by `faults.json` in the lab's directory, read at each call: a list of
  {"server": "name, with * and ?", "fail": ["spawn"], "delay": 2}. Both keys may be absent.
"""

import fnmatch
import io
import json
import os
import time

from nova import exception
from nova.compute import power_state, task_states, vm_states
from nova.conf import CONF
from nova.image import glance
from nova.virt import fake
from oslo_log import log

LOG = log.getLogger(__name__)

# Seconds a live migration takes: long enough to be seen and aborted, and one more reason not to wait a fixed time.
MIGRATION = 2.0
STEP = 0.25


class Hypervisor(fake.FakeDriver):

    def __init__(self, virtapi, read_only=False):
        super().__init__(virtapi, read_only)
        self._orders = {}

    # Guests that last.

    @property
    def _file(self):
        return os.path.join(CONF.state_path, 'guests.json')

    def init_host(self, host):
        super().init_host(host)
        try:
            with open(self._file) as kept:
                guests = json.load(kept)
        except FileNotFoundError:
            guests = {}
        for uuid, (name, state, vcpus, memory, disk) in guests.items():
            self.instances[uuid] = fake.FakeInstance(name, state, uuid)
            self.instances[uuid].size = (vcpus, memory, disk)
            self.resources.claim(vcpus=vcpus, mem=memory, disk=disk)

    def _keep(self):
        guests = {uuid: (guest.name, guest.state, *getattr(guest, 'size', (0, 0, 0))) for uuid, guest in self.instances.items()}
        fresh = self._file + '.new'
        with open(fresh, 'w') as file:
            json.dump(guests, file)
        os.replace(fresh, self._file)

    def _set(self, instance, state):
        try:
            self.instances[instance.uuid].state = state
        except KeyError as error:
            raise exception.InstanceNotFound(instance_id=instance.uuid) from error
        self._keep()

    # Faults on request.

    def _wishes(self, instance):
        metadata = instance.metadata
        yield metadata.get('lab:fail', '').replace(' ', '').split(','), metadata.get('lab:delay', 0)
        try:
            with open(os.path.join(os.environ['VIMHOST_LAB'], 'faults.json')) as script:
                for wish in json.load(script):
                    if fnmatch.fnmatchcase(instance.display_name or '', wish.get('server', '*')):
                        yield wish.get('fail', []), wish.get('delay', 0)
        except FileNotFoundError:
            return

    def _obey(self, instance, call):
        for failing, delay in self._wishes(instance):
            if delay:
                time.sleep(float(delay))
            if call in failing:
                raise exception.NovaException('the lab was asked to let %s of this server fail' % call)

    # What a hypervisor does.

    def spawn(self, context, instance, *args, **kwargs):
        # Also how a guest arrives by a migration, which has its own call.
        if instance.vm_state in (vm_states.BUILDING, vm_states.ERROR) or instance.task_state == task_states.REBUILD_SPAWNING:
            self._obey(instance, 'spawn')
        super().spawn(context, instance, *args, **kwargs)
        flavor = instance.flavor
        self.instances[instance.uuid].size = (flavor.vcpus, flavor.memory_mb, flavor.root_gb)
        self._keep()

    def finish_revert_migration(self, context, instance, *args, **kwargs):
        size = getattr(self.instances.get(instance.uuid), 'size', (0, 0, 0))
        super().finish_revert_migration(context, instance, *args, **kwargs)
        self.instances[instance.uuid].size = size
        self._keep()

    def destroy(self, context, instance, *args, **kwargs):
        super().destroy(context, instance, *args, **kwargs)
        self._keep()

    def power_off(self, instance, timeout=0, retry_interval=0):
        self._obey(instance, 'power_off')
        self._set(instance, power_state.SHUTDOWN)

    def power_on(self, context, instance, *args, **kwargs):
        self._obey(instance, 'power_on')
        self._set(instance, power_state.RUNNING)

    def reboot(self, context, instance, *args, **kwargs):
        self._obey(instance, 'reboot')
        super().reboot(context, instance, *args, **kwargs)

    def pause(self, instance):
        self._set(instance, power_state.PAUSED)

    def unpause(self, instance):
        self._set(instance, power_state.RUNNING)

    def suspend(self, context, instance):
        # As libvirt shows one that is saved to disk.
        self._set(instance, power_state.SHUTDOWN)

    def resume(self, context, instance, *args, **kwargs):
        self._set(instance, power_state.RUNNING)

    def migrate_disk_and_power_off(self, context, instance, *args, **kwargs):
        self._obey(instance, 'resize')

    def attach_volume(self, context, connection_info, instance, *args, **kwargs):
        self._obey(instance, 'attach_volume')
        super().attach_volume(context, connection_info, instance, *args, **kwargs)

    def snapshot(self, context, instance, image_id, update_task_state):
        super().snapshot(context, instance, image_id, update_task_state=lambda task_state: update_task_state(
            task_state=task_states.IMAGE_PENDING_UPLOAD))
        update_task_state(task_state=task_states.IMAGE_UPLOADING, expected_state=task_states.IMAGE_PENDING_UPLOAD)
        images = glance.API()
        image = images.get(context, image_id)
        # Without bytes it would stay queued for ever.
        images.update(context, image_id, {
            'name': image['name'], 'status': 'active', 'disk_format': 'raw', 'container_format': 'bare',
            'properties': image.get('properties') or {}}, io.BytesIO(b'a snapshot of nothing'))

    # Live migration.

    def live_migration(self, context, instance, dest, post_method, recover_method, block_migration=False, migrate_data=None):
        memory = instance.flavor.memory_mb << 20
        record = getattr(migrate_data, 'migration', None)
        begun = time.monotonic()
        self._orders[instance.uuid] = None
        try:
            self._obey(instance, 'live_migration')
            while self._orders[instance.uuid] is None and (gone := time.monotonic() - begun) < MIGRATION:
                self._report(instance, record, memory, gone / MIGRATION)
                time.sleep(STEP)
        except exception.NovaException:
            LOG.exception('a live migration fails', instance=instance)
            recover_method(context, instance, dest, migrate_data)
            return
        finally:
            order = self._orders.pop(instance.uuid)
        if order == 'abort':
            recover_method(context, instance, dest, migrate_data, migration_status='cancelled')
            return
        instance.progress = 0
        instance.save()
        post_method(context, instance, dest, block_migration, migrate_data)

    @staticmethod
    def _report(instance, record, memory, part):
        instance.progress = int(100 * part)
        instance.save()
        if record is not None:
            done = int(memory * part)
            record.memory_total, record.memory_processed, record.memory_remaining = memory, done, memory - done
            record.disk_total = record.disk_processed = record.disk_remaining = 0
            record.save()

    def _order(self, instance, order):
        if instance.uuid in self._orders:
            self._orders[instance.uuid] = order

    def live_migration_force_complete(self, instance):
        self._order(instance, 'complete')

    def live_migration_abort(self, instance):
        self._order(instance, 'abort')

    def post_live_migration(self, context, instance, block_device_info, migrate_data=None):
        # Called where the guest came from.
        if instance.uuid in self.instances:
            self.destroy(context, instance, None, block_device_info)
