// [{document or text, authority, genesisHash}] -> ["accepted", or the reason of the refusal], by clients/js.
// `text` is the file as bytes in hex. An error without a reason is a crash, and ends this script as one.
import { parseDocument } from "../../clients/js/documents.mjs";
import { verifyDocument } from "../../clients/js/verify.mjs";
import { answer } from "./ask.mjs";

function verdict({ document, text, authority, genesisHash }) {
  try {
    const value = text === undefined ? document : parseDocument(Buffer.from(text.slice(2), "hex"));
    verifyDocument(value, { authority, genesisHash });
    return "accepted";
  } catch (error) {
    if (error.reason === undefined) throw error;
    return error.reason;
  }
}

answer((questions) => questions.map(verdict));
