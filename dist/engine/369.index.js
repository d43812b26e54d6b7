"use strict";
exports.id = 369;
exports.ids = [369];
exports.modules = {

/***/ 2369:
/***/ ((__unused_webpack_module, __webpack_exports__, __webpack_require__) => {


// EXPORTS
__webpack_require__.d(__webpack_exports__, {
  initFromTerminal: () => (/* binding */ initFromTerminal)
});

// UNUSED EXPORTS: init

// EXTERNAL MODULE: external "node:fs"
var external_node_fs_ = __webpack_require__(3024);
// EXTERNAL MODULE: external "node:path"
var external_node_path_ = __webpack_require__(6760);
// EXTERNAL MODULE: ./compiled/src/inputs/checks/names.js
var names = __webpack_require__(2579);
// EXTERNAL MODULE: ./compiled/src/inputs/input-sources.js
var input_sources = __webpack_require__(718);
// EXTERNAL MODULE: ./compiled/src/inputs/read.js + 14 modules
var read = __webpack_require__(4863);
// EXTERNAL MODULE: ./compiled/src/report/log-format.js
var log_format = __webpack_require__(7346);
// EXTERNAL MODULE: external "node:readline/promises"
var promises_ = __webpack_require__(6848);
;// CONCATENATED MODULE: ./compiled/src/entry/terminal/ask.js

/** Lets `work` ask questions on a terminal. */
async function withQuestions(input, output, work) {
    const lines = (0,promises_.createInterface)({ input, output });
    // Both keys close it. Whether the question is then rejected or never answered depends on Node's version.
    const left = new Promise((resolve) => lines.once('close', () => resolve(undefined)));
    try {
        return await work((question) => Promise.race([left, lines.question(question).catch(() => undefined)]));
    }
    finally {
        lines.close();
    }
}

// EXTERNAL MODULE: ./compiled/src/entry/terminal/flags.js
var terminal_flags = __webpack_require__(8046);
// EXTERNAL MODULE: ./compiled/src/lib/local-programs.js + 1 modules
var local_programs = __webpack_require__(9391);
;// CONCATENATED MODULE: ./compiled/src/entry/terminal/git-repository.js



/** The repository that a folder lies in: GitHub reads .github/workflows at its root only. Undefined outside of any. */
function repositoryRoot(folder) {
    let at = (0,external_node_path_.resolve)(folder);
    while (!(0,external_node_fs_.existsSync)((0,external_node_path_.join)(at, '.git'))) {
        if ((0,external_node_path_.dirname)(at) === at)
            return undefined;
        at = (0,external_node_path_.dirname)(at);
    }
    return at;
}
/** The branch that origin calls its own, as the last clone or fetch left it, else the one checked out. */
async function mainBranch(root) {
    return ((await symbolicRef(root, 'refs/remotes/origin/HEAD', 'refs/remotes/origin/')) ??
        (await symbolicRef(root, 'HEAD', 'refs/heads/')));
}
/** What a symbolic ref points to, without its prefix. Undefined where it points to nothing, or git cannot be asked. */
async function symbolicRef(root, name, prefix) {
    const words = ['git', '-C', root, 'symbolic-ref', '--quiet', name];
    const ended = await (0,local_programs/* runProgram */.mB)(words).catch(() => undefined);
    const target = ended?.code === 0 ? ended.stdout.trim() : '';
    return target.startsWith(prefix) ? target.slice(prefix.length) : undefined;
}

;// CONCATENATED MODULE: ./compiled/src/entry/terminal/workflow-file.js
/** The commit of actions/checkout that the written workflow uses. */
const CHECKOUT = 'actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0';
/** What every workflow takes from the repository's settings: input, expression. */
const WORKFLOW_CONNECTIONS = [
    ['database-url', 'secrets.DATABASE_URL'],
    ['ssh-host', 'vars.VPS_HOST'],
    ['ssh-user', 'vars.VPS_USER'],
    ['ssh-private-key', 'secrets.VPS_SSH_KEY'],
    ['ssh-fingerprint', 'vars.VPS_FINGERPRINT'],
    ['health-url', 'vars.HEALTH_URL'],
];
/** Of one application in one environment, also where the repository holds several: `deploy-staging-apps-web`. */
function workflowName(values) {
    const parts = ['deploy', values.get('environment') ?? '', values.get('working-directory') ?? ''];
    return parts
        .map((part) => part.toLowerCase().replaceAll(/[^\p{L}\p{N}]+/gu, '-'))
        .filter((part) => part !== '')
        .join('-');
}
/** The text of the workflow that `init` writes. Every value is a double-quoted YAML string. */
function workflowText(values, branch) {
    const environment = values.get('environment');
    const place = values.get('working-directory');
    const own = [...values].filter(([name, value]) => value !== '' && name !== 'environment');
    const taken = WORKFLOW_CONNECTIONS.map(([name, from]) => `          ${name}: \${{ ${from} }}`);
    return `name: ${JSON.stringify(`Deploy ${place === undefined ? '' : `${place} `}to ${environment}`)}
on:
  push:
    branches: [${JSON.stringify(branch)}]

permissions:
  contents: read

concurrency:
  group: ${JSON.stringify(workflowName(values))}

jobs:
  deploy:
    runs-on: ubuntu-latest
    timeout-minutes: 30
    environment: ${JSON.stringify(environment)}
    steps:
      - uses: ${CHECKOUT}
        with:
          persist-credentials: false
      - uses: muva/deploy-action@v1
        with:
          environment: ${JSON.stringify(environment)}
${[...taken, ...own.map(([name, value]) => `          ${name}: ${JSON.stringify(value)}`)].join('\n')}
`;
}

;// CONCATENATED MODULE: ./compiled/src/entry/terminal/init.js










/** What is asked for where no flag says it, in this order. */
const QUESTIONS = [
    ['environment', 'Environment (such as production; staging where nothing is said)'],
    ['app-path', 'Folder of the application on the server, such as /var/www/app'],
    ['app-name', 'Its name in `pm2 list`'],
    ['required-tables', 'Tables that must exist, separated by commas (may stay empty)'],
];
/** What a shell says of a program that Ctrl-C ended. */
const INTERRUPTED = 130;
const FLAGS = [...input_sources/* INPUT_NAMES */.Qh.filter((name) => name !== 'mode'), 'branch'];
/**
 * `muva-deploy init [--branch main --app-path … --any-input value]`: writes a workflow into the repository and says
 * what is left to do. Never overwrites a file. Returns the exit code.
 */
async function init(words, context) {
    const flags = (0,terminal_flags/* parseFlags */.bQ)(words, FLAGS);
    if (flags.asked !== undefined) {
        context.write(HELP);
        return 0;
    }
    const root = repositoryRoot(context.folder);
    const base = root ?? context.folder;
    const branch = flags.values.get('branch') || (await mainBranch(base)) || 'main';
    const values = new Map();
    for (const [name, value] of flags.values)
        if (name !== 'branch')
            values.set(name, value);
    const problems = [...flags.problems, ...misplaced(values)];
    const wrong = (0,names/* checkGitRef */.wS)(branch);
    if (wrong)
        problems.push({ message: `branch: ${wrong.wrong}`, next: 'Give the name of a branch.' });
    const place = placeIn(base, (0,external_node_path_.resolve)(context.folder, values.get('working-directory') ?? '.'));
    values.delete('working-directory');
    if (place === undefined)
        problems.push({
            message: 'working-directory: leads out of the repository',
            next: 'Name a folder in it.',
        });
    else if (place !== '')
        values.set('working-directory', place);
    if (!context.ask && !values.get('environment'))
        values.set('environment', 'staging');
    const given = [...values.keys()];
    problems.push(...(context.ask ? about(given, deployProblems(values, base)) : deployProblems(values, base)));
    if (problems.length === 0 && context.ask) {
        if (!(await answered(values, context.ask, context.write, base))) {
            context.write('\nNothing was written.\n');
            return INTERRUPTED;
        }
        problems.push(...deployProblems(values, base));
    }
    if (problems.length > 0) {
        tell(problems, context.write);
        return 1;
    }
    const path = pathOf(values, base);
    (0,external_node_fs_.mkdirSync)((0,external_node_path_.dirname)(path), { recursive: true });
    (0,external_node_fs_.writeFileSync)(path, workflowText(values, branch), { flag: 'wx' });
    context.write(`${(0,external_node_path_.relative)(context.folder, path)} is written; it runs on every push to ${branch}.\n`);
    if (root === undefined)
        context.write('No git repository was found here: GitHub reads the file at the root of one only.\n');
    context.write(`\n${whatIsLeft(values.get('environment'))}`);
    return 0;
}
/** Asks on a terminal; where standard input is none, there is nobody to ask. */
async function initFromTerminal(words) {
    const { stdin, stdout } = process;
    const context = { folder: process.cwd(), write: (text) => void stdout.write(text) };
    if (!stdin.isTTY)
        return init(words, context);
    return withQuestions(stdin, stdout, (ask) => init(words, { ...context, ask }));
}
/** Asks for what is not given, each until it is right; false where the person left. */
async function answered(values, ask, write, base) {
    for (const [name, question] of QUESTIONS) {
        if (values.has(name))
            continue;
        let wrong;
        do {
            const answer = await ask(`${question}: `);
            if (answer === undefined)
                return false;
            values.set(name, answer.trim() || (name === 'environment' ? 'staging' : ''));
            wrong = about([name], deployProblems(values, base));
            tell(wrong, write);
        } while (wrong.length > 0);
    }
    return true;
}
function tell(problems, write) {
    for (const problem of problems)
        write(`${(0,log_format/* problemLines */.pb)(problem, '', 'error: ').join('\n')}\n`);
}
function pathOf(values, base) {
    return (0,external_node_path_.join)(base, '.github/workflows', `${workflowName(values)}.yml`);
}
/** Values that must not stand in a workflow file, or that it takes from the repository's settings. */
function misplaced(values) {
    return [...values.keys()]
        .filter((name) => (0,input_sources/* inputRule */.zH)(name).secret || WORKFLOW_CONNECTIONS.some(([taken]) => taken === name))
        .map((name) => ({
        message: `${name}: does not belong into the workflow file`,
        next: 'The workflow takes it from the secrets and variables of the GitHub Environment.',
    }));
}
/** The application's folder as the workflow names it, from the repository's root; undefined outside of it. */
function placeIn(base, folder) {
    const path = (0,external_node_path_.relative)(base, folder).replaceAll(external_node_path_.sep, '/');
    return path === '..' || path.startsWith('../') ? undefined : path;
}
/** The problems that a deploy with these values would complain about; the connections are taken as given. */
function deployProblems(values, base) {
    const given = {
        mode: 'deploy',
        'database-url': 'postgresql://nobody:nothing@127.0.0.1/postgres',
        'ssh-host': '127.0.0.1',
        'ssh-user': 'nobody',
        'ssh-private-key': '-',
        'ssh-fingerprint': `SHA256:${'A'.repeat(43)}`,
        'health-url': 'http://127.0.0.1',
    };
    const run = { id: 'init', attempt: 1, sha: '0'.repeat(40), serverUrl: 'https://github.com', fork: false };
    const around = { run, terminal: true, workspace: '/', holdsMigrations: () => false };
    const value = (name) => values.get(name) || (given[name] ?? (0,input_sources/* inputRule */.zH)(name).fallback);
    const { problems } = (0,read/* parseSettings */.P)(value, around);
    const own = problems.filter(({ input }) => !WORKFLOW_CONNECTIONS.some(([name]) => name === input));
    const path = pathOf(values, base);
    if (values.get('environment') && (0,external_node_fs_.existsSync)(path))
        own.push({
            input: 'environment',
            message: `environment: ${(0,external_node_path_.relative)(base, path)} exists already`,
            next: 'Move it away, change it by hand, or name another environment.',
        });
    return own;
}
/** The problems that name one of the inputs. */
function about(names, problems) {
    return problems.filter(({ input }) => names.includes(input));
}
const ASKED = QUESTIONS.map(([name]) => name).join(', ');
const VARIABLES = WORKFLOW_CONNECTIONS.filter(([, from]) => from.startsWith('vars.')).map(([name]) => name);
const HELP = `Usage: muva-deploy init [--branch name] [--input value ...]

Writes .github/workflows/deploy-<environment>.yml at the root of the repository, and says what is left to do. It never
overwrites a file. On a terminal it asks for what no flag says: ${ASKED}.

  --branch name        every push to it is deployed; by default origin's own branch, else the one checked out
  --environment name   staging by default
  --app-path folder    and any other input (see muva-deploy --help) becomes an input of the workflow's step; but not
                       the secrets, and not ${VARIABLES.join(', ')}:
                       those come from the GitHub Environment

Below the repository's root, as in one of its several applications, working-directory is set to that folder.
`;
function whatIsLeft(environment) {
    return `It uses muva/deploy-action@v1, which must exist: until a version is released, write the full SHA of a commit of that
repository instead of v1 ("Not yet" in its README).

What is left to do, in the repository under Settings > Environments > ${environment}:
  secret    DATABASE_URL     Supabase dashboard, Connect, Session pooler; the password percent-encoded
  secret    VPS_SSH_KEY      a private key whose public half is in ~/.ssh/authorized_keys on the server
  variable  VPS_HOST         the server
  variable  VPS_USER         the login on it
  variable  VPS_FINGERPRINT  what this prints on the server, the part from SHA256: on:
                             ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub
  variable  HEALTH_URL       the public address, such as https://staging.example.com
An application without /api/health also needs "health-paths: /" under "with:".
Then push. To see first what would happen, add "mode: plan" under "with:".
`;
}


/***/ })

};
;