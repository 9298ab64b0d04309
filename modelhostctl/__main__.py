"""Run with `python3 -m modelhostctl`."""

import sys

from .cli import main

sys.exit(main())
