"""A machine that shares a store: `python machine.py URL FOLDER TIMING`; obeys the lines of its input.

TIMING is a name below. A line is {"key": ...} and asks for the artifact of a key, as preparing does: it
is fetched, or made and published by whoever holds the lease. With "slowly", making it waits for one more
line; with "large" it has 20 MB, whose upload takes a while.
"""

import json
import sys
from pathlib import Path

from opensloth_core.store.artifact import Manifest, commit, file_records, staging
from opensloth_core.store.remote.lease import TIMING, Lease, Timing
from opensloth_core.store.remote.remote_store import RemoteStore
from opensloth_core.store.single_flight import Asker

TIMINGS = {
    "real": TIMING,
    "eager": Timing(poll_seconds=0.02),
    "quick": Timing(heartbeat_seconds=0.3, silent_seconds=2.0, poll_seconds=0.02, patience_seconds=5.0),
}

CONTENT = b"0123456789" * 2_000_000


def answer(**values: object) -> None:
    print(json.dumps(values), flush=True)


def made(folder: Path, wish: dict[str, str]) -> Path:
    target = folder / "prepared" / wish["key"]
    with staging(target) as draft:
        content = CONTENT if wish.get("large") else wish["key"].encode()
        (draft / "shard-0.arrow").write_bytes(content)
        (draft / "ledger.json").write_bytes(b"{}")
        commit(draft, target, Manifest(files=file_records(draft)))
    return target


def publish(store: RemoteStore, folder: Path, wish: dict[str, str], lease: Lease) -> None:
    target = made(folder, wish)
    if wish.get("slowly"):
        answer(holds=lease.token)
        sys.stdin.readline()
    if wish.get("large"):
        answer(uploads=lease.token)
    published = store.push("prepared", wish["key"], target, lease)
    answer(published=published, token=lease.token)


def main() -> None:
    url, folder = sys.argv[1], Path(sys.argv[2])
    asker = Asker(f"run {folder.name}", lambda text: answer(says=text))
    store = RemoteStore(url, asker, TIMINGS[sys.argv[3]])
    answer(ready=store.objects.is_conditional)
    for line in sys.stdin:
        wish = json.loads(line)
        while store.pull("prepared", wish["key"], folder / "pulled" / wish["key"], Manifest) is None:
            lease = store.lease("prepared", wish["key"])
            if lease is not None:
                with lease:
                    publish(store, folder, wish, lease)
                break
        else:
            shard = folder / "pulled" / wish["key"] / "shard-0.arrow"
            answer(pulled=shard.stat().st_size)


if __name__ == "__main__":
    main()
