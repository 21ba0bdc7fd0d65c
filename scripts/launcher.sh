#!/bin/sh
# Starts casemate with the Node that its set-up brought along, wherever the link to this file lies; else with the host's.
here=$(dirname "$(readlink -f "$0")")
for node in "$here"/../node_modules/node-linux-*/bin/node; do
  if [ -x "$node" ]; then
    exec "$node" "$here/casemate.js" "$@"
  fi
done
exec node "$here/casemate.js" "$@"
