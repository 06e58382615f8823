// Checks with the tools that authors of crawlers have: ajv (JSON Schema 2020-12) and AsyncAPI's own parser.
//   check.mjs json SCHEMA   reads one JSON value a line, prints 1 or 0 for each
//   check.mjs asyncapi FILE prints one diagnostic a line, errors and warnings
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(`${process.cwd()}/`);
const [what, file] = process.argv.slice(2);
const text = await readFile(file, 'utf8');
if (what === 'json') {
  const ajv = new (require('ajv/dist/2020').default)({ strict: true, allErrors: false });
  require('ajv-formats').default(ajv);
  ajv.addKeyword('example');
  const valid = ajv.compile(JSON.parse(text));
  const out = [];
  for await (const line of createInterface({ input: process.stdin })) out.push(valid(JSON.parse(line)) ? 1 : 0);
  console.log(out.join('\n'));
} else {
  const { Parser } = require('@asyncapi/parser');
  const { document, diagnostics } = await new Parser().parse(text, { source: file });
  for (const d of diagnostics) if (d.severity < 2) console.log(`${d.severity} ${d.code} ${d.path.join('.')}: ${d.message}`);
  if (document === undefined) console.log('0 no document');
}
