"""Quality dialects: the same code means opposite things."""

from __future__ import annotations

import polars as pl
import pytest

from sensorssm.names import Quality
from sensorssm_pipelines.ingest.quality import quality_class

G, U, B = Quality


@pytest.mark.parametrize(
    ("dialect", "codes"),
    [
        ("internal", {0: G, 1: U, 2: B, 3: None, -1: None, 192: None}),
        ("opcda", {192: G, 216: G, 64: U, 84: U, 0: B, 24: B, 500: None, 128: None, -1: None}),
        (
            "opcua",
            {
                0: G,
                0x40900000: U,
                0x80890000: B,
                0x80890000 - 2**32: B,  # historians that store a signed integer
                0x00000480: G,  # overflow: information bits with their type
                192: None,  # OPC DA's Good, in the wrong column
                0xC0000000: None,
                2**40: None,
            },
        ),
        ("none", {0: G, 192: G, 7: G}),
    ],
)
def test_codes_mean_what_their_dialect_says(dialect: str, codes: dict[int, Quality | None]) -> None:
    frame = pl.DataFrame({"code": list(codes)})
    expected = [None if q is None else int(q) for q in codes.values()]
    for form in (pl.col("code"), pl.format(" {} ", "code")):
        found = frame.with_columns(q=quality_class(form, dialect))["q"]
        assert found.dtype == pl.UInt8
        assert found.to_list() == expected


@pytest.mark.parametrize("dialect", ["internal", "opcda", "opcua"])
def test_a_missing_or_worded_code_is_unknown(dialect: str) -> None:
    frame = pl.DataFrame({"code": [None, "GOOD", "", "1.5"]})
    found = frame.select(quality_class(pl.col("code"), dialect).alias("q")).to_series()
    assert found.to_list() == [None] * 4
