// What every oracle shares: one JSON value in on standard input, one out on standard output.
import { readFileSync } from "node:fs";

export function answer(compute) {
  process.stdout.write(JSON.stringify(compute(JSON.parse(readFileSync(0, "utf8")))));
}
