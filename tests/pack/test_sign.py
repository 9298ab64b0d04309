"""`modelhost sign`: what the library model-signing signs is what a host checks without it, and the other way round."""

import importlib.util
import json
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import signing as by_openssl
from commands import MODELS, Result
from modelhost.bundle.bundle import read_bundle

from modelhostctl.checks.public_keys import read_keys
from modelhostctl.checks.signature import SignatureError
from modelhostctl.checks.signed_files import check_signed

Invoke = Callable[..., Result]
NEEDS_LIBRARY = pytest.mark.skipif(
    importlib.util.find_spec("model_signing") is None, reason="`make test-pack` has the library model-signing"
)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A copy of an example bundle."""
    return Path(shutil.copytree(MODELS / "iris" / "1", tmp_path / "models" / "iris" / "1"))


def check(folder: Path, public: Path) -> None:
    check_signed(folder, read_keys(public.read_text()))


def library_verifies(folder: Path, public: Path) -> None:
    from model_signing import hashing, verifying

    how = hashing.Config().set_ignored_paths(paths=["model.sig"], ignore_git_paths=False)
    config = verifying.Config().set_hashing_config(how).use_elliptic_key_verifier(public_key=public)
    config.verify(folder, folder / "model.sig")


@NEEDS_LIBRARY
@pytest.mark.parametrize("curve", ["prime256v1", "secp384r1", "secp521r1"])
def test_what_is_signed_is_taken_by_the_host_and_by_the_library(invoke: Invoke, bundle: Path, curve: str) -> None:
    subprocess.run(["openssl", "ecparam", "-name", curve, "-genkey", "-noout", "-out", "k.pem"], check=True)
    subprocess.run(["openssl", "pkey", "-in", "k.pem", "-pubout", "-out", "k.pub"], check=True)
    before = read_bundle(bundle).digest
    found = invoke("sign", bundle, "--key", "k.pem", "--json").ok().json
    (signed,) = found["bundles"]
    assert signed["digest"] == read_bundle(bundle).digest != before
    check(bundle, Path("k.pub"))
    library_verifies(bundle, Path("k.pub"))
    (bundle / "golden.json").write_text("[]")
    with pytest.raises(SignatureError, match=r"golden\.json is not the file that was signed"):
        check(bundle, Path("k.pub"))
    with pytest.raises(ValueError, match=r"golden\.json"):
        library_verifies(bundle, Path("k.pub"))


@NEEDS_LIBRARY
@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_the_tests_own_signatures_are_the_librarys(tmp_path: Path, bundle: Path, digest: str) -> None:
    key = by_openssl.Key(tmp_path, "own", digest)
    by_openssl.sign(bundle, key)
    (tmp_path / "own.pub").write_text(key.pem)
    library_verifies(bundle, tmp_path / "own.pub")
    check(bundle, tmp_path / "own.pub")


@NEEDS_LIBRARY
def test_a_key_is_made_for_its_owner_and_never_over_another(invoke: Invoke, bundle: Path) -> None:
    said = invoke("sign", "--make-key", "team").ok().out
    assert "release_trusted_keys: [team.pub]" in said
    assert stat.S_IMODE(Path("team.pem").stat().st_mode) == 0o600
    invoke("sign", bundle, "--key", "team.pem").ok()
    check(bundle, Path("team.pub"))
    again = invoke("sign", "--make-key", "team")
    assert again.code == 1
    assert "team.pem exists" in again.err
    check(bundle, Path("team.pub"))


@NEEDS_LIBRARY
def test_a_key_that_git_would_take_is_said(invoke: Invoke) -> None:
    warning = "is in a git work tree that does not ignore it"
    assert warning not in invoke("sign", "--make-key", "outside").ok().out
    subprocess.run(["git", "init", "--quiet"], check=True)
    assert f"team.pem {warning}" in invoke("sign", "--make-key", "team").ok().out
    Path(".gitignore").write_text("*.pem\n")
    assert warning not in invoke("sign", "--make-key", "other").ok().out


@NEEDS_LIBRARY
def test_signed_again_after_a_change_it_is_taken(invoke: Invoke, bundle: Path) -> None:
    invoke("sign", "--make-key", "team").ok()
    said = invoke("sign", bundle.parent, "--key", "team.pem").ok().out
    assert "iris version 1: 3 files signed, in model.sig" in said
    text = (bundle / "model.yaml").read_text()
    (bundle / "model.yaml").write_text(f"{text}# a word more\n")
    with pytest.raises(SignatureError, match=r"model\.yaml is not the file that was signed"):
        check(bundle, Path("team.pub"))
    assert "3 files signed again" in invoke("sign", bundle, "--key", "team.pem").ok().out
    check(bundle, Path("team.pub"))
    assert sorted(path.name for path in bundle.parent.iterdir()) == ["1"], "nothing is left beside it"
    invoke("check", bundle).ok()


@NEEDS_LIBRARY
def test_files_of_git_are_signed_too(invoke: Invoke, tmp_path: Path) -> None:
    Path("model.py").write_text("class Model:\n    def predict(self, inputs):\n        return {'y': inputs['x']}\n")
    Path("rows.csv").write_text("x\n1.5\n2.5\n")
    Path(".gitignore").write_text("*.tmp\n")
    invoke("pack", "model.py", "--name", "m", "--sample", "rows.csv", "--with", ".gitignore").ok()
    invoke("sign", "--make-key", "team").ok()
    invoke("sign", "models/m/1", "--key", "team.pem").ok()
    check(Path("models/m/1"), Path("team.pub"))


@NEEDS_LIBRARY
def test_a_key_with_a_password_is_asked_for_it(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner
    from modelhost.cli import main

    monkeypatch.chdir(tmp_path)
    made = [
        "openssl",
        "genpkey",
        "-algorithm",
        "EC",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-aes256",
        "-pass",
        "pass:word",
    ]
    subprocess.run([*made, "-out", "k.pem"], check=True)
    subprocess.run(["openssl", "pkey", "-in", "k.pem", "-passin", "pass:word", "-pubout", "-out", "k.pub"], check=True)

    def sign(typed: str) -> Any:
        return CliRunner().invoke(main, ["sign", str(bundle), "--key", "k.pem"], input=f"{typed}\n")

    wrong = sign("other")
    assert wrong.exit_code == 1
    assert "k.pem cannot be opened as a private key" in wrong.stderr
    assert not (bundle / "model.sig").exists()
    assert sign("word").exit_code == 0
    check(bundle, Path("k.pub"))


@NEEDS_LIBRARY
def test_what_cannot_sign_or_be_signed_is_refused(invoke: Invoke, bundle: Path, tmp_path: Path) -> None:
    def refusal(*words: object) -> str:
        ended = invoke("sign", *words)
        assert ended.code in (1, 2)
        assert "Traceback" not in ended.err
        assert not (bundle / "model.sig").exists()
        return ended.err

    invoke("sign", "--make-key", "team").ok()
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", "ed.pem"], check=True)
    assert "ed.pem is a key of another kind (Ed25519PrivateKey)" in refusal(bundle, "--key", "ed.pem")
    assert "team.pub cannot be opened as a private key in PEM" in refusal(bundle, "--key", "team.pub")
    assert "Give bundles and --key" in refusal(bundle)
    assert "Give bundles and --key" in refusal("--key", "team.pem")
    assert "Give bundles and --key" in refusal(bundle, "--make-key", "x")
    assert "does not exist" in refusal(bundle, "--key", "absent.pem")
    assert "files does not list more.txt" in refusal(_with(bundle, "more.txt"), "--key", "team.pem")
    (bundle / "more.txt").unlink()
    (bundle / "golden.json").rename(bundle / "real.json")
    (bundle / "golden.json").symlink_to("real.json")
    manifest = (bundle / "model.yaml").read_text()
    digest = next(line for line in manifest.splitlines() if line.strip().startswith("golden.json:")).split()[-1]
    (bundle / "model.yaml").write_text(manifest.replace("files:\n", f"files:\n  real.json: {digest}\n", 1))
    assert "golden.json is a link, which cannot be signed" in refusal(bundle, "--key", "team.pem")


def _with(bundle: Path, name: str) -> Path:
    (bundle / name).write_text("x")
    return bundle


def test_without_the_library_it_says_what_to_install(
    modelhost: Callable[..., Result], bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "model_signing.py").write_text("raise ModuleNotFoundError(name='model_signing')\n")
    path = f"{tmp_path}:{Path(__file__).parents[2] / 'app'}"
    ended = modelhost("sign", "--make-key", "team", "--json", PYTHONPATH=path)
    assert ended.code == 1
    assert json.loads(ended.out)["error"].endswith("which is not installed: pip install './app[sign]'")
