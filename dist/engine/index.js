/******/ (() => { // webpackBootstrap
/******/ 	"use strict";
/******/ 	var __webpack_modules__ = ({

/***/ 8046:
/***/ ((__unused_webpack_module, __webpack_exports__, __nccwpck_require__) => {

/* harmony export */ __nccwpck_require__.d(__webpack_exports__, {
/* harmony export */   CN: () => (/* binding */ visibleSecrets),
/* harmony export */   Yq: () => (/* binding */ MODE_HINT),
/* harmony export */   bQ: () => (/* binding */ parseFlags)
/* harmony export */ });
/* harmony import */ var _inputs_input_sources_js__WEBPACK_IMPORTED_MODULE_0__ = __nccwpck_require__(718);
/* harmony import */ var _inputs_nearest_js__WEBPACK_IMPORTED_MODULE_2__ = __nccwpck_require__(3795);
/* harmony import */ var _inputs_settings_js__WEBPACK_IMPORTED_MODULE_1__ = __nccwpck_require__(1905);
/* harmony import */ var _lib_defined_only_js__WEBPACK_IMPORTED_MODULE_3__ = __nccwpck_require__(8417);




/** All that is taken for a flag: a value may begin with dashes too, as a PEM key does. */
const FLAG = /^--([a-z][a-z-]{0,39})(?:=([\s\S]*))?$/;
/** Where only a flag can stand, these are told as the flag that they nearly are: `-app-name`, `--app_name`. */
const ODD_FLAG = /^-+([A-Za-z][\w-]{0,39})(?:=([\s\S]*))?$/;
const ASKS = new Map([
    ['--help', 'help'],
    ['-h', 'help'],
    ['--version', 'version'],
    ['-v', 'version'],
]);
const MODE_HINT = `The modes are: ${_inputs_settings_js__WEBPACK_IMPORTED_MODULE_1__/* .MODES */ .F.join(', ')}. muva-deploy init writes a workflow.`;
/**
 * Reads `<mode> --input value --input=value`; the mode only where `names` holds it. A boolean input may stand alone
 * and then means true. Everything that is not understood is complained about; nothing is guessed.
 *
 * A complaint quotes the names of flags only. A word in the wrong place may be a password, or the second line of a
 * key that lost its quotes: it is told by the word before it.
 */
function parseFlags(words, names) {
    const values = new Map();
    const problems = [];
    const mode = names.find((name) => name === 'mode');
    let asked;
    let place = 'the first word';
    // One complaint for all the words of a value that lost its quotes.
    let complained = false;
    for (let at = 0; at < words.length; at++) {
        const word = words[at];
        const flag = flagIn(word, names, FLAG) ?? nearly(flagIn(word, names, ODD_FLAG));
        if (ASKS.has(word))
            asked ??= ASKS.get(word);
        else if (flag !== undefined) {
            const { value, taken } = valueBehind(flag, words[at + 1], names);
            at += taken;
            const wrong = flagProblem(flag, value, values);
            if (wrong !== undefined)
                problems.push(wrong);
            else
                values.set(flag.name, value);
            place = taken === 0 ? `the word after ${flag.written}` : `the word after the value of ${flag.written}`;
            complained = false;
        }
        else if (word === 'help')
            asked ??= 'help';
        else if (mode !== undefined && !values.has(mode) && isMode(word)) {
            values.set(mode, word);
            place = 'the word after the mode';
            complained = false;
        }
        else if (!complained) {
            const missing = mode !== undefined && !values.has(mode);
            problems.push(missing && !word.startsWith('-') ? noMode(place, word) : oneTooMany(place, word));
            complained = true;
            const meant = (0,_inputs_nearest_js__WEBPACK_IMPORTED_MODULE_2__/* .nearest */ .p)(word, _inputs_settings_js__WEBPACK_IMPORTED_MODULE_1__/* .MODES */ .F);
            // What else is wrong is judged by the mode that was meant; with this problem the run is refused all the same.
            if (missing && meant !== undefined)
                values.set(mode, meant);
        }
    }
    return { values, ...(0,_lib_defined_only_js__WEBPACK_IMPORTED_MODULE_3__/* .definedOnly */ .U)({ asked }), problems };
}
function flagIn(word, names, pattern) {
    const [, written, value] = pattern.exec(word) ?? [];
    if (written === undefined)
        return undefined;
    const dashes = word.slice(0, word.indexOf(written));
    const name = dashes === '--' ? names.find((known) => known === written) : undefined;
    const near = (0,_inputs_nearest_js__WEBPACK_IMPORTED_MODULE_2__/* .nearest */ .p)(written, names);
    return {
        written: dashes + written,
        name,
        near: name === undefined ? names.find((known) => known === near) : undefined,
        value,
    };
}
function nearly(flag) {
    return flag?.near === undefined ? undefined : flag;
}
/** The value of a flag, and whether the next word was taken for it. */
function valueBehind(flag, next, names) {
    if (flag.value !== undefined)
        return { value: flag.value, taken: 0 };
    const name = flag.name ?? flag.near;
    const like = next === undefined ? undefined : flagIn(next, names, FLAG);
    if (name === undefined || isBoolean(name)) {
        // Only where it is meant for it: `--rehearse false`, not `--rehearse plan`.
        const taken = next !== undefined && like === undefined && !isMode(next);
        return taken ? { value: next, taken: 1 } : { value: 'true', taken: 0 };
    }
    if (next === undefined)
        return { value: undefined, taken: 0 };
    if (like === undefined)
        return { value: next, taken: 1 };
    // A flag of ours, so the value was forgotten; or a word like one, and then nobody but its writer knows which it is.
    const ours = like.name !== undefined || like.near !== undefined || ASKS.has(like.written);
    return { value: undefined, taken: ours ? 0 : 1 };
}
function flagProblem(flag, value, values) {
    const { written, name, near } = flag;
    if (name === undefined)
        return {
            message: `${written} is not known`,
            next: `${near === undefined ? '' : `Did you mean --${near}? `}muva-deploy --help lists all flags.`,
        };
    if (value === undefined)
        return {
            message: `${written} has no value`,
            next: `Write ${written} <value>, or ${written}=<value> where it looks like a flag.`,
        };
    if (values.has(name))
        return {
            message: `${name} is given twice`,
            next: 'Give it once; lists are separated by commas or line breaks.',
        };
    return undefined;
}
function noMode(place, word) {
    if (word === 'init')
        return {
            message: `mode: ${place} is init, which only the first can be`,
            next: 'Write muva-deploy init, and its flags after it.',
        };
    const near = (0,_inputs_nearest_js__WEBPACK_IMPORTED_MODULE_2__/* .nearest */ .p)(word, [..._inputs_settings_js__WEBPACK_IMPORTED_MODULE_1__/* .MODES */ .F, 'init']);
    const hint = near === undefined ? '' : `Did you mean "${near}"? `;
    return { message: `mode: ${place} is not a mode`, next: hint + MODE_HINT };
}
function oneTooMany(place, word) {
    if (word.startsWith('-'))
        return { message: `${place} is not a flag`, next: 'muva-deploy --help lists all flags.' };
    return {
        message: `${place} is one too many`,
        next: 'A value follows its flag, and stands in quotes where it holds blanks: --input "two words".',
    };
}
function isBoolean(name) {
    return _inputs_input_sources_js__WEBPACK_IMPORTED_MODULE_0__/* .INPUT_NAMES */ .Qh.some((input) => input === name && (0,_inputs_input_sources_js__WEBPACK_IMPORTED_MODULE_0__/* .inputRule */ .zH)(input).kind === 'boolean');
}
function isMode(word) {
    return _inputs_settings_js__WEBPACK_IMPORTED_MODULE_1__/* .MODES */ .F.includes(word);
}
/** Secrets given as flags: every user of the machine can read them in the process list. */
function visibleSecrets(values) {
    return [...values.keys()]
        .filter((name) => (0,_inputs_input_sources_js__WEBPACK_IMPORTED_MODULE_0__/* .inputRule */ .zH)(name).secret)
        .map((name) => ({
        message: `${name} was given as a flag and can be seen in the process list`,
        next: `Set the environment variable ${(0,_inputs_input_sources_js__WEBPACK_IMPORTED_MODULE_0__/* .inputRule */ .zH)(name).env[0]} instead.`,
    }));
}


/***/ }),

/***/ 7354:
/***/ ((__unused_webpack_module, __webpack_exports__, __nccwpck_require__) => {

/* harmony export */ __nccwpck_require__.d(__webpack_exports__, {
/* harmony export */   Bc: () => (/* binding */ labelMeans),
/* harmony export */   JB: () => (/* binding */ fingerprintsFor),
/* harmony export */   sr: () => (/* binding */ parseFingerprint)
/* harmony export */ });
/* harmony import */ var _lib_defined_only_js__WEBPACK_IMPORTED_MODULE_0__ = __nccwpck_require__(8417);
/* harmony import */ var _names_js__WEBPACK_IMPORTED_MODULE_1__ = __nccwpck_require__(2579);


const PRINT = /SHA256:[A-Za-z0-9+/]{43}(?![A-Za-z0-9+/])=?/g;
const COMMAND = 'ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub';
/**
 * Reads `SHA256:...`, `host SHA256:...` and the whole line that `ssh-keygen -l` prints: `256 SHA256:... comment
 * (ED25519)`. The text of an entry that is none of these appears in no complaint: it may be any secret.
 */
function parseFingerprint(entry) {
    const found = [...entry.matchAll(PRINT)];
    if (found.length > 1)
        return { wrong: 'holds two fingerprints', right: 'Write one per line.' };
    const [match] = found;
    if (match === undefined)
        return somethingElse(entry);
    const before = entry.slice(0, match.index).trim().split(/\s+/);
    // The key's length in bits.
    if (/^\d{3,5}$/.test(before.at(-1)))
        before.pop();
    const words = before.filter((word) => word !== '');
    if (words.length > 1)
        return { wrong: 'has more than a host in front of the fingerprint', right: 'Write: host SHA256:...' };
    const comment = entry
        .slice(match.index + match[0].length)
        .replace(/\([A-Z0-9-]+\)\s*$/, '')
        .trim();
    return {
        ...(0,_lib_defined_only_js__WEBPACK_IMPORTED_MODULE_0__/* .definedOnly */ .U)({ label: words[0] }),
        ...(comment === '' ? {} : { comment }),
        print: match[0].replace(/=$/, ''),
    };
}
function somethingElse(entry) {
    const right = `Run on the server: ${COMMAND}`;
    if (/^(ssh|ecdsa|sk)-\S+ AAAA/.test(entry))
        return { wrong: 'is a public key, not its fingerprint', right };
    if (/\s(ssh|ecdsa|sk)-\S+ AAAA/.test(entry))
        return { wrong: 'is a line of known_hosts, which belongs into ssh-known-hosts', right };
    if (/MD5:|(^|\s)([0-9a-f]{2}:){15}[0-9a-f]{2}/i.test(entry))
        return {
            wrong: 'is an MD5 fingerprint',
            right: `Run on the server: ${COMMAND.replace('-lf', '-E sha256 -lf')}`,
        };
    if (entry.includes('SHA256:'))
        return { wrong: 'is not a whole fingerprint: 43 characters follow SHA256:', right };
    return { wrong: 'is not a SHA256 fingerprint', right };
}
/** True where `host`, `host:port`, `user@host`, `[v6]` or `[host]:port` in front of a fingerprint means the address. */
function labelMeans(label, address) {
    const host = address.host.toLowerCase();
    const named = (0,_names_js__WEBPACK_IMPORTED_MODULE_1__/* .parseHostAddress */ .un)(label.toLowerCase());
    if ('host' in named)
        return named.host === host && (named.port === undefined || named.port === address.port);
    return label.toLowerCase() === `[${host}]:${address.port}`;
}
/** The fingerprints that pin one address. `only`: there is one server in all, so an entry needs no name. */
function fingerprintsFor(address, entries, only) {
    return entries.flatMap((entry) => {
        const read = parseFingerprint(entry);
        if ('wrong' in read)
            return [];
        return (read.label === undefined ? only : labelMeans(read.label, address)) ? [read.print] : [];
    });
}


/***/ }),

/***/ 7582:
/***/ ((__unused_webpack_module, __webpack_exports__, __nccwpck_require__) => {

/* harmony export */ __nccwpck_require__.d(__webpack_exports__, {
/* harmony export */   be: () => (/* binding */ linesFor),
/* harmony export */   iE: () => (/* binding */ keyType),
/* harmony export */   uJ: () => (/* binding */ parseKnownHosts)
/* harmony export */ });
/* unused harmony export namesMatch */
/* harmony import */ var node_crypto__WEBPACK_IMPORTED_MODULE_0__ = __nccwpck_require__(7598);
/* harmony import */ var node_crypto__WEBPACK_IMPORTED_MODULE_0___default = /*#__PURE__*/__nccwpck_require__.n(node_crypto__WEBPACK_IMPORTED_MODULE_0__);

/** The lines of a known_hosts file as OpenSSH reads them; comments and broken lines are left out. */
function parseKnownHosts(text) {
    const lines = [];
    for (const line of text.split(/\r?\n/)) {
        const words = line.trim().split(/\s+/);
        if (words[0] === '' || words[0].startsWith('#'))
            continue;
        const marker = words[0] === '@revoked' ? 'revoked' : words[0] === '@cert-authority' ? 'cert-authority' : undefined;
        const [names, type, blob] = marker ? words.slice(1) : words;
        if (names === undefined || type === undefined || blob === undefined)
            continue;
        if (!/^[A-Za-z0-9+/]+={0,2}$/.test(blob) || keyType(Buffer.from(blob, 'base64')) !== type)
            continue;
        lines.push({ ...(marker ? { marker } : {}), names, type, blob });
    }
    return lines;
}
/** True where the first field of a known_hosts line means this name: hashed, or patterns with `*`, `?` and `!`. */
function namesMatch(names, name) {
    if (names.startsWith('|1|')) {
        const [, , salt, hash] = names.split('|');
        if (salt === undefined || hash === undefined)
            return false;
        const digest = (0,node_crypto__WEBPACK_IMPORTED_MODULE_0__.createHmac)('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64');
        return digest === hash;
    }
    let found = false;
    for (const pattern of names.toLowerCase().split(',')) {
        const negated = pattern.startsWith('!');
        if (!wildcardMatch(negated ? pattern.slice(1) : pattern, name))
            continue;
        if (negated)
            return false;
        found = true;
    }
    return found;
}
/** `*` and `?` as OpenSSH has them, without backtracking over the whole (a pattern comes from outside). */
function wildcardMatch(pattern, text) {
    let p = 0;
    let t = 0;
    let star = -1;
    let mark = 0;
    while (t < text.length) {
        if (pattern[p] === '*') {
            star = p++;
            mark = t;
        }
        else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === text[t])) {
            p++;
            t++;
        }
        else if (star >= 0) {
            p = star + 1;
            t = ++mark;
        }
        else {
            return false;
        }
    }
    while (pattern[p] === '*')
        p++;
    return p === pattern.length;
}
/**
 * As OpenSSH does, a key without a port counts for another port too where there is none with it; a line with a marker
 * is no key. A revoked key is that at every port.
 */
function linesFor(lines, address) {
    const host = address.host.toLowerCase();
    const exact = address.port === 22 ? host : `[${host}]:${address.port}`;
    const withPort = lines.filter((line) => namesMatch(line.names, exact));
    const plain = lines.filter((line) => namesMatch(line.names, host));
    const marked = (marker, among) => among.filter((line) => line.marker === marker);
    const own = marked(undefined, withPort);
    return {
        keys: own.length > 0 ? own : marked(undefined, plain),
        revoked: marked('revoked', [...withPort, ...plain]),
        authorities: marked('cert-authority', [...withPort, ...plain]),
    };
}
/** The type named inside a public key blob, such as ssh-ed25519. */
function keyType(blob) {
    const length = blob.length >= 4 ? blob.readUInt32BE(0) : 0;
    return length > 0 && length <= 64 ? blob.subarray(4, 4 + length).toString('latin1') : '';
}


/***/ }),

/***/ 2579:
/***/ ((__unused_webpack_module, __webpack_exports__, __nccwpck_require__) => {

/* harmony export */ __nccwpck_require__.d(__webpack_exports__, {
/* harmony export */   JV: () => (/* binding */ checkProcessName),
/* harmony export */   RK: () => (/* binding */ visible),
/* harmony export */   bN: () => (/* binding */ checkProjectRef),
/* harmony export */   r0: () => (/* binding */ checkEnvironmentName),
/* harmony export */   s1: () => (/* binding */ checkWebUrl),
/* harmony export */   th: () => (/* binding */ checkUserName),
/* harmony export */   un: () => (/* binding */ parseHostAddress),
/* harmony export */   wS: () => (/* binding */ checkGitRef),
/* harmony export */   z$: () => (/* binding */ parseQualifiedName)
/* harmony export */ });
/* harmony import */ var _lib_defined_only_js__WEBPACK_IMPORTED_MODULE_2__ = __nccwpck_require__(8417);
/* harmony import */ var _lib_invisible_js__WEBPACK_IMPORTED_MODULE_0__ = __nccwpck_require__(2644);
/* harmony import */ var _lib_loopback_js__WEBPACK_IMPORTED_MODULE_3__ = __nccwpck_require__(170);
/* harmony import */ var _quote_if_safe_js__WEBPACK_IMPORTED_MODULE_1__ = __nccwpck_require__(8639);




function visible(value) {
    const invisible = (0,_lib_invisible_js__WEBPACK_IMPORTED_MODULE_0__/* .invisibleCharacter */ .D)(value);
    return invisible
        ? { wrong: `holds the invisible character ${invisible}`, right: 'Type the value again without it.' }
        : undefined;
}
/**
 * A branch, tag or commit by git's own rules (git check-ref-format), narrower where a shell or an option
 * parser could be reached: nothing that starts with a dash, no revision syntax such as `@{-1}` or `HEAD~1`.
 */
function checkGitRef(ref) {
    const right = 'Use a full commit SHA, a branch or a tag name.';
    const invisible = visible(ref);
    if (invisible)
        return invisible;
    if (ref.startsWith('-'))
        return { wrong: 'starts with a dash and would be read as an option', right };
    if (/[\s~^:?*[\\;&|<>$`'"(){}!]/.test(ref) || ref.includes('..') || ref.includes('@{') || ref === '@') {
        return { wrong: 'holds characters that a git name cannot have', right };
    }
    const parts = ref.split('/');
    if (parts.some((part) => part === '' || part.startsWith('.') || part.endsWith('.lock')) ||
        ref.endsWith('.')) {
        return { wrong: 'is not a name that git accepts', right };
    }
    return undefined;
}
/**
 * A PM2 process name, which is given to PM2 as one word. What PM2 reads as something else is refused: `all`, a number,
 * an option, a pattern (`/web/`), a file (`web.json`).
 */
function checkProcessName(name) {
    const right = 'Use the name shown by `pm2 list`: letters, digits, blanks and . _ - @ : / between them, not "all", not a number alone.';
    const invisible = visible(name);
    if (invisible)
        return invisible;
    if (name === 'all')
        return { wrong: '"all" means every process to PM2', right };
    if (/^\d+$/.test(name))
        return { wrong: 'a number means a process id to PM2', right };
    if (name.startsWith('-'))
        return { wrong: 'starts with a dash and would be read as an option', right };
    if (name.startsWith('/'))
        return { wrong: 'starts with a slash and would be a pattern to PM2', right };
    const file = /\.(json|ya?ml|config\.[cm]?js)/.exec(name)?.[0];
    if (file !== undefined)
        return { wrong: `holds ${file} and would be a file to PM2`, right };
    if (!/^[\p{L}\p{N}_@][\p{L}\p{M}\p{N} ._@:/-]*$/u.test(name) || name.length > 100)
        return { wrong: 'holds characters that a process name should not have', right };
    return undefined;
}
/** An environment's name: one word, as GitHub Environments have it. */
function checkEnvironmentName(name) {
    const invisible = visible(name);
    if (invisible)
        return invisible;
    if (name.length > 60 || !/^[\p{L}\p{N}][\p{L}\p{N} ._/-]*$/u.test(name)) {
        return { wrong: 'is not a name for an environment', right: 'Use a word such as staging or production.' };
    }
    return undefined;
}
/**
 * Reads `name`, `schema.name`, `"We ird"."x"` as SQL does: unquoted parts are folded to lower case, `""` is a
 * quote inside a quoted part. Without a schema it is `public`.
 */
function parseQualifiedName(text) {
    const right = 'Write table, schema.table or "Quoted Schema"."Quoted Table".';
    const invisible = visible(text);
    if (invisible)
        return invisible;
    const parts = [];
    let rest = text;
    for (;;) {
        const quoted = /^"((?:[^"]|"")+)"/.exec(rest);
        const word = quoted ?? /^[\p{L}_][\p{L}\p{N}_$]*/u.exec(rest);
        if (!word)
            return { wrong: `${(0,_quote_if_safe_js__WEBPACK_IMPORTED_MODULE_1__/* .quoteIfSafe */ .XB)(text)} is not a table name`, right };
        parts.push(quoted ? quoted[1].replaceAll('""', '"') : word[0].toLowerCase());
        rest = rest.slice(word[0].length);
        if (rest === '')
            break;
        if (!rest.startsWith('.'))
            return { wrong: `${(0,_quote_if_safe_js__WEBPACK_IMPORTED_MODULE_1__/* .quoteIfSafe */ .XB)(text)} is not a table name`, right };
        rest = rest.slice(1);
    }
    if (parts.length === 1)
        return { schema: 'public', name: parts[0] };
    if (parts.length === 2)
        return { schema: parts[0], name: parts[1] };
    return { wrong: `${(0,_quote_if_safe_js__WEBPACK_IMPORTED_MODULE_1__/* .quoteIfSafe */ .XB)(text)} has more than two parts`, right };
}
function parseHostAddress(text) {
    const right = 'Write host, user@host or user@host:port, one per line; an IPv6 address in brackets: [2001:db8::1]:22.';
    const at = text.lastIndexOf('@');
    const user = at < 0 ? undefined : text.slice(0, at);
    const place = at < 0 ? text : text.slice(at + 1);
    const bracketed = /^\[([0-9A-Fa-f:.]+)\](?::(\d{1,5}))?$/.exec(place);
    const bare = /^[0-9A-Fa-f:]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*$/.test(place) ? place : undefined;
    const named = /^([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?::(\d{1,5}))?$/.exec(place);
    const host = bracketed?.[1] ?? bare ?? named?.[1];
    const port = bracketed?.[2] ?? (bare ? undefined : named?.[2]);
    if (host === undefined)
        return { wrong: 'is not a host', right };
    if (port !== undefined && (Number(port) < 1 || Number(port) > 65_535))
        return { wrong: 'has a port that is not from 1 to 65535', right };
    if (user !== undefined && checkUserName(user))
        return { wrong: 'has a user that cannot exist', right };
    return {
        host,
        ...(port === undefined ? {} : { port: Number(port) }),
        ...(0,_lib_defined_only_js__WEBPACK_IMPORTED_MODULE_2__/* .definedOnly */ .U)({ user }),
    };
}
/** A login name on the VPS. */
function checkUserName(user) {
    return /^[A-Za-z_][A-Za-z0-9._-]{0,63}\$?$/.test(user)
        ? undefined
        : { wrong: 'is not a user name', right: 'Use the login name on the server, such as deploy.' };
}
/** A web address without credentials; `secure`: http is for this machine only. */
function checkWebUrl(text, secure) {
    // The URL parser leaves line breaks out and takes what follows a comma for a path.
    if (/\s/.test(text))
        return { wrong: 'holds white space or a line break', right: 'Give one URL on one line.' };
    if (text.split('://').length > 2)
        return { wrong: 'holds more than one URL', right: 'Give one.' };
    let url;
    try {
        url = new URL(text);
    }
    catch {
        return { wrong: 'is not a URL', right: 'It starts with https://.' };
    }
    if (url.protocol !== 'https:' && url.protocol !== 'http:')
        return { wrong: 'is not an http or https URL', right: 'It starts with https://.' };
    if (url.username !== '' || url.password !== '')
        return { wrong: 'holds a user or password', right: 'Give the URL without credentials.' };
    if (secure && url.protocol === 'http:' && !(0,_lib_loopback_js__WEBPACK_IMPORTED_MODULE_3__/* .isLoopback */ .U)(url.hostname))
        return { wrong: 'is not encrypted', right: 'Use https://; http:// is for this machine only.' };
    return undefined;
}
function checkProjectRef(text) {
    return /^[a-z0-9]{20}$/.test(text)
        ? undefined
        : {
            wrong: 'is not a project reference',
            right: 'It is the 20 letters in your project URL: https://<project-ref>.supabase.co.',
        };
}


/***/ }),

/***/ 718:
/***/ ((__unused_webpack_module, __webpack_exports__, __nccwpck_require__) => {

/* harmony export */ __nccwpck_require__.d(__webpack_exports__, {
/* harmony export */   Ec: () => (/* binding */ withEnvironment),
/* harmony export */   Qh: () => (/* binding */ INPUT_NAMES),
/* harmony export */   mc: () => (/* binding */ INPUTS),
/* harmony export */   zH: () => (/* binding */ inputRule)
/* harmony export */ });
/* harmony import */ var _table_js__WEBPACK_IMPORTED_MODULE_0__ = __nccwpck_require__(7660);

const INPUTS = _table_js__WEBPACK_IMPORTED_MODULE_0__/* .TABLE */ .B;
const INPUT_NAMES = Object.keys(INPUTS);
function inputRule(name) {
    return INPUTS[name];
}
/** Adds the environment variables and defaults behind a entry point's own source; the entry point's value wins. */
function withEnvironment(read, env) {
    return (name) => {
        const rule = inputRule(name);
        const tidy = (value) => (rule.verbatim ? value : value.trim());
        const given = tidy(read(name));
        if (given.trim() !== '')
            return given;
        for (const variable of rule.env) {
            const value = tidy(env[variable] ?? '');
            if (value.trim() !== '')
                return value;
        }
        return rule.fallback;
    };
}


/***/ }),

/***/ 8060:
/***/ ((__unused_webpack_module, __webpack_exports__, __nccwpck_require__) => {

/* harmony export */ __nccwpck_require__.d(__webpack_exports__, {
/* harmony export */   Y: () => (/* binding */ withoutQuotes),
/* harmony export */   r: () => (/* binding */ splitList)
/* harmony export */ });
/** Items of a list input: one per line or comma-separated; commas inside double quotes do not count. */
function splitList(text, { parentheses = false } = {}) {
    const items = [];
    let item = '';
    let quoted = false;
    let depth = 0;
    for (const character of text) {
        if (character === '"')
            quoted = !quoted;
        if (parentheses && !quoted)
            depth = Math.max(0, depth + (character === '(' ? 1 : character === ')' ? -1 : 0));
        if (!quoted && depth === 0 && (character === ',' || character === '\n' || character === '\r')) {
            items.push(item);
            item = '';
        }
        else
            item += character;
    }
    items.push(item);
    return items.map((entry) => entry.trim()).filter((entry) => entry !== '');
}
/** Without one pair of equal quotes around it: people quote paths also where YAML or the list needs none. */
function withoutQuotes(path) {
    return /^(["'`])(.*)\1$/s.exec(path)?.[2] ?? path;
}


/***/ }),

/***/ 1905:
/***/ ((__unused_webpack_module, __webpack_exports__, __nccwpck_require__) => {

/* harmony export */ __nccwpck_require__.d(__webpack_exports__, {
/* harmony export */   F: () => (/* binding */ MODES),
/* harmony export */   d: () => (/* binding */ PARTS)
/* harmony export */ });
const MODES = ['plan', 'migrate', 'verify', 'redeploy', 'health', 'rollback', 'deploy'];
/** What `skip` can leave out. */
const PARTS = ['database', 'vps', 'health'];


/***/ }),

/***/ 3795:
/***/ ((__unused_webpack_module, __webpack_exports__, __nccwpck_require__) => {

/* harmony export */ __nccwpck_require__.d(__webpack_exports__, {
/* harmony export */   p: () => (/* binding */ nearest)
/* harmony export */ });
/** The nearest of `words` to a misspelt one, or undefined where none is near (more than 2 edits away). */
function nearest(word, words) {
    let best;
    let distance = 3;
    for (const candidate of words) {
        const edits = editDistance(word.trim().toLowerCase(), candidate);
        if (edits < distance) {
            best = candidate;
            distance = edits;
        }
    }
    return best;
}
function editDistance(a, b) {
    let row = Array.from({ length: b.length + 1 }, (_, index) => index);
    for (let i = 1; i <= a.length; i++) {
        const next = [i];
        for (let j = 1; j <= b.length; j++) {
            next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)));
        }
        row = next;
    }
    return row[b.length];
}


/***/ }),

/***/ 8639:
/***/ ((__unused_webpack_module, __webpack_exports__, __nccwpck_require__) => {

/* harmony export */ __nccwpck_require__.d(__webpack_exports__, {
/* harmony export */   HE: () => (/* binding */ quoteEntryIfSafe),
/* harmony export */   Lk: () => (/* binding */ isSafeToQuote),
/* harmony export */   XB: () => (/* binding */ quoteIfSafe),
/* harmony export */   jc: () => (/* binding */ holdsPrivateKey)
/* harmony export */ });
/**
 * How a value may stand in a complaint. Any input can hold a secret that was pasted into the wrong place, and the log
 * and the report of a refused run are read by many: so a value is quoted only where it is short and plainly harmless.
 */
/** Characters of the longest value that is quoted. */
const LONGEST = 40;
/** What names, paths, lists, numbers and their misspellings are made of; no `@`, no `:`, no line break. */
const PLAIN = /^[\p{L}\p{M}\p{N} ._,/;*?"'()~+-]*$/u;
/** Letters and digits without a break, as keys and tokens have them and words do not. */
const TOKEN = /(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{12}|[A-Za-z0-9]{20}/;
function isSafeToQuote(value) {
    return value.length <= LONGEST && PLAIN.test(value) && !TOKEN.test(value);
}
/** The subject of a complaint about a whole value: the value itself, or how long it is. */
function quoteIfSafe(value) {
    return isSafeToQuote(value) ? JSON.stringify(value) : `a value of ${value.length} characters`;
}
/** The subject of a complaint about one entry of a list; `index` counts from 0. */
function quoteEntryIfSafe(entry, index) {
    return isSafeToQuote(entry) ? JSON.stringify(entry) : `entry ${index + 1}`;
}
/** True for what can only be a private key, whole or cut, whatever input it was pasted into. */
function holdsPrivateKey(value) {
    return /-----BEGIN [A-Z0-9 ]*PRIVATE KEY|PuTTY-User-Key-File|b3BlbnNzaC1rZXktdjE/.test(value);
}


/***/ }),

/***/ 4863:
/***/ ((__unused_webpack_module, __webpack_exports__, __nccwpck_require__) => {


// EXPORTS
__nccwpck_require__.d(__webpack_exports__, {
  P: () => (/* binding */ parseSettings)
});

// EXTERNAL MODULE: ./compiled/src/lib/defined-only.js
var defined_only = __nccwpck_require__(8417);
// EXTERNAL MODULE: ./compiled/src/lib/empty-connection.js
var empty_connection = __nccwpck_require__(8727);
// EXTERNAL MODULE: ./compiled/src/inputs/lists.js
var lists = __nccwpck_require__(8060);
;// CONCATENATED MODULE: ./compiled/src/inputs/scope.js
/**
 * The parts that a mode works with and `skip` does not leave out. What a run does not use is not read: connections
 * often stand in the environment of the whole job, and what is wrong with one of them must not stop a step that never
 * touches it.
 */
function scopeOf(mode, skip, read) {
    const server = {
        plan: true,
        deploy: true,
        redeploy: true,
        rollback: true,
        verify: false,
        migrate: makesBackup(mode, read) && read('backup-to') !== 'runner',
        health: read('health-from') !== 'runner',
    };
    return {
        database: mode !== 'redeploy' && !skip.includes('database'),
        vps: server[mode] && !skip.includes('vps'),
        health: asksHealth(mode) && !skip.includes('health'),
        url: asksHealth(mode) || mode === 'redeploy',
    };
}
function asksHealth(mode) {
    return mode === 'plan' || mode === 'deploy' || mode === 'health';
}
function makesBackup(mode, read) {
    return (mode === 'plan' || mode === 'deploy' || mode === 'migrate') && read('backup') !== 'off';
}
/** True where a server is given that this run works with. */
function hasServer(scope, read) {
    return scope.vps && read('ssh-host') !== '';
}

// EXTERNAL MODULE: external "node:path"
var external_node_path_ = __nccwpck_require__(6760);
;// CONCATENATED MODULE: ./compiled/src/lib/paths.js

/** `./a//b/` as `a/b`: the form in which paths are compared; empty for the folder that they start from. */
function tidyPath(path) {
    const tidy = external_node_path_.posix.normalize(path).replace(/\/+$/, '');
    return tidy === '.' ? '' : tidy;
}
/** True where `path` is `folder` or lies in it, both in one spelling. */
function isInside(path, folder) {
    return path === folder || path.startsWith(`${folder}/`);
}

// EXTERNAL MODULE: ./compiled/src/inputs/checks/names.js
var names = __nccwpck_require__(2579);
;// CONCATENATED MODULE: ./compiled/src/inputs/checks/paths.js


/** A path inside the project: relative, not upwards, not an option. */
function checkRelativePath(path) {
    const invisible = (0,names/* visible */.RK)(path);
    if (invisible)
        return invisible;
    const right = 'Use a path inside the project, such as supabase/migrations.';
    if (path.startsWith('-'))
        return { wrong: 'starts with a dash and would be read as an option', right };
    if (path.startsWith('/') || /^[A-Za-z]:/.test(path))
        return { wrong: 'is an absolute path', right };
    if (path.split(/[\\/]/).includes('..'))
        return { wrong: 'leads out of the project', right };
    if (/^["'`]|["'`]$/.test(path))
        return { wrong: 'begins or ends with a quote', right };
    return undefined;
}
/** A file or folder of the application, as the server will take it: literally, and below the application's root. */
function checkAppPath(path) {
    const right = 'Use the path of a file or folder inside the application, such as storage.';
    if (/[\n\r]/.test(path))
        return { wrong: 'has a quote that is not closed', right };
    const general = checkRelativePath(path);
    if (general)
        return { right, ...(0,names/* visible */.RK)(path), wrong: general.wrong };
    if (path !== path.trim())
        return { wrong: 'begins or ends with a blank', right };
    if (path.startsWith('~'))
        return { wrong: 'starts with ~, which stands for a home folder', right };
    const pattern = /[*?]/.exec(path)?.[0];
    if (pattern !== undefined)
        return {
            wrong: `holds ${pattern}: patterns are not resolved`,
            right: 'Name each file or folder itself.',
        };
    if (path.includes('\\'))
        return { wrong: 'holds a backslash', right: 'Separate folders by a slash.' };
    const tidy = tidyPath(path);
    if (tidy === '')
        return { wrong: 'means the whole application', right };
    if (/^\.git(\/|$)/i.test(tidy))
        return { wrong: "is git's own folder", right };
    return undefined;
}
/** A folder on the VPS: absolute, normal, and deep enough not to be the system's own. */
function checkRemotePath(path) {
    const invisible = (0,names/* visible */.RK)(path);
    if (invisible)
        return invisible;
    const right = 'Use the absolute path of the application on the server, such as /var/www/app.';
    if (!path.startsWith('/'))
        return { wrong: 'is not an absolute path', right };
    const parts = path.split('/').filter((part) => part !== '');
    if (parts.some((part) => part === '.' || part === '..'))
        return { wrong: 'holds . or .. segments', right };
    if (parts.length < 2)
        return { wrong: 'is a top-level folder of the server', right };
    return undefined;
}
/** One path from a folder and a path inside it. */
function joinPath(folder, path) {
    if (folder === '.' || folder === '')
        return path;
    return path === '.' || path === '' ? folder : `${folder.replace(/\/+$/, '')}/${path}`;
}

;// CONCATENATED MODULE: ./compiled/src/inputs/checks/empty-connections.js




function addEmptyConnectionProblems(reader, given) {
    const missing = [
        ...uselessChoices(given),
        ...emptyDatabase(given, reader.complained),
        ...emptyServer(given, reader.complained),
        ...emptyHealth(given, reader.complained),
        ...emptyCommit(given),
    ];
    const all = missing.length > 0 ? missing : nothingToDo(given, reader.complained);
    all.forEach(({ input, wrong, right }, index) => {
        reader.complain(input, wrong, index === 0 && nothingArrived(given) ? `${NOTHING_ARRIVED} ${right}` : right);
    });
    for (const { input, wrong, right } of notAsked(given))
        reader.warn(input, wrong, right);
}
const empty = (input, right) => ({ input, wrong: empty_connection/* EMPTY_CONNECTION */.D, right });
/** `why`: what points to the part; `part`: what skip would be told. */
const pointedTo = (input, why, part) => empty(input, `${why}: set ${input} (secret or variable), or say skip: ${part}.`);
const emptyToo = (input) => empty(input, 'Set it too (secret or variable).');
/** `plan` says what a deploy would be refused for. */
function isWhole(mode) {
    return mode === 'deploy' || mode === 'plan';
}
function emptyDatabase(given, hasProblem) {
    const { mode, scope, database, read } = given;
    if (database || !scope.database)
        return [];
    if (hasProblem('database-url', 'supabase-project-ref', 'supabase-access-token'))
        return [];
    const input = emptyHalf(read);
    if (mode === 'migrate' || mode === 'verify')
        return [
            empty(input, `Mode ${mode} needs a database: set database-url, or supabase-project-ref and supabase-access-token.`),
        ];
    const why = isWhole(mode) ? pointsToDatabase(given, input) : undefined;
    return why === undefined ? [] : [pointedTo(input, why, 'database')];
}
/** Where half of the Management API's pair is given, the other half is what is missing. */
function emptyHalf(read) {
    const ref = read('supabase-project-ref') !== '';
    const token = read('supabase-access-token') !== '';
    if (ref === token)
        return 'database-url';
    return ref ? 'supabase-access-token' : 'supabase-project-ref';
}
function pointsToDatabase({ read, files, context }, input) {
    for (const pointer of ['required-tables', 'required-functions'])
        if (read(pointer) !== '')
            return `${pointer} is set`;
    if (input === 'supabase-access-token')
        return 'supabase-project-ref is set';
    if (input === 'supabase-project-ref')
        return 'supabase-access-token is set';
    const folder = joinPath((0,lists/* withoutQuotes */.Y)(read('working-directory')), files.migrationsDir);
    return context.holdsMigrations(folder) ? 'the folder of migrations-dir holds migrations' : undefined;
}
const SERVER = ['ssh-host', 'ssh-user', 'ssh-private-key', 'ssh-fingerprint'];
function emptyServer(given, hasProblem) {
    const { mode, scope, vps, read } = given;
    if (vps || !scope.vps || hasProblem('ssh-host'))
        return [];
    const why = pointsToServer(given);
    if (mode !== 'redeploy' && why === undefined)
        return [];
    const isEmpty = (input) => read(input).trim() === '' && (input !== 'ssh-fingerprint' || read('ssh-known-hosts').trim() === '');
    const first = why === undefined
        ? empty('ssh-host', 'Mode redeploy needs a server: set ssh-host (secret or variable).')
        : pointedTo('ssh-host', why, 'vps');
    return [first, ...SERVER.filter((input) => input !== 'ssh-host' && isEmpty(input)).map(emptyToo)];
}
function pointsToServer({ mode, read }) {
    if (!isWhole(mode))
        return undefined;
    const pointer = ['app-path', 'app-name', 'ssh-private-key'].find((input) => read(input).trim() !== '');
    return pointer === undefined ? undefined : `${pointer} is set`;
}
/** Health that was asked for with nobody there to ask the application would pass on the database alone. */
function emptyHealth(given, hasProblem) {
    const { scope, vps, health, read } = given;
    if (!scope.health || hasProblem('health-url'))
        return [];
    const servers = vps !== undefined || (scope.vps && hasProblem('ssh-host'));
    if (health.from === 'vps') {
        if (servers || hasProblem('ssh-host'))
            return [];
        const because = read('ssh-host') === '' ? 'and ssh-host is empty' : 'and skip leaves the server out';
        return [
            {
                input: 'health-from',
                wrong: `"vps" needs a server, ${because}`,
                right: 'Give ssh-host, ask the public address with health-from: runner, or say skip: health.',
            },
        ];
    }
    if (health.url !== undefined || (servers && health.from === 'both'))
        return [];
    const why = pointsToApplication(given);
    if (why !== undefined)
        return [pointedTo('health-url', why, 'health')];
    return pointsToServer(given) !== undefined && nothingArrived(given) ? [emptyToo('health-url')] : [];
}
function pointsToApplication({ mode, health, read }) {
    if (health.from === 'runner')
        return 'health-from is runner';
    if (health.expectVersion !== undefined)
        return 'expect-version is set';
    // Where only health is asked, the database's own latency may be what is meant.
    return isWhole(mode) && read('health-max-latency') !== '' ? 'health-max-latency is set' : undefined;
}
function emptyCommit({ mode, vps, read, context }) {
    const deploys = mode === 'redeploy' || (mode === 'deploy' && vps !== undefined);
    if (!deploys || read('ref') !== '' || context.run.sha !== undefined)
        return [];
    return [
        {
            input: 'ref',
            wrong: 'is empty and GITHUB_SHA is not set: no commit to deploy',
            right: 'Give the full commit SHA.',
        },
    ];
}
/** Nothing is wrong with what was given, but nothing was: each mode needs at least one thing to work on. */
function nothingToDo({ mode, skip, database, vps, health }, hasProblem) {
    if (database || vps || hasProblem('database-url', 'supabase-project-ref', 'ssh-host'))
        return [];
    const filesOnly = mode === 'plan' && skip.includes('database');
    if (!filesOnly && (isWhole(mode) || mode === 'rollback'))
        return [
            {
                input: 'database-url',
                wrong: 'is empty, and so is ssh-host: there is nothing to work on',
                right: 'Give a database, a server, or both.',
            },
        ];
    if (mode === 'health' && health.url === undefined && !hasProblem('health-url', 'skip'))
        return [
            {
                input: 'health-url',
                wrong: 'is empty, and so are database-url and ssh-host: there is nothing to ask',
                right: 'Give at least one of them.',
            },
        ];
    return [];
}
const NOTHING_ARRIVED = 'Nothing arrived: does the job name the GitHub Environment that holds the secrets (environment: ...)?';
const CONNECTIONS = [
    'database-url',
    'supabase-project-ref',
    'supabase-access-token',
    'supabase-service-role-key',
    ...SERVER,
    'ssh-known-hosts',
    'health-url',
];
/** Every connection is empty at once: mostly the job itself names no environment. Forks get no secrets at all. */
function nothingArrived({ read, context }) {
    return !context.terminal && !context.run.fork && CONNECTIONS.every((input) => read(input).trim() === '');
}
/** `skip` must leave something to do, and a backup cannot lie on a server that is not given. */
function uselessChoices({ mode, skip, scope, read }) {
    const only = {
        redeploy: 'vps',
        migrate: 'database',
        verify: 'database',
        health: 'health',
    };
    const part = only[mode];
    const found = [];
    if (part !== undefined && skip.includes(part))
        found.push({
            input: 'skip',
            wrong: `"${part}" leaves nothing of mode ${mode}`,
            right: 'Remove it from skip.',
        });
    if (makesBackup(mode, read) && scope.database && read('backup-to') === 'vps' && !hasServer(scope, read))
        found.push({
            input: 'backup-to',
            wrong: `"vps" needs a server, and ${scope.vps ? 'ssh-host is empty' : 'skip leaves it out'}`,
            right: 'Give ssh-host, or use backup-to: runner.',
        });
    return found;
}
/** What is left out without a word pointing to it: no reason to refuse, but a person should know. */
function notAsked({ scope, vps, health }) {
    if (!scope.health || !vps || health.url !== undefined || health.from !== 'both')
        return [];
    return [
        {
            input: 'health-url',
            wrong: 'is empty: the public address is not asked',
            right: "Set it (secret or variable), or say health-from: vps where the server's own answer is enough.",
        },
    ];
}

// EXTERNAL MODULE: ./compiled/src/inputs/input-sources.js
var input_sources = __nccwpck_require__(718);
// EXTERNAL MODULE: ./compiled/src/inputs/quote-if-safe.js
var quote_if_safe = __nccwpck_require__(8639);
;// CONCATENATED MODULE: ./compiled/src/inputs/input-problems.js


function checked(reader, name, check) {
    const value = reader.value(name);
    if (value !== undefined)
        addInputProblem(reader, name, check(value));
    return value;
}
function addInputProblem(reader, name, complaint) {
    if (complaint)
        reader.complain(name, complaint.wrong, complaint.right);
}
/** Complains about every entry of a list that does not pass, each by its name. */
function addEntryProblems(reader, name, entries, check) {
    entries.forEach((entry, index) => {
        const complaint = check(entry);
        if (complaint)
            reader.complain(name, `${(0,quote_if_safe/* quoteEntryIfSafe */.HE)(entry, index)} ${complaint.wrong}`, complaint.right);
    });
}
/** Secrets get swapped: a private key in any input but its own is told as that, once and without its text. */
function addMisplacedKeyProblems(reader, read) {
    for (const name of input_sources/* INPUT_NAMES */.Qh) {
        if (name === 'ssh-private-key' || name === 'env-file' || !(0,quote_if_safe/* holdsPrivateKey */.jc)(read(name)))
            continue;
        reader.refuse(name, 'is a private key, which belongs into ssh-private-key', 'Swap the two. If it was a variable and not a secret, make a new key: variables are shown in the log.');
    }
}

;// CONCATENATED MODULE: ./compiled/src/inputs/input-reader.js

/** An input reader over one source of raw strings. */
function inputReader(read) {
    const problems = [];
    const warnings = [];
    const refused = new Set();
    const complain = (input, wrong, right) => {
        const message = `${input}: ${wrong}`;
        // An input that several parts read is wrong once.
        const told = problems.some((problem) => problem.message === message);
        if (!refused.has(input) && !told)
            problems.push({ input, message, next: right });
    };
    return {
        problems,
        warnings,
        complain,
        refuse(name, wrong, right) {
            complain(name, wrong, right);
            refused.add(name);
        },
        warn: (input, wrong, right) => void warnings.push({ input, message: `${input}: ${wrong}`, next: right }),
        complained: (...names) => problems.some(({ input }) => names.includes(input)),
        value: (name) => input_sources/* INPUTS */.mc[name].read({ value: read(name), complain: (wrong, right) => complain(name, wrong, right) }),
    };
}

// EXTERNAL MODULE: ./compiled/src/lib/loopback.js
var lib_loopback = __nccwpck_require__(170);
// EXTERNAL MODULE: ./compiled/src/lib/secret.js
var secret = __nccwpck_require__(2143);
;// CONCATENATED MODULE: ./compiled/src/inputs/checks/url-parameters.js
const VERIFIED = 'Remove it: TLS is always verified off this machine.';
const refused = (wrong, right) => ({ wrong, right });
/** Honoured where the value is one of these, which ask for what is done anyway. */
const only = (values, right) => (value) => values.includes(value.toLowerCase()) ? undefined : refused('with a value that is not supported', right);
/** Says how a client keeps its connections or prepared statements; there is one connection here, and none of those. */
const ofPools = () => undefined;
/** Every parameter that is known: what is in no row is refused by its name. */
const READERS = {
    sslmode: (value) => {
        if (value === 'disable')
            return { plaintext: true };
        return only(['allow', 'prefer', 'require', 'verify-ca', 'verify-full'], VERIFIED)(value);
    },
    ssl: only(['true', '1'], VERIFIED),
    sslrootcert: only(['system'], 'Give the certificate authority as text (PEM) in database-ca-cert.'),
    channel_binding: only(['disable', 'prefer'], 'Remove it: the certificate of the server is always verified.'),
    gssencmode: only(['disable', 'prefer', 'allow'], 'Remove it.'),
    client_encoding: only(['utf8', 'utf-8', 'auto'], 'Remove it: everything is UTF-8.'),
    target_session_attrs: only(['any'], 'Remove it, and give the URL of the primary.'),
    options: (value) => (value === '' ? undefined : { options: value }),
    application_name: (value) => (value === '' ? undefined : { applicationName: value }),
    connect_timeout: (value) => {
        if (!/^\d{1,5}$/.test(value))
            return refused('which is no number of seconds', 'Give it as connect_timeout=10.');
        return Number(value) === 0 ? undefined : { connectTimeout: Number(value) * 1_000 };
    },
    schema: only(['public'], 'Remove it; for another schema say options=-c%20search_path%3DNAME.'),
    pgbouncer: only(['true', 'false'], 'Say pgbouncer=true, or nothing.'),
    connection_limit: ofPools,
    pool_timeout: ofPools,
    statement_cache_size: ofPools,
    prepared_statements: ofPools,
    prepareThreshold: ofPools,
    // Added by Supabase's integration with Vercel.
    supa: ofPools,
    workaround: ofPools,
};
/** Reads every parameter, or says of the first that cannot be honoured which one it is. Values are never repeated. */
function readUrlParameters(parameters) {
    let read = { plaintext: false };
    const seen = new Set();
    for (const [name, value] of parameters) {
        const shown = /^[A-Za-z_]{1,40}$/.test(name) ? `the parameter ${name}` : 'a parameter';
        if (seen.has(name))
            return refused(`has ${shown} twice`, 'Give it once.');
        seen.add(name);
        const reader = Object.hasOwn(READERS, name) ? READERS[name] : undefined;
        if (!reader)
            return refused(`has ${shown}, which is not supported`, 'Remove it: what it asks for would not happen. Supported are sslmode, options, application_name and connect_timeout.');
        const result = reader(value);
        if (result && 'wrong' in result)
            return refused(`has ${shown} ${result.wrong}`, result.right);
        read = { ...read, ...result };
    }
    return read;
}

;// CONCATENATED MODULE: ./compiled/src/inputs/checks/database-url.js



/** `[YOUR-PASSWORD]` as Supabase has it, its relatives, and what encoding makes of the brackets. */
const PLACEHOLDER = /(\[|<|%5B|%3C)(your|my|the)?[-_ +]*(db|database)?[-_ +]*password(\]|>|%5D|%3E)/i;
const ENCODE = 'In a URL the password must be percent-encoded: @ is %40, # is %23, / is %2F, ? is %3F, % is %25.';
/**
 * Takes a `postgres://user:password@host:port/database` apart, strictly and without any look-up.
 * The driver's own parser would take half of a password with a raw `@` or `#` for the host name and send it
 * to a name server, so whatever is doubtful is refused here. No part of the input appears in a complaint.
 */
function parseDatabaseUrl(text) {
    if (PLACEHOLDER.test(text)) {
        return {
            wrong: 'still holds the placeholder for the password',
            right: 'Put the real database password into the secret.',
        };
    }
    if (/[\s\p{Cc}]/u.test(text)) {
        return {
            wrong: 'holds white space or a line break inside the URL',
            right: 'Copy the URL again as one line.',
        };
    }
    const scheme = /^postgres(ql)?:\/\//.exec(text);
    if (!scheme)
        return { wrong: 'is not a Postgres URL', right: 'It starts with postgresql:// or postgres://.' };
    const rest = text.slice(scheme[0].length);
    const ats = rest.split('@').length - 1;
    if (ats > 1)
        return { wrong: 'holds more than one @', right: ENCODE };
    if (rest.includes('#'))
        return { wrong: 'holds a raw #', right: ENCODE };
    if (ats === 0)
        return { wrong: 'has no user', right: 'Give it as postgresql://user:password@host:port/database.' };
    const credentials = rest.slice(0, rest.indexOf('@'));
    if (/[/?]/.test(credentials))
        return { wrong: 'has a raw / or ? before the @', right: ENCODE };
    let url;
    try {
        url = new URL(`postgresql://${rest}`);
    }
    catch {
        return { wrong: 'cannot be read as a URL', right: `Check host and port. ${ENCODE}` };
    }
    let user;
    let password;
    let database;
    try {
        user = decodeURIComponent(url.username);
        password = decodeURIComponent(url.password);
        database = decodeURIComponent(url.pathname.slice(1));
    }
    catch {
        return { wrong: 'holds a % that is not followed by two hex digits', right: ENCODE };
    }
    const host = url.hostname.replace(/^\[|\]$/g, '');
    if (host === '')
        return { wrong: 'has no host', right: 'Give it as postgresql://user:password@host:port/database.' };
    if (!/^[A-Za-z0-9._:-]+$/.test(host))
        return { wrong: 'has a host name that cannot exist', right: ENCODE };
    if (user === '')
        return { wrong: 'has no user', right: 'Give it as postgresql://user:password@host:port/database.' };
    if (database.includes('/'))
        return { wrong: 'has more than one path segment', right: 'One database name follows the port.' };
    const loopback = (0,lib_loopback/* isLoopback */.U)(host);
    if (password === '' && !loopback)
        return { wrong: 'has no password', right: 'Give it as postgresql://user:password@host:port/database.' };
    const parameters = readUrlParameters(url.searchParams);
    if ('wrong' in parameters)
        return parameters;
    return {
        address: {
            host,
            port: url.port === '' ? 5432 : Number(url.port),
            user,
            password: new secret/* Secret */.zh(password),
            database: database === '' ? 'postgres' : database,
            loopback,
            ...parameters,
        },
    };
}
/** The Supabase project of a database URL: in the direct host's name, or in the user's for a pooler. */
function projectRefOf({ host, user }) {
    if (/\.pooler\.supabase\.com$/i.test(host))
        return /\.([a-z0-9]{20})$/.exec(user)?.[1];
    return /^db\.([a-z0-9]{20})\.supabase\.co$/i.exec(host)?.[1];
}

;// CONCATENATED MODULE: ./compiled/src/inputs/checks/function-names.js



/** The words of SQL for types that the catalogue calls otherwise. */
const WORDS = {
    int: 'int4',
    integer: 'int4',
    bigint: 'int8',
    smallint: 'int2',
    real: 'float4',
    float: 'float8',
    'double precision': 'float8',
    dec: 'numeric',
    decimal: 'numeric',
    boolean: 'bool',
    char: 'bpchar',
    character: 'bpchar',
    'character varying': 'varchar',
    'bit varying': 'varbit',
    timestamp: 'timestamp',
    'timestamp without time zone': 'timestamp',
    'timestamp with time zone': 'timestamptz',
    'time without time zone': 'time',
    'time with time zone': 'timetz',
};
/**
 * Reads `touch`, `touch()`, `app.price(integer, text[])`. Types are given without names, defaults and OUT arguments, as
 * PostgreSQL tells functions apart by them.
 */
function parseFunctionName(text) {
    const right = 'Write function, schema.function or function(integer, text): the types alone, () for none.';
    const complaint = { wrong: `${(0,quote_if_safe/* quoteIfSafe */.XB)(text)} is not a function name`, right };
    const open = openingParenthesis(text);
    const parsed = (0,names/* parseQualifiedName */.z$)((open === -1 ? text : text.slice(0, open)).trim());
    if ('wrong' in parsed)
        return parsed.wrong.endsWith('is not a table name') ? complaint : { ...parsed, right };
    if (open === -1)
        return parsed;
    if (!text.endsWith(')'))
        return complaint;
    const list = text.slice(open + 1, -1).trim();
    // An empty item is left out by the list, and would be a mistake here.
    if (/(^|,)\s*(,|$)/.test(list) && list !== '')
        return complaint;
    const types = (0,lists/* splitList */.r)(list, { parentheses: true }).map(parseType);
    const wrong = types.find((type) => 'wrong' in type);
    return wrong ? { ...wrong, right } : { ...parsed, arguments: types };
}
function parseType(text) {
    const [, base = '', , array] = /^(.*?)\s*(\(\s*\d+\s*(?:,\s*\d+\s*)?\))?\s*((?:\[\d*\])*)$/s.exec(text) ?? [];
    const words = base.toLowerCase().replaceAll(/\s+/g, ' ');
    if (Object.hasOwn(WORDS, words))
        return { name: WORDS[words], array: array !== '' };
    const parsed = (0,names/* parseQualifiedName */.z$)(base);
    if ('wrong' in parsed)
        return { wrong: `${(0,quote_if_safe/* quoteIfSafe */.XB)(text)} is not a type` };
    const { schema, name } = parsed;
    const qualified = /^("([^"]|"")+"|[^".]+)\./.test(base);
    return { ...(qualified ? { schema } : {}), name, array: array !== '' };
}
/** Outside of double quotes. */
function openingParenthesis(text) {
    let quoted = false;
    for (const [index, character] of [...text].entries()) {
        if (character === '"')
            quoted = !quoted;
        if (character === '(' && !quoted)
            return [...text].slice(0, index).join('').length;
    }
    return -1;
}

;// CONCATENATED MODULE: ./compiled/src/inputs/read-database.js






function readFiles(reader) {
    const migrationsDir = reader.value('migrations-dir');
    addInputProblem(reader, 'migrations-dir', checkRelativePath(migrationsDir));
    return {
        migrationsDir,
        transaction: reader.value('transaction'),
        destructiveChanges: reader.value('destructive-changes'),
        irreversibleMigrations: reader.value('irreversible-migrations'),
    };
}
/** `server`: there is one that a backup can lie on. */
function readDatabase(reader, files, server) {
    const connection = readConnection(reader);
    const baseline = reader.value('baseline');
    if (baseline !== undefined && !/^\d+$/.test(baseline)) {
        reader.complain('baseline', 'is not a version', 'Use the digits at the start of a migration file name, such as 20250101000000.');
    }
    const shadow = readShadow(reader);
    const backupTo = reader.value('backup-to');
    const rest = {
        ...files,
        migrateBefore: reader.value('migrate-before'),
        includeAll: reader.value('include-all'),
        missingMigrations: reader.value('missing-migrations'),
        editedMigrations: reader.value('edited-migrations'),
        ...(0,defined_only/* definedOnly */.U)({ baseline }),
        lockTimeout: reader.value('lock-timeout'),
        statementTimeout: reader.value('statement-timeout'),
        lockWait: reader.value('lock-wait'),
        backup: reader.value('backup'),
        backupTo: backupTo ?? (server ? 'vps' : 'runner'),
        afterHealth: reader.value('after-health'),
        requiredTables: readEach(reader, 'required-tables', reader.value('required-tables'), names/* parseQualifiedName */.z$),
        requiredFunctions: readEach(reader, 'required-functions', reader.value('required-functions'), parseFunctionName),
        rls: reader.value('rls'),
        rowCounts: reader.value('row-counts'),
        drift: reader.value('drift'),
        ...(0,defined_only/* definedOnly */.U)({ shadow }),
        allowDataLoss: reader.value('allow-data-loss'),
    };
    return connection === undefined ? undefined : { connection, ...rest };
}
function readConnection(reader) {
    const ca = reader.value('database-ca-cert')?.trim() ?? '';
    if (ca !== '' && !ca.includes('-----BEGIN CERTIFICATE-----')) {
        reader.complain('database-ca-cert', 'is not a PEM certificate', 'It starts with -----BEGIN CERTIFICATE-----.');
    }
    const certificate = ca === '' ? {} : { caCertificate: ca };
    const url = reader.value('database-url');
    if (url !== undefined) {
        const parsed = parseDatabaseUrl(url.reveal());
        if ('wrong' in parsed) {
            reader.complain('database-url', parsed.wrong, parsed.right);
            return undefined;
        }
        if (parsed.address.plaintext && !parsed.address.loopback) {
            reader.complain('database-url', 'asks for sslmode=disable', 'Remove sslmode: TLS is always verified off this machine.');
        }
        return { kind: 'url', address: parsed.address, ...certificate };
    }
    const projectRef = reader.value('supabase-project-ref');
    const accessToken = reader.value('supabase-access-token');
    if (projectRef === undefined || accessToken === undefined)
        return undefined;
    addInputProblem(reader, 'supabase-project-ref', (0,names/* checkProjectRef */.bN)(projectRef));
    const apiUrl = reader.value('supabase-api-url').replace(/\/+$/, '');
    addInputProblem(reader, 'supabase-api-url', (0,names/* checkWebUrl */.s1)(apiUrl, true));
    return { kind: 'management-api', projectRef, accessToken, apiUrl, ...certificate };
}
function readShadow(reader) {
    const url = reader.value('shadow-database-url');
    if (url === undefined)
        return undefined;
    const parsed = parseDatabaseUrl(url.reveal());
    if ('address' in parsed)
        return parsed.address;
    reader.complain('shadow-database-url', parsed.wrong, parsed.right);
    return undefined;
}
function readEach(reader, input, items, parse) {
    const read = [];
    for (const item of items) {
        const parsed = parse(item);
        if ('wrong' in parsed)
            reader.complain(input, parsed.wrong, parsed.right);
        else
            read.push(parsed);
    }
    return read;
}

;// CONCATENATED MODULE: ./compiled/src/inputs/read-health.js





function readHealth(reader, scope) {
    const url = scope.url ? readUrl(reader) : undefined;
    const rest = scope.health ? readRest(reader) : undefined;
    const paths = reader.value('health-paths');
    if (paths.length === 0)
        reader.complain('health-paths', 'names no path', 'Give at least one, such as /api/health.');
    addEntryProblems(reader, 'health-paths', paths, checkPath);
    const successes = reader.value('health-successes');
    const unique = [...new Set(paths)];
    if (scope.health && unique.length * successes > MOST_A_ROUND)
        reader.warn('health-successes', `asks for more than the request budget allows: ${successes} good answers of ${unique.length} paths each time`, 'Ask for fewer. Where no requests are left, one good answer of each path is enough.');
    const maxLatency = reader.value('health-max-latency');
    const expectVersion = reader.value('expect-version');
    return {
        ...(0,defined_only/* definedOnly */.U)({ url }),
        paths: unique,
        from: reader.value('health-from'),
        timeout: reader.value('health-timeout'),
        deadline: reader.value('health-deadline'),
        ...(0,defined_only/* definedOnly */.U)({ maxLatency }),
        successes,
        checkAssets: reader.value('check-assets'),
        ...(0,defined_only/* definedOnly */.U)({ expectVersion, rest }),
    };
}
/** Requests that one round of checks may need for the paths alone without a warning. */
const MOST_A_ROUND = 12;
function readUrl(reader) {
    const url = reader.value('health-url');
    if (url === undefined)
        return undefined;
    addInputProblem(reader, 'health-url', (0,names/* checkWebUrl */.s1)(url, false) ?? checkBaseUrl(url));
    return url.replace(/\/+$/, '');
}
/** The health paths are added to this URL, so nothing may follow its path; an empty query is one too. */
function checkBaseUrl(text) {
    return /[?#]/.test(text)
        ? {
            wrong: 'holds a query or a fragment',
            right: 'Give the base URL, such as https://example.com; the paths go into health-paths.',
        }
        : undefined;
}
function checkPath(path) {
    return path.startsWith('/') && !/\s/.test(path)
        ? undefined
        : { wrong: 'is not a path', right: 'Paths start with a slash, such as /api/health.' };
}
/** The project's REST endpoint and its key, which is never sent in plaintext off this machine. */
function readRest(reader) {
    const key = reader.value('supabase-service-role-key');
    if (key === undefined)
        return undefined;
    const apiUrl = reader.value('supabase-api-url').replace(/\/+$/, '');
    if (!reader.complained('supabase-api-url'))
        addInputProblem(reader, 'supabase-api-url', (0,names/* checkWebUrl */.s1)(apiUrl, true));
    const projectRef = reader.value('supabase-project-ref');
    if (projectRef !== undefined && !reader.complained('supabase-project-ref'))
        addInputProblem(reader, 'supabase-project-ref', (0,names/* checkProjectRef */.bN)(projectRef));
    // Self-hosted, or a test double: the endpoint is served under that URL, whatever the project.
    if (apiUrl !== input_sources/* INPUTS */.mc['supabase-api-url'].fallback)
        return { url: `${apiUrl}/rest/v1/`, key };
    const ref = projectRef ?? projectOfDatabase(reader.value('database-url'));
    if (ref !== undefined)
        return { url: `https://${ref}.supabase.co/rest/v1/`, key };
    reader.warn('supabase-service-role-key', 'is not used: supabase-project-ref is empty, and database-url names no Supabase project', "Set supabase-project-ref, the 20 letters of the project's URL, so that health asks the REST endpoint too.");
    return undefined;
}
function projectOfDatabase(url) {
    if (url === undefined)
        return undefined;
    const parsed = parseDatabaseUrl(url.reveal());
    return 'address' in parsed ? projectRefOf(parsed.address) : undefined;
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

// EXTERNAL MODULE: ./compiled/src/inputs/checks/fingerprints.js
var checks_fingerprints = __nccwpck_require__(7354);
// EXTERNAL MODULE: ./compiled/src/inputs/checks/known-hosts.js
var known_hosts = __nccwpck_require__(7582);
;// CONCATENATED MODULE: ./compiled/src/inputs/read-host-keys.js




const ON_THE_SERVER = 'Run on the server: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub';
/**
 * Reads what the servers are told from impostors by. A pin that cannot apply, or a server without one, would fail
 * only when it is connected to; here it is told with all else. `targets` is empty where the servers are not known.
 */
function readPins(reader, targets) {
    const knownHosts = repairKnownHosts(reader.value('ssh-known-hosts') ?? '');
    const entries = (0,lists/* splitList */.r)(reader.value('ssh-fingerprint') ?? '');
    if (knownHosts === '' && entries.length === 0)
        reader.complain('ssh-fingerprint', `${empty_connection/* EMPTY_CONNECTION */.D}; ssh-known-hosts is empty too, and the server could not be told from an impostor`, `${ON_THE_SERVER}  and put the SHA256:... part into ssh-fingerprint.`);
    const fingerprints = readFingerprints(reader, entries, targets);
    if (targets.length > 0 && !reader.complained('ssh-fingerprint', 'ssh-known-hosts'))
        addUnpinnedProblems(reader, targets, knownHosts, fingerprints);
    return { ...(knownHosts === '' ? {} : { knownHosts }), fingerprints: fingerprints.map(({ text }) => text) };
}
function readFingerprints(reader, entries, targets) {
    const fingerprints = [];
    entries.forEach((entry, index) => {
        const read = (0,checks_fingerprints/* parseFingerprint */.sr)(entry);
        if ('wrong' in read) {
            reader.complain('ssh-fingerprint', `entry ${index + 1} ${read.wrong}`, read.right);
            return;
        }
        const label = read.label ?? labelOfComment(read, targets);
        const named = label === undefined ? {} : { label };
        const text = label === undefined ? read.print : `${label} ${read.print}`;
        fingerprints.push({ print: read.print, ...named, text, entry: index + 1 });
    });
    return fingerprints;
}
/** What ssh-keyscan gives to ssh-keygen comes back with the host's name as the comment. */
function labelOfComment({ comment }, targets) {
    if (comment === undefined || targets.length < 2)
        return undefined;
    return targets.some((target) => (0,checks_fingerprints/* labelMeans */.Bc)(comment, target)) ? comment : undefined;
}
/** Entries that apply to no server here are no fault by themselves: a job may list the servers of all its steps. */
function addUnpinnedProblems(reader, targets, knownHosts, fingerprints) {
    const only = targets.length === 1;
    const texts = fingerprints.map(({ text }) => text);
    const lines = (0,known_hosts/* parseKnownHosts */.uJ)(knownHosts);
    const unpinned = targets.filter((target) => (0,known_hosts/* linesFor */.be)(lines, target).keys.length === 0 && (0,checks_fingerprints/* fingerprintsFor */.JB)(target, texts, only).length === 0);
    if (unpinned.length === 0)
        return;
    const nameless = only ? undefined : fingerprints.find(({ label }) => label === undefined);
    const stray = fingerprints.filter(({ label }) => label !== undefined && !targets.some((target) => (0,checks_fingerprints/* labelMeans */.Bc)(label, target)));
    const right = `${ON_THE_SERVER}  and put ${only ? 'SHA256:...' : '"host SHA256:..."'} into ssh-fingerprint.`;
    if (nameless !== undefined) {
        reader.complain('ssh-fingerprint', `entry ${nameless.entry} does not say which server it is for, and there are ${targets.length}`, 'Write "host SHA256:..." per line, with the host as in ssh-host or ssh-jump.');
        return;
    }
    for (const target of unpinned) {
        if (stray.length > 0) {
            const which = stray.map(({ entry }) => entry).join(', ');
            reader.complain('ssh-fingerprint', `${target.name} has no fingerprint, and the host in entry ${which} is in neither ssh-host nor ssh-jump`, 'Write the host as in ssh-host or ssh-jump: host SHA256:...');
        }
        else if (knownHosts === '')
            reader.complain('ssh-fingerprint', `has none for ${target.name}`, right);
        else
            reader.complain('ssh-known-hosts', whyUnreadable(knownHosts, lines, target), right);
    }
}
function whyUnreadable(knownHosts, lines, target) {
    if ((0,known_hosts/* linesFor */.be)(lines, target).authorities.length > 0)
        return `has only @cert-authority lines for ${target.name}, which are not supported`;
    if (lines.length > 0)
        return `has no line for ${target.name}`;
    if (/^\s*(ssh|ecdsa|sk)-\S+ AAAA/m.test(knownHosts))
        return 'is a public key without the name of its host: the line is "host ssh-ed25519 AAAA..."';
    return 'has no line that can be read: each is "host ssh-ed25519 AAAA..."';
}
/** Undoes what secret stores and copying do to lines: quotes around the whole, line breaks written as \n. */
function repairKnownHosts(text) {
    return (0,lists/* withoutQuotes */.Y)(text.replace(/^\uFEFF/, '').trim())
        .replace(/\\r\\n|\\n/g, '\n')
        .trim();
}

;// CONCATENATED MODULE: ./compiled/src/inputs/read-server.js










function readVps(reader, mode, context) {
    const ssh = readSsh(reader);
    const appPath = (reader.value('app-path') ?? '').replace(/(?<=.)\/+$/, '');
    const appName = reader.value('app-name') ?? '';
    if (appPath !== '')
        addInputProblem(reader, 'app-path', checkRemotePath(appPath));
    if (appName !== '')
        addInputProblem(reader, 'app-name', (0,names/* checkProcessName */.JV)(appName));
    if (ssh && appPath === '')
        reader.complain('app-path', 'is empty', 'Give the absolute path of the application on the server, such as /var/www/app.');
    const restartCommand = reader.value('restart-command');
    if (ssh && appName === '' && restartCommand === undefined) {
        reader.complain('app-name', 'is empty', 'Give the name that `pm2 list` shows for the application, or a restart-command.');
    }
    const askedRef = checked(reader, 'ref', names/* checkGitRef */.wS);
    const ref = askedRef ?? context.run.sha;
    const sharedPaths = readAppPaths(reader, 'shared-paths');
    const buildOutput = readAppPaths(reader, 'build-output');
    const envFilePath = reader.value('env-file-path');
    addInputProblem(reader, 'env-file-path', checkEnvFilePath(envFilePath));
    const envFile = readEnvFileInput(reader, mode);
    const repositoryUrl = reader.value('repository-url');
    if (repositoryUrl !== undefined)
        addInputProblem(reader, 'repository-url', checkRepositoryUrl(repositoryUrl));
    const rest = {
        appPath,
        appName: appName === '' ? (appPath.split('/').pop() ?? '') : appName,
        strategy: reader.value('strategy'),
        buildOn: reader.value('build-on'),
        rehearse: reader.value('rehearse'),
        dirtyCheckout: reader.value('dirty-checkout'),
        lockWait: reader.value('lock-wait'),
        ...(0,defined_only/* definedOnly */.U)({ ref }),
        refExplicit: askedRef !== undefined,
        buildOutput,
        ...(0,defined_only/* definedOnly */.U)({
            repositoryUrl,
            installCommand: reader.value('install-command'),
            buildCommand: reader.value('build-command'),
            startCommand: reader.value('start-command'),
            restartCommand,
            envFile,
            healthPort: reader.value('health-port'),
        }),
        envFilePath: tidyPath(envFilePath),
        sharedPaths,
        keepReleases: reader.value('keep-releases'),
        maxParallel: reader.value('max-parallel'),
        deployTimeout: reader.value('deploy-timeout'),
    };
    if (ssh === undefined)
        return undefined;
    addTooLongProblems(reader, rest, ssh.hosts.length);
    return { ssh, ...rest };
}
function readAppPaths(reader, name) {
    const paths = reader.value(name);
    addEntryProblems(reader, name, paths, checkAppPath);
    return paths.map(tidyPath);
}
function checkEnvFilePath(path) {
    const complaint = checkAppPath(path) ??
        (path.endsWith('/')
            ? { wrong: 'is a folder', right: 'Name the file itself, such as config/.env.' }
            : undefined);
    return complaint && { ...complaint, wrong: `${(0,quote_if_safe/* quoteIfSafe */.XB)(path)} ${complaint.wrong}` };
}
/** Judged here and again on the server: a secret that arrived cut must not be found out about after the migrations. */
function readEnvFileInput(reader, mode) {
    const envFile = reader.value('env-file');
    if (envFile === undefined)
        return undefined;
    const fault = checkEnvText(envFile.reveal());
    if (fault !== undefined && (mode === 'deploy' || mode === 'plan' || mode === 'redeploy'))
        reader.complain('env-file', fault, 'Check the secret that it comes from: it may be cut. Each line is NAME=value.');
    return envFile;
}
/** Milliseconds: what a timer of Node can hold, less a day for all that is added around a run. */
const LONGEST_WAIT = 2 ** 31 - 1 - 24 * 3_600_000;
/** A host that was prepared waits until those before it are through, so their times add up. */
function addTooLongProblems(reader, { lockWait, deployTimeout }, hosts) {
    if (lockWait + deployTimeout * (hosts + 1) <= LONGEST_WAIT)
        return;
    const minutes = Math.floor((LONGEST_WAIT - lockWait) / (hosts + 1) / 60_000);
    reader.complain('deploy-timeout', `is too long for ${hosts} ${hosts === 1 ? 'host' : 'hosts'} and this lock-wait`, `Use at most ${minutes >= 60 ? `${Math.floor(minutes / 60)}h` : `${minutes}m`}.`);
}
function readSsh(reader) {
    const port = reader.value('ssh-port');
    const user = reader.value('ssh-user') ?? '';
    if (user !== '')
        addInputProblem(reader, 'ssh-user', (0,names/* checkUserName */.th)(user));
    const items = reader.value('ssh-host');
    const hosts = [];
    items.forEach((item, index) => {
        const parsed = (0,names/* parseHostAddress */.un)(item);
        // Host names are often secrets, so a complaint names the position and not the text.
        if ('wrong' in parsed)
            reader.complain('ssh-host', `entry ${index + 1} ${parsed.wrong}`, parsed.right);
        else if ((parsed.user ?? user) === '')
            reader.complain('ssh-user', `is empty, and entry ${index + 1} of ssh-host names no user`, 'Give the login name on the server, such as deploy.');
        else
            hosts.push({ host: parsed.host, port: parsed.port ?? port, user: parsed.user ?? user });
    });
    if (items.length === 0)
        return undefined;
    const privateKey = reader.value('ssh-private-key');
    if (privateKey === undefined)
        reader.complain('ssh-private-key', empty_connection/* EMPTY_CONNECTION */.D, 'Set the secret with the private key of the deploy user.');
    else if (/^\s*(\S+\s+)?SHA256:/.test(privateKey.reveal()))
        reader.complain('ssh-private-key', 'is a fingerprint, which belongs into ssh-fingerprint', 'Put the private key here, from -----BEGIN to -----END.');
    const jump = readJump(reader, user, port);
    const pins = readPins(reader, pinTargets(reader, hosts, jump));
    return {
        hosts,
        // The empty one is never used: it has been complained about.
        privateKey: privateKey ?? new secret/* Secret */.zh(''),
        ...(0,defined_only/* definedOnly */.U)({ passphrase: reader.value('ssh-passphrase') }),
        ...pins,
        ...(0,defined_only/* definedOnly */.U)({ jump }),
    };
}
/** The servers by the names that the connection calls them by; none where it is not known which they are. */
function pinTargets(reader, hosts, jump) {
    if (reader.complained('ssh-host', 'ssh-port', 'ssh-user', 'ssh-jump'))
        return [];
    const several = hosts.length > 1;
    return [
        ...hosts.map((host, index) => ({ ...host, name: several ? `host ${index + 1}` : 'the server' })),
        ...(jump === undefined ? [] : [{ ...jump, name: 'the jump host' }]),
    ];
}
function readJump(reader, user, port) {
    const text = reader.value('ssh-jump');
    if (text === undefined)
        return undefined;
    const parsed = (0,names/* parseHostAddress */.un)(text);
    if ('wrong' in parsed) {
        reader.complain('ssh-jump', parsed.wrong, parsed.right);
        return undefined;
    }
    if ((parsed.user ?? user) === '')
        reader.complain('ssh-user', 'is empty, and ssh-jump names no user', 'Write user@host in ssh-jump, or give ssh-user for all servers.');
    return { host: parsed.host, port: parsed.port ?? port, user: parsed.user ?? user };
}
function checkRepositoryUrl(text) {
    const right = 'Use https://host/owner/name.git, git@host:owner/name.git or ssh://...';
    if (/^-/.test(text))
        return { wrong: 'starts with a dash and would be read as an option', right };
    if (/^ext::|^fd::/.test(text))
        return { wrong: 'names a transport that runs commands', right };
    if (/^https?:\/\/[^/]*@/.test(text))
        return {
            wrong: 'holds credentials',
            right: 'Give the URL without them: the job token is used for that one fetch, or the key that the server has.',
        };
    if (!/^(https?:\/\/|ssh:\/\/|git@|file:\/\/|\/)[^\s'"`$;&|<>\\]+$/.test(text))
        return { wrong: 'is not a repository URL', right };
    return undefined;
}

;// CONCATENATED MODULE: ./compiled/src/inputs/read.js










/** Turns raw strings into typed settings. All problems are returned at once; nothing is connected to or written. */
function parseSettings(read, context) {
    const reader = inputReader(read);
    addMisplacedKeyProblems(reader, read);
    const mode = reader.value('mode');
    const skip = reader.value('skip');
    const scope = scopeOf(mode, skip, read);
    const environment = checked(reader, 'environment', names/* checkEnvironmentName */.r0);
    const workingDirectory = reader.value('working-directory');
    addInputProblem(reader, 'working-directory', checkWorkingDirectory(workingDirectory));
    const files = readFiles(reader);
    const server = hasServer(scope, read);
    const database = scope.database ? readDatabase(reader, files, server) : undefined;
    const vps = scope.vps ? readVps(reader, mode, context) : undefined;
    const health = readHealth(reader, scope);
    const rollback = readRollback(reader, mode, context);
    const token = reader.value('github-token');
    const common = {
        run: context.run,
        warnings: reader.warnings,
        ...(0,defined_only/* definedOnly */.U)({ environment }),
        adoptEnvironment: reader.value('adopt-environment'),
        workingDirectory: workingDirectory.startsWith('/')
            ? workingDirectory
            : joinPath(context.workspace, workingDirectory),
        skip,
        ...(0,defined_only/* definedOnly */.U)({ githubToken: token }),
        githubDeployment: reader.value('github-deployment') === 'on',
        comment: reader.value('comment'),
        files,
        health,
        rollback,
    };
    addEmptyConnectionProblems(reader, { read, mode, skip, scope, files, database, vps, health, context });
    addForkProblems(reader, mode, context.run);
    if (reader.problems.length > 0)
        return { problems: [...reader.problems] };
    return { settings: withParts(common, mode, database, vps), problems: [] };
}
/** Puts the settings together: what a mode cannot work without is there, or it was complained of. */
function withParts(common, mode, database, vps) {
    switch (mode) {
        case 'verify':
            return { ...common, mode, database: mustBeGiven(database) };
        case 'migrate':
            return { ...common, mode, database: mustBeGiven(database), ...(0,defined_only/* definedOnly */.U)({ vps }) };
        case 'redeploy':
            return { ...common, mode, vps: mustBeGiven(vps) };
        default:
            return { ...common, mode, ...(0,defined_only/* definedOnly */.U)({ database, vps }) };
    }
}
function mustBeGiven(part) {
    if (part === undefined)
        throw new Error('a part that the mode needs is missing, and nobody complained');
    return part;
}
/**
 * What undoes a failed deploy is the same phase that a person calls, so what a person may ask for there must not stand
 * in the settings of any other mode: with it a deploy would undo what earlier runs did.
 */
function readRollback(reader, mode, context) {
    const to = reader.value('rollback-to');
    if (to !== undefined)
        addInputProblem(reader, 'rollback-to', (0,names/* checkGitRef */.wS)(to));
    const runId = reader.value('run-id');
    if (runId !== undefined && !/^[\p{L}\p{N}._-]{1,100}$/u.test(runId)) {
        reader.complain('run-id', 'is not a run id', 'Use the number in the URL of the workflow run.');
    }
    const steps = reader.value('rollback-steps');
    const asked = [
        ['rollback-steps', steps],
        ['rollback-to', to],
    ].filter(([, value]) => value !== undefined);
    if (mode !== 'rollback' && !reader.complained('mode'))
        for (const [input] of asked)
            reader.complain(input, 'belongs to mode: rollback', 'Remove it: a deploy that fails undoes exactly what it changed.');
    if (asked.length > 1)
        reader.complain('rollback-steps', 'is set, and so is rollback-to: each says by itself what to undo', 'Give one of them.');
    if (mode === 'rollback' &&
        context.terminal &&
        runId === undefined &&
        to === undefined &&
        steps === undefined) {
        reader.complain('run-id', 'is empty, and so is rollback-to: from a terminal nothing says what to undo', 'Give --run-id <workflow run>, or --rollback-to previous.');
    }
    return {
        onFailure: reader.value('rollback-on-failure'),
        database: reader.value('rollback-database'),
        ...(0,defined_only/* definedOnly */.U)({ steps, to }),
        runId: mode === 'rollback' ? (runId ?? context.run.id) : context.run.id,
    };
}
const FROM_A_FORK = {
    'pull request': 'is refused on a pull request from a fork',
    'workflow run': 'is refused on a workflow run from a fork',
};
/** Code from a fork must not reach the database or the server: only modes that write nothing may run there. */
function addForkProblems(reader, mode, run) {
    if (mode === 'plan' || mode === 'health' || mode === 'verify')
        return;
    if (run.event === 'pull_request_target') {
        reader.complain('mode', `"${mode}" is refused on pull_request_target: it would run foreign code with your secrets`, 'Use pull_request with mode: plan, and deploy on push.');
    }
    else if (run.fork) {
        reader.complain('mode', `"${mode}" ${FROM_A_FORK[run.headOf ?? 'pull request']}`, 'Use mode: plan there, and deploy on push.');
    }
}
function checkWorkingDirectory(path) {
    return path.startsWith('/') ? undefined : checkRelativePath(path);
}


/***/ }),

/***/ 7660:
/***/ ((__unused_webpack_module, __webpack_exports__, __nccwpck_require__) => {


// EXPORTS
__nccwpck_require__.d(__webpack_exports__, {
  G: () => (/* binding */ INPUT_PARTS),
  B: () => (/* binding */ TABLE)
});

// EXTERNAL MODULE: ./compiled/src/lib/duration.js
var duration = __nccwpck_require__(7275);
// EXTERNAL MODULE: ./compiled/src/lib/invisible.js
var lib_invisible = __nccwpck_require__(2644);
// EXTERNAL MODULE: ./compiled/src/lib/secret.js
var secret = __nccwpck_require__(2143);
// EXTERNAL MODULE: ./compiled/src/inputs/lists.js
var lists = __nccwpck_require__(8060);
// EXTERNAL MODULE: ./compiled/src/inputs/nearest.js
var nearest = __nccwpck_require__(3795);
// EXTERNAL MODULE: ./compiled/src/inputs/quote-if-safe.js
var quote_if_safe = __nccwpck_require__(8639);
;// CONCATENATED MODULE: ./compiled/src/inputs/kinds.js






/** Text without invisible characters. */
const kinds_text = { kind: 'text', read: visibleText };
/** Text that may hold any character: whoever uses it says what is wrong with it. */
const anyText = { kind: 'text', read: ({ value }) => value };
/**
 * One of a few words. `noun` is what complaints call them: "is not a mode. The modes are: ...".
 * A word that is none of them counts as the first.
 */
function choice(words, noun) {
    return {
        kind: 'choice',
        read(field) {
            const value = visibleText(field);
            const found = words.find((word) => word === value);
            if (found !== undefined)
                return found;
            const near = (0,nearest/* nearest */.p)(value, words);
            const hint = near === undefined ? '' : `Did you mean "${near}"? `;
            field.complain(`${(0,quote_if_safe/* quoteIfSafe */.XB)(value)} is not ${noun === undefined ? 'known' : `a ${noun}`}`, `${hint}${noun === undefined ? 'It takes one of' : `The ${noun}s are`}: ${words.join(', ')}.`);
            return words[0];
        },
    };
}
/** A list of a few words, which complaints call by `noun`; what is none of them is left out. */
function choices(words, noun) {
    return {
        kind: 'list',
        read: (field) => (0,lists/* splitList */.r)(visibleText(field)).flatMap((item, index) => {
            const found = words.find((word) => word === item);
            if (found !== undefined)
                return [found];
            field.complain(`${(0,quote_if_safe/* quoteEntryIfSafe */.HE)(item, index)} is not a ${noun}`, `The ${noun}s are: ${words.join(', ')}.`);
            return [];
        }),
    };
}
/** `true` and `false` as YAML 1.2 writes them. */
const kinds_boolean = {
    kind: 'boolean',
    read(field) {
        const value = visibleText(field);
        if (/^(true|True|TRUE)$/.test(value))
            return true;
        if (!/^(false|False|FALSE)$/.test(value))
            field.complain(`${(0,quote_if_safe/* quoteIfSafe */.XB)(value)} is not a boolean`, 'Use true or false.');
        return false;
    },
};
/** Milliseconds. Timers hold no more than 596 hours, and some add up several durations. */
const LONGEST_DURATION = 168 * 3_600_000;
/** Milliseconds, at least 1. */
const kinds_duration = {
    kind: 'duration',
    read(field) {
        const milliseconds = (0,duration/* parseDuration */.E)(visibleText(field));
        if (milliseconds === undefined || milliseconds === 0) {
            field.complain(`${(0,quote_if_safe/* quoteIfSafe */.XB)(field.value)} is not a duration`, 'Use a whole number with a unit: 500ms, 10s, 5m or 1h.');
            return 1;
        }
        if (milliseconds > LONGEST_DURATION) {
            field.complain(`${(0,quote_if_safe/* quoteIfSafe */.XB)(field.value)} is longer than 168h`, 'Use at most 168h, which is a week.');
            return LONGEST_DURATION;
        }
        return milliseconds;
    },
};
function integer(least, most) {
    return {
        kind: 'integer',
        read(field) {
            const value = visibleText(field);
            const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
            if (number >= least && number <= most)
                return number;
            field.complain(`${(0,quote_if_safe/* quoteIfSafe */.XB)(value)} is not a whole number from ${least} to ${most}`, `Use a whole number from ${least} to ${most}, without a unit.`);
            return least;
        },
    };
}
/** One per line, or separated by commas. */
const list = { kind: 'list', read: (field) => (0,lists/* splitList */.r)(visibleText(field)) };
/** A list whose items hold commas in parentheses, as the arguments of functions. */
const calls = {
    kind: 'list',
    read: (field) => (0,lists/* splitList */.r)(visibleText(field), { parentheses: true }),
};
/** Without quotes around it. */
const path = { kind: 'path', read: (field) => (0,lists/* withoutQuotes */.Y)(visibleText(field)) };
const paths = {
    kind: 'list',
    read: (field) => (0,lists/* splitList */.r)(visibleText(field)).map(lists/* withoutQuotes */.Y),
};
/** A secret of any form: whoever uses it says what is wrong with it. */
const anySecret = { kind: 'secret', read: secretOf };
const databaseUrl = { kind: 'database-url', read: secretOf };
const envFile = { kind: 'env-file', read: secretOf };
/** A key or token that travels in an HTTP header. Complaints name no part of it. */
const key = {
    kind: 'secret',
    read(field) {
        const stranger = /[^\x21-\x7e]/u.exec(field.value)?.[0];
        if (stranger !== undefined)
            field.complain(`holds ${characterName(stranger)}, which no key or token has`, 'Copy it again, as one line; a dashboard shows dots in its place until it is revealed.');
        return secretOf(field);
    },
};
function secretOf({ value }) {
    return value.trim() === '' ? undefined : new secret/* Secret */.zh(value);
}
function visibleText({ value, complain }) {
    const invisible = (0,lib_invisible/* invisibleCharacter */.D)(value.replace(/[\n\r\t]/g, ' '));
    if (invisible)
        complain(`holds the invisible character ${invisible}`, 'Type the value again without it.');
    return value;
}
function characterName(character) {
    if (character === '\n' || character === '\r')
        return 'a line break';
    if (character === ' ')
        return 'a blank';
    return (0,lib_invisible/* codePoint */.y)(character);
}

// EXTERNAL MODULE: ./compiled/src/inputs/modes.js
var modes = __nccwpck_require__(1905);
;// CONCATENATED MODULE: ./compiled/src/inputs/table.js


/** An input that always has a value. */
function input(kind, about) {
    return { ...kind, env: [], ...about };
}
/** An input without a default: undefined where nothing is given. */
function optional({ kind, read }, about) {
    return {
        kind,
        read: (field) => (field.value === '' ? undefined : read(field)),
        fallback: '',
        env: [],
        ...about,
    };
}
/** A list without a default: empty where nothing is given. */
function optionalList(kind, about) {
    return { ...kind, fallback: '', env: [], ...about };
}
/** A secret can always come from the environment: a flag would be seen in the process list. */
function table_secret(kind, about) {
    return { ...kind, fallback: '', secret: true, ...about };
}
const RUN = {
    mode: input(choice(modes/* MODES */.F, 'mode'), {
        fallback: 'deploy',
        description: 'What to do: plan, migrate, verify, redeploy, health, rollback, or deploy (all of them, with rollback on failure).',
    }),
    skip: optionalList(choices(modes/* PARTS */.d, 'part'), {
        description: 'Parts left out on purpose: database, vps, health.',
    }),
    'run-id': optional(kinds_text, {
        env: ['GITHUB_RUN_ID'],
        description: "The workflow run whose changes rollback undoes; this run's by default. From a terminal, this or rollback-to is required.",
    }),
    environment: optional(kinds_text, {
        description: 'The name, such as staging or production, used in locks, the summary and the GitHub Deployment.',
    }),
    'adopt-environment': input(kinds_boolean, {
        fallback: 'false',
        description: 'A database or host remembers the environment that deployed to it; another name is refused unless this is true.',
    }),
    'working-directory': input(path, {
        fallback: '.',
        description: 'Folder of the project in the checkout; migrations-dir starts there.',
    }),
    'github-token': table_secret(key, {
        env: ['GITHUB_TOKEN'],
        expression: 'github.token',
        description: 'For GitHub Deployments, the plan comment, and the one fetch of a private repository.',
    }),
};
const DATABASE = {
    'database-url': table_secret(databaseUrl, {
        env: ['DATABASE_URL'],
        description: 'Postgres URL: direct, session pooler or transaction pooler.',
    }),
    'database-ca-cert': optional(anyText, {
        env: ['DATABASE_CA_CERT'],
        verbatim: true,
        description: 'PEM certificate of the authority that signs the database server; TLS is always verified off loopback.',
    }),
    'supabase-project-ref': optional(kinds_text, {
        env: ['SUPABASE_PROJECT_REF', 'SUPABASE_STAGING_PROJECT_ID'],
        description: 'With supabase-access-token, where no database-url is given: a session of the pooler with a temporary login, or else the Management API, carries the SQL.',
    }),
    'supabase-access-token': table_secret(key, {
        env: ['SUPABASE_ACCESS_TOKEN'],
        description: 'Personal access token for the Management API.',
    }),
    'supabase-service-role-key': table_secret(key, {
        env: ['SUPABASE_SERVICE_ROLE_KEY'],
        description: 'With it, health also asks the REST endpoint of the project that supabase-project-ref or database-url names.',
    }),
    'supabase-api-url': input(kinds_text, {
        fallback: 'https://api.supabase.com',
        env: ['SUPABASE_API_URL'],
        description: 'The Management API; https://api.supabase.com unless self-hosted.',
    }),
    'migrations-dir': input(path, {
        fallback: 'supabase/migrations',
        description: 'Folder with the migration files, <version>_<name>.sql.',
    }),
    transaction: input(choice(['all', 'each']), {
        fallback: 'all',
        description: 'all: every pending file and the verification commit together, split only where Postgres forces it, where a file commits by itself, and between NOT VALID and VALIDATE; each: one transaction per file.',
    }),
    'migrate-before': input(choice(['cutover', 'build']), {
        fallback: 'cutover',
        description: 'cutover: migrations are committed when every host is prepared; build: before the hosts build, for builds that read the new schema.',
    }),
    'include-all': input(kinds_boolean, {
        fallback: 'false',
        description: 'Also apply files that are older than the newest applied one.',
    }),
    'missing-migrations': input(choice(['refuse', 'warn']), {
        fallback: 'refuse',
        description: 'A version recorded in the database that has no file: refuse or warn.',
    }),
    'edited-migrations': input(choice(['warn', 'refuse', 'allow']), {
        fallback: 'warn',
        description: 'An applied file that has changed since: warn, refuse or allow.',
    }),
    'destructive-changes': input(choice(['allow', 'warn', 'refuse']), {
        fallback: 'warn',
        description: 'Statements that drop data in pending files: allow, warn or refuse.',
    }),
    baseline: optional(kinds_text, {
        description: 'Version up to which an existing database counts as applied; once that version is recorded, this does nothing.',
    }),
    'lock-timeout': input(kinds_duration, {
        fallback: '5s',
        description: 'How long one try waits for a database lock; retried with backoff.',
    }),
    'statement-timeout': input(kinds_duration, {
        fallback: '10m',
        description: 'How long one file may run; where it cannot be run as a whole, each of its parts.',
    }),
    backup: input(choice(['off', 'schema', 'full']), {
        fallback: 'off',
        description: 'Before the first write: off, or pg_dump of the schema or of all (full); not through a transaction pooler. Without database-url a restore point.',
    }),
    'backup-to': optional(choice(['vps', 'runner']), {
        description: "vps: the app's state folder there; runner: lost with the job unless the workflow keeps it. By default vps where there is one.",
    }),
    'after-health': input(kinds_boolean, {
        fallback: 'false',
        description: 'In mode migrate: also apply the files marked "-- deploy: after-health". A deploy applies them by itself.',
    }),
    'required-tables': optionalList(list, {
        description: 'Tables that must exist; public unless qualified.',
    }),
    'required-functions': optionalList(calls, {
        description: 'Functions that must exist; public unless qualified. With types, price(integer, text), exactly that one.',
    }),
    rls: input(choice(['required', 'all', 'off']), {
        fallback: 'required',
        description: 'required: each required table has row level security and a policy; all: every table in public; off.',
    }),
    'row-counts': input(choice(['estimate', 'exact', 'off']), {
        fallback: 'estimate',
        description: 'Rows told per table: estimate, exact or off.',
    }),
    drift: input(choice(['warn', 'fail', 'off']), {
        fallback: 'warn',
        description: 'The schema changed since the last deploy by other hands: warn, fail or off.',
    }),
};
const SERVER = {
    'ssh-host': optionalList(list, {
        env: ['VPS_HOST'],
        description: 'One or more servers, one per line; user@host:port allowed.',
    }),
    'ssh-port': input(integer(1, 65_535), {
        fallback: '22',
        env: ['VPS_PORT'],
        description: 'Port of the servers that name none; 22 by default.',
    }),
    'ssh-user': optional(kinds_text, {
        env: ['VPS_USER'],
        description: 'Login name on the servers that name none.',
    }),
    'ssh-private-key': table_secret(anySecret, {
        env: ['VPS_SSH_KEY'],
        verbatim: true,
        description: 'Private key of the login, PEM or OpenSSH.',
    }),
    'ssh-passphrase': table_secret(anySecret, {
        env: ['VPS_SSH_PASSPHRASE'],
        verbatim: true,
        description: 'Passphrase of the private key.',
    }),
    'ssh-known-hosts': optional(anyText, {
        env: ['VPS_KNOWN_HOSTS'],
        verbatim: true,
        description: 'known_hosts lines. This or ssh-fingerprint is required, for the jump host too.',
    }),
    'ssh-jump': optional(kinds_text, {
        env: ['VPS_JUMP'],
        description: 'user@host:port to go through, with the same key.',
    }),
    'ssh-fingerprint': optional(anyText, {
        env: ['VPS_FINGERPRINT'],
        description: 'SHA256:... of the host key, one or more, or the lines that ssh-keygen -l prints; with several hosts or a jump host "host SHA256:..." per line.',
    }),
    'app-path': optional(path, {
        description: 'Folder of the application on the server, absolute.',
    }),
    'app-name': optional(kinds_text, {
        description: 'PM2 process name.',
    }),
    strategy: input(choice(['auto', 'in-place', 'releases', 'adopt']), {
        fallback: 'auto',
        description: 'auto, in-place (staged outside, swapped in by rename), releases (releases/ and a current symlink) or adopt (turns a checkout into releases, once).',
    }),
    'build-on': input(choice(['vps', 'runner']), {
        fallback: 'vps',
        description: 'vps, or runner: the build made in this job is packed and streamed, nothing is installed or built on the server.',
    }),
    rehearse: input(kinds_boolean, {
        fallback: 'true',
        description: 'Start the new build once beside the live one, on a spare port with its real settings and REHEARSAL=1, and check it before the cutover.',
    }),
    'dirty-checkout': input(choice(['refuse', 'stash']), {
        fallback: 'refuse',
        description: "Tracked local changes on the server: refuse, or stash (kept as a patch beside the run's log, and back with a rollback to that version).",
    }),
    'lock-wait': input(kinds_duration, {
        fallback: '10m',
        description: "How long to wait for another run's deploy of the same app or database.",
    }),
    ref: optional(kinds_text, {
        description: "The exact commit to deploy: a full SHA, or a branch, tag or short SHA that means one thing; the workflow's commit by default. Only a ref given here may go back to an older or bad commit.",
    }),
    'build-output': optionalList(paths, {
        description: 'All that the build makes, such as .next or dist. By default what the build created and git does not know; refused where that may be data of the server. build-on: runner cannot know it: it sends the usual folders (.next, dist, build, node_modules) and says what it leaves out.',
    }),
    'repository-url': optional(kinds_text, {
        description: 'Where the server fetches from; the origin that it already has by default.',
    }),
    'install-command': optional(kinds_text, {
        description: 'Replaces the install command found from the lock file.',
    }),
    'build-command': optional(kinds_text, {
        description: 'Replaces the build command found in package.json.',
    }),
    'start-command': optional(kinds_text, {
        description: "How PM2 starts the app where it has no entry yet; the repository's ecosystem file or package.json's start by default.",
    }),
    'restart-command': optional(kinds_text, {
        description: 'Replaces PM2 where another supervisor runs the app.',
    }),
    'env-file': table_secret(envFile, {
        env: ['DEPLOY_ENV_FILE'],
        verbatim: true,
        description: "The whole environment file, written to env-file-path (0600) before the build: what stands only in the server's file is gone from the new version. A rollback puts the previous file back.",
    }),
    'env-file-path': input(path, {
        fallback: '.env.local',
        description: 'Where env-file is written, inside the application.',
    }),
    'shared-paths': optionalList(paths, {
        description: 'Files and folders of the server that every version uses: uploads, a database file, .next/cache.',
    }),
    'keep-releases': input(integer(2, 1_000), {
        fallback: '5',
        description: 'Releases, and backups, kept on the server: at least 2.',
    }),
    'max-parallel': input(integer(1, 100), {
        fallback: '1',
        description: 'Hosts deployed at a time.',
    }),
    'deploy-timeout': input(kinds_duration, {
        fallback: '15m',
        description: 'How long the deploy may take on each host.',
    }),
};
const HEALTH = {
    'health-url': optional(kinds_text, {
        env: ['STAGING_URL', 'HEALTH_URL'],
        description: "Public base URL of the application; its origin counts as the application's own, also on the server.",
    }),
    'health-paths': input(paths, {
        fallback: '/,/api/health',
        description: 'Paths that must answer with a status from 200 to 299, and not with JSON whose status says otherwise; the last one is the health answer. Without /api/health: health-paths: /.',
    }),
    'health-from': input(choice(['both', 'runner', 'vps']), {
        fallback: 'both',
        description: 'runner (the public URL), vps (loopback, over SSH), or both: good inside and bad outside is an edge fault and rolls nothing back.',
    }),
    'health-port': optional(integer(1, 65_535), {
        description: "Port on the server for health-from vps; PM2's by default.",
    }),
    'health-timeout': input(kinds_duration, {
        fallback: '5s',
        description: 'Per request.',
    }),
    'health-deadline': input(kinds_duration, {
        fallback: '60s',
        description: 'Keep trying until then.',
    }),
    'health-max-latency': optional(kinds_duration, {
        description: 'Slower than this is the verdict slow: a warning, no rollback.',
    }),
    'health-successes': input(integer(1, 100), {
        fallback: '2',
        description: 'Consecutive good answers required of every check.',
    }),
    'check-assets': input(kinds_boolean, {
        fallback: 'true',
        description: 'Scripts and styles that the page links to must answer 200; of many, a few are asked for.',
    }),
    'expect-version': optional(kinds_text, {
        description: 'Text that must be in the answer of the last health path, such as a commit or a build id.',
    }),
};
const ROLLBACK = {
    'irreversible-migrations': input(choice(['allow', 'refuse']), {
        fallback: 'allow',
        description: 'allow, or refuse: every pending file must have a down file.',
    }),
    'shadow-database-url': table_secret(databaseUrl, {
        env: ['SHADOW_DATABASE_URL'],
        description: 'An empty scratch database: plan proves there that up and down files fit.',
    }),
    'allow-data-loss': input(kinds_boolean, {
        fallback: 'false',
        description: 'A down file may always drop what the same run created; anything else that holds data is refused unless this is true.',
    }),
    'rollback-on-failure': input(kinds_boolean, {
        fallback: 'true',
        description: 'In deploy: undo what this run changed when it fails.',
    }),
    'rollback-database': input(choice(['down', 'records', 'keep']), {
        fallback: 'down',
        description: 'down: run the down file where there is one; records: only delete the history rows; keep: leave the schema.',
    }),
    'rollback-steps': optional(integer(1, 10_000), {
        description: 'In mode rollback: the newest N applied migrations by their down files, all of them or none; the code stays.',
    }),
    'rollback-to': optional(kinds_text, {
        description: 'In mode rollback: previous, a commit or a release that was live and verified; what came after it goes back too.',
    }),
};
const GITHUB = {
    'github-deployment': input(choice(['off', 'on']), {
        fallback: 'off',
        description: 'on: create a GitHub Deployment and its statuses, after mode: rollback for the commit that is live again; leave it off where the job has environment:, which makes one itself.',
    }),
    comment: input(choice(['auto', 'off']), {
        fallback: 'auto',
        description: 'auto: plan on a pull request keeps one comment up to date; off.',
    }),
};
/** The inputs by the part that they belong to, with the heading of each. */
const INPUT_PARTS = [
    { title: 'Run', inputs: RUN },
    { title: 'Database', inputs: DATABASE },
    { title: 'Server and application', inputs: SERVER },
    { title: 'Health', inputs: HEALTH },
    { title: 'Rollback', inputs: ROLLBACK },
    { title: 'GitHub', inputs: GITHUB },
];
const TABLE = { ...RUN, ...DATABASE, ...SERVER, ...HEALTH, ...ROLLBACK, ...GITHUB };


/***/ }),

/***/ 8417:
/***/ ((__unused_webpack_module, __webpack_exports__, __nccwpck_require__) => {

/* harmony export */ __nccwpck_require__.d(__webpack_exports__, {
/* harmony export */   U: () => (/* binding */ definedOnly)
/* harmony export */ });
/** The fields that have a value, to be spread into an object whose optional fields are absent rather than undefined. */
function definedOnly(fields) {
    return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}


/***/ }),

/***/ 7275:
/***/ ((__unused_webpack_module, __webpack_exports__, __nccwpck_require__) => {

/* harmony export */ __nccwpck_require__.d(__webpack_exports__, {
/* harmony export */   E: () => (/* binding */ parseDuration),
/* harmony export */   a: () => (/* binding */ formatDuration)
/* harmony export */ });
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


/***/ }),

/***/ 8727:
/***/ ((__unused_webpack_module, __webpack_exports__, __nccwpck_require__) => {

/* harmony export */ __nccwpck_require__.d(__webpack_exports__, {
/* harmony export */   D: () => (/* binding */ EMPTY_CONNECTION),
/* harmony export */   c: () => (/* binding */ emptyConnection)
/* harmony export */ });
/** What is said of a connection input that is empty although something points to its part: it is not skipped silently. */
const EMPTY_CONNECTION = 'is empty: secret not set, or not available to forks';
/** A connection that is empty although what earlier deploys left behind points to its part. */
function emptyConnection(input, next) {
    return { message: `${input}: ${EMPTY_CONNECTION}`, next };
}


/***/ }),

/***/ 2644:
/***/ ((__unused_webpack_module, __webpack_exports__, __nccwpck_require__) => {

/* harmony export */ __nccwpck_require__.d(__webpack_exports__, {
/* harmony export */   D: () => (/* binding */ invisibleCharacter),
/* harmony export */   y: () => (/* binding */ codePoint)
/* harmony export */ });
/** Control, bidirectional and zero-width characters: invisible, and able to make one name look like another. */
const INVISIBLE = /[\p{Cc}\p{Cf}\u2028\u2029]/u;
/** The first invisible character of a text as `U+202E`, or undefined. */
function invisibleCharacter(text) {
    const match = INVISIBLE.exec(text);
    return match ? codePoint(match[0]) : undefined;
}
/** A character as `U+202E`. */
function codePoint(character) {
    return `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}`;
}


/***/ }),

/***/ 5964:
/***/ ((__unused_webpack_module, __webpack_exports__, __nccwpck_require__) => {

/* harmony export */ __nccwpck_require__.d(__webpack_exports__, {
/* harmony export */   D: () => (/* binding */ linesOf)
/* harmony export */ });
/** The lines of a text, whatever ends them, without empty lines at its end. */
function linesOf(text) {
    const lines = text.split(/\r\n|\r|\n/);
    while (lines.length > 0 && lines.at(-1).trim() === '')
        lines.pop();
    return lines;
}


/***/ }),

/***/ 9391:
/***/ ((__unused_webpack_module, __webpack_exports__, __nccwpck_require__) => {


// EXPORTS
__nccwpck_require__.d(__webpack_exports__, {
  mB: () => (/* binding */ runProgram),
  Xd: () => (/* binding */ startProgram)
});

// UNUSED EXPORTS: programEnvironment

;// CONCATENATED MODULE: external "node:child_process"
const external_node_child_process_namespaceObject = require("node:child_process");
// EXTERNAL MODULE: external "node:events"
var external_node_events_ = __nccwpck_require__(8474);
;// CONCATENATED MODULE: ./compiled/src/lib/local-programs.js


/** The one place that starts programs of this machine: git, tar, pg_dump. */
/**
 * What they are told of the environment. A job has its secrets there (DATABASE_URL, VPS_SSH_KEY, tokens of GitHub's own
 * and of other steps), under names that nobody can list: so it is said what they need, and not what they must not see.
 */
const NEEDED = [
    'PATH',
    'HOME',
    'USER',
    'LOGNAME',
    'TMPDIR',
    'LD_LIBRARY_PATH',
    'LANG',
    'LC_CTYPE',
    // Where git finds its settings, such as the folders that it may work in.
    'XDG_CONFIG_HOME',
    'GIT_CONFIG_GLOBAL',
    'GIT_CONFIG_SYSTEM',
    'GIT_CONFIG_NOSYSTEM',
];
/**
 * The environment of a program: what it needs of `env`, and what is given to it alone. Characters are those of this
 * machine; messages are in English, because they are read here. Pure.
 */
function programEnvironment(env, own = {}) {
    const needed = NEEDED.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]]));
    return {
        ...Object.fromEntries(needed),
        // It would overrule the language of messages as well.
        ...(env.LC_ALL ? { LC_CTYPE: env.LC_ALL } : {}),
        LC_MESSAGES: 'C',
        ...own,
    };
}
/** Starts a program with nothing to read. */
function startProgram(words, { env, ...options } = {}) {
    const [file, ...args] = words;
    return (0,external_node_child_process_namespaceObject.spawn)(file, args, {
        ...options,
        env: programEnvironment(process.env, env),
        stdio: ['ignore', 'pipe', 'pipe'],
    });
}
/** Runs a program to its end. Rejects where it could not be started, or was ended by `signal`. */
async function runProgram(words, options = {}) {
    const child = startProgram(words, options);
    const said = [child.stdout, child.stderr].map((pipe) => {
        const chunks = [];
        pipe.on('data', (chunk) => chunks.push(chunk));
        return () => Buffer.concat(chunks).toString();
    });
    const [code] = (await (0,external_node_events_.once)(child, 'close'));
    return { code, stdout: said[0](), stderr: said[1]() };
}


/***/ }),

/***/ 170:
/***/ ((__unused_webpack_module, __webpack_exports__, __nccwpck_require__) => {

/* harmony export */ __nccwpck_require__.d(__webpack_exports__, {
/* harmony export */   U: () => (/* binding */ isLoopback)
/* harmony export */ });
/** True for names and addresses of the machine itself, also bracketed as in a URL. */
function isLoopback(host) {
    const name = host.replace(/^\[|\]$/g, '').toLowerCase();
    return (name === 'localhost' ||
        name.endsWith('.localhost') ||
        name === '::1' ||
        /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(name));
}


/***/ }),

/***/ 8198:
/***/ ((__unused_webpack_module, __webpack_exports__, __nccwpck_require__) => {

/* harmony export */ __nccwpck_require__.d(__webpack_exports__, {
/* harmony export */   Bm: () => (/* binding */ unpackKeyText),
/* harmony export */   PQ: () => (/* binding */ pemBlocks),
/* harmony export */   _$: () => (/* binding */ keyFile),
/* harmony export */   rg: () => (/* binding */ keyLines)
/* harmony export */ });
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


/***/ }),

/***/ 2143:
/***/ ((__unused_webpack_module, __webpack_exports__, __nccwpck_require__) => {

/* harmony export */ __nccwpck_require__.d(__webpack_exports__, {
/* harmony export */   YO: () => (/* binding */ isUnmaskable),
/* harmony export */   eo: () => (/* binding */ secretForms),
/* harmony export */   zh: () => (/* binding */ Secret)
/* harmony export */ });
/* harmony import */ var node_util__WEBPACK_IMPORTED_MODULE_0__ = __nccwpck_require__(7975);
/* harmony import */ var node_util__WEBPACK_IMPORTED_MODULE_0___default = /*#__PURE__*/__nccwpck_require__.n(node_util__WEBPACK_IMPORTED_MODULE_0__);
/* harmony import */ var _pem_keys_js__WEBPACK_IMPORTED_MODULE_1__ = __nccwpck_require__(8198);


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
    [node_util__WEBPACK_IMPORTED_MODULE_0__.inspect.custom]() {
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
    for (const line of (0,_pem_keys_js__WEBPACK_IMPORTED_MODULE_1__/* .keyLines */ .rg)(value))
        add(line);
    if (isUnmaskable(trimmed))
        return [...forms];
    // Of a key also its file, which a program makes of it again.
    for (const text of new Set([trimmed, (0,_pem_keys_js__WEBPACK_IMPORTED_MODULE_1__/* .keyFile */ ._$)(value) ?? trimmed]))
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


/***/ }),

/***/ 8063:
/***/ ((__unused_webpack_module, __webpack_exports__, __nccwpck_require__) => {

/* harmony export */ __nccwpck_require__.d(__webpack_exports__, {
/* harmony export */   Y: () => (/* binding */ shortenList)
/* harmony export */ });
/** Names in a message: all of them where they are few, else the first ones and how many more there are. */
function shortenList(names, most = 5) {
    const more = names.length > most ? ` and ${names.length - most} more` : '';
    return `${names.slice(0, most).join(', ')}${more}`;
}


/***/ }),

/***/ 3435:
/***/ ((__unused_webpack_module, __webpack_exports__, __nccwpck_require__) => {

/* harmony export */ __nccwpck_require__.d(__webpack_exports__, {
/* harmony export */   r: () => (/* binding */ VERIFIED_TLS),
/* harmony export */   t: () => (/* binding */ verifyAlways)
/* harmony export */ });
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


/***/ }),

/***/ 7346:
/***/ ((__unused_webpack_module, __webpack_exports__, __nccwpck_require__) => {

/* harmony export */ __nccwpck_require__.d(__webpack_exports__, {
/* harmony export */   $4: () => (/* binding */ whatStays),
/* harmony export */   EL: () => (/* binding */ outcomeText),
/* harmony export */   J: () => (/* binding */ positionText),
/* harmony export */   Po: () => (/* binding */ closingLines),
/* harmony export */   g9: () => (/* binding */ phaseOutcome),
/* harmony export */   ob: () => (/* binding */ formatLogEntry),
/* harmony export */   pb: () => (/* binding */ problemLines)
/* harmony export */ });
/* harmony import */ var _lib_duration_js__WEBPACK_IMPORTED_MODULE_0__ = __nccwpck_require__(7275);
/* harmony import */ var _lib_lines_js__WEBPACK_IMPORTED_MODULE_1__ = __nccwpck_require__(5964);
/* harmony import */ var _lib_shorten_list_js__WEBPACK_IMPORTED_MODULE_2__ = __nccwpck_require__(8063);



/** Columns before a step's name, and before what belongs to a step. */
const STEP_INDENT = 10;
const NAME_WIDTH = 46;
/**
 * The lines for one entry of the log, the same on GitHub and in a terminal. Past tense only after the fact; a failure
 * ends with what to do. The output of programs is printed as it comes. The lines are not redacted yet: the printer does
 * that.
 */
function formatLogEntry(entry) {
    switch (entry.kind) {
        case 'phase-started':
            return ['', ...(0,_lib_lines_js__WEBPACK_IMPORTED_MODULE_1__/* .linesOf */ .D)(`${entry.phase.padEnd(STEP_INDENT - 1)} ${entry.detail ?? ''}`.trimEnd())];
        case 'step':
            return stepLines(entry.step);
        case 'phase-ended':
            return [
                ...entry.report.problems.flatMap((problem) => problemLines(problem, ' '.repeat(STEP_INDENT))),
                ...(0,_lib_lines_js__WEBPACK_IMPORTED_MODULE_1__/* .linesOf */ .D)(closingSentence(entry.report)),
            ];
        case 'progress':
            return (0,_lib_lines_js__WEBPACK_IMPORTED_MODULE_1__/* .linesOf */ .D)(entry.text).map((line, index) => (index === 0 ? '  ...' : '').padEnd(STEP_INDENT) + line);
        case 'line':
        case 'debug':
            return entry.text === '' ? [''] : (0,_lib_lines_js__WEBPACK_IMPORTED_MODULE_1__/* .linesOf */ .D)(entry.text);
        case 'notice':
            return problemLines(entry.problem, '', 'notice: ');
        case 'warning':
            return problemLines(entry.problem, '', 'warning: ');
        case 'problem':
            return problemLines(entry.problem, '', 'error: ');
    }
}
function stepLines(step) {
    const [first = '', ...more] = (0,_lib_lines_js__WEBPACK_IMPORTED_MODULE_1__/* .linesOf */ .D)(step.detail ?? '');
    // No name of ours has several lines; what a line break cut is one word again, or a secret could hide in it.
    const name = (0,_lib_lines_js__WEBPACK_IMPORTED_MODULE_1__/* .linesOf */ .D)(step.name).join('');
    const time = step.outcome === 'skipped' ? '' : (0,_lib_duration_js__WEBPACK_IMPORTED_MODULE_0__/* .formatDuration */ .a)(step.milliseconds);
    // A name longer than its column keeps two blanks to what follows.
    const column = time === '' && first === '' ? name : `${name.padEnd(NAME_WIDTH - 2)}  `;
    const head = `  ${step.outcome.padEnd(7)} ${column}${time.padStart(time === '' ? 0 : 9)}`;
    return [
        first === '' ? head.trimEnd() : `${head}  ${first}`,
        ...more.map((line) => ' '.repeat(STEP_INDENT) + line),
    ];
}
/** A problem as lines: place and message, the source line with a caret, what to do next. `indent` stands before each. */
function problemLines(problem, indent, label = '') {
    const place = problem.at ? `${positionText(problem.at)}  ` : '';
    const code = problem.code === undefined ? '' : ` (${problem.code})`;
    const lines = [
        ...(0,_lib_lines_js__WEBPACK_IMPORTED_MODULE_1__/* .linesOf */ .D)(`${label}${place}${problem.message}${code}`),
        ...(problem.at ? caretLines(problem.at) : []),
        ...(problem.next === undefined ? [] : (0,_lib_lines_js__WEBPACK_IMPORTED_MODULE_1__/* .linesOf */ .D)(`next: ${problem.next}`)),
    ];
    return lines.map((line, index) => `${indent}${index === 0 || label === '' ? '' : '  '}${line}`);
}
/** `file:line:column`, which editors and terminals make clickable. */
function positionText(at) {
    return `${at.file}:${at.line}:${at.column}`;
}
function caretLines(at) {
    if (at.text === undefined)
        return [];
    const [source = ''] = (0,_lib_lines_js__WEBPACK_IMPORTED_MODULE_1__/* .linesOf */ .D)(at.text);
    const gutter = `${at.line} | `;
    const before = [...source].slice(0, at.column - 1);
    if (before.length < at.column - 1)
        return [gutter + source];
    // Tabs stay tabs, so that the caret stands below its character whatever their width.
    const padding = before.map((character) => (character === '\t' ? '\t' : ' ')).join('');
    return [gutter + source, `${' '.repeat(gutter.length)}${padding}^`];
}
/** What a phase is called by its end: one that a cancel stopped did not fail. */
function phaseOutcome({ outcome, cancelled }) {
    return cancelled && outcome === 'failed' ? 'cancelled' : outcome;
}
function closingSentence(report) {
    const { phase, summary } = report;
    // A phase that words the whole sentence itself.
    if (summary?.startsWith(`${phase} `))
        return summary;
    const step = report.steps.find((each) => each.outcome === 'failed' || each.outcome === 'unknown')?.name;
    const at = step === undefined ? '' : ` at ${step}`;
    const start = {
        cancelled: `${phase} was cancelled.`,
        passed: `${phase} passed in ${(0,_lib_duration_js__WEBPACK_IMPORTED_MODULE_0__/* .formatDuration */ .a)(report.milliseconds)}.`,
        failed: `${phase} failed${at}.`,
        unknown: `${phase} ended${at} without an answer: whether it took effect is not known.`,
        skipped: `${phase} skipped.`,
    }[phaseOutcome(report)];
    return summary === undefined || summary === '' ? start : `${start} ${summary}`;
}
const VERDICTS = {
    success: 'succeeded',
    failure: 'failed',
    'rolled-back': 'failed and was rolled back',
    'rollback-failed': 'failed, and so did the rollback',
    cancelled: 'was cancelled',
    unknown: 'ended, and whether it took effect is not known',
    skipped: 'was skipped: a newer run is live already',
};
/** The word between a mode and its environment. */
const TOWARDS = { deploy: 'to', redeploy: 'to', plan: 'for' };
/** `deploy to staging failed and was rolled back`, `plan for staging succeeded`, `health on staging failed`. */
function outcomeText({ mode, environment, outcome, facts }) {
    const where = environment === undefined ? '' : ` ${TOWARDS[mode] ?? 'on'} ${environment}`;
    // Only there it is what was asked for.
    const verdict = mode === 'rollback' && outcome === 'rolled-back' ? VERDICTS.success : VERDICTS[outcome];
    return `${mode}${where} ${verdict}${stillApplied(outcome, facts.schemaAhead)}`;
}
const LEAVES_BEHIND = new Set(['failure', 'rolled-back', 'rollback-failed']);
/** What the end of a run leaves in the database without its code. */
function stillApplied(outcome, versions = []) {
    if (versions.length === 0 || !LEAVES_BEHIND.has(outcome))
        return '';
    return `; ${(0,_lib_shorten_list_js__WEBPACK_IMPORTED_MODULE_2__/* .shortenList */ .Y)(versions)} ${versions.length === 1 ? 'stays' : 'stay'} applied`;
}
/** What a run that was stopped in the middle leaves behind, as far as it knows: `2 applied, the new version is live`; or nothing. */
function whatStays({ facts, outcome }) {
    const reverted = new Set(facts.reverted);
    const applied = (facts.applied ?? []).filter((version) => !reverted.has(version)).length;
    const all = facts.hosts ?? [];
    const named = (outcome) => {
        const hosts = all.filter((host) => host.outcome === outcome);
        if (hosts.length === 0)
            return '';
        return all.length === 1 ? 'the server' : hosts.map(({ host }) => `host ${host}`).join(' and ');
    };
    const [live, unknown] = [named('deployed'), named('unknown')];
    const parts = [
        ...(applied === 0 ? [] : [`${applied} applied`]),
        ...(live === '' ? [] : [`the new version is live on ${live}`]),
        ...(unknown === '' ? [] : [`it is not known what ${unknown} serves`]),
    ];
    if (parts.length > 0)
        return parts.join(', ');
    return outcome === 'unknown' ? 'it is not known what was changed' : '';
}
/** The last lines of a run: how it ended, in how long, and what a person does now. */
function closingLines(report) {
    return [
        '',
        ...(0,_lib_lines_js__WEBPACK_IMPORTED_MODULE_1__/* .linesOf */ .D)(`${outcomeText(report)} (${(0,_lib_duration_js__WEBPACK_IMPORTED_MODULE_0__/* .formatDuration */ .a)(report.milliseconds)}).`),
        ...(report.next === undefined ? [] : (0,_lib_lines_js__WEBPACK_IMPORTED_MODULE_1__/* .linesOf */ .D)(`next: ${report.next}`)),
    ];
}


/***/ }),

/***/ 2613:
/***/ ((module) => {

module.exports = require("assert");

/***/ }),

/***/ 181:
/***/ ((module) => {

module.exports = require("buffer");

/***/ }),

/***/ 5317:
/***/ ((module) => {

module.exports = require("child_process");

/***/ }),

/***/ 6982:
/***/ ((module) => {

module.exports = require("crypto");

/***/ }),

/***/ 2250:
/***/ ((module) => {

module.exports = require("dns");

/***/ }),

/***/ 4434:
/***/ ((module) => {

module.exports = require("events");

/***/ }),

/***/ 9896:
/***/ ((module) => {

module.exports = require("fs");

/***/ }),

/***/ 8611:
/***/ ((module) => {

module.exports = require("http");

/***/ }),

/***/ 5692:
/***/ ((module) => {

module.exports = require("https");

/***/ }),

/***/ 9278:
/***/ ((module) => {

module.exports = require("net");

/***/ }),

/***/ 4589:
/***/ ((module) => {

module.exports = require("node:assert");

/***/ }),

/***/ 6698:
/***/ ((module) => {

module.exports = require("node:async_hooks");

/***/ }),

/***/ 4573:
/***/ ((module) => {

module.exports = require("node:buffer");

/***/ }),

/***/ 7540:
/***/ ((module) => {

module.exports = require("node:console");

/***/ }),

/***/ 7598:
/***/ ((module) => {

module.exports = require("node:crypto");

/***/ }),

/***/ 3053:
/***/ ((module) => {

module.exports = require("node:diagnostics_channel");

/***/ }),

/***/ 610:
/***/ ((module) => {

module.exports = require("node:dns");

/***/ }),

/***/ 8474:
/***/ ((module) => {

module.exports = require("node:events");

/***/ }),

/***/ 3024:
/***/ ((module) => {

module.exports = require("node:fs");

/***/ }),

/***/ 7067:
/***/ ((module) => {

module.exports = require("node:http");

/***/ }),

/***/ 2467:
/***/ ((module) => {

module.exports = require("node:http2");

/***/ }),

/***/ 4708:
/***/ ((module) => {

module.exports = require("node:https");

/***/ }),

/***/ 7030:
/***/ ((module) => {

module.exports = require("node:net");

/***/ }),

/***/ 6760:
/***/ ((module) => {

module.exports = require("node:path");

/***/ }),

/***/ 643:
/***/ ((module) => {

module.exports = require("node:perf_hooks");

/***/ }),

/***/ 1792:
/***/ ((module) => {

module.exports = require("node:querystring");

/***/ }),

/***/ 6848:
/***/ ((module) => {

module.exports = require("node:readline/promises");

/***/ }),

/***/ 7075:
/***/ ((module) => {

module.exports = require("node:stream");

/***/ }),

/***/ 1692:
/***/ ((module) => {

module.exports = require("node:tls");

/***/ }),

/***/ 3136:
/***/ ((module) => {

module.exports = require("node:url");

/***/ }),

/***/ 7975:
/***/ ((module) => {

module.exports = require("node:util");

/***/ }),

/***/ 3429:
/***/ ((module) => {

module.exports = require("node:util/types");

/***/ }),

/***/ 8877:
/***/ ((module) => {

module.exports = require("node:v8");

/***/ }),

/***/ 5919:
/***/ ((module) => {

module.exports = require("node:worker_threads");

/***/ }),

/***/ 8522:
/***/ ((module) => {

module.exports = require("node:zlib");

/***/ }),

/***/ 857:
/***/ ((module) => {

module.exports = require("os");

/***/ }),

/***/ 6928:
/***/ ((module) => {

module.exports = require("path");

/***/ }),

/***/ 2203:
/***/ ((module) => {

module.exports = require("stream");

/***/ }),

/***/ 3193:
/***/ ((module) => {

module.exports = require("string_decoder");

/***/ }),

/***/ 3557:
/***/ ((module) => {

module.exports = require("timers");

/***/ }),

/***/ 4756:
/***/ ((module) => {

module.exports = require("tls");

/***/ }),

/***/ 9023:
/***/ ((module) => {

module.exports = require("util");

/***/ }),

/***/ 8253:
/***/ ((module) => {

module.exports = require("util/types");

/***/ }),

/***/ 3106:
/***/ ((module) => {

module.exports = require("zlib");

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
/******/ 			__webpack_modules__[moduleId].call(module.exports, module, module.exports, __nccwpck_require__);
/******/ 			threw = false;
/******/ 		} finally {
/******/ 			if(threw) delete __webpack_module_cache__[moduleId];
/******/ 		}
/******/ 	
/******/ 		// Return the exports of the module
/******/ 		return module.exports;
/******/ 	}
/******/ 	
/******/ 	// expose the modules object (__webpack_modules__)
/******/ 	__nccwpck_require__.m = __webpack_modules__;
/******/ 	
/************************************************************************/
/******/ 	/* webpack/runtime/asset-relocator-loader */
/******/ 	if (typeof __nccwpck_require__ !== 'undefined') __nccwpck_require__.ab = __dirname + "/";
/******/ 	
/******/ 	/* webpack/runtime/compat get default export */
/******/ 	(() => {
/******/ 		// getDefaultExport function for compatibility with non-harmony modules
/******/ 		__nccwpck_require__.n = (module) => {
/******/ 			var getter = module && module.__esModule ?
/******/ 				() => (module['default']) :
/******/ 				() => (module);
/******/ 			__nccwpck_require__.d(getter, { a: getter });
/******/ 			return getter;
/******/ 		};
/******/ 	})();
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
/******/ 	/* webpack/runtime/ensure chunk */
/******/ 	(() => {
/******/ 		__nccwpck_require__.f = {};
/******/ 		// This file contains only the entry chunk.
/******/ 		// The chunk loading function for additional chunks
/******/ 		__nccwpck_require__.e = (chunkId) => {
/******/ 			return Promise.all(Object.keys(__nccwpck_require__.f).reduce((promises, key) => {
/******/ 				__nccwpck_require__.f[key](chunkId, promises);
/******/ 				return promises;
/******/ 			}, []));
/******/ 		};
/******/ 	})();
/******/ 	
/******/ 	/* webpack/runtime/get javascript chunk filename */
/******/ 	(() => {
/******/ 		// This function allow to reference async chunks
/******/ 		__nccwpck_require__.u = (chunkId) => {
/******/ 			// return url for filenames based on template
/******/ 			return "" + chunkId + ".index.js";
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
/******/ 	/* webpack/runtime/require chunk loading */
/******/ 	(() => {
/******/ 		// no baseURI
/******/ 		
/******/ 		// object to store loaded chunks
/******/ 		// "1" means "loaded", otherwise not loaded yet
/******/ 		var installedChunks = {
/******/ 			792: 1
/******/ 		};
/******/ 		
/******/ 		// no on chunks loaded
/******/ 		
/******/ 		var installChunk = (chunk) => {
/******/ 			var moreModules = chunk.modules, chunkIds = chunk.ids, runtime = chunk.runtime;
/******/ 			for(var moduleId in moreModules) {
/******/ 				if(__nccwpck_require__.o(moreModules, moduleId)) {
/******/ 					__nccwpck_require__.m[moduleId] = moreModules[moduleId];
/******/ 				}
/******/ 			}
/******/ 			if(runtime) runtime(__nccwpck_require__);
/******/ 			for(var i = 0; i < chunkIds.length; i++)
/******/ 				installedChunks[chunkIds[i]] = 1;
/******/ 		
/******/ 		};
/******/ 		
/******/ 		// require() chunk loading for javascript
/******/ 		__nccwpck_require__.f.require = (chunkId, promises) => {
/******/ 			// "1" is the signal for "already loaded"
/******/ 			if(!installedChunks[chunkId]) {
/******/ 				if(true) { // all chunks have JS
/******/ 					installChunk(require("./" + __nccwpck_require__.u(chunkId)));
/******/ 				} else installedChunks[chunkId] = 1;
/******/ 			}
/******/ 		};
/******/ 		
/******/ 		// no external install chunk
/******/ 		
/******/ 		// no HMR
/******/ 		
/******/ 		// no HMR manifest
/******/ 	})();
/******/ 	
/************************************************************************/
var __webpack_exports__ = {};
// ESM COMPAT FLAG
__nccwpck_require__.r(__webpack_exports__);

// EXPORTS
__nccwpck_require__.d(__webpack_exports__, {
  action: () => (/* reexport */ action),
  cli: () => (/* reexport */ cli),
  post: () => (/* reexport */ post)
});

;// CONCATENATED MODULE: external "node:os"
const external_node_os_namespaceObject = require("node:os");
// EXTERNAL MODULE: ./compiled/src/lib/secret.js
var lib_secret = __nccwpck_require__(2143);
// EXTERNAL MODULE: external "node:fs"
var external_node_fs_ = __nccwpck_require__(3024);
;// CONCATENATED MODULE: ./compiled/src/github/workflow-commands.js

/**
 * The workflow commands that are written before and while the work runs. The toolkit (@actions/core) has the same, but
 * loading it takes longer than everything before our first line; it is loaded when the outputs are written.
 */
/** Writes one line of the log. Standard output of an action is a pipe, which Node writes at once. */
function printLine(line) {
    process.stdout.write(`${line}\n`);
}
/** Writes `::name::text`. What would end the line, and what the runner decodes, is encoded. */
function workflowCommand(name, text = '') {
    const encoded = text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
    printLine(`::${name}::${encoded}`);
}
/**
 * Keeps a value of one line for the post step, in the file that the runner names.
 * @throws the file system's error where it cannot be written: work that the post step could not bring to an end must not
 * begin.
 */
function saveState(env, name, value) {
    if (env.GITHUB_STATE)
        (0,external_node_fs_.appendFileSync)(env.GITHUB_STATE, `${name}=${value}\n`);
}

;// CONCATENATED MODULE: ./compiled/src/github/action-inputs.js


/** The step's `with:`, as the runner hands it over: dashes kept, untrimmed (keys and files are kept byte for byte). */
function actionInputs(env) {
    return (name) => env[`INPUT_${name.toUpperCase()}`] ?? '';
}
/** Masks every form of every secret, but not `test` and the like: that word would be blanked out of the whole log. */
function maskSecrets(values) {
    const forms = new Set(values.flatMap(lib_secret/* secretForms */.eo));
    // The runner shows a line for each; folded, they do not hide the beginning of the run.
    if (forms.size > 0)
        workflowCommand('group', 'Secrets masked');
    for (const form of forms)
        workflowCommand('add-mask', form);
    if (forms.size > 0)
        workflowCommand('endgroup');
}

// EXTERNAL MODULE: external "node:crypto"
var external_node_crypto_ = __nccwpck_require__(7598);
// EXTERNAL MODULE: external "node:path"
var external_node_path_ = __nccwpck_require__(6760);
;// CONCATENATED MODULE: ./compiled/src/report/summary/file-places.js

/**
 * A path from the top of the checkout, as GitHub takes it; a problem's file is told from the project's folder. Begins
 * with `..` where the file lies outside of the checkout.
 */
function fromWorkspace(file, { workspace, project }) {
    return (0,external_node_path_.relative)(workspace, (0,external_node_path_.resolve)(workspace, project, file))
        .split(external_node_path_.sep)
        .join('/');
}

;// CONCATENATED MODULE: ./compiled/src/report/summary/markdown.js
const STRUCTURE = /[\\`*_{}[\]()<>#+!|~&$]/g;
const ADDRESS = /https?:\/\/[^\s<>"'`{}|\\^]+/g;
/**
 * Untrusted text as Markdown that shows exactly that text: everything that Markdown or HTML would read as structure
 * becomes a character reference, and mentions and issue references are kept from linking. Addresses become links.
 */
function escapeText(text) {
    return text.split(/\r?\n/).map(escapeLine).join('<br>');
}
function escapeLine(line) {
    let shown = '';
    let from = 0;
    for (const match of line.matchAll(ADDRESS)) {
        const address = withoutSentence(match[0]);
        shown += characters(line.slice(from, match.index)) + markdownLink(address, address);
        from = match.index + address.length;
    }
    return shown + characters(line.slice(from));
}
/** An address without what belongs to the sentence around it: a full stop, or a bracket that was opened before it. */
function withoutSentence(address) {
    const count = (character) => address.split(character).length - 1;
    const opened = (close, open) => address.endsWith(close) && count(close) > count(open);
    if (/[.,;:!?*_~]$/.test(address) || opened(')', '(') || opened(']', '['))
        return withoutSentence(address.slice(0, -1));
    return address;
}
/**
 * GitHub makes links of addresses in the source, and takes our references for a part of them; so none is left in it
 * that looks like one. An element around @ and # hides them from GitHub, and is not there when the text is copied.
 */
function characters(text) {
    return text
        .replace(STRUCTURE, reference)
        .replace(/:(?=\/\/)/g, reference)
        .replace(/(?<=\bww)w(?=\.)/gi, reference)
        .replace(/@/g, '<span>@</span>')
        .replace(/&#35;(?=\d)/g, '<span>&#35;</span>');
}
/** A word or a number in a table: what a server told may be anything. */
function tableCell(value) {
    return escapeText(String(value ?? ''));
}
/** Untrusted text in a fixed-width font, on one line; safe inside a table cell. */
function inlineCode(text) {
    if (text === '')
        return '';
    return `<code>${characters(text.split(/\r?\n/).join(' '))}</code>`;
}
/** Untrusted text as a preformatted block. */
function codeBlock(lines) {
    const text = lines.map((line) => line.replace(/[&<>]/g, reference)).join('\n');
    return `<pre>${text}</pre>`;
}
/** A link to an address of http or https; the text is escaped. */
function markdownLink(text, url) {
    return url === undefined
        ? inlineCode(text)
        : `<a href="${url.replace(/[&<>"|$]/g, reference)}">${inlineCode(text)}</a>`;
}
/**
 * A table of cells that are Markdown already; rows above `most` are counted instead of shown, and a last column
 * with nothing in it is left out.
 */
function markdownTable(head, rows, most = 200) {
    if (rows.length === 0)
        return [];
    const columns = rows.some((row) => row.at(-1) !== '') ? head.length : head.length - 1;
    const line = (cells) => `| ${cells.slice(0, columns).join(' | ')} |`;
    const rest = rows.length - most;
    return [
        '',
        line(head),
        line(head.map(() => '---')),
        ...rows.slice(0, most).map(line),
        ...(rest > 0 ? ['', `${rest} more rows are in the report file.`] : []),
        '',
    ];
}
/** A part that a reader opens; blank lines around it, because Markdown inside HTML needs them. */
function foldedSection(title, lines) {
    return lines.length === 0
        ? []
        : ['<details><summary>' + title + '</summary>', '', ...lines, '', '</details>', ''];
}
function reference(character) {
    return `&#${character.codePointAt(0)};`;
}

// EXTERNAL MODULE: ./compiled/src/lib/duration.js
var duration = __nccwpck_require__(7275);
// EXTERNAL MODULE: ./compiled/src/report/log-format.js
var log_format = __nccwpck_require__(7346);
;// CONCATENATED MODULE: ./compiled/src/report/summary/tables.js



const STEP_MARKS = {
    passed: '✅ passed',
    failed: '❌ failed',
    skipped: '⏭️ skipped',
    unknown: '❔ unknown',
    cancelled: '⏹️ cancelled',
};
/** The phases of a run, as lines of Markdown like all tables here. */
function phaseTableMarkdown(phases) {
    return markdownTable(['phase', 'outcome', 'time', ''], phases.map((phase) => [
        tableCell(phase.phase),
        STEP_MARKS[(0,log_format/* phaseOutcome */.g9)(phase)],
        phase.outcome === 'skipped' ? '' : (0,duration/* formatDuration */.a)(phase.milliseconds),
        escapeText(phase.summary ?? ''),
    ]));
}
/** The steps of each phase, folded away. */
function stepTables(phases) {
    return phases.flatMap((phase) => foldedSection(`Steps of ${phase.phase} (${phase.steps.length})`, stepTable(phase)));
}
function stepTable(phase) {
    return markdownTable(['step', 'outcome', 'time', ''], phase.steps.map((step) => [
        inlineCode(step.name),
        STEP_MARKS[step.outcome],
        step.outcome === 'skipped' ? '' : (0,duration/* formatDuration */.a)(step.milliseconds),
        escapeText(step.detail ?? ''),
    ]));
}
/** The steps of a run that has one phase only, in the place of the table of phases. */
function onePhase(phase) {
    return [...(phase.summary ? [escapeText(phase.summary)] : []), ...stepTable(phase)];
}
/** The versions with their state and, where a step tells it, their name, batch and time. */
function migrationTable(report) {
    const { facts } = report;
    const states = new Map();
    const mark = (versions, state) => {
        for (const version of versions ?? [])
            states.set(version, state);
    };
    mark(facts.pending, 'pending');
    mark(facts.skipped, 'not applied');
    mark(facts.applied, 'applied');
    mark(facts.deferred, 'after health');
    mark(facts.schemaAhead, 'applied, kept');
    mark(facts.reverted, 'taken back');
    // A file deferred at first is applied later in the same run.
    for (const version of facts.applied ?? []) {
        if (states.get(version) === 'after health')
            states.set(version, 'applied after health');
    }
    const steps = report.phases.filter((phase) => phase.phase !== 'rollback').flatMap((phase) => phase.steps);
    const rows = [...states].map(([version, state]) => {
        const step = steps.findLast((each) => each.name === version || each.name.startsWith(`${version}_`));
        const time = step && step.outcome !== 'skipped' ? (0,duration/* formatDuration */.a)(step.milliseconds) : '';
        return [inlineCode(step?.name ?? version), state, time, escapeText(step?.detail ?? '')];
    });
    return rows.length === 0
        ? []
        : ['### Migrations', ...markdownTable(['migration', 'state', 'time', ''], rows)];
}
/** What became of each server; nothing where there is none. */
function hostTable(hosts, run) {
    if (hosts.length === 0)
        return [];
    const sha = (value) => (value === undefined ? '' : commitLink(value, run));
    const time = (value) => (value === undefined ? '' : (0,duration/* formatDuration */.a)(value));
    return [
        '### Hosts',
        ...markdownTable(['host', 'outcome', 'previous', 'now', 'rehearsed', 'without an answer', ''], hosts.map((host) => [
            tableCell(host.host),
            tableCell(host.outcome),
            sha(host['previous-sha']),
            sha(host['deployed-sha']),
            host.rehearsed === undefined ? '' : host.rehearsed ? 'yes' : 'no',
            time(host['downtime-ms']),
            escapeText(host.detail ?? ''),
        ])),
    ];
}
/** Every health check; nothing where none was made. */
function healthTable(checks) {
    if (checks.length === 0)
        return [];
    return [
        '### Health',
        ...markdownTable(['check', 'from', '', 'status', 'latency', 'tries', ''], checks.map((check) => [
            inlineCode(check.name),
            tableCell(check.from),
            check.ok ? '✅' : '❌',
            tableCell(check.status),
            check['latency-ms'] === null ? '' : (0,duration/* formatDuration */.a)(check['latency-ms']),
            tableCell(check.attempts),
            escapeText(check.detail ?? ''),
        ])),
    ];
}
/** The tables of the database, folded away; nothing where they were not looked at. */
function databaseTable(report) {
    const tables = report.facts.tables ?? [];
    if (tables.length === 0)
        return [];
    const rows = (count, exact) => count === null ? 'not known' : `${exact ? '' : '~'}${tableCell(count.toLocaleString('en'))}`;
    return foldedSection(`Tables${report.facts.verified ? ' verified' : ''} (${tables.length})`, markdownTable(['table', 'rows', 'bytes', 'RLS', 'policies'], tables.map((each) => [
        inlineCode(each.schema === 'public' ? each.name : `${each.schema}.${each.name}`),
        rows(each.rows, each.exact),
        tableCell(each.bytes.toLocaleString('en')),
        each.rls ? (each.forced ? 'forced' : 'on') : 'off',
        tableCell(each.policies),
    ])));
}
/** A commit by its first ten digits, linked where its repository is known. */
function commitLink(sha, run) {
    const known = run.repository !== undefined && /^[0-9a-f]{40}([0-9a-f]{24})?$/.test(sha);
    return markdownLink(sha.slice(0, 10), known ? `${run.serverUrl}/${run.repository}/commit/${sha}` : undefined);
}

;// CONCATENATED MODULE: ./compiled/src/report/summary/timeline.js
/** More bars than this are unreadable; the longest are kept. */
const MOST_BARS = 40;
/** Bars shorter than this part of the whole are left out. */
const THINNEST = 200;
/** A Mermaid gantt chart of the phases and their steps, as GitHub draws it in summaries and comments. */
function timeline(report) {
    // A bar that is too thin to be seen is left out, unless it is the one that failed.
    const ran = report.phases
        .flatMap((phase) => phase.steps)
        .filter((step) => step.outcome === 'passed'
        ? step.milliseconds * THINNEST >= report.milliseconds
        : step.outcome !== 'skipped');
    if (!report.phases.some((phase) => phase.steps.length > 0))
        return [];
    const shown = new Set([...ran].sort((a, b) => b.milliseconds - a.milliseconds).slice(0, MOST_BARS));
    const lines = ['```mermaid', 'gantt', '    dateFormat x', ...axis(report.milliseconds)];
    for (const phase of report.phases) {
        if (phase.outcome === 'skipped')
            continue;
        const own = phase.steps.filter((step) => shown.has(step));
        // A phase whose steps are all too short is one bar itself.
        const steps = own.length > 0 ? own : [{ ...phase, name: phase.phase }];
        lines.push(`    section ${phase.phase}`, ...steps.map(bar));
    }
    lines.push('```');
    return lines;
}
/** Marks of the time axis: at most about a dozen, or their labels run into each other. */
function axis(milliseconds) {
    if (milliseconds < 10_000)
        return ['    axisFormat %S.%L'];
    const ticks = [2, 5, 10, 30, 60, 120, 300, 600, 1_800].find((seconds) => milliseconds / seconds < 12_000);
    return ['    axisFormat %H:%M:%S', `    tickInterval ${ticks ?? 3_600}second`];
}
function bar(step) {
    const state = step.outcome === 'passed' ? 'done' : 'crit';
    const end = Math.round(step.startedAt + Math.max(1, step.milliseconds));
    return `    ${title(step.name)} :${state}, ${Math.round(step.startedAt)}, ${end}`;
}
/** Mermaid has no escapes for a task's name: what would end it is left out. */
function title(name) {
    const plain = name
        .replace(/[^\p{L}\p{N} ._/@-]/gu, ' ')
        .replace(/\s+/g, ' ')
        .trim()
        .slice(0, 60);
    // A first word such as "click" or "section" would be read as a keyword.
    return /^(click|section|title|end|excludes|todayMarker|dateFormat|axisFormat)\b/i.test(plain)
        ? `- ${plain}`
        : plain || 'step';
}

;// CONCATENATED MODULE: ./compiled/src/report/summary/summary.js







/** Over 1 MiB GitHub shows nothing at all. Bytes. */
const SUMMARY_LIMIT = 1_000_000;
const MARKS = {
    success: '✅',
    failure: '❌',
    'rolled-back': '↩️',
    'rollback-failed': '🆘',
    cancelled: '⏹️',
    unknown: '❔',
    skipped: '⏭️',
};
/**
 * The job summary as Markdown: the outcome first, then what a person does about it, then what happened when. At most
 * `limit` bytes.
 */
function summaryOf(report, context, limit = SUMMARY_LIMIT) {
    const { run, places, origin } = context;
    const only = report.phases.length === 1 ? report.phases[0] : undefined;
    const lines = [
        `## ${MARKS[report.outcome]} ${escapeText((0,log_format/* outcomeText */.EL)(report))}`,
        '',
        ...(origin === undefined ? [] : [origin, '']),
        ...summaryHeadline(report, run),
        ...problemSection('What went wrong', withoutNext(report), run, places),
        ...(report.next === undefined ? [] : [nextLine(report.next), '']),
        ...(only === undefined ? phaseTableMarkdown(report.phases) : onePhase(only)),
        ...planSection(report),
        ...(report.mode === 'plan' ? [] : timeline(report)),
        '',
        ...rollbackSection(report),
        ...(report.mode === 'plan' && report.planned?.length ? [] : migrationTable(report)),
        ...hostTable(report.facts.hosts ?? [], run),
        ...healthTable(report.facts.health ?? []),
        ...databaseTable(report),
        ...problemSection('Warnings', report.warnings, run, places),
        ...(only === undefined ? stepTables(report.phases) : []),
    ];
    return cut(lines.filter((line, index) => line !== '' || lines[index - 1] !== ''), limit);
}
/** Bytes kept free for the end of a summary that was cut. */
const ROOM = 150;
/** Cuts at a line's end so that at most `limit` bytes remain, and tells how many lines are missing. */
function cut(parts, limit) {
    const lines = parts.join('\n').split('\n');
    let bytes = 0;
    for (const [index, line] of lines.entries()) {
        bytes += Buffer.byteLength(line) + 1;
        if (bytes <= limit - ROOM)
            continue;
        const kept = lines.slice(0, index);
        const rest = lines.length - index;
        return [...kept, ...stillOpen(kept), '', `${rest} more lines are in the report file.`, ''].join('\n');
    }
    return lines.join('\n') + '\n';
}
/** What ends the blocks that are open at the end of these lines. */
function stillOpen(lines) {
    const text = lines.join('\n');
    const count = (mark) => text.split(mark).length - 1;
    const ends = (tag) => (count(`<${tag}>`) > count(`</${tag}>`) ? [`</${tag}>`] : []);
    const fence = lines.lastIndexOf('```mermaid') > lines.lastIndexOf('```') ? ['```'] : [];
    return [...fence, ...ends('pre'), ...ends('details')];
}
function summaryHeadline(report, run) {
    const { facts } = report;
    const count = (list, word) => list && list.length > 0 ? [`${list.length} ${word}`] : [];
    const { previousSha: before, deployedSha: now } = facts;
    const from = before === undefined || before === now ? '' : `${commitLink(before, run)} → `;
    const commits = now === undefined ? [] : [`${from}${commitLink(now, run)}${before === now ? ' stays live' : ''}`];
    const parts = [
        ...(facts.applied === undefined ? count(facts.pending, 'pending') : count(facts.applied, 'applied')),
        ...count(facts.reverted, 'reverted'),
        ...count(facts.deferred, 'waiting until after health'),
        ...commits,
        ...(facts.downtimeMs === undefined ? [] : [`${(0,duration/* formatDuration */.a)(facts.downtimeMs)} without an answer`]),
        ...(facts.schemaLeadMs ? [`the schema ${(0,duration/* formatDuration */.a)(facts.schemaLeadMs)} ahead of the code`] : []),
        (0,duration/* formatDuration */.a)(report.milliseconds),
    ];
    return [parts.join(' · '), ''];
}
function problemSection(title, problems, run, places) {
    if (problems.length === 0)
        return [];
    const most = 50;
    const rest = problems.length - most;
    return [
        `### ${title}`,
        '',
        ...problems.slice(0, most).flatMap((problem) => problemItem(problem, run, places)),
        ...(rest > 0 ? [`${rest} more are in the report file.`] : []),
        '',
    ];
}
/** The problems, without the next action that the summary names on a line of its own. */
function withoutNext(report) {
    return report.problems.map(({ next, ...problem }) => next === undefined || next === report.next ? problem : { ...problem, next });
}
function nextLine(next) {
    const said = advice(next);
    return `**Next:**${said.startsWith('\n') ? '' : ' '}${said}`;
}
/** A next action; several lines are commands, to be copied as they stand. */
function advice(next) {
    return next.includes('\n') ? `\n${codeBlock(next.split('\n'))}` : escapeText(next);
}
function problemItem(problem, run, places) {
    const { at } = problem;
    // What a program printed follows the first line.
    const [headline = '', ...printed] = problem.message.split('\n');
    const reason = `${escapeText(headline)}${problem.code === undefined ? '' : ` ${inlineCode(problem.code)}`}`;
    const quoted = at?.text === undefined ? [] : (0,log_format/* problemLines */.pb)({ message: '', at }, '').slice(1);
    const block = [...printed, ...quoted];
    const source = block.length === 0 ? '' : `\n${codeBlock(block)}`;
    const next = problem.next === undefined ? '' : advice(problem.next);
    // A preformatted block stands on lines of its own anyway.
    const gap = next === '' || next.startsWith('\n') ? '' : source === '' ? '\n<br>' : '\n';
    const item = `${at ? `${markdownLink((0,log_format/* positionText */.J)(at), sourceUrl(at, run, places))} ` : ''}${reason}${source}${gap}${next}`;
    return [`- ${item.replaceAll('\n', '\n  ')}`];
}
/** The line on GitHub, of a file that lies in the checkout. */
function sourceUrl(at, { repository, serverUrl, sha }, places) {
    const file = fromWorkspace(at.file, places);
    if (!repository || !sha || file.startsWith('../') || (0,external_node_path_.isAbsolute)(file))
        return undefined;
    const path = file.split('/').map(encodeURIComponent).join('/');
    return `${serverUrl}/${repository}/blob/${sha}/${path}#L${at.line}`;
}
/** The batches: what a plan is read for, and folded away where they were carried out. */
function planSection({ mode, planned = [] }) {
    if (planned.length === 0)
        return [];
    return mode === 'plan'
        ? ['### Plan', '', codeBlock(planned), '']
        : foldedSection('What was planned', [codeBlock(planned)]);
}
function rollbackSection(report) {
    const { facts } = report;
    const phase = report.phases.find((each) => each.phase === 'rollback' && each.outcome !== 'skipped');
    if (phase === undefined)
        return [];
    const versions = (title, list = []) => list.length === 0 ? [] : [`- ${title}: ${list.slice(0, 50).map(inlineCode).join(', ')}`];
    const back = facts.hosts?.some((host) => host.outcome === 'rolled-back');
    const passed = phase.outcome === 'passed';
    const lines = [
        ...(passed ? [] : stuck(phase, report, versions)),
        ...(back && facts.rollbackMs !== undefined
            ? [`- Code put back in ${(0,duration/* formatDuration */.a)(facts.rollbackMs)}.`]
            : []),
        ...versions('Migrations taken back', facts.reverted),
        ...(passed ? versions('Kept in the database, ahead of the code', facts.schemaAhead) : []),
    ];
    const nothing = phase.facts.rolledBack === false ? 'Nothing had to be put back.' : phase.summary;
    return ['### Rollback', '', ...(lines.length > 0 ? lines : [`- ${escapeText(nothing ?? 'Done.')}`]), ''];
}
/** What a rollback that did not end well leaves as this run made it. */
function stuck({ outcome }, { outcome: whole, facts: { applied = [], reverted = [], schemaAhead = [], hosts = [] } }, versions) {
    const left = hosts.filter((host) => ['deployed', 'rollback-failed', 'unknown'].includes(host.outcome));
    const unknown = outcome === 'unknown';
    const how = whole === 'cancelled' ? 'was cancelled' : 'failed';
    return [
        unknown
            ? '- **It is not known whether everything was put back.**'
            : `- **The rollback ${how}: not everything was put back.**`,
        ...versions(unknown ? 'Perhaps still applied' : 'Still applied', [...new Set([...applied, ...schemaAhead])].filter((version) => !reverted.includes(version))),
        ...(left.length === 0
            ? []
            : [`- Code not put back: ${left.map(({ host }) => `host ${host}`).join(', ')}`]),
    ];
}
/**
 * Adds to the step's summary; false on a runner without summaries.
 * @throws the file system's error where it cannot be written.
 */
async function writeSummary(markdown, env) {
    if (!env.GITHUB_STEP_SUMMARY)
        return false;
    const { summary } = await Promise.all(/* import() */[__nccwpck_require__.e(459), __nccwpck_require__.e(327)]).then(__nccwpck_require__.bind(__nccwpck_require__, 2327));
    await summary.addRaw(markdown).write();
    return true;
}

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

;// CONCATENATED MODULE: ./compiled/src/lib/report.js
/**
 * The one value that flows through the whole action. Phases return a PhaseReport; outputs, job summary,
 * terminal table, JSON report and the rollback decision all read it, and nothing else is passed around.
 */
const PHASES = (/* unused pure expression or super */ null && (['plan', 'prepare', 'backup', 'migrate', 'verify', 'redeploy', 'health', 'rollback']));
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

;// CONCATENATED MODULE: ./compiled/src/github/api.js



/** Milliseconds. */
const DEADLINE = 15_000;
/**
 * Works on GitHub's API. Never throws, because nothing here may fail a good deploy: every fault (no permission, rate
 * limit, an outage, a slow answer) becomes a warning, and the result is undefined.
 */
async function withApi(options, call, work) {
    const { run, token, log } = options;
    const [owner, repo] = run.repository?.split('/') ?? [];
    if (token === undefined || !owner || !repo) {
        const message = `${call.what}: ${token === undefined ? 'github-token is empty' : 'GITHUB_REPOSITORY is not set'}`;
        log({ kind: 'warning', problem: { message } });
        return undefined;
    }
    const deadline = options.deadline ?? DEADLINE;
    const signal = AbortSignal.timeout(deadline);
    try {
        const { getOctokit } = await Promise.all(/* import() */[__nccwpck_require__.e(459), __nccwpck_require__.e(767)]).then(__nccwpck_require__.bind(__nccwpck_require__, 2767));
        const quiet = () => { };
        // Its own messages would go to the console past our log.
        const octokit = getOctokit(token.reveal(), {
            log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
        });
        // As an option of ours it would take the place of the toolkit's, which know the proxy and the server.
        octokit.hook.before('request', ({ request }) => void Object.assign(request, { signal }));
        const { rest, paginate, graphql } = octokit;
        const api = { rest, paginate, graphql, owner, repo };
        return await retry({ tries: 3, deadline: deadline / 2, first: 500, longest: 2_000, worthwhile: isOutage, signal }, () => work(api));
    }
    catch (error) {
        log({
            kind: 'warning',
            problem: {
                ...apiProblem(error, call),
                ...(signal.aborted
                    ? { message: `${call.what}: GitHub did not answer within ${deadline / 1_000} s` }
                    : {}),
            },
        });
        return undefined;
    }
}
/** An error of the API in words. */
function apiProblem(error, { what, permission }) {
    const status = statusOf(error);
    return {
        // Without the link to the documentation at its end.
        message: `${what}: ${textStart(messageOf(error).split(' - https://')[0], 500)}`,
        ...(status === undefined ? {} : { code: String(status) }),
        ...(status === 403 && !isRateLimit(error)
            ? { next: `Give the job the permission "${permission}".` }
            : {}),
    };
}
/** The status of an answer; the toolkit gives its errors one also where none came. */
function statusOf(error) {
    return isRequestError(error) && error.response !== undefined ? error.status : undefined;
}
/** Worth another try: the server is in trouble, or there was no answer at all. */
function isOutage(error) {
    return isRequestError(error) && (error.response === undefined || error.status >= 500);
}
function isRequestError(error) {
    return error instanceof Error && 'status' in error && typeof error.status === 'number';
}
function isRateLimit(error) {
    return error instanceof Error && /rate limit/i.test(error.message);
}

;// CONCATENATED MODULE: ./compiled/src/github/comment.js






/** GitHub takes no longer comment. Characters. */
const COMMENT_LIMIT = 65_000;
/**
 * The first line of our comment, invisible in the page: how the next run finds it again. One for each application and
 * environment; hashed, because names may hold anything.
 */
function marker({ environment, files, vps }, project) {
    const which = [environment, project, files.migrationsDir, vps?.appName, vps?.appPath];
    const text = JSON.stringify(which.map((part) => part ?? ''));
    return `<!-- muva-deploy plan ${(0,external_node_crypto_.createHash)('sha256').update(text).digest('hex').slice(0, 20)} -->`;
}
/** True where this run should keep a comment: a plan on a pull request of the repository itself. */
function wantsComment(settings) {
    return settings.mode === 'plan' && settings.comment === 'auto' && settings.run.pullRequest !== undefined;
}
/** Writes the plan into the one comment of this pull request, application and environment. */
async function commentPlan(options, settings, report, places) {
    const around = { run: settings.run, places, origin: commentOrigin(settings, places) };
    await updateComment(options, settings, places, summaryOf(report, around, COMMENT_LIMIT));
}
/** Which application, commit and run a comment is about, as Markdown: it stays when the next commit comes. */
function commentOrigin({ run, vps }, places) {
    const project = fromWorkspace('.', places);
    const sha = run.pullRequestHead ?? run.sha;
    return [
        ...(project === '' ? [] : [inlineCode(project)]),
        ...(vps === undefined ? [] : [inlineCode(vps.appName)]),
        ...(sha === undefined ? [] : [`commit ${commitLink(sha, run)}`]),
        `run ${markdownLink(run.id, run.url)}, attempt ${run.attempt}`,
    ].join(' · ');
}
/** Writes Markdown into that comment, or makes it. */
async function updateComment(options, settings, places, markdown) {
    const issue_number = settings.run.pullRequest;
    if (settings.run.fork) {
        const text = 'The plan is in the job summary only: the token of a fork cannot comment.';
        options.log({ kind: 'line', text });
        return;
    }
    const mark = marker(settings, fromWorkspace('.', places));
    const body = `${mark}\n${markdown}`;
    const errand = { what: 'Plan comment not written', permission: 'pull-requests: write' };
    await withApi(options, errand, async (api) => {
        const { rest, owner, repo } = api;
        const comment_id = await ourComment(api, issue_number, mark);
        if (comment_id === undefined)
            await rest.issues.createComment({ owner, repo, issue_number, body });
        else
            await rest.issues.updateComment({ owner, repo, comment_id, body });
    });
}
/**
 * The comment that an earlier run wrote. Anybody who may comment can begin one with our first line, so it counts only
 * where its author is the token's own user.
 */
async function ourComment(api, issue_number, mark) {
    const { rest, paginate, owner, repo } = api;
    const all = await paginate(rest.issues.listComments, { owner, repo, issue_number, per_page: 100 });
    // At its very start, so that a person's quote of the comment is never taken for it.
    const marked = all.filter(({ body }) => body?.startsWith(mark));
    if (marked.length === 0)
        return undefined;
    const us = await ownId(api);
    return marked.find(({ user }) => user?.id === us)?.id;
}
/** Who the token writes as. The REST API answers that to persons only, and not to the token of a job or an app. */
async function ownId({ graphql }) {
    const { viewer } = await graphql('query { viewer { databaseId } }');
    return viewer.databaseId;
}

// EXTERNAL MODULE: ./compiled/src/lib/defined-only.js
var defined_only = __nccwpck_require__(8417);
;// CONCATENATED MODULE: ./compiled/src/github/deployment.js


/** How a run's outcome reads on the deployments page. Only `success` takes the place of the deployment before it. */
const DEPLOYMENT_STATES = {
    success: 'success',
    failure: 'failure',
    'rolled-back': 'failure',
    'rollback-failed': 'error',
    cancelled: 'error',
    unknown: 'error',
    skipped: 'inactive',
};
const PERMISSION = 'deployments: write';
/** Creates a deployment that is in progress; its id, or undefined where GitHub would not (a warning says why). */
async function openDeployment(options, settings, ref = settings.vps?.ref ?? settings.run.sha) {
    const errand = { what: 'GitHub Deployment not created', permission: PERMISSION };
    if (ref === undefined) {
        options.log({ kind: 'warning', problem: { message: `${errand.what}: there is no commit to name` } });
        return undefined;
    }
    const id = await withApi(options, errand, async ({ rest, owner, repo }) => {
        const created = await rest.repos.createDeployment({
            owner,
            repo,
            ref,
            environment: githubEnvironment(settings),
            description: `muva-deploy ${settings.mode}`,
            auto_merge: false,
            // The job itself is one of the commit's checks and still running: waiting for it would never end.
            required_contexts: [],
        });
        return 'id' in created.data ? String(created.data.id) : undefined;
    });
    if (id !== undefined)
        await setStatus(options, settings, id, 'in_progress', 'deploying');
    return id;
}
/** Milliseconds; what a phase is called is told or left out, and nothing waits for it for longer. */
const PHASE_DEADLINE = 2_000;
/** Puts each phase into the description of a deployment that is in progress. What goes wrong is nobody's trouble. */
function phaseTeller(options, settings, id) {
    const quiet = { ...options, log: () => { }, deadline: PHASE_DEADLINE };
    let next;
    let telling;
    const tellAll = async () => {
        for (let phase = next; phase !== undefined; phase = next) {
            next = undefined;
            await setStatus(quiet, settings, id, 'in_progress', `phase ${phase}`);
        }
        telling = undefined;
    };
    return {
        tell(phase) {
            next = phase;
            telling ??= tellAll();
        },
        async end() {
            next = undefined;
            await telling;
        },
    };
}
/**
 * The commit that a rollback made live again. It is deployed once more, for GitHub: else the commit that was withdrawn
 * would stay the active one there.
 */
function liveAgain({ mode, outcome, facts }) {
    const back = facts.hosts?.some((host) => host.outcome === 'rolled-back');
    return mode === 'rollback' && outcome === 'success' && back ? facts.deployedSha : undefined;
}
/** Ends the deployment with the run's outcome. */
async function closeDeployment(options, settings, id, outcome) {
    const state = DEPLOYMENT_STATES[outcome];
    await setStatus(options, settings, id, state, outcome);
    if (state === 'success')
        await retireOthers(options, settings, id);
}
/**
 * GitHub marks the earlier deployments of an environment as inactive when one has succeeded, but not those of a
 * production environment; there every commit that ever was live would stay active.
 */
async function retireOthers(options, settings, id) {
    const errand = { what: 'Earlier GitHub Deployments not marked inactive', permission: PERMISSION };
    await withApi(options, errand, async ({ rest, owner, repo }) => {
        const environment = githubEnvironment(settings);
        const { data } = await rest.repos.listDeployments({ owner, repo, environment, per_page: 20 });
        for (const { id: deployment_id, production_environment } of data) {
            if (!production_environment || String(deployment_id) === id)
                continue;
            const which = { owner, repo, deployment_id };
            const { data: statuses } = await rest.repos.listDeploymentStatuses({ ...which, per_page: 1 });
            if (statuses[0]?.state !== 'success')
                continue;
            await rest.repos.createDeploymentStatus({ ...which, state: 'inactive', description: 'replaced' });
        }
    });
}
function githubEnvironment({ environment }) {
    return environment ?? 'production';
}
async function setStatus(options, settings, id, state, description) {
    const errand = { what: `GitHub Deployment not marked ${state}`, permission: PERMISSION };
    await withApi(options, errand, ({ rest, owner, repo }) => rest.repos.createDeploymentStatus({
        owner,
        repo,
        deployment_id: Number(id),
        state,
        description,
        ...(0,defined_only/* definedOnly */.U)({ log_url: settings.run.url, environment_url: settings.health.url }),
    }));
}

;// CONCATENATED MODULE: ./compiled/src/github/log-sink.js


/**
 * The runner's log. Output of programs is shown inside a group, with workflow commands stopped under a token
 * that the program cannot know: otherwise a build could set our outputs or mask words out of the log.
 */
function githubSink() {
    let token = '';
    return {
        line: printLine,
        debug: (text) => workflowCommand('debug', text),
        openOutput(source) {
            token = (0,external_node_crypto_.randomUUID)();
            workflowCommand('group', source);
            workflowCommand('stop-commands', token);
        },
        outputLine: printLine,
        closeOutput() {
            workflowCommand(token);
            workflowCommand('endgroup');
        },
    };
}

;// CONCATENATED MODULE: ./compiled/src/inputs/context.js


/** Looks up what the settings parser needs to know of the world. */
function inputContext(run, workspace, terminal) {
    return {
        run,
        workspace,
        terminal,
        holdsMigrations: (folder) => holdsMigrations((0,external_node_path_.resolve)(workspace, folder)),
    };
}
function holdsMigrations(folder) {
    try {
        return (0,external_node_fs_.readdirSync)(folder).some((name) => name.endsWith('.sql'));
    }
    catch {
        // No such folder: nothing points to a database. A folder that cannot be read is complained about by migrate.
        return false;
    }
}

// EXTERNAL MODULE: ./compiled/src/inputs/input-sources.js
var input_sources = __nccwpck_require__(718);
// EXTERNAL MODULE: ./compiled/src/inputs/read.js + 14 modules
var inputs_read = __nccwpck_require__(4863);
;// CONCATENATED MODULE: ./compiled/src/inputs/run-identity.js



/** Who runs, from the variables that GitHub sets. Outside of Actions the run gets an id of its own. */
function runIdentity(env) {
    const payload = readPayload(env.GITHUB_EVENT_PATH);
    const serverUrl = (env.GITHUB_SERVER_URL || 'https://github.com').replace(/\/+$/, '');
    const repository = env.GITHUB_REPOSITORY || undefined;
    const id = env.GITHUB_RUN_ID || undefined;
    const attempt = Number(env.GITHUB_RUN_ATTEMPT || '1');
    const pullRequest = payload.pull_request?.number;
    const head = payload.pull_request?.head?.sha;
    const headOf = headOfEvent(payload, env.GITHUB_EVENT_NAME ?? '');
    return {
        id: id ?? madeUpId(),
        attempt: Number.isSafeInteger(attempt) && attempt > 0 ? attempt : 1,
        session: (0,external_node_crypto_.randomUUID)(),
        serverUrl,
        ...(0,defined_only/* definedOnly */.U)({ headOf }),
        fork: headOf !== undefined && isForeign(payload, repository),
        ...(id && repository ? { url: `${serverUrl}/${repository}/actions/runs/${id}` } : {}),
        ...(repository ? { repository } : {}),
        ...(0,defined_only/* definedOnly */.U)({
            branchOrTag: env.GITHUB_REF?.match(/^refs\/(heads|tags)\/.+/)?.[0],
            sha: env.GITHUB_SHA || undefined,
            actor: env.GITHUB_ACTOR || undefined,
            event: env.GITHUB_EVENT_NAME || undefined,
        }),
        ...(typeof pullRequest === 'number' ? { pullRequest } : {}),
        ...(typeof head === 'string' ? { pullRequestHead: head } : {}),
    };
}
/**
 * What of the event says whose code it brings, whatever the event is called: a review has a pull request as well. The
 * name is asked only where the payload is missing, so that one which cannot be read never counts as a harmless one.
 */
function headOfEvent({ pull_request, workflow_run }, event) {
    if (pull_request)
        return 'pull request';
    if (workflow_run)
        return 'workflow run';
    if (event.startsWith('pull_request'))
        return 'pull request';
    return event === 'workflow_run' ? 'workflow run' : undefined;
}
/** True where the head is in another repository than this one, or in one that has been deleted. */
function isForeign({ pull_request, workflow_run, repository }, own) {
    const here = own ?? repository?.full_name ?? pull_request?.base?.repo?.full_name;
    const heads = [
        ...(pull_request ? [pull_request.head?.repo?.full_name] : []),
        ...(workflow_run ? [workflow_run.head_repository?.full_name] : []),
    ];
    return heads.length === 0 || heads.some((head) => head === undefined || head !== here);
}
function readPayload(path) {
    if (!path)
        return {};
    try {
        const payload = JSON.parse((0,external_node_fs_.readFileSync)(path, 'utf8'));
        return typeof payload === 'object' && payload !== null ? payload : {};
    }
    catch {
        // A runner without an event file, or a step that changed the variable: there is just no pull request then.
        return {};
    }
}
/** `local-20250102T030405-9f3a`: sorts by time and does not look like GitHub's numbers. */
function madeUpId() {
    const time = new Date().toISOString().slice(0, 19).replace(/[-:]/g, '');
    return `local-${time}-${(0,external_node_crypto_.randomBytes)(2).toString('hex')}`;
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
    return values.filter((value) => !(0,lib_secret/* isUnmaskable */.YO)(value));
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

// EXTERNAL MODULE: ./compiled/src/inputs/quote-if-safe.js
var quote_if_safe = __nccwpck_require__(8639);
;// CONCATENATED MODULE: ./compiled/src/inputs/secret-inputs.js




/** What the log and the outputs are made of; an environment file may hold the same words, and they are no secrets. */
const NAMES = [
    'mode',
    'environment',
    'app-name',
    'app-path',
    'working-directory',
    'migrations-dir',
    'env-file-path',
];
/**
 * Every secret value as given, for masking; read before anything else happens. A private key in the wrong input is
 * one too: it may come from a variable, which nobody has masked.
 */
function secretInputs(read) {
    const names = new Set(NAMES.map(read));
    return input_sources/* INPUT_NAMES */.Qh.flatMap((name) => secretsOf(name, read(name), names));
}
/** The inputs that hold a secret too short or too common to be masked. */
function unmaskableInputs(read) {
    return input_sources/* INPUT_NAMES */.Qh.filter((name) => secretsOf(name, read(name), new Set()).some((value) => (0,lib_secret/* isUnmaskable */.YO)(value.trim())));
}
/** The value of a secret input, and the secrets inside it. */
function secretsOf(name, value, names) {
    const { kind, secret: isSecret } = (0,input_sources/* inputRule */.zH)(name);
    if (value.trim() === '' || !(isSecret || (0,quote_if_safe/* holdsPrivateKey */.jc)(value)))
        return [];
    if (kind === 'env-file')
        return [value, ...envSecrets(value).filter((secret) => !names.has(secret))];
    if (kind === 'database-url')
        return [value, ...urlSecrets(value)];
    return [value];
}
/** The password inside a URL, raw and decoded, also where the URL is wrong: it must not be seen either way. */
function urlSecrets(url) {
    const credentials = /^[a-z]+:\/\/([^@]*(?:@.*)?)@/i.exec(url.trim())?.[1];
    if (credentials === undefined)
        return [];
    const password = credentials.slice(credentials.indexOf(':') + 1);
    const forms = credentials.includes(':') ? [credentials, password] : [];
    try {
        forms.push(decodeURIComponent(password));
    }
    catch {
        // A stray % is complained about by the URL parser; the raw form is masked all the same.
    }
    return forms.filter((form) => form !== '');
}

;// CONCATENATED MODULE: ./compiled/src/lib/capitalize.js
/** A text as the beginning of a sentence. */
function capitalize(text) {
    return text.charAt(0).toUpperCase() + text.slice(1);
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
        for (const form of (0,lib_secret/* secretForms */.eo)(secret)) {
            const { text } = withoutBreaks(withoutEscapes(form));
            if (!(0,lib_secret/* isUnmaskable */.YO)(text))
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

// EXTERNAL MODULE: ./compiled/src/lib/verified-tls.js
var verified_tls = __nccwpck_require__(3435);
;// CONCATENATED MODULE: ./compiled/src/database/connection/api-error.js

const START = /^(?:Failed to run sql query: )?(ERROR|FATAL|PANIC):\s+([0-9A-Z]{5}): /;
/**
 * The query endpoint gives the server's error as text: severity, SQLSTATE and message, then `LINE n:` with a caret,
 * and after that DETAIL, HINT, QUERY and CONTEXT. `shift` is what stood before the message that was asked to be sent.
 * DETAIL holds row data and is left out.
 */
function parseApiError(said, query, shift) {
    const start = START.exec(said);
    if (!start)
        return undefined;
    const rest = said.slice(start[0].length);
    const { head, parts } = sections(rest);
    const position = positionOf(parts, query);
    const hint = parts.get('HINT');
    const internalQuery = parts.get('QUERY');
    const where = parts.get('CONTEXT');
    return {
        severity: start[1],
        code: start[2],
        message: head.trim(),
        ...(position === undefined ? {} : { position: position - shift }),
        ...(hint === undefined ? {} : { hint: hint.trim() }),
        ...(internalQuery === undefined ? {} : { internalQuery: internalQuery.trimEnd() }),
        ...(0,defined_only/* definedOnly */.U)({ where }),
    };
}
function sections(text) {
    const parts = new Map();
    const marks = [...text.matchAll(/^(LINE \d+|DETAIL|HINT|QUERY|CONTEXT):/gm)];
    marks.forEach((mark, index) => {
        const from = mark.index + mark[0].length;
        const to = marks[index + 1]?.index ?? text.length;
        const name = mark[1];
        // The first of a name counts: the QUERY of an error may itself hold such words at the start of a line.
        if (!parts.has(name))
            parts.set(name, text.slice(from, to).replace(/^ {1,2}/, ''));
    });
    return { head: text.slice(0, marks[0]?.index ?? text.length), parts };
}
/** From `LINE n: text` and the caret below it: the position in the whole query, from 1, in code points. */
function positionOf(parts, query) {
    const entry = [...parts].find(([name]) => name.startsWith('LINE '));
    if (!entry)
        return undefined;
    const [name, shown] = entry;
    const lines = shown.split('\n');
    const caret = lines[1]?.indexOf('^') ?? -1;
    const line = Number(name.slice(5));
    if (caret === -1)
        return undefined;
    const before = query.split('\n').slice(0, line - 1);
    const start = before.reduce((sum, each) => sum + [...each].length + 1, 0);
    return start + Math.max(0, caret - `${name}: `.length) + 1;
}

;// CONCATENATED MODULE: ./compiled/src/database/connection/sql-error.js
/**
 * What PostgreSQL said. Its `detail` is left out on purpose: it holds row data ("Failing row contains (...)"), except
 * where it can only name objects.
 */
class SqlError extends Error {
    /** SQLSTATE. */
    code;
    /** ERROR, FATAL or PANIC; after the last two the connection is gone. */
    severity;
    /** Position in the message sent, from 1, in code points. */
    position;
    /** Position in `internalQuery`, from 1, in code points. */
    internalPosition;
    /** The statement that PL/pgSQL ran when the error came; never shown, only searched. */
    internalQuery;
    /** The call stack as PostgreSQL tells it, innermost first; never shown, only searched. */
    where;
    hint;
    /** The detail of an error that concerns objects alone: what depends on it, which types do not fit. */
    objects;
    constructor(fields) {
        super(fields.message);
        this.name = 'SqlError';
        this.code = fields.code;
        this.severity = fields.severity ?? 'ERROR';
        if (fields.position !== undefined)
            this.position = fields.position;
        if (fields.internalPosition !== undefined)
            this.internalPosition = fields.internalPosition;
        if (fields.internalQuery !== undefined)
            this.internalQuery = fields.internalQuery;
        if (fields.where !== undefined)
            this.where = fields.where;
        if (fields.hint !== undefined)
            this.hint = fields.hint;
        if (fields.objects !== undefined)
            this.objects = fields.objects;
    }
}
/** No answer came to a message that was sent: whether it took effect is not known. */
class LostConnection extends Error {
    /** A system error code, or DEADLINE. */
    code;
    constructor(message, code) {
        super(message);
        this.name = 'LostConnection';
        this.code = code;
    }
}
const RETRY = new Set(['55P03', '40P01', '40001', '53300', '57P03']);
const RESOLVE = new Set(['57P01', '57P02', '57P05']);
/** Sorts the error of a message that was sent. */
function errorMeaning(error) {
    if (error instanceof LostConnection)
        return 'resolve';
    if (!(error instanceof SqlError))
        return 'stop';
    if (RETRY.has(error.code))
        return 'retry';
    // A server that goes down, or a pooler that lost it, may have committed before the answer was cut.
    if (RESOLVE.has(error.code) || error.code.startsWith('08'))
        return 'resolve';
    return 'stop';
}

;// CONCATENATED MODULE: ./compiled/src/database/connection/connect-problem.js


const POOLER = 'Use the session pooler URL (Supabase dashboard: Connect, Session pooler); the direct host is reachable over IPv6 only.';
const CERTIFICATE = 'Give the certificate authority as database-ca-cert (PEM). Supabase projects need none: their roots are known here.';
/**
 * Why a connection could not be made, in words for a person. Holds no host name: it is often part of a secret.
 * `source`: what a person knows the address by.
 */
function connectProblem(error, source = 'database-url') {
    const { message, next, ...problem } = problemFor(error);
    const named = (text) => text.replaceAll('database-url', source);
    return { ...problem, message: named(message), ...(next === undefined ? {} : { next: named(next) }) };
}
function problemFor(error) {
    const code = errorCodeOf(error);
    const said = error instanceof Error ? error.message : String(error);
    if (error instanceof SqlError)
        return refusedByServer(error);
    const known = BY_CODE[code];
    if (known)
        return { ...known, code };
    if (said.includes('does not support SSL')) {
        return {
            message: 'the server does not speak TLS, and nothing is sent in plaintext off this machine',
            next: 'Turn TLS on at the server, or use a URL that points to it through a TLS pooler.',
            retry: false,
        };
    }
    if (CERTIFICATE_CODES.has(code)) {
        return {
            message: 'the certificate of the database is not signed by a known authority',
            code,
            next: CERTIFICATE,
            retry: false,
        };
    }
    if (/timeout/i.test(said) || said.includes('terminated')) {
        return {
            message: 'the database did not finish the connection in time',
            next: 'Is the server up, and reachable from here?',
            retry: true,
        };
    }
    return {
        message: `cannot connect to the database: ${code === '' ? (error instanceof Error ? error.name : 'error') : code}`,
        ...(code === '' ? {} : { code }),
        next: 'Check database-url.',
        retry: false,
    };
}
const BY_CODE = {
    ENOTFOUND: {
        message: 'the host name in database-url does not exist',
        next: 'Copy the URL again from the Supabase dashboard (Connect). A paused or deleted project has no host name.',
        retry: false,
    },
    EAI_AGAIN: {
        message: 'the name server did not answer for the host in database-url',
        next: 'Run again in a moment.',
        retry: true,
    },
    ENETUNREACH: {
        message: 'the database cannot be reached over the network of this machine',
        next: POOLER,
        retry: false,
    },
    EHOSTUNREACH: {
        message: 'the database cannot be reached over the network of this machine',
        next: POOLER,
        retry: false,
    },
    EADDRNOTAVAIL: {
        message: 'the database cannot be reached over the network of this machine',
        next: POOLER,
        retry: false,
    },
    ECONNREFUSED: {
        message: 'nothing listens at the address in database-url',
        next: 'Is the server up? Check host and port.',
        retry: true,
    },
    ECONNRESET: {
        message: 'the connection to the database was cut while it was made',
        next: 'Run again; where it stays so, check the network and the port.',
        retry: true,
    },
    EPIPE: {
        message: 'the connection to the database was cut while it was made',
        next: 'Run again; where it stays so, check the network and the port.',
        retry: true,
    },
    ETIMEDOUT: {
        message: 'the database did not answer: a firewall, or a wrong host or port',
        next: `Check host and port, and that this machine may reach them. ${POOLER}`,
        retry: true,
    },
    ERR_TLS_CERT_ALTNAME_INVALID: {
        message: 'the certificate of the database is for another host name: this may not be your server',
        next: 'Use the host name that the certificate was made for.',
        retry: false,
    },
    CERT_HAS_EXPIRED: {
        message: 'the certificate of the database has expired',
        next: 'Renew the certificate at the server.',
        retry: false,
    },
};
/** Of certificates that no known authority has signed. */
const CERTIFICATE_CODES = new Set([
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'SELF_SIGNED_CERT_IN_CHAIN',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'UNABLE_TO_GET_ISSUER_CERT',
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
    'CERT_SIGNATURE_FAILURE',
]);
function refusedByServer(error) {
    const { code, message } = error;
    if (/tenant or user not found/i.test(message)) {
        return {
            message: 'the pooler does not know this project: it is paused or deleted, or host, region or user is wrong',
            code,
            next: 'Look at https://supabase.com/dashboard/projects: restore a paused project. The user is postgres.<project-ref>.',
            retry: false,
        };
    }
    if (code.startsWith('28')) {
        return {
            message: `the database refused the login: ${message}`,
            code,
            next: 'Check user and password in database-url. Not tried again, because repeated failures get the address blocked.',
            retry: false,
        };
    }
    if (/startup parameter/.test(message))
        return {
            message: `the pooler does not take what database-url asks for: ${message}`,
            code,
            next: 'Give the direct URL; or take options out of database-url, and give the role what they say (alter role ... set search_path = ...).',
            retry: false,
        };
    if (code === '3D000')
        return { message, code, next: 'Check the database name at the end of the URL.', retry: false };
    if (code === '53300') {
        return {
            message: 'the database has no free connection',
            code,
            next: 'Close idle clients, or use the pooler URL.',
            retry: true,
        };
    }
    if (code === '57P03')
        return {
            message: `the database is not ready: ${message}`,
            code,
            next: 'Run again in a moment.',
            retry: true,
        };
    if (code === '57P01' || code === '57P02')
        return { message: 'the database is going down', code, next: 'Run again in a moment.', retry: true };
    return {
        message: `the database refused the connection: ${message}`,
        code,
        next: 'Check database-url.',
        retry: false,
    };
}
/** The code of an error; with several addresses tried, the first that says more than a time-out. */
function errorCodeOf(error) {
    if (error instanceof AggregateError) {
        const codes = error.errors.map(errorCodeOf).filter((code) => code !== '');
        return codes.find((code) => code === 'ECONNREFUSED') ?? codes[0] ?? '';
    }
    return errorCode(error) ?? '';
}

;// CONCATENATED MODULE: ./compiled/src/database/connection/https-request.js


/** A longer answer is broken off, in bytes: the largest that is asked for, a schema's objects, has a few million. */
const LONGEST_ANSWER = 64 * 1024 * 1024;
/** No connection was made, so nothing was asked of the server. */
class NotSent extends Error {
    code;
    constructor(code) {
        super(`no connection was made: ${code}`);
        this.name = 'NotSent';
        this.code = code;
    }
}
/** One HTTP exchange; node:https and not fetch, because fetch cannot be given a certificate authority. */
async function exchangeHttp(request) {
    const secure = request.url.startsWith('https:');
    const [{ request: start }, tls] = await Promise.all([
        secure ? Promise.resolve(/* import() */).then(__nccwpck_require__.t.bind(__nccwpck_require__, 4708, 23)) : Promise.resolve(/* import() */).then(__nccwpck_require__.t.bind(__nccwpck_require__, 7067, 23)),
        __nccwpck_require__.e(/* import() */ 247).then(__nccwpck_require__.bind(__nccwpck_require__, 8247)),
    ]);
    return new Promise((resolve, reject) => {
        let connected = false;
        const outgoing = start(request.url, {
            method: request.method,
            headers: {
                ...request.headers,
                ...(request.body === undefined ? {} : { 'content-length': Buffer.byteLength(request.body) }),
            },
            // An agent would keep the connection, and a kept connection may be dead by the next message.
            agent: false,
            ...verified_tls/* VERIFIED_TLS */.r,
            ...(0,defined_only/* definedOnly */.U)({ signal: request.signal }),
            ...(secure && request.caCertificate !== undefined
                ? { ca: [...tls.trusted(), request.caCertificate] }
                : {}),
        }, (response) => {
            const chunks = [];
            let length = 0;
            response.on('data', (chunk) => {
                chunks.push(chunk);
                length += chunk.length;
                if (length > LONGEST_ANSWER)
                    breakOff('TOO_LONG', 'the answer is longer than 64 MB');
            });
            response.on('error', fail);
            response.on('end', () => {
                clearTimeout(timer);
                resolve({
                    status: response.statusCode ?? 0,
                    contentType: response.headers['content-type'] ?? '',
                    retryAfter: Number(response.headers['retry-after']) || undefined,
                    body: Buffer.concat(chunks).toString('utf8'),
                });
            });
        });
        const timer = setTimeout(() => breakOff('DEADLINE', 'no answer in time'), request.deadline);
        const fail = (error) => {
            clearTimeout(timer);
            reject(connected ? error : new NotSent(error.code ?? 'ENDED'));
        };
        const breakOff = (code, why) => {
            fail(Object.assign(new Error(why), { code }));
            outgoing.destroy();
        };
        outgoing.on('socket', (socket) => {
            socket.once(secure ? 'secureConnect' : 'connect', () => {
                connected = true;
            });
        });
        outgoing.on('error', fail);
        outgoing.end(request.body);
    });
}

;// CONCATENATED MODULE: ./compiled/src/database/sql/sql-text.js

/** A text literal, right whatever standard_conforming_strings says. */
function literal(text) {
    if (text === null || text === undefined)
        return 'null';
    if (text.includes('\0'))
        throw new Error('a NUL character cannot be part of SQL');
    const quoted = text.replaceAll("'", "''");
    return quoted.includes('\\') ? ` E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`;
}
/** An identifier, always quoted. */
function identifier(...parts) {
    return parts.map((part) => `"${part.replaceAll('"', '""')}"`).join('.');
}
/** A dollar-quoted text whose tag does not occur in it. */
function dollarQuote(text) {
    const tag = freeTag(text);
    return `${tag}${text}${tag}`;
}
/** A dollar-quote tag that does not occur in `text`; random, so that no file can be written to end its own quote. */
function freeTag(text) {
    for (;;) {
        const tag = `$m${(0,external_node_crypto_.randomBytes)(8).toString('hex')}$`;
        if (!text.includes(tag))
            return tag;
    }
}
/** An array of texts. */
function textArray(items) {
    return items.length === 0 ? "'{}'::text[]" : `array[${items.map(literal).join(',')}]::text[]`;
}

;// CONCATENATED MODULE: ./compiled/src/database/sql/source-text.js
/** Longest line shown to a person; a longer one is cut around the column. */
const SHOWN = 160;
/** Line and column (from 1, in code points) of a place in a file, with its line. `index` counts UTF-16 units. */
function positionIn(file, source, index) {
    const end = Math.max(0, Math.min(index, source.length));
    const lineStart = end === 0 ? 0 : source.lastIndexOf('\n', end - 1) + 1;
    let line = 1;
    for (let at = source.indexOf('\n'); at !== -1 && at < lineStart; at = source.indexOf('\n', at + 1))
        line++;
    const newline = source.indexOf('\n', lineStart);
    const lineEnd = newline === -1 ? source.length : newline;
    const text = source.slice(lineStart, Math.min(lineEnd, lineStart + 100_000)).replace(/\r$/, '');
    const column = codePoints(source.slice(lineStart, end)) + 1;
    // A line too long to show is left out: cut, its caret would point at the wrong place.
    return { file, line, column, ...(text.length <= SHOWN ? { text } : {}) };
}
/** UTF-16 index of the code point number `position` (from 1), as PostgreSQL counts. */
function indexOfCodePoint(source, position) {
    let index = 0;
    for (let count = 1; count < position && index < source.length; count++)
        index += source.codePointAt(index) > 0xffff ? 2 : 1;
    return index;
}
/** True where a position from 1 in code points lies in a text, or right behind it. */
function isPositionWithin(text, position) {
    return position <= text.length + 1 && indexOfCodePoint(text, position) <= text.length;
}
/** Turns UTF-8 byte offsets (as the parser library gives them) into UTF-16 indexes; ascending calls are cheap. */
function byteToIndex(source) {
    let index = 0;
    let bytes = 0;
    return (byteOffset) => {
        if (byteOffset < bytes) {
            index = 0;
            bytes = 0;
        }
        while (bytes < byteOffset && index < source.length) {
            const code = source.codePointAt(index);
            bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
            index += code > 0xffff ? 2 : 1;
        }
        return index;
    };
}
/** The same text with a range blanked, so that every offset and line stays where it was. */
function blank(source, from, to) {
    return source.slice(0, from) + source.slice(from, to).replaceAll(/[^\r\n]/g, ' ') + source.slice(to);
}
/** A statement in one short line, for a message. */
function oneLine(text, longest = 80) {
    const short = text.replaceAll(/\s+/g, ' ').trim();
    return short.length > longest ? `${short.slice(0, longest - 1)}…` : short;
}
function codePoints(text) {
    let count = 0;
    for (let index = 0; index < text.length; index += text.codePointAt(index) > 0xffff ? 2 : 1)
        count++;
    return count;
}

;// CONCATENATED MODULE: ./compiled/src/database/connection/exchange.js






/** From the wish to cancel to giving up: the runner kills the process 7.5 s after it asked. */
const CANCEL_WITHIN = 6_000;
/** Bytes per millisecond of the slowest line that is waited for. */
const SLOWEST = 50;
/**
 * Milliseconds that a message may be on its way when it has left this process: buffers of the system and of poolers
 * take it long before the server has all of it, and the server is not at work until then.
 */
function onItsWay(message) {
    return Math.round(Buffer.byteLength(message) / SLOWEST);
}
/**
 * Sends one message and waits for its answer, as long as there is one to wait for.
 * @throws Cancelled where the signal has fired already: nothing is sent then.
 */
function exchange(client, text, shift, sending, aside) {
    return new Promise((resolve, reject) => {
        if (sending.signal?.aborted)
            return reject(new Cancelled());
        const giveUp = (why, code) => {
            finish();
            reject(new LostConnection(why, code));
            streamOf(client).destroy();
        };
        const stream = streamOf(client);
        const way = onItsWay(text);
        let deadline;
        let listening;
        const late = () => giveUp(`no answer within ${Math.round(sending.deadline / 1000)} s`, 'DEADLINE');
        /** Nobody can answer before all is sent, so time counts from there. */
        const onSent = () => {
            stream.setTimeout(0);
            clearTimeout(deadline);
            deadline = setTimeout(late, sending.deadline + way);
            listening = watchSilence(aside, way, () => giveUp('the server has finished, and its answer did not arrive', 'SILENCE'));
        };
        const onStalled = () => giveUp('the message could not be sent: the network takes no more', 'STALLED');
        let patience;
        const onNotice = (notice) => {
            // The server speaks, so it has all of the message.
            clearTimeout(deadline);
            deadline = setTimeout(late, sending.deadline);
            listening?.heard();
            const { severity = '', message = '', routine, where } = notice;
            sending.onNotice?.({ severity, message, ...(0,defined_only/* definedOnly */.U)({ routine, where }) });
        };
        const finish = () => {
            clearTimeout(deadline);
            clearTimeout(patience);
            listening?.stop();
            stream.setTimeout(0);
            stream.removeListener('timeout', onStalled);
            stream.removeListener('drain', onSent);
            client.removeListener('notice', onNotice);
            listenNoMore();
        };
        client.on('notice', onNotice);
        const listenNoMore = whenAborted(sending.signal, () => {
            void aside.cancel().catch(() => undefined);
            patience = setTimeout(() => giveUp('cancelled, and no answer came', 'CANCELLED'), CANCEL_WITHIN);
        });
        client.query(text).then((result) => {
            finish();
            const results = Array.isArray(result) ? result : [result];
            resolve(results.map(({ command, rows }) => ({ command: command ?? '', rows })));
        }, (error) => {
            finish();
            const said = sqlErrorOf(error, shift);
            reject(said ??
                new LostConnection('the connection to the database was lost', errorCodeOf(error) || 'ENDED'));
            if (!said)
                streamOf(client).destroy();
        });
        if (!stream.writableNeedDrain)
            onSent();
        else {
            // The time-out of a socket does not fire as long as it is still being emptied.
            stream
                .once('timeout', onStalled)
                .once('drain', onSent)
                .setTimeout(2 * aside.silence);
        }
    });
}
/**
 * A network that swallows packets looks like a long statement. After each stretch of silence the server is asked
 * whether it is still at work; twice no means that the answer is lost. Where it cannot be asked, nothing is concluded;
 * nor in the first `way` milliseconds, until the server was seen at work: it may not have the whole message yet.
 */
function watchSilence({ isAtWork, silence }, way, lost) {
    const started = performance.now();
    let arrived = false;
    let idle = 0;
    let stopped = false;
    const timer = setInterval(() => {
        isAtWork().then((atWork) => {
            arrived ||= atWork || performance.now() - started > way;
            idle = atWork || !arrived ? 0 : idle + 1;
            if (idle >= 2 && !stopped)
                lost();
        }, () => undefined);
    }, silence);
    return {
        heard() {
            arrived = true;
            idle = 0;
            timer.refresh();
        },
        stop() {
            stopped = true;
            clearInterval(timer);
        },
    };
}
function streamOf(client) {
    return client.connection.stream;
}
/** Classes of errors whose detail names objects and never holds a row; what a program raises may hold anything. */
function namesObjects({ code = '', routine }) {
    return (/^(?:2BP01|0A000|42)/.test(code) &&
        routine !== undefined &&
        !/^(?:exec_stmt_raise|PLy_|do_util_elog|plv8_)/.test(routine));
}
/** An answer of the server as our own error; undefined for anything else. `shift` is what stood before the message. */
function sqlErrorOf(error, shift) {
    if (!(error instanceof Error) || !('severity' in error))
        return undefined;
    const fields = error;
    if (typeof fields.code !== 'string')
        return undefined;
    const number = (value) => (value === undefined ? undefined : Number(value));
    const position = number(fields.position);
    const internal = number(fields.internalPosition);
    // Where it lies behind the query that it should be in, it is a position in the message too.
    const outside = internal !== undefined && !isPositionWithin(fields.internalQuery ?? '', internal);
    const internalPosition = outside ? internal - shift : internal;
    return new SqlError({
        message: fields.message,
        code: fields.code,
        ...(0,defined_only/* definedOnly */.U)({ severity: fields.severity }),
        ...(position === undefined ? {} : { position: position - shift }),
        ...(0,defined_only/* definedOnly */.U)({
            internalPosition,
            internalQuery: fields.internalQuery,
            where: fields.where,
            hint: fields.hint,
            objects: namesObjects(fields) ? fields.detail : undefined,
        }),
    });
}

;// CONCATENATED MODULE: ./compiled/src/database/connection/pooling.js

/** After a visitor has left, the pooler has this many milliseconds to reset or close its connection. */
const RESET_WITHIN = 2_000;
const BETWEEN_LOOKS = 50;
/** A connection that was reset may be given to somebody else before it is looked at; then another visitor is sent. */
const VISITS = 3;
/**
 * Who is asked, one after the other. In a pool with nobody else in it, whoever shares connections is found out: with
 * the newest connection first, the visitor gets ours; with the oldest first, of two asks in a row the second gets
 * another one. In a busy pool chance would have to give back the same two connections each time.
 */
const TURNS = ['ours', 'ours', 'visitor', 'ours', 'visitor', 'visitor', 'ours'];
/**
 * Whether the pooler in between keeps one session of the server for each of its clients. True only with two proofs:
 * both connections kept a server process of their own while the other was used, and the pooler gave the visitor's
 * session up when the visitor left (PgBouncer resets it, Supavisor closes it), which one that shares them does not.
 * A yes that is wrong would leave settings and locks behind in sessions of the application, so all else is a no.
 * Nothing is set or left behind by the look itself.
 */
async function keepsSessions(look) {
    for (let visits = 1;; visits++) {
        const end = await visitOnce(look);
        if (end !== 'taken by others' || visits === VISITS)
            return end === 'given up';
    }
}
async function visitOnce(look) {
    const visitor = await look.visit();
    let process;
    try {
        const seen = await askInTurns(look, visitor);
        if (!seen)
            return 'shared';
        process = seen;
        // A pooler that resets a connection after every transaction has done so by now.
        if ((await stateOf(look, process)) !== 'as the visitor left it')
            return 'shared';
    }
    finally {
        await visitor.leave();
    }
    const until = performance.now() + RESET_WITHIN;
    for (;;) {
        const state = await stateOf(look, process);
        if (state === 'gone' || state === 'reset')
            return 'given up';
        if (state === 'used')
            return 'taken by others';
        if (performance.now() > until)
            return 'kept';
        await pause(BETWEEN_LOOKS, look.signal);
    }
}
/** The visitor's server process, where each of the two had one of its own all the time. */
async function askInTurns(look, visitor) {
    const has = {};
    for (const turn of TURNS) {
        const row = await (turn === 'ours' ? look.ask(WHO) : visitor.ask(`/*${look.nonce}*/ ${WHO}`));
        const process = String(row.process);
        has[turn] ??= process;
        if (has[turn] !== process || has.ours === has.visitor)
            return undefined;
    }
    return has.visitor;
}
/** Names a server process for good: its number alone may be used again. */
const PROCESS = "pid || '.' || extract(epoch from backend_start)";
const WHO = `select ${PROCESS} as process from pg_catalog.pg_stat_activity where pid = pg_catalog.pg_backend_pid()`;
async function stateOf(look, process) {
    const { query } = await look.ask(`select (select query from pg_catalog.pg_stat_activity where ${PROCESS} = '${process}') as query`);
    if (typeof query !== 'string')
        return 'gone';
    if (query.includes(look.nonce))
        return 'as the visitor left it';
    return /^\s*discard\s+all\s*;?\s*$/i.test(query) ? 'reset' : 'used';
}

;// CONCATENATED MODULE: ./compiled/src/database/connection/results.js
/** The row that the last statement with rows gave, the only one that every transport hands out; empty where there is none. */
function lastRow(results) {
    for (let index = results.length - 1; index >= 0; index--) {
        const row = results[index].rows[0];
        if (row)
            return row;
    }
    return {};
}
/** A field of that row that holds JSON, which a transport gives as text or parsed; undefined where it is empty or missing. */
function jsonField(results, name) {
    const value = lastRow(results)[name];
    if (value === null || value === undefined || value === '')
        return undefined;
    return (typeof value === 'string' ? JSON.parse(value) : value);
}

;// CONCATENATED MODULE: ./compiled/src/database/connection/postgres-connection.js











/** One attempt to connect; a far database on a loaded network needs a few seconds. */
const CONNECT_TIMEOUT = 15_000;
const CONNECT_FOR = 60_000;
/** After this much silence the server is asked, over a second connection, whether it still works for us. */
const SILENCE = 15_000;
/** Each question of the look at a pooler; where it has no second connection to give, its answer does not come. */
const LOOK_DEADLINE = 5_000;
/** A database over the Postgres protocol: direct, or through a pooler. */
function openPostgres(address, caCertificate, options = {}) {
    let transport = transportOf(address);
    let client;
    /** The process id that the newest connection was told at its start. */
    let announced;
    let turn = Promise.resolve();
    const connected = async (signal) => {
        if (client)
            return client;
        const opened = await connectPatiently(address, caCertificate, options, signal);
        const forget = () => {
            if (client === opened)
                client = undefined;
        };
        // Without a listener an idle disconnect would end the whole process.
        opened.on('error', forget);
        opened.on('end', forget);
        if (options.role !== undefined)
            await opened.query(`set role ${identifier(options.role)}`);
        client = opened;
        announced = opened.processID;
        return opened;
    };
    const send = async (message, sending) => {
        if (sending.signal?.aborted)
            throw new Cancelled();
        const nonce = (0,external_node_crypto_.randomBytes)(6).toString('hex');
        const prefix = `/*muva-deploy ${nonce} ${printable(options.label ?? '')}*/ `;
        const current = await connected(sending.signal);
        const aside = {
            cancel: () => cancelMessage(address, caCertificate, nonce),
            isAtWork: () => isAtWork(address, caCertificate, nonce),
            silence: options.silence ?? SILENCE,
        };
        try {
            return await exchange(current, prefix + message, prefix.length, sending, aside);
        }
        catch (error) {
            if (error instanceof LostConnection && client === current)
                client = undefined;
            throw error;
        }
    };
    const inTurn = (message, sending) => {
        const result = turn.then(() => send(message, sending));
        turn = result.catch(() => undefined);
        return result;
    };
    return {
        get transport() {
            return transport;
        },
        role: options.role,
        async confirmBackend(pid, signal) {
            // A pooler announces a process id of its own: what looked like a direct connection goes through one.
            if (transport !== 'direct' || announced === undefined || announced === pid)
                return;
            const sending = { deadline: LOOK_DEADLINE, ...(0,defined_only/* definedOnly */.U)({ signal }) };
            const kept = await keepsSessions({
                ask: async (message) => lastRow(await inTurn(message, sending)),
                visit: () => visit(address, caCertificate, signal),
                nonce: (0,external_node_crypto_.randomBytes)(6).toString('hex'),
                signal,
            }).catch((error) => {
                if (signal?.aborted)
                    throw new Cancelled();
                const { message } = connectProblem(error, options.source);
                const text = `no second connection through the pooler (${message}): it is taken for a transaction pooler`;
                options.log?.({ kind: 'progress', text });
                return false;
            });
            transport = kept ? 'session-pooler' : 'transaction-pooler';
        },
        send: inTurn,
        async close() {
            const open = client;
            client = undefined;
            if (open)
                await closeClient(open);
        },
    };
}
/** What the address alone tells; Supabase's poolers are known by port and name. */
function transportOf(address) {
    if (address.port === 6543)
        return 'transaction-pooler';
    return address.host.endsWith('.pooler.supabase.com') ? 'session-pooler' : 'direct';
}
/** The label is shown to other users of the server inside a comment: it must not be able to end it. */
function printable(label) {
    return label
        .replaceAll(/[^\p{L}\p{N} ._:/#@-]/gu, '')
        .slice(0, 200)
        .replaceAll('*/', '');
}
async function connectPatiently(address, caCertificate, options, signal) {
    const problemOf = (error) => connectProblem(error, options.source);
    try {
        return await retry({
            tries: 20,
            deadline: options.connectFor ?? CONNECT_FOR,
            first: 250,
            longest: 5_000,
            ...(0,defined_only/* definedOnly */.U)({ signal }),
            worthwhile: (error) => problemOf(error).retry,
            onRetry: (error, attempt) => {
                if (attempt === 1)
                    options.log?.({ kind: 'progress', text: `${problemOf(error).message}; trying again` });
            },
        }, () => connectOnce(address, caCertificate, signal));
    }
    catch (error) {
        if (error instanceof Failure)
            throw error;
        const { retry: _, ...problem } = problemOf(error);
        throw new Failure(problem);
    }
}
/**
 * While it is loaded, the driver looks whether it runs at Cloudflare. Where Node has no navigator yet (before 21), that
 * look loads all of fetch, which takes 10 ms.
 */
async function loadDriver() {
    const known = 'navigator' in globalThis;
    const navigator = { userAgent: 'Node.js' };
    if (!known)
        Object.defineProperty(globalThis, 'navigator', { value: navigator, configurable: true });
    try {
        return (await __nccwpck_require__.e(/* import() */ 315).then(__nccwpck_require__.bind(__nccwpck_require__, 6315))).default;
    }
    finally {
        if (!known)
            Reflect.deleteProperty(globalThis, 'navigator');
    }
}
/** @throws Cancelled as soon as the signal fires, wherever the connection stands then. */
async function connectOnce(address, caCertificate, signal) {
    const [driver, { tlsOptions }, net] = await Promise.all([
        loadDriver(),
        __nccwpck_require__.e(/* import() */ 247).then(__nccwpck_require__.bind(__nccwpck_require__, 8247)),
        Promise.resolve(/* import() */).then(__nccwpck_require__.t.bind(__nccwpck_require__, 7030, 23)),
    ]);
    // Node gives each address of a dual-stack host 250 ms, which a far database does not answer in.
    net.setDefaultAutoSelectFamilyAttemptTimeout(3_000);
    const tls = tlsOptions(address, caCertificate);
    // The parts, never the URL: an sslmode in a URL overrides the ssl object. No time-outs here: they would be
    // start-up parameters, and poolers refuse them, as they may refuse the options of a URL.
    const client = new driver.Client({
        host: address.host,
        port: address.port,
        user: address.user,
        password: address.password.reveal(),
        database: address.database,
        ssl: tls ?? false,
        connectionTimeoutMillis: address.connectTimeout ?? CONNECT_TIMEOUT,
        ...(0,defined_only/* definedOnly */.U)({ options: address.options, application_name: address.applicationName }),
        keepAlive: true,
    });
    client.on('error', () => undefined);
    const connecting = client.connect();
    const listenNoMore = whenAborted(signal, () => void streamOf(client).destroy());
    try {
        await connecting;
        return client;
    }
    catch (error) {
        streamOf(client).destroy();
        if (signal?.aborted)
            throw new Cancelled();
        throw sqlErrorOf(error, 0) ?? error;
    }
    finally {
        listenNoMore();
    }
}
async function isAtWork(address, caCertificate, nonce) {
    const client = await connectOnce(address, caCertificate);
    try {
        const { rows } = await client.query(`select exists (select from pg_catalog.pg_stat_activity where pid <> pg_catalog.pg_backend_pid()
         and state <> 'idle' and query like '/*muva-deploy ${nonce} %') as active`);
        return rows[0]?.active === true;
    }
    finally {
        await closeClient(client);
    }
}
async function visit(address, caCertificate, signal) {
    const client = await connectOnce(address, caCertificate, signal);
    const listenNoMore = whenAborted(signal, () => void streamOf(client).destroy());
    return {
        async ask(message) {
            // The driver's types do not know the time-out of a single query.
            const asked = { text: message, query_timeout: LOOK_DEADLINE };
            const { rows } = await client.query(asked);
            return rows[0] ?? {};
        },
        async leave() {
            listenNoMore();
            await closeClient(client);
        },
    };
}
/** The message runs in some backend, behind a pooler not always the announced one: it is found by its comment. */
async function cancelMessage(address, caCertificate, nonce) {
    const client = await connectOnce(address, caCertificate);
    try {
        await client.query(`select pg_catalog.pg_cancel_backend(pid) from pg_catalog.pg_stat_activity
       where pid <> pg_catalog.pg_backend_pid() and query like '/*muva-deploy ${nonce} %'`);
    }
    finally {
        await closeClient(client);
    }
}
/** Says goodbye, but does not wait long for a peer that is gone. */
async function closeClient(client) {
    let timer;
    const patience = new Promise((resolve) => {
        timer = setTimeout(resolve, 1_000);
    });
    await Promise.race([client.end().catch(() => undefined), patience]);
    clearTimeout(timer);
    streamOf(client).destroy();
}

;// CONCATENATED MODULE: ./compiled/src/database/connection/management-api.js










/** Too many requests are answered with a wait; more than this many in a row is another fault. */
const WAITS = 5;
const LONGEST_WAIT = 120_000;
const TRIES_TO_CONNECT = 5;
/** The pooler is asked for this long before the query endpoint takes over: where its port is closed, it stays so. */
const POOLER_WITHIN = 1_500;
/** Where the pooler's address comes from, in messages. */
const management_api_POOLER = "the project's pooler settings";
/**
 * A database of which only the project's reference and an access token are known. First a temporary login and the
 * session pooler are asked for, which gives an ordinary session; where the pooler cannot be reached from here, each
 * message goes through the API's query endpoint over HTTPS: one request, one transaction, at most 60 s.
 */
function openManagementApi(connection, options) {
    let chosen;
    let current = queryEndpoint(connection, options);
    const choose = async (signal) => {
        const session = await sessionDatabase(connection, options, signal);
        if ('why' in session)
            options.log?.({
                kind: 'progress',
                text: `${session.why}: every message goes through the Management API`,
            });
        else
            current = session;
        return current;
    };
    return {
        get transport() {
            return current.transport;
        },
        get role() {
            return current.role;
        },
        confirmBackend: async (pid, signal) => current.confirmBackend?.(pid, signal),
        async send(message, sending) {
            if (sending.signal?.aborted)
                throw new Cancelled();
            chosen ??= choose(sending.signal);
            const database = await chosen.catch((error) => {
                chosen = undefined;
                throw error;
            });
            return database.send(message, sending);
        },
        close: () => current.close(),
    };
}
/** An ordinary session from a temporary login, or why there is none. */
async function sessionDatabase(connection, options, signal) {
    const login = await askJson(connection, 'POST', 'cli/login-role', { read_only: false }, signal, true);
    if (login === undefined)
        return { why: 'the Management API gives no temporary login' };
    const poolers = await askJson(connection, 'GET', 'config/database/pooler', undefined, signal, true);
    const address = sessionAddress(connection, login, poolers);
    if (!address)
        return { why: 'the Management API names no pooler' };
    const database = openPostgres(address, connection.caCertificate, {
        ...options,
        role: 'postgres',
        connectFor: POOLER_WITHIN,
        source: management_api_POOLER,
    });
    try {
        await database.send('select 1', { deadline: 15_000, ...(0,defined_only/* definedOnly */.U)({ signal }) });
        return database;
    }
    catch (error) {
        await database.close();
        if (signal?.aborted)
            throw new Cancelled();
        return { why: problemsOf(error)[0]?.message ?? 'the pooler gave no session' };
    }
}
/** The primary's pooler in session mode, which Supabase serves at port 5432 of the same host. */
function sessionAddress({ projectRef }, login, poolers) {
    const { role, password } = login;
    if (typeof role !== 'string' || typeof password !== 'string' || !Array.isArray(poolers))
        return undefined;
    const primary = poolers.find((each) => each.database_type === 'PRIMARY');
    if (!primary || typeof primary.db_host !== 'string' || typeof primary.db_port !== 'number')
        return undefined;
    const host = primary.db_host;
    const loopback = host === '127.0.0.1' || host === 'localhost' || host === '::1';
    return {
        host,
        port: primary.db_port === 6543 ? 5432 : primary.db_port,
        // Supavisor finds the project by the user's name.
        user: `${role}.${projectRef}`,
        password: new lib_secret/* Secret */.zh(password),
        database: typeof primary.db_name === 'string' ? primary.db_name : 'postgres',
        loopback,
        plaintext: false,
    };
}
/** The query endpoint as a database: no notices, no cancel from outside, rows of one statement only. */
function queryEndpoint(connection, options) {
    return {
        transport: 'management-api',
        async send(message, sending) {
            const nonce = (0,external_node_crypto_.randomBytes)(6).toString('hex');
            const label = (options.label ?? '').replaceAll(/[^\p{L}\p{N} ._:/#@-]/gu, '');
            const query = `/*muva-deploy ${nonce} ${label}*/ ${message}`;
            const answer = await askApi(connection, 'POST', 'database/query', { query }, sending);
            return resultOf(answer, query, query.length - message.length);
        },
        close: () => Promise.resolve(),
    };
}
function resultOf(answer, query, shift) {
    const body = jsonOf(answer);
    if (answer.status >= 200 && answer.status < 300) {
        if (!Array.isArray(body))
            throw new Failure(notJson(answer));
        return [{ command: '', rows: body }];
    }
    const said = body?.message;
    const fields = typeof said === 'string' ? parseApiError(said, query, shift) : undefined;
    if (fields)
        throw new SqlError(fields);
    throw apiRefusal(answer, body);
}
/** An answer that is no result: what it means for a message that may or may not have run. */
function apiRefusal(answer, body) {
    const { status } = answer;
    const code = String(status);
    const next = 'https://supabase.com/dashboard/account/tokens';
    if (status === 401 || status === 403)
        return new Failure({
            message: `the Management API refused the access token (HTTP ${status})`,
            code,
            next: `Check supabase-access-token: is it valid, and may it reach this project? ${next}`,
        });
    if (status === 404)
        return new Failure({
            message: 'the Management API does not know this project',
            code,
            next: 'Check supabase-project-ref.',
        });
    if (status === 540)
        return new Failure({
            message: 'the project is paused',
            code,
            next: 'Restore it at https://supabase.com/dashboard/projects, then run again.',
        });
    // The gateway gave up, or the server broke: the message may have been run, and may still be running.
    if (status >= 500)
        return new LostConnection(`the Management API answered with HTTP ${status}`, code);
    if (body === undefined)
        return new Failure(notJson(answer));
    return new Failure({ message: `the Management API refused the request (HTTP ${status})`, code });
}
/** The body is never shown: whatever answered there, it is not what was asked. */
function notJson({ status, contentType }) {
    return {
        message: `the Management API did not answer with JSON (HTTP ${status}, ${contentType.split(';')[0] || 'no content type'})`,
        code: String(status),
        next: 'Check supabase-api-url, and whether a proxy stands in between.',
    };
}
function jsonOf(answer) {
    try {
        return JSON.parse(answer.body);
    }
    catch {
        return undefined;
    }
}
/** Asks for a JSON object; `optional`: where the API does not have it, undefined and no failure. */
async function askJson(connection, method, path, body, signal, optional) {
    const answer = await askApi(connection, method, path, body, {
        deadline: 30_000,
        ...(0,defined_only/* definedOnly */.U)({ signal }),
    });
    if (answer.status >= 200 && answer.status < 300)
        return jsonOf(answer);
    // Without the right to make logins, or on a server that has no such endpoint, the query endpoint may still work.
    if (optional && answer.status !== 401 && answer.status !== 540)
        return undefined;
    throw apiRefusal(answer, jsonOf(answer));
}
async function askApi({ apiUrl, projectRef, accessToken, caCertificate }, method, path, body, sending) {
    let waits = 0;
    for (let attempt = 1;; attempt++) {
        try {
            const answer = await exchangeHttp({
                url: `${apiUrl}/v1/projects/${projectRef}/${path}`,
                method,
                headers: {
                    authorization: `Bearer ${accessToken.reveal()}`,
                    accept: 'application/json',
                    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
                },
                ...(body === undefined ? {} : { body: JSON.stringify(body) }),
                ...(0,defined_only/* definedOnly */.U)({ caCertificate }),
                deadline: sending.deadline,
                ...(0,defined_only/* definedOnly */.U)({ signal: sending.signal }),
            });
            if (answer.status !== 429 || ++waits > WAITS)
                return answer;
            await pause(Math.min(LONGEST_WAIT, (answer.retryAfter ?? 2 ** waits) * 1000), sending.signal);
        }
        catch (error) {
            if (error instanceof Cancelled)
                throw error;
            if (!(error instanceof NotSent)) {
                if (sending.signal?.aborted)
                    throw new LostConnection('cancelled, and no answer came', 'CANCELLED');
                const why = `the connection to the Management API was lost: ${error instanceof Error ? error.message : 'no answer'}`;
                throw new LostConnection(why, errorCode(error) ?? 'ENDED');
            }
            if (sending.signal?.aborted)
                throw new Cancelled();
            const passing = error.code === 'ECONNREFUSED' || error.code === 'EAI_AGAIN' || error.code === 'ECONNRESET';
            if (!passing || attempt === TRIES_TO_CONNECT)
                throw new Failure({
                    message: `the Management API cannot be reached: ${error.code}`,
                    code: error.code,
                    next: CERTIFICATE_CODES.has(error.code)
                        ? 'No known authority signed its certificate. Where a proxy opens TLS here, make its authority known: NODE_EXTRA_CA_CERTS (the path of a PEM file) in the env of the job.'
                        : 'Check supabase-api-url and the network of this machine.',
                });
            await pause(300 * 2 ** attempt, sending.signal);
        }
    }
}

;// CONCATENATED MODULE: ./compiled/src/database/connection/open.js


/** Opens nothing yet: the connection is made with the first message. Close it when done. */
function openDatabase(connection, options = {}) {
    return connection.kind === 'url'
        ? openPostgres(connection.address, connection.caCertificate, options)
        : openManagementApi(connection, options);
}

;// CONCATENATED MODULE: ./compiled/src/lib/log.js

/** Passes everything on, but no warning twice: what the plan warned of, the worker on the server sees again. */
function eachWarningOnce(log) {
    const told = new Set();
    return (entry) => {
        if (entry.kind === 'warning') {
            const key = problemKey(entry.problem);
            if (told.has(key))
                return;
            told.add(key);
        }
        log(entry);
    };
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

;// CONCATENATED MODULE: ./compiled/src/report/phase.js




/**
 * Runs one phase and always returns a report: an error of any kind becomes a failed (or unknown) report that keeps every
 * step and fact recorded before it. `detail` stands behind the phase's name in the log. Never throws.
 */
async function runPhase(phase, log, detail, work) {
    const startedAt = Date.now();
    const steps = [];
    const facts = {};
    let summary;
    let changedAt;
    const record = {
        ...stepReporter((step) => {
            steps.push(step);
            log({ kind: 'step', phase, step });
        }),
        facts,
        changed() {
            changedAt ??= performance.timeOrigin + performance.now();
        },
        summarise(text) {
            summary = text;
        },
    };
    log({ kind: 'phase-started', phase, facts, ...(0,defined_only/* definedOnly */.U)({ detail }) });
    let outcome = 'passed';
    let problems = [];
    let cancelled;
    try {
        await work(record);
    }
    catch (error) {
        outcome = outcomeOfError(error);
        if (error instanceof Cancelled) {
            // It is what a person wanted, so there is nothing to complain of.
            cancelled = true;
            summary ??= error.detail && `${capitalize(error.detail)}.`;
        }
        else
            problems = problemsOf(error);
    }
    const report = {
        phase,
        outcome,
        startedAt,
        milliseconds: Date.now() - startedAt,
        steps,
        problems,
        ...(cancelled ? { cancelled } : {}),
        facts,
        ...(0,defined_only/* definedOnly */.U)({ changedAt, summary }),
    };
    log({ kind: 'phase-ended', report });
    return report;
}
/** The report of a phase that was not reached or not asked for. */
function skippedPhase(phase, why) {
    return {
        phase,
        outcome: 'skipped',
        startedAt: Date.now(),
        milliseconds: 0,
        steps: [],
        problems: [],
        facts: {},
        summary: why,
    };
}

// EXTERNAL MODULE: ./compiled/src/lib/local-programs.js + 1 modules
var local_programs = __nccwpck_require__(9391);
;// CONCATENATED MODULE: ./compiled/src/server/checkout/local-git.js


/**
 * Runs git in the checkout of this job. Throws a Failure where it cannot work there at all: it is not installed, the
 * folder is missing, or the checkout belongs to another user (jobs in a container); any other end is the caller's.
 */
async function localGit(words, workingDirectory) {
    let ended;
    try {
        ended = await (0,local_programs/* runProgram */.mB)(['git', ...words], { cwd: workingDirectory });
    }
    catch (error) {
        throw new Failure({
            message: `git could not be run in ${workingDirectory}: ${problemsOf(error)[0].message}`,
            next: 'Check working-directory, and that git is installed where this job runs.',
        });
    }
    if (/dubious ownership|unsafe repository/.test(ended.stderr))
        throw new Failure({
            message: `git refuses to work in ${workingDirectory}, because another user owns the checkout`,
            next: 'In a step before this one: git config --global --add safe.directory "$GITHUB_WORKSPACE"',
        });
    return ended;
}

;// CONCATENATED MODULE: ./compiled/src/server/checkout/exact-commit.js



/** As short as git makes a commit's SHA by itself. Fewer digits are a name. */
const SHORTEST_SHA = 7;
/**
 * The full SHA of a commit, branch or tag, resolved in the checkout of this job: what is deployed is one exact
 * commit, and never what a branch has become meanwhile. 40 hex digits are always the commit. Throws a Failure where the
 * checkout does not have it, and where it can mean two things: whoever may push a branch chooses its name, and must not
 * choose by it what a tag or a short SHA stands for.
 */
async function exactCommit(ref, workingDirectory) {
    if (/^[0-9a-f]{40}$/i.test(ref))
        return ref.toLowerCase();
    if (ref === 'HEAD')
        return (await commitOf('HEAD', workingDirectory)) ?? unknown(ref);
    const named = await namedSo(ref, workingDirectory);
    if (isShortSha(ref)) {
        const commits = await commitsThatBegin(ref, workingDirectory);
        if (named.length > 0)
            throw likeAShortSha(ref, named, commits);
        if (commits.length > 1)
            throw severalMeanings(ref, commits);
        return commits[0]?.sha ?? unknown(ref);
    }
    if (new Set(named.map(({ sha }) => sha)).size > 1)
        throw severalMeanings(ref, named);
    return named[0]?.sha ?? unknown(ref);
}
/**
 * The settings with the commit in place of its name, so that all that follows means the same one. As they are where it
 * cannot be told: the phase that needs it says why, with everything else that is wrong.
 */
async function withExactCommit(settings) {
    const { vps, workingDirectory } = settings;
    if (settings.mode === 'verify' || vps?.ref === undefined)
        return settings;
    const ref = await exactCommit(vps.ref, workingDirectory).catch(() => vps.ref);
    return { ...settings, vps: { ...vps, ...(0,defined_only/* definedOnly */.U)({ ref }) } };
}
function isShortSha(ref) {
    return new RegExp(`^[0-9a-f]{${SHORTEST_SHA},39}$`, 'i').test(ref);
}
/** The branches and tags of the checkout that a name can mean, each by its full name. */
async function namedSo(ref, folder) {
    const names = fullNames(ref);
    // A pattern is a name or the beginning of one, up to a slash.
    const { stdout } = await localGit(['for-each-ref', '--format=%(refname) %(objectname)', ...new Set(names.map(({ full }) => full))], folder);
    const objects = new Map(stdout
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => line.split(' ')));
    const found = [];
    for (const { full, name, exact } of names) {
        const object = objects.get(full);
        // The remote's branch of a name is what this machine's own branch of it was made from.
        if (object === undefined || found.some((other) => other.exact === exact))
            continue;
        const sha = await commitOf(object, folder);
        if (sha !== undefined)
            found.push({ name, exact, sha });
    }
    return found;
}
/**
 * The full names that a ref can have, nearest first. Full ones are asked for, because git itself goes on to look for
 * `refs/tags/refs/heads/main` and the like where there is no `refs/heads/main`. Pure.
 */
function fullNames(ref) {
    const branch = (name) => {
        const said = { name: `the branch ${name}`, exact: `refs/heads/${name}` };
        return [
            { full: `refs/remotes/origin/${name}`, ...said },
            { full: `refs/heads/${name}`, ...said },
        ];
    };
    const tag = (name) => [
        { full: `refs/tags/${name}`, name: `the tag ${name}`, exact: `refs/tags/${name}` },
    ];
    const rest = (full) => [{ full, name: full, exact: full }];
    const within = (prefix) => ref.startsWith(prefix) ? ref.slice(prefix.length) : undefined;
    const [heads, tags] = [within('refs/heads/'), within('refs/tags/')];
    if (heads !== undefined)
        return branch(heads);
    if (tags !== undefined)
        return tag(tags);
    if (ref.startsWith('refs/'))
        return rest(ref);
    // What git takes for a name as well: `origin/main`, `heads/main`, `tags/v1`.
    const [ofRemote, ofHeads, ofTags] = [within('origin/'), within('heads/'), within('tags/')];
    return [
        ...branch(ref),
        ...tag(ref),
        ...(ofRemote === undefined ? rest(`refs/remotes/${ref}`) : branch(ofRemote)),
        ...(ofHeads === undefined ? [] : branch(ofHeads)),
        ...(ofTags === undefined ? [] : tag(ofTags)),
    ];
}
/** The commit that an object (its full SHA) or HEAD leads to; undefined where it is none. */
async function commitOf(object, folder) {
    const { code, stdout } = await localGit(['rev-parse', '--verify', '--quiet', `${object}^{commit}`], folder);
    const sha = stdout.trim();
    return code === 0 && /^[0-9a-f]{40}$/.test(sha) ? sha : undefined;
}
/** The commits of the checkout whose SHA begins so. Other objects may begin so as well, and mean nothing here. */
async function commitsThatBegin(short, folder) {
    const { stdout } = await localGit(['rev-parse', `--disambiguate=${short.toLowerCase()}`], folder);
    const commits = [];
    for (const sha of stdout.split('\n').filter((line) => line !== '')) {
        const { stdout: kind } = await localGit(['cat-file', '-t', sha], folder);
        if (kind.trim() === 'commit')
            commits.push({ name: `the commit ${sha}`, exact: sha, sha });
    }
    return commits;
}
function severalMeanings(ref, meanings) {
    const all = meanings.map(({ name, sha }) => (name.endsWith(sha) ? name : `${name} (${sha.slice(0, 12)})`));
    return new Failure({
        message: `ref ${JSON.stringify(ref)} ${meanings.length === 2 ? 'means two things' : 'means several things'}: ${all.join(', ')}`,
        next: `Say which: ${[...new Set(meanings.map(({ exact }) => exact))].join(', ')}, or a full commit SHA.`,
    });
}
function likeAShortSha(ref, named, commits) {
    const all = [...named, ...commits];
    if (commits.length > 0)
        return severalMeanings(ref, all);
    const [{ name, sha, exact }] = all;
    return new Failure({
        message: `ref ${JSON.stringify(ref)} reads as a short commit SHA, and is the name of ${name} (${sha.slice(0, 12)})`,
        next: `Say which: ${exact}, or the full commit SHA.`,
    });
}
function unknown(ref) {
    throw new Failure({
        message: `ref ${JSON.stringify(ref)} is not a commit of the checkout in working-directory`,
        next: 'Give the full commit SHA, or check out with fetch-depth: 0 so that branches and tags are known.',
    });
}

;// CONCATENATED MODULE: ./compiled/src/server/checkout/provenance.js


/**
 * Judges the commit that the servers are brought to, and the one whose migration files are in the checkout. An event
 * that carries a pull request or a workflow run says by itself whose code it brings, and outside of GitHub Actions a
 * person does: there nothing is judged. Never throws.
 */
async function judgeProvenance(settings) {
    const { run } = settings;
    const { repository } = run;
    const found = { refusals: [], warnings: [] };
    if (run.event === undefined || run.headOf !== undefined || repository === undefined)
        return found;
    for (const sha of await commitsOf(settings)) {
        const standing = await standingOf(sha, settings, repository);
        const short = sha.slice(0, 12);
        if (standing.kind === 'foreign')
            found.refusals.push({
                message: `commit ${short} is in no branch or tag of ${repository}: it may come from a fork`,
                next: 'Deploy what is merged. If a branch or tag has it by now, check out again with fetch-depth: 0.',
            });
        if (standing.kind === 'not-shown')
            found.warnings.push({
                message: `it is not known whether commit ${short} is in a branch or tag of ${repository}, or comes from a fork: ${standing.why}`,
                next: standing.next,
            });
    }
    return found;
}
/**
 * The commits whose code a run brings, and none where it writes nothing. One that cannot be told is refused by the phase
 * that needs it.
 */
async function commitsOf(settings) {
    const { mode, vps, database, workingDirectory } = settings;
    const commits = new Set();
    if (vps?.ref !== undefined && (mode === 'deploy' || mode === 'redeploy')) {
        const sha = await exactCommit(vps.ref, workingDirectory).catch(() => undefined);
        if (sha !== undefined)
            commits.add(sha);
    }
    // Where migrations do not lie in a checkout, there is no commit that they are of.
    const runsFiles = database !== undefined && (mode === 'deploy' || mode === 'migrate' || mode === 'rollback');
    const head = runsFiles && (await answer(['rev-parse', '--verify', '--quiet', 'HEAD^{commit}'], settings));
    if (head)
        commits.add(head);
    return commits;
}
async function standingOf(sha, settings, repository) {
    const { run } = settings;
    // GitHub started the run at this commit, as the newest of that branch or tag.
    if (sha === run.sha && run.branchOrTag !== undefined)
        return { kind: 'own' };
    const fetched = 'Check out with fetch-depth: 0: then all branches and tags are known.';
    const origin = await answer(['config', '--get', 'remote.origin.url'], settings);
    if (origin === undefined)
        return { kind: 'not-shown', why: 'working-directory is no checkout of it', next: fetched };
    const own = [`${run.serverUrl}/${repository}`, settings.vps?.repositoryUrl ?? []].flat();
    if (!own.some((url) => isSameRepository(url, origin)))
        return {
            kind: 'not-shown',
            why: 'working-directory is a checkout of another repository',
            next: 'Where it is the one that the servers fetch from, name it in repository-url.',
        };
    const refs = ['refs/remotes/origin/', 'refs/tags/'];
    const containing = await answer(['for-each-ref', '--count=1', '--contains', sha, '--format=x', ...refs], settings);
    if (containing)
        return { kind: 'own' };
    if (await hasAllBranches(settings))
        return { kind: 'foreign' };
    return { kind: 'not-shown', why: 'the checkout does not have all of them', next: fetched };
}
/** True for a checkout with its whole history that was told to fetch all branches, and has fetched some. */
async function hasAllBranches(settings) {
    const shallow = await answer(['rev-parse', '--is-shallow-repository'], settings);
    const told = await answer(['config', '--get-all', 'remote.origin.fetch'], settings);
    const fetched = await answer(['for-each-ref', '--count=1', '--format=x', 'refs/remotes/origin/'], settings);
    const all = told?.split('\n').includes('+refs/heads/*:refs/remotes/origin/*') ?? false;
    return shallow === 'false' && all && fetched === 'x';
}
/** What git says in the checkout, without the last newline; undefined where it does not end with 0. */
async function answer(words, { workingDirectory }) {
    const ended = await localGit(words, workingDirectory).catch(() => undefined);
    return ended?.code === 0 ? ended.stdout.trim() : undefined;
}
/** The addresses of one repository differ by protocol, user, port and ending. Pure. */
function isSameRepository(one, other) {
    const plain = (url) => url
        .trim()
        .replace(/^[a-z+]+:\/\//i, '')
        .replace(/^[^@/]*@/, '')
        .replace(/^([^/:]+):(\d+\/)?/, (_, host) => `${host}/`)
        .replace(/\/+$/, '')
        .replace(/\.git$/, '')
        .toLowerCase();
    return plain(one) === plain(other);
}

// EXTERNAL MODULE: external "node:events"
var external_node_events_ = __nccwpck_require__(8474);
;// CONCATENATED MODULE: external "node:fs/promises"
const promises_namespaceObject = require("node:fs/promises");
// EXTERNAL MODULE: external "node:net"
var external_node_net_ = __nccwpck_require__(7030);
;// CONCATENATED MODULE: external "node:timers/promises"
const external_node_timers_promises_namespaceObject = require("node:timers/promises");
;// CONCATENATED MODULE: ./compiled/src/server/ssh/ssh-error.js

class SshError extends Error {
    kind;
    problem;
    constructor(kind, problem) {
        super(problem.message);
        this.name = 'SshError';
        this.kind = kind;
        this.problem = problem;
    }
}
/** Any error of talking to a server as problems for a person. */
function sshProblems(error) {
    return error instanceof SshError ? [error.problem] : problemsOf(error);
}
/** The same error as one that a phase reports; what is not of SSH stays as it is. */
function asFailure(error, outcome = 'failed') {
    return error instanceof SshError ? new Failure(error.problem, outcome) : error;
}
/** True where a new connection may do better, and nothing can have run twice. */
function isWorthRetrying(error) {
    const kinds = [
        'refused',
        'unreachable',
        'name-later',
        'busy',
        'lost',
        'no-session',
    ];
    return error instanceof SshError && kinds.includes(error.kind);
}
/** The error of one kind in words. `server` is `host 1` or `the jump host`: names are often secrets. */
function sshError(kind, server, detail) {
    const more = detail ? ` (${detail})` : '';
    const code = detail !== undefined && /^[A-Z_]+$/.test(detail) ? { code: detail } : {};
    return new SshError(kind, { ...TEXTS[kind](server, more), ...code });
}
const TEXTS = {
    refused: (server, more) => ({
        message: `${server} refused the connection${more}: nothing listens on that port`,
        next: 'Check ssh-port, and on the server: systemctl status ssh',
    }),
    unreachable: (server, more) => ({
        message: `${server} could not be reached${more}`,
        next: 'Check ssh-host, that the server runs, and that its firewall lets GitHub runners in.',
    }),
    name: (server) => ({
        message: `the name of ${server} is not in DNS`,
        next: 'Check ssh-host for a typing error.',
    }),
    'name-later': (server) => ({
        message: `DNS gave no answer for the name of ${server}`,
        next: 'Run the job again; where it stays so, give the IP address in ssh-host.',
    }),
    silent: (server, more) => ({
        message: `${server} took the connection and then did not finish the SSH handshake${more}`,
        next: 'Check ssh-port: a tarpit or a firewall that holds connections looks like this. On a loaded server, run the job again.',
    }),
    'not-ssh': (server, more) => ({
        message: `what answers on the port of ${server} is not SSH${more}`,
        next: 'Check ssh-host and ssh-port: SSH is usually on port 22, and a web proxy in front of the server does not carry it.',
    }),
    busy: (server, more) => ({
        message: `${server} closed the connection before the SSH handshake was done${more}`,
        next: 'The server has too many connections open (MaxStartups), or has banned this address (fail2ban-client status sshd).',
    }),
    auth: (server, more) => ({
        message: `${server} did not accept the private key${more}`,
        next: 'Check ssh-user, and that the public half of ssh-private-key stands in ~/.ssh/authorized_keys of that user; the reason is in the server log: journalctl -u ssh',
    }),
    'second-factor': (server, more) => ({
        message: `${server} took the private key and asks for a second factor${more}`,
        next: 'A deploy cannot answer it: let this user in with the key alone (sshd_config: Match User <user>, AuthenticationMethods publickey).',
    }),
    'no-keys': (server, more) => ({
        message: `${server} takes no private key for this login${more}`,
        next: 'Check ssh-user and ssh-port, and PubkeyAuthentication in sshd_config; a deploy cannot type a password.',
    }),
    'host-key': (server) => ({ message: `the host key of ${server} is not the pinned one` }),
    'no-common': (server, more) => ({
        message: `${server} and this client have no method in common${more}`,
        next: 'Update the SSH server, or allow a current method there (ssh-ed25519 or rsa-sha2-512, curve25519, aes-gcm).',
    }),
    lost: (server, more) => ({
        message: `the connection to ${server} was lost${more}`,
        next: 'Run the job again: what runs on the server goes on there, and the next run looks at what it left.',
    }),
    'no-session': (server, more) => ({
        message: `${server} opened no further session${more}`,
        next: 'Raise MaxSessions in sshd_config, or run fewer jobs against the server at once.',
    }),
    deadline: (server, more) => ({ message: `a command on ${server} took longer than it was given${more}` }),
};
/** Classes what Node says when a TCP connection fails; its text holds the host's name and is not used. */
function classifySocketError(server, error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
    if (code === 'ECONNREFUSED')
        return sshError('refused', server, code);
    if (code === 'ENOTFOUND')
        return sshError('name', server);
    if (code === 'EAI_AGAIN')
        return sshError('name-later', server);
    if (code === 'ECONNRESET' || code === 'EPIPE')
        return sshError('busy', server, code);
    return sshError('unreachable', server, code);
}
/** Why the login failed, from what the server answered: only one of the three reasons lies in the key. */
function loginError(server, { offered, wanted }) {
    if (wanted !== undefined)
        return sshError('second-factor', server, wanted.join(', '));
    if (offered !== undefined && offered.length > 0 && !offered.includes('publickey'))
        return sshError('no-keys', server, `it offers ${offered.join(', ')}`);
    return sshError('auth', server);
}
/**
 * Classes what the client says when a handshake fails. `first` is the beginning of what the server sent: from it
 * a web server, a tarpit and a full SSH server can be told apart.
 */
function classifyHandshakeError(server, error, first, login = {}) {
    if (error instanceof SshError)
        return error;
    const message = error instanceof Error ? error.message : String(error);
    const level = error instanceof Error && 'level' in error ? String(error.level) : '';
    const speaksSsh = /(^|\n)SSH-/.test(first);
    if (level === 'client-authentication')
        return loginError(server, login);
    if (/no matching/i.test(message))
        return sshError('no-common', server, /no matching ([a-z0-9 -]+)/i.exec(message)?.[0]);
    if (/^(Not allowed at this time|Exceeded MaxStartups)/.test(first))
        return sshError('busy', server);
    if (level === 'client-timeout')
        return speaksSsh || first === ''
            ? sshError('silent', server)
            : sshError('not-ssh', server, 'it sends other text, slowly');
    if (!speaksSsh && first !== '')
        return sshError('not-ssh', server, /^HTTP\//.test(first) ? 'it speaks HTTP' : 'it sends other text');
    return sshError('busy', server);
}

;// CONCATENATED MODULE: ./compiled/src/server/ssh/exec.js



/** Bytes kept of each stream's beginning, and of its end. */
const KEPT = 128 * 1024;
/** A text of any length in bounded memory: its head and its tail, with a line between that says what is missing. */
function boundedText(keep = KEPT) {
    const head = [];
    let headBytes = 0;
    let tail = [];
    let tailBytes = 0;
    let dropped = 0;
    return {
        add(chunk) {
            const room = keep - headBytes;
            if (room > 0) {
                head.push(chunk.subarray(0, room));
                headBytes += Math.min(room, chunk.length);
            }
            const rest = room > 0 ? chunk.subarray(room) : chunk;
            if (rest.length === 0)
                return;
            tail.push(rest);
            tailBytes += rest.length;
            // Twice the size before it is cut, so that many small chunks are not copied again and again.
            if (tailBytes <= 2 * keep)
                return;
            const all = Buffer.concat(tail);
            dropped += all.length - keep;
            tail = [Buffer.from(all.subarray(all.length - keep))];
            tailBytes = keep;
        },
        text() {
            const start = Buffer.concat(head).toString('utf8');
            const end = Buffer.concat(tail);
            const cut = Math.max(0, end.length - keep);
            const missing = dropped + cut;
            const gap = missing > 0 ? `\n... ${missing} bytes left out ...\n` : '';
            return start + gap + end.subarray(cut).toString('utf8');
        },
    };
}
/**
 * Runs one command in a session of its own and resolves with however it ended; a nonzero code is no error here.
 * Rejects with SshError: `no-session` (nothing was run), `lost` or `deadline` (not known how it ended), or with
 * Cancelled.
 */
function exec(client, server, command, options = {}) {
    return new Promise((resolve, reject) => {
        let session;
        let settled = false;
        let silence;
        let listenNoMore = () => { };
        const settle = (outcome) => {
            if (settled)
                return;
            settled = true;
            clearTimeout(deadline);
            clearTimeout(silence);
            listenNoMore();
            client.removeListener('close', onClose);
            if (outcome instanceof Error) {
                reject(outcome);
                session?.close();
            }
            else {
                resolve(outcome);
            }
        };
        // How a command ended may be known already when the connection closes right behind it.
        const onClose = () => settle(session?.ended() ?? sshError('lost', server));
        const heard = () => {
            if (options.silence === undefined)
                return;
            clearTimeout(silence);
            silence = setTimeout(() => settle(sshError('lost', server, 'it went silent')), options.silence);
        };
        const deadline = options.deadline === undefined
            ? undefined
            : setTimeout(() => settle(sshError('deadline', server)), options.deadline);
        client.once('close', onClose);
        listenNoMore = whenAborted(options.signal, () => settle(new Cancelled()));
        if (settled)
            return;
        const opened = (error, channel) => {
            if (error) {
                settle(openError(server, error));
            }
            else if (settled) {
                channel.close();
            }
            else {
                session = listen(channel, options, heard);
                heard();
                channel.on('close', onClose);
                sendInput(channel, options.stdin);
            }
        };
        try {
            client.exec(command, opened);
        }
        catch {
            // ssh2 throws where the socket is gone already.
            settle(sshError('lost', server));
        }
    });
}
function openError(server, error) {
    // `reason` stands only in an answer of the server; without one the connection is gone.
    return 'reason' in error && error.reason !== '' ? sshError('no-session', server) : sshError('lost', server);
}
function listen(channel, options, heard) {
    const stdout = boundedText();
    const stderr = boundedText();
    let exit;
    channel.on('data', (chunk) => {
        heard();
        if (options.onStdout)
            options.onStdout(chunk);
        else
            stdout.add(chunk);
    });
    channel.stderr.on('data', (chunk) => {
        options.onStderr?.(chunk);
        stderr.add(chunk);
    });
    channel.on('exit', (code, signal) => {
        exit = { code, signal: signal?.replace(/^SIG/, '') ?? null };
    });
    // A broken pipe tells nothing that the exit status does not tell better.
    channel.on('error', () => { });
    return {
        ended: () => exit && { ...exit, stdout: stdout.text(), stderr: stderr.text() },
        close: () => channel.close(),
    };
}
function sendInput(session, stdin) {
    if (stdin === undefined || typeof stdin === 'string' || Buffer.isBuffer(stdin)) {
        session.end(stdin ?? '');
        return;
    }
    // A source that breaks must not look like its end: the session is closed, and the command counts as lost.
    const stop = () => {
        if (!stdin.readableEnded)
            session.close();
    };
    stdin.on('error', stop);
    stdin.on('close', stop);
    if (stdin.destroyed)
        stop();
    else
        stdin.pipe(session);
}

// EXTERNAL MODULE: ./compiled/src/inputs/checks/fingerprints.js
var fingerprints = __nccwpck_require__(7354);
// EXTERNAL MODULE: ./compiled/src/inputs/checks/known-hosts.js
var known_hosts = __nccwpck_require__(7582);
;// CONCATENATED MODULE: ./compiled/src/server/ssh/host-key.js




/** Gathers what is trusted for one address. `only`: there is one server in all, so a fingerprint needs no name. */
function trustFor(address, given, only) {
    const { keys, revoked, authorities } = (0,known_hosts/* linesFor */.be)((0,known_hosts/* parseKnownHosts */.uJ)(given.knownHosts ?? ''), address);
    return {
        keys: keys.map(({ type, blob }) => ({ type, blob })),
        fingerprints: (0,fingerprints/* fingerprintsFor */.JB)(address, given.fingerprints, only),
        revoked: revoked.map((line) => line.blob),
        authorityOnly: keys.length === 0 && authorities.length > 0,
    };
}
/** `SHA256:` and base64 without padding, as ssh-keygen -l prints it. */
function fingerprint(blob) {
    return `SHA256:${(0,external_node_crypto_.createHash)('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}
/** Judges the key that a server showed. Synchronous on purpose: the client takes a promise for a yes. */
function judgeHostKey(trust, blob) {
    const text = blob.toString('base64');
    if (trust.revoked.includes(text))
        return 'revoked';
    if (trust.keys.some((key) => key.blob === text))
        return 'trusted';
    if (trust.fingerprints.includes(fingerprint(blob)))
        return 'trusted';
    return trust.keys.length + trust.fingerprints.length === 0 ? 'unknown' : 'changed';
}
const ALGORITHMS = {
    'ssh-ed25519': ['ssh-ed25519'],
    'ecdsa-sha2-nistp256': ['ecdsa-sha2-nistp256'],
    'ecdsa-sha2-nistp384': ['ecdsa-sha2-nistp384'],
    'ecdsa-sha2-nistp521': ['ecdsa-sha2-nistp521'],
    'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa'],
};
/**
 * The key types to ask the server for, one try after the other. A server with several keys shows only one per
 * connection, so without pinning the types a right fingerprint of another type looks like a changed key.
 */
function hostKeyTries(trust) {
    const known = [...new Set(trust.keys.map((key) => key.type))].flatMap((type) => ALGORITHMS[type] ?? []);
    if (trust.fingerprints.length === 0 && known.length > 0)
        return [known];
    const rest = [
        ALGORITHMS['ssh-ed25519'],
        ['ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521'],
        ALGORITHMS['ssh-rsa'],
    ].map((types) => types.filter((type) => !known.includes(type)));
    return [known, ...rest].filter((types) => types.length > 0);
}
/** Why no connection was made, with what was seen, what was pinned and how to check. Names no host. */
function hostKeyProblem(server, trust, seen) {
    const got = seen.map((key) => `${key.fingerprint} (${key.type})`).join(', ') || 'no key of these types';
    const pinned = [
        ...trust.fingerprints,
        ...trust.keys.map((key) => `${fingerprint(Buffer.from(key.blob, 'base64'))} (${key.type})`),
    ];
    const check = `Run on ${server} itself: for key in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -lf "$key"; done`;
    if (seen.some((key) => key.judgement === 'revoked')) {
        return {
            message: `${server} showed a host key that ssh-known-hosts marks as revoked: ${got}`,
            next: `Do not connect with it. Give the server a new host key, and put that one into ssh-fingerprint. ${check}`,
        };
    }
    if (pinned.length === 0) {
        return {
            message: `${server} is not pinned: ${trust.authorityOnly ? 'ssh-known-hosts has only @cert-authority lines for it, which are not supported' : 'neither ssh-known-hosts nor ssh-fingerprint has a key for it'}. It showed ${got}`,
            next: `${check} - and where it prints the same, add that SHA256:... to ssh-fingerprint (with several servers: the host name, a space, and the fingerprint).`,
        };
    }
    return {
        message: `${server} is not the one that was pinned: got ${got}, pinned ${pinned.join(', ')}`,
        next: `${check} - where it prints what we got, the server has a new key: change the pin. Where it does not, somebody stands between: do not connect.`,
    };
}

;// CONCATENATED MODULE: ./compiled/src/server/ssh/connection.js









const READY_TIMEOUT = 20_000;
const PATIENCE = 30_000;
/** A dead connection is noticed after this many unanswered questions of this many milliseconds. */
const KEEPALIVE = { interval: 5_000, count: 3 };
/** Connects, authenticates and checks the host key; repeats what a new attempt can mend. Rejects with SshError. */
async function connect(target, options) {
    return retry({
        tries: 6,
        deadline: options.patience ?? PATIENCE,
        first: 500,
        longest: 8_000,
        ...(0,defined_only/* definedOnly */.U)({ signal: options.signal }),
        worthwhile: isWorthRetrying,
        onRetry: (error, _attempt, waitMs) => {
            if (error instanceof SshError)
                options.onRetry?.(error, waitMs);
        },
    }, () => connectWithAnyKeyType(target, options));
}
/** One connection per kind of host key until the server shows one that is trusted. */
async function connectWithAnyKeyType(target, options) {
    const seen = [];
    for (const algorithms of hostKeyTries(target.trust)) {
        const before = seen.length;
        try {
            return await connection_connectOnce(target, options, algorithms, seen);
        }
        catch (error) {
            const otherType = error instanceof SshError && error.kind === 'no-common' && /host key/.test(error.message);
            if (!otherType && seen.length === before)
                throw error;
            if (seen.some((key) => key.judgement === 'trusted'))
                throw error;
        }
    }
    throw new SshError('host-key', hostKeyProblem(target.server, target.trust, seen));
}
async function connection_connectOnce(target, options, algorithms, seen) {
    if (options.signal?.aborted)
        throw new Cancelled();
    const timeout = options.readyTimeout ?? READY_TIMEOUT;
    const opening = (options.open ?? ((to) => openSocket(to, timeout)))(target);
    const { stream, key, ssh } = await opened(target.server, opening, options.key);
    let first = '';
    const login = {};
    const ready = ssh.connect({
        host: 'unused',
        sock: stream,
        username: target.user,
        privateKey: key.pem,
        ...(0,defined_only/* definedOnly */.U)({ passphrase: key.passphrase }),
        authHandler: withKeyOnly(login),
        readyTimeout: timeout,
        keepaliveInterval: KEEPALIVE.interval,
        keepaliveCountMax: KEEPALIVE.count,
        algorithms: { serverHostKey: algorithms },
        // Must answer at once: the client takes a promise for a yes.
        hostVerifier: (blob) => {
            const judgement = judgeHostKey(target.trust, blob);
            seen.push({ judgement, fingerprint: fingerprint(blob), type: (0,known_hosts/* keyType */.iE)(blob) });
            return judgement === 'trusted';
        },
    });
    // NodeSSH takes its own listener away once connected; from then on an error without ours would end the program.
    const client = ssh.connection;
    client.on('error', () => { });
    stream.on('data', (chunk) => {
        if (first.length < 256)
            first += chunk.subarray(0, 256).toString('latin1');
    });
    const listenNoMore = whenAborted(options.signal, () => void stream.destroy());
    try {
        await ready;
    }
    catch (error) {
        stream.destroy();
        if (options.signal?.aborted)
            throw new Cancelled();
        throw classifyHandshakeError(target.server, error, first, login);
    }
    finally {
        listenNoMore();
    }
    return connectionOf(client, target.server, stream);
}
/** Tries no method and then the key, as the client does by itself, and keeps what the server says to each. */
function withKeyOnly(login) {
    const methods = ['none', 'publickey'];
    let tried = 0;
    return (left, partial, next) => {
        if (tried === 1 && left !== null)
            login.offered = left;
        if (tried === 2 && left !== null && partial)
            login.wanted = left;
        const method = methods[tried++];
        // The client takes false for the end of all methods; its types do not say so.
        next(method ?? false);
    };
}
/** Loads the library and reads the key while the connection is made: each takes as long as a near server's answer. */
async function opened(server, opening, readKey) {
    // It may fail before anybody waits for it.
    opening.catch(() => undefined);
    try {
        // Loading happens in one piece; the connection has to be on its way before that.
        await (0,external_node_timers_promises_namespaceObject.setImmediate)();
        const [key, { NodeSSH }, stream] = await Promise.all([readKey(), Promise.all(/* import() */[__nccwpck_require__.e(362), __nccwpck_require__.e(241)]).then(__nccwpck_require__.bind(__nccwpck_require__, 8241)), opening]);
        if (stream.destroyed)
            throw sshError('busy', server, 'ECONNRESET');
        return { stream, key, ssh: new NodeSSH() };
    }
    catch (error) {
        opening.then((stream) => stream.destroy(), () => undefined);
        throw error;
    }
}
/** A TCP connection; ssh2 itself never sets TCP_NODELAY, which costs 40 ms for every short command. */
function openSocket({ server, address }, timeout) {
    return new Promise((resolve, reject) => {
        const socket = (0,external_node_net_.connect)({ host: address.host, port: address.port, noDelay: true });
        const timer = setTimeout(() => socket.destroy(Object.assign(new Error('late'), { code: 'ETIMEDOUT' })), timeout);
        const onError = (error) => {
            clearTimeout(timer);
            reject(classifySocketError(server, error));
        };
        socket.once('error', onError);
        socket.once('connect', () => {
            clearTimeout(timer);
            socket.removeListener('error', onError);
            // Until the SSH client listens, an error is seen by the destroyed stream alone.
            socket.on('error', () => undefined);
            resolve(socket);
        });
    });
}
function connectionOf(client, server, stream) {
    let lost = false;
    client.once('close', () => {
        lost = true;
    });
    return {
        get lost() {
            return lost || stream.destroyed;
        },
        exec: (command, options) => exec(client, server, command, options),
        forward: ({ server: other, address: { host, port } }) => new Promise((resolve, reject) => {
            client.forwardOut('127.0.0.1', 0, host, port, (error, channel) => {
                if (!error)
                    return resolve(channel);
                // `reason` stands only in an answer of the jump host; without one the connection to it is gone.
                const answered = 'reason' in error && error.reason !== '';
                reject(answered ? sshError('unreachable', other, 'from the jump host') : sshError('lost', server));
            });
        }),
        close() {
            client.end();
        },
    };
}

// EXTERNAL MODULE: ./compiled/src/lib/pem-keys.js
var pem_keys = __nccwpck_require__(8198);
;// CONCATENATED MODULE: ./compiled/src/server/ssh/private-key.js




const PASTE = 'Put the whole private key file into the secret, from -----BEGIN to -----END, for example with: gh secret set VPS_SSH_KEY < ~/.ssh/id_ed25519';
/** Repairs and reads the key; throws a Failure that says what it is instead. The key itself is in no message. */
async function readPrivateKey(text, passphrase) {
    const framed = repairKeyText(text);
    if ('wrong' in framed)
        throw keyFailure(framed);
    const read = OWN_FORMS.test(framed.label) ? asItIs : fromPkcs8;
    // A secret store may have added a newline to the passphrase, so it is tried without one too.
    const given = await read(framed.pem, passphrase);
    if (!('wrong' in given))
        return given;
    const trimmed = passphrase === undefined ? given : await read(framed.pem, passphrase.trim());
    if ('wrong' in trimmed)
        throw keyFailure(given);
    return trimmed;
}
const OWN_FORMS = /^(OPENSSH|RSA|EC|DSA) PRIVATE KEY$/;
/** A form that the client reads itself. */
async function asItIs(pem, passphrase) {
    const cipher = cipherOf(pem);
    if (cipher !== undefined && UNREADABLE.has(cipher))
        return otherCipher(cipher);
    const { utils } = (await __nccwpck_require__.e(/* import() */ 362).then(__nccwpck_require__.t.bind(__nccwpck_require__, 7362, 23))).default;
    const parsed = utils.parseKey(pem, passphrase);
    // The old encryption has no checksum: a wrong passphrase mostly shows as nonsense inside.
    const legacy = passphrase !== undefined && pem.includes('DEK-Info:');
    if (parsed instanceof Error)
        return explainParseError(legacy ? 'bad passphrase' : parsed.message);
    return { pem, ...(0,defined_only/* definedOnly */.U)({ passphrase }) };
}
/** Ciphers that the client lists, and fails to open keys with. */
const UNREADABLE = new Set(['chacha20-poly1305@openssh.com']);
/** The cipher named inside an OpenSSH key: `none`, `aes256-ctr`. */
function cipherOf(pem) {
    const blob = Buffer.from(/KEY-----\n([\s\S]*?)\n-----END/.exec(pem)?.[1] ?? '', 'base64');
    const magic = 'openssh-key-v1\0';
    if (blob.subarray(0, magic.length).toString('latin1') !== magic || blob.length < magic.length + 4)
        return undefined;
    const length = blob.readUInt32BE(magic.length);
    return blob.subarray(magic.length + 4, magic.length + 4 + length).toString('latin1');
}
function otherCipher(cipher) {
    return {
        wrong: `is encrypted with ${cipher}, which cannot be read`,
        right: 'Write it with another cipher: ssh-keygen -p -Z aes256-ctr -f <key file>',
    };
}
/** What the client's key parser says, in words for the person who set the secret. */
function explainParseError(message) {
    if (/no passphrase given/i.test(message)) {
        return {
            wrong: 'is encrypted, and ssh-passphrase is empty',
            right: 'Set ssh-passphrase, or use a key of its own without a passphrase for deploys.',
        };
    }
    if (/bad passphrase|integrity check|bad decrypt|decrypt|unable to authenticate/i.test(message)) {
        return {
            wrong: 'is encrypted, and ssh-passphrase does not open it',
            right: 'Try it where the key was made: ssh-keygen -y -f <key file>',
        };
    }
    if (/unsupported/i.test(message)) {
        return {
            wrong: 'is of a type or cipher that cannot be used',
            right: "Make a new one: ssh-keygen -t ed25519 -N '' -f deploy_key",
        };
    }
    return { wrong: 'is damaged: its content does not fit its frame', right: PASTE };
}
/** The PEM text and its label, with the damage of copying undone; pure. */
function repairKeyText(text) {
    const plain = (0,pem_keys/* unpackKeyText */.Bm)(text);
    // openssl writes EC PARAMETERS in front of the key, and people paste certificates and .pub lines beside it.
    const blocks = (0,pem_keys/* pemBlocks */.PQ)(plain);
    const block = blocks.find(({ label }) => label.endsWith('PRIVATE KEY'));
    if (block === undefined)
        return notAKey(plain, blocks[0]?.label);
    const { label, info, base64 } = block;
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64))
        return { wrong: 'is damaged: between its first and last line stands more than base64', right: PASTE };
    const headers = info === undefined ? [] : ['Proc-Type: 4,ENCRYPTED', `DEK-Info: ${info}`, ''];
    const lines = [...headers, ...(base64.match(/.{1,64}/g) ?? [])];
    return { pem: `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`, label };
}
/** What a text without a whole private key is instead; `label`: of the first thing in it that is whole. */
function notAKey(plain, label) {
    const cut = { wrong: 'is cut off: it has no matching -----END line', right: PASTE };
    if (/-----BEGIN [A-Z0-9 ]*PRIVATE KEY/.test(plain))
        return cut;
    const foreign = otherFormat(plain);
    if (foreign)
        return foreign;
    if (label?.endsWith('PUBLIC KEY'))
        return { wrong: 'is a public key', right: PASTE };
    if (label !== undefined)
        return { wrong: `is not a private key but ${label.toLowerCase()}`, right: PASTE };
    if (plain.includes('-----BEGIN'))
        return cut;
    return { wrong: 'is not a private key: it has no -----BEGIN line', right: PASTE };
}
function otherFormat(text) {
    if (text.startsWith('PuTTY-User-Key-File')) {
        return {
            wrong: "is in PuTTY's own format (PPK)",
            right: 'Convert it: puttygen key.ppk -O private-openssh -o key   and put the content of the new file here.',
        };
    }
    if (/^(ssh-(rsa|dss|ed25519)|ecdsa-sha2-\S+|sk-\S+@openssh\.com) AAAA/.test(text) ||
        /^---- BEGIN SSH2 PUBLIC/.test(text))
        return { wrong: 'is a public key', right: PASTE };
    if (/^SHA256:/.test(text))
        return { wrong: 'is a fingerprint, which belongs into ssh-fingerprint', right: PASTE };
    if (/^(~|\.{0,2}\/)[^\n]*$/.test(text))
        return { wrong: 'is the path of a file', right: PASTE };
    return undefined;
}
/** PKCS#8 (openssl genpkey, cloud consoles) in a form that the client reads. */
async function fromPkcs8(pem, passphrase) {
    const encrypted = pem.includes('-----BEGIN ENCRYPTED');
    if (encrypted && passphrase === undefined)
        return explainParseError('no passphrase given');
    let key;
    try {
        key = (0,external_node_crypto_.createPrivateKey)({ key: pem, format: 'pem', ...(0,defined_only/* definedOnly */.U)({ passphrase }) });
    }
    catch {
        return explainParseError(encrypted ? 'bad passphrase' : '');
    }
    switch (key.asymmetricKeyType) {
        case 'rsa':
            return { pem: key.export({ type: 'pkcs1', format: 'pem' }).toString() };
        case 'ec':
            return { pem: key.export({ type: 'sec1', format: 'pem' }).toString() };
        case 'ed25519':
            return { pem: opensshEd25519(key) };
        default:
            return explainParseError('unsupported');
    }
}
/** The OpenSSH form of an ed25519 key (PROTOCOL.key of OpenSSH), which Node cannot export. */
function opensshEd25519(key) {
    const jwk = key.export({ format: 'jwk' });
    const seed = Buffer.from(jwk.d, 'base64url');
    const open = Buffer.from(jwk.x, 'base64url');
    const type = field('ssh-ed25519');
    const check = Buffer.from([0, 0, 0, 1, 0, 0, 0, 1]);
    const inner = Buffer.concat([check, type, field(open), field(Buffer.concat([seed, open])), field('')]);
    const padding = Buffer.from(Array.from({ length: (8 - (inner.length % 8)) % 8 }, (_, index) => index + 1));
    const blob = Buffer.concat([
        Buffer.from('openssh-key-v1\0', 'latin1'),
        field('none'),
        field('none'),
        field(''),
        Buffer.from([0, 0, 0, 1]),
        field(Buffer.concat([type, field(open)])),
        field(Buffer.concat([inner, padding])),
    ]);
    const lines = blob.toString('base64').match(/.{1,70}/g) ?? [];
    return `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines.join('\n')}\n-----END OPENSSH PRIVATE KEY-----\n`;
}
function field(value) {
    const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return Buffer.concat([length, bytes]);
}
function keyFailure({ wrong, right }) {
    return new Failure({ message: `ssh-private-key ${wrong}`, next: right });
}

;// CONCATENATED MODULE: ./compiled/src/server/fleet/fleet.js











const RECONNECT_FOR = 180_000;
function openFleet({ ssh }, options) {
    const closing = new AbortController();
    manyMayListen(closing.signal);
    let key;
    let worker;
    const readKey = () => {
        key ??= readPrivateKey(ssh.privateKey.reveal(), ssh.passphrase?.reveal());
        return key;
    };
    const open = (target, via) => openConnection(target, via, readKey, options, closing.signal);
    const targets = targetsOf(ssh);
    const jump = targets.jump && line(targets.jump, undefined, open);
    const lines = targets.hosts.map((target) => line(target, jump, open));
    return {
        hosts: lines.map((own, index) => hostOf(own, index + 1, lines.length > 1)),
        connect() {
            for (const own of lines)
                own.connection().catch(() => { });
        },
        worker: () => {
            worker ??= (0,promises_namespaceObject.readFile)((0,external_node_path_.join)(options.dist, 'worker.js'), 'utf8');
            return worker;
        },
        reconnectFor: options.reconnectFor ?? RECONNECT_FOR,
        async close() {
            closing.abort();
            for (const own of [...lines, ...(jump ? [jump] : [])])
                own.close();
        },
    };
}
/** What to connect to, with what each server is trusted by. */
function targetsOf(ssh) {
    const several = ssh.hosts.length > 1;
    const only = !several && ssh.jump === undefined;
    const target = (server, { host, port, user }) => ({
        server,
        address: { host, port },
        user,
        trust: trustFor({ host, port }, ssh, only),
    });
    return {
        hosts: ssh.hosts.map((host, index) => target(several ? `host ${index + 1}` : 'the server', host)),
        ...(ssh.jump ? { jump: target('the jump host', ssh.jump) } : {}),
    };
}
function line(target, via, open) {
    let current;
    let live;
    return {
        target,
        connection() {
            if (live?.lost) {
                live = undefined;
                current = undefined;
            }
            current ??= open(target, via).then((connection) => {
                live = connection;
                return connection;
            }, (error) => {
                current = undefined;
                throw error;
            });
            return current;
        },
        drop(connection) {
            connection.close();
            if (live !== connection)
                return;
            live = undefined;
            current = undefined;
        },
        close() {
            live?.close();
        },
    };
}
function openConnection(target, via, key, options, signal) {
    return connect(target, {
        key,
        signal,
        ...(0,defined_only/* definedOnly */.U)({ readyTimeout: options.readyTimeout, patience: options.patience }),
        ...(via ? { open: async (to) => (await via.connection()).forward(to) } : {}),
        onRetry: (error, waitMs) => options.log({
            kind: 'progress',
            text: `${error.message}; trying again in ${(waitMs / 1_000).toFixed(1)} s`,
        }),
    });
}
function hostOf(own, position, several) {
    return {
        position,
        name: own.target.server,
        prefix: several ? `host ${position}: ` : '',
        exec: (command, options = {}) => {
            manyMayListen(options.signal);
            // A server at its limit of sessions has run nothing, so this alone may be repeated.
            return retry({
                tries: 5,
                deadline: 20_000,
                first: 200,
                longest: 3_000,
                ...(0,defined_only/* definedOnly */.U)({ signal: options.signal }),
                worthwhile: (error) => error instanceof SshError && error.kind === 'no-session',
            }, async () => {
                const connection = await abortable(own.connection(), options.signal);
                try {
                    return await connection.exec(command, options);
                }
                catch (error) {
                    if (error instanceof SshError && error.kind === 'lost')
                        own.drop(connection);
                    throw error;
                }
            });
        },
    };
}
/** All servers listen to one signal. Node takes more than ten listeners for a leak, and would print a warning. */
function manyMayListen(signal) {
    if (signal)
        (0,external_node_events_.setMaxListeners)(0, signal);
}
/** The connection is shared, so a person who cancels leaves it to the others and only stops waiting. */
function abortable(work, signal) {
    if (!signal)
        return work;
    return new Promise((resolve, reject) => {
        const listenNoMore = whenAborted(signal, () => reject(new Cancelled()));
        work.then(resolve, reject).finally(listenNoMore);
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
    return (0,external_node_crypto_.timingSafeEqual)(mac(key, n, event), Buffer.from(seal, 'hex')) ? { n, event } : undefined;
}
function mac(key, n, event) {
    return (0,external_node_crypto_.createHmac)('sha256', key).update(`${n}\n${event}`).digest();
}

;// CONCATENATED MODULE: ./compiled/src/lib/json-shape.js
/** The value is not what it should be; the message says where and what. */
class JsonMismatch extends Error {
    expected;
    path;
    constructor(expected, path = []) {
        super(path.length === 0 ? `is not ${expected}` : `${path.join('.')} is not ${expected}`);
        this.expected = expected;
        this.path = path;
    }
    /** The same, seen from what the value is a part of. */
    within(name) {
        return new JsonMismatch(this.expected, [name, ...this.path]);
    }
}
/** Characters; longer texts are cut. */
const LONGEST_TEXT = 64_000;
/** Reads a text of at most 64,000 characters; a longer one is cut. @throws Mismatch */
const jsonText = (value) => {
    if (typeof value !== 'string')
        throw new JsonMismatch('a text');
    return value.slice(0, LONGEST_TEXT);
};
/** Reads true or false. @throws Mismatch */
const jsonFlag = (value) => {
    if (typeof value !== 'boolean')
        throw new JsonMismatch('true or false');
    return value;
};
/** Reads a number from `least` to `most`, both included. @throws Mismatch (the reader) */
function jsonNumber(least, most) {
    return (value) => {
        if (typeof value !== 'number' || !(value >= least && value <= most))
            throw new JsonMismatch(`a number from ${least} to ${most}`);
        return value;
    };
}
/** Reads a whole number from `least` on. @throws Mismatch (the reader) */
function jsonWhole(least = 0) {
    return (value) => {
        if (!Number.isSafeInteger(value) || value < least)
            throw new JsonMismatch('a whole number');
        return value;
    };
}
/** Reads one of these values. @throws Mismatch (the reader) */
function jsonOneOf(...values) {
    return (value) => {
        const known = values.find((each) => each === value);
        if (known === undefined)
            throw new JsonMismatch(values.map(String).join(', '));
        return known;
    };
}
/** Reads null, or what `read` reads. */
function jsonNullable(read) {
    return (value) => (value === null ? null : read(value));
}
/** Reads a list; entries above `most` are left out. @throws Mismatch (the reader), which names the entry */
function jsonList(read, most = 1_000) {
    return (value) => {
        if (!Array.isArray(value))
            throw new JsonMismatch('a list');
        return value.slice(0, most).map((item, index) => inside(String(index), read, item));
    };
}
/** Marks a field of a record as one that may be missing. */
function jsonOptional(read) {
    return { maybe: read };
}
/** Reads an object by its fields. @throws Mismatch (the reader), which names the field */
function jsonRecord(fields) {
    const known = Object.entries(fields);
    return (value) => {
        const given = asObject(value);
        const copy = {};
        for (const [name, field] of known) {
            const item = Object.hasOwn(given, name) ? given[name] : undefined;
            if (typeof field === 'function')
                copy[name] = inside(name, field, item);
            else if (item !== undefined)
                copy[name] = inside(name, field.maybe, item);
        }
        return copy;
    };
}
/** Reads an object by its `kind`. @throws Mismatch (the reader) */
function jsonByKind(variants) {
    const readers = new Map(Object.entries(variants).map(([kind, fields]) => [kind, jsonRecord(fields)]));
    return (value) => {
        const { kind } = asObject(value);
        const read = typeof kind === 'string' ? readers.get(kind) : undefined;
        if (read === undefined)
            throw new JsonMismatch(`one of ${[...readers.keys()].join(', ')}`, ['kind']);
        return { kind, ...read(value) };
    };
}
function asObject(value) {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
        throw new JsonMismatch('an object');
    return value;
}
function inside(name, read, value) {
    try {
        return read(value);
    }
    catch (error) {
        throw error instanceof JsonMismatch ? error.within(name) : error;
    }
}

;// CONCATENATED MODULE: ./compiled/src/worker/protocol.js
/** Starts each line that a short command prints for the action. */
const LINE_MARK = 'muva-worker ';

;// CONCATENATED MODULE: ./compiled/src/server/worker-messages.js


/** What a server sends to the action, read by its type: fields that the type does not have are dropped here. */
/** Milliseconds that something took; more than a year is no time. */
const took = jsonNumber(0, 31_536_000_000);
/** Milliseconds since the epoch, as a date can hold them. */
const time = jsonNumber(0, 8_640_000_000_000_000);
const pid = jsonWhole(1);
/** Network disks tell more than a safe integer holds, and full ones less than nothing. */
const amount = jsonNumber(-1e30, 1e30);
const position = jsonRecord({
    file: jsonText,
    line: jsonWhole(),
    column: jsonWhole(),
    text: jsonOptional(jsonText),
});
const problem = jsonRecord({
    message: jsonText,
    code: jsonOptional(jsonText),
    at: jsonOptional(position),
    next: jsonOptional(jsonText),
});
const problems = jsonList(problem);
const step = jsonRecord({
    name: jsonText,
    outcome: jsonOneOf('passed', 'failed', 'skipped', 'unknown'),
    startedAt: time,
    milliseconds: took,
    detail: jsonOptional(jsonText),
});
const timings = jsonRecord({
    dns: jsonNullable(took),
    connect: jsonNullable(took),
    tls: jsonNullable(took),
    'first-byte': jsonNullable(took),
    total: took,
});
const fault = jsonOneOf('dns', 'route', 'connect', 'tls', 'timeout', 'cut', 'status', 'redirect', 'body', 'version', 'assets', 'query');
const check = jsonRecord({
    name: jsonText,
    from: jsonOneOf('runner', 'vps'),
    ok: jsonFlag,
    status: jsonNullable(jsonWhole()),
    'latency-ms': jsonNullable(took),
    attempts: jsonWhole(),
    detail: jsonOptional(jsonText),
    timings: jsonOptional(timings),
    fault: jsonOptional(fault),
    next: jsonOptional(jsonText),
    'days-left': jsonOptional(jsonNumber(-100_000, 100_000)),
});
const result = jsonRecord({
    outcome: jsonOneOf('deployed', 'unchanged', 'rolled-back', 'put-back', 'failed', 'broken', 'cancelled', 'newer-is-live'),
    previousSha: jsonOptional(jsonText),
    deployedSha: jsonOptional(jsonText),
    release: jsonOptional(jsonText),
    downtimeMs: jsonOptional(took),
    rollbackMs: jsonOptional(took),
    rehearsed: jsonOptional(jsonFlag),
    health: jsonOptional(jsonList(check)),
    problems,
    warnings: problems,
});
const worker_messages_event = jsonByKind({
    started: { pid, at: time },
    progress: { text: jsonText },
    step: { step },
    output: { source: jsonText, text: jsonText },
    warning: { problem },
    state: {
        state: jsonOneOf('waiting-for-lock', 'preparing', 'built', 'rehearsed', 'cutting-over', 'verifying', 'putting-back'),
    },
    ended: { result },
});
const rollbackTarget = jsonByKind({
    go: { to: jsonRecord({ sha: jsonText, release: jsonText }), forward: jsonFlag, runs: jsonList(jsonText) },
    nothing: { why: jsonText, runs: jsonList(jsonText), overtakenBy: jsonOptional(jsonText) },
    refused: { problem },
});
const holder = jsonRecord({
    runId: jsonText,
    session: jsonOptional(jsonText),
    url: jsonOptional(jsonText),
    since: time,
    pid: jsonWhole(),
});
const host = jsonRecord({
    node: jsonOptional(jsonText),
    git: jsonOptional(jsonText),
    pm2: jsonOptional(jsonText),
    layout: jsonOneOf('checkout', 'releases', 'absent', 'other'),
    strategy: jsonOneOf('in-place', 'releases', 'adopt'),
    stateFolder: jsonOptional(jsonText),
    environment: jsonOptional(jsonText),
    liveSha: jsonOptional(jsonText),
    liveRelease: jsonOptional(jsonText),
    liveRun: jsonOptional(jsonText),
    liveVerified: jsonFlag,
    newerIsLive: jsonOptional(jsonOneOf(true)),
    wayBack: jsonOptional(rollbackTarget),
    shaOnRemote: jsonOptional(jsonFlag),
    dirtyFiles: jsonList(jsonText, 100_000),
    freeBytes: amount,
    freeInodes: jsonOptional(amount),
    memoryBytes: amount,
    port: jsonOptional(jsonNumber(0, 65_535)),
    entry: jsonOptional(jsonRecord({
        mode: jsonOneOf('cluster', 'fork'),
        instances: jsonWhole(),
        status: jsonText,
        script: jsonText,
    })),
    lock: jsonOptional(jsonRecord({ holder: jsonOptional(holder) })),
    notRehearsedWhy: jsonOptional(jsonText),
    refusals: problems,
    deployRefusals: problems,
    warnings: problems,
});
const worker_messages_line = jsonByKind({
    host: { facts: host },
    'token-needed': {},
    started: { pid },
    probed: { health: jsonList(check), healthy: jsonFlag },
    event: { offset: jsonWhole(), line: jsonText },
    heartbeat: {},
    gone: { problem },
    'cut-off': {},
    signalled: { accepted: jsonFlag, detail: jsonText },
    refused: { problems },
});
/** Reads one line of stdout; undefined for a line of another program (a login message, a profile). Never throws. */
function parseWorkerLine(said) {
    return said.startsWith(LINE_MARK) ? parse(worker_messages_line, said.slice(LINE_MARK.length)) : undefined;
}
/** Reads an event, as it stands in a sealed line. Never throws. */
function parseWorkerEvent(json) {
    return parse(worker_messages_event, json);
}
function parse(read, json) {
    try {
        return { value: read(JSON.parse(json)) };
    }
    catch (error) {
        if (error instanceof JsonMismatch)
            return { wrong: error.message };
        return { wrong: 'is not JSON' };
    }
}

;// CONCATENATED MODULE: ./compiled/src/server/run-events.js




/**
 * The record of a run was changed by somebody else, so that it no longer tells what happened. The run itself goes on,
 * and what it did is found out by looking at the server.
 */
class TamperedRecord extends Failure {
    constructor(prefix, why) {
        super({
            message: `${prefix}${why}: what the run did there is not known from its record`,
            next: 'A program of the deploy user changes events.jsonl of the run, most likely the build. Look at what it does; the next run looks at what is live, and repairs it.',
        }, 'unknown');
        this.name = 'TamperedRecord';
    }
}
/** What other programs may add to the record of a run before it is given up. */
const MOST_LINES = 1_000_000;
const MOST_CHARACTERS = 128 * 1_048_576;
/** What a worker may tell of itself: steps and warnings are kept until the end of the run. */
const MOST_KEPT = 5_000;
/** Begins at the first line of a run's record. */
function runEvents({ key, prefix, onDropped }) {
    let next = 1;
    let kept = 0;
    const strange = { lines: 0, characters: 0 };
    const told = new Set();
    const drop = (kind, why, next) => {
        if (!told.has(kind))
            onDropped({ message: prefix + why, ...(0,defined_only/* definedOnly */.U)({ next }) });
        told.add(kind);
        return undefined;
    };
    return {
        read(line) {
            const opened = unseal(key, line);
            if (opened === undefined || opened.n < next) {
                strange.lines += 1;
                strange.characters += line.length;
                if (strange.lines > MOST_LINES || strange.characters > MOST_CHARACTERS)
                    throw new TamperedRecord(prefix, 'the record of the run on the server is flooded');
                return drop('stranger', 'another program than the worker writes into the record of this run on the server; what it writes is ignored', 'It runs as the deploy user, and is most likely the build: look at what it does. SECURITY.md says what such a program can do.');
            }
            if (opened.n > next)
                throw new TamperedRecord(prefix, `the record of the run on the server lacks line ${next}`);
            next += 1;
            const parsed = parseWorkerEvent(opened.event);
            if ('wrong' in parsed)
                return drop('not understood', `the worker tells something that this version does not understand (${parsed.wrong}); it is ignored`, 'Run the job again; where it stays, it is a fault of this action.');
            const { value } = parsed;
            if (value.kind === 'step' || value.kind === 'warning')
                kept += 1;
            return kept > MOST_KEPT && (value.kind === 'step' || value.kind === 'warning')
                ? drop('too many', `the run tells more than ${MOST_KEPT} steps and warnings; the rest is left out`)
                : value;
        },
    };
}

;// CONCATENATED MODULE: ./compiled/src/server/start-detached.js
/**
 * Runs on the server, inside `node -`: its source text is sent, so it uses nothing but its arguments.
 * Writes the worker into a new folder that only the user can read, starts it in a session of its own, where no lost
 * connection reaches it, gives it the run's key and the request through a pipe, so that no file ever holds them, and
 * waits until it has taken them (it removes the file `waiting` as soon as it has read them). Prints one line: `started`, or `refused` with what went wrong.
 */
function startDetached(load, bundle, request, key) {
    const fs = load('node:fs');
    const { spawn } = load('node:child_process');
    const { tmpdir } = load('node:os');
    const MARK = 'muva-worker ';
    /** Milliseconds for taking the request, and after that for refusing it. */
    const PATIENCE = 30_000;
    const SECOND_THOUGHTS = 300;
    const refuse = (message, next) => {
        console.log(`${MARK}${JSON.stringify({ kind: 'refused', problems: [{ message, next }] })}`);
    };
    let folder = '';
    let output = 0;
    try {
        if ((fs.statSync(tmpdir()).mode & 0o1002) === 0o002) {
            refuse(`${tmpdir()} can be written by every user of the server and has no sticky bit: another one could change what is run`, `Run once on the server: sudo chmod +t ${tmpdir()}`);
            return;
        }
        folder = fs.mkdtempSync(`${tmpdir()}/muva-deploy-`);
        fs.writeFileSync(`${folder}/worker.js`, bundle, { mode: 0o600 });
        fs.writeFileSync(`${folder}/waiting`, '', { mode: 0o600 });
        output = fs.openSync(`${folder}/output`, 'a', 0o600);
    }
    catch (error) {
        refuse(`the worker could not be stored on the server: ${error}`, 'Look at the room there: df -h /tmp; df -i /tmp');
        if (folder)
            fs.rmSync(folder, { recursive: true, force: true });
        return;
    }
    const child = spawn(process.execPath, [`${folder}/worker.js`, '--waiting', `${folder}/waiting`], {
        cwd: '/',
        detached: true,
        stdio: ['pipe', output, output],
    });
    // A worker that ended before it read all is told by its end.
    child.stdin?.on('error', () => { }).end(`${key}\n${request}`);
    let ended;
    child.once('error', (error) => {
        ended = String(error);
    });
    child.once('exit', (code, signal) => {
        ended = signal ?? `exit code ${code}`;
    });
    const from = Date.now();
    let takenAt;
    const timer = setInterval(() => {
        const now = Date.now();
        if (!fs.existsSync(`${folder}/waiting`))
            takenAt ??= now;
        const said = fs.readFileSync(`${folder}/output`, 'utf8');
        const answer = said.split('\n').find((line) => line.startsWith(MARK));
        const settled = takenAt !== undefined && (ended !== undefined || now - takenAt > SECOND_THOUGHTS);
        const hopeless = ended !== undefined || now - from > PATIENCE;
        if (answer === undefined && !settled && !hopeless)
            return;
        clearInterval(timer);
        child.unref();
        if (answer !== undefined) {
            console.log(answer);
        }
        else if (takenAt !== undefined && (ended === undefined || ended === 'exit code 0')) {
            console.log(`${MARK}${JSON.stringify({ kind: 'started', pid: child.pid })}`);
        }
        else {
            if (ended === undefined && child.pid)
                process.kill(-child.pid, 'SIGKILL');
            const why = `${ended ?? `it did nothing for ${PATIENCE / 1_000} s`} ${said.slice(-2_000)}`;
            refuse(`the worker did not start: ${why.trim()}`, 'Nothing was changed. Check the server, and run the job again.');
        }
        fs.rmSync(folder, { recursive: true, force: true });
    }, 10);
}

;// CONCATENATED MODULE: ./compiled/src/server/worker-command.js

/**
 * What is sent to a server: one fixed shell text that finds Node, and over its stdin a program. Pure text, so that
 * tests can compare it and feed it to real shells. No value of a run is ever part of a command line.
 */
/** Exit code of the shell text where the server has no Node that could run the worker. */
const NO_NODE = 97;
/** The worker's bundle is written for this version and newer ones. */
const OLDEST_NODE = 18;
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
const RUN_NODE = `sh -c '${FIND_NODE}'`;
/**
 * The worker with its request, for `node -`. All of it stands inside one function: a text that was cut on the way
 * is a syntax error and runs nothing.
 */
function streamedWorker(bundle, request) {
    return `(function () {\nglobalThis.MUVA_REQUEST = ${JSON.stringify(request)};\n${bundle}\n})();\n`;
}
/** A program for `node -` that leaves the worker on the server, running on its own; `key` seals what it tells. */
function detachedWorker(bundle, request, key) {
    const words = [bundle, JSON.stringify(request), key.toString('hex')].map((text) => JSON.stringify(text));
    return `(${startDetached.toString()})(require, ${words.join(', ')});\n`;
}

;// CONCATENATED MODULE: ./compiled/src/server/ssh/exit-status.js


/** Why the program on a server did not do its work, from the way it ended; each way has another remedy. Names no host. */
function exitProblem(server, { code, signal, stdout, stderr }) {
    const killed = signal === 'KILL' || code === 137;
    const said = lastOutputLines(stderr) || lastOutputLines(stdout);
    const quoted = said ? `: ${said}` : '';
    if (code === NO_NODE) {
        return {
            message: `${server} has no Node ${OLDEST_NODE} or newer that could be found`,
            code: String(code),
            next: 'Install Node for the deploy user (nvm, fnm, volta, asdf, n, or the system package), or link it: ln -s "$(command -v node)" ~/.local/bin/node',
        };
    }
    if (killed) {
        return {
            message: `the program on ${server} was killed (SIGKILL)${quoted}`,
            code: 'SIGKILL',
            next: 'Mostly the server ran out of memory: look with journalctl -k | grep -i oom, and add memory or swap, or use build-on: runner.',
        };
    }
    if (signal !== null) {
        return { message: `the program on ${server} was ended by SIG${signal}${quoted}`, code: `SIG${signal}` };
    }
    if (code === 127 || code === 126) {
        const what = code === 127 ? 'was not found' : 'may not be run';
        return {
            message: `a program on ${server} ${what}${quoted}`,
            code: String(code),
            next: 'Without a terminal PATH is short: check with  ssh <server> env  and install the program for the deploy user.',
        };
    }
    return { message: `the program on ${server} ended with exit code ${code}${quoted}`, code: String(code) };
}
/** True for ends that say by themselves what they come from, whatever was or was not printed. */
function isKnownEnd({ code, signal }) {
    return signal !== null || code === NO_NODE || code === 137 || code === 127 || code === 126;
}
/**
 * Why a login ended without our command having been run at all: a shell for people who may not log in (nologin,
 * git-shell), a forced command, or a shell that does not read the text (tcsh). What it said instead is the reason.
 */
function notRunProblem(server, { code, stdout, stderr }) {
    // Some shells repeat the whole command behind their complaint.
    const [complaint] = stderr.split('\n').filter((line) => line.trim() !== '');
    const said = complaint === undefined ? lastOutputLines(stdout) : textStart(complaint.trim(), 200);
    return {
        message: `the login on ${server} did not run our command, and ended with exit code ${code}${said ? `: ${said}` : ''}`,
        code: String(code),
        next: 'The account must be able to run sh: check its login shell (getent passwd), and command= in authorized_keys or ForceCommand in sshd_config.',
    };
}
function lastOutputLines(text) {
    const lines = text.split('\n').map((line) => line.trim());
    const last = lines.filter((line) => line !== '').slice(-3);
    return textEnd(last.join(' / '), 500);
}

;// CONCATENATED MODULE: ./compiled/src/server/ssh/line-reader.js
/** Longer lines are dropped: no answer of the worker is that long, and what a server sends must not fill our memory. */
const LONGEST_LINE = 4 * 1024 * 1024;
/** Cuts chunks of bytes into lines of text, whatever the chunks' borders; invalid UTF-8 becomes U+FFFD. */
function lineReader(onLine, longest = LONGEST_LINE) {
    const decoder = new TextDecoder('utf-8');
    let parts = [];
    let length = 0;
    return (chunk) => {
        const pieces = decoder.decode(chunk, { stream: true }).split('\n');
        pieces.forEach((piece, index) => {
            length += piece.length;
            if (length <= longest)
                parts.push(piece);
            else
                parts = [];
            if (index === pieces.length - 1)
                return;
            if (length <= longest)
                onLine(parts.join('').replace(/\r$/, ''));
            parts = [];
            length = 0;
        });
    };
}

;// CONCATENATED MODULE: ./compiled/src/server/worker-client.js











/** `followRun` sends a heartbeat every 5 seconds; a connection that is silent for four of them is dead. */
const worker_client_SILENCE = 20_000;
/** Milliseconds for a start or a word; each takes well under a second of work. */
const SHORT = 60_000;
/** Conversations in a row that ended well and told nothing before that is taken for the last word. */
const MOST_SILENT = 5;
/** Messages of a follower that are none of the worker's before it is given up. */
const MOST_WRONG = 1_000;
/** Lines kept of what a login says that does not come from the worker. */
const KEPT_LINES = 3;
/**
 * Runs a program in the server's Node and returns the last of the worker's lines that `onLine` did not take. `onWrong`
 * is told of those that are not what a worker says.
 */
async function converse(host, program, options, onLine = () => false, onWrong = () => { }) {
    let answer;
    // The shell text prints an empty line in front of Node: without one, and without a word of the worker, it never ran.
    let ran = false;
    let wrong;
    const others = [];
    const result = await host.exec(RUN_NODE, {
        ...options,
        stdin: program,
        onStdout: lineReader((text) => {
            const said = parseWorkerLine(text);
            ran ||= said !== undefined || text === '';
            if (said === undefined) {
                if (text.trim() !== '')
                    others.push(textStart(text, 200));
                if (others.length > KEPT_LINES)
                    others.shift();
            }
            else if ('wrong' in said) {
                wrong ??= said.wrong;
                onWrong(said.wrong);
            }
            else if (!onLine(said.value))
                answer = said.value;
        }),
    });
    if (answer?.kind === 'refused')
        throw new Failure(answer.problems.map((problem) => onHost(host, problem)));
    if (answer !== undefined)
        return answer;
    const ended = { ...result, stdout: others.join('\n') };
    if (!ran && !isKnownEnd(ended))
        throw new Failure(notRunProblem(host.name, ended));
    if (ended.code !== 0)
        throw new Failure(exitProblem(host.name, ended));
    if (wrong !== undefined)
        throw new NotUnderstood(host, wrong);
    return undefined;
}
/** The only answer was none of those that there are. */
class NotUnderstood extends Failure {
    constructor(host, wrong) {
        super({
            message: `${host.prefix}the answer of the worker is not understood (${wrong})`,
            next: 'Look at what the login of the deploy user runs (its profile, its Node), and run the job again.',
        });
        this.name = 'NotUnderstood';
    }
}
/** A problem that happened on a server, with the server's position in front where there are several; once. */
function onHost({ name, prefix }, problem) {
    const said = problem.message.startsWith(prefix) || problem.message.startsWith(`${name} `);
    return said ? problem : { ...problem, message: prefix + problem.message };
}
/**
 * One question, one answer; nothing is left on the server. All of them may be asked again, so a lost connection
 * is repaired by asking again. Throws a Failure with the host's position.
 */
async function askWorker(fleet, host, request, options) {
    const program = streamedWorker(await fleet.worker(), request);
    try {
        const answer = await repeated(options.signal, () => converse(host, program, options));
        if (answer)
            return answer;
    }
    catch (error) {
        throw asFailure(error);
    }
    throw new Failure({ message: `${host.prefix}the worker ended without an answer` });
}
function repeated(signal, work) {
    return retry({
        tries: 3,
        deadline: SHORT,
        first: 500,
        longest: 2_000,
        ...(0,defined_only/* definedOnly */.U)({ signal }),
        // Connecting has been repeated already; what is left is a connection that broke meanwhile.
        worthwhile: (error) => error instanceof SshError && error.kind === 'lost',
    }, work);
}
/**
 * Starts a run that goes on by itself, and seals what it tells with `key`. Starting it twice is safe: the second worker leaves the first alone.
 * A Failure with the outcome `unknown` means that a worker may be running all the same.
 */
async function startRun(fleet, host, request, key) {
    const program = detachedWorker(await fleet.worker(), request, key);
    let answer;
    let mayRun = false;
    try {
        answer = await repeated(undefined, async () => {
            try {
                return await converse(host, program, { deadline: SHORT });
            }
            catch (error) {
                mayRun ||= error instanceof SshError && (error.kind === 'lost' || error.kind === 'deadline');
                throw error;
            }
        });
    }
    catch (error) {
        throw asFailure(error, mayRun ? 'unknown' : 'failed');
    }
    if (answer?.kind !== 'started')
        throw new Failure({ message: `${host.prefix}the server did not say whether the worker was started` }, 'unknown');
}
/** Says one word to a run, which may have gone past it; `ask` only asks whether its worker is there. */
async function sendSignal(fleet, host, command, request) {
    const { app, run, command: task } = request;
    const answer = await askWorker(fleet, host, { command, app, run, task }, { deadline: SHORT });
    if (answer.kind === 'signalled')
        return answer;
    throw new Failure({ message: `${host.prefix}the worker answered something else` });
}
/** The worker ended without a result; what it left half done is repaired by the next run on that host. */
class WorkerDied extends Failure {
    constructor(problem) {
        super(problem, 'unknown');
        this.name = 'WorkerDied';
    }
}
/** States in which a run waits. */
const UNTIMED = ['waiting-for-lock', 'built', 'rehearsed'];
/**
 * Tells the events of a started run until it has ended, over as many connections as it takes, each event once.
 * Throws a Failure with the outcome `unknown` where the server stays away, the worker ended without a result, or its
 * record was tampered with: whatever goes wrong with the telling, the run itself goes on.
 */
async function followRun(fleet, host, request, options) {
    const bundle = await fleet.worker();
    const { app, run, command: task } = request;
    const over = new AbortController();
    const heard = { at: performance.now(), offset: 0, silent: 0, wrong: 0, over };
    const clock = stopClock(options.deadline, () => {
        heard.broken ??= overdue(host);
        over.abort();
    });
    const onEvent = (event) => {
        if (event.kind === 'state' && UNTIMED.includes(event.state))
            clock.pause();
        else if (event.kind === 'state')
            clock.resume();
        options.onEvent(event);
    };
    const { key, onDropped } = options;
    const events = runEvents({ key, prefix: host.prefix, onDropped });
    clock.resume();
    try {
        for (;;) {
            let lost = new Failure({ message: `${host.prefix}the worker stopped telling` });
            try {
                const program = streamedWorker(bundle, { command: 'follow', app, run, task, offset: heard.offset });
                await worker_client_listen(host, program, events, heard, { ...options, onEvent });
                heard.silent += 1;
            }
            catch (error) {
                if (error instanceof NotUnderstood)
                    heard.silent += 1;
                lost = error;
            }
            // The result may have come just before the connection went: nothing is unknown then.
            if (heard.result)
                return heard.result;
            if (heard.broken !== undefined)
                throw heard.broken;
            if (lost instanceof WorkerDied)
                throw lost;
            const final = (!(lost instanceof Failure) && !isWorthRetrying(lost)) || heard.silent >= MOST_SILENT;
            if (final || performance.now() - heard.at > fleet.reconnectFor)
                throw new Failure(sshProblems(lost), 'unknown');
            options.onLost(sshProblems(lost)[0]);
            await pause(250);
        }
    }
    finally {
        clock.pause();
    }
}
/** Hears over one connection, until it ends or there is nothing more to be heard. */
async function worker_client_listen(host, program, events, heard, { onEvent, onDropped }) {
    const { over } = heard;
    const breakOff = (why) => {
        heard.broken ??= why;
        over.abort();
    };
    const onLine = (said) => {
        heard.at = performance.now();
        if (said.kind === 'heartbeat')
            return true;
        if (said.kind !== 'event')
            return false;
        // What comes after the end is nobody's: the server streams until the worker's process is gone.
        if (over.signal.aborted)
            return true;
        heard.offset = said.offset;
        try {
            const event = events.read(said.line);
            if (event === undefined)
                return true;
            heard.silent = 0;
            onEvent(event);
            if (event.kind !== 'ended')
                return true;
            heard.result = event.result;
            over.abort();
        }
        catch (error) {
            breakOff(error);
        }
        return true;
    };
    const onWrong = (why) => {
        heard.wrong += 1;
        if (heard.wrong === 1)
            onDropped(new NotUnderstood(host, why).problems[0]);
        if (heard.wrong > MOST_WRONG)
            breakOff(new TamperedRecord(host.prefix, 'the server sends more than the worker says'));
    };
    const options = { silence: worker_client_SILENCE, signal: over.signal };
    const last = await converse(host, program, options, onLine, onWrong);
    if (last?.kind === 'gone')
        throw new WorkerDied(onHost(host, last.problem));
    if (last?.kind === 'cut-off')
        breakOff(new TamperedRecord(host.prefix, 'the record of the run on the server was cut off or taken away'));
}
function overdue(host) {
    return new Failure({
        message: `${host.prefix}the run did not end within its time`,
        next: 'It may still go on there. Run the job again: it waits for the other run, and looks at what it left.',
    }, 'unknown');
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
const SERVER_PART = 3 / 4;
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

;// CONCATENATED MODULE: ./compiled/src/inputs/request-budget.js

/** What the run may ask of the application from there: the server and the runner share one budget where both ask. */
function requestBudget(settings, place) {
    const { health, run, skip, vps } = settings;
    const outside = health.url !== undefined && health.from !== 'vps' && !skip.includes('health');
    return budgetOf(place, place === 'server' ? !outside : vps === undefined, `${run.id}.${run.attempt}`);
}

;// CONCATENATED MODULE: ./compiled/src/server/worker-requests.js


function appRequest(settings) {
    const { vps, environment, adoptEnvironment } = settings;
    const database = databaseOf(settings);
    return {
        appPath: vps.appPath,
        appName: vps.appName,
        strategy: vps.strategy,
        ...(0,defined_only/* definedOnly */.U)({ environment }),
        adoptEnvironment,
        ...(0,defined_only/* definedOnly */.U)({ database, restartCommand: vps.restartCommand, healthPort: vps.healthPort }),
    };
}
/** Only a whole deploy, or the plan of one, says anything about the database. */
function databaseOf({ mode, database, skip }) {
    if ((mode !== 'deploy' && mode !== 'plan') || skip.includes('database'))
        return undefined;
    return database ? 'given' : 'missing';
}
function runRequest({ id, attempt, session, url, actor }, invocation) {
    return {
        id,
        attempt,
        ...(0,defined_only/* definedOnly */.U)({ invocation, session, url, actor }),
    };
}
function healthRequest(settings) {
    const { url, paths, timeout, deadline, successes, checkAssets, expectVersion } = settings.health;
    const known = url === undefined ? undefined : new URL(url);
    const basePath = known?.pathname.replace(/\/+$/, '') ?? '';
    return {
        paths: [...paths],
        ...(basePath === '' ? {} : { basePath }),
        ...(0,defined_only/* definedOnly */.U)({ publicOrigin: known?.origin }),
        timeout,
        deadline,
        successes,
        checkAssets,
        ...(0,defined_only/* definedOnly */.U)({ expectVersion }),
        budget: requestBudget(settings, 'server'),
    };
}
/** Where a server fetches the commit from, also where it has no origin. */
function fetchRequest({ vps, run }) {
    const { repository, serverUrl } = run;
    return {
        ...(0,defined_only/* definedOnly */.U)({ repositoryUrl: vps.repositoryUrl }),
        ...(repository === undefined ? {} : { jobRepositoryUrl: `${serverUrl}/${repository}.git` }),
    };
}
/**
 * The job's token, for a server that said that it has no access of its own. It opens the whole repository for as long
 * as the job runs, so no other server is sent it, and no request that fetches nothing.
 */
function withToken({ run, githubToken }) {
    return githubToken && run.repository
        ? { fetchAccess: { server: run.serverUrl, token: githubToken.reveal() } }
        : {};
}
/** Says that there is a token, and who issued it, to a server that may have to ask for it. */
function tokenOnRequest(settings) {
    const { fetchAccess } = withToken(settings);
    return fetchAccess === undefined ? {} : { fetchAccess: { server: fetchAccess.server } };
}
/** `undo`: asks what a rollback would do, instead of what a deploy would. */
function inspectRequest(settings, sha, undo) {
    return {
        command: 'inspect',
        app: appRequest(settings),
        run: runRequest(settings.run),
        ...(sha === undefined ? {} : { sha, ...fetchRequest(settings), ...tokenOnRequest(settings) }),
        explicit: settings.vps.refExplicit,
        rehearse: settings.vps.rehearse,
        health: healthRequest(settings),
        dirtyCheckout: settings.vps.dirtyCheckout,
        ...(settings.vps.envFile === undefined ? {} : { writesEnvFile: settings.vps.envFilePath }),
        sharedPaths: [...settings.vps.sharedPaths],
        buildOutput: [...settings.vps.buildOutput],
        envFilePath: settings.vps.envFilePath,
        ...(0,defined_only/* definedOnly */.U)({ undo }),
    };
}
/** `once`: a check that was good is not asked again. */
function probeRequest(settings, once = false) {
    const health = healthRequest(settings);
    return {
        command: 'probe',
        app: appRequest(settings),
        health: once ? { ...health, once } : health,
        // The mode `health` writes nothing on a host.
        counted: settings.mode !== 'health',
    };
}
/** `session`: the start of the action whose workers are to stop. */
function cancelSessionRequest(settings, session) {
    return {
        command: 'cancel-session',
        app: appRequest(settings),
        run: { ...runRequest(settings.run), session },
    };
}
function deployRequest(settings, details) {
    const { vps } = settings;
    const { sha, invocation, cutover, goLease } = details;
    return {
        command: 'deploy',
        app: appRequest(settings),
        run: runRequest(settings.run, invocation),
        sha,
        explicit: vps.refExplicit,
        ...fetchRequest(settings),
        ...(0,defined_only/* definedOnly */.U)({
            installCommand: vps.installCommand,
            buildCommand: vps.buildCommand,
            startCommand: vps.startCommand,
        }),
        buildOutput: [...vps.buildOutput],
        ...(vps.envFile === undefined ? {} : { envFile: vps.envFile.reveal() }),
        envFilePath: vps.envFilePath,
        sharedPaths: [...vps.sharedPaths],
        keepReleases: vps.keepReleases,
        rehearse: vps.rehearse,
        dirtyCheckout: vps.dirtyCheckout,
        health: healthRequest(settings),
        lockWait: vps.lockWait,
        timeout: vps.deployTimeout,
        cutover,
        goLease,
    };
}
function rollbackRequest(settings, invocation, undo) {
    return {
        command: 'rollback',
        app: appRequest(settings),
        run: runRequest(settings.run, invocation),
        ...undo,
        health: healthRequest(settings),
        lockWait: settings.vps.lockWait,
        timeout: settings.vps.deployTimeout,
    };
}

;// CONCATENATED MODULE: ./compiled/src/server/fleet/resolve-interrupted.js





/** Milliseconds; one look at a host. */
const LOOK = 30_000;
/** Milliseconds between looks at a host whose worker is still at work. */
const AGAIN = 2_000;
/**
 * Brings the workers that another start of the action left behind to an end: cancels what has not cut over, waits for
 * what has, and tells what every host serves then. Never throws for one host.
 */
async function resolveInterruptedFleet(servers, session) {
    const { fleet, settings } = servers;
    if (settings.vps.ref === undefined)
        return [];
    const sha = await exactCommit(settings.vps.ref, settings.workingDirectory);
    const settle = async (host) => {
        try {
            return factAfterwards(host, await afterItsWorkers(servers, host, session), sha);
        }
        catch (error) {
            return { host: host.position, outcome: 'unknown', detail: problemsOf(error)[0].message };
        }
    };
    return Promise.all(fleet.hosts.map(settle));
}
/**
 * What is found on a host when nothing of a session can change it any more. The mark comes before the look: a worker
 * that does not hold the lock then has seen it, or sees it before its cutover.
 */
async function afterItsWorkers({ fleet, settings, log, signal }, host, session) {
    const look = { deadline: LOOK, signal };
    await askWorker(fleet, host, cancelSessionRequest(settings, session), look);
    const request = inspectRequest(settings, undefined);
    const deadline = performance.now() + settings.vps.deployTimeout;
    for (let tries = 1;; tries++) {
        const answer = await askWorker(fleet, host, request, look);
        if (answer.kind !== 'host')
            throw new Failure({ message: `${host.name}: the worker answered something else` });
        if (answer.facts.lock?.holder?.session !== session)
            return answer.facts;
        if (tries === 1)
            log({
                kind: 'progress',
                text: `${host.prefix}stopping the deploy of this run, or waiting for its cutover`,
            });
        if (performance.now() > deadline)
            throw new Failure({ message: `${host.name}: the deploy of this run is still at work` });
        await pause(AGAIN, signal);
    }
}
/** What a host serves once nothing of this run is at work there any more. Pure. */
function factAfterwards(host, facts, sha) {
    const live = facts.liveSha === undefined ? {} : { 'deployed-sha': facts.liveSha };
    const release = facts.liveRelease === undefined ? {} : { release: facts.liveRelease };
    const serves = facts.liveSha === sha && facts.liveVerified;
    return { host: host.position, outcome: serves ? 'deployed' : 'unchanged', ...live, ...release };
}

;// CONCATENATED MODULE: external "node:stream/promises"
const external_node_stream_promises_namespaceObject = require("node:stream/promises");
// EXTERNAL MODULE: external "node:stream"
var external_node_stream_ = __nccwpck_require__(7075);
;// CONCATENATED MODULE: ./compiled/src/database/backup/pg-dump.js










/** The major version in `pg_dump (PostgreSQL) 17.2 (Debian 17.2-1)`; undefined for anything else. */
function majorOf(said) {
    const match = /^pg_dump \(PostgreSQL\) (\d+)/.exec(said.trim());
    return match ? Number(match[1]) : undefined;
}
/** The pg_dump that fits best: an older one than the server refuses, and the nearest newer one knows it best. */
function choosePgDump(found, serverMajor) {
    const fitting = found.filter(({ major }) => major >= serverMajor).sort((a, b) => a.major - b.major);
    if (fitting[0])
        return fitting[0];
    const newest = Math.max(...found.map(({ major }) => major));
    return {
        message: found.length === 0
            ? 'pg_dump is not installed on this machine, so there is no backup'
            : `pg_dump ${newest} is older than the server (PostgreSQL ${serverMajor}), so there is no backup`,
        code: 'PG_DUMP',
        next: `Install postgresql-client-${serverMajor} in a step before this one (from apt.postgresql.org: sudo apt-get install -y postgresql-common && sudo /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y && sudo apt-get install -y postgresql-client-${serverMajor}), or say backup: off.`,
    };
}
/** The pg_dump for a backup of this server over this way, or why there can be none. */
async function pgDumpFor(transport, serverMajor) {
    if (transport === 'transaction-pooler')
        return {
            message: 'a backup cannot be made through a transaction pooler: pg_dump needs one session',
            next: 'Give the session pooler or direct URL in database-url (port 5432), or say backup: off.',
        };
    return choosePgDump(await findPgDumps(), serverMajor);
}
/** Every pg_dump in PATH and where Debian's packages put the versions beside each other. */
async function findPgDumps(path = process.env.PATH ?? '') {
    const beside = '/usr/lib/postgresql';
    const versions = (0,external_node_fs_.existsSync)(beside) ? (0,external_node_fs_.readdirSync)(beside).map((name) => (0,external_node_path_.join)(beside, name, 'bin')) : [];
    const folders = new Set([...path.split(':').filter((folder) => folder.startsWith('/')), ...versions]);
    const candidates = [...folders].map((folder) => (0,external_node_path_.join)(folder, 'pg_dump')).filter((file) => (0,external_node_fs_.existsSync)(file));
    const asked = await Promise.all(candidates.map(async (file) => ({ path: file, major: await askPgDumpVersion(file) })));
    return asked.filter((found) => found.major !== undefined);
}
async function askPgDumpVersion(file) {
    const ended = await (0,local_programs/* runProgram */.mB)([file, '--version'], { timeout: 10_000 }).catch(() => undefined);
    return ended && majorOf(ended.stdout);
}
/** The words of the command line; no secret is among them, because any user of the machine can read them. */
function dumpArguments({ address, what, lockTimeout }) {
    return [
        '--format=custom',
        '--no-password',
        `--lock-wait-timeout=${lockTimeout}`,
        ...(what === 'schema' ? ['--schema-only'] : []),
        `--host=${address.host}`,
        `--port=${address.port}`,
        `--username=${address.user}`,
        `--dbname=${libpqWord(address.database)}`,
    ];
}
/** A database name that libpq could take for a connection string is written as one. */
function libpqWord(database) {
    return /[=:/\s]/.test(database)
        ? `dbname='${database.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
        : database;
}
/**
 * Runs pg_dump and hands its output to `consume`. The stream ends only when pg_dump has said that all went well, and
 * breaks otherwise: an exit code comes after the last byte. The password goes through the environment of that one
 * process. Resolves with the number of bytes.
 */
async function withDump(order, consume) {
    const folder = (0,external_node_fs_.mkdtempSync)((0,external_node_path_.join)((0,external_node_os_namespaceObject.tmpdir)(), 'muva-dump-'));
    let child;
    let listenNoMore = () => { };
    try {
        const words = [order.pgDump.path, ...dumpArguments(order)];
        const env = await dumpEnvironment(order, folder);
        if (order.signal.aborted)
            throw new Cancelled();
        const started = (0,local_programs/* startProgram */.Xd)(words, { env });
        child = started;
        listenNoMore = whenAborted(order.signal, () => void started.kill('SIGTERM'));
        let bytes = 0;
        const output = new external_node_stream_.PassThrough();
        started.stdout.on('data', (chunk) => {
            bytes += chunk.length;
        });
        started.stdout.pipe(output, { end: false });
        const exit = ended(started, order.signal).then(() => output.end(), (error) => {
            output.destroy(error);
            throw error;
        });
        // The exit comes first: what it says is the cause of whatever the other side then complains about.
        const consumed = consume(output);
        consumed.catch(() => started.kill('SIGKILL'));
        const [left, kept] = await Promise.allSettled([exit, consumed]);
        if (kept.status === 'rejected')
            throw left.status === 'rejected' && !started.killed ? left.reason : kept.reason;
        if (left.status === 'rejected')
            throw left.reason;
        return bytes;
    }
    finally {
        listenNoMore();
        child?.kill('SIGKILL');
        (0,external_node_fs_.rmSync)(folder, { recursive: true, force: true });
    }
}
async function dumpEnvironment({ address, caCertificate }, folder) {
    const { tlsOptions } = await __nccwpck_require__.e(/* import() */ 247).then(__nccwpck_require__.bind(__nccwpck_require__, 8247));
    const tls = tlsOptions(address, caCertificate);
    const roots = (0,external_node_path_.join)(folder, 'roots.pem');
    if (tls)
        (0,external_node_fs_.writeFileSync)(roots, [tls.ca].flat().join('\n'), { mode: 0o600 });
    return {
        // Not that of the job's user, where libpq would look for passwords and certificates.
        HOME: folder,
        PGPASSWORD: address.password.reveal(),
        PGCONNECT_TIMEOUT: '15',
        PGGSSENCMODE: 'disable',
        ...(0,defined_only/* definedOnly */.U)({ PGOPTIONS: address.options, PGAPPNAME: address.applicationName }),
        ...(tls ? { PGSSLMODE: 'verify-full', PGSSLROOTCERT: roots } : { PGSSLMODE: 'disable' }),
    };
}
async function ended(child, signal) {
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (chunk) => {
        said = textEnd(said + chunk, 4_000);
    });
    const [code, killedBy] = (await (0,external_node_events_.once)(child, 'close'));
    if (signal.aborted)
        throw new Cancelled();
    if (code === 0)
        return;
    // Of the queries that it repeats only the one for a lock is told: it names the table that somebody holds.
    const lines = said.split('\n').filter((line) => /error:|Query was: LOCK TABLE/.test(line));
    throw new Failure({
        message: `pg_dump failed: ${(lines.length > 0 ? lines : [said.trim() || `it was ended by ${killedBy}`]).slice(0, 3).join('; ')}`,
        code: code === null ? (killedBy ?? 'killed') : `exit ${code}`,
        next: 'Nothing was changed. Correct what pg_dump complains about, or say backup: off.',
    });
}

;// CONCATENATED MODULE: ./compiled/src/database/connection/sql-problem.js



/** What the server said, as a problem; `next` where it gives no hint itself. */
function sqlProblem(error, next) {
    return { message: error.message, code: error.code, ...(0,defined_only/* definedOnly */.U)({ next: error.hint ?? next }) };
}
/** The connection broke, and nothing of the work under way was done. */
function lostProblem(error, next) {
    return {
        message: `the connection to the database was lost: ${error instanceof Error ? error.message : 'no answer'}`,
        next,
    };
}
/** Any error of a message of which nothing took effect; `next` where the connection was lost. */
function databaseProblem(error, next) {
    if (error instanceof SqlError)
        return sqlProblem(error);
    return error instanceof Failure ? error.problems[0] : lostProblem(error, next);
}
/** An error of a message that read only: whatever happened, nothing was changed. */
function failureOf(error, doing) {
    if (error instanceof SqlError)
        return error.code === '57014' && !isTimeout(error)
            ? new Cancelled(`cancelled while ${doing}`)
            : new Failure(problemOfSql(error, doing));
    if (error instanceof LostConnection)
        return new Failure({
            message: `the database did not answer while ${doing}: ${error.message}`,
            code: error.code,
            next: 'Where a pooler stands in front of it, the database behind it may be down. Run again in a moment.',
        });
    return error;
}
/** The server has one code for a cancel and for its own time-out, and tells them apart in words. */
function isTimeout({ message }) {
    return /timeout/i.test(message);
}
/** Class 08: a pooler answered, and the server behind it did not. */
function behindPooler(error, doing) {
    return {
        message: `the database behind the pooler could not be reached while ${doing}: ${error.message}`,
        code: error.code,
        next: 'The pooler is up and the database is down, starting or full. Run again in a moment.',
    };
}
const NEXT = {
    '57014': 'The database was too slow, or its role has a short statement_timeout: run again at a quieter time, or raise it (alter role ... set statement_timeout).',
    '42501': 'Use the role that owns it (postgres on Supabase), or grant the right.',
};
/** A server's error in words; `doing` says what was under way. */
function problemOfSql(error, doing) {
    if (error.code.startsWith('08'))
        return behindPooler(error, doing);
    return { ...sqlProblem(error, NEXT[error.code]), message: `${doing}: ${error.message}` };
}

;// CONCATENATED MODULE: ./compiled/src/database/backup/restore-point.js





/** Milliseconds that a restore point may take to become available. */
const WAIT = 10 * 60_000;
const PATH = 'database/backups/restore-point';
/** What the API takes, in characters. */
const LONGEST_NAME = 20;
/** One name for each attempt of a run; a run id that is too long is told by its hash. */
function restorePointName({ id, attempt }) {
    const name = `deploy-${id.replace(/[^A-Za-z0-9-]/g, '')}${attempt > 1 ? `-${attempt}` : ''}`;
    if (name.length <= LONGEST_NAME)
        return name;
    return `deploy-${(0,external_node_crypto_.createHash)('sha256').update(`${id} ${attempt}`).digest('hex').slice(0, 12)}`;
}
/** Makes a named restore point through the Management API and waits until it is available. */
async function makeRestorePoint(project, name, signal, poll = 2_000) {
    const until = performance.now() + WAIT;
    try {
        let status = restore_point_statusOf(await askJson(project, 'POST', PATH, { name }, signal, false));
        while (status === 'PENDING' && performance.now() < until) {
            await pause(poll, signal);
            const path = `${PATH}?name=${encodeURIComponent(name)}`;
            status = restore_point_statusOf(await askJson(project, 'GET', path, undefined, signal, false));
        }
        if (status === 'AVAILABLE')
            return;
        throw new Failure({
            message: status === 'PENDING'
                ? `the restore point ${name} was not available after ${WAIT / 60_000} minutes`
                : `the restore point ${name} is ${status ?? 'of no known status'}`,
            next: 'Nothing was changed. Look at the project (Database, Backups), or say backup: off.',
        });
    }
    catch (error) {
        throw failureOf(error, 'making a restore point');
    }
}
function restore_point_statusOf(answer) {
    const { status } = (answer ?? {});
    return typeof status === 'string' ? status : undefined;
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

;// CONCATENATED MODULE: ./compiled/src/server/checkout/uses-lfs.js

/**
 * Whether a commit keeps files in Git LFS; undefined where the checkout of this job is at another one, or at none: git
 * can be asked for the attributes of what is checked out alone.
 */
async function usesLfs(sha, workingDirectory) {
    const answer = async (...words) => {
        const ended = await localGit(words, workingDirectory).catch(() => undefined);
        return ended?.code === 0 ? ended.stdout : undefined;
    };
    if ((await answer('rev-parse', '--verify', '--quiet', 'HEAD'))?.trim() !== sha)
        return undefined;
    const files = await answer('ls-files', '-z', '--', ':(top,attr:filter=lfs)');
    return files === undefined ? undefined : files !== '';
}

;// CONCATENATED MODULE: ./compiled/src/server/fleet/inspect-fleet.js






/** Milliseconds; the look asks the git remote too. */
const inspect_fleet_LOOK_DEADLINE = 120_000;
/**
 * Looks at all hosts at once, one round trip each, and one more where only the job's token opens the remote; writes
 * nothing, and never throws for one host. `undo`: asks what a rollback would do, instead of what a deploy would.
 */
async function inspectFleet({ fleet, settings, signal }, undo) {
    fleet.connect();
    const { ref } = settings.vps;
    const sha = ref === undefined || undo !== undefined ? undefined : await exactCommit(ref, settings.workingDirectory);
    const lfs = sha === undefined ? undefined : await usesLfs(sha, settings.workingDirectory);
    const look = async (host) => {
        const { position, name, prefix } = host;
        const own = { host: position, name, prefix };
        try {
            const request = { ...inspectRequest(settings, sha, undo), ...(0,defined_only/* definedOnly */.U)({ lfs }) };
            const options = { deadline: inspect_fleet_LOOK_DEADLINE, signal };
            const answer = await askWorker(fleet, host, request, options);
            if (answer.kind === 'host')
                return { ...own, facts: answer.facts };
            const opened = { ...request, ...withToken(settings) };
            const second = answer.kind === 'token-needed' ? await askWorker(fleet, host, opened, options) : answer;
            if (second.kind === 'host')
                return { ...own, facts: second.facts, needsToken: true };
            throw new Failure({ message: `${prefix}the worker answered something else` });
        }
        catch (error) {
            if (signal.aborted)
                throw error;
            return { ...own, problem: problemsOf(error)[0] };
        }
    };
    return Promise.all(fleet.hosts.map(look));
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

;// CONCATENATED MODULE: ./compiled/src/server/fleet/keep-newest.js


/** Fixed text without quotes in it; folder, suffix and number come as words behind it. */
const SCRIPT = 'cd -- "$1" && ls -1 | grep -E "^[0-9]{8}T[0-9]{6}Z-.*$2$" | sort -r | tail -n "+$3" | while IFS= read -r old; do rm -f -- "$old"; done';
/** Of the files in a folder whose names begin with a time (`20250101T120000Z-`), keeps only the newest. */
async function keepNewest(host, folder, suffix, keep, signal) {
    const words = ['sh', folder, suffix, String(keep + 1)].map(quote).join(' ');
    await host.exec(`${commandLine('sh', '-c')} '${SCRIPT}' ${words}`, { signal }).catch((error) => {
        throw asFailure(error);
    });
}

;// CONCATENATED MODULE: ./compiled/src/server/fleet/store-file.js






/**
 * Fixed texts without quotes in them; folder and name come as words behind them. A dump must not land where another user
 * let a symlink lead: the folder, and the one that it lies in, are our own, or nothing is written.
 */
const RECEIVE = `umask 077
set -- "$1" "$2" "$(dirname -- "$1")"
mkdir -p -- "$(dirname -- "$3")" || exit
for f in "$3" "$1"; do
  if [ -L "$f" ]; then exit 66; fi
  if [ -e "$f" ]; then :; else mkdir -- "$f" || exit; fi
  if [ -L "$f" ]; then exit 66; fi
  [ -O "$f" ] || exit 66
done
cat >"$1/$2"`;
const KEEP = '[ "$(wc -c <"$1/$2")" -eq "$4" ] && mv -- "$1/$2" "$1/$3" || { rm -f -- "$1/$2"; exit 65; }';
const DROP = 'rm -f -- "$1/$2"';
/**
 * Streams a file into a folder of a host, readable for its user alone, and resolves with its path. It gets its name
 * only once it is complete there: what was cut on the way is removed and never taken for the whole.
 */
async function storeFile(host, file, signal) {
    const part = `.${(0,external_node_crypto_.randomUUID)()}.part`;
    const watched = signal ? { signal } : {};
    let bytes = 0;
    const counted = new external_node_stream_.Transform({
        transform(chunk, _encoding, done) {
            bytes += chunk.length;
            done(null, chunk);
        },
    });
    file.content.on('error', (error) => counted.destroy(error));
    let broken;
    counted.on('error', (error) => {
        broken = error;
    });
    try {
        await mustRunOnHost(host, RECEIVE, [file.folder, part], {
            stdin: file.content.pipe(counted),
            ...watched,
        });
        if (broken)
            throw broken;
        await mustRunOnHost(host, KEEP, [file.folder, part, file.name, String(bytes)], watched);
    }
    catch (error) {
        await dropFile(host, file.folder, part);
        throw asFailure(broken ?? error);
    }
    return `${file.folder}/${file.name}`;
}
/** Removes a stored file again; a host that cannot be asked keeps it. */
async function dropFile(host, folder, name) {
    await host.exec(script(DROP, [folder, name]), { deadline: 10_000 }).catch(() => { });
}
function script(text, words) {
    return `${commandLine('sh', '-c')} '${text}' ${['sh', ...words].map(quote).join(' ')}`;
}
async function mustRunOnHost(host, text, words, options) {
    const result = await host.exec(script(text, words), options);
    if (result.code === 0)
        return;
    if (result.code === 65)
        throw new Failure({ message: `${host.prefix}the file did not arrive whole`, next: 'Run the job again.' });
    if (result.code === 66)
        throw new Failure({
            message: `${host.prefix}${words[0]}, or the folder that it lies in, is a symlink or belongs to another user: nothing was stored there`,
            next: `Look who made it (ls -ld), and delete on the server what is not of the user who deploys.`,
        });
    throw new Failure({
        ...exitProblem(host.name, result),
        next: 'Look at the room and the rights there: df -h; ls -ld of the folder.',
    });
}

;// CONCATENATED MODULE: ./compiled/src/database/history/error-codes.js
/** SQLSTATEs that our own messages raise; class MV is used by nobody else. */
const CODES = {
    /** Ends a sub-transaction, so that what it did is undone; caught where it is raised. */
    undone: 'MV000',
    /** The version is recorded already. */
    recorded: 'MV001',
    /** The history is not the one that was planned from. */
    changed: 'MV002',
    /** Another run holds the lock. */
    locked: 'MV003',
    /** A file changed the migration history itself. */
    tampered: 'MV004',
    /** Another version of the action made our tables, and this one cannot read them. */
    format: 'MV005',
    /** The transaction that this message belongs to is gone. */
    lostTransaction: 'MV006',
    /** The schema is not as required; the message is a JSON list of problems. */
    notVerified: 'MV101',
    /** A version that is to be undone is in the history no more; the message names it. */
    gone: 'MV104',
    /** A down file would delete data that is not its own; the message is a JSON list of losses. */
    dataLoss: 'MV105',
    /** The down files do not give back the schema; the message is a JSON list of objects. */
    notAsBefore: 'MV106',
    /** Raised by a message's first statement: the server has parsed all that stands behind it, and ran nothing. */
    parsed: 'MV900',
};

// EXTERNAL MODULE: ./compiled/src/lib/shorten-list.js
var shorten_list = __nccwpck_require__(8063);
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

;// CONCATENATED MODULE: ./compiled/src/database/history/deploy-tables.js



/** Supabase's own schema for its history; ours stands beside it, so that a dump of the history takes both. */
const HISTORY_SCHEMA = 'supabase_migrations';
const HISTORY_TABLE = `${HISTORY_SCHEMA}.schema_migrations`;
/** One row per workflow run that changed the database. */
const RUNS_TABLE = `${HISTORY_SCHEMA}.deploy_runs`;
/** One row per migration that this action applied. */
const MIGRATIONS_TABLE = `${HISTORY_SCHEMA}.deploy_migrations`;
/**
 * At most one row: who is at work outside a transaction. A row, because a transaction pooler cannot hold a session's
 * lock; where the session is known, its end frees the lease at once.
 */
const LEASE_TABLE = `${HISTORY_SCHEMA}.deploy_lease`;
/**
 * What of a file stands whose statements cannot all run in one transaction, and which of them was about to be sent
 * outside of one: as PartialMigration.
 */
const PARTIAL_TABLE = `${HISTORY_SCHEMA}.deploy_partial`;
/** True while somebody who is alive holds the lease: not expired, and its session, where known, still there. */
const LEASE_HELD = `until > clock_timestamp() and (pid is null or exists (
    select from pg_catalog.pg_stat_activity a where a.pid = l.pid and a.backend_start = l.backend_start))`;
/** In the order in which they are told of. */
const OUR_TABLES = [RUNS_TABLE, MIGRATIONS_TABLE, LEASE_TABLE, PARTIAL_TABLE];
/** The column by which each table says its format: its default for the table, empty or not, its value for the row. */
const FORMAT_COLUMN = `format int not null default ${DATABASE_FORMATS.newest}`;
/** A row for each of our tables that is there: its name and its format; null where it says none. */
const FORMATS = `(select t.name, (
    select pg_catalog.substring(pg_catalog.pg_get_expr(d.adbin, d.adrelid), '^[0-9]{1,9}$')::int
    from pg_catalog.pg_attribute a join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attrelid = pg_catalog.to_regclass(t.name) and a.attname = 'format' and not a.attisdropped) as format
  from pg_catalog.unnest(array[${OUR_TABLES.map(literal).join(', ')}]) t(name)
  where pg_catalog.to_regclass(t.name) is not null)`;
/** SQL: the formats of our tables as a JSON object, by the name of each that is there. */
const TABLE_FORMATS = `(select coalesce(pg_catalog.jsonb_object_agg(f.name, f.format), '{}') from ${FORMATS} f)`;
const IS_READABLE = `coalesce(f.format between ${DATABASE_FORMATS.oldest} and ${DATABASE_FORMATS.newest}, false)`;
/** SQL: true where this version can read all of our tables that are there. No column of them may be named before. */
const READS_TABLES = `(not exists (select from ${FORMATS} f where not ${IS_READABLE}))`;
/** PL/pgSQL: raises where another version has made our tables anew since they were looked at. */
const REFUSE_OTHER_FORMATS = `if not ${READS_TABLES} then
    raise exception using errcode = '${CODES.format}', message = (
      select 'the table ' || f.name || ' is in the format ' || coalesce(f.format::text, 'of no version') || ', which this version of the action cannot read'
      from ${FORMATS} f where not ${IS_READABLE} limit 1),
      hint = 'Use the version of the action that deployed last.';
  end if;`;
/** The advisory lock that all runs of this action take in a database; the number is "muva" in ASCII. */
const LOCK_KEY = 1836414561;
/**
 * PL/pgSQL statements that make Supabase's history table and our own tables where they are missing, and complete an
 * older history table. To be run inside the lock: CREATE ... IF NOT EXISTS is itself open to races. Where everything
 * is there already nothing is written, so that a role which may not create anything gets by.
 */
const BOOTSTRAP = `
  if to_regnamespace('${HISTORY_SCHEMA}') is null then
    create schema ${HISTORY_SCHEMA};
  end if;
  if to_regclass('${HISTORY_TABLE}') is null then
    create table ${HISTORY_TABLE} (version text not null primary key, statements text[], name text);
  end if;
  if (select count(*) from pg_catalog.pg_attribute where attrelid = '${HISTORY_TABLE}'::regclass
      and attname in ('statements', 'name') and not attisdropped) < 2 then
    alter table ${HISTORY_TABLE} add column if not exists statements text[], add column if not exists name text;
  end if;
  if to_regclass('${RUNS_TABLE}') is null then
    create table ${RUNS_TABLE} (
      ${FORMAT_COLUMN}, run_id text primary key, run_attempt int, environment text, sha text, repository text, actor text,
      previous_version text, fingerprint_before text, fingerprint_after text, objects jsonb, changes jsonb,
      outcome text, server boolean,
      started_at timestamptz not null default now(), finished_at timestamptz);
    alter table ${RUNS_TABLE} enable row level security;
  end if;
  if to_regclass('${MIGRATIONS_TABLE}') is null then
    create table ${MIGRATIONS_TABLE} (
      ${FORMAT_COLUMN}, version text primary key, run_id text not null, position int not null, name text, checksum text,
      down text, applied_at timestamptz not null default clock_timestamp());
    alter table ${MIGRATIONS_TABLE} enable row level security;
  end if;
  if to_regclass('${LEASE_TABLE}') is null then
    create table ${LEASE_TABLE} (${FORMAT_COLUMN}, single boolean primary key default true check (single), holder text not null,
      until timestamptz not null, pid int, backend_start timestamptz);
    alter table ${LEASE_TABLE} enable row level security;
  end if;
  if to_regclass('${PARTIAL_TABLE}') is null then
    create table ${PARTIAL_TABLE} (${FORMAT_COLUMN}, version text primary key, run_id text not null, done int not null,
      bytes int not null, prefix text not null, sent jsonb, updated_at timestamptz not null default now());
    alter table ${PARTIAL_TABLE} enable row level security;
  end if;`;
/**
 * PL/pgSQL that begins every message which writes: takes the lock of this action, makes what is missing, lets nobody
 * in while another run is at work outside a transaction, and keeps other tools from the history until the end.
 * `holder`: our own name in the lease, where we have one.
 */
function takeDatabase(holder = '') {
    const busy = `raise exception using errcode = '${CODES.locked}', message = 'another deploy is at work in this database';`;
    return `
  if not pg_catalog.pg_try_advisory_xact_lock(${LOCK_KEY}) then ${busy} end if;
  ${REFUSE_OTHER_FORMATS}
  ${BOOTSTRAP}
  if exists (select from ${LEASE_TABLE} l where ${LEASE_HELD} and holder <> ${literal(holder)}) then ${busy} end if;
  lock table ${HISTORY_TABLE} in share row exclusive mode;`;
}
/**
 * The run's row, written with the first change that the run makes; a re-run of the same run keeps the first state.
 * `server`: the run also deploys to a server.
 */
function runRow(run, environment, previousVersion, server) {
    const values = [
        literal(run.id),
        String(run.attempt),
        literal(environment),
        literal(run.sha),
        literal(run.repository),
        literal(run.actor),
        literal(previousVersion),
        String(server),
    ];
    return `insert into ${RUNS_TABLE} as r (run_id, run_attempt, environment, sha, repository, actor, previous_version, server)
    values (${values.join(', ')})
    on conflict (run_id) do update set run_attempt = excluded.run_attempt,
      environment = coalesce(excluded.environment, r.environment), sha = excluded.sha,
      server = r.server or excluded.server;`;
}
/** Our row about an applied migration, for the same transaction. */
function migrationRow(run, migration) {
    const { version, name, checksum, down, position } = migration;
    return `insert into ${MIGRATIONS_TABLE} (version, run_id, position, name, checksum, down)
    values (${literal(version)}, ${literal(run.id)}, ${position}, ${literal(name)}, ${literal(checksum)}, ${literal(down)})
    on conflict (version) do update set run_id = excluded.run_id, position = excluded.position, name = excluded.name,
      checksum = excluded.checksum, down = excluded.down, applied_at = clock_timestamp();`;
}

;// CONCATENATED MODULE: ./compiled/src/database/history/partial-migration.js

/** The text of a file up to what stands of it, as it is recorded: editing it later would be a lie. */
function prefixOf(text) {
    return { bytes: Buffer.byteLength(text), prefix: (0,external_node_crypto_.createHash)('sha256').update(text).digest('hex') };
}
/**
 * The UTF-16 index behind what stands of a file; undefined where the file no longer begins with the text that was
 * applied.
 */
function standsUpTo(source, { bytes, prefix }) {
    const text = Buffer.from(source).subarray(0, bytes).toString();
    return prefixOf(text).prefix === prefix ? text.length : undefined;
}
/** SQL: a row of that table as PartialMigration. */
const PARTIAL_JSON = "jsonb_build_object('version', version, 'done', done, 'bytes', bytes, 'prefix', prefix, 'sent', sent)";

;// CONCATENATED MODULE: ./compiled/src/database/history/text-hash.js

/**
 * White space and semicolons, by which versions of the CLI split differently, do not count; but the end of a comment to
 * the end of the line does, or a statement that such a comment has swallowed would go unseen. The same in SQL and here.
 */
const COMMENT_END = /(--[^\r\n]*)[\r\n]+/g;
const COMMENT_END_SQL = "E'(--[^\\\\r\\\\n]*)[\\\\r\\\\n]+', E'\\\\1\\x01', 'g'";
const IGNORED = /[ \t\r\n\f\v;]+/g;
const IGNORED_SQL = "E' \\t\\r\\n\\f\\013;'";
/** The hash under which a file's text is compared with what any tool has recorded for it. */
function textHash(source) {
    const marked = `${source}\n`.replaceAll(COMMENT_END, '$1\u0001');
    return (0,external_node_crypto_.createHash)('md5').update(marked.replaceAll(IGNORED, '')).digest('hex');
}
/** The same hash in SQL, of an expression that gives text. */
function textHashSql(text) {
    const marked = `pg_catalog.regexp_replace(${text} || E'\\n', ${COMMENT_END_SQL})`;
    return `pg_catalog.md5(pg_catalog.translate(${marked}, ${IGNORED_SQL}, ''))`;
}

;// CONCATENATED MODULE: ./compiled/src/database/history/history-message.js





/** Milliseconds; the role's own could be shorter than a long history takes. */
const LOOK_TIMEOUT = 30_000;
const TRY_LOCK = `if not pg_catalog.pg_try_advisory_xact_lock(${LOCK_KEY}) then
      raise exception using errcode = '${CODES.locked}', message = 'another deploy is at work in this database';
    end if;`;
/** Hashing every recorded text is most of the work of a look. */
const TEXT_HASH = `case when jsonb_array_length(coalesce(nullif(to_jsonb(h)->'statements', 'null'), '[]')) > 0 then
         ${textHashSql("(select string_agg(s, E'\\n' order by n) from jsonb_array_elements_text(to_jsonb(h)->'statements') with ordinality x(s, n))")} end`;
/**
 * One message that looks and writes nothing; its last statement gives a HistoryAnswer as `look`. The tables may be
 * missing, so it is built at run time; its answer is handed out through a setting, because that is the only way that
 * works over every transport.
 */
function historyMessage({ locked, plan, rollback }) {
    const read = rollback ? readTable : readTableIfAllowed;
    return `set local statement_timeout = '${LOOK_TIMEOUT}ms'; do $muva$
declare
  look jsonb;
  part jsonb;
begin
  ${locked ? TRY_LOCK : ''}
  look := pg_catalog.jsonb_build_object(
    'serverVersion', pg_catalog.current_setting('server_version_num')::int,
    'backendPid', pg_catalog.pg_backend_pid(),
    'readOnly', pg_catalog.pg_is_in_recovery(),
    'formats', ${TABLE_FORMATS}, 'role', current_user,
    'owner', (select pg_get_userbyid(relowner) from pg_class
      where oid = coalesce(to_regclass('${RUNS_TABLE}'), to_regclass('${HISTORY_TABLE}'))));
  ${plan ? `look := look || pg_catalog.jsonb_build_object('missingRights', pg_catalog.to_jsonb(array(${MISSING_RIGHTS})));` : ''}
  ${read(HISTORY_TABLE, 'recorded', `select coalesce(jsonb_agg(jsonb_build_array(h.version, to_jsonb(h)->>'name', ${plan ? TEXT_HASH : 'null'})), '[]')
     from ${HISTORY_TABLE} h`)}
  if ${READS_TABLES} then
  ${read(MIGRATIONS_TABLE, 'ours', `select coalesce(jsonb_object_agg(version, jsonb_build_array(checksum, run_id, down is not null${rollback ? ', name' : ''})), '{}') from ${MIGRATIONS_TABLE}`)}
  ${read(RUNS_TABLE, 'newest', `select (select jsonb_build_object('environment', environment, 'server', server, 'repository', repository)
       from ${RUNS_TABLE} where environment is not null order by started_at desc, run_id desc limit 1)`)}
  ${rollback
        ? read(RUNS_TABLE, 'runs', `select coalesce(jsonb_agg(jsonb_build_object('runId', run_id, 'sha', sha, 'outcome', outcome)
       order by coalesce(finished_at, started_at) desc), '[]') from ${RUNS_TABLE}`)
        : ''}
  ${read(PARTIAL_TABLE, 'partial', `select coalesce(jsonb_agg(${PARTIAL_JSON}${rollback ? " || jsonb_build_object('runId', run_id)" : ''}), '[]') from ${PARTIAL_TABLE}`)}
  end if;
  perform pg_catalog.set_config('muva.look', look::text, true);
end
$muva$;
select pg_catalog.current_setting('muva.look') as look`;
}
/** What is recorded, inside another message: a statement that leaves it in `muva.history` as a JSON array of RecordedText. */
const VERSIONS_STATEMENT = `do ${dollarQuote(`
declare versions text;
begin
  if to_regclass('${HISTORY_TABLE}') is not null then
    execute $q$select jsonb_agg(jsonb_build_object('version', h.version, 'name', to_jsonb(h)->>'name',
      'textHash', ${TEXT_HASH}, 'checksum', null) order by version collate "C")::text from ${HISTORY_TABLE} h$q$ into versions;
  end if;
  perform set_config('muva.history', coalesce(versions, '[]'), true);
exception when insufficient_privilege then perform set_config('muva.history', '', true);
end`)};`;
/** Reads a table that may not exist into one field of the look. */
function readTable(table, field, select, also = '') {
    return `if pg_catalog.to_regclass('${table}') is not null${also} then
    execute $q$${select}$q$ into part;
    look := look || pg_catalog.jsonb_build_object('${field}', part);
  end if;`;
}
/** The same, where a role that may not read it is told nothing. */
function readTableIfAllowed(table, field, select) {
    return readTable(table, field, select, ` and pg_catalog.has_table_privilege('${table}', 'select')`);
}
const asArray = (tables) => `array[${tables.map((table) => `'${table}'`).join(', ')}]`;
const hasColumn = (column) => `exists (select from pg_attribute where attrelid = to_regclass('${HISTORY_TABLE}') and attname = '${column}' and not attisdropped)`;
/**
 * Our tables have row level security and no policy: only their owner, and who may act for it, sees their rows. Where
 * a column is to be added to the history of an older CLI, it takes its owner too.
 */
const MISSING_RIGHTS = `
  select 'create schema ${HISTORY_SCHEMA}' where to_regnamespace('${HISTORY_SCHEMA}') is null
    and not has_database_privilege(current_database(), 'create')
  union all select 'usage on schema ${HISTORY_SCHEMA}' where to_regnamespace('${HISTORY_SCHEMA}') is not null
    and not has_schema_privilege('${HISTORY_SCHEMA}', 'usage')
  union all select 'create in schema ${HISTORY_SCHEMA}' where to_regnamespace('${HISTORY_SCHEMA}') is not null
    and exists (select from unnest(${asArray([HISTORY_TABLE, ...OUR_TABLES])}) t where to_regclass(t) is null)
    and not has_schema_privilege('${HISTORY_SCHEMA}', 'create')
  union all select r || ' on ' || t from unnest(${asArray([HISTORY_TABLE, ...OUR_TABLES])}) t,
    unnest(array['select', 'insert', 'update', 'delete']) r
    where to_regclass(t) is not null and not has_table_privilege(t, r)
  union all select 'the rows of ' || t || ', which row level security hides' from unnest(${asArray(OUR_TABLES)}) t
    where to_regclass(t) is not null and row_security_active(to_regclass(t)::oid)
  union all select 'ownership of ${HISTORY_TABLE}, to which a column is to be added'
    where to_regclass('${HISTORY_TABLE}') is not null and not (${hasColumn('statements')} and ${hasColumn('name')})
      and not pg_has_role((select relowner from pg_class where oid = to_regclass('${HISTORY_TABLE}')), 'usage')`;

;// CONCATENATED MODULE: ./compiled/src/database/schema/fingerprint-sql.js
/**
 * One catalogue query that describes every object of a schema that people make: what the comparison of two
 * moments rests on. Kept apart from the code that uses it, because it is read as SQL.
 */
/**
 * Schemas that PostgreSQL or the Supabase platform keeps and changes by itself. Their objects are left out, with
 * two exceptions that projects do write there: policies, and triggers that call a function of the project.
 */
const PLATFORM_SCHEMAS = [
    'information_schema',
    'auth',
    'storage',
    'realtime',
    '_realtime',
    '_analytics',
    '_supavisor',
    'vault',
    'extensions',
    'graphql',
    'graphql_public',
    'pgbouncer',
    'pgsodium',
    'pgsodium_masks',
    'pgmq',
    'net',
    'cron',
    'supabase_functions',
    'supabase_migrations',
    'pgtle',
    'etl',
    'supabase_subscription_mgmt',
];
/**
 * Settings under which the server writes definitions the same way for every role and session: the search path
 * decides which names are qualified, the others how constants in defaults and expressions are written.
 */
const DETERMINISTIC_SETTINGS = {
    search_path: 'pg_catalog',
    quote_all_identifiers: 'off',
    timezone: 'UTC',
    datestyle: 'ISO, YMD',
    intervalstyle: 'postgres',
    extra_float_digits: '1',
    bytea_output: 'hex',
    standard_conforming_strings: 'on',
};
const platform = PLATFORM_SCHEMAS.map((schema) => `'${schema}'`).join(', ');
/** Privileges as sorted words; `acl` may be null, then the default of the kind of object is meant. */
const privileges = (acl, kind, owner) => `
  (select coalesce(string_agg(
      case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee)::text end
        || '=' || a.privilege_type || case when a.is_grantable then '*' else '' end,
      ',' order by case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee)::text end collate "C",
        a.privilege_type collate "C", a.is_grantable), '')
   from aclexplode(coalesce(${acl}, acldefault(${kind}, ${owner}))) a)`;
const sorted = (array) => `(select coalesce(string_agg(o, ',' order by o collate "C"), '') from unnest(${array}) o)`;
/** The options of a column that people set; PostgreSQL 15.20 of Debian writes one of its own into every new column. */
const DECLARED_OPTIONS = `array(select o from unnest(a.attoptions) o where o ~ '^(n_distinct|n_distinct_inherited)=')`;
const notOfExtension = (catalogue, oid) => `not exists (select from pg_depend e where e.classid = '${catalogue}'::regclass and e.objid = ${oid} and e.deptype = 'e')`;
const relationKind = (kind) => `case ${kind} when 'r' then 'table' when 'p' then 'table'
  when 'v' then 'view' when 'm' then 'materialized view' when 'f' then 'foreign table' when 'S' then 'sequence'
  when 'c' then 'type' else 'relation' end`;
/** The parts of the union: kind, schema, name and definition of every object of one catalogue. */
const OBJECT_QUERIES = [
    `select 'schema', nspname, '', pg_get_userbyid(nspowner)::text from schemas`,
    `select 'grants on schema', nspname, '', ${privileges('nspacl', `'n'`, 'nspowner')} from schemas`,
    `select ${relationKind('c.relkind')}, c.nspname, c.relname,
     concat_ws('|', pg_get_userbyid(c.relowner), c.relkind, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity,
       case when c.relkind in ('r', 'p', 'm') then c.relreplident end, ${sorted('c.reloptions')},
       case when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid) end,
       case when c.relkind = 'p' then pg_get_partkeydef(c.oid) end,
       pg_get_expr(c.relpartbound, c.oid), (select amname from pg_am where pg_am.oid = c.relam),
       (select string_agg(i.inhparent::regclass::text, ',' order by i.inhseqno) from pg_inherits i where i.inhrelid = c.oid),
       (select concat_ws('|', q.seqtypid::regtype, q.seqstart, q.seqincrement, q.seqmax, q.seqmin, q.seqcache, q.seqcycle)
          from pg_sequence q where q.seqrelid = c.oid),
       (select string_agg(d.refobjid::regclass::text || '.' || a.attname, ',' order by d.refobjsubid)
          from pg_depend d join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
         where c.relkind = 'S' and d.classid = 'pg_class'::regclass and d.objid = c.oid and d.refobjsubid > 0
           and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i')),
       (select v.srvname || ${sorted('f.ftoptions')} from pg_foreign_table f join pg_foreign_server v on v.oid = f.ftserver
         where f.ftrelid = c.oid))
   from relations c`,
    `select 'grants on ' || ${relationKind('c.relkind')}, c.nspname, c.relname,
     ${privileges('c.relacl', `case c.relkind when 'S' then 's' else 'r' end::"char"`, 'c.relowner')}
   from relations c where c.relkind <> 'c'`,
    `select 'column', c.nspname, c.relname || '.' || a.attname,
     concat_ws('|', format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated, a.attstorage,
       pg_get_expr(d.adbin, d.adrelid), nullif(a.attcollation, t.typcollation)::regcollation,
       case when a.attacl is not null then ${privileges('a.attacl', `'c'`, 'c.relowner')} end, ${sorted(DECLARED_OPTIONS)})
   from relations c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     join pg_type t on t.oid = a.atttypid
     left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
   where c.relkind in ('r', 'p', 'f', 'c')`,
    // Constraints that only repeat NOT NULL (a row of their own since PostgreSQL 18) are told by their column.
    `select 'constraint', c.nspname, k.conname || ' on ' || c.relname,
     concat_ws('|', pg_get_constraintdef(k.oid), k.convalidated)
   from relations c join pg_constraint k on k.conrelid = c.oid and k.contype not in ('n', 't')`,
    `select 'constraint', s.nspname, k.conname || ' on ' || t.typname, concat_ws('|', pg_get_constraintdef(k.oid), k.convalidated)
   from pg_type t join schemas s on s.oid = t.typnamespace join pg_constraint k on k.contypid = t.oid and k.contype <> 'n'`,
    `select 'index', c.nspname, x.relname,
     concat_ws('|', pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisclustered, i.indisreplident)
   from relations c join pg_index i on i.indrelid = c.oid join pg_class x on x.oid = i.indexrelid
   where not exists (select from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x'))`,
    `select 'policy', n.nspname, p.polname || ' on ' || c.relname,
     concat_ws('|', p.polcmd, p.polpermissive, (select string_agg(case r when 0 then 'public' else pg_get_userbyid(r)::text end, ','
         order by case r when 0 then 'public' else pg_get_userbyid(r)::text end collate "C") from unnest(p.polroles) r),
       'using ' || pg_get_expr(p.polqual, p.polrelid), 'check ' || pg_get_expr(p.polwithcheck, p.polrelid))
   from pg_policy p join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = c.relnamespace
   where ${notOfExtension('pg_policy', 'p.oid')}`,
    `select 'trigger', n.nspname, t.tgname || ' on ' || c.relname, concat_ws('|', pg_get_triggerdef(t.oid), t.tgenabled)
   from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
     join pg_proc f on f.oid = t.tgfoid
   where not t.tgisinternal and ${notOfExtension('pg_class', 'c.oid')}
     and (c.relnamespace in (select oid from schemas) or f.pronamespace in (select oid from schemas))`,
    `select 'rule', c.nspname, r.rulename || ' on ' || c.relname, concat_ws('|', pg_get_ruledef(r.oid), r.ev_enabled)
   from relations c join pg_rewrite r on r.ev_class = c.oid and r.rulename <> '_RETURN'`,
    `select case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end, p.nspname, p.signature,
     concat_ws('|', pg_get_userbyid(p.proowner), case when p.prokind <> 'a' then pg_get_functiondef(p.oid) end,
       (select concat_ws(',', g.aggkind, g.aggtransfn, g.aggfinalfn, g.aggcombinefn, g.aggtranstype::regtype, g.agginitval,
          p.prorettype::regtype) from pg_aggregate g where g.aggfnoid = p.oid))
   from functions p`,
    `select 'grants on function', p.nspname, p.signature, ${privileges('p.proacl', `'f'`, 'p.proowner')} from functions p`,
    `select 'type', s.nspname, t.typname,
     concat_ws('|', pg_get_userbyid(t.typowner), t.typtype,
       (select string_agg(e.enumlabel, ',' order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid),
       case when t.typtype = 'd' then concat_ws(',', format_type(t.typbasetype, t.typtypmod), t.typnotnull, t.typdefault,
         t.typcollation::regcollation) end,
       (select concat_ws(',', r.rngsubtype::regtype, r.rngsubdiff, r.rngcanonical) from pg_range r where r.rngtypid = t.oid))
   from pg_type t join schemas s on s.oid = t.typnamespace
   where t.typtype in ('e', 'd', 'r', 'b') and t.typcategory <> 'A' and ${notOfExtension('pg_type', 't.oid')}`,
    `select 'grants on type', s.nspname, t.typname, ${privileges('t.typacl', `'T'`, 't.typowner')}
   from pg_type t join schemas s on s.oid = t.typnamespace where t.typacl is not null
     and ${notOfExtension('pg_type', 't.oid')}`,
    `select 'statistics', s.nspname, x.stxname, pg_get_statisticsobjdef(x.oid)
   from pg_statistic_ext x join schemas s on s.oid = x.stxnamespace`,
    `select 'operator', s.nspname, o.oid::regoperator::text, o.oprcode::text
   from pg_operator o join schemas s on s.oid = o.oprnamespace where ${notOfExtension('pg_operator', 'o.oid')}`,
    `select 'collation', s.nspname, c.collname, '' from pg_collation c join schemas s on s.oid = c.collnamespace
   where ${notOfExtension('pg_collation', 'c.oid')}`,
    `select 'text search configuration', s.nspname, c.cfgname, '' from pg_ts_config c
     join schemas s on s.oid = c.cfgnamespace where ${notOfExtension('pg_ts_config', 'c.oid')}`,
    `select 'text search dictionary', s.nspname, d.dictname, d.dictinitoption from pg_ts_dict d
     join schemas s on s.oid = d.dictnamespace where ${notOfExtension('pg_ts_dict', 'd.oid')}`,
    `select 'operator class', s.nspname, o.opcname, '' from pg_opclass o join schemas s on s.oid = o.opcnamespace
   where ${notOfExtension('pg_opclass', 'o.oid')}`,
    `select 'cast', '', format_type(c.castsource, null) || ' as ' || format_type(c.casttarget, null),
     concat_ws('|', c.castfunc::regprocedure, c.castcontext)
   from pg_cast c where c.oid >= 16384 and ${notOfExtension('pg_cast', 'c.oid')}`,
    `select 'extension', n.nspname, e.extname, '' from pg_extension e join pg_namespace n on n.oid = e.extnamespace`,
    `select 'foreign server', '', v.srvname, concat_ws('|', w.fdwname, v.srvtype, v.srvversion, ${sorted('v.srvoptions')})
   from pg_foreign_server v join pg_foreign_data_wrapper w on w.oid = v.srvfdw where ${notOfExtension('pg_foreign_server', 'v.oid')}`,
    `select 'event trigger', '', e.evtname, concat_ws('|', e.evtevent, e.evtfoid::regproc, e.evtenabled, e.evttags::text)
   from pg_event_trigger e join pg_proc f on f.oid = e.evtfoid where f.pronamespace in (select oid from schemas)`,
    `select 'publication', '', p.pubname, concat_ws('|', pg_get_userbyid(p.pubowner), (to_jsonb(p) - 'oid' - 'pubowner')::text)
   from publications p`,
    `select 'publication table', '', t.pubname || ': ' || t.schemaname || '.' || t.tablename,
     concat_ws('|', to_jsonb(t) ->> 'rowfilter',
       (select string_agg(a.attname, ',' order by a.attname collate "C") from pg_attribute a where a.attrelid = r.prrelid
          and a.attnum = any (string_to_array(translate(to_jsonb(r) ->> 'prattrs', '[],', ''), ' ')::int2[])))
   from pg_publication_tables t join publications p on p.pubname = t.pubname
     join pg_class c on c.relname = t.tablename join pg_namespace n on n.oid = c.relnamespace and n.nspname = t.schemaname
     left join pg_publication_rel r on r.prpubid = p.oid and r.prrelid = c.oid
   where not p.puballtables and n.nspname not in (${platform})`,
    `select 'default privileges', coalesce(n.nspname, ''), pg_get_userbyid(d.defaclrole) || ': ' || d.defaclobjtype::text,
     ${privileges('d.defaclacl', 'd.defaclobjtype', 'd.defaclrole')}
   from pg_default_acl d left join pg_namespace n on n.oid = d.defaclnamespace
   where d.defaclnamespace = 0 or d.defaclnamespace in (select oid from schemas)`,
    `select 'comment', coalesce(i.schema, ''), i.type || ' ' || i.identity, d.description
   from (select * from pg_description where objoid >= 16384 or classoid = 'pg_namespace'::regclass) d,
     pg_identify_object(d.classoid, d.objoid, d.objsubid) i
   where case when i.type = 'schema' then i.name in (select nspname from schemas)
       else i.schema is null or i.schema in (select nspname from schemas) end
     and i.type not in ('extension', 'event trigger')
     and not exists (select from pg_depend e where e.classid = d.classoid and e.objid = d.objoid and e.deptype = 'e')`,
    // Another major version writes definitions differently: told as such, not as a thousand changed objects.
    `select 'server', '', 'major version', (current_setting('server_version_num')::int / 10000)::text`,
];
/**
 * Every object as a row: kind, schema, name, hash. Works from PostgreSQL 13 and for any role, and must run under
 * DETERMINISTIC_SETTINGS. The order of columns is left out on purpose: a down file cannot give it back.
 */
const OBJECTS_QUERY = `
with schemas as materialized (
  select n.oid, n.nspname::text, n.nspowner, n.nspacl from pg_namespace n
  where n.nspname !~ '^pg_' and n.nspname not in (${platform}) and ${notOfExtension('pg_namespace', 'n.oid')}
), relations as materialized (
  select c.*, s.nspname from pg_class c join schemas s on s.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S', 'c') and ${notOfExtension('pg_class', 'c.oid')}
), functions as materialized (
  select p.*, s.nspname, p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' as signature
  from pg_proc p join schemas s on s.oid = p.pronamespace where ${notOfExtension('pg_proc', 'p.oid')}
), publications as materialized (
  -- Of the platform: what its roles own, and what publishes its tables alone.
  select p.* from pg_publication p
  where pg_get_userbyid(p.pubowner) !~ '^supabase_' and (
    not exists (select from pg_publication_tables t where t.pubname = p.pubname)
    or exists (select from pg_publication_tables t where t.pubname = p.pubname and t.schemaname not in (${platform})))
), described(kind, schema, name, definition) as (
${OBJECT_QUERIES.join('\nunion all\n')}
)
select kind::text, schema::text, name::text,
  left(encode(sha256(convert_to(coalesce(definition, ''), 'UTF8')), 'hex'), 16) as hash
from described`;

;// CONCATENATED MODULE: ./compiled/src/database/schema/schema-facts-sql.js



const unnested = (names) => `unnest(${textArray(names.map(({ schema }) => schema))}, ${textArray(names.map(({ name }) => name))})
  with ordinality as w(schema, name, position)`;
/**
 * The tables in question with what the catalogue knows of them: those required and all of `public`, without the
 * tables that extensions brought.
 */
function tablesSql(rules) {
    return `
wanted_tables as materialized (select * from ${unnested(rules.requiredTables)}),
tables as materialized (
  select c.oid, n.nspname::text as schema, c.relname::text as name, c.relkind, c.relrowsecurity as rls,
    c.relforcerowsecurity as forced, c.reltuples, c.relpages, w.position, coalesce(p.policies, 0) as policies,
    format('%I.%I', n.nspname, c.relname) as qualified
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
    left join wanted_tables w on w.schema = n.nspname and w.name = c.relname
    left join (select polrelid, count(*)::int as policies from pg_policy group by polrelid) p on p.polrelid = c.oid
  where c.relkind in ('r', 'p', 'f', 'v', 'm') and (n.nspname = 'public' or w.position is not null)
    and not exists (select from pg_depend e where e.classid = 'pg_class'::regclass and e.objid = c.oid and e.deptype = 'e'))`;
}
/** Rows (fact, outcome, detail, problem, next), in the order in which they are told; outcome passed, failed or warned. */
function factsSql(scope) {
    const { rules } = scope;
    const parts = [
        tableFacts,
        functionFacts(rules),
        ...(rules.rls === 'off' ? [] : [rules.rls === 'all' ? rlsOfAll : rlsOfRequired]),
        ...(rules.rls === 'required' && scope.thorough ? [idlePolicies] : []),
        ...(scope.thorough ? [notValid, invalidIndexes(scope.invalidIndexFails), sequences] : []),
    ];
    return `with ${tablesSql(rules)}
select * from (\n${parts.map((part, index) => `select ${index} as part, f.* from (${part}) f`).join('\nunion all\n')}) f
order by part, position`;
}
const tableFacts = `
  select w.position, 'table ' || format('%I.%I', w.schema, w.name) as fact,
    case when t.relkind in ('r', 'p', 'f') then 'passed' else 'failed' end as outcome, null::text as detail,
    case when t.oid is null then 'table ' || format('%I.%I', w.schema, w.name) || ' does not exist'
      when t.relkind in ('v', 'm') then format('%I.%I', w.schema, w.name) || ' is a view, not a table' end as problem,
    'Add the migration that creates it, or correct required-tables.' as next
  from wanted_tables w left join tables t on t.schema = w.schema and t.name = w.name`;
/** The types of the arguments of each function as JSON, as to_regtype reads them; empty where any will do. */
const argumentTypes = (rules) => textArray(rules.requiredFunctions.map((wanted) => wanted.arguments ? JSON.stringify(wanted.arguments.map(typeText)) : ''));
/** Quoted, so that none of it is a word of SQL, over which to_regtype would stumble. */
const typeText = ({ schema, name, array }) => `${schema === undefined ? identifier(name) : identifier(schema, name)}${array ? '[]' : ''}`;
const functionFacts = (rules) => `
  select w.position, 'function ' || w.shown as fact,
    case when count(p.oid) > 0 then 'passed' else 'failed' end as outcome,
    case when count(p.oid) > 1 then count(p.oid) || ' with this name' end as detail,
    case when count(p.oid) = 0 then 'function ' || w.shown || ' does not exist' || coalesce('; there is ' || (
      select string_agg(o.oid::regprocedure::text, ', ' order by o.oid) from pg_proc o join pg_namespace m on m.oid = o.pronamespace
      where m.nspname = w.schema and o.proname = w.name), '') end as problem,
    'Add the migration that creates it, or correct required-functions.' as next
  from (
    select f.position, f.schema, f.name, case when f.arguments <> '' then a.types end as types,
      format('%I.%I', f.schema, f.name) || case when f.arguments <> '' then '(' || a.shown || ')' else '' end as shown
    from unnest(${textArray(rules.requiredFunctions.map(({ schema }) => schema))},
        ${textArray(rules.requiredFunctions.map(({ name }) => name))}, ${argumentTypes(rules)})
        with ordinality as f(schema, name, arguments, position),
      lateral (select coalesce(string_agg(coalesce(to_regtype(t)::oid::text, '?'), ' ' order by i), '') as types,
          coalesce(string_agg(coalesce(to_regtype(t)::text, t), ', ' order by i), '') as shown
        from jsonb_array_elements_text(nullif(f.arguments, '')::jsonb) with ordinality as x(t, i)) a) w
    left join pg_namespace n on n.nspname = w.schema
    left join pg_proc p on p.pronamespace = n.oid and p.proname = w.name
      and (w.types is null or p.proargtypes::text = w.types)
  group by w.position, w.schema, w.name, w.shown`;
/** Tables of the platform, such as auth.users, may be required; who reads their rows is not the project's to say. */
const ofTheProject = `t.schema not in (${PLATFORM_SCHEMAS.map(literal).join(', ')})`;
const rlsProblem = `case when not t.rls then 'row level security is off on ' || t.qualified
      when t.policies = 0 then t.qualified || ' has row level security on but no policy: nobody it applies to can read it' end`;
const rlsNext = `'Add to a migration: alter table ... enable row level security, and create policy ...; or set rls: off.'`;
const rlsOfRequired = `
  select t.position, 'row level security of ' || t.qualified as fact,
    case when t.rls and t.policies > 0 then 'passed' else 'failed' end as outcome,
    concat_ws(', ', case when t.rls then 'on' else 'off' end, case when t.forced then 'forced' end,
      t.policies || case t.policies when 1 then ' policy' else ' policies' end) as detail,
    ${rlsProblem} as problem, ${rlsNext} as next
  from tables t where t.position is not null and t.relkind in ('r', 'p') and ${ofTheProject}`;
const rlsOfAll = `
  select 1 as position, 'row level security of every table in public' as fact,
    case when count(*) filter (where ${rlsProblem} is not null) = 0 then 'passed' else 'failed' end as outcome,
    count(*) || ' tables, ' || count(*) filter (where t.forced) || ' of them forced' as detail,
    string_agg(${rlsProblem}, E'\\n' order by t.qualified) as problem, ${rlsNext} as next
  from tables t where (t.schema = 'public' or t.position is not null) and t.relkind in ('r', 'p') and ${ofTheProject}`;
/**
 * Policies on a table whose row level security is off protect nothing, and look as if they did. Of the tables in
 * question this is a failure of their own; of others, which may have been so for years, it is told.
 */
const idlePolicies = `
  select 1 as position, 'no policy without row level security' as fact,
    case when count(*) = 0 then 'passed' else 'warned' end as outcome, null::text as detail,
    string_agg('the policies of ' || t.qualified || ' have no effect: its row level security is off', E'\\n' order by t.qualified) as problem,
    'Add to a migration: alter table ... enable row level security; or drop the policies.' as next
  from tables t where t.policies > 0 and not t.rls and t.position is null`;
const userSchemas = `n.nspname !~ '^pg_' and n.nspname not in (${PLATFORM_SCHEMAS.map(literal).join(', ')})`;
/** An index on a partitioned table is invalid until its parts are attached, and one being built until it is done. */
const invalidIndexes = (fails) => `
  select 1 as position, 'no invalid index' as fact,
    case when count(*) = 0 then 'passed' else '${fails ? 'failed' : 'warned'}' end as outcome, null::text as detail,
    string_agg('index ' || format('%I.%I', n.nspname, x.relname) || ' is invalid: no query uses it', E'\\n' order by x.relname) as problem,
    'Drop it with drop index concurrently, then create it again.' as next
  from pg_index i join pg_class x on x.oid = i.indexrelid join pg_namespace n on n.oid = x.relnamespace
  where not i.indisvalid and x.relkind = 'i' and ${userSchemas}
    and not exists (select from pg_stat_progress_create_index b where b.index_relid = i.indexrelid)`;
/** Never a failure: adding it NOT VALID, to be validated by a later file, is what is advised for a large table. */
const notValid = `
  select 1 as position, 'no constraint left NOT VALID' as fact,
    case when count(*) = 0 then 'passed' else 'warned' end as outcome, null::text as detail,
    string_agg('constraint ' || quote_ident(k.conname) || ' on ' || format('%I.%I', n.nspname, c.relname)
      || ' is NOT VALID: existing rows were never checked', E'\\n' order by c.relname, k.conname) as problem,
    'Validate it in a migration of its own: alter table ... validate constraint ...; in a file marked -- deploy: after-health it does not block the application.' as next
  from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
  where not k.convalidated and ${userSchemas}`;
/**
 * A sequence that has used four fifths of what it, or the column it fills, can hold. Reading one takes a lock that
 * is kept until the transaction ends, so those of a bigint, which never come near it, are left alone.
 */
const sequences = `
  select 1 as position, 'no sequence near its end' as fact,
    case when count(*) = 0 then 'passed' else 'warned' end as outcome, null::text as detail,
    string_agg(format('sequence %s has used %s %% of its numbers', s.qualified, round(100 * s.used)), E'\\n' order by s.qualified) as problem,
    'Change the column (and the sequence) to bigint before it is full.' as next
  from (
    select format('%I.%I', n.nspname, c.relname) as qualified,
      case when has_sequence_privilege(c.oid, 'SELECT, USAGE') then pg_sequence_last_value(c.oid)::numeric end
        / limits.most as used
    from pg_sequence q join pg_class c on c.oid = q.seqrelid join pg_namespace n on n.oid = c.relnamespace
      left join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = c.oid and d.refclassid = 'pg_class'::regclass
        and d.refobjsubid > 0 and d.deptype in ('a', 'i')
      left join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
      cross join lateral (select least(q.seqmax, case a.atttypid when 'int2'::regtype then 32767
        when 'int4'::regtype then 2147483647 else q.seqmax end) as most) limits
    where limits.most <= 2147483647 and q.seqincrement > 0 and not q.seqcycle and ${userSchemas}) s
  where s.used >= 0.8`;
/**
 * A DO block that asks every table with row level security, as role anon, whether it gives a row; all inside a
 * sub-transaction that is rolled back. Leaves {"schema.table": answer} in `muva.probe`: rows, none, denied, or the
 * SQLSTATE of another refusal; under "" why the probe could not be made or ended early.
 */
function probeSql(rules) {
    const scope = rules.rls === 'all' ? `(schema = 'public' or position is not null)` : 'position is not null';
    return `
declare answers text[] := '{}'; answer text; ended text; filled boolean; item record;
begin
  if not exists (select from pg_roles where rolname = 'anon') then
    perform set_config('muva.probe', '{"": "no role anon"}', true);
    return;
  end if;
  begin
    set local role anon;
    set local transaction_read_only = on;
    for item in with ${tablesSql(rules)} select * from tables t
      where rls and relkind in ('r', 'p') and ${scope} and ${ofTheProject} order by relpages, qualified
    loop
      begin
        execute format('select exists (select from %s)', item.qualified) into filled;
        -- Undone at once: its locks go with it, so that a thousand tables do not fill the server's lock table.
        raise exception using errcode = '${CODES.undone}';
      exception when sqlstate '${CODES.undone}' then
        answer := case when not filled then 'none' when exists (
          select from pg_policy p, unnest(p.polroles) r where p.polrelid = item.oid and p.polpermissive and p.polcmd in ('r', '*')
            and (r = 0 or pg_has_role('anon', r, 'USAGE'))) then 'rows by policy' else 'rows' end;
        when insufficient_privilege then answer := 'denied';
        when query_canceled then raise;
        when others then answer := sqlstate;
      end;
      -- An array grows in place; a jsonb would be copied for each table.
      answers := answers || array[item.qualified, answer];
    end loop;
    raise exception using errcode = '${CODES.undone}';
  exception when sqlstate '${CODES.undone}' then null;
    when query_canceled then ended := 'time';
    when others then ended := sqlstate;
  end;
  perform set_config('muva.probe', (jsonb_object(answers)
    || case when ended is null then '{}' else jsonb_build_object('', ended) end)::text, true);
end`;
}
/** A DO block that counts rows, smallest tables first, until the statement timeout; leaves {"schema.table": rows} in `muva.counts`. */
function countsSql(rules) {
    return `
declare counts text[] := '{}'; rows bigint; item record;
begin
  begin
    -- Better no number than one that row level security made smaller.
    perform set_config('row_security', 'off', true);
    for item in with ${tablesSql(rules)} select * from tables where relkind in ('r', 'p') order by relpages, qualified loop
      begin
        execute format('select count(*) from %s', item.qualified) into rows;
        raise exception using errcode = '${CODES.undone}';
      exception when sqlstate '${CODES.undone}' then
        counts := counts || array[item.qualified, rows::text];
        when query_canceled then raise;
        when others then null;
      end;
    end loop;
  exception when query_canceled then null;
  end;
  perform set_config('muva.counts', (select coalesce(jsonb_object_agg(key, value::bigint), '{}') from jsonb_each_text(jsonb_object(counts)))::text, true);
end`;
}
/**
 * The tables with rows and size. A table that somebody holds exclusively is not measured but estimated, because
 * asking for its size would wait for that lock.
 */
function tableListSql(rules) {
    const scope = rules.requiredTables.length > 0 && rules.rls !== 'all' ? 'where position is not null' : '';
    return `with ${tablesSql(rules)}, locked as materialized (
  select distinct relation from pg_locks where mode = 'AccessExclusiveLock' and relation is not null)
select t.schema, t.name, t.rls, t.forced, t.policies, t.qualified,
  case when t.relkind = 'p' then (select sum(nullif(c.reltuples, -1)) from pg_partition_tree(t.oid) i join pg_class c on c.oid = i.relid where i.isleaf)
    when t.oid not in (select relation from locked) and pg_relation_size(t.oid) = 0 and t.relkind = 'r' then 0
    when t.reltuples > 0 then t.reltuples
    else nullif(pg_stat_get_live_tuples(t.oid), 0) end::bigint as estimate,
  case when t.relkind = 'p' then (select coalesce(sum(pg_total_relation_size(i.relid)), 0) from pg_partition_tree(t.oid) i
        where i.isleaf and i.relid::oid not in (select relation from locked))
    when t.oid in (select relation from locked) then t.relpages::bigint * 8192
    else coalesce(pg_total_relation_size(t.oid), 0) end::bigint as bytes
from (select * from tables where relkind in ('r', 'p', 'f')) t ${scope}
order by t.schema collate "C", t.name collate "C"`;
}

;// CONCATENATED MODULE: ./compiled/src/database/schema/schema-facts.js








/** Milliseconds that asking the tables as role anon, and counting their rows, may take. */
const PROBE_TIMEOUT = 5_000;
const COUNT_TIMEOUT = 30_000;
const FACTS_TIMEOUT = 30_000;
/**
 * SQL for the end of a migration's message: raises CODES.notVerified when the schema does not verify,
 * so that such a schema is never committed. What is only told is left to `schemaFactsQuery`.
 */
function verificationMessage(rules) {
    // An index is never built concurrently in a transaction: an invalid one is not of this transaction's making.
    const scope = { rules, thorough: false, invalidIndexFails: false };
    return `do ${dollarQuote(`
declare failed text;
begin
  select jsonb_agg(jsonb_build_object('message', line, 'next', next))::text into failed
    from (${factsSql(scope)}) f, unnest(string_to_array(problem, E'\\n')) line where outcome = 'failed';
  if failed is not null then
    raise exception using errcode = '${CODES.notVerified}', message = failed;
  end if;
end`)};`;
}
/** The message of that error as problems, one per thing that is wrong. */
function verificationProblems(message) {
    return JSON.parse(message);
}
/**
 * Everything verify wants to know in one message that writes nothing. `strict`: nothing was deployed just now, so an
 * invalid index fails; in a deploy it is told, because it was there before.
 */
function schemaFactsQuery(rules, strict = true) {
    const scope = { rules, thorough: true, invalidIndexFails: strict };
    const exact = rules.rowCounts === 'exact';
    const probed = rules.rls !== 'off';
    const timed = (milliseconds, body) => `set local statement_timeout = ${milliseconds}; do ${dollarQuote(body)};`;
    const message = [
        'set transaction isolation level read committed, read only;',
        `set local lock_timeout = '1s';`,
        ...(probed ? [timed(PROBE_TIMEOUT, probeSql(rules))] : []),
        ...(exact ? [timed(COUNT_TIMEOUT, countsSql(rules))] : []),
        `set local statement_timeout = ${FACTS_TIMEOUT};`,
        VERSIONS_STATEMENT,
        `select (select coalesce(jsonb_agg(f), '[]') from (${factsSql(scope)}) f) as facts,
      (select coalesce(jsonb_agg(t), '[]') from (${tableListSql(rules)}) t) as tables,
      current_setting('muva.probe', true) as probe, current_setting('muva.counts', true) as counts,
      current_setting('muva.history', true) as history;`,
    ].join('\n');
    const work = (probed ? PROBE_TIMEOUT : 0) + (exact ? COUNT_TIMEOUT : 0) + 2 * FACTS_TIMEOUT;
    return { message, deadline: work + 10_000 };
}
function readSchemaRows(results) {
    const facts = jsonField(results, 'facts');
    if (!facts)
        throw new Error('the verify query gave no row');
    const probe = jsonField(results, 'probe');
    const counts = jsonField(results, 'counts');
    const history = jsonField(results, 'history');
    return {
        facts,
        tables: jsonField(results, 'tables') ?? [],
        ...(0,defined_only/* definedOnly */.U)({ probe, counts, history }),
    };
}
/** Turns what the database answered into one verdict per fact, and the list of tables. */
function judgeSchema(rows, rules) {
    const tables = rows.tables.map((row) => tableFact(row, rows.counts, rules.rowCounts));
    const found = new Map(rows.tables.map((row, index) => [row.qualified, tables[index]]));
    const facts = rows.facts.map((row) => judgeFact(row, found));
    if (rows.probe)
        facts.push(judgeProbe(rows.probe));
    if (rules.rowCounts === 'exact') {
        const missing = tables.filter((table) => !table.exact).length;
        facts.push({
            name: 'exact row counts',
            passed: true,
            detail: `${tables.length - missing} of ${tables.length} tables counted`,
            problems: [],
            warnings: missing === 0
                ? []
                : [
                    {
                        message: `${missing} of ${tables.length} tables could not be counted, for time or a lock: their rows are estimates`,
                    },
                ],
        });
    }
    return { facts, tables };
}
function tableFact(row, counts, mode) {
    const counted = counts?.[row.qualified];
    return {
        schema: row.schema,
        name: row.name,
        rows: mode === 'off' ? null : (counted ?? row.estimate),
        exact: counted !== undefined,
        bytes: row.bytes,
        rls: row.rls,
        forced: row.forced,
        policies: row.policies,
    };
}
function judgeFact(row, tables) {
    const table = row.fact.startsWith('table ') ? tables.get(row.fact.slice('table '.length)) : undefined;
    const detail = [row.detail, table && describeTable(table)].filter(Boolean).join(', ');
    const problems = (row.problem ?? '')
        .split('\n')
        .filter((line) => line !== '')
        .map((message) => ({ message, next: row.next }));
    return {
        name: row.fact,
        passed: row.outcome !== 'failed',
        ...(detail === '' ? {} : { detail }),
        problems: row.outcome === 'failed' ? problems : [],
        warnings: row.outcome === 'warned' ? problems : [],
    };
}
function describeTable({ rows, exact, bytes }) {
    const size = formatBytes(bytes);
    if (rows === null)
        return size;
    return `${exact || rows === 0 ? '' : 'about '}${rows} ${rows === 1 ? 'row' : 'rows'}, ${size}`;
}
/** What role anon was answered: rows that no policy allows mean that row level security does not bind it. */
function judgeProbe(probe) {
    const name = 'row level security binds role anon';
    const ended = probe[''];
    const answers = Object.entries(probe).filter(([table]) => table !== '');
    const problems = answers
        .filter(([, answer]) => answer === 'rows')
        .map(([table]) => ({
        message: `role anon reads rows of ${table} although no policy lets it: row level security does not bind it`,
        next: 'Look whether anon owns the table, is a superuser or has BYPASSRLS.',
    }));
    const count = (...kinds) => answers.filter(([, answer]) => kinds.includes(answer)).length;
    const failed = answers.filter(([, answer]) => /^[0-9A-Z]{5}$/.test(answer));
    const broken = failed.filter(([, code]) => !PASSING.test(code));
    problems.push(...broken.map(([table, code]) => ({
        message: `role anon cannot ask ${table}: every query of it fails with ${code}${WORDS[code] ?? ''}`,
        code,
        next: 'Ask it as that role: begin; set local role anon; select from ... limit 1; rollback; and correct its policies, or the functions that they call.',
    })));
    const told = [
        answers.length > 0 ? `${count('none', 'denied')} of ${answers.length} tables give it nothing` : '',
        count('rows by policy') > 0 ? `${count('rows by policy')} give rows by a policy` : '',
        failed.length > 0
            ? `${failed.length} could not be asked (${[...new Set(failed.map(([, code]) => code))].join(', ')})`
            : '',
        ended === undefined ? '' : (ENDED[ended] ?? `not asked: ${ended}`),
    ].filter((text) => text !== '');
    const busy = failed.filter(([, code]) => PASSING.test(code));
    const warnings = [
        ...(ended === 'time'
            ? [{ message: `role anon was not asked for every table within ${PROBE_TIMEOUT / 1_000} s` }]
            : []),
        ...(busy.length > 0
            ? [
                {
                    message: `role anon could not be asked for ${(0,shorten_list/* shortenList */.Y)(busy.map(([table, code]) => `${table} (${code})`))}`,
                },
            ]
            : []),
    ];
    return { name, passed: problems.length === 0, detail: told.join(', '), problems, warnings };
}
/** Errors that say nothing of the table: a lock, a shortage, a server that goes down, a policy that writes (not here). */
const PASSING = /^(55P03|25006|40...|53...|57...)$/;
/** What the commonest codes mean. */
const WORDS = {
    '42P17': ', because its policies ask the table itself (infinite recursion)',
    '42883': ', because a policy calls a function that does not exist',
};
const ENDED = {
    time: 'ended early for time',
    'no role anon': 'not asked: there is no role anon',
    '42501': 'not asked: this login may not become anon',
};

;// CONCATENATED MODULE: ./compiled/src/database/migrations/lock-modes.js
/** Table locks as pg_locks names them, weakest first. */
const LOCK_MODES = [
    'AccessShareLock',
    'RowShareLock',
    'RowExclusiveLock',
    'ShareUpdateExclusiveLock',
    'ShareLock',
    'ShareRowExclusiveLock',
    'ExclusiveLock',
    'AccessExclusiveLock',
];
/** For each mode, in the order above, which of them it cannot be had beside. */
const CONFLICTS = {
    AccessShareLock: '00000001',
    RowShareLock: '00000011',
    RowExclusiveLock: '00001111',
    ShareUpdateExclusiveLock: '00011111',
    ShareLock: '00110111',
    ShareRowExclusiveLock: '00111111',
    ExclusiveLock: '01111111',
    AccessExclusiveLock: '11111111',
};
/** Whether somebody who holds one lock on a table keeps out who wants the other. */
function conflicts(held, wanted) {
    return CONFLICTS[wanted][LOCK_MODES.indexOf(held)] === '1';
}
/**
 * The table lock that a statement waits behind. Writers also wait for each other's rows, so theirs counts as one that
 * keeps other writers out.
 */
function lockOf({ kind, node }) {
    switch (kind) {
        case 'SelectStmt':
            if (node.lockingClause !== undefined)
                return 'ExclusiveLock';
            // Without a table it calls a function, which may do anything.
            return node.fromClause === undefined ? 'AccessExclusiveLock' : 'AccessShareLock';
        case 'InsertStmt':
        case 'UpdateStmt':
        case 'DeleteStmt':
        case 'MergeStmt':
            return 'ExclusiveLock';
        case 'IndexStmt':
            return node.concurrent === true ? 'ShareUpdateExclusiveLock' : 'ShareLock';
        case 'CreateTrigStmt':
            return 'ShareRowExclusiveLock';
        case 'VacuumStmt':
        case 'CreateStatsStmt':
            return 'ShareUpdateExclusiveLock';
        default:
            return 'AccessExclusiveLock';
    }
}

;// CONCATENATED MODULE: ./compiled/src/database/sql/sql-lexer.js
const DOLLAR_TAG = /\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$/y;
const WORD = /[A-Za-z_\u0080-\uffff][A-Za-z0-9_$\u0080-\uffff]*/y;
/** A quote behind a line end goes on with the string before it, under the same rules; only comments may stand between. */
const CONTINUED = /(?:[ \t\f\v]|--[^\r\n]*(?=[\r\n]))*[\r\n](?:[ \t\f\v\r\n]|--[^\r\n]*(?=[\r\n]))*'/y;
/**
 * The index after the token that starts at `index`, by SQL's lexical rules: a quoted text, a comment, a word, or one
 * character. What is not closed goes to the end.
 */
function afterToken(source, index) {
    const character = source[index];
    if (character === "'" || character === '"')
        return afterQuote(source, index, character, false);
    const two = source.slice(index, index + 2);
    if (two === '--' || two === '/*')
        return afterComment(source, index);
    if (character === '$') {
        const tag = match(DOLLAR_TAG, source, index);
        if (tag === undefined)
            return index + 1;
        const end = source.indexOf(tag, index + tag.length);
        return end === -1 ? source.length : end + tag.length;
    }
    const word = match(WORD, source, index);
    if (word === undefined)
        return index + 1;
    const after = index + word.length;
    // E'...' is the only quote in which a backslash hides the next character.
    return /^e$/i.test(word) && source[after] === "'" ? afterQuote(source, after, "'", true) : after;
}
function match(pattern, source, index) {
    pattern.lastIndex = index;
    return pattern.exec(source)?.[0];
}
function afterQuote(source, from, quote, escapes) {
    let index = from + 1;
    while (index < source.length) {
        if (escapes && source[index] === '\\')
            index += 2;
        else if (source[index] === quote) {
            if (source[index + 1] === quote)
                index += 2;
            else {
                const more = escapes ? match(CONTINUED, source, index + 1) : undefined;
                if (more === undefined)
                    return index + 1;
                index += 1 + more.length;
            }
        }
        else
            index++;
    }
    return source.length;
}
const LINE_COMMENT = /--[^\r\n]*/y;
function afterComment(source, from) {
    const line = match(LINE_COMMENT, source, from);
    if (line !== undefined)
        return from + line.length;
    let depth = 0;
    let index = from;
    while (index < source.length) {
        const two = source.slice(index, index + 2);
        if (two === '/*')
            depth++;
        else if (two === '*/')
            depth--;
        else {
            index++;
            continue;
        }
        index += 2;
        if (depth === 0)
            return index;
    }
    return source.length;
}
/** White space and comments left off the start: the index where the first word begins. */
function skipBlanks(source, from) {
    let index = from;
    for (;;) {
        const two = source.slice(index, index + 2);
        if (/^\s/.test(two))
            index++;
        else if (two === '--' || two === '/*')
            index = afterComment(source, index);
        else
            return index;
    }
}

;// CONCATENATED MODULE: ./compiled/src/database/apply/blockers.js





/** What every transaction of ours waits for before its first file. */
const WAITED_FOR_HISTORY = { text: HISTORY_TABLE, mode: 'ShareRowExclusiveLock' };
/** The statement of a file that an error points to; without a place it came before the first or behind the last. */
function waitedIn(file, at) {
    if (!file || !at)
        return WAITED_FOR_HISTORY;
    const { source, statements } = file.shape;
    const statement = statements?.findLast(({ from }) => {
        const { line, column } = positionIn(file.file, file.source, from);
        return line < at.line || (line === at.line && column <= at.column);
    });
    return statement
        ? { text: source.slice(statement.from, statement.to), mode: lockOf(statement) }
        : { text: source, mode: 'AccessExclusiveLock' };
}
/** In the order of their transactions, longest first. */
const HELD = `select coalesce(json_agg(b), '[]')::text as held from (
  select a.pid, coalesce(nullif(a.application_name, ''), a.usename, a.backend_type) as who, a.state,
    round(extract(epoch from clock_timestamp() - a.xact_start)) as seconds,
    c.relname as table, c.oid::regclass::text as qualified, l.mode
  from pg_locks l join pg_stat_activity a using (pid) join pg_class c on c.oid = l.relation
  where l.granted and l.locktype = 'relation' and l.pid <> pg_backend_pid() and c.relkind in ('r', 'p', 'm', 'v')
    and c.relnamespace <> 'pg_catalog'::regnamespace
    and l.database = (select oid from pg_database where datname = current_database())
  order by a.xact_start limit 10000) b`;
/** Who may have kept us waiting, for the message after a lock time-out; empty where nobody is seen any more. */
async function nameBlockers(database, waited) {
    try {
        const results = await database.send(HELD, { deadline: 10_000 });
        return describeBlockers(jsonField(results, 'held') ?? [], waited);
    }
    catch {
        // Only words for a message: the lock time-out itself is told either way.
        return '';
    }
}
/**
 * Of all that is held: what conflicts on a table that is named. Where nothing does, a table was meant that is not
 * named, such as one that a view reads: whoever keeps everybody from a table.
 */
function describeBlockers(held, { text, mode }) {
    const names = identifiersIn(text);
    const named = held.filter((lock) => names.has(lock.table) && conflicts(lock.mode, mode));
    const found = named.length > 0 ? named : held.filter((lock) => lock.mode === 'AccessExclusiveLock');
    const pids = [...new Set(found.map(({ pid }) => pid))].slice(0, 3);
    return pids
        .map((pid) => {
        const locks = found.filter((lock) => lock.pid === pid);
        const { who, state, seconds } = locks[0];
        const tables = [...new Set(locks.map(({ qualified }) => qualified))].sort().join(', ');
        return `${who} (pid ${pid}, ${state ?? 'at work'} for ${seconds ?? 0} s, holds ${tables})`;
    })
        .join('; ');
}
/** What CONCURRENTLY waits for: every transaction that may see what was there before, whatever it has touched. */
const OLD = `select coalesce(json_agg(b), '[]')::text as old from (
  select a.pid, coalesce(nullif(a.application_name, ''), a.usename, a.backend_type) as who, a.state,
    round(extract(epoch from clock_timestamp() - a.xact_start)) as seconds,
    (select rolsuper from pg_roles where rolname = current_user) or pg_has_role(a.usesysid, 'usage')
      or (pg_has_role('pg_signal_backend', 'usage')
        and not (select rolsuper from pg_roles r where r.oid = a.usesysid)) as mine
  from pg_stat_activity a
  where a.datname = current_database() and a.pid <> pg_backend_pid()
    and (a.backend_xid is not null or a.backend_xmin is not null)
  order by a.xact_start limit 3) b`;
/** Who has kept a statement with CONCURRENTLY waiting, and what can be done; undefined where nobody is seen any more. */
async function nameOldTransactions(database) {
    let old;
    try {
        const results = await database.send(OLD, { deadline: 10_000 });
        old = jsonField(results, 'old') ?? [];
    }
    catch {
        // Only words for a message: the time-out itself is told either way.
        return undefined;
    }
    if (old.length === 0)
        return undefined;
    const ends = old.filter(({ mine }) => mine).map(({ pid }) => `select pg_terminate_backend(${pid});`);
    return {
        who: old
            .map(({ pid, who, state, seconds }) => `${who} (pid ${pid}, ${state ?? 'at work'} for ${seconds} s)`)
            .join('; '),
        next: `Wait for the end of that transaction, then run again.${ends.length > 0 ? ` Or end it: ${ends.join(' ')}` : ''}`,
    };
}
/** Every name that stands in SQL, also in its texts, which may be the bodies of functions; comments left out. */
function identifiersIn(text) {
    const names = new Set();
    for (let index = 0; index < text.length;) {
        const next = afterToken(text, index);
        const token = text.slice(index, next);
        index = next;
        if (token.startsWith('--') || token.startsWith('/*'))
            continue;
        if (token.startsWith('"'))
            names.add(token.slice(1, -1).replaceAll('""', '"'));
        else
            for (const word of token.match(/[\p{L}_][\p{L}\p{N}_$]*/gu) ?? [])
                names.add(word.toLowerCase());
    }
    return names;
}

;// CONCATENATED MODULE: ./compiled/src/database/migrations/validated-apart.js
/** The constraints that a file adds without looking at the rows that are there, and those that it has looked at. */
function constraintsOf({ statements = [] }) {
    const notValid = [];
    const validated = [];
    for (const { kind, node } of statements) {
        if (kind !== 'AlterTableStmt')
            continue;
        const table = String(node.relation?.relname);
        for (const { AlterTableCmd: command } of node.cmds ?? []) {
            const { Constraint: added } = (command?.def ?? {});
            if (command?.subtype === 'AT_AddConstraint' && added?.skip_validation === true)
                notValid.push(`${table}.${String(added.conname)}`);
            if (command?.subtype === 'AT_ValidateConstraint')
                validated.push(`${table}.${String(command.name)}`);
        }
    }
    return { notValid, validated };
}

;// CONCATENATED MODULE: ./compiled/src/database/migrations/batches.js


/** Together all text of one batch stays far below the largest message that the protocol can carry. */
const LARGEST_BATCH = 64 * 1024 * 1024;
/** Groups files, in order, into as few transactions as PostgreSQL allows; or one per file. */
function makeBatches(files, transaction) {
    const batches = [];
    let size = 0;
    let ended;
    const unchecked = new Set();
    for (const file of files) {
        const { mode, why, endsBatch } = file.shape;
        const previous = batches[batches.length - 1];
        const bytes = Buffer.byteLength(file.source);
        const { notValid, validated } = constraintsOf(file.shape);
        const looked = validated.find((constraint) => unchecked.has(constraint));
        const reason = !previous
            ? undefined
            : transaction === 'each'
                ? 'one transaction per file was asked for'
                : ended !== undefined
                    ? ended
                    : mode !== 'together'
                        ? `${titleOf(file)}: ${why ?? mode}`
                        : previous.mode !== 'together'
                            ? `${titleOf(previous.files[0])} before it: ${previous.files[0].shape.why ?? previous.mode}`
                            : looked !== undefined
                                ? `${titleOf(file)} validates ${looked}, which a file before it adds NOT VALID: together that would lock the table all the while`
                                : size + bytes > LARGEST_BATCH
                                    ? 'the files before it fill one message'
                                    : undefined;
        if (previous && reason === undefined) {
            previous.files.push(file);
            size += bytes;
        }
        else {
            batches.push({ mode, files: [file], ...(0,defined_only/* definedOnly */.U)({ why: reason }) });
            size = bytes;
            unchecked.clear();
        }
        for (const constraint of notValid)
            unchecked.add(constraint);
        ended = endsBatch === undefined ? undefined : `${titleOf(file)} before it: ${endsBatch}`;
    }
    return batches;
}
/** What a migration is called in steps and messages; a history may hold no name for it. */
function titleOf({ version, name }) {
    return name ? `${version}_${name}` : version;
}

;// CONCATENATED MODULE: ./compiled/src/database/schema/fingerprint.js




/** SQL that sets what the fingerprint needs, until the transaction ends. */
const SET_DETERMINISTIC = Object.entries(DETERMINISTIC_SETTINGS)
    .map(([name, value]) => `set local ${name} = ${literal(value)};`)
    .join(' ');
/** One message, one flight; its last statement gives one row: `objects` (StoredObject[]) and `fingerprint`. */
function fingerprintQuery() {
    return `${SET_DETERMINISTIC} ${FINGERPRINT_ROW};`;
}
/** A SELECT with one row: `objects` as jsonb and `fingerprint` as text; needs DETERMINISTIC_SETTINGS. */
const FINGERPRINT_ROW = `
select coalesce(jsonb_agg(jsonb_build_array(kind, schema, name, hash)), '[]') as objects,
  encode(sha256(convert_to(coalesce(string_agg(line, E'\\n' order by line collate "C"), ''), 'UTF8')), 'hex') as fingerprint
from (select *, kind || '|' || schema || '|' || name || '|' || hash as line from (${OBJECTS_QUERY}) o) o`;
/** Reads the answer to `fingerprintQuery`. */
function readFingerprint(results) {
    const { fingerprint } = lastRow(results);
    if (typeof fingerprint !== 'string')
        throw new Error('the fingerprint query gave no row');
    return { fingerprint, objects: readObjects(jsonField(results, 'objects')) };
}
/** Stored objects as they are worked with; none where nothing is stored. */
function readObjects(stored) {
    return (stored ?? []).map(([kind, schema, name, hash]) => ({ kind, schema, name, hash }));
}
/** The same text that the server computes over all objects; the order in which they come does not matter. */
function fingerprintOf(objects) {
    const lines = objects
        .map(({ kind, schema, name, hash }) => Buffer.from(`${kind}|${schema}|${name}|${hash}`))
        .sort(Buffer.compare)
        .map(String);
    return createHash('sha256').update(lines.join('\n')).digest('hex');
}
/** What was added, removed and altered between two moments, each by kind, schema and name. */
function compareObjects(before, after) {
    const old = new Map(before.map((object) => [keyOf(object), object]));
    const difference = { added: [], removed: [], altered: [] };
    for (const object of after) {
        const was = old.get(keyOf(object));
        if (!was)
            difference.added.push(object);
        else if (was.hash !== object.hash)
            difference.altered.push(object);
        old.delete(keyOf(object));
    }
    difference.removed.push(...old.values());
    for (const list of Object.values(difference))
        list.sort(byName);
    return difference;
}
function keyOf(object) {
    return `${object.kind}\n${object.schema}\n${object.name}`;
}
/** True where nothing differs. */
function isSameSchema(difference) {
    return difference.added.length + difference.removed.length + difference.altered.length === 0;
}
/** `table public.hotels`, `policy public."read on hotels"`, `publication supabase_realtime`. */
function describeObject({ kind, schema, name }) {
    if (name === '')
        return `${kind} ${schema}`;
    return schema === '' ? `${kind} ${name}` : `${kind} ${schema}.${name}`;
}
/**
 * The difference in words, at most `most` objects. What follows from a table that came or went (its columns,
 * constraints, grants) is not told again.
 */
function describeDifference(difference, most = 10) {
    const told = [];
    for (const [word, list] of Object.entries(difference)) {
        const whole = new Set(list.filter(({ kind }) => OWNERS.has(kind)).map(({ schema, name }) => `${schema}.${name}`));
        for (const object of list)
            if (!belongsTo(object, whole))
                told.push(`${word} ${describeObject(object)}`);
    }
    const rest = told.length - most;
    return told.slice(0, most).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}
const OWNERS = new Set([
    'table',
    'view',
    'materialized view',
    'foreign table',
    'function',
    'procedure',
    'type',
]);
function belongsTo({ kind, schema, name }, whole) {
    if (kind.startsWith('grants on '))
        return whole.has(`${schema}.${name}`);
    if (kind === 'column') {
        // Names may hold dots: every prefix could be the table.
        for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1))
            if (whole.has(`${schema}.${name.slice(0, dot)}`))
                return true;
        return false;
    }
    for (let on = name.indexOf(' on '); on >= 0; on = name.indexOf(' on ', on + 1))
        if (whole.has(`${schema}.${name.slice(on + 4)}`))
            return true;
    return false;
}
function byName(a, b) {
    const [left, right] = [keyOf(a), keyOf(b)];
    return left < right ? -1 : left > right ? 1 : 0;
}

;// CONCATENATED MODULE: ./compiled/src/database/schema/schema-record.js




/**
 * What is remembered of the schema around a run, in its row of deploy_runs:
 * `fingerprint_before`, `fingerprint_after`; `objects`, every object after the newest run (older rows are emptied);
 * `changes`, what the run itself changed: [kind, schema, name, hash before or null, hash after or null].
 * Looking at a whole schema costs more than a small migration, so a run looks before its first message and with its
 * last one. In between its row holds `objects` before and no `fingerprint_after`: that is how a killed run is known.
 *
 * Looking needs a lock on every table, view and index, and others may hold one of them for long. It is not worth
 * a deploy: a start that is not known is stored as JSON null, and a run whose end is not known is left like a killed
 * one, so that the next run, or its rollback, takes what it meets for that end.
 */
/** What a message tells where the schema could not be looked at. */
const NOT_LOOKED_AT = 'muva: the schema was not looked at, because a table is locked';
/** Milliseconds that a look waits for each lock: before the first change, and while the locks of our changes are held. */
const WAIT_BEFORE = 1_000;
const WAIT_AFTER = 100;
/** PL/pgSQL that does `work` under the settings that a fingerprint needs, and puts the session's own back. */
function deterministic(declarations, work) {
    const names = [...Object.keys(DETERMINISTIC_SETTINGS), 'lock_timeout'].map(literal).join(', ');
    const set = Object.entries(DETERMINISTIC_SETTINGS)
        .map(([name, value]) => `perform set_config(${literal(name)}, ${literal(value)}, true);`)
        .join(' ');
    return `
declare muva_saved jsonb; muva_item record; ${declarations}
begin
  select jsonb_object_agg(n, current_setting(n)) into muva_saved from unnest(array[${names}]) n;
  ${set}
  ${work}
  for muva_item in select * from jsonb_each_text(muva_saved) loop
    perform set_config(muva_item.key, muva_item.value, true);
  end loop;
end`;
}
/** True of a row whose run changed the schema and has not recorded the state after: it is at work, or was killed. */
const UNRECORDED = '(r.objects is not null and r.fingerprint_after is null)';
/** True of a row whose run left a file half applied: whoever completes the file takes over what it changed so far. */
const HALF_APPLIED = `exists (select from ${PARTIAL_TABLE} p where p.run_id = r.run_id)`;
/**
 * A statement for the first message of a run, after the run's row was written, and for the first one of a file that
 * is applied in parts: remembers the state before. The first state that a run met stays, however many times it
 * begins. A run that was killed before it recorded its end gets the state that is met now as its end.
 */
function recordStateBefore(runId) {
    return statement(WAIT_BEFORE, `
  select f.objects, f.fingerprint into muva_objects, muva_fingerprint from (${FINGERPRINT_ROW}) f;
  select r.objects into muva_inherited from ${RUNS_TABLE} r
    where r.run_id <> ${literal(runId)} and ${UNRECORDED} and ${HALF_APPLIED};
  update ${RUNS_TABLE} r set fingerprint_after = f.fingerprint, objects = null,
    outcome = case r.outcome when 'begun' then 'applied' else r.outcome end,
    changes = case when ${HALF_APPLIED} or ${START_UNKNOWN} then r.changes else (${mergedChanges}) end
    from (select muva_objects as objects, muva_fingerprint as fingerprint) f
    where r.run_id <> ${literal(runId)} and ${UNRECORDED};
  update ${RUNS_TABLE} r set fingerprint_before = coalesce(r.fingerprint_before, muva_fingerprint),
    objects = case when ${UNRECORDED} then r.objects else coalesce(muva_inherited, muva_objects) end,
    fingerprint_after = null, outcome = 'begun'
    where r.run_id = ${literal(runId)};`, `update ${RUNS_TABLE} r set objects = case when ${UNRECORDED} then r.objects else 'null' end,
      fingerprint_after = null, outcome = 'begun' where r.run_id = ${literal(runId)};`, 'muva_objects jsonb; muva_fingerprint text; muva_inherited jsonb;');
}
/** A statement for the run's last message: remembers the state after, and what the run changed. */
function recordStateAfter(runId) {
    return statement(WAIT_AFTER, after(runId), endUnknown(runId));
}
/**
 * A message of its own for a run that stops between its messages: as `recordStateAfter`. Does nothing where the state
 * is recorded, or another run is at work, which records it with its own.
 */
function recordStateAtStop(runId) {
    return statement(WAIT_BEFORE, `
  if pg_try_advisory_xact_lock(${LOCK_KEY})
      and exists (select from ${RUNS_TABLE} r where r.run_id = ${literal(runId)} and ${UNRECORDED}) then
    ${after(runId)}
  end if;`, '');
}
/** PL/pgSQL for a message that undoes something: the state met now is the end of a run that was killed before its own. */
function recordKilledRun() {
    return deterministic('', `
  if exists (select from ${RUNS_TABLE} r where ${UNRECORDED} and not ${HALF_APPLIED}) then
    update ${RUNS_TABLE} r set fingerprint_after = f.fingerprint, objects = f.objects,
      changes = case when ${START_UNKNOWN} then r.changes else (${mergedChanges}) end
      from (${FINGERPRINT_ROW}) f where ${UNRECORDED} and not ${HALF_APPLIED};
  end if;`);
}
/** A DO statement that looks at the schema in a sub-transaction; where a lock is not to be had in time, `otherwise`. */
function statement(wait, work, otherwise, declarations = '') {
    const looked = `
  begin
    perform set_config('lock_timeout', '${wait}ms', true);
    ${work}
  exception when lock_not_available then
    ${otherwise}
    raise info using message = ${literal(NOT_LOOKED_AT)};
  end;`;
    return `do ${dollarQuote(deterministic(declarations, looked))};`;
}
/** True of a row whose run could not look at the schema before it began. */
const START_UNKNOWN = `r.objects = 'null'`;
function endUnknown(runId) {
    return `update ${RUNS_TABLE} r set finished_at = clock_timestamp(), outcome = 'applied' where r.run_id = ${literal(runId)};`;
}
function after(runId) {
    return `
  update ${RUNS_TABLE} r set fingerprint_after = f.fingerprint, objects = f.objects, finished_at = clock_timestamp(),
    outcome = 'applied', changes = case when r.objects is null or ${START_UNKNOWN} then r.changes else (${mergedChanges}) end
  from (${FINGERPRINT_ROW}) f where r.run_id = ${literal(runId)};
  update ${RUNS_TABLE} set objects = null where run_id <> ${literal(runId)} and objects is not null;`;
}
/** Stored objects as rows. */
const objectRows = (objects) => `(select e ->> 0 as kind, e ->> 1 as schema, e ->> 2 as name, e ->> 3 as hash from jsonb_array_elements(${objects}) e)`;
/** Stored changes as rows; `before` null: the run created it; `after` null: the run dropped it. */
const changeRows = (changes) => `(select e ->> 0 as kind, e ->> 1 as schema, e ->> 2 as name, e ->> 3 as before, e ->> 4 as after
    from jsonb_array_elements(${changes}) e)`;
/** Earlier changes of the run with those of this message: the oldest "before" and the newest "after" of each object. */
const mergedChanges = `
  select coalesce(jsonb_agg(jsonb_build_array(kind, schema, name, before, after)), '[]') from (
    select kind, schema, name,
      case when c.kept then c.before else d.before end as before, case when d.fresh then d.after else c.after end as after
    from (select *, true as kept from ${changeRows(`coalesce(r.changes, '[]')`)} x) c
    full join (
      select kind, schema, name, b.hash as before, a.hash as after, true as fresh
      from ${objectRows('r.objects')} b full join ${objectRows('f.objects')} a using (kind, schema, name)
      where b.hash is distinct from a.hash) d using (kind, schema, name)) m
  where before is distinct from after`;

;// CONCATENATED MODULE: ./compiled/src/database/apply/delivery.js






/** For an answer that is due: longer than the server gives a statement. */
const ANSWER_GRACE = 30_000;
/** The longest that a job of GitHub lasts, in milliseconds. */
const LONGEST_JOB = 6 * 60 * 60_000;
/** Milliseconds within which the server speaks: where a file sets its own time-outs, nobody knows. */
function answerWithin({ rules }, files) {
    const timed = files.some(({ shape }) => shape.timed !== undefined);
    return timed ? LONGEST_JOB : rules.statementTimeout + ANSWER_GRACE;
}
function newMarker() {
    return `muva ${(0,external_node_crypto_.randomBytes)(8).toString('hex')}`;
}
/** Milliseconds between two words about the file that is under way: a file that is done sooner is told at the end alone. */
const BETWEEN_WORDS = 1_000;
/** Reads what the units tell while they run: times per file, and which one is under way, which is told on. */
function markerReader(tools, marker, { batch, context, sent }) {
    const readNote = noteReader(context);
    const { files } = batch;
    let running;
    let told;
    const timer = setInterval(() => {
        if (running === undefined || running === told)
            return;
        told = running;
        const place = files.length === 1 ? '' : ` (${running + 1} of ${files.length})`;
        // Nothing is applied before the commit, so nothing is called done here.
        tools.log({ kind: 'progress', text: `running ${titleOf(files[running])}${place}` });
    }, BETWEEN_WORDS);
    const begins = (file) => {
        running = file;
        sent.current = file;
        sent.times[file] = { startedAt: Date.now(), milliseconds: 0 };
    };
    return {
        onNotice(notice) {
            readNote(notice);
            const { message } = notice;
            if (!message.startsWith(marker))
                return;
            const [event, index, milliseconds] = message.slice(marker.length + 1).split(' ');
            const file = Number(index);
            if (event === 'start')
                begins(file);
            if (event !== 'done')
                return;
            const time = sent.times[file];
            time.milliseconds = milliseconds === undefined ? Date.now() - time.startedAt : Number(milliseconds);
            if (file + 1 < files.length)
                begins(file + 1);
            else
                running = undefined;
        },
        close: () => clearInterval(timer),
    };
}
/** Reads what the SQL around the files tells: that it could not look at the schema. */
function noteReader({ onNotLookedAt }) {
    return ({ message }) => {
        if (message === NOT_LOOKED_AT)
            onNotLookedAt?.();
    };
}
/** For a transport without notices: asks, at the end of the message, when each file was done. */
function timesMessage(files) {
    const versions = textArray(files.map((file) => file.version));
    return `select json_build_object('start', extract(epoch from now()) * 1000, 'ends',
    (select json_agg(extract(epoch from applied_at) * 1000 order by position) from ${MIGRATIONS_TABLE} where version = any (${versions})))::text as times`;
}
function timesOf(results) {
    const times = jsonField(results, 'times');
    if (!times)
        return [];
    const { start, ends } = times;
    // Lengths by the server's clock, placed by ours: clocks of two machines are never compared.
    const shift = Date.now() - (ends?.[ends.length - 1] ?? start);
    return (ends ?? []).map((end, index) => {
        const begin = ends?.[index - 1] ?? start;
        return { startedAt: Math.round(begin + shift), milliseconds: Math.round(end - begin) };
    });
}

;// CONCATENATED MODULE: ./compiled/src/database/apply/next-action.js

const next_action_NEXT = {
    '55P04': 'A value added to an enum can be used only after the commit: use it in a file of its own, after this one.',
    '2D000': 'A procedure that commits cannot run inside a migration: call it by hand after the deploy.',
    '57014': 'Where it was the time-out: raise statement-timeout, which limits a whole file, or split the file.',
    '53100': 'The disk of the database is full: make room, then run again.',
    '25006': 'The database is read-only by default, and behind a transaction pooler that holds for what runs outside a transaction: give the session pooler or direct URL (port 5432).',
    '55006': 'Put SET CONSTRAINTS ALL IMMEDIATE before the statement, so that deferred checks are made there; or the statement into a file of its own, behind a COMMIT.',
    [CODES.tampered]: 'Remove what touches supabase_migrations: the history is kept by this action.',
};
/** What a person can do about an error of a file; undefined where only the file itself can tell. */
function nextActionOfError(error, { shape, source }) {
    const { code, message, hint } = error;
    if (code === '57014' && shape.timed)
        return 'Where it was the time-out: the file sets statement_timeout itself.';
    const own = next_action_NEXT[code];
    if (own !== undefined)
        return own;
    if (code.startsWith('58'))
        return 'This is a fault of the server (a missing library or file), not of the migration.';
    if (/replication slot .* already exists/.test(message))
        return 'The publisher has a slot of that name, which a try that was cut leaves there: select pg_drop_replication_slot(<its name>); on the publisher, then run again.';
    if (code === '42501')
        return hint ?? mayNot(message);
    const exists = existsAlready(code, message);
    if (exists !== undefined)
        return (cutName(message, source) ??
            `It exists already: was it made by hand, or by a file whose history row is missing? Compare; where it is the same, use baseline. Where the file is to bear it: ${exists}.`);
    if (DEPENDS.has(code) && /depend|used by a view|used in a/.test(`${message} ${hint ?? ''}`))
        return depends(message);
    return hint;
}
function mayNot(message) {
    const owner = /^must be owner of/.test(message)
        ? ' What belongs to Supabase itself (schemas auth, storage, realtime) has an owner that nobody can be: change it in the dashboard.'
        : '';
    return `The role may not do this: grant the right, or use the role that owns the object.${owner}`;
}
/** Of what exists already: how SQL says the same so that it does no harm. By SQLSTATE, then by what the message names. */
const EXISTS = [
    ['42701', /./, 'ADD COLUMN IF NOT EXISTS'],
    ['42723', /./, 'CREATE OR REPLACE FUNCTION'],
    ['42P06', /./, 'CREATE SCHEMA IF NOT EXISTS'],
    ['42P16', /multiple primary keys/, 'ALTER TABLE ... DROP CONSTRAINT IF EXISTS before it'],
    ['42710', /^policy /, 'DROP POLICY IF EXISTS before it'],
    ['42710', /^trigger /, 'CREATE OR REPLACE TRIGGER'],
    ['42710', /^constraint /, 'ALTER TABLE ... DROP CONSTRAINT IF EXISTS before it'],
    ['42710', /^enum label /, 'ALTER TYPE ... ADD VALUE IF NOT EXISTS'],
    ['42710', /^extension /, 'CREATE EXTENSION IF NOT EXISTS'],
    ['42710', /is already member of publication/, 'a DO block that looks into pg_publication_tables first'],
    ['42710', /^type /, 'a DO block that looks into pg_type first'],
    ['42710', /^role /, 'a DO block that looks into pg_roles first'],
    ['42710', /./, 'a DO block that looks whether it is there'],
    // Also a type, which has the name of a relation.
    ['42P07', /./, 'IF NOT EXISTS, which does nothing where another table of that name is there'],
];
function existsAlready(code, message) {
    return EXISTS.find(([each, pattern]) => each === code && pattern.test(message))?.[2];
}
/** The longest name that PostgreSQL keeps, in bytes. */
const next_action_LONGEST_NAME = 63;
/** Two names of a file that are one for the server, because it keeps only the beginning. */
function cutName(message, source) {
    const name = /"([^"]+)"/.exec(message)?.[1];
    if (name === undefined || Buffer.byteLength(name) < next_action_LONGEST_NAME - 3)
        return undefined;
    const index = source.indexOf(name);
    const longer = index !== -1 && !/^["\s;(]/.test(source.slice(index + name.length));
    return longer
        ? `PostgreSQL keeps ${next_action_LONGEST_NAME} bytes of a name, so that two of this file are one: shorten them.`
        : undefined;
}
const DEPENDS = new Set(['2BP01', '0A000', '42P16']);
function depends(message) {
    if (/^role /.test(message))
        return 'Give away what it owns and take its rights away before it, in the same file: REASSIGN OWNED BY ..., then DROP OWNED BY ....';
    return 'Drop or change what depends on it before it, in the same file, and make it again behind it. CASCADE would drop all of that.';
}

;// CONCATENATED MODULE: ./compiled/src/database/apply/file-error.js





/** An error that came while a file ran, as a problem with its place in the file; `message` is what was sent. */
function fileProblem(file, lines, error, message) {
    const { source } = file.shape;
    const statement = statementAt(lines, error.where) ?? statementWith(source, lines, error.internalQuery);
    if (!statement)
        return file_error_worded(file, error, undefined);
    const text = source.slice(statement.from, statement.to);
    const offset = offsetIn(text, error) ?? offsetBy(text, error, message) ?? offsetOfLine(text, error, 1) ?? 0;
    return file_error_worded(file, error, positionIn(file.file, file.source, statement.from + offset));
}
/** The same for a file whose statements stood in the message themselves. */
function placedProblem(file, error, place) {
    if (!place)
        return file_error_worded(file, error, undefined);
    const { statement, message = '', position, start = 0 } = place;
    const text = file.shape.source.slice(statement.from, statement.to);
    const inside = position === undefined
        ? (offsetIn(text, error) ?? offsetOfLine(text, error, 0) ?? 0)
        : indexOfCodePoint(message, position) - start;
    const index = statement.from + Math.max(0, Math.min(inside, statement.to - statement.from));
    return file_error_worded(file, error, positionIn(file.file, file.source, index));
}
function file_error_worded(file, error, at) {
    const next = nextActionOfError(error, file);
    return {
        message: withObjects(withoutRowData(error, file.source), error.objects),
        code: error.code,
        ...(0,defined_only/* definedOnly */.U)({ at }),
        ...(0,defined_only/* definedOnly */.U)({ next }),
    };
}
/** Most of the objects that one message names. */
const MOST_OBJECTS = 10;
function withObjects(message, objects) {
    if (objects === undefined)
        return message;
    const lines = objects.split('\n').filter((line) => line.trim() !== '');
    return `${message} (${oneLine((0,shorten_list/* shortenList */.Y)(lines, MOST_OBJECTS), 1_000)})`;
}
/**
 * Where in a statement an error came from, by the query that the server was at: the statement itself, or a part of it,
 * such as a line of a DO block or the body of a function.
 */
function offsetIn(text, { internalQuery, internalPosition = 1 }) {
    if (!internalQuery)
        return undefined;
    const at = text.indexOf(internalQuery);
    const once = at !== -1 && text.indexOf(internalQuery, at + 1) === -1;
    const inside = indexOfCodePoint(internalQuery, internalPosition);
    return once && isPositionWithin(internalQuery, internalPosition) ? at + inside : undefined;
}
/**
 * The compiler of a function looks for the function's body in the whole message, and where it stands there only once
 * it tells the position in that message, though the query that it names is the statement.
 */
function offsetBy(text, { internalQuery, internalPosition }, message) {
    if (internalQuery !== text || internalPosition === undefined)
        return undefined;
    const index = indexOfCodePoint(message, internalPosition);
    for (let start = message.indexOf(text); start !== -1; start = message.indexOf(text, start + 1))
        if (index >= start && index <= start + text.length)
            return index - start;
    return undefined;
}
/**
 * Where an error tells no position, the call stack tells the line of each PL/pgSQL body. `outer`: how many bodies of
 * our own stand around the statement.
 */
function offsetOfLine(text, { where }, outer) {
    const lines = bodyLines(where);
    const line = lines[lines.length - 1 - outer];
    const body = /^do\b/i.test(text) ? bodyOf(text) : undefined;
    if (line === undefined || body === undefined)
        return undefined;
    let index = body;
    for (let count = 1; count < line; count++) {
        const newline = text.indexOf('\n', index);
        if (newline === -1)
            return undefined;
        index = newline + 1;
    }
    // In the statement's first line its beginning says as much.
    return text.lastIndexOf('\n', index - 1) === -1 ? undefined : skipBlanks(text, index);
}
/** Where the body of a DO block starts: behind its dollar quote. */
function bodyOf(text) {
    for (let index = 0; index < text.length; index = afterToken(text, index)) {
        const [tag] = /^\$[^$\s]*\$/.exec(text.slice(index, index + 100)) ?? [];
        if (tag !== undefined)
            return index + tag.length;
    }
    return undefined;
}
/** The statement that a line of our own body runs, by the call stack of an error or a notice. */
function statementAt(lines, where) {
    const line = outermostLine(where);
    return lines.find((each) => each.line === line);
}
/** The line of our own body, the last one in the call stack. */
function outermostLine(where) {
    const lines = bodyLines(where);
    return lines[lines.length - 1];
}
/** The lines of all anonymous bodies in the call stack, innermost first. */
function bodyLines(where = '') {
    return [...where.matchAll(/inline_code_block\D+(\d+)/g)].map(([, line]) => Number(line));
}
/** Which of several units an error came from, where no notice told: their lines are distinct then. */
function statementOfError(units, error) {
    const line = outermostLine(error.where);
    const found = units.findIndex(({ lines }) => lines.some((each) => each.line === line));
    return found === -1 ? undefined : found;
}
/** Syntax errors come without a call stack, but with the statement. */
function statementWith(source, lines, query) {
    return query === undefined
        ? undefined
        : lines.find(({ from, to }) => to - from === query.length && source.slice(from, to) === query);
}
/**
 * Data errors quote the value that did not fit, which may come from a row: it is shown only where the file itself
 * holds that value.
 */
function withoutRowData(error, source) {
    if (!error.code.startsWith('22'))
        return error.message;
    const quote = error.message.indexOf('"');
    const end = error.message.lastIndexOf('"');
    if (quote === -1 || end <= quote)
        return error.message;
    const value = error.message.slice(quote + 1, end);
    return source.includes(value)
        ? error.message
        : `${error.message.slice(0, quote)}"…"${error.message.slice(end + 1)}`;
}

// EXTERNAL MODULE: ./compiled/src/lib/invisible.js
var lib_invisible = __nccwpck_require__(2644);
;// CONCATENATED MODULE: ./compiled/src/database/migrations/deploy-marker.js


const EXACT = /^--\s*deploy:\s*after-health\s*$/i;
/** `-- deploy: something` at the top can only be meant for this action. */
const ADDRESSED = /^-+\s*deploy\s{0,20}[:=]/i;
/** Words that are meant as the marker, wherever they stand; with a colon whatever follows, without one nothing. */
const ALIKE = /^(?:-+|\/\*)[\s*]*deploy\s{0,20}(?:[:=]\s{0,20}after[\s_-]{0,20}health|after[\s_-]{0,20}health[\s.*/]*$)/i;
/** A file without this needs no reading to its end. */
const MAYBE = /deploy\s{0,20}[:=]?\s{0,20}after[\s_-]{0,20}health/i;
const RIGHT = 'a line of its own before the first statement: -- deploy: after-health';
/** Reads the comments of a file; pg_dump's `\restrict` line and a BEGIN do not count as its first statement. */
function readMarker(source) {
    const marker = { afterHealth: false, wrong: [] };
    const start = firstStatement(source);
    const complain = (index, comment, next) => {
        marker.wrong.push({ index, comment: textStart(comment.split(/[\r\n]/, 1)[0], 60), next });
    };
    for (const { index, comment } of comments(source, 0, start)) {
        if (EXACT.test(comment))
            marker.afterHealth = true;
        else if (ADDRESSED.test(comment) || ALIKE.test(comment))
            complain(index, comment, `Write it as ${RIGHT}. Or word the comment differently.`);
    }
    if (marker.afterHealth || !MAYBE.test(source.slice(start)))
        return marker;
    for (const { index, comment } of comments(source, start, source.length))
        if (ALIKE.test(comment))
            complain(index, comment, `It is behind the first statement, where it says nothing. Write it as ${RIGHT}. Or word the comment differently.`);
    return marker;
}
/** The index of the first word that is to be run. */
function firstStatement(source) {
    for (let index = 0;;) {
        index = skipBlanks(source, index);
        if (source[index] === ';')
            index++;
        else if (source[index] === '\\')
            index = endOfLine(source, index);
        else if (/^(?:begin|start)\b/i.test(source.slice(index, index + 6)))
            index = afterSemicolon(source, index);
        else
            return index;
    }
}
function endOfLine(source, index) {
    const end = source.indexOf('\n', index);
    return end === -1 ? source.length : end;
}
function afterSemicolon(source, from) {
    let index = from;
    while (index < source.length && source[index] !== ';')
        index = afterToken(source, index);
    return index;
}
function* comments(source, from, to) {
    for (let index = from; index < to;) {
        if (source[index] === '\\')
            index = endOfLine(source, index);
        const next = index < to ? afterToken(source, index) : to;
        const two = source.slice(index, index + 2);
        if (two === '--' || two === '/*')
            yield { index, comment: source.slice(index, next) };
        index = next;
    }
}

;// CONCATENATED MODULE: ./compiled/src/database/migrations/other-tools.js


/** How other tools mark the part of a file that undoes it. */
const DOWN = [
    ['dbmate', /^--\s*migrate:down\b/],
    ['goose', /^--\s*\+goose\s+down\b/i],
    ['sql-migrate', /^--\s*\+migrate\s+down\b/i],
];
const ANY = /--\s*(?:migrate:|\+goose\s|\+migrate\s)/i;
/** A file in which another tool keeps what undoes it: all of it would be run, up and down. */
function sectionOfOtherTool(file, source) {
    if (!ANY.test(source))
        return undefined;
    for (let index = 0; index < source.length;) {
        const next = afterToken(source, index);
        const token = source.slice(index, next);
        const tool = DOWN.find(([, marker]) => marker.test(token))?.[0];
        if (tool !== undefined)
            return {
                message: `"${token.trim()}" begins what ${tool} runs to undo the file, and here it would be run with the rest`,
                at: positionIn(file, source, index),
                next: `Move what follows it into ${file.replace(/\.sql$/, '.down.sql')}.`,
            };
        index = next;
    }
    return undefined;
}
const FLYWAY = /^(?:[VU]\d[\d._]*|R)__.+\.sql$/;
/** Files of the folder that another tool would run, and that mean nothing here. */
function namesOfOtherTool(folder, ignored) {
    const name = ignored.find((each) => FLYWAY.test(each));
    if (name === undefined)
        return undefined;
    return {
        message: `${folder}/${name} is named as Flyway has it, and would never be run`,
        at: { file: `${folder}/${name}`, line: 1, column: 1 },
        next: 'Name it <digits>_<name>.sql; what undoes it, <digits>_<name>.down.sql.',
    };
}
/** A folder whose .sql files all lie below it, as Prisma and Drizzle keep them: none of them would be run. */
function onlyBelow(folder, below) {
    const [name] = below;
    if (name === undefined)
        return undefined;
    return {
        message: `${folder} holds its .sql files in folders below it (${name}), as Prisma and Drizzle do, and none of them would be run`,
        at: { file: `${folder}/${name}`, line: 1, column: 1 },
        next: 'Put each into the folder itself, as <digits>_<name>.sql; or set migrations-dir to the folder that holds them.',
    };
}

;// CONCATENATED MODULE: ./compiled/src/database/migrations/project-folder.js




/**
 * Lists the folder, a path from the working directory. Rejects with the error of the file system where it cannot be
 * listed, and with a Failure where it is a link out of the project.
 */
async function openFolder(workingDirectory, folder) {
    const given = (0,external_node_path_.join)(workingDirectory, folder);
    const entries = new Map();
    for (const entry of await (0,promises_namespaceObject.readdir)(given, { withFileTypes: true }))
        entries.set(entry.name, entry);
    const tree = (await (0,promises_namespaceObject.realpath)(workingDirectory)) + external_node_path_.sep;
    const real = await (0,promises_namespaceObject.realpath)(given);
    if (!(real + external_node_path_.sep).startsWith(tree))
        throw new Failure(outside(folder));
    return {
        names: [...entries.values()].filter((entry) => !entry.isDirectory()).map(({ name }) => name),
        async below() {
            const folders = [...entries.values()].filter((entry) => entry.isDirectory()).map(({ name }) => name);
            const found = [];
            for (const name of folders.toSorted())
                for (const inner of await (0,promises_namespaceObject.readdir)((0,external_node_path_.join)(real, name)).catch(() => []))
                    if (/(?<!\.down)\.sql$/.test(inner))
                        found.push(`${name}/${inner}`);
            return found;
        },
        read(name) {
            const entry = entries.get(name);
            return entry && fetch((0,external_node_path_.join)(real, name), entry, tree);
        },
    };
}
/** What there is to say of a file or folder that is not in the project. */
function outside(path) {
    return {
        message: `${path} is a link that leads out of the project`,
        next: 'Put what it points to into the project itself.',
    };
}
function fetch(path, entry, tree) {
    try {
        // Only a link can lead elsewhere, and only what is no plain file has to be looked at.
        if (entry.isFile())
            return readUnlinked(path);
        const target = (0,external_node_fs_.realpathSync)(path);
        if (!target.startsWith(tree))
            return 'outside';
        return (0,external_node_fs_.statSync)(target).isFile() ? readUnlinked(target) : 'no file';
    }
    catch (error) {
        return { code: error instanceof Error && 'code' in error ? String(error.code) : 'error' };
    }
}
/** What was no link when it was looked at is not followed where it has become one. */
function readUnlinked(path) {
    const file = (0,external_node_fs_.openSync)(path, external_node_fs_.constants.O_RDONLY | external_node_fs_.constants.O_NOFOLLOW);
    try {
        return (0,external_node_fs_.readFileSync)(file);
    }
    finally {
        (0,external_node_fs_.closeSync)(file);
    }
}

;// CONCATENATED MODULE: ./compiled/src/database/migrations/migration-files.js










const UP = /^(\d+)_(.*)\.sql$/su;
const migration_files_DOWN = /^(\d+)_(.*)\.down\.sql$/su;
/** Reads every migration of the folder; all problems of all files at once. */
async function readMigrationFiles(workingDirectory, migrationsDir) {
    const folder = await openFolder(workingDirectory, migrationsDir).catch((error) => {
        throw error instanceof Failure ? error : new Failure(unreadable(migrationsDir));
    });
    const names = folder.names.toSorted(byBytes);
    const fetched = await fetchAll(folder, names.filter((name) => UP.test(name)));
    const found = { files: [], ignored: [], problems: [], warnings: [] };
    const downs = new Map();
    for (const name of names) {
        const file = `${migrationsDir.replace(/\/+$/, '')}/${name}`;
        if (!UP.test(name)) {
            if (name.endsWith('.sql') || name.toLowerCase().includes('.sql'))
                found.ignored.push(name);
            continue;
        }
        const read = accept(fetched.get(name), file, name, found);
        if (!read)
            continue;
        if (migration_files_DOWN.test(name))
            downs.set(name.replace(/\.down\.sql$/, '.sql'), { file, ...read });
        else
            found.files.push({ ...splitName(name), file, ...read, ...header(read.source, file) });
    }
    found.files.sort((a, b) => byBytes(a.version, b.version));
    for (const migration of found.files) {
        const down = downs.get((0,external_node_path_.basename)(migration.file));
        if (down?.unreadable)
            migration.unreadable ??= down.unreadable;
        else if (down)
            migration.down = { file: down.file, source: down.source };
        downs.delete((0,external_node_path_.basename)(migration.file));
    }
    const ups = new Set(found.files.map(({ file }) => file));
    for (const orphan of downs.values())
        found.warnings.push({
            message: ups.has(orphan.file.replace(/\.down\.sql$/, '.up.sql'))
                ? `${orphan.file} is no down file of its .up.sql: the two are not named alike`
                : `${orphan.file} is a down file without the migration that it undoes`,
            next: 'Name it as the migration, with .down.sql at the end; it is never run as a migration.',
        });
    addNameProblems(found);
    const shown = migrationsDir.replace(/\/+$/, '');
    const others = [
        namesOfOtherTool(shown, found.ignored),
        names.some((name) => name.endsWith('.sql')) ? undefined : onlyBelow(shown, await folder.below()),
    ];
    found.problems.push(...others.filter((problem) => problem !== undefined));
    return found;
}
function header(source, file) {
    const { afterHealth, wrong } = readMarker(source);
    if (wrong.length === 0)
        return { afterHealth };
    const wrongMarkers = wrong.map(({ index, comment, next }) => ({
        message: `"${comment}" means nothing`,
        at: positionIn(file, source, index),
        next,
    }));
    return { afterHealth, wrongMarkers };
}
function unreadable(migrationsDir) {
    return {
        message: `migrations-dir: ${migrationsDir} is not a folder that can be read`,
        next: 'Check migrations-dir and working-directory, and that the repository was checked out.',
    };
}
/** Byte order of UTF-8, in which `10_` comes before `9_`; a difference as `sort` wants it. */
function byBytes(a, b) {
    const length = Math.min(a.length, b.length);
    for (let index = 0; index < length; index++) {
        const difference = rank(a.charCodeAt(index)) - rank(b.charCodeAt(index));
        if (difference !== 0)
            return difference;
    }
    return a.length - b.length;
}
/** Surrogates stand for the code points above all that one unit can hold. */
const rank = (unit) => (unit >= 0xd800 && unit <= 0xdfff ? unit + 0x1_0000 : unit);
function splitName(name) {
    const match = UP.exec(name);
    return { version: match[1], name: match[2] };
}
/**
 * Files read in one go. Read without waiting, 10,000 of them take a third of the time that promises take; between two
 * goes the connection to the database, which is made meanwhile, gets its turn.
 */
const AT_ONCE = 100;
async function fetchAll(folder, names) {
    const fetched = new Map();
    for (let from = 0; from < names.length; from += AT_ONCE) {
        for (const name of names.slice(from, from + AT_ONCE))
            fetched.set(name, folder.read(name));
        await (0,external_node_timers_promises_namespaceObject.setImmediate)();
    }
    return fetched;
}
/** The text of one file, or what is wrong with it. */
function accept(fetched, file, name, found) {
    const invisible = (0,lib_invisible/* invisibleCharacter */.D)(name);
    if (invisible)
        found.problems.push({
            message: `the name of ${JSON.stringify(file)} holds the invisible character ${invisible}`,
            next: 'Rename the file without it.',
        });
    else if (fetched === 'outside')
        found.problems.push(outside(file));
    else if (fetched === 'no file')
        found.ignored.push(name);
    else if ('code' in fetched)
        found.problems.push({
            message: `${file} cannot be read: ${fetched.code}`,
            next: 'Check the file and its permissions.',
        });
    else {
        const decoded = decode(fetched, file, found);
        const checksum = (0,external_node_crypto_.createHash)('sha256').update(fetched).digest('hex');
        return typeof decoded === 'string'
            ? { source: decoded, checksum }
            : { source: '', checksum, unreadable: decoded };
    }
    return undefined;
}
/** The text of a file that is UTF-8 without NUL; of anything else, what is wrong with it and where. */
function decode(bytes, file, found) {
    const complain = (message, offset) => {
        const before = bytes.subarray(0, offset).toString('utf8');
        const at = positionIn(file, before, before.length);
        return {
            message: `${file} ${message} at byte ${offset}`,
            at: { file, line: at.line, column: at.column },
            next: 'Save the file as UTF-8.',
        };
    };
    if (bytes.length >= 2 && (bytes.readUInt16LE(0) === 0xfeff || bytes.readUInt16BE(0) === 0xfeff))
        return complain('is UTF-16, not UTF-8', 0);
    const nul = bytes.indexOf(0);
    if (nul !== -1)
        return complain('holds a NUL byte', nul);
    const text = bytes.toString('utf8');
    const again = Buffer.from(text, 'utf8');
    if (!again.equals(bytes)) {
        let offset = 0;
        while (again[offset] === bytes[offset])
            offset++;
        return complain('is not valid UTF-8', offset);
    }
    if (!text.startsWith('\ufeff'))
        return text;
    found.warnings.push({
        message: `${file} starts with a byte order mark, which is left out`,
        at: { file, line: 1, column: 1 },
        next: 'Save the file as UTF-8 without BOM.',
    });
    return text.slice(1);
}
function addNameProblems(found) {
    const widths = new Set(found.files.map((migration) => migration.version.length));
    if (widths.size > 1)
        found.warnings.push({
            message: `versions of ${[...widths].sort((a, b) => a - b).join(', ')} digits are mixed: they sort as text, so 10_ comes before 9_`,
            next: 'Give all versions the same number of digits.',
        });
    if (found.ignored.length > 0)
        found.warnings.push({
            message: `not migrations, and skipped: ${(0,shorten_list/* shortenList */.Y)(found.ignored, 20)}`,
            next: 'A migration is named <digits>_<name>.sql.',
        });
}

;// CONCATENATED MODULE: ./compiled/src/database/history/migration-history.js





/** The hash of a set of versions: tells whether the history is still the one that was planned from. */
function historyHash(versions) {
    return (0,external_node_crypto_.createHash)('md5')
        .update([...versions].sort(byBytes).join(','))
        .digest('hex');
}
/** The same hash in SQL, over the table as it is now. */
const HISTORY_HASH_SQL = `(select pg_catalog.md5(coalesce(pg_catalog.string_agg(version, ',' order by version collate pg_catalog."C"), '')) from ${HISTORY_TABLE})`;
/** Looks at the history and our own tables in one message. `locked`: under the lock of this action. */
async function readHistory(database, options, locked = false) {
    const { newest, missingRights = [], recorded, ours, partial = [], ...rest } = readAnswer(await database.send(historyMessage({ locked, plan: true }), options));
    await database.confirmBackend?.(rest.backendPid, options.signal);
    return {
        ...rest,
        missingRights,
        environment: newest?.environment ?? null,
        withServer: newest?.server ? { environment: newest.environment, repository: newest.repository } : null,
        partial,
        recorded: migrationsOf(recorded, ours),
    };
}
/** Looks what the runs did, in one message. A table that the role may not read is an error, and no empty answer. */
async function lookAtRuns(database, options) {
    const { recorded, ours, runs = [], partial = [], newest, formats, } = readAnswer(await database.send(historyMessage({ rollback: true }), options));
    return {
        recorded: migrationsOf(recorded, ours),
        runs,
        partial: partial.map(({ version, runId = '', done }) => ({ version, runId, done })),
        environment: newest?.environment ?? null,
        formats,
    };
}
function readAnswer(results) {
    const answer = jsonField(results, 'look');
    if (!answer)
        throw new Error('the look at the history gave no row');
    return answer;
}
function migrationsOf(recorded = [], ours = {}) {
    return recorded
        .map(([version, name, textHash]) => {
        const [checksum = null, runId = null, hasDown = false, ownName = name] = ours[version] ?? [];
        return { version, name: ownName, textHash, checksum, runId, hasDown };
    })
        .sort((a, b) => byBytes(a.version, b.version));
}

;// CONCATENATED MODULE: ./compiled/src/database/migrations/split-statements.js
/**
 * Splits a migration as the Supabase CLI (3.1) does when it fills `schema_migrations.statements`, quirk for quirk, so
 * that `supabase migration list`, `db push --dry-run` and `migration fetch` see rows they would have written themselves.
 * It is no parser and nothing is run from it: what runs is decided by PostgreSQL's own grammar.
 */
function splitAsCli(source) {
    const statements = [];
    let start = 0;
    let state = READY;
    for (let end = 0; end < source.length;) {
        end = nextOfInterest(state, { source, start, end });
        if (end === source.length)
            break;
        const character = String.fromCodePoint(source.codePointAt(end));
        end += character.length;
        const after = next(state, character, { source, start, end });
        state = after ?? READY;
        if (after === undefined) {
            keep(statements, source.slice(start, end));
            start = end;
        }
    }
    keep(statements, source.slice(start));
    return statements;
}
function keep(statements, token) {
    const statement = token.replace(/;+$/, '').trim();
    if (statement !== '')
        statements.push(statement);
}
/** Long literals are jumped over: inside them nothing matters but their end. */
function nextOfInterest(state, token) {
    const { source, start, end } = token;
    let inner = state;
    while (inner.in === 'parentheses' || inner.in === 'atomic')
        inner = inner.inner;
    if (inner.in === 'quote' && !inner.closing && !inner.escapes) {
        const found = source.indexOf(inner.delimiter, end);
        return found === -1 ? source.length : found;
    }
    if (inner.in === 'dollar') {
        const { length } = inner.delimiter;
        const found = source.indexOf(inner.delimiter, Math.max(start, end - length + 1));
        return found === -1 ? source.length : found + length - 1;
    }
    return end;
}
const READY = { in: 'ready' };
/** The state after one more character; undefined at the end of a statement. */
function next(state, character, token) {
    switch (state.in) {
        case 'ready':
            return fromReady(character, token);
        case 'dash':
            return character === '-' ? { in: 'line' } : fromReady(character, token);
        case 'line':
            return isLineEnd(character) ? READY : state;
        case 'escape':
            return READY;
        case 'block':
            return inBlock(state, character, token);
        case 'quote':
            return inQuote(state, character, token);
        case 'behind':
            return behindQuote(state, character, token);
        case 'tag':
            if (character === '$')
                return { in: 'dollar', delimiter: token.source.slice(state.from, token.end) };
            return isNamePart(character) ? state : fromReady(character, token);
        case 'dollar':
            return endsWith(token, state.delimiter) ? READY : state;
        case 'parentheses': {
            const inner = next(state.inner, character, token) ?? READY;
            if (inner.in === 'ready' && character === ')')
                return READY;
            return inner === state.inner ? state : { ...state, inner };
        }
        case 'atomic':
            return inAtomic(state, character, token);
    }
}
function fromReady(character, token) {
    const at = token.end - character.length;
    switch (character) {
        case '$':
            return followsName(token, at) ? READY : { in: 'tag', from: at };
        case "'":
            return quoteState(character, isKeyword({ ...token, end: at }, 'E'));
        case '"':
            return quoteState(character, false);
        case '-':
            return { in: 'dash' };
        case '/':
            return { in: 'block', depth: 0, fresh: false };
        case '\\':
            return { in: 'escape' };
        case ';':
            return undefined;
        case '(':
            return { in: 'parentheses', inner: READY };
        case 'c':
        case 'C':
            return isBeginAtomic(token)
                ? { in: 'atomic', inner: READY, from: token.end, begun: false, ending: false }
                : READY;
        default:
            return READY;
    }
}
function quoteState(delimiter, escapes) {
    return { in: 'quote', delimiter, escapes, closing: false, hidden: false };
}
function inQuote(state, character, token) {
    if (state.closing) {
        if (character === state.delimiter)
            return { ...state, closing: false };
        return state.escapes
            ? behindQuote({ in: 'behind', newline: false, dashes: 0 }, character, token)
            : fromReady(character, token);
    }
    if (state.hidden)
        return { ...state, hidden: false };
    if (state.escapes && character === '\\')
        return { ...state, hidden: true };
    return character === state.delimiter ? { ...state, closing: true } : state;
}
function behindQuote(state, character, token) {
    const { newline, dashes } = state;
    if (dashes === 2)
        return isLineEnd(character) ? { in: 'behind', newline: true, dashes: 0 } : state;
    if (character === '-')
        return { ...state, dashes: dashes + 1 };
    if (dashes === 0 && isBlank(character))
        return { ...state, newline: newline || isLineEnd(character) };
    if (dashes === 0 && newline && character === "'")
        return quoteState(character, true);
    return fromReady(character, token);
}
function inBlock(state, character, token) {
    const step = state.fresh ? 0 : endsWith(token, '/*') ? 1 : endsWith(token, '*/') ? -1 : 0;
    if (state.depth === 0 && step === 0)
        return fromReady(character, token);
    const depth = state.depth + step;
    return depth === 0 ? READY : { in: 'block', depth, fresh: step !== 0 };
}
function inAtomic(state, character, token) {
    if (state.ending && !isNamePart(character))
        return fromReady(character, token);
    const inner = next(state.inner, character, token);
    if (inner === undefined)
        return { in: 'atomic', inner: READY, from: token.end, begun: false, ending: false };
    const after = { ...state, inner, ending: false };
    if (inner.in !== 'ready' || state.begun || !isKeyword(token, 'END'))
        return after;
    const leading = token.source.slice(state.from, token.end - 'END'.length);
    return onlyComments(leading) ? { ...after, ending: true } : { ...after, begun: true };
}
function isBeginAtomic(token) {
    if (!isKeyword(token, 'ATOMIC'))
        return false;
    let end = token.end - 'ATOMIC'.length;
    while (end > token.start && isBlank(token.source.charAt(end - 1)))
        end--;
    return isKeyword({ ...token, end }, 'BEGIN');
}
/** True where the text read so far ends with this word, as a word of its own. */
function isKeyword(token, word) {
    return endsWith(token, word) && !followsName(token, token.end - word.length);
}
function endsWith({ source, start, end }, text) {
    const from = end - text.length;
    return from >= start && source.slice(from, end).toUpperCase() === text.toUpperCase();
}
function followsName({ source, start }, index) {
    return index > start && isNamePart(source.charAt(index - 1));
}
function isNamePart(character) {
    return character.charCodeAt(0) >= 128 || /[A-Za-z0-9_$]/.test(character);
}
function isLineEnd(character) {
    return character === '\n' || character === '\r';
}
function isBlank(character) {
    return ' \t\n\r\f\v'.includes(character);
}
function onlyComments(text) {
    for (let index = 0; index < text.length;) {
        if (isBlank(text.charAt(index)))
            index++;
        else if (text.startsWith('--', index)) {
            const end = text.slice(index).search(/[\n\r]/);
            if (end === -1)
                return true;
            index += end + 1;
        }
        else if (text.startsWith('/*', index))
            index = endOfBlock(text, index);
        else
            return false;
    }
    return true;
}
function endOfBlock(text, from) {
    let index = from + 2;
    for (let depth = 1; index < text.length;) {
        const delimiter = text.slice(index, index + 2);
        index += delimiter === '/*' || delimiter === '*/' ? 2 : 1;
        if (delimiter === '/*')
            depth++;
        else if (delimiter === '*/' && --depth === 0)
            break;
    }
    return index;
}

;// CONCATENATED MODULE: ./compiled/src/database/apply/migration-statement.js





/**
 * Settings of one transaction. RESET ALL at the end of a file undoes them, so each file begins with them again. A role's
 * own transaction_timeout would end a batch of many files, each of which is within its time.
 */
function localSettings(timeouts, idleTimeout = IDLE_TIMEOUT) {
    return `select ${settingCalls(timeouts, idleTimeout)};`;
}
/** The same as the expressions of a SELECT or PERFORM. */
function settingCalls({ lockTimeout, statementTimeout }, idleTimeout = IDLE_TIMEOUT) {
    return `pg_catalog.set_config('lock_timeout', '${lockTimeout}ms', true),
  pg_catalog.set_config('statement_timeout', '${statementTimeout}ms', true),
  pg_catalog.set_config('idle_in_transaction_session_timeout', '${idleTimeout}ms', true),
  case when pg_catalog.current_setting('server_version_num')::int >= 140000
    then pg_catalog.set_config('client_connection_check_interval', '500ms', true) end,
  case when pg_catalog.current_setting('server_version_num')::int >= 170000
    then pg_catalog.set_config('transaction_timeout', '0', true) end`;
}
/** Milliseconds after which the server ends a transaction whose client is gone. */
const IDLE_TIMEOUT = 30_000;
/** The lock, the guard against a history that has moved on, and the run's own row: the start of every transaction. */
function openTransaction(context) {
    const { run, environment, recorded, baseline, server = false } = context;
    const newest = recorded[recorded.length - 1];
    return `set transaction isolation level read committed, read write;
${localSettings(context.rules, context.idleTimeout)}
do ${dollarQuote(`begin
  ${takeDatabase(context.holder)}
  if not (${historyIs(recorded)}) then
    raise exception using errcode = '${CODES.changed}', message = 'the migration history has changed since it was looked at';
  end if;
  ${runRow(run, environment, newest, server)}
  ${baseline.map((file) => historyRow(file)).join('\n  ')}
end`)};
${context.before ?? ''}`;
}
/** Supabase's own row about a migration. */
function historyRow(file) {
    return `insert into ${HISTORY_TABLE} (version, name, statements)
    values (${literal(file.version)}, ${literal(file.name)}, ${textArray(splitAsCli(file.source))});`;
}
/**
 * Undoes what a file may have left in the session, so that it reaches neither the next file nor a pooled client.
 * Our own lock belongs to the transaction: letting go of all locks of the session leaves it where it is.
 */
const LEAVE_NOTHING = leaveNothing(undefined);
/** The same, for a session that works as a role which a RESET ROLE would leave. */
function leaveNothing(role) {
    const commands = `${settingsAsBefore(role)}; unlisten *; deallocate all; close all; discard temp; discard sequences`;
    // All in one EXECUTE: the string of each is planned like a query, which after each of a thousand files counts.
    return `
  execute ${literal(commands)};
  perform pg_catalog.pg_advisory_unlock_all();`;
}
/** Undoes what was set; what else the session has stays. */
function leaveNoSettings(role) {
    return `
  execute ${literal(settingsAsBefore(role))};`;
}
function settingsAsBefore(role) {
    const own = role === undefined ? '' : `; set role ${identifier(role)}`;
    return `reset session authorization; reset role; reset all${own}`;
}
/** Deferred constraints are checked at each file's end and stay as they were, so that a failure names its file. */
const CHECK_DEFERRED = `
  if exists (select from pg_catalog.pg_trigger where tgdeferrable) then
    begin
      execute 'set constraints all immediate';
      raise exception using errcode = '${CODES.undone}';
    exception when sqlstate '${CODES.undone}' then null;
    end;
  end if;`;
/**
 * What any change to the set of recorded versions changes too: how many they are, and the sum of their hashes. It costs
 * a tenth of the hash in the guard, which counts when it is computed after each of a thousand files.
 */
const HISTORY_COUNT = `(select pg_catalog.count(*) from ${HISTORY_TABLE})`;
const HISTORY_SUM = `(select coalesce(pg_catalog.sum(pg_catalog.hashtext(version)), 0) from ${HISTORY_TABLE})`;
const AS_BEFORE = `(muva_count, muva_sum) = (select pg_catalog.count(*), coalesce(pg_catalog.sum(pg_catalog.hashtext(version)), 0) from ${HISTORY_TABLE})`;
/**
 * One file as one statement: the file itself, cleaning up, its rows in both tables, and what the next one starts from:
 * the settings that it runs under, and what is recorded by then, because counting it again costs as much as the file.
 * That its version is not recorded yet is known from the opening, which locks the history, and from the file before.
 * Each query of our own here is planned anew for each file, so there are few. One notice for each file: where the one
 * ends, the next begins.
 */
function fileStatement(file, index, context, before, padding = 0) {
    const { source, statements, timed } = file.shape;
    if (timed)
        return timedStatement(file, index, context, { before, groups: timed, padding });
    const told = (name) => `pg_catalog.current_setting('muva.${name}')::bigint`;
    const [count, sum] = index === 0 ? [HISTORY_COUNT, HISTORY_SUM] : [told('count'), told('sum')];
    let body = `declare started timestamptz := clock_timestamp(); muva_count bigint := ${count}; muva_sum bigint := ${sum}; begin\n${'\n'.repeat(padding)}`;
    body += index === 0 ? `raise info '${context.marker} start 0';\n` : '\n';
    const pieces = statements ?? (source.trim() === '' ? [] : [{ from: 0, to: source.length }]);
    const { text, lines } = statementLines(source, pieces, 3 + padding);
    body += text;
    body += `${finishFile(file, index, AS_BEFORE, context)}
  perform ${settingCalls(context.rules)},
  pg_catalog.set_config('muva.count', (muva_count + 1)::text, true),
  pg_catalog.set_config('muva.sum', (muva_sum + pg_catalog.hashtext(${literal(file.version)}))::text, true);
  raise info '${context.marker} done ${index} %', (pg_catalog.date_part('epoch', clock_timestamp() - started) * 1000)::int;
end`;
    return { sql: `do ${dollarQuote(body)};`, lines };
}
/**
 * The same for a file that sets statement_timeout itself: several statements, because the server counts that time anew
 * for each one that it is sent. What was recorded before it stands in the text, since the file may reset any setting.
 */
function timedStatement(file, index, context, { before, groups, padding, }) {
    const lines = [];
    const units = groups.map((pieces) => {
        // Only the line tells which statement an error came from, so no two have the same one.
        const first = Math.max(padding + 3, (lines[lines.length - 1]?.line ?? 0) + 1);
        const { text, lines: own } = statementLines(file.shape.source, pieces, first);
        const start = lines.length === 0 && index === 0 ? `raise info '${context.marker} start 0';` : '';
        lines.push(...own);
        return `do ${dollarQuote(`begin\n${start}${'\n'.repeat(first - 2)}${text}end`)};`;
    });
    const recorded = [...context.recorded, ...[...context.baseline, ...before].map(({ version }) => version)];
    const end = `begin ${finishFile(file, index, historyIs(recorded), context)}
  perform ${settingCalls(context.rules)},
  pg_catalog.set_config('muva.count', ${HISTORY_COUNT}::text, true),
  pg_catalog.set_config('muva.sum', ${HISTORY_SUM}::text, true);
  raise info '${context.marker} done ${index}';
end`;
    return { sql: [...units, localSettings(context.rules), `do ${dollarQuote(end)};`].join('\n'), lines };
}
/** Statements of a file as PL/pgSQL, one EXECUTE each, and on which line of the body each one stands. */
function statementLines(source, pieces, firstLine) {
    const lines = [];
    let text = '';
    let line = firstLine;
    for (const { from, to } of pieces) {
        const one = `execute ${dollarQuote(source.slice(from, to))};\n`;
        lines.push({ line, from, to });
        text += one;
        line += one.split('\n').length - 1;
    }
    return { text, lines };
}
/**
 * What ends every file: nothing left behind, the history untouched by the file, and the file's rows in both tables.
 * `untouched`: an SQL condition.
 */
function finishFile(file, index, untouched, context) {
    const tampered = `raise exception using errcode = '${CODES.tampered}', message = 'the file changed the migration history itself';`;
    return `${leaveNothing(context.role)}${CHECK_DEFERRED}
  if pg_catalog.to_regclass('${HISTORY_TABLE}') is null then ${tampered} end if;
  if not (${untouched}) then ${tampered} end if;
  ${historyRow(file)}
  ${migrationRow(context.run, { ...file, down: file.down?.source, position: context.position + index })}`;
}
/** The condition that exactly these versions are recorded, which holds across messages. */
function historyIs(versions) {
    return `${HISTORY_HASH_SQL} = ${literal(historyHash(versions))}`;
}
/** A batch in one message: all of it is committed together, or nothing. */
function batchMessage(files, context) {
    let lines = 0;
    const units = files.map((file, index) => {
        const padding = context.distinctLines ? lines : 0;
        const unit = fileStatement(file, index, context, files.slice(0, index), padding);
        lines += file.source.split('\n').length + (file.shape.timed?.length ?? 0) + 100;
        return unit;
    });
    const message = [openTransaction(context), ...units.map((unit) => unit.sql), context.after ?? ''].join('\n');
    return { message, units };
}

;// CONCATENATED MODULE: ./compiled/src/database/apply/explicit-transaction.js








/**
 * Stands before every message but the first: where the connection was lost and made again in between, this message
 * would run outside the transaction. The lock belongs to the transaction, so holding it proves that we are inside.
 */
const STILL_INSIDE = `do ${dollarQuote(`begin
  if not exists (select from pg_catalog.pg_locks where pid = pg_catalog.pg_backend_pid() and locktype = 'advisory'
      and classid = 0 and objid = ${LOCK_KEY}) then
    raise exception using errcode = '${CODES.lostTransaction}', message = 'the transaction is gone';
  end if;
end`)};\n`;
/**
 * One file in an explicit transaction over three messages: for what the one-statement form cannot hold (savepoints,
 * SELECT INTO, very large files). As safe as that form, with more round trips.
 */
async function sendExplicit(tools, batch, context) {
    const marker = newMarker();
    const file = batch.files[0];
    let stage = 'opening';
    const body = fileMessage(file, marker);
    const sent = {
        times: [],
        current: undefined,
        explain: (error) => stage === 'file' ? placedProblem(file, error, body.place(error.position, current)) : sqlProblem(error),
    };
    let current;
    const reader = markerReader(tools, marker, { batch, context, sent });
    const sending = {
        deadline: answerWithin(context, batch.files),
        signal: tools.signal,
        onNotice: (notice) => {
            const statement = announced(notice.message, marker);
            if (statement !== undefined)
                current = statement;
            else {
                reader.onNotice(notice);
                const at = file.shape.statements?.[current ?? -1];
                if (stage === 'file' && at)
                    context.notices.note(file, at.from, notice);
            }
        },
    };
    const { database } = tools;
    // While a large file is on its way the server sees an idle transaction.
    const unit = { ...context, marker, idleTimeout: IDLE_TIMEOUT + onItsWay(body.message) };
    try {
        await database.send(`begin;\n${openTransaction(unit)}`, sending);
        stage = 'file';
        await database.send(body.message, sending);
        stage = 'closing';
        const results = await database.send(endOfFile(file, unit), sending);
        // Committing a transaction that has failed "succeeds": only the answer tells.
        if (results[results.length - 1]?.command === 'ROLLBACK')
            throw new Error('the commit was answered with a rollback');
    }
    catch (error) {
        sent.error = error;
        await database.send('rollback', { deadline: 5_000 }).catch(() => undefined);
    }
    finally {
        reader.close();
    }
    return sent;
}
/** The file's statements one after the other, each announced, so that an error without a position has a place too. */
function fileMessage(file, marker) {
    const { source, statements = [{ from: 0, to: file.shape.source.length }] } = file.shape;
    const head = `${STILL_INSIDE}do $m$begin raise info '${marker} start 0'; end$m$;\n`;
    const body = statementsMessage(source, statements, marker);
    const message = head + body.message;
    return { message, place: (position, current) => body.place(message, head.length, position, current) };
}
/** Statements as they stand, each announced as number `at` of them. */
function statementsMessage(source, statements, marker) {
    const starts = [];
    let message = '';
    statements.forEach(({ from, to }, index) => {
        message += `do $m$begin raise info '${marker} at ${index}'; end$m$;\n`;
        starts.push(message.length);
        message += `${source.slice(from, to)};\n`;
    });
    return {
        message,
        place(whole, offset, position, current) {
            const statement = statements[current ?? -1];
            const start = starts[current ?? -1];
            if (!statement || start === undefined)
                return undefined;
            return {
                statement,
                ...(position === undefined ? {} : { message: whole, position, start: offset + start }),
            };
        },
    };
}
/** The number of the statement that a notice announces; undefined for other notices. */
function announced(message, marker) {
    return message.startsWith(`${marker} at `) ? Number(message.slice(marker.length + 4)) : undefined;
}
function endOfFile(file, context) {
    const recorded = [...context.recorded, ...context.baseline.map((each) => each.version)];
    return `${STILL_INSIDE}${localSettings(context.rules)}
do ${dollarQuote(`begin ${finishFile(file, 0, historyIs(recorded), context)} end`)};
${context.after ? `${localSettings(context.rules)}\n${context.after}` : ''}
commit`;
}

;// CONCATENATED MODULE: ./compiled/src/database/apply/history-under-lock.js





/** Between two looks at a lock that another holds. */
const POLL = 500;
const READ_DEADLINE = 15_000;
const CANCELLED_WITHIN = 4_000;
/** What holds the lock now may be our own message, which is given its time whatever others are. */
const HELD_WITHIN = 10 * 60_000;
/**
 * Looks at the history under the lock. An old backend of ours that is still at work holds that lock, so what is seen
 * here is final. Waits by asking again, never inside a transaction. Undefined when it could not be found out: the
 * database could not be asked for `within` milliseconds, or somebody kept the lock for `HELD_WITHIN`. A person who
 * has cancelled gets an answer within seconds, before the runner kills the process.
 */
async function readHistoryUnderLock(database, within, signal) {
    const started = performance.now();
    let heard = started;
    const isLate = () => {
        const now = performance.now();
        if (signal?.aborted)
            return now - started > CANCELLED_WITHIN;
        return now - heard > within || now - started > HELD_WITHIN;
    };
    while (!isLate()) {
        try {
            return await readHistory(database, { deadline: READ_DEADLINE }, true);
        }
        catch (error) {
            const locked = error instanceof SqlError && error.code === CODES.locked;
            if (locked)
                heard = performance.now();
            if (!locked && !(error instanceof Failure) && errorMeaning(error) === 'stop')
                throw error;
        }
        await pause(POLL);
    }
    return undefined;
}

;// CONCATENATED MODULE: ./compiled/src/database/apply/retry-busy.js


/** How often work that a busy database refused is tried, in all. */
const TRIES = 6;
/** Milliseconds in which it must be found out what became of a message whose answer was lost. */
const RESOLVE_WITHIN = 120_000;
/**
 * After try number `tries` (from 1) ended in a problem that may pass: waits, says why, and resolves to `again`; after
 * the last try to the problem itself. A lock time-out names who holds what was waited for.
 */
async function retryBusy(tools, tries, problem, waited) {
    const named = problem.code === '55P03' ? await withBlockers(tools, problem, waited) : problem;
    if (tries >= TRIES)
        return named;
    const wait = backoff(tries, 500, 8_000);
    tools.log({
        kind: 'progress',
        text: `${named.message}; trying again in ${Math.round(wait / 100) / 10} s`,
    });
    await pause(wait, tools.signal);
    return 'again';
}
async function withBlockers({ database }, problem, waited) {
    const blockers = await nameBlockers(database, waited);
    return blockers === ''
        ? problem
        : {
            ...problem,
            message: `${problem.message}, blocked by ${blockers}`,
            next: 'Run again at a quieter time, raise lock-timeout, or end the session that holds it: select pg_terminate_backend(<pid>);',
        };
}
/** It could not be found out whether the commit happened; the next run finds out. */
const COMMIT_UNKNOWN = {
    message: 'the answer to the commit was lost, and the database could not be asked since',
    next: 'Run again when the database can be reached: it finds out by itself what was applied.',
};

;// CONCATENATED MODULE: ./compiled/src/database/connection/retry-read.js



/** Sends a message that only reads, again where the connection was lost: whether the first one ran does not matter. */
function retryRead(signal, work) {
    return retry({
        tries: 4,
        deadline: 60_000,
        first: 250,
        longest: 4_000,
        ...(0,defined_only/* definedOnly */.U)({ signal }),
        worthwhile: (error) => errorMeaning(error) !== 'stop',
    }, work);
}

;// CONCATENATED MODULE: ./compiled/src/database/apply/wait-for-lock.js






/** Who a session is: what it says in the comment at the head of its message. */
const LABEL = `substring(a.query from '^/[*]muva-deploy [0-9a-f]+ ([^*]*)[*]/')`;
/**
 * Asks without waiting inside the server: a waiting statement would hold a snapshot that others wait for. The lease's
 * table may not exist yet, so the answer is made at run time.
 */
const wait_for_lock_LOOK = `do $muva$
declare
  free boolean := pg_catalog.pg_try_advisory_xact_lock(${LOCK_KEY});
  held jsonb;
begin
  if not free then
    select jsonb_build_object('pid', a.pid, 'label', ${LABEL}, 'user', a.usename, 'state', a.state,
      'seconds', round(extract(epoch from clock_timestamp() - coalesce(a.xact_start, a.state_change)))) into held
    from pg_locks l join pg_stat_activity a using (pid)
    where l.locktype = 'advisory' and l.granted and l.classid = 0 and l.objid = ${LOCK_KEY} and l.pid <> pg_backend_pid()
      and l.database = (select oid from pg_database where datname = current_database()) limit 1;
  elsif to_regclass('${LEASE_TABLE}') is not null and ${READS_TABLES} then
    execute $q$select jsonb_build_object('pid', l.pid, 'lease', holder, 'label', 'run ' || split_part(holder, '#', 1), 'user', null, 'state', a.state,
        'seconds', round(extract(epoch from clock_timestamp() - a.state_change)))
      from ${LEASE_TABLE} l left join pg_stat_activity a using (pid) where ${LEASE_HELD}$q$ into held;
    free := held is null;
  end if;
  perform set_config('muva.look', jsonb_build_object('free', free, 'holder', held)::text, true);
end
$muva$;
select current_setting('muva.look') as look`;
/** Polls until the lock of this action is free, telling who holds it; gives up after `within` milliseconds. */
async function waitForLock({ database, log, signal }, within) {
    const until = performance.now() + within;
    let told = '';
    for (;;) {
        const results = await retryRead(signal, () => database.send(wait_for_lock_LOOK, { deadline: 15_000, signal }));
        const look = jsonField(results, 'look');
        if (!look)
            throw new Error('the look at the lock gave no row');
        if (look.free)
            return;
        const who = look.holder ? describe(look.holder) : 'another run';
        if (performance.now() > until)
            throw new Failure({
                message: `the deploy lock of this database is held by ${who}, still after ${Math.round(within / 1000)} s`,
                next: `Wait for that run, or raise lock-wait.${howToFree(look.holder)}`,
            });
        if (who !== told)
            log({ kind: 'progress', text: `waiting for ${who}` });
        told = who;
        await pause(400 + Math.random() * 200, signal);
    }
}
/** For a run that is dead. A lease that was taken through a transaction pooler has no session to end. */
function howToFree(holder) {
    if (holder?.pid)
        return ` Where it is dead: select pg_terminate_backend(${holder.pid});`;
    return holder?.lease === undefined
        ? ''
        : ` Where it is dead: delete from ${LEASE_TABLE} where holder = ${literal(holder.lease)};`;
}
function describe({ pid, label, user, state, seconds }) {
    const name = label?.trim() ? label.trim() : `a session of ${user ?? 'another role'}`;
    const idle = state?.startsWith('idle in') ? ` for ${seconds} s` : '';
    return pid === null ? name : `${name} (pid ${pid}, ${state ?? 'ended'}${idle})`;
}

;// CONCATENATED MODULE: ./compiled/src/database/apply/implicit-transaction.js













/** Applies a batch that is one transaction: all of it, or nothing, and never without knowing which. */
async function applyBatch(tools, batch, context) {
    let cuts = 0;
    let tries = 0;
    for (;;) {
        context.notices.forget();
        const sent = await (batch.mode === 'explicit' ? sendExplicit : sendImplicit)(tools, batch, context);
        if (sent.error === undefined)
            return { kind: 'done', times: sent.times };
        const { error } = sent;
        if (error instanceof SqlError && error.code === CODES.locked) {
            await waitForLock(tools, context.rules.lockWait);
            continue;
        }
        const verdict = judgeError(error, batch, sent, tools.signal);
        if (verdict.kind === 'retry') {
            const waited = waitedIn(batch.files[verdict.at ?? -1], verdict.problem.at);
            const problem = await retryBusy(tools, ++tries, verdict.problem, waited);
            if (problem !== 'again')
                return { kind: 'failed', problem, at: verdict.at, times: sent.times };
        }
        else if (verdict.kind === 'resolve') {
            const outcome = await resolveBatch(tools, batch, context, sent.times);
            // Not applied, and nobody is at work any more: once more, but not for ever.
            if (outcome === 'again' && ++cuts <= 2 && !tools.signal.aborted)
                continue;
            if (outcome !== 'again')
                return outcome;
            return tools.signal.aborted
                ? { kind: 'cancelled' }
                : {
                    kind: 'failed',
                    problem: lostProblem(error, nextAfterCuts(tools)),
                    at: undefined,
                    times: sent.times,
                };
        }
        else
            return verdict;
    }
}
function nextAfterCuts({ database }) {
    const nothing = 'Nothing of this batch was applied. Run again.';
    return database.transport === 'management-api'
        ? `${nothing} The Management API gives each request 60 s: where the files take longer, or fail later, give database-url (the session pooler URL).`
        : nothing;
}
async function sendImplicit(tools, batch, context) {
    const marker = newMarker();
    const blind = tools.database.transport === 'management-api';
    const { message, units } = batchMessage(batch.files, { ...context, marker, distinctLines: blind });
    const sent = {
        times: [],
        current: undefined,
        explain: (error) => {
            const index = sent.current ?? -1;
            const [file, unit] = [batch.files[index], units[index]];
            if (!file || !unit)
                return sqlProblem(error);
            const problem = fileProblem(file, unit.lines, error, message);
            return batch.files.length > 1 && SAME_TIME.has(error.code) ? { ...problem, next: OWN_TIMES } : problem;
        },
    };
    const reader = markerReader(tools, marker, { batch, context, sent });
    try {
        const results = await tools.database.send(blind ? `${message}\n${timesMessage(batch.files)}` : message, {
            deadline: answerWithin(context, batch.files),
            signal: tools.signal,
            onNotice(notice) {
                reader.onNotice(notice);
                const index = sent.current ?? -1;
                const [file, unit] = [batch.files[index], units[index]];
                const statement = unit && statementAt(unit.lines, notice.where);
                if (file && statement)
                    context.notices.note(file, statement.from, notice);
            },
        });
        if (blind)
            sent.times = timesOf(results);
    }
    catch (error) {
        sent.error = error;
        if (blind && error instanceof SqlError)
            sent.current = statementOfError(units, error);
    }
    finally {
        reader.close();
    }
    return sent;
}
/** Rows that are told apart by now() alone are the same ones in one transaction. */
const SAME_TIME = new Set(['23505', '23P01']);
const OWN_TIMES = 'Where files rely on different times: now() is the same for all that is committed together, and transaction: each gives every file its own.';
function judgeError(error, batch, sent, signal) {
    if (error instanceof Cancelled)
        return { kind: 'cancelled' };
    if (error instanceof Failure)
        return { kind: 'failed', problem: error.problems[0], at: undefined, times: sent.times };
    const meaning = errorMeaning(error);
    if (meaning === 'resolve' || (error instanceof SqlError && error.code === CODES.lostTransaction))
        return { kind: 'resolve' };
    if (!(error instanceof SqlError))
        throw error;
    if (error.code === CODES.changed || error.code === CODES.recorded)
        return { kind: 'changed' };
    if (error.code === CODES.notVerified)
        return { kind: 'not-verified', problems: verificationProblems(error.message) };
    if (error.code === '57014' && signal.aborted)
        return { kind: 'cancelled' };
    const at = sent.current;
    const together = batch.files.length > 1 && at !== undefined && at > 0;
    if (together && error.code === '55006')
        return { kind: 'split', before: at, why: 'deferred checks of the files before it are still to be made' };
    if (together && error.code === '53200')
        return { kind: 'split', before: at, why: 'the lock table of the server is full' };
    if (together && error.code === '55P04' && !addsValue(batch.files[at].source, error.message))
        return {
            kind: 'split',
            before: at,
            why: 'a value that is added to an enum before it can be used only after the commit',
        };
    const problem = sent.explain(error);
    return meaning === 'retry'
        ? { kind: 'retry', problem, at }
        : { kind: 'failed', problem, at, times: sent.times };
}
/**
 * Whether a file itself adds the enum value that it may not use yet: then no split helps. Where it is added in a DO
 * block of another file, the files did not tell that they cannot share a transaction.
 */
function addsValue(source, message) {
    const [, value] = /"([^"]*)"/.exec(message) ?? [];
    const added = [...source.matchAll(/\badd\s+value\s+(?:if\s+not\s+exists\s+)?'((?:[^']|'')*)'/gi)];
    return added.some(([, each]) => value === undefined || each?.replaceAll("''", "'") === value);
}
/** Takes the lock, then looks: applied by us, applied by another run, or not at all. */
async function resolveBatch(tools, batch, context, times) {
    tools.log({
        kind: 'progress',
        text: 'no answer came: looking at the history, under the lock, whether it was applied',
    });
    const look = await readHistoryUnderLock(tools.database, RESOLVE_WITHIN, tools.signal);
    if (!look)
        return { kind: 'unknown', problem: COMMIT_UNKNOWN };
    const ours = new Map(look.recorded.map((row) => [row.version, row.runId]));
    const wanted = [...batch.files, ...context.baseline];
    const present = wanted.filter((file) => ours.has(file.version));
    if (present.length === 0)
        return 'again';
    const byUs = batch.files.every((file) => ours.get(file.version) === context.run.id);
    return byUs && present.length === wanted.length ? { kind: 'done', times } : { kind: 'changed' };
}

;// CONCATENATED MODULE: ./compiled/src/database/apply/lease.js












/** The lease outlives the longest statement by this much. */
const LEASE_GRACE = 60_000;
/**
 * Takes the lease inside the ordinary opening transaction; an outcome where that could not be done. `partial`: what is
 * recorded of the file, as it was planned from.
 */
async function beginParts(run, partial) {
    const { tools, context, holder } = run;
    const text = `${openTransaction({ ...context, holder, marker: '' })}\n${standsAsPlanned(run, partial)}\n${takeLease(run)}`;
    for (let attempt = 1;; attempt++) {
        try {
            await tools.database.send(text, {
                deadline: ANSWER_GRACE + context.rules.lockTimeout,
                signal: tools.signal,
                onNotice: noteReader(context),
            });
            return undefined;
        }
        catch (error) {
            if (error instanceof Cancelled || tools.signal.aborted)
                return { kind: 'cancelled' };
            if (error instanceof Failure)
                return { kind: 'failed', problem: error.problems[0], at: 0, times: [] };
            if (error instanceof SqlError && error.code === CODES.locked)
                await waitForLock(tools, context.rules.lockWait);
            else if (error instanceof SqlError && error.code === CODES.changed)
                return { kind: 'changed' };
            else {
                // Taking the lease twice is harmless, so an answer that was lost needs no look.
                const problem = asProblem(error);
                const over = errorMeaning(error) === 'stop'
                    ? problem
                    : await retryBusy(tools, attempt, problem, WAITED_FOR_HISTORY);
                if (over !== 'again')
                    return { kind: 'failed', problem: over, at: 0, times: [] };
            }
        }
    }
}
const leaseUntil = ({ context }) => `clock_timestamp() + interval '${context.rules.statementTimeout + LEASE_GRACE} milliseconds'`;
/** The session stands in the lease where it lasts: its end then frees the lease at once. */
function session({ tools }) {
    const { transport } = tools.database;
    return transport === 'transaction-pooler' || transport === 'management-api'
        ? { pid: 'null::int', start: 'null::timestamptz' }
        : {
            pid: 'pg_catalog.pg_backend_pid()',
            start: '(select backend_start from pg_catalog.pg_stat_activity where pid = pg_catalog.pg_backend_pid())',
        };
}
/** Another run may have gone on with the file since it was looked at, which no history row tells. */
function standsAsPlanned({ file }, partial) {
    return `do ${dollarQuote(`begin
  if (select ${PARTIAL_JSON} from ${PARTIAL_TABLE} where version = ${literal(file.version)})
      is distinct from ${partial ? `${literal(JSON.stringify(partial))}::jsonb` : 'null'} then
    raise exception using errcode = '${CODES.changed}', message = 'another run has gone on with the file';
  end if;
end`)};`;
}
function takeLease(run) {
    const { pid, start } = session(run);
    return `insert into ${LEASE_TABLE} (holder, until, pid, backend_start) values (${literal(run.holder)}, ${leaseUntil(run)}, ${pid}, ${start})
    on conflict (single) do update set holder = excluded.holder, until = excluded.until, pid = excluded.pid,
      backend_start = excluded.backend_start;`;
}
/** True where parts of the file share what only their session has. */
function isSessionBound({ file }) {
    return file.shape.sessionBound.length > 0;
}
/** PL/pgSQL: the lease is still ours, and lasts on; raises where another run has taken over. */
function renewLease(run) {
    const { pid, start } = session(run);
    const sameSession = `if exists (select from ${LEASE_TABLE} where holder = ${literal(run.holder)}
      and (pid, backend_start) is distinct from (${pid}, ${start})) then
    raise exception using errcode = '${CODES.lostTransaction}',
      message = 'the session is gone, and with it what the file had made for its later parts';
  end if;
  `;
    return `${isSessionBound(run) ? sameSession : ''}update ${LEASE_TABLE} set until = ${leaseUntil(run)}, pid = ${pid}, backend_start = ${start}
    where holder = ${literal(run.holder)};
  if not found then
    raise exception using errcode = '${CODES.changed}', message = 'another run has taken over this database';
  end if;
  lock table ${HISTORY_TABLE} in share row exclusive mode;
  if exists (select from ${HISTORY_TABLE} where version = ${literal(run.file.version)}) then
    raise exception using errcode = '${CODES.recorded}', message = 'the version is recorded already';
  end if;`;
}
async function release(run) {
    const { tools, holder, context } = run;
    const clean = isSessionBound(run) ? `do ${dollarQuote(`begin ${leaveNothing(context.role)} end`)};` : '';
    // A database may be read-only by default.
    const message = `set transaction read write; ${clean} delete from ${LEASE_TABLE} where holder = ${literal(holder)}`;
    await tools.database.send(message, { deadline: 5_000 }).catch(() => undefined);
}
/** An error between the parts of a file, or of a part that was not done. */
function asProblem(error) {
    return databaseProblem(error, 'Run again: it goes on where it stopped.');
}

;// CONCATENATED MODULE: ./compiled/src/database/apply/file-part.js















/** True for the part after which nothing more is to be run, where it is a transaction that can bring the rows along. */
function isEnd({ file }, index) {
    const { segments } = file.shape;
    return index === segments.length - 1 && !segments[index].alone;
}
/** PL/pgSQL that ends part number `index`: how far we are, or at the end both history rows. */
function recordPart(run, index) {
    if (isEnd(run, index))
        return recordAll(run);
    return `${leavePart(run)}${CHECK_DEFERRED}
  ${recordStanding(run, index + 1, 'null')}`;
}
/** PL/pgSQL that leaves the session as it was, but for what later parts of the file count on. */
function leavePart(run) {
    const { role } = run.context;
    return isSessionBound(run) ? leaveNoSettings(role) : leaveNothing(role);
}
/** SQL that records what stands: the first `parts` parts. `sent`: an SQL expression, as PartialMigration.sent. */
function recordStanding({ file, context }, parts, sent) {
    const { done, bytes, prefix } = committedParts(file, parts);
    return `insert into ${PARTIAL_TABLE} (version, run_id, done, bytes, prefix, sent)
    values (${literal(file.version)}, ${literal(context.run.id)}, ${done}, ${bytes}, ${literal(prefix)}, ${sent})
    on conflict (version) do update set run_id = excluded.run_id, done = excluded.done, bytes = excluded.bytes,
      prefix = excluded.prefix, sent = excluded.sent, updated_at = now();`;
}
function recordAll({ file, context }) {
    const recorded = [...context.recorded, ...context.baseline.map((each) => each.version)];
    return `${finishFile(file, 0, historyIs(recorded), { ...context, marker: '' })}
  delete from ${PARTIAL_TABLE} where version = ${literal(file.version)};`;
}
/** All parts stand: the file goes into the history, in one transaction with the verification. */
function recordWholeFile(run, parts) {
    return sendPart(run, parts, partMessage(run, `begin ${renewLease(run)} ${recordAll(run)} end`, true), sqlProblem);
}
/** A message that is one transaction: PL/pgSQL, and where it is the `end` of the file, what follows the last file. */
function partMessage({ context }, body, end, isolation) {
    return `set transaction isolation level ${isolation ?? 'read committed'}, read write;
${localSettings(context.rules)}
do ${dollarQuote(body)};
${end ? atEnd(context) : ''}`;
}
function atEnd({ rules, after }) {
    return after ? `${localSettings(rules)}\n${after}` : '';
}
/** The same for statements that a DO block cannot hold: they stand in the message, in a transaction of its own. */
function explicitPart(run, index, marker) {
    const { context, file } = run;
    const { shape } = file;
    const { statements, sessionSetup, isolation = 'read committed' } = shape.segments[index];
    const body = statementsMessage(shape.source, [...sessionSetup, ...statements], marker);
    const head = `begin isolation level ${isolation}, read write;
${localSettings(context.rules)}
do ${dollarQuote(`begin ${renewLease(run)} end`)};
`;
    const message = `${head}${body.message}
${localSettings(context.rules)}
do ${dollarQuote(`begin ${recordPart(run, index)} end`)};
${isEnd(run, index) ? atEnd(context) : ''}
commit`;
    return { message, place: (position, current) => body.place(message, head.length, position, current) };
}
/** The first `parts` parts of a file, as they are recorded. */
function committedParts({ shape, source }, parts) {
    const text = source.slice(0, shape.segments[parts - 1]?.end ?? 0);
    return { done: parts, ...prefixOf(text) };
}
/**
 * Sends a part that is one transaction; retried, and looked after where no answer came. `onNotice`: told what the
 * message raises. `explicit`: it is a transaction that the message begins and ends itself.
 */
async function sendPart(run, index, message, explain, { onNotice, explicit = false, } = {}) {
    const { tools, context, file } = run;
    const readNote = noteReader(context);
    for (let attempt = 1;; attempt++) {
        try {
            await tools.database.send(message, {
                deadline: answerWithin(context, [file]),
                signal: tools.signal,
                onNotice(notice) {
                    readNote(notice);
                    onNotice?.(notice);
                },
            });
            return undefined;
        }
        catch (error) {
            // After an error the session waits for the end of the transaction that the message has begun.
            if (explicit)
                await tools.database.send('rollback', { deadline: 5_000 }).catch(() => undefined);
            if (error instanceof Cancelled)
                return { cancelled: undefined };
            if (error instanceof SqlError && (error.code === CODES.changed || error.code === CODES.recorded))
                return 'changed';
            if (error instanceof SqlError && error.code === '57014' && tools.signal.aborted)
                return { cancelled: undefined };
            if (error instanceof SqlError && error.code === CODES.notVerified)
                return { notVerified: verificationProblems(error.message) };
            const meaning = errorMeaning(error);
            if (meaning === 'resolve') {
                const state = await partState(run, index);
                if (state === 'done')
                    return undefined;
                if (state === 'unknown')
                    return { problem: COMMIT_UNKNOWN, outcome: 'unknown' };
                if (tools.signal.aborted)
                    return { cancelled: undefined };
            }
            const problem = error instanceof SqlError ? explain(error) : asProblem(error);
            const over = meaning === 'stop' ? problem : await retryBusy(tools, attempt, problem, waitedIn(file, problem.at));
            if (over !== 'again')
                return { problem: over, outcome: 'failed' };
        }
    }
}
/** Looks, under the lock, whether part number `index` is committed. */
async function partState({ tools, file }, index) {
    const look = await readHistoryUnderLock(tools.database, RESOLVE_WITHIN, tools.signal);
    if (!look)
        return 'unknown';
    if (look.recorded.some((row) => row.version === file.version))
        return 'done';
    const partial = look.partial.find((row) => row.version === file.version);
    return (partial?.done ?? 0) > index ? 'done' : 'not done';
}

;// CONCATENATED MODULE: ./compiled/src/database/sql/parse-tree.js
/** Every node of a tree, the outer one first. */
function* nodesOf(tree) {
    if (Array.isArray(tree))
        for (const item of tree)
            yield* nodesOf(item);
    else if (typeof tree === 'object' && tree !== null) {
        yield tree;
        for (const value of Object.values(tree))
            yield* nodesOf(value);
    }
}
/** The parts of a name, or any other list of String nodes. */
function strings(list) {
    return (list ?? []).flatMap((item) => {
        const value = item.String?.sval;
        return value === undefined ? [] : [value];
    });
}
/** What a DROP names, each as its parts. */
function droppedNames({ objects }) {
    return (objects ?? []).map((object) => strings(object.List?.items));
}
/** An option of a statement, such as WITH (name = ...); undefined where it is not given. */
function optionOf(options, name) {
    for (const { DefElem: option } of options ?? [])
        if (option?.defname === name)
            return option;
    return undefined;
}
/** True of an option that is given as false, off or 0. */
function isOff(option) {
    const { Integer: number } = (option?.arg ?? {});
    return number ? (number.ival ?? 0) === 0 : /^(?:false|off)$/i.test(optionText(option) ?? '');
}
/** The text of an option's value, which may be a word; undefined where it has none, or a number. */
function optionText(option) {
    const { String: text, TypeName: word } = (option?.arg ?? {});
    return text?.sval ?? (word && strings(word.names).join('.'));
}
/** The text of a constant; undefined for other constants and anything else. */
function constantText(expression) {
    const constant = expression?.A_Const;
    return constant?.sval === undefined ? undefined : (constant.sval.sval ?? '');
}
/** The relation that a statement makes, where it makes one that holds rows, a view or a sequence. */
function madeRelation(kind, node) {
    const into = (node.intoClause ?? node.into);
    switch (kind) {
        case 'CreateStmt':
            return node.relation;
        case 'ViewStmt':
            return node.view;
        case 'CreateSeqStmt':
            return node.sequence;
        case 'SelectStmt':
        case 'CreateTableAsStmt':
            return into?.rel;
        default:
            return undefined;
    }
}
/** True of a relation that its session alone has. */
function isTemporary({ relpersistence, schemaname }) {
    return relpersistence === 't' || schemaname === 'pg_temp';
}
/** The calls of set_config that a SELECT's list holds; undefined for each other expression in it. */
function setConfigs({ targetList }) {
    return (targetList ?? []).map((target) => setConfig(target.ResTarget?.val));
}
function setConfig(expression) {
    const call = expression?.FuncCall;
    const names = strings(call?.funcname);
    if (names[names.length - 1] !== 'set_config' || !(names.length === 1 || names[0] === 'pg_catalog'))
        return undefined;
    const [name, value, local] = call?.args ?? [];
    return { name: constantText(name), value: constantText(value), local: isTrue(local) };
}
function isTrue(expression) {
    const { boolval } = (expression?.A_Const ?? {});
    return boolval?.boolval === true || /^(?:t|true|on|y|yes|1)$/i.test(constantText(expression) ?? '');
}

;// CONCATENATED MODULE: ./compiled/src/database/migrations/non-transactional.js

/** A change of a subscription's publications that also asks the publisher for its tables: it does unless told not to. */
function isRefreshed(node, kind) {
    return node.kind === kind && !isOff(optionOf(node.options, 'refresh'));
}
const KINDS = {
    'create-index': {
        name: 'CREATE INDEX CONCURRENTLY',
        is: ({ kind, node }) => kind === 'IndexStmt' && node.concurrent === true,
    },
    'drop-index': {
        name: 'DROP INDEX CONCURRENTLY',
        is: ({ kind, node }) => kind === 'DropStmt' && node.concurrent === true,
    },
    'detach-partition': {
        name: 'DETACH PARTITION CONCURRENTLY',
        is: ({ kind, node }) => kind === 'AlterTableStmt' && detachedConcurrently(node) !== undefined,
    },
    'create-database': {
        name: 'CREATE DATABASE',
        is: ({ kind }) => kind === 'CreatedbStmt',
    },
    'drop-database': { name: 'DROP DATABASE', is: ({ kind }) => kind === 'DropdbStmt' },
    'create-tablespace': {
        name: 'CREATE TABLESPACE',
        is: ({ kind }) => kind === 'CreateTableSpaceStmt',
    },
    'drop-tablespace': {
        name: 'DROP TABLESPACE',
        is: ({ kind }) => kind === 'DropTableSpaceStmt',
    },
    'create-subscription': {
        name: 'CREATE SUBSCRIPTION',
        is: ({ kind }) => kind === 'CreateSubscriptionStmt',
    },
    'drop-subscription': {
        name: 'DROP SUBSCRIPTION',
        is: ({ kind }) => kind === 'DropSubscriptionStmt',
    },
    'add-publication': {
        name: 'ALTER SUBSCRIPTION ... ADD PUBLICATION',
        is: ({ kind, node }) => kind === 'AlterSubscriptionStmt' && isRefreshed(node, 'ALTER_SUBSCRIPTION_ADD_PUBLICATION'),
    },
    'drop-publication': {
        name: 'ALTER SUBSCRIPTION ... DROP PUBLICATION',
        is: ({ kind, node }) => kind === 'AlterSubscriptionStmt' && isRefreshed(node, 'ALTER_SUBSCRIPTION_DROP_PUBLICATION'),
    },
    'set-publication': {
        name: 'ALTER SUBSCRIPTION ... PUBLICATION',
        is: ({ kind, node }) => kind === 'AlterSubscriptionStmt' &&
            (node.kind === 'ALTER_SUBSCRIPTION_REFRESH' || isRefreshed(node, 'ALTER_SUBSCRIPTION_SET_PUBLICATION')),
    },
    reindex: {
        name: 'REINDEX',
        is: ({ kind, node, partitioned = false }) => kind === 'ReindexStmt' &&
            (partitioned ||
                optionOf(node.params, 'concurrently') !== undefined ||
                /DATABASE|SYSTEM|SCHEMA/.test(String(node.kind))),
    },
    vacuum: {
        name: 'VACUUM',
        is: ({ kind, node }) => kind === 'VacuumStmt' && node.is_vacuumcmd === true,
    },
    cluster: {
        name: 'CLUSTER',
        is: ({ kind, node, partitioned = false }) => kind === 'ClusterStmt' && (partitioned || node.relation === undefined),
    },
    'move-database': {
        name: 'ALTER DATABASE ... SET TABLESPACE',
        is: ({ kind, node }) => kind === 'AlterDatabaseStmt' && optionOf(node.options, 'tablespace') !== undefined,
    },
    'alter-system': {
        name: 'ALTER SYSTEM',
        is: ({ kind }) => kind === 'AlterSystemStmt',
    },
    'discard-all': {
        name: 'DISCARD ALL',
        is: ({ kind, node }) => kind === 'DiscardStmt' && node.target === 'DISCARD_ALL',
    },
};
/** The kind of a statement that cannot run in a transaction; undefined for one that can. */
function nonTransactional(statement) {
    const kinds = Object.keys(KINDS);
    return kinds.find((kind) => KINDS[kind].is(statement));
}
/** What a statement is called, where PostgreSQL refuses it inside a transaction; undefined where it may be inside. */
function whyNonTransactional(statement) {
    const kind = nonTransactional(statement);
    return kind && KINDS[kind].name;
}
/** The partition that a DETACH PARTITION CONCURRENTLY takes off; undefined for any other ALTER TABLE. */
function detachedConcurrently({ cmds }) {
    for (const { AlterTableCmd: command } of cmds ?? []) {
        const { PartitionCmd: partition } = (command?.def ?? {});
        if (command?.subtype === 'AT_DetachPartition' && partition?.concurrent === true)
            return partition.name;
    }
    return undefined;
}

;// CONCATENATED MODULE: ./compiled/src/database/apply/send-non-transactional.js


/**
 * Sends a message that cannot bring its own settings along, because with them it would be a transaction. A session of
 * our own is given them before, and left as it was; behind a transaction pooler they would reach another client, so
 * the role's own hold there.
 */
async function sendNonTransactional({ database, signal }, text, { rules, sessionSetup }) {
    const sending = { deadline: rules.statementTimeout + ANSWER_GRACE, signal };
    if (database.transport === 'transaction-pooler')
        return database.send(text, sending);
    try {
        await database.send(`${sessionSettings(rules)}\n${sessionSetup}`, sending);
        return await database.send(text, sending);
    }
    finally {
        await database.send(asBefore(database), { deadline: 5_000 }).catch(() => undefined);
    }
}
/**
 * These statements wait for other transactions without blocking them: their wait is bounded by the whole time. A
 * database that is read-only by default is written to all the same, as in our transactions.
 */
function sessionSettings({ statementTimeout }) {
    return `set statement_timeout = '${statementTimeout}ms'; set lock_timeout = 0; set default_transaction_read_only = off;
do $m$begin
  if current_setting('server_version_num')::int >= 140000 then
    perform set_config('client_connection_check_interval', '500ms', false);
  end if;
  if current_setting('server_version_num')::int >= 170000 then
    perform set_config('transaction_timeout', '0', false);
  end if;
end$m$;`;
}
function asBefore({ role }) {
    const own = role === undefined ? '' : ` set role ${identifier(role)};`;
    return `reset session authorization; reset role; reset all;${own}`;
}

;// CONCATENATED MODULE: ./compiled/src/database/apply/index-shape.js



/**
 * SQL: one hash of all that makes an index what it is, but for its name, its table and its place on the disk. Of the
 * rows `i` of pg_index, `c` of pg_class and `am` of pg_am, with an empty search_path, so that names in it are whole.
 */
const INDEX_SHAPE = `md5(jsonb_build_array(am.amname, i.indisunique, to_jsonb(i) -> 'indnullsnotdistinct', i.indnkeyatts,
    i.indclass::text, i.indcollation::text, i.indoption::text,
    (select jsonb_agg(pg_get_indexdef(i.indexrelid, n, false) order by n) from generate_series(1, i.indnatts) n),
    (select jsonb_agg(to_jsonb(a.attoptions) order by a.attnum) from pg_attribute a where a.attrelid = i.indexrelid),
    pg_get_expr(i.indpred, i.indrelid), to_jsonb(c.reloptions))::text)`;
/**
 * PL/pgSQL that finds out, in the variable `muva_shape`, what a CREATE INDEX on the relation in `muva_relation` makes:
 * it is made on an empty copy of that relation, of the same name because a condition may name it, and undone. Null
 * where the role may not do that, or the statement is wrong.
 */
function indexAsWritten(text, unique) {
    const rest = restOfIndex(text);
    if (rest === undefined)
        return '';
    return `begin
    execute (select format('create temporary table %I (like %s)', relname, oid::regclass) from pg_class where oid = muva_relation);
    execute (select format('create ${unique ? 'unique ' : ''}index muva_as_written on pg_temp.%I ', relname) from pg_class where oid = muva_relation)
      || ${dollarQuote(rest)};
    perform set_config('search_path', '', true);
    select ${INDEX_SHAPE} into muva_shape
      from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am am on am.oid = c.relam
      where c.relname = 'muva_as_written' and c.relnamespace = pg_my_temp_schema();
    raise exception using errcode = '${CODES.undone}';
  exception when others then null;
  end;`;
}
/** What stands behind the table's name in a CREATE INDEX. */
function restOfIndex(text) {
    let index = skipBlanks(text, 0);
    const next = () => {
        const from = index;
        const end = afterToken(text, from);
        index = skipBlanks(text, end);
        return text.slice(from, end);
    };
    const peek = () => text.slice(index, afterToken(text, index)).toLowerCase();
    // ON is a reserved word: without quotes it is no name.
    while (index < text.length && next().toLowerCase() !== 'on')
        ;
    if (index < text.length && peek() === 'only')
        next();
    if (index < text.length)
        next();
    while (text[index] === '.') {
        next();
        if (index < text.length)
            next();
    }
    if (text[index] === '*')
        next();
    return index < text.length ? text.slice(index) : undefined;
}

;// CONCATENATED MODULE: ./compiled/src/database/apply/statement-outcome.js




/**
 * What to do where a statement was sent outside a transaction and its answer, or the record that it was done, was lost.
 * `repeat`: send it again; done twice it does no harm, and what a cut try of it leaves is taken up by the next.
 * A statement that is not in this table is never sent outside a transaction.
 */
const RECOVERY = {
    'create-index': {
        before: ({ node }, text) => `
  muva_relation := to_regclass(${literal(relationName(node.relation))});
  if muva_relation is not null then
    ${indexAsWritten(text, node.unique === true)}
  end if;
  muva_before := jsonb_build_object('relation', muva_relation::oid::bigint, 'name', ${literal(node.idxname)}::text,
    'orTaken', ${node.if_not_exists === true}, 'shape', muva_shape,
    'indexes', coalesce((select jsonb_agg(indexrelid::bigint) from pg_index where indrelid = muva_relation), '[]'));`,
        now: ({ relation }) => indexesWhere(`i.indrelid = ${oid(relation)}`),
        judge: (before, now) => judgeIndex(before, now),
    },
    'drop-index': {
        before: ({ node }) => oidBefore(`to_regclass(${literal(identifier(...(droppedNames(node)[0] ?? [''])))})`, node),
        now: ({ oid: index }) => `to_jsonb(exists (select from pg_class where oid = ${oid(index)}))`,
        judge: judgeDropped,
    },
    'detach-partition': {
        before: ({ node }) => `
  select jsonb_build_object('parent', inhparent::bigint, 'partition', inhrelid::bigint,
      'pending', to_jsonb(i) -> 'inhdetachpending') into muva_before
    from pg_inherits i where inhparent = to_regclass(${literal(relationName(node.relation))})
      and inhrelid = to_regclass(${literal(relationName(detachedConcurrently(node) ?? {}))});`,
        now: ({ parent, partition }) => `(select jsonb_build_object('pending', to_jsonb(i) -> 'inhdetachpending',
      'parent', inhparent::regclass::text, 'partition', inhrelid::regclass::text)
    from pg_inherits i where inhparent = ${oid(parent)} and inhrelid = ${oid(partition)})`,
        judge: (before, now) => judgeDetached(before, now),
    },
    'create-database': {
        before: ({ node }) => namedBefore('pg_database', 'datname', String(node.dbname), {
            owner: `coalesce(${literal(optionText(optionOf(node.options, 'owner')))}, current_user)`,
        }),
        now: ({ name, owner, }) => `(select jsonb_build_object('asWritten', pg_get_userbyid(datdba) = ${literal(String(owner))})
      from pg_database where datname = ${literal(String(name))})`,
        judge: judgeMade('database'),
    },
    'drop-database': {
        before: ({ node }) => oidBefore(`(select oid from pg_database where datname = ${literal(String(node.dbname))})`, node),
        now: ({ oid: database }) => `to_jsonb(exists (select from pg_database where oid = ${oid(database)}))`,
        judge: judgeDropped,
    },
    'create-tablespace': {
        before: ({ node }) => namedBefore('pg_tablespace', 'spcname', String(node.tablespacename), {
            location: literal(String(node.location ?? '')),
        }),
        // Without a location the server makes one, inside its own folder.
        now: ({ name, location, }) => `(select jsonb_build_object('asWritten', ${literal(String(location).replace(/\/+$/, ''))} in ('', pg_tablespace_location(oid)))
      from pg_tablespace where spcname = ${literal(String(name))})`,
        judge: judgeMade('tablespace'),
    },
    'drop-tablespace': {
        before: ({ node }) => oidBefore(`(select oid from pg_tablespace where spcname = ${literal(String(node.tablespacename))})`, node),
        now: ({ oid: space }) => `to_jsonb(exists (select from pg_tablespace where oid = ${oid(space)}))`,
        judge: judgeDropped,
    },
    'create-subscription': {
        before: ({ node }) => namedBefore('pg_subscription', 'subname', String(node.subname), { publications: `to_jsonb(${textArray(strings(node.publication))})` }, 
        // Every database of a server may have a subscription of the same name.
        OWN_DATABASE('subdbid')),
        now: ({ name, publications }) => `(select jsonb_build_object('asWritten',
        to_jsonb(subpublications) @> ${json(publications)} and ${json(publications)} @> to_jsonb(subpublications))
      from pg_subscription where subname = ${literal(String(name))} and ${OWN_DATABASE('subdbid')})`,
        judge: judgeMade('subscription'),
    },
    'drop-subscription': {
        before: ({ node }) => oidBefore(subscription(node), node),
        now: ({ oid: found }) => `to_jsonb(exists (select from pg_subscription where oid = ${oid(found)}))`,
        judge: judgeDropped,
    },
    'add-publication': {
        before: publicationsBefore,
        now: publicationsNow,
        judge: ({ names }, now) => Array.isArray(now) && names.every((name) => now.includes(name)) ? DONE : NOT_DONE,
    },
    'drop-publication': {
        before: publicationsBefore,
        now: publicationsNow,
        judge: ({ names }, now) => Array.isArray(now) && !names.some((name) => now.includes(name)) ? DONE : NOT_DONE,
    },
    reindex: {
        before: ({ node }) => `
  muva_before := jsonb_build_object('scope', ${reindexScope(node)},
    'indexes', (select coalesce(jsonb_agg(indexrelid::bigint), '[]') from pg_index where not indisvalid));`,
        // What REINDEX CONCURRENTLY makes beside an index, or leaves of the old one.
        now: () => indexesWhere("not i.indisvalid and c.relname ~ '_cc(new|old)[0-9]*$'"),
        judge: (before, now) => judgeReindex(before, now),
    },
    'set-publication': 'repeat',
    vacuum: 'repeat',
    cluster: 'repeat',
    'move-database': 'repeat',
    'alter-system': 'repeat',
    'discard-all': 'repeat',
};
const DONE = { state: 'done' };
const NOT_DONE = { state: 'not done' };
const oid = (value) => (typeof value === 'number' ? `${value}::oid` : 'null::oid');
const json = (value) => `${literal(JSON.stringify(value ?? null))}::jsonb`;
const OWN_DATABASE = (column) => `${column} = (select oid from pg_database where datname = current_database())`;
function relationName({ schemaname, relname }) {
    return identifier(...(typeof schemaname === 'string' ? [schemaname] : []), String(relname));
}
/** What is to be dropped is known by its oid: another one of its name, made since, is never taken for it. */
function oidBefore(found, { missing_ok }) {
    return `
  muva_before := jsonb_build_object('oid', (${found})::oid::bigint, 'ifExists', ${missing_ok === true});`;
}
function judgeDropped(before, there) {
    if (typeof before.oid !== 'number')
        return before.ifExists === true ? DONE : NOT_DONE;
    return there === true ? NOT_DONE : DONE;
}
/** What is made under a name that is one in the server, or among `scope`. `fields`: more that its look needs, SQL by name. */
function namedBefore(catalog, column, name, fields, scope = 'true') {
    const more = Object.entries(fields).map(([field, sql]) => `, '${field}', ${sql}`);
    return `
  muva_before := jsonb_build_object('name', ${literal(name)}::text,
    'there', exists (select from ${catalog} where ${column} = ${literal(name)} and ${scope})${more.join('')});`;
}
function judgeMade(what) {
    return ({ name, there }, now) => {
        if (there === true || now === null)
            return NOT_DONE;
        return now.asWritten
            ? DONE
            : {
                state: 'unclear',
                why: `there is a ${what} ${String(name)} now, which is not as the file writes it`,
            };
    };
}
function subscription({ subname }) {
    return `(select oid from pg_subscription where subname = ${literal(String(subname))} and ${OWN_DATABASE('subdbid')})`;
}
function publicationsBefore({ node }) {
    return `
  muva_before := jsonb_build_object('oid', ${subscription(node)}::bigint, 'names', to_jsonb(${textArray(strings(node.publication))}));`;
}
function publicationsNow(before) {
    return `(select to_jsonb(subpublications) from pg_subscription where oid = ${oid(before.oid)})`;
}
function judgeDetached(before, now) {
    if (typeof before.partition !== 'number')
        return NOT_DONE;
    if (now === null)
        return DONE;
    // Pending before we began, it is somebody else's: the server says so when it is tried again.
    if (now.pending !== true || before.pending === true)
        return NOT_DONE;
    return {
        state: 'half done',
        what: `the partition ${now.partition} is half detached`,
        finish: `alter table ${now.parent} detach partition ${now.partition} finalize`,
    };
}
function indexesWhere(condition) {
    return `(select coalesce(jsonb_agg(jsonb_build_object('oid', i.indexrelid::bigint, 'relation', i.indrelid::bigint,
      'name', c.relname, 'index', i.indexrelid::regclass::text, 'valid', i.indisvalid, 'shape', ${INDEX_SHAPE},
      'builder', (select ${WORKER} from pg_stat_progress_create_index p join pg_stat_activity a using (pid)
        where p.index_relid = i.indexrelid and ${OWN_DATABASE('p.datid')} and p.pid <> pg_backend_pid() limit 1)) order by i.indexrelid), '[]')
    from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am am on am.oid = c.relam where ${condition})`;
}
/** Of a row `a` of pg_stat_activity. */
const WORKER = `jsonb_build_object('pid', a.pid, 'name', coalesce(nullif(a.application_name, ''), a.usename::text, a.backend_type),
    'seconds', round(extract(epoch from clock_timestamp() - coalesce(a.query_start, a.backend_start))))`;
/**
 * Ours is what was not there before we began, and bears the name that the statement gives, or where it gives none, is
 * what the statement makes.
 */
function judgeIndex(before, now) {
    const fresh = now.filter(({ oid: index }) => !before.indexes.includes(index));
    const named = before.name !== null;
    if (!named && before.shape === null && fresh.length > 0)
        return {
            state: 'unclear',
            why: 'the table has a new index, and which one the statement makes is not known',
        };
    const ours = fresh.filter(({ name, shape }) => (named ? name === before.name : shape === before.shape));
    const [index, twin] = ours;
    if (!index)
        return NOT_DONE;
    if (twin)
        return {
            state: 'unclear',
            why: `${index.index} and ${twin.index} are both new, and both what the file writes`,
        };
    if (index.builder)
        return { state: 'busy', who: index.builder };
    const asWritten = before.shape !== null && index.shape === before.shape;
    if (!index.valid && (asWritten || before.shape === null))
        return { state: 'left over', drop: [dropping(index)] };
    // IF NOT EXISTS takes any index of that name.
    if (asWritten || (before.orTaken && index.valid))
        return DONE;
    return {
        state: 'unclear',
        why: before.shape === null
            ? `there is an index ${index.index} now, which could not be compared with the file`
            : `there is an index ${index.index} now, which is not as the file writes it`,
    };
}
/** The index of the name that a CREATE INDEX gives, where it is invalid. */
function invalidNamed(before, now) {
    return now.find(({ name, valid }) => name === before.name && !valid)?.index;
}
/** What is named by a REINDEX: tables, with the tables that their large values are kept in; null for the database. */
function reindexScope({ relation, kind, name }) {
    const regclass = relation ? `to_regclass(${literal(relationName(relation))})` : undefined;
    const named = regclass
        ? `select ${regclass}::oid as oid union select relid from pg_partition_tree(${regclass})`
        : `select oid from pg_class where relnamespace = (select oid from pg_namespace where nspname = ${literal(String(name))})`;
    if (!regclass && kind !== 'REINDEX_OBJECT_SCHEMA')
        return 'null::jsonb';
    return `(with named as (${named}),
      tables as (select oid from named union select indrelid from pg_index where indexrelid in (select oid from named))
    select jsonb_agg(t.oid::bigint) from (select oid from tables union all
      select reltoastrelid from pg_class where oid in (select oid from tables)) t)`;
}
function judgeReindex(before, now) {
    const left = now.filter(({ oid: index, relation }) => !before.indexes.includes(index) && (before.scope === null || before.scope.includes(relation)));
    const builder = left.find((index) => index.builder)?.builder;
    if (builder)
        return { state: 'busy', who: builder };
    return left.length === 0 ? NOT_DONE : { state: 'left over', drop: left.map(dropping) };
}
function dropping({ index }) {
    return { what: index, sql: `drop index concurrently if exists ${index}` };
}

;// CONCATENATED MODULE: ./compiled/src/database/apply/resolve-statement.js














/** Milliseconds for a look, which waits for nothing but the network. */
const resolve_statement_DEADLINE = 30_000;
/** Between two looks at somebody who is at work. */
const resolve_statement_POLL = 500;
/**
 * Milliseconds for removing what a statement left that has failed: it may wait for the same as the statement, and the
 * next run can do it too. After a cancel the runner kills the process 7.5 s after it asked.
 */
const AFTER_FAILURE = 10_000;
const AT_CANCEL = 3_500;
/**
 * Finds out what became of a statement that was sent outside a transaction: waits until its session is gone, looks at
 * what is there, removes what it left, or ends what it began. `done` and `not done` are certain; anything else is a
 * failure that tells a person what to do.
 */
async function resolveStatement(part) {
    const { run } = part;
    run.tools.log({
        kind: 'progress',
        text: `looking whether ${statementName(part)} was done, whose answer was lost`,
    });
    try {
        const sent = await recordedSent(run);
        for (let round = 1;; round++) {
            const verdict = await lookPatiently(part, sent);
            switch (verdict.state) {
                case 'done':
                case 'not done':
                    return verdict.state;
                case 'busy':
                    return stillAtWork(part, verdict.who);
                case 'unclear':
                    return cannotTell(part, sent, verdict.why);
                case 'left over':
                    await oneRound(run, round, () => removeLeftover(run, verdict.drop));
                    break;
                case 'half done':
                    run.tools.log({ kind: 'progress', text: `${verdict.what}: ending what was begun` });
                    await oneRound(run, round, () => sendNonTransactional(run.tools, verdict.finish, { ...run.context, sessionSetup: '' }));
            }
        }
    }
    catch (error) {
        return couldNotResolve(part, error);
    }
}
/** How often it is tried to end or remove something, each time behind a look. */
const ROUNDS = 3;
async function oneRound(run, round, work) {
    try {
        await work();
    }
    catch (error) {
        if (errorMeaning(error) === 'stop' || round === ROUNDS || run.tools.signal.aborted)
            throw error;
    }
}
/**
 * The same after the server has refused a statement, whose error is told in any case: removes what it left. `kept`:
 * something stands that the next run has to settle, and `left` says what.
 */
async function cleanUp(part) {
    const run = patient(part.run);
    try {
        const sent = await recordedSent(run);
        const verdict = await lookNow(run, sent);
        switch (verdict.state) {
            case 'done':
                return { state: 'done' };
            case 'not done':
                await forget(run, sent);
                return { state: 'not done' };
            case 'left over':
                try {
                    await removeLeftover(run, verdict.drop);
                    await forget(run, sent);
                    return { state: 'not done' };
                }
                catch {
                    const what = verdict.drop.map((each) => each.what).join(', ');
                    return { state: 'kept', left: `It left ${what} invalid; the next run drops that and goes on.` };
                }
            case 'half done':
                return { state: 'kept', left: `${capitalize(verdict.what)}; the next run ends that.` };
            case 'busy':
            case 'unclear':
                return { state: 'kept', left: unknownYet(part) };
        }
    }
    catch {
        return { state: 'kept', left: unknownYet(part) };
    }
}
/** For work that is done even when the run was cancelled, but in little time. */
function patient(run) {
    const { tools, context } = run;
    const most = tools.signal.aborted ? AT_CANCEL : AFTER_FAILURE;
    const rules = { ...context.rules, statementTimeout: Math.min(most, context.rules.statementTimeout) };
    return {
        ...run,
        tools: { ...tools, signal: new AbortController().signal },
        context: { ...context, rules },
    };
}
/** For a person: what is done about a statement whose outcome could not be found out. */
function unknownYet(part) {
    return `Whether ${statementName(part)} was done is not known; the next run looks.`;
}
async function removeLeftover(run, drop) {
    for (const { what, sql } of drop) {
        run.tools.log({
            kind: 'progress',
            text: `dropping ${what}, which an unfinished build of ours left invalid`,
        });
        await sendNonTransactional(run.tools, sql, { ...run.context, sessionSetup: '' });
    }
}
/** Looks until nobody is at work any more, for as long as another run's lock is waited for. */
async function lookPatiently(part, sent) {
    const { tools, context } = part.run;
    const until = performance.now() + context.rules.lockWait;
    let told;
    for (;;) {
        const verdict = await lookNow(part.run, sent);
        if (verdict.state !== 'busy' || performance.now() > until)
            return verdict;
        const { pid, name, seconds } = verdict.who;
        if (told !== pid)
            tools.log({
                kind: 'progress',
                text: `waiting for ${name} (pid ${pid}), which has been at work on ${statementName(part)} for ${seconds} s`,
            });
        told = pid;
        await pause(resolve_statement_POLL, tools.signal);
    }
}
/** What is recorded of the statement; the lease is ours, so nobody else writes it. */
async function recordedSent({ tools, file }) {
    const message = `select sent::text as sent from ${PARTIAL_TABLE} where version = ${literal(file.version)}`;
    const results = await retryRead(tools.signal, () => tools.database.send(message, { deadline: resolve_statement_DEADLINE, signal: tools.signal }));
    const sent = jsonField(results, 'sent');
    if (!sent)
        throw new Error('the statement that was sent is not recorded');
    return sent;
}
/** The server has refused it, and nothing is left of it: the next run may send it, or what a person makes of it. */
async function forget({ tools, file }, { token }) {
    const message = `set transaction read write; update ${PARTIAL_TABLE} set sent = null where ${isRecorded(file, token)}`;
    await tools.database.send(message, { deadline: resolve_statement_DEADLINE });
}
function isRecorded({ version }, token) {
    return `version = ${literal(version)} and sent ->> 'token' = ${literal(token)}`;
}
async function lookNow({ tools }, sent) {
    const recovery = RECOVERY[sent.kind];
    const before = sent.before ?? {};
    const { session, now } = await askNow(tools, sent, recovery === 'repeat' ? 'null::jsonb' : recovery.now(before));
    if (session)
        return { state: 'busy', who: session };
    return recovery === 'repeat' ? { state: 'not done' } : recovery.judge(before, now);
}
/**
 * Asks for the session whose message begins with the statement's token, and only then for an SQL expression: what a
 * session does before it is gone is seen by the second look.
 */
async function askNow({ database, signal }, { token }, expression) {
    const session = `(select ${WORKER} from pg_stat_activity a where a.pid <> pg_backend_pid() and a.state <> 'idle'
    and position(${literal(tokenComment(token))} in a.query) > 0 limit 1)`;
    const message = `set transaction isolation level read committed; set local search_path = '';
    select set_config('muva.session', coalesce(${session}::text, 'null'), true);
    select jsonb_build_object('session', current_setting('muva.session')::jsonb, 'now', ${expression})::text as look`;
    const results = await retryRead(signal, () => database.send(message, { deadline: resolve_statement_DEADLINE, signal }));
    const found = jsonField(results, 'look');
    if (!found)
        throw new Error('the look at a statement gave no row');
    return found;
}
/**
 * CREATE INDEX CONCURRENTLY IF NOT EXISTS reports success over an invalid index of the same name. A Failure for that
 * trap; undefined where the index is as it should be, and for other statements.
 */
async function trappedIndex({ run }) {
    const sent = await recordedSent(run);
    const recovery = RECOVERY['create-index'];
    if (sent.kind !== 'create-index' || recovery === 'repeat' || !sent.before)
        return undefined;
    const { now } = await askNow(run.tools, sent, recovery.now(sent.before));
    const index = invalidNamed(sent.before, now);
    if (index === undefined)
        return undefined;
    return new Failure({
        message: `the index ${index} is invalid: a build that failed earlier left it, and IF NOT EXISTS takes it for good`,
        next: `It is not ours to drop. Run: drop index concurrently ${index};  and then deploy again.`,
    });
}
/** Stands before a statement that is sent outside a transaction, so that its session is known by its query. */
function tokenComment(token) {
    return `/*sent ${token}*/`;
}
/** By kind and line: its text may hold a password, as that of a subscription does. */
function statementName(part) {
    const statement = part.edited ? undefined : part.run.file.shape.segments[part.index]?.statements[0];
    const name = statement && whyNonTransactional(statement);
    return `${name ?? 'the statement that was sent'} in line ${statementPlace(part).at.line}`;
}
function statementPlace({ run: { file }, index }) {
    const next = file.shape.segments[index]?.statements[0];
    const end = file.shape.segments[index - 1]?.end ?? 0;
    return { at: positionIn(file.file, file.source, next?.from ?? end) };
}
function stillAtWork(part, { pid, name, seconds }) {
    return {
        problem: {
            message: `${name} (pid ${pid}) has been at work on ${statementName(part)} for ${seconds} s, and is not done`,
            ...statementPlace(part),
            next: 'Wait for it, then run again: the next run looks whether it was done.',
        },
        outcome: 'failed',
        left: unknownYet(part),
    };
}
/** Never sent again by us: a person looks, and says with one of two lines how the next run goes on. */
function cannotTell(part, sent, why) {
    const { run, index, edited } = part;
    const set = (fields) => `update ${PARTIAL_TABLE} set ${fields} where ${isRecorded(run.file, sent.token)};`;
    const { done, bytes, prefix } = committedParts(run.file, index + 1);
    const ran = edited
        ? 'Where it was done: put it back as it was.'
        : `Where it was done: ${set(`done = ${done}, bytes = ${bytes}, prefix = '${prefix}', sent = null`)}`;
    return {
        problem: {
            message: `${statementName(part)} was sent, and it cannot be told whether it was done: ${why}`,
            ...statementPlace(part),
            next: `It is not sent again by itself: look at it. ${ran} Where it was not: ${set('sent = null')} Then run again; it goes on there.`,
        },
        outcome: 'failed',
        left: `Whether ${statementName(part)} was done is not known.`,
    };
}
/** A file must tell what was done: what stands is not what it says now. */
function doneAndEdited(part) {
    return {
        problem: {
            message: 'the statement that was sent here was done, and has been edited since',
            ...statementPlace(part),
            next: 'Put it back as it was, and change what it made in a statement behind it.',
        },
        outcome: 'failed',
        left: 'The statement as it was before the edit is done.',
    };
}
function couldNotResolve(part, error) {
    if (error instanceof Cancelled || part.run.tools.signal.aborted)
        return { cancelled: unknownYet(part) };
    if (error instanceof SqlError && errorMeaning(error) !== 'resolve')
        return {
            problem: {
                ...sqlProblem(error),
                message: `finding out what became of ${statementName(part)}: ${error.message}`,
                ...statementPlace(part),
            },
            outcome: 'failed',
            left: unknownYet(part),
        };
    const lost = error instanceof Failure || errorMeaning(error) === 'resolve';
    if (!lost)
        throw error;
    return {
        problem: {
            message: `the answer to ${statementName(part)} was lost, and the database could not be asked since`,
            ...statementPlace(part),
            next: 'Run again when the database can be reached: it looks by itself whether the statement was done.',
        },
        outcome: 'unknown',
    };
}

;// CONCATENATED MODULE: ./compiled/src/database/apply/run-non-transactional.js

















/** How often a statement whose answer was lost is sent again, where it was found not done. */
const CUTS = 2;
/**
 * A statement that PostgreSQL runs outside a transaction only: alone in its message. Before it is sent it is recorded
 * that it will be, so that wherever we are cut, it is looked up before it would be sent again. `sent`: a run that was
 * cut had sent it.
 */
async function runNonTransactional(run, index, sent) {
    const { tools, file } = run;
    const statement = file.shape.segments[index].statements[0];
    const part = { run, index, edited: false };
    const text = file.shape.source.slice(statement.from, statement.to);
    const problemOf = (error) => error instanceof SqlError ? placedProblem(file, error, { statement }) : asProblem(error);
    let unsettled = sent;
    let lost;
    for (let attempt = 1, cuts = 0;; attempt++) {
        if (unsettled) {
            const settled = await resolveStatement(part);
            if (settled === 'done')
                break;
            if (settled !== 'not done')
                return settled;
        }
        if (cuts > CUTS)
            return { problem: problemOf(lost), outcome: 'failed' };
        const token = (0,external_node_crypto_.randomBytes)(8).toString('hex');
        const failed = await noteSent(run, index, token);
        if (failed)
            return failed;
        const error = await sendOnce(part, token);
        if (error === undefined)
            break;
        if (errorMeaning(error) === 'resolve') {
            if (tools.signal.aborted)
                return { cancelled: unknownYet(part) };
            unsettled = true;
            lost = error;
            cuts++;
            continue;
        }
        const waited = run_non_transactional_isTimeout(error) && !tools.signal.aborted && /CONCURRENTLY$/.test(whyNonTransactional(statement) ?? '');
        const old = waited ? await nameOldTransactions(tools.database) : undefined;
        const cleaned = await cleanUp(part);
        if (cleaned.state === 'done')
            break;
        unsettled = cleaned.state === 'kept';
        const left = cleaned.state === 'kept' ? cleaned.left : undefined;
        if (error instanceof Cancelled || tools.signal.aborted)
            return { cancelled: left };
        const told = problemOf(error);
        const problem = old
            ? { ...told, message: `${told.message}; it waited for older transactions: ${old.who}`, next: old.next }
            : told;
        const again = errorMeaning(error) === 'retry';
        const over = again
            ? await retryBusy(tools, attempt, problem, { text, mode: lockOf(statement) })
            : problem;
        if (over !== 'again')
            return { problem: over, outcome: 'failed', ...(0,defined_only/* definedOnly */.U)({ left }) };
    }
    const recorded = `begin ${renewLease(run)} ${recordPart(run, index)} end`;
    return sendPart(run, index, partMessage(run, recorded, false), sqlProblem);
}
function run_non_transactional_isTimeout(error) {
    return error instanceof SqlError && error.code === '57014';
}
/** Sends the statement; undefined where it was done, otherwise the error. */
async function sendOnce(part, token) {
    const { tools, file, context } = part.run;
    const { statements, sessionSetup: again } = file.shape.segments[part.index];
    const { from, to, node } = statements[0];
    const textOf = (each) => file.shape.source.slice(each.from, each.to);
    const message = `${tokenComment(token)} ${textOf({ from, to })}`;
    const settings = again.map((each) => `${textOf(each)};`).join('\n');
    try {
        await sendNonTransactional(tools, message, { rules: context.rules, sessionSetup: settings });
        return node.if_not_exists === true ? await trappedIndex(part) : undefined;
    }
    catch (error) {
        return error;
    }
}
/** Records what is about to be sent, and what is there before it, under what the file has set so far. */
async function noteSent(run, index, token) {
    const { file } = run;
    const { source } = file.shape;
    const { statements, sessionSetup: again } = file.shape.segments[index];
    const statement = statements[0];
    const kind = nonTransactional(statement);
    if (kind === undefined)
        throw new Error('a statement that can run in a transaction was to be sent outside of one');
    const text = source.slice(statement.from, statement.to);
    const recovery = RECOVERY[kind];
    const head = `declare muva_before jsonb; muva_relation regclass; muva_shape text; begin\n${renewLease(run)}\n`;
    const settings = statementLines(source, again, head.split('\n').length);
    const sent = `jsonb_build_object('kind', ${literal(kind)}, 'token', ${literal(token)}, 'text', ${literal(hashOf(text))}, 'before', muva_before)`;
    const body = `${head}${settings.text}${recovery === 'repeat' ? '' : recovery.before(statement, text)}
  ${leavePart(run)}
  ${recordStanding(run, index, sent)}
end`;
    const message = partMessage(run, body, false);
    // Written twice it says the same, so where no answer came it is simply written again.
    return sendPart(run, Number.POSITIVE_INFINITY, message, (error) => fileProblem(file, settings.lines, error, message));
}
/** Whether what was sent is still what stands in the file behind what is committed. */
function isSameStatement({ file }, index, sent) {
    const { alone, statements } = file.shape.segments[index] ?? { alone: false, statements: [] };
    const [statement] = statements;
    return (alone &&
        statement !== undefined &&
        hashOf(file.shape.source.slice(statement.from, statement.to)) === sent.text);
}
function hashOf(text) {
    return (0,external_node_crypto_.createHash)('sha256').update(text).digest('hex');
}
/** A statement that was sent and has been edited since: where it was done, the file would tell another story. */
async function resolveEdited(run, index) {
    const part = { run, index, edited: true };
    const settled = await resolveStatement(part);
    return settled === 'done' ? doneAndEdited(part) : settled === 'not done' ? undefined : settled;
}

;// CONCATENATED MODULE: ./compiled/src/database/apply/non-transactional-file.js












/**
 * Applies one file in parts: it has COMMITs of its own, or statements that cannot run in a transaction, each of which
 * runs alone. How far it got is recorded with each part, so that the next run goes on behind the last committed part
 * instead of failing on what exists already. The file is in the history only when all of it is done.
 */
async function applyNonTransactional(tools, batch, context, partial) {
    const file = batch.files[0];
    const run = {
        tools,
        file,
        context,
        holder: `${context.run.id}#${(0,external_node_crypto_.randomBytes)(6).toString('hex')}`,
        startedAt: Date.now(),
    };
    const begun = await beginParts(run, partial);
    if (begun)
        return begun;
    const { segments, standing } = file.shape;
    const sent = partial?.sent ?? undefined;
    const same = sent !== undefined && isSameStatement(run, standing, sent);
    let done = standing;
    try {
        const edited = sent && !same ? await caught(resolveEdited(run, done)) : undefined;
        if (edited)
            return tellWhatStands(run, done, edited);
        for (; done < segments.length; done++) {
            const { alone } = segments[done];
            const failed = await caught(alone ? runNonTransactional(run, done, same && done === standing) : runTransactionalPart(run, done));
            if (failed)
                return tellWhatStands(run, done, failed);
        }
        // Only a transaction at the end of the file can bring the rows along.
        const recorded = done > standing && !segments[done - 1].alone;
        const failed = recorded ? undefined : await caught(recordWholeFile(run, done));
        if (failed)
            return tellWhatStands(run, done, failed);
        return { kind: 'done', times: [{ startedAt: run.startedAt, milliseconds: Date.now() - run.startedAt }] };
    }
    finally {
        await release(run);
    }
}
/** A cancel or an unreachable server ends a part like any other failure: what stands is told all the same. */
async function caught(part) {
    try {
        return await part;
    }
    catch (error) {
        if (error instanceof Cancelled)
            return { cancelled: undefined };
        if (error instanceof Failure)
            return { problem: error.problems[0], outcome: error.outcome };
        // Of what is asked between the parts: nothing was under way.
        if (error instanceof SqlError || error instanceof LostConnection)
            return { problem: asProblem(error), outcome: 'failed' };
        throw error;
    }
}
/** A part that is one transaction. */
async function runTransactionalPart(run, index) {
    const { file } = run;
    const segment = file.shape.segments[index];
    const { transport } = run.tools.database;
    if (segment.explicit || (segment.timed && transport !== 'management-api'))
        return runExplicit(run, index);
    const { body, lines } = partBody(run, segment, index);
    const message = partMessage(run, body, isEnd(run, index), segment.isolation);
    const { notices } = run.context;
    return sendPart(run, index, message, (error) => fileProblem(file, lines, error, message), {
        onNotice(notice) {
            const statement = statementAt(lines, notice.where);
            if (statement)
                notices.note(file, statement.from, notice);
        },
    });
}
/** The same where a DO block cannot hold its statements. */
async function runExplicit(run, index) {
    const marker = newMarker();
    const segment = run.file.shape.segments[index];
    const { message, place } = explicitPart(run, index, marker);
    let current;
    return sendPart(run, index, message, (error) => placedProblem(run.file, error, place(error.position, current)), {
        explicit: true,
        onNotice(notice) {
            const began = announced(notice.message, marker);
            if (began !== undefined)
                current = began;
            else {
                const statement = [...segment.sessionSetup, ...segment.statements][current ?? -1];
                if (statement)
                    run.context.notices.note(run.file, statement.from, notice);
            }
        },
    });
}
function partBody(run, segment, index) {
    const guard = renewLease(run);
    const { text, lines } = statementLines(run.file.shape.source, [...segment.sessionSetup, ...segment.statements], guard.split('\n').length + 2);
    return { body: `begin\n${guard}\n${text}${recordPart(run, index)}\nend`, lines };
}
/** Says exactly which statements stand, and how to go on. */
function tellWhatStands(run, done, failure) {
    if (failure === 'changed')
        return { kind: 'changed' };
    const committed = committedWords(run, done);
    if ('notVerified' in failure)
        return { kind: 'not-verified', problems: failure.notVerified, ...(0,defined_only/* definedOnly */.U)({ stands: committed }) };
    const left = 'cancelled' in failure ? failure.cancelled : failure.left;
    const words = [committed, left].filter((each) => each !== undefined).join(' ');
    const stands = words === '' ? undefined : words;
    if ('cancelled' in failure)
        return { kind: 'cancelled', ...(0,defined_only/* definedOnly */.U)({ stands }) };
    const next = [failure.problem.next, stands].filter((each) => each !== undefined).join(' ');
    const problem = { ...failure.problem, ...(next === '' ? {} : { next }) };
    if (failure.outcome === 'unknown')
        return { kind: 'unknown', problem };
    const times = [{ startedAt: run.startedAt, milliseconds: Date.now() - run.startedAt }];
    return { kind: 'failed', problem, at: 0, times, ...(0,defined_only/* definedOnly */.U)({ stands }) };
}
function committedWords({ file }, done) {
    const standing = file.shape.segments.slice(0, done).flatMap((segment) => segment.statements);
    if (standing.length === 0)
        return undefined;
    const next = file.shape.segments[done]?.statements[0];
    const line = positionIn(file.file, file.source, next?.from ?? file.source.length).line;
    const texts = standing.map(({ from, to }) => oneLine(file.source.slice(from, to), 50));
    return `Applied and kept: ${standing.length} ${standing.length === 1 ? 'statement' : 'statements'} before line ${line} (${texts.join('; ')}). The file is not recorded; correct it from line ${line} on, and the next run goes on there.`;
}

;// CONCATENATED MODULE: ./compiled/src/database/apply/server-notices.js

/** Told of one file; the rest is counted. */
const server_notices_MOST = 10;
/** The longest that one is told, in characters. */
const LONGEST = 300;
function noticeBook() {
    const files = new Map();
    return {
        note(file, from, notice) {
            const message = textOf(notice, file.source);
            if (message === undefined)
                return;
            const noted = files.get(file) ?? new Map();
            files.set(file, noted);
            if (noted.has(message))
                return;
            noted.set(message, {
                warning: notice.severity === 'WARNING',
                problem: { message: `the server says: ${message}`, at: positionIn(file.file, file.source, from) },
            });
        },
        tell(log) {
            for (const [file, noted] of files) {
                const all = [...noted.values()];
                for (const { warning, problem } of all.slice(0, server_notices_MOST))
                    log({ kind: warning ? 'warning' : 'notice', problem });
                if (all.length > server_notices_MOST)
                    log({
                        kind: 'notice',
                        problem: { message: `${file.file}: the server says ${all.length - server_notices_MOST} more` },
                    });
            }
            files.clear();
        },
        forget: () => files.clear(),
    };
}
/** Where a text is put together by a program, values of rows may be in it. */
const RAISED = /^(?:exec_stmt_raise|PLy_output|do_util_elog|plv8_)/;
/** What is told of a notice; undefined of one that is no word to a person. What a program raises is told as it stands in the file. */
function textOf({ severity, message, routine = '' }, source) {
    if (severity !== 'WARNING' && severity !== 'NOTICE')
        return undefined;
    if (!RAISED.test(routine) || source.includes(message.replaceAll("'", "''")))
        return oneLine(message, LONGEST);
    const raised = formats(source).find((format) => isMadeOf(message, format));
    return raised === undefined
        ? 'a function or DO block raised a message, which may hold values of rows and is not shown'
        : oneLine(raised.replaceAll("''", "'").replaceAll('%', '…'), LONGEST);
}
function formats(source) {
    const raise = /\braise\s+(?:notice|warning)\s+'((?:[^']|'')*)'/gi;
    return [...source.matchAll(raise)].map(([, format = '']) => format);
}
/** True where a message may be this format with values in the place of its percent signs. */
function isMadeOf(message, format) {
    let index = 0;
    const parts = format.replaceAll("''", "'").split('%');
    for (const [number, part] of parts.entries()) {
        const found = number === 0 ? (message.startsWith(part) ? 0 : -1) : message.indexOf(part, index);
        if (found === -1)
            return false;
        index = found + part.length;
    }
    return message.endsWith(parts[parts.length - 1] ?? '');
}

;// CONCATENATED MODULE: ./compiled/src/database/apply/preflight.js





const PREFIX = `do $muva$begin raise exception using errcode = '${CODES.parsed}'; end$muva$;\n`;
const BETWEEN = '\n;\n';
/**
 * Lets the server parse every file without running anything: it parses a whole message before it runs the first
 * statement, and the first statement raises. All files go in one message; only a broken one costs another.
 */
async function preflight(database, files, options) {
    const problems = [];
    // A file that the local parser doubts may hold an open quote that would swallow its neighbours: it goes alone.
    for (const file of files.filter((each) => each.shape.doubt)) {
        const wrong = await parseAtServer(database, [file], options);
        if (wrong)
            problems.push(wrong.problem);
    }
    let rest = files.filter((file) => !file.shape.doubt);
    while (rest.length > 0) {
        const wrong = await parseAtServer(database, rest, options);
        if (!wrong)
            break;
        problems.push(wrong.problem);
        rest = rest.filter((file) => file !== wrong.file);
    }
    return problems;
}
async function parseAtServer(database, files, options) {
    const message = PREFIX + files.map((file) => file.shape.source).join(BETWEEN);
    try {
        await retryRead(options.signal, () => database.send(message, options));
    }
    catch (error) {
        if (!(error instanceof SqlError))
            throw error;
        if (error.code === CODES.parsed)
            return undefined;
        return blame(message, files, error);
    }
    throw new Error('the preflight message ran: the server did not stop at its first statement');
}
function blame(message, files, error) {
    const index = indexOfCodePoint(message, error.position ?? 1);
    let from = PREFIX.length;
    let found = files[0];
    let start = from;
    for (const file of files) {
        if (index < from)
            break;
        found = file;
        start = from;
        from += file.shape.source.length + BETWEEN.length;
    }
    return {
        file: found,
        problem: {
            ...sqlProblem(error, 'Correct the file; nothing was applied.'),
            at: positionIn(found.file, found.source, index - start),
        },
    };
}

;// CONCATENATED MODULE: ./compiled/src/database/migrations/own-timeouts.js

/**
 * The statements of a file that sets statement_timeout itself, as they have to reach the server: a time-out counts from
 * the beginning of a statement that the server is sent, so what follows such a SET is sent statement by statement, and
 * together again where the file has turned the time-out off. Undefined where no SET has anything behind it.
 */
function timedGroups(statements) {
    const groups = [[]];
    let limited = false;
    for (const statement of statements) {
        const last = groups[groups.length - 1];
        const before = last[last.length - 1];
        if (before && (limited || ownTimeout(before) !== undefined))
            groups.push([statement]);
        else
            last.push(statement);
        const own = ownTimeout(statement);
        if (own !== undefined)
            limited = own === 'limited';
    }
    return groups.length > 1 ? groups : undefined;
}
/** What a statement makes of the time-out that statements have; undefined where it does not set it. */
function ownTimeout({ kind, node }) {
    if (kind === 'VariableSetStmt') {
        if (String(node.name).toLowerCase() !== 'statement_timeout')
            return undefined;
        // Without a value it is the role's own again.
        return isZero(node.args?.[0]) ? 'off' : 'limited';
    }
    if (kind !== 'SelectStmt')
        return undefined;
    const call = setConfigs(node).find((each) => each?.name?.toLowerCase() === 'statement_timeout');
    if (call === undefined)
        return undefined;
    return call.value !== undefined && ZERO.test(call.value) ? 'off' : 'limited';
}
const ZERO = /^\s*0+(?:\.0*)?\s*(?:us|ms|s|min|h|d)?\s*$/;
function isZero(expression) {
    const text = constantText(expression);
    if (text !== undefined)
        return ZERO.test(text);
    const { ival } = (expression?.A_Const ?? {});
    return ival !== undefined && (ival.ival ?? 0) === 0;
}

;// CONCATENATED MODULE: ./compiled/src/database/migrations/partitioned.js
/**
 * What a REINDEX or CLUSTER names: no transaction can hold it where that is partitioned, which its text does not tell.
 * Undefined for every other statement.
 */
function askedRelation({ kind, node }) {
    const asked = kind === 'ClusterStmt' || (kind === 'ReindexStmt' && /_(?:TABLE|INDEX)$/.test(String(node.kind)));
    return asked && node.relation !== undefined ? nameOf(node.relation) : undefined;
}
/** The relations whose kind decides how these statements run: those that are named, and what named indexes stand on. */
function relationsToAsk(statements) {
    const asked = statements.flatMap((statement) => askedRelation(statement) ?? []);
    if (asked.length === 0)
        return [];
    return [
        ...asked,
        ...statements.flatMap(({ kind, node }) => (kind === 'IndexStmt' ? nameOf(node.relation) : [])),
    ];
}
/** Whether a relation is partitioned: one of `there`, or made so by these statements. */
function isPartitioned(there, statements) {
    const found = [...there];
    const holds = (relation) => found.some((each) => mayBe(each, relation));
    for (const { kind, node } of statements) {
        if (kind === 'CreateStmt' && node.partspec !== undefined)
            found.push(nameOf(node.relation));
        if (kind === 'IndexStmt' && node.idxname !== undefined && holds(nameOf(node.relation)))
            found.push({ schema: nameOf(node.relation).schema, name: String(node.idxname) });
    }
    return holds;
}
function mayBe(one, other) {
    return (one.name === other.name &&
        (one.schema === undefined || other.schema === undefined || one.schema === other.schema));
}
function nameOf(relation) {
    const { schemaname, relname } = (relation ?? {});
    return { schema: schemaname === undefined ? undefined : String(schemaname), name: String(relname) };
}

;// CONCATENATED MODULE: ./compiled/src/database/migrations/psql-commands.js

/** Finds psql's commands in a file. Only SQL's lexical rules are needed for it: quotes, dollar quotes, comments. */
function psqlCommands(source) {
    if (!source.includes('\\'))
        return [];
    const commands = [];
    for (let index = 0; index < source.length;) {
        if (source[index] === '\\') {
            const newline = source.indexOf('\n', index);
            const to = newline === -1 ? source.length : newline;
            const name = /^\\\S*/.exec(source.slice(index, Math.min(to, index + 40)))[0];
            commands.push({ name, from: index, to, harmless: /^\\(un)?restrict$/.test(name) });
            index = to;
        }
        else
            index = afterToken(source, index);
    }
    return commands;
}

;// CONCATENATED MODULE: ./compiled/src/database/migrations/session-state.js

const session_state_NEXT = 'Put what belongs together into one part of the file, or into a file of its own.';
/**
 * A file that is run in parts leaves its session's settings after each part as they were. What the file sets for its
 * session is therefore noted in each later part, to be set again. What cannot be made again (temporary tables,
 * prepared statements, cursors) binds the parts to one session where a later one counts on it.
 */
function carryOver(segments) {
    const wrong = [];
    const bound = [];
    const sessionSetup = [];
    let made = [];
    segments.forEach((segment, part) => {
        segment.sessionSetup = [...sessionSetup];
        for (const statement of segment.statements) {
            const lost = made.find((own) => own.part < part && countsOn(statement, own));
            if (lost)
                bound.push({
                    index: statement.from,
                    message: `${lost.what} ${lost.name} does not last until here: the file is committed in parts, and they do not share a session`,
                    next: session_state_NEXT,
                    made: lost.part,
                    used: part,
                });
            const effect = effectOf(statement);
            if (effect === 'set')
                sessionSetup.push(statement);
            if (effect === 'cleared')
                sessionSetup.length = 0;
            if (effect === 'unclear' && part < segments.length - 1)
                wrong.push({
                    index: statement.from,
                    message: 'what set_config sets here is lost in the parts of the file that follow',
                    next: `Write it with SET, or with constants and alone in its SELECT. Or: ${session_state_NEXT}`,
                });
            const making = makes(statement);
            made = made.filter((own) => !drops(statement, own) && !(making && isSameObject(own, making)));
            if (making)
                made.push({ ...making, part });
        }
    });
    return { wrong, lost: bound };
}
/**
 * Whether a statement sets something for its session; `unclear`: it does, but cannot simply be repeated; `cleared`:
 * nothing that was set is left.
 */
function effectOf({ kind, node }) {
    if (kind === 'DiscardStmt' && node.target === 'DISCARD_ALL')
        return 'cleared';
    if (kind === 'VariableSetStmt') {
        // What ends with a transaction ends with its part.
        const passing = node.is_local === true || /^TRANSACTION/.test(String(node.name));
        return passing ? undefined : 'set';
    }
    if (kind !== 'SelectStmt')
        return undefined;
    const calls = setConfigs(node);
    if (!calls.some((call) => call && !call.local))
        return undefined;
    const constant = calls.every((call) => call?.name !== undefined && call.value !== undefined);
    return constant && node.fromClause === undefined ? 'set' : 'unclear';
}
function isSameObject(one, other) {
    return one.what === other.what && one.name === other.name;
}
function makes({ kind, node }) {
    if (kind === 'PrepareStmt')
        return { what: 'the prepared statement', name: String(node.name) };
    if (kind === 'DeclareCursorStmt')
        return { what: 'the cursor', name: String(node.portalname) };
    if (kind === 'CreateFunctionStmt' && strings(node.funcname)[0] === 'pg_temp')
        return { what: 'the function', name: strings(node.funcname).join('.') };
    const relation = madeRelation(kind, node);
    return relation && isTemporary(relation)
        ? { what: 'the temporary relation', name: String(relation.relname) }
        : undefined;
}
function drops({ kind, node }, { what, name }) {
    if (kind === 'DeallocateStmt')
        return what === 'the prepared statement' && node.name === name;
    if (kind === 'ClosePortalStmt')
        return what === 'the cursor' && node.portalname === name;
    // A name without its schema may be the session's own.
    const own = ([schema, ...rest]) => rest.length === 0 ? schema === name : schema === 'pg_temp' && rest[0] === name;
    return kind === 'DropStmt' && what === 'the temporary relation' && droppedNames(node).some(own);
}
function countsOn(statement, own) {
    const { what, name } = own;
    const making = makes(statement);
    // Made anew it is another one; but IF NOT EXISTS takes the one before.
    if (making && isSameObject(making, own) && statement.node.if_not_exists !== true)
        return false;
    if (drops(statement, own))
        return true;
    for (const node of nodesOf({ [statement.kind]: statement.node })) {
        switch (what) {
            case 'the prepared statement':
                if (node.ExecuteStmt?.name === name)
                    return true;
                break;
            case 'the cursor':
                if (node.FetchStmt?.portalname === name)
                    return true;
                break;
            case 'the function':
                if (strings(node.FuncCall?.funcname).join('.') === name)
                    return true;
                break;
            case 'the temporary relation':
                if (node.relname === name && (node.schemaname ?? 'pg_temp') === 'pg_temp')
                    return true;
                // nextval takes a name as text, and the body of a DO block is text.
                if (constantText(node) === name)
                    return true;
                if (statement.kind === 'DoStmt' && mentions(String(node.sval ?? ''), name))
                    return true;
        }
    }
    return false;
}
function mentions(body, name) {
    return body
        .toLowerCase()
        .split(/[^\p{L}\p{N}_$]+/u)
        .includes(name.toLowerCase());
}

;// CONCATENATED MODULE: ./compiled/src/database/migrations/strange-characters.js



/** Blanks of Unicode, and characters of no width: PostgreSQL takes each for a letter. */
const STRANGE = /[\u00a0\u00ad\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff]/u;
/** Names the first of these characters that stands in a word outside of quotes and comments. */
function strangeCharacter(file, source) {
    if (!STRANGE.test(source))
        return undefined;
    for (let index = 0; index < source.length;) {
        const next = afterToken(source, index);
        const token = source.slice(index, next);
        const found = /^['"$/-]|^[eE]'/.test(token) ? undefined : STRANGE.exec(token);
        if (found)
            return {
                message: `${(0,lib_invisible/* codePoint */.y)(found[0])} stands here, which looks like a blank or like nothing and which PostgreSQL takes for a letter`,
                at: positionIn(file, source, index + found.index),
                next: 'Type the place anew, with plain blanks.',
            };
        index = next;
    }
    return undefined;
}

;// CONCATENATED MODULE: ./compiled/src/database/migrations/transaction-control.js


const SAVEPOINTS = new Set(['TRANS_STMT_SAVEPOINT', 'TRANS_STMT_RELEASE', 'TRANS_STMT_ROLLBACK_TO']);
const BEGINS = new Set(['TRANS_STMT_BEGIN', 'TRANS_STMT_START']);
/**
 * Reads a file's own transactions as psql and the Supabase CLI do: a COMMIT commits what stands before it, with or
 * without a BEGIN, and what stands between two pairs belongs to the second, as in the CLI, which sends a file as one
 * message. What would undo a part, or leave it open, is a problem.
 */
function readTransactions(source, statements, at) {
    const found = { parts: [], control: [], notices: [], problems: [] };
    let part = { statements: [], end: 0 };
    let open;
    const warn = (statement, message, next) => {
        found.notices.push({ message, at: at(statement.from), next });
    };
    const refuse = (statement, message, next) => {
        found.problems.push({ message, at: at(statement.from), next });
    };
    for (const statement of statements) {
        const kind = statement.kind === 'TransactionStmt' ? String(statement.node.kind) : '';
        const isolation = isolationOf(statement);
        if (BEGINS.has(kind) || isolation !== undefined) {
            found.control.push(statement);
            if (BEGINS.has(kind) && open)
                warn(statement, 'BEGIN inside a transaction does nothing', 'Remove it.');
            else if (isolation !== undefined && !part.statements.every(isSetting))
                refuse(statement, 'the isolation level is set behind the first statement of its transaction', 'PostgreSQL allows that only before any query: put it, or a COMMIT before it.');
            else if (isolation !== undefined)
                part.isolation = isolation;
            if (BEGINS.has(kind))
                open ??= statement;
        }
        else if (kind === 'TRANS_STMT_COMMIT' && statement.node.chain !== true) {
            found.control.push(statement);
            if (!open)
                warn(statement, 'COMMIT without BEGIN commits what stands before it in the file', 'Where that is not meant, remove it.');
            open = undefined;
            // Where nothing stands before it, there is nothing to commit.
            if (part.statements.length > 0)
                found.parts.push({ ...part, end: statement.to });
            part = { statements: [], end: 0 };
        }
        else if (kind === '' || SAVEPOINTS.has(kind)) {
            part.statements.push(statement);
            part.end = statement.to;
        }
        else
            refuse(statement, `${oneLine(source.slice(statement.from, statement.to)).toUpperCase()} would end the transaction in the middle of the file`, 'Remove it: what a file does is committed, by its own COMMITs or at its end.');
    }
    if (open)
        refuse(open, 'BEGIN without COMMIT', 'Remove it, or add the COMMIT: nothing ends that transaction.');
    if (part.statements.length > 0)
        found.parts.push(part);
    return found;
}
/** The level that a BEGIN, START TRANSACTION or SET TRANSACTION asks for. */
function isolationOf({ kind, node }) {
    const setsTransaction = kind === 'VariableSetStmt' && node.name === 'TRANSACTION';
    if (kind !== 'TransactionStmt' && !setsTransaction)
        return undefined;
    const options = ((setsTransaction ? node.args : node.options) ?? []);
    const level = options.find(({ DefElem: option }) => option?.defname === 'transaction_isolation');
    return constantText(level?.DefElem?.arg);
}
/** Only settings may stand before the isolation level of a transaction. */
function isSetting({ kind }) {
    return kind === 'VariableSetStmt';
}

;// CONCATENATED MODULE: ./compiled/src/database/migrations/classify.js











/** Above this size the one-statement form takes too much of the server's memory (about 30 times the file). */
const LARGEST_TOGETHER = 8 * 1024 * 1024;
/** Finds out how a file must be run, and all that speaks against running it. Reads nothing but the text. */
function classify(file, text, parse, { stands, partitioned } = {}) {
    const shape = {
        mode: 'together',
        source: text,
        segments: [],
        standing: 0,
        transactions: 1,
        sessionBound: [],
        notices: [],
        problems: [],
    };
    const at = (index) => positionIn(file, text, index);
    for (const command of psqlCommands(text)) {
        if (command.harmless)
            shape.source = blank(shape.source, command.from, command.to);
        else
            shape.problems.push({
                message: `${command.name} is a command of psql, not SQL`,
                at: at(command.from),
                next: 'Remove the line; a migration is run by the server, not by psql.',
            });
    }
    const section = sectionOfOtherTool(file, text);
    if (section)
        shape.problems.push(section);
    const strange = strangeCharacter(file, text);
    const parsed = parse(shape.source);
    if ('tooLarge' in parsed) {
        shape.problems.push({
            message: `${file} is too large to be parsed (${formatBytes(Buffer.byteLength(text))})`,
            at: { file, line: 1, column: 1 },
            next: 'Split it into files of at most 16 MB. Rows that are no part of the schema are better loaded by a job of their own.',
        });
        return shape;
    }
    if (parsed.wrong && strange) {
        shape.problems.push(strange);
        return shape;
    }
    if (strange)
        shape.notices.push(strange);
    if (parsed.wrong) {
        const copy = copyFromStdin(shape.source, parsed, parse);
        if (copy !== undefined) {
            // What follows is data: a backslash in it is no command.
            const line = at(copy).line;
            shape.problems = shape.problems.filter((problem) => (problem.at?.line ?? 0) < line);
            refuseCopy(shape, at(copy));
        }
        else if (shape.problems.length === 0)
            shape.doubt = { message: parsed.wrong.message, code: '42601', at: at(parsed.wrong.index) };
        return withSize(shape);
    }
    shape.statements = parsed.statements;
    for (const statement of parsed.statements) {
        if (statement.kind === 'CopyStmt')
            checkCopy(shape, statement, at(statement.from));
        const asked = partitioned && askedRelation(statement);
        if (asked && partitioned(asked))
            statement.partitioned = true;
    }
    const { parts, control, notices, problems } = readTransactions(text, parsed.statements, at);
    shape.problems.push(...problems);
    shape.notices.push(...notices);
    for (const { from, to } of control)
        shape.source = blank(shape.source, from, to);
    shape.statements = parts.flatMap(({ statements }) => statements);
    shape.transactions = Math.max(1, parts.length);
    const timed = /statement_timeout/i.test(text) ? timedGroups(shape.statements) : undefined;
    if (timed)
        shape.timed = timed;
    chooseMode(shape, { parts, control, at, stands });
    if (shape.statements.length === 0)
        shape.notices.push({
            message: `${file} holds no statement: it is recorded, and nothing is run`,
            at: { file, line: 1, column: 1 },
        });
    return withSize(shape);
}
function withSize(shape) {
    if (shape.mode === 'together' && Buffer.byteLength(shape.source) > LARGEST_TOGETHER) {
        shape.mode = 'explicit';
        shape.why = 'it is larger than 8 MiB';
    }
    return shape;
}
/** The data lines after COPY FROM STDIN are no SQL, so the parser stops right behind it. */
function copyFromStdin(source, parsed, parse) {
    if (!parsed.wrong)
        return undefined;
    const before = source.lastIndexOf(';', parsed.wrong.index);
    if (before === -1)
        return undefined;
    const statements = parse(source.slice(0, before + 1)).statements;
    const last = statements?.[statements.length - 1];
    return last?.kind === 'CopyStmt' && isStandardStream(last.node) ? last.from : undefined;
}
function isStandardStream(copy) {
    return copy.filename === undefined && copy.is_program !== true;
}
function refuseCopy(shape, at) {
    shape.problems.push({
        message: 'COPY FROM STDIN needs a client that sends the data',
        at,
        next: 'Write the rows as INSERT (pg_dump --inserts does).',
    });
}
function checkCopy(shape, statement, at) {
    if (!isStandardStream(statement.node))
        return;
    if (statement.node.is_from === true)
        refuseCopy(shape, at);
    else
        shape.problems.push({
            message: 'COPY TO STDOUT would print rows into the log',
            at,
            next: 'Remove the statement.',
        });
}
function chooseMode(shape, cut) {
    const statements = shape.statements ?? [];
    const why = whyInParts(cut);
    if (why !== undefined) {
        shape.mode = 'outside';
        shape.why = why;
        shape.segments = cutIntoSegments(shape, cut);
        shape.standing = shape.segments.filter(({ end }) => end <= (cut.stands ?? 0)).length;
        const { wrong, lost } = carryOver(shape.segments);
        for (const { index, message, next } of wrong)
            shape.problems.push({ message, at: cut.at(index), next });
        shape.sessionBound = lost.map(({ index, message, next, made, used }) => ({
            problem: { message, at: cut.at(index), next },
            made,
            used,
        }));
        for (const segment of shape.timed ? shape.segments : [])
            segment.timed = [...segment.sessionSetup, ...segment.statements].some((each) => ownTimeout(each) !== undefined);
        tellParts(shape, cut);
        return;
    }
    if (cut.control.length > 0 && shape.problems.length === 0)
        shape.notices.push({
            message: 'its own BEGIN and COMMIT are left out: the file is one transaction anyway',
            at: cut.at(cut.control[0].from),
        });
    const explicit = statements.flatMap((statement) => whyExplicit(statement) ?? []);
    if (explicit.length > 0) {
        shape.mode = 'explicit';
        shape.why = explicit[0];
    }
    if (statements.some((statement) => statement.kind === 'AlterEnumStmt' &&
        statement.node.newVal !== undefined &&
        statement.node.oldVal === undefined))
        shape.endsBatch = 'a value added to an enum can be used only after the commit';
}
/** Why a file is not one transaction among others; undefined where it is. */
function whyInParts({ parts, stands }) {
    const lone = parts.flatMap(({ statements }) => statements.flatMap((each) => whyNonTransactional(each) ?? []));
    if (lone.length > 0)
        return `${lone[0]} cannot run in a transaction`;
    if (parts.length > 1)
        return 'its own COMMITs commit it in parts';
    const isolation = parts.find((part) => part.isolation !== undefined)?.isolation;
    if (isolation !== undefined)
        return `it asks for isolation level ${isolation}`;
    return stands === undefined ? undefined : 'it was begun in parts';
}
/** What cannot run in a transaction alone, the rest of each part together; never across what stands already. */
function cutIntoSegments({ source }, { parts, stands = 0 }) {
    return parts.flatMap(({ statements, end, isolation }) => {
        const segments = [];
        for (const statement of statements) {
            const last = segments[segments.length - 1];
            const alone = whyNonTransactional(statement) !== undefined;
            const apart = alone || !last || last.alone || (last.end <= stands && statement.from >= stands);
            if (apart)
                segments.push({
                    alone,
                    explicit: false,
                    timed: false,
                    statements: [statement],
                    sessionSetup: [],
                    end: statement.to,
                    ...(isolation === undefined || alone ? {} : { isolation }),
                });
            else {
                last.statements.push(statement);
                last.end = statement.to;
            }
        }
        for (const segment of segments) {
            const text = source.slice(segment.statements[0].from, segment.end);
            segment.explicit =
                segment.statements.some((each) => whyExplicit(each) !== undefined) ||
                    (!segment.alone && Buffer.byteLength(text) > LARGEST_TOGETHER);
        }
        segments[segments.length - 1].end = end;
        return segments;
    });
}
/** Says that the run is not all or nothing, and where the file is cut. */
function tellParts(shape, { parts, control, at }) {
    const lone = (shape.statements ?? []).find((statement) => whyNonTransactional(statement) !== undefined);
    if (lone && shape.segments.length > 1)
        shape.notices.push({
            message: `${whyNonTransactional(lone)} cannot run in a transaction: what stands before and after it in the file is committed on its own`,
            at: at(lone.from),
            next: 'A file of its own for this statement keeps the rest of the file all or nothing.',
        });
    if (parts.length > 1) {
        const commits = parts.slice(0, -1).map(({ end }) => control.find(({ to }) => to === end)?.from ?? end);
        const lines = commits.map((index) => at(index).line);
        shape.notices.push({
            message: `its own ${lines.length === 1 ? 'COMMIT in line' : 'COMMITs in lines'} ${(0,shorten_list/* shortenList */.Y)(lines.map(String), 10)} ${lines.length === 1 ? 'commits' : 'commit'} it in ${parts.length} parts, as in psql: this deploy is not all or nothing`,
            at: at(commits[0]),
            next: 'A failure behind a COMMIT keeps what stands before it, and the next run goes on there.',
        });
    }
}
/** What a DO block cannot hold, so that the statement stands in the message itself. */
function whyExplicit({ kind, node }) {
    if (kind === 'TransactionStmt')
        return 'it uses SAVEPOINT';
    return kind === 'SelectStmt' && hasInto(node) ? 'it uses SELECT INTO' : undefined;
}
/** In a UNION the INTO stands in its first SELECT. */
function hasInto({ intoClause, larg }) {
    return intoClause !== undefined || (larg !== undefined && hasInto(larg));
}

;// CONCATENATED MODULE: ./compiled/src/database/sql/parser.js


/** A shorter text that cannot be parsed is a fault of the parser. */
const LARGEST_FAULT = 1024 * 1024;
/**
 * PostgreSQL's real parser, as WebAssembly. Loaded only when something is pending: it takes 30 ms to start and more
 * to leave, because V8 would compile all of it again in the background and wait for that at exit; the flag forbids it.
 */
async function loadParser() {
    const { setFlagsFromString } = await Promise.resolve(/* import() */).then(__nccwpck_require__.t.bind(__nccwpck_require__, 8877, 23));
    setFlagsFromString('--wasm-tiering-budget=2000000000');
    const library = await __nccwpck_require__.e(/* import() */ 107).then(__nccwpck_require__.t.bind(__nccwpck_require__, 1107, 23));
    await library.loadModule();
    return (source) => {
        // The library takes no empty text, and none that holds a NUL.
        if (source.trim() === '')
            return { statements: [] };
        const { exitCode } = process;
        try {
            const tree = library.parseSync(source);
            return { statements: placed(source, tree.stmts ?? []) };
        }
        catch (error) {
            // Where its memory ends, the library sets the exit code of the whole process.
            process.exitCode = exitCode;
            const details = error.sqlDetails;
            // Out of memory, it says so, ends itself or gives nothing; texts of another size can be parsed all the same.
            if (!details || details.message === 'out of memory') {
                if (source.length < LARGEST_FAULT)
                    throw error;
                return { tooLarge: true };
            }
            return {
                wrong: { message: details.message, index: indexOfCodePoint(source, details.cursorPosition + 1) },
            };
        }
    };
}
function placed(source, raw) {
    const toIndex = byteToIndex(source);
    return raw.map(({ stmt = {}, stmt_location = 0, stmt_len = 0 }) => {
        const [kind = '', node = {}] = Object.entries(stmt)[0] ?? [];
        const start = toIndex(stmt_location);
        // No length means: to the end of the text.
        const to = stmt_len === 0 ? source.length : toIndex(stmt_location + stmt_len);
        return { kind, node, from: skipBlanks(source, start), to };
    });
}

;// CONCATENATED MODULE: ./compiled/src/database/classify-files.js









/** Finds out how each of these files must be run. */
async function classifyAll(due, { partials = [], catalog }) {
    const parse = await loadParser();
    const planned = due.map((file) => {
        const partial = partials.find(({ version }) => version === file.version);
        const stands = partial && standsUpTo(file.source, partial);
        const begun = (0,defined_only/* definedOnly */.U)({ stands });
        return { ...file, begun, shape: classify(file.file, file.source, parse, begun) };
    });
    const statements = planned.flatMap(({ shape }) => shape.statements ?? []);
    const names = relationsToAsk(statements).map(({ name }) => name);
    const moved = statements.filter((statement) => nonTransactional(statement) === 'move-database');
    // Asked of hardly any deploy, so it is a message of its own.
    const found = names.length + moved.length > 0 ? await catalog?.(names) : undefined;
    const partitioned = isPartitioned(found?.partitioned ?? [], statements);
    return planned.map(({ begun, ...file }) => {
        const own = file.shape.statements ?? [];
        if (own.some((statement) => partitioned(askedRelation(statement) ?? NOTHING)))
            file.shape = classify(file.file, file.source, parse, { ...begun, partitioned });
        for (const statement of own)
            if (moved.includes(statement) && statement.node.dbname === found?.database)
                file.shape.problems.push({
                    message: 'PostgreSQL moves no database to another tablespace from within',
                    at: positionIn(file.file, file.source, statement.from),
                    next: 'Remove the statement, and run it from another database.',
                });
        return file;
    });
}
const NOTHING = { schema: undefined, name: '' };
async function askCatalog(database, names, sending) {
    const message = `select json_build_object('database', current_database(), 'partitioned', array(
    select json_build_object('schema', nspname, 'name', relname) from pg_class c join pg_namespace n on n.oid = relnamespace
    where relkind in ('p', 'I') and relname = any (${textArray(names)})))::text as catalog`;
    const answer = jsonField(await database.send(message, sending), 'catalog');
    if (!answer)
        throw new Error('the look at the catalog gave no row');
    return answer;
}

;// CONCATENATED MODULE: ./compiled/src/database/sql/statement-kind.js

/** Words that say what a statement does, and can be no name or value where they stand. */
const VERBS = new Set(`ALTER ANALYZE CALL CLUSTER COMMENT COMMIT COPY CREATE DELETE DO DROP EXECUTE GRANT INSERT LOCK MERGE NOTIFY PREPARE
  REFRESH REINDEX RESET REVOKE ROLLBACK SECURITY SELECT SET TRUNCATE UPDATE VACUUM VALUES WITH BEGIN`.split(/\s+/));
/** Behind CREATE, ALTER and DROP: what kind of object it is, with the words that may stand before. */
const OBJECTS = new Set(`ACCESS AGGREGATE CAST COLLATION CONVERSION DATABASE DEFAULT DOMAIN EVENT EXTENSION FOREIGN FUNCTION GLOBAL INDEX
  LANGUAGE LOCAL MATERIALIZED OPERATOR POLICY PRIVILEGES PROCEDURE PUBLICATION RECURSIVE ROLE ROUTINE RULE SCHEMA
  SEQUENCE SERVER STATISTICS SUBSCRIPTION SYSTEM TABLE TABLESPACE TEMP TEMPORARY TRIGGER TYPE UNIQUE UNLOGGED USER VIEW
  WRAPPER`.split(/\s+/));
/**
 * The kind of a statement in its own first words, such as CREATE UNIQUE INDEX; undefined where they are none that is
 * known. Holds nothing else of its text, so that it may be told where the text may not.
 */
function statementKind(text) {
    const words = [];
    for (let index = skipBlanks(text, 0); index < text.length;) {
        const next = afterToken(text, index);
        const word = text.slice(index, next).toUpperCase();
        if (words.length === 0) {
            if (!VERBS.has(word))
                return undefined;
            words.push(word);
            if (!/^(CREATE|ALTER|DROP)$/.test(word))
                break;
        }
        else if (OBJECTS.has(word))
            words.push(word);
        // CREATE OR REPLACE is the same kind.
        else if (!(words.length === 1 && (word === 'OR' || word === 'REPLACE')))
            break;
        index = skipBlanks(text, next);
    }
    return words.join(' ') || undefined;
}

;// CONCATENATED MODULE: ./compiled/src/database/history/edited-files.js










/** Statements are compared for this many edited files; for the others it is said only that they were edited. */
const COMPARED = 20;
/**
 * Names, for each applied file that has changed since, the first statement that differs from what was recorded. What
 * was recorded may hold the secret that was taken out of the file: its text never leaves the database, only hashes do.
 */
async function editedProblems(database, edited, rule, sending) {
    if (edited.length === 0 || rule === 'allow')
        return [];
    const versions = textArray(edited.slice(0, COMPARED).map((file) => file.version));
    const message = `select coalesce(json_object_agg(version, array(
    select ${textHashSql('s')} from unnest(statements) with ordinality u(s, n) order by n)), '{}')::text as recorded
    from ${HISTORY_TABLE} where version = any (${versions})`;
    const results = await retryRead(sending.signal, () => database.send(message, sending));
    const recorded = jsonField(results, 'recorded') ?? {};
    return edited.map((file) => {
        const hashes = recorded[file.version];
        const { at, words } = hashes
            ? firstDifference(file, hashes)
            : { at: positionIn(file.file, file.source, 0), words: '' };
        return {
            message: `${(0,external_node_path_.basename)(file.file)} was edited after it was applied${words}`,
            at,
            next: 'The edit does not reach this database: put the file back, and make the change in a new migration.',
        };
    });
}
/** Where the file first says something else than what was recorded; white space and semicolons do not count. */
function firstDifference(file, recorded) {
    let index = 0;
    const statements = splitAsCli(file.source);
    for (const [number, statement] of statements.entries()) {
        const from = file.source.indexOf(statement, index);
        if (recorded[number] !== textHash(statement)) {
            const kind = statementKind(statement);
            const which = `its statement ${number + 1}${kind === undefined ? '' : ` (${kind})`}`;
            const how = recorded[number] === undefined ? 'was not recorded' : 'is not the one that was recorded';
            return {
                // Comments before a statement belong to it, as the CLI has it.
                at: positionIn(file.file, file.source, skipBlanks(file.source, from)),
                words: `: ${which} ${how}`,
            };
        }
        index = from + statement.length;
    }
    return {
        at: positionIn(file.file, file.source, index),
        words: `: ${recorded.length} ${recorded.length === 1 ? 'statement was' : 'statements were'} recorded, and it has ${statements.length}`,
    };
}

;// CONCATENATED MODULE: ./compiled/src/database/history/same-version.js




/** Whether a file says something else than what was recorded; false where nothing tells. */
function isEdited(file, row) {
    // The text decides, not the bytes: a checkout with other line endings is no edit.
    if (row.textHash !== null)
        return !hasText(file, row.textHash);
    return row.checksum !== null && row.checksum !== file.checksum;
}
/** The text as a whole, or as it is recorded statement by statement. */
function hasText({ source }, hash) {
    return hash === textHash(source) || hash === textHash(splitAsCli(source).join('\n'));
}
/**
 * Why a file whose version is recorded was never run: under that version another one was, as when two branches took
 * the same time stamp. Undefined where it was run, also where it has only been renamed since.
 */
function neverRun(file, row) {
    if (!row.name || row.name === file.name)
        return undefined;
    const known = row.textHash !== null || row.checksum !== null;
    if (known && !isEdited(file, row))
        return undefined;
    return {
        message: `${(0,external_node_path_.basename)(file.file)} was never run: version ${file.version} is recorded as ${titleOf(row)}`,
        at: { file: file.file, line: 1, column: 1 },
        next: `Give ${(0,external_node_path_.basename)(file.file)} a later version, so that it runs. Where it is ${titleOf(row)} under another name, and the database is as it says: supabase migration repair --status applied ${file.version}.`,
    };
}

;// CONCATENATED MODULE: ./compiled/src/database/history/missing-files.js










/** So many versions without a file are looked for in the files that are there. */
const LOOKED_FOR = 50;
/**
 * What there is to say of recorded versions that have no file: where the text of one stands in another file, that it
 * was renumbered or squashed, and how the history is told. Texts never leave the database, only hashes do.
 */
async function missingProblem(database, missing, { files, recorded }, sending) {
    const alike = await likenesses(database, missing, files, sending);
    const rest = missing.filter((row) => !alike.some((each) => each.row === row));
    const told = alike.map(({ row, file, how }) => `${(0,external_node_path_.basename)(file.file)} holds ${how === 'renumbered' ? 'the text' : 'the statements'} of ${titleOf(row)}`);
    const applied = new Set(alike.map(({ file }) => file.version).filter((version) => !recorded.has(version)));
    const repair = [
        `supabase migration repair --status reverted ${alike.map(({ row }) => row.version).join(' ')}`,
        ...(applied.size > 0 ? [`supabase migration repair --status applied ${[...applied].join(' ')}`] : []),
    ].join(' && ');
    const next = [
        ...(alike.length > 0
            ? [`${(0,shorten_list/* shortenList */.Y)(told, 5)}: where it was renumbered or squashed, tell the history so: ${repair}.`]
            : []),
        ...(rest.length > 0
            ? [
                `Get the files${alike.length > 0 ? ` of ${(0,shorten_list/* shortenList */.Y)(rest.map(titleOf))}` : ''}: merge the branch that holds them, or run \`supabase migration fetch\`. Do not delete the rows: what they did is in the database. missing-migrations: warn goes on without them.`,
            ]
            : []),
    ];
    return {
        message: `${missing.length} applied ${missing.length === 1 ? 'version has' : 'versions have'} no file here: ${(0,shorten_list/* shortenList */.Y)(missing.map(titleOf), 10)}`,
        next: next.join(' '),
    };
}
async function likenesses(database, missing, files, sending) {
    const found = [];
    const rest = [];
    for (const row of missing.slice(0, LOOKED_FOR)) {
        const { textHash: hash } = row;
        const file = hash === null ? undefined : files.find((each) => hasText(each, hash));
        if (file)
            found.push({ row, file, how: 'renumbered' });
        else if (hash !== null)
            rest.push(row);
    }
    if (rest.length === 0)
        return found;
    const message = `select coalesce(json_object_agg(version, array(
    select ${textHashSql('s')} from unnest(statements) u(s))), '{}')::text as recorded
    from ${HISTORY_TABLE} where version = any (${textArray(rest.map(({ version }) => version))})`;
    const results = await retryRead(sending.signal, () => database.send(message, sending));
    const recorded = jsonField(results, 'recorded') ?? {};
    for (const file of files) {
        const hashes = new Set(splitAsCli(file.source).map(textHash));
        for (const row of rest) {
            const own = recorded[row.version] ?? [];
            const holds = own.length > 0 && own.every((hash) => hashes.has(hash));
            if (holds && !found.some((each) => each.row === row))
                found.push({ row, file, how: 'squashed' });
        }
    }
    return found;
}

// EXTERNAL MODULE: ./compiled/src/lib/empty-connection.js
var empty_connection = __nccwpck_require__(8727);
;// CONCATENATED MODULE: ./compiled/src/database/history/table-formats.js



/** Another version of the action is at home in this database: nothing may be undone by this one, the code neither. */
class OtherFormat extends Failure {
}
/** One problem for each of our tables that another version made, and that this one cannot read. Pure. */
function formatProblems(formats, known = DATABASE_FORMATS) {
    return OUR_TABLES.flatMap((table) => {
        if (!(table in formats))
            return [];
        const begin = `To go on without what it remembers (rollbacks of earlier runs, mostly): drop table ${table}; the next run makes it anew. The migration history is not touched by that.`;
        return formatProblem(`The table ${table}`, formats[table], known, begin) ?? [];
    });
}

;// CONCATENATED MODULE: ./compiled/src/database/history/pending-files.js







/** Compares files and history. `contract`: the files for after health are due too, so nothing is deferred. */
function choosePending(files, look, rules, identity, contract) {
    const present = new Set(files.map((file) => file.version));
    const result = {
        pending: [],
        deferred: [],
        baseline: [],
        edited: [],
        missing: look.recorded.filter((row) => !present.has(row.version)),
        warnings: [],
        refusals: [],
    };
    const recorded = new Map(look.recorded.map((row) => [row.version, row]));
    const counted = countedAsApplied(rules, recorded);
    for (const file of files) {
        const row = recorded.get(file.version);
        if (row) {
            const other = neverRun(file, row);
            if (other)
                result.refusals.push(other);
            else if (file.unreadable)
                result.warnings.push(file.unreadable);
            else if (isEdited(file, row))
                result.edited.push(file);
        }
        else if (counted(file.version))
            countAsApplied(file, result);
        else if (file.unreadable)
            result.refusals.push(file.unreadable);
        else if (result.deferred.length > 0 || (file.afterHealth && !contract))
            result.deferred.push(file);
        else
            result.pending.push(file);
    }
    result.refusals.push(...sameVersions([...result.pending, ...result.deferred]));
    result.refusals.push(...wrongMarkers([...result.pending, ...result.deferred]));
    result.refusals.push(...formatProblems(look.formats));
    checkEnvironment(look, identity, result);
    checkServer(look, identity, result);
    checkOrder(look, rules, result);
    checkBaseline(files, rules, result);
    if (rules.irreversibleMigrations === 'refuse')
        result.refusals.push(...irreversible([...result.pending, ...result.deferred]));
    checkRights(look, result);
    return result;
}
/** Nobody runs it any more, so what is wrong with it stops nothing; but a version is recorded once. */
function countAsApplied(file, { baseline, warnings }) {
    if (file.unreadable)
        warnings.push(file.unreadable);
    else if (baseline.some(({ version }) => version === file.version))
        warnings.push(...sameVersions([...baseline, file]));
    else
        baseline.push(file);
}
/** One problem for each file that has the version of one before it. */
function sameVersions(files) {
    const byVersion = new Map();
    return files.flatMap((file) => {
        const other = byVersion.get(file.version);
        byVersion.set(file.version, file);
        if (other === undefined)
            return [];
        return [
            {
                message: `${(0,external_node_path_.basename)(other.file)} and ${(0,external_node_path_.basename)(file.file)} have the same version ${file.version}`,
                at: { file: file.file, line: 1, column: 1 },
                next: 'Give one of them a later version; where one is applied already, rename the other.',
            },
        ];
    });
}
/**
 * Whether a version counts as applied by `baseline`. Only until the baseline itself is recorded: a file that comes
 * later with an older version was never run, also where the input still stands in the workflow.
 */
function countedAsApplied({ baseline }, recorded) {
    if (baseline === undefined || recorded.has(baseline))
        return () => false;
    return (version) => byBytes(version, baseline) <= 0;
}
function checkEnvironment(look, { environment, adoptEnvironment }, result) {
    if (look.environment === null || environment === undefined || look.environment === environment)
        return;
    if (adoptEnvironment)
        result.warnings.push({
            message: `this database was deployed to as "${look.environment}" and is now taken over as "${environment}"`,
        });
    else
        result.refusals.push({
            message: `this database belongs to the environment "${look.environment}", not "${environment}"`,
            next: 'Check the connection secrets of this environment. Where the name has really changed, say adopt-environment: true once.',
        });
}
/** A secret that is not set must not switch the server off silently. */
function checkServer({ withServer }, { environment, repository, serverMissing }, result) {
    if (!serverMissing || withServer === null || environment === undefined)
        return;
    if (withServer.environment !== environment || withServer.repository !== (repository ?? null))
        return;
    result.refusals.push((0,empty_connection/* emptyConnection */.c)('ssh-host', `The last deploy of "${environment}" to this database deployed to a server too. Set the secret, or say skip: vps.`));
}
function checkOrder(look, rules, result) {
    const newest = look.recorded[look.recorded.length - 1]?.version;
    if (newest === undefined || rules.includeAll)
        return;
    for (const file of [...result.pending, ...result.deferred]) {
        if (byBytes(file.version, newest) > 0)
            continue;
        const below = rules.baseline !== undefined && byBytes(file.version, rules.baseline) <= 0;
        result.refusals.push({
            message: `${(0,external_node_path_.basename)(file.file)} is older than ${newest}, which is applied already${below ? `; the baseline ${rules.baseline} is recorded, so nothing more counts into it` : ''}`,
            at: { file: file.file, line: 1, column: 1 },
            next: `Rename it to a newer version, or say include-all: true where it does not depend on the order.${below ? ` Where its changes are in the database already: supabase migration repair --status applied ${file.version}.` : ''}`,
        });
    }
}
function checkBaseline(files, rules, result) {
    const { baseline } = rules;
    if (baseline === undefined)
        return;
    if (!files.some((file) => file.version === baseline))
        result.refusals.push({
            message: `baseline: no migration file has the version ${baseline}`,
            next: 'Give the version of the newest file whose changes are in the database already.',
        });
    else if (result.baseline.length > 0)
        result.warnings.push({
            message: `${result.baseline.length} files up to ${baseline} are recorded as applied without being run (baseline)`,
        });
}
/** A comment that was meant to hold a file back must not be passed over. */
function wrongMarkers(files) {
    return files.flatMap((file) => file.wrongMarkers ?? []);
}
/** One problem for each file that has no down file. */
function irreversible(files) {
    return files
        .filter((file) => !file.down)
        .map(({ file }) => ({
        message: `${(0,external_node_path_.basename)(file)} has no down file`,
        at: { file, line: 1, column: 1 },
        next: `Add ${file.replace(/\.sql$/, '.down.sql')}, or leave out irreversible-migrations: refuse.`,
    }));
}
function checkRights(look, result) {
    const problem = rightsProblem(look);
    if (result.pending.length + result.deferred.length + result.baseline.length === 0) {
        // Nothing is to be written; but what cannot be seen was not compared either.
        if (problem && look.missingRights.some((right) => right.includes('row level security')))
            result.warnings.push(problem);
        return;
    }
    if (look.readOnly)
        result.refusals.push({
            message: 'this database is a read replica',
            code: '25006',
            next: 'Use the URL of the primary database.',
        });
    if (problem)
        result.refusals.push(problem);
}
function rightsProblem({ missingRights, role, owner }) {
    if (missingRights.length === 0)
        return undefined;
    return {
        message: `the role may not write the migration history: it lacks ${(0,shorten_list/* shortenList */.Y)(missingRights)}`,
        code: '42501',
        next: owner === null || owner === role
            ? 'Use the role that owns the migrations (postgres on Supabase), or grant these rights.'
            : `Deploy as the role that owns the history, ${owner}; or let ${role} act for it: grant ${identifier(owner)} to ${identifier(role)};`,
    };
}

;// CONCATENATED MODULE: ./compiled/src/database/migrations/created-tables.js

/** Where names without a schema lead to by default. */
const created_tables_PUBLIC = 'public';
/** The schema of temporary tables, which hides every other one. */
const TEMPORARY = 'pg_temp';
function createdTables() {
    /** By schema, then by name; whether it is certain that it was not there before. */
    const made = new Map();
    let path = created_tables_PUBLIC;
    const look = ([schema, name]) => made.get(schema)?.get(name);
    const forget = ([schema, name]) => void made.get(schema)?.delete(name);
    const note = ([schema, name], sure) => {
        made.set(schema, (made.get(schema) ?? new Map()).set(name, sure));
    };
    const keyOf = (schema, name) => {
        if (schema !== undefined)
            return [String(schema), String(name)];
        const own = [TEMPORARY, String(name)];
        return look(own) === undefined ? [path, String(name)] : own;
    };
    const keyOfRelation = (relation) => {
        const { schemaname, relname } = (relation ?? {});
        return keyOf(schemaname, relname);
    };
    const keysOfDrop = (drop) => droppedNames(drop).map((parts) => keyOf(parts[parts.length - 2], parts[parts.length - 1]));
    const move = (from, to) => {
        const sure = look(from);
        forget(from);
        if (sure === undefined)
            forget(to);
        else
            note(to, sure);
    };
    return {
        isNew(relation, sure) {
            const found = look(keyOfRelation(relation));
            return sure ? found === true : found !== undefined;
        },
        areNew: (drop) => keysOfDrop(drop).every((key) => look(key) === true),
        follow({ kind, node }) {
            path = searchPathAfter({ kind, node }, path);
            if (kind === 'DropStmt' && node.removeType === 'OBJECT_TABLE')
                keysOfDrop(node).forEach(forget);
            if (kind === 'RenameStmt' && node.renameType === 'OBJECT_TABLE') {
                const { schemaname } = node.relation;
                const from = keyOfRelation(node.relation);
                move(from, [String(schemaname ?? from[0]), String(node.newname)]);
            }
            if (kind === 'AlterObjectSchemaStmt' && node.objectType === 'OBJECT_TABLE') {
                const { relname } = node.relation;
                move(keyOfRelation(node.relation), [String(node.newschema), String(relname)]);
            }
            const relation = isTable(kind) ? madeRelation(kind, node) : undefined;
            if (!relation)
                return;
            const sure = node.if_not_exists !== true;
            const schema = isTemporary(relation) ? TEMPORARY : String(relation.schemaname ?? path);
            const key = [schema, String(relation.relname)];
            // What is known of it stays: a second IF NOT EXISTS does not make it doubtful.
            if (sure || look(key) === undefined)
                note(key, sure);
        },
        endFile() {
            path = created_tables_PUBLIC;
            made.delete(TEMPORARY);
        },
    };
}
function isTable(kind) {
    return kind === 'CreateStmt' || kind === 'CreateTableAsStmt' || kind === 'SelectStmt';
}
/** The schema that names without one belong to behind a statement; a text of its own where the path is not plain. */
function searchPathAfter({ kind, node }, before) {
    if (kind === 'VariableSetStmt') {
        if (node.kind === 'VAR_RESET_ALL')
            return created_tables_PUBLIC;
        if (node.name !== 'search_path')
            return before;
        return firstSchema((node.args ?? []).map((name) => constantText(name) ?? ''));
    }
    if (kind !== 'SelectStmt')
        return before;
    const set = setConfigs(node).find((call) => call?.name === 'search_path');
    return set
        ? firstSchema((set.value ?? '').split(',').map((name) => name.trim().replaceAll('"', '')))
        : before;
}
/** Where things are made: the first schema of a path, "$user" left out, which hardly anybody has. */
function firstSchema(names) {
    return names.find((name) => name !== '$user') ?? created_tables_PUBLIC;
}

;// CONCATENATED MODULE: ./compiled/src/database/migrations/lint-rules.js

const EXCLUSIVE = 'ACCESS EXCLUSIVE';
/** What is left to do where the old code still uses it; of no help in a file that waits for health already. */
const LATER = 'Stop using it in the code first, and drop it in a file marked "-- deploy: after-health".';
const WHICH = 'Say with WHERE which rows are meant, in batches where there are many.';
const rule = (name, lock, destructive, instead) => ({
    rule: name,
    lock,
    destructive,
    instead,
});
/** The rules that a statement breaks, with those that are written inside it; `tables`: what the same files made before. */
function rulesFor({ kind, node }, tables) {
    return [
        ...rulesOf({ kind, node }, tables),
        ...inner({ kind, node }).flatMap((each) => rulesFor(each, tables)),
    ];
}
/** The statements that a statement runs with it: its WITH, and what is explained, prepared or made a table of. */
function inner({ kind, node }) {
    const { ctes } = (node.withClause ?? {});
    const queries = (ctes ?? []).map(({ CommonTableExpr }) => CommonTableExpr?.ctequery);
    if (kind === 'ExplainStmt' || kind === 'PrepareStmt' || kind === 'CreateTableAsStmt')
        queries.push(node.query);
    return queries.flatMap((query) => Object.entries(query ?? {}).map(([name, value]) => ({ kind: name, node: value })));
}
/** A WHERE that keeps nothing out, as safeupdate is told by: `where true`, `where 1 = 1`. */
function isConstant(where) {
    const { A_Const: constant, A_Expr: expression } = (where ?? {});
    if (constant)
        return true;
    return expression !== undefined && isConstant(expression.lexpr) && isConstant(expression.rexpr);
}
function rulesOf({ kind, node }, tables) {
    // What may have been there before can lose data; that the application waits for it is not likely enough to be told.
    const isNew = (relation) => tables.isNew(relation, false);
    switch (kind) {
        case 'DropStmt':
            return dropRules(node, tables);
        case 'DropOwnedStmt':
            return [rule('drop-owned', EXCLUSIVE, true, 'Drop by name what has to go.')];
        case 'MergeStmt': {
            const clauses = node.mergeWhenClauses ?? [];
            const deletes = clauses.some(({ MergeWhenClause }) => MergeWhenClause?.commandType === 'CMD_DELETE');
            return deletes && !tables.isNew(node.relation, true)
                ? [
                    rule('merge-delete', 'ROW EXCLUSIVE', true, 'DELETE with a WHERE says plainly which rows have to go.'),
                ]
                : [];
        }
        case 'DropdbStmt':
            return [rule('ban-drop-database', EXCLUSIVE, true, 'Drop databases by hand.')];
        case 'TruncateStmt': {
            const relations = node.relations ?? [];
            if (relations.every(({ RangeVar }) => tables.isNew(RangeVar, true)))
                return [];
            const cascade = node.behavior === 'DROP_CASCADE';
            return [
                rule(cascade ? 'ban-truncate-cascade' : 'truncate', EXCLUSIVE, true, 'DELETE with a WHERE, where only some rows have to go.'),
            ];
        }
        case 'DeleteStmt':
        case 'UpdateStmt': {
            const all = node.whereClause === undefined || isConstant(node.whereClause);
            if (!all || tables.isNew(node.relation, true))
                return [];
            const word = kind === 'DeleteStmt' ? 'delete' : 'update';
            return [rule(`${word}-without-where`, 'ROW EXCLUSIVE', true, WHICH)];
        }
        case 'IndexStmt':
            if (node.concurrent === true || isNew(node.relation))
                return [];
            return [
                rule('require-concurrent-index-creation', 'SHARE', false, 'CREATE INDEX CONCURRENTLY in a file of its own: writes go on meanwhile.'),
            ];
        case 'RenameStmt':
            return isNew(node.relation) ? [] : renameRules(String(node.renameType));
        case 'AlterTableStmt':
            return alterRules(node).filter(({ destructive }) => !tables.isNew(node.relation, destructive));
        case 'VacuumStmt':
            return options(node.options).includes('full')
                ? [rule('vacuum-full', EXCLUSIVE, false, 'Plain VACUUM: it locks nobody out.')]
                : [];
        case 'ClusterStmt':
            return [
                rule('cluster', EXCLUSIVE, false, 'It rewrites the table under a full lock: run it by hand at a quiet time.'),
            ];
        case 'ReindexStmt':
            return options(node.params).includes('concurrently')
                ? []
                : [rule('reindex', EXCLUSIVE, false, 'REINDEX ... CONCURRENTLY.')];
        default:
            return [];
    }
}
function options(list) {
    return Array.isArray(list)
        ? list.map((item) => item.DefElem?.defname ?? '')
        : [];
}
function dropRules(node, tables) {
    switch (node.removeType) {
        case 'OBJECT_TABLE':
            return tables.areNew(node) ? [] : [rule('ban-drop-table', EXCLUSIVE, true, LATER)];
        case 'OBJECT_SCHEMA':
            return [rule('drop-schema', EXCLUSIVE, true, LATER)];
        case 'OBJECT_TYPE':
        case 'OBJECT_DOMAIN':
            return node.behavior === 'DROP_CASCADE'
                ? [
                    rule('drop-type-cascade', EXCLUSIVE, true, 'Without CASCADE it fails where a column still has the type.'),
                ]
                : [];
        case 'OBJECT_EXTENSION':
            return node.behavior === 'DROP_CASCADE'
                ? [
                    rule('drop-extension-cascade', EXCLUSIVE, true, 'Without CASCADE it fails where something still depends on it.'),
                ]
                : [];
        case 'OBJECT_INDEX':
            return node.concurrent === true
                ? []
                : [
                    rule('require-concurrent-index-deletion', EXCLUSIVE, false, 'DROP INDEX CONCURRENTLY in a file of its own.'),
                ];
        default:
            return [];
    }
}
function renameRules(type) {
    if (type === 'OBJECT_COLUMN')
        return [
            rule('renaming-column', EXCLUSIVE, false, 'Add the new column, fill it, move the code over, drop the old one after health.'),
        ];
    if (type === 'OBJECT_TABLE')
        return [
            rule('renaming-table', EXCLUSIVE, false, 'Keep a view under the old name until no code uses it.'),
        ];
    return [];
}
function alterRules(node) {
    // ALTER INDEX, ALTER VIEW and the like come as the same node, and lock no table.
    if (node.objtype !== 'OBJECT_TABLE')
        return [];
    const commands = node.cmds ?? [];
    return commands.flatMap(({ AlterTableCmd: command = {} }) => commandRules(command));
}
function commandRules({ subtype, def }) {
    switch (subtype) {
        case 'AT_DropColumn':
            return [rule('ban-drop-column', EXCLUSIVE, true, LATER)];
        case 'AT_AlterColumnType':
            return [
                rule('changing-column-type', EXCLUSIVE, false, 'Most changes rewrite the table: add a new column, fill it, switch, drop the old one after health.'),
            ];
        case 'AT_SetNotNull':
            return [
                rule('adding-not-nullable-field', EXCLUSIVE, false, 'Add CHECK (column IS NOT NULL) NOT VALID, VALIDATE it in a later file, then SET NOT NULL.'),
            ];
        case 'AT_AddConstraint':
            return constraintRules(def?.Constraint ?? {});
        case 'AT_AddColumn':
            return columnRules((def?.ColumnDef?.constraints ?? []).map(({ Constraint: constraint = {} }) => constraint));
        default:
            return [];
    }
}
function constraintRules({ contype, skip_validation, indexname }) {
    if (contype === 'CONSTR_FOREIGN' && skip_validation !== true)
        return [
            rule('adding-foreign-key-constraint', 'SHARE ROW EXCLUSIVE', false, 'Add it NOT VALID, and VALIDATE CONSTRAINT in a later file.'),
        ];
    if (contype === 'CONSTR_CHECK' && skip_validation !== true)
        return [
            rule('constraint-missing-not-valid', EXCLUSIVE, false, 'Add it NOT VALID, and VALIDATE CONSTRAINT in a later file.'),
        ];
    if ((contype === 'CONSTR_UNIQUE' || contype === 'CONSTR_PRIMARY') && indexname === undefined)
        return [
            rule('disallowed-unique-constraint', EXCLUSIVE, false, 'CREATE UNIQUE INDEX CONCURRENTLY first, then ADD CONSTRAINT ... USING INDEX.'),
        ];
    return [];
}
function columnRules(constraints) {
    const types = constraints.map(({ contype }) => contype);
    const found = [];
    const fallback = constraints.find(({ contype }) => contype === 'CONSTR_DEFAULT');
    if (types.includes('CONSTR_NOTNULL') &&
        !fallback &&
        !types.includes('CONSTR_IDENTITY') &&
        !types.includes('CONSTR_GENERATED'))
        found.push(rule('adding-required-field', EXCLUSIVE, false, 'Without a DEFAULT it fails on a table with rows, and on the inserts of the old code.'));
    if (fallback?.raw_expr && 'FuncCall' in fallback.raw_expr && !isStable(fallback.raw_expr.FuncCall))
        found.push(rule('adding-field-with-default', EXCLUSIVE, false, 'A default that differs for each row rewrites the table: add the column, fill it in batches, then set the default.'));
    if (types.includes('CONSTR_PRIMARY') || types.includes('CONSTR_UNIQUE'))
        found.push(rule('disallowed-unique-constraint', EXCLUSIVE, false, 'Add the column, CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT ... USING INDEX.'));
    return found;
}
/** Calls that give one value for the whole statement: the table is not rewritten for them. */
const STABLE = new Set([
    'now',
    'current_timestamp',
    'statement_timestamp',
    'transaction_timestamp',
    'timezone',
]);
function isStable(call) {
    return STABLE.has(strings(call?.funcname).at(-1) ?? '');
}

;// CONCATENATED MODULE: ./compiled/src/database/migrations/lint.js



/**
 * Finds destructive and locking statements in files that are to be applied. What the same files create first holds no
 * data and nobody waits for it, so it is left out. Statements inside functions and DO blocks are not looked into.
 */
function lintFiles(files) {
    const tables = createdTables();
    const findings = [];
    let waits = false;
    for (const file of files) {
        waits ||= file.afterHealth;
        for (const statement of file.shape.statements ?? []) {
            for (const found of rulesFor(statement, tables)) {
                findings.push({
                    ...found,
                    at: positionIn(file.file, file.source, statement.from),
                    statement: oneLine(file.shape.source.slice(statement.from, statement.to)),
                    waits,
                });
            }
            tables.follow(statement);
        }
        tables.endFile();
    }
    return findings;
}

;// CONCATENATED MODULE: ./compiled/src/database/plan.js



















/** How long a look may take; it waits for nothing but the network. */
const plan_LOOK_DEADLINE = 60_000;
/** Looks at files and database and says what a migrate would do. All refusals at once. */
async function planDatabase({ database, signal }, { workingDirectory, rules, identity, contract, warnings }) {
    const sending = { deadline: plan_LOOK_DEADLINE, signal };
    // The files are read while the connection is made and the server looks.
    const [look, files] = await Promise.all([
        retryRead(signal, () => readHistory(database, sending)).catch((error) => {
            throw failureOf(error, 'looking at the migration history');
        }),
        readMigrationFiles(workingDirectory, rules.migrationsDir),
    ]);
    const chosen = choosePending(files.files, look, rules, identity, contract);
    const catalog = (names) => retryRead(signal, () => askCatalog(database, names, sending)).catch((error) => {
        throw failureOf(error, 'looking at what the pending files name');
    });
    const plan = await planFor(chosen, rules, { partials: look.partial, catalog });
    plan.look = look;
    plan.warnings.unshift(...files.warnings);
    plan.refusals.unshift(...files.problems);
    plan.warnings.push(...warnings);
    const edited = await editedProblems(database, chosen.edited, rules.editedMigrations, sending).catch((error) => {
        throw failureOf(error, 'comparing applied files');
    });
    (rules.editedMigrations === 'refuse' ? plan.refusals : plan.warnings).push(...edited);
    if (chosen.missing.length > 0) {
        const recorded = new Set(look.recorded.map(({ version }) => version));
        const missing = await missingProblem(database, chosen.missing, { files: files.files, recorded }, sending).catch((error) => {
            throw failureOf(error, 'looking for the files of applied versions');
        });
        (rules.missingMigrations === 'refuse' ? plan.refusals : plan.warnings).push(missing);
    }
    // What is refused already would only be told twice.
    const all = [...plan.pending, ...plan.deferred].filter(({ shape }) => shape.problems.length === 0);
    if (all.length > 0)
        plan.refusals.push(...(await preflight(database, all, sending).catch((error) => {
            throw failureOf(error, 'letting the server parse the pending files');
        })));
    refuseTransport(plan, database);
    refuseEditedParts(plan, look);
    return plan;
}
/**
 * The plan that the files alone allow, where no database may be asked (a pull request from a fork). A project
 * without migrations has none to read.
 */
async function planFiles(workingDirectory, rules) {
    const absent = !(0,external_node_fs_.existsSync)((0,external_node_path_.join)(workingDirectory, rules.migrationsDir));
    const files = absent
        ? { files: [], warnings: [], problems: [] }
        : await readMigrationFiles(workingDirectory, rules.migrationsDir);
    const chosen = {
        pending: files.files.filter(({ unreadable }) => unreadable === undefined),
        deferred: [],
        baseline: [],
        edited: [],
        missing: [],
        // Which of them are applied already, and stop nothing, is not known here.
        warnings: [...sameVersions(files.files), ...files.files.flatMap(({ unreadable }) => unreadable ?? [])],
        refusals: [
            ...wrongMarkers(files.files),
            ...(rules.irreversibleMigrations === 'refuse' ? irreversible(files.files) : []),
        ],
    };
    const plan = await planFor(chosen, rules);
    plan.warnings.unshift(...files.warnings);
    plan.refusals.unshift(...files.problems);
    // No server was asked, so the parser's word stands.
    plan.refusals.push(...plan.pending.flatMap((file) => file.shape.doubt ?? []));
    return plan;
}
async function planFor(chosen, rules, asked = {}) {
    const due = [...chosen.pending, ...chosen.deferred];
    const planned = due.length > 0 ? await classifyAll(due, asked) : [];
    const pending = planned.slice(0, chosen.pending.length);
    const findings = lintFiles(planned);
    const told = findings.filter((finding) => !finding.destructive || rules.destructiveChanges === 'warn');
    const refused = findings.filter((finding) => finding.destructive && rules.destructiveChanges === 'refuse');
    return {
        pending,
        deferred: planned.slice(chosen.pending.length),
        baseline: chosen.baseline,
        batches: makeBatches(pending, rules.transaction),
        warnings: [
            ...chosen.warnings,
            ...planned.flatMap((file) => file.shape.notices),
            ...told.map((finding) => riskProblem(finding, false)),
        ],
        refusals: [
            ...chosen.refusals,
            ...planned.flatMap((file) => file.shape.problems),
            ...refused.map((finding) => riskProblem(finding, true)),
        ],
        reversible: planned.every((file) => file.down !== undefined),
        destructive: findings.some((finding) => finding.destructive),
    };
}
function riskProblem(finding, refused) {
    const { rule, at, statement, lock, destructive, instead, waits } = finding;
    const what = destructive ? 'deletes data' : `locks its table (${lock}) while it runs`;
    // The marker is no advice to a file that waits already.
    const advice = [
        ...(waits && instead === LATER ? [] : [instead]),
        ...(refused ? ['Where the data is to go: destructive-changes: warn, or allow.'] : []),
    ];
    return {
        message: `${statement}: ${what} (${rule})`,
        at,
        ...(advice.length === 0 ? {} : { next: advice.join(' ') }),
    };
}
/** A file that was applied in part goes on behind that part, so the part must still be what was run. */
function refuseEditedParts(plan, look) {
    for (const partial of look.partial) {
        const file = [...plan.pending, ...plan.deferred].find((each) => each.version === partial.version);
        if (!file)
            continue;
        const edited = standsUpTo(file.source, partial) === undefined;
        if (!edited && file.shape.statements === undefined)
            plan.refusals.push({
                message: `${file.file} was applied in part, and where that part ends cannot be told, because the file cannot be parsed`,
                at: { file: file.file, line: 1, column: 1 },
                next: 'Put what follows the part that stands into a file of its own.',
            });
        if (!edited)
            continue;
        plan.refusals.push({
            message: `${file.file} was applied in part (${partial.done} of its parts stand), and that part has been edited since`,
            at: { file: file.file, line: 1, column: 1 },
            next: `Put the applied statements back as they were, and change only what comes after them. Or undo by hand what they did, so that the file begins anew: delete from ${PARTIAL_TABLE} where version = ${literal(file.version)};`,
        });
    }
}
/** What the way to the server cannot hold is refused before the first file. */
function refuseTransport({ pending, deferred, refusals, warnings }, { transport }) {
    for (const file of [...pending, ...deferred]) {
        const { shape } = file;
        if (transport === 'management-api' && !eachInOneMessage(shape))
            refusals.push({
                message: `${file.file}: ${shape.why ?? 'it'}, and the Management API runs each request as one transaction`,
                at: { file: file.file, line: 1, column: 1 },
                next: 'Give database-url (the session pooler URL) for this deploy.',
            });
        if (transport === 'management-api' && shape.timed)
            warnings.push({
                message: `${file.file} sets statement_timeout itself, and the Management API gives each request 60 s all the same`,
                at: { file: file.file, line: 1, column: 1 },
                next: 'Give database-url (the session pooler URL) where it takes longer.',
            });
        if (transport === 'transaction-pooler')
            refusals.push(...lostSettings(file), ...discarded(file));
        // Where each message may get another session; or because the session that stood is gone.
        const apart = transport === 'transaction-pooler' || transport === 'management-api';
        for (const { problem, made, used } of shape.sessionBound)
            if (apart)
                refusals.push({
                    ...problem,
                    next: `Give the session pooler or direct URL in database-url (port 5432). Or: ${problem.next}`,
                });
            else if (made < shape.standing && used >= shape.standing)
                refusals.push({
                    ...problem,
                    next: 'It was made by a part that is applied, and went with its session: make it again behind that part.',
                });
    }
}
/** Each part of the file is one message that needs no session. */
function eachInOneMessage({ mode, segments }) {
    return (mode === 'together' || (mode === 'outside' && segments.every((part) => !part.alone && !part.explicit)));
}
/** It would reach a session that others have. */
function discarded({ file, source, shape }) {
    return (shape.statements ?? [])
        .filter((statement) => nonTransactional(statement) === 'discard-all')
        .map(({ from }) => ({
        message: 'DISCARD ALL behind a transaction pooler would reach a session of others',
        at: positionIn(file, source, from),
        next: 'Remove it: no session of this action keeps anything from one file to the next. Or give the session pooler or direct URL in database-url (port 5432).',
    }));
}
/** A statement outside a transaction runs in whichever session the pooler has: nothing can be set for it. */
function lostSettings(file) {
    return file.shape.segments.flatMap(({ alone, sessionSetup: again, statements: [statement] }) => {
        const set = again[again.length - 1];
        if (!alone || !set || !statement)
            return [];
        const line = positionIn(file.file, file.source, set.from).line;
        return [
            {
                message: `${whyNonTransactional(statement)} cannot run in a transaction, and behind a transaction pooler what line ${line} sets does not hold for it`,
                at: positionIn(file.file, file.source, statement.from),
                next: 'Give the session pooler or direct URL in database-url (port 5432). Or put the statement into a file of its own, with names that are qualified (schema.table).',
            },
        ];
    });
}

;// CONCATENATED MODULE: ./compiled/src/database/schema/drift.js








/** One message that writes nothing; its last statement gives the row that `readDrift` reads. */
function driftQuery() {
    return `set local statement_timeout = '30s'; set local lock_timeout = '1s'; do ${dollarQuote(`
declare recorded text;
begin
  if to_regclass('${RUNS_TABLE}') is not null and ${READS_TABLES} then
    execute 'select jsonb_build_object(''run_id'', run_id, ''sha'', sha, ''fingerprint'', fingerprint_after, ''objects'', objects)::text
      from ${RUNS_TABLE} r where objects is not null order by ${UNRECORDED} desc, finished_at desc nulls last limit 1' into recorded;
  end if;
  perform set_config('muva.recorded', coalesce(recorded, ''), true);
end`)}; ${SET_DETERMINISTIC}
select jsonb_build_object('fingerprint', f.fingerprint, 'recorded', r.recorded - 'objects',
  'before', case when f.fingerprint <> r.recorded ->> 'fingerprint' then r.recorded -> 'objects' end,
  'now', case when f.fingerprint <> r.recorded ->> 'fingerprint' then f.objects end) as drift
from (${FINGERPRINT_ROW}) f, (select nullif(current_setting('muva.recorded', true), '')::jsonb as recorded) r;`;
}
function readDrift(results) {
    const row = jsonField(results, 'drift');
    if (!row)
        throw new Error('the drift query gave no row');
    const difference = compareObjects(readObjects(row.before), readObjects(row.now));
    return {
        recorded: row.recorded !== null,
        ...(row.recorded === null
            ? {}
            : { since: { runId: row.recorded.run_id, ...(row.recorded.sha ? { sha: row.recorded.sha } : {}) } }),
        difference,
        killed: row.recorded !== null && row.recorded.fingerprint === null,
        upgraded: difference.altered.some(({ kind }) => kind === 'server'),
    };
}
/**
 * Looks what others changed since the last deploy recorded the schema. Undefined where it could not be found
 * out in time, because somebody holds a table that must be looked at.
 */
async function readDriftNow({ database, signal }) {
    try {
        const sending = { deadline: 45_000, signal };
        return readDrift(await retryRead(signal, () => database.send(driftQuery(), sending)));
    }
    catch (error) {
        const late = error instanceof SqlError && (error.code === '57014' || error.code === '55P03');
        if (late && !signal.aborted)
            return undefined;
        throw failureOf(error, 'looking what other hands changed');
    }
}
/** What the drift means under the input `drift`. */
function judgeDrift(drift, policy) {
    const calm = (detail) => ({ detail, refusals: [], warnings: [] });
    if (policy === 'off')
        return calm('not looked at');
    if (!drift) {
        const problem = {
            message: 'it could not be found out in time whether other hands changed the schema: a table is locked',
            next: 'Run again; or say drift: off.',
        };
        const late = { detail: 'not found out in time', refusals: [], warnings: [] };
        return policy === 'fail' ? { ...late, refusals: [problem] } : { ...late, warnings: [problem] };
    }
    if (!drift.recorded || !drift.since)
        return calm('no deploy has recorded the schema yet');
    const { runId, sha } = drift.since;
    const since = `run ${runId}${sha === undefined ? '' : ` (${sha.slice(0, 7)})`}`;
    if (drift.killed)
        return calm(`not comparable: ${since} ended before it recorded the schema`);
    if (drift.upgraded)
        return calm(`not comparable: another major version of PostgreSQL runs since ${since}`);
    const { added, removed, altered } = drift.difference;
    if (added.length + removed.length + altered.length === 0)
        return calm(`unchanged since ${since}`);
    const problem = {
        message: `the schema changed since ${since} by other hands: ${describeDifference(drift.difference)}`,
        next: policy === 'fail'
            ? 'Write the change as a migration, or undo it; to go on as it is, say drift: warn.'
            : 'Write the change as a migration, so that other databases get it too.',
    };
    const detail = describeDifference(drift.difference, 3);
    return policy === 'fail'
        ? { detail, refusals: [problem], warnings: [] }
        : { detail, refusals: [], warnings: [problem] };
}

;// CONCATENATED MODULE: ./compiled/src/pipeline/deploy-check-step.js

/**
 * Looks at something as a step, which has failed where the judgement refuses. Its warnings are told; the refusals are
 * handed back and not thrown, so that other looks go on and all are told at once.
 */
async function deployCheckStep(tools, record, name, work) {
    const check = async () => {
        const result = await work();
        if (result.refusals.length > 0)
            throw new Failure(result.refusals);
        return result;
    };
    try {
        const { warnings } = await record.step(name, check, ({ detail }) => detail);
        for (const problem of warnings)
            tools.log({ kind: 'warning', problem });
        return [];
    }
    catch (error) {
        if (error instanceof Cancelled)
            throw error;
        return problemsOf(error);
    }
}

;// CONCATENATED MODULE: ./compiled/src/pipeline/plan-order.js
/** The settings as the plan of the database takes them. `contract`: health has passed, or mode `migrate` was told so. */
function planOrder(settings, contract = false) {
    const { environment, adoptEnvironment, run, mode, vps, skip, workingDirectory, database: rules } = settings;
    const whole = mode === 'deploy' || mode === 'plan';
    return {
        workingDirectory,
        rules,
        identity: {
            environment,
            adoptEnvironment,
            repository: run.repository,
            serverMissing: whole && vps === undefined && !skip.includes('vps'),
        },
        contract,
        warnings: rules.afterHealth && mode !== 'migrate' && !contract
            ? [
                {
                    message: `after-health: true has no effect in mode ${mode}`,
                    next: 'A deploy applies the files marked "-- deploy: after-health" by itself, once health has passed. Remove the input.',
                },
            ]
            : [],
    };
}

;// CONCATENATED MODULE: ./compiled/src/pipeline/migrate.js














/** The step in which the hosts are asked once more. */
const CONFIRM = 'every host is still prepared';
/**
 * How often a history may change under us before we give up, and the milliseconds between two looks: another tool that
 * applies file after file changes it again each time, until it has ended.
 */
const PLANS = 9;
const BETWEEN_PLANS = { first: 100, longest: 5_000 };
/** Milliseconds for what is still written after a failure or a cancel; the runner gives a cancelled step 7.5 s. */
const AT_STOP = 3_000;
/** Applies the pending migrations: each exactly once, and with `transaction: all` together or not at all. */
async function migrate(asked, options = {}) {
    const { hosts } = options;
    const signal = hosts ? AbortSignal.any([asked.signal, hosts.broken]) : asked.signal;
    const work = { ...asked, signal };
    const { settings, log } = work;
    const detail = options.plan ? migrateHeadline(options.plan) : undefined;
    return runPhase('migrate', log, detail, async (record) => {
        const order = planOrder(settings, options.contract);
        let plan = options.plan ?? (await planDatabase(work, order));
        // A plan that was handed in has been told already.
        if (!options.plan)
            tellPlan(work, plan);
        record.facts.applied = [];
        const run = await deployedRun(settings);
        const standing = { unrecorded: false, notLookedAt: false };
        const drifted = await lookBeforeWriting(work, record, plan);
        try {
            for (let plans = 1;; plans++) {
                note(record, plan);
                const refusals = [...plan.refusals, ...drifted];
                if (refusals.length > 0) {
                    record.summarise('Nothing was applied.');
                    throw new Failure(refusals);
                }
                const confirm = async () => {
                    if (hosts)
                        await record.step(CONFIRM, () => hosts.confirm());
                };
                const applying = { ...work, settings: { ...settings, run } };
                if (await applyPlanned(applying, plan, record, standing, confirm))
                    return;
                if (plans === PLANS)
                    throw new Failure({
                        message: 'the migration history keeps changing: another tool is migrating this database',
                        next: 'Wait for it, then run again.',
                    });
                log({ kind: 'progress', text: 'another run has changed the migration history: looking again' });
                await pause(backoff(plans, BETWEEN_PLANS.first, BETWEEN_PLANS.longest), signal);
                plan = await planDatabase(work, order);
            }
        }
        catch (error) {
            if (error instanceof Cancelled && !asked.signal.aborted)
                throw new Failure(HOST_LOST);
            throw error;
        }
        finally {
            if (standing.unrecorded)
                await recordAtStop(work);
        }
    });
}
const HOST_LOST = {
    message: 'a server that was prepared no longer waits: what was under way in the database was stopped',
    next: 'Look above what became of the server, then start the workflow again.',
};
/**
 * What a deploy looks at in its plan: alone, a migrate looks itself before it writes, because what it writes makes the
 * schema that it meets the one that later drift is measured against.
 */
async function lookBeforeWriting(work, record, { batches, baseline }) {
    const { mode, database } = work.settings;
    if (mode !== 'migrate' || database.drift === 'off')
        return [];
    if (batches.length + baseline.length === 0)
        return [];
    return deployCheckStep(work, record, 'drift', async () => judgeDrift(await readDriftNow(work), database.drift));
}
/** The run as it is recorded: by the commit that is deployed, which need not be the one that started the workflow. */
async function deployedRun({ run, vps, workingDirectory }) {
    return vps?.ref === undefined ? run : { ...run, sha: await exactCommit(vps.ref, workingDirectory) };
}
/** Other hands hold a table for long: that is worth a word, and no failure of the deploy. */
function tellNotLookedAt(tools, standing) {
    if (!standing.notLookedAt)
        tools.log({
            kind: 'warning',
            problem: {
                message: 'a table is locked by another session, so the state of the schema around this run is not recorded',
                next: 'Until the next deploy drift may not be comparable, and a rollback of this run may not be proven. Look who holds a table for so long.',
            },
        });
    standing.notLookedAt = true;
}
/**
 * Between its first and its last message a run records no state; one that stops there does it now. It may fail: the
 * next run, or the rollback, then takes what it meets for the end of this one.
 */
async function recordAtStop({ database, settings }) {
    await database.send(recordStateAtStop(settings.run.id), { deadline: AT_STOP }).catch(() => undefined);
}
function tellPlan(tools, plan) {
    tools.log({ kind: 'line', text: migrateHeadline(plan) });
    for (const warning of plan.warnings)
        tools.log({ kind: 'warning', problem: warning });
}
function migrateHeadline(plan) {
    const batches = plan.batches.length;
    const waiting = plan.deferred.length > 0 ? `, ${plan.deferred.length} waiting for health` : '';
    return `${plan.pending.length} pending${batches > 0 ? ` in ${batches} ${batches === 1 ? 'batch' : 'batches'}` : ''}${waiting}`;
}
/** Says at once what is known: a failure later must not lose it. */
function note(record, plan) {
    const { facts } = record;
    const applied = facts.applied ?? [];
    facts.pending = [...applied, ...plan.pending.map((file) => file.version)];
    facts.deferred = plan.deferred.map((file) => file.version);
    facts.skipped = [];
    facts.reversible = plan.reversible;
    facts.destructive = plan.destructive;
}
/** True when all of the plan is applied; false when the history changed and a new plan is needed. */
async function applyPlanned(work, plan, record, standing, confirm) {
    const { settings, log } = work;
    const recorded = (plan.look?.recorded ?? []).map((row) => row.version);
    const queue = plan.batches.length === 0 && isWorthRecording(settings, plan)
        ? [{ mode: 'together', files: [] }]
        : [...plan.batches];
    let first = true;
    while (queue.length > 0) {
        const batch = queue.shift();
        const place = { first, last: queue.length === 0, next: queue[0]?.mode };
        const context = {
            ...batchContext(settings, batch, plan, recorded, record, place),
            onNotLookedAt: () => tellNotLookedAt(work, standing),
        };
        if (first)
            await confirm();
        const outcome = await runBatch(work, batch, context, plan);
        standing.unrecorded = isUnrecorded(standing, batch, outcome, context.after !== undefined);
        if (outcome.kind === 'changed')
            return false;
        if (outcome.kind === 'split') {
            log({
                kind: 'notice',
                problem: {
                    message: `the batch is split before ${titleOf(batch.files[outcome.before])}: ${outcome.why}`,
                },
            });
            queue.unshift({ ...batch, files: batch.files.slice(0, outcome.before) }, { ...batch, files: batch.files.slice(outcome.before), why: outcome.why });
            continue;
        }
        if (outcome.kind !== 'done')
            stop(outcome, batch, queue, record);
        else {
            recorded.push(...context.baseline.map((file) => file.version), ...batch.files.map((file) => file.version));
            first = false;
            tellApplied(batch.files, outcome, record);
        }
    }
    const applied = record.facts.applied ?? [];
    record.summarise(applied.length === 0
        ? `Nothing pending${plan.deferred.length > 0 ? `; ${plan.deferred.length} waiting for health` : ''}.`
        : `${applied.length} applied.`);
    return true;
}
function isUnrecorded(standing, batch, outcome, recorded) {
    if (outcome.kind === 'done')
        return !recorded;
    // A database that cannot be asked is not asked again for this; and what stands of half a file belongs to whoever
    // completes it.
    if (outcome.kind === 'unknown' || ('stands' in outcome && outcome.stands !== undefined))
        return false;
    return standing.unrecorded || batch.mode === 'outside';
}
/**
 * A deploy with nothing to apply still leaves its row: what it found is what later drift is measured against, and a
 * rollback to the previous deploy must know that this one changed no schema.
 */
function isWorthRecording(settings, { baseline, look }) {
    if (baseline.length > 0)
        return true;
    return settings.mode === 'deploy' && look?.missingRights.length === 0 && !look.readOnly;
}
function batchContext(settings, batch, plan, recorded, record, place) {
    const rules = settings.database;
    // A schema that does not verify is never committed; with one transaction per file that cannot be promised.
    const verified = place.last && rules.transaction === 'all';
    const verification = verified ? verificationMessage(rules) : '';
    // A file that is applied in parts may stay half applied: it has a beginning of its own, and what was before an end.
    const begins = place.first || batch.mode === 'outside';
    const ends = place.last || place.next === 'outside';
    return {
        run: settings.run,
        environment: settings.environment,
        server: settings.mode === 'deploy' && settings.vps !== undefined,
        rules,
        recorded: [...recorded],
        baseline: place.first ? plan.baseline : [],
        notices: noticeBook(),
        position: (record.facts.applied?.length ?? 0) + 1,
        ...(begins ? { before: recordStateBefore(settings.run.id) } : {}),
        ...(ends ? { after: `${verification}\n${recordStateAfter(settings.run.id)}` } : {}),
    };
}
async function runBatch(access, batch, planned, plan) {
    const context = { ...planned, role: access.database.role };
    try {
        const outcome = await runMode(access, batch, context, plan);
        // They will be run again, and it be said again.
        if (outcome.kind === 'split' || outcome.kind === 'changed')
            context.notices.forget();
        return outcome;
    }
    catch (error) {
        // Thrown while waiting for a lock or between two tries: nothing of the batch was under way.
        if (error instanceof Cancelled)
            return { kind: 'cancelled' };
        if (error instanceof Failure && error.outcome === 'failed')
            return { kind: 'failed', problem: error.problems[0], at: undefined, times: [] };
        throw error;
    }
    finally {
        context.notices.tell(access.log);
    }
}
function runMode(apply, batch, context, plan) {
    if (batch.mode !== 'outside')
        return applyBatch(apply, batch, context);
    const partial = plan.look?.partial.find((row) => row.version === batch.files[0].version);
    return applyNonTransactional(apply, batch, context, partial);
}
function tellApplied(files, outcome, record) {
    if (files.length > 0)
        record.changed();
    files.forEach((file, index) => {
        const time = outcome.times[index] ?? { startedAt: Date.now(), milliseconds: 0 };
        record.add({ name: titleOf(file), outcome: 'passed', ...time });
        record.facts.applied?.push(file.version);
    });
}
/** Ends the phase at a batch that was not applied; says what stands and which files were not reached. */
function stop(outcome, batch, queue, record) {
    const later = queue.flatMap((next) => next.files);
    const rest = [...batch.files, ...later];
    // Of a batch whose answer was lost it is not known that it was skipped.
    const skipped = outcome.kind === 'unknown' ? later : rest;
    record.facts.skipped = skipped.map((file) => file.version);
    const applied = record.facts.applied?.length ?? 0;
    const stands = applied === 0 ? '0 applied' : `${applied} applied before it and kept`;
    switch (outcome.kind) {
        case 'failed':
            tellFailed(outcome, rest, record);
            record.summarise(outcome.stands === undefined
                ? `The batch was rolled back: ${stands}.`
                : `${titleOf(batch.files[0])} is applied in part: ${stands}. ${outcome.stands}`);
            throw new Failure(outcome.problem);
        case 'not-verified':
            record.facts.verified = false;
            record.skip(...rest.map(titleOf));
            record.add({
                name: 'verify before the commit',
                outcome: 'failed',
                startedAt: Date.now(),
                milliseconds: 0,
            });
            record.summarise(outcome.stands === undefined
                ? `The schema does not verify, so the batch was rolled back: ${stands}.`
                : `The schema does not verify: ${stands}. ${outcome.stands}`);
            throw new Failure(outcome.problems);
        case 'cancelled':
            record.skip(...rest.map(titleOf));
            record.summarise(outcome.stands === undefined
                ? `The batch was rolled back: ${stands}.`
                : `${titleOf(batch.files[0])} is applied in part: ${stands}. ${outcome.stands}`);
            throw new Cancelled();
        case 'unknown':
            for (const file of batch.files)
                record.add({ name: titleOf(file), outcome: 'unknown', startedAt: Date.now(), milliseconds: 0 });
            record.skip(...later.map(titleOf));
            record.summarise(`It is not known whether the batch was applied; ${stands}.`);
            throw new Failure(outcome.problem, 'unknown');
    }
}
function tellFailed(outcome, files, record) {
    files.forEach((file, index) => {
        if (index !== outcome.at) {
            record.skip(titleOf(file));
            return;
        }
        const { startedAt, milliseconds } = outcome.times[index] ?? { startedAt: Date.now(), milliseconds: 0 };
        const lasted = milliseconds || Date.now() - startedAt;
        record.add({ name: titleOf(file), outcome: 'failed', startedAt, milliseconds: lasted });
    });
}

;// CONCATENATED MODULE: ./compiled/src/pipeline/backup.js














/**
 * Makes a backup before the first write; `servers`: where it may lie, `hosts`: without which it is not made. Any failure here stops the deploy with nothing
 * changed.
 */
async function backup(work, servers, hosts) {
    const { settings, log, signal } = work;
    const rules = settings.database;
    const { connection } = rules;
    return runPhase('backup', log, rules.backup, async (record) => {
        if (hosts)
            await record.step(CONFIRM, () => hosts.confirm());
        if (connection.kind === 'management-api') {
            const name = restorePointName(settings.run);
            log({ kind: 'progress', text: `making the restore point ${name}` });
            await record.step('restore point', () => makeRestorePoint(connection, name, signal));
            record.facts.backupPath = `restore-point:${name}`;
            record.summarise(`The project can be restored to the point ${name}.`);
            return;
        }
        const order = await record.step('find a pg_dump that fits the server', () => prepareDump(work, connection), ({ pgDump }) => `${pgDump.path}, version ${pgDump.major}`);
        const store = rules.backupTo === 'runner' ? keepOnRunner : await storeOnServer(servers);
        let path = '';
        const bytes = await record.step(order.what === 'full' ? 'pg_dump' : 'pg_dump, schema only', () => withDump(order, async (output) => {
            path = await store(backupName(settings.run.id, order.what), output);
        }), formatBytes);
        record.facts.backupPath = path;
        record.summarise(`Backup of ${formatBytes(bytes)} in ${path}.`);
        if (rules.backupTo === 'runner')
            log({
                kind: 'notice',
                problem: {
                    message: 'the backup lies on the runner and is lost with the job',
                    next: 'Keep it with actions/upload-artifact (path: the output backup-path), or use backup-to: vps.',
                },
            });
    });
}
async function prepareDump({ database, settings, signal }, { address, caCertificate }) {
    const { backup, lockTimeout } = settings.database;
    const results = await database.send(`select current_setting('server_version_num')::int / 10000 as major, pg_catalog.pg_backend_pid() as pid`, { deadline: 30_000, signal });
    const { major, pid } = lastRow(results);
    await database.confirmBackend?.(Number(pid), signal);
    const chosen = await pgDumpFor(database.transport, Number(major));
    if ('message' in chosen)
        throw new Failure(chosen);
    const what = backup === 'full' ? 'full' : 'schema';
    return { pgDump: chosen, address, caCertificate, what, lockTimeout, signal };
}
/** Sorts by time. */
function backupName(runId, what, now = new Date()) {
    const time = now.toISOString().replace(/[-:]|\.\d+/g, '');
    return `${time}-${runId.replace(/[^\w-]/g, '')}-${what}.dump`;
}
async function storeOnServer(servers) {
    const [host] = servers?.fleet.hosts ?? [];
    if (!servers || !host)
        throw new Failure({ message: 'backup-to is vps, but there is no server' });
    const { settings, signal } = servers;
    const [look] = await inspectFleet(servers);
    if (look?.problem)
        throw new Failure(look.problem);
    const state = look?.facts?.stateFolder;
    if (state === undefined)
        throw new Failure({
            message: 'the server has no state folder that a backup could be put into',
            next: 'Make it writable for the login, or use backup-to: runner.',
        });
    const folder = `${state}/backups`;
    return async (name, content) => {
        const path = await storeFile(host, { folder, name, content }, signal);
        await keepNewest(host, folder, '.dump', settings.vps.keepReleases, signal);
        return path;
    };
}
async function keepOnRunner(name, content) {
    const folder = (0,external_node_path_.join)(process.env.RUNNER_TEMP || (0,external_node_os_namespaceObject.tmpdir)(), 'muva-backups');
    (0,external_node_fs_.mkdirSync)(folder, { recursive: true, mode: 0o700 });
    const path = (0,external_node_path_.join)(folder, name);
    const part = `${path}.part`;
    try {
        await (0,external_node_stream_promises_namespaceObject.pipeline)(content, (0,external_node_fs_.createWriteStream)(part, { mode: 0o600, flags: 'wx' }));
        (0,external_node_fs_.renameSync)(part, path);
        return path;
    }
    catch (error) {
        (0,external_node_fs_.rmSync)(part, { force: true });
        throw error;
    }
}

;// CONCATENATED MODULE: ./compiled/src/lib/merge-facts.js
/** The facts of all phases as one: later phases win, lists of migrations grow. */
function mergeFacts(phases) {
    const merged = {};
    for (const { facts } of phases) {
        const applied = union(merged.applied, facts.applied);
        const reverted = union(merged.reverted, facts.reverted);
        const hosts = mergeHosts(merged.hosts ?? [], facts.hosts ?? []);
        Object.assign(merged, facts);
        if (applied)
            merged.applied = applied;
        if (reverted)
            merged.reverted = reverted;
        if (hosts.length > 0)
            merged.hosts = hosts;
    }
    return merged.hosts ? withLive(merged, merged.hosts) : merged;
}
/** The outputs name what the first host serves of which that is known. */
function withLive({ deployedSha: _sha, release: _release, ...facts }, hosts) {
    const live = hosts.find((host) => host['deployed-sha'] !== undefined);
    return {
        ...facts,
        ...(live?.['deployed-sha'] === undefined ? {} : { deployedSha: live['deployed-sha'] }),
        ...(live?.release === undefined ? {} : { release: live.release }),
    };
}
function union(before, more) {
    if (!before)
        return more;
    return [...new Set([...before, ...(more ?? [])])];
}
/** What is known of each host: a later fact adds to what an earlier phase found, or takes its place. */
function mergeHosts(before, more) {
    const known = new Map(before.map((fact) => [fact.host, fact]));
    for (const fact of more) {
        const earlier = known.get(fact.host);
        // "unchanged" says that this phase had nothing to do there; what an earlier one did stays true.
        const stays = fact.outcome === 'unchanged' && earlier !== undefined && earlier.outcome !== 'unchanged';
        known.set(fact.host, isBackAfterAll(earlier, fact)
            ? { ...withoutDetail(earlier), ...fact, outcome: 'rolled-back' }
            : stays
                ? earlier
                : { ...knownStill(earlier, fact), ...fact });
    }
    return [...known.values()].sort((a, b) => a.host - b.host);
}
/** A put-back that failed was made good meanwhile: nothing was left to undo, and what serves is known. */
function isBackAfterAll(earlier, fact) {
    return (earlier?.outcome === 'rollback-failed' &&
        fact.outcome === 'unchanged' &&
        fact['deployed-sha'] !== undefined);
}
function withoutDetail({ detail: _, ...fact }) {
    return fact;
}
/** Where it is not known what a host serves now, what it served before says nothing. */
function knownStill(earlier, { outcome }) {
    if (earlier === undefined)
        return {};
    if (outcome !== 'unknown' && outcome !== 'rollback-failed')
        return earlier;
    const { 'deployed-sha': _sha, release: _release, ...rest } = earlier;
    return rest;
}
/** The checks that fail now and did not fail before this run. A check that was not made before counts as good then. */
function newlyFailing(before, now) {
    const wasBad = new Set(before.filter((fact) => !fact.ok).map((fact) => `${fact.from} ${fact.name}`));
    return now.filter((fact) => !fact.ok && !wasBad.has(`${fact.from} ${fact.name}`));
}

;// CONCATENATED MODULE: ./compiled/src/pipeline/decide.js


const UNCHANGED = { database: false, code: false };
/** `before`: what an earlier attempt of the same run left standing, as the plan found it. */
function changesOf(phases, before = UNCHANGED) {
    const facts = mergeFacts(phases);
    const hosts = facts.hosts ?? [];
    const unanswered = phases.some(({ phase, outcome }) => phase === 'migrate' && outcome === 'unknown');
    return {
        database: before.database || unanswered || standing(facts).length > 0,
        code: before.code || hosts.some(({ outcome }) => outcome === 'deployed' || outcome === 'unknown'),
    };
}
/** What this run applied and nobody has taken back since. */
function standing({ applied = [], reverted = [] }) {
    return applied.filter((version) => !reverted.includes(version));
}
/** Versions, newest first, that stay applied although no host serves the code that came with them; none where there is no server. */
function schemaAhead(facts) {
    const { hosts = [] } = facts;
    const newCode = hosts.some(({ outcome }) => outcome === 'deployed' || outcome === 'unknown');
    const known = facts.schemaAhead ?? [];
    return hosts.length === 0 || newCode ? known : [...new Set([...known, ...standing(facts).reverse()])];
}
/**
 * Milliseconds for which the code that served had not come with the schema: from this run's first commit until the last
 * host served the new version, or the down files were committed. Undefined where the old code stays, or no server is
 * known.
 */
function schemaLead(phases) {
    const when = (name) => phases.find(({ phase, changedAt }) => phase === name && changedAt !== undefined)?.changedAt;
    const facts = mergeFacts(phases);
    if ((facts.applied ?? []).length === 0)
        return phases.some(({ phase }) => phase === 'migrate') ? 0 : undefined;
    const from = when('migrate');
    if (from === undefined)
        return undefined;
    const undone = standing(facts).length === 0;
    const served = (facts.hosts ?? []).some(({ outcome }) => outcome === 'deployed');
    const until = undone
        ? when('rollback')
        : served && schemaAhead(facts).length === 0
            ? when('redeploy')
            : undefined;
    return until === undefined ? undefined : Math.max(0, Math.round(until - from));
}
/**
 * Whether a deploy that did not succeed is undone. Only a failure that this run can have caused counts: an edge
 * fault leaves good code in place, and what was changed decides what there is to undo.
 */
function decideRollback(phases, before, rollbackOnFailure, earlier = UNCHANGED) {
    const failed = firstFailure(phases);
    if (!failed)
        return { rollback: false, why: 'Nothing failed.' };
    const changes = changesOf(phases, earlier);
    if (!changes.database && !changes.code)
        return { rollback: false, why: nothingToUndo(failed) };
    if (failed.phase === 'health' && failed.facts.verdict === 'edge') {
        return {
            rollback: false,
            why: 'The application is good on the server and bad through the public URL: DNS, TLS or the proxy. The new version stays.',
        };
    }
    const asked = failed.phase === 'health' ? (failed.facts.health ?? []) : [];
    // Without a single answer it is not known that the new version is no worse than the old one.
    if (asked.length > 0 && newlyFailing(before, asked).length === 0) {
        return {
            rollback: false,
            why: 'What fails now failed before this deploy too, so it is no reason to take the new version back.',
        };
    }
    const served = phases.some((phase) => phase.phase === 'health' && phase.outcome === 'passed');
    if (served && failed.phase === 'migrate') {
        return {
            rollback: false,
            why: 'The new version is healthy; only the migrations that wait for that (after-health) failed.',
        };
    }
    if (!rollbackOnFailure)
        return { rollback: false, why: 'rollback-on-failure is false: the changes of this run stay.' };
    return { rollback: true, why: `Phase ${failed.phase} failed.` };
}
/** The worker on a server puts its old version back by itself, or has told why it could not. */
function nothingToUndo({ facts }) {
    const hosts = facts.hosts ?? [];
    const where = hosts.length > 1 ? 'Every server that was changed' : 'The server';
    if (hosts.some((host) => host.outcome === 'rollback-failed'))
        return 'The previous version could not be put back; nothing else was changed.';
    if (hosts.some((host) => host.outcome === 'rolled-back'))
        return `${where} has put the previous version back already; nothing else was changed.`;
    return 'This run changed nothing that could be undone.';
}
/** The phase that the run failed in: the first that failed or ended unknown. */
function firstFailure(phases) {
    return phases.find((phase) => phase.phase !== 'rollback' && (phase.outcome === 'failed' || phase.outcome === 'unknown'));
}
/**
 * What a person does now. The last word belongs to a rollback that did not end well: what it says by hand puts back
 * what is still changed, whatever failed first.
 */
function nextActionOf(phases, runId) {
    const bad = ({ outcome }) => outcome === 'failed' || outcome === 'unknown';
    const back = phases.find((phase) => phase.phase === 'rollback' && bad(phase));
    const actions = (back ?? firstFailure(phases))?.problems.flatMap(({ next }) => next ?? []) ?? [];
    // Commands by hand stand last, behind the reasons why nothing else could do it.
    if (back)
        return actions.at(-1) ?? `Start the rollback again: mode: rollback with run-id: ${runId}.`;
    const broken = mergeFacts(phases).hosts?.some((host) => host.outcome === 'rollback-failed');
    return broken ? actions.at(-1) : actions[0];
}
/** The one decision from which outcome, hosts, commits, kept versions and the headline are told. */
function endOf(phases, mode, cancelled) {
    const facts = mergeFacts(phases);
    const ahead = schemaAhead(facts);
    return {
        outcome: outcomeOf(phases, facts.hosts ?? [], mode, cancelled),
        facts: {
            ...facts,
            rolledBack: facts.rolledBack === true || (facts.hosts ?? []).some(isBack),
            ...(ahead.length === 0 ? {} : { schemaAhead: ahead }),
            ...(0,defined_only/* definedOnly */.U)({ schemaLeadMs: schemaLead(phases) }),
        },
    };
}
const isBack = ({ outcome }) => outcome === 'rolled-back';
/** What the whole run is called in the output `outcome`. `hosts`: what became of each in all phases together. */
function outcomeOf(phases, hosts, mode, cancelled) {
    const broken = hosts.some(({ outcome }) => outcome === 'rollback-failed');
    const rollback = phases.find((phase) => phase.phase === 'rollback' && phase.outcome !== 'skipped');
    const failed = firstFailure(phases);
    if (rollback) {
        if (rollback.outcome === 'unknown')
            return 'unknown';
        // Where nobody answers, neither the deploy nor the rollback can be called anything else.
        if (rollback.outcome === 'failed' && failed?.outcome === 'unknown')
            return 'unknown';
        // A rollback that a person stopped has neither failed nor been done; the post step takes it up again.
        if (rollback.outcome === 'failed' && cancelled)
            return 'cancelled';
        // Refused before anything was tried, a rollback that was asked for is a failure like any other.
        if (rollback.outcome === 'failed')
            return mode === 'rollback' && rollback.facts.rolledBack === undefined ? 'failure' : 'rollback-failed';
        // Where a rollback is what was asked for, it is a success; the output rolled-back says whether it had to do anything.
        if (mode === 'rollback')
            return 'success';
        if (broken)
            return 'rollback-failed';
        if (rollback.facts.rolledBack !== false)
            return 'rolled-back';
    }
    if (cancelled)
        return 'cancelled';
    if (!failed)
        return phases.some((phase) => phase.facts.hosts?.some((host) => host.outcome === 'skipped'))
            ? 'skipped'
            : 'success';
    if (failed.outcome === 'unknown')
        return 'unknown';
    if (broken)
        return 'rollback-failed';
    // The servers put the old version back by themselves; what stays of the schema is told by schema-ahead.
    const { code } = changesOf(phases);
    return hosts.some(isBack) && !code ? 'rolled-back' : 'failure';
}

// EXTERNAL MODULE: ./compiled/src/lib/loopback.js
var loopback = __nccwpck_require__(170);
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
            at = html_after(html, '-->', at + 4);
        else if (next === '!' || next === '?' || next === '/')
            at = html_after(html, '>', at + 2);
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
function html_after(html, mark, from) {
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
        return { name, value: html_decode(html.slice(next + 1, end)), end: Math.min(html.length, end + 1) };
    }
    let end = next;
    while (end < html.length && !SPACE.has(html[end]) && html[end] !== '>')
        end += 1;
    return { name, value: html_decode(html.slice(next, end)), end };
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
function html_decode(text) {
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
    const ownName = (0,loopback/* isLoopback */.U)(page.hostname) && (0,loopback/* isLoopback */.U)(url.hostname) && url.port === page.port;
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

;// CONCATENATED MODULE: ./compiled/src/http/check.js
/** The budget allows no more requests now. */
class NoTurn extends Error {
}

;// CONCATENATED MODULE: ./compiled/src/http/loopback-lookup.js
/** The name under which a program of this machine is asked, whether it listens on IPv4 or IPv6. */
const loopback_lookup_LOOPBACK = 'localhost';
const ADDRESSES = [
    { address: '127.0.0.1', family: 4 },
    { address: '::1', family: 6 },
];
/**
 * Both addresses of `LOOPBACK`, for a connection that tries one after the other: an application may listen on either
 * alone. The hosts file of the machine is not asked.
 */
const loopback_lookup_lookupLoopback = (_name, { all }, done) => {
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
    const within = `within ${(0,duration/* formatDuration */.a)(timeout)}`;
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
        Promise.resolve(/* import() */).then(__nccwpck_require__.t.bind(__nccwpck_require__, 7067, 23)),
        Promise.resolve(/* import() */).then(__nccwpck_require__.t.bind(__nccwpck_require__, 7030, 23)),
        Promise.resolve(/* import() */).then(__nccwpck_require__.t.bind(__nccwpck_require__, 1692, 23)),
        Promise.resolve(/* import() */).then(__nccwpck_require__.t.bind(__nccwpck_require__, 8522, 23)),
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
    if (isAddress(bareHost(url)) || bareHost(url) === loopback_lookup_LOOPBACK)
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
            ...(0,defined_only/* definedOnly */.U)({ certificateDays }),
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
        ...(host === loopback_lookup_LOOPBACK ? { lookup: loopback_lookup_lookupLoopback } : {}),
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
        ...(0,defined_only/* definedOnly */.U)({ limited }),
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
    if (location === undefined || !(0,loopback/* isLoopback */.U)(from.hostname))
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
    return publicOrigin !== undefined && (0,loopback/* isLoopback */.U)(from.hostname) && to.host === new URL(publicOrigin).host;
}
function isLoopbackItself(from, to) {
    return (0,loopback/* isLoopback */.U)(from.hostname) && (0,loopback/* isLoopback */.U)(to.hostname) && from.port === to.port;
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
            ...(0,defined_only/* definedOnly */.U)({ certificateDays: error.certificateDays }),
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
        return { ...judgePage(page, path, health), status, timings, ...(0,defined_only/* definedOnly */.U)({ certificateDays }) };
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
            ...(0,defined_only/* definedOnly */.U)({ next }),
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

;// CONCATENATED MODULE: ./compiled/src/http/verdict.js


/** Checks that say how the database is, not the application. */
const DATABASE_CHECKS = { database: 'database', rest: 'supabase-rest' };
/** Days before the end of a certificate from which on it is warned of; renewal is due at 30. */
const CERTIFICATE_WARNING_DAYS = 14;
/**
 * Says from all checks whose fault it is. `before` is what the same checks found before this run: only what passed
 * then and fails now is blamed, as long as there is any such. A check that was not made before counts as good then.
 */
function judgeHealth(facts, before, options) {
    const failing = facts.filter((fact) => !fact.ok);
    const warnings = [...limitWarnings(facts), ...certificateWarnings(facts)];
    if (failing.length === 0) {
        const slow = slowest(facts, options.maxLatency);
        if (slow === undefined)
            return { verdict: 'ok', healthy: true, problems: [], warnings };
        return { verdict: 'slow', healthy: true, problems: [], warnings: [slow, ...warnings] };
    }
    const fresh = newlyFailing(before, failing);
    const blamed = fresh.length > 0 ? fresh : failing;
    const verdict = verdict_blame(facts, blamed);
    const rest = failing.filter((fact) => !blamed.includes(fact));
    const told = [...causeFirst(blamed, verdict), ...rest];
    const problems = told.map((fact) => problemOfFact(fact, !fresh.includes(fact)));
    problems[0] = { ...problems[0], next: nextActionOfVerdict(verdict, told[0], options) };
    return { verdict, healthy: false, problems, warnings };
}
function verdict_blame(facts, blamed) {
    // An application that reports its database's trouble is not at fault itself.
    if (blamed.some(isDatabase))
        return 'database';
    const inside = facts.filter((fact) => fact.from === 'vps' && !isDatabase(fact));
    if (inside.length > 0 && inside.every((fact) => fact.ok))
        return 'edge';
    // Where the server was not asked, such faults still lie outside of the application for certain.
    const outside = blamed.every((fact) => fact.from === 'runner' && fact.fault !== undefined && NEVER_THE_APP.has(fact.fault));
    return outside ? 'edge' : 'app';
}
/** A name that does not resolve, a network without a way there, a certificate that is refused. */
const NEVER_THE_APP = new Set(['dns', 'route', 'tls']);
function isDatabase(fact) {
    return fact.name === DATABASE_CHECKS.database || fact.name === DATABASE_CHECKS.rest;
}
/** With several servers the name carries the server's position. */
function isAssets(fact) {
    return fact.name === 'assets' || fact.name.endsWith(' assets');
}
/** The facts that fit the verdict before the others, so that the first problem told is the cause. */
function causeFirst(facts, verdict) {
    const fits = (fact) => verdict === 'database'
        ? isDatabase(fact)
        : verdict === 'app'
            ? fact.from === 'vps' && !isAssets(fact)
            : fact.name === 'certificate';
    return [...facts.filter(fits), ...facts.filter((fact) => !fits(fact))];
}
function problemOfFact(fact, failedBefore) {
    const since = failedBefore ? ' (it failed before this run too)' : '';
    return { message: `${checkPlace(fact)}: ${fact.detail ?? 'is not healthy'}${since}` };
}
/** A check's name with the place it was asked from, as steps and problems have it. */
function checkPlace(fact) {
    return fact.from === 'vps' ? `${fact.name} on the server` : fact.name;
}
function nextActionOfVerdict(verdict, cause, options) {
    if (cause.name === DATABASE_CHECKS.rest && (cause.status === 401 || cause.status === 403))
        return 'Check supabase-service-role-key: the project does not take it (another project, rotated, or cut). Without it the REST endpoint is not asked.';
    // What the check itself advises, unless the fault lies on the way there, of which it knows nothing.
    if (cause.next !== undefined && (verdict === 'app' || cause.fault === 'redirect'))
        return cause.next;
    if (verdict === 'edge')
        return 'The application itself is not at fault: check DNS, the TLS certificate and the proxy in front of it (nginx -t, its error log). The new version is left serving.';
    if (verdict === 'database')
        return 'Check that the database is up and reachable, and that the migrations left what the application needs.';
    return options.appName === undefined
        ? "Look at the application's own log."
        : `Look at the application's own log: pm2 logs ${options.appName}`;
}
function slowest(facts, maxLatency) {
    if (maxLatency === undefined)
        return undefined;
    const late = facts
        .filter((fact) => !isAssets(fact) && (fact['latency-ms'] ?? 0) > maxLatency)
        .sort((a, b) => b['latency-ms'] - a['latency-ms'])[0];
    if (late === undefined)
        return undefined;
    return {
        message: `${checkPlace(late)} is healthy but slow: ${(0,duration/* formatDuration */.a)(late['latency-ms'])}, more than health-max-latency (${(0,duration/* formatDuration */.a)(maxLatency)})`,
        next: 'See in the report which part of the way takes the time: dns, connect, tls or first byte.',
    };
}
/** Warnings of checks that only ever answered 429: they pass, because nothing is known against them. */
function limitWarnings(facts) {
    return facts
        .filter(({ ok, status }) => ok && status === 429)
        .map((fact) => ({
        message: `${checkPlace(fact)} could not be judged: it answers 429, too many requests`,
        next: "Leave the health paths out of the application's rate limit, or see what else asks it so often.",
    }));
}
function certificateWarnings(facts) {
    return facts
        .filter((fact) => fact.name === 'certificate' && fact.ok && daysOf(fact) < CERTIFICATE_WARNING_DAYS)
        .map((fact) => ({
        message: `the TLS certificate is ${fact.detail}`,
        next: 'Renew it, and check that automatic renewal works.',
    }));
}
function daysOf(fact) {
    return fact['days-left'] ?? Number.POSITIVE_INFINITY;
}

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
    (0,external_node_events_.setMaxListeners)(0, controller.signal);
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
        ...(0,defined_only/* definedOnly */.U)({ requests, once: health.once, signal: options.signal, onAttempt: options.onAttempt }),
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
    ...verified_tls/* VERIFIED_TLS */.r,
    headers: { 'user-agent': 'muva-deploy-action' },
};
/**
 * True where the URL answers at all (any status below 500) within `timeout` milliseconds. Very light: nothing is
 * judged and no body is read, so that it can be asked many times a second during a cutover. Never rejects.
 */
async function answers(url, timeout) {
    const protocol = url.startsWith('https:') ? await Promise.resolve(/* import() */).then(__nccwpck_require__.t.bind(__nccwpck_require__, 4708, 23)) : await Promise.resolve(/* import() */).then(__nccwpck_require__.t.bind(__nccwpck_require__, 7067, 23));
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
        ...(0,defined_only/* definedOnly */.U)({ detail: look.detail, timings: look.timings }),
        ...(ok || look.fault === undefined ? {} : { fault: look.fault }),
        ...(ok || look.next === undefined ? {} : { next: look.next }),
    };
}

;// CONCATENATED MODULE: ./compiled/src/http/waiting-progress.js

/** Milliseconds between two messages about what is still being waited for. */
const EVERY = 10_000;
/** Says now and then which checks are not good yet, and what to do about them, while they are asked on. */
function tellWaiting(tell, every = EVERY) {
    const started = performance.now();
    const waiting = new Map();
    const timer = setInterval(() => {
        const after = (0,duration/* formatDuration */.a)(performance.now() - started);
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

;// CONCATENATED MODULE: ./compiled/src/server/fleet/probe-fleet.js



/** Milliseconds for connecting and finding the entry, on top of the time that the checks are given. */
const AROUND = 30_000;
/**
 * Asks the application on the loopback of every server, until it is healthy or the health deadline is reached.
 * With several servers the checks carry the server's position. Writes nothing. `once`: a check that was good is not
 * asked again.
 */
async function probeFleet({ fleet, settings, signal }, once = false) {
    const request = probeRequest(settings, once);
    const deadline = settings.health.deadline + AROUND;
    const facts = await Promise.all(fleet.hosts.map(async (host) => {
        const answer = await askWorker(fleet, host, request, { deadline, signal });
        if (answer.kind !== 'probed')
            throw new Failure({ message: `${host.prefix}the worker answered something else` });
        return answer.health.map((fact) => ({ ...fact, from: 'vps', name: host.prefix + fact.name }));
    }));
    return facts.flat();
}

;// CONCATENATED MODULE: ./compiled/src/pipeline/health-checks.js














/** Where an application can be asked: `health-from` chooses, as far as URL and servers are known. */
function vantagePoints({ database, servers, settings }) {
    const { url, from, rest } = settings.health;
    return {
        ...(0,defined_only/* definedOnly */.U)({ database: database?.database, rest }),
        ...(url !== undefined && from !== 'vps' ? { outside: url } : {}),
        ...(servers && from !== 'runner' ? { inside: (once = false) => probeFleet(servers, once) } : {}),
    };
}
/**
 * Polls everything there is to ask in parallel. Facts come in a fixed order: database, public URL, servers.
 * Where the servers cannot be reached over SSH, the others still count and a warning says so.
 */
async function askEverything(tools, points, asking = {}) {
    const started = performance.now();
    const { settings } = tools;
    const { health } = settings;
    const settledAfter = new Map();
    const waiting = tellWaiting((text) => tools.log({ kind: 'progress', text }));
    const told = (from) => (name, attempt, look) => {
        const place = checkPlace({ name, from });
        if (!look.ok || waiting.has(place) || attempt === 1)
            settledAfter.set(place, performance.now() - started);
        waiting.note(place, attempt, look);
    };
    const onAttempt = told('runner');
    const { signal } = tools;
    try {
        const [data, outside, inside] = await Promise.all([
            poll(dataChecks(points), { ...health, ...asking, signal, onAttempt }),
            points.outside === undefined
                ? []
                : checkHealth({ baseUrl: points.outside, from: 'runner' }, { ...health, ...asking }, { signal, onAttempt, counted: countedAt(points.outside, settings, asking.expectSha) }),
            points.inside === undefined ? [] : askInside(tools.log, points.inside, points.outside !== undefined),
        ]);
        const now = performance.now() - started;
        for (const fact of inside)
            settledAfter.set(checkPlace(fact), now);
        return {
            facts: [...data.map((finding) => checkFact('runner', finding)), ...outside, ...inside],
            settledAfter,
        };
    }
    finally {
        waiting.stop();
    }
}
/** What this process has asked of each origin. */
const ledgers = new Map();
/** `sha`: the version that is asked; before a deploy it is another one. */
function countedAt(url, settings, sha = 'before') {
    const { origin } = new URL(url);
    const ledger = ledgers.get(origin) ?? memoryLedger();
    ledgers.set(origin, ledger);
    return { ledger, budget: requestBudget(settings, 'runner'), version: sha };
}
async function askInside(log, inside, outsideToo) {
    try {
        return await inside();
    }
    catch (error) {
        if (error instanceof Cancelled || !outsideToo)
            throw error;
        const [problem] = problemsOf(error);
        log({
            kind: 'warning',
            problem: {
                ...problem,
                message: `the application could not be asked on the server: ${problem.message}`,
            },
        });
        return [];
    }
}
function dataChecks(points) {
    const { database, rest } = points;
    return [
        ...(database ? [{ name: DATABASE_CHECKS.database, ask: (ask) => askDatabase(database, ask) }] : []),
        ...(rest ? [{ name: DATABASE_CHECKS.rest, ask: (ask) => askRest(rest, ask) }] : []),
    ];
}
async function askDatabase(database, ask) {
    const started = performance.now();
    const look = (rest) => ({
        ok: false,
        status: null,
        timings: { ...NOT_MEASURED, total: tenths(performance.now() - started) },
        ...rest,
    });
    const timeout = ask.timeout();
    // A connection is made with patience, longer than one try here may take.
    const own = followingController(ask.signal);
    const timer = setTimeout(() => own.abort(), timeout);
    try {
        const sending = database.send('select 1', { deadline: timeout, signal: own.signal });
        await Promise.race([sending, forever(own.signal)]);
        return look({ ok: true });
    }
    catch (error) {
        if (ask.signal.aborted)
            throw new Cancelled();
        if (own.signal.aborted)
            return look({ fault: 'timeout', detail: `no answer within ${(0,duration/* formatDuration */.a)(timeout)}` });
        const [problem] = problemsOf(error);
        return look({
            fault: 'query',
            detail: problem.message,
            // A wrong password must not be tried again and again: poolers lock the door after a few.
            ...(isHopeless(error, problem.code) ? { lasting: 'certain' } : {}),
        });
    }
    finally {
        clearTimeout(timer);
        own.abort();
    }
}
const NOT_MEASURED = { dns: null, connect: null, tls: null, 'first-byte': null };
/** True where the server itself refused, and not for a reason that passes. */
function isHopeless(error, code) {
    if (code === '401' || code === '403')
        return true;
    const fromServer = code !== undefined && /^[0-9FHPX][0-9A-Z]{4}$/.test(code);
    return fromServer && !health_checks_PASSING.has(code) && errorMeaning(error) === 'stop';
}
/** SQLSTATEs of a server that is starting, stopping or full. */
const health_checks_PASSING = new Set(['53300', '57P01', '57P02', '57P03']);
/** Whether PostgREST answers for the project. The key goes into headers and nowhere else. */
function askRest(rest, ask) {
    const key = rest.key.reveal();
    return looking(async () => {
        const answer = await ask.get(new URL(rest.url), {
            bodyLimit: 0,
            headers: { apikey: key, authorization: `Bearer ${key}` },
        });
        const { status, timings } = answer;
        if (status === 429)
            return { ...limitedLook(answer), timings };
        if (status >= 200 && status <= 299)
            return { ok: true, status, timings };
        const refused = status === 401 || status === 403;
        return {
            ok: false,
            status,
            timings,
            fault: 'status',
            detail: refused ? `answers ${status}: the service key is not accepted` : `answers ${status}`,
            ...(refused ? { lasting: 'likely' } : {}),
        };
    });
}

;// CONCATENATED MODULE: ./compiled/src/pipeline/health.js







/**
 * Asks the database, the public URL and the servers in parallel until all are healthy or the deadline is reached,
 * and says whose fault it is if not. Writes nothing.
 */
async function health(work, options = {}) {
    const { settings, log } = work;
    const points = vantagePoints(work);
    return runPhase('health', log, describePoints(points, settings.health), async (record) => {
        if (Object.keys(points).length === 0)
            throw nothingToAsk(settings.health);
        const startedAt = Date.now();
        const { facts, settledAfter } = await askEverything(work, points, (0,defined_only/* definedOnly */.U)({ expectSha: commit(options.expectSha) }));
        const judgement = judgeHealth(facts, options.before ?? [], {
            ...settings.health,
            ...(settings.vps ? { appName: settings.vps.appName } : {}),
        });
        record.facts.health = facts;
        record.facts.healthy = judgement.healthy;
        record.facts.verdict = judgement.verdict;
        const took = Date.now() - startedAt;
        for (const fact of facts) {
            record.add({
                name: checkPlace(fact),
                outcome: fact.ok ? 'passed' : 'failed',
                startedAt,
                milliseconds: Math.round(settledAfter.get(checkPlace(fact)) ?? took),
                detail: describeFact(fact),
            });
        }
        for (const problem of judgement.warnings)
            log({ kind: 'warning', problem });
        const { verdict } = judgement;
        if (!judgement.healthy) {
            record.summarise(`health failed after ${(0,duration/* formatDuration */.a)(took)}, verdict ${verdict}.`);
            throw new Failure(judgement.problems);
        }
        const checks = `${facts.length} ${facts.length === 1 ? 'check' : 'checks'}`;
        record.summarise(`healthy after ${(0,duration/* formatDuration */.a)(took)}: ${checks} passed, verdict ${verdict}, ${settings.health.successes} good answers in a row each.`);
    });
}
/** Milliseconds that the look before a deploy may take: for the checks, and for reaching the servers as well. */
const BASELINE = { checks: 3_000, servers: 8_000 };
/**
 * One quick look before anything is changed, so that what is broken already is not blamed on this run. One good
 * answer within three seconds is enough, so that a hiccup now does not excuse a fault later. The expected version
 * is not asked for, because the old one still serves. What gives no answer in time is left out, and so counts as
 * good: had it been given all of `health-timeout`, it might have answered. The database is left to the plan, which
 * uses the same connection at the same time and passes only where it answers. Never fails.
 */
async function healthBaseline(work) {
    const { expectVersion: _notYet, ...health } = work.settings.health;
    const timeout = Math.min(health.timeout, BASELINE.checks);
    const quick = askedBy(work, {
        ...health,
        successes: 1,
        timeout,
        deadline: Math.min(health.deadline, BASELINE.checks),
        // A server asks for those of the new version before it is live; requests are few.
        checkAssets: health.checkAssets && vantagePoints(work).inside === undefined,
    });
    const { inside, database: _planned, ...near } = vantagePoints(quick);
    const [here, servers] = await Promise.all([
        askEverything(quick, near, { once: true }).then(({ facts }) => facts),
        inside === undefined ? [] : inTime(inside(true)),
    ]).catch(() => [[], []]);
    const hurried = timeout < health.timeout;
    return [...here, ...servers].filter(({ ok, fault }) => ok || !hurried || fault !== 'timeout');
}
/** The same work, without a word, under other settings of health. */
function askedBy(work, health) {
    const log = () => { };
    const { servers, settings } = work;
    return {
        ...work,
        log,
        settings: { ...settings, health },
        ...(servers && { servers: { ...servers, log, settings: { ...servers.settings, health } } }),
    };
}
/** The facts, or none where they do not come in time or the servers cannot be asked. */
async function inTime(asking) {
    let timer;
    const late = new Promise((resolve) => {
        timer = setTimeout(() => resolve([]), BASELINE.servers);
    });
    try {
        return await Promise.race([asking.catch(() => []), late]);
    }
    finally {
        clearTimeout(timer);
    }
}
function commit(ref) {
    return ref !== undefined && /^[0-9a-f]{7,40}$/i.test(ref) ? ref : undefined;
}
function nothingToAsk(health) {
    const why = {
        both: 'no database, no health-url and no server is given',
        runner: 'health-from is runner, and health-url is empty',
        vps: 'health-from is vps, and no server is given',
    }[health.from];
    return new Failure({
        message: `there is nothing to ask: ${why}`,
        next: `${health.from === 'vps' ? 'Give ssh-host' : 'Set health-url'}, or list health in skip.`,
    });
}
function describePoints(points, health) {
    const places = [
        ...(points.database ? ['the database'] : []),
        ...(points.rest ? ["Supabase's REST endpoint"] : []),
        ...(points.outside === undefined ? [] : ['the public URL']),
        ...(points.inside ? ['the server'] : []),
    ];
    const pages = points.outside !== undefined || points.inside !== undefined;
    const unasked = pages && health.checkAssets && assetsPage(health) === undefined
        ? '; scripts and styles are not asked for, as no health path is a page'
        : '';
    return `asking ${places.join(', ') || 'nothing'} for at most ${(0,duration/* formatDuration */.a)(health.deadline)}${unasked}`;
}
/** `200 in 38 ms (dns 2, connect 3, tls 12, first byte 20), 2 tries`, with the reason where it is not ok. */
function describeFact(fact) {
    const latency = fact['latency-ms'];
    const answer = [
        ...(fact.status === null || fact.detail !== undefined ? [] : [String(fact.status)]),
        ...(latency === null ? [] : [`in ${(0,duration/* formatDuration */.a)(latency)}${timingParts(fact.timings)}`]),
    ].join(' ');
    const tries = `${fact.attempts} ${fact.attempts === 1 ? 'try' : 'tries'}`;
    return [fact.detail, answer, fact.name === 'certificate' ? '' : tries].filter(Boolean).join(', ');
}
function timingParts(timings) {
    if (timings === undefined)
        return '';
    const parts = ['dns', 'connect', 'tls', 'first-byte']
        .filter((part) => timings[part] !== null)
        .map((part) => `${part.replace('-', ' ')} ${Math.round(timings[part])}`);
    return parts.length === 0 ? '' : ` (${parts.join(', ')})`;
}

;// CONCATENATED MODULE: ./compiled/src/database/migrations/created-objects.js


function createdByFiles(files) {
    const tables = [];
    const functions = [];
    const secured = [];
    const policies = [];
    let more = false;
    for (const { file, shape } of files) {
        const name = (0,external_node_path_.basename)(file);
        if (!shape.statements)
            more = true;
        for (const statement of shape.statements ?? []) {
            const { kind, node } = statement;
            const relation = (of) => {
                const { schemaname, relname } = (of ?? {});
                return { schema: created_objects_textOf(schemaname), name: String(relname), file: name };
            };
            const made = createdTable(statement);
            if (made)
                tables.push(relation(made));
            if (kind === 'RenameStmt' && node.renameType === 'OBJECT_TABLE')
                tables.push({ ...relation(node.relation), name: String(node.newname) });
            if (kind === 'AlterObjectSchemaStmt' && node.objectType === 'OBJECT_TABLE')
                tables.push({ ...relation(node.relation), schema: String(node.newschema) });
            if (kind === 'CreateFunctionStmt')
                functions.push({ ...qualifiedName(node.funcname), file: name, ...argumentsOf(node) });
            if (kind === 'AlterTableStmt' && subtypes(node).includes('AT_EnableRowSecurity'))
                secured.push(relation(node.relation));
            if (kind === 'CreatePolicyStmt')
                policies.push(relation(node.table));
            more ||= isOpaque(statement);
        }
    }
    return {
        table: (wanted) => find(tables, wanted),
        function: (wanted) => find(functions.filter((each) => sameArguments(wanted.arguments, each.arguments)), wanted),
        rowSecurity: (table) => find(secured, table),
        policy: (table) => find(policies, table),
        more,
    };
}
function find(made, { schema, name }) {
    return made.find((each) => each.name === name && (each.schema ?? schema) === schema)?.file;
}
function createdTable({ kind, node }) {
    if (kind === 'CreateForeignTableStmt')
        return node.base?.relation;
    return /^(CreateStmt|CreateTableAsStmt|SelectStmt)$/.test(kind) ? madeRelation(kind, node) : undefined;
}
function subtypes({ cmds }) {
    return (cmds ?? []).map((each) => each.AlterTableCmd?.subtype);
}
/** Runs what cannot be read here; setting a value for the session makes nothing. */
function isOpaque({ kind, node }) {
    if (/^(DoStmt|CallStmt|ExecuteStmt|CreateExtensionStmt)$/.test(kind))
        return true;
    if (kind !== 'SelectStmt')
        return false;
    const calls = [...nodesOf(node)].filter((each) => each.FuncCall !== undefined).length;
    return calls > setConfigs(node).filter((call) => call !== undefined).length;
}
function qualifiedName(list) {
    const parts = strings(list);
    return {
        schema: parts.length > 1 ? parts[parts.length - 2] : undefined,
        name: parts[parts.length - 1] ?? '',
    };
}
/** The arguments by which a function is told from others of its name: neither OUT nor TABLE. */
function argumentsOf({ parameters }) {
    const all = (parameters ?? []).map((each) => each.FunctionParameter);
    const given = all.filter(({ mode }) => mode !== 'FUNC_PARAM_OUT' && mode !== 'FUNC_PARAM_TABLE');
    return {
        arguments: given.map(({ argType }) => {
            const { names, arrayBounds } = argType;
            const { schema, name } = qualifiedName(names);
            return { ...(schema === undefined ? {} : { schema }), name, array: arrayBounds !== undefined };
        }),
    };
}
function sameArguments(wanted, made = []) {
    if (wanted === undefined)
        return true;
    if (wanted.length !== made.length)
        return false;
    return wanted.every(({ schema, name, array }, index) => {
        const other = made[index];
        const anySchema = schema === undefined || other.schema === undefined || schema === other.schema;
        return name === other.name && array === other.array && anySchema;
    });
}
function created_objects_textOf(value) {
    return value === undefined ? undefined : String(value);
}

;// CONCATENATED MODULE: ./compiled/src/database/schema/required-schema.js




/** True where a deploy would check more of the schema than what it tells. */
function isRequired({ requiredTables, requiredFunctions, rls }) {
    return requiredTables.length > 0 || requiredFunctions.length > 0 || rls === 'all';
}
/** What a deploy would require of the schema, judged as it is now. Asks what verify asks, and counts nothing. */
async function checkRequired({ database, signal }, rules) {
    const wanted = { ...rules, rowCounts: 'off' };
    const { message, deadline } = schemaFactsQuery(wanted, false);
    try {
        const results = await retryRead(signal, () => database.send(message, { deadline, signal }));
        return judgeSchema(readSchemaRows(results), wanted).facts;
    }
    catch (error) {
        throw failureOf(error, 'looking at the required schema');
    }
}
/**
 * A schema that is not as required stays so where nothing is pending. Where something is, its text shows what it makes:
 * what nothing makes is refused, as the deploy would be at its end; what cannot be told is warned of.
 */
function judgeRequired(facts, rules, pending) {
    const problems = facts.flatMap((fact) => fact.problems);
    if (pending.length === 0) {
        const refusals = problems.map((problem) => also(problem, 'and nothing is pending'));
        return { detail: detailOf(problems), refusals, warnings: [] };
    }
    const made = createdByFiles(pending);
    const { open, unclear } = sortOut(facts, rules, made);
    const warned = made.more ? [...open, ...unclear] : unclear;
    const refusals = made.more ? [] : open.map((problem) => also(problem, 'and no pending file mends that'));
    const warning = {
        message: `not as required yet: ${warned.map(({ message }) => message).join('; ')}`,
        next: 'A deploy is refused at its end, and nothing of it is committed, unless what is pending mends that.',
    };
    const yet = [...open, ...unclear];
    const detail = yet.length === 0 && problems.length > 0 ? 'as required once the pending files ran' : detailOf(yet);
    return { detail, refusals, warnings: warned.length === 0 ? [] : [warning] };
}
const also = (problem, why) => ({
    ...problem,
    message: `${problem.message}, ${why}`,
});
function detailOf(problems) {
    if (problems.length === 0)
        return 'as required';
    return `${problems.length} ${problems.length === 1 ? 'fact is' : 'facts are'} not as required`;
}
/** What the text of the pending files does not mend, and what it cannot tell. What it mends is left out. */
function sortOut(facts, { requiredTables, requiredFunctions, rls }, made) {
    const open = [];
    const unclear = [];
    const take = (fact, mended) => void open.push(...(mended ? [] : fact.problems));
    // Facts come in the order of what is required, one for each.
    const tables = facts.filter(({ name }) => name.startsWith('table '));
    const functions = facts.filter(({ name }) => name.startsWith('function '));
    const judged = new Set([...tables, ...functions]);
    for (const [index, fact] of functions.entries())
        take(fact, made.function(requiredFunctions[index]) !== undefined);
    for (const [index, fact] of tables.entries()) {
        const table = requiredTables[index];
        const by = made.table(table);
        take(fact, by !== undefined);
        const secured = made.rowSecurity(table) !== undefined;
        const ruled = made.policy(table) !== undefined;
        const qualified = fact.name.slice('table '.length);
        const isNew = fact.problems.length > 0 && by !== undefined;
        if (isNew && rls !== 'off' && !(secured && ruled))
            open.push({
                message: `${by} makes ${qualified} without ${secured ? 'a policy' : 'row level security'}`,
                next: 'Add to a migration: alter table ... enable row level security, and create policy ...; or set rls: off.',
            });
        const rows = facts.find(({ name }) => name === `row level security of ${qualified}`);
        if (!rows)
            continue;
        judged.add(rows);
        const isOn = rows.detail?.startsWith('on') === true;
        const hasPolicy = !/\b0 policies\b/.test(rows.detail ?? '');
        take(rows, (isOn || secured) && (hasPolicy || ruled));
    }
    for (const fact of facts)
        if (!judged.has(fact))
            unclear.push(...fact.problems);
    return { open, unclear };
}

;// CONCATENATED MODULE: ./compiled/src/database/migrations/down-files.js






/** The name of the down file beside a migration. Version and name may come from a database: it is no path. */
function downName(version, name) {
    return `${version}_${name}.down.sql`;
}
/** The folder in which down files lie beside their migrations; undefined where the checkout has none. */
async function openDowns(workingDirectory, migrationsDir) {
    try {
        return await openFolder(workingDirectory, migrationsDir);
    }
    catch (error) {
        if (error instanceof Failure)
            throw error;
        const { code } = error;
        if (code === 'ENOENT' || code === 'ENOTDIR')
            return undefined;
        throw new Failure(down_files_unreadable(migrationsDir, code));
    }
}
/**
 * The down file of that name, for a migration that this action did not apply; undefined where there is none.
 * One that is there and cannot be read is a Failure: a schema must not be kept because of a wrong encoding.
 * `shown`: its path, for messages.
 */
function readDownFile(folder, name, shown) {
    const bytes = folder.read(name);
    if (bytes === undefined)
        return undefined;
    if (bytes === 'outside')
        throw new Failure(outside(shown));
    if (bytes === 'no file')
        throw new Failure(down_files_unreadable(shown, 'it is no file'));
    if ('code' in bytes)
        throw new Failure(down_files_unreadable(shown, bytes.code));
    const text = bytes.toString('utf8');
    if (bytes.includes(0) || !Buffer.from(text, 'utf8').equals(bytes))
        throw new Failure({ message: `${shown} is not valid UTF-8`, next: 'Save the file as UTF-8.' });
    return text.replace(/^\ufeff/, '');
}
function down_files_unreadable(shown, why) {
    return {
        message: `${shown} cannot be read: ${why ?? 'error'}`,
        next: 'Check the file and its permissions.',
    };
}
/**
 * A down file made fit for one transaction: its own BEGIN and COMMIT blanked as in a migration, and CONCURRENTLY
 * blanked too, because what undoes a run is undone as a whole or not at all. All offsets are kept.
 */
function prepareDown(down, parse) {
    const shape = classify(down.file, down.source, parse);
    if (shape.problems.length > 0)
        return { source: shape.source, statements: [], notices: [], problems: shape.problems };
    const { source, plain, never } = forOneTransaction(shape);
    const notices = [...shape.notices];
    const problems = [];
    if (shape.statements?.some(({ kind }) => kind === 'TransactionStmt'))
        problems.push({
            message: `${down.file} uses savepoints, which a down file cannot have`,
            next: 'Remove them: the down file runs in one transaction with its history row.',
        });
    if (shape.transactions > 1)
        problems.push({
            message: `${down.file} has COMMITs of its own, which a down file cannot have`,
            next: 'Remove them: the down file runs in one transaction with its history row.',
        });
    for (const { what } of never)
        problems.push({
            message: `${down.file} holds ${what}, which cannot run in a transaction`,
            next: 'Write the down file without it, or undo this migration by hand and use rollback-database: records.',
        });
    if (plain > 0)
        notices.push({
            message: `${down.file}: CONCURRENTLY is left out, because the rollback is one transaction; the table is locked meanwhile`,
        });
    // Where our parser did not understand the file, the server of another version may: it gets the whole.
    const whole = source.trim() === '' ? [] : [{ from: 0, to: source.length }];
    const statements = shape.statements?.map(({ from, to }) => ({ from, to })) ?? whole;
    return { source, statements, notices, problems };
}
/**
 * A file's text with CONCURRENTLY blanked: `plain` counts how often. `never`: the statements that no transaction can
 * hold in any form, such as VACUUM.
 */
function forOneTransaction(shape) {
    let { source } = shape;
    let plain = 0;
    const never = [];
    for (const statement of shape.statements ?? []) {
        const what = whyNonTransactional(statement);
        if (what === undefined)
            continue;
        const { from, to } = statement;
        const word = what.endsWith('CONCURRENTLY') ? concurrently(source, from, to) : undefined;
        if (word === undefined)
            never.push({ what, from, to });
        else {
            source = blank(source, word, word + 'concurrently'.length);
            plain++;
        }
    }
    return { source, plain, never };
}
/** Where the keyword stands in a statement that has it: the word itself, and not behind a dot, where it is a name. */
function concurrently(source, from, to) {
    let before = '';
    for (let index = skipBlanks(source, from); index < to;) {
        const next = afterToken(source, index);
        const token = source.slice(index, next);
        if (token.toLowerCase() === 'concurrently' && before !== '.')
            return index;
        before = token;
        index = skipBlanks(source, next);
    }
    return undefined;
}

;// CONCATENATED MODULE: ./compiled/src/database/shadow.js

















/** Only what comes after the last pending file without a down file can be undone, and is proven. */
function orderProof(applied, pending) {
    const last = pending.map(({ down }) => down === undefined).lastIndexOf(true);
    return { base: [...applied, ...pending.slice(0, last + 1)], proven: pending.slice(last + 1) };
}
/** Milliseconds for one file on the scratch database. */
const FILE_DEADLINE = 10 * 60_000;
/**
 * Proves on a scratch database that each pending down file undoes its migration: up, down and up again, with the
 * schema compared after every file. All of it happens in one transaction that is rolled back, so the scratch
 * database stays as it was.
 */
async function proveReversible({ log, signal }, setting, plan) {
    const { connection, shadow } = setting;
    const calm = (detail) => ({ detail, refusals: [], warnings: [] });
    refuseSameDatabase(setting);
    const { files } = await readMigrationFiles(setting.workingDirectory, setting.migrationsDir);
    const due = new Set([...plan.pending, ...plan.deferred].map(({ version }) => version));
    const { base, proven } = orderProof(files.filter(({ version }) => !due.has(version)), files.filter(({ version }) => due.has(version)));
    if (proven.length === 0)
        return calm(due.size === 0 ? 'nothing pending' : 'the newest pending file has no down file');
    const certificate = connection.caCertificate === undefined ? {} : { caCertificate: connection.caCertificate };
    const database = openDatabase({ kind: 'url', address: shadow, ...certificate }, { log, source: 'shadow-database-url' });
    try {
        if (database.transport === 'transaction-pooler')
            throw new Failure({
                message: 'shadow-database-url leads through a transaction pooler',
                next: 'Give a direct URL: the proof is one long transaction.',
            });
        const stage = { database, signal, parse: await loadParser() };
        const problems = await prove(stage, setting, base, proven);
        const unprovable = problems.filter(({ code = '' }) => NOT_IN_ONE_TRANSACTION.has(code));
        if (unprovable.length > 0)
            return { detail: 'not proven', refusals: [], warnings: unprovable.map(notProven) };
        return { detail: shadow_detailOf(proven.length, due.size, problems), refusals: problems, warnings: [] };
    }
    finally {
        await database.close();
    }
}
/** Errors of files that are good, and that only the one transaction of the proof brings about. */
const NOT_IN_ONE_TRANSACTION = new Set(['55P04', '55006']);
function notProven({ message, ...problem }) {
    return {
        ...problem,
        message: `the down files are not proven: ${message}; a deploy commits in between, and the proof is one transaction`,
        next: 'Use PostgreSQL 17 or newer for the scratch database: there a value of an enum can be used in the transaction that made the type.',
    };
}
function shadow_detailOf(proven, due, problems) {
    if (problems.length > 0)
        return 'it does not fit';
    const rest = due - proven;
    return `${proven} proven: up, down and up again${rest > 0 ? `; ${rest} have no down file, or lie below one that has none` : ''}`;
}
function refuseSameDatabase({ connection, shadow }) {
    if (connection.kind !== 'url')
        return;
    const { host, port, database } = connection.address;
    if (host === shadow.host && port === shadow.port && database === shadow.database)
        throw new Failure({
            message: 'shadow-database-url is the same database as database-url',
            next: 'Give an empty scratch database, such as a postgres service container.',
        });
}
async function prove(stage, setting, base, proven) {
    const sending = { deadline: FILE_DEADLINE, signal: stage.signal };
    try {
        await stage.database.send(`begin;\n${openTransaction(contextOf(setting))}`, sending);
        for (const file of base)
            await runOnShadow(stage, file, file.source);
        const states = [await readSchema(stage)];
        for (const file of proven) {
            await runOnShadow(stage, file, file.source);
            states.push(await readSchema(stage));
        }
        const problems = [];
        for (let index = proven.length - 1; index >= 0 && problems.length === 0; index--) {
            const file = proven[index];
            await runOnShadow(stage, { ...file, file: file.down.file }, file.down.source);
            problems.push(...leftoverProblem(file, states[index], await readSchema(stage)));
        }
        if (problems.length > 0)
            return problems;
        for (const file of proven)
            await runOnShadow(stage, file, file.source);
        return leftoverProblem(proven.at(-1), states.at(-1), await readSchema(stage), 'a second up');
    }
    catch (error) {
        if (error instanceof Failure)
            return error.problems;
        if (error instanceof SqlError && error.code === CODES.changed)
            return [
                {
                    message: 'the scratch database is not empty: it has a migration history',
                    next: 'Give an empty one in shadow-database-url.',
                },
            ];
        const failure = failureOf(error, 'proving the down files on the scratch database');
        if (failure instanceof Failure)
            return failure.problems;
        throw failure;
    }
    finally {
        await stage.database.send('rollback', sending).catch(() => undefined);
    }
}
/** The scratch database has a history of its own kind: none, so nothing is expected in it. */
function contextOf({ run, rules }) {
    return {
        run,
        environment: undefined,
        rules,
        recorded: [],
        baseline: [],
        position: 1,
        marker: 'shadow',
    };
}
/** Runs a file as it stands inside the open transaction; what no transaction can hold is left out. */
async function runOnShadow(stage, file, text) {
    const shape = classify(file.file, text, stage.parse);
    if (shape.problems.length > 0)
        throw new Failure(shape.problems);
    const prepared = forOneTransaction(shape);
    const source = prepared.never.reduce((left, { from, to }) => blank(left, from, to), prepared.source);
    for (const part of shape.transactions > 1 ? shape.segments : [undefined]) {
        const head = `${STILL_INSIDE}${part ? textsOf(source, part.sessionSetup) : ''}`;
        const body = part ? onlyPart(source, part) : source;
        const leave = shape.sessionBound.length > 0 ? leaveNoSettings(undefined) : LEAVE_NOTHING;
        const message = `${head}${body}\n;do ${dollarQuote(`begin ${leave} end`)};`;
        try {
            await stage.database.send(message, { deadline: FILE_DEADLINE, signal: stage.signal });
        }
        catch (error) {
            if (!(error instanceof SqlError))
                throw error;
            const place = {
                statement: { from: 0, to: source.length },
                message,
                start: head.length,
                ...(0,defined_only/* definedOnly */.U)({ position: error.position }),
            };
            const problem = placedProblem({ ...file, source: text, shape }, error, place);
            throw new Failure({ ...problem, message: `on the scratch database: ${problem.message}` });
        }
    }
}
/** A part of a file that commits by itself, where it stands in the file: what SET LOCAL sets ends with it. */
function onlyPart(source, { statements, end }) {
    return blank(blank(source, 0, statements[0]?.from ?? 0), end, source.length);
}
function textsOf(source, statements) {
    return statements.map(({ from, to }) => `${source.slice(from, to)};`).join('\n');
}
async function readSchema(stage) {
    const results = await stage.database.send(`${STILL_INSIDE}${fingerprintQuery()} reset all;`, {
        deadline: FILE_DEADLINE,
        signal: stage.signal,
    });
    return readFingerprint(results);
}
function leftoverProblem(file, wanted, found, what = 'its down file') {
    const difference = compareObjects(wanted.objects, found.objects);
    if (isSameSchema(difference))
        return [];
    const down = file.down?.file ?? file.file;
    return [
        {
            message: `${titleOf(file)}: ${what} does not give back the schema as it was: ${describeDifference(difference)}`,
            at: { file: down, line: 1, column: 1 },
            next: `Complete ${down}.`,
        },
    ];
}

;// CONCATENATED MODULE: ./compiled/src/lib/missing-schema.js
/** What PostgreSQL and PostgREST say of a table or column that is not there. */
const MISSING = /\b(42P01|42703|PGRST20[0-5])\b|relation "[^"]*" does not exist|column "?[^\s"]+"? (of relation "[^"]*" )?does not exist|Could not find the (table|column|'[^']*' column)/i;
/** True where a program's output tells of a table or column that the database does not have. */
function tellsOfMissing(text) {
    return MISSING.test(text);
}

;// CONCATENATED MODULE: ./compiled/src/pipeline/build-reads-schema.js

/** What is said where a build asks the database, which is changed only after it. Pure. */
/** The problems of a build, with the input that helps where it asked for what the pending migrations make. */
function withMigrateBefore(problems) {
    return problems.map((problem) => tellsOfMissing(problem.message)
        ? {
            ...problem,
            next: 'The build asks for a table or column that the pending migrations may make, and they are committed only after it. Say migrate-before: build, or let the build do without the database.',
        }
        : problem);
}
/** Names of an env file with which a build reaches the database. */
const REACHES = /^[ \t]*(?:export[ \t]+)?(DATABASE_URL|\w*SUPABASE\w*(?:KEY|URL))[ \t]*=[ \t]*\S/gm;
/** Which of them stand in the env file that the build is given, each once. */
function databaseNamesIn(envFile) {
    return [...new Set([...envFile.matchAll(REACHES)].map(([, name]) => name ?? ''))];
}
/** Why the order that is asked for cannot be kept. */
function orderRefusals({ database, vps }) {
    if (database?.migrateBefore !== 'build' || vps?.buildOn !== 'runner')
        return [];
    return [
        {
            message: 'migrate-before: build does nothing with build-on: runner: the build is made before this step.',
            next: 'Migrate in a step before the build (mode: migrate), and leave migrate-before out here.',
        },
    ];
}
/** What a plan warns of where migrations are pending and the build can ask the database. */
function orderWarnings({ database, vps }, pending) {
    if (pending === 0 || database?.migrateBefore !== 'cutover' || vps?.envFile === undefined)
        return [];
    const names = databaseNamesIn(vps.envFile.reveal());
    if (names.length === 0)
        return [];
    return [
        {
            message: `the build can ask the database (${names.join(', ')} in env-file), and it runs before the pending migrations are committed`,
            next: 'A static build may swallow the errors and make empty pages. If it reads the new schema, say migrate-before: build.',
        },
    ];
}

;// CONCATENATED MODULE: ./compiled/src/pipeline/plan-hosts.js



/** What a deploy would be refused for on one host, with the host's position in front. */
function hostRefusals(report) {
    const { problem, facts } = report;
    const problems = problem ? [problem] : facts ? [...facts.refusals, ...facts.deployRefusals] : [];
    return problems.map((problem) => onHost(report, problem));
}
/** Traps of one host that do not stop a deploy. */
function hostWarnings(report) {
    return (report.facts?.warnings ?? []).map((problem) => onHost(report, problem));
}
/** What every host serves now, as outputs: it stays true until a later phase changes it. */
function liveFacts(reports) {
    const hosts = reports.map(({ host, facts }) => {
        const { liveSha, liveRelease } = facts ?? {};
        return {
            host,
            outcome: 'unchanged',
            ...(liveSha === undefined ? {} : { 'previous-sha': liveSha, 'deployed-sha': liveSha }),
            ...(0,defined_only/* definedOnly */.U)({ release: liveRelease }),
        };
    });
    const live = hosts.find((fact) => fact['deployed-sha'] !== undefined);
    return {
        hosts,
        ...(live?.['deployed-sha'] === undefined
            ? {}
            : { previousSha: live['deployed-sha'], deployedSha: live['deployed-sha'] }),
        ...(live?.release === undefined ? {} : { release: live.release }),
    };
}
/** The look at one host as a step; refused or unreachable is failed. */
function hostStep(report, next, timed) {
    const detail = report.facts ? describeHost(report.facts, next) : undefined;
    return {
        name: `host ${report.host}`,
        outcome: hostRefusals(report).length > 0 ? 'failed' : 'passed',
        ...timed,
        ...(0,defined_only/* definedOnly */.U)({ detail }),
    };
}
/** What a deploy would do on a host, in one line: commits, layout, process, room; in a second one that it is not rehearsed. */
function describeHost(facts, next) {
    const short = (sha) => sha?.slice(0, 7);
    const live = short(facts.liveSha);
    const move = facts.liveSha !== undefined && facts.liveSha === next
        ? `${live} is live already`
        : `${live ?? 'nothing live'} -> ${short(next) ?? 'no commit given'}`;
    const entry = facts.entry ? `${facts.entry.mode} x${facts.entry.instances}` : 'first start';
    const parts = [move, facts.strategy, entry, `${formatBytes(facts.freeBytes)} free`];
    return facts.notRehearsedWhy === undefined
        ? parts.join(', ')
        : `${parts.join(', ')}\nnot rehearsed: ${facts.notRehearsedWhy}`;
}

;// CONCATENATED MODULE: ./compiled/src/pipeline/plan.js













/**
 * Says what a deploy would do and writes nothing. All refusals of all parts are told at once, so that one
 * correction is enough; a plan that a deploy would refuse has failed.
 */
async function plan(work) {
    const { log, signal } = work;
    const look = {};
    const report = await runPhase('plan', log, undefined, async (record) => {
        // Both looks run at once, and what goes wrong in one does not hide what the other found.
        const lookedAtHosts = plan_caught(() => lookAtHosts(work.servers, record, look));
        const overtaken = lookedAtHosts.then(() => look.hosts?.some(isOvertaken) === true);
        const [database, hosts] = await Promise.all([
            plan_caught(() => lookAtMigrations(work, unlessOvertaken(record, overtaken), look)),
            lookedAtHosts,
        ]);
        if (signal.aborted)
            throw new Cancelled();
        if (look.hosts?.some(isOvertaken)) {
            // Its migrations are older than those of the newer run too: what the database says of them is no fault.
            record.facts.hosts = (record.facts.hosts ?? []).map((host) => ({ ...host, outcome: 'skipped' }));
            log({
                kind: 'warning',
                problem: { message: 'A newer commit is live already: this one is not deployed.' },
            });
            record.summarise('A newer run is live already: there is nothing to do.');
            return;
        }
        const { settings } = work;
        const refusals = [...orderRefusals(settings), ...database, ...hosts];
        const pending = look.database?.batches.length ?? 0;
        for (const problem of orderWarnings(settings, pending))
            log({ kind: 'warning', problem });
        if (refusals.length > 0) {
            record.summarise('Nothing was changed.');
            throw new Failure(refusals);
        }
        record.summarise(planSummary(look));
    });
    return { report, ...look };
}
/** True where a newer run has deployed to the host meanwhile; the database and the other hosts are left to it too. */
function isOvertaken({ facts }) {
    return facts?.newerIsLive === true;
}
/** Where a newer run is live, the database is ahead of this run's files, and what a step says of that is no fault. */
function unlessOvertaken(record, overtaken) {
    return {
        ...record,
        step(name, work, detail) {
            const forgiven = async () => {
                try {
                    return await work();
                }
                catch (error) {
                    if (await overtaken)
                        throw new NotNeeded('a newer run is live already');
                    throw error;
                }
            };
            return record.step(name, forgiven, detail);
        },
    };
}
async function plan_caught(work) {
    try {
        return await work();
    }
    catch (error) {
        return problemsOf(error);
    }
}
/** The database where there is one; the files alone where a plan is to leave it out. */
async function lookAtMigrations({ database, settings, log }, record, look) {
    if (database)
        return lookAtDatabase(database, record, look);
    if (settings.mode !== 'plan' || !settings.skip.includes('database'))
        return [];
    return planStep(log, record, look, {
        name: 'migration files',
        make: () => planFiles(settings.workingDirectory, settings.files),
        describe: describeFiles,
    });
}
async function lookAtDatabase(work, record, look) {
    const { settings, log } = work;
    const { workingDirectory, run, database: rules } = settings;
    const refused = await planStep(log, record, look, {
        name: 'migrations',
        async make() {
            const planned = await planDatabase(work, planOrder(settings));
            record.facts.pending = planned.pending.map((file) => file.version);
            record.facts.deferred = planned.deferred.map((file) => file.version);
            return planned;
        },
        describe: describePlan,
    });
    const planned = look.database;
    if (!planned)
        return refused;
    tellBatches(log, planned);
    const refusals = [...refused];
    const judge = async (name, judged) => {
        refusals.push(...(await deployCheckStep(work, record, name, judged)));
    };
    if (rules.drift !== 'off')
        await judge('drift', async () => judgeDrift(await readDriftNow(work), rules.drift));
    if (isRequired(rules))
        await judge('required schema', async () => judgeRequired(await checkRequired(work, rules), rules, planned.pending));
    const { connection, migrationsDir, shadow } = rules;
    if (rules.backup !== 'off' && connection.kind === 'url')
        await judge('backup', () => judgeBackup(work, planned));
    // Where a scratch database is given it is not enough that down files exist: they must fit.
    if (shadow && refused.length === 0)
        await judge('down files on the scratch database', () => proveReversible(work, { workingDirectory, migrationsDir, run, rules, connection, shadow }, planned));
    return refusals;
}
/** Makes a plan as a step, and tells of it what it warns of. One that is refused is kept: it says more than that. */
async function planStep(log, record, look, { name, make, describe }) {
    const refused = await plan_caught(async () => {
        const checked = async () => {
            const planned = await make();
            look.database = planned;
            if (planned.refusals.length > 0)
                throw new Failure(planned.refusals);
            return planned;
        };
        await record.step(name, checked, describe);
        return [];
    });
    if (!look.database)
        return refused;
    record.facts.reversible = look.database.reversible;
    record.facts.destructive = look.database.destructive;
    for (const problem of look.database.warnings)
        log({ kind: 'warning', problem });
    return refused;
}
/** Whether the backup that a deploy begins with can be made from this machine. */
async function judgeBackup({ database }, { look }) {
    const major = Math.floor((look?.serverVersion ?? 0) / 10_000);
    const chosen = await pgDumpFor(database.transport, major);
    return 'message' in chosen
        ? { detail: '', refusals: [chosen], warnings: [] }
        : { detail: `pg_dump ${chosen.major} fits the server`, refusals: [], warnings: [] };
}
async function lookAtHosts(servers, record, look) {
    if (!servers)
        return [];
    const { settings, log } = servers;
    const startedAt = Date.now();
    const hosts = await inspectFleet(servers);
    look.hosts = hosts;
    const milliseconds = Date.now() - startedAt;
    for (const host of hosts) {
        record.add(hostStep(host, settings.vps.ref, { startedAt, milliseconds }));
        for (const problem of hostWarnings(host))
            log({ kind: 'warning', problem });
    }
    Object.assign(record.facts, liveFacts(hosts));
    return hosts.flatMap(hostRefusals);
}
/** `3 pending in 1 batch, 1 waits for health`. */
function describePlan(planned) {
    const batches = planned.batches.length === 1 ? '1 batch' : `${planned.batches.length} batches`;
    const pending = planned.pending.length === 0 ? 'nothing pending' : `${planned.pending.length} pending in ${batches}`;
    return [
        pending,
        planned.deferred.length > 0 ? `${planned.deferred.length} waiting for health` : '',
        planned.baseline.length > 0 ? `${planned.baseline.length} recorded as baseline` : '',
        planned.pending.length > 0 && planned.reversible ? 'reversible' : '',
    ]
        .filter((part) => part !== '')
        .join(', ');
}
/** `3 files in 1 batch`: what may be said where no database was asked. */
function describeFiles({ pending, batches, reversible }) {
    const files = pending.length === 1 ? '1 file' : `${pending.length} files`;
    const grouped = batches.length > 1 ? ` in ${batches.length} batches` : '';
    return `${files}${grouped}${pending.length > 0 && reversible ? ', reversible' : ''}; no database was asked`;
}
function tellBatches(log, planned) {
    const line = (text) => log({ kind: 'line', text: `          ${text}` });
    planned.batches.forEach((batch, index) => {
        const why = batch.why === undefined ? '' : ` (apart because ${batch.why})`;
        if (planned.batches.length > 1)
            line(`batch ${index + 1}${why}`);
        for (const file of batch.files)
            line(`pending   ${titleOf(file)}${file.down ? '' : '  (no down file)'}`);
    });
    for (const file of planned.deferred)
        line(`deferred  ${titleOf(file)}  (after health)`);
}
function planSummary(result) {
    const files = result.database ? result.database.pending.length + result.database.deferred.length : 0;
    const changes = result.hosts?.some(({ facts }) => facts !== undefined);
    if (files === 0 && !changes)
        return 'There is nothing to change.';
    return 'Nothing has been changed yet.';
}

;// CONCATENATED MODULE: ./compiled/src/lib/build-output-names.js

/** All names of output that anything here knows. */
const build_output_names_NAMES = {
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
    return Object.keys(build_output_names_NAMES).filter((name) => build_output_names_NAMES[name]?.includes(mark));
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
    const name = basename(path);
    return (MADE.has(name) || FILES.test(name) || (basename(dirname(path)) === 'public' && SERVICE_WORKERS.test(name)));
}
/** True for an ignored path that `build-on: runner` sends without being told to. */
function isSentOutput(path) {
    const parts = path.split('/');
    return SENT.has((0,external_node_path_.basename)(path)) || parts.some((part) => WHOLE.has(part));
}
/** What an install makes: it goes along with any build-output. */
function isInstalled(path) {
    return /^(node_modules|\.yarn|\.pnp\..+)$/.test(basename(path));
}
function isLitter(path) {
    return LITTER.test(basename(path));
}

;// CONCATENATED MODULE: ./compiled/src/server/checkout/pack-build.js








/** Caches that only speed up the next build, and are often larger than the build. */
const CACHES = ['.next/cache', 'node_modules/.cache', '.turbo', '.pnpm-store'];
/** Packs the build of this job. Throws a Failure where the checkout holds another commit or no build. */
async function packBuild(options) {
    const { workingDirectory, sha, folder } = options;
    const head = (await checkoutGit(['rev-parse', 'HEAD'], workingDirectory)).trim();
    if (head !== sha) {
        throw new Failure({
            message: `build-on: runner packs the build of this job, and the checkout is at ${head.slice(0, 12)}, not at ${sha.slice(0, 12)}`,
            next: 'Check out the commit that is deployed (actions/checkout with the same ref), build it, then run this step.',
        });
    }
    const words = ['ls-files', '--others', '--ignored', '--exclude-standard', '--directory', '-z'];
    const ignored = (await checkoutGit(words, workingDirectory)).split('\0');
    const { paths, leftOut } = pathsToPack(ignored, options.buildOutput, options.sharedPaths);
    for (const path of options.buildOutput)
        await mustExist(workingDirectory, path);
    if (paths.length === 0) {
        throw new Failure({
            message: `build-on: runner found no build in the checkout${leftOut.length > 0 ? `; git ignores only ${(0,shorten_list/* shortenList */.Y)(leftOut)}` : ''}`,
            next: 'Install and build in a step before this one, or name what the build makes in build-output.',
        });
    }
    const file = (0,external_node_path_.join)(folder, 'build.tgz');
    const excluded = CACHES.map((path) => `--exclude=${path}`);
    await pack(['-czf', file, ...excluded, '--', ...paths], workingDirectory, options.signal);
    return { file, bytes: (await (0,promises_namespaceObject.stat)(file)).size, paths, leftOut };
}
/**
 * What of the ignored paths is packed: the named output and node_modules, or what builds are known to make; never what
 * belongs to the host. A checkout holds other ignored files too: credentials that earlier steps of the job left there
 * (`gha-creds-*.json`, `.npmrc`, keys), logs, reports. Without names of what a build makes they would all go to the
 * server. `leftOut`: what a person may miss there. Pure.
 */
function pathsToPack(ignored, buildOutput, sharedPaths) {
    const listed = ignored.map((path) => path.replace(/\/$/, '')).filter((path) => path !== '');
    // git names a folder of which all is ignored beside what is in it: only the latter says what each thing is.
    const present = listed.filter((path) => !listed.some((other) => other.startsWith(`${path}/`)));
    if (buildOutput.length > 0) {
        const modules = present.filter((path) => path.split('/').pop() === 'node_modules');
        return { paths: [...new Set([...buildOutput, ...modules])], leftOut: [] };
    }
    const ofTheHost = (path) => /^\.env($|\.)/.test(path.split('/').pop()) ||
        sharedPaths.some((shared) => path === shared || path.startsWith(`${shared}/`)) ||
        CACHES.includes(path);
    const rest = present.filter((path) => !ofTheHost(path));
    return { paths: rest.filter(isSentOutput), leftOut: rest.filter((path) => !isSentOutput(path)) };
}
/** `12 MB: .next, node_modules; not sent: .npmrc, reports`, so that nothing is missed without a word. */
function describePacked({ bytes, paths, leftOut }) {
    const packed = `${formatBytes(bytes)}: ${paths.join(', ')}`;
    return leftOut.length === 0
        ? packed
        : `${packed}; not sent: ${(0,shorten_list/* shortenList */.Y)(leftOut, 8)} (name in build-output what the application needs)`;
}
async function mustExist(workingDirectory, path) {
    try {
        await (0,promises_namespaceObject.stat)((0,external_node_path_.join)(workingDirectory, path));
    }
    catch {
        throw new Failure({
            message: `build-output names ${path}, which is not in the checkout`,
            next: 'Build in a step before this one.',
        });
    }
}
/** Stdout of a git command that is expected to succeed. */
async function checkoutGit(words, workingDirectory) {
    const { code, stdout, stderr } = await localGit(words, workingDirectory);
    if (code === 0)
        return stdout;
    throw new Failure({
        message: `git ${words[0]} failed: ${lastLine(stderr)}`,
        code: String(code),
    });
}
/** Packs in a program that a cancel ends: a build of some gigabytes takes its time. */
async function pack(words, cwd, signal) {
    let ended;
    try {
        ended = await (0,local_programs/* runProgram */.mB)(['tar', ...words], { cwd, signal });
    }
    catch (error) {
        if (signal.aborted)
            throw new Cancelled();
        throw tarFailed(problemsOf(error)[0].message);
    }
    if (ended.code !== 0)
        throw tarFailed(lastLine(ended.stderr), ended.code);
}
function tarFailed(why, code = null) {
    return new Failure({
        message: `tar failed: ${why || 'it was ended by a signal'}`,
        ...(code === null ? {} : { code: String(code) }),
        next: 'Look at the room of this machine, and at what is named in build-output.',
    });
}
function lastLine(text) {
    return text.trim().split('\n').pop() ?? '';
}

;// CONCATENATED MODULE: ./compiled/src/server/fleet/run-worker.js






/** Milliseconds around a run's own limits, for the start and the last answer. */
const run_worker_AROUND = 120_000;
/** Starts a run on one host and tells its events until it has ended. */
async function runWorker(fleet, host, request, audience) {
    const key = (0,external_node_crypto_.randomBytes)(KEY_LENGTH);
    await startRun(fleet, host, request, key);
    const { log } = audience;
    const following = followRun(fleet, host, request, {
        key,
        deadline: request.lockWait + request.timeout + run_worker_AROUND,
        onEvent: (event) => reportEvent(host, event, audience),
        onDropped: (problem) => log({ kind: 'warning', problem }),
        onLost: (problem) => log({
            kind: 'progress',
            text: `${problem.message}; the run goes on there, connecting again`,
        }),
    });
    return following.catch((error) => abandoned(fleet, host, request, error));
}
/** What strangers have changed is not brought to its end: the run is stopped where it has not cut over. */
async function abandoned(fleet, host, request, error) {
    if (error instanceof TamperedRecord)
        await sendSignal(fleet, host, 'cancel', request).catch(() => {
            // It goes on then, and is found by the look at the server.
        });
    throw error;
}
function reportEvent(host, event, { log, record, onState }) {
    switch (event.kind) {
        case 'progress':
            log({ kind: 'progress', text: host.prefix + event.text });
            break;
        case 'step': {
            // The server's clock may be off, so the step is dated by when it was told here.
            const { step } = event;
            record.add({ ...step, name: host.prefix + step.name, startedAt: Date.now() - step.milliseconds });
            break;
        }
        case 'output':
            log({ kind: 'output', source: host.prefix + event.source, text: event.text });
            break;
        case 'warning':
            log({ kind: 'warning', problem: onHost(host, event.problem) });
            break;
        case 'state':
            onState?.(event.state);
            break;
        case 'started':
        case 'ended':
            break;
    }
}
const HOST_OUTCOMES = {
    deployed: 'deployed',
    unchanged: 'unchanged',
    'rolled-back': 'rolled-back',
    'put-back': 'rolled-back',
    failed: 'failed',
    broken: 'rollback-failed',
    cancelled: 'unchanged',
    'newer-is-live': 'skipped',
};
/** A run's result as the fact that outputs and the rollback decision read. */
function hostFact(position, result) {
    // Where the new version did not stay, what was live before is live now.
    const live = result.deployedSha ?? (result.outcome === 'broken' ? undefined : result.previousSha);
    const detail = result.outcome === 'cancelled' ? 'stopped before the cutover' : result.problems[0]?.message;
    return {
        host: position,
        outcome: HOST_OUTCOMES[result.outcome],
        ...(0,defined_only/* definedOnly */.U)({
            'previous-sha': result.previousSha,
            'deployed-sha': live,
            release: result.release,
            'downtime-ms': result.downtimeMs,
            'rollback-ms': result.rollbackMs,
            rehearsed: result.rehearsed,
            detail,
        }),
    };
}
/** The fact of a host that gave no result: nothing was started there (`failed`), or it could not be found out. */
function factOfError(position, error, failed = 'failed') {
    const outcome = error instanceof Failure && error.outcome === 'failed' ? failed : 'unknown';
    return { host: position, outcome, detail: problemsOf(error)[0].message };
}

;// CONCATENATED MODULE: ./compiled/src/server/fleet/what-serves.js


/** Milliseconds; one look at a host, and one at its application. */
const what_serves_LOOK = 30_000;
const PROBE = 10_000;
/** Looks at a host whose worker is gone without a result; writes nothing. undefined where it cannot be looked at. */
async function findWhatServes(fleet, host, { app, run, health }) {
    const { expectVersion: _, ...asked } = health;
    const probe = {
        command: 'probe',
        app,
        health: { ...asked, deadline: Math.min(asked.deadline, PROBE) },
        counted: false,
    };
    try {
        const found = await askWorker(fleet, host, { command: 'inspect', app, run, explicit: false, rehearse: false, dirtyCheckout: 'refuse' }, { deadline: what_serves_LOOK });
        if (found.kind !== 'host')
            return undefined;
        const answer = await askWorker(fleet, host, probe, { deadline: what_serves_LOOK }).catch(() => undefined);
        return { facts: found.facts, answers: answer?.kind === 'probed' && answer.healthy };
    }
    catch {
        // It is told already why the run has no end; that nothing more is known is said by the outcome.
        return undefined;
    }
}
/** True where the server's journal says that this run brought its commit, and that it was verified. Pure. */
function broughtByRun({ facts }, sha, runId) {
    return facts.liveSha === sha && facts.liveVerified && facts.liveRun === runId;
}
/** The same in words. Pure. */
function servedWords({ prefix }, { facts, answers }) {
    const { liveSha, liveRelease, liveVerified } = facts;
    const what = liveSha === undefined ? 'no version' : liveSha + (liveRelease ? ` (${liveRelease})` : '');
    const proof = liveVerified ? ', which was verified before' : '';
    return {
        message: `${prefix}in place on the server is ${what}${proof}; on loopback it ${answers ? 'answers and is healthy' : 'does not answer as it should'}.`,
    };
}
/** What the outputs tell of it. Pure. */
function servedFact({ facts }) {
    return (0,defined_only/* definedOnly */.U)({ 'deployed-sha': facts.liveSha, release: facts.liveRelease });
}

;// CONCATENATED MODULE: ./compiled/src/server/fleet/rollout.js







/** Good ends let the other hosts go on; after any other, no further host is changed. */
function isGoodEnd(end) {
    return (end.fact.outcome === 'deployed' ||
        (end.fact.outcome === 'unchanged' && end.result?.outcome !== 'cancelled'));
}
/**
 * Starts the deploy on all hosts. Everything that can fail is done on all of them first.
 * @throws Cancelled where a person cancelled before anything was started.
 */
function beginRollout(fleet, plan, { log, record }) {
    if (plan.signal.aborted)
        throw new Cancelled();
    const several = fleet.hosts.length > 1;
    const request = { ...plan.request, ...(several ? {} : { goesAlone: true }) };
    const steps = stepsByPhase(record);
    const audience = { log, record: steps };
    const running = fleet.hosts.map((host, index) => startHost(fleet, host, { ...request, ...plan.own[index] }, { log, steps }));
    const stop = (why) => stopAll(fleet, running, request, log, why);
    const listenNoMore = whenAborted(plan.signal, () => void stop('cancelled'));
    const broken = new AbortController();
    for (const run of running)
        void run.end.then((end) => {
            if (isGoodEnd(end) || broken.signal.aborted)
                return;
            broken.abort();
            void stop(`${end.host.name} did not succeed`);
        });
    const halted = () => plan.signal.aborted || running.some((run) => run.ended !== undefined && !isGoodEnd(run.ended));
    let ended;
    const finish = () => {
        ended ??= (async () => {
            const ends = superseded(await Promise.all(running.map((run) => run.end)));
            listenNoMore();
            return ends.every(isGoodEnd) ? [...ends] : putHostsBack(fleet, ends, plan, audience);
        })();
        return ended;
    };
    return {
        broken: broken.signal,
        async prepared() {
            await Promise.all(running.map((run) => run.prepared));
            if (halted())
                return false;
            steps.close();
            return true;
        },
        async confirm() {
            const problems = await Promise.all(running.map((run) => absence(fleet, run, request)));
            if (problems.some((found) => found.length > 0))
                throw new Failure(problems.flat());
        },
        rehearse() {
            for (const run of running)
                if (run.state === 'built')
                    void tell(fleet, run, 'rehearse', request, log, () => run.state === 'built' && !halted());
        },
        async cutOver(into) {
            steps.open(into);
            await Promise.all(running.map((run) => run.rehearsed));
            if (request.cutover !== 'at-once')
                await letGo(fleet, running, request, plan, log, halted);
            return finish();
        },
        async stop(why) {
            await stop(why);
            return finish();
        },
    };
}
/** Passes steps on to the phase that is open; those told between two phases belong to the next. */
function stepsByPhase(first) {
    let current = first;
    let cuttingOver = false;
    const waiting = [];
    return {
        add(step) {
            if (current)
                current.add(step);
            else
                waiting.push(step);
        },
        later(step) {
            if (cuttingOver)
                current?.add(step);
            else
                waiting.push(step);
        },
        close() {
            current = undefined;
        },
        open(record) {
            current = record;
            cuttingOver = true;
            for (const step of waiting.splice(0))
                record.add(step);
        },
    };
}
/** Why a host cannot be counted on; empty where it waits, or had nothing to do. */
async function absence(fleet, run, request) {
    const { host } = run;
    if (run.ended)
        return isGoodEnd(run.ended) ? [] : [notWaiting(host), ...run.ended.problems];
    try {
        const { accepted } = await sendSignal(fleet, host, 'ask', request);
        if (run.ended)
            return absence(fleet, run, request);
        return accepted && isWaiting(run) ? [] : [notWaiting(host)];
    }
    catch (error) {
        return [notWaiting(host), ...problemsOf(error)];
    }
}
function isWaiting({ state }) {
    return state === 'built' || state === 'rehearsed';
}
function notWaiting({ name }) {
    return {
        message: `${name} no longer waits with its prepared version, so nothing is written to the database`,
        next: 'Start the workflow again.',
    };
}
/** Where a newer run is live on one host, the others were stopped for that reason and are called so. Pure. */
function superseded(ends) {
    if (!ends.some((end) => end.fact.outcome === 'skipped'))
        return ends;
    return ends.map((end) => end.result?.outcome === 'cancelled' ? { ...end, fact: { ...end.fact, outcome: 'skipped' } } : end);
}
function startHost(fleet, host, request, { log, steps }) {
    const prepared = reached();
    const rehearsed = reached();
    let waits = false;
    const own = {
        log,
        record: {
            add: (told) => {
                // What a host was doing when it was told to stop did not fail.
                const step = run.stopping && !run.cuttingOver && told.outcome === 'failed' ? stopped(told) : told;
                if (waits)
                    steps.later(step);
                else
                    steps.add(step);
            },
        },
        onState: (state) => {
            run.state = state;
            run.cuttingOver ||= state === 'cutting-over';
            if (state !== 'built' && state !== 'rehearsed' && state !== 'cutting-over')
                return;
            waits = true;
            prepared.now();
            if (state !== 'built')
                rehearsed.now();
        },
    };
    const run = {
        host,
        gone: false,
        stopping: false,
        cuttingOver: false,
        prepared: prepared.promise,
        rehearsed: rehearsed.promise,
        end: work(),
    };
    async function work() {
        const found = await hostEndOf(fleet, host, request, own);
        // Being stopped on our own word is nothing to complain about.
        const end = run.stopping && found.result?.outcome === 'cancelled' ? { ...found, problems: [] } : found;
        run.ended = end;
        prepared.now();
        rehearsed.now();
        return end;
    }
    return run;
}
function reached() {
    let now = () => { };
    const promise = new Promise((resolve) => {
        now = resolve;
    });
    return { promise, now };
}
function stopped(step) {
    return { ...step, outcome: 'skipped', detail: 'stopped' };
}
async function hostEndOf(fleet, host, request, audience) {
    try {
        const result = await runWorker(fleet, host, request, audience);
        const problems = result.problems.map((problem) => onHost(host, problem));
        return { host, result, problems, fact: hostFact(host.position, result) };
    }
    catch (error) {
        const died = error instanceof WorkerDied;
        const served = died ? await findWhatServes(fleet, host, request) : undefined;
        const end = {
            host,
            died,
            problems: problemsOf(error),
            fact: factOfError(host.position, error),
        };
        if (!served || !broughtByRun(served, request.sha, request.run.id))
            return end;
        // It had done its work, and could not say so.
        audience.log({ kind: 'warning', problem: end.problems[0] });
        const { detail: _, ...fact } = end.fact;
        return {
            ...end,
            died: false,
            problems: [],
            fact: { ...fact, outcome: 'deployed', ...servedFact(served) },
        };
    }
}
/** Lets one of the waiting hosts go, then the rest, until one has not ended well. */
async function letGo(fleet, running, request, plan, log, halted) {
    const go = async (run) => {
        if (halted() || run.ended)
            return;
        run.gone = true;
        log({ kind: 'progress', text: `${run.host.name} cuts over` });
        await tell(fleet, run, 'go', request, log, () => !run.cuttingOver);
        await run.end;
    };
    const [canary, ...rest] = running.filter((run) => run.ended === undefined);
    if (canary)
        await go(canary);
    const next = async () => {
        for (let run = rest.shift(); run; run = rest.shift())
            await go(run);
    };
    await Promise.all(Array.from({ length: plan.maxParallel }, next));
}
/** Stops every run that has not been let go; one that cuts over already finishes by itself. */
async function stopAll(fleet, running, request, log, why) {
    await Promise.all(running.map(async (run) => {
        if (run.ended || run.gone || run.stopping)
            return;
        run.stopping = true;
        const told = await tell(fleet, run, 'cancel', request, log, () => !run.cuttingOver);
        const text = told
            ? `was told to stop: ${why}`
            : 'cuts over already: it finishes, and verifies or puts back by itself';
        // How a run ended is told by its steps, and the word of it may come after the last line of the log.
        if (!run.ended)
            log({ kind: 'progress', text: `${run.host.name} ${text}` });
    }));
}
/** Milliseconds between two tries to say a word. */
const rollout_BETWEEN_WORDS = 1_000;
const TOLD_TO = {
    rehearse: 'rehearse',
    go: 'cut over',
    cancel: 'stop',
};
/**
 * Says a word to a run, again and again until it takes it, ends or no longer needs it; false without the word. One that
 * is just being started is not known yet, a server may be out of reach for a while, and a run that does not hear its word
 * would wait for it as long as it is followed.
 */
async function tell(fleet, run, word, request, log, needed) {
    let lost = false;
    while (!run.ended && needed()) {
        try {
            const { accepted } = await sendSignal(fleet, run.host, word, request);
            if (accepted)
                return true;
        }
        catch (error) {
            const { message } = problemsOf(error)[0];
            if (!lost)
                log({
                    kind: 'progress',
                    text: `${run.host.name} could not be told to ${TOLD_TO[word]} yet: ${message}`,
                });
            lost = true;
        }
        await pause(rollout_BETWEEN_WORDS);
    }
    return false;
}
/**
 * Undoes the cutover on the hosts that did succeed, and on those whose worker died on the way. A host that is only
 * out of reach is left alone: its worker may be bringing the deploy to a good end.
 */
async function putHostsBack(fleet, ends, plan, audience) {
    return Promise.all(ends.map(async (end) => {
        if (end.fact.outcome !== 'deployed' && !end.died)
            return end;
        audience.log({ kind: 'progress', text: `${end.host.name} is put back` });
        const started = Date.now();
        try {
            const result = await runWorker(fleet, end.host, plan.undo, audience);
            return afterUndo(end, result, Date.now() - started);
        }
        catch (error) {
            const served = end.died ? await findWhatServes(fleet, end.host, plan.undo) : undefined;
            return {
                ...end,
                fact: {
                    ...factOfError(end.host.position, error, 'rollback-failed'),
                    ...(served ? servedFact(served) : {}),
                },
                problems: [
                    ...end.problems,
                    ...(served ? [servedWords(end.host, served)] : []),
                    ...problemsOf(error),
                ],
            };
        }
    }));
}
/** What a host's end is called once it was put back. Pure. */
function afterUndo(end, undone, milliseconds) {
    const { detail: _first, ...before } = end.fact;
    const live = undone.deployedSha ?? before['previous-sha'];
    const fact = {
        ...before,
        ...(0,defined_only/* definedOnly */.U)({ 'deployed-sha': live, release: undone.release }),
        outcome: outcomeAfterUndo(undone),
        'rollback-ms': undone.rollbackMs ?? milliseconds,
    };
    return {
        ...end,
        result: undone,
        fact,
        problems: [...end.problems, ...undone.problems.map((p) => onHost(end.host, p))],
    };
}
function outcomeAfterUndo(undone) {
    // Nothing to undo: the run had died before its cutover, and the old version serves.
    if (undone.outcome === 'unchanged')
        return 'failed';
    return undone.outcome === 'rolled-back' ? 'rolled-back' : 'rollback-failed';
}

;// CONCATENATED MODULE: ./compiled/src/server/fleet/send-build.js




/** Streams a packed build to every host: all of them get it, or none keeps it. Resolves with its path on each. */
async function sendToAll(fleet, looks, file, sha, signal) {
    const name = `${sha.slice(0, 12)}-${(0,external_node_crypto_.randomUUID)()}.tgz`;
    const folderOf = (host) => {
        const place = looks.find((look) => look.host === host.position)?.facts?.stateFolder;
        if (place === undefined)
            throw new Failure({ message: `${host.prefix}there is no folder to store the build in` });
        return `${place}/incoming`;
    };
    const folders = fleet.hosts.map(folderOf);
    const sent = await Promise.allSettled(fleet.hosts.map((host, index) => storeFile(host, { folder: folders[index], name, content: (0,external_node_fs_.createReadStream)(file) }, signal)));
    const failed = sent.find((one) => one.status === 'rejected');
    if (failed) {
        await Promise.all(fleet.hosts.map((host, index) => dropFile(host, folders[index], name)));
        throw failed.reason;
    }
    return folders.map((folder) => `${folder}/${name}`);
}

;// CONCATENATED MODULE: ./compiled/src/pipeline/host-ends.js




/** What became of the hosts, as a phase tells it. */
/** Ends the phase by what became of the hosts. @throws a Failure, Cancelled */
function judgeEnds(ends, record, cancelled) {
    const live = record.facts.hosts ?? [];
    Object.assign(record.facts, redeployFacts(ends));
    record.facts.hosts = mergeHosts(live, ends.map(({ fact }) => fact));
    const bad = ends.filter((end) => !isGoodEnd(end) && end.fact.outcome !== 'skipped');
    if (bad.length === 0)
        return;
    const problems = bad.flatMap((end) => end.problems);
    if (cancelled && problems.length === 0)
        throw new Cancelled();
    const unknown = bad.some((end) => end.fact.outcome === 'unknown');
    throw new Failure(problems.length > 0 ? problems : [unnamed(bad)], unknown ? 'unknown' : 'failed');
}
/** The outputs of all hosts in one: the first host's commits, the worst downtime. Pure. */
function redeployFacts(ends) {
    const hosts = ends.map((end) => end.fact);
    const first = (key) => hosts.find((host) => host[key] !== undefined)?.[key];
    const longest = (key) => {
        const times = hosts.flatMap((host) => host[key] ?? []);
        return times.length > 0 ? Math.max(...times) : undefined;
    };
    const facts = {
        previousSha: first('previous-sha'),
        deployedSha: first('deployed-sha'),
        release: first('release'),
        downtimeMs: longest('downtime-ms'),
        rollbackMs: longest('rollback-ms'),
    };
    const known = Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined));
    return { ...known, hosts, rolledBack: hosts.some((host) => host.outcome === 'rolled-back') };
}
function unnamed(bad) {
    const which = bad.map((end) => `${end.host.name} ${end.fact.detail ?? end.fact.outcome}`);
    return { message: `the deploy did not succeed: ${which.join(', ')}` };
}
/** The closing sentence: what is served now, and what was left alone. Pure. */
function redeploySummary(ends, sha) {
    const short = sha.slice(0, 7);
    const sentences = [
        [(hosts) => `${short} is live on ${hosts}${downtime(ends)}.`, (end) => end.fact.outcome === 'deployed'],
        [
            (hosts) => `${short} was live on ${hosts} already.`,
            (end) => end.fact.outcome === 'unchanged' && isGoodEnd(end),
        ],
        [
            (hosts) => `On ${hosts} the live version was not touched.`,
            (end) => !isGoodEnd(end) && (end.fact.outcome === 'unchanged' || end.fact.outcome === 'failed'),
        ],
        [
            (hosts) => `On ${hosts} a newer run is live already: nothing was changed.`,
            (end) => end.fact.outcome === 'skipped',
        ],
        [
            (hosts) => `On ${hosts} the previous version is live again.`,
            (end) => end.fact.outcome === 'rolled-back',
        ],
        [
            (hosts) => `On ${hosts} the previous version could not be put back.`,
            (end) => end.fact.outcome === 'rollback-failed',
        ],
        [
            (hosts) => `How it ended on ${hosts} is not known; what is in place there now is told.`,
            (end) => end.fact.outcome === 'unknown' && end.fact['deployed-sha'] !== undefined,
        ],
        [
            (hosts) => `It is not known which version is live on ${hosts}.`,
            (end) => end.fact.outcome === 'unknown' && end.fact['deployed-sha'] === undefined,
        ],
    ];
    return sentences
        .map(([words, which]) => {
        const hosts = ends.filter(which).map((end) => end.host.name);
        return hosts.length === 0 ? '' : words(hosts.join(', '));
    })
        .filter((sentence) => sentence !== '')
        .join(' ');
}
function downtime(ends) {
    const times = ends.flatMap((end) => end.fact['downtime-ms'] ?? []);
    return times.length === 0
        ? ''
        : `, ${(0,duration/* formatDuration */.a)(Math.max(...times))} without an answer during the cutover`;
}

;// CONCATENATED MODULE: ./compiled/src/pipeline/prepare.js















/**
 * Where the hosts wait. One host with nothing in between goes through without the action; where the database is changed
 * in between, the rehearsal is on its new schema. Pure.
 */
function cutoverOf(between, hosts) {
    if (between === 'commits')
        return 'step-by-step';
    return between === 'nothing' && hosts === 1 ? 'at-once' : 'on-go';
}
/** Milliseconds by which a waiting host is more patient than the action that looks for it. */
const LONGER_THAN_THE_ACTION = 60_000;
/** Starts to prepare every host, from what a look has found there. */
async function prepareHosts(servers, looks, between, record) {
    const { fleet, settings, log, signal } = servers;
    const sha = await deployedCommit(servers);
    Object.assign(record.facts, liveFacts(looks));
    refuseHosts(looks);
    const packed = settings.vps.buildOn === 'runner' ? await sendBuild(servers, sha, looks, record) : [];
    const request = deployRequest(settings, {
        sha,
        invocation: (0,external_node_crypto_.randomUUID)(),
        cutover: cutoverOf(between, fleet.hosts.length),
        goLease: fleet.reconnectFor + LONGER_THAN_THE_ACTION,
    });
    const undo = rollbackRequest(settings, (0,external_node_crypto_.randomUUID)(), { undoRun: settings.run.id });
    const own = looks.map(({ needsToken }, index) => ({
        ...(0,defined_only/* definedOnly */.U)({ packedBuild: packed[index] }),
        ...(needsToken ? withToken(settings) : {}),
    }));
    const plan = { request, undo, own, maxParallel: settings.vps.maxParallel, signal };
    return beginRollout(fleet, plan, { log, record });
}
async function deployedCommit({ settings }) {
    const { ref } = settings.vps;
    if (ref === undefined)
        throw new Failure({ message: 'there is no commit to deploy' });
    return exactCommit(ref, settings.workingDirectory);
}
/** Why hosts are stopped that were or would have been prepared in vain. */
const NOT_PREPARED = 'not every server could be prepared';
/**
 * Everything that can fail, on all hosts, before anything is committed or a live application touched. `look`: what a
 * plan found a moment ago. `untouched`: this run has changed nothing before.
 */
async function prepare(servers, looks, between, untouched) {
    const { settings, log, signal } = servers;
    let prepared;
    const report = await runPhase('prepare', log, settings.vps.ref, async (record) => {
        const rollout = await prepareHosts(servers, looks, between, record);
        if (await rollout.prepared()) {
            prepared = rollout;
            record.summarise(PREPARED[between]);
            return;
        }
        const ends = await rollout.stop(NOT_PREPARED);
        const sha = await deployedCommit(servers);
        if (untouched && ends.every(isUntouched))
            record.summarise(`Nothing was changed. ${redeploySummary(ends, sha)}`);
        else
            record.summarise(redeploySummary(ends, sha));
        const told = ends.map((end) => ({ ...end, problems: withMigrateBefore(end.problems) }));
        judgeEnds(between === 'commits' ? told : ends, record, signal.aborted);
    });
    return { report, ...(0,defined_only/* definedOnly */.U)({ rollout: prepared }) };
}
const PREPARED = {
    nothing: 'Built, and ready for the cutover.',
    records: 'Ready for the cutover; the live version was not touched.',
    commits: 'Built; neither the database nor the live version was touched.',
};
function isUntouched({ fact }) {
    return fact.outcome === 'unchanged' || fact.outcome === 'failed' || fact.outcome === 'skipped';
}
/** Packs the build of this job and streams it to every host; resolves with its path on each. */
async function sendBuild({ fleet, settings, signal }, sha, looks, record) {
    const folder = await (0,promises_namespaceObject.mkdtemp)((0,external_node_path_.join)((0,external_node_os_namespaceObject.tmpdir)(), 'muva-build-'));
    try {
        const { workingDirectory } = settings;
        const { buildOutput, sharedPaths } = settings.vps;
        const build = await record.step('pack the build', () => packBuild({ workingDirectory, sha, buildOutput, sharedPaths, folder, signal }), describePacked);
        return await record.step('send the build', () => sendToAll(fleet, looks, build.file, sha, signal));
    }
    finally {
        await (0,promises_namespaceObject.rm)(folder, { recursive: true, force: true });
    }
}
/** What the worker would refuse is refused here, on all hosts, before anything is started on one of them. */
function refuseHosts(looks) {
    const problems = looks.flatMap(hostRefusals);
    if (problems.length > 0)
        throw new Failure(problems);
}

;// CONCATENATED MODULE: ./compiled/src/pipeline/redeploy.js




/** Mode `redeploy`: brings every host to one exact commit, and touches nothing else. */
async function redeploy(servers) {
    const { settings, log, signal } = servers;
    return runPhase('redeploy', log, settings.vps.ref, async (record) => {
        const looks = await record.step('look', () => lookFirst(servers));
        const rollout = await prepareHosts(servers, looks, 'nothing', record);
        const ready = await rollout.prepared();
        const ends = await (ready ? rollout.cutOver(record) : rollout.stop(NOT_PREPARED));
        record.summarise(redeploySummary(ends, await deployedCommit(servers)));
        judgeEnds(ends, record, signal.aborted);
    });
}
async function lookFirst(servers) {
    const looks = await inspectFleet(servers);
    refuseHosts(looks);
    return looks;
}
/**
 * Lets the prepared hosts cut over, one after the other; each host's worker owns the outcome, and puts its old version
 * back by itself.
 */
async function cutOverHosts(servers, rollout) {
    const { settings, log, signal } = servers;
    return runPhase('redeploy', log, settings.vps.ref, async (record) => {
        const ends = await rollout.cutOver(record);
        record.changed();
        record.summarise(redeploySummary(ends, await deployedCommit(servers)));
        judgeEnds(ends, record, signal.aborted);
    });
}

;// CONCATENATED MODULE: ./compiled/src/database/rollback/revert-order.js
/** Rows of a table are counted up to here; more is told as "more than". */
const COUNT_UP_TO = 1_000_000;

;// CONCATENATED MODULE: ./compiled/src/database/rollback/rollback-failure.js







/** `table public.rooms (12 rows, created by what was undone)`. */
function describeLoss({ kind, name, rows, own }) {
    const unit = kind === 'column' ? 'value' : 'row';
    const count = rows === null
        ? `its ${unit}s cannot be counted`
        : `${rows > COUNT_UP_TO ? `more than ${COUNT_UP_TO}` : rows} ${unit}${rows === 1 ? '' : 's'}`;
    const what = kind === 'emptied' ? `all rows of ${name}` : `${kind} ${name}`;
    return `${what} (${count}${own ? ', created by what is undone' : ''})`;
}
/**
 * Why a rollback did not happen: nothing of it was committed. `index`: which of the down files failed, where one did.
 */
function revertFailure(error, downs) {
    if (error instanceof Failure)
        return { failure: error };
    if (!(error instanceof SqlError))
        throw error;
    switch (error.code) {
        case CODES.dataLoss:
            return { failure: new Failure(dataLoss(error.message)) };
        case CODES.notAsBefore:
            return { failure: new Failure(notAsBefore(error.message)) };
        case CODES.gone:
            // Not a failure yet: whoever asked looks again.
            throw error;
    }
    for (const [index, { file, source, statements, unseen }] of downs.entries()) {
        for (const { from, to } of statements) {
            const offset = rollback_failure_offsetIn(source.slice(from, to), error);
            if (offset === undefined)
                continue;
            const at = positionIn(file, source, from + offset);
            const problem = { ...told(error, unseen ? '' : source), at, next: rollback_failure_NEXT };
            return { failure: new Failure(unseen ? withoutText(problem) : problem), index };
        }
    }
    return { failure: new Failure({ ...told(error, ''), next: rollback_failure_NEXT }) };
}
const rollback_failure_NEXT = 'Nothing of the database was undone.';
/** The same with the place alone: neither the line that stands there nor the word that an error of syntax quotes. */
function withoutText(problem) {
    const message = problem.message.replace(/ at or near ".*"/s, '');
    if (!problem.at)
        return { ...problem, message };
    const { text: _, ...at } = problem.at;
    return { ...problem, message, at };
}
function told(error, source) {
    const hint = error.hint === undefined ? '' : ` (${error.hint})`;
    return { message: `${withoutRowData(error, source)}${hint}`, code: error.code };
}
/** Where in a statement the error came from; 0 where only the statement is known, undefined where it was another. */
function rollback_failure_offsetIn(statement, error) {
    if (error.internalQuery === statement && error.internalPosition !== undefined)
        return indexOfCodePoint(statement, error.internalPosition);
    return error.where?.includes(`SQL statement "${statement}"`) ? 0 : undefined;
}
function dataLoss(message) {
    const losses = JSON.parse(message);
    return losses
        .filter(({ own }) => !own)
        .map((loss) => ({
        message: `the down files would delete data that is not of this run: ${describeLoss(loss)}; nothing was undone`,
        code: CODES.dataLoss,
        next: 'Save the data first, or say allow-data-loss: true.',
    }));
}
function notAsBefore(message) {
    const difference = { added: [], removed: [], altered: [] };
    for (const [word, kind, schema, name] of JSON.parse(message))
        difference[word].push({ kind, schema, name, hash: '' });
    return {
        message: `the down files do not give back the schema as it was before the run: ${describeDifference(difference)}; nothing was undone`,
        code: CODES.notAsBefore,
        next: 'Complete the down files.',
    };
}

;// CONCATENATED MODULE: ./compiled/src/database/rollback/rollback-send.js








/** Milliseconds for a message that only looks. */
const ROLLBACK_READ_DEADLINE = 40_000;
/** Milliseconds that a table in use is waited for. */
const rollback_send_WAIT = 120_000;
/** How often an answer may be lost before the network is blamed. */
const rollback_send_CUTS = 3;
/**
 * Sends a message that deletes history rows of `versions`, again while the database is busy. Where the answer was
 * lost it takes the same lock, looks at the history, and sends again only what was certainly not done.
 * Undefined: it was done, but its answer is gone.
 */
async function sendChange(access, rules, versions, message, onNotice) {
    const { database, log, signal } = access;
    for (let cuts = 0;;) {
        try {
            return await patiently(access, () => database.send(message, {
                // The server gives each statement its time, and tells after each that it is still at work.
                deadline: rules.statementTimeout + 30_000,
                signal,
                onNotice: (notice) => onNotice?.(notice.message),
            }));
        }
        catch (error) {
            if (error instanceof SqlError && error.code === CODES.locked) {
                await waitForLock(access, rules.lockWait);
                continue;
            }
            if (errorMeaning(error) !== 'resolve')
                throw signal.aborted ? new Cancelled(NOTHING_UNDONE) : error;
            log({ kind: 'progress', text: 'the connection was lost: looking what became of the rollback' });
            if ((await standingVersions(database, versions)).length === 0)
                return undefined;
            if (signal.aborted)
                throw new Cancelled(NOTHING_UNDONE);
            if (++cuts === rollback_send_CUTS)
                throw new Failure({
                    message: `the connection to the database was lost ${rollback_send_CUTS} times; nothing was undone`,
                    next: 'Run the rollback again when the network is steady.',
                });
            log({ kind: 'progress', text: 'nothing was undone: trying again' });
        }
    }
}
const NOTHING_UNDONE = 'the rollback of the database was cancelled; nothing was undone';
/** Repeats what was not done because the database was busy. */
function patiently({ log, signal }, work) {
    return retry({
        tries: 100,
        deadline: rollback_send_WAIT,
        first: 250,
        longest: 5_000,
        signal,
        worthwhile: (error) => errorMeaning(error) === 'retry',
        onRetry: (error, _attempt, wait) => log({
            kind: 'progress',
            text: `waiting ${(0,duration/* formatDuration */.a)(wait)}: ${error instanceof Error ? error.message : 'the database is busy'}`,
        }),
    }, work);
}
/** Which of the versions stand in the history, read under the lock, so that no lost message can still be at work. */
async function standingVersions(database, versions) {
    const look = await readHistoryUnderLock(database, RESOLVE_WITHIN);
    if (!look)
        throw new Failure({
            message: 'the answer to the rollback was lost, and the database could not be asked since',
            next: 'Run the rollback again when the database can be reached: what is undone already is left alone.',
        }, 'unknown');
    const history = new Set(look.recorded.map(({ version }) => version));
    return versions.filter((version) => history.has(version));
}

;// CONCATENATED MODULE: ./compiled/src/database/rollback/rehearsal-sql.js






/** What every down file is run with: its deferred checks made before its history row goes, nothing of it left behind. */
function execution(down, { rules, role }) {
    return `
  perform set_config('lock_timeout', '${rules.lockTimeout}ms', true);
  ${down.statements.map(({ from, to }) => `execute ${dollarQuote(down.source.slice(from, to))};`).join('\n  ')}
  ${leaveNothing(role)}
  ${CHECK_DEFERRED}`;
}
/**
 * Runs all down files in a sub-transaction that is rolled back, and counts what they would have deleted: tables,
 * columns, and tables that were emptied, by TRUNCATE or by DELETE. What the run itself created may go and is told; anything else that holds
 * something is refused. Leaves the list in `muva.losses`.
 */
function rehearsal(order, runs) {
    const created = `exists (select from ${RUNS_TABLE} r, lateral ${changeRows(`coalesce(r.changes, '[]')`)} c
    where r.run_id = any (${textArray(runs)}) and c.before is null and c.schema = item.schema and`;
    const count = (where) => `begin
        execute format('select count(*) from (select from %1$s ${where} limit ${COUNT_UP_TO + 1}) t', item.qualified, item.detail) into rows;
      exception when insufficient_privilege then rows := null;
      end;`;
    return `
declare
  tables oid[]; files oid[]; dropped text[]; gone oid[]; emptied oid[] := '{}'; columns text[]; losses jsonb := '[]';
  rows bigint; own boolean; item record; filled boolean;
begin
  raise info using message = ${literal(order.marker)};
  select array_agg(c.oid order by c.oid), array_agg(c.relfilenode order by c.oid) into tables, files
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'supabase_migrations');
  select array_agg(attrelid || '.' || attnum) into dropped from pg_attribute where attisdropped and attrelid = any (tables);
  begin
    ${order.downs.map((down) => execution(down, order)).join('\n')}
    select array_agg(t) into gone from unnest(tables) t where not exists (select from pg_class c where c.oid = t);
    select array_agg(attrelid || '.' || attnum) into columns from pg_attribute
      where attisdropped and attrelid = any (tables) and (attrelid || '.' || attnum) <> all (coalesce(dropped, '{}'));
    for item in select c.oid, c.oid::regclass::text as qualified from unnest(tables, files) t(oid, file)
      join pg_class c on c.oid = t.oid
      where c.relfilenode <> t.file or pg_stat_get_xact_tuples_deleted(c.oid) > 0
    loop
      execute format('select exists (select from %s)', item.qualified) into filled;
      if not filled then emptied := emptied || item.oid; end if;
    end loop;
    raise exception using errcode = '${CODES.undone}';
  exception when sqlstate '${CODES.undone}' then null;
  end;
  -- Better no number than one that row level security made smaller.
  perform set_config('row_security', 'off', true);
  for item in
    select 'table' as kind, n.nspname::text as schema, c.relname::text as name, format('%I.%I', n.nspname, c.relname) as qualified,
        null::text as detail, c.oid = any (emptied) as kept
      from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = any (gone || emptied)
    union all
    select 'column', n.nspname, c.relname, format('%I.%I', n.nspname, c.relname), a.attname, false
      from unnest(columns) d join pg_attribute a on a.attrelid || '.' || a.attnum = d
        join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
      where a.attgenerated = '' and c.oid <> all (coalesce(gone, '{}'))
  loop
    if item.kind = 'table' then
      ${count('')}
      own := ${created} c.kind = 'table' and c.name = item.name);
    else
      ${count('where %2$I is not null')}
      own := ${created} (c.kind = 'table' and c.name = item.name or c.kind = 'column' and c.name = item.name || '.' || item.detail));
    end if;
    if rows is null or rows > 0 then
      losses := losses || jsonb_build_object('kind', case when item.kept then 'emptied' else item.kind end,
        'name', item.qualified || coalesce('.' || quote_ident(item.detail), ''), 'rows', rows, 'own', own);
    end if;
  end loop;
  perform set_config('row_security', 'on', true);
  if ${order.rules.allowDataLoss ? 'false' : 'true'} and exists (select from jsonb_array_elements(losses) l where not (l ->> 'own')::boolean) then
    raise exception using errcode = '${CODES.dataLoss}', message = losses::text;
  end if;
  perform set_config('muva.losses', losses::text, true);
end`;
}

;// CONCATENATED MODULE: ./compiled/src/database/rollback/rollback-decision.js


/** The run's outcome in deploy_runs once it was undone. */
const ROLLED_BACK = 'rolled-back';
/**
 * Finds the versions to undo, newest first. `runs`: the runs whose code goes back in the same rollback, as the servers
 * know them; without it the database is rolled back alone, by what it knows itself.
 */
function chooseTarget(look, wanted, runs) {
    if (wanted.steps !== undefined)
        return newest(look, wanted.steps);
    if (runs !== undefined)
        return ofRuns(look, runs);
    const target = wanted.to === undefined
        ? ofRuns(look, [wanted.runId])
        : wanted.to === 'previous'
            ? previous(look)
            : since(look, wanted.to);
    if (target.kind !== 'migrations' || target.above.length === 0)
        return target;
    return {
        kind: 'refused',
        message: `${(0,shorten_list/* shortenList */.Y)(target.versions)} cannot be undone alone: ${(0,shorten_list/* shortenList */.Y)(target.above)} came later and would be left above a gap`,
        next: 'Undo the later ones too: name them with rollback-steps, or an older commit with rollback-to.',
    };
}
function newest(look, steps) {
    const versions = newestFirst(look.history).slice(0, steps);
    return versions.length === 0
        ? { kind: 'nothing', why: 'no migration is applied' }
        : { kind: 'migrations', versions, above: [] };
}
/** What the runs applied and still stands. */
function ofRuns(look, runs) {
    const versions = newestFirst(look.migrations.filter(({ runId }) => runs.includes(runId)).map(({ version }) => version));
    if (versions.length > 0)
        return withWhatStandsAbove(look, versions);
    const undone = look.runs.some(({ runId, outcome }) => runs.includes(runId) && outcome === ROLLED_BACK);
    const names = runs.length === 1 ? `run ${runs[0]}` : `runs ${runs.join(', ')}`;
    if (runs.length === 0)
        return { kind: 'nothing', why: 'no deploy came after what is live' };
    return {
        kind: 'nothing',
        why: undone ? `what ${names} changed is undone already` : `${names} applied no migration`,
    };
}
function withWhatStandsAbove(look, versions) {
    const oldest = versions[versions.length - 1];
    const above = newestFirst(look.history).filter((version) => byBytes(version, oldest) > 0 && !versions.includes(version));
    return { kind: 'migrations', versions, above };
}
function previous(look) {
    const run = look.runs.find(({ outcome }) => outcome !== ROLLED_BACK);
    return run ? ofRuns(look, [run.runId]) : { kind: 'nothing', why: 'no deploy is recorded in this database' };
}
function since(look, to) {
    const at = look.runs.findIndex(({ sha, outcome }) => outcome !== ROLLED_BACK && sha !== null && same(sha, to));
    if (at === -1)
        return {
            kind: 'refused',
            message: `no deploy of ${to} is recorded in this database, so it is not known which migrations came after it`,
            next: 'Name the migrations with rollback-steps, or keep the schema with rollback-database: keep.',
        };
    const target = ofRuns(look, look.runs.slice(0, at).map(({ runId }) => runId));
    return target.kind === 'nothing'
        ? { kind: 'nothing', why: `no migration was applied since the deploy of ${to}` }
        : target;
}
function newestFirst(versions) {
    return [...versions].sort(byBytes).reverse();
}
/** A commit and how a person or a release name writes it: a prefix of at least 7 digits, alone or after a dash. */
function same(sha, named) {
    const word = named.slice(named.lastIndexOf('-') + 1).toLowerCase();
    return /^[0-9a-f]{7,64}$/.test(word) && (sha.startsWith(word) || word.startsWith(sha));
}
/**
 * What of the wanted versions can go, newest first: until the first that has no down file, or that a version stays
 * above which is not to be undone. What is older than one that stays cannot go: the newer one may rest on it, and the
 * history must not get a gap.
 */
function splitAtIrreversible(newestFirst, above = []) {
    const stays = ({ version, down }) => down === undefined || above.some((other) => byBytes(other, version) > 0);
    const at = newestFirst.findIndex(stays);
    if (at === -1)
        return { revert: [...newestFirst], keep: [] };
    const first = newestFirst[at];
    const older = newestFirst.length - at - 1;
    const below = older > 0 ? `, and ${older} older ${older === 1 ? 'one stays' : 'ones stay'} below it` : '';
    const cause = first.down === undefined
        ? `${first.version} has no down file`
        : `${(0,shorten_list/* shortenList */.Y)(above)} came after ${first.version} and ${above.length === 1 ? 'stays' : 'stay'} above it`;
    return { revert: newestFirst.slice(0, at), keep: newestFirst.slice(at), why: `${cause}${below}` };
}
/** The runs of which every migration that still stands is undone: only they can be compared with their start. */
function wholeRuns(look, reverted) {
    const gone = new Set(reverted);
    const touched = [
        ...new Set(look.migrations.filter(({ version }) => gone.has(version)).map(({ runId }) => runId)),
    ];
    const complete = (run) => look.migrations.every(({ runId, version }) => runId !== run || gone.has(version));
    return { whole: touched.filter(complete), partly: touched.filter((run) => !complete(run)) };
}

;// CONCATENATED MODULE: ./compiled/src/database/rollback/rollback-sql.js








/** The recorded down texts of some versions. */
function downsQuery(versions) {
    return `select coalesce(jsonb_object_agg(version, down), '{}') as downs from ${MIGRATIONS_TABLE}
    where version = any (${textArray(versions)}) and down is not null`;
}
/**
 * Everything in one message, so in one transaction: the lock, the guard, a rehearsal that finds out which data would
 * go, every down file with its history row, and the comparison with the schema as it was before the run.
 */
function revertMessage(order) {
    const versions = order.downs.map(({ version }) => version);
    const runs = [...order.whole, ...order.partly];
    return [
        startOfRollback(order.rules),
        sqlBlock(guard(versions)),
        localSettings(order.rules),
        sqlBlock(recordKilledRun()),
        sqlBlock(rememberObjects(order.whole)),
        sqlBlock(rehearsal(order, runs)),
        ...order.downs.flatMap((down) => [localSettings(order.rules), sqlBlock(unit(down, order))]),
        localSettings(order.rules),
        sqlBlock(compareWithStart(order)),
        endOfRollback(order.whole),
        `select current_setting('muva.losses', true) as losses, current_setting('muva.fingerprint', true) as fingerprint;`,
    ].join('\n');
}
/** One message: history rows go, the schema stays. */
function deleteRecordsMessage(versions, runs, rules) {
    return [
        startOfRollback(rules),
        sqlBlock(guard(versions)),
        sqlBlock(`
begin
  delete from ${HISTORY_TABLE} where version = any (${textArray(versions)});
  delete from ${MIGRATIONS_TABLE} where version = any (${textArray(versions)});
  update ${RUNS_TABLE} set outcome = ${literal(ROLLED_BACK)}, finished_at = clock_timestamp()
    where run_id = any (${textArray(runs)});
end`),
        'select 1 as done;',
    ].join('\n');
}
const sqlBlock = (body) => `do ${dollarQuote(body)};`;
function startOfRollback(rules) {
    return `set transaction isolation level read committed, read write;\n${localSettings(rules)}`;
}
const guard = (versions) => `
declare missing text;
begin
  ${takeDatabase()}
  select string_agg(v, ', ') into missing from unnest(${textArray(versions)}) v
    where not exists (select from ${HISTORY_TABLE} h where h.version = v);
  if missing is not null then
    raise exception using errcode = '${CODES.gone}', message = missing;
  end if;
end`;
/** The state before the down files, kept in the newest run's row until the comparison at the end. */
function rememberObjects(whole) {
    if (whole.length === 0)
        return 'begin end';
    return deterministic('', `update ${RUNS_TABLE} r set objects = f.objects from (${FINGERPRINT_ROW}) f where r.run_id = ${literal(whole[0])};`);
}
function unit(down, order) {
    return `
declare losses text := current_setting('muva.losses', true);
begin
  ${execution(down, order)}
  delete from ${HISTORY_TABLE} where version = ${literal(down.version)};
  if not found then
    raise exception using errcode = '${CODES.gone}', message = ${literal(down.version)};
  end if;
  delete from ${MIGRATIONS_TABLE} where version = ${literal(down.version)};
  perform set_config('muva.losses', losses, true);
  raise info using message = ${literal(`${order.marker} ${down.version}`)};
end`;
}
/**
 * Two things must hold: every object that the runs changed is as it was before the oldest of them, and the down
 * files changed nothing else. Together they mean that the schema is as before, though others may have changed
 * other objects since. The complaint is a JSON list of [word, kind, schema, name].
 */
function compareWithStart(order) {
    if (order.whole.length === 0)
        return deterministic('', `update ${RUNS_TABLE} r set objects = f.objects, fingerprint_after = f.fingerprint from (${FINGERPRINT_ROW}) f
        where r.objects is not null;
      perform set_config('muva.fingerprint', 'not compared', true);`);
    const known = `(select count(*) = ${order.whole.length} from ${RUNS_TABLE} where run_id = any (${textArray(order.whole)}) and changes is not null)`;
    const changed = (runs) => `
    select distinct on (kind, schema, name) kind, schema, name, before from ${RUNS_TABLE} r, lateral ${changeRows('r.changes')} c
    where r.run_id = any (${textArray(runs)}) and r.changes is not null order by kind, schema, name, r.started_at`;
    return deterministic('now jsonb; was jsonb; print text; start text; wrong jsonb;', `
  raise info using message = ${literal(order.marker)};
  select f.objects, f.fingerprint into now, print from (${FINGERPRINT_ROW}) f;
  select objects into was from ${RUNS_TABLE} where run_id = ${literal(order.whole[0])};
  select fingerprint_before into start from ${RUNS_TABLE} where run_id = any (${textArray(order.whole)}) order by started_at limit 1;
  if ${known} then
    select jsonb_agg(jsonb_build_array(word, kind, schema, name)) into wrong from (
      select case when n.hash is null then 'removed' when c.before is null then 'added' else 'altered' end as word, kind, schema, name
        from (${changed(order.whole)}) c left join ${objectRows('now')} n using (kind, schema, name)
        where n.hash is distinct from c.before
      union all
      select case when n.hash is null then 'removed' when w.hash is null then 'added' else 'altered' end, kind, schema, name
        from ${objectRows('was')} w full join ${objectRows('now')} n using (kind, schema, name)
        where w.hash is distinct from n.hash
          and not exists (select from (${changed([...order.whole, ...order.partly])}) c
            where (c.kind, c.schema, c.name) = (coalesce(w.kind, n.kind), coalesce(w.schema, n.schema), coalesce(w.name, n.name)))
    ) d;
    if wrong is not null then
      raise exception using errcode = '${CODES.notAsBefore}', message = wrong::text;
    end if;
  end if;
  update ${RUNS_TABLE} set objects = now, fingerprint_after = print where run_id = ${literal(order.whole[0])};
  update ${RUNS_TABLE} set objects = null where run_id <> ${literal(order.whole[0])} and objects is not null;
  perform set_config('muva.fingerprint', case when print = start then 'equal' when ${known} then 'own changes undone' else 'not compared' end, true);`);
}
/** A run that is undone as a whole starts afresh when it is run again. */
function endOfRollback(whole) {
    return sqlBlock(`begin
  update ${RUNS_TABLE} set outcome = ${literal(ROLLED_BACK)}, fingerprint_before = null, changes = null,
    finished_at = clock_timestamp() where run_id = any (${textArray(whole)});
end`);
}

;// CONCATENATED MODULE: ./compiled/src/database/rollback/find-down-files.js








/** The down text of each version as it was recorded at the deploy, else the file beside the migration. */
async function findDowns({ database, signal }, look, { workingDirectory, migrationsDir }, versions) {
    const known = new Map(look.migrations.map((migration) => [migration.version, migration]));
    const withText = versions.filter((version) => known.get(version)?.hasDown);
    let texts = {};
    if (withText.length > 0) {
        const sending = { deadline: ROLLBACK_READ_DEADLINE, signal };
        const answer = await retryRead(signal, () => database.send(downsQuery(withText), sending));
        texts = jsonField(answer, 'downs') ?? {};
    }
    const recordedAll = versions.every((version) => texts[version] !== undefined);
    const folder = await openDowns(workingDirectory, migrationsDir).catch(ignoring(recordedAll));
    return versions.map((version) => {
        const name = known.get(version)?.name ?? look.names[version] ?? '';
        const fileName = downName(version, name);
        const file = `${migrationsDir.replace(/\/+$/, '')}/${safeName(fileName)}`;
        const recorded = texts[version];
        const beside = readBeside(folder, fileName, file, recorded !== undefined);
        const source = recorded ?? beside;
        return {
            version,
            name,
            file,
            source: source ?? '',
            ...(source === undefined ? {} : { down: true }),
            ...(beside === source ? {} : { unseen: true }),
            ...(beside === undefined || beside === source ? {} : { other: beside }),
        };
    });
}
/** The file in the checkout; beside a recorded text it is only a second try, which need not be had. */
function readBeside(folder, name, file, recorded) {
    try {
        return folder && readDownFile(folder, name, file);
    }
    catch (error) {
        return ignoring(recorded)(error);
    }
}
function ignoring(needless) {
    return (error) => {
        if (!needless)
            throw error;
    };
}
/** A name that came from a database, as part of a place that people are told. */
function safeName(name) {
    return name.replaceAll(/[^\p{L}\p{N} ._-]/gu, '_');
}
/** Makes every down file fit for one transaction; all problems of all files at once. */
async function prepareDowns(log, found) {
    const parse = await loadParser();
    const problems = [];
    const prepared = found.map((down) => {
        const { source, statements, notices, problems: wrong } = prepareDown(down, parse);
        const told = (problem) => (down.unseen ? withoutText(problem) : problem);
        for (const problem of notices)
            log({ kind: 'notice', problem: told(problem) });
        problems.push(...wrong.map(told));
        return { ...down, source, statements };
    });
    if (problems.length > 0)
        throw new Failure(problems);
    return prepared;
}

;// CONCATENATED MODULE: ./compiled/src/database/rollback/run-down-files.js





const stepOf = (down) => `database: undo ${titleOf(down)}`;
/** Sends the down files; a step is told only after the commit, with the time between its announcements. */
async function runDowns(access, lockWait, order, steps) {
    const { downs, marker } = order;
    const startedAt = Date.now();
    const reached = new Map();
    const onNotice = (message) => {
        if (!message.startsWith(`${marker} `))
            return;
        const version = message.slice(marker.length + 1);
        reached.set(version, Date.now());
        access.log({ kind: 'progress', text: `undoing: ${version} ran, not yet committed` });
    };
    const versions = downs.map(({ version }) => version);
    try {
        const results = await sendChange(access, { ...order.rules, lockWait }, versions, revertMessage(order), onNotice);
        let from = startedAt;
        for (const down of downs) {
            const until = reached.get(down.version) ?? from;
            steps.add({ name: stepOf(down), outcome: 'passed', startedAt: from, milliseconds: until - from });
            from = until;
        }
        if (!results)
            return { losses: [], fingerprint: 'answer lost' };
        const { fingerprint } = lastRow(results);
        return {
            losses: jsonField(results, 'losses') ?? [],
            fingerprint: typeof fingerprint === 'string' ? fingerprint : 'not compared',
        };
    }
    catch (error) {
        return { ...revertFailure(error, downs), startedAt };
    }
}
/** The steps of down files that were not committed: the one that failed, and those that were not reached. */
function tellFailedDowns(steps, downs, failed) {
    const { failure, index, startedAt } = failed;
    steps.add({
        name: index === undefined ? 'database: undo' : stepOf(downs[index]),
        outcome: failure.outcome,
        startedAt,
        milliseconds: Date.now() - startedAt,
    });
    if (index !== undefined)
        steps.skip(...downs.slice(index + 1).map(stepOf));
}

;// CONCATENATED MODULE: ./compiled/src/database/rollback/rollback-database.js
















/** Looks at what the database knows of its deploys, before anything is undone. */
function readWhatToUndo({ database, signal }, steps) {
    return steps.step('database: look what to undo', async () => {
        const sending = { deadline: ROLLBACK_READ_DEADLINE, signal };
        const asked = retryRead(signal, () => lookAtRuns(database, sending));
        return rollbackLook(await asked.catch((error) => {
            throw failureOf(error, 'looking what to undo');
        }));
    });
}
/** @throws OtherFormat where another version made our tables, and this one cannot read them. */
function rollbackLook({ recorded, runs, partial, environment, formats }) {
    const problems = formatProblems(formats);
    if (problems.length > 0)
        throw new OtherFormat(problems);
    return {
        history: recorded.map(({ version }) => version),
        names: Object.fromEntries(recorded.map(({ version, name }) => [version, name])),
        migrations: recorded.flatMap(({ version, name, runId, hasDown }) => runId === null ? [] : [{ version, name: name ?? '', runId, hasDown }]),
        runs,
        partial,
        environment,
    };
}
/**
 * Undoes what the named run (or steps, or what came after a commit) did to the schema, newest first, in one
 * transaction that ends with the proof that the schema is as before. Nothing to undo is no failure.
 */
async function rollbackDatabase(access, order, steps) {
    let { look } = order;
    for (let attempt = 1;; attempt++) {
        try {
            return await undo({ access, order, look, steps });
        }
        catch (error) {
            if (!(error instanceof SqlError && error.code === CODES.gone))
                throw error;
            if (attempt === LOOKS)
                throw new Failure({
                    message: 'the migration history keeps changing: another tool is at work; nothing was undone',
                    next: 'Wait for it, then run the rollback again.',
                });
            access.log({ kind: 'progress', text: 'the migration history has changed: looking again' });
        }
        look = await readWhatToUndo(access, steps);
    }
}
/** How often the history may change between the look and the change. */
const LOOKS = 3;
async function undo(work) {
    const { access, order, look, steps } = work;
    const target = chooseTarget(look, order.wish, order.runs);
    if (target.kind === 'refused')
        throw new Failure({ message: target.message, next: target.next });
    for (const { version, done } of look.partial.filter(({ runId }) => runId === order.wish.runId))
        access.log({
            kind: 'warning',
            problem: {
                message: `${version} was applied in part by this run (${done} of its parts stand) and is not undone: a down file undoes the whole`,
                next: 'The next deploy goes on behind that part; or undo it by hand.',
            },
        });
    if (target.kind === 'nothing') {
        rollback_database_tell(steps, 'database: nothing to undo', target.why);
        return { reverted: [], schemaAhead: [], changed: false };
    }
    switch (order.how) {
        case 'keep':
            rollback_database_tell(steps, 'database: schema kept', `rollback-database is keep: ${target.versions.join(', ')}`);
            return { reverted: [], schemaAhead: target.versions, changed: false };
        case 'records':
            return deleteRecords(work, target);
        case 'down':
            return revert(work, target);
    }
}
function rollback_database_tell(steps, name, detail) {
    steps.add({ name, outcome: 'passed', startedAt: Date.now(), milliseconds: 0, detail });
}
/** Deletes history rows and nothing else, as rollback scripts without down files do. */
async function deleteRecords(work, target) {
    const { access, order, look, steps } = work;
    const { rules } = order;
    const { versions } = target;
    access.log({
        kind: 'warning',
        problem: {
            message: `rollback-database: records deletes ${versions.length} history rows and leaves their tables: the next deploy applies these files again and fails on objects that exist`,
            next: 'Undo the objects by hand before the next deploy, or write down files and use rollback-database: down.',
        },
    });
    const { whole } = wholeRuns(look, versions);
    const message = deleteRecordsMessage(versions, whole, rules);
    await sendChange(access, rules, versions, message).catch((error) => {
        throw revertFailure(error, []).failure;
    });
    rollback_database_tell(steps, 'database: delete history rows', versions.join(', '));
    return { reverted: versions, schemaAhead: [], changed: true };
}
async function revert(work, target) {
    const { access, order, look, steps } = work;
    const found = await findDowns(access, look, order, target.versions);
    const { revert: wished, keep, why } = splitAtIrreversible(found, target.above);
    if (keep.length > 0 && order.wish.steps !== undefined)
        throw tooManySteps(order.wish.steps, wished.length, why);
    const schemaAhead = keep.map(({ version }) => version);
    if (schemaAhead.length > 0) {
        order.onKept(schemaAhead);
        access.log({
            kind: 'warning',
            problem: { message: `schema ahead of code: ${schemaAhead.join(', ')}; ${why}`, next: NEXT_AHEAD },
        });
        rollback_database_tell(steps, 'database: schema kept', `${schemaAhead.join(', ')}: ${why}`);
    }
    if (wished.length === 0)
        return { reverted: [], schemaAhead, changed: false };
    const result = await revertOnce(work, wished);
    const reverted = wished.map(({ version }) => version);
    for (const loss of result.losses)
        access.log({ kind: 'warning', problem: { message: `deleted with it: ${describeLoss(loss)}` } });
    rollback_database_tell(steps, 'database: compare with the schema before', PROOF[result.fingerprint] ?? result.fingerprint);
    return { reverted, schemaAhead, changed: true };
}
/** A number that a person names is done as a whole or not at all. */
function tooManySteps(wanted, possible, why) {
    return new Failure({
        message: `of the newest ${wanted} migrations ${possible === 0 ? 'none' : `only ${possible}`} can be undone: ${why}; nothing was undone`,
        next: possible === 0
            ? 'Write the down file, or undo the objects by hand and say rollback-database: records.'
            : `Say rollback-steps: ${possible}, or write the missing down file.`,
    });
}
const NEXT_AHEAD = 'The code that is live must work with this schema; a later migration can undo it. History rows stay, so the next deploy goes on from here.';
const PROOF = {
    equal: 'the fingerprint equals the one recorded before',
    'own changes undone': 'all that was changed is as before; other hands changed other objects meanwhile',
    'not compared': 'not compared: only a part of a run was undone, or its start is not recorded',
    'answer lost': 'the answer was lost; it would not have been committed unless it was as before',
};
/**
 * Runs the recorded down files. Where they fail, nothing was undone; and where this checkout has other ones (a person
 * has corrected them since), those are tried.
 */
async function revertOnce(work, wished) {
    const { access, order, look, steps } = work;
    const { rules } = order;
    const run = async (downs) => {
        const ready = await steps.step('database: read the down files', () => prepareDowns(access.log, downs), (prepared) => `${prepared.length} to run, newest first`);
        const versions = ready.map(({ version }) => version);
        const marker = (0,external_node_crypto_.randomBytes)(9).toString('base64url');
        const { role } = access.database;
        const revertOrder = { downs: ready, ...wholeRuns(look, versions), rules, role, marker };
        return runDowns(access, rules.lockWait, revertOrder, steps);
    };
    let result = await run(wished);
    if ('failure' in result &&
        mayBeCorrected(result.failure) &&
        wished.some(({ other }) => other !== undefined)) {
        const problem = result.failure.problems[0];
        access.log({
            kind: 'warning',
            problem: {
                ...problem,
                message: `the recorded down files do not work: ${problem.message}; trying those of this checkout, which differ`,
            },
        });
        result = await run(wished.map((down) => {
            const { other, unseen: _, ...rest } = down;
            return other === undefined ? down : { ...rest, source: other };
        }));
    }
    if (!('failure' in result))
        return result;
    tellFailedDowns(steps, wished, result);
    const next = byHand(order.again, wished.map(({ version }) => version));
    const problems = result.failure.problems.map((problem) => ({
        ...problem,
        next: [problem.next, next].filter(Boolean).join(' '),
    }));
    throw result.failure instanceof Cancelled ? result.failure : new Failure(problems, result.failure.outcome);
}
function mayBeCorrected(failure) {
    return (!(failure instanceof Cancelled) &&
        failure.outcome === 'failed' &&
        failure.problems[0]?.code !== CODES.dataLoss);
}
/** The exact commands for a person, where the down files did not do it. */
function byHand(again, versions) {
    const list = versions.map((version) => `'${version}'`).join(', ');
    return [
        `Again, after correcting the down file: ${commandLine('muva-deploy', 'rollback', ...again)}`,
        `By hand, after undoing the objects: ${[HISTORY_TABLE, MIGRATIONS_TABLE].map((table) => `delete from ${table} where version in (${list});`).join(' ')}`,
    ].join('. ');
}

;// CONCATENATED MODULE: ./compiled/src/server/fleet/rollback-fleet.js






/**
 * Brings the code on every host back, all at once; `undoOn` says what is to be undone on each. The worker's steps
 * become steps of `record`. Resolves with one fact per host and why it did not go back, where it did not.
 */
async function rollbackFleet({ fleet, settings, log }, record, undoOn) {
    const invocation = (0,external_node_crypto_.randomUUID)();
    const back = async (host) => {
        const request = rollbackRequest(settings, invocation, undoOn(host));
        try {
            const result = await runWorker(fleet, host, request, { log, record });
            const problems = result.problems.map((problem) => onHost(host, problem));
            return { fact: rollbackFact(host.position, result), problems };
        }
        catch (error) {
            const problems = problemsOf(error).map((problem) => onHost(host, problem));
            const fact = factOfError(host.position, error, 'rollback-failed');
            const served = error instanceof WorkerDied ? await findWhatServes(fleet, host, request) : undefined;
            if (!served)
                return { fact, problems };
            return {
                fact: { ...fact, ...servedFact(served) },
                problems: [...problems, servedWords(host, served)],
            };
        }
    };
    return Promise.all(fleet.hosts.map(back));
}
/** A rollback that failed is `rollback-failed`, whatever the deploy before it is called. Pure. */
function rollbackFact(position, result) {
    const fact = hostFact(position, result);
    const failed = result.outcome === 'failed' || result.outcome === 'put-back' || result.outcome === 'broken';
    return failed ? { ...fact, outcome: 'rollback-failed' } : fact;
}

;// CONCATENATED MODULE: ./compiled/src/pipeline/code-rollback-target.js

/**
 * Chooses the rollback target, or says why there is none. `previous` becomes one commit here, so that asking again after half
 * of it failed finishes the same rollback instead of going one release further. `schema`: the database goes back too.
 */
function chooseCodeTarget(wanted, reports, schema) {
    return wanted.to === undefined ? undoRun(wanted.runId, reports) : backTo(wanted.to, reports, schema);
}
function answersOf(reports) {
    return reports.flatMap((look) => (look.facts?.wayBack ? [{ look, way: look.facts.wayBack }] : []));
}
/** A host that has nothing to undo or cannot be reached is no reason to leave the others as they are. */
function undoRun(runId, reports) {
    const overtaken = answersOf(reports).flatMap(({ look, way }) => way.kind === 'nothing' && way.overtakenBy !== undefined
        ? [
            onHost(look, {
                message: `run ${runId} was overtaken: ${way.why}; nothing was undone`,
                next: 'Undo the later run first (run-id), or go back behind both with rollback-to.',
            }),
        ]
        : []);
    if (overtaken.length > 0)
        return { refusals: overtaken };
    return { undoOn: () => ({ undoRun: runId }), runs: [runId], again: ['--run-id', runId] };
}
/** All hosts go to one commit, or none is changed. */
function backTo(to, reports, schema) {
    const answers = answersOf(reports);
    const refusals = answers.flatMap(({ look, way }) => way.kind === 'refused' ? [onHost(look, way.problem)] : []);
    if (refusals.length > 0)
        return { refusals };
    if (answers.length === 0)
        return { refusals: reports.flatMap(({ problem }) => problem ?? []) };
    const target = ({ look, way }) => way.kind === 'go' ? way.to.sha : (look.facts?.liveSha ?? '');
    const apart = disagreement(answers, ({ look }) => look.facts?.liveSha ?? '', to === 'previous' ? 'serve' : undefined) ??
        disagreement(answers, target, 'would go to');
    if (apart)
        return { refusals: [apart] };
    const sha = target(answers[0]);
    const forward = answers.find(({ way }) => way.kind === 'go' && way.forward);
    if (forward && schema)
        return {
            refusals: [
                {
                    message: `${sha.slice(0, 7)} came after what is live: it is no way back, and would need its migrations; nothing was changed`,
                    next: `Deploy it: mode: deploy with ref: ${sha}. Without the schema: rollback-database: keep.`,
                },
            ],
        };
    const releases = new Map(answers.flatMap(({ look, way }) => (way.kind === 'go' ? [[look.host, way.to.release]] : [])));
    const runs = answers.flatMap(({ way }) => (way.kind === 'refused' ? [] : way.runs));
    return {
        undoOn: ({ position }) => ({ to: releases.get(position) ?? sha }),
        runs: [...new Set(runs)],
        again: ['--rollback-to', sha],
    };
}
/** Hosts that differ in something that one rollback needs to be the same. */
function disagreement(answers, of, verb) {
    if (verb === undefined || new Set(answers.map(of)).size === 1)
        return undefined;
    const each = answers.map((answer) => `${answer.look.name} ${of(answer).slice(0, 7) || 'nothing'}`);
    return {
        message: `the hosts ${verb} different commits (${each.join(', ')}); nothing was changed`,
        next: 'Name the commit that all of them are to serve with rollback-to, or the run that is to be undone with run-id.',
    };
}

;// CONCATENATED MODULE: ./compiled/src/pipeline/rollback.js









/**
 * Undoes what one workflow run changed, or all that came after a commit: it looks at every server and the database
 * first, then the code goes back on every host, then the database by its down files. Where the code could not be put
 * back the schema is kept: the code that is live may need it.
 */
async function rollback(work) {
    const { settings, log } = work;
    return runPhase('rollback', log, rollbackHeadline(settings), async (record) => {
        const found = await findTargets(work, record);
        const started = performance.now();
        const code = await rollbackCode(found, record);
        if (code.changed)
            record.facts.rollbackMs = Math.round(performance.now() - started);
        const schema = await rollbackSchema(found, record, code);
        if (schema.changed)
            record.changed();
        record.facts.rolledBack = code.changed || schema.changed;
        if (schema.ahead.length > 0)
            record.facts.schemaAhead = schema.ahead;
        const problems = [...code.problems, ...schema.problems];
        if (problems.length > 0)
            throw new Failure(problems, code.unknown || schema.unknown ? 'unknown' : 'failed');
        record.summarise(rollbackSummary(code, schema, settings.rollback.database));
    });
}
function rollbackHeadline({ rollback: { to, steps, runId } }) {
    if (steps !== undefined)
        return `the newest ${steps} migrations`;
    return to ?? `run ${runId}`;
}
/** Looks at all of it at once. @throws a Failure where the rollback is refused; nothing is changed then. */
async function findTargets({ database, servers, settings }, record) {
    const { steps, to, runId } = settings.rollback;
    // Steps count migrations: the code is not asked for.
    const asked = steps === undefined ? servers : undefined;
    const [hosts, found] = await Promise.all([
        asked && rollback_lookAtHosts(asked, record),
        database && rollback_lookAtDatabase(database, record),
    ]);
    const code = asked && hosts && { servers: asked, ...choose(settings, hosts) };
    if (found !== undefined && !Array.isArray(found))
        refuseEnvironment(settings, found);
    const alone = steps !== undefined
        ? ['--rollback-steps', String(steps)]
        : to === undefined
            ? ['--run-id', runId]
            : ['--rollback-to', to];
    return {
        ...(0,defined_only/* definedOnly */.U)({ code, database: database && found && { work: database, look: found } }),
        again: code?.again ?? alone,
    };
}
function rollback_lookAtHosts(servers, record) {
    const { to, runId } = servers.settings.rollback;
    const undo = to === undefined ? { undoRun: runId } : { to };
    return record.step('code: look what to undo', () => inspectFleet(servers, undo), words);
}
function words(looks) {
    return looks
        .map(({ prefix, problem, facts }) => {
        const way = facts?.wayBack;
        if (!way)
            return `${prefix}${problem?.message ?? 'no answer'}`;
        if (way.kind === 'refused')
            return prefix + way.problem.message;
        return prefix + (way.kind === 'nothing' ? `nothing: ${way.why}` : `back to ${way.to.sha.slice(0, 7)}`);
    })
        .join('\n');
}
function choose(settings, hosts) {
    const schema = settings.database !== undefined && settings.rollback.database !== 'keep';
    const target = chooseCodeTarget(settings.rollback, hosts, schema);
    if ('refusals' in target)
        throw new Failure(target.refusals);
    return target;
}
/** A database that cannot be asked now is no reason to leave bad code in place: that is told after the code went back. */
async function rollback_lookAtDatabase(database, record) {
    try {
        return await readWhatToUndo(database, record);
    }
    catch (error) {
        if (error instanceof OtherFormat)
            throw error;
        return problemsOf(error);
    }
}
function refuseEnvironment({ environment, adoptEnvironment }, { environment: remembered }) {
    if (remembered === null || environment === undefined || environment === remembered || adoptEnvironment)
        return;
    throw new Failure({
        message: `this database belongs to the environment "${remembered}", not "${environment}"; nothing was undone`,
        next: 'Check the connection secrets of this environment. Where the name has really changed, say adopt-environment: true once.',
    });
}
const rollback_NOTHING = { changed: false, unknown: false, problems: [] };
async function rollbackCode({ code }, record) {
    if (code === undefined)
        return rollback_NOTHING;
    try {
        const ends = await rollbackFleet(code.servers, record, code.undoOn);
        const hosts = ends.map(({ fact }) => fact);
        tellHosts(record, hosts);
        const bad = ends.filter(({ fact }) => ['rollback-failed', 'unknown', 'failed'].includes(fact.outcome));
        return {
            changed: hosts.some(({ outcome }) => outcome === 'rolled-back'),
            unknown: bad.some(({ fact }) => fact.outcome === 'unknown'),
            problems: bad.flatMap(({ fact, problems }) => (problems.length > 0 ? problems : [rollback_unnamed(fact)])),
        };
    }
    catch (error) {
        return { ...rollback_NOTHING, ...failed(error) };
    }
}
/** The outputs name one commit: of the first host that knows it. */
function tellHosts({ facts }, hosts) {
    facts.hosts = hosts;
    const back = hosts.find(({ outcome }) => outcome === 'rolled-back') ?? hosts[0];
    if (back?.['previous-sha'] !== undefined)
        facts.previousSha = back['previous-sha'];
    if (back?.['deployed-sha'] !== undefined)
        facts.deployedSha = back['deployed-sha'];
    if (back?.release !== undefined)
        facts.release = back.release;
}
function failed(error) {
    return {
        unknown: error instanceof Failure && error.outcome === 'unknown',
        problems: problemsOf(error),
    };
}
function rollback_unnamed(host) {
    return { message: `host ${host.host}: the previous version could not be put back` };
}
async function rollbackSchema({ code, database, again }, record, codeOutcome) {
    const nothing = { ...rollback_NOTHING, ahead: [] };
    if (database === undefined)
        return nothing;
    const { work, look } = database;
    if (Array.isArray(look))
        return { ...nothing, problems: look.map(orAgain(again)) };
    const { rollback: wish, workingDirectory, database: rules } = work.settings;
    const target = chooseTarget(look, wish, code?.runs);
    // Until it is undone it is ahead of the code, whatever comes in between.
    const ahead = target.kind === 'migrations' && code !== undefined ? target.versions : [];
    if (codeOutcome.problems.length > 0) {
        record.skip('database: kept, because the code could not be put back');
        return { ...nothing, ahead: codeOutcome.changed ? ahead : [] };
    }
    try {
        const order = {
            wish,
            how: wish.database,
            rules,
            workingDirectory,
            migrationsDir: rules.migrationsDir,
            look,
            again,
            ...(0,defined_only/* definedOnly */.U)({ runs: code?.runs }),
            onKept: (versions) => {
                record.facts.schemaAhead = [...versions];
            },
        };
        const { reverted, schemaAhead, changed } = await rollbackDatabase(work, order, record);
        record.facts.reverted = reverted;
        return { ...nothing, changed, ahead: schemaAhead };
    }
    catch (error) {
        return { ...nothing, ...failed(error), ahead };
    }
}
/** What failed for now can be asked for again, by the words that ask for nothing more. */
function orAgain(again) {
    const command = `Then finish it: muva-deploy rollback ${again.join(' ')}`;
    return (problem) => ({
        ...problem,
        next: problem.next === undefined ? command : `${problem.next} ${command}`,
    });
}
/** The closing sentence: what is back, what was left, and what stays. Pure. */
function rollbackSummary(code, schema, how) {
    const back = [
        ...(code.changed ? ['The previous version is live again.'] : []),
        ...(schema.changed
            ? [
                how === 'records'
                    ? 'The history rows are deleted; what the migrations made still stands.'
                    : 'The database is back.',
            ]
            : []),
    ];
    const ahead = schema.ahead.length === 0
        ? []
        : [
            `The schema is ahead of the code: ${schema.ahead.join(', ')} ${schema.ahead.length === 1 ? 'stays' : 'stay'} applied.`,
        ];
    if (back.length > 0 || ahead.length > 0)
        return [...(back.length > 0 ? back : ['Nothing could be taken back.']), ...ahead].join(' ');
    return 'There was nothing to undo: nothing was changed.';
}

;// CONCATENATED MODULE: ./compiled/src/pipeline/tools.js

/** Opens the parts that the settings give. The only place that asks which of them are there. */
function workOf(settings, tools, open) {
    const onDatabase = (run) => ({
        ...tools,
        settings: run,
        database: open.database(run.database.connection),
    });
    const onServers = (run) => ({ ...tools, settings: run, fleet: open.fleet(run.vps) });
    const whole = { ...tools, settings };
    switch (settings.mode) {
        case 'verify':
            return { ...whole, mode: settings.mode, database: onDatabase(settings) };
        case 'redeploy':
            return { ...whole, mode: settings.mode, servers: onServers(settings) };
        case 'migrate':
            return {
                ...whole,
                mode: settings.mode,
                database: onDatabase(settings),
                ...(0,defined_only/* definedOnly */.U)({ servers: hasServers(settings) ? onServers(settings) : undefined }),
            };
        default:
            return {
                ...whole,
                mode: settings.mode,
                ...(0,defined_only/* definedOnly */.U)({
                    database: hasDatabase(settings) ? onDatabase(settings) : undefined,
                    servers: hasServers(settings) ? onServers(settings) : undefined,
                }),
            };
    }
}
function hasDatabase(settings) {
    return settings.database !== undefined;
}
function hasServers(settings) {
    return settings.vps !== undefined;
}
/** Closes what was opened; a part that fails to does not keep the other open. */
async function closeWork({ database, servers }) {
    await Promise.allSettled([database?.database.close(), servers?.fleet.close()]);
}

;// CONCATENATED MODULE: ./compiled/src/database/schema/compare-history.js





/** Whether the recorded history and the files in the checkout are the same; `history` undefined: not readable. */
async function compareHistory(workingDirectory, rules, history) {
    const name = 'history equals the files';
    const calm = (detail) => ({ name, passed: true, detail, problems: [], warnings: [] });
    if (history === undefined)
        return calm('not compared: this login may not read the history');
    if (!(0,external_node_fs_.existsSync)((0,external_node_path_.join)(workingDirectory, rules.migrationsDir)))
        return calm(`not compared: there is no ${rules.migrationsDir} here`);
    const { files, problems } = await readMigrationFiles(workingDirectory, rules.migrationsDir);
    if (problems.length > 0)
        return { name, passed: false, problems, warnings: [] };
    return judgeHistory(files, history, rules);
}
/** A recorded version without a file follows missing-migrations; a file that is not applied yet is told. */
function judgeHistory(files, history, rules) {
    const there = new Set(files.map(({ version }) => version));
    const recorded = new Map(history.map((row) => [row.version, row]));
    const missing = history.map(({ version }) => version).filter((version) => !there.has(version));
    const others = files.flatMap((file) => {
        const row = recorded.get(file.version);
        return (row && neverRun(file, row)) ?? [];
    });
    const counted = countedAsApplied(rules, recorded);
    const waiting = files.filter(({ version }) => !recorded.has(version) && !counted(version));
    // Files from the first one marked `-- deploy: after-health` on are meant to wait.
    const late = waiting.findIndex(({ afterHealth }) => afterHealth);
    const due = late === -1 ? waiting : waiting.slice(0, late);
    const problem = {
        message: `recorded as applied, but without a file: ${missing.join(', ')}`,
        next: 'Fetch the files (supabase migration fetch) rather than delete the rows; or say missing-migrations: warn.',
    };
    const pending = {
        message: `not applied yet: ${due.map(({ file }) => file).join(', ')}`,
        next: 'Run mode migrate or deploy.',
    };
    const refused = missing.length > 0 && rules.missingMigrations === 'refuse';
    return {
        name: 'history equals the files',
        passed: !refused && others.length === 0,
        detail: [
            `${history.length} applied`,
            missing.length > 0 ? `${missing.length} without a file` : '',
            waiting.length > 0 ? `${waiting.length} not applied yet` : '',
        ]
            .filter((part) => part !== '')
            .join(', '),
        problems: [...(refused ? [problem] : []), ...others],
        warnings: [...(missing.length > 0 && !refused ? [problem] : []), ...(due.length > 0 ? [pending] : [])],
    };
}

;// CONCATENATED MODULE: ./compiled/src/pipeline/verify.js







/** Checks schema and connectivity in one round trip and writes nothing; one step per fact. */
async function verify({ database, settings, log, signal }) {
    return runPhase('verify', log, undefined, async (record) => {
        const rules = settings.database;
        record.facts.verified = false;
        const question = schemaFactsQuery(rules, settings.mode === 'verify');
        const rows = await record.step('ask the database', async () => {
            const asked = { deadline: question.deadline, signal };
            const results = retryRead(signal, () => database.send(question.message, asked));
            return readSchemaRows(await results.catch((error) => {
                throw failureOf(error, 'verifying the schema');
            }));
        });
        const { facts, tables } = judgeSchema(rows, rules);
        record.facts.tables = tables;
        const history = await compareHistory(settings.workingDirectory, rules, rows.history);
        const problems = [];
        for (const fact of [...facts, history]) {
            record.add(verify_stepOf(fact));
            for (const problem of fact.warnings)
                log({ kind: 'warning', problem });
            problems.push(...fact.problems);
        }
        if (problems.length > 0)
            throw new Failure(problems);
        record.facts.verified = true;
        record.summarise(`The schema verifies: ${facts.length + 1} facts checked.`);
    });
}
function verify_stepOf({ name, passed, detail }) {
    return {
        name,
        outcome: passed ? 'passed' : 'failed',
        startedAt: Date.now(),
        milliseconds: 0,
        ...(0,defined_only/* definedOnly */.U)({ detail }),
    };
}

;// CONCATENATED MODULE: ./compiled/src/pipeline/deploy.js



















/** Runs one mode from start to end. Always returns a report: whatever is thrown below becomes a failed phase. */
async function runPipeline(settings, entryPoint) {
    const exact = await withExactCommit(settings);
    return reported(exact, entryPoint, () => entryPoint.signal.aborted, runPhases);
}
/**
 * Called by the post step when the main step ended without a final report (cancelled, killed): ends what `session`, the
 * main step, has still at work, then keeps the new version where it is complete and healthy, and undoes what this run
 * changed where not. Returns undefined for modes that write nothing.
 */
async function resolveInterruptedRun(settings, entryPoint, session) {
    if (!WRITING_MODES.includes(settings.mode))
        return undefined;
    return reported(settings, entryPoint, () => true, (work, phases) => resolveInterrupted(work, session, phases));
}
/** Opens the parts, lets `fill` add the phases, and makes one report of them and of every warning told. */
async function reported(settings, entryPoint, cancelled, fill) {
    const startedAt = Date.now();
    const warnings = [];
    const log = eachWarningOnce((entry) => {
        if (entry.kind === 'warning')
            warnings.push(entry.problem);
        entryPoint.log(entry);
    });
    const phases = [];
    const work = workOf(settings, { log, signal: entryPoint.signal }, {
        database: (connection) => openDatabase(connection, { log, label: labelOf(settings.run) }),
        fleet: (vps) => openFleet(vps, { dist: entryPoint.dist, log }),
    });
    try {
        await fill(work, phases);
    }
    finally {
        await closeWork(work);
    }
    return finishedReport(settings, phases, warnings, startedAt, cancelled());
}
const WRITING_MODES = ['migrate', 'redeploy', 'rollback', 'deploy'];
async function resolveInterrupted(work, session, phases) {
    const { settings, servers, log } = work;
    const recordPhase = phaseRecorder(log, phases);
    const hosts = servers ? await resolveInterruptedFleet(servers, session) : [];
    if (hosts.length > 0) {
        const settled = await recordPhase('redeploy', () => runPhase('redeploy', log, 'what this run left behind', async (record) => {
            record.facts.hosts = hosts;
            for (const host of hosts)
                record.add(hostStepAfterwards(host));
            if (hosts.some((host) => host.outcome === 'unknown'))
                throw new Failure({ message: 'It is not known what every host serves.' }, 'unknown');
        }));
        if (settled.outcome === 'unknown' && work.mode === 'redeploy')
            return;
    }
    if (work.mode !== 'deploy') {
        // Nothing is undone unasked where a person called the phases one by one; the plan says where things stand.
        await recordPhase('plan', async () => (await plan(work)).report);
        return;
    }
    const live = hosts.length > 0 && hosts.every((host) => host.outcome === 'deployed');
    if (live &&
        (settings.skip.includes('health') ||
            (await recordPhase('health', () => health(work))).outcome === 'passed'))
        return;
    if (settings.rollback.onFailure)
        await recordPhase('rollback', () => rollback(work));
}
function hostStepAfterwards(host) {
    const outcome = host.outcome === 'unknown' ? 'unknown' : 'passed';
    const serves = host['deployed-sha'] === undefined
        ? 'serves nothing of ours'
        : `serves ${host['deployed-sha'].slice(0, 7)}`;
    return {
        name: `host ${host.host}`,
        outcome,
        startedAt: Date.now(),
        milliseconds: 0,
        detail: host.detail ?? serves,
    };
}
/** What other runs see of this one while they wait for it. */
function labelOf({ id, url }) {
    return url === undefined ? `run ${id}` : `run ${id} ${url}`;
}
/** The order of phases. `phases` grows as they end, so that nothing is lost when a later one throws. */
async function runPhases(work, phases) {
    const { settings, log } = work;
    const recordPhase = phaseRecorder(log, phases);
    const { refusals, warnings } = await judgeProvenance(settings);
    for (const problem of [...settings.warnings, ...warnings])
        log({ kind: 'warning', problem });
    if (refusals.length > 0) {
        await recordPhase(firstPhase(work), () => refused(work, refusals));
        return;
    }
    switch (work.mode) {
        case 'plan':
            await recordPhase('plan', async () => (await plan(work)).report);
            return;
        case 'verify':
            await recordPhase('verify', () => verify(work.database));
            return;
        case 'health':
            await recordPhase('health', () => health(work));
            return;
        case 'rollback':
            await recordPhase('rollback', () => rollback(work));
            return;
        case 'redeploy':
            await recordPhase('redeploy', () => redeploy(work.servers));
            return;
        case 'migrate':
            await migrateAlone(work.database, work.servers, recordPhase);
            return;
        case 'deploy':
            await deployPhases(work, recordPhase, phases);
    }
}
function firstPhase({ mode }) {
    return mode === 'deploy' ? 'plan' : mode;
}
/** The phase that would have come first, where whose code it is speaks against the run. */
function refused(work, refusals) {
    return runPhase(firstPhase(work), work.log, undefined, async (record) => {
        record.summarise('Nothing was changed.');
        throw new Failure(refusals);
    });
}
function phaseRecorder(log, phases) {
    return async (phase, work) => {
        const report = await guarded(phase, work, log);
        phases.push(report);
        return report;
    };
}
async function passed(report) {
    return (await report).outcome === 'passed';
}
/** Mode `migrate`: whoever calls the phases one by one says whether health has passed (`after-health`). */
async function migrateAlone(database, servers, recordPhase) {
    if (!(await backedUp(database, servers, recordPhase)))
        return;
    const { afterHealth } = database.settings.database;
    await recordPhase('migrate', () => migrate(database, { contract: afterHealth }));
}
/** True where the backup that is wanted was made, or none is wanted. */
async function backedUp(database, servers, recordPhase, rollout) {
    if (database.settings.database.backup === 'off')
        return true;
    return passed(recordPhase('backup', () => backup(database, servers, rollout)));
}
/** Look at everything, then change it; on failure undo what this run changed. */
async function deployPhases(work, recordPhase, phases) {
    const { settings, log, signal } = work;
    let look;
    let before = [];
    const planned = recordPhase('plan', async () => {
        const [found, baseline] = await Promise.all([
            plan(work),
            settings.skip.includes('health') ? [] : healthBaseline(work),
        ]);
        look = found;
        before = baseline;
        return found.report;
    });
    const ready = await passed(planned);
    const earlier = earlierAttempt(settings, look);
    if (ready && look && !look.hosts?.some(isOvertaken))
        await change(work, recordPhase, { look, before, untouched: !earlier.database && !earlier.code });
    if (signal.aborted)
        return;
    const decision = decideRollback(phases, before, settings.rollback.onFailure, earlier);
    if (decision.rollback) {
        log({ kind: 'line', text: `${decision.why} Rolling back what this run changed.` });
        await recordPhase('rollback', () => rollback(work));
    }
    else if (firstFailure(phases)) {
        const newCode = !work.servers || changesOf(phases, earlier).code;
        const kept = newCode ? [] : earlierVersions(settings, look);
        phases.push({
            ...skippedPhase('rollback', decision.why),
            facts: kept.length === 0 ? {} : { schemaAhead: kept },
        });
        log({ kind: 'line', text: decision.why });
    }
}
/** What an earlier attempt of this workflow run, which came to no end, left standing. */
function earlierAttempt({ run, vps }, look) {
    return {
        database: earlierVersions({ run }, look).length > 0,
        code: vps !== undefined &&
            (look?.hosts?.some(({ facts }) => facts?.liveRun === run.id && facts.liveSha === vps.ref) ?? false),
    };
}
/** The migrations that it applied and nobody has taken back, newest first. */
function earlierVersions({ run }, look) {
    const recorded = look?.database?.look?.recorded ?? [];
    return recorded
        .filter(({ runId }) => runId === run.id)
        .map(({ version }) => version)
        .reverse();
}
/**
 * The part of a deploy that writes, phase after phase, until one does not pass: prepare, backup, migrate, verify, redeploy,
 * health, and the migrations that wait for that. With `migrate-before: build` the database comes before prepare.
 */
async function change(work, recordPhase, known) {
    const { settings, database, servers } = work;
    const { look, before } = known;
    const databaseFirst = database?.settings.database.migrateBefore === 'build';
    let rollout;
    try {
        if (database && databaseFirst && !(await changeSchema(database, servers, recordPhase, look)))
            return;
        if (servers) {
            rollout = await prepared(servers, recordPhase, known, databaseFirst ? undefined : database);
            if (!rollout)
                return;
        }
        if (database && !databaseFirst && !(await changeSchema(database, servers, recordPhase, look, rollout))) {
            if (servers && rollout)
                await deploy_stopped(servers, rollout, recordPhase);
            return;
        }
        if (servers && rollout && !(await passed(redeployed(servers, rollout, recordPhase))))
            return;
        if (!settings.skip.includes('health')) {
            const expect = (0,defined_only/* definedOnly */.U)({ expectSha: servers?.settings.vps.ref });
            if (!(await passed(recordPhase('health', () => health(work, { before, ...expect })))))
                return;
        }
        if (database && (look.database?.deferred.length ?? 0) > 0)
            await recordPhase('migrate', () => migrate(database, { contract: true }));
    }
    finally {
        await rollout?.stop('the deploy does not go on');
    }
}
/** All hosts with everything done that can fail; undefined where the deploy ends there. `database`: changed after this. */
async function prepared(servers, recordPhase, { look, untouched }, database) {
    const commits = (look.database?.batches.length ?? 0) > 0;
    const between = database === undefined ? 'nothing' : commits ? 'commits' : 'records';
    const nothingYet = untouched && (database !== undefined || look.database === undefined);
    let rollout;
    await recordPhase('prepare', async () => {
        const done = await prepare(servers, look.hosts ?? [], between, nothingYet);
        rollout = done.rollout;
        return done.report;
    });
    return rollout;
}
/** Backup, migrate and verify; the hosts that wait rehearse on the new schema beside the last. */
async function changeSchema(database, servers, recordPhase, look, rollout) {
    if (!(await backedUp(database, servers, recordPhase, rollout)))
        return false;
    const options = (0,defined_only/* definedOnly */.U)({ plan: look.database, hosts: rollout });
    if (!(await passed(recordPhase('migrate', () => migrate(database, options)))))
        return false;
    rollout?.rehearse();
    return passed(recordPhase('verify', () => verify(database)));
}
/** Stops the hosts that were prepared in vain; what went wrong on one of them is told as the phase that it was in. */
async function deploy_stopped(servers, rollout, recordPhase) {
    const ends = await rollout.stop('the deploy does not go on');
    if (ends.some(({ problems }) => problems.length > 0))
        await redeployed(servers, rollout, recordPhase);
}
function redeployed(servers, rollout, recordPhase) {
    return recordPhase('redeploy', () => cutOverHosts(servers, rollout));
}
/** An unexpected error becomes a failed report, so that rollback and outputs still happen. */
async function guarded(phase, work, log) {
    const startedAt = Date.now();
    try {
        return await work();
    }
    catch (error) {
        const ended = { ...skippedPhase(phase, ''), startedAt, milliseconds: Date.now() - startedAt };
        if (error instanceof Cancelled)
            return { ...ended, cancelled: true };
        const problems = problemsOf(error);
        for (const problem of problems)
            log({ kind: 'problem', problem });
        return { ...ended, outcome: 'failed', problems };
    }
}
function finishedReport(settings, phases, warnings, startedAt, cancelled) {
    const failed = firstFailure(phases) ?? phases.find((phase) => phase.outcome === 'failed' || phase.outcome === 'unknown');
    const failedStep = failed?.steps.find((step) => step.outcome === 'failed' || step.outcome === 'unknown')?.name;
    const { outcome, facts } = endOf(phases, settings.mode, cancelled);
    const changes = changesOf(phases);
    const next = nextActionOf(phases, settings.rollback.runId);
    return {
        mode: settings.mode,
        ...(0,defined_only/* definedOnly */.U)({ environment: settings.environment }),
        outcome,
        phases,
        ...(failed ? { failedPhase: failed.phase } : {}),
        ...(0,defined_only/* definedOnly */.U)({ failedStep }),
        problems: phases.flatMap((phase) => phase.problems),
        warnings,
        facts,
        ...(0,defined_only/* definedOnly */.U)({ next }),
        ...(outcome === 'cancelled' && settings.mode === 'deploy' && (changes.database || changes.code)
            ? { unsettled: true }
            : {}),
        startedAt,
        milliseconds: Date.now() - startedAt,
    };
}

// EXTERNAL MODULE: ./compiled/src/lib/lines.js
var lines = __nccwpck_require__(5964);
;// CONCATENATED MODULE: ./compiled/src/lib/whole-lines.js
/** Characters: the end of a longer line is not waited for. */
const whole_lines_LONGEST_LINE = 128_000;
/** Characters: nothing longer is held back. No form of a secret is that long; blanks without end behind the beginning of one could be. */
const whole_lines_LONGEST_WAIT = 1_000_000;
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
            if (rest.length > whole_lines_LONGEST_LINE)
                halfLine();
            if (rest.length > whole_lines_LONGEST_WAIT)
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

;// CONCATENATED MODULE: ./compiled/src/report/log-printer.js




/** Milliseconds: a line at least this often while something runs, so that nobody takes the run for dead. */
const HEARTBEAT = 25_000;
/** Characters: longer lines (minified code in a build's output) are cut with a count. */
const log_printer_LONGEST_LINE = 2_000;
/** Streams of output that may have half a line kept at the same time; there is one for each program of each host. */
const MOST_STREAMS = 100;
/**
 * Prints the log: puts entries into words, redacts them, groups the output of programs, and says what is under way
 * after `heartbeat` milliseconds without a line.
 */
function logPrinter(sink, redactor, heartbeat = HEARTBEAT) {
    /** The source whose group is open, and the one of the last output; a group is only opened once there is a line to show. */
    let source;
    let current;
    let printedAt = performance.now();
    let doing;
    const streams = new Map();
    const notePrinted = () => {
        printedAt = performance.now();
    };
    /** Redacts lines as one text: a secret may go over several, or over two fields of one. */
    const safeLines = (lines) => lines.length === 0 ? [] : redactor.redact(lines.join('\n')).split('\n');
    const outputLine = (text) => {
        if (text.trim() === '')
            return;
        const rest = text.length - log_printer_LONGEST_LINE;
        sink.outputLine(rest > 0 ? `${text.slice(0, log_printer_LONGEST_LINE)} ... ${rest} more characters` : text);
    };
    const group = (from) => {
        if (source === from)
            return;
        closeGroup();
        source = from;
        sink.openOutput(safeLines((0,lines/* linesOf */.D)(from)).join(' '));
    };
    const closeGroup = () => {
        if (source !== undefined)
            sink.closeOutput();
        source = undefined;
    };
    const streamOf = (from) => {
        const known = streams.get(from);
        if (known)
            return known;
        const [oldest] = streams.keys();
        if (streams.size >= MOST_STREAMS)
            finish(oldest);
        const fresh = wholeLines(redactor, (text) => {
            group(from);
            for (const line of text.replace(/\n$/, '').split('\n'))
                outputLine(line);
        });
        streams.set(from, fresh);
        return fresh;
    };
    const finish = (from) => {
        streams.get(from)?.finish();
        streams.delete(from);
    };
    /** Before something else is printed: half a line is, but nothing in which a secret may have begun. */
    const interrupt = () => {
        if (current !== undefined)
            streams.get(current)?.flush();
        current = undefined;
        closeGroup();
    };
    const finishAll = () => {
        for (const from of [...streams.keys()])
            finish(from);
        closeGroup();
    };
    const timer = setInterval(() => {
        if (doing === undefined || performance.now() - printedAt < heartbeat)
            return;
        const text = `  ...     still at ${doing.what}, ${(0,duration/* formatDuration */.a)(performance.now() - doing.since)} so far`;
        for (const line of safeLines([text]))
            source === undefined ? sink.line(line) : sink.outputLine(line);
        notePrinted();
    }, Math.max(10, Math.round(heartbeat / 5)));
    timer.unref();
    return {
        log(entry) {
            if (entry.kind === 'debug')
                return safeLines((0,log_format/* formatLogEntry */.ob)(entry)).forEach((line) => void sink.debug(line));
            doing = activity(entry, doing);
            notePrinted();
            if (entry.kind === 'output') {
                if (current !== entry.source)
                    interrupt();
                current = entry.source;
                return streamOf(entry.source).take(entry.text);
            }
            if (entry.kind === 'phase-ended')
                finishAll();
            else
                interrupt();
            for (const line of safeLines((0,log_format/* formatLogEntry */.ob)(entry)))
                sink.line(line);
        },
        end() {
            clearInterval(timer);
            finishAll();
        },
    };
}
function activity(entry, before) {
    const since = performance.now();
    switch (entry.kind) {
        case 'phase-started':
            return { what: entry.phase, since };
        case 'progress':
            return { what: ((0,lines/* linesOf */.D)(entry.text)[0] ?? '').replace(/[.…]+$/, ''), since };
        case 'step':
            return { what: entry.phase, since: before?.since ?? since };
        case 'phase-ended':
            return undefined;
        default:
            return before;
    }
}

;// CONCATENATED MODULE: ./compiled/src/lib/version.js
/** The version in package.json, which does not travel with the bundle; a test compares them. */
const VERSION = '0.1.0';

;// CONCATENATED MODULE: ./compiled/src/report/outputs.js


/** Every output and what it says; action.yml says the same (a test compares them). */
const OUTPUT_DESCRIPTIONS = {
    outcome: 'success, failure, rolled-back, rollback-failed, cancelled, unknown or skipped (a newer run is live already).',
    'failed-phase': 'The phase that failed first; empty after success.',
    'failed-step': 'The step that failed first; empty after success.',
    pending: 'Versions that were pending at the start (JSON array).',
    applied: 'Versions that this run applied and committed (JSON array).',
    deferred: 'Versions that wait until health has passed (JSON array).',
    skipped: 'Versions that were not reached or not applied on purpose (JSON array).',
    reverted: 'Versions that the rollback took back (JSON array).',
    'schema-ahead': 'Versions that stay applied although the code that came with them is not live (JSON array).',
    'schema-lead-ms': 'Milliseconds from the first commit of this run until the last host served the new code (or the down files were committed); 0 where nothing was applied, empty where the old code stays.',
    verified: 'true when the schema was verified, else false.',
    tables: 'Tables with rows, bytes, row level security and policies (JSON array).',
    'previous-sha': 'Commit that was live before.',
    'deployed-sha': 'Commit that is live now.',
    release: 'Release that is live now.',
    health: 'Every check: name, ok, status, latency-ms, attempts (JSON array).',
    healthy: 'true when every health check passed; empty where none was asked.',
    'rolled-back': 'true when something was put back, else false.',
    verdict: 'ok, slow, app, database or edge; empty where health was not reached.',
    'downtime-ms': 'Milliseconds without an answer on loopback during the cutover: the port is looked at every 20 ms, an answer asked for six times at most.',
    'rollback-ms': 'Milliseconds that putting the code back took.',
    hosts: 'One entry per host, by position (JSON array).',
    reversible: 'true when every pending file has a down file.',
    destructive: 'true when a pending file drops data.',
    'backup-path': 'Where the backup lies, or restore-point:<name>.',
    'deployment-id': 'Id of the GitHub Deployment.',
    'duration-ms': 'Milliseconds that the run took.',
    report: 'Path of a JSON file with every phase and step, its outcome, milliseconds and detail.',
};
/** All of them, in the order of action.yml. */
const OUTPUT_NAMES = Object.keys(OUTPUT_DESCRIPTIONS);
/** Characters of one output, and of all; GitHub allows a job 1 MB (counted in UTF-16) over all its steps. */
const OUTPUT_LIMITS = { one: 60_000, all: 200_000 };
/**
 * The report as output values. Every output has a value on every path: an empty list is `[]`, what was not found
 * out is empty. A list that is too long loses entries at its end, so that it stays valid JSON.
 */
function outputsOf(report, reportPath, limits = OUTPUT_LIMITS) {
    const cuts = [];
    let left = limits.all;
    const list = (name, items) => {
        const { text, kept } = jsonArray(items ?? [], Math.min(limits.one, left));
        if (kept < (items?.length ?? 0))
            cuts.push(`output ${name} holds ${kept} of ${items.length} entries`);
        left -= text.length;
        return text;
    };
    const line = (name, text) => {
        const whole = String(text ?? '');
        const most = 2_000;
        if (whole.length > most)
            cuts.push(`output ${name} holds ${most} of ${whole.length} characters`);
        return whole.slice(0, most);
    };
    const { facts } = report;
    const values = {
        outcome: report.outcome,
        'failed-phase': line('failed-phase', report.failedPhase),
        'failed-step': line('failed-step', report.failedStep),
        pending: list('pending', facts.pending),
        applied: list('applied', facts.applied),
        deferred: list('deferred', facts.deferred),
        skipped: list('skipped', facts.skipped),
        reverted: list('reverted', facts.reverted),
        'schema-ahead': list('schema-ahead', facts.schemaAhead),
        'schema-lead-ms': line('schema-lead-ms', facts.schemaLeadMs),
        verified: String(facts.verified ?? false),
        'previous-sha': line('previous-sha', facts.previousSha),
        'deployed-sha': line('deployed-sha', facts.deployedSha),
        release: line('release', facts.release),
        health: list('health', facts.health),
        healthy: line('healthy', facts.healthy),
        'rolled-back': String(facts.rolledBack ?? false),
        verdict: line('verdict', facts.verdict),
        'downtime-ms': line('downtime-ms', facts.downtimeMs),
        'rollback-ms': line('rollback-ms', facts.rollbackMs),
        hosts: list('hosts', facts.hosts),
        // The longest one last: it takes what the others leave.
        tables: list('tables', facts.tables),
        reversible: line('reversible', facts.reversible),
        destructive: line('destructive', facts.destructive),
        'backup-path': line('backup-path', facts.backupPath),
        'deployment-id': line('deployment-id', facts.deploymentId),
        'duration-ms': line('duration-ms', Math.round(report.milliseconds)),
        report: reportPath,
    };
    return { values, cuts };
}
function jsonArray(items, most) {
    const parts = [];
    let length = 2;
    for (const item of items) {
        const part = JSON.stringify(item);
        length += part.length + 1;
        if (length > most)
            break;
        parts.push(part);
    }
    return { text: `[${parts.join(',')}]`, kept: parts.length };
}
/** 0 only when everything asked for was done; a newer run being live already is no fault. */
function exitCodeOf(report) {
    const asked = report.mode === 'rollback' && report.outcome === 'rolled-back';
    return asked || report.outcome === 'success' || report.outcome === 'skipped' ? 0 : 1;
}
/** The content of the report file: everything, in the words of the outputs. */
function reportFile(report, run) {
    const content = {
        schema: 1,
        version: VERSION,
        'run-id': run.id,
        attempt: run.attempt,
        commit: run.sha ?? null,
        url: run.url ?? null,
        mode: report.mode,
        environment: report.environment ?? null,
        outcome: report.outcome,
        'failed-phase': report.failedPhase ?? null,
        'failed-step': report.failedStep ?? null,
        next: report.next ?? null,
        'started-at': new Date(report.startedAt).toISOString(),
        'duration-ms': Math.round(report.milliseconds),
        phases: report.phases.map(phaseEntry),
        problems: report.problems,
        warnings: report.warnings,
        planned: report.planned ?? [],
        facts: factEntries(report.facts),
    };
    return JSON.stringify(content, undefined, 2) + '\n';
}
function phaseEntry(phase) {
    return {
        phase: phase.phase,
        outcome: (0,log_format/* phaseOutcome */.g9)(phase),
        'started-at': new Date(phase.startedAt).toISOString(),
        'duration-ms': Math.round(phase.milliseconds),
        summary: phase.summary ?? null,
        problems: phase.problems,
        steps: phase.steps.map((step) => ({
            name: step.name,
            outcome: step.outcome,
            'started-at': new Date(step.startedAt).toISOString(),
            'duration-ms': Math.round(step.milliseconds),
            detail: step.detail ?? null,
        })),
    };
}
function factEntries(facts) {
    return Object.fromEntries(Object.entries(facts).map(([name, value]) => [
        name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
        value,
    ]));
}

;// CONCATENATED MODULE: ./compiled/src/github/annotations.js






/** GitHub keeps ten per level and step, and drops the rest silently. */
const annotations_MOST = 10;
/** Characters. */
const annotations_LONGEST = 4_000;
/**
 * What is shown beside the files of a pull request and on top of the run: how it ended, then what went wrong,
 * then the warnings; ten at most, and the last one tells how many more the log has.
 */
function annotationsOf(report, places) {
    const failed = exitCodeOf(report) !== 0;
    const [cause] = report.problems;
    const all = [];
    if (failed) {
        const why = cause === undefined ? '' : `: ${cause.message}`;
        const { next } = report;
        const how = { message: `${capitalize((0,log_format/* outcomeText */.EL)(report))}${why}`, ...(0,defined_only/* definedOnly */.U)({ next }) };
        all.push(annotation('failed', how, places));
    }
    // What to do is told with the cause. Where the cause itself has other advice, that is told as well.
    const whole = cause?.at === undefined && (cause?.next === undefined || cause.next === report.next);
    const told = new Set(failed && cause !== undefined && whole ? [problemKey(cause)] : []);
    const add = (level, problems) => {
        for (const problem of problems) {
            if (told.has(problemKey(problem)))
                continue;
            told.add(problemKey(problem));
            all.push(annotation(level, problem, places));
        }
    };
    add('error', report.problems);
    // A place in a file is worth more than a remark without one.
    const placed = report.warnings.filter((problem) => problem.at !== undefined);
    add('warning', [...placed, ...report.warnings.filter((problem) => problem.at === undefined)]);
    if (all.length <= annotations_MOST)
        return all;
    const rest = all.length - (annotations_MOST - 1);
    return [
        ...all.slice(0, annotations_MOST - 1),
        { level: 'notice', message: `${rest} more are in the log and in the report file.`, properties: {} },
    ];
}
function annotation(level, problem, places) {
    const code = problem.code === undefined ? '' : ` (${problem.code})`;
    const next = problem.next === undefined ? '' : `\n${problem.next}`;
    const message = `${problem.message}${code}${next}`;
    if (problem.at === undefined)
        return { level, message: message.slice(0, annotations_LONGEST), properties: {} };
    const { file, line, column } = problem.at;
    return {
        level,
        message: message.slice(0, annotations_LONGEST),
        properties: {
            file: fromWorkspace(file, places),
            startLine: line,
            startColumn: column,
        },
    };
}
/** Gives them to the runner; one of level `failed` also sets the exit code. */
async function annotate(annotations) {
    const core = await Promise.all(/* import() */[__nccwpck_require__.e(459), __nccwpck_require__.e(327)]).then(__nccwpck_require__.bind(__nccwpck_require__, 2327));
    for (const { level, message, properties } of annotations) {
        if (level === 'failed')
            core.setFailed(message);
        else
            core[level](message, properties);
    }
}

;// CONCATENATED MODULE: ./compiled/src/lib/redact-deep.js
/** A copy of a plain value with every text in it redacted. A report that leaves the run goes through it. */
function redactDeep(value, redact) {
    if (typeof value === 'string')
        return redact(value);
    if (Array.isArray(value))
        return value.map((item) => redactDeep(item, redact));
    if (typeof value !== 'object' || value === null)
        return value;
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, redactDeep(item, redact)]));
}

// EXTERNAL MODULE: ./compiled/src/inputs/modes.js
var modes = __nccwpck_require__(1905);
;// CONCATENATED MODULE: ./compiled/src/entry/run-lifecycle.js










/** What both entry points do around the pipeline, the same way. */
/** Reads every input once; later changes of the environment change nothing. */
function snapshot(read) {
    const values = new Map(input_sources/* INPUT_NAMES */.Qh.map((name) => [name, read(name)]));
    return (name) => values.get(name);
}
/** A value as given: it can hold whatever was pasted into the wrong input, and then it is not repeated. */
function safeOr(value, otherwise) {
    return (0,quote_if_safe/* isSafeToQuote */.Lk)(value) ? value : otherwise;
}
function startedRun(read, startedAt) {
    const environment = read('environment');
    return {
        mode: safeOr(read('mode'), '(not a mode)'),
        ...(environment === '' ? {} : { environment: safeOr(environment, '(not a name)') }),
        startedAt,
    };
}
/** The line that every run begins with: what `rollback` has to be told later stands in it. */
function firstLine({ mode }, run) {
    const commit = run.sha === undefined ? '' : `, commit ${run.sha.slice(0, 10)}`;
    return `muva-deploy ${mode}, run ${run.id} attempt ${run.attempt}${commit}`;
}
/** The report of a run that was refused before it began. */
function refusedReport(run, problems) {
    const next = problems.find((problem) => problem.next !== undefined)?.next;
    return {
        ...run,
        outcome: 'failure',
        phases: [],
        problems,
        warnings: [],
        facts: {},
        ...(0,defined_only/* definedOnly */.U)({ next }),
        milliseconds: Date.now() - run.startedAt,
    };
}
const WRITING_PHASES = ['prepare', 'migrate', 'redeploy', 'rollback'];
function logRecorder(log) {
    const ended = [];
    const warnings = [];
    const planned = [];
    let open;
    return {
        warnings,
        planned,
        log(entry) {
            if (entry.kind === 'line' && open?.phase === 'plan')
                planned.push(entry.text.trim());
            if (entry.kind === 'warning')
                warnings.push(entry.problem);
            if (entry.kind === 'phase-started')
                open = { phase: entry.phase, startedAt: Date.now(), steps: [], facts: entry.facts };
            if (entry.kind === 'step' && open?.phase === entry.phase)
                open.steps.push(entry.step);
            if (entry.kind === 'phase-ended') {
                ended.push(entry.report);
                open = undefined;
            }
            log(entry);
        },
        report(run, problems) {
            const milliseconds = Date.now() - run.startedAt;
            const unknown = open !== undefined && WRITING_PHASES.includes(open.phase);
            const cancelled = problems.length === 0;
            // What was cancelled while it only looked needs no other reason.
            const why = cancelled && unknown ? [{ message: 'The run was cancelled.' }] : problems;
            const unfinished = open === undefined
                ? []
                : [
                    {
                        ...open,
                        outcome: unknown ? 'unknown' : 'failed',
                        milliseconds: Date.now() - open.startedAt,
                        problems: why,
                        ...(cancelled ? { cancelled } : {}),
                        summary: 'It was still under way when the time ran out.',
                    },
                ];
            return {
                ...run,
                outcome: unknown ? 'unknown' : 'cancelled',
                phases: [...ended, ...unfinished],
                ...(open === undefined ? {} : { failedPhase: open.phase }),
                problems: why,
                warnings,
                facts: mergeFacts([...ended, ...unfinished]),
                unsettled: true,
                milliseconds,
            };
        },
    };
}
/**
 * A reader that went away, such as `| head`, a terminal that was closed or a runner that was killed, must not stop a
 * deploy half-way: what can no longer be told is not told. Called before the first word.
 */
function ignoreClosedOutput() {
    for (const stream of [process.stdout, process.stderr])
        stream.on('error', () => { });
}
function watchCrashes() {
    const early = [];
    let tell = (problems) => void early.push(problems);
    const onCrash = (error) => tell(problemsOf(error));
    process.on('uncaughtException', onCrash).on('unhandledRejection', onCrash);
    return {
        listen(listener) {
            tell = listener;
            for (const problems of early.splice(0))
                listener(problems);
        },
    };
}
/**
 * Runs `work` until it ends, is stopped by a signal, or an error turns up that nobody caught (a library's socket
 * after its owner let go of it). The handlers stay for the rest of the process: a signal while the outputs are
 * being written must not lose them.
 */
async function stoppable(options, work) {
    const controller = new AbortController();
    const result = {};
    let ended = false;
    let late;
    let giveUp = () => { };
    const tooLate = new Promise((resolve) => {
        giveUp = resolve;
    });
    const stop = (stopped, why) => {
        if (ended || result.stopped !== undefined)
            return;
        result.stopped = stopped;
        options.onStop(why);
        controller.abort();
        late = setTimeout(giveUp, options.grace);
    };
    const onSignal = (signal) => {
        // Never for a SIGHUP: a terminal that closes sends several, and nobody is there to be impatient.
        if (result.stopped !== undefined && options.impatient && signal === 'SIGINT')
            process.exit(130);
        stop({ signal }, `${signal} received: stopping what is under way`);
    };
    process.on('SIGINT', onSignal).on('SIGTERM', onSignal).on('SIGHUP', onSignal);
    options.crashes.listen((problems) => {
        if (ended)
            options.onStray(problems);
        else
            stop({ problems }, `unexpected error, stopping: ${problems[0]?.message ?? ''}`);
    });
    const finished = work(controller.signal).then((value) => {
        if (!ended)
            result.value = value;
    }, (error) => {
        if (!ended)
            result.stopped ??= { problems: problemsOf(error) };
    });
    await Promise.race([finished, tooLate]);
    ended = true;
    clearTimeout(late);
    return result;
}
/** The pipeline's own report, or what was heard of a run that did not come back; with what stopped it. */
function conclude(ended, recorder, run) {
    const crash = ended.stopped !== undefined && 'problems' in ended.stopped ? ended.stopped.problems : [];
    const report = ended.value ?? recorder.report(run, crash);
    return {
        ...report,
        // What looks like a cancel from inside was our own stop after an error.
        ...(crash.length > 0 && report.outcome === 'cancelled' ? { outcome: 'failure' } : {}),
        problems: ended.value === undefined ? report.problems : [...crash, ...report.problems],
        warnings: [...new Set([...recorder.warnings, ...report.warnings])],
        planned: recorder.planned,
    };
}
/** Writes the report into a new file of the folder, readable by this user only; its path. */
function writeReport(report, run, folder) {
    const mode = modes/* MODES */.F.find((known) => known === report.mode) ?? 'refused';
    const path = (0,external_node_path_.join)(folder, `muva-deploy-${mode}-${(0,external_node_crypto_.randomBytes)(4).toString('hex')}.json`);
    (0,external_node_fs_.writeFileSync)(path, reportFile(report, run), { mode: 0o600, flag: 'wx' });
    return path;
}

;// CONCATENATED MODULE: ./compiled/src/entry/publish.js







/**
 * Everything that leaves the run: outputs first (a cancelled job may end us at any moment), then the API, the
 * summary, the annotations and the exit code. The report is redacted once, here.
 */
async function publish(report, publication) {
    const { run, env, redact, tell, places } = publication;
    const said = redactDeep(report, redact);
    process.exitCode = exitCodeOf(said);
    const warnings = [];
    const { values, cuts } = outputsOf(said, fileReport(said, publication, warnings));
    const { setOutput } = await Promise.all(/* import() */[__nccwpck_require__.e(459), __nccwpck_require__.e(327)]).then(__nccwpck_require__.bind(__nccwpck_require__, 2327));
    // Without the file the toolkit would print the outputs as commands of the old kind.
    if (env.GITHUB_OUTPUT)
        for (const [name, value] of Object.entries(values))
            setOutput(name, value);
    warnings.push(...((await publication.between?.(said)) ?? []));
    for (const line of (0,log_format/* closingLines */.Po)(said))
        tell(line);
    for (const text of cuts)
        tell(`${text}; the report file has all of them.`);
    if (values.report !== '')
        tell(`report: ${values.report}`);
    const whole = () => ({ ...said, warnings: [...said.warnings, ...redactDeep(warnings, redact)] });
    try {
        await writeSummary(summaryOf(whole(), { run, places }), env);
    }
    catch (error) {
        warnings.push({ message: `The job summary was not written: ${messageOf(error)}` });
    }
    await annotate(annotationsOf(whole(), places));
}
/** The path of the report file, or empty where it could not be written: that must not cost the other outputs. */
function fileReport(report, { run, folder }, warnings) {
    try {
        return writeReport(report, run, folder);
    }
    catch (error) {
        warnings.push({ message: `The report file was not written: ${messageOf(error)}` });
        return '';
    }
}

;// CONCATENATED MODULE: ./compiled/src/entry/action.js





















/** After a cancel the runner sends SIGTERM at 7.5 s; by then the truth has to be written. Milliseconds. */
const GRACE = 4_500;
const API_AFTER_STOP = 1_500;
/** Names of the values that the post step reads. */
const STATE = {
    begun: 'begun',
    session: 'session',
    cancelled: 'cancelled',
    final: 'final',
    deployment: 'deployment',
};
/** The main step: inputs, work, outputs. Sets the exit code and never throws. */
async function action(entryPoint) {
    const session = openSession(process.env);
    const { printer } = session;
    try {
        printer.log({ kind: 'line', text: firstLine(session.started, session.run) });
        const parsed = action_parse(session);
        if (parsed.settings === undefined)
            await publish(refuse(session, parsed.problems), session.publication);
        else
            await work(session, parsed.settings, entryPoint.dist);
    }
    catch (error) {
        await publish(refuse(session, problemsOf(error)), session.publication);
    }
    finally {
        printer.end();
        leave();
    }
}
/**
 * The post step: acts only where the main step began to work and ended without a final report (cancelled, killed).
 * A script of its own, so that it can never do the main work by mistake.
 */
async function post(entryPoint) {
    if (action_stateOf(STATE.begun) === '' || action_stateOf(STATE.final) !== '')
        return;
    const session = openSession(process.env);
    const { printer, publication } = session;
    try {
        const cancelled = action_stateOf(STATE.cancelled) !== '';
        const why = cancelled ? 'the main step was cancelled' : 'the main step ended without a report';
        printer.log({ kind: 'line', text: `${capitalize(why)}: looking at what it left behind.` });
        const parsed = action_parse(session);
        if (parsed.settings === undefined)
            return void refuse(session, parsed.problems);
        const { settings } = parsed;
        const { recorder } = session;
        const ended = await action_guarded(session, (signal) => resolveInterruptedRun(settings, { log: recorder.log, signal, dist: entryPoint.dist }, action_stateOf(STATE.session)));
        const nothing = ended.value === undefined && ended.stopped === undefined;
        const found = nothing ? undefined : conclude(ended, recorder, session.started);
        // Where nothing has failed it is the only reason for what was done here.
        const reason = cancelled && found?.outcome === 'cancelled' ? [] : [{ message: why }];
        const report = found && { ...found, problems: [...reason, ...found.problems] };
        const id = action_stateOf(STATE.deployment);
        const between = async (final) => id === ''
            ? []
            : collect(session, (log) => closeDeployment({ ...api(session, settings), log }, settings, id, final.outcome));
        if (report)
            await publish(report, { ...publication, between });
        else {
            printer.log({ kind: 'line', text: 'Nothing of this run is left half done.' });
            if (id !== '')
                await closeDeployment({ ...api(session, settings), log: printer.log }, settings, id, 'cancelled');
        }
    }
    catch (error) {
        await publish(refuse(session, problemsOf(error)), publication);
    }
    finally {
        printer.end();
        leave();
    }
}
/** Runs the pipeline and publishes what came of it, also when it was stopped or did not come back. */
async function work(session, settings, dist) {
    const { printer, recorder, publication } = session;
    saveState(process.env, STATE.session, session.run.session);
    saveState(process.env, STATE.begun, settings.mode);
    const options = { ...api(session, settings), log: recorder.log };
    let deployment;
    let phases;
    const log = (entry) => {
        recorder.log(entry);
        if (entry.kind === 'phase-started')
            phases?.tell(entry.phase);
    };
    const ended = await action_guarded(session, async (signal) => {
        if (settings.githubDeployment && (settings.mode === 'deploy' || settings.mode === 'redeploy')) {
            deployment = await openDeployment(options, settings);
            if (deployment !== undefined) {
                saveState(process.env, STATE.deployment, deployment);
                phases = phaseTeller(options, settings, deployment);
            }
        }
        return runPipeline(settings, { log, signal, dist });
    });
    await phases?.end();
    const again = settings.githubDeployment && ended.value && liveAgain(ended.value);
    if (again && !ended.stopped)
        deployment = await openDeployment(options, settings, again);
    const concluded = conclude(ended, recorder, session.started);
    const facts = deployment === undefined ? {} : { deploymentId: deployment };
    const report = { ...concluded, facts: { ...concluded.facts, ...facts }, ...leftToPost(concluded) };
    if (ended.stopped && 'signal' in ended.stopped)
        saveState(process.env, STATE.cancelled, 'true');
    if (report.unsettled !== true)
        saveState(process.env, STATE.final, report.outcome);
    const deadline = ended.stopped ? API_AFTER_STOP : undefined;
    const between = (said) => collect(session, async (log) => {
        const to = { ...options, log, ...(0,defined_only/* definedOnly */.U)({ deadline }) };
        if (deployment !== undefined && report.unsettled !== true)
            await closeDeployment(to, settings, deployment, said.outcome);
        if (wantsComment(settings))
            await commentPlan(to, settings, said, publication.places);
    });
    printer.end();
    await publish(report, { ...publication, between });
}
/** What a person has to know of a run that was stopped in the middle: that nothing has to be done by hand yet. */
function leftToPost(report) {
    const left = (0,log_format/* whatStays */.$4)(report);
    if (report.unsettled !== true || left === '')
        return {};
    const does = report.mode === 'deploy' ? 'settles it' : 'says where things stand';
    return { next: `${capitalize(left)}; the post step of this job ${does}.` };
}
function openSession(env) {
    const startedAt = Date.now();
    ignoreClosedOutput();
    const crashes = watchCrashes();
    const unverified = (0,verified_tls/* verifyAlways */.t)(env);
    const read = snapshot((0,input_sources/* withEnvironment */.Ec)(actionInputs(env), env));
    const secrets = secretInputs(read);
    maskSecrets(secrets);
    const clean = redactor(secrets);
    const printer = logPrinter(githubSink(), clean);
    const recorder = logRecorder(printer.log);
    if (unverified)
        recorder.log({ kind: 'warning', problem: unverified });
    const unmasked = unmaskableInputs(read);
    if (unmasked.length > 0) {
        const message = `The secret in ${unmasked.join(', ')} is too short or too common to be masked: a mask would blank ordinary words out of the log.`;
        recorder.log({ kind: 'warning', problem: { message, next: 'Use a longer secret.' } });
    }
    const identity = runIdentity(env);
    return {
        read,
        run: identity,
        printer,
        crashes,
        recorder,
        publication: {
            run: identity,
            env,
            redact: clean.redact,
            tell: (text) => printer.log({ kind: 'line', text }),
            places: { workspace: workspaceOf(env), project: read('working-directory') },
            folder: env.RUNNER_TEMP || (0,external_node_os_namespaceObject.tmpdir)(),
        },
        started: startedRun(read, startedAt),
    };
}
function action_parse(session) {
    return (0,inputs_read/* parseSettings */.P)(session.read, inputContext(session.run, workspaceOf(process.env), false));
}
function workspaceOf(env) {
    return env.GITHUB_WORKSPACE || process.cwd();
}
/** Tells every problem at once; the report of a run that came to nothing. */
function refuse(session, problems) {
    for (const problem of problems)
        session.printer.log({ kind: 'problem', problem });
    return {
        ...refusedReport(session.started, problems),
        warnings: session.recorder.warnings,
    };
}
function action_guarded(session, action) {
    const { log } = session.printer;
    return stoppable({
        crashes: session.crashes,
        grace: GRACE,
        impatient: false,
        onStop: (text) => log({ kind: 'line', text }),
        onStray: (problems) => {
            for (const problem of problems)
                log({ kind: 'line', text: `after the end: ${problem.message}` });
        },
    }, action);
}
function api(session, settings) {
    return { run: session.run, token: settings.githubToken };
}
/** Runs work that may warn, and returns its warnings as well, for the annotations. */
async function collect(session, work) {
    const problems = [];
    await work((entry) => {
        if (entry.kind === 'warning')
            problems.push(entry.problem);
        session.printer.log(entry);
    });
    return problems;
}
/** What the main step saved for the post step. */
function action_stateOf(name) {
    return process.env[`STATE_${name}`] ?? '';
}
/** Ends the process where something (an idle socket of a library) would keep it alive for no reason. */
function leave() {
    setTimeout(() => process.exit(), 2_000).unref();
}

// EXTERNAL MODULE: ./compiled/src/entry/terminal/flags.js
var terminal_flags = __nccwpck_require__(8046);
// EXTERNAL MODULE: ./compiled/src/inputs/table.js + 1 modules
var table = __nccwpck_require__(7660);
;// CONCATENATED MODULE: ./compiled/src/entry/terminal/help.js



const MODE_DESCRIPTIONS = {
    plan: 'says what a deploy would do; writes nothing',
    migrate: 'applies the pending migrations',
    verify: 'checks schema and connectivity; writes nothing',
    redeploy: 'brings the server to one exact commit',
    health: 'database, application root and health path, with latencies; writes nothing',
    rollback: 'undoes what one run changed, or goes to a named commit',
    deploy: 'prepare, migrate, verify, redeploy, health; on failure the rollback, by itself',
};
const USAGE = `Usage: muva-deploy <mode> [--input value ...]
       muva-deploy init [--branch name] [--input value ...]
       muva-deploy --help | --version
`;
/** What is said to words that name no mode: the complaints about them, and how it is called. */
function usageText(problems) {
    const complaints = problems.flatMap((problem) => [...(0,log_format/* problemLines */.pb)(problem, '', 'error: '), '']);
    return `${[...complaints, USAGE].join('\n')}
Modes: ${modes/* MODES */.F.join(', ')}; and init, which writes a workflow for GitHub Actions.
muva-deploy --help says what each does, and lists the inputs.
`;
}
/** What `muva-deploy --help` prints. */
function helpText() {
    const lines = [USAGE, 'Modes:'];
    for (const mode of modes/* MODES */.F)
        lines.push(`  ${mode.padEnd(9)} ${MODE_DESCRIPTIONS[mode]}`);
    lines.push('  init      writes a workflow for GitHub Actions from the inputs given as flags, and says what is left to do', '', 'Secrets belong into environment variables: every user of the machine can read the flags of a program that runs.', '  VPS_SSH_KEY="$(cat ~/.ssh/deploy_key)" DEPLOY_ENV_FILE="$(cat .env.production)" muva-deploy redeploy ...', '', 'Inputs (a flag wins over the environment variable, and that over the default):');
    for (const { title, inputs } of table/* INPUT_PARTS */.G) {
        lines.push('', `${title}:`);
        for (const [name, input] of Object.entries(inputs)) {
            // The mode is the first word.
            if (name === 'mode')
                continue;
            lines.push(`  --${name}`, `      ${[input.description, ...origin(name, input)].join(' ')}`);
        }
    }
    lines.push('', 'Exit code: 0 when everything asked for was done, else 1. MUVA_DEPLOY_DEBUG=1 shows more.', '');
    return lines.join('\n');
}
/** In parentheses: where else the value of an input comes from. */
function origin(name, { env, fallback }) {
    // Node looks for this flag among the arguments of the script too, and ends where it names no file.
    if (name === 'env-file')
        return [`(only as ${env[0]}: Node takes a flag --env-file for itself)`];
    const from = env.length > 0 ? [`or ${env.join(', ')}`] : [];
    const otherwise = fallback === '' ? [] : [`default ${fallback}`];
    const more = [...from, ...otherwise].join('; ');
    return more === '' ? [] : [`(${more})`];
}

;// CONCATENATED MODULE: ./compiled/src/entry/terminal/log-sink.js


const COLOURS = [
    [/^ {2}passed /, 32],
    [/^ {2}failed /, 31],
    [/^ {2}unknown /, 35],
    [/^ {2}(skipped|\.\.\.) /, 2],
    [/^(error|[a-z]+ failed)\b/, 31],
    [/^warning\b/, 33],
    [/^next\b/, 36],
];
/** Prints the log on a screen, in colours where it has them. */
function terminalSink(screen) {
    const paint = (text, colour) => screen.write(screen.colour && colour !== undefined ? `\x1b[${colour}m${text}\x1b[0m\n` : `${text}\n`);
    return {
        line: (text) => paint(text, COLOURS.find(([pattern]) => pattern.test(text))?.[1]),
        debug: (text) => (screen.debug ? paint(text, 2) : undefined),
        openOutput: (source) => paint(`          ${source}`, 2),
        outputLine: (text) => paint(`          | ${text}`, 2),
        closeOutput: () => { },
    };
}
const stepCount = (steps) => (steps === 1 ? '1 step' : `${steps} steps`);
/** The phases of a run as a table, for its end. */
function phaseLines(report) {
    if (report.phases.length === 0)
        return [];
    const rows = report.phases.map((phase) => [
        phase.phase,
        (0,log_format/* phaseOutcome */.g9)(phase),
        phase.outcome === 'skipped' ? '' : (0,duration/* formatDuration */.a)(phase.milliseconds),
        phase.outcome === 'skipped' ? '' : stepCount(phase.steps.length),
    ]);
    const width = (column) => Math.max(...rows.map((row) => row[column].length));
    return [
        '',
        ...rows.map((row) => row
            .map((cell, column) => cell.padEnd(width(column)))
            .join('  ')
            .trimEnd()),
    ];
}

;// CONCATENATED MODULE: ./compiled/src/entry/cli.js





















/** From a terminal nobody kills us after ten seconds; a second Ctrl-C does. Milliseconds. */
const cli_GRACE = 60_000;
/** The terminal entry point: flags and environment in, lines and an exit code out. Never throws. */
async function cli(entryPoint) {
    const startedAt = Date.now();
    const { argv, env, stdout, stderr } = process;
    ignoreClosedOutput();
    // After `--` Node leaves all words to us, also those that it would take for its own, such as --env-file.
    const words = argv.slice(argv[2] === '--' ? 3 : 2);
    if (words[0] === 'init')
        return await toInit(words.slice(1));
    const flags = (0,terminal_flags/* parseFlags */.bQ)(words, input_sources/* INPUT_NAMES */.Qh);
    if (flags.asked === 'version')
        return void stdout.write(`muva-deploy ${VERSION}\n`);
    if (flags.asked === 'help')
        return words.includes('init') ? await toInit(['--help']) : void stdout.write(helpText());
    if (!flags.values.has('mode')) {
        process.exitCode = 1;
        return void stderr.write(usageText(missingMode(words, flags.problems)));
    }
    const unverified = (0,verified_tls/* verifyAlways */.t)(env);
    const crashes = watchCrashes();
    const read = snapshot((0,input_sources/* withEnvironment */.Ec)((name) => flags.values.get(name) ?? '', env));
    const clean = redactor(secretInputs(read).filter((value) => !(0,lib_secret/* isUnmaskable */.YO)(value.trim())));
    const screen = {
        write: (text) => void stdout.write(text),
        colour: stdout.isTTY === true && !env.NO_COLOR,
        debug: Boolean(env.MUVA_DEPLOY_DEBUG),
    };
    const told = logPrinter(terminalSink(screen), clean);
    const identity = runIdentity(env);
    const started = startedRun(read, startedAt);
    const finish = (report) => end(report, identity, told, clean.redact);
    try {
        told.log({ kind: 'line', text: firstLine(started, identity) });
        const parsed = (0,inputs_read/* parseSettings */.P)(read, inputContext(identity, process.cwd(), true));
        const problems = [...flags.problems, ...parsed.problems];
        if (unverified)
            told.log({ kind: 'warning', problem: unverified });
        for (const problem of (0,terminal_flags/* visibleSecrets */.CN)(flags.values))
            told.log({ kind: 'warning', problem });
        if (parsed.settings && problems.length === 0)
            finish(await cli_work(parsed.settings, told, crashes, entryPoint.dist, started));
        else
            finish(cli_refuse(told, started, problems));
    }
    catch (error) {
        finish(cli_refuse(told, started, problemsOf(error)));
    }
    finally {
        told.end();
        // An idle socket of a library must not keep the terminal waiting.
        setTimeout(() => process.exit(), 2_000).unref();
    }
}
async function toInit(words) {
    const { initFromTerminal } = await __nccwpck_require__.e(/* import() */ 369).then(__nccwpck_require__.bind(__nccwpck_require__, 2369));
    process.exitCode = await initFromTerminal(words);
}
/** What is wrong with words that name no mode; nothing where there are none, as of somebody who asks what there is. */
function missingMode(words, problems) {
    if (words.length === 0 || problems.some(({ message }) => message.startsWith('mode: ')))
        return problems;
    return [...problems, { message: 'mode: is missing', next: terminal_flags/* MODE_HINT */.Yq }];
}
/** Tells every problem at once; the report of a run that came to nothing. */
function cli_refuse(told, run, problems) {
    for (const problem of problems)
        told.log({ kind: 'problem', problem });
    return refusedReport(run, problems);
}
async function cli_work(settings, told, crashes, dist, started) {
    const heard = logRecorder(told.log);
    const say = (problems) => {
        for (const { message } of problems)
            told.log({ kind: 'line', text: `after the end: ${message}` });
    };
    const ended = await stoppable({
        crashes,
        grace: cli_GRACE,
        impatient: true,
        onStop: (why) => told.log({ kind: 'line', text: `${why}; Ctrl-C now ends at once` }),
        onStray: say,
    }, (signal) => runPipeline(settings, { log: heard.log, signal, dist }));
    if (ended.stopped !== undefined && 'signal' in ended.stopped && ended.stopped.signal === 'SIGHUP')
        process.once('exit', hangUp);
    const report = conclude(ended, heard, started);
    return { ...report, ...leftToPerson(report, settings.run.id) };
}
/** What a person does now about a run that was stopped in the middle: at a terminal no post step settles it. */
function leftToPerson(report, runId) {
    const left = (0,log_format/* whatStays */.$4)(report);
    if (report.unsettled !== true || left === '')
        return {};
    return {
        next: `${capitalize(left)}. The same command again goes on from there; with --mode=rollback --run-id=${runId} it puts everything back.`,
    };
}
/**
 * Ends by the signal itself, once all is written: at an ordinary exit Node sets the terminal back, and where that is
 * gone it aborts with a core dump, which would hold the secrets.
 */
function hangUp() {
    process.removeAllListeners('SIGHUP');
    process.kill(process.pid, 'SIGHUP');
}
/** The last lines, the report file and the exit code. */
function end(report, identity, told, redact) {
    const said = redactDeep(report, redact);
    process.exitCode = exitCodeOf(said);
    for (const text of [...phaseLines(said), ...(0,log_format/* closingLines */.Po)(said)])
        told.log({ kind: 'line', text });
    try {
        told.log({ kind: 'line', text: `report: ${writeReport(said, identity, (0,external_node_os_namespaceObject.tmpdir)())}` });
    }
    catch (error) {
        told.log({
            kind: 'warning',
            problem: { message: `The report file was not written: ${problemsOf(error)[0].message}` },
        });
    }
}

;// CONCATENATED MODULE: ./compiled/src/entry/engine.js
/** The one bundle behind the entry points: dist/index.js and dist/post.js (GitHub) and dist/cli.js (a terminal) are two lines each. */



module.exports = __webpack_exports__;
/******/ })()
;