"""What ansible-doc shows of the action plugin of this name, which uses the connection of its task."""

DOCUMENTATION = """
module: find_account
short_description: Log in as the first account that the host accepts, and describe the host
description:
  - A new host lets root in, or an account with sudo; a deployed one only the deploy user. Both answer to the same
    command.
  - Uses the connection of its task, whatever sets it (inventory, ansible.cfg, C(~/.ssh/config)), each account once, and
    goes on to the next one only where the host has refused the account. Changes nothing.
  - With C(become), an account that is not root becomes root as other tasks will, with C(ansible_become_password) if
    need be.
  - A connection other than C(ssh) has no accounts to choose from, and is looked at as it is.
author: modelhost
options:
  users:
    description:
      - Accounts to try by key, in this order. After them comes the one that the inventory, ansible.cfg or
        C(~/.ssh/config) name, or root.
    type: list
    elements: str
    default: []
  ports:
    description: TCP ports to look at; what holds one is reported unless that is a container.
    type: list
    elements: int
    default: []
  new_connection:
    description: Whether it has to be a new connection, not one that is shared with other tasks.
    type: bool
    default: false
"""

EXAMPLES = """
- name: Log in as the account that the host accepts
  modelhost.modelhost.find_account:
    users: [deploy]
  become: true
  register: login
"""

RETURN = """
user:
  description: The account that answered.
  returned: success
  type: str
host:
  description: What the host is, such as its distribution, memory, free disk and Python. All values are text.
  returned: success
  type: dict
by_ssh:
  description: Whether the connection is C(ssh).
  returned: success
  type: bool
ssh_common_args:
  description: C(ansible_ssh_common_args) for tasks that follow, so that they offer the key that was named and no other.
  returned: success
  type: str
"""
