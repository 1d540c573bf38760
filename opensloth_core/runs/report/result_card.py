"""Where a run's result is and how to go on with it, in Markdown."""

import platform
from pathlib import Path

from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.report.markup import code, table
from opensloth_core.runs.report.numbers import size


def result_card(run: RunDirectory, folder: Path) -> str:
    """The folders of a result, and the commands that take it up.

    Args:
        folder: of the result as the user wants it: the run's own, or a copy.
    """
    config, launch = run.config(), run.launch()
    num_bytes = sum(path.stat().st_size for path in run.adapter_dir.rglob("*") if path.is_file())
    what = "The trained model" if config.finetuning_type == "full" else "The adapter"
    rows = [("folder", code(str(run.adapter_dir)))]
    if folder != run.adapter_dir:
        rows.append(("copy", code(str(folder))))
    rows += [
        ("machine", code(platform.node())),
        ("size", size(num_bytes)),
        ("trained from", code(launch.base_model or config.model)),
        ("prepared data", code(f"opensloth://prepared/{launch.prepared_key}")),
    ]
    return "\n".join(
        [
            f"# {what}",
            "",
            f"Of the run {code(run.path.name)}:",
            "",
            *table(("", ""), rows),
            "",
            "Train on from it, or on other data:",
            "",
            "```text",
            f"os-train {config.method} DATA --init-from {run.path.name}",
            "```",
            "",
        ]
    )
