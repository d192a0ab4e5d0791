"""Links between pages, within the same tab."""

from __future__ import annotations

import streamlit as st

from .. import here


def page_link(
    label: str, page: str, audit_id: str | None = None, *, icon: str | None = None, **params: str
) -> None:
    """A link to another page of ours. `label` is ours too: Markdown is read in it."""
    st.page_link(_target(page, label), label=label, icon=icon, query_params=_query(audit_id, params))


def goto_page(page: str, audit_id: str | None = None, **params: str) -> None:
    """Leave for another page of ours, at once."""
    st.switch_page(_target(page, page), query_params=_query(audit_id, params))


def _target(page: str, title: str) -> st.Page:
    # Streamlit knows a page by its address; what it runs is what `app.py` says of that address.
    return st.Page(_nothing, title=title, url_path=page)


def _query(audit_id: str | None, params: dict[str, str]) -> dict[str, str]:
    return {**({here.AUDIT: audit_id} if audit_id else {}), **params}


def _nothing() -> None:
    """Stands for a page that is only linked to."""
