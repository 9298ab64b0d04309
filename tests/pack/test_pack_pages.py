"""The pages of docs/models, one for each kind of model, done from their first line to their last."""

from pathlib import Path

import pytest
from commands import ROOT, environment
from pages import type_page, with_commands

PAGES = sorted((ROOT / "docs/models").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_a_page_does_what_it_says(page: Path, tmp_path: Path) -> None:
    directory = tmp_path / "reader"
    directory.mkdir()
    type_page(page.read_text(), directory, with_commands(tmp_path / "bin", environment()))


def test_there_is_a_page_for_each_kind_and_pack_md_names_it() -> None:
    kinds = ["generator", "image", "own-class", "sequence", "tabular", "text"]
    assert [page.stem for page in PAGES] == kinds
    overview = (ROOT / "docs/pack.md").read_text()
    assert all(f"](models/{kind}.md)" in overview for kind in kinds)
