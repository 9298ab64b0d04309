"""The wire protocols: thin adapters over one core, all built alike.

Each module that predicts has `parse` (from what its client sends to checked arrays), `encode` (from
the outputs' arrays to what its client reads), `example` (a body that works, which errors show) and
`schemas` (of both bodies, for OpenAPI), together its `PREDICT`. What else its clients ask for are
Flask's `urls`. Validation is the core's: payload/.
"""

from modelhost.protocols import mlflow, native, tensorflow, v2_infer, v2_metadata, v2_triton

PREDICTORS = (native.PREDICT, v2_infer.PREDICT, tensorflow.PREDICT, mlflow.PREDICT)
METADATA = (v2_metadata.urls, v2_triton.urls, tensorflow.urls, mlflow.urls)
