// Screenshots of every page in both themes and both sizes, against any server: `HADAL_URL=… node e2e/gallery.mjs [prefix]`.
import { BASE, launch, layoutFaults, openPage, settled, shot, SIZES, THEMES } from './lib.mjs';

const prefix = process.argv[2] ? `${process.argv[2]}-` : '';
const only = process.argv[3];

/** The busiest cards are the first ones with figures; their drawer is the richest. */
async function openFirstNode(page) {
  await page.locator('[data-testid=map-node]:not(.folded)').nth(2).click();
  await page.getByTestId('drawer').waitFor();
}

async function openFirstRequest(page) {
  await page.locator('[data-testid=request-row] [role=cell]').first().click();
  await page.getByTestId('drawer').waitFor();
}

async function openFirstTrace(page) {
  await page.locator('[data-testid=trace-row] [role=cell]').first().click();
  await page.getByTestId('trace-line').first().waitFor();
}

async function openFirstSpan(page) {
  await openFirstTrace(page);
  await page.getByTestId('trace-line').nth(1).click();
  await page.getByTestId('drawer').waitFor();
}

const PAGES = [
  ['map', '/map', null],
  ['map-node', '/map', openFirstNode],
  ['requests', '/requests', null],
  ['request', '/requests', openFirstRequest],
  ['map-worst', '/map?worst=yes', null],
  ['traces', '/traces', null],
  ['traces-failed', '/traces?show=failed', null],
  ['traces-compare', '/traces?compare=slow', null],
  ['trace', '/traces', openFirstTrace],
  ['trace-failed', '/traces?show=failed', openFirstTrace],
  ['span', '/traces', openFirstSpan],
  ['filter-error', '/requests?filter=status+%3D+ok++auto_servic+%3D+shop', null],
  ['empty', '/requests?filter=auto_service+%3D+nobody', null],
  ['agents', '/agents', null],
];

const browser = await launch();
let faults = 0;
try {
  for (const theme of THEMES) {
    for (const size of Object.keys(SIZES)) {
      const page = await openPage(browser, { size, theme });
      for (const [name, path, act] of PAGES) {
        if (only && only !== name) continue;
        await page.goto(BASE + path);
        await settled(page);
        if (act) await act(page);
        await settled(page);
        await shot(page, `${prefix}${name}-${theme}-${size}`);
        for (const fault of await layoutFaults(page)) {
          faults += 1;
          console.log(`${name} ${theme} ${size}: ${fault}`);
        }
      }
      page.problems.forEach((problem) => console.log(`${theme} ${size}: ${problem}`));
      await page.context().close();
    }
  }
} finally {
  await browser.close();
}
console.log(`gallery done, ${faults} layout faults`);
