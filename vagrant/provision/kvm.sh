#!/bin/sh
# Virtual machines: libvirt and QEMU.
packages libvirt-daemon-system libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients qemu-system-x86 qemu-utils dnsmasq-base \
    iproute2 nftables iptables

changed=no
file /etc/libvirt/qemu.conf <<END && changed=yes
user = "root"
group = "root"
stdio_handler = "file"
remember_owner = 0
namespaces = [ ]
security_driver = "none"
max_core = 0
END
libvirtd_conf && changed=yes
[ $changed = no ] || systemctl --quiet try-restart libvirtd.service
# A network of its own that nobody asked for.
if [ -e /etc/libvirt/qemu/networks/autostart/default.xml ]; then
    rm /etc/libvirt/qemu/networks/autostart/default.xml
    did "stopped libvirt's network default from starting"
fi
if [ ! -e /etc/systemd/system/libvirt-guests.service ]; then
    systemctl --quiet mask libvirt-guests.service
    did 'masked libvirt-guests.service'
fi
listening libvirtd.socket
member vagrant libvirt
member vagrant kvm
