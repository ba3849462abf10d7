"""A Report as rich tables and as Markdown: the same cells, written twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exprag.evaluation.loss_tables import loss_tables
from exprag.evaluation.measure_tables import MANY, groups_table, measures_table
from exprag.evaluation.metrics import Metrics
from exprag.evaluation.statistics import Difference, Interval
from exprag.text import printable

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from exprag.evaluation.report import Comparison, Report

NONE = "–"
MINUS = "−"

Row = list[str]


def console(report: Report) -> RenderableType:
    """Tables by arm and by task type, a sentence for each comparison, and the notes."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    parts: list[RenderableType] = []
    for title, head, rows in _tables(report):
        table = Table(title=title, title_justify="left", title_style="bold", box=None, header_style="dim", pad_edge=False)
        for index, label in enumerate(head):
            table.add_column(_text(label), justify="right" if index else "left", vertical="top", overflow="fold")
        for row in rows:
            last = row is rows[-1] and len(rows) > 1 and row[0] == "all"
            table.add_row(*(_text(cell) for cell in row), style="bold" if last else "")
        parts += [table, Text()]
    for comparison in report.comparisons:
        interval = comparison.total.success.interval
        style = "green" if interval and interval.low > 0 else "red" if interval and interval.high < 0 else "yellow"
        parts += [_text(line, style if index == 0 else "") for index, line in enumerate(sentences(comparison))]
    parts += [_text(line, "red" if any(each.offences for each in report.audits) else "") for line in audit_lines(report)]
    parts += [_text(f"Note. {note}", "dim") for note in report.notes]
    return Group(*parts)


def markdown(report: Report) -> str:
    """The same as GitHub-flavoured Markdown."""
    lines: list[str] = []
    for title, head, rows in _tables(report):
        lines += [f"**{title}**", "", _line(head), "|" + "---|" + "---:|" * (len(head) - 1), *map(_line, rows), ""]
    for comparison in report.comparisons:
        lines += [f"* {_escape(line)}".replace("\n", " ") for line in sentences(comparison)]
    lines += [f"* {_escape(line)}".replace("\n", " ") for line in audit_lines(report)]
    lines += [f"* Note. {_escape(note)}".replace("\n", " ") for note in report.notes]
    return "\n".join(lines).rstrip() + "\n"


def sentences(comparison: Comparison) -> list[str]:
    """What a comparison says, in words: success with its verdict first, then score and steps."""
    whole = comparison.total
    name = f"{comparison.arm} {MINUS} {comparison.baseline}"
    if whole.success.estimate is None:
        return [f"{name}: no task was played by both arms, so there is no difference to tell."]
    table = whole.paired
    verdict = f"{name}: success {points(whole.success)} points over {table.n} paired episodes."
    if whole.success.interval is not None:
        zero = "excludes zero" if whole.success.interval.excludes_zero else "does not exclude zero"
        verdict = f"{verdict.replace(' points over', ' points (95 % interval) over', 1)[:-1]}: the interval {zero}."
    lines = [
        verdict,
        f"Solved by both {table.both}, by {comparison.arm} alone {table.arm_only}, by {comparison.baseline} alone "
        f"{table.baseline_only}, by neither {table.neither}; {_test(comparison)}.",
    ]
    score = f"score {signed(whole.score, 3)}, " if whole.score.estimate is not None else ""
    return [*lines, f"Paired means (95 % bootstrap over tasks): {score}steps {signed(whole.steps, 1)}."]


def _test(comparison: Comparison) -> str:
    """The p-value and which test gave it; where several arms are compared also Holm's."""
    whole = comparison.total
    name = "exact McNemar" if whole.tasks == whole.paired.n else "exact, tasks changing sign as wholes:"
    after = "" if comparison.p_holm is None else f", after Holm's correction {p_value(comparison.p_holm)}"
    return f"{name} p = {p_value(whole.p_value)}{after}"


def audit_lines(report: Report) -> list[str]:
    """What the audit of each arm says, in words; a line together for those that passed."""
    lines = []
    for each in report.audits:
        if each.problem:
            lines.append(f"Audit of {each.arm}: not possible. {each.problem}")
        lines += [f"Audit of {each.arm}: {offence}" for offence in each.offences]
    clean = [each for each in report.audits if not each.problem and not each.offences]
    if clean:
        recalls = sum(each.recalls for each in clean)
        lines.append(
            f"Audit passed: no episode saw its own answer ({sum(each.checked for each in clean)} episodes, {recalls} recalls of "
            f"{', '.join(each.arm for each in clean) if len(clean) <= 4 else f'{len(clean)} arms'})."
        )
    return lines


def notebook(report: Report) -> str:
    """The tables, sentences and notes as a piece of HTML, without style or script; all text is escaped."""
    from html import escape

    parts = []
    for title, head, rows in _tables(report):
        lines = [f"<tr>{''.join(f'<th>{_html(cell)}</th>' for cell in head)}</tr>"]
        lines += [f"<tr>{''.join(f'<td>{_html(cell)}</td>' for cell in row)}</tr>" for row in rows]
        parts.append(f"<p><b>{_html(title)}</b></p><table>{''.join(lines)}</table>")
    lines = [line for comparison in report.comparisons for line in sentences(comparison)]
    lines += [*audit_lines(report), *(f"Note. {note}" for note in report.notes)]
    return "".join(parts) + f"<ul>{''.join(f'<li>{escape(printable(line))}</li>' for line in lines)}</ul>"


def _html(cell: str) -> str:
    from html import escape

    return escape(printable(cell.strip().replace("\n", " ")))


def _tables(report: Report) -> list[tuple[str, Row, list[Row]]]:
    """Title, head and rows of each table."""
    parts = groups_table(report, number) if len(report.arms) > MANY else _types(report)
    return [_arms(report), measures_table(report, number), _turns(report), parts, *loss_tables(report)]


def _arms(report: Report) -> tuple[str, Row, list[Row]]:
    head = ["arm", "n", "success", "95 %", "score", "steps", "tokens", "seconds", "ended"]
    rows = []
    for arm in report.arms:
        total = arm.total
        ended = ", ".join(f"{count} {ending.replace('_', ' ')}" for ending, count in total.endings.items())
        if total.errors:
            ended += " (" + ", ".join(f"{boundary} {count}" for boundary, count in total.errors.items()) + ")"
        rows.append(
            [
                arm.name,
                str(total.n),
                percent(total.success),
                limits(total.interval),
                number(total.score, 3),
                number(total.steps, 1),
                number(total.tokens, 0),
                number(total.seconds, 1),
                ended or NONE,
            ]
        )
    return "Arms (means per episode)", head, rows


def _turns(report: Report) -> tuple[str, Row, list[Row]]:
    """What went wrong in the turns of each arm, as counts and as shares."""
    head = ["arm", "turns", "repaired", "not understood", "episodes in a loop"]
    rows = []
    for arm in report.arms:
        total = arm.total
        turns = round((total.steps or 0) * total.n)
        counts = [count(total.repaired_turns, turns), count(total.invalid_actions, turns), count(total.loops, total.n)]
        rows.append([arm.name, str(turns), *counts])
    return "Turns", head, rows


def _types(report: Report) -> tuple[str, Row, list[Row]]:
    """One row for each task type, each group of types (easy, hard) and for all; a group of columns for each arm, one for each
    comparison."""
    head = ["task type"]
    for arm in report.arms:
        head += [f"{arm.name}\nsuccess", "\nscore"]
    head += [f"{c.arm} {MINUS} {c.baseline}\npoints [95 %]" for c in report.comparisons]
    rows = []
    for type_ in report.types:
        row = [type_ or "(no type)"]
        for arm in report.arms:
            row += _group(arm.types.get(type_, Metrics()))
        rows.append(row + [points(c.types[type_].success) if type_ in c.types else NONE for c in report.comparisons])
    for name in report.groups:
        row = [name]
        for arm in report.arms:
            row += _group(arm.groups.get(name, Metrics()))
        rows.append(row + [points(c.groups[name].success) if name in c.groups else NONE for c in report.comparisons])
    row = ["all"]
    for arm in report.arms:
        row += _group(arm.total)
    rows.append(row + [points(c.total.success) for c in report.comparisons])
    return "Success by task type", head, rows


def _group(metrics: Metrics) -> Row:
    rate = f"{metrics.solved}/{metrics.n} {percent(metrics.success):>5}" if metrics.n else NONE
    return [rate, number(metrics.score, 2)]


def count(number: int, total: int) -> str:
    """A count, and in brackets its share of the total."""
    return f"{number} ({percent(number / total)})" if number else "0"


def percent(rate: float | None) -> str:
    return NONE if rate is None else f"{100 * rate:.0f} %"


def limits(interval: Interval | None) -> str:
    return NONE if interval is None else f"{100 * interval.low:.0f}-{100 * interval.high:.0f}"


def number(value: float | None, digits: int) -> str:
    return NONE if value is None else f"{value:,.{digits}f}".replace("-", MINUS)


def points(difference: Difference) -> str:
    """A difference of rates in percentage points."""
    return signed(difference, 1, 100)


def signed(difference: Difference, digits: int, scale: float = 1) -> str:
    if difference.estimate is None:
        return NONE
    text = _signed(difference.estimate * scale, digits)
    if difference.interval is None:
        return f"{text} (no interval)"
    return f"{text} [{_signed(difference.interval.low * scale, digits)}, {_signed(difference.interval.high * scale, digits)}]"


def _signed(value: float, digits: int) -> str:
    text = f"{value:+.{digits}f}"
    return f"{0:.{digits}f}" if not float(text) else text.replace("-", MINUS)


def p_value(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else f"{p:.1e}"


def _line(cells: Row) -> str:
    return "| " + " | ".join(_escape(cell.strip()).replace("\n", "<br>") for cell in cells) + " |"


def _text(text: str, style: str = "") -> Text:
    """Names stay text: no markup of rich's, and no escape sequence reaches the terminal."""
    from rich.text import Text

    return Text(printable(text), style=style)


def _escape(text: str) -> str:
    """Names stay text: no cell ends early, no markup begins, and no escape sequence reaches the terminal."""
    text = printable(text)
    for mark in ("\\", "|", "*", "`", "]("):
        text = text.replace(mark, "\\" + mark)
    return text.replace("<", "&lt;")
