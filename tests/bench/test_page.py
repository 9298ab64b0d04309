"""The page says of each aim whether the run met it, and of what was not measured that it was not."""

import copy
import re

import page
import pytest
from aims import aims
from peers import ALL, BY_NAME

OURS_PER_SECOND = {"iris": 8000, "rf": 8200, "rf64": 3300, "iris1": 3000}


def case(per_second, p50, p99):
    return {"requests": 1, "per_second": per_second, "p50": p50, "p99": p99, "most": p99, "errors": 0}


def a_round(peer, factor):
    """One in which ours answers what we aim for, and each peer a thousand requests a second."""
    if peer.ours:
        cases = {name: case(OURS_PER_SECOND.get(name, 2000) * factor, 0.1, 3.0) for name in peer.cases}
    else:
        cases = {name: case(1000.0, 1.0, 40.0) for name in peer.cases}
    return {"start_seconds": 0.5, "memory_mb": 99.0 if peer.ours else 300.0, "cases": cases}


@pytest.fixture
def told():
    # The median is the middle one.
    rounds = {peer.name: [a_round(peer, factor) for factor in (0.5, 1.0, 3.0)] for peer in ALL}
    rounds["raw"] = [a_round(BY_NAME["raw"], 1.2)]
    rounds["modelhost-gevent"] = [a_round(BY_NAME["modelhost-gevent"], 0.6)]
    rounds["modelhost-cached"] = [a_round(BY_NAME["modelhost-cached"], 4)]  # 32,000
    rounds["seed"][0]["cases"]["rf"] = rounds["seed"][1]["cases"]["rf"] = case(300.0, 1.0, 40.0)
    return {
        "machine": {"processor": "one"},
        "versions": {"seed": "flask 3"},
        "seconds": 8.0,
        "rounds": rounds,
        "failed": {},
        "skipped": {},
        "long": [{"requests": 100_000, "memory_mb": 100.0}, {"requests": 1_000_000, "memory_mb": 101.0}],
        "soak": {
            "seconds": 600,
            "full_per_second": 8000.0,
            "rate": 6400,
            "requests": 3_840_000,
            "errors": 0,
            "p999": 20.0,
            "begun_mb": 99.0,
            "ended_mb": 100.0,
        },
    }


def verdicts(told):
    return {aim.figure: aim.met for aim in aims(told)}


def test_every_aim_is_met_by_figures_that_reach_it(told):
    missed = [figure for figure, met in verdicts(told).items() if met is False]
    unknown = [figure for figure, met in verdicts(told).items() if met is None]
    assert not missed
    assert unknown == ["the same from `docker compose up`"]


@pytest.mark.parametrize(
    ("change", "missed"),
    [
        (lambda r: [x["cases"]["iris"].update(per_second=3999) for x in r["modelhost"]], "against the best framework"),
        (lambda r: [x["cases"]["rf"].update(per_second=450) for x in r["seed"]], "rf, against the seed"),
        (lambda r: [x["cases"]["iris"].update(p99=5.9) for x in r["fastapi"]], "p99, iris"),
        (lambda r: [x["cases"]["rf"].update(p99=4.1) for x in r["modelhost"]], "p99, rf"),
        (lambda r: [x["cases"]["iris1"].update(p50=0.16) for x in r["modelhost"]], "p50, iris over 1 connection"),
        (lambda r: [x["cases"]["iris1"].update(p50=0.09) for x in r["mlflow"]], "the same, against the peers"),
        (lambda r: [x.update(memory_mb=101) for x in r["modelhost"]], "memory with three models"),
        (lambda r: [x["cases"]["iris"].update(per_second=3201) for x in r["fastapi-onnx"]], "FastAPI with ONNX"),
        (lambda r: [x["cases"]["iris"].update(per_second=8001) for x in r["granian-onnx"]], "Granian with ONNX"),
        (lambda r: [x["cases"]["iris"].update(per_second=5001) for x in r["modelhost-gevent"]], "the version before"),
        (lambda r: [x["cases"]["iris"].update(per_second=29_999) for x in r["modelhost-cached"]], "cached in nginx"),
        (lambda r: [x["cases"]["beside-python"].update(p99=8) for x in r["modelhost-slow"]], "in pure Python"),
        (lambda r: [x.update(memory_mb=251) for x in r["modelhost-many"]], "100 models"),
        (lambda r: [x["cases"]["beside-sleeps"].update(p99=25) for x in r["modelhost-slow"]], "waits 500 ms"),
    ],
)
def test_an_aim_that_is_missed_is_said_to_be(change, missed, told):
    change(told["rounds"])
    assert any(missed in figure and met is False for figure, met in verdicts(told).items())
    assert "**not met**" in page.markdown(told)


def test_memory_that_grows_is_not_flat(told):
    told["long"][-1]["memory_mb"] = 106.0
    assert verdicts(told)["memory over 1,000,000 requests"] is False


@pytest.mark.parametrize(
    ("change", "met"),
    [
        ({}, True),
        ({"p999": 25.0}, False),
        ({"ended_mb": 104.0}, False),
        ({"errors": 1}, False),
        ({"seconds": 60}, None),
        ({"seconds": 60, "p999": 25.0}, False),
    ],
)
def test_ten_minutes_by_the_clock_are_judged_by_the_slowest_and_by_memory(change, met, told):
    told["soak"] |= change
    assert verdicts(told)["10 minutes at 80 % of full load"] is met


def test_a_run_without_them_has_not_measured_them(told):
    del told["soak"]  # as figures from before there was such an option
    (aim,) = [aim for aim in aims(told) if aim.figure == "10 minutes at 80 % of full load"]
    assert (aim.met, aim.measured) == (None, "not measured: run with --soak 600")


def test_grpc_stands_beside_http_only_where_it_was_measured(told):
    told["rounds"]["modelhost-grpc"][1]["cases"]["iris-grpc"] = case(2345.0, 0.5, 6.0)
    assert "| iris over gRPC, TLS | 2,345 | 0.10 / 3.0 |" in page.markdown(told)
    assert "| iris as JSON over HTTP/2, TLS | 2,000 | 0.10 / 3.0 |" in page.markdown(told)
    del told["rounds"]["modelhost-grpc"]
    assert "by h2load" not in page.markdown(told)


def test_the_page_has_a_row_for_each_server_with_its_ratio(told):
    text = page.markdown(told)
    assert re.search(r"^\| MLServer \| 1,000 \(8\.00\) \| 1,000 \(8\.20\) \|", text, re.MULTILINE)
    assert all(f"| {peer.title} |" in text for peer in ALL)


def test_what_a_run_left_out_or_lost_is_shown_as_such(told):
    told["rounds"] = {name: told["rounds"][name] for name in ("modelhost", "seed")}
    told["failed"] = {"mlserver": "it ended"}
    text = page.markdown(told)
    assert "Incomplete: mlserver failed" in text
    assert set(verdicts(told).values()) >= {None, True}
    assert verdicts(told)["rf64, against the best framework"] is None


def test_all_plots_have_bars_and_none_shows_our_special_runs(told):
    for plot in page.bars(copy.deepcopy(told)).values():
        for series in plot["panels"].values():
            titles = [title for title, _ in series]
            assert "modelhost" in titles
            assert BY_NAME["raw"].title not in titles
