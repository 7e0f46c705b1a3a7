#!/usr/bin/env bash
# make test-cgroup: boots a Debian of its own in qemu, with systemd, control groups (v2) and the units as they are shipped, and has the
# scenarios of roost-cgroups run there (tests/README.md). A container, as most of CI is, has no control group that is its own to
# divide. Ends with 1 when a scenario fails, or the guest does not come to an end.
#
#   PROGRAMS=target/debug    where the programs are
#   CGROUP_SECS=1800         what the guest may take in all
set -euo pipefail
cd "$(dirname "$0")/../.."

programs=${PROGRAMS:-target/debug}
within=${CGROUP_SECS:-1800}
out=target/cgroup
image=$out/image
mkdir -p $out

tests/cgroup/image.sh

# Without what only a debugger reads they are a third as large.
pack() {
  local stage=$out/payload program
  rm -rf $stage
  mkdir $stage
  for program in roost roost-node roost-coordinator roost-simulator roost-cgroups; do
    strip --strip-debug -o $stage/$program "$programs/$program"
  done
  cp engine/bridge/node_modules/@wppconnect/wa-js/dist/wppconnect-wa.js deploy/systemd/*.service tests/cgroup/guest.sh $stage
  tar -c -f $out/payload.tar -C $stage .
  rm -r $stage
}
pack

machine=(-machine q35 -cpu max -nodefaults -no-user-config -no-reboot -display none -nic none)

# A kernel without a disk is through with itself at once. /dev/kvm may open and yet run none, as below a hypervisor that takes only
# kernels made for it.
has_kvm() {
  [[ -r /dev/kvm && -w /dev/kvm ]] &&
    timeout --kill-after=5 20 qemu-system-x86_64 "${machine[@]}" -accel kvm -m 256M -kernel $image/kernel \
      -append 'console=ttyS0 panic=-1' -serial stdio 2>/dev/null </dev/null | grep -q 'Kernel panic'
}

accelerator=kvm
options=
if ! has_kvm; then
  accelerator=tcg,thread=multi,tb-size=1024
  options=roost.emulated
  echo "test-cgroup: no KVM here that runs this kernel; the guest is emulated, many times slower"
fi

# The image stays as it is: what the guest writes goes into a file that is gone with qemu.
boot() {
  : >$out/result
  timeout --kill-after=5 "$within" qemu-system-x86_64 \
    "${machine[@]}" -accel $accelerator -smp 2 -m 3G \
    -kernel $image/kernel -initrd $image/initrd -append 'root=/dev/vda rw console=ttyS0 quiet panic=-1 '"$options" \
    -drive file=$image/root.ext4,format=raw,if=virtio,snapshot=on \
    -drive file=$out/payload.tar,format=raw,if=virtio,readonly=on \
    -chardev file,id=console,path=$out/console.log -serial chardev:console \
    -chardev file,id=result,path=$out/result -serial chardev:result &
  qemu=$!
}

clean_up() {
  [[ -z ${qemu:-} ]] || kill "$qemu" 2>/dev/null || true
  [[ -z ${reader:-} ]] || kill "$reader" 2>/dev/null || true
  rm -f $out/payload.tar
}
trap clean_up EXIT
trap 'exit 130' INT TERM

boot
# A serial line ends its lines with a carriage return as well.
tail -f -n +1 --pid=$qemu $out/result | tr -d '\r' &
reader=$!
wait $qemu || echo "test-cgroup: qemu ended with $?; the guest's console is in $out/console.log"
qemu=
wait $reader || true
reader=
if ! tr -d '\r' <$out/result | grep -qx 'test-cgroup: guest ended with 0'; then
  echo "test-cgroup: FAILED; what the guest said is in $out/result, its console in $out/console.log"
  exit 1
fi
