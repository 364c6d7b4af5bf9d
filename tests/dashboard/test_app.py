"""The app as a whole: its store, its pages, and what it never loads."""

from __future__ import annotations

import ast
import gc
import subprocess
import sys
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import sensorssm_dashboard
from sensorssm_pipelines.store import Store

HOME = Path(sensorssm_dashboard.__file__).parent
APP = HOME / "app.py"


def run_app(monkeypatch: pytest.MonkeyPatch, path: Path, *, by_flag: bool = False) -> AppTest:
    monkeypatch.setattr(sys, "argv", ["app.py", "--store", str(path)] if by_flag else ["app.py"])
    monkeypatch.setenv("SENSORSSM_STORE", "nowhere" if by_flag else str(path))
    return AppTest.from_file(str(APP), default_timeout=30).run()


@pytest.mark.parametrize("by_flag", [True, False])
def test_the_app_opens_the_overview_of_its_store(build_store, monkeypatch, by_flag: bool) -> None:
    """The store is named by ``--store``, or else by SENSORSSM_STORE."""
    page = run_app(monkeypatch, build_store().path, by_flag=by_flag)
    assert not page.exception
    assert page.title[0].value == "Plant overview"


@pytest.mark.parametrize("kind", ["missing", "empty folder", "a file", "not a database"])
def test_a_store_that_is_none_is_one_line(tmp_path, monkeypatch, kind: str) -> None:
    """Missing, empty or damaged: words, no traceback, and nothing is created."""
    path = tmp_path / "odd"
    if kind == "empty folder":
        path.mkdir()
    elif kind == "a file":
        path.write_text("x")
    elif kind == "not a database":
        path.mkdir()
        (path / "results.db").write_text("this is no database at all, but long enough" * 50)
    page = run_app(monkeypatch, path)
    assert not page.exception
    assert len(page.error) == 1
    assert "odd" in page.error[0].value
    assert kind != "missing" or not path.exists()


def test_a_store_deleted_under_the_page_is_one_line(build_store, monkeypatch) -> None:
    """The folder vanishes between two reruns."""
    store = build_store()
    page = run_app(monkeypatch, store.path)
    (store.path / "results.db").unlink()
    for name in ("results.db-wal", "results.db-shm"):
        (store.path / name).unlink(missing_ok=True)
    page.run()
    assert not page.exception
    assert "no store in" in page.error[0].value.replace("\\", "")


def test_a_damaged_history_file_is_one_line(build_store, monkeypatch) -> None:
    """A torn Parquet file is named, and the page ends there."""
    store = build_store()
    for file in (store.path / "history" / "readings").rglob("*.parquet"):
        file.write_bytes(b"PAR1 torn")
    page = run_app(monkeypatch, store.path)
    assert not page.exception
    assert ".parquet" in page.error[0].value.replace("\\", "")


def test_the_garbage_is_frozen_once(build_store, monkeypatch) -> None:
    """What was imported is out of the collector's sight, so a rerun's collection is cheap."""
    st.cache_resource.clear()
    run_app(monkeypatch, build_store().path)
    assert gc.get_freeze_count() > 50_000
    gc.unfreeze()


def test_no_page_loads_a_model_or_a_trainer() -> None:
    """Importing every module of the dashboard leaves torch, scikit-learn and models out."""
    modules = [
        ".".join(file.relative_to(HOME.parent).with_suffix("").parts)
        for file in HOME.rglob("*.py")
        if file.name != "__init__.py"
    ]
    assert "sensorssm_dashboard.views.asset" in modules
    code = (
        f"import sys, importlib; [importlib.import_module(m) for m in {modules!r}]\n"
        "bad = [m for m in sys.modules if m.split('.')[0] in "
        "{'torch', 'triton', 'sklearn', 'numba', 'plotly', 'sensorssm_kernels'} "
        "or m.startswith(('sensorssm.models', 'sensorssm.estimators', 'sensorssm.online'))]\n"
        "sys.exit(', '.join(bad) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_page_writes_unsafe_html() -> None:
    """No call may switch HTML on, and the one piece of HTML is a constant."""
    for file in HOME.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                assert "unsafe_allow_html" not in {word.arg for word in node.keywords}, file
                if getattr(node.func, "attr", "") == "html":
                    assert [getattr(arg, "id", None) for arg in node.args] == ["CSS"], file


def test_the_store_is_opened_to_write_only_for_what_people_say() -> None:
    """Every other page reads."""
    writers = [
        file.name
        for file in HOME.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "Store"
        and not node.keywords
    ]
    assert set(writers) == {"say.py", "shelf.py"}


def test_a_fresh_store_can_be_opened_while_it_is_being_filled(tmp_path, monkeypatch) -> None:
    """A run that has only just begun shows an empty plant."""
    page = run_app(monkeypatch, Store(tmp_path / "young").path)
    assert not page.exception
    assert not page.error
