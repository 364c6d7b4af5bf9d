"""The exceptions of sensorssm: each says what was found, what was wanted and what to do next.

::

    SensorSSMError
    |- ShapeError        (ValueError)         arrays that do not fit together
    |- DataError         (ValueError)         readings or frames that cannot be used
    |- ConfigError       (ValueError)         a setting, a recipe key or a recipe value
    |- UnknownTagError   (LookupError, ValueError)  a tag the model was not fitted on
    |- ModelFileError    (ValueError)         a model folder that is damaged, foreign or hostile
    |- StoreError        (RuntimeError)       the result store cannot be read or written
    `- MissingFileError  (FileNotFoundError)  a path that does not exist
"""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from typing import Self


class SensorSSMError(Exception):
    """Base of every error that sensorssm raises on purpose."""


class ShapeError(SensorSSMError, ValueError):
    """Arrays whose shapes do not fit together."""


class DataError(SensorSSMError, ValueError):
    """Readings or a frame that cannot be used as they are."""


class ConfigError(SensorSSMError, ValueError):
    """A setting that is unknown or out of range."""

    @classmethod
    def for_key(cls, key: str, known: Collection[str], where: str) -> Self:
        """Return the error for a key that `where` does not have."""
        near = get_close_matches(key, known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return cls(f"unknown key {key!r} in {where}.{hint} Known keys: {', '.join(sorted(known))}.")


class UnknownTagError(SensorSSMError, LookupError, ValueError):  # KeyError would quote the text
    """A tag the model was not fitted on."""

    @classmethod
    def for_tag(cls, tag: str, known: Collection[str]) -> Self:
        """Return the error for `tag` where only `known` tags were fitted."""
        near = get_close_matches(tag, known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return cls(
            f"tag {tag!r} was not in the frame this model was fitted on "
            f"({len(known)} tags).{hint} List them with `model.tags_`."
        )

    @classmethod
    def for_columns(cls, found: Collection[str], known: Collection[str], reason: str) -> Self:
        """Return the error for columns `found` that are not the `known` ones, after a `reason`."""
        near = {
            tag: get_close_matches(tag, set(known) - set(found), n=1)
            for tag in found
            if tag not in known
        }
        hints = [f"{tag!r} may be {names[0]!r}" for tag, names in near.items() if names]
        hint = f"{'; '.join(hints)}. " if hints else ""
        return cls(f"{reason.rstrip()}\n{hint}Wanted the columns {list(known)}, in this order.")


class ModelFileError(SensorSSMError, ValueError):
    """A model folder that is damaged, foreign or hostile."""


class StoreError(SensorSSMError, RuntimeError):
    """The result store cannot be read or written."""


class MissingFileError(SensorSSMError, FileNotFoundError):
    """A path that does not exist."""
