"""Load by wrk: many connections that send varying bodies as fast as they are answered."""

import json
import re
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

MARK = "figures: "
# wrk runs this in Lua. Requests are formatted once, so that sending one costs nothing; the 200 come in turn.
SCRIPT = """
local requests = {}
local turn = 0
init = function(args)
  for body in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format("POST", nil, {["Content-Type"] = "application/json"}, body)
  end
end
request = function()
  turn = turn % #requests + 1
  return requests[turn]
end
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format(
    'figures: {"requests": %d, "microseconds": %d, "p50": %.3f, "p99": %.3f, "most": %.3f, "errors": %d}\\n',
    summary.requests, summary.duration, latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    latency.max / 1000, e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass(frozen=True)
class Load:
    """What one run of wrk saw; latencies in ms."""

    requests: int
    per_second: float
    p50: float
    p99: float
    most: float
    errors: int  # answers other than 2xx and 3xx, and everything that went wrong with a socket

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


class Wrk:
    """A run of wrk that has been started."""

    def __init__(self, folder: Path, url: str, bodies: list[Any], connections: int, seconds: int) -> None:
        script, lines = folder / "load.lua", folder / f"bodies-{re.sub(r'[^a-z0-9]', '_', url)}.jsonl"
        script.write_text(SCRIPT)
        lines.write_text("".join(json.dumps(body) + "\n" for body in bodies))
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(script)]
        self.process = subprocess.Popen(
            [*command, url, "--", str(lines)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def result(self) -> Load:
        """Wait for the end, and read what it says; raises RuntimeError where wrk did not run."""
        return parse(self.process.communicate()[0])


def parse(output: str) -> Load:
    """Read wrk's output; raises RuntimeError with all of it if the figures are missing."""
    found = [line for line in output.splitlines() if line.startswith(MARK)]
    if not found:
        raise RuntimeError(f"wrk gave no figures: {output.strip()}")
    told = json.loads(found[0].removeprefix(MARK))
    per_second = told["requests"] / (told["microseconds"] / 1e6)
    return Load(told["requests"], per_second, told["p50"], told["p99"], told["most"], told["errors"])
