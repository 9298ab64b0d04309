"""The tool that keeps the certificate, as the one file that a host has."""

import ast
import subprocess
import sys
from pathlib import Path

from ansible_collections.modelhost.modelhost.plugins.plugin_utils import program
from rendering import PROJECT, evaluate, load

PACKAGE = PROJECT / "roles/reverse_proxy/files/modelhost_certificate"
# Each imports from those before it, and never from those after.
MODULES = ["errors", "wording", "layout", "files", "openssl", "signing", "authority", "report", "serving", "issuer",
           "renewal", "cli"]  # fmt: skip


def test_it_runs_by_itself_and_says_where_a_host_serves_plain_http(tmp_path: Path):
    file = tmp_path / "modelhost-certificate"
    file.write_bytes(program.pack(PACKAGE))
    file.chmod(0o755)
    run = subprocess.run([sys.executable, "-I", file, "show"], capture_output=True, text=True, check=False, cwd="/")
    assert (run.returncode, run.stderr) == (
        2, "/srv/modelhost/proxy/certificate.json is not there: this host serves plain HTTP\n"
    )  # fmt: skip


def test_it_needs_nothing_but_the_standard_library_and_no_module_imports_from_one_above_it():
    assert sorted(MODULES) == sorted(file.stem for file in PACKAGE.glob("*.py") if file.stem != "__init__")
    for file in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                assert {name.name.partition(".")[0] for name in node.names} <= sys.stdlib_module_names
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                assert str(node.module).partition(".")[0] in sys.stdlib_module_names
            elif isinstance(node, ast.ImportFrom):
                named = [node.module] if node.module else [name.name for name in node.names if name.name in MODULES]
                assert all(MODULES.index(name) < MODULES.index(file.stem) for name in named), f"{file.stem}: {named}"


def test_the_role_installs_it_as_it_is_packed():
    (task,) = [one for one in load("reverse_proxy", "tasks/prepare_certificate.yml") if "Write the tool" in one["name"]]
    source = task["modelhost.modelhost.write_file"]["src"]
    packed = Path(evaluate("reverse_proxy", source, role_path=str(PROJECT / "roles/reverse_proxy")))
    assert packed.read_bytes() == program.pack(PACKAGE)
