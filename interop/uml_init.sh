#!/bin/sh
# First program of the embedded kernel, started by interop/kernel.py.
#
# The host's file system is the read-only lower layer of an overlay whose upper layer is in memory:
# everything can be written and nothing reaches the host, except below the shared directories.
#
# From the kernel's command line: MODULES has a folder of them for this release. RUN_DIRECTORY holds
# command (a shell script to run) and shares (one directory a line). /dev/tty1 is the command's
# stdout, /dev/tty2 its stderr; /dev/tty3 carries "signal NAME" from the host and "exit STATUS" to
# it. What goes to /dev/console is the kernel's log.
set -eu
release=$(uname -r)
modules=$MODULES/$release

insmod "$modules/kernel/fs/overlayfs/overlay.ko"
mount -t tmpfs -o size=75% tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/root
cd /mnt/root
mkdir -p "lib/modules/$release"
mount --bind "$modules" "lib/modules/$release"
mount -t devtmpfs devtmpfs dev
mkdir -p dev/pts dev/shm
mount -t devpts devpts dev/pts
mount -t tmpfs tmpfs dev/shm
mount -t tmpfs tmpfs run
mount -t proc proc proc
mount -t sysfs sysfs sys
while read -r directory; do
    mount -t hostfs -o "$directory" none "./$directory"
done < "$RUN_DIRECTORY/shares"
pivot_root . mnt
umount -l /mnt
mkdir -p /run/lock /run/netns
ip link set lo up
# The rest loads itself on demand; these have no name the kernel could ask for.
modprobe -a xfrm_user esp4 ppp_generic tun

stty -F /dev/tty1 raw -echo
stty -F /dev/tty2 raw -echo
exec 3<> /dev/tty3
stty raw -echo <&3

# The command leads its own session, so that a signal can go to all of it.
set +e
(
    while read -r verb name; do
        [ "$verb" = signal ] && kill -s "$name" -- "-$(cat /run/command.pid)"
    done <&3
) &
setsid --wait sh -c 'echo $$ > /run/command.pid; echo started >&3; exec sh "$0" 3>&-' \
    "$RUN_DIRECTORY/command" < /dev/null > /dev/tty1 2> /dev/tty2
status=$?
sync
echo "exit $status" >&3
echo o > /proc/sysrq-trigger
sleep 60
