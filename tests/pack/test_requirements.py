"""`--requirements`: resolved and locked beside the server's own packages, or refused in a sentence.

Needs uv and a package index, as the image's build does.
"""

import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from commands import ROOT, Result
from modelhost.bundle.lock_files import LOCKS, image_pins, read_pins
from modelhost.packing.errors import PackError
from modelhost.packing.requirements import lock_requirements, read_requirements

pytest.importorskip("uv", reason="`make .cache/libraries` installs it")

Command = Callable[..., Result]
CLASS = "import iniconfig\nclass Model:\n    def predict(self, inputs):\n        return {'n': inputs['a'] + 1}\n"
SERVER = image_pins({"": (LOCKS / "server.lock").read_text()})


@pytest.fixture
def requirements(tmp_path: Path) -> Callable[..., Path]:
    """A requirements.txt of such lines, beside a class that needs iniconfig and its sample."""
    (tmp_path / "m.py").write_text(CLASS)
    (tmp_path / "s.csv").write_text("a\n1\n2\n")

    def write(*lines: str, name: str = "requirements.txt") -> Path:
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


def test_a_class_is_packed_with_what_it_requires_and_checked_with_it(
    invoke: Command, requirements: Callable[..., Path], tmp_path: Path
) -> None:
    requirements("# a comment", "iniconfig >= 1  # and another")
    options = ("--name", "m", "--sample", "s.csv")
    refused = invoke("pack", "m.py", *options)
    assert refused.code == 1
    assert "a file with the line iniconfig" in refused.err
    assert not (tmp_path / "models").exists()
    invoke("pack", "m.py", *options, "--requirements", "requirements.txt").ok()
    lock = (tmp_path / "models/m/1/requirements.lock").read_text()
    # The version that the golden examples were answered with.
    assert f"iniconfig=={importlib.metadata.version('iniconfig')} " in lock
    assert "From requirements.txt:\n#   iniconfig>=1\n" in lock
    assert "://" not in lock
    assert str(tmp_path) not in lock
    assert f"with iniconfig=={importlib.metadata.version('iniconfig')}" in invoke("check", "models/m/1").ok().out


def test_the_lock_can_be_installed_as_the_image_does(requirements: Callable[..., Path], tmp_path: Path) -> None:
    """By hash, into a directory beside packages that are there already, without what those are."""
    text, _ = lock_requirements(requirements("iniconfig", f"packaging=={SERVER['packaging'].version}"), [])
    (tmp_path / "requirements.lock").write_text(text)
    (own,) = [block for block in re.findall(r"(?m)^\S.*(?:\n[ \t].*)*", text) if block.startswith("packaging==")]
    (tmp_path / "server.lock").write_text(own)
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], cwd=tmp_path, env={}, check=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    subprocess.run([*install, "--requirement", tmp_path / "server.lock"], check=True)
    beside = ["--prefix", tmp_path / "beside", "--requirement", tmp_path / "requirements.lock"]
    subprocess.run([*install, *beside], check=True)
    (packages,) = (tmp_path / "beside").glob("lib/python3*/site-packages")
    assert sorted(path.name for path in packages.iterdir() if "dist-info" not in path.name) == ["iniconfig"]
    code = f"import site; site.addsitedir({str(packages)!r}); import iniconfig, packaging"
    subprocess.run([python, "-I", "-c", code], check=True)


def test_what_the_server_has_is_taken_as_it_is(requirements: Callable[..., Path]) -> None:
    text, _ = lock_requirements(requirements("flask", "pyyaml>=5"), [])
    for pin in read_pins(text):
        assert pin.version == SERVER[pin.name].version
    with_pandas, _ = lock_requirements(requirements("pandas"), [])
    extra = image_pins({"": (LOCKS / "pandas.lock").read_text()})
    assert image_pins({"": with_pandas})["pandas"].version == extra["pandas"].version


@pytest.mark.parametrize("name", ["requirements.txt", "pyproject.toml"])
def test_a_contradiction_with_the_server_is_told_with_both_lines(requirements: Callable[..., Path], name: str) -> None:
    lines = ["numpy<2"] if name.endswith("txt") else ["[project]", 'name = "m"', 'dependencies = ["numpy<2"]']
    with pytest.raises(PackError, match=r"asks for numpy<2 and the server has numpy==2\.\d+\.\d+: allow the server's"):
        lock_requirements(requirements(*lines, name=name), [])


def test_a_contradiction_deeper_down_is_told_in_one_sentence(requirements: Callable[..., Path]) -> None:
    with pytest.raises(PackError) as refused:
        lock_requirements(requirements("pandas==2.0.0"), [])  # which needs a numpy of its time
    assert "cannot be installed beside what the server has: Because " in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_pyproject_is_locked_alike(requirements: Callable[..., Path]) -> None:
    lines = ["[project]", 'name = "m"', 'version = "1"', 'dependencies = ["iniconfig"]']
    text, notes = lock_requirements(requirements(*lines, name="pyproject.toml"), [])
    assert [pin.name for pin in read_pins(text)] == ["iniconfig"]
    assert notes == []


def test_only_what_a_server_on_linux_installs_is_locked(requirements: Callable[..., Path]) -> None:
    text, _ = lock_requirements(requirements("iniconfig", "colorama ; sys_platform == 'win32'"), [])
    assert [pin.name for pin in read_pins(text)] == ["iniconfig"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--index-url https://example.org/simple", "has the option '--index-url': leave it out"),
        ("--extra-index-url=https://example.org/simple", "leave it out, since the host that builds the image decides"),
        ("-e .", "give files of your own by --with"),
        ("./wheels/x.whl", "write a package of an index, such as emoji>=2"),
        ("emoji @ https://example.org/emoji.whl", "write a version, such as emoji>=1"),
        ("git+https://example.org/emoji.git", "write a package of an index"),
        ("# nothing", "names no package: leave the option out"),
        ("-r nowhere.txt", "cannot be read"),
    ],
)
def test_what_cannot_be_locked_is_refused_with_what_to_write(
    requirements: Callable[..., Path], line: str, said: str
) -> None:
    with pytest.raises(PackError, match=re.escape(said)):
        read_requirements(requirements(line), [])


def test_a_file_that_is_included_counts(requirements: Callable[..., Path]) -> None:
    requirements("iniconfig", "numpy<2", name="more.txt")
    with pytest.raises(PackError, match="asks for numpy<2"):
        read_requirements(requirements("-r more.txt"), [])


def test_a_converted_model_needs_none(invoke: Command, requirements: Callable[..., Path], tmp_path: Path) -> None:
    import joblib
    import numpy as np
    from sklearn.linear_model import LinearRegression

    x = np.arange(40.0).reshape(20, 2)
    joblib.dump(LinearRegression().fit(x, x[:, 0]), tmp_path / "m.joblib")
    np.savetxt(tmp_path / "rows.csv", x, delimiter=",", header="a,b", comments="")
    requirements("scikit-learn", name="needed.txt")
    options = ("--name", "l", "--sample", "rows.csv", "--requirements", "needed.txt")
    assert (
        "needed.txt is left out: as onnx the model needs nothing of it" in invoke("pack", "m.joblib", *options).ok().out
    )
    assert not (tmp_path / "models/l/1/requirements.lock").exists()


def test_a_clean_environment_has_the_images_packages_and_is_made_once(
    invoke: Command, requirements: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")  # 50 MB
    requirements("iniconfig")
    options = ("--name", "m", "--sample", "s.csv", "--requirements", "requirements.txt")
    invoke("pack", "m.py", *options).ok()
    assert "in a clean environment of Python 3." in invoke("check", "--clean", "models/m/1").ok().out
    (environment,) = (tmp_path / "cache/modelhost/environments").iterdir()
    (packages,) = environment.glob("lib/python3*/site-packages")
    assert (packages / "iniconfig").is_dir()
    assert not (packages / "pytest").exists()
    made = environment.stat().st_mtime_ns
    invoke("check", "--clean", "models/m/1").ok()
    assert environment.stat().st_mtime_ns == made


def test_no_lock_file_names_an_index() -> None:
    for lock in [*LOCKS.glob("*.lock"), *ROOT.glob("*.lock"), *(ROOT / "tests").glob("*.lock")]:
        assert "://" not in lock.read_text(), lock


@pytest.mark.parametrize(
    ("line", "libraries"),
    [
        ("import pandas as pd", ["pandas"]),
        ("from sklearn.linear_model import LinearRegression", ["scikit-learn"]),
        ("def later(): import lightgbm", ["lightgbm"]),
        ("import importlib; importlib.import_module('scipy.special')", ["scikit-learn"]),
        ("import numpy.linalg, json", None),
    ],
)
def test_a_class_that_imports_what_the_image_can_have_needs_no_requirements(
    invoke: Command, requirements: Callable[..., Path], tmp_path: Path, line: str, libraries: list[str] | None
) -> None:
    requirements()
    (tmp_path / "m.py").write_text(line + "\n" + CLASS.removeprefix("import iniconfig\n"))
    invoke("pack", "m.py", "--name", "m", "--sample", "s.csv").ok()
    assert yaml.safe_load((tmp_path / "models/m/1/model.yaml").read_text()).get("libraries") == libraries


def test_a_library_that_the_requirements_lock_is_not_named_again(
    invoke: Command, requirements: Callable[..., Path], tmp_path: Path
) -> None:
    requirements("pandas")
    (tmp_path / "m.py").write_text("import pandas\n" + CLASS.removeprefix("import iniconfig\n"))
    invoke("pack", "m.py", "--name", "m", "--sample", "s.csv", "--requirements", "requirements.txt").ok()
    assert "libraries" not in yaml.safe_load((tmp_path / "models/m/1/model.yaml").read_text())
