"""The changes that can be made to a file, each of the kind of mistake that a person makes: one operator, one constant.

Left out by rule is what no test can notice, or what none should: docstrings and other prose (a string with a space, and
everything inside an f-string), annotations and aliases of types, decorators, `__all__`, `if TYPE_CHECKING`, options
that say what is the default anyway, and whether a clock that is compared may also show just that time.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

COMPARISONS = {
    ast.Eq: ("==", "!="), ast.NotEq: ("!=", "=="), ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"), ast.Is: ("is", "is not"), ast.IsNot: ("is not", "is"), ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
}  # fmt: skip
ARITHMETIC = {
    ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*"), ast.FloorDiv: ("//", "/"),
    ast.Mod: ("%", "//"), ast.Pow: ("**", "*"), ast.BitOr: ("|", "&"), ast.BitAnd: ("&", "|"),
}  # fmt: skip
OPPOSITES = {"min": "max", "max": "min", "any": "all", "all": "any"}
# Said for the reader or a linter; without them the call does the same. `strict` of zip guards what cannot be.
SAID_ANYWAY = {"check": "False", "strict": None, "allow_abbrev": None, "metavar": None, "description": None}
CLOCKS = ("time.monotonic()", "time.perf_counter()", "time.time()", "time.time_ns()")
TYPES = {"Callable", "Literal", "TypeVar", "NewType", "cast", "Annotated", "Protocol"}


@dataclass(frozen=True)
class Mutant:
    """A change to a file: the text from `start` to `end` (offsets in bytes) becomes `after`."""

    file: str
    line: int
    statement: int  # the line of the statement it is in
    kind: str
    start: int
    end: int
    before: str
    after: str
    at_import: bool  # outside any function

    def apply(self, source: bytes) -> bytes:
        return source[: self.start] + self.after.encode() + source[self.end :]

    def __str__(self) -> str:
        before, after = (" ".join(text.split()) for text in (self.before, self.after))
        return f"{self.file}:{self.line}  {before}  ->  {after or '(nothing)'}"


def mutants_of(file: str, source: bytes) -> list[Mutant]:
    """Every change to a file that is worth a try, in the order of its text."""
    found = Finder(file, source)
    found.visit(ast.parse(source))
    return sorted(filter(found.compiles, dict.fromkeys(found.mutants)), key=lambda one: (one.start, one.end, one.after))


class Finder(ast.NodeVisitor):
    """Walks a file and collects its mutants."""

    def __init__(self, file: str, source: bytes) -> None:
        self.file, self.source = file, source
        self.mutants: list[Mutant] = []
        self.lines = [0, *(match.end() for match in re.finditer(b"\n", source))]
        self.statement = 0
        self.functions = 0

    def compiles(self, mutant: Mutant) -> bool:
        try:
            compile(mutant.apply(self.source), self.file, "exec", dont_inherit=True)
        except SyntaxError:
            return False
        return True

    # Positions

    def start(self, node: ast.AST) -> int:
        return self.lines[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]

    def end(self, node: ast.AST) -> int:
        return self.lines[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]

    def text(self, node: ast.AST) -> str:
        return self.source[self.start(node) : self.end(node)].decode()

    def add(self, kind: str, start: int, end: int, after: str) -> None:
        line = self.source.count(b"\n", 0, start) + 1
        before = self.source[start:end].decode()
        self.mutants.append(
            Mutant(self.file, line, self.statement or line, kind, start, end, before, after, not self.functions)
        )

    def replace(self, kind: str, node: ast.AST, after: str) -> None:
        self.add(kind, self.start(node), self.end(node), after)

    def between(self, kind: str, left: ast.AST, right: ast.AST, old: str, new: str) -> None:
        """Change the operator that stands between two operands, beside brackets and comments."""
        start, end = self.end(left), self.start(right)
        gap = self.source[start:end].decode()
        pattern = r"\s+".join(map(re.escape, old.split()))
        pattern = rf"\b{pattern}\b" if old[0].isalpha() else pattern
        found = re.search(pattern, re.sub(r"#[^\n]*", lambda match: " " * len(match[0]), gap))
        if found:
            offset = start + len(gap[: found.start()].encode())
            self.add(kind, offset, offset + len(found[0]), new)

    # What is walked

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.stmt):
            outer, self.statement = self.statement, node.lineno
            self.removal(node)
            super().visit(node)
            self.statement = outer
        else:
            super().visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for default in [*node.args.defaults, *node.args.kw_defaults]:
            if default is not None:
                self.visit(default)
        self.functions += 1
        self.body(node.body)
        self.functions -= 1

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - the name that ast asks for

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.body(node.body)

    def visit_Module(self, node: ast.Module) -> None:
        self.body(node.body)

    def body(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            self.visit(statement)

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # a docstring, or ...
            self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_Assign(self, node: ast.Assign) -> None:
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        if "__all__" not in names and not (not self.functions and _is_type(node.value)):
            self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        if "TYPE_CHECKING" not in ast.dump(node.test):
            self.condition(node.test)
            self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        self.condition(node.test)
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.condition(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self.condition(test)
        self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Prose; and before Python 3.12 there are no positions in it."""

    def visit_arg(self, node: ast.arg) -> None:
        """A lambda's arguments: names."""

    # What is changed

    def condition(self, test: ast.expr) -> None:
        """Negate it, unless an operator's own change does the same."""
        single = isinstance(test, ast.Compare) and len(test.ops) == 1
        if single and type(test.ops[0]) not in (ast.Lt, ast.LtE, ast.Gt, ast.GtE):  # type: ignore[attr-defined]
            return
        if not isinstance(test, ast.Constant) and not (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)):
            self.replace("negated condition", test, f"(not ({self.text(test)}))")

    def removal(self, node: ast.stmt) -> None:
        """Leave out a statement whose effect is all that it is for."""
        if isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant | ast.Yield | ast.YieldFrom):
            self.replace("removed call", node, "pass")
        if isinstance(node, ast.AugAssign | ast.Delete | ast.Raise | ast.Break | ast.Continue):
            self.replace("removed statement", node, "pass")
        if isinstance(node, ast.Assign) and all(isinstance(one, ast.Attribute | ast.Subscript) for one in node.targets):
            self.replace("removed statement", node, "pass")

    def visit_Compare(self, node: ast.Compare) -> None:
        operands = [node.left, *node.comparators]
        for left, operator, right in zip(operands, node.ops, operands[1:], strict=False):
            clock = any(name in self.text(side) for name in CLOCKS for side in (left, right))
            if not clock:  # that has just this time: never
                self.between("comparison", left, right, *COMPARISONS[type(operator)])
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:], strict=False):
            self.between("and, or", left, right, old, new)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self.replace("negated condition", node, f"({self.text(node.operand)})")
        if isinstance(node.op, ast.USub):
            self.replace("arithmetic", node, f"({self.text(node.operand)})")
            return  # -1 is one number
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        texts = any(isinstance(side, ast.JoinedStr) or _is_prose(side) for side in (node.left, node.right))
        if type(node.op) in ARITHMETIC and not texts:  # a text less another is an error at once
            self.between("arithmetic", node.left, node.right, *ARITHMETIC[type(node.op)])
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if type(node.op) in ARITHMETIC:
            self.between("arithmetic", node.target, node.value, *(f"{one}=" for one in ARITHMETIC[type(node.op)]))
        self.visit(node.value)

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is not None and not isinstance(node.value, ast.Constant):
            self.replace("return value", node, "return None")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = self.text(node.func)
        if name in TYPES:
            return
        if name in OPPOSITES:
            self.replace("opposite function", node.func, OPPOSITES[name])
        for keyword in node.keywords:
            self.keyword(node, keyword)
        self.generic_visit(node)

    def keyword(self, call: ast.Call, keyword: ast.keyword) -> None:
        """Leave out an argument that has a name."""
        value = self.text(keyword.value)
        if keyword.arg is None or SAID_ANYWAY.get(keyword.arg, value) is None or keyword.arg in SAID_ANYWAY:
            return
        earlier = [one for one in [*call.args, *call.keywords] if self.end(one) < self.start(keyword)]
        start = max(map(self.end, earlier)) if earlier else self.start(keyword)
        self.add("removed argument", start, self.end(keyword), "")

    def visit_keyword(self, node: ast.keyword) -> None:
        if node.arg not in SAID_ANYWAY:
            self.generic_visit(node)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if isinstance(node.type, ast.Tuple):
            for kind in node.type.elts:
                rest = [self.text(one) for one in node.type.elts if one is not kind]
                self.replace("exception not caught", node.type, f"({', '.join(rest)},)")
        self.body(node.body)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if not _is_type(node):
            self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        for after in _others(node.value):
            self.replace("constant", node, after)


def _others(value: object) -> Iterator[str]:
    if isinstance(value, bool):
        yield str(not value)
    elif isinstance(value, int):
        yield str(value + 1)
    elif isinstance(value, float):
        yield repr(value * 2 if value else 1.0)
    elif isinstance(value, bytes):
        yield repr(value + b"X")
    elif isinstance(value, str) and " " not in value:
        yield repr(value + "X")


def _is_prose(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_type(node: ast.expr) -> bool:
    """Whether it is a type's name with brackets, such as Callable[..., int] or dict[str, Any] | None."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _is_type(node.left) or _is_type(node.right)
    if not isinstance(node, ast.Subscript):
        return False
    names = TYPES | {"dict", "list", "tuple", "set", "frozenset", "type", "Mapping", "Sequence", "Iterator", "Iterable"}
    return isinstance(node.value, ast.Name) and node.value.id in names
