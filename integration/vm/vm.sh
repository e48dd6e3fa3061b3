#!/bin/sh
# Runs the tests of limits where the machine at hand may have no cgroups of version 2, or another kernel: in a virtual machine that sees this
# one's files, changes none of them, has swap and no network, and needs no root here. It takes qemu, busybox, cpio and a kernel with its modules.
#
#	vm.sh [KERNEL [RUN]]
#
# KERNEL is a .deb of Debian (apt-get download linux-image-amd64 names one that can be had), the folder where one was unpacked, or / for what is
# installed, which is the default. RUN is which tests of integration/sandbox run. ACCEL=kvm makes it faster where that works.
set -eu

kernel=${1:-/}
run=${2:-'Cgroup2|HostThatWasKilled|EatsMemory|KilledByOthers|MoreProcesses|Bomb|Born'}
here=$(cd "$(dirname "$0")" && pwd)

missing() {
	echo "vm.sh: there is no $1: install $2" >&2
	exit 1
}
command -v qemu-system-x86_64 >/dev/null || missing qemu-system-x86_64 "the package qemu-system-x86"
command -v cpio >/dev/null || missing cpio "the package cpio"
busybox=$(command -v busybox) || missing busybox "the package busybox-static"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
case $kernel in *.deb)
	dpkg -x "$kernel" "$work/kernel"
	kernel=$work/kernel
	;;
esac
image=$(find "$kernel/boot" -name 'vmlinuz-*' 2>/dev/null | sort -V | tail -n 1)
[ -n "$image" ] || missing "kernel in $kernel/boot" "the package linux-image-amd64, or name the file of one: KERNEL=linux-image-....deb"
modules=$kernel/lib/modules/${image##*/vmlinuz-}

cd "$here/../.."
mkdir -p bin/vm
"${GO:-go}" test -c -o bin/vm/confine.test ./procpool/internal/confine
"${GO:-go}" test -c -o bin/vm/sandbox.test ./integration/sandbox

# What the kernel begins with: busybox, the modules to see this machine's files with, in an order in which they can be loaded, and init.
root=$work/root
mkdir -p "$root/bin" "$root/modules"
cp "$busybox" "$root/bin/busybox"
cp "$here/init.sh" "$root/init"
n=10
for name in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk netfs fscache 9pnet 9pnet_virtio 9p overlay; do
	file=$(find "$modules" -name "$name.ko*" | head -n 1)
	to=$root/modules/$n-$name.ko
	case $file in
	'') ;; # it is in the kernel itself
	*.xz) xz -dc "$file" >"$to" ;;
	*.zst) zstd -qdc "$file" >"$to" ;;
	*) cp "$file" "$to" ;;
	esac
	n=$((n + 1))
done
(cd "$root" && find . | cpio -o -H newc --quiet) >"$work/initrd"
truncate -s 512M "$work/swap"

timeout 600 qemu-system-x86_64 -accel "${ACCEL:-tcg}" -cpu max -smp 2 -m 2048 -nodefaults -nographic -no-reboot -serial stdio \
	-kernel "$image" -initrd "$work/initrd" -append "console=ttyS0 quiet panic=-1 TESTS=$PWD/bin/vm RUN=$run" \
	-fsdev local,id=host,path=/,readonly=on,security_model=none,multidevs=remap -device virtio-9p-pci,fsdev=host,mount_tag=host \
	-drive "file=$work/swap,format=raw,if=virtio" </dev/null 2>"$work/errors" | tee "$work/out" || true
grep -q 'VM: PASSED' "$work/out" || {
	cat "$work/errors" >&2
	exit 1
}
