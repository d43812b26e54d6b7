// What each compiled module of the project imports of the others, for choosing the tests that a change concerns.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';

/**
 * The import graph below a build folder: for each module (`src/lib/retry`, `__tests__/lib/retry.test`: paths without
 * ending) the modules that it names itself. The compiler writes one import a line, which is all that is read here.
 */
export function importGraph(build) {
  const graph = new Map();
  for (const folder of ['src', '__tests__', 'bench', 'scripts']) {
    for (const file of modulesIn(join(build, folder))) {
      const path = join(build, folder, file);
      const named = [
        ...readFileSync(path, 'utf8').matchAll(/(?:\bfrom |^import |\bimport\()["'](\.[^"']+)["']/gm),
      ];
      const targets = named.map(([, to]) => relative(build, normalize(join(dirname(path), to))));
      graph.set(join(folder, file).replace(/\.js$/, ''), new Set(targets.map(withoutEnding)));
    }
  }
  return graph;
}

/** Every module that a module reaches through imports, itself included. */
export function reachedFrom(graph, start) {
  const reached = new Set([start]);
  for (const module of reached) for (const next of graph.get(module) ?? []) reached.add(next);
  return reached;
}

/** A file of the sources or of the build as the graph names it. */
export function withoutEnding(file) {
  return file.replace(/\.(?:js|ts)$/, '');
}

function modulesIn(folder) {
  try {
    return readdirSync(folder, { recursive: true })
      .map(String)
      .filter((file) => file.endsWith('.js'));
  } catch (error) {
    // A build of some of the folders only.
    if (error.code === 'ENOENT') return [];
    throw error;
  }
}
