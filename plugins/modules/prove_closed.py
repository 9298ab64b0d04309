"""What ansible-doc shows of the action plugin of this name, which runs ssh on the control machine."""

DOCUMENTATION = """
module: prove_closed
short_description: See whether sshd, as it runs, refuses an account
description:
  - Tries to log in on a connection of its own, with the SSH options of the inventory and of ansible.cfg. That
    an account is refused proves something only where it accepts this machine's key; that no password is taken,
    always.
  - Once for each time that sshd has read its files, because a program that bans whoever fails to log in counts
    it; and not where such a program runs, unless it is fail2ban and leaves C(ROOT LOGIN REFUSED) out.
  - Never fails, and changes nothing; what it has seen is remembered below C(/run).
author: modelhost
options:
  user:
    description: The account.
    required: true
    type: str
  files_read_anew:
    description: >-
      Whether sshd has just been made to read files that were checked. Then nothing is tried, and what was proven
      stays so.
    type: bool
    default: false
"""

EXAMPLES = """
- name: Try to log in as root
  modelhost.modelhost.prove_closed:
    user: root
  register: login
"""

RETURN = """
open:
  description: What is open, in words. Empty where nothing is.
  returned: always
  type: str
"""
