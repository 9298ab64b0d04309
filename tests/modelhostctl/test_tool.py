"""The tool as one file: the same bytes from the same source, and a command line for people and plays."""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import modelhost
import pytest
import yaml
from ansible_collections.modelhost.modelhost.plugins.plugin_utils import release_tool as tool

import modelhostctl
from modelhostctl.cli import FOR_PEOPLE, OF_A_DEPLOYMENT, main, parser
from modelhostctl.errors import UsageError
from modelhostctl.options import Option, read_options

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    """The tool as it is installed."""
    file = tmp_path_factory.mktemp("bin") / "modelhostctl"
    file.write_bytes(tool.pack())
    file.chmod(0o755)
    return file


def run(program: Path, *words: str, given: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it away from the source, so that nothing but the file itself is imported."""
    return subprocess.run(
        [program, *words], input=given, capture_output=True, text=True, check=False, cwd="/",
        env={"PATH": f"{program.parent}:{Path(sys.executable).parent}:/usr/bin:/bin", **environment},
    )  # fmt: skip


def test_the_same_source_gives_the_same_bytes_whenever_its_files_were_written(tmp_path, monkeypatch):
    before = tool.pack()
    copy = tmp_path / "modelhostctl"
    shutil.copytree(tool.PACKAGE, copy)
    for file in copy.rglob("*.py"):
        os.utime(file, (1e9, 1e9))
        file.chmod(0o600)
    monkeypatch.setattr(tool, "PACKAGE", copy)
    assert tool.pack() == before
    (copy / "cli.py").write_text("")
    assert tool.pack() != before


def test_it_runs_by_itself_and_has_the_version_of_the_app(program):
    assert run(program, "--version").stdout.strip() == modelhostctl.__version__ == modelhost.__version__


def test_it_needs_nothing_but_the_standard_library():
    imported = set()
    for file in tool.PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {name.name.partition(".")[0] for name in node.names}
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.add(str(node.module).partition(".")[0])
    assert imported <= sys.stdlib_module_names


# Each imports from those before it, and never from those after.
PACKAGES = ["errors", "options", "printable", "host", "store", "view", "checks", "steps", "cli"]


def test_no_package_imports_from_one_above_it():
    for file in tool.PACKAGE.rglob("*.py"):
        inside = file.relative_to(tool.PACKAGE)
        package = inside.parts[0].removesuffix(".py")
        if package not in PACKAGES:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level == len(inside.parts) and node.module:
                other = node.module.partition(".")[0]
                assert PACKAGES.index(other) <= PACKAGES.index(package), f"{inside} imports from {other}"


@pytest.mark.parametrize("command", [*FOR_PEOPLE, *OF_A_DEPLOYMENT])
def test_every_command_explains_itself_its_options_and_its_exit_codes(program, command):
    printed = run(program, command, "--help", COLUMNS="100")
    assert printed.returncode == 0
    module = __import__(f"modelhostctl.steps.{command}", fromlist=["OPTIONS"])
    assert module.__doc__.splitlines()[0] in printed.stdout
    for option in module.OPTIONS:
        if option.secret:
            assert f"--{option.name}" not in printed.stdout
            continue
        assert option.name.replace("_", "-") in printed.stdout.replace("_", "-").lower()
        if option.default:
            assert f"(default: {option.default})" in " ".join(printed.stdout.split())
        assert " ".join(option.help.split()) in " ".join(printed.stdout.split())
    assert "print the result as JSON" in printed.stdout
    assert "change nothing, and say what would change" in printed.stdout
    assert "3 another run holds the lock" in printed.stdout
    assert "with --json: one object on standard output" in printed.stdout
    assert "--json" in printed.stdout


def test_what_connects_for_root_comes_out_of_the_one_file(program, tmp_path, serve):
    (tmp_path / "blue").mkdir()
    serve(lambda path, body: (200, "r", b"{}"), tmp_path / "blue" / "server.sock")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path\n"
        "from modelhostctl.host.http_client import request; print(request(Path(sys.argv[2]), '/'))"
    )
    socket = tmp_path / "blue" / "server.sock"
    asked = subprocess.run(
        [sys.executable, "-I", "-c", code, program, socket], capture_output=True, text=True, check=False, cwd="/"
    )
    assert (asked.stderr, asked.stdout[:20]) == ("", "Response(status=200,")


def test_with_json_a_refusal_is_one_object_with_the_exit_code_that_the_help_names(program, tmp_path):
    root = ["--root", str(tmp_path), "--json"]
    for words, code in ((["rollback"], 1), (["switch"], 2), (["rollback", "nope"], 2)):
        ended = run(program, *words, *root)
        assert ended.returncode == code, ended
        refusal = json.loads(ended.stdout)
        assert refusal["failed"] is True
        assert refusal["msg"]
    owner = json.dumps(OWNER | {"token": "u"})
    assert run(program, "lock", "--owner", json.dumps(OWNER), *root).returncode == 0
    held = run(program, "lock", "--owner", owner, *root)
    assert held.returncode == 3
    assert json.loads(held.stdout)["holder"]["who"] == "ada@laptop"


def test_the_module_of_a_play_offers_every_step_that_a_play_needs():
    text = (PROJECT / "plugins" / "modules" / "modelhostctl.py").read_text()
    documented = yaml.safe_load(text.split('DOCUMENTATION = """')[1].split('"""')[0])
    choices = documented["options"]["step"]["choices"]
    assert set(choices) == {*FOR_PEOPLE, *OF_A_DEPLOYMENT}
    for step in choices:
        assert f"C({step})" in " ".join(documented["options"]["step"]["description"]), step


@pytest.mark.parametrize(
    ("words", "given", "problem"),
    [
        (["status", "--options", "-"], "[]", "--options - has to be one JSON object"),
        (["status", "--options", "-"], "{", "--options - cannot be read"),
        (["status", "--options", "-"], '{"lines": 3}', "there is no option lines; there are: history_lines"),
        (["status", "--history-lines", "many"], "", "history_lines is 'many', and has to be of the kind int"),
        (["status", "--options", "-"], '{"settings": {"watch_seconds": []}}', "watch_seconds is [], and has to be"),
        (["switch"], "", "the option release is missing"),
        (["switch", "--release", "../../etc"], "", "release is '../../etc', and has to be 12 of the digits"),
    ],
)  # fmt: skip
def test_what_was_typed_wrong_is_said_and_ends_with_2(program, tmp_path, words, given, problem):
    ended = run(program, *words, "--root", str(tmp_path), given=given)
    assert ended.returncode == 2
    assert problem in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_machines_own_root_needs_roots_rights(capsys, tmp_path):
    parser("history")  # imports what someone else may not be allowed to read
    os.seteuid(os.geteuid() or 65534)  # root may do anything
    try:
        assert main(["history"]) == 2
        assert "this needs root's rights; type: sudo modelhostctl" in capsys.readouterr().err
        assert main(["history", "--root", str(tmp_path / "other")]) in {0, 1}
    finally:
        os.seteuid(os.getuid())
    assert "root's rights" not in capsys.readouterr().err


def test_a_command_that_does_not_exist_ends_with_2(program):
    ended = run(program, "rollbakc")
    assert ended.returncode == 2
    assert "rollbakc" in ended.stderr


def test_a_step_of_a_run_that_does_not_hold_the_lock_ends_with_1(program, tmp_path):
    ended = run(program, "retire", "--options", "-", "--root", str(tmp_path), given='{"lock": "mine"}')
    assert ended.returncode == 1
    assert "does not hold the lock of the host any more (no one does)" in json.loads(ended.stdout)["msg"]


OWNER = {"token": "t", "who": "ada@laptop", "machine": "elsewhere", "pid": 1}


def test_a_lock_that_is_held_ends_with_3_and_is_shown_and_taken_away(program, tmp_path):
    root = ["--root", str(tmp_path)]
    assert run(program, "unlock", *root).stdout == "no run holds the lock\n"
    assert run(program, "lock", "--options", "-", *root, given=json.dumps({"owner": OWNER})).returncode == 0
    second = {"owner": OWNER | {"token": "u", "who": "bob@laptop"}}
    refused = run(program, "lock", "--options", "-", *root, given=json.dumps(second))
    assert refused.returncode == 3
    assert json.loads(refused.stdout)["holder"]["who"] == "ada@laptop"
    assert "ada@laptop is deploying" in json.loads(refused.stdout)["msg"]
    # Another run's owner releases nothing, and neither does a script that does not say --yes.
    assert run(program, "unlock", "--options", "-", *root, given=json.dumps(second)).returncode == 0
    left = run(program, "unlock", *root)
    assert left.returncode == 1
    assert "ada@laptop holds the lock since" in left.stderr
    assert "its process is on elsewhere and cannot be seen from here" in left.stderr
    assert "--yes takes it away" in left.stderr
    assert (tmp_path / "lock.json").exists()
    assert run(program, "unlock", "--check", *root).returncode == 0
    assert (tmp_path / "lock.json").exists()
    assert "the lock was taken away" in run(program, "unlock", "--yes", *root).stdout
    assert not (tmp_path / "lock.json").exists()


def test_unlock_sees_whether_a_process_of_this_machine_still_lives(program, tmp_path):
    from modelhostctl.host.layout import Layout
    from modelhostctl.store.lock import acquire
    from modelhostctl.store.lock_owner import describe

    process = subprocess.Popen(["sleep", "30"])
    acquire(Layout(tmp_path), {**describe(process.pid), "what": "rollback"})
    root = ["--root", str(tmp_path)]
    seen = run(program, "unlock", "--check", "--json", *root)
    assert json.loads(seen.stdout)["alive"] is True
    process.kill()
    process.wait()
    assert "its process has ended" in run(program, "unlock", "--check", *root).stdout


def test_a_reader_that_goes_away_sees_no_traceback(program, tmp_path):
    with subprocess.Popen(
        [program, "status", "--root", str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == ""


def test_texts_are_taken_for_what_an_option_is():
    options = [Option("a", "", "int"), Option("b", "", "bool"), Option("c", "", "float"), Option("d", "", "list", [])]
    given = {"a": "3", "b": "False", "c": "1"}
    assert read_options(options, given) == {"a": 3, "b": False, "c": 1.0, "d": []}
    for wrong in ({"a": True}, {"a": 1.5}, {"b": "maybe"}, {"d": "x"}):
        with pytest.raises(UsageError):
            read_options(options, wrong)
