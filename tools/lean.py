"""What a board does not need of a source file is left out before it is compiled (tools/pack.py).

The sources stay as they are and as they are tested; this makes their text smaller for boards.
Every rule keeps the number of lines, so that a traceback's line is the source's.
"""

import re

# const() is folded by the compiler, which knows the name by itself, as it knows its decorators:
# without the import each module is a name and a statement smaller.
CONST = re.compile(r"^from micropython import const$", re.MULTILINE)
DECORATORS = re.compile(r"^import micropython$", re.MULTILINE)
USED = re.compile(r"^(?!\s*(@|import )micropython).*\bmicropython\b(?! import)", re.MULTILINE)

# Kernels ask whether a word has 64 bits, as it has on no board: `wide`, and `one`, of which it is
# made. The compiler leaves out what stands below `if False`.
WIDE = (
    (re.compile(r"^( +)one = 1$(?=\n +wide = )", re.MULTILINE), r"\1pass"),
    (re.compile(r"^( +)wide = int\(one << 31 > 0\)$", re.MULTILINE), r"\1pass"),
    (re.compile(r"\bif wide:"), "if False:"),
    (re.compile(r" and not wide\b"), ""),
)
WIDE_ARCHITECTURES = ("x64",)
# A branch that says of itself that it is for others.
NOT_HERE = re.compile(r"^( +)(if|elif) [^\n#]*:(?=  # not on a board)", re.MULTILINE)


def prepared(name, text, architecture):
    """The text of the source file `name` ("smolmp/wire/udp.py") to compile for `architecture`,
    one of mpy-cross's."""
    text = CONST.sub("", text)
    if not USED.search(text):
        text = DECORATORS.sub("", text)
    if architecture not in WIDE_ARCHITECTURES:
        for pattern, instead in WIDE:
            text = pattern.sub(instead, text)
        text = NOT_HERE.sub(r"\1\2 False:", text)
    return text
