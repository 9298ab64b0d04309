#!/usr/bin/env python3
"""From a bare machine to live predictions: a virtual machine, site.yml over SSH, and requests to what it made.

`make demo` runs this with the machine's own Python, so that even the making of .venv is part of what it shows.
"""

import json
import os
import ssl
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import vm

PROJECT = Path(__file__).resolve().parents[1]
# Another name lets a second demo live beside the first; the tests use that.
NAME = sys.argv[1] if len(sys.argv) > 1 else "demo"
INVENTORY = PROJECT / "inventory" / NAME
stages: list[tuple[str, float]] = []


def main() -> int:
    """Run all stages; return the exit code."""
    try:
        with stage("Python environment (.venv)"):
            command("make", "--no-print-directory", ".venv")
        with stage("a bare virtual machine"):
            vm.start(NAME, INVENTORY)
            # Its ports lead here by others, as a router's would; the inventory was written anew.
            with (INVENTORY / "hosts.yml").open("a") as hosts:
                port = urlsplit(vm.https_address(NAME)).port
                hosts.write(f"      reverse_proxy_public_https_port: {port}\n")
        with stage(f"ansible-playbook site.yml -i inventory/{NAME}"):
            command(PROJECT / ".venv/bin/ansible-playbook", "site.yml", "-i", f"inventory/{NAME}")
        with stage("predictions"):
            vm.fetch_ca(NAME, INVENTORY)
            right = all(post(model) for model in ("colours", "iris", "digits", "churn"))
    except subprocess.CalledProcessError as error:
        print(f"\ndemo: `{' '.join(map(str, error.cmd))}` failed; its output is above.", file=sys.stderr)
        return 1
    except (vm.VMError, OSError) as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1
    finally:
        print("\nHow long it took:")
        for title, seconds in stages:
            print(f"  {seconds:6.1f} s  {title}")
    url = vm.https_address(NAME)
    named = "" if NAME == "demo" else f" DEMO={NAME}"
    print(f"""
The endpoint: {url}/   (open it in a browser, or `make -s demo-url{named}`)

  curl --cacert inventory/{NAME}/.ca.pem -X POST {url}/ -d '{{"index": 2}}' -H 'Content-Type: application/json'

The machine has no public address, so a CA of its own has signed its certificate; a browser asks whether to go on.

`make demo{named}` again converges in seconds; `make demo-down{named}` removes every trace.""")
    return 0 if right else 1


@contextmanager
def stage(title: str) -> Any:
    """Show a headline, and remember how long the stage took."""
    print(f"\n=== {len(stages) + 1}. {title}", flush=True)
    begun = time.monotonic()
    try:
        yield
    finally:
        stages.append((title, time.monotonic() - begun))


def command(*words: object) -> None:
    """Run a command whose output goes to the screen as it comes."""
    colours = {"ANSIBLE_FORCE_COLOR": "1"} if sys.stdout.isatty() else {}
    subprocess.run([str(word) for word in words], cwd=PROJECT, check=True, env=os.environ | colours)


def post(model: str) -> bool:
    """Post a model's golden examples to the endpoint, show the answers, and tell whether all of them are right."""
    url = f"{vm.https_address(NAME)}/models/{model}/predict"
    examples = json.loads((PROJECT / "models" / model / "1" / "golden.json").read_text())
    print(f"\nPOST {url}")
    results = [show(example, ask(url, example["inputs"])) for example in examples[:3]]
    return all(results)


def ask(url: str, row: dict[str, Any]) -> dict[str, Any]:
    """Post one row of inputs and return the prediction."""
    request = urllib.request.Request(url, json.dumps(row).encode(), {"Content-Type": "application/json"})
    trusted = ssl.create_default_context(cafile=INVENTORY / ".ca.pem")
    with urllib.request.urlopen(request, timeout=10, context=trusted) as answer:
        prediction: dict[str, Any] = json.load(answer)["prediction"]
    return prediction


def show(example: dict[str, Any], prediction: dict[str, Any]) -> bool:
    """Print one prediction, an image as a picture; return whether it is what the bundle's author recorded."""
    right = all(nearly_equal(prediction[name], value) for name, value in example["outputs"].items())
    inputs = {name: value for name, value in example["inputs"].items() if name != "image"}
    for row in example["inputs"].get("image", []):
        print("    " + "".join(" ░▒▓█"[min(4, int(pixel) // 4)] * 2 for pixel in row))
    asked = json.dumps(inputs) if inputs else "the image"
    print(f"  {asked} -> {json.dumps(shortened(prediction))}  {'right' if right else 'WRONG'}")
    return right


def shortened(value: Any) -> Any:
    """Round the numbers of a prediction, for the screen."""
    if isinstance(value, dict):
        return {name: shortened(item) for name, item in value.items()}
    if isinstance(value, list):
        return [shortened(item) for item in value]
    return round(value, 4) if isinstance(value, float) else value


def nearly_equal(got: Any, expected: Any) -> bool:
    """Compare predictions, numbers with the rounding of single precision."""
    if isinstance(expected, list):
        return len(got) == len(expected) and all(map(nearly_equal, got, expected))
    if isinstance(expected, float):
        return bool(abs(got - expected) < 1e-4)
    return bool(got == expected)


if __name__ == "__main__":
    sys.exit(main())
