"""What ansible-doc shows of the action plugin of this name, which runs on the control machine alone."""

DOCUMENTATION = """
module: linode
short_description: Have the machines of a deployment at Linode, or remove them
description:
  - Makes machines, a Cloud Firewall in front of each and, if wanted, a NodeBalancer, and waits until the machines run.
    What is there by its label is taken as it is; where its type, region or rules are others, that is said and not
    changed.
  - The token is no option, so that it is never shown. It is read from the variable C(provision_linode_token), or from
    C(LINODE_TOKEN) or C(LINODE_CLI_TOKEN) in the environment.
  - A call that failed is repeated a bounded number of times. What it was to make, and may have made although its answer
    was lost, is looked for by its label before.
  - Needs the Python package linode-api4 where Ansible runs. Supports check mode.
author: modelhost
options:
  state:
    description:
      - C(planned) says what would be made, and what it costs; C(removal_planned) what would be removed. Neither changes
        anything.
      - C(present) makes what is missing, C(absent) removes it.
    type: str
    required: true
    choices: [planned, present, removal_planned, absent]
  name:
    description: The label of the firewall, the balancer, and the machine; several machines have a number behind it.
    type: str
    required: true
  count:
    description: How many machines.
    type: int
    default: 1
  region:
    description: Where, for example C(eu-central).
    type: str
    default: ""
  type:
    description: Which type of machine, for example C(g6-nanode-1).
    type: str
    default: ""
  image:
    description: Which system, for example C(linode/debian13).
    type: str
    default: ""
  tags:
    description: Tags of everything that is made.
    type: list
    elements: str
    default: []
  authorized_keys:
    description: Public SSH keys that may log in as root.
    type: list
    elements: str
    default: []
  ssh_sources:
    description: Addresses and networks that the firewall lets in to SSH.
    type: list
    elements: str
    default: [0.0.0.0/0, "::/0"]
  ports:
    description: TCP ports that it lets everyone in to, and that a balancer passes on.
    type: list
    elements: int
    default: [80, 443]
  balancer:
    description: Whether a NodeBalancer passes connections on to the machines.
    type: bool
    default: false
  host_keys_folder:
    description: >-
      Where to keep the public half of the host key that a new machine is given for its first boot; empty gives none.
    type: path
    default: ""
  boot_timeout_seconds:
    description: How long a machine may take until it runs.
    type: float
    default: 600
  poll_seconds:
    description: How long to wait between two looks at it.
    type: float
    default: 3
  pauses_seconds:
    description: How long to wait before a call is repeated that failed; as many repetitions as there are numbers.
    type: list
    elements: float
    default: [1, 3, 9]
  api_url:
    description: Where the API is.
    type: str
    default: https://api.linode.com/v4
"""

EXAMPLES = """
- name: Have a machine
  modelhost.modelhost.linode:
    state: present
    name: models
    region: eu-central
    type: g6-nanode-1
    image: linode/debian13
    authorized_keys: ["{{ lookup('file', '~/.ssh/id_ed25519.pub') }}"]
  register: rented
"""

RETURN = """
machines:
  description: The name, the address and the number of each machine that is there.
  returned: state is not absent
  type: list
  elements: dict
balancer:
  description: The balancer's address; empty where there is none.
  returned: state is not absent
  type: str
lines:
  description: What would be done, a line each, with what it costs.
  returned: state is planned or removal_planned
  type: list
  elements: str
to_do:
  description: What is missing, or what there is to be removed; empty where nothing is to be done.
  returned: state is planned or removal_planned
  type: list
  elements: str
names:
  description: The machines that were removed.
  returned: state is absent
  type: list
  elements: str
progress:
  description: What was done, a line each.
  returned: state is present or absent
  type: list
  elements: str
"""
