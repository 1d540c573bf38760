"""Whether the store that machines share can be read and written, where there is one."""

import time

from opensloth_core.data.read.place import shown
from opensloth_core.doctor.finding import Finding, error, note, ok, warning
from opensloth_core.store.remote.place import VARIABLE, open_objects, store_url
from opensloth_core.store.remote.reaching import RemoteStoreError

NAME = "remote store"
_MOST_SECONDS_OFF = 60.0


def check_remote_store() -> Finding:
    """Writes a small object, looks at its time, and deletes it."""
    url = store_url()
    if url is None:
        return note(NAME, f"{VARIABLE} is not set: this machine's store is all there is")
    try:
        objects = open_objects(url)
        off = objects.now() - time.time()
    except RemoteStoreError as err:
        what, _, remedy = str(err).rpartition("; ")
        remedy = remedy.removeprefix("or ")
        return error(NAME, what, remedy)
    if abs(off) > _MOST_SECONDS_OFF:
        return warning(
            NAME, f"{shown(url)}: its clock differs from ours by {off:+.0f} s", "set this machine's clock"
        )
    if not objects.is_conditional:
        return warning(
            NAME,
            f"{shown(url)} can be written, but not under a condition: two machines may prepare the same",
            "s3:// or a shared folder prevent that",
        )
    return ok(NAME, f"{shown(url)} can be read and written")
