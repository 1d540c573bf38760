"""The user's own rewards: functions from a place that is allowed, with their results checked."""

import functools
import importlib
import importlib.util
import math
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from opensloth_core.errors import ConfigError, OpenSlothError, TrainingError
from opensloth_core.readme import more_in_readme
from opensloth_core.rewards.completions import Completions
from opensloth_core.rewards.reference import quoted
from opensloth_core.rewards.reward import Reward
from opensloth_core.store.home import home_dir

MODULES_VARIABLE = "OPENSLOTH_REWARD_MODULES"
_LOADED_PREFIX = "opensloth_user_rewards."


def load_user_reward(name: str) -> Reward:
    """The function `package.module:function` as a reward.

    It may be in `$OPENSLOTH_HOME/rewards/package/module.py`, or in an installed module whose dotted
    name is, or is below, one of those in `$OPENSLOTH_REWARD_MODULES` (comma separated).

    Raises:
        ConfigError: no such name, a place that is not allowed, or a module that does not load.
    """
    module_name, function_name = _parts(name)
    path = _own_file(name, module_name)
    module = _load_module(name, module_name) if path is None else _load_file(name, module_name, path)
    function = getattr(module, function_name, None)
    if not callable(function):
        raise ConfigError(f"reward {name}: {module.__file__} has no function {function_name}")
    _check_own(name, module, function)

    def score(completions: Completions) -> list[float | None]:
        try:
            scores = function(completions)
        except OpenSlothError:
            raise
        except (Exception, SystemExit) as err:
            raise TrainingError(f"reward {name}: {_described(err)}") from err
        return _checked(name, scores, len(completions))

    lines = (function.__doc__ or "").strip().splitlines()
    return Reward(name, score, (), lines[0] if lines else f"the user's own, in {module.__file__}")


def source_file(name: str) -> Path | None:
    """The file that a user's own reward is in, which is not run; None where there is none, and for ours.

    What that file imports is not looked for. Of an installed module the packages that it is in are run.

    Raises:
        ConfigError: no such name, a place that is not allowed, or a package that does not load.
    """
    if ":" not in name:
        return None
    module_name, _ = _parts(name)
    if path := _own_file(name, module_name):
        return path
    _check_allowed(name, module_name)
    with _importing(name, module_name):
        spec = importlib.util.find_spec(module_name)
    return Path(spec.origin) if spec is not None and spec.has_location and spec.origin else None


def _parts(name: str) -> tuple[str, str]:
    """Module and function of a name.

    Raises:
        ConfigError: it is no such name.
    """
    module_name, _, function_name = name.partition(":")
    if not all(part.isidentifier() for part in [*module_name.split("."), function_name]):
        raise ConfigError(f"reward {name}: must be package.module:function, such as my_rewards:politeness")
    return module_name, function_name


def _path_in_home(module_name: str) -> Path:
    return home_dir().joinpath("rewards", *module_name.split(".")).with_suffix(".py")


def _own_file(name: str, module_name: str) -> Path | None:
    """The file of a module in `$OPENSLOTH_HOME/rewards`; None where there is none.

    Raises:
        ConfigError: it leads out of that folder.
    """
    folder, path = home_dir() / "rewards", _path_in_home(module_name)
    if not path.is_file():
        return None
    real = path.resolve()
    if not real.is_relative_to(folder.resolve()):
        raise ConfigError(
            f"reward {name}: {path} leads out of {folder}, to {real}; put the file itself there"
        )
    return real


def _check_own(name: str, module: ModuleType, function: Any) -> None:
    """Allowing a module does not allow all that it imports.

    Raises:
        ConfigError: the function is another module's.
    """
    while isinstance(function, functools.partial):
        function = function.func
    home = str(getattr(function, "__module__", None))
    # A package may gather the functions of its modules.
    if home != module.__name__ and not home.startswith(f"{module.__name__}."):
        raise ConfigError(
            f"reward {name}: {module.__file__} has it from {home}; name it there, or define one of your own"
        )


def _load_file(name: str, module_name: str, path: Path) -> ModuleType:
    full_name = _LOADED_PREFIX + module_name
    spec = importlib.util.spec_from_file_location(full_name, path)
    assert spec is not None and spec.loader is not None, path
    module = importlib.util.module_from_spec(spec)
    sys.modules[full_name] = module  # dataclasses and pickling look a class's module up there
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as err:
        del sys.modules[full_name]
        in_home = _path_in_home(module_name)
        raise ConfigError(f"reward {name}: {in_home} cannot be imported: {_described(err)}") from err
    return module


def _load_module(name: str, module_name: str) -> ModuleType:
    _check_allowed(name, module_name)
    with _importing(name, module_name):
        return importlib.import_module(module_name)


def _check_allowed(name: str, module_name: str) -> None:
    """Refuse an installed module that nobody allowed, before anything is imported: its packages run code too.

    Raises:
        ConfigError: it is not allowed.
    """
    prefixes = [part.strip() for part in os.environ.get(MODULES_VARIABLE, "").split(",") if part.strip()]
    # A prefix ends where a dotted part ends, so that allowing `torch` does not allow `torchvision`.
    if not any(f"{module_name}.".startswith(f"{prefix.rstrip('.')}.") for prefix in prefixes):
        raise ConfigError(
            f"reward {name}: the module {module_name} is not allowed to score; put it at "
            f"{_path_in_home(module_name)}, or set "
            f"{MODULES_VARIABLE}={','.join([*prefixes, module_name])}{more_in_readme('Rewards')}"
        )


@contextmanager
def _importing(name: str, module_name: str) -> Iterator[None]:
    try:
        yield
    except (Exception, SystemExit) as err:
        raise ConfigError(f"reward {name}: {module_name} cannot be imported: {_described(err)}") from err


def _described(err: BaseException) -> str:
    """The exception on one line, with where it was raised."""
    frame = err.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    code = frame.tb_frame.f_code if frame else None
    where = f" ({Path(code.co_filename).name}:{frame.tb_lineno})" if code and frame else ""
    message = " ".join(str(err).split())
    return f"{type(err).__name__}{': ' if message else ''}{message}{where}"


def _checked(name: str, scores: Any, num_completions: int) -> list[float | None]:
    if not isinstance(scores, Iterable) or isinstance(scores, str | bytes | dict | set):
        raise TrainingError(
            f"reward {name}: gave {quoted(scores)}; must give a list with a number a completion"
        )
    scores = list(scores)
    if len(scores) != num_completions:
        raise TrainingError(
            f"reward {name}: gave {len(scores)} scores for {num_completions} completions; "
            "must give one for each"
        )
    return [_checked_score(name, index, score) for index, score in enumerate(scores)]


def _checked_score(name: str, index: int, score: Any) -> float | None:
    if score is None:
        return None
    try:
        number = math.nan if isinstance(score, str | bytes) else float(score)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise TrainingError(
            f"reward {name}: gave {quoted(score)} for completion {index}; must be a finite number, "
            "or None where the reward does not apply"
        )
    return number
