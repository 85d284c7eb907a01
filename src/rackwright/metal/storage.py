"""The local storage of a server: what the first boot makes of the disk that the operating system isn't on."""

from __future__ import annotations

from typing import Any

from rackwright.catalog import Server, Volume

# Words of Debian's and Ubuntu's images: util-linux, fdisk (which growpart needs too), e2fsprogs. Disks go by their slot,
# so that a reinstallation finds the same one. A disk that holds anything is left as it is.
_SCRIPT = """\
set -eu
root=$(lsblk -no PKNAME "$(findmnt -nvo SOURCE /)" | tail -n 1)
if [ -z "$(blkid -L {first} || true)" ]; then
  for link in $(ls /dev/disk/by-path 2>/dev/null | grep -v -e '-part[0-9]' -e usb | sort); do
    disk=$(readlink -f "/dev/disk/by-path/$link")
    if [ -d "$disk" ]; then continue; fi
    case "${{disk##*/}}" in "$root"|sr*|loop*|fd*) continue ;; esac
    total=$(blockdev --getsz "$disk")
    if [ "$total" -lt 8388608 ] || [ -n "$(wipefs -n "$disk")" ]; then continue; fi
    sfdisk -q "$disk" <<END
label: gpt
{table}
END
    udevadm settle
    case "$disk" in *[0-9]) part="${{disk}}p" ;; *) part="$disk" ;; esac
{formats}
    break
  done
  udevadm settle
fi
{mounts}
"""


def _script(volumes: tuple[Volume, ...]) -> str:
    # The last one has what the rounding leaves.
    sizes = [f"size=$((total / 2048 * {one.percent} / 100 * 2048))" for one in volumes[:-1]]
    mounts = (
        f'if [ -n "$(blkid -L {one.label} || true)" ] && ! findmnt -n {one.mount} >/dev/null; then\n'
        f"  mkdir -p {one.mount}\n"
        f"  grep -q '^LABEL={one.label} ' /etc/fstab ||"
        f" echo 'LABEL={one.label} {one.mount} ext4 defaults,noatime,nofail 0 2' >>/etc/fstab\n"
        f"  mount {one.mount}\nfi"
        for one in volumes
    )
    return _SCRIPT.format(
        first=volumes[0].label,
        table="\n".join([*sizes, "type=linux"]),
        formats="\n".join(
            f'    mkfs.ext4 -q -L {one.label} "${{part}}{number}"' for number, one in enumerate(volumes, 1)
        ),
        mounts="\n".join(mounts),
    )


def cloud_config(facts: Server) -> dict[str, Any]:
    """What a cloud-config needs for the profile's volumes: ``bootcmd``; empty where the profile has none.

    It runs at every start and does nothing where they are there: after a reinstallation that keeps data they are
    mounted as they are. A server without a spare disk starts all the same. cloud-init's own disk_setup isn't used: it
    needs gdisk, and its older versions misname the partitions of NVMe disks.
    """
    volumes = facts.storage.volumes if facts.storage else ()
    return {"bootcmd": [["sh", "-c", _script(volumes)]]} if volumes else {}
