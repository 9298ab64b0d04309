"""What models cannot be given is refused in words before a host is touched, and a secret is in none of them."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from playing import NO_ANSWER, inventory_away, play, run
from rendering import PROJECT, evaluate, load, render

from plugins.plugin_utils.need_problems import environment_problems, secret_problems, volume_problems

COMPOSE = "srv/modelhost/releases/release/compose.yml.j2"
GIVEN = {
    "release_environment": {"GREETING": 'a "$b" \\ ü 😀: # x', "NO": "1"},
    "release_secrets": {"db": "s3cr3t-of-the-database"},
    "release_volumes": [{"source": "/srv/weights $1: a", "target": "/weights"}],
}
SECRET = GIVEN["release_secrets"]["db"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({}, []), ({"GREETING": "hello", "_a1": "", "TOKENIZERS_PARALLELISM": "false", "HF_HOME": "/tmp\n"}, []),
        ({"MODELHOST_BIND": "x"}, ["MODELHOST_BIND (kept for the server itself)"]),
        ({"PATH": "x", "PYTHONPATH": "x", "LD_PRELOAD": "x", "OMP_NUM_THREADS": "2", "GUNICORN_CMD_ARGS": "-w 9"},
         [f"{name} (kept for the server itself)"
          for name in ("PATH", "PYTHONPATH", "LD_PRELOAD", "OMP_NUM_THREADS", "GUNICORN_CMD_ARGS")]),
        ({"modelhost_bind": "x"}, ["modelhost_bind (kept for the server itself)"]),
        ({"A B": "x"}, ["A B as a name"]), ({"A=B": "x"}, ["A=B as a name"]), ({1: "x"}, ["1 as a name"]),
        ({"LEVEL": 3}, ["LEVEL as a number (in quotes it is a text)"]),
        ({"ON": True}, ["ON as true or false (in quotes it is a text)"]),
        ({"A": None}, ["A as nothing (in quotes it is a text)"]),
        ({"A": "x\x00"}, ["A with control characters"]), ("A=B", ["no mapping"]), (None, ["no mapping"]),
    ],
)  # fmt: skip
def test_a_variable_of_the_servers_or_no_text_is_refused(value, said):
    assert environment_problems(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"db": SECRET, "api.key_2-a": "a\r\nb\x00"}, []), ({"../db": SECRET}, ["a name that is not shown as a name"]),
        ({"db": ""}, ["db as an empty text"]), ({"db": 1234567}, ["db as a number, and not as a text"]),
        ({".key": SECRET}, ["a name that is not shown as a name"]),
        (SECRET, ["something else than a mapping (which is not shown)"]),
        ([SECRET], ["something else than a mapping (which is not shown)"]),
    ],
)  # fmt: skip
def test_a_secret_that_cannot_be_a_file_is_refused_without_it(value, said):
    assert secret_problems(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([{"source": "/srv/w", "target": "/w"}], ""),
        ([{"source": "/etc", "target": "/w"}], "the source /etc, which is"),
        ([{"source": "/srv/w", "target": "/models"}], "the target /models, which is"),
        ([{"source": "/srv/w", "target": "/w"}, {"source": "/srv/v", "target": "/w/v"}], "would cover"),
        ([{"source": "/srv/w"}], "without a source or a target"), ([{"source": 1, "target": "/w"}], "without a source"),
        ("/w", "no list"),
    ],
)  # fmt: skip
def test_a_volume_that_gives_away_or_hides_is_refused(value, said):
    problems = volume_problems(value)
    assert bool(problems) == bool(said)
    assert said in "".join(problems)


def service(**overrides: Any) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(render("release", COMPOSE, **overrides))["services"]["app"]
    return found


def test_a_container_gets_what_its_models_need_and_no_more():
    plain, given = service(), service(**GIVEN)
    assert SECRET not in render("release", COMPOSE, **GIVEN)
    added = {name: text for name, text in given.pop("environment").items() if name not in plain["environment"]}
    # Compose takes $$ for $.
    assert added == {name: text.replace("$", "$$") for name, text in GIVEN["release_environment"].items()}
    mounts = given.pop("volumes")[len(plain["volumes"]) :]
    assert [(one["type"], one["source"], one["target"]) for one in mounts] == [
        ("bind", "/srv/modelhost/secrets/${RELEASE:?}", "/run/secrets"),
        ("bind", "/srv/weights $$1: a", "/weights"),
    ]
    assert all(one["read_only"] is True and one["bind"] == {"create_host_path": False} for one in mounts)
    del plain["environment"], plain["volumes"]
    assert given == plain


def test_each_replica_gets_the_same():
    found = yaml.safe_load(render("release", COMPOSE, **GIVEN, release_replicas=2))["services"]
    assert found["app"]["volumes"] == found["app-2"]["volumes"]
    first, second = (found[name]["environment"].items() for name in ("app", "app-2"))
    assert {name for name, _ in first ^ second} == {"MODELHOST_BIND"}


def content(**overrides: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(evaluate("release", "{{ __release_content | to_json }}", **overrides))
    return found


def test_a_releases_content_names_what_is_given_and_has_no_secret():
    settings = content(**GIVEN)["settings"]
    assert set(settings["environment"]) == {"GREETING", "NO"}
    assert settings["volumes"] == {"/weights": "/srv/weights $1: a"}
    assert "secrets" not in settings, "the host adds them, with a key of its own"
    assert SECRET not in json.dumps(content(**GIVEN))
    assert {len(digest) for digest in settings["environment"].values()} == {64}, "nor has it the values of variables"
    changed = GIVEN["release_environment"] | {"NO": "2"}
    assert content(release_environment=changed)["settings"]["environment"]["NO"] != settings["environment"]["NO"]


def test_the_steps_that_need_secrets_are_given_them_and_no_other_is():
    tasks = (PROJECT / "roles/release/tasks").glob("*.yml")
    given = {path.stem for path in tasks if "release_secrets" in path.read_text()}
    assert given == {"plan", "release", "validate"}
    assert "secrets" in load("release", "tasks/remove.yml")[1]["loop"]


def test_a_plan_of_several_hosts_says_where_their_ids_differ():
    def said(**variables: Any) -> list[str]:
        several = {"groups": {"modelhost": ["vm1", "vm2"]}, **GIVEN, **variables}
        found: list[str] = json.loads(evaluate("release", "{{ __release_ids_differ | to_json }}", **several))
        return found

    assert "release_secrets_key" in said()[0]
    assert said(release_secrets_key="k" * 32) == said(release_secrets={}) == []
    assert said(groups={"modelhost": ["vm1"]}) == []


def vaulted(folder: Path, text: str) -> tuple[str, Path]:
    """A text that Ansible Vault has encrypted, and the file of its password."""
    (folder / "password").write_text("open sesame")
    words = ["ansible-vault", "encrypt_string", "--vault-password-file", folder / "password", text]
    made: subprocess.CompletedProcess[str] = run(folder, *words)
    assert made.returncode == 0, made.stderr
    return made.stdout, folder / "password"


def preflight(folder: Path, *words: object, **variables: Any) -> str:
    """What a deployment to a host that does not answer says, with all that Ansible can print."""
    variables = {"release_models": [str(PROJECT / "models/iris/1")]} | variables
    variables["deploy_user_authorized_keys"] = ["{{ lookup('file', '" + str(folder / "key.pub") + "') }}"]
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"]
    subprocess.run(make, check=True, input="y\n", text=True, capture_output=True)
    inventory = inventory_away(folder, "one", **variables)
    said = run(PROJECT, "ansible-playbook", "playbooks/preflight.yml", "-i", inventory, "-vvv", "--diff", *words)
    return said.stdout + said.stderr


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"release_environment": {"LD_PRELOAD": "/tmp/x.so"}},
         "release_environment: got LD_PRELOAD (kept for the server itself), but it must be a mapping of names"),
        ({"release_secrets": {"a/b": SECRET}},
         "release_secrets: got a name that is not shown as a name, but it must be a mapping of names"),
        ({"release_secrets": {"a/b": SECRET}}, 'release_secrets: {"db_password": "{{ vault_db_password }}"}'),
        ({"release_secrets": [SECRET]}, "release_secrets: got a value that is not shown, but it must be a mapping"),
        ({"release_secret": {"db": SECRET}},
         "release_secret: got a value that is not shown, but no role reads that name"),
        ({"release_api_key": SECRET}, "release_api_key: got a value that is not shown, but no role reads that name"),
        ({"release_environment": [f"API_KEY={SECRET}"]}, "release_environment: got a value that is not shown, but it"),
        ({"release_environment": {"API_KEY": SECRET, "Y": "{{ nowhere }}"}}, "release_environment: got a value that"),
        ({"release_secrets": {f"{SECRET}!": "db"}}, "got a name that is not shown as a name"),
        ({"release_secrets_key": SECRET},
         "release_secrets_key: got 22 characters, which are not shown, but it must be a random text of 32 characters"),
        ({"release_volumes": [{"source": "/var/run/docker.sock", "target": "/w"}]},
         "release_volumes: got the source /var/run/docker.sock, which is in /var/run, which models must not read"),
        ({"release_volumes": [{"source": "/srv/w"}]}, "it must be a list of mappings with source, target"),
        (GIVEN, NO_ANSWER),
    ],
)  # fmt: skip
def test_a_deployment_says_what_to_write_and_repeats_no_secret(tmp_path, variables, words):
    said = preflight(tmp_path, **variables)
    assert words in " ".join(said.split()).replace("\\", "")
    assert SECRET not in said
    if words != NO_ANSWER:
        assert NO_ANSWER not in said


def test_a_secret_may_be_vaulted_by_itself_or_in_a_variable(tmp_path):
    text, password = vaulted(tmp_path, SECRET)
    (tmp_path / "group_vars").mkdir()
    lines = f'vault_db: {text}\nrelease_secrets:\n  db: "{{{{ vault_db }}}}"\n  api: {text}\n'
    (tmp_path / "group_vars" / "modelhost.yml").write_text(lines)
    said = preflight(tmp_path, "--vault-password-file", password)
    assert NO_ANSWER in " ".join(said.split()), said
    assert SECRET not in said
    said = preflight(tmp_path, "--vault-password-file", password, release_environment={"LEVEL": 3})
    assert "LEVEL as a number" in said
    # What the steps on the host are sent.
    sent = play(
        tmp_path,
        """
        - name: Send
          hosts: all
          gather_facts: false
          tasks:
            - name: Show what is sent
              ansible.builtin.debug:
                msg: "{{ release_secrets | to_json | hash('sha256') }}"
        """,
        "-e", f"@{tmp_path / 'group_vars' / 'modelhost.yml'}", "--vault-password-file", str(password),
    )  # fmt: skip
    assert sent.code == 0, sent.out
    wanted = evaluate("release", "{{ {'db': it, 'api': it} | to_json | hash('sha256') }}", it=SECRET)
    assert wanted in sent.out


def host_check(folder: Path, *sources: Path) -> str:
    """What preflight says of these volumes on this machine, whose account needs no sudo."""
    volumes = [{"source": str(source), "target": f"/w{number}"} for number, source in enumerate(sources)]
    said = play(
        folder,
        """
        - name: Check
          hosts: all
          gather_facts: false
          tasks:
            - name: Look for the volumes
              ansible.builtin.include_role:
                name: modelhost.modelhost.release
                tasks_from: check_volumes.yml
        """,
        "-e", json.dumps({"release_volumes": volumes} | {"ansible_become_method": "ansible.builtin.su"}),
    )  # fmt: skip
    return " ".join(said.out.split())


def test_a_volume_that_the_host_does_not_have_is_refused_by_preflight(tmp_path):
    there, absent = tmp_path / "a file", tmp_path / "it's not there"
    there.touch()
    assert "failed=0" in host_check(tmp_path, there)
    said = host_check(tmp_path, there, absent)
    assert f"release_volumes: got {absent}, which one does not have, but it must be a list of what is" in said
    assert str(there) not in said.partition("Edit")[0]
