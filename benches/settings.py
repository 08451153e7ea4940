"""What each setting is worth: one changed at a time, on the first 60,000 events of three recorded logs.

Prints a table as benches/figures/settings.json keeps it, and its rows on the way to stderr: HR@20 / MRR@20 after the first
20 %, as differences to the default, and the CPU time of the whole command as a multiple of the default's on each log. A
line takes one to two minutes. Differences of HR@20 below 0.1 (Globo: 0.2) and of CPU time below 0.1, on a busy machine
more, are noise. Needs a built thalweg: `just build`.
"""

import argparse
import datetime
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILT = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "debug" / "thalweg"
THALWEG = Path(os.environ.get("THALWEG", BUILT))
EVENTS = "60000"
TITLE = "Each setting, one at a time: HR@20 / MRR@20, differences to the default"

LOGS = {
    "Online Retail": ("online-retail.csv.gz", "--type", "purchase",
                      "--columns", "user=CustomerID,item=StockCode,time=InvoiceDate,value=Quantity"),
    "DIGINETICA": ("ader-diginetica",),
    "Globo": ("globo-clicks-10-days.csv.gz", "--columns", "user=session_id,item=click_article_id,time=click_timestamp"),
}
HEADS = ["setting", *LOGS, "CPU time, beside the default's on each log"]

SETTINGS = """
encoder = "pooling"
encoder = "hstu"
encoder = "gru"
dim = 32
dim = 96
history = 8
history = 32
remembered = 64
remembered = 256
negatives = 256
negatives = 1024
replay = 0.0
replay = 2.0
replay_examples = 5000
temperature = 0.08
temperature = 0.16
temperature = 0.24
row_learning_rate = 0.1
row_learning_rate = 0.4
dense_learning_rate = 0.0005
dense_learning_rate = 0.002
ranker_learning_rate = 0.005
ranker_learning_rate = 0.02
ranker_learning_rate = 0.0
popularity_half_lives_s = [60.0, 600.0, 3600.0, 43200.0]
popularity_half_lives_s = [3600.0, 43200.0, 259200.0, 2592000.0]
covisitation_half_life_s = 604800.0
covisitation_half_life_s = 7776000.0
covisitation_short_half_life_s = 3600.0
covisitation_neighbours = 40
covisitation_neighbours = 160
covisitation_window = 4
covisitation_window = 16
sessions = 5000
sessions_per_item = 32
sessions_per_item = 128
session_neighbours = 50
session_neighbours = 200
session_gap_s = 1800
candidates = 20
candidates = 60
retrieval_items = 8192
admit_after = 3
repeats = "allow"
repeats = "never"
""".strip().splitlines()


def evaluate(data, log, settings):
    """HR@20, MRR@20 and the seconds of CPU time."""
    file, *options = LOGS[log]
    command = [THALWEG, "evaluate", "prequential", data / file, *options, "--limit", EVENTS,
               "--methods", "popularity", "--settings", settings, "--json"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if run.returncode:
        sys.exit(run.stderr.strip() or f"{THALWEG} ended with {run.returncode}")
    figures = json.loads(run.stdout)["after_20_percent"]["thalweg"]
    return figures["hr_20"], figures["mrr_20"], resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def signed(difference):
    size = f"{abs(difference):.2f}"
    return "0" if size == "0.00" else f"{'+' if difference > 0 else '−'} {size}"


def arguments():
    known = sorted({line.split(" =")[0] for line in SETTINGS})
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder with the logs that benches/README.md names")
    parser.add_argument("setting", nargs="*", help=f"what to try, everything where nothing is named: {', '.join(known)}")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    parser.add_argument("--machine", default=f"{os.cpu_count()} cores, {memory:.0f} GB", help="in words (%(default)s)")
    given = parser.parse_args()
    if unknown := sorted(set(given.setting) - set(known)):
        parser.error(f"there is no line for {', '.join(unknown)}: known are {', '.join(known)}")
    if missing := [file for file, *_ in LOGS.values() if not (given.data / file).exists()]:
        parser.error(f"{given.data} has no {', no '.join(missing)}")
    if not THALWEG.exists():
        parser.error(f"there is no {THALWEG}: run `just build`, or name another binary by THALWEG")
    return given


def main():
    given = arguments()
    lines = [line for line in SETTINGS if not given.setting or line.split(" =")[0] in given.setting]
    rows = []

    def add(cells):
        print(" | ".join(cells), file=sys.stderr)
        rows.append(cells)

    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "settings.toml"

        def measure(n, line):
            print(f"{n} of {len(lines)}: {line or 'the default'}", file=sys.stderr)
            settings.write_text(f"[model]\n{line}\n")
            return [evaluate(given.data, log, settings) for log in LOGS]

        default = measure(0, "")
        add(["(the default)", *(f"{hr:.2f} / {mrr:.2f}" for hr, mrr, _ in default), "1"])
        for n, line in enumerate(lines, 1):
            pairs = list(zip(measure(n, line), default))
            differences = [f"{signed(hr - hr0)} / {signed(mrr - mrr0)}" for (hr, mrr, _), (hr0, mrr0, _) in pairs]
            costs = ", ".join(f"{cpu / cpu0:.2f}" for (*_, cpu), (*_, cpu0) in pairs)
            add([f"`{line}`", *differences, costs])
    kept = {"title": TITLE, "command": "python3 benches/settings.py $DATA", "machine": given.machine,
            "date": datetime.date.today().isoformat(), "columns": [{"name": name} for name in HEADS], "rows": rows}
    print(json.dumps(kept, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
