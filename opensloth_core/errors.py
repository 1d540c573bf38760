"""Every error this project raises on purpose.

The command line prints the message as one line and exits with the class's `exit_code`:
2 where the user's input is at fault, 1 where the run is. No class defines `__init__`, so all
of them survive pickling between processes.
"""


class OpenSlothError(Exception):
    """Root of all our errors; its message is one line for a person."""

    exit_code = 1


class ConfigError(OpenSlothError, ValueError):
    """A setting is wrong, contradicts another one, or cannot take effect."""

    exit_code = 2


class DataError(OpenSlothError, ValueError):
    """The input data cannot be used."""

    exit_code = 2


class ModelError(OpenSlothError, ValueError):
    """The model or its tokenizer cannot be found or used."""

    exit_code = 2


class StoreError(OpenSlothError, RuntimeError):
    """The artifact store cannot be read or written, or an artifact in it is damaged."""


class TrainingError(OpenSlothError, RuntimeError):
    """Training stopped: a rank died, the loss diverged, or the run was interrupted."""
