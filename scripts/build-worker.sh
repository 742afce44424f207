#!/bin/sh
# Builds the Worker into build/: what wrangler.toml names as its [build] command, so that dev, deploy
# and deploy --dry-run all run it. It starts no npm in this folder: wrangler is running out of its node_modules.
set -eu
cd "$(dirname "$0")/.."
exec env PATH="$PWD/node_modules/.bin:$PATH" node dev/build-worker.mjs
