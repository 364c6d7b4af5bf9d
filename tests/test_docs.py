"""The guide's Python examples run, in order, in one namespace a page, as a reader would run them."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#]+)[^)]*\)")


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_examples_of_a_page_run(page: Path, tmp_path: Path) -> None:
    """Each block runs after those before it, in an empty folder."""
    blocks = BLOCK.findall(page.read_text())
    here, namespace = os.getcwd(), {"__name__": page.stem}
    os.chdir(tmp_path)
    try:
        for number, block in enumerate(blocks):
            exec(compile(block, f"{page.name}, block {number + 1}", "exec"), namespace)
    finally:
        os.chdir(here)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    """Every relative link and picture is a file of the project."""
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} -> {target}"


def test_every_recipe_key_is_on_the_recipes_page() -> None:
    """A setting that the page does not name is not finished."""
    from sensorssm_pipelines.recipes.parts import Part

    page = (ROOT / "docs" / "recipes.md").read_text()
    keys = {key for part in Part.__subclasses__() for key in part.model_fields}
    assert len(keys) > 30
    assert not [key for key in sorted(keys) if f"`{key}`" not in page and f"[{key}]" not in page]


def test_every_recipe_is_on_the_recipes_page() -> None:
    """A recipe for public data that the page does not name will not be found."""
    page = (ROOT / "docs" / "recipes.md").read_text()
    recipes = sorted((ROOT / "pipelines" / "recipes").glob("*.toml"))
    assert len(recipes) > 5
    assert not [path.stem for path in recipes if f"[`{path.stem}`]" not in page]


def test_every_command_is_in_the_guide() -> None:
    """A command that the guide does not name is not finished."""
    from sensorssm_pipelines.cli import main

    guide = (ROOT / "docs" / "guide.md").read_text()
    assert not [
        name
        for name in main.commands
        if f"`sensorssm {name}" not in guide.replace("`, `", "`, `sensorssm ")
    ]
