#!/bin/sh
# The kernel's part: KVM where the processor has it, and devices that a lab of every user can open.
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
[ ! -e /dev/kvm ] || found /dev/kvm
