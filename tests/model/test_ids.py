from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ulid import ULID

from auditor.model.ids import IdScheme, body, milliseconds, ordinal, scheme, slot, slot_id, ulid_floor

TIMES = st.integers(min_value=1, max_value=(1 << 48) - 1)
RANDOM = st.integers(min_value=0, max_value=(1 << 80) - 1)


def ulid(time: int, random: int) -> str:
    return str(ULID(((time << 80) | random).to_bytes(16, "big")))


@pytest.mark.parametrize(
    ("event_id", "expected"),
    [
        ("evnt_01M82K0ZBE5A2XCY6V9V6EEY16", IdScheme.ULID),
        ("wevt_01M82K9YF6QFJFTQR2DVXMCPMV", IdScheme.ULID),
        ("01M82K9YF6QFJFTQR2DVXMCPMV", IdScheme.ULID),
        ("evnt_00000000000000000000000001", IdScheme.SLOT),
        ("evnt_1", IdScheme.UNKNOWN),
        ("evnt_01M82K0ZBE5A2XCY6V9V6EEYIL", IdScheme.UNKNOWN),
        ("", IdScheme.UNKNOWN),
    ],
)
def test_the_scheme_of_an_id_is_read_from_its_body(event_id: str, expected: IdScheme) -> None:
    assert scheme(event_id) is expected


@given(st.integers(min_value=1, max_value=10**16 - 1))
def test_a_slot_is_a_position_and_never_a_time(position: int) -> None:
    assert slot(slot_id(position)) == position
    assert milliseconds(slot_id(position)) is None


def test_slots_start_at_one() -> None:
    with pytest.raises(ValueError, match="start at 1"):
        slot_id(0)


@given(TIMES, RANDOM)
def test_a_ulid_carries_its_time(time: int, random: int) -> None:
    event_id = f"evnt_{ulid(time, random)}"
    assert milliseconds(event_id) == time
    assert slot(event_id) is None


@given(TIMES, RANDOM, TIMES)
def test_the_floor_of_a_millisecond_parts_the_ids_before_it_from_the_others(
    time: int, random: int, other: int
) -> None:
    assert (ulid(time, random) < ulid_floor(other)) == (time < other)


def test_a_time_beyond_48_bits_has_no_floor() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        ulid_floor(1 << 48)


@given(TIMES, st.integers(min_value=0, max_value=(1 << 59) - 1), st.integers(min_value=0, max_value=1 << 40))
def test_an_ordinal_is_the_number_of_draws_since_the_first(time: int, random: int, draws: int) -> None:
    first, later = f"hook_{ulid(time, random)}", f"wait_{ulid(time, random + draws)}"
    assert ordinal(later, first) == draws


@given(TIMES, RANDOM)
def test_ids_of_other_sequences_have_no_ordinal(time: int, random: int) -> None:
    assert ordinal(f"step_{ulid(time, random)}", f"step_{ulid(time ^ 1, random)}") is None
    assert ordinal("step_001", f"step_{ulid(time, random)}") is None


def test_a_body_is_what_follows_the_prefix() -> None:
    assert body("step_01M82K0ZBSEH7V2X24S9XV1HBP") == "01M82K0ZBSEH7V2X24S9XV1HBP"
    assert body("step_short") is None
