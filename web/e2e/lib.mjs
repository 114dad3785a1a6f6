// Shared by the browser scripts: one Chromium, pages in a size and a theme, and named checks.
import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { chromium } from 'playwright-core';

export const BASE = (process.env.HADAL_URL ?? 'http://127.0.0.1:20416').replace(/\/$/, '');
export const SHOTS = resolve(process.env.HADAL_SCREENSHOTS ?? new URL('../../target/screenshots', import.meta.url).pathname);
export const SIZES = { desktop: { width: 1400, height: 900 }, phone: { width: 390, height: 844 } };
export const THEMES = ['dark', 'light'];

const ARGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

export const launch = () => chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ARGS });

/** A page of its own profile, which fails loudly: errors of the page are collected in `page.problems`. */
export async function openPage(browser, { size = 'desktop', theme = 'dark' } = {}) {
  const context = await browser.newContext({ viewport: SIZES[size], colorScheme: theme, reducedMotion: 'reduce', hasTouch: size === 'phone' });
  const page = await context.newPage();
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(String(error)));
  page.on('console', (message) => {
    // A wrong filter is answered with 400, which the browser reports as an error of its own.
    if (message.type() === 'error' && !/status of 400/.test(message.text())) page.problems.push(message.text());
  });
  page.setDefaultTimeout(8000);
  return page;
}

export async function shot(page, name) {
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: `${SHOTS}/${name}.png` });
}

/** Content, not skeletons, and charts painted. */
export async function settled(page) {
  await page.waitForFunction(() => !document.querySelector('.skeleton') && document.querySelector('main')?.children.length > 0);
  await page.waitForTimeout(500);
}

/** Text that is cut off without a title that holds the whole, and things that stick out of the window. */
export const layoutFaults = (page) =>
  page.evaluate(() => {
    const faults = [];
    const visible = (e) => e.checkVisibility?.({ checkOpacity: true, checkVisibilityCSS: true }) && e.getBoundingClientRect().width > 1;
    for (const e of document.querySelectorAll('main *, header *')) {
      const style = getComputedStyle(e);
      const ownText = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
      const hides = style.overflowX === 'hidden' || style.textOverflow === 'ellipsis';
      if (ownText && hides && visible(e) && e.scrollWidth > e.clientWidth + 1 && !e.closest('[title]') && !e.closest('.painted')) faults.push(`cut without a tooltip: ${e.textContent.slice(0, 60)}`);
      if (ownText && /\d{7,}/.test(e.textContent) && visible(e) && !e.closest('[title], .all-columns, .mono, input')) faults.push(`long number: ${e.textContent.slice(0, 60)}`);
    }
    if (document.documentElement.scrollWidth > innerWidth) faults.push(`the page is ${document.documentElement.scrollWidth} px wide`);
    return faults;
  });

export function checker() {
  let passed = 0;
  let failed = 0;
  return {
    async check(name, run) {
      try {
        await run();
        passed += 1;
        console.log(`ok ${name}`);
      } catch (error) {
        failed += 1;
        console.log(`not ok ${name}\n    ${String(error.message ?? error).split('\n').slice(0, 6).join('\n    ')}`);
      }
    },
    finish() {
      console.log(`${passed} passed, ${failed} failed`);
      return failed === 0 ? 0 : 1;
    },
  };
}

export function assert(condition, message) {
  if (!condition) throw new Error(message);
}
