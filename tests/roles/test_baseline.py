"""Every node: its name, its neighbours' names, its time, its package source, who may log in."""

from __future__ import annotations

from node_hosts import NodeHost

from rackwright.derive.model import SiteModel


def test_host_name(each_node: NodeHost) -> None:
    assert each_node.out("hostname") == each_node.node.name
    assert each_node.host.file("/etc/hostname").content_string.strip() == each_node.node.name


def test_knows_all_nodes_without_dns(each_node: NodeHost, site: SiteModel) -> None:
    table = each_node.host.file("/etc/hosts").content_string.splitlines()
    rows = {name: row.split()[0] for row in table if row and row[0].isdigit() for name in row.split()[1:]}
    for node in site.nodes:
        assert rows[node.name] == rows[node.fqdn] == str(node.address)
    assert rows[site.api_fqdn] == str(site.api_vip)
    assert rows[site.mirror_fqdn] == str(site.head.address)


def test_resolver_is_the_sites(each_node: NodeHost, site: SiteModel) -> None:
    lines = each_node.host.file("/etc/resolv.conf").content_string.splitlines()
    servers = [line.split()[1] for line in lines if line.startswith("nameserver")]
    assert servers == [str(server) for server in site.dns_servers]


def test_packages_come_from_the_mirror_alone_and_are_signed(each_node: NodeHost) -> None:
    sources = each_node.out("find /etc/apt/sources.list /etc/apt/sources.list.d -type f 2>/dev/null; true")
    assert sources.split() == ["/etc/apt/sources.list.d/rackwright.sources"]
    text = each_node.host.file("/etc/apt/sources.list.d/rackwright.sources").content_string
    assert "Signed-By: /etc/apt/keyrings/rackwright.gpg" in text
    policy = each_node.out("apt-cache policy chrony")
    assert "995" in policy and "debian.org" not in policy


def test_repository_is_refused_with_another_key(each_client: NodeHost) -> None:
    script = """
set -e
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
cp /usr/share/keyrings/debian-archive-keyring.gpg "$work/other.gpg" 2>/dev/null || : > "$work/other.gpg"
cd /etc/apt/sources.list.d
sed "s#Signed-By:.*#Signed-By: $work/other.gpg#" rackwright.sources > "$work/x.sources"
! apt-get update -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$work" \\
  -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Update::Error-Mode=any \\
  -o APT::Sandbox::User=root > "$work/log" 2>&1
grep -qiE 'NO_PUBKEY|not signed|verif|unusable|keyring' "$work/log"
"""
    each_client.out(script)


def test_trusts_the_sites_authority(each_node: NodeHost, site: SiteModel) -> None:
    done = each_node.host.run(f"curl --silent --fail --output /dev/null https://{site.mirror_fqdn}/lock.json")
    assert done.rc == 0, done.stderr


def test_follows_the_sites_time(each_client: NodeHost, site: SiteModel) -> None:
    sources = each_client.out("chronyc -c -n sources").splitlines()
    asked = {line.split(",")[2] for line in sources}
    assert str(site.ntp_servers[0]) in asked
    assert str(each_client.node.address) not in asked


def test_time_service_runs(each_node: NodeHost) -> None:
    service = each_node.host.service("chrony")
    assert service.is_running and service.is_enabled


def test_kernel_settings_hold_now_and_after_boot(each_node: NodeHost) -> None:
    text = each_node.host.file("/etc/sysctl.d/90-rackwright.conf").content_string
    wanted = dict(line.split(" = ") for line in text.splitlines() if " = " in line)
    assert wanted["net.ipv4.ip_forward"] == "1"
    paths = " ".join("/proc/sys/" + key.replace(".", "/") for key in wanted)
    assert each_node.out(f"awk 1 {paths}").split() == list(wanted.values())


def test_bpf_file_system_is_mounted(each_node: NodeHost) -> None:
    assert each_node.host.mount_point("/sys/fs/bpf").filesystem == "bpf"
    assert each_node.host.service("rackwright-bpffs").is_enabled


def test_ssh_takes_keys_only(each_node: NodeHost) -> None:
    settings = dict(line.split(" ", 1) for line in each_node.out("sshd -T").splitlines() if " " in line)
    assert settings["passwordauthentication"] == "no"
    assert settings["permitrootlogin"] in ("without-password", "prohibit-password")
    assert settings["kbdinteractiveauthentication"] == "no"
    assert settings["permitemptypasswords"] == "no"


def test_nothing_failed(each_node: NodeHost) -> None:
    assert each_node.out("systemctl --failed --no-legend --plain") == ""
