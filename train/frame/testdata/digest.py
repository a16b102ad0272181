"""Writes digest.json: small tables and their digests, computed by hashlib from
the layout that Table.Digest documents. Standard library only:

    python digest.py > digest.json
"""

import hashlib
import json
import struct
import sys


def number(n):
    return struct.pack("<Q", n % 2**64)


def text(s):
    b = s.encode()
    return number(len(b)) + b


def cell(kind, v):
    if v is None:
        return b"\x00"
    if kind == "string":
        return b"\x01" + text(v)
    if kind == "float64":
        f = float(v)
        bits = 0x7FF8000000000001 if f != f else struct.unpack("<Q", struct.pack("<d", f))[0]
        return b"\x01" + number(bits)
    return b"\x01" + number(int(v))


def digest(columns):
    h = hashlib.sha256(b"mlloop.frame/1\n")
    h.update(number(len(columns)) + number(len(columns[0]["values"])))
    for c in columns:
        h.update(text(c["name"]) + text(c["kind"]))
        for v in c["values"]:
            h.update(cell(c["kind"], v))
    return h.hexdigest()


def column(name, kind, values):
    return {"name": name, "kind": kind, "values": values}


tables = [
    [column("price", "float64", ["0.1", "-0.0", None, "nan", "inf"]),
     column("count", "int64", [1, -1, 2**63 - 1, -(2**63), None]),
     column("up", "bool", [True, False, None, True, True]),
     column("région", "string", ["NSW", "", None, "a,b\n€", "😀"]),
     column("at", "time", [0, -1, 1797379200123, None, 5])],
    [column("empty", "string", [])],
]
json.dump([{"columns": t, "digest": digest(t)} for t in tables], sys.stdout, indent=1)
