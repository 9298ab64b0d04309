"""An image of a registry: what may name it, what it is called on a host, and what the roles make of it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.correction import received
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.folder import hash_of
from playing import Printed, play, tasks
from rendering import HOST, PROJECT, evaluate, load, render

from modelhostctl.host.layout import Layout
from modelhostctl.store.registry_authorities import MARK

DIGEST = "0123456789abcdef" * 4
REPOSITORY = "registry.example.com/team/modelhost"
REFERENCE = f"{REPOSITORY}@sha256:{DIGEST}"
REGISTRY: dict[str, Any] = {"app_image_source": "registry", "app_image_reference": REFERENCE}
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
(RULES,) = load("app_image", "tasks/validate.yml")


def broken(**given: Any) -> list[str]:
    """The variables of which a rule does not hold with these values."""
    rules = RULES["modelhost.modelhost.check_rules"]["rules"]
    return sorted({rule["variable"] for rule in rules if evaluate("app_image", rule["holds"], **given) != "True"})


def variable(name: str, **given: Any) -> Any:
    return json.loads(evaluate("app_image", "{{ " + name + " | to_json }}", **given))


@pytest.mark.parametrize(
    "reference",
    [
        REFERENCE,
        f"{REPOSITORY}:0.1.0@sha256:{DIGEST}",
        f"10.0.0.5:5000/modelhost@sha256:{DIGEST}",
        f"registry:5000/a/b/c_d-e.f@sha256:{DIGEST}",
        f"localhost/modelhost@sha256:{DIGEST}",
    ],
)
def test_an_image_is_named_by_its_digest(reference: str) -> None:
    assert broken(app_image_source="registry", app_image_reference=reference) == []


@pytest.mark.parametrize(
    "reference",
    [
        "",
        REPOSITORY,
        f"{REPOSITORY}:latest",
        f"{REPOSITORY}:0.1.0@sha256:{DIGEST[1:]}",
        f"{REPOSITORY}@sha256:{DIGEST}0",
        f"{REPOSITORY}@sha512:{DIGEST}",
        f"team/modelhost@sha256:{DIGEST}",
        f"modelhost@sha256:{DIGEST}",
        f"sha256:{DIGEST}",
        f"https://{REFERENCE}",
        f"{REFERENCE}\n",
        f" {REFERENCE}",
        f"registry.example.com/team/../modelhost@sha256:{DIGEST}",
        f"../../etc@sha256:{DIGEST}",
    ],
)
def test_anything_else_is_refused(reference: str) -> None:
    assert broken(app_image_source="registry", app_image_reference=reference) == ["app_image_reference"]


def test_the_words_of_a_tag_say_why_and_where_a_digest_is_from() -> None:
    (must,) = (
        rule["must"]
        for rule in RULES["modelhost.modelhost.check_rules"]["rules"]
        if rule["variable"] == "app_image_reference"
    )
    words = evaluate("app_image", must)
    assert "a tag may name another image tomorrow" in words
    assert "`make image` prints it" in words
    assert "docker image inspect --format '{{.RepoDigests}}' " in words


def test_a_reference_that_nothing_reads_is_refused() -> None:
    assert broken() == []
    assert broken(app_image_reference=REFERENCE) == ["app_image_source"]


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({"app_image_registry_username": "ci", "app_image_registry_password": "s3cret"}, []),
        ({"app_image_registry_username": "ci", "app_image_registry_password": 12345}, []),
        ({"app_image_registry_username": "ci"}, ["app_image_registry_password"]),
        ({"app_image_registry_password": "s3cret"}, ["app_image_registry_password"]),
        ({"app_image_registry_username": "ci", "app_image_registry_password": "x\n"}, ["app_image_registry_password"]),
        ({"app_image_registry_ca_file": "no/such.pem"}, ["app_image_registry_ca_file"]),
        ({"app_image_push_repository": f"{REPOSITORY}:1"}, ["app_image_push_repository"]),
        ({"app_image_push_repository": "team/modelhost"}, ["app_image_push_repository"]),
        ({"app_image_push_repository": REPOSITORY}, []),
    ],
)
def test_what_does_not_fit_together_is_refused(given: dict[str, Any], refused: list[str]) -> None:
    assert broken(**REGISTRY, **given) == refused


def test_a_password_is_not_shown_where_it_is_refused() -> None:
    for rule in RULES["modelhost.modelhost.check_rules"]["rules"]:
        if rule["variable"] == "app_image_registry_password":
            assert "s3cret" not in evaluate("app_image", rule["received"], app_image_registry_password="s3cret")


def test_a_ca_is_a_certificate_and_no_private_key_and_has_no_meaning_without_tls(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    given = {**REGISTRY, "app_image_registry_ca_file": str(file)}
    file.write_text("hello")
    assert broken(**given) == ["app_image_registry_ca_file"]
    file.write_text(f"{CERTIFICATE}-----BEGIN RSA PRIVATE KEY-----\n")
    assert broken(**given) == ["app_image_registry_ca_file"]
    file.write_text(CERTIFICATE)
    assert broken(**given) == []
    assert broken(**given, app_image_registry_plain_http="yes") == ["app_image_registry_plain_http"]
    assert variable("__app_image_authorities", **given) == {"registry.example.com": CERTIFICATE.strip()}
    built = {**given, "app_image_source": "build", "app_image_reference": ""}
    assert variable("__app_image_authorities", **built) == {}


def test_each_run_knows_the_registries_of_all_so_that_none_takes_anothers_ca_away(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text(CERTIFICATE)
    given = {
        **REGISTRY,
        "app_image_registry_ca_file": str(file),
        "app_image_push_repository": "push.example.com:5000/x",
    }
    both = {"push.example.com:5000": CERTIFICATE.strip(), "registry.example.com": CERTIFICATE.strip()}
    for pushes in (True, False):
        assert variable("__app_image_authorities", **given, __app_image_is_pushed=pushes) == both
    building = {**given, "app_image_source": "build", "app_image_reference": ""}
    for pushes in (True, False):
        found = variable("__app_image_authorities", **building, __app_image_is_pushed=pushes)
        assert list(found) == ["push.example.com:5000"]


def test_a_pulled_image_is_called_by_its_digest_and_looked_at_for_what_bundles_need() -> None:
    (bundle, *_) = HOST["release_read"]["bundles"]
    lock = {"file": "x.lock", "digest": "d" * 64}
    read = {"bundles": [bundle | {"extras": ["skops"]}, bundle | {"name": "words", "requirements": lock}]}
    name = load("app_image", "tasks/name.yml")[1]["ansible.builtin.set_fact"]["app_image_name"]
    given = {**REGISTRY, "app_image_reference": f"{REPOSITORY}:1@sha256:{DIGEST}", "release_read": read}
    assert evaluate("app_image", name, **given) == f"modelhost-app:sha256-{DIGEST}", "all 64 digits"
    assert variable("__app_image_pulled", **given, release_grpc="true") == {
        "reference": REFERENCE,
        "digest": f"sha256:{DIGEST}",
        "source": hash_of(PROJECT / "app" / "modelhost", [])[:12],
        "extras": ["grpc", "skops"],
        "requirements": {"d" * 64: "words"},
    }
    assert variable("__app_image_pulled", release_read=read) == {}


def test_a_release_has_the_whole_digest_in_it_where_its_image_is_pulled_and_is_as_before_where_it_is_built() -> None:
    template = "srv/modelhost/releases/release/compose.yml.j2"
    built = render("release", template)
    assert render("release", template, app_image_pulled={}) == built
    pulled = render("release", template, app_image_pulled={"digest": f"sha256:{DIGEST}"})
    assert f"      modelhost.image: sha256:{DIGEST}\n" in pulled
    added = set(pulled.splitlines()) - set(built.splitlines())
    assert len(added) == 2


def test_nothing_is_built_for_the_app_where_it_is_pulled() -> None:
    missing = {"release_plan": {"image_present": False, "trusts_registry": True}}
    files = ("build.yml", "pull.yml")
    tasks = {
        task.get("ansible.builtin.include_tasks"): task.get("when") for task in load("app_image", "tasks/main.yml")
    }
    begun = [evaluate("app_image", "{{ " + tasks[file] + " }}", **missing, **REGISTRY) for file in files]
    assert begun == ["False", "True"]
    base = load("app_image", "tasks/name.yml")[0]["when"]
    assert evaluate("app_image", "{{ " + base + " }}", **REGISTRY) == "False"


def test_the_playbook_that_pushes_builds_whatever_hosts_do() -> None:
    pushing = {**REGISTRY, "app_image_push_repository": "push.example.com/x", "__app_image_is_pushed": True}
    assert broken(**pushing) == []
    assert variable("__app_image_builds", **pushing) is True
    assert variable("__app_image_target", **REGISTRY) == REPOSITORY
    assert broken(__app_image_is_pushed=True) == ["app_image_push_repository"]


@pytest.mark.parametrize(
    "given",
    [
        {},
        REGISTRY,
        {"app_image_push_repository": "push.example.com:5000/x"},
        {**REGISTRY, "app_image_push_repository": "push.example.com:5000/x"},
        {**REGISTRY, "app_image_push_repository": f"{REPOSITORY}/x"},
    ],
)
def test_the_engine_is_given_the_registries_that_images_are_pulled_from_and_pushed_to(given: dict[str, Any]) -> None:
    """The role docker may run by itself, where it sees no variable of the other role's."""
    plain = {**given, "app_image_registry_plain_http": True}
    known = variable("__app_image_registries", **given)
    assert json.loads(evaluate("docker", "{{ __docker_plain_registries | to_json }}", **plain)) == known


def test_an_engine_asks_a_registry_without_tls_only_where_that_is_wanted() -> None:
    assert json.loads(evaluate("docker", "{{ __docker_plain_registries | to_json }}", **REGISTRY)) == []
    for true in (True, "yes"):
        given = {**REGISTRY, "app_image_registry_plain_http": true}
        choice = json.loads(evaluate("docker", "{{ __docker_choice | to_json }}", **given))
        assert choice["settings"]["insecure-registries"] == ["registry.example.com"]
        assert choice["may_be_shown"] is True


@pytest.mark.parametrize("variable_name", ["app_image_reference", "app_image_push_repository"])
@pytest.mark.parametrize(
    "address",
    [
        f"https://ci:s3cret@{REFERENCE}",
        f"ci:s3cret@{REFERENCE}",
        f"s3cret@{REPOSITORY}",
        f"https://ci:s3cret%40{REFERENCE}",
        f"ci:s3cret%40{REPOSITORY}",
        "https://ci:s3cret",
        "https://ci:s3cret/x",
    ],
)
def test_an_account_within_an_address_is_refused_and_not_shown(variable_name: str, address: str) -> None:
    assert variable_name in broken(**{"app_image_source": "registry", variable_name: address})
    (rule,) = (rule for rule in RULES["modelhost.modelhost.check_rules"]["rules"] if rule["variable"] == variable_name)
    assert "app_image_registry_username and app_image_registry_password" in rule["must"]
    assert received(address, rule["is_address"]) == "a value that is not shown"


@pytest.mark.parametrize(
    "address",
    [
        "",
        REPOSITORY,
        f"{REPOSITORY}:1",
        f"https://{REFERENCE}",
        f" {REFERENCE}\n",
        "r:5000/x@sha256:1",
        "proxy:3128",
        "HTTP://proxy:3128/",
        "http://[fd00::5]:3128",
        "http://mirror.example.org/debian/",
    ],
)
def test_an_address_that_has_no_account_in_it_is_shown(address: str) -> None:
    assert received(address, is_address=True) == json.dumps(address)


@pytest.mark.parametrize("address", ["user:s3cret", "s3cret@host", "http://u:s3cret%40host:1", ["host"], "a b", 5])
def test_one_that_may_have_is_not(address: Any) -> None:
    assert received(address, is_address=True) == "a value that is not shown"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (f"https://ci:s3cret@{REFERENCE}", None),
        (f"ci:s3/cret@{REFERENCE}", None),
        ("https://t0ken@host/x", None),
        ({"proxy": ["http://a:b@c"]}, None),
        (f"{REPOSITORY}:0.1.0@sha256:{DIGEST}", f"{REPOSITORY}:0.1.0@sha256:{DIGEST}"),
        ("deploy@vm1", "deploy@vm1"),
        ("https://host:5000/x", "https://host:5000/x"),
    ],
)
def test_no_correction_of_any_variable_shows_an_account_within_an_address(value: Any, shown: str | None) -> None:
    assert received(value) == (json.dumps(shown) if shown else "a value that is not shown")


# An engine that has these images, and says what it is told to remove.
ENGINE = """\
#!/bin/sh
case "$*" in
  *"image ls --format"*) printf '%s\\n' modelhost-app:1 modelhost-app:sha256-2 'modelhost-app:<none>' ;;
  *"image ls"*) echo 0123456789ab ;;
  *"image rm"*) echo "$*" >>"$0.told"; echo removed ;;
esac
"""


def destroyed(folder: Path, *options: str) -> Printed:
    """Have the role take away what it has made on a host below this folder."""
    program = folder / "docker"
    program.write_text(ENGINE)
    program.chmod(0o755)
    text = (
        (PROJECT / "roles" / "app_image" / "tasks" / "remove.yml").read_text().replace("/etc/docker", f"{folder}/etc")
    )
    given = {"__app_image_build": f"{folder}/build", "__app_image_foreign_names": f"{folder}/foreign-names"}
    words = ["-e", json.dumps(given), *options]
    around = {"PATH": f"{folder}:{os.environ['PATH']}", "ANSIBLE_STDOUT_CALLBACK": "default"}
    return play(folder, tasks(text), *words, **around)


def test_destroying_removes_names_of_the_apps_images_and_no_owners(tmp_path: Path) -> None:
    """By its ID an image loses all of its names."""
    (tmp_path / "foreign-names").write_text(f"{REFERENCE}\n")
    printed = destroyed(tmp_path)
    assert printed.code == 0, printed.out
    told = (tmp_path / "docker.told").read_text().splitlines()
    names = ["modelhost-app:1", "modelhost-app:sha256-2", REFERENCE]
    assert told == [f"image rm --force {name}" for name in names]
    assert not (tmp_path / "foreign-names").exists()
    assert load("app_image", "vars/main.yml")["__app_image_foreign_names"] == str(Layout().foreign_names)


def test_destroying_removes_cas_and_a_check_says_so(tmp_path: Path) -> None:
    folders = [tmp_path / "etc" / "certs.d" / name for name in ("ours", "unfinished", "theirs")]
    for folder, name, text in zip(
        folders, ["ca.crt", ".ca.crt.unfinished", "ca.crt"], [f"{MARK}PEM\n", "", "PEM\n"], strict=True
    ):
        folder.mkdir(parents=True)
        (folder / name).write_text(text)
    checked = destroyed(tmp_path, "--check")
    assert "changed=1 " in checked.out, checked.out
    assert all(folder.exists() for folder in folders)
    assert "changed=2 " in destroyed(tmp_path).out
    assert [folder.exists() for folder in folders] == [False, False, True]
    assert "changed=0 " in destroyed(tmp_path, "--check").out


def test_the_code_of_an_image_is_named_by_what_runs_in_it_and_so_is_one_that_is_built_by_hand() -> None:
    (command,) = (
        task["ansible.builtin.shell"]["cmd"]
        for task in load("app_image", "tasks/build.yml")
        if "ansible.builtin.shell" in task
    )
    code = hash_of(PROJECT / "app" / "modelhost", [])[:12]
    assert f" --build-arg SOURCE={code} " in evaluate("app_image", command)
    by_hand = [sys.executable, "plugins/plugin_utils/folder.py", "app/modelhost"]
    assert subprocess.check_output(by_hand, cwd=PROJECT, text=True) == f"{code}\n"
    for text in ("app/Dockerfile", "docs/operations.md"):
        assert 'SOURCE="$(python3 plugins/plugin_utils/folder.py app/modelhost)"' in (PROJECT / text).read_text()


def test_no_one_waits_for_the_build_of_an_image_that_was_pulled() -> None:
    for task in load("app_image", "tasks/wait.yml"):
        assert evaluate("app_image", "{{ " + task["when"] + " }}") == "False"
        begun = {"results_file": "/x", "ansible_job_id": "1"}
        assert evaluate("app_image", "{{ " + task["when"] + " }}", app_image_begun=begun) == "True"


def plays(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((PROJECT / "playbooks" / name).read_text())
    return found


def test_an_image_is_not_made_in_one_run_with_something_else() -> None:
    tasks = plays("preflight.yml")[1]["pre_tasks"]
    (refusal,) = (task for task in tasks if "ansible.builtin.fail" in task)
    assert tasks.index(refusal) == 0, "before a host leaves the play because it was checked already"
    (kept,) = (task for task in plays("preflight.yml")[1]["post_tasks"] if "ansible.builtin.set_fact" in task)
    for first in (True, False):
        pushes = kept["ansible.builtin.set_fact"]["__preflight_pushes"]
        before = evaluate("preflight", pushes, __app_image_is_pushed=first)
        for then in (True, False):
            given = {"__preflight_pushes": before == "True", "__app_image_is_pushed": then}
            assert evaluate("preflight", "{{ " + refusal["when"] + " }}", **given) == str(first != then)
    assert evaluate("preflight", "{{ " + refusal["when"] + " }}", __app_image_is_pushed=True) == "False"


def test_others_are_told_that_an_image_is_made_and_its_build_begins_with_a_fresh_lock() -> None:
    what = load("release", "tasks/lock.yml")[0]["modelhost.modelhost.modelhostctl"]["options"]["what"]
    build = plays("image.yml")[1]
    assert evaluate("release", what, **build["vars"]) == "make image"
    assert evaluate("release", what) == "site.yml"
    (block,) = (task["block"] for task in build["tasks"] if "block" in task)
    steps = [
        f"{role['name'].rpartition('.')[2]} {role.get('tasks_from', 'main.yml')}"
        for role in (task["ansible.builtin.import_role"] for task in block)
    ]
    assert steps[steps.index("app_image main.yml") - 1] == "release lock.yml"


def test_an_image_is_looked_at_before_the_host_is_upgraded() -> None:
    tasks = [task["name"] for task in plays("upgrade.yml")[1]["tasks"]]
    first = tasks.index("See first that the app's image serves, where it is a registry's")
    assert first < tasks.index("Upgrade all packages")
    roles = [step["ansible.builtin.include_role"] for step in plays("upgrade.yml")[1]["tasks"][first]["block"]]
    assert [role.get("tasks_from", "main.yml") for role in roles] == ["plan.yml", "main.yml"]
