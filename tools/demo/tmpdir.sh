# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# For scripts with a runtime directory of their own below TMPDIR: a socket's name
# must be short, and ld.so preloads nothing with a blank or a colon in its name.
# A TMPDIR that is not like that is /tmp here. Sourced.
TMPDIR=${TMPDIR:-/tmp}
case $TMPDIR in
*[\ :]*) TMPDIR=/tmp ;;
esac
[ ${#TMPDIR} -le 50 ] || TMPDIR=/tmp
export TMPDIR
