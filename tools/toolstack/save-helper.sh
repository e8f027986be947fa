#!/bin/sh
# SPDX-License-Identifier: MIT
#
# libxl runs this in place of its own save helper ($LIBXL_SAVE_HELPER, set by
# `xvmc migrate`): the same helper, with a library that tells the guests when
# one is about to be suspended. Beside xl, which called us, or where Xen's
# programs usually are; $XVMC_XEN_HELPER if neither.
own=$(dirname "$(readlink -f "$0")")
xl=$(readlink "/proc/$PPID/exe")
for helper in "${XVMC_XEN_HELPER:-}" "${xl%/*}/libxl-save-helper" \
	/usr/libexec/xen/bin/libxl-save-helper /usr/lib/xen/bin/libxl-save-helper \
	/usr/lib64/xen/bin/libxl-save-helper; do
	[ ! -x "$helper" ] || break
done
if [ ! -x "$helper" ]; then
	echo "xvmc-save-helper: no libxl-save-helper beside $xl; set XVMC_XEN_HELPER" >&2
	exit 1
fi
if [ "${1:-}" = --save-domain ]; then
	LD_PRELOAD=$own/libxvmc-save-hook.so exec "$helper" "$@"
fi
exec "$helper" "$@"
