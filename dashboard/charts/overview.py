"""What was found, as two figures: by rule, and over time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from ..parts.words import many

SEVERITIES = ("error", "warning", "info")
_LIGHT = {"error": "#c62f3b", "warning": "#c77700", "info": "#626c7a"}
_DARK = {"error": "#f2919a", "warning": "#f0b26b", "info": "#a3acb9"}
# Whoever does not see the colours sees the hatching, which the legend shows as well.
_HATCHING = {"error": "", "warning": "/", "info": "."}
_ROW = 30
_FRAME = 90


def by_rule(rows: Sequence[dict[str, Any]], *, dark: bool = False) -> go.Figure:
    """A bar a rule, stacked by severity. Each piece carries its rule and severity as custom data."""
    totals: Counter[str] = Counter()
    for row in rows:
        totals[row["rule"]] += row["findings"]
    names = {rule: f"{rule}  {total:,}" for rule, total in totals.items()}
    figure = go.Figure()
    for severity in SEVERITIES:
        of_it = [row for row in rows if row["severity"] == severity]
        figure.add_bar(
            name=severity,
            orientation="h",
            y=[names[row["rule"]] for row in of_it],
            x=[row["findings"] for row in of_it],
            customdata=[[row["rule"], severity] for row in of_it],
            hovertemplate="%{customdata[0]}<br>%{x:,} " + severity + "<extra></extra>",
            marker=_marker(severity, dark),
        )
    figure.update_layout(**_layout(height_of(rows)))
    figure.update_yaxes(categoryorder="array", categoryarray=list(names.values())[::-1], automargin=True)
    figure.update_xaxes(title="findings", rangemode="tozero")
    return figure


def over_time(rows: Sequence[dict[str, Any]], height: int, *, dark: bool = False) -> go.Figure:
    """A bar a stretch of time, stacked by severity."""
    figure = go.Figure()
    for severity in SEVERITIES:
        of_it = [row for row in rows if row["severity"] == severity]
        width = of_it[0]["width_ms"] if of_it else 0
        figure.add_bar(
            name=severity,
            x=[row["middle"] for row in of_it],
            y=[row["findings"] for row in of_it],
            width=width * 0.9,
            customdata=[row["start"] for row in of_it],
            hovertemplate="from %{customdata} UTC<br>%{y:,} " + severity + "<extra></extra>",
            marker=_marker(severity, dark),
        )
    figure.update_layout(**_layout(height))
    figure.update_xaxes(title=f"time of the last witness, UTC; a bar is {_span(rows[0]['width_ms'])}")
    figure.update_yaxes(title="findings", rangemode="tozero")
    return figure


def height_of(rows: Sequence[dict[str, Any]]) -> int:
    """How high the figure by rule is, so that the other one beside it is as high."""
    return _FRAME + _ROW * max(3, len({row["rule"] for row in rows}))


def summary(rows: Sequence[dict[str, Any]]) -> str:
    """The figure by rule for those who do not see it."""
    return "Open findings by rule: " + ", ".join(
        f"{row['rule']} {row['findings']:,} {row['severity']}" for row in rows
    )


def _span(ms: int) -> str:
    for size, unit in ((86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1000, "second")):
        if ms >= size:
            return many(ms // size, unit)
    return f"{ms} ms"


def _marker(severity: str, dark: bool) -> dict[str, Any]:
    colour = (_DARK if dark else _LIGHT)[severity]
    return {"color": colour, "pattern": {"shape": _HATCHING[severity], "solidity": 0.25, "fillmode": "overlay"}}


def _layout(height: int) -> dict[str, Any]:
    return {
        "barmode": "stack",
        "height": height,
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        "showlegend": True,
        "bargap": 0.25,
    }
