"""A task as people know it: its name, where it is written, and whether the playbook deals with its failure."""

from __future__ import annotations

import os
import re
from typing import Any

from ansible.playbook.block import Block

DEBUG = {"debug", "ansible.builtin.debug", "ansible.legacy.debug"}


def in_plain_words(name: str) -> str:
    """A task's name without its role and file: `role : file | Do something` is `Do something`."""
    return re.sub(r"^(\S+ : )?(\w+ \| )?", "", " ".join(name.split()))


def place_of(task: Any) -> list[str]:
    """Where a task is written, from the working directory if it is in there."""
    # Without the link through which a checkout is found by its full name.
    path = task.get_path() and os.path.realpath(task.get_path())
    return [f"at {path.removeprefix(f'{os.getcwd()}/')}"] if path else []


def is_debug(task: Any) -> bool:
    """Whether a task is there to print something. Ansible's own mark of its results is on those of assert too."""
    return task.action in DEBUG


def is_rescued(task: Any) -> bool:
    """Whether a failure of this task leads to the `rescue` of a block around it."""
    below, parent = {task._uuid}, task._parent
    while parent is not None:
        if isinstance(parent, Block) and parent.rescue and below & {one._uuid for one in parent.block}:
            return True
        below.add(parent._uuid)
        parent = parent._parent
    return False
