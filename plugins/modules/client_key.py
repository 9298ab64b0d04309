"""What ansible-doc shows of the action plugin of this name, which runs on the control machine alone."""

DOCUMENTATION = """
module: client_key
short_description: Make a key for a client of the endpoint, or take its oldest key away
description:
  - A key has 256 random bits, and is returned once. C(reverse_proxy_clients), in a file, has its SHA-256.
  - A client has at most two keys, one that is in use and one that takes its place.
  - The file is encrypted by Ansible Vault where a vault password is given, or where it was encrypted already.
  - Runs on the control machine, connects to no host, and changes nothing on one; the next deployment does.
author: modelhost
options:
  name:
    description: The client's name, in small letters, digits, - and _.
    required: true
    type: str
  file:
    description: The file of variables. It holds C(reverse_proxy_clients) alone, because it is written anew.
    required: true
    type: path
  state:
    description: C(added) makes a key, C(revoked) takes the client's oldest one away.
    type: str
    choices: [added, revoked]
    default: added
"""

EXAMPLES = """
- name: Make a key for alice
  modelhost.modelhost.client_key:
    name: alice
    file: inventory/production/group_vars/all/clients.yml
  register: made
"""

RETURN = """
key:
  description: The key, which is kept nowhere else; nothing where one was taken away.
  returned: not in a check
  type: str
keys:
  description: How many keys the client has now.
  returned: success
  type: int
file:
  description: The file that was written.
  returned: success
  type: str
"""
