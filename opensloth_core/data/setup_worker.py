"""The process that reads a tokenizer: `python -m opensloth_core.data.setup_worker`."""

import importlib.util
import os
import pickle
from importlib.machinery import ModuleSpec

from opensloth_core.data.encode_setup import read_setup
from opensloth_core.errors import OpenSlothError
from opensloth_core.launch.helper_process import helper_streams, send


def main() -> None:
    """Answer one request with the setup, or with why there is none."""
    requests, answers = helper_streams()
    _hide_torch()
    try:
        setup = read_setup(*pickle.load(requests))
    except OpenSlothError as err:
        send(answers, err)
    else:
        send(answers, setup)


def _hide_torch() -> None:
    """Have transformers believe that torch is not installed; it then loads tokenizers and no models."""
    find_spec = importlib.util.find_spec

    def find_all_but_torch(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name.partition(".")[0] == "torch" else find_spec(name, package)

    importlib.util.find_spec = find_all_but_torch
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"  # it would tell the user that torch is missing


if __name__ == "__main__":
    main()
