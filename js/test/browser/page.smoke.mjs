// Uses the example page in real Chromium, as a person would: `node --test test/browser/page.smoke.mjs`, after
// `npm run build`. With SCREENSHOTS=DIRECTORY, it leaves pictures there.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { image } from "../image.mjs";
import { startChromium, startOpenRegistry, startPages } from "./page.mjs";

let chromium;
let pages;
let registry;

before(async () => {
  registry = await startOpenRegistry();
  pages = await startPages();
  chromium = await startChromium();
});
after(async () => {
  await chromium?.close();
  await pages?.close();
  await registry?.close();
});

const LAYERS = [
  [
    { path: "etc/", type: "directory" },
    { path: "etc/os-release", content: 'NAME="Small"\nVERSION="1"\nHOME_URL="https://example.org/"\n' },
    { path: "etc/empty/", type: "directory" },
    { path: "bin", type: "symlink", target: "usr/bin" },
    { path: "usr/bin/tool", content: randomBytes(60_000), mode: 0o4755 },
  ],
  [{ path: "srv/data", content: randomBytes(2_000_000) }, { path: "README", content: "Nothing to see here.\n" }],
];

test("an image is pulled, looked at and removed", async () => {
  const reference = registry.serve("small:1", image(LAYERS));
  const page = await chromium.context.newPage();
  const problems = [];
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  page.on("pageerror", (error) => problems.push(String(error)));
  await page.goto(`${pages.origin}/examples/page/`);
  await page.getByText("None yet.").waitFor();
  await page.getByLabel("Reference").fill(reference);
  await page.keyboard.press("Enter");
  await page.getByRole("status").getByText("verified in").waitFor();
  assert.equal(await page.getByRole("list", { name: "Layers" }).getByText("unpacked").count(), 2);
  assert.equal(await page.getByRole("button", { name: `Remove ${reference}` }).count(), 1);
  const entries = page.getByRole("list", { name: "Entries" });
  await entries.getByRole("button", { name: "etc/" }).click();
  await entries.getByRole("button", { name: "os-release" }).click();
  await page.getByText("HOME_URL").waitFor();
  await picture(page, "light", "light");
  await page.getByRole("button", { name: "Root" }).click();
  await entries.getByRole("button", { name: "bin →" }).waitFor();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await entries.getByRole("button", { name: "tool" }).click();
  await page.getByText("00000000").waitFor();
  await picture(page, "dark", "dark");
  await page.setViewportSize({ width: 400, height: 900 });
  await picture(page, "narrow", "light");
  await page.getByRole("button", { name: `Remove ${reference}` }).click();
  await page.getByText("None yet.").waitFor();
  assert.deepEqual(problems, []);
});

test("what goes wrong is said, with advice", async () => {
  const page = await chromium.context.newPage();
  await page.goto(`${pages.origin}/examples/page/`);
  await page.getByLabel("Reference").fill(`${registry.host}/missing:1`);
  await page.getByRole("button", { name: "Pull", exact: true }).click();
  const alert = page.getByRole("alert").filter({ hasText: "missing" });
  await alert.waitFor();
  assert.match(await alert.textContent(), /\n/, "advice stands below");
  assert.equal(await page.getByRole("button", { name: "Pull", exact: true }).isEnabled(), true);
});

async function picture(page, name, colorScheme) {
  if (process.env.SCREENSHOTS === undefined) return;
  await page.emulateMedia({ colorScheme });
  await page.screenshot({ path: join(process.env.SCREENSHOTS, `${name}.png`), fullPage: true });
}
