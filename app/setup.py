"""Where setuptools builds: in a folder made for each build. All else is in pyproject.toml, which cannot say that.

In ./build it leaves what it has copied, and the next time it installs from there what has been deleted here since.
"""

import atexit
import shutil
import tempfile

from setuptools import setup

folder = tempfile.mkdtemp(prefix="modelhost-build-")
atexit.register(shutil.rmtree, folder, ignore_errors=True)
setup(options={"build": {"build_base": folder}, "egg_info": {"egg_base": folder}})
