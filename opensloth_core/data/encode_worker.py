"""A process of an `EncodePool`: `python -m opensloth_core.data.encode_worker`.

Takes one `EncodeSetup`, then chunks, and answers each with its tokens.
"""

import pickle

from opensloth_core.data.encode import ChunkEncoder
from opensloth_core.launch.helper_process import helper_streams, send


def main() -> None:
    """Encode what comes in until nothing more comes."""
    requests, answers = helper_streams()
    encoder = ChunkEncoder(pickle.load(requests))
    while True:
        try:
            chunk = pickle.load(requests)
        except EOFError:
            return
        send(answers, encoder.encode(chunk))


if __name__ == "__main__":
    main()
