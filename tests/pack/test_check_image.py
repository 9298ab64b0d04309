"""`check` and `pack` load a bundle with what the server's image has: never a yes to what cannot start."""

import hashlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from commands import MODELS, Result

Command = Callable[..., Result]


@pytest.fixture
def colours(tmp_path: Path) -> Callable[..., Path]:
    """A bundle with a Python class, whose file begins with such lines, and which brings such files."""

    def make(first: str, **files: str) -> Path:
        bundle = tmp_path / "colours/1"
        shutil.copytree(MODELS / "colours/1", bundle, dirs_exist_ok=True)
        source = (MODELS / "colours/1/model.py").read_text()
        texts = {"model.py": f"{first}\n{source}", **files}
        manifest = yaml.safe_load((bundle / "model.yaml").read_text())
        for name, text in texts.items():
            (bundle / name).write_text(text)
            manifest["files"][name] = hashlib.sha256(text.encode()).hexdigest()
        if "requirements.lock" in files:
            manifest["requirements"] = "requirements.lock"
        (bundle / "model.yaml").write_text(yaml.safe_dump(manifest))
        return bundle

    return make


def pin(name: str, version: str) -> str:
    return f"{name}=={version} --hash=sha256:{'0' * 64}\n"


def test_what_is_installed_here_and_not_in_the_image_is_refused_by_its_name(
    modelhost: Command, colours: Callable[..., Path]
) -> None:
    result = modelhost("check", colours("import iniconfig"))
    assert result.code == 1
    assert "No module named 'iniconfig'" in result.err
    assert (
        "iniconfig is installed here, but the server's image does not have it: pack the model with --requirements"
        in (result.err)
    )


def test_what_a_class_imports_late_or_asks_for_in_its_own_words_is_named_too(
    modelhost: Command, colours: Callable[..., Path]
) -> None:
    installed_here = "iniconfig is installed here, but the server's image does not have it"
    own_words = "try:\n    import iniconfig\nexcept ImportError:\n    raise RuntimeError('no settings') from None\n"
    assert installed_here in modelhost("check", colours(own_words)).err
    late = colours("")
    source = (MODELS / "colours/1/model.py").read_text()
    # With more rows than there are golden examples: as it is timed.
    line = "def predict(self, inputs):\n        if len(inputs['index']) > 7:\n            import iniconfig\n"
    text = re.sub(r"def predict\(.*\n", line, source)
    (late / "model.py").write_text(text)
    manifest = yaml.safe_load((late / "model.yaml").read_text())
    manifest["files"]["model.py"] = hashlib.sha256(text.encode()).hexdigest()
    (late / "model.yaml").write_text(yaml.safe_dump(manifest))
    refused = modelhost("check", late)
    assert refused.code == 1
    assert "error: colours/1/model.yaml: predict raised ModuleNotFoundError: No module named 'iniconfig'" in refused.err
    assert installed_here in refused.err


def test_a_module_that_only_one_directory_has_is_refused_from_everywhere(
    modelhost: Command, colours: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "only_here.py").write_text("")
    bundle = colours("import only_here")
    assert modelhost("check", bundle).code == 1  # in that very directory
    path = f"{tmp_path}:{Path(__file__).parents[2] / 'app'}"
    assert "No module named 'only_here'" in modelhost("check", bundle, PYTHONPATH=path).err


def test_what_shadows_a_library_here_does_not_matter(modelhost: Command, tmp_path: Path) -> None:
    (tmp_path / "onnxruntime.py").write_text("raise ModuleNotFoundError('hidden')\n")
    path = f"{tmp_path}:{Path(__file__).parents[2] / 'app'}"
    modelhost("check", MODELS / "iris/1", PYTHONPATH=path).ok()


@pytest.mark.parametrize(
    "line",
    [
        "import os; os.environ['A_TOKEN_OF_MINE']",
        "open('words.txt')",
        "import pathlib; open(pathlib.Path.home() / 'words.txt')",
        "import _pytest",
        "import pip",
    ],
)
def test_neither_variables_nor_files_nor_modules_of_who_asks_are_there(
    modelhost: Command, colours: Callable[..., Path], tmp_path: Path, line: str
) -> None:
    (tmp_path / "words.txt").write_text("a")
    bundle = colours(line)
    result = modelhost("check", bundle, A_TOKEN_OF_MINE="x", HOME=str(tmp_path))
    assert result.code == 1
    assert "colours/1/model.yaml: entry model.py cannot be loaded" in result.err


def test_what_is_hidden_looks_as_if_it_were_not_installed(modelhost: Command, colours: Callable[..., Path]) -> None:
    """Libraries ask so for what they may do without."""
    modelhost("check", colours(
        "import importlib.util, importlib.metadata as m\n"
        "assert importlib.util.find_spec('iniconfig') is None\n"
        "assert importlib.util.find_spec('numpy') is not None\n"
        "assert m.version('numpy')\n"
        "assert not [d for d in m.distributions() if d.name == 'iniconfig']\n"
        "import ctypes, decimal, email.message, sysconfig, zoneinfo; sysconfig.get_config_vars()\n"
    )).ok()  # fmt: skip


def test_requirements_are_there_and_shown_and_their_versions_compared(
    modelhost: Command, colours: Callable[..., Path]
) -> None:
    bundle = colours("import iniconfig", **{"requirements.lock": pin("iniconfig", "0.0.1")})
    said = modelhost("check", bundle).ok().out
    assert "with iniconfig==0.0.1" in said
    assert "here and 0.0.1 there" in said
    assert "check --clean" in said or "--clean has what is there" in said
    (found,) = modelhost("check", bundle, "--json").ok().json["bundles"]
    assert found["requirements"] == ["iniconfig==0.0.1"]


def test_a_requirement_that_is_not_installed_here_is_told_with_what_to_do(
    modelhost: Command, colours: Callable[..., Path]
) -> None:
    bundle = colours("import no_such_package", **{"requirements.lock": pin("no-such-package", "1.0")})
    result = modelhost("check", bundle)
    assert result.code == 1
    assert (
        "the image has no-such-package==1.0, and this Python does not: run `check --clean`, whose environment has it"
        in result.err
    )


def test_requirements_that_contradict_the_server_are_refused_with_both_lines(
    modelhost: Command, colours: Callable[..., Path]
) -> None:
    result = modelhost("check", colours("", **{"requirements.lock": pin("numpy", "1.26.4")}))
    assert result.code == 1
    assert "colours version 1 needs numpy==1.26.4 and the server has numpy==" in result.err
