"""The thresholds of trees in ONNX, as exact as the library has them.

Converters write float32, even where a model's inputs are float64: a row between a threshold and its float32 is then
on the other side. LightGBM and scikit-learn's histogram trees compare float64.
"""

from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

OPSET = 3  # of ai.onnx.ml, the first with thresholds in float64
Thresholds = dict[tuple[int, int, float], float]  # by tree, feature and float32: the float64


def make_exact(made: Any, estimator: Any) -> None:
    """Give the tree ensemble of the ONNX model `made` from float64 the thresholds of the fitted `estimator`.

    A graph with other than one ensemble, or of another library, stays as it is: its answers are compared anyway.
    """
    thresholds = _thresholds(estimator)
    ensembles = [node for node in made.graph.node if node.op_type.startswith("TreeEnsemble")]
    encoders = [node for node in made.graph.node if node.op_type == "LabelEncoder"]  # written otherwise from opset 2 on
    if not thresholds or len(ensembles) != 1 or encoders:
        return
    (node,) = ensembles
    attributes = {attribute.name: attribute for attribute in node.attribute}
    if "nodes_values" in attributes:
        written = np.array(attributes["nodes_values"].floats, np.float64)
        node.attribute.remove(attributes["nodes_values"])
    else:
        written = numpy_helper.to_array(attributes["nodes_values_as_tensor"].t).astype(np.float64)
        node.attribute.remove(attributes["nodes_values_as_tensor"])
    trees, features = attributes["nodes_treeids"].ints, attributes["nodes_featureids"].ints
    leaves = [mode == b"LEAF" for mode in attributes["nodes_modes"].strings]
    exact = [
        value if leaf else thresholds.get((tree, feature, float(np.float32(value))), value)
        for tree, feature, value, leaf in zip(trees, features, written, leaves, strict=True)
    ]
    tensor = numpy_helper.from_array(np.array(exact, np.float64), "nodes_values_as_tensor")
    node.attribute.append(onnx.helper.make_attribute("nodes_values_as_tensor", tensor))
    for opset in made.opset_import:
        if opset.domain == "ai.onnx.ml":
            opset.version = max(opset.version, OPSET)


def _thresholds(estimator: Any) -> Thresholds:
    if hasattr(estimator, "booster_") or hasattr(estimator, "dump_model"):
        return _of_lightgbm(getattr(estimator, "booster_", estimator))
    if hasattr(estimator, "_predictors"):
        return _of_hist_gradient_boosting(estimator)
    return {}


def _of_lightgbm(booster: Any) -> Thresholds:
    found: Thresholds = {}
    for number, tree in enumerate(booster.dump_model()["tree_info"]):
        nodes = [tree["tree_structure"]]
        while nodes:
            node = nodes.pop()
            if "threshold" not in node or not isinstance(node["threshold"], float | int):
                continue
            threshold = float(node["threshold"])
            found[number, node["split_feature"], _single(threshold)] = threshold
            nodes += [node["left_child"], node["right_child"]]
    return found


def _of_hist_gradient_boosting(estimator: Any) -> Thresholds:
    found: Thresholds = {}
    trees = (tree for iteration in estimator._predictors for tree in iteration)
    for number, tree in enumerate(trees):
        for node in tree.nodes:
            if not node["is_leaf"]:
                threshold = float(node["num_threshold"])
                found[number, int(node["feature_idx"]), _single(threshold)] = threshold
    return found


def _single(value: float) -> float:
    with np.errstate(over="ignore"):
        return float(np.float32(value))
