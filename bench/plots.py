"""Draw the bars: python plots.py FOLDER, with what page.bars returns as JSON on standard input.

Runs in the environment .cache/bench/tools. The same figures give the same files.
"""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams |= {"svg.hashsalt": "modelhost", "svg.fonttype": "none", "font.size": 9}
import matplotlib.pyplot as plt  # noqa: E402 - only after the backend is chosen

OURS, THEIRS = "#c8501e", "#8a97a5"


def main() -> None:
    """Write FOLDER/<plot>.svg for each plot."""
    folder = Path(sys.argv[1])
    for name, plot in json.load(sys.stdin).items():
        draw(plot, folder / f"{name}.svg")


def draw(plot: dict[str, Any], path: Path) -> None:
    """Horizontal bars, a panel for each case, ours in colour."""
    panels = plot["panels"]
    titles = plot["servers"]
    figure, axes = plt.subplots(
        1, len(panels), figsize=(2.6 + 3 * len(panels), 0.9 + 0.26 * len(titles)), squeeze=False, layout="constrained"
    )
    for number, (axis, (case, series)) in enumerate(zip(axes[0], panels.items(), strict=True)):
        values = dict(series)
        heights = [values.get(title, 0) for title in titles]
        colours = [OURS if title.startswith("modelhost") else THEIRS for title in titles]
        drawn = axis.barh(titles, heights, color=colours)
        axis.bar_label(drawn, [f"{height:,.0f}" if height else "" for height in heights], padding=2, fontsize=8)
        axis.invert_yaxis()
        axis.margins(x=0.18)
        axis.set_title(case)
        axis.set_xlabel(plot["unit"])
        axis.spines[["top", "right"]].set_visible(False)
        if number:
            axis.set_yticklabels([])
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
