"""What wrk says is read as it is, and what is missing is not taken for nothing."""

import pytest
from load import parse

OUTPUT = """Running 2s test @ http://127.0.0.1:38461/models/iris/predict
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     3.11ms    1.49ms  33.60ms   94.74%
    Req/Sec     5.30k   394.49     5.75k    90.00%
  10559 requests in 2.00s, 3.16MB read
  Non-2xx or 3xx responses: 7
Requests/sec:   5275.57
Transfer/sec:      1.58MB
figures: {"requests": 10559, "microseconds": 2001488, "p50": 2.905, "p99": 8.121, "most": 33.601, "errors": 7}
"""


def test_wrk_is_read_with_its_errors():
    load = parse(OUTPUT)
    assert load.requests == 10559
    assert load.per_second == pytest.approx(5275.57, abs=0.01)
    assert (load.p50, load.p99, load.most) == (2.905, 8.121, 33.601)
    assert load.errors == 7


def test_wrk_without_figures_is_an_error_that_shows_what_it_said():
    with pytest.raises(RuntimeError, match="unable to connect"):
        parse("unable to connect to 127.0.0.1:1 Connection refused\n")
