// Parse an AsyncAPI document and print what a generator finds in it, as JSON.
// node asyncapi.mjs FILE
import { Parser, fromFile } from "@asyncapi/parser";

const { document, diagnostics } = await fromFile(new Parser(), process.argv[2]).parse();
const channels = document ? document.channels().all() : [];
console.log(
  JSON.stringify({
    errors: diagnostics.filter((d) => d.severity === 0).map((d) => `${d.path.join(".")}: ${d.message}`),
    channels: Object.fromEntries(
      channels.map((c) => [c.address(), c.messages().all().map((m) => m.id()).sort()]),
    ),
    operations: document ? document.operations().all().length : 0,
    titles: document
      ? document.messages().all().map((m) => m.payload()?.title() ?? "")
      : [],
  }),
);
