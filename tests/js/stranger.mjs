// A viewer written from docs/peers.md and docs/protocol.md alone, with ethers and fetch.
// In: {node, origin, cacher, resourceId, secret, deposit, collateral, fee, duration, live: {manifest, domain}}
// Out: {root, size, offer, agreement, again, pool, chunks: [hex], repeated: hex, refusals, lastPayment, publisher}
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { concat, getBytes, hexlify, keccak256, toBeHex, toUtf8Bytes, verifyTypedData, Wallet } from "ethers";

const sha256 = (...parts) => createHash("sha256").update(Buffer.concat(parts)).digest();
const leafOf = (chunk) => sha256(Buffer.from([0]), chunk);

// RFC 9162, section 2.1.1
function rootOf(leaves) {
  if (leaves.length === 0) return sha256();
  if (leaves.length === 1) return leaves[0];
  let split = 1;
  while (2 * split < leaves.length) split *= 2;
  return sha256(Buffer.from([1]), rootOf(leaves.slice(0, split)), rootOf(leaves.slice(split)));
}

// RFC 8785, as far as `files` need it
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return `{${Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(",")}}`;
}

const rpc = async (node, method, params) => {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
  const answer = await fetch(node, { method: "POST", headers: { "content-type": "application/json" }, body });
  const { result, error } = await answer.json();
  if (error) throw new Error(`${method}: ${JSON.stringify(error)}`);
  return result;
};

const PAYMENT = {
  ServicePayment: ["address target", "uint256 amount", "bytes32 cptxHash", "uint64 tgtSeq"].map((member) => {
    const [type, name] = member.split(" ");
    return { name, type };
  }),
};

const LIVE = {
  LiveManifest: [
    ["resourceId", "bytes32"],
    ["sequence", "uint64"],
    ["chunkCount", "uint64"],
    ["root", "bytes32"],
    ["filesHash", "bytes32"],
    ["ended", "bool"],
  ].map(([name, type]) => ({ name, type })),
};

function publisherOf({ manifest, domain }) {
  if (keccak256(toUtf8Bytes(manifest.name)) !== manifest.resourceId) throw new Error("the id is not of this name");
  const message = {
    resourceId: manifest.resourceId,
    sequence: manifest.sequence,
    chunkCount: manifest.chunks.length,
    root: hexlify(rootOf(manifest.chunks.map((leaf) => Buffer.from(getBytes(leaf))))),
    filesHash: keccak256(toUtf8Bytes(canonical(manifest.files))),
    ended: manifest.ended,
  };
  return verifyTypedData(domain, LIVE, message, manifest.signature);
}

async function createPool(question, wallet) {
  const { node, resourceId, deposit, collateral, fee, duration } = question;
  const nonce = (await rpc(node, "account_get", { address: wallet.address })).nonce;
  const fields = { resourceId, deposit, collateral, duration, fee, nonce };
  const typed = await rpc(node, "tx_typedData", ["CreatePool", fields]);
  const { EIP712Domain: _, ...types } = typed.types;
  const signature = await wallet.signTypedData(typed.domain, types, typed.message);
  const transaction = { type: "CreatePool", fields, signature };
  const { hash } = await rpc(node, "tx_submit", { transaction, wait: "committed" });
  return { hash, domain: typed.domain };
}

async function shake(question, pool, target) {
  const { node, cacher, resourceId } = question;
  const head = (await rpc(node, "chain_getHeader", { block: "latest" })).hash;
  const body = {
    version: 1,
    resourceId,
    creation: await rpc(node, "proof_getTransaction", { hash: pool, head }),
    poolState: await rpc(node, "proof_getState", { key: { cptxHash: pool }, block: head }),
    targetState: await rpc(node, "proof_getState", { key: { cptxHash: pool, target }, block: head }),
  };
  const answer = await fetch(`${cacher}/handshake`, { method: "POST", body: JSON.stringify(body) });
  return { status: answer.status, ...(await answer.json()) };
}

async function buy(question) {
  const { origin, cacher, resourceId, secret } = question;
  const wallet = new Wallet(secret);
  const manifest = await (await fetch(`${origin}/manifest/${resourceId}`)).json();
  const leaves = manifest.chunks.map((leaf) => Buffer.from(getBytes(leaf)));
  const offer = await (await fetch(`${cacher}/offer/${resourceId}`)).json();
  const { hash: pool, domain } = await createPool(question, wallet);
  const agreement = await shake(question, pool, offer.target);
  const [price, first] = [BigInt(agreement.pricePerChunk), BigInt(agreement.firstAmount)];

  const ask = async (index, amount, tgtSeq) => {
    const message = { target: offer.target, amount, cptxHash: pool, tgtSeq };
    const signature = await wallet.signTypedData(domain, PAYMENT, message);
    const words = [offer.target, toBeHex(amount), pool, toBeHex(tgtSeq)].map((word) =>
      hexlify(Buffer.concat([Buffer.alloc(32), Buffer.from(getBytes(word))]).subarray(-32)),
    );
    const payment = concat([...words, signature]);
    const headers = { "Poolchain-Payment": payment };
    const answer = await fetch(`${cacher}/chunk/${resourceId}/${index}`, { headers });
    if (answer.status !== 200) return { status: answer.status, ...(await answer.json()) };
    return { status: 200, payment, chunk: Buffer.from(await answer.arrayBuffer()) };
  };

  const tgtSeq = BigInt(agreement.tgtSeq);
  const refusals = [await ask(0, first - 1n, tgtSeq), await ask(0, first, tgtSeq + 1n), await ask(leaves.length, first, tgtSeq)];
  const chunks = [];
  let [delivered, last] = [0n, null];
  for (let index = 0; index < leaves.length; index += 1) {
    delivered += price;
    last = await ask(index, delivered > first ? delivered : first, tgtSeq);
    if (last.status !== 200) throw new Error(JSON.stringify(last));
    if (!leafOf(last.chunk).equals(leaves[index])) throw new Error(`chunk ${index} is not it`);
    chunks.push(hexlify(last.chunk));
  }
  const total = delivered > first ? delivered : first;
  const repeated = await ask(0, total, tgtSeq);
  return {
    root: hexlify(rootOf(leaves)),
    size: manifest.size,
    offer,
    agreement,
    again: await shake(question, pool, offer.target),
    pool,
    chunks,
    repeated: hexlify(repeated.chunk),
    refusals,
    lastPayment: last.payment,
  };
}

const question = JSON.parse(readFileSync(0, "utf8"));
const found = { ...(await buy(question)), publisher: publisherOf(question.live) };
process.stdout.write(JSON.stringify(found));
