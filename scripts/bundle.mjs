// Builds dist/ from src/: the engine (both doors on one bundle, heavy libraries in lazy chunks), the worker
// that runs on the VPS, the two doors and the licences. Two builds of the same sources are byte-identical.
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';
import { licences } from './licences.mjs';

const root = process.cwd();
// Below the project, so that ncc finds node_modules; and outside build/, whose package.json says
// "type": "module", because only a CommonJS bundle carries ssh2 and libpg-query (they use __dirname).
const work = mkdtempSync(join(root, 'build-bundle-'));
const out = process.argv[2] ?? join(root, 'dist');

try {
  const compiled = join(work, 'compiled');
  run(
    'node_modules/typescript/bin/tsc',
    '-p',
    '.',
    '--outDir',
    compiled,
    '--sourceMap',
    'false',
    '--noCheck',
  );
  const engine = bundle(join(compiled, 'src/entry/engine.js'), join(work, 'engine'));
  const worker = bundle(join(compiled, 'src/worker/main.js'), join(work, 'worker'));
  inlineParser(engine);
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  cpSync(engine, join(out, 'engine'), { recursive: true });
  if (readdirSync(worker).length !== 1)
    throw new Error(`the worker must be one file: ${readdirSync(worker).join(', ')}`);
  cpSync(join(worker, 'index.js'), join(out, 'worker.js'));
  writeFileSync(join(out, 'index.js'), `require('./engine/index.js').action({ dist: __dirname });\n`);
  writeFileSync(join(out, 'post.js'), `require('./engine/index.js').post({ dist: __dirname });\n`);
  writeFileSync(
    join(out, 'cli.js'),
    `#!/usr/bin/env node\nrequire('./engine/index.js').cli({ dist: __dirname });\n`,
    { mode: 0o755 },
  );
  writeFileSync(join(out, 'LICENSES.txt'), licences(root));
} finally {
  rmSync(work, { recursive: true, force: true });
}

function run(script, ...args) {
  execFileSync(process.execPath, [script, ...args], { stdio: ['ignore', 'inherit', 'inherit'] });
}

/** Bundles one entry into a folder of its own, and refuses what must never be in dist. */
function bundle(entry, folder) {
  // Module ids are made from paths relative to the working folder: seen from `work`, its own name is not in them.
  const ncc = join(root, 'node_modules/@vercel/ncc/dist/ncc/cli.js');
  const options = ['-o', folder, '--quiet', '--no-cache'];
  execFileSync(process.execPath, [ncc, 'build', entry, ...options], {
    cwd: work,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  // Shipped by ssh2 for Windows' PuTTY agent; we never talk to an agent.
  rmSync(join(folder, 'pagent.exe'), { force: true });
  for (const leftover of ['package.json', 'lib'])
    rmSync(join(folder, leftover), { recursive: true, force: true });
  const foreign = readdirSync(folder, { recursive: true })
    .map(String)
    .filter((file) => !file.endsWith('.js'));
  const binaries = foreign.filter((file) => /\.(node|exe|dll|so|wasm)$/.test(file));
  if (binaries.length > 0)
    throw new Error(
      `binary files in the bundle: ${binaries.join(', ')}. Was npm run with install scripts on?`,
    );
  for (const file of foreign)
    if (existsSync(join(folder, file)) && /\.(txt|map|ts|cjs|json|md)$/.test(file))
      rmSync(join(folder, file));
  return folder;
}

/**
 * libpg-query reads its WebAssembly from a file that the bundler does not copy. The bytes are put into the
 * lazy chunk that loads them, compressed: no binary file in the repository, and nothing to find at run time.
 */
function inlineParser(folder) {
  const chunks = readdirSync(folder).filter(
    (file) => file.endsWith('.js') && readFileSync(join(folder, file), 'utf8').includes('PgQueryModule'),
  );
  if (chunks.length !== 1) throw new Error(`expected one chunk with the parser, found ${chunks.length}`);
  const path = join(folder, chunks[0]);
  const wasm = readFileSync('node_modules/libpg-query/wasm/libpg-query.wasm');
  const packed = brotliCompressSync(wasm, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: wasm.length },
  }).toString('base64');
  const unpack = `require("node:zlib").brotliDecompressSync(Buffer.from("${packed}","base64"))`;
  const code = readFileSync(path, 'utf8');
  const first = replaceOnce(code, 'var wasmBinary;', `var wasmBinary=${unpack};`);
  // Emscripten's loader looks at its file even when it was given the bytes.
  const reader = 'function getBinarySync(file){';
  writeFileSync(path, replaceOnce(first, reader, `${reader}if(wasmBinary){return wasmBinary}`));
}

/** Replaces text that must stand there exactly once: a new version of the library must not slip through. */
function replaceOnce(text, old, replacement) {
  const parts = text.split(old);
  if (parts.length !== 2)
    throw new Error(`expected ${JSON.stringify(old)} once, found it ${parts.length - 1} times`);
  return parts.join(replacement);
}
