// usage: node units.mjs FOLDER - FOLDER is what tools/npm.sh made. Prints a JSON list of the units that Grafana knows.
import { createRequire } from 'node:module';
import { resolve } from 'node:path';

const installed = createRequire(resolve(process.argv[2], 'package.json'));
const { JSDOM } = installed('jsdom');

// Grafana's code looks for a browser; Node.js has a navigator of its own as of version 21.
globalThis.window = new JSDOM('', { url: 'http://localhost/' }).window;
globalThis.document = window.document;
globalThis.localStorage = window.localStorage;
globalThis.navigator ??= window.navigator;

const { getValueFormats } = installed('@grafana/data');
const units = getValueFormats().flatMap((category) => category.submenu.map((unit) => unit.value));
process.stdout.write(JSON.stringify(units));
