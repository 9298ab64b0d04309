"""scikit-learn models stored by skops: data and names of known types, never a pickle."""

from pathlib import Path

import skops.io

from modelhost.bundle.bundle import Bundle
from modelhost.models.runtimes.estimator import EstimatorRuntime

# Types of scikit-learn's own that skops leaves to us: each only holds numbers or other estimators,
# and none runs code of the file's choice when it is made.
TRUSTED = frozenset({
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    *(f"sklearn.gaussian_process.kernels.{kernel}"
      for kernel in ("ConstantKernel", "DotProduct", "Matern", "Product", "RBF", "RationalQuadratic",
                     "Sum", "WhiteKernel")),
    *(f"sklearn.metrics._dist_metrics.{metric}Distance{size}"
      for metric in ("Chebyshev", "Euclidean", "Manhattan", "Minkowski") for size in ("", "32", "64")),
    *(f"sklearn.neighbors._{module}.{tree}{size}"
      for module, tree in (("ball_tree", "BallTree"), ("kd_tree", "KDTree")) for size in ("", "32", "64")),
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
})  # fmt: skip


class SkopsRuntime(EstimatorRuntime):
    """An estimator made of trusted types; a file with any other is refused, and they are named."""

    def __init__(self, bundle: Bundle) -> None:
        path = bundle.directory / bundle.manifest.entry
        try:
            untrusted = untrusted_types(path)
            estimator = None if untrusted else skops.io.load(path, trusted=sorted(TRUSTED))
        except Exception as error:  # whatever a file made to harm raises
            problem = f"{path.name} cannot be loaded: {type(error).__name__}: {error}"
            raise bundle.refuse("entry", problem) from error
        if untrusted:
            instead = "pack the model as onnx, or build it of scikit-learn's own classes"
            types = ", ".join(untrusted)
            raise bundle.refuse("entry", f"{path.name} holds types that are not trusted ({types}): {instead}")
        super().__init__(bundle, estimator)


def untrusted_types(path: Path) -> list[str]:
    """The types in a skops file that neither skops nor TRUSTED trusts, without making any."""
    return sorted(set(skops.io.get_untrusted_types(file=path)) - TRUSTED)
