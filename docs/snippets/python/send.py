"""Sends two events of one user: python3 send.py [USER]"""

import json
import os
import sys
import time
import uuid

from confluent_kafka import Producer

USER = sys.argv[1] if len(sys.argv) > 1 else "u42"
# A prefix only if the services have one.
TOPIC = os.environ.get("THALWEG__KAFKA__TOPIC_PREFIX", "") + "events"

producer = Producer({
    "bootstrap.servers": os.environ.get("KAFKA_BROKERS", "127.0.0.1:9092"),
    # The same partitioner in every application: one user's events stay in one partition, in order.
    "partitioner": "murmur2_random",
    # A retry inside the client neither repeats an event nor changes the order.
    "enable.idempotence": True,
})
lost = []


def delivered(error, record):
    """Called once for each event, when Kafka has it or when the client gives up."""
    if error is not None:
        # Kafka does not have this event. Only this process does: store it and send it again, with the same event_id.
        lost.append(record.value())
        print(f"not delivered: {error}", file=sys.stderr)


def send(user, item, kind="view", **more):
    event = {
        "event_id": str(uuid.uuid4()),
        "type": kind,
        "user_id": user,
        "item_id": item,
        "ts": int(time.time() * 1000),
        **more,
    }
    # Keyed by the user. This raises BufferError when 100,000 events wait in memory: then poll, and try again.
    producer.produce(TOPIC, key=user, value=json.dumps(event), on_delivery=delivered)
    producer.poll(0)  # calls `delivered` for every answer that has come


send(USER, "i9", session_id="s7")
send(USER, "i7", "purchase", value=19.9)

waiting = producer.flush(30)  # waits for the answers, at most 30 s
if lost or waiting:
    sys.exit(f"{len(lost)} events not delivered, {waiting} not answered")
print(f"2 events of {USER} delivered")
