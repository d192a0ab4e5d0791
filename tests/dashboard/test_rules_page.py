"""The catalogue of rules stands without an audit; admins add rules of their own, tried before they are kept."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from own_rules import finds, rule_file
from pages import SAMPLES, visit
from streamlit.testing.v1 import AppTest

from auditor import RuleFileError, audit, rule_template
from dashboard import service
from dashboard.custom_rules import CustomRules, holds_rules
from dashboard.service import Service
from dashboard.settings import Role


def custom(of: Service) -> CustomRules:
    return CustomRules(of.settings.folder / "rules", of.library.state)


def press(app: AppTest, label: str) -> AppTest:
    return next(button for button in app.button if button.label == label).click().run()


def said(app: AppTest) -> str:
    return "\n".join(
        str(box.value) for box in [*app.text, *app.code, *app.error, *app.warning, *app.success, *app.info]
    )


def test_the_catalogue_stands_without_an_audit(empty: Service) -> None:
    app = visit("rules", rule="stale-snapshot-write")
    assert not app.exception
    assert "There is no audit yet" in said(app)
    assert "outcome" not in set(app.dataframe[0].proto.column_order)
    assert any("##### What it means" in box.value for box in app.markdown)


def test_a_rule_is_shown_with_what_became_of_it_here(full: Service) -> None:
    app = visit("rules", rule="stale-snapshot-write", q="snapshot")
    assert not app.exception
    table = app.dataframe[0].value.set_index("rule")
    assert table.loc["stale-snapshot-write", "outcome"] == "found"
    assert "dropped-fence" not in table.index
    assert "Found; evaluated on 6 runs, skipped on 6." in said(app)
    assert any("workflow" in frame.value.columns for frame in app.dataframe)


def test_the_text_of_a_rule_of_ones_own_is_never_read_as_markdown(empty: Service) -> None:
    text = rule_template("my-rule").replace("An issue, a page", "![x](http://example.com/x.png)")
    text = text.replace("A step was retried more", "See ![y](http://example.com/y.png)")
    custom(empty).save("custom", "my-rule", text, "somebody")
    app = visit("rules", rule="my-rule")
    assert not app.exception
    assert "![x](http://example.com/x.png)" in said(app)
    assert not [box for box in app.markdown if "example.com" in box.value]


def test_a_dry_run_lists_findings_and_keeps_nothing(full: Service) -> None:
    app = visit("rules", tab="editor")
    every = rule_file(full.settings.folder / "scratch", "my-rule", finds() + " LIMIT 3").read_text("utf-8")
    app.text_area(key="rules.text").set_value(every)
    app = press(app, "Dry run")
    assert not app.exception
    assert "It would find 3 findings" in said(app)
    assert list(app.dataframe[0].value["because"]) == ["So it is."] * 3
    assert not custom(full).names()
    app.text_area(key="rules.text").set_value(every.replace("FROM log", "FROM lug"))
    assert "line 22: Catalog Error: Table with name lug does not exist" in said(press(app, "Dry run"))
    app.text_area(key="rules.text").set_value("DROP TABLE run")
    assert "must be a /* header --- Markdown */ comment" in said(press(app, "Save"))
    assert not custom(full).names()


def test_a_rule_that_is_saved_takes_part_in_audits_until_it_is_deleted(empty: Service) -> None:
    app = press(visit("rules", tab="editor"), "Save")
    assert not app.exception
    assert "It is saved" in said(app)
    assert app.query_params["edit"] == "custom/my-rule"
    with audit(SAMPLES, rules=[custom(empty).folder], select=["my-rule"]) as made:
        assert [rule["id"] for rule in made.report["rules"]] == ["my-rule"]
    app = press(app, "Delete")
    assert not app.exception
    assert not custom(empty).names()
    trail = empty.library.state.rows("SELECT action, subject, detail FROM trail ORDER BY no")
    assert [(row["action"], row["subject"]) for row in trail] == [
        ("rule saved", "custom/my-rule"),
        ("rule deleted", "custom/my-rule"),
    ]
    assert json.loads(trail[0]["detail"])["text"] == rule_template("my-rule")


@pytest.mark.parametrize(
    ("group", "rule_id"),
    [
        ("custom", "stale-snapshot-write"),
        ("other", "taken"),
        ("..", "a"),
        ("custom", "../../a"),
        ("custom", "A b"),
    ],
)
def test_a_rule_may_not_shadow_another_nor_leave_its_folder(empty: Service, group: str, rule_id: str) -> None:
    rules = custom(empty)
    rules.save("custom", "taken", rule_template("taken"), "somebody")
    with pytest.raises(RuleFileError):
        rules.save(group, rule_id, rule_template("taken"), "somebody")
    assert rules.names() == ["custom/taken"]
    with pytest.raises(RuleFileError):
        rules.delete("../state", "somebody")


def test_only_admins_write_rules(empty: Service) -> None:
    service.install(replace(empty, settings=replace(empty.settings, roles={"*": Role.TRIAGER})))
    app = visit("rules", tab="editor")
    assert "Only admins may write rules" in said(app)
    assert not app.text_area


def test_a_rule_file_broken_by_hand_is_said_and_ours_are_shown(empty: Service) -> None:
    rule_file(custom(empty).folder, "broken", "SELECT 1").write_text("no rule", "utf-8")
    app = visit("rules")
    assert not app.exception
    assert "cannot be read, and no audit can be made" in said(app)
    assert len(app.dataframe[0].value) > 50


@pytest.mark.parametrize("name", ["forbidden.sql", "own/deep/forbidden.sql", "own/forbidden.SQL"])
def test_a_rule_file_at_a_wrong_place_is_said_here_and_fails_every_audit(empty: Service, name: str) -> None:
    misplaced = custom(empty).folder / name
    misplaced.parent.mkdir(parents=True)
    misplaced.write_text(rule_template("forbidden"), "utf-8")
    app = visit("rules")
    assert not app.exception
    assert f"{misplaced}: a rule stands at" in said(app)
    assert holds_rules(custom(empty).folder), "so the worker hands the folder to the audit, which says the same"
