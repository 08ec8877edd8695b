"""A QR code for the terminal."""

from __future__ import annotations

import io

import segno


def draw(url: str) -> str:
    """Return the code as lines of half blocks, dark on light whatever the terminal's colours."""
    out = io.StringIO()
    segno.make_qr(url).terminal(out=out, compact=True)
    return out.getvalue()
