"""Small pieces of a page: figures in words, tables, lists. What was not measured says so."""

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

NOT_MEASURED = '<span class="not">not measured</span>'

# What a reader would not see, or what would turn the page around or steer a terminal: control characters as their
# pictures, those of direction by their names, lone surrogates (which UTF-8 cannot hold) as the replacement character.
_VISIBLE: dict[int, int | str] = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"}
_VISIBLE |= {0x7F: 0x2421} | dict.fromkeys((*range(0x80, 0xA0), *range(0xD800, 0xE000)), 0xFFFD)
_VISIBLE |= {0x202A: "[LRE]", 0x202B: "[RLE]", 0x202C: "[PDF]", 0x202D: "[LRO]", 0x202E: "[RLO]"}
_VISIBLE |= {0x2066: "[LRI]", 0x2067: "[RLI]", 0x2068: "[FSI]", 0x2069: "[PDI]"}


def visible(text: str) -> str:
    """Any text with signs in place of what would not be seen, or would turn what is around it."""
    return str(text).translate(_VISIBLE)


def escape(text: str) -> str:
    """Any text as HTML text or as the value of a quoted attribute."""
    return html.escape(visible(text))


def number(value: float | None, digits: int = 0) -> str:
    """A figure with `digits` decimals and commas between the thousands."""
    return NOT_MEASURED if value is None else f"{value:,.{digits}f}"


def percent(share: float | None, digits: int = 1) -> str:
    """A share in [0, 1] as a percentage, without the sign."""
    return NOT_MEASURED if share is None else f"{100 * share:.{digits}f}"


def duration(seconds: float | None) -> str:
    """Seconds as people say them: 48 s, 3 min 05 s, 2 h 10 min."""
    if seconds is None:
        return NOT_MEASURED
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{rest} s"
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def bar(share: float) -> str:
    """A share in [0, 1] as a bar that fills its cell."""
    width = 100 * min(1.0, max(0.0, share))
    return f'<span class="bar" aria-hidden="true"><span style="inline-size:{width:.2f}%"></span></span>'


def table(
    head: Sequence[str], bodies: Iterable[Iterable[Sequence[str]]], caption: str, classes: str = ""
) -> str:
    """A table of ready HTML cells in groups of rows; each row's first cell heads it.

    It scrolls by itself on a narrow page, with the keyboard too; `caption` names it for who does not see it.
    """
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    groups = "".join(f"<tbody>{''.join(map(_row, rows))}</tbody>" for rows in bodies)
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(caption)}">'
        f'<table class="{classes}"><thead><tr>{top}</tr></thead>{groups}</table></div>'
    )


def _row(cells: Sequence[str]) -> str:
    rest = "".join(f"<td>{cell}</td>" for cell in cells[1:])
    return f'<tr><th scope="row">{cells[0]}</th>{rest}</tr>'


def pairs(values: Mapping[str, Any]) -> str:
    """Names and values as a list of pairs; nested mappings are flattened with dots."""
    rows = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{_value(value)}</dd></div>" for name, value in _flat(values)
    )
    return f'<dl class="pairs">{rows}</dl>' if rows else f"<p>{NOT_MEASURED}</p>"


def section(name: str, heading: str, intro: str, *parts: str) -> str:
    """A section of a page with the anchor `name`; `intro` and `parts` are ready HTML."""
    return f'<section id="{name}"><h2>{heading}</h2><p class="intro">{intro}</p>{"".join(parts)}</section>'


def figure(svg: str, title: str, note: str = "") -> str:
    """A plot under its title, both ready HTML."""
    below = f"<small>{note}</small>" if note else ""
    return f"<figure><figcaption>{title}{below}</figcaption>{svg}</figure>"


def _flat(values: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield before + str(name), value


def _value(value: Any) -> str:
    if value is None:
        return NOT_MEASURED
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(_value(item) for item in value)
    return escape(str(value))
