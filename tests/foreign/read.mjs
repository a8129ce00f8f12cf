// Read one message as a consumer in JavaScript does and print what it sees, as JSON.
// node read.mjs json|cbor < body
import { readFileSync } from "node:fs";
import { decode } from "cbor-x";

const body = readFileSync(0);
const record = process.argv[2] === "cbor" ? decode(body) : JSON.parse(body.toString("utf8"));
const kinds = {};
function plain(value, path) {
  if (ArrayBuffer.isView(value)) {
    kinds[path] = value.constructor.name;
    return Array.from(value);
  }
  if (typeof value === "bigint") {
    kinds[path] = "bigint";
    return value.toString();
  }
  if (Array.isArray(value)) return value.map((one) => plain(one, `${path}[]`));
  if (value && typeof value === "object")
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v, `${path}.${k}`)]));
  return value;
}
console.log(JSON.stringify({ record: plain(record, ""), kinds }));
