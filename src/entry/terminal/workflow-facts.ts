/** What a workflow that is there already says: its names of secrets and variables, branches, environments. Pure. */
export interface WorkflowFacts {
  /** Path from the repository's root. */
  readonly file: string;
  /** `secrets.NAME` and `vars.NAME`, as they stand in expressions; each once. */
  readonly names: readonly string[];
  /** Branches whose pushes start it. */
  readonly branches: readonly string[];
  /** GitHub Environments of its jobs. */
  readonly environments: readonly string[];
  /** A port of SSH that stands in a step beside a host. */
  readonly port?: string;
}

const EXPRESSION = /\$\{\{[^}]*?\b((?:secrets|vars)\.[A-Za-z_]\w*)[^}]*\}\}/g;

/** Reads what the YAML of a workflow holds; a file that is none says nothing. */
export function workflowFacts(file: string, yaml: unknown): WorkflowFacts {
  const names = new Set<string>();
  let port: string | undefined;
  visit(yaml, (node) => {
    if (typeof node === 'string') for (const [, name] of node.matchAll(EXPRESSION)) names.add(name!);
    else if ('host' in node && /^\d{1,5}$/.test(String(node.port))) port = String(node.port);
  });
  const root = asRecord(yaml);
  const jobs = Object.values(asRecord(root.jobs)).map(asRecord);
  return {
    file,
    names: [...names],
    branches: texts(asRecord(asRecord(root.on).push).branches),
    environments: jobs.flatMap(({ environment }) => texts(asRecord(environment).name ?? environment)),
    ...(port === undefined ? {} : { port }),
  };
}

function visit(node: unknown, see: (node: string | Record<string, unknown>) => void): void {
  if (typeof node === 'string') see(node);
  if (typeof node !== 'object' || node === null) return;
  if (!Array.isArray(node)) see(node as Record<string, unknown>);
  for (const value of Object.values(node)) visit(value, see);
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};
}

/** The texts of a value that is one, or a list of some; patterns and expressions name nothing. */
function texts(value: unknown): string[] {
  const list: unknown[] = Array.isArray(value) ? value : [value];
  return list
    .filter((item) => typeof item === 'string')
    .filter((item) => item !== '' && !/[*?${}!]/.test(item));
}
