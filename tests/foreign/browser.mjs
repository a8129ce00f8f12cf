// A real browser that obeys one JSON line after another: Chromium of the system, without a window.
// node browser.mjs CHROMIUM; commands are the keys of `deeds`.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const program = process.argv[2];
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const browser = await chromium.launch({
  executablePath: program,
  args: process.getuid() === 0 ? ["--no-sandbox"] : [],
});
let context = null;
let page = null;
let said = [];
let asked = [];

const deeds = {
  fresh: async (options) => { // a browser without a past
    await context?.close();
    context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    [said, asked] = [[], []];
  },
  open: async (url) => {
    page = await context.newPage();
    page.on("console", (line) => ["error", "warning"].includes(line.type()) && said.push(line.text()));
    page.on("pageerror", (error) => said.push(String(error.stack)));
    page.on("request", (request) => asked.push(request.url()));
    await page.goto(url);
    return page.url();
  },
  close: () => page.close().then(() => { page = context.pages()[0]; }),
  eval: (code) => page.evaluate(code),
  wait: async (code) => { // waitForFunction would need unsafe-eval, which the page forbids
    while (!(await page.evaluate(code))) await new Promise((done) => setTimeout(done, 50));
  },
  click: (selector) => page.click(selector, { timeout: 0 }),
  press: (key) => page.keyboard.press(key),
  choose: ([selector, value]) => page.selectOption(selector, value),
  size: ([w, h]) => page.setViewportSize({ width: w, height: h }),
  shot: (path) => page.screenshot({ path }).then(() => path),
  drag: async ([selector, dx, dy, ...from]) => { // from a place in shares of the element
    const [x, y] = await place(selector, from);
    await page.mouse.move(x, y);
    await page.mouse.down();
    await page.mouse.move(x + dx, y + dy, { steps: 4 });
    await page.mouse.up();
  },
  clicks: async ([selector, places, last = 1]) => { // the last place `last` times
    for (const [i, at] of places.entries()) {
      const [x, y] = await place(selector, at);
      await page.mouse.click(x, y, { clickCount: i + 1 === places.length ? last : 1 });
    }
  },
  axe: async () => {
    // The page's policy allows no script of others, so it comes over the debugger's protocol.
    await page.evaluate(axe);
    const found = await page.evaluate(`axe.run(document, { runOnly: ${JSON.stringify(RULES)} })`);
    return found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(" ")).join(", ")}`);
  },
  said: () => said,
  asked: () => asked,
};

async function place(selector, [x = 0.5, y = 0.5]) {
  const box = await page.locator(selector).boundingBox();
  return [box.x + box.width * x, box.y + box.height * y];
}

console.log("{}");
for await (const line of createInterface({ input: process.stdin })) {
  const [[name, given]] = Object.entries(JSON.parse(line));
  try {
    console.log(JSON.stringify({ is: (await deeds[name](given)) ?? null }));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error.stack) }));
  }
}
await browser.close();
