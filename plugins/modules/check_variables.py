"""What ansible-doc shows of the action plugin of this name, which runs on the control machine alone."""

DOCUMENTATION = """
module: check_variables
short_description: Compare a host's variables with the argument specs of roles
description:
  - Reports wrong types, values outside the choices, missing values, and names that look like a misspelt one of ours.
  - Each finding names the variable, the value received, the file to edit and a right example.
  - Runs on the control machine, connects to no host and changes nothing.
author: modelhost
options:
  roles:
    description: Paths of the roles whose C(meta/argument_specs.yml) hold the truth.
    required: true
    type: list
    elements: path
"""

EXAMPLES = """
- name: Check the variables of two roles
  modelhost.modelhost.check_variables:
    roles: ["{{ role_path }}/../docker", "{{ role_path }}/../base_image"]
"""

RETURN = """
msg:
  description: A line for each wrong variable.
  returned: failed
  type: str
"""
