"""Models loaded and unloaded while the server runs, in every worker or in none."""

import contextlib
import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import Bundles, Server, assert_error_shape, client_for, eventually
from modelhost.models.repository import CHANGES
from modelhost.settings import Settings
from modelhost.web.app import create_app

Start = Callable[..., Server]
IRIS = "[[5.1, 3.5, 1.4, 0.2]]"


@pytest.fixture
def hot(bundles: Bundles, start_server: Start) -> Server:
    """Two workers over colours and iris, which may change."""
    bundles.copy("colours")
    bundles.copy("iris")
    server = start_server(MODELHOST_MODELS_DIR=str(bundles.directory), MODELHOST_HOT_MODELS="true")
    server.wait_until_ready()
    return server


def change(server: Server, name: str, verb: str) -> Any:
    return server.request("POST", f"/v2/repository/models/{name}/{verb}")


def states(server: Server) -> dict[str, str]:
    told = json.loads(server.request("POST", "/v2/repository/index").body)
    return {f"{each['name']}/{each['version']}": each["state"] for each in told}


def everywhere(server: Server, path: str, body: str) -> set[tuple[int, str | None]]:
    """Status and model of twenty answers, each on a connection of its own, so that every worker gives some."""
    answers = [server.request("POST", path, body) for _ in range(20)]
    return {(answer.status, answer.headers["X-Model"]) for answer in answers}


def measured(server: Server, name: str) -> float | None:
    """A metric of iris, None where there is none."""
    lines = server.request("GET", "/metrics").body.decode().splitlines()
    found = [line for line in lines if line.startswith(f"modelhost_{name}{{") and 'model="iris"' in line]
    return sum(float(line.rpartition(" ")[2]) for line in found) if found else None


def new_version(bundles: Bundles, name: str, version: int) -> Path:
    bundle = bundles.copy(name, f"{name}/{version}")
    return bundles.edit(bundle, lambda manifest: manifest.update(version=version))


def test_a_model_unloaded_is_gone_from_every_worker_and_comes_back(hot: Server) -> None:
    hot.request("POST", "/models/iris/predict", IRIS)
    assert eventually(lambda: measured(hot, "requests_total") == 1)
    assert measured(hot, "model_info") == 1
    assert change(hot, "iris", "unload").status == 200
    assert everywhere(hot, "/models/iris/predict", IRIS) == {(404, None)}
    assert measured(hot, "model_info") is None, "it is served no more"
    assert measured(hot, "requests_total") == 1, "a counter never goes back"
    assert states(hot) == {"colours/1": "READY", "iris/1": "UNAVAILABLE"}
    assert "iris" not in hot.request("GET", "/openapi.json").body.decode()
    assert change(hot, "iris", "load").status == 200
    assert measured(hot, "model_info") == 1
    assert everywhere(hot, "/models/iris/predict", IRIS) == {(200, "iris/1")}
    assert states(hot) == {"colours/1": "READY", "iris/1": "READY"}


def test_a_new_version_is_loaded_under_requests_and_none_fails(hot: Server, bundles: Bundles) -> None:
    new_version(bundles, "iris", 2)
    assert states(hot)["iris/2"] == "UNAVAILABLE"
    ended, found = threading.Event(), []

    def ask() -> None:
        while not ended.is_set():
            found.append(hot.request("POST", "/models/iris/predict", IRIS).status)

    asking = [threading.Thread(target=ask) for _ in range(4)]
    for thread in asking:
        thread.start()
    loaded = change(hot, "iris", "load")
    ended.set()
    for thread in asking:
        thread.join()
    assert (loaded.status, loaded.body) == (200, b"")
    assert set(found) == {200}
    assert everywhere(hot, "/models/iris/predict", IRIS) == {(200, "iris/2")}
    assert everywhere(hot, "/models/iris/versions/1/predict", IRIS) == {(200, "iris/1")}


def wrong_version(bundles: Bundles) -> None:
    """A second version of iris that must not be served: its golden example is wrong."""
    bundle = new_version(bundles, "iris", 2)
    golden = json.loads((bundle / "golden.json").read_text())
    golden[0]["outputs"]["species"] = "rose"
    bundles.write(bundle, "golden.json", json.dumps(golden))


def reasons(server: Server, name: str) -> set[str]:
    """Why it is not there, as twenty answers say; every worker gives some."""
    told = [json.loads(server.request("POST", "/v2/repository/index").body) for _ in range(20)]
    return {each["reason"] for listed in told for each in listed if f"{each['name']}/{each['version']}" == name}


def test_a_version_that_must_not_be_served_leaves_what_was(hot: Server, bundles: Bundles) -> None:
    wrong_version(bundles)
    refused = change(hot, "iris", "load")
    assert refused.status == 400
    error = assert_error_shape(refused.body)
    assert error["error"].startswith("The models are those of before: iris/2/model.yaml: golden example 0")
    assert error["field"] == "model"
    assert everywhere(hot, "/models/iris/predict", IRIS) == {(200, "iris/1")}
    assert states(hot) == {"colours/1": "READY", "iris/1": "READY", "iris/2": "UNAVAILABLE"}
    # The worker that was asked for it knows why; the other one only that it is not loaded.
    known = reasons(hot, "iris/2") - {"unloaded"}
    assert ["rose" in each for each in known] == [True]
    assert reasons(hot, "iris/1") == {""}


def test_a_worker_that_starts_after_a_refusal_loads_what_is_served(hot: Server, bundles: Bundles) -> None:
    wrong_version(bundles)
    assert change(hot, "iris", "load").status == 400
    before = hot.worker_pids()
    os.kill(before[0], signal.SIGKILL)
    assert eventually(lambda: len(hot.ready_pids()) == 2 and before[0] not in hot.ready_pids()), hot.log.read_text()
    assert hot.process.poll() is None
    assert everywhere(hot, "/models/iris/predict", IRIS) == {(200, "iris/1")}


def test_a_bundle_that_is_not_whole_is_refused_before_any_worker_is_asked(hot: Server, bundles: Bundles) -> None:
    (new_version(bundles, "iris", 2) / "golden.json").write_text("[]")
    refused = change(hot, "iris", "load")
    assert refused.status == 400
    assert "iris/2/model.yaml: files[golden.json]" in assert_error_shape(refused.body)["error"]
    assert not (hot.ready_dir / "wanted").exists()
    assert any("files[golden.json]" in each for each in reasons(hot, "iris/2"))


def test_a_pickle_is_loaded_by_no_rule_but_that_of_the_start(hot: Server, bundles: Bundles) -> None:
    bundles.pickled(new_version(bundles, "iris", 2))
    refused = change(hot, "iris", "load")
    assert refused.status == 400
    assert "set MODELHOST_ALLOW_PICKLE=iris" in assert_error_shape(refused.body)["error"]
    assert not (hot.ready_dir / "wanted").exists(), "no worker was asked"


def test_a_worker_that_does_not_follow_in_time_refuses_the_change(bundles: Bundles, start_server: Start) -> None:
    bundles.copy("colours")
    bundles.copy("iris")
    server = start_server(
        MODELHOST_MODELS_DIR=str(bundles.directory), MODELHOST_HOT_MODELS="true", MODELHOST_TIMEOUT_SECONDS="1"
    )
    server.wait_until_ready()
    stopped, _ = server.worker_pids()
    os.kill(stopped, signal.SIGSTOP)
    try:
        refused = change(server, "iris", "unload")
    finally:
        os.kill(stopped, signal.SIGCONT)
    assert refused.status == 400
    assert "not every worker has loaded it within 1 s" in assert_error_shape(refused.body)["error"]
    wanted = json.loads((server.ready_dir / "wanted").read_text())
    assert wanted == {"generation": 2, "models": {"colours": [1], "iris": [1]}}


def test_changes_at_the_same_time_are_made_one_after_the_other(hot: Server, bundles: Bundles) -> None:
    names = ["churn", "digits"]
    for name in names:
        bundles.copy(name)
    asking = [threading.Thread(target=change, args=(hot, name, "load")) for name in names]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert states(hot) == {f"{name}/1": "READY" for name in ("churn", "colours", "digits", "iris")}


def test_a_change_waits_until_one_that_is_refused_is_taken_back(hot: Server, bundles: Bundles) -> None:
    wrong_version(bundles)
    bundles.copy("digits")
    found: dict[str, int] = {}
    asking = [
        threading.Thread(target=lambda name=name: found.update({name: change(hot, name, "load").status}))
        for name in ("iris", "digits")
    ]
    for thread in asking:
        thread.start()
        assert eventually((hot.ready_dir / "wanted").exists)
    for thread in asking:
        thread.join()
    assert found == {"iris": 400, "digits": 200}
    assert states(hot) == {
        "colours/1": "READY", "digits/1": "READY", "iris/1": "READY", "iris/2": "UNAVAILABLE",
    }  # fmt: skip


def test_only_what_is_ready_is_listed_where_that_is_asked(hot: Server) -> None:
    change(hot, "iris", "unload")
    listed = json.loads(hot.request("POST", "/v2/repository/index", '{"ready": true}').body)
    assert [each["name"] for each in listed] == ["colours"]
    assert len(json.loads(hot.request("POST", "/v2/repository/index", '{"ready": false}').body)) == 2


def test_a_worker_that_comes_back_loads_what_is_wanted(hot: Server, bundles: Bundles) -> None:
    new_version(bundles, "iris", 2)
    assert change(hot, "iris", "load").status == 200
    new_version(bundles, "iris", 3)  # nobody asked for this one
    before = hot.worker_pids()
    os.kill(before[0], signal.SIGKILL)
    assert eventually(lambda: len(hot.ready_pids()) == 2 and before[0] not in hot.ready_pids())
    assert everywhere(hot, "/models/iris/predict", IRIS) == {(200, "iris/2")}
    assert eventually(lambda: states(hot)["iris/2"] == "READY")


def test_nginx_may_keep_no_answer_of_models_that_may_change(bundles: Bundles, start_server: Start) -> None:
    bundles.copy("iris")
    variables = {"MODELHOST_MODELS_DIR": str(bundles.directory), "MODELHOST_DEFAULT_MODEL": "iris"}
    server = start_server(MODELHOST_HOT_MODELS="true", MODELHOST_CACHE_SECONDS="60", **variables)
    server.wait_until_ready()
    assert server.request("POST", "/", IRIS).headers["X-Accel-Expires"] is None


def test_what_cannot_be_done_is_told(hot: Server, bundles: Bundles) -> None:
    assert change(hot, "lily", "load").status == 404
    assert change(hot, "lily", "unload").status == 404
    kept = change(hot, "colours", "unload")
    assert kept.status == 409
    assert "answers at /" in assert_error_shape(kept.body)["error"]
    bundles.edit(bundles.directory / "iris" / "1", lambda manifest: manifest.update(description="Another"))
    changed = change(hot, "iris", "load")
    assert changed.status == 409
    assert "a new version" in assert_error_shape(changed.body)["error"]


def test_more_changes_than_may_wait_are_told_when_to_come_again(bundles: Bundles, tmp_path: Path) -> None:
    bundles.copy("colours")
    (tmp_path / "ready").mkdir()
    app = create_app(Settings(models_dir=bundles.directory, hot_models=True, ready_dir=tmp_path / "ready"))
    with contextlib.ExitStack() as under_way:
        for _ in range(CHANGES):
            under_way.enter_context(app.repository._changing)
        refused = client_for(app).post("/v2/repository/models/colours/load")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert assert_error_shape(refused.data)["error"].startswith("4 changes of the models are under way")


def test_what_is_made_ready_is_served_from_the_change_on_and_not_before(bundles: Bundles, tmp_path: Path) -> None:
    for name in ("colours", "iris"):
        bundles.copy(name)
    (tmp_path / "ready").mkdir()
    app = create_app(Settings(models_dir=bundles.directory, hot_models=True, ready_dir=tmp_path / "ready"))
    client, registry = client_for(app), app.repository.registry
    every, iris = registry.models, registry.find("iris")

    def served() -> tuple[int, bool, bool]:
        status = client.post("/models/iris/predict", data=IRIS).status_code
        return status, "iris" in registry.models, ("iris", 1) in app.pipeline._served

    switch = app.repository._prepare({"colours": every["colours"]})
    assert served() == (200, True, True)
    assert app.pipeline.served(iris).model is iris
    switch()
    assert served() == (404, False, False)
    switch = app.repository._prepare(every)
    assert served() == (404, False, False)
    switch()
    assert served() == (200, True, True)


def test_a_worker_that_ends_while_others_look_is_not_missed(bundles: Bundles, tmp_path: Path) -> None:
    bundles.copy("colours")
    ready = tmp_path / "ready"
    ready.mkdir()
    (ready / "wanted").write_text('{"generation": 1, "models": {"colours": [1]}}')
    (ready / "7.has").symlink_to("gone")  # listed, and then not there
    app = create_app(Settings(models_dir=bundles.directory, hot_models=True, ready_dir=ready, workers=1))
    (told,) = app.repository.index()
    assert told["state"] == "LOADING"
    (ready / "8.has").write_text('{"generation": 1, "failure": ""}')
    (told,) = app.repository.index()
    assert told["state"] == "READY"
