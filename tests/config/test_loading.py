"""What a configuration file says, and what is said of one that is wrong."""

from __future__ import annotations

import datetime as dt
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditor import schemas
from auditor.check.decisions import Suppression
from auditor.check.tuning import Tuning
from auditor.config import Config, load
from auditor.errors import UsageError
from auditor.model.judgement import Capability, Severity

SCHEMA = json.loads(schemas.text("config"))
GOLDEN = Path(__file__).parents[1] / "schemas/golden/config.json"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "auditor.toml"


def said(path: Path, text: str) -> Config:
    path.write_text(text, "utf-8")
    return load(path)


def refused(path: Path, text: str) -> str:
    with pytest.raises(UsageError) as error:
        said(path, text)
    return str(error.value)


class TestWhatItSays:
    def test_an_empty_file_says_what_no_file_says(self, config: Path) -> None:
        assert said(config, "") == Config(path=config)

    def test_every_key_of_the_schema_arrives(self, config: Path) -> None:
        settings = json.loads(GOLDEN.read_text()) | {"rule_seconds": 2.5, "notify_hosts": ["h"]}
        del settings["extend"]
        assert settings.keys() | {"extend"} == SCHEMA["properties"].keys()
        loaded = said(config, toml(settings))
        assert loaded.fail_on is Severity.WARNING
        assert loaded.max_rejects == 1
        assert loaded.require == (Capability.COMPLETE, Capability.FENCES)
        assert loaded.select == ("fence", "wait", "export", "order-charged-twice")
        assert loaded.ignore == ("orphan-wait-completed",)
        assert loaded.rules == (config.parent / "audit/rules",)
        assert loaded.rule_seconds == 2.5
        assert loaded.now == dt.datetime(2026, 11, 19, 9, 30, tzinfo=dt.UTC)
        assert loaded.baseline == config.parent / "audit/baseline.jsonl"
        assert loaded.tunings.everywhere == Tuning(
            {"dropped-fence": Severity.ERROR}, {"orphaned-wait": {"grace_seconds": 300}}
        )
        assert loaded.tunings.workflow == {
            "workflow//./workflows/report*": Tuning(
                {"orphaned-wait": Severity.INFO}, {"orphaned-wait": {"grace_seconds": 86400}}
            )
        }
        assert [row.rule for row in loaded.suppressions] == [
            "stale-snapshot-write",
            "dropped-fence",
            "incomplete-export",
        ]
        assert loaded.suppressions[1] == Suppression(
            "dropped-fence",
            "The give-up path has no snapshot yet; fixed by the next release of the worker.",
            pattern="40dbff0dcdc758ee5fcba7af54e33292",
            expires=dt.date(2027, 1, 31),
            by="ada",
        )
        assert loaded.notify_hosts == ("h",)

    def test_never_is_no_severity(self, config: Path) -> None:
        assert said(config, 'fail_on = "never"').fail_on is None

    def test_of_a_pyproject_toml_only_our_section_is_read(self, tmp_path: Path) -> None:
        path = tmp_path / "pyproject.toml"
        assert said(path, "[tool.auditor]\nmax_rejects = 3\n[tool.other]\nx = 1\n").max_rejects == 3
        assert said(path, "[tool.auditor]\n") == Config(path=path)

    @pytest.mark.parametrize("text", ["", "[tool.other]\nx = 1", "tool = 1", "tool = []", "[project]"])
    def test_a_pyproject_toml_without_our_section_is_an_error_if_it_is_named(
        self, tmp_path: Path, text: str
    ) -> None:
        path = tmp_path / "pyproject.toml"
        assert refused(path, text) == f"{path}: there is no [tool.auditor] in it"

    @pytest.mark.parametrize(
        "now",
        [
            "2026-11-19T09:30:00Z",
            "2026-11-19 09:30:00Z",
            "2026-11-19T10:30:00+01:00",
            '"2026-11-19T09:30:00Z"',
            '"2026-11-19T09:30:00.000000000Z"',
            '"2026-11-19T08:30:00-01:00"',
        ],
    )
    def test_a_time_may_be_a_date_time_of_toml_or_text(self, config: Path, now: str) -> None:
        assert said(config, f"now = {now}").now == dt.datetime(2026, 11, 19, 9, 30, tzinfo=dt.UTC)

    @pytest.mark.parametrize("day", ["2027-01-31", '"2027-01-31"'])
    def test_a_day_may_be_a_date_of_toml_or_text(self, config: Path, day: str) -> None:
        (row,) = said(config, SUPPRESSION + f"expires = {day}").suppressions
        assert row.expires == dt.date(2027, 1, 31)


SUPPRESSION = '[[suppressions]]\nrule = "dropped-fence"\nreason = "r"\nrun = "x"\n'


class TestExtend:
    def test_what_a_file_does_not_say_is_said_by_the_one_it_extends(self, config: Path, tmp_path: Path) -> None:
        (tmp_path / "base.toml").write_text('fail_on = "info"\nmax_rejects = 2\n')
        loaded = said(config, 'extend = "base.toml"\nmax_rejects = 0\n')
        assert (loaded.path, loaded.fail_on, loaded.max_rejects) == (config, Severity.INFO, 0)

    def test_a_chain_is_followed_and_paths_belong_to_the_file_that_says_them(self, tmp_path: Path) -> None:
        for name in ("a/b", "c"):
            (tmp_path / name).mkdir(parents=True)
        (tmp_path / "c/base.toml").write_text('rules = ["rules"]\nbaseline = "base.jsonl"\nmax_rejects = 1\n')
        (tmp_path / "a/middle.toml").write_text('extend = "../c/base.toml"\nbaseline = "middle.jsonl"\n')
        loaded = said(tmp_path / "a/b/auditor.toml", 'extend = "../middle.toml"\n')
        assert [path.resolve() for path in loaded.rules] == [tmp_path / "c/rules"]
        assert loaded.baseline is not None
        assert loaded.baseline.resolve() == tmp_path / "a/middle.jsonl"
        assert loaded.max_rejects == 1

    def test_absolute_paths_stay_what_they_are(self, config: Path, tmp_path: Path) -> None:
        (tmp_path / "base.toml").write_text('baseline = "/x/base.jsonl"\nrules = ["/y"]\n')
        loaded = said(config, f"extend = {json.dumps(str(tmp_path / 'base.toml'))}")
        assert (loaded.baseline, loaded.rules) == (Path("/x/base.jsonl"), (Path("/y"),))

    def test_a_section_of_a_pyproject_toml_can_be_extended(self, config: Path, tmp_path: Path) -> None:
        (tmp_path / "pyproject.toml").write_text("[tool.auditor]\nmax_rejects = 4\n")
        assert said(config, 'extend = "pyproject.toml"').max_rejects == 4

    def test_lists_are_replaced(self, config: Path, tmp_path: Path) -> None:
        (tmp_path / "base.toml").write_text('select = ["fence"]\nrules = ["a"]\n' + SUPPRESSION)
        loaded = said(config, 'extend = "base.toml"\nselect = []\nrules = ["b"]\nsuppressions = []\n')
        assert (loaded.select, loaded.rules, loaded.suppressions) == ((), (tmp_path / "b",), ())

    def test_tables_are_merged_key_by_key_down_to_the_parameter(self, config: Path, tmp_path: Path) -> None:
        (tmp_path / "base.toml").write_text(
            '[severity]\na = "info"\nb = "info"\n[params.p]\nx = 1\ny = 1\n[params.q]\nz = 1\n'
            '[workflow.w.severity]\na = "info"\nb = "info"\n[workflow.w.params.p]\nx = 1\ny = 1\n'
            '[workflow.v.severity]\na = "info"\n'
        )
        tunings = said(
            config,
            'extend = "base.toml"\n[severity]\nb = "error"\n[params.p]\ny = 2\n'
            '[workflow.w.severity]\nb = "error"\n[workflow.w.params.p]\ny = 2\n',
        ).tunings
        merged = {"a": Severity.INFO, "b": Severity.ERROR}
        assert tunings.everywhere == Tuning(merged, {"p": {"x": 1, "y": 2}, "q": {"z": 1}})
        assert tunings.workflow == {
            "w": Tuning(merged, {"p": {"x": 1, "y": 2}}),
            "v": Tuning({"a": Severity.INFO}),
        }

    def test_a_glob_of_this_file_is_later_than_those_of_the_extended_one(
        self, config: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "base.toml").write_text(
            '[workflow."a*".severity]\nr = "info"\n[workflow."*".severity]\nr = "info"'
        )
        loaded = said(config, 'extend = "base.toml"\n[workflow."a*".severity]\nr = "error"')
        assert list(loaded.tunings.workflow) == ["*", "a*"]

    def test_one_file_may_be_extended_along_two_ways(self, tmp_path: Path) -> None:
        (tmp_path / "base.toml").write_text("max_rejects = 1")
        for name in ("one", "two"):
            assert said(tmp_path / f"{name}.toml", 'extend = "base.toml"').max_rejects == 1

    @pytest.mark.parametrize("way", [["auditor.toml"], ["b.toml", "auditor.toml"], ["b.toml", "c.toml", "b.toml"]])
    def test_a_circle_is_an_error_that_names_every_file_in_it(
        self, config: Path, tmp_path: Path, way: list[str]
    ) -> None:
        for name, extended in pairwise(way):
            (tmp_path / name).write_text(f'extend = "{extended}"')
        message = refused(config, f'extend = "{way[0]}"')
        assert "extend each other in a circle" in message
        for name in way:
            assert str(tmp_path / name) in message

    def test_a_circle_through_a_symlink_is_seen(self, config: Path, tmp_path: Path) -> None:
        (tmp_path / "again").symlink_to(tmp_path)
        assert "circle" in refused(config, 'extend = "again/auditor.toml"')

    @pytest.mark.parametrize("extended", ["missing.toml", ".", "loop.toml", "x" * 300, "a\\u0000b"])
    def test_an_extended_file_that_cannot_be_read_is_named_with_the_one_that_extends_it(
        self, config: Path, tmp_path: Path, extended: str
    ) -> None:
        (tmp_path / "loop.toml").symlink_to(tmp_path / "loop.toml")
        assert refused(config, f'extend = "{extended}"').endswith(f"({config} extends it)")

    def test_what_is_wrong_in_an_extended_file_is_shown_there(self, config: Path, tmp_path: Path) -> None:
        (tmp_path / "base.toml").write_text("\n\nfail_onn = 1\n")
        message = refused(config, 'extend = "base.toml"')
        assert message.startswith(f"{tmp_path / 'base.toml'}:3: there is no setting fail_onn")


class TestWhatIsNotAConfiguration:
    def test_what_is_not_toml_is_named_with_its_line(self, config: Path) -> None:
        message = refused(config, "max_rejects = 1\nselect = [\nfail_on\n")
        assert message.startswith(f"{config}: the configuration is not TOML: ")
        assert "line 3" in message

    @pytest.mark.parametrize(
        ("data", "problem"),
        [(b"select = ['\xe9']", "not UTF-8"), (b"a = 1\na = 2", "not TOML"), (b"\x00", "not TOML")],
    )
    def test_bytes_that_are_none_are_refused(self, config: Path, data: bytes, problem: str) -> None:
        config.write_bytes(data)
        with pytest.raises(UsageError, match=problem):
            load(config)

    @pytest.mark.parametrize("name", ["missing.toml", "", "/proc/self/mem"])
    def test_what_cannot_be_read_is_named(self, tmp_path: Path, name: str) -> None:
        path = tmp_path / name
        with pytest.raises(UsageError, match=re.escape(f"{path}: the configuration cannot be read: ")):
            load(path)

    @pytest.mark.parametrize(
        "text",
        [f"select = {'[' * 3000}{']' * 3000}", f"[{'.'.join('a' * 3000)}]"],
        ids=["lists", "tables"],
    )
    def test_what_is_nested_without_end_is_refused(self, config: Path, text: str) -> None:
        assert refused(config, text) == f"{config}: the configuration is nested too deeply"

    def test_a_number_of_more_digits_than_anyone_means_is_refused(self, config: Path) -> None:
        assert str(config) in refused(config, "max_rejects = " + "1" * 5000)


class TestAKeyThatThereIsNot:
    @pytest.mark.parametrize(
        ("text", "line", "said_of_it"),
        [
            ('\nfail-on = "error"', 2, "there is no setting fail-on; did you mean fail_on?"),
            ("sellect = []", 1, "there is no setting sellect; did you mean select, "),
            ("[workflow.w]\nseverty = {}", 2, "there is no setting workflow.w.severty; did you mean severity?"),
            (f"{SUPPRESSION}runs = 'y'", 5, "there is no setting suppressions[0].runs; did you mean run, rule?"),
            ("zzzzz = 1", 1, "there is no setting zzzzz; known are extend, fail_on,"),
            ("[zzzzz]\na = 1", 1, "there is no setting zzzzz; "),
            ("# \u2028\nzzzzz = 1", 2, "there is no setting zzzzz; "),
        ],
    )
    def test_is_named_with_its_line_and_near_ones(
        self, config: Path, text: str, line: int, said_of_it: str
    ) -> None:
        assert refused(config, text).startswith(f"{config}:{line}: {said_of_it}")

    def test_in_a_pyproject_toml_lines_are_those_of_the_whole_file(self, tmp_path: Path) -> None:
        path = tmp_path / "pyproject.toml"
        message = refused(path, "[project]\nname = 'x'\n\n[tool.auditor]\nfial_on = 'error'\n")
        assert message.startswith(f"{path}:5: there is no setting fial_on; did you mean fail_on?")

    def test_without_one_line_that_sets_it_only_the_file_is_named(self, config: Path) -> None:
        message = refused(config, "[workflow.a]\nx = 1\n[workflow.b]\nx = 1\n")
        assert message.startswith(f"{config}: there is no setting workflow.")

    def test_a_key_that_could_be_taken_for_something_else_is_quoted(self, config: Path) -> None:
        message = refused(config, '[workflow."v1.2\\n::error::x"]\ny = 1\n')
        assert message.startswith(f'{config}:2: there is no setting workflow."v1.2\\n::error::x".y; ')


class TestAValueThatDoesNotFit:
    @pytest.mark.parametrize(
        ("text", "where"),
        [
            ('max_rejects = "1"', ":1: max_rejects: '1' is not of type 'integer'"),
            ("max_rejects = -1", ":1: max_rejects: -1 is less than the minimum of 0"),
            ("max_rejects = true", ":1: max_rejects: True is not of type"),
            ("max_rejects = 0.5", ":1: max_rejects: 0.5 is not of type"),
            ('fail_on = "fatal"', ":1: fail_on: 'fatal' is not one of ['error', 'warning', 'info', 'never']"),
            ('select = "fence"', ":1: select: 'fence' is not of type 'array'"),
            ('select = ["fence", "fence"]', ":1: select: ['fence', 'fence'] has non-unique elements"),
            ('\nrequire = ["complete", "fance"]', ":2: require[1]: 'fance' is not one of"),
            ("rules = [1]", ":1: rules[0]: 1 is not of type 'string'"),
            ("rule_seconds = 0", ":1: rule_seconds: 0 is less than or equal to the minimum of 0"),
            ('[severity]\na = "bad"', ":2: severity.a: 'bad' is not one of"),
            ('[[severity]]\na = "info"', ":1: severity: "),
            ("[params]\na = 3", ":2: params.a: 3 is not of type 'object'"),
            ('[params.a]\nb = "3"', ":2: params.a.b: '3' is not of type 'number'"),
            ("[params.a]\nb = true", ":2: params.a.b: True is not of type 'number'"),
            ('[workflow."v1.2"]\nseverity = 1', ":2: workflow.\"v1.2\".severity: 1 is not of type 'object'"),
            ('[severity]\n"Not An Id" = "info"', ":1: severity: 'Not An Id' is not this: The id of a rule; "),
            ("suppressions = {}", ":1: suppressions: {} is not of type 'array'"),
            (SUPPRESSION.replace('"r"', '" "'), ":3: suppressions[0].reason: ' ' is not this: Why "),
            (SUPPRESSION.replace('reason = "r"\n', ""), ":1: suppressions[0]: 'reason' is a required property"),
            (f"{SUPPRESSION}pattern = '12'", ":5: suppressions[0].pattern: '12' is not this: A fingerprint, "),
            (f"{SUPPRESSION}{SUPPRESSION}by = ''", ":9: suppressions[1].by: '' should be non-empty"),
        ],
    )
    def test_is_named_with_its_dotted_key_and_line(self, config: Path, text: str, where: str) -> None:
        assert refused(config, text).startswith(f"{config}{where}")

    @pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e400", "9223372036854775808", "0x" + "F" * 6000])
    @pytest.mark.parametrize("key", ["max_rejects", "rule_seconds", "params.orphaned-wait.grace_seconds"])
    def test_a_number_is_finite_and_fits_in_64_bits(self, config: Path, key: str, value: str) -> None:
        message = refused(config, f"{key} = {value}")
        assert message == f"{config}: {key}: a number must be finite, and fit in 64 bits"

    @pytest.mark.parametrize(
        "now",
        [
            "2026-11-19T09:30:00",
            "2026-11-19",
            "09:30:00",
            '"yesterday"',
            '"2026-02-30T00:00:00Z"',
            '"2026-11-19T25:00:00Z"',
            '"2026-11-19T09:30:00+99:00"',
            '"0001-01-01T00:00:00+01:00"',
            '"2026-11-19T09:30:00Z\\n"',
            "1763544600",
        ],
    )
    def test_a_time_without_a_zone_or_that_never_was_is_refused(self, config: Path, now: str) -> None:
        assert refused(config, f"now = {now}").startswith(f"{config}:1: now: ")

    @pytest.mark.parametrize("day", ["2026-01-01T00:00:00Z", '"2026-02-30"', '"20270131"', '"tomorrow"', "1"])
    def test_so_is_a_day_that_is_none(self, config: Path, day: str) -> None:
        message = refused(config, f"{SUPPRESSION}expires = {day}")
        assert message.startswith(f"{config}:5: suppressions[0].expires: ")

    def test_an_impossible_date_of_toml_is_no_toml(self, config: Path) -> None:
        assert "not TOML" in refused(config, "now = 2026-02-30T00:00:00Z")

    def test_a_suppression_of_everything_that_a_rule_finds_is_refused(self, config: Path) -> None:
        message = refused(config, SUPPRESSION.replace('run = "x"', 'by = "ada"'))
        assert message == (
            f"{config}: suppressions[0]: a suppression needs at least one of run, workflow, event, instance, "
            "pattern; to switch a rule off, use `ignore`"
        )


def toml(settings: dict[str, Any]) -> str:
    """Settings as a TOML document."""
    return "".join(f"{_text(key)} = {_inline(value)}\n" for key, value in settings.items())


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(key)} = {_inline(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return _text(value) if isinstance(value, str) else str(value)


def _text(value: str) -> str:
    # JSON leaves U+007F as it is, and writes what is beyond U+FFFF as surrogates; TOML takes neither.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["dropped-fence", "error", "2026-01-31", "2026-01-31T00:00:00Z", "auditor.toml", ".", "a" * 32]
)
_scalars = (
    _texts
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.dates()
    | st.times()
    | st.datetimes(timezones=st.none() | st.just(dt.UTC))
)
_junk = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=5,
)


def _fitting(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Mostly what the schema asks for; now and then anything."""
    if "$ref" in schema:
        return _fitting(SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]])
    match schema:
        case {"enum": words}:
            fits: st.SearchStrategy[Any] = st.sampled_from(words)
        case {"properties": known}:
            fits = st.fixed_dictionaries({}, optional={key: _fitting(of) for key, of in known.items()})
        case {"type": "object", "additionalProperties": of}:
            fits = st.dictionaries(_texts, _fitting(of), max_size=2)
        case {"type": "array", "items": of}:
            fits = st.lists(_fitting(of), max_size=2)
        case {"type": "integer" | "number"}:
            fits = st.integers() | st.floats()
        case _:
            fits = _texts
    return st.integers(0, 19).flatmap(lambda dice: _junk if dice == 0 else fits)


_documents = st.dictionaries(_texts, _junk, max_size=2).flatmap(
    lambda junk: _fitting(SCHEMA).map(lambda fits: {**fits, **junk} if isinstance(fits, dict) else junk)
)


class TestWhateverAFileSays:
    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
    @given(_documents, st.sampled_from(["auditor.toml", "pyproject.toml"]))
    def test_it_is_a_configuration_or_an_error_that_names_the_file(
        self, tmp_path_factory: pytest.TempPathFactory, settings: dict[str, Any], name: str
    ) -> None:
        path = tmp_path_factory.mktemp("any") / name
        self._check(path, ("[tool.auditor]\n" if name == "pyproject.toml" else "") + toml(settings))

    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.text(st.characters(exclude_categories=["Cs"])) | st.text("[]{}.='\"\n0_-azT:\\"))
    def test_so_it_is_if_it_is_hardly_toml(self, tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
        self._check(tmp_path_factory.mktemp("any") / "auditor.toml", text)

    @staticmethod
    def _check(path: Path, text: str) -> None:
        path.write_text(text, "utf-8", newline="")
        try:
            assert load(path).path == path
        except UsageError as error:
            assert str(path) in str(error)  # noqa: PT017 - both ends are right
