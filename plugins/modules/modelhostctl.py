"""What ansible-doc shows of the action plugin of this name, which has the host's shell run the tool."""

DOCUMENTATION = """
module: modelhostctl
short_description: Run a step of a release on the host, by the tool that is there
description:
  - Runs C(modelhostctl STEP) with the options as JSON, and returns its JSON. C(modelhostctl STEP --help) on a host, or
    C(python3 -m modelhostctl STEP --help) in the project's folder, explains each step, its options and what it returns.
  - Where the installed tool is not this project's, or there is none, a temporary copy runs instead.
  - Supports check mode and diff; in check mode nothing on the host is changed.
author: modelhost
options:
  step:
    description:
      - What to do.
      - C(lock) and C(unlock) let one run at a time work on a host.
      - C(configure) leaves the settings on the host for a rollback from there.
      - C(trust) leaves the public keys there that bundles have to be signed by.
      - C(trust_registry) has the engine know a registry by its CA, C(pull) pulls the app's image from it by its
        digest, and C(push) pushes one.
      - C(plan) compares the wanted release with the host, in words.
      - C(prepare) writes the release's folder, and C(start) starts it in the idle colour.
      - C(gate) holds it to readiness, golden examples, latency and memory.
      - C(shadow) lets it answer what clients send to the live release, and compares.
      - C(canary) gives it a share of the requests.
      - C(switch) points nginx at it, C(watch) holds it to error rate and latency, and rolls it back over a limit.
      - C(retire) stops the colour that was live before, and C(prune) removes what no release needs that is kept.
      - C(rollback) goes back to an earlier release, and C(finish) finishes what a killed run has left.
      - C(sbom) lists what releases and images are made of.
      - C(status), C(history) and C(logs) only look.
    type: str
    required: true
    choices: [lock, unlock, configure, trust, trust_registry, pull, push, plan, prepare, start, gate, shadow, canary,
              switch, watch, retire, prune, rollback, finish, sbom, status, history, logs]
  options:
    description: The step's options.
    type: dict
    default: {}
  settings:
    description: What the deployment wants of every step; without it, what the last one left on the host.
    type: dict
"""

EXAMPLES = """
- name: See how the endpoint is
  modelhost.modelhost.modelhostctl:
    step: status
  register: endpoint
"""

RETURN = """
lines:
  description: What is to be shown to people.
  returned: success
  type: list
  elements: str
progress:
  description: What a step measured while it worked, in words, beneath its line on the screen.
  returned: success
  type: list
  elements: str
msg:
  description: Why a step failed, and what to do.
  returned: failed
  type: str
"""
