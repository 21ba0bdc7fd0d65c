#!/bin/sh
# A Docker Engine on a kernel of its own, for the contract of engines: a Debian machine in QEMU (emulated, which is some twenty
# times slower, unless ACCEL=kvm says otherwise), FOLDER/share shared with it at the same path, its engine at FOLDER/docker.sock.
# For root; needs mmdebstrap, e2fsprogs, qemu-system-x86 and socat. FOLDER is absolute. Ends with Ctrl-C.
#
#   scripts/machine.sh /tmp/machine &
#   TMPDIR=/tmp/machine/share CASEMATE_TEST_MACHINE=/tmp/machine/docker.sock CASEMATE_DOCKER_UPLINK=host:10.0.2.2 \
#     npx vitest run --project real test/contract/docker.test.ts -t 'virtual machine'
#
# The first test imports the image, which is waited for up to 15 minutes: CASEMATE_TEST_ROOTFS may name a smaller one.
set -eu
folder=${1:?the folder to work in}
port=${2:-23751}
case $folder in /*) ;; *) echo "$folder is not absolute" >&2; exit 2 ;; esac
mkdir -p "$folder/share"
cd "$folder"

if [ ! -e disk.img ]; then
  mmdebstrap --variant=minbase --include=docker.io,iproute2,kmod,linux-image-amd64,initramfs-tools bookworm root
  cat > root/init-machine <<'INIT'
#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev 2> /dev/null
mkdir -p /dev/pts /dev/shm; mount -t devpts pts /dev/pts; mount -t tmpfs shm /dev/shm; mount -t tmpfs run /run; mount -t tmpfs tmp /tmp
mount -t cgroup2 groups /sys/fs/cgroup
for module in overlay veth virtio_net 9pnet_virtio 9p; do modprobe "$module"; done
echo 1 > /proc/sys/net/ipv4/ip_forward
ip link set lo up; ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0; ip route add default via 10.0.2.2
mkdir /sys/fs/cgroup/init; echo 1 > /sys/fs/cgroup/init/cgroup.procs; echo '+cpu +memory +pids' > /sys/fs/cgroup/cgroup.subtree_control
share=$(cat /share-path); mkdir -p "$share"; mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,cache=none share "$share"
dockerd --host=tcp://0.0.0.0:2375 --tls=false --bridge=none --iptables=false --ip6tables=false --exec-opt=native.cgroupdriver=cgroupfs &
while :; do wait; sleep 1; done
INIT
  chmod +x root/init-machine
  echo "$folder/share" > root/share-path
  cp root/boot/vmlinuz-* kernel
  cp root/boot/initrd.img-* initrd
  truncate -s 8G disk.part
  mkfs.ext4 -q -F -d root disk.part
  mv disk.part disk.img
  rm -rf root
fi

# Its engine has no certificates: the port is on loopback, and whoever may connect there is root in that machine.
rm -f docker.sock
socat -t 86400 UNIX-LISTEN:docker.sock,fork,mode=0600 "TCP:127.0.0.1:$port" &
trap 'kill $!' EXIT
qemu-system-x86_64 -accel "${ACCEL:-tcg,thread=multi}" -smp 2 -cpu max -m 3072 -nographic -no-reboot \
  -kernel kernel -initrd initrd -append 'console=ttyS0 quiet panic=-1 root=/dev/vda rw init=/init-machine net.ifnames=0' \
  -drive file=disk.img,format=raw,if=virtio -netdev "user,id=net,hostfwd=tcp:127.0.0.1:$port-:2375" -device virtio-net-pci,netdev=net \
  -virtfs "local,path=$folder/share,mount_tag=share,security_model=passthrough" < /dev/null
