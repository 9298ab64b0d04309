"""Bodies and examples that are large: refused in words, shown cut short."""

import http.client
import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from harness import Bundles, Server, assert_error_shape
from modelhost.app import create_app
from modelhost.cli.predict import predict
from modelhost.settings import Settings

SIDE = 300
SOURCE = (
    "class Model:\n    def predict(self, inputs):\n        return {'colour': inputs['image'].mean(axis=(1, 2, 3))}\n"
)
