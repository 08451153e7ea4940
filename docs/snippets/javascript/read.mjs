// Prints a user's list, or the hot list for an unknown user: node read.mjs [USER]
import { createClient } from "redis";

const user = process.argv[2] ?? "u42";
// A prefix only if the services have one.
const prefix = process.env.THALWEG__REDIS__KEY_PREFIX ?? "";

const client = createClient({ url: process.env.REDIS_URL ?? "redis://127.0.0.1:6379/0" });
client.on("error", (error) => console.error(`Redis: ${error.message}`));
await client.connect();

// The braces are part of the key.
const value = (await client.get(`${prefix}recs:{${user}}`)) ?? (await client.get(`${prefix}hot`));
await client.close();

if (value === null) {
  console.error(`no list for ${user} and no hot list`);
  process.exitCode = 1;
} else {
  const slate = JSON.parse(value);
  console.log("model", slate.model);
  for (const entry of slate.items) {
    console.log(entry.id, entry.from, entry.because.join(", "));
  }
}
