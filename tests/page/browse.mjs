// The page of `phds report` as a browser has it: nothing runs and nothing is fetched, it fits a telephone and a wide screen,
// axe-core finds nothing in light and dark, and it is printed on Letter paper with its tables.
//
//   node browse.mjs PAGE.html DIR     DIR is for pictures and the PDF

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import puppeteer from "puppeteer-core";

const [page_file, out] = process.argv.slice(2);
if (!out) {
  console.error("usage: node browse.mjs PAGE.html DIR");
  process.exit(2);
}
const address = pathToFileURL(resolve(page_file)).href;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const WIDTHS = [360, 800, 1400];
const SCHEMES = ["light", "dark"];

let passed = 0;
let failed = 0;
function check(what, faults) {
  if (faults.length === 0) {
    passed += 1;
  } else {
    failed += 1;
    console.error(`FAILED ${what}\n  ${faults.slice(0, 10).join("\n  ")}`);
  }
}

mkdirSync(out, { recursive: true });
const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--font-render-hinting=none"],
});
try {
  const page = await browser.newPage();
  const [said, asked] = [[], []];
  page.on("console", (message) => said.push(message.text()));
  page.on("pageerror", (error) => said.push(error.message));
  page.on("request", (request) => asked.push(request.url()));
  const open = async (width, scheme) => {
    await page.setViewport({ width, height: 900 });
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    await page.goto(address, { waitUntil: "networkidle0" });
  };

  for (const scheme of SCHEMES) {
    for (const width of WIDTHS) {
      await open(width, scheme);
      const wide = await page.evaluate(() => {
        const edge = document.documentElement.clientWidth;
        const inside = (element) => element.closest(".wide, .picture, .unseen, .skip");
        const over = [...document.querySelectorAll("body *")].filter(
          (element) => !inside(element) && element.getBoundingClientRect().right > edge + 0.5,
        );
        const whole = document.documentElement.scrollWidth > edge ? ["the page"] : [];
        return whole.concat(over.map((element) => element.outerHTML.slice(0, 100)));
      });
      check(`no overflow at ${width} px, ${scheme}`, wide);
      await page.screenshot({ path: `${out}/${width}-${scheme}.png`, fullPage: true });
    }
    // A figure has the ground of the page around it, in light and dark.
    const other = await page.evaluate(() => {
      const ground = getComputedStyle(document.body).backgroundColor;
      const paper = [...document.querySelectorAll(".phds-figure > rect.paper")];
      const wrong = paper.filter((rect) => getComputedStyle(rect).fill !== ground);
      return (paper.length ? [] : ["no figure"]).concat(wrong.map((rect) => rect.parentElement.id));
    });
    check(`figures are ${scheme}`, other);
    // What unfolds is looked at, too.
    await open(800, scheme);
    await page.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = true)));
    await page.evaluate(axe);
    const found = await page.evaluate(async () => {
      const { violations } = await window.axe.run(document, { resultTypes: ["violations"] });
      return violations.map((rule) => `${rule.id}: ${rule.help}: ${rule.nodes[0].html.slice(0, 120)}`);
    });
    check(`axe-core, ${scheme}`, found);
  }

  await open(800, "light");
  const faults = await page.evaluate(() => {
    const all = (selector) => [...document.querySelectorAll(selector)];
    const found = [];
    const fault = (what, elements) => elements.forEach((element) => found.push(`${what}: ${element.outerHTML.slice(0, 100)}`));
    fault("a script", all("script, iframe, object, embed, link, img, [onclick], [onload]"));
    const ids = all("[id]").map((element) => element.id);
    fault("an id that is there twice", all("[id]").filter((element) => ids.filter((id) => id === element.id).length > 1));
    fault("a link to nothing", all("a[href^='#']").filter((link) => !document.getElementById(link.hash.slice(1))));
    fault("a drawing without words", all("svg:not([role=img]), svg[role=img]:not(:has(> title)), svg[role=img]:not(:has(> desc))"));
    fault("a figure without a link to its table", all("figure").filter((figure) => !figure.querySelector("dd a[href^='#']")));
    fault("a figure without its caveats", all("figure").filter((figure) => !figure.querySelector(".caveats li")));
    fault("a figure without its marking", all("figure").filter((figure) => !/INTERNAL|PUBLIC/.test(figure.querySelector("figcaption").textContent)));
    fault("a table without a row of headings", all("table:not(:has(thead th[scope=col]))"));
    for (const name of ["header", "nav", "main", "footer"]) {
      if (all(`body > ${name}`).length !== 1) found.push(`not one ${name}`);
    }
    const levels = all("h1, h2, h3, h4").map((heading) => Number(heading.tagName[1]));
    if (levels.some((level, at) => level > (levels[at - 1] ?? 0) + 1)) found.push(`headings out of order: ${levels}`);
    return found;
  });
  check("landmarks, ids, links, words of drawings", faults);

  await page.keyboard.press("Tab");
  const first = await page.evaluate(() => {
    const { left, top } = document.activeElement.getBoundingClientRect();
    return document.activeElement.getAttribute("href") === "#content" && left >= 0 && top >= 0 ? [] : ["not the skip link, or not seen"];
  });
  check("the first key leads past the contents", first);
  const link = await page.$("figure dd a[href^='#']");
  const target = await link.evaluate((element) => element.hash.slice(1));
  await link.focus();
  await page.keyboard.press("Enter");
  await new Promise((done) => setTimeout(done, 300));
  const seen = await page.evaluate((id) => (document.getElementById(id).checkVisibility() ? [] : [id]), target);
  check("a link unfolds its table", seen);

  await open(800, "dark");
  await page.emulateMediaType("print");
  const hidden = await page.evaluate(() =>
    [...document.querySelectorAll("details:not(.long) > :not(summary)")]
      .filter((content) => content.getBoundingClientRect().height === 0)
      .map((content) => content.outerHTML.slice(0, 100)),
  );
  check("what unfolds is printed", hidden);
  const pdf = await page.pdf({ preferCSSPageSize: true, printBackground: true, tagged: true });
  writeFileSync(`${out}/report.pdf`, pdf);
  const boxes = Buffer.from(pdf).toString("latin1").match(/\/MediaBox\s*\[[^\]]*\]/g) ?? [];
  const letter = boxes.filter((box) => !/\[\s*0 0 612 792\s*\]/.test(box));
  check("printed on Letter", boxes.length === 0 ? ["no page"] : letter);

  check("nothing is said in the console", said);
  check("nothing is fetched but the page", [...new Set(asked)].filter((url) => url !== address));
} finally {
  await browser.close();
}
console.log(`page: ${passed} checks passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
