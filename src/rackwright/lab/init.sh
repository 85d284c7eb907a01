#!/bin/sh
# Process 1 of a lab node before systemd takes over: makes the container look like a machine of its own.
set -eu

# Version 1 control groups: the node's own subtrees, which kubelet and containerd write to. Only these mounts change.
while read -r _ target type _; do
  if [ "$type" = cgroup ]; then mount -o remount,bind,rw "$target"; fi
done < /proc/self/mounts

# kubelet reads the kernel's log; it gets an empty one. A link would not do: systemd masks what it points to.
[ -e /dev/kmsg ] || mknod -m 666 /dev/kmsg c 1 3

# Settings of the whole kernel are the host's: the node reads and writes copies. Its network's settings are real.
copies=/run/rackwright-lab/sysctl
mkdir -p "$copies"
for name in vm fs kernel/keys; do
  mkdir -p "$copies/$name"
  (cd "/proc/sys/$name" && find . -xdev -type d ! -name binfmt_misc -exec mkdir -p "$copies/$name/{}" \;)
  (cd "/proc/sys/$name" && find . -xdev -type f ! -path './binfmt_misc/*') | while read -r file; do
    cat "/proc/sys/$name/$file" > "$copies/$name/$file" 2> /dev/null || :
  done
done
mkdir -p "$copies/kernel/yama"
mount --make-rprivate /
mount --bind /proc/sys /proc/sys
mount --bind /proc/sys/net /proc/sys/net
for name in vm fs kernel/keys; do
  mount --bind "$copies/$name" "/proc/sys/$name"
done
for name in panic panic_on_oops pid_max threads-max sysrq core_pattern core_uses_pid dmesg_restrict kptr_restrict \
  perf_event_paranoid randomize_va_space printk unprivileged_bpf_disabled timer_migration softlockup_panic \
  hung_task_timeout_secs yama/ptrace_scope; do
  if [ -f "/proc/sys/kernel/$name" ]; then
    cat "/proc/sys/kernel/$name" > "$copies/kernel/$name"
    mount --bind "$copies/kernel/$name" "/proc/sys/kernel/$name"
  fi
done
mount -o remount,bind,ro /proc/sys
mount --make-rshared /

# systemd 256 and later refuse version 1 control groups unless told otherwise.
export SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1
exec /usr/lib/systemd/systemd --log-target=console --show-status=false
