"""Clients that take their time, as many as slowhttptest opens, beside one that does not."""

from readers import slowhttptest
from row import Check, CheckError, Outcome
from scenery import Scenery

CONNECTIONS = 1000
LONG_SECONDS, SHORT_SECONDS = 240, 30
MOST_P99_SECONDS = 1.0
# A path that needs no key, whatever is sent there.
PATH = "/healthz"
MODES = {
    "slow headers": ["-H"],
    "slow body": ["-B", "-t", "POST", "-s", "8192"],
    "slow read": ["-X", "-w", "10", "-y", "20", "-n", "5", "-z", "32", "-k", "3"],
    "range": ["-R", "-t", "GET", "-a", "10", "-b", "3000"],
}


def measure(scenery: Scenery) -> Outcome:
    """One mode after the other."""
    seconds = LONG_SECONDS if scenery.long else SHORT_SECONDS
    url = f"https://{scenery.target.addresses[0]}{PATH}"
    worst, failures, sent, notes = 0.0, [], 0, []
    for mode, options in MODES.items():
        command = [
            "slowhttptest",
            *options,
            "-c",
            str(CONNECTIONS),
            "-r",
            "200",
            "-i",
            "10",
            "-l",
            str(seconds),
            "-u",
            url,
        ]
        # It keeps its connections, and opens new ones: both have to be served.
        with scenery.client(pooled=1, fresh=1, rate=10) as client:
            printed = scenery.attacker.run(*command)
        try:
            ending = slowhttptest.ending(printed)
        except ValueError as error:
            raise CheckError(str(error)) from error
        most = slowhttptest.most_connected(printed)
        worst, sent = max(worst, client.p99()), sent + client.sent
        failures += client.failures
        notes.append(
            f"slowhttptest, {mode}: at most {most} connections at one time, {ending['exit']}; p99 {client.p99():.2f} s"
        )
    return Outcome(
        f"{len(failures)} of {sent:,} failed, p99 {worst:.2f} s in the worst mode",
        not failures and worst < MOST_P99_SECONDS,
        notes + failures[:3],
    )


CHECK = Check(
    "slow-clients",
    f"slowhttptest in four modes (slowloris, slow body, slow read, range), {CONNECTIONS:,} connections, "
    f"{LONG_SECONDS} s each ({SHORT_SECONDS} s in the short form): a client beside it",
    f"0 failed, p99 under {MOST_P99_SECONDS:g} s",
    measure,
)
