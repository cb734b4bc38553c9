#!/bin/busybox sh
# The guest's first process: modules in, the host's root as the root, its script run, its status left, power off.
bb=/bin/busybox
$bb mount -t proc proc /proc
$bb mount -t sysfs sysfs /sys
$bb mount -t devtmpfs devtmpfs /dev
for module in /modules/*.ko; do
  $bb [ -e "$module" ] && { $bb insmod "$module" || echo "lab: no module $module"; }
done

plan9=trans=virtio,version=9p2000.L,msize=524288
$bb mount -t 9p -o "ro,$plan9,cache=loose" host /host || echo "lab: no root"
$bb mount -t proc proc /host/proc
$bb mount -t sysfs sysfs /host/sys
$bb mount -t devtmpfs devtmpfs /host/dev
# Bound mounts do not come along into a chroot: tracefs goes where the chroot sees it.
$bb mount -t tracefs tracefs /host/sys/kernel/tracing
$bb mount -t tmpfs tmpfs /host/run
$bb mkdir -p /host/run/lab /host/run/tmp
$bb mount -t 9p -o "rw,$plan9" share /host/run/lab || echo "lab: no share"
$bb ip link set lo up 2>/dev/null || $bb ifconfig lo 127.0.0.1 up

TMPDIR=/run/tmp $bb chroot /host /bin/sh /run/lab/script >/host/run/lab/output 2>&1 </dev/null
echo $? >/host/run/lab/status
$bb sync
$bb poweroff -f
