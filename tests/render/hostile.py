"""Names that a client may give itself to harm whoever looks, and what must never reach a terminal."""

from __future__ import annotations

from unicodedata import bidirectional, category

HOSTILE = {
    "markup": "[/red][bold blink]gone[/bold][link=http://x]",
    "colour": "\x1b[31mred\x1b[0m",
    "title": "\x1b]0;owned\x07",
    "erase": "\x1b[2J\x1b[H",
    "hyperlink": "\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\",
    "lines": "one\ntwo\r\nthree\x0b\x0c\x85four\u2028five",
    "tabs": "a\tb\tc",
    "backspace": "ok\b\b\b\b\bLEAK",
    "eight-bit": "\x9b31mred\x9d0;t\x9c",
    "right-to-left": "\u202etxt.exe\u202c \u2066x\u2069 \u200f",
    "surrogates": "caf\udcc3\udca9 \ud83d",
    "null": "a\0b",
    "accents": "a" + "\u0301" * 400,
    "wide": "数据库连接池泄漏检测工具",
    "family": "👨\u200d👩\u200d👧 👍🏽 🇩🇪 ❤\ufe0f",
    "hangul": "\u1112\u1161\u11ab\u1160\u11a8",
    "private": "\ue000\U000f0000\U000e0041",
    "megabyte": "A" * 1_000_000,
    "wide megabyte": "数" * 1_000_000,
}
_TURNS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def harmful(text: str) -> str:
    """The letters in `text` that do something to a terminal, or cannot be written."""
    return "".join(
        letter
        for letter in text
        if category(letter) in {"Cc", "Cs", "Zl", "Zp"}
        or bidirectional(letter) in _TURNS
        or letter in "\u200e\u200f\u061c\u200b\u200c\u200d\ufeff"
    )
