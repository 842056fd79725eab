"""Fonts made for tests."""

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

OFL = "This Font Software is licensed under the SIL Open Font License, Version 1.1."


def build_font(path, family, characters, names=None, licence=OFL):
    """A font whose glyphs are bars and boxes, all different, with the names that icon fonts give."""
    pens, order, cmap = {}, [".notdef"], {}
    for number, code in enumerate(characters):
        name = (names or {}).get(code, f"g{number}")
        order.append(name)
        cmap[code] = name
        pen = TTGlyphPen(None)
        for bit in range(9):
            if (number + 1) >> bit & 1 or bit == 8:
                x, y = 100 + 250 * (bit % 3), 250 * (bit // 3)
                corners = [(x, y), (x, y + 200), (x + 200, y + 200), (x + 200, y)]
                pen.moveTo(corners[0])
                for corner in corners[1:]:
                    pen.lineTo(corner)
                pen.closePath()
        pens[name] = pen.glyph()
    pens[".notdef"] = TTGlyphPen(None).glyph()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(order)
    builder.setupCharacterMap(cmap)
    builder.setupGlyf(pens)
    builder.setupHorizontalMetrics(dict.fromkeys(order, (1000, 0)))
    builder.setupHorizontalHeader(ascent=900, descent=-100)
    builder.setupNameTable({"familyName": family, "styleName": "Regular", "licenseDescription": licence})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
