// {inclusion: [{root, size, index, entry, path}], consistency: [{firstRoot, firstSize, secondRoot, secondSize, path}]}
// -> {sigstore, transmute, consistency}: for each proof whether @sigstore/verify and @transmute/rfc9162 accept it.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { RFC9162 } from "@transmute/rfc9162";

const { verifyMerkleInclusion } = createRequire(import.meta.url)("@sigstore/verify/dist/tlog/merkle.js");
const bytes = (hex) => new Uint8Array(Buffer.from(hex.slice(2), "hex"));
const { inclusion, consistency } = JSON.parse(readFileSync(0, "utf8"));

function sigstore({ root, size, index, entry, path }) {
  const hashes = path.map((hash) => Buffer.from(bytes(hash)));
  const proof = { inclusionProof: { logIndex: String(index), hashes }, canonicalizedBody: Buffer.from(bytes(entry)) };
  try {
    verifyMerkleInclusion(proof, { logSize: BigInt(size), logHash: Buffer.from(bytes(root)) });
    return true;
  } catch (error) {
    if (error.code !== "TLOG_INCLUSION_PROOF_ERROR") throw error;
    return false;
  }
}

async function transmute({ root, size, index, entry, path }) {
  const proof = { log_id: "", tree_size: size, leaf_index: index, inclusion_path: path.map(bytes) };
  return RFC9162.verifyInclusionProof(bytes(root), await RFC9162.leaf(bytes(entry)), proof);
}

async function consistent({ firstRoot, firstSize, secondRoot, secondSize, path }) {
  // It expects of its caller what the RFC asks of the verifier: the root of a perfect first tree in front of the path.
  const power = (firstSize & (firstSize - 1)) === 0;
  const consistency_path = [...(power ? [firstRoot] : []), ...path].map(bytes);
  const proof = { log_id: "", tree_size_1: firstSize, tree_size_2: secondSize, consistency_path };
  return RFC9162.verifyConsistencyProof(bytes(firstRoot), bytes(secondRoot), proof);
}

const answers = {
  sigstore: inclusion.map(sigstore),
  transmute: await Promise.all(inclusion.map(transmute)),
  consistency: await Promise.all(consistency.map(consistent)),
};
process.stdout.write(JSON.stringify(answers));
