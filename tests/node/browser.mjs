// A real browser at the end of a pipe. Each line of standard input is a call, ["name", argument, ...] of an entry of
// `calls` below; each line of standard output is {"result": ...} or {"error": "..."}.
// usage: node browser.mjs CHROMIUM
import { createInterface } from 'node:readline';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const axe = createRequire(import.meta.url).resolve('axe-core');
const flags = ['--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update'];
const browser = await chromium.launch({
  executablePath: process.argv[2],
  chromiumSandbox: process.getuid() !== 0,
  args: [...flags, '--disable-sync', '--force-color-profile=srgb'],
});
let context, page, seen;

const calls = {
  async open(options) {
    await context?.close();
    context = await browser.newContext({ locale: 'en-GB', timezoneId: 'UTC', ...options });
    page = await context.newPage();
    page.setDefaultTimeout(15000);
    seen = { requests: [], complaints: [] };
    page.on('request', request => seen.requests.push(request.url()));
    page.on('pageerror', error => seen.complaints.push(String(error)));
    page.on('console', message => {
      if (['error', 'warning'].includes(message.type())) seen.complaints.push(message.text());
    });
  },
  async goto(url) { return (await page.goto(url)).status(); },
  async evaluate(script) {
    try {
      return await page.evaluate(script);
    } catch (error) {
      if (!String(error).includes('Execution context was destroyed')) throw error;
      return page.evaluate(script); // the page was just being reloaded
    }
  },
  async fill(selector, text) { await page.fill(selector, text); },
  async select(selector, value) { await page.selectOption(selector, value); },
  async click(selector) { await page.click(selector); },
  async press(...keys) { for (const key of keys) await page.keyboard.press(key); },
  async text(selector) { return page.innerText(selector); },
  async screenshot(path, fullPage) { await page.screenshot({ path, fullPage, scale: 'device' }); },
  async tree(selector) { return page.locator(selector).ariaSnapshot(); },
  async seen() { return seen; },
  // axe-core goes round the page's own policy, through the debugger
  async axe() {
    await page.evaluate((await import('node:fs')).readFileSync(axe, 'utf8'));
    const { violations } = await page.evaluate('axe.run()');
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(node => node.html).join(' ')}`);
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const [name, ...parameters] = JSON.parse(line);
  let answer;
  try {
    answer = { result: (await calls[name](...parameters)) ?? null };
  } catch (error) {
    answer = { error: String(error) };
  }
  console.log(JSON.stringify(answer));
}
await browser.close();
