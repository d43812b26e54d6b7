import type { DeployRequest, RollbackRequest, WorkerRequest } from '../worker/protocol.js';
import { startDetached } from './start-detached.js';

/**
 * What is sent to a server: one fixed shell text that finds Node, and over its stdin a program. Pure text, so that
 * tests can compare it and feed it to real shells. No value of a run is ever part of a command line.
 */

/** Exit code of the shell text where the server has no Node that could run the worker. */
export const NO_NODE = 97;

/** The worker's bundle is written for this version and newer ones. */
export const OLDEST_NODE = 18;

/**
 * Without a terminal PATH is only /usr/local/bin:/usr/bin:/bin: what nvm, fnm, volta, asdf and their like install
 * is missing, pm2 and pnpm too. The text adds those places to PATH, and takes the first Node that is new enough:
 * that of PATH, that which PM2's daemon runs on, one with pm2 beside it, any. Later folders win over earlier ones,
 * so that the newest version of a version manager comes first.
 *
 * Node says its version in a few milliseconds, and takes ten times as long before it runs any JavaScript.
 *
 * It holds no single quote and no backslash, because it travels inside single quotes through whatever login shell
 * the user has (bash, zsh, dash, fish). Everything stands in functions called by the last line, so that a text
 * that arrives cut runs nothing.
 */
const FIND_NODE = `main() {
  cd / || exit 1
  own=$(command -v node)
  home=\${HOME:-/nonexistent}
  data=\${XDG_DATA_HOME:-$home/.local/share}
  daemon=$(cat "\${PM2_HOME:-$home/.pm2}/pm2.pid" 2>/dev/null)
  daemon=$(readlink "/proc/\${daemon:-none}/exe" 2>/dev/null)
  found=
  add /opt/*/bin /snap/bin /usr/local/nodejs/bin /usr/local/lib/nodejs/*/bin /home/linuxbrew/.linuxbrew/bin
  add "$home/bin" "$home/.local/bin" "$home/.npm-global/bin" "$home/.yarn/bin" "$home/.bun/bin"
  add "\${PNPM_HOME:-$data/pnpm}" "$data/pnpm/bin" "\${N_PREFIX:-$home/n}/bin"
  add "$home"/.nodenv/versions/*/bin "$data"/mise/installs/node/*/bin
  add "\${ASDF_DATA_DIR:-$home/.asdf}"/installs/nodejs/*/bin
  add "$home"/.volta/tools/image/node/*/bin "\${VOLTA_HOME:-$home/.volta}/bin"
  add "$home"/.fnm/node-versions/*/installation/bin "$data"/fnm/node-versions/*/installation/bin
  add "\${FNM_DIR:-$data/fnm}"/node-versions/*/installation/bin "\${FNM_DIR:-$data/fnm}/aliases/default/bin"
  add "\${NVM_DIR:-$home/.nvm}"/versions/node/*/bin
  PATH=$PATH:$found
  export PATH
  recent "$own" || first "$daemon" || search pm2 || search node || exit ${NO_NODE}
  echo
  exec "$node" -
}
add() {
  for folder; do
    if [ -d "$folder" ]; then found=$folder:$found; fi
  done
}
recent() {
  node=$1
  [ -x "$node" ] || return 1
  version=$("$node" --version 2>/dev/null </dev/null)
  version=\${version#v}
  case \${version%%.*} in "" | *[!0-9]*) return 1 ;; esac
  [ "\${version%%.*}" -ge ${OLDEST_NODE} ]
}
first() {
  recent "$1" && PATH=\${1%/*}:$PATH
}
search() {
  rest=$found
  while [ -n "$rest" ]; do
    folder=\${rest%%:*}
    rest=\${rest#*:}
    if [ -x "$folder/$1" ] && first "$folder/node"; then return 0; fi
  done
  return 1
}
main "$@"`;

/** The command line for every call: it runs the program that comes over stdin in the server's Node. */
export const RUN_NODE = `sh -c '${FIND_NODE}'`;

/**
 * The worker with its request, for `node -`. All of it stands inside one function: a text that was cut on the way
 * is a syntax error and runs nothing.
 */
export function streamedWorker(bundle: string, request: WorkerRequest): string {
  return `(function () {\nglobalThis.MUVA_REQUEST = ${JSON.stringify(request)};\n${bundle}\n})();\n`;
}

/** A program for `node -` that leaves the worker on the server, running on its own; `key` seals what it tells. */
export function detachedWorker(
  bundle: string,
  request: DeployRequest | RollbackRequest,
  key: Buffer,
): string {
  const words = [bundle, JSON.stringify(request), key.toString('hex')].map((text) => JSON.stringify(text));
  return `(${startDetached.toString()})(require, ${words.join(', ')});\n`;
}
