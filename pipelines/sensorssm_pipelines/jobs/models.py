"""The models of a store: one folder an asset, loaded only for the tags they were fitted on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from sensorssm.errors import DataError, MissingFileError
from sensorssm.names import TIME
from sensorssm_pipelines.ingest import to_wide
from sensorssm_pipelines.recipes.parts import Recipe
from sensorssm_pipelines.store import Store
from sensorssm_pipelines.store.history import folder_name

if TYPE_CHECKING:
    from sensorssm.estimators import SSMDetector, SSMForecaster


@dataclass(frozen=True)
class Models:
    """What was fitted for one asset; None where the recipe asks for none."""

    forecaster: SSMForecaster | None
    detector: SSMDetector | None


def readings_of(store: Store, asset: str) -> pl.DataFrame:
    """Return an asset's clean grid as a wide frame; DataError when nothing was ingested."""
    readings = store.read_readings(asset)
    if readings.is_empty():
        raise DataError(
            f"no readings of asset {asset!r} in {store.path}. Run `sensorssm ingest RECIPE` first."
        )
    return to_wide(readings, asset)


def assets_of(store: Store) -> list[str]:
    """Return the assets of a store; DataError when there are none."""
    assets = store.assets()
    if not assets:
        raise DataError(f"no assets in {store.path}. Run `sensorssm ingest RECIPE` first.")
    return assets


def fitted_assets(recipe: Recipe, store: Store) -> list[str]:
    """Return the assets that have models of their own: all of them, or the reference alone.

    Raises
    ------
    DataError : no assets, or a reference that is none of them.
    """
    assets, reference = assets_of(store), recipe.split.reference
    if reference is None:
        return assets
    if reference not in assets:
        raise DataError(
            f"split.reference names asset {reference!r}, which is not in {store.path}; there are "
            f"{', '.join(map(repr, assets[:8]))}{' ...' if len(assets) > 8 else ''}. Correct it."
        )
    return [reference]


def model_folder(store: Store, asset: str) -> Path:
    """Return where the models of an asset lie."""
    return store.path / "models" / folder_name(asset)


def save_models(store: Store, asset: str, models: Models) -> None:
    """Write the models of an asset."""
    folder = model_folder(store, asset)
    for name, model in (("forecaster", models.forecaster), ("detector", models.detector)):
        if model is not None:
            model.save(folder / name)


def load_models(recipe: Recipe, store: Store, asset: str, readings: pl.DataFrame) -> Models:
    """Return the models of an asset that fit the tags of `readings`; the reference's, if any.

    Raises
    ------
    MissingFileError : no model there yet.
    DataError : a model that was fitted on other tags.
    ModelFileError : a model that is damaged.
    """
    from sensorssm.estimators import SSMDetector, SSMForecaster

    store.land()  # models of a job that was killed on their way into place
    folder = model_folder(store, recipe.split.reference or asset)
    return Models(
        forecaster=_load(SSMForecaster, folder / "forecaster", readings)
        if recipe.forecast
        else None,
        detector=_load(SSMDetector, folder / "detector", readings) if recipe.detect else None,
    )


def _load(kind: type[Any], folder: Path, readings: pl.DataFrame) -> Any:
    if not folder.exists():
        raise MissingFileError(f"no model in {folder}. Run `sensorssm fit RECIPE` first.")
    model = kind.load(folder)
    found = [name for name in readings.columns if name != TIME]
    if list(model.tags_) != found:
        raise DataError(
            f"the model in {folder} was fitted on other tags: it wants {_only(model.tags_, found)} "
            f"and the readings have {_only(found, model.tags_)}. Fit again with "
            "`sensorssm fit RECIPE`, or ingest the tags that it knows."
        )
    return model


def _only(names: list[str] | tuple[str, ...], others: list[str] | tuple[str, ...]) -> str:
    rest = [name for name in names if name not in others]
    return ", ".join(map(repr, rest[:5])) + (" ..." if len(rest) > 5 else "") or "no more"
