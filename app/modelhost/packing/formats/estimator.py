"""Estimators with scikit-learn's verbs, from joblib, pickle or skops files: scikit-learn's own, LightGBM's, XGBoost's,
CatBoost's, and pipelines, searches and ensembles of them.

Unpickling runs what the file holds: it is done here, on the trainer's own machine, only.
"""

import importlib
import io
import re
import warnings
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import sklearn
import skops.io
from sklearn.base import is_classifier, is_clusterer, is_outlier_detector
from sklearn.exceptions import InconsistentVersionWarning

from modelhost.bundle.pickle_imports import UnreadableError
from modelhost.bundle.pickle_scan import dangerous_imports
from modelhost.models.runtimes.estimator import SEARCH, answers, defined_in
from modelhost.models.runtimes.skops import is_trusted, types_of
from modelhost.packing import sklearn_onnx
from modelhost.packing.columns import choose
from modelhost.packing.complete_columns import incidental_gaps
from modelhost.packing.errors import ConsentError, PackError
from modelhost.packing.file_kinds import other_kind
from modelhost.packing.fitted_columns import Fitted, add_categories, fitted_columns
from modelhost.packing.formats import BOOSTED, load_format
from modelhost.packing.samples import Sample
from modelhost.packing.single_thread import limit_to_one_thread
from modelhost.packing.source_model import Native, Saved, Source
from modelhost.packing.tables import Table, find_table
from modelhost.payload.datatypes import Arrays
from modelhost.payload.messages import first_line

VERBS = ("predict", "transform", "score_samples")
DATA = {"pandas", "numpy", "scipy", "builtins"}  # whose objects have such verbs, and are no models
UNNAMED = "X does not have valid feature names"  # scikit-learn's warning about an array


def inspect(path: Path, sample: Sample, allow_pickle: bool) -> Source:
    """The estimator in `path`, whatever its library."""
    if path.suffix != ".skops" and not allow_pickle:
        _refuse_dangerous(path)
    loaded, notes = _load(path)
    return inspect_loaded(loaded, path, sample, allow_pickle, notes)


def inspect_loaded(loaded: Any, path: Path, sample: Sample, allow_pickle: bool, notes: list[str]) -> Source:
    """As `inspect`, of an estimator that was read from `path` already."""
    package = type(loaded).__module__.partition(".")[0]
    if package in BOOSTED and not hasattr(loaded, "get_params"):
        source: Source = load_format(package).inspect_booster(loaded, sample)
        return source
    is_search = defined_in(loaded, "predict") == SEARCH
    estimator = limit_to_one_thread(loaded.best_estimator_ if is_search else loaded)
    _refuse_unsafe(estimator, path)
    if package in DATA or not any(hasattr(estimator, verb) for verb in VERBS):
        raise PackError(f"{path} holds a {type(estimator).__name__}, which can neither predict nor transform new rows")
    if estimator is not loaded:
        notes.append(f"the best estimator of a {type(loaded).__name__}, with which it predicts")
    return _inspect(estimator, sample, allow_pickle, notes)


def _refuse_dangerous(path: Path) -> None:
    """Raise ConsentError for a pickle that imports what runs commands, or one knows not what: opening it runs that."""
    try:
        dangers = dangerous_imports(path, is_model=True)
    except UnreadableError as error:
        _refuse_other_kind(path)
        raise ConsentError(
            f"{path} is no pickle that can be read to its end ({error}), so what it imports, and would run as soon as "
            "it is opened, is not known. Store the model again, by joblib.dump; if you trust this file, add "
            "--allow-pickle",
            "--allow-pickle",
        ) from None
    for names in dangers.values():
        raise ConsentError(
            f"{path} imports {', '.join(names)}, which can run commands, or reach what does, as soon as it is "
            "opened. If you know why it does that, and trust it, add --allow-pickle",
            "--allow-pickle",
        )


def _refuse_other_kind(path: Path) -> None:
    """Raise PackError for a file that could not be read, and is plainly something else: no consent makes it a model."""
    if path.suffix == ".skops" and zipfile.is_zipfile(path):
        return
    if kind := other_kind(path):
        made = "skops.io.dump" if path.suffix == ".skops" else "joblib.dump"
        raise PackError(f"{path} is not what {made} writes. It is {kind}")


def _load(path: Path) -> tuple[Any, list[str]]:
    """What the file holds, and what its library warns of, such as that another version made it."""
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            # A .skops is the trainer's own file.
            skops_types = types_of(path) if path.suffix == ".skops" else None
            loaded = joblib.load(path) if skops_types is None else skops.io.load(path, trusted=skops_types)
        versions = [str(warning.message) for warning in warned if warning.category is InconsistentVersionWarning]
        return loaded, [first_line(versions[0])] if versions else []
    except ModuleNotFoundError as error:
        instead = f"install it, or give the file that defines it by --with {(error.name or 'module').split('.')[0]}.py"
        raise PackError(f"{path} needs the module {error.name}, which is not here: {instead}") from error
    except (Exception, SystemExit) as error:
        if missing := re.search(r"Can't get attribute '(\w+)' on <module '[^']*__main__'", str(error)):
            raise PackError(
                f"{path} needs {missing[1]}, which its training script or notebook defined in itself: move it to a "
                "module, such as steps.py, import it from there, train again, and pack with --with steps.py"
            ) from error
        _refuse_other_kind(path)
        raise PackError(f"{path} cannot be read: {type(error).__name__}: {first_line(error)}") from error


def _refuse_unsafe(estimator: Any, path: Path) -> None:
    """CatBoost 1.2 stores a model with text features wrongly once it was unpickled, and crashes on what it stored."""
    texts = getattr(estimator, "get_text_feature_indices", list)
    if type(estimator).__module__.startswith("catboost") and texts():
        raise PackError(
            f"{path} holds a CatBoost model with text features, which CatBoost cannot store again out of a pickle: "
            "where it was trained, write model.save_model('model.cbm'), and pack that file"
        )


def _inspect(estimator: Any, sample: Sample, allow_pickle: bool, notes: list[str]) -> Source:
    names, count = _names(estimator), _count(estimator)
    chosen = choose(sample, names, count, notes)
    fitted = fitted_columns(estimator, chosen)
    wanted: list[str] = []

    def asked(table: Any) -> Arrays:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=UNNAMED)
            if not wanted:
                wanted.extend(_outputs(estimator, table))
            return answers(estimator, table, wanted)

    table = find_table(chosen, bool(names), fitted, asked)
    add_categories(table.inputs, fitted)
    if left := chosen.rows - len(next(iter(table.batch.values()))):
        notes.append(f"{left} rows were left out: they lack a value that the model needs")

    def predict(rows: Arrays) -> Arrays:
        return asked(table.of(rows))

    def save(directory: Path) -> Saved:
        return _save(estimator, directory, allow_pickle)

    return Source(
        _library(estimator), _kind(estimator), table.inputs, table.batch, predict, save,
        convert=_converter(estimator, table, wanted),
        datatypes=sklearn_onnx.datatypes(table.inputs),
        classes=_classes(estimator),
        notes=[*chosen.notes, *notes],
        lighter=_lighter(estimator, table),
        table=table.kind,
        incidental=incidental_gaps(table.inputs, fitted),
        unknown=_unknown(fitted),
        probed=True,
    )  # fmt: skip


def _names(estimator: Any) -> list[str]:
    """The columns that it was trained on; none if it was trained on arrays, for which some libraries make names."""
    found = _attribute(estimator, "feature_names_in_", _attribute(estimator, "feature_names_", []))
    names = [str(name) for name in found]
    made = ([f"Column_{place}" for place in range(len(names))], [str(place) for place in range(len(names))])
    return [] if names in made else names


def _count(estimator: Any) -> int | None:
    count = _attribute(estimator, "n_features_in_", 0) or len(_attribute(estimator, "feature_names_", ()))
    return int(count) or None


def _attribute(estimator: Any, name: str, otherwise: Any) -> Any:
    """An attribute that may be a property which raises where the estimator cannot know it."""
    try:
        found = getattr(estimator, name, otherwise)
    except Exception:  # XGBoost's and LightGBM's raise errors of their own
        return otherwise
    return otherwise if found is None else found


def _outputs(estimator: Any, table: Any) -> list[str]:
    """What the estimator offers for new rows: each output is asked for once, and left out if it raises."""
    if not hasattr(estimator, "predict"):
        return ["transformed" if hasattr(estimator, "transform") else "densities"]
    # CatBoost's base class predicts raw values, whatever its classes.
    raw = type(estimator).__name__ == "CatBoost"
    classifies = not raw and (_is_a(is_classifier, estimator) or len(_attribute(estimator, "classes_", ())) > 0)
    found = ["label" if classifies else "prediction"]
    if hasattr(estimator, "predict_proba"):
        others = ["probabilities"]
    elif classifies or _is_a(is_outlier_detector, estimator):
        others = ["scores"]
    else:
        others = ["distances"] if _is_a(is_clusterer, estimator) else []
    for name in others:
        several = _several(estimator, table) if name == "probabilities" else 0
        for part in [f"{name}_{place}" for place in range(several)] or [name]:
            try:
                answer = answers(estimator, table, [part])[part]
            except Exception:  # hard voting, for one, has the verb and raises
                continue
            if answer.dtype.kind == "f":
                found.append(part)
    return found


def _is_a(kind: Callable[[Any], bool], estimator: Any) -> bool:
    """What scikit-learn says of an estimator; a class that is not derived from one of its own has nothing to say."""
    try:
        return kind(estimator)
    except AttributeError:
        return False


def _several(estimator: Any, table: Any) -> int:
    """How many arrays of probabilities an estimator of several labels gives; 0 where it gives one array."""
    try:
        made = estimator.predict_proba(table.copy())
    except Exception:  # _outputs asks again, and reports it
        return 0
    return len(made) if isinstance(made, list) else 0


def _classes(estimator: Any) -> tuple[Any, ...]:
    classes = _attribute(estimator, "classes_", ())
    return () if isinstance(classes, list) and classes and isinstance(classes[0], np.ndarray) else tuple(classes)


def _library(estimator: Any) -> str:
    package = type(estimator).__module__.partition(".")[0]
    if package in BOOSTED:
        return f"{BOOSTED[package]} {importlib.import_module(package).__version__}"
    return f"scikit-learn {sklearn.__version__}"


def _kind(estimator: Any) -> str:
    kind = type(estimator).__name__
    if hasattr(estimator, "steps"):
        kind += "(" + ", ".join(type(step).__name__ for _, step in estimator.steps) + ")"
    return kind


def _unknown(fitted: dict[str, Fitted]) -> dict[str, Any]:
    """For each column whose encoder takes values that it does not know, such a value."""
    loose = {name: known.values for name, known in fitted.items() if known.values and not known.strict}
    return {
        name: f"not {values[0]}" if isinstance(values[0], str) else max(values) + 1
        for name, values in loose.items()
        if not isinstance(values[0], bool)
    }


def _converter(estimator: Any, table: Table, wanted: Sequence[str]) -> Callable[[dict[str, str]], Any]:
    """CatBoost writes ONNX itself; all others go through skl2onnx."""
    if type(estimator).__module__.startswith("catboost"):
        exporter: Callable[[dict[str, str]], Any] = load_format("catboost").exporter(estimator)
        return exporter
    return sklearn_onnx.converter(estimator, table, wanted)


def _lighter(estimator: Any, table: Table) -> Sequence[Native]:
    """A booster's own file, which needs no scikit-learn."""
    package = type(estimator).__module__.partition(".")[0]
    if package not in BOOSTED or (table.kind != "matrix" and package != "catboost"):
        return ()
    try:
        found: Sequence[Native] = load_format(package).own_files(estimator)
    except Exception:  # the library has no file for this estimator, such as one of several outputs
        return ()
    return found


def _save(estimator: Any, directory: Path, allow_pickle: bool) -> Saved:
    path = directory / "model.skops"
    try:
        skops.io.dump(estimator, path)
        types = types_of(path)
        untrusted = [name for name in types if not is_trusted(name)]
        reason = f"the model holds code of others ({', '.join(untrusted)})" if untrusted else ""
        if not untrusted:
            skops.io.load(path, trusted=types)
    except Exception as error:
        reason = f"skops cannot store the model ({type(error).__name__}: {first_line(error)})"
    if not reason:
        packages = {name.partition(".")[0] for name in types}
        return Saved("skops", path.name, libraries=tuple(sorted(packages & set(BOOSTED))))
    path.unlink(missing_ok=True)
    if not allow_pickle:
        raise ConsentError(
            f"{reason}, and was not converted to ONNX. As a pickle it can be served, but anyone who can change that "
            "file can run anything on the server. If you trust it, add --allow-pickle, and --with FILE for each module "
            "of yours",
            "--allow-pickle",
        )
    joblib.dump(estimator, directory / "model.joblib")
    return Saved("pickle", "model.joblib", libraries=_pickled_libraries(estimator))


def _pickled_libraries(estimator: Any) -> tuple[str, ...]:
    """The boosted libraries that a pickle imports, by the names of modules in it."""
    buffer = io.BytesIO()
    joblib.dump(estimator, buffer)
    found = buffer.getvalue()
    return tuple(sorted(name for name in BOOSTED if f"{name}.".encode() in found))
