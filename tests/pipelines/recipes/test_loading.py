"""Recipes: every setting is checked, and every mistake is named with what to do about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sensorssm.errors import ConfigError, MissingFileError
from sensorssm_pipelines.recipes import Recipe, load_recipe, parse_recipe
from sensorssm_pipelines.recipes.parts import Part

GOOD = """
name = "pump-7"
store = "runs/pump-7"

[[sources]]
path = "${SENSORSSM_DATA}/raw"
layout = "wide"
asset = "pump 7"

[split]
fit = 0.5
"""
RECIPES = sorted((Path(__file__).parents[3] / "pipelines" / "recipes").glob("*.toml"))


def refuse(text: str, *words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_recipe(text, "pump.toml", data=Path("/data"))
    for word in ("pump.toml", *words):
        assert word in str(caught.value)


def test_a_recipe_is_read_with_its_defaults() -> None:
    recipe = parse_recipe(GOOD, "pump.toml", data=Path("/data"))
    assert recipe.sources[0].path == "/data/raw"
    assert recipe.sources[0].columns.time == "time"
    assert recipe.forecast is None and recipe.grid.step is None


def test_the_data_folder_comes_from_the_argument_then_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pump.toml"
    path.write_text(GOOD)
    monkeypatch.setenv("SENSORSSM_DATA", "/from/environment")
    assert load_recipe(path).sources[0].path == "/from/environment/raw"
    assert load_recipe(path, data=Path("/given")).sources[0].path == "/given/raw"
    assert load_recipe(path, store=Path("elsewhere")).store == "elsewhere"
    monkeypatch.delenv("SENSORSSM_DATA")
    with pytest.raises(ConfigError, match="Pass --data FOLDER or set the environment variable"):
        load_recipe(path)


@pytest.mark.parametrize(
    ("typo", "words"),
    [
        ('nmae = "x"\n' + GOOD, ["'nmae'", "Did you mean 'name'?"]),
        (GOOD + "valiid = 0.6\n", ["'valiid' in [split]", "Did you mean 'valid'?"]),
        (GOOD.replace("layout =", "layuot ="), ["layout", "sources.0"]),
        (GOOD + "[detect]\nalarm_buget = 1\n", ["'alarm_buget' in [detect]", "'alarm_budget'"]),
        (GOOD + "[[tags]]\nname = 'a'\nunits = 'bar'\n", ["'units' in [tags.0]", "'unit'"]),
        (GOOD.replace('asset = "p', 'columns.ttime = "t"\nasset = "p'), ["'ttime'", "'time'"]),
    ],
)
def test_an_unknown_key_is_refused_by_name_with_the_nearest_one(
    typo: str, words: list[str]
) -> None:
    refuse(typo, *words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = ", ["not TOML"]),
        (GOOD.replace('"wide"', '"tall"'), ["sources.0.layout", "'tall'"]),
        (GOOD.replace("fit = 0.5", ""), ["split.fit", "field required"]),
        (GOOD.replace('asset = "pump 7"', ""), ["no asset", "{file}"]),
        (GOOD.replace("asset =", 'columns.quality = "q"\nasset ='), ["0 is Good in OPC UA"]),
        (GOOD.replace("asset =", 'quality = "opcua"\nasset ='), ["columns.quality"]),
        (GOOD.replace("asset =", 'time_zone = "Mars/Base"\nasset ='), ["not a time zone"]),
        (
            GOOD + '[grid]\nperiod = "5 parsecs"\n',
            ["'5 parsecs' is not a length of time", "such as '5min'."],
        ),
        (GOOD + '[grid]\nperiod = "0s"\n', ["above zero"]),
        (GOOD.replace("${SENSORSSM_DATA}", "${HOME}"), ["unknown key '${HOME}'"]),
        (GOOD.replace("pump-7", "../up"), ["name", "'../up'"]),
        (GOOD.replace("fit = 0.5", "fit = nan"), ["split.fit", "finite", "found nan"]),
        (GOOD + "score = inf\n", ["split.score", "finite", "found inf"]),
        (GOOD + "[alarms]\ndeadband = inf\n", ["alarms.deadband", "finite"]),
        (GOOD + "[forecast]\nlags = 0\n", ["forecast.lags", "found 0"]),
        *(
            (GOOD.replace("asset =", f"{key} = ['{pattern}']\nasset ="), [key, "not a pattern"])
            for key in ("files", "exclude")
            for pattern in ("/tmp/*.csv", "", ".", "**x")
        ),
        *(
            (GOOD.replace("asset =", f"separator = '{text}'\nasset ="), ["not one ASCII"])
            for text in ("", ";;", "·", "€")
        ),
        (GOOD + "[detect]\nfalse_alarm_rate = 2\n", ["detect.false_alarm_rate", "found 2"]),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(text: str, words: list[str]) -> None:
    refuse(text, *words)


def test_a_missing_recipe_and_one_that_is_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no recipe at"):
        load_recipe(tmp_path / "none.toml")
    (tmp_path / "bin.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read as text"):
        load_recipe(tmp_path / "bin.toml")
    with pytest.raises(ConfigError, match="cannot be read as text"):
        load_recipe(tmp_path)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_of_the_project_is_valid(path: Path) -> None:
    recipe = load_recipe(path, data=Path("/data"))
    assert recipe.name == path.stem
    assert recipe.store == f"runs/{path.stem}"


def _parts(part: type[Part]) -> set[type[Part]]:
    return {part, *(p for child in part.__subclasses__() for p in _parts(child))}


def test_every_key_of_a_recipe_is_checked_and_frozen() -> None:
    """No table of a recipe lets an unknown key through or can be changed by a job."""
    assert RECIPES
    for part in _parts(Part):
        assert part.model_config.get("extra") == "forbid"
        assert part.model_config.get("frozen") is True
    assert Recipe in _parts(Part)
