"""Errors cross process boundaries, and say by their class whose fault it was."""

import pickle

import pytest

from opensloth_core import errors
from opensloth_core.errors import OpenSlothError


def all_errors(root: type[OpenSlothError] = OpenSlothError) -> list[type[OpenSlothError]]:
    return [root, *(error for child in root.__subclasses__() for error in all_errors(child))]


@pytest.mark.parametrize("kind", all_errors())
def test_errors_survive_pickling(kind: type[OpenSlothError]) -> None:
    copy = pickle.loads(pickle.dumps(kind("train.jsonl:17: no messages")))
    assert type(copy) is kind
    assert str(copy) == "train.jsonl:17: no messages"


def test_the_users_mistakes_exit_with_2_and_the_runs_with_1() -> None:
    assert {errors.ConfigError.exit_code, errors.DataError.exit_code, errors.ModelError.exit_code} == {2}
    assert {errors.StoreError.exit_code, errors.TrainingError.exit_code} == {1}


def test_errors_are_also_the_standard_librarys() -> None:
    assert issubclass(errors.ConfigError, ValueError)
    assert issubclass(errors.TrainingError, RuntimeError)
