"""The generated parts of README.md: `python -m tests.readme` writes those that code knows, `--record` the recorded runs too.

A part stands between `<!-- name -->` and `<!-- end -->`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"


def block(name: str) -> str:
    """What the README has under this name."""
    match = re.search(rf"<!-- {re.escape(name)} -->\n(.*?)<!-- end -->", README.read_text(), re.DOTALL)
    assert match, name
    return match[1]


def replace_block(name: str, text: str) -> None:
    assert block(name) is not None
    pattern = rf"(<!-- {re.escape(name)} -->\n).*?(<!-- end -->)"
    README.write_text(
        re.sub(pattern, lambda m: m[1] + text.strip("\n") + "\n" + m[2], README.read_text(), count=1, flags=re.DOTALL)
    )


def generated() -> dict[str, str]:
    """The parts that follow from the code."""
    return {"codes": _codes(), "settings": _settings(), "metrics": _metrics()}


def recorded() -> dict[str, list[str]]:
    """The recorded runs: name -> arguments."""
    return {
        "recorded: check demo": ["check", "demo"],
        "recorded: check wrong-port": ["check", "postgresql://app@127.0.0.1:54321/shop"],
        "recorded: leaks": ["leaks", "--replay", "tests/recordings/shop.jsonl"],
        "recorded: recommend": [
            *(
                "recommend",
                "--trace",
                "tests/recordings/checkouts.csv",
                "--processes",
                "2",
                "--replicas",
                "3",
                "--surge",
                "1",
            ),
            *("--idle-timeout", "aws-nlb", "--deadline", "10s", "--what-if", "replicas=6"),
            *("--what-if", "pool_size=5,max_overflow=10"),
        ],
        "recorded: trace": ["trace", "tests/recordings/run"],
        "recorded: check nagios": ["check", "demo", "--format", "nagios"],
        "recorded: schema": ["schema"],
        "recorded: explain too-many-clients": ["explain", "too-many-clients"],
    }


def recorded_once() -> dict[str, list[str]]:
    """Runs that are recorded for real, and not compared again: how long each thing took differs from run to run."""
    return {"recorded: simulate-timeout": ["simulate-timeout", "demo"], "recorded: demo": ["demo", "--fast"]}


def record(arguments: list[str]) -> str:
    """What a run prints on stdout, as a block of Markdown."""
    command = [sys.executable, "-m", "dbdoctor", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    return f"    $ dbdoctor {' '.join(arguments)}\n" + "\n".join(
        f"    {line}".rstrip() for line in done.stdout.splitlines()
    )


def unvarying(text: str) -> str:
    """A recorded run without what differs from run to run: figures, durations, ports; and how wide they are."""
    text = re.sub(r"\d+(\.\d+)?( ms| s|m \d\ds|h \d\dm)?", "N", text)
    return re.sub(r"\s+", " ", text).strip()


def _codes() -> str:
    from dbdoctor.cli.explain import all_pages

    pages = all_pages()
    return "| code | says |\n|---|---|\n" + "\n".join(
        f"| `{code}` | {pages[code].summary.replace('|', '/').replace('<', '&lt;')} |" for code in sorted(pages)
    )


def _metrics() -> str:
    from dbdoctor.serve.metrics import METRICS

    rows = [
        f"| `{m.name}{'_total' * (m.kind == 'counter')}` | {', '.join(f'`{one}`' for one in m.labels)} | {m.help} |"
        for m in METRICS
    ]
    return "| metric | labels beside `target` | says |\n|---|---|---|\n" + "\n".join(rows)


def _settings() -> str:
    from dbdoctor.targets import settings

    parts = []
    for title, table in (
        ("Top level", settings.TOP),
        ("In a profile, `[targets.NAME]`", settings.TARGET),
        ("Thresholds, `[thresholds]` or `[targets.NAME.thresholds]`", settings.THRESHOLDS),
    ):
        rows = [f"| `{s.name}` | {_range(s)} | {_default(s.default)} | {s.meaning} |" for s in table]
        parts.append(f"{title}:\n\n| key | range | default | meaning |\n|---|---|---|---|\n" + "\n".join(rows))
    return "\n\n".join(parts)


def _range(setting: object) -> str:
    choices = getattr(setting, "choices", ())
    if choices:
        return ", ".join(f"`{choice}`" for choice in choices)
    low, high = getattr(setting, "low", None), getattr(setting, "high", None)
    kind = str(getattr(setting, "kind").value)  # noqa: B009
    return (
        kind
        if low is None and high is None
        else f"{kind}, {low:g} to {high:g}"
        if high is not None
        else f"{kind}, from {low:g}"
    )


def _default(value: object) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def main() -> None:
    for name, text in generated().items():
        replace_block(name, text)
    if "--record" in sys.argv:
        for name, arguments in {**recorded(), **recorded_once()}.items():
            replace_block(name, record(arguments))


if __name__ == "__main__":
    main()
