"""The limits that `bench training` and `bench scoring` stand beside: the same work in PyTorch, on one thread.

Prints one JSON object. `train_ms`: milliseconds of one step of encoder and ranker, by size of the micro-batch, with the
shapes of the trainer's defaults: history 16, 512 negatives, vectors of 64, one example replayed for each new one,
about 135 candidates with 43 features when tested, 41 of them when the ranker is trained.
`search_ms`: a matrix product and top-k over the catalog, by "items x queries".
"""

import json
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

DIM, HEADS, HISTORY, NEGATIVES, TEMPERATURE, REHEARSED = 64, 2, 16, 512, 0.12, 1
TESTED, CHOICES, FEATURES, HIDDEN, NEAREST = 135, 41, 43, (64, 32), 40


class Encoder(nn.Module):
    """services/model/src/encoder.rs, operation by operation."""

    def __init__(self):
        super().__init__()
        self.kinds, self.gaps = nn.Embedding(8, DIM), nn.Embedding(16, DIM)
        self.positions = nn.Embedding(HISTORY, DIM)
        self.norm, self.inner_norm = nn.RMSNorm(DIM), nn.RMSNorm(DIM)
        self.query, self.key, self.value, self.output = (nn.Linear(DIM, DIM, bias=False) for _ in range(4))
        self.up, self.down = nn.Linear(DIM, 2 * DIM, bias=False), nn.Linear(2 * DIM, DIM, bias=False)
        self.shortcuts = nn.Parameter(torch.tensor([1.0, 0.5]))

    def forward(self, items, kinds, gaps):
        batch, length, _ = items.shape
        recency = torch.arange(length - 1, -1, -1)
        x = items * DIM**0.5 + self.kinds(kinds) + self.gaps(gaps) + self.positions(recency)
        x = self.norm(x)
        split = lambda t: t.view(batch, -1, HEADS, DIM // HEADS).transpose(1, 2)
        last = x[:, -1:]
        q, k, v = split(self.query(last)), split(self.key(x)), split(self.value(x))
        weights = (q @ k.transpose(2, 3) / (DIM // HEADS) ** 0.5).softmax(3)
        z = last + self.output((weights @ v).transpose(1, 2).reshape(batch, 1, DIM))
        z = z + self.down(F.silu(self.up(self.inner_norm(z))))
        user = z[:, 0] / DIM**0.5 + items[:, -1] * self.shortcuts[0] + items.mean(1) * self.shortcuts[1]
        return F.normalize(user, dim=1)


class Ranker(nn.Module):
    """services/model/src/ranker.rs."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(FEATURES, 1, bias=False)
        self.first, self.second = nn.Linear(FEATURES, HIDDEN[0]), nn.Linear(*HIDDEN)
        self.down = nn.Linear(HIDDEN[1], 1, bias=False)

    def forward(self, features):
        hidden = F.relu(self.second(F.relu(self.first(features))))
        return (self.linear(features) + self.down(hidden))[..., 0]


def median_ms(work, seconds):
    """The median of as many calls as fit, after three to warm up."""
    for _ in range(3):
        work()
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        started = time.perf_counter()
        work()
        times.append((time.perf_counter() - started) * 1_000)
    return statistics.median(times)


def training(batch, seconds):
    encoder, ranker = Encoder(), Ranker()
    adam = [torch.optim.Adam(net.parameters(), lr=1e-3) for net in (encoder, ranker)]
    examples = batch * (1 + REHEARSED)
    unique = examples * 4 + NEGATIVES
    cells = torch.randint(unique, (examples, HISTORY))
    kinds, gaps = torch.randint(8, (examples, HISTORY)), torch.randint(16, (examples, HISTORY))
    targets, negatives = torch.randint(unique, (examples,)), torch.randint(unique, (NEGATIVES,))
    table, log_q = torch.randn(unique, DIM), torch.zeros(NEGATIVES)
    tested, choices = torch.randn(batch, TESTED, FEATURES), torch.randn(batch, CHOICES, FEATURES)
    chosen = torch.zeros(batch, dtype=torch.long)

    def step():
        with torch.no_grad():  # the test before
            encoder(F.normalize(table, dim=1)[cells[:batch]], kinds[:batch], gaps[:batch])
            ranker(tested)
        adam[1].zero_grad()
        F.cross_entropy(ranker(choices), chosen).backward()
        rows = table.clone().requires_grad_()
        vectors = F.normalize(rows, dim=1)
        users = encoder(vectors[cells], kinds, gaps)
        positive = (users * vectors[targets]).sum(1, keepdim=True) / TEMPERATURE
        negative = users @ vectors[negatives].T / TEMPERATURE - log_q
        negative = negative.masked_fill(targets[:, None] == negatives[None], -1e9)
        adam[0].zero_grad()
        F.cross_entropy(torch.cat([positive, negative], 1), torch.zeros(examples, dtype=torch.long)).backward()
        for net, optimiser in zip((encoder, ranker), adam):
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
        table.sub_(rows.grad, alpha=0.1)

    return median_ms(step, seconds)


def search(items, queries, seconds):
    table, query = F.normalize(torch.randn(items, DIM), dim=1), F.normalize(torch.randn(queries, DIM), dim=1)
    return median_ms(lambda: torch.topk(query @ table.T, min(NEAREST, items)), seconds)


def main():
    torch.set_num_threads(1)
    torch.manual_seed(7)
    ask = json.loads(sys.argv[1])
    seconds = ask["seconds"]
    print(json.dumps({
        "torch": torch.__version__,
        "train_ms": {batch: training(batch, seconds) for batch in ask["train"]},
        "search_ms": {f"{items}x{queries}": search(items, queries, seconds) for items, queries in ask["search"]},
    }))


main()
