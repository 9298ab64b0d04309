"""The table of docs/pack.md, and docs/pack-refusals.md with every case that is not as it should be."""

import json
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Result = dict[str, Any]
Results = dict[str, list[Result]]
BEGIN, END = "<!-- Written by `make bench-pack`. -->", "<!-- Until here. -->"
TITLES = {
    "pipelines": "random everyday pipelines",
    "estimators": "`sklearn.utils.all_estimators()`, alone and behind a ColumnTransformer",
    "onnx": "the cases inside the package `onnx`, as shipped",
    "boosters": "XGBoost, LightGBM, CatBoost: every objective and booster type",
}
AIMS = {"pipelines": 98, "estimators": 95, "onnx": 100, "boosters": 95}
REFUSING = {"onnx"}  # a file that no server can take may be refused, in a sentence
HEAD = ["set", "cases", "packed", "all rows equal, of the packed", "as ONNX", "a row of these: native, ONNX",
        "a row of the others", "wrong"]  # fmt: skip
# What may come of a case, from good to bad.
KINDS = {
    "equal": "answered as the model does in every row",
    "incomplete": "packed, but no output answers as `predict` or `predict_proba` does",
    "unanswered": "packed, but rows are refused that the model takes",
    "WRONG": "packed, and answered otherwise than the model does",
    "unserved": "packed, but the server did not start or did not answer",
    "refused": "refused by `pack` with a sentence",
    "crashed": "`pack` ended without a sentence",
    "untrained": "the benchmark could not train it",
    "apart": "nothing to serve: not counted",
}


PACKED = {"equal", "incomplete", "unanswered", "WRONG", "unserved"}


def kind_of(result: Result) -> str:
    """One of KINDS."""
    if result["status"] != "packed":
        return str(result["status"])
    answers = result["answers"]
    if answers["wrong"]:
        return "WRONG"
    if answers.get("lacks"):
        return "incomplete"
    return "unanswered" if answers["refused"] or answers["failed"] else "equal"


def is_wrong(result: Result) -> bool:
    """Whether a bundle answers otherwise than its model, which must never be."""
    return kind_of(result) == "WRONG"


def line(result: Result) -> str:
    """A result in one line of progress."""
    answers = result.get("answers")
    if not answers:
        return f"{result['set']}:{result['case']} {kind_of(result)}: {result.get('sentence', '')[:160]}"
    rows = sum(answers[kind] for kind in ("equal", "wrong", "refused", "failed"))
    said = f" ({result['sentence'][:160]})" if result.get("sentence") else ""
    form = result.get("format") or ""
    return f"{result['set']}:{result['case']} {form} {kind_of(result)} {answers['equal']}/{rows}{said}"


def details(result: Result) -> str:
    """What the case is, what pack said of it, and rows that differ."""
    lines = [f"  {result.get('description', '')}", f"  {result.get('sentence', '')}"]
    lines += [f"  {note}" for note in result.get("notes") or []]
    if conversion := result.get("conversion"):
        lines.append(f"  {conversion['said']}")
    lines += [
        f"  {json.dumps(example, ensure_ascii=False)[:1500]}"
        for example in result.get("answers", {}).get("examples", [])
    ]
    return "\n".join(text for text in lines if text.strip()) + f"\n  {result['seconds']} s"


def row(name: str, results: list[Result]) -> list[str]:
    """A set as a row of the table."""
    kinds = [kind_of(result) for result in results]
    counted = [result for result, kind in zip(results, kinds, strict=True) if kind not in ("apart", "untrained")]
    packed = [result for result in counted if kind_of(result) in PACKED]
    converted = [result for result in packed if (result.get("conversion") or {}).get("converted")]
    times = [_median(result["conversion"][key] for result in converted) for key in ("native_us", "onnx_us")]
    others = [
        result["costs"]["latency_p50_ms"] * 1e3 for result in packed if result not in converted and result.get("costs")
    ]
    good = len(packed) + (kinds.count("refused") if name in REFUSING else 0)
    return [
        TITLES[name],
        str(len(counted)),
        f"{_percent(good, len(counted))}{' or refused in a sentence' if name in REFUSING else ''} (aim {AIMS[name]} %)",
        _percent(kinds.count("equal"), len(packed)),
        "-" if name in REFUSING else _percent(len(converted), len(packed)),
        f"{times[0]:,.0f} us, {times[1]:,.0f} us" if converted else "-",
        f"{_median(others):,.0f} us" if others else "-",
        str(kinds.count("WRONG")),
    ]


def terminal(found: Results, code: str, verbose: bool) -> str:
    """The table, and what is wrong or does not work, for a terminal."""
    parts = [_aligned([HEAD, *(row(name, results) for name, results in found.items())])]
    old = sum(result["code"] != code for results in found.values() for result in results)
    if old:
        parts.append(f"{old} of these results are of other code than today's.")
    shown = KINDS if verbose else ("WRONG", "incomplete", "crashed", "unserved", "untrained")
    for kind in shown:
        cases = [result for results in found.values() for result in results if kind_of(result) == kind]
        if cases and kind != "equal":
            parts.append(
                "\n".join([f"{kind}: {KINDS[kind]} ({len(cases)})", *(f"  {line(result)}" for result in cases)])
            )
    return "\n\n".join(parts)


def write(docs: Path, found: Results) -> None:
    """Put the table between its markers in docs/pack.md, and write docs/pack-refusals.md."""
    page = docs / "pack.md"
    before, _, rest = page.read_text().partition(BEGIN)
    _, marked, after = rest.partition(END)
    if not marked:
        raise SystemExit(
            f"{page.name} has no place for the table: put the lines {BEGIN} and {END} where it shall stand"
        )
    table = _markdown([HEAD, *(row(name, results) for name, results in found.items())])
    page.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}")
    (docs / "pack-refusals.md").write_text(refusals(found))


def refusals(found: Results) -> str:
    """A page of every case that is not answered rightly in every row, by its sentence."""
    parts = ["# What does not pack", "<!-- Written by `make bench-pack`. -->",
             'Run one alone: `make bench-pack ARGS="--only pipelines:17 --verbose"`.']  # fmt: skip
    for name, results in found.items():
        for kind in KINDS:
            cases: dict[str, list[str]] = {}
            for result in results:
                if kind_of(result) == kind != "equal":
                    cases.setdefault(_clean(result.get("sentence") or kind), []).append(f"`{result['case']}`")
            if cases:
                parts.append(f"## {TITLES[name]}: {KINDS[kind]} ({sum(map(len, cases.values()))})")
                parts.append("\n".join(f"- {sentence}: {', '.join(names)}" for sentence, names in cases.items()))
    return "\n\n".join(parts) + "\n"


def _clean(text: str) -> str:
    """One line of Markdown, in which `<` begins no tag; without a library's own stack trace, which has paths."""
    return " ".join(text.partition("Stack trace:")[0].replace("<", "&lt;").replace("|", "\\|").split())


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %".replace(".0 %", " %") if whole else "-"


def _median(values: Iterable[float]) -> float:
    found = list(values)
    return statistics.median(found) if found else 0.0


def _markdown(rows: list[list[str]]) -> str:
    head, *others = rows
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *others])


def _aligned(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
