"""The timeline of a run: what was open when, what each decision had read, and where findings stand."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import plotly.graph_objects as go

from ..parts.words import many
from ..queries.timeline import Bar, Fence, Snapshot, Star, View, Window
from .shapes import shape

# A click shows which mark it chose, and does not fade the others.
_PICKED = {"selected": {"marker": {"size": 18}}, "unselected": {"marker": {"opacity": 1}}}
_BANDS = 20
_LONGEST = 160
_AXES = {
    View.LOG: "event position in log",
    View.WALL: "seconds since the first event shown",
    View.ACTIVE: "seconds since the first event shown, idle gaps shortened",
}
# Marks of the strip for writes that do not say what they knew.
_SILENT = {
    Snapshot.DROPPED: ("no fence sent", "triangle-up"),
    Snapshot.UNFENCED: ("unfenced", "square-open"),
    Snapshot.UNKNOWN: ("fence names no earlier event", "x"),
}
_SEVERITY_SYMBOLS = {"error": "star", "warning": "triangle-up", "info": "star-open"}


@dataclass(frozen=True, slots=True)
class _Ink:
    kinds: dict[str, str]
    severities: dict[str, str]
    text: str
    line: str
    paper: str


_LIGHT = _Ink(
    {"run": "#626c7a", "step": "#1d5bd6", "hook": "#7c4dcc", "wait": "#0b7f83"},
    {"error": "#c62f3b", "warning": "#c77700", "info": "#626c7a"},
    "#1f2328",
    "#d5d9e0",
    "#ffffff",
)
_DARK = _Ink(
    {"run": "#a3acb9", "step": "#7aa7ff", "hook": "#c3a5f7", "wait": "#4fc6c0"},
    {"error": "#f2919a", "warning": "#f0b26b", "info": "#a3acb9"},
    "#e6e8ec",
    "#363b45",
    "#14161a",
)


def figure(window: Window, *, dark: bool = False, height: int = 420) -> go.Figure:
    """Draw a window. Points of events and findings carry their position as custom data."""
    ink = _DARK if dark else _LIGHT
    traces = [*_bars(window, ink)]
    if window.dots:
        traces += [*_fences(window, ink), *_dots(window, ink)]
    if window.records_fences:
        traces += _strip(window, ink)
    traces += [*_witnesses(window, ink), *_stars(window, ink)]
    drawn = [trace | _PICKED if trace["mode"] == "markers" else trace for trace in traces if trace["x"]]
    return go.Figure(data=drawn, layout=_layout(window, ink, height))


def _bars(window: Window, ink: _Ink) -> Iterable[dict[str, Any]]:
    least = (window.range[1] - window.range[0]) / 500
    for kind, bars in groupby(sorted(window.bars, key=lambda bar: (bar.kind, bar.lane)), key=lambda bar: bar.kind):
        chosen = list(bars)
        ends = [(bar.x[0], max(bar.x[1], bar.x[0] + least)) for bar in chosen]
        yield {
            "type": "scatter",
            "mode": "lines",
            "name": kind,
            "legendgroup": kind,
            "showlegend": not window.dots,
            "x": _segments(ends),
            "y": _segments([(-bar.lane, -bar.lane) for bar in chosen]),
            "hovertext": _segments([(_bar_text(bar),) * 2 for bar in chosen]),
            "hoverinfo": "text",
            "line": {"width": 13, "color": ink.kinds[kind]},
            "opacity": 0.25 if window.dots else 0.55,
        }


def _bar_text(bar: Bar) -> str:
    number = "" if bar.ordinal is None else f"#{bar.ordinal}"
    what = f"{bar.kind}{number}" if bar.entities == 1 else many(bar.entities, bar.kind)
    return f"{what}, #{bar.start} to #{bar.end}"


def _dots(window: Window, ink: _Ink) -> Iterable[dict[str, Any]]:
    for kind, color in ink.kinds.items():
        dots = [dot for dot in window.dots if dot.kind == kind]
        yield {
            "type": "scatter",
            "mode": "markers",
            "name": kind,
            "legendgroup": kind,
            "x": [dot.x for dot in dots],
            "y": [-dot.lane for dot in dots],
            "customdata": [[dot.position] for dot in dots],
            "hovertext": [_lines(dot.told) for dot in dots],
            "hoverinfo": "text",
            "marker": {
                "symbol": [shape(dot.event_type) for dot in dots],
                "size": 10,
                "color": color,
                "line": {"width": 2, "color": color},
            },
        }


def _fences(window: Window, ink: _Ink) -> Iterable[dict[str, Any]]:
    accused = window.accused
    drawn = [fence for fence in window.fences if fence.known_x is not None and fence != accused]
    yield {
        "type": "scatter",
        "mode": "lines",
        "name": "fence",
        "x": _segments([(fence.x, fence.known_x) for fence in drawn]),
        "y": _segments([(-fence.lane, -fence.known_lane) for fence in drawn]),
        "hoverinfo": "skip",
        "line": {"width": 1, "color": ink.kinds["run"]},
        "opacity": 0.55,
    }


def _strip(window: Window, ink: _Ink) -> Iterable[dict[str, Any]]:
    late = _late(window)
    yield {
        "type": "scatter",
        "mode": "lines",
        "name": "fence lag (events unseen)",
        "yaxis": "y2",
        "x": _segments([(fence.x, fence.x) for fence in late]),
        "y": _segments([(0, fence.unseen) for fence in late]),
        "hovertext": _segments(
            [(_fence_text(fence, f"{many(fence.unseen, 'event')} unseen"),) * 2 for fence in late]
        ),
        "hoverinfo": "text",
        "line": {"width": 3, "color": ink.severities["error"]},
    }
    amber = ink.severities["warning"]
    for snapshot, (name, symbol) in _SILENT.items():
        silent = [fence for fence in window.fences if fence.snapshot is snapshot]
        yield {
            "type": "scatter",
            "mode": "markers",
            "name": name,
            "yaxis": "y2",
            "x": [fence.x for fence in silent],
            "y": [0] * len(silent),
            "customdata": [[fence.position] for fence in silent],
            "hovertext": [_fence_text(fence, name) for fence in silent],
            "hoverinfo": "text",
            "marker": {"symbol": symbol, "size": 9, "color": amber, "line": {"width": 1.5, "color": amber}},
            "cliponaxis": False,
        }


def _late(window: Window) -> list[Fence]:
    return [fence for fence in window.fences if fence.snapshot is Snapshot.STALE]


def _fence_text(fence: Fence, said: str) -> str:
    others = f"; {fence.writes - 1:,} more like it beside it" if fence.writes > 1 else ""
    return f"#{fence.position}: {said}{others}"


def _witnesses(window: Window, ink: _Ink) -> Iterable[dict[str, Any]]:
    dots = {dot.position: dot for dot in window.dots}
    seen = [(dots[position], role) for position, role in window.witnesses if position in dots]
    yield {
        "type": "scatter",
        "mode": "markers",
        "name": "in the proof",
        "x": [dot.x for dot, _ in seen],
        "y": [-dot.lane for dot, _ in seen],
        "customdata": [[dot.position] for dot, _ in seen],
        "hovertext": [_lines((role, *dot.told)) for dot, role in seen],
        "hoverinfo": "text",
        "marker": {"symbol": "circle-open", "size": 19, "color": ink.text, "line": {"width": 1.5}},
    }


def _stars(window: Window, ink: _Ink) -> Iterable[dict[str, Any]]:
    # The gravest are drawn last, so nothing covers them.
    for severity, color in reversed(ink.severities.items()):
        stars = [star for star in window.stars if star.severity == severity]
        yield {
            "type": "scatter",
            "mode": "markers",
            "name": severity,
            "x": [star.x for star in stars],
            "y": [-star.lane for star in stars],
            "customdata": [[star.position] for star in stars],
            "hovertext": [_star_text(star) for star in stars],
            "hoverinfo": "text",
            "marker": {
                "symbol": _SEVERITY_SYMBOLS[severity],
                "size": 15,
                "color": color,
                "line": {"width": 1.5, "color": color if severity == "info" else ink.paper},
            },
        }


def _star_text(star: Star) -> str:
    return _lines((f"{star.severity}: {star.rule}", star.because))


def _layout(window: Window, ink: _Ink, height: int) -> dict[str, Any]:
    red = ink.severities["error"]
    late = sorted(_late(window), key=lambda fence: -fence.unseen)
    accused = [fence] if (fence := window.accused) else []
    bands = accused if window.dots else late[:_BANDS]
    plain = {"showgrid": False, "zeroline": False, "color": ink.text, "fixedrange": False}
    layout: dict[str, Any] = {
        "height": height,
        "margin": {"l": 10, "r": 10, "t": 10, "b": 10},
        "hovermode": "closest",
        "dragmode": "pan",
        "clickmode": "event+select",
        "font": {"color": ink.text, "size": 12},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "font": {"color": ink.text}},
        "xaxis": plain
        | {
            "range": list(window.range),
            "title": {"text": _AXES[window.view]},
            "tickformat": ",d" if window.view is View.LOG else None,
            "anchor": "y",
        },
        "yaxis": plain
        | {
            "domain": [0, 0.78 if window.records_fences else 1],
            "range": [0.6 - len(window.lanes), 1.1],
            "tickmode": "array",
            "tickvals": [-lane for lane in range(len(window.lanes))],
            "ticktext": list(window.lanes),
            "showgrid": True,
            "gridcolor": ink.line,
            "fixedrange": True,
        },
        "shapes": [_band(window, fence, red) for fence in bands],
        "annotations": [note for fence in accused for note in _annotations(window, fence, ink)],
    }
    if window.records_fences:
        most = max((fence.unseen for fence in late), default=0)
        layout["yaxis2"] = plain | {
            "domain": [0.84, 1],
            "range": [0, max(most, 1) * 1.15],
            "tickvals": [0, most] if most else [0],
            "title": {"text": "unseen", "font": {"size": 11}},
            "showgrid": True,
            "gridcolor": ink.line,
            "fixedrange": True,
        }
    return layout


def _band(window: Window, fence: Fence, color: str) -> dict[str, Any]:
    return {
        "type": "rect",
        "xref": "x",
        "yref": "y domain",
        "x0": _since(window, fence),
        "x1": fence.x,
        "y0": 0,
        "y1": 1,
        "fillcolor": color,
        "opacity": 0.1,
        "line": {"width": 0},
        "layer": "below",
    }


def _annotations(window: Window, fence: Fence, ink: _Ink) -> Iterable[dict[str, Any]]:
    red = ink.severities["error"]
    since = _since(window, fence)
    if since == fence.known_x:
        yield {
            "x": since,
            "y": -fence.known_lane,
            "ax": fence.x,
            "ay": -fence.lane,
            "xref": "x",
            "yref": "y",
            "axref": "x",
            "ayref": "y",
            "text": "",
            "showarrow": True,
            "arrowhead": 2,
            "arrowsize": 1.3,
            "arrowwidth": 2,
            "arrowcolor": red,
            "standoff": 6,
            "startstandoff": 8,
        }
    yield {
        "x": (since + fence.x) / 2,
        "y": 1,
        "xref": "x",
        "yref": "y domain",
        "yanchor": "top",
        "text": f"<b>{many(fence.unseen, 'event')}</b> unseen by this write",
        "showarrow": False,
        "font": {"color": red, "size": 12},
    }


def _since(window: Window, fence: Fence) -> float:
    """Where the unseen begins: at what the write knew, or at the edge of the window."""
    return window.range[0] if fence.known_x is None else max(fence.known_x, window.range[0])


def _segments(pairs: Sequence[tuple[Any, Any]]) -> list[Any]:
    """One line of many pieces: plotly breaks it at every None."""
    return [value for pair in pairs for value in (*pair, None)]


def _lines(texts: Iterable[str]) -> str:
    """Text for plotly, which reads a small HTML: nothing of a log may be markup."""
    return "<br>".join(
        html.escape(text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…") for text in texts
    )
