"""The wire protocols: thin adapters over one core, all built alike.

Each module has `urls` (its URLs as a blueprint), `parse` (from what its client sends to checked
arrays), `encode` (from the outputs' arrays to what its client reads) and `example` (a body that
works, which errors show). Validation is the core's: records.py, batches.py, inputs.py.
"""

from modelhost.protocols import mlflow, native, sse, tensorflow, v2

PROTOCOLS = (native.urls, sse.urls, v2.urls, tensorflow.urls, mlflow.urls)
