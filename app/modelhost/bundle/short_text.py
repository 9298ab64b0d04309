"""What others' errors say, cut short where a reader would stop."""

OPEN, CLOSED = "([{", ")]}"
ENDS = (". ", ": ", "; ")


def shorten_text(text: str, most: int) -> str:
    """`text` on one line; of a longer one than `most` characters, whole sentences or else whole words, and "..."."""
    text = " ".join(text.split())
    if len(text) <= most:
        return text
    cut = text[: most + 1]
    for end in (cut.rfind(". ") + 1, cut.rfind(" "), most):
        if end > most // 2:
            break
    kept = cut[:end]
    opened = _opened(kept)
    if opened >= most // 2:  # what stands in a bracket that stays open is half of what was said
        kept = kept[:opened]
    return f"{kept.rstrip(' ,;:.' + OPEN)} ..."


def first_clause(text: str) -> str:
    """`text` up to the first full stop, colon or semicolon that is in no bracket."""
    depth = 0
    for place, character in enumerate(text):
        depth += (character in OPEN) - (character in CLOSED)
        if depth <= 0 and text[place : place + 2] in ENDS:
            return text[:place]
    return text.rstrip(".")


def _opened(text: str) -> int:
    """Where the first bracket is that stays open; -1 where none does."""
    places: list[int] = []
    for place, character in enumerate(text):
        if character in OPEN:
            places.append(place)
        elif character in CLOSED and places:
            places.pop()
    return places[0] if places else -1
