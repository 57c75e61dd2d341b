// Drives Chromium for the Go package beside it. One JSON request per line on
// stdin, one JSON answer per line on stdout; the end of stdin ends everything.
//
//   {"id":1,"do":"open","player":"hls.js","url":"…","width":1280,"height":720} → {"id":1,"result":{"page":1}}
//   {"id":2,"do":"report","page":1}       → {"id":2,"result":{…}}
//   {"id":3,"do":"reset","page":1}        forget what was measured so far
//   {"id":4,"do":"screenshot","page":1,"path":"…png"}
//   {"id":5,"do":"eval","page":1,"script":"document.title"}
//   {"id":6,"do":"close","page":1}
//   {"id":7,"do":"limit","page":1,"bps":800000}   of what comes down; 0 = no limit

import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const measure = fileURLToPath(new URL("harness/measure.js", import.meta.url));

const browser = await chromium.launch({
  executablePath: process.argv[2],
  headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
    // Pages that ask a foreign host show it as a bad response.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost", "--autoplay-policy=no-user-gesture-required"],
});
const pages = new Map();
let lastPage = 0;

const requests = {
  async open({ url, player, width = 1280, height = 720, mobile = false }) {
    const context = await browser.newContext({ viewport: { width, height }, isMobile: mobile, hasTouch: mobile, deviceScaleFactor: 1 });
    const page = await context.newPage();
    const seen = { player, console: [], badResponses: [] };
    const note = (list, item) => { if (list.length < 100) list.push(item); };
    page.on("console", (m) => { if (m.type() === "error" || m.type() === "warning") note(seen.console, `${m.type()}: ${m.text()}`); });
    page.on("pageerror", (e) => note(seen.console, `uncaught: ${e.message}`));
    page.on("crash", () => note(seen.console, "uncaught: the page crashed"));
    page.on("response", (r) => { if (r.status() >= 400) note(seen.badResponses, { status: r.status(), url: r.url() }); });
    page.on("requestfailed", (r) => {
      const why = r.failure()?.errorText ?? "";
      if (why !== "net::ERR_ABORTED") note(seen.badResponses, { status: 0, url: r.url(), error: why }); // aborted: by the player itself
    });
    await page.addInitScript({ path: measure });
    await page.goto(url, { waitUntil: "domcontentloaded", timeout: 20000 });
    pages.set(++lastPage, { context, page, seen });
    return { page: lastPage };
  },
  async report({ page }) {
    const p = pages.get(page);
    return { ...(await p.page.evaluate(() => globalThis.measured())), ...p.seen };
  },
  async reset({ page }) {
    const p = pages.get(page);
    p.seen.console.length = p.seen.badResponses.length = 0;
    await p.page.evaluate(() => globalThis.measureAgain());
  },
  async screenshot({ page, path }) { await pages.get(page).page.screenshot({ path }); },
  async eval({ page, script }) { return await pages.get(page).page.evaluate(script) ?? null; },
  async limit({ page, bps = 0 }) {
    const p = pages.get(page);
    p.cdp ??= await p.context.newCDPSession(p.page);
    await p.cdp.send("Network.enable");
    await p.cdp.send("Network.emulateNetworkConditions", { offline: false, latency: 0, uploadThroughput: -1, downloadThroughput: bps ? bps / 8 : -1 });
  },
  async close({ page }) {
    await pages.get(page).context.close();
    pages.delete(page);
  },
};

async function answer(line) {
  let id = 0;
  try {
    const request = JSON.parse(line);
    id = request.id;
    if (request.do !== "open" && !pages.has(request.page)) throw new Error(`page ${request.page} is not open`);
    return { id, result: (await requests[request.do](request)) ?? null };
  } catch (e) {
    return { id, error: String(e.message ?? e) };
  }
}

process.stdout.write(`${JSON.stringify({ id: 0, result: browser.version() })}\n`);
for await (const line of createInterface({ input: process.stdin })) {
  answer(line).then((a) => process.stdout.write(`${JSON.stringify(a)}\n`));
}
await browser.close();
