"""A table on the terminal, and the same as Markdown in bench/results/."""

from collections.abc import Sequence
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def show(name: str, title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table and keep it as `results/<name>.md`."""
    lines = [_line(head), _line(["---"] * len(head)), *map(_line, rows)]
    text = "\n".join([f"### {title}", "", *lines, ""])
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
