/**
 * A Next.js application of the size of a small real product, in TypeScript: the back office of a shop. Its files are
 * generated, so that one page of code here stands for some hundred there; the application itself is ordinary code.
 */
import { nextFiles } from '../__tests__/servers/next-app.js';
import type { Files } from '../__tests__/servers/origin.js';

/** What such a product is made with: charts, forms that are checked, dates, and its rows from Supabase. */
const DEPENDENCIES = {
  '@supabase/supabase-js': '2.58.0',
  'date-fns': '4.1.0',
  recharts: '2.15.4',
  zod: '3.25.76',
};

const DEV_DEPENDENCIES = {
  '@types/node': '20.19.43',
  '@types/react': '19.1.17',
  typescript: '5.9.3',
};

type Kind = 'text' | 'number' | 'money' | 'date' | 'choice';

/** What an area shows: its fields beside an id and a title. */
const AREAS: Readonly<Record<string, Readonly<Record<string, Kind>>>> = {
  products: { sku: 'text', price: 'money', stock: 'number', state: 'choice', added: 'date' },
  orders: { customer: 'text', total: 'money', items: 'number', state: 'choice', placed: 'date' },
  customers: { email: 'text', city: 'text', spent: 'money', tier: 'choice', since: 'date' },
  invoices: { customer: 'text', amount: 'money', state: 'choice', issued: 'date', due: 'date' },
  payments: { method: 'choice', amount: 'money', fee: 'money', received: 'date' },
  shipments: { carrier: 'choice', parcels: 'number', weight: 'number', sent: 'date' },
  returns: { order: 'text', reason: 'choice', refund: 'money', opened: 'date' },
  suppliers: { contact: 'text', country: 'text', rating: 'number', terms: 'choice' },
  purchases: { supplier: 'text', cost: 'money', lines: 'number', state: 'choice', expected: 'date' },
  warehouses: { address: 'text', capacity: 'number', used: 'number', kind: 'choice' },
  discounts: { code: 'text', percent: 'number', used: 'number', scope: 'choice', until: 'date' },
  reviews: { author: 'text', stars: 'number', state: 'choice', written: 'date' },
  subscriptions: { plan: 'choice', price: 'money', seats: 'number', renews: 'date' },
  tickets: { author: 'text', priority: 'choice', replies: 'number', opened: 'date' },
  campaigns: { channel: 'choice', budget: 'money', clicks: 'number', starts: 'date' },
  team: { email: 'text', role: 'choice', logins: 'number', joined: 'date' },
  taxes: { country: 'text', percent: 'number', kind: 'choice', since: 'date' },
  events: { actor: 'text', action: 'choice', changes: 'number', at: 'date' },
};

/** Areas whose rows have a page each, made when the application is built. */
const DETAILED = ['products', 'orders', 'customers'];
/** Rows of an area that has pages for them, and of the others. */
const [PAGES, ROWS] = [200, 24];

const TSCONFIG = {
  compilerOptions: {
    target: 'ES2017',
    lib: ['dom', 'dom.iterable', 'esnext'],
    allowJs: true,
    skipLibCheck: true,
    strict: true,
    noEmit: true,
    esModuleInterop: true,
    module: 'esnext',
    moduleResolution: 'bundler',
    resolveJsonModule: true,
    isolatedModules: true,
    jsx: 'preserve',
    incremental: true,
    plugins: [{ name: 'next' }],
    paths: { '@/*': ['./*'] },
  },
  include: ['next-env.d.ts', '**/*.ts', '**/*.tsx', '.next/types/**/*.ts'],
  exclude: ['node_modules'],
};

const LAYOUT = `import type { ReactNode } from 'react';
import { Menu } from '@/components/menu';
import './globals.css';
export const metadata = { title: 'Back office' };
export default function Layout({ children }: { children: ReactNode }) {
  return (
    <html lang="en">
      <body><Menu /><div className="content">{children}</div></body>
    </html>
  );
}
`;

const HOME = `import Link from 'next/link';
import { Card } from '@/components/card';
import { AREAS } from '@/lib/areas';
import { VERSION } from './version';
export default function Page() {
  return (
    <main>
      <p>{'version ' + VERSION}</p>
      {AREAS.map((area) => (
        <Card key={area.name} title={area.title}>
          <Link href={'/' + area.name}>{area.rows.length} entries</Link>
        </Card>
      ))}
    </main>
  );
}
`;

const STYLES = `:root { --ink: #1c2430; --line: #d8dee6; --accent: #2257c5; }
body { margin: 0; color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
.content { max-width: 70rem; margin: 0 auto; padding: 1rem; }
table { width: 100%; border-collapse: collapse; }
th, td { padding: 0.4rem; border-bottom: 1px solid var(--line); text-align: left; }
`;

const CARD_STYLES = `.card { border: 1px solid var(--line); border-radius: 6px; padding: 1rem; margin: 1rem 0; }
.title { margin: 0 0 0.5rem; font-size: 1.1rem; }
`;

const CARD = `import type { ReactNode } from 'react';
import styles from './card.module.css';
export function Card({ title, children }: { title: string; children: ReactNode }) {
  return <section className={styles.card}><h2 className={styles.title}>{title}</h2>{children}</section>;
}
`;

const MENU = `'use client';
import Link from 'next/link';
import { usePathname } from 'next/navigation';
import { useState } from 'react';
const NAMES = ${JSON.stringify(Object.keys(AREAS))};
export function Menu() {
  const [open, setOpen] = useState(true);
  const path = usePathname();
  return (
    <nav>
      <button type="button" onClick={() => setOpen(!open)}>Menu</button>
      {open && NAMES.map((name) => (
        <Link key={name} href={'/' + name} aria-current={path.startsWith('/' + name) ? 'page' : undefined}>{name}</Link>
      ))}
    </nav>
  );
}
`;

const TABLE = `'use client';
import { useMemo, useState } from 'react';
import { formatCell } from '@/lib/format';
import type { Column, Row } from '@/lib/rows';
interface Sort<T> { key: keyof T; falling: boolean }
function compare(a: unknown, b: unknown): number {
  return typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b));
}
export function DataTable<T extends Row>({ rows, columns, onPick }: {
  rows: readonly T[]; columns: readonly Column<T>[]; onPick(row: T): void;
}) {
  const [sort, setSort] = useState<Sort<T>>({ key: 'id', falling: false });
  const [page, setPage] = useState(0);
  const sorted = useMemo(
    () => [...rows].sort((a, b) => compare(a[sort.key], b[sort.key]) * (sort.falling ? -1 : 1)),
    [rows, sort],
  );
  const pages = Math.max(1, Math.ceil(sorted.length / 10));
  return (
    <>
      <table>
        <thead>
          <tr>{columns.map((column) => (
            <th key={String(column.key)}>
              <button type="button" onClick={() => setSort({ key: column.key, falling: sort.key === column.key && !sort.falling })}>
                {column.label}
              </button>
            </th>
          ))}</tr>
        </thead>
        <tbody>{sorted.slice(page * 10, page * 10 + 10).map((row) => (
          <tr key={row.id} onClick={() => onPick(row)}>
            {columns.map((column) => <td key={String(column.key)}>{formatCell(row[column.key], column.kind)}</td>)}
          </tr>
        ))}</tbody>
      </table>
      <button type="button" disabled={page === 0} onClick={() => setPage(page - 1)}>Back</button>
      <span>{page + 1} of {pages}</span>
      <button type="button" disabled={page + 1 >= pages} onClick={() => setPage(page + 1)}>On</button>
    </>
  );
}
`;

const FIELD = `'use client';
import type { Kind } from '@/lib/rows';
export function Field({ label, kind, value, problem, choices, onChange }: {
  label: string; kind: Kind; value: string; problem?: string; choices: readonly string[]; onChange(value: string): void;
}) {
  return (
    <label>
      {label}
      {kind === 'choice' ? (
        <select value={value} onChange={(event) => onChange(event.target.value)}>
          {choices.map((choice) => <option key={choice}>{choice}</option>)}
        </select>
      ) : (
        <input type={kind === 'date' ? 'date' : kind === 'text' ? 'text' : 'number'} value={value}
          onChange={(event) => onChange(event.target.value)} />
      )}
      {problem !== undefined && <em role="alert">{problem}</em>}
    </label>
  );
}
`;

const CHART = `'use client';
import { Bar, BarChart, CartesianGrid, Legend, ResponsiveContainer, Tooltip, XAxis, YAxis } from 'recharts';
export function Chart({ title, values }: { title: string; values: { label: string; value: number }[] }) {
  return (
    <ResponsiveContainer width="100%" height={240}>
      <BarChart data={values}>
        <CartesianGrid strokeDasharray="3 3" />
        <XAxis dataKey="label" />
        <YAxis />
        <Tooltip />
        <Legend />
        <Bar dataKey="value" name={title} />
      </BarChart>
    </ResponsiveContainer>
  );
}
`;

const ROWS_LIB = `import type { SafeParseReturnType } from 'zod';
export type Kind = 'text' | 'number' | 'money' | 'date' | 'choice';
export interface Row { id: number; title: string }
export interface Column<T> { key: keyof T; label: string; kind: Kind; choices: readonly string[] }
export type Draft<T> = { [Key in keyof T]: string };
export type Problems<T> = { [Key in keyof T]?: string[] };
export function draftOf<T extends Row>(row: T, columns: readonly Column<T>[]): Draft<T> {
  return Object.fromEntries(columns.map(({ key }) => [key, String(row[key])])) as Draft<T>;
}
export function problemsOf<T>(parsed: SafeParseReturnType<unknown, T>): Problems<T> {
  return parsed.success ? {} : (parsed.error.flatten().fieldErrors as Problems<T>);
}
export function totals<T extends Row>(rows: readonly T[], by: keyof T, of: keyof T): { label: string; value: number }[] {
  const sums = new Map<string, number>();
  for (const row of rows) sums.set(String(row[by]), (sums.get(String(row[by])) ?? 0) + Number(row[of]));
  return [...sums].map(([label, value]) => ({ label, value }));
}
`;

const SUPABASE_LIB = `import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import { useEffect } from 'react';
let client: SupabaseClient | undefined;
function supabase(): SupabaseClient | undefined {
  const [url, key] = [process.env.NEXT_PUBLIC_SUPABASE_URL, process.env.NEXT_PUBLIC_SUPABASE_KEY];
  if (url && key) client ??= createClient(url, key);
  return client;
}
export async function store(table: string, row: object): Promise<void> {
  const answer = await supabase()?.from(table).upsert(row);
  if (answer?.error) throw answer.error;
}
export function useChanges(table: string, onChange: (row: unknown) => void): void {
  useEffect(() => {
    const channel = supabase()
      ?.channel(table)
      .on('postgres_changes', { event: '*', schema: 'public', table }, ({ new: row }) => onChange(row))
      .subscribe();
    return () => void channel?.unsubscribe();
  }, [table, onChange]);
}
`;

const FORMAT_LIB = `import { format, formatDistance } from 'date-fns';
import type { Kind } from './rows';
const money = new Intl.NumberFormat('en', { style: 'currency', currency: 'EUR' });
export function formatCell(value: unknown, kind: Kind): string {
  if (kind === 'money') return money.format(Number(value));
  if (kind === 'date') return format(new Date(String(value)), 'd MMM yyyy');
  return String(value);
}
export function formatAge(since: Date, now: Date): string {
  return formatDistance(since, now, { addSuffix: true });
}
`;

const SEARCH_ROUTE = `import { AREAS } from '@/lib/areas';
export const dynamic = 'force-dynamic';
export function GET(request: Request): Response {
  const words = (new URL(request.url).searchParams.get('q') ?? '').toLowerCase();
  const found = AREAS.flatMap(({ name, rows }) =>
    rows.filter(({ title }) => title.toLowerCase().includes(words)).map(({ id, title }) => ({ area: name, id, title })),
  );
  return Response.json({ found: found.slice(0, 50) });
}
`;

const QUOTE_ROUTE = `import { productsRows } from '@/lib/products';
interface Wanted { id: number; amount: number }
export async function POST(request: Request): Promise<Response> {
  const wanted = (await request.json()) as Wanted[];
  const lines = wanted.map(({ id, amount }) => ({ id, sum: (productsRows.find((row) => row.id === id)?.price ?? 0) * amount }));
  return Response.json({ lines, total: lines.reduce((all, { sum }) => all + sum, 0) });
}
`;

/** All files of the application, which says its version as the small one does: `nextVersion` changes it. */
export function shopFiles(version: string): Files {
  const base = nextFiles(version);
  const small = JSON.parse(base['package.json']!) as { dependencies: Record<string, string> };
  const manifest = {
    ...small,
    dependencies: { ...small.dependencies, ...DEPENDENCIES },
    devDependencies: DEV_DEPENDENCIES,
  };
  const names = Object.keys(AREAS);
  return {
    ...base,
    'package.json': `${JSON.stringify(manifest, null, 2)}\n`,
    '.gitignore': `${base['.gitignore']}next-env.d.ts\n*.tsbuildinfo\n`,
    'tsconfig.json': `${JSON.stringify(TSCONFIG, null, 2)}\n`,
    'app/layout.js': null,
    'app/page.js': null,
    'app/layout.tsx': LAYOUT,
    'app/page.tsx': HOME,
    'app/globals.css': STYLES,
    'app/api/search/route.ts': SEARCH_ROUTE,
    'app/api/quote/route.ts': QUOTE_ROUTE,
    'components/card.tsx': CARD,
    'components/card.module.css': CARD_STYLES,
    'components/menu.tsx': MENU,
    'components/data-table.tsx': TABLE,
    'components/field.tsx': FIELD,
    'components/chart.tsx': CHART,
    'lib/rows.ts': ROWS_LIB,
    'lib/format.ts': FORMAT_LIB,
    'lib/supabase.ts': SUPABASE_LIB,
    'lib/areas.ts': areasLib(names),
    ...Object.assign({}, ...names.map(areaFiles)),
  };
}

/** How many pages and API routes the application has, as `next build` lists them. */
export function shopRoutes(): number {
  return Object.keys(shopFiles('v0')).filter((path) => /\/(page|route)\.[jt]sx?$/.test(path)).length - 2;
}

function areasLib(names: readonly string[]): string {
  const imports = names.map((name) => `import { ${name}Rows } from './${name}';\n`).join('');
  const list = names.map((name) => `  { name: '${name}', title: '${titled(name)}', rows: ${name}Rows },\n`);
  return `${imports}import type { Row } from './rows';
export const AREAS: readonly { name: string; title: string; rows: readonly Row[] }[] = [
${list.join('')}];
`;
}

function titled(name: string): string {
  return `${name[0]!.toUpperCase()}${name.slice(1)}`;
}

function areaFiles(name: string): Files {
  const fields = AREAS[name]!;
  const detailed = DETAILED.includes(name);
  return {
    [`lib/${name}.ts`]: areaLib(name, fields, detailed ? PAGES : ROWS),
    [`app/${name}/page.tsx`]: areaPage(name),
    [`app/${name}/panel.tsx`]: areaPanel(name, fields),
    ...(detailed ? { [`app/${name}/[id]/page.tsx`]: detailPage(name) } : {}),
  };
}

function choicesOf(name: string, field: string): string[] {
  return ['new', 'open', 'done', 'late'].map((word) => `${word} ${name.slice(0, 3)} ${field}`);
}

function areaLib(name: string, fields: Readonly<Record<string, Kind>>, count: number): string {
  const type = titled(name);
  const members = Object.entries(fields).map(([field, kind]) => `${field}: ${schemaOf(name, field, kind)}`);
  const columns = [['title', 'text'] as const, ...Object.entries(fields)].map(([field, kind]) =>
    JSON.stringify({
      key: field,
      label: titled(field),
      kind,
      choices: kind === 'choice' ? choicesOf(name, field) : [],
    }),
  );
  const rows = Array.from({ length: count }, (_, index) => {
    const cells = Object.entries(fields).map(([field, kind]) => [field, cell(name, field, kind, index)]);
    return JSON.stringify({ id: index + 1, title: `${type} ${index + 1}`, ...Object.fromEntries(cells) });
  });
  return `import { z } from 'zod';
import type { Column } from './rows';
export const ${name}Schema = z.object({ id: z.coerce.number(), title: z.string().min(1), ${members.join(', ')} });
export type ${type} = z.infer<typeof ${name}Schema>;
export const ${name}Columns: readonly Column<${type}>[] = [
  ${columns.join(',\n  ')},
];
export const ${name}Rows: readonly ${type}[] = [
  ${rows.join(',\n  ')},
];
`;
}

function schemaOf(name: string, field: string, kind: Kind): string {
  if (kind === 'number' || kind === 'money') return 'z.coerce.number().nonnegative()';
  if (kind === 'choice') return `z.enum(${JSON.stringify(choicesOf(name, field))})`;
  return kind === 'date' ? 'z.string().date()' : 'z.string().min(1)';
}

function cell(name: string, field: string, kind: Kind, index: number): string | number {
  if (kind === 'number') return (index * 7) % 50;
  if (kind === 'money') return ((index * 1_337) % 90_000) / 100;
  if (kind === 'date') return `2025-${String((index % 12) + 1).padStart(2, '0')}-15`;
  if (kind === 'choice') return choicesOf(name, field)[index % 4]!;
  return `${field} ${index + 1}`;
}

function areaPage(name: string): string {
  return `import { Card } from '@/components/card';
import { ${name}Rows } from '@/lib/${name}';
import { Panel } from './panel';
export const metadata = { title: '${titled(name)}' };
export default function Page() {
  return <main><Card title="${titled(name)}"><Panel rows={${name}Rows} /></Card></main>;
}
`;
}

function detailPage(name: string): string {
  return `import { notFound } from 'next/navigation';
import { Card } from '@/components/card';
import { formatCell } from '@/lib/format';
import { ${name}Columns, ${name}Rows } from '@/lib/${name}';
export const generateStaticParams = () => ${name}Rows.map(({ id }) => ({ id: String(id) }));
export default async function Page({ params }: { params: Promise<{ id: string }> }) {
  const { id } = await params;
  const row = ${name}Rows.find((each) => each.id === Number(id));
  if (row === undefined) notFound();
  return (
    <Card title={row.title}>
      <dl>{${name}Columns.map(({ key, label, kind }) => (
        <div key={key}><dt>{label}</dt><dd>{formatCell(row[key], kind)}</dd></div>
      ))}</dl>
    </Card>
  );
}
`;
}

/** What the visitor works with: a search, a table, a form for the row that was picked, sums by each choice. */
function areaPanel(name: string, fields: Readonly<Record<string, Kind>>): string {
  const type = titled(name);
  const ofKind = (...kinds: Kind[]): string[] =>
    Object.keys(fields).filter((field) => kinds.includes(fields[field]!));
  const [by] = ofKind('choice', 'text');
  const charts = ofKind('number', 'money').map(
    (of) => `      <Chart title="${titled(of)} by ${by}" values={totals(shown, '${by}', '${of}')} />`,
  );
  return `'use client';
import { useCallback, useMemo, useReducer, useState } from 'react';
import { Chart } from '@/components/chart';
import { DataTable } from '@/components/data-table';
import { Field } from '@/components/field';
import { type ${type}, ${name}Columns, ${name}Schema } from '@/lib/${name}';
import { type Draft, draftOf, problemsOf, totals } from '@/lib/rows';
import { store, useChanges } from '@/lib/supabase';
interface State { rows: readonly ${type}[]; draft?: Draft<${type}>; id?: number }
type Action =
  | { type: 'pick'; row: ${type} }
  | { type: 'write'; key: keyof ${type}; value: string }
  | { type: 'saved'; row: ${type} }
  | { type: 'drop' };
function step(state: State, action: Action): State {
  switch (action.type) {
    case 'pick':
      return { ...state, id: action.row.id, draft: draftOf(action.row, ${name}Columns) };
    case 'write':
      return state.draft ? { ...state, draft: { ...state.draft, [action.key]: action.value } } : state;
    case 'saved':
      return { rows: state.rows.map((row) => (row.id === action.row.id ? action.row : row)) };
    case 'drop':
      return { rows: state.rows.filter(({ id }) => id !== state.id) };
  }
}
export function Panel({ rows }: { rows: readonly ${type}[] }) {
  const [state, act] = useReducer(step, { rows });
  const [words, setWords] = useState('');
  const changed = useCallback((row: unknown) => {
    const parsed = ${name}Schema.safeParse(row);
    if (parsed.success) act({ type: 'saved', row: parsed.data });
  }, []);
  useChanges('${name}', changed);
  const shown = useMemo(
    () => state.rows.filter((row) => ${name}Columns.some(({ key }) => String(row[key]).includes(words))),
    [state.rows, words],
  );
  const parsed = ${name}Schema.safeParse({ ...state.draft, id: state.id });
  const problems = problemsOf(parsed);
  const save = async (): Promise<void> => {
    if (!parsed.success) return;
    await store('${name}', parsed.data);
    act({ type: 'saved', row: parsed.data });
  };
  return (
    <>
      <input aria-label="Search ${name}" value={words} onChange={(event) => setWords(event.target.value)} />
      <DataTable rows={shown} columns={${name}Columns} onPick={(row) => act({ type: 'pick', row })} />
${charts.join('\n')}
      {state.draft && (
        <form onSubmit={(event) => { event.preventDefault(); void save(); }}>
          {${name}Columns.map(({ key, label, kind, choices }) => (
            <Field key={key} label={label} kind={kind} choices={choices} value={state.draft![key]}
              {...(problems[key] === undefined ? {} : { problem: problems[key].join(', ') })}
              onChange={(value) => act({ type: 'write', key, value })} />
          ))}
          <button type="submit">Save</button>
          <button type="button" onClick={() => act({ type: 'drop' })}>Delete</button>
        </form>
      )}
    </>
  );
}
`;
}
