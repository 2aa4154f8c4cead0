// Compiles Pools.sol; writes {"bytecode", "compiler"} as JSON to standard output. No network, no file is written.
import { readFileSync } from "node:fs";
import solc from "solc";

const source = "Pools.sol";
const input = {
  language: "Solidity",
  sources: { [source]: { content: readFileSync(new URL(source, import.meta.url), "utf8") } },
  settings: {
    viaIR: true,
    optimizer: { enabled: true, runs: 1_000_000 },
    metadata: { appendCBOR: false, bytecodeHash: "none" },
    outputSelection: { [source]: { Pools: ["evm.bytecode.object"] } },
  },
};
const output = JSON.parse(solc.compile(JSON.stringify(input)));
if (output.errors) {
  throw new Error(output.errors.map((error) => error.formattedMessage).join("\n"));
}
const bytecode = output.contracts[source].Pools.evm.bytecode.object;
process.stdout.write(JSON.stringify({ bytecode, compiler: solc.version() }));
