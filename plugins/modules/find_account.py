"""What ansible-doc shows of the action plugin of this name, which runs ssh on the control machine."""

DOCUMENTATION = """
module: find_account
short_description: Log in as the first account that the host accepts, and describe the host
description:
  - A new host lets root in; a deployed one only the deploy user. Both answer to the same command.
  - Uses the SSH options of the inventory and of ansible.cfg, and never asks for a password. Changes nothing.
author: modelhost
options:
  users:
    description: Accounts to try, in this order.
    required: true
    type: list
    elements: str
  ports:
    description: TCP ports to look at; what holds one is reported unless that is a container.
    type: list
    elements: int
"""

EXAMPLES = """
- name: Log in as the account that the host accepts
  modelhost.modelhost.find_account:
    users: [deploy, root]
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
"""
