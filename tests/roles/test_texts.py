"""What -e gives is text: that of a number or truth value makes what the value makes, and all else is refused."""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleError
from ansible_collections.modelhost.modelhost.plugins.action.check_variables import is_plain
from jinja2 import Environment, nodes
from playing import play, tasks
from rendering import HOST, PROJECT, ROLES, evaluate, load, render
from test_templates import TEMPLATES

OPTIONS = {
    name: option
    for role in ROLES
    for name, option in load(role, "meta/argument_specs.yml")["argument_specs"]["main"]["options"].items()
}
KINDS = {name: option["type"] for name, option in OPTIONS.items() if option["type"] in {"int", "float", "bool"}}
FILTERS = {"bool": {"bool"}, "int": {"int", "float"}, "float": {"float", "int"}}


class Reader(yaml.SafeLoader):
    """Reads files of tasks."""


Reader.add_constructor("!unsafe", lambda *_: "")


@cache
def examples() -> dict[str, Any]:
    """A right value of each number that a rule is about, other than what it is by default where the rule names one."""
    found = {}
    for file in (PROJECT / "roles").glob("*/tasks/validate*.yml"):
        for task in yaml.load(file.read_text(), Reader):
            for rule in (task.get("modelhost.modelhost.check_rules") or {}).get("rules", []):
                found[rule["variable"]] = rule["example"]
    return found


def values(number: int) -> dict[str, Any]:
    """A set of values for all of them: the rules' examples and true, or the defaults and false."""
    found: dict[str, Any] = {}
    for name, kind in KINDS.items():
        if kind == "bool":
            found[name] = number == 0
        else:
            chosen = examples().get(name) if number == 0 else OPTIONS[name]["default"]
            # What follows from another number by default, is left to that.
            if isinstance(chosen, (int, float)):
                found[name] = chosen
    return found


def as_texts(given: dict[str, Any], true: str, false: str) -> dict[str, str]:
    """What -e makes of them."""
    return {
        name: (true if value else false) if isinstance(value, bool) else str(value) for name, value in given.items()
    }


SETS = [(0, "true", "false"), (0, "Yes", "no"), (1, "1", "0"), (1, "on", "Off")]


@pytest.mark.parametrize(("number", "true", "false"), SETS)
@pytest.mark.parametrize(("role", "template"), TEMPLATES)
def test_a_template_is_the_same_with_texts(role, template, number, true, false):
    given = values(number)
    assert render(role, template, **as_texts(given, true, false)) == render(role, template, **given)


# What only a run registers, and what a prompt or a loop gives.
REGISTERED = {
    "preflight_host": {"serves": "no", "memory_mb": "1024", "cores": "2", "ipv6": "yes", "codename": "trixie"},
    "release_room": {}, "release_sboms": {}, "confirm": "yes",
    "release_plan": {"missing": [], "release": "0123456789ab", "image_present": True},
    "release_lock": {"token": "t"}, "host_hardening_host": HOST["host_hardening_host"] | {"time": ""},
}  # fmt: skip
REQUIRED = {
    "provision_name": "models",
    "provision_region": "eu-central",
    "provision_authorized_keys": ["ssh-ed25519 AAAA"],
}


def evaluated(role: str, name: str, **given: Any) -> str:
    """An internal variable of a role with its types, or why there is none."""
    try:
        return evaluate(role, "{{ " + name + " | to_json }}", **REGISTERED, **REQUIRED, **given)
    except AnsibleError as error:
        return f"error: {type(error).__name__} {str(error)[:200]}"


@pytest.mark.parametrize(("number", "true", "false"), SETS[:1] + SETS[2:3])
@pytest.mark.parametrize("role", ROLES)
def test_what_a_role_makes_of_its_variables_is_the_same_with_texts(role, number, true, false):
    given = values(number)
    texts = as_texts(given, true, false)
    differing, failing = {}, set()
    for name in load(role, "vars/main.yml"):
        wanted, found = evaluated(role, name, **given), evaluated(role, name, **texts)
        if wanted != found:
            differing[name] = (wanted, found)
        if wanted.startswith("error: "):
            failing.add(name)
    assert not differing
    text = (PROJECT / "roles" / role / "vars" / "main.yml").read_text()
    of_numbers = {name for name in failing if set(KINDS) & set(re.findall(r"\w+", str(yaml.safe_load(text)[name])))}
    assert not of_numbers, {name: evaluated(role, name, **given) for name in of_numbers}


def expressions() -> Iterator[tuple[str, str]]:
    """Every text of the roles and playbooks that Ansible evaluates: (where, text)."""
    files = [path for part in ("tasks", "vars", "defaults") for path in (PROJECT / "roles").glob(f"*/{part}/*.yml")]
    for file in sorted([*files, *(PROJECT / "playbooks").glob("*.yml"), PROJECT / "site.yml"]):
        where = str(file.relative_to(PROJECT))
        for key, text in strings(yaml.load(file.read_text(), Reader)):
            bare = key in {"when", "that", "until", "changed_when", "failed_when"}
            yield where, "{{ " + text + " }}" if bare and "{{" not in text else text
    for file in sorted((PROJECT / "roles").glob("*/templates/**/*.j2")):
        yield str(file.relative_to(PROJECT)), file.read_text()


def strings(found: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text within a structure, with the nearest key."""
    if isinstance(found, str):
        yield key, found
    for name, value in found.items() if isinstance(found, dict) else []:
        yield from strings(value, name)
    for value in found if isinstance(found, list) else []:
        yield from strings(value, key)


def uses(node: nodes.Node, above: tuple[nodes.Node, ...] = ()) -> Iterator[tuple[str, tuple[nodes.Node, ...]]]:
    """Every use of a number or truth value: its name, and what it stands in, the nearest first."""
    if isinstance(node, nodes.Name) and node.name in KINDS:
        yield node.name, above
    for child in node.iter_child_nodes():
        yield from uses(child, (node, *above))


def is_read(name: str, above: tuple[nodes.Node, ...]) -> bool:
    """Whether a use takes a text for what it means: by a filter, or because a number is written as it stands."""
    nearest = next(node for node in above if not (isinstance(node, nodes.Filter) and node.name == "default"))
    if isinstance(nearest, nodes.Filter):
        return nearest.name in FILTERS[KINDS[name]]
    # Macros of nginx.conf.j2, of which the tests above see the result.
    macro = isinstance(nearest, nodes.Call) and isinstance(nearest.node, nodes.Name) and nearest.node.name == "limit_of"
    return KINDS[name] == "int" and (macro or isinstance(nearest, (nodes.Output, nodes.Concat)))


def wrong_uses(texts: Iterator[tuple[str, str]] | list[tuple[str, str]]) -> list[str]:
    """What would take "false" for true, or compare a text with a number."""
    environment = Environment(extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"])
    return [
        f"{where}: {name} in {text.strip()[:200]}"
        for where, text in texts
        for name, above in uses(environment.parse(text))
        if not is_read(name, above)
    ]


# Ansible takes a backslash that means nothing for itself, of which Python warns.
@pytest.mark.filterwarnings("ignore:decoding with:DeprecationWarning", "ignore:invalid escape:DeprecationWarning")
def test_every_use_of_a_number_or_truth_value_reads_a_text_as_such():
    assert wrong_uses(expressions()) == []


@pytest.mark.parametrize(
    "text",
    [
        "{{ 'a' if base_image_renew else 'b' }}",
        "{{ base_image_renew or true }}",
        "{{ (base_image_renew or true) | bool }}",
        "{{ release_workers == 0 }}",
        "{{ [release_workers] }}",
        "{% if release_grpc %}a{% endif %}",
        "{{ release_grpc | default(false) and true }}",
        "{{ release_cpus }}",
        "{{ base_image_renew }}",
    ],
)
def test_a_use_that_does_not_would_be_found(text):
    assert len(wrong_uses([("here", text)])) == 1


CHECK = tasks(f"- modelhost.modelhost.check_variables: {{roles: {[str(PROJECT / 'roles' / role) for role in ROLES]}}}")
GIVEN = {"release_models": ["models/iris/1"], **REQUIRED}


def check(tmp_path: Any, *texts: str) -> Any:
    """Hold what is given by -e, beside what is required, to the specifications."""
    words = [word for text in texts for word in ("-e", text)]
    return play(tmp_path, CHECK, "-e", json.dumps(GIVEN), *words)


def test_every_text_of_a_right_value_is_accepted(tmp_path):
    for number, true, false in SETS:
        texts = as_texts(values(number), true, false)
        printed = check(tmp_path, *(f"{name}={text}" for name, text in texts.items()))
        assert printed.code == 0, printed.out


NUMBER, TRUTH = "it must be a whole number", "it must be true or false"
NO_VALUES = {
    "release_workers": ("1e1", NUMBER),
    "release_threads": ("", NUMBER),
    "release_cpus": ("nan", "it must be a number"),
    "release_grpc": ("y", TRUTH),
    "release_models": ("a/1", "it must be a list of texts; -e gives that as JSON: -e '{\"release_models\": ...}'"),
    "provision_firewall_ports": ("80,443", "it must be a list of whole numbers; -e gives that as JSON: -e '{"),
    "reverse_proxy_clients": ("alice", "it must be a list of mappings with name"),
    "docker_daemon_options": ("icc=false", "it must be a mapping; -e gives that as JSON: -e '{"),
}


def test_a_text_that_is_no_value_is_refused_with_its_name_and_what_to_write(tmp_path):
    printed = check(tmp_path, *(f"{name}='{text}'" for name, (text, _) in NO_VALUES.items()))
    assert printed.code != 0
    for name, (text, said) in NO_VALUES.items():
        (line,) = [line for line in printed.out.splitlines() if f"- {name}: " in line]
        assert f'- {name}: got "{text}", but {said}' in line
        assert f"Edit what -e gives on the command line, for example: {name}: " in line


def test_neither_is_another_kind_of_value_taken_nor_one_within_a_list(tmp_path):
    given = {
        "release_workers": 2.0,
        "release_models": 1,
        "release_threads": True,
        "release_grpc": 1.0,
        "provision_firewall_ports": [80, "4e2"],
        "host_hardening_firewall_open_ports": [{"port": "09"}],
        "reverse_proxy_clients": [{"name": "a", "burst": 1.0}],
    }
    printed = check(tmp_path, json.dumps(given))
    assert printed.code != 0
    for name, value in given.items():
        assert f"- {name}: got {json.dumps(value)}, but it must be " in printed.out


@pytest.mark.parametrize(
    ("kind", "value", "plain"),
    [
        *(("int", text, True) for text in ("0", "8", "-1", 8)),
        *(("int", text, False) for text in ("two", "1.5", "2.0", "02", "1_0", "0x10", "-0", "true", "80 ", "+1", "")),
        *(("int", value, False) for value in (True, 2.0, None)),
        *(("float", text, True) for text in ("0", "1.5", "1.50", "-1", 1, 1.5)),
        *(("float", text, False) for text in ("nan", "inf", "1,5", "1e1", ".5", "1.", "")),
        *(("float", value, False) for value in (float("nan"), float("inf"), True)),
        *(("bool", text, True) for text in ("true", "True", "no", "OFF", "1", 0, True)),
        *(("bool", text, False) for text in ("y", "t", "f", "2", "ja", "", 2, 1.0)),
        ("list", ["a"], True), ("list", [], True), ("list", "a,b", False), ("list", 1, False),
        ("dict", {}, True), ("dict", "a=b", False), ("str", "", True), ("str", None, False),
    ],
)  # fmt: skip
def test_a_text_has_one_form(kind, value, plain):
    assert is_plain({"type": kind}, value) is plain


def test_numbers_within_a_list_may_be_texts_too():
    client = {"name": "alice", "sha256": [], "requests_per_second": 20, "burst": 0, "connections": 3}
    quoted = {name: str(value) if isinstance(value, int) else value for name, value in client.items()}
    file = "etc/nginx/nginx.conf.j2"
    written = [render("reverse_proxy", file, reverse_proxy_clients=[one]) for one in (client, quoted)]
    assert written[0] == written[1]
    holds = rule_of("host_hardening", "host_hardening_firewall_open_ports")
    for port, good in ((9100, True), ("9100", True), (0, False), ("65536", False)):
        found = evaluate("host_hardening", holds, host_hardening_firewall_open_ports=[{"port": port}])
        assert found == str(good)


def rule_of(role: str, variable: str) -> str:
    """The rule that a variable is held to."""
    rules = load(role, "tasks/validate.yml")[0]["modelhost.modelhost.check_rules"]["rules"]
    (found,) = [rule["holds"] for rule in rules if rule["variable"] == variable]
    return str(found)


@pytest.mark.parametrize(
    ("variable", "value", "holds"),
    [
        ("release_memory_limit_mb", 0, True), ("release_memory_limit_mb", 128, True),
        ("release_memory_limit_mb", 127, False), ("release_memory_limit_mb", -1, False),
        ("release_cpus", -0.5, False), ("release_cpus", 0, True),
        ("release_start_timeout_seconds", 0, False), ("release_start_timeout_seconds", -5, False),
        ("release_start_timeout_seconds", 3600, True), ("release_memory_reserve_mb", -1, False),
    ],
)  # fmt: skip
def test_a_number_is_held_to_its_bounds_also_as_a_text(variable, value, holds):
    for given in (value, str(value)):
        assert evaluate("release", rule_of("release", variable), **{variable: given}) == str(holds)
