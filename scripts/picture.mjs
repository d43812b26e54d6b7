// Draws a job summary as GitHub shows it: `node scripts/picture.mjs build/demo/v3.md docs/job-summary.png`; with a
// third word only what stands above that heading (`... build/demo/v2.md docs/job-summary-success.png Migrations`).
// Needs chromium (Debian's package); the renderers come from npm into a temporary folder.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const [source = 'build/demo/v3.md', target = 'docs/job-summary.png', until] = process.argv.slice(2);
const RENDERERS = ['marked@18.2.1', 'mermaid@11.17.2', 'github-markdown-css@5.8.1'];
const WIDTH = 1_012;

const folder = mkdtempSync(join(tmpdir(), 'picture-'));
try {
  writeFileSync(join(folder, 'package.json'), '{}');
  run('npm', 'install', '--ignore-scripts', '--no-audit', '--no-fund', '--silent', ...RENDERERS);
  const { marked } = await import(pathToFileURL(createRequire(join(folder, 'x')).resolve('marked')).href);
  const page = join(folder, 'page.html');
  writeFileSync(page, html(marked.parse(shownPart(readFileSync(source, 'utf8')), { gfm: true })));
  const dom = chromium(`--window-size=${WIDTH},1000`, '--dump-dom', page);
  // What a look at the picture would show too, but a script can tell: the chart and the tables are drawn.
  if (dom.includes('```') || /Syntax error in text/.test(dom)) throw new Error('a block was not rendered');
  if (/language-mermaid|class="mermaid"/.test(readFileSync(page, 'utf8')) && !dom.includes('<svg'))
    throw new Error('the timeline was not drawn');
  const height = Number(/data-height="(\d+)"/.exec(dom)?.[1] ?? 0);
  if (height === 0) throw new Error('the page did not tell its height');
  chromium(`--window-size=${WIDTH},${height + 40}`, `--screenshot=${resolve(target)}`, page);
  console.log(`${target}: ${WIDTH} x ${height + 40}`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function shownPart(text) {
  return until === undefined ? text : text.split(`\n### ${until}\n`)[0];
}

function run(program, ...args) {
  return execFileSync(program, args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}

function chromium(...args) {
  const page = pathToFileURL(args.pop()).href;
  const root = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  const common = [
    '--headless',
    '--disable-gpu',
    '--hide-scrollbars',
    '--virtual-time-budget=5000',
    '--timeout=20000',
  ];
  const own = `--user-data-dir=${join(folder, 'profile')}`;
  return execFileSync('chromium', [...root, ...common, own, ...args, page], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    maxBuffer: 64 * 1024 * 1024,
  });
}

function html(body) {
  const charts = body.replace(
    /<pre><code class="language-mermaid">([\s\S]*?)<\/code><\/pre>/g,
    '<pre class="mermaid">$1</pre>',
  );
  const modules = join(folder, 'node_modules');
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Job summary</title>
<link rel="stylesheet" href="${modules}/github-markdown-css/github-markdown-light.css">
<style>body { margin: 0; padding: 16px 24px; background: #fff } .markdown-body pre.mermaid { background: none }</style>
<body class="markdown-body">${charts}
<script src="${modules}/mermaid/dist/mermaid.min.js"></script>
<script>
mermaid.initialize({ startOnLoad: false, gantt: { useWidth: ${WIDTH - 48} } });
mermaid.run().finally(() => { document.documentElement.dataset.height = Math.ceil(document.body.getBoundingClientRect().height); });
</script></html>`;
}
