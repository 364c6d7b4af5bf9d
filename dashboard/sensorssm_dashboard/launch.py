"""How the dashboard is started: one command line, no configuration file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent

#: The server answers this machine alone and sends nothing home; a page shows no traceback.
_SETTINGS: Final = {
    "server.headless": "true",
    "server.address": "127.0.0.1",
    "server.fileWatcherType": "none",
    "server.enableStaticServing": "false",
    "browser.gatherUsageStats": "false",
    "client.showErrorDetails": "none",
    "client.toolbarMode": "viewer",
    "theme.base": str(_HERE / "theme.toml"),
}


def command(store: str | Path, port: int = 8501) -> list[str]:
    """Return the command line that serves the store's dashboard on ``127.0.0.1:port``."""
    settings = {**_SETTINGS, "server.port": str(port)}
    return [
        sys.executable, "-m", "streamlit", "run", str(_HERE / "app.py"),
        *(word for name, value in settings.items() for word in (f"--{name}", value)),
        "--", "--store", str(store),
    ]  # fmt: skip
