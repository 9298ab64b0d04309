"""What Triton's tools ask besides the protocol's own: a model's configuration, and its statistics.

Source: Triton's "Model Configuration Extension" (ModelConfig, of which a server gives what it has) and "Statistics
Extension". Numbers are those of /metrics: of this worker to the moment, of the others at most a second old.
"""

from typing import Any

from flask import Blueprint, Response, current_app

from modelhost.bundle.schema import Input, Output
from modelhost.inference.metrics import Samples, samples
from modelhost.models.model import Model
from modelhost.models.registry import Registry
from modelhost.models.repository import Repository
from modelhost.protocols.responses import write_json
from modelhost.protocols.v2_infer import NAME, VERSIONED
from modelhost.protocols.v2_metadata import platform_of

ROWS_LIMIT = "ROWS_LIMIT"


def config(model: Model, rows: int) -> dict[str, Any]:
    """The model as Triton's ModelConfig has one; `rows` are the most that a request may have."""
    platform = platform_of(model)
    return {
        "name": model.name,
        "platform": platform,
        "backend": platform.partition("_")[0],
        "max_batch_size": rows,
        "input": [_described(reader.schema) for reader in model.inputs],
        "output": [_described(writer.schema) for writer in model.outputs],
    }


def statistics(model: Model, found: Samples) -> dict[str, Any]:
    """What became of the model's requests since the server started. Failed ones are counted, and not timed."""
    of_model = {"model": model.name, "version": str(model.version)}

    def total(name: str, **labels: str) -> float:
        return found.total(name, of_model | labels)

    def duration(name: str, **labels: str) -> dict[str, int]:
        return {"count": int(total(name + "_count", **labels)), "ns": int(total(name + "_sum", **labels) * 1e9)}

    requests = duration("modelhost_request_seconds")
    hits = int(total("modelhost_cache_hits_total"))
    succeeded = int(total("modelhost_requests_total", status="200"))
    failed = int(total("modelhost_requests_total")) - succeeded
    in_threads = total("modelhost_call_requests_sum")
    stages = {
        stage: duration("modelhost_stage_seconds", stage=stage) for stage in ("wait", "parse", "predict", "encode")
    }
    return {
        "name": model.name,
        "version": str(model.version),
        "last_inference": int(total("modelhost_last_prediction_timestamp_seconds") * 1e3),
        "inference_count": int(total("modelhost_rows_total")),
        # Requests that shared a call in a thread are one execution; each of the others is one of its own.
        "execution_count": int(requests["count"] - in_threads + total("modelhost_call_requests_count")),
        "inference_stats": {
            "success": {"count": succeeded, "ns": requests["ns"]},
            "fail": {"count": failed, "ns": 0},
            "queue": stages["wait"],
            "compute_input": stages["parse"],
            "compute_infer": stages["predict"],
            "compute_output": stages["encode"],
            "cache_hit": {"count": hits, "ns": 0},
        },
        "batch_stats": [],
    }


def statistics_of(registry: Registry, name: str | None, version: str | None) -> dict[str, Any]:
    """Those of one version, of all of one model, or of every model; raises ClientError."""
    if name is None:
        models = [model for versions in registry.models.values() for model in versions.values()]
    else:
        asked = registry.find(name, version)
        models = [asked] if version else list(registry.models.get(name, {}).values())
    found = samples()
    return {"model_stats": [statistics(model, found) for model in models]}


def urls(repository: Repository) -> Blueprint:
    """The URLs over `repository`."""
    registry = repository.registry
    urls = Blueprint("v2_triton", __name__)

    @urls.get(NAME + "/config")
    @urls.get(VERSIONED + "/config")
    def show_config(name: str, version: str | None = None) -> Response:
        return write_json(config(registry.find(name, version), current_app.config[ROWS_LIMIT]))

    @urls.get("/v2/models/stats")
    @urls.get(NAME + "/stats")
    @urls.get(VERSIONED + "/stats")
    def show_statistics(name: str | None = None, version: str | None = None) -> Response:
        return write_json(statistics_of(registry, name, version))

    return urls


def _described(schema: Input | Output) -> dict[str, Any]:
    kind = "STRING" if schema.datatype == "BYTES" else schema.datatype
    return {"name": schema.name, "data_type": f"TYPE_{kind}", "dims": schema.shape}
