"""`os-data preview`: prepared examples on the terminal, or as a page."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from flows.cli.ledger_table import ledger_lines
from flows.cli.os_data import PREVIEW, PreviewSettings
from flows.cli.prepare import PREPARE_JOB
from flows.cli.run import Job, run_job
from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.errors import ConfigError, OpenSlothError

if TYPE_CHECKING:
    from opensloth_core.preview.preview import Preview
    from opensloth_core.runs.directory import RunDirectory


def run_preview(settings: PreviewSettings) -> int:
    """Show prepared examples, preparing them first where that has not been done; gives the exit code."""
    from opensloth_core.launch.devices import num_shards
    from opensloth_core.models.start import fetch_tokenizer
    from opensloth_core.store.prepared import find_prepared, prepared_key

    config = DatasetPrepConfig.of({name: getattr(settings, name) for name in DatasetPrepConfig.model_fields})
    job = Job("os-data preview", PREVIEW, PREPARE_JOB.refuse, PREPARE_JOB.work)

    def shown(run: "RunDirectory") -> int:
        launch = run.launch()
        return _show(settings, launch.prepared_key, launch.tokenizer_folder)

    try:
        _refuse_page(settings.html)
        job.refuse(config)
        model_dir = fetch_tokenizer(config.model, lambda text: print(text, file=sys.stderr))
        key = prepared_key(config, model_dir, num_shards(config.gpus)).digest
        if find_prepared(key, config.verify)[0] is not None:
            return _show(settings, key, model_dir)
    except OpenSlothError as err:
        return job.ended(err)
    return run_job(job, config, shown)


def _refuse_page(path: Path | None) -> None:
    if path is None:
        return
    if path.is_dir():
        raise ConfigError(f"html {path}: is a folder; give a file's name, such as {path / 'preview.html'}")
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"html {path}: there is no folder {path.absolute().parent}")


def _show(settings: PreviewSettings, key: str, model_dir: Path) -> int:
    from opensloth_core.preview.preview import Preview
    from opensloth_core.store.prepared import open_prepared, prepared_dir

    preview = Preview.of(prepared_dir(key), open_prepared(key), model_dir, settings.rows)
    if settings.html is None:
        _print(preview)
    else:
        _write_page(preview, settings.html)
    return 0


def _print(preview: "Preview") -> None:
    from opensloth_core.preview.text import Colours, Marks, preview_text

    head = [preview.title, *ledger_lines(preview.manifest.ledger), ""]
    try:
        for line in [*head, *preview_text(preview, Colours() if _wants_colour() else Marks())]:
            print(line)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads has seen enough; Python would complain when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _wants_colour() -> bool:
    is_dumb = os.environ.get("TERM", "dumb") in ("", "dumb")
    return sys.stdout.isatty() and not is_dumb and not os.environ.get("NO_COLOR")


def _write_page(preview: "Preview", path: Path) -> None:
    from opensloth_core.preview.page import preview_page

    try:
        path.write_text(preview_page(preview), encoding="utf-8")
    except OSError as err:
        raise ConfigError(f"html {path}: cannot be written: {err.strerror}") from err
    print(path)
