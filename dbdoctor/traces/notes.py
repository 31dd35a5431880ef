"""What a recording does not tell, said in words: nothing that is missing from a summary goes unnamed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dbdoctor.model.recorded_summary import ProcessSummary
from dbdoctor.traces.read import Reading

_MOST_NAMED = 5


def notes_of(
    processes: Sequence[ProcessSummary], reading: Reading, *, repeated: int, unassigned: int, overfull: int
) -> Iterator[str]:
    """One sentence each, without a full stop."""
    yield from _of_processes(processes)
    shares = {process.header.sample for process in processes if process.header.sample < 1}
    if shares:
        yield f"only {min(shares):.0%} of the checkouts were recorded (`--sample`): the counts are those of the sample"
    lost = sum(process.lost for process in processes)
    if lost:
        yield f"{lost:,} finished checkouts were not written, since they came faster than the disk took them"
    if reading.bad:
        named = "; ".join(f"{bad.file} line {bad.number}: {bad.reason}" for bad in reading.named)
        yield f"{reading.bad:,} {_lines(reading.bad)} could not be read ({named})"
    if reading.cut_short:
        files = "a file ends" if reading.cut_short == 1 else f"{reading.cut_short:,} files end"
        yield f"{files} in the middle of a line, which is ignored"
    if overfull:
        where = "a process" if overfull == 1 else f"each of {overfull:,} processes"
        yield f"{where} took connections at more lines of code than can be told apart: the rest are a line that is not known"
    if repeated:
        yield f"{repeated:,} recordings were named twice, and are counted once"
    if unassigned:
        yield f"of {unassigned:,} checkouts only the end is recorded, and they are not counted"


def _of_processes(processes: Sequence[ProcessSummary]) -> Iterator[str]:
    alive = [process for process in processes if process.alive]
    if alive:
        yield f"still running, and recorded up to now: {_named(alive)}"
    killed = [process for process in processes if process.is_killed]
    if killed:
        yield f"no orderly end is recorded (killed, or crashed), and the last second may be missing: {_named(killed)}"
    for process in [process for process in processes if process.disabled is not None][:_MOST_NAMED]:
        yield f"the recorder in process {process.header.process} stopped itself ({process.disabled}): what came after is missing"
    late = [process for process in processes if process.first_part > 1]
    if late:
        yield f"the beginning was overwritten, as the file reached `--max-size`: {_named(late)}"


def _named(processes: Sequence[ProcessSummary]) -> str:
    """`process 4711`, `processes 4711, 4712 and 3 more`."""
    ids = ", ".join(str(process.header.process) for process in processes[:_MOST_NAMED])
    more = len(processes) - _MOST_NAMED
    return f"process{'es' if len(processes) > 1 else ''} {ids}" + (f" and {more} more" if more > 0 else "")


def _lines(number: int) -> str:
    return "line" if number == 1 else "lines"
