"""The chart of what grows with how many requests wait."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

INK: Final = "#7d8590"
"""Of all text and lines: legible on white and on a dark page."""

COLOURS: Final = ("#2f81f7", "#db6d28", "#3fb950", "#a371f7")

PANELS: Final[Sequence[tuple[str, Sequence[str]]]] = (
    ("reading, ms", ("Temporal's list, first page", "pending, first page")),
    ("deciding, ms", ("request", "decision, of the newest", "decision, of the oldest")),
    ("worker, MB", ("worker, MB",)),
)


def draw(columns: Mapping[int, Mapping[str, Any]], file: Path) -> None:
    """Write the chart of ``columns``: by how many wait, the figures by their names."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "growth", "font.size": 9}
    matplotlib.rcParams |= dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK
    )
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(PANELS), figsize=(9.6, 2.9), layout="constrained")
    waiting = sorted(columns)
    for panel, (title, names) in zip(panels, PANELS, strict=True):
        for name, colour in zip(names, COLOURS, strict=False):
            figures = [columns[at][name] for at in waiting]
            panel.plot(waiting, figures, "o-", color=colour, label=name, markersize=4)
        panel.set_title(title, fontsize=9)
        panel.set_xscale("log")
        panel.set_xticks(waiting, [f"{at:,}" for at in waiting])
        panel.minorticks_off()
        most = max(columns[at][name] for at in waiting for name in names)
        panel.set_ylim(0, most * (1.5 if len(names) > 1 else 1.1))  # the legend stands above
        panel.set_xlabel("waiting")
        panel.grid(alpha=0.25, color=INK)
        panel.spines[["top", "right"]].set_visible(False)
        if len(names) > 1:
            panel.legend(loc="upper left", frameon=False, fontsize=8)
    figure.savefig(file, transparent=True, metadata={"Date": None})
    pyplot.close(figure)
