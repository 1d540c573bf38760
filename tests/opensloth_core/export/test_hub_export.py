"""What a push sends to the hub, and what it refuses before it sends anything."""

import http.server
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from opensloth_core.errors import ConfigError, ModelError, StoreError
from opensloth_core.export.hub import check_repo, push
from opensloth_core.export.result import find_result
from opensloth_core.runs.directory import RunDirectory


def silent(text: str) -> None:
    pass


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
    hub: http.server.ThreadingHTTPServer,
    run: RunDirectory,
    tiny_model_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    endpoint = f"http://127.0.0.1:{hub.server_address[1]}"
    result = find_result("last")
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
    said: list[str] = []
    with pytest.raises(ConfigError, match="the token may not write there"):
        push(result, "me/bot", "merged", True, None, "auto", said.append, endpoint)
    assert said == []  # refused before the merge, which may take long
    monkeypatch.setenv("HF_TOKEN", "hf_é_secret")
    with pytest.raises(ConfigError, match="characters that no token has") as refused:
        push(result, "me/bot", "adapter", True, "org/tiny", "auto", silent, endpoint)
    assert "secret" not in str(refused.value)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong_secret")
    with pytest.raises(StoreError, match=r"cannot be reached"):
        push(result, "me/bot", "adapter", True, "org/tiny", "auto", silent, "http://127.0.0.1:9")


def test_a_push_without_token_or_with_a_name_that_is_none_is_refused(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="no token; set HF_TOKEN to one that may write"):
        push(find_result("last"), "me/bot", "adapter", True, None, "auto", silent)
    for repo in ("bot", "a/b/c", "me/b ot", "/bot", os.sep):
        with pytest.raises(ConfigError, match="give user/name"):
            check_repo(repo)
