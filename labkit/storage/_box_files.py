"""What is in the Vagrant box besides Debian's packages."""

from __future__ import annotations

from . import _system

NAME = "labkit/debian"
PREFIX = "debian"
SOURCES = ()  # besides this
PACKAGES = (
    *_system.PACKAGES, "openssh-server", "sudo", "ca-certificates", "iputils-ping", "e2fsprogs", "util-linux",
    "libvirt-daemon-system", "libvirt-daemon-driver-lxc", "docker.io", "apparmor", "rsync",  # Docker needs its parser
)  # fmt: skip
MASKED = (
    *_system.MASKED, "libvirt-guests.service", "virtlogd-admin.socket", "virtlockd-admin.socket",
    "dnsmasq.service", "lxc.service", "lxc-net.service", "lxc-monitord.service", "nftables.service", "polkit.service",
    "apparmor.service",
    "dev-hugepages.mount", "dev-mqueue.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount",
    "systemd-update-utmp.service", "systemd-update-utmp-runlevel.service", "systemd-networkd-wait-online.service",
    "man-db.timer", "systemd-firstboot.service", "modprobe@configfs.service", "modprobe@dm_mod.service",
    "modprobe@fuse.service", "modprobe@loop.service", "sys-kernel-config.mount",
    "sys-fs-fuse-connections.mount",
)  # fmt: skip
WANTED = ("labkit-keys.service",)

_NETWORK = """\
[Match]
Name=eth0
[Network]
DHCP=ipv4
LinkLocalAddressing=no
IPv6AcceptRA=no
[DHCPv4]
ClientIdentifier=mac
SendRelease=no
"""
# The box holds no key of a server: each host makes its own, of the one kind that is quick to make.
# Who may log in can be said on the kernel's command line; then Vagrant's well-known key may not.
_KEYS = """\
#!/bin/sh
set -eu
for word in $(cat /proc/cmdline); do
    case $word in
    labkit.authorize=*) echo "${word#labkit.authorize=}" | base64 -d > /home/vagrant/.ssh/authorized_keys ;;
    esac
done
exec ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key
"""
_KEYS_UNIT = """\
[Unit]
Description=Make the host's own ssh key and learn who may log in
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key
Before=ssh.service ssh.socket
DefaultDependencies=no
After=systemd-remount-fs.service
[Service]
Type=oneshot
ExecStart=/usr/local/sbin/labkit-keys
[Install]
WantedBy=multi-user.target
"""
_SSHD = """\
UseDNS no
HostKey /etc/ssh/ssh_host_ed25519_key
PasswordAuthentication no
AcceptEnv LANG LC_*
"""
FILES = {
    "etc/hostname": "debian\n",
    "etc/hosts": "127.0.0.1 localhost\n127.0.1.1 debian\n",
    "etc/fstab": "/dev/vda / ext4 noatime 0 0\n",
    "etc/systemd/network/99-vagrant.network": _NETWORK,
    "etc/systemd/system/labkit-keys.service": _KEYS_UNIT,
    "usr/local/sbin/labkit-keys!": _KEYS,
    "etc/systemd/journald.conf": "[Journal]\nStorage=volatile\n",
    "etc/modules-load.d/labkit.conf": "tun\noverlay\n",
    "etc/modprobe.d/labkit.conf": "options kvm_amd nested=1\noptions kvm_intel nested=1\n",
    "etc/udev/rules.d/99-labkit.rules": 'KERNEL=="kvm", MODE="0666"\nKERNEL=="tun", MODE="0666"\n',
    "etc/ssh/sshd_config.d/labkit.conf": _SSHD,
    "etc/sudoers.d/vagrant": "vagrant ALL=(ALL) NOPASSWD: ALL\n",
}
# Vagrant's own first key, which it replaces by one of the machine's at the first `vagrant up`.
INSECURE_KEY = (
    "ssh-rsa AAAAB3NzaC1yc2EAAAABIwAAAQEA6NF8iallvQVp22WDkTkyrtvp9eWW6A8YVr+kz4TjGYe7gHzIw+niNltGEFHzD8+v1I2YJ6oXevct1"
    "YeS0o9HZyN1Q9qgCgzUFtdOKLv6IedplqoPkcmF0aYet2PkEDo3MlTBckFXPITAMzF8dJSIFo9D8HfdOV0IAdx4O7PtixWKn5y2hMNG0zQPyUecp4p"
    "zC6kivAIhyfHilFR61RGL+GPXQ2MWZWFYbAGjyiYJnAmCP3NOTd0jMZEnDkbUvxhMmBYSdETk1rRgm+R4LOzFUGaHqHDLKLX+FIPKcF96hrucXzcWy"
    "LbIbEgE98OHlnVYCzRdK8jlqm8tehUc9c9WhQ== vagrant insecure public key"
)
BASE_HOOK = f"""\
chroot "$1" useradd --create-home --shell /bin/bash vagrant
mkdir -m 700 "$1/home/vagrant/.ssh"
echo '{INSECURE_KEY}' > "$1/home/vagrant/.ssh/authorized_keys"
chmod 600 "$1/home/vagrant/.ssh/authorized_keys"
chroot "$1" chown -R vagrant:vagrant /home/vagrant/.ssh
chmod 440 "$1/etc/sudoers.d/vagrant"
for group in libvirt kvm; do chroot "$1" adduser --quiet vagrant $group; done
chroot "$1" useradd --create-home --shell /bin/bash student
chroot "$1" sh -c 'rm -f /etc/subuid /etc/subgid; touch /etc/subuid /etc/subgid'
chroot "$1" usermod --add-subuids 200000-265535 --add-subgids 200000-265535 student
mkdir -p "$1/var/lib/systemd/linger" && touch "$1/var/lib/systemd/linger/student"
chroot "$1" systemctl --quiet disable libvirtd.service
chroot "$1" systemctl --quiet enable systemd-networkd.service ssh.service libvirtd.socket
rm -f "$1/etc/libvirt/qemu/networks/autostart/default.xml"
# A session of logind for each command that Vagrant runs by ssh costs an emulated processor a second.
sed -i '/pam_systemd.so/i session [success=1 default=ignore] pam_succeed_if.so quiet user = vagrant' \\
    "$1/etc/pam.d/common-session"
"""
HOOK = f"""\
{BASE_HOOK}
chroot "$1" adduser --quiet vagrant docker
chroot "$1" systemctl --quiet disable docker.service containerd.service
chroot "$1" systemctl --quiet enable docker.socket
"""
TAKEN = {"vmlinuz-": "vmlinuz", "initrd.img-": "initrd.img"}
VAGRANTFILE = """\
Vagrant.configure("2") do |config|
  config.vm.guest = :debian
  config.vm.synced_folder ".", "/vagrant", disabled: true
  config.vm.provider :libvirt do |libvirt|
    libvirt.kernel = File.join(__dir__, "vmlinuz")
    libvirt.initrd = File.join(__dir__, "initrd.img")
    libvirt.cmd_line = "CMDLINE"
  end
end
"""
