"""Compares two JSON files: python same.py MADE COMMITTED [RELATIVE]

Numbers may differ by a relative 1e-9, or by RELATIVE; all else must be equal.
What stands under "versions" is not compared.
"""

import json
import math
import sys

tolerance = float(sys.argv[3]) if len(sys.argv) > 3 else 1e-9
compared, wrong = 0, []


def same(where, a, b):
    global compared
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() | b.keys()):
            if key in a and key in b:
                key == "versions" or same(f"{where}.{key}", a[key], b[key])
            else:
                wrong.append(f"{where}.{key} is in only one of the files")
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for i, (x, y) in enumerate(zip(a, b)):
            same(f"{where}[{i}]", x, y)
    else:
        compared += 1
        numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in (a, b))
        if not (a == b or numbers and math.isclose(a, b, rel_tol=tolerance, abs_tol=1e-12)):
            wrong.append(f"{where}: made {a!r}, committed {b!r}")


same("", *(json.load(open(path)) for path in sys.argv[1:3]))
print(f"{compared} values compared, {len(wrong)} differ")
sys.exit("\n".join(wrong[:20]) or 0)
