"""Images as files, without a library for them."""

import random
import struct
import zlib


def png(width: int, height: int, seed: int = 0) -> bytes:
    """A PNG of grey noise."""
    pick = random.Random(seed)
    rows = b"".join(b"\0" + pick.randbytes(width) for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
