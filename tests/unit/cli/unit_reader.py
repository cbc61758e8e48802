"""Reads unit files as systemd does, as far as ours go.

After systemd.syntax(7), systemd.exec(5), systemd.service(5) and systemd 252's `extract-word.c`,
`specifier.c` and `env-util.c`. What systemd would refuse or warn of fails.
"""

import re
from collections.abc import Iterator, Mapping

_ESCAPES = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "s": " ",
    "\\": "\\", '"': '"', "'": "'",
}  # fmt: skip
_BLANK = " \t\n\r"


def entries(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield section, key and value of each line that is no comment."""
    section = ""
    assert "\r" not in text
    for line in text.split("\n"):
        line = line.strip(_BLANK)
        if not line or line[0] in "#;":
            continue
        assert len(re.findall(r"\\*$", line)[0]) % 2 == 0, f"goes on in the next line: {line}"
        if line.startswith("["):
            section = line
            continue
        key, equals, value = line.partition("=")
        assert equals, line
        yield section, key.strip(_BLANK), value.strip(_BLANK)


def of(text: str, key: str) -> list[str]:
    return [value for _, each, value in entries(text) if each == key]


def environment(text: str, specifiers: Mapping[str, str]) -> dict[str, str]:
    """Return what the Environment= lines of a unit give its process."""
    found = {}
    for value in of(text, "Environment"):
        for word in words(value):
            name, equals, content = expanded(word, specifiers).partition("=")
            assert equals, word
            found[name] = content
    return found


def arguments(text: str, specifiers: Mapping[str, str], key: str = "ExecStart") -> list[str]:
    """Return the words that the process of ExecStart= is called with."""
    (value,) = of(text, key)
    first, *rest = words(value)
    assert ";" not in re.split(r"\s", value)
    is_literal = first.startswith(":")
    program = first.removeprefix(":")
    assert program[0] not in "-@+!|", program
    assert not re.search(r"[\x00-\x1f\x7f\"'\\]", program), program
    found = [expanded(word, specifiers) for word in (program, *rest)]
    return found if is_literal else [_without_variables(word) for word in found]


def words(text: str) -> list[str]:
    """Divide at blanks, undoing quotes and C escapes."""
    found: list[str] = []
    word: str | None = None
    quote = ""
    characters = iter(text)
    for character in characters:
        if character == "\\":
            word = (word or "") + _unescaped(characters)
        elif quote and character == quote:
            quote = ""
        elif quote:
            word = (word or "") + character
        elif character in "\"'":
            assert word is None, f"a quote within a word: {text}"
            quote, word = character, ""
        elif character in _BLANK:
            found += [word] if word is not None else []
            word = None
        else:
            word = (word or "") + character
    assert not quote, f"an open quote: {text}"
    return found + ([word] if word is not None else [])


def _unescaped(characters: Iterator[str]) -> str:
    kind = next(characters)
    if kind == "x":
        code = int(next(characters) + next(characters), 16)
        assert 0 < code < 128
        return chr(code)
    return _ESCAPES[kind]


def expanded(text: str, specifiers: Mapping[str, str]) -> str:
    return re.sub("%(.?)", lambda found: {**specifiers, "%": "%"}[found[1]], text)


def _without_variables(word: str) -> str:
    """No word of ours has a variable in it: what is left of each $ is a doubled one."""
    assert not re.search(r"\$", word.replace("$$", "")), word
    return word.replace("$$", "$")
