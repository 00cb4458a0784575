// Takes pictures of MLflow's pages in headless Chromium.
//
//   node tests/browser/screenshot.mjs table URL OUT.png    a search's own page, as it opens
//   node tests/browser/screenshot.mjs nested URL OUT.png   the page of all searches, the last one unfolded
//   node tests/browser/screenshot.mjs curves URL OUT.png   a search's own page, its curves
//   node tests/browser/screenshot.mjs page URL OUT.png     any other page
//
// URLs are printed by `cnnsearch ui`. Needs playwright-core (npm install playwright-core) in the
// current folder, and Chromium at $CHROMIUM or /usr/bin/chromium. Ends with 1 when what is to be
// seen does not appear.
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const { chromium } = createRequire(join(process.cwd(), "package.json"))("playwright-core");
const [kind, url, out] = process.argv.slice(2);
const profile = mkdtempSync(join(tmpdir(), "cnnsearch-browser-"));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  viewport: { width: 1440, height: 900 },
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
  ],
});
// MLflow opens its assistant on a first visit, over what we came to see.
await context.addInitScript(() => {
  localStorage.setItem("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true");
  localStorage.setItem("mlflow.assistant.panelOpen_v1", "false");
});

const shoot = {
  async table(page) {
    await page.locator(".ag-row a").first().waitFor({ timeout: 30000 });
    await closeBanner(page);
    console.log(JSON.stringify(await rows(page)));
  },
  async nested(page) {
    await page.locator(".ag-row").first().waitFor({ timeout: 30000 });
    await closeBanner(page);
    await page.locator(".ag-row a").first().locator("xpath=ancestor::*[@role='gridcell']//button").first().click();
    await page.waitForFunction(() => document.querySelectorAll(".ag-row").length > 3, null, { timeout: 15000 });
    console.log(JSON.stringify(await rows(page)));
  },
  async curves(page) {
    await page.locator(".ag-row").first().waitFor({ timeout: 30000 });
    await page.goto(page.url() + "&compareRunsMode=CHART");
    await page.locator(".js-plotly-plot").first().waitFor({ timeout: 30000 });
    await closeBanner(page);
    await page.waitForTimeout(3000);
  },
  async page(page) {
    await page.waitForTimeout(5000);
  },
};

async function closeBanner(page) {
  await page.getByRole("button", { name: "Hide banner" }).click();
}

async function rows(page) {
  const cells = await page.locator(".ag-center-cols-container .ag-row").first().locator("[col-id]").all();
  return Promise.all(cells.map(async (cell) => [await cell.getAttribute("col-id"), await cell.innerText()]));
}

let code = 0;
try {
  const page = context.pages()[0];
  await page.goto(url, { waitUntil: "domcontentloaded" });
  await shoot[kind](page);
  await page.waitForTimeout(1000);
  await page.screenshot({ path: out });
} catch (error) {
  console.error(String(error));
  await context.pages()[0].screenshot({ path: out });
  code = 1;
} finally {
  await context.close();
  rmSync(profile, { recursive: true, force: true });
}
process.exit(code);
