// [hex without prefix] -> [[ethers keccak256, @noble keccak256, @noble sha256], each hex without prefix]
import { sha256 } from "@noble/hashes/sha2.js";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { keccak256 } from "ethers";

import { answer } from "./ask.mjs";

const hex = (bytes) => Buffer.from(bytes).toString("hex");

answer((messages) =>
  messages.map((message) => {
    const bytes = new Uint8Array(Buffer.from(message, "hex"));
    return [keccak256(bytes).slice(2), hex(keccak_256(bytes)), hex(sha256(bytes))];
  }),
);
