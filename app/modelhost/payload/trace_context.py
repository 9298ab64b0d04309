"""What a line of the log says of the request that it is about: its id, and the trace that it is part of.

A trace is named by the client's header traceparent. One that is invalid counts as absent, and none is made here: no
span of ours is recorded anywhere (docs/decisions/093). nginx's conf.d/log has the same pattern.
Source: W3C Trace Context, Level 1, 3.2 (https://www.w3.org/TR/trace-context-1/#traceparent-header).
"""

import re

# A version, the trace, its parent in it, and flags; ff is no version, and no id is all zeros. Version 00 ends there, a
# later one may go on after another dash.
TRACEPARENT = re.compile(
    "^(?!ff)(?!00.{54})[0-9a-f]{2}-(?!0{32})(?P<trace>[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-|$)"
)
MOST_ID = 128  # characters of a request's id, as nginx allows


def log_fields(request_id: str | None, traceparent: str | None) -> dict[str, str]:
    """`extra` of a line in the log, by its two headers; what is not known is left out."""
    trace = TRACEPARENT.match(traceparent or "")
    fields = {"request_id": (request_id or "")[:MOST_ID], "trace_id": trace["trace"] if trace else ""}
    return {name: value for name, value in fields.items() if value}
