"""Charts: what is in them, on which scale, and in which words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from sensorssm_dashboard import data, palette
from sensorssm_dashboard.charts import style
from sensorssm_dashboard.charts.alarms import timeline
from sensorssm_dashboard.charts.contributions import binned, blamed, heat_map, worst_first
from sensorssm_dashboard.charts.forecast import fan
from sensorssm_dashboard.charts.score import score, sparkline
from sensorssm_dashboard.charts.trend import trend

START = datetime(2026, 1, 5, tzinfo=UTC)
SPAN = (START, START + timedelta(days=2))
TIME = pl.Datetime("us", "UTC")
NO_SPANS = pl.DataFrame(
    schema={"started": TIME, "ended": TIME, "what": pl.String, "colour": pl.String}
)


def hours(n: int) -> datetime:
    return START + timedelta(hours=n)


def readings(n: int = 49) -> pl.DataFrame:
    value = np.arange(float(n))
    return pl.DataFrame(
        {
            "time": [hours(i) for i in range(n)],
            "value": value,
            "expected": value + 0.5,
            "lower": value - 1,
            "upper": value + 1,
        },
        schema_overrides={"time": TIME},
    )


def spans(*rows: tuple[datetime, datetime | None]) -> pl.DataFrame:
    full = [(started, ended, "alarm", "#d9730d") for started, ended in rows]
    return pl.DataFrame(full, schema=NO_SPANS.schema, orient="row")


def layers(chart: Any) -> list[tuple[str, dict[str, Any], list[dict[str, Any]]]]:
    """Return the mark, the encoding and the rows of each layer."""
    spec = chart.to_dict()
    found = []
    for layer in spec["layer"]:
        rows = spec["datasets"][layer["data"]["name"]]
        found.append((layer["mark"]["type"], layer["encoding"], rows))
    return found


def marks(chart: Any) -> list[str]:
    return [mark for mark, _, _ in layers(chart)]


def test_a_trend_draws_what_was_measured_and_what_was_expected() -> None:
    """Reading, expectation and band each carry their own numbers."""
    drawn = layers(trend(readings(), SPAN, title="TI-1", unit="°C", spans=NO_SPANS))
    band = next(rows for mark, _, rows in drawn if mark == "area")
    expected, measured = (rows for mark, _, rows in drawn if mark == "line")
    assert [row["value"] for row in measured] == list(range(49))
    assert [row["value"] for row in expected] == [i + 0.5 for i in range(49)]
    assert [(row["lower"], row["upper"]) for row in band] == [(i - 1, i + 1) for i in range(49)]


def test_a_trend_keeps_a_gap() -> None:
    """Missing readings are a row without a value; the expectation goes on through them."""
    frame = readings().with_columns(
        value=pl.when(pl.int_range(49).is_between(10, 20)).then(None).otherwise("value")
    )
    drawn = layers(trend(frame, SPAN, title="TI-1", unit="°C", spans=NO_SPANS))
    expected, measured = (rows for mark, _, rows in drawn if mark == "line")
    assert [row["value"] for row in measured].count(None) == 1
    assert not {float(n) for n in range(10, 21)} & {row["value"] for row in measured}
    assert len(expected) == 49


def test_a_trend_without_a_model_draws_the_readings_alone() -> None:
    """No expectation, no band, no error."""
    unknown = pl.lit(None, dtype=pl.Float64)
    frame = readings().with_columns(expected=unknown, lower=unknown, upper=unknown)
    drawn = marks(trend(frame, SPAN, title="TI-1", unit="", spans=NO_SPANS))
    assert drawn.count("line") == 1
    assert "area" not in drawn


def test_a_trend_without_any_reading_is_an_empty_frame() -> None:
    """A tag that is silent in the span still has its chart and its axis."""
    chart = trend(readings().clear(), SPAN, title="TI-1", unit="bar", spans=NO_SPANS)
    assert "line" not in marks(chart)


def every_chart() -> dict[str, Any]:
    frame = readings()
    scores = pl.DataFrame({"time": frame["time"], "score": frame["value"], "threshold": 30.0})
    shares = frame.select("time", tag=pl.lit("TI-1"), blame=pl.lit(0.5))
    ahead = frame.tail(10).select(
        "time", origin=pl.lit(hours(38)), q10="lower", q50="value", q90="upper"
    )
    return {
        "trend": trend(frame, SPAN, title="TI-1", unit="°C", spans=spans((hours(3), None))),
        "score": score(scores, SPAN, spans=spans((hours(3), hours(5)))),
        "sparkline": sparkline(scores, SPAN, spans=NO_SPANS),
        "heat map": heat_map(shares, SPAN),
        "fan": fan(frame.select("time", "value"), ahead, title="TI-1", unit="°C"),
        "timeline": timeline(ALARMS, LABELS, SPAN),
    }


ALARMS = pl.DataFrame(
    {
        "asset": ["P-1", "P-2"],
        "opened": [hours(2), hours(40)],
        "cleared": [hours(4), None],
        "priority": ["high", "low"],
        "state": ["CLEARED", "OPEN"],
        "first_tag": ["TI-1", None],
        "message": ["too hot", "drifts"],
    }
)
LABELS = pl.DataFrame(
    {"asset": ["P-1"], "started": [hours(1)], "ended": [hours(5)], "kind": ["leak"]}
)


@pytest.mark.parametrize("name", ["trend", "score", "sparkline", "heat map", "fan", "timeline"])
def test_time_is_utc_in_every_chart(name: str) -> None:
    """Every x channel has a UTC scale, and every tooltip formats time in UTC."""
    chart = every_chart()[name]
    channels = [encoding["x"] for _, encoding, _ in layers(chart) if "field" in encoding["x"]]
    assert channels
    assert all(channel["scale"]["type"] == "utc" for channel in channels)
    assert "timeFormat" not in str(chart.to_dict())
    tips = [layer for layer in chart.to_dict()["layer"] if "transform" in layer]
    assert all("utcFormat" in layer["transform"][0]["calculate"] for layer in tips)


@pytest.mark.parametrize("name", ["trend", "score", "sparkline", "heat map", "timeline"])
def test_the_time_axis_is_exactly_the_span(name: str) -> None:
    """The first layer pins both ends; nothing else lies outside them."""
    (_, _, ends), *rest = layers(every_chart()[name])
    times = [parsed(row["time"]) for row in ends]
    assert (min(times), max(times)) == SPAN
    for _, _, rows in rest:
        for row in rows:
            moments = [parsed(row[key]) for key in ("time", "started", "ended") if key in row]
            assert all(SPAN[0] <= moment <= SPAN[1] for moment in moments)


def parsed(time: str) -> datetime:
    moment = datetime.fromisoformat(time)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@pytest.mark.parametrize("name", ["trend", "fan"])
def test_axis_titles_carry_the_unit(name: str) -> None:
    """A number without a unit is no reading."""
    titles = [e["y"].get("title") for _, e, _ in layers(every_chart()[name]) if "y" in e]
    assert "°C" in titles


def test_a_month_stays_small_on_the_wire() -> None:
    """100,000 readings become a chart below Altair's own limit and 0.3 MB of JSON."""
    n = 100_000
    time = pl.datetime_range(
        START, START + timedelta(seconds=n - 1), "1s", time_unit="us", eager=True
    )
    wave = np.sin(np.arange(n) / 500)
    frame = pl.DataFrame(
        {"time": time, "value": wave, "expected": wave, "lower": wave - 1, "upper": wave + 1}
    )
    chart = trend(frame, (time[0], time[-1]), title="TI-1", unit="°C", spans=NO_SPANS)
    assert len(chart.to_json()) < 300_000


def test_shading_is_cut_to_the_span_and_an_open_end_reaches_its_end() -> None:
    """Spans outside are dropped; those across the edge are cut."""
    rows = spans(
        (hours(-5), hours(3)), (hours(40), None), (hours(-9), hours(-8)), (hours(90), None)
    )
    [(_, _, drawn)] = [
        layer for layer in layers(every_trend_with(rows)) if layer[0] == "rect"
    ]  # fmt: skip
    times = [(parsed(row["started"]), parsed(row["ended"])) for row in drawn]
    assert times == [(hours(0), hours(3)), (hours(40), SPAN[1])]


def every_trend_with(rows: pl.DataFrame) -> Any:
    return trend(readings(), SPAN, title="TI-1", unit="°C", spans=rows)


def test_shading_has_the_colour_of_the_alarms_priority() -> None:
    """One colour per priority, in charts as in badges."""
    colours = data.alarm_spans(ALARMS)["colour"].to_list()
    assert colours == [palette.PRIORITIES[2].colour, palette.PRIORITIES[4].colour]


def test_the_heat_map_keeps_the_largest_share_of_a_bin() -> None:
    """One bad instant in a month is not averaged away."""
    n = 28 * 288
    time = pl.datetime_range(
        START, START + timedelta(minutes=5 * (n - 1)), "5m", time_unit="us", eager=True
    )
    share = np.full(n, 0.1)
    share[5_000] = 0.9
    frame = pl.DataFrame({"time": time, "tag": "TI-1", "blame": share})
    cells = binned(frame, (time[0], time[-1]))
    assert cells.height <= 161
    [worst] = cells.filter(blame=0.9).iter_rows(named=True)
    assert worst["started"] <= time[5_000] < worst["ended"]


def test_the_heat_map_puts_the_worst_tag_on_top() -> None:
    """Order follows the sum of the shares, not the alphabet."""
    frame = pl.DataFrame({"time": [hours(1)] * 3, "tag": ["A", "B", "C"], "blame": [0.1, 0.2, 0.7]})
    assert worst_first(frame) == ["C", "B", "A"]
    *_, (_, encoding, _) = layers(heat_map(frame, SPAN))
    assert encoding["y"]["sort"] == ["C", "B", "A"]


def test_blame_fades_while_all_is_well() -> None:
    """A whole share of a small score is little; above the threshold the share is the blame."""
    frame = pl.DataFrame(
        {"time": [hours(n) for n in range(5)], "tag": "TI-1", "contribution": [0.8] * 5}
    )
    scores = pl.DataFrame(
        {"time": frame["time"], "score": [0.0, 0.5, 2.0, 9.0, None], "threshold": 2.0}
    )
    assert blamed(frame, scores)["blame"].to_list() == [0.0, 0.2, 0.8, 0.8, None]
    assert blamed(frame, scores.clear())["blame"].null_count() == 5
    assert blamed(frame.clear(), scores).is_empty()


def test_a_fan_ends_the_past_at_its_origin() -> None:
    """What came after the origin is drawn apart from what was known."""
    drawn = [rows for mark, _, rows in layers(every_chart()["fan"]) if mark == "line"]
    came, seen, median = ([parsed(row["time"]) for row in rows] for rows in drawn)
    assert max(seen) == min(came) == hours(38)
    assert min(median) == hours(39)


def test_a_short_alarm_has_a_mark_of_its_own() -> None:
    """Every alarm is a bar and a shape; an open one reaches the end of the axis."""
    drawn = {mark: (e, rows) for mark, e, rows in layers(every_chart()["timeline"])[2:]}
    assert {parsed(row["ended"]) for row in drawn["bar"][1]} == {hours(4), SPAN[1]}
    shape, colour = drawn["point"][0]["shape"], drawn["point"][0]["color"]
    assert shape["scale"]["domain"] == colour["scale"]["domain"] == ["2 high", "4 low"]
    assert shape["scale"]["range"] == ["triangle-up", "triangle-down"]


def test_of_a_fleet_the_assets_with_the_newest_alarms_are_drawn() -> None:
    """Twenty of thirty; an asset that has only a known fault comes after all that have alarms."""
    fleet = pl.concat(
        ALARMS.head(1).with_columns(
            asset=pl.lit(f"P-{k:02}"), opened=pl.lit(hours(k)), cleared=None
        )
        for k in range(1, 30)
    )
    faults = LABELS.with_columns(asset=pl.lit("P-00"))
    drawn = layers(timeline(fleet, faults, SPAN))
    shown = {row["asset"] for mark, _, rows in drawn if mark == "bar" for row in rows}
    assert shown == {f"P-{k:02}" for k in range(10, 30)}


@pytest.mark.parametrize("name", ["<script>x</script>", "a.b[0]", 'it\'s "quoted"', "$x$", "a\\b"])
def test_hostile_tag_names_are_values_never_expressions(name: str) -> None:
    """A name appears as data and as a title, and no field or formula is built from it."""
    frame = pl.DataFrame({"time": [hours(1)], "tag": [name], "blame": [1.0]})
    spec = heat_map(frame, SPAN).to_dict()
    for layer in spec["layer"]:
        assert name not in str(layer.get("transform", ""))
        fields = [c.get("field") for c in layer["encoding"].values() if isinstance(c, dict)]
        assert name not in fields
    shown = trend(readings(), SPAN, title=name, unit="bar", spans=NO_SPANS).to_dict()
    assert shown["title"] == name


def test_priorities_differ_in_word_shape_and_colour() -> None:
    """Colour is never the only signal."""
    looks = palette.PRIORITIES.values()
    for part in ("word", "icon", "shape", "colour"):
        assert len({getattr(look, part) for look in looks}) == 4


@pytest.mark.parametrize(
    ("value", "rank"),
    [("high", 2), ("HIGH", 2), (1, 1), ("3", 3), (None, 4), ("?", 4), (99, 4), (0, 1), ("-1", 4)],
)
def test_any_priority_has_a_look(value: object, rank: int) -> None:
    """Numbers, words and nonsense all get one."""
    assert palette.priority(value) is palette.PRIORITIES[rank]


def gutter(chart: Any) -> set[int]:
    """Return the pixels left of the plot: the axis and, beside it, its title."""
    channels = [e["y"] for _, e, _ in layers(chart) if e.get("y", {}).get("axis")]
    assert all(y["axis"]["minExtent"] == y["axis"]["maxExtent"] for y in channels)
    return {y["axis"]["minExtent"] + (16 if y.get("title") else 0) for y in channels}


def test_charts_below_each_other_line_up() -> None:
    """Score and heat map start at the same pixel; so do all trends and fans."""
    drawn = every_chart()
    assert gutter(drawn["score"]) == gutter(drawn["heat map"]) == {style.WIDE_GUTTER}
    assert gutter(drawn["trend"]) == gutter(drawn["fan"]) == {style.GUTTER}


def test_inside_cuts_nothing_it_should_keep() -> None:
    """Half-open ends: a span that only touches the edge is outside."""
    rows = spans((hours(-1), hours(0)), (hours(48), hours(49)), (hours(0), hours(48)))
    assert style.inside(rows, SPAN).height == 1
