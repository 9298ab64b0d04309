"""Print what a play has to report, and nothing else: `make status` and the like."""

from __future__ import annotations

from typing import Any

from ansible.plugins.callback import CallbackBase
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.step_result import failure_reasons, items_of, messages
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.step_task import is_debug

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


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "report"

    def v2_runner_on_ok(self, result: Any) -> None:
        """Print what a debug task says."""
        if is_debug(result.task) and (printed := messages(result)):
            self._print(result.host.name, printed)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Print why a task failed."""
        if not ignore_errors:
            self._print_failure(result, "failed")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Print why a host did not answer."""
        self._print_failure(result, "unreachable")

    def v2_playbook_on_no_hosts_matched(self) -> None:
        """Print that there is nothing to do it to."""
        self._display.display("there is no host to report of", stderr=True)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Name the hosts that have no report."""
        without = sorted({*stats.dark, *stats.failures} - {"localhost"})
        if without:
            self._display.display(f"no report of: {', '.join(without)}", stderr=True)

    def _print_failure(self, result: Any, what: str) -> None:
        """Print why a task failed, or of a loop why each item did."""
        for one in [item for item in items_of(result) if item.get(what)] or [result.result]:
            self._print(result.host.name, failure_reasons(one), wrong=True)

    def _print(self, host: str, lines: list[str], wrong: bool = False) -> None:
        for line in [f"{host}:", *(f"  {line}" for line in lines)]:
            self._display.display(line, color="red" if wrong else None, stderr=wrong)
