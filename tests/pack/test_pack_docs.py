"""The commands of docs/pack.md and the class of the README, run as they stand there."""

import re
from pathlib import Path

import joblib
from commands import ROOT, environment
from pages import type_page, with_commands
from trained import train

PAGE, README = (ROOT / "docs/pack.md").read_text(), (ROOT / "README.md").read_text()
(CLASS,) = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_commands_and_the_class_of_the_page_work(tmp_path: Path) -> None:
    trained = train("mixed")
    trained.write(tmp_path)
    joblib.dump(trained.model, tmp_path / "churn.joblib")
    type_page(f"```python\n{CLASS}```\n{PAGE}", tmp_path, with_commands(tmp_path / "bin", environment()))
    assert (tmp_path / "serve.log").exists(), "the page serves a model"


def test_the_class_of_the_page_fits_in_15_lines() -> None:
    assert len([line for line in CLASS.splitlines() if not line.startswith("#")]) <= 15
