// Drives a running Hadal as a person would: map → link → drawer → requests → one request, the slowest trace → a span →
// similar requests, the filter line, the keys, a reload, both themes. Configured by environment:
//   HADAL_URL             the server, http://127.0.0.1:20416 unless given
//   HADAL_EXPECT_EDGES    links that the map must show, as JSON: [["nginx","shop.py"],["shop.py","stock.py"]]
//   HADAL_EXPECT_ENTRY    who asks the client of the first link, load.py unless given
//   HADAL_SCREENSHOTS     folder for screenshots, ../target/screenshots unless given
//   HADAL_WAIT_SECONDS    how long the links may take to appear, 60 unless given
import { assert, BASE, checker, launch, layoutFaults, openPage, settled, shot, SIZES, THEMES } from './lib.mjs';

const EDGES = JSON.parse(
  process.env.HADAL_EXPECT_EDGES ??
    '[["nginx","shop.py"],["shop.py","stock.py"],["stock.py","redis-server"],["shop.py","prices"],["prices","postgres"]]',
);
const WAIT_MS = Number(process.env.HADAL_WAIT_SECONDS ?? 60) * 1000;
const [CLIENT, SERVER] = EDGES[0];
const ENTRY = process.env.HADAL_EXPECT_ENTRY ?? 'load.py';

/** Only these links: what else runs on the host may come and go while positions are compared. */
const ONLY_EDGES = `/map?filter=${encodeURIComponent(`auto_service_1 = ${EDGES.map(([, server]) => server).join('|')}`)}`;

const { check, finish } = checker();
const node = (page, name) => page.locator(`[data-testid=map-node][data-name=${JSON.stringify(name)}]`);
const edge = (page, client, server) => page.locator(`[data-testid=map-edge][data-client=${JSON.stringify(client)}][data-server=${JSON.stringify(server)}]`);
const filterInput = (page) => page.getByTestId('filter-input');
const rows = (page) => page.getByTestId('request-row');
/** The time cell: it is no value to filter by, so a click on it opens the row. */
const openRow = (page, index) => rows(page).nth(index).locator('[role=cell]').first().click();
const address = (page) => new URL(page.url());
const open = async (page, path) => {
  await page.goto(BASE + path);
  await settled(page);
};
/** No-break spaces read as spaces. */
const textOf = async (locator) => (await locator.innerText()).replace(/[\u00a0\u202f]/g, ' ');
const popoverText = async (page) => {
  await page.locator('.popover').waitFor();
  return textOf(page.locator('.popover'));
};
const setFilter = async (page, text) => {
  await filterInput(page).fill(text);
  // Leaving the line applies it.
  await filterInput(page).blur();
};

async function mapChecks(page) {
  await check('the start page is the map', async () => {
    await open(page, '/');
    assert(address(page).pathname === '/map', `landed on ${page.url()}`);
    assert(/Map .* Hadal/.test(await page.title()), `title is ${await page.title()}`);
  });
  for (const [client, server] of EDGES) {
    await check(`the map shows ${client} → ${server}`, async () => {
      await edge(page, client, server).waitFor({ state: 'attached', timeout: WAIT_MS });
      await node(page, client).waitFor();
      await node(page, server).waitFor();
    });
  }
  await check('a card says rate, errors and latency with units', async () => {
    const text = await textOf(node(page, SERVER));
    assert(/req\/(s|min|h)/.test(text) && /%/.test(text) && /(µs|ms|s)\b/.test(text), `card says ${text}`);
  });
  await check('the health badge explains itself', async () => {
    await page.getByTestId('health-badge').click();
    const text = await popoverText(page);
    assert(/lost/.test(text), `it says ${text}`);
    await page.keyboard.press('Escape');
    assert((await page.locator('.popover').count()) === 0, 'Esc did not close it');
  });
  await check('positions stay while data refreshes', async () => {
    await open(page, ONLY_EDGES);
    await node(page, SERVER).waitFor();
    const before = await node(page, SERVER).boundingBox();
    await page.waitForTimeout(6000);
    const after = await node(page, SERVER).boundingBox();
    assert(Math.abs(before.x - after.x) < 1 && Math.abs(before.y - after.y) < 1, 'the card moved');
  });
  await check('a dragged card stays where it was put, also after a reload', async () => {
    const from = await node(page, SERVER).boundingBox();
    await page.mouse.move(from.x + 40, from.y + 12);
    await page.mouse.down();
    await page.mouse.move(from.x + 60, from.y + 122, { steps: 6 });
    await page.mouse.up();
    await page.waitForTimeout(300);
    const moved = await node(page, SERVER).boundingBox();
    assert(moved.y > from.y + 60, `it moved by ${moved.y - from.y}`);
    assert((await page.getByTestId('drawer').count()) === 0, 'dragging opened the drawer');
    await page.reload();
    await settled(page);
    const other = await node(page, CLIENT).boundingBox();
    const again = await node(page, SERVER).boundingBox();
    assert(again.y - other.y > 40, 'the place was forgotten');
    await page.getByRole('button', { name: 'Put moved services back' }).click();
    await page.waitForTimeout(600);
  });
  await check('Tab and Enter open a service, Esc closes it', async () => {
    await node(page, SERVER).focus();
    await page.keyboard.press('Enter');
    await page.getByTestId('drawer').waitFor();
    assert(address(page).searchParams.get('server') === SERVER, page.url());
    await page.keyboard.press('Escape');
    await page.getByTestId('drawer').waitFor({ state: 'detached' });
  });
}

async function keyboardChecks(page) {
  await check('links are reached and opened by keyboard', async () => {
    await open(page, '/map');
    const link = edge(page, CLIENT, SERVER);
    await link.waitFor({ state: 'attached' });
    // From the control before the map, Tab comes to the links; how many come first depends on what else is there.
    await page.getByTestId('health-badge').focus();
    for (let i = 0; i < 60 && !(await link.evaluate((e) => e === document.activeElement)); i++) await page.keyboard.press('Tab');
    assert(await link.evaluate((e) => e === document.activeElement), 'Tab does not reach the link');
    await page.locator('.call-label.front').waitFor();
    await page.keyboard.press('Enter');
    await page.getByTestId('drawer').waitFor();
    assert(address(page).searchParams.get('client') === CLIENT, page.url());
    await page.keyboard.press('Escape');
  });
  await check('a tag is offered once to group by, and its other name is understood', async () => {
    const names = await page.getByTestId('group-by').locator('option').allInnerTexts();
    assert(names.includes('auto_service') && !names.includes('service'), `offered are ${names}`);
    await open(page, '/map?group_by=service');
    assert((await page.getByTestId('group-by').inputValue()) === 'auto_service', 'another group is shown');
    await open(page, `/map?filter=${encodeURIComponent(`service_1 = ${SERVER}`)}`);
    await node(page, SERVER).waitFor();
  });
}

async function walkChecks(page) {
  await check('a click on a link opens its drawer', async () => {
    await open(page, '/map');
    await edge(page, CLIENT, SERVER).waitFor({ state: 'attached', timeout: WAIT_MS });
    const point = await edge(page, CLIENT, SERVER).locator('.call-line').evaluate((line) => {
      // Not the middle: a label may stand there, and a real pointer has to hit the line itself.
      const p = line.getPointAtLength(line.getTotalLength() * 0.3).matrixTransform(line.getScreenCTM());
      return { x: p.x, y: p.y };
    });
    await page.mouse.move(point.x, point.y);
    await page.locator('.call-label.front').waitFor();
    await page.mouse.click(point.x, point.y);
    await page.getByTestId('drawer').waitFor();
    const text = await textOf(page.getByTestId('drawer'));
    assert(text.includes(CLIENT) && text.includes(SERVER), `drawer says ${text.slice(0, 200)}`);
    await settled(page);
    assert(/Endpoints/.test(await textOf(page.getByTestId('drawer'))), 'no endpoints');
    assert((await page.locator('.drawer canvas').count()) >= 3, 'fewer than three charts');
  });
  await check('its requests are those of this link', async () => {
    await page.getByTestId('to-requests').click();
    await rows(page).first().waitFor();
    await settled(page);
    const filter = address(page).searchParams.get('filter') ?? '';
    assert(filter.includes(`auto_service_0 = ${CLIENT}`) && filter.includes(`auto_service_1 = ${SERVER}`), `filter is ${filter}`);
    for (const row of (await rows(page).all()).slice(0, 8)) {
      const text = await textOf(row);
      assert(text.includes(CLIENT) && text.includes(SERVER), `row says ${text}`);
    }
  });
  await check('a row opens one request with both messages, timing and tags', async () => {
    await openRow(page, 0);
    await settled(page);
    const text = await textOf(page.getByTestId('drawer'));
    for (const part of ['Request', 'Response', 'Where the time went', CLIENT, SERVER, 'TCP']) assert(text.includes(part), `no ${part}`);
    assert(/(waited|took) [\d.]+ (µs|ms|s)/.test(text), 'no duration in words');
  });
  await check('a reload restores the view', async () => {
    const before = page.url();
    await page.reload();
    await page.getByTestId('drawer').waitFor();
    await settled(page);
    assert(page.url() === before, `${before} became ${page.url()}`);
    assert((await filterInput(page).inputValue()).includes(SERVER), 'the filter line is empty');
  });
  await check('back leads to the map again', async () => {
    while (address(page).pathname !== '/map') await page.goBack();
    await node(page, SERVER).waitFor();
  });
}

const lines = (page) => page.getByTestId('trace-line');
const currentLine = (page) => page.locator('[data-testid=trace-line][aria-selected=true]');
/** Traces of the demo: what else runs on the host has some of its own. */
const ONLY_ENTRY = encodeURIComponent(`auto_service_0 = ${ENTRY}  auto_service_1 = ${CLIENT}`);

/** Opens a trace that goes as far as the demo's first link. */
async function openTrace(page, query = '') {
  // Requests to it are slower than those that its client answers itself.
  await open(page, `/traces?filter=${ONLY_ENTRY}${query}`);
  await page.getByTestId('trace-row').first().locator('[role=cell]').first().click();
  await lines(page).first().waitFor();
  await settled(page);
}

async function traceChecks(page) {
  await check('the start page lists the slowest and the failed requests', async () => {
    await open(page, `/map?filter=${ONLY_ENTRY}`);
    await page.getByTestId('worst').click();
    await page.getByTestId('worst-row').first().waitFor();
    const text = await textOf(page.getByTestId('drawer'));
    for (const part of ['Slowest', 'Failed', CLIENT]) assert(text.includes(part), `drawer says ${text}`);
    await settled(page);
    await shot(page, 'worst');
  });
  await check('the slowest leads to its trace, which says what took the time', async () => {
    await page.getByTestId('worst-row').first().click();
    await page.waitForURL((url) => /^\/traces\/\d+$/.test(url.pathname));
    await lines(page).nth(1).waitFor();
    const sentence = await textOf(page.getByTestId('trace-sentence'));
    assert(/^[\d.]+ (µs|ms|s), /.test(sentence), `it says ${sentence}`);
    const text = await textOf(page.getByTestId('waterfall'));
    for (const service of [CLIENT, SERVER]) assert(text.includes(service), `no ${service} in ${text}`);
    assert(/Trace · Hadal$/.test(await page.title()), `title is ${await page.title()}`);
  });
  await check('its bars have shades and a critical path', async () => {
    assert((await page.locator('.line-track .stretch.self').count()) > 0 && (await page.locator('.line-track .critical').count()) > 0, 'no bars');
    const elbow = page.locator('.elbow').first();
    assert(/(task|answer|id).*%/i.test(await elbow.getAttribute('title')), `evidence is ${await elbow.getAttribute('title')}`);
  });
  await check('arrows choose, fold and unfold; Enter opens the span', async () => {
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowLeft');
    await page.waitForFunction(() => document.querySelectorAll('[data-testid=trace-line]').length === 1);
    await page.keyboard.press('ArrowRight');
    await lines(page).nth(1).waitFor();
    await page.keyboard.press('ArrowDown');
    assert((await textOf(currentLine(page))).includes(SERVER), `the line is ${await textOf(currentLine(page))}`);
    await page.keyboard.press('Enter');
    await page.getByTestId('drawer').waitFor();
    await settled(page);
    const text = await textOf(page.getByTestId('drawer'));
    for (const part of ['In the trace', 'How surely', 'Where the time went', 'Request', 'Response', `Client: ${CLIENT}`, `Server: ${SERVER}`, 'All columns, seen at the client process']) assert(text.includes(part), `no ${part}`);
    await shot(page, 'span');
  });
  await check('a reload restores the span', async () => {
    await page.reload();
    await page.getByTestId('drawer').waitFor();
  });
  await check('similar requests are those of the same service and endpoint', async () => {
    await page.getByTestId('to-similar').click();
    await page.waitForURL((url) => url.pathname === '/requests');
    await rows(page).first().waitFor();
    const filter = address(page).searchParams.get('filter') ?? '';
    assert(filter.includes(`auto_service_1 = ${SERVER}`) && filter.includes('endpoint = '), `filter is ${filter}`);
  });
  await check('a request leads to its trace', async () => {
    await openRow(page, 0);
    await page.getByTestId('to-trace').click();
    await lines(page).nth(1).waitFor();
    assert((await textOf(page.getByTestId('waterfall'))).includes(CLIENT), 'what caused it is missing');
  });
  await check('e goes to the next error', async () => {
    await openTrace(page, '&show=failed');
    await page.keyboard.press('e');
    await currentLine(page).waitFor();
    assert((await currentLine(page).getAttribute('class')).includes('failed'), 'the line has not failed');
    assert(/It failed/.test(await textOf(page.getByTestId('trace-sentence'))), 'the sentence does not say so');
  });
  await check('the search within a trace finds calls', async () => {
    await page.keyboard.press('/');
    await page.keyboard.type(CLIENT);
    await page.locator('.line.found').first().waitFor();
    await page.keyboard.press('Enter');
    assert((await currentLine(page).getAttribute('class')).includes('found'), 'Enter does not go there');
    await page.keyboard.press('Escape');
  });
  await check('slow requests are compared with the others', async () => {
    await open(page, `/traces?filter=${ONLY_ENTRY}`);
    await page.getByTestId('compare').click();
    await page.getByTestId('drawer').waitFor();
    await page.locator('.compare').waitFor({ timeout: 15_000 });
    assert(/took longer than [\d.]+ (µs|ms|s)/.test(await textOf(page.getByTestId('drawer'))), await textOf(page.getByTestId('drawer')));
    await shot(page, 'compare');
  });
  await check('a request that does not exist says so', async () => {
    await open(page, '/traces/17');
    assert(/no such request/.test(await textOf(page.getByTestId('empty-state'))), 'it does not');
    // The browser reports the answer 404 itself.
    page.problems = page.problems.filter((problem) => !/status of 404/.test(problem));
  });
}

async function filterChecks(page) {
  await open(page, '/requests');
  await check('the filter line completes keys and values', async () => {
    await page.keyboard.press('/');
    await page.keyboard.type('auto_service_1');
    await page.keyboard.type(' = ');
    await page.getByRole('option').filter({ hasText: SERVER }).first().waitFor();
    await page.getByRole('option').filter({ hasText: SERVER }).first().click();
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => location.search.includes('filter='));
    assert(address(page).searchParams.get('filter') === `auto_service_1 = ${SERVER}`, page.url());
  });
  await check('a wrong filter is underlined where it is wrong', async () => {
    await setFilter(page, `auto_service_1 = ${SERVER}  stauts = ok`);
    await page.getByTestId('filter-underline').waitFor();
    assert((await textOf(page.getByTestId('filter-error'))).length > 10, 'no explanation');
    const marked = await page.getByTestId('filter-underline').innerText();
    assert(marked === 'stauts', `underlined is ${marked}`);
    await shot(page, 'filter-error');
  });
  await check('the suggestion repairs it', async () => {
    await page.getByTestId('filter-error').getByRole('button', { name: /^Use/ }).click();
    await rows(page).first().waitFor();
    assert(address(page).searchParams.get('filter').includes('status = ok'), page.url());
  });
  await check('the cross of a token drops it and nothing else', async () => {
    await open(page, `/requests?filter=${encodeURIComponent(`auto_service_1 = ${SERVER}  status = ok  latency > 1us`)}`);
    await page.getByTestId('filter-cross').nth(1).click();
    await page.waitForFunction(() => !location.search.includes('status'));
    assert(address(page).searchParams.get('filter') === `auto_service_1 = ${SERVER}  latency > 1us`, page.url());
    assert((await page.getByTestId('filter-cross').count()) === 2, 'crosses are not those of the tokens');
  });
  await check('rows stand in the order of their times', async () => {
    await open(page, '/requests');
    await page.waitForTimeout(5000);
    const times = await page.locator('[data-testid=request-row] [role=cell]:first-child').allInnerTexts();
    assert(times.length > 5 && times.join() === [...times].sort().reverse().join(), `they are ${times}`);
  });
  await check('a value offers only this, not this, group by and copy', async () => {
    await open(page, '/requests');
    await rows(page).first().getByRole('button', { name: /./ }).nth(1).click();
    const text = await popoverText(page);
    for (const action of ['Only this', 'Not this', 'Group map by', 'Copy']) assert(text.includes(action), `menu says ${text}`);
    await page.getByRole('menuitem', { name: 'Only this' }).click();
    await page.waitForFunction(() => location.search.includes('filter=auto_service_1'));
  });
  await check('an empty answer says what to do', async () => {
    await open(page, '/requests?filter=auto_service+%3D+there-is-no-such-service');
    const text = await textOf(page.getByTestId('empty-state'));
    assert(/filter/i.test(text), `it says ${text}`);
  });
}

async function keyChecks(page) {
  await open(page, '/map');
  await check('g r, g t, g a and g m go to the pages', async () => {
    for (const [keys, path] of [['gr', '/requests'], ['gt', '/traces'], ['ga', '/agents'], ['gm', '/map']]) {
      await page.keyboard.type(keys);
      await page.waitForURL((url) => url.pathname === path);
    }
  });
  await check('? lists the keys and Esc closes the list', async () => {
    await page.keyboard.press('?');
    await page.getByTestId('keys-overlay').waitFor();
    const text = await textOf(page.getByTestId('keys-overlay'));
    for (const word of ['Map', 'Requests', 'Traces', 'Agents', 'Next error', 'Live or paused', 'Next row', 'filter line']) assert(text.includes(word), `no ${word}`);
    await shot(page, 'keys');
    await page.keyboard.press('Escape');
    await page.getByTestId('keys-overlay').waitFor({ state: 'detached' });
  });
  await check('. pauses and goes live again', async () => {
    await page.keyboard.press('.');
    await page.waitForFunction(() => location.search.includes('to='));
    assert(/Paused/.test(await textOf(page.getByTestId('live-toggle'))), 'not paused');
    await page.keyboard.press('.');
    await page.waitForFunction(() => !location.search.includes('to='));
  });
  await check('[ goes back in time and the browser undoes it', async () => {
    await page.keyboard.press('[');
    await page.waitForFunction(() => location.search.includes('to='));
    await page.goBack();
    await page.waitForFunction(() => !location.search.includes('to='));
  });
  await check('j, k, Enter and Esc work on rows', async () => {
    await open(page, '/requests');
    await rows(page).first().waitFor();
    await page.keyboard.press('j');
    await page.keyboard.press('j');
    await page.keyboard.press('k');
    await page.keyboard.press('Enter');
    await page.getByTestId('drawer').waitFor();
    const first = address(page).searchParams.get('request');
    await page.keyboard.press('j');
    await page.waitForFunction((id) => !location.search.includes(`request=${id}`), first);
    await page.keyboard.press('Escape');
    await page.getByTestId('drawer').waitFor({ state: 'detached' });
  });
  await check('scrolling holds the live tail, and the button takes what is new', async () => {
    await open(page, '/requests');
    await page.locator('.table-scroll').evaluate((e) => e.scrollTo(0, 400));
    await page.locator('.new-rows').waitFor({ timeout: 15_000 });
    await page.locator('.new-rows').click();
    await page.waitForFunction(() => document.querySelector('.table-scroll').scrollTop < 5);
  });
  await check('dragging over the histogram zooms, back undoes it', async () => {
    await open(page, '/requests');
    const box = await page.locator('.u-over').first().boundingBox();
    await page.mouse.move(box.x + box.width * 0.3, box.y + 30);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.6, box.y + 30, { steps: 5 });
    await page.mouse.up();
    await page.waitForFunction(() => location.search.includes('from='));
    await page.goBack();
    await page.waitForFunction(() => !location.search.includes('from='));
  });
}

async function agentChecks(page) {
  await check('the agents page shows an agent and the server', async () => {
    await open(page, '/agents');
    await page.getByTestId('agent').first().waitFor();
    const text = await textOf(page.locator('main'));
    for (const part of ['Capabilities', 'Losses', 'Kernel', 'This server']) assert(text.includes(part), `no ${part}`);
  });
}

/** Every page in every theme and size: it must render without errors, cut words or a sideways scroll. */
async function lookChecks(browser) {
  const views = [
    ['map', '/map'], ['map-node', `/map?server=${encodeURIComponent(SERVER)}`], ['map-edge', `/map?client=${encodeURIComponent(CLIENT)}&server=${encodeURIComponent(SERVER)}`],
    ['requests', '/requests'], ['request', '/requests'], ['agents', '/agents'],
    ['map-worst', '/map?worst=yes'], ['traces', '/traces'], ['traces-compare', `/traces?compare=failed&filter=${ONLY_ENTRY}`], ['trace', null],
  ];
  for (const theme of THEMES) {
    for (const size of Object.keys(SIZES)) {
      const page = await openPage(browser, { theme, size });
      for (const [name, path] of views) {
        await check(`${name} looks right, ${theme}, ${size}`, async () => {
          if (path === null) await openTrace(page, '&show=failed');
          else await open(page, path);
          if (name === 'request') {
            await rows(page).first().waitFor();
            await openRow(page, 0);
            await settled(page);
          }
          await shot(page, `${name}-${theme}-${size}`);
          assert((await page.evaluate(() => document.documentElement.dataset.theme)) === theme, 'wrong theme');
          const faults = [...(await layoutFaults(page)), ...page.problems.splice(0)];
          assert(faults.length === 0, faults.join('\n'));
        });
      }
      await page.context().close();
    }
  }
}

const browser = await launch();
try {
  const page = await openPage(browser);
  for (const part of [mapChecks, keyboardChecks, walkChecks, traceChecks, filterChecks, keyChecks, agentChecks]) await part(page);
  await check('no errors in the browser console', async () => assert(page.problems.length === 0, page.problems.join('\n')));
  await page.context().close();
  await lookChecks(browser);
} finally {
  await browser.close();
}
process.exit(finish());
