"""Measures how soon the quality gate notices damage on recorded logs, and how often it is wrong without: runs
`thalweg evaluate prequential --gate` without damage and with each kind, and writes benches/figures/delays.json.

The environment variable DATA names the folder with the logs, and `thalweg` has to be on PATH. Afterwards put {{delays}}
into figures.md, and run `just figures`.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
from pathlib import Path

KEPT = Path(__file__).resolve().parent / "figures" / "delays.json"
KINDS = ("learning-rates", "scale", "noise", "rows", "labels")
LOGS = {
    "Online Retail": '"$DATA"/online-retail.csv.gz --type purchase '
                     "--columns user=CustomerID,item=StockCode,time=InvoiceDate,value=Quantity",
    "Globo": '"$DATA"/globo-clicks-10-days.csv.gz --columns user=session_id,item=click_article_id,time=click_timestamp',
    "DIGINETICA": '"$DATA"/ader-diginetica',
}
COLUMNS = ["log", "damage", "tests before", "gate: tests until the alarm", "window: tests until the alarm",
           "gate: false alarms", "window: false alarms", "looks"]


def run(log, limit, damage):
    options = f"--methods thalweg --limit {limit} --gate --json" + (f" --damage {damage}" if damage else "")
    command = f"thalweg evaluate prequential {log} {options}"
    print(command, file=sys.stderr)
    done = subprocess.run(["bash", "-c", command], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"error: it ended with {done.returncode}: is thalweg built and on PATH, and does DATA name the logs?")
    return json.loads(done.stdout)["gate"]


def row(name, kind, gate):
    false, window, damage = gate["false_alarms"], gate["window"], gate.get("damage")
    after = ["–", "–", "–"]
    if damage:
        if not damage["anchored"]:
            sys.exit(f"error: no version of {name} was good by interaction {damage['at']}: damage a later one.")
        told = [damage["gate_after"], damage["window_after"]]
        after = [damage["test"], *("none" if tests is None else tests for tests in told)]
    return [name, kind or "none", *after, false["gate"], false["window"], window["looks"]]


def main():
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=150_000, help="events of each log (%(default)s)")
    parser.add_argument("--at", type=int, default=90_000, help="the interaction that is damaged (%(default)s)")
    parser.add_argument("--machine", default=f"{os.cpu_count()} cores, {memory:.0f} GB", help="in words (%(default)s)")
    given = parser.parse_args()
    rows = [row(name, kind, run(log, given.limit, kind and f"{kind}@{given.at}"))
            for name, log in LOGS.items() for kind in (None, *KINDS)]
    kept = {
        "title": "How soon damage is noticed on recorded logs",
        "command": f"python3 benches/delays.py --limit {given.limit} --at {given.at}",
        "machine": given.machine,
        "date": datetime.date.today().isoformat(),
        "remarks": [
            "The anchor takes one test in eight; tests are those of the learner. The window holds the last 500 tests "
            "that the anchor took, and is read every 500 tests at 5 %. False alarms are those before the damage.",
        ],
        "columns": [{"name": name} for name in COLUMNS],
        "rows": rows,
    }
    KEPT.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
