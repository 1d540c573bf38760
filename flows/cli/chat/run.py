"""Loads a model, then answers one message, the lines of a pipe, or a person."""

import logging
import os
import sys
from pathlib import Path

from flows.cli.cache.answer import answered
from flows.cli.chat.program import ChatSettings
from flows.cli.chat.terminal import Talk, Voice
from opensloth_core.chat.conversation import Conversation
from opensloth_core.chat.model import ChatModel, Sampling, base_folders
from opensloth_core.errors import ModelError
from opensloth_core.export.result import Result, fetched, find_result
from opensloth_core.models.start import StartFolders


def run_chat(settings: ChatSettings) -> int:
    """Chat and give the exit code."""
    return answered("os-train chat", lambda: _chat(settings))


def _chat(settings: ChatSettings) -> int:
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    logging.disable(logging.WARNING)  # libraries warn of what they lack, in the middle of a talk
    result = find_result(settings.run)
    folders = fetched(result, settings.model, _say)
    _say(f"loading {result.name} …")
    _quiet()
    voices = _voices(settings, result, folders)
    talk = Talk(voices)
    if settings.system is not None:
        talk.set_system(settings.system)
    if settings.message is not None:
        talk.answer_once(settings.message)
    elif sys.stdin.isatty():
        talk.with_person()
    else:
        talk.with_pipe(sys.stdin)
    return 0


def _voices(settings: ChatSettings, result: Result, folders: StartFolders) -> list[Voice]:
    """Whoever answers: before training, if that is asked for, and after."""
    sampling = Sampling(settings.temperature, settings.max_tokens)
    model = ChatModel.load(folders, settings.device)
    trained = Voice("after", Conversation(model, sampling))
    if not settings.base:
        return [trained]
    if model.has_adapter:
        return [Voice("before", Conversation(model, sampling, without_adapter=True)), trained]
    if result.run is None or not Path(result.run.launch().model_dir).is_dir():
        raise ModelError(f"base: {result.folder} is a whole model, and what it was trained from is not here")
    before = ChatModel.load(base_folders(folders, Path(result.run.launch().model_dir)), settings.device)
    return [Voice("before", Conversation(before, sampling)), trained]


def _quiet() -> None:
    """Transformers' progress bars are of no use to who talks."""
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
