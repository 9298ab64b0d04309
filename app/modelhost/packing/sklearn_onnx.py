"""From estimators to ONNX by skl2onnx, with the converters that onnxmltools adds for LightGBM and XGBoost."""

import copy
import functools
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
import onnx
import skl2onnx
from skl2onnx._supported_operators import sklearn_operator_name_map
from skl2onnx.common import data_types as types
from skl2onnx.common import tree_ensemble
from skl2onnx.common._registration import get_converter
from skl2onnx.sklapi import CastTransformer
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, OrdinalEncoder, TargetEncoder

from modelhost.packing.tables import Table
from modelhost.packing.tree_thresholds import make_exact

OPSET = {"": 18, "ai.onnx.ml": 3}  # with ai.onnx.ml 4, which skl2onnx would choose, IsolationForest does not convert
# Whose estimators compare float32 with their thresholds.
SINGLE = ("sklearn.tree.", "sklearn.ensemble._forest", "sklearn.ensemble._gb", "sklearn.ensemble._iforest", "xgboost.")
LOCALE = "C.UTF-8"
# No client sends it, and no encoder knows it; whether the model takes a missing text for an unknown one is compared.
MISSING_TEXT = "\x00"
TENSORS = {
    "FP32": types.FloatTensorType, "FP64": types.DoubleTensorType, "INT64": types.Int64TensorType,
    "BYTES": types.StringTensorType, "BOOL": types.Int64TensorType,  # see _with_booleans
}  # fmt: skip


def datatypes(inputs: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """Datatypes to try for the ONNX model's inputs: small, then exact, then as they are (categories always are)."""
    numbers = {i["name"] for i in inputs if i["datatype"] in ("FP64", "INT64") and "categories" not in i}
    tried = [{i["name"]: kind if i["name"] in numbers else i["datatype"] for i in inputs} for kind in ("FP32", "FP64")]
    tried.append({i["name"]: "FP32" if i["datatype"] == "FP64" else i["datatype"] for i in inputs})
    return [datatypes for place, datatypes in enumerate(tried) if datatypes not in tried[:place]]


def converter(estimator: Any, table: Table, wanted: Sequence[str]) -> Callable[[dict[str, str]], Any]:
    """What makes an ONNX model of `estimator`, whose outputs are the `wanted`, from a datatype for each input."""

    def convert(datatypes: dict[str, str]) -> Any:
        _register()
        if categories := [schema["name"] for schema in table.inputs if schema.get("dtype") == "category"]:
            raise ValueError(f"{categories[0]} is a category, which has no form in ONNX")
        model = _convertible(copy.deepcopy(estimator))
        width = getattr(model, "n_features_in_", None) if table.kind == "matrix" and len(datatypes) == 1 else 1
        initial = [(name, TENSORS[datatype]([None, width])) for name, datatype in datatypes.items()]
        with warnings.catch_warnings(), _whole_numbers():
            warnings.simplefilter("ignore")  # the answers are compared, whatever the converter fears
            made = skl2onnx.to_onnx(
                _cast_before_trees(model, datatypes),
                initial_types=initial,
                options=_options(model, wanted),
                target_opset=OPSET,
            )
        if "FP64" in datatypes.values():
            make_exact(made, _last(model))
        _with_booleans(made, [kind == "BOOL" for kind in datatypes.values()])
        return _in_order(_with_missing(_without_locale(made), model))

    return convert


def _with_booleans(made: Any, booleans: Sequence[bool]) -> None:
    """Have the inputs that are `booleans` take such: converted they are integers, since encoders have no others."""
    casts = []
    for value, is_boolean in zip(made.graph.input, booleans, strict=True):
        if not is_boolean:
            continue
        number = f"{value.name}_as_integer"
        for node in made.graph.node:
            node.input[:] = [number if name == value.name else name for name in node.input]
        value.type.tensor_type.elem_type = onnx.TensorProto.BOOL
        casts.append(onnx.helper.make_node("Cast", [value.name], [number], to=onnx.TensorProto.INT64))
    nodes = list(made.graph.node)
    del made.graph.node[:]
    made.graph.node.extend([*casts, *nodes])


def _in_order(made: Any) -> Any:
    """The operator sets each once and sorted: skl2onnx writes them in the order of a set, otherwise each time."""
    versions = {opset.domain: opset.version for opset in made.opset_import}
    del made.opset_import[:]
    made.opset_import.extend(onnx.helper.make_opsetid(domain, versions[domain]) for domain in sorted(versions))
    return made


def _cast_before_trees(model: Any, datatypes: dict[str, str]) -> Any:
    """Where numbers come as float64: trees after other steps get them as float32, as they themselves make of them.

    A threshold lies between two values in float32; what is scaled in float32 may be on its other side.
    """
    if "FP64" not in datatypes.values() or not hasattr(model, "steps") or len(model.steps) < 2:
        return model
    if not type(model.steps[-1][1]).__module__.startswith(SINGLE):
        return model
    cast = ("cast_to_float32", CastTransformer(dtype=np.float32))
    return Pipeline([*model.steps[:-1], cast, model.steps[-1]])


def _last(model: Any) -> Any:
    return model.steps[-1][1] if hasattr(model, "steps") else model


def _with_missing(made: Any, model: Any) -> Any:
    """Have scikit-learn's trees send a missing value where they themselves do; skl2onnx sends all to one side."""
    last = _last(model)
    grown = [last] if hasattr(last, "tree_") else list(np.ravel(getattr(last, "estimators_", [])))
    ensembles = [node for node in made.graph.node if node.op_type.startswith("TreeEnsemble")]
    if len(ensembles) != 1 or not grown or not all(hasattr(tree, "tree_") for tree in grown):
        return made
    attributes = {attribute.name: attribute for attribute in ensembles[0].attribute}
    places = zip(attributes["nodes_treeids"].ints, attributes["nodes_nodeids"].ints, strict=True)
    ways = [int(grown[tree].tree_.missing_go_to_left[node]) for tree, node in places]
    if "nodes_missing_value_tracks_true" in attributes:
        ensembles[0].attribute.remove(attributes["nodes_missing_value_tracks_true"])
    ensembles[0].attribute.append(onnx.helper.make_attribute("nodes_missing_value_tracks_true", ways))
    return made


def _without_locale(model: Any) -> Any:
    """Have texts made lower by the locale that every Debian and its images have, and no other."""
    for node in model.graph.node:
        if node.op_type == "StringNormalizer":
            kept = [attribute for attribute in node.attribute if attribute.name != "locale"]
            del node.attribute[:]
            node.attribute.extend([*kept, onnx.helper.make_attribute("locale", LOCALE)])
    return model


@contextmanager
def _whole_numbers() -> Iterator[None]:
    """Let skl2onnx write what it knows as booleans into attributes of integers, which onnx refuses from 1.18 on."""
    original = tree_ensemble.add_node

    def add_node(*arguments: Any, **options: Any) -> Any:
        if "nodes_missing_value_tracks_true" in options:
            options["nodes_missing_value_tracks_true"] = int(options["nodes_missing_value_tracks_true"])
        return original(*arguments, **options)

    with mock.patch.object(tree_ensemble, "add_node", add_node):
        yield


def _options(model: Any, wanted: Sequence[str]) -> dict[str, Any] | None:
    if "label" in wanted and "probabilities" in wanted:
        return {"zipmap": False}
    if list(wanted) == ["label", "scores"]:
        taken = _options_of(_last(model))
        return {name: value for name, value in (("zipmap", False), ("raw_scores", True)) if name in taken}
    return None


def _options_of(estimator: Any) -> Sequence[str]:
    """The options that the converter of `estimator` takes: a few classifiers have no zipmap to leave out."""
    alias = sklearn_operator_name_map.get(type(estimator))
    return get_converter(alias).get_allowed_options() or () if alias else ("zipmap", "raw_scores")


def _convertible(step: Any) -> Any:
    """`step`, changed in place so far that converters take it; what it answers is the same.

    Steps that pass on what they get are left out. An imputer of texts finds a missing one by the text that stands for
    it. XGBoost's converter takes only names such as f0, and by them nothing is computed.
    """
    if isinstance(step, Pipeline):
        kept = [(name, _convertible(inner)) for name, inner in step.steps if inner not in (None, "passthrough")]
        step.steps = kept or step.steps
    elif isinstance(step, ColumnTransformer):
        step.transformers_ = [(name, _convertible(inner), columns) for name, inner, columns in step.transformers_]
    elif isinstance(step, FeatureUnion):
        step.transformer_list = [(name, _convertible(inner)) for name, inner in step.transformer_list]
    elif isinstance(step, SimpleImputer) and step.statistics_.dtype.kind == "O":
        if isinstance(step.missing_values, float) and all(isinstance(value, str) for value in step.statistics_):
            step.missing_values = MISSING_TEXT
    elif isinstance(step, OneHotEncoder | OrdinalEncoder | TargetEncoder):
        step.categories_ = [_integers_for_booleans(values) for values in step.categories_]
    elif isinstance(step, KBinsDiscretizer) and step.encode == "onehot":
        step.encode = "onehot-dense"
        step._encoder.sparse_output = False
    elif hasattr(step, "flatten_transform"):  # of voting, and of what `transform` gives, which is not asked
        step.flatten_transform = False
    elif hasattr(step, "get_booster"):
        step.get_booster().feature_names = None
        step.get_booster().feature_types = None
    return step


def _integers_for_booleans(categories: Any) -> Any:
    """An encoder's `categories` (n,), with 0 and 1 for false and true."""
    return categories.astype(np.int64) if {type(value) for value in categories.tolist()} == {bool} else categories


@functools.cache
def _register() -> None:
    """Have skl2onnx know the estimators of the libraries that are installed."""
    from skl2onnx.common.shape_calculator import (
        calculate_linear_classifier_output_shapes,
        calculate_linear_regressor_output_shapes,
    )

    classifying: dict[str, Any] = {"options": {"nocl": [True, False], "zipmap": [True, False, "columns"]}}
    try:
        import lightgbm
        from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm
    except ImportError:
        pass
    else:
        for estimator, shapes, more in (
            (lightgbm.LGBMClassifier, calculate_linear_classifier_output_shapes, classifying),
            (lightgbm.LGBMRegressor, calculate_linear_regressor_output_shapes, {"options": {"split": None}}),
        ):
            name = f"LightGbm{estimator.__name__}"
            skl2onnx.update_registered_converter(estimator, name, shapes, convert_lightgbm, **more)
    try:
        import xgboost
        from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost
    except ImportError:
        return
    for estimator, shapes, more in (
        (xgboost.XGBClassifier, calculate_linear_classifier_output_shapes, classifying),
        (xgboost.XGBRegressor, calculate_linear_regressor_output_shapes, {}),
    ):
        name = f"XGBoost{estimator.__name__}"
        skl2onnx.update_registered_converter(estimator, name, shapes, convert_xgboost, **more)
