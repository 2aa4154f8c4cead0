// Plays recorded answers of a node to ethers and tells what ethers understood of them.
// In: {chainId, latest, block, hash, answers: {"method [params]": result}}
import { readFileSync } from "node:fs";
import { JsonRpcApiProvider, Network } from "ethers";

const question = JSON.parse(readFileSync(0, "utf8"));

class Recorded extends JsonRpcApiProvider {
  async _send(payload) {
    const calls = Array.isArray(payload) ? payload : [payload];
    return calls.map(({ id, method, params }) => {
      const key = `${method} ${JSON.stringify(params)}`;
      if (!(key in question.answers)) throw new Error(`not recorded: ${key}`);
      return { id, result: question.answers[key] };
    });
  }
}

const network = Network.from(question.chainId);
const provider = new Recorded(network, { staticNetwork: network });
provider._start();
const plain = (value) => JSON.parse(JSON.stringify(value, (_, v) => (typeof v === "bigint" ? v.toString() : v)));
const seen = [];
for (const hash of question.hashes) {
  const transaction = await provider.getTransaction(hash);
  const receipt = await provider.getTransactionReceipt(hash);
  seen.push({
    hash: transaction.hash,
    from: transaction.from,
    to: transaction.to,
    value: transaction.value.toString(),
    nonce: transaction.nonce,
    blockNumber: transaction.blockNumber,
    gasPrice: transaction.gasPrice.toString(),
    signature: transaction.signature.serialized,
    data: transaction.data,
    status: receipt.status,
    fee: receipt.fee.toString(),
    index: receipt.index,
  });
}
const block = await provider.getBlock(question.block, true);
const fees = await provider.getFeeData();
process.stdout.write(
  JSON.stringify({
    transactions: seen,
    prefetched: block.prefetchedTransactions.map((transaction) => transaction.hash),
    block: { number: block.number, hash: block.hash, miner: block.miner, timestamp: block.timestamp },
    balance: (await provider.getBalance(question.account)).toString(),
    nonce: await provider.getTransactionCount(question.account, "pending"),
    code: await provider.getCode(question.account),
    fees: plain({ gasPrice: fees.gasPrice, max: fees.maxFeePerGas, priority: fees.maxPriorityFeePerGas }),
  }),
);
provider.destroy();
