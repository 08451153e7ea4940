"""Takes kept evaluations again: runs the command in benches/figures/NAME.json once for each seed that is kept there.

The environment variable DATA names the folder with the logs, and `thalweg` has to be on PATH. The file's remarks stay:
read them again afterwards, then run `just figures`.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
from pathlib import Path

KEPT = Path(__file__).resolve().parent / "figures"
SHOWN = ("seed", "mean", "after_20_percent", "differences")


def take(command):
    """What of the outcome the page shows."""
    print(command, file=sys.stderr)
    done = subprocess.run(["bash", "-c", command], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"error: it ended with {done.returncode}: is thalweg built and on PATH, and does DATA name the logs?")
    outcome = json.loads(done.stdout)
    return {key: outcome[key] for key in SHOWN if key in outcome}


def main():
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of the file, such as diginetica")
    parser.add_argument("--machine", default=f"{os.cpu_count()} cores, {memory:.0f} GB", help="in words (%(default)s)")
    given = parser.parse_args()
    path = KEPT / f"{given.name}.json"
    if not path.exists():
        parser.error(f"there is no {path}")
    kept = json.loads(path.read_text(encoding="utf-8"))
    if "evaluations" not in kept:
        parser.error(f"{given.name} is no evaluation: benches/README.md says how to take others again")
    seeds = [evaluation["seed"] for evaluation in kept["evaluations"]]
    kept["evaluations"] = [take(f"{kept['command']} --seed {seed} --json") for seed in seeds]
    kept |= {"machine": given.machine, "date": datetime.date.today().isoformat()}
    path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
