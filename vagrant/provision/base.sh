#!/bin/sh
# Name, addresses and the names of the other hosts; what every lab host has; an ordinary user for rootless labs.
: "${LABKIT_NAME:?}" "${LABKIT_ADDRESSES=}" "${LABKIT_KNOWN=}"

if [ "$(hostname)" = "$LABKIT_NAME" ] && [ "$(cat /etc/hostname)" = "$LABKIT_NAME" ]; then
    found "name $LABKIT_NAME"
else
    echo "$LABKIT_NAME" >/etc/hostname
    hostname "$LABKIT_NAME"
    did "named it $LABKIT_NAME"
fi

file /etc/hosts <<END || true
127.0.0.1 localhost
127.0.1.1 $LABKIT_NAME
$LABKIT_KNOWN
END

# The first link is Vagrant's own; the others are in the order of the addresses.
links=$(for path in /sys/class/net/*; do [ ! -e "$path/device" ] || basename "$path"; done | sort -V | tail -n +2)
for pair in $LABKIT_ADDRESSES; do
    link=$(echo "$links" | head -n 1)
    links=$(echo "$links" | tail -n +2)
    if [ -z "$link" ]; then
        echo "labkit: there is no link for the network ${pair%%=*}" >&2
        exit 1
    fi
    if file "/etc/systemd/network/50-labkit-${pair%%=*}.network" <<END; then
[Match]
MACAddress=$(cat "/sys/class/net/$link/address")
[Network]
Address=${pair#*=}
LinkLocalAddressing=no
END
        ip address flush dev "$link"
        ip address add "${pair#*=}" dev "$link"
        ip link set "$link" up
    fi
done

packages systemd-sysv dbus dbus-user-session libpam-systemd kmod iproute2 procps python3 uidmap e2fsprogs tcpdump nftables \
    iptables openssh-server

if [ "$(stat -fc %T /sys/fs/cgroup)" != cgroup2fs ]; then
    echo "labkit: cgroups are not version 2 here: boot with systemd.unified_cgroup_hierarchy=1" >&2
    exit 1
fi
found 'cgroup v2'

# Controllers that a user's own manager may hand on, so that a rootless lab has limits.
! file /etc/systemd/system/user@.service.d/labkit.conf <<END || systemctl daemon-reload
[Service]
Delegate=cpu cpuset io memory pids
END

if id student >/dev/null 2>&1; then found 'user student'; else useradd --create-home --shell /bin/bash student && did 'made user student'; fi
if grep -q '^student:' /etc/subuid; then
    found 'subordinate ids of student'
else
    usermod --add-subuids 200000-265535 --add-subgids 200000-265535 student
    did 'gave student subordinate ids'
fi
if [ -e /var/lib/systemd/linger/student ]; then found 'linger of student'; else loginctl enable-linger student && did 'let the services of student run without a login'; fi

# The file system fills the disk; it has no partition where the box is labkit's.
root=$(findmnt -no SOURCE /)
case $root in
/dev/vd[a-z] | /dev/sd[a-z])
    if [ $(($(blockdev --getsize64 "$root") - $(stat -fc '%b * %S' / | { read -r blocks _ size; echo $((blocks * size)); }))) -gt 1073741824 ]; then
        resize2fs "$root" >/dev/null 2>&1 && did "let the file system fill $root"
    else
        found "a file system that fills $root"
    fi
    ;;
esac
