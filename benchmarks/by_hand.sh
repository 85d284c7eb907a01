#!/usr/bin/env bash
# The same packages, files and kubeadm and Cilium commands as Rackwright's own run, typed by hand over ssh: the baseline of converge.py.
# Usage: by_hand.sh RENDERED_DIR SSH_OPTIONS FIRST OTHER_CONTROL_PLANES WORKERS VIP CHART_URL CA_PATH   (lists are comma-separated NAME=ADDRESS)
set -euo pipefail
rendered=$1 options=$2 first=$3 others=$4 workers=$5 vip=$6 chart=$7 anchor=$8
IFS=' ' read -ra ssh_options <<<"$options"
IFS=',' read -ra other_list <<<"$others"
IFS=',' read -ra worker_list <<<"$workers"

on() { ssh "${ssh_options[@]}" "root@${1#*=}" bash -s; }

prepare() { # trust, names, package source and configuration as rendered, then the packages
  local node=$1 extra=$2
  tar -C "$rendered/${node%%=*}" --exclude=./kubernetes -cf - . | ssh "${ssh_options[@]}" "root@${node#*=}" tar -xf - -C / --no-same-owner
  ssh "${ssh_options[@]}" "root@${node#*=}" 'cat >/etc/apt/keyrings/rackwright.gpg' <"$rendered/rackwright.gpg"
  # shellcheck disable=SC2029  # the path is meant to be the one given here
  ssh "${ssh_options[@]}" "root@${node#*=}" "mkdir -p ${anchor%/*}; cat >$anchor" <"$rendered/ca.crt"
  on "$node" <<PREPARE
set -e
export DEBIAN_FRONTEND=noninteractive
rm -f /etc/apt/sources.list
update-ca-certificates >/dev/null 2>&1
sysctl -q -w net.ipv4.ip_forward=1
apt-get -qq update
apt-get -qq -y -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold install --no-install-recommends \
  containerd runc cni-plugins kubelet kubeadm $extra >/dev/null
systemctl daemon-reload
systemctl enable -q --now rackwright-bpffs containerd
systemctl restart containerd
PREPARE
}

all_done() { local one; for one in "${started[@]}"; do wait "$one"; done; }

prepare "$first" "kubectl helm curl" & started=($!)
for node in "${other_list[@]}"; do prepare "$node" kubectl & started+=($!); done
for node in "${worker_list[@]}"; do prepare "$node" "" & started+=($!); done
all_done

token=$(printf '%s.%s' "$(openssl rand -hex 3)" "$(openssl rand -hex 8)")
key=$(openssl rand -hex 32)
on "$first" <<INIT
set -e
ip address add $vip/32 dev lo 2>/dev/null || true
key=\$(openssl rand -base64 32)
mkdir -p /etc/kubernetes/rackwright
printf 'apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources: [{resources: [secrets], providers: [{aescbc: {keys: [{name: k, secret: "%s"}]}}, {identity: {}}]}]\n' "\$key" >/etc/kubernetes/rackwright/encryption.yaml
mkdir -p /var/log/kubernetes
sed -e 's/@token@/$token/; s/@certificate_key@/$key/; s/^controlPlaneEndpoint:.*/controlPlaneEndpoint: ${first#*=}:6443/' /etc/rackwright/kubeadm/init.yaml >/run/init.yaml
kubeadm init --config /run/init.yaml --upload-certs >/run/kubeadm.log 2>&1 || { tail -n 20 /run/kubeadm.log >&2; exit 1; }
INIT
encryption=$(ssh "${ssh_options[@]}" "root@${first#*=}" cat /etc/kubernetes/rackwright/encryption.yaml)
# The API server answers nobody without a name, so what the nodes discover it with carries the bootstrap token.
info=$(on "$first" <<DISCOVERY
set -e
config() { kubectl --kubeconfig /run/discovery.conf config "\$@" >/dev/null; }
config set-cluster kubernetes --server=https://${first#*=}:6443 --certificate-authority=/etc/kubernetes/pki/ca.crt --embed-certs
config set-credentials bootstrap --token=$token
config set-context bootstrap --cluster=kubernetes --user=bootstrap
config use-context bootstrap
cat /run/discovery.conf
DISCOVERY
)

join() {
  local node=$1
  ssh "${ssh_options[@]}" "root@${node#*=}" 'cat >/run/discovery.conf' <<<"$info"
  ssh "${ssh_options[@]}" "root@${node#*=}" 'mkdir -p /etc/kubernetes/rackwright /var/log/kubernetes; cat >/etc/kubernetes/rackwright/encryption.yaml' <<<"$encryption"
  on "$node" <<JOIN
set -e
sed -e 's#@directory@#/run#; s/@certificate_key@/$key/; s/^discovery:/discovery:\n  tlsBootstrapToken: $token/' /etc/rackwright/kubeadm/join.yaml >/run/join.yaml
kubeadm join --config /run/join.yaml >/run/kubeadm.log 2>&1 || { tail -n 20 /run/kubeadm.log >&2; exit 1; }
JOIN
}

started=()
for node in "${worker_list[@]}"; do join "$node" & started+=($!); done
for node in "${other_list[@]}"; do join "$node"; done
all_done

ssh "${ssh_options[@]}" "root@${first#*=}" 'cat >/run/values.yaml' <"$rendered/${first%%=*}/kubernetes/cilium-values.yaml"
on "$first" <<POD_NETWORK
set -e
sed -i 's/^k8sServiceHost:.*/k8sServiceHost: ${first#*=}/; s/^k8sServicePort:.*/k8sServicePort: 6443/' /run/values.yaml
export KUBECONFIG=/etc/kubernetes/admin.conf
curl -sSf --cacert $anchor -o /run/cilium.tgz $chart
helm install cilium /run/cilium.tgz -n kube-system -f /run/values.yaml >/dev/null
count=\$(kubectl get nodes --no-headers | wc -l)
until [ "\$(kubectl get nodes --no-headers | grep -cw Ready)" = "\$count" ]; do sleep 0.5; done
POD_NETWORK
