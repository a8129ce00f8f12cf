// Compile every schema of a folder with ajv in strict mode, then validate records.
// node validate.mjs FOLDER < lines of {"schema": "event.json", "record": {...}}; prints one line of
// JSON for each record: null, or what is wrong.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import Ajv2020 from "ajv/dist/2020.js";

const folder = process.argv[2];
const ajv = new Ajv2020.default({ strict: true, strictTuples: true, allErrors: true });
const none = ["asyncapi.json", "bundle.json", "skeletons.json"];
const names = readdirSync(folder).filter((n) => n.endsWith(".json") && !none.includes(n));
for (const name of names) ajv.addSchema(JSON.parse(readFileSync(join(folder, name), "utf8")), name);
for (const name of names) ajv.getSchema(name);
for (const line of readFileSync(0, "utf8").split("\n").filter(Boolean)) {
  const { schema, record } = JSON.parse(line);
  const validate = ajv.getSchema(schema);
  console.log(validate(record) ? "null" : JSON.stringify(ajv.errorsText(validate.errors)));
}
