"""What ansible-doc shows of the action plugin of this name, which runs on the control machine alone."""

DOCUMENTATION = """
module: check_rules
short_description: Fail with the variable, the value, the file to edit and an example where a rule is broken
description:
  - Checks what one variable's type cannot express, such as ranges, and what must fit together.
  - Runs on the control machine, connects to no host and changes nothing.
author: modelhost
options:
  rules:
    description: What has to hold.
    required: true
    type: list
    elements: dict
    suboptions:
      variable:
        description: The variable's name.
        required: true
        type: str
      holds:
        description: Whether the rule holds.
        required: true
        type: bool
      received:
        description: What of the value to show, in words; without it all of it.
        type: str
      is_address:
        description: Whether it is an address, of which nothing is shown that may be a user or a password.
        type: bool
        default: false
      must:
        description: What the variable must be, in words.
        required: true
        type: str
      example:
        description: A right value.
        required: true
        type: raw
"""

EXAMPLES = """
- name: Check the port
  modelhost.modelhost.check_rules:
    rules:
      - variable: reverse_proxy_http_port
        holds: "{{ reverse_proxy_http_port | int in range(1, 65536) }}"
        must: a port from 1 to 65535
        example: 80
"""

RETURN = """
msg:
  description: A line for each rule that is broken.
  returned: failed
  type: str
"""
