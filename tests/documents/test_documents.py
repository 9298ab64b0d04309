"""What the documents tell people to type works, and prints what they say it prints."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
NAME = "documents"
DOCUMENTS = ["README.md", "docs/operations.md"]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh clone, with the environment that is there already: its making is proven by whoever runs this."""
    folder = tmp_path_factory.mktemp("clone") / "modelhost"
    subprocess.run(["git", "clone", "--quiet", PROJECT, folder], check=True)
    (folder / ".venv").symlink_to(PROJECT / ".venv")
    # Otherwise make takes the environment for older than what it is made from, and makes it anew.
    os.utime(folder / "requirements.lock", (0, 0))
    yield folder
    subprocess.run(["make", "--silent", "demo-down"], cwd=folder, env=environment(folder), check=True)


def environment(clone: Path) -> dict[str, str]:
    """The demo under another name, beside one that may be running; an editor that does what a person would."""
    editor = clone.parent / "editor"
    editor.write_text(f"#!/bin/sh\ncp {clone}/inventory/{NAME}/hosts.yml $1\n")
    editor.chmod(0o755)
    return os.environ | {"DEMO": NAME, "EDITOR": str(editor), "NO_COLOR": "1", "ANSIBLE_NOCOLOR": "1"}


def commands(document: str) -> list[tuple[str, list[str]]]:
    """Read a document's console blocks: each command with the lines that it should print."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"```console\n(.*?)```", (PROJECT / document).read_text(), re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def comparable(line: str) -> str:
    """Leave out what differs from run to run: figures, hashes and the width of spaces."""
    return " ".join(re.sub(r"[0-9a-f]{12}|\d+(\.\d+)?(e-\d+)?", "N", line).replace(NAME, "demo").split())


def expect(printed: str, expected: list[str]) -> None:
    """Find the expected lines in this order; between those parted by ... anything may stand."""
    lines = iter([comparable(line) for line in printed.splitlines() if line.strip()])
    gap = False
    for wanted in expected:
        if wanted == "...":
            gap = True
            continue
        seen = []
        for line in lines:
            seen.append(line)
            if line == comparable(wanted):
                break
            assert gap, f"expected: {comparable(wanted)}\n     got: {line}"
        else:
            pytest.fail(f"expected: {comparable(wanted)}\nin:\n" + "\n".join(seen))
        gap = False
    assert gap or not [*lines], "it prints more than the document shows"


# One test, because each command stands on those before it.
def test_every_command_of_the_documents_prints_what_they_say(clone):
    address = None
    activated = ""
    for document in DOCUMENTS:
        for command, expected in commands(document):
            address = address or subprocess.run(
                ["make", "--silent", "demo-url"], cwd=clone, env=environment(clone), capture_output=True, text=True
            ).stdout.strip().removeprefix("https://")
            typed = command.replace("inventory/demo", f"inventory/{NAME}").replace("203.0.113.10", address)
            typed = typed.replace("WHERE=demo", f"WHERE={NAME}")
            # Every command gets a shell of its own, and an activated environment has to last.
            script = f"{activated}{typed}"
            if "activate" in command:
                activated = ". .venv/bin/activate && "
            run = subprocess.run(
                ["bash", "-c", script],
                cwd=clone,
                # As a public issuer's certificate would be.
                env=environment(clone) | {"CURL_CA_BUNDLE": str(clone / "inventory" / NAME / ".ca.pem")},
                capture_output=True,
                text=True,
                check=False,
            )
            assert run.returncode == 0, f"$ {typed}\n{run.stdout}{run.stderr}"
            expect(run.stdout, expected)


def test_the_readmes_first_screen_has_what_a_newcomer_wants_first():
    first = (PROJECT / "README.md").read_text().splitlines()
    assert first.index("$ make demo") < 25


@pytest.mark.parametrize(
    "document", [path.relative_to(PROJECT) for path in PROJECT.glob("docs/**/*.md")] + ["README.md"]
)
def test_every_link_leads_to_a_file(document):
    file = PROJECT / document
    for target in re.findall(r"\]\((?!http)([^)#]+)", file.read_text()):
        assert (file.parent / target).exists(), target


def test_every_make_verb_in_the_readme_exists():
    verbs = set(re.findall(r"`make (?:-s )?([a-z.-]+)", (PROJECT / "README.md").read_text()))
    helped = subprocess.check_output(["make", "help"], cwd=PROJECT, text=True)
    assert verbs - set(re.findall(r"make (\S+)", helped)) <= {"help", ".venv"}


def test_the_tree_names_no_package_index_and_no_path_of_a_machine():
    tracked = subprocess.check_output(
        ["git", "ls-files", "*.lock", "*.in", "*.toml", "Makefile"], cwd=PROJECT, text=True
    )
    for name in tracked.split():
        text = (PROJECT / name).read_text()
        assert not re.search(r"https?://|--(extra-)?index-url|--find-links|file:", text), name
