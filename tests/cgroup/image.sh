#!/usr/bin/env bash
# Builds the guest of `make test-cgroup` into target/cgroup: a Debian with systemd, etcd, PostgreSQL and the browser, from the mirrors
# that mmdebstrap knows by itself. It has nothing of Roost's, so it is built again only when what it
# is made of is newer.
set -euo pipefail
cd "$(dirname "$0")/../.."

image=target/cgroup/image
list=tests/cgroup/packages.txt
is_made() {
  local file
  for file in tests/cgroup/{packages.txt,image.sh,boot.service}; do
    [[ $image/root.ext4 -nt $file ]] || return 1
  done
}
is_made && exit

# The programs are built here and run there: they need the C library that they were linked with, or a later one.
suite=$(. /etc/os-release && [[ $ID == debian ]] && echo "$VERSION_CODENAME" || echo bookworm)
as_root=()
[[ $(id -u) == 0 ]] || as_root=(sudo)

echo "test-cgroup: building the guest, Debian $suite; it is kept in $image"
rm -rf $image
mkdir -p $image
# An image that was not finished is thrown away, so no package need wait for the disk.
"${as_root[@]}" mmdebstrap --quiet --variant=minbase --format=directory --dpkgopt=force-unsafe-io \
  --include="$(grep -v '^#' $list | paste -sd,)" \
  --customize-hook="copy-in tests/cgroup/boot.service /etc/systemd/system" \
  --customize-hook="chroot \"\$1\" systemctl --quiet enable boot.service" \
  "$suite" $image/tree
"${as_root[@]}" sh -c "cp $image/tree/boot/vmlinuz-* $image/kernel && cp $image/tree/boot/initrd.img-* $image/initrd"
"${as_root[@]}" mke2fs -q -t ext4 -d $image/tree $image/root.part 4G
"${as_root[@]}" rm -r $image/tree
"${as_root[@]}" chown -R "$(id -u):$(id -g)" $image
mv $image/root.part $image/root.ext4
