#!/usr/bin/env python3
"""Write each role's README from its meta/argument_specs.yml, so that the two cannot differ.

With --print, the READMEs go to the screen and no file is written.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

ROLES = Path(__file__).resolve().parents[1] / "roles"


def main(arguments: list[str]) -> None:
    """Write or print every role's README."""
    for role in sorted(ROLES.iterdir()):
        text = readme(role)
        if "--print" in arguments:
            sys.stdout.write(text)
        else:
            (role / "README.md").write_text(text)


def readme(role: Path) -> str:
    """Compose a role's README: what it does, its steps, its variables."""
    spec = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"]
    steps = yaml.safe_load((role / "tasks" / "main.yml").read_text())
    lines = [
        "<!-- Made from meta/argument_specs.yml by `make docs`; change it there. -->",
        f"# {role.name}",
        "",
        f"{spec['short_description']}.",
        *["", words(spec.get("description", ""))],
        "",
        "What it does, in order:",
        "",
        *[f"{number}. {step['name']}" for number, step in enumerate(steps, start=1)],
        "",
        "| variable | type | default | meaning |",
        "| --- | --- | --- | --- |",
        *[row(name, option) for name, option in spec["options"].items()],
        "",
    ]
    return "\n".join(line for line, before in zip(lines, ["x", *lines], strict=False) if line or before)


def words(description: str | list[str]) -> str:
    """A description as one paragraph of Markdown."""
    paragraph = description if isinstance(description, str) else " ".join(description)
    return re.sub(r"C\((.+?)\)", r"`\1`", paragraph)


def row(name: str, option: dict[str, Any]) -> str:
    """Compose a variable's line of the table."""
    kind = " or ".join(f"`{choice}`" for choice in option["choices"]) if "choices" in option else option["type"]
    default = "**required**" if option.get("required") else f"`{json.dumps(option['default'])}`"
    cells = (f"`{name}`", kind, default, words(option["description"]))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    main(sys.argv[1:])
