"""What ansible-doc shows of the action plugin of this name, which runs on the control machine alone."""

DOCUMENTATION = """
module: check_certificate
short_description: Fail where a certificate has expired, is for other names, or has another key
description:
  - Reads both files on the control machine, where Ansible Vault may have encrypted them. Connects to no host, changes
    nothing, and shows nothing of the key.
author: modelhost
options:
  certificate:
    description: The certificate's file, with its intermediate ones behind it, as PEM.
    required: true
    type: path
  key:
    description: Its private key's file, as PEM.
    required: true
    type: path
  names:
    description: Names and addresses that the certificate has to be for.
    required: true
    type: list
    elements: str
"""

EXAMPLES = """
- name: Check the certificate
  modelhost.modelhost.check_certificate:
    certificate: certificates/models.example.org.pem
    key: certificates/models.example.org.key
    names: [models.example.org]
"""

RETURN = """
msg:
  description: What to correct.
  returned: failed
  type: str
"""
