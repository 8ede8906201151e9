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


def prepared(name, text, architecture):
    """The text of the source file `name` ("smolmp/wire/udp.py") to compile for `architecture`,
    one of mpy-cross's."""
    text = CONST.sub("", text)
    return text if USED.search(text) else DECORATORS.sub("", text)
