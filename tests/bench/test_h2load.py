"""What h2load says is read as it is, a call that gRPC refused is a failure, and who waited to ask has waited."""

from array import array

import pytest
from h2load import Log, at, from_due, parse

# A message of gRPC that is right has 55 bytes here.
OUTPUT = """finished in 3.00s, 811.67 req/s, 293.11KB/s
requests: 2435 total, 2435 started, 2435 done, 2435 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 2435 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 879.34KB (900449) total, 626.52KB (641555) headers (space savings 23.85%), 130.79KB (133925) data
                     min         max         mean         sd        +/- sd
time for request:      494us    673.38ms     19.11ms     44.53ms    96.55%
"""
REFUSED = OUTPUT.replace("130.79KB (133925) data", "0B (0) data")
LATENCIES = [1000] * 98 + [5000, 9000]


def test_h2load_is_read_with_its_latencies():
    load = parse(OUTPUT, LATENCIES, 55)
    assert (load.requests, load.per_second, load.errors) == (2435, 811.67, 0)
    assert (load.p50, load.p99, load.most) == (1.0, 9.0, 9.0)


def test_calls_that_grpc_refused_are_errors_though_http_has_none():
    assert parse(REFUSED, LATENCIES, 55).errors == 2435
    assert parse(OUTPUT.replace("(133925) data", "(133870) data"), LATENCIES, 55).errors == 1
    assert parse(REFUSED, LATENCIES).errors == 0


@pytest.mark.parametrize(
    "counts",
    [
        "2435 total, 2435 started, 2435 done, 2430 succeeded, 5 failed, 0 errored, 0 timeout",
        "2440 total, 2435 started, 2435 done, 2435 succeeded, 0 failed, 5 errored, 0 timeout",
    ],
)
def test_what_was_refused_or_not_answered_is_an_error(counts):
    right = "2435 total, 2435 started, 2435 done, 2435 succeeded, 0 failed, 0 errored, 0 timeout"
    assert parse(OUTPUT.replace(right, counts), LATENCIES).errors == 5


def test_h2load_without_figures_is_an_error_that_shows_what_it_said():
    with pytest.raises(RuntimeError, match="unrecognized option"):
        parse("h2load: unrecognized option '--rp'\n", [])
    with pytest.raises(RuntimeError, match="2435 total"):  # nothing in its log
        parse(OUTPUT, [])


def by_the_clock(stalls=()):
    """Ten connections that ask every 10 ms for ten seconds, not evenly, and each stall's begin and length in ms."""
    begun, took = [], []
    for number in range(10_000):
        turn, place = divmod(number, 10)
        due = turn * 10 + place**2 / 10
        asked, ended = due, due + 1
        for first, length in stalls:
            # Each has one question under way when it begins, and asks what it missed at its end.
            if first <= due < first + length:
                asked = due if due < first + 10 else first + length
                ended = first + length + 1
        begun.append(round(asked * 1000))
        took.append(round((ended - asked) * 1000))
    return Log(array("q", begun), array("q", took))


def test_a_server_in_time_has_the_latencies_of_its_answers():
    latencies = from_due(by_the_clock(), 1000, 10)
    assert set(latencies) == {1000}
    assert 7900 <= len(latencies) <= 8100  # less the first and the last second


def test_who_could_not_ask_in_a_stall_has_waited_from_when_it_was_due():
    log = by_the_clock([(4000, 200)])
    assert sum(took > 10_000 for took in log.took) == 10
    late = [took for took in from_due(log, 1000, 10) if took > 10_000]
    assert 180 <= len(late) <= 200
    assert late[-1] == pytest.approx(201_000, abs=1000)
    assert late[len(late) // 2] == pytest.approx(105_000, abs=10_000)


def test_a_server_that_cannot_keep_up_is_later_and_later():
    log = by_the_clock()
    slower = Log(array("q", (begun * 2 for begun in log.begun)), log.took)
    assert at(from_due(slower, 1000, 10), 0.999) > 7000
