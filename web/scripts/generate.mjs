// Types of the HTTP API out of its OpenAPI document: `hadal openapi > openapi.json`, then `npm run generate`.
// With --check nothing is written, and a stale file is an error.
import { readFileSync, writeFileSync } from 'node:fs';

const SOURCE = new URL('../openapi.json', import.meta.url);
const TARGET = new URL('../src/api/schema.ts', import.meta.url);

const SIMPLE = { string: 'string', number: 'number', integer: 'number', boolean: 'boolean', null: 'null' };
const key = (name) => (/^[A-Za-z_]\w*$/.test(name) ? name : JSON.stringify(name));
const union = (types) => [...new Set(types)].join(' | ');
const comment = (text, indent) => (text ? `${indent}/** ${text.trim().replace(/\s*\n\s*/g, ' ').replaceAll('*/', '*\\/')} */\n` : '');

function typeOf(schema, where) {
  if (schema.$ref) return schema.$ref.replace('#/components/schemas/', '');
  if (schema.enum) return union(schema.enum.map((value) => JSON.stringify(value)));
  const options = schema.oneOf ?? schema.anyOf;
  if (options) return union(options.map((option) => typeOf(option, where)));
  if (Array.isArray(schema.type)) return union(schema.type.map((type) => typeOf({ ...schema, type }, where)));
  if (schema.type === 'array') {
    const item = typeOf(schema.items, where);
    return item.includes(' | ') ? `(${item})[]` : `${item}[]`;
  }
  if (schema.type === 'object') return objectOf(schema, where);
  if (schema.type === undefined) return 'unknown';
  const simple = SIMPLE[schema.type];
  if (!simple) throw new Error(`${where}: no type for ${JSON.stringify(schema)}`);
  return simple;
}

/** An object without named properties: a map of one type, or anything at all. */
function objectOf(schema, where) {
  if (schema.properties) throw new Error(`${where}: an object within an object needs a name of its own`);
  return `Record<string, ${typeof schema.additionalProperties === 'object' ? typeOf(schema.additionalProperties, where) : 'unknown'}>`;
}

function declaration([name, schema]) {
  const head = comment(schema.description, '');
  if (schema.type !== 'object' || !schema.properties) return `${head}export type ${name} = ${typeOf(schema, name)};\n`;
  const required = new Set(schema.required ?? []);
  const fields = Object.entries(schema.properties).map(
    ([field, of]) => `${comment(of.description, '  ')}  ${key(field)}${required.has(field) ? '' : '?'}: ${typeOf(of, `${name}.${field}`)};\n`,
  );
  return `${head}export interface ${name} {\n${fields.join('')}}\n`;
}

const schemas = JSON.parse(readFileSync(SOURCE, 'utf8')).components.schemas;
const byName = Object.entries(schemas).sort(([a], [b]) => (a < b ? -1 : 1));
const text = `// @generated from openapi.json by \`npm run generate\`. Do not edit.\n\n${byName.map(declaration).join('\n')}`;

if (!process.argv.includes('--check')) writeFileSync(TARGET, text);
else if (readFileSync(TARGET, 'utf8') !== text) {
  console.error('src/api/schema.ts does not belong to openapi.json: run `npm run generate`');
  process.exit(1);
}
