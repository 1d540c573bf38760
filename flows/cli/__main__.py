"""`python -m flows.cli …` is `os-train …`."""

from flows.cli.main import entry

if __name__ == "__main__":
    entry()
