"""The description in OpenAPI 3.1 is true, and the page that shows it needs nothing from elsewhere."""

from typing import Any

import numpy as np
import pytest
import schemathesis
from harness import Bundles, client_for
from hypothesis import HealthCheck, given, settings
from modelhost.settings import Settings
from modelhost.web.app import create_app
from modelhost.web.asgi import Application
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance
from werkzeug.test import Client


def says_more_than_json_schema_can(case: schemathesis.Case) -> bool:
    """Columns must be of one length, a tensor's data fill its shape, and CSV have fields: no schema can say so."""
    if case.media_type == "text/csv":
        return True
    return isinstance(case.body, dict) and not case.body.keys().isdisjoint({"columns", "inputs", "dataframe_split"})


def is_rounded_to_a_bound(value: Any) -> bool:
    """Whether a number in `value` is beyond a bound, but not so as the FP32 that it becomes: 4.000000000000001."""
    if isinstance(value, dict | list):
        return any(map(is_rounded_to_a_bound, value.values() if isinstance(value, dict) else value))
    if not isinstance(value, float) or abs(value) > 100:
        return False
    rounded = float(np.float32(value))
    return value != rounded and rounded.is_integer()


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_answer_is_as_described(app: Application, mode: GenerationMode) -> None:
    """What the schemas allow is answered as they say, and what they forbid is refused."""
    seen = []
    for result in schemathesis.openapi.from_wsgi("/openapi.json", client_for(app).application).get_all_operations():
        operation = result.ok()
        if mode is GenerationMode.NEGATIVE and operation.method == "get":
            continue

        @settings(
            max_examples=2 if operation.method == "get" else 15,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def check(case: schemathesis.Case) -> None:
            excluded = [positive_data_acceptance] if says_more_than_json_schema_can(case) else []
            excluded += [negative_data_rejection] if is_rounded_to_a_bound(case.body) else []
            answer = case.call_and_validate(headers={"Accept-Encoding": "identity"}, excluded_checks=excluded)
            seen.append(answer.status_code)

        check()
    assert seen.count(200 if mode is GenerationMode.POSITIVE else 400) > 150


def test_every_example_is_answered_with_the_example(client: Client) -> None:
    paths = (client.get("/openapi.json").json or {})["paths"]
    posts = {path: operations["post"] for path, operations in paths.items() if "post" in operations}
    assert len(posts) == 2 + 4 * 4
    compared = set()
    for path, operation in posts.items():
        content = operation["requestBody"]["content"]
        assert ("text/csv" in content) == path.endswith("/invocations")
        if "text/csv" in content:
            answer = client.post(path, data=content["text/csv"]["example"], content_type="text/csv")
            assert answer.status_code == 200, (path, answer.text)
        answer = client.post(path, json=content["application/json"]["example"])
        assert answer.status_code == 200, (path, answer.text)
        assert answer.json
        shown = operation["responses"]["200"]["content"]["application/json"].get("example")
        if shown:
            assert answer.json["prediction"].keys() == shown["prediction"].keys()
            compared.add(path)
    assert len(compared) == 5, "each model's own URL, and /"


def test_each_model_has_a_typed_schema(client: Client) -> None:
    schemas = (client.get("/openapi.json").json or {})["components"]["schemas"]
    by_feature, whole = schemas["iris.Record"]["anyOf"]
    assert by_feature["properties"]["petal_width"] == {
        "type": "number", "format": "float", "minimum": 0, "maximum": 4, "description": "Petal width (cm)",
    }  # fmt: skip
    assert whole["properties"]["measurements"]["maxItems"] == 4
    assert schemas["colours.Record"]["properties"]["index"]["type"] == "integer"
    assert schemas["iris.Prediction"]["properties"]["species"]["enum"] == ["setosa", "versicolor", "virginica"]


def test_older_versions_are_described_at_their_urls(bundles: Bundles) -> None:
    bundles.copy("colours")
    newer = bundles.copy("colours", "colours/2")
    bundles.edit(newer, lambda manifest: manifest.update(version=2))
    client = client_for(create_app(Settings(models_dir=bundles.directory)))
    paths = (client.get("/openapi.json").json or {})["paths"]
    assert {"/models/colours/predict", "/models/colours/versions/1/predict"} <= paths.keys()
    assert "/models/colours/versions/2/predict" not in paths
    for path, operations in paths.items():
        assert all(client.open(path, method=method).status_code != 404 for method in operations), path


def test_the_page_is_served_whole_from_our_own_origin(client: Client) -> None:
    page = client.get("/docs")
    assert page.mimetype == "text/html"
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "unsafe" not in policy
    assert "http" not in page.text
    for asset in ("/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js", "/docs/docs.js"):
        assert f'"{asset}"' in page.text
        assert client.get(asset).status_code == 200
    assert "SwaggerUIBundle" in client.get("/docs/swagger-ui-bundle.js").text
    assert client.get("/docs/nope.js").status_code == 404
    assert client.get("/docs/..%2fapp.py").status_code == 404
