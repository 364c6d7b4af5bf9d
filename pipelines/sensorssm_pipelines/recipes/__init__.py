"""Recipes: one TOML file with every setting of a job."""

from sensorssm_pipelines.recipes.loading import load_recipe as load_recipe
from sensorssm_pipelines.recipes.loading import parse_recipe as parse_recipe
from sensorssm_pipelines.recipes.parts import Recipe as Recipe
from sensorssm_pipelines.recipes.parts import Source as Source
from sensorssm_pipelines.recipes.parts import Tag as Tag

__all__ = ["Recipe", "Source", "Tag", "load_recipe", "parse_recipe"]
