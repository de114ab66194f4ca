#!/bin/sh
# Virtual machines: libvirt and QEMU, KVM where the processor has it.
packages libvirt-daemon-system libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients qemu-system-x86 qemu-utils dnsmasq-base \
    iproute2 nftables iptables

module tun
if grep -qw svm /proc/cpuinfo; then
    module kvm_amd || true
elif grep -qw vmx /proc/cpuinfo; then
    module kvm_intel || true
else
    echo 'labkit: the processor has neither svm nor vmx: machines are emulated here'
fi
file /etc/modprobe.d/labkit.conf <<END || true
options kvm_amd nested=1
options kvm_intel nested=1
END
file /etc/modules-load.d/labkit.conf <<END || true
tun
overlay
END
# As udev has it elsewhere: QEMU in a rootless lab keeps none of its user's groups.
! file /etc/udev/rules.d/99-labkit.rules <<END || { udevadm control --reload && udevadm trigger --subsystem-match=misc; }
KERNEL=="kvm", MODE="0666"
KERNEL=="tun", MODE="0666"
END

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
file /etc/libvirt/libvirtd.conf <<END && changed=yes
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_group = "libvirt"
unix_sock_rw_perms = "0770"
END
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
[ ! -e /dev/kvm ] || found /dev/kvm
