"""What ansible-doc shows of the action plugin of this name, which asks from the control machine."""

DOCUMENTATION = """
module: check_endpoint
short_description: Ask an endpoint's public URL from the control machine
description:
  - Resolves the name and asks each of its addresses, IPv4 and IPv6, as a client does. By the certificate's fingerprint
    it knows the host; no CA is trusted or needed. Without TLS it goes by the answer.
  - Says what is wrong where the host is not reached, and fails, unless the inventory names a reason why this machine
    may not see what clients do (a jump host, a proxy, a balancer, sources that the firewall allows, a private address).
  - Where the host is this machine (C(ansible_connection=local)), or SSH goes to a port of it, nothing is asked. The
    host itself is asked whether it listens, and only where a connection does not come about. Changes nothing.
author: modelhost
options:
  url:
    description: The URL that clients are given.
    required: true
    type: str
  listens_on:
    description: The port that nginx listens on, which may be another one where a router is in front.
    required: true
    type: int
  path:
    description: What is asked for; it has to need no key.
    type: str
    default: /readyz
  sha256:
    description: The fingerprint of the certificate that the host serves, in pairs of digits. Empty if it is not known.
    type: str
    default: ""
  issuer_port:
    description: A port at which the issuer of certificates has to reach the host. 0 means none.
    type: int
    default: 0
  trusted_proxies:
    description: Balancers and proxies in front, which may have a certificate of their own.
    type: list
    elements: str
    default: []
  allowed_sources:
    description: Who may reach the endpoint. Empty means all.
    type: list
    elements: str
    default: []
  fleet:
    description: Whether other hosts may answer under the same name.
    type: bool
    default: false
  refuse:
    description: Whether to fail; otherwise what is wrong is said.
    type: bool
    default: true
  timeout_seconds:
    description: How long an address may take to answer.
    type: float
    default: 5
  pause_seconds:
    description: How long to wait before an address that refused is asked again, twice at most.
    type: float
    default: 1
"""

EXAMPLES = """
- name: Ask the endpoint
  modelhost.modelhost.check_endpoint:
    url: https://models.example.org/
    listens_on: 443
    sha256: "{{ served.sha256 }}"
"""

RETURN = """
reached:
  description: Whether the host answers there.
  returned: when it was asked
  type: bool
progress:
  description: What each address did, in lines for people.
  returned: success, when it was asked
  type: list
  elements: str
msg:
  description: What is wrong, and what to do.
  returned: failed
  type: str
"""
