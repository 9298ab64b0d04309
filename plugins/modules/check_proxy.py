"""What ansible-doc shows of the action plugin of this name, which uses the connection of its task."""

DOCUMENTATION = """
module: check_proxy
short_description: See from the host that an HTTP proxy answers, and takes its user and password
description:
  - The shell of the host asks each proxy for a page of the proxy's own machine. Any answer of HTTP will do but the one
    that asks for another user or password (407, 401).
  - The password is on no command line. Changes nothing, and needs no Python on the host.
author: modelhost
options:
  variables:
    description: The names of the variables that have the proxies' URLs; an empty one is passed over.
    type: list
    elements: str
    required: true
  refuses:
    description: Whether the task fails where one does not answer, or refuses. Otherwise it only says so.
    type: bool
    default: true
"""

EXAMPLES = """
- name: See that the proxy answers
  modelhost.modelhost.check_proxy:
    variables: [outbound_http_proxy]
"""

RETURN = """
problem:
  description: A line for each proxy that does not answer, or refuses.
  returned: where there is one
  type: str
"""
