// Answers the vectors of tests/vectors with foreign libraries: ethers, @noble, @sigstore/verify, @transmute/rfc9162.
// In: {file: [case]}; out: {file: {name of the case: {expected} or {error: text}}} for the kinds that are known here.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { RFC9162 } from "@transmute/rfc9162";
import {
  AbiCoder,
  computeAddress,
  getAddress,
  getBytes,
  HDNodeWallet,
  hexlify,
  id,
  keccak256,
  recoverAddress,
  Signature,
  SigningKey,
  toBeHex,
  toQuantity,
  TypedDataEncoder,
} from "ethers";

const { verifyMerkleInclusion } = createRequire(import.meta.url)("@sigstore/verify/dist/tlog/merkle.js");

const MEMBERS = {
  EIP712Domain: "string name,string version,uint256 chainId,bytes32 salt",
  Transfer: "address to,uint256 amount,uint256 fee,uint64 nonce",
  CreatePool: "bytes32 resourceId,uint256 deposit,uint256 collateral,uint64 duration,uint256 fee,uint64 nonce",
  ServicePayment: "address target,uint256 amount,bytes32 cptxHash,uint64 tgtSeq",
  Settlement: "ServicePayment payment,uint256 fee",
  Seal: "bytes32 blockHash",
};
const HEADER = "chainId height timestamp parentHash txRoot txCount receiptsRoot stateRoot historyRoot authority";
const RECEIPT = "transactionHash outcome fee cptxHash paid burned reward";
const OUTCOMES = ["transferred", "created", "settled", "slashed"];

const structOf = (name) =>
  MEMBERS[name].split(",").map((member) => {
    const [type, member_name] = member.split(" ");
    return { name: member_name, type };
  });
const typesOf = (name) => ({
  [name]: structOf(name),
  ...(name === "Settlement" ? { ServicePayment: structOf("ServicePayment") } : {}),
});
const domainOf = ({ chainId, salt }) => ({ name: "Poolchain", version: "1", chainId, salt });
const plain = (value) => (typeof value === "bigint" ? toQuantity(value) : value.toLowerCase());
const same = (one, other) => {
  if (one !== other) throw new Error(`the libraries disagree: ${one} and ${other}`);
  return one;
};

// The words of a struct, as ABI.
function decodeWords(types, data) {
  return [...AbiCoder.defaultAbiCoder().decode(types, data)].map(plain);
}

function named(names, types, data) {
  const values = decodeWords(types, data);
  same(AbiCoder.defaultAbiCoder().encode(types, values), data);
  return Object.fromEntries(names.split(" ").map((name, index) => [name, values[index]]));
}

const headerOf = (bytes) =>
  named(
    HEADER,
    ["uint64", "uint64", "uint64", "bytes32", "bytes32", "uint64", "bytes32", "bytes32", "bytes32", "address"],
    bytes,
  );

function receiptOf(bytes) {
  const found = named(RECEIPT, ["bytes32", "uint8", "uint128", "bytes32", "uint128", "uint128", "uint128"], bytes);
  return { ...found, outcome: OUTCOMES[Number(found.outcome)] };
}

const leafHash = (bytes) => hexlify(sha256(new Uint8Array([0, ...getBytes(bytes)])));
const treeHead = async (entries) => hexlify(await RFC9162.treeHead(entries.map((entry) => getBytes(entry))));

// The address twice: by ethers and by @noble.
function recover(digest, signature) {
  const byEthers = recoverAddress(digest, signature).toLowerCase();
  const { r, s, v } = Signature.from(signature);
  const bytes = new Uint8Array([v - 27, ...getBytes(r), ...getBytes(s)]);
  const point = secp256k1.Signature.fromBytes(bytes, "recovered").recoverPublicKey(getBytes(digest));
  return same(byEthers, computeAddress(hexlify(point.toBytes(false))).toLowerCase());
}

// Cuts a transaction along its layout and hashes its fields as a wallet would.
function transaction({ chainId, salt, raw }) {
  const bytes = getBytes(raw);
  const domain = domainOf({ chainId, salt });
  const cut = (from, to) => hexlify(bytes.slice(from, to));
  const type = ["", "Transfer", "CreatePool", "ServicePayment"][bytes[0]];
  const struct = structOf(type);
  const end = 1 + 32 * struct.length;
  const values = decodeWords(struct.map((member) => member.type), cut(1, end));
  const message = Object.fromEntries(struct.map(({ name }, index) => [name, values[index]]));
  const digests = [TypedDataEncoder.hash(domain, typesOf(type), message)];
  const signatures = [cut(end, end + 65)];
  let fields = message;
  if (type === "ServicePayment") {
    const fee = toQuantity(BigInt(cut(end + 65, end + 97)));
    fields = { ...message, fee };
    digests.push(TypedDataEncoder.hash(domain, typesOf("Settlement"), { payment: message, fee }));
    signatures.push(cut(end + 97, end + 162));
  }
  const signers = digests.map((digest, index) => recover(digest, signatures[index]));
  return { type, fields, hash: keccak256(raw), signers, digests, signatures };
}

// RFC 8785 of an object of ASCII strings: JavaScript's own order of strings is that of the RFC.
const canonical = (value) =>
  typeof value === "string"
    ? JSON.stringify(value)
    : `{${Object.keys(value)
        .sort()
        .map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`)
        .join(",")}}`;

function compare(given, expected, error) {
  if (given !== undefined && given !== expected) throw new Error(error);
}

const ANSWERS = {
  hashes: {
    digest({ hash, message, digest }) {
      const bytes = getBytes(message);
      const found = hash === "sha256" ? hexlify(sha256(bytes)) : same(keccak256(bytes), hexlify(keccak_256(bytes)));
      compare(digest, found, "another digest");
      return { digest: found };
    },
  },
  keys: {
    key({ secret }) {
      const publicKey = new SigningKey(secret).publicKey;
      same(publicKey, hexlify(secp256k1.getPublicKey(getBytes(secret), false)));
      return { publicKey: `0x${publicKey.slice(4)}`, address: computeAddress(publicKey) };
    },
    mnemonic({ mnemonic, path }) {
      const wallet = HDNodeWallet.fromPhrase(mnemonic, "", path);
      return { secret: wallet.privateKey, address: wallet.address };
    },
  },
  addresses: {
    show: ({ address }) => ({ text: getAddress(address) }),
    parse: ({ text }) => ({ address: getAddress(text).toLowerCase() }),
  },
  eip712: {
    type({ primaryType }) {
      const encodeType = TypedDataEncoder.from(typesOf(primaryType)).encodeType(primaryType);
      return { encodeType, typeHash: id(encodeType) };
    },
    domain: (given) => ({ separator: TypedDataEncoder.hashDomain(domainOf(given)) }),
    digest({ primaryType, domain, message, digest }) {
      const types = typesOf(primaryType);
      const found = TypedDataEncoder.hash(domainOf(domain), types, message);
      compare(digest, found, "another digest");
      return {
        encodeData: `0x${TypedDataEncoder.from(types).encodeData(primaryType, message).slice(66)}`,
        structHash: TypedDataEncoder.hashStruct(primaryType, types, message),
        digest: found,
      };
    },
  },
  signatures: {
    recover: ({ digest, signature }) => ({ address: recover(digest, signature) }),
    sign: ({ secret, digest }) => ({ signature: new SigningKey(secret).sign(digest).serialized }),
  },
  seals: {
    seal({ chainId, salt, blockHash, authority, seal }) {
      const digest = TypedDataEncoder.hash(domainOf({ chainId, salt }), typesOf("Seal"), { blockHash });
      compare(authority, recover(digest, seal), "not the authority's");
      return { digest };
    },
  },
  transactions: {
    transaction: (given, { secrets = [] } = {}) => {
      const { digests, signatures, ...found } = transaction(given);
      secrets.forEach((secret, index) => {
        same(new SigningKey(secret).sign(digests[index]).serialized, signatures[index]);
      });
      return { ...found, secrets };
    },
  },
  headers: {
    header: ({ headerBytes }) => ({ header: headerOf(headerBytes), hash: keccak256(headerBytes) }),
  },
  receipts: {
    receipt: ({ receiptBytes }) => ({ receipt: receiptOf(receiptBytes), leafHash: leafHash(receiptBytes) }),
  },
  genesis: {
    genesis({ file }, expected) {
      if (!expected) throw new Error("only valid files are of interest here");
      const members = JSON.parse(file);
      const text = canonical(members);
      const { headerBytes, stateRoot } = expected;
      const header = headerOf(headerBytes);
      same(header.parentHash, id(text));
      same(header.authority, members.authority);
      return {
        canonical: text,
        parentHash: id(text),
        stateRoot: same(header.stateRoot, stateRoot),
        headerBytes,
        genesisHash: keccak256(headerBytes),
        supply: toQuantity(Object.values(members.alloc).reduce((sum, amount) => sum + BigInt(amount), 0n)),
      };
    },
  },
  merkle: {
    async root({ entries, root }) {
      const found = await treeHead(entries);
      compare(root, found, "another root");
      return { root: found };
    },
    inclusion({ root, size, index, entry, path }) {
      const proof = { logIndex: BigInt(index).toString(), hashes: path.map((hash) => Buffer.from(getBytes(hash))) };
      const checkpoint = { logSize: BigInt(size), logHash: Buffer.from(getBytes(root)) };
      verifyMerkleInclusion({ inclusionProof: proof, canonicalizedBody: Buffer.from(getBytes(entry)) }, checkpoint);
      return { valid: true };
    },
    async consistency({ firstRoot, firstSize, secondRoot, secondSize, path }) {
      const [first, second] = [Number(firstSize), Number(secondSize)];
      if (first === 0 || first === second) throw new Error("nothing to verify: left to the caller");
      // This library wants the first root in front where the RFC leaves it out.
      const whole = (first & (first - 1)) === 0 && path.length ? [firstRoot, ...path] : path;
      const proof = {
        tree_size_1: first,
        tree_size_2: second,
        consistency_path: whole.map((hash) => getBytes(hash)),
      };
      if (!(await RFC9162.verifyConsistencyProof(getBytes(firstRoot), getBytes(secondRoot), proof)))
        throw new Error("refused");
      return { valid: true };
    },
  },
  chain: {
    // What can be checked of a block without executing it; `chain` is what went before.
    async block({ headerBytes, seal, transactions }, expected, chain) {
      const header = headerOf(headerBytes);
      const hash = keccak256(headerBytes);
      const domain = domainOf({ chainId: header.chainId, salt: chain.hashes[0] });
      same(header.parentHash, chain.hashes.at(-1));
      same(header.historyRoot, await treeHead(chain.hashes));
      same(header.txRoot, await treeHead(transactions));
      same(header.receiptsRoot, await treeHead(expected.receiptBytes));
      same(recover(TypedDataEncoder.hash(domain, typesOf("Seal"), { blockHash: hash }), seal), header.authority);
      chain.hashes.push(hash);
      const receipts = expected.receiptBytes.map(receiptOf);
      transactions.forEach((raw, index) => {
        const { hash: name, signers } = transaction({ chainId: domain.chainId, salt: domain.salt, raw });
        same(receipts[index].transactionHash, name);
        if (!signers.every((signer) => chain.people.has(signer))) throw new Error("signed by a stranger");
      });
      const { expired, changes, supply } = expected;
      return { hash, header, expired, receipts, receiptBytes: expected.receiptBytes, changes, supply };
    },
    genesis({ file }, { headerBytes, genesisHash }, chain) {
      same(headerOf(headerBytes).parentHash, id(canonical(JSON.parse(file))));
      chain.hashes = [same(keccak256(headerBytes), genesisHash)];
      chain.people = new Set([1, 2, 3, 4, 5, 6, 8].map((key) => computeAddress(toBeHex(key, 32)).toLowerCase()));
      return { headerBytes, genesisHash };
    },
  },
};

const answers = {};
for (const [file, cases] of Object.entries(JSON.parse(readFileSync(0, "utf8")))) {
  answers[file] = {};
  const before = {};
  for (const { name, kind, input, expected } of cases) {
    const answer = ANSWERS[file]?.[kind];
    if (!answer) continue;
    try {
      answers[file][name] = { expected: await answer(input, expected, before) };
    } catch (error) {
      answers[file][name] = { error: String(error.message) };
    }
  }
}
process.stdout.write(JSON.stringify(answers));
