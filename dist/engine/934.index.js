"use strict";
exports.id = 934;
exports.ids = [934];
exports.modules = {

/***/ 1934:
/***/ ((__unused_webpack_module, __webpack_exports__, __webpack_require__) => {


// EXPORTS
__webpack_require__.d(__webpack_exports__, {
  initFromTerminal: () => (/* binding */ initFromTerminal)
});

// UNUSED EXPORTS: init

// EXTERNAL MODULE: external "node:fs"
var external_node_fs_ = __webpack_require__(3024);
// EXTERNAL MODULE: external "node:os"
var external_node_os_ = __webpack_require__(8161);
// EXTERNAL MODULE: external "node:path"
var external_node_path_ = __webpack_require__(6760);
// EXTERNAL MODULE: ./compiled/src/inputs/checks/names.js
var names = __webpack_require__(2579);
// EXTERNAL MODULE: ./compiled/src/inputs/input-sources.js
var input_sources = __webpack_require__(718);
// EXTERNAL MODULE: ./compiled/src/inputs/read.js + 14 modules
var read = __webpack_require__(4863);
// EXTERNAL MODULE: ./compiled/src/lib/local-programs.js + 1 modules
var local_programs = __webpack_require__(9391);
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

// EXTERNAL MODULE: ./compiled/src/lib/shell.js
var shell = __webpack_require__(4097);
;// CONCATENATED MODULE: ./compiled/src/entry/terminal/first-plan.js



const WRAPPERS = new Set(['npm', 'pnpm', 'yarn', 'npx', 'bun']);
/** What a plan of this project will refuse or warn of, as far as its files tell, each with the way to mend it. Pure. */
function expectedRefusals({ lockFiles, packages, ecosystem, migrations, healthRoute, }) {
    const wrapper = ecosystem?.apps.find(({ script }) => WRAPPERS.has((0,external_node_path_.basename)(script ?? '')));
    return [
        ...(packages && lockFiles.length === 0
            ? ['There is no lock file: a deploy is refused. Run the install once and commit what it writes.']
            : []),
        ...(lockFiles.length > 1
            ? [
                `There are ${lockFiles.length} lock files (${lockFiles.join(', ')}): keep the one of the package manager in use.`,
            ]
            : []),
        ...(wrapper
            ? [
                `${ecosystem.file} starts "${wrapper.script}", not the application: it works, with a gap at each deploy. Without a gap: the script itself and exec_mode: "cluster" (docs/server.md#pm2).`,
            ]
            : []),
        ...(migrations
            ? [
                `${migrations.folder} holds ${migrations.count} ${migrations.count === 1 ? 'migration' : 'migrations'}. Where the database has them without a history, the plan says so, with the baseline: line that records them without running them.`,
            ]
            : []),
        ...(healthRoute === false
            ? [
                'No file speaks of /api/health, so health-paths is /. An answer of its own says more: docs/health.md.',
            ]
            : []),
        'Tracked files that were changed on the server refuse a deploy: "git status" there shows them. A lock file that an install rewrote is kept as a patch by itself.',
    ];
}
/** The command that shows in a terminal what a deploy would do: the workflow's values, its secrets by their variables. */
function planCommand(values, connections) {
    const env = connections.flatMap(({ input }) => {
        const [name] = (0,input_sources/* inputRule */.zH)(input).env.toSorted((a, b) => a.length - b.length);
        const value = input === 'ssh-private-key' ? '"$(cat path/to/key)"' : "'...'";
        return name === undefined ? [] : [`${name}=${value}`];
    });
    const flags = [...values]
        .filter(([, value]) => value !== '')
        .map(([name, value]) => `--${name} ${(0,shell/* quote */.h)(value)}`);
    return [...env, `node /path/to/deploy-action/dist/cli.js plan`, ...flags].join(' \\\n    ');
}

// EXTERNAL MODULE: ./compiled/src/entry/terminal/flags.js
var terminal_flags = __webpack_require__(8046);
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
/** The branch of that name, where there is one here or at origin as last fetched. */
async function branchNamed(root, name) {
    for (const place of ['refs/heads/', 'refs/remotes/origin/']) {
        const words = ['git', '-C', root, 'show-ref', '--verify', '--quiet', `${place}${name}`];
        const ended = await (0,local_programs/* runProgram */.mB)(words).catch(() => undefined);
        if (ended?.code === 0)
            return name;
    }
    return undefined;
}
/** What a symbolic ref points to, without its prefix. Undefined where it points to nothing, or git cannot be asked. */
async function symbolicRef(root, name, prefix) {
    const words = ['git', '-C', root, 'symbolic-ref', '--quiet', name];
    const ended = await (0,local_programs/* runProgram */.mB)(words).catch(() => undefined);
    const target = ended?.code === 0 ? ended.stdout.trim() : '';
    return target.startsWith(prefix) ? target.slice(prefix.length) : undefined;
}

;// CONCATENATED MODULE: ./compiled/src/entry/terminal/known-names.js
/**
 * By which names people keep what a connection needs, without the environment's own word, the most telling one first.
 * The first name of each is what the documents use where there is none yet.
 */
const NAMES = [
    ['database-url', 'secrets', 'DATABASE_URL', 'SUPABASE_DB_URL', 'DB_URL', 'POSTGRES_URL'],
    ['ssh-host', 'vars', 'VPS_HOST', 'SSH_HOST', 'SERVER_HOST', 'DEPLOY_HOST', 'HOST'],
    ['ssh-port', 'vars', 'VPS_PORT', 'SSH_PORT', 'SERVER_PORT'],
    [
        'ssh-user',
        'vars',
        'VPS_USER',
        'VPS_USERNAME',
        'SSH_USER',
        'SSH_USERNAME',
        'SERVER_USER',
        'DEPLOY_USER',
        'USERNAME',
    ],
    [
        'ssh-private-key',
        'secrets',
        'VPS_SSH_KEY',
        'SSH_PRIVATE_KEY',
        'VPS_SSH_PRIVATE_KEY',
        'VPS_KEY',
        'SSH_KEY',
        'DEPLOY_KEY',
    ],
    ['ssh-fingerprint', 'vars', 'VPS_FINGERPRINT', 'SSH_FINGERPRINT', 'SERVER_FINGERPRINT'],
    ['ssh-known-hosts', 'vars', 'VPS_KNOWN_HOSTS', 'SSH_KNOWN_HOSTS', 'KNOWN_HOSTS'],
    ['health-url', 'vars', 'HEALTH_URL', 'APP_URL', 'SITE_URL', 'PUBLIC_URL', 'URL'],
    ['supabase-project-ref', 'vars', 'SUPABASE_PROJECT_REF', 'SUPABASE_PROJECT_ID'],
    ['supabase-access-token', 'secrets', 'SUPABASE_ACCESS_TOKEN'],
];
/**
 * What every workflow takes from the repository's settings, also where nothing is found; the others only where a workflow
 * has them.
 */
const CONNECTION_INPUTS = [
    'database-url',
    'ssh-host',
    'ssh-user',
    'ssh-private-key',
    'ssh-fingerprint',
    'health-url',
];
/** The words by which people name an environment in a secret: `STAGING`, `PROD`. */
function environmentWords(environment) {
    const own = environment.toUpperCase().replaceAll(/[^A-Z0-9]+/g, '_');
    if (/^PROD/.test(own))
        return [...new Set([own, 'PRODUCTION', 'PROD', 'LIVE'])];
    if (/^(?:STAG|STG)/.test(own))
        return [...new Set([own, 'STAGING', 'STAGE', 'STG'])];
    return own === 'DEVELOPMENT' ? [own, 'DEV'] : [own];
}
/** Names of one environment among those of all workflows. A name of another environment is never taken. */
function connectionsFor(environment, workflows) {
    const there = [...new Set(workflows.flatMap(({ names }) => names))];
    const words = environmentWords(environment);
    const bare = (name) => name.slice(name.indexOf('.') + 1).toUpperCase();
    const find = (wanted) => {
        for (const text of wanted) {
            const found = there.find((name) => bare(name) === text);
            if (found !== undefined)
                return found;
        }
        return undefined;
    };
    const found = NAMES.map(([, , ...names]) => {
        const own = names.flatMap((name) => words.flatMap((word) => withWord(name, word)));
        return find(own) ?? find(names);
    });
    // Who has STAGING_VPS_HOST expects STAGING_VPS_FINGERPRINT: as a variable of the repository it must not be shared.
    const word = words.find((each) => found.some((from) => from && bare(from).startsWith(`${each}_`)));
    const connections = NAMES.flatMap(([input, kind, first], at) => {
        const from = found[at];
        if (from !== undefined)
            return [{ input, from, known: true }];
        const name = word === undefined ? first : `${word}_${first}`;
        return CONNECTION_INPUTS.includes(input) ? [{ input, from: `${kind}.${name}`, known: false }] : [];
    });
    return withoutNeedless(connections);
}
/** `STAGING_VPS_HOST`, `VPS_HOST_STAGING`, `VPS_STAGING_HOST`. */
function withWord(name, word) {
    const parts = name.split('_');
    return parts
        .map((_, at) => [...parts.slice(0, at), word, ...parts.slice(at)].join('_'))
        .concat(`${name}_${word}`);
}
/** A second way to the same thing is left out: known_hosts or the fingerprint, the database URL or the token. */
function withoutNeedless(all) {
    const known = (input) => all.some((each) => each.input === input && each.known);
    const needless = new Set();
    needless.add(known('ssh-known-hosts') && !known('ssh-fingerprint') ? 'ssh-fingerprint' : 'ssh-known-hosts');
    const api = known('supabase-project-ref') && known('supabase-access-token');
    if (api && !known('database-url'))
        needless.add('database-url');
    else
        for (const input of ['supabase-project-ref', 'supabase-access-token'])
            needless.add(input);
    return all.filter(({ input }) => !needless.has(input));
}
/** The workflow that deploys this environment today: by its job's environment, its file name, or its names. */
function workflowOf(environment, workflows) {
    const words = environmentWords(environment);
    const speaks = (text) => text
        .toUpperCase()
        .split(/[^A-Z0-9]+/)
        .some((part) => words.includes(part));
    return (workflows.find(({ environments }) => environments.some(speaks)) ??
        workflows.find(({ file }) => speaks(file.slice(file.lastIndexOf('/') + 1))) ??
        workflows.find(({ names }) => names.some((name) => name
            .toUpperCase()
            .split(/[._]/)
            .some((part) => words.includes(part)))));
}

;// CONCATENATED MODULE: ./compiled/src/entry/terminal/workflow-facts.js
const EXPRESSION = /\$\{\{[^}]*?\b((?:secrets|vars)\.[A-Za-z_]\w*)[^}]*\}\}/g;
/** Reads what the YAML of a workflow holds; a file that is none says nothing. */
function workflowFacts(file, yaml) {
    const names = new Set();
    let port;
    visit(yaml, (node) => {
        if (typeof node === 'string')
            for (const [, name] of node.matchAll(EXPRESSION))
                names.add(name);
        else if ('host' in node && /^\d{1,5}$/.test(String(node.port)))
            port = String(node.port);
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
function visit(node, see) {
    if (typeof node === 'string')
        see(node);
    if (typeof node !== 'object' || node === null)
        return;
    if (!Array.isArray(node))
        see(node);
    for (const value of Object.values(node))
        visit(value, see);
}
function asRecord(value) {
    return typeof value === 'object' && value !== null && !Array.isArray(value)
        ? value
        : {};
}
/** The texts of a value that is one, or a list of some; patterns and expressions name nothing. */
function texts(value) {
    const list = Array.isArray(value) ? value : [value];
    return list
        .filter((item) => typeof item === 'string')
        .filter((item) => item !== '' && !/[*?${}!]/.test(item));
}

;// CONCATENATED MODULE: ./compiled/src/entry/terminal/project-facts.js




const LOCK_FILES = [
    'package-lock.json',
    'npm-shrinkwrap.json',
    'pnpm-lock.yaml',
    'yarn.lock',
    'bun.lock',
    'bun.lockb',
];
const ECOSYSTEM_FILES = ['ecosystem.config.js', 'ecosystem.config.cjs', 'ecosystem.config.json'];
const MIGRATION_FOLDERS = ['supabase/migrations', 'migrations', 'db/migrations'];
/** Milliseconds for a file of the project's own that says what PM2 is to run. */
const ECOSYSTEM_TIMEOUT = 10_000;
/** Looks at a project: `root`, where its workflows lie, and `folder`, where the application does. Never fails. */
async function readProjectFacts(root, folder) {
    const [workflows, ecosystem, healthRoute] = await Promise.all([
        readWorkflows(root),
        readEcosystemFile(folder),
        speaksOfHealth(folder),
    ]);
    const migrations = findMigrations(folder);
    return {
        workflows,
        ...(ecosystem === undefined ? {} : { ecosystem }),
        lockFiles: LOCK_FILES.filter((name) => (0,external_node_fs_.existsSync)((0,external_node_path_.join)(folder, name)) || (0,external_node_fs_.existsSync)((0,external_node_path_.join)(root, name))),
        packages: (0,external_node_fs_.existsSync)((0,external_node_path_.join)(folder, 'package.json')),
        ...(healthRoute === undefined ? {} : { healthRoute }),
        ...(migrations === undefined ? {} : { migrations }),
    };
}
async function readWorkflows(root) {
    const names = entries((0,external_node_path_.join)(root, '.github/workflows')).filter((name) => /\.ya?ml$/.test(name));
    if (names.length === 0)
        return [];
    const { parse } = await __webpack_require__.e(/* import() */ 637).then(__webpack_require__.t.bind(__webpack_require__, 6637, 19));
    return names.toSorted().flatMap((name) => {
        try {
            const text = (0,external_node_fs_.readFileSync)((0,external_node_path_.join)(root, '.github/workflows', name), 'utf8');
            return [workflowFacts(`.github/workflows/${name}`, parse(text, { logLevel: 'silent' }))];
        }
        catch {
            // What GitHub could not read either says nothing.
            return [];
        }
    });
}
/** Runs the file as PM2 would, because it is a program; what it says beside its value is not shown. */
async function readEcosystemFile(folder) {
    const file = ECOSYSTEM_FILES.find((name) => (0,external_node_fs_.existsSync)((0,external_node_path_.join)(folder, name)));
    if (file === undefined)
        return undefined;
    const program = `const all = require(${JSON.stringify((0,external_node_path_.join)(folder, file))}); process.stdout.write('\\n' + JSON.stringify(all.apps ?? all));`;
    try {
        const options = { cwd: folder, timeout: ECOSYSTEM_TIMEOUT };
        const { code, stdout } = await (0,local_programs/* runProgram */.mB)([process.execPath, '-e', program], options);
        if (code !== 0)
            return { file, apps: [] };
        const apps = JSON.parse(stdout.slice(stdout.lastIndexOf('\n') + 1));
        const list = Array.isArray(apps) ? apps : [apps];
        return { file, apps: list.filter((app) => typeof app === 'object' && app !== null).map(appOf) };
    }
    catch {
        return { file, apps: [] };
    }
}
function appOf(app) {
    const text = (name) => {
        const value = Reflect.get(app, name);
        return typeof value === 'string' && value !== '' ? value : undefined;
    };
    const [name, script, cwd] = ['name', 'script', 'cwd'].map(text);
    return {
        ...(name === undefined ? {} : { name }),
        ...(script === undefined ? {} : { script }),
        ...(cwd === undefined ? {} : { cwd }),
    };
}
/** A route is a path of that name, or a text in a server of one's own. */
async function speaksOfHealth(folder) {
    const asked = async (...words) => (0,local_programs/* runProgram */.mB)(['git', '-C', folder, ...words]).catch(() => undefined);
    const files = await asked('ls-files', '--cached', '--others', '--exclude-standard', '.');
    if (files?.code !== 0)
        return undefined;
    if (/(?:^|\/)api\/health(?:[./]|$)/m.test(files.stdout))
        return true;
    const named = await asked('grep', '--untracked', '-q', '-e', '/api/health', '--', '*.js', '*.ts', '*.mjs', '*.cjs', '*.tsx');
    return named?.code === 0;
}
function findMigrations(folder) {
    for (const name of MIGRATION_FOLDERS) {
        const files = entries((0,external_node_path_.join)(folder, name)).filter((file) => /^\d+_.*(?<!\.down)\.sql$/.test(file));
        const newest = files.toSorted().at(-1)?.split('_')[0];
        if (newest !== undefined)
            return { folder: name, count: files.length, newest };
    }
    return undefined;
}
function entries(folder) {
    try {
        return (0,external_node_fs_.readdirSync)(folder);
    }
    catch {
        return [];
    }
}

;// CONCATENATED MODULE: ./compiled/src/entry/terminal/workflow-file.js
/** The commit of actions/checkout that the written workflow uses. */
const CHECKOUT = 'actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0';
/** Of one application in one environment, also where the repository holds several: `deploy-staging-apps-web`. */
function workflowName(values) {
    const parts = ['deploy', values.get('environment') ?? '', values.get('working-directory') ?? ''];
    return parts
        .map((part) => part.toLowerCase().replaceAll(/[^\p{L}\p{N}]+/gu, '-'))
        .filter((part) => part !== '')
        .join('-');
}
/** The text of the workflow that `init` writes. Every value is a double-quoted YAML string. */
function workflowText(values, branch, connections) {
    const environment = values.get('environment');
    const place = values.get('working-directory');
    const own = [...values].filter(([name, value]) => value !== '' && name !== 'environment');
    const taken = connections.map(({ input, from }) => `          ${input}: \${{ ${from} }}`);
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
    ['environment', 'Environment (such as staging, production)'],
    ['branch', 'Branch whose pushes are deployed to it'],
    ['app-path', 'Folder of the application on the server, such as /var/www/app'],
    ['app-name', 'Its name in `pm2 list`'],
    ['required-tables', 'Tables that must exist, separated by commas (may stay empty)'],
];
/** What a shell says of a program that Ctrl-C ended. */
const INTERRUPTED = 130;
const FLAGS = [...input_sources/* INPUT_NAMES */.Qh.filter((name) => name !== 'mode'), 'branch', 'force'];
/**
 * `muva-deploy init [--branch main --app-path … --any-input value]`: reads what the project has, writes a workflow into
 * the repository and says what is left to do. A file that is there is shown as a difference, and replaced by `--force`
 * alone. Returns the exit code.
 */
async function init(words, context) {
    const flags = (0,terminal_flags/* parseFlags */.bQ)(words, FLAGS);
    if (flags.asked !== undefined) {
        context.write(HELP);
        return 0;
    }
    const root = repositoryRoot(context.folder);
    const base = root ?? context.folder;
    const values = new Map();
    for (const [name, value] of flags.values)
        if (name !== 'branch' && name !== 'force')
            values.set(name, value);
    const force = flags.values.get('force') === 'true';
    const problems = [...flags.problems, ...misplaced(values)];
    let branch = flags.values.get('branch') || undefined;
    if (branch !== undefined)
        problems.push(...branchProblems(branch));
    const folder = (0,external_node_path_.resolve)(context.folder, values.get('working-directory') ?? '.');
    const place = placeIn(base, folder);
    values.delete('working-directory');
    if (place === undefined)
        problems.push({
            message: 'working-directory: leads out of the repository',
            next: 'Name a folder in it.',
        });
    else if (place !== '')
        values.set('working-directory', place);
    const found = await readProjectFacts(base, place === undefined ? base : folder);
    const project = {
        base,
        found,
        force,
        branchOf: (environment) => branchFor(environment, base, found),
    };
    suggest(values, found, context.ask === undefined);
    if (!context.ask && !values.get('environment'))
        values.set('environment', 'staging');
    const given = [...values.keys()];
    const wrong = deployProblems(values, project);
    problems.push(...(context.ask ? about(given, wrong) : wrong));
    if (problems.length === 0 && context.ask) {
        context.write(foundText(found));
        const answers = await answered(values, branch, context.ask, context.write, project);
        if (answers === undefined) {
            context.write('\nNothing was written.\n');
            return INTERRUPTED;
        }
        branch = answers.branch;
        problems.push(...deployProblems(values, project));
    }
    const environment = values.get('environment') ?? 'staging';
    branch ??= await project.branchOf(environment);
    const said = new Set(flags.values.keys());
    const connections = connectionsFor(environment, found.workflows).filter(({ input }) => !said.has(input));
    // A port that stands in a step says less than a name of its own.
    if (connections.some(({ input }) => input === 'ssh-port'))
        values.delete('ssh-port');
    const text = workflowText(values, branch, connections);
    if (problems.length > 0) {
        tell(problems, context.write);
        if (problems.some((problem) => isThere(problem)))
            context.write(await difference(pathOf(values, base), text));
        return 1;
    }
    const path = pathOf(values, base);
    const before = (0,external_node_fs_.existsSync)(path) ? await difference(path, text) : '';
    (0,external_node_fs_.mkdirSync)((0,external_node_path_.dirname)(path), { recursive: true });
    (0,external_node_fs_.writeFileSync)(path, text, { flag: force ? 'w' : 'wx' });
    context.write(`${before}${(0,external_node_path_.relative)(context.folder, path)} is written; it runs on every push to ${branch}.\n`);
    if (root === undefined)
        context.write('No git repository was found here: GitHub reads the file at the root of one only.\n');
    context.write(`\n${whatIsLeft(environment, connections, values.has('health-paths') || found.healthRoute === true)}`);
    const old = workflowOf(environment, found.workflows);
    if (old && (0,external_node_path_.join)(base, old.file) !== path)
        context.write(`\n${old.file} deploys this environment too: take its deploy steps out, or both run on each push.\n`);
    context.write(`\nWhat a plan will say, and how to mend it first:\n`);
    for (const line of expectedRefusals(found))
        context.write(`- ${line}\n`);
    context.write(`\nTo see it all from here, without writing anything:\n    ${planCommand(values, connections)}\n`);
    return 0;
}
/** The branch that deploys an environment: as a workflow has it, else the one of its name, else origin's own. */
async function branchFor(environment, base, { workflows }) {
    const [known] = workflowOf(environment, workflows)?.branches ?? [];
    return known ?? (await branchNamed(base, environment)) ?? (await mainBranch(base)) ?? 'main';
}
function branchProblems(branch) {
    const wrong = (0,names/* checkGitRef */.wS)(branch);
    return wrong ? [{ message: `branch: ${wrong.wrong}`, next: 'Give the name of a branch.' }] : [];
}
/** Takes from the project what no flag says. Where nobody can be asked, also what a person would be offered. */
function suggest(values, found, unasked) {
    const take = (name, value) => {
        if (value !== undefined && !values.has(name))
            values.set(name, value);
    };
    if (found.healthRoute === false)
        take('health-paths', '/');
    if (found.migrations && found.migrations.folder !== (0,input_sources/* inputRule */.zH)('migrations-dir').fallback)
        take('migrations-dir', found.migrations.folder);
    const port = found.workflows.find((workflow) => workflow.port !== undefined)?.port;
    if (port !== '22')
        take('ssh-port', port);
    if (!unasked)
        return;
    for (const name of ['app-path', 'app-name'])
        take(name, offered(name, found));
}
/** The answer that a person need only confirm; undefined where the project does not tell. */
function offered(name, { ecosystem }) {
    const [app, other] = ecosystem?.apps ?? [];
    if (name === 'environment')
        return 'staging';
    if (app === undefined || other !== undefined)
        return undefined;
    if (name === 'app-name')
        return app.name;
    return name === 'app-path' && app.cwd?.startsWith('/') ? app.cwd : undefined;
}
/** What was found, so that a person sees why something is offered. */
function foundText({ workflows, ecosystem, lockFiles, migrations }) {
    const lines = [
        ...workflows
            .filter(({ names }) => names.length > 0)
            .map(({ file, names }) => `${file} (${names.join(', ')})`),
        ...(ecosystem ? [`${ecosystem.file} (${ecosystem.apps.map(({ name }) => name ?? '?').join(', ')})`] : []),
        ...lockFiles,
        ...(migrations ? [`${migrations.folder} (${migrations.count}, the newest ${migrations.newest})`] : []),
    ];
    return lines.length === 0 ? '' : `Found: ${lines.join('; ')}\n\n`;
}
/** The difference between a file and the text that would take its place, as git shows it. */
async function difference(path, text) {
    const folder = (0,external_node_fs_.mkdtempSync)((0,external_node_path_.join)((0,external_node_os_.tmpdir)(), 'muva-init-'));
    try {
        const file = (0,external_node_path_.join)(folder, 'new.yml');
        (0,external_node_fs_.writeFileSync)(file, text);
        const shown = await (0,local_programs/* runProgram */.mB)(['git', 'diff', '--no-index', '--no-color', '--', path, file]).catch(() => undefined);
        const at = shown?.stdout.indexOf('@@') ?? -1;
        return at < 0 ? '' : `\n--- ${path}\n+++ what init would write\n${shown.stdout.slice(at)}\n`;
    }
    finally {
        (0,external_node_fs_.rmSync)(folder, { recursive: true, force: true });
    }
}
/** Asks on a terminal; where standard input is none, there is nobody to ask. */
async function initFromTerminal(words) {
    const { stdin, stdout } = process;
    const context = { folder: process.cwd(), write: (text) => void stdout.write(text) };
    if (!stdin.isTTY)
        return init(words, context);
    return withQuestions(stdin, stdout, (ask) => init(words, { ...context, ask }));
}
/** Asks for what is not given, each until it is right; undefined where the person left. */
async function answered(values, givenBranch, ask, write, project) {
    let branch = givenBranch;
    for (const [name, question] of QUESTIONS) {
        if (name === 'branch' ? branch !== undefined : values.has(name))
            continue;
        const known = name === 'branch'
            ? await project.branchOf(values.get('environment') ?? '')
            : offered(name, project.found);
        let wrong;
        do {
            const answer = await ask(`${question}${known === undefined ? '' : ` [${known}]`}: `);
            if (answer === undefined)
                return undefined;
            const said = answer.trim() || (known ?? '');
            if (name === 'branch') {
                branch = said;
                wrong = branchProblems(said);
            }
            else {
                values.set(name, said);
                wrong = about([name], deployProblems(values, project));
            }
            tell(wrong, write);
        } while (wrong.length > 0);
    }
    return { branch: branch };
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
        .filter((name) => (0,input_sources/* inputRule */.zH)(name).secret || CONNECTION_INPUTS.includes(name))
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
function deployProblems(values, { base, force }) {
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
    const own = problems.filter(({ input }) => !CONNECTION_INPUTS.includes(input));
    const path = pathOf(values, base);
    if (values.get('environment') && !force && (0,external_node_fs_.existsSync)(path))
        own.push({
            input: 'environment',
            message: `environment: ${(0,external_node_path_.relative)(base, path)} ${EXISTS}`,
            next: 'Say --force to replace it, or name another environment.',
        });
    return own;
}
const EXISTS = 'exists already';
function isThere({ message }) {
    return message.endsWith(EXISTS);
}
/** The problems that name one of the inputs. */
function about(names, problems) {
    return problems.filter(({ input }) => names.includes(input));
}
const ASKED = QUESTIONS.map(([name]) => name).join(', ');
const HELP = `Usage: muva-deploy init [--branch name] [--force] [--input value ...]

Reads the project (its workflows, ecosystem file, lock file, migrations), writes .github/workflows/deploy-<environment>.yml
at the root of the repository, and says what is left to do. Secrets and variables keep the names that a workflow there has
for them. On a terminal it asks for what no flag says: ${ASKED}.

  --branch name        every push to it is deployed; by default the one of the workflow that deploys the environment now,
                       else a branch of the environment's name, else origin's own, else the one checked out
  --force              replaces the file where it is there; without it the difference is shown
  --environment name   staging by default
  --app-path folder    and any other input (see muva-deploy --help) becomes an input of the workflow's step; but not
                       the secrets, and not ${CONNECTION_INPUTS.filter((name) => !(0,input_sources/* inputRule */.zH)(name).secret).join(', ')}:
                       those come from the GitHub Environment

Below the repository's root, as in one of its several applications, working-directory is set to that folder.
`;
const SOURCES = {
    'database-url': ['Supabase dashboard, Connect, Session pooler; the password percent-encoded'],
    'ssh-private-key': ['a private key whose public half is in ~/.ssh/authorized_keys on the server'],
    'ssh-host': ['the server'],
    'ssh-user': ['the login on it'],
    'ssh-fingerprint': [
        'what this prints on the server, the part from SHA256: on:',
        'ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub',
    ],
    'health-url': ['the public address, such as https://staging.example.com'],
};
function whatIsLeft(environment, connections, healthKnown) {
    const missing = connections.filter(({ known }) => !known);
    const known = connections.filter((connection) => connection.known);
    const width = Math.max(...connections.map(({ from }) => from.length)) + 2;
    const rows = missing.map(({ input, from }) => {
        const [kind = '', name = ''] = from.split('.');
        const [first = '', ...more] = SOURCES[input] ?? [];
        const head = `  ${(kind === 'secrets' ? 'secret' : 'variable').padEnd(10)}${name.padEnd(width)}`;
        return [head + first, ...more.map((line) => ' '.repeat(head.length) + line)].join('\n');
    });
    return `It uses muva/deploy-action@v1, which must exist: until a version is released, write the full SHA of a commit of that
repository instead of v1 ("Not yet" in its README).
${known.length === 0
        ? ''
        : `
Taken as a workflow has it already: ${known.map(({ input, from }) => `${input} from ${from}`).join(', ')}.
What belongs to a GitHub Environment must be in the one named ${environment}; what is a secret of the repository stays one.
`}
What is left to do, in the repository under Settings > Environments > ${environment} (or Secrets and variables > Actions):
${rows.length === 0 ? '  nothing: every name is there.' : rows.join('\n')}
${healthKnown ? '' : 'An application without /api/health also needs "health-paths: /" under "with:".\n'}${connections.some(({ input }) => input === 'supabase-access-token')
        ? 'The access token works with limits; with a secret DATABASE_URL (database-url) SQL goes over one session, and backups are dumps.\n'
        : ''}Then push. To see first what would happen, add "mode: plan" under "with:".
`;
}


/***/ })

};
;