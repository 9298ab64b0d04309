"""What ansible-doc shows of the action plugin of this name, which runs ssh on the control machine."""

DOCUMENTATION = """
module: first_login
short_description: Log in to new machines for the first time, and know their host keys from then on
description:
  - Waits until each machine lets this one in. One that was given a host key for its first boot has to show that; then
    it makes one of its own, which takes that one's place. Any other is trusted at first sight, and its fingerprint is
    said.
  - The keys are written to C(known_hosts) in the folder. A machine that is in there is only logged in to.
  - Supports check mode.
author: modelhost
options:
  machines:
    description: The C(name) and C(address) of each machine.
    type: list
    elements: dict
    required: true
  folder:
    description: >-
      Where C(known_hosts) is, and C(<name>.first-key.pub), the public half of the key that a machine was given, while
      it has none of its own.
    type: path
    required: true
  users:
    description: Accounts to log in as; a new machine knows the first, one that was deployed to the last.
    type: list
    elements: str
    required: true
  private_key_file:
    description: The private key to log in by; empty leaves that to ssh.
    type: path
    default: ""
  timeout_seconds:
    description: How long a machine may take until it lets this one in.
    type: float
    default: 300
  host_keys_on_machine:
    description: The folder of sshd's keys on the machine.
    type: str
    default: /etc/ssh
  port:
    description: The port of SSH.
    type: int
    default: 22
"""

EXAMPLES = """
- name: Log in to it
  modelhost.modelhost.first_login:
    machines: [{name: vm1, address: 203.0.113.10}]
    folder: inventory/production/.ssh
    users: [root, deploy]
"""

RETURN = """
progress:
  description: How each key came to be known, a line for each machine that was new.
  returned: always
  type: list
  elements: str
"""
