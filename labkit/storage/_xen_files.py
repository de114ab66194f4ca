"""What is in the Xen appliance: a hypervisor, a kernel, and a Debian for domain 0 that needs no systemd."""

from __future__ import annotations

from pathlib import Path

from . import _xen_python

PACKAGES = (
    "xen-hypervisor-4.17-amd64", "xen-utils-4.17", "xenstore-utils", "qemu-system-xen", "qemu-utils",
    "linux-image-amd64", "busybox-static", "kmod", "procps", "netbase", "python3", "openssh-server", "qemu-guest-agent",
    "e2fsprogs", "libvirt-daemon", "libvirt-daemon-driver-xen", "libvirt-clients", "iproute2", "dnsmasq-base",
    "iptables", "nftables", "iputils-ping", "tcpdump", "nbd-client",
)  # fmt: skip
# Besides what lies in kernel/net, with what they need.
_MODULES = (
    "virtio_pci", "virtio_blk", "virtio_net", "virtio_console", "ext4", "overlay", "loop", "tun", "veth", "vxlan",
    "bridge", "8021q", "dummy", "macvlan", "ifb", "nbd", "libcrc32c", "xenfs", "xen-evtchn", "xen-gntdev",
    "xen-gntalloc", "xen-privcmd", "xen-netback", "xen-blkback", "xen-netfront", "xen-blkfront", "xen-acpi-processor",
    "kvm_amd", "kvm_intel",
)  # fmt: skip

# Both in the folder with the system.
UNPACK = """\
chroot . python3 /usr/lib/labkit/unpack-kernel "/boot/$(cd boot && echo vmlinuz-*)" /boot/vmlinux
gunzip -c boot/xen-*-amd64.gz > boot/hypervisor
"""
LIBVIRT_HOOK = """\
sed -i "/x86_kvm64/a <include filename='x86_labkit.xml'/>" usr/share/libvirt/cpu_map/index.xml
find usr/lib -name 'libvirt_driver_*.so' ! -name '*_libxl.so' ! -name '*_network.so' -delete  # each takes its time
"""
HOOK = f"""\
set -eu
cd "$1"
release=$(ls lib/modules)
tree=lib/modules/$release
for module in {" ".join(_MODULES)}; do
    chroot . modprobe -S "$release" --show-depends $module
done | sed -n 's,^insmod /*\\(usr/\\)\\?\\([^ ]*\\).*,\\2,p' | sort -u > wanted
find "$tree/kernel" -name '*.ko' | grep -vxFf wanted | grep -v "^$tree/kernel/net/" | xargs rm -f
rm wanted
chroot . depmod "$release"
{UNPACK}chroot . sh /usr/lib/labkit/make-initrds "$release"
rm -rf boot/initrd.img* boot/System.map* boot/xen-*.gz boot/xen-*.efi usr/lib/python3*/test
mkdir -p root/.ssh var/lib/labkit
chmod 700 root/.ssh
{LIBVIRT_HOOK}ln -sf ../bin/busybox usr/sbin/init
chroot . passwd -q -d root
sed -i '/^root:/s,/bin/bash$,/bin/sh,' etc/passwd  # ssh begins commands by it
rm -rf etc/libvirt/qemu
"""

# A kernel image holds the kernel packed; on an emulated processor it takes Xen long to unpack it.
_UNPACK_KERNEL = """\
import lzma, pathlib, struct, sys
image = pathlib.Path(sys.argv[1]).read_bytes()
begin, length = struct.unpack_from("<II", image, 0x248)
payload = image[(image[0x1f1] + 1) * 512 + begin:][:length]
pathlib.Path(sys.argv[2]).write_bytes(lzma.LZMADecompressor().decompress(payload))
"""

# The first root of domain 0, and that of the machine which keeps the processor busy during the self-test.
_MAKE_INITRDS = """\
set -eu
make() {
    name=$1 init=$2; shift 2
    folder=$(mktemp -d)
    for place in bin lib proc sys dev low up new; do mkdir "$folder/$place"; done
    cp /bin/busybox "$folder/bin/"
    ln -s busybox "$folder/bin/sh"
    cp "/usr/lib/labkit/$init" "$folder/init"
    chmod 755 "$folder/init"
    number=10
    for module in "$@"; do modprobe -S "$release" --show-depends $module; done |
        awk '/^insmod/ && !seen[$2]++ {print $2}' | while read -r path; do
            cp "$path" "$folder/lib/$number-${path##*/}"
            number=$((number + 1))
        done
    (cd "$folder" && find . | sort | busybox cpio -o -H newc) > "$name"
    rm -rf "$folder"
}
release=$1
make /boot/initrd-dom0 initrd-dom0 virtio_pci virtio_blk ext4 overlay
make /usr/lib/labkit/busy.img initrd-busy
"""
_INITRD_DOM0 = """\
#!/bin/busybox sh
B=/bin/busybox
$B mount -t proc proc /proc
$B mount -t sysfs sys /sys
$B mount -t devtmpfs dev /dev
exec < /dev/console > /dev/console 2>&1
for module in /lib/*.ko; do $B insmod $module; done
tries=0
while [ ! -b /dev/vdb ] && [ $tries -lt 200 ]; do $B usleep 50000; tries=$((tries + 1)); done
$B mount -t ext4 -o ro,noload /dev/vda /low
$B mount -t ext4 -o noatime /dev/vdb /up
$B mkdir -p /up/upper /up/work
$B mount -t overlay -o lowerdir=/low,upperdir=/up/upper,workdir=/up/work overlay /new
$B mount --move /dev /new/dev
$B umount /sys
$B umount /proc
exec $B switch_root /new /usr/sbin/init
"""
_INITRD_BUSY = """\
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
while :; do /bin/busybox sha512sum /bin/busybox > /dev/null; done
"""

_INITTAB = """\
::sysinit:/usr/lib/labkit/begin
::respawn:/usr/bin/python3 -I -S /usr/lib/labkit/python /run/labkit
::respawn:/usr/lib/labkit/serve agent
::respawn:/usr/lib/labkit/serve sshd
::respawn:/usr/lib/labkit/serve libvirtd
"""
# It serves all machines: what keeps their processors busy must not hold it up.
WEIGH = "/usr/sbin/xl sched-credit2 -d Domain-0 -w 512"
_BEGIN = """\
#!/bin/sh
set -u
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /dev/pts /dev/shm /run/lock /run/sshd /run/xen /run/xenstored /run/libvirt /run/labkit
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t cgroup2 none /sys/fs/cgroup
hostname xen
ip link set lo up
for module in xenfs xen-evtchn xen-gntdev xen-gntalloc xen-privcmd virtio_net virtio_console bridge tun loop vxlan \\
    8021q veth xen-netback xen-blkback; do
    modprobe $module
done
modprobe nbd nbds_max=64
ln -s /proc/self/fd /dev/fd
for stream in 0:stdin 1:stdout 2:stderr; do ln -s "fd/${stream%:*}" "/dev/${stream#*:}"; done
mount -t xenfs xenfs /proc/xen
ln -s "$(echo /sys/class/virtio-ports/vport* | sed 's,.*/,,')" /dev/labkit-agent
mkdir -p /var/log/xen /var/lib/xen/save /var/lib/xen/dump /var/lib/xenstored /var/log/libvirt /var/lib/libvirt \\
    /var/cache/libvirt
mkfifo /run/labkit/agent /run/labkit/sshd /run/labkit/libvirtd /run/labkit/python /run/labkit/python-runs
ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key && rm /etc/ssh/ssh_host_ed25519_key.pub
xen=$(echo /usr/lib/xen-4.*/bin)
"$xen/xenstored" --pid-file /run/xenstore.pid
tries=0
until xenstore-read -s / > /dev/null 2>&1 || [ $tries -ge 300 ]; do sleep 0.1; tries=$((tries + 1)); done
"$xen/xen-init-dom0"
"$xen/xenconsoled" --pid-file /run/xenconsoled.pid --log=guest --log-dir=/var/log/xen
/usr/libexec/xen-qemu-system-i386 -xen-domid 0 -xen-attach -name dom0 -nographic -M xenpv -daemonize -monitor none \\
    -serial none -parallel none -pidfile /run/qemu-dom0.pid
WEIGH
echo "labkit: domain 0 is up after $(cut -d' ' -f1 /proc/uptime) s" > /dev/console
"""
# Until it is told who it is, a copy of the template answers nobody but by its agent; which then has no more to do, and
# would look ten times a second whether somebody is at the other end. The daemons are in memory meanwhile, each about
# to read its configuration from a pipe. (-r: sshd's child for a connection goes on with what is in memory.)
_SERVE = """\
#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
[ -e /run/labkit/told ] && wait= || wait=yes
case $1 in
agent)
    qemu-ga -m virtio-serial -p /dev/labkit-agent -l /var/log/qemu-ga.log &
    read -r _ < /run/labkit/agent
    sleep 30 # in which it still says how that went
    kill $!
    exec sleep 2147483647
    ;;
sshd) exec /usr/sbin/sshd -D -e ${wait:+-r -f /run/labkit/sshd} ;;
libvirtd) exec /usr/sbin/libvirtd ${wait:+--config /run/labkit/libvirtd} ;;
esac
"""
# How labkit starts its programs; see _xen_python.
PYTHON = """\
#!/bin/sh
if [ "${1-} ${2-}" != "-I -S" ] || [ ! -p /run/labkit/python ]; then exec /usr/bin/python3 "$@"; fi
trap 'exit 0' USR1
trap 'exit 1' USR2
exec 3<&0 4>&1 # while it writes and reads here, its own are others
echo $$ > /run/labkit/python
read -r _ < /run/labkit/python-runs
exit 1
"""
# Reads the private key of its ssh; everything else is in its environment. In Python, for on an emulated
# processor each process that a shell would start takes its time.
_BECOME = """\
import fcntl, os, socket, subprocess, sys, time
told = os.environ
began = int(open("/proc/self/stat").read().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
late = time.clock_gettime(time.CLOCK_BOOTTIME) - began
time.clock_settime(time.CLOCK_REALTIME, float(told["now"]) + late)
with open("/dev/urandom", "wb", buffering=0) as pool:
    pool.write(bytes.fromhex(told["seed"]))
    # RNDRESEEDCRNG of linux/random.h: no two copies draw the same numbers from here on
    fcntl.ioctl(pool, 0x5207)
def write(path, text, mode=0o644, flags=os.O_TRUNC):
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | flags, mode), "w") as file:
        file.write(text)
socket.sethostname(told["name"])
write("/etc/hostname", told["name"] + "\\n")
write("/etc/hosts", "127.0.0.1 localhost\\n" + told["address"] + " " + told["name"] + "\\n")
write("/etc/machine-id", told["machine_id"] + "\\n")
write("/etc/ssh/ssh_host_ed25519_key", sys.stdin.read(), 0o600)
write("/root/.ssh/authorized_keys", told["authorized"] + "\\n", 0o600)
write("/etc/libvirt/libvirtd.conf", 'host_uuid = "' + told["uuid"] + '"\\n', flags=os.O_APPEND)
write("/proc/sys/net/ipv4/ip_forward", "1")
steps = f"link set eth0 address {told['mac']} mtu 9000\\naddress replace {told['address']}/24 dev eth0\\n"
steps += f"link set eth0 up\\nroute replace default via {told['gateway']}\\n"
subprocess.run(["/sbin/ip", "-batch", "-"], input=steps, text=True, check=True)
write("/run/labkit/told", "")
for daemon, configuration in ("sshd", "/etc/ssh/sshd_config"), ("libvirtd", "/etc/libvirt/libvirtd.conf"):
    write("/run/labkit/" + daemon, open(configuration).read(), flags=0)
write("/run/labkit/agent", "\\n", flags=0)
"""
# Hashes in domain 0 while a machine keeps the processor busy: each must come out as the first time.
_CANARY = """\
import hashlib, os, subprocess, sys, time
kinds = ("sha256", "sha512", "blake2b", "md5")
data = os.urandom(300_000)
right = {kind: hashlib.new(kind, data).hexdigest() for kind in kinds}
config = "/run/labkit/canary.cfg"
with open(config, "w") as file:
    file.write('name="canary"\\ntype="pvh"\\nkernel="/boot/vmlinux"\\nramdisk="/usr/lib/labkit/busy.img"\\n'
               'extra="quiet mitigations=off random.trust_cpu=on"\\nmemory=96\\nvcpus=1\\n')
subprocess.run(["xl", "create", "-q", config], check=True)
wrong = rounds = 0
try:
    children = [subprocess.Popen(["sha256sum", "/boot/hypervisor"], stdout=subprocess.PIPE) for _ in range(3)]
    end = time.monotonic() + float(sys.argv[1])
    while time.monotonic() < end:
        rounds += 1
        wrong += sum(hashlib.new(kind, data).hexdigest() != digest for kind, digest in right.items())
    told = {child.communicate()[0] for child in children}
    seconds = [line.split()[5] for line in subprocess.check_output(["xl", "list"], text=True).splitlines()
               if line.startswith("canary")]
finally:
    subprocess.run(["xl", "destroy", "canary"], check=False)
print(f"rounds={rounds} wrong={wrong} sums={len(told)} busy_s={seconds[0] if seconds else 0}")
"""
# What connects a machine's disk and its cards. Xen's own scripts start a hundred processes for each, to look for
# other users of the disk and for other kinds of bridges; on an emulated processor that took half a minute.
_CONNECT = """\
#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
exec 2>> /var/log/xen/xen-hotplug.log
fail() {
    xenstore-write "$XENBUS_PATH/hotplug-error" "$1" "$XENBUS_PATH/hotplug-status" error
    exit 1
}
"""
_BLOCK = (
    _CONNECT
    + """\
[ "$1" = add ] || exit 0
device=$(xenstore-read "$XENBUS_PATH/params")
[ -b "$device" ] || fail "$device is not a block device"
xenstore-write "$XENBUS_PATH/physical-device" "$(stat -Lc %t:%T "$device")" \\
    "$XENBUS_PATH/physical-device-path" "$device" "$XENBUS_PATH/hotplug-status" connected
"""
)
# A whole PC has two ends here: its front end's, and one that QEMU has.
_VIF = (
    _CONNECT
    + """\
command=$1 type=vif
for word; do
    case $word in type_if=*) type=${word#*=} ;; esac
done
case $command/$type in
online/vif) device=$vif number=${vif#vif} end= ;;
add/tap)
    device=$INTERFACE number=${INTERFACE#vif} end=-emu
    number=${number%-emu}
    XENBUS_PATH=/local/domain/0/backend/vif/${number%.*}/${number#*.}
    ;;
*) exit 0 ;;
esac
bridge=$(xenstore-read "$XENBUS_PATH/bridge")
name=$(xenstore-read "$XENBUS_PATH/vifname") && name=$name$end || name=$device
read -r mtu < "/sys/class/net/$bridge/mtu" || fail "there is no bridge $bridge"
[ "$name" = "$device" ] || new="name $name"
ip link set dev "$device" ${new:-} address fe:ff:ff:ff:ff:ff mtu "$mtu" master "$bridge" up ||
    fail "$device was not connected to $bridge"
[ $type = tap ] || xenstore-write "/local/domain/${number%.*}/device/vif/${number#*.}/mtu" "$mtu" \\
    "$XENBUS_PATH/hotplug-status" connected
"""
)
_SSHD = """\
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
UseDNS no
AcceptEnv LANG LC_*
"""
_LIBVIRTD = """\
auth_unix_rw = "none"
auth_unix_ro = "none"
unix_sock_rw_perms = "0700"
listen_tls = 0
listen_tcp = 0
log_outputs = "3:file:/var/log/libvirt/libvirtd.log"
"""
# libvirt wants to name the processor; what Xen shows of an emulated one has less than any model that it knows.
_PROCESSOR = """\
<cpus>
  <model name='labkit64'>
    <decode host='on' guest='on'/>
"""
_FEATURES = ("apic", "cmov", "cx8", "fpu", "fxsr", "lm", "mmx", "msr", "nx", "pae", "pse", "sse", "sse2", "tsc")
_PROCESSOR += "".join(f"    <feature name='{name}'/>\n" for name in _FEATURES)
_PROCESSOR += "  </model>\n</cpus>\n"

# What libvirt and Xen's tools need in a domain 0, whatever else that is.
XEN_FILES = {
    "etc/libvirt/libxl.conf": "autoballoon = 0\n",
    "usr/share/libvirt/cpu_map/x86_labkit.xml": _PROCESSOR,
    "usr/lib/labkit/unpack-kernel": _UNPACK_KERNEL,
    "etc/xen/scripts/block!": _BLOCK,
    "etc/xen/scripts/vif-bridge!": _VIF,
}
FILES = {
    **XEN_FILES,
    "etc/hostname": "xen\n",
    "etc/hosts": "127.0.0.1 localhost xen\n",
    "etc/inittab": _INITTAB,
    "etc/ssh/sshd_config": _SSHD,
    "etc/libvirt/libvirtd.conf": _LIBVIRTD,
    "usr/lib/labkit/make-initrds": _MAKE_INITRDS,
    "usr/lib/labkit/initrd-dom0": _INITRD_DOM0,
    "usr/lib/labkit/initrd-busy": _INITRD_BUSY,
    "usr/lib/labkit/canary": _CANARY,
    "usr/lib/labkit/begin!": _BEGIN.replace("WEIGH", WEIGH),
    "usr/lib/labkit/serve!": _SERVE,
    "usr/lib/labkit/become": _BECOME,
    "usr/lib/labkit/python": Path(_xen_python.__file__).read_text(),
    "usr/local/bin/python3!": PYTHON,
}
