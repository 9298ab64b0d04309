"""What TLS and keys cost for connections that are kept, beside plain HTTP of the same machine."""

from statistics import median

import lua
from attacker import Attacker
from readers import wrk
from row import Check, CheckError, Outcome
from scenery import Scenery

MOST_PERCENT = 15
CONNECTIONS = 16
SCRIPT = "/tmp/ask.lua"


def measure(scenery: Scenery) -> Outcome:
    """Ask in turn by HTTPS with a key and by plain HTTP, which serves the machine itself; compare within each pair."""
    pairs, seconds = (12, 10) if scenery.long else (6, 5)
    inside = Attacker(scenery.target.container, inside=True)
    inside.start()
    try:
        inside.write(SCRIPT, lua.ASK)
        # By an address of its own: whoever asks 127.0.0.1 is the machine itself, and needs no key.
        safe = [f"https://{scenery.target.addresses[0]}/", "--", scenery.target.bearer()["Authorization"]]
        plain = ["http://127.0.0.1/"]
        for words in (safe, plain):
            ask(inside, 2, words)
        ratios, speeds = [], []
        for number in range(pairs):
            order = [safe, plain] if number % 2 else [plain, safe]
            speed = {words[0]: ask(inside, seconds, words) for words in order}
            ratios.append(speed[safe[0]] / speed[plain[0]])
            speeds.append(speed)
    finally:
        inside.remove()
    cost, least, most = ((1 - ratio) * 100 for ratio in (median(ratios), max(ratios), min(ratios)))
    told = "; ".join(f"{speed[safe[0]]:,.0f} of {speed[plain[0]]:,.0f}" for speed in speeds)
    return Outcome(
        f"{cost:.0f} % (median of {pairs} pairs, {least:.0f} to {most:.0f} %)",
        cost <= MOST_PERCENT,
        [
            f"Requests a second with TLS and a key, of those without: {told}.",
            "wrk shares the cores, and pays its half of TLS.",
        ],
    )


def ask(inside: Attacker, seconds: int, words: list[str]) -> float:
    """Requests a second; raises CheckError where not all were answered with 200."""
    printed = inside.run("wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", SCRIPT, *words)
    try:
        told = wrk.figures(printed)
    except ValueError as error:
        raise CheckError(str(error)) from error
    if told["socket_errors"] or told["requests"] == 0 or "Non-2xx" in printed:
        raise CheckError(f"not all were answered: {printed}")
    return float(told["requests"] / (told["microseconds"] / 1e6))


CHECK = Check(
    "cost",
    "cost of TLS and keys for kept connections, beside plain HTTP on the same machine (wrk, in pairs)",
    f"at most {MOST_PERCENT} % of requests a second",
    measure,
    unseen="the speed of a network: client and server share the cores",
)
