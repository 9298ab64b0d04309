"""Write the models of one folder as MLflow models into another. `predict` is told to give probabilities."""

import sys
from pathlib import Path

import joblib
import mlflow.sklearn

for path in Path(sys.argv[1]).glob("*.joblib"):
    mlflow.sklearn.save_model(joblib.load(path), Path(sys.argv[2], path.stem), pyfunc_predict_fn="predict_proba",
                              serialization_format="cloudpickle")  # fmt: skip
