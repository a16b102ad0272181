"""Writes golden.json: a small fit as PyTorch computes it in float32, on the CPU,
with one thread. Made with torch 2.15.0: python golden.py > golden.json
"""
import json
import torch

torch.set_num_threads(1)


def net(activation):
    act = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}[activation]
    return torch.nn.Sequential(
        torch.nn.Linear(5, 8), act(), torch.nn.Linear(8, 6), act(), torch.nn.Linear(6, 3))


def weights(m):
    """In x out, as mlloop holds them; PyTorch holds out x in."""
    return [{"w": l.weight.detach().t().contiguous().flatten().tolist(), "b": l.bias.detach().tolist()}
            for l in m if isinstance(l, torch.nn.Linear)]


def case(activation, decay, rate, seed):
    torch.manual_seed(seed)
    m = net(activation)
    x, y = torch.randn(40, 5), None
    y = (x[:, 0] * x[:, 1] > 0).long() + (x[:, 2] > 0.5).long()
    opt = torch.optim.AdamW(m.parameters(), lr=rate, weight_decay=decay)
    c = {"activation": activation, "weight_decay": decay, "learning_rate": rate,
         "x": x.flatten().tolist(), "y": y.tolist(), "before": weights(m), "losses": []}
    loss = torch.nn.CrossEntropyLoss()
    for step in range(60):
        # Batches of 16, 16 and 8 rows, in order.
        at = step % 3 * 16
        opt.zero_grad()
        l = loss(m(x[at:at + 16]), y[at:at + 16])
        l.backward()
        if step == 0:
            c["gradients"] = [{"w": q.weight.grad.t().contiguous().flatten().tolist(), "b": q.bias.grad.tolist()}
                              for q in m if isinstance(q, torch.nn.Linear)]
        opt.step()
        c["losses"].append(l.item())
    c["after"] = weights(m)
    c["probabilities"] = torch.softmax(m(x), 1).detach().flatten().tolist()
    return c


print(json.dumps([case("relu", 0.0, 0.01, 1), case("tanh", 0.0, 0.01, 2), case("relu", 0.1, 0.02, 3)]))
