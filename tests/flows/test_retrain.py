"""A real schedule that fires on a real server and worker, as the data stays, grows and goes bad."""

import os
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from opensloth_core.config.form.values import FORMS
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.models.tiny import write_tiny_model
from opensloth_core.registry.model_registry import open_registry
from opensloth_core.registry.records import PromotionRecord
from opensloth_core.retrain.fingerprint import source_fingerprint
from opensloth_core.retrain.settings import retraining_config
from opensloth_core.runs.directory import RunDirectory
from tests.flows.retraining_server import (
    Receiver,
    deployed,
    notified,
    retraining_server,
    runs,
    wait_for,
    with_client,
)
from tests.opensloth_core.retrain.flags import write_rows, write_untrained_adapter

INTERVAL_SECONDS = 30.0
SETTINGS = {
    "gpus": 1,
    "max_seq_length": 192,
    "eval_size": 0.2,
    "dtype": "float32",
    "training": {"max_steps": 40, "learning_rate": 0.05, "batch_size": 1, "eval_generations": 0},
}


def fall(record: PromotionRecord, metric: str) -> float:
    """By how much a metric of the new model is lower than that of the old one."""
    old, new = record.metrics_old[metric], record.metrics_new[metric]
    assert old is not None and new is not None
    return old - new


def is_by_event(run: dict[str, Any]) -> bool:
    """Whether the trigger of the deployment fired it."""
    return bool(run["created_by"]) and run["created_by"]["type"] == "AUTOMATION"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_schedule_skips_old_data_promotes_what_is_better_and_refuses_poisoned_labels(
    tmp_path: Path, home: Path
) -> None:
    model_dir = write_tiny_model(home / "models" / "tiny-llama")
    source = home / "data" / "flags.jsonl"
    source.parent.mkdir()
    write_rows(source, 40, "It is green.")
    old = time.time() - 60  # not within the clock's grain, so that its digest is remembered
    os.utime(source, (old, old))
    config = OpenSlothConfig.of({"data": str(source), "model": str(model_dir), **SETTINGS})
    given: dict[str, Any] = {"name": "my-model", "data": str(source), "model": str(model_dir)}
    given["warm_start"] = True
    values = FORMS["sft"].values_of(config).items()
    given["settings"] = {name: value for name, value in values if name not in given}
    found = source_fingerprint(retraining_config(config), {"min_improvement": 0.01, "warm_start": True})
    registry = open_registry("my-model")
    record = PromotionRecord(
        run="by-hand", method="sft", base_model=str(model_dir), source_fingerprint=str(found), time=1.0
    )
    first = registry.promote(write_untrained_adapter(tmp_path / "adapter", model_dir), record, keep=2)
    receiver = Receiver()

    with retraining_server(tmp_path, home) as api:
        notified(api, receiver.url)
        deployment_id = deployed(api, given, INTERVAL_SECONDS)

        def began_with(record: PromotionRecord) -> Path | None:
            return RunDirectory(home / "runs" / record.run).config().pretrained_lora

        def ended(name: str) -> dict[str, Any] | None:
            begun = runs(api, deployment_id)
            wrong = [run for run in begun if run["state_type"] in ("FAILED", "CRASHED")]
            assert not wrong, [run["state"]["message"] for run in wrong]
            return next((run for run in begun if run["state_name"] == name), None)

        skipped = wait_for(lambda: ended("nothing new"), 120)
        assert skipped["state"]["message"] == f"nothing new since version {first.id}, which is in use"
        assert skipped["auto_scheduled"]

        write_rows(source, 60, "It is green.")
        promoted = wait_for(lambda: ended("promoted"), 400)
        second = registry.current()
        assert second is not None and second.id in promoted["state"]["message"]
        assert fall(second.record, "loss") > 0.1
        assert began_with(second.record) == Path(first.location)

        write_rows(source, 60, "Zebra quiz, fox!")
        refused = wait_for(lambda: ended("not promoted"), 400)
        current, judged = registry.current(), registry.judged()
        assert current is not None and current.id == second.id
        assert judged is not None and not judged.promoted
        # On the wrong answers that are held out it is better, on the right ones of before it is not.
        assert fall(judged, "loss") > 0 > fall(judged, "earlier/loss")
        assert began_with(judged) == Path(second.location)
        assert "look at the rows that are new" in refused["state"]["message"]

        (message,) = wait_for(lambda: list(receiver.received), 60)
        assert message["text"] == f"my-model was not promoted: {judged.why}"

        # A file has landed: what `prefect event emit opensloth.data.landed --resource-id …` sends.
        event = {
            "id": "0b5a6c1e-2f43-4c1e-9d0b-7e3f5a1c2d4e",
            "occurred": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "event": "opensloth.data.landed",
            "resource": {"prefect.resource.id": "opensloth.data.my-model"},
        }
        httpx.post(f"{api}/events", json=[event]).raise_for_status()
        assert wait_for(lambda: [one for one in runs(api, deployment_id) if is_by_event(one)], 60)
        ran = [run["state_name"] for run in runs(api, deployment_id)]
        others = {"nothing new", "already running", "Cancelled", "Running"}
        assert set(ran) <= {"promoted", "not promoted", *others}
        assert [name for name in ran if name in ("promoted", "not promoted")] == ["promoted", "not promoted"]

        # One that fails tells so too. No firing of the schedule has the lock of a model of another name.
        gone = home / "data" / "gone.jsonl"
        failing = {**given, "name": "another", "data": str(gone)}
        with_client(
            api, lambda asked: asked.create_flow_run_from_deployment(deployment_id, parameters=failing)
        )
        (told,) = wait_for(lambda: receiver.received[1:], 60)
        assert told["text"].startswith(f"retrain · another · gone: {gone}: no such file")
