"""Take or give back the lock of a host: one deployment at a time."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.modelhostctl.errors import StepError
from ansible.module_utils.modelhostctl.host.layout import Place
from ansible.module_utils.modelhostctl.store.atomic_files import read_json
from ansible.module_utils.modelhostctl.store.lock import HeldError, at_work, give_back, take

DOCUMENTATION = """
module: release_lock
short_description: One deployment at a time
description:
  - The action plugin of the same name says who the owner is, and whether the holder of a lock still lives.
  - Not a change to the host, so it never reports one.
options:
  state:
    description: C(present) to take it, C(absent) to give it back.
    type: str
    choices: [present, absent]
  what:
    description: What is going on, for whoever is refused.
    type: str
  owner:
    description: Set by the action plugin.
    type: dict
  dead:
    description: Set by the action plugin.
    type: str
"""

RETURN = """
token: {description: What the steps of this play show., type: str}
words: {description: Whose lock was taken over, if any., type: str}
holder: {description: Who has it, where this one was refused., type: dict}
"""


def main() -> None:
    """Run the module."""
    options = {
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "what": {"type": "str", "default": "site.yml"},
        "owner": {"type": "dict", "required": True},
        "dead": {"type": "str"},
    }
    module = AnsibleModule(argument_spec=options, supports_check_mode=True)
    place, owner = Place(), {**module.params["owner"], "what": module.params["what"]}
    words = ""
    try:
        if module.check_mode:
            pass
        elif module.params["state"] == "absent":
            if read_json(place.lock):
                give_back(place, owner["token"])
        else:
            with at_work(place):
                words = take(place, owner, module.params["dead"])
    except HeldError as held:
        module.fail_json(msg=str(held), holder=held.holder)
    except (StepError, OSError) as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(changed=False, token=owner["token"], words=words)


if __name__ == "__main__":
    main()
