"""What ansible-doc shows of the action plugin of this name, which runs ssh on the control machine."""

DOCUMENTATION = """
module: prove_login
short_description: See an account let this machine in by one of some keys, and become root
description:
  - Logs in on a connection of its own, with the SSH options of the inventory and of ansible.cfg, and becomes root by
    C(sudo -n).
  - Fails where the account lets this machine in by none of the keys, or by another one only. Changes nothing.
author: modelhost
options:
  user:
    description: The account.
    required: true
    type: str
  keys:
    description: The public keys, as in .pub files. One of them has to be this machine's.
    required: true
    type: list
    elements: str
"""

EXAMPLES = """
- name: Log in by a key that stays
  modelhost.modelhost.prove_login:
    user: deploy
    keys: "{{ deploy_user_authorized_keys }}"
"""

RETURN = """
key:
  description: The fingerprint of the key that let this machine in.
  returned: success
  type: str
"""
