"""What the result of a task says to people: its message, and why it failed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

import yaml
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.proxy_words import proxy_words
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.step_task import is_debug

Result = Mapping[str, Any]

# Where a program that failed may have said why, in this order.
STREAMS = ("stderr", "module_stderr", "stdout", "module_stdout")
# What command and shell say of every exit code but 0.
NO_REASON = "non-zero return code"
COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# Of the result of debug, what is not the value of a variable.
NO_VALUE = {"changed", "failed", "item", "warnings", "deprecations", "censored"}


def lines(value: Any) -> list[str]:
    """Split a text or a list of texts into lines without control characters; anything else is shown as YAML."""
    texts = value if isinstance(value, list) else [value]
    if not all(isinstance(text, str) for text in texts):
        texts = [yaml.safe_dump(value, allow_unicode=True, sort_keys=False).removesuffix("...\n")]
    return [_plain(line) for text in texts for line in text.rstrip().splitlines() or [""]]


def _plain(line: str) -> str:
    return "".join(sign for sign in COLOURS.sub("", line).expandtabs(4) if sign.isprintable())


def items_of(result: Any) -> list[Result]:
    """The results of a loop's items; empty where there is no loop."""
    results = result.result.get("results", []) if result.task.loop else []
    return [item for item in results if isinstance(item, Mapping)]


def messages(result: Any) -> list[str]:
    """What debug prints, or what a step of a release has measured; of a loop, of each item."""
    message = _printed_by_debug if is_debug(result.task) else _progress
    return [line for one in items_of(result) or [result.result] for line in message(one)]


def _progress(result: Result) -> list[str]:
    return lines(result["progress"]) if result.get("progress") else []


def _printed_by_debug(result: Result) -> list[str]:
    if result.get("skipped"):
        return []
    if "msg" in result:
        return lines(result["msg"])
    values = {
        name: value for name, value in result.items() if name not in NO_VALUE and not name.startswith("_ansible_")
    }
    return lines(values) if values else []


def failure_reasons(result: Result) -> list[str]:
    """Why a task failed: of a proxy what to do; its message, the command and its exit code; all that this printed."""
    if "censored" in result:
        return lines(result["censored"])
    found = lines(result["msg"]) if result.get("msg", NO_REASON) != NO_REASON else []
    if "cmd" in result and result.get("rc"):
        command = result["cmd"] if isinstance(result["cmd"], str) else shlex.join(map(str, result["cmd"]))
        found += lines(f"exit code {result['rc']} of: {command}")
    printed = [line for stream in STREAMS if result.get(stream) for line in lines(result[stream])]
    found += [line for line in printed if line not in found]
    found = proxy_words("\n".join(found)) + found
    return found or ["it gives no reason; ansible-playbook -v shows its result"]
