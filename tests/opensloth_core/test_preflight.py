"""Rubbish is refused before anything starts, in one clear line, and leaves nothing behind."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError, DataError, ModelError, OpenSlothError
from opensloth_core.preflight import Preflight, check_output, preflight, refuse_impossible

NUM_CORES = len(os.sched_getaffinity(0))
Refused = Callable[..., str]


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


def test_settings_that_nothing_is_wrong_with_pass_and_write_nothing(
    values: dict[str, Any], tmp_path: Path, model_dir: Path, home: Path
) -> None:
    outputs = {"output": str(tmp_path / "new" / "out"), "data_output": str(tmp_path / "new" / "data")}
    before = tree(tmp_path)
    assert preflight(OpenSlothConfig.of(values | outputs)) == Preflight(model_dir, ("cpu",))
    assert tree(tmp_path) == before
    assert not home.exists()


def test_a_missing_file(refused: Refused) -> None:
    assert refused(DataError, data="no/such.jsonl") == "no/such.jsonl: no such file"


def test_a_folder_without_data(refused: Refused, tmp_path: Path) -> None:
    folder = tmp_path / "nothing"
    folder.mkdir()
    assert refused(DataError, data=str(folder)).startswith(f"{folder}: ")


def test_an_empty_file(refused: Refused, data: Path) -> None:
    data.write_text("")
    assert refused(DataError) == (
        f"{data}: is empty; accepted: JSON lines, one JSON list, csv, tsv, text, parquet or arrow, "
        "in UTF-8, also compressed"
    )


def test_a_binary_file(refused: Refused, data: Path) -> None:
    data.write_bytes(b"\x7fELF\x02\x01\x01\0")
    assert refused(DataError).startswith(f"{data}: is a binary file; accepted: JSON lines, one JSON list, ")


def test_a_broken_line_17(refused: Refused, data: Path) -> None:
    rows = [f'{{"question": "{number}?", "answer": "b"}}' for number in range(1, 21)]
    rows[16] = rows[16][:-1]
    data.write_text("\n".join(rows))
    assert len('{"question": "17?", "answer": "b"') == 33
    assert refused(DataError) == (
        "train: 1 of 20 rows (5.0%) cannot be used, over the limit of 1%: train.jsonl:17: not valid JSON "
        "(Expecting ',' delimiter at character 34); mend them or raise --max-rejected"
    )


def test_no_usable_row(refused: Refused, data: Path) -> None:
    data.write_text('{"question": "a", "answer": ""}\n')
    assert refused(DataError, max_rejected=1.0) == (
        "train: none of 1 rows can be used: train.jsonl:1: empty content (answer is empty)"
    )


def test_rows_of_no_known_shape(refused: Refused, data: Path) -> None:
    data.write_text('{"a": "b"}\n')
    assert refused(DataError) == (
        "train.jsonl: no conversation in columns: a; accepted: messages | conversations | "
        "instruction, output | prompt, completion | question, answer | text; say what is what with "
        "--map NAME=COLUMN"
    )


@pytest.fixture
def refused_to_nobody() -> Refused:
    """The message some settings are refused with in a process of a user who owns nothing."""
    if os.geteuid() != 0:
        pytest.skip("only the superuser can start a process of another user")

    def refuse(**values: Any) -> str:
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


@pytest.fixture
def open_dir() -> Iterator[Path]:
    """A folder everybody may read and nobody else may write."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_file_that_only_others_may_read(refused_to_nobody: Refused, open_dir: Path) -> None:
    path = open_dir / "train.jsonl"
    path.write_text("{}")
    path.chmod(0o600)
    assert refused_to_nobody(data=str(path), model="m") == f"{path}: cannot be read: Permission denied"


def test_what_lies_in_a_folder_that_only_others_may_enter(refused_to_nobody: Refused, open_dir: Path) -> None:
    data = open_dir / "train.jsonl"
    data.write_text("{}")
    (open_dir / "private" / "folder").mkdir(parents=True)
    (open_dir / "private").chmod(0o700)
    inside = open_dir / "private" / "folder"
    denied = f"{inside}: cannot be read: Permission denied"
    assert refused_to_nobody(data=str(inside), model="m") == denied
    assert refused_to_nobody(data=str(data), model=str(inside)) == denied
    assert refused_to_nobody(data=str(data), model="m", output=str(inside)) == f"output {denied}"


def test_an_output_in_a_folder_of_others(refused_to_nobody: Refused, open_dir: Path) -> None:
    data = open_dir / "train.jsonl"
    data.write_text("{}")
    output = open_dir / "out"
    assert refused_to_nobody(data=str(data), model="m", output=str(output)) == (
        f"output {output}: cannot write to {open_dir}: Permission denied"
    )


def test_more_processes_than_cores(refused: Refused) -> None:
    count = NUM_CORES + 97
    assert refused(ConfigError, gpus=count) == (
        f"gpus {count}: no GPU found, and this machine has {NUM_CORES} CPU cores for {count} processes; "
        f"give at most {NUM_CORES}"
    )


def test_more_gpus_than_the_machine_has(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert refused(ConfigError, gpus=99) == (
        "gpus 99: this machine has 2 GPUs; give at most 2, or ids below 2"
    )


def test_device_ids_without_a_gpu(refused: Refused) -> None:
    assert refused(ConfigError, gpus="0,3") == (
        "gpus 0,3: no GPU found; give a number of CPU processes, such as 1"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gpus": 0}, "gpus: at least 1 GPU is needed, got 0"),
        ({"method": "kto"}, "method: must be 'sft', got 'kto'"),
        ({"data": ""}, "data.0: must not be empty, got ''"),
        ({"data": []}, "data: Value should have at least 1 item after validation, not 0, got []"),
        ({"max_seq_length": 0}, "max_seq_length: must be greater than 0, got 0"),
    ],
)
def test_values_no_machine_could_run_are_refused_by_the_settings(
    changes: dict[str, Any], message: str, refused: Refused
) -> None:
    assert refused(ConfigError, **changes) == message


def test_a_misspelt_setting(refused: Refused) -> None:
    assert refused(ConfigError, sample=3).startswith("sample: no such setting; known: data, model, method")


def test_a_global_batch_the_gpus_cannot_share(refused: Refused) -> None:
    assert refused(ConfigError, training={"batch_size": 4, "global_batch_size": 6}) == (
        "global_batch_size 6 is not a multiple of batch_size 4 x 1 GPUs = 4; change one of the three"
    )


def test_an_unknown_model_folder(refused: Refused) -> None:
    assert refused(ModelError, model="./no/model") == "./no/model: no such model folder"
    assert refused(ModelError, model="/no/model") == "/no/model: no such model folder"


def test_a_folder_that_is_no_model(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert refused(ModelError, model=str(tmp_path / "empty")) == (
        f"{tmp_path}/empty: not a model folder (it has no config.json)"
    )


OUTPUTS = pytest.mark.parametrize("name", ["output", "data_output"])


@OUTPUTS
def test_an_output_that_is_a_file(name: str, refused: Refused, data: Path) -> None:
    assert refused(ConfigError, **{name: str(data)}) == f"{name} {data}: exists and is not a folder"


@OUTPUTS
def test_an_output_below_a_file(name: str, refused: Refused, data: Path) -> None:
    folder = data / "out"
    assert refused(ConfigError, **{name: str(folder)}) == (
        f"{name} {folder}: cannot write to {data}: Not a directory"
    )


@OUTPUTS
def test_an_output_that_holds_something(name: str, refused: Refused, tmp_path: Path) -> None:
    assert refused(ConfigError, **{name: str(tmp_path)}) == (
        f"{name} {tmp_path}: the folder is not empty; give a new or empty one"
    )


@OUTPUTS
@pytest.mark.parametrize("below", ["", "new", "new/deeper"])
def test_a_read_only_output_even_for_the_superuser(
    name: str, below: str, refused: Refused, tmp_path: Path
) -> None:
    read_only = tmp_path / "read-only"
    read_only.mkdir(mode=0o555)
    folder = read_only / below
    assert refused(ConfigError, **{name: str(folder)}) == (
        f"{name} {folder}: cannot write to {read_only}: it is read-only"
    )


def test_an_empty_output_in_a_read_only_folder(refused: Refused, tmp_path: Path) -> None:
    """The copy is made beside it."""
    output = tmp_path / "read-only" / "out"
    output.mkdir(parents=True)
    output.parent.chmod(0o555)
    assert refused(ConfigError, output=str(output)) == (
        f"output {output}: cannot write to {output.parent}: it is read-only"
    )


def test_an_output_where_nobody_can_write(refused: Refused) -> None:
    message = refused(ConfigError, output="/proc/out")
    assert message.startswith("output /proc/out: cannot write to /proc: ")


CHECK_MOUNT_POINT = """
import sys
from pathlib import Path
from opensloth_core.preflight import check_output
try:
    check_output("output", Path(sys.argv[1]))
except Exception as err:
    print(err)
"""


def test_an_output_that_is_a_mount_point(tmp_path: Path) -> None:
    """Nothing can be renamed onto a volume mounted into a container."""
    volume = tmp_path / "volume"
    volume.mkdir()
    script = 'mount -t tmpfs none "$1" && exec "$2" -c "$3" "$1"'
    command = ["unshare", "-rm", "sh", "-c", script, "sh", str(volume), sys.executable, CHECK_MOUNT_POINT]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    if done.returncode != 0:
        pytest.skip(f"cannot mount: {done.stderr}")
    assert done.stdout == (
        f"output {volume}: is a mount point, which cannot be replaced; give a new folder in it\n"
    )


@pytest.mark.parametrize("below", ["", "data", "data/deeper"])
def test_data_exported_into_the_output(below: str, refused: Refused, tmp_path: Path) -> None:
    output = tmp_path / "out"
    data_output = output / below
    assert refused(ConfigError, output=str(output), data_output=str(data_output)) == (
        f"data_output {data_output}: is the folder of output {output} or lies in it; give two apart"
    )


def test_an_existing_empty_output_is_fine(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    check_output("output", tmp_path / "out")
    assert tree(tmp_path) == [str(tmp_path / "out")]


def test_qlora_without_a_gpu(refused: Refused) -> None:
    assert refused(ConfigError, finetuning_type="qlora") == (
        "finetuning_type qlora: 4-bit training needs a GPU; use lora"
    )


def test_an_optimizer_of_8_bits_without_a_gpu(refused: Refused) -> None:
    assert refused(ConfigError, training={"optimizer": "adamw_8bit"}) == (
        "optimizer adamw_8bit: needs a GPU; use adamw_torch"
    )


def test_what_needs_a_gpu_passes_where_there_is_one(
    values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    config = {**values, "finetuning_type": "qlora", "training": {"optimizer": "adamw_8bit"}}
    assert refuse_impossible(OpenSlothConfig.of(config)) == ("cuda:0",)


def test_full_finetuning_with_settings_of_an_adapter(refused: Refused) -> None:
    lora = {"lora_rank": 8, "lora_alpha": 16}
    assert refused(ConfigError, finetuning_type="full", lora=lora) == (
        "finetuning_type full: there is no adapter, lora_alpha, lora_rank would have no effect; drop it"
    )


def test_full_finetuning_refuses_even_the_default_when_it_was_given(refused: Refused) -> None:
    assert refused(ConfigError, finetuning_type="full", lora={"lora_rank": 16}) == (
        "finetuning_type full: there is no adapter, lora_rank would have no effect; drop it"
    )


def test_full_finetuning_without_them_passes(values: dict[str, Any]) -> None:
    assert refuse_impossible(OpenSlothConfig.of({**values, "finetuning_type": "full"})) == ("cpu",)
