"""Volumes that are rows of cinder's database and nothing else: what cinder's own driver for tests leaves out is done by doing nothing."""

import io

from cinder.tests import fake_driver


class Rows(fake_driver.FakeLoggingVolumeDriver):

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        # Else it has a name of its own, which no volume type asks for.
        self.backend_name = self.configuration.safe_get('volume_backend_name')

    def extend_volume(self, volume, new_size):
        """The row says how large it is."""

    def revert_to_snapshot(self, context, volume, snapshot):
        """There is no content to go back to."""

    def clone_image(self, context, volume, image_location, image_meta, image_service):
        # Else cinder would fetch the image, and write it to a device that is not there.
        return {}, True

    def copy_volume_to_image(self, context, volume, image_service, image_meta):
        image_service.update(context, image_meta['id'], {}, io.BytesIO(b'a volume of nothing'))

    def _update_volume_stats(self):
        super()._update_volume_stats()
        # The driver reserves all of its infinite space, and so has none.
        for pool in self._stats['pools']:
            pool.update(reserved_percentage=0, thin_provisioning_support=True, multiattach=True)
