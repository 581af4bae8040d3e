"""Where the files are that travel with the code: beside it in a checkout, inside the package in a wheel."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def configs() -> Path:
    """The folder of class lists, recipes, rules and deployment examples."""
    return _folder("configs")


def migrations() -> Path:
    """The folder of Alembic's env.py and versions/."""
    return _folder("alembic")


def _folder(name: str) -> Path:
    """`omnisrc/_NAME`, which setup.py puts into the wheel, or `NAME` at the root of the checkout."""
    inside, beside = PACKAGE / f"_{name}", PACKAGE.parent / name
    folder = inside if inside.is_dir() else beside
    if not folder.is_dir():
        raise FileNotFoundError(f"the installation is incomplete: neither {inside} nor {beside} exists")
    return folder
