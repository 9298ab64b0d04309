"""The project is a collection as well: it holds what a deployment reads, and full names lead to it from anywhere."""

import filecmp
import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import modelhost
import pytest
import yaml
from playing import NO_ANSWER, inventory_away, run
from rendering import PROJECT, ROLES

NAME = "modelhost.modelhost"
# By its kind, everything that a user of the collection needs; galaxy.yml lists what is left out instead.
NEEDED = re.compile(
    r"(README|CHANGELOG)\.md|LICENSE|requirements\.(txt|yml)|meta/.*|roles/.*|plugins/.*|modelhostctl/.*|app/.*"
    r"|playbooks/[a-z_]+\.yml|docs/.*(?<!role_readmes\.py)"
)
PLUGINS = {
    kind: sorted(path.stem for path in (PROJECT / "plugins" / folder).glob("*.py"))
    for kind, folder in (("module", "modules"), ("lookup", "lookup"), ("callback", "callback"))
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder: the collection as it is built and installed, an inventory and a bundle; no checkout near."""
    folder = tmp_path_factory.mktemp("site")
    built = run(folder, "ansible-galaxy", "collection", "build", PROJECT, "--output-path", folder)
    assert built.returncode == 0, built.stderr
    (archive,) = folder.glob("*.tar.gz")
    assert archive.name == f"modelhost-modelhost-{modelhost.__version__}.tar.gz"
    done = run(folder, "ansible-galaxy", "collection", "install", archive, "-p", folder / "collections", "--no-deps")
    assert done.returncode == 0, done.stderr
    (folder / "ansible.cfg").write_text("[defaults]\ncollections_path = collections\n")
    shutil.copytree(PROJECT / "models/iris/1", folder / "bundles/iris/1")
    write_inventory(folder, "bundles/iris/1")
    return folder


def write_inventory(folder: Path, model: str) -> Path:
    return inventory_away(folder, "one", release_models=[model])


def installed(site: Path) -> Path:
    return site / "collections/ansible_collections/modelhost/modelhost"


def test_the_archive_holds_what_a_deployment_reads_and_nothing_else(site: Path) -> None:
    known = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    files = {name for name in subprocess.check_output(known, cwd=PROJECT, text=True).splitlines() if name}
    wanted = {name for name in files if NEEDED.fullmatch(name) and (PROJECT / name).is_file()}
    assert {"app/Dockerfile", "app/.dockerignore", "modelhostctl/cli.py", "playbooks/site.yml"} <= wanted
    found = {str(path.relative_to(installed(site))) for path in installed(site).rglob("*") if path.is_file()}
    assert found - {"MANIFEST.json", "FILES.json"} == wanted
    different = filecmp.cmpfiles(PROJECT, installed(site), wanted, shallow=False)[1:]
    assert different == ([], [])


def test_what_its_page_leads_to_is_there(site: Path) -> None:
    page = installed(site) / yaml.safe_load((PROJECT / "galaxy.yml").read_text())["readme"]
    links = re.findall(r"\]\(([^)#:]+)[^):]*\)", page.read_text())
    assert links
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_what_it_needs_is_said_alike_wherever_it_is_said() -> None:
    galaxy = yaml.safe_load((PROJECT / "galaxy.yml").read_text())
    listed = yaml.safe_load((PROJECT / "requirements.yml").read_text())["collections"]
    assert {each["name"]: each["version"] for each in listed} == galaxy["dependencies"]
    used = {
        name
        for folder in ("roles", "playbooks")
        for file in (PROJECT / folder).rglob("*.yml")
        for name in re.findall(r"\b((?:ansible|community)\.[a-z]+)\.[a-z_0-9]+\b", file.read_text())
    }
    assert used - {"ansible.builtin"} == set(galaxy["dependencies"])
    app = tomllib.loads((PROJECT / "app/pyproject.toml").read_text())["project"]
    lines = (PROJECT / "requirements.txt").read_text().splitlines()
    needed = {*app["dependencies"], *app["optional-dependencies"]["pack"]}
    assert {line for line in lines if not line.startswith("#")} <= needed


@pytest.mark.parametrize("name", ["ansible.cfg", "site.yml", "roles.yml"])
def test_the_document_shows_the_files_that_the_scenario_deploys_with(name: str) -> None:
    shown = (PROJECT / "docs/collection.md").read_text()
    assert (PROJECT / "molecule/collection/site" / name).read_text() in shown


@pytest.mark.parametrize("kind", PLUGINS)
def test_ansible_doc_shows_every_plugin_with_an_example_and_what_it_returns(site: Path, kind: str) -> None:
    names = [f"{NAME}.{plugin}" for plugin in PLUGINS[kind]]
    printed = run(site, "ansible-doc", "--json", "--type", kind, *names)
    assert printed.returncode == 0, printed.stderr
    documented = json.loads(printed.stdout)
    assert sorted(documented) == names
    for entry in documented.values():
        assert entry["doc"]["short_description"]
        assert entry["doc"]["description"]
        assert all(option["description"] for option in entry["doc"].get("options", {}).values())
        assert kind == "callback" or (entry["examples"] and entry["return"])


def test_each_action_has_a_page_as_a_module() -> None:
    assert {path.stem for path in (PROJECT / "plugins/action").glob("*.py")} <= set(PLUGINS["module"])


def test_ansible_doc_shows_every_role(site: Path) -> None:
    printed = run(site, "ansible-doc", "--json", "--type", "role", *(f"{NAME}.{role}" for role in ROLES))
    documented = json.loads(printed.stdout)
    assert sorted(documented) == [f"{NAME}.{role}" for role in ROLES]
    assert all(role["entry_points"]["main"]["options"] for role in documented.values())


def test_a_playbook_of_the_collection_runs_by_its_full_name(site: Path) -> None:
    ended = run(site, "ansible-playbook", f"{NAME}.plan", "-i", "hosts.yml")
    assert NO_ANSWER in ended.stdout, ended.stdout + ended.stderr


def test_a_playbook_of_ones_own_imports_the_collections(site: Path) -> None:
    (site / "own.yml").write_text(f"- ansible.builtin.import_playbook: {NAME}.site\n")
    ended = run(site, "ansible-playbook", "own.yml", "-i", "hosts.yml")
    assert NO_ANSWER in ended.stdout, ended.stdout + ended.stderr


def test_a_playbook_of_ones_own_names_the_roles(site: Path) -> None:
    play = {"hosts": "modelhost", "gather_facts": False, "roles": [f"{NAME}.{role}" for role in ("preflight", *ROLES)]}
    (site / "roles.yml").write_text(yaml.safe_dump([play]))
    ended = run(site, "ansible-playbook", "roles.yml", "-i", "hosts.yml")
    assert NO_ANSWER in ended.stdout, ended.stdout + ended.stderr


def test_reports_are_printed_by_the_callback_of_the_collection(site: Path) -> None:
    ended = run(site, "ansible-playbook", f"{NAME}.status", "-i", "hosts.yml", ANSIBLE_STDOUT_CALLBACK=f"{NAME}.report")
    assert ended.stdout == ""
    assert ended.stderr.startswith(f"one:\n  {NO_ANSWER}")


def test_a_relative_bundle_is_sought_where_ansible_was_started(site: Path, tmp_path: Path) -> None:
    environment = {"ANSIBLE_COLLECTIONS_PATH": str(site / "collections")}
    ended = run(tmp_path, "ansible-playbook", f"{NAME}.plan", "-i", site / "hosts.yml", **environment)
    assert "These bundles cannot be served" in ended.stdout
    assert f"there is no folder {tmp_path}/bundles/iris/1" in ended.stdout
    assert f"They are listed in {site}/hosts.yml:" in ended.stdout


def test_a_package_that_is_missing_on_the_control_machine_is_named(site: Path, tmp_path: Path) -> None:
    (tmp_path / "msgspec.py").write_text("raise ModuleNotFoundError(name='msgspec')\n")
    ended = run(site, "ansible-playbook", f"{NAME}.plan", "-i", "hosts.yml", PYTHONPATH=str(tmp_path))
    assert "Reading bundles needs the Python package msgspec" in ended.stdout
    assert f"-m pip install -r {installed(site)}/requirements.txt" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr


@pytest.mark.parametrize("playbook", ["site.yml", "playbooks/plan.yml", "playbooks/status.yml"])
def test_a_checkouts_playbooks_run_from_any_folder(tmp_path: Path, playbook: str) -> None:
    inventory = write_inventory(tmp_path, "models/iris/1")
    ended = run(tmp_path, "ansible-playbook", PROJECT / playbook, "-i", inventory)
    assert NO_ANSWER in ended.stdout, ended.stdout + ended.stderr
