"""Makes the environments of LLaMA-Factory and Axolotl: `python -m tests.benchmarks.environments FOLDER`.

Each tool gets a virtual environment of its own under FOLDER, with the versions pinned here; the command
ends by printing the arguments that `tests.benchmarks.preparation` takes. Needs `uv`, Python 3.11 and 3.12,
a package index and 20 GB, most of it torch.
"""

import subprocess
import sys
from pathlib import Path

_TOOLS = {
    # Its torchaudio has no release for newer torch, and refuses one it was not built with.
    "llamafactory": ("3.11", ["llamafactory==0.9.5", "torch==2.11.*", "torchaudio==2.11.*"]),
    "axolotl": ("3.12", ["axolotl==0.21.0"]),
}


def make_environments(folder: Path) -> dict[str, Path]:
    """The interpreter of each tool's environment, made where it is not there yet."""
    interpreters = {}
    for tool, (version, packages) in _TOOLS.items():
        python = folder / tool / "bin" / "python"
        if not python.exists():
            subprocess.run(["uv", "venv", "--python", version, folder / tool], check=True)
        subprocess.run(["uv", "pip", "install", "--python", python, *packages], check=True)
        interpreters[tool] = python
    return interpreters


if __name__ == "__main__":
    made = make_environments(Path(sys.argv[1]).absolute())
    print(" ".join(f"--{tool} {python}" for tool, python in made.items()))
