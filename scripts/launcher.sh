#!/bin/sh
# Starts casemate with the Node that its set-up brought along, wherever the link to this file lies; else with the host's.
# The plain cases of exec and run go the short way, which does without Node: what stands behind this part. Not where
# something of the environment changes perl itself, and not with a stream that is closed.
case $1,$2,$3 in
  run,--*,?* | exec,?*,--*)
    if [ -z "$CASEMATE_LONG_WAY$PERL5OPT$PERL5LIB$PERLLIB$PERL5DB$PERL_UNICODE$PERLIO$PERLIO_DEBUG$PERL_SIGNALS$PERL_BADLANG$PERL_HASH_SEED_DEBUG" ] \
      && [ -x /usr/bin/perl ] && [ -s /usr/bin/perl ] && [ -e /proc/self/fd/0 ] && [ -e /proc/self/fd/1 ] && [ -e /proc/self/fd/2 ]; then
      PERL_BADLANG=0 exec /usr/bin/perl -x -- "$0" "$@"
    fi
    ;;
esac
here=$0
if [ -L "$0" ]; then
  # Not the one of a project, which npx and npm put first in PATH.
  here=$(command -p readlink -f "$0")
fi
case $here in
  */*) here=${here%/*} ;;
  *) here=. ;;
esac
for node in "$here"/../node_modules/node-linux-*/bin/node; do
  if [ -x "$node" ]; then
    exec "$node" "$here/casemate.js" "$@"
  fi
done
exec node "$here/casemate.js" "$@"
