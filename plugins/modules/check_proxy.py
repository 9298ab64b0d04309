"""What ansible-doc shows of the action plugin of this name, which uses the connection of its task."""

DOCUMENTATION = """
module: check_proxy
short_description: See from the host that an HTTP proxy answers, and takes its user and password
description:
  - The shell of the host asks each proxy for a page of the proxy's own machine, and then for what the host's apt asks
    for by it, up to three of its sources, or else for a page of example.org. An answer that asks for another user
    or password (407, or 401 of the first) is a problem.
  - Neither is a refusal (403) taken for an answer about the password, since many proxies refuse before they look at it.
    Where the proxy lets the host to none of apt's sources that is a problem; of that page alone it is only said.
  - The password is on no command line. Changes nothing, and needs no Python on the host.
author: modelhost
options:
  variables:
    description: The names of the variables that have the proxies' URLs; an empty one is passed over.
    type: list
    elements: str
    required: true
  excepted:
    description: Hosts that are reached without a proxy, for which none is asked.
    type: list
    elements: str
    default: []
  refuses:
    description: Whether the task fails where one does not answer, or refuses. Otherwise it only says so.
    type: bool
    default: true
"""

EXAMPLES = """
- name: See that the proxy answers
  modelhost.modelhost.check_proxy:
    variables: [outbound_http_proxy]
    excepted: [mirror.example.org]
"""

RETURN = """
problem:
  description: A line for each proxy that does not answer, or refuses.
  returned: where there is one
  type: str
progress:
  description: What is said where the task does not fail, of what is wrong and of what is not known.
  returned: where there is any
  type: list
  elements: str
"""
