"""Exports before a person's eyes: what is done on stderr, where the result is on stdout."""

import os
import sys

from flows.cli.cache.answer import answered
from flows.cli.export.program import ExportSettings


def run_export(settings: ExportSettings) -> int:
    """Export a result and give the exit code."""
    return answered("os-train export", lambda: _export(settings))


def _export(settings: ExportSettings) -> int:
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    from opensloth_core.export.result import find_result

    result = find_result(settings.run)
    if settings.to == "merged":
        from opensloth_core.export.merged import export_merged

        folder = export_merged(result, settings.output, settings.model, settings.dtype, _say)
        print(folder)
    elif settings.to == "gguf":
        from opensloth_core.export.gguf import export_gguf

        print(export_gguf(result, settings.output, settings.model, settings.outtype, _say))
    else:
        from opensloth_core.export.hub import push

        assert settings.repo is not None, "refused without"
        print(
            push(result, settings.repo, settings.what, settings.private, settings.model, settings.dtype, _say)
        )
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
