"""The wheel carries everything that the code reads, and nothing of it hides a library."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from omnisrc import resources

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE",
         "omnisrc", "workers", "db", "configs", "alembic")  # fmt: skip


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel built from a copy of the checkout, which stays clean of build folders."""
    tree, out = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("wheel")
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, tree / part)
        else:
            shutil.copy(ROOT / part, tree / part)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(tree)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return next(out.glob("*.whl"))


def sources(folder, pattern="*"):
    files = (ROOT / folder).rglob(pattern)
    return {f.relative_to(ROOT).as_posix() for f in files if f.is_file() and "__pycache__" not in f.parts}


def test_the_wheel_holds_all_code_class_lists_and_migrations(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    moved = {f"omnisrc/_{name}" for folder in ("configs", "alembic") for name in sources(folder)}
    code = sources("omnisrc", "*.py") | sources("workers", "*.py") | sources("db", "*.py")
    assert (moved | code) - names == set()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"omnisrc", "workers", "db"}


def test_files_beside_the_code_travel_too(wheel):
    beside = {name for name in sources("omnisrc") if not name.endswith((".py", ".pyc", ".so"))}
    assert beside - set(zipfile.ZipFile(wheel).namelist()) == set()


def test_an_installed_wheel_finds_its_files_and_the_library_alembic(wheel, tmp_path):
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    script = (
        "from omnisrc import resources; from omnisrc.classes import load_class_list; import alembic, alembic.config;"
        "print(resources.configs(), resources.migrations(), len(load_class_list('gym99')), alembic.__file__, sep='\\n')"
    )
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    configs, migrations, classes, library = done.stdout.splitlines()
    assert (configs, migrations) == (str(site / "omnisrc/_configs"), str(site / "omnisrc/_alembic"))
    assert (Path(migrations) / "env.py").is_file()
    assert classes == "99"
    assert not library.startswith(str(site))


def test_a_checkout_finds_its_files_and_the_library_alembic():
    assert resources.configs() == ROOT / "configs"
    assert resources.migrations() == ROOT / "alembic"
    done = subprocess.run(
        [sys.executable, "-c", "import alembic; print(alembic.__file__)"], cwd=ROOT, capture_output=True, text=True
    )
    assert not done.stdout.startswith(str(ROOT / "alembic"))
    assert "site-packages" in done.stdout
