"""Check every variable of a deployment against the roles' argument specs, before any host is touched."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.correction import (
    HIDDEN,
    correction,
    received,
    result_of,
)
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.where_defined import (
    BY_E,
    where_defined,
    where_encrypted,
)

# The role that became app_image and release in 0.1.0.
OLD_PREFIX, NEW_PREFIXES = "model_server_", ("release_", "app_image_")
# What a variable is called, perhaps misspelt, whose value is not shown; and one that no role reads.
SECRET = re.compile(r"tok|passw|pwd|secret|release_env|https?_prox|index_url")
SECRET_UNKNOWN = re.compile(SECRET.pattern + "|key|cred|^outbound_")
# A text that is a value, as -e and an INI inventory make it. Roles take each of these for what it means; others that
# Ansible takes as well (1e3, 08, y) they would write as they are, or take for false.
TEXTS = {
    "int": re.compile(r"0|-?[1-9][0-9]*"),
    "float": re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?"),
    "bool": re.compile(r"true|false|yes|no|on|off|1|0", re.IGNORECASE),
}


class ActionModule(ActionBase):
    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Fail with one line for each wrong variable; change nothing."""
        task_vars = task_vars or {}
        roles = [Path(path) for path in self._task.args["roles"]]
        known = {name: option for role in roles for name, option in load_options(role).items()}
        prefixes = tuple(f"{role.name}_" for role in roles)

        findings = []
        for name, option in sorted(known.items()):
            problem, seen = self._problem(name, option, task_vars)
            if problem:
                findings.append(
                    correction(name, shown(name, seen, task_vars), problem, example_of(name, option), task_vars)
                )
        for name in sorted(task_vars):
            problem, meant = unknown_name(name, set(known), prefixes)
            if problem:
                example = example_of(meant, known[meant]) if meant else None
                seen = shown(f"{name} {meant}", received(task_vars[name]), task_vars, SECRET_UNKNOWN)
                findings.append(correction(name, seen, problem, example, task_vars))

        tags = [*task_vars.get("ansible_run_tags", []), *task_vars.get("ansible_skip_tags", [])]
        findings += misspelt_tags(tags, {role.name for role in roles})

        result: dict[str, Any] = super().run(tmp, task_vars)
        return result | result_of(findings)

    def _problem(self, name: str, option: dict[str, Any], task_vars: dict[str, Any]) -> tuple[str | None, str]:
        if name not in task_vars:
            return ("it is required" if option.get("required") else None), "nothing"
        try:
            value = self._templar.template(task_vars[name])
        except AnsibleError as error:
            return f"its template cannot be rendered ({error})", received(task_vars[name])
        spec = {name: {key: option[key] for key in ("type", "elements", "choices", "options") if key in option}}
        validated = ArgumentSpecValidator(spec).validate({name: value})
        if not validated.error_messages and is_plain(option, value):
            return None, ""
        is_structure = option.get("type") in {"list", "dict"}
        as_json = is_structure and isinstance(value, str) and where_defined(name, task_vars) == BY_E
        hint = f"; -e gives that as JSON: -e '{{\"{name}\": ...}}'" if as_json else ""
        return f"it must be {kind_of(option)}{hint}", received(value)


def is_plain(option: dict[str, Any], value: Any) -> bool:
    """Whether a value, found right by Ansible, is of an option's kind as it stands or as a text of one form.

    Ansible takes an empty value for one that is not set, true for the number 1, a text for a list: all mistakes here.
    """
    kind = option.get("type", "str")
    if kind == "list":
        element = {"type": option.get("elements", "str"), "options": option.get("options", {})}
        return isinstance(value, (list, tuple)) and all(is_plain(element, each) for each in value)
    if kind == "dict":
        known = option.get("options", {})
        return isinstance(value, Mapping) and all(
            is_plain(known[name], each) for name, each in value.items() if name in known and each is not None
        )
    if kind not in TEXTS or value is None:
        return value is not None
    if isinstance(value, bool):
        return kind == "bool"
    if isinstance(value, float):
        return kind == "float" and math.isfinite(value)
    return bool(TEXTS[kind].fullmatch(str(value)))


def shown(names: str, value: str, task_vars: dict[str, Any], secret: re.Pattern[str] = SECRET) -> str:
    """A value, unless a name of it says that it is a secret, or it may stand in a file that Ansible Vault encrypts."""
    hidden = secret.search(names) or (value != "nothing" and where_encrypted(names.split()[0], task_vars))
    return HIDDEN if hidden else value


def load_options(role: Path) -> dict[str, Any]:
    """Read the options of a role's main entry point: variable name to its specification."""
    specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())
    options: dict[str, Any] = specs["argument_specs"]["main"].get("options", {})
    return options


def kind_of(option: dict[str, Any]) -> str:
    """Describe in words what values an option takes."""
    if "choices" in option:
        return "one of " + ", ".join(str(choice) for choice in option["choices"])
    names = {"int": "a whole number", "float": "a number", "str": "a text", "bool": "true or false", "path": "a path",
             "dict": "a mapping"}  # fmt: skip
    if option.get("type") == "list":
        if option.get("elements") == "dict" and "options" in option:
            return f"a list of mappings with {', '.join(option['options'])}"
        return "a list of " + {"path": "paths", "int": "whole numbers"}.get(option.get("elements", "str"), "texts")
    return names.get(option.get("type", "str"), f"a {option.get('type')}")


def example_of(name: str, option: dict[str, Any]) -> str:
    """Give a right line of YAML: the example in the option's description, otherwise its default."""
    description = option["description"]
    lines = description if isinstance(description, list) else [description]
    for line in lines:
        if line.startswith("Example: "):
            return f"{name}: {line.removeprefix('Example: ')}"
    return f"{name}: {json.dumps(option.get('default'))}"


def unknown_name(name: str, known: set[str], prefixes: tuple[str, ...]) -> tuple[str | None, str | None]:
    """Judge a variable's name: (what is wrong with it, the known name that was probably meant)."""
    if name in known or name.startswith(("ansible_", "_")):
        return None, None
    renamed = [new for prefix in NEW_PREFIXES if (new := prefix + name.removeprefix(OLD_PREFIX)) in known]
    if name.startswith(OLD_PREFIX):
        if renamed:
            return f"that is called {renamed[0]} now", renamed[0]
        return "the role model_server has become app_image and release, whose READMEs list what there is", None
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
    if near:
        return f"no role reads that name; did you mean {near[0]}?", near[0]
    if name.startswith(prefixes) and not name.startswith("docker_"):
        return "no role reads that name; the roles' READMEs list those that exist", None
    return None, None


def misspelt_tags(tags: list[str], known: set[str]) -> list[str]:
    """A line for each tag that is nearly one of ours: Ansible runs nothing for it, and calls that a success."""
    meant = {tag: difflib.get_close_matches(tag, known, n=1, cutoff=0.75) for tag in tags if tag not in known}
    return [
        f"- --tags: got {tag}, but no role has that tag; did you mean {near[0]}?" for tag, near in meant.items() if near
    ]
