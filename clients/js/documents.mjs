// Reads proof documents strictly: docs/protocol.md, section 9.1. Every member, no other, one form each.
import { sha256 } from "@noble/hashes/sha2.js";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes as ascii } from "@noble/hashes/utils.js";

/** Throws an Error with `reason`, one of the names in section 9.3, unless `good`. */
export const check = (good, reason, detail) => {
  if (!good) throw Object.assign(new Error(`${reason}: ${detail}`), { reason });
};
export const hex = (bytes) => "0x" + bytesToHex(bytes), quantity = (number) => "0x" + number.toString(16);
export const same = (a, b) => hex(a) === hex(b), uint = (bytes) => BigInt(hex(bytes));
export const keccak = (...parts) => keccak_256(concatBytes(...parts));
export const hash = (...parts) => sha256(concatBytes(...parts));
const NONE = new Uint8Array();

// A reader takes (value, name) and returns the value decoded.
export const expect = (good, name, form) => check(good, "MALFORMED", `${name}: expected ${form}`);
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const optional = (read) => (value, name) => (value === null ? null : read(value, name));
const object = (readers) => (value, name) => {
  const names = Object.keys(readers);
  const exact = isObject(value) && Object.keys(value).length === names.length;
  expect(exact && names.every((member) => Object.hasOwn(value, member)), name, `exactly the members ${names}`);
  return Object.fromEntries(names.map((member) => [member, readers[member](value[member], `${name}.${member}`)]));
};
const literal = (only) => (value, name) => (expect(value === only, name, only), value);
const anyObject = (value, name) => (expect(isObject(value), name, "an object"), value);
export const bytes = (length) => (value, name) => {
  const good = typeof value === "string" && value.length % 2 === 0 && /^0x[0-9a-f]*$/.test(value);
  expect(good && value.length === 2 + 2 * (length ?? value.length / 2 - 1), name, "lower-case hex of the right length");
  return hexToBytes(value.slice(2));
};
const number = (least, most) => (value, name) => {
  const good = typeof value === "string" && /^0x(0|[1-9a-f][0-9a-f]{0,15})$/.test(value);
  expect(good && BigInt(value) >= least && BigInt(value) <= most, name, "a quantity in range");
  return BigInt(value);
};
const hashes = (value, name) => {
  expect(Array.isArray(value) && value.length <= 128, name, "an array of hashes");
  return value.map((item) => bytes(32)(item, name));
};
export const checksummed = (address) => { // EIP-55
  const text = bytesToHex(address), nibbles = bytesToHex(keccak(ascii(text)));
  return "0x" + [...text].map((digit, at) => (nibbles[at] >= "8" ? digit.toUpperCase() : digit)).join("");
};
export const address = (value, name) => {
  const found = bytes(20)(typeof value === "string" ? value.toLowerCase() : value, name);
  expect(value === hex(found) || value === checksummed(found), name, "lower case or the checksum");
  return found;
};
const header = (value, name) => { // section 6: ten words
  const data = bytes(320)(value, name), word = (at) => data.slice(32 * at, 32 * at + 32);
  for (const at of [0, 1, 2, 5, 9]) expect(uint(word(at)) < 2n ** (at === 9 ? 160n : 64n), name, `word ${at} in range`);
  const roots = { txRoot: word(4), stateRoot: word(7), historyRoot: word(8), authority: word(9).slice(12) };
  return { ...roots, chainId: uint(word(0)), height: uint(word(1)), txCount: uint(word(5)), hash: keccak(data) };
};
const stateKey = (value, name) => { // section 4.1: tree keys
  const kind = ["burned", "account", "target"].find((member) => Object.hasOwn(Object(value), member)) ?? "pool";
  const pool = { cptxHash: bytes(32) }, target = { ...pool, target: address }, account = { account: address };
  const key = object({ burned: { burned: literal(true) }, account, target, pool }[kind])(value, name);
  const who = key.account ?? key.target ?? NONE, own = hash(ascii(kind[0]), key.cptxHash ?? NONE, who);
  return { kind, who, pool: key.cptxHash, tree: concatBytes(key.cptxHash?.slice(0, 2) ?? NONE, own).slice(0, 32) };
};
export const bitOf = (key, bit) => (key[bit >> 3] >> (7 - (bit & 7))) & 1;
const stateProof = (value, name) => { // section 4.1: the bytes of a proof
  const data = bytes()(value, name), kind = data[0], at = kind === 2 ? 65 : 1, length = kind === 0 ? 0 : data[at];
  expect(kind === 0 ? data.length === 1 : kind <= 2 && length <= 32, name, "a known kind, at most 32 bytes of bitmap");
  const bitmap = data.slice(at + 1, at + 1 + length), siblings = data.slice(at + 1 + length), path = [];
  expect(bitmap.length === length && bitmap[length - 1] !== 0, name, "a bitmap that ends in a set bit's byte");
  for (let bit = 8 * length - 1; bit >= 0; bit--) {
    if (bitOf(bitmap, bit)) path.push([bit, siblings.slice(32 * path.length, 32 * path.length + 32)]);
  }
  expect(siblings.length === 32 * path.length, name, "as many siblings as bits");
  return { kind, path, otherKey: data.slice(1, 33), otherRecord: data.slice(33, 65) };
};
const SEALED = { header, seal: optional(bytes(65)) }, TWO = { first: object(SEALED), second: object(SEALED) };
const UINT64 = number(0n, 2n ** 64n - 1n), PATH = object({ leafIndex: UINT64, treeSize: UINT64, path: hashes });
const IN_HEAD = { ...SEALED, head: object(SEALED), history: optional(PATH) };
const CHAIN = { chainId: number(1n, 4503599627370476n), genesisHash: bytes(32) };
const MEMBERS = new Map(Object.entries({
  transaction: { transaction: bytes(), transactionHash: bytes(32), inclusion: PATH, ...IN_HEAD },
  header: IN_HEAD,
  consistency: { ...TWO, path: hashes, history: optional(PATH) },
  state: { key: stateKey, record: optional(anyObject), recordBytes: optional(bytes()), proof: stateProof, ...SEALED },
  equivocation: TWO,
}));

/** Bytes of a file to a value, refusing JSON that two readers could read differently. */
export function parseDocument(data) {
  const squeeze = (text) => text.replace(/[ \t\r\n]+/g, "");
  expect(data.length <= 1 << 20, "the file", "at most 1 MiB");
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
    const plain = (_, item) => (expect(typeof item !== "number" || item === 1, "the file", "no number but 1"), item);
    const value = JSON.parse(text, plain);
    const exact = !text.includes("\\") && squeeze(JSON.stringify(value)) === squeeze(text);
    expect(exact, "the file", "no member twice, no fraction, no escape");
    return value;
  } catch (error) {
    return expect(false, "the file", `JSON (${error.message})`);
  }
}

/** A parsed document to its decoded members; all of it is read before anything of it is believed. */
export function readDocument(value) {
  const kind = isObject(value) && typeof value.kind === "string" ? value.kind : "", members = MEMBERS.get(kind);
  expect(members, "kind", [...MEMBERS.keys()]);
  const envelope = { version: literal(1), kind: literal(kind), sealKind: literal("authority"), ...CHAIN };
  const found = object({ ...envelope, ...members })(value, "document");
  if (kind === "state") expect(!found.record === !found.recordBytes, "recordBytes", "null exactly where record is");
  return found;
}
