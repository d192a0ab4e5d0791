"""What a visitor sees: navigation, the audit they look at, and the page they asked for."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from . import here, service
from .parts.audits import labels
from .parts.empty import cannot_be_shown
from .parts.words import escaped
from .settings import Auth, Role
from .views import data, findings, overview, query, rules, run, runs
from .who import visitor

_PICKED = "sidebar.audit"
_WITHOUT_AUDIT = "data"
"""The page that shows no audit in particular."""
ASSETS = Path(__file__).parent / "assets"


def render() -> None:
    """Run the page that the URL names."""
    st.set_page_config(page_title="auditor", page_icon=ASSETS / "icon.svg", layout="wide")
    st.logo(ASSETS / "logo.svg", size="large")
    if not _may_come_in():
        return
    # One list without headings: those that Streamlit draws are lists in lists that a screen reader cannot follow.
    pages = [
        st.Page(overview.page, title="Overview", icon=":material/dashboard:", default=True),
        st.Page(findings.page, title="Findings", icon=":material/error:", url_path="findings"),
        st.Page(runs.page, title="Runs", icon=":material/timeline:", url_path="runs"),
        st.Page(run.page, title="Run", url_path="run", visibility="hidden"),
        st.Page(rules.page, title="Rules", icon=":material/rule:", url_path="rules"),
        st.Page(data.page, title="Data", icon=":material/upload:", url_path="data"),
        st.Page(query.page, title="Query", icon=":material/terminal:", url_path="query"),
    ]
    navigation = st.navigation(pages)
    with st.sidebar:
        _choose_audit()
        _who()
    if navigation.url_path != _WITHOUT_AUDIT and (named := here.lost()):
        cannot_be_shown(named)
    else:
        navigation.run()


def _may_come_in() -> bool:
    """Every other way to sign in stands in front of all pages; OpenID Connect is Streamlit's own."""
    if service.current().settings.auth is not Auth.OIDC:
        return True
    who = visitor()
    if st.user.is_logged_in and who.may(Role.VIEWER):
        return True
    st.subheader("auditor")
    if st.user.is_logged_in:
        st.write(
            f"You are signed in as {escaped(who.name)}, who has no role here. Ask whoever runs this dashboard."
        )
        _sign_out()
    else:
        st.button("Sign in", on_click=st.login)
    return False


def _who() -> None:
    who = visitor()
    st.caption(f"{escaped(who.name)}, {who.role}")
    match service.current().settings.auth:
        case Auth.TOKEN:
            st.link_button("Sign out", "/signout", type="tertiary")
        case Auth.OIDC:
            _sign_out()


def _sign_out() -> None:
    st.button("Sign out", on_click=st.logout, type="tertiary")


def _choose_audit() -> None:
    shown = here.chosen()
    named = labels(entry for entry in service.current().library.entries() if entry.is_done)
    if not named:
        return
    st.session_state[_PICKED] = shown.audit_id if shown else None
    st.selectbox(
        "Audit",
        list(named),
        index=0 if shown else None,
        placeholder="Choose an audit",
        format_func=named.__getitem__,
        key=_PICKED,
        on_change=_picked,
        help="Every page shows this audit. Its id stands in the address, so a link shows it to others.",
    )


def _picked() -> None:
    picked = st.session_state[_PICKED]
    st.session_state[here.AUDIT] = picked
    # Filters and findings of the audit before mean nothing in this one.
    st.query_params.clear()
    st.query_params[here.AUDIT] = picked
