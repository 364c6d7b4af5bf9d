"""Read a recipe file: TOML in, a checked `Recipe` out, every mistake named."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sensorssm.errors import ConfigError, MissingFileError
from sensorssm_pipelines.recipes.parts import Recipe

DATA_VARIABLE = "SENSORSSM_DATA"
_VARIABLE = re.compile(r"\$\{(\w+)\}")


def load_recipe(path: Path, data: Path | None = None, store: Path | None = None) -> Recipe:
    """Return the recipe in `path`.

    ``${SENSORSSM_DATA}`` in its text becomes `data`, or else the environment variable of that
    name; `store` replaces the recipe's own folder of results.

    Raises
    ------
    MissingFileError : no such recipe.
    ConfigError : not TOML, an unknown key, a value out of range, a data folder that is not named.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise MissingFileError(f"no recipe at {path}. Give the path of a TOML file.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as text: {error}.") from error
    return parse_recipe(text, str(path), data=data, store=store)


def parse_recipe(
    text: str, where: str, *, data: Path | None = None, store: Path | None = None
) -> Recipe:
    """Return the recipe in `text`; `where` names it in messages. See `load_recipe`."""
    try:
        settings = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where} is not TOML: {error}.") from error
    folder = str(data) if data is not None else os.environ.get(DATA_VARIABLE)
    settings = _fill_in(settings, {} if folder is None else {DATA_VARIABLE: folder}, where)
    if store is not None:
        settings["store"] = str(store)
    try:
        return Recipe.model_validate(settings)
    except ValidationError as error:
        # An unknown key first: the field that is missing may be the one it was meant to be.
        first = min(error.errors(), key=lambda detail: detail["type"] != "extra_forbidden")
        raise _as_config_error(first, where) from error


def _fill_in(value: Any, known: Mapping[str, str], where: str) -> Any:
    """Return `value` with ``${NAME}`` replaced in every text inside it."""
    if isinstance(value, dict):
        return {key: _fill_in(item, known, where) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill_in(item, known, where) for item in value]
    if not isinstance(value, str):
        return value
    for name in _VARIABLE.findall(value):
        if name != DATA_VARIABLE:
            raise ConfigError.for_key(f"${{{name}}}", [f"${{{DATA_VARIABLE}}}"], where)
        if name not in known:
            raise ConfigError(
                f"{where} reads ${{{name}}}, the folder that holds the data, and it is not set. "
                f"Pass --data FOLDER or set the environment variable {name}."
            )
    return _VARIABLE.sub(lambda match: known[match[1]], value)


def _as_config_error(detail: ErrorDetails, where: str) -> ConfigError:
    *parents, last = detail["loc"] or ("",)
    table = f"[{'.'.join(map(str, parents))}] of {where}" if parents else where
    if detail["type"] == "extra_forbidden":
        return ConfigError.for_key(str(last), list(_model_at(parents).model_fields), table)
    said, value = _lower(detail["msg"]).rstrip("."), detail["input"]
    is_told = isinstance(value, dict) or repr(value) in said
    found = "" if is_told else f", found {value!r}"
    place = f"{where}: {'.'.join(map(str, detail['loc']))}" if detail["loc"] else where
    return ConfigError(f"{place}: {said}{found}.")


def _lower(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _model_at(location: list[int | str]) -> type[BaseModel]:
    """Return the class of the table at `location` in a recipe."""
    model: type[BaseModel] = Recipe
    for name in location:
        if isinstance(name, str) and name in model.model_fields:
            model = _model_in(model.model_fields[name].annotation) or model
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the table inside an annotation such as ``list[Source]`` or ``Forecast | None``."""
    if get_origin(annotation) in (list, Union, UnionType):
        return next(filter(None, map(_model_in, get_args(annotation))), None)
    is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return annotation if is_model else None
