#!/bin/busybox sh
# The first program of the virtual machine of vm.sh, whose TESTS and RUN are in the environment. It sees the files of the machine outside, and keeps
# its changes to itself.
/bin/busybox mkdir -p /proc /sys /dev /outside /changes /new
/bin/busybox --install -s /bin
export PATH=/bin

fail() {
	echo "VM: FAILED: $*"
	poweroff -f
}

mount -t proc proc /proc
mount -t devtmpfs dev /dev
echo 0 >/proc/sys/kernel/printk
for module in /modules/*; do
	insmod "$module" || fail "$module"
done
mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=524288,cache=loose host /outside || fail "see the files outside"
mount -t tmpfs changes /changes && mkdir /changes/upper /changes/work &&
	mount -t overlay -o lowerdir=/outside,upperdir=/changes/upper,workdir=/changes/work overlay /new || fail "keep changes"
mount -t proc proc /new/proc && mount -t sysfs sys /new/sys && mount -t devtmpfs dev /new/dev || fail "mount what the kernel has"
mkdir -p /new/dev/pts && mount -t devpts pts /new/dev/pts || fail "mount terminals"
mount -t cgroup2 cgroup2 /new/sys/fs/cgroup || fail "mount cgroups"
mkswap /dev/vda >/dev/null && swapon /dev/vda || fail "swap"
ifconfig lo 127.0.0.1 up

# The tests see this as the root, and not as a chroot, in which a user may do less.
cp /bin/busybox /new/busybox
cat >/new/tests.sh <<'END'
uname -sr
failed=
"$TESTS/confine.test" -test.v -test.timeout 120s || failed=confine
"$TESTS/sandbox.test" -test.v -test.timeout 480s -test.run "$RUN" || failed="$failed sandbox"
if [ -z "$failed" ]; then echo "VM: PASSED"; else echo "VM: FAILED: $failed"; fi
/busybox poweroff -f
END
exec env -i PATH=/bin:/usr/bin:/sbin:/usr/sbin HOME=/tmp TMPDIR=/tmp "TESTS=$TESTS" "RUN=$RUN" switch_root /new /bin/sh /tests.sh
