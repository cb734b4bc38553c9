#!/bin/bash
# Runs a systemd of its own, beside whatever runs the machine: `private-systemd.sh DIRECTORY CGROUP`. It is process 1 of
# new namespaces, below CGROUP of version 2; its units are DIRECTORY/units, /opt is DIRECTORY/opt, /etc/ftrace-exporter
# DIRECTORY/etc, and /run/log DIRECTORY/log. Its /etc, /run and /tmp end with it, and the rest of the machine's files cannot be
# written. Tracefs is the machine's.
set -eu
directory=$1 cgroup=$2
if [ "${3:-}" != inside ]; then
  echo $$ >"$cgroup/cgroup.procs"
  # Gone with who asked for it, whatever ended that.
  exec setpriv --pdeathsig KILL unshare --cgroup --uts --ipc --pid --fork --kill-child --mount --mount-proc bash "$0" "$directory" "$cgroup" inside
fi
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock /run/log /run/units /run/systems-etc/upper /run/systems-etc/work /run/config
mount --bind "$directory/log" /run/log
mount --bind "$directory/etc" /run/config
mount --bind "$directory/opt" /opt
cp -r "$directory/units/." /run/units/
mount -t overlay -o lowerdir=/etc,upperdir=/run/systems-etc/upper,workdir=/run/systems-etc/work overlay /etc
mkdir -p /etc/ftrace-exporter
mount --bind /run/config /etc/ftrace-exporter
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /var/tmp
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -o remount,bind,ro /
mount --bind /run/log/console /dev/console
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  SYSTEMD_UNIT_PATH=/run/units SYSTEMD_GENERATOR_PATH=/nonexistent SYSTEMD_LOG_COLOR=0 \
  /lib/systemd/systemd --system --unit=test.target --show-status=no --log-target=console
