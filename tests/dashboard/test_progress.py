"""An audit says how far it is."""

from __future__ import annotations

from pages import SAMPLES

from auditor import audit


def test_an_audit_tells_its_phases_in_order_and_how_much_of_each_is_done() -> None:
    told: list[tuple[str, int, int]] = []
    paths = [SAMPLES / "healthy-order.ndjson", SAMPLES / "orphaned-wait.ndjson"]
    with audit(*paths, progress=lambda *words: told.append(words)) as made:
        rules = len(made.report["rules"])
    assert list(dict.fromkeys(phase for phase, _, _ in told)) == ["reading", "replaying", "checking", "judging"]
    assert [words for words in told if words[0] == "reading"] == [("reading", done, 2) for done in range(3)]
    checked = [words[1:] for words in told if words[0] == "checking"]
    assert checked == [(done, rules) for done in range(1, rules + 1)]
