#!/bin/bash
# Runs a second systemd on this machine: `private-systemd.sh DIRECTORY CGROUP`. It is process 1 in new namespaces and in
# CGROUP, a control group of version 2. Its units are in DIRECTORY/units. Its /opt is DIRECTORY/opt, its
# /etc/ftrace-exporter is DIRECTORY/etc, and its /run/log is DIRECTORY/log. It has its own temporary /etc, /run and
# /tmp, shares tracefs with the machine, and cannot write the machine's other files.
set -eu
directory=$1 cgroup=$2
if [ "${3:-}" != inside ]; then
  echo $$ >"$cgroup/cgroup.procs"
  # Dies with the process that started the script, even if that is killed.
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
