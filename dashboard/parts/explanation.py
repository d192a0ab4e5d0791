"""What a rule says of itself."""

from __future__ import annotations

import re
import textwrap

import streamlit as st

_HEADING = re.compile(r"^#{1,4} ", re.MULTILINE)
_EXAMPLE = re.compile(r"((?:^ {4}.*\n|^[ ]*\n(?= {4}))+)", re.MULTILINE)
"""Indented lines, as the rules of ours write examples."""


def explain(document: str, *, ours: bool) -> None:
    """Draw the explanation of a rule. One that did not come with auditor is shown as it was written.

    Examples are boxes whose lines wrap: what scrolls cannot be reached without a mouse.
    """
    if not ours:
        st.caption("This rule did not come with auditor; its explanation is shown as it was written.")
        st.code(document, language=None, wrap_lines=True)
        return
    for part in _EXAMPLE.split(f"{document}\n"):
        if part.lstrip("\n").startswith(" "):
            code = textwrap.dedent(part).strip("\n")
            st.code(code, language="sql" if code.startswith(("SELECT", "WITH", "FROM")) else None, wrap_lines=True)
        elif part.strip():
            st.markdown(_HEADING.sub("##### ", part))
