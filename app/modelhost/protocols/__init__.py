"""The wire protocols: thin adapters over one core, all built alike.

Each module that predicts has `parse` (from what its client sends to checked arrays), `encode` (from
the outputs' arrays to what its client reads) and `example` (a body that works, which errors show),
together its `PREDICT`. What else its clients ask for are Flask's `urls`. Validation is the core's:
payload/.
"""

from modelhost.protocols import infer, mlflow, native, tensorflow, v2

PREDICTING = (native.PREDICT, infer.PREDICT, tensorflow.PREDICT, mlflow.PREDICT)
TELLING = (v2.urls, tensorflow.urls, mlflow.urls)
