"""A role's defaults, its specification and its README say the same."""

import subprocess
import sys

import pytest
import yaml
from modelhost.settings import Settings
from rendering import PROJECT, ROLES, evaluate, load


def options(role: str) -> dict:
    return load(role, "meta/argument_specs.yml")["argument_specs"]["main"]["options"]


@pytest.mark.parametrize("role", ROLES)
def test_defaults_and_specification_name_the_same_variables(role):
    optional = {name for name, option in options(role).items() if not option.get("required")}
    assert set(load(role, "defaults/main.yml")) == optional


@pytest.mark.parametrize("role", ROLES)
def test_defaults_and_specification_give_the_same_values(role):
    defaults = load(role, "defaults/main.yml")
    assert {name: options(role)[name]["default"] for name in defaults} == defaults


@pytest.mark.parametrize("role", ROLES)
def test_a_required_variable_is_shown_commented_out_in_the_defaults(role):
    text = (PROJECT / "roles" / role / "defaults" / "main.yml").read_text()
    for name, option in options(role).items():
        if option.get("required"):
            assert f"# {name}:" in text


@pytest.mark.parametrize("role", ROLES)
def test_public_variables_carry_the_roles_name_and_internal_ones_are_marked(role):
    assert all(name.startswith(f"{role}_") for name in options(role))
    assert all(name.startswith(f"__{role}_") or name.startswith("__") for name in load(role, "vars/main.yml"))


@pytest.mark.parametrize("role", ROLES)
def test_every_variable_is_described(role):
    assert all(option["description"] for option in options(role).values())


@pytest.mark.parametrize("role", ROLES)
def test_no_description_is_a_template(role):
    """Ansible resolves all of a specification, words too, on its way into the role."""
    descriptions = [option["description"] for option in options(role).values()]
    assert "{{" not in str(descriptions)


@pytest.mark.parametrize("role", ROLES)
def test_main_is_a_table_of_contents(role):
    for task in yaml.safe_load((PROJECT / "roles" / role / "tasks" / "main.yml").read_text()):
        contents = {f"ansible.builtin.{kind}" for kind in ("import_tasks", "include_tasks", "include_role")}
        assert contents & set(task), task["name"]


def test_the_readmes_are_what_the_specifications_make_of_them():
    before = {role: (PROJECT / "roles" / role / "README.md").read_text() for role in ROLES}
    made = subprocess.run(
        [sys.executable, PROJECT / "docs" / "role_readmes.py", "--print"], capture_output=True, text=True, check=True
    )
    assert made.stdout == "".join(before[role] for role in ROLES), "run `make docs`"


@pytest.mark.parametrize(
    ("names", "good"),
    [
        ([], True), (["churn", "a-1_b"], True), (["a" * 64], True), ("churn", False), (["Churn"], False),
        (["a b"], False), (["churn", "a,b"], False), ([""], False), (["1a"], False), ([True], False),
        (["a" * 65], False),
    ],
)  # fmt: skip
def test_models_that_may_be_pickles_are_named_as_the_server_takes_them(names, good):
    rules = load("release", "tasks/validate.yml")[0]["modelhost.modelhost.check_rules"]["rules"]
    (rule,) = [rule for rule in rules if rule["variable"] == "release_allow_pickle"]
    assert evaluate("release", rule["holds"], release_allow_pickle=names) == str(good)
    if good:
        assert Settings.from_environment({"MODELHOST_ALLOW_PICKLE": ",".join(names)}).allow_pickle == tuple(names)
