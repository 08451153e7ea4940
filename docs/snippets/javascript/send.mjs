// Sends two events of one user: node send.mjs [USER]
import { randomUUID } from "node:crypto";
import { Kafka, Partitioners, logLevel } from "kafkajs";

const user = process.argv[2] ?? "u42";
// A prefix only if the services have one.
const topic = `${process.env.THALWEG__KAFKA__TOPIC_PREFIX ?? ""}events`;

const kafka = new Kafka({
  clientId: "shop",
  brokers: (process.env.KAFKA_BROKERS ?? "127.0.0.1:9092").split(","),
  logLevel: logLevel.ERROR,
});
const producer = kafka.producer({
  // murmur2, as in Kafka's Java client: one user's events stay in one partition, in order.
  createPartitioner: Partitioners.DefaultPartitioner,
  // A retry inside the client keeps the order. If it writes an event twice, ingest drops the second by its event_id.
  maxInFlightRequests: 1,
});

function event(item, type, more = {}) {
  return { event_id: randomUUID(), type, user_id: user, item_id: item, ts: Date.now(), ...more };
}

const events = [event("i9", "view", { session_id: "s7" }), event("i7", "purchase", { value: 19.9 })];

try {
  await producer.connect();
  // Resolves when every in-sync replica has the events (acks: -1), and rejects when the client gives up.
  await producer.send({
    topic,
    acks: -1,
    messages: events.map((event) => ({ key: event.user_id, value: JSON.stringify(event) })),
  });
  console.log(`${events.length} events of ${user} delivered`);
} catch (error) {
  // Kafka may not have these events. Only this process does: store them and send them again, with the same event_id.
  console.error(`not delivered: ${error.message}`);
  process.exitCode = 1;
} finally {
  await producer.disconnect();
}
