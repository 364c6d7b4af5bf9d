"""The house itself: light imports, no pickle, nothing undocumented."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import sensorssm

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted(
    path
    for folder in ("sensorssm", "kernels", "pipelines", "dashboard")
    for path in (ROOT / folder).rglob("*.py")
)


def _python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
    )


def test_the_core_imports_without_frames_screens_and_triton() -> None:
    """Every module of the library imports where Polars, pandas, Arrow, Streamlit, Triton are not."""
    code = """
import sys, pkgutil, importlib
for name in ("polars", "pandas", "pyarrow", "streamlit", "triton"):
    sys.modules[name] = None
sys.path[:0] = [".", "kernels"]
import sensorssm, sensorssm_kernels
for package in (sensorssm, sensorssm_kernels):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if "_triton" not in found.name and ".faces." not in found.name:  # faces need their library
            importlib.import_module(found.name)
for name in sensorssm.__all__:
    getattr(sensorssm, name)
"""
    done = _python(code)
    assert done.returncode == 0, done.stderr


def test_importing_the_library_loads_nothing_heavy() -> None:
    """`import sensorssm` answers at once: no torch, no scikit-learn, not even numpy."""
    heavy = _python(
        "import sys, sensorssm; print(*sorted({'torch', 'sklearn', 'numpy', 'polars'} & set(sys.modules)))"
    )
    assert heavy.stdout.strip() == "", heavy.stdout


def test_public_names_are_all_importable_and_unknown_ones_refused() -> None:
    """Every name in `__all__` resolves, and a wrong one is an AttributeError."""
    assert set(sensorssm.__all__) <= set(dir(sensorssm))
    for name in sensorssm.__all__:
        assert getattr(sensorssm, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = sensorssm.no_such_name


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_file_runs_foreign_code(path: Path) -> None:
    """No pickle, no eval, no exec, no unsafe YAML: a file from outside is data."""
    refused_modules = {"pickle", "cPickle", "dill", "shelve", "marshal"}
    refused_calls = {"eval", "exec"}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert not refused_modules & {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in refused_modules
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in refused_calls, f"{path}:{node.lineno}"


def test_every_module_and_public_name_has_a_docstring() -> None:
    """A module, a public class, a public function: each says in one sentence what it gives."""
    bare = []
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        if not ast.get_docstring(tree):
            bare.append(str(path.relative_to(ROOT)))
        for node in tree.body:
            named = isinstance(node, ast.FunctionDef | ast.ClassDef)
            if named and not node.name.startswith("_") and not ast.get_docstring(node):
                bare.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
    assert not bare, "\n".join(bare)


def test_every_public_name_is_in_the_guide() -> None:
    """A public name that the guide does not mention is not finished."""
    guide = "\n".join(path.read_text() for path in (ROOT / "docs").rglob("*.md"))
    missing = [name for name in sensorssm.__all__ if not name.startswith("_") and name not in guide]
    assert not missing


def test_the_version_is_one() -> None:
    """The package's version and the project file's are the same."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == sensorssm.__version__


def test_every_package_is_found_from_a_bare_checkout() -> None:
    """All four packages import by their own names and hold at least one module."""
    for name in ("sensorssm", "sensorssm_kernels", "sensorssm_pipelines", "sensorssm_dashboard"):
        package = importlib.import_module(name)
        assert list(pkgutil.iter_modules(package.__path__)), name
