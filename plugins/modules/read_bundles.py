"""What ansible-doc shows of the action plugin of this name, which runs on the control machine alone."""

DOCUMENTATION = """
module: read_bundles
short_description: Verify model bundles and return their names, versions, formats, digests and what the image needs
description:
  - Uses the server's own reader, so what passes here is what the server accepts.
  - Refuses pickles that O(allow_pickle) does not name, and files that are pickles and import what runs commands.
  - Refuses bundles that none of O(trusted_keys) has signed, or that were changed since.
  - Refuses bundles whose requirements cannot be installed into one image.
  - Runs on the control machine, connects to no host and changes nothing.
author: modelhost
requirements: [msgspec, packaging, picklescan, pyyaml]
options:
  paths:
    description:
      - Bundle directories. Relative ones start at the folder of a checkout, or, where the collection is installed, at
        the folder in which Ansible was started.
    required: true
    type: list
    elements: path
  variable:
    description: The variable that the paths came from, named in an error.
    required: true
    type: str
  allow_pickle:
    description: Names of models that may be pickles, which run whatever their makers put in.
    required: true
    type: list
    elements: str
  trusted_keys:
    description:
      - Public keys, as files in PEM or as texts. Where there are any, every bundle has to carry a signature by one of
        them, and all of its files have to be as they were signed. Needs the program C(openssl).
    required: true
    type: list
    elements: str
  extras:
    description: What the image has beside what the bundles need, by the names of its lock files.
    required: true
    type: list
    elements: str
"""

EXAMPLES = """
- name: Read the bundles as the server will
  modelhost.modelhost.read_bundles:
    paths: "{{ release_models }}"
    variable: release_models
    allow_pickle: "{{ release_allow_pickle }}"
    trusted_keys: "{{ release_trusted_keys }}"
    extras: "{{ ['grpc'] if release_grpc | bool else [] }}"
  register: release_read
"""

RETURN = """
bundles:
  description: Name, version, format, digest and path of each, and what the gates on the host and the image need.
  returned: success
  type: list
  elements: dict
trusted_keys:
  description: The public keys in PEM, one after the other.
  returned: success
  type: str
msg:
  description: A line for each bundle that cannot be served.
  returned: failed
  type: str
"""
