"""Fixtures: the command in a process of its own, and a models directory to write to."""

from collections.abc import Callable
from pathlib import Path

import pytest
from commands import Result, run


@pytest.fixture
def modelhost(tmp_path: Path) -> Callable[..., Result]:
    """Runs the command as a person does, in a directory of the test's own."""

    def command(*arguments: object, **options: str) -> Result:
        return run(*arguments, cwd=tmp_path, **options)

    return command
