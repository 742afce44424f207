#!/bin/sh
# The entry of every npm script: sh scripts/run.sh FILE [argument...]
#
# Runs under whatever Node (20 or later) and npm the user has, from any directory. It brings
# node_modules in step with package-lock.json, finds a Node that wrangler accepts (22 or later) and
# becomes that Node, running FILE, a path from the root of the repository.
set -eu

MIN_NODE=22 # wrangler 4 refuses anything older

# Paths among the arguments are the user's: they count from where the user stood. npm changes to the
# root itself and leaves that place in INIT_CWD.
: "${INIT_CWD:=$PWD}"
export INIT_CWD
cd "$(dirname "$0")/.."

command -v npm >/dev/null 2>&1 || {
  echo "npm was not found: install Node.js 20 or later (https://nodejs.org) and try again." >&2
  exit 1
}

# npm writes this file last, so it is missing after an interrupted install.
installed=node_modules/.package-lock.json
outdated() { [ ! -f "$installed" ] || [ -n "$(find package-lock.json -newer "$installed")" ]; }
if outdated; then
  # One at a time: two npm scripts that install into one folder break it. A lock whose owner is gone,
  # by the process number in it, is nobody's.
  lock=.npm-install.lock
  until mkdir "$lock" 2>/dev/null; do
    owner=$(cat "$lock/pid" 2>/dev/null || echo)
    if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; then rm -rf "$lock"; else sleep 1; fi
  done
  trap 'rm -rf "$lock"' EXIT INT TERM HUP
  echo $$ > "$lock/pid"
  if outdated; then
    echo "installing the npm packages (about 10 s) ..." >&2
    # Without install scripts: nothing here needs one, and they download from outside the registry.
    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
  fi
  rm -rf "$lock"
  trap - EXIT INT TERM HUP
fi

# As npm and npx do: what is started from here finds the tools, and their Node, first.
PATH="$PWD/node_modules/.bin:$PATH"
export PATH

# The one that npm installed (Linux on x64 and arm64), then the one that runs npm, then PATH's.
for node in "$PWD/node_modules/.bin/node" "${npm_node_execpath:-}" "$(command -v node || true)"; do
  [ -x "$node" ] || continue
  major=$("$node" -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)
  if [ "$major" -ge "$MIN_NODE" ]; then exec "$node" "$@"; fi
done

cat >&2 <<TEXT
Node.js $MIN_NODE or later is needed, and this machine has $(node --version 2>/dev/null || echo none that runs).
On Linux (x64 and arm64, glibc) npm installs one into node_modules; elsewhere install it yourself
(https://nodejs.org, or a version manager) and try again.
TEXT
exit 1
