"""A run says what it was made with, and nothing of where."""

import json
import os
import platform

import torch

from opensloth_core.training.versions import versions


def test_versions_are_those_that_run_and_hold_nothing_of_the_environment() -> None:
    found = versions()
    assert found["python"] == platform.python_version()
    assert found["torch"] == torch.__version__.split("+")[0]
    assert "vllm" not in found
    assert found["devices"]
    text = json.dumps(found)
    assert platform.node() not in text
    assert os.environ["HOME"] not in text
