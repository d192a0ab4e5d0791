"""ULIDs by the million: text from tables, three digits at a time."""

from __future__ import annotations

from itertools import product

DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford base32. Not imported from the auditor: what checks it must not share its mistakes."""

_THREE = ["".join(digits) for digits in product(DIGITS, repeat=3)]


def moment(milliseconds: int) -> str:
    """The first ten digits of a ULID: milliseconds since 1970."""
    return DIGITS[milliseconds >> 45] + _nine(milliseconds)


def entropy(bits: int) -> str:
    """The last 16 digits of a ULID, from 80 random bits."""
    return DIGITS[bits >> 75] + _nine(bits >> 30) + _THREE[bits >> 15 & 32767] + _THREE[bits & 32767]


def low(bits: int) -> str:
    """The last twelve digits, from 60 bits: the part of a correlation id that a run counts up."""
    return _THREE[bits >> 45] + _nine(bits)


def _nine(bits: int) -> str:
    return _THREE[bits >> 30 & 32767] + _THREE[bits >> 15 & 32767] + _THREE[bits & 32767]
