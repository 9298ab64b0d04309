"""Print what a play has to report, and nothing else: `make status` and the like."""

from __future__ import annotations

from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: report
type: stdout
short_description: What a play says by debug, what went wrong, and nothing else
description:
  - For playbooks that look, or do one thing. C(make status), C(history), C(plan), C(logs) and C(rollback) choose it.
  - To choose it for any playbook, set C(ANSIBLE_STDOUT_CALLBACK=modelhost.modelhost.report).
  - What went wrong goes to the standard error, and so does at the end which hosts have no report.
author: modelhost
"""

DEBUG = {"debug", "ansible.builtin.debug", "ansible.legacy.debug"}


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "report"

    def v2_runner_on_ok(self, result: Any) -> None:
        """Print what a debug task says."""
        if result.task.action in DEBUG and "msg" in result.result:
            self._print(result.host.name, result.result["msg"])

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Print why a task failed; of a loop each item has done so already."""
        if not ignore_errors and "results" not in result.result:
            self._print(result.host.name, result.result.get("msg", "failed"), wrong=True)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        """Print why an item failed."""
        self._print(result.host.name, result.result.get("msg", "failed"), wrong=True)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Print why a host did not answer."""
        self._print(result.host.name, result.result.get("msg", "does not answer"), wrong=True)

    def v2_playbook_on_no_hosts_matched(self) -> None:
        """Print that there is nothing to do it to."""
        self._display.display("there is no host to report of", stderr=True)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Name the hosts that have no report."""
        without = sorted({*stats.dark, *stats.failures} - {"localhost"})
        if without:
            self._display.display(f"no report of: {', '.join(without)}", stderr=True)

    def _print(self, host: str, message: Any, wrong: bool = False) -> None:
        lines = message if isinstance(message, list) else str(message).splitlines()
        for line in [f"{host}:", *(f"  {line}" for line in lines)]:
            self._display.display(line, color="red" if wrong else None, stderr=wrong)
