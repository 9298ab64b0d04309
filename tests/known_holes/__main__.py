#!/usr/bin/env python3
"""Compare what is locked and what is served with the advisories of Python packages and of Debian.

Python packages: each pinned version of the lock files, and those of the images, as `make sbom` has listed them: by
pip-audit, with the database of osv.dev. Debian packages, those of the images: by debsecan, with Debian's tracker.

    make known-holes                      the lock files, and the lists in sboms/
    make sbom WHERE=demo                  writes such lists, from a host that serves

exit codes: 0 no hole is known, 1 some are, 2 wrong usage, 3 it is not known of all, as where a database was not reached
"""

import argparse
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
for folder in (".", "tests/known_holes"):
    sys.path.insert(0, str(PROJECT / folder))

import debian_packages  # noqa: E402 - the project's own modules, in the folders named above
import python_packages  # noqa: E402
from comparison import GOOD, HOLES, UNKNOWN, Comparison, lines_of  # noqa: E402
from listed import UnreadableError, read_list  # noqa: E402

from modelhostctl.printable import printable  # noqa: E402

LOCKS = [PROJECT / "requirements.lock", *sorted((PROJECT / "app/locks").glob("*.lock"))]


def main() -> int:
    """Look, print what is known; return the exit code."""
    options = arguments()
    comparisons = known_holes(options.sboms, options.osv, options.tracker)
    for one in comparisons:
        print(printable("\n".join(lines_of(one))))
    code = exit_code(comparisons)
    print({GOOD: "no hole is known", HOLES: "holes are known", UNKNOWN: "NOT KNOWN: not all could be compared"}[code])
    return code


def known_holes(
    sboms: Path, osv: str = python_packages.OSV, tracker: str = debian_packages.TRACKER
) -> list[Comparison]:
    """What is known of the lock files, and of each list of an image in a folder and those below it."""
    files = sorted(sboms.rglob("*.cdx.json"))
    unknown = [] if files else [f"{sboms} has no list of an image; `make sbom` writes them"]
    lists = []
    for file in sboms.rglob("not-listed.txt"):
        unknown += [f"{file.parent.name}: {line}" for line in file.read_text(errors="replace").splitlines()]
    for file in files:
        try:
            lists.append(read_list(file))
        except UnreadableError as error:
            unknown.append(str(error))
    return [
        python_packages.look_at_locks(LOCKS, osv),
        *python_packages.look_at_lists(lists, osv),
        *(debian_packages.look(listed, tracker) for listed in lists),
        Comparison("images", unknown=unknown),
    ]


def exit_code(comparisons: list[Comparison]) -> int:
    """Holes come first: what is known is to be mended, whatever else is not known."""
    if any(one.holes for one in comparisons):
        return HOLES
    return UNKNOWN if any(one.unknown for one in comparisons) else GOOD


def arguments() -> argparse.Namespace:
    """What was typed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sboms", type=Path, default=Path("sboms"), help="folder of lists of images (default: sboms)")
    parser.add_argument("--osv", default=python_packages.OSV, metavar="URL", help="database of Python packages")
    parser.add_argument("--tracker", default=debian_packages.TRACKER, metavar="URL", help="database of Debian packages")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
