"""Prints a user's list, or the hot list for an unknown user: python3 read.py [USER]"""

import json
import os
import sys

import redis

USER = sys.argv[1] if len(sys.argv) > 1 else "u42"
# A prefix only if the services have one.
PREFIX = os.environ.get("THALWEG__REDIS__KEY_PREFIX", "")

client = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"))

# The braces are part of the key.
value = client.get(f"{PREFIX}recs:{{{USER}}}") or client.get(f"{PREFIX}hot")
if value is None:
    sys.exit(f"no list for {USER} and no hot list")

slate = json.loads(value)
print("model", slate["model"])
for entry in slate["items"]:
    print(entry["id"], entry["from"], ", ".join(entry["because"]))
