"""The libraries that a bundle names beside its format's own: imported before the fork, and missed in a sentence."""

import hashlib
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from modelhost.bundle.bundle import BundleError, read_bundle
from modelhost.models.runtimes import import_libraries, runtime_class

MODELS = Path(__file__).parents[2] / "models"
PIN = "emoji==2.14.1 --hash=sha256:" + "0" * 64 + "\n"


def bundle_with(models: Path, **fields: object) -> Path:
    """A copy of an example bundle, with such fields in its model.yaml."""
    bundle = models / "colours/1"
    shutil.copytree(MODELS / "colours/1", bundle)
    manifest = yaml.safe_load((bundle / "model.yaml").read_text()) | fields
    (bundle / "model.yaml").write_text(yaml.safe_dump(manifest))
    return bundle


@pytest.fixture
def hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)  # what Python raises ModuleNotFoundError for


def test_a_missing_library_is_named_with_the_extra_that_has_it(tmp_path: Path, hidden: None) -> None:
    bundle = read_bundle(bundle_with(tmp_path, libraries=["lightgbm"]))
    with pytest.raises(BundleError, match=r"colours/1/model.yaml: libraries needs the library lightgbm: install "):
        runtime_class(bundle)


def test_a_library_that_the_machine_cannot_load_is_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "xgboost.py").write_text("raise OSError('libgomp.so.1: cannot open shared object file')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "xgboost", raising=False)
    bundle = read_bundle(bundle_with(tmp_path / "models", libraries=["xgboost"]))
    with pytest.raises(BundleError, match=r"does not have \(libgomp.so.1: cannot open shared object file\)"):
        runtime_class(bundle)


def test_libraries_are_imported_before_the_fork_also_beside_a_broken_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "xgboost.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "xgboost", raising=False)
    bundle_with(tmp_path / "models", libraries=["xgboost"])
    broken = tmp_path / "models/broken/1"
    broken.mkdir(parents=True)
    (broken / "model.yaml").write_text("[")
    import_libraries(tmp_path / "models")
    assert "xgboost" in sys.modules
    monkeypatch.delitem(sys.modules, "xgboost")


def test_an_unknown_library_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="write a list of catboost, lightgbm, pandas, scikit-learn, xgboost"):
        read_bundle(bundle_with(tmp_path, libraries=["torch"]))


def test_requirements_are_one_of_the_bundles_files(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"requirements is 'requirements.lock': write one of the names under files"):
        read_bundle(bundle_with(tmp_path, requirements="requirements.lock"))


@pytest.mark.parametrize(("text", "reads"), [(PIN, True), ("emoji==2.14.1\n", False), ("-e .\n", False)])
def test_requirements_hold_versions_with_hashes(tmp_path: Path, text: str, reads: bool) -> None:
    bundle = bundle_with(tmp_path, requirements="requirements.lock")
    (bundle / "requirements.lock").write_text(text)
    manifest = yaml.safe_load((bundle / "model.yaml").read_text())
    manifest["files"]["requirements.lock"] = hashlib.sha256(text.encode()).hexdigest()
    (bundle / "model.yaml").write_text(yaml.safe_dump(manifest))
    if reads:
        assert read_bundle(bundle).manifest.requirements == "requirements.lock"
    else:
        with pytest.raises(BundleError, match=r"requirements\.lock has the line"):
            read_bundle(bundle)
