// ethers at a running node: its reads, a pool's life signed by two of its wallets, and how it names the node's refusals.
// In: {url, secrets: [payer, payee], resourceId, missing}; out: see the end of each part.
import { readFileSync } from "node:fs";
import { JsonRpcProvider, keccak256, toQuantity, Wallet } from "ethers";

const { url, secrets, resourceId, missing } = JSON.parse(readFileSync(0, "utf8"));
// ethers remembers a block number for 250 ms; a pool's life is over by then, and waitForTransaction would wait for a block
// that never comes.
const provider = new JsonRpcProvider(url, undefined, { pollingInterval: 50, cacheTimeout: -1 });
const [payer, payee] = secrets.map((secret) => new Wallet(secret, provider));
const plain = (value) =>
  JSON.parse(JSON.stringify(value, (_, member) => (typeof member === "bigint" ? toQuantity(member) : member)));

async function reads() {
  const latest = await provider.getBlock("latest");
  const [network, blockNumber, balance, nonce, pendingNonce, code, fees] = await Promise.all([
    provider.getNetwork(),
    provider.getBlockNumber(),
    provider.getBalance(payer.address),
    payer.getNonce(),
    payer.getNonce("pending"),
    provider.getCode(payer.address),
    provider.getFeeData(),
  ]);
  return plain({
    chainId: network.chainId,
    blockNumber,
    balance,
    nonce,
    pendingNonce,
    code,
    gasPrice: fees.gasPrice,
    first: (await provider.getBlock(0)).hash,
    latest: { number: latest.number, hash: latest.hash, timestamp: latest.timestamp, miner: latest.miner },
    byHash: (await provider.getBlock(latest.hash)).number,
    missing: [
      await provider.getTransaction(missing),
      await provider.getTransactionReceipt(missing),
      await provider.getBlock(missing),
      await provider.getBlock(10 ** 6),
    ],
    clientVersion: await provider.send("web3_clientVersion", []),
    accounts: await provider.listAccounts(),
  });
}

// The signature of what the node says is to be signed. ethers wants the types without EIP712Domain.
async function sign(wallet, document, fields) {
  const { types, domain, message } = await provider.send("tx_typedData", [document, fields]);
  const { EIP712Domain, ...own } = types;
  return wallet.signTypedData(domain, own, message);
}

async function signed(wallet, type, fields) {
  return { type, fields, signature: await sign(wallet, type, fields) };
}

const submit = (transaction, wait = "committed") => provider.send("tx_submit", { transaction, wait });

async function life() {
  const gasPrice = await provider.send("eth_gasPrice", []);
  const terms = { resourceId, deposit: "0x3e8", collateral: "0x7d0", duration: "0x64", fee: gasPrice };
  const created = await submit(await signed(payer, "CreatePool", { ...terms, nonce: toQuantity(await payer.getNonce()) }));
  const fields = { target: payee.address, amount: "0x190", cptxHash: created.hash, tgtSeq: "0x1", fee: gasPrice };
  const settled = await submit({
    type: "ServicePayment",
    fields,
    paymentSignature: await sign(payer, "ServicePayment", fields),
    signature: await sign(payee, "Settlement", fields),
  });
  const receipt = await provider.waitForTransaction(created.hash, 1, 5000);
  const transaction = await provider.getTransaction(settled.hash);
  return plain({
    created,
    settled,
    status: receipt.status,
    from: [receipt.from, transaction.from],
    raw: [(await provider.getTransaction(created.hash)).data, transaction.data].map((data) => keccak256(data)),
    pool: await provider.send("pool_get", [created.hash]),
  });
}

const failing = async (promise) => {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("was not refused");
};

// Our methods are none of ethers': it gives their errors on as they are. What it would make of the same error in answer
// to eth_sendRawTransaction is asked of it directly.
async function refused(promise) {
  const error = await failing(promise);
  const sent = error.error ?? error.info.error;
  const mapped = provider.getRpcError({ method: "eth_sendRawTransaction", params: ["0x"] }, { error: sent });
  return { code: error.code, reason: sent.data.reason, mapped: mapped.code };
}

async function refusals() {
  const gasPrice = await provider.send("eth_gasPrice", []);
  const nonce = await payer.getNonce();
  const transfer = (changes) =>
    signed(payer, "Transfer", { to: payee.address, amount: "0x1", fee: gasPrice, nonce: toQuantity(nonce), ...changes });
  await provider.send("dev_setSealing", ["manual"]);
  await submit(await transfer({}), "pooled");
  const plainTransfer = { to: payee.address, value: 1n, gasLimit: 21000, gasPrice: 10n ** 12n, type: 0 };
  const { chainId } = await provider.getNetwork();
  const ethereum = await new Wallet(secrets[0]).signTransaction({ ...plainTransfer, nonce, chainId });
  return {
    used: await refused(submit(await transfer({ nonce: "0x0" }), "pooled")),
    poor: await refused(submit(await transfer({ amount: `0x${"f".repeat(32)}`, nonce: toQuantity(nonce + 1) }), "pooled")),
    underpriced: await refused(submit(await transfer({ amount: "0x2" }), "pooled")),
    unknown: await refused(provider.send("eth_sendTransaction", [{}])),
    broadcast: (await failing(provider.broadcastTransaction(ethereum))).code,
    sent: (await failing(payer.sendTransaction({ ...plainTransfer, nonce }))).code,
    estimated: (await failing(payer.sendTransaction({ to: payee.address, value: 1n }))).code,
    malformed: await refused(provider.send("tx_submit", ["0x01"])),
  };
}

const answer = { reads: await reads(), life: await life(), refusals: await refusals() };
provider.destroy();
process.stdout.write(JSON.stringify(answer));
