"""Run by the fork server's tests: says what it is, or does as it is told."""

import json
import os
import signal
import sys
import time
from pathlib import Path


def main(act: str, *words: str) -> None:
    if act == "say":
        seen = {"argv": words, "cwd": str(Path.cwd()), "path": sys.path[0], "word": os.environ.get(words[0])}
        seen |= {"name": __name__, "pid": os.getpid(), "group": os.getpgid(0), "read": sys.stdin.read()}
        seen |= {"imported": "colorsys" in sys.modules}
        print(json.dumps(seen))
        print("to stderr", file=sys.stderr)
    elif act == "exit":
        sys.exit(int(words[0]))
    elif act == "raise":
        raise KeyError(words[0])
    elif act == "kill":
        os.kill(os.getpid(), int(words[0]))
    elif act == "wait":
        if words:
            signal.signal(signal.SIGTERM, lambda number, frame: os._exit(int(words[0])))
        print(os.getpid(), flush=True)
        time.sleep(120)


if __name__ == "__main__":
    main(*sys.argv[1:])
