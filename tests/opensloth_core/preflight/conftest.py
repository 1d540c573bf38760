"""Settings that nothing is wrong with, and what changed ones are refused with."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import OpenSlothError
from opensloth_core.preflight import preflight, refuse_impossible

Refused = Callable[..., str]

NO_TENSORS = b"\x02" + bytes(7) + b"{}"
"""A whole safetensors file."""

NO_WORDS = '{"added_tokens": [], "model": {"type": "WordLevel", "vocab": {}, "unk_token": "?"}}'
"""A whole tokenizer.json."""


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hides every GPU, as the machine may have some."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """An input with one row."""
    path = tmp_path / "train.jsonl"
    path.write_text('{"question": "a", "answer": "b"}\n')
    return path


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    """What passes for a model's folder before it is loaded."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "tokenizer.json").write_text(NO_WORDS)
    (folder / "model.safetensors").write_bytes(NO_TENSORS)
    return folder


@pytest.fixture
def values(data: Path, model_dir: Path) -> dict[str, Any]:
    """Settings that nothing is wrong with."""
    return {"data": str(data), "model": str(model_dir), "gpus": 1}


@pytest.fixture
def refused(values: dict[str, Any], tmp_path: Path, home: Path) -> Refused:
    """The message some changed settings are refused with, having changed nothing on disk."""

    def refuse(kind: type[OpenSlothError], **changes: Any) -> str:
        before = tree(tmp_path)
        with pytest.raises(kind) as caught:
            preflight(OpenSlothConfig.of(values | changes))
        assert tree(tmp_path) == before
        assert not home.exists()
        assert caught.value.exit_code == 2
        message = str(caught.value)
        assert "\n" not in message
        return message

    return refuse


def tree(folder: Path) -> list[str]:
    """Every path below a folder."""
    return sorted(str(path) for path in folder.rglob("*"))


@pytest.fixture
def refused_to_nobody() -> Refused:
    """The message some settings are refused with in a process of a user who owns nothing."""
    if os.geteuid() != 0:
        pytest.skip("only the superuser can start a process of another user")

    def refuse(**values: Any) -> str:
        # What is imported on the way may be readable to us alone.
        with suppress(OpenSlothError):
            refuse_impossible(OpenSlothConfig.of({"gpus": 1, **values}))
        receiver, sender = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.setuid(65534)
            try:
                refuse_impossible(OpenSlothConfig.of({"gpus": 1, **values}))
            except OpenSlothError as err:
                os.write(sender, str(err).encode())
            finally:
                os._exit(0)
        os.close(sender)
        os.waitpid(pid, 0)
        try:
            return os.read(receiver, 10_000).decode()
        finally:
            os.close(receiver)

    return refuse
