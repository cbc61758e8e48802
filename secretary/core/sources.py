"""Where texts of options come from: flags, environment and defaults, each as one layer.

A layer says for each option it names which texts were given, and where. It does not judge
them. The file's layers are made in `settings_file.py`.
"""

from collections.abc import Mapping
from typing import Final

from secretary.core.given import Given, Layer
from secretary.core.option import Option
from secretary.core.options import BY_NAME, OPTIONS

DEFAULT: Final = "default"


def from_flags(flags: Mapping[str, tuple[str, ...]]) -> Layer:
    """Return the layer of the command line, whose `flags` are the texts by option."""
    return {
        name: Given(
            tuple(part for text in texts for part in divide(BY_NAME[name], text, keep_whole=True)),
            f"--{name}",
        )
        for name, texts in flags.items()
    }


def from_environ(environ: Mapping[str, str]) -> Layer:
    """Return the layer of the environment. An empty variable is as good as none.

    Variables that no option knows are left alone: other programs of the family have theirs.
    """
    return {
        option.name: Given(divide(option, environ[option.variable]), option.variable)
        for option in OPTIONS
        if environ.get(option.variable)
    }


def divide(option: Option, text: str, *, keep_whole: bool = False) -> tuple[str, ...]:
    """Return the texts of the several values that `text` holds, if the option takes several."""
    if option.many is None or (keep_whole and option.many.whole):
        return (text,)
    parts = (part.strip() for part in text.split(option.many.separator))
    return tuple(part for part in parts if part)


def own_defaults(verb: str) -> Layer:
    """Return the layer of the defaults that are this verb's alone."""
    return {
        option.name: Given(divide(option, option.own_defaults[verb]), DEFAULT)
        for option in OPTIONS
        if verb in option.own_defaults
    }


DEFAULTS: Final[Layer] = {
    option.name: Given(divide(option, option.default or ""), DEFAULT)
    for option in OPTIONS
    if option.default is not None or option.many is not None
}
