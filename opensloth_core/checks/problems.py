"""Several things that are wrong at once, as one error."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from opensloth_core.doctor.finding import Finding
from opensloth_core.errors import ConfigError, OpenSlothError

Found = TypeVar("Found")


class SeveralProblems(ConfigError):
    """More than one thing is wrong; its arguments are the message and the single errors."""

    def __str__(self) -> str:
        return str(self.args[0])

    @property
    def problems(self) -> tuple[OpenSlothError, ...]:
        """Each as an error of its own."""
        found: tuple[OpenSlothError, ...] = self.args[1]
        return found


def listed(messages: Sequence[str]) -> str:
    """Messages one below the other, under how many they are."""
    return "\n".join([f"{len(messages)} problems", *(f"- {message}" for message in messages)])


class Examination:
    """Runs checks one after another and keeps what they find; what one refuses does not stop the others."""

    def __init__(self) -> None:
        self.problems: list[OpenSlothError] = []
        self.warnings: list[Finding] = []

    def try_(self, check: Callable[[], Found]) -> Found | None:
        """What a check gives, None where it refuses, be it for several things at once."""
        try:
            return check()
        except OpenSlothError as err:
            for problem in err.problems if isinstance(err, SeveralProblems) else (err,):
                if str(problem) not in map(str, self.problems):
                    self.problems.append(problem)
            return None

    def warn(self, findings: Sequence[Finding]) -> None:
        """Keep what need not stop a run."""
        self.warnings.extend(findings)

    def refuse(self) -> None:
        """Raise what was found.

        Raises:
            OpenSlothError: the one problem there is, as the check raised it.
            SeveralProblems: more than one.
        """
        if len(self.problems) == 1:
            raise self.problems[0]
        if self.problems:
            message = listed([str(problem) for problem in self.problems])
            raise SeveralProblems(message, tuple(self.problems))
