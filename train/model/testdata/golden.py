"""Writes golden.json: networks, inputs and the class probabilities that PyTorch
computes for them in float64 from the float32 weights.
Made with torch 2.15.0: python golden.py > golden.json
"""
import json
import torch

torch.manual_seed(7)
act = {"relu": torch.relu, "tanh": torch.tanh, "identity": lambda v: v}
cases = []
for sizes, activation, scale in [([4, 3], "identity", 1), ([6, 32, 16, 2], "relu", 1),
                                 ([3, 9, 7, 5], "tanh", 1), ([2, 12, 4], "relu", 60)]:
    layers, x = [], torch.randn(9, sizes[0])
    v = x.double()
    for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
        w, c = torch.randn(a, b) * scale, torch.randn(b)
        name = activation if i < len(sizes) - 2 else "identity"
        v = act[name](v @ w.double() + c.double())
        layers.append({"in": a, "out": b, "activation": name, "w": w.flatten().tolist(), "b": c.tolist()})
    cases.append({"layers": layers, "x": x.flatten().tolist(),
                  "probabilities": torch.softmax(v, 1).flatten().tolist()})
print(json.dumps(cases))
