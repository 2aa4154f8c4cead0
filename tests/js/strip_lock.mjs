// Drops what lock files (the arguments) do not need, the addresses for donations, and checks that no address is left.
import { readFileSync, writeFileSync } from "node:fs";

for (const path of process.argv.slice(2)) {
  const lock = JSON.parse(readFileSync(path, "utf8"));
  for (const entry of Object.values(lock.packages)) {
    delete entry.funding;
  }
  const text = JSON.stringify(lock, null, 2) + "\n";
  if (text.includes("://")) {
    throw new Error(`${path} names a host`);
  }
  writeFileSync(path, text);
}
