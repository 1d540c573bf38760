"""The report of a run: `report.md` and its picture, beside the event log they are made from."""

import os
from pathlib import Path

from opensloth_core.errors import StoreError
from opensloth_core.runs.directory import PICTURE_FILE, RunDirectory
from opensloth_core.runs.report.generations import generation_lines
from opensloth_core.runs.report.markup import plain
from opensloth_core.runs.report.outcome import outcome_lines
from opensloth_core.runs.report.record import RunRecord, read_record
from opensloth_core.runs.report.sections import (
    checkpoint_lines,
    data_lines,
    evaluation_lines,
    file_lines,
    rank_lines,
    version_lines,
)
from opensloth_core.runs.report.settings import batch_lines, settings_lines
from opensloth_core.runs.report.times import time_lines

SECTIONS = {
    "Answers before and after": generation_lines,
    "Evaluation on the rows held out": evaluation_lines,
    "Settings": settings_lines,
    "Batches": batch_lines,
    "Data": data_lines,
    "Time": time_lines,
    "Ranks": rank_lines,
    "Checkpoints": checkpoint_lines,
    "Versions": version_lines,
    "Files": file_lines,
}


def write_report(run: RunDirectory) -> Path:
    """Write the report of a run, finished or not, into its directory. Gives its path.

    Both files are renamed into place, so whoever reads sees the old or the new.

    Raises:
        StoreError: the run directory cannot be written.
    """
    from opensloth_core.runs.report.picture import picture_svg

    record = read_record(run)
    path = run.report_path
    try:
        if record.panels:
            _replace(run.picture_path, picture_svg(record.panels))
        _replace(path, _markdown(record).encode())
    except OSError as err:
        raise StoreError(f"{path}: cannot write the report: {err.strerror}; the run itself is whole") from err
    return path


def report_markdown(run: RunDirectory) -> str:
    """The report as Markdown, in which the picture goes by `PICTURE_FILE`; nothing is written."""
    return _markdown(read_record(run))


def _markdown(record: RunRecord) -> str:
    lines = [f"# {plain(record.path.name)}", "", *outcome_lines(record)]
    if titles := [panel.title for panel in record.panels]:
        lines += ["", f"![{', '.join(titles)} by step]({PICTURE_FILE})"]
    for title, section in SECTIONS.items():
        if body := section(record):
            lines += ["", f"## {title}", "", *body]
    return "\n".join(lines) + "\n"


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
