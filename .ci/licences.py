"""Holds docs/dependencies.md against the modules themselves: the licence of each against the text in the module, and who
links it against `go list -deps`. docs/dependencies_test.go holds the same table against go.mod, without the modules."""

import json
import os
import pathlib
import re
import subprocess
import sys

# Who links a module: the first of these whose dependencies hold it, on any of the platforms.
LINKED = {
    "serving": ["./serve/servehttp"],
    "training": ["./train"],
    "loop": ["./retrain"],
    "database": ["./sqlstore"],
    "workflows": ["./retrain/retraindbos"],
    "examples": ["./examples/..."],
    "tests": ["-test", "./..."],
}
PLATFORMS = ["linux/amd64", "linux/arm64", "darwin/arm64", "windows/amd64", "freebsd/amd64"]

MIT = "permission is hereby granted, free of charge, to any person obtaining a copy"
BSD = "redistribution and use in source and binary forms, with or without modification, are permitted"
ENDORSE = "used to endorse or promote products derived from"
APACHE = re.compile(r"apache license,? version 2\.0")
COPYLEFT = re.compile(r"gnu (lesser |library |affero )?general public license|mozilla public license|eclipse public license|"
                      r"common development and distribution license|server side public license")


def table(text):
    """The rows of the table: module -> (licences, linked)."""
    rows = {}
    for module, licence, linked in re.findall(r"^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \|", text, re.M):
        rows[module] = set(licence.strip().split(" AND ")), linked.strip()
    return rows


def own(text):
    """A licence file without the notices of foreign code that follow it, each after a long line of dashes."""
    return re.split(r"\n-{60,}\n", text)[0]


def licences(text):
    """The SPDX identifiers of the licences whose texts are in the text."""
    text = " ".join(text.lower().split())
    found = set()
    if MIT in text:
        found.add("MIT")
    if APACHE.search(text):
        found.add("Apache-2.0")
    for clauses in text.split(BSD)[1:]:
        found.add("BSD-3-Clause" if ENDORSE in clauses[:1500] else "BSD-2-Clause")
    found |= set(COPYLEFT.findall(text) and ["copyleft"])
    return found


def modules():
    """What go.mod lists: module -> folder."""
    out = subprocess.run(["go", "mod", "download", "-json"], check=True, capture_output=True, text=True).stdout
    decoder, folders = json.JSONDecoder(), {}
    while out := out.lstrip():
        module, end = decoder.raw_decode(out)
        folders[module["Path"]], out = pathlib.Path(module["Dir"]), out[end:]
    return folders


def linked():
    """Who links each module: module -> a key of LINKED."""
    by = {}
    for who, packages in LINKED.items():
        for platform in PLATFORMS:
            goos, goarch = platform.split("/")
            command = ["go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", *packages]
            env = {**os.environ, "GOOS": goos, "GOARCH": goarch, "CGO_ENABLED": "0"}
            for module in subprocess.run(command, check=True, capture_output=True, text=True, env=env).stdout.split():
                by.setdefault(module, who)
    return by


def main():
    rows, by, wrong = table(pathlib.Path("docs/dependencies.md").read_text(encoding="utf-8")), linked(), []
    for module, folder in modules().items():
        files = [f for f in folder.iterdir() if re.fullmatch(r"licen[cs]e(\.txt|\.md)?|copying", f.name.lower())]
        found = set().union(*(licences(own(f.read_text(encoding="utf-8"))) for f in files))
        want = found, by.get(module, "nothing")
        if rows.get(module) != want:
            wrong.append(f"{module}: the table says {rows.get(module)}, the module {want}")
    print("\n".join(wrong) or f"{len(rows)} modules have the licences that docs/dependencies.md says, and are linked by whom it says")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
