#!/bin/sh
# What the other parts of the provisioning use. They run as root, one after another, in one shell, as
# often as anybody likes: each looks first, and says whether it did something or found it done.
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

did() { echo "labkit: did: $*"; }
found() { echo "labkit: already there: $*"; }

# Install the packages that are missing, without asking any server if none is.
packages() {
    missing=''
    for package; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
    done
    if [ -z "$missing" ]; then
        found "packages $*"
        return
    fi
    apt-get -q -y -o Acquire::Retries=3 update >/dev/null
    # shellcheck disable=SC2086 # the list is to be split
    apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 install $missing >/dev/null
    did "installed$missing"
}

# Write what comes on stdin to a file, if it is not what the file holds.
file() {
    content=$(cat)
    if [ -e "$1" ] && [ "$(cat "$1")" = "$content" ]; then
        found "$1"
        return 1
    fi
    mkdir -p "$(dirname "$1")"
    printf '%s\n' "$content" >"$1.labkit-new"
    mv "$1.labkit-new" "$1"
    did "wrote $1"
}

# Whoever is in the group libvirt may use it.
libvirtd_conf() {
    file /etc/libvirt/libvirtd.conf <<END
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_group = "libvirt"
unix_sock_rw_perms = "0770"
END
}

module() {
    if [ -e "/sys/module/$1" ]; then found "module $1"; else modprobe "$1" && did "loaded module $1"; fi
}

# Have a socket of systemd listen: the daemon behind it starts when somebody connects.
listening() {
    if systemctl --quiet is-enabled "$1" 2>/dev/null && systemctl --quiet is-active "$1"; then
        found "$1"
    else
        systemctl --quiet enable --now "$1" && did "enabled $1"
    fi
}

member() {
    if id -nG "$1" | tr ' ' '\n' | grep -qx "$2"; then found "$1 in group $2"; else usermod -aG "$2" "$1" && did "added $1 to group $2"; fi
}
