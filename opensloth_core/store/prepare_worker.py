"""The process that prepares a run's data: `python -m opensloth_core.store.prepare_worker RUN_DIR`.

A process of its own, so that the flow stays responsive while data is prepared, can be ended at any
moment, and never imports transformers.
"""

from pathlib import Path

from opensloth_core.errors import DataError
from opensloth_core.launch.child import run_child
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.store.prepared import find_prepared, prepare, prepared_key


def main(run_dir: Path) -> None:
    """Prepare the data of a run into the store."""
    run = RunDirectory(run_dir)
    config, launch = run.preparation(), run.launch()
    key = prepared_key(config, launch.tokenizer_folder, launch.world_size)
    if key.digest != launch.prepared_key:
        raise DataError(f"{config.data_title}: changed since the run began (or the tokenizer did); run again")
    if find_prepared(key.digest)[0] is None:
        prepare(config, launch.tokenizer_folder, launch.world_size, key, run.events.progress)


if __name__ == "__main__":
    run_child(main)
