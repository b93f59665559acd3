"""The chart: bars in an SVG that reads well on light and dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from benchmarks.summary import Place, Summary
from benchmarks.systems import OURS

WIDTH, LABEL, NUMBER = 760, 150, 90
ROW, BAR, TITLE, GAP = 22, 14, 30, 18
STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #24292f; }
  .title { font-weight: 600; font-size: 13px; }
  .number { fill: #57606a; }
  .peer { fill: #8c959f; } .floor { fill: #d0d7de; } .oxcart { fill: #bf5b17; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .number { fill: #9da7b1; }
    .peer { fill: #6e7681; } .floor { fill: #3d444d; } .oxcart { fill: #f0883e; }
  }
"""


@dataclass(frozen=True)
class Panel:
    """A group of bars.

    Attributes:
        title: stands above it.
        place: which case.
        key: which figure.
        is_less_better: the shortest bar is the best.
    """

    title: str
    place: Place
    key: str
    is_less_better: bool = False


PANELS = (
    Panel("Jobs run a second: noop, concurrency 100", ("noop", "", 100), "process_per_s"),
    Panel("Jobs added a second, in bulk", ("adding", "bulk", 100), "enqueue_per_s"),
    Panel(
        "From adding to the handler, idle worker: median µs",
        ("latency", "", 100),
        "p50_us",
        is_less_better=True,
    ),
)


def draw(summary: Summary) -> str:
    """The chart of what was measured."""
    parts: list[str] = []
    top = 0
    for panel in PANELS:
        bars = _bars(summary, panel)
        if bars:
            parts += _panel(panel, bars, top)
            top += TITLE + ROW * len(bars) + GAP
    body = "\n".join(parts)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top}" '
    head += f'viewBox="0 0 {WIDTH} {top}" role="img" aria-label="oxcart beside its peers">'
    return f"{head}\n<style>{STYLE}</style>\n{body}\n</svg>\n"


def _bars(summary: Summary, panel: Panel) -> list[tuple[str, float]]:
    systems = summary.systems(panel.place)
    medians = [(name, summary.median(panel.place, name, panel.key)) for name in systems]
    found = [(name, figure) for name, figure in medians if figure is not None]
    return sorted(found, key=lambda bar: bar[1], reverse=not panel.is_less_better)


def _panel(panel: Panel, bars: Sequence[tuple[str, float]], top: int) -> list[str]:
    longest = max(figure for _, figure in bars)
    rows = [f'<text class="title" x="0" y="{top + 18}">{escape(panel.title)}</text>']
    for index, (name, figure) in enumerate(bars):
        rows += _bar(name, figure, figure / longest, top + TITLE + ROW * index)
    return rows


def _bar(name: str, figure: float, share: float, top: int) -> list[str]:
    kind = name if name in OURS else "peer"
    length = max(1.0, share * (WIDTH - LABEL - NUMBER))
    base = top + BAR - 3
    return [
        f'<text x="{LABEL - 8}" y="{base}" text-anchor="end">{escape(name)}</text>',
        f'<rect class="{kind}" x="{LABEL}" y="{top}" width="{length:.1f}" height="{BAR}" rx="2"/>',
        f'<text class="number" x="{LABEL + length + 6:.1f}" y="{base}">{figure:,.0f}</text>',
    ]
