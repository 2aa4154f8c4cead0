// Checks proof documents offline, after documents.mjs has read them. Sections are those of docs/protocol.md.
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { hexToBytes, utf8ToBytes as ascii } from "@noble/hashes/utils.js";
import { address, bitOf, bytes, check, checksummed, expect, hash, hex, keccak } from "./documents.mjs";
import { quantity, readDocument, same, uint } from "./documents.mjs";

const EMPTY_ROOT = hash(), LEAF = Uint8Array.of(0), NODE = Uint8Array.of(1);

// 9.2 What is checked of every part.
function checkSealed({ header, seal }, { chainId, authority, genesisHash }) {
  check(header.chainId === chainId, "WRONG_CHAIN", "a header of another chain id");
  check(same(header.authority, authority), "WRONG_AUTHORITY", `the header's is ${hex(header.authority)}`);
  check(header.height > 0n || same(header.hash, genesisHash), "WRONG_CHAIN", "block 0 is not the trusted genesis");
  if (header.height === 0n) return check(seal === null, "WRONG_SEAL", "block 0 has no seal");
  // Section 2.
  const domain = ["EIP712Domain(string name,string version,uint256 chainId,bytes32 salt)", "Poolchain", "1"];
  const chainWord = hexToBytes(chainId.toString(16).padStart(64, "0"));
  const separator = keccak(...domain.map((text) => keccak(ascii(text))), chainWord, genesisHash);
  const content = keccak(keccak(ascii("Seal(bytes32 blockHash)")), header.hash);
  const signer = seal && recover(keccak(Uint8Array.of(0x19, 1), separator, content), seal);
  check(signer && same(signer, authority), "WRONG_SEAL", "it is not the authority's");
}
function recover(digest, signature) { // section 1: one form only; null where no address can be recovered
  const [r, s, v] = [uint(signature.slice(0, 32)), uint(signature.slice(32, 64)), signature[64]];
  if (2n * s >= secp256k1.Point.Fn.ORDER || (v !== 27 && v !== 28)) return null;
  try {
    const key = new secp256k1.Signature(r, s, v - 27).recoverPublicKey(digest).toBytes(false);
    return keccak(key.slice(1)).slice(12);
  } catch { return null; } // r or s is 0 or too large, or r is no point
}
const split = (size) => 1n << BigInt((size - 1n).toString(2).length - 1); // largest power of two below size
function climb(node, index, size, path, reason) { // RFC 9162, 2.1.3.1 read backwards: the root that follows
  check((size === 1n) === (path.length === 0), reason, "the path has another length");
  if (size === 1n) return node;
  const k = split(size), side = path.at(-1), rest = path.slice(0, -1);
  if (index < k) return hash(NODE, climb(node, index, k, rest, reason), side);
  return hash(NODE, side, climb(node, index - k, size - k, rest, reason));
}
function checkIncluded(entry, { leafIndex, treeSize, path }, size, root, reason) {
  check(treeSize === size && leafIndex < size, reason, `treeSize must be ${size}, leafIndex below it`);
  check(same(climb(hash(LEAF, entry), leafIndex, size, path, reason), root), reason, "the path leads elsewhere");
}
function checkHistory(block, head, path) {
  if (path === null) {
    check(same(block.header.hash, head.header.hash), "WRONG_HISTORY", "without a path the block must be the head");
    return check(block.seal === head.seal || same(block.seal, head.seal), "WRONG_SEAL", "one block with two seals");
  }
  check(path.leafIndex === block.header.height, "WRONG_HISTORY", "leafIndex must be the block's height");
  checkIncluded(block.header.hash, path, head.header.height, head.header.historyRoot, "WRONG_HISTORY");
}
function roots(first, second, path, known) { // RFC 9162, 2.1.4.1 read backwards: [older root, newer root] that follow
  if (first === second) {
    check(path.length === (known ? 0 : 1), "WRONG_CONSISTENCY", "the path has another length");
    return [known ?? path[0], known ?? path[0]];
  }
  check(path.length > 0, "WRONG_CONSISTENCY", "the path is too short");
  const k = split(second), side = path.at(-1), rest = path.slice(0, -1);
  if (first > k) return roots(first - k, second - k, rest, null).map((root) => hash(NODE, side, root));
  const [older, newer] = roots(first, k, rest, known);
  return [older, hash(NODE, newer, side)];
}
function checkConsistency({ header: first }, { header: second }, path) {
  const empty = first.height === 0n;
  check(!empty || path.length === 0, "WRONG_CONSISTENCY", "the path from block 0 is empty");
  const known = empty ? [EMPTY_ROOT, second.historyRoot] : roots(first.height, second.height, path, first.historyRoot);
  const good = same(known[0], first.historyRoot) && same(known[1], second.historyRoot);
  check(good, "WRONG_CONSISTENCY", "the path leads elsewhere");
}
function checkState({ key, record, recordBytes, proof, header }) {
  const wrong = (bad, detail) => check(!bad, "WRONG_STATE", detail);
  if (proof.kind === 0) {
    wrong(recordBytes !== null || !same(header.stateRoot, EMPTY_ROOT), "the state is not empty");
  } else {
    wrong((recordBytes === null) !== (proof.kind === 2), "presence is proved for a record, absence for null");
    const leaf = recordBytes ? [key.tree, hash(recordBytes)] : [proof.otherKey, proof.otherRecord];
    wrong(!recordBytes && same(key.tree, leaf[0]), "the other leaf is the key's own");
    wrong(proof.path.some(([bit]) => bitOf(key.tree, bit) !== bitOf(leaf[0], bit)), "the other leaf is not on its way");
    const branch = (node, [bit, side]) =>
      hash(NODE, Uint8Array.of(bit), ...(bitOf(key.tree, bit) ? [side, node] : [node, side]));
    wrong(!same(proof.path.reduce(branch, hash(LEAF, ...leaf)), header.stateRoot), "the path leads elsewhere");
  }
  const expected = recordBytes && recordOf(key, recordBytes);
  const members = Object.keys(expected ?? {}), given = Object.keys(record ?? {});
  const equal = members.length === given.length && members.every((member) => record[member] === expected[member]);
  wrong(!equal, "record does not say what recordBytes says");
}
function recordOf({ kind, who, pool }, data) { // section 4: records as the objects of section 8
  const widths = { account: [16, 8], pool: [20, 32, 16, 16, 16, 8, 8, 1], target: [8, 16], burned: [16] }[kind];
  expect(data.length === widths.reduce((a, b) => a + b), "recordBytes", "the length of its kind");
  let at = 0;
  const parts = widths.map((width) => data.slice(at, (at += width))), [a, b, c, d, e, f, g, h] = parts.map(uint);
  if (kind === "burned") return { burned: quantity(a) };
  if (kind === "account") return { address: checksummed(who), balance: quantity(a), nonce: quantity(b) };
  if (kind === "target") return { cptxHash: hex(pool), target: checksummed(who), seq: quantity(a), paid: quantity(b) };
  expect(h < 3n && e <= c, "recordBytes", "a known status, and not more spent than deposited");
  const numbers = { deposit: c, collateral: d, spent: e, remaining: c - e, createdAt: f, expiresAt: g };
  const shown = Object.entries(numbers).map(([name, value]) => [name, quantity(value)]);
  const names = { cptxHash: hex(pool), creator: checksummed(parts[0]), resourceId: hex(parts[1]) };
  return { ...names, ...Object.fromEntries(shown), status: ["open", "expired", "slashed"][h] };
}

/** Checks a parsed document against what its user trusts; returns what it proves, throws an Error with `reason`. */
export function verifyDocument(document, { authority, genesisHash }) {
  const found = readDocument(document), { kind, first, second, head } = found;
  const trust = { authority: address(authority, "authority"), genesisHash: bytes(32)(genesisHash, "genesis") };
  trust.chainId = found.chainId; // every seal binds it
  check(same(found.genesisHash, trust.genesisHash), "WRONG_CHAIN", "the document is of another genesis");
  const show = ({ header }) => ({ height: quantity(header.height), hash: hex(header.hash) });
  if (first) {
    checkSealed(first, trust);
    checkSealed(second, trust);
    if (kind === "equivocation") {
      check(first.header.height === second.header.height, "WRONG_EQUIVOCATION", "the blocks are of different heights");
      check(!same(first.header.hash, second.header.hash), "WRONG_EQUIVOCATION", "both are the same block");
    } else {
      check(first.header.height <= second.header.height, "WRONG_CONSISTENCY", "the first head is above the second");
      checkHistory(first, second, found.history);
      checkConsistency(first, second, found.path);
    }
    return { kind, first: show(first), second: show(second) };
  }
  checkSealed(found, trust);
  if (kind === "state") {
    checkState(found);
    return { kind, block: show(found), key: document.key, record: document.record };
  }
  checkSealed(head, trust);
  checkHistory(found, head, found.history);
  if (kind === "header") return { kind, block: show(found), head: show(head) };
  check(same(keccak(found.transaction), found.transactionHash), "WRONG_HASH", "transactionHash is another");
  const { inclusion, header } = found;
  checkIncluded(found.transaction, inclusion, header.txCount, header.txRoot, "WRONG_INCLUSION");
  const proven = { transactionHash: document.transactionHash, index: quantity(inclusion.leafIndex) };
  return { kind, ...proven, block: show(found), head: show(head) };
}
