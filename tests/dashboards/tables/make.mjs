// usage: node make.mjs FOLDER <panels - FOLDER is what tools/npm.sh made; panels are a JSON list of
// {transformations, frames}, as Grafana's Prometheus data source gives frames.
//
// Prints a JSON list: for each panel its tables after the transformations, each a list of {name, values}.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

const installed = createRequire(resolve(process.argv[2], 'package.json'));
const { JSDOM } = installed('jsdom');
const { firstValueFrom } = installed('rxjs');

// Grafana's code looks for a browser when it is loaded.
globalThis.window = new JSDOM('', { url: 'http://localhost/' }).window;
globalThis.document = window.document;
globalThis.localStorage = window.localStorage;

const grafana = installed('@grafana/data');

// Some are there under two names.
const transformers = new Map(Object.values(grafana.standardTransformers).map((one) => [one.id, one]));
grafana.standardTransformersRegistry.setInit(() =>
  [...transformers.values()].map((transformation) => ({ id: transformation.id, name: transformation.name, transformation }))
);

async function made({ transformations, frames }) {
  const tables = await firstValueFrom(
    grafana.transformDataFrame(transformations, frames.map((frame) => grafana.createDataFrame(frame)))
  );
  return tables.map((table) =>
    table.fields.map((field) => ({ name: grafana.getFieldDisplayName(field, table, tables), values: [...field.values] }))
  );
}

const panels = JSON.parse(readFileSync(0, 'utf8'));
process.stdout.write(JSON.stringify(await Promise.all(panels.map(made))));
