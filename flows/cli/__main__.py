"""`python -m flows.cli …` is `os-train …`."""

from flows.cli.os_train import entry

if __name__ == "__main__":
    entry()
