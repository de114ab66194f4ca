#!/bin/sh
# Xen: what this domain 0 serves its machines with. The box boots Xen; no packages make that of another system here.
if [ "$(cat /sys/hypervisor/type 2>/dev/null)" != xen ]; then
    echo 'labkit: this host does not boot Xen: give it the box labkit/xen' >&2
    exit 1
fi
packages xen-utils-4.17 xenstore-utils qemu-system-xen qemu-utils libvirt-daemon-driver-xen libvirt-clients \
    nbd-client dnsmasq-base iproute2 nftables iptables
if ! xl info >/dev/null 2>&1; then
    systemctl restart xen.service
    xl info >/dev/null
    did "started Xen's daemons"
fi
found "Xen $(xl info | sed -n 's/^xen_version *: //p')"
module nbd
! libvirtd_conf || systemctl --quiet try-restart libvirtd.service
listening libvirtd.socket
member vagrant libvirt
