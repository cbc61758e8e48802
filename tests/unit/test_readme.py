"""What README and docs say of the code is made from the code."""

import subprocess
import sys
from pathlib import Path

HOUSE = Path(__file__).parents[2]


def made_by(*script: str) -> str:
    done = subprocess.run(
        [sys.executable, *script], cwd=HOUSE, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def test_readme_lists_the_options_as_they_are() -> None:
    """Mend it with scripts/options-table --write README.md."""
    _, begin, rest = (HOUSE / "README.md").read_text().partition("<!-- options -->\n")
    listed, end, _ = rest.partition("<!-- /options -->\n")
    assert begin, "README.md has no line <!-- options -->"
    assert end, "README.md has no line <!-- /options -->"
    assert listed == made_by("scripts/options-table")


def test_the_schema_of_the_record_is_the_code_s() -> None:
    """Mend it with scripts/record-schema."""
    schema = (HOUSE / "docs" / "record.schema.json").read_text()
    assert schema == made_by("scripts/record-schema", "-")
