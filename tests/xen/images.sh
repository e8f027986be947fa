#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Makes what the lab boots, in build/lab/images: the hypervisor, the kernel of
# dom0 and its initramfs, and inside that the kernel and initramfs of the
# guests. Debian's packages are downloaded and unpacked there, not installed;
# libraries come from this machine, which must be the same Debian. Needs
# neither root nor devices. Fast when nothing has changed but our programs.
# Usage: images.sh BUILD [hvm]: with a device model for HVM guests.
set -u

root=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
build=${1:-$root/build}
device_model=
[ "${2:-}" != hvm ] || device_model=qemu-system-xen
# shellcheck source=tests/xen/common.sh
. "$root/tests/xen/common.sh"

# ---- packages ----

# This machine's lists may be old, or not there; then there are lists of our own.
apt_own=
own_lists() {
	[ -z "$apt_own" ] || return 1
	say "fetching lists of packages"
	mkdir -p "$lab/apt/lists/partial" "$lab/apt/archives/partial" || exit 1
	apt_own="-o Dir::State::Lists=$lab/apt/lists -o Dir::Cache=$lab/apt"
	# shellcheck disable=SC2086 # options
	apt-get $apt_own -q update >"$lab/apt/log" 2>&1 || {
		tail -n 5 "$lab/apt/log" >&2
		die "apt-get update fails"
	}
}

kernel_of() { # META-PACKAGE: the image it stands for
	# shellcheck disable=SC2086 # options
	apt-cache $apt_own depends "$1" 2>/dev/null | awk '/Depends: linux-image/ { print $2; exit }'
}

kernels() {
	dom0_image=$(kernel_of linux-image-amd64)
	guest_image=$(kernel_of linux-image-cloud-amd64)
	[ -n "$dom0_image" ] && [ -n "$guest_image" ]
}

download() { # PACKAGE, into its directory
	# shellcheck disable=SC2086 # options
	(cd "$packages/$1" && apt-get $apt_own -q -o Acquire::Retries=3 download "$1" >apt.log 2>&1)
}

fetch() {
	kernels || { own_lists && kernels; } || die "apt knows no linux-image-amd64"
	mkdir -p "$packages" || exit 1
	for package in "$dom0_image" "$guest_image" "xen-hypervisor-$xen_version-amd64" \
		"xen-utils-$xen_version" xenstore-utils busybox-static libyajl2 postfix libicu72 \
		iperf3 libiperf0 libsctp1 libssl3 $device_model; do
		[ -e "$packages/$package/.done" ] && continue
		say "fetching $package"
		rm -rf "${packages:?}/$package"
		mkdir "$packages/$package" || exit 1
		download "$package" || { own_lists && download "$package"; } || {
			tail -n 5 "$packages/$package/apt.log" >&2
			die "apt could not download $package"
		}
		dpkg -x "$packages/$package"/*.deb "$packages/$package" || die "$package does not unpack"
		rm -f "$packages/$package"/*.deb
		: >"$packages/$package/.done"
	done
	xen_bin=$packages/xen-utils-$xen_version/usr/lib/xen-$xen_version/bin
	libs=$packages/postfix/usr/lib/postfix
	for package in libyajl2 libicu72 libiperf0 libsctp1 libssl3; do
		libs=$libs:$packages/$package/usr/lib/x86_64-linux-gnu
	done
}

# ---- a root directory ----

with_libs() { # ROOT FILE: the libraries a program needs
	missing=$(LD_LIBRARY_PATH=$libs ldd "$2" 2>/dev/null | awk '/not found/ { print $1 }')
	[ -z "$missing" ] || die "$2 needs $missing, which is not here"
	LD_LIBRARY_PATH=$libs ldd "$2" 2>/dev/null | grep -o '/[^ ]*\.so[^ ]*' | sort -u |
		while read -r lib; do
			[ -e "$1/lib/x86_64-linux-gnu/${lib##*/}" ] ||
				cp -L "$lib" "$1/lib/x86_64-linux-gnu/" || exit 1
		done || die "$2: a library cannot be copied"
}

program() { # ROOT FILE DIRECTORY
	mkdir -p "$1$3"
	[ -e "$2" ] || die "$2 is not there"
	cp -L "$2" "$1$3/" || exit 1
	chmod 755 "$1$3/${2##*/}"
	with_libs "$1" "$2"
}

skeleton() { # ROOT INIT
	rm -rf "$1"
	mkdir -p "$1" || exit 1
	(cd "$1" && mkdir -p bin sbin usr/bin usr/sbin usr/lib lib/x86_64-linux-gnu lib/modules \
		lib64 proc sys dev run tmp etc root var/lib/xen var/log/xen lab) || exit 1
	ln -s /run "$1/var/run"
	ln -s /run/lock "$1/var/lock"
	cp -L /lib64/ld-linux-x86-64.so.2 "$1/lib64/"
	# glibc loads it when a thread is cancelled; ldd does not know.
	cp -L /lib/x86_64-linux-gnu/libgcc_s.so.1 "$1/lib/x86_64-linux-gnu/" || exit 1
	cp "$packages/busybox-static/bin/busybox" "$1/bin/" || exit 1
	for applet in $("$1/bin/busybox" --list); do
		[ -e "$1/bin/$applet" ] || ln -s busybox "$1/bin/$applet"
	done
	echo root:x:0:0:root:/root:/bin/sh >"$1/etc/passwd"
	echo root:x:0: >"$1/etc/group"
	echo 127.0.0.1 localhost >"$1/etc/hosts"
	cp "$2" "$1/init" || exit 1
	chmod 755 "$1/init"
	program "$1" "$labsh" /bin
	for tool in read write list ls rm chmod exists watch; do
		program "$1" "$packages/xenstore-utils/usr/bin/xenstore-$tool" /bin
	done
}

modules() { # ROOT PACKAGE MODULE...
	image_root=$1
	source=$packages/$2
	version=${2#linux-image-}
	shift 2
	to=$image_root/lib/modules/$version
	mkdir -p "$to"
	[ -e "$source/lib/modules/$version/modules.dep" ] ||
		depmod -b "$source" "$version" || die "depmod fails"
	for module in "$@"; do
		modprobe -d "$source" -S "$version" --show-depends "$module" ||
			die "no module $module in linux $version"
	done | awk '$1 == "insmod" { print $2 }' | sort -u | while read -r file; do
		mkdir -p "$to/$(dirname "${file##*/"$version"/}")"
		cp "$file" "$to/${file##*/"$version"/}" || exit 1
	done || die "a module cannot be copied"
	cp "$source/lib/modules/$version/modules.builtin" "$source/lib/modules/$version/modules.order" "$to/"
	depmod -b "$image_root" "$version" 2>/dev/null
}

pack() { # ROOT FILE
	(cd "$1" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet) >"$2.new" || die "cpio fails"
	mv "$2.new" "$2"
}

# Postfix's test programs are linked with ICU, whose tables are 30 MB and not
# looked at for plain ASCII: a guest gets an empty one.
without_icu() { # ROOT
	echo 'const char icudt72_dat[4096] = "";' |
		cc -shared -fPIC -Wl,-soname,libicudata.so.72 -x c -o "$1/lib/x86_64-linux-gnu/libicudata.so.72" - ||
		die "no stand-in for ICU's tables"
}

# ---- the two images ----

guest_root() {
	tree=$images/guest
	skeleton "$tree" "$here/guest/init"
	modules "$tree" "$guest_image" xen-netfront xen-gntdev xen-gntalloc xen-evtchn xenfs
	for file in "$build"/tools/xvmcd/xvmcd "$build"/tools/xvmc "$build"/tools/xvmc-run \
		"$build"/tools/bench/xvmc-stream "$build"/tools/bench/xvmc-bench \
		"$build"/tests/xen/vchan-bench "$build"/tests/xen/hostile "$build"/tests/xen/outage "$build"/tests/xen/setups "$build"/tests/unit/test-hv; do
		program "$tree" "$file" /xvmc
	done
	program "$tree" "$build/preload/libxvmc.so" /xvmc
	mkdir -p "$tree/etc/modprobe.d" || exit 1
	cp "$root/tools/system/modprobe.conf" "$tree/etc/modprobe.d/xvmc.conf" || exit 1
	without_icu "$tree"
	for file in smtp-sink smtp-source; do
		program "$tree" "$packages/postfix/usr/sbin/$file" /usr/sbin
	done
	program "$tree" "$packages/iperf3/usr/bin/iperf3" /usr/bin
	pack "$tree" "$images/guest.cpio"
}

# The device model, what it puts into a guest, and the image once more: small.
hvm_root() { # ROOT GUEST-IMAGE
	mkdir -p "$1/guest"
	gzip -c "$2" >"$1/guest/${2##*/}.gz" || exit 1
	program "$1" "$packages/qemu-system-xen/usr/libexec/xen-qemu-system-i386" /usr/libexec
	mkdir -p "$1/usr/share/qemu" "$1/usr/share/seabios" "$1/usr/lib/xen-$xen_version/boot"
	cp "$packages/xen-utils-$xen_version/usr/lib/xen-$xen_version/boot/hvmloader" \
		"$1/usr/lib/xen-$xen_version/boot/" || exit 1
	cp /usr/share/seabios/bios-256k.bin "$1/usr/share/seabios/" || exit 1
	cp /usr/share/qemu/linuxboot.bin /usr/share/qemu/linuxboot_dma.bin \
		/usr/share/qemu/kvmvapic.bin "$1/usr/share/qemu/" || exit 1
	mkdir -p "$1/usr/share/qemu/keymaps"
	cp /usr/share/qemu/keymaps/en-us "$1/usr/share/qemu/keymaps/" || exit 1 # it starts with none at all, without
}

dom0_root() {
	tree=$images/dom0
	skeleton "$tree" "$here/dom0/init"
	modules "$tree" "$dom0_image" bridge xen-netback xen-gntdev xen-gntalloc xen-evtchn xenfs \
		xen-privcmd virtio_net virtio_pci
	# The toolstack looks for its helpers where it was built for.
	for file in xl xenstored xenconsoled libxl-save-helper xen-init-dom0 lsevtchn xen-diag; do
		program "$tree" "$xen_bin/$file" "/usr/lib/xen-$xen_version/bin"
		ln -sf "/usr/lib/xen-$xen_version/bin/$file" "$tree/usr/sbin/$file"
	done
	mkdir -p "$tree/etc/xen" "$tree/guest"
	echo 'autoballoon="off"' >"$tree/etc/xen/xl.conf"
	for file in vif guest rounds-helper device-model; do
		cp "$here/dom0/$file" "$tree/lab/" || exit 1
		chmod 755 "$tree/lab/$file"
	done
	for file in xvmcd/xvmcd xvmc toolstack/xvmc-save-helper toolstack/libxvmc-save-hook.so; do
		program "$tree" "$build/tools/$file" /xvmc
	done
	program "$tree" "$build/tests/xen/librounds.so" /xvmc
	program "$tree" "$build/tests/xen/slow-link" /lab
	[ -z "$device_model" ] || hvm_root "$tree" "$images/guest.cpio"
	cp "$packages/$guest_image/boot/vmlinuz-${guest_image#linux-image-}" "$tree/guest/vmlinuz" || exit 1
	cp "$images/guest.cpio" "$tree/guest/" || exit 1
	pack "$tree" "$images/dom0.cpio"
}

fetch
mkdir -p "$images" || exit 1
guest_root
dom0_root
cp "$packages/$dom0_image/boot/vmlinuz-${dom0_image#linux-image-}" "$images/vmlinuz" || exit 1
gunzip -c "$packages/xen-hypervisor-$xen_version-amd64/boot/xen-$xen_version-amd64.gz" >"$images/xen" ||
	die "no hypervisor in its package"
