"""The one build step that pyproject.toml cannot say: configs/ and alembic/ travel inside the package omnisrc.

They lie at the root of the checkout, and `alembic` must not become an importable package: it would shadow the library.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent


class BuildWithResources(build_py):
    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return  # omnisrc.resources finds the folders of the checkout
        for name in ("configs", "alembic"):
            inside = Path(self.build_lib, "omnisrc", f"_{name}")
            shutil.rmtree(inside, ignore_errors=True)
            shutil.copytree(ROOT / name, inside, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))


setup(cmdclass={"build_py": BuildWithResources})
