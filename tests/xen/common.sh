# SPDX-License-Identifier: MIT
#
# What the lab's scripts share. Sourced; the caller has set root and build.
# shellcheck shell=sh disable=SC2154,SC2034,SC2016 # names of the caller; text for the guests

here=$root/tests/xen
lab=$build/lab
packages=$lab/packages
images=$lab/images
run=$lab/run
labsh=$build/tests/xen/labsh

xen_version=4.17
guest_port=7000
dom0_net=10.77.0
bridge=labbr0

say() {
	echo "lab: $1" >&2
}

die() { # MESSAGE [STATUS]
	say "$1"
	exit "${2:-1}"
}

seconds() { # since a time in seconds
	echo $(($(date +%s) - $1))
}
