"""The alarms' page: what waits, since when, and who has seen it."""

from __future__ import annotations

import pytest

from sensorssm_dashboard.journal import journal
from sensorssm_pipelines.store import Store


def acknowledge(page, alarm: str, who: str, why: str):
    page.text_input(key=f"who-seen-{alarm}").set_value(who)
    page.text_input(key=f"why-seen-{alarm}").set_value(why)
    button = next(b for b in page.button if alarm in str(b.proto.id) or alarm in str(b.form_id))
    return button.click().run()


def test_the_list_says_what_an_operator_asks(build_store, open_page) -> None:
    """Message, time, duration, first tag and peak of each alarm, the open one first."""
    page = open_page("alarms", build_store())
    assert not page.exception
    rows = [m.value.replace("\\", "") for m in page.markdown if "first tag" in m.value]
    assert "still open" in rows[0]
    assert "TI-101 runs above what the model expects" in rows[0]
    assert "2026-01-12 15:20 UTC · lasted 20 h 40 min · first tag TI-101 · peak 2.8" in rows[1]


def test_the_load_on_people_is_told(build_store, open_page) -> None:
    """Two alarms in ten days, of which one has stood for longer than a day."""
    page = open_page("alarms", build_store())
    told = {metric.label: metric.value for metric in page.metric}
    assert (told["Alarms a day"], told["Most in 10 min"]) == ("0.200", "1")
    assert (told["Longer than a day"], told["Back within an hour"]) == ("1", "0")


def test_acknowledging_is_recorded_with_who_and_why(build_store, open_page) -> None:
    """The store has the name, the journal of events the reason, and the page says so."""
    store = build_store()
    alarm = store.read_alarms("P-101")["id"][0]
    page = acknowledge(open_page("alarms", store), alarm, " Ada ", "pump swapped")
    assert not page.exception
    [row] = store.read_alarms("P-101").to_dicts()
    assert (row["state"], row["acknowledged_by"]) == ("ACKNOWLEDGED", "Ada")
    [event] = store.read_alarm_events("P-101").to_dicts()
    assert (event["kind"], event["who"], event["why"]) == ("ACKNOWLEDGED", "Ada", "pump swapped")
    assert [m.value for m in page.metric if m.label.endswith("Acknowledged")] == ["1"]


def test_an_alarm_can_be_told_false_when_it_is_seen(build_store, open_page) -> None:
    """One form acknowledges and labels; the journal of the page has the word."""
    store = build_store()
    alarm = store.read_alarms("P-101")["id"][0]
    page = open_page("alarms", store)
    page.radio(key=f"kind-seen-{alarm}").set_value("false_alarm")
    page = acknowledge(page, alarm, "Ada", "a bird")
    assert not page.exception
    assert store.read_alarms("P-101")["acknowledged_by"].to_list() == ["Ada"]
    [said] = store.read_alarm_labels("P-101").to_dicts()
    assert (said["alarm_id"], said["kind"], said["why"]) == (alarm, "false_alarm", "a bird")
    assert page.dataframe[0].value["it was"].to_list() == ["–", "false alarm"]


def test_what_an_alarm_was_can_be_said_later_and_corrected(build_store, open_page) -> None:
    """Only alarms that somebody has seen are offered; the last word counts, both are kept."""
    store = build_store()
    alarm, other = store.read_alarms()["id"]
    assert not [one for one in open_page("alarms", store).selectbox if one.label == "Alarm"]
    store.label_alarm(alarm, "maintenance", "Bob", "oil change")
    page = open_page("alarms", store)
    [choice] = [one for one in page.selectbox if one.label == "Alarm"]
    assert len(choice.options) == 1 and "P-101" in choice.options[0]
    page.text_input(key="who-label").set_value("Ada")
    page.text_input(key="why-label").set_value("it leaked")
    page.radio(key="kind-label").set_value("fault")
    page = next(b for b in page.button if b.label == "Save").click().run()
    assert not page.exception
    assert store.read_alarm_labels().select("alarm_id", "kind", "who").rows() == [
        (alarm, "fault", "Ada")
    ]
    kinds = store.read_alarm_events()["kind"].to_list()
    assert kinds == ["LABELLED maintenance", "LABELLED fault"] and other != alarm


def test_a_second_click_changes_nothing(build_store, open_page) -> None:
    """Two operators, or two clicks: the first acknowledgement stays, and once."""
    store = build_store()
    alarm = store.read_alarms("P-101")["id"][0]
    first, second = open_page("alarms", store), open_page("alarms", store)
    acknowledge(first, alarm, "Ada", "seen")
    page = acknowledge(second, alarm, "Bob", "seen too")
    assert not page.exception
    assert store.read_alarms("P-101")["acknowledged_by"].to_list() == ["Ada"]
    assert store.read_alarm_events("P-101").height == 1


@pytest.mark.parametrize(("who", "why"), [("", "x"), ("x", ""), ("  ", " ")])
def test_both_name_and_reason_are_needed(build_store, open_page, who: str, why: str) -> None:
    """Without them nothing is written."""
    store = build_store()
    alarm = store.read_alarms("P-101")["id"][0]
    page = acknowledge(open_page("alarms", store), alarm, who, why)
    assert "Both are needed" in page.error[0].value
    assert store.read_alarms("P-101")["state"].to_list() == ["OPEN"]
    assert store.read_alarm_events().is_empty()


def test_when_all_are_seen_the_page_says_so(build_store, open_page) -> None:
    """Nothing waits, and the journal keeps both."""
    store = build_store()
    for alarm in store.read_alarms()["id"]:
        store.acknowledge(alarm, "Ada", "seen")
    page = open_page("alarms", store)
    assert any("Every alarm has been acknowledged" in c.value for c in page.caption)
    assert page.dataframe[0].value.shape[0] == 2


def test_no_alarms_is_not_the_same_as_no_scores(build_store, open_page, tmp_path) -> None:
    """A quiet page over nothing must not look like a calm plant."""
    assert "No scores, so no alarms" in open_page("alarms", Store(tmp_path / "empty")).info[0].value
    page = open_page("alarms", build_store(scored=False))
    assert any("No scores, so no alarms" in info.value for info in page.info)


def test_the_journal_disarms_hostile_text(build_store) -> None:
    """Cells that a spreadsheet would run are quoted; the newest alarm comes first."""
    store = build_store(first_tag="=cmd()")
    table = journal(store.read_alarms(), store.read_alarm_labels())
    assert table["first tag"].to_list() == ["'=cmd()"] * 2
    assert table["message"][0].startswith("'=cmd()")
    assert table["opened"].is_sorted(descending=True)
    assert table["lasted"].to_list() == ["20 h 40 min", "open"]


@pytest.mark.parametrize("tag", ["<img src=x onerror=alert(1)>", "[x](javascript:a)", "**x**"])
def test_hostile_text_in_the_list_is_escaped(build_store, open_page, tag: str) -> None:
    """The message and the tag come from the plant."""
    page = open_page("alarms", build_store(first_tag=tag))
    assert not page.exception
    assert all(tag not in m.value for m in page.markdown)
    assert all(not m.allow_html for m in page.markdown)


def test_a_flood_shows_the_first_twenty(build_store, open_page) -> None:
    """Two hundred alarms: twenty with a button, the rest in the journal."""
    store = build_store()
    one = store.read_alarms("P-102")
    import polars as pl

    flood = pl.concat([one.with_columns(id=pl.lit(f"P-102:score:{n}")) for n in range(200)])
    store.write_alarms(flood)
    page = open_page("alarms", store)
    assert not page.exception
    assert len([b for b in page.button if b.label == "Acknowledge"]) == 20
    assert any("182 alarms more" in c.value for c in page.caption)
    assert page.dataframe[0].value.shape[0] == 202


def test_an_assets_alarms_can_be_shelved_and_taken_back(build_store, open_page) -> None:
    """The open alarm goes from what waits, with who and why in the store, and comes back."""
    store = build_store()
    page = open_page("alarms", store)
    page.selectbox(key="asset-shelve").set_value("P-101")
    page.text_input(key="who-shelve").set_value("Ada")
    page.text_input(key="why-shelve").set_value("sensor on order")
    page = next(b for b in page.button if b.label == "Shelve").click().run()
    assert not page.exception
    assert store.read_alarms("P-101")["state"].to_list() == ["SHELVED"]
    assert any("sensor on order" in caption.value for caption in page.caption)
    counts = {metric.label.split(": ")[-1]: metric.value for metric in page.metric}
    assert counts["To acknowledge"] == "1"
    page = next(b for b in page.button if b.label == "Take back").click().run()
    assert store.read_alarms("P-101")["state"].to_list() == ["OPEN"]
