"""What docs say of the code is made from the code."""

import subprocess
import sys
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2]


def made_by(*script: str) -> str:
    done = subprocess.run(
        [sys.executable, *script], cwd=HOUSE, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


@pytest.mark.parametrize(
    ("page", "how"), [("docs/options.md", ()), ("docs/scaling.md", ("--groups",))]
)
def test_a_page_lists_the_options_as_they_are(page: str, how: tuple[str, ...]) -> None:
    """Mend it with scripts/options-table --write PAGE."""
    _, begin, rest = (HOUSE / page).read_text().partition("<!-- options -->\n")
    listed, end, _ = rest.partition("<!-- /options -->\n")
    assert begin, f"{page} has no line <!-- options -->"
    assert end, f"{page} has no line <!-- /options -->"
    assert listed == made_by("scripts/options-table", *how)


def test_the_schema_of_the_record_is_the_code_s() -> None:
    """Mend it with scripts/record-schema."""
    schema = (HOUSE / "docs" / "record.schema.json").read_text()
    assert schema == made_by("scripts/record-schema", "-")
