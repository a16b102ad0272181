"""Recomputes PyTorch's golden numbers with numpy, in float64.

    python recompute.py MODEL.json NN.json

The first file has networks and their answers, the second whole fits in float32:
gradients, losses, weights after 60 steps of AdamW. Backpropagation and AdamW
are written out here from their equations.
"""

import json
import sys

import numpy as np

ACT = {"relu": lambda v: np.maximum(v, 0), "tanh": np.tanh, "identity": lambda v: v}
SLOPE = {"relu": lambda a: (a > 0).astype(float), "tanh": lambda a: 1 - a * a}
compared = 0


def same(what, want, got, tolerance):
    global compared
    want, got = np.ravel(want), np.ravel(got)
    compared += len(want)
    worst = np.max(np.abs(want - got))
    if want.shape != got.shape or not worst <= tolerance:
        sys.exit(f"{what}: differs by up to {worst}, more than {tolerance}")


def softmax(v):
    e = np.exp(v - v.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def answers(path):
    for i, c in enumerate(json.load(open(path))):
        v = np.reshape(c["x"], (-1, c["layers"][0]["in"]))
        for layer in c["layers"]:
            v = ACT[layer["activation"]](v @ np.reshape(layer["w"], (layer["in"], layer["out"])) + layer["b"])
        same(f"network {i}", c["probabilities"], softmax(v), 1e-12)


def forward(params, x, act):
    layers = [x]
    for i in range(0, len(params), 2):
        v = layers[-1] @ params[i] + params[i + 1]
        layers.append(ACT[act](v) if i + 2 < len(params) else v)
    return layers


def backward(params, layers, y, act):
    p = softmax(layers[-1])
    loss = -np.log(p[np.arange(len(y)), y]).mean()
    p[np.arange(len(y)), y] -= 1
    d, grads = p / len(y), []
    for i in range(len(params) - 2, -1, -2):
        grads = [layers[i // 2].T @ d, d.sum(axis=0), *grads]
        if i:
            d = d @ params[i].T * SLOPE[act](layers[i // 2])
    return loss, grads


def fit(n, c):
    widths = [len(l["b"]) for l in c["before"]]
    shapes = list(zip([5, *widths], widths))
    params = [np.array(v) for l, s in zip(c["before"], shapes) for v in (np.reshape(l["w"], s), l["b"])]
    m, v = [np.zeros_like(p) for p in params], [np.zeros_like(p) for p in params]
    x, y, act, rate = np.reshape(c["x"], (40, 5)), np.array(c["y"]), c["activation"], c["learning_rate"]
    for step in range(60):
        rows = slice(step % 3 * 16, step % 3 * 16 + 16)
        loss, grads = backward(params, forward(params, x[rows], act), y[rows], act)
        same(f"fit {n}, loss of step {step}", c["losses"][step], loss, 1e-4)
        if step == 0:
            for i, g in enumerate(c["gradients"]):
                same(f"fit {n}, gradient of layer {i}", [*g["w"], *g["b"]], [*grads[2 * i].ravel(), *grads[2 * i + 1]], 1e-6)
        for i, g in enumerate(grads):
            params[i] = params[i] * (1 - rate * c["weight_decay"])
            m[i] = 0.9 * m[i] + 0.1 * g
            v[i] = 0.999 * v[i] + 0.001 * g * g
            unbiased = m[i] / (1 - 0.9 ** (step + 1)), v[i] / (1 - 0.999 ** (step + 1))
            params[i] = params[i] - rate * unbiased[0] / (np.sqrt(unbiased[1]) + 1e-8)
    for i, l in enumerate(c["after"]):
        same(f"fit {n}, layer {i} after it", [*l["w"], *l["b"]], [*params[2 * i].ravel(), *params[2 * i + 1]], 1e-3)
    same(f"fit {n}, answers", c["probabilities"], softmax(forward(params, x, act)[-1]), 1e-3)


answers(sys.argv[1])
for n, c in enumerate(json.load(open(sys.argv[2]))):
    fit(n, c)
print(f"numpy {np.__version__}: {compared} numbers agree")
