"""What is in the Vagrant box whose hosts boot Xen: the Debian of the other box, as a domain 0."""

from __future__ import annotations

from . import _box_files, _xen_files

NAME = "labkit/xen"
PREFIX = "xen"
SOURCES = (_box_files, _xen_files)
# The cloud kernel has no back ends for the devices of machines.
_WITHOUT = {
    "linux-image-cloud-amd64", "qemu-system-x86", "lxc", "libvirt-daemon-driver-qemu", "libvirt-daemon-driver-lxc",
    "docker.io", "apparmor",
}  # fmt: skip
PACKAGES = (
    *(package for package in _box_files.PACKAGES if package not in _WITHOUT), "linux-image-amd64", "qemu-system-xen",
    "xen-hypervisor-4.17-amd64", "xen-utils-4.17", "xenstore-utils", "libvirt-daemon-driver-xen", "nbd-client",
)  # fmt: skip
MASKED = (*_box_files.MASKED, "xendomains.service")
WANTED = _box_files.WANTED
_MODULES = "tun\nbridge\nloop\nvxlan\nxen-netback\nxen-blkback\nxen-gntalloc\nnbd\n"
FILES = {
    **_box_files.FILES,
    **_xen_files.XEN_FILES,
    "etc/modules-load.d/labkit.conf": _MODULES,
    "etc/modprobe.d/labkit.conf": "options nbd nbds_max=64\n",
    "etc/default/xen": 'XENCONSOLED_ARGS="--log=guest --log-dir=/var/log/xen"\n',
    "etc/systemd/system/xen.service.d/labkit.conf": f"[Service]\nExecStartPost={_xen_files.WEIGH}\n",
}
# Of devices that no virtual machine has.
_DRIVERS = (
    "gpu", "media", "infiniband", "isdn", "iio", "staging", "usb", "bluetooth", "mmc", "ata", "scsi", "hwmon", "input",
    "net/ethernet", "net/wireless", "net/usb", "net/can", "net/fddi", "net/hamradio", "net/phy", "net/wwan",
)  # fmt: skip
HOOK = f"""\
{_box_files.BASE_HOOK}
cd "$1"
for part in sound {" ".join(f"drivers/{part}" for part in _DRIVERS)}; do rm -rf lib/modules/*/kernel/$part; done
chroot . depmod "$(ls lib/modules)"
{_xen_files.UNPACK}{_xen_files.LIBVIRT_HOOK}rm -rf boot/System.map* boot/xen-*.gz boot/xen-*.efi
"""
TAKEN = {"vmlinux": "vmlinuz", "initrd.img-": "initrd.img", "hypervisor": "hypervisor"}
VAGRANTFILE = """\
$labkit_xen = { folder: __dir__, words: "CMDLINE" } # for plan.rb
Vagrant.configure("2") do |config|
  config.vm.guest = :debian
  config.vm.synced_folder ".", "/vagrant", disabled: true
end
"""
