"""Draws contact sheets: rows of labelled pictures, with a grey tile where a picture can no longer be opened."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

TILE, GAP, CAPTION, MARGIN, TITLE = 128, 26, 34, 24, 46
INK, PAPER, LOST, FAINT = "#1c1c1c", "#fbfaf7", "#d9d5cd", "#77726a"


@dataclass(frozen=True, slots=True)
class Tile:
    """One picture of a sheet; `png` is None where the picture does not open."""

    caption: str
    png: bytes | None


@dataclass(frozen=True, slots=True)
class Row:
    """The pictures of one person."""

    label: str
    tiles: Sequence[Tile]


def draw(title: str, rows: Sequence[Row], path: Path) -> None:
    """Writes the sheet as a PNG."""
    columns = max(len(row.tiles) for row in rows)
    left = MARGIN + 150
    width = left + columns * (TILE + GAP) + MARGIN - GAP
    height = MARGIN + TITLE + len(rows) * (TILE + CAPTION + GAP) + MARGIN - GAP
    sheet = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((MARGIN, MARGIN), title, fill=INK, font=ImageFont.load_default(22))
    for index, row in enumerate(rows):
        top = MARGIN + TITLE + index * (TILE + CAPTION + GAP)
        pen.multiline_text((MARGIN, top + 40), row.label, fill=INK, font=ImageFont.load_default(16), spacing=6)
        for column, tile in enumerate(row.tiles):
            _place(sheet, pen, (left + column * (TILE + GAP), top), tile)
    sheet.save(path)


def _place(sheet: Image.Image, pen: ImageDraw.ImageDraw, at: tuple[int, int], tile: Tile) -> None:
    x, y = at
    if tile.png is None:
        pen.rectangle((x, y, x + TILE - 1, y + TILE - 1), fill=LOST)
        pen.line((x + 44, y + 44, x + 84, y + 84), fill=FAINT, width=3)
        pen.line((x + 84, y + 44, x + 44, y + 84), fill=FAINT, width=3)
        pen.text((x + 22, y + 98), "does not open", fill=FAINT, font=ImageFont.load_default(12))
    else:
        picture = Image.open(io.BytesIO(tile.png)).convert("RGB")
        sheet.paste(picture.resize((TILE, TILE), Image.Resampling.NEAREST), (x, y))
    pen.text((x, y + TILE + 6), tile.caption, fill=FAINT, font=ImageFont.load_default(12))
