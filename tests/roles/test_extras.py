"""The app's image has the libraries of the formats that a deployment serves, from lock files that agree."""

import re
import tomllib
from typing import Any, get_args

import pytest
import yaml
from modelhost.bundle.schema import Format
from rendering import HOST, PROJECT, evaluate

APP = PROJECT / "app"
LOCKS = sorted((APP / "locks").glob("*.lock"))


def reading(*formats: str) -> dict[str, Any]:
    """What read_bundles tells of bundles of these formats."""
    (bundle, *_) = HOST["model_server_read"]["bundles"]
    return {"bundles": [bundle | {"name": f"m{place}", "format": kind} for place, kind in enumerate(formats)]}


def argument(module: str, key: str) -> str:
    """The only argument `key` of a task of the role's with `module` that has one, or one that holds `docker build`."""
    files = sorted((PROJECT / "roles/model_server/tasks").glob("*.yml"))
    tasks = [task for file in files for task in yaml.safe_load(file.read_text())]
    found = [task[module][key] for task in tasks if key in (task.get(module) or {})]
    (text,) = [text for text in found if key != "cmd" or "docker build" in text]
    return str(text)


def image(*formats: str) -> str:
    read = reading(*formats)
    return evaluate("model_server", argument("ansible.builtin.set_fact", "model_server_image"), model_server_read=read)


def build(*formats: str) -> str:
    command = argument("ansible.builtin.shell", "cmd")
    return evaluate("model_server", command, model_server_read=reading(*formats))


def test_the_image_is_built_with_the_formats_that_need_a_library() -> None:
    assert "--build-arg EXTRAS='lightgbm skops' " in build("skops", "onnx", "lightgbm", "python", "skops")
    assert "EXTRAS" not in build("onnx", "python")


def test_the_images_name_differs_by_its_formats_and_not_by_their_order() -> None:
    assert image("onnx") == image("python", "onnx") != image("skops")
    assert image("skops", "lightgbm") == image("lightgbm", "onnx", "skops") != image("skops")


def test_each_format_that_needs_a_library_has_an_extra_and_a_lock_file() -> None:
    needed = sorted(set(get_args(Format)) - {"onnx", "python"})
    assert [path.stem for path in LOCKS] == needed
    extras = tomllib.loads((APP / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert sorted(set(extras) - {"pack"}) == needed
    (made,) = re.findall(r"^EXTRAS := (.*)$", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    assert made.split() == needed


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_all_lock_files_of_the_image_pin_the_same_versions(lock: Any) -> None:
    """Else pip, given several of them, would refuse; and an image would have what the tests did not run with."""
    pins = {path: pinned(path) for path in (APP / "requirements.lock", PROJECT / "tests/requirements.lock", lock)}
    base, tested, extra = pins.values()
    assert base <= extra <= tested
    assert "--hash=sha256:" in lock.read_text()


def pinned(path: Any) -> set[str]:
    """Each package with its version; markers may differ."""
    return set(re.findall(r"^([a-z0-9-]+==\S+)", path.read_text(), re.MULTILINE))
