"""The storage class: a claim binds, a pod that is not root writes, and what it wrote outlives it."""

from __future__ import annotations

from cluster import apply, kubectl, namespace, objects, pod, wait

VOLUME = {
    "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
    "container": {"volumeMounts": [{"name": "data", "mountPath": "/data"}]},
}
CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "16Mi"}}},
}


def test_there_is_one_default_class() -> None:
    mark = "storageclass.kubernetes.io/is-default-class"
    classes = [
        one for one in objects("storageclasses") if one["metadata"].get("annotations", {}).get(mark) == "true"
    ]
    assert [one["metadata"]["name"] for one in classes] == ["local-path"]


def test_what_a_pod_writes_the_next_one_reads() -> None:
    with namespace("rackwright-test-storage") as space:
        apply(space, CLAIM, pod("writer", "echo kept > /data/word", **VOLUME))
        wait(space, "writer", "jsonpath='{.status.phase}'=Succeeded")
        apply(space, pod("reader", "exec /bin/busybox grep -q kept /data/word", **VOLUME))
        wait(space, "reader", "jsonpath='{.status.phase}'=Succeeded")
        assert kubectl(f"-n {space} get pvc data -o jsonpath='{{.status.phase}}'") == "Bound"
