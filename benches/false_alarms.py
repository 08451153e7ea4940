"""Counts how often the quality gate would have gone back although nothing was wrong: runs `thalweg evaluate prequential
--gate` on each recorded log with ten seeds, and on 24 hours of the synthetic shop, and writes
benches/figures/false-alarms.json.

The environment variable DATA names the folder with the logs; `thalweg` and `shop-log` have to be on PATH (`cargo build
--workspace --bins` builds both). Afterwards put {{false-alarms}} into figures.md, and run `just figures`.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from delays import LOGS

KEPT = Path(__file__).resolve().parent / "figures" / "false-alarms.json"
SHOP = "--columns user=user_id,item=item_id,time=ts,type=type,session=session_id"
COLUMNS = ["stream", "runs", "tests in all", "good snapshots", "largest evidence", "gate: false rollbacks",
           "gate: alarms beside the baselines", "window: false alarms"]


def said(command):
    print(command, file=sys.stderr)
    done = subprocess.run(["bash", "-c", command], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"error: it ended with {done.returncode}: are thalweg and shop-log built and on PATH, and does DATA name "
                 "the logs?")
    return done.stdout


def gate(log, options):
    return json.loads(said(f"thalweg evaluate prequential {log} --methods thalweg --gate --json {options}"))["gate"]


def row(name, found):
    """A line of the table: sums over all runs of a stream."""
    if not all(each["good"] for each in found):
        sys.exit(f"error: no snapshot of a run of {name} was good, so nothing was held against one: take more events.")
    beside = sum(sum(alarm["reference"] != "anchor" for alarm in each["alarms"]) for each in found)
    total = {key: sum(each[key] for each in found) for key in ("tests", "good")}
    false = {who: sum(each["false_alarms"][who] for each in found) for who in ("gate", "window")}
    return [name, len(found), total["tests"], total["good"], max(each["evidence"] for each in found), false["gate"],
            beside, false["window"]]


def shop(hours, rate, seed):
    with tempfile.TemporaryDirectory() as folder:
        log = f"{folder}/shop.jsonl"
        said(f"shop-log {log} --hours {hours} --rate {rate} --seed {seed}")
        return gate(f"{log} {SHOP}", f"--seed {seed}")


def main():
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=150_000, help="events of each log (%(default)s)")
    parser.add_argument("--seeds", type=int, default=10, help="runs of each log (%(default)s)")
    parser.add_argument("--hours", type=int, default=24, help="of the synthetic shop, by its clock (%(default)s)")
    parser.add_argument("--rate", type=int, default=10, help="events a second in the shop (%(default)s)")
    parser.add_argument("--shop-seeds", type=int, default=1, help="runs of the shop (%(default)s)")
    parser.add_argument("--machine", default=f"{os.cpu_count()} cores, {memory:.0f} GB", help="in words (%(default)s)")
    given = parser.parse_args()
    rows = [row(name, [gate(log, f"--limit {given.limit} --seed {seed}") for seed in range(1, given.seeds + 1)])
            for name, log in LOGS.items()]
    name = f"the synthetic shop, {given.hours} h at {given.rate} events/s"
    rows.append(row(name, [shop(given.hours, given.rate, seed) for seed in range(1, given.shop_seeds + 1)]))
    kept = {
        "title": "How often the gate would go back for nothing",
        "command": f"python3 benches/false_alarms.py --limit {given.limit} --seeds {given.seeds} "
                   f"--hours {given.hours} --rate {given.rate} --shop-seeds {given.shop_seeds}",
        "machine": given.machine,
        "date": datetime.date.today().isoformat(),
        "remarks": [
            "A run is the whole stream with another seed of the learner. The gate has the trainer's rules, but a snapshot "
            "each 5,000 tests; the alarm's threshold of evidence is 1,000,000,000. The window is that of the table of "
            "delays.",
        ],
        "columns": [{"name": name} for name in COLUMNS],
        "rows": rows,
    }
    KEPT.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if sum(row[5] for row in rows):
        sys.exit("error: the gate would have gone back for nothing: the table says on which stream.")


if __name__ == "__main__":
    main()
