# common.sh - sourced by the lab-* scripts. Boots real systemd machines (systemd-nspawn,
# PID 1 = systemd) on a private switch, for testing a service's .deb the way it is deployed.
#
# Settings (environment; frozen in $LAB_DIR/settings by lab-up):
#   LAB_DIR       state directory                     (default /tmp/prustdb-lab)
#   LAB_NAME      prefix of network namespaces        (default prust)
#   LAB_SUITE     Debian suite of the machines        (default bookworm)
#   LAB_PACKAGES  extra Debian packages for machines  (space separated: your .deb's dependencies)
#   LAB_CGROUP    hybrid (v1 limits + v2 BPF) | unified (v2 only: as in production, but only
#                 the controllers that the host left to cgroup2)          (default hybrid)
#   LAB_NET/LAB_NET6  first three octets / prefix     (default 10.77.0 / fd77:)
set -uo pipefail
LAB_HOME=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
: "${LAB_DIR:=/tmp/prustdb-lab}"
[ -r "$LAB_DIR/settings" ] && [ -z "${LAB_FRESH:-}" ] && . "$LAB_DIR/settings"
: "${LAB_NAME:=prust}" "${LAB_SUITE:=bookworm}" "${LAB_PACKAGES:=}" "${LAB_CGROUP:=hybrid}"
: "${LAB_NET:=10.77.0}" "${LAB_NET6:=fd77:}" "${LAB_MIRROR:=}"
LAB_BASE_PACKAGES="systemd systemd-sysv dbus iproute2 iputils-ping procps netcat-openbsd ca-certificates"
LAB_V1="cpu cpuacct blkio memory devices pids"      # v1 controllers that systemd uses
SW=$LAB_NAME-sw

die() { echo "lab: $*" >&2; exit 1; }
say() { echo "lab: $*" >&2; }
now() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN{printf "%.2f", b-a}'; }
mdir() { echo "$LAB_DIR/m/$1"; }
ns_of() { if [ "$1" = 0 ]; then echo "$LAB_NAME-ctl"; else echo "$LAB_NAME-m$1"; fi; }
ip_of() { if [ "$1" = 0 ]; then echo "$LAB_NET.1"; else echo "$LAB_NET.$((10 + $1))"; fi; }
ip6_of() { if [ "$1" = 0 ]; then echo "$LAB_NET6:1"; else echo "$LAB_NET6:$((10 + $1))"; fi; }
port_of() { echo "p$1"; }                           # its switch port, in the switch's namespace
machines() { local d; for d in "$LAB_DIR"/m/*/; do [ -d "$d" ] && basename "$d"; done | sort -n; }
need_machine() { [[ ${1:-} =~ ^[0-9]+$ ]] && [ -d "$(mdir "$1")" ] || die "no machine '${1:-}' (have: $(machines | tr '\n' ' '))"; }
need_root() { [ "$(id -u)" = 0 ] || die "must be root"; }

# Processes are named by pid AND start time, so that a reused pid is never signalled.
starttime() { local s; s=$(cat "/proc/$1/stat" 2>/dev/null) || return 1; s=${s##*) }; set -- $s; echo "${20}"; }
pid_save() { echo "$2 $(starttime "$2")" > "$1"; }
pid_live() { local p t; [ -r "$1" ] && read -r p t < "$1" || return 1; [ -n "${t:-}" ] && [ "$(starttime "$p")" = "$t" ] && echo "$p"; }
pid_kill() { local p; p=$(pid_live "$1") || return 0; kill "-${2:-TERM}" "$p" 2>/dev/null; }
wait_gone() { local i; for i in $(seq $((${2:-10} * 50))); do pid_live "$1" >/dev/null || return 0; sleep 0.02; done; return 1; }

lab_deps() {
  local want="netcat-openbsd iputils-ping systemd-container mmdebstrap iproute2 nftables iptables procps python3-minimal util-linux" miss= p
  for p in $want; do [ "$(dpkg-query -Wf '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || miss="$miss $p"; done
  [ -z "$miss" ] && return 0
  say "installing:$miss"
  export DEBIAN_FRONTEND=noninteractive
  # shellcheck disable=SC2086
  apt-get install -y -qq --no-install-recommends $miss >"$LAB_DIR/apt.log" 2>&1 ||
    { apt-get update -qq >>"$LAB_DIR/apt.log" 2>&1; apt-get install -y -qq --no-install-recommends $miss >>"$LAB_DIR/apt.log" 2>&1; } ||
    die "apt-get failed, see $LAB_DIR/apt.log"
}

rootfs_path() {
  local h; h=$(echo "2 $LAB_SUITE $LAB_BASE_PACKAGES $(echo $LAB_PACKAGES | tr ' ' '\n' | sort -u)" | sha256sum | cut -c1-12)
  echo "$LAB_DIR/cache/$LAB_SUITE-$h"
}
rootfs_build() {   # once per (suite, package set)
  local r t0 tmp; r=$(rootfs_path); [ -d "$r" ] && return 0
  mkdir -p "$LAB_DIR/cache"; tmp=$r.tmp.$$; t0=$(now); say "building rootfs $LAB_SUITE (once; about a minute)"
  # shellcheck disable=SC2086
  mmdebstrap --quiet --variant=minbase --mode=root --format=directory \
    --include="$(echo $LAB_BASE_PACKAGES $LAB_PACKAGES | tr ' ' ',')" \
    --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook='mkdir -p "$1/var/log/journal" "$1/etc/systemd/journald.conf.d"; : > "$1/etc/machine-id"; rm -f "$1/etc/hostname" "$1/etc/resolv.conf"' \
    --customize-hook='printf "[Journal]\nStorage=persistent\nSystemMaxUse=64M\nSyncIntervalSec=1s\n" > "$1/etc/systemd/journald.conf.d/lab.conf"' \
    --customize-hook='for u in console-getty.service getty.target systemd-networkd.service systemd-resolved.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer systemd-firstboot.service; do ln -sf /dev/null "$1/etc/systemd/system/$u"; done' \
    "$LAB_SUITE" "$tmp" $LAB_MIRROR >"$LAB_DIR/rootfs.log" 2>&1 || { cat "$LAB_DIR/rootfs.log" >&2; rm -rf "$tmp"; die "mmdebstrap failed"; }
  # PID 1 shim for hybrid cgroups: nspawn mounts the v1 controllers read-only; systemd needs them writable.
  printf '%s\n' '#!/bin/sh' "for c in $LAB_V1; do mount -o remount,bind,rw,nosuid,nodev,noexec /sys/fs/cgroup/\$c 2>/dev/null; done" \
    'exec /lib/systemd/systemd "$@"' > "$tmp/sbin/lab-init"; chmod 755 "$tmp/sbin/lab-init"
  mv "$tmp" "$r"; say "rootfs built in $(since "$t0") s: $(du -sh "$r" | cut -f1)"
}

# ---- cgroups: one own group per machine, below this process's own group, in every hierarchy ----
cg_mount() { awk -v c="$1" '{for(i=1;i<=NF;i++) if($i=="-"){fs=$(i+1);o=$(i+3)}; n=split(o,a,",");
   if((c=="" && fs=="cgroup2")){print $5; exit} if(fs=="cgroup") for(j=1;j<=n;j++) if(a[j]==c){print $5; exit}}' /proc/self/mountinfo; }
cg_dirs() {   # prints the lab's group directory of every hierarchy
  local line rest path m c lines; lines=$(cat /proc/self/cgroup)
  while read -r line; do
    rest=${line#*:}; c=${rest%%:*}; path=${rest#*:}; [ "$path" = / ] && path=
    case ",$c," in ,,|,name=systemd,) ;; *) m=0; for m in $LAB_V1; do case ",$c," in *",$m,"*) m=1; break;; esac; done; [ "$m" = 1 ] || continue;; esac
    m=$(cg_mount "${c%%,*}"); [ -n "$m" ] && [ -w "$m" ] && echo "$m${path%/lab.*}/lab.$LAB_NAME"
  done <<<"$lines"
}
cg_rm() { local d i; [ -d "$1" ] || return 0; for i in 1 2 3 4 5 6 7 8 9 10; do find "$1" -depth -type d -exec rmdir {} + 2>/dev/null; [ -d "$1" ] || return 0; sleep 0.1; done; }
cg_clean() { local d; [ -r "$LAB_DIR/cgroups" ] || return 0; while read -r d; do cg_rm "$d/m$1"; done < "$LAB_DIR/cgroups" 2>/dev/null; }

# ---- network: namespace $SW holds a bridge; each machine has its own namespace with eth0 ----
ns_ok() { [ -e "/run/netns/$1" ] && ip netns exec "$1" true 2>/dev/null; }
net_switch() {
  ns_ok "$SW" && return 0
  ip netns del "$SW" 2>/dev/null; ip netns add "$SW" || die "ip netns add"
  ip -n "$SW" link set lo up
  ip -n "$SW" link add name br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0
  ip -n "$SW" link set br0 up
  ip netns exec "$SW" nft -f - <<'N' || die "nft"
table bridge lab {
  set cut { type ifname . ifname; }
  chain forward { type filter hook forward priority 0; policy accept; iifname . oifname @cut counter drop; }
}
N
  net_host 0
}
net_host() {   # (re)creates machine i's namespace and link: idempotent
  local i=$1 n; n=$(ns_of "$i")
  ns_ok "$n" && ip -n "$SW" link show "$(port_of "$i")" >/dev/null 2>&1 && { ip -n "$SW" link set "$(port_of "$i")" up; return 0; }
  ip netns del "$n" 2>/dev/null; ip netns add "$n" || die "ip netns add $n"
  ip -n "$SW" link add name "$(port_of "$i")" type veth peer name eth0 netns "$n" || die "veth"
  ip -n "$SW" link set "$(port_of "$i")" master br0 up
  ip -n "$n" link set lo up
  ip -n "$n" link set eth0 address "$(printf '02:00:00:00:00:%02x' "$((i + 16))")" up
  ip -n "$n" addr add "$(ip_of "$i")/24" dev eth0
  ip -n "$n" -6 addr add "$(ip6_of "$i")/64" dev eth0 nodad
}
net_unhost() { local n; n=$(ns_of "$1"); ip -n "$SW" link set "$(port_of "$1")" down 2>/dev/null; ip netns del "$n" 2>/dev/null; ip -n "$SW" link del "$(port_of "$1")" 2>/dev/null; return 0; }

hosts_text() { local k; echo "127.0.0.1 localhost"; echo "::1 localhost"; echo "$(ip_of 0) ctl"; for k in $(machines); do echo "$(ip_of "$k") m$k"; echo "$(ip6_of "$k") m$k"; done; }

# ---- machines ----
children_of() { cat /proc/"$1"/task/*/children 2>/dev/null; }
find_leader() { # supervisor's grandchild (nspawn's child) that is PID 1 of its pid namespace
  local n l; for n in $(children_of "$1"); do for l in $(children_of "$n"); do
    [ "$(awk '/^NSpid/{print $NF}' "/proc/$l/status" 2>/dev/null)" = 1 ] && [ "$(cat "/proc/$l/comm" 2>/dev/null)" = systemd ] && { echo "$l"; return 0; }
  done; done; return 1; }
leader_of() { # also after a reboot from inside, which gives the same nspawn a new PID 1
  local d s l; d=$(mdir "$1"); pid_live "$d/leader" && return 0
  s=$(pid_live "$d/supervisor") && l=$(find_leader "$s") && pid_save "$d/leader" "$l" && echo "$l"; }
in_machine() { # i cmd... : run in machine i (all namespaces), no systemd involved
  local i=$1 l; shift; l=$(leader_of "$i") || die "machine $i is not running"
  nsenter -t "$l" -m -u -i -n -p -C -T --wdns=/ -- env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM="${TERM:-dumb}" "$@"
}
machine_start() { # i ; returns when systemd inside has finished booting
  local i=$1 d t0 np l= k st; d=$(mdir "$i"); t0=$(now)
  leader_of "$i" >/dev/null && return 0
  cg_clean "$i"; net_host "$i"; rm -f "$d/leader" "$d/supervisor"
  # private mount namespace: every mount of the machine vanishes with it, even after SIGKILL
  setsid unshare --mount --propagation private bash "$LAB_HOME/lib/machine-run" "$i" >>"$d/console.log" 2>&1 </dev/null 9>&- &
  np=$!
  for k in $(seq 500); do
    kill -0 "$np" 2>/dev/null || { tail -5 "$d/console.log" >&2; say "machine $i: nspawn exited"; return 1; }
    l=$(find_leader "$np") && break
    sleep 0.02
  done
  [ -n "$l" ] || { say "machine $i: no PID 1"; return 1; }
  pid_save "$d/supervisor" "$np"; pid_save "$d/leader" "$l"
  for k in $(seq 600); do
    st=$(in_machine "$i" systemctl is-system-running 2>/dev/null)
    case "$st" in running|degraded) break;; esac
    leader_of "$i" >/dev/null || { tail -5 "$d/console.log" >&2; say "machine $i died while booting"; return 1; }
    sleep 0.05
  done
  say "machine $i $(ip_of "$i") $st, booted in $(since "$t0") s"
  [ "$st" = running ] || [ "$st" = degraded ]
}
machine_kill() { # i : power-off as seen from outside; nothing inside gets to react
  local i=$1 d n; d=$(mdir "$i")
  leader_of "$i" >/dev/null; machine_freeze "$i" 0
  pid_kill "$d/leader" KILL; wait_gone "$d/leader" 10
  if ! wait_gone "$d/supervisor" 5; then   # nspawn hangs: end it too
    for n in $(children_of "$(pid_live "$d/supervisor")"); do kill -KILL "$n"; done 2>/dev/null
    wait_gone "$d/supervisor" 2 || pid_kill "$d/supervisor" KILL; wait_gone "$d/supervisor" 5
  fi
  cg_clean "$i"
}
machine_freeze() { local d; while read -r d; do d=$d/m$1/payload; [ -e "$d/cgroup.freeze" ] && { echo "$2" > "$d/cgroup.freeze"; return 0; }; done < "$LAB_DIR/cgroups" 2>/dev/null; return 1; }
