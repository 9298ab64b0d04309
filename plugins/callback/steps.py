"""Print a line for each step that does something, and the seconds it took: what a person wants to see of a play."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

from ansible import constants
from ansible.plugins.callback.default import CallbackModule as Default
from ansible.utils.display import Display
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.running_line import RunningLine
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.step_result import (
    failure_reasons,
    items_of,
    lines,
    messages,
)
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.step_task import in_plain_words, is_rescued, place_of

DOCUMENTATION = """
name: steps
type: stdout
short_description: A line for each step that does something, and the seconds it took
description:
  - A step has a line where it changed something, has a message, failed, or took 5 seconds or longer. What was skipped
    or only looked has none. Beneath it are the items of a loop that changed something, its message, and its diff.
  - The last line of a terminal names what runs now, and since when. Elsewhere there are no control characters.
  - With C(-v) it is Ansible's default output, with every task and result.
  - To choose it, set C(stdout_callback = modelhost.modelhost.steps) in ansible.cfg.
author: modelhost
extends_documentation_fragment:
  - default_callback
  - result_format_callback
"""

# A step that only looked, or waited, has a line if it took as long; otherwise no one sees where the time went.
LONG_SECONDS = 5
INDENT = " " * 12


class CallbackModule(Default):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "steps"

    def __init__(self) -> None:
        super().__init__()
        self._begun = time.monotonic()
        self._heading = ""
        self._several_hosts = False
        self._task_name = ""
        # By host and task: when it began.
        self._running: dict[tuple[str, str], float] = {}
        # By host and task: its differences, until its line has been printed.
        self._diffs: dict[tuple[str, str], str] = {}
        self._line = RunningLine(lambda text: self._display.display(text, screen_only=True, newline=False))

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Keep the heading until the play does something."""
        self._heading = play.get_name().strip() + (" (check mode)" if play.check_mode else "")
        variables = play.get_variable_manager().get_vars(play=play, include_hostvars=False)
        self._several_hosts = len(variables["ansible_play_hosts_all"]) > 1

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool = False) -> None:
        """Keep the name, whose variables are filled in only now."""
        self._task_name = in_plain_words(task.get_name())

    v2_playbook_on_handler_task_start = v2_playbook_on_task_start

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """Name what runs now."""
        self._running[host.name, task._uuid] = time.monotonic()
        self._show_running()

    def v2_runner_on_ok(self, result: Any) -> None:
        """Print the step if it did something, said something or took long."""
        seconds, items = self._end(result), items_of(result)
        changed = result.result.get("changed", False)
        message = messages(result)
        if changed or message or seconds >= LONG_SECONDS:
            done = [line for item in items if item.get("changed") for line in self._label(item)]
            colour = constants.COLOR_CHANGED if changed else constants.COLOR_OK
            self._print(result, seconds, self._title(result), [*done, *message], colour)
        self._show_running()

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Print why it failed."""
        self._print_failure(result, "failed", "ignored" if ignore_errors else "rescued" * is_rescued(result.task))

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Print why a host was not reached."""
        self._print_failure(result, "unreachable", "ignored" * bool(result.task.ignore_unreachable))

    def v2_runner_on_skipped(self, result: Any) -> None:
        """Print nothing but warnings."""
        self._end(result)
        self._show_running()

    def v2_runner_item_on_ok(self, result: Any) -> None:
        """Print an item's warnings; the rest comes with the step."""
        self._warn(result)

    v2_runner_item_on_failed = v2_runner_item_on_skipped = v2_runner_item_on_ok

    def v2_on_file_diff(self, result: Any) -> None:
        """Keep the differences until the step's line is there, which comes next."""
        results = items_of(result) or [result.result]
        diffs = [self._get_diff(one["diff"]) for one in results if one.get("diff") and one.get("changed")]
        self._diffs[_key(result)] = "".join(diffs)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Print Ansible's recap, which programs read too, and how long all of it took."""
        self._line.clear()
        super().v2_playbook_on_stats(stats)
        self._display.display(f"{time.monotonic() - self._begun:8.1f} s  in all")

    def _print_nothing(self, *_: Any) -> None:
        """What is seen by the line of the step itself, or by its failure."""

    v2_playbook_on_include = v2_playbook_on_no_hosts_remaining = v2_runner_retry = _print_nothing
    v2_runner_on_async_poll = v2_runner_on_async_ok = v2_runner_on_async_failed = _print_nothing

    def _end(self, result: Any) -> float:
        """A task of a host is over: print its warnings, and return its seconds."""
        self._warn(result)
        now = time.monotonic()
        return now - self._running.pop(_key(result), now)

    def _warn(self, result: Any) -> None:
        if result.warnings or result.deprecations:
            self._line.clear()
            self._handle_warnings(result.result)

    def _print_failure(self, result: Any, what: str, dealt_with: str) -> None:
        """Print a failure in full, or as one line if the playbook deals with it."""
        seconds, title = self._end(result), self._title(result)
        failed = [item for item in items_of(result) if item.get(what)]
        if dealt_with:
            title = f"{title} ({what}, {dealt_with}: {failure_reasons([*failed, result.result][0])[0]})"
            self._print(result, seconds, title, [], constants.COLOR_SKIP)
        else:
            of_items = [line for item in failed for line in [*self._label(item, ":"), *failure_reasons(item)]]
            details = [*(of_items or failure_reasons(result.result)), *place_of(result.task)]
            self._print(result, seconds, f"{what.upper()}: {title}", details, constants.COLOR_ERROR)
        self._show_running()

    def _print(self, result: Any, seconds: float, title: str, details: list[str], colour: str) -> None:
        self._line.clear()
        if self._heading:
            self._display.display(f"\n{self._heading}")
            self._heading = ""
        to_errors = colour == constants.COLOR_ERROR and self.get_option("display_failed_stderr")
        self._display.display(f"{seconds:8.1f} s  {title}", color=colour, stderr=to_errors)
        for line in details:
            self._display.display(f"{INDENT}{line}".rstrip(), stderr=to_errors)
        diff = self._diffs.pop(_key(result), "")
        if diff:
            self._display.display(diff.rstrip("\n"))

    def _title(self, result: Any) -> str:
        """The task's name, its host if there are several, and to whom it was delegated."""
        host = self.host_label(result)
        shown = self._several_hosts or host != result.host.name
        return in_plain_words(result.task_name) + (f" [{host}]" if shown else "")

    def _label(self, item: Any, end: str = "") -> list[str]:
        return lines(f"{self._get_item_label(item)}{end}")

    def _show_running(self) -> None:
        if not self._running:
            return self._line.clear()
        begun = datetime.now() - timedelta(seconds=time.monotonic() - min(self._running.values()))
        hosts = f" [{', '.join(host for host, _ in self._running)}]" if self._several_hosts else ""
        return self._line.show(f"{begun:%H:%M:%S} …  {self._task_name}{hosts}")


def _key(result: Any) -> tuple[str, str]:
    return result.host.name, result.task._uuid


# With -v, all that Ansible prints.
if Display().verbosity:
    CallbackModule = Default
