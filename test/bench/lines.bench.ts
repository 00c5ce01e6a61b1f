// How the sources and the documentation measure: files, functions, classes, circles of imports, sentences; beside the figures of others in the
// field, which were measured the same way once and do not run here.
import { circles, documents, documentText, measureFiles, productFiles, quantile, sentenceLengths } from '../support/structure.ts';
import { BANNED_IN_PRODUCT, BANNED_NAMES, BANNED_PHRASES, bannedIn } from '../support/words.ts';
import type { Bench, Figures } from './bench.ts';

const OTHERS = {
  functions: 'etcd/raft 7/30/395, foca 7/34/232, serf 12/43/198, js-libp2p 11/57/866',
  files: 'etcd/raft 155/576/2162, foca 172/843/4512, serf 97/455/1927, js-libp2p 143/540/4099',
  sentences: 'READMEs of others: 24 to 33',
};
const MAX_METHODS = 25;
const MAX_FIELDS = 12;

const spread = (values: readonly number[]): string => `${quantile(values, 0.5)}/${quantile(values, 0.9)}/${quantile(values, 1)}`;

async function run(): Promise<Figures> {
  const files = measureFiles();
  const functions = files.flatMap((file) => file.functions.map(({ lines }) => lines));
  const classes = files.flatMap((file) => file.classes).sort((one, other) => other.methods - one.methods);
  const large = classes.filter(({ methods, fields }) => methods > MAX_METHODS || fields > MAX_FIELDS);
  const inCircles = circles(productFiles());
  const banned = [
    ...documents().flatMap((path) => bannedIn(path, documentText(path), [...BANNED_PHRASES, ...BANNED_IN_PRODUCT])),
    ...productFiles().flatMap((path) =>
      bannedIn(path, documentText(path), [...BANNED_NAMES, ...BANNED_PHRASES, ...BANNED_IN_PRODUCT]),
    ),
  ];
  const sentences = documents().map((path) => ({
    path,
    words: sentenceLengths(documentText(path)).map(({ words }) => words),
  }));
  const all = sentences.flatMap(({ words }) => words);
  return {
    rows: [
      ['lines a file: median/p90/max', spread(files.map(({ lines }) => lines)), OTHERS.files],
      ['lines a function: median/p90/max', spread(functions), OTHERS.functions],
      ['methods a class: median/p90/max', spread(classes.map(({ methods }) => methods)), ''],
      ['fields a class: median/p90/max', spread(classes.map(({ fields }) => fields)), ''],
      ...large.map(({ where, methods, fields }): [string, string, string] => [
        `  ${where}`,
        `${methods} methods, ${fields} fields`,
        '',
      ]),
      ...inCircles.map((circle): [string, string, string] => [`circle of ${circle.length} files`, circle.join(', '), '']),
      ['words of our own that the field has a word for', String(banned.length), ''],
      ['words a sentence of README and docs: p90', String(quantile(all, 0.9)), OTHERS.sentences],
      ...sentences.map(({ path, words }): [string, string, string] => [
        `  ${path}: p90, of more than 25 words`,
        `${quantile(words, 0.9)}, ${words.filter((count) => count > 25).length} of ${words.length}`,
        '',
      ]),
    ],
    keys: {
      files: files.length,
      functions_p90: quantile(functions, 0.9),
      classes_max_methods: classes[0]?.methods,
      circles: inCircles.length,
      banned_words: banned.length,
      sentence_p90: quantile(all, 0.9),
    },
    unmeasured: [],
  };
}

export const lines: Bench = { name: 'lines', description: 'how the sources and the documentation measure', run };
