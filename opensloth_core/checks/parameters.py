"""Parameters that only the command line may give."""

from pathlib import Path

from opensloth_core.checks.outputs import check_output
from opensloth_core.checks.remote_code import check_trust
from opensloth_core.checks.roots import is_run_name
from opensloth_core.config.concealed import is_concealed
from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError
from opensloth_core.runs.find import AUTO


def check_parameters(config: DatasetPrepConfig, resume: str | None, run_dir: Path | None) -> None:
    """Refuse what a run that a server started may not be given; call it before anything is written.

    Raises:
        ConfigError: a folder outside of this home, a password in a URL, or code of a model.
    """
    if run_dir is not None:
        raise ConfigError(f"run_dir {run_dir}: a run of a server makes its own directory; drop it")
    # A name may mean a folder of the working directory too.
    if resume not in (None, AUTO) and (not is_run_name(str(resume)) or Path(str(resume)).exists()):
        raise ConfigError(
            f"resume {resume}: give the name of a run of this server, without a folder, or auto"
        )
    for source in config.data:
        if is_concealed(source):
            raise ConfigError(
                f"data {source}: holds a password or a signature, and a server keeps and shows the "
                "parameters of its runs: delete this run, change the password, and have who runs the worker "
                "give it the credentials in its environment"
            )
    if config.data_output is not None:
        check_output("data_output", config.data_output)
    if isinstance(config, OpenSlothConfig):
        check_trust(config.trust_remote_code)
        if config.output is not None:
            check_output("output", config.output)
