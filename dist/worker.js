/******/ (() => { // webpackBootstrap
/******/ 	"use strict";
/******/ 	var __webpack_modules__ = ({

/***/ 67:
/***/ ((module) => {

module.exports = require("node:http");

/***/ }),

/***/ 708:
/***/ ((module) => {

module.exports = require("node:https");

/***/ }),

/***/ 30:
/***/ ((module) => {

module.exports = require("node:net");

/***/ }),

/***/ 692:
/***/ ((module) => {

module.exports = require("node:tls");

/***/ }),

/***/ 522:
/***/ ((module) => {

module.exports = require("node:zlib");

/***/ })

/******/ 	});
/************************************************************************/
/******/ 	// The module cache
/******/ 	var __webpack_module_cache__ = {};
/******/ 	
/******/ 	// The require function
/******/ 	function __nccwpck_require__(moduleId) {
/******/ 		// Check if module is in cache
/******/ 		var cachedModule = __webpack_module_cache__[moduleId];
/******/ 		if (cachedModule !== undefined) {
/******/ 			return cachedModule.exports;
/******/ 		}
/******/ 		// Create a new module (and put it into the cache)
/******/ 		var module = __webpack_module_cache__[moduleId] = {
/******/ 			// no module.id needed
/******/ 			// no module.loaded needed
/******/ 			exports: {}
/******/ 		};
/******/ 	
/******/ 		// Execute the module function
/******/ 		var threw = true;
/******/ 		try {
/******/ 			__webpack_modules__[moduleId](module, module.exports, __nccwpck_require__);
/******/ 			threw = false;
/******/ 		} finally {
/******/ 			if(threw) delete __webpack_module_cache__[moduleId];
/******/ 		}
/******/ 	
/******/ 		// Return the exports of the module
/******/ 		return module.exports;
/******/ 	}
/******/ 	
/************************************************************************/
/******/ 	/* webpack/runtime/asset-relocator-loader */
/******/ 	if (typeof __nccwpck_require__ !== 'undefined') __nccwpck_require__.ab = __dirname + "/";
/******/ 	
/******/ 	/* webpack/runtime/create fake namespace object */
/******/ 	(() => {
/******/ 		var getProto = Object.getPrototypeOf ? (obj) => (Object.getPrototypeOf(obj)) : (obj) => (obj.__proto__);
/******/ 		var leafPrototypes;
/******/ 		// create a fake namespace object
/******/ 		// mode & 1: value is a module id, require it
/******/ 		// mode & 2: merge all properties of value into the ns
/******/ 		// mode & 4: return value when already ns object
/******/ 		// mode & 16: return value when it's Promise-like
/******/ 		// mode & 8|1: behave like require
/******/ 		__nccwpck_require__.t = function(value, mode) {
/******/ 			if(mode & 1) value = this(value);
/******/ 			if(mode & 8) return value;
/******/ 			if(typeof value === 'object' && value) {
/******/ 				if((mode & 4) && value.__esModule) return value;
/******/ 				if((mode & 16) && typeof value.then === 'function') return value;
/******/ 			}
/******/ 			var ns = Object.create(null);
/******/ 			__nccwpck_require__.r(ns);
/******/ 			var def = {};
/******/ 			leafPrototypes = leafPrototypes || [null, getProto({}), getProto([]), getProto(getProto)];
/******/ 			for(var current = mode & 2 && value; typeof current == 'object' && !~leafPrototypes.indexOf(current); current = getProto(current)) {
/******/ 				Object.getOwnPropertyNames(current).forEach((key) => (def[key] = () => (value[key])));
/******/ 			}
/******/ 			def['default'] = () => (value);
/******/ 			__nccwpck_require__.d(ns, def);
/******/ 			return ns;
/******/ 		};
/******/ 	})();
/******/ 	
/******/ 	/* webpack/runtime/define property getters */
/******/ 	(() => {
/******/ 		// define getter functions for harmony exports
/******/ 		__nccwpck_require__.d = (exports, definition) => {
/******/ 			for(var key in definition) {
/******/ 				if(__nccwpck_require__.o(definition, key) && !__nccwpck_require__.o(exports, key)) {
/******/ 					Object.defineProperty(exports, key, { enumerable: true, get: definition[key] });
/******/ 				}
/******/ 			}
/******/ 		};
/******/ 	})();
/******/ 	
/******/ 	/* webpack/runtime/hasOwnProperty shorthand */
/******/ 	(() => {
/******/ 		__nccwpck_require__.o = (obj, prop) => (Object.prototype.hasOwnProperty.call(obj, prop))
/******/ 	})();
/******/ 	
/******/ 	/* webpack/runtime/make namespace object */
/******/ 	(() => {
/******/ 		// define __esModule on exports
/******/ 		__nccwpck_require__.r = (exports) => {
/******/ 			if(typeof Symbol !== 'undefined' && Symbol.toStringTag) {
/******/ 				Object.defineProperty(exports, Symbol.toStringTag, { value: 'Module' });
/******/ 			}
/******/ 			Object.defineProperty(exports, '__esModule', { value: true });
/******/ 		};
/******/ 	})();
/******/ 	
/************************************************************************/
var __webpack_exports__ = {};

;// CONCATENATED MODULE: external "node:fs"
const external_node_fs_namespaceObject = require("node:fs");
;// CONCATENATED MODULE: ./compiled/src/lib/defined-only.js
/** The fields that have a value, to be spread into an object whose optional fields are absent rather than undefined. */
function definedOnly(fields) {
    return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

;// CONCATENATED MODULE: ./compiled/src/lib/report.js
/**
 * The one value that flows through the whole action. Phases return a PhaseReport; outputs, job summary,
 * terminal table, JSON report and the rollback decision all read it, and nothing else is passed around.
 */
const PHASES = (/* unused pure expression or super */ null && ([
    'plan',
    'prepare',
    'backup',
    'migrate',
    'verify',
    'redeploy',
    'health',
    'watch',
    'rollback',
    'status',
]));
/** How a run can end; the output `outcome`. */
const OUTCOMES = (/* unused pure expression or super */ null && ([
    'success',
    'failure',
    'rolled-back',
    'rollback-failed',
    'cancelled',
    'unknown',
    'skipped',
]));
/** An expected failure: it carries the problems that a person is told, and is never shown with a stack. */
class Failure extends Error {
    problems;
    /** `unknown` where it could not be found out whether the work took effect. */
    outcome;
    constructor(problems, outcome = 'failed') {
        const list = Array.isArray(problems) ? problems : [problems];
        super(list.map((problem) => problem.message).join('\n'));
        this.name = 'Failure';
        this.problems = list;
        this.outcome = outcome;
    }
}
/** The run was cancelled by a person (SIGINT, SIGTERM); what was under way has been stopped or told. */
class Cancelled extends Failure {
    /** What was cancelled, or what became of it, where that can be told. */
    detail;
    constructor(detail) {
        super({ message: detail ?? 'cancelled' });
        this.name = 'Cancelled';
        this.detail = detail;
    }
}
/** A step that turned out to be none of this run's business; the message says why. */
class NotNeeded extends Failure {
    constructor(message) {
        super({ message });
        this.name = 'NotNeeded';
    }
}
/**
 * Any thrown value as problems for a person: those that a Failure carries; of an error that nobody expected its message
 * and code, never its stack. Errors of a kind that is known (SQL, SSH, HTTP, GitHub) are put into words where they are
 * caught, and come here as a Failure.
 */
function problemsOf(error) {
    if (error instanceof Failure)
        return error.problems;
    const message = error instanceof Error ? error.message || error.name : String(error);
    const code = errorCode(error);
    return [code === undefined ? { message } : { message, code }];
}
/** The first problem of a thrown value: the cause. */
function problemOf(error) {
    return problemsOf(error)[0] ?? { message: String(error) };
}
/** The message of a thrown value, without code and advice, to be put into a sentence. */
function messageOf(error) {
    return problemOf(error).message;
}
/** The code that Node or a library gave an error (`ENOENT`, `ECONNREFUSED`); undefined where it has none. */
function errorCode(error) {
    return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
/** The same for two problems that a person would take for one: the same words about the same place. */
function problemKey({ message, at }) {
    return JSON.stringify([message, at?.file, at?.line]);
}

;// CONCATENATED MODULE: external "node:crypto"
const external_node_crypto_namespaceObject = require("node:crypto");
;// CONCATENATED MODULE: ./compiled/src/lib/seal.js

/**
 * The lines of a run's events. They lie in a file that every program of the deploy user can write, the build among
 * them, so each carries a counter and a MAC under a key that only the worker and the action which started it have: in
 * memory, never in a file, an argument or an environment.
 */
/** Bytes of a key. */
const KEY_LENGTH = 32;
/** Bytes of the longest line; a longer one is none of the worker's. */
const LONGEST_EVENT = 1_048_576;
const LINE = /^\{"n":([1-9]\d{0,14}),"mac":"([0-9a-f]{64})","event":(.*)\}$/s;
/** Seals under `key`, of KEY_LENGTH bytes. `from`: the number of the last line that is in the file already. */
function sealer(key, from = 0) {
    let count = from;
    return {
        line(event) {
            const n = count + 1;
            return `\n{"n":${n},"mac":"${mac(key, n, event).toString('hex')}","event":${event}}\n`;
        },
        written() {
            count += 1;
        },
    };
}
/** The number and the event of a line; undefined where it was not sealed with this key. */
function unseal(key, line) {
    const [, number, seal, event] = LINE.exec(line) ?? [];
    if (number === undefined || seal === undefined || event === undefined)
        return undefined;
    const n = Number(number);
    return (0,external_node_crypto_namespaceObject.timingSafeEqual)(mac(key, n, event), Buffer.from(seal, 'hex')) ? { n, event } : undefined;
}
function mac(key, n, event) {
    return (0,external_node_crypto_namespaceObject.createHmac)('sha256', key).update(`${n}\n${event}`).digest();
}

;// CONCATENATED MODULE: external "node:path"
const external_node_path_namespaceObject = require("node:path");
;// CONCATENATED MODULE: ./compiled/src/worker/host/files.js


/** Writes all bytes. On a disk that is nearly full the system takes a part of them, and says so without an error. */
function writeAll(fd, content) {
    let rest = typeof content === 'string' ? Buffer.from(content) : content;
    while (rest.length > 0)
        rest = rest.subarray((0,external_node_fs_namespaceObject.writeSync)(fd, rest));
}
/**
 * Writes a file so that a reader, a power cut or a full disk sees the old content or the new, never a part. What could
 * not be written whole is taken away again.
 */
function writeAtomically(file, content, mode = 0o600) {
    (0,external_node_fs_namespaceObject.mkdirSync)((0,external_node_path_namespaceObject.dirname)(file), { recursive: true });
    const next = `${file}.${process.pid}.next`;
    try {
        const fd = (0,external_node_fs_namespaceObject.openSync)(next, 'w', mode);
        try {
            writeAll(fd, content);
            (0,external_node_fs_namespaceObject.fsyncSync)(fd);
        }
        finally {
            (0,external_node_fs_namespaceObject.closeSync)(fd);
        }
        (0,external_node_fs_namespaceObject.renameSync)(next, file);
    }
    catch (error) {
        removePath(next);
        throw error;
    }
    syncFolder((0,external_node_path_namespaceObject.dirname)(file));
}
/** Adds all of a text at the end of an open file, or nothing of it. `durable`: waits until it is on the disk. */
function appendWhole(fd, text, durable = false) {
    const { size } = (0,external_node_fs_namespaceObject.fstatSync)(fd);
    try {
        writeAll(fd, text);
        if (durable)
            (0,external_node_fs_namespaceObject.fsyncSync)(fd);
    }
    catch (error) {
        (0,external_node_fs_namespaceObject.ftruncateSync)(fd, size);
        throw error;
    }
}
/** Adds one line, or nothing of it, and waits until it is on the disk. */
function appendLine(file, line) {
    const fd = (0,external_node_fs_namespaceObject.openSync)(file, 'a', 0o600);
    try {
        appendWhole(fd, `${line}\n`, true);
    }
    finally {
        (0,external_node_fs_namespaceObject.closeSync)(fd);
    }
}
/** Waits until what was written into a file is on the disk. */
function syncFile(file) {
    const fd = (0,external_node_fs_namespaceObject.openSync)(file, 'r');
    try {
        (0,external_node_fs_namespaceObject.fsyncSync)(fd);
    }
    finally {
        (0,external_node_fs_namespaceObject.closeSync)(fd);
    }
}
/** Makes renames in a folder durable. */
function syncFolder(folder) {
    syncFile(folder);
}
/** The text of a file; undefined where there is none. */
function readText(file) {
    try {
        return (0,external_node_fs_namespaceObject.readFileSync)(file, 'utf8');
    }
    catch (error) {
        if (error.code === 'ENOENT')
            return undefined;
        throw error;
    }
}
/** A JSON file of our own; undefined where there is none or it is torn. */
function readJson(file) {
    const text = readText(file);
    if (text === undefined)
        return undefined;
    try {
        return JSON.parse(text);
    }
    catch {
        return undefined;
    }
}
/** True where something has that name, also a symlink that leads nowhere. */
function present(path) {
    try {
        (0,external_node_fs_namespaceObject.lstatSync)(path);
        return true;
    }
    catch {
        return false;
    }
}
function isFolder(path) {
    return (0,external_node_fs_namespaceObject.existsSync)(path) && (0,external_node_fs_namespaceObject.statSync)(path).isDirectory();
}
function isFile(path) {
    return (0,external_node_fs_namespaceObject.existsSync)(path) && (0,external_node_fs_namespaceObject.statSync)(path).isFile();
}
function isSymlink(path) {
    return present(path) && (0,external_node_fs_namespaceObject.lstatSync)(path).isSymbolicLink();
}
function removePath(path) {
    (0,external_node_fs_namespaceObject.rmSync)(path, { recursive: true, force: true, maxRetries: 3 });
}
/** The device of a path, or of the nearest folder above it that exists: renames work only within one. */
function deviceOf(path) {
    let at = path;
    while (!(0,external_node_fs_namespaceObject.existsSync)(at) && (0,external_node_path_namespaceObject.dirname)(at) !== at)
        at = (0,external_node_path_namespaceObject.dirname)(at);
    return (0,external_node_fs_namespaceObject.statSync)(at).dev;
}

;// CONCATENATED MODULE: external "node:child_process"
const external_node_child_process_namespaceObject = require("node:child_process");
;// CONCATENATED MODULE: ./compiled/src/lib/cut-text.js
/** Parts of long texts for messages, cut between words: half a secret would not be found when the message is redacted. */
/** The start of a text: at most `most` characters, whole words. */
function textStart(text, most) {
    if (text.length <= most)
        return text;
    const cut = text.slice(0, most);
    return /\s/.test(text[most]) ? cut : cut.replace(/\S+$/, '').trimEnd();
}
/** The end of a text: at most `most` characters, whole words. */
function textEnd(text, most) {
    if (text.length <= most)
        return text;
    const cut = text.slice(text.length - most);
    return /\s/.test(text[text.length - most - 1]) ? cut : cut.replace(/^\S+/, '').trimStart();
}

;// CONCATENATED MODULE: ./compiled/src/lib/duration.js
const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
/** Milliseconds of `500ms`, `10s`, `5m`, `1h`; undefined for anything else (no bare numbers, no mixed units). */
function parseDuration(text) {
    const match = /^(\d{1,9})(ms|s|m|h)$/.exec(text.trim());
    if (!match)
        return undefined;
    const milliseconds = Number(match[1]) * UNITS[match[2]];
    return Number.isSafeInteger(milliseconds) ? milliseconds : undefined;
}
/** `4 ms`, `1.2 s`, `3 min 5 s`: as short as a person wants to read it. */
function formatDuration(milliseconds) {
    const rounded = Math.round(milliseconds);
    if (rounded < 1_000)
        return `${rounded} ms`;
    if (rounded < 10_000)
        return `${(rounded / 1_000).toFixed(1)} s`;
    const seconds = Math.round(rounded / 1_000);
    if (seconds < 60)
        return `${seconds} s`;
    return seconds % 60 === 0
        ? `${Math.floor(seconds / 60)} min`
        : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

;// CONCATENATED MODULE: ./compiled/src/lib/when-aborted.js
/**
 * Calls `act` when the signal fires, and at once where it has fired already: a listener that is added then is never
 * called. Returns a function that removes the listener. No other place adds one; a test holds that.
 * `act` may be called before this returns, so it must not rely on what is returned.
 */
function whenAborted(signal, act) {
    if (!signal)
        return () => { };
    if (signal.aborted) {
        act();
        return () => { };
    }
    signal.addEventListener('abort', act, { once: true });
    return () => signal.removeEventListener('abort', act);
}

;// CONCATENATED MODULE: ./compiled/src/lib/whole-lines.js
/** Characters: the end of a longer line is not waited for. */
const LONGEST_LINE = 128_000;
/** Characters: nothing longer is held back. No form of a secret is that long; blanks without end behind the beginning of one could be. */
const LONGEST_WAIT = 1_000_000;
/** Redacts nothing: for lines that the program reads itself and that are shown to nobody. */
const NO_REDACTION = {
    redact: (text) => text,
    settle: (text) => ({ shown: text, rest: '', before: '' }),
};
/**
 * Puts chunks of one stream together and passes on whole lines as they may be shown: a secret could lie across two
 * chunks, or across two lines. Two streams need one each, or half a line of the one is cut open by a line of the other.
 * A line that is too long to wait for is passed on in pieces that cut no secret.
 */
function wholeLines({ redact, settle }, tell) {
    let rest = '';
    let before = '';
    const pass = (text) => {
        if (text !== '')
            tell(text);
    };
    const halfLine = () => {
        const settled = settle(rest, 'characters', before);
        ({ rest, before } = settled);
        pass(settled.shown);
    };
    const finish = () => {
        const text = redact(rest, before);
        rest = '';
        before = '';
        pass(text);
    };
    return {
        take(text) {
            rest += text;
            const end = text.includes('\n') ? rest.lastIndexOf('\n') + 1 : 0;
            if (end > 0) {
                const settled = settle(rest.slice(0, end), 'lines', before);
                rest = settled.rest + rest.slice(end);
                before = settled.before;
                pass(settled.shown);
            }
            if (rest.length > LONGEST_LINE)
                halfLine();
            if (rest.length > LONGEST_WAIT)
                finish();
        },
        flush() {
            // Whole lines that are still here wait for the end of a secret.
            if (!rest.includes('\n'))
                halfLine();
        },
        finish,
    };
}

;// CONCATENATED MODULE: ./compiled/src/worker/host/run-program.js






const MOST_KEPT = 16 * 1_048_576;
const TAIL = 8_192;
/** Milliseconds between asking a program to end and ending it. */
const GRACE = 5_000;
/** Milliseconds that the last words of an ended program may take. */
const LAST_WORDS = 300;
/**
 * Runs a program in a process group of its own, so that a cancel reaches what it started, and waits for its end: where it
 * was stopped, for the end of the whole group, which may else go on writing into a folder that is deleted next.
 * @throws Cancelled where the signal fired; a Failure on timeout or where the program does not exist.
 */
function runToEnd(words, options) {
    const [file, ...args] = words;
    return new Promise((resolve, reject) => {
        if (options.signal?.aborted)
            return reject(new Cancelled());
        const child = (0,external_node_child_process_namespaceObject.spawn)(file, args, {
            cwd: options.cwd,
            env: options.env,
            stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
            detached: true,
        });
        // A program may end before it has read all.
        child.stdin?.on('error', () => { }).end(options.input);
        let stdout = '';
        let why;
        let ending;
        const heard = collectOutput(child, options.output);
        child.stdout.on('data', (text) => {
            if (stdout.length < MOST_KEPT)
                stdout += text;
        });
        const stop = (reason) => {
            why ??= reason;
            if (child.pid !== undefined)
                ending ??= endGroup(child.pid, GRACE);
        };
        const listenNoMore = whenAborted(options.signal, () => stop(new Cancelled()));
        const { timeout } = options;
        const late = (after) => stop(new Failure({ message: `${file} did not end in ${formatDuration(after)}` }));
        const timer = timeout === undefined ? undefined : setTimeout(late, timeout, timeout);
        let settled = false;
        const settle = (code, signal) => {
            if (settled)
                return;
            settled = true;
            clearTimeout(timer);
            listenNoMore();
            heard.end();
            if (why)
                void Promise.resolve(ending).then(() => reject(why));
            else
                resolve({ code, signal, stdout, tail: heard.tail() });
        };
        child.once('error', (error) => {
            why ??= new Failure({ message: `${file} could not be started: ${error.message}` });
            settle(null, null);
        });
        whenEnded(child, settle);
    });
}
/** Listens to both pipes of a program. */
function collectOutput(child, open = () => wholeLines(NO_REDACTION, () => { })) {
    let tail = '';
    const keep = (text) => {
        tail = textEnd(tail + text, TAIL);
    };
    const pipes = [child.stdout, child.stderr].map((pipe) => {
        const told = open();
        const kept = wholeLines(NO_REDACTION, keep);
        pipe.setEncoding('utf8').on('data', (text) => {
            told.take(text);
            kept.take(text);
        });
        return { pipe, told, kept };
    });
    return {
        tail() {
            for (const { kept } of pipes)
                kept.finish();
            return tail;
        },
        end() {
            for (const { pipe, told } of pipes) {
                told.finish();
                pipe.destroy();
            }
        },
    };
}
/**
 * Calls `ended` when a program has ended and said all it had to say. A daemon that it left behind (PM2's) may hold its
 * pipes open for ever: that is waited for a moment only, and where they close later, `ended` is called once more.
 */
function whenEnded(child, ended) {
    let lastWords;
    child.once('exit', (code, signal) => {
        lastWords = setTimeout(ended, LAST_WORDS, code, signal);
    });
    child.once('close', (code, signal) => {
        clearTimeout(lastWords);
        ended(code, signal);
    });
}
/** Runs a program whose failure is unexpected; resolves to its stdout. */
async function mustRun(words, options) {
    const ended = await runToEnd(words, options);
    if (ended.code === 0)
        return ended.stdout;
    throw new Failure({
        message: `${words.slice(0, 3).join(' ')} ${explainEnd(ended)}: ${lastLines(ended.tail, 3)}`,
        ...(ended.code === null ? {} : { code: String(ended.code) }),
    });
}
/** Why a program ended, in words: a kill by the kernel, a missing program and an ordinary failure differ. */
function explainEnd({ code, signal }) {
    if (signal === 'SIGKILL' || code === 137)
        return 'was killed (SIGKILL): most likely the memory ran out';
    if (signal !== null)
        return `was ended by ${signal}`;
    if (code === 127)
        return 'ended with 127: a program was not found';
    return `ended with ${code}`;
}
/** The last lines of an output that say something. */
function lastLines(text, count) {
    return text
        .split('\n')
        .map((line) => line.trimEnd())
        .filter((line) => line.trim() !== '')
        .slice(-count)
        .join('\n');
}
/** Asks a process group to end, and ends it after `grace` milliseconds. Resolves when it is gone. */
async function endGroup(leader, grace, first = 'SIGTERM') {
    signalGroup(leader, first);
    const end = performance.now() + grace;
    while (groupLives(leader)) {
        if (performance.now() > end)
            signalGroup(leader, 'SIGKILL');
        await new Promise((resolve) => setTimeout(resolve, 50));
        if (performance.now() > end + 2_000)
            return;
    }
}
function signalGroup(leader, signal) {
    try {
        process.kill(-leader, signal);
    }
    catch {
        // Gone already.
    }
}
function groupLives(leader) {
    try {
        process.kill(-leader, 0);
        return true;
    }
    catch {
        return false;
    }
}

;// CONCATENATED MODULE: ./compiled/src/worker/host/toolbox.js




/**
 * Folders where version managers keep their programs. A non-interactive SSH session reads no profile, so its PATH
 * has none of them.
 */
function managedFolders(home, list) {
    const newestFirst = (folder) => list(folder).sort((a, b) => b.localeCompare(a, 'en', { numeric: true }));
    const nvm = (0,external_node_path_namespaceObject.join)(home, '.nvm/versions/node');
    const fnmRoots = [(0,external_node_path_namespaceObject.join)(home, '.local/share/fnm'), (0,external_node_path_namespaceObject.join)(home, '.fnm')];
    return [
        ...newestFirst(nvm).map((version) => (0,external_node_path_namespaceObject.join)(nvm, version, 'bin')),
        ...fnmRoots.flatMap((root) => [
            (0,external_node_path_namespaceObject.join)(root, 'aliases/default/bin'),
            ...newestFirst((0,external_node_path_namespaceObject.join)(root, 'node-versions')).map((version) => (0,external_node_path_namespaceObject.join)(root, 'node-versions', version, 'installation/bin')),
        ]),
        (0,external_node_path_namespaceObject.join)(home, '.volta/bin'),
        (0,external_node_path_namespaceObject.join)(home, '.asdf/shims'),
        (0,external_node_path_namespaceObject.join)(home, '.local/share/mise/shims'),
        (0,external_node_path_namespaceObject.join)(home, '.local/share/pnpm'),
        (0,external_node_path_namespaceObject.join)(home, '.npm-global/bin'),
        (0,external_node_path_namespaceObject.join)(home, '.local/bin'),
        (0,external_node_path_namespaceObject.join)(home, '.yarn/bin'),
        (0,external_node_path_namespaceObject.join)(home, '.bun/bin'),
        (0,external_node_path_namespaceObject.join)(home, 'bin'),
    ];
}
/** The toolbox of this host: the Node that runs the worker first, then PATH, then the version managers. */
function openToolbox(env) {
    const home = env.HOME ?? '/';
    const managed = managedFolders(home, listFolder).filter(external_node_fs_namespaceObject.existsSync);
    const folders = [
        (0,external_node_path_namespaceObject.dirname)(process.execPath),
        ...(env.PATH ?? '').split(external_node_path_namespaceObject.delimiter),
        '/usr/local/bin',
        '/usr/bin',
        '/bin',
        ...managed,
    ];
    return toolboxOf(home, env, folders);
}
function toolboxOf(home, env, folders) {
    const unique = [...new Set(folders.filter((folder) => folder.startsWith('/')))];
    return {
        home,
        env: { ...env, PATH: unique.join(external_node_path_namespaceObject.delimiter) },
        find: (name) => unique.map((folder) => (0,external_node_path_namespaceObject.join)(folder, name)).find(isExecutable),
        withFolders: (first) => toolboxOf(home, env, [...first, ...unique]),
    };
}
function listFolder(folder) {
    try {
        return (0,external_node_fs_namespaceObject.readdirSync)(folder);
    }
    catch {
        return [];
    }
}
function isExecutable(file) {
    try {
        (0,external_node_fs_namespaceObject.accessSync)(file, external_node_fs_namespaceObject.constants.X_OK);
        return true;
    }
    catch {
        return false;
    }
}
/** Runs a program of the toolbox and returns how it ended. */
function call(tools, words, rest = {}) {
    return runToEnd(found(tools, words), { cwd: tools.home, env: tools.env, ...rest });
}
/** The version that a program of the toolbox says it has; undefined where it is not found. */
async function versionOf(tools, name) {
    if (tools.find(name) === undefined)
        return undefined;
    const ended = await call(tools, [name, '--version'], { timeout: 20_000 });
    return /\d+\.\d+[^\s]*/.exec(ended.stdout)?.[0];
}
/** Runs a program of the toolbox that is expected to succeed; resolves to its stdout. */
function must(tools, words, rest = {}) {
    return mustRun(found(tools, words), { cwd: tools.home, env: tools.env, ...rest });
}
function found(tools, [name, ...args]) {
    const file = name.startsWith('/') ? name : tools.find(name);
    if (file === undefined)
        throw new Failure({
            message: `${name} is not found on the server.`,
            next: `Install ${name} for the user of the SSH connection, or put it where PATH of a non-interactive session finds it. Looked in: ${tools.env.PATH}`,
        });
    return [file, ...args];
}

;// CONCATENATED MODULE: ./compiled/src/worker/host/git.js





// A host without access must fail, not ask; and a look writes nothing: git would write its index anew, and could not on a
// full disk.
const GIT_ENV = { GIT_TERMINAL_PROMPT: '0', GIT_OPTIONAL_LOCKS: '0', LC_ALL: 'C' };
/** For hosts that have not set their own: must fail, not ask, also where the remote is silent. */
const SSH_COMMAND = 'ssh -o BatchMode=yes -o ConnectTimeout=15';
/** Hooks of the host's own checkout are meant for the people who work there, not for what is done here. */
function words(repository, args) {
    return ['git', '-c', 'core.hooksPath=/dev/null', '-C', repository.folder, ...args];
}
/** The oldest git that is worked with: that of Ubuntu 20.04. What is younger is used where it is there, and done without. */
const OLDEST_GIT = '2.25';
/** The files of a commit, by their paths. Submodules and symlinks are among them, by their modes. */
async function filesOfCommit(repository, sha) {
    const entries = await listed(repository, 'ls-tree', '-r', '-z', '--full-tree', sha);
    return new Map(entries.map((entry) => {
        const tab = entry.indexOf('\t');
        const [mode = '', , id = ''] = entry.slice(0, tab).split(' ');
        const path = entry.slice(tab + 1);
        return [path, { path, mode, id }];
    }));
}
/** The paths that git looks after in a checkout. */
async function trackedPaths(repository) {
    return listed(repository, 'ls-files', '-z');
}
const versions = new WeakMap();
/** The version of the host's git, such as `2.25.1`; undefined where there is none. It is asked once. */
function gitVersion(tools) {
    const known = versions.get(tools) ?? versionOf(tools, 'git');
    versions.set(tools, known);
    return known;
}
/** True where a version such as `2.25.1` is `least` (such as `2.25`) or newer. Pure. */
function isGitSince(version, least) {
    const [major = 0, minor = 0] = version.split('.').map(Number);
    const [wantedMajor = 0, wantedMinor = 0] = least.split('.').map(Number);
    return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}
/** True where the host's git has what came with the version `least`. */
async function knows({ tools }, least) {
    const version = await gitVersion(tools);
    return version !== undefined && isGitSince(version, least);
}
/** True where another ref than `own` leads to a commit. */
async function isReachedWithout(repository, sha, own) {
    const refs = await git(repository, 'for-each-ref', '--format=%(refname)', '--contains', sha);
    return refs.split('\n').some((ref) => ref !== '' && ref !== own);
}
/** Output of a git command that is expected to succeed, without the last newline. */
async function git(repository, ...args) {
    const env = { ...repository.tools.env, ...GIT_ENV };
    return (await must(repository.tools, words(repository, args), { env })).replace(/\n$/, '');
}
/** How a git command ended that may well fail; what it says is in English, whatever the host speaks. */
function tryGit(repository, ...args) {
    const env = { ...repository.tools.env, ...GIT_ENV };
    return call(repository.tools, words(repository, args), { env });
}
/** True where the git command ends with 0. */
async function gitSays(repository, ...args) {
    return (await tryGit(repository, ...args)).code === 0;
}
async function headOf(repository) {
    return git(repository, 'rev-parse', '--verify', 'HEAD^{commit}');
}
function hasCommit(repository, sha) {
    return gitSays(repository, 'cat-file', '-e', `${sha}^{commit}`);
}
/** True where `older` is in the history of `newer`, and not the same commit. */
async function isAncestor(repository, older, newer) {
    return older !== newer && (await gitSays(repository, 'merge-base', '--is-ancestor', older, newer));
}
/** True where git knows the folder as a checkout of its own, and not as a part of one around it. */
async function isWorkTree(repository) {
    return (present((0,external_node_path_namespaceObject.join)(repository.folder, '.git')) && gitSays(repository, 'rev-parse', '--verify', '-q', 'HEAD'));
}
/** The output of a git command that separates paths with NUL. */
async function listed(repository, ...args) {
    return (await git(repository, ...args)).split('\0').filter(Boolean);
}
/** Runs a git command on many paths, which it reads from its stdin. */
async function onPaths(repository, paths, args) {
    const env = { ...repository.tools.env, ...GIT_ENV };
    const input = paths.map((path) => `${path}\0`).join('');
    return call(repository.tools, words(repository, args), { env, input });
}
function mustHaveEnded(command, ended) {
    if (ended.code !== 0)
        throw new Failure({ message: `git ${command} ${explainEnd(ended)}: ${lastLines(ended.tail, 3)}` });
}
/** Tracked files with local changes. REVISION is ours where a repository happens to track it. */
async function dirtyFiles(repository) {
    const out = await git(repository, 'status', '--porcelain=v1', '-z', '--untracked-files=no', '--no-renames');
    return porcelainPaths(out).filter((path) => path !== 'REVISION');
}
/** Paths that one commit adds (`A`) to another, or deletes (`D`). */
function changedPaths(repository, kind, from, to) {
    return listed(repository, 'diff', '--name-only', '--no-renames', `--diff-filter=${kind}`, '-z', from, to);
}
/** A file takes whole blocks of a disk; bytes. */
const BLOCK = 4_096;
/** Bytes on the disk of the files that differ between two commits: those of the one that has more of them. */
async function changedBytes(repository, from, to) {
    const raw = await listed(repository, 'diff', '--raw', '--no-abbrev', '--no-renames', '-z', from, to);
    // `:100644 100644 <old> <new> M`, then the path; only zeros where a side has no such file.
    const records = raw.filter((word) => word.startsWith(':')).map((record) => record.split(' '));
    const [before, after] = await Promise.all([2, 3].map((at) => bytesOf(repository, records.map((r) => r[at]))));
    return Math.max(before, after);
}
async function bytesOf(repository, objects) {
    if (objects.length === 0)
        return 0;
    const env = { ...repository.tools.env, ...GIT_ENV };
    const input = objects.map((object) => `${object}\n`).join('');
    const args = ['cat-file', '--batch-check=%(objectsize)'];
    const out = await must(repository.tools, words(repository, args), { env, input });
    // What is not there (a submodule, the other side of a new file) has no number.
    return out
        .split('\n')
        .filter((line) => /^\d+$/.test(line))
        .reduce((sum, line) => sum + Math.ceil(Number(line) / BLOCK) * BLOCK, 0);
}
/** Those of the paths that the ignore rules of the checkout name, tracked or not. */
async function ignoredPaths(repository, paths) {
    if (paths.length === 0)
        return [];
    const ended = await onPaths(repository, paths, ['check-ignore', '--no-index', '-z', '--stdin']);
    // 1: none of them is ignored.
    if (ended.code !== 1)
        mustHaveEnded('check-ignore', ended);
    return ended.stdout.split('\0').filter(Boolean);
}
/**
 * Lets git see which files of a checkout are as it left them. What changed in owner or time alone would be written anew
 * by `reset --hard`, and fail where this user may not; commands that only read do not say it (GIT_OPTIONAL_LOCKS).
 */
async function refreshIndex(repository) {
    const ended = await tryGit(repository, 'update-index', '-q', '--refresh');
    // 1: some files did change.
    if (ended.code !== 1)
        mustHaveEnded('update-index --refresh', ended);
}
/** Lets git forget files of a checkout without touching them; those that it does not know are left out. */
async function untrack(repository, paths) {
    if (paths.length === 0)
        return;
    const ended = await onPaths(repository, paths, ['update-index', '--force-remove', '-z', '--stdin']);
    mustHaveEnded('update-index', ended);
}
/**
 * Tracked files that differ from the commit, and which git was told not to look at (`update-index --skip-worktree`,
 * `--assume-unchanged`): no status shows them. A sparse checkout marks in the same way what it leaves out.
 */
async function hiddenChanges(repository) {
    const marked = (await listed(repository, 'ls-files', '-v', '-z'))
        .filter((line) => /^[Sa-z] /.test(line))
        .map((line) => line.slice(2))
        .filter((path) => present((0,external_node_path_namespaceObject.join)(repository.folder, path)));
    const changed = [];
    for (const path of marked) {
        const [, stored] = (await git(repository, 'ls-files', '-s', '-z', '--', `:(literal)${path}`)).split(' ');
        if (stored !== (await git(repository, 'hash-object', '--', path)))
            changed.push(path);
    }
    return changed;
}
/** Tracked files that differ from the checked-out commit, deleted ones too. */
function changedFiles(repository) {
    return listed(repository, 'diff', '--name-only', '--no-renames', '--ignore-submodules', '-z', 'HEAD');
}
/** The paths in the output of `git status --porcelain=v1 -z`; of a rename the new path. */
function porcelainPaths(output) {
    const fields = output.split('\0');
    const paths = [];
    for (let index = 0; index < fields.length; index++) {
        const field = fields[index];
        if (field.length < 4)
            continue;
        paths.push(field.slice(3));
        if (/^[RC]/.test(field))
            index++;
    }
    return paths;
}
/** True where git tracks the path, or files below it. */
async function isTracked(repository, path) {
    return (await git(repository, 'ls-files', '-z', '--', path)) !== '';
}
/** Untracked paths, ignored or not; folders of them as one path that ends with `/`. */
async function untrackedPaths(repository) {
    return listed(repository, 'ls-files', '-z', '--others', '--directory', '--no-empty-directory');
}
/** The host's own access is not enough, and the job's token, which would open the remote, was not given. */
class TokenNeeded extends Failure {
}
/**
 * The addresses to try in turn: the host's own access first, then https with the job's token, where that is the
 * server which issued it.
 */
function fetchAttempts(origin, request) {
    const url = request.repositoryUrl ?? origin ?? request.jobRepositoryUrl;
    if (url === undefined)
        return [];
    const https = httpsForm(url);
    const { fetchAccess } = request;
    if (https === undefined || fetchAccess === undefined || !isOn(fetchAccess.server, https))
        return [{ url }];
    const { token } = fetchAccess;
    return [{ url }, { url: https, ...(token === undefined ? { withheld: true } : { token }) }];
}
function isOn(server, url) {
    return URL.canParse(url) && URL.canParse(server) && new URL(url).origin === new URL(server).origin;
}
/** `git@host:owner/name.git` and `ssh://git@host/owner/name` as https; undefined for anything that has no such form. */
function httpsForm(url) {
    if (url.startsWith('https://'))
        return url;
    const scp = /^(?:[\w.-]+@)?([\w.-]+):(?!\/)([^\s]+)$/.exec(url);
    if (scp && !url.includes('://'))
        return `https://${scp[1]}/${scp[2]}`;
    const ssh = /^ssh:\/\/(?:[\w.-]+@)?([\w.-]+)(?::\d+)?\/([^\s]+)$/.exec(url);
    return ssh ? `https://${ssh[1]}/${ssh[2]}` : undefined;
}
/**
 * Git settings in the environment: they live as long as the one call, and are not seen in `ps`. `counted`: git knows the
 * variables that are meant for that (2.31). Older ones have the one through which git hands `-c` on to what it starts.
 */
function tokenEnvironment({ url, token }, counted) {
    if (token === undefined)
        return {};
    const key = `http.${new URL(url).origin}/.extraheader`;
    const value = `Authorization: Basic ${Buffer.from(`x-access-token:${token}`).toString('base64')}`;
    return counted
        ? { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: key, GIT_CONFIG_VALUE_0: value }
        : { GIT_CONFIG_PARAMETERS: `'${key}=${value}'` };
}
/**
 * The environment for a git command that talks to a remote. A host that reaches it over SSH in its own way (a deploy
 * key in core.sshCommand or GIT_SSH_COMMAND) is left to it: git takes the variable before the setting.
 */
async function remoteEnvironment(repository, source) {
    const { env } = repository.tools;
    const own = env.GIT_SSH_COMMAND ?? env.GIT_SSH ?? (await setting(repository, 'core.sshCommand'));
    return {
        ...env,
        ...GIT_ENV,
        ...(own === undefined ? { GIT_SSH_COMMAND: SSH_COMMAND } : {}),
        ...tokenEnvironment(source, await knows(repository, '2.31')),
    };
}
/** A git setting as it holds in the repository; undefined where it is not set. */
async function setting(repository, name) {
    const ended = await tryGit(repository, 'config', '--get', name);
    return ended.code === 0 ? ended.stdout.replace(/\n$/, '') : undefined;
}
/** Lets a repository of our own reach its remote over SSH as another repository of the host does. */
async function reachRemoteLike(repository, other) {
    const own = await setting(other, 'core.sshCommand');
    if (own !== undefined)
        await git(repository, 'config', 'core.sshCommand', own);
}
/** Where to fetch from, one after the other. @throws a Failure where nothing is known. */
async function fetchSources(repository, request) {
    const attempts = fetchAttempts(await originOf(repository), request);
    if (attempts.length > 0)
        return attempts;
    throw new Failure({
        message: 'The repository on the server has no origin to fetch from.',
        next: 'Give repository-url.',
    });
}
/** The address of the repository's origin; undefined where it has none. */
async function originOf(repository) {
    const ended = await tryGit(repository, 'remote', 'get-url', 'origin');
    return ended.code === 0 ? ended.stdout.replace(/\n$/, '') : undefined;
}
/**
 * Asks the first source that answers for its branches and tags: whether one of them ends in the commit. Writes
 * nothing. @throws a Failure where no source answers; TokenNeeded where one was left out.
 */
async function askRemote(repository, sha, sources, signal) {
    let said = '';
    for (const source of sources) {
        if (source.withheld)
            throw new TokenNeeded(noAccess(said).problems);
        const env = await remoteEnvironment(repository, source);
        const list = words(repository, ['ls-remote', '--quiet', source.url]);
        const ended = await call(repository.tools, list, { env, signal });
        if (ended.code === 0)
            return { source, isTip: ended.stdout.split('\n').some((line) => line.startsWith(`${sha}\t`)) };
        said = ended.tail;
    }
    throw noAccess(said);
}
/**
 * Brings one commit into the repository's objects, without touching any branch or file, and keeps it by a ref of
 * our own. @throws a Failure that tells a missing commit from a missing access; TokenNeeded where a source was left out.
 */
async function fetchCommit(repository, sha, sources, signal, wanted = 'everything') {
    let said = '';
    for (const source of sources) {
        if (source.withheld)
            throw new TokenNeeded(noAccess(said).problems);
        said = await fetchFrom(repository, sha, source, signal, wanted);
        if (await hasCommit(repository, sha)) {
            await git(repository, 'update-ref', `refs/deploys/${sha}`, sha);
            return;
        }
        if (isMissingCommit(said))
            break;
    }
    throw isMissingCommit(said) ? missingCommit(sha) : noAccess(said);
}
function missingCommit(sha) {
    return new Failure({
        message: `The commit ${sha} is not on the remote.`,
        next: 'Push it, or name another one with ref. After a force-push the old commit may be gone.',
    });
}
function noAccess(said) {
    return new Failure({
        message: `The server cannot fetch from its remote: ${firstFatal(said)}`,
        next: 'Give the server a deploy key, or repository-url with https and github-token, which is then used for this one fetch.',
    });
}
/** True for a clone that has a part of the history only. */
async function isShallow(repository) {
    return (await git(repository, 'rev-parse', '--is-shallow-repository')) === 'true';
}
/** What git said; empty where the fetch succeeded. */
async function fetchFrom(repository, sha, source, signal, wanted) {
    const env = await remoteEnvironment(repository, source);
    const commitsOnly = wanted === 'everything' ? [] : ['--filter=tree:0'];
    // Tags that people have are not moved. A clone with a part of the history would get much of the rest with them.
    const tags = wanted === 'everything' && !(await isShallow(repository)) ? ['refs/tags/*:refs/tags/*'] : [];
    // Where git is older, it leaves the file FETCH_HEAD.
    const quietly = (await knows(repository, '2.29')) ? ['--no-write-fetch-head'] : [];
    const fetch = (options, what) => call(repository.tools, words(repository, ['fetch', '--no-tags', ...quietly, ...options, source.url, what, ...tags]), { env, signal });
    const exact = await fetch(wanted === 'its existence' ? ['--depth=1', ...commitsOnly] : commitsOnly, sha);
    if (exact.code === 0)
        return '';
    if (!isMissingCommit(exact.tail))
        return exact.tail;
    // Some servers hand out only what a branch or tag leads to: its whole history, then, to find the commit in it.
    const all = await fetch(commitsOnly, '+refs/heads/*:refs/deploys/heads/*');
    return all.code === 0 ? exact.tail : all.tail;
}
function isMissingCommit(said) {
    return /not our ref|couldn't find remote ref|unadvertised object|did not send all necessary objects|no such ref/i.test(said);
}
function firstFatal(said) {
    const lines = said.split('\n').map((line) => line.trim());
    return (lines.find((line) => /^(fatal|error|ERROR):/.test(line)) ?? lines.find(Boolean) ?? 'git said nothing');
}

;// CONCATENATED MODULE: ./compiled/src/lib/loopback.js
/** True for names and addresses of the machine itself, also bracketed as in a URL. */
function isLoopback(host) {
    const name = host.replace(/^\[|\]$/g, '').toLowerCase();
    return (name === 'localhost' ||
        name.endsWith('.localhost') ||
        name === '::1' ||
        /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(name));
}

;// CONCATENATED MODULE: ./compiled/src/http/html.js
/** Elements whose content is text up to their own end tag, whatever it looks like. */
const RAW_TEXT = new Set(['script', 'style', 'title', 'textarea', 'xmp', 'iframe', 'noembed', 'noframes']);
const SPACE = new Set([' ', '\t', '\n', '\r', '\f']);
/**
 * The start tags of a page in order, found as the HTML standard's tokenizer finds them: comments, declarations and
 * the text of scripts are stepped over, quotes may hold `>`. Never throws, and takes linear time.
 */
function* startTags(html) {
    let at = 0;
    for (;;) {
        at = html.indexOf('<', at);
        if (at < 0)
            return;
        const next = html[at + 1] ?? '';
        if (html.startsWith('<!--', at))
            at = after(html, '-->', at + 4);
        else if (next === '!' || next === '?' || next === '/')
            at = after(html, '>', at + 2);
        else if (isLetter(next)) {
            const { tag, end } = readTag(html, at + 1);
            at = end;
            if (RAW_TEXT.has(tag.name))
                at = endOfRawText(html, tag.name, end);
            yield tag;
        }
        else
            at += 1;
    }
}
function after(html, mark, from) {
    const found = html.indexOf(mark, from);
    return found < 0 ? html.length : found + mark.length;
}
function readTag(html, start) {
    let at = start;
    while (at < html.length && !SPACE.has(html[at]) && html[at] !== '>' && html[at] !== '/')
        at += 1;
    const name = html.slice(start, at).toLowerCase();
    const attributes = new Map();
    for (;;) {
        while (at < html.length && (SPACE.has(html[at]) || html[at] === '/'))
            at += 1;
        if (at >= html.length)
            break;
        if (html[at] === '>') {
            at += 1;
            break;
        }
        const attribute = readAttribute(html, at);
        // The first of two attributes of one name counts, as in browsers.
        if (!attributes.has(attribute.name))
            attributes.set(attribute.name, attribute.value);
        at = attribute.end;
    }
    return { tag: { name, attributes }, end: at };
}
function readAttribute(html, start) {
    let at = start;
    // A `=` at the very start belongs to the name, so at least one character is always taken.
    do
        at += 1;
    while (at < html.length && !SPACE.has(html[at]) && !'=/>'.includes(html[at]));
    const name = html.slice(start, at).toLowerCase();
    let next = at;
    while (SPACE.has(html[next] ?? ''))
        next += 1;
    if (html[next] !== '=')
        return { name, value: '', end: at };
    next += 1;
    while (SPACE.has(html[next] ?? ''))
        next += 1;
    const quote = html[next];
    if (quote === '"' || quote === "'") {
        const close = html.indexOf(quote, next + 1);
        const end = close < 0 ? html.length : close;
        return { name, value: decode(html.slice(next + 1, end)), end: Math.min(html.length, end + 1) };
    }
    let end = next;
    while (end < html.length && !SPACE.has(html[end]) && html[end] !== '>')
        end += 1;
    return { name, value: decode(html.slice(next, end)), end };
}
/** The place of the end tag `</name` that closes raw text, or the end of the page. */
function endOfRawText(html, name, from) {
    let at = from;
    for (;;) {
        at = html.indexOf('</', at);
        if (at < 0)
            return html.length;
        const end = at + 2 + name.length;
        const follows = html[end];
        const closes = follows === undefined || SPACE.has(follows) || follows === '>' || follows === '/';
        if (closes && html.slice(at + 2, end).toLowerCase() === name)
            return at;
        at += 2;
    }
}
const ENTITIES = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
/** The character references that turn up in URLs; anything else stays as it is. */
function decode(text) {
    if (!text.includes('&'))
        return text;
    return text.replace(/&(?:#(\d{1,7})|#[xX]([0-9A-Fa-f]{1,6})|(amp|lt|gt|quot|apos));/g, (whole, ...found) => {
        const [decimal, hex, name] = found;
        if (name !== undefined)
            return ENTITIES[name] ?? whole;
        const point = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
        return point > 0 && point <= 0x10ffff ? String.fromCodePoint(point) : whole;
    });
}
function isLetter(character) {
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z');
}

;// CONCATENATED MODULE: ./compiled/src/http/judge-answer.js
/** Words of a status field that mean trouble; compared in lower case, dashes as blanks. docs/health.md lists them. */
const UNHEALTHY = new Set(('error|errors|fail|failed|failing|failure|fatal|critical|unhealthy|not healthy|down|dead|offline|' +
    'unavailable|not available|outage|out of service|not ok|not ready|unready|' +
    'starting|stopping|stopped|shutting down').split('|'));
/** Fields of a JSON answer that say how the application is. */
const STATUS_FIELDS = ['status', 'state', 'health', 'healthy', 'ok', 'success', 'ready', 'alive'];
/**
 * Fields of a JSON answer, and headers, in which applications name their commit, in full or shortened. A revision is as
 * often a date or a counter, so that only a whole commit counts there.
 */
const COMMIT_FIELDS = new Set('commit|commitsha|commithash|sha|gitsha|gitcommit|githash|deploysha|buildsha'.split('|'));
const COMMIT_HEADERS = ['x-commit', 'x-commit-sha', 'x-git-sha', 'x-deploy-sha'];
const REVISION_FIELD = 'revision';
const REVISION_HEADER = 'x-revision';
/** Told of a page that answers in the place of a health endpoint. */
const PAGE_INSTEAD = 'with an HTML page, where a health answer is expected';
/**
 * Judges an answer that is no redirect: by its status, by the status word of a JSON body, by HTML where a health answer
 * belongs, and by its version. What a page or text says is no evidence. Nothing of the answer is repeated in the detail
 * except words from the lists above.
 */
function judgeAnswer(answer, expected) {
    const { status, headers } = answer;
    if (status < 200 || status > 299)
        return bad('status', `answers ${status}`);
    const text = answer.body.toString('utf8');
    const html = isHtml(headers['content-type'], text);
    // A page is what `/` is for; it says nothing about health in the place of an endpoint.
    if (html && isEndpoint(expected))
        return bad('body', `answers ${status} ${PAGE_INSTEAD}`);
    const complaint = html ? undefined : jsonComplaint(answer, text);
    if (complaint !== undefined)
        return bad('body', `answers ${status}${complaint}`);
    return expected.last ? judgeVersion(answer, text, expected) : { ok: true };
}
function bad(fault, detail) {
    return { ok: false, fault, detail };
}
/** True where a health answer is expected and no page: the last path, and those of an API. */
function isEndpoint({ path, last }) {
    return (last && path !== '/') || isApiPath(path);
}
function isApiPath(path) {
    return path === '/api' || path.startsWith('/api/') || path.includes('/api/');
}
/** True for an HTML answer, by its declared type or by how it begins. */
function isHtml(contentType, text) {
    const type = (contentType ?? '').split(';')[0].trim().toLowerCase();
    if (type === 'text/html' || type === 'application/xhtml+xml')
        return true;
    const start = text
        .slice(0, 200)
        .replace(/^\uFEFF/, '')
        .trimStart()
        .toLowerCase();
    return start.startsWith('<!doctype html') || start.startsWith('<html');
}
/** What is wrong with a body that is JSON, or that is declared as such; undefined for any other. */
function jsonComplaint(answer, text) {
    const type = (answer.headers['content-type'] ?? '').split(';')[0].trim().toLowerCase();
    const parsed = parseJson(text);
    if (parsed !== undefined) {
        const complaint = judgeJson(parsed.value);
        return complaint === undefined ? undefined : `, but ${complaint}`;
    }
    if (type !== 'application/json' && !type.endsWith('+json'))
        return undefined;
    return answer.whole
        ? ' with JSON that cannot be read'
        : ` with JSON longer than ${answer.body.length} bytes`;
}
function parseJson(text) {
    try {
        return { value: JSON.parse(text.replace(/^\uFEFF/, '')) };
    }
    catch {
        return undefined;
    }
}
/**
 * What a JSON health answer complains of, or undefined. Only its own status counts: whether a part of it is needed is
 * for the application to say.
 */
function judgeJson(value) {
    if (!isRecord(value))
        return undefined;
    for (const [key, said] of Object.entries(value)) {
        const field = STATUS_FIELDS.find((known) => known === key.toLowerCase());
        if (field === undefined)
            continue;
        if (said === false)
            return `its field "${field}" is false`;
        // An HTTP status, as problem documents have it.
        if (typeof said === 'number' && said >= 400 && said <= 599)
            return `its field "${field}" is ${said}`;
        if (typeof said === 'string' && UNHEALTHY.has(normal(said)))
            return `its field "${field}" says "${normal(said)}"`;
    }
    return undefined;
}
function judgeVersion(answer, text, expected) {
    const headers = Object.values(answer.headers).flat();
    const holds = (wanted) => text.includes(wanted) || headers.some((value) => value?.includes(wanted));
    if (expected.expectVersion !== undefined && !holds(expected.expectVersion))
        return bad('version', `answers ${answer.status}, but not as the expected version`);
    if (expected.expectSha !== undefined) {
        const named = namedCommits(answer, text);
        const wanted = expected.expectSha.toLowerCase();
        if (named.length > 0 && !named.some((sha) => wanted.startsWith(sha) || sha.startsWith(wanted)))
            return bad('version', `answers ${answer.status}, but as commit ${named[0].slice(0, 7)} instead of ${wanted.slice(0, 7)}`);
    }
    return { ok: true };
}
/** Commits (7 to 40 hex digits, lower case) that an answer names as its own, for certain. */
function namedCommits(answer, text) {
    const commits = COMMIT_HEADERS.map((name) => answer.headers[name]);
    const revisions = [answer.headers[REVISION_HEADER]];
    const parsed = parseJson(text);
    if (parsed !== undefined && isRecord(parsed.value)) {
        for (const [key, value] of Object.entries(parsed.value)) {
            const field = key.toLowerCase().replace(/[_-]/g, '');
            if (COMMIT_FIELDS.has(field))
                commits.push(value);
            if (field === REVISION_FIELD)
                revisions.push(value);
        }
    }
    return [...commits.filter(isCommit), ...revisions.filter(isWholeCommit)].map((sha) => sha.toLowerCase());
}
function isWholeCommit(value) {
    return typeof value === 'string' && /^[0-9a-f]{40}$/i.test(value);
}
/** A shortened commit of decimal digits alone could as well be a date or a number. */
function isCommit(value) {
    if (isWholeCommit(value))
        return true;
    return typeof value === 'string' && /^[0-9a-f]{7,40}$/i.test(value) && !/^\d+$/.test(value);
}
function normal(text) {
    return text
        .trim()
        .toLowerCase()
        .replace(/[-_\s]+/g, ' ');
}
function isRecord(value) {
    return typeof value === 'object' && value !== null && !Array.isArray(value);
}

;// CONCATENATED MODULE: ./compiled/src/http/assets.js



/** Scripts and styles of one page that are asked for at most. */
const MOST_ASSETS = 200;
/**
 * The scripts and styles that a page links to on its own origin, once each, in order: `<script src>`, style sheets,
 * module preloads and preloaded scripts and styles. Those of other origins (a CDN) are not ours to judge.
 * `knownAs` is the public origin of an application that is asked on loopback.
 */
function assetUrls(html, page, knownAs) {
    const found = new Map();
    let base = page;
    let baseSeen = false;
    for (const { name, attributes } of startTags(html)) {
        if (name === 'base' && !baseSeen && attributes.has('href')) {
            base = resolve(attributes.get('href'), page) ?? page;
            baseSeen = true;
        }
        const link = name === 'script' ? scriptSource(attributes) : name === 'link' ? linkTarget(attributes) : '';
        const url = link.trim() === '' ? undefined : resolve(link.trim(), base);
        if (url === undefined || !isSameOrigin(url, page, knownAs))
            continue;
        url.hash = '';
        found.set(url.href, url);
    }
    return [...found.values()];
}
function scriptSource(attributes) {
    return attributes.get('src') ?? '';
}
function linkTarget(attributes) {
    const rel = (attributes.get('rel') ?? '').toLowerCase().split(/\s+/);
    const as = (attributes.get('as') ?? '').toLowerCase();
    const wanted = rel.includes('stylesheet') ||
        rel.includes('modulepreload') ||
        (rel.includes('preload') && (as === 'script' || as === 'style'));
    return wanted ? (attributes.get('href') ?? '') : '';
}
function resolve(link, base) {
    try {
        return new URL(link, base);
    }
    catch {
        return undefined;
    }
}
function isSameOrigin(url, page, knownAs) {
    if (url.origin === page.origin)
        return true;
    // On loopback an application may name itself by another name; it is asked at the address of the page.
    const ownName = isLoopback(page.hostname) && isLoopback(url.hostname) && url.port === page.port;
    if (!ownName && url.origin !== knownAs)
        return false;
    url.protocol = page.protocol;
    url.host = page.host;
    return true;
}
/** Why an asset is bad, or undefined: anything but 200 is, and so is a page in the place of a script. */
function judgeAsset(answer) {
    if (answer.status !== 200)
        return `answers ${answer.status}`;
    if (isHtml(answer.headers['content-type'], ''))
        return 'answers with an HTML page';
    return undefined;
}

;// CONCATENATED MODULE: ./compiled/src/lib/bytes.js
/** `48 kB`, `1.2 GB`: the units that PostgreSQL shows, steps of 1,024. */
function formatBytes(bytes) {
    const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
    let unit = 0;
    let size = bytes;
    for (; size >= 1_024 && unit < units.length - 1; unit++)
        size /= 1_024;
    return `${unit > 0 && size < 10 ? size.toFixed(1) : Math.round(size)} ${units[unit]}`;
}

;// CONCATENATED MODULE: ./compiled/src/http/check.js
/** The budget allows no more requests now. */
class NoTurn extends Error {
}

;// CONCATENATED MODULE: ./compiled/src/http/loopback-lookup.js
/** The name under which a program of this machine is asked, whether it listens on IPv4 or IPv6. */
const LOOPBACK = 'localhost';
const ADDRESSES = [
    { address: '127.0.0.1', family: 4 },
    { address: '::1', family: 6 },
];
/**
 * Both addresses of `LOOPBACK`, for a connection that tries one after the other: an application may listen on either
 * alone. The hosts file of the machine is not asked.
 */
const lookupLoopback = (_name, { all }, done) => {
    if (all)
        done(null, ADDRESSES);
    else
        done(null, ADDRESSES[0].address, ADDRESSES[0].family);
};

;// CONCATENATED MODULE: ./compiled/src/http/request-messages.js

/** Why a certificate is not accepted; an expired one says since when, whatever else is wrong with it. */
function certificateWords(code, days) {
    if (days !== undefined && days < 0) {
        const ago = -days === 1 ? 'less than a day ago' : `${-days - 1} ${-days === 2 ? 'day' : 'days'} ago`;
        return `the TLS certificate expired ${ago}`;
    }
    if (code === 'CERT_NOT_YET_VALID')
        return 'the TLS certificate is not valid yet';
    if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
        return 'the TLS certificate is for another name';
    return `the TLS certificate is not trusted (${code})`;
}
/** What had been reached when the time was over. */
function timeoutWords(part, timeout) {
    const within = `within ${formatDuration(timeout)}`;
    const words = {
        dns: `the name was not resolved ${within}`,
        connect: `no connection ${within}`,
        tls: `connected, but the TLS handshake did not end ${within}`,
        'first-byte': `connected, but no answer ${within}`,
        body: `the answer began, but was not complete ${within}`,
    };
    return words[part];
}
/** What a system error code means on that part of the way. */
function connectionWords(code, part) {
    const told = code === undefined ? '' : ` (${code})`;
    if (code === 'ENOTFOUND' || code === 'ENODATA')
        return { fault: 'dns', words: `the name does not resolve${told}` };
    if (code?.startsWith('EAI_'))
        return { fault: 'dns', words: `the name server did not answer${told}` };
    if (code === 'ECONNREFUSED')
        return { fault: 'connect', words: `connection refused${told}` };
    if (code === 'ENETUNREACH' || code === 'EHOSTUNREACH' || code === 'EADDRNOTAVAIL')
        return { fault: 'route', words: `no route to the address from this machine${told}` };
    if (part === 'dns' || part === 'connect')
        return { fault: 'connect', words: `no connection${told}` };
    if (part === 'tls')
        return { fault: 'tls', words: `the TLS handshake failed${told}` };
    if (code?.startsWith('HPE_'))
        return { fault: 'cut', words: `the answer is not HTTP${told}` };
    return part === 'body'
        ? { fault: 'cut', words: `the answer was cut off${told}` }
        : { fault: 'cut', words: `the connection was closed without an answer${told}` };
}

;// CONCATENATED MODULE: ./compiled/src/http/request.js





const DAY = 86_400_000;
/** No usable answer: the message says why in words for a person, without any text from the server. */
class NoAnswer extends Error {
    fault;
    timings;
    code;
    certificateDays;
    constructor(message, about) {
        super(message);
        this.name = 'NoAnswer';
        this.fault = about.fault;
        this.timings = about.timings;
        this.code = about.code;
        this.certificateDays = about.days;
    }
}
/** Loaded with the first request: together they take as long to load as all of the action. */
async function loadProtocols() {
    const [http, net, tls, zlib] = await Promise.all([
        Promise.resolve(/* import() */).then(__nccwpck_require__.t.bind(__nccwpck_require__, 67, 23)),
        Promise.resolve(/* import() */).then(__nccwpck_require__.t.bind(__nccwpck_require__, 30, 23)),
        Promise.resolve(/* import() */).then(__nccwpck_require__.t.bind(__nccwpck_require__, 692, 23)),
        Promise.resolve(/* import() */).then(__nccwpck_require__.t.bind(__nccwpck_require__, 522, 23)),
    ]);
    return { http, net, tls, zlib };
}
function startJourney() {
    const started = performance.now();
    const order = ['dns', 'connect', 'tls', 'first-byte', 'body'];
    let last = started;
    const journey = {
        part: 'dns',
        timings: { dns: null, connect: null, tls: null, 'first-byte': null, total: 0 },
        reached(part) {
            const now = performance.now();
            journey.timings[part] = tenths(now - last);
            last = now;
            journey.part = order[order.indexOf(part) + 1];
        },
        elapsed: () => tenths(performance.now() - started),
    };
    return journey;
}
/**
 * One GET over a connection of its own, so that every part of the way is measured and nothing is reused.
 * IPv6 and IPv4 are tried as the name has them. Redirects are not followed.
 * @throws NoAnswer where no complete answer came in time; Cancelled when the signal fires.
 */
async function get(url, options) {
    const protocols = await loadProtocols();
    const journey = startJourney();
    // An address needs no name server, nor does this machine itself.
    if (isAddress(bareHost(url)) || bareHost(url) === LOOPBACK)
        journey.part = 'connect';
    if (options.signal?.aborted)
        throw new Cancelled();
    const socket = request_open(protocols, url);
    let stop = () => { };
    const stopped = new Promise((_, reject) => {
        stop = reject;
    });
    stopped.catch(() => { });
    socket.on('error', stop);
    const timer = setTimeout(() => stop(timeoutError(journey, options.timeout)), options.timeout);
    const listenNoMore = whenAborted(options.signal, () => stop(new Cancelled()));
    try {
        const certificateDays = await Promise.race([stopped, connected(socket, url, journey)]);
        const response = await Promise.race([
            stopped,
            sendRequest(protocols, socket, url, options.headers ?? {}),
        ]);
        journey.reached('first-byte');
        const read = await Promise.race([stopped, readBody(response, options.bodyLimit)]);
        const { body, whole } = unpack(protocols, read, response.headers['content-encoding'], options.bodyLimit);
        journey.timings.total = journey.elapsed();
        return {
            status: response.statusCode ?? 0,
            headers: response.headers,
            body,
            whole,
            timings: journey.timings,
            ...definedOnly({ certificateDays }),
        };
    }
    catch (error) {
        journey.timings.total = journey.elapsed();
        throw explain(error, journey);
    }
    finally {
        clearTimeout(timer);
        listenNoMore();
        socket.destroy();
    }
}
function request_open({ net, tls }, url) {
    const host = bareHost(url);
    const secure = url.protocol === 'https:';
    const target = {
        host,
        port: url.port === '' ? (secure ? 443 : 80) : Number(url.port),
        autoSelectFamily: true,
        autoSelectFamilyAttemptTimeout: 500,
        ...(host === LOOPBACK ? { lookup: lookupLoopback } : {}),
    };
    if (!secure)
        return net.connect(target);
    // The handshake is let through so that the certificate's dates can be told; `connected` judges it before
    // anything is sent. This also holds where the environment switches verification off.
    return tls.connect({
        ...target,
        rejectUnauthorized: false,
        ALPNProtocols: ['http/1.1'],
        ...(isAddress(host) ? {} : { servername: host }),
    });
}
/** Resolves to the certificate's remaining days (undefined without TLS) once the connection may be used. */
function connected(socket, url, journey) {
    return new Promise((resolve, reject) => {
        socket.once('lookup', () => {
            if (journey.part === 'dns')
                journey.reached('dns');
        });
        socket.once('connect', () => {
            journey.reached('connect');
            if (url.protocol !== 'https:') {
                journey.part = 'first-byte';
                resolve(undefined);
            }
        });
        socket.once('secureConnect', () => {
            journey.reached('tls');
            const days = certificateDays(socket);
            if (socket.authorized)
                resolve(days);
            else
                reject(certificateError(socket, days, journey));
        });
        socket.once('close', () => reject(new Closed()));
    });
}
function certificateDays(socket) {
    const until = Date.parse(socket.getPeerCertificate().valid_to ?? '');
    return Number.isNaN(until) ? undefined : Math.floor((until - Date.now()) / DAY);
}
function certificateError(socket, days, journey) {
    const reason = socket.authorizationError;
    const code = typeof reason === 'string' ? reason : (reason?.code ?? 'unverified');
    return new NoAnswer(certificateWords(code, days), {
        fault: 'tls',
        timings: journey.timings,
        code,
        days,
    });
}
function sendRequest({ http }, socket, url, headers) {
    return new Promise((resolve, reject) => {
        const request = http.request({
            method: 'GET',
            host: url.hostname,
            path: url.pathname + url.search,
            headers: {
                host: url.host,
                'user-agent': 'muva-deploy-action',
                accept: '*/*',
                'accept-encoding': 'identity',
                'cache-control': 'no-cache',
                connection: 'close',
                ...headers,
            },
            createConnection: () => socket,
        });
        request.once('response', resolve);
        request.on('error', reject);
        request.end();
    });
}
function readBody(response, limit) {
    return new Promise((resolve, reject) => {
        const chunks = [];
        let size = 0;
        const done = (whole) => resolve({ body: Buffer.concat(chunks).subarray(0, limit), whole });
        response.on('error', reject);
        if (limit === 0)
            return done(false);
        response.on('data', (chunk) => {
            chunks.push(chunk);
            size += chunk.length;
            if (size > limit)
                done(false);
        });
        response.once('end', () => done(true));
        response.once('close', () => reject(new Closed()));
    });
}
/** Some servers compress although they were asked not to. What cannot be unpacked stays as it came. */
function unpack({ zlib }, read, encoding, limit) {
    const unpackers = {
        gzip: zlib.gunzipSync,
        'x-gzip': zlib.gunzipSync,
        deflate: zlib.inflateSync,
        br: zlib.brotliDecompressSync,
    };
    const unpacker = unpackers[(encoding ?? '').trim().toLowerCase()];
    if (unpacker === undefined || read.body.length === 0)
        return read;
    try {
        return { body: unpacker(read.body, { maxOutputLength: limit }), whole: read.whole };
    }
    catch {
        return { body: read.body, whole: false };
    }
}
function timeoutError(journey, timeout) {
    return new NoAnswer(timeoutWords(journey.part, timeout), { fault: 'timeout', timings: journey.timings });
}
/** The other side closed the connection before its part was done. */
class Closed extends Error {
}
/** An error of a connection as a NoAnswer, worded from its code and the part of the way that was reached. */
function explain(error, journey) {
    if (error instanceof NoAnswer || error instanceof Cancelled)
        return error;
    const code = errorCode(error);
    // Anything else is a mistake in here, and must not pass for a fault of the server.
    if (code === undefined && !(error instanceof Closed))
        return error;
    const { fault, words } = connectionWords(code, journey.part);
    return new NoAnswer(words, { fault, timings: journey.timings, code });
}
/** The host without the brackets of an IPv6 address. */
function bareHost(url) {
    return url.hostname.replace(/^\[|\]$/g, '');
}
function isAddress(host) {
    return host.includes(':') || /^\d{1,3}(\.\d{1,3}){3}$/.test(host);
}
/** Milliseconds to a tenth: what is measured finer is noise. */
function tenths(milliseconds) {
    return Math.round(milliseconds * 10) / 10;
}

;// CONCATENATED MODULE: ./compiled/src/http/ask-assets.js




/** Scripts and styles asked for at a time, and bad ones that are asked for again in one try. */
const ASSETS_AT_A_TIME = 8;
const BAD_ASKED_AGAIN = 4;
/** Scripts and styles that are asked for in one round of checks where requests are counted. */
const ASSETS_A_ROUND = 8;
/**
 * Asks for those of `all` that were not good yet, as far as the budget allows, several at a time. `headers` go with each
 * request. After a 429, and after the fourth bad one, no more are asked.
 */
async function askAssets(all, target, headers, assets, ask) {
    const known = assets.known();
    const fresh = all.filter((url) => !known.has(urlPath(url)));
    const chosen = spread(fresh, Math.min(MOST_ASSETS, Math.max(0, assets.left())));
    const bad = [];
    let next = 0;
    let outOfTurn = 0;
    let limited;
    async function work() {
        for (let url = chosen[next++]; url !== undefined; url = chosen[next++]) {
            if (limited !== undefined || bad.length >= BAD_ASKED_AGAIN) {
                outOfTurn += 1;
                continue;
            }
            const asked = await askAsset(url, target, headers, ask);
            if (asked === 'good')
                assets.add(urlPath(url));
            else if (asked === 'no-turn')
                outOfTurn += 1;
            else if ('limited' in asked)
                limited = asked.limited;
            else
                bad.push({ url, ...asked });
        }
    }
    await Promise.all(Array.from({ length: ASSETS_AT_A_TIME }, work));
    return {
        bad: bad.sort((a, b) => all.indexOf(a.url) - all.indexOf(b.url)),
        unasked: fresh.length - chosen.length + outOfTurn,
        ...definedOnly({ limited }),
    };
}
/** What a script or style is remembered by. */
function urlPath(url) {
    return url.pathname + url.search;
}
/** At most `most` of them, from the first to the last. */
function spread(all, most) {
    if (all.length <= most)
        return [...all];
    return Array.from({ length: most }, (_, index) => all[Math.floor((index * all.length) / most)]);
}
/** Also as the application has it behind a proxy that takes the base path away. */
async function askAsset(url, target, headers, ask) {
    const asked = await askAssetOnce(url, headers, ask);
    const bare = withoutBase(url, target.basePath);
    if (bare === undefined || typeof asked === 'string' || 'limited' in asked)
        return asked;
    const again = await askAssetOnce(bare, headers, ask);
    return again === 'good' ? again : asked;
}
async function askAssetOnce(url, headers, ask) {
    try {
        const answer = await ask.get(url, { bodyLimit: 0, headers });
        if (answer.status === 429)
            return { limited: answer };
        const why = judgeAsset(answer);
        return why === undefined ? 'good' : { status: answer.status, fault: 'assets', why };
    }
    catch (error) {
        if (error instanceof NoTurn)
            return 'no-turn';
        if (!(error instanceof NoAnswer))
            throw error;
        return { status: null, fault: error.fault, why: error.message };
    }
}
/** The same asset as the application has it behind a proxy that takes the base path away. */
function withoutBase(url, basePath) {
    if (basePath === undefined || !url.pathname.startsWith(`${basePath}/`))
        return undefined;
    const bare = new URL(url);
    bare.pathname = url.pathname.slice(basePath.length);
    return bare;
}

;// CONCATENATED MODULE: ./compiled/src/http/redirects.js

/** Redirects of the root page that are followed at most. */
const MOST_REDIRECTS = 3;
/**
 * What to do with a redirect of the page at `from`. Only the root page follows any, only within our own origins, at
 * most three and never in a circle. Our own is the origin asked; on loopback also the application by another loopback
 * name, by https, or by its public origin, all of which are asked at the address of the application.
 */
function decideRedirect(from, location, visited, root, publicOrigin) {
    if (location === undefined)
        return { refuse: 'redirects without saying where to' };
    const to = redirects_resolve(location, from);
    if (to === undefined)
        return { refuse: 'redirects to something that is not a URL' };
    const asPublic = isPublic(from, to, publicOrigin);
    if (asPublic || isLoopbackItself(from, to)) {
        to.protocol = from.protocol;
        to.host = from.host;
    }
    // The query may hold a token and the host may be a secret: only the path is told, and only of the same origin.
    if (to.origin !== from.origin) {
        return to.hostname === from.hostname && to.protocol !== from.protocol
            ? {
                refuse: `redirects to ${to.protocol}//; give health-url so`,
                next: `Set health-url to ${to.protocol}//…, as the application wants to be asked.`,
            }
            : { refuse: 'redirects to another origin' };
    }
    if (!root)
        return { refuse: `redirects to ${to.pathname}; ask for that path itself` };
    if (visited.includes(withoutFragment(to)) || withoutFragment(to) === withoutFragment(from))
        return { refuse: 'redirects in a circle' };
    if (visited.length >= MOST_REDIRECTS)
        return { refuse: `redirects more than ${MOST_REDIRECTS} times` };
    return asPublic ? { follow: to, asPublic } : { follow: to };
}
/**
 * The public origin to which an application on loopback sends a caller for the very same path (https enforced, one
 * canonical host name), or undefined. Asked as its proxy asks, with that host, it answers the page itself.
 */
function publicOrigin(from, location) {
    if (location === undefined || !isLoopback(from.hostname))
        return undefined;
    const to = redirects_resolve(location, from);
    if (to === undefined || (to.protocol !== 'https:' && to.protocol !== 'http:'))
        return undefined;
    const samePath = to.pathname === from.pathname && to.search === from.search;
    return samePath && to.origin !== from.origin ? new URL(to.origin) : undefined;
}
function redirects_resolve(location, from) {
    try {
        return new URL(location, from);
    }
    catch {
        return undefined;
    }
}
/** Over http too: behind its proxy an application does not always know that it is asked over https. */
function isPublic(from, to, publicOrigin) {
    return publicOrigin !== undefined && isLoopback(from.hostname) && to.host === new URL(publicOrigin).host;
}
function isLoopbackItself(from, to) {
    return isLoopback(from.hostname) && isLoopback(to.hostname) && from.port === to.port;
}
/** The address of a URL without its fragment, which is not sent. */
function withoutFragment(url) {
    return url.origin + url.pathname + url.search;
}

;// CONCATENATED MODULE: ./compiled/src/http/find-page.js


/** Bytes of a page or health answer that are read. */
const BODY_LIMIT = 1_048_576;
/**
 * Asks for the paths of an application on the ways that it may know them: below the base path, without it, and, where the
 * plain name of loopback is refused, as its proxy asks. All ways are tried at first, then one after the other, until one
 * is known: that one is used from then on, and redirects that ended well are not followed again.
 */
function pageFinder(target) {
    const ways = waysOf(target);
    const paths = new Map();
    async function explore(known, path, endpoint, ask) {
        const first = known.plain === undefined;
        const chosen = known.way ? [known.way] : first ? ways : [ways[known.tries % ways.length]];
        known.tries += 1;
        let last;
        for (const way of chosen) {
            const page = await getPage(target, path, way, ask);
            last = page;
            if (!isElsewhere(page, endpoint)) {
                if (page.answer.status !== 429)
                    known.way = way;
                if (isGoodPage(page))
                    known.end = page;
                return page;
            }
            if (way === ways[0])
                known.plain = page;
        }
        const wasKnown = known.way !== undefined;
        delete known.way;
        return wasKnown ? last : known.plain;
    }
    return {
        async find(path, endpoint, ask) {
            const known = paths.get(path) ?? { tries: 0 };
            paths.set(path, known);
            if (known.end === undefined)
                return explore(known, path, endpoint, ask);
            const { url, behindProxy } = known.end;
            const page = { url, behindProxy, answer: await request(url, behindProxy, ask) };
            // The next try begins at the path itself again.
            if (!isGoodPage(page) && page.answer.status !== 429)
                delete known.end;
            return page;
        },
    };
}
function waysOf({ from, basePath, publicOrigin }) {
    const places = basePath === undefined ? [''] : [basePath, ''];
    const plain = places.map((below) => ({ below }));
    if (from !== 'vps' || publicOrigin === undefined)
        return plain;
    return [...plain, ...places.map((below) => ({ below, as: new URL(publicOrigin) }))];
}
function isGoodPage({ answer: { status }, refused }) {
    return refused === undefined && status >= 200 && status <= 299;
}
/**
 * True for what an application answers to a path, or under a name, that is not its own: a request that it does not
 * take, not found, elsewhere, its page for everything.
 */
function isElsewhere({ answer, refused }, endpoint) {
    return (refused !== undefined ||
        [400, 401, 403, 404, 405, 421].includes(answer.status) ||
        (endpoint && isHtml(answer.headers['content-type'], answer.body.toString('utf8'))));
}
/**
 * The answer of a path; redirects are followed as the rules allow, in one try together. On the server's loopback an
 * application that sends its callers to its public address is asked there as its proxy would ask.
 */
async function getPage(target, path, way, ask) {
    let url = new URL(target.baseUrl + way.below + path);
    let behindProxy = way.as;
    const visited = [];
    for (;;) {
        const answer = await request(url, behindProxy, ask);
        if (![301, 302, 303, 307, 308].includes(answer.status))
            return { url, answer, behindProxy };
        const { location } = answer.headers;
        if (target.from === 'vps' && behindProxy === undefined) {
            behindProxy = publicOrigin(url, location);
            if (behindProxy !== undefined)
                continue;
        }
        const known = behindProxy?.origin ?? (target.from === 'vps' ? target.publicOrigin : undefined);
        const decision = decideRedirect(url, location, visited, path === '/', known);
        if ('refuse' in decision)
            return { url, answer, refused: decision };
        if (decision.asPublic)
            behindProxy ??= new URL(known);
        visited.push(withoutFragment(url));
        url = decision.follow;
    }
}
function request(url, behindProxy, ask) {
    return ask.get(url, { bodyLimit: BODY_LIMIT, headers: proxyHeaders(behindProxy) });
}
/** The headers with which the proxy of this public origin asks an application; none without one. */
function proxyHeaders(origin) {
    if (origin === undefined)
        return {};
    return {
        host: origin.host,
        'x-forwarded-host': origin.host,
        'x-forwarded-proto': origin.protocol.slice(0, -1),
    };
}

;// CONCATENATED MODULE: ./compiled/src/http/looking.js


/** Milliseconds that are waited after a 429 at least, whatever the server says. */
const SHORTEST_RETRY = 1_000;
/** An answer of 429, with how long it asks to wait: seconds, or a date, which the server's own clock is needed for. */
function limitedLook({ headers }) {
    const asked = headers['retry-after'];
    const seconds = asked !== undefined && /^\d{1,7}$/.test(asked.trim()) ? Number(asked) * 1_000 : undefined;
    const until = Date.parse(asked ?? '') - Date.parse(headers.date ?? '');
    const after = seconds ?? (Number.isNaN(until) ? undefined : until);
    return {
        ok: false,
        status: 429,
        fault: 'status',
        detail: 'answers 429 (too many requests)',
        limited: after === undefined ? {} : { after: Math.max(SHORTEST_RETRY, after) },
    };
}
/** Runs one try; where no answer came, what was found says why. @throws every error but NoAnswer. */
async function looking(work) {
    try {
        return await work();
    }
    catch (error) {
        if (!(error instanceof NoAnswer))
            throw error;
        return {
            ok: false,
            status: null,
            fault: error.fault,
            detail: error.message,
            timings: error.timings,
            ...(isLasting(error) ? { lasting: 'likely' } : {}),
            ...definedOnly({ certificateDays: error.certificateDays }),
        };
    }
}
/** True for what waiting does not cure: a certificate that is refused, no way there, a name that does not exist. */
function isLasting({ certificateDays, fault, code }) {
    return certificateDays !== undefined || fault === 'route' || code === 'ENOTFOUND';
}

;// CONCATENATED MODULE: ./compiled/src/http/asset-check.js







/**
 * Asks for the scripts and styles of a page as the check of its path got it; after a bad try the page is asked for again,
 * for it may link to others by now. Each of them is asked for until it was good once.
 */
function assetsCheck({ target, path, finder, shown, assets }) {
    const name = path === '/' ? 'the root page' : `the page ${path}`;
    let askPageAgain = false;
    let bad = [];
    async function askOnce(ask) {
        const started = performance.now();
        const page = askPageAgain ? await finder.find(path, false, ask) : await shown.next(ask);
        askPageAgain = false;
        if (page?.answer.status === 429)
            return limitedLook(page.answer);
        if (page === undefined || !asset_check_isGoodPage(page)) {
            const detail = `${name} did not answer 200`;
            return { ok: false, status: null, fault: 'assets', detail, awaitsOther: true };
        }
        const text = page.answer.body.toString('utf8');
        if (!isHtml(page.answer.headers['content-type'], text))
            return { ok: true, status: null, detail: `${name} is no HTML page` };
        const linked = assetUrls(text, page.url, page.behindProxy?.origin ?? target.publicOrigin);
        const asked = await askAssets(linked, target, proxyHeaders(page.behindProxy), assets, ask);
        const timings = { ...page.answer.timings, total: tenths(performance.now() - started) };
        if (asked.limited !== undefined)
            return { ...limitedLook(asked.limited), timings };
        bad = stillBad([...asked.bad, ...bad], linked, assets.known());
        askPageAgain = bad.length > 0;
        const cut = page.answer.whole ? '' : `; ${name} was cut at ${formatBytes(BODY_LIMIT)}`;
        return { ...lookAt(bad, linked.length, asked.unasked, cut), timings };
    }
    return (ask) => looking(() => askOnce(ask));
}
/** What was found of `all` scripts and styles, of which `unasked` were not asked. */
function lookAt(bad, all, unasked, cut) {
    const rest = `${unasked > 0 ? `; ${unasked} more were not asked` : ''}${cut}`;
    const [first] = bad;
    if (first === undefined)
        return { ok: true, status: 200, detail: `${all - unasked} answer 200${rest}` };
    return {
        ok: false,
        status: first.status,
        fault: first.fault === 'timeout' ? 'timeout' : 'assets',
        detail: `${bad.length} of ${all}: ${first.url.pathname} ${first.why}${rest}`,
    };
}
/**
 * What was bad when it was asked for last, and is linked to still: not to be asked again, for want of requests, makes
 * nothing good.
 */
function stillBad(seen, all, good) {
    return all
        .filter((url) => !good.has(urlPath(url)))
        .flatMap((url) => seen.find((each) => urlPath(each.url) === urlPath(url)) ?? []);
}
function asset_check_isGoodPage({ refused, answer }) {
    return refused === undefined && answer.status >= 200 && answer.status <= 299;
}

;// CONCATENATED MODULE: ./compiled/src/lib/retry.js


/** Waits `milliseconds`. @throws Cancelled as soon as the signal fires. */
function pause(milliseconds, signal) {
    return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
            listenNoMore();
            resolve();
        }, milliseconds);
        const listenNoMore = whenAborted(signal, () => {
            clearTimeout(timer);
            reject(new Cancelled());
        });
    });
}
/**
 * Milliseconds before try number `attempt` (from 1): `first` doubled each time, at most `longest`,
 * with up to a quarter of jitter so that parallel runs do not stay in step.
 */
function backoff(attempt, first, longest, random = Math.random) {
    const base = Math.min(longest, first * 2 ** (attempt - 1));
    return Math.round(base * (0.75 + random() / 4));
}
/**
 * Calls `work` until it succeeds, an error is not worthwhile to retry, or tries or time run out.
 * @throws the last error of `work`; Cancelled when the signal fires during a wait.
 */
async function retry(options, work) {
    const started = performance.now();
    for (let attempt = 1;; attempt++) {
        try {
            return await work(attempt);
        }
        catch (error) {
            const wait = backoff(attempt, options.first, options.longest);
            const late = performance.now() - started + wait > options.deadline;
            if (attempt >= options.tries || late || options.signal?.aborted || !options.worthwhile(error))
                throw error;
            options.onRetry?.(error, attempt, wait);
            await pause(wait, options.signal);
        }
    }
}

;// CONCATENATED MODULE: ./compiled/src/http/newest-page.js



/** Holds no page yet. */
function newestPage() {
    let current;
    let waiting = [];
    const read = () => {
        if (!(current instanceof NoAnswer))
            return current;
        if (isLasting(current))
            throw current;
        return undefined;
    };
    return {
        put(seen) {
            current = seen;
            for (const go of waiting)
                go();
            waiting = [];
        },
        async next(ask) {
            const known = read();
            if (known !== undefined)
                return known;
            const seen = new Promise((resolve) => waiting.push(resolve));
            await Promise.race([seen, pause(ask.timeout(), ask.signal)]);
            return read();
        },
    };
}

;// CONCATENATED MODULE: ./compiled/src/http/checks.js







/** The checks of one vantage point: each path by its name, and the assets of a page. */
function checksOf(target, health, assets) {
    const finder = pageFinder(target);
    const page = health.checkAssets ? assetsPage(health) : undefined;
    const shown = newestPage();
    const checks = health.paths.map((path) => ({
        name: path,
        ask: (ask) => askPath(finder, path, health, ask, path === page ? shown.put : () => { }),
    }));
    if (page !== undefined)
        checks.push({ name: 'assets', ask: assetsCheck({ target, path: page, finder, shown, assets }) });
    return checks.filter(({ name }) => !health.except?.includes(name));
}
/** The page whose scripts and styles are asked for: `/`, else the first path that is no endpoint. */
function assetsPage(health) {
    if (health.paths.includes('/'))
        return '/';
    return health.paths.find((path) => !isEndpoint({ path, last: isLast(path, health) }));
}
function isLast(path, { paths }) {
    return path === paths[paths.length - 1];
}
/** Asks for a path; `show` is given the page that was found, or why there was no answer. */
async function askPath(finder, path, health, ask, show) {
    return looking(async () => {
        const endpoint = isEndpoint({ path, last: isLast(path, health) });
        const page = await finder.find(path, endpoint, ask).catch((error) => {
            if (error instanceof NoAnswer)
                show(error);
            throw error;
        });
        show(page);
        const { status, timings, certificateDays } = page.answer;
        return { ...judgePage(page, path, health), status, timings, ...definedOnly({ certificateDays }) };
    });
}
/** Whether what a path answered is healthy, and what to do where it is not. Pure. */
function judgePage({ answer, refused }, path, health) {
    if (answer.status === 429)
        return limitedLook(answer);
    if (refused !== undefined) {
        const { refuse, next } = refused;
        return {
            ok: false,
            fault: 'redirect',
            detail: `answers ${answer.status} and ${refuse}`,
            ...definedOnly({ next }),
        };
    }
    const judged = judgeAnswer(answer, { ...health, path, last: isLast(path, health) });
    if (answer.status !== 404 || path === '/')
        return judged;
    return {
        ...judged,
        next: `Does the application have ${path}? If not, leave it out of health-paths (health-paths: /).`,
    };
}

;// CONCATENATED MODULE: ./compiled/src/http/answered-version.js




const NOTHING = { texts: [], assets: [] };
/**
 * Asks the last health path and the page with the scripts, once each; what does not answer shows nothing. `requests`
 * counts them, but does not limit them. @throws Cancelled when the signal fires.
 */
async function askAnsweredVersion(target, health, signal, requests) {
    const pages = pageFinder(target);
    const ask = {
        timeout: () => health.timeout,
        signal,
        async get(url, rest) {
            requests?.begin(true);
            try {
                return await get(url, { ...rest, timeout: health.timeout, signal });
            }
            finally {
                requests?.end(true);
            }
        },
    };
    const last = health.paths[health.paths.length - 1];
    const page = assetsPage(health);
    const look = async (path, show) => {
        if (path === undefined)
            return NOTHING;
        try {
            const found = await pages.find(path, path !== page, ask);
            const { refused, answer } = found;
            return refused === undefined && answer.status >= 200 && answer.status < 300 ? show(found) : NOTHING;
        }
        catch (error) {
            if (error instanceof NoAnswer)
                return NOTHING;
            throw error;
        }
    };
    const [told, seen] = await Promise.all([look(last, answerWords), look(page, pageOf)]);
    return { texts: [...told.texts, ...seen.texts], assets: seen.assets };
}
function answerWords({ answer }) {
    const headers = Object.values(answer.headers).flatMap((value) => value ?? []);
    return { texts: [answer.body.toString('utf8'), ...headers], assets: [] };
}
function pageOf(found) {
    const { url, behindProxy } = found;
    const { texts } = answerWords(found);
    const assets = assetUrls(texts[0], url, behindProxy?.origin).map(({ pathname }) => pathname);
    return { texts, assets };
}
/** True where an answer shows one of the marks. Pure. */
function shows({ texts, assets }, { commit, texts: wanted, files }) {
    return (texts.some((text) => wanted.some((each) => text.includes(each)) || namesCommit(text, commit)) ||
        assets.some((path) => files.has(pathEnds(path)[0])));
}
function namesCommit(text, commit) {
    if (commit === undefined)
        return false;
    const words = text.match(/(?<![0-9a-z])[0-9a-f]{7,64}(?![0-9a-z])/gi) ?? [];
    return words.some((word) => commit.startsWith(word.toLowerCase()));
}
/**
 * By what a path is found again under another root (`dist/assets/app-1.js` is served as `/assets/app-1.js`): its last two
 * names, and its last alone, which a path of the root is known by.
 */
function pathEnds(path) {
    const names = path.split('/').filter(Boolean);
    return [names.slice(-2).join('/'), names.slice(-1).join('/')];
}

;// CONCATENATED MODULE: ./compiled/src/lib/request-budget.js
/**
 * How many requests we may send to one application, and at what pace: people limit them (express-rate-limit allows 100
 * in a quarter of an hour by default), and a good version must not be taken back because we asked too often. Pure but
 * for the ledger that is handed in.
 */
const WINDOW = 15 * 60_000;
/** What a deploy may ask of one application in all, and what may be asked of it in any quarter of an hour. */
const MOST = { limit: 60, window: 90 };
/** The part of it that the server has where the runner asks too; the rest is the runner's. */
const SERVER_PART = (/* unused pure expression or super */ null && (3 / 4));
/** The budget of a place. `alone`: nobody else asks the same application in this deploy. */
function budgetOf(place, alone, run) {
    const part = alone ? 1 : place === 'server' ? SERVER_PART : 1 - SERVER_PART;
    return { run, limit: Math.floor(MOST.limit * part), window: Math.floor(MOST.window * part) };
}
/** Requests that may go out still. A clock that was set back leaves stamps in the future: they count as well. */
function requestsLeft(sent, budget, now) {
    const ofRun = sent.filter(({ run }) => run === budget.run).length;
    const recent = sent.filter(({ at }) => at > now - WINDOW).length;
    return Math.max(0, Math.min(budget.limit - ofRun, budget.window - recent));
}
/**
 * What one round of checks may use of the requests that are left: half of them, so that whatever comes of it the next
 * round, and the way back, can be proven too; but what it needs at least.
 */
function allowanceOf(left, needed) {
    return Math.min(left, Math.max(Math.ceil(left / 2), needed));
}
/** Milliseconds: between the first tries, and between later ones where there are requests enough. */
const FIRST_WAIT = 100;
const LATER_WAIT = 1_000;
const SLOWEST_GROWTH = 1.5;
/**
 * The pace at which an application is asked that answers, but not well yet: milliseconds until the next try, after
 * `elapsed` milliseconds of answers. At first tries follow each other closely, then ever more slowly, so that `trials`
 * of them last for all of `span`.
 */
function waitWhileBad(elapsed, trials, span) {
    const most = Math.max(1, trials);
    const growth = Math.max(SLOWEST_GROWTH, (span / FIRST_WAIT) ** (2 / most));
    const longest = Math.max(LATER_WAIT, (2 * span) / (most + 2));
    return Math.round(Math.max(FIRST_WAIT, Math.min(elapsed * (growth - 1), longest)));
}
/** Milliseconds until a check that is good is asked again while others of `checks` are waited for. */
function waitWhileGood(elapsed, checks) {
    return Math.round(Math.max(LATER_WAIT, elapsed * checks));
}
/** Opens the counter for one round of checks that needs `needed` requests where all goes well. */
function openRequests(ledger, budget, needed, now = Date.now) {
    const unsent = () => requestsLeft(ledger.sent(), budget, now());
    const allowance = allowanceOf(unsent(), needed);
    let used = 0;
    let underWay = 0;
    const left = () => Math.min(allowance - used, unsent()) - underWay;
    return {
        allowance,
        left,
        begin(essential) {
            if (!essential && left() < 1)
                return false;
            underWay += 1;
            return true;
        },
        end(counted) {
            underWay -= 1;
            if (!counted)
                return;
            used += 1;
            ledger.add({ at: now(), run: budget.run });
        },
    };
}
/** A ledger for as long as this process lives. */
function memoryLedger() {
    const sent = [];
    const assets = new Map();
    return {
        sent: () => sent,
        add: (one) => sent.push(one),
        assets: (version) => assets.get(version) ?? new Set(),
        addAsset(version, path) {
            assets.set(version, (assets.get(version) ?? new Set()).add(path));
        },
    };
}

;// CONCATENATED MODULE: ./compiled/src/lib/verified-tls.js
/**
 * Options of every TLS connection of this program. They are given each time, because Node takes what is left out from the
 * environment of the job, where NODE_TLS_REJECT_UNAUTHORIZED=0 would accept any certificate.
 */
const VERIFIED_TLS = { rejectUnauthorized: true, minVersion: 'TLSv1.2' };
/**
 * Removes that variable from `env`, for the connections that a library makes; to be called before the first. Returns a
 * warning for a person who had set it.
 */
function verifyAlways(env) {
    const was = env.NODE_TLS_REJECT_UNAUTHORIZED;
    delete env.NODE_TLS_REJECT_UNAUTHORIZED;
    if (was !== '0')
        return undefined;
    return {
        message: `NODE_TLS_REJECT_UNAUTHORIZED=0 is set in this job, and counts for nothing here: every certificate is verified`,
        next: 'Take it out. An authority of your own is made known with NODE_EXTRA_CA_CERTS (the path of a PEM file) in the env of the job, the one of the database with database-ca-cert.',
    };
}

;// CONCATENATED MODULE: external "node:events"
const external_node_events_namespaceObject = require("node:events");
;// CONCATENATED MODULE: ./compiled/src/http/check-state.js
/** A check that was not asked yet. */
function newCheckState(name) {
    return {
        name,
        attempts: 0,
        good: 0,
        streak: 0,
        look: { ok: false, status: null, detail: 'was not asked', fault: 'timeout' },
        askedAt: 0,
        milliseconds: 0,
        lasting: 0,
        judged: false,
        limited: 0,
        spent: false,
        over: false,
        essential: true,
        hadLastTry: false,
    };
}
/** Tries after which a lasting fault is believed. */
const LASTING_TRIES = 3;
/** True where waiting is known not to cure it. */
function isGivenUp({ lasting }) {
    return lasting >= LASTING_TRIES;
}
/** True where nothing more has to be learned of it; it may be asked on while others are not so far. */
function isDecided(state, successes) {
    return state.streak >= successes || state.over || isGivenUp(state);
}
/**
 * Counts a try; true where the check has turned good with it. `cutShort`: the deadline left it less than the time of a
 * request.
 */
function noteTry(state, look, cutShort) {
    state.attempts += 1;
    // It says nothing about an application that was asked before.
    if (cutShort && look.fault === 'timeout' && state.attempts > 1)
        return false;
    state.limited = look.limited === undefined ? 0 : state.limited + 1;
    if (state.limited > 0)
        return false;
    state.judged = true;
    state.look = look;
    state.good += look.ok ? 1 : 0;
    state.streak = look.ok ? state.streak + 1 : 0;
    state.lasting = lastingTries(state.lasting, look);
    return state.streak === 1;
}
function lastingTries(before, { lasting }) {
    if (lasting === 'certain')
        return LASTING_TRIES;
    return lasting === 'likely' ? before + 1 : 0;
}
/** The newest try as it is told while the check is asked on: a 429 does not hide why the application was bad before it. */
function toldLook({ judged, look }, newest) {
    if (newest.limited === undefined || !judged || look.ok)
        return newest;
    return { ...look, detail: `${look.detail ?? 'is not healthy'}; now answers 429 (too many requests)` };
}
/** Nobody is judged by an answer of 429: what was seen before it counts, and where nothing was, nothing is held against it. */
const NOT_JUDGED = {
    ok: true,
    status: 429,
    detail: 'not judged: answers 429 (too many requests)',
};
/** What came of a check that is asked no more, where `successes` good answers in a row were needed. */
function findingOf(state, successes) {
    const { name, attempts, good, milliseconds, streak, limited, judged, spent } = state;
    const look = limited > 0 && !judged ? NOT_JUDGED : state.look;
    const ok = streak >= successes || (spent && streak > 0) || (limited > 0 && look.ok);
    const finding = { name, ok, attempts, good, milliseconds, look: { ...look, ok } };
    if (ok || good === 0)
        return finding;
    const flapping = `${good} of ${attempts} answers were good, but not ${successes} in a row`;
    const detail = look.detail ? `${look.detail}; ${flapping}` : flapping;
    return { ...finding, look: { ...finding.look, fault: look.fault ?? 'timeout', detail } };
}

;// CONCATENATED MODULE: ./compiled/src/http/poll-pace.js


/** Milliseconds: the first wait for a port that is closed, the longest, and between good answers. */
const poll_pace_FIRST_WAIT = 100;
const poll_pace_LONGEST_WAIT = 200;
const BETWEEN_GOOD = 50;
/** Milliseconds to wait where a server says that there are too many requests, and not how long: then ever longer. */
const LIMITED = { first: 2_000, longest: 10_000 };
/** The pace of checks whose requests are not counted. */
const UNCOUNTED_TRIALS = 30;
/** Milliseconds: with less than this left no new try is begun, for it could only time out. */
const SHORTEST_TRY = 20;
/** How long a check waits that has just been tried. Pure. */
function waitAfter(state, { look, reached }, standing) {
    const { checks, successes, answering } = standing;
    const remaining = Math.max(0, standing.remaining);
    const pause = (milliseconds) => ({
        kind: 'pause',
        milliseconds: Math.min(milliseconds, remaining),
    });
    if (look.limited !== undefined) {
        const milliseconds = look.limited.after ?? backoff(state.limited, LIMITED.first, LIMITED.longest);
        if (milliseconds > standing.remaining - SHORTEST_TRY)
            return { kind: 'none' };
        return { kind: 'pause', milliseconds };
    }
    if (look.ok && state.streak < successes)
        return pause(BETWEEN_GOOD);
    if (look.ok)
        return { kind: 'sleep', milliseconds: Math.min(waitWhileGood(answering, checks), remaining) };
    if (look.awaitsOther)
        return { kind: 'sleep', milliseconds: remaining };
    if (!reached)
        return pause(backoff(state.attempts - state.good, poll_pace_FIRST_WAIT, poll_pace_LONGEST_WAIT));
    return { kind: 'turn' };
}
/**
 * Milliseconds between two tries of failing checks. `deadline`: of all of them, in milliseconds; `allowance`: requests
 * that they may make, where these are counted.
 */
function failingPause({ checks, successes, answering }, deadline, allowance) {
    const trials = allowance === undefined ? UNCOUNTED_TRIALS : allowance - checks * successes;
    return waitWhileBad(answering, trials, deadline);
}

;// CONCATENATED MODULE: ./compiled/src/http/spaced-turns.js



/**
 * A queue: `turn` resolves for one caller after the other, each `wait()` milliseconds after the one before; `all` lets
 * everybody go at once. @throws Cancelled (from `turn`) when the signal fires.
 */
function spacedTurns(wait, signal) {
    let waiting = [];
    let timer;
    const start = () => {
        if (timer !== undefined || waiting.length === 0 || signal.aborted)
            return;
        timer = setTimeout(() => {
            timer = undefined;
            waiting.shift()?.();
            start();
        }, wait());
    };
    whenAborted(signal, () => clearTimeout(timer));
    return {
        turn: () => Promise.race([
            new Promise((resolve) => {
                waiting.push(resolve);
                start();
            }),
            forever(signal),
        ]),
        all() {
            for (const go of waiting)
                go();
            waiting = [];
        },
    };
}
/** Pauses that can be ended early, each by the object that sleeps. @throws Cancelled (from `sleep`) when the signal fires. */
function sleeping(signal) {
    const sleepers = new Map();
    return {
        async sleep(who, milliseconds) {
            const woken = new Promise((resolve) => sleepers.set(who, resolve));
            await Promise.race([woken, pause(Math.max(0, milliseconds), signal)]);
        },
        wake: (who) => sleepers.get(who)?.(),
    };
}
/** Never resolves. @throws Cancelled once the signal fires. */
function forever(signal) {
    return new Promise((_, reject) => {
        whenAborted(signal, () => reject(new Cancelled()));
    });
}

;// CONCATENATED MODULE: ./compiled/src/http/try-check.js


/** Tries a check once; undefined where the budget allows no request. @throws Cancelled when the signal fires. */
async function tryCheck(check, options) {
    const { timeout, signal, requests, essential } = options;
    const made = { seen: 0, refused: 0 };
    const ask = {
        timeout,
        signal,
        async get(url, rest) {
            if (requests?.begin(essential()) === false)
                throw new NoTurn();
            let refused = false;
            try {
                return await get(url, { ...rest, timeout: timeout(), signal });
            }
            catch (error) {
                refused = error instanceof NoAnswer && error.code === 'ECONNREFUSED';
                throw error;
            }
            finally {
                requests?.end(!refused);
                made[refused ? 'refused' : 'seen'] += 1;
            }
        },
    };
    try {
        const look = await check.ask(ask);
        // A check that asks a database makes no request of its own here.
        return { look, reached: made.seen > 0 || (made.refused === 0 && look.awaitsOther === undefined) };
    }
    catch (error) {
        if (error instanceof NoTurn)
            return undefined;
        throw error;
    }
}

;// CONCATENATED MODULE: ./compiled/src/http/poll.js








/** Milliseconds after which a good answer is asked for again once the others are good too. */
const STALE = 1_000;
/**
 * Asks all checks until at one moment every check has given enough good answers in a row, or the deadline is reached.
 * A port that is closed is asked again and again; an application that answers, but not well yet, at the pace of the
 * request budget: its failing checks take turns, and all are asked at once when one of them turns good. A check that
 * has given enough goes on being asked, slowly, while others still fail (not with `once`). A check whose fault cannot
 * be cured by waiting is given up after three tries. An answer of 429 is no answer.
 * @throws Cancelled when the signal fires, and what a check throws; a check that stays bad is no error.
 */
async function poll(checks, options) {
    const { requests, successes, deadline } = options;
    const started = performance.now();
    const elapsed = () => performance.now() - started;
    const remaining = () => deadline - elapsed();
    const states = checks.map(({ name }) => newCheckState(name));
    /** Fires once all checks are decided, and with the caller's signal. */
    const ended = followingController(options.signal);
    const { signal } = ended;
    let answeringSince;
    const standing = () => ({
        checks: checks.length,
        successes,
        remaining: remaining(),
        answering: answeringSince === undefined ? 0 : elapsed() - answeringSince,
    });
    const pauseOfFailing = () => failingPause(standing(), deadline, requests?.allowance);
    const turns = spacedTurns(pauseOfFailing, signal);
    const sleepers = sleeping(signal);
    const endWhenDecided = () => {
        if (states.every((state) => isDecided(state, successes)))
            ended.abort();
    };
    /** Asks one check until nothing is left to be asked of it. */
    async function askOn(check, state) {
        while (remaining() >= SHORTEST_TRY && (await askOnce(check, state)) === 'again')
            ;
        state.over = true;
        endWhenDecided();
    }
    /** One try, and the wait after it. */
    async function askOnce(check, state) {
        const cutShort = remaining() < options.timeout;
        state.askedAt = elapsed();
        const tried = await tryCheck(check, {
            timeout: () => Math.max(1, Math.min(options.timeout, remaining())),
            signal,
            requests,
            essential: () => state.essential,
        });
        if (tried === undefined)
            return withoutRequests(state);
        state.essential = false;
        state.milliseconds = elapsed();
        if (tried.reached)
            answeringSince ??= elapsed();
        const recovered = noteTry(state, tried.look, cutShort);
        options.onAttempt?.(state.name, state.attempts, toldLook(state, tried.look));
        if (recovered)
            askOthersAgain(state);
        endWhenDecided();
        if (options.once === true && state.streak >= successes)
            return 'over';
        const wait = waitAfter(state, tried, standing());
        await waitFor(state, wait);
        return wait.kind === 'none' || isGivenUp(state) ? 'over' : 'again';
    }
    /** The budget is used up: one good answer is enough then, and a bad check has one more try, just before the deadline. */
    async function withoutRequests(state) {
        if (state.streak > 0)
            state.spent = true;
        if (state.spent || state.hadLastTry)
            return 'over';
        await untilLastTry(state, forever(signal));
        return 'again';
    }
    /** One check has turned good: the others may have too, and what was good long ago must still be so. */
    function askOthersAgain(recovered) {
        turns.all();
        for (const other of states) {
            if (other === recovered || other.over)
                continue;
            const stale = other.streak >= successes && elapsed() - other.askedAt > STALE && options.once !== true;
            if (stale)
                other.streak = successes - 1;
            if (stale || other.look.awaitsOther)
                sleepers.wake(other);
        }
    }
    async function waitFor(state, wait) {
        if (wait.kind === 'pause')
            await pause(wait.milliseconds, signal);
        if (wait.kind === 'sleep')
            await sleepers.sleep(state, wait.milliseconds);
        if (wait.kind === 'turn')
            await untilLastTry(state, requests ? turns.turn() : pause(pauseOfFailing(), signal));
    }
    /** Waits for what is given, but in time for one try before the deadline. */
    async function untilLastTry(state, wait) {
        const left = remaining() - Math.min(options.timeout, deadline / 10);
        if (state.hadLastTry || left <= 0) {
            await Promise.race([wait, pause(Math.max(0, remaining()), signal)]);
            return;
        }
        // Also where `wait` is over first: a try that is made about then is the last one.
        const lastTry = pause(left, signal).then(() => {
            state.hadLastTry = true;
            state.essential = true;
        });
        await Promise.race([wait, lastTry]);
    }
    const asking = checks.map((check, index) => askOn(check, states[index]).catch((error) => {
        if (!(error instanceof Cancelled && signal.aborted))
            throw error;
    }));
    await Promise.all(asking).finally(() => ended.abort());
    if (options.signal?.aborted)
        throw new Cancelled();
    return states.map((state) => findingOf(state, successes));
}
/** A controller of one's own that also aborts with `signal`; it may have any number of listeners. */
function followingController(signal) {
    const controller = new AbortController();
    (0,external_node_events_namespaceObject.setMaxListeners)(0, controller.signal);
    const followNoMore = whenAborted(signal, () => controller.abort());
    whenAborted(controller.signal, followNoMore);
    return controller;
}

;// CONCATENATED MODULE: ./compiled/src/http/check-health.js







/**
 * Asks every check again and again until all have given `successes` good answers in a row, or the deadline is
 * reached. Returns one fact per check: each path by its name, then `assets`, then (over https) `certificate`.
 * @throws Cancelled when the signal fires; an application that is not healthy is no error.
 */
async function checkHealth(target, health, options = {}) {
    const { counted } = options;
    const needed = health.paths.length * health.successes;
    const requests = counted && openRequests(counted.ledger, counted.budget, needed);
    const findings = await poll(checksOf(target, health, assetsOf(counted, requests, needed)), {
        timeout: health.timeout,
        deadline: health.deadline,
        successes: health.successes,
        ...definedOnly({ requests, once: health.once, signal: options.signal, onAttempt: options.onAttempt }),
    });
    return checkFacts(target, findings);
}
/** `needed`: requests that are kept for the paths. */
function assetsOf(counted, requests, needed) {
    const { ledger, version } = counted ?? { ledger: memoryLedger(), version: '' };
    let added = 0;
    return {
        known: () => ledger.assets(version),
        add(path) {
            added += 1;
            ledger.addAsset(version, path);
        },
        left: () => requests ? Math.min(ASSETS_A_ROUND - added, requests.left() - needed) : Number.POSITIVE_INFINITY,
    };
}
/** A connection of its own, over IPv6 or IPv4 as the name has them (older versions of Node must be told). */
const LIGHT = {
    agent: false,
    autoSelectFamily: true,
    ...VERIFIED_TLS,
    headers: { 'user-agent': 'muva-deploy-action' },
};
/**
 * True where the URL answers at all (any status below 500) within `timeout` milliseconds. Very light: nothing is
 * judged and no body is read, so that it can be asked many times a second during a cutover. Never rejects.
 */
async function answers(url, timeout) {
    const protocol = url.startsWith('https:') ? await Promise.resolve(/* import() */).then(__nccwpck_require__.t.bind(__nccwpck_require__, 708, 23)) : await Promise.resolve(/* import() */).then(__nccwpck_require__.t.bind(__nccwpck_require__, 67, 23));
    return new Promise((resolve) => {
        const own = new URL(url).hostname === LOOPBACK ? { lookup: lookupLoopback } : {};
        const request = protocol.request(url, { ...LIGHT, ...own });
        const done = (answer) => {
            clearTimeout(timer);
            request.destroy();
            resolve(answer);
        };
        const timer = setTimeout(() => done(false), timeout);
        request.on('error', () => done(false));
        request.once('response', (response) => done((response.statusCode ?? 500) < 500));
        request.end();
    });
}
function checkFacts(target, findings) {
    const facts = findings.map((finding) => checkFact(target.from, finding));
    const seen = findings.find(({ look }) => look.certificateDays !== undefined);
    if (seen === undefined || !target.baseUrl.startsWith('https:'))
        return facts;
    const days = seen.look.certificateDays;
    const ok = seen.look.fault !== 'tls';
    return [
        ...facts,
        {
            name: 'certificate',
            from: target.from,
            ok,
            status: null,
            'latency-ms': null,
            attempts: seen.attempts,
            'days-left': days,
            detail: ok ? `valid for ${days} more ${days === 1 ? 'day' : 'days'}` : (seen.look.detail ?? 'refused'),
            ...(ok ? {} : { fault: 'tls' }),
        },
    ];
}
/** One check's outcome as a fact of the report. */
function checkFact(from, { name, ok, attempts, look }) {
    return {
        name,
        from,
        ok,
        status: look.status,
        'latency-ms': (!ok && look.status === null) || look.timings === undefined ? null : Math.round(look.timings.total),
        attempts,
        ...definedOnly({ detail: look.detail, timings: look.timings }),
        ...(ok || look.fault === undefined ? {} : { fault: look.fault }),
        ...(ok || look.next === undefined ? {} : { next: look.next }),
    };
}

;// CONCATENATED MODULE: ./compiled/src/http/look-once.js




/** The part of a deploy's requests that looks may use; the rest is for those that prove the version that stays. */
const PART_FOR_LOOKS = 2 / 3;
/**
 * Asks each path once, all at the same time; what is not good is not asked again. Scripts and styles are left alone.
 * Undefined where too few requests are left for that. @throws Cancelled when the signal fires
 */
async function lookOnce(target, health, { signal, counted }) {
    const checks = checksOf(target, { ...health, checkAssets: false }, NO_ASSETS);
    const requests = counted && openRequests(counted.ledger, counted.budget, counted.budget.limit);
    const kept = counted ? Math.ceil(counted.budget.limit * (1 - PART_FOR_LOOKS)) : 0;
    if (requests && requests.left() < checks.length + kept)
        return undefined;
    const facts = await Promise.all(checks.map(async (check) => {
        const tried = await tryCheck(check, {
            timeout: () => health.timeout,
            signal,
            requests,
            // Counted above, all together.
            essential: () => true,
        });
        if (tried === undefined)
            return [];
        const { look } = tried;
        const result = { name: check.name, ok: look.ok, attempts: 1, good: look.ok ? 1 : 0, look };
        return [checkFact(target.from, { ...result, milliseconds: look.timings?.total ?? 0 })];
    }));
    return facts.flat();
}
const NO_ASSETS = { known: () => memoryLedger().assets(''), add: () => { }, left: () => 0 };

;// CONCATENATED MODULE: ./compiled/src/http/waiting-progress.js

/** Milliseconds between two messages about what is still being waited for. */
const EVERY = 10_000;
/** Says now and then which checks are not good yet, and what to do about them, while they are asked on. */
function tellWaiting(tell, every = EVERY) {
    const started = performance.now();
    const waiting = new Map();
    const timer = setInterval(() => {
        const after = formatDuration(performance.now() - started);
        for (const text of waiting.values())
            tell(`waiting for health, ${after}: ${text}`);
    }, every);
    timer.unref();
    return {
        note(place, attempt, { ok, detail, next }) {
            if (ok)
                waiting.delete(place);
            else
                waiting.set(place, `${place} ${detail ?? 'is not healthy'} (try ${attempt})${next === undefined ? '' : `. ${next}`}`);
        },
        has: (place) => waiting.has(place),
        stop: () => clearInterval(timer),
    };
}

;// CONCATENATED MODULE: ./compiled/src/worker/host/request-ledger.js


/** Bytes from which on the file is cut to what is recent: some days of deploys. */
const LARGE = 64 * 1_024;
/** Lines that are kept then: more than a quarter of an hour may hold. */
const KEPT = 400;
/**
 * The requests that were sent to an application of this host, in a file that all processes of the worker share: the
 * look before a deploy, the deploy, and health after it are one process each. Only ever appended, a line each:
 * `sent <ms> <run>` and `asset <version> <path>`. A count that cannot be written must not fail a deploy.
 */
function fileLedger(file) {
    shorten(file);
    // What could not be written counts in this process at least.
    const unwritten = [];
    const lines = () => [...(readText(file) ?? '').split('\n'), ...unwritten];
    const append = (line) => {
        try {
            (0,external_node_fs_namespaceObject.appendFileSync)(file, `${line}\n`, { mode: 0o600 });
        }
        catch {
            unwritten.push(line);
        }
    };
    return {
        sent: () => lines().flatMap(readSent),
        add: ({ at, run }) => append(`sent ${at} ${run}`),
        assets(version) {
            const start = `asset ${version} `;
            return new Set(lines()
                .filter((line) => line.startsWith(start))
                .map((line) => line.slice(start.length)));
        },
        addAsset: (version, path) => append(`asset ${version} ${path}`),
    };
}
function readSent(line) {
    const found = /^sent (\d{1,15}) (\S+)$/.exec(line);
    return found ? [{ at: Number(found[1]), run: found[2] }] : [];
}
function shorten(file) {
    try {
        if ((0,external_node_fs_namespaceObject.statSync)(file).size < LARGE)
            return;
        const lines = readText(file).trimEnd().split('\n');
        writeAtomically(file, `${lines.slice(-KEPT).join('\n')}\n`);
    }
    catch {
        // There is none yet, or it cannot be shortened: then it is longer than it need be.
    }
}

;// CONCATENATED MODULE: ./compiled/src/worker/host/loopback-health.js









/** The health path and the page. */
const VERSION_REQUESTS = 2;
/** Asks the application on loopback once, by what it can be told which version answers. */
function askLoopbackVersion(port, health, signal) {
    const { budget } = health;
    const requests = budget && openRequests(ledgerOf(budget), budget, VERSION_REQUESTS);
    return askAnsweredVersion(loopbackTarget(port, health), health, signal, requests);
}
/** The application on this host. */
function loopbackTarget(port, { basePath, publicOrigin }) {
    return { baseUrl: `http://${LOOPBACK}:${port}`, from: 'vps', ...definedOnly({ basePath, publicOrigin }) };
}
/** Asks the application on loopback until every check is good, or the deadline is over. */
async function askLoopback(check) {
    const { expectVersion, basePath: _base, publicOrigin: _origin, budget, ...health } = check.health;
    const version = check.sha ?? check.version ?? '-';
    const counted = budget && { ledger: ledgerOf(budget), budget, version };
    const waiting = tellWaiting(check.tell ?? (() => { }));
    try {
        const facts = await checkHealth(loopbackTarget(check.port, check.health), {
            ...health,
            ...(check.expectVersion && expectVersion !== undefined ? { expectVersion } : {}),
            ...definedOnly({ expectSha: check.sha }),
        }, { signal: check.signal, onAttempt: waiting.note, ...definedOnly({ counted }) });
        return { facts, healthy: facts.every(({ ok }) => ok) };
    }
    finally {
        waiting.stop();
    }
}
/** Asks each path once; undefined where too few requests are left. @throws Cancelled when the signal fires */
function lookAtLoopback({ port, health, version = '-', signal, }) {
    const { expectVersion: _, budget, ...asked } = health;
    const counted = budget && { ledger: ledgerOf(budget), budget, version };
    return lookOnce(loopbackTarget(port, health), asked, { signal, counted });
}
/** Where the requests to the application are counted: in a file, or for this process where the host has no place for it. */
function ledgerOf({ ledger }) {
    return ledger === undefined ? inMemory : fileLedger(ledger);
}
const inMemory = memoryLedger();
/** The health request with the file that counts, which only the host knows. */
function countedIn(file, health) {
    return health.budget ? { ...health, budget: { ...health.budget, ledger: file } } : health;
}
/** What is wrong, by the first failed check; `next` where that check does not tell itself what to do. */
function unhealthy(what, facts, next) {
    const sick = facts.find(({ ok }) => !ok);
    const why = sick === undefined
        ? 'healthy'
        : `${sick.name}: ${sick.detail ?? (sick.status === null ? 'no answer' : `status ${sick.status}`)}`;
    return new Failure({ message: `${what}: ${why}.`, next: sick?.next ?? next });
}

;// CONCATENATED MODULE: ./compiled/src/worker/host/compare-files.js



/** Whether what lies on the disk is what lay there before, or what lies somewhere else. Nothing here follows a symlink. */
/** Bytes that are compared at a time: databases and uploads may be larger than the memory. */
const CHUNK = 1_048_576;
/** SQLite keeps what was written last beside its file: the file alone may look untouched. */
const JOURNALS = ['-wal', '-journal'];
function statOf(path) {
    try {
        return (0,external_node_fs_namespaceObject.lstatSync)(path);
    }
    catch {
        return undefined;
    }
}
/** True for two files with the same bytes, and for two symlinks with the same target; never for folders. */
function sameContent(one, other) {
    const [a, b] = [statOf(one), statOf(other)];
    if (a?.isSymbolicLink() && b?.isSymbolicLink())
        return (0,external_node_fs_namespaceObject.readlinkSync)(one) === (0,external_node_fs_namespaceObject.readlinkSync)(other);
    if (!a?.isFile() || !b?.isFile() || a.size !== b.size)
        return false;
    const files = [(0,external_node_fs_namespaceObject.openSync)(one, 'r'), (0,external_node_fs_namespaceObject.openSync)(other, 'r')];
    try {
        const buffers = [Buffer.alloc(CHUNK), Buffer.alloc(CHUNK)];
        for (;;) {
            const read = files.map((fd, index) => (0,external_node_fs_namespaceObject.readSync)(fd, buffers[index], 0, CHUNK, null));
            if (read[0] !== read[1] || buffers[0].compare(buffers[1], 0, read[1], 0, read[0]) !== 0)
                return false;
            if (read[0] === 0)
                return true;
        }
    }
    finally {
        files.forEach(external_node_fs_namespaceObject.closeSync);
    }
}
/** True for a regular file with the bytes and the executable bit that git keeps; its filters are left out. */
function isCommitted(path, kept) {
    const stats = statOf(path);
    if (kept === undefined || !stats?.isFile())
        return false;
    if (kept.mode !== ((stats.mode & 0o100) === 0 ? '100644' : '100755'))
        return false;
    const hash = (0,external_node_crypto_namespaceObject.createHash)(kept.id.length === 64 ? 'sha256' : 'sha1').update(`blob ${stats.size}\0`);
    let file;
    try {
        file = (0,external_node_fs_namespaceObject.openSync)(path, 'r');
    }
    catch {
        return false;
    }
    try {
        const buffer = Buffer.alloc(Math.min(CHUNK, Math.max(1, stats.size)));
        for (let read = (0,external_node_fs_namespaceObject.readSync)(file, buffer); read > 0; read = (0,external_node_fs_namespaceObject.readSync)(file, buffer))
            hash.update(buffer.subarray(0, read));
    }
    finally {
        (0,external_node_fs_namespaceObject.closeSync)(file);
    }
    return hash.digest('hex') === kept.id;
}
/**
 * A mark of a file or of a whole folder: the same as long as nobody writes there, also after a move to another place.
 * Made of names, sizes and times, so that a large folder costs no reading.
 */
function stampOf(path) {
    const hash = (0,external_node_crypto_namespaceObject.createHash)('sha256');
    for (const line of stampLines(path, ''))
        hash.update(line).update('\0');
    for (const suffix of JOURNALS)
        for (const line of stampLines(path + suffix, suffix))
            hash.update(line);
    return hash.digest('hex').slice(0, 24);
}
function stampLines(path, name) {
    const stats = statOf(path);
    if (stats === undefined)
        return [];
    if (stats.isSymbolicLink())
        return [`${name}\0${(0,external_node_fs_namespaceObject.readlinkSync)(path)}`];
    if (!stats.isDirectory())
        return [`${name}\0${stats.size}\0${stats.mtimeMs}`];
    return [
        `${name}/`,
        ...(0,external_node_fs_namespaceObject.readdirSync)(path)
            .sort()
            .flatMap((item) => stampLines((0,external_node_path_namespaceObject.join)(path, item), `${name}/${item}`)),
    ];
}

;// CONCATENATED MODULE: ./compiled/src/worker/host-files/rewritten-files.js

const REWRITTEN = new Set([
    'package-lock.json',
    'npm-shrinkwrap.json',
    'pnpm-lock.yaml',
    'yarn.lock',
    'bun.lock',
    'bun.lockb',
    'next-env.d.ts',
]);
/**
 * True for a file that package managers and frameworks write by themselves, whoever calls them: that it differs on the
 * server is no work of a person. Pure.
 */
function isRewritten(path) {
    return REWRITTEN.has((0,external_node_path_namespaceObject.basename)(path));
}

;// CONCATENATED MODULE: ./compiled/src/lib/build-output-names.js

/** All names of output that anything here knows. */
const NAMES = {
    '.next': ['result', 'made', 'sent', 'whole', 'closed'],
    dist: ['result', 'made', 'sent', 'whole', 'closed'],
    build: ['result', 'made', 'sent', 'closed'],
    out: ['result', 'made', 'sent', 'closed'],
    '.output': ['result', 'made', 'sent'],
    '.nuxt': ['result', 'made', 'sent'],
    '.svelte-kit': ['result', 'made', 'sent'],
    node_modules: ['made', 'sent', 'whole', 'closed'],
    '.yarn': ['made', 'sent', 'whole'],
    generated: ['made', 'sent', 'whole'],
    '.medusa': ['made', 'sent'],
    '.solid': ['made', 'sent'],
    '.vinxi': ['made', 'sent'],
    _site: ['made', 'sent'],
    '.turbo': ['made', 'closed'],
    coverage: ['made', 'closed'],
    '.astro': ['made'],
    '.cache': ['made'],
    '.contentlayer': ['made'],
    '.docusaurus': ['made'],
    '.netlify': ['made'],
    '.nitro': ['made'],
    '.parcel-cache': ['made'],
    '.react-router': ['made'],
    '.swc': ['made'],
    '.velite': ['made'],
    '.vercel': ['made'],
    '.vite': ['made'],
    __generated__: ['made'],
    'storybook-static': ['made'],
    // On a server these may be sources or data as well.
    cjs: ['sent'],
    esm: ['sent'],
    lib: ['sent'],
    www: ['sent'],
    '.pnp.cjs': ['sent'],
    '.pnp.loader.mjs': ['sent'],
    public: ['whole'],
};
function marked(mark) {
    return Object.keys(NAMES).filter((name) => NAMES[name]?.includes(mark));
}
/** Output of which one is there after every build, at the root of a project. */
const USUAL_OUTPUT = marked('result');
/** Folders that never hold an environment file of the project. */
const WITHOUT_ENV_FILES = marked('closed');
const MADE = new Set(marked('made'));
const SENT = new Set(marked('sent'));
const WHOLE = new Set(marked('whole'));
const FILES = /^(next-env\.d\.ts|.+\.tsbuildinfo|\.eslintcache|\.stylelintcache|\.pnp\.(cjs|loader\.mjs|data\.json)|__ENV\.js)$/;
/** What next-pwa and its kin put among the public files. */
const SERVICE_WORKERS = /^(sw|(workbox|swe-worker|worker|fallback)-[\w-]+)\.js(\.map)?$/;
/** What nobody misses: marks of running programs, and what package managers and desktops leave. */
const LITTER = /^((npm-debug|yarn-debug|yarn-error|pnpm-debug)\.log.*|\.DS_Store|Thumbs\.db|.+\.pid)$/;
/** True for a path that a build or an install makes, wherever in the project it lies. */
function isUsualOutput(path) {
    const name = (0,external_node_path_namespaceObject.basename)(path);
    return (MADE.has(name) || FILES.test(name) || ((0,external_node_path_namespaceObject.basename)((0,external_node_path_namespaceObject.dirname)(path)) === 'public' && SERVICE_WORKERS.test(name)));
}
/** True for an ignored path that `build-on: runner` sends without being told to. */
function isSentOutput(path) {
    const parts = path.split('/');
    return SENT.has(basename(path)) || parts.some((part) => WHOLE.has(part));
}
/** What an install makes: it goes along with any build-output. */
function isInstalled(path) {
    return /^(node_modules|\.yarn|\.pnp\..+)$/.test((0,external_node_path_namespaceObject.basename)(path));
}
function isLitter(path) {
    return LITTER.test((0,external_node_path_namespaceObject.basename)(path));
}

;// CONCATENATED MODULE: ./compiled/src/lib/paths.js

/** `./a//b/` as `a/b`: the form in which paths are compared; empty for the folder that they start from. */
function tidyPath(path) {
    const tidy = external_node_path_namespaceObject.posix.normalize(path).replace(/\/+$/, '');
    return tidy === '.' ? '' : tidy;
}
/** True where `path` is `folder` or lies in it, both in one spelling. */
function isInside(path, folder) {
    return path === folder || path.startsWith(`${folder}/`);
}

;// CONCATENATED MODULE: ./compiled/src/worker/host-files/paths.js


/** Paths inside the application: relative, in one spelling, without a slash at the end. */
/** True where `path` lies in one of the folders, or is one of them. */
function isWithinAny(path, folders) {
    return folders.some((folder) => isInside(path, folder));
}
/** True where one of the paths lies below the folder. */
function holdsAny(folder, paths) {
    return paths.some((path) => path !== folder && isInside(path, folder));
}
/** The folders above a path, outermost first: `a`, `a/b` of `a/b/c`. */
function foldersAbove(path) {
    const parts = path.split('/');
    return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'));
}
/** The one spelling of a path that was given. @throws a Failure where it is no path inside the application. */
function pathInside(input, path) {
    const tidy = tidyPath(path.trim());
    const outside = tidy === '' || isInside(tidy, '..') || tidy.startsWith('/');
    if (!outside && !isInside(tidy, '.git'))
        return tidy;
    throw new Failure({
        message: `${input}: ${JSON.stringify(path)} ${outside ? 'is not inside the application' : "is git's own folder"}.`,
        next: 'Use a path from the root of the application, such as public/uploads.',
    });
}
/** Each path once, and none that lies inside another one: it comes with that. */
function outermost(paths) {
    const once = [...new Set(paths)];
    return once.filter((path) => !once.some((other) => other !== path && isInside(path, other)));
}
/** The same request with its paths in one spelling. @throws a Failure for a path that may not be given. */
function withTidyPaths(request) {
    const { sharedPaths = [], buildOutput = [], envFilePath = '.env.local' } = request;
    return {
        ...request,
        sharedPaths: outermost(sharedPaths.map((path) => pathInside('shared-paths', path))),
        buildOutput: outermost(buildOutput.map((path) => pathInside('build-output', path))),
        envFilePath: pathInside('env-file-path', envFilePath),
    };
}

;// CONCATENATED MODULE: ./compiled/src/worker/host-files/classify.js




/** What SQLite keeps beside a database while a program has it open: it has to go with it. */
const COMPANIONS = ['-wal', '-shm', '-journal'];
/** Whose a path is. The first that fits: what is the commit's, then what the request names, then what names tell. Pure. */
function classifyPath(path, found) {
    const { tracked, changed, sharedPaths = [], envFiles = [], buildOutput = [], isAsMade } = found;
    if (path === 'REVISION')
        return 'deploy';
    if (tracked?.has(path) && !changed?.has(path))
        return 'tracked';
    if (tracked?.has(path))
        return isAsMade?.(path) ? 'made' : 'people';
    if (isWithinAny(path, sharedPaths))
        return 'shared';
    if (isWithinAny(path, envFiles))
        return 'env';
    if (isWithinAny(path, buildOutput))
        return 'named';
    if (isUsualOutput(path))
        return 'usual';
    if (isEnvFile((0,external_node_path_namespaceObject.basename)(path)))
        return 'env-like';
    if (isCompanion(path, [...sharedPaths, ...buildOutput]))
        return 'companion';
    if (isLitter(path))
        return 'litter';
    return isAsMade?.(path) ? 'made' : 'people';
}
function isCompanion(path, owned) {
    return COMPANIONS.some((suffix) => path.endsWith(suffix) && isWithinAny(path.slice(0, -suffix.length), owned));
}
/** True for what stays the server's own whatever version is live, by what it is told of the server. */
function isOfHost(owner) {
    return owner === 'shared' || owner === 'env';
}
/** True for what every build makes again, by what names it. */
function isOutput(owner) {
    return owner === 'named' || owner === 'usual';
}
/**
 * True for a shared path that every build makes anew, as a whole: to share it would let a build write into the live
 * version. `made`: what the last deploy made. Pure.
 */
function isSharedOutput(path, { buildOutput, made }) {
    return (/(^|\/)(node_modules|\.next)$/.test(path) ||
        (USUAL_OUTPUT.includes((0,external_node_path_namespaceObject.basename)(path)) && made.includes(path)) ||
        buildOutput.some((named) => isInside(named, path)));
}
/**
 * True for `.env`, `.env.local`, `.env.production.local` and the like; not for samples meant to be committed, nor for
 * copies that somebody set aside.
 */
function isEnvFile(name) {
    return (/^\.env(\.[A-Za-z0-9_-]+)*$/.test(name) &&
        !/\.((example|sample|template|dist)|(bak|backup|copy|old|orig|save|tmp)[-_\d]*)$/.test(name));
}

;// CONCATENATED MODULE: ./compiled/src/worker/host-files/tracking.js






/** What of a checkout belongs to the host on one side of a change of commits, and to git on the other. */
function judgeTracking(question) {
    const { removed, added, lies, same, takenBefore, ignored, shared, swapped } = question;
    const moves = (path) => isWithinAny(path, swapped);
    const ofHost = (path) => {
        const lying = lies(path);
        if (lying?.path !== path || !lying.isFile)
            return false;
        const owner = classifyPath(path, { sharedPaths: shared });
        return owner !== 'deploy' && (ignored(path) || owner === 'shared' || owner === 'env-like');
    };
    // Where a commit makes a folder of what was a file, the file is its own.
    const gone = new Set(removed);
    const arriving = added.filter((path) => path !== 'REVISION' && !moves(path) && !foldersAbove(path).some((above) => gone.has(above)));
    const takenOver = arriving.filter((path) => lies(path)?.path === path && same(path));
    const hostTo = arriving.filter((path) => !takenOver.includes(path) && ofHost(path));
    const theirs = new Set(takenBefore);
    const kept = removed.filter((path) => ofHost(path) || (theirs.has(path) && lies(path)?.path === path));
    return {
        untrack: [...new Set([...kept, ...removed.filter(moves), ...hostTo, ...takenOver])],
        hostFrom: kept.filter((path) => !moves(path)),
        hostTo,
        takenOver,
        inTheWay: [
            ...new Set(arriving
                .filter((path) => !hostTo.includes(path) && !takenOver.includes(path))
                .flatMap((path) => lies(path)?.path ?? [])),
        ],
    };
}
/** What lies in a checkout, without following a symlink: git replaces one that is in the place of a folder. */
function pathsInCheckout(folder) {
    const look = (path) => {
        try {
            return (0,external_node_fs_namespaceObject.lstatSync)((0,external_node_path_namespaceObject.join)(folder, path));
        }
        catch {
            return undefined;
        }
    };
    return (path) => {
        for (const above of foldersAbove(path)) {
            const stats = look(above);
            if (stats === undefined)
                return undefined;
            if (!stats.isDirectory())
                return { path: above, isFile: true };
        }
        const stats = look(path);
        return stats && { path, isFile: !stats.isDirectory() };
    };
}
/** Looks at a live checkout that is to be turned to another commit. */
async function lookAtTracking(checkout, turn) {
    const { from, to, shared, swapped, takenBefore, rules } = turn;
    const removed = await changedPaths(checkout, 'D', from, to);
    const added = await changedPaths(checkout, 'A', from, to);
    const lies = pathsInCheckout(checkout.folder);
    const isThere = (path) => lies(path)?.path === path;
    const ignored = new Set([
        ...(await ignoredPaths(rules ?? checkout, removed.filter(isThere))),
        ...(await ignoredPaths(checkout, added.filter(isThere))),
    ]);
    const blobs = added.some(isThere) ? await filesOfCommit(checkout, to) : new Map();
    return judgeTracking({
        removed,
        added,
        lies,
        same: (path) => isCommitted((0,external_node_path_namespaceObject.join)(checkout.folder, path), blobs.get(path)),
        takenBefore,
        ignored: (path) => ignored.has(path),
        shared,
        swapped,
    });
}

;// CONCATENATED MODULE: ./compiled/src/worker/host-files/collisions.js





/** Paths that must not be overwritten. What a package manager wrote is kept as a patch. Pure. */
function inTheWayOf(found) {
    return [...(found?.inTheWay ?? []), ...(found?.hostTo ?? [])].filter((path) => !isRewritten(path));
}
/**
 * What a commit that the host does not have would meet in its live checkout, by the names and hashes of the files. Reads
 * only. `files`: those that the commit adds, or all of its files; what git looks after already is left out.
 */
async function foreseeCollisions(checkout, files) {
    const tracked = new Set(await trackedPaths(checkout));
    const lies = pathsInCheckout(checkout.folder);
    const added = files.filter(({ path }) => {
        const lying = lies(path);
        return lying !== undefined && !tracked.has(path) && !tracked.has(lying.path);
    });
    const byPath = new Map(added.map((file) => [file.path, file]));
    return judgeTracking({
        removed: [],
        added: [...byPath.keys()],
        lies,
        same: (path) => isCommitted((0,external_node_path_namespaceObject.join)(checkout.folder, path), byPath.get(path)),
        takenBefore: [],
        // Whoever it belongs to, it would be overwritten.
        ignored: () => false,
        shared: [],
        swapped: [],
    });
}

;// CONCATENATED MODULE: ./compiled/src/lib/empty-connection.js
/** What is said of a connection input that is empty although something points to its part: it is not skipped silently. */
const EMPTY_CONNECTION = 'is empty: secret not set, or not available to forks';
/** A connection that is empty although what earlier deploys left behind points to its part. */
function emptyConnection(input, next) {
    return { message: `${input}: ${EMPTY_CONNECTION}`, next };
}

;// CONCATENATED MODULE: ./compiled/src/lib/shell.js
/**
 * Quotes one word for a POSIX shell, whatever it holds.
 * @throws Error on a NUL byte, which cannot be passed in an argument.
 */
function quote(word) {
    if (word.includes('\0'))
        throw new Error('a NUL byte cannot be part of a shell word');
    if (/^[A-Za-z0-9_/:=.,@%+-]+$/.test(word) && !word.startsWith('-') && !word.startsWith('='))
        return word;
    return `'${word.replaceAll("'", `'\\''`)}'`;
}
/** A command line from its words, each quoted. @throws Error on a NUL byte. */
function commandLine(...words) {
    return words.map((word) => (/^-[A-Za-z0-9-]+$/.test(word) ? word : quote(word))).join(' ');
}

;// CONCATENATED MODULE: external "node:os"
const external_node_os_namespaceObject = require("node:os");
;// CONCATENATED MODULE: ./compiled/src/worker/host/free-space.js




/** A deploy needs room for a second copy of everything. */
const LEAST_FREE_BYTES = 512 * 1_048_576;
const LEAST_FREE_INODES = 20_000;
const LITTLE_MEMORY = 512 * 1_048_576;
/** What is free on the disk of the application, and of the memory. */
function freeSpace(appPath) {
    let at = appPath;
    while (!isFolder(at))
        at = (0,external_node_path_namespaceObject.dirname)(at);
    const disk = (0,external_node_fs_namespaceObject.statfsSync)(at);
    return {
        freeBytes: disk.bavail * disk.bsize,
        // File systems without a fixed number of inodes (btrfs) say 0 of 0.
        ...(disk.files === 0 ? {} : { freeInodes: disk.ffree }),
        memoryBytes: availableMemory(),
    };
}
/** Less than what a file of a few lines may take counts as nothing. */
const AS_GOOD_AS_NOTHING = 64 * 1_024;
/** True where next to nothing can be written any more at a place, or nothing is there. */
function isFull(place) {
    try {
        const { freeBytes, freeInodes } = freeSpace(place);
        return freeBytes < AS_GOOD_AS_NOTHING || freeInodes === 0;
    }
    catch {
        return false;
    }
}
function availableMemory() {
    const kilobytes = /^MemAvailable:\s+(\d+)/m.exec(readText('/proc/meminfo') ?? '')?.[1];
    return kilobytes === undefined ? (0,external_node_os_namespaceObject.freemem)() : Number(kilobytes) * 1_024;
}
/** Room that is too little for a second copy, or for a build. Pure over the facts. */
function judgeFreeSpace(facts, appPath) {
    const megabytes = (bytes) => `${Math.floor(bytes / 1_048_576)} MB`;
    if (facts.freeBytes < LEAST_FREE_BYTES)
        facts.deployRefusals.push({
            message: `Only ${megabytes(facts.freeBytes)} are free on the disk of ${appPath}; a deploy needs ${megabytes(LEAST_FREE_BYTES)}.`,
            next: 'Free some space (old logs, docker images, pnpm store prune), or lower keep-releases.',
        });
    if (facts.freeInodes !== undefined && facts.freeInodes < LEAST_FREE_INODES)
        facts.deployRefusals.push({
            message: `Only ${facts.freeInodes} inodes are free on the disk of ${appPath}; a deploy needs ${LEAST_FREE_INODES}.`,
            next: 'Delete folders with many small files (old node_modules, caches), or lower keep-releases.',
        });
    if (facts.memoryBytes < LITTLE_MEMORY)
        facts.warnings.push({
            message: `Only ${megabytes(facts.memoryBytes)} of memory are available; a build may be killed.`,
            next: 'Add swap, or build in the job with build-on: runner.',
        });
}

;// CONCATENATED MODULE: ./compiled/src/lib/catch-problem.js

/** Does work on which nothing else depends. Never throws: returns why it failed, where it did. */
function catchProblem(work) {
    try {
        work();
        return undefined;
    }
    catch (error) {
        return problemOf(error);
    }
}

;// CONCATENATED MODULE: ./compiled/src/worker/host/processes.js

/** What Linux tells about running programs, from /proc; everything undefined where it cannot be read. */
/** Identifies a program across the re-use of its id: start time in clock ticks since the host's start. */
function startTimeOf(pid) {
    return statFields(pid)?.[19];
}
/** Clock ticks a second in /proc, on every architecture that Linux servers run on. */
const TICKS = 100;
/** Milliseconds since a program was started; both times count from the host's start, so no clock is asked. */
function ageOf(pid) {
    const started = Number(startTimeOf(pid) ?? Number.NaN);
    try {
        const up = Number((0,external_node_fs_namespaceObject.readFileSync)('/proc/uptime', 'utf8').split(' ')[0]);
        const age = Math.round((up - started / TICKS) * 1_000);
        return Number.isFinite(age) ? age : undefined;
    }
    catch {
        return undefined;
    }
}
/** The id of the program that started this one. */
function parentOf(pid) {
    const parent = Number(statFields(pid)?.[1]);
    return Number.isInteger(parent) ? parent : undefined;
}
/** The fields of /proc/<pid>/stat after the name, which may itself hold spaces and brackets. */
function statFields(pid) {
    try {
        const text = (0,external_node_fs_namespaceObject.readFileSync)(`/proc/${pid}/stat`, 'utf8');
        return text.slice(text.lastIndexOf(')') + 2).split(' ');
    }
    catch {
        return undefined;
    }
}
/** True while the program with this id and start time runs (a zombie does not). */
function isAlive(pid, startTime) {
    const fields = statFields(pid);
    return fields !== undefined && fields[0] !== 'Z' && (startTime === undefined || fields[19] === startTime);
}
function processEnvironment(pid) {
    try {
        const entries = (0,external_node_fs_namespaceObject.readFileSync)(`/proc/${pid}/environ`, 'utf8').split('\0').filter(Boolean);
        return Object.fromEntries(entries.map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]));
    }
    catch {
        return undefined;
    }
}
/** The name of its program file, at most 15 characters. */
function processName(pid) {
    try {
        return (0,external_node_fs_namespaceObject.readFileSync)(`/proc/${pid}/comm`, 'utf8').trimEnd();
    }
    catch {
        return undefined;
    }
}
/** The folder in which a program works, symlinks resolved. */
function cwdOf(pid) {
    try {
        return (0,external_node_fs_namespaceObject.readlinkSync)(`/proc/${pid}/cwd`);
    }
    catch {
        return undefined;
    }
}
/** True where a program has the file open, as far as may be looked into it. */
function holdsOpen(pid, file) {
    return openedBy(pid).includes(file);
}
function commandOf(pid) {
    try {
        return (0,external_node_fs_namespaceObject.readFileSync)(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    }
    catch {
        return undefined;
    }
}
/** Ids of all programs, newest last. */
function allProcesses() {
    try {
        return (0,external_node_fs_namespaceObject.readdirSync)('/proc').map(Number).filter(Number.isInteger);
    }
    catch {
        return [];
    }
}
/** Ids of the programs that work in a folder or below it. */
function programsIn(folder) {
    return allProcesses().filter((pid) => {
        const cwd = cwdOf(pid);
        return cwd === folder || cwd?.startsWith(`${folder}/`);
    });
}
/** Ids of the programs that listen on a TCP port and may be looked into; empty where none is found. */
function listenersOn(port) {
    return holdersOf(socketsOn(port)).map(({ pid }) => pid);
}
/** The sockets that listen on a port, as open descriptors name them. */
function socketsOn(port) {
    return new Set(inTables((table) => listeningInodes(table, port).map((inode) => `socket:[${inode}]`)));
}
/** What `pick` finds in the text of each table of TCP sockets. */
function inTables(pick) {
    return ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((table) => {
        try {
            return pick((0,external_node_fs_namespaceObject.readFileSync)(table, 'utf8'));
        }
        catch {
            // No such table on this host.
            return [];
        }
    });
}
/** The fields of the sockets that listen (state 0A); where a port is given, on that. */
function listeningSockets(table, port) {
    const wanted = port?.toString(16).toUpperCase().padStart(4, '0');
    return table
        .split('\n')
        .slice(1)
        .map((line) => line.trim().split(/\s+/))
        .filter((fields) => fields[3] === '0A' && (wanted === undefined || fields[1]?.split(':')[1] === wanted));
}
/**
 * Where somebody listens on a port, where loopback is not among it: as /proc has the addresses. Empty where a request to
 * 127.0.0.1 or ::1 arrives, or nobody listens.
 */
function elsewhereOn(port) {
    const places = inTables((table) => listeningAddresses(table, port));
    return places.some(isReachedByLoopback) ? [] : [...new Set(places)];
}
/** The addresses of the sockets that listen on a port, in hexadecimal digits as /proc/net/tcp has them. */
function listeningAddresses(table, port) {
    return listeningSockets(table, port).map((fields) => fields[1].split(':')[0]);
}
/** True for the loopback addresses and for "all addresses", of both versions. The bytes of each word are turned round. */
function isReachedByLoopback(address) {
    return (/^0+$/.test(address) ||
        /^[0-9A-F]{6}7F$/.test(address) ||
        /^0+01000000$|^0+FFFF0000[0-9A-F]{6}7F$/.test(address));
}
/** `0501A8C0` as `192.168.1.5`; IPv6 stays as it is. */
function readableAddress(address) {
    if (address.length !== 8)
        return address;
    const bytes = [6, 4, 2, 0].map((at) => Number.parseInt(address.slice(at, at + 2), 16));
    return bytes.join('.');
}
/** The TCP ports on which programs listen, and all that they have started, as far as may be looked into them. */
function portsHeldBy(programs) {
    const links = new Set(allProcesses()
        .filter((pid) => descendsFrom(pid, programs))
        .flatMap(openedBy));
    const ports = inTables((table) => listeningSockets(table)
        .filter((fields) => links.has(`socket:[${fields[9]}]`))
        .map((fields) => Number.parseInt(fields[1].split(':')[1] ?? '', 16)));
    return [...new Set(ports)];
}
function holdersOf(sockets) {
    if (sockets.size === 0)
        return [];
    return allProcesses()
        .map((pid) => ({ pid, holds: openedBy(pid).filter((link) => sockets.has(link)) }))
        .filter(({ holds }) => holds.length > 0);
}
/**
 * The programs behind a TCP port: those that listen, and all that they have started; each as `pid:start time`, which no
 * other ever is. undefined where nobody listens, or one who does may not be looked into. systemd, which only holds a
 * socket for its services, is not among them: it has started everything.
 */
function programsBehind(port) {
    const sockets = socketsOn(port);
    const holders = holdersOf(sockets);
    const seen = new Set(holders.flatMap(({ holds }) => holds));
    const listeners = new Set(holders.map(({ pid }) => pid).filter((pid) => pid !== 1 && processName(pid) !== 'systemd'));
    if (listeners.size === 0 || seen.size < sockets.size)
        return undefined;
    return new Set(allProcesses()
        .filter((pid) => descendsFrom(pid, listeners))
        .flatMap((pid) => {
        const started = startTimeOf(pid);
        return started === undefined ? [] : [`${pid}:${started}`];
    }));
}
/** Inodes of the sockets that listen on a port, out of the text of /proc/net/tcp. */
function listeningInodes(table, port) {
    return listeningSockets(table, port).flatMap((fields) => fields[9] ?? []);
}
/** What the open descriptors of a program lead to; empty where that may not be seen. */
function openedBy(pid) {
    try {
        return (0,external_node_fs_namespaceObject.readdirSync)(`/proc/${pid}/fd`).map((fd) => {
            try {
                return (0,external_node_fs_namespaceObject.readlinkSync)(`/proc/${pid}/fd/${fd}`);
            }
            catch {
                return '';
            }
        });
    }
    catch {
        return [];
    }
}
/** True where `pid` is one of `ancestors` or was started by one, at any distance. */
function descendsFrom(pid, ancestors) {
    for (let at = pid; at !== undefined && at > 1; at = parentOf(at))
        if (ancestors.has(at))
            return true;
    return false;
}

;// CONCATENATED MODULE: ./compiled/src/lib/record-format.js
/** Of the files in the state folder on a server. */
const SERVER_FORMATS = { oldest: 1, newest: 1 };
/** Of our four tables in a database. */
const DATABASE_FORMATS = { oldest: 1, newest: 1 };
/** Whether what was written in a format can be read. Pure. `written` comes from outside and may be anything. */
function judgeFormat(written, { oldest, newest }) {
    if (typeof written !== 'number' || !Number.isSafeInteger(written) || written < 1)
        return 'unmarked';
    if (written > newest)
        return 'newer';
    return written < oldest ? 'older' : 'read';
}
/** What is told where it cannot be read; undefined where it can. `begin`: how to go on without what was written. */
function formatProblem(what, written, known, begin) {
    switch (judgeFormat(written, known)) {
        case 'read':
            return undefined;
        case 'newer':
            return {
                message: `${what} was written by a newer version of this action: in format ${written}, and this one reads up to ${known.newest}. Nothing was changed.`,
                next: 'Use that version here too: it stands behind "uses:" in the workflow of the last deploy.',
            };
        case 'older':
            return {
                message: `${what} was written by a version of this action that is too old: in format ${written}, and this one reads from ${known.oldest} on. Nothing was changed.`,
                next: `Deploy once with a version between the two; the change log says which. ${begin}`,
            };
        case 'unmarked':
            return {
                message: `${what} does not say in which format it was written: no released version of this action wrote it like this. Nothing was changed.`,
                next: begin,
            };
    }
}

;// CONCATENATED MODULE: ./compiled/src/worker/host/records.js




/** JSON that a later run reads again, perhaps one of another version: each says its format. */
/** One record as text, on one line. */
function recordText(value) {
    return JSON.stringify({ format: SERVER_FORMATS.newest, ...value });
}
function writeRecord(file, value) {
    writeAtomically(file, `${recordText(value)}\n`);
}
/** What a record holds, without its format. `what`: what it is, for the message. @throws a Failure where it cannot be read. */
function parseRecord(text, file, what = file) {
    const begin = `Look what it is; to go on without it, move it away: mv ${quote(file)} ${quote(`${file}.old`)}`;
    let value;
    try {
        value = JSON.parse(text);
    }
    catch {
        throw new Failure({ message: `${what} is torn: it is no JSON. Nothing was changed.`, next: begin });
    }
    const problem = formatProblem(what, value?.format, SERVER_FORMATS, begin);
    if (problem !== undefined)
        throw new Failure(problem);
    const { format: _, ...rest } = value;
    return rest;
}
/** What the file holds; undefined where there is none. @throws a Failure where it cannot be read. */
function readRecord(file) {
    const text = readText(file);
    return text === undefined ? undefined : parseRecord(text, file);
}
/**
 * The same for what only tells who is at work: nothing is decided by it that a kernel's lock does not decide. undefined
 * also where it cannot be read.
 */
function readMark(file) {
    try {
        return readRecord(file);
    }
    catch (error) {
        if (error instanceof Failure)
            return undefined;
        throw error;
    }
}

;// CONCATENATED MODULE: ./compiled/src/worker/host/lock.js










/** Milliseconds between two tries for the lock. */
const BETWEEN_TRIES = 250;
/** Milliseconds that a holder is waited for while it waits itself, and between two words about it. */
const LONGEST_WAIT_FOR_ACTION = 7_200_000;
const BETWEEN_WORDS = 60_000;
/** Holds the application's lock while `work` runs, and says in a file who holds it. */
async function withLock(folder, run, options, work) {
    const busy = {
        onWaiting: () => options.onWaiting(currentHolder(folder)),
        tooLate: (waited) => lockedOut(currentHolder(folder), waited),
        waitsItself: () => currentHolder(folder)?.waits === true,
    };
    return withFileLock(folder.lock, options, busy, async () => {
        const startTime = startTimeOf(process.pid);
        const holder = {
            runId: run.id,
            attempt: run.attempt,
            ...definedOnly({ session: run.session, url: run.url, actor: run.actor }),
            since: Date.now(),
            pid: process.pid,
            ...definedOnly({ startTime }),
        };
        writeRecord(folder.holder, holder);
        try {
            return await work();
        }
        finally {
            // It is only read: the lock itself goes with this program.
            catchProblem(() => (0,external_node_fs_namespaceObject.rmSync)(folder.holder, { force: true }));
        }
    });
}
/** Says in the holder's file whether this run waits for its action: that costs nobody else's `lock-wait`. */
function noteWaiting(folder, waits) {
    const holder = readMark(folder.holder);
    if (holder?.pid !== process.pid)
        return;
    const { waits: _, ...rest } = holder;
    // It is only read; on a full disk others wait as long as they would for any run.
    catchProblem(() => writeRecord(folder.holder, waits ? { ...rest, waits } : rest));
}
/** True where nobody waits any longer for a lock. Pure. */
function isTooLate({ working, waiting }, wait) {
    return working >= wait || waiting > LONGEST_WAIT_FOR_ACTION;
}
/**
 * Holds the turn at PM2 while `work` runs: one application of this user at a time is switched. PM2 refuses a second
 * reload meanwhile, and an application whose files are new already must not wait for the end of another one's reload.
 */
async function holdPm2Lock({ file, ...waiting }, onWaiting, work) {
    const tooLate = () => new Failure({
        message: `Another application is being switched on this server; waited ${formatDuration(waiting.wait)} for it. Nothing was changed.`,
        next: 'Start this run again when the other has ended, or raise lock-wait.',
    });
    return withFileLock(file, waiting, { onWaiting, tooLate, waitsItself: () => false }, work);
}
/**
 * Holds a kernel lock on an open file while `work` runs. Node has no flock, so the program `flock` takes it on our
 * descriptor, and it stays ours for as long as we keep that open. Descriptors of Node are closed in programs it
 * starts, so neither PM2 nor the application can keep the lock; a worker that is killed, and a restart of the host,
 * free it at once. Nothing is ever unlocked by hand.
 */
async function withFileLock(file, { wait, signal }, busy, work) {
    const fd = (0,external_node_fs_namespaceObject.openSync)(file, 'a', 0o600);
    try {
        const time = { working: 0, waiting: 0 };
        let told;
        for (let since = performance.now(); !(await tryFlock(fd));) {
            const waits = busy.waitsItself();
            if (told === undefined || (waits && performance.now() - told > BETWEEN_WORDS)) {
                busy.onWaiting();
                told = performance.now();
            }
            if (isTooLate(time, wait))
                throw busy.tooLate(Math.round(time.working + time.waiting));
            await pause(BETWEEN_TRIES, signal);
            const now = performance.now();
            time[waits ? 'waiting' : 'working'] += now - since;
            since = now;
        }
        return await work();
    }
    finally {
        (0,external_node_fs_namespaceObject.closeSync)(fd);
    }
}
function lockedOut(holder, waited) {
    return new Failure({
        message: `Another run deploys this application: ${holderWords(holder)}. Waited ${formatDuration(waited)} for it.`,
        next: 'Wait until that run has ended and start this one again, or raise lock-wait. There is nothing to unlock by hand.',
    });
}
/** `run 123 by ana (https://…)`: who holds the lock, as far as it is known. */
function holderWords(holder) {
    if (!holder)
        return 'a run that has not said its name yet';
    const by = holder.actor === undefined ? '' : ` by ${holder.actor}`;
    const url = holder.url === undefined ? '' : ` (${holder.url})`;
    return `run ${holder.runId}${by}${url}`;
}
/** The holder as written, if that program still runs, and it is of a version that we can read. */
function currentHolder(folder) {
    const holder = readMark(folder.holder);
    return holder && isAlive(holder.pid, holder.startTime) ? holder : undefined;
}
/** Exit code of `flock -n` where somebody else has the lock. */
const HELD = 1;
/** True where the lock was free and is now held through `fd`. */
function tryFlock(fd) {
    return new Promise((resolve, reject) => {
        const child = (0,external_node_child_process_namespaceObject.spawn)('flock', ['-n', '3'], { stdio: ['ignore', 'ignore', 'pipe', fd] });
        let said = '';
        child.stderr.setEncoding('utf8').on('data', (text) => {
            said += text;
        });
        child.once('error', () => reject(new Failure({
            message: 'The program flock is missing on the server; it keeps two deploys apart.',
            next: 'Install it: apt-get install util-linux (Debian, Ubuntu) or the same package of your system.',
        })));
        child.once('close', (code, signal) => {
            if (code === 0 || code === HELD)
                return resolve(code === 0);
            reject(new Failure({
                message: `The server could not lock its deploy folder: flock ${explainEnd({ code, signal })}. ${lastLines(said, 2)}`,
                next: 'Look at the file system of that folder: some network file systems know no locks.',
            }));
        });
    });
}

;// CONCATENATED MODULE: ./compiled/src/lib/env-text.js
/**
 * Why a text cannot be a whole environment file: a quote that does not end, a line without `=`, a NUL byte.
 * A file that was only half written must not be built into an application. Names no value of it.
 */
function checkEnvText(text) {
    if (text.trim() === '')
        return 'is empty';
    if (text.includes('\0'))
        return 'holds a NUL byte';
    const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
    for (let index = 0; index < lines.length; index++) {
        const line = lines[index].trim();
        if (line === '' || line.startsWith('#'))
            continue;
        const match = /^(?:export\s+)?[\w.-]+(?:\s*=\s*|:\s+)(.*)$/.exec(line);
        if (!match)
            return `line ${index + 1} is not NAME=value`;
        const opened = index + 1;
        const quote = /^["'`]/.exec(match[1])?.[0];
        if (quote === undefined)
            continue;
        let rest = match[1].slice(1);
        while (!endsQuote(rest, quote)) {
            index++;
            if (index >= lines.length)
                return `the quote that line ${opened} opens is never closed`;
            rest = lines[index];
        }
    }
    return undefined;
}
function endsQuote(text, quote) {
    for (let index = 0; index < text.length; index++) {
        if (text[index] === '\\' && quote === '"')
            index++;
        else if (text[index] === quote)
            return true;
    }
    return false;
}

;// CONCATENATED MODULE: ./compiled/src/worker/host/owner.js



/** Who owns what on the host, and what is to be done where another one does. */
/** The name of a user by its id; `uid 1001` where the host knows none. */
function userName(uid) {
    return nameIn('/etc/passwd', uid) ?? `uid ${uid}`;
}
/** The same of a group: `gid 1001`. */
function groupName(gid) {
    return nameIn('/etc/group', gid) ?? `gid ${gid}`;
}
function nameIn(file, id) {
    const line = (readText(file) ?? '').split('\n').find((each) => each.split(':')[2] === String(id));
    return line?.split(':')[0] || undefined;
}
/** The one who deploys, as a word for a command line: also right where the host knows no name. */
function ownWord() {
    const name = userName(process.getuid());
    return name.startsWith('uid ') ? name.slice('uid '.length) : name;
}
function ownerOf(path) {
    return userName((0,external_node_fs_namespaceObject.statSync)(path).uid);
}
/** True for what the one who deploys owns, or root. Pure; `us`: the id of the one who deploys. */
function isOurs(uid, us) {
    return uid === us || uid === 0;
}
/** True where things in a folder may be made, moved and deleted. */
function isWritable(folder) {
    try {
        (0,external_node_fs_namespaceObject.accessSync)(folder, external_node_fs_namespaceObject.constants.W_OK | external_node_fs_namespaceObject.constants.X_OK);
        return true;
    }
    catch {
        return false;
    }
}
/**
 * What to do where folders or files cannot be changed by the one who deploys. What root owns is handed over, and of it
 * only what root itself wrote; what anybody else wrote is never taken over: nobody knows what it is.
 */
function howToOwn(...paths) {
    const us = process.getuid();
    const owned = (by) => paths.filter((path) => by((0,external_node_fs_namespaceObject.statSync)(path).uid));
    const words = (some) => some.map(quote).join(' ');
    const [shut, ofRoot] = [owned((uid) => uid === us), owned((uid) => uid === 0 && us !== 0)];
    const others = owned((uid) => !isOurs(uid, us)).map(ownerOf);
    return [
        ...(others.length === 0 ? [] : [`Connect as ${[...new Set(others)].join(' or ')}.`]),
        ...(shut.length === 0 ? [] : [`Run once on the server: chmod -R u+rwX ${words(shut)}`]),
        ...(ofRoot.length === 0
            ? []
            : [`Run once on the server: sudo chown -R --from=root ${ownWord()}: ${words(ofRoot)}`]),
    ].join(' ');
}
/**
 * What a web server of another user may read of the live version it may read of the next one: a login can have a
 * stricter umask than the one with which the live version was made.
 */
function stayReadable(live) {
    if (live !== undefined && ((0,external_node_fs_namespaceObject.statSync)(live).mode & 0o005) === 0o005)
        process.umask(process.umask() & ~0o055);
}

;// CONCATENATED MODULE: external "node:stream/promises"
const promises_namespaceObject = require("node:stream/promises");
;// CONCATENATED MODULE: ./compiled/src/worker/host/permissions.js






/**
 * Who may read what a deploy copies: those who may read the original. Where a right cannot be kept (only root gives a file
 * to another user, and only members give one to their group) the copy is less open, never more.
 */
/**
 * The mode of a copy that could not keep the group of the original. Pure. Whoever was in neither group could do what
 * `others` may, and whoever was in the old one what it may: both now get what both could.
 */
function modeWithoutGroup(mode) {
    const both = (mode >> 3) & mode & 0o007;
    return (mode & 0o700) | (both << 3) | both;
}
/**
 * Gives a file or folder of ours the group, the mode and the access list of another one, and a file its owner too, as far
 * as this user may; folders stay our own, because git works in none of another user, and nobody else may write in them.
 * Until then only we should be let in. Resolves to what could not be kept, in words.
 */
async function giveRights(tools, like, to) {
    const was = (0,external_node_fs_namespaceObject.statSync)(like);
    const isOfFolder = was.isDirectory();
    const [wanted, has] = await Promise.all([accessList(tools, like), accessList(tools, to)]);
    const lost = takeOwner(to, was, isOfFolder);
    const hasGroup = (0,external_node_fs_namespaceObject.statSync)(to).gid === was.gid;
    // Of a folder the setgid bit too: what is made in it belongs to its group.
    const mode = isOfFolder ? (was.mode & 0o3775) | 0o700 : was.mode & 0o777;
    if (wanted === '' && has === '') {
        (0,external_node_fs_namespaceObject.chmodSync)(to, hasGroup ? mode : modeWithoutGroup(mode));
    }
    else if (wanted !== undefined && hasGroup && (await takeAccessList(tools, like, to))) {
        if (isOfFolder)
            (0,external_node_fs_namespaceObject.chmodSync)(to, ((0,external_node_fs_namespaceObject.statSync)(to).mode & 0o3775) | 0o700);
    }
    else {
        // The bits of the group may be those of a list that is not there: nobody but the owner is let in.
        (0,external_node_fs_namespaceObject.chmodSync)(to, mode & 0o700);
        return [
            ...lost,
            wanted === undefined ? 'what others may (install the package acl there)' : 'its access list',
        ];
    }
    return lost;
}
/** What could not be kept, in words. root may read everything anyway. */
function takeOwner(to, { uid, gid }, isOfFolder) {
    const mayGive = process.getuid() === 0 && !isOfFolder;
    try {
        (0,external_node_fs_namespaceObject.chownSync)(to, mayGive ? uid : (0,external_node_fs_namespaceObject.statSync)(to).uid, gid);
    }
    catch {
        // Not a member of that group, or it has no number here.
    }
    const now = (0,external_node_fs_namespaceObject.statSync)(to);
    return [
        ...(isOfFolder || now.uid === uid || uid === 0 ? [] : [`its owner ${userName(uid)}`]),
        ...(now.gid === gid ? [] : [`its group ${groupName(gid)}`]),
    ];
}
/**
 * The access list of a file or folder as text: empty where it has none beside its mode; undefined where no program of the
 * host can tell. GNU's `ls` marks a list with a plus, which is all that is known then.
 */
async function accessList(tools, path) {
    if (tools.find('getfacl') !== undefined && tools.find('setfacl') !== undefined) {
        const { code, stdout } = await call(tools, ['getfacl', '-cpn', '--', path]);
        if (code !== 0)
            return undefined;
        return /^(?!(user|group|other)::)\S/m.test(stdout) ? stdout : '';
    }
    if (tools.find('ls') === undefined)
        return undefined;
    const version = await call(tools, ['ls', '--version']);
    if (!version.stdout.includes('GNU coreutils'))
        return undefined;
    const { code, stdout } = await call(tools, ['ls', '-ldL', '--', path]);
    return code !== 0 ? undefined : stdout[10] === '+' ? '+' : '';
}
/** Replaces the whole list, also one that the folder around gave to what was made in it. False where that failed. */
async function takeAccessList(tools, like, to) {
    if (tools.find('setfacl') !== undefined && tools.find('getfacl') !== undefined) {
        const { code, stdout } = await call(tools, ['getfacl', '-cpn', '--', like]);
        if (code !== 0)
            return false;
        const none = await call(tools, ['setfacl', '-b', '-k', '--', to]);
        const set = await call(tools, ['setfacl', '--set-file=-', '--', to], { input: stdout });
        if (none.code !== 0 || set.code !== 0)
            return false;
    }
    else {
        const words = ['cp', '--attributes-only', '--preserve=mode', '--', like, to];
        if (isFolder(like) || tools.find('cp') === undefined)
            return false;
        if ((await call(tools, words)).code !== 0)
            return false;
    }
    const [wanted, has] = await Promise.all([accessList(tools, like), accessList(tools, to)]);
    return wanted === has && (isFolder(like) || (((0,external_node_fs_namespaceObject.statSync)(like).mode ^ (0,external_node_fs_namespaceObject.statSync)(to).mode) & 0o777) === 0);
}
/**
 * Copies a file with its rights, so that a reader sees the old content or the new, never a part, and nobody the new one
 * who may not. Of a symlink it is the file that it leads to. Resolves to what could not be kept.
 */
async function copyWithRights(tools, from, to) {
    const next = `${to}.${process.pid}.next`;
    removePath(next);
    await (0,promises_namespaceObject.pipeline)((0,external_node_fs_namespaceObject.createReadStream)(from), (0,external_node_fs_namespaceObject.createWriteStream)(next, { flags: 'wx', mode: 0o600 }));
    const lost = await giveRights(tools, from, next);
    (0,external_node_fs_namespaceObject.renameSync)(next, to);
    return lost;
}
/** The same for whatever has that name: a symlink stays one. */
async function copyAsItIs(tools, from, to) {
    if (!isSymlink(from)) {
        await copyWithRights(tools, from, to);
        return;
    }
    const next = `${to}.${process.pid}.next`;
    removePath(next);
    (0,external_node_fs_namespaceObject.symlinkSync)((0,external_node_fs_namespaceObject.readlinkSync)(from), next);
    (0,external_node_fs_namespaceObject.renameSync)(next, to);
}
/** Makes the folders above `path` that are missing in `root`, each with the rights that it has in `like`. */
async function makeFoldersLike(tools, like, root, path) {
    if (!present(root))
        (0,external_node_fs_namespaceObject.mkdirSync)(root, { recursive: true, mode: 0o700 });
    for (const folder of folderNamesAbove(path)) {
        const made = (0,external_node_path_namespaceObject.join)(root, folder);
        if (present(made))
            continue;
        const model = (0,external_node_path_namespaceObject.join)(like, folder);
        (0,external_node_fs_namespaceObject.mkdirSync)(made, isFolder(model) ? { mode: 0o700 } : {});
        if (isFolder(model))
            await giveRights(tools, model, made);
    }
}
/** Closes the folders above `path` in `root`, which others may have made, to those whom `like` keeps out. */
async function closeFoldersLike(tools, like, root, path) {
    await makeFoldersLike(tools, like, root, path);
    for (const folder of folderNamesAbove(path)) {
        const [model, there] = [(0,external_node_path_namespaceObject.join)(like, folder), (0,external_node_path_namespaceObject.join)(root, folder)];
        if (isFolder(model) && !isSymlink(there))
            await giveRights(tools, model, there);
    }
}
function folderNamesAbove(path) {
    const folder = (0,external_node_path_namespaceObject.dirname)(path);
    return folder === '.' || folder === '/' ? [] : [...folderNamesAbove(folder), folder];
}
/** Lets into a folder whom the folder of the live version lets in, and nobody who cannot even come to that one. */
async function openLike(tools, live, folder) {
    await giveRights(tools, live, folder);
    const above = new Set(pathsAbove(folder));
    const shut = pathsAbove(live)
        .filter((path) => !above.has(path))
        .map((path) => (0,external_node_fs_namespaceObject.statSync)(path));
    const { gid } = (0,external_node_fs_namespaceObject.statSync)(live);
    (0,external_node_fs_namespaceObject.chmodSync)(folder, (0,external_node_fs_namespaceObject.statSync)(folder).mode & 0o7777 & ~closedBy(shut, gid));
}
/**
 * The bits of a mode that the folders above take from those who come through them. Pure. `gid`: the group of what lies
 * below them.
 */
function closedBy(above, gid) {
    const shut = above.filter(({ mode }) => (mode & 0o001) === 0);
    if (shut.length === 0)
        return 0;
    return shut.every((folder) => folder.gid === gid && (folder.mode & 0o010) !== 0) ? 0o007 : 0o077;
}
function pathsAbove(path) {
    const folder = (0,external_node_path_namespaceObject.dirname)(path);
    return folder === path ? [] : [...pathsAbove(folder), folder];
}

;// CONCATENATED MODULE: ./compiled/src/worker/host-files/env-files.js









const NEVER_LOOKED_INTO = new Set(['.git', ...WITHOUT_ENV_FILES]);
const DEEPEST = 3;
/**
 * Environment files in a checkout, also in the packages of a monorepo; paths relative to it. Folders that may not be
 * looked into (the data of a database in a container) hold none.
 */
function findEnvFiles(root, below = '', depth = 0) {
    const found = [];
    for (const item of readable(() => (0,external_node_fs_namespaceObject.readdirSync)((0,external_node_path_namespaceObject.join)(root, below), { withFileTypes: true })) ?? []) {
        const path = (0,external_node_path_namespaceObject.join)(below, item.name);
        if (item.isDirectory()) {
            if (depth < DEEPEST && !NEVER_LOOKED_INTO.has(item.name))
                found.push(...findEnvFiles(root, path, depth + 1));
        }
        else if (isEnvFile(item.name))
            found.push(path);
    }
    return found.sort();
}
/** The text of an environment file; undefined where it is not there or may not be read. */
function readEnvFile(root, path) {
    return readable(() => readText((0,external_node_path_namespaceObject.join)(root, path)));
}
/** What was read; undefined where this user may not. */
function readable(read) {
    try {
        return read();
    }
    catch (error) {
        if (error.code === 'EACCES')
            return undefined;
        throw error;
    }
}
/**
 * Problems of the host's own environment files: those that the last deploy knew and that are gone, torn ones, and
 * those that cannot be read.
 */
function judgeHostEnvFiles(root, found, known, run) {
    const problems = [];
    const own = (path) => path !== run.writes && isEnvFile((0,external_node_path_namespaceObject.basename)(path));
    for (const path of known.filter(own))
        if (!found.includes(path) && !run.explicit)
            problems.push({
                message: `${path} was on the server at the last deploy and is missing now.`,
                next: 'Put it back in the checkout, or give its content with env-file and env-file-path. To deploy without it, name the commit with ref.',
            });
    for (const path of found.filter(own)) {
        const text = readEnvFile(root, path);
        if (text === undefined) {
            problems.push({
                message: `${path} on the server cannot be read by the user who deploys.`,
                next: `Give its content with env-file and env-file-path, or: ${howToOwn((0,external_node_path_namespaceObject.join)(root, path))}`,
            });
            continue;
        }
        const why = checkEnvText(text);
        if (why !== undefined && why !== 'is empty')
            problems.push({
                message: `${path} on the server looks half written: ${why}.`,
                next: 'Correct the file, or give its content with env-file and env-file-path.',
            });
    }
    return problems;
}
/** A fingerprint of environment files, by which a change of any of them is seen; `texts` by their paths. */
function envDigest(texts) {
    const hash = (0,external_node_crypto_namespaceObject.createHash)('sha256');
    for (const path of Object.keys(texts).sort())
        hash.update(JSON.stringify([path, texts[path]]));
    return hash.digest('hex');
}
/** Environment files with their texts, as `envDigest` takes them. */
function readEnvFiles(root, paths) {
    return Object.fromEntries(paths.map((path) => [path, readEnvFile(root, path)]));
}
/**
 * Copies environment files into the folder of a version, readable for whom they are now, behind folders that let nobody
 * else in. Resolves to what could not be kept of which file.
 */
async function carryEnvFiles(tools, from, to, paths) {
    const carried = [];
    for (const path of paths) {
        await closeFoldersLike(tools, from, to, path);
        carried.push({ path, lost: await copyWithRights(tools, (0,external_node_path_namespaceObject.join)(from, path), (0,external_node_path_namespaceObject.join)(to, path)) });
    }
    return carried.filter(({ lost }) => lost.length > 0);
}
/** What a person is told of a file that fewer users can read in the new version. */
function lessOpenWords({ path, lost }) {
    return {
        message: `${path} is readable by fewer users in the new version than in the live one: it could not keep ${lost.join(' and ')}.`,
        next: 'Where another user than the one who deploys reads it: let the one who deploys be a member of its group, and let that group read it.',
    };
}

;// CONCATENATED MODULE: ./compiled/src/lib/shorten-list.js
/** Names in a message: all of them where they are few, else the first ones and how many more there are. */
function shortenList(names, most = 5) {
    const more = names.length > most ? ` and ${names.length - most} more` : '';
    return `${names.slice(0, most).join(', ')}${more}`;
}

;// CONCATENATED MODULE: ./compiled/src/worker/state/release-name.js

/**
 * `20260102030405-89abcdef-0123456789ab`: sorts by time, and says the commit. What lies between is made up: the live
 * version and its next one may be of one commit and be named in one second, and must never share a folder.
 */
function newReleaseName(sha, now = new Date()) {
    const time = now.toISOString().replace(/[-:T]/g, '').slice(0, 14);
    return `${time}-${(0,external_node_crypto_namespaceObject.randomBytes)(4).toString('hex')}-${sha.slice(0, 12)}`;
}
/** The name of a commit that people brought live by hand: the same in each look, and never one of a new release. */
function handMadeName(sha) {
    return `00000000000000-${sha.slice(0, 12)}`;
}
/** True for both of them. */
function isReleaseName(name) {
    return /^\d{14}(-[0-9a-f]{8})?-[0-9a-f]{12}$/.test(name);
}

;// CONCATENATED MODULE: ./compiled/src/worker/state/releases.js







function releaseFolder(releases, release) {
    return (0,external_node_path_namespaceObject.join)(releases, release);
}
/** The releases of our own that lie in a folder, oldest first. */
function releaseNames(releases) {
    if (!isFolder(releases))
        return [];
    return (0,external_node_fs_namespaceObject.readdirSync)(releases).filter(isReleaseName).sort();
}
function noteFile(state, release) {
    return (0,external_node_path_namespaceObject.join)(state.notes, `${release}.json`);
}
/** Where is kept how the supervisor ran a release, written when the entry was changed as the release left. */
function entryFile(state, release) {
    return (0,external_node_path_namespaceObject.join)(state.notes, `${release}.entry`);
}
/**
 * How a release was run when it was live, as far as it was another way than now: kept when it left, or when a later one that
 * was run the same way did. Undefined where no change came after it.
 */
function entryFileFor(state, { arrivals }, release) {
    const at = arrivals.findLastIndex((arrival) => arrival.release === release);
    const names = at < 0 ? [release] : arrivals.slice(at).map((arrival) => arrival.release);
    return names.map((name) => entryFile(state, name)).find(present);
}
/** The releases of which something is noted. */
function notedReleases(state) {
    if (!isFolder(state.notes))
        return [];
    return (0,external_node_fs_namespaceObject.readdirSync)(state.notes)
        .filter((name) => name.endsWith('.json'))
        .map((name) => name.slice(0, -'.json'.length))
        .sort();
}
/** @throws a Failure where another version wrote it, and this one cannot read it. */
function readNote(state, release) {
    return readRecord(noteFile(state, release));
}
function writeNote(state, release, note) {
    writeRecord(noteFile(state, release), note);
}
function dropNote(state, release) {
    removePath(noteFile(state, release));
    removePath(entryFile(state, release));
}
/**
 * Whether a release that is not live can be put in place without a build: what was built for it must lie in its folder,
 * and not be lost to a build that somebody made by hand in the live checkout. Among releases the folder must hold all
 * of it: what an in-place deploy kept of a version it did not make itself is its output alone.
 */
function availability({ state, releases, strategy, live, }) {
    return (release) => {
        const folder = releaseFolder(releases, release);
        // Whatever its name says: what is live is no rollback target.
        if (live !== undefined && isFolder(folder) && (0,external_node_fs_namespaceObject.realpathSync)(folder) === live)
            return false;
        const note = readNote(state, release);
        if (note === undefined || !isFolder(folder))
            return false;
        const built = strategy === 'in-place' ? note.paths : note.paths.filter(isUsualOutput);
        if (!(note.kept ?? built).every((path) => present((0,external_node_path_namespaceObject.join)(folder, path))))
            return false;
        return strategy === 'in-place' || present((0,external_node_path_namespaceObject.join)(folder, 'REVISION')) || present((0,external_node_path_namespaceObject.join)(folder, '.git'));
    };
}
/** The release that a rollback without a name goes to: verified, not bad, and live before the present one. */
function previousVerified(history, isAvailable) {
    const at = history.verified.findIndex(({ release }) => release === history.live?.release);
    const older = at < 0 ? history.verified : history.verified.slice(0, at);
    return [...older]
        .reverse()
        .find(({ release, sha }) => !history.badReleases.has(release) && !history.badShas.has(sha) && isAvailable(release));
}
/** Releases that may be deleted: all but the newest `keep`, the live one, the one before it and the only good one. */
function prunable(releases, history, keep, isAvailable) {
    const spared = new Set();
    const live = history.live?.release;
    if (live !== undefined)
        spared.add(live);
    const previous = previousVerified(history, isAvailable);
    if (previous)
        spared.add(previous.release);
    const verifiedNewestFirst = [...history.verified]
        .reverse()
        .filter(({ release }) => releases.includes(release));
    for (const { release } of verifiedNewestFirst)
        if (spared.size < keep)
            spared.add(release);
    return releases.filter((release) => !spared.has(release));
}
/** Deletes a release's folder and what git knows of it as a work tree. */
async function dropRelease(repository, folder) {
    if (present(folder))
        removePath(folder);
    await gitSays(repository, 'worktree', 'prune');
}

;// CONCATENATED MODULE: ./compiled/src/worker/host-files/rebuilt-files.js






/**
 * Tracked files that a build changes: a service worker, an output that was committed by mistake. The new version was
 * rehearsed with them as they are after its build, so it goes live with them; git would bring the committed ones.
 */
/**
 * Which files that are in a stage after its build. Folders are other repositories, and stay as committed; shared paths
 * are the server's.
 */
async function rebuiltFiles(stage, sharedPaths) {
    const changed = await changedFiles(stage);
    const isFile = (path) => isSymlink((0,external_node_path_namespaceObject.join)(stage.folder, path)) || !isFolder((0,external_node_path_namespaceObject.join)(stage.folder, path));
    return changed.filter((path) => {
        const owner = classifyPath(path, { sharedPaths });
        return owner !== 'deploy' && owner !== 'shared' && isFile(path);
    });
}
/** Brings files of a release into the checkout as they are there; what it does not have is removed. */
function layOver(release, checkout, paths) {
    for (const path of paths) {
        const [made, live] = [(0,external_node_path_namespaceObject.join)(release, path), (0,external_node_path_namespaceObject.join)(checkout, path)];
        if (!present(made))
            removePath(live);
        else if (!sameContent(made, live))
            copyAtomically(made, live);
    }
}
/** True where a file of the checkout is as the release has it. */
function isAsRebuilt(release, checkout, path) {
    const [made, live] = [(0,external_node_path_namespaceObject.join)(release, path), (0,external_node_path_namespaceObject.join)(checkout, path)];
    return present(made) ? sameContent(made, live) : !present(live);
}
/** Copies a file or symlink so that a reader sees the old content or the new, never a part. */
function copyAtomically(from, to) {
    const next = `${to}.${process.pid}.next`;
    (0,external_node_fs_namespaceObject.mkdirSync)((0,external_node_path_namespaceObject.dirname)(to), { recursive: true });
    removePath(next);
    if (isSymlink(from))
        (0,external_node_fs_namespaceObject.symlinkSync)((0,external_node_fs_namespaceObject.readlinkSync)(from), next);
    else {
        (0,external_node_fs_namespaceObject.copyFileSync)(from, next);
        (0,external_node_fs_namespaceObject.chmodSync)(next, (0,external_node_fs_namespaceObject.lstatSync)(from).mode & 0o7777);
    }
    (0,external_node_fs_namespaceObject.renameSync)(next, to);
}

;// CONCATENATED MODULE: ./compiled/src/worker/host-files/local-changes.js













/** Tracked files that people changed on the server, where they are not to be taken away. */
function dirtyRefusals(dirty, policy) {
    const byPeople = dirty.filter((path) => !isRewritten(path));
    if (byPeople.length === 0 || policy === 'stash')
        return [];
    return [
        {
            message: `Tracked files were changed on the server: ${shortenList(byPeople)}.`,
            next: 'Commit what is wanted, or undo it there with "git checkout -- <file>"; with dirty-checkout: stash the changes are kept as a patch.',
        },
    ];
}
/** The same where a deploy keeps them as a patch: they will no longer be live. */
function dirtyWarnings(dirty, policy) {
    const taken = dirty.filter((path) => policy === 'stash' || isRewritten(path));
    if (taken.length === 0)
        return [];
    return [
        {
            message: `Tracked files were changed on the server: ${shortenList(taken)}. A deploy takes these changes away and keeps them as a patch.`,
        },
    ];
}
/** Tracked files of the live checkout that people changed: those that its own build changed are as they should be. */
async function changedByPeople({ checkout, state, releases, history, facts, }) {
    if (checkout === undefined)
        return [];
    const dirty = await dirtyFiles(checkout);
    const { live } = history;
    if (live === undefined || live.sha !== facts.liveSha)
        return dirty;
    const rebuilt = new Set(readNote(state, live.release)?.rebuilt);
    const folder = releaseFolder(releases, live.release);
    const isAsMade = (path) => rebuilt.has(path) && isAsRebuilt(folder, checkout.folder, path);
    const found = { tracked: new Set(dirty), changed: new Set(dirty), isAsMade };
    return dirty.filter((path) => classifyPath(path, found) === 'people');
}
/** Lets git know files that lie untracked where the next commit has them too; they are not written to. */
async function trackAsTheyAre(checkout, paths) {
    if (paths.length > 0)
        await git(checkout, 'add', '-f', '--', ...paths.map(literalPath));
}
/** In the folder of a run: the patch, and the files themselves. They may be the only copy, so they outlive the rest. */
const PATCH = 'local-changes.patch';
const COPIES = 'local-changes';
/**
 * Keeps tracked files that were changed on the server before git takes the changes away: as a patch beside the run's
 * log, which is proven to hold them, and as they are, because filters of git may leave things out of what it compares.
 * undefined where there are none. @throws a Failure where they cannot be kept; nothing was changed.
 */
async function keepLocalChanges(checkout, paths, { path: folder }) {
    if (paths.length === 0)
        return undefined;
    refuseStandIns(checkout, paths);
    const only = ['--', ...paths.map(literalPath)];
    const patch = (0,external_node_path_namespaceObject.join)(folder, PATCH);
    await writePatch(checkout, patch, only);
    if (!(await gitSays(checkout, 'apply', '--check', '-R', '--whitespace=nowarn', '-p1', patch)))
        throw new Failure({
            message: `The local changes on the server (${shortenList(paths)}) cannot be kept as a patch: it does not fit what lies there.`,
            next: 'Commit what is wanted, or undo it there with "git checkout -- <file>".',
        });
    const copies = (0,external_node_path_namespaceObject.join)(folder, COPIES);
    removePath(copies);
    for (const path of paths.filter((path) => present((0,external_node_path_namespaceObject.join)(checkout.folder, path)))) {
        await makeFoldersLike(checkout.tools, checkout.folder, copies, path);
        await copyAsItIs(checkout.tools, (0,external_node_path_namespaceObject.join)(checkout.folder, path), (0,external_node_path_namespaceObject.join)(copies, path));
        if (!isSymlink((0,external_node_path_namespaceObject.join)(copies, path)))
            syncFile((0,external_node_path_namespaceObject.join)(copies, path));
    }
    const added = await git(checkout, 'diff', '--name-only', '--no-renames', '--diff-filter=A', '-z', 'HEAD', ...only);
    return { patch, copies, paths: [...paths], added: added.split('\0').filter(Boolean) };
}
/** A folder in the place of a tracked file, or a symlink in that of its folder: git would take it away, with all in it. */
function refuseStandIns({ folder }, paths) {
    const lies = pathsInCheckout(folder);
    const standIns = paths
        .map(lies)
        .filter((lying, index) => lying !== undefined && (lying.path !== paths[index] || !lying.isFile));
    if (standIns.length === 0)
        return;
    throw new Failure({
        message: `In the place of tracked files lies something else on the server: ${shortenList(standIns.map((lying) => lying.path))}.`,
        next: 'Move it away there, or take the files out of git.',
    });
}
/** Whatever settings the host has for diffs: a patch that git applies, byte by byte. */
async function writePatch(checkout, patch, only) {
    const plain = ['--binary', '-U3', '--no-ext-diff', '--no-textconv', '--no-color', '--no-renames'];
    const next = `${patch}.next`;
    const options = [...plain, '--src-prefix=a/', '--dst-prefix=b/', `--output=${next}`];
    await git(checkout, 'diff', ...options, 'HEAD', ...only);
    (0,external_node_fs_namespaceObject.chmodSync)(next, 0o600);
    syncFile(next);
    (0,external_node_fs_namespaceObject.renameSync)(next, patch);
    syncFolder((0,external_node_path_namespaceObject.dirname)(patch));
}
const literalPath = (path) => `:(literal)${path}`;
/** Brings local changes back into a checkout that is at their commit. */
async function bringBackChanges(checkout, changes) {
    const { copies, paths, added } = changes;
    if (!changesAreThere(changes))
        return;
    const { tools, folder } = checkout;
    for (const path of paths) {
        const [kept, live] = [(0,external_node_path_namespaceObject.join)(copies, path), (0,external_node_path_namespaceObject.join)(folder, path)];
        if (!present(kept)) {
            removePath(live);
            continue;
        }
        await makeFoldersLike(tools, copies, folder, path);
        await copyAsItIs(tools, kept, live);
    }
    // Only what git knows it takes away again with the version.
    await trackAsTheyAre(checkout, added);
}
/** False where somebody has deleted or moved what was kept. */
function changesAreThere({ patch }) {
    return present(patch);
}
/** What a person is told of changes that are taken away. */
function keptWords({ patch, paths: { length: count } }) {
    return {
        message: `${count} tracked ${count === 1 ? 'file has' : 'files have'} local changes on the server; kept in ${patch}.`,
        next: `To have them back: git apply ${quote(patch)}`,
    };
}

;// CONCATENATED MODULE: ./compiled/src/worker/host/disk-reserve.js





/**
 * Room on the disk that a run takes beforehand and gives back when the disk is full: for what must be written down
 * whatever happens (the plan, the journal, the end), and for the files of a commit that git brings on the way there and
 * back. A process is one run, so what it holds is kept here.
 */
/** Bytes. A plan, its journal lines and an end are a few thousand each. */
const FOR_RECORDS = 256 * 1_024;
const AT_ONCE = 1_048_576;
/** The files that hold room now. The first is given back first. */
const held = [];
/** @throws a Failure where there is not so much room: then what needs it must not begin. */
function holdReserve(file, bytes = FOR_RECORDS) {
    (0,external_node_fs_namespaceObject.mkdirSync)((0,external_node_path_namespaceObject.dirname)(file), { recursive: true, mode: 0o700 });
    try {
        const fd = (0,external_node_fs_namespaceObject.openSync)(file, 'w', 0o600);
        try {
            // Bytes that no file system compresses or leaves out.
            for (let left = bytes; left > 0; left -= AT_ONCE)
                writeAll(fd, (0,external_node_crypto_namespaceObject.randomBytes)(Math.min(left, AT_ONCE)));
            (0,external_node_fs_namespaceObject.fsyncSync)(fd);
        }
        finally {
            (0,external_node_fs_namespaceObject.closeSync)(fd);
        }
    }
    catch (error) {
        removePath(file);
        throw isDiskFull(error) ? fullDisk((0,external_node_path_namespaceObject.dirname)(file), bytes) : error;
    }
    held.push(file);
}
/** Gives all room back; false where none is held. */
function freeReserve() {
    const files = held.splice(0);
    for (const file of files)
        removePath(file);
    return files.length > 0;
}
/** Does a write that must succeed: on a full disk again, each time with a part of the room that is held. */
function withReserve(write) {
    for (;;) {
        try {
            return write();
        }
        catch (error) {
            const file = isDiskFull(error) ? held.shift() : undefined;
            if (file === undefined)
                throw error;
            removePath(file);
        }
    }
}
/** Begins something. @throws a Failure with words for a person where the disk has no room for it. */
function refuseFullDisk(place, begin) {
    try {
        return begin();
    }
    catch (error) {
        throw isDiskFull(error) ? fullDisk(place, FOR_RECORDS) : error;
    }
}
/** True where a write failed for want of room: of the disk, or of what this user may have of it. */
function isDiskFull(error) {
    const { code } = error;
    return code === 'ENOSPC' || code === 'EDQUOT';
}
const NEXT = 'Free some space there (df -h; df -i): old logs, docker images, caches. Then start the workflow again.';
function fullDisk(place, bytes) {
    return new Failure({
        message: `The disk of the server is full: there is no room for ${Math.ceil(bytes / 1_024)} KiB at ${place}. Nothing was changed.`,
        next: NEXT,
    });
}
/** A problem that a full disk has made, in the words of whichever program met it, with what to do. Pure. */
function withAdvice(problem) {
    if (!/ENOSPC|EDQUOT|no space left on device|out of diskspace|disk quota exceeded/i.test(problem.message))
        return problem;
    return { ...problem, message: `The disk of the server is full: ${problem.message}`, next: NEXT };
}

;// CONCATENATED MODULE: ./compiled/src/worker/state/journal.js





/** @throws a Failure where another version wrote what this one cannot read. */
function readJournal(folder) {
    return parseJournal(readText(folder.journal) ?? '', folder.journal);
}
/**
 * The entries of a journal. Each line says its own format, because lines of several versions follow one another. One that a
 * power cut tore is left out: what it would have said did not finish. @throws a Failure.
 */
function parseJournal(text, file) {
    return text.split('\n').flatMap((line, index) => {
        if (isTorn(line))
            return [];
        return [parseRecord(line, file, `Line ${index + 1} of ${file}`)];
    });
}
function isTorn(line) {
    try {
        JSON.parse(line);
        return false;
    }
    catch {
        return true;
    }
}
/** @throws where the line cannot be written, also not with the room of the reserve; nothing of it is there then. */
function writeJournal(folder, run, entry) {
    const { id, attempt, url } = run;
    // A line torn by a power cut must not swallow the next one.
    const torn = (readText(folder.journal) ?? '\n').endsWith('\n') ? '' : '\n';
    const line = {
        ...entry,
        at: Date.now(),
        run: { id, attempt, ...definedOnly({ url }) },
    };
    withReserve(() => appendLine(folder.journal, torn + recordText(line)));
}
/** A commit that people brought live by hand. What it leaves must not go under the name of another one. */
function handMade(sha) {
    return { release: handMadeName(sha), sha };
}
/**
 * The history with what is really live: a commit that our deploys did not bring came by hand, after all that the journal
 * knows.
 */
function historyAsFound(history, liveSha) {
    if (liveSha === undefined || history.live === undefined || history.live.sha === liveSha)
        return history;
    const live = handMade(liveSha);
    return {
        ...history,
        live,
        liveVerified: false,
        arrivals: [...history.arrivals, { release: live.release }],
    };
}
const isSameRelease = (a, b) => a?.release === b?.release;
/** Reads the journal from its beginning; order of lines alone decides, never the clock. */
function historyOf(entries) {
    const history = {
        liveVerified: false,
        broken: false,
        verified: [],
        badShas: new Set(),
        badReleases: new Set(),
        pruned: new Set(),
        deploys: [],
        arrivals: [],
        putBack: new Set(),
        restarted: new Set(),
        restartedBefore: new Set(),
    };
    for (const entry of entries)
        note(history, entry);
    return history;
}
function note(history, entry) {
    const ref = { release: entry.release, sha: entry.sha };
    if (entry.event !== 'pruned')
        history.broken = entry.event === 'broken';
    switch (entry.event) {
        case 'cutover':
            history.arrivals.push({ release: ref.release, runId: entry.run.id });
            history.restartedBefore = history.restarted;
            if (history.live?.sha !== ref.sha)
                history.restarted = new Set();
            history.live = ref;
            history.liveVerified = false;
            return;
        case 'pruned':
            history.pruned.add(ref.release);
            return;
        case 'broken':
            history.live = ref;
            history.liveVerified = false;
            return;
        case 'put-back':
            history.putBack.add(entry.run.id);
            if (entry.from?.release !== ref.release)
                break;
            // A first deploy failed: there was nothing to go back to, and nothing is live.
            delete history.live;
            history.liveVerified = false;
            return;
        case 'rolled-back':
            markBad(history, ref, entry.from);
            break;
        case 'adopted':
        case 'verified':
            if (entry.event === 'adopted')
                history.arrivals.push({ release: ref.release });
            if (entry.event === 'verified')
                history.deploys.push({
                    runId: entry.run.id,
                    to: ref,
                    ...definedOnly({ from: entry.from }),
                });
            if (!history.verified.some((known) => isSameRelease(known, ref)))
                history.verified.push(ref);
            break;
        default:
            break;
    }
    noteRestart(history, entry);
    history.badShas.delete(ref.sha);
    history.badReleases.delete(ref.release);
    history.live = ref;
    history.liveVerified = history.verified.some((known) => isSameRelease(known, ref));
}
/** Whoever was restarted runs what lies on the disk; another commit there leaves the others with what they had. */
function noteRestart(history, { event, sha, app }) {
    const undone = event === 'put-back' || event === 'repaired';
    const kept = undone ? history.restartedBefore : history.live?.sha === sha ? history.restarted : [];
    history.restarted = new Set([...kept, app]);
}
/** True where an application was restarted for the commit that lies on the disk, as far as the journal says. */
function runsLive({ restarted }, app) {
    return restarted.size === 0 || restarted.has(app) || restarted.has(undefined);
}
/** Going back marks what was left; going forward again (a person named a newer release) marks nothing. */
function markBad(history, to, from) {
    if (!from || isSameRelease(from, to))
        return;
    const index = (ref) => history.verified.findIndex((known) => isSameRelease(known, ref));
    if (index(from) >= 0 && index(from) < index(to))
        return;
    history.badReleases.add(from.release);
    if (from.sha !== to.sha)
        history.badShas.add(from.sha);
}

;// CONCATENATED MODULE: ./compiled/src/worker/state/layout.js



/** The symlink that is turned from release to release: app-path itself, or `current` inside it. */
function currentLink(appPath) {
    const inside = (0,external_node_path_namespaceObject.join)(appPath, 'current');
    return !isSymlink(appPath) && isSymlink(inside) ? inside : appPath;
}
function layoutOf(appPath) {
    if (isSymlink(currentLink(appPath)))
        return 'releases';
    if (!present(appPath))
        return 'absent';
    return (0,external_node_fs_namespaceObject.existsSync)((0,external_node_path_namespaceObject.join)(appPath, '.git')) ? 'checkout' : 'other';
}
/** What `auto` means for a layout. */
function strategyFor(layout, asked) {
    if (asked === 'auto')
        return layout === 'checkout' ? 'in-place' : layout === 'other' ? undefined : 'releases';
    if (asked === 'adopt')
        return layout === 'checkout' ? 'adopt' : layout === 'releases' ? 'releases' : undefined;
    if (asked === 'in-place')
        return layout === 'checkout' ? 'in-place' : undefined;
    return layout === 'releases' || layout === 'absent' ? 'releases' : undefined;
}
/** The folder that serves now, with symlinks resolved; undefined where there is none. */
function liveFolder(appPath) {
    const link = currentLink(appPath);
    return isFolder(link) ? (0,external_node_fs_namespaceObject.realpathSync)(link) : undefined;
}
/** The checkout that app-path leads to as a symlink, where that is no release: nobody made it to be left behind. */
function checkoutBehind(appPath) {
    if (!isSymlink(appPath) || !isFolder(appPath))
        return undefined;
    const target = (0,external_node_fs_namespaceObject.realpathSync)(appPath);
    // A release of ours has a file .git, one of other tools has none, and an adopted checkout lies among the releases.
    return isFolder((0,external_node_path_namespaceObject.join)(target, '.git')) && (0,external_node_path_namespaceObject.basename)((0,external_node_path_namespaceObject.dirname)(target)) !== 'releases' ? target : undefined;
}
/** Where releases lie: beside the one that is live, where that is such a folder, else in the state folder. */
function releasesFolder(appPath, state) {
    const link = currentLink(appPath);
    if (!isSymlink(link))
        return state.releases;
    const target = (0,external_node_fs_namespaceObject.readlinkSync)(link);
    const parent = (0,external_node_path_namespaceObject.dirname)((0,external_node_path_namespaceObject.isAbsolute)(target) ? target : (0,external_node_path_namespaceObject.join)((0,external_node_path_namespaceObject.dirname)(link), target));
    return (0,external_node_path_namespaceObject.basename)(parent) === 'releases' ? parent : state.releases;
}

;// CONCATENATED MODULE: ./compiled/src/worker/state/plan.js






/**
 * A plan whose two versions share a name, or a place, would exchange a version with itself: the new one would be lost,
 * and called live. A rollback to what is in place already moves nothing. @throws a Failure; nothing was changed.
 */
function refuseOneAndTheSame(plan) {
    const { task, from, to, swaps } = plan;
    const oneName = task === 'deploy' && from?.release === to.release;
    const oneFolder = task === 'deploy' && plan.link !== undefined && plan.link.from === plan.link.to;
    const onePlace = swaps.find(({ live, incoming, kept }) => new Set([live, incoming, kept]).size < 3);
    if (!oneName && !oneFolder && onePlace === undefined)
        return;
    const what = onePlace?.live ?? `the release ${to.release}`;
    throw new Failure({
        message: `The new version and the live one would lie in one place (${what}), and one of them would be lost: nothing was changed.`,
        next: 'Start the workflow again. If it is said again, report it with the journal.jsonl of the deploy folder on the server.',
    });
}
/** @throws a Failure where another version wrote it, and this one cannot read it. */
function readPlan(folder) {
    return readRecord(folder.plan);
}
function writePlan(folder, plan) {
    withReserve(() => writeRecord(folder.plan, plan));
}
function dropPlan(folder) {
    removePath(folder.plan);
    syncFolder(folder.path);
}
/** The version at this end of a plan is run again as it was: what was kept of that is old from now on. */
function dropKeptEntry({ entry }, end) {
    const kept = entry?.[end];
    if (kept !== undefined)
        removePath(kept);
}
function swapState(swap, on) {
    if (!on.incoming)
        return 'after';
    if (swap.had && !on.live && on.kept)
        return 'between';
    return 'before';
}
function swapPlaces(swap) {
    return swapState(swap, {
        live: present(swap.live),
        incoming: present(swap.incoming),
        kept: present(swap.kept),
    });
}
/** Moves everything to its new place; goes on where an earlier try was cut. */
function applySwaps(swaps) {
    for (const swap of swaps) {
        let state = swapPlaces(swap);
        if (state === 'before' && swap.had) {
            (0,external_node_fs_namespaceObject.mkdirSync)((0,external_node_path_namespaceObject.dirname)(swap.kept), { recursive: true });
            if (present(swap.kept))
                removePath(swap.kept);
            (0,external_node_fs_namespaceObject.renameSync)(swap.live, swap.kept);
            state = 'between';
        }
        if (state === 'after')
            continue;
        (0,external_node_fs_namespaceObject.mkdirSync)((0,external_node_path_namespaceObject.dirname)(swap.live), { recursive: true });
        (0,external_node_fs_namespaceObject.renameSync)(swap.incoming, swap.live);
    }
}
/** Moves everything back to where it was, last first. */
function undoSwaps(swaps) {
    for (const swap of [...swaps].reverse()) {
        let state = swapPlaces(swap);
        if (state === 'after') {
            (0,external_node_fs_namespaceObject.mkdirSync)((0,external_node_path_namespaceObject.dirname)(swap.incoming), { recursive: true });
            (0,external_node_fs_namespaceObject.renameSync)(swap.live, swap.incoming);
            state = 'between';
        }
        if (state === 'between' && swap.had && present(swap.kept) && !present(swap.live))
            (0,external_node_fs_namespaceObject.renameSync)(swap.kept, swap.live);
    }
}
/** Turns a symlink in one step: readers see the old target or the new one, never none. */
function turnLink(path, target) {
    const next = `${path}.next`;
    removePath(next);
    (0,external_node_fs_namespaceObject.symlinkSync)(target, next);
    (0,external_node_fs_namespaceObject.renameSync)(next, path);
    syncFolder((0,external_node_path_namespaceObject.dirname)(path));
}
/** Moves shared files out of the version that had them, and leaves a symlink there; it serves both versions. */
function applyShares(shares) {
    for (const { live, home, aside } of shares) {
        if (present(live) && !isSymlink(live)) {
            if (isSymlink(home))
                removePath(home);
            if (aside !== undefined && present(home) && !present(aside))
                (0,external_node_fs_namespaceObject.renameSync)(home, aside);
            if (!present(home)) {
                (0,external_node_fs_namespaceObject.mkdirSync)((0,external_node_path_namespaceObject.dirname)(home), { recursive: true });
                (0,external_node_fs_namespaceObject.renameSync)(live, home);
            }
        }
        linkHome(live, home);
    }
}
/** After a cutover that is taken back: what has moved stays at home, what has not stays in the live version. */
function completeShares(shares) {
    for (const { live, home, aside } of shares) {
        if (aside !== undefined && present(live) && !present(home) && present(aside))
            (0,external_node_fs_namespaceObject.renameSync)(aside, home);
        linkHome(live, home);
    }
}
function linkHome(live, home) {
    if (!present(live) && present(home))
        (0,external_node_fs_namespaceObject.symlinkSync)(home, live);
}
/** Moves a checkout into its place among the releases and puts a symlink where it was. */
function applyAdoption({ folder, release }) {
    if (!present(release)) {
        (0,external_node_fs_namespaceObject.mkdirSync)((0,external_node_path_namespaceObject.dirname)(release), { recursive: true });
        (0,external_node_fs_namespaceObject.renameSync)(folder, release);
    }
    if (!present(folder))
        turnLink(folder, release);
}

;// CONCATENATED MODULE: ./compiled/src/worker/host/trusted-paths.js




/** undefined where nothing has that name, or it may not be looked at. */
function entryAt(path) {
    try {
        const stats = (0,external_node_fs_namespaceObject.lstatSync)(path);
        const kind = stats.isSymbolicLink()
            ? 'link'
            : stats.isDirectory()
                ? 'folder'
                : stats.isFile()
                    ? 'file'
                    : 'other';
        return { path, kind, uid: stats.uid, mode: stats.mode & 0o7777 };
    }
    catch {
        return undefined;
    }
}
/** As many as the kernel follows. */
const MOST_LINKS = 40;
/** Every folder and symlink that leads to a path, as the kernel walks it, down to the path itself as far as it exists. */
function entriesLeadingTo(path) {
    const way = [];
    const names = path.split('/');
    let at = '/';
    for (let links = 0;;) {
        const lying = entryAt(at);
        if (lying === undefined)
            return way;
        way.push(lying);
        if (lying.kind === 'link') {
            if (++links > MOST_LINKS)
                return way;
            const target = (0,external_node_fs_namespaceObject.readlinkSync)(at);
            names.unshift(...target.split('/'));
            at = (0,external_node_path_namespaceObject.isAbsolute)(target) ? '/' : (0,external_node_path_namespaceObject.dirname)(at);
        }
        let name = names.shift();
        while (name === '' || name === '.')
            name = names.shift();
        if (name === undefined)
            return way;
        at = name === '..' ? (0,external_node_path_namespaceObject.dirname)(at) : (0,external_node_path_namespaceObject.join)(at, name);
    }
}
/** Why somebody else could have another thing in the place of what lies behind this. Pure. `us`: our own id. */
function distrustOnTheWay({ kind, uid, mode }, us) {
    if (!isOurs(uid, us))
        return 'stranger';
    // With the sticky bit everybody may make something in it, and nobody may take away what is ours.
    return kind !== 'link' && (mode & 0o002) !== 0 && (mode & 0o1000) === 0 ? 'open' : undefined;
}
/**
 * Why a thing of our own folder cannot be taken for what we wrote. Pure. That a file has a second name elsewhere is no
 * reason: who may write it is said by its owner and its mode, under whatever name.
 */
function distrustInside({ kind, uid, mode }, us) {
    if (kind === 'link')
        return 'link';
    if (!isOurs(uid, us))
        return 'stranger';
    if (kind === 'other')
        return 'special';
    return (mode & 0o002) === 0 ? undefined : 'open';
}
/** What lies in a folder, and in those below it that `depths` names, as deep as it says. */
function everythingIn(folder, depths) {
    return namesInFolder(folder).flatMap((name) => entriesBelow((0,external_node_path_namespaceObject.join)(folder, name), depths[name] ?? 0));
}
function entriesBelow(path, depth) {
    const lying = entryAt(path);
    if (lying === undefined)
        return [];
    if (lying.kind !== 'folder' || depth === 0)
        return [lying];
    return [lying, ...namesInFolder(path).flatMap((name) => entriesBelow((0,external_node_path_namespaceObject.join)(path, name), depth - 1))];
}
function namesInFolder(folder) {
    try {
        return (0,external_node_fs_namespaceObject.readdirSync)(folder);
    }
    catch {
        // What may not be read by its owner is told where it is needed.
        return [];
    }
}
/** What is told of a thing that is not trusted. Whatever a stranger wrote is deleted, never taken over. */
function distrustProblem({ path, uid }, why) {
    const place = quote(path);
    switch (why) {
        case 'link':
            return {
                message: `${path} is a symlink of ${userName(uid)}: in the deploy's own folder none is followed.`,
                next: `Look where it leads (ls -l ${place}), and delete it on the server: sudo rm -- ${place}`,
            };
        case 'stranger':
            return {
                message: `${path} belongs to ${userName(uid)}, and neither to root nor to the user who deploys: nothing of it is used.`,
                next: `Look what it is, and delete it on the server: sudo rm -r -- ${place}`,
            };
        case 'special':
            return {
                message: `${path} is a pipe, a device or a socket, or a file where a folder must be.`,
                next: `Look what it is (ls -l ${place}), and delete it on the server: sudo rm -- ${place}`,
            };
        case 'open':
            return {
                message: `${path} can be written by every user of the server.`,
                next: `Look who wrote there (ls -la ${place}), delete what is not yours, then: ${uid === process.getuid() ? '' : 'sudo '}chmod o-w ${place}`,
            };
    }
}
/** The first thing on the way to a folder by which others could bring another one into its place. */
function problemOnTheWay(folder) {
    const us = process.getuid();
    for (const lying of entriesLeadingTo(folder)) {
        const why = distrustOnTheWay(lying, us);
        if (why === 'open')
            return distrustProblem(lying, why);
        if (why !== undefined)
            return {
                message: `${lying.path}, on the way to ${folder}, belongs to ${userName(lying.uid)}, who could put something else in its place.`,
                next: `Connect as ${userName(lying.uid)}, or use an app-path below folders of root or of the user who deploys.`,
            };
    }
    return undefined;
}
/** Symlinks that a stranger made, on the way to a path. */
function strangeLinks(path) {
    return entriesLeadingTo(path)
        .filter(({ kind, uid }) => kind === 'link' && !isOurs(uid, process.getuid()))
        .map(({ path, uid }) => ({
        message: `${path} is a symlink that ${userName(uid)} made, who can let it lead elsewhere at any time.`,
        next: `Look where it leads (ls -l ${quote(path)}); delete it, and make it anew as root or as the user who deploys.`,
    }));
}

;// CONCATENATED MODULE: ./compiled/src/worker/state/state-folder.js










/** The two places a state folder may be: beside the application, or in the home of who deploys. */
function statePlaces(appPath, home) {
    const name = (0,external_node_path_namespaceObject.basename)(appPath);
    const mark = (0,external_node_crypto_namespaceObject.createHash)('sha256').update(appPath).digest('hex').slice(0, 8);
    return {
        beside: (0,external_node_path_namespaceObject.join)((0,external_node_path_namespaceObject.dirname)(appPath), `.${name}.deploy`),
        atHome: (0,external_node_path_namespaceObject.join)(home, '.muva-deploy', `${name}-${mark}`),
    };
}
function stateFolderAt(path) {
    return {
        path,
        lock: (0,external_node_path_namespaceObject.join)(path, 'lock'),
        holder: (0,external_node_path_namespaceObject.join)(path, 'holder.json'),
        state: (0,external_node_path_namespaceObject.join)(path, 'state.json'),
        journal: (0,external_node_path_namespaceObject.join)(path, 'journal.jsonl'),
        plan: (0,external_node_path_namespaceObject.join)(path, 'plan.json'),
        runs: (0,external_node_path_namespaceObject.join)(path, 'runs'),
        notes: (0,external_node_path_namespaceObject.join)(path, 'notes'),
        requests: (0,external_node_path_namespaceObject.join)(path, 'requests.log'),
        releases: (0,external_node_path_namespaceObject.join)(path, 'releases'),
        shared: (0,external_node_path_namespaceObject.join)(path, 'shared'),
        repository: (0,external_node_path_namespaceObject.join)(path, 'repository.git'),
    };
}
/** Which place to use: beside where that can be written, else home, else neither. */
function choosePlace(facts) {
    if (facts.besideWritable && facts.besideSafe && facts.besideOnSameDevice)
        return 'beside';
    return facts.homeWritable && facts.homeSafe && facts.homeOnSameDevice ? 'at-home' : 'nowhere';
}
/**
 * Where the state folder is or would be made; a Failure with the command to run where it cannot be. Every command of
 * the worker asks here, so that a run is found again where it was begun, and that nothing is believed or executed which
 * others left there: what has the name of the folder is looked at before anything in it is read.
 */
function locateStateFolder(appPath, home) {
    const { beside, atHome } = statePlaces(appPath, home);
    const found = [beside, atHome].find(present);
    if (found !== undefined) {
        refuseUnsafe(found, appPath);
        return stateFolderAt(found);
    }
    const facts = {
        besideWritable: isWritable((0,external_node_path_namespaceObject.dirname)(appPath)),
        besideSafe: problemOnTheWay((0,external_node_path_namespaceObject.dirname)(beside)) === undefined,
        // A symlink is turned where it lies; what it leads to is not moved.
        besideOnSameDevice: isSymlink(appPath) || deviceOf((0,external_node_path_namespaceObject.dirname)(appPath)) === deviceOf(appPath),
        homeWritable: isWritable(home),
        homeSafe: problemOnTheWay((0,external_node_path_namespaceObject.dirname)(atHome)) === undefined,
        homeOnSameDevice: deviceOf(home) === deviceOf(appPath),
    };
    const place = choosePlace(facts);
    if (place === 'beside')
        return stateFolderAt(beside);
    if (place === 'at-home')
        return stateFolderAt(atHome);
    throw nowhere(appPath, facts, beside);
}
function nowhere(appPath, facts, beside) {
    const fault = (writable, safe) => !writable
        ? 'cannot be written by this user'
        : safe
            ? 'is on another file system (renames would not be atomic)'
            : 'is not safe from other users';
    const unsafe = problemOnTheWay((0,external_node_path_namespaceObject.dirname)(beside));
    return new Failure({
        message: `There is no place for the deploy's own folder: ${(0,external_node_path_namespaceObject.dirname)(appPath)} ${fault(facts.besideWritable, facts.besideSafe)}, and the home folder ${fault(facts.homeWritable, facts.homeSafe)}.${unsafe === undefined ? '' : ` ${unsafe.message}`}`,
        next: unsafe !== undefined
            ? unsafe.next
            : facts.besideOnSameDevice
                ? `Run once on the server: sudo install -d -o ${ownWord()} -m 0711 ${quote(beside)}`
                : `${appPath} is a mount of its own: put the application into a folder inside it, and give that as app-path.`,
    });
}
/**
 * How deep below the state folder everything must be our own: what is read as true there, or is run. Deeper lies what the
 * application and its builds made, and in `shared` what people put there: neither is asked who wrote it.
 */
const OWN_DEPTH = {
    runs: 2,
    notes: 1,
    stages: 1,
    incoming: 1,
    backups: 1,
    releases: 1,
    'repository.git': 1,
    'build-cache': 1,
};
/** @throws a Failure that names everything by which another user could have a word in our deploys. */
function refuseUnsafe(path, appPath) {
    const onTheWay = problemOnTheWay((0,external_node_path_namespaceObject.dirname)(path));
    if (onTheWay !== undefined)
        throw new Failure(onTheWay);
    refuseUnowned(entryAt(path), appPath);
    const us = process.getuid();
    const problems = everythingIn(path, OWN_DEPTH).flatMap((lying) => {
        const why = distrustInside(lying, us);
        return why === undefined ? [] : [distrustProblem(lying, why)];
    });
    if (problems.length > 0)
        throw new Failure(problems.slice(0, MOST_TOLD));
}
/** Problems of one folder that are told: whoever cleans up these sees the others then. */
const MOST_TOLD = 10;
/**
 * Two users with a folder each would not see each other's lock and history, and one in the folder of the other would
 * be stuck half-way.
 */
function refuseUnowned(lying, appPath) {
    const us = process.getuid();
    const { path, uid, kind } = lying;
    const why = kind === 'file' ? 'special' : distrustInside(lying, us);
    if (why !== undefined && why !== 'stranger')
        throw new Failure(distrustProblem(lying, why));
    if (uid !== us) {
        const owner = userName(uid);
        const live = liveFolder(appPath)?.startsWith(`${path}/`) ?? false;
        const away = uid === 0
            ? `To begin anew without what it holds: sudo mv ${quote(path)} ${quote(`${path}.old`)}`
            : `If that is not the user who deploys this application, delete it on the server: sudo rm -r -- ${quote(path)}`;
        throw new Failure({
            message: `The deploy's own folder ${path} belongs to ${owner}: nothing in it is used.`,
            next: `Connect as ${owner}${live ? '; the live version lies in it.' : `. ${away}`}`,
        });
    }
    if (!isWritable(path))
        throw new Failure({
            message: `The deploy's own folder ${path} cannot be written.`,
            next: `Run once on the server: chmod u+rwx ${quote(path)}`,
        });
}
/** Locates the folder and makes what is missing in it. */
function openStateFolder(appPath, home) {
    const folder = locateStateFolder(appPath, home);
    makeFolder(folder.path, PASSED_THROUGH);
    // Others may have been quicker where everybody may make something.
    refuseUnsafe(folder.path, appPath);
    for (const path of [folder.releases, folder.shared])
        makeFolder(path, READABLE);
    for (const path of [folder.runs, folder.notes])
        makeFolder(path, PRIVATE);
    return folder;
}
/** A web server that hands out static files itself reaches the releases; everything else is nobody's business. */
const [PASSED_THROUGH, READABLE, PRIVATE] = [0o711, 0o755, 0o700];
/**
 * Makes a folder of this mode, whatever the umask is. One that is there keeps its mode: people open it, and a private
 * application closes what is shared. Only the outermost, where it is closed to all others, was made by an upload before the
 * first deploy.
 */
function makeFolder(path, mode) {
    const isNew = !present(path);
    (0,external_node_fs_namespaceObject.mkdirSync)(path, { recursive: true, mode });
    const { kind, uid, mode: now } = entryAt(path);
    if (kind !== 'folder' || uid !== process.getuid())
        return;
    if (isNew || mode === PRIVATE || (mode === PASSED_THROUGH && (now & 0o077) === 0))
        (0,external_node_fs_namespaceObject.chmodSync)(path, mode);
}
/** @throws a Failure where another version wrote it, and this one cannot read it. */
function readState(folder) {
    return readRecord(folder.state) ?? {};
}
function writeState(folder, state) {
    writeRecord(folder.state, state);
}

;// CONCATENATED MODULE: ./compiled/src/worker/state/record-formats.js





/**
 * Refuses a state folder in which something lies that this version cannot read, before anything is done by the rest of
 * it: what a newer version wrote down may forbid exactly that. @throws a Failure that names all of it.
 */
function refuseOtherFormats(state) {
    const reads = [
        () => readState(state),
        () => readPlan(state),
        () => readJournal(state),
        ...notedReleases(state).map((release) => () => readNote(state, release)),
    ];
    const problems = reads.flatMap(problemsIn);
    if (problems.length > 0)
        throw new Failure(problems);
}
function problemsIn(read) {
    try {
        read();
        return [];
    }
    catch (error) {
        if (error instanceof Failure)
            return error.problems;
        throw error;
    }
}

;// CONCATENATED MODULE: external "node:util"
const external_node_util_namespaceObject = require("node:util");
// EXTERNAL MODULE: external "node:net"
var external_node_net_ = __nccwpck_require__(30);
;// CONCATENATED MODULE: ./compiled/src/worker/supervisor/pm2-socket.js

/**
 * One question to PM2's daemon over its own socket, as PM2's command line asks it. Starting that command line takes
 * ten times as long as the answer, and a cutover waits for several of them.
 *
 * PM2 speaks AMP there: a byte with the version and the number of parts, then each part as four bytes of length and
 * the bytes themselves, of which `j:` begins JSON and `s:` a text.
 */
const AMP_VERSION = 1;
/** Calls a method of the daemon without arguments; resolves to the first value of its answer. Rejects on anything unexpected. */
function askDaemon(socketPath, method, patience) {
    return new Promise((resolve, reject) => {
        const socket = (0,external_node_net_.connect)(socketPath);
        let received = Buffer.alloc(0);
        const end = (settle) => {
            clearTimeout(timer);
            socket.destroy();
            settle();
        };
        const fail = (why) => end(() => reject(why instanceof Error ? why : new Error(`PM2's daemon ${why}`)));
        const timer = setTimeout(() => fail(`did not answer within ${patience} ms`), patience);
        socket.once('connect', () => socket.write(question(method)));
        socket.on('data', (chunk) => {
            received = Buffer.concat([received, chunk]);
            try {
                const parts = messageParts(received);
                if (parts)
                    end(() => resolve(answerOf(parts)));
            }
            catch (error) {
                fail(error instanceof Error ? error : 'answered something else');
            }
        });
        socket.once('error', fail);
        socket.once('close', () => fail('closed the connection'));
    });
}
/** The second part is the number that the answer carries again. */
function question(method) {
    const parts = [`j:${JSON.stringify({ type: 'call', method, args: [{}] })}`, 's:1'].map((text) => {
        const body = Buffer.from(text);
        const length = Buffer.alloc(4);
        length.writeUInt32BE(body.length);
        return Buffer.concat([length, body]);
    });
    return Buffer.concat([Buffer.from([(AMP_VERSION << 4) | parts.length]), ...parts]);
}
/** The parts of a message; undefined while some of it is still to come. */
function messageParts(bytes) {
    if (bytes.length === 0)
        return undefined;
    if (bytes[0] >> 4 !== AMP_VERSION)
        throw new Error("PM2's daemon speaks another protocol");
    const parts = [];
    let at = 1;
    for (let count = bytes[0] & 0x0f; count > 0; count--) {
        if (bytes.length < at + 4)
            return undefined;
        const length = bytes.readUInt32BE(at);
        if (bytes.length < at + 4 + length)
            return undefined;
        parts.push(bytes.subarray(at + 4, at + 4 + length));
        at += 4 + length;
    }
    return parts;
}
function answerOf(parts) {
    const text = parts[0]?.toString('utf8') ?? '';
    if (!text.startsWith('j:'))
        throw new Error("PM2's daemon answered no JSON");
    const answer = JSON.parse(text.slice(2));
    if (!Array.isArray(answer.args))
        throw new Error(`PM2's daemon refused: ${String(answer.error)}`);
    // A method hands over an error or null first, then what was asked for.
    return answer.args[answer.args.length - 1];
}

;// CONCATENATED MODULE: ./compiled/src/worker/supervisor/pm2-client.js











/** Variables that PM2 makes itself for an instance; a rehearsal must not pose as that instance. */
const PM2_OWN = /^(pm_|PM2_|pm2_|NODE_APP_INSTANCE$|name$|status$|exec_|restart_time$|unstable_restarts$|created_at$|vizion|instance|axm_|km_link|windowsHide|username$|treekill|autorestart|autostart|kill_retry_time|merge_logs|node_args$|namespace$|filter_env|unique_id$|prev_restart_delay|instances$|updateEnv$|watch$|env$|args$|cwd$|_$|SHLVL$|OLDPWD$|PWD$)/;
/** Milliseconds that PM2 keeps its lock for reloads. */
const RELOAD_LOCK = 35_000;
/** Milliseconds that a reload of few instances may take at most, and PM2's own limits for each of them. */
const SHORTEST_LIMIT = 120_000;
const LISTEN_TIMEOUT = 3_000;
/** The status of a program that has ended by itself and whose `restart_delay` is not over. */
const WAITING = 'waiting restart';
const KILL_TIMEOUT = 1_600;
/** Milliseconds in which the daemon answers over its socket, on a busy server too. */
const DAEMON_PATIENCE = 3_000;
/** The entry of an application in the output of `pm2 jlist`; undefined where PM2 does not know the name. */
function entryIn(list, name) {
    return entryAmong(parseList(list), name);
}
function entryAmong(listed, name) {
    const mine = listed.filter((item) => item.name === name);
    const first = mine[0];
    if (!first)
        return undefined;
    const env = first.pm2_env;
    const text = (value) => (typeof value === 'string' ? value : '');
    const words = (value) => Array.isArray(value)
        ? value.map(String)
        : typeof value === 'string'
            ? value.split(' ').filter(Boolean)
            : [];
    return {
        mode: env.exec_mode === 'cluster_mode' ? 'cluster' : 'fork',
        cwd: text(env.pm_cwd),
        script: text(env.pm_exec_path),
        args: words(env.args),
        nodeArgs: words(env.node_args),
        interpreter: text(env.exec_interpreter) || 'node',
        waitReady: env.wait_ready === true,
        watch: env.watch === true || Array.isArray(env.watch),
        ...(typeof env.kill_timeout === 'number' ? { killTimeout: env.kill_timeout } : {}),
        ...(typeof env.listen_timeout === 'number' ? { listenTimeout: env.listen_timeout } : {}),
        ...(typeof env.min_uptime === 'number' ? { minUptime: env.min_uptime } : {}),
        ...definedOnly({ restartDelay: restartDelay(env) }),
        env: applicationEnvironment(env.env),
        instances: mine.map((item) => ({
            id: Number(item.pm_id),
            pid: Number(item.pid),
            status: text(item.pm2_env.status),
            restarts: Number(item.pm2_env.restart_time ?? 0),
        })),
    };
}
/** PM2 takes the second where both are given; it grows from there with every crash. */
function restartDelay(env) {
    const given = env.exp_backoff_restart_delay ?? env.restart_delay;
    const delay = Number.parseInt(String(given), 10);
    return delay > 0 ? delay : undefined;
}
function isListed(item) {
    return typeof item === 'object' && item !== null && 'pm2_env' in item;
}
/** PM2 prints notices before the list (a new daemon, a version mismatch): the list is the line that is JSON. */
function parseList(output) {
    for (const line of output.split('\n').reverse()) {
        if (!line.startsWith('['))
            continue;
        try {
            const value = JSON.parse(line);
            if (Array.isArray(value))
                return value.filter(isListed);
        }
        catch {
            // A notice such as "[PM2] Spawning PM2 daemon".
        }
    }
    throw new Failure({
        message: `pm2 jlist did not answer with a list: ${noticesIn(output)}`,
        next: 'Run "pm2 jlist" on the server as the user of the SSH connection; "pm2 update" cures a daemon of another version.',
    });
}
/** The end of what PM2 said, without any part of its list: that holds every value of the environments. */
function noticesIn(output) {
    const notices = output
        .split('\n')
        .filter((line) => line.length < 300 && !/"\s*:|^\s*[[{]\s*[{"]/.test(line));
    return lastLines(notices.join('\n'), 2);
}
function applicationEnvironment(value) {
    if (typeof value !== 'object' || value === null)
        return {};
    return Object.fromEntries(Object.entries(value)
        .filter(([name, item]) => !PM2_OWN.test(name) && ['string', 'number', 'boolean'].includes(typeof item))
        .map(([name, item]) => [name, String(item)]));
}
/**
 * How PM2 runs the application; undefined where it does not. Starts no daemon: a look must change nothing, and two
 * looks at once would start two daemons, of which one client then waits for ever.
 */
async function findEntry(tools, name) {
    return entryAmong(await pm2_client_listed(tools), name);
}
/** What PM2 itself knows of each program of an application: what it needs to start it again. Holds secrets. */
async function rawEntries(tools, name) {
    return (await pm2_client_listed(tools)).filter((item) => item.name === name).map(({ pm2_env }) => pm2_env);
}
/** The entry that PM2 makes of what `rawEntries` gave; undefined of nothing. */
function entryOfRaw(raw, name) {
    return entryAmong(raw.map((item) => ({ name: item.name, pm2_env: item })), name);
}
/** The other applications that PM2 runs in one of the folders or below it, by name. */
async function otherApplicationsIn(tools, folders, except) {
    const names = (await pm2_client_listed(tools))
        .filter(({ pm2_env: { pm_cwd } }) => folders.some((folder) => pm_cwd === folder || String(pm_cwd).startsWith(`${folder}/`)))
        .map(({ name }) => String(name));
    return [...new Set(names)].filter((name) => name !== except);
}
/** The applications that PM2 runs, each name once with the folder of its first instance. */
async function applicationsOf(tools) {
    const known = new Map();
    for (const { name, pm2_env } of await pm2_client_listed(tools))
        if (!known.has(String(name)))
            known.set(String(name), String(pm2_env.pm_cwd));
    return [...known].map(([name, cwd]) => ({ name, cwd }));
}
async function pm2_client_listed(tools) {
    const socket = (0,external_node_path_namespaceObject.join)(pm2Home(tools), 'rpc.sock');
    if (daemonPid(tools) === undefined && !(0,external_node_fs_namespaceObject.existsSync)(socket))
        return [];
    // A version of PM2 that answers differently is asked through its own command line.
    const answer = await askDaemon(socket, 'getMonitorData', DAEMON_PATIENCE).catch(() => undefined);
    if (Array.isArray(answer) && answer.every(isListed))
        return answer;
    const { stdout, tail, code } = await call(tools, ['pm2', 'jlist'], { timeout: 30_000 });
    if (code !== 0)
        throw new Failure({
            message: `pm2 jlist failed: ${noticesIn(tail)}`,
            next: 'Run it by hand on the server.',
        });
    return parseList(stdout);
}
/** Where PM2 keeps what it knows for this user. */
function pm2Home(tools) {
    return tools.env.PM2_HOME ?? (0,external_node_path_namespaceObject.join)(tools.home, '.pm2');
}
/** How PM2 would start the application after a reboot: what `pm2 save` wrote last. The file also holds every environment value. */
function savedEntry(tools, name) {
    return entryOfRaw(savedEntries(tools, name), name);
}
function savedEntries(tools, name) {
    const saved = readJson((0,external_node_path_namespaceObject.join)(pm2Home(tools), 'dump.pm2'));
    if (!Array.isArray(saved))
        return [];
    return saved.filter((item) => item?.name === name);
}
/** The folder of the PM2 that is found here; undefined where there is none. */
function pm2Package(tools) {
    const program = tools.find('pm2');
    return program === undefined ? undefined : (0,external_node_path_namespaceObject.join)((0,external_node_path_namespaceObject.dirname)((0,external_node_fs_namespaceObject.realpathSync)(program)), '..');
}
/** The version of the PM2 that is found here: from its own package, which is faster than to start it. */
async function pm2Version(tools) {
    const folder = pm2Package(tools);
    if (folder === undefined)
        return undefined;
    return readJson((0,external_node_path_namespaceObject.join)(folder, 'package.json'))?.version ?? versionOf(tools, 'pm2');
}
/** The id of this user's PM2 daemon, as PM2 wrote it. */
function daemonPid(tools) {
    const pid = Number(readText((0,external_node_path_namespaceObject.join)(pm2Home(tools), 'pm2.pid')));
    return Number.isInteger(pid) && pid > 1 && isAlive(pid, undefined) ? pid : undefined;
}
/** True for the programs of PM2's applications. */
function isUnderPm2(tools, pid) {
    const daemon = daemonPid(tools);
    return daemon !== undefined && descendsFrom(pid, new Set([daemon]));
}
/** PATH of the daemon: the Node, pnpm and npm that the application is run with. */
function daemonFolders(tools) {
    const pid = daemonPid(tools);
    const path = pid === undefined ? undefined : processEnvironment(pid)?.PATH;
    return (path ?? '').split(':').filter((folder) => folder.startsWith('/') && (0,external_node_fs_namespaceObject.existsSync)(folder));
}
/** Homes of PM2 daemons that run on this host but are not this user's own. */
function otherDaemons(tools) {
    const own = daemonPid(tools);
    return allProcesses()
        .filter((pid) => pid !== own)
        .map((pid) => /God Daemon \((.*)\)/.exec(commandOf(pid) ?? '')?.[1])
        .filter((home) => home !== undefined);
}
/**
 * Starts all instances from what lies on the disk now. PM2 holds one lock for the reloads of all applications and
 * refuses a second one meanwhile, so this tries again. The stored environment is kept: no `--update-env`, which
 * would import the environment of the worker.
 */
async function renew(tools, name, entry, { how, listenTimeout, config }) {
    const end = performance.now() + RELOAD_LOCK;
    const timeout = reloadLimit(entry, listenTimeout);
    const words = ['pm2', how, config?.file ?? name];
    if (listenTimeout !== undefined && how === 'reload')
        words.push('--listen-timeout', String(listenTimeout));
    // PM2 would start what waits for its restart_delay twice: now, and when that is over.
    if (entry.instances.some(({ status }) => status === WAITING))
        await call(tools, ['pm2', 'stop', name], { timeout });
    for (;;) {
        const ended = await call(tools, words, { timeout, ...definedOnly({ env: config?.env }) });
        if (ended.code === 0)
            return;
        const busy = /already in progress/i.test(ended.tail);
        if (!busy || performance.now() > end)
            throw new Failure({
                message: `pm2 ${how} ${name} ${explainEnd(ended)}: ${lastLines(ended.tail, 3)}`,
                next: `Look with "pm2 logs ${name}" on the server.`,
            });
        await pause(500);
    }
}
/** Milliseconds after which a reload is given up: all instances may boot and drain slowly, one after the other. */
function reloadLimit({ instances, listenTimeout, killTimeout }, longer) {
    const each = (longer ?? listenTimeout ?? LISTEN_TIMEOUT) + (killTimeout ?? KILL_TIMEOUT);
    return Math.max(SHORTEST_LIMIT, 2 * instances.length * each);
}
/**
 * Lets PM2 start the application after the next reboot as it runs now. Called only after verification. PM2 saves all
 * applications of the user at once, so where this one is saved as it runs, the others are left alone.
 */
async function save(tools, name) {
    const raw = await rawEntries(tools, name);
    const [saved, running] = [savedEntries(tools, name), entryOfRaw(raw, name)];
    const savedAs = entryOfRaw(saved, name);
    if (savedAs && running && (0,external_node_util_namespaceObject.isDeepStrictEqual)(lasting(savedAs, saved), lasting(running, raw)))
        return;
    const ended = await call(tools, ['pm2', 'save'], { timeout: 30_000 });
    if (ended.code !== 0)
        throw new Failure({ message: `pm2 save failed: ${lastLines(ended.tail, 2)}` });
}
/** What of an entry is the same before and after a reboot. */
function lasting(entry, [first]) {
    const { max_memory_restart, max_restarts, autorestart, cron_restart } = first ?? {};
    return {
        ...entry,
        instances: entry.instances.length,
        more: { max_memory_restart, max_restarts, autorestart, cron_restart },
    };
}

;// CONCATENATED MODULE: ./compiled/src/worker/supervisor/restart-proof.js





/** Whether the application was restarted. One proof is enough; a graceful reload keeps the program that listens. Pure. */
function judgeRestart(answered, behind) {
    if (answered === 'new' || behind === 'new')
        return 'restarted';
    return answered === 'old' && behind === 'old' ? 'not-restarted' : 'unknown';
}
/** Pure. */
function judgeAnswered(shown, { to, from }) {
    if (shows(shown, to))
        return 'new';
    return shows(shown, from) ? 'old' : 'neither';
}
/** Judges two looks, some time apart; undefined: nothing could be seen. Pure. */
function judgeBehind(before, earlier, now) {
    if (now === undefined || now.size === 0)
        return 'unclear';
    const fresh = [...now].filter((program) => !before.has(program));
    if (fresh.length === 0)
        return 'old';
    return fresh.some((program) => earlier?.has(program)) ? 'new' : 'unclear';
}
/** Milliseconds between looks: a program that is there at two of them stays. */
const BETWEEN_LOOKS = 1_000;
/** Milliseconds for a graceful reload to show new programs, where the answers name no version. */
const PATIENCE = 10_000;
/** Looks again and again until it is proven that the application was restarted, or that is hopeless. */
async function awaitProof({ port, health, before, versions, tell }) {
    const started = performance.now();
    const { signal } = new AbortController();
    let earlier;
    for (let looks = 1;; looks++) {
        const now = programsBehind(port);
        const answered = judgeAnswered(await askLoopbackVersion(port, health, signal), versions);
        const behind = judgeBehind(before.programs, earlier, now);
        const verdict = judgeRestart(answered, behind);
        const waited = performance.now() - started;
        // The old version may be answering until the new one is ready; without a version in the answers only programs tell.
        const patience = answered === 'old' ? health.deadline : now === undefined ? 0 : Math.min(PATIENCE, health.deadline);
        if (verdict === 'restarted' || waited >= patience)
            return { verdict, answered, behind, looks };
        if (looks === 1)
            tell?.(`restart-command has ended; waiting for a new program behind port ${port}`);
        earlier = now;
        await pause(BETWEEN_LOOKS);
    }
}
function restartedNothing(port) {
    const [program] = programsBehind(port) ?? [];
    const pid = Number(program?.split(':')[0]);
    const who = Number.isNaN(pid) ? '' : ` (pid ${pid}: ${(commandOf(pid) ?? '?').slice(0, 120)})`;
    return new Failure({
        message: `restart-command ended with 0 and restarted nothing: every program behind port ${port} is older than the cutover${who}, and the answers are still those of the other version.`,
        next: 'Run restart-command by hand on the server: it has to restart what listens on that port.',
    });
}
/** What a person is told where it went well as far as can be seen. */
function unprovenRestart(port, { answered, behind }) {
    const why = behind === 'old'
        ? `every program behind port ${port} is older than the cutover`
        : `the programs behind port ${port} cannot be seen, or do not stay`;
    const answers = answered === 'old' ? 'are still those of the other version' : 'name no version';
    return {
        message: `It is not proven that restart-command restarted the application: ${why}, and the answers ${answers}.`,
        next: 'Let the last of health-paths answer with the commit (it stands in the file REVISION, and in DEPLOY_SHA while it is built), or set expect-version.',
    };
}

;// CONCATENATED MODULE: ./compiled/src/worker/supervisor/command.js







/**
 * A command that restarts whatever runs the application: nothing can be asked of that. The command may well be one of
 * PM2's, so a PM2 that is there is respected.
 */
function commandSupervisor(tools, app, command) {
    return {
        programFolders: () => daemonFolders(tools),
        look: () => lookForPort(tools, app),
        keeps: (pid) => isUnderPm2(tools, pid),
        rehearsalObstacle: () => 'with restart-command there is no PM2 entry that tells how the application is started',
        firstStart: async () => undefined,
        follow: async () => undefined,
        standing: async () => undefined,
        keepEntry: async () => undefined,
        readKept: async () => undefined,
        turnFile: () => undefined,
        provenBy: 'answers',
        running: async (port) => ({
            instances: [],
            programs: (port === undefined ? undefined : programsBehind(port)) ?? new Set(),
        }),
        longerWait: () => undefined,
        restart: () => runCommand(tools, app.appPath, command),
        watch: async (restarted) => watchPort(restarted),
        save: async () => undefined,
        remove: async () => undefined,
        restartWords: command,
        keptEntryWords: () => command,
        logWords: 'See its log on the server.',
    };
}
async function lookForPort(tools, { healthPort }) {
    const pm2 = await pm2Version(tools);
    const facts = definedOnly({ pm2, port: healthPort });
    if (healthPort !== undefined)
        return { facts, refusals: [], warnings: [] };
    return {
        facts,
        refusals: [
            {
                message: 'With restart-command the port of the application is not known, so nothing could be verified.',
                next: 'Give health-port.',
            },
        ],
        warnings: [],
    };
}
async function runCommand(tools, appPath, command) {
    const ended = await call(tools, ['/bin/sh', '-c', command], { cwd: appPath, timeout: 120_000 });
    if (ended.code !== 0)
        throw new Failure({
            message: `restart-command ${explainEnd(ended)}: ${lastLines(ended.tail, 5)}`,
            next: 'Run it by hand on the server.',
        });
}
/** The exit code of the command says nothing: only the programs behind the port and the answers do. */
function watchPort(restarted) {
    const { port, warn } = restarted;
    if (port === undefined)
        throw new Error('an application behind restart-command is looked at through its port');
    return {
        signal: new AbortController().signal,
        ownDelay: 0,
        end: async () => undefined,
        async prove() {
            const proof = await awaitProof({ ...restarted, port });
            if (proof.verdict === 'not-restarted')
                throw restartedNothing(port);
            if (proof.verdict === 'unknown')
                warn(unprovenRestart(port, proof));
            // What was healthy before there was a proof may have been the version that leaves.
            return proof.looks > 1;
        },
    };
}

;// CONCATENATED MODULE: ./compiled/src/worker/supervisor/entry.js
/** The port of an entry: PORT in its environment, or -p / --port in its arguments. */
function portOf(entry) {
    const fromArguments = portInArguments(entry.args);
    const text = fromArguments ?? entry.env.PORT;
    const port = Number(text);
    return text !== undefined && Number.isInteger(port) && port > 0 && port < 65_536 ? port : undefined;
}
function portInArguments(args) {
    for (const [index, word] of args.entries()) {
        const joined = /^(?:--port=|-p=?)(\d+)$/.exec(word);
        if (joined)
            return joined[1];
        if (word === '-p' || word === '--port')
            return args[index + 1];
    }
    return undefined;
}
/** The arguments with the port replaced wherever it is given. */
function withPort(args, port) {
    return args.map((word, index) => {
        const joined = /^(--port=|-p=?)\d+$/.exec(word);
        if (joined)
            return `${joined[1]}${port}`;
        const before = args[index - 1];
        return (before === '-p' || before === '--port') && /^\d+$/.test(word) ? String(port) : word;
    });
}

;// CONCATENATED MODULE: ./compiled/src/worker/supervisor/pm2-config.js



/**
 * The entry that PM2 would make of a config, as far as a rehearsal needs it. `fileOf`: where the script lies now that
 * will lie at a path once it is live.
 */
function entryOf(config, tools, fileOf) {
    const cwd = String(config.cwd);
    const script = (0,external_node_path_namespaceObject.join)((0,external_node_path_namespaceObject.isAbsolute)(String(config.script)) ? '/' : cwd, String(config.script));
    const named = config.interpreter ?? config.exec_interpreter;
    const interpreter = named === undefined ? interpreterOf(fileOf(script), tools) : String(named);
    const env = Object.entries(config.env ?? {});
    return {
        mode: modeOf(config, interpreter),
        cwd,
        script,
        args: argumentWords(config.args),
        nodeArgs: argumentWords(config.node_args ?? config.interpreter_args),
        interpreter,
        waitReady: config.wait_ready === true,
        watch: Boolean(config.watch),
        env: Object.fromEntries(env.map(([name, value]) => [name, String(value)])),
        instances: [],
    };
}
/** Arguments as PM2 takes them: a list, or a text in which quotes hold words together. */
function argumentWords(value) {
    if (Array.isArray(value))
        return value.map(String);
    const words = String(value ?? '').match(/"[^"]*"|'[^']*'|\S+/g) ?? [];
    return words.map((word) => word.replace(/^(["'])(.*)\1$/, '$2'));
}
/** PM2's own table, for scripts of which nobody says what runs them. */
const INTERPRETERS = {
    '.sh': 'bash',
    '.py': 'python3',
    '.rb': 'ruby',
    '.php': 'php',
    '.pl': 'perl',
};
function interpreterOf(file, tools) {
    const ending = (0,external_node_path_namespaceObject.extname)(file);
    if (ending === '.ts' || ending === '.tsx')
        return tools.find('bun') === undefined ? 'node' : 'bun';
    return INTERPRETERS[ending] ?? (ending === '' && isBinary(file) ? 'none' : 'node');
}
/** A program without a text in it: nothing has to run it. */
function isBinary(file) {
    if (!isFile(file))
        return false;
    const start = Buffer.alloc(512);
    const fd = (0,external_node_fs_namespaceObject.openSync)(file, 'r');
    try {
        return start.subarray(0, (0,external_node_fs_namespaceObject.readSync)(fd, start, 0, start.length, 0)).includes(0);
    }
    finally {
        (0,external_node_fs_namespaceObject.closeSync)(fd);
    }
}
/** Without a word in the file PM2 takes cluster mode where instances are asked for and Node runs them. */
function modeOf(config, interpreter) {
    if (config.exec_mode !== undefined)
        return /cluster/.test(String(config.exec_mode)) ? 'cluster' : 'fork';
    return config.instances !== undefined && interpreter === 'node' ? 'cluster' : 'fork';
}

;// CONCATENATED MODULE: ./compiled/src/worker/supervisor/pm2-ecosystem.js






/** The names under which people keep it, in the order in which they are looked for. */
const STEMS = ['ecosystem', 'pm2', 'process'];
const ENDINGS = ['.config.js', '.config.cjs', '.config.mjs', '.json', '.config.json', '.yml', '.yaml'].concat('.config.yml', '.config.yaml');
const pm2_ecosystem_NAMES = STEMS.flatMap((stem) => ENDINGS.map((ending) => stem + ending));
/** The ecosystem files of a folder: those with the usual names first, then `ecosystem.production.config.js` and the like. */
function ecosystemFiles(folder) {
    if (!isFolder(folder))
        return [];
    const usual = pm2_ecosystem_NAMES.filter((name) => isFile((0,external_node_path_namespaceObject.join)(folder, name)));
    const named = (0,external_node_fs_namespaceObject.readdirSync)(folder)
        .filter((name) => !usual.includes(name) && isOfStem(name) && isFile((0,external_node_path_namespaceObject.join)(folder, name)))
        .sort();
    return [...usual, ...named];
}
function isOfStem(name) {
    return (STEMS.slice(0, 2).some((stem) => name.startsWith(`${stem}.`)) &&
        ENDINGS.some((ending) => name.endsWith(ending)));
}
/**
 * The application of that name in the ecosystem files of a folder; undefined where no file has it. `preferred`: a file that is
 * looked into first. @throws a Failure where a file cannot be read before one has it.
 */
async function findApplication(tools, folder, appName, preferred) {
    const files = ecosystemFiles(folder);
    const first = files.filter((file) => file === preferred);
    for (const file of [...first, ...files.filter((other) => other !== preferred)]) {
        const { apps, reads } = await readFile(tools, folder, file);
        const found = apps.find(({ config }) => nameOf(config) === appName);
        if (found)
            return { file, ...found, reads };
    }
    return undefined;
}
/** PM2 calls an application without a name after its script. */
function nameOf({ name, script }) {
    return name ?? (0,external_node_path_namespaceObject.basename)(String(script ?? ''), (0,external_node_path_namespaceObject.extname)(String(script ?? '')));
}
/**
 * Reads a file as PM2 does: what is JSON for PM2 may have comments, and YAML is read by the reader that PM2 brings. What the
 * file itself asks of the environment is noted; what Node asks meanwhile is not. PM2's own check says what it would not take.
 */
const READER = `
const { readFileSync } = require('node:fs');
const { createRequire } = require('node:module');
const { pathToFileURL } = require('node:url');
const [file, pm2] = process.argv.slice(1);
const reads = new Set();
const note = (name) => {
  const asks = new Error().stack.split('\\n')[3] ?? '';
  if (typeof name === 'string' && !/\\(?node:/.test(asks)) reads.add(name);
};
process.env = new Proxy(process.env, {
  get: (env, name) => (note(name), env[name]),
  has: (env, name) => (note(name), name in env),
  ownKeys: (env) => (note('*'), Reflect.ownKeys(env)),
});
const load = async () => {
  if (/\\.ya?ml$/.test(file)) return createRequire(pm2)('js-yaml').load(readFileSync(file, 'utf8'));
  if (file.endsWith('.json')) return require('node:vm').runInNewContext('(' + readFileSync(file, 'utf8').replace(/^\\uFEFF/, '') + '\\n)');
  const imported = async () => {
    const all = await import(pathToFileURL(file));
    return all.default ?? all;
  };
  if (file.endsWith('.mjs')) return imported();
  try {
    const all = require(file);
    return all.default ?? all;
  } catch (error) {
    if (error.code !== 'ERR_REQUIRE_ESM') throw error;
    return imported();
  }
};
const faultsOf = (config) => {
  try {
    return createRequire(pm2)('./lib/tools/Config').validateJSON(structuredClone(config)).errors.map(String);
  } catch {
    return [];
  }
};
load().then((all) => {
  const asked = [...reads];
  const apps = [all.apps ?? all.pm2 ?? all].flat().map((config) => ({ config, faults: faultsOf(config) }));
  process.stdout.write('\\n' + JSON.stringify({ apps, reads: asked }));
  process.exit(0);
}, (error) => {
  console.error(String(error && error.stack || error));
  process.exit(1);
});
`;
async function readFile(tools, folder, file) {
    const pm2 = (0,external_node_path_namespaceObject.join)(pm2Package(tools) ?? folder, 'package.json');
    const out = await must(tools, ['node', '-e', READER, (0,external_node_path_namespaceObject.join)(folder, file), pm2], {
        cwd: folder,
        timeout: 20_000,
    });
    return JSON.parse(out.slice(out.lastIndexOf('\n') + 1));
}
/** The application in the ecosystem file of a commit, with the variables of its environment; undefined without a file. */
async function readEcosystem(question) {
    const { tools, stage, appName, environment, reporter } = question;
    const [first] = ecosystemFiles(stage);
    if (first === undefined)
        return undefined;
    const found = await findApplication(tools, stage, appName);
    if (!found)
        throw new Failure({
            message: `${first} has no application named "${appName}".`,
            next: 'Correct app-name or the ecosystem file, or give start-command.',
        });
    const { file, config } = found;
    const { env, used, unused } = startEnvironment(config, environment);
    if (used !== undefined)
        reporter.progress(`${file}: ${used} is laid over env, as environment says`);
    else if (unused.length > 0)
        reporter.warn({
            message: `${file} has ${unused.join(', ')} for "${appName}", and ${environment === undefined ? 'no environment is given' : `environment is ${environment}`}: it is started with env alone.`,
            next: `If one of them is meant, give its name as environment (${unused[0].slice(ENV_BLOCK.length)}), or put its values into env.`,
        });
    return { ...config, env };
}
const ENV_BLOCK = 'env_';
/**
 * The variables of an application in an ecosystem file: `env`, and over it the block named after the environment, as
 * `pm2 start --env <environment>` takes them. PM2 itself takes no block without being told.
 */
function startEnvironment(app, environment) {
    const block = (name) => {
        const value = app[name];
        return typeof value === 'object' && value !== null ? { ...value } : {};
    };
    const names = Object.keys(app).filter((name) => name.startsWith(ENV_BLOCK));
    const used = names.find((name) => name === ENV_BLOCK + environment);
    const port = app.port === undefined ? {} : { PORT: app.port };
    if (used === undefined)
        return { env: { ...block('env'), ...port }, unused: names };
    return {
        env: { ...block('env'), ...block(used), ...port },
        used,
        unused: names.filter((name) => name !== used),
    };
}

;// CONCATENATED MODULE: ./compiled/src/worker/supervisor/start-command.js
/** Characters that only a shell understands. */
const FOR_A_SHELL = /["'`$\\&|;<>(){}*?!#~\n]/;
const ASSIGNMENT = /^[A-Za-z_]\w*=/;
/** Takes a command line apart, as far as that can be done without a shell. */
function startOf(command) {
    if (FOR_A_SHELL.test(command))
        return { kind: 'shell', command };
    const words = command.trim().split(/\s+/);
    // Both only set what follows.
    if ((words[0] === 'cross-env' || words[0] === 'env') && ASSIGNMENT.test(words[1] ?? ''))
        words.shift();
    const first = words.findIndex((word) => !ASSIGNMENT.test(word));
    if (first < 0)
        return { kind: 'shell', command };
    const env = Object.fromEntries(words.slice(0, first).map((word) => {
        const at = word.indexOf('=');
        return [word.slice(0, at), word.slice(at + 1)];
    }));
    const [file, ...args] = words.slice(first);
    const [script, ...rest] = args;
    return file === 'node' && script !== undefined && !script.startsWith('-')
        ? { kind: 'node', script, args: rest, env }
        : { kind: 'program', file, args, env };
}
/** Scripts of package.json that lead on to one another are followed so far. */
const start_command_DEEPEST = 5;
/**
 * The command behind `npm start` and the like, so that PM2 runs the application and not the package manager; any other
 * command stays as it is, and so does a script that others belong before or behind.
 */
function unwrapped(command, scripts = {}) {
    let found = command;
    for (let depth = 0; depth < start_command_DEEPEST; depth++) {
        const name = /^(?:npm|pnpm|yarn|bun)(?:\s+run)?\s+([\w:-]+)$/.exec(found.trim())?.[1];
        const script = name === undefined ? undefined : scripts[name];
        if (script === undefined || scripts[`pre${name}`] !== undefined || scripts[`post${name}`] !== undefined)
            break;
        found = script;
    }
    return found;
}

;// CONCATENATED MODULE: ./compiled/src/worker/supervisor/pm2-first-start.js








/** Decides how the application is started where PM2 has no entry: start-command, ecosystem file, package.json. */
async function firstStart(tools, { appName, appPath, environment, healthPort }, { folder: stage, startCommand, scripts, packageManager, reporter }) {
    const place = { tools, stage, link: currentLink(appPath) };
    const application = startCommand === undefined
        ? await readEcosystem({ tools, stage, appName, environment, reporter })
        : undefined;
    if (application)
        return fromEcosystem(application, place, reporter);
    const command = startCommand ?? (scripts?.start === undefined ? undefined : `${packageManager} run start`);
    if (command === undefined)
        throw new Failure({
            message: `PM2 does not know "${appName}", and the commit has no ecosystem file and no start script.`,
            next: 'Give start-command.',
        });
    const port = healthPort === undefined ? {} : { PORT: String(healthPort) };
    const { env, ...how } = programOf(startOf(unwrapped(command, scripts)), place);
    return begun({
        name: appName,
        ...how,
        cwd: place.link,
        instances: 1,
        kill_timeout: 10_000,
        env: { ...port, ...env },
    }, place);
}
/** Where Next.js keeps what `next` runs: in cluster mode PM2 must be given that, for there it runs only Node. */
const pm2_first_start_NEXT = 'node_modules/next/dist/bin/next';
/** How PM2 runs a command best: a script of Node in cluster mode, else the program itself, else a shell. */
function programOf(start, { tools, stage }) {
    if (start.kind === 'node') {
        const { args, env } = start;
        return { script: scriptIn(stage, start.script), args, exec_mode: 'cluster', env };
    }
    if (start.kind === 'shell')
        return inShell(start.command);
    const { file, args, env } = start;
    if (file === 'next' && args[0] === 'start' && isFile((0,external_node_path_namespaceObject.join)(stage, pm2_first_start_NEXT)))
        return { script: `./${pm2_first_start_NEXT}`, args, exec_mode: 'cluster', env };
    const script = (0,external_node_path_namespaceObject.isAbsolute)(file) ? file : (ownProgram(stage, file) ?? tools.find(file));
    if (script !== undefined)
        return { script, args, exec_mode: 'fork', interpreter: 'none', env };
    const assigned = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    return inShell([...assigned, file, ...args].join(' '));
}
/** A program of the commit or of its dependencies, from the root; undefined where it has none of that name. */
function ownProgram(stage, file) {
    const path = file.includes('/') ? file : `node_modules/.bin/${file}`;
    return isFile((0,external_node_path_namespaceObject.join)(stage, path)) ? `./${(0,external_node_path_namespaceObject.normalize)(path)}` : undefined;
}
/** As package managers run a script: with the programs of the dependencies in PATH. */
function inShell(command) {
    return {
        script: '/bin/sh',
        args: ['-c', `export PATH="$PWD/node_modules/.bin:$PATH"; ${command}`],
        exec_mode: 'fork',
        interpreter: 'none',
        env: {},
    };
}
/**
 * The file that Node runs for a script, from the folder that it starts in: Node also finds one without its ending,
 * PM2 does not.
 */
function scriptIn(folder, script) {
    if ((0,external_node_path_namespaceObject.isAbsolute)(script))
        return script;
    const found = ['', '.js', '/index.js'].find((ending) => isFile((0,external_node_path_namespaceObject.join)(folder, script + ending)));
    if (found === undefined)
        throw new Failure({
            message: `The application is started by ${script}, which neither the commit has nor the build has made.`,
            next: 'Correct start-command, the start script or the ecosystem file.',
        });
    return `./${(0,external_node_path_namespaceObject.normalize)(script + found)}`;
}
/** The application of an ecosystem file, made to run where it will lie, whatever the file says. */
function fromEcosystem(application, place, reporter) {
    const { tools, stage, link } = place;
    // `__dirname` in the file was the stage.
    const app = mapTexts(application, (text) => moved(text, stage, link));
    const cwd = folderOf(app, link, reporter);
    const script = String(app.script ?? app.cmd ?? app.command ?? '');
    // PM2 hands a line of several words to a shell.
    if (script.includes(' '))
        return begun({ ...app, cwd, script: tools.find('bash') ?? '/bin/sh', args: ['-c', script], interpreter: 'none' }, place);
    const here = moved(cwd, link, stage);
    const given = moved(script, link, stage);
    const own = (0,external_node_path_namespaceObject.isAbsolute)(given) && isInside(given, stage) ? (0,external_node_path_namespaceObject.relative)(here, given) : given;
    const known = (0,external_node_path_namespaceObject.isAbsolute)(own) || isFile((0,external_node_path_namespaceObject.join)(here, own)) ? own : tools.find(own);
    const found = known === undefined || !(0,external_node_path_namespaceObject.isAbsolute)(known) ? scriptIn(here, own) : known;
    return begun({ ...app, cwd, script: found, args: argumentWords(app.args) }, place);
}
/** Where the application starts: a folder of its own below the live one, as a monorepo has it, or the live one. */
function folderOf(app, link, reporter) {
    if (app.cwd === undefined)
        return link;
    const given = String(app.cwd);
    const cwd = (0,external_node_path_namespaceObject.normalize)((0,external_node_path_namespaceObject.isAbsolute)(given) ? given : (0,external_node_path_namespaceObject.join)(link, given)).replace(/\/$/, '');
    if (isInside(cwd, link))
        return cwd;
    reporter.warn({
        message: `The ecosystem file says cwd: ${given}, which is not below app-path: the application is started in ${link}.`,
        next: 'Leave cwd out, or give it from the root of the repository.',
    });
    return link;
}
function moved(text, from, to) {
    return isInside(text, from) ? to + text.slice(from.length) : text;
}
function mapTexts(value, change) {
    if (typeof value === 'string')
        return change(value);
    if (Array.isArray(value))
        return value.map((item) => mapTexts(item, change));
    if (typeof value !== 'object' || value === null)
        return value;
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, mapTexts(item, change)]));
}
function begun(config, { tools, stage, link }) {
    return { config, entry: entryOf(config, tools, (path) => moved(path, link, stage)) };
}

;// CONCATENATED MODULE: ./compiled/src/worker/supervisor/pm2-entry-values.js




/** How values of a kind are brought to one form: `'10s'`, `'300M'` and `10000` mean what PM2 stores. */
const KINDS = {
    time: (value) => amount(value, { s: 1_000, m: 60_000, h: 3_600_000 }),
    memory: (value) => amount(value, { K: 1_024, M: 1_024 ** 2, G: 1_024 ** 3 }),
    number: (value) => Number(value),
    yes: (value) => value === true || value === 'true',
    text: (value) => String(value),
    watch: (value) => value === true || Array.isArray(value) || typeof value === 'string',
};
/** The keys that PM2 stores as they are, and takes up at a reload; those with a star only at a start. */
const STORED = {
    max_memory_restart: 'memory',
    min_uptime: 'time',
    max_restarts: 'number',
    restart_delay: 'time',
    exp_backoff_restart_delay: 'time',
    listen_timeout: 'time',
    kill_timeout: 'time',
    wait_ready: 'yes',
    autorestart: 'yes',
};
const AT_START = { watch: 'watch', cron_restart: 'text', uid: 'text', gid: 'text' };
/** What of an entry is nobody's wish, or is compared by itself. */
const NOT_COMPARED = new Set(['name', 'env', 'port', 'cmd', 'command']);
/** Names that PM2 takes too. */
const OTHER_NAMES = {
    interpreter_args: 'node_args',
    exec_interpreter: 'interpreter',
};
/** `maxMemoryRestart` as `max_memory_restart`: PM2 takes both. */
function tidyKey(key) {
    const snake = key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    return OTHER_NAMES[snake] ?? snake;
}
/** A config with all keys as PM2's documents write them. */
function withTidyKeys(config) {
    return Object.fromEntries(Object.entries(config).map(([key, value]) => [key.startsWith(ENV_BLOCK) ? key : tidyKey(key), value]));
}
/** What a config declares, beside its environment. `entry`: what PM2 would make of it. */
function declaredValues(config, entry) {
    const values = { script: entry.script };
    const tidy = withTidyKeys(config);
    for (const [key, value] of Object.entries(tidy)) {
        if (value === undefined || value === null || NOT_COMPARED.has(key) || key.startsWith(ENV_BLOCK))
            continue;
        values[key] = declaredValue(key, value, entry);
    }
    // PM2 takes cluster mode where instances are asked for.
    if (tidy.exec_mode !== undefined || tidy.instances !== undefined)
        values.exec_mode = entry.mode;
    return values;
}
function declaredValue(key, value, entry) {
    switch (key) {
        case 'script':
            return isBareName(value) ? value : entry.script;
        case 'cwd':
            return entry.cwd;
        case 'args':
            return entry.args;
        case 'node_args':
            return entry.nodeArgs;
        case 'interpreter':
            return entry.interpreter;
        case 'instances':
            return instancesOf(value);
        default: {
            const kind = kindOf(key);
            return kind === undefined ? value : KINDS[kind](value);
        }
    }
}
/** `npm`: neither a path nor a file of the project. */
function isBareName(script) {
    return typeof script === 'string' && /^[\w-]+$/.test(script);
}
function kindOf(key) {
    return { ...STORED, ...AT_START }[key];
}
/** `max` and 0: as many as there are cores; below 0: so many fewer. */
function instancesOf(value) {
    const cores = (0,external_node_os_namespaceObject.availableParallelism)();
    const number = value === 'max' ? 0 : Number(value);
    return Math.max(1, number > 0 ? number : cores + number);
}
/** What PM2 has stored, for every key that can be compared with it. */
function storedValues([first = {}], entry) {
    const { mode, script, cwd, args, nodeArgs, interpreter, instances } = entry;
    const values = {
        script,
        cwd,
        args,
        node_args: nodeArgs,
        interpreter,
        exec_mode: mode,
        instances: instances.length,
    };
    for (const key of [...Object.keys(STORED), ...Object.keys(AT_START)]) {
        const kind = kindOf(key);
        const value = first[key];
        values[key] = value === undefined || value === null ? undefined : KINDS[kind](value);
    }
    return values;
}
/** What PM2 does where nothing is declared, as far as a file may say the same. */
const DEFAULTS = { autorestart: true, wait_ready: false, watch: false };
/** The keys that are declared, and of which PM2 has another value. What PM2 does not store cannot be compared. Pure. */
function differences(declared, stored) {
    return Object.keys(declared).filter((key) => {
        if (!(key in stored))
            return false;
        // A program that PM2 has looked up in PATH.
        if (key === 'script' && isBareName(declared[key]))
            return (0,external_node_path_namespaceObject.basename)(String(stored[key])) !== declared[key];
        // A deploy raises it where a version starts slowly.
        if (key === 'listen_timeout' && Number(stored[key]) > Number(declared[key]))
            return false;
        return !(0,external_node_util_namespaceObject.isDeepStrictEqual)(declared[key], stored[key] ?? DEFAULTS[key]);
    });
}
/** The keys that two declarations do not have alike. Pure. */
function changes(before, after) {
    const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...keys].filter((key) => !(0,external_node_util_namespaceObject.isDeepStrictEqual)(before[key] ?? DEFAULTS[key], after[key] ?? DEFAULTS[key]));
}
/** The variables of `wanted` that `has` lacks or has otherwise, as `env.NAME`. Pure. */
function otherVariables(wanted, has) {
    return Object.keys(wanted)
        .filter((name) => has[name] !== wanted[name])
        .map((name) => `env.${name}`);
}
/** True where PM2 takes the new value of all these keys at a reload, and keeps its programs' places. */
function isTakenByReload(changed, after) {
    // What is no longer declared would stay as it was.
    return changed.every((key) => (key in STORED && after[key] !== undefined) || key.startsWith('env.'));
}
/** `10s` and the like; NaN for what PM2 would not take either. */
function amount(value, units) {
    const text = String(value).trim();
    const unit = units[text.slice(-1)] ?? units[text.slice(-1).toUpperCase()];
    return unit === undefined ? Number(text) : Number(text.slice(0, -1)) * unit;
}
/** The variables of an `env` block as a program gets them. */
function textValues(env) {
    if (typeof env !== 'object' || env === null)
        return {};
    return Object.fromEntries(Object.entries(env)
        .filter(([, value]) => value !== undefined && value !== null)
        .map(([name, value]) => [name, typeof value === 'object' ? JSON.stringify(value) : String(value)]));
}

;// CONCATENATED MODULE: ./compiled/src/worker/supervisor/pm2-following.js




const FOLLOW = 'To let the entry follow the commit, say ecosystem: follow; to leave it as it is without this word, ecosystem: keep.';
/** Whether and how the entry follows the new commit's ecosystem file. Pure. */
function decideFollowing(question) {
    const { mode, appName, stored, live, next } = question;
    if (mode === 'keep')
        return { kind: 'keep' };
    if (next === undefined)
        return mode === 'follow'
            ? keep(`No ecosystem file of the commit has "${appName}": its PM2 entry stays as it is.`, 'Add it there, or leave ecosystem: follow out.')
            : { kind: 'keep' };
    // A file that nobody has changed is no reason to say anything.
    if (mode === 'auto' && live !== undefined && (0,external_node_util_namespaceObject.isDeepStrictEqual)(live.config, next.config))
        return { kind: 'same' };
    const reading = [next, ...(mode === 'auto' && live !== undefined ? [live] : [])].find(({ reads }) => reads.length > 0);
    if (reading !== undefined)
        return keepsReading(reading);
    return mode === 'auto' ? decideAuto(question, next) : decideFollow(question, next, stored);
}
/**
 * Why the entry does not follow the commits by itself, as the live commit has it; undefined where it does, or where that is told
 * when a file changes. `file`: an ecosystem file that is there. Pure.
 */
function judgeStanding(appName, file, live, stored, environment) {
    if (live === undefined)
        return {
            message: `${file} of the live commit has no "${appName}" that can be read: the PM2 entry was made otherwise, and does not follow the commits.`,
            next: FOLLOW,
        };
    if (live.reads.length > 0)
        return undefined;
    const block = usedBlock(live.config, stored.env, environment);
    if (block === 'unclear')
        return { message: unclearBlock(live), next: 'Give its name as environment.' };
    const byHand = changedByHand(live, block, stored);
    if (byHand.length === 0)
        return undefined;
    return {
        message: `The PM2 entry "${appName}" is not what ${live.file} of the live commit says (${shortenList(byHand)}): it does not follow the commits.`,
        next: FOLLOW,
    };
}
/** In what an entry is not what the live commit's file says. */
function changedByHand(live, block, stored) {
    const was = environmentOf(live.config, block);
    return [...differences(live.values, stored.values), ...otherVariables(was, stored.env)];
}
function keepsReading({ file, reads }) {
    const names = reads.includes('*') ? 'process.env' : shortenList(reads.map((name) => `process.env.${name}`));
    return keep(`${file} reads ${names}, whose value on the server cannot be known: the PM2 entry stays as it is.`, 'Write the value into the file, or into an environment file of the application. By hand: pm2 delete and start it once.');
}
function decideAuto(question, next) {
    const { appName, environment, stored, live } = question;
    if (live === undefined)
        return keep(`${next.file} has "${appName}", and the live commit has no ecosystem file with it: the PM2 entry, which was made otherwise, stays as it is.`, FOLLOW);
    const block = usedBlock(live.config, stored.env, environment);
    if (block === 'unclear')
        return keep(unclearBlock(live), 'Give its name as environment.');
    const was = environmentOf(live.config, block);
    const byHand = changedByHand(live, block, stored);
    if (byHand.length > 0)
        return keep(`${next.file} was changed, but the PM2 entry is not what ${live.file} said before (${shortenList(byHand)}): it stays as it is.`, FOLLOW);
    const will = environmentOf(next.config, block);
    const gone = Object.keys(was).filter((name) => will[name] === undefined);
    const changed = [...changes(live.values, next.values), ...otherVariables(will, stored.env)];
    return followed(changed, gone, next, { ...stored.env, ...will });
}
function decideFollow({ environment, live }, next, stored) {
    const before = live && usedBlock(live.config, stored.env, environment);
    const named = blocksOf(next.config).find((name) => name === ENV_BLOCK + environment);
    const isUnclear = before === 'unclear' || live === undefined;
    if (named === undefined && isUnclear && blocksOf(next.config).length > 0)
        return keep(unclearBlock(next), 'Give its name as environment.');
    const block = named ?? (before === 'unclear' ? undefined : before);
    const will = environmentOf(next.config, block);
    const changed = [...differences(next.values, stored.values), ...otherVariables(will, stored.env)];
    return followed(changed, [], next, { ...stored.env, ...will });
}
function followed(changed, gone, next, env) {
    const all = [...changed, ...gone.map((name) => `env.${name}`)];
    if (all.length === 0)
        return { kind: 'same' };
    for (const name of gone)
        delete env[name];
    const reload = gone.length === 0 && isTakenByReload(changed, next.values);
    return { kind: 'follow', how: reload ? 'reload' : 'start', changed: all, env };
}
function keep(message, next) {
    return { kind: 'keep', problem: { message, next } };
}
function unclearBlock({ file, config }) {
    return `${file} has ${blocksOf(config).join(', ')}, and it cannot be told which of them the PM2 entry was started with: it stays as it is.`;
}
function blocksOf(config) {
    return Object.keys(config).filter((key) => key.startsWith(ENV_BLOCK));
}
function environmentOf(config, block) {
    return textValues(startEnvironment(config, block?.slice(ENV_BLOCK.length)).env);
}
/**
 * The block `env_<name>` that an entry was started with, by its variables: the one that explains most of them. Undefined: `env`
 * alone. Where two blocks explain as much, and differ, it cannot be told.
 */
function usedBlock(config, stored, environment) {
    const explained = (block) => {
        const env = environmentOf(config, block);
        return Object.entries(env).every(([name, value]) => stored[name] === value)
            ? Object.keys(env).length
            : -1;
    };
    const blocks = [undefined, ...blocksOf(config)];
    const named = blocks.find((block) => block === ENV_BLOCK + environment);
    if (named !== undefined && explained(named) >= 0)
        return named;
    const most = Math.max(...blocks.map(explained));
    if (most < 0)
        return blocks.length === 1 ? undefined : 'unclear';
    const best = blocks.filter((block) => explained(block) === most);
    const alike = best.every((block) => (0,external_node_util_namespaceObject.isDeepStrictEqual)(environmentOf(config, block), environmentOf(config, best[0])));
    return alike ? best[0] : 'unclear';
}

;// CONCATENATED MODULE: ./compiled/src/worker/supervisor/pm2-follow.js









const MUTE = { warn: () => { } };
/** Decides whether PM2's entry follows the ecosystem file of a new build, and how; undefined where it stays as it is. */
async function followEcosystem(tools, app, { folder, reporter }, live) {
    const { appName, environment, ecosystem: mode = 'auto' } = app;
    if (mode === 'keep')
        return undefined;
    const place = { tools, stage: folder, link: currentLink(app.appPath) };
    const running = await runningEntry(tools, appName, live);
    if (running === undefined)
        return undefined;
    const { entry, stored } = running;
    const was = await declaredLive(tools, app, live);
    let question;
    let next;
    try {
        next = await findApplication(tools, folder, appName, was?.file);
        question = {
            mode,
            appName,
            environment,
            stored,
            live: was,
            next: next && declaredBy(next, fromEcosystem(next.config, place, reporter)),
        };
    }
    catch (error) {
        if (mode === 'follow')
            throw error;
        const [problem] = problemsOf(error);
        reporter.warn({
            message: `The commit's ecosystem file cannot be read, so the PM2 entry stays as it is: ${problem.message}`,
            ...definedOnly({ next: problem.next }),
        });
        return undefined;
    }
    const decided = decideFollowing(question);
    if (decided.kind === 'keep' && decided.problem !== undefined)
        reporter.warn(decided.problem);
    if (decided.kind !== 'follow' || next === undefined)
        return undefined;
    const [fault] = next.faults;
    if (fault !== undefined) {
        const problem = { message: `PM2 does not take ${next.file}: ${fault}.`, next: 'Correct the file.' };
        if (mode === 'follow')
            throw new Failure(problem);
        reporter.warn({ ...problem, message: `${problem.message} The PM2 entry stays as it is.` });
        return undefined;
    }
    const { how, changed, env } = decided;
    const { config, entry: will } = fromEcosystem({ ...next.config, env }, place, MUTE);
    return {
        config: { ...config, name: appName },
        entry: { ...will, env, instances: entry.instances },
        how,
        words: `the PM2 entry follows ${next.file}: ${shortenList(changed)}${how === 'reload' ? '' : ' (deleted and started anew: a gap of one start)'}`,
    };
}
/** What stands against that the entry follows the commits to come; undefined where nothing is known to. */
async function entryStanding(tools, app, live) {
    const { appName, environment, ecosystem = 'auto' } = app;
    const [file] = ecosystemFiles(live.folder);
    if (ecosystem !== 'auto' || file === undefined)
        return undefined;
    const running = await runningEntry(tools, appName, live);
    return (running && judgeStanding(appName, file, await declaredLive(tools, app, live), running.stored, environment));
}
async function runningEntry(tools, appName, live) {
    const raw = await rawEntries(tools, appName);
    const entry = entryOfRaw(raw, appName);
    if (entry === undefined)
        return undefined;
    // Its folder as it was found: PM2 may know it by a symlink of the host.
    const { cwd, script, args } = live.entry;
    return {
        entry,
        stored: { values: storedValues(raw, { ...entry, cwd, script, args }), env: entry.env },
    };
}
/** What lies in the live version may be anything: what cannot be read there says nothing. */
async function declaredLive(tools, { appName, appPath }, { folder }) {
    try {
        const found = await findApplication(tools, folder, appName);
        const place = { tools, stage: folder, link: currentLink(appPath) };
        return found && declaredBy(found, fromEcosystem(found.config, place, MUTE));
    }
    catch {
        return undefined;
    }
}
/** With the paths as they are once it is live: `__dirname` in the file is the folder in which it was read. */
function declaredBy({ file, config: read, reads }, { config: placed, entry }) {
    const config = Object.fromEntries(Object.keys(read).map((key) => [key, placed[key]]));
    return { file, config, values: declaredValues(config, entry), reads };
}

;// CONCATENATED MODULE: ./compiled/src/worker/supervisor/pm2-kept-entry.js







/** What belongs to one run of a program, and not to how it is run. As `pm2 save` leaves it out. */
const OF_ONE_RUN = ['instances', 'pm_id', 'prev_restart_delay', 'status'];
/**
 * Writes an entry down in PM2's own words, all of it: what its owner exported in a shell years ago may stand nowhere else.
 * The file is one that `pm2 resurrect` reads, and only its owner.
 */
async function keepEntry(tools, appName, file) {
    const raw = await rawEntries(tools, appName);
    if (raw.length === 0)
        throw new Failure({
            message: `PM2 does not know the application "${appName}" any more, so its entry could not be kept.`,
            next: 'Look with "pm2 ls" on the server.',
        });
    const kept = raw.map((entry) => Object.fromEntries(Object.entries(entry).filter(([key]) => !OF_ONE_RUN.includes(key))));
    writeAtomically(file, JSON.stringify(kept), 0o600);
}
/** What `keepEntry` wrote; empty where nothing is there. */
function keptEntries(file) {
    const kept = readJson(file);
    return Array.isArray(kept) ? kept : [];
}
/** Compares what was written down with what PM2 runs now; undefined where nothing was. */
async function readKept(tools, appName, file) {
    const kept = keptEntries(file);
    const entry = entryOfRaw(kept, appName);
    if (entry === undefined)
        return undefined;
    const isAsNow = keptChanges(await rawEntries(tools, appName), kept, appName).length === 0;
    return { isAsNow, ...definedOnly({ port: portOf(entry) }) };
}
/** The keys in which an entry is another one than that which was kept; variables as `env.NAME`. Pure. */
function keptChanges(now, kept, appName) {
    const [is, was] = [entryOfRaw(now, appName), entryOfRaw(kept, appName)];
    if (is === undefined || was === undefined)
        return ['name'];
    const values = changes(storedValues(now, is), storedValues(kept, was)).filter((key) => key !== 'listen_timeout' || is.listenTimeout === undefined || was.listenTimeout === undefined);
    return [...values, ...environmentChanges(is, was)];
}
function environmentChanges({ env: is }, { env: was }) {
    return [...new Set([...otherVariables(is, was), ...otherVariables(was, is)])];
}
/** The command by which a person brings a kept entry back. */
function keptEntryWords(appName, file) {
    return `pm2 delete ${quote(appName)}; PM2_DUMP_FILE_PATH=${quote(file)} pm2 resurrect && pm2 save`;
}

;// CONCATENATED MODULE: ./compiled/src/worker/supervisor/pm2-renewal.js



const PACKAGE_MANAGERS = new Set([
    'pnpm',
    'pnpm.cjs',
    'npm',
    'npm-cli.js',
    'npx',
    'yarn',
    'yarn.js',
    'bun',
    'bunx',
]);
/** True where PM2 runs a package manager or a shell, which in turn runs the application. */
function runsThroughWrapper({ script }) {
    const name = (0,external_node_path_namespaceObject.basename)(script);
    return PACKAGE_MANAGERS.has(name) || ['bash', 'sh', 'dash'].includes(name);
}
/**
 * A reload starts the new program beside the old one. Where the port is not PM2's to share, the new one meets it taken,
 * ends, and is started again after `restart_delay`: a restart is the shorter gap, and no crash. Pure.
 */
function renewalFor(entry, holder) {
    if (entry.mode === 'fork' || holder === 'application')
        return 'restart';
    return holder === 'unknown' && runsThroughWrapper(entry) ? 'restart' : 'reload';
}
/** How the application is renewed, from who listens now. `port`: as far as it is known. */
function renewalOf(tools, entry, port) {
    return renewalFor(entry, port === undefined ? 'unknown' : holderOf(tools, entry, port));
}
function holderOf(tools, { instances }, port) {
    const listeners = listenersOn(port);
    const daemon = daemonPid(tools);
    if (listeners.some((pid) => pid === daemon))
        return 'daemon';
    const own = new Set(instances.map(({ pid }) => pid));
    return listeners.some((pid) => descendsFrom(pid, own)) ? 'application' : 'unknown';
}

;// CONCATENATED MODULE: ./compiled/src/worker/supervisor/pm2-traps.js



/** What makes a deploy through this entry impossible. */
function entryRefusals(entry, { appName, appPath, layout }) {
    if (isInside(entry.cwd, appPath))
        return [];
    const pinned = layout === 'releases' && entry.cwd.includes('/releases/');
    return [
        {
            message: pinned
                ? `The PM2 entry "${appName}" is pinned to one release: its cwd is ${entry.cwd}, not ${appPath}. A reload would go on serving that release.`
                : `The PM2 entry "${appName}" runs in ${entry.cwd}, which is not below app-path ${appPath}.`,
            next: pinned
                ? `Run once on the server: pm2 delete ${appName}, then cd ${appPath} and start it from there (a short gap), then pm2 save.`
                : 'Correct app-path or app-name.',
        },
    ];
}
/** What does not stop a deploy but will hurt, each with its fix. Facts measured with PM2 7. */
function entryTraps(entry, { appName, next }) {
    const traps = [];
    const wrapper = runsThroughWrapper(entry);
    const script = next ? 'script: "node_modules/next/dist/bin/next", args: "start"' : 'the script itself';
    if (wrapper)
        traps.push({
            message: entry.mode === 'cluster'
                ? `PM2 runs ${(0,external_node_path_namespaceObject.basename)(entry.script)} in cluster mode; it cannot share the port that way, so it is restarted, and each deploy is a gap of one start.`
                : `PM2 runs ${(0,external_node_path_namespaceObject.basename)(entry.script)}, not the application: signals reach only the wrapper, and each deploy is a gap of one start.`,
            next: `In the ecosystem file use ${script} with exec_mode: "cluster", and deploy that with ecosystem: follow.`,
        });
    if (entry.mode === 'fork' && !wrapper)
        traps.push({
            message: 'PM2 runs the application in fork mode: a reload stops it and then starts it, so requests fail for 0.4 to 4 seconds at each cutover.',
            next: entry.interpreter === 'none'
                ? `Cluster mode has no gap, but runs only Node: give PM2 the script behind ${(0,external_node_path_namespaceObject.basename)(entry.script)} in the ecosystem file, with exec_mode: "cluster", and deploy that with ecosystem: follow.`
                : `Cluster mode with one instance has no gap: exec_mode: "cluster" in the ecosystem file, deployed with ecosystem: follow; or once pm2 delete ${appName}, and start it with -i 1.`,
        });
    if (entry.waitReady && next)
        traps.push({
            message: 'wait_ready is on, but "next start" never says that it is ready: each reload waits for listen_timeout.',
            next: 'Remove wait_ready from the ecosystem file.',
        });
    if ((entry.killTimeout ?? 1_600) < 5_000)
        traps.push({
            message: `kill_timeout is ${entry.killTimeout ?? 1_600} ms: requests that take longer are cut at each reload.`,
            next: 'Set kill_timeout: 10000 in the ecosystem file.',
        });
    if (entry.watch)
        traps.push({
            message: 'watch is on: PM2 restarts the application whenever a file changes, also in the middle of a cutover.',
            next: 'Set watch: false.',
        });
    return traps;
}

;// CONCATENATED MODULE: ./compiled/src/worker/supervisor/pm2-watch.js







/** Milliseconds that a program must have run before its start counts as stable: PM2's min_uptime, by its default. */
const MIN_UPTIME = 1_000;
/** Milliseconds for a program that answers nobody: nothing else tells that it works. */
const SILENT_UPTIME = 5_000;
/** Milliseconds between looks while the answer is awaited. */
const pm2_watch_BETWEEN_LOOKS = 1_500;
/** Milliseconds between looks while a program is started again. */
const BETWEEN_STARTS = 250;
/** Milliseconds that a person need not be told of. */
const WORTH_TELLING = 2_000;
/** What PM2 calls a program that runs, or will by itself. */
const COMING = new Set(['online', 'launching', WAITING]);
/**
 * Milliseconds until all programs have run for `minUptime`, from their ages; one whose age is not known is as old as
 * the sample.
 */
function untilStable(ages, sinceSample, minUptime) {
    return Math.max(0, ...ages.map((age) => minUptime - (age ?? sinceSample)));
}
/** What two samples of the instances say: undefined where all run and none was restarted between them. */
function judgeInstances(before, first, second) {
    if (second.length === 0)
        return 'PM2 does not know the application any more';
    const down = second.find(({ status }) => status !== 'online');
    if (down)
        return `instance ${down.id} is ${down.status}`;
    const old = second.find(({ pid }) => before.some((instance) => instance.pid === pid));
    if (old)
        return `instance ${old.id} is still the old program (pid ${old.pid})`;
    for (const instance of second) {
        const sample = first.find(({ id }) => id === instance.id);
        if (sample && instance.restarts > sample.restarts)
            return `instance ${instance.id} was restarted ${instance.restarts - sample.restarts} times meanwhile: it crashes`;
    }
    return undefined;
}
/**
 * True where all instances run or are about to, and none was restarted more than once between two samples: where the
 * port changes hands, a new program may have met that of the old one. Pure.
 */
function isOneRestart(first, second) {
    return (second.length > 0 &&
        second.every(({ id, status, restarts }) => {
            const sample = first.find((instance) => instance.id === id);
            return COMING.has(status) && restarts <= (sample?.restarts ?? restarts) + 1;
        }));
}
/**
 * Watches the instances of a restarted application. It is proven where all of them are online, really new, up for as
 * long as PM2 asks of a stable start and not restarting, and the port is served by this application.
 */
async function watchInstances(tools, appName, { port, health, before, tell }) {
    let sampledAt = performance.now();
    const entry = await findEntry(tools, appName);
    let sample = entry?.instances ?? [];
    const stop = new AbortController();
    const crash = watchForCrash(tools, appName, sample, stop);
    // Without a port nothing changes hands: a restart that nobody asked for is a crash.
    const handsOver = port !== undefined && entry !== undefined && renewalOf(tools, entry, port) === 'restart';
    const restartDelay = (handsOver ? entry.restartDelay : undefined) ?? 0;
    const stable = Math.max(entry?.minUptime ?? MIN_UPTIME, port === undefined ? SILENT_UPTIME : 0);
    const minUptime = Math.min(stable, health.deadline);
    const afterMinUptime = async () => {
        const left = untilStable(sample.map(({ pid }) => ageOf(pid)), performance.now() - sampledAt, minUptime);
        if (left > WORTH_TELLING)
            tell?.(`${port === undefined ? 'started' : 'healthy'}; waiting for ${formatDuration(left)} more, after which PM2 calls a start stable (min_uptime)`);
        await pause(left);
        return pm2_watch_instancesOf(tools, appName);
    };
    return {
        signal: stop.signal,
        ownDelay: restartDelay,
        async end() {
            stop.abort();
            const why = await crash;
            return why === undefined ? undefined : crashed(appName, why);
        },
        async prove() {
            let now = await afterMinUptime();
            let wrong = judgeInstances(before.instances, sample, now);
            const again = wrong !== undefined && handsOver && isOneRestart(sample, now);
            if (again) {
                tell?.(`PM2 started the application once more (${wrong}); waiting whether it stays`);
                sample = await onceAllRun(tools, appName, restartDelay + LISTEN_TIMEOUT);
                sampledAt = performance.now();
                now = await afterMinUptime();
                wrong = judgeInstances(before.instances, sample, now);
            }
            if (wrong !== undefined)
                throw crashed(appName, wrong);
            const stranger = port === undefined ? undefined : otherListener(tools, port, now);
            if (stranger !== undefined)
                throw stranger;
            return again;
        },
    };
}
/** The instances, as soon as all are online, or as they are after `patience` milliseconds. */
async function onceAllRun(tools, appName, patience) {
    const end = performance.now() + patience;
    for (;;) {
        const now = await pm2_watch_instancesOf(tools, appName);
        if (now.every(({ status }) => status === 'online') || performance.now() > end)
            return now;
        await pause(BETWEEN_STARTS);
    }
}
async function pm2_watch_instancesOf(tools, appName) {
    return (await findEntry(tools, appName))?.instances ?? [];
}
/** Looks now and then while the answer is awaited, so that a crash loop is not waited for until the deadline. */
async function watchForCrash(tools, appName, first, stop) {
    try {
        for (;;) {
            await pause(pm2_watch_BETWEEN_LOOKS, stop.signal);
            const now = await pm2_watch_instancesOf(tools, appName);
            const restarts = now.some(({ id, restarts }) => {
                const sample = first.find((instance) => instance.id === id);
                return sample !== undefined && restarts >= sample.restarts + 2;
            });
            const gone = now.length === 0 || now.some(({ status }) => status === 'errored' || status === 'stopped');
            if (!restarts && !gone)
                continue;
            stop.abort();
            return judgeInstances([], first, now) ?? 'it crashes again and again';
        }
    }
    catch {
        // The answer came, or PM2 could not be asked: the check that is awaited decides.
        return undefined;
    }
}
function crashed(appName, why) {
    return new Failure({
        message: `The restarted application does not stay up: ${why}.`,
        next: logWords(appName),
    });
}
/** Where a person finds what the application printed. */
function logWords(appName) {
    return `See "pm2 logs ${appName}" on the server.`;
}
/** A program that holds the port but does not belong to the application: an old one that PM2 has lost, or another. */
function otherListener(tools, port, instances) {
    const own = new Set(instances.map(({ pid }) => pid));
    const daemon = daemonPid(tools);
    // In cluster mode PM2's daemon itself holds the socket.
    const listeners = listenersOn(port);
    const foreign = listeners.filter((pid) => pid !== daemon && !descendsFrom(pid, own));
    if (foreign.length === 0 || foreign.length < listeners.length)
        return undefined;
    return new Failure({
        message: `Port ${port} is served by another program (pid ${foreign[0]}: ${textStart(commandOf(foreign[0]) ?? '?', 120)}), not by the application.`,
        next: 'End that program on the server, or correct health-port.',
    });
}

;// CONCATENATED MODULE: ./compiled/src/worker/supervisor/pm2-look.js













/** Looks at how PM2 runs the application, and what of it stands against a deploy or will hurt. */
async function lookAtPm2(tools, app, question) {
    const pm2 = await pm2Version(tools);
    const seen = { facts: definedOnly({ pm2 }), refusals: [], warnings: [] };
    if (tools.find('pm2') === undefined) {
        seen.refusals.push({
            message: 'pm2 is not found on the server.',
            next: 'Install it for the user of the SSH connection (npm install --global pm2), or give restart-command where another supervisor runs the application.',
        });
        return seen;
    }
    let entry;
    try {
        const listed = await findEntry(tools, app.appName);
        entry = listed && withoutDetour(listed, app.appPath);
    }
    catch (error) {
        seen.refusals.push(...problemsOf(error));
        return seen;
    }
    if (!entry) {
        await noteMissingEntry(seen, app, tools, question.layout);
        return seen;
    }
    const about = {
        appName: app.appName,
        appPath: app.appPath,
        next: question.next,
        layout: question.strategy,
    };
    seen.refusals.push(...entryRefusals(entry, about));
    seen.warnings.push(...entryTraps(entry, about), ...(await siblingTraps(app, tools)));
    const port = app.healthPort ?? portOf(entry);
    const held = portsHeldBy(new Set(entry.instances.map(({ pid }) => pid).filter((pid) => pid > 1)));
    const way = judgePort(app, { port, held, entry, age: youngest(entry) });
    if ('refusal' in way)
        seen.refusals.push(way.refusal);
    else if (way.port === undefined) {
        seen.facts.portless = true;
        entry = { ...entry, portless: true };
    }
    else {
        seen.facts.port = way.port;
        const stranger = otherListener(tools, way.port, entry.instances);
        if (stranger !== undefined)
            seen.refusals.push(...stranger.problems);
        const [elsewhere] = elsewhereOn(way.port);
        if (elsewhere !== undefined)
            seen.refusals.push(notOnLoopback(way.port, readableAddress(elsewhere)));
    }
    const status = entry.instances.every((instance) => instance.status === 'online') ? 'online' : 'not online';
    seen.facts.entry = {
        mode: entry.mode,
        instances: entry.instances.length,
        status: entry.instances.find((instance) => instance.status !== 'online')?.status ?? status,
        script: entry.script,
    };
    return { ...seen, entry };
}
/** Everything is asked on loopback: the version that serves, and the new one before it does. */
function notOnLoopback(port, address) {
    return {
        message: `The application listens on ${address}:${port} alone, and it is asked on 127.0.0.1.`,
        next: 'Let it listen on 127.0.0.1 or on all addresses (HOST or HOSTNAME in the environment, -H of next start), and keep others out by the firewall.',
    };
}
/** Milliseconds after which a program that listens on nothing is taken for one that never will. */
const LONGEST_BOOT = 30_000;
/** The age of the youngest instance, in milliseconds; 0 where one is not running. */
function youngest({ instances }) {
    return Math.min(...instances.map(({ pid }) => ageOf(pid) ?? 0));
}
/**
 * The port by which an application is judged, none where it has none, or why that cannot be known. In cluster mode PM2's
 * daemon holds the sockets, so that nobody sees whose they are. `held`: the ports that its own programs hold. Pure.
 */
function judgePort({ appName, portless }, { port, held, entry, age, }) {
    const listens = held[0] ?? port;
    if (portless === 'health-from' && listens !== undefined)
        return {
            refusal: {
                message: `"${appName}" listens on port ${listens}, and health-from: none would never ask it.`,
                next: `Leave health-from: none out. Where the port is not for requests, say "app-name: ${appName} none".`,
            },
        };
    if (portless !== undefined)
        return { port: undefined };
    if (port === undefined && entry.env.PORT?.includes('/'))
        return {
            refusal: {
                message: `"${appName}" listens on the Unix socket ${entry.env.PORT}, on which it cannot be asked.`,
                next: 'Give it a port on 127.0.0.1 (PORT), and the web server that address.',
            },
        };
    if (port !== undefined)
        return { port };
    if (held.length === 0 && entry.mode === 'fork' && age >= LONGEST_BOOT)
        return { port: undefined };
    return {
        refusal: {
            message: `The port of "${appName}" is not known: its PM2 entry has neither PORT nor -p / --port.`,
            next: `Give health-port${held[0] === undefined ? '' : ` (it listens on ${held[0]})`}, or set PORT in the ecosystem file. A program without a port: "app-name: ${appName} none".`,
        },
    };
}
/** Several applications of PM2 in one checkout, a web server and an API, say: a deploy restarts those that it names. */
async function siblingTraps({ appName, appPath, others: named = [] }, tools) {
    const live = liveFolder(appPath);
    const all = await otherApplicationsIn(tools, [appPath, ...(live === undefined ? [] : [live])], appName);
    const others = all.filter((name) => !named.includes(name));
    if (others.length === 0)
        return [];
    return [
        {
            message: `PM2 runs ${others.join(', ')} in ${appPath} too, and app-name does not name ${others.length === 1 ? 'it' : 'them'}: not restarted, ${others.length === 1 ? 'it goes' : 'they go'} on with the old code beside the new files.`,
            next: `Name them in app-name too, one per line, to be restarted after ${appName} and judged by PM2: ${[appName, ...others.map((name) => `${name} none`)].join(' / ')}. Or give each a step of its own after this one.`,
        },
    ];
}
/**
 * An entry that reaches a checkout through a symlink of the host, as if it were started in the checkout itself. Where
 * app-path is the symlink it stays: what it says then is which release it runs.
 */
function withoutDetour(entry, appPath) {
    if (isSymlink(appPath) || !isFolder(appPath) || !isFolder(entry.cwd))
        return entry;
    const below = (0,external_node_path_namespaceObject.relative)((0,external_node_fs_namespaceObject.realpathSync)(appPath), (0,external_node_fs_namespaceObject.realpathSync)(entry.cwd));
    const end = below === '' ? '' : `/${below}`;
    const detour = entry.cwd.slice(0, entry.cwd.length - end.length);
    if (below.startsWith('..') || detour + end !== entry.cwd || detour === appPath)
        return entry;
    const place = (text) => isInside(text, detour) ? appPath + text.slice(detour.length) : text;
    return { ...entry, cwd: place(entry.cwd), script: place(entry.script), args: entry.args.map(place) };
}
async function noteMissingEntry({ facts, refusals, warnings }, app, tools, layout) {
    if (layout === 'absent') {
        if (app.healthPort === undefined)
            warnings.push({
                message: `PM2 does not know "${app.appName}" yet; its port is taken from the start command or ecosystem file.`,
            });
        else
            facts.port = app.healthPort;
        return;
    }
    if (savedEntry(tools, app.appName)) {
        refusals.push({
            message: `PM2 does not run "${app.appName}" now, but it is among what PM2 saved last: it was killed, or not started after a reboot.`,
            next: 'Run once on the server: pm2 resurrect (and pm2 startup, so that it also starts after a reboot).',
        });
        return;
    }
    refusals.push(unknownName(app, await applicationsOf(tools), otherDaemons(tools)));
}
/** What is said of a name that PM2 does not know, with those that it does. `daemons`: homes of other users' PM2. Pure. */
function unknownName({ appName, appPath }, running, daemons) {
    const here = running.filter(({ cwd }) => isInside(cwd, appPath)).map(({ name }) => name);
    const known = running.map(({ name }) => (here.includes(name) ? `${name} (in app-path)` : name));
    const sentences = [
        `PM2 does not know the application "${appName}".`,
        ...(known.length > 0 ? [`It runs ${shortenList(known)}.`] : []),
        ...(daemons.length > 0 ? [`Another PM2 runs here with the home ${daemons.join(', ')}.`] : []),
    ];
    return { message: sentences.join(' '), next: nextForName(here, known.length > 0, daemons) };
}
function nextForName(here, runsOthers, daemons) {
    const [name, ...more] = here;
    if (name !== undefined)
        return `Correct app-name: ${more.length === 0 ? name : `one of ${here.join(', ')}`}.`;
    if (daemons.length > 0)
        return 'Connect as the user that runs it.';
    return runsOthers
        ? 'Correct app-name or app-path, or start the application once.'
        : 'Look with "pm2 ls" and correct app-name, or start the application once.';
}

;// CONCATENATED MODULE: ./compiled/src/worker/supervisor/pm2-restart.js












/**
 * Brings what lies on the disk to life: by a reload or restart, by a first start where PM2 has no entry, or as an entry that
 * changes. @throws a Failure
 */
async function restartUnderPm2(tools, { appName, healthPort }, { state, wait, start, change, kept }) {
    const again = (found, renewal = {}) => renew(tools, appName, found, {
        how: renewalOf(tools, found, healthPort ?? portOf(found)),
        ...renewal,
    });
    // All that a daemon ran which was killed comes back first, and not this application alone.
    if ((kept ?? change) !== undefined && daemonPid(tools) === undefined)
        await call(tools, ['pm2', 'resurrect'], { timeout: 60_000 });
    if (kept !== undefined && (await bringBackEntry(tools, appName, kept, state, again)))
        return;
    // Its programs are other ones now than before the build.
    const now = await findEntry(tools, appName);
    if (now && change?.how === 'start')
        return startAnew(tools, appName, state, change.config);
    if (now) {
        const config = change && writeConfig(tools, state, { ...change.config, ...definedOnly({ listen_timeout: wait }) });
        try {
            return await again(now, { listenTimeout: config ? undefined : wait, config });
        }
        catch (error) {
            // Its daemon may have been killed meanwhile; then the ways below bring the application back.
            if ((await findEntry(tools, appName)) !== undefined)
                throw error;
        }
        finally {
            if (config)
                removePath(config.file);
        }
    }
    const first = start ?? change;
    if (first !== undefined)
        return startConfig(tools, writeConfig(tools, state, first.config));
    await again(await resurrect(tools, appName));
}
/**
 * Runs the application as it was written down; false where PM2 runs it so already, and it is only to be renewed. Wherever an
 * earlier try was cut, this brings it back: without an entry, with the old one or the new one.
 */
async function bringBackEntry(tools, appName, file, state, again) {
    const [now, kept] = [await rawEntries(tools, appName), keptEntries(file)];
    const [is, was] = [entryOfRaw(now, appName), entryOfRaw(kept, appName)];
    if (was === undefined)
        return false;
    const changed = keptChanges(now, kept, appName);
    if (changed.length === 0)
        return false;
    const values = storedValues(kept, was);
    const gone = Object.keys(is?.env ?? {}).some((name) => was.env[name] === undefined);
    if (is !== undefined && !gone && isTakenByReload(changed, values)) {
        const config = writeConfig(tools, state, keptConfig(appName, was, values));
        await again(is, { config }).finally(() => removePath(config.file));
        return true;
    }
    if (is !== undefined)
        await deleteEntry(tools, appName);
    const env = { ...tools.env, PM2_DUMP_FILE_PATH: file, PM2_DUMP_BACKUP_FILE_PATH: file };
    const ended = await call(tools, ['pm2', 'resurrect'], { timeout: 60_000, env });
    if ((await findEntry(tools, appName)) !== undefined)
        return true;
    throw new Failure({
        message: `PM2 did not take the entry of "${appName}" back as it was: ${lastLines(ended.tail, 2)}`,
        next: `Run on the server: ${keptEntryWords(appName, file)}`,
    });
}
/** As a file for `pm2 reload` would say it. */
function keptConfig(appName, { env, script, cwd }, values) {
    const taken = Object.entries(values).filter(([key]) => isTakenByReload([key], values));
    return { name: appName, script, cwd, ...Object.fromEntries(taken), env };
}
/** The old entry ends, and the application is started by another one: a gap of one start. */
async function startAnew(tools, appName, state, config) {
    const written = writeConfig(tools, state, config);
    await deleteEntry(tools, appName);
    await startConfig(tools, written).finally(() => removePath(written.file));
}
async function deleteEntry(tools, appName) {
    const ended = await call(tools, ['pm2', 'delete', appName], { timeout: 60_000 });
    if (ended.code !== 0 && (await findEntry(tools, appName)) !== undefined)
        throw new Failure({
            message: `pm2 delete ${appName} ${explainEnd(ended)}: ${lastLines(ended.tail, 3)}`,
            next: 'Run it by hand on the server.',
        });
}
/** PM2's daemon was killed meanwhile: it is started again with what it saved last. */
async function resurrect(tools, appName) {
    const ended = await call(tools, ['pm2', 'resurrect'], { timeout: 60_000 });
    const entry = await findEntry(tools, appName);
    if (entry)
        return entry;
    throw new Failure({
        message: `PM2 has lost the application "${appName}", and "pm2 resurrect" did not bring it back: ${lastLines(ended.tail, 2)}`,
        next: 'Start it from its ecosystem file, then "pm2 save".',
    });
}
/**
 * PM2 hands the whole environment of its own command on to what it starts. What this worker has is none of the application's
 * business: where the config says all of the environment, the command gets what it needs to run, and no more.
 */
function writeConfig(tools, state, config) {
    const file = (0,external_node_path_namespaceObject.join)(state.path, 'start.config.json');
    writeAtomically(file, JSON.stringify({ apps: [config] }));
    const { PATH, HOME } = textValues(config.env);
    if (PATH === undefined)
        return { file, env: tools.env };
    const own = definedOnly({ PM2_HOME: tools.env.PM2_HOME });
    return { file, env: { HOME: HOME ?? tools.home, PATH: `${PATH}${external_node_path_namespaceObject.delimiter}${tools.env.PATH}`, ...own } };
}
async function startConfig(tools, { file, env }) {
    const ended = await call(tools, ['pm2', 'start', file], { timeout: 60_000, env });
    if (ended.code !== 0)
        throw new Failure({
            message: `pm2 start ${explainEnd(ended)}: ${lastLines(ended.tail, 5)}`,
            next: 'Check start-command, or the ecosystem file of the commit.',
        });
}
/**
 * At a reload in cluster mode PM2 stops the old instance after `listen_timeout`, also where the new one does not listen
 * yet: a gap. Milliseconds to raise it to, from what the rehearsal took; undefined where it is long enough. A reload
 * happens beside the live load, so there must be twice the time, and four times are given. It is never made longer than
 * `longest`: after that the new version would be given up anyway.
 */
function longerListenTimeout(entry, bootMs, longest) {
    if (entry?.mode !== 'cluster' || bootMs === undefined)
        return undefined;
    const current = entry.listenTimeout ?? LISTEN_TIMEOUT;
    if (2 * bootMs <= current)
        return undefined;
    const wanted = Math.min(Math.ceil((4 * bootMs) / 1_000) * 1_000, longest);
    return wanted > current ? wanted : undefined;
}
/** The same, with what a person is told of it. */
function longerReload(entry, bootMs, longest) {
    const ms = longerListenTimeout(entry, bootMs, longest);
    if (ms === undefined || bootMs === undefined)
        return undefined;
    return {
        ms,
        words: `the new version took ${formatDuration(bootMs)} until it listened: PM2 waits up to ${formatDuration(ms)} for it from now on (listen_timeout)`,
    };
}

;// CONCATENATED MODULE: ./compiled/src/worker/supervisor/pm2.js













/** PM2, which knows the application by its name. */
function pm2Supervisor(tools, app) {
    const { appName } = app;
    return {
        programFolders: () => daemonFolders(tools),
        look: (question) => lookAtPm2(tools, app, question),
        keeps: (pid) => isUnderPm2(tools, pid),
        rehearsalObstacle: (entry) => app.portless !== undefined || entry?.portless
            ? 'it has no port, and beside the live one it would do real work twice'
            : fixedPort(entry),
        firstStart: (build) => firstStart(tools, app, build),
        follow: (build, live) => followEcosystem(tools, app, build, live),
        standing: (live) => entryStanding(tools, app, live),
        keepEntry: (file) => keepEntry(tools, appName, file),
        readKept: (file) => readKept(tools, appName, file),
        turnFile: () => {
            const home = pm2Home(tools);
            // Without its folder PM2 has never run here, so there is nobody to wait for.
            return isFolder(home) ? (0,external_node_path_namespaceObject.join)(home, 'muva-deploy.turn') : undefined;
        },
        provenBy: 'programs',
        running: async (_port, entry) => ({
            instances: (entry ?? (await findEntry(tools, appName)))?.instances ?? [],
            programs: new Set(),
        }),
        longerWait: (entry, bootMs, longest) => entry !== undefined && renewalOf(tools, entry, app.healthPort ?? portOf(entry)) === 'reload'
            ? longerReload(entry, bootMs, longest)
            : undefined,
        restart: (options) => restartUnderPm2(tools, app, options),
        watch: (restarted) => watchInstances(tools, appName, restarted),
        save: async () => {
            try {
                await save(tools, appName);
                return undefined;
            }
            catch (error) {
                return { message: problemsOf(error)[0].message, command: 'pm2 save' };
            }
        },
        remove: async () => {
            await call(tools, ['pm2', 'delete', appName], { timeout: 30_000 });
        },
        restartWords: `pm2 restart ${appName} && pm2 save`,
        keptEntryWords: (file) => keptEntryWords(appName, file),
        logWords: logWords(appName),
    };
}
/** An application that PM2 does not know yet gets its entry from the commit. */
function fixedPort(entry) {
    if (entry === undefined || entry.env.PORT !== undefined)
        return undefined;
    const movable = withPort(entry.args, 0).some((word, index) => word !== entry.args[index]);
    // Where its port cannot be moved it would take the live one.
    return movable ? undefined : 'the port stands neither in PORT nor in -p / --port of the PM2 entry';
}

;// CONCATENATED MODULE: ./compiled/src/worker/supervisor/choice.js


/** The supervisor of an application: the only place that knows which there are. */
function supervisorOf(tools, app) {
    return app.restartCommand === undefined
        ? pm2Supervisor(tools, app)
        : commandSupervisor(tools, app, app.restartCommand);
}

;// CONCATENATED MODULE: ./compiled/src/worker/host-state/folders.js











/** Whether everything that a cutover moves can be moved by the one who deploys, so that none stops half-way. */
/** A symlink is made and turned beside what it leads to; only in place needs no right there. */
function judgeLinkPlace(appPath, strategy, releases) {
    if (strategy === 'in-place')
        return undefined;
    const link = currentLink(appPath);
    const place = (0,external_node_path_namespaceObject.dirname)(link);
    if (!isFolder(place))
        return {
            message: `${place} does not exist, so ${link} cannot be made there.`,
            next: `Correct app-path, or run once on the server: sudo install -d -o ${ownWord()} ${quote(place)}`,
        };
    if (strategy === 'adopt') {
        if (deviceOf(appPath) !== deviceOf(place))
            return {
                message: `${appPath} is a mount of its own and cannot become a release.`,
                next: 'Use strategy: in-place.',
            };
        const why = distrustInside(entryAt(appPath), process.getuid());
        if (why !== undefined)
            return notToAdopt(appPath, why);
    }
    if (isWritable(place))
        return isFolder(releases) && !isWritable(releases) ? notOurs((0,external_node_path_namespaceObject.dirname)(releases), [releases]) : undefined;
    const owner = ownerOf(place);
    const without = strategy === 'adopt' ? ' (strategy: in-place does without)' : '';
    return {
        message: `${place} belongs to ${owner}, so the symlink ${link} cannot be made or turned there.`,
        next: owner === 'root'
            ? `Run once on the server: sudo chown ${ownWord()}: ${quote(place)}${without}`
            : `Connect as ${owner}${without}.`,
    };
}
/** Among the releases nothing may lie that others could have written: a rollback starts what is there. */
function notToAdopt(appPath, why) {
    if (why === 'open')
        return {
            message: `${appPath} can be written by every user of the server, so it cannot become a release.`,
            next: `Run once on the server: chmod o-w ${quote(appPath)} (strategy: in-place does without).`,
        };
    return {
        message: `${appPath} belongs to ${ownerOf(appPath)}, and neither to root nor to the user who deploys, so it cannot become a release.`,
        next: 'Connect as its owner, or use strategy: in-place.',
    };
}
/**
 * What strangers have to do with the way to the application and to its releases: a symlink of theirs could lead elsewhere
 * in the middle of a deploy. Releases that another tool made lie outside of the state folder, which is judged by itself.
 */
function judgeWays(appPath, releases, state) {
    const outside = isFolder(releases) && (0,external_node_path_namespaceObject.dirname)(releases) !== state;
    const folder = outside ? entriesLeadingTo(releases).at(-1) : undefined;
    const why = folder && distrustOnTheWay(folder, process.getuid());
    const links = [currentLink(appPath), ...(outside ? [releases] : [])].flatMap(strangeLinks);
    const problems = [...links, ...(why === undefined ? [] : [distrustProblem(folder, why)])];
    return problems.filter(({ message }, at) => problems.findIndex((other) => other.message === message) === at);
}
/**
 * What of a checkout no deploy could change: its root, git's own folder, and what builds made, which changes place at a
 * cutover. `made`: paths from the root.
 */
async function judgeOwners(checkout, made) {
    const root = checkout.folder;
    if (!isWritable(root))
        return [notOurs(root, [root])];
    const store = (0,external_node_path_namespaceObject.resolve)(root, await git(checkout, 'rev-parse', '--git-common-dir'));
    const objects = (0,external_node_path_namespaceObject.join)(store, 'objects');
    const storeIsShut = isShut(store) || isShut(objects) || (0,external_node_fs_namespaceObject.readdirSync)(objects).some((name) => isShut((0,external_node_path_namespaceObject.join)(objects, name)));
    const builds = [...new Set([...made, 'node_modules', ...USUAL_OUTPUT])].map((path) => (0,external_node_path_namespaceObject.join)(root, path));
    const shut = [...(storeIsShut ? [store] : []), ...builds.filter(isShut)];
    return shut.length === 0 ? [] : [notOurs(root, shut)];
}
/**
 * Refuses a commit that changes files in folders of the live checkout which the one who deploys may not change: a reset
 * that git cannot finish would leave half of each version there. @throws a Failure.
 */
async function refuseShutFolders(live, repository, sha) {
    const { strategy, checkout, facts } = live;
    if (strategy !== 'in-place' || checkout === undefined || facts.liveSha === undefined)
        return;
    const changed = await git(repository, 'diff', '--name-only', '--no-renames', '-z', facts.liveSha, sha);
    const folders = changed
        .split('\0')
        .filter(Boolean)
        .map((path) => (0,external_node_path_namespaceObject.join)(checkout.folder, (0,external_node_path_namespaceObject.dirname)(path)));
    const shut = [...new Set(folders)].filter(isShut);
    if (shut.length > 0)
        throw new Failure(notOurs(checkout.folder, shut));
}
function isShut(path) {
    return isFolder(path) && !isWritable(path);
}
function notOurs(root, paths) {
    const names = paths.map((path) => (0,external_node_path_namespaceObject.relative)(root, path) || root);
    return {
        message: `The user who deploys cannot change ${shortenList(names)}${paths[0] === root ? '' : ` in ${root}`}, which ${ownerOf(paths[0])} owns.`,
        next: howToOwn(...paths),
    };
}
/** The checkout in which app-path is a folder of tracked files; undefined where it is in none. */
async function enclosingCheckout(tools, appPath) {
    if (tools.find('git') === undefined)
        return undefined;
    const here = { tools, folder: appPath };
    if (!(await gitSays(here, 'rev-parse', '--show-toplevel')))
        return undefined;
    // Beside a checkout of something else (a home folder under git) it would not be tracked there.
    return (await isTracked(here, '.')) ? git(here, 'rev-parse', '--show-toplevel') : undefined;
}

;// CONCATENATED MODULE: ./compiled/src/worker/host-state/project-files.js




/** The root of a checkout, as far as it decides how to install and build. */
function readProject(folder) {
    const files = new Set((0,external_node_fs_namespaceObject.readdirSync)(folder));
    const packageJson = readJson((0,external_node_path_namespaceObject.join)(folder, 'package.json'));
    return { files, ...definedOnly({ packageJson }) };
}
function usesNext({ packageJson }) {
    return packageJson?.dependencies?.next !== undefined || packageJson?.devDependencies?.next !== undefined;
}

;// CONCATENATED MODULE: ./compiled/src/worker/host-state/host-state.js




















/** Looks at everything, writes nothing. Problems are gathered, not thrown: a person wants to see all at once. */
async function readHostState(app, env) {
    const refusals = [];
    const warnings = [];
    const plain = openToolbox(env);
    const tools = plain.withFolders(supervisorOf(plain, app).programFolders());
    const supervisor = supervisorOf(tools, app);
    const layout = layoutOf(app.appPath);
    const strategy = strategyFor(layout, app.strategy);
    const state = gather(refusals, () => locateStateFolder(app.appPath, tools.home));
    if (state === undefined)
        throw new Failure(refusals);
    refuseOtherFormats(state);
    const history = historyOf(readJournal(state));
    const live = liveFolder(app.appPath);
    const checkout = live === undefined ? undefined : { tools, folder: live };
    const releases = releasesFolder(app.appPath, state);
    const misplaced = strategy === undefined
        ? await wrongStrategy(app, layout, tools)
        : judgeLinkPlace(app.appPath, strategy, releases);
    if (misplaced !== undefined)
        refusals.push(misplaced);
    refusals.push(...judgeWays(app.appPath, releases, state.path));
    const project = live === undefined ? { files: new Set() } : readProject(live);
    const facts = {
        layout,
        strategy: strategy ?? 'in-place',
        stateFolder: state.path,
        liveVerified: false,
        dirtyFiles: [],
        node: process.versions.node,
        ...definedOnly({ git: await gitVersion(tools) }),
        ...freeSpace(app.appPath),
        refusals,
        deployRefusals: [],
        warnings,
    };
    const behind = app.strategy === 'auto' ? checkoutBehind(app.appPath) : undefined;
    if (behind !== undefined)
        facts.deployRefusals.push({
            message: `${app.appPath} is a symlink to ${behind}, which is a git checkout and no release.`,
            next: `Give ${behind} as app-path to deploy in place there; with strategy: releases new releases take its place behind the symlink.`,
        });
    const note = history.live && readNote(state, history.live.release);
    await lookAtGit(facts, checkout, history);
    if (checkout && facts.liveSha !== undefined && strategy !== 'releases') {
        refusals.push(...(await judgeOwners(checkout, note?.paths ?? [])));
        await lookAtChanges(facts, { checkout, state, releases, history });
    }
    const run = await supervisor.look({ layout, strategy: facts.strategy, next: usesNext(project) });
    Object.assign(facts, run.facts);
    refusals.push(...run.refusals);
    warnings.push(...run.warnings);
    const others = [];
    for (const name of app.others ?? []) {
        const { restartCommand: _, healthPort: _own, ...same } = app;
        const other = supervisorOf(tools, {
            ...same,
            appName: name,
            portless: app.portless ?? 'named',
            ecosystem: 'keep',
        });
        const found = await other.look({ layout, strategy: facts.strategy, next: false });
        refusals.push(...found.refusals);
        others.push({ name, supervisor: other, ...definedOnly({ entry: found.entry }) });
    }
    const own = ownRuntime(run.entry);
    lookAtState(facts, { app, state, history });
    judgeFreeSpace(facts, app.appPath);
    return {
        app,
        tools: own === undefined ? tools : tools.withFolders([own]),
        supervisor,
        state,
        strategy: strategy ?? 'in-place',
        ...definedOnly({ live }),
        ...(checkout === undefined || facts.liveSha === undefined ? {} : { checkout }),
        releases,
        history,
        ...definedOnly({ entry: run.entry }),
        others,
        project,
        facts,
    };
}
/** The folder of the Node that an entry names for itself: its packages must be built for that, and it is rehearsed with it. */
function ownRuntime(entry) {
    const interpreter = entry?.interpreter;
    return interpreter?.startsWith('/') && (0,external_node_path_namespaceObject.basename)(interpreter) === 'node' ? (0,external_node_path_namespaceObject.dirname)(interpreter) : undefined;
}
/** What hinders a deploy in the environment files that the host has for the next version. */
function envRefusals({ live, history, state }, run) {
    if (live === undefined)
        return [];
    const note = history.live && readNote(state, history.live.release);
    return judgeHostEnvFiles(live, findEnvFiles(live), note?.envFiles ?? [], run);
}
function gather(refusals, work) {
    try {
        return work();
    }
    catch (error) {
        refusals.push(...problemsOf(error));
        return undefined;
    }
}
async function wrongStrategy(app, layout, tools) {
    const checkout = layout === 'other' ? await enclosingCheckout(tools, app.appPath) : undefined;
    if (checkout !== undefined)
        return {
            message: `app-path ${app.appPath} is a folder inside the checkout ${checkout}.`,
            next: `Give the checkout itself as app-path: ${checkout}. PM2 may run the application in a folder of it.`,
        };
    const found = {
        checkout: 'a git checkout',
        releases: 'a symlink to a release',
        absent: 'not there',
        other: 'a folder without git',
    }[layout];
    return {
        message: `strategy "${app.strategy}" does not fit: ${app.appPath} is ${found}.`,
        next: layout === 'other'
            ? `Move it away (mv ${quote(app.appPath)} ${quote(`${app.appPath}.old`)}) and deploy with strategy: releases, or clone the repository there.`
            : 'Use strategy: auto.',
    };
}
async function lookAtGit(facts, checkout, history) {
    const there = checkout !== undefined && facts.layout !== 'other' && facts.layout !== 'absent';
    if (facts.git === undefined) {
        const missing = { message: 'git is not found on the server.', next: 'Install it: apt-get install git.' };
        (there ? facts.refusals : facts.deployRefusals).push(missing);
        return;
    }
    if (!isGitSince(facts.git, OLDEST_GIT))
        facts.deployRefusals.push({
            message: `git ${facts.git} on the server is older than ${OLDEST_GIT}, the oldest that a deploy works with.`,
            next: 'Install a newer one: apt-get install git, on old systems from a backports repository.',
        });
    if (!there)
        return;
    const head = await tryGit(checkout, 'rev-parse', '--verify', 'HEAD^{commit}');
    // The second one is how git said it in 2022.
    if (/dubious ownership|unsafe repository/.test(head.tail)) {
        facts.refusals.push({
            message: `git refuses to work in ${checkout.folder}, because another user owns it.`,
            next: `Connect as its owner, or run once on the server: git config --global --add safe.directory ${quote(checkout.folder)}`,
        });
        return;
    }
    if (head.code !== 0) {
        const revision = readText((0,external_node_path_namespaceObject.join)(checkout.folder, 'REVISION'))?.trim();
        if (facts.layout === 'releases' && revision && /^[0-9a-f]{40,64}$/.test(revision))
            facts.liveSha = revision;
        else
            facts.refusals.push({
                message: `The commit of ${checkout.folder} cannot be read.`,
                next: `Run "git -C ${quote(checkout.folder)} status" on the server.`,
            });
        return;
    }
    facts.liveSha = head.stdout.trim();
    facts.liveVerified = history.liveVerified && history.live?.sha === facts.liveSha;
}
/** Looks for what people changed in tracked files, also where git was told not to. */
async function lookAtChanges(facts, known) {
    facts.dirtyFiles = await changedByPeople({ ...known, facts });
    const hidden = await hiddenChanges(known.checkout);
    if (hidden.length === 0)
        return;
    const some = hidden.slice(0, 5);
    facts.deployRefusals.push({
        message: `git was told not to look at ${some.join(', ')}, and what lies on the server differs from the commit: a build would silently use the committed values.`,
        next: `Put the server's values into an environment file, or take the file out of git; then run there: git update-index --no-skip-worktree --no-assume-unchanged ${some.map(quote).join(' ')}`,
    });
}
function lookAtState(facts, known) {
    const { app, state, history } = known;
    const { environment: remembered, database } = readState(state);
    if (database && app.database === 'missing')
        facts.refusals.push(emptyConnection('database-url', 'The last deploy of this application changed a database too. Set the secret, or say skip: database.'));
    if (remembered !== undefined) {
        facts.environment = remembered;
        if (app.environment !== undefined && app.environment !== remembered && !app.adoptEnvironment)
            facts.refusals.push({
                message: `This application was deployed as "${remembered}", and this run says "${app.environment}".`,
                next: 'Check ssh-host and environment. If the server really changed its role, set adopt-environment: true once.',
            });
    }
    if (history.live && history.live.sha === facts.liveSha)
        facts.liveRelease = history.live.release;
    const arrived = history.arrivals.findLast(({ release }) => release === facts.liveRelease);
    if (arrived?.runId !== undefined)
        facts.liveRun = arrived.runId;
    const holder = currentHolder(state);
    if (holder)
        facts.lock = {
            holder: {
                runId: holder.runId,
                since: holder.since,
                pid: holder.pid,
                ...definedOnly({ session: holder.session, url: holder.url }),
            },
        };
}

;// CONCATENATED MODULE: ./compiled/src/worker/protocol.js
/** The folder of the backups, in the state folder of a host. */
const BACKUPS = 'backups';
/** Starts each line that a short command prints for the action. */
const LINE_MARK = 'muva-worker ';

;// CONCATENATED MODULE: ./compiled/src/worker/state/event-lines.js


/** Bytes given of a line that is too long. */
const BEGINNING = 100;
/** Reads `file` from byte `offset` on. */
function eventLines(file, offset) {
    let at = offset;
    let skipping = false;
    return {
        read() {
            const chunk = readAt(file, at);
            if (chunk === undefined)
                return undefined;
            const { bytes, more } = chunk;
            const lines = [];
            let start = 0;
            /** Behind the last line that says something: an empty one may still be taken back by who writes. */
            let told = 0;
            for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a, start)) {
                const line = bytes.toString('utf8', start, end);
                start = end + 1;
                if (skipping || line.trim() !== '')
                    told = start;
                if (!skipping && told === start)
                    lines.push({ line, end: at + start });
                skipping = false;
            }
            if (told === 0 && bytes.length === LONGEST_EVENT) {
                told = bytes.length;
                if (!skipping)
                    lines.push({ line: bytes.toString('utf8', 0, BEGINNING), end: at + told });
                skipping = true;
            }
            at += told;
            return { lines, more: more && told > 0 };
        },
    };
}
/** At most as much as the longest line, from a byte on. */
function readAt(file, at) {
    let fd;
    try {
        fd = (0,external_node_fs_namespaceObject.openSync)(file, 'r');
    }
    catch {
        return undefined;
    }
    try {
        const left = (0,external_node_fs_namespaceObject.fstatSync)(fd).size - at;
        if (left < 0)
            return undefined;
        const bytes = Buffer.alloc(Math.min(left, LONGEST_EVENT));
        let length = 0;
        for (let count = -1; length < bytes.length && count !== 0; length += count)
            count = (0,external_node_fs_namespaceObject.readSync)(fd, bytes, length, bytes.length - length, at + length);
        return { bytes: bytes.subarray(0, length), more: left > length };
    }
    finally {
        (0,external_node_fs_namespaceObject.closeSync)(fd);
    }
}
/** How many events a worker with this key has told so far, and whether the last one is its end. */
function sealedSoFar(file, key) {
    const reader = eventLines(file, 0);
    let told = 0;
    let ended = false;
    for (let found = reader.read(); found !== undefined; found = found.more ? reader.read() : undefined)
        for (const { line } of found.lines) {
            const opened = unseal(key, line);
            if (opened === undefined || opened.n <= told)
                continue;
            told = opened.n;
            ended = JSON.parse(opened.event).kind === 'ended';
        }
    return { told, ended };
}

;// CONCATENATED MODULE: ./compiled/src/worker/state/run-folder.js








function runFolderOf(state, run, task) {
    return runFolderAt(pathOf(state, run, task, run.invocation));
}
function runFolderAt(path) {
    return {
        path,
        events: (0,external_node_path_namespaceObject.join)(path, 'events.jsonl'),
        worker: (0,external_node_path_namespaceObject.join)(path, 'worker.json'),
        cancel: (0,external_node_path_namespaceObject.join)(path, 'cancel'),
        rehearse: (0,external_node_path_namespaceObject.join)(path, 'rehearse'),
        go: (0,external_node_path_namespaceObject.join)(path, 'go'),
        look: (0,external_node_path_namespaceObject.join)(path, 'look'),
        heard: (0,external_node_path_namespaceObject.join)(path, 'heard'),
        log: (0,external_node_path_namespaceObject.join)(path, 'output.log'),
        reserve: (0,external_node_path_namespaceObject.join)(path, 'reserve'),
    };
}
/** All runs that have a folder. */
function allRunFolders(state) {
    return (0,external_node_fs_namespaceObject.existsSync)(state.runs)
        ? (0,external_node_fs_namespaceObject.readdirSync)(state.runs).map((name) => runFolderAt((0,external_node_path_namespaceObject.join)(state.runs, name)))
        : [];
}
function pathOf(state, { id, attempt }, ...more) {
    const parts = [id, String(attempt), ...more].filter((part) => part !== undefined && part !== '');
    for (const part of parts)
        if (!/^[A-Za-z0-9_-]*$/.test(part))
            throw new Failure({ message: `${JSON.stringify(part)} cannot be the name of a run.` });
    return (0,external_node_path_namespaceObject.join)(state.runs, parts.join('.'));
}
/**
 * The mark of a session that is cancelled: it outlives the look of the post step, for workers that begin after it. It
 * lies in a folder among those of the runs, and goes with them.
 */
function cancelMarkOf(state, run) {
    return (0,external_node_path_namespaceObject.join)(pathOf(state, run, 'cancelled', run.session), 'cancel');
}
function markCancelled(state, run) {
    const mark = cancelMarkOf(state, run);
    (0,external_node_fs_namespaceObject.mkdirSync)((0,external_node_path_namespaceObject.dirname)(mark), { recursive: true, mode: 0o700 });
    (0,external_node_fs_namespaceObject.writeFileSync)(mark, '', { mode: 0o600 });
}
/** True where this invocation was cancelled, or the whole session to which it belongs. */
function isCancelled(state, run, folder) {
    return (0,external_node_fs_namespaceObject.existsSync)(folder.cancel) || (run.session !== undefined && (0,external_node_fs_namespaceObject.existsSync)(cancelMarkOf(state, run)));
}
/**
 * Makes the run's folder for this worker. undefined: the run is under way or has ended already, and this worker
 * must leave it alone. A run whose worker was killed is taken over.
 */
function claimRun(state, run, task, key) {
    const folder = runFolderOf(state, run, task);
    (0,external_node_fs_namespaceObject.mkdirSync)(state.runs, { recursive: true, mode: 0o700 });
    const startTime = startTimeOf(process.pid);
    const mark = { pid: process.pid, ...definedOnly({ startTime }) };
    // Made complete under another name and then renamed, so that it never exists without its worker's mark.
    const fresh = (0,external_node_fs_namespaceObject.mkdtempSync)((0,external_node_path_namespaceObject.join)(state.runs, '.new-'));
    try {
        const { worker, heard, events, log } = runFolderAt(fresh);
        (0,external_node_fs_namespaceObject.writeFileSync)(worker, recordText(mark), { mode: 0o600 });
        for (const empty of [heard, events, log])
            (0,external_node_fs_namespaceObject.writeFileSync)(empty, '', { mode: 0o600 });
        (0,external_node_fs_namespaceObject.renameSync)(fresh, folder.path);
        return { folder, told: 0 };
    }
    catch (error) {
        removePath(fresh);
        if (!(0,external_node_fs_namespaceObject.existsSync)(folder.path))
            throw error;
    }
    if (workerLives(folder))
        return undefined;
    const { told, ended } = sealedSoFar(folder.events, key);
    if (ended)
        return undefined;
    writeAtomically(folder.worker, recordText(mark));
    noteHeard(folder);
    return { folder, told };
}
function workerLives(folder) {
    const mark = readMark(folder.worker);
    return mark !== undefined && isAlive(mark.pid, mark.startTime);
}
/** Notes that the action is still there. */
function noteHeard(folder) {
    const now = new Date();
    try {
        (0,external_node_fs_namespaceObject.utimesSync)(folder.heard, now, now);
    }
    catch {
        // The run's folder was pruned meanwhile.
    }
}
/**
 * Milliseconds since the action was last there, beginning with 0 at the first look. The host's clock may be set
 * meanwhile: of the mark's time it is only asked whether it is another one.
 */
function actionWatch(folder, now = () => performance.now()) {
    let mark;
    let since = now();
    return () => {
        const seen = (0,external_node_fs_namespaceObject.existsSync)(folder.heard) ? (0,external_node_fs_namespaceObject.statSync)(folder.heard).mtimeMs : undefined;
        if (seen !== mark)
            since = now();
        mark = seen;
        return now() - since;
    };
}

;// CONCATENATED MODULE: ./compiled/src/worker/run/follow.js








/** Milliseconds between two looks for new events, two heartbeats, and how long a run may take to appear. */
const follow_BETWEEN_LOOKS = 50;
const BETWEEN_HEARTBEATS = 5_000;
const UNTIL_IT_APPEARS = 20_000;
/** Streams the events of a run from a byte offset until its worker is gone; `say` is given each line of the answer. */
async function streamRunEvents(request, home, say) {
    const folder = await appearing(request, home);
    const ended = (message) => say(gone(message, isFull(request.app.appPath)));
    if (folder)
        noteHeard(folder);
    if (!folder)
        return ended('The run has not begun on the server: no worker has opened its folder.');
    const events = eventLines(folder.events, request.offset);
    let beat = performance.now();
    for (;;) {
        // Asked before reading, so that a last event written in between is not missed.
        const alive = workerLives(folder);
        const found = events.read();
        if (found === undefined)
            return say({ kind: 'cut-off' });
        for (const { line, end } of found.lines)
            say({ kind: 'event', offset: end, line });
        if (!found.more && found.lines.length === 0 && !alive)
            return ended('The worker on the server ended without a result.');
        if (performance.now() - beat > BETWEEN_HEARTBEATS) {
            beat = performance.now();
            say({ kind: 'heartbeat' });
        }
        // Also where there is more: a reader that has gone away is noticed in between.
        await pause(found.more ? 0 : follow_BETWEEN_LOOKS);
    }
}
function gone(message, full) {
    const repairs = 'The next deploy or rollback repairs what it left half done, and says so.';
    return {
        kind: 'gone',
        problem: full
            ? {
                message: `${message} The disk of the server is full.`,
                next: `Free some space there (df -h; df -i). ${repairs}`,
            }
            : { message, next: `It was killed, or the server was restarted. ${repairs}` },
    };
}
/** The run's folder, waited for a moment: the worker may just be starting. */
async function appearing(request, home) {
    const end = performance.now() + UNTIL_IT_APPEARS;
    for (;;) {
        const folder = findRun(request, request.task, home);
        if (folder || performance.now() > end)
            return folder;
        await pause(follow_BETWEEN_LOOKS);
    }
}
function findRun(request, task, home) {
    const folder = runFolderOf(locateStateFolder(request.app.appPath, home), request.run, task);
    return (0,external_node_fs_namespaceObject.existsSync)(folder.worker) ? folder : undefined;
}
/**
 * Leaves the mark for which the worker looks; says whether it can still have an effect, as far as the events tell
 * without the key of their seals. What it did is told by the sealed events alone.
 */
function signal(request, home) {
    const folder = findRun(request, request.task ?? 'deploy', home);
    const answer = (accepted, detail) => ({ kind: 'signalled', accepted, detail });
    if (!folder)
        return answer(false, 'the run is not known on the server');
    if (!workerLives(folder))
        return answer(false, 'the run has ended, or its worker is gone');
    noteHeard(folder);
    // Left in any state, for a build could have made up any: whether it is the time for a word is judged by the worker.
    if (request.command !== 'ask')
        leaveMark(folder[request.command], folder);
    if (request.command === 'cancel' && saysPastCutover(folder))
        return answer(false, 'the cutover has begun: the run finishes, and verifies or puts back by itself');
    return answer(true, TAKEN[request.command]);
}
const TAKEN = {
    ask: 'is at work',
    look: 'is at work',
    rehearse: 'is rehearsed',
    go: 'cuts over',
    cancel: 'stops',
};
/** On a full disk with the room that the run holds there: it would wait in vain for the word. */
function leaveMark(file, { reserve }) {
    const mark = () => (0,external_node_fs_namespaceObject.writeFileSync)(file, '', { mode: 0o600 });
    try {
        mark();
    }
    catch (error) {
        if (!isDiskFull(error))
            throw error;
        removePath(reserve);
        mark();
    }
}
/**
 * Leaves the mark that every worker of a session looks for before it changes anything; also for workers that are still
 * to be started. @throws the file system's error where it cannot be written.
 */
function cancelSession({ app, run }, home) {
    markCancelled(openStateFolder(app.appPath, home), run);
    return { kind: 'signalled', accepted: true, detail: 'what has not cut over stops' };
}
const PAST_CUTOVER = /"event":\{"kind":"state","state":"(cutting-over|verifying|putting-back)"\}\}$/;
function saysPastCutover(folder) {
    const events = eventLines(folder.events, 0);
    for (let found = events.read(); found !== undefined; found = found.more ? events.read() : undefined)
        if (found.lines.some(({ line }) => PAST_CUTOVER.test(line)))
            return true;
    return false;
}

;// CONCATENATED MODULE: ./compiled/src/worker/state/past-runs.js





/** How a line of the journal ends a run. */
const ENDS = {
    verified: { task: 'deploy', outcome: 'deployed' },
    'put-back': { task: 'deploy', outcome: 'put-back' },
    broken: { task: 'deploy', outcome: 'broken' },
    'rolled-back': { task: 'rollback', outcome: 'rolled-back' },
};
/**
 * The deploys and rollbacks of this host, newest first. What is told is for people: a run's own word of its end is
 * believed without its seal, because nothing is decided by it.
 */
function pastRuns(state, journal) {
    const runs = new Map();
    for (const run of [...journal.flatMap(runOfLine), ...allRunFolders(state).flatMap(runOfFolder)]) {
        const key = `${run.runId}.${run.attempt}.${run.task}`;
        runs.set(key, { ...runs.get(key), ...run });
    }
    return [...runs.values()].sort((a, b) => b.at - a.at);
}
function runOfLine({ event, at, run, sha }) {
    const end = ENDS[event];
    if (end === undefined)
        return [];
    const { id, attempt, url } = run;
    return [{ ...end, runId: id, attempt, at, sha, ...definedOnly({ url }) }];
}
/** A run's folder is named `<run>.<attempt>.<task>.<invocation>`. */
function runOfFolder(folder) {
    const [runId = '', attempt, task] = (0,external_node_path_namespaceObject.basename)(folder.path).split('.');
    const began = (0,external_node_fs_namespaceObject.statSync)(folder.worker, { throwIfNoEntry: false })?.mtimeMs;
    if ((task !== 'deploy' && task !== 'rollback') || began === undefined)
        return [];
    const lives = workerLives(folder);
    const ended = (0,external_node_fs_namespaceObject.statSync)(folder.events, { throwIfNoEntry: false })?.mtimeMs;
    const result = lives ? undefined : lastResult(folder.events);
    const sha = result?.deployedSha ?? undefined;
    return [
        {
            runId,
            attempt: Number(attempt),
            task,
            outcome: lives ? 'at-work' : (result?.outcome ?? 'cut'),
            at: Math.round(began),
            ...(lives || ended === undefined ? {} : { milliseconds: Math.max(0, Math.round(ended - began)) }),
            ...definedOnly({ sha }),
        },
    ];
}
/** The end that the run told last; undefined where it told none. */
function lastResult(events) {
    const reader = eventLines(events, 0);
    let last = '';
    for (let found = reader.read(); found !== undefined; found = found.more ? reader.read() : undefined)
        last = found.lines.findLast(({ line }) => line !== '')?.line ?? last;
    try {
        const { event } = JSON.parse(last);
        const result = event?.kind === 'ended' ? event.result : undefined;
        if (typeof result?.outcome !== 'string')
            return undefined;
        const { outcome, deployedSha } = result;
        return { outcome, ...(typeof deployedSha === 'string' ? { deployedSha } : {}) };
    }
    catch {
        return undefined;
    }
}

;// CONCATENATED MODULE: ./compiled/src/worker/run/host-status.js








/** Runs and backups that are told. */
const host_status_MOST = 10;
/** What is live on this host, since when, and what was before. Writes nothing, takes no lock, asks no remote. */
async function hostStatus(app, env) {
    const found = await readHostState(app, env);
    const { facts, state } = found;
    const journal = readJournal(state);
    const came = arrivalOf(journal, facts.liveRelease);
    const cutPlan = facts.lock === undefined ? readPlan(state) : undefined;
    const holder = facts.lock?.holder;
    return {
        ...definedOnly({
            environment: facts.environment,
            liveSha: facts.liveSha,
            liveRelease: facts.liveRelease,
            liveSince: came?.at,
            liveRun: came?.event === 'adopted' ? undefined : came?.run.id,
            process: facts.entry?.status,
            cutRun: cutPlan?.run.id,
        }),
        liveVerified: facts.liveVerified,
        ...(holder === undefined
            ? {}
            : { lock: { runId: holder.runId, since: holder.since, ...definedOnly({ url: holder.url }) } }),
        reachable: reachable(found),
        backups: backupsIn((0,external_node_path_namespaceObject.join)(state.path, 'backups')),
        freeBytes: facts.freeBytes,
        runs: pastRuns(state, journal).slice(0, host_status_MOST),
        problems: facts.refusals,
    };
}
/** The line by which the release that is live came, or came back. */
function arrivalOf(journal, release) {
    return journal.findLast((entry) => entry.release === release &&
        (entry.event === 'cutover' || entry.event === 'adopted' || entry.event === 'rolled-back'));
}
function reachable(found) {
    const { history, facts } = found;
    const isAvailable = availability(found);
    return history.verified
        .filter(({ release }) => release !== facts.liveRelease && !history.badReleases.has(release))
        .filter(({ release }) => isAvailable(release))
        .map(({ release, sha }) => ({ release, sha }))
        .reverse();
}
function backupsIn(folder) {
    let names;
    try {
        names = (0,external_node_fs_namespaceObject.readdirSync)(folder);
    }
    catch {
        return [];
    }
    // Their names begin with the time.
    return names
        .filter((name) => name.endsWith('.dump'))
        .sort()
        .reverse()
        .slice(0, host_status_MOST)
        .flatMap((name) => {
        const lying = (0,external_node_fs_namespaceObject.statSync)((0,external_node_path_namespaceObject.join)(folder, name), { throwIfNoEntry: false });
        return lying === undefined ? [] : [{ name, bytes: lying.size, at: Math.round(lying.mtimeMs) }];
    });
}

;// CONCATENATED MODULE: ./compiled/src/lib/missing-schema.js
/** What PostgreSQL and PostgREST say of a table or column that is not there. */
const MISSING = /\b(42P01|42703|PGRST20[0-5])\b|relation "[^"]*" does not exist|column "?[^\s"]+"? (of relation "[^"]*" )?does not exist|Could not find the (table|column|'[^']*' column)/i;
/** True where a program's output tells of a table or column that the database does not have. */
function tellsOfMissing(text) {
    return MISSING.test(text);
}

// EXTERNAL MODULE: external "node:tls"
var external_node_tls_ = __nccwpck_require__(692);
;// CONCATENATED MODULE: ./compiled/src/worker/host/port.js




/** True where a port of this host takes a connection within `timeout` milliseconds; it is closed again at once. */
function connects(port, timeout) {
    return new Promise((resolve) => {
        const socket = (0,external_node_net_.connect)({ host: LOOPBACK, port, lookup: lookupLoopback, autoSelectFamily: true });
        const done = (open) => {
            clearTimeout(timer);
            socket.destroy();
            resolve(open);
        };
        const timer = setTimeout(() => done(false), timeout);
        socket.once('connect', () => done(true)).once('error', () => done(false));
    });
}
/** What is said of an application that does: nothing here asks it that way. */
const SPEAKS_TLS = 'speaks TLS on its own port, where it is asked by plain HTTP';
/** What a handshake fails of where there is a certificate, and it is another one: that too is TLS. */
const ITS_CERTIFICATE = /^(CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_TLS_CERT_)/;
/** True where a port of this host answers a TLS handshake within `timeout` milliseconds, whatever its certificate says. */
function speaksTls(port, timeout) {
    return new Promise((resolve) => {
        const socket = (0,external_node_tls_.connect)({ host: LOOPBACK, port, lookup: lookupLoopback, ...VERIFIED_TLS });
        const done = (finished) => {
            clearTimeout(timer);
            socket.destroy();
            resolve(finished);
        };
        const timer = setTimeout(() => done(false), timeout);
        socket
            .once('secureConnect', () => done(true))
            .once('error', (error) => done(ITS_CERTIFICATE.test(error.code ?? '')));
    });
}

;// CONCATENATED MODULE: ./compiled/src/worker/build/rehearse.js











/** Why a new version is not rehearsed; undefined where it is. */
function rehearsalObstacle(rehearse, supervisor, entry) {
    return rehearse ? supervisor.rehearsalObstacle(entry) : 'rehearse is false';
}
/**
 * The entry's own script, arguments and environment, with the live folder replaced by the stage and the port by a
 * spare one.
 */
function rehearsalCommand(entry, from) {
    const args = withPort(entry.args, from.port);
    const place = (text) => {
        for (const live of from.live)
            if (text === live || text.startsWith(`${live}/`))
                return from.stage + text.slice(live.length);
        return text;
    };
    const script = place(entry.script);
    const interpreter = entry.interpreter === 'none' ? [] : entry.interpreter === 'node' ? [from.node] : [entry.interpreter];
    return {
        words: [...interpreter, ...(interpreter.length === 0 ? [] : entry.nodeArgs), script, ...args.map(place)],
        cwd: place(entry.cwd),
        env: { ...entry.env, PORT: String(from.port), REHEARSAL: '1', NODE_APP_INSTANCE: '0' },
    };
}
/** A port on which nobody listens now, on any address of the host. */
function sparePort() {
    return new Promise((resolve, reject) => {
        const server = (0,external_node_net_.createServer)();
        server.once('error', reject);
        server.listen(0, () => {
            const address = server.address();
            server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
        });
    });
}
/** Starts the new build on the spare port and asks it what the live one will be asked; always ends it again. */
function rehearse(options) {
    const { port, sha, health, tell } = options;
    return whileStarted(options, async ({ listening, signal, said }) => {
        const asked = await askLoopback({ port, health, sha, expectVersion: true, signal, tell });
        if (!asked.healthy)
            throw unhealthyRehearsal(asked.facts, said(), (await speaksTls(port, LONGEST_LOOK)) ? TLS : undefined);
        return { facts: asked.facts, bootMs: await listening };
    });
}
/**
 * Starts the new build on the spare port only to see that it listens: the database is still as the live version needs it,
 * so nothing is asked. Says what came of it. @throws a Failure where it ends or does not listen, unless what it prints
 * tells of a table or column that is missing.
 */
async function tryStart(options) {
    const { port, health } = options;
    const late = AbortSignal.timeout(health.deadline);
    let printed = () => '';
    try {
        const bootMs = await whileStarted(options, async ({ listening, signal, said }) => {
            printed = said;
            const either = AbortSignal.any([signal, late]);
            const listens = await Promise.race([listening, aborted(either)]);
            if (typeof listens === 'number' && !either.aborted)
                return listens;
            if (signal.aborted)
                throw new Cancelled();
            throw new Failure({
                message: `The new version does not listen on port ${port} ${formatDuration(health.deadline)} after its start.\n${said()}`,
                next: 'Nothing was changed. Raise health-deadline, or say rehearse: false.',
            });
        });
        return `listens on port ${port} after ${formatDuration(bootMs)}`;
    }
    catch (error) {
        if (error instanceof Cancelled || !tellsOfMissing(printed()))
            throw error;
        return 'misses a table or column: it is started again when the migrations are committed';
    }
}
function aborted(signal) {
    return new Promise((resolve) => void whenAborted(signal, () => resolve(undefined)));
}
/** Starts the new build on the spare port for as long as `work` takes; always ends it again. */
async function whileStarted(options, work) {
    const { command, port, signal } = options;
    const child = (0,external_node_child_process_namespaceObject.spawn)(command.words[0], command.words.slice(1), {
        cwd: command.cwd,
        env: { ...options.tools.env, ...command.env },
        // PM2 gives one to all that it starts, and programs tell it there that they are ready (wait_ready).
        stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
        detached: true,
    });
    const { stdout, stderr } = child;
    if (stdout === null || stderr === null)
        throw new Error('a program was started without its pipes');
    const heard = collectOutput({ stdout, stderr }, options.log);
    const said = () => lastLines(heard.tail(), 12);
    const stopAsking = new AbortController();
    const listening = listensAfter(port, stopAsking.signal);
    const listenNoMore = whenAborted(signal, () => stopAsking.abort());
    let ended;
    const exited = new Promise((resolve) => {
        const note = (why) => {
            ended ??= why;
            stopAsking.abort();
            resolve();
        };
        child.once('error', (error) => note(`could not be started: ${error.message}`));
        whenEnded(child, (code, by) => note(by === null ? `ended with ${code}` : `was ended by ${by}`));
    });
    try {
        return await work({ listening, signal: stopAsking.signal, said });
    }
    catch (error) {
        if (error instanceof Cancelled && !signal.aborted && ended !== undefined)
            throw new Failure({
                message: `The new version ${ended} while it was rehearsed on port ${port}.\n${said()}`,
                next: `The live version was not touched. ${secondPort(said()) ?? 'Start the build on your machine with the same environment.'}`,
            });
        throw error;
    }
    finally {
        listenNoMore();
        stopAsking.abort();
        if (child.pid !== undefined && ended === undefined) {
            await endGroup(child.pid, 3_000, 'SIGINT');
            await exited;
        }
        heard.end();
    }
}
/** Milliseconds between two looks whether the port is open, and that one may take. */
const rehearse_BETWEEN_LOOKS = 50;
const LONGEST_LOOK = 1_000;
/** Milliseconds from now until a port is open, or until nobody wants to know any more. */
async function listensAfter(port, signal) {
    const started = performance.now();
    while (!signal.aborted && !(await connects(port, LONGEST_LOOK)))
        await pause(rehearse_BETWEEN_LOOKS);
    return Math.round(performance.now() - started);
}
/** What to do where the new version wants a port besides its own, which the live version has. */
function secondPort(said) {
    if (!/EADDRINUSE|address already in use/i.test(said))
        return undefined;
    return 'It wants another port too, which the live version has: let it leave that out where REHEARSAL=1 is set, or say rehearse: false.';
}
const TLS = `It ${SPEAKS_TLS}: leave TLS to the web server in front of it, at least where REHEARSAL=1 is set and on loopback.`;
function unhealthyRehearsal(facts, said, knownWhy) {
    const failure = unhealthy('The new version is not healthy on its spare port', facts, secondPort(said) ?? 'See the output of the rehearsal.');
    const [problem] = failure.problems;
    return new Failure({
        ...problem,
        message: said === '' ? problem.message : `${problem.message}\n${said}`,
        next: `The live version was not touched. ${knownWhy ?? problem.next}`,
    });
}

;// CONCATENATED MODULE: ./compiled/src/worker/host/scratch-folder.js





/**
 * A new folder that only this user can enter, for what is deleted again at once. @throws a Failure where other users
 * could put one of theirs in its place, and with it what our git would read.
 */
function scratchFolder(name) {
    const place = (0,external_node_os_namespaceObject.tmpdir)();
    if (((0,external_node_fs_namespaceObject.statSync)(place).mode & 0o1002) === 0o002)
        throw new Failure({
            message: `${place} can be written by every user of the server and has no sticky bit.`,
            next: `Run once on the server: sudo chmod +t ${quote(place)}`,
        });
    return (0,external_node_fs_namespaceObject.mkdtempSync)((0,external_node_path_namespaceObject.join)(place, `muva-${name}-`));
}

;// CONCATENATED MODULE: ./compiled/src/worker/host/ancestry.js




/**
 * Says whether a commit is older than the live one. What a repository knows of history is true, but a shallow clone
 * knows only a part of it: then the commits that are missing are fetched into a scratch repository, which leaves the
 * clone as it is.
 */
async function isOlder(question) {
    const { repository, sha, liveSha } = question;
    if (liveSha === undefined || liveSha === sha)
        return 'no';
    if (repository !== undefined) {
        const [knowsLive, knowsSha] = [await hasCommit(repository, liveSha), await hasCommit(repository, sha)];
        if (knowsLive && knowsSha) {
            if (await isAncestor(repository, sha, liveSha))
                return 'yes';
            if (await isAncestor(repository, liveSha, sha))
                return 'no';
        }
        if (knowsLive && !(await isShallow(repository)))
            return 'no';
    }
    return askHistory(question, liveSha);
}
/** Milliseconds for the history alone: commits without files, of which a second brings tens of thousands. */
const LONGEST = 60_000;
async function askHistory(question, liveSha) {
    const { tools, repository, sha, request, signal } = question;
    const from = repository ?? { tools, folder: tools.home };
    const folder = scratchFolder('history');
    const scratch = { tools, folder };
    const inTime = AbortSignal.any([signal, AbortSignal.timeout(LONGEST)]);
    try {
        const sources = await fetchSources(from, request);
        await git(scratch, 'init', '-q', '--bare');
        await reachRemoteLike(scratch, from);
        for (const commit of [liveSha, sha])
            await fetchCommit(scratch, commit, sources, inTime, 'its history');
        return (await isAncestor(scratch, sha, liveSha)) ? 'yes' : 'no';
    }
    catch (error) {
        if (error instanceof TokenNeeded || (error instanceof Cancelled && signal.aborted))
            throw error;
        return 'unknown';
    }
    finally {
        removePath(folder);
    }
}

;// CONCATENATED MODULE: ./compiled/src/worker/host-files/shared-paths.js










/**
 * The shared paths that lie outside of every version, with a symlink in each. Among releases all of them. In-place they
 * stay where they are, in the checkout; only what lies inside of a folder that changes place (`.next/cache`) cannot.
 */
function linkedPaths({ strategy }, { sharedPaths, buildOutput }) {
    if (strategy !== 'in-place')
        return [...sharedPaths];
    return sharedPaths.filter((path) => foldersAbove(path).some((above) => isOutput(classifyPath(above, { buildOutput }))));
}
/** What stands against the shared paths as they lie on this host. */
function sharedProblems(found, request) {
    const { sharedPaths, buildOutput, envFilePath, envFile } = request;
    const { state, history } = found;
    const problems = [];
    const note = history.live ? readNote(state, history.live.release) : undefined;
    const made = note?.paths ?? [];
    const output = sharedPaths.filter((path) => isSharedOutput(path, { buildOutput, made }));
    if (output.length > 0)
        problems.push({
            message: `shared-paths holds ${output.join(', ')}, which is built anew with every version: a build would write into the live one.`,
            next: 'Leave it out of shared-paths, or share only what lies inside of it, such as .next/cache.',
        });
    const around = envFile === undefined ? undefined : sharedPaths.find((path) => isInside(envFilePath, path));
    if (around !== undefined)
        problems.push({
            message: `env-file-path ${envFilePath} lies in the shared path ${around}: no version could have its own.`,
            next: 'Use another env-file-path.',
        });
    for (const path of linkedPaths(found, request))
        problems.push(...placeProblems(found, path));
    return problems;
}
/** A shared path moves to its home by a rename, which a file system of its own would refuse in the middle of a cutover. */
function placeProblems({ live, state }, path) {
    const inLive = live === undefined ? undefined : (0,external_node_path_namespaceObject.join)(live, path);
    if (inLive === undefined || !present(inLive))
        return [];
    const home = homeOf(state, path);
    if (isSymlink(inLive)) {
        if (!present(home) || isSymlink(home) || sameTarget(inLive, home))
            return [];
        return [
            {
                message: `The shared path ${path} is a symlink on the server, and ${home} holds something else.`,
                next: `Bring both together in ${home} and remove the symlink.`,
            },
        ];
    }
    if ((0,external_node_fs_namespaceObject.statSync)(inLive).dev === deviceOf(state.shared) &&
        (0,external_node_fs_namespaceObject.statSync)((0,external_node_path_namespaceObject.dirname)(inLive)).dev === (0,external_node_fs_namespaceObject.statSync)(inLive).dev)
        return [];
    return [
        {
            message: `The shared path ${path} is on a file system of its own, so it cannot move to ${home}.`,
            next: `Mount it elsewhere, and once: mkdir -p ${quote((0,external_node_path_namespaceObject.dirname)(home))} && ln -s <that place> ${quote(home)}`,
        },
    ];
}
function homeOf(state, path) {
    return (0,external_node_path_namespaceObject.join)(state.shared, path);
}
function sameTarget(one, other) {
    try {
        return (0,external_node_fs_namespaceObject.realpathSync)(one) === (0,external_node_fs_namespaceObject.realpathSync)(other);
    }
    catch {
        return isSymlink(one) && (0,external_node_fs_namespaceObject.readlinkSync)(one) === other;
    }
}
/**
 * Lets the stage see the files that all versions share: before the build, and again after it, because an install or a
 * build may begin with an empty folder. What still lies in the live version is reached through a symlink until the
 * cutover moves it. Returns the homes where nothing is yet, and which an application has to make as a file.
 */
function linkShared(found, request, folder) {
    const linked = linkedPaths(found, request);
    const missing = [];
    for (const path of request.sharedPaths) {
        const link = (0,external_node_path_namespaceObject.join)(folder, path);
        const inLive = found.live === undefined ? undefined : (0,external_node_path_namespaceObject.join)(found.live, path);
        refuseDetour(folder, path, 'shared-paths');
        if (!linked.includes(path)) {
            if (!present(link) && present(inLive))
                putLink(inLive, link);
            continue;
        }
        const home = homeOf(found.state, path);
        makeHome(home, inLive);
        if (!present(home))
            missing.push(home);
        if (isSymlink(link) && (0,external_node_fs_namespaceObject.readlinkSync)(link) === home)
            continue;
        removePath(link);
        putLink(home, link);
    }
    return missing;
}
/**
 * Makes the folders around the homes of shared paths. What lies in an application that keeps others out moves there, so
 * they keep them out too; how open the outermost is, people may change once something is in it.
 */
async function makeSharedFolders(found, request) {
    const { live, state, tools } = found;
    const linked = linkedPaths(found, request);
    if (live === undefined || linked.length === 0)
        return;
    if ((0,external_node_fs_namespaceObject.readdirSync)(state.shared).length === 0)
        await openLike(tools, live, state.shared);
    for (const path of linked)
        await makeFoldersLike(tools, live, state.shared, path);
}
/** Through a symlink of the commit, what is written or linked in the stage would be so elsewhere. */
function refuseDetour(folder, path, input) {
    const through = foldersAbove(path).find((above) => isSymlink((0,external_node_path_namespaceObject.join)(folder, above)));
    if (through === undefined)
        return;
    throw new Failure({
        message: `${input}: ${path} lies behind ${through}, which is a symlink in the commit.`,
        next: `Name the folder that ${through} leads to.`,
    });
}
function putLink(target, link) {
    (0,external_node_fs_namespaceObject.mkdirSync)((0,external_node_path_namespaceObject.dirname)(link), { recursive: true });
    (0,external_node_fs_namespaceObject.symlinkSync)(target, link);
}
/**
 * Makes the home of a shared path: a symlink to what the live version has; where that has nothing an empty folder, or
 * nothing at all for a name with an extension: the application makes a file itself, in its home, when it first writes.
 */
function makeHome(home, inLive) {
    const has = inLive !== undefined && present(inLive) && !(isSymlink(inLive) && sameTarget(inLive, home));
    // Of an earlier try: it may lead to a version that is not live any more.
    if (has && isSymlink(home))
        removePath(home);
    if (present(home))
        return;
    (0,external_node_fs_namespaceObject.mkdirSync)((0,external_node_path_namespaceObject.dirname)(home), { recursive: true });
    if (has)
        (0,external_node_fs_namespaceObject.symlinkSync)(isSymlink(inLive) ? targetOf(inLive) : inLive, home);
    else if ((0,external_node_path_namespaceObject.extname)(home) === '')
        (0,external_node_fs_namespaceObject.mkdirSync)(home);
}
/** Where a symlink of the host leads, as an absolute path: it is to work from another folder too. */
function targetOf(link) {
    try {
        return (0,external_node_fs_namespaceObject.realpathSync)(link);
    }
    catch {
        const target = (0,external_node_fs_namespaceObject.readlinkSync)(link);
        return (0,external_node_path_namespaceObject.isAbsolute)(target) ? target : (0,external_node_path_namespaceObject.join)((0,external_node_path_namespaceObject.dirname)(link), target);
    }
}
/**
 * Shared paths that lie in the live version and move to their home at the cutover. Where the home holds something of
 * its own, the live one replaced its symlink (many programs write a new file and rename it): it is the newer one, and
 * the other is kept beside it.
 */
function sharesOf(found, request, version, release) {
    return linkedPaths(found, request)
        .flatMap((path) => [path, ...COMPANIONS.map((suffix) => path + suffix)])
        .filter((path) => present((0,external_node_path_namespaceObject.join)(found.live, path)) && !isSymlink((0,external_node_path_namespaceObject.join)(found.live, path)))
        .map((path) => ({ live: (0,external_node_path_namespaceObject.join)(version, path), home: homeOf(found.state, path) }))
        .map(({ live, home }) => ({
        live,
        home,
        ...(present(home) && !isSymlink(home) ? { aside: `${home}.before-${release}` } : {}),
    }));
}

;// CONCATENATED MODULE: ./compiled/src/worker/host-files/as-left.js



/** Looks at a folder by the note of the release that is live in it. `made`: where that was built. */
function asLeftIn(folder, note, made) {
    const stampIn = (path) => note?.stamps[path];
    return {
        stamped: (path) => stampIn(path) !== undefined && stampIn(path) === stampOf((0,external_node_path_namespaceObject.join)(folder, path)),
        written: (path) => {
            const [here, stamp] = [(0,external_node_path_namespaceObject.join)(folder, path), stampIn(path)];
            return stamp !== undefined && present(here) && stamp !== stampOf(here);
        },
        sameAsMade: (path) => made !== undefined && made !== folder && sameContent((0,external_node_path_namespaceObject.join)(made, path), (0,external_node_path_namespaceObject.join)(folder, path)),
    };
}

;// CONCATENATED MODULE: ./compiled/src/worker/host-files/untracked-files.js










/**
 * What only this folder has: it is in no commit, was made by no build, and is not shared. Data, mostly, which a new
 * version would not have. A folder of which nothing is tracked is named as a whole.
 */
function untrackedAmong(untracked, known, list) {
    const foreign = (path, isFolder) => {
        if (classifyPath(path, known) !== 'people')
            return [];
        if (!isFolder)
            return [path];
        const items = list(path).map(({ name, isFolder }) => ({ path: `${path}/${name}`, isFolder }));
        const inside = items.flatMap((item) => foreign(item.path, item.isFolder));
        return items.length > 0 && items.every((item) => inside.includes(item.path)) ? [path] : inside;
    };
    return untracked.flatMap((path) => foreign(path.replace(/\/$/, ''), path.endsWith('/')));
}
/** What only the live folder has; nothing where git does not know the folder. */
async function untrackedInLive(found, asked) {
    const { live, history, facts, state, releases, tools } = found;
    if (live === undefined || facts.git === undefined)
        return [];
    const release = history.live?.sha === facts.liveSha ? history.live?.release : undefined;
    const note = release === undefined ? undefined : readNote(state, release);
    return untrackedIn({ tools, folder: live }, asked, note, release && releaseFolder(releases, release));
}
/** What only a folder has, by the note of the release that is in it. `made`: where that was built. */
async function untrackedIn(repository, asked, note, made) {
    const { folder } = repository;
    if (!(await isWorkTree(repository)))
        return [];
    const left = asLeftIn(folder, note, made);
    const isAsMade = (path) => left.stamped(path) || left.sameAsMade(path);
    const envFiles = [asked.envFilePath, ...(note?.envFiles ?? [])];
    const known = { ...asked, envFiles, isAsMade };
    return untrackedAmong(await untrackedPaths(repository), known, (path) => (0,external_node_fs_namespaceObject.readdirSync)((0,external_node_path_namespaceObject.join)(folder, path), { withFileTypes: true }).map((item) => ({
        name: item.name,
        isFolder: item.isDirectory(),
    })));
}
/** Why the live folder cannot be left behind yet. In-place it is not left. */
async function untrackedProblems(found, asked) {
    if (found.strategy === 'in-place')
        return [];
    const foreign = await untrackedInLive(found, asked);
    if (foreign.length === 0)
        return [];
    return [
        {
            message: `The new version would not have what lies in the live folder only: ${shortenList(foreign)}.`,
            next: 'Name in shared-paths what the application needs, and in build-output what a build makes; what may go, delete on the server.',
        },
    ];
}
/**
 * Moves what only a release has out of it before the release is deleted: it appeared there while it was live, or is the
 * environment file that people wrote before a deploy brought another one. Returns the folder where it is then; undefined
 * where there was nothing.
 */
async function rescue(found, release, asked) {
    const folder = releaseFolder(found.releases, release);
    if (!present(folder))
        return undefined;
    const note = readNote(found.state, release);
    // In-place all that people and the application write stays in the checkout.
    const foreign = found.strategy === 'in-place'
        ? []
        : await untrackedIn({ tools: found.tools, folder }, asked, note, undefined);
    const live = liveFolder(found.app.appPath);
    const envFiles = (note?.found ? note.envFiles : []).filter((path) => present((0,external_node_path_namespaceObject.join)(folder, path)) && !(live && sameContent((0,external_node_path_namespaceObject.join)(folder, path), (0,external_node_path_namespaceObject.join)(live, path))));
    const kept = foreign.filter((path) => !isSymlink((0,external_node_path_namespaceObject.join)(folder, path)));
    if (kept.length + envFiles.length === 0)
        return undefined;
    const place = `${folder}.left-behind`;
    for (const path of [...kept, ...envFiles]) {
        const target = (0,external_node_path_namespaceObject.join)(place, path);
        (0,external_node_fs_namespaceObject.mkdirSync)((0,external_node_path_namespaceObject.dirname)(target), { recursive: true, mode: 0o700 });
        if (!present(target))
            (0,external_node_fs_namespaceObject.renameSync)((0,external_node_path_namespaceObject.join)(folder, path), target);
    }
    return place;
}
/** What a person is told of what was moved out of a release. */
function rescuedWords(release, place) {
    return {
        message: `The release ${release} was deleted; what only it had, and no build made, is kept in ${place}.`,
        next: 'Move what the application needs into its shared path and name that in shared-paths; delete the rest.',
    };
}

;// CONCATENATED MODULE: ./compiled/src/worker/host-files/file-problems.js




/**
 * Why the files of the host would not come through a deploy: looked at by a plan, before a build, and again right before
 * the cutover, because people and the application go on writing.
 */
async function hostProblems(found, request) {
    try {
        const tidy = withTidyPaths(request);
        return [...sharedProblems(found, tidy), ...(await untrackedProblems(found, tidy))];
    }
    catch (error) {
        return problemsOf(error);
    }
}

;// CONCATENATED MODULE: ./compiled/src/worker/host-state/lfs.js




/**
 * Git LFS keeps the content of large files elsewhere; where its filter is not set up, git checks out a few lines that
 * point to it, and every image and font of the version would be such a text.
 */
const POINTER = 'version https://git-lfs.github.com/spec/';
const NOT_SET_UP = {
    message: 'The commit keeps files in Git LFS, and git-lfs is not set up on the server',
    next: 'Once on the server, as the user who deploys: install git-lfs (apt-get install git-lfs), then git lfs install.',
};
/**
 * What stands against a commit of which it is known (`commit`), or expected from what is live, that it has files in Git
 * LFS. `from`: the live checkout, or any folder, whose settings of git hold for the stage too.
 */
async function judgeLfs(from, live, commit) {
    const uses = commit ?? (live !== undefined && (await lfsFiles(live)).length > 0);
    return uses && !(await isSetUp(from)) ? [NOT_SET_UP] : [];
}
/** What of a stage are pointers in place of files: no version must go live so. */
async function pointersIn(stage) {
    const pointers = (await lfsFiles(stage)).filter((path) => isPointer((0,external_node_path_namespaceObject.join)(stage.folder, path)));
    if (pointers.length === 0)
        return undefined;
    if (!(await isSetUp(stage)))
        return { ...NOT_SET_UP, message: `${NOT_SET_UP.message}: ${shortenList(pointers)}.` };
    return {
        message: `git-lfs left pointers in place of files: ${shortenList(pointers)}.`,
        next: 'Look on the server whether GIT_LFS_SKIP_SMUDGE or lfs.fetchexclude leaves them out: git lfs env.',
    };
}
/** The tracked files that a checkout has in Git LFS. */
async function lfsFiles(checkout) {
    return (await git(checkout, 'ls-files', '-z', '--', ':(attr:filter=lfs)')).split('\0').filter(Boolean);
}
async function isSetUp(from) {
    return (((await setting(from, 'filter.lfs.process')) ?? (await setting(from, 'filter.lfs.smudge'))) !== undefined);
}
function isPointer(path) {
    const start = Buffer.alloc(POINTER.length);
    try {
        const file = (0,external_node_fs_namespaceObject.openSync)(path, 'r');
        try {
            return (0,external_node_fs_namespaceObject.readSync)(file, start, 0, start.length, 0) === start.length && start.toString() === POINTER;
        }
        finally {
            (0,external_node_fs_namespaceObject.closeSync)(file);
        }
    }
    catch {
        // Not checked out, as in a sparse checkout: then it is no pointer either.
        return false;
    }
}

;// CONCATENATED MODULE: ./compiled/src/worker/host-state/live-version.js



/** Judges what the live version answered. Scripts and styles follow their page. Pure. */
function judgeLive(facts) {
    const failed = facts.filter(({ ok }) => !ok);
    const paths = failed.filter(({ name }) => name !== 'assets');
    const sick = (paths.length > 0 ? paths : failed).find((fact) => !isDeaf(fact));
    if (sick !== undefined)
        return { kind: 'down', why: wordsOf(sick) };
    const [check] = paths;
    return check === undefined ? { kind: 'tells' } : { kind: 'deaf', check };
}
/** True for an answer of a program that is up and has nothing there that could tell how it is. */
function isDeaf({ fault, status, detail }) {
    if (fault === 'redirect' || fault === 'tls')
        return true;
    if (fault === 'status')
        return status !== null && status >= 400 && status <= 499;
    return fault === 'body' && detail?.includes(PAGE_INSTEAD) === true;
}
function wordsOf({ name, detail, status }) {
    return `${name} ${detail ?? (status === null ? 'gives no answer' : `answers ${status}`)}`;
}
/** Why a version that is not rehearsed must not go live: nothing would show whether it works. Pure. */
function provesNothing(check, notRehearsedWhy) {
    return {
        message: `Nothing could prove the new version: it is not rehearsed (${notRehearsedWhy}), and of the live one, which is up, ${wordsOf(check)}.`,
        next: `${check.next ?? 'Name in health-paths what answers 2xx when all is well (health-paths: /).'} Look too whether health-port is its port.`,
    };
}
/** The checks that the live version passed before anything was changed are all that it can be held to afterwards. Pure. */
function heldTo(health, before) {
    const except = (before ?? []).filter(({ ok }) => !ok).map(({ name }) => name);
    return except.length === 0 ? health : { ...health, except };
}
/** True where no path of the live version was good: it has nothing to prove when it is put back. Pure. */
function wasDown(before) {
    return before?.some(({ name, ok }) => ok && name !== 'assets') === false;
}
/** Milliseconds that the live version is given; what it does not answer by then it does not answer. */
const live_version_LONGEST_LOOK = 5_000;
/** Milliseconds that a handshake may take. */
const LONGEST_HANDSHAKE = 1_000;
/** A connection that is closed without an answer is that of a sick program, unless it waits for another language. */
async function knowTls(port, facts) {
    const isCut = ({ fault }) => fault === 'cut';
    if (!facts.some(isCut) || !(await speaksTls(port, LONGEST_HANDSHAKE)))
        return facts;
    const next = 'Leave TLS to the web server in front of it, at least on loopback.';
    return facts.map((fact) => (isCut(fact) ? { ...fact, fault: 'tls', detail: SPEAKS_TLS, next } : fact));
}
/** Asks the live version each check until it is good once; undefined where nothing is live, or its port is not known. */
async function askLive({ facts: { liveSha, port } }, health, signal) {
    if (liveSha === undefined || port === undefined)
        return undefined;
    const { facts } = await askLoopback({
        port,
        health: { ...health, once: true, successes: 1, deadline: Math.min(health.deadline, live_version_LONGEST_LOOK) },
        version: liveSha,
        expectVersion: false,
        signal,
    });
    return await knowTls(port, facts);
}

;// CONCATENATED MODULE: ./compiled/src/worker/run/decide.js



/** Whether a commit may be deployed now, from what is live and what the journal remembers. */
function decideDeploy(question) {
    const { sha, explicit, attempt, liveSha, liveVerified, history } = question;
    if (sha === liveSha)
        return { kind: liveVerified && !mustRepeat(question) ? 'unchanged' : 'go' };
    if (explicit)
        return { kind: 'go' };
    if (history.badShas.has(sha))
        return {
            kind: 'refuse',
            problem: {
                message: `The commit ${sha} was rolled back on this server and is marked bad.`,
                next: 'Push a commit that cures it. To deploy this one all the same, name it with ref.',
            },
        };
    if (question.olderThanLive === 'unknown')
        return {
            kind: 'refuse',
            problem: {
                message: `Whether the commit ${sha} is older than the live commit ${liveSha} cannot be told: the server does not have their history, and its remote did not give it.`,
                next: 'Run once in the checkout on the server: git fetch --unshallow. To deploy this commit all the same, name it with ref.',
            },
        };
    if (question.olderThanLive === 'no')
        return { kind: 'go' };
    const wasLive = history.verified.some((release) => release.sha === sha);
    if (attempt === 1 && !wasLive)
        return { kind: 'newer-is-live' };
    return {
        kind: 'refuse',
        problem: {
            message: `The commit ${sha} is older than the live commit ${liveSha}: this would be a downgrade.`,
            next: 'To go back use mode: rollback. To deploy this commit all the same, name it with ref.',
        },
    };
}
/** Why the live commit is deployed once more. */
function mustRepeat({ history, appName, runId, envChanges, explicit }) {
    if (envChanges || !runsLive(history, appName))
        return true;
    // A person who names a commit wants it deployed; the same run started again has done so.
    return (explicit && history.deploys.findLast(({ to }) => to.release === history.live?.release)?.runId !== runId);
}
/** Where a rollback goes; a Failure where what was asked for is not there. */
function chooseRollback(question) {
    const { history, isAvailable, to, appName } = question;
    // Another application of the same checkout went back before: this one is still to be restarted there.
    const behind = history.live !== undefined && history.liveVerified && !runsLive(history, appName);
    if (to !== undefined && to !== 'previous')
        return namedTarget(to, history, isAvailable, behind);
    if (to === undefined && question.undoRun !== undefined)
        return undoTarget(question.undoRun, history, isAvailable, behind);
    if (behind)
        return { kind: 'go', to: history.live };
    const previous = previousVerified(history, isAvailable);
    if (!previous)
        throw new Failure({
            message: 'There is no verified release before the live one that could be put back.',
            next: 'Deploy a good commit by naming it with ref.',
        });
    return { kind: 'go', to: previous };
}
function namedTarget(to, history, isAvailable, behind) {
    const matches = history.verified.filter(({ release, sha }) => release === to || (to.length >= 7 && sha.startsWith(to)));
    const live = history.live;
    if (live && matches.some(({ release }) => release === live.release))
        return behind ? { kind: 'go', to: live } : { kind: 'nothing', why: `${to} is live already` };
    const kept = [...matches].reverse().find(({ release }) => isAvailable(release));
    if (kept)
        return { kind: 'go', to: kept };
    throw new Failure({
        message: matches.length === 0
            ? `${to} was never live and verified on this server.`
            : `The release of ${to} has been pruned, so it cannot be put back without a build.`,
        next: 'Deploy that commit by naming it with ref.',
    });
}
/** Undoes all deploys of a run that are live now, down to what was live before the first of them. */
function undoTarget(runId, history, isAvailable, behind) {
    const made = history.deploys.filter((deploy) => deploy.runId === runId);
    const { live } = history;
    if (made.length === 0)
        return {
            kind: 'nothing',
            why: history.putBack.has(runId)
                ? `the server has put back what run ${runId} changed already`
                : `run ${runId} did not change the live version here`,
        };
    const ownReleases = new Set(made.map(({ to }) => to.release));
    if (live === undefined || !ownReleases.has(live.release)) {
        const own = Math.max(...made.map(({ to }) => decide_arrivalOf(history, to.release)));
        if (live !== undefined && decide_arrivalOf(history, live.release) > own)
            return {
                kind: 'nothing',
                why: `${live.sha.slice(0, 7)} came after what run ${runId} deployed, and is live`,
                overtakenBy: live.sha,
            };
        if (behind && live !== undefined)
            return { kind: 'go', to: live };
        return { kind: 'nothing', why: `what run ${runId} deployed is undone already` };
    }
    let from = made.find(({ to }) => to.release === live.release)?.from;
    while (from && ownReleases.has(from.release)) {
        const release = from.release;
        from = made.find(({ to }) => to.release === release)?.from;
    }
    if (from &&
        isAvailable(from.release) &&
        !history.badReleases.has(from.release) &&
        history.verified.some(({ release }) => release === from.release))
        return { kind: 'go', to: from };
    const before = previousVerified(history, isAvailable);
    if (before)
        return { kind: 'go', to: before };
    throw new Failure({
        message: `Run ${runId} deployed here, but there is no verified release before it that could be put back.`,
        next: 'Deploy a good commit by naming it with ref.',
    });
}
/** When a release came last, as a position among all arrivals; -1 where it never did. */
function decide_arrivalOf({ arrivals }, release) {
    return arrivals.findLastIndex((arrival) => arrival.release === release);
}
/** The runs whose releases came after this one: what they changed elsewhere is ahead of it. */
function runsSince(history, release) {
    const since = history.arrivals.slice(decide_arrivalOf(history, release) + 1);
    return [...new Set(since.flatMap(({ runId }) => runId ?? []))];
}
/** What a rollback would do on this host, and which runs it would take back; decided as the rollback itself decides. */
function hostRollbackTarget(question) {
    const { history, undoRun, to: named } = question;
    const own = named === undefined && undoRun !== undefined ? [undoRun] : undefined;
    try {
        const decision = chooseRollback(question);
        const { live } = history;
        if (decision.kind === 'nothing')
            return { ...decision, runs: own ?? (live ? runsSince(history, live.release) : []) };
        const { to } = decision;
        const forward = live !== undefined && decide_arrivalOf(history, to.release) > decide_arrivalOf(history, live.release);
        return { kind: 'go', to, forward, runs: own ?? runsSince(history, to.release) };
    }
    catch (error) {
        return { kind: 'refused', problem: problemsOf(error)[0] };
    }
}

;// CONCATENATED MODULE: ./compiled/src/worker/run/inspect.js















/** Milliseconds for all that the remote is asked. */
const inspect_LONGEST_LOOK = 120_000;
/**
 * Looks at the host and at the commit on its remote; writes nothing that stays.
 * @throws TokenNeeded where only the job's token opens the remote, and the request does not carry it.
 */
async function inspect(request, env) {
    const found = await readHostState(request.app, env);
    const { facts } = found;
    if (request.undo !== undefined) {
        facts.wayBack = hostRollbackTarget({
            ...request.undo,
            appName: request.app.appName,
            history: historyAsFound(found.history, facts.liveSha),
            isAvailable: availability(found),
        });
        return facts;
    }
    facts.deployRefusals.push(...envRefusals(found, {
        explicit: request.explicit,
        ...definedOnly({ writes: request.writesEnvFile }),
    }), ...dirtyRefusals(facts.dirtyFiles, request.dirtyCheckout));
    facts.warnings.push(...dirtyWarnings(facts.dirtyFiles, request.dirtyCheckout));
    facts.deployRefusals.push(...(await hostProblems(found, request)));
    if (found.entry !== undefined && found.live !== undefined) {
        const standing = await found.supervisor.standing({ folder: found.live, entry: found.entry });
        if (standing)
            facts.warnings.push(standing);
    }
    const obstacle = rehearsalObstacle(request.rehearse, found.supervisor, found.entry);
    if (obstacle !== undefined) {
        facts.notRehearsedWhy = obstacle;
        await askWhetherItTells(found, obstacle, request.health);
    }
    // A checkout that git cannot read has been complained about; asking further would only say it again.
    const unreadable = facts.layout === 'checkout' && found.checkout === undefined;
    if (request.sha === undefined || facts.git === undefined || unreadable)
        return facts;
    const from = found.checkout ?? { tools: found.tools, folder: found.tools.home };
    facts.deployRefusals.push(...(await judgeLfs(from, found.checkout, request.lfs)));
    const problem = await lookForCommit(found, { ...request, sha: request.sha });
    facts.shaOnRemote = problem === undefined;
    if (problem) {
        facts.deployRefusals.push(problem);
        return facts;
    }
    const decision = await judgeCommit(found, { ...request, sha: request.sha });
    if (decision.kind === 'refuse')
        facts.deployRefusals.push(decision.problem);
    if (decision.kind === 'newer-is-live')
        facts.newerIsLive = true;
    return facts;
}
/** Without a rehearsal the live version must show that the checks can tell something, or be down. */
async function askWhetherItTells(found, obstacle, health) {
    const { facts } = found;
    if (health === undefined || facts.refusals.length > 0)
        return;
    const asked = await askLive(found, health, AbortSignal.timeout(inspect_LONGEST_LOOK));
    const live = judgeLive(asked ?? []);
    if (live.kind === 'deaf')
        facts.deployRefusals.push(provesNothing(live.check, obstacle));
    if (live.kind === 'down')
        facts.notRehearsedWhy = `${obstacle}; live is down: ${live.why}`;
}
/**
 * Asks the remote for the commit. Most commits that are deployed are the end of a branch, which it shows; any other is
 * fetched into a scratch repository, because a fetch into the live one would write there.
 */
async function lookForCommit(found, request) {
    const { tools, checkout } = found;
    const { sha } = request;
    if (await isThere(found, sha))
        return undefined;
    const signal = AbortSignal.timeout(inspect_LONGEST_LOOK);
    const from = checkout ?? { tools, folder: tools.home };
    let folder;
    try {
        const { source, isTip } = await askRemote(from, sha, await fetchSources(from, request), signal);
        if (isTip)
            return undefined;
        folder = scratchFolder('look');
        const scratch = { tools, folder };
        await git(scratch, 'init', '-q', '--bare');
        await reachRemoteLike(scratch, from);
        await fetchCommit(scratch, sha, [source], signal, 'its existence');
        return undefined;
    }
    catch (error) {
        if (error instanceof TokenNeeded)
            throw error;
        return error instanceof Cancelled ? silentRemote() : problemsOf(error)[0];
    }
    finally {
        if (folder !== undefined)
            removePath(folder);
    }
}
/** True where the deploy has nothing to fetch. A checkout that becomes releases takes the history of what is live along. */
async function isThere({ checkout, strategy, facts }, sha) {
    if (checkout === undefined || !(await hasCommit(checkout, sha)))
        return false;
    const { liveSha } = facts;
    if (strategy !== 'adopt' || sha === liveSha)
        return true;
    return liveSha !== undefined && isAncestor(checkout, sha, liveSha);
}
function silentRemote() {
    return {
        message: `The remote did not answer the server within ${inspect_LONGEST_LOOK / 1_000} s.`,
        next: 'Look on the server: git ls-remote origin. A firewall may drop what goes out.',
    };
}
/** What the deploy would say of the commit. */
async function judgeCommit({ app, tools, facts, checkout, history }, request) {
    const { sha, explicit } = request;
    const { liveSha, liveVerified } = facts;
    const signal = AbortSignal.timeout(inspect_LONGEST_LOOK);
    return decideDeploy({
        sha,
        explicit,
        attempt: request.run.attempt,
        ...definedOnly({ liveSha }),
        liveVerified,
        olderThanLive: explicit
            ? 'no'
            : await isOlder({ tools, repository: checkout, sha, liveSha, request, signal }),
        history,
        appName: app.appName,
        runId: request.run.id,
        envChanges: false,
    });
}

;// CONCATENATED MODULE: ./compiled/src/lib/stop-clock.js
/** Calls `over` once it has run for `limit` milliseconds. It begins paused. */
function stopClock(limit, over) {
    let left = limit;
    let running;
    return {
        resume() {
            if (running)
                return;
            running = { timer: setTimeout(over, Math.max(0, left)), since: performance.now() };
        },
        pause() {
            if (!running)
                return;
            clearTimeout(running.timer);
            left -= performance.now() - running.since;
            running = undefined;
        },
    };
}

;// CONCATENATED MODULE: ./compiled/src/worker/host-files/swap-choice.js






/**
 * What changes place with the live checkout. A build also touches what is not its own: it opens a database, makes a
 * folder for uploads. So only what is named, what builds are known to make, what a deploy of ours made and nobody
 * wrote to since, and what is not there yet takes a place; what else is there already stands in the way.
 */
function chooseSwaps(question) {
    const { made, named, shared, envFiles, linked, inLive, inside } = question;
    const choice = { paths: [], inTheWay: [], leftOut: [] };
    const staying = [...shared, ...envFiles].filter((path) => !linked.includes(path));
    const consider = (path, mayReplace) => {
        const owner = classifyPath(path, { sharedPaths: shared, envFiles });
        if (isOfHost(owner))
            return;
        const look = () => (mayReplace || isOutput(owner) ? 'untouched' : inLive(path));
        const found = holdsAny(path, staying) ? 'folders' : look();
        if (found === 'absent' || found === 'untouched')
            choice.paths.push(path);
        else if (found === 'folders')
            for (const item of inside(path))
                consider(item, mayReplace);
        else if (found === 'differs')
            choice.inTheWay.push(path);
    };
    for (const path of made) {
        if (named.length === 0 || isInstalled(path) || isWithinAny(path, named))
            consider(path, named.length > 0);
        else if (holdsAny(path, named)) {
            for (const item of named)
                if (isInside(item, path))
                    consider(item, true);
        }
        else if (USUAL_OUTPUT.includes((0,external_node_path_namespaceObject.basename)(path)) && inLive(path) !== 'absent')
            choice.leftOut.push(path);
    }
    return choice;
}
/** What stands against a choice, each with the line to write. */
function choiceProblems(choice, named) {
    const own = (paths) => paths.filter((path) => !isInstalled(path));
    const { paths, inTheWay, leftOut } = choice;
    const problems = [];
    if (inTheWay.length > 0)
        problems.push({
            message: `The build made ${shortenList(inTheWay)}, which lies in the live checkout already with other content, and not from a deploy.`,
            next: `If it belongs to the server (uploads, a database), name it in shared-paths. If the build makes it, name in build-output all that it makes: ${own([...paths, ...inTheWay]).join(', ')}.`,
        });
    if (leftOut.length > 0)
        problems.push({
            message: `The build made ${shortenList(leftOut)}, which build-output does not name: that of the live version would stay in its place.`,
            next: `Name all that the build makes: ${[...named, ...own(leftOut)].join(', ')}.`,
        });
    return problems;
}

;// CONCATENATED MODULE: ./compiled/src/worker/build/build-output.js















/** Finds what was made. @throws a Failure where build-output names something that was not. */
async function findOutput(found, request, folder) {
    const all = await findBuildOutput(found, request, folder);
    const has = (path) => present((0,external_node_path_namespaceObject.join)(folder, path)) && (!all.includes(path) || holdsMore(folder, path, request.sharedPaths));
    for (const path of request.buildOutput)
        if (!has(path))
            throw new Failure(silentBuild(path));
    return { all, paths: swapsOf(found, request, folder, all) };
}
async function findBuildOutput(found, { sharedPaths }, folder) {
    const stage = { tools: found.tools, folder };
    const known = { sharedPaths, envFiles: findEnvFiles(folder) };
    const isBrought = (path) => {
        const owner = classifyPath(path, known);
        return owner === 'deploy' || isOfHost(owner);
    };
    const untracked = (await untrackedPaths(stage)).map((path) => path.replace(/\/$/, ''));
    return untracked.filter((path) => !isBrought(path) && holdsMore(folder, path, sharedPaths));
}
/** False for a folder in which nothing lies but the symlinks of shared paths: nobody made that. */
function holdsMore(folder, path, shared) {
    if (!holdsAny(path, shared))
        return true;
    return (0,external_node_fs_namespaceObject.readdirSync)((0,external_node_path_namespaceObject.join)(folder, path)).some((name) => {
        const item = `${path}/${name}`;
        return classifyPath(item, { sharedPaths: shared }) !== 'shared' && holdsMore(folder, item, shared);
    });
}
/**
 * What of all that was made changes place. Asked again right before the cutover: the application writes meanwhile.
 * @throws a Failure where something of the host would be replaced; nothing was changed.
 */
function swapsOf(found, request, folder, made) {
    if (found.strategy !== 'in-place')
        return [...made];
    const { sharedPaths, buildOutput } = request;
    const choice = chooseSwaps({
        made,
        named: buildOutput,
        shared: sharedPaths,
        envFiles: findEnvFiles(folder),
        linked: linkedPaths(found, request),
        inLive: lookIn(found, folder),
        inside: (path) => (0,external_node_fs_namespaceObject.readdirSync)((0,external_node_path_namespaceObject.join)(folder, path)).map((name) => `${path}/${name}`),
    });
    const problems = [
        ...choiceProblems(choice, buildOutput),
        ...deviceProblems(found.live, folder, choice.paths),
    ];
    if (problems.length > 0)
        throw new Failure(problems);
    return choice.paths;
}
/** What changes place: the output, and the environment file that the run writes, where it does not lie in it. */
function withEnvFile(output, { envFile, envFilePath }) {
    const moves = envFile !== undefined && !isWithinAny(envFilePath, output);
    return moves ? [...output, envFilePath] : [...output];
}
/** Compares a path of the stage with the same in the live checkout, and that with what the last deploy left there. */
function lookIn(found, folder) {
    const { state, releases, history, facts } = found;
    const release = history.live?.sha === facts.liveSha ? history.live?.release : undefined;
    const note = release === undefined ? undefined : readNote(state, release);
    const left = asLeftIn(found.live, note, release && releaseFolder(releases, release));
    return (path) => {
        const [live, made] = [(0,external_node_path_namespaceObject.join)(found.live, path), (0,external_node_path_namespaceObject.join)(folder, path)];
        if (!present(live))
            return 'absent';
        if (left.stamped(path))
            return 'untouched';
        if (isFolder(live) && isFolder(made) && !isSymlink(live) && !isSymlink(made))
            return 'folders';
        if (sameContent(live, made))
            return 'same';
        return left.sameAsMade(path) ? 'untouched' : 'differs';
    };
}
/** A rename between file systems would fail in the middle of the cutover. */
function deviceProblems(live, folder, paths) {
    const elsewhere = paths.filter((path) => [(0,external_node_path_namespaceObject.dirname)(path), ...(isSymlink((0,external_node_path_namespaceObject.join)(live, path)) ? [] : [path])].some((place) => deviceOf((0,external_node_path_namespaceObject.join)(live, place)) !== deviceOf(folder)));
    if (elsewhere.length === 0)
        return [];
    return [
        {
            message: `${elsewhere.slice(0, 5).join(', ')} ${elsewhere.length === 1 ? 'is' : 'are'} on another file system than ${folder}, so the new one cannot take its place at once.`,
            next: 'Unmount it, or use strategy: adopt.',
        },
    ];
}
/** Stamps of what may be something else than output, for the next deploy to see whether somebody wrote to it. */
function stampsOf(folder, paths) {
    const others = paths.filter((path) => classifyPath(path, {}) !== 'usual');
    return Object.fromEntries(others.map((path) => [path, stampOf((0,external_node_path_namespaceObject.join)(folder, path))]));
}
/** Exit code 0 is no proof: a build that died silently leaves nothing, or not the thing that the server starts. */
function silentBuild(missing) {
    return {
        message: `The build ended with 0, but ${missing} was not made.`,
        next: 'A build that runs out of memory can end like this: add swap, or build in the job with build-on: runner. If it makes other output now, name all of it in build-output.',
    };
}
/** Finds what was made after a build that ended with 0, and refuses what such a build must have made and has not. */
async function checkOutput(found, request, folder) {
    const made = await findOutput(found, request, folder);
    const stage = { tools: found.tools, folder };
    const missing = [];
    // What build-output names was looked for; nothing else is expected then.
    const wanted = request.buildOutput.length > 0
        ? []
        : missingOutput(made.all, liveOutput(found), usesNext(readProject(folder)));
    for (const path of wanted)
        if (!(await isTracked(stage, path)))
            missing.push(path);
    if (made.all.includes('.next') && !present((0,external_node_path_namespaceObject.join)(folder, '.next/BUILD_ID')))
        missing.push('.next/BUILD_ID');
    if (missing.length > 0)
        throw new Failure(silentBuild(missing[0]));
    return made;
}
/** What of the usual build output the live version has. */
function liveOutput(found) {
    const note = found.history.live ? readNote(found.state, found.history.live.release) : undefined;
    if (note && note.paths.length > 0)
        return note.paths;
    return found.live === undefined ? [] : USUAL_OUTPUT.filter((path) => (0,external_node_fs_namespaceObject.existsSync)((0,external_node_path_namespaceObject.join)(found.live, path)));
}
/** What a build must have made, from what the live version has. Pure: names in, missing names out. */
function missingOutput(made, before, next) {
    const wanted = new Set(before.filter((path) => USUAL_OUTPUT.includes(path)));
    if (next)
        wanted.add('.next');
    return [...wanted].filter((path) => !made.includes(path));
}
/** Folders of a build whose file names hold a hash, so that old and new files can lie side by side. */
const CHUNK_FOLDERS = [
    '.next/static',
    // Where people copy it to for `output: standalone`.
    '.next/standalone/.next/static',
    'dist/assets',
    'dist/static',
    'dist/client/assets',
    'dist/_astro',
    'build/static',
    'build/client/assets',
    '.output/public/_nuxt',
    'public/build',
];
/**
 * Links the static files of the live version into the new one, so that pages which were loaded before the cutover
 * still find theirs. Files that the live version itself took over are left behind: one generation is enough.
 */
function carryChunks(live, folder, notOwn) {
    const skip = new Set(notOwn);
    const carried = [];
    for (const root of CHUNK_FOLDERS) {
        if (!isFolder((0,external_node_path_namespaceObject.join)(live, root)) || !isFolder((0,external_node_path_namespaceObject.join)(folder, root)))
            continue;
        for (const file of filesBelow((0,external_node_path_namespaceObject.join)(live, root))) {
            const path = (0,external_node_path_namespaceObject.join)(root, file);
            const target = (0,external_node_path_namespaceObject.join)(folder, path);
            if (skip.has(path) || present(target))
                continue;
            (0,external_node_fs_namespaceObject.mkdirSync)((0,external_node_path_namespaceObject.dirname)(target), { recursive: true });
            (0,external_node_fs_namespaceObject.linkSync)((0,external_node_path_namespaceObject.join)(live, path), target);
            carried.push(path);
        }
    }
    return carried;
}
/** All files in a folder, however deep, by their paths from it. */
function filesBelow(root, below = '') {
    return (0,external_node_fs_namespaceObject.readdirSync)((0,external_node_path_namespaceObject.join)(root, below), { withFileTypes: true }).flatMap((item) => {
        const path = (0,external_node_path_namespaceObject.join)(below, item.name);
        return item.isDirectory() ? filesBelow(root, path) : item.isFile() ? [path] : [];
    });
}
/**
 * Links the static files of the version that leaves into the one that comes back: until the reload is over the old
 * programs still hand out pages that name them, and visitors have such pages open. Never stands in the way.
 */
function keepOpenPages({ state, live, releases }, from, to, reporter) {
    if (live === undefined)
        return;
    try {
        const notOwn = from === undefined ? [] : (readNote(state, from.release)?.carriedChunks ?? []);
        const carried = carryChunks(live, releaseFolder(releases, to.release), notOwn);
        const note = readNote(state, to.release);
        if (note && carried.length > 0)
            writeNote(state, to.release, { ...note, carriedChunks: [...note.carriedChunks, ...carried] });
    }
    catch (error) {
        reporter.warn({
            message: `The static files of the version that leaves could not be kept: ${problemsOf(error)[0].message}`,
            next: 'A page that is open now may miss a script until it is loaded again.',
        });
    }
}

;// CONCATENATED MODULE: ./compiled/src/lib/collision-words.js

/** Why the commit cannot be deployed: git would overwrite what lies there. Pure. */
function collisionProblem(paths) {
    if (paths.length === 0)
        return undefined;
    return {
        message: `The commit brings files that lie untracked on the server: ${shortenList([...paths])}.`,
        next: 'Move them away on the server, or take them out of the commit (git rm --cached) if they belong to the host.',
    };
}
/** What is said of files that are as the commit has them. Pure. */
function takenOverWords(paths) {
    return `taken over as they are, because the commit has the same: ${shortenList([...paths])}; every way back leaves them`;
}

;// CONCATENATED MODULE: ./compiled/src/worker/host/backup-room.js




/** Bytes that are left free beside a backup, for what a cutover writes. */
const BESIDE = 64 * 1_048_576;
/** The size of the newest backup of a kind in a folder; their names begin with the time. undefined where there is none. */
function lastBackup(folder, what) {
    if (!isFolder(folder))
        return undefined;
    const newest = (0,external_node_fs_namespaceObject.readdirSync)(folder)
        .filter((name) => name.endsWith(`-${what}.dump`))
        .sort()
        .at(-1);
    return newest === undefined ? undefined : (0,external_node_fs_namespaceObject.statSync)((0,external_node_path_namespaceObject.join)(folder, newest)).size;
}
/** Why a backup would not find room; undefined where it does. Pure. */
function backupRoomProblem({ what, bytes }, last, freeBytes) {
    const needed = last ?? bytes;
    if (freeBytes >= needed + BESIDE)
        return undefined;
    const why = last === undefined
        ? `the database has ${formatBytes(bytes)}`
        : `the last ${what} backup has ${formatBytes(last)}`;
    return {
        message: `Only ${formatBytes(freeBytes)} are free where the backup goes, and ${why}: nothing was changed.`,
        next: 'Free some space on the server, lower keep-releases (as many backups are kept), or say backup-to: runner.',
    };
}

;// CONCATENATED MODULE: ./compiled/src/worker/host/inherit-rights.js




/** What an access list in getfacl's words gives to whom it names: `default` entries are for what is made inside. Pure. */
function namedIn(list) {
    const named = [...list.matchAll(/^(default:)?((?:user|group):[^:\s]+):([rwx-]{3})/gm)].map(([, inside, who, rights]) => ({
        inside: inside !== undefined,
        // To enter is meant for folders, and for what is a program anyway.
        entry: { who: who, rights: rights.replaceAll('-', '').replace('x', 'X') },
    }));
    return {
        access: named.filter(({ inside }) => !inside).map(({ entry }) => entry),
        inside: named.filter(({ inside }) => inside).map(({ entry }) => entry),
    };
}
/**
 * Gives a file or folder, with all in it, the group of the one that it will replace, and those who are named in its access
 * list. What shuts its own group out is opened to nobody. Resolves to what could not be given, in words.
 */
async function inheritRights(tools, from, to) {
    const [was, is] = [(0,external_node_fs_namespaceObject.lstatSync)(from), (0,external_node_fs_namespaceObject.lstatSync)(to)];
    if (was.isSymbolicLink() || was.isDirectory() !== is.isDirectory())
        return [];
    const lost = takeGroup(to, was, is);
    const [list, own] = [await listOf(tools, from), await listOf(tools, to)];
    if (list === own)
        return lost;
    const { access, inside } = namedIn(list);
    if (access.length + inside.length === 0)
        return lost;
    return (await takeNamed(tools, to, access, inside)) ? lost : [...lost, 'its access list'];
}
function takeGroup(to, was, is) {
    const setgid = was.isDirectory() && (was.mode & 0o2000) !== 0;
    if (was.gid === is.gid && (!setgid || (is.mode & 0o2000) !== 0))
        return [];
    try {
        for (const { path, stats } of inherit_rights_entriesBelow(to)) {
            if (stats.gid !== was.gid)
                (0,external_node_fs_namespaceObject.lchownSync)(path, stats.uid, was.gid);
            if (setgid && stats.isDirectory())
                (0,external_node_fs_namespaceObject.chmodSync)(path, (stats.mode & 0o7777) | 0o2000);
        }
        return [];
    }
    catch {
        return [`its group ${groupName(was.gid)}`];
    }
}
/** The access list as text; empty where there is none, or no program that could tell. */
async function listOf(tools, path) {
    if (tools.find('getfacl') === undefined || tools.find('setfacl') === undefined)
        return '';
    const { code, stdout } = await call(tools, ['getfacl', '-cpn', '--', path]);
    return code === 0 && /^(?!(user|group|other)::)\S/m.test(stdout) ? stdout : '';
}
/** Paths that one call of a program is given. */
const inherit_rights_AT_ONCE = 500;
async function takeNamed(tools, to, access, inside) {
    const all = inherit_rights_entriesBelow(to).filter(({ stats }) => !stats.isSymbolicLink());
    const open = all.filter(({ stats }) => (stats.mode & 0o040) !== 0).map(({ path }) => path);
    const folders = all.filter(({ stats }) => stats.isDirectory()).map(({ path }) => path);
    const words = (named, prefix) => named.map(({ who, rights }) => `${prefix}${who}:${rights}`).join(',');
    const give = async (entries, paths) => {
        for (let at = 0; at < paths.length && entries !== ''; at += inherit_rights_AT_ONCE) {
            const some = paths.slice(at, at + inherit_rights_AT_ONCE);
            if ((await call(tools, ['setfacl', '-m', entries, '--', ...some])).code !== 0)
                return false;
        }
        return true;
    };
    const given = inside.length > 0 ? inside : access;
    return (await give(words(given, ''), open)) && (await give(words(inside, 'default:'), folders));
}
/** A file or folder and all below it, without following a symlink. */
function inherit_rights_entriesBelow(path) {
    const stats = (0,external_node_fs_namespaceObject.lstatSync)(path);
    if (!stats.isDirectory())
        return [{ path, stats }];
    const below = (0,external_node_fs_namespaceObject.readdirSync)(path, { withFileTypes: true }).flatMap((item) => inherit_rights_entriesBelow((0,external_node_path_namespaceObject.join)(path, item.name)));
    return [{ path, stats }, ...below];
}

;// CONCATENATED MODULE: external "node:fs/promises"
const external_node_fs_promises_namespaceObject = require("node:fs/promises");
;// CONCATENATED MODULE: ./compiled/src/worker/host/copy-tree.js




const copy_tree_NOTHING = { bytes: 0, entries: 0 };
/** Measures what lies at a path, without following a symlink; nothing where nothing is there. */
async function sizeOfTree(path) {
    const stats = await statIfThere(path);
    if (stats === undefined)
        return copy_tree_NOTHING;
    if (!stats.isDirectory())
        return { bytes: stats.size, entries: 1 };
    const size = { bytes: 0, entries: 1 };
    for (const name of await (0,external_node_fs_promises_namespaceObject.readdir)(path)) {
        const { bytes, entries } = await sizeOfTree((0,external_node_path_namespaceObject.join)(path, name));
        size.bytes += bytes;
        size.entries += entries;
    }
    return size;
}
async function statIfThere(path) {
    try {
        return await (0,external_node_fs_promises_namespaceObject.lstat)(path);
    }
    catch (error) {
        if (error.code === 'ENOENT')
            return undefined;
        throw error;
    }
}
/**
 * Copies a file or a whole folder to a path where nothing is, with its times. The file system shares the blocks where it
 * can (btrfs, XFS); a later write to one of the two is never seen in the other. Pipes, sockets and devices are left out.
 * @throws Cancelled, or the file system's error; what was copied until then is left.
 */
async function copyTree(from, to, signal) {
    if (signal.aborted)
        throw new Cancelled();
    const stats = await (0,external_node_fs_promises_namespaceObject.lstat)(from);
    if (stats.isSymbolicLink())
        return (0,external_node_fs_promises_namespaceObject.symlink)(await (0,external_node_fs_promises_namespaceObject.readlink)(from), to);
    if (stats.isDirectory()) {
        await (0,external_node_fs_promises_namespaceObject.mkdir)(to);
        for (const name of await (0,external_node_fs_promises_namespaceObject.readdir)(from))
            await copyTree((0,external_node_path_namespaceObject.join)(from, name), (0,external_node_path_namespaceObject.join)(to, name), signal);
    }
    else if (stats.isFile())
        await (0,external_node_fs_promises_namespaceObject.copyFile)(from, to, external_node_fs_namespaceObject.constants.COPYFILE_FICLONE | external_node_fs_namespaceObject.constants.COPYFILE_EXCL);
    else
        return;
    await (0,external_node_fs_promises_namespaceObject.utimes)(to, stats.atime, stats.mtime);
}

;// CONCATENATED MODULE: ./compiled/src/worker/build/cache-places.js


/** Next.js keeps there what the running version optimized and fetched: an old answer must not come back with a new build. */
const OF_THE_RUNNING_VERSION = ['images', 'fetch-cache'];
/** Where tools keep their caches, from a folder that has a package.json. */
const KNOWN = [
    { path: '.next/cache', except: OF_THE_RUNNING_VERSION },
    { path: 'node_modules/.cache', except: [] },
    { path: 'node_modules/.vite', except: [] },
    { path: '.turbo', except: [] },
    { path: '.nx/cache', except: [] },
    { path: '.vite', except: [] },
    { path: '.eslintcache', except: [] },
];
/** The places where caches of this commit may lie, whether or not something is there. */
function cachePlaces({ tracked, sharedPaths, buildOutput, read }) {
    const projects = tracked.filter((path) => (0,external_node_path_namespaceObject.basename)(path) === 'package.json').map(external_node_path_namespaceObject.dirname);
    const known = [...new Set(['.', ...projects])]
        .filter((folder) => !folder.split('/').includes('node_modules'))
        .flatMap((folder) => KNOWN.map(({ path, except }) => ({ path: folder === '.' ? path : `${folder}/${path}`, except })));
    const compiled = tracked
        .filter((path) => /^tsconfig(\.[\w-]+)*\.json$/.test((0,external_node_path_namespaceObject.basename)(path)) && emitsNothing(read(path) ?? ''))
        .map((path) => ({ path: `${path.slice(0, -'.json'.length)}.tsbuildinfo`, except: [] }));
    const isCache = ({ path }) => 
    // What the commit brings is its own, and what a person names is data or output, whatever else it may be.
    !tracked.some((file) => isInside(file, path)) &&
        !sharedPaths.some((shared) => isInside(shared, path) || isInside(path, shared)) &&
        !buildOutput.some((named) => isInside(named, path));
    return [...known, ...compiled].filter(isCache);
}
/**
 * True where a tsconfig says itself that nothing is written. With output, a tsbuildinfo says that the output is there: in a
 * fresh stage the compiler would leave it out, and end well.
 */
function emitsNothing(tsconfig) {
    try {
        const { compilerOptions } = JSON.parse(plainJson(tsconfig));
        return compilerOptions?.noEmit === true;
    }
    catch {
        return false;
    }
}
/** JSON with comments and commas before a closing bracket, as tsconfig files have them, without both. */
function plainJson(text) {
    let plain = '';
    for (let at = 0; at < text.length;) {
        const end = endOfToken(text, at);
        const token = text.slice(at, end);
        const isComment = token.startsWith('//') || token.startsWith('/*');
        if (token === '}' || token === ']')
            plain = plain.trimEnd().replace(/,$/, '');
        if (!isComment)
            plain += token;
        at = end;
    }
    return plain;
}
/** The end of the string, the comment or the one character that begins at `start`. */
function endOfToken(text, start) {
    if (text.startsWith('//', start))
        return endAfter(text.indexOf('\n', start), 0, text);
    if (text.startsWith('/*', start))
        return endAfter(text.indexOf('*/', start + 2), 2, text);
    if (text[start] !== '"')
        return start + 1;
    let at = start + 1;
    while (at < text.length && text[at] !== '"')
        at += text[at] === '\\' ? 2 : 1;
    return at + 1;
}
function endAfter(found, length, text) {
    return found < 0 ? text.length : found + length;
}

;// CONCATENATED MODULE: ./compiled/src/worker/build/ended-by-itself.js

/** What tools say of a worker of theirs that the kernel or a full heap ended, while they end with 1 themselves. */
const MEMORY_FAULTS = /heap out of memory|SIGKILL|SIGABRT|SIGSEGV|SIGBUS|ENOMEM|Cannot allocate memory|ENOSPC/;
/**
 * True where a failed build came to its own end: what it wrote into its caches is whole. After a signal, a fault of the
 * memory or a full disk it may be torn. Pure over the Failure of the command.
 */
function endedByItself(error) {
    const { code, message } = problemOf(error);
    return code !== undefined && /^\d+$/.test(code) && Number(code) < 128 && !MEMORY_FAULTS.test(message);
}

;// CONCATENATED MODULE: ./compiled/src/worker/build/build-cache.js












function storeOf(state) {
    const root = (0,external_node_path_namespaceObject.join)(state.path, 'build-cache');
    return {
        root,
        current: (0,external_node_path_namespaceObject.join)(root, 'current'),
        next: (0,external_node_path_namespaceObject.join)(root, 'next'),
        record: (0,external_node_path_namespaceObject.join)(root, 'store.json'),
    };
}
/** Why the next build gets no caches; undefined where it may have them. Pure. */
function coldReason({ failed, unfinished = 0 }) {
    if (failed)
        return 'the last warm build failed';
    return unfinished > 1 ? `the last ${unfinished} warm builds did not end` : undefined;
}
/** Bytes of all caches of one application, and what must stay free for the build. */
const MOST_BYTES = 2 * 1_073_741_824;
const LEFT_BYTES = 1_073_741_824;
const LEFT_INODES = 50_000;
/** Which of the caches are kept or brought, the small ones first: they are the ones that cost nothing. Pure. */
function withinBounds(measured, room) {
    let bytes = Math.min(MOST_BYTES, room.freeBytes - LEFT_BYTES);
    let inodes = (room.freeInodes ?? Number.POSITIVE_INFINITY) - LEFT_INODES;
    const taken = [];
    const left = [];
    for (const place of [...measured].sort((a, b) => a.bytes - b.bytes)) {
        const fits = place.bytes <= bytes && place.entries <= inodes;
        (fits ? taken : left).push(place);
        if (!fits)
            continue;
        bytes -= place.bytes;
        inodes -= place.entries;
    }
    return { taken, left };
}
/**
 * Runs a build with the caches of the build before it, and keeps those that it leaves: `build` runs the command, `judge`
 * says what it made, after the caches have been taken out of the stage. What becomes of the caches never fails a build.
 * @throws what `build` and `judge` throw
 */
async function withBuildCache(options, build, judge) {
    const store = storeOf(options.state);
    if (options.request.buildCache === 'off') {
        await unlessItFails(options, () => removePath(store.root));
        await build();
        return judge();
    }
    let places = [];
    let warm = false;
    await unlessItFails(options, async () => {
        (0,external_node_fs_namespaceObject.mkdirSync)(store.root, { recursive: true, mode: 0o700 });
        places = await placesIn(options);
        warm = await bring(store, places, options);
    });
    try {
        await build();
        await unlessItFails(options, () => takeOut(store, places, options));
        const made = await judge();
        await unlessItFails(options, () => build_cache_keep(store));
        return made;
    }
    catch (error) {
        await unlessItFails(options, async () => {
            if (!warm && endedByItself(error)) {
                await takeOut(store, places, options);
                build_cache_keep(store);
                return;
            }
            removePath(store.next);
            // Of one that was stopped it is not known whether the caches are to blame.
            if (warm && !(error instanceof Cancelled))
                writeRecord(store.record, { failed: true });
        });
        throw error;
    }
}
async function unlessItFails({ reporter }, work) {
    try {
        await work();
    }
    catch (error) {
        if (error instanceof Cancelled)
            throw error;
        reporter.progress(`build caches: ${messageOf(error)}; the build goes on without them`);
    }
}
async function placesIn({ stage, request }) {
    const tracked = await trackedPaths(stage);
    return cachePlaces({ tracked, ...request, read: (path) => readText((0,external_node_path_namespaceObject.join)(stage.folder, path)) });
}
/** Resolves to whether the stage has caches now. */
async function bring(store, places, { live, stage, reporter, signal }) {
    removePath(store.next);
    const known = present(store.record);
    // One that cannot be read tells nothing good of the caches beside it.
    const history = known ? (readMark(store.record) ?? { failed: true }) : {};
    const from = known ? store.current : live;
    const cold = coldReason(history);
    if (cold !== undefined)
        reporter.progress(`cold: ${cold}`);
    if (cold !== undefined || from === undefined)
        return false;
    const { taken, left } = await chosen(from, places, stage.folder);
    tellLeft(left, reporter);
    const brought = taken.filter(({ path }) => !isBehindLink(stage.folder, path));
    if (brought.length === 0)
        return false;
    // Before the build: a worker that is killed in it tells nothing any more.
    writeRecord(store.record, { unfinished: (history.unfinished ?? 0) + 1 });
    const items = brought
        .flatMap(({ path }) => itemsOf(from, path, places))
        .filter((item) => !present((0,external_node_path_namespaceObject.join)(stage.folder, item)));
    try {
        for (const item of items) {
            const to = (0,external_node_path_namespaceObject.join)(stage.folder, item);
            (0,external_node_fs_namespaceObject.mkdirSync)((0,external_node_path_namespaceObject.dirname)(to), { recursive: true });
            await copyTree((0,external_node_path_namespaceObject.join)(from, item), to, signal);
        }
    }
    catch (error) {
        // A part of a cache is none.
        for (const item of items)
            removePath((0,external_node_path_namespaceObject.join)(stage.folder, item));
        throw error;
    }
    reporter.progress(`warm: ${inWords(brought)}`);
    return true;
}
/** Measures the caches that lie in a folder, and says which of them there is room for. */
async function chosen(folder, places, disk) {
    const measured = [];
    for (const { path } of places) {
        const size = { path, bytes: 0, entries: 0 };
        for (const item of itemsOf(folder, path, places)) {
            const { bytes, entries } = await sizeOfTree((0,external_node_path_namespaceObject.join)(folder, item));
            size.bytes += bytes;
            size.entries += entries;
        }
        if (size.entries > 0)
            measured.push(size);
    }
    return withinBounds(measured, freeSpace(disk));
}
/** What of a place is a cache, by paths from the root: the file itself, or what lies in the folder. */
function itemsOf(folder, path, places) {
    const at = (0,external_node_path_namespaceObject.join)(folder, path);
    if (!present(at) || isSymlink(at) || isBehindLink(folder, path))
        return [];
    if (!isFolder(at))
        return [path];
    const except = places.find((place) => place.path === path)?.except ?? [];
    return (0,external_node_fs_namespaceObject.readdirSync)(at)
        .filter((name) => !except.includes(name))
        .map((name) => `${path}/${name}`);
}
/** A folder that is a symlink may lead to what others use too. */
function isBehindLink(folder, path) {
    return foldersAbove(path).some((above) => isSymlink((0,external_node_path_namespaceObject.join)(folder, above)));
}
/** Moves the caches out of the stage, so that no release carries them. What there is no room for is deleted. */
async function takeOut(store, places, { stage, reporter }) {
    removePath(store.next);
    (0,external_node_fs_namespaceObject.mkdirSync)(store.next, { mode: 0o700 });
    const { taken, left } = await chosen(stage.folder, places, stage.folder);
    for (const { path } of left)
        for (const item of itemsOf(stage.folder, path, places))
            removePath((0,external_node_path_namespaceObject.join)(stage.folder, item));
    for (const { path } of taken)
        for (const item of itemsOf(stage.folder, path, places)) {
            (0,external_node_fs_namespaceObject.mkdirSync)((0,external_node_path_namespaceObject.dirname)((0,external_node_path_namespaceObject.join)(store.next, item)), { recursive: true });
            (0,external_node_fs_namespaceObject.renameSync)((0,external_node_path_namespaceObject.join)(stage.folder, item), (0,external_node_path_namespaceObject.join)(store.next, item));
        }
    for (const { path } of [...taken, ...left])
        dropEmptyFolder((0,external_node_path_namespaceObject.join)(stage.folder, path));
    tellLeft(left, reporter);
}
/** Next.js writes into its own at work, so that one stays. */
function dropEmptyFolder(folder) {
    if (folder.endsWith('/.next/cache') || !isFolder(folder) || (0,external_node_fs_namespaceObject.readdirSync)(folder).length > 0)
        return;
    (0,external_node_fs_namespaceObject.rmdirSync)(folder);
}
/** What was taken out is what the next build is given. */
function build_cache_keep(store) {
    if (!present(store.next))
        return;
    // Between the two the store is empty, and the next build cold.
    removePath(store.current);
    (0,external_node_fs_namespaceObject.renameSync)(store.next, store.current);
    writeRecord(store.record, {});
}
function inWords(places) {
    return [...places]
        .sort((a, b) => b.bytes - a.bytes)
        .map(({ path, bytes }) => `${path} ${formatBytes(bytes)}`)
        .join(', ');
}
function tellLeft(left, reporter) {
    if (left.length > 0)
        reporter.progress(`build caches left out, for want of room or larger than 2 GB: ${inWords(left)}`);
}

;// CONCATENATED MODULE: ./compiled/src/worker/build/build-commands.js

const LOCK_FILES = [
    ['pnpm-lock.yaml', 'pnpm'],
    ['package-lock.json', 'npm'],
    ['npm-shrinkwrap.json', 'npm'],
    ['yarn.lock', 'yarn'],
    ['bun.lock', 'bun'],
    ['bun.lockb', 'bun'],
];
/** The commands that install and build, from the lock file and package.json; given ones win. */
function recipeOf(project, commands) {
    const { files, packageJson } = project;
    if (!packageJson) {
        return definedOnly({ install: commands.install, build: commands.build });
    }
    const named = packageJson.packageManager?.split('@')[0];
    const locked = LOCK_FILES.filter(([file]) => files.has(file)).map(([, manager]) => manager);
    const packageManager = locked.find((manager) => manager === named) ?? locked[0];
    const dependencies = { ...packageJson.dependencies, ...packageJson.devDependencies };
    const needsInstall = Object.keys(dependencies).length > 0;
    if (commands.install === undefined && packageManager === undefined && needsInstall)
        return {
            refusal: {
                message: 'The commit has dependencies but no lock file, so an install would not give the same tree twice.',
                next: 'Commit the lock file (pnpm-lock.yaml, package-lock.json, yarn.lock or bun.lock), or give install-command.',
            },
        };
    const yarn1 = packageJson.packageManager?.startsWith('yarn@1.') ?? false;
    const install = commands.install ?? (packageManager && installCommand(packageManager, files, yarn1));
    const build = commands.build ??
        (packageJson.scripts?.build === undefined ? undefined : `${packageManager ?? 'npm'} run build`);
    return definedOnly({ packageManager, install, build });
}
/**
 * Exactly what is locked, and nothing that is not needed: what lies in the store of the package manager is not asked for
 * again, because the lock file names it by its content.
 */
function installCommand(manager, files, yarn1) {
    switch (manager) {
        case 'npm':
            return 'npm ci --prefer-offline --no-audit --no-fund';
        case 'pnpm':
            return 'pnpm install --frozen-lockfile --prefer-offline';
        case 'yarn':
            if (files.has('.yarnrc.yml'))
                return 'yarn install --immutable';
            // The newer ones look into their cache first by themselves, and end at a flag that they do not know.
            return `yarn install --frozen-lockfile${yarn1 ? ' --prefer-offline' : ''}`;
        case 'bun':
            return 'bun install --frozen-lockfile';
    }
}

;// CONCATENATED MODULE: ./compiled/src/worker/build/missing-files.js





/** What an application writes, and no build reads. */
const WRITTEN = /\.(log|pid|sock|sqlite3?|db|bak|gz|zip|sql|csv)$/i;
/** The files that may be settings or keys: of the root or a folder of it. Pure. */
function mayBeSettings(paths) {
    return paths.filter((path) => path.split('/').length <= 2 && !WRITTEN.test(path));
}
/**
 * A failure with what the server has and the stage had not: a key (`serviceAccountKey.json`), settings (`config.env`) or an
 * `.npmrc` that nobody tracks, and that only people know to be needed. Nothing is added where all is there.
 */
async function withMissingFiles(error, found, request, folder) {
    if (!(error instanceof Failure) || found.live === undefined)
        return error;
    const untracked = await untrackedInLive(found, request).catch(() => []);
    const missing = mayBeSettings(untracked).filter((path) => isFile((0,external_node_path_namespaceObject.join)(found.live, path)) && !present((0,external_node_path_namespaceObject.join)(folder, path)));
    if (missing.length === 0)
        return error;
    return new Failure([
        ...problemsOf(error),
        {
            message: `The server has files that are in no commit, and the new version did not: ${shortenList(missing)}.`,
            next: 'Name in shared-paths those that the build or the start needs.',
        },
    ]);
}

;// CONCATENATED MODULE: ./compiled/src/worker/build/first-error.js

/** Lines that are shown of an output. */
const first_error_MOST = 12;
/** `./app/page.tsx:5:10`, `src/a.ts(5,10)`: a file of the project with a position; not one of a stack. */
const POSITION = /^(?!\s*at\s).*?[\w\])-]\.[cm]?(?:[jt]sx?|vue|svelte|astro|css|scss|json)(?::\d+|\(\d+,\d+\))/;
const COMPLAINT = /\b(?:error|failed|cannot|unexpected)\b/i;
/**
 * The part of a program's output that says why it failed, without colours: from the first error that names a file and a
 * position on, else the last lines. Pure.
 */
function firstError(output) {
    const lines = (0,external_node_util_namespaceObject.stripVTControlCharacters)(output)
        .split('\n')
        .map((line) => line.trimEnd())
        .filter((line) => line.trim() !== '');
    const at = lines.findIndex((line) => POSITION.test(line) && !line.includes('node_modules/'));
    if (at < 0)
        return lines.slice(-first_error_MOST).join('\n');
    // The line above often is the headline: "Failed to compile."
    const start = COMPLAINT.test(lines[at - 1] ?? '') ? at - 1 : at;
    // Warnings with positions come before an error without one: then the end says more.
    const part = lines.slice(start, start + first_error_MOST);
    return part.some((line) => COMPLAINT.test(line)) ? part.join('\n') : lines.slice(-first_error_MOST).join('\n');
}

;// CONCATENATED MODULE: ./compiled/src/worker/build/stage-marks.js










function marksOf(state) {
    return (0,external_node_path_namespaceObject.join)(state.path, 'stages');
}
function markStage(state, folder) {
    (0,external_node_fs_namespaceObject.mkdirSync)(marksOf(state), { recursive: true, mode: 0o700 });
    const mark = { folder };
    writeRecord((0,external_node_path_namespaceObject.join)(marksOf(state), `${(0,external_node_path_namespaceObject.basename)(folder)}.json`), mark);
}
/**
 * Deletes a stage that never went live. Where that fails the run still ends with its own reason, and the next one deletes
 * the folder by its mark.
 */
async function discardStage(repository, folder, reporter) {
    try {
        await dropRelease(repository, folder);
    }
    catch (error) {
        reporter.progress(`${folder} could not be deleted, and is left to the next run: ${problemsOf(error)[0].message}`);
    }
}
/** Whether a release came to its cutover, by all that is written down: then it may be live, or a rollback target. */
function reachedCutover(release, { noted, journal }) {
    return noted || journal.some((entry) => entry.release === release || entry.from?.release === release);
}
/** Deletes stages that never went live, and ends what a killed worker left running in them (a build, a rehearsal). */
function clearStages({ state, app, supervisor, reporter }) {
    if (!isFolder(marksOf(state)))
        return;
    const journal = readJournal(state);
    for (const name of (0,external_node_fs_namespaceObject.readdirSync)(marksOf(state)).filter((name) => name.endsWith('.json'))) {
        const mark = (0,external_node_path_namespaceObject.join)(marksOf(state), name);
        const folder = readMark(mark)?.folder;
        // Of another version: it alone knows what it marked.
        if (folder === undefined)
            continue;
        const release = (0,external_node_path_namespaceObject.basename)(name, '.json');
        const noted = readNote(state, release) !== undefined;
        if (present(folder) && !reachedCutover(release, { noted, journal })) {
            // The path that was marked may have become the way to the live application since.
            if (liveFolder(folder) === liveFolder(app.appPath))
                continue;
            if (!endPrograms(folder, supervisor, reporter))
                continue;
            const stays = catchProblem(() => removePath(folder));
            if (stays) {
                reporter.warn({
                    message: `${folder} was left behind by a cut run, and could not be deleted: ${stays.message}`,
                    next: 'Delete it on the server.',
                });
                continue;
            }
        }
        catchProblem(() => removePath(mark));
    }
}
/** Ends the builds and rehearsals in a stage. False where another program works there: then it is no longer ours alone. */
function endPrograms(folder, supervisor, reporter) {
    const programs = programsIn(folder);
    const strange = programs.find((pid) => !isOurProgram(pid) || supervisor.keeps(pid));
    if (strange !== undefined) {
        reporter.warn({
            message: `${folder} was left behind by a cut run, and stays: ${commandOf(strange) ?? strange} works in it.`,
            next: 'End that program, or move it elsewhere; the next run then deletes the folder.',
        });
        return false;
    }
    for (const pid of programs) {
        reporter.warn({ message: `A program that a cut run left behind was ended: ${commandOf(pid) ?? pid}` });
        try {
            process.kill(pid, 'SIGKILL');
        }
        catch {
            // It ended by itself meanwhile.
        }
    }
    return true;
}
/** Builds are told the commit, rehearsals that they are one. */
function isOurProgram(pid) {
    const env = processEnvironment(pid);
    return env?.DEPLOY_SHA !== undefined || env?.REHEARSAL !== undefined;
}

;// CONCATENATED MODULE: ./compiled/src/worker/build/stage.js
















/** The repository whose objects a stage is checked out from: the live checkout, or the bare one of the releases. */
async function stageRepository(found, request) {
    if (found.strategy === 'in-place')
        return found.checkout;
    const bare = { tools: found.tools, folder: found.state.repository };
    if (isFolder(bare.folder))
        return bare;
    const live = found.checkout;
    const origin = request.repositoryUrl ?? (live && (await originOf(live))) ?? request.jobRepositoryUrl;
    if (origin === undefined)
        throw new Failure({
            message: 'The server has no repository to fetch from yet.',
            next: 'Give repository-url.',
        });
    // Complete before it has its name: what a killed worker left half made is never taken for the whole.
    const half = { tools: found.tools, folder: `${bare.folder}.half` };
    removePath(half.folder);
    (0,external_node_fs_namespaceObject.mkdirSync)(half.folder, { mode: 0o700 });
    await git(half, 'init', '-q', '--bare');
    await git(half, 'remote', 'add', 'origin', origin);
    if (live) {
        await reachRemoteLike(half, live);
        // The live history too, so that "older than the live commit" can be judged; a shallow clone has only a part of it.
        await git(half, 'fetch', '-q', '--no-tags', '--update-shallow', live.folder, '+HEAD:refs/deploys/live');
    }
    (0,external_node_fs_namespaceObject.renameSync)(half.folder, bare.folder);
    return bare;
}
async function fetchSha(repository, request, signal) {
    const sources = await fetchSources(repository, request);
    await fetchCommit(repository, request.sha, sources, signal);
}
/** Checks the commit out beside the live application. */
async function checkOutStage(found, repository, request, folder) {
    markStage(found.state, folder);
    // Before anything is in it: git checks out into a folder that is empty. Among the releases nobody else may write.
    (0,external_node_fs_namespaceObject.mkdirSync)(folder, { mode: found.live === undefined ? 0o755 : 0o700 });
    if (found.live !== undefined)
        await openLike(found.tools, found.live, folder);
    await git(repository, 'worktree', 'prune');
    await git(repository, 'worktree', 'add', '-q', '--detach', '--force', folder, request.sha);
    const stage = { tools: found.tools, folder };
    if ((await headOf(stage)) !== request.sha)
        throw new Failure({ message: `The stage holds another commit than ${request.sha}.` });
    return stage;
}
/** Brings the host's own files into the stage; resolves to its environment files. */
async function bringHostFiles(found, request, stage, reporter) {
    const { folder } = stage;
    const { live, tools } = found;
    const tracked = new Set((await git(stage, 'ls-files', '-z')).split('\0'));
    const envFiles = live === undefined
        ? []
        : findEnvFiles(live).filter((path) => classifyPath(path, { tracked }) !== 'tracked');
    if (live !== undefined) {
        const lessOpen = await carryEnvFiles(tools, live, folder, envFiles);
        for (const file of lessOpen.filter(({ path }) => path !== request.envFilePath || request.envFile === undefined))
            reporter.warn(lessOpenWords(file));
    }
    if (request.envFile !== undefined) {
        if (found.strategy === 'in-place' && tracked.has(request.envFilePath))
            throw new Failure(trackedEnvFile(request.envFilePath));
        refuseDetour(folder, request.envFilePath, 'env-file-path');
        if (live !== undefined)
            await closeFoldersLike(tools, live, folder, request.envFilePath);
        const written = (0,external_node_path_namespaceObject.join)(folder, request.envFilePath);
        writeAtomically(written, request.envFile);
        // Nobody chose the mode of a file that git made.
        const replaced = live === undefined || tracked.has(request.envFilePath) ? undefined : (0,external_node_path_namespaceObject.join)(live, request.envFilePath);
        if (replaced !== undefined && isFile(replaced)) {
            const lost = await giveRights(tools, replaced, written);
            if (lost.length > 0)
                reporter.warn(lessOpenWords({ path: request.envFilePath, lost }));
        }
        if (!envFiles.includes(request.envFilePath))
            envFiles.push(request.envFilePath);
    }
    const inside = linkedInPlace(found, request).find((path) => [...tracked].some((file) => isInside(file, path)));
    if (inside !== undefined)
        throw new Failure({
            message: `The commit tracks files in the shared path ${inside}, which lies inside of what is built.`,
            next: `Take them out of git: git rm -r --cached ${quote(inside)}`,
        });
    await makeSharedFolders(found, request);
    for (const home of linkShared(found, request, folder))
        reporter.progress(`shared-paths: ${home} is not there yet; the application makes that file itself. For a folder: mkdir -p ${quote(home)}`);
    return envFiles;
}
/** Among releases a symlink takes the place of what the commit has there; in a checkout git would take it back. */
function linkedInPlace(found, request) {
    return found.strategy === 'in-place' ? linkedPaths(found, request) : [];
}
/** The checkout would have the file of the commit again as soon as git turns to it. */
function trackedEnvFile(path) {
    return {
        message: `env-file would be written to ${path}, which the commit tracks.`,
        next: `Take it out of git (git rm --cached ${quote(path)}, and a line in .gitignore), or use another env-file-path.`,
    };
}
/** Decides how the commit is installed and built, and refuses before anything is run. */
function decideRecipe({ tools, request, folder }) {
    if (readText((0,external_node_path_namespaceObject.join)(folder, '.gitmodules'))?.includes('[submodule'))
        throw new Failure({
            message: 'The commit has git submodules, and a deploy brings only its own files to the server.',
            next: 'Build in the job, where actions/checkout fetches them with submodules: true (build-on: runner), or take them into the repository.',
        });
    const recipe = recipeOf(readProject(folder), {
        install: request.installCommand,
        build: request.buildCommand,
    });
    if (recipe.refusal)
        throw new Failure(recipe.refusal);
    const manager = recipe.packageManager;
    const needed = request.installCommand === undefined || request.buildCommand === undefined;
    if (manager !== undefined && needed && tools.find(manager) === undefined)
        throw new Failure({
            message: `${manager} is not found on the server, and the commit is locked with it.`,
            next: tools.find('corepack') === undefined
                ? `Install it: npm install --global ${manager}`
                : `Run once on the server: corepack enable ${manager}`,
        });
    return recipe;
}
/** Runs one command of the project in the stage; its failure names the command and shows its last lines. */
async function runInStage(what, command, options) {
    const { tools, request, folder, reporter, signal } = options;
    const env = {
        ...tools.env,
        DEPLOY_SHA: request.sha,
        // Without a terminal a package manager must not ask; a build treats CI differently, so it is not told. With
        // NODE_ENV=production in the session it would leave out the dependencies that the build needs.
        ...(what === 'install' ? { CI: 'true', NODE_ENV: undefined } : {}),
    };
    const ended = await runToEnd(['/bin/sh', '-c', command], {
        cwd: folder,
        env,
        signal,
        output: reporter.output(what),
    });
    if (ended.code === 0)
        return command;
    throw new Failure({
        message: `${command} ${explainEnd(ended)}.\n${firstError(ended.tail)}`,
        ...(ended.code === null ? {} : { code: String(ended.code) }),
        next: failureAdvice(what, ended),
    });
}
function failureAdvice(what, ended) {
    if (ended.signal === 'SIGKILL' || ended.code === 137)
        return 'Add swap or memory to the server, or build in the job with build-on: runner.';
    if (/frozen-lockfile|ERR_PNPM_OUTDATED_LOCKFILE|npm ci.*in sync|lockfile would have been modified/i.test(ended.tail))
        return 'The lock file does not fit package.json: run the install on your machine and commit the lock file.';
    return `The live version was not touched. Run the ${what} on your machine at this commit, and see the output above.`;
}

;// CONCATENATED MODULE: ./compiled/src/worker/build/prepare.js




























/** Everything that can fail: checkout, install, build, rehearsal, all beside the live application; where the database is changed in between, on the word of the action. */
async function prepareStage(found, repository, context, result, live) {
    const { request, reporter } = context;
    reporter.event({ kind: 'state', state: 'preparing' });
    const release = newReleaseName(request.sha);
    const folder = releaseFolder(found.releases, release);
    try {
        // The backup comes while the database is waited for, and room for it is needed once.
        const waitsAt = request.cutover === 'builds-later' ? 'installed' : 'built';
        const forDatabase = async (at) => {
            if (at !== waitsAt)
                return;
            refuseBackup(found, request);
            await context.hold(at, live);
        };
        const installed = () => forDatabase('installed');
        const stage = await build(found, repository, context, { release, folder, installed });
        await tryStage(found, stage, context);
        await forDatabase('built');
        const bootMs = await rehearseStage(found, stage, context, result);
        return bootMs === undefined ? stage : { ...stage, bootMs };
    }
    catch (error) {
        const told = await withMissingFiles(error, found, request, folder);
        await discardStage(repository, folder, reporter);
        throw told;
    }
}
async function build(found, repository, context, { release, folder, installed }) {
    const { request, reporter } = context;
    const stage = await reporter.step('stage', () => checkOutStage(found, repository, request, folder));
    const pointers = await pointersIn(stage);
    if (pointers !== undefined)
        throw new Failure(pointers);
    const early = await lookAtCollisions(found, request, stage, []);
    if (early && early.takenOver.length > 0)
        reporter.progress(takenOverWords(early.takenOver));
    writeAtomically((0,external_node_path_namespaceObject.join)(folder, 'REVISION'), `${request.sha}\n`, 0o644);
    let envFiles = [];
    const bring = async () => {
        envFiles = await bringHostFiles(found, request, stage, reporter);
    };
    let made;
    if (request.packedBuild === undefined) {
        await bring();
        made = await installAndBuild(found, context, folder, installed);
    }
    else
        made = await reporter.step('unpack', async () => {
            await prepare_unpack(found, context, request.packedBuild, folder);
            // Only now: an archive must not write through the symlinks of the host.
            await bring();
            return checkOutput(found, request, folder);
        }, prepare_listed);
    const rebuilt = await rebuiltFiles(stage, request.sharedPaths);
    const paths = withEnvFile(made.paths, request);
    const tracking = await lookAtCollisions(found, request, stage, paths);
    const notOwn = found.history.live
        ? (readNote(found.state, found.history.live.release)?.carriedChunks ?? [])
        : [];
    const carriedChunks = found.live === undefined ? [] : carryChunks(found.live, folder, notOwn);
    if (found.live !== undefined)
        await inheritFrom(found.live, stage, made.paths, reporter);
    const start = found.entry === undefined ? await decideFirstStart(found, context, folder) : undefined;
    const change = await decideEntryChange(found, context, folder);
    const port = isPortless(found)
        ? undefined
        : (portAfter(change, context) ?? found.facts.port ?? (start && portOf(start.entry)));
    if (port === undefined && !isPortless(found))
        throw new Failure({
            message: 'The port of the application is not known: it stands neither in PORT nor in -p / --port of its start.',
            next: `Give health-port. A program without a port: "app-name: ${request.app.appName} none".`,
        });
    return {
        release,
        sha: request.sha,
        folder,
        made: made.all,
        paths,
        rebuilt,
        ...definedOnly({ tracking }),
        envFiles,
        carriedChunks,
        ...definedOnly({ port, start, change }),
        otherStarts: await startsOfOthers(found, context, folder),
    };
}
/** How those of the other programs are started that do not run yet. */
async function startsOfOthers({ others }, { reporter }, folder) {
    const starts = new Map();
    for (const { name, supervisor, entry } of others) {
        if (entry !== undefined)
            continue;
        const start = await supervisor.firstStart({ folder, packageManager: 'npm', reporter });
        if (start)
            starts.set(name, start);
    }
    return starts;
}
/** How the application is run from this build on; undefined where that stays as it is. */
async function decideEntryChange({ supervisor, entry, live, facts }, { reporter }, folder) {
    // A version without a name could not be given its entry back.
    if (entry === undefined || live === undefined || facts.liveSha === undefined)
        return undefined;
    const change = await supervisor.follow({ folder, reporter }, { folder: live, entry });
    if (change)
        reporter.progress(change.words);
    return change;
}
/** True for a program that nobody can ask. */
function isPortless({ app, entry }) {
    return app.portless !== undefined || entry?.portless === true;
}
/** Where the application listens by a changed entry, as far as that says it and nobody else does. */
function portAfter(change, { request }) {
    return change === undefined || request.app.healthPort !== undefined ? undefined : portOf(change.entry);
}
/** Whoever could read what is replaced, a web server by its group say, can read what comes. */
async function inheritFrom(live, { tools, folder }, paths, reporter) {
    for (const path of paths) {
        const [from, to] = [(0,external_node_path_namespaceObject.join)(live, path), (0,external_node_path_namespaceObject.join)(folder, path)];
        // Packages are hard links into a store, which others share.
        if (isInstalled(path) || !present(from) || !present(to))
            continue;
        const lost = await inheritRights(tools, from, to);
        if (lost.length > 0)
            reporter.warn({
                message: `The new ${path} could not be given ${lost.join(' and ')}: a web server that reads it by that may be refused.`,
                next: 'Add the user of the SSH connection to that group, or install the package acl on the server.',
            });
    }
}
/** How the application is started that is not run yet; undefined where its supervisor need not know. */
async function decideFirstStart({ supervisor }, { request, reporter }, folder) {
    const project = readProject(folder);
    const { packageManager = 'npm' } = recipeOf(project, {});
    return supervisor.firstStart({
        folder,
        ...definedOnly({ startCommand: request.startCommand, scripts: project.packageJson?.scripts }),
        packageManager,
        reporter,
    });
}
const prepare_listed = ({ paths }) => paths.join(', ');
/** Installs and builds in the stage, and waits between the two for `installed`; resolves to what this made. */
async function installAndBuild(found, { request, reporter, signal }, folder, installed) {
    const options = { tools: found.tools, request, folder, reporter, signal };
    const { install, build } = decideRecipe(options);
    // An install or a build may begin with an empty folder, and take the symlinks of shared paths away with the old one.
    const inStage = async (what, command) => {
        await runInStage(what, command, options);
        linkShared(found, request, folder);
    };
    if (install !== undefined)
        await reporter.step('install', () => inStage('install', install), () => install);
    await installed();
    if (build === undefined)
        return findOutput(found, request, folder);
    return reporter.step('build', () => withBuildCache({ ...found, live: found.live, stage: { tools: found.tools, folder }, request, reporter, signal }, () => inStage('build', build), () => checkOutput(found, request, folder)), (made) => `${build}: ${prepare_listed(made)}`);
}
/** Puts the build that was made in the job into the stage; nothing is installed or built here. */
async function prepare_unpack(found, { signal, reporter }, file, folder) {
    await must(found.tools, ['tar', '-xzf', file, '--no-same-owner', '-C', folder], {
        signal,
        output: reporter.output('unpack'),
    });
}
/**
 * Finds the files that the new commit and the live one do not both track. @throws a Failure where the new one brings
 * files that lie on the server already: git would overwrite them. What a package manager wrote is kept as a patch.
 */
async function lookAtCollisions(found, request, stage, swapped) {
    const { liveSha } = found.facts;
    if (found.strategy !== 'in-place' || liveSha === undefined)
        return undefined;
    const tracking = await lookAtTracking(found.checkout, {
        from: liveSha,
        to: request.sha,
        shared: request.sharedPaths,
        swapped,
        takenBefore: (found.history.live && readNote(found.state, found.history.live.release)?.takenOver) ?? [],
        rules: stage,
    });
    const problem = collisionProblem(inTheWayOf(tracking));
    if (problem !== undefined)
        throw new Failure(problem);
    return tracking;
}
/** How the new version is started beside the live one; undefined, with a word why, where it is not. */
async function rehearsalOf(found, stage, { request, reporter, signal }, tell) {
    const entry = stage.change?.entry ?? found.entry ?? stage.start?.entry;
    const obstacle = rehearsalObstacle(request.rehearse, found.supervisor, entry);
    if (obstacle !== undefined || entry === undefined) {
        tell(`not rehearsed: ${obstacle ?? 'nothing tells how the application is started'}`);
        return undefined;
    }
    const port = await sparePort();
    const { appPath } = request.app;
    // The symlink before the folder that it lies in.
    const live = [currentLink(appPath), appPath, ...(found.live === undefined ? [] : [found.live])];
    const command = rehearsalCommand(entry, {
        live,
        stage: stage.folder,
        port,
        node: found.tools.find('node'),
    });
    const { tools } = found;
    const { sha, health } = request;
    return { tools, command, port, sha, health, log: reporter.logged, tell: reporter.progress, signal };
}
/** @throws a Failure where the backup, which comes next, would not find room beside what was built. */
function refuseBackup({ state, app }, { backup }) {
    if (backup === undefined)
        return;
    const last = lastBackup((0,external_node_path_namespaceObject.join)(state.path, BACKUPS), backup.what);
    const problem = backupRoomProblem(backup, last, freeSpace(app.appPath).freeBytes);
    if (problem !== undefined)
        throw new Failure(problem);
}
/** Before the migrations are committed: a version that cannot even start need not wait for them. */
async function tryStage(found, stage, context) {
    if (context.request.cutover !== 'step-by-step')
        return;
    // Why it cannot be started is told where it would be rehearsed.
    const options = await rehearsalOf(found, stage, context, () => { });
    if (options)
        await context.reporter.step('start', () => tryStart(options), (said) => said);
}
/** Resolves to the milliseconds that the new version took until it listened; undefined where it was not rehearsed. */
async function rehearseStage(found, stage, context, result) {
    result.rehearsed = false;
    const options = await rehearsalOf(found, stage, context, context.reporter.progress);
    if (!options)
        return undefined;
    const { bootMs } = await context.reporter.step('rehearsal', () => rehearse(options), ({ facts }) => `healthy on port ${options.port}: ${facts.map(({ name }) => name).join(', ')}`);
    result.rehearsed = true;
    return bootMs;
}

;// CONCATENATED MODULE: ./compiled/src/worker/host/downtime.js







/** Milliseconds between two looks whether the port is open: a connection, of which an application notices nothing. */
const downtime_EVERY = 20;
/** Requests at most: they are counted, and the health checks need them more. `PART` of those left are the probe's. */
const MOST_REQUESTS = 6;
const PART = 1 / 4;
/** Milliseconds from a request to the next, and how it grows; it begins again when the port opens, and after a bad one. */
const FIRST_GAP = 100;
const GROWTH = 3;
/** Milliseconds after which a connection, and a request, is given up; the words of `lostRequests` name the latter. */
const LONGEST_CONNECT = 1_000;
const downtime_LONGEST = 5_000;
/**
 * Measures on loopback for how long an application is away, until it is stopped: by the port, many times a second, and
 * by a few answers, since an open port may answer nothing. `reporter` is told at the end how closely it was measured, and
 * is warned of requests that were lost.
 */
function probeDowntime(port, budget, reporter) {
    const looks = [];
    const requests = [];
    const mayAsk = requestCounter(budget);
    let running = true;
    let gap = FIRST_GAP;
    let nextRequest = 0;
    let bad = false;
    const closely = () => {
        gap = FIRST_GAP;
        nextRequest = Math.min(nextRequest, performance.now() + gap);
    };
    const request = () => {
        const asked = sample(() => answers(`http://${LOOPBACK}:${port}/`, downtime_LONGEST));
        nextRequest = performance.now() + gap;
        gap *= GROWTH;
        requests.push(asked);
        void asked.then(({ good }) => {
            bad = !good;
            if (bad)
                closely();
        });
    };
    const measured = (async () => {
        const from = performance.now();
        let wasOpen = false;
        while (running) {
            const look = await sample(() => connects(port, LONGEST_CONNECT));
            looks.push(look);
            if (look.good && !wasOpen) {
                closely();
                nextRequest = look.ended;
            }
            wasOpen = look.good;
            if (look.good && performance.now() >= nextRequest && mayAsk(false))
                request();
            await pause(downtime_EVERY);
        }
        // A fault that nobody has seen the end of would last until now.
        if (bad && wasOpen && mayAsk(true))
            request();
        const answered = await Promise.all(requests);
        const downtime = measureDowntime(looks, answered, { from, to: performance.now() });
        if (downtime.lost > 0)
            reporter.warn(lostRequests(downtime));
        reporter.progress(howMeasured(downtime));
        return downtime.ms;
    })();
    return {
        stop() {
            running = false;
            return measured;
        },
    };
}
async function sample(work) {
    const asked = performance.now();
    const good = await work();
    return { asked, ended: performance.now(), good };
}
/** Says of each request whether it may go out, and counts it; one is kept for the last. */
function requestCounter(budget) {
    const counted = budget && openRequests(ledgerOf(budget), budget, 0);
    const most = Math.min(MOST_REQUESTS, counted ? Math.floor(counted.left() * PART) : MOST_REQUESTS);
    let used = 0;
    return (last) => {
        if (used >= (last ? most : most - 1) || counted?.begin(false) === false)
            return false;
        counted?.end(true);
        used += 1;
        return true;
    };
}
/**
 * Adds up the gaps that the looks at the port and the requests saw, counting no moment twice. Pure; takes both in the
 * order they were sent in.
 */
function measureDowntime(looks, requests, measured) {
    const port = gapsOf(looks);
    const answers = gapsOf(requests);
    const sent = [measured.from, ...requests.map(({ asked }) => asked), measured.to];
    return {
        ms: Math.round(lengthOf([...port.gaps, ...answers.gaps])),
        lost: answers.lost,
        requests: requests.length,
        resolution: Math.round(Math.max(...sent.slice(1).map((at, index) => at - sent[index]))),
    };
}
/**
 * One opens when something goes out that is never answered, and closes with the first good answer to a later one, or
 * with the end.
 */
function gapsOf(asked) {
    const gaps = [];
    let lost = 0;
    let closes = asked.reduce((latest, { ended }) => Math.max(latest, ended), 0);
    for (const { asked: from, ended, good } of [...asked].reverse()) {
        if (good) {
            closes = Math.min(closes, ended);
            continue;
        }
        gaps.push({ from, to: closes });
        if (closes < ended)
            lost++;
    }
    return { gaps, lost };
}
/** The length of all of them together, where they overlap once. */
function lengthOf(spans) {
    let length = 0;
    let until = Number.NEGATIVE_INFINITY;
    for (const { from, to } of [...spans].sort((a, b) => a.from - b.from)) {
        length += Math.max(0, to - Math.max(from, until));
        until = Math.max(until, to);
    }
    return length;
}
function howMeasured({ ms, requests, resolution }) {
    return `${formatDuration(ms)} without an answer: the port was looked at every ${downtime_EVERY} ms; ${requests === 1 ? '1 answer was' : `${requests} answers were`} asked for, so a fault behind an open port that is shorter than ${formatDuration(resolution)} may not be in it`;
}
function lostRequests({ lost, requests }) {
    return {
        message: `${lost} of ${requests} requests on loopback during the cutover got no answer within 5 s, though later ones did.`,
        next: 'Under PM2 in cluster mode an application loses a connection now and then when it exits on SIGINT without disconnecting first: docs/server.md, "No connection lost".',
    };
}

;// CONCATENATED MODULE: ./compiled/src/worker/cutover/cutover-plan.js












/** Everything the cutover will change, decided before the first change. */
function planCutover(found, stage, request) {
    const { strategy, live, releases, facts, app, state } = found;
    const { run } = request;
    const from = liveRef(found);
    const to = { release: stage.release, sha: stage.sha };
    const base = {
        task: 'deploy',
        run: { id: run.id, attempt: run.attempt, ...definedOnly({ url: run.url }) },
        ...definedOnly({ from }),
        to,
        ...(stage.change === undefined ? {} : { entry: { from: entryFile(state, from.release) } }),
    };
    const home = strategy === 'adopt' ? releaseFolder(releases, from.release) : live;
    const shares = home === undefined ? [] : sharesOf(found, request, home, stage.release);
    if (strategy === 'in-place') {
        const kept = releaseFolder(releases, from.release);
        return {
            ...base,
            shares,
            swaps: stage.paths.map((path) => ({
                live: (0,external_node_path_namespaceObject.join)(live, path),
                incoming: (0,external_node_path_namespaceObject.join)(stage.folder, path),
                kept: (0,external_node_path_namespaceObject.join)(kept, path),
                had: present((0,external_node_path_namespaceObject.join)(live, path)),
            })),
            checkout: {
                folder: live,
                fromSha: facts.liveSha,
                toSha: stage.sha,
                from: extrasOfLive(found, from, stage),
                to: { rebuilt: { folder: stage.folder, paths: stage.rebuilt }, host: [] },
                untrack: stage.tracking?.untrack ?? [],
                takenOver: stage.tracking?.takenOver ?? [],
                aside: asideFor(state, base.run, to),
            },
        };
    }
    const link = currentLink(app.appPath);
    if (strategy === 'adopt') {
        const release = releaseFolder(releases, from.release);
        return {
            ...base,
            swaps: [],
            shares,
            adopt: { folder: app.appPath, release },
            link: { path: link, from: release, to: stage.folder },
        };
    }
    return {
        ...base,
        swaps: [],
        shares,
        link: { path: link, ...definedOnly({ from: live }), to: stage.folder },
    };
}
/** What the live version has beside its commit, for the way back to it. */
function extrasOfLive({ state, releases, facts }, from, { tracking, changes, paths }) {
    // What people changed after the build comes back by their changes.
    const rebuilt = (readNote(state, from.release)?.rebuilt ?? []).filter((path) => !facts.dirtyFiles.includes(path));
    return extrasOf(releaseFolder(releases, from.release), rebuilt, paths, tracking?.hostFrom ?? [], changes);
}
/** What is in a folder that changes place comes with it, and must only be kept from git, like a file of the host. */
function extrasOf(folder, rebuilt, swapped, host, changes) {
    const moves = (path) => isWithinAny(path, swapped);
    return {
        rebuilt: { folder, paths: rebuilt.filter((path) => !moves(path)) },
        host: [...host, ...rebuilt.filter(moves)],
        ...definedOnly({ changes }),
    };
}
/** Where files lie while git works that it would overwrite; of one run alone, so that nothing old is in it. */
function asideFor(state, { id, attempt }, to) {
    return (0,external_node_path_namespaceObject.join)(state.path, `aside.${id}.${attempt}.${to.release}`);
}
/** The release that is live; one is named where a commit is live that our journal does not know. */
function liveRef({ history, facts }) {
    if (facts.liveSha === undefined)
        return undefined;
    return historyAsFound(history, facts.liveSha).live ?? handMade(facts.liveSha);
}
/** Writes down what a later rollback must know, before the first change. */
async function noteReleases(found, stage, plan) {
    const { state } = found;
    writeNote(state, stage.release, {
        sha: stage.sha,
        paths: stage.paths,
        stamps: stampsOf(stage.folder, stage.made),
        rebuilt: stage.rebuilt,
        envFiles: stage.envFiles,
        envDigest: envDigest(readEnvFiles(stage.folder, stage.envFiles)),
        carriedChunks: stage.carriedChunks,
        takenOver: takenOverBy(found, stage),
    });
    if (plan.from && found.live !== undefined)
        await noteLeaving(found, plan, stage.envFiles);
}
/** What the new release has taken over, itself or through those before it. */
function takenOverBy({ history, state }, { tracking }) {
    const before = history.live && readNote(state, history.live.release)?.takenOver;
    const left = new Set(tracking?.hostFrom);
    return [...(before ?? []).filter((path) => !left.has(path)), ...(tracking?.takenOver ?? [])];
}
/** What moves away from the live version now, and its env files as they are now, is what a rollback brings back. */
async function noteLeaving(found, plan, envFiles) {
    const { state, releases, tools } = found;
    const from = plan.from;
    const note = readNote(state, from.release);
    const folder = releaseFolder(releases, from.release);
    const inPlace = plan.checkout !== undefined;
    const kept = movedTo(folder, plan);
    const ownEnvFiles = [...new Set([...envFiles, ...(note?.envFiles ?? [])])].filter((path) => present((0,external_node_path_namespaceObject.join)(found.live, path)));
    if (inPlace) {
        // What moves there was kept from others by the folders of the live version.
        (0,external_node_fs_namespaceObject.mkdirSync)(folder, { recursive: true, mode: 0o700 });
        await openLike(tools, found.live, folder);
        for (const path of kept)
            await makeFoldersLike(tools, found.live, folder, path);
        await carryEnvFiles(tools, found.live, folder, ownEnvFiles);
    }
    const changes = plan.checkout?.from.changes;
    const changed = new Set(changes?.paths);
    writeNote(state, from.release, {
        sha: from.sha,
        ...(note === undefined || note.found ? { found: true } : {}),
        paths: [...new Set([...(note?.paths ?? []), ...kept])],
        stamps: note?.stamps ?? {},
        rebuilt: (note?.rebuilt ?? []).filter((path) => !changed.has(path)),
        envFiles: ownEnvFiles,
        ...(note?.envDigest === undefined ? {} : { envDigest: note.envDigest }),
        carriedChunks: note?.carriedChunks ?? [],
        ...definedOnly({ takenOver: note?.takenOver }),
        ...(inPlace ? { kept } : {}),
        ...definedOnly({ changes }),
    });
}
/** What a plan moves into the folder of the release that leaves, by paths in the application. */
function movedTo(folder, { swaps }) {
    return swaps.flatMap(({ live, kept, had }) => {
        const place = live.startsWith(`${folder}/`) ? live : had ? kept : undefined;
        return place?.startsWith(`${folder}/`) ? [place.slice(folder.length + 1)] : [];
    });
}

;// CONCATENATED MODULE: ./compiled/src/worker/cutover/verify.js


/**
 * Proves that the version which should be live is: every check good on loopback, the right commit answering, and the
 * supervisor's own proof that it is the restarted application that answers. Resolves with the last answers.
 */
async function verifyRestart(options) {
    const { supervisor, port, sha, expectVersion, tell } = options;
    const watch = await supervisor.watch(options);
    if (port === undefined) {
        // It answers nobody: that it stays is all that there is to see.
        await watch.prove().finally(() => watch.end());
        return [];
    }
    const health = { ...options.health, deadline: options.health.deadline + watch.ownDelay };
    let asked;
    try {
        asked = await askLoopback({ port, health, sha, expectVersion, signal: watch.signal, tell });
    }
    catch (error) {
        const crash = await watch.end();
        throw error instanceof Cancelled && crash !== undefined ? crash : error;
    }
    await watch.end();
    if (!asked.healthy)
        throw notHealthy(asked.facts, supervisor);
    if (!(await watch.prove()))
        return asked.facts;
    const { signal } = new AbortController();
    const again = await askLoopback({ port, health, sha, expectVersion, signal, tell });
    if (!again.healthy)
        throw notHealthy(again.facts, supervisor);
    return again.facts;
}
function notHealthy(facts, { logWords }) {
    return unhealthy('The restarted application is not healthy on loopback', facts, logWords);
}

;// CONCATENATED MODULE: ./compiled/src/worker/cutover/other-programs.js


const NO_VERSIONS = {
    to: { texts: [], files: new Set() },
    from: { texts: [], files: new Set() },
};
/**
 * Restarts the other programs of the checkout, in order, and looks at each: it must stay up. They answer nobody, so their
 * supervisor alone judges them. @throws a Failure of the first that does not.
 */
async function restartOthers({ found, sha, health, reporter, starts, onRestart }, programs = found.others) {
    for (const program of programs) {
        const { name, supervisor } = program;
        await reporter.step(name, async () => {
            const before = await supervisor.running(undefined);
            onRestart?.(program);
            await supervisor.restart({ state: found.state, ...definedOnly({ start: starts?.get(name) }) });
            await verifyRestart({
                supervisor,
                port: undefined,
                sha,
                health,
                expectVersion: false,
                before,
                versions: NO_VERSIONS,
                tell: reporter.progress,
                warn: reporter.warn,
            });
        });
    }
}

;// CONCATENATED MODULE: ./compiled/src/worker/cutover/reserve-disk-space.js




/** Bytes for what is small: references, git's log of them, REVISION, folders. */
const SMALL_THINGS = 64 * 1_024;
/**
 * Holds the room that git needs to turn the checkout of a plan, on the way there or back: a disk that runs full in
 * between must not leave it between two commits. @throws a Failure where there is not so much; nothing was changed.
 */
async function reserveForTurn(tools, { checkout }, folder) {
    if (checkout === undefined)
        return;
    const { fromSha, toSha, from, to } = checkout;
    const repository = { tools, folder: checkout.folder };
    const changed = await changedBytes(repository, fromSha, toSha);
    const index = sizeOf((0,external_node_path_namespaceObject.resolve)(checkout.folder, await git(repository, 'rev-parse', '--git-path', 'index')));
    const beside = Math.max(bytesBeside(checkout.folder, from), bytesBeside(checkout.folder, to));
    // The index is written anew beside the old one, also when files are taken out of it before.
    holdReserve((0,external_node_path_namespaceObject.join)(folder.reserve, 'turn'), changed + 2 * index + 2 * beside + SMALL_THINGS);
}
/** What a version has beside its commit is copied: files of the host away and back, changed ones over git's. */
function bytesBeside(live, { rebuilt, host, changes }) {
    const places = [
        ...rebuilt.paths.map((path) => (0,external_node_path_namespaceObject.join)(rebuilt.folder, path)),
        ...host.map((path) => (0,external_node_path_namespaceObject.join)(live, path)),
        ...(changes?.paths.map((path) => (0,external_node_path_namespaceObject.join)(changes.copies, path)) ?? []),
    ];
    return places.reduce((sum, place) => sum + sizeOf(place), 0);
}
function sizeOf(path) {
    return (0,external_node_fs_namespaceObject.lstatSync)(path, { throwIfNoEntry: false })?.size ?? 0;
}

;// CONCATENATED MODULE: ./compiled/src/worker/cutover/restart.js

/** Does `work`, which restarts the application, when no other application of this supervisor is being switched. */
async function withPm2Lock(options, work) {
    const { supervisor, lockWait, reporter, signal } = options;
    const file = supervisor.turnFile();
    if (file === undefined)
        return work();
    return holdPm2Lock({ file, wait: lockWait, signal }, () => reporter.progress('waiting for another application of this server to be switched'), work);
}
/**
 * Lets the supervisor remember what it runs now. Where it cannot, that is a warning, with what to do about it: the
 * version itself is verified.
 */
async function saveOrWarn({ supervisor }, reporter, next = (command) => `Run "${command}" on the server.`) {
    const unsaved = await supervisor.save();
    if (unsaved)
        reporter.warn({ message: unsaved.message, next: next(unsaved.command) });
}

;// CONCATENATED MODULE: ./compiled/src/worker/host/git-index-lock.js









/** Milliseconds that a git command of somebody else may take; then we give up. */
const git_index_lock_LONGEST = 30_000;
/** Milliseconds between two looks at the lock. */
const git_index_lock_BETWEEN_LOOKS = 200;
/** True where nobody who is at work can have made the lock. Pure. */
function isStale({ holders, own, othersSeen }) {
    return holders.length === 0 && (own || othersSeen);
}
/**
 * Makes sure that git may write the index of a checkout. The lock that a killed git left is deleted; the one of a git
 * command that is at work (a person's commit, with its editor open) is waited for, `wait` milliseconds at most.
 * @throws a Failure that names who is at work; Cancelled where the signal fires.
 */
async function freeIndex(checkout, signal, wait = git_index_lock_LONGEST) {
    const index = (0,external_node_path_namespaceObject.resolve)(checkout.folder, await git(checkout, 'rev-parse', '--git-path', 'index'));
    const lock = `${(0,external_node_path_namespaceObject.join)((0,external_node_fs_namespaceObject.realpathSync)((0,external_node_path_namespaceObject.dirname)(index)), (0,external_node_path_namespaceObject.basename)(index))}.lock`;
    const end = performance.now() + wait;
    for (;;) {
        const before = markOf(lock);
        if (before === undefined)
            return;
        const facts = git_index_lock_lookAt(lock, checkout.folder, before.uid);
        // Made by somebody who ended while we looked, or made anew: then what was seen is not about this one.
        if (isStale(facts) && markOf(lock)?.mark === before.mark)
            return removePath(lock);
        if (performance.now() > end)
            throw busy(checkout.folder, lock, facts.holders, wait);
        await pause(git_index_lock_BETWEEN_LOOKS, signal);
    }
}
/** What tells one lock file from the next of the same name; undefined where there is none. */
function markOf(lock) {
    const found = (0,external_node_fs_namespaceObject.lstatSync)(lock, { throwIfNoEntry: false });
    return found && { mark: `${found.ino}:${found.ctimeMs}`, uid: found.uid };
}
/**
 * A git command keeps the lock while an editor is open, and its descriptor closed; other programs (an IDE) hold it open.
 * Git works in the folder of its checkout, wherever it was called from.
 */
function git_index_lock_lookAt(lock, folder, uid) {
    const real = (0,external_node_fs_namespaceObject.realpathSync)(folder);
    const worksHere = (pid) => {
        const cwd = cwdOf(pid);
        if (cwd !== undefined)
            return cwd === real || cwd.startsWith(`${real}/`);
        return (0,external_node_fs_namespaceObject.lstatSync)(`/proc/${pid}`, { throwIfNoEntry: false })?.uid === uid;
    };
    return {
        holders: allProcesses().filter((pid) => isAlive(pid, undefined) && (holdsOpen(pid, lock) || (processName(pid) === 'git' && worksHere(pid)))),
        own: uid === process.getuid(),
        // A host can hide the programs of other users (hidepid); then the first of all is hidden too.
        othersSeen: (0,external_node_fs_namespaceObject.existsSync)('/proc/1/stat'),
    };
}
function busy(folder, lock, holders, waited) {
    const [pid] = holders;
    if (pid === undefined)
        return new Failure({
            message: `${lock} belongs to ${ownerOf(lock)}, whose programs cannot be seen on this server; waited ${formatDuration(waited)} for it to go.`,
            next: 'If no git command is at work there, delete that file on the server; then run the job again.',
        });
    return new Failure({
        message: `A git command is at work in ${folder} (pid ${pid}) and locks its index; waited ${formatDuration(waited)} for it.`,
        next: 'Finish or end that command on the server (a commit whose editor is open, for example), and run the job again.',
    });
}

;// CONCATENATED MODULE: ./compiled/src/worker/cutover/switch.js











/** Puts the new release in place: everything that changes on the disk at a cutover, and nothing else. */
async function applyCutoverPlan(tools, plan) {
    if (plan.adopt)
        applyAdoption(plan.adopt);
    if (plan.shares)
        applyShares(plan.shares);
    applySwaps(plan.swaps);
    if (plan.checkout)
        await turnCheckout(tools, plan.checkout, 'to');
    if (plan.link)
        turnLink(plan.link.path, plan.link.to);
}
/** Puts everything back to where it was before the plan, wherever it was cut. An adopted checkout stays a release. */
async function undoCutoverPlan(tools, plan) {
    if (plan.adopt) {
        // Until the checkout has become a release, all is where it was.
        if (!present(plan.adopt.release))
            return;
        applyAdoption(plan.adopt);
    }
    if (plan.shares)
        completeShares(plan.shares);
    undoSwaps(plan.swaps);
    if (plan.checkout)
        await turnCheckout(tools, plan.checkout, 'from');
    if (!plan.link)
        return;
    if (plan.link.from !== undefined)
        turnLink(plan.link.path, plan.link.from);
    else
        removePath(plan.link.path);
}
/** Applies a plan also where the disk is full: then once more, with the room that the run holds. */
async function bringInPlace(tools, plan) {
    await withDiskReserve(() => applyCutoverPlan(tools, plan));
}
/** Undoes a plan also where the disk is full, which may be why the cutover failed. */
async function takeBack(tools, plan) {
    await withDiskReserve(() => undoCutoverPlan(tools, plan));
}
/** What programs say of a full disk has no code, so whatever failed is tried again, if there is room to give back. */
async function withDiskReserve(work) {
    try {
        await work();
    }
    catch (error) {
        if (!freeReserve())
            throw error;
        await work();
    }
}
/**
 * Turns a checkout to one of its two commits. git deletes what it tracks and the other commit does not, and overwrites
 * what that tracks: files of the host are taken from its index, or laid aside as long as it works.
 */
async function turnCheckout(tools, turn, to) {
    const { folder, aside } = turn;
    const { rebuilt, host, changes } = turn[to];
    const checkout = { tools, folder };
    await freeIndex(checkout);
    await layAside(tools, turn, host);
    await untrack(checkout, turn.untrack);
    if (to === 'to')
        await trackAsTheyAre(checkout, turn.takenOver ?? []);
    await refreshIndex(checkout);
    await git(checkout, 'reset', '-q', '--hard', to === 'to' ? turn.toSha : turn.fromSha);
    for (const path of host) {
        if (!present((0,external_node_path_namespaceObject.join)(aside, path)))
            continue;
        await makeFoldersLike(tools, aside, folder, path);
        (0,external_node_fs_namespaceObject.renameSync)((0,external_node_path_namespaceObject.join)(aside, path), (0,external_node_path_namespaceObject.join)(folder, path));
    }
    removePath(aside);
    layOver(rebuilt.folder, folder, rebuilt.paths);
    if (changes)
        await bringBackChanges(checkout, changes);
    writeAtomically((0,external_node_path_namespaceObject.join)(folder, 'REVISION'), `${to === 'to' ? turn.toSha : turn.fromSha}\n`, 0o644);
}
/** Copies files that git will overwrite. What an earlier try laid aside stays: the checkout may be git's already. */
async function layAside(tools, { folder, aside }, paths) {
    for (const path of paths) {
        if (!present((0,external_node_path_namespaceObject.join)(folder, path)) || present((0,external_node_path_namespaceObject.join)(aside, path)))
            continue;
        await makeFoldersLike(tools, folder, aside, path);
        await copyAsItIs(tools, (0,external_node_path_namespaceObject.join)(folder, path), (0,external_node_path_namespaceObject.join)(aside, path));
    }
}
/** The commands by which a person brings the release `to` of a plan in place, after everything else has failed. */
function manualCommands(plan, to, restart) {
    const commands = [];
    if (plan.adopt) {
        const [folder, release] = [quote(plan.adopt.folder), quote(plan.adopt.release)];
        commands.push(`[ -L ${folder} ] || [ ! -d ${folder} ] || mv ${folder} ${release}`);
    }
    for (const swap of plan.swaps) {
        if (to === 'from' && !swap.had) {
            commands.push(`[ -e ${quote(swap.incoming)} ] || mv ${quote(swap.live)} ${quote(swap.incoming)}`);
            continue;
        }
        const [away, back] = to === 'to' ? [swap.kept, swap.incoming] : [swap.incoming, swap.kept];
        commands.push(`[ ! -e ${quote(back)} ] || { [ ! -e ${quote(swap.live)} ] || mv ${quote(swap.live)} ${quote(away)}; mv ${quote(back)} ${quote(swap.live)}; }`);
    }
    if (plan.checkout)
        commands.push(...turnCommands(plan.checkout, to));
    const target = to === 'to' ? plan.link?.to : plan.link?.from;
    if (plan.link && target !== undefined)
        commands.push(`ln -sfn ${quote(target)} ${quote(plan.link.path)}`);
    commands.push(restart);
    return commands;
}
/** The same as `turnCheckout`, for a person. */
function turnCommands(turn, to) {
    const { folder, aside, untrack } = turn;
    const { rebuilt, host, changes } = turn[to];
    const git = `git -C ${quote(folder)}`;
    const copy = (from, target) => `mkdir -p ${quote((0,external_node_path_namespaceObject.dirname)(target))} && cp -pP ${quote(from)} ${quote(target)}`;
    return [
        ...host.map((path) => `[ -e ${quote((0,external_node_path_namespaceObject.join)(aside, path))} ] || (umask 077 && ${copy((0,external_node_path_namespaceObject.join)(folder, path), (0,external_node_path_namespaceObject.join)(aside, path))})`),
        ...untrack.map((path) => `${git} rm -q --cached --ignore-unmatch -- ${quote(path)}`),
        ...(to === 'to' ? (turn.takenOver ?? []) : []).map((path) => `${git} add -f -- ${quote(path)}`),
        `${git} reset --hard ${to === 'to' ? turn.toSha : turn.fromSha}`,
        ...host.map((path) => copy((0,external_node_path_namespaceObject.join)(aside, path), (0,external_node_path_namespaceObject.join)(folder, path))),
        ...rebuilt.paths.map((path) => present((0,external_node_path_namespaceObject.join)(rebuilt.folder, path))
            ? copy((0,external_node_path_namespaceObject.join)(rebuilt.folder, path), (0,external_node_path_namespaceObject.join)(folder, path))
            : `rm -f ${quote((0,external_node_path_namespaceObject.join)(folder, path))}`),
        ...(changes ? [`${git} apply --whitespace=nowarn ${quote(changes.patch)}`] : []),
    ];
}

;// CONCATENATED MODULE: ./compiled/src/worker/cutover/version-marks.js








const NO_MARKS = { texts: [], files: new Set() };
/** A build id that is shorter may stand in any page for another reason. */
const SHORTEST_TEXT = 6;
/** Of a deploy, before its cutover: the version in the stage, and the live one. */
async function deployVersions(found, stage, { to, from }, health) {
    const versions = versionsOf(found, { sha: to.sha, folder: stage.folder, output: stage.made, carried: stage.carriedChunks }, from, stage.made);
    const { expectVersion } = health;
    if (found.supervisor.provenBy !== 'answers' || expectVersion === undefined || stage.port === undefined)
        return versions;
    // A text that the version which leaves has too proves nothing.
    const shown = await askLoopbackVersion(stage.port, health, new AbortController().signal);
    if (shows(shown, { ...NO_MARKS, texts: [expectVersion] }))
        return versions;
    return { ...versions, to: { ...versions.to, texts: [...versions.to.texts, expectVersion] } };
}
/** Of a rollback, before its cutover: the kept version, and the live one. */
function rollbackVersions(found, { to, from }) {
    const note = readNote(found.state, to.release);
    const folder = releaseFolder(found.releases, to.release);
    const kept = {
        sha: to.sha,
        folder,
        output: note?.paths ?? [],
        carried: note?.carriedChunks ?? [],
    };
    return versionsOf(found, kept, from, []);
}
/** Of a run that was cut nobody knows any more where what lies: only the commits are told apart. */
function cutVersions({ to, from }) {
    const mark = (sha) => ({ ...NO_MARKS, ...definedOnly({ commit: sha }) });
    return { to: without(mark(to.sha), mark(from?.sha)), from: without(mark(from?.sha), mark(to.sha)) };
}
/** The same, for the way back. */
function reversed({ to, from }) {
    return { to: from, from: to };
}
function versionsOf({ supervisor, state, live }, to, from, output) {
    if (supervisor.provenBy !== 'answers')
        return { to: NO_MARKS, from: NO_MARKS };
    const note = from && readNote(state, from.release);
    return tellApart(to, from === undefined || live === undefined
        ? undefined
        : {
            sha: from.sha,
            folder: live,
            output: [...new Set([...output, ...(note?.paths ?? [])])],
            carried: note?.carriedChunks ?? [],
        });
}
/** Reads what tells two versions apart: to be asked while both lie where `to` and `from` say. */
function tellApart(to, from) {
    const marks = version_marks_marksOf(to);
    if (from === undefined)
        return { to: marks, from: NO_MARKS };
    const others = version_marks_marksOf(from);
    return { to: without(marks, others), from: without(others, marks) };
}
function version_marks_marksOf({ sha, folder, output, carried }) {
    const skip = new Set(carried);
    const built = output.filter((path) => !isInstalled(path)).map((path) => lookInto(folder, path));
    const files = built
        .flatMap((found) => found.files)
        .filter((path) => !skip.has(path) && !path.includes('/node_modules/'));
    const ids = built.flatMap(({ buildId }) => buildId ?? []);
    return {
        commit: sha,
        texts: ids.filter((id) => id.length >= SHORTEST_TEXT),
        files: new Set(files.flatMap(pathEnds)),
    };
}
/** The files of one output, by paths from the version's folder. What may not be read tells nothing apart. */
function lookInto(folder, path) {
    const place = (0,external_node_path_namespaceObject.join)(folder, path);
    try {
        if (!isFolder(place))
            return { files: [path] };
        const files = filesBelow(place).map((file) => (0,external_node_path_namespaceObject.join)(path, file));
        return { files, ...definedOnly({ buildId: readText((0,external_node_path_namespaceObject.join)(place, 'BUILD_ID'))?.trim() }) };
    }
    catch {
        return { files: [] };
    }
}
function without(marks, others) {
    return {
        ...(marks.commit === undefined || marks.commit === others.commit ? {} : { commit: marks.commit }),
        texts: marks.texts.filter((text) => !others.texts.includes(text)),
        files: new Set([...marks.files].filter((path) => !others.files.has(path))),
    };
}

;// CONCATENATED MODULE: ./compiled/src/worker/cutover/cutover.js

















/**
 * Writes down what the cutover will change: whatever cuts it later, the next run reads there what to undo. @throws where
 * that cannot be written, on a full disk say; nothing is switched then, and nothing of it is left.
 */
async function writeCutover(found, stage, { request, folder }) {
    const { state } = found;
    const plan = planCutover(found, stage, request);
    refuseOneAndTheSame(plan);
    if (plan.checkout)
        await git(found.checkout, 'update-ref', `refs/deploys/${plan.checkout.fromSha}`, plan.checkout.fromSha);
    // The place of the checkout among the releases is taken by what the in-place deploy that made it left of its stage.
    if (plan.adopt)
        await dropRelease(found.checkout, plan.adopt.release);
    const versions = await deployVersions(found, stage, plan, request.health);
    const before = await found.supervisor.running(stage.port);
    try {
        await reserveForTurn(found.tools, plan, folder);
        await noteReleases(found, stage, plan);
        if (plan.entry)
            await found.supervisor.keepEntry(plan.entry.from);
        writePlan(state, plan);
        writeJournal(state, request.run, {
            event: 'cutover',
            ...plan.to,
            ...definedOnly({ from: plan.from }),
        });
    }
    catch (error) {
        catchProblem(() => dropPlan(state));
        catchProblem(() => dropKeptEntry(plan, 'from'));
        catchProblem(() => dropNote(state, stage.release));
        throw error;
    }
    return { found, stage, plan, before, versions };
}
/** The whole switch to a prepared stage; owns the outcome: the new version is verified, or the old one is put back. */
async function cutOver(ready, context) {
    const { found, stage, plan, before, versions } = ready;
    const { request, reporter } = context;
    const { state, supervisor, tools } = found;
    reporter.event({ kind: 'state', state: 'cutting-over' });
    const runAs = stage.change?.entry ?? found.entry;
    const longer = supervisor.longerWait(runAs, stage.bootMs, request.health.deadline);
    if (longer !== undefined)
        reporter.progress(longer.words);
    const probe = stage.port === undefined ? undefined : probeDowntime(stage.port, request.health.budget, reporter);
    const restarted = [];
    let health;
    try {
        await reporter.step('cutover', async () => {
            await applyCutoverPlan(tools, plan);
            await supervisor.restart({
                state,
                ...definedOnly({ wait: longer?.ms, start: stage.start, change: stage.change }),
            });
        });
        reporter.event({ kind: 'state', state: 'verifying' });
        health = await reporter.step('verification', () => verifyVersion(found, context, stage.port, {
            sha: plan.to.sha,
            before,
            versions,
            expectVersion: true,
            health: request.health,
        }));
        await restartOthers({
            found,
            sha: plan.to.sha,
            health: request.health,
            reporter,
            starts: stage.otherStarts,
            onRestart: (program) => restarted.push(program),
        });
    }
    catch (error) {
        return putBack(found, context, { plan, stage, versions, problems: problemsOf(error), probe, restarted });
    }
    // Only what the new version does can take it back, not what is written or told about it.
    return finishCutover(found, context, plan, health, probe);
}
async function verifyVersion(found, { reporter }, port, version) {
    return verifyRestart({
        supervisor: found.supervisor,
        port,
        ...version,
        tell: reporter.progress,
        warn: reporter.warn,
    });
}
async function finishCutover(found, { request, reporter }, plan, health, probe) {
    const { state } = found;
    const record = () => writeJournal(state, request.run, {
        event: 'verified',
        ...plan.to,
        app: request.app.appName,
        ...definedOnly({ from: plan.from }),
    });
    let unwritten = catchProblem(record);
    // A plan that stays is undone by the next run, unless the journal says that all was well.
    const stays = catchProblem(() => dropPlan(state));
    // Once more, with the room that the plan has had.
    if (unwritten)
        unwritten = catchProblem(record);
    if (unwritten)
        reporter.warn({
            message: `The new version is live and verified, but that could not be written down on the server: ${unwritten.message}`,
            next: 'Free some space there (df -h; df -i) and deploy again. To go back before that, say rollback-to: previous.',
        });
    if (stays)
        reporter.warn({ message: `The plan of the cutover could not be deleted: ${stays.message}` });
    await saveOrWarn(found, reporter, (command) => `The new version runs and is verified; run "${command}" on the server so that it survives a reboot.`);
    const downtimeMs = await probe?.stop();
    return {
        outcome: 'deployed',
        problems: [],
        deployedSha: plan.to.sha,
        release: plan.to.release,
        health,
        ...(plan.from === undefined ? {} : definedOnly({ downtimeMs })),
    };
}
const NOTHING_RUNNING = { instances: [], programs: new Set() };
/** The new version did not prove itself: the old one is brought back, and proves itself in turn. Never throws. */
async function putBack(found, context, failed) {
    const { plan, stage, problems, probe, restarted } = failed;
    const { request, reporter } = context;
    const { state, supervisor, tools } = found;
    const started = performance.now();
    const result = { outcome: 'put-back', problems };
    let [why] = problems;
    try {
        reporter.event({ kind: 'state', state: 'putting-back' });
        // What ran until now is only compared with; not to know it is no reason to leave the new version in place.
        const before = await supervisor.running(stage.port).catch(() => NOTHING_RUNNING);
        const { from } = plan;
        const left = found.strategy === 'in-place' ? found.live : stage.folder;
        if (from && left !== undefined)
            keepOpenPages({ ...found, live: left }, plan.to, from, reporter);
        const health = await reporter.step('put back', async () => {
            await takeBack(tools, plan);
            // A first deploy that failed has nothing to go back to: what it started is taken away again.
            if (from === undefined) {
                for (const { supervisor: other, entry } of restarted)
                    if (entry === undefined)
                        await other.remove();
                return stage.start === undefined ? undefined : supervisor.remove();
            }
            const revived = async () => {
                await supervisor.restart({ state, ...definedOnly({ kept: plan.entry?.from }) });
                return verifyVersion(found, context, found.facts.port ?? stage.port, {
                    sha: from.sha,
                    before,
                    versions: reversed(failed.versions),
                    expectVersion: false,
                    health: heldTo(request.health, found.liveHealth),
                });
            };
            return wasDown(found.liveHealth) ? revived().catch(stillDown(reporter)) : revived();
        });
        if (health)
            result.health = health;
        if (from !== undefined)
            await restartOthers({ found, sha: from.sha, health: request.health, reporter }, restarted);
    }
    catch (error) {
        [why] = problemsOf(error);
        result.outcome = 'broken';
        result.problems = [...problems, ...problemsOf(error), handWork(plan, supervisor)];
    }
    const unwritten = catchProblem(() => {
        const end = { ...(plan.from ?? plan.to), detail: reporter.clean(why?.message ?? '') };
        if (result.outcome === 'broken')
            return writeJournal(state, request.run, { event: 'broken', ...end });
        writeJournal(state, request.run, {
            event: 'put-back',
            ...end,
            app: request.app.appName,
            from: plan.to,
        });
        dropPlan(state);
        dropKeptEntry(plan, 'from');
    });
    // The plan stays then: the next run puts back once more, which changes nothing on the disk, and writes it down.
    warnUnwritten(reporter, unwritten);
    result.rollbackMs = Math.round(performance.now() - started);
    Object.assign(result, definedOnly({ downtimeMs: await probe?.stop() }));
    return result;
}
/** What was down before this deploy and is again is no failure of the put-back: it is told. */
function stillDown(reporter) {
    return (error) => {
        const [problem] = problemsOf(error);
        reporter.warn({
            ...problem,
            message: `The previous version is in place again, and down as it was before this deploy: ${problem.message}`,
        });
        return undefined;
    };
}
/** What was done stands, though its end is missing on the disk: the plan is still there, and tells the next run. */
function warnUnwritten(reporter, why) {
    if (why === undefined)
        return;
    reporter.warn({
        message: `How this ended could not be written down on the server: ${why.message}`,
        next: 'Free some space there (df -h; df -i). The next run brings the same version in place once more, and writes it down.',
    });
}
/** What a person must do by hand after the old version could not be verified either. */
function handWork(plan, { restartWords, keptEntryWords }) {
    const to = plan.task === 'deploy' ? 'from' : 'to';
    const entry = plan.entry?.[to];
    return {
        message: 'The old version could not be brought back and verified. These commands put it in place by hand:',
        next: manualCommands(plan, to, entry === undefined ? restartWords : keptEntryWords(entry)).join('\n'),
    };
}

;// CONCATENATED MODULE: ./compiled/src/worker/host-files/env-changes.js




/** True where a build of the live commit would get other environment files now than the live build got. */
async function envChanges({ live, checkout, history, state }, { envFile, envFilePath }) {
    if (live === undefined)
        return false;
    const built = history.live && readNote(state, history.live.release)?.envDigest;
    if (built === undefined)
        return envFile !== undefined && readEnvFile(live, envFilePath) !== envFile;
    const tracked = new Set(checkout && (await git(checkout, 'ls-files', '-z')).split('\0'));
    const own = findEnvFiles(live).filter((path) => classifyPath(path, { tracked }) !== 'tracked');
    const texts = readEnvFiles(live, own);
    return envDigest(envFile === undefined ? texts : { ...texts, [envFilePath]: envFile }) !== built;
}

;// CONCATENATED MODULE: ./compiled/src/worker/host-files/wait-for-git.js



/**
 * Waits for a git command of a person in the checkout that is to be turned. @throws a Failure where it goes on, or where
 * somebody has committed since the host was looked at; nothing was changed.
 */
async function waitForGit({ strategy, checkout, facts }, signal) {
    if (strategy !== 'in-place' || checkout === undefined)
        return;
    await freeIndex(checkout, signal);
    const head = await headOf(checkout);
    if (head === facts.liveSha)
        return;
    throw new Failure({
        message: `Somebody turned the checkout ${checkout.folder} meanwhile: it was at ${facts.liveSha}, and is at ${head} now.`,
        next: 'Push what was committed there, or take it back; then run the job again.',
    });
}

;// CONCATENATED MODULE: ./compiled/src/worker/cutover/repair.js










/** What to do about a plan that a cut run left: a deploy is undone, a rollback is finished. */
function decideRepair(plan, journal) {
    const last = journal[journal.length - 1];
    const reached = last?.event === 'verified' || last?.event === 'rolled-back'
        ? plan.to
        : last?.event === 'put-back'
            ? plan.from
            : undefined;
    // The run had settled everything, and was cut before it could delete its plan.
    if (last !== undefined && last.run.id === plan.run.id && last.release === reached?.release)
        return 'finished';
    return plan.task === 'deploy' ? 'undo' : 'finish';
}
/**
 * Brings back order after a run that was cut, before anything new begins. Says what it found and did.
 * True where the live application may be another one now than before.
 */
async function repair(options) {
    const { state, reporter } = options;
    const plan = readPlan(state);
    if (!plan) {
        clearStages(options);
        return false;
    }
    const what = decideRepair(plan, readJournal(state));
    if (what === 'finished') {
        dropPlan(state);
        return false;
    }
    await withPm2Lock(options, () => reporter.step('repair', () => repairPlan(plan, what, options), (live) => `run ${plan.run.id} was cut; ${live?.sha.slice(0, 12) ?? 'nothing'} is in place`));
    return true;
}
async function repairPlan(plan, what, options) {
    const { tools, supervisor, state, reporter } = options;
    const live = what === 'undo' ? plan.from : plan.to;
    const before = await supervisor.running(options.port);
    if (what === 'undo')
        await takeBack(tools, plan);
    else
        await bringInPlace(tools, plan);
    reporter.warn({ message: whatWasRepaired(plan, what, readJournal(state).at(-1)) });
    if (live)
        await revive(plan, live, before, options);
    dropPlan(state);
    return live;
}
/** A run that was cut, and one that came to its end without a version that answers, are told apart. */
function whatWasRepaired(plan, what, last) {
    const work = plan.task === 'deploy' ? 'cutover' : 'rollback';
    const ended = last?.event === 'broken' && last.run.id === plan.run.id
        ? `Run ${plan.run.id} could not bring any version to answer in its ${work}`
        : `Run ${plan.run.id} was cut in the middle of its ${work}`;
    return `${ended}; it was ${what === 'undo' ? 'undone' : 'finished'} before anything else.`;
}
/** Restarts what is in place again and asks it. Where it does not answer a new deploy may cure it: told, not thrown. */
async function revive(plan, live, before, { supervisor, others, state, app, run, health, port, reporter }) {
    const from = plan.task === 'rollback' && plan.from ? { from: plan.from } : {};
    try {
        const kept = live === plan.to ? plan.entry?.to : plan.entry?.from;
        await supervisor.restart({ state, ...definedOnly({ kept }) });
        if (port !== undefined)
            await verifyRestart({
                supervisor,
                port,
                sha: live.sha,
                health,
                expectVersion: false,
                before,
                versions: cutVersions({ to: live, from: live === plan.to ? plan.from : plan.to }),
                warn: reporter.warn,
            });
        // Which of them run the other version nobody wrote down.
        await restartOthers({ found: { others, state }, sha: live.sha, health, reporter });
        writeJournal(state, run, {
            event: plan.task === 'deploy' ? 'repaired' : 'rolled-back',
            ...live,
            ...from,
            app: app.appName,
        });
        await saveOrWarn({ supervisor }, reporter);
        dropKeptEntry(plan, live === plan.to ? 'to' : 'from');
    }
    catch (error) {
        const [problem] = problemsOf(error);
        reporter.warn({ ...problem, message: `${live.sha} is in place again, but: ${problem.message}` });
        writeJournal(state, run, { event: 'broken', ...live, detail: reporter.clean(problem.message) });
    }
}

;// CONCATENATED MODULE: ./compiled/src/lib/pem-keys.js
/** Keys in PEM as people paste them into a secret: on one line, quoted, with escaped line breaks, or as base64 of the file. */
/** Undoes quotes, escaped or foreign line breaks, and base64 around the whole. */
function unpackKeyText(text) {
    let plain = text.replace(/^\uFEFF/, '').trim();
    const quoted = /^(["'`])([\s\S]*)\1$/.exec(plain);
    if (quoted)
        plain = quoted[2];
    plain = plain
        .replace(/\\r\\n|\\n|\\r/g, '\n')
        .replace(/\r\n?/g, '\n')
        .trim();
    const compact = plain.replace(/\s+/g, '');
    if (plain.includes('-----') || !/^[A-Za-z0-9+/]{40,}={0,2}$/.test(compact))
        return plain;
    const decoded = Buffer.from(compact, 'base64');
    if (decoded.subarray(0, 14).toString('latin1') === 'openssh-key-v1')
        return `-----BEGIN OPENSSH PRIVATE KEY-----\n${compact}\n-----END OPENSSH PRIVATE KEY-----`;
    const inner = decoded.toString('utf8').replace(/\r\n?/g, '\n').trim();
    return inner.includes('-----BEGIN') || inner.startsWith('PuTTY-User-Key-File') ? inner : plain;
}
const BLOCKS = /-----BEGIN ([A-Z0-9 ]+)-----([\s\S]*?)-----END \1-----/g;
/** The length is fixed, because on one line the base64 follows at once and may begin like hex. */
const DEK_INFO = /DEK-Info:\s*(AES-\d+-[A-Z]+,[0-9A-Fa-f]{32}|DES[A-Z0-9-]*,[0-9A-Fa-f]{16})/;
/** The blocks of an unpacked text that have both ends. */
function pemBlocks(text) {
    return [...text.matchAll(BLOCKS)].map(([, label, body]) => ({ label: label, ...inside(body) }));
}
/** The old encrypted PEM has two header lines in front of its base64. */
function inside(body) {
    const info = DEK_INFO.exec(body);
    const base64 = (info ? body.slice(info.index + info[0].length) : body).replace(/\s+/g, '');
    return { ...(info ? { info: info[1] } : {}), base64 };
}
/** Private keys, also without their END line: what is there of a key that was cut off must be hidden too. */
const PRIVATE_KEYS = /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----([\s\S]*?)(?:-----END|$)/g;
/** Characters of a line as OpenSSL, OpenSSH and `base64` write it. */
const WIDTHS = [64, 70, 76];
/** Characters. A shorter last line is no secret by itself, and turns up in other texts by chance. */
const SHORTEST_LINE = 12;
/** The base64 of every private key in a text, whole and by the lines of its file, however the text was pasted. */
function keyLines(text) {
    const bodies = [...unpackKeyText(text).matchAll(PRIVATE_KEYS)].map(([, body]) => inside(body).base64);
    return bodies
        .flatMap((base64) => [base64, ...WIDTHS.flatMap((width) => cut(base64, width))])
        .filter((line) => line.length >= SHORTEST_LINE);
}
/** The file of the private keys in a text, however they were pasted; undefined where it holds none. */
function keyFile(text) {
    const file = unpackKeyText(text);
    return file.search(PRIVATE_KEYS) < 0 ? undefined : file;
}
function cut(text, width) {
    const lines = [];
    for (let at = 0; at < text.length; at += width)
        lines.push(text.slice(at, at + width));
    return lines;
}

;// CONCATENATED MODULE: ./compiled/src/lib/secret.js


/**
 * A value that must never be printed. Printing, joining, serialising or inspecting it gives `***`;
 * only `reveal()` gives the text, and each secret is revealed in exactly one file, beside the
 * readers of the inputs, which check it.
 */
class Secret {
    #text;
    constructor(text) {
        this.#text = text;
    }
    reveal() {
        return this.#text;
    }
    toString() {
        return '***';
    }
    toJSON() {
        return '***';
    }
    [external_node_util_namespaceObject.inspect.custom]() {
        return '***';
    }
}
/** Values of at least this length are masked; shorter ones would blank ordinary words out of the log. */
const SHORTEST_MASKED = 4;
/**
 * Words so common that masking them would make a log unreadable and damage outputs: the runner replaces every
 * occurrence. Values of everyday settings, and the words in which this action tells how a run went.
 */
const COMMON_WORDS = new Set(`test true false null none undefined default example changeme secret password token
  root main user admin public private anon authenticated service_role postgres supabase localhost
  local staging production development preview
  auto strict disabled enabled required optional info debug warn warning error json http https
  plan migrate verify redeploy health rollback deploy database
  success failure skipped passed failed cancelled unknown healthy`
    .split(/\s+/)
    .filter((word) => word !== ''));
/** True where a value is too short or too common to be masked on its own. */
function isUnmaskable(value) {
    return value.length < SHORTEST_MASKED || COMMON_WORDS.has(value.toLowerCase());
}
/**
 * Every text under which a secret could turn up: the value, each of its lines, its URL-decoded and
 * URL-encoded form, its JSON form, base64 in the three alignments, and hex; of a key in PEM, however it was pasted, the
 * lines of its file.
 * The runner derives some of these from `add-mask` itself, but not the decoded and hex ones.
 */
function secretForms(value) {
    const forms = new Set();
    const add = (text) => {
        if (!isUnmaskable(text))
            forms.add(text);
    };
    // Without the white space around it: the end of a line that is masked with a secret would join it to the next one.
    const trimmed = value.trim();
    for (const text of [trimmed, ...value.split(/\r?\n/).map((line) => line.trim())]) {
        // A line such as "-----BEGIN OPENSSH PRIVATE KEY-----" is no secret, and masking it hides error messages.
        if (text.startsWith('-----'))
            continue;
        add(text);
    }
    for (const line of keyLines(value))
        add(line);
    if (isUnmaskable(trimmed))
        return [...forms];
    // Of a key also its file, which a program makes of it again.
    for (const text of new Set([trimmed, keyFile(value) ?? trimmed]))
        for (const form of encoded(text))
            add(form);
    add(encodeURIComponent(trimmed));
    try {
        add(decodeURIComponent(trimmed));
    }
    catch {
        // Not URL-encoded: nothing to decode.
    }
    add(JSON.stringify(trimmed).slice(1, -1));
    return [...forms];
}
/** Hex, and base64 in the three alignments. */
function encoded(text) {
    const bytes = Buffer.from(text, 'utf8');
    const forms = [bytes.toString('hex')];
    for (const shift of [0, 1, 2]) {
        // Without the characters whose bits depend on the bytes around, so that it is found inside any other text.
        const whole = Buffer.concat([Buffer.alloc(shift), bytes])
            .toString('base64')
            .replace(/=+$/, '');
        const start = shift === 0 ? 0 : shift + 1;
        const end = (bytes.length + shift) % 3 === 0 ? whole.length : whole.length - 1;
        const stable = whole.slice(start, end);
        if (stable.length >= 8)
            forms.push(stable);
    }
    return forms;
}

;// CONCATENATED MODULE: ./compiled/src/lib/env-secrets.js

/** Names whose values are meant for the browser, and so for everybody. */
const PUBLIC = /^(NEXT_PUBLIC|VITE|PUBLIC|NUXT_PUBLIC|REACT_APP|EXPO_PUBLIC|GATSBY)_/;
const SECRET_WORDS = /KEY|SECRET|TOKEN|PASS|PWD|CREDENTIAL|PRIVATE|AUTH|DSN|SALT|COOKIE|WEBHOOK/i;
/** True for what names such as API_KEY or MAIL_PASSWORD hold, as far as the name tells. */
function isSecretByName(name, value) {
    return SECRET_WORDS.test(name) && !PUBLIC.test(name) && !isPlain(name, value);
}
/**
 * The last word of the name decides what it holds: AUTH_SCHEMA, TOKEN_ISSUER and REFRESH_TOKEN_TTL tell about a
 * secret, API_TOKEN and DB_PASSWORD are one.
 */
function isAboutSecret(name) {
    return !SECRET_WORDS.test(name.split(/[_.-]/).filter(Boolean).at(-1) ?? '');
}
/**
 * Values that a name alone makes no secret: a mask hides every occurrence, and 2024 or public stand in versions,
 * schemas and sentences. A number of five digits keeps nothing secret anyway.
 */
function isPlain(name, value) {
    return /^\d{1,5}$/.test(value) || (isAboutSecret(name) && /^[a-z]{1,10}$/.test(value));
}
/** A value without such a name is taken for a secret from this length on. */
const LONG = 16;
/**
 * The values in an environment file that must not be seen alone either: programs print them without their names.
 * Ordinary words, plain host names and URLs without a password stay readable, unless their name says otherwise.
 */
function envSecrets(text) {
    const values = [];
    for (const line of text.replace(/^\uFEFF/, '').split(/\r?\n/)) {
        const match = /^\s*(?:export\s+)?([\w.-]+)(?:\s*=\s*|:\s+)(.*?)\s*$/.exec(line);
        if (!match || PUBLIC.test(match[1]))
            continue;
        const value = unquotedValue(match[2]);
        const password = passwordIn(value);
        if (password.length === 0 && !isSecretByName(match[1], value) && !looksSecret(value))
            continue;
        values.push(value, ...password);
    }
    return values.filter((value) => !isUnmaskable(value));
}
/** Without its quotes, or without the comment behind it. A quote that goes on in the next line is cut off. */
function unquotedValue(text) {
    const quote = /^["'`]/.exec(text)?.[0];
    if (quote === undefined)
        return text.replace(/\s+#.*$/, '');
    const end = text.indexOf(quote, 1);
    return end === -1 ? text.slice(1) : text.slice(1, end);
}
function looksSecret(value) {
    if (value.length < LONG || /^[a-z]+:\/\//i.test(value))
        return false;
    return /\d/.test(value) || !/^[A-Za-z.,_/ -]*$/.test(value);
}
/** The password of a URL, raw and decoded. */
function passwordIn(value) {
    const raw = /^[a-z][a-z0-9+.-]*:\/\/[^\s/@:]*:([^\s/@]+)@/i.exec(value)?.[1];
    if (raw === undefined)
        return [];
    try {
        return [raw, decodeURIComponent(raw)];
    }
    catch {
        return [raw];
    }
}

;// CONCATENATED MODULE: ./compiled/src/worker/host-files/env-file-secrets.js


/**
 * What a build, a restart or the application may print and the action cannot know, so that only the server can hide
 * it: the values in its environment files and in the entry of its supervisor.
 */
function hostSecrets(found) {
    const byName = Object.entries(found.entry?.env ?? {})
        .filter(([name, value]) => isSecretByName(name, value))
        .map(([, value]) => value);
    if (found.live === undefined)
        return byName;
    const { live } = found;
    const texts = findEnvFiles(live).map((path) => readEnvFile(live, path) ?? '');
    return [...byName, ...texts.flatMap(textSecrets)];
}
/** Of an environment file: its values, and its lines for a key or certificate that goes over several. */
function textSecrets(text) {
    return [text, ...envSecrets(text)];
}

;// CONCATENATED MODULE: ./compiled/src/worker/state/incoming-builds.js



/** Packed builds lie here until their deploy has unpacked them; one that was killed leaves its own behind. */
function incomingOf(state) {
    return (0,external_node_path_namespaceObject.join)(state.path, 'incoming');
}
/** Milliseconds after which nobody waits for the lock with a build any more. */
const FORGOTTEN = 86_400_000;
/** Deletes packed builds, and parts of them, that no deploy will come for. Those of runs that wait are left alone. */
function clearIncoming(state, now = Date.now()) {
    const folder = incomingOf(state);
    if (!isFolder(folder))
        return;
    for (const name of (0,external_node_fs_namespaceObject.readdirSync)(folder)) {
        const path = (0,external_node_path_namespaceObject.join)(folder, name);
        // One that is being sent gets its name meanwhile.
        const sent = (0,external_node_fs_namespaceObject.statSync)(path, { throwIfNoEntry: false })?.mtimeMs ?? now;
        if (now - sent > FORGOTTEN)
            removePath(path);
    }
}

;// CONCATENATED MODULE: ./compiled/src/worker/run/begin.js





/**
 * How every run begins once it holds the lock: it looks at the host, hides the secrets that it finds there from all
 * that will be told, and brings order into what a run that was cut has left. What it returns is true after that.
 */
async function beginRun({ request, env, reporter, signal }) {
    if (request.command === 'deploy')
        reporter.hide([
            ...textSecrets(request.envFile ?? ''),
            ...(request.fetchAccess?.token === undefined ? [] : [request.fetchAccess.token]),
        ]);
    const look = async () => {
        const seen = await readHostState(request.app, env);
        reporter.hide(hostSecrets(seen));
        return seen;
    };
    const found = await look();
    catchProblem(() => clearIncoming(found.state));
    const { run, health, lockWait } = request;
    const repaired = await repair({
        ...found,
        port: found.facts.port,
        run,
        health,
        lockWait,
        reporter,
        signal,
    });
    return repaired ? look() : found;
}

;// CONCATENATED MODULE: ./compiled/src/worker/run/live-looks.js





/** Milliseconds from the commit at which the live version is asked first, whatever it answers. */
const FIRST_LOOKS = [0, 500, 1_000, 2_000];
/** Milliseconds between two later looks: while it is well, and while it is not and three answers are to decide. */
const live_looks_BETWEEN_GOOD = 10_000;
const BETWEEN_BAD = 1_500;
/** Milliseconds after the commit at which the live version is asked next. `last`: when it was last. Pure. */
function nextLook(last, wasGood) {
    const early = FIRST_LOOKS.find((at) => at > last);
    return early ?? last + (wasGood ? live_looks_BETWEEN_GOOD : BETWEEN_BAD);
}
/** Why the live version is not asked; undefined where it is. Pure. */
function whyNotAsked({ liveSha, port }) {
    if (liveSha === undefined)
        return 'this is the first deploy';
    return port === undefined ? 'its port is not known' : undefined;
}
/** Makes it; nothing is asked before it is told to. */
function liveLooks(found, health, { reporter, signal }) {
    const over = new AbortController();
    const either = AbortSignal.any([signal, over.signal]);
    const unasked = whyNotAsked(found.facts);
    const { port, liveSha: version } = found.facts;
    let baseline;
    let begun = false;
    // Whatever keeps it from being asked is no reason to stop a deploy.
    const unlessFailed = async (work) => {
        try {
            return await work();
        }
        catch (error) {
            if (!(error instanceof Cancelled))
                reporter.progress(`the live version could not be asked: ${problemsOf(error)[0].message}`);
            return undefined;
        }
    };
    const askOn = async () => {
        if (port === undefined || unasked !== undefined)
            return;
        const started = performance.now();
        for (let at = 0; !either.aborted;) {
            await pause(Math.max(0, at - (performance.now() - started)), either);
            const after = Math.round(performance.now() - started);
            const asking = { port, health, signal: either, ...(version === undefined ? {} : { version }) };
            const facts = await lookAtLoopback(asking);
            if (facts === undefined) {
                reporter.progress(`the live version is asked no more after ${formatDuration(after)}: its requests are used up`);
                return;
            }
            reporter.event({ kind: 'live', after, health: facts });
            at = nextLook(after, facts.every(({ ok }) => ok));
        }
    };
    return {
        async before() {
            if (unasked !== undefined)
                reporter.progress(`the live version is not asked on the new schema: ${unasked}`);
            baseline = await unlessFailed(() => askLive(found, health, either));
            const live = judgeLive(baseline ?? []);
            if (live.kind === 'down')
                reporter.progress(`live is down: ${live.why}. This deploy is the repair`);
            reporter.event({ kind: 'live', health: baseline ?? [] });
        },
        begin() {
            if (begun)
                return;
            begun = true;
            void unlessFailed(askOn);
        },
        end: () => over.abort(),
        get baseline() {
            return baseline;
        },
    };
}

;// CONCATENATED MODULE: ./compiled/src/worker/run/look-at-live.js



/**
 * Asks the live version before anything is changed: what it can do now is what a put-back must bring back. `later`: it
 * is asked for that after the build, right before the database is changed. @throws a Failure where the new version is not
 * rehearsed, and no check could tell whether it works.
 */
async function lookAtLive(found, { request, reporter, signal }, later) {
    const obstacle = rehearsalObstacle(request.rehearse, found.supervisor, found.entry);
    if (later && obstacle === undefined)
        return found;
    const liveHealth = await askLive(found, request.health, signal);
    if (liveHealth === undefined)
        return found;
    const live = judgeLive(liveHealth);
    if (live.kind === 'deaf' && obstacle !== undefined)
        throw new Failure(provesNothing(live.check, obstacle));
    if (live.kind === 'down')
        reporter.progress(`${obstacle === undefined ? '' : 'not rehearsed; '}live is down: ${live.why}. This deploy is the repair`);
    return { ...found, liveHealth };
}

;// CONCATENATED MODULE: ./compiled/src/worker/run/prune-releases.js






/**
 * Deletes old releases. Never the live release, the one before it, the only verified one, or one that this
 * state folder did not make: releases may lie where others are too. `rescued`: where what only a release had is now.
 */
async function prune({ found, repository, request, }) {
    const { state, releases, strategy, app } = found;
    const { run, keepReleases } = request;
    const history = historyOf(readJournal(state));
    const there = releaseNames(releases).filter((release) => readNote(state, release) !== undefined);
    const live = liveFolder(app.appPath);
    const gone = prunable(there, history, keepReleases, availability({ state, releases, strategy })).filter((release) => (0,external_node_fs_namespaceObject.realpathSync)(releaseFolder(releases, release)) !== live);
    const rescued = [];
    for (const release of gone) {
        const note = readNote(state, release);
        const place = await rescue(found, release, request);
        if (place !== undefined)
            rescued.push([release, place]);
        await dropRelease(repository, releaseFolder(releases, release));
        dropNote(state, release);
        if (!there.some((other) => !gone.includes(other) && readNote(state, other)?.sha === note.sha))
            await dropRef(repository, note.sha);
        writeJournal(state, run, { event: 'pruned', release, sha: note.sha });
    }
    return { gone, rescued };
}
/** Lets git forget a commit that we kept, but not one that somebody made on the server and that nothing else leads to. */
async function dropRef(repository, sha) {
    const own = `refs/deploys/${sha}`;
    if (await isReachedWithout(repository, sha, own))
        await gitSays(repository, 'update-ref', '-d', own);
}

;// CONCATENATED MODULE: ./compiled/src/lib/redact.js

/** `secrets` as they were given; every form of each is hidden. */
function redactor(secrets) {
    const search = searchFor(secrets);
    const hide = (text) => masked(text, search(text).hits);
    /** What a person would see, with the secrets still in it, unless a carriage return stands inside one. */
    const seen = (text) => withoutEscapes(text)
        .split('\n')
        .map((line) => (line.includes('\r') ? lastWritten(hide(line)) : line))
        .join('\n');
    return {
        redact(text, before = '') {
            const plain = seen(text);
            return escapeCommands(masked(plain, behind(before, plain, search).hits));
        },
        settle(text, by, before = '') {
            const end = by === 'characters' ? unfinishedEscape(text) : text.length;
            const plain = seen(text.slice(0, end));
            const { hits, open } = behind(before, plain, search);
            const at = cutBefore(plain, hits, open, by);
            const last = hits.findLast(({ from }) => from < at);
            return {
                shown: escapeCommands(masked(plain.slice(0, at), hits)),
                rest: plain.slice(at) + text.slice(end),
                before: lastShown(last === undefined ? before + plain.slice(0, at) : plain.slice(last.to, at)),
            };
        },
    };
}
/**
 * Escape sequences as ECMA-48 has them: CSI (colours and movements, with `:` in newer ones), strings (titles, links)
 * up to their end, and all others. Node's own stripVTControlCharacters knows fewer of them.
 */
const ESCAPES = /(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x90\x98\x9c-\x9f\n]*(?:\x07|\x1b\\|\x9c)|\x1b[ -/]*[0-~]/g;
/**
 * What is not seen: control characters but the tab and line breaks, marks that turn the direction of writing, and
 * characters without a width; the joiners that scripts and emoji need are left.
 */
const UNSEEN = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2064\u2066-\u2069\ufeff]/g;
function withoutEscapes(text) {
    return text.replace(ESCAPES, '').replace(UNSEEN, '');
}
/** Characters of the longest escape sequence that is waited for. */
const LONGEST_ESCAPE = 1_024;
/** Where an escape sequence begins that the text does not end; its length where there is none. */
function unfinishedEscape(text) {
    const from = Math.max(0, text.length - LONGEST_ESCAPE);
    const at = text
        .slice(from)
        .search(/(?:\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b\x9c\n]*\x1b?|[ -/]*)|\x9b[0-?]*[ -/]*)$/);
    return at < 0 ? text.length : from + at;
}
/**
 * A line break inside a secret, with the blanks around it: what wraps lines (base64, a terminal, an indented listing)
 * puts one anywhere. A carriage return is one too: what it overwrites was printed all the same.
 */
const BREAK = /(?<![ \t])[ \t]*[\r\n][ \t\r\n]*/g;
/**
 * Characters by which the forms of secrets are found; none is shorter. So many at the end of a text are waited for: with
 * fewer, most lines would wait for the next one.
 */
const HEAD = 4;
/** Characters of a line break with its blanks that are looked at behind a text. */
const LONGEST_GAP = 1_000;
/** A function that finds the forms of secrets in a text without escapes, also where line breaks cut them. */
function searchFor(secrets) {
    const byHead = new Map();
    for (const form of formsOf(secrets)) {
        const head = form.slice(0, HEAD);
        byHead.set(head, [...(byHead.get(head) ?? []), form]);
    }
    return (plain) => {
        const { text, at } = withoutBreaks(plain);
        const hits = [];
        let open = text.length;
        for (let from = 0; from + HEAD <= text.length && byHead.size > 0; from++) {
            for (const form of byHead.get(text.slice(from, from + HEAD)) ?? []) {
                if (text.startsWith(form, from))
                    addSpan(hits, { from, to: from + form.length });
                else if (from + form.length > text.length && form.startsWith(text.slice(from)))
                    open = Math.min(open, from);
            }
        }
        return {
            hits: hits.map(({ from, to }) => ({ from: at(from), to: at(to - 1) + 1 })),
            open: open === text.length ? plain.length : at(open),
        };
    };
}
function formsOf(secrets) {
    const forms = new Set();
    for (const secret of secrets)
        for (const form of secretForms(secret)) {
            const { text } = withoutBreaks(withoutEscapes(form));
            if (!isUnmaskable(text))
                forms.add(text);
        }
    return forms;
}
/** What is found in a text that goes on behind another one, in places of the text. */
function behind(before, plain, search) {
    const { hits, open } = search(before + plain);
    const place = (at) => Math.max(0, at - before.length);
    return { hits: hits.map(({ from, to }) => ({ from: place(from), to: place(to) })), open: place(open) };
}
/** The last characters of a text, too few for a secret that is waited for, and whether a line break follows them. */
function lastShown(text) {
    const atBreak = /[\r\n][ \t\r\n]*$/.test(text.slice(-LONGEST_GAP));
    return withoutBreaks(text).text.slice(1 - HEAD) + (atBreak ? '\n' : '');
}
/** Adds a span that begins no earlier than the last one; one that overlaps it becomes a part of it. */
function addSpan(spans, span) {
    const last = spans.at(-1);
    if (last !== undefined && span.from < last.to)
        last.to = Math.max(last.to, span.to);
    else
        spans.push(span);
}
/** A text without its line breaks, and where each of its characters stood. */
function withoutBreaks(plain) {
    const parts = [];
    let from = 0;
    let gone = 0;
    for (const { 0: gap, index } of plain.matchAll(BREAK)) {
        parts.push({ text: plain.slice(from, index), from: from - gone, moved: gone });
        from = index + gap.length;
        gone += gap.length;
    }
    if (gone === 0)
        return { text: plain, at: (index) => index };
    parts.push({ text: plain.slice(from), from: from - gone, moved: gone });
    return {
        text: parts.map(({ text }) => text).join(''),
        at: (index) => index + parts.findLast((part) => part.from <= index).moved,
    };
}
/** The spans that begin in the text as `***`. */
function masked(text, spans) {
    let shown = '';
    let from = 0;
    for (const span of spans) {
        if (span.from >= text.length)
            break;
        shown += `${text.slice(from, span.from)}***`;
        from = span.to;
    }
    return shown + text.slice(from);
}
/** How much of a text can be shown: what lies before `open`, and cuts no hit and, by lines, no line. */
function cutBefore(text, hits, open, by) {
    const lineStart = (index) => by === 'lines' ? text.lastIndexOf('\n', index - 1) + 1 : index;
    let at = open === 0 ? 0 : lineStart(open);
    for (const { from, to } of [...hits].reverse())
        if (from < at && at < to)
            at = from === 0 ? 0 : lineStart(from);
    return at;
}
/** A progress bar rewrites its line with carriage returns; what stood there last is what a person would see. */
function lastWritten(line) {
    const shown = line.replace(/\r+$/, '');
    return shown.slice(shown.lastIndexOf('\r') + 1);
}
/**
 * Lines with nothing in them that the GitHub runner would obey: no `::command::` at their start, and none of the older
 * `##[command]`, which it obeys anywhere in a line.
 */
function escapeCommands(text) {
    return text
        .split('\n')
        .map((line) => line.replaceAll('##[', '# #[').replace(/^(\s*):(?=:)/, '$1: '))
        .join('\n');
}

;// CONCATENATED MODULE: ./compiled/src/lib/steps.js

/** How a step ended that threw `error`: skipped where it was cancelled or turned out to be not needed. */
function endOfStep(error) {
    if (error instanceof Cancelled || error instanceof NotNeeded)
        return { outcome: 'skipped', detail: error.message };
    return { outcome: outcomeOfError(error) };
}
/** The outcome of work that threw `error`: failed, unless a Failure says that it is not known. */
function outcomeOfError(error) {
    return error instanceof Failure ? error.outcome : 'failed';
}
/**
 * Makes a reporter. `tell` takes each step to where it is read (the runner's log, the events of a run in the worker) and
 * must not throw. `endOf` says how a step ended that threw.
 */
function stepReporter(tell, endOf = endOfStep) {
    return {
        add: tell,
        async step(name, work, detail) {
            const startedAt = Date.now();
            const started = performance.now();
            const end = ({ outcome, detail: said }) => {
                const milliseconds = Math.round(performance.now() - started);
                tell({ name, outcome, startedAt, milliseconds, ...(said ? { detail: said } : {}) });
            };
            let value;
            try {
                value = await work();
            }
            catch (error) {
                end(endOf(error));
                throw error;
            }
            end({ outcome: 'passed', detail: worded(() => detail?.(value)) });
            return value;
        },
        skip(...names) {
            for (const name of names)
                tell({ name, outcome: 'skipped', startedAt: Date.now(), milliseconds: 0 });
        },
    };
}
/** The words for what came of a step; none where making them fails, for the work has passed all the same. */
function worded(words) {
    try {
        return words();
    }
    catch {
        return undefined;
    }
}

;// CONCATENATED MODULE: ./compiled/src/worker/run/reporter.js






/** Characters of one program's output that go to the action, and of one event; the rest stays in the log on the host. */
const reporter_MOST_TOLD = 256 * 1_024;
const LONGEST_CHUNK = 16 * 1_024;
/**
 * The fields that hold sentences for people. Names, commits, paths and outcomes are left alone: they are our own, and a
 * weak secret that equals one of them must not change what the action reads.
 */
const SPOKEN = new Set(['text', 'message', 'next', 'detail', 'notRehearsedWhy']);
/**
 * How a step ended that threw. It is not `skipped` where it was cancelled: a run is also stopped because its time is
 * over, and that fails. The action shows as skipped what it stopped itself.
 */
const endOfWorkerStep = (error) => ({
    outcome: outcomeOfError(error),
});
/** Opens the events and the log of a run. @throws the file system's error where they cannot be opened. */
function openReporter(folder, seal) {
    const events = (0,external_node_fs_namespaceObject.openSync)(folder.events, 'a', 0o600);
    const log = (0,external_node_fs_namespaceObject.openSync)(folder.log, 'a', 0o600);
    const warnings = [];
    let lost = 0;
    /** Never throws: false where nothing of it could be written. */
    const append = (fd, text, essential = false) => {
        const write = () => appendWhole(fd, text);
        try {
            if (essential)
                withReserve(write);
            else
                write();
            return true;
        }
        catch {
            lost++;
            return false;
        }
    };
    const hidden = new Set();
    let current = redactor(hidden);
    /** Of what is hidden at the time: more may be found while a program speaks. */
    const shown = {
        redact: (text, before) => current.redact(text, before),
        settle: (text, by, before) => current.settle(text, by, before),
    };
    const event = (value) => {
        const said = JSON.stringify(value, (name, item) => typeof item === 'string' && SPOKEN.has(name) ? shown.redact(item) : item);
        const whole = append(events, seal.line(said), value.kind === 'state' || value.kind === 'ended');
        if (whole)
            seal.written();
        return whole;
    };
    const toLog = (text) => void append(log, text);
    return {
        event,
        warnings,
        progress: (text) => void event({ kind: 'progress', text }),
        warn(problem) {
            warnings.push(problem);
            event({ kind: 'warning', problem });
        },
        step: stepReporter((step) => void event({ kind: 'step', step }), endOfWorkerStep).step,
        output(source) {
            const tell = boundedOutput(event, source, toLog);
            return () => wholeLines(shown, tell);
        },
        logged: () => wholeLines(shown, toLog),
        clean: (text) => shown.redact(text),
        end(result) {
            const known = lost === 0 ? result : { ...result, warnings: [...result.warnings, leftOut(lost)] };
            return event({ kind: 'ended', result: known }) || event({ kind: 'ended', result: inShort(result) });
        },
        hide(secrets) {
            for (const secret of secrets)
                hidden.add(secret);
            current = redactor(hidden);
        },
        close() {
            (0,external_node_fs_namespaceObject.closeSync)(events);
            (0,external_node_fs_namespaceObject.closeSync)(log);
        },
    };
}
function boundedOutput(event, source, log) {
    let told = 0;
    return (text) => {
        log(text);
        if (told >= reporter_MOST_TOLD)
            return;
        for (let at = 0; at < text.length && told < reporter_MOST_TOLD; at += LONGEST_CHUNK) {
            const part = text.slice(at, at + LONGEST_CHUNK);
            told += part.length;
            event({ kind: 'output', source, text: part });
        }
        if (told >= reporter_MOST_TOLD)
            event({ kind: 'output', source, text: '\n[more output: see output.log of this run on the server]\n' });
    };
}
function leftOut(count) {
    return {
        message: `${count} ${count === 1 ? 'message' : 'messages'} of this run could not be written on the server and ${count === 1 ? 'is' : 'are'} missing above: its disk was full.`,
        next: 'Free some space there: df -h; df -i',
    };
}
/** A result that fits into one block of a disk: the beginnings of three problems, no checks, no warnings. */
function inShort({ problems, health: _, ...result }) {
    const cut = ({ message, next }) => ({
        message: message.slice(0, 500),
        ...(next === undefined ? {} : { next: next.slice(0, 500) }),
    });
    return { ...result, problems: problems.slice(0, 3).map(cut), warnings: [] };
}
/** A result with nothing found yet. */
function emptyResult(outcome, warnings) {
    return { outcome, problems: [], warnings };
}

;// CONCATENATED MODULE: ./compiled/src/worker/run/deploy.js

































/** One deploy on this host, with the lock held. Returns how it ended; a Failure means that nothing was changed. */
async function deployOnHost(asked) {
    const context = { ...asked, request: withTidyPaths(asked.request) };
    const { request, reporter, signal } = context;
    const result = emptyResult('failed', reporter.warnings);
    const begun = await beginRun(context);
    const found = await reporter.step('preflight', () => checkedHostState(begun, context), preflightWords);
    if (found.facts.liveSha !== undefined)
        result.previousSha = found.facts.liveSha;
    stayReadable(found.live);
    const repository = await stageRepository(found, request);
    await reporter.step('fetch', () => fetchSha(repository, request, signal), () => request.sha.slice(0, 12));
    const decided = await decide(found, repository, context);
    if (decided !== undefined)
        return { ...result, ...decided };
    await refuseShutFolders(found, repository, request.sha);
    const live = request.looksAtLive ? liveLooks(found, request.health, context) : undefined;
    const adopted = await adoptLive(await lookAtLive(found, context, live !== undefined), context);
    try {
        const stage = await prepareStage(adopted, repository, context, result, live);
        const liveHealth = live?.baseline ?? adopted.liveHealth;
        const looked = { ...adopted, ...definedOnly({ liveHealth }) };
        const cut = await cutOverOnGo(looked, repository, stage, context, live);
        if (cut.outcome === 'deployed')
            await tidy(adopted, repository, request, reporter);
        if (cut.outcome === 'put-back')
            await dropStage(adopted, repository, stage, context);
        return { ...result, ...cut, warnings: reporter.warnings };
    }
    finally {
        live?.end();
    }
}
function preflightWords(found) {
    const { facts } = found;
    return [
        found.strategy,
        facts.liveSha === undefined ? 'first deploy' : `live ${facts.liveSha.slice(0, 12)}`,
        ...(facts.entry ? [`${facts.entry.mode} x${facts.entry.instances}`] : []),
    ].join(', ');
}
/** Judges what was found with the lock held: what the action saw before may be old by now. */
async function checkedHostState(found, { request, folder, reporter }) {
    const refusals = [
        ...found.facts.refusals,
        ...found.facts.deployRefusals,
        ...envRefusals(found, {
            explicit: request.explicit,
            ...(request.envFile === undefined ? {} : { writes: request.envFilePath }),
        }),
        ...dirtyRefusals(found.facts.dirtyFiles, request.dirtyCheckout),
        ...(await hostProblems(found, request)),
    ];
    const envFault = request.envFile === undefined ? undefined : checkEnvText(request.envFile);
    if (envFault !== undefined)
        refusals.push({
            message: `env-file ${envFault}.`,
            next: 'Check the secret that env-file comes from: it may be cut, or not set.',
        });
    if (refusals.length > 0)
        throw new Failure(refusals);
    for (const trap of found.facts.warnings)
        reporter.warn(trap);
    // Kept again right before they are taken away; but what cannot be kept is to be known before the build.
    if (found.checkout)
        await keepLocalChanges(found.checkout, found.facts.dirtyFiles, folder);
    return found;
}
/** Ends early where nothing is to be done; undefined means: go on. */
async function decide(found, repository, { request, reporter, signal }) {
    const { liveSha, liveVerified, port } = found.facts;
    const { sha } = request;
    const olderThanLive = request.explicit
        ? 'no'
        : await isOlder({ tools: found.tools, repository, sha, liveSha, request, signal });
    const decision = decideDeploy({
        sha,
        explicit: request.explicit,
        attempt: request.run.attempt,
        ...definedOnly({ liveSha }),
        liveVerified,
        olderThanLive,
        history: found.history,
        appName: request.app.appName,
        runId: request.run.id,
        envChanges: sha === liveSha && (await envChanges(found, request)),
    });
    if (decision.kind === 'refuse')
        throw new Failure(decision.problem);
    if (decision.kind === 'newer-is-live') {
        reporter.warn({
            message: `A newer commit (${liveSha}) is live already; ${request.sha} was not deployed.`,
        });
        return { outcome: 'newer-is-live' };
    }
    if (decision.kind === 'go')
        return undefined;
    if (port === undefined)
        return found.facts.portless && isOnline(found) ? unchanged(found, sha) : undefined;
    const health = { ...request.health, deadline: Math.min(request.health.deadline, 10_000) };
    const asked = await askLoopback({ port, health, sha: request.sha, expectVersion: true, signal });
    if (!asked.healthy) {
        reporter.warn({
            message: 'The commit is live already but does not answer health; it is deployed again.',
        });
        return undefined;
    }
    return { ...unchanged(found, sha), health: asked.facts };
}
function unchanged({ history }, sha) {
    return { outcome: 'unchanged', deployedSha: sha, ...definedOnly({ release: history.live?.release }) };
}
/** What there is to see of a program without a port. */
function isOnline({ entry }) {
    return entry?.instances.every(({ status }) => status === 'online') === true;
}
/**
 * The live commit becomes a release of the journal where our own deploys did not make it: the first deploy, or
 * changes by hand. It counts as verified if it answers health.
 */
async function adoptLive(found, { request, reporter, signal }) {
    const { liveSha, liveVerified, port } = found.facts;
    if (liveSha === undefined || liveVerified || found.live === undefined)
        return found;
    const release = found.strategy === 'releases'
        ? found.live.slice(found.live.lastIndexOf('/') + 1)
        : newReleaseName(liveSha);
    const healthy = (found.facts.portless && isOnline(found)) ||
        (port !== undefined &&
            (await askLoopback({
                port,
                health: { ...request.health, deadline: Math.min(request.health.deadline, 10_000) },
                expectVersion: false,
                signal,
            })).healthy);
    if (!healthy) {
        reporter.warn({
            message: `The live commit ${liveSha} does not answer health and was not deployed by this action: it is no target for a rollback.`,
        });
        return found;
    }
    writeJournal(found.state, request.run, {
        event: 'adopted',
        release,
        sha: liveSha,
        app: request.app.appName,
    });
    reporter.progress(`the live commit ${liveSha.slice(0, 12)} answers health: adopted as verified`);
    return { ...found, history: historyOf(readJournal(found.state)) };
}
/** Cuts over once the action and the other applications of the host let it; until then it can be stopped. */
async function cutOverOnGo(found, repository, stage, context, live) {
    let begun = false;
    try {
        // The backup has used some of the room since; without what git needs to turn, no word is waited for.
        if (context.request.cutover !== 'at-once')
            await reserveForTurn(found.tools, planCutover(found, stage, context.request), context.folder);
        await context.hold('rehearsed');
        live?.end();
        return await withPm2Lock({ ...context, ...context.request, supervisor: found.supervisor }, async () => {
            const now = await lookAgain(found, stage, context);
            context.commit();
            const ready = await writeCutover(now.found, now.stage, context);
            begun = true;
            return cutOver(ready, context);
        });
    }
    catch (error) {
        if (!begun)
            await discardStage(repository, stage.folder, context.reporter);
        throw error;
    }
}
/**
 * A build takes minutes, and people and the application write meanwhile: what the cutover would take away is looked at
 * once more. @throws a Failure where it must not be; nothing was changed.
 */
async function lookAgain(found, stage, { request, folder, reporter, signal }) {
    await waitForGit(found, signal);
    const problems = await hostProblems(found, request);
    if (problems.length > 0)
        throw new Failure(problems);
    if (found.strategy !== 'in-place')
        return { found, stage };
    const paths = withEnvFile(swapsOf(found, request, stage.folder, stage.made), request);
    const tracking = await lookAtCollisions(found, request, { tools: found.tools, folder: stage.folder }, paths);
    const changed = await changedByPeople(found);
    const byPeople = changed.filter((path) => !tracking?.hostFrom.includes(path));
    const refusals = dirtyRefusals(byPeople, request.dirtyCheckout);
    if (refusals.length > 0)
        throw new Failure(refusals);
    const untracked = [...(tracking?.inTheWay ?? []), ...(tracking?.hostTo ?? [])];
    // They are kept like any local change.
    await trackAsTheyAre(found.checkout, untracked);
    const dirtyFiles = [...new Set([...byPeople, ...untracked])];
    const changes = await keepLocalChanges(found.checkout, dirtyFiles, folder);
    if (changes)
        reporter.warn(keptWords(changes));
    return {
        found: { ...found, facts: { ...found.facts, dirtyFiles } },
        stage: {
            ...stage,
            paths,
            ...definedOnly({ tracking, changes }),
        },
    };
}
/**
 * A version that was put back is of no use any more, but for what the application wrote there while it was live. What
 * cannot be deleted goes with old releases: the old version serves, whatever becomes of this folder.
 */
async function dropStage(found, repository, stage, { request, reporter }) {
    try {
        const place = await rescue(found, stage.release, request);
        if (place !== undefined)
            reporter.warn(rescuedWords(stage.release, place));
        await dropRelease(repository, stage.folder);
        dropNote(found.state, stage.release);
    }
    catch (error) {
        reporter.warn({
            message: `The version that was put back could not be deleted: ${problemsOf(error)[0].message}`,
        });
    }
}
function remember(state, { environment, database }) {
    if (environment === undefined && database !== 'given')
        return;
    writeState(state, {
        ...readState(state),
        ...definedOnly({ environment }),
        ...(database === 'given' ? { database: true } : {}),
    });
}
/** After the new version is verified; nothing here can make a good deploy fail. */
async function tidy(found, repository, request, reporter) {
    const forgotten = catchProblem(() => remember(found.state, request.app));
    if (forgotten)
        reporter.warn({
            message: `What was deployed here could not be remembered on the server: ${forgotten.message}`,
            next: 'The next deploy cannot tell a wrong environment or a missing database-url by it.',
        });
    try {
        const { gone, rescued } = await prune({ found, repository, request });
        for (const [release, place] of rescued)
            reporter.warn(rescuedWords(release, place));
        if (gone.length > 0)
            reporter.progress(`deleted ${gone.length} old ${gone.length === 1 ? 'release' : 'releases'}`);
    }
    catch (error) {
        reporter.warn({ message: `Old releases could not be deleted: ${problemsOf(error)[0].message}` });
    }
}

;// CONCATENATED MODULE: ./compiled/src/worker/run/hold.js






/** Milliseconds between two looks for the word. */
const hold_BETWEEN_LOOKS = 100;
/** Where a run stops for a word. */
const STOPS = {
    'at-once': [],
    'on-go': ['rehearsed'],
    'step-by-step': ['built', 'rehearsed'],
    'builds-later': ['installed', 'rehearsed'],
};
/** True where a run stops at this state. Pure. */
function stopsAt(at, cutover) {
    return STOPS[cutover].includes(at);
}
/**
 * What becomes of a run that waits and has not heard of the action for its lease. It goes forward only where that
 * leaves no two versions behind: alone on its host, and rehearsed, which it is after the commit to the database. Pure.
 */
function whenUnheard(at, goesAlone) {
    return at === 'rehearsed' && goesAlone ? 'go' : 'drop';
}
/** Waits for the word of the action where the run stops at this state. @throws a Failure where the action is gone, Cancelled */
async function hold(at, { request, folder, reporter, signal, clock, tell, live }) {
    if (signal.aborted)
        throw new Cancelled();
    // Waiting for another application's turn is no time of the deploy, so the clock of one that never stops ends here.
    if (at === 'rehearsed' || stopsAt(at, request.cutover))
        clock.pause();
    if (!stopsAt(at, request.cutover))
        return;
    const word = at === 'rehearsed' ? folder.go : folder.rehearse;
    // A word that came before its state is none: the build could have left it.
    removePath(word);
    removePath(folder.look);
    if (!reporter.event({ kind: 'state', state: at }))
        throw new Failure({
            message: `Everything is ${at}, but the action could not be told: the disk of the server is full. Nothing was changed.`,
            next: 'Free some space there (df -h; df -i), then start the workflow again.',
        });
    tell(true);
    const unheardFor = actionWatch(folder);
    while (!(0,external_node_fs_namespaceObject.existsSync)(word)) {
        if (unheardFor() > request.goLease) {
            if (whenUnheard(at, request.goesAlone === true) === 'drop')
                throw unheard(at, request.goLease);
            reporter.progress(`the action has not been heard of for ${formatDuration(request.goLease)}: the deploy goes on without it`);
            break;
        }
        if (at !== 'rehearsed' && (0,external_node_fs_namespaceObject.existsSync)(folder.look)) {
            removePath(folder.look);
            void live?.before();
        }
        await pause(hold_BETWEEN_LOOKS, signal);
    }
    // The word says that the database is changed.
    if (at !== 'rehearsed')
        live?.begin();
    tell(false);
    clock.resume();
    if (at !== 'rehearsed')
        reporter.event({ kind: 'state', state: 'preparing' });
}
function unheard(at, lease) {
    return new Failure({
        message: `Everything is ${at}, but the action has not been heard of for ${formatDuration(lease)}: nothing was changed on this server.`,
        next: 'Start the workflow again.',
    });
}

;// CONCATENATED MODULE: ./compiled/src/worker/run/prune-runs.js





/** Runs whose events and output stay on the host, with the one that is at work. */
const RUNS_KEPT = 20;
/** Changes that were taken away, in the folder of a run. */
const prune_runs_KEPT = [PATCH, COPIES];
/**
 * Deletes what old runs have left, before the run in the folder `own` begins: also where one deploy after the other fails,
 * the disk does not fill with what they said. Runs that are at work or wait stay. Never throws: nothing hangs on it.
 */
function pruneRuns(state, own) {
    const others = prune_runs_listed(state).filter(({ path }) => path !== own.path);
    const ended = others.filter((run) => !workerLives(run));
    const kept = RUNS_KEPT - 1 - (others.length - ended.length);
    const newestFirst = ended.map((run) => ({ run, at: lastHeardOf(run) })).sort((a, b) => b.at - a.at);
    for (const [index, { run }] of newestFirst.entries())
        try {
            if (index < kept)
                removePath(run.reserve);
            else
                emptyRun(run.path);
        }
        catch {
            // Its files belong to somebody else, or another run has deleted it just now.
        }
}
/** Runs of which more is there than changes that were taken away. */
function prune_runs_listed(state) {
    return allRunFolders(state).filter(({ path }) => entriesOf(path).some((name) => !prune_runs_KEPT.includes(name)));
}
function entriesOf(path) {
    try {
        return (0,external_node_fs_namespaceObject.readdirSync)(path);
    }
    catch {
        return [];
    }
}
/** When a run has said something last, or was cancelled, in milliseconds since the epoch; 0 where neither was. */
function lastHeardOf({ events, cancel }) {
    const times = [events, cancel].map((file) => (0,external_node_fs_namespaceObject.statSync)(file, { throwIfNoEntry: false })?.mtimeMs ?? 0);
    return Math.max(...times);
}
/** Deletes the folder of a run, but for changes that were taken away: nobody else may have them. */
function emptyRun(path) {
    if (!present((0,external_node_path_namespaceObject.join)(path, PATCH)))
        removePath(path);
    else
        for (const name of entriesOf(path))
            if (!prune_runs_KEPT.includes(name))
                removePath((0,external_node_path_namespaceObject.join)(path, name));
}

;// CONCATENATED MODULE: ./compiled/src/worker/run/rollback.js






























/** Puts an earlier verified release back without a build, and verifies it like a deploy. The lock is held. */
async function rollBack(context) {
    const { request, reporter } = context;
    const started = performance.now();
    const result = emptyResult('failed', reporter.warnings);
    const found = await beginRun(context);
    const { refusals } = found.facts;
    if (refusals.length > 0)
        throw new Failure(refusals);
    if (found.facts.liveSha !== undefined)
        result.previousSha = found.facts.liveSha;
    const history = historyAsFound(found.history, found.facts.liveSha);
    if (history !== found.history)
        reporter.warn({
            message: `What is live (${found.facts.liveSha}) was not deployed by this action: somebody put it there by hand.`,
        });
    const decision = chooseRollback({
        ...definedOnly({ undoRun: request.undoRun, to: request.to }),
        appName: request.app.appName,
        history,
        isAvailable: availability(found),
    });
    if (decision.kind === 'nothing') {
        reporter.progress(`nothing to undo: ${decision.why}`);
        const { live } = history;
        if (history.broken && live)
            return { ...result, outcome: 'broken', problems: [stillBroken(found, live)] };
        return {
            ...result,
            outcome: 'unchanged',
            ...(live ? { deployedSha: live.sha, release: live.release } : {}),
        };
    }
    const { to } = decision;
    await warnOfUntracked(found, reporter);
    const done = await withPm2Lock({ ...context, ...context.request, supervisor: found.supervisor }, async () => {
        await waitForGit(found, context.signal);
        context.commit();
        return goBack(found, to, context);
    });
    return { ...result, ...done, rollbackMs: Math.round(performance.now() - started) };
}
/** An earlier put-back left a version that did not prove itself, and there is nothing that this rollback could undo. */
function stillBroken({ supervisor }, live) {
    return {
        message: `${live.sha} is in place on the server, but it did not prove itself when it was put back.`,
        next: `Run "${supervisor.restartWords}" on the server. ${supervisor.logWords}`,
    };
}
/** Among releases what the application wrote into the leaving one is not in the one that comes back. */
async function warnOfUntracked(found, reporter) {
    if (found.strategy === 'in-place' || found.live === undefined)
        return;
    const asked = { sharedPaths: [], buildOutput: [], envFilePath: '.env.local' };
    const foreign = (await untrackedInLive(found, asked)).filter((path) => !isSymlink((0,external_node_path_namespaceObject.join)(found.live, path)));
    if (foreign.length === 0)
        return;
    reporter.warn({
        message: `Only the version that leaves has ${shortenList(foreign)}: kept in ${found.live}.`,
        next: 'Name in shared-paths what every version needs.',
    });
}
async function goBack(found, to, context) {
    const { request, reporter, folder } = context;
    const { state, supervisor, tools, app } = found;
    const kept = await keptEntry(found, to);
    const plan = planRollback(found, to, request.run, await lookBack(found, to, context), kept?.file);
    refuseOneAndTheSame(plan);
    await reserveForTurn(tools, plan, folder);
    if (plan.from && plan.from.release !== to.release && found.live !== undefined)
        await noteLeaving(found, plan, []);
    if (plan.checkout)
        await git(found.checkout, 'update-ref', `refs/deploys/${plan.checkout.fromSha}`, plan.checkout.fromSha);
    const port = found.facts.portless ? undefined : (request.app.healthPort ?? kept?.port ?? found.facts.port);
    const versions = rollbackVersions(found, plan);
    const before = await supervisor.running(port, found.entry);
    keepOpenPages(found, plan.from, to, reporter);
    if (plan.entry)
        await supervisor.keepEntry(plan.entry.from);
    writePlan(state, plan);
    reporter.event({ kind: 'state', state: 'putting-back' });
    const probe = port === undefined ? undefined : probeDowntime(port, request.health.budget, reporter);
    let health;
    try {
        await reporter.step('put back', async () => {
            await bringInPlace(tools, plan);
            await supervisor.restart({ state, ...definedOnly({ kept: plan.entry?.to }) });
        }, () => to.sha.slice(0, 12));
        health = await reporter.step('verification', () => verifyRestart({
            supervisor,
            port,
            sha: to.sha,
            health: request.health,
            expectVersion: false,
            tell: reporter.progress,
            before,
            versions,
            warn: reporter.warn,
        }));
        await restartOthers({ found, sha: to.sha, health: request.health, reporter });
    }
    catch (error) {
        const detail = reporter.clean(problemsOf(error)[0].message);
        warnUnwritten(reporter, catchProblem(() => writeJournal(state, request.run, { event: 'broken', ...to, detail })));
        return {
            outcome: 'broken',
            problems: [...problemsOf(error), handWork(plan, supervisor)],
            ...definedOnly({ downtimeMs: await probe?.stop() }),
        };
    }
    // It is back and verified, whatever can be written about it.
    warnUnwritten(reporter, catchProblem(() => {
        writeJournal(state, request.run, {
            event: 'rolled-back',
            ...to,
            app: app.appName,
            ...definedOnly({ from: plan.from }),
        });
        dropPlan(state);
        dropKeptEntry(plan, 'to');
    }));
    await saveOrWarn(found, reporter);
    return {
        outcome: 'rolled-back',
        deployedSha: to.sha,
        release: to.release,
        health,
        ...definedOnly({ downtimeMs: await probe?.stop() }),
    };
}
/** How the version that comes back was run, where that was another way than now. */
async function keptEntry({ state, history, supervisor }, to) {
    const file = entryFileFor(state, history, to.release);
    const kept = file === undefined ? undefined : await supervisor.readKept(file);
    if (file === undefined || kept === undefined || kept.isAsNow)
        return undefined;
    return { file, ...definedOnly({ port: kept.port }) };
}
/**
 * What changes place. What the leaving version's build made and the application wrote to since is data by now: it stays
 * for whichever version is live.
 */
function movesBack(found, to) {
    const { live, releases, state } = found;
    const from = liveRef(found);
    // What is in place already is only restarted.
    if (from.release === to.release)
        return { paths: [], onlyHere: [] };
    const target = releaseFolder(releases, to.release);
    const { written } = asLeftIn(live, readNote(state, from.release), undefined);
    const ofTarget = pathsOf(state, to.release).filter((path) => present((0,external_node_path_namespaceObject.join)(target, path)));
    const paths = ofTarget.filter((path) => !written(path));
    const onlyHere = pathsOf(state, from.release).filter((path) => !isWithinAny(path, ofTarget) &&
        !holdsAny(path, ofTarget) &&
        present((0,external_node_path_namespaceObject.join)(live, path)) &&
        !written(path));
    return { paths, onlyHere };
}
/**
 * Looks what git would take away on the way back, and keeps what people changed. @throws a Failure where that cannot be
 * kept; nothing was changed.
 */
async function lookBack(found, to, { folder, reporter }) {
    const { checkout, facts, releases, state, tools } = found;
    if (found.strategy !== 'in-place' || checkout === undefined)
        return undefined;
    const kept = readNote(state, to.release)?.changes;
    if (kept !== undefined && !changesAreThere(kept))
        reporter.warn({
            message: `${to.sha} was live with local changes, which were kept in ${kept.patch}; that file is gone, so it comes back without them.`,
        });
    const moves = movesBack(found, to);
    const rules = { tools, folder: releaseFolder(releases, to.release) };
    const tracking = await lookAtTracking(checkout, {
        from: facts.liveSha,
        to: to.sha,
        shared: [],
        swapped: [...moves.paths, ...moves.onlyHere],
        takenBefore: readNote(state, liveRef(found).release)?.takenOver ?? [],
        ...((await isWorkTree(rules)) ? { rules } : {}),
    });
    const dirty = (await changedByPeople(found)).filter((path) => !tracking.hostFrom.includes(path));
    const changes = await keepLocalChanges(checkout, dirty, folder);
    if (changes)
        reporter.warn(keptWords(changes));
    return { ...moves, tracking, ...definedOnly({ changes }) };
}
/** Everything the rollback will change: the kept files of the target take the places of the live ones. */
function planRollback(found, to, run, look, entry) {
    const { live, releases, facts, app, state } = found;
    const from = liveRef(found) ?? found.history.live;
    const base = {
        task: 'rollback',
        run: { id: run.id, attempt: run.attempt, ...definedOnly({ url: run.url }) },
        ...definedOnly({ from }),
        to,
        ...(entry === undefined || from === undefined
            ? {}
            : { entry: { from: entryFile(state, from.release), to: entry } }),
    };
    const target = releaseFolder(releases, to.release);
    if (look === undefined)
        return {
            ...base,
            swaps: [],
            link: { path: currentLink(app.appPath), ...definedOnly({ from: live }), to: target },
        };
    const away = releaseFolder(releases, from.release);
    const { paths, tracking } = look;
    const leaving = [...new Set([...look.onlyHere, ...tracking.inTheWay])];
    const moved = [...paths, ...leaving];
    const note = readNote(state, to.release);
    return {
        ...base,
        swaps: [
            ...paths.map((path) => ({
                live: (0,external_node_path_namespaceObject.join)(live, path),
                incoming: (0,external_node_path_namespaceObject.join)(target, path),
                kept: (0,external_node_path_namespaceObject.join)(away, path),
                had: present((0,external_node_path_namespaceObject.join)(live, path)),
            })),
            // What leaves without anything in its stead takes the place where it is kept.
            ...leaving.map((path) => ({
                live: (0,external_node_path_namespaceObject.join)(away, path),
                incoming: (0,external_node_path_namespaceObject.join)(live, path),
                kept: `${(0,external_node_path_namespaceObject.join)(away, path)}.replaced`,
                had: present((0,external_node_path_namespaceObject.join)(away, path)),
            })),
        ],
        checkout: {
            folder: live,
            fromSha: facts.liveSha,
            toSha: to.sha,
            from: extrasOf(away, [], moved, tracking.hostFrom, look.changes),
            to: extrasOf(target, note?.rebuilt ?? [], moved, tracking.hostTo, note?.changes),
            untrack: tracking.untrack,
            takenOver: tracking.takenOver,
            aside: asideFor(state, base.run, to),
        },
    };
}
/** What belongs to a release beside its tracked files. */
function pathsOf(state, release) {
    const note = readNote(state, release);
    return [...new Set([...(note?.paths ?? []), ...(note?.envFiles ?? [])])];
}

;// CONCATENATED MODULE: ./compiled/src/worker/run/long-run.js

















/** Milliseconds between two looks for a cancel. */
const long_run_BETWEEN_LOOKS = 200;
/**
 * A deploy or rollback from its beginning to its result. It runs detached: its only reader is `follow`, and it
 * always ends with an `ended` event, whatever happens. Only where not even that can be written, because the disk is full
 * and its reserve is used up, `follow` sees that it is gone. @throws where it cannot begin: no room, no right to write.
 */
async function longRun(asked, key, env) {
    const opened = refuseFullDisk(asked.app.appPath, () => openRun(asked, key, env));
    if (!opened)
        return;
    const { state, folder, reporter } = opened;
    const request = { ...asked, health: countedIn(state.requests, asked.health) };
    reporter.event({ kind: 'started', pid: process.pid, at: Date.now() });
    let result;
    try {
        result = await lockedRun(request, env, state, folder, reporter);
    }
    catch (error) {
        const outcome = error instanceof Cancelled ? 'cancelled' : 'failed';
        result = { ...emptyResult(outcome, reporter.warnings), problems: problemsOf(error) };
    }
    const stays = request.command === 'deploy' ? dropPackedBuild(request) : undefined;
    if (stays)
        reporter.warn(stays);
    reporter.end({ ...result, problems: result.problems.map(withAdvice) });
    reporter.close();
    catchProblem(freeReserve);
}
/** Makes the run's folder, with its reserve. undefined: the run is under way or has ended already. */
function openRun({ app, run, command }, key, env) {
    const home = env.HOME ?? '/';
    refuseOtherFormats(locateStateFolder(app.appPath, home));
    const state = openStateFolder(app.appPath, home);
    pruneRuns(state, runFolderOf(state, run, command));
    const claimed = claimRun(state, run, command, key);
    if (!claimed)
        return undefined;
    const { folder, told } = claimed;
    holdReserve((0,external_node_path_namespaceObject.join)(folder.reserve, 'records'));
    return { state, folder, reporter: openReporter(folder, sealer(key, told)) };
}
/** Why the packed build still lies on the server, where it does. It is deleted a day later then. */
function dropPackedBuild({ packedBuild }) {
    const why = packedBuild === undefined ? undefined : catchProblem(() => removePath(packedBuild));
    return why && { message: `The packed build could not be deleted on the server: ${why.message}` };
}
async function lockedRun(request, env, state, folder, reporter) {
    const stop = stopper(() => isCancelled(state, request.run, folder), request.timeout);
    try {
        stop.check();
        return await withLock(state, request.run, {
            wait: request.lockWait,
            signal: stop.signal,
            onWaiting(holder) {
                reporter.event({ kind: 'state', state: 'waiting-for-lock' });
                reporter.progress(`waiting for ${holderWords(holder)} to finish`);
            },
        }, () => {
            stop.check();
            stop.clock.resume();
            const shared = { env, reporter, signal: stop.signal, commit: stop.commit };
            return request.command === 'deploy'
                ? deployOnHost({
                    ...shared,
                    request,
                    folder,
                    hold: (at, live) => hold(at, {
                        ...shared,
                        request,
                        folder,
                        live,
                        clock: stop.clock,
                        tell: (waits) => noteWaiting(state, waits),
                    }),
                })
                : rollBack({ ...shared, request, folder });
        });
    }
    catch (error) {
        throw error instanceof Cancelled && stop.late() ? lateFailure(request.timeout) : error;
    }
    finally {
        stop.close();
    }
}
function lateFailure(timeout) {
    return new Failure({
        message: `The deploy was not prepared within ${Math.round(timeout / 1_000)} s and was stopped. The live version was not touched.`,
        next: 'Raise deploy-timeout, or see in the output what takes so long.',
    });
}
/** Ends the run on a cancel, on SIGTERM and when its time is over; none of them once the cutover has begun. */
function stopper(cancelled, timeout) {
    const controller = new AbortController();
    let committed = false;
    let late = false;
    const stop = () => {
        if (!committed)
            controller.abort();
    };
    const look = () => {
        if (cancelled())
            stop();
    };
    const check = () => {
        look();
        if (controller.signal.aborted)
            throw new Cancelled();
    };
    const watch = setInterval(look, long_run_BETWEEN_LOOKS);
    const clock = stopClock(timeout, () => {
        late = !committed && !controller.signal.aborted;
        stop();
    });
    // The connection that started the worker may go: that is no reason to stop.
    process.on('SIGHUP', () => { });
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
    return {
        signal: controller.signal,
        check,
        clock,
        commit() {
            check();
            committed = true;
        },
        late: () => late,
        close() {
            clearInterval(watch);
            clock.pause();
        },
    };
}

;// CONCATENATED MODULE: ./compiled/src/http/ask-once.js




/**
 * Asks one path once. Undefined where that is no verdict: no request is left, or the application answers that it was asked
 * too often. @throws Cancelled when the signal fires
 */
async function askOnce(target, health, { path, timeout, signal, counted }) {
    const noAssets = { known: () => new Set(), add: () => { }, left: () => 0 };
    const [check] = checksOf(target, { ...health, paths: [path], checkAssets: false }, noAssets);
    if (check === undefined)
        return undefined;
    const requests = openRequests(counted?.ledger ?? memoryLedger(), counted?.budget ?? { run: '', limit: 1, window: 1 }, 1);
    const tried = await tryCheck(check, {
        timeout: () => timeout,
        signal,
        requests,
        essential: () => false,
    });
    if (tried === undefined || tried.look.limited !== undefined)
        return undefined;
    const { look } = tried;
    const { ok } = look;
    return checkFact(target.from, {
        name: check.name,
        ok,
        attempts: 1,
        good: ok ? 1 : 0,
        milliseconds: look.timings?.total ?? 0,
        look,
    });
}

;// CONCATENATED MODULE: ./compiled/src/worker/run/watch-live.js











/**
 * One light look at what is live, while a run watches it: one request at most, what the supervisor tells of its programs (the
 * others of the checkout too, which answer nobody), and whether another run is at work or has deployed. Asks neither git
 * nor the lock, and writes nothing but its request.
 */
async function watchLive({ app, health: asked }, env) {
    const plain = openToolbox(env);
    const tools = plain.withFolders(supervisorOf(plain, app).programFolders());
    const state = locateStateFolder(app.appPath, tools.home);
    const history = historyOf(readJournal(state));
    const layout = layoutOf(app.appPath);
    const strategy = strategyFor(layout, app.strategy) ?? 'in-place';
    const { entry, facts } = await supervisorOf(tools, app).look({ layout, strategy, next: false });
    const health = countedIn(state.requests, asked);
    const path = health.paths.at(-1);
    const { port } = facts;
    const counted = health.budget && {
        ledger: ledgerOf(health.budget),
        budget: health.budget,
        version: history.live?.sha ?? '-',
    };
    const fact = port === undefined || path === undefined
        ? undefined
        : await askOnce(loopbackTarget(port, health), health, {
            path,
            timeout: health.timeout,
            signal: new AbortController().signal,
            counted,
        });
    const arrived = history.arrivals.findLast(({ release }) => release === history.live?.release);
    return {
        health: fact === undefined ? [] : [fact],
        ...definedOnly({
            liveRun: arrived?.runId,
            heldBy: currentHolder(state)?.runId,
            requestsLeft: counted && requestsLeft(counted.ledger.sent(), counted.budget, Date.now()),
        }),
        programs: [...(entry?.instances ?? []), ...(await otherInstances(tools, app))].map(watchedProgram),
    };
}
async function otherInstances(tools, app) {
    const instances = [];
    for (const appName of app.others ?? [])
        instances.push(...(await supervisorOf(tools, { ...app, appName }).running(undefined)).instances);
    return instances;
}
function watchedProgram({ id, pid, restarts, status }) {
    return { id, restarts, status, ...definedOnly({ bytes: residentBytes(pid) }) };
}
/** Bytes of a page of memory; every Linux that runs Node on x86 and most on ARM has these. */
const PAGE = 4_096;
/** The memory that a program holds now; undefined where that cannot be read. */
function residentBytes(pid) {
    const pages = Number(readStatm(pid)?.split(' ')[1]);
    return Number.isSafeInteger(pages) ? pages * PAGE : undefined;
}
function readStatm(pid) {
    try {
        return readText(`/proc/${pid}/statm`);
    }
    catch {
        return undefined;
    }
}

;// CONCATENATED MODULE: ./compiled/src/worker/main.js















/** Exit code where the request could not be carried out and a line of kind `refused` says why. */
const REFUSED = 3;
function printAnswer(line) {
    process.stdout.write(`${LINE_MARK}${JSON.stringify(line)}\n`);
}
/**
 * The request: put before the bundle by the action; or, of a detached worker, on stdin behind the line with the run's
 * key. That it is read is told by deleting the file named after `--waiting`.
 */
function readRequest() {
    const given = globalThis.MUVA_REQUEST;
    if (given !== undefined)
        return { request: given, key: Buffer.alloc(0) };
    const at = process.argv.indexOf('--waiting');
    const waiting = at < 0 ? undefined : process.argv[at + 1];
    if (waiting === undefined)
        throw new Error('no request was given');
    const text = (0,external_node_fs_namespaceObject.readFileSync)(0, 'utf8');
    (0,external_node_fs_namespaceObject.rmSync)(waiting);
    const end = text.indexOf('\n');
    return { request: JSON.parse(text.slice(end + 1)), key: keyOf(text.slice(0, end)) };
}
function keyOf(digits) {
    const key = Buffer.from(digits, 'hex');
    if (key.length !== KEY_LENGTH)
        throw new Error('the key of the run was not given');
    return key;
}
async function main() {
    const { request, key } = readRequest();
    const env = process.env;
    const home = env.HOME ?? '/';
    switch (request.command) {
        case 'inspect':
            return printAnswer(await lookAtHost(request, env));
        case 'collisions':
            return printAnswer(await collisions(request, env));
        case 'status':
            return printAnswer({ kind: 'status', status: await hostStatus(request.app, env) });
        case 'probe':
            return probe(request, env);
        case 'watch':
            return printAnswer({ kind: 'watched', look: await watchLive(request, env) });
        case 'follow':
            return streamRunEvents(request, home, printAnswer);
        case 'rehearse':
        case 'go':
        case 'cancel':
        case 'ask':
        case 'look':
            return printAnswer(signal(request, home));
        case 'cancel-session':
            return printAnswer(cancelSession(request, home));
        default:
            if (key.length === 0)
                throw new Error('a deploy or rollback runs detached, with a key of its own');
            await longRun(request, key, env);
            // Nothing that was left open keeps a run from being over: who follows waits for the end of this process.
            process.exit();
    }
}
async function lookAtHost(request, env) {
    try {
        return { kind: 'host', facts: await inspect(request, env) };
    }
    catch (error) {
        if (error instanceof TokenNeeded)
            return { kind: 'token-needed' };
        throw error;
    }
}
/** Paths of each kind that are told. */
const main_MOST_TOLD = 100;
async function collisions({ app, files }, env) {
    const { checkout, strategy } = await readHostState(app, env);
    const found = strategy === 'in-place' && checkout ? await foreseeCollisions(checkout, files) : undefined;
    return {
        kind: 'collisions',
        inTheWay: inTheWayOf(found).slice(0, main_MOST_TOLD),
        takenOver: (found?.takenOver ?? []).slice(0, main_MOST_TOLD),
    };
}
async function probe(request, env) {
    const { facts, state } = await readHostState(request.app, env);
    if (facts.portless && facts.refusals.length === 0)
        return printAnswer(supervisorSays(facts));
    if (facts.port === undefined)
        return refuse(facts.refusals);
    const asked = await askLoopback({
        port: facts.port,
        // Nothing is written where this action has no folder yet.
        health: request.counted && isFolder(state.path) ? countedIn(state.requests, request.health) : request.health,
        expectVersion: true,
        ...definedOnly({ version: facts.liveSha }),
        signal: new AbortController().signal,
    });
    printAnswer({ kind: 'probed', health: asked.facts, healthy: asked.healthy });
}
/** Of a program without a port there is only its supervisor to ask. */
function supervisorSays({ entry }) {
    const ok = entry?.status === 'online';
    const detail = `is ${entry?.status ?? 'not run'} in PM2`;
    const fact = {
        name: 'pm2',
        from: 'vps',
        ok,
        status: null,
        'latency-ms': null,
        attempts: 1,
        detail,
    };
    return { kind: 'probed', health: [fact], healthy: ok };
}
function refuse(problems) {
    printAnswer({ kind: 'refused', problems });
    process.exitCode = REFUSED;
}
// A reader that has gone away must not crash the answer half-way with a stack.
process.stdout.on('error', () => process.exit(0));
main().catch((error) => refuse(problemsOf(error)));

module.exports = __webpack_exports__;
/******/ })()
;