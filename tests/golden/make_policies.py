"""Writes policies.json, the golden vectors of policies for tests/it/policies.rs.

Made with Python 3.11, torch 2.15.0 and stable-baselines3 2.9.2:
python tests/golden/make_policies.py

Advantages are those of stable-baselines3's rollout buffer, log-probabilities and entropies of its
distributions; the losses follow the papers' equations, gradients and steps are PyTorch's.
"""

import json
from pathlib import Path

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.distributions import DiagGaussianDistribution, MultiCategoricalDistribution
from torch import nn

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(5)
STEPS, STATE, LENGTHS = 11, 3, [6, 5]
CHOICES = [0.0, 0.25, 1.0]
CLIP, VALUE_WEIGHT, ENTROPY_WEIGHT = 0.2, 0.5, 0.01


def number(value):
    """Nine digits hold every float32."""
    return float(f"{float(value):.9g}")


def stored(tensor):
    tensor = torch.as_tensor(tensor).detach()
    return {"shape": list(tensor.shape), "values": [number(v) for v in tensor.flatten()]}


def drawn(*shape):
    return np.float32(rng.normal(size=shape)).astype(np.float64)


def gae(rewards, values, last, over, gamma, lam):
    """Both episodes one after the other in one environment; the first is over, the second may go on."""
    buffer = RolloutBuffer(STEPS, spaces.Box(-1, 1, (1,)), spaces.Box(-1, 1, (1,)), gamma=gamma, gae_lambda=lam)
    starts = np.zeros((STEPS, 1))
    starts[0] = starts[LENGTHS[0]] = 1.0
    buffer.rewards, buffer.values, buffer.episode_starts = rewards[:, None], values[:, None], starts
    buffer.advantages = np.zeros((STEPS, 1))
    buffer.compute_returns_and_advantage(torch.tensor([last]), np.array([float(over)]))
    return buffer.advantages[:, 0], buffer.returns[:, 0]


def judge(space, outputs, log_std, taken):
    actions = taken.shape[1]
    if space == "between":
        distribution = DiagGaussianDistribution(actions).proba_distribution(outputs, log_std)
    else:
        distribution = MultiCategoricalDistribution([len(CHOICES)] * actions).proba_distribution(outputs)
    return distribution.log_prob(taken), distribution.entropy()


def loss_of(rule, log_p, old, entropy, value, advantage, target):
    ratio = torch.exp(log_p - old)
    if rule == "ppo":
        policy = -torch.min(ratio * advantage, torch.clamp(ratio, 1 - CLIP, 1 + CLIP) * advantage).mean()
    else:
        policy = -(log_p * advantage).mean()
    error = ((value - target) ** 2).mean()
    loss = policy + VALUE_WEIGHT * error - ENTROPY_WEIGHT * entropy.mean()
    kl = ((ratio - 1) - torch.log(ratio)).mean()
    clipped = (torch.abs(ratio - 1) > CLIP).double().mean()
    parts = {"loss": loss, "policy": policy, "value": error, "entropy": entropy.mean(), "kl": kl}
    return loss, {**parts, "clip_fraction": clipped}


def take(space, actions):
    if space == "between":
        return torch.tensor(drawn(STEPS, actions))
    return torch.tensor(rng.integers(0, len(CHOICES), (STEPS, actions)).astype(np.float64))


def objectives():
    cases = []
    for rule in ["ppo", "reinforce"]:
        for space, width in [("between", 1), ("choices", len(CHOICES))]:
            actions = 2
            outputs = torch.tensor(drawn(STEPS, actions * width), requires_grad=True)
            log_std = torch.tensor(drawn(actions) * 0.3, requires_grad=True)
            taken = take(space, actions)
            value = torch.tensor(drawn(STEPS), requires_grad=True)
            log_p, entropy = judge(space, outputs, log_std, taken)
            old = log_p.detach() + torch.tensor(drawn(STEPS) * 0.3)
            advantage, target = torch.tensor(drawn(STEPS)), torch.tensor(drawn(STEPS))
            loss, parts = loss_of(rule, log_p, old, entropy, value, advantage, target)
            loss.backward()
            inputs = {"outputs": outputs, "log_std": log_std, "drawn": taken, "value": value}
            inputs |= {"old": old, "advantage": advantage, "target": target}
            gradients = {"outputs": outputs.grad, "value": value.grad}
            if space == "between":
                gradients["log_std"] = log_std.grad
            cases.append({
                "rule": rule,
                "space": space,
                "log_probability": stored(log_p),
                "inputs": {name: stored(tensor) for name, tensor in inputs.items()},
                "parts": {name: number(part.detach()) for name, part in parts.items()},
                "gradients": {name: stored(tensor) for name, tensor in gradients.items()},
            })
    return cases


def network(widths):
    layers = []
    for at, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
        layers += ([nn.Tanh()] if at else []) + [nn.Linear(inputs, outputs)]
    return nn.Sequential(*layers)


def parameters(actor, critic, log_std, space):
    found = {}
    for name, module in [("actor", actor), ("critic", critic)]:
        for at, linear in enumerate(module[::2]):
            place = f"guide.networks.{name}." + ("last" if at == len(module) // 2 else f"hidden.{at}")
            found[f"{place}.weight"] = stored(linear.weight.T.contiguous())
            found[f"{place}.bias"] = stored(linear.bias)
    if space == "between":
        found["guide.networks.log_std"] = stored(log_std)
    return found


def updates():
    """Whole updates: advantages, passes, clipping of the gradient, Adam."""
    cases = []
    for rule, space, width, clip_advantages in [("ppo", "between", 1, 1.2), ("reinforce", "choices", 3, None)]:
        torch.manual_seed(3)
        actor, critic = network([STATE, 4, width]), network([STATE, 4, 1])
        log_std = nn.Parameter(torch.tensor([-0.5]))
        learned = [*actor.parameters(), *critic.parameters()] + ([log_std] if space == "between" else [])
        for parameter in learned:
            parameter.data = parameter.data.float().double()
        before = parameters(actor, critic, log_std, space)
        states, following = drawn(STEPS, STATE), drawn(STATE)
        rewards, taken = drawn(STEPS), take(space, 1)
        x = torch.tensor(states)
        with torch.no_grad():
            values = critic(x)[:, 0].numpy()
            last = critic(torch.tensor(following)).item()
            old, _ = judge(space, actor(x), log_std, taken)
        lam = 0.8 if rule == "ppo" else 1.0
        advantage, target = gae(rewards, values, last, False, 0.9, lam)
        advantage = (advantage - advantage.mean()) / (advantage.std(ddof=1) + 1e-8)
        if clip_advantages:
            advantage = advantage.clip(-clip_advantages, clip_advantages)
        optimizer = torch.optim.Adam(learned, lr=0.02, eps=1e-5)
        for _ in range(3 if rule == "ppo" else 1):
            log_p, entropy = judge(space, actor(x), log_std, taken)
            value = critic(x)[:, 0]
            loss, _ = loss_of(rule, log_p, old, entropy, value, torch.tensor(advantage), torch.tensor(target))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(learned, 0.5)
            optimizer.step()
        cases.append({
            "rule": rule,
            "space": space,
            "clip_advantages": clip_advantages,
            "states": stored(states),
            "drawn": stored(taken),
            "rewards": stored(rewards),
            "next": stored(following),
            "before": before,
            "after": parameters(actor, critic, log_std, space),
        })
    return cases


def advantages():
    rewards, values, last = drawn(STEPS), drawn(STEPS), float(drawn(1)[0])
    cases = []
    for gamma, lam, over in [(0.9, 0.8, False), (0.99, 1.0, True), (0.5, 0.0, False)]:
        advantage, target = gae(rewards, values, last, over, gamma, lam)
        cases.append({
            "gamma": gamma,
            "lambda": lam,
            "next": 0.0 if over else number(last),
            "advantages": stored(advantage),
            "returns": stored(target),
        })
    return {"lengths": LENGTHS, "rewards": stored(rewards), "values": stored(values), "cases": cases}


golden = {"advantages": advantages(), "objectives": objectives(), "updates": updates()}
path = Path(__file__).with_name("policies.json")
path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
print(path, path.stat().st_size, "bytes")
