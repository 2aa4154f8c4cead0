// ethers as a wallet.
// In: {documents: [{domain, types, primaryType, message, secret, signature}], phrases: [{phrase, count}], texts: [hex]}
//     and life: {domain, types: {primary type: types}, payer, payee, messages}: see `live`
// Out: {documents: [{digest, signature, signer, v, address}], phrases: [[{secret, address}]], texts: [keccak256], life: [raw]}
// where signer is whose the given signature is, and address the secret's.
import { readFileSync } from "node:fs";
import {
  computeAddress,
  concat,
  HDNodeWallet,
  keccak256,
  Mnemonic,
  Signature,
  toBeHex,
  TypedDataEncoder,
  verifyTypedData,
  Wallet,
} from "ethers";

async function sign({ domain, types, primaryType, message, secret, signature }) {
  const wallet = new Wallet(secret);
  const encoder = TypedDataEncoder.from(types);
  if (encoder.primaryType !== primaryType) throw new Error(`ethers takes ${encoder.primaryType} for the primary type`);
  return {
    digest: TypedDataEncoder.hash(domain, types, message),
    signature: await wallet.signTypedData(domain, types, message),
    signer: verifyTypedData(domain, types, message, signature),
    v: Signature.from(signature).v,
    address: wallet.address,
  };
}

function derive({ phrase, count }) {
  const root = HDNodeWallet.fromMnemonic(Mnemonic.fromPhrase(phrase), "m/44'/60'/0'/0");
  return Array.from({ length: count }, (_, index) => {
    const { privateKey } = root.deriveChild(index);
    return { secret: privateKey, address: computeAddress(privateKey) };
  });
}

// Puts a type byte, the ABI words of the fields and the signatures together.
const assemble = (type, words, ...parts) => concat([toBeHex(type, 1), ...words.map((word) => toBeHex(word, 32)), ...parts]);

// The life of a pool: a Transfer, a CreatePool, a settlement of it and one that signs too much.
async function live({ domain, types, payer, payee, messages }) {
  const [from, to] = [new Wallet(payer), new Wallet(payee)];
  const { transfer, pool, payments, fee } = messages;
  const wordsOf = (type, message) => types[type][type].map(({ name }) => message[name]);
  const one = { to: to.address, ...transfer };
  const raws = [
    assemble(1, wordsOf("Transfer", one), await from.signTypedData(domain, types.Transfer, one)),
    assemble(2, wordsOf("CreatePool", pool), await from.signTypedData(domain, types.CreatePool, pool)),
  ];
  const cptxHash = keccak256(raws[1]);
  for (const { amount, tgtSeq } of payments) {
    const payment = { target: to.address, amount, cptxHash, tgtSeq };
    const promised = await from.signTypedData(domain, types.ServicePayment, payment);
    const published = await to.signTypedData(domain, types.Settlement, { payment, fee });
    raws.push(assemble(3, wordsOf("ServicePayment", payment), promised, toBeHex(fee, 32), published));
  }
  return raws;
}

const { documents = [], phrases = [], texts = [], life } = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(
  JSON.stringify({
    documents: await Promise.all(documents.map(sign)),
    phrases: phrases.map(derive),
    texts: texts.map((text) => keccak256(text)),
    life: life ? await live(life) : [],
  }),
);
