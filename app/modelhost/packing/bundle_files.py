"""The files that packing writes into every bundle: nothing else in one may have their names."""

from modelhost.bundle.bundle import MANIFEST, SIGNATURE

GOLDEN = "golden.json"
STATISTICS = "statistics.json"
LOCK = "requirements.lock"
OWN = (MANIFEST, GOLDEN, STATISTICS, LOCK, SIGNATURE)

# A model's own file, where packing chooses its name.
CLASS = "model.py"
ONNX = "model.onnx"
