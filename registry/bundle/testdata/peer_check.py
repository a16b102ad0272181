"""Checks a bundle with tools that are not mlloop's, and prints its weights as JSON.

    pip install mlflow-skinny==3.17.2 pandas safetensors==0.8.0
    python peer_check.py FOLDER DIGEST

The manifest must be canonical JSON whose SHA-256 is DIGEST, every file must be
as it says, MLflow must load the MLmodel file with the manifest's signature and
metadata, and safetensors must read the weights, if there are any. The first
thing that is wrong ends the program with an error.
"""

import hashlib
import json
import pathlib
import sys

from mlflow.models import Model
from mlflow.types.schema import Schema, TensorSpec
import numpy as np
from safetensors.numpy import load_file

NUMPY = {
    "BOOL": "bool", "BYTES": "str", "FP32": "float32", "FP64": "float64",
    "INT8": "int8", "INT16": "int16", "INT32": "int32", "INT64": "int64",
    "UINT8": "uint8", "UINT16": "uint16", "UINT32": "uint32", "UINT64": "uint64",
}  # fmt: skip


def check(what, got, want):
    if got != want:
        sys.exit(f"{what}: got {got!r}, want {want!r}")


def schema(specs):
    if not specs:
        return None
    return Schema([TensorSpec(np.dtype(NUMPY[s["datatype"]]), tuple(s["shape"]), s["name"]) for s in specs])


def main(folder, digest):
    raw = (folder / "manifest.json").read_bytes()
    check("digest of the manifest", hashlib.sha256(raw).hexdigest(), digest)
    manifest = json.loads(raw)
    canonical = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    check("canonical JSON", raw, canonical.encode())

    on_disk = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    check("files", on_disk, sorted([f["path"] for f in manifest["files"]] + ["manifest.json"]))
    for f in manifest["files"]:
        data = (folder / f["path"]).read_bytes()
        check(f["path"], (len(data), hashlib.sha256(data).hexdigest()), (f["size"], f["digest"]))

    model = Model.load(str(folder))
    check("flavors", list(model.flavors), [manifest["flavor"]])
    check("metadata", model.metadata, manifest.get("metadata"))
    check("time", model.utc_time_created[:19], manifest["created_at"][:19].replace("T", " "))
    inputs, outputs = schema(manifest["signature"]["inputs"]), schema(manifest["signature"]["outputs"])
    if inputs or outputs:
        check("inputs", model.signature.inputs, inputs)
        check("outputs", model.signature.outputs, outputs)
    else:
        check("signature", model.signature, None)

    weights = folder / "weights.safetensors"
    tensors = load_file(weights) if weights.exists() else {}
    json.dump(
        {name: {"dtype": str(t.dtype), "shape": t.shape, "values": t.flatten().tolist()} for name, t in tensors.items()},
        sys.stdout,
    )


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2])
