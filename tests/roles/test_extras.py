"""The app's image has what the bundles of a deployment need: libraries and requirements, from lock files that agree."""

import hashlib
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from modelhost.bundle.extras import EXTRAS as EXTRAS_OF_LIBRARIES
from modelhost.bundle.extras import extras_of
from modelhost.bundle.lock_files import LOCKS as LOCKS_DIR
from modelhost.bundle.lock_files import LockError, conflicts, disagreements, locks_of, read_pins
from modelhost.bundle.manifest import read_manifest
from modelhost.bundle.schema import Format, Library
from rendering import HOST, PROJECT, evaluate

APP = PROJECT / "app"
EXTRAS = sorted(path for path in LOCKS_DIR.glob("*.lock") if path.stem != "server")
HASH = "--hash=sha256:" + "0" * 64


def reading(*extras: str, locks: tuple[Path, ...] = ()) -> dict[str, Any]:
    """What read_bundles tells of bundles that each need one of these extras, or bring one of these lock files."""
    (bundle, *_) = HOST["release_read"]["bundles"]
    needs: list[dict[str, Any]] = [{"extras": [extra] if extra else []} for extra in extras]
    for lock in locks:
        digest = hashlib.sha256(lock.read_bytes()).hexdigest()
        needs.append({"requirements": {"file": str(lock), "digest": digest}})
    return {"bundles": [bundle | {"name": f"m{place}"} | need for place, need in enumerate(needs)]}


def argument(module: str, key: str, holding: str = "") -> str:
    """The only argument `key` of a task of the role's with `module` that has one, and `holding` in it."""
    files = sorted((PROJECT / "roles/app_image/tasks").glob("*.yml"))
    tasks = [task for file in files for task in yaml.safe_load(file.read_text())]
    found = [task[module][key] for task in tasks if key in (task.get(module) or {})]
    (text,) = [text for text in found if holding in text]
    return str(text)


def image(*extras: str, locks: tuple[Path, ...] = ()) -> str:
    read = reading(*extras, locks=locks)
    return evaluate("app_image", argument("ansible.builtin.set_fact", "app_image_name"), release_read=read)


def build(*extras: str, locks: tuple[Path, ...] = (), **overrides: Any) -> str:
    command = argument("ansible.builtin.shell", "cmd", "docker build")
    return evaluate("app_image", command, release_read=reading(*extras, locks=locks), **overrides)


def context(*locks: Path) -> set[str]:
    """The lock files in the build's context that bundles bring."""
    source = argument("ansible.builtin.copy", "src", "packed")
    archive = evaluate("app_image", source, release_read=reading("", locks=locks))
    with tarfile.open(archive) as tar:
        return {name for name in tar.getnames() if name.startswith("requirements")}


@pytest.fixture
def locks(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Two lock files of one content, and one of another."""
    for name, pin in (("a", "emoji==2.14.1"), ("b", "emoji==2.14.1"), ("c", "emoji==2.15.0")):
        (tmp_path / f"{name}.lock").write_text(f"{pin} \\\n    {HASH}\n")
    return tmp_path / "a.lock", tmp_path / "b.lock", tmp_path / "c.lock"


def test_the_image_is_built_with_the_libraries_that_bundles_need() -> None:
    assert "--build-arg EXTRAS='lightgbm skops' " in build("skops", "", "lightgbm", "skops")
    assert "EXTRAS" not in build("", "")


def test_the_image_says_which_lock_files_of_bundles_it_was_built_with(locks: tuple[Path, ...]) -> None:
    first, last = sorted({hashlib.sha256(lock.read_bytes()).hexdigest() for lock in locks})
    assert f"--build-arg REQUIREMENTS='{first} {last}' " in build("", locks=locks)
    for command in (build(""), build("skops", locks=locks, app_image_build_ca_file="ca.pem")):
        assert len(command.splitlines()) == 1
    assert "REQUIREMENTS" not in build("")


def test_the_image_has_the_library_for_grpc_where_that_is_served() -> None:
    assert "--build-arg EXTRAS='grpc skops' " in build("skops", release_grpc="true")
    assert "EXTRAS" not in build("", release_grpc=False)


def test_the_images_name_differs_by_its_libraries_and_not_by_their_order() -> None:
    assert image("") == image("", "") != image("skops")
    assert image("skops", "lightgbm") == image("lightgbm", "", "skops") != image("skops")


def test_the_images_name_differs_by_what_bundles_require(locks: tuple[Path, ...]) -> None:
    one, same, other = locks
    assert image("") != image("", locks=(one,)) == image("", locks=(same, one)) != image("", locks=(other,))


def test_the_build_gets_each_lock_file_once_and_under_the_name_of_its_content(locks: tuple[Path, ...]) -> None:
    digests = sorted({hashlib.sha256(lock.read_bytes()).hexdigest()[:12] for lock in locks})
    found = context(*locks)
    assert {f"requirements/{digest}.lock" for digest in digests} <= found
    assert sum(name.startswith("requirements") for name in found) == len(digests) == 2
    assert not any(name.startswith("requirements") for name in context())


def test_the_dockerfile_copies_what_the_context_has_and_ignores_nothing_of_it() -> None:
    dockerfile = (APP / "Dockerfile").read_text()
    assert "COPY locks/server.lock requirement[s]/*.lock " in dockerfile
    assert {"!locks", "!modelhost", "!requirements"} <= set((APP / ".dockerignore").read_text().splitlines())


def test_what_an_image_needs_for_a_release_is_no_part_of_the_releases_name(locks: tuple[Path, ...]) -> None:
    """It is in the image's; and what a bundle needs, in its digest."""
    vars_ = yaml.safe_load((PROJECT / "roles/release/vars/main.yml").read_text())
    text = vars_["__release_content"]["bundles"]
    rendered = evaluate("release", text, release_read=reading("skops", locks=locks[:1]))
    assert "requirements" not in rendered
    assert "extras" not in rendered


def test_each_library_has_an_extra_and_a_lock_file() -> None:
    named = {EXTRAS_OF_LIBRARIES.get(library, library) for library in get_args(Library)}
    needed = sorted({*get_args(Format), *named, "grpc"} - {"onnx", "python"})
    assert [path.stem for path in EXTRAS] == needed
    project = tomllib.loads((APP / "pyproject.toml").read_text())
    assert sorted(set(project["project"]["optional-dependencies"]) - {"pack", "sign"}) == needed
    assert "*.lock" in project["tool"]["setuptools"]["package-data"]["modelhost.locks"]
    (made,) = re.findall(r"^EXTRAS := (.*)$", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    assert made.split() == needed


@pytest.mark.parametrize("lock", EXTRAS, ids=lambda path: path.stem)
def test_all_lock_files_of_the_image_pin_the_same_versions(lock: Path) -> None:
    """Else pip, given several of them, would refuse; and an image would have what the tests did not run with."""
    base, tested, extra = (
        pinned(path) for path in (LOCKS_DIR / "server.lock", PROJECT / "tests/requirements.lock", lock)
    )
    assert base <= extra <= tested
    assert not disagreements(locks_of(sorted({lock.stem for lock in EXTRAS})))


def pinned(path: Path) -> set[str]:
    """Each package with its version; markers may differ."""
    return {f"{pin.name}=={pin.version}" for pin in read_pins(path.read_text())}


@pytest.mark.parametrize(
    ("fields", "extras"),
    [
        ({}, []),
        ({"format": "skops"}, ["skops"]),
        ({"format": "skops", "libraries": ["xgboost", "lightgbm"]}, ["lightgbm", "skops", "xgboost"]),
        ({"format": "pickle", "libraries": ["catboost"]}, ["catboost", "pickle"]),
        ({"format": "python", "libraries": ["pandas", "scikit-learn"]}, ["pandas", "pickle"]),
        ({"format": "lightgbm"}, ["lightgbm"]),
    ],
)
def test_format_and_libraries_decide_what_a_bundle_needs(
    tmp_path: Path, fields: dict[str, Any], extras: list[str]
) -> None:
    manifest = yaml.safe_load((PROJECT / "models/iris/1/model.yaml").read_text())
    (tmp_path / "model.yaml").write_text(yaml.safe_dump(manifest | fields))
    assert extras_of(read_manifest(tmp_path)[0]) == extras


def test_requirements_that_contradict_each_other_are_told_with_both_lines(locks: tuple[Path, ...]) -> None:
    one, same, other = (lock.read_text() for lock in locks)
    assert conflicts([], {"a version 1": one, "b version 1": same}) == []
    (told,) = conflicts([], {"a version 1": one, "b version 1": same, "c version 2": other})
    assert "c version 2 needs emoji==2.15.0 and a version 1 needs emoji==2.14.1" in told
    assert "pack one of them again" in told


def test_requirements_that_contradict_the_servers_own_are_told_with_both_lines() -> None:
    numpy = next(pin for pin in read_pins(locks_of([])["server"]) if pin.name == "numpy")
    assert conflicts([], {"a version 1": f"numpy=={numpy.version} {HASH}"}) == []
    (told,) = conflicts([], {"a version 1": f"NumPy==1.26.4 {HASH}"})
    assert told.startswith(f"a version 1 needs NumPy==1.26.4 and the server has numpy=={numpy.version}, but")
    (told,) = conflicts(["lightgbm"], {"a version 1": f"lightgbm==3.0.0 {HASH}"})
    assert "the extra lightgbm has lightgbm==" in told


def test_what_another_machine_would_install_is_no_contradiction() -> None:
    texts = {"a": f"x==1 ; sys_platform == 'win32' {HASH}\ny==1 ; platform_machine == 'aarch64' {HASH}",
             "b": f"x==2 {HASH}\ny==2 ; platform_machine == 'x86_64' {HASH}"}  # fmt: skip
    assert conflicts([], texts) == []
    texts["b"] += f"\ny==2 ; platform_machine == 'aarch64' {HASH}"
    assert len(conflicts([], texts)) == 1


@pytest.mark.parametrize(
    "line",
    ["emoji==2.14.1", f"emoji>=2 {HASH}", f"emoji==2.* {HASH}", f"emoji @ https://example.org/emoji.whl {HASH}",
     "--index-url https://example.org/simple", "-e .", "-r other.txt", "emoji==2.14.1 --hash=md5:0"],
)  # fmt: skip
def test_a_lock_file_holds_versions_with_hashes_and_nothing_else(line: str) -> None:
    with pytest.raises(LockError, match="write only lines such as"):
        read_pins(f"# a comment\n{line}\n")


def read_with_ansible(folder: Path, *bundles: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """The task that reads bundles, as preflight runs it, on no host at all."""
    paths = [str(path) for path in bundles]
    given = {"paths": paths, "variable": "release_models", "allow_pickle": [], "trusted_keys": [], "extras": []}
    given |= options
    task = {"modelhost.modelhost.read_bundles": given}
    play = {"hosts": "localhost", "gather_facts": False, "tasks": [task | {"register": "read"}, {
        "ansible.builtin.debug": {"msg": "{{ read.bundles | map(attribute='requirements') | to_json }}"}}]}  # fmt: skip
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    command = [Path(sys.executable).with_name("ansible-playbook"), "-i", "localhost,", folder / "play.yml"]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)


def with_lock(folder: Path, name: str, lock: Path) -> Path:
    """A copy of an example bundle that requires what the lock file says."""
    bundle = folder / name / "1"
    shutil.copytree(PROJECT / "models/colours/1", bundle)
    shutil.copyfile(lock, bundle / "requirements.lock")
    manifest = yaml.safe_load((bundle / "model.yaml").read_text()) | {"name": name, "requirements": "requirements.lock"}
    manifest["files"]["requirements.lock"] = hashlib.sha256(lock.read_bytes()).hexdigest()
    (bundle / "model.yaml").write_text(yaml.safe_dump(manifest))
    return bundle


def pickled(folder: Path, name: str, content: bytes = b"I1\n.") -> Path:
    """A copy of an example bundle that is a pickle."""
    bundle = folder / name / "1"
    shutil.copytree(PROJECT / "models/colours/1", bundle)
    (bundle / "model.pkl").write_bytes(content)
    manifest = yaml.safe_load((bundle / "model.yaml").read_text()) | {"name": name, "entry": "model.pkl"}
    manifest["files"]["model.pkl"] = hashlib.sha256(content).hexdigest()
    (bundle / "model.yaml").write_text(yaml.safe_dump(manifest | {"format": "pickle", "allow_pickle": True}))
    return bundle


def test_a_pickle_is_refused_unless_the_deployment_names_it(tmp_path: Path) -> None:
    a, b = pickled(tmp_path, "a"), pickled(tmp_path, "b")
    refused = read_with_ansible(tmp_path, a, b, allow_pickle=["a"])
    assert refused.returncode != 0
    said = " ".join(refused.stdout.split())
    assert "b version 1 is a pickle, which can run any code on the host" in said
    assert "release_allow_pickle: [a, b]" in said
    assert "a version 1" not in said
    allowed = read_with_ansible(tmp_path, a, b, allow_pickle=["a", "b"])
    assert allowed.returncode == 0, allowed.stdout


def test_bundles_that_contradict_each_other_are_refused_before_any_host_is_touched(
    tmp_path: Path, locks: tuple[Path, ...]
) -> None:
    a, b, c = (with_lock(tmp_path, name, lock) for name, lock in zip("abc", locks, strict=True))
    agreed = read_with_ansible(tmp_path, a, b)
    assert agreed.returncode == 0, agreed.stdout
    assert hashlib.sha256(locks[0].read_bytes()).hexdigest() in agreed.stdout
    refused = read_with_ansible(tmp_path, a, c)
    assert refused.returncode != 0
    assert "c version 1 needs emoji==2.15.0 and a version 1 needs emoji==2.14.1" in " ".join(refused.stdout.split())


def test_a_bundle_whose_lock_file_names_an_index_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.lock").write_text("--index-url https://example.org/simple\n")
    refused = read_with_ansible(tmp_path, with_lock(tmp_path, "a", tmp_path / "x.lock"))
    assert refused.returncode != 0
    assert "a/1/model.yaml: requirements: requirements.lock has the line '--index-url" in refused.stdout


def test_requirements_that_contradict_the_library_for_grpc_are_refused_where_that_is_served(tmp_path: Path) -> None:
    (tmp_path / "x.lock").write_text(f"grpcio==1.60.0 {HASH}\n")
    bundle = with_lock(tmp_path, "a", tmp_path / "x.lock")
    assert read_with_ansible(tmp_path, bundle).returncode == 0
    refused = read_with_ansible(tmp_path, bundle, extras=["grpc"])
    assert refused.returncode != 0
    assert "needs grpcio==1.60.0 and the extra grpc has grpcio==" in " ".join(refused.stdout.split())
