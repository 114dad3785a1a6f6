// Fails the build when the page outgrows its budget: JS and CSS, gzipped.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const BUDGET = 500 * 1024;
const assets = new URL('../dist/assets/', import.meta.url).pathname;
const files = readdirSync(assets).filter((name) => /\.(js|css)$/.test(name));
const sizes = files.map((name) => [name, gzipSync(readFileSync(join(assets, name))).length]);
const total = sizes.reduce((sum, [, size]) => sum + size, 0);
const kb = (bytes) => `${(bytes / 1024).toFixed(1)} KB`;

for (const [name, size] of sizes) console.log(`${kb(size).padStart(10)}  ${name}`);
console.log(`${kb(total).padStart(10)}  total gzipped, budget ${kb(BUDGET)}`);
if (total > BUDGET) {
  console.error('the bundle is over its budget');
  process.exit(1);
}
