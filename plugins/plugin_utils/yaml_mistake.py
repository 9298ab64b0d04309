"""A file that is not YAML: where the mistake is, the line itself, and what is meant to stand there."""

from __future__ import annotations

import re
from pathlib import Path

from ansible.errors import AnsibleParserError
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import is_encrypted

# What YAML says of a variable within the value of another one.
NESTED = "Mapping values are not allowed"
# Of a line that should be a variable and its value: what it is like, and what is missing behind `before`.
NAMES = {
    re.compile(r"(?P<before>\s*(?:- )?[A-Za-z_]\w*:)[^\s:/]"): "a blank is missing after the colon",
    re.compile(r"(?P<before>\s*(?:- )?[A-Za-z_]\w*)\s+[^\s:#-][^:#]*$"): "a colon is missing here",
}


def mistake_in(file: Path, loader: DataLoader) -> str | None:
    """Say what keeps a file from being read as YAML, as describe_mistake does; None where nothing does."""
    try:
        loader.load_from_file(str(file), cache="none")
    except AnsibleParserError as error:
        return describe_mistake(error, file)
    return None


def describe_mistake(error: AnsibleParserError, file: Path) -> str:
    """Say file, line and reason, and below them the line and a ^, without a line of what is encrypted."""
    # Ansible's own mark of where: path, line_num and col_num, which count from 1.
    number, column = getattr(error.obj, "line_num", None), getattr(error.obj, "col_num", None) or 1
    reason = re.sub(r"^YAML parsing failed[.:]\s*", "", str(error).splitlines()[0])
    content = file.read_bytes()
    if not number:
        return f"{short(file)}: {reason}"
    if is_encrypted(content):
        return f"{short(file)}: line {number} of what is encrypted there: {reason}"
    lines = [*content.decode(errors="replace").splitlines(), ""]
    number = min(number, len(lines))
    # A name without its colon, or without the blank behind it, is noticed only further on.
    above = next((line for line in range(number - 1, 0, -1) if lines[line - 1].strip()), number)
    for guess in (number, above) if "expected ':'" in reason or NESTED in reason else ():
        for pattern, missing in NAMES.items():
            found = pattern.match(lines[guess - 1])
            if found:
                return _shown(file, guess, len(found["before"]) + 1, lines[guess - 1], missing)
    if NESTED in reason and _indent(lines[number - 1]) > _indent(lines[above - 1]):
        reason = "this line begins further right than the one above, which has its value already"
        column = _indent(lines[number - 1]) + 1
    elif "expected key" in reason or "expected '-'" in reason:
        reason = f"{reason.rstrip('.')}: does this line begin below the others that it belongs to?"
    # What is never closed is noticed further on, and has begun elsewhere.
    begun = getattr(error.__cause__, "context_mark", None)
    if begun and (not lines[number - 1].strip() or "expected ','" in reason):
        return _shown(file, begun.line + 1, begun.column + 1, lines[begun.line], reason)
    return _shown(file, number, column, lines[number - 1], reason)


def short(file: Path) -> str:
    """The file's path, from the working directory where it is in there."""
    return str(file.relative_to(Path.cwd())) if file.is_relative_to(Path.cwd()) else str(file)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _shown(file: Path, number: int, column: int, line: str, reason: str) -> str:
    # A tab as one blank, so that the ^ is below what it means.
    return f"{short(file)}:{number}: {reason}\n  {line.replace(chr(9), ' ').rstrip()}\n  {' ' * (column - 1)}^"
