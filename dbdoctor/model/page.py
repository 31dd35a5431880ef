"""The page behind a code, read from the docstring of the file that judges.

    One summary line, without a full stop

    What it means
        text...

    Why it matters
        text...

    What to do
        text, with commands

and, if it helps, a fourth section `Example`.
"""

from __future__ import annotations

import textwrap

from dbdoctor.model.finding import Page

_SECTIONS = ("What it means", "Why it matters", "What to do")
_EXAMPLE = "Example"


def parse_page(code: str, docstring: str) -> Page:
    """The page that `docstring` holds, each section's text without its indentation. ValueError for another shape."""
    summary, _, rest = docstring.strip().partition("\n")
    summary = summary.strip()
    if not summary or summary.endswith("."):
        raise ValueError(f"the page of {code} begins with one line without a full stop")
    sections = _sections(code, textwrap.dedent(rest))
    if tuple(sections) not in (_SECTIONS, (*_SECTIONS, _EXAMPLE)):
        raise ValueError(f"the page of {code} has the sections {', '.join(_SECTIONS)}, in this order")
    means, matters, do = (sections[name] for name in _SECTIONS)
    return Page(code, summary, means, matters, do, sections.get(_EXAMPLE))


def _sections(code: str, text: str) -> dict[str, str]:
    """Headings stand at the margin, what they head is indented."""
    sections: dict[str, list[str]] = {}
    heading = None
    for line in text.splitlines():
        if line.strip() and not line[0].isspace():
            heading = line.strip()
            if heading in sections:
                raise ValueError(f"the page of {code} has {heading!r} twice")
            sections[heading] = []
        elif heading is not None:
            sections[heading].append(line)
        elif line.strip():
            raise ValueError(f"the page of {code} has text before its first heading")
    found = {name: textwrap.dedent("\n".join(lines)).strip("\n") for name, lines in sections.items()}
    for name, section in found.items():
        if not section.strip():
            raise ValueError(f"the page of {code} has nothing under {name!r}")
    return found
