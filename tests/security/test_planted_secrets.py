"""One real run with secrets all around it, and then a look into everything that it wrote anywhere."""

import base64
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.flows.conftest import Start, starter
from tests.security.prefect_records import all_records

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

USER, PASSWORD, SIGNATURE = "planted-user", "planted-pass/word", "planted5ignature0123456789"
IN_ENVIRONMENT = {
    "HF_TOKEN": "hf_plantedPlantedPlantedPlanted01",
    "HUGGING_FACE_HUB_TOKEN": "hf_plantedPlantedPlantedPlanted02",
    "WANDB_API_KEY": "planted0wandb0key0planted0wandb0key0",
    "AWS_SECRET_ACCESS_KEY": "planted/aws/secret/access/key",
    "AWS_SESSION_TOKEN": "planted-aws-session-token",
    "OPENAI_API_KEY": "sk-planted-openai-key-0123456789",
    "PREFECT_API_KEY": "pnu_planted_prefect_key",
    "OPENSLOTH_PLANTED": "planted-opensloth-variable",
}


@pytest.fixture
def data_url(chat_data: Path) -> Iterator[str]:
    """Where the data is, for who knows the password and the signature."""
    content = chat_data.read_bytes()
    expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    class Guarded(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_known = self.headers.get("Authorization") == expected and SIGNATURE in self.path
            self.send_response(200 if is_known else 401)
            self.send_header("Content-Length", str(len(content) if is_known else 0))
            self.end_headers()
            if is_known and self.command == "GET":
                self.wfile.write(content)

        do_HEAD = do_GET

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Guarded)
    Thread(target=server.serve_forever, daemon=True).start()
    password = PASSWORD.replace("/", "%2F")
    yield f"http://{USER}:{password}@127.0.0.1:{server.server_port}/colours.jsonl?X-Amz-Signature={SIGNATURE}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def os_train(prefect_api: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    for name, value in IN_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    yield from starter("os-train", prefect_api, home)


def test_no_secret_is_in_anything_that_a_run_leaves(
    os_train: Start, prefect_api: str, home: Path, data_url: str, tiny_model_dir: Path
) -> None:
    words = ["sft", data_url, "-m", tiny_model_dir, "-g", 1, "--max-steps", 1, "--max-seq-length", 192]
    process = os_train(*words, "--eval-size", 4)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err[-3000:]

    (run,) = (home / "runs").iterdir()
    places = {"the terminal": out + err, "Prefect": all_records(prefect_api)}
    places |= {str(path): path.name for path in home.rglob("*")}
    places |= {
        str(path): path.read_bytes().decode("utf-8", "replace")
        for path in home.rglob("*")
        if path.is_file() and not path.is_symlink()
    }
    # The look goes deep enough to find what is there.
    assert run.name in places["Prefect"]
    assert (run / "report.md").exists()
    assert "http://***@127.0.0.1" in places[str(run / "config.json")]

    parts = [USER, "planted-pass", SIGNATURE, *IN_ENVIRONMENT.values()]
    secrets = [*parts, *(base64.b64encode(part.encode()).decode().rstrip("=")[:-1] for part in parts)]
    found = {
        (secret, place)
        for place, text in places.items()
        for secret in secrets
        if secret in text or json.dumps(secret)[1:-1] in text
    }
    assert not found
