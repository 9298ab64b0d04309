"""Generated bodies: whatever is sent, the answer is a prediction or a 4xx in the one shape."""

import json
from typing import Any

import numpy as np
import orjson
from echoes import SOURCE, client_of, write_bundle
from harness import Bundles, Server, assert_error_shape, client_for
from hostile import spoil
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from modelhost.bundle.schema import Input
from modelhost.payload.errors import ClientError
from modelhost.payload.inputs import InputReader
from modelhost.web.asgi import Application
from protocol_requests import ProtocolRequest, every_way, ways
from werkzeug.test import Client

URLS = ["/", "/models/iris/predict", "/models/digits/predict", "/models/churn/predict"]
NAMES = ["index", "measurements", "petal_width", "image", "petal_widht", "", "\x00", "x" * 500]

numbers = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([0, 2, 4, 5, -0.0, 2.0, 2**53, 2**63, 2**64, 10**400, 1e308, 1e39, 5e-324]),
)
scalars = st.one_of(numbers, st.booleans(), st.none(), st.text(max_size=8))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=12,
)
records = st.dictionaries(st.sampled_from(NAMES), values, max_size=4)
bodies = st.one_of(
    st.one_of(records, values).map(lambda value: json.dumps(value).encode()),
    records.map(lambda value: json.dumps(value)[:-1].encode()),
    st.binary(max_size=50),
    st.lists(st.one_of(records, values), max_size=3).map(lambda value: json.dumps(value).encode()),
    st.tuples(st.sampled_from(["records", "rows", "columns"]), st.one_of(records, st.lists(records), values)).map(
        lambda pair: json.dumps({pair[0]: pair[1]}).encode()
    ),
    st.integers(0, 3000).map(lambda depth: b'{"index":' + b"[" * depth + b"]" * depth + b"}"),
    st.text(max_size=20).map(lambda text: text.encode("utf-16", "surrogatepass")),
)
settings.register_profile(
    "modelhost",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("modelhost")


@settings(max_examples=600)
@given(body=bodies, url=st.sampled_from(URLS))
def test_no_body_makes_the_server_fail(app: Application, body: bytes, url: str) -> None:
    answer = client_for(app).post(url, data=body)
    if answer.status_code != 200:
        assert 400 <= answer.status_code < 500, (body, answer.data)
        assert_error_shape(answer.data)


def good_requests(app: Application) -> list[ProtocolRequest]:
    """Two rows to each model in every way of every protocol."""
    client, found = client_for(app), []
    for name in ("churn", "colours", "digits", "iris"):
        schema: Any = client.get(f"/models/{name}").json
        rows = [schema["example"]] * 2
        found += every_way(schema, rows).values()
    return found


def statuses_of_spoilt(client: Client, good: list[ProtocolRequest]) -> list[int]:
    """What 6,000 spoilt requests are answered with, each of which is right or an error in the one shape."""
    statuses = []
    for seed in range(6000):
        url, body, headers = spoil(good[seed % len(good)], seed)
        answer = client.post(url, data=body, headers=headers)
        statuses.append(answer.status_code)
        if answer.status_code != 200:
            assert 400 <= answer.status_code < 500, (seed, url, body, headers, answer.data)
            assert_error_shape(answer.data)
    return statuses


def test_no_spoilt_request_of_any_protocol_makes_the_server_fail(app: Application) -> None:
    client, good = client_for(app), good_requests(app)
    statuses = statuses_of_spoilt(client, good)
    assert len(statuses) - statuses.count(200) > 3000, "most of what is sent should be wrong"


EVERY_KIND: list[dict[str, Any]] = [
    {"name": "x", "datatype": "FP32", "shape": [2], "features": [
        {"name": "petal_width", "nullable": True, "default": None}, {"name": "member", "boolean": True}]},
    {"name": "index", "datatype": "INT64", "shape": [], "nullable": True, "maximum": 5},
    {"name": "image", "datatype": "FP32", "shape": [-1, 2], "nullable": True},
    {"name": "text", "datatype": "BYTES", "shape": [-1], "default": ["a"]},
    {"name": "sold", "datatype": "BOOL", "shape": [], "nullable": True, "default": None},
]  # fmt: skip
CONTENTS: list[dict[str, Any]] = [
    {"name": "image", "datatype": "BYTES", "shape": [], "content": "bytes", "nullable": True},
    {"name": "data", "datatype": "BYTES", "shape": [2], "content": "bytes", "default": [{"b64": ""}, {"b64": ""}]},
    {"name": "params", "datatype": "BYTES", "shape": [], "content": "json"},
]


def test_no_spoilt_request_makes_a_model_with_gaps_and_varying_sizes_fail(bundles: Bundles) -> None:
    row = {"petal_width": 1.5, "member": 1, "index": 2, "image": [[1, 2], [3, 4]], "text": ["a", "b"], "sold": True}
    seen = {"x": [1.5, 1.0], "index": 2, "image": [[1.0, 2.0], [3.0, 4.0]], "text": ["a", "b"], "sold": True}
    write_bundle(bundles, EVERY_KIND, [row], answers=[{"seen": json.dumps(seen)}])
    client = client_of(bundles)
    schema: Any = client.get("/models/echo").json
    good = [*every_way(schema, [row] * 2).values(), *every_way(schema, [row | {"petal_width": None}]).values()]
    assert all(client.post(g.url, data=g.body, headers=g.headers).status_code == 200 for g in good)
    statuses = statuses_of_spoilt(client, good)
    assert min(statuses.count(200), statuses.count(400)) > 500


def test_no_spoilt_request_makes_a_model_of_bytes_and_objects_fail(bundles: Bundles) -> None:
    source = SOURCE.replace(
        "def seen(value):", "def seen(value):\n    if type(value) in (bytes, dict):\n        return 1"
    )
    row = {"image": {"b64": "/9j/"}, "data": [{"b64": "AA=="}, {"b64": ""}], "params": {"a": [1, {"b": None}]}}
    answers = [{"seen": json.dumps({"image": 1, "data": [1, 1], "params": 1})}]
    write_bundle(bundles, CONTENTS, [row], answers=answers, source=source)
    client = client_of(bundles)
    schema: Any = client.get("/models/echo").json
    # In the other two, an element is not written as in JSON.
    good = [speak() for way, speak in ways(schema, [row] * 2).items() if way not in ("CSV", "v2 binary")]
    assert all(client.post(g.url, data=g.body, headers=g.headers).status_code == 200 for g in good)
    statuses = statuses_of_spoilt(client, good)
    assert min(statuses.count(200), statuses.count(400)) > 500


def test_two_thousand_hostile_requests_lose_no_worker(app: Application, server: Server) -> None:
    good, workers = good_requests(app), server.worker_pids()
    connection = server.connect()
    for seed in range(2000):
        url, body, headers = spoil(good[seed % len(good)], 10_000 + seed)
        connection.request("POST", url, body, headers)
        answer = connection.getresponse()
        received = answer.read()
        assert answer.status == 200 or 400 <= answer.status < 500, (seed, url, body, headers, received)
    connection.close()
    assert server.worker_pids() == workers
    assert "Traceback" not in server.log.read_text()


tensors = st.builds(
    Input,
    name=st.just("x"),
    datatype=st.sampled_from(["BOOL", "INT8", "UINT64", "INT64", "FP16", "FP32", "FP64", "BYTES"]),
    shape=st.sampled_from([(), (1,), (2,), (2, 1), (-1,), (-1, 1), (2, -1)]),
    nullable=st.booleans(),
)


@settings(max_examples=2000)
@given(tensor=tensors, leaves=st.lists(scalars, min_size=1, max_size=4), rank=st.integers(0, 2))
def test_what_is_refused_is_named_and_what_is_accepted_is_what_was_sent(
    tensor: Input, leaves: list[Any], rank: int
) -> None:
    try:
        leaves = orjson.loads(json.dumps(leaves))  # what arrives has been parsed
    except orjson.JSONDecodeError:
        reject()
    row: Any = leaves[0] if rank == 0 else leaves if rank == 1 else [[leaf] for leaf in leaves]
    try:
        array = InputReader(tensor).to_array([row, row])
    except ClientError as error:
        # For an input without bounds, the only refusals are by type, shape and datatype.
        refused = (error.field or "", error.expected)
        array = None
    if array is None:
        assert refused[0].startswith("x")
        assert refused[1]
        return
    sizes = zip(array.shape, (2, *tensor.shape), strict=True)
    assert all(wanted in (-1, size) for size, wanted in sizes)
    missing = [value is None for value in (leaves[:1] if rank == 0 else leaves)] * 2
    kept_values = array.ravel().tolist()
    assert tensor.nullable or not any(missing)
    if array.dtype.kind == "f":
        assert np.array_equal(np.isnan(array).ravel(), missing)
        assert not np.isinf(array).any()
    else:
        assert [kept is None for kept in kept_values] == missing
        assert (array.dtype.kind == "O") == (tensor.nullable or tensor.datatype == "BYTES")
    flat = leaves[:1] if rank == 0 else leaves
    for sent, kept, gap in zip(flat * 2, kept_values, missing, strict=True):
        if gap:
            continue
        if tensor.datatype == "BOOL":
            assert type(kept) is bool
        else:
            assert type(sent) is type(kept) or {type(sent), type(kept)} == {int, float}
        if array.dtype.kind == "f":
            assert kept == float(array.dtype.type(sent))
        else:
            assert kept == sent
