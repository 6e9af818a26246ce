"""Makes the fonts beside this file from Inter's variable font (PyPI: fontpkg-inter 4.1.post1, fonttools).

python subset.py "Inter[opsz,wght].ttf" FOLDER
"""

import sys

from fontTools import subset
from fontTools.ttLib import TTFont
from fontTools.varLib import instancer

# Latin, Greek, Cyrillic, punctuation, currencies, letter-like signs, arrows, operators, shapes, marks.
BLOCKS = [
    (0x20, 0x7E), (0xA0, 0x24F), (0x2B0, 0x3FF), (0x400, 0x52F), (0x1E00, 0x1FFF), (0x2010, 0x2027),
    (0x2030, 0x205E), (0x2070, 0x20BF), (0x2100, 0x22FF), (0x25A0, 0x25FF), (0x2605, 0x2606),
    (0x2713, 0x2717), (0xFFFD, 0xFFFD),
]  # fmt: skip

source, folder = sys.argv[1:]
for weight, name in ((400, "Regular"), (600, "SemiBold")):
    font = instancer.instantiateVariableFont(TTFont(source), {"wght": weight, "opsz": 14}, updateFontNames=True)
    font.recalcTimestamp = False
    options = subset.Options()
    options.hinting = False
    options.notdef_outline = True
    options.glyph_names = False
    # Glyphs stand side by side by their widths alone.
    options.layout_features = []
    options.drop_tables += ["STAT", "GPOS", "GSUB", "GDEF"]
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=[code for low, high in BLOCKS for code in range(low, high + 1)])
    subsetter.subset(font)
    font.save(f"{folder}/Inter-{name}.ttf")
