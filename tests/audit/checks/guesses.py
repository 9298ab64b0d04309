"""Wrong keys at full speed, beside a client with a right one."""

import time

import lua
from readers import wrk
from row import Check, CheckError, Outcome
from scenery import Scenery

LONG, SHORT = 100_000, 10_000
MOST_P99_SECONDS = 0.025
CONNECTIONS = 16
SLICE_SECONDS, MOST_SLICES = 5, 60
SCRIPT = "/tmp/guess.lua"


def measure(scenery: Scenery) -> Outcome:
    """Guess by wrk, until there were enough."""
    wanted = LONG if scenery.long else SHORT
    scenery.attacker.write(SCRIPT, lua.GUESS)
    slices: list[dict[str, float]] = []
    with scenery.client(pooled=2, fresh=0, rate=100) as before:
        time.sleep(SLICE_SECONDS)
    with scenery.client(pooled=2, fresh=0, rate=100) as client:
        while sum(one["refused"] + one["other"] for one in slices) < wanted:
            if len(slices) == MOST_SLICES:
                raise CheckError(f"not enough keys were tried in {MOST_SLICES * SLICE_SECONDS} s: {slices[-1]}")
            slices.append(guess(scenery, seed=len(slices)))
    refused, accepted = (int(sum(one[name] for one in slices)) for name in ("refused", "other"))
    failed, p99 = len(client.failures), client.p99()
    per_second = (refused + accepted) / (len(slices) * SLICE_SECONDS)
    return Outcome(
        f"{accepted} of {refused + accepted:,} accepted; "
        f"{failed} of {client.sent:,} right ones failed, p99 {p99 * 1000:.0f} ms",
        accepted == 0 and failed == 0 and p99 < MOST_P99_SECONDS,
        [
            f"Wrong keys came at {per_second:,.0f} a second, over {CONNECTIONS} kept connections.",
            f"Before them the right one's p99 was {before.p99() * 1000:.0f} ms.",
            *client.failures[:3],
        ],
    )


def guess(scenery: Scenery, seed: int) -> dict[str, float]:
    """Guess for some seconds. What was answered by anything but 401 counts as accepted."""
    url = f"https://{scenery.target.addresses[0]}/"
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SLICE_SECONDS}s", "-s", SCRIPT, url, "--", str(seed)]
    try:
        return wrk.figures(scenery.attacker.run(*command))
    except ValueError as error:
        raise CheckError(str(error)) from error


CHECK = Check(
    "guesses",
    f"{LONG:,} wrong keys at full speed ({SHORT:,} in the short form) beside a client with a right one",
    f"0 accepted; the right one's p99 under {MOST_P99_SECONDS * 1000:.0f} ms",
    measure,
)
