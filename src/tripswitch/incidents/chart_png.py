"""A chart as PNG, for places that show no SVG. Needs the extra ``chart`` (``resvg-py``).

Text is drawn with the fonts of this machine, so the bytes are this machine's; without any font the
curves are there and the words are not. Never called by the engine.
"""

from __future__ import annotations

from typing import Final

from tripswitch.errors import TripswitchError

ZOOM: Final = 2
"""Twice the pixels, so that it is sharp where people look at it."""


class ChartUnavailableError(TripswitchError):
    """No PNG can be made here."""


def png_of(svg: str, *, zoom: int = ZOOM) -> bytes:
    """Return ``svg`` as PNG. Raises `ChartUnavailableError` where the renderer is missing."""
    try:
        from resvg_py import svg_to_bytes
    except ImportError:
        raise ChartUnavailableError(
            "a PNG needs a renderer that is not installed",
            hint="pip install 'tripswitch[chart]', or use the SVG",
        ) from None
    return bytes(svg_to_bytes(svg_string=svg, zoom=zoom, font_family="DejaVu Sans"))
