#!/usr/bin/env node
// verify-file.mjs FILE AUTHORITY [GENESIS]: prints what a proof document proves. Exit status 0 only for success.
import { readFileSync } from "node:fs";

import { parseDocument } from "./documents.mjs";
import { verifyDocument } from "./verify.mjs";

const [file, authority, genesis, ...rest] = process.argv.slice(2);
if (authority === undefined || rest.length > 0) {
  console.error("usage: verify-file.mjs FILE AUTHORITY [GENESIS]");
  process.exit(2);
}
try {
  const document = parseDocument(readFileSync(file));
  if (genesis === undefined) console.error("warning: no GENESIS given, so the one that the file names is believed");
  const genesisHash = genesis ?? document?.genesisHash;
  console.log(JSON.stringify(verifyDocument(document, { authority, genesisHash }), null, 2));
} catch (error) {
  console.error(error.reason ? `refused: ${error.message}` : error.message);
  process.exit(1);
}
