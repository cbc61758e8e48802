"""How it is said what went wrong with a cloud."""

import pytest

from secretary.scaler.providers.reasons import pause_s, told


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("1.5", 1.5),
        ("0", 1.0),
        ("-3", 1.0),
        ("999999", 3600.0),
        ("", 5.0),
        ("soon", 5.0),
        ("nan", 5.0),
        ("inf", 5.0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 90.0),
    ],
)
def test_a_pause_is_as_long_as_is_told_within_reason(text: str, seconds: float) -> None:
    assert pause_s(text, now=10.0, default_s=5.0) == seconds


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"forbidden": {"code": 403, "message": "no"}}', "no"),
        (b'{"message": "no"}', "no"),
        (b'{"error": "no", "root_causes": []}', "no"),
        (b'{"message": "", "error": "no"}', "no"),
        (b'{"code": 1}', '{"code": 1}'),
        (b"[]", "[]"),
        (b"null", "null"),
        (b"no\nsecret\xff", "no ***\ufffd"),
        (b"", ""),
    ],
)
def test_an_answer_s_own_words_are_found(body: bytes, said: str) -> None:
    assert told(body, ["secret"]) == said
