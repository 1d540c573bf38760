"""How long help takes beside other programs' and a bare `import pydantic`, in turns, so that load hits all.

    python -m tests.benchmarks.help_time ["trl sft --help" "axolotl train --help" …]

Prints medians of five, in the order given. A first, uncounted turn fills the caches of the file system.
"""

import shlex
import statistics
import subprocess
import sys
import time

ROUNDS = 5
OURS = ("os-train --help", "os-train sft --help", "os-train sft --help-all")


def main(others: list[str]) -> None:
    """Measure and print the table."""
    commands = {"import pydantic": [sys.executable, "-c", "import pydantic"]}
    commands |= {line: [sys.executable, "-m", "flows.cli", *shlex.split(line)[1:]] for line in OURS}
    commands |= {line: shlex.split(line) for line in others}
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(ROUNDS + 1):
        for name, words in commands.items():
            began = time.perf_counter()
            subprocess.run(words, capture_output=True, check=True)
            if turn:
                seconds[name].append(time.perf_counter() - began)
    bare = statistics.median(seconds["import pydantic"])
    for name, times in seconds.items():
        median = statistics.median(times)
        print(f"{name:44}{median:>8.2f} s{median / bare:>8.1f} x")


if __name__ == "__main__":
    main(sys.argv[1:])
