"""The syntax of unit files: how a text is written so that systemd reads that very text.

After systemd.syntax(7), systemd.exec(5) and systemd.service(5): systemd undoes quotes and C escapes
first, then `%` specifiers, and in a command `$` last. What no unit file can hold is a ValueError.
"""

import re
from collections.abc import Sequence
from typing import Final

PORT: Final = "{port}"
"""What stands for the port in a command."""
INSTANCE: Final = "%i"

_PLAIN: Final = re.compile(r"[A-Za-z0-9@%+=:,./_{}-]+")
_ESCAPES: Final = str.maketrans(
    {chr(code): f"\\x{code:02x}" for code in (*range(1, 32), 127)}
    | {"\n": r"\n", "\t": r"\t", "\\": r"\\", "%": "%%"}
)
_NOT_IN_A_PROGRAM: Final = re.compile(r"[\x01-\x1f\x7f\"'\\]")
_SPECIAL_TO_A_PROGRAM: Final = ("-", "@", ":", "+", "!", "|")


def inside(text: str, quote: str) -> str:
    """Return `text` as it is written between two quotes, of the kind `"` or `'`."""
    if any(_is_refused(ord(character)) for character in text):
        raise ValueError("it holds a character that a unit file cannot")
    return text.translate(_ESCAPES | {ord(quote): f"\\{quote}"})


def word(text: str) -> str:
    """Return `text` as one word, in quotes where it needs them."""
    quote = "'" if '"' in text and "'" not in text else '"'
    escaped = inside(text, quote)
    return escaped if _PLAIN.fullmatch(escaped) else f"{quote}{escaped}{quote}"


def environment(variable: str, value: str) -> str:
    """Return the line that gives a process this variable."""
    return f"Environment={word(f'{variable}={value}')}"


def command(words: Sequence[str]) -> str:
    """Return the words of a command, of which none is expanded but `{port}`, the instance."""
    program = words[0]
    if _NOT_IN_A_PROGRAM.search(program):
        raise ValueError("systemd takes no quotes, backslashes or control characters in a program")
    if program.startswith(_SPECIAL_TO_A_PROGRAM):
        raise ValueError("give the program's whole path")
    # With a colon systemd leaves every $ alone, in the program's name as well.
    colon = ":" if any("$" in each for each in words) else ""
    return " ".join(word(each) for each in (colon + program, *words[1:])).replace(PORT, INSTANCE)


def shell(script: str) -> str:
    """Return what stands between `/bin/sh -c '` and the closing `'` for this script."""
    return inside(script, "'").replace("$", "$$")


def credential(name: str, path: str) -> str:
    """Return the line that hands the file at this absolute path in. Its path knows no quotes."""
    if re.search(r"[\x01-\x1f\x7f]|[\s\\]$", path):
        raise ValueError("systemd takes no control characters, nor a space or backslash at the end")
    inside(path, '"')
    return f"LoadCredential={name}:{path.replace('%', '%%')}"


def _is_refused(code: int) -> bool:
    """NUL, halves of surrogate pairs and Unicode's noncharacters."""
    is_half = 0xD800 <= code <= 0xDFFF
    return not code or is_half or 0xFDD0 <= code <= 0xFDEF or code & 0xFFFE == 0xFFFE
