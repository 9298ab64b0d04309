"""What ansible-doc shows of the action plugin of this name, which runs on the control machine."""

DOCUMENTATION = """
module: check_sshd
short_description: Refuse an sshd that is less strict than it has to be
description:
  - Has the host's shell ask sshd what is in effect (C(sshd -T)) for root, for accounts, and for one that nobody
    has, at the address that this connection comes from; and reads the files of sshd, in its order, and the
    options that it was started with.
  - Fails where a setting is less strict than the wanted one, or would be for some other connection, by a
    C(Match) block or a line that sshd reads first. Names the setting, its value, and the file and line. Changes
    nothing, in a check as well.
  - What a block says of accounts or groups that it names, and that are none of those, is its owner's word, and
    is only told.
author: modelhost
options:
  settings:
    description: The wanted settings, as in a file of sshd's and without blocks.
    required: true
    type: str
  file:
    description: The file on the host that has these.
    required: true
    type: str
  written:
    description: >-
      Whether they are in that file already. Otherwise only the lines that would be in their way are looked for.
    type: bool
    required: true
  users:
    description: Accounts to ask for, besides root and one that nobody has.
    required: true
    type: list
    elements: str
  switch:
    description: The variable that promises it, for the message.
    required: true
    type: str
  instead:
    description: What to set that variable to where the owner wants sshd as it is.
    required: true
    type: str
"""

EXAMPLES = """
- name: Refuse an sshd that lets root in
  modelhost.modelhost.check_sshd:
    settings: PermitRootLogin no
    file: /etc/ssh/sshd_config.d/00-0-modelhost.conf
    written: true
    users: [deploy]
    switch: deploy_user_close_root_login
    instead: "false"
"""

RETURN = """
others:
  description: What is less strict for accounts that a block names alone, in words.
  returned: success
  type: list
  elements: str
"""
