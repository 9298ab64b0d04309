"""What ansible-doc shows of the action plugin of this name."""

DOCUMENTATION = """
module: write_file
short_description: Write files, as ansible.builtin.copy does, by the shell of the host
description:
  - Owner, group, mode and the SHA-256 of the contents are compared by one command on the host. Where all are as wanted,
    nothing else is done there; otherwise another one writes a file whole and puts it in its place.
  - In check mode, with a diff, and where the connection does not pipeline, M(ansible.builtin.copy) does it.
  - A folder that is missing is made, with mode 0755, by the account that the task runs as.
author: modelhost
options:
  content:
    description: What the file holds, for example a lookup of a template. Either this, O(src) or O(files).
    type: str
  src:
    description: A file on the control machine.
    type: path
  dest:
    description: The file's path on the host.
    type: path
  files:
    description: Several at once, which are looked at together; what each holds, by its path on the host.
    type: dict
  owner:
    description: The name of the account that owns it.
    type: str
    required: true
  group:
    description: The name of its group.
    type: str
    required: true
  mode:
    description: Its permissions, in octal digits, for example C("0644").
    type: str
    required: true
  validate:
    description: A command that has to accept the new file, C(%s) in it, before it takes the old one's place.
    type: str
"""

EXAMPLES = """
- name: Write the server's settings
  modelhost.modelhost.write_file:
    content: "{{ lookup('ansible.builtin.template', 'etc/server.conf.j2') }}"
    dest: /etc/server.conf
    owner: root
    group: root
    mode: "0644"
"""

RETURN = """
written:
  description: The paths of those that were not as wanted; in check mode, of those that would be written.
  returned: success
  type: list
  elements: str
"""
