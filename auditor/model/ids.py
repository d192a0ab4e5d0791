"""The ids of a log: ULIDs, slots and ordinals.

Three schemes meet in real logs:

* `evnt_<ULID>` (world-local up to 5.0.0-beta.5) and `wevt_<ULID>` (world-postgres), or a bare ULID:
  26 Crockford base32 digits, the first ten of them the time in milliseconds.
* `evnt_<slot>` (world-local from spec 6): 26 *decimal* digits, dense from 1 in each run. A slot is
  a position and carries no time; read as a ULID it would silently give a moment in January 1970.
* `step_<ULID>`, `wait_<ULID>`, `hook_<ULID>`: correlation ids. Their bodies are consecutive draws of
  one sequence a run, so a body minus the run's lowest body is the entity's **ordinal**.
"""

from __future__ import annotations

import re
from enum import StrEnum

from ulid import ULID

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford base32, in order of value."""

_PAIRS = [high + low for high in ALPHABET for low in ALPHABET]
"""Ten bits of a number as two digits."""

_BODY = re.compile(r"^(?:[a-z]+_)?([0-9A-Z]{26})$")
_SLOT = re.compile(r"^0{10}\d{16}$")
_TO_BASE_32 = str.maketrans(ALPHABET, "0123456789ABCDEFGHIJKLMNOPQRSTUV")
"""From Crockford's digits to those of Python's `int(text, 32)`."""
_ULID = re.compile(rf"^[0-7][{ALPHABET}]{{25}}$")
_TIMED = re.compile(rf"^(?:[a-z]+_)?([0-7][{ALPHABET}]{{25}})$")


class IdScheme(StrEnum):
    """How the events of a run are numbered."""

    ULID = "ulid"
    SLOT = "slot"
    UNKNOWN = "unknown"


def body(identifier: str) -> str | None:
    """The 26 characters after the prefix, or None if the id has no such body."""
    match = _BODY.match(identifier)
    return match.group(1) if match else None


def scheme(identifier: str) -> IdScheme:
    """The scheme of one event id."""
    text = body(identifier)
    if text is None:
        return IdScheme.UNKNOWN
    if _SLOT.match(text):
        return IdScheme.SLOT
    return IdScheme.ULID if _ULID.match(text) else IdScheme.UNKNOWN


def slot(event_id: str) -> int | None:
    """The position a slot id names (first = 1), or None if the id is no slot."""
    text = body(event_id)
    return int(text) if text is not None and _SLOT.match(text) else None


def milliseconds(identifier: str) -> int | None:
    """The time inside a ULID, in milliseconds since 1970 (UTC); None for slots and foreign ids."""
    match = _TIMED.match(identifier)
    if match is None or _SLOT.match(match.group(1)):
        return None
    return int(match.group(1)[:10].translate(_TO_BASE_32), 32)


def ulid_floor(milliseconds: int) -> str:
    """The lowest ULID body of a millisecond: `as_of` fences resolve to the highest id below it.

    Raises ValueError if the time does not fit into the 48 bits of a ULID.
    """
    if not 0 <= milliseconds < 1 << 48:
        raise ValueError(f"{milliseconds} ms does not fit into a ULID")
    return str(ULID(milliseconds.to_bytes(6, "big") + bytes(10)))


def ulid(value: int) -> str:
    """The 26 digits of a ULID, given as its 128 bits: 48 of time, 80 of randomness."""
    return "".join([_PAIRS[value >> shift & 1023] for shift in range(120, -1, -10)])


def slot_id(position: int) -> str:
    """The event id of a slot. Raises ValueError below 1 (slots are dense from 1)."""
    if position < 1:
        raise ValueError(f"slots start at 1, not at {position}")
    return f"evnt_{position:026d}"


def ordinal(correlation_id: str, first: str) -> int | None:
    """Draws between two correlation ids of one run; `first` is the run's lowest.

    None if either body is no ULID, or if they do not share their first 14 characters (time and the
    top of the random part), in which case they are not draws of one monotonic sequence.
    """
    low, high = body(first), body(correlation_id)
    if low is None or high is None or low[:14] != high[:14]:
        return None
    if not (_ULID.match(low) and _ULID.match(high)):
        return None
    return _value(high[14:]) - _value(low[14:])


def _value(digits: str) -> int:
    value = 0
    for digit in digits:
        value = value * 32 + ALPHABET.index(digit)
    return value
