// Real browsers, driven: Chromium through its own protocol, Firefox through WebDriver BiDi.
import path from "node:path";
import { required } from "../harness/programs.mjs";

/** Starts Chromium with a profile in this folder, which lasts until it is closed. */
export async function startChromium(folder) {
  const { chromium } = await import("playwright-core");
  // The default context keeps OPFS in memory, and measures nothing real.
  const context = await chromium.launchPersistentContext(path.join(folder, "chromium"), {
    executablePath: required("/usr/bin/chromium", "apt-get install chromium"),
    headless: true,
    args: CHROMIUM,
  });
  return {
    name: "Chromium",
    version: context.browser()?.version(),
    async open(url) {
      const page = await context.newPage();
      const errors = [];
      page.on("pageerror", (error) => errors.push(error));
      page.on("console", (message) => message.type() === "error" && errors.push(new Error(message.text())));
      await page.goto(url);
      return { ...common(page, errors), send: async (...call) => (await context.newCDPSession(page)).send(...call) };
    },
    close: () => context.close(),
  };
}

/** As root there is no sandbox; the others keep it from looking for hosts that are none of the test's. */
const CHROMIUM = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Starts Firefox with a profile in this folder, which lasts until it is closed. */
export async function startFirefox(folder) {
  const { default: puppeteer } = await import("puppeteer-core");
  const browser = await puppeteer.launch({
    browser: "firefox",
    executablePath: required("/usr/bin/firefox-esr", "apt-get install firefox-esr"),
    headless: true,
    userDataDir: path.join(folder, "firefox"),
    protocolTimeout: 600_000,
  });
  return {
    name: "Firefox",
    version: await browser.version(),
    async open(url) {
      const page = await browser.newPage();
      const errors = [];
      page.on("pageerror", (error) => errors.push(error));
      await page.goto(url);
      return common(page, errors);
    },
    close: () => browser.close(),
  };
}

/** What both drivers call the same. */
function common(page, errors) {
  return {
    errors,
    evaluate: (work, argument) => page.evaluate(work, argument),
    async reload() {
      await page.reload();
    },
    async screenshot(file) {
      await page.screenshot({ path: file });
    },
    page,
    close: () => page.close(),
  };
}

/** Waits until the page has run its script. */
export async function ready(page) {
  for (let turn = 0; turn < 200; turn++) {
    if (await page.evaluate(() => globalThis.underTest !== undefined)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`the page's script did not run: ${page.errors.map(String).join("; ")}`);
}
