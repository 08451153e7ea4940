"""Writes one item to the catalog, and marks it as sold out: python3 catalog.py"""

import json
import os
import sys

from confluent_kafka import Producer

# A prefix only if the services have one.
TOPIC = os.environ.get("THALWEG__KAFKA__TOPIC_PREFIX", "") + "items"

producer = Producer({
    "bootstrap.servers": os.environ.get("KAFKA_BROKERS", "127.0.0.1:9092"),
    "partitioner": "murmur2_random",
    "enable.idempotence": True,
})
lost = []


def delivered(error, record):
    if error is not None:
        lost.append(record.key())
        print(f"not delivered: {error}", file=sys.stderr)


def write(key, record):
    producer.produce(TOPIC, key=key, value=json.dumps(record), on_delivery=delivered)


# The whole record, under the item's id. It replaces the record before.
write("i9", {
    "item_id": "i9",
    "title": "Blue running shoe",
    "categories": ["shoes", "running"],
    "brand": "Vera",
    "price": 79.0,
    "published_at": "2026-11-03T08:00:00Z",
})
# One part of the record, under a key of its own. Here another system knows only the stock.
write("i9#stock", {"item_id": "i9", "update": True, "available": False})

waiting = producer.flush(30)
if lost or waiting:
    sys.exit(f"{len(lost)} records not delivered, {waiting} not answered")
print("2 records of i9 delivered")
