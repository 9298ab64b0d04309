"""What ansible-doc shows of the action plugin of this name, which runs on the control machine alone."""

DOCUMENTATION = """
module: inventory_folder
short_description: Write the folder of a deployment, or take hosts out of it
description:
  - Hosts are added to the group C(modelhost) of C(hosts.yml), or taken out of it. Of a host that is there, only its
    address may change; what people have set stays. Other files are written where they are not there yet.
  - Of a host that is taken out, the host key is forgotten too.
  - Supports check mode and diff.
author: modelhost
options:
  folder:
    description: The folder, for example C(inventory/production).
    type: path
    required: true
  hosts:
    description: The address of each host to have, by its name.
    type: dict
    default: {}
  variables:
    description: Further variables of each of these hosts, where they are not set already.
    type: dict
    default: {}
  absent:
    description: Names of hosts not to have.
    type: list
    elements: str
    default: []
  files:
    description: Texts of further files by their paths in the folder, which are written where there is none.
    type: dict
    default: {}
"""

EXAMPLES = """
- name: Write the inventory
  modelhost.modelhost.inventory_folder:
    folder: inventory/production
    hosts: {vm1: 203.0.113.10}
    variables: {ansible_user: root}
    files: {group_vars/modelhost.yml: "release_models: [models/iris/1]\\n"}
"""

RETURN = """
hosts:
  description: The names of all hosts that are in the folder then.
  returned: success
  type: list
  elements: str
written:
  description: The files that were written, or would be.
  returned: success
  type: list
  elements: str
"""
