"""Keep how long each play of a run took, for what runs several playbooks and adds them up."""

from __future__ import annotations

import time
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: stages
type: aggregate
short_description: Write how long each play took to a file
description:
  - A line for each play, when it is over, is added to the file, with its seconds and its name, and a tab between them.
    Without a file nothing is written. C(make launch) reads it.
author: modelhost
options:
  stages_file:
    description: The file. It is made where it is not there.
    type: path
    default: ""
    env:
      - name: MODELHOST_STAGES_FILE
requirements:
  - enable in configuration
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "stages"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._begun = 0.0
        self._play = ""

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """One play is over, another begins."""
        self._end()
        self._begun, self._play = time.monotonic(), play.get_name().strip()

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """The last one is over."""
        self._end()

    def _end(self) -> None:
        file = self.get_option("stages_file")
        if self._play and file:
            with open(file, "a") as stages:
                stages.write(f"{time.monotonic() - self._begun:.3f}\t{self._play}\n")
        self._play = ""
