"""`python -m flows.cli …` is `os-train …`."""

from flows.cli.entry import start

if __name__ == "__main__":
    start("os-train")
