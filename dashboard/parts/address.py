"""Widgets whose value stands in the address, so that every view of a page is a link.

The address is the only truth: before a widget is drawn it is set to what the address says, and a change is written
there before the page runs again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import streamlit as st

PAGE = "at"
"""The query parameter that says which page of a table is shown."""

_LONGEST = 200


def one_of(param: str, options: Sequence[str], default: str | None = None) -> str | None:
    """What the address says, if it is one of these."""
    said = st.query_params.get(param)
    return said if said in options else default


def some_of(param: str, options: Sequence[str]) -> list[str]:
    """Those of these that the address names."""
    said = st.query_params.get_all(param)
    return [option for option in options if option in said]


def number(param: str) -> int | None:
    """The number that the address says."""
    said = st.query_params.get(param, "")
    return int(said) if said.isascii() and said.isdecimal() and len(said) < 16 else None


def say(**params: str | Sequence[str] | None) -> None:
    """Write into the address; what is None or empty is removed."""
    for param, value in params.items():
        if value:
            st.query_params[param] = value
        else:
            st.query_params.pop(param, None)


def pills(
    label: str, param: str, options: Sequence[str], words: Callable[[str], str], *, clears: Sequence[str] = ()
) -> list[str]:
    """Choose any of a few. None chosen: all. A change also removes what `clears` names."""
    key = _set(param, some_of(param, options))
    return st.pills(
        label,
        options,
        selection_mode="multi",
        format_func=words,
        key=key,
        on_change=lambda: say(**dict.fromkeys(clears), **{param: st.session_state[key]}),
    )


def segments(label: str, param: str, options: Sequence[str], words: Callable[[str], str]) -> str:
    """Choose one of a few; the first, where the address says nothing."""
    key = _set(param, one_of(param, options, options[0]))
    chosen = st.segmented_control(
        label,
        options,
        format_func=words,
        required=True,
        key=key,
        on_change=lambda: say(**{param: st.session_state[key]}),
    )
    return str(chosen)


def select(
    label: str,
    param: str,
    options: Sequence[str],
    words: Callable[[str], str] = str,
    *,
    nothing: str = "all",
    clears: Sequence[str] = (),
    width: int | Literal["stretch"] = "stretch",
) -> str | None:
    """Choose one of many, or none of them. A change also removes what `clears` names."""
    key = _set(param, one_of(param, options) or "")
    chosen = st.selectbox(
        label,
        ["", *options],
        format_func=lambda option: words(option) if option else nothing,
        width=width,
        key=key,
        on_change=lambda: say(**dict.fromkeys(clears), **{param: st.session_state[key]}),
    )
    return chosen or None


def several(label: str, param: str, options: Sequence[str], *, otherwise: str = "Any") -> tuple[str, ...]:
    """Choose any of many. None chosen: `otherwise`, in a word. A change leads to the first page."""
    key = _set(param, some_of(param, options))
    chosen = st.multiselect(
        label,
        options,
        key=key,
        on_change=lambda: say(**{param: st.session_state[key], PAGE: None}),
        placeholder=otherwise,
    )
    return tuple(chosen)


def first_page() -> None:
    """Show the first page of a table again: what is asked for has changed."""
    say(**{PAGE: None})


def page_of(pages: int) -> int:
    """The page of a table that the address names, from 1."""
    return min(max(number(PAGE) or 1, 1), pages)


def paging(pages: int) -> None:
    """Turn the pages of a table, if there are several."""
    if pages > 1:
        key = _set(PAGE, page_of(pages))
        st.pagination(pages, key=key, on_change=lambda: say(**{PAGE: str(st.session_state[key])}))


def text(label: str, param: str, placeholder: str, on_change: Callable[[], None] | None = None) -> str:
    """A text to search for."""

    def changed() -> None:
        say(**{param: st.session_state[key].strip()})
        if on_change is not None:
            on_change()

    key = _set(param, st.query_params.get(param, ""))
    return st.text_input(label, placeholder=placeholder, key=key, on_change=changed, max_chars=_LONGEST).strip()


def _set(param: str, value: object) -> str:
    key = f"address-{param}"
    st.session_state[key] = value
    return key
