"""Writes joint_actions.json, the golden vectors of policies with actions of several kinds, for tests/it/policies.rs.

Made with Python 3.11 and torch 2.15.0:
python tests/golden/make_joint_actions.py

An action between bounds is a Gaussian number before its tanh, a choice a categorical one; actions are independent, so
that their log-probabilities and entropies add up. All of it is torch.distributions'. Advantages of episodes of several
lengths, some of which go on, follow the recursion of Schulman et al., ICLR 2016, equation 16, step by step.
"""

import json
from pathlib import Path

import torch
from torch.distributions import Categorical, Normal

torch.set_default_dtype(torch.float64)
generator = torch.Generator().manual_seed(7)
STEPS = 5
# In the order of their names: guidance, mode, scale, stop.
SPACES = [("between", 1), ("choices", 3), ("between", 1), ("choices", 2)]


def drawn(*shape):
    return torch.randn(*shape, generator=generator).float().double()


def stored(tensor):
    tensor = tensor.detach()
    return {"shape": list(tensor.shape), "values": [float(f"{float(v):.9g}") for v in tensor.flatten()]}


def joint():
    outputs = drawn(STEPS, sum(width for _, width in SPACES)).requires_grad_()
    log_std = (drawn(2) * 0.3).float().double().requires_grad_()
    log_p, entropy, columns, first, deviation = 0.0, 0.0, [], 0, 0
    for kind, width in SPACES:
        own = outputs[:, first : first + width]
        if kind == "between":
            distribution = Normal(own[:, 0], log_std[deviation].exp())
            column = drawn(STEPS)
            deviation += 1
        else:
            distribution = Categorical(logits=own)
            column = torch.randint(0, width, (STEPS,), generator=generator).double()
        log_p = log_p + distribution.log_prob(column)
        entropy = entropy + distribution.entropy()
        columns.append(column)
        first += width
    weights = drawn(STEPS)
    ((log_p * weights).sum() - 0.1 * entropy.sum()).backward()
    return {
        "outputs": stored(outputs),
        "log_std": stored(log_std),
        "drawn": stored(torch.stack(columns, 1)),
        "weights": stored(weights),
        "log_probability": stored(log_p),
        "entropy": stored(entropy),
        "gradients": {"outputs": stored(outputs.grad), "log_std": stored(log_std.grad)},
    }


def advantages():
    gamma, lam = 0.97, 0.9
    episodes = []
    for length, goes_on in [(4, False), (1, True), (7, True), (3, False)]:
        rewards, values = drawn(length), drawn(length)
        after = drawn(1)[0] if goes_on else torch.tensor(0.0)
        following, better, found = after, torch.tensor(0.0), []
        for reward, value in zip(reversed(rewards), reversed(values)):
            better = reward + gamma * following - value + gamma * lam * better
            following = value
            found.insert(0, better)
        episodes.append({
            "rewards": stored(rewards),
            "values": stored(values),
            "next": float(after),
            "advantages": stored(torch.stack(found)),
        })
    return {"gamma": gamma, "lambda": lam, "episodes": episodes}


path = Path(__file__).with_name("joint_actions.json")
path.write_text(json.dumps({"joint": joint(), "advantages": advantages()}, separators=(",", ":")) + "\n")
print(path, path.stat().st_size, "bytes")
