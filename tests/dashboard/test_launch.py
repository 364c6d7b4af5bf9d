"""The command line that serves the pages."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from sensorssm_dashboard.launch import command


def settings(words: list[str]) -> dict[str, str]:
    flags = words[5 : words.index("--", 5)]
    return dict(zip(flags[::2], flags[1::2], strict=True))


def test_the_server_is_local_and_silent() -> None:
    """It answers this machine alone, sends no statistics, and shows no traceback."""
    words = command("runs/demo", port=8765)
    found = settings(words)
    assert words[:4] == [sys.executable, "-m", "streamlit", "run"]
    assert found["--server.address"] == "127.0.0.1"
    assert found["--server.port"] == "8765"
    assert found["--server.headless"] == "true"
    assert found["--browser.gatherUsageStats"] == "false"
    assert found["--client.showErrorDetails"] == "none"
    assert found["--client.toolbarMode"] == "viewer"
    assert found["--server.fileWatcherType"] == "none"


def test_the_store_goes_to_the_app_not_to_the_server(tmp_path: Path) -> None:
    """A folder with spaces or dashes is one word after the separator."""
    folder = tmp_path / "--my store"
    assert command(folder)[-2:] == ["--store", str(folder)]
    assert command(folder)[-3] == "--"


def test_every_setting_is_one_that_streamlit_knows() -> None:
    """A setting that was renamed would be an error at the start, not a wrong page."""
    from streamlit import config

    known = {f"--{name}" for name in config.get_config_options(force_reparse=False)}
    assert set(settings(command("x"))) <= known


def test_the_theme_holds_only_what_streamlit_knows() -> None:
    """The theme file exists beside the app, and each key is a theme option."""
    from streamlit import config

    theme = tomllib.loads(Path(settings(command("x"))["--theme.base"]).read_text())["theme"]
    known = set(config.get_config_options(force_reparse=False))
    keys = {f"theme.{key}" for key, value in theme.items() if not isinstance(value, dict)}
    for scheme in ("light", "dark"):
        keys |= {f"theme.{scheme}.{key}" for key in theme[scheme]}
    assert keys <= known
    assert theme["light"].keys() == theme["dark"].keys()


@pytest.mark.parametrize("module", ["sensorssm_dashboard", "sensorssm_dashboard.launch"])
def test_asking_for_the_command_loads_nothing_heavy(module: str) -> None:
    """The command line asks for it at once, without Streamlit or Polars."""
    code = (
        f"import sys, {module}; "
        "sys.exit(bool({'streamlit', 'polars', 'altair', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
