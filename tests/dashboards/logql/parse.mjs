// usage: node parse.mjs FOLDER <queries - FOLDER is what tools/npm.sh made; queries are a JSON list of LogQL.
//
// Prints a JSON list: for each query the positions where the grammar could not go on, and the labels by which its
// streams are chosen.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

const { parser } = createRequire(resolve(process.argv[2], 'package.json'))('@grafana/lezer-logql');

function choosesStreams(node) {
  return node !== null && (node.name === 'Selector' || choosesStreams(node.parent));
}

function parsed(query) {
  const errors = [];
  const labels = [];
  parser.parse(query).iterate({
    enter(node) {
      if (node.type.isError) errors.push(node.from);
      if (node.name !== 'Matcher' || !choosesStreams(node.node)) return;
      const label = node.node.getChild('Identifier');
      if (label) labels.push(query.slice(label.from, label.to));
    },
  });
  return { errors, labels };
}

const queries = JSON.parse(readFileSync(0, 'utf8'));
process.stdout.write(JSON.stringify(queries.map(parsed)));
