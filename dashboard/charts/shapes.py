"""The shape of an event on a timeline: what its type says happened."""

from __future__ import annotations

from ..queries.timeline import Window

_SHAPES = {
    "created": ("circle-open", "○"),
    "started": ("circle", "●"),
    "completed": ("square", "■"),
    "failed": ("x", "✖"),
    "cancelled": ("x", "✖"),
    "conflict": ("x-open", "✕"),
    "retrying": ("diamond", "◆"),
    "received": ("triangle-down", "▼"),
    "disposed": ("line-ns-open", "|"),
}
_OTHER = ("hexagon-open", "⬡")


def shape(event_type: str) -> str:
    """Plotly's name of the shape."""
    return _SHAPES.get(_happened(event_type), _OTHER)[0]


def shapes(window: Window) -> str:
    """What the shapes mean that a window has; empty if events are not drawn one by one."""
    seen = {_happened(dot.event_type) for dot in window.dots}
    words = [f"{sign} {happened}" for happened, (_, sign) in _SHAPES.items() if happened in seen]
    return " · ".join([*words, *([f"{_OTHER[1]} other"] if seen - set(_SHAPES) else [])])


def _happened(event_type: str) -> str:
    return event_type.rpartition("_")[2]
